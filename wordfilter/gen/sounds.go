package main

import (
	"encoding/binary"
	"slices"
	"strings"

	"github.com/mozillazg/go-pinyin"
)

// The characters that have a reading, and how many readings each keeps.
const (
	firstHan    = 0x3400
	lastHan     = 0x9FFF
	maxReadings = 2
)

// encodeSounds returns the toneless syllables of Mandarin, sorted, as one
// line of text separated by blanks; a line end; then for each character from
// firstHan to lastHan its most usual readings as maxReadings uint16, each a
// syllable's place in that line counted from 1, or 0 for none.
func encodeSounds(f *folding) []byte {
	readings := make(map[rune][]string)
	var syllables []string
	for r := rune(firstHan); r <= lastHan; r++ {
		for _, toned := range strings.Split(pinyin.PinyinDict[int(f.fold(r))], ",") {
			if s := toneless(toned); s != "" && !slices.Contains(readings[r], s) && len(readings[r]) < maxReadings {
				readings[r] = append(readings[r], s)
				syllables = append(syllables, s)
			}
		}
		if usual, ok := usualReading[r]; ok {
			rest := slices.DeleteFunc(readings[r], func(s string) bool { return s == usual })
			readings[r] = slices.Insert(rest, 0, usual)
		}
	}
	slices.Sort(syllables)
	syllables = slices.Compact(syllables)

	b := []byte(strings.Join(syllables, " ") + "\n")
	for r := rune(firstHan); r <= lastHan; r++ {
		for i := range maxReadings {
			id := 0
			if i < len(readings[r]) {
				at, _ := slices.BinarySearch(syllables, readings[r][i])
				id = at + 1
			}
			b = binary.LittleEndian.AppendUint16(b, uint16(id))
		}
	}
	return b
}

// usualReading corrects go-pinyin's order of readings where everyday Chinese
// differs.
var usualReading = map[rune]string{
	'还': "hai", '都': "dou", '了': "le", '的': "de", '得': "de", '地': "di", '着': "zhe",
	'和': "he", '没': "mei", '什': "shen", '说': "shuo", '会': "hui", '行': "xing", '长': "chang",
	'给': "gei", '车': "che", '家': "jia", '单': "dan", '卡': "ka", '乐': "le", '吗': "ma", '呢': "ne",
	'石': "shi", '扒': "ba", '区': "qu", '薄': "bao", '觉': "jue", '色': "se", '差': "cha", '大': "da",
}

// toneless returns a syllable as people type it: no tone mark, v for ü.
func toneless(s string) string {
	var b strings.Builder
	for _, r := range s {
		switch {
		case strings.ContainsRune("āáǎà", r):
			r = 'a'
		case strings.ContainsRune("ēéěè", r):
			r = 'e'
		case strings.ContainsRune("īíǐì", r):
			r = 'i'
		case strings.ContainsRune("ōóǒò", r):
			r = 'o'
		case strings.ContainsRune("ūúǔù", r):
			r = 'u'
		case strings.ContainsRune("üǖǘǚǜ", r):
			r = 'v'
		case r < 'a' || r > 'z':
			return "" // ê, ḿ and other interjections
		}
		b.WriteRune(r)
	}
	if s := b.String(); strings.ContainsAny(s, "aeiouv") {
		return s
	}
	return ""
}
