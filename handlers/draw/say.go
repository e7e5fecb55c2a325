package draw

import (
	"fmt"
	"strings"
	"time"

	"qunbot/bot"
	"qunbot/drawproof"
	"qunbot/store"
	"qunbot/web/style"
)

// shownNames is how many winners of a prize an announcement names; the page
// names all.
const shownNames = 20

// stateWords says how far a draw has come.
func stateWords(d store.Draw) string {
	switch d.State {
	case store.DrawOpen:
		return "正在报名"
	case store.DrawClosed:
		return "已经截止"
	case store.DrawDrawn:
		return "已经开奖"
	}
	return "已经取消"
}

// dayWords writes a day as 11月22日 周日.
func (f *feature) dayWords(d store.Day) string {
	return style.DayText(d, store.DayOf(f.Now(), f.Zone))
}

// momentWords writes a time as 11月22日 周日 20:00.
func (f *feature) momentWords(t time.Time) string {
	return f.dayWords(store.DayOf(t, f.Zone)) + " " + t.In(f.Zone).Format("15:04")
}

// deadlineWords says until when a draw is open.
func (f *feature) deadlineWords(d store.Draw) string {
	if d.Deadline == nil {
		return "由运营宣布"
	}
	return f.momentWords(*d.Deadline)
}

// prizeWords writes a prize as 电影票 × 3（每份 ¥45.00）.
func prizeWords(p drawproof.Prize) string {
	text := fmt.Sprintf("%s × %d", p.Name, p.Count)
	if p.ValueFen > 0 {
		return text + "（每份 " + style.Yuan(int64(p.ValueFen)) + "）"
	}
	return text + "（未标价）"
}

func prizesWords(r drawproof.Rules) string {
	list := make([]string, len(r.Prizes))
	for i, p := range r.Prizes {
		list[i] = prizeWords(p)
	}
	return strings.Join(list, "，")
}

func conditionsWords(r drawproof.Rules) string {
	if len(r.Conditions) == 0 {
		return "无，人人可以参加"
	}
	return strings.Join(r.Conditions, "；") + "（报名时判断）"
}

// openText announces a new draw: everything that will not change any more.
func (f *feature) openText(d store.Draw) (string, error) {
	r, err := rulesOf(d)
	if err != nil {
		return "", err
	}
	var b strings.Builder
	title := "【抽奖】" // a preview has no number yet
	if d.Number > 0 {
		title = fmt.Sprintf("【抽奖 #%d】", d.Number)
	}
	fmt.Fprintf(&b, "%s%s\n奖品：%s\n条件：%s", title, d.Name, prizesWords(r), conditionsWords(r))
	if d.Cost > 0 {
		fmt.Fprintf(&b, "\n消耗：%s 分，取消则全部退回", style.Number(d.Cost))
	}
	fmt.Fprintf(&b, "\n截止：%s", f.deadlineWords(d))
	if d.Deadline != nil {
		b.WriteString("，到点那一秒不算")
	}
	if r.Source != drawproof.NoSource {
		fmt.Fprintf(&b, "\n公证数：%s，截止以后公布", r.Source)
	}
	fmt.Fprintf(&b, "\n领奖：%s\n主办：%s", r.Claim, r.Organiser)
	if d.Number > 0 {
		fmt.Fprintf(&b, "\n参加：发“抽奖 %d”，每人一次", d.Number)
		fmt.Fprintf(&b, "\n种子的承诺值：%s", d.Commitment)
		if page := f.page(d); page != "" {
			b.WriteString("\n公示和验证：" + page)
		}
	}
	return b.String(), nil
}

// closedText announces that nobody enters any more.
func (f *feature) closedText(d store.Draw) (string, error) {
	r, err := rulesOf(d)
	if err != nil {
		return "", err
	}
	text := fmt.Sprintf("【抽奖 #%d】%s 报名截止：共 %s 位。", d.Number, d.Name, style.Number(int64(d.Entries)))
	if closedEarly(d) {
		text += "比预定的 " + f.momentWords(*d.Deadline) + " 提前。"
	}
	text += "\n名单的校验值：" + d.Chain
	if r.Source != drawproof.NoSource {
		text += fmt.Sprintf("\n等公证数（%s）公布后开奖。", r.Source)
	}
	if page := f.page(d); page != "" {
		text += "\n公示和验证：" + page
	}
	return text, nil
}

// closedEarly reports whether an operator closed a draw before the deadline
// that was announced.
func closedEarly(d store.Draw) bool {
	return d.Deadline != nil && d.ClosedAt != nil && d.ClosedAt.Before(*d.Deadline)
}

// valueText announces the public value.
func (f *feature) valueText(d store.Draw) (string, error) {
	r, err := rulesOf(d)
	return fmt.Sprintf("【抽奖 #%d】%s 的公证数：%s（%s）。中奖的人现在已经定了，谁也改不了。", d.Number, d.Name, d.PublicValue, r.Source), err
}

// drawnText announces the winners.
func (f *feature) drawnText(d store.Draw, wins []store.DrawWin) (string, error) {
	r, err := rulesOf(d)
	if err != nil {
		return "", err
	}
	var b strings.Builder
	fmt.Fprintf(&b, "【抽奖 #%d】%s 开奖：%s 位报名", d.Number, d.Name, style.Number(int64(d.Entries)))
	if d.PublicValue != "" {
		fmt.Fprintf(&b, "，公证数 %s（%s）", d.PublicValue, r.Source)
	}
	won := false
	for i, p := range r.Prizes {
		var names []string
		total := 0
		for _, w := range wins {
			if w.Prize != i+1 {
				continue
			}
			if total++; total <= shownNames {
				names = append(names, nameOf(w))
			}
		}
		text := strings.Join(names, "、")
		switch {
		case total == 0:
			text = "没有人报名，无人中奖"
			if d.Entries > 0 {
				text = "报名的人少于奖品，没有发完"
			}
		case total > shownNames:
			text += fmt.Sprintf(" 等 %d 位", total)
		}
		won = won || total > 0
		fmt.Fprintf(&b, "\n%s：%s", p.Name, text)
	}
	if won {
		until := store.DayOf(claimUntil(d, *d.DrawnAt, f.Zone), f.Zone).Add(-1)
		fmt.Fprintf(&b, "\n恭喜！中奖的朋友请私聊我发“我的奖品”拿领奖码，%s 前（含当天）领取，过期由候补递补。", f.dayWords(until))
	}
	fmt.Fprintf(&b, "\n种子：%s", d.Seed)
	if page := f.page(d); page != "" {
		b.WriteString("\n自己验算：" + page)
	}
	return b.String(), nil
}

// nameOf is how an announcement names a winner.
func nameOf(w store.DrawWin) string {
	if w.MemberID == nil {
		return fmt.Sprintf("第 %d 位报名者（已注销）", w.Entry)
	}
	return bot.Name(*w.MemberID)
}

// cancelledText announces that a draw was cancelled.
func (f *feature) cancelledText(d store.Draw) string {
	text := fmt.Sprintf("【抽奖 #%d】%s 已取消：%s", d.Number, d.Name, d.Reason)
	if d.Cost > 0 && d.Entries > 0 {
		text += "\n报名花的积分全部退回。"
	}
	text += "\n种子照样公开：" + d.Seed
	if page := f.page(d); page != "" {
		text += "\n公示和验证：" + page
	}
	return text
}

// passedOnText announces that a prize was not claimed, and who gets it now:
// next, which is zero if there is nobody left.
func (f *feature) passedOnText(d store.Draw, from, next store.DrawWin) (string, error) {
	p, err := prizeOf(d, from)
	if err != nil {
		return "", err
	}
	text := fmt.Sprintf("【抽奖 #%d】%s：%s 没有按时领取“%s”，", d.Number, d.Name, nameOf(from), p.What.Name)
	if next.ID == 0 {
		return text + "候补也已用完，这份奖品作废。", nil
	}
	p.DrawWin = next
	return text + fmt.Sprintf("由候补 %s 递补，请私聊我发“我的奖品”，%s 前（含当天）领取。", nameOf(next), f.dayWords(p.LastDay(f.Zone))), nil
}
