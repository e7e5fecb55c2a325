package wordfilter

import (
	"cmp"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"
)

// FuzzScan compares the automaton with a naive matcher, for words that are
// exact and may be embedded: all that is left to find is the characters
// themselves. With the words of testdata it checks that scans end well.
func FuzzScan(f *testing.F) {
	f.Add("刷单 单刷 ab", "刷单刷單，ＡＢ ab1")
	f.Add("天天 天 aa", "天天天 天\u200b天 aaa aa")
	f.Add("刷单刷", "刷单刷单刷单刷\xe5\x88刷")
	f.Add("王8 8", "王8 88 8")
	full := baseMatcher(f)
	for _, s := range readSentences(f, "testdata/moderation-dev.jsonl") {
		f.Add("刷单 加V", s.Text)
	}
	for _, text := range hostile {
		f.Add("刷 单刷单 xian", text)
	}
	f.Fuzz(func(t *testing.T, list, text string) {
		checkHits(t, text, full.Scan(text, nil))
		var words []Word
		for _, w := range strings.Fields(list) {
			if _, err := spell(w); err == nil {
				words = append(words, Word{Text: w, Exact: true, Embedded: true})
			}
		}
		m, err := New(words, Options{})
		if err != nil {
			t.Fatal(err)
		}
		got, want := m.Scan(text, nil), naiveScan(words, text)
		if units, _ := appendUnits(nil, text, false); len(want) > minPlaces+len(units)/2 {
			return // more than is reported
		}
		if !slices.Equal(got, want) {
			t.Errorf("words %q in %q:\ngot  %+v\nwant %+v", list, text, got, want)
		}
	})
}

// naiveScan tries every word at every place.
func naiveScan(words []Word, text string) []Hit {
	units := naiveUnits(text)
	type hit struct {
		word int
		Hit
	}
	var all []hit
	for i, w := range words {
		spelled := naiveUnits(w.Text)
		end := 0
		for at := 0; at+len(spelled) <= len(units); at++ {
			if h, ok := naiveMatch(units, spelled, at, text); ok && h.Start >= end {
				h.Word = w
				end = h.End
				all = append(all, hit{i, h})
			}
		}
	}
	slices.SortFunc(all, func(a, b hit) int {
		return cmp.Or(cmp.Compare(a.Start, b.Start), cmp.Compare(b.End, a.End), cmp.Compare(a.word, b.word))
	})
	var hits []Hit
	for _, h := range all {
		hits = append(hits, h.Hit)
	}
	return hits
}

type naiveUnit struct {
	r          rune
	class      class
	start, end int
	run        int
	before     bool // something lies between the unit before and this one
	inside     bool // something lies between the repeated characters
}

// naiveUnits folds character by character.
func naiveUnits(text string) []naiveUnit {
	var units []naiveUnit
	apart, paused, skipTo := false, false, 0
	for i, r := range text {
		size := utf8.RuneLen(r)
		if !strings.HasPrefix(text[i:], string(r)) {
			size = 1 // an invalid byte
		}
		folded := traitOf(r).charOf(r)
		switch class := folded.class(); {
		case i < skipTo, class == drop:
			continue
		case class < digit:
			apart = true
			paused = paused || class == pause
			if r == '[' {
				skipTo = i + 1 + len(textEmoji(text[i+1:]))
			}
			continue
		}
		n := len(units)
		if n > 0 && !paused && folded.class() == han && units[n-1].r == folded.rune() {
			units[n-1].end = i + size
			units[n-1].run++
			units[n-1].inside = units[n-1].inside || apart
		} else {
			units = append(units, naiveUnit{folded.rune(), folded.class(), i, i + size, 1, apart, false})
		}
		apart, paused = false, false
	}
	return units
}

// naiveMatch reports whether the word stands at units[at].
func naiveMatch(units, word []naiveUnit, at int, text string) (Hit, bool) {
	span := units[at : at+len(word)]
	for i, u := range span {
		if u.r != word[i].r || u.run != word[i].run || u.inside || i > 0 && u.before {
			return Hit{}, false
		}
		if u.class != han && masked(text, u.start) {
			return Hit{}, false
		}
	}
	touches := func(a, b naiveUnit) bool { return a.class != han && a.class == b.class && !b.before }
	last := at + len(word)
	if at > 0 && touches(units[at-1], units[at]) || last < len(units) && touches(units[last-1], units[last]) {
		return Hit{}, false
	}
	return Hit{Start: units[at].start, End: units[last-1].end}, true
}
