package draw

import (
	"context"
	"fmt"
	"strconv"
	"time"

	"qunbot/drawproof"
	"qunbot/store"
	"qunbot/web/portal"
	"qunbot/web/style"
)

// entrantsShown is how many entrants the public page lists at once.
const entrantsShown = 50

// publicPage is what everybody may see of a draw: what was announced, the
// result, and its proof, which the visitor's browser computes again.
func (f *feature) publicPage() portal.Page {
	return portal.Page{
		Path: "/draws/{id}", Title: "抽奖公示",
		FS: files, Template: "public.html", Style: "public.css", Script: "public.js", Load: f.loadPublic,
	}
}

// recordPage is the record as a file.
func (f *feature) recordPage() portal.Page {
	return portal.Page{Path: "/draws/{id}/record.json", Title: "抽奖记录", FS: files, Template: "public.html", Load: f.loadRecord}
}

func (f *feature) loadRecord(ctx context.Context, tx *store.Tx, v portal.Visit) (any, error) {
	d, err := tx.DrawByPublicID(ctx, v.Param("id"))
	if err != nil {
		return nil, err
	}
	body, err := f.recordJSON(ctx, tx, d)
	return portal.File{Name: "draw-" + d.PublicID + ".json", Type: "application/json", Body: body}, err
}

// publicData is what the public page shows.
type publicData struct {
	store.Draw
	Rules    drawproof.Rules
	Deadline string
	Results  []publicPrize
	Passed   []publicPass // prizes that changed hands since
	Entrants []publicEntrant
	From, To int    // numbers of the entrants that are listed
	Older    string // address of the entrants after these
	First    string // address of the first entrants, unless they are listed
	Over     bool   // drawn or cancelled
	HasValue bool   // a public value was agreed on
	Manual   bool   // no deadline was announced
	Early    bool   // closed before the deadline that was announced
}

// A publicPrize is one kind of prize with its winners.
type publicPrize struct {
	drawproof.Prize
	Winners []publicEntrant
}

// A publicEntrant is one entrant as everybody may see them.
type publicEntrant struct {
	Number          int
	Name            string // masked
	Pseudonym, Code string
	State           store.WinState // of a winner
	At              time.Time
}

// A publicPass is a prize that was not claimed in time.
type publicPass struct {
	Prize string
	From  publicEntrant
	To    publicEntrant // zero: nobody was left
}

func (f *feature) loadPublic(ctx context.Context, tx *store.Tx, v portal.Visit) (any, error) {
	d, err := tx.DrawByPublicID(ctx, v.Param("id"))
	if err != nil {
		return nil, err
	}
	r, err := rulesOf(d)
	if err != nil {
		return nil, err
	}
	data := publicData{
		Draw: d, Rules: r, Deadline: f.deadlineWords(d), HasValue: r.Source != drawproof.NoSource, Manual: d.Deadline == nil, Early: closedEarly(d),
		Over: d.State == store.DrawDrawn || d.State == store.DrawCancelled,
	}
	if !data.Over {
		data.Seed = "" // the page is for everybody
	}
	data.EntrantKey = ""
	if d.State == store.DrawDrawn {
		if err := f.results(ctx, tx, &data); err != nil {
			return nil, err
		}
	}
	if d.State != store.DrawOpen {
		if err := f.entrants(ctx, tx, &data, v); err != nil {
			return nil, err
		}
	}
	return data, nil
}

// results fills in who won what, and what became of it.
func (f *feature) results(ctx context.Context, tx *store.Tx, data *publicData) error {
	wins, err := tx.DrawWins(ctx, data.ID)
	if err != nil {
		return err
	}
	names, err := winnerNames(ctx, tx, wins)
	if err != nil {
		return err
	}
	shown := func(w store.DrawWin) publicEntrant {
		return publicEntrant{Number: w.Entry, Name: maskedName(names, w.MemberID), State: w.State}
	}
	prizes := data.Rules.Winners()
	for i, p := range data.Rules.Prizes {
		result := publicPrize{Prize: p}
		for _, w := range wins {
			if w.Place <= prizes && w.Prize == i+1 {
				result.Winners = append(result.Winners, shown(w))
			}
		}
		data.Results = append(data.Results, result)
	}
	// Whoever stepped in took the first prize of that kind that had lapsed and
	// was not passed on yet, in the order of the ranking.
	taken := map[int]bool{}
	for _, w := range wins {
		if w.State != store.WinLapsed {
			continue
		}
		pass := publicPass{Prize: data.Rules.Prizes[w.Prize-1].Name, From: shown(w)}
		for _, next := range wins {
			if next.Place > prizes && next.Place > w.Place && next.Prize == w.Prize && !taken[next.Place] {
				taken[next.Place] = true
				pass.To = shown(next)
				break
			}
		}
		data.Passed = append(data.Passed, pass)
	}
	return nil
}

func winnerNames(ctx context.Context, tx *store.Tx, wins []store.DrawWin) (map[int64]string, error) {
	var ids []int64
	for _, w := range wins {
		if w.MemberID != nil {
			ids = append(ids, *w.MemberID)
		}
	}
	return tx.Names(ctx, ids)
}

// maskedName is how the public page names a member.
func maskedName(names map[int64]string, member *int64) string {
	if member == nil {
		return "已注销"
	}
	return mask(names[*member])
}

// entrants fills in a page of the list.
func (f *feature) entrants(ctx context.Context, tx *store.Tx, data *publicData, v portal.Visit) error {
	after, err := strconv.Atoi(v.Query.Get("after"))
	if err != nil || after < 0 || after >= data.Entries {
		after = 0
	}
	list, err := tx.DrawEntries(ctx, data.ID, after, entrantsShown)
	if err != nil || len(list) == 0 {
		return err
	}
	var ids []int64
	for _, e := range list {
		if e.MemberID != nil {
			ids = append(ids, *e.MemberID)
		}
	}
	names, err := tx.Names(ctx, ids)
	if err != nil {
		return err
	}
	for _, e := range list {
		data.Entrants = append(data.Entrants, publicEntrant{Number: e.Number, Name: maskedName(names, e.MemberID), Pseudonym: e.Pseudonym, Code: e.Code})
	}
	data.From, data.To = list[0].Number, list[len(list)-1].Number
	if data.To < data.Entries {
		data.Older = fmt.Sprintf("%s?after=%d#entrants", v.Path, data.To)
	}
	if after > 0 {
		data.First = v.Path + "#entrants"
	}
	return nil
}

// Value writes what one prize of a kind is worth.
func (p publicPrize) Value() string { return valueWords(p.Prize) }

func valueWords(p drawproof.Prize) string {
	if p.ValueFen == 0 {
		return "未标价"
	}
	return "每份 " + style.Yuan(int64(p.ValueFen))
}
