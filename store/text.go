package store

import "strings"

// Cut returns the first n characters of s, as a column of n characters holds
// them: valid UTF-8.
func Cut(s string, n int) string {
	r := []rune(strings.ToValidUTF8(s, "\uFFFD"))
	return string(r[:min(n, len(r))])
}

// Clip shortens text for people to n characters, with an ellipsis after them.
func Clip(text string, n int) string {
	if r := []rune(text); len(r) > n {
		return string(r[:n]) + "…"
	}
	return text
}
