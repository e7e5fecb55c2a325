package review

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"qunbot/bot"
	"qunbot/store"
)

const (
	appealWithin = 30 * 24 * time.Hour // after a strike
	keepAppeals  = 30 * 24 * time.Hour // what members wrote, after the decision
	appealsADay  = 3                   // of one member
	appealsOnce  = 2                   // of one strike: after a decision, a second one
	maxAppeal    = 300                 // characters
	listed       = 5                   // strikes that an answer lists
)

// A complaint is a strike as its member sees it.
type complaint struct {
	store.StrikeRow
	Where  string
	Appeal store.Appeal // the newest; zero: none
}

// Led says what the strike led to.
func (c complaint) Led() string {
	switch {
	case c.UndoneAt != nil:
		return "已撤销"
	case c.EndsAt != nil:
		return "停用积分和抽奖"
	case c.Points > 0:
		return fmt.Sprintf("扣 %d 分", c.Points)
	}
	return "警告"
}

// Answer says how the appeal stands; empty if there is none.
func (c complaint) Answer() string {
	switch c.Appeal.State {
	case store.AppealOpen:
		return "已申诉，等运营看"
	case store.AppealUpheld:
		return strings.TrimSuffix("申诉成功："+c.Appeal.Reason, "：")
	case store.AppealDeclined:
		return "申诉没有通过：" + c.Appeal.Reason
	}
	return ""
}

// Open reports whether an appeal against the strike can be made.
func (c complaint) Open() bool { return c.UndoneAt == nil && c.Appeal.State != store.AppealOpen }

// complaints returns a member's strikes against which an appeal is possible or
// was made, the newest first.
func (f *feature) complaints(ctx context.Context, tx *store.Tx, member int64, at time.Time) ([]complaint, error) {
	rows, err := tx.StrikeRows(ctx, store.StrikeFilter{MemberID: member, Since: at.Add(-appealWithin), Limit: 20})
	if err != nil {
		return nil, err
	}
	var strikes, groups []int64
	for _, s := range rows {
		strikes, groups = append(strikes, s.ID), append(groups, s.GroupID)
	}
	appeals, err := tx.AppealsOfStrikes(ctx, strikes)
	if err != nil {
		return nil, err
	}
	names, err := tx.GroupNames(ctx, groups)
	list := make([]complaint, len(rows))
	for i, s := range rows {
		list[i] = complaint{s, place(s.GroupID, names), appeals[s.ID]}
	}
	return list, err
}

// place is where something was said.
func place(group int64, names map[int64]string) string {
	switch {
	case group == 0:
		return "私聊"
	case names[group] != "":
		return names[group]
	}
	return "群 " + strconv.FormatInt(group, 10)
}

// appeal answers 申诉, in 1:1 chats.
func (f *feature) appeal(ctx context.Context, tx *store.Tx, m bot.Message) (bot.Reply, error) {
	list, err := f.complaints(ctx, tx, m.Member.ID, m.SentAt)
	if err != nil {
		return bot.Reply{}, err
	}
	if len(list) == 0 {
		return bot.Textf("你最近 30 天没有违规，不用申诉。"), nil
	}
	strike, reason := choose(list, bot.Args(ctx))
	if reason == "" {
		return bot.Reply{Text: f.answerList(list)}, nil
	}
	if strike == 0 {
		return bot.Textf("你最近的违规都已经撤销，不用再申诉。"), nil
	}
	_, problem, err := f.submit(ctx, tx, m.Member.ID, strike, reason, m.SentAt)
	switch {
	case err != nil:
		return bot.Reply{}, err
	case problem != "":
		return bot.Reply{Text: problem}, nil
	}
	return bot.Textf("已收到对 #%d 的申诉，运营会再看一遍。说“申诉”可以看结果。", strike), nil
}

// choose returns the strike that an appeal is against, and why. A number at the
// start that is one of the strikes' chooses it; else it is the newest that
// counts. Strike 0: none counts.
func choose(list []complaint, text string) (strike int64, reason string) {
	word, rest := text, ""
	if i := strings.IndexFunc(text, unicode.IsSpace); i >= 0 {
		word, rest = text[:i], strings.TrimSpace(text[i:])
	}
	if n, err := strconv.ParseInt(strings.TrimPrefix(bot.Fold(word), "#"), 10, 64); err == nil {
		for _, c := range list {
			if c.ID == n {
				return n, rest
			}
		}
	}
	for _, c := range list {
		if c.UndoneAt == nil {
			return c.ID, text
		}
	}
	return 0, text
}

// answerList tells a member of their strikes and appeals.
func (f *feature) answerList(list []complaint) string {
	var b strings.Builder
	b.WriteString("你最近 30 天的违规：")
	for _, c := range list[:min(len(list), listed)] {
		fmt.Fprintf(&b, "\n#%d %s 在%s，%s", c.ID, f.moment(c.At), c.Where, c.Led())
		if c.Text != "" {
			fmt.Fprintf(&b, "，说的是：%s", store.Clip(strings.Join(strings.Fields(c.Text), " "), 30))
		}
		if answer := c.Answer(); answer != "" {
			b.WriteString("\n　" + answer)
		}
	}
	for i, c := range list[:min(len(list), listed)] {
		if !c.Open() {
			continue
		}
		b.WriteString("\n觉得冤枉，就说：申诉 ")
		if i > 0 {
			fmt.Fprintf(&b, "%d ", c.ID)
		}
		b.WriteString("<理由>")
		if len(list) > 1 {
			b.WriteString("\n对别的那次，在理由前写它的编号。")
		}
		break
	}
	return b.String()
}

// submit makes an appeal. problem says, for the member, why it cannot be.
func (f *feature) submit(ctx context.Context, tx *store.Tx, member, strike int64, reason string, at time.Time) (a store.Appeal, problem string, err error) {
	list, err := f.complaints(ctx, tx, member, at)
	if err != nil {
		return a, "", err
	}
	var about complaint
	for _, c := range list {
		if c.ID == strike {
			about = c
		}
	}
	made, err := tx.CountAppeals(ctx, store.AppealFilter{StrikeID: strike, Limit: 1})
	if err != nil {
		return a, "", err
	}
	today, err := tx.CountAppeals(ctx, store.AppealFilter{MemberID: member, Since: store.DayOf(at, f.Zone).Start(f.Zone)})
	switch {
	case err != nil:
		return a, "", err
	case about.ID == 0:
		return a, "没有这次违规，或者已经超过 30 天。", nil
	case about.UndoneAt != nil:
		return a, "这次违规已经撤销，不用再申诉。", nil
	case about.Appeal.State == store.AppealOpen:
		return a, fmt.Sprintf("对 #%d 的申诉还在等运营看，请耐心等一等。", strike), nil
	case made >= appealsOnce:
		return a, fmt.Sprintf("对 #%d 已经申诉过 %d 次，结果不再改了。", strike, made), nil
	case today >= appealsADay:
		return a, fmt.Sprintf("今天已经申诉过 %d 次，明天再来吧。", today), nil
	case utf8.RuneCountInString(reason) < 2:
		return a, "请写上理由，例如：申诉 我是在提醒大家别上当。", nil
	case utf8.RuneCountInString(reason) > maxAppeal:
		return a, fmt.Sprintf("理由最多 %d 个字，现在有 %d 个。", maxAppeal, utf8.RuneCountInString(reason)), nil
	}
	a, err = tx.AddAppeal(ctx, store.Appeal{StrikeID: strike, MemberID: member, Text: reason, At: at})
	if errors.Is(err, store.ErrExists) { // said twice at once
		return a, fmt.Sprintf("对 #%d 的申诉还在等运营看，请耐心等一等。", strike), nil
	}
	if err != nil {
		return a, "", err
	}
	return a, "", f.Notify(ctx, tx, store.Key("review.appeal", a.ID),
		fmt.Sprintf("【申诉】%s（会员 %d）对违规 #%d 申诉。\n%s", bot.Name(member), member, strike, f.PublicURL+appealsPath))
}

// An exportedAppeal is an appeal as its member is given it.
type exportedAppeal struct {
	At     time.Time         `json:"at"`
	Strike int64             `json:"strike"`
	Text   string            `json:"text"`
	State  store.AppealState `json:"state"`
	Reason string            `json:"reason,omitempty"`
}

// maxExport is how many appeals an export holds.
const maxExport = 10_000

// export returns a member's appeals, the newest first.
func (f *feature) export(ctx context.Context, tx *store.Tx, member int64) (any, error) {
	rows, err := tx.Appeals(ctx, store.AppealFilter{MemberID: member, Limit: maxExport})
	list := make([]exportedAppeal, len(rows))
	for i, a := range rows {
		list[i] = exportedAppeal{a.At, a.StrikeID, a.Text, a.State, a.Reason}
	}
	return list, err
}

func (f *feature) erase(ctx context.Context, tx *store.Tx, member int64) error {
	return tx.EraseAppeals(ctx, member)
}
