package draw

import (
	"context"
	"errors"
	"fmt"
	"html/template"
	"net/url"
	"strconv"

	"qunbot/drawproof"
	"qunbot/store"
	"qunbot/web/portal"
	"qunbot/web/style"
)

// memberPage is the members' page: draws to enter, those that are over, and
// what the member won.
func (f *feature) memberPage() portal.Page {
	return portal.Page{
		Path: "/draws", Title: "抽奖", Menu: true, Icon: "gift",
		FS: files, Template: "portal.html", Style: "portal.css", Load: f.loadMember, Post: f.postMember, Card: f.card,
	}
}

// memberData is what the members' page shows.
type memberData struct {
	Open   []memberDraw
	Past   []memberDraw
	Prizes []memberPrize
}

// A memberDraw is a draw with what the member did in it.
type memberDraw struct {
	store.Draw
	Rules   drawproof.Rules
	Until   string
	Entry   store.DrawEntry // Number 0: not entered
	Won     bool
	Several bool // more than one mall's draws are listed
	Mall    string
}

// A memberPrize is a prize with the code that a clerk scans.
type memberPrize struct {
	prize
	Ready   bool
	QR      template.URL
	LastDay string
}

func (f *feature) loadMember(ctx context.Context, tx *store.Tx, v portal.Visit) (any, error) {
	where, err := malls(ctx, tx, v.Member.ID, v.Group)
	if err != nil {
		return nil, err
	}
	draws, err := tx.Draws(ctx, store.DrawFilter{Malls: where, Since: v.Now.AddDate(0, 0, -4*shownDays), Limit: 50})
	if err != nil {
		return nil, err
	}
	names, err := mallNames(ctx, tx)
	if err != nil {
		return nil, err
	}
	prizes, err := f.prizesOf(ctx, tx, v.Member.ID)
	if err != nil {
		return nil, err
	}
	won := map[int64]bool{}
	var data memberData
	for _, p := range prizes {
		won[p.DrawID] = true
		shown := memberPrize{prize: p, Ready: p.Claimable(v.Now), LastDay: f.dayWords(p.LastDay(f.Zone))}
		if shown.Ready {
			if shown.QR, err = style.QR(v.Base + "/console/claims?code=" + url.QueryEscape(p.Code)); err != nil {
				return nil, err
			}
		}
		data.Prizes = append(data.Prizes, shown)
	}
	for _, d := range draws {
		shown := memberDraw{Draw: d, Until: f.deadlineWords(d), Won: won[d.ID], Several: len(where) > 1, Mall: names[d.MallID]}
		shown.Seed, shown.EntrantKey = "", ""
		if shown.Rules, err = rulesOf(d); err != nil {
			return nil, err
		}
		shown.Entry, err = tx.DrawEntryOf(ctx, d.ID, v.Member.ID)
		if err != nil && !errors.Is(err, store.ErrNotFound) {
			return nil, err
		}
		if d.State == store.DrawOpen && inTime(d, v.Now, f.Zone) == nil {
			data.Open = append(data.Open, shown)
		} else {
			data.Past = append(data.Past, shown)
		}
	}
	return data, nil
}

// PrizeWords writes one kind of prize.
func (m memberDraw) PrizeWords() []string {
	list := make([]string, len(m.Rules.Prizes))
	for i, p := range m.Rules.Prizes {
		list[i] = prizeWords(p)
	}
	return list
}

// StateWords says how far the draw has come.
func (m memberDraw) StateWords() string {
	if m.State == store.DrawOpen {
		return "已经到点，正在截止"
	}
	return stateWords(m.Draw)
}

// postMember enters the draw whose number was pressed.
func (f *feature) postMember(ctx context.Context, tx *store.Tx, v portal.Visit) (portal.Result, error) {
	id, err := strconv.ParseInt(v.Value("draw"), 10, 64)
	if err != nil {
		return portal.Result{}, portal.Invalid("", "没有选抽奖，请再点一次。")
	}
	where, err := malls(ctx, tx, v.Member.ID, v.Group)
	if err != nil {
		return portal.Result{}, err
	}
	d, err := tx.Draw(ctx, id)
	if errors.Is(err, store.ErrNotFound) || err == nil && !contains(where, d.MallID) {
		return portal.Result{}, portal.Invalid("", "没有这场抽奖，它可能是别的商场的。")
	}
	if err != nil {
		return portal.Result{}, err
	}
	r, err := f.enter(ctx, tx, id, v.Member.ID, v.Now)
	if no, refused := errors.AsType[refusal](err); refused {
		return portal.Result{}, portal.Invalid("", string(no))
	}
	if err != nil {
		return portal.Result{}, err
	}
	if r.again {
		return portal.Result{Message: fmt.Sprintf("你已经报过“%s”了：第 %d 位", r.draw.Name, r.Number)}, nil
	}
	return portal.Result{Message: fmt.Sprintf("报名成功！第 %d 位，核对码 %s", r.Number, r.Code), Celebrate: true}, nil
}

func contains(list []int64, n int64) bool {
	for _, one := range list {
		if one == n {
			return true
		}
	}
	return false
}

// card is the draw's place on the home page.
func (f *feature) card(ctx context.Context, tx *store.Tx, v portal.Visit) (portal.Card, error) {
	prizes, err := f.prizesOf(ctx, tx, v.Member.ID)
	if err != nil {
		return portal.Card{}, err
	}
	ready := 0
	for _, p := range prizes {
		if p.Claimable(v.Now) {
			ready++
		}
	}
	if ready > 0 {
		return portal.Card{Title: "我的奖品", Figure: fmt.Sprint(ready), Unit: "份待领", Text: "点开出示领奖码", Action: "去领", Link: "/m/draws#prizes"}, nil
	}
	where, err := malls(ctx, tx, v.Member.ID, v.Group)
	if err != nil {
		return portal.Card{}, err
	}
	draws, err := tx.Draws(ctx, store.DrawFilter{Malls: where, States: []store.DrawState{store.DrawOpen}, Limit: 50})
	if err != nil || len(draws) == 0 {
		return portal.Card{}, err
	}
	return portal.Card{Title: "抽奖", Figure: fmt.Sprint(len(draws)), Unit: "场正在报名", Text: draws[0].Name, Action: "去看看", Link: "/m/draws"}, nil
}
