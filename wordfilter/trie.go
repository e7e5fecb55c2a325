package wordfilter

import (
	"errors"
	"math/bits"
)

// A trie holds sequences of symbols below 1<<symbolBits. Its edges lie in one
// open-addressed hash table; an edge is a single number, parent, symbol and
// child side by side, so that a step is one multiplication and usually one
// cache line.
type trie struct {
	edges []uint64 // empty slots are 0, which no edge is: no edge leads to the root
	shift uint     // 64 - log2(len(edges))
	ends  []int32  // by node: the first of its entries in list, or -1
	list  []entry  // what ends at nodes
}

// An entry is one id stored at the end of a sequence.
type entry struct{ id, next int32 }

const (
	symbolBits = 21
	nodeBits   = 21
	maxNodes   = 1 << nodeBits
	root       = uint32(0)
)

var errTooManyWords = errors.New("too many words for one matcher")

func newTrie() *trie {
	const slots = 64
	return &trie{edges: make([]uint64, slots), shift: 64 - 6, ends: []int32{-1}}
}

func (t *trie) slot(key uint64) uint64 { return key * 0x9E3779B97F4A7C15 >> t.shift }

// child returns the node behind the edge marked symbol, or root if there is
// none.
func (t *trie) child(node, symbol uint32) uint32 {
	key := uint64(node)<<symbolBits | uint64(symbol)
	for at := t.slot(key); ; at = (at + 1) & uint64(len(t.edges)-1) {
		edge := t.edges[at]
		if edge>>nodeBits == key {
			return uint32(edge & (maxNodes - 1)) // root, if key and slot are both 0
		}
		if edge == 0 {
			return root
		}
	}
}

// add returns the node behind the edge marked symbol, which it makes if there
// is none.
func (t *trie) add(node, symbol uint32) (uint32, error) {
	if next := t.child(node, symbol); next != root {
		return next, nil
	}
	next := uint32(len(t.ends))
	if next == maxNodes {
		return 0, errTooManyWords
	}
	t.ends = append(t.ends, -1)
	if 4*len(t.ends) > 3*len(t.edges) { // fuller tables make long searches
		t.grow()
	}
	t.put((uint64(node)<<symbolBits|uint64(symbol))<<nodeBits | uint64(next))
	return next, nil
}

func (t *trie) put(edge uint64) {
	at := t.slot(edge >> nodeBits)
	for t.edges[at] != 0 {
		at = (at + 1) & uint64(len(t.edges)-1)
	}
	t.edges[at] = edge
}

func (t *trie) grow() {
	old := t.edges
	t.edges = make([]uint64, 2*len(old))
	t.shift = 64 - uint(bits.Len(uint(len(t.edges)-1)))
	for _, edge := range old {
		if edge != 0 {
			t.put(edge)
		}
	}
}

// end stores id at node.
func (t *trie) end(node uint32, id int32) {
	t.list = append(t.list, entry{id, t.ends[node]})
	t.ends[node] = int32(len(t.list) - 1)
}
