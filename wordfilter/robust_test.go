package wordfilter

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"unicode/utf8"
)

// hostile are texts that people might send to break a filter, some 200
// characters each.
var hostile = map[string]string{
	"one character":   strings.Repeat("刷", 200),
	"period of two":   strings.Repeat("刷单", 100),
	"nearly a word":   strings.Repeat("加微", 100),
	"syllables":       strings.Repeat("shuadan", 30),
	"one letter":      strings.Repeat("a", 200),
	"ambiguous":       strings.Repeat("xian", 50),
	"parts":           strings.Repeat("马扁力口", 50),
	"digits":          strings.Repeat("8", 200),
	"digits apart":    strings.Repeat("王8", 100),
	"emoji":           strings.Repeat("👨‍👩‍👧", 40),
	"open brackets":   strings.Repeat("[", 200),
	"joiners":         strings.Repeat("\u200d", 200),
	"combining marks": "刷" + strings.Repeat("\u0301", 200) + "单",
	"plus signs":      strings.Repeat("+v", 100),
	"blanks":          strings.Repeat("刷 ", 100),
	"points":          strings.Repeat("a.b@", 50),
	"invalid bytes":   strings.Repeat("\xe5\x88", 100),
	"half a rune":     "刷单\xe5\x88",
}

// hostileWords are words that such texts nearly spell.
func hostileWords() []string {
	words := []string{"刷", "刷单", "加微信", "骗子", "王八蛋", "西安", "限", strings.Repeat("刷单", 30), strings.Repeat("西安", 30), strings.Repeat("王八", 30)}
	for n := 3; n < 20; n++ {
		words = append(words, strings.Repeat("单刷", n)[:3*n])
	}
	return words
}

func TestHostileTexts(t *testing.T) {
	m := matcher(t, Options{}, hostileWords()...)
	for name, text := range hostile {
		t.Run(name, func(t *testing.T) {
			checkHits(t, text, m.Scan(text, nil))
			long := strings.Repeat(text, 500)
			checkHits(t, long, m.Scan(long, nil))
		})
	}
}

// checkHits checks what holds for all hits: they lie in the text, begin and
// end with characters, and are sorted.
func checkHits(t *testing.T, text string, hits []Hit) {
	t.Helper()
	valid := utf8.ValidString(text)
	for i, h := range hits {
		if h.Start < 0 || h.Start >= h.End || h.End > len(text) {
			t.Fatalf("hit %+v lies outside the text of %d bytes", h, len(text))
		}
		if valid && !utf8.RuneStart(text[h.Start]) || h.End < len(text) && valid && !utf8.RuneStart(text[h.End]) {
			t.Fatalf("hit %+v cuts a character", h)
		}
		if i > 0 && hits[i-1].Start > h.Start {
			t.Fatalf("hits %+v and %+v are not sorted", hits[i-1], h)
		}
	}
}

func TestManyWords(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	seen := make(map[string]bool)
	var words []Word
	for len(words) < 100_000 {
		var b strings.Builder
		for range 3 + rng.IntN(4) {
			b.WriteRune(0x4E00 + rng.Int32N(3000))
		}
		if s := b.String(); !seen[s] {
			seen[s] = true
			words = append(words, Word{Text: s, Embedded: true})
		}
	}
	m, err := New(words, Options{})
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; i < len(words); i += 997 {
		text := fmt.Sprint("看看", words[i].Text, "吧")
		if !strings.Contains(found(m, text), words[i].Text+"=") {
			t.Errorf("Scan(%q) did not find %s", text, words[i].Text)
		}
	}
}

func TestLongText(t *testing.T) {
	m := matcher(t, Options{}, "刷单")
	text := strings.Repeat("今天天气不错，", 50_000) + "刷单"
	hits := m.Scan(text, nil)
	if len(hits) != 1 || hits[0].End != len(text) {
		t.Errorf("Scan of %d bytes = %+v, want the word at the end", len(text), hits)
	}
}

func TestScanDoesNotAllocate(t *testing.T) {
	if raceEnabled {
		t.Skip("the race detector makes sync.Pool forget")
	}
	m := baseMatcher(t)
	var hits []Hit
	texts := []string{"明天几点开门", "V领T恤打折，https://example.com 👍🏻", "白CHI才信，加vx"}
	for _, text := range texts {
		hits = m.Scan(text, hits[:0])
		if n := testing.AllocsPerRun(100, func() { hits = m.Scan(text, hits[:0]) }); n >= 1 {
			t.Errorf("Scan(%q) allocates %v times", text, n)
		}
	}
}
