package service

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"qunbot/store"
)

// Limits of what operators write. Those of the menu are the platform's: ten
// items, of which one is 转人工.
//
// Source: https://developer.work.weixin.qq.com/document/path/94677
const (
	maxHours    = 60  // characters
	maxMenu     = 9   // words
	maxWord     = 128 // bytes
	maxLabel    = 40  // characters
	maxPosters  = 200
	handOver    = "转人工" // always in the menu
	recentDays  = 30    // of the counts, today included; the pages say so
	newCodeSize = 6
)

// menuOf reads the words of a menu, one a line.
func menuOf(text string) ([]string, error) {
	words := []string{}
	for i, line := range strings.Split(text, "\n") {
		word := strings.TrimSpace(line)
		switch {
		case word == "" || word == handOver:
		case len(word) > maxWord:
			return nil, fmt.Errorf("第 %d 行太长：最多 %d 字节（约 %d 个汉字），现在有 %d 字节。", i+1, maxWord, maxWord/3, len(word))
		case !utf8.ValidString(word) || strings.ContainsFunc(word, unicode.IsControl):
			return nil, fmt.Errorf("第 %d 行里有看不见的字符，请重新输入。", i+1)
		case slices.Contains(words, word):
			return nil, fmt.Errorf("第 %d 行的“%s”写了两次。", i+1, word)
		default:
			words = append(words, word)
		}
	}
	if len(words) > maxMenu {
		return nil, fmt.Errorf("最多 %d 行，现在有 %d 行；“%s”总会加在最后，不用写。", maxMenu, len(words), handOver)
	}
	return words, nil
}

// checkHours says what is wrong with the service's hours, or nil.
func checkHours(text string) error {
	switch n := utf8.RuneCountInString(text); {
	case n > maxHours:
		return fmt.Errorf("最多 %d 个字，现在有 %d 个。", maxHours, n)
	case !utf8.ValidString(text) || strings.ContainsFunc(text, unicode.IsControl):
		return errors.New("要写在一行里，不能有看不见的字符。")
	}
	return nil
}

// posterCode is what the code of a poster looks like: links carry it.
var posterCode = regexp.MustCompile(`^[0-9A-Za-z_-]{1,32}$`)

// newCode returns a code that nobody has, but by chance: one of 32⁶.
func newCode() string { return strings.ToLower(rand.Text()[:newCodeSize]) }

// touchOf returns where a member came from, and whether that is known.
func touchOf(ctx context.Context, tx *store.Tx, member int64) (store.KFTouch, bool, error) {
	touch, err := tx.KFTouchOf(ctx, member)
	if errors.Is(err, store.ErrNotFound) {
		return touch, false, nil
	}
	return touch, err == nil, err
}
