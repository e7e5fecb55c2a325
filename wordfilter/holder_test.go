package wordfilter

import (
	"sync"
	"testing"
)

func TestHolder(t *testing.T) {
	h := NewHolder()
	if hits := h.Scan("g1", "刷单", nil); len(hits) != 0 {
		t.Errorf("new Holder found %+v", hits)
	}
	base := matcher(t, Options{}, "刷单")
	group, err := base.Overlay([]Word{{Text: "骗子"}}, Options{})
	if err != nil {
		t.Fatal(err)
	}
	h.Swap(&Set{Base: base, Groups: map[string]*Matcher{"g1": group}})
	for group, want := range map[string]int{"g1": 2, "g2": 1, "": 1} {
		if hits := h.Scan(group, "刷单，骗子", nil); len(hits) != want {
			t.Errorf("Scan for group %q = %+v, want %d hits", group, hits, want)
		}
	}
}

// TestSwapUnderLoad swaps sets while others scan; each scan must see one of
// the sets, whole. It is worth most with -race.
func TestSwapUnderLoad(t *testing.T) {
	sets := []*Set{
		{Base: matcher(t, Options{}, "刷单")},
		{Base: matcher(t, Options{}, "刷单", "骗子")},
	}
	h := NewHolder()
	h.Swap(sets[0])
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			var hits []Hit
			for range 500 {
				hits = h.Scan("", "刷dan的都是骗子", hits[:0])
				if len(hits) != 1 && len(hits) != 2 || hits[0].Word.Text != "刷单" {
					t.Errorf("Scan during a swap = %+v", hits)
					return
				}
			}
		})
	}
	for i := range 500 {
		h.Swap(sets[i%2])
	}
	wg.Wait()
}
