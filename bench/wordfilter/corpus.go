// Package wordfilter compares qunbot's filter with other Go libraries on one
// synthetic corpus. It is a module of its own, so that the libraries never
// become dependencies of the program. See README.md.
package wordfilter

import (
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"strings"
	"unicode/utf8"

	"qunbot/wordfilter"
)

// A corpus is chat messages and word lists, the same in every run.
type corpus struct {
	messages []string // 4,000 of 5 to 200 characters, 53 on average; 1 in 100 has a word in it
	clean    []string // the messages without a word
	words    map[int][]string
}

const numMessages = 4000

// newCorpus makes up a corpus from the words and characters in the generator's
// lists. Messages are ordinary words one after the other, the first ones of
// the list more often, with punctuation, blanks, letters, digits and emoji.
// Word lists have the given sizes; their characters are as
// common as those of ordinary words, one in five is any character; a quarter of the words have two characters,
// a quarter three, the rest four to seven, 6 in 100 with letters. No word
// occurs in a clean message, folded neither.
func newCorpus(sizes ...int) (corpus, error) {
	ordinary, err := readList("../../wordfilter/gen/data/ordinary.txt")
	if err != nil {
		return corpus{}, err
	}
	parts, err := readList("../../wordfilter/gen/data/splits.txt")
	if err != nil {
		return corpus{}, err
	}
	rng := rand.New(rand.NewPCG(1, 2))
	rng.Shuffle(len(ordinary), func(i, j int) { ordinary[i], ordinary[j] = ordinary[j], ordinary[i] })
	common := []rune(strings.Join(ordinary, "")) // each as often as in words
	var rare []rune
	for _, line := range parts {
		r, _ := utf8.DecodeRuneInString(line)
		rare = append(rare, r)
	}
	skewed := func(n int) int { f := rng.Float64(); return int(f * f * f * float64(n)) }

	c := corpus{words: make(map[int][]string)}
	functional := []rune("的了是我在有不这个就也都很吗吧呢啊去来到说要会和上下里")
	for range numMessages {
		target := 5 + int(rng.ExpFloat64()*50)
		if target > 200 {
			target = 5 + rng.IntN(60)
		}
		var b strings.Builder
		for n := 0; n < target; {
			var piece string
			switch k := rng.IntN(100); {
			case k < 55:
				piece = ordinary[skewed(len(ordinary))]
			case k < 85:
				piece = string(functional[rng.IntN(len(functional))])
			case k < 94:
				piece = []string{"，", "。", "！", "？", "～", "…"}[rng.IntN(6)]
			case k < 96:
				piece = []string{"😊", "👍🏻", "❤️", "[微笑]", "🎁"}[rng.IntN(5)]
			case k < 98:
				piece = fmt.Sprint(rng.IntN(1000))
			default:
				piece = []string{" ok ", " App", "VIP", " wifi ", "\n"}[rng.IntN(5)]
			}
			b.WriteString(piece)
			n += utf8.RuneCountInString(piece)
		}
		c.clean = append(c.clean, b.String())
	}
	seen := make(map[string]bool) // every stretch of up to 7 characters in a message
	for _, m := range c.clean {
		rs := []rune(m)
		for i := range rs {
			for j := i + 1; j <= min(i+7, len(rs)); j++ {
				seen[string(rs[i:j])] = true
			}
		}
	}
	for _, size := range sizes {
		var list []string
		taken := make(map[string]bool)
		for len(list) < size+size/10 {
			length := 2
			switch k := rng.IntN(100); {
			case k < 25:
			case k < 50:
				length = 3
			case k < 80:
				length = 4
			default:
				length = 5 + rng.IntN(3)
			}
			rs := make([]rune, length)
			for i := range rs {
				if rs[i] = common[rng.IntN(len(common))]; rng.IntN(100) < 20 {
					rs[i] = rare[rng.IntN(len(rare))]
				}
			}
			if rng.IntN(100) < 6 {
				rs[rng.IntN(length)] = rune('a' + rng.IntN(26))
			}
			if w := string(rs); !seen[w] && !taken[w] {
				taken[w] = true
				list = append(list, w)
			}
		}
		if list, err = absent(list, c.clean); err != nil {
			return corpus{}, err
		}
		c.words[size] = list[:size]
	}
	c.messages = append(c.messages, c.clean...)
	for i := 0; i < len(c.messages); i += 100 {
		rs := []rune(c.messages[i])
		at := rng.IntN(len(rs) + 1)
		c.messages[i] = string(rs[:at]) + c.words[sizes[0]][rng.IntN(sizes[0])] + string(rs[at:])
	}
	return c, nil
}

// absent returns the words that occur in none of the messages, folded alike.
func absent(words, messages []string) ([]string, error) {
	var list []wordfilter.Word
	for _, w := range words {
		list = append(list, wordfilter.Word{Text: w, Exact: true, Embedded: true})
	}
	m, err := wordfilter.New(list, wordfilter.Options{})
	if err != nil {
		return nil, err
	}
	present := make(map[string]bool)
	for _, text := range messages {
		for _, h := range m.Scan(text, nil) {
			present[h.Word.Text] = true
		}
	}
	return slices.DeleteFunc(words, func(w string) bool { return present[w] }), nil
}

// readList returns the words of a file, without # comments.
func readList(path string) ([]string, error) {
	b, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	var words []string
	for line := range strings.Lines(string(b)) {
		line, _, _ = strings.Cut(line, "#")
		words = append(words, strings.Fields(line)...)
	}
	return words, nil
}
