package review

import (
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"qunbot/store"
)

func TestPhraseAround(t *testing.T) {
	for _, tt := range []struct{ text, hit, want string }{
		{"三黄片真好吃", "黄片", "三黄片真好"},
		{"今天，黄片。", "黄片", ""},
		{"黄片", "黄片", ""},
		{"吃 牛黄片 吧", "黄片", "牛黄片"},
		{"加V货架第三排", "加V", "加V货架"},
		{"🎁刷单🎁", "刷单", ""},
		{"ab刷单cde", "刷单", "ab刷单cd"},
	} {
		start := strings.Index(tt.text, tt.hit)
		if got := phraseAround(tt.text, start, start+len(tt.hit)); got != tt.want {
			t.Errorf("phraseAround(%s, %s) = %q, want %q", tt.text, tt.hit, got, tt.want)
		}
	}
}

// Whatever is stored about a hit, nothing is lost of the text and no phrase is
// made up.
func FuzzParts(f *testing.F) {
	f.Add("三黄片真好吃", 3, 9)
	f.Add("三黄片", 4, 8)
	f.Add("", 0, 0)
	f.Add("abc", -1, 99)
	f.Add("a\xff刷单b", 2, 8)
	f.Fuzz(func(t *testing.T, text string, start, end int) {
		var all strings.Builder
		for _, p := range cutAt(text, [][2]int{{start, end}}) {
			all.WriteString(p.Text)
		}
		if all.String() != text {
			t.Errorf("cutAt(%q, %d, %d) holds %q", text, start, end, all.String())
		}
		phrase := phraseAround(text, start, end)
		if !strings.Contains(text, phrase) || utf8.RuneCountInString(phrase) > maxPhrase {
			t.Errorf("phraseAround(%q, %d, %d) = %q", text, start, end, phrase)
		}
	})
}

func TestChoose(t *testing.T) {
	list := []complaint{{}, {}}
	list[0].ID, list[1].ID = 12, 7
	for text, want := range map[string]struct {
		strike int64
		reason string
	}{
		"冤枉": {12, "冤枉"}, "7 冤枉": {7, "冤枉"}, "＃７　冤枉 啊": {7, "冤枉 啊"}, "3 次都没说": {12, "3 次都没说"}, "7": {7, ""}, "": {12, ""},
	} {
		if strike, reason := choose(list, text); strike != want.strike || reason != want.reason {
			t.Errorf("choose(%q) = %d, %q, want %d, %q", text, strike, reason, want.strike, want.reason)
		}
	}
}

func TestScore(t *testing.T) {
	add := func(reviews ...store.HitReview) (s score) {
		for _, r := range reviews {
			s.add(r, 1)
		}
		return s
	}
	for _, tt := range []struct {
		score score
		says  string
		weak  bool
	}{
		{add(store.NotReviewed), "还没有人看过", false},
		{add(store.HitRight, store.HitRaised, store.HitWrong, store.HitAllowed, store.NotReviewed), "2/4，50%", true},
		{add(store.HitWrong, store.HitWrong), "0/2，0%", false}, // too few to tell
		{add(store.HitRight, store.HitRight, store.HitRight, store.HitRight, store.HitWrong), "4/5，80%", false},
		{add(store.HitRight, store.HitRight, store.HitWrong), "2/3，66%", true},
	} {
		if tt.score.Says() != tt.says || tt.score.Weak() != tt.weak {
			t.Errorf("%+v: %s, weak %t, want %s, %t", tt.score, tt.score.Says(), tt.score.Weak(), tt.says, tt.weak)
		}
	}
	if got := cutAt("abcdef", [][2]int{{1, 3}, {2, 4}, {5, 6}}); !slices.Equal(got, []part{{"a", false}, {"bcd", true}, {"e", false}, {"f", true}}) {
		t.Errorf("cutAt = %v", got)
	}
}
