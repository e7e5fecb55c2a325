package wordfilter

import (
	"runtime"
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

// benchmarkBuild measures building, and reports the memory that a matcher
// keeps, in MiB; the tables that all matchers share are not part of it.
func benchmarkBuild(b *testing.B, build func() *wordfilter.Matcher) {
	before := heap()
	var m *wordfilter.Matcher
	for b.Loop() {
		m = build()
	}
	b.ReportMetric(float64(int64(heap()-before))/(1<<20), "MiB")
	runtime.KeepAlive(m)
}

// heap returns the bytes in use.
func heap() uint64 {
	var stats runtime.MemStats
	runtime.GC()
	runtime.GC() // what the first one frees late
	runtime.ReadMemStats(&stats)
	return stats.HeapAlloc
}

func benchmarkNew(b *testing.B, size int, exact bool) {
	load(b)
	benchmarkBuild(b, func() *wordfilter.Matcher { return ours(b, size, exact) })
}

func BenchmarkBuildExact20k(b *testing.B)  { benchmarkNew(b, 20_000, true) }
func BenchmarkBuildExact100k(b *testing.B) { benchmarkNew(b, 100_000, true) }
func BenchmarkBuildFull20k(b *testing.B)   { benchmarkNew(b, 20_000, false) }
func BenchmarkBuildFull100k(b *testing.B)  { benchmarkNew(b, 100_000, false) }

// BenchmarkOverlay builds 200 words on top of 20,000.
func BenchmarkOverlay(b *testing.B) {
	base := ours(b, 20_000, false)
	var words []wordfilter.Word
	for _, w := range load(b).words[1000][:200] {
		words = append(words, wordfilter.Word{Text: w})
	}
	benchmarkBuild(b, func() *wordfilter.Matcher {
		m, err := base.Overlay(words, wordfilter.Options{})
		if err != nil {
			b.Fatal(err)
		}
		return m
	})
	runtime.KeepAlive(base)
}
