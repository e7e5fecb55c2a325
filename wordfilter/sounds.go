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
	soundMask   = sound(1<<soundBits - 1)
	soundLetter = sound(460) // a; the others follow
	soundDigit  = sound(490) // 0; the others follow

	firstHan    = 0x3400
	lastHan     = 0x9FFF
	maxReadings = 2
)

// heteronyms are the characters that are read in two ways by everybody; one of
// them may stand for a character of its less usual sound, as 长 for 涨. Other
// characters have second readings, too, but people do not think of them.
const heteronyms = "长重行乐弹传藏降曾参率校削省识吓模露泊堡秘仇盖熟刹厦粘炮剥茄伽夹查贾强塞折爪薄调朝"

// heteronym marks them among the usual sounds.
const heteronym = sound(1 << 13)

//go:embed tables/sounds.bin
var soundsBin string

var (
	usual     [lastHan - firstHan + 1]sound              // the most usual reading of a character
	readings  [lastHan - firstHan + 1][maxReadings]sound // that, and its other readings
	initials  [1 << soundBits]sound                      // of a syllable: the letter it begins with
	syllables = loadSounds()                             // by spelling
)

// A letters is a node in the trie of syllables' spellings; 0 is the root.
type letters struct {
	next  ['z' - 'a' + 1]uint16 // 0 if there is none
	sound sound                 // of the syllable that ends here, or 0
}

func loadSounds() []letters {
	list, table, _ := strings.Cut(soundsBin, "\n")
	trie := make([]letters, 1)
	for i, s := range strings.Fields(list) {
		node := uint16(0)
		for _, c := range []byte(s) {
			if trie[node].next[c-'a'] == 0 {
				trie[node].next[c-'a'] = uint16(len(trie))
				trie = append(trie, letters{})
			}
			node = trie[node].next[c-'a']
		}
		trie[node].sound = sound(i + 1)
		initials[i+1] = soundLetter + sound(s[0]-'a')
	}
	b := []byte(table)
	for i := range readings {
		for j := range readings[i] {
			readings[i][j] = sound(binary.LittleEndian.Uint16(b[2*(maxReadings*i+j):]))
		}
		usual[i] = readings[i][0]
	}
	for _, r := range heteronyms {
		usual[r-firstHan] |= heteronym
	}
	return trie
}

// soundOf returns the usual sound of a folded character, or 0.
func soundOf(r rune) sound {
	switch {
	case r >= firstHan && r <= lastHan:
		return usual[r-firstHan] & soundMask
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
