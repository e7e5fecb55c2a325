package wordfilter

import (
	"os"
	"slices"
	"syscall"
	"testing"
	"time"

	anknown "github.com/anknown/ahocorasick"
	"github.com/coregx/ahocorasick"
	"github.com/importcjj/sensitive"

	"qunbot/wordfilter"
)

// TestRatios compares all engines at 20,000 words in one run: each takes the
// 4,000 messages in turn, 15 times over, and the medians of the processor time
// are compared. Unlike benchmarks one after the other, that stands a busy
// machine. It runs if RATIOS is set.
func TestRatios(t *testing.T) {
	if os.Getenv("RATIOS") == "" {
		t.Skip("RATIOS is not set")
	}
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
	exact, full := ours(t, 20_000, true), ours(t, 20_000, false)
	exact100, full1 := ours(t, 100_000, true), ours(t, 1000, false)
	var hits []wordfilter.Hit
	engines := []struct {
		name string
		scan func(string)
		ns   []int
	}{
		{name: "ours, exact", scan: func(s string) { hits = exact.Scan(s, hits[:0]) }},
		{name: "ours, exact, 100k", scan: func(s string) { hits = exact100.Scan(s, hits[:0]) }},
		{name: "ours, full, 1k", scan: func(s string) { hits = full1.Scan(s, hits[:0]) }},
		{name: "ours, full", scan: func(s string) { hits = full.Scan(s, hits[:0]) }},
		{name: "coregx", scan: func(s string) { coregx.FindAllOverlapping([]byte(s)) }},
		{name: "anknown", scan: func(s string) { double.MultiPatternSearch([]rune(s), false) }},
		{name: "importcjj", scan: func(s string) { importcjj.FindAll(s) }},
		{name: "importcjj, noise", scan: func(s string) { importcjj.FindIn(s) }},
	}
	for range 15 {
		for i := range engines {
			e := &engines[i]
			start := cpuTime(t)
			for _, s := range c.messages {
				e.scan(s)
			}
			e.ns = append(e.ns, int(cpuTime(t)-start)/len(c.messages))
		}
	}
	var first int
	for _, e := range engines {
		slices.Sort(e.ns)
		median := e.ns[len(e.ns)/2]
		if first == 0 {
			first = median
		}
		t.Logf("%-18s %6d ns a message; ours, exact takes %.2f of it", e.name, median, float64(first)/float64(median))
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
