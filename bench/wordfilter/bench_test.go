package wordfilter

import (
	"sync"
	"testing"

	"qunbot/wordfilter"
)

var shared = sync.OnceValues(func() (corpus, error) { return newCorpus(1000, 20_000, 100_000) })

func load(tb testing.TB) corpus {
	tb.Helper()
	c, err := shared()
	if err != nil {
		tb.Fatal(err)
	}
	return c
}

// ours returns a matcher of the first size words.
func ours(tb testing.TB, size int, exact bool) *wordfilter.Matcher {
	tb.Helper()
	var words []wordfilter.Word
	for _, w := range load(tb).words[size] {
		words = append(words, wordfilter.Word{Text: w, Exact: exact})
	}
	m, err := wordfilter.New(words, wordfilter.Options{})
	if err != nil {
		tb.Fatal(err)
	}
	return m
}

// perMessage runs scan on one message after the other.
func perMessage(b *testing.B, messages []string, scan func(string)) {
	b.ReportAllocs()
	i := 0
	for b.Loop() {
		scan(messages[i])
		if i++; i == len(messages) {
			i = 0
		}
	}
}

func benchmarkScan(b *testing.B, size int, exact bool) {
	m := ours(b, size, exact)
	var hits []wordfilter.Hit
	perMessage(b, load(b).messages, func(s string) { hits = m.Scan(s, hits[:0]) })
}

func BenchmarkExact1k(b *testing.B)   { benchmarkScan(b, 1000, true) }
func BenchmarkExact20k(b *testing.B)  { benchmarkScan(b, 20_000, true) }
func BenchmarkExact100k(b *testing.B) { benchmarkScan(b, 100_000, true) }
func BenchmarkFull1k(b *testing.B)    { benchmarkScan(b, 1000, false) }
func BenchmarkFull20k(b *testing.B)   { benchmarkScan(b, 20_000, false) }
func BenchmarkFull100k(b *testing.B)  { benchmarkScan(b, 100_000, false) }
