package monthly

import (
	"errors"
	"fmt"
	"regexp"
	"strings"
	"text/template"
	"text/template/parse"
	"time"
	"unicode"
	"unicode/utf8"

	"qunbot/scheduler"
	"qunbot/store"
	"qunbot/web/style"
)

const (
	// maxPost is the longest text of a post in UTF-8 bytes: that of a group robot.
	// Source: https://developer.work.weixin.qq.com/document/path/91770
	maxPost = 2048

	maxLate = 7 * 24 * time.Hour // a text that could not be posted for longer is left out this month
	expiry  = 3 * 24 * time.Hour // a post that could not be sent for longer is no use any more
)

// dueNow returns when t was due last, and whether it is to be posted at now: it
// is turned on, was so then, and that is not too long ago.
func dueNow(t store.MonthlyText, now time.Time, zone *time.Location) (time.Time, bool) {
	last := lastDue(t, now, zone)
	return last, t.Enabled && !last.Before(t.Since) && now.Sub(last) <= maxLate
}

// lastDue returns the last time up to now at which t was due: this month's, or
// that of the month before.
func lastDue(t store.MonthlyText, now time.Time, zone *time.Location) time.Time {
	first := store.DayOf(now, zone)[:8] + "01"
	before := nextDue(t, first.AddMonths(-1).Start(zone).Add(-time.Second), zone)
	if this := nextDue(t, before, zone); !this.After(now) {
		return this
	}
	return before
}

// nextDue returns the first time after that at which t is due.
func nextDue(t store.MonthlyText, after time.Time, zone *time.Location) time.Time {
	return scheduler.Monthly(t.DayOfMonth, t.Hour, t.Minute).Next(after, scheduler.Calendar{Zone: zone})
}

// monthOf returns the month of a time, YYYY-MM.
func monthOf(t time.Time, zone *time.Location) string { return t.In(zone).Format("2006-01") }

// values are what placeholders stand for, by their names.
type values map[string]string

// A placeholder is a name that texts may hold.
type placeholder struct{ Name, Meaning string }

// placeholders are all names, in the order in which they are shown.
var placeholders = []placeholder{
	{"Mall", "商场名"},
	{"Year", "年份"},
	{"Month", "月份"},
	{"Day", "发送的日子"},
	{"LastMonth", "上个月"},
	{"Points", "上个月会员在本商场领到的积分"},
	{"CheckIns", "上个月群里签到的次数"},
	{"Members", "群里的会员数"},
	{"Groups", "群数"},
}

// facts are what is known about a mall when its text is due.
type facts struct {
	mall              string
	day               store.Day
	points            int64 // earned in the month before, as are checkIns
	checkIns, members int64
	groups            int64
}

func (f facts) values() values {
	day := f.day.Start(time.UTC)
	last := (f.day[:8] + "01").AddMonths(-1).Start(time.UTC)
	return values{
		"Mall": f.mall, "Year": day.Format("2006年"), "Month": day.Format("1月"), "Day": day.Format("1月2日"), "LastMonth": last.Format("1月"),
		"Points": style.Number(f.points), "CheckIns": style.Number(f.checkIns), "Members": style.Number(f.members), "Groups": style.Number(f.groups),
	}
}

// allowed lists the placeholders for an operator who wrote another one.
func allowed() string {
	var names []string
	for _, p := range placeholders {
		names = append(names, "{{."+p.Name+"}} "+p.Meaning)
	}
	return "能用的有：" + strings.Join(names, "、")
}

// parseText reads a text with placeholders. Its errors are in Chinese.
func parseText(text string) (*template.Template, error) {
	text = plain(text)
	if text == "" {
		return nil, errors.New("还没有写文案")
	}
	if m := wrongBraces.FindString(text); m != "" {
		return nil, fmt.Errorf("“%s”要写成两层英文大括号，例如 {{.Month}}", m)
	}
	trees, err := parse.Parse("text", text, "{{", "}}")
	tree := trees["text"]
	if err != nil || len(trees) != 1 || tree == nil {
		return nil, errors.New("占位符没写对，要写成 {{.Month}} 这样。" + allowed())
	}
	for _, node := range tree.Root.Nodes {
		switch node := node.(type) {
		case *parse.TextNode:
		case *parse.ActionNode:
			if !known(node) {
				return nil, fmt.Errorf("不认识“%s”。%s", store.Cut(node.String(), 40), allowed())
			}
		default:
			return nil, fmt.Errorf("不能用“%s”。%s", store.Cut(node.String(), 40), allowed())
		}
	}
	return template.New("text").Option("missingkey=error").AddParseTree("text", tree)
}

// wrongBraces matches placeholders in one pair of braces, or in full-width ones.
var wrongBraces = regexp.MustCompile(`(?:^|[^{])\{\s*\.\w+\s*\}(?:[^}]|$)|｛+\s*\.?\w+\s*｝+`)

// known reports whether an action is one placeholder and nothing else.
func known(node *parse.ActionNode) bool {
	if len(node.Pipe.Decl) != 0 || len(node.Pipe.Cmds) != 1 || len(node.Pipe.Cmds[0].Args) != 1 {
		return false
	}
	field, ok := node.Pipe.Cmds[0].Args[0].(*parse.FieldNode)
	if !ok || len(field.Ident) != 1 {
		return false
	}
	for _, p := range placeholders {
		if p.Name == field.Ident[0] {
			return true
		}
	}
	return false
}

// render fills a text's placeholders in. It returns an error in Chinese if the
// text is wrong, or what comes out is too long to be posted.
func render(text string, v values) (string, error) {
	t, err := parseText(text)
	if err != nil {
		return "", err
	}
	var b strings.Builder
	if err := t.Execute(&b, v); err != nil {
		return "", errors.New("占位符填不出来。" + allowed())
	}
	filled := strings.TrimSpace(b.String())
	switch {
	case filled == "":
		return "", errors.New("填好以后是空的")
	case len(filled) > maxPost:
		return "", fmt.Errorf("填好以后有 %d 字节，最多 %d（大约 %d 个汉字）", len(filled), maxPost, maxPost/3)
	}
	return filled, nil
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
