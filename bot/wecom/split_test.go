package wecom

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"
)

func TestSplitText(t *testing.T) {
	const family = "👨‍👩‍👧" // three people and two joiners, 18 bytes
	tests := []struct {
		name string
		text string
		max  int
		want []string
	}{
		{"empty", "", 10, nil},
		{"blank", " \n\t　", 10, nil},
		{"longer and blank", strings.Repeat(" ", 11), 10, nil},
		{"fits exactly", "0123456789", 10, []string{"0123456789"}},
		{"fits and stays as it is", " a\n\n", 10, []string{" a\n\n"}},
		{"paragraph before line", "aaaaa\n\nb\nccccc", 10, []string{"aaaaa", "b\nccccc"}},
		{"blank line with blanks", "aaaaa\n  \nb\nccccc", 11, []string{"aaaaa", "b\nccccc"}},
		{"line before sentence", "aaaaaa\nb. cccccc", 10, []string{"aaaaaa", "b. cccccc"}},
		{"line just at the limit", "aaaaaaaaaa\nb", 10, []string{"aaaaaaaaaa", "b"}},
		{"carriage returns", "aaaaaa\r\nbbbbbb", 10, []string{"aaaaaa", "bbbbbb"}},
		{"Chinese sentence", "今天。明天，后天", 15, []string{"今天。", "明天，后天"}},
		{"closing marks stay", "他说“好！”明天见", 21, []string{"他说“好！”", "明天见"}},
		{"two marks stay together", "什么？！明天", 15, []string{"什么？！", "明天"}},
		{"Latin stop before Chinese", "好的!明天再说", 13, []string{"好的!", "明天再说"}},
		{"version is no sentence", "use v1.2 or", 8, []string{"use v1.2", "or"}},
		{"Chinese comma", "今天早，明天晚", 15, []string{"今天早，", "明天晚"}},
		{"word", "hello world", 8, []string{"hello", "world"}},
		{"ideographic space", "今天　明天　后天", 15, []string{"今天　明天", "后天"}},
		{"early word rather than inside an address", "see https://example.com/abc", 24, []string{"see", "https://example.com/abc"}},
		{"endless word", "abcdefghij", 4, []string{"abcd", "efgh", "ij"}},
		{"Chinese without marks", "一二三四五", 7, []string{"一二", "三四", "五"}},
		{"indentation of a line stays", "- aaaaa\n  - bbbbb", 10, []string{"- aaaaa", "  - bbbbb"}},
		{"many blanks at the cut", "aaaa" + strings.Repeat(" ", 30) + "bbbb", 8, []string{"aaaa", "bbbb"}},
		{"family", "ab" + family + "c", 19, []string{"ab", family + "c"}},
		{"flags", "🇨🇳🇯🇵🇰🇷", 12, []string{"🇨🇳", "🇯🇵", "🇰🇷"}},
		{"skin tone", "ab👍🏽", 9, []string{"ab", "👍🏽"}},
		{"keycap", "abc1️⃣", 8, []string{"abc", "1️⃣"}},
		{"accent", "abce\u0301", 5, []string{"abc", "e\u0301"}},
		{"Korean", "\u1112\u1161\u11ab\u1100\u1173\u11af", 12, []string{"\u1112\u1161\u11ab", "\u1100\u1173\u11af"}},
		{"family longer than a part", family, 8, []string{"👨\u200d", "👩\u200d", "👧"}},
		{"not UTF-8", "\xff\xff\xff\xff\xff", 4, []string{"\xff\xff\xff\xff", "\xff"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got := SplitText(tt.text, tt.max)
			if !slices.Equal(got, tt.want) {
				t.Errorf("SplitText(%q, %d) = %q, want %q", tt.text, tt.max, got, tt.want)
			}
			checkParts(t, tt.text, tt.max, got)
		})
	}
}

func TestSplitTextPanicsBelowARune(t *testing.T) {
	defer func() {
		if recover() == nil {
			t.Error("SplitText(text, 3) returned, want a panic")
		}
	}()
	SplitText("字", 3)
}

// checkParts fails unless the parts are what SplitText promises.
func checkParts(t *testing.T, text string, maxBytes int, parts []string) {
	t.Helper()
	rest := text
	for _, part := range parts {
		if strings.TrimSpace(part) == "" || len(part) > maxBytes {
			t.Errorf("SplitText(%q, %d): part %q has %d bytes, want 1 to %d and not blank", text, maxBytes, part, len(part), maxBytes)
		}
		if utf8.ValidString(text) && !utf8.ValidString(part) {
			t.Errorf("SplitText(%q, %d): part %q is not UTF-8", text, maxBytes, part)
		}
		blank, words := cutBlank(rest)
		indentation, wanted := cutBlank(part)
		after, found := strings.CutPrefix(words, wanted)
		if !found || !strings.HasSuffix(blank, indentation) {
			t.Fatalf("SplitText(%q, %d): part %q is not what comes next in %q", text, maxBytes, part, rest)
		}
		rest = after
	}
	if strings.TrimSpace(rest) != "" {
		t.Errorf("SplitText(%q, %d): lost %q at the end", text, maxBytes, rest)
	}
}

// cutBlank returns the white space that s begins with, and the rest.
func cutBlank(s string) (blank, words string) {
	words = strings.TrimLeftFunc(s, unicode.IsSpace)
	return s[:len(s)-len(words)], words
}

func FuzzSplitText(f *testing.F) {
	f.Add("今天。明天，后天\n\n  hello world v1.2", 12)
	f.Add("👨‍👩‍👧🇨🇳🇯🇵👍🏽1️⃣e\u0301", 9)
	f.Add(" \r\n\t　\u0085\u00a0 x\xff", 4)
	f.Fuzz(func(t *testing.T, text string, maxBytes int) {
		if maxBytes < utf8.UTFMax || maxBytes > 4*MaxStreamBytes {
			t.Skip("no such limit")
		}
		checkParts(t, text, maxBytes, SplitText(text, maxBytes))
	})
}

func BenchmarkSplitText(b *testing.B) {
	text := strings.Repeat("今天下午三点在一楼中庭抽奖，欢迎参加！", 1000) // 57 kB
	b.SetBytes(int64(len(text)))
	b.ReportAllocs()
	for b.Loop() {
		SplitText(text, MaxWebhookTextBytes)
	}
}

func ExampleSplitText() {
	for _, part := range SplitText("签到成功。连续 3 天！明天再来～", 27) {
		fmt.Printf("%2d bytes: %s\n", len(part), part)
	}
	// Output:
	// 15 bytes: 签到成功。
	// 15 bytes: 连续 3 天！
	// 15 bytes: 明天再来～
}
