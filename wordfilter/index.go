package wordfilter

import (
	"errors"
	"fmt"
	"slices"
)

// An index is a compiled word list.
type index struct {
	words  []Word
	terms  []term
	glyphs []glyph // the terms' characters, one term after the other
	exact  *automaton
	sound  *phonetic // nil if all words are exact
}

// A term is one way to write a word, or a phrase that is allowed.
type term struct {
	word     int32  // index in words, or -1: a phrase that is allowed
	at       uint32 // where its characters begin in glyphs
	len      uint8  // how many they are
	kind     termKind
	cost     uint8 // of reading it as a word, in eighths of a bit
	initials uint8 // how many of the characters are first letters of syllables
}

// A termKind says how a term relates to its word, and repeats what its word
// says. The zero value is the word itself.
type termKind uint8

const (
	alias    termKind = 1 << iota // under another name
	plus                          // an alias that a plus sign must precede
	bare                          // an alias that ends in a name that says other things, too
	behind                        // an alias with 加 behind the name
	spoken                        // to be found by its sound only
	exact                         // Word.Exact
	embedded                      // Word.Embedded
)

// A glyph is a character of a term, and how often it is repeated: in bits 0–20
// and from bit 24 on.
type glyph uint32

const runShift = 24

func (g glyph) rune() rune { return rune(g & runeMask) }

func (g glyph) run() uint8 { return uint8(g >> runShift) }

func newIndex(words []Word, opts Options) (*index, error) {
	ix := &index{
		words:  make([]Word, 0, len(words)),
		terms:  make([]term, 0, len(words)+len(opts.Allow)),
		glyphs: make([]glyph, 0, 4*len(words)),
	}
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
		ix.addTerm(word, units, 0)
		if !w.Exact {
			ix.addAliases(word, w.Text)
			ix.addRepeats(word, units)
			ix.addInitials(word, units)
		}
	}
	for i, phrase := range opts.Allow {
		units, err := spell(phrase)
		if err != nil {
			bad = append(bad, fmt.Errorf("allowed phrase %d: %q %w", i+1, phrase, err))
			continue
		}
		ix.addTerm(-1, units, 0)
	}
	if len(bad) > 0 {
		return nil, errors.Join(bad...)
	}
	return ix, ix.compile()
}

// addTerm adds a way to write a word, or an allowed phrase if word is -1. The
// result is valid until the next call.
func (ix *index) addTerm(word int32, units []unit, kind termKind) *term {
	if word >= 0 && ix.words[word].Exact {
		kind |= exact
	}
	if word >= 0 && ix.words[word].Embedded {
		kind |= embedded
	}
	t := term{word: word, at: uint32(len(ix.glyphs)), len: uint8(len(units)), kind: kind}
	for _, u := range units {
		ix.glyphs = append(ix.glyphs, glyph(u.char.rune())|glyph(u.run)<<runShift)
	}
	t.cost = uint8(termCost(ix.glyphs[t.at:]))
	ix.terms = append(ix.terms, t)
	return &ix.terms[len(ix.terms)-1]
}

// addAliases adds the other names of what a word names. They are no more
// ordinary than the word.
func (ix *index) addAliases(word int32, text string) {
	cost := ix.terms[len(ix.terms)-1].cost
	for _, a := range aliases(text) {
		units, _ := appendUnits(nil, a.text, false)
		ix.addTerm(word, units, a.kind).cost = cost
	}
}

// addRepeats adds a word that repeats a character with the repeats one by one:
// others may sound like one of them.
func (ix *index) addRepeats(word int32, units []unit) {
	if single := singly(units); len(single) > len(units) {
		ix.addTerm(word, single, spoken)
	}
}

// singly returns units with repeated characters one by one.
func singly(units []unit) []unit {
	var all []unit
	for _, u := range units {
		for range u.run {
			u.run = 1
			all = append(all, u)
		}
	}
	return all
}

// addInitials adds a word with the first, and with the last, two to four of its
// characters given by the first letters of their syllables: LJ店, 代开FP.
func (ix *index) addInitials(word int32, units []unit) {
	const most = 4
	if len(units) < 2 {
		return
	}
	single := singly(units)
	n := len(single)
	for k := 2; k < n && k <= most; k++ {
		for _, lo := range []int{0, n - k} {
			short := slices.Clone(single)
			ok := true
			for i := lo; i < lo+k; i++ {
				s := soundOf(short[i].char.rune())
				if ok = ok && s > 0 && s < soundLetter; ok {
					short[i].char = char('a'+rune(initials[s]-soundLetter)) | char(latin)<<classShift
				}
			}
			if ok {
				ix.addTerm(word, short, 0).initials = uint8(k)
			}
		}
	}
}

// compile builds the automata over the terms.
func (ix *index) compile() (err error) {
	ix.exact, err = newAutomaton(ix)
	if err != nil {
		return err
	}
	var first rune // of the word itself, which comes before its other terms
	for i := range ix.terms {
		t := &ix.terms[i]
		if t.word < 0 || t.initials > 0 || t.kind&(plus|bare|behind|exact) != 0 {
			continue
		}
		if begins := ix.spelled(t)[0].rune(); t.kind&alias == 0 {
			first = begins
		} else if begins != first {
			continue // 十VX is a look-alike already
		}
		if ix.sound == nil {
			ix.sound = newPhonetic(len(ix.words))
		}
		if err := ix.sound.add(int32(i), ix.spelled(t)); err != nil {
			return err
		}
	}
	return nil
}

// spelled returns a term's characters.
func (ix *index) spelled(t *term) []glyph { return ix.glyphs[t.at:][:t.len] }
