package wordfilter

import (
	"os"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	anknown "github.com/anknown/ahocorasick"
	"github.com/coregx/ahocorasick"
	"github.com/importcjj/sensitive"

	"qunbot/wordfilter"
)

// An engine is one way to scan a text, and how long it took.
type engine struct {
	name string
	scan func(string)
	ns   []int // a text, one entry a round
}

// measure has each engine take all texts in turn, round after round, and
// returns the medians of the processor time. Unlike benchmarks one after the
// other, that stands a busy machine.
func measure(t *testing.T, engines []engine, texts []string, rounds int) map[string]int {
	for range rounds {
		for i := range engines {
			e := &engines[i]
			start := cpuTime(t)
			for _, s := range texts {
				e.scan(s)
			}
			e.ns = append(e.ns, int(cpuTime(t)-start)/len(texts))
		}
	}
	medians := make(map[string]int)
	for _, e := range engines {
		slices.Sort(e.ns)
		medians[e.name] = e.ns[len(e.ns)/2]
		t.Logf("%-22s %6d ns a text, at best %6d", e.name, medians[e.name], e.ns[0])
	}
	return medians
}

// TestRatios compares all engines in one run. It runs if RATIOS is set.
func TestRatios(t *testing.T) {
	skipUnlessAsked(t)
	c := load(t)
	words := c.words[20_000]
	builder := ahocorasick.NewBuilder()
	builder.AddStrings(words)
	coregx, err := builder.Build()
	if err != nil {
		t.Fatal(err)
	}
	var runes [][]rune
	for _, w := range words {
		runes = append(runes, []rune(w))
	}
	double := new(anknown.Machine)
	if err := double.Build(runes); err != nil {
		t.Fatal(err)
	}
	importcjj := sensitive.New()
	importcjj.AddWord(words...)
	empty, err := wordfilter.New(nil, wordfilter.Options{})
	if err != nil {
		t.Fatal(err)
	}
	m := measure(t, []engine{
		{name: "no words", scan: scan(empty)},
		{name: "exact", scan: scan(ours(t, 20_000, true))},
		{name: "exact, 100k", scan: scan(ours(t, 100_000, true))},
		{name: "full, 1k", scan: scan(ours(t, 1000, false))},
		{name: "full", scan: scan(ours(t, 20_000, false))},
		{name: "full, 100k", scan: scan(ours(t, 100_000, false))},
		{name: "coregx", scan: func(s string) { coregx.FindAllOverlapping([]byte(s)) }},
		{name: "anknown", scan: func(s string) { double.MultiPatternSearch([]rune(s), false) }},
		{name: "importcjj", scan: func(s string) { importcjj.FindAll(s) }},
		{name: "importcjj, noise", scan: func(s string) { importcjj.FindIn(s) }},
	}, c.messages, 41)
	for _, r := range []struct{ what, by string }{
		{"exact", "coregx"}, {"exact", "anknown"}, {"exact", "importcjj"}, {"exact", "importcjj, noise"},
		{"exact", "no words"}, {"exact, 100k", "exact"},
		{"full", "exact"}, {"full", "coregx"}, {"full, 100k", "full"},
	} {
		t.Logf("%-12s / %-17s %.2f", r.what, r.by, float64(m[r.what])/float64(m[r.by]))
	}
}

// TestBuild measures what it takes to build matchers, and the memory that they
// keep; the tables that all matchers share are not part of it. It runs if RATIOS
// is set.
func TestBuild(t *testing.T) {
	skipUnlessAsked(t)
	base := ours(t, 20_000, false)
	var few []wordfilter.Word
	for _, w := range load(t).words[1000][:200] {
		few = append(few, wordfilter.Word{Text: w})
	}
	for _, build := range []struct {
		name string
		new  func() *wordfilter.Matcher
	}{
		{"exact, 20k", func() *wordfilter.Matcher { return ours(t, 20_000, true) }},
		{"exact, 100k", func() *wordfilter.Matcher { return ours(t, 100_000, true) }},
		{"full, 20k", func() *wordfilter.Matcher { return ours(t, 20_000, false) }},
		{"full, 100k", func() *wordfilter.Matcher { return ours(t, 100_000, false) }},
		{"200 words on top", func() *wordfilter.Matcher {
			m, err := base.Overlay(few, wordfilter.Options{})
			if err != nil {
				t.Fatal(err)
			}
			return m
		}},
	} {
		var times []time.Duration
		before := heap()
		var m *wordfilter.Matcher
		for range 7 {
			start := cpuTime(t)
			m = build.new()
			times = append(times, cpuTime(t)-start)
		}
		kept := float64(int64(heap()-before)) / (1 << 20)
		runtime.KeepAlive(m)
		slices.Sort(times)
		t.Logf("%-17s %8v, at best %8v, %6.2f MiB", build.name,
			times[len(times)/2].Round(10*time.Microsecond), times[0].Round(10*time.Microsecond), kept)
	}
	runtime.KeepAlive(base)
}

// heap returns the bytes in use.
func heap() uint64 {
	var stats runtime.MemStats
	runtime.GC()
	runtime.GC() // what the first one frees late
	runtime.ReadMemStats(&stats)
	return stats.HeapAlloc
}

// TestHostile compares texts that are made to cost time with ordinary ones of
// as many characters. It runs if RATIOS is set.
func TestHostile(t *testing.T) {
	skipUnlessAsked(t)
	const length = 200
	var words []wordfilter.Word
	for n := 2; n < 40; n++ { // 刷单, 刷单刷, 刷单刷单 … and 单刷, 单刷单 …
		words = append(words, wordfilter.Word{Text: cut("刷单", n)}, wordfilter.Word{Text: cut("单刷", n)})
	}
	for _, w := range load(t).words[20_000] {
		words = append(words, wordfilter.Word{Text: w})
	}
	m, err := wordfilter.New(words, wordfilter.Options{})
	if err != nil {
		t.Fatal(err)
	}
	clean := []rune(strings.Join(load(t).clean, "，"))
	var engines []engine
	texts := []string{"ordinary"}
	var ordinary []string
	for i := 0; i+length <= len(clean) && len(ordinary) < 500; i += length {
		ordinary = append(ordinary, string(clean[i:i+length]))
	}
	i := 0
	engines = append(engines, engine{name: "ordinary", scan: func(string) {
		for range 10 { // one ordinary text is soon read
			scan(m)(ordinary[i%len(ordinary)])
			i++
		}
	}})
	for _, piece := range []string{"刷单", "刷", "加微", "shuadan", "xian", "a", "马扁力口", "王8", "8", "👨‍👩‍👧", "[", "+v", "刷 ", "刷*", "a.b@", "的是"} {
		text := cut(piece, length)
		texts = append(texts, piece)
		engines = append(engines, engine{name: piece, scan: func(string) { scan(m)(text) }})
	}
	medians := measure(t, engines, make([]string, 20), 21)
	for _, name := range texts[1:] {
		t.Logf("%-8s %5.1f times the time of an ordinary text", name, float64(medians[name])/float64(medians["ordinary"]/10))
	}
}

// cut returns the first n characters of piece repeated.
func cut(piece string, n int) string {
	return string([]rune(strings.Repeat(piece, n))[:n])
}

func scan(m *wordfilter.Matcher) func(string) {
	var hits []wordfilter.Hit
	return func(s string) { hits = m.Scan(s, hits[:0]) }
}

func skipUnlessAsked(t *testing.T) {
	if os.Getenv("RATIOS") == "" {
		t.Skip("RATIOS is not set")
	}
}

// cpuTime returns the processor time this process has used.
func cpuTime(t *testing.T) time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		t.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
