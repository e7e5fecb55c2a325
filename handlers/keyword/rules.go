package keyword

import (
	"cmp"
	"fmt"
	"regexp"
	"regexp/syntax"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/width"

	"qunbot/bot"
	"qunbot/store"
)

// What a rule may be. Lengths are in characters.
const (
	maxRules    = 10_000
	maxLoose    = 20 // regexps without a fixed text, each of which is tried on every message
	maxWord     = 100
	maxRegexp   = 200
	maxReply    = 2000
	maxReplies  = 20
	maxPriority = 1000
	maxCooldown = 7 * 24 * time.Hour
	maxProgram  = 2000 // instructions of a compiled regexp
	minutesADay = 24 * 60
)

// A refusal says what is wrong with a rule, for the operator who wrote it, and
// in which field of the form.
type refusal struct{ field, text string }

func (r refusal) Error() string { return r.text }

func refuse(field, format string, args ...any) error {
	return refusal{field, fmt.Sprintf(format, args...)}
}

// kindWord is what a kind of rule is called.
func kindWord(k store.KeywordKind) string {
	switch k {
	case store.KeywordExact:
		return "等于"
	case store.KeywordContains:
		return "包含"
	case store.KeywordRegexp:
		return "正则"
	}
	return string(k)
}

// kindRank is the order of kinds: what says more about a message goes first.
func kindRank(k store.KeywordKind) int {
	switch k {
	case store.KeywordExact:
		return 0
	case store.KeywordContains:
		return 1
	}
	return 2
}

// fold returns text as rules compare it: as commands do, and with every letter
// in one form, so that it agrees with a regexp that ignores case.
func fold(text string) string { return strings.Map(oneForm, bot.Fold(text)) }

// oneForm returns the letter that stands for r and all that equal it but for
// case: s for s, S and ſ.
func oneForm(r rune) rune {
	if r < utf8.RuneSelf {
		return unicode.ToLower(r)
	}
	if r >= 0x2E80 && r < 0xA640 { // Chinese and Japanese know no case
		return r
	}
	least := r
	for other := unicode.SimpleFold(r); other != r; other = unicode.SimpleFold(other) {
		least = min(least, other)
	}
	return unicode.ToLower(least)
}

// foldPart is fold for a part of a text: blanks at its ends stay.
func foldPart(text string) string { return strings.Map(oneForm, width.Fold.String(text)) }

// bare returns a folded text as exact rules compare it: without the
// punctuation behind it, unless there is nothing else.
func bare(folded string) string {
	said := strings.TrimRightFunc(folded, func(r rune) bool {
		return unicode.IsPunct(r) || unicode.IsSpace(r) || r == '~'
	})
	if said == "" {
		return folded
	}
	return said
}

// foldPattern returns a rule's pattern as its kind compares it.
func foldPattern(kind store.KeywordKind, pattern string) string {
	switch kind {
	case store.KeywordExact:
		return bare(fold(pattern))
	case store.KeywordContains:
		return fold(pattern)
	}
	return pattern
}

// expression returns a regexp for folded texts: it ignores case, and what it
// holds in full width stands for itself in half width.
func expression(pattern string) string {
	var b strings.Builder
	b.WriteString("(?i)")
	for _, r := range pattern {
		narrow, _ := utf8.DecodeRuneInString(width.Fold.String(string(r)))
		if narrow != r && narrow < utf8.RuneSelf && (unicode.IsPunct(narrow) || unicode.IsSymbol(narrow)) {
			b.WriteByte('\\') // ？ is a question mark and no operator
		}
		b.WriteRune(narrow)
	}
	return b.String()
}

// check returns what is wrong with a rule, and the rule with its pattern
// trimmed and folded and its replies trimmed.
func check(r store.KeywordRule) (store.KeywordRule, error) {
	r.Pattern = strings.TrimSpace(r.Pattern)
	if err := checkPattern(r.Kind, r.Pattern); err != nil {
		return r, err
	}
	r.Folded = foldPattern(r.Kind, r.Pattern)
	replies := make([]string, 0, len(r.Replies))
	for _, reply := range r.Replies {
		reply = strings.TrimSpace(strings.ReplaceAll(reply, "\r\n", "\n"))
		if reply == "" {
			continue
		}
		if n := utf8.RuneCountInString(reply); n > maxReply {
			return r, refuse("replies", "一条回复最多 %d 个字，第 %d 条有 %d 个。", maxReply, len(replies)+1, n)
		}
		if !printable(reply) {
			return r, refuse("replies", "第 %d 条回复里有看不见的控制字符，请重新输入。", len(replies)+1)
		}
		replies = append(replies, reply)
	}
	r.Replies = replies
	switch {
	case len(replies) == 0:
		return r, refuse("replies", "请写一条回复。")
	case len(replies) > maxReplies:
		return r, refuse("replies", "最多 %d 条回复，现在有 %d 条。", maxReplies, len(replies))
	case r.Priority < -maxPriority || r.Priority > maxPriority:
		return r, refuse("priority", "优先级要在 −%d 到 %d 之间。", maxPriority, maxPriority)
	case r.CooldownSeconds < 0 || r.CooldownSeconds > int(maxCooldown.Seconds()):
		return r, refuse("cooldown", "冷却要在 0 到 %d 秒（7 天）之间。", int(maxCooldown.Seconds()))
	case r.FromMinute < 0 || r.FromMinute >= minutesADay:
		return r, refuse("from", "时间要在 00:00 到 23:59 之间。")
	case r.ToMinute < 0 || r.ToMinute >= minutesADay:
		return r, refuse("to", "时间要在 00:00 到 23:59 之间。")
	}
	return r, nil
}

func checkPattern(kind store.KeywordKind, pattern string) error {
	n := utf8.RuneCountInString(pattern)
	switch {
	case kind != store.KeywordExact && kind != store.KeywordContains && kind != store.KeywordRegexp:
		return refuse("kind", "请选一种匹配方式。")
	case foldPattern(kind, pattern) == "":
		return refuse("pattern", "请写关键词。")
	case !printable(pattern) || strings.ContainsAny(pattern, "\n\t"):
		return refuse("pattern", "关键词里不能有换行和看不见的控制字符。")
	case kind != store.KeywordRegexp && n > maxWord:
		return refuse("pattern", "关键词最多 %d 个字，现在有 %d 个。", maxWord, n)
	case kind == store.KeywordRegexp && n > maxRegexp:
		return refuse("pattern", "正则最多 %d 个字，现在有 %d 个。", maxRegexp, n)
	case kind == store.KeywordRegexp:
		return checkRegexp(pattern)
	}
	return nil
}

func checkRegexp(pattern string) error {
	if _, err := syntax.Parse(pattern, syntax.Perl); err != nil {
		return refuse("pattern", "这不是能用的正则（RE2 语法）：%s", regexpProblem(err))
	}
	parsed, err := syntax.Parse(expression(pattern), syntax.Perl)
	if err != nil {
		return refuse("pattern", "这不是能用的正则（RE2 语法）：%s", regexpProblem(err))
	}
	program, err := syntax.Compile(parsed.Simplify())
	if err != nil || len(program.Inst) > maxProgram {
		return refuse("pattern", "这个正则太复杂了，请少用很大的重复次数。")
	}
	re, err := regexp.Compile(expression(pattern))
	if err != nil {
		return refuse("pattern", "这不是能用的正则（RE2 语法）：%s", regexpProblem(err))
	}
	if re.MatchString("") {
		return refuse("pattern", "这个正则什么都不写也算匹配，会回答每一句话。请加上一定要出现的字。")
	}
	return nil
}

func regexpProblem(err error) string {
	e, ok := err.(*syntax.Error)
	if !ok {
		return err.Error()
	}
	words := map[syntax.ErrorCode]string{
		syntax.ErrInvalidCharClass:      "方括号里写得不对",
		syntax.ErrInvalidCharRange:      "方括号里的范围写反了",
		syntax.ErrInvalidEscape:         "反斜杠后面的字不能这样用",
		syntax.ErrInvalidNamedCapture:   "命名分组写得不对",
		syntax.ErrInvalidPerlOp:         "(? 后面的写法不支持，例如前后查找",
		syntax.ErrInvalidRepeatOp:       "重复符号连着用了两次",
		syntax.ErrInvalidRepeatSize:     "重复次数太大或写反了",
		syntax.ErrInvalidUTF8:           "有不完整的字符",
		syntax.ErrMissingBracket:        "少了右方括号 ]",
		syntax.ErrMissingParen:          "少了右括号 )",
		syntax.ErrMissingRepeatArgument: "重复符号前面没有字",
		syntax.ErrTrailingBackslash:     "最后多了一个反斜杠",
		syntax.ErrUnexpectedParen:       "多了一个右括号 )",
		syntax.ErrNestingDepth:          "括号套得太深",
		syntax.ErrLarge:                 "太复杂了",
	}
	word := words[e.Code]
	if word == "" {
		word = e.Code.String()
	}
	return word + "：" + e.Expr
}

// printable reports whether text is valid and free of control characters but
// line breaks and tabs, and of the noncharacters that mark names in replies.
func printable(text string) bool {
	return utf8.ValidString(text) && !strings.ContainsFunc(text, func(r rune) bool {
		return unicode.IsControl(r) && r != '\n' && r != '\t' || r >= 0xFDD0 && r <= 0xFDEF
	})
}

// activeAt reports whether a time of day, in minutes, lies in a rule's.
func activeAt(from, to, minute int) bool {
	switch {
	case from == to:
		return true
	case from < to:
		return from <= minute && minute < to
	}
	return minute >= from || minute < to // over midnight
}

// hours is how a rule's time of day is written, empty for all day.
func hours(from, to int) string {
	if from == to {
		return ""
	}
	until := clock(to)
	switch {
	case to == 0:
		until = "24:00"
	case to < from:
		until = "次日 " + until
	}
	return clock(from) + "–" + until
}

func clock(minute int) string { return fmt.Sprintf("%02d:%02d", minute/60, minute%60) }

// span is how a duration is written: 4 分 10 秒.
func span(d time.Duration) string {
	if d <= 0 {
		return "0 秒"
	}
	d = max(d.Round(time.Second), time.Second)
	var parts []string
	for _, unit := range []struct {
		of   time.Duration
		word string
	}{{24 * time.Hour, "天"}, {time.Hour, "小时"}, {time.Minute, "分"}, {time.Second, "秒"}} {
		if n := d / unit.of; n > 0 {
			parts = append(parts, fmt.Sprintf("%d %s", n, unit.word))
			d -= n * unit.of
		}
	}
	return strings.Join(parts, " ")
}

// compare says which of two rules for the same message answers it: a before b
// if the result is negative. why is what decided, in favour of that one.
func compare(a, b *rule) (order int, why string) {
	for _, step := range []struct {
		order int
		why   string
	}{
		{cmp.Compare(b.priority, a.priority), "优先级更高"},
		{cmp.Compare(scopeRank(a.group), scopeRank(b.group)), "本群的先于通用的"},
		{cmp.Compare(kindRank(a.kind), kindRank(b.kind)), "等于先于包含，包含先于正则"},
		{cmp.Compare(b.size, a.size), "关键词更长"},
		{cmp.Compare(a.id, b.id), "添加得更早"},
	} {
		if step.order != 0 {
			return step.order, step.why
		}
	}
	return 0, ""
}

func scopeRank(group int64) int {
	if group == 0 {
		return 1
	}
	return 0
}
