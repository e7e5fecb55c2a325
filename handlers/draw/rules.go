package draw

import (
	"fmt"
	"strings"
	"time"
	"unicode/utf8"

	"qunbot/drawproof"
	"qunbot/store"
	"qunbot/web/style"
)

// What a draw may be made of.
const (
	maxName       = 40    // characters of a draw's or a prize's name
	maxKinds      = 10    // of prizes
	maxPrizes     = 1_000 // of all kinds together
	maxSource     = 60    // characters
	maxValue      = 60    // characters of a public value
	maxReason     = 150   // characters
	maxDays       = 3_650 // of a condition
	maxPoints     = 1_000_000_000
	maxAhead      = 366 * 24 * time.Hour // of a deadline
	codeLength    = 10                   // of claim codes
	unambiguous   = "23456789ABCDEFGHJKMNPQRSTUVWXYZ"
	maxOpenByMall = 50
)

// Limits are what operators may change for all draws to come.
type Limits struct {
	MaxValueFen int64 `json:"max_value_fen"` // highest value of one prize, in fen
	ClaimDays   int   `json:"claim_days"`    // how long a prize waits for its winner
}

// The law (反不正当竞争法) forbids lucky draws in sales promotion whose highest
// prize is worth more than ¥50,000.
var defaultLimits = Limits{MaxValueFen: 50_000_00, ClaimDays: 7}

// check returns what is wrong with l, for the operator who set it, and the
// field it is wrong in.
func (l Limits) check() (field, problem string) {
	switch {
	case l.MaxValueFen < 1 || l.MaxValueFen > defaultLimits.MaxValueFen:
		return "max_value", "要在 ¥0.01 到 ¥50,000 之间：国家规定有奖销售里抽奖的最高奖不得超过五万元"
	case l.ClaimDays < 1 || l.ClaimDays > 90:
		return "claim_days", "要在 1 到 90 天之间"
	}
	return "", ""
}

// A plan is a draw as an operator asks for it.
type plan struct {
	name        string
	prizes      []drawproof.Prize
	minPoints   int64
	notWonDays  int
	inGroupDays int
	cost        int64
	source      string // of the public value; empty: none
	deadline    *time.Time
}

// check returns the refusal of a plan that cannot be.
func (p plan) check(l Limits, now time.Time) error {
	switch {
	case p.name == "":
		return refuse("抽奖要有名称。")
	case utf8.RuneCountInString(p.name) > maxName:
		return refuse("名称最多 %d 个字，现在有 %d 个。", maxName, utf8.RuneCountInString(p.name))
	case strings.Trim(p.name, "0123456789#") == "":
		return refuse("名称不能只有数字，会和编号混淆。")
	case len(p.prizes) == 0:
		return refuse("至少要有一种奖品，例如 奖品 电影票 x3 ¥45")
	case len(p.prizes) > maxKinds:
		return refuse("奖品最多 %d 种，现在有 %d 种。", maxKinds, len(p.prizes))
	}
	total := 0
	for _, prize := range p.prizes {
		if err := checkPrize(prize, l); err != nil {
			return err
		}
		total += prize.Count
	}
	switch {
	case total > maxPrizes:
		return refuse("奖品一共最多 %d 份，现在有 %d 份。", maxPrizes, total)
	case p.minPoints < 0 || p.minPoints > maxPoints:
		return refuse("条件里的积分要在 0 到 %s 之间。", style.Number(maxPoints))
	case p.cost < 0 || p.cost > maxPoints:
		return refuse("消耗的积分要在 0 到 %s 之间。", style.Number(maxPoints))
	case p.notWonDays < 0 || p.notWonDays > maxDays || p.inGroupDays < 0 || p.inGroupDays > maxDays:
		return refuse("条件里的天数要在 0 到 %d 之间。", maxDays)
	case utf8.RuneCountInString(p.source) > maxSource:
		return refuse("公证数的来源最多 %d 个字。", maxSource)
	case p.deadline != nil && !p.deadline.After(now):
		return refuse("截止时间已经过了，请写一个以后的时间。")
	case p.deadline != nil && p.deadline.Sub(now) > maxAhead:
		return refuse("截止时间最远是一年以后。")
	}
	return nil
}

func checkPrize(p drawproof.Prize, l Limits) error {
	switch {
	case p.Name == "" || utf8.RuneCountInString(p.Name) > maxName:
		return refuse("奖品的名称要有 1 到 %d 个字。", maxName)
	case p.Count < 1 || p.Count > maxPrizes:
		return refuse("奖品“%s”的数量要在 1 到 %d 之间。", p.Name, maxPrizes)
	case p.ValueFen < 0 || int64(p.ValueFen) > l.MaxValueFen:
		return refuse("奖品“%s”每份值 %s，超过了上限 %s：国家规定抽奖的最高奖不得超过五万元，商场可以在后台把上限调得更低。",
			p.Name, style.Yuan(int64(p.ValueFen)), style.Yuan(l.MaxValueFen))
	}
	return nil
}

// rules returns what is announced of a plan.
func (p plan) rules(organiser string, l Limits, now time.Time) drawproof.Rules {
	r := drawproof.Rules{
		Name: p.name, Organiser: organiser, Prizes: p.prizes, Conditions: []string{}, Cost: int(p.cost),
		Created: stamp(now), Source: p.source,
		Claim: fmt.Sprintf("开奖后 %d 天内，私聊机器人发“我的奖品”或打开会员页拿领奖码，到服务台领取；过期由候补递补", l.ClaimDays),
	}
	if r.Source == "" {
		r.Source = drawproof.NoSource
	}
	if p.deadline != nil {
		r.Deadline = stamp(*p.deadline)
	}
	if p.minPoints > 0 {
		r.Conditions = append(r.Conditions, fmt.Sprintf("积分不少于 %s 分", style.Number(p.minPoints)))
	}
	if p.notWonDays > 0 {
		r.Conditions = append(r.Conditions, fmt.Sprintf("最近 %d 天没有中过奖", p.notWonDays))
	}
	if p.inGroupDays > 0 {
		r.Conditions = append(r.Conditions, fmt.Sprintf("入群满 %d 天", p.inGroupDays))
	}
	r.Alternates = r.Winners() // one behind each winner
	return r
}

// stamp writes a time as records do.
func stamp(t time.Time) string { return t.UTC().Format("2006-01-02T15:04:05Z") }

// A standing is what a member brings to the conditions when they enter.
type standing struct {
	points  int64
	lastWon time.Time // zero: never
	since   time.Time // first seen in a group of the mall; zero: never
}

// missing returns what keeps a member out, in words for them; nil if nothing
// does.
func missing(d store.Draw, s standing, at time.Time, zone *time.Location) []string {
	var list []string
	need := max(d.MinPoints, d.Cost)
	switch {
	case s.points >= need:
	case d.MinPoints >= d.Cost:
		list = append(list, fmt.Sprintf("积分要有 %s 分，你现在有 %s 分，还差 %s 分", style.Number(need), style.Number(s.points), style.Number(need-s.points)))
	default:
		list = append(list, fmt.Sprintf("报名要花 %s 分，你现在有 %s 分，还差 %s 分", style.Number(need), style.Number(s.points), style.Number(need-s.points)))
	}
	today := store.DayOf(at, zone)
	if d.NotWonDays > 0 && !s.lastWon.IsZero() {
		if won := store.DayOf(s.lastWon, zone); today.Since(won) < d.NotWonDays {
			list = append(list, fmt.Sprintf("你 %s 刚中过奖，%s 起可以再参加", won, won.Add(d.NotWonDays)))
		}
	}
	if d.InGroupDays > 0 {
		switch since := store.DayOf(s.since, zone); {
		case s.since.IsZero():
			list = append(list, fmt.Sprintf("要入群满 %d 天，还没在群里见过你", d.InGroupDays))
		case today.Since(since) < d.InGroupDays:
			list = append(list, fmt.Sprintf("要入群满 %d 天，你 %s 入群，%s 起可以参加", d.InGroupDays, since, since.Add(d.InGroupDays)))
		}
	}
	return list
}

// mask hides a name: its first character stays.
func mask(name string) string {
	r, _ := utf8.DecodeRuneInString(strings.TrimSpace(name))
	if name == "" || r == utf8.RuneError {
		return "会员＊＊"
	}
	return string(r) + "＊＊"
}
