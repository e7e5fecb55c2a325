package wordfilter

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"strings"
	"unicode/utf8"
)

// A Level says how serious a word is. The zero value is Remind.
type Level uint8

const (
	Remind Level = iota // 提醒: let it pass and tell somebody
	Warn                // 警告: tell the sender
	Block               // 拦截: the message must not stand
)

// String returns the level's Chinese name.
func (l Level) String() string {
	switch l {
	case Remind:
		return "提醒"
	case Warn:
		return "警告"
	case Block:
		return "拦截"
	}
	return fmt.Sprintf("Level(%d)", uint8(l))
}

// A Word is one entry of a word list.
type Word struct {
	Text     string // 1 to MaxWordLen characters that leave a trace when folded
	Category string // any name, returned with hits
	Level    Level

	// Exact finds the word only as it is written, apart from width, case,
	// traditional forms and the like: nothing between its characters, no other
	// spelling.
	Exact bool

	// Embedded finds the word also where it is only part of ordinary words:
	// 黄牛 in 黄牛肉.
	Embedded bool
}

// MaxWordLen is the length of the longest word, in characters.
const MaxWordLen = 64

// ParseWords reads a word list: one word a line, # starts a comment, blank
// lines are skipped, a repeated word counts once. The words have no category
// and the lowest level. The error joins every line that cannot be a word.
func ParseWords(r io.Reader) ([]Word, error) {
	var words []Word
	var bad []error
	seen := make(map[string]bool)
	sc := bufio.NewScanner(r)
	sc.Buffer(nil, 1<<20)
	for n := 1; sc.Scan(); n++ {
		text, _, _ := strings.Cut(strings.TrimPrefix(sc.Text(), "\ufeff"), "#")
		text = strings.TrimSpace(text)
		if text == "" || seen[text] {
			continue
		}
		seen[text] = true
		if _, err := spell(text); err != nil {
			bad = append(bad, fmt.Errorf("line %d: %q %w", n, text, err))
			continue
		}
		words = append(words, Word{Text: text})
	}
	if err := sc.Err(); err != nil {
		bad = append(bad, fmt.Errorf("read words: %w", err))
	}
	return words, errors.Join(bad...)
}

// spell returns the units of a word, as texts are cut into.
func spell(word string) ([]unit, error) {
	if !utf8.ValidString(word) {
		return nil, errors.New("is not valid UTF-8")
	}
	units, _ := appendUnits(nil, word, false)
	switch {
	case len(units) == 0:
		return nil, errors.New("has no letter and no digit")
	case utf8.RuneCountInString(word) > MaxWordLen:
		return nil, fmt.Errorf("is longer than %d characters", MaxWordLen)
	}
	return units, nil
}
