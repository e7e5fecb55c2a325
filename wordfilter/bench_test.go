package wordfilter

import "testing"

// Comparisons with other libraries and larger lists are in bench/wordfilter.

// BenchmarkUnits measures the pass over the bytes alone.
func BenchmarkUnits(b *testing.B) {
	var units []unit
	for b.Loop() {
		units, _ = appendUnits(units[:0], benchText, false)
	}
}

func BenchmarkScanClean(b *testing.B) {
	m := baseMatcher(b)
	b.ReportAllocs()
	for b.Loop() {
		m.Scan(benchText, nil)
	}
}

func BenchmarkScanHit(b *testing.B) {
	m := baseMatcher(b)
	var hits []Hit
	b.ReportAllocs()
	for b.Loop() {
		hits = m.Scan("白CHI才信，"+benchText, hits[:0])
	}
}

// BenchmarkScanHostile is to be compared with the same number of ordinary
// characters: BenchmarkScanClean has about 50.
func BenchmarkScanHostile(b *testing.B) {
	m := matcher(b, Options{}, hostileWords()...)
	for name, text := range hostile {
		b.Run(name, func(b *testing.B) {
			var hits []Hit
			for b.Loop() {
				hits = m.Scan(text, hits[:0])
			}
		})
	}
}

func BenchmarkNew(b *testing.B) {
	words := []Word{{Text: "刷单"}, {Text: "加微信"}}
	b.ReportAllocs()
	for b.Loop() {
		if _, err := New(words, Options{}); err != nil {
			b.Fatal(err)
		}
	}
}

const benchText = "周末商场有亲子活动吗？孩子想去三楼的游乐园玩，请问会员积分可以换门票吗，谢谢😊 大概几点开门，停车要收费吗"
