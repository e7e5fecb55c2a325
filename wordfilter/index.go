package wordfilter

import (
	"errors"
	"fmt"
)

// An index is a compiled word list.
type index struct {
	words []Word
	terms []term
	runes []rune  // the terms' characters, one term after the other
	runs  []uint8 // how often each of them is repeated
	exact *automaton
	sound *phonetic // nil if all words are exact
}

// A term is one way to write a word, or a phrase that is allowed.
type term struct {
	word int32  // index in words, or -1: a phrase that is allowed
	at   uint32 // where its characters begin in runes
	len  uint8  // how many they are
	kind termKind
	cost int16 // of reading it as a word, in eighths of a bit
}

type termKind uint8

const (
	written termKind = 0 // as in the list
	alias   termKind = 1 << iota
	plus             // an alias that a plus sign must precede
	bare             // an alias that ends in a name of one letter
)

func newIndex(words []Word, opts Options) (*index, error) {
	ix := new(index)
	var bad []error
	for i, w := range words {
		if opts.Skip != nil && opts.Skip(w) {
			continue
		}
		units, err := spell(w.Text)
		if err != nil {
			bad = append(bad, fmt.Errorf("word %d: %q %w", i+1, w.Text, err))
			continue
		}
		ix.words = append(ix.words, w)
		word := int32(len(ix.words) - 1)
		ix.addTerm(word, units, written)
		if !w.Exact {
			ix.addAliases(word, w.Text)
		}
	}
	for i, phrase := range opts.Allow {
		units, err := spell(phrase)
		if err != nil {
			bad = append(bad, fmt.Errorf("allowed phrase %d: %q %w", i+1, phrase, err))
			continue
		}
		ix.addTerm(-1, units, written)
	}
	if len(bad) > 0 {
		return nil, errors.Join(bad...)
	}
	return ix, ix.compile()
}

func (ix *index) addTerm(word int32, units []unit, kind termKind) {
	t := term{word: word, at: uint32(len(ix.runes)), len: uint8(len(units)), kind: kind}
	for _, u := range units {
		ix.runes = append(ix.runes, u.char.rune())
		ix.runs = append(ix.runs, u.run)
	}
	t.cost = int16(termCost(ix.runes[t.at:]))
	ix.terms = append(ix.terms, t)
}

func (ix *index) addAliases(word int32, text string) {
	cost := ix.terms[len(ix.terms)-1].cost
	for _, a := range aliases(text) {
		kind := alias
		if a[0] == '+' {
			kind |= plus
		}
		units := appendUnits(nil, a)
		if n := len(units); units[n-1].char.class() == latin && (n == 1 || units[n-2].char.class() != latin) {
			kind |= bare
		}
		ix.addTerm(word, units, kind)
		ix.terms[len(ix.terms)-1].cost = cost
	}
}

// compile builds the automata over the terms.
func (ix *index) compile() (err error) {
	ix.exact, err = newAutomaton(ix.sequences, len(ix.terms))
	if err != nil {
		return err
	}
	for i, t := range ix.terms {
		if t.word < 0 || t.kind != written || ix.words[t.word].Exact {
			continue
		}
		if ix.sound == nil {
			ix.sound = &phonetic{trie: *newTrie(), follows: newBitset(24 * len(ix.terms))}
		}
		if err := ix.sound.add(int32(i), ix.spelled(t)); err != nil {
			return err
		}
	}
	return nil
}

// spelled returns a term's characters.
func (ix *index) spelled(t term) []rune { return ix.runes[t.at:][:t.len] }

// sequences yields the terms' characters by the terms' places.
func (ix *index) sequences(yield func(id int32, seq []rune) bool) {
	for i, t := range ix.terms {
		if !yield(int32(i), ix.spelled(t)) {
			return
		}
	}
}
