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

// A reading is the cheapest way to read a stretch of units as ordinary words,
// word by word from left to right.
type reading [2*reach + 2*MaxWordLen + 1]int32

// read fills best with the cost of reading units[lo:i] for every i from lo to
// hi, at best[i-lo]. Words do not reach across gaps. If first < last, then
// units[first:last] is not read as one word.
func (best *reading) read(units []unit, lo, hi, first, last int) {
	for i := range best[:hi-lo+1] {
		best[i] = noCost
	}
	best[0] = 0
	for i := lo; i < hi; i++ {
		sofar := best[i-lo]
		if i != first || i+1 != last {
			best[i+1-lo] = min(best[i+1-lo], sofar+charCost(units[i].char))
		}
		h := (hashOffset ^ uint32(units[i].char.rune())) * hashPrime
		for j := i + 1; j < min(i+lexiconWord, hi) && units[j].gap == 0; j++ {
			h = (h ^ uint32(units[j].char.rune())) * hashPrime
			cost, ok := lexiconCost(h)
			if !ok {
				break
			}
			if i != first || j+1 != last {
				best[j+1-lo] = min(best[j+1-lo], sofar+cost)
			}
		}
	}
}

// A verdict compares two ways to read the text around a candidate.
type verdict struct {
	advantage int32 // eighths of a bit by which the text is easier to read if the term stands in it
	aligned   bool  // the ordinary reading, too, has words that begin and end where the term does
}

// weigh reads the text around units[first:last] with a term of the given cost
// standing there, and without. Where an ordinary sentence contains a term by
// accident, the advantage is about 0 or less. If literal, then the units are
// the term's own characters, and the ordinary reading is one that does not
// take them for one word. Unless literal, weigh may stop early and give a
// larger advantage, which is still below least.
func weigh(units []unit, first, last int, cost, least int32, literal bool) verdict {
	whole := -1
	if literal {
		whole = first
	}
	var best reading
	best.read(units, first, last, whole, last)
	inside := best[last-first]
	if !literal && inside-cost < least {
		return verdict{advantage: inside - cost} // the units are easy to read whatever is around them
	}
	lo := first
	for lo > 0 && first-lo < reach && units[lo].gap == 0 {
		lo--
	}
	hi := last
	for hi < len(units) && hi-last < reach && units[hi].gap == 0 {
		hi++
	}
	best.read(units, last, hi, -1, -1)
	after := best[hi-last]
	best.read(units, lo, hi, whole, last)
	before, ordinary := best[first-lo], best[hi-lo]
	return verdict{
		advantage: ordinary - (before + cost + after),
		aligned:   before+inside+after == ordinary,
	}
}
