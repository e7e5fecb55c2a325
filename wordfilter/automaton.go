package wordfilter

import (
	"cmp"
	"slices"
)

// An automaton finds every term in a sequence of characters, in time linear in
// the sequence whatever it holds: Aho and Corasick's algorithm on a trie. In
// front of it stands a filter of the two and three characters that terms begin
// with, so that ordinary text costs one look-up a character.
type automaton struct {
	trie
	fail    []uint32 // by node: the node of its longest proper suffix
	link    []uint32 // by node: the nearest suffix, itself included, where a term ends; or root
	shorts  filter   // the terms of one and two characters
	begins  filter   // the three characters that longer ones begin with
	singles bool     // there are terms of one character
	doubles bool     // there are terms of one character that is repeated
}

// What a hash in shorts says, in place of a second character.
const (
	noOther = 1 << 21 // the one character is a term
	noMore  = 2 << 21 // it is one if it is repeated
)

func pairHash(a, b rune) uint64 { return hash(uint64(a), uint64(b)) }

// tripleHash combines the hash of two characters with a third.
func tripleHash(pair uint64, third rune) uint64 { return hash(pair>>20, uint64(third)) }

// newAutomaton compiles the index's terms; the id of each is its place.
func newAutomaton(ix *index) (*automaton, error) {
	a := &automaton{trie: *newTrie()}
	shorts := 0
	for i := range ix.terms {
		if ix.terms[i].len < 3 {
			shorts++
		}
	}
	a.shorts, a.begins = newFilter(shorts), newFilter(len(ix.terms)-shorts)

	type step struct{ parent, symbol, depth uint32 }
	steps := []step{{}} // by node: how it was reached
	for id := range ix.terms {
		t := &ix.terms[id]
		if t.kind&spoken != 0 {
			continue
		}
		node, seq := root, ix.spelled(t)
		for depth, g := range seq {
			symbol := uint32(g.rune())
			next, err := a.add(node, symbol)
			if err != nil {
				return nil, err
			}
			if int(next) == len(steps) {
				steps = append(steps, step{node, symbol, uint32(depth)})
			}
			node = next
		}
		a.end(node, int32(id))
		a.setBegin(seq)
	}

	nodes := make([]uint32, len(steps)-1)
	for i := range nodes {
		nodes[i] = uint32(i + 1)
	}
	slices.SortStableFunc(nodes, func(m, n uint32) int { return cmp.Compare(steps[m].depth, steps[n].depth) })
	a.fail = make([]uint32, len(steps))
	a.link = make([]uint32, len(steps))
	for _, node := range nodes {
		s := steps[node]
		if s.parent != root {
			a.fail[node] = a.next(a.fail[s.parent], s.symbol)
		}
		if a.link[node] = node; a.ends[node] < 0 {
			a.link[node] = a.link[a.fail[node]]
		}
	}
	return a, nil
}

// setBegin tells the filters of a term.
func (a *automaton) setBegin(seq []glyph) {
	first := seq[0].rune()
	switch {
	case len(seq) > 2:
		a.begins.add(tripleHash(pairHash(first, seq[1].rune()), seq[2].rune()))
	case len(seq) == 2:
		a.shorts.add(pairHash(first, seq[1].rune()))
	case seq[0].run() > 1:
		a.doubles = true
		a.shorts.add(hash(uint64(first), noMore))
	default:
		a.singles = true
		a.shorts.add(hash(uint64(first), noOther))
	}
}

// alone reports whether a term of one character may be u.
func (a *automaton) alone(u *unit) bool {
	r := uint64(u.char.rune())
	return a.singles && a.shorts.has(hash(r, noOther)) || a.doubles && u.run > 1 && a.shorts.has(hash(r, noMore))
}

// next returns the state behind symbol.
func (a *automaton) next(state, symbol uint32) uint32 {
	for {
		if next := a.child(state, symbol); next != root {
			return next
		}
		if state == root {
			return root
		}
		state = a.fail[state]
	}
}

// A find is a term that ends at a unit.
type find struct {
	layer int32
	term  int32
	last  int32 // index of the unit
}

// find appends to finds every term in units, by where they end, as finds of
// the given layer.
func (a *automaton) find(units []unit, layer int32, finds []find) []find {
	state := root
	for i := 0; i < len(units); i++ {
		next := root
		for state != root {
			if next = a.child(state, uint32(units[i].char.rune())); next != root {
				break
			}
			state = a.fail[state]
		}
		if state == root {
			if i = a.begin(units, i); i == len(units) {
				break
			}
			next = a.child(root, uint32(units[i].char.rune()))
		}
		if state = next; state == root {
			continue
		}
		for node := a.link[state]; node != root; node = a.link[a.fail[node]] {
			for e := a.ends[node]; e >= 0; e = a.list[e].next {
				finds = append(finds, find{layer, a.list[e].id, int32(i)})
			}
		}
	}
	return finds
}

// begin returns the first place from i on where a term may begin, or
// len(units).
func (a *automaton) begin(units []unit, i int) int {
	if i == len(units) {
		return i
	}
	first := units[i].char.rune()
	for ; i+1 < len(units); i++ {
		second, third := units[i+1].char.rune(), rune(0)
		if i+2 < len(units) {
			third = units[i+2].char.rune()
		}
		pair := pairHash(first, second)
		if a.shorts.has(pair) && units[i+1].gap.skipped() ||
			i+2 < len(units) && a.begins.has(tripleHash(pair, third)) && skipped(units[i+1].gap, units[i+2].gap) ||
			(a.singles || units[i].run > 1) && a.alone(&units[i]) {
			return i
		}
		first = second
	}
	if a.alone(&units[i]) {
		return i
	}
	return len(units)
}
