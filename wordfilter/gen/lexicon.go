package main

import (
	"bufio"
	"cmp"
	"encoding/binary"
	"fmt"
	"maps"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"
)

const (
	minCount    = 10 // occurrences in gse's corpus below which a word is left out
	maxWord     = 6  // characters of the longest word kept
	corpus      = 57_622_195
	slots       = 1 << 18
	hashPrime   = 16777619 // FNV-1a, over characters instead of bytes
	hashOffset  = 2166136261
	ordinary    = 3000 // occurrences credited to a word of ordinary.txt
	insideShare = 40   // a single character is credited 1/insideShare of its occurrences inside words
)

// readLexicon returns how often each common word occurs: gse's dictionary
// (jieba's, from news and books) and ours, of what people say in a mall's
// chat.
func readLexicon(f *folding, ours string) (map[string]int, error) {
	words := make(map[string]int)
	dir, err := moduleDir("github.com/go-ego/gse")
	if err != nil {
		return nil, err
	}
	file, err := os.Open(filepath.Join(dir, "data/dict/zh/s_1.txt"))
	if err != nil {
		return nil, err
	}
	defer file.Close()
	inside := make(map[rune]int)
	for sc := bufio.NewScanner(file); sc.Scan(); {
		fields := strings.Fields(sc.Text())
		if len(fields) < 2 {
			continue
		}
		n, err := strconv.Atoi(fields[1])
		if err != nil {
			continue // a word with a blank in it
		}
		rs := f.foldWord(fields[0])
		for _, r := range rs {
			inside[r] += n
		}
		if n >= minCount && len(rs) <= maxWord {
			words[string(rs)] += n
		}
	}
	for r, n := range inside {
		words[string(r)] = max(words[string(r)], n/insideShare)
	}
	b, err := os.ReadFile(ours)
	if err != nil {
		return nil, err
	}
	for line := range strings.Lines(string(b)) {
		line, _, _ = strings.Cut(line, "#")
		for _, w := range strings.Fields(line) {
			rs := f.foldWord(w)
			if len(rs) > maxWord {
				return nil, fmt.Errorf("%s: %s is longer than %d characters", ours, w, maxWord)
			}
			words[string(rs)] = max(words[string(rs)], ordinary)
		}
	}
	return words, nil
}

// cost returns -log2 of a word's share of the corpus. The corpus is news and
// books, where much that people chat about is rare; so what makes a word of
// several characters cost more than everyday bits counts half.
func cost(word string, count int) float64 {
	const everyday = 13
	bits := -math.Log2(float64(count) / corpus)
	if bits > everyday && utf8.RuneCountInString(word) > 1 {
		bits = everyday + (bits-everyday)/2
	}
	return bits
}

// noWord is the cost of what only begins words.
const noWord = 255.0 / 8

func eighths(bits float64) byte { return byte(max(1, min(math.Round(bits*8), 255))) }

// encodeChars returns the cost of each character from firstHan to lastHan as a
// word of its own, in eighths of a bit, as one byte.
func encodeChars(words map[string]int) []byte {
	b := make([]byte, 0, lastHan-firstHan+1)
	for r := rune(firstHan); r <= lastHan; r++ {
		bits := 20.0 // of a character that no word has
		if n := words[string(r)]; n > 0 {
			bits = cost(string(r), n)
		}
		b = append(b, eighths(bits))
	}
	return b
}

// encodeLexicon returns an open-addressed hash table of uint32 slots: the
// upper 24 bits of each are the word's check bits, the lower 8 its cost, which
// is -log2 of its share of the corpus in eighths of a bit. A cost of 255 is that
// of a prefix which is no word. An empty slot is 0.
func encodeLexicon(words map[string]int) []byte {
	costs := make(map[string]float64)
	for w, n := range words {
		rs := []rune(w)
		if n == 0 || len(rs) < 2 {
			continue
		}
		costs[w] = cost(w, n)
		for i := 2; i < len(rs); i++ {
			if prefix := string(rs[:i]); words[prefix] == 0 {
				costs[prefix] = noWord
			}
		}
	}
	list := slices.Collect(maps.Keys(costs))
	slices.SortFunc(list, func(a, b string) int { return cmp.Or(words[b]-words[a], cmp.Compare(a, b)) }) // common ones first
	table := make([]uint32, slots)
	for _, w := range list {
		h := uint32(hashOffset)
		for _, r := range w {
			h = (h ^ uint32(r)) * hashPrime
		}
		entry := mix(h)&^0xFF | uint32(eighths(costs[w]))
		at := h >> 14 % slots
		for table[at] != 0 {
			at = (at + 1) % slots
		}
		table[at] = entry
	}
	b := make([]byte, 0, slots*4)
	for _, e := range table {
		b = binary.LittleEndian.AppendUint32(b, e)
	}
	fmt.Printf("lexicon: %d words\n", len(list))
	return b
}

// mix spreads the hash again, so that check bits and slot differ.
func mix(h uint32) uint32 {
	h ^= h >> 16
	h *= 0x85EBCA6B
	h ^= h >> 13
	h *= 0xC2B2AE35
	return h ^ h>>16
}
