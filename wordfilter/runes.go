package wordfilter

import (
	_ "embed"
	"encoding/binary"
	"unicode"
)

// A class says what a character is to the filter. The order is that of
// gen/runes.go.
type class uint8

const (
	drop   class = iota // leaves no trace: zero-width, combining, variation selectors
	symbol              // may be skipped inside a word: emoji, * . _ - / …
	blank               // may be skipped if the word is spaced out
	pause               // ends a clause: 。！？；，、 brackets and line ends
	digit
	latin
	han // every other letter, Chinese or not
)

// A char is a character as the filter sees it: folded, and with its class. The
// layout is that of gen/runes.go: the rune in bits 0–20, the class in bits
// 21–23.
type char uint32

const (
	runeMask   = 1<<classShift - 1
	classShift = 21
)

func (c char) rune() rune { return rune(c & runeMask) }

func (c char) class() class { return class(c >> classShift) }

// A trait is the generated entry of a character: its char, with what to add to
// the character, modulo 1<<classShift, in place of the rune.
type trait uint32

// charOf returns the char of r, whose trait t is.
func (t trait) charOf(r rune) char {
	return char((uint32(r)+uint32(t))&runeMask | uint32(t)&^runeMask)
}

func (t trait) class() class { return class(t >> classShift) }

const (
	blockBits = 6
	blockSize = 1 << blockBits
	numBlocks = (unicode.MaxRune + 1) / blockSize
)

//go:embed tables/runes.bin
var runesBin string

var (
	blockOf [numBlocks]uint16 // by rune / blockSize, the block in traits
	traits  = loadTraits()
	ascii   = loadASCII()
	asIs    = loadAsIs()
)

// isAsIs reports whether r is a Chinese character that folds to itself, as
// nearly all of them do. It spares them the larger table.
func isAsIs(r rune) bool {
	at := uint32(r - firstHan)
	return at <= lastHan-firstHan && asIs[at/64]>>(at%64)&1 != 0
}

func loadAsIs() (set [(lastHan-firstHan)/64 + 1]uint64) {
	for r := rune(firstHan); r <= lastHan; r++ {
		if traitOf(r) == trait(han)<<classShift {
			set[(r-firstHan)/64] |= 1 << ((r - firstHan) % 64)
		}
	}
	return set
}

func loadTraits() [][blockSize]trait {
	b := []byte(runesBin)
	for i := range blockOf {
		blockOf[i] = binary.LittleEndian.Uint16(b[2*i:])
	}
	b = b[2*numBlocks:]
	blocks := make([][blockSize]trait, len(b)/(4*blockSize))
	for i := range blocks {
		for j := range blocks[i] {
			blocks[i][j] = trait(binary.LittleEndian.Uint32(b[4*(i*blockSize+j):]))
		}
	}
	return blocks
}

func loadASCII() (table [128]trait) {
	copy(table[:blockSize], traits[blockOf[0]][:])
	copy(table[blockSize:], traits[blockOf[1]][:])
	return table
}

// traitOf returns the trait of r, which is at most unicode.MaxRune.
func traitOf(r rune) trait { return traits[blockOf[r>>blockBits]][r&(blockSize-1)] }
