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
	firstPart  = sound(1 << 15)
	secondPart = sound(1 << 14)
)

// splits maps two characters, left<<16 | right, to the one they look like side
// by side.
var splits = loadSplits()

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

func markPart(r rune, part sound) {
	if r >= firstHan && r <= lastHan {
		usual[r-firstHan] |= part
	}
}

// joined returns the character that two neighbours look like, or 0.
func joined(left, right *unit) rune {
	if right.gap != 0 || left.run > 1 || right.run > 1 {
		return 0
	}
	at := right.char.rune() - firstHan
	if at < 0 || at >= rune(len(usual)) || usual[at]&secondPart == 0 {
		return 0
	}
	return splits[uint32(left.char.rune())<<16|uint32(right.char.rune())]
}
