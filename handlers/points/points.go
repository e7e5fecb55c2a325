// Package points shows members what they have earned and what it is worth.
package points

import (
	"context"
	"fmt"
	"strings"

	"qunbot/bot"
	"qunbot/handlers"
	"qunbot/ledger"
	"qunbot/scheduler"
	"qunbot/store"
	"qunbot/web/portal"
)

// A Notify tells the staff, once for each key.
type Notify func(ctx context.Context, tx *store.Tx, key, text string) error

type feature struct {
	handlers.Deps
	notify Notify
}

// New returns the points feature. notify hears of books that do not balance.
func New(d handlers.Deps, notify Notify) handlers.Feature {
	f := &feature{d, notify}
	return handlers.Feature{
		Name: "points",
		Commands: []bot.Command{
			{Words: []string{"积分"}, Help: "看看有多少积分，值多少钱", Handle: f.balance},
			{Words: []string{"明细"}, Help: "看积分的每一笔", Private: true, Handle: f.details},
			{Words: []string{"排行榜"}, Usage: "[本月|积分|连续] [商场]", Help: "看谁最积极", Handle: f.ranking},
			{Words: []string{"/加分"}, Usage: "<userid 或会员号> <分数> <原因>", Help: "给会员加分，负数是扣分", Role: store.Staff, Handle: f.adjust},
		},
		Jobs:   []scheduler.Job{f.expireJob(), f.verifyJob()},
		Portal: []portal.Page{f.memberPage()},
	}
}

// balance answers 积分.
func (f *feature) balance(ctx context.Context, tx *store.Tx, m bot.Message) (bot.Reply, error) {
	points, err := ledger.Settle(ctx, tx, m.Member.ID, m.SentAt)
	if err != nil {
		return bot.Reply{}, err
	}
	return bot.Textf("现有 %d 分，可抵 %s（100 分 = ¥1）", points, ledger.Yuan(ledger.Fen(points))), nil
}

// shownEntries is how many bookings 明细 lists; the member page has them all.
const shownEntries = 10

// details answers 明细.
func (f *feature) details(ctx context.Context, tx *store.Tx, m bot.Message) (bot.Reply, error) {
	points, err := ledger.Settle(ctx, tx, m.Member.ID, m.SentAt)
	if err != nil {
		return bot.Reply{}, err
	}
	entries, err := tx.EntriesOf(ctx, m.Member.ID, 0, shownEntries)
	if err != nil {
		return bot.Reply{}, err
	}
	if len(entries) == 0 {
		return bot.Textf("还没有积分。说“签到”，就有第一笔。"), nil
	}
	var b strings.Builder
	fmt.Fprintf(&b, "现有 %d 分。最近 %d 笔：", points, len(entries))
	for _, e := range entries {
		fmt.Fprintf(&b, "\n%s %+d %s", e.At.In(f.Zone).Format("01-02 15:04"), e.Points, reason(e))
	}
	lots, err := tx.OpenLots(ctx, m.Member.ID)
	if err != nil {
		return bot.Reply{}, err
	}
	if len(lots) > 0 {
		fmt.Fprintf(&b, "\n最早过期：%s 零点，%d 分", lots[0].ExpiresAt.In(f.Zone).Format("2006-01-02"), lots[0].Remaining)
	}
	return bot.Reply{Text: b.String()}, nil
}
