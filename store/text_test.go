package store_test

import (
	"testing"

	"qunbot/store"
)

func TestCut(t *testing.T) {
	for _, tt := range []struct {
		s    string
		n    int
		want string
	}{
		{"", 3, ""},
		{"签到了", 3, "签到了"},
		{"签到了！", 3, "签到了"},
		{"🎁🎁", 1, "🎁"},
		{"a\xff\xfeb", 3, "a\uFFFDb"},
		{"签到", 0, ""},
	} {
		if got := store.Cut(tt.s, tt.n); got != tt.want {
			t.Errorf("Cut(%q, %d) = %q, want %q", tt.s, tt.n, got, tt.want)
		}
	}
}
