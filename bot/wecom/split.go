package wecom

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

// The longest texts that WeCom takes, in UTF-8 bytes. SplitText makes parts
// that fit.
const (
	// MaxStreamBytes limits the content of an aibot's stream.
	// Source: https://developer.work.weixin.qq.com/document/path/101031
	MaxStreamBytes = 20480

	// MaxResponseBytes limits markdown posted to a response_url.
	// Source: https://developer.work.weixin.qq.com/document/path/101138
	MaxResponseBytes = 20480

	// MaxWebhookTextBytes limits a text of a group robot.
	// Source: https://developer.work.weixin.qq.com/document/path/91770
	MaxWebhookTextBytes = 2048

	// MaxWebhookMarkdownBytes limits markdown, old and v2, of a group robot.
	// Source: https://developer.work.weixin.qq.com/document/path/91770
	MaxWebhookMarkdownBytes = 4096

	// MaxAppTextBytes limits a text or markdown of an app; WeCom cuts what is
	// longer. It also limits the passive text reply of an app.
	// Sources: https://developer.work.weixin.qq.com/document/path/90236 and
	// https://developer.work.weixin.qq.com/document/path/90241
	MaxAppTextBytes = 2048

	// MaxKfTextBytes limits a text of 微信客服; WeCom cuts what is longer.
	// Source: https://developer.work.weixin.qq.com/document/path/94677
	MaxKfTextBytes = 2048
)

// Other limits of an aibot's replies.
const (
	// MaxStreamItems is how many images may end a stream.
	// Source: https://developer.work.weixin.qq.com/document/path/101031
	MaxStreamItems = 10

	// MaxFeedbackIDBytes limits a feedback id.
	// Source: https://developer.work.weixin.qq.com/document/path/101031
	MaxFeedbackIDBytes = 256

	// MaxTaskIDBytes limits the task id of a card.
	// Source: https://developer.work.weixin.qq.com/document/path/101032
	MaxTaskIDBytes = 128
)

// SplitText splits text into parts of at most maxBytes bytes each, which must
// be 4 or more (the longest rune): less is a programmer's mistake and panics.
//
// It cuts at the end of a paragraph, of a line, of a sentence, or of a clause
// or word, whatever comes first in this list and leaves a part at least half
// full; failing that, wherever one of these ends last; failing that, between
// two characters as a reader sees them. Only a single such character that is
// longer than maxBytes, such as a letter under a heap of accents, is cut
// between its runes, and no rune ever is.
//
// No part is blank. All that is lost is white space at the cuts; the
// indentation of the line after a cut stays. A text that fits comes back as it
// is, a blank one gives no parts.
func SplitText(text string, maxBytes int) []string {
	if maxBytes < utf8.UTFMax {
		panic("wecom: SplitText below 4 bytes")
	}
	var parts []string
	for rest := text; ; {
		if strings.TrimLeftFunc(rest, unicode.IsSpace) == "" {
			return parts
		}
		if len(rest) <= maxBytes {
			return append(parts, rest)
		}
		cut := cutPoint(rest, maxBytes)
		if part := strings.TrimRightFunc(rest[:cut], unicode.IsSpace); part != "" {
			parts = append(parts, part)
		}
		rest = trimCut(rest[cut:])
	}
}

// trimCut removes the white space between two parts. If there is a line end in
// it, the indentation of the next line stays.
func trimCut(rest string) string {
	trimmed := strings.TrimLeftFunc(rest, unicode.IsSpace)
	blank := rest[:len(rest)-len(trimmed)]
	if i := strings.LastIndexByte(blank, '\n'); i >= 0 {
		return rest[i+1:]
	}
	return trimmed
}

// What can end where a text may be cut, the best place first.
const (
	paragraphEnd = iota
	lineEnd
	sentenceEnd
	wordEnd
	characterEnd
	runeEnd
	endKinds
)

// cutPoint returns where to cut a text that is longer than maxBytes: from 1 to
// maxBytes.
func cutPoint(text string, maxBytes int) int {
	var last [endKinds]int // where each kind was last seen; 0 if nowhere
	var seen lookBehind
	for i := 0; i <= maxBytes; {
		next, size := utf8.DecodeRuneInString(text[i:])
		if i > 0 {
			last[seen.end(next, text[i:])] = i
			last[runeEnd] = i
		}
		seen.add(next)
		i += size
	}
	best := 0
	for _, end := range last[:characterEnd] {
		if end >= maxBytes/2 {
			return end
		}
		best = max(best, end)
	}
	switch {
	case best > 0:
		return best
	case last[characterEnd] > 0:
		return last[characterEnd]
	}
	return last[runeEnd]
}

// Marks that end a sentence.
const (
	cjkStops   = "。！？；…"
	latinStops = ".!?;" // only before a blank or a Chinese character: not in v1.2
)

// A lookBehind is what has to be known of the text before a place to tell
// what ends there.
type lookBehind struct {
	prev  rune
	flags int  // regional indicators in a row; two make a flag
	stop  rune // the sentence's final mark, if only closing marks followed it; else 0
}

func (b *lookBehind) add(r rune) {
	b.prev = r
	if isRegional(r) {
		b.flags++
	} else {
		b.flags = 0
	}
	switch {
	case strings.ContainsRune(cjkStops+latinStops, r):
		b.stop = r
	case !isClosing(r):
		b.stop = 0
	}
}

// end returns what ends between the text seen so far and rest, which begins
// with next.
func (b *lookBehind) end(next rune, rest string) int {
	switch {
	case b.joins(next):
		return runeEnd
	case unicode.IsSpace(next) && !unicode.IsSpace(b.prev):
		switch newlines := leadingNewlines(rest); {
		case newlines > 1:
			return paragraphEnd
		case newlines == 1:
			return lineEnd
		case b.stop != 0:
			return sentenceEnd
		}
		return wordEnd
	case isClosing(next):
		return characterEnd // keep the mark with what it closes
	case strings.ContainsRune(cjkStops, b.stop), b.stop != 0 && unicode.Is(unicode.Han, next):
		return sentenceEnd
	case strings.ContainsRune("，、：", b.prev):
		return wordEnd
	}
	return characterEnd
}

// joins reports whether next belongs to the same character as the rune before
// it, for what is common in chats: accents, emoji with skin tone or joiner,
// keycaps, flags, and Korean letters. It is not the whole of UAX #29.
func (b *lookBehind) joins(next rune) bool {
	const zeroWidthJoiner = 0x200D
	switch {
	case b.prev == zeroWidthJoiner, next == zeroWidthJoiner,
		unicode.Is(unicode.M, next),        // accents, variation selectors, keycap
		0x1F3FB <= next && next <= 0x1F3FF, // skin tones
		0xE0020 <= next && next <= 0xE007F, // tags, as in the flag of Scotland
		0x1160 <= next && next <= 0x11FF,   // Korean vowels and finals
		b.prev == '\r' && next == '\n':
		return true
	}
	return isRegional(next) && b.flags%2 == 1
}

func isRegional(r rune) bool { return 0x1F1E6 <= r && r <= 0x1F1FF }

// isClosing reports whether r closes a quotation or a bracket, or ends a
// sentence once more, as in 什么？！
func isClosing(r rune) bool {
	return r == '"' || strings.ContainsRune(cjkStops+latinStops, r) || unicode.In(r, unicode.Pe, unicode.Pf)
}

// leadingNewlines counts the line ends in the white space that text begins
// with.
func leadingNewlines(text string) int {
	n := 0
	for _, r := range text {
		if !unicode.IsSpace(r) {
			break
		}
		if r == '\n' {
			n++
		}
	}
	return n
}
