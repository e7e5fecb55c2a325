package main

import (
	"cmp"
	"encoding/binary"
	"fmt"
	"os"
	"slices"
	"strings"
)

// A split says that left and right, side by side, look like whole: 马扁 is 骗.
type split struct{ left, right, whole rune }

// readSplits reads lines of three characters: whole, left, right. Radicals
// may also be typed as the characters they come from: 人弋 for 亻弋. The parts
// are folded as texts are.
func readSplits(f *folding, path string) ([]split, error) {
	b, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	forms := map[rune]string{
		'亻': "人", '讠': "言", '钅': "金", '氵': "水", '扌': "手", '忄': "心", '刂': "刀", '纟': "丝",
		'⺮': "竹", '𧾷': "足", '疒': "病", '罒': "四", '饣': "食", '礻': "示", '衤': "衣", '犭': "犬", '艹': "草", '辶': "走", '覀': "西", '攵': "文", '灬': "火",
	}
	var splits []split
	for line := range strings.Lines(string(b)) {
		if strings.HasPrefix(line, "#") || strings.TrimSpace(line) == "" {
			continue
		}
		rs := []rune(strings.TrimSpace(line))
		if len(rs) != 3 {
			return nil, fmt.Errorf("%s: %q is not a character and its two parts", path, line)
		}
		for _, l := range append([]rune(forms[rs[1]]), rs[1]) {
			for _, r := range append([]rune(forms[rs[2]]), rs[2]) {
				splits = append(splits, split{f.fold(l), f.fold(r), rs[0]})
			}
		}
	}
	slices.SortFunc(splits, func(a, b split) int {
		return cmp.Or(cmp.Compare(a.left, b.left), cmp.Compare(a.right, b.right), cmp.Compare(a.whole, b.whole))
	})
	return slices.CompactFunc(splits, func(a, b split) bool { return a.left == b.left && a.right == b.right }), nil
}

// encodeSplits returns the pairs as three uint16 each: left, right, whole.
// Characters beyond U+FFFF are left out.
func encodeSplits(splits []split) []byte {
	var b []byte
	for _, s := range splits {
		if max(s.left, s.right, s.whole) > 0xFFFF {
			continue
		}
		for _, r := range []rune{s.left, s.right, s.whole} {
			b = binary.LittleEndian.AppendUint16(b, uint16(r))
		}
	}
	return b
}
