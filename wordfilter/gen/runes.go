package main

import (
	"encoding/binary"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"unicode"

	"golang.org/x/text/unicode/norm"
)

// What a character is to the filter. The order is shared with runes.go of
// package wordfilter.
const (
	classDrop   = iota // leaves no trace: zero-width, combining, variation selectors
	classSymbol        // may be skipped inside a word: emoji, * . _ - / …
	classBlank         // may be skipped if the word is spaced out
	classBreak         // ends a clause: 。！？；，、 and line ends
	classDigit
	classLatin
	classHan // every other letter, Chinese or not
)

// An entry is one uint32: in bits 0–20 what to add to the rune to fold it,
// modulo 2^21; in bits 21–23 the class. A difference, not the
// folded rune itself, so that blocks without changes are all alike.
const (
	classShift = 21
	deltaMask  = 1<<classShift - 1
)

const blockSize = 64

type folding struct {
	entries []uint32 // by rune, up to unicode.MaxRune
}

func newFolding() (*folding, error) {
	simplified, err := readSimplified()
	if err != nil {
		return nil, err
	}
	f := &folding{entries: make([]uint32, unicode.MaxRune+1)}
	for r := rune(0); r <= unicode.MaxRune; r++ {
		folded := fold(r, simplified)
		f.entries[r] = uint32(folded-r)&deltaMask | uint32(classOf(r, folded))<<classShift
	}
	return f, nil
}

func (f *folding) fold(r rune) rune { return rune((uint32(r) + f.entries[r]) & deltaMask) }

func (f *folding) class(r rune) int { return int(f.entries[r] >> classShift & 7) }

// foldWord returns s with every character folded and the dropped ones gone.
func (f *folding) foldWord(s string) []rune {
	var rs []rune
	for _, r := range s {
		if f.class(r) != classDrop {
			rs = append(rs, f.fold(r))
		}
	}
	return rs
}

// fold returns the one character that stands for r in words and texts:
// compatibility forms, width, case, accents, traditional forms, look-alikes.
func fold(r rune, simplified map[rune]rune) rune {
	if r >= 0xAC00 && r <= 0xD7A3 { // Hangul syllables would fall apart
		return r
	}
	if base, ok := lookalikes[r]; ok {
		return base
	}
	r = compatible(r)
	r = unicode.ToLower(r)
	if base, ok := lookalikes[r]; ok {
		r = base
	}
	if s, ok := simplified[r]; ok {
		r = s
	}
	if base, ok := lookalikes[r]; ok {
		r = base
	}
	return r
}

// compatible returns the character that NFKC makes of r, without brackets,
// points and accents: ㈢ is 三, ⒈ is 1, é is e. A character that becomes
// several, as ㎏ does, stays what it is.
func compatible(r rune) rune {
	switch {
	case r >= 0x1F150 && r <= 0x1F169: // 🅐
		return 'a' + r - 0x1F150
	case r >= 0x1F170 && r <= 0x1F189: // 🅰
		return 'a' + r - 0x1F170
	case r == '⑩' || r == '⑽' || r == '⒑' || r == '➉' || r == '❿':
		return '十'
	case r >= '❶' && r <= '❾':
		return '1' + r - '❶'
	case r >= '➀' && r <= '➈':
		return '1' + r - '➀'
	case r >= '➊' && r <= '➒':
		return '1' + r - '➊'
	}
	folded := norm.NFKC.String(string(r))
	if one := []rune(folded); len(one) == 1 && one[0] > 0x24F {
		return one[0]
	}
	var kept []rune
	for _, c := range norm.NFKD.String(string(r)) {
		if unicode.IsLetter(c) || unicode.IsDigit(c) {
			kept = append(kept, c)
		}
	}
	if len(kept) == 1 {
		return kept[0]
	}
	if one := []rune(folded); len(one) == 1 {
		return one[0]
	}
	return r
}

// breaks are the marks that end a clause, in their folded forms.
const breaks = "。！？；，、：!?;,:\n\r\v\f\u0085\u2028\u2029｡､"

// strokes are characters that people put between others as they do marks:
// 刷丶单. They mean nothing by themselves.
const strokes = "丶丨丿亅乀乁乛"

func classOf(r, folded rune) int {
	switch {
	case strings.ContainsRune(strokes, r):
		return classSymbol
	case r == 0xFFFD: // also what invalid bytes decode to
		return classSymbol
	case strings.ContainsRune(breaks, folded):
		return classBreak
	case r == '\t' || unicode.Is(unicode.Zs, r):
		return classBlank
	case unicode.In(r, unicode.Mn, unicode.Me, unicode.Mc, unicode.Cf, unicode.Cc, unicode.Cs),
		r >= 0x1F3FB && r <= 0x1F3FF, // skin tones
		r == 0x3164 || r == 0x115F || r == 0x1160 || r == 0xFFA0 || r == 0x2800: // look empty
		return classDrop
	case folded >= '0' && folded <= '9':
		return classDigit
	case folded >= 'a' && folded <= 'z':
		return classLatin
	case unicode.IsLetter(folded) || unicode.IsDigit(folded) || unicode.Is(unicode.Nl, folded) ||
		folded >= 0x2E80 && folded <= 0x2FDF: // radicals
		return classHan
	}
	return classSymbol
}

// readSimplified returns opencc's traditional to simplified characters.
func readSimplified() (map[rune]rune, error) {
	dir, err := moduleDir("github.com/longbridgeapp/opencc")
	if err != nil {
		return nil, err
	}
	b, err := os.ReadFile(filepath.Join(dir, "dictionary", "TSCharacters.txt"))
	if err != nil {
		return nil, err
	}
	m := make(map[rune]rune)
	for line := range strings.Lines(string(b)) {
		fields := strings.Fields(line)
		if len(fields) < 2 || strings.HasPrefix(line, "#") {
			continue
		}
		from, to := []rune(fields[0]), []rune(fields[1])
		if len(from) != 1 || len(to) != 1 {
			return nil, fmt.Errorf("opencc: %q does not map one character to one", line)
		}
		m[from[0]] = to[0]
	}
	return m, nil
}

// moduleDir returns the folder that holds a module's source.
func moduleDir(path string) (string, error) {
	out, err := exec.Command("go", "list", "-m", "-f", "{{.Dir}}", path).Output()
	if err != nil {
		return "", fmt.Errorf("find module %s: %w", path, err)
	}
	return strings.TrimSpace(string(out)), nil
}

// encode returns the page index followed by the distinct blocks: one uint16
// for every blockSize runes, and blocks of blockSize uint32 entries.
func (f *folding) encode() []byte {
	var index, blocks []byte
	seen := make(map[string]uint16)
	for at := 0; at < len(f.entries); at += blockSize {
		var block []byte
		for _, e := range f.entries[at : at+blockSize] {
			block = binary.LittleEndian.AppendUint32(block, e)
		}
		n, ok := seen[string(block)]
		if !ok {
			n = uint16(len(seen))
			seen[string(block)] = n
			blocks = append(blocks, block...)
		}
		index = binary.LittleEndian.AppendUint16(index, n)
	}
	return append(index, blocks...)
}
