package bot

import (
	"strings"
	"testing"
)

func TestSplitReply(t *testing.T) {
	tests := []struct {
		name, text  string
		most        int
		first, rest string
	}{
		{"fits", "一行\n二行", 1000, "一行\n二行", ""},
		{"cut after a line", strings.Repeat("a", 50) + "\n" + strings.Repeat("b", 80), 120, strings.Repeat("a", 50), strings.Repeat("b", 80)},
		{"names need room", "x\n" + Name(7) + "\n" + Name(8), 120, "x", Name(7) + "\n" + Name(8)},
		{"one long line", strings.Repeat("a", 500), 120, strings.Repeat("a", 500), ""},
		{"fits without room for the line", strings.Repeat("a\n", 55), 120, strings.Repeat("a\n", 55), ""},
	}
	for _, tt := range tests {
		if first, rest := splitReply(tt.text, tt.most); first != tt.first || rest != tt.rest {
			t.Errorf("%s: splitReply = %q, %q; want %q, %q", tt.name, first, rest, tt.first, tt.rest)
		}
	}
}
