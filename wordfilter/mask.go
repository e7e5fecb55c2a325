package wordfilter

import "strings"

// maxToken is how many bytes to either side are taken for the same address, so
// that long texts without a blank stay linear.
const maxToken = 256

// masked reports whether text[at] is part of a web address, a mail address or
// a mention: letters and digits in there spell nothing.
func masked(text string, at int) bool {
	from, to := at, at
	for from > max(0, at-maxToken) && graphic(text[from-1]) {
		from--
	}
	for to < min(len(text), at+maxToken) && graphic(text[to]) {
		to++
	}
	token := text[from:to]
	return strings.Contains(token, "@") || strings.Contains(token, "://") || domain(token)
}

// graphic reports whether c is a visible ASCII character.
func graphic(c byte) bool { return c > ' ' && c < 0x7F }

// domain reports whether token has a point between letters or digits, two
// letters at least behind it.
func domain(token string) bool {
	for i := 1; i+2 < len(token); i++ {
		if token[i] == '.' && alnum(token[i-1]) && letter(token[i+1]) && letter(token[i+2]) {
			return true
		}
	}
	return false
}

func letter(c byte) bool { return c|0x20 >= 'a' && c|0x20 <= 'z' }

func alnum(c byte) bool { return letter(c) || c >= '0' && c <= '9' }
