package announce

import (
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"qunbot/bot"
	"qunbot/store"
)

// maxPost is the longest text of a post in UTF-8 bytes: that of a group robot.
// Source: https://developer.work.weixin.qq.com/document/path/91770
const maxPost = 2048

// cutNumber splits text into the group's number at its start and the rest. The
// number is 0 if there is none.
func cutNumber(text string) (number int64, rest string) {
	word, rest := text, ""
	if i := strings.IndexFunc(text, unicode.IsSpace); i >= 0 {
		word, rest = text[:i], strings.TrimSpace(text[i:])
	}
	number, err := strconv.ParseInt(bot.Fold(word), 10, 64)
	if err != nil || number < 1 {
		return 0, text
	}
	return number, rest
}

// nameOf is what operators call a group.
func nameOf(g store.Group) string {
	if g.Name != "" {
		return g.Name
	}
	return g.ChatID
}

// plain removes from what somebody typed what is not to be seen: control
// characters but line ends and tabs, marks that turn the direction of writing,
// and characters that Unicode keeps for programs.
func plain(s string) string {
	s = strings.ReplaceAll(s, "\r\n", "\n")
	return strings.TrimSpace(strings.Map(func(r rune) rune {
		switch {
		case r == '\n' || r == '\t' || r == 0x200D: // emoji are joined by U+200D
			return r
		case r == utf8.RuneError, unicode.IsControl(r), unicode.Is(unicode.Cf, r), unicode.Is(unicode.Co, r),
			r >= 0xFDD0 && r <= 0xFDEF, r&0xFFFE == 0xFFFE:
			return -1
		}
		return r
	}, s))
}
