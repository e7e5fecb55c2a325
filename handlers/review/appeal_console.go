package review

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"unicode/utf8"

	"qunbot/store"
	"qunbot/web/console"
)

func (f *feature) appealsPage() console.Page {
	return console.Page{
		Path: "/review/appeals", Title: "申诉", Purpose: "会员觉得冤枉的违规。申诉成功，扣的分退回，停用解除，这次不再算数。",
		Group: console.Daily, Menu: menu, Icon: "check", Role: store.Analyst, Change: store.Staff,
		FS: files, Template: "appeals.html", Style: "review.css", Load: f.loadAppeals, Post: f.decideAppeal,
	}
}

// An appealRow is an appeal as the page shows it.
type appealRow struct {
	store.Appeal
	Strike      complaint // zero: it is gone
	Name        string
	Parts       []part // what was said, as far as it is kept
	Before      int    // strikes of the member that count, in the last 30 days, this one included
	By          string
	Kind, State string // for the function state
}

type appealsData struct {
	Count   int64 // that wait
	Open    []appealRow
	Decided console.Rows[appealRow]
	Change  bool
	Fields  console.Fields
	Wrong   string // number of the appeal whose form is shown again
}

// Heading implements console.Headed.
func (d appealsData) Heading() (title, purpose string) {
	return "申诉", "会员觉得冤枉的违规。申诉成功，扣的分退回，停用解除，这次不再算数。" + waits(d.Count)
}

func (f *feature) loadAppeals(ctx context.Context, tx *store.Tx, v console.Visit) (any, error) {
	data := appealsData{Change: v.Operator.Role.Covers(store.Staff), Fields: v.Fields("reason", "")}
	if v.Form != nil {
		data.Wrong = v.Value("id")
	}
	var err error
	if data.Count, err = tx.CountAppeals(ctx, store.AppealFilter{Open: true}); err != nil {
		return nil, err
	}
	open, err := tx.Appeals(ctx, store.AppealFilter{Open: true, Limit: maxWaiting})
	if err != nil {
		return nil, err
	}
	if data.Open, err = f.appealRows(ctx, tx, v, open); err != nil {
		return nil, err
	}
	decided, err := tx.Appeals(ctx, store.AppealFilter{Decided: true, Before: v.Before, Limit: v.Limit})
	if err != nil {
		return nil, err
	}
	rows, err := f.appealRows(ctx, tx, v, decided)
	data.Decided = console.Paged(v, rows, func(r appealRow) int64 { return r.ID })
	return data, err
}

func (f *feature) appealRows(ctx context.Context, tx *store.Tx, v console.Visit, list []store.Appeal) ([]appealRow, error) {
	var members, groups []int64
	rows := make([]appealRow, len(list))
	for i, a := range list {
		members = append(members, a.MemberID)
		found, err := tx.StrikeRows(ctx, store.StrikeFilter{ID: a.StrikeID, Limit: 1})
		if err != nil {
			return nil, err
		}
		r := appealRow{Appeal: a}
		if len(found) > 0 {
			r.Strike.StrikeRow = found[0]
			groups = append(groups, found[0].GroupID)
			hits, err := f.Scan(ctx, tx, found[0].GroupID, found[0].Text)
			if err != nil {
				return nil, err
			}
			r.Parts = partsOf(found[0].Text, hits)
		}
		if a.State == store.AppealOpen {
			if r.Before, err = tx.CountStrikes(ctx, a.MemberID, v.Now.Add(-appealWithin), v.Now); err != nil {
				return nil, err
			}
		}
		switch a.State {
		case store.AppealUpheld:
			r.Kind, r.State = "good", "申诉成功"
		case store.AppealDeclined:
			r.Kind, r.State = "quiet", "没有通过"
		default:
			r.Kind, r.State = "warn", "等运营看"
		}
		rows[i] = r
	}
	names, err := tx.Names(ctx, members)
	if err != nil {
		return nil, err
	}
	places, err := tx.GroupNames(ctx, groups)
	if err != nil {
		return nil, err
	}
	operators, err := operatorNames(ctx, tx)
	for i, r := range rows {
		if rows[i].Name = names[r.MemberID]; rows[i].Name == "" {
			rows[i].Name = "会员 " + strconv.FormatInt(r.MemberID, 10)
		}
		rows[i].Strike.Where = place(r.Strike.GroupID, places)
		rows[i].By = operators[r.DecidedBy]
	}
	return rows, err
}

// decideAppeal upholds or declines an appeal.
func (f *feature) decideAppeal(ctx context.Context, tx *store.Tx, v console.Visit) (console.Result, error) {
	fail := func(field, problem string) (console.Result, error) {
		return console.Result{}, console.Invalid(field, problem)
	}
	id, err := strconv.ParseInt(v.Value("id"), 10, 64)
	if err != nil {
		return fail("", "没有这次申诉，请刷新页面再试。")
	}
	a, err := tx.Appeal(ctx, id)
	if errors.Is(err, store.ErrNotFound) {
		return fail("", "没有这次申诉，请刷新页面再试。")
	}
	if err != nil {
		return console.Result{}, err
	}
	reason := v.Value("reason")
	to := store.AppealUpheld
	switch do := v.Value("do"); {
	case do == "decline":
		to = store.AppealDeclined
	case do != "uphold":
		return fail("", "没有这个操作。")
	}
	switch {
	case to == store.AppealDeclined && reason == "":
		return fail("reason", "写一句为什么，会员会看到。")
	case utf8.RuneCountInString(reason) > maxReason:
		return fail("reason", fmt.Sprintf("最多 %d 个字。", maxReason))
	}
	decided, err := tx.DecideAppeal(ctx, id, to, v.Operator.ID, reason, v.Now)
	if err != nil {
		return console.Result{}, err
	}
	if !decided {
		return fail("", "已经有人处理过了，下面能看到结果。")
	}
	done := console.Result{Object: fmt.Sprintf("appeal %d", id), Redirect: appealsPath,
		Detail: fmt.Sprintf("%s：会员 %d 对违规 %d 的申诉 %s", to, a.MemberID, a.StrikeID, reason), Message: "没有通过。"}
	answer := fmt.Sprintf("你对违规 #%d 的申诉没有通过：%s", a.StrikeID, reason)
	if to == store.AppealUpheld {
		var came string
		if came, err = f.undo(ctx, tx, a.StrikeID, v); err != nil {
			return console.Result{}, err
		}
		done.Message, done.Detail = "申诉成功，"+came, done.Detail+" "+came
		answer = fmt.Sprintf("你对违规 #%d 的申诉成功了，%s", a.StrikeID, came)
		if reason != "" {
			answer += "运营说：" + reason
		}
	}
	reached, err := f.Tell(ctx, tx, a.MemberID, store.Key("review.answer", a.ID), answer)
	if err == nil && reached {
		done.Message += "已告诉会员。"
	} else {
		done.Message += "会员说“申诉”或打开会员页就能看到。"
	}
	return done, err
}

// undo undoes a strike and says what came of it, to whoever reads it. A strike
// that is undone, or gone, is left as it is.
func (f *feature) undo(ctx context.Context, tx *store.Tx, strike int64, v console.Visit) (string, error) {
	points, lifted, undone, err := f.Undo(ctx, tx, strike, v.Operator.ID, v.Now)
	if errors.Is(err, store.ErrNotFound) {
		return "这次违规的记录已经不在了。", nil
	}
	if err != nil {
		return "", err
	}
	if !undone {
		return "这次违规之前就撤销了。", nil
	}
	text := "这次不再算违规。"
	if points > 0 {
		text += fmt.Sprintf("退回 %d 分。", points)
	}
	if lifted {
		text += "停用解除了。"
	}
	return text, nil
}
