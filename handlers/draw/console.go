package draw

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"qunbot/drawproof"
	"qunbot/store"
	"qunbot/web/console"
)

// listPage lists all draws.
func (f *feature) listPage() console.Page {
	return console.Page{
		Path: "/draws", Title: "抽奖", Purpose: "办一场谁都能验证的抽奖。", Group: console.Daily, Icon: "gift",
		Role: store.Analyst, FS: files, Template: "console_list.html", Style: "console.css", Load: f.loadList,
	}
}

// A drawRow is a draw as the console lists it.
type drawRow struct {
	store.Draw
	Mall, Until string
	Prizes      string
}

// State of a draw as a dot and a word.
func (r drawRow) Mark() string { return stateMark(r.Draw.State) }

// Word says how far the draw has come.
func (r drawRow) Word() string { return stateWords(r.Draw) }

func stateMark(s store.DrawState) string {
	switch s {
	case store.DrawOpen:
		return "good"
	case store.DrawClosed:
		return "warn"
	case store.DrawCancelled:
		return "bad"
	}
	return "quiet"
}

func (f *feature) loadList(ctx context.Context, tx *store.Tx, v console.Visit) (any, error) {
	draws, err := tx.Draws(ctx, store.DrawFilter{Before: v.Before, Limit: v.Limit})
	if err != nil {
		return nil, err
	}
	names, err := mallNames(ctx, tx)
	if err != nil {
		return nil, err
	}
	rows := make([]drawRow, len(draws))
	for i, d := range draws {
		if rows[i], err = f.row(d, names); err != nil {
			return nil, err
		}
	}
	return struct {
		Rows   console.Rows[drawRow]
		Change bool
	}{console.Paged(v, rows, func(r drawRow) int64 { return r.ID }), v.Operator.Role.Covers(store.Staff)}, nil
}

func (f *feature) row(d store.Draw, names map[int64]string) (drawRow, error) {
	r, err := rulesOf(d)
	if err != nil {
		return drawRow{}, err
	}
	d.Seed, d.EntrantKey = "", ""
	return drawRow{Draw: d, Mall: names[d.MallID], Until: f.deadlineWords(d), Prizes: prizesWords(r)}, nil
}

// newPage makes a draw, after a look at its announcement.
func (f *feature) newPage() console.Page {
	return console.Page{
		Path: "/draws/new", Title: "新建抽奖", Purpose: "发布以后规则就不能改了，先预览。", Role: store.Staff,
		FS: files, Template: "console_new.html", Style: "console.css", Load: f.loadNew, Post: f.postNew,
	}
}

// newData is what the form of a new draw shows.
type newData struct {
	Groups  []console.Option
	Fields  console.Fields
	Preview string
	Limits  Limits
}

func (f *feature) loadNew(ctx context.Context, tx *store.Tx, v console.Visit) (any, error) {
	l, err := f.limits(ctx, tx)
	if err != nil {
		return nil, err
	}
	rows, err := tx.GroupRows(ctx, 0, 500)
	if err != nil {
		return nil, err
	}
	data := newData{Limits: l}
	for _, g := range rows {
		data.Groups = append(data.Groups, console.Option{Value: strconv.FormatInt(g.ID, 10), Label: g.Name + "（" + g.Mall + "）"})
	}
	read := v.Value
	previewing := v.Form == nil && v.Query.Get("preview") != ""
	if v.Form == nil {
		read = func(name string) string { return strings.TrimSpace(v.Query.Get(name)) }
	}
	var defaults []any
	for _, name := range formFields {
		defaults = append(defaults, name, read(name))
	}
	data.Fields = v.Fields(defaults...)
	if !previewing && v.Form == nil {
		return data, nil
	}
	p, _, err := f.readPlan(read, v.Now)
	if err == nil {
		err = p.check(l, v.Now)
	}
	if err != nil {
		if previewing {
			data.Preview = "还不能预览：" + err.Error()
		}
		return data, nil
	}
	organiser := "主办商场"
	if group, err := strconv.ParseInt(read("group"), 10, 64); err == nil {
		for _, g := range rows {
			if g.ID == group && g.Mall != "" {
				organiser = g.Mall
			}
		}
	}
	d := store.Draw{Name: p.name, Deadline: p.deadline, Cost: p.cost}
	if err := preview(&d, p.rules(organiser, l, v.Now)); err != nil {
		return nil, err
	}
	data.Preview, err = f.openText(d)
	return data, err
}

func preview(d *store.Draw, r drawproof.Rules) error {
	d.Seed = drawproof.Seed{}.String() // no seed is made for a preview
	return start(d, r)
}

// formFields are the inputs of a new draw.
var formFields = []string{"group", "name", "prizes", "points", "not_won", "in_group", "cost", "source", "deadline"}

// readPlan reads the form of a new draw; its error says which field is wrong.
func (f *feature) readPlan(read func(name string) string, now time.Time) (p plan, field string, err error) {
	p.name, p.source = read("name"), read("source")
	if p.source == drawproof.NoSource {
		p.source = ""
	}
	for line := range strings.Lines(read("prizes")) {
		words := strings.Fields(line)
		if len(words) == 0 {
			continue
		}
		prize, err := parsePrize(words)
		if err != nil {
			return p, "prizes", err
		}
		p.prizes = append(p.prizes, prize)
	}
	for _, number := range []struct {
		name string
		set  func(n int64)
	}{
		{"points", func(n int64) { p.minPoints = n }},
		{"not_won", func(n int64) { p.notWonDays = int(n) }},
		{"in_group", func(n int64) { p.inGroupDays = int(n) }},
		{"cost", func(n int64) { p.cost = n }},
	} {
		text := read(number.name)
		if text == "" {
			continue
		}
		n, err := strconv.ParseInt(narrow(text), 10, 64)
		if err != nil || n < 0 || n > maxPoints {
			return p, number.name, refuse("要写一个不小于 0 的整数，不要就留空。")
		}
		number.set(n)
	}
	if text := read("deadline"); text != "" {
		if p.deadline, err = parseDeadline(strings.Fields(strings.Replace(text, "T", " ", 1)), now, f.Zone); err != nil {
			return p, "deadline", err
		}
	}
	return p, "", nil
}

func (f *feature) postNew(ctx context.Context, tx *store.Tx, v console.Visit) (console.Result, error) {
	p, field, err := f.readPlan(v.Value, v.Now)
	if err != nil {
		return console.Result{}, console.Invalid(field, err.Error())
	}
	groupID, err := strconv.ParseInt(v.Value("group"), 10, 64)
	if err != nil {
		return console.Result{}, console.Invalid("group", "请选一个群。")
	}
	group, err := tx.Group(ctx, groupID)
	if err != nil {
		return console.Result{}, console.Invalid("group", "没有这个群，请重新选。")
	}
	d, err := f.create(ctx, tx, p, group.MallID, group.ID, v.Operator.ID, v.Now)
	if no, refused := errors.AsType[refusal](err); refused {
		return console.Result{}, console.Invalid("", string(no))
	}
	if err != nil {
		return console.Result{}, err
	}
	text, err := f.openText(d)
	if err != nil {
		return console.Result{}, err
	}
	if err := f.announce(ctx, tx, d, 0, "open", text); err != nil {
		return console.Result{}, err
	}
	return console.Result{Action: "抽奖 新建", Object: fmt.Sprintf("draw %d", d.ID), Detail: d.Rules, Message: "已发布",
		Redirect: fmt.Sprintf("/console/draws/%d", d.ID)}, nil
}

// drawPage shows one draw while it runs, and takes it to its next state.
func (f *feature) drawPage() console.Page {
	return console.Page{
		Path: "/draws/{id}", Title: "一场抽奖", Role: store.Analyst, Change: store.Staff, Live: true,
		FS: files, Template: "console_draw.html", Style: "console.css", Load: f.loadDraw, Post: f.postDraw,
	}
}

// drawData is what the page of one draw shows.
type drawData struct {
	drawRow
	Rules     drawproof.Rules
	HasValue  bool
	Change    bool
	Text      string // the announcement
	Entrants  console.Rows[store.DrawEntry]
	Wins      []store.DrawWin
	Names     map[int64]string
	Fields    console.Fields
	GroupName string
	zone      *time.Location
}

// Heading implements console.Headed.
func (d drawData) Heading() (title, purpose string) {
	return d.Name, fmt.Sprintf("#%d · %s · %s", d.Number, d.Mall, d.Word())
}

// Who names a member, who may have been erased.
func (d drawData) Who(member *int64) string {
	switch {
	case member == nil:
		return "已注销"
	case d.Names[*member] != "":
		return d.Names[*member]
	}
	return fmt.Sprintf("会员 %d", *member)
}

// PrizeName names the prize at a place in the list, from 1.
func (d drawData) PrizeName(place int) string {
	if place < 1 || place > len(d.Rules.Prizes) {
		return "候补"
	}
	return d.Rules.Prizes[place-1].Name
}

// LastDay is the last day on which a prize can be claimed.
func (d drawData) LastDay(w store.DrawWin) store.Day { return prize{DrawWin: w}.LastDay(d.zone) }

// WinMark is how the state of a prize is marked.
func (d drawData) WinMark(s store.WinState) string {
	switch s {
	case store.WinOpen:
		return "warn"
	case store.WinClaimed:
		return "good"
	case store.WinLapsed:
		return "bad"
	}
	return "quiet"
}

// WinWord is what the state of a prize is called.
func (d drawData) WinWord(s store.WinState) string {
	switch s {
	case store.WinOpen:
		return "待领取"
	case store.WinClaimed:
		return "已领取"
	case store.WinLapsed:
		return "过期没领"
	}
	return "候补"
}

func (f *feature) loadDraw(ctx context.Context, tx *store.Tx, v console.Visit) (any, error) {
	id, err := v.ID("id")
	if err != nil {
		return nil, err
	}
	d, err := tx.Draw(ctx, id)
	if err != nil {
		return nil, err
	}
	names, err := mallNames(ctx, tx)
	if err != nil {
		return nil, err
	}
	data := drawData{zone: f.Zone, Change: v.Operator.Role.Covers(store.Staff), Fields: v.Fields("value", "", "reason", "")}
	if data.Text, err = f.openText(d); err != nil {
		return nil, err
	}
	if data.drawRow, err = f.row(d, names); err != nil {
		return nil, err
	}
	if d.State == store.DrawDrawn || d.State == store.DrawCancelled {
		data.Seed = d.Seed
	}
	if data.Rules, err = rulesOf(d); err != nil {
		return nil, err
	}
	data.HasValue = data.Rules.Source != drawproof.NoSource
	if data.Wins, err = tx.DrawWins(ctx, id); err != nil {
		return nil, err
	}
	entries, err := tx.NewestDrawEntries(ctx, id, v.Before, v.Limit)
	if err != nil {
		return nil, err
	}
	data.Entrants = console.Paged(v, entries, func(e store.DrawEntry) int64 { return int64(e.Number) })
	var ids []int64
	for _, e := range data.Entrants.Items {
		if e.MemberID != nil {
			ids = append(ids, *e.MemberID)
		}
	}
	for _, w := range data.Wins {
		if w.MemberID != nil {
			ids = append(ids, *w.MemberID)
		}
	}
	if data.Names, err = tx.Names(ctx, ids); err != nil {
		return nil, err
	}
	groups, err := tx.GroupNames(ctx, []int64{d.GroupID})
	data.GroupName = groups[d.GroupID]
	return data, err
}

// postDraw closes, draws or cancels, or stores the public value.
func (f *feature) postDraw(ctx context.Context, tx *store.Tx, v console.Visit) (console.Result, error) {
	id, err := v.ID("id")
	if err != nil {
		return console.Result{}, err
	}
	d, err := tx.Draw(ctx, id)
	if err != nil {
		return console.Result{}, err
	}
	// A field's error stands beside the field only where the page shows it.
	rules, err := rulesOf(d)
	if err != nil {
		return console.Result{}, err
	}
	wantsValue := d.State == store.DrawClosed && d.PublicValue == "" && rules.Source != drawproof.NoSource
	result := console.Result{Object: fmt.Sprintf("draw %d", id)}
	var text, what string
	switch v.Value("do") {
	case "close":
		what, result.Action, result.Message = "closed", "抽奖 截止", "已截止"
		if d, err = f.close(ctx, tx, id, v.Now); err == nil {
			text, err = f.closedText(d)
		}
	case "value":
		value := strings.Join(strings.Fields(v.Value("value")), " ")
		if wantsValue && (value == "" || len([]rune(value)) > maxValue) {
			return result, console.Invalid("value", fmt.Sprintf("要写公布的数，最多 %d 个字。", maxValue))
		}
		what, result.Action, result.Detail, result.Message = "value", "抽奖 公证", value, "公证数已公布"
		if d, err = f.setValue(ctx, tx, id, value, v.Now); err == nil {
			text, err = f.valueText(d)
		}
	case "draw":
		what, result.Action, result.Message = "drawn", "抽奖 开奖", "已开奖"
		var wins []store.DrawWin
		if d, wins, err = f.draw(ctx, tx, id, v.Now); err == nil {
			text, err = f.drawnText(d, wins)
		}
	case "cancel":
		reason := strings.Join(strings.Fields(v.Value("reason")), " ")
		if reason == "" || len([]rune(reason)) > maxReason {
			return result, console.Invalid("reason", fmt.Sprintf("要写原因，最多 %d 个字，会公布。", maxReason))
		}
		what, result.Action, result.Detail, result.Message = "cancelled", "抽奖 取消", reason, "已取消"
		if d, err = f.cancel(ctx, tx, id, reason, v.Now); err == nil {
			text = f.cancelledText(d)
		}
	default:
		return result, console.Invalid("", "不知道要做什么，请再点一次。")
	}
	if no, refused := errors.AsType[refusal](err); refused {
		return result, console.Invalid("", string(no))
	}
	if err != nil {
		return result, err
	}
	return result, f.announce(ctx, tx, d, 0, what, text)
}
