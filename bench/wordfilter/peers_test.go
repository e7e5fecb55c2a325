package wordfilter

import (
	"testing"
	"unicode/utf8"

	anknown "github.com/anknown/ahocorasick"
	"github.com/coregx/ahocorasick"
	"github.com/importcjj/sensitive"
)

// The peers match raw bytes or characters: no folding, nothing skipped, no
// judgement. Ours does all of it.

func BenchmarkPeerCoregx20k(b *testing.B) {
	builder := ahocorasick.NewBuilder()
	builder.AddStrings(load(b).words[20_000])
	a, err := builder.Build()
	if err != nil {
		b.Fatal(err)
	}
	perMessage(b, load(b).messages, func(s string) { a.FindAllOverlapping([]byte(s)) })
}

func BenchmarkPeerAnknown20k(b *testing.B) {
	var words [][]rune
	for _, w := range load(b).words[20_000] {
		words = append(words, []rune(w))
	}
	m := new(anknown.Machine)
	if err := m.Build(words); err != nil {
		b.Fatal(err)
	}
	perMessage(b, load(b).messages, func(s string) { m.MultiPatternSearch([]rune(s), false) })
}

func BenchmarkPeerImportcjj20k(b *testing.B) {
	f := sensitive.New()
	f.AddWord(load(b).words[20_000]...)
	perMessage(b, load(b).messages, func(s string) { f.FindAll(s) })
}

func BenchmarkPeerImportcjjNoise20k(b *testing.B) {
	f := sensitive.New()
	f.AddWord(load(b).words[20_000]...)
	perMessage(b, load(b).messages, func(s string) { f.FindIn(s) })
}

// BenchmarkFloorUTF8 is what only looking at the bytes costs.
func BenchmarkFloorUTF8(b *testing.B) {
	perMessage(b, load(b).messages, func(s string) { utf8.ValidString(s) })
}

// BenchmarkFloorRunes is what decoding costs.
func BenchmarkFloorRunes(b *testing.B) {
	var sum rune
	perMessage(b, load(b).messages, func(s string) {
		for _, r := range s {
			sum += r
		}
	})
	_ = sum
}
