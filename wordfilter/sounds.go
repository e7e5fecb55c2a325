package wordfilter

import (
	_ "embed"
	"encoding/binary"
	"strings"
)

// A sound is what a character sounds like: the number of a toneless syllable
// from 1, or a letter or digit. 0 is no sound.
type sound uint16

const (
	soundBits   = 9
	soundLetter = sound(460) // a; the others follow
	soundDigit  = sound(490) // 0; the others follow

	firstHan    = 0x3400
	lastHan     = 0x9FFF
	maxReadings = 2
)

//go:embed tables/sounds.bin
var soundsBin string

var (
	usual    [lastHan - firstHan + 1]sound              // the most usual reading of a character
	readings [lastHan - firstHan + 1][maxReadings]sound // that, and its other readings
	initials [1 << soundBits]sound                      // of a syllable: the letter it begins with
	syllable = loadSounds()                             // by spelling, packed by packLetter
)

func loadSounds() map[uint32]sound {
	list, table, _ := strings.Cut(soundsBin, "\n")
	syllables := make(map[uint32]sound)
	for i, s := range strings.Fields(list) {
		var packed uint32
		for _, c := range []byte(s) {
			packed = packLetter(packed, rune(c))
		}
		syllables[packed] = sound(i + 1)
		initials[i+1] = soundLetter + sound(s[0]-'a')
	}
	b := []byte(table)
	for i := range readings {
		for j := range readings[i] {
			readings[i][j] = sound(binary.LittleEndian.Uint16(b[2*(maxReadings*i+j):]))
		}
		usual[i] = readings[i][0]
	}
	return syllables
}

// maxSyllable is the number of letters of the longest syllable, zhuang.
const maxSyllable = 6

// packLetter appends a letter from a to z to a packed spelling of at most
// maxSyllable letters.
func packLetter(packed uint32, letter rune) uint32 {
	return packed<<5 | uint32(letter-'a'+1)
}

// soundOf returns the usual sound of a folded character, or 0.
func soundOf(r rune) sound {
	switch {
	case r >= firstHan && r <= lastHan:
		return usual[r-firstHan] &^ parts
	case r >= 'a' && r <= 'z':
		return soundLetter + sound(r-'a')
	case r >= '0' && r <= '9':
		return soundDigit + sound(r-'0')
	}
	return 0
}

// soundsOf returns all sounds of a folded character, the usual one first.
func soundsOf(r rune) []sound {
	if r < firstHan || r > lastHan {
		return []sound{soundOf(r)}
	}
	all := readings[r-firstHan][:]
	for i, s := range all {
		if s == 0 {
			return all[:i]
		}
	}
	return all
}
