// Package style is how everything looks and how figures, times and money are
// written: one stylesheet of variables and elements, template functions, and
// the icons. All pages share it.
package style

import (
	_ "embed"
	"fmt"
	"html/template"
	"reflect"
	"strconv"
	"strings"
	"time"

	"qunbot/store"
)

// CSS is the shared stylesheet: variables, light and dark, and the elements
// that every surface has.
//
//go:embed look.css
var CSS string

// Funcs returns the template functions:
//
//	{{ago .At}}        刚刚 · 3 分钟前 · 昨天 15:04 · 3月5日 15:04, the full time on hover
//	{{moment .At}}     2026-11-22 15:04
//	{{day .Day}}       11月22日 周日, the year too where it is another one
//	{{number 1234}}    1,234
//	{{signed 10}}      +10, −10
//	{{points 1234}}    1,234 分
//	{{yuan 123450}}    ¥1,234.50, from fen
//	{{state "good" "正常"}}   a dot and a word; good, warn, bad, or quiet
//	{{who .Names .ID}} a member's name out of a map, else 会员 12
//	{{icon "home"}}    one of the icons, see [Icons]
//
// now is asked for the time that relative times are relative to.
func Funcs(now func() time.Time, zone *time.Location) template.FuncMap {
	return template.FuncMap{
		"ago":    func(t time.Time) template.HTML { return timeTag(t, zone, Ago(t, now(), zone)) },
		"moment": func(t time.Time) template.HTML { return timeTag(t, zone, moment(t, zone)) },
		"day":    func(d store.Day) string { return DayText(d, store.DayOf(now(), zone)) },
		"number": func(n any) string { return Number(integer(n)) },
		"signed": func(n any) string { return Signed(integer(n)) },
		"points": func(n any) string { return Number(integer(n)) + " 分" },
		"yuan":   func(fen any) string { return Yuan(integer(fen)) },
		"state":  state,
		"who":    Who,
		"icon":   Icon,
	}
}

// Ago says when t was, or will be, as people say it.
func Ago(t, now time.Time, zone *time.Location) string {
	if t.IsZero() {
		return "—"
	}
	past := now.Sub(t)
	suffix, d := "前", past
	if past < 0 {
		suffix, d = "后", -past
	}
	t, now = t.In(zone), now.In(zone)
	days := store.DayOf(t, zone).Since(store.DayOf(now, zone))
	switch {
	case d < time.Minute && past >= 0:
		return "刚刚"
	case d < time.Hour:
		return fmt.Sprintf("%d 分钟%s", max(1, int(d.Minutes())), suffix)
	case days == 0:
		return fmt.Sprintf("%d 小时%s", int(d.Hours()), suffix)
	case days == -1:
		return "昨天 " + t.Format("15:04")
	case days == 1:
		return "明天 " + t.Format("15:04")
	case t.Year() == now.Year():
		return t.Format("1月2日 15:04")
	}
	return t.Format("2006年1月2日")
}

func moment(t time.Time, zone *time.Location) string {
	if t.IsZero() {
		return "—"
	}
	return t.In(zone).Format("2006-01-02 15:04")
}

func timeTag(t time.Time, zone *time.Location, text string) template.HTML {
	if t.IsZero() {
		return template.HTML(template.HTMLEscapeString(text))
	}
	return template.HTML(fmt.Sprintf(`<time datetime="%s" title="%s">%s</time>`,
		t.UTC().Format(time.RFC3339), t.In(zone).Format("2006-01-02 15:04:05"), template.HTMLEscapeString(text)))
}

var weekdays = [...]string{"周日", "周一", "周二", "周三", "周四", "周五", "周六"}

// DayText writes a day with its weekday, and with its year unless it is today's.
func DayText(d, today store.Day) string {
	t, err := time.Parse(time.DateOnly, string(d))
	if err != nil {
		return "—"
	}
	layout := "1月2日 "
	if !strings.HasPrefix(string(today), string(d)[:4]) {
		layout = "2006年1月2日 "
	}
	return t.Format(layout) + weekdays[t.Weekday()]
}

// Number writes n with commas.
func Number(n int64) string {
	digits := strconv.FormatInt(n, 10)
	sign := ""
	if digits[0] == '-' {
		sign, digits = "−", digits[1:]
	}
	for i := len(digits) - 3; i > 0; i -= 3 {
		digits = digits[:i] + "," + digits[i:]
	}
	return sign + digits
}

// Signed writes n with its sign.
func Signed(n int64) string {
	if n > 0 {
		return "+" + Number(n)
	}
	return Number(n)
}

// Yuan writes an amount of fen.
func Yuan(fen int64) string {
	sign := ""
	if fen < 0 {
		sign, fen = "−", -fen
	}
	return fmt.Sprintf("%s¥%s.%02d", sign, Number(fen/100), fen%100)
}

// Who returns a member's name, or 会员 and the number.
func Who(names map[int64]string, member int64) string {
	if name := names[member]; name != "" {
		return name
	}
	return "会员 " + strconv.FormatInt(member, 10)
}

// state is a dot and a word, so that colour is never alone.
func state(kind, word string) (template.HTML, error) {
	switch kind {
	case "good", "warn", "bad", "quiet":
		return template.HTML(`<span class="state ` + kind + `">` + template.HTMLEscapeString(word) + `</span>`), nil
	}
	return "", fmt.Errorf("state %q: use good, warn, bad or quiet", kind)
}

// integer takes the whole numbers that templates hold.
func integer(n any) int64 {
	v := reflect.ValueOf(n)
	switch {
	case v.CanInt():
		return v.Int()
	case v.CanUint():
		return int64(v.Uint())
	}
	panic(fmt.Sprintf("%T is no whole number", n))
}
