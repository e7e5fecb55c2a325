package wordfilter

import (
	_ "embed"
	"math"
)

// The lexicon says how common ordinary words are, as a cost: -log2 of the
// word's share of all words, in eighths of a bit. It is an open-addressed hash
// table that is used as it lies in the program; gen/lexicon.go describes it.
//
//go:embed tables/lexicon.bin
var lexicon string

// chars holds the costs of single characters from firstHan to lastHan.
//
//go:embed tables/chars.bin
var chars string

const (
	lexiconSlots = 1 << 18
	lexiconWord  = 6 // characters of the longest word in it
	hashOffset   = uint32(2166136261)
	hashPrime    = uint32(16777619)
)

// Costs in eighths of a bit.
const (
	bit      = 8
	noCost   = math.MaxInt32 / 2
	costHan  = 20 * bit // of a character the lexicon does not know
	costSign = 12 * bit // of a letter or digit on its own
)

// lexiconCost returns the cost of the word of two or more characters with the
// given hash, or noCost. It reports false if there is no longer word either
// that begins so.
func lexiconCost(h uint32) (cost int32, ok bool) {
	check := mix(h) >> 8
	for at := h >> 14; ; at = (at + 1) % lexiconSlots {
		b := lexicon[4*at : 4*at+4]
		entry := uint32(b[0]) | uint32(b[1])<<8 | uint32(b[2])<<16 | uint32(b[3])<<24
		switch {
		case entry == 0:
			return noCost, false
		case entry>>8 != check:
		case entry&0xFF == 0xFF:
			return noCost, true
		default:
			return int32(entry & 0xFF), true
		}
	}
}

// charCost returns the cost of reading a character as a word of its own.
func charCost(c char) int32 {
	switch r := c.rune(); {
	case r >= firstHan && r <= lastHan:
		return int32(chars[r-firstHan])
	case c.class() == han:
		return costHan
	}
	return costSign
}

func mix(h uint32) uint32 {
	h ^= h >> 16
	h *= 0x85EBCA6B
	h ^= h >> 13
	h *= 0xC2B2AE35
	return h ^ h>>16
}

// wordCost returns the cost of reading runes as one word, or noCost.
func wordCost(runes []rune) int32 {
	h := hashOffset
	for _, r := range runes {
		h = (h ^ uint32(r)) * hashPrime
	}
	cost, _ := lexiconCost(h)
	return cost
}

// reach is how many units to either side of a hit are read to judge it.
const reach = 4

// A verdict compares two ways to read the text around a candidate.
type verdict struct {
	advantage int32 // eighths of a bit by which the text is easier to read if the term stands in it
	aligned   bool  // the ordinary reading, too, has words that begin and end where the term does
}

// A reader finds the cheapest ways to read a stretch of units as ordinary
// words, word by word from left to right. It keeps their costs up to each unit.
type reader struct {
	ordinary []int32 // from the beginning
	inside   []int32 // from the candidate's first unit
	after    []int32 // from the unit behind the candidate
}

// weigh reads the text around units[first:last] with a term of the given cost
// standing there, and without. Where an ordinary sentence contains a term by
// accident, the advantage is about 0 or less. If literal, then the units are
// the term's own characters, and the ordinary reading is one that does not
// take them for one word. Otherwise only an aligned candidate with an advantage
// of least is of interest, and weigh returns a zero verdict as soon as it knows
// that this is none.
func (r *reader) weigh(units []unit, first, last int, cost, least int32, literal bool) verdict {
	lo, hi := first, last
	for lo > 0 && first-lo < reach && units[lo].gap == 0 {
		lo--
	}
	for hi < len(units) && hi-last < reach && units[hi].gap == 0 {
		hi++
	}
	size := hi - lo + 1
	r.ordinary, r.inside, r.after = r.ordinary[:0], r.inside[:0], r.after[:0]
	for range size {
		r.ordinary = append(r.ordinary, noCost)
		r.inside = append(r.inside, noCost)
		r.after = append(r.after, noCost)
	}
	ordinary, inside, after := r.ordinary, r.inside, r.after
	f, l := first-lo, last-lo
	ordinary[0], inside[f], after[l] = 0, 0, 0
	for i := lo; i < hi; i++ {
		at := i - lo
		if at == l && !literal && (inside[l]-cost < least || ordinary[l] < ordinary[f]+inside[l]) {
			return verdict{}
		}
		word := charCost(units[i].char)
		h := (hashOffset ^ uint32(units[i].char.rune())) * hashPrime
		for j := i + 1; ; j++ {
			to := j - lo
			if !literal || i != first || j != last {
				ordinary[to] = min(ordinary[to], ordinary[at]+word)
				inside[to] = min(inside[to], inside[at]+word)
			}
			after[to] = min(after[to], after[at]+word)
			if j == hi || j == i+lexiconWord || units[j].gap != 0 {
				break
			}
			h = (h ^ uint32(units[j].char.rune())) * hashPrime
			longer := false
			if word, longer = lexiconCost(h); !longer {
				break
			}
		}
	}
	return verdict{
		advantage: ordinary[size-1] - (ordinary[f] + cost + after[size-1]),
		aligned:   ordinary[f]+inside[l]+after[size-1] == ordinary[size-1],
	}
}
