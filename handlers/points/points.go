// Package points shows members what they have earned and what it is worth.
package points

import (
	"context"

	"qunbot/bot"
	"qunbot/handlers"
	"qunbot/ledger"
	"qunbot/scheduler"
	"qunbot/store"
	"qunbot/web/portal"
)

type feature struct{ handlers.Deps }

// New returns the points feature.
func New(d handlers.Deps) handlers.Feature {
	f := &feature{d}
	return handlers.Feature{
		Name: "points",
		Commands: []bot.Command{
			{Words: []string{"积分"}, Help: "看看有多少积分，值多少钱", Handle: f.balance},
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
