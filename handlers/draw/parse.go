package draw

import (
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"golang.org/x/text/width"

	"qunbot/drawproof"
)

// The forms of the operators' commands, shown when something is not right.
const (
	formNew    = "/抽奖 新建 周末电影票 奖品 电影票 x3 ¥45 条件 积分>=100 消耗 10 公证 当日上证指数收盘 截止 20:00"
	formClose  = "/抽奖 截止 3"
	formValue  = "/抽奖 公证 3 3388.12"
	formDraw   = "/抽奖 开奖 3"
	formCancel = "/抽奖 取消 3 奖品没到货"
	usage      = "可以这样说（3 是抽奖的编号）：\n· " + formNew + "\n· " + formClose + "\n· " + formValue + "\n· " + formDraw + "\n· " + formCancel +
		"\n新建时，名称和奖品必须有，其余可以不写；奖品可以写多种，条件可以是 积分>=N、未中奖 N天、入群 N天。"
)

// What an operator may ask for.
type verb string

const (
	verbNew    verb = "新建"
	verbClose  verb = "截止"
	verbValue  verb = "公证"
	verbDraw   verb = "开奖"
	verbCancel verb = "取消"
)

// An order is a command of an operator's, taken apart.
type order struct {
	verb  verb
	which string // number, or name where names may be said
	text  string // public value or reason
	plan  plan   // of a new draw
}

// parseOrder reads what follows /抽奖. Its error is a refusal that shows the
// right form. now is when it was said: a time of day is the next one after it.
func parseOrder(args string, now time.Time, zone *time.Location) (order, error) {
	words := strings.Fields(args)
	if len(words) == 0 {
		return order{}, refusal(usage)
	}
	o := order{verb: verb(words[0])}
	rest := words[1:]
	switch o.verb {
	case verbNew:
		p, err := parsePlan(rest, now, zone)
		if err != nil {
			return o, refuse("%s\n例如：%s", err, formNew)
		}
		o.plan = p
	case verbClose:
		if len(rest) != 1 || !isNumber(rest[0]) {
			return o, refuse("截止要写编号。例如：%s", formClose)
		}
		o.which = rest[0]
	case verbValue:
		if len(rest) < 2 || !isNumber(rest[0]) {
			return o, refuse("公证要写编号和公布的数。例如：%s", formValue)
		}
		o.which, o.text = rest[0], strings.Join(rest[1:], " ")
		if utf8.RuneCountInString(o.text) > maxValue {
			return o, refuse("公证数最多 %d 个字。例如：%s", maxValue, formValue)
		}
	case verbDraw:
		if len(rest) == 0 {
			return o, refuse("开奖要写名称或编号。例如：%s", formDraw)
		}
		o.which = strings.Join(rest, " ")
	case verbCancel:
		if len(rest) < 2 || !isNumber(rest[0]) {
			return o, refuse("取消要写编号和原因，原因会公布。例如：%s", formCancel)
		}
		o.which, o.text = rest[0], strings.Join(rest[1:], " ")
		if utf8.RuneCountInString(o.text) > maxReason {
			return o, refuse("原因最多 %d 个字。", maxReason)
		}
	default:
		return o, refuse("不认识“%s”。%s", words[0], usage)
	}
	return o, nil
}

// The words that begin a part of a new draw.
var parts = map[string]bool{"奖品": true, "条件": true, "消耗": true, "公证": true, "截止": true}

// parsePlan reads what follows 新建.
func parsePlan(words []string, now time.Time, zone *time.Location) (p plan, err error) {
	name, words := untilPart(words)
	if p.name = strings.Join(name, " "); p.name == "" {
		return p, refuse("新建后面先写抽奖的名称。")
	}
	said := map[string]bool{}
	for len(words) > 0 {
		part := words[0]
		var given []string
		given, words = untilPart(words[1:])
		if said[part] && part != "奖品" && part != "条件" {
			return p, refuse("“%s”写了两次。", part)
		}
		said[part] = true
		if len(given) == 0 {
			return p, refuse("“%s”后面是空的。", part)
		}
		switch part {
		case "奖品":
			var prize drawproof.Prize
			if prize, err = parsePrize(given); err == nil {
				p.prizes = append(p.prizes, prize)
			}
		case "条件":
			err = p.parseConditions(strings.Join(given, ""))
		case "消耗":
			p.cost, err = parsePoints(strings.Join(given, ""))
		case "公证":
			if p.source = strings.Join(given, " "); p.source == drawproof.NoSource {
				p.source = ""
			}
		case "截止":
			p.deadline, err = parseDeadline(given, now, zone)
		}
		if err != nil {
			return p, err
		}
	}
	if len(p.prizes) == 0 {
		return p, refuse("还没有写奖品。")
	}
	return p, nil
}

// untilPart cuts words before the next part's.
func untilPart(words []string) (before, rest []string) {
	for i, w := range words {
		if parts[w] {
			return words[:i], words[i:]
		}
	}
	return words, nil
}

// parsePrize reads 电影票 x3 ¥45; the value may be left out.
func parsePrize(words []string) (p drawproof.Prize, err error) {
	at, name, count := -1, "", ""
	for i, w := range words {
		if before, digits, ok := cutCount(w); ok && (before != "" || i > 0) {
			at, count = i, digits
			name = strings.TrimSpace(strings.Join(words[:i], " ") + " " + before)
		}
	}
	if at < 0 {
		return p, refuse("奖品“%s”要写上数量，例如 电影票 x3", strings.Join(words, " "))
	}
	p.Name = name
	if p.Count, err = strconv.Atoi(count); err != nil || p.Count < 1 || p.Count > maxPrizes {
		return p, refuse("奖品“%s”的数量要在 1 到 %d 之间。", name, maxPrizes)
	}
	if value := strings.Join(words[at+1:], ""); value != "" {
		fen, ok := parseYuan(value)
		if !ok {
			return p, refuse("奖品“%s”的数量后面只能写价值，例如 ¥45 或 45元，现在是“%s”。", name, value)
		}
		p.ValueFen = fen
	}
	return p, nil
}

// cutCount cuts the count from the end of a word: x3, ×3 or *3, alone or
// behind a name.
func cutCount(word string) (before, digits string, ok bool) {
	runes := []rune(word)
	i := len(runes)
	for i > 0 && isDigits(narrow(string(runes[i-1]))) {
		i--
	}
	if i == len(runes) || i == 0 || len(runes)-i > 9 || !strings.Contains("xX×*✕", narrow(string(runes[i-1]))) {
		return "", "", false
	}
	return string(runes[:i-1]), narrow(string(runes[i:])), true
}

// parseYuan reads ¥45, 45.50元 or 价值45 into fen.
func parseYuan(s string) (fen int, ok bool) {
	s = strings.ReplaceAll(narrow(s), ",", "")
	for _, prefix := range []string{"每份", "每个", "每张", "价值", "值", "¥", "￥"} {
		s = strings.TrimPrefix(s, prefix)
	}
	for _, suffix := range []string{"元", "块", "/份"} {
		s = strings.TrimSuffix(s, suffix)
	}
	yuan, cents, point := strings.Cut(s, ".")
	if !isDigits(yuan) || len(yuan) > 8 || point && (!isDigits(cents) || len(cents) > 2) {
		return 0, false
	}
	fen, err := strconv.Atoi(yuan + (cents + "00")[:2])
	return fen, err == nil
}

// parseConditions reads one or several conditions, such as
// 积分>=100、未中奖30天、入群7天.
func (p *plan) parseConditions(s string) error {
	s = narrow(s)
	for s != "" {
		var into *int
		var rest string
		points := 0
		switch {
		case strings.HasPrefix(s, "积分"):
			into, rest = &points, strings.TrimPrefix(s, "积分")
			cut := false
			for _, op := range []string{">=", "≥", "=>"} {
				if after, found := strings.CutPrefix(rest, op); found {
					rest, cut = after, true
					break
				}
			}
			if !cut {
				return refuse("积分的条件写成 积分>=100")
			}
		case strings.HasPrefix(s, "未中奖"):
			into, rest = &p.notWonDays, strings.TrimPrefix(s, "未中奖")
		case strings.HasPrefix(s, "入群"):
			into, rest = &p.inGroupDays, strings.TrimPrefix(s, "入群")
		default:
			return refuse("不认识条件“%s”，可以写 积分>=100、未中奖 30天、入群 7天", s)
		}
		digits := 0
		for digits < len(rest) && rest[digits] >= '0' && rest[digits] <= '9' {
			digits++
		}
		n, err := strconv.Atoi(rest[:digits])
		limit := maxDays
		if into == &points {
			limit = maxPoints
		}
		if err != nil || n < 1 || n > limit {
			return refuse("条件“%s”里要有一个 1 到 %d 的数。", s, limit)
		}
		if *into = n; into == &points {
			p.minPoints = int64(n)
		}
		rest = rest[digits:]
		for _, unit := range []string{"天", "分", "日"} {
			rest = strings.TrimPrefix(rest, unit)
		}
		s = strings.TrimLeft(rest, "、,，;；|且和 ")
	}
	return nil
}

func parsePoints(s string) (int64, error) {
	s = strings.TrimSuffix(strings.TrimSuffix(narrow(s), "分"), "积")
	n, err := strconv.ParseInt(s, 10, 64)
	if err != nil || n < 1 || n > maxPoints {
		return 0, refuse("消耗要写一个正整数，例如 消耗 10，现在是“%s”。", s)
	}
	return n, nil
}

// parseDeadline reads 20:00, the next such time, or 2026-11-30 20:00.
func parseDeadline(words []string, now time.Time, zone *time.Location) (*time.Time, error) {
	said := narrow(strings.Join(words, " "))
	var t time.Time
	if clock, err := time.Parse("15:04", said); err == nil {
		local := now.In(zone)
		on := func(day int) time.Time {
			return time.Date(local.Year(), local.Month(), day, clock.Hour(), clock.Minute(), 0, 0, zone)
		}
		if t = on(local.Day()); !t.After(now) {
			t = on(local.Day() + 1)
		}
	} else if t, err = time.ParseInLocation("2006-01-02 15:04", said, zone); err != nil {
		return nil, refuse("截止写成 20:00 或 2026-11-30 20:00，现在是“%s”。", said)
	}
	t = t.UTC()
	return &t, nil
}

// narrow returns s in half width, as numbers and marks are compared.
func narrow(s string) string { return width.Fold.String(s) }

func isDigits(s string) bool {
	for i := range len(s) {
		if s[i] < '0' || s[i] > '9' {
			return false
		}
	}
	return s != ""
}

// isNumber reports whether a word says a draw's number: 3, #3 or 3号.
func isNumber(word string) bool { return numberOf(word) > 0 }

// numberOf returns the number that a word says, 0 if it says none.
func numberOf(word string) int64 {
	s := strings.TrimSuffix(strings.TrimPrefix(narrow(strings.TrimSpace(word)), "#"), "号")
	if !isDigits(s) || len(s) > 15 {
		return 0
	}
	n, _ := strconv.ParseInt(s, 10, 64)
	return n
}
