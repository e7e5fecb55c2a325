package draw

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"qunbot/bot"
	"qunbot/drawproof"
	"qunbot/store"
)

// A prize is a place in a ranking with what its winner wants to know.
type prize struct {
	store.DrawWin
	Draw store.Draw
	What drawproof.Prize
}

// Claimable reports whether the prize can be handed out at t.
func (p prize) Claimable(t time.Time) bool {
	return p.State == store.WinOpen && p.ClaimUntil != nil && t.Before(*p.ClaimUntil)
}

// LastDay is the last day on which the prize can be claimed.
func (p prize) LastDay(zone *time.Location) store.Day {
	if p.ClaimUntil == nil {
		return ""
	}
	return store.DayOf(p.ClaimUntil.Add(-time.Second), zone)
}

// prizesOf returns a member's prizes, the newest first.
func (f *feature) prizesOf(ctx context.Context, tx *store.Tx, member int64) ([]prize, error) {
	wins, err := tx.DrawWinsOf(ctx, member, 50)
	if err != nil {
		return nil, err
	}
	list := make([]prize, 0, len(wins))
	draws := map[int64]store.Draw{}
	for _, w := range wins {
		d, known := draws[w.DrawID]
		if !known {
			if d, err = tx.Draw(ctx, w.DrawID); err != nil {
				return nil, err
			}
			draws[w.DrawID] = d
		}
		p, err := prizeOf(d, w)
		if err != nil {
			return nil, err
		}
		list = append(list, p)
	}
	return list, nil
}

func prizeOf(d store.Draw, w store.DrawWin) (prize, error) {
	r, err := rulesOf(d)
	if err != nil {
		return prize{}, err
	}
	p := prize{DrawWin: w, Draw: d}
	if w.Prize >= 1 && w.Prize <= len(r.Prizes) {
		p.What = r.Prizes[w.Prize-1]
	}
	return p, nil
}

// prizes answers 我的奖品.
func (f *feature) prizes(ctx context.Context, tx *store.Tx, m bot.Message) (bot.Reply, error) {
	list, err := f.prizesOf(ctx, tx, m.Member.ID)
	if err != nil {
		return bot.Reply{}, err
	}
	if len(list) == 0 {
		return bot.Textf("你还没有中过奖。说“抽奖”看看现在有什么可以参加。"), nil
	}
	var b strings.Builder
	b.WriteString("你的奖品：")
	now := f.Now()
	for _, p := range list {
		fmt.Fprintf(&b, "\n· %s（%s #%d）", p.What.Name, p.Draw.Name, p.Draw.Number)
		switch {
		case p.Claimable(now):
			fmt.Fprintf(&b, "：领奖码 %s，%s 前（含当天）到服务台出示。领奖码不要发给别人。", p.Code, f.dayWords(p.LastDay(f.Zone)))
		case p.State == store.WinClaimed:
			fmt.Fprintf(&b, "：%s 已领取", f.dayWords(store.DayOf(*p.ClaimedAt, f.Zone)))
		default:
			fmt.Fprintf(&b, "：%s 到期没有领，不能再领了", f.dayWords(p.LastDay(f.Zone)))
		}
	}
	return bot.Reply{Text: b.String()}, nil
}

// cleanCode returns a claim code as it is stored, from what somebody typed.
func cleanCode(typed string) string {
	return strings.Map(func(r rune) rune {
		if r == ' ' || r == '-' {
			return -1
		}
		return r
	}, strings.ToUpper(narrow(strings.TrimSpace(typed))))
}

// lookUpCode returns the prize that a claim code stands for, or a refusal.
func (f *feature) lookUpCode(ctx context.Context, tx *store.Tx, code string) (prize, error) {
	w, err := tx.DrawWinByCode(ctx, cleanCode(code))
	if errors.Is(err, store.ErrNotFound) {
		return prize{}, refuse("没有这个领奖码。领奖码是 %d 位字母和数字，没有 0、1、I、L、O。", codeLength)
	}
	if err != nil {
		return prize{}, err
	}
	d, err := tx.Draw(ctx, w.DrawID)
	if err != nil {
		return prize{}, err
	}
	return prizeOf(d, w)
}

// writeOff hands a prize out, once. It returns a refusal that says why not.
func (f *feature) writeOff(ctx context.Context, tx *store.Tx, code string, operator int64, now time.Time) (prize, error) {
	p, err := f.lookUpCode(ctx, tx, code)
	if err != nil {
		return p, err
	}
	done, err := tx.ClaimDrawWin(ctx, p.ID, operator, now)
	if err != nil {
		return p, err
	}
	if !done {
		if p, err = f.lookUpCode(ctx, tx, code); err != nil { // as it is now
			return p, err
		}
		if p.State == store.WinClaimed {
			return p, refuse("这份奖品 %s 已经领走了，不能再领。", p.ClaimedAt.In(f.Zone).Format("1月2日 15:04"))
		}
		return p, refuse("这份奖品 %s 到期没有领，已经不能领了。", f.dayWords(p.LastDay(f.Zone)))
	}
	return p, nil
}

// export returns a member's entries and prizes.
func (f *feature) export(ctx context.Context, tx *store.Tx, member int64) (any, error) {
	entries, err := tx.DrawEntriesOf(ctx, member, 10_000)
	if err != nil {
		return nil, err
	}
	prizes, err := f.prizesOf(ctx, tx, member)
	if err != nil {
		return nil, err
	}
	type entry struct {
		Draw      int64     `json:"draw"`
		Number    int       `json:"number"`
		Code      string    `json:"code"`
		Pseudonym string    `json:"pseudonym"`
		At        time.Time `json:"at"`
	}
	type won struct {
		Draw  int64          `json:"draw"`
		Prize string         `json:"prize"`
		State store.WinState `json:"state"`
		At    *time.Time     `json:"at"`
	}
	data := struct {
		Entries []entry `json:"entries"`
		Prizes  []won   `json:"prizes"`
	}{[]entry{}, []won{}}
	for _, e := range entries {
		data.Entries = append(data.Entries, entry{e.DrawID, e.Number, e.Code, e.Pseudonym, e.At.UTC()})
	}
	for _, p := range prizes {
		data.Prizes = append(data.Prizes, won{p.DrawID, p.What.Name, p.State, p.WonAt})
	}
	return data, nil
}

// erase makes a member's entries nobody's.
func (f *feature) erase(ctx context.Context, tx *store.Tx, member int64) error {
	return tx.EraseDraws(ctx, member)
}
