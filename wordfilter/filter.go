package wordfilter

import "math/bits"

// A filter is a set of hashes that knows all it was given and may claim to
// know others: a Bloom filter that looks at three bits of one word of memory.
// Nearly everything in an ordinary text is turned away by filters, so they are
// what a scan's time goes into. The length is a power of two.
type filter []uint64

// newFilter returns a filter for about count hashes: it lets pass about one
// other hash in two hundred.
func newFilter(count int) filter {
	const bitsEach = 16 // or up to twice as many
	return make(filter, 1<<bits.Len(uint(count*bitsEach/64)))
}

func (f filter) add(h uint64) { f[h>>40&uint64(len(f)-1)] |= threeBits(h) }

func (f filter) has(h uint64) bool {
	want := threeBits(h)
	return f[h>>40&uint64(len(f)-1)]&want == want
}

func threeBits(h uint64) uint64 { return 1<<(h>>22&63) | 1<<(h>>28&63) | 1<<(h>>34&63) }

// hash mixes two numbers; the upper bits of the result are the better ones.
func hash(a, b uint64) uint64 {
	return (a*0x9E3779B97F4A7C15 ^ b) * 0xD6E8FEB86659FD93
}
