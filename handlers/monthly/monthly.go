// Package monthly posts each mall's campaign text into its groups once a month.
//
// A text holds placeholders for what changes from month to month. Its day and
// time are the mall's own; a job looks every five minutes for what is due. A
// text that holds a sensitive word waits until a second person has approved it.
package monthly

import (
	"context"
	"embed"
	"errors"
	"fmt"
	"strconv"
	"time"

	"qunbot/bot"
	"qunbot/handlers"
	"qunbot/scheduler"
	"qunbot/store"
	"qunbot/web/console"
)

//go:embed *.html *.css
var files embed.FS

// Config is what the feature needs beside its Deps.
type Config struct {
	// Notify tells operators something, in the transaction that causes it. Nil:
	// it is logged.
	Notify func(ctx context.Context, tx *store.Tx, text string) error
}

type feature struct {
	handlers.Deps
	Config
}

// New returns the feature of monthly campaign texts.
func New(d handlers.Deps, c Config) handlers.Feature {
	f := newFeature(d, c)
	return handlers.Feature{
		Name: "monthly",
		Jobs: []scheduler.Job{{
			Name: "monthly.post", Title: "发每月活动文案", Schedule: scheduler.Every(5 * time.Minute), Missed: scheduler.RunOnce, Run: f.post,
		}},
		Console: []console.Page{f.page()},
	}
}

func newFeature(d handlers.Deps, c Config) *feature {
	if c.Notify == nil {
		c.Notify = func(_ context.Context, _ *store.Tx, text string) error {
			d.Log.Warn("notice for operators", "feature", "monthly", "text", text)
			return nil
		}
	}
	return &feature{d, c}
}

// post posts the texts that have become due and were not posted this month. A
// text that cannot be posted is tried again until it is too late; operators are
// told why once.
func (f *feature) post(ctx context.Context, _ time.Time) error {
	now := f.Now()
	var due []store.Mall
	err := f.Store.View(ctx, func(tx *store.Tx) (err error) {
		due, err = f.due(tx.Context(), tx, now)
		return err
	})
	if err != nil {
		return err
	}
	var errs []error
	for _, m := range due {
		err := f.Store.Update(ctx, func(tx *store.Tx) error { return f.postMall(tx.Context(), tx, m, now) })
		if err != nil {
			errs = append(errs, fmt.Errorf("mall %d: %w", m.ID, err))
		}
	}
	return errors.Join(errs...)
}

// due returns the malls whose text is to be posted.
func (f *feature) due(ctx context.Context, tx *store.Tx, now time.Time) ([]store.Mall, error) {
	texts, err := tx.MonthlyTexts(ctx)
	if err != nil {
		return nil, err
	}
	malls, err := mallsByID(ctx, tx)
	if err != nil {
		return nil, err
	}
	var list []store.Mall
	for _, t := range texts {
		at, due := dueNow(t, now, f.Zone)
		m, known := malls[t.MallID]
		if !due || !known {
			continue
		}
		p, err := tx.MonthlyPost(ctx, m.ID, monthOf(at, f.Zone))
		if err != nil && !errors.Is(err, store.ErrNotFound) {
			return nil, err
		}
		if err != nil || p.Problem != "" {
			list = append(list, m)
		}
	}
	return list, nil
}

func mallsByID(ctx context.Context, tx *store.Tx) (map[int64]store.Mall, error) {
	list, err := tx.Malls(ctx)
	malls := make(map[int64]store.Mall, len(list))
	for _, m := range list {
		malls[m.ID] = m
	}
	return malls, err
}

// postMall posts a mall's text if it is due and was not posted in its month.
func (f *feature) postMall(ctx context.Context, tx *store.Tx, mall store.Mall, now time.Time) error {
	t, err := tx.MonthlyText(ctx, mall.ID)
	if err != nil {
		return err
	}
	due, ok := dueNow(t, now, f.Zone) // operators may have changed it meanwhile
	if !ok {
		return nil
	}
	month := monthOf(due, f.Zone)
	before, err := tx.MonthlyPost(ctx, mall.ID, month)
	found := !errors.Is(err, store.ErrNotFound)
	if found && (err != nil || before.Problem == "") {
		return err
	}
	record := store.MonthlyPost{MallID: mall.ID, Month: month, UpdatedAt: now}
	targets, err := f.targets(ctx, tx, mall.ID)
	if err != nil {
		return err
	}
	v, err := f.values(ctx, tx, mall, due)
	if err != nil {
		return err
	}
	record.Text, err = render(t.Text, v)
	if err != nil {
		record.Problem = err.Error()
	} else if c, err := f.cleared(ctx, tx, mall, t, record.Text, targets, due, true); err != nil {
		return err
	} else if record.Problem = c.Problem(); record.Problem == "" && len(targets) == 0 {
		record.Problem = "没有能发的群：群要配置消息推送机器人"
	}
	for _, g := range targets {
		if record.Problem != "" {
			break
		}
		err := bot.Push(ctx, tx, bot.Post{
			Key: store.Key("monthly.post", mall.ID, month, g.ID), Lane: g.Lane(),
			Reply: bot.Reply{Text: record.Text}, Delivery: bot.AtLeastOnce, Expires: now.Add(expiry), Item: "monthly",
		})
		if err != nil {
			return err
		}
		record.Groups++
	}
	record.Problem = store.Cut(record.Problem, 300)
	if record.Problem != "" && (!found || before.Problem != record.Problem) {
		err := f.Notify(ctx, tx, mall.Name+" · "+month+" 的活动文案没有发："+record.Problem+"。处理好后 5 分钟内会自动发出。")
		if err != nil {
			return err
		}
	}
	return tx.SetMonthlyPost(ctx, record)
}

// targets returns a mall's groups that can be posted to. A place that several
// groups share is posted to once.
func (f *feature) targets(ctx context.Context, tx *store.Tx, mall int64) ([]store.Group, error) {
	groups, err := tx.Groups(ctx)
	if err != nil {
		return nil, err
	}
	var list []store.Group
	taken := map[string]bool{}
	for _, g := range groups {
		if lane := g.Lane(); g.MallID == mall && lane != "" && !taken[lane] {
			taken[lane] = true
			list = append(list, g)
		}
	}
	return list, nil
}

// values returns what the placeholders stand for in a text that is due at that
// time.
func (f *feature) values(ctx context.Context, tx *store.Tx, mall store.Mall, due time.Time) (values, error) {
	day := store.DayOf(due, f.Zone)
	first := day[:8] + "01"
	last := first.AddMonths(-1)
	facts := facts{mall: mall.Name, day: day}
	var err error
	if facts.points, err = tx.MallEarned(ctx, mall.ID, last.Start(f.Zone), first.Start(f.Zone)); err != nil {
		return nil, err
	}
	if facts.checkIns, err = tx.MallCheckIns(ctx, mall.ID, last, first.Add(-1)); err != nil {
		return nil, err
	}
	if facts.members, err = tx.MallMembers(ctx, mall.ID); err != nil {
		return nil, err
	}
	groups, err := tx.Groups(ctx)
	for _, g := range groups {
		if g.MallID == mall.ID {
			facts.groups++
		}
	}
	return facts.values(), err
}

// kind is what texts are called where they wait for a second person.
const kind = "monthly"

// cleared says whether a mall's text, which is due at that time and filled in,
// may be posted. Where ask is true and it holds a sensitive word, it waits for
// a second person from now on. Approved once, it may be posted every month until
// somebody changes it.
func (f *feature) cleared(ctx context.Context, tx *store.Tx, mall store.Mall, t store.MonthlyText, filled string, targets []store.Group, due time.Time, ask bool) (handlers.Clearance, error) {
	groups := []int64{0} // which has no words of its own
	for _, g := range targets {
		groups = append(groups, g.ID)
	}
	return f.Clears(ctx, tx, handlers.Outgoing{
		Kind: kind, Object: objectOf(mall.ID), Title: mall.Name + "的活动文案", Text: filled, Source: t.Text, Groups: groups,
		Author: t.OperatorID, Link: fmt.Sprintf("/console/monthly?mall=%d", mall.ID), Until: due.Add(maxLate), Ask: ask,
	})
}

func objectOf(mall int64) string { return "mall " + strconv.FormatInt(mall, 10) }
