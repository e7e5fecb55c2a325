package wordfilter

import (
	_ "embed"
	"encoding/binary"
)

//go:embed tables/splits.bin
var splitsBin string

// These mark, among the usual sounds, the characters that are the left and the
// right part of others. Most are neither, so that little is looked up.
const (
	firstPart  = sound(1 << 14)
	secondPart = firstPart << 1
)

// splits maps two characters, left<<16 | right, to the one they look like side
// by side. Few neighbours look like any: splitFilter turns most away.
var (
	splits      = loadSplits()
	splitFilter = loadSplitFilter()
)

func loadSplits() map[uint32]rune {
	b := []byte(splitsBin)
	m := make(map[uint32]rune, len(b)/6)
	for ; len(b) > 0; b = b[6:] {
		left, right := binary.LittleEndian.Uint16(b), binary.LittleEndian.Uint16(b[2:])
		markPart(rune(left), firstPart)
		markPart(rune(right), secondPart)
		m[uint32(left)<<16|uint32(right)] = rune(binary.LittleEndian.Uint16(b[4:]))
	}
	return m
}

func loadSplitFilter() filter {
	f := newFilter(len(splits))
	for parts := range splits {
		f.add(pairHash(rune(parts>>16), rune(parts&0xFFFF)))
	}
	return f
}

func markPart(r rune, part sound) {
	if r >= firstHan && r <= lastHan {
		usual[r-firstHan] |= part
	}
}

// joined returns the character that two neighbours look like, or 0.
func joined(left, right *unit) rune {
	l, r := left.char.rune(), right.char.rune()
	if !splitFilter.has(pairHash(l, r)) || right.gap != 0 || left.run > 1 || right.run > 1 || l > 0xFFFF || r > 0xFFFF {
		return 0
	}
	return splits[uint32(l)<<16|uint32(r)]
}
