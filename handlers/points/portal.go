package points

import (
	"context"
	"embed"

	"qunbot/ledger"
	"qunbot/store"
	"qunbot/web/portal"
	"qunbot/web/style"
)

//go:embed *.html
var files embed.FS

// memberPage shows a member's balance and every booking.
func (f *feature) memberPage() portal.Page {
	return portal.Page{
		Path: "/points", Title: "积分", Menu: true, Icon: "coins",
		FS: files, Template: "portal.html", Load: f.loadMember, Card: f.card,
	}
}

type memberData struct {
	Balance int64
	Worth   string
	Entries portal.Rows[entryRow]
}

// An entryRow is a booking as the member reads it.
type entryRow struct {
	store.Entry
	Reason string
}

func (f *feature) loadMember(ctx context.Context, tx *store.Tx, v portal.Visit) (any, error) {
	balance, err := tx.Balance(ctx, v.Member.ID, v.Now)
	if err != nil {
		return nil, err
	}
	entries, err := tx.EntriesOf(ctx, v.Member.ID, v.Before, v.Limit)
	if err != nil {
		return nil, err
	}
	rows := make([]entryRow, len(entries))
	for i, e := range entries {
		rows[i] = entryRow{e, reason(e)}
	}
	return memberData{
		Balance: balance, Worth: ledger.Yuan(ledger.Fen(balance)),
		Entries: portal.Paged(v, rows, func(e entryRow) int64 { return e.ID }),
	}, nil
}

// card shows the balance at the top of the home page.
func (f *feature) card(ctx context.Context, tx *store.Tx, v portal.Visit) (portal.Card, error) {
	balance, err := tx.Balance(ctx, v.Member.ID, v.Now)
	return portal.Card{
		Title: "我的积分", Figure: style.Number(balance), Unit: "分", Text: "可抵 " + ledger.Yuan(ledger.Fen(balance)),
		Link: "/m/points", Hero: true,
	}, err
}
