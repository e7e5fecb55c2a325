package wordfilter

// notes remembers the last place of each word in a text. It is an
// open-addressed hash table that forgets everything at once, by counting texts.
type notes struct {
	slots []note
	used  int
	text  uint32 // number of the text
}

// A note is empty unless it is of the present text.
type note struct {
	word  wordID
	text  uint32
	place int32 // index of the place
}

// clear makes n ready for another text.
func (n *notes) clear() {
	n.used = 0
	if n.text++; n.text == 0 {
		clear(n.slots)
		n.text = 1
	}
}

// find returns the slot of word, or the empty one where it belongs.
func (n *notes) find(word wordID) *note {
	mask := len(n.slots) - 1
	at := int(hash(uint64(word.layer), uint64(word.word))>>40) & mask
	for n.slots[at].text == n.text && n.slots[at].word != word {
		at = (at + 1) & mask
	}
	return &n.slots[at]
}

// get returns the index of the last place of word; ok is false if it has none.
func (n *notes) get(word wordID) (place int32, ok bool) {
	if n.used == 0 {
		return 0, false
	}
	s := n.find(word)
	return s.place, s.text == n.text
}

// set remembers the index of the last place of word.
func (n *notes) set(word wordID, place int32) {
	if 2*n.used >= len(n.slots) {
		n.grow()
	}
	s := n.find(word)
	if s.text != n.text {
		n.used++
	}
	*s = note{word, n.text, place}
}

func (n *notes) grow() {
	old := n.slots
	n.slots = make([]note, max(16, 2*len(old)))
	for _, s := range old {
		if s.text == n.text {
			*n.find(s.word) = s
		}
	}
}
