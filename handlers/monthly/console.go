package monthly

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"

	"qunbot/handlers"
	"qunbot/store"
	"qunbot/web/console"
)

// historyMonths is how many months the page looks back.
const historyMonths = 6

// page is the operators' page: each mall's text, when it is posted, and what
// members will read.
func (f *feature) page() console.Page {
	return console.Page{
		Path: "/monthly", Title: "活动文案", Purpose: "每个商场一份，每月到了日子自动发到它的群里。", Group: console.Content, Menu: "资讯和关键词", Icon: "calendar",
		Role: store.Analyst, Change: store.Staff,
		FS: files, Style: "console.css", Load: f.load, Post: f.save,
	}
}

// pageData is what the page shows.
type pageData struct {
	May          bool // the visitor may change something
	Malls        []mallChip
	Mall         store.Mall
	Fields       console.Fields
	Preview      string
	Problem      string // why there is no preview
	Unsaved      bool   // the preview is of what was typed
	Groups       int    // that can be posted to
	Next         time.Time
	Missed       time.Time // was due and not posted
	History      []store.MonthlyPost
	Limit        int
	Placeholders []shownPlaceholder
	Choices      []console.Option
}

type mallChip struct {
	store.Mall
	On bool
}

type shownPlaceholder struct {
	placeholder
	Written, Value string
}

// example is the text that a mall without one is offered.
const example = "{{.Mall}}{{.Month}}会员月来啦！\n\n{{.LastMonth}}大家一共领了 {{.Points}} 积分。这个月继续在群里说“签到”领积分，抽奖、兑换都能用。"

// load shows a mall's text with its preview. With ?text= it is that of what was
// typed.
func (f *feature) load(ctx context.Context, tx *store.Tx, v console.Visit) (any, error) {
	data := pageData{May: v.Operator.Role.Covers(store.Staff), Limit: maxPost, Choices: console.Options("on", "每月自动发", "off", "先不发")}
	malls, err := tx.Malls(ctx)
	if err != nil || len(malls) == 0 {
		return data, err
	}
	data.Mall = malls[0]
	for _, m := range malls {
		if v.Query.Get("mall") == strconv.FormatInt(m.ID, 10) {
			data.Mall = m
		}
	}
	for _, m := range malls {
		data.Malls = append(data.Malls, mallChip{m, m.ID == data.Mall.ID})
	}
	t, err := tx.MonthlyText(ctx, data.Mall.ID)
	stored := err == nil
	if errors.Is(err, store.ErrNotFound) {
		t, err = store.MonthlyText{MallID: data.Mall.ID, Text: example, DayOfMonth: 1, Hour: 10, Enabled: true, Since: v.Now}, nil
	}
	if err != nil {
		return nil, err
	}
	targets, err := f.targets(ctx, tx, data.Mall.ID)
	if err != nil {
		return nil, err
	}
	data.Groups = len(targets)
	if data.History, err = tx.MonthlyPosts(ctx, data.Mall.ID, historyMonths); err != nil {
		return nil, err
	}
	typed := input{Text: t.Text, Day: strconv.Itoa(t.DayOfMonth), At: fmt.Sprintf("%02d:%02d", t.Hour, t.Minute), Enabled: onOff(t.Enabled)}
	if v.Form == nil && v.Query.Has("text") {
		typed = input{plain(v.Query.Get("text")), v.Query.Get("day"), v.Query.Get("at"), v.Query.Get("enabled")}
		data.Unsaved = true
	}
	if v.Form != nil {
		typed.Text, data.Unsaved = plain(v.Value("text")), true
	}
	data.Fields = v.Fields("text", typed.Text, "day", typed.Day, "at", typed.At, "enabled", typed.Enabled)
	if stored && t.Enabled {
		data.Next = f.next(t, data.History, v.Now)
		if last := lastDue(t, v.Now, f.Zone); !last.Before(t.Since) && !posted(data.History, monthOf(last, f.Zone)) {
			data.Missed = last
		}
	}
	due := data.Next
	if shown := t; typed.into(&shown) == nil {
		due = f.next(shown, data.History, v.Now)
	}
	if due.IsZero() {
		due = v.Now
	}
	t.Text = typed.Text
	err = f.preview(ctx, tx, &data, t, targets, due)
	return data, err
}

// next returns when t is posted next: in a month in which it was not.
func (f *feature) next(t store.MonthlyText, history []store.MonthlyPost, now time.Time) time.Time {
	next := nextDue(t, now, f.Zone)
	if posted(history, monthOf(next, f.Zone)) {
		next = nextDue(t, next, f.Zone)
	}
	return next
}

func posted(history []store.MonthlyPost, month string) bool {
	for _, p := range history {
		if p.Month == month && p.Problem == "" {
			return true
		}
	}
	return false
}

// preview fills the text in with the values of when it is due.
func (f *feature) preview(ctx context.Context, tx *store.Tx, data *pageData, t store.MonthlyText, targets []store.Group, due time.Time) error {
	v, err := f.values(ctx, tx, data.Mall, due)
	if err != nil {
		return err
	}
	for _, p := range placeholders {
		data.Placeholders = append(data.Placeholders, shownPlaceholder{p, "{{." + p.Name + "}}", v[p.Name]})
	}
	if data.Preview, err = render(t.Text, v); err != nil {
		data.Problem = err.Error()
		return nil
	}
	c, err := f.cleared(ctx, tx, data.Mall, t, data.Preview, targets, due, false)
	data.Problem = c.Problem()
	return err
}

// An input is what the form holds.
type input struct{ Text, Day, At, Enabled string }

func onOff(on bool) string {
	if on {
		return "on"
	}
	return "off"
}

// into writes the input to t, or returns what is wrong with it.
func (in input) into(t *store.MonthlyText) error {
	day, err := strconv.Atoi(in.Day)
	if err != nil || day < 1 || day > 31 {
		return console.Invalid("day", "写 1 到 31 之间的整数。没有这一天的月份用最后一天。")
	}
	at, err := time.Parse("15:04", in.At)
	if err != nil {
		return console.Invalid("at", "写成 10:00 这样，从 00:00 到 23:59。")
	}
	t.Text, t.DayOfMonth, t.Hour, t.Minute, t.Enabled = in.Text, day, at.Hour(), at.Minute(), in.Enabled == "on"
	return nil
}

// save stores a mall's text. What was due before a change of its day or time is
// not posted any more.
func (f *feature) save(ctx context.Context, tx *store.Tx, v console.Visit) (console.Result, error) {
	fail := func(err error) (console.Result, error) { return console.Result{}, err }
	malls, err := mallsByID(ctx, tx)
	if err != nil {
		return fail(err)
	}
	id, _ := strconv.ParseInt(v.Value("mall"), 10, 64)
	mall, ok := malls[id]
	if !ok {
		return fail(console.Invalid("", "没有这个商场，请刷新页面再试。"))
	}
	old, err := tx.MonthlyText(ctx, id)
	if err != nil && !errors.Is(err, store.ErrNotFound) {
		return fail(err)
	}
	t := old
	if err := (input{plain(v.Value("text")), v.Value("day"), v.Value("at"), v.Value("enabled")}).into(&t); err != nil {
		return fail(err)
	}
	t.MallID, t.UpdatedAt = id, v.Now
	if t.Text != old.Text {
		t.OperatorID = v.Operator.ID
	}
	if !old.Enabled || t.DayOfMonth != old.DayOfMonth || t.Hour != old.Hour || t.Minute != old.Minute {
		t.Since = v.Now
	}
	history, err := tx.MonthlyPosts(ctx, id, historyMonths)
	if err != nil {
		return fail(err)
	}
	next := f.next(t, history, v.Now)
	vals, err := f.values(ctx, tx, mall, next)
	if err != nil {
		return fail(err)
	}
	filled, err := render(t.Text, vals)
	if err != nil {
		return fail(console.Invalid("text", err.Error()))
	}
	targets, err := f.targets(ctx, tx, id)
	if err != nil {
		return fail(err)
	}
	if t.Text != old.Text {
		if _, err := tx.ExpireApprovalsOf(ctx, kind, objectOf(id), "", handlers.Edited, v.Now); err != nil {
			return fail(err)
		}
	}
	c, err := f.cleared(ctx, tx, mall, t, filled, targets, next, t.Enabled)
	if err != nil {
		return fail(err)
	}
	message := "已保存，现在不会自动发。"
	if t.Enabled {
		message = "已保存。下一次：" + next.In(f.Zone).Format("2006年1月2日 15:04") + "。"
	}
	if problem := c.Problem(); problem != "" {
		message += "不过" + problem + "。"
	}
	return console.Result{
		Object:   "monthly text of mall " + strconv.FormatInt(id, 10),
		Detail:   fmt.Sprintf("%d 日 %02d:%02d %s %s", t.DayOfMonth, t.Hour, t.Minute, onOff(t.Enabled), t.Text),
		Redirect: "/console/monthly?mall=" + strconv.FormatInt(id, 10), Message: message,
	}, tx.SetMonthlyText(ctx, t)
}
