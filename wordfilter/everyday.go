package wordfilter

// CheckWord returns why a text cannot be a word of a list, or nil.
func CheckWord(text string) error {
	_, err := spell(text)
	return err
}

// everydayCost is the cost of the rarest words that count as everyday ones, in
// eighths of a bit: about one word in 13,000.
const everydayCost = 13*bit + 5

// Everyday reports whether ordinary sentences are full of a word, so that a
// list that holds it would accuse nearly everybody: 今天, 手机, 微信. It knows
// the words of its lexicon, which have 1 to 6 characters.
func Everyday(word string) bool {
	units, _ := appendUnits(nil, word, false)
	if len(units) == 0 || len(units) > lexiconWord {
		return false
	}
	runes := make([]rune, len(units))
	for i, u := range units {
		if u.char.class() != han {
			return false
		}
		runes[i] = u.char.rune()
	}
	if len(runes) == 1 {
		return true
	}
	return wordCost(runes) <= everydayCost
}
