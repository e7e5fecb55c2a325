package moderation

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"

	"qunbot/store"
	"qunbot/web/console"
)

func (f *feature) strikesPage() console.Page {
	return console.Page{
		Path: "/moderation/strikes", Title: "违规记录", Purpose: "谁说了什么，算第几次，后来怎样。", Group: console.Daily, Menu: menuWord, Icon: "shield", Role: store.Analyst,
		FS: files, Template: "strikes.html", Style: "moderation.css", Load: f.loadStrikes,
	}
}

func (f *feature) strikePage() console.Page {
	return console.Page{
		Path: "/moderation/strikes/{id}", Title: "一次违规", Role: store.Analyst, Change: store.Staff,
		FS: files, Template: "strike.html", Style: "moderation.css", Load: f.loadStrike, Post: f.mend,
	}
}

// strikeRow is a strike as pages show it.
type strikeRow struct {
	store.StrikeRow
	Name, Where string
	Runs        bool // its suspension has not ended
}

// LevelWord is what the strike's level is called.
func (s strikeRow) LevelWord() string { return levelWord(s.Level) }

// Led says what the strike led to.
func (s strikeRow) Led() string {
	switch {
	case s.EndsAt != nil:
		return "停用积分和抽奖"
	case s.Points > 0:
		return fmt.Sprintf("扣 %d 分", s.Points)
	}
	return "警告"
}

// State is how what the strike led to is marked.
func (s strikeRow) State() string {
	switch {
	case s.UndoneAt != nil || s.LiftedAt != nil:
		return "quiet"
	case s.EndsAt != nil && s.Runs:
		return "bad"
	case s.Points > 0:
		return "warn"
	}
	return "quiet"
}

// Now says how it stands.
func (s strikeRow) Now() string {
	switch {
	case s.UndoneAt != nil:
		return "已撤销"
	case s.LiftedAt != nil:
		return "已解除停用"
	case s.Runs:
		return "停用中"
	case s.EndsAt != nil:
		return "停用已结束"
	}
	return s.Led()
}

func (f *feature) strikeRows(ctx context.Context, tx *store.Tx, now time.Time, list []store.StrikeRow) ([]strikeRow, error) {
	var members, groups []int64
	for _, s := range list {
		members, groups = append(members, s.MemberID), append(groups, s.GroupID)
	}
	names, err := tx.Names(ctx, members)
	if err != nil {
		return nil, err
	}
	places, err := tx.GroupNames(ctx, groups)
	rows := make([]strikeRow, len(list))
	for i, s := range list {
		rows[i] = strikeRow{s, names[s.MemberID], "私聊", s.EndsAt != nil && s.LiftedAt == nil && now.Before(*s.EndsAt)}
		if rows[i].Name == "" {
			rows[i].Name = "会员 " + strconv.FormatInt(s.MemberID, 10)
		}
		if s.GroupID != 0 {
			rows[i].Where = placeOf(s.GroupID, places)
		}
	}
	return rows, err
}

type strikesData struct {
	Rows     console.Rows[strikeRow]
	Total    int64
	Window   int
	Chips    []console.Link
	Filtered bool
}

// loadStrikes lists strikes, those of the last days unless all are asked for.
func (f *feature) loadStrikes(ctx context.Context, tx *store.Tx, v console.Visit) (any, error) {
	t, err := f.tally(ctx, tx)
	if err != nil {
		return nil, err
	}
	filter := store.StrikeFilter{Before: v.Before, Limit: v.Limit}
	all, running, counting := v.Query.Get("all") != "", v.Query.Get("running") != "", v.Query.Get("counting") != ""
	if !all {
		filter.Since = t.after(v.Now)
	}
	if running {
		filter.RunningAt = v.Now
	}
	filter.NotUndone = counting
	if id, err := strconv.ParseInt(v.Query.Get("member"), 10, 64); err == nil && id > 0 {
		filter.MemberID = id
	}
	list, err := tx.StrikeRows(ctx, filter)
	if err != nil {
		return nil, err
	}
	data := strikesData{Window: t.Window, Filtered: running || counting || filter.MemberID != 0}
	if data.Total, err = tx.CountStrikeRows(ctx, filter); err != nil {
		return nil, err
	}
	rows, err := f.strikeRows(ctx, tx, v.Now, list)
	if err != nil {
		return nil, err
	}
	data.Rows = console.Paged(v, rows, func(s strikeRow) int64 { return s.ID })
	data.Chips = []console.Link{v.Chip("running", "1", "停用中", running), v.Chip("counting", "1", "算数的", counting), v.Chip("all", "1", "更早的也看", all)}
	if filter.MemberID != 0 {
		names, err := tx.Names(ctx, []int64{filter.MemberID})
		if err != nil {
			return nil, err
		}
		name := names[filter.MemberID]
		if name == "" {
			name = "会员 " + strconv.FormatInt(filter.MemberID, 10)
		}
		data.Chips = append(data.Chips, v.Chip("member", "", name, true))
	}
	return data, nil
}

type strikeData struct {
	Strike strikeRow
	Parts  []part // what was said, as far as it is kept
	Others []strikeRow
	Count  int // that count, in the window
	Window int
	By     string // operator who undid it or lifted the suspension
	Taken  string // how far the removal from the group has come; empty: there is none
	Change bool
}

// Heading implements console.Headed.
func (d strikeData) Heading() (title, purpose string) {
	return fmt.Sprintf("%s的第 %d 次违规", d.Strike.Name, d.Strike.Number), fmt.Sprintf("违规 #%d · %s · %s", d.Strike.ID, d.Strike.Where, d.Strike.Now())
}

func (f *feature) loadStrike(ctx context.Context, tx *store.Tx, v console.Visit) (any, error) {
	id, err := v.ID("id")
	if err != nil {
		return nil, err
	}
	s, err := f.strikeOf(ctx, tx, id)
	if err != nil {
		return nil, err
	}
	t, err := f.tally(ctx, tx)
	if err != nil {
		return nil, err
	}
	others, err := tx.StrikeRows(ctx, store.StrikeFilter{MemberID: s.MemberID, Limit: 21})
	if err != nil {
		return nil, err
	}
	rows, err := f.strikeRows(ctx, tx, v.Now, append([]store.StrikeRow{s}, others...))
	if err != nil {
		return nil, err
	}
	data := strikeData{Strike: rows[0], Window: t.Window, Change: v.Operator.Role.Covers(store.Staff)}
	for _, other := range rows[1:] {
		if other.ID != id {
			data.Others = append(data.Others, other)
		}
	}
	if data.Count, err = tx.CountStrikes(ctx, s.MemberID, t.after(v.Now), v.Now); err != nil {
		return nil, err
	}
	hits, err := f.Filter.Scan(ctx, tx, s.GroupID, s.Text)
	if err != nil {
		return nil, err
	}
	data.Parts = partsOf(s.Text, hits)
	switch r, err := tx.RemovalOf(ctx, id); {
	case err == nil:
		data.Taken = map[store.RemovalState]string{store.RemovalPending: "还没有", store.RemovalDone: "已移出", store.RemovalFailed: "没能移出，请手工处理"}[r.State]
	case !errors.Is(err, store.ErrNotFound):
		return nil, err
	}
	if by := max(s.UndoneBy, s.LiftedBy); by != 0 {
		o, err := tx.Operator(ctx, by)
		if err != nil {
			return nil, err
		}
		data.By = o.Name
	}
	return data, nil
}

// strikeOf returns a strike, or store.ErrNotFound.
func (f *feature) strikeOf(ctx context.Context, tx *store.Tx, id int64) (store.StrikeRow, error) {
	rows, err := tx.StrikeRows(ctx, store.StrikeFilter{ID: id, Limit: 1})
	if err == nil && len(rows) == 0 {
		err = store.ErrNotFound
	}
	if err != nil {
		return store.StrikeRow{}, err
	}
	return rows[0], nil
}

// mend undoes a strike, or lifts its suspension.
func (f *feature) mend(ctx context.Context, tx *store.Tx, v console.Visit) (console.Result, error) {
	id, err := v.ID("id")
	if err != nil {
		return console.Result{}, err
	}
	s, err := f.strikeOf(ctx, tx, id)
	if err != nil {
		return console.Result{}, err
	}
	done := console.Result{Object: fmt.Sprintf("strike %d", id)}
	switch v.Value("do") {
	case "lift":
		lifted, err := tx.LiftSuspension(ctx, id, v.Operator.ID, v.Now)
		if err == nil && !lifted {
			err = console.Invalid("", "没有停用要解除：已经解除，或者已经到期。")
		}
		done.Detail, done.Message = fmt.Sprintf("解除会员 %d 的停用", s.MemberID), "已解除停用，现在就能得积分、参加抽奖。"
		return done, err
	case "undo":
		done.Message, err = f.undo(ctx, tx, s, v)
		done.Detail = fmt.Sprintf("撤销会员 %d 的违规，退回 %d 分", s.MemberID, s.Points)
		return done, err
	}
	return console.Result{}, console.Invalid("", "没有这个操作。")
}

// undo undoes a strike for an operator and says what came of it.
func (f *feature) undo(ctx context.Context, tx *store.Tx, s store.StrikeRow, v console.Visit) (message string, err error) {
	points, lifted, undone, err := Undo(ctx, tx, s.ID, v.Operator.ID, v.Now)
	if err == nil && !undone {
		err = console.Invalid("", "这次违规已经撤销过了。")
	}
	message = "已撤销，不再算违规。"
	if points > 0 {
		message += fmt.Sprintf("退回 %d 分。", points)
	}
	if lifted {
		message += "停用也解除了。"
	}
	return message, err
}
