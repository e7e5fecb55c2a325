package config

import (
	"cmp"
	"fmt"
	"strings"
)

// A Problem is something wrong with one setting, told in Chinese with what to
// do about it. It never holds a secret.
type Problem struct {
	Setting string // dotted path, "wecom.bots[0].token"; empty: the file as a whole
	Source  string // the file, or the environment variable; empty: neither sets it
	Line    int    // in the file, from 1; 0: not about a certain line
	Column  int    // in the line, from 1
	Value   string // the value as it is; "******" if it is a secret
	Message string
}

// Error returns "file:line:column setting：message；现在是 "value"", without the
// parts that are empty.
func (p *Problem) Error() string {
	where := p.Source
	if p.Line > 0 {
		where = fmt.Sprintf("%s:%d:%d", p.Source, p.Line, p.Column)
	}
	where = strings.TrimSpace(where + " " + p.Setting)
	text := p.Message
	if p.Value != "" && p.Value != hidden {
		text += fmt.Sprintf("；现在是 %q", shorten(p.Value))
	}
	return where + "：" + text
}

// shorten cuts s to what fits a line of a message.
func shorten(s string) string {
	const most = 80 // characters
	if r := []rune(s); len(r) > most {
		return string(r[:most]) + "…"
	}
	return s
}

// byPlace orders problems as the file does, those without a line last.
func byPlace(a, b *Problem) int {
	if (a.Line == 0) != (b.Line == 0) {
		return cmp.Compare(b.Line, a.Line)
	}
	return cmp.Or(cmp.Compare(a.Line, b.Line), cmp.Compare(a.Column, b.Column), cmp.Compare(a.Source, b.Source))
}

// noSuch returns the message for name, which is none of allowed: the one that
// was probably meant or, if none is close, all of them.
func noSuch(name string, allowed []string) string {
	best, meant := max(2, len(name)/4)+1, ""
	for _, a := range allowed {
		if d := distance(strings.ToLower(name), strings.ToLower(a)); d < best {
			best, meant = d, a
		}
	}
	if meant != "" {
		return fmt.Sprintf("没有这个设置，是不是想写 %s？", meant)
	}
	return "没有这个设置，这里可以写：" + strings.Join(allowed, "、")
}

// distance returns how many characters to insert, delete or replace to turn a
// into b (Levenshtein).
func distance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0]++
		for j := range len(b) {
			replace := diagonal
			if a[i] != b[j] {
				replace++
			}
			diagonal = row[j+1]
			row[j+1] = min(replace, row[j]+1, row[j+1]+1)
		}
	}
	return row[len(b)]
}
