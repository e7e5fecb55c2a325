package wordfilter

import (
	"cmp"
	"slices"
	"sync"
)

// Options are what a list of words does not say. The zero value is fine.
type Options struct {
	// Allow are phrases in which words do no harm: with 刷单词 allowed, 刷单 is
	// not found inside it.
	Allow []string

	// Skip, unless nil, reports which words to leave out. An overlay asks it
	// about the words below it, too.
	Skip func(Word) bool
}

// A Hit is one place where a word stands in a text.
type Hit struct {
	Word       Word
	Start, End int // byte offsets into the text
	How        Disguise
}

// A Matcher finds words in texts. It never changes and may be used by any
// number of goroutines. A nil Matcher finds nothing.
type Matcher struct{ layers []layer }

// A layer is an index and which of its words are switched off.
type layer struct {
	*index
	off []bool // by word; nil if none is
}

// New compiles words. The error joins one for each word and allowed phrase
// that cannot be compiled, and says what is wrong with it.
func New(words []Word, opts Options) (*Matcher, error) {
	return (*Matcher)(nil).Overlay(words, opts)
}

// Overlay returns a Matcher that finds words and whatever m finds, except what
// opts leaves out. It shares m's memory, so that a group's few words cost
// little. Errors are those of New.
func (m *Matcher) Overlay(words []Word, opts Options) (*Matcher, error) {
	ix, err := newIndex(words, opts)
	if err != nil {
		return nil, err
	}
	over := new(Matcher)
	if m != nil {
		over.layers = slices.Clone(m.layers)
	}
	if opts.Skip != nil {
		for i := range over.layers {
			over.layers[i].skip(opts.Skip)
		}
	}
	over.layers = append(over.layers, layer{index: ix})
	return over, nil
}

// skip switches off the words that skip reports, besides those that are off.
func (l *layer) skip(skip func(Word) bool) {
	off := make([]bool, len(l.words))
	copy(off, l.off)
	for i, w := range l.words {
		off[i] = off[i] || skip(w)
	}
	l.off = off
}

// scratch is the memory of one scan.
type scratch struct {
	again   bool // the text is read a second time, for what its emoji stand for
	units   []unit
	finds   []find
	lattice lattice
	walk    walk
	reader  reader
	steps   []step
	allowed []stretch
	places  []place
	noted   notes // the last place of each word
	doubts  int   // how many more candidates may be weighed
	most    int   // how many places are enough
}

// A wordID says which word of which layer.
type wordID struct{ layer, word int32 }

// A stretch is the bytes of a text from start up to, not including, end.
type stretch struct{ start, end uint32 }

// A place is where a word stands.
type place struct {
	wordID
	start, end int32 // bytes of the text
	how        Disguise
}

var scratches = sync.Pool{New: func() any { return new(scratch) }}

// maxScratch is the number of units above which a scan's memory is given back
// to the garbage collector, so that one huge text does not occupy it for good.
const maxScratch = 1 << 16

// MaxText is the number of bytes of a text that are scanned; what lies behind
// them is ignored.
const MaxText = 1 << 30

// Scan appends to hits every place in text where a word stands, sorted by
// where they start, and returns the extended slice. Where a word stands in
// several ways at overlapping places, it is one hit. Of a text that holds more
// than 128 words and one for two characters, not all may be reported. Texts need
// not be valid UTF-8.
func (m *Matcher) Scan(text string, hits []Hit) []Hit {
	if m == nil {
		return hits
	}
	text = text[:min(len(text), MaxText)]
	s := scratches.Get().(*scratch)
	s.scan(text, m.layers)
	for _, p := range s.places {
		word := m.layers[p.layer].words[p.word]
		hits = append(hits, Hit{Word: word, Start: int(p.start), End: int(p.end), How: p.how})
	}
	if len(s.units) <= maxScratch {
		scratches.Put(s)
	}
	return hits
}

// What even short texts get; longer ones get one more for two characters. No
// honest text comes near.
const (
	minDoubts = 32  // candidates that are weighed
	minPlaces = 128 // places that are reported
)

// scan fills s.places.
func (s *scratch) scan(text string, layers []layer) {
	s.places = s.places[:0]
	s.noted.clear()
	var silent bool
	s.units, silent = appendUnits(s.units[:0], text, false)
	s.again, s.doubts, s.most = false, minDoubts+len(s.units)/2, minPlaces+len(s.units)/2
	s.search(text, layers)
	if silent && disguised(layers) {
		s.units, _ = appendUnits(s.units[:0], text, true)
		s.again = true
		s.search(text, layers)
	}
	if len(s.places) > 1 {
		s.places = distinct(s.places)
	}
}

// search adds to s.places what is found in s.units, which are text's.
func (s *scratch) search(text string, layers []layer) {
	s.finds, s.allowed = s.finds[:0], s.allowed[:0]
	for i, l := range layers {
		s.finds = l.exact.find(s.units, int32(i), s.finds)
	}
	if len(s.finds) > 0 {
		s.judgeFinds(text, layers)
	}
	if !disguised(layers) {
		return
	}
	s.lattice.fill(s.units)
	for i, l := range layers {
		if l.sound != nil {
			s.listen(text, layers, i)
		}
	}
}

// disguised reports whether any of the layers' words may be disguised.
func disguised(layers []layer) bool {
	for _, l := range layers {
		if l.sound != nil {
			return true
		}
	}
	return false
}

// distinct sorts places and keeps one of those where the same word overlaps:
// the least disguised, or else the first.
func distinct(places []place) []place {
	slices.SortFunc(places, func(a, b place) int {
		switch {
		case a.word != b.word:
			return cmp.Compare(a.word, b.word)
		case a.layer != b.layer:
			return cmp.Compare(a.layer, b.layer)
		case a.start != b.start:
			return cmp.Compare(a.start, b.start)
		case a.how != b.how:
			return cmp.Compare(a.how, b.how)
		}
		return cmp.Compare(b.end, a.end)
	})
	kept := places[:1]
	for _, p := range places[1:] {
		last := &kept[len(kept)-1]
		switch {
		case p.wordID != last.wordID || p.start >= last.end:
			kept = append(kept, p)
		case p.how < last.how:
			*last = p
		}
	}
	slices.SortFunc(kept, func(a, b place) int {
		switch {
		case a.start != b.start:
			return cmp.Compare(a.start, b.start)
		case a.end != b.end:
			return cmp.Compare(b.end, a.end)
		case a.layer != b.layer:
			return cmp.Compare(a.layer, b.layer)
		}
		return cmp.Compare(a.word, b.word)
	})
	return kept
}
