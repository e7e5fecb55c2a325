package draw

import (
	"context"
	"fmt"
	"strings"

	"qunbot/bot"
	"qunbot/drawproof"
	"qunbot/store"
	"qunbot/web/style"
)

// shownDays is for how long the list shows draws that are over.
const shownDays = 7

// join answers 抽奖: alone it lists, with a name or a number it enters.
func (f *feature) join(ctx context.Context, tx *store.Tx, m bot.Message) (bot.Reply, error) {
	where, err := malls(ctx, tx, m.Member.ID, m.Group)
	if err != nil {
		return bot.Reply{}, err
	}
	which := bot.Args(ctx)
	if which == "" {
		return answer(f.list(ctx, tx, m, where))
	}
	d, err := f.find(ctx, tx, where, which)
	if err != nil {
		return answer("", err)
	}
	if d.State == store.DrawDrawn && !m.SentAt.Before(*d.ClosedAt) {
		return answer(f.outcome(ctx, tx, m, d))
	}
	r, err := f.enter(ctx, tx, d.ID, m.Member.ID, m.SentAt)
	if err != nil {
		return answer("", err)
	}
	return bot.Reply{Text: f.enteredText(r)}, nil
}

// enteredText tells a member that they are in.
func (f *feature) enteredText(r entered) string {
	d := r.draw
	if r.again {
		return fmt.Sprintf("你已经报过“%s”（#%d）了：第 %d 位，核对码 %s。每人一次，%s。", d.Name, d.Number, r.Number, r.Code, f.waiting(d))
	}
	text := fmt.Sprintf("报名成功！“%s”（#%d），你是第 %d 位，核对码 %s。\n", d.Name, d.Number, r.Number, r.Code)
	if d.Cost > 0 {
		text += fmt.Sprintf("花了 %s 分，现有 %s 分。", style.Number(d.Cost), style.Number(r.balance))
	}
	return text + "记下核对码，开奖后能查到自己在名单里；" + f.waiting(d) + "。"
}

// waiting says what comes next.
func (f *feature) waiting(d store.Draw) string {
	switch d.State {
	case store.DrawOpen:
		return "截止：" + f.deadlineWords(d)
	case store.DrawClosed:
		return "已经截止，等开奖"
	}
	return stateWords(d)
}

// outcome tells a member how a draw that is over ended for them.
func (f *feature) outcome(ctx context.Context, tx *store.Tx, m bot.Message, d store.Draw) (string, error) {
	wins, err := tx.DrawWins(ctx, d.ID)
	if err != nil {
		return "", err
	}
	text := fmt.Sprintf("“%s”（#%d）已经开奖，%s 位报名。", d.Name, d.Number, style.Number(int64(d.Entries)))
	var names []string
	for _, w := range wins {
		if w.State == store.WinOpen || w.State == store.WinClaimed {
			if len(names) < shownNames {
				names = append(names, nameOf(w))
			}
			if w.MemberID != nil && *w.MemberID == m.Member.ID {
				text += "你中奖了！私聊我发“我的奖品”。"
			}
		}
	}
	if len(names) > 0 {
		text += "\n中奖：" + strings.Join(names, "、")
	}
	if page := f.page(d); page != "" {
		text += "\n自己验算：" + page
	}
	return text, nil
}

// list answers 抽奖 without more.
func (f *feature) list(ctx context.Context, tx *store.Tx, m bot.Message, where []int64) (string, error) {
	draws, err := tx.Draws(ctx, store.DrawFilter{Malls: where, Since: m.SentAt.AddDate(0, 0, -shownDays), Limit: 20})
	if err != nil {
		return "", err
	}
	if len(draws) == 0 {
		return "现在没有抽奖，过几天再来看看～", nil
	}
	several, err := mallNames(ctx, tx)
	if err != nil {
		return "", err
	}
	var open, rest strings.Builder
	first := int64(0)
	for _, d := range draws {
		r, err := rulesOf(d)
		if err != nil {
			return "", err
		}
		title := fmt.Sprintf("\n#%d %s", d.Number, d.Name)
		if len(where) > 1 {
			title += "（" + several[d.MallID] + "）"
		}
		switch d.State {
		case store.DrawOpen:
			if first == 0 || d.Number < first {
				first = d.Number
			}
			fmt.Fprintf(&open, "%s：%s", title, prizesWords(r))
			if len(r.Conditions) > 0 {
				open.WriteString("；" + strings.Join(r.Conditions, "，"))
			}
			if d.Cost > 0 {
				fmt.Fprintf(&open, "；花 %s 分", style.Number(d.Cost))
			}
			fmt.Fprintf(&open, "；截止 %s；已有 %s 位", f.deadlineWords(d), style.Number(int64(d.Entries)))
		case store.DrawClosed:
			fmt.Fprintf(&rest, "%s：%s 位报名，等开奖", title, style.Number(int64(d.Entries)))
			if r.Source != drawproof.NoSource {
				fmt.Fprintf(&rest, "（公证数：%s）", r.Source)
			}
		case store.DrawDrawn:
			fmt.Fprintf(&rest, "%s：已开奖，%s 位报名 %s", title, style.Number(int64(d.Entries)), f.page(d))
		case store.DrawCancelled:
			fmt.Fprintf(&rest, "%s：已取消，%s", title, d.Reason)
		}
	}
	var parts []string
	if open.Len() > 0 {
		parts = append(parts, "正在报名："+open.String()+fmt.Sprintf("\n想参加就说“抽奖 %d”，或者说名称。", first))
	}
	if rest.Len() > 0 {
		parts = append(parts, "最近的抽奖："+strings.TrimRight(rest.String(), " "))
	}
	return strings.Join(parts, "\n"), nil
}

// find returns the one draw of the malls that somebody means by a number or a
// name, or a refusal that asks.
func (f *feature) find(ctx context.Context, tx *store.Tx, where []int64, which string) (store.Draw, error) {
	filter := store.DrawFilter{Malls: where, Limit: 200}
	number := numberOf(which)
	if number > 0 {
		filter.Number = number
	}
	draws, err := tx.Draws(ctx, filter)
	if err != nil {
		return store.Draw{}, err
	}
	var same, like []store.Draw
	for _, d := range draws {
		switch {
		case number > 0 || sameName(d.Name, which):
			same = append(same, d)
		case strings.Contains(bot.Fold(d.Name), bot.Fold(which)):
			like = append(like, d)
		}
	}
	if len(same) == 0 {
		same = like
	}
	same = mostAlive(same)
	switch len(same) {
	case 0:
		return store.Draw{}, refuse("没有找到“%s”。说“抽奖”看看有哪些。", which)
	case 1:
		return same[0], nil
	}
	return f.ask(ctx, tx, same, number > 0)
}

// ask returns the refusal that asks which of several draws is meant.
func (f *feature) ask(ctx context.Context, tx *store.Tx, draws []store.Draw, byNumber bool) (store.Draw, error) {
	names, err := mallNames(ctx, tx)
	if err != nil {
		return store.Draw{}, err
	}
	var list []string
	for _, d := range draws[:min(5, len(draws))] {
		list = append(list, fmt.Sprintf("#%d %s（%s）", d.Number, d.Name, names[d.MallID]))
	}
	how := "请说编号"
	if byNumber {
		how = "请说名称，或者到那家商场的群里说"
	}
	return store.Draw{}, refuse("有几场都对得上：%s。%s。", strings.Join(list, "、"), how)
}

// mostAlive keeps the draws that are open, or if none is, the closed ones, or
// else the newest of each mall.
func mostAlive(draws []store.Draw) []store.Draw {
	for _, state := range []store.DrawState{store.DrawOpen, store.DrawClosed} {
		var kept []store.Draw
		for _, d := range draws {
			if d.State == state {
				kept = append(kept, d)
			}
		}
		if len(kept) > 0 {
			return kept
		}
	}
	var kept []store.Draw
	seen := map[int64]bool{}
	for _, d := range draws {
		if !seen[d.MallID] {
			seen[d.MallID] = true
			kept = append(kept, d)
		}
	}
	return kept
}

func sameName(a, b string) bool { return bot.Fold(a) == bot.Fold(b) }
