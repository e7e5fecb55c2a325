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
	pairs   bitset   // hashes of the two characters that terms begin with
	begins  bitset   // hashes of what else is known to begin them; see single
	singles bool     // there are terms of one character
}

// A bitset is a set of hashes; it may claim to have others, too. Its length is
// a power of two.
type bitset []uint64

// newBitset returns a bitset of bits bits or up to twice as many.
func newBitset(bits int) bitset {
	size := 1 << 6
	for size < bits/64 {
		size *= 2
	}
	return make(bitset, size)
}

func (b bitset) add(h uint32) { b[h/64%uint32(len(b))] |= 1 << (h % 64) }

func (b bitset) has(h uint32) bool { return b[h/64&uint32(len(b)-1)]>>(h%64)&1 != 0 }

// What a hash in begins says.
const (
	single = 0x27D4EB2F // a term of one character
	whole  = 0x165667B1 // a term of two
	triple = 0          // what a term begins with that is longer
)

func pairHash(a, b rune) uint32 {
	h := uint32(a)*0x9E3779B1 + uint32(b)*0x85EBCA77
	return h ^ h>>15
}

// beginHash combines the hash of two characters with a third, or 0.
func beginHash(pair uint32, third rune, what uint32) uint32 {
	h := (pair + what + uint32(third)) * 0xC2B2AE3D
	return h ^ h>>15
}

// newAutomaton compiles the sequences; the id of each is its place.
func newAutomaton(sequences func(yield func(id int32, seq []rune) bool), count int) (*automaton, error) {
	a := &automaton{trie: *newTrie()}
	a.pairs, a.begins = newBitset(8*count), newBitset(16*count)

	type step struct{ parent, symbol, depth uint32 }
	steps := []step{{}} // by node: how it was reached
	for id, seq := range sequences {
		node := root
		for depth, r := range seq {
			next, err := a.add(node, uint32(r))
			if err != nil {
				return nil, err
			}
			if int(next) == len(steps) {
				steps = append(steps, step{node, uint32(r), uint32(depth)})
			}
			node = next
		}
		a.end(node, id)
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

func (a *automaton) setBegin(seq []rune) {
	if len(seq) == 1 {
		a.singles = true
		a.begins.add(beginHash(0, seq[0], single))
		return
	}
	pair := pairHash(seq[0], seq[1])
	a.pairs.add(pair)
	if len(seq) == 2 {
		a.begins.add(beginHash(pair, 0, whole))
	} else {
		a.begins.add(beginHash(pair, seq[2], triple))
	}
}

// completes reports whether a term may begin with units[i] and units[i+1],
// whose hash is in pairs.
func (a *automaton) completes(pair uint32, units []unit, i int) bool {
	return a.begins.has(beginHash(pair, 0, whole)) ||
		i+2 < len(units) && a.begins.has(beginHash(pair, units[i+2].char.rune(), triple))
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
	for i := range units {
		r := units[i].char.rune()
		next := root
		for state != root {
			if next = a.child(state, uint32(r)); next != root {
				break
			}
			state = a.fail[state]
		}
		if state == root {
			begins := false
			if i+1 < len(units) {
				pair := pairHash(r, units[i+1].char.rune())
				begins = a.pairs.has(pair) && a.completes(pair, units, i)
			}
			if !begins && !(a.singles && a.begins.has(beginHash(0, r, single))) {
				continue
			}
			next = a.child(root, uint32(r))
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
