package news

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"qunbot/bot"
	"qunbot/store"
)

const (
	freshDays = 3   // an item for which there was no room is offered again for this long
	maxOffer  = 100 // items of which a digest is made
)

// A target is a group with a place to post to.
type target struct {
	store.Group
	lane string
}

// post posts the day's digest into every group that takes it. The day is that
// of due, also when it runs late. Repeating it posts nothing again: there is
// one digest a mall and day, and one post a group and day.
func (f *feature) post(ctx context.Context, due time.Time) error {
	day := store.DayOf(due, f.Zone)
	var malls []store.Mall
	var targets map[int64][]target
	err := f.Store.View(ctx, func(tx *store.Tx) (err error) {
		if malls, err = tx.Malls(tx.Context()); err != nil {
			return err
		}
		targets, err = f.targets(tx.Context(), tx)
		return err
	})
	if err != nil {
		return err
	}
	var errs []error
	for _, m := range append(malls, store.Mall{Name: noMall}) {
		if len(targets[m.ID]) == 0 {
			continue
		}
		err := f.Store.Update(ctx, func(tx *store.Tx) error {
			return f.postMall(tx.Context(), tx, m, targets[m.ID], day)
		})
		if err != nil {
			errs = append(errs, fmt.Errorf("mall %d: %w", m.ID, err))
		}
	}
	return errors.Join(errs...)
}

// noMall is what the groups are called that belong to no mall.
const noMall = "没有商场的群"

// targets returns the groups to post to by their mall. A place that several
// groups share is posted to once, for the first of them.
func (f *feature) targets(ctx context.Context, tx *store.Tx) (map[int64][]target, error) {
	chosen, err := f.switches(ctx, tx)
	if err != nil {
		return nil, err
	}
	off := chosen.off()
	groups, err := tx.Groups(ctx)
	if err != nil {
		return nil, err
	}
	byMall := map[int64][]target{}
	taken := map[string]bool{}
	for _, g := range groups {
		lane := g.Lane()
		if lane == "" || off[g.ID] || taken[lane] {
			continue
		}
		taken[lane] = true
		byMall[g.MallID] = append(byMall[g.MallID], target{g, lane})
	}
	return byMall, nil
}

// postMall posts one mall's digest of a day.
func (f *feature) postMall(ctx context.Context, tx *store.Tx, m store.Mall, targets []target, day store.Day) error {
	offer, err := f.offer(ctx, tx, m.ID, targets, day, true)
	if err != nil {
		return err
	}
	_, n := digest(day, offer.Items, 0, maxPost)
	made := store.NewsDigest{MallID: m.ID, Day: day, More: len(offer.Items) - n, CreatedAt: f.Now()}
	for _, item := range offer.Items[:n] {
		made.Items = append(made.Items, item.ID)
	}
	d, fresh, err := tx.PutNewsDigest(ctx, made)
	if err != nil {
		return err
	}
	if fresh {
		if notice := offer.notice(m, d); notice != "" {
			if err := f.Notify(ctx, tx, notice); err != nil {
				return err
			}
		}
	}
	byID, err := tx.NewsItemsByID(ctx, d.Items)
	if err != nil {
		return err
	}
	var items []store.NewsItem
	for _, id := range d.Items {
		if item, ok := byID[id]; ok {
			items = append(items, item)
		}
	}
	text, _ := digest(day, items, d.More, maxPost)
	if text == "" {
		return nil
	}
	reply := bot.Reply{Text: text}
	chosen, err := f.switches(ctx, tx)
	if err != nil {
		return err
	}
	if chosen.Articles {
		reply.Rich = articles(items)
	}
	for _, t := range targets {
		err := bot.Push(ctx, tx, bot.Post{
			Key:  store.Key("news.post", t.ID, day),
			Lane: t.lane, Reply: reply, Delivery: bot.AtLeastOnce,
			Expires: max(day, store.DayOf(f.Now(), f.Zone)).Add(1).Start(f.Zone), // late is today's evening at the latest
			Item:    "news",
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// An offer is what a mall's next digest is made of.
type offer struct {
	Items []store.NewsItem
	Held  []held // not posted because of a word
}

// A held item has a sensitive word in it that nobody approved.
type held struct {
	store.NewsItem
	Problem string
	unasked bool // nobody was asked yet, or what was asked has expired
}

// offer returns what there is to tell a mall's groups on a day. Where ask is
// true, what holds a sensitive word waits for a second person from now on.
func (f *feature) offer(ctx context.Context, tx *store.Tx, mall int64, targets []target, day store.Day, ask bool) (offer, error) {
	list, err := tx.OpenNewsItems(ctx, mall, day.Add(1-freshDays), day, maxOffer)
	if err != nil {
		return offer{}, err
	}
	var links, texts []string
	for _, item := range list {
		links, texts = append(links, item.LinkKey), append(texts, item.TextKey)
	}
	told, err := tx.NewsTold(ctx, mall, links, texts, day.Add(-similarDays))
	if err != nil {
		return offer{}, err
	}
	groups := groupsOf(targets)
	var o offer
	for _, item := range distinct(list, told) {
		c, err := f.cleared(ctx, tx, item, groups, ask)
		switch {
		case err != nil:
			return offer{}, err
		case c.Free():
			o.Items = append(o.Items, item)
		default:
			o.Held = append(o.Held, held{item, c.Problem(), c.Approval.State != store.Waiting && c.Approval.State != store.Refused})
		}
	}
	return o, nil
}

// groupsOf returns the groups of targets; 0, which has no words of its own,
// where there are none.
func groupsOf(targets []target) []int64 {
	groups := []int64{0}
	for _, t := range targets {
		groups = append(groups, t.ID)
	}
	return groups
}

// askAhead lets what the next digests cannot tell wait for a second person
// already now, so that there is time to decide.
func (f *feature) askAhead(ctx context.Context) error {
	day := store.DayOf(f.Now(), f.Zone)
	unasked := map[int64][]target{}
	err := f.Store.View(ctx, func(tx *store.Tx) error {
		ctx := tx.Context()
		targets, err := f.targets(ctx, tx)
		if err != nil {
			return err
		}
		clear(unasked)
		for mall, list := range targets {
			o, err := f.offer(ctx, tx, mall, list, day, false)
			if err != nil {
				return err
			}
			if slices.ContainsFunc(o.Held, func(h held) bool { return h.unasked }) {
				unasked[mall] = list
			}
		}
		return nil
	})
	if err != nil {
		return err
	}
	for mall, list := range unasked {
		err := f.Store.Update(ctx, func(tx *store.Tx) error {
			_, err := f.offer(tx.Context(), tx, mall, list, day, true)
			return err
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// notice is what operators should know about a digest; empty if nothing.
func (o offer) notice(m store.Mall, d store.NewsDigest) string {
	var lines []string
	if d.Count == 0 {
		lines = append(lines, "没有新的资讯，今天（"+string(d.Day)+"）没有发。可以在后台“资讯”里写一条，再运行任务 news.post。")
	}
	for i, h := range o.Held {
		if i == 5 {
			lines = append(lines, fmt.Sprintf("……一共 %d 条", len(o.Held)))
			break
		}
		lines = append(lines, fmt.Sprintf("没有发第 %d 条资讯“%s”：%s", h.ID, h.Text, h.Problem))
	}
	if len(lines) == 0 {
		return ""
	}
	return m.Name + " · 每日资讯\n" + strings.Join(lines, "\n")
}
