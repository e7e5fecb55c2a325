package ledger

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"math"
	"slices"
	"strconv"
	"strings"

	"qunbot/store"
)

// maxProblems is how many problems Verify names; more are cut off.
const maxProblems = 1000

// Verify proves the books. It returns how many accounts there are, and a line
// in Chinese for each thing that is wrong:
//
//   - for every member the entries, the lots and the balance have the same sum;
//   - every entry is what its lot earned less what it took from lots, and every
//     lot holds what was earned less what was taken;
//   - every check-in is booked, as an award or as a repair, and every such
//     booking has its check-in;
//   - every draw that costs points was paid for as often as it was entered;
//   - everything returned was spent before.
//
// What moderation took and operators gave has no such proof: strikes are
// forgotten with their member, and an adjustment's cause is a person.
//
// It reads all of the ledger in one consistent look, in pieces: at ten million
// entries that takes minutes, and holds up nobody.
func Verify(ctx context.Context, db *store.Store) (accounts int64, problems []string, err error) {
	err = db.View(ctx, func(tx *store.Tx) error {
		p := &proof{
			tx: tx, members: map[int64]*sums{}, days: map[store.Day]map[int64]bool{},
			booked: map[store.Day]int64{}, paid: map[int64]int64{},
		}
		err := p.run(tx.Context())
		accounts, problems = p.accounts, p.problems
		return err
	})
	return accounts, problems, err
}

// A proof goes through the books once.
type proof struct {
	tx       *store.Tx
	accounts int64
	problems []string
	members  map[int64]*sums
	days     map[store.Day]map[int64]bool // who checked in, of the days looked at last
	booked   map[store.Day]int64          // check-ins that were booked, by day
	paid     map[int64]int64              // entries that were paid for, by draw
}

// sums are what must be equal, in points.
type sums struct{ entries, lots, balance int64 }

// piece is how many rows are read at once.
const piece = 5000

func (p *proof) run(ctx context.Context) error {
	for _, step := range []func(context.Context) error{p.entries, p.lots, p.balances, p.checkIns, p.draws} {
		if err := step(ctx); err != nil {
			return err
		}
	}
	return nil
}

func (p *proof) wrong(format string, args ...any) {
	if len(p.problems) < maxProblems {
		p.problems = append(p.problems, fmt.Sprintf(format, args...))
	}
	if len(p.problems) == maxProblems {
		p.problems = append(p.problems, "还有更多，没有列出")
	}
}

func (p *proof) member(id int64) *sums {
	s := p.members[id]
	if s == nil {
		s = &sums{}
		p.members[id] = s
	}
	return s
}

// entries holds each entry against its lot, what it took, and its cause.
func (p *proof) entries(ctx context.Context) error {
	for after := int64(0); ; {
		list, err := p.tx.EntriesAfter(ctx, after, piece)
		if err != nil {
			return err
		}
		upTo := int64(math.MaxInt64)
		if len(list) == piece {
			upTo = list[piece-1].ID
		}
		lots, err := p.tx.LotsOfEntries(ctx, after, upTo)
		if err != nil {
			return err
		}
		uses, err := p.tx.UsesOfEntries(ctx, after, upTo)
		if err != nil {
			return err
		}
		p.explain(list, lots, uses)
		if err := p.causes(ctx, list); err != nil {
			return err
		}
		if len(list) < piece {
			return nil
		}
		after = upTo
	}
}

// explain holds entries against the lots they made and the uses they booked.
func (p *proof) explain(list []store.Entry, lots []store.Lot, uses []store.LotUse) {
	type explained struct {
		points int64
		member int64 // of the lot; 0: none
	}
	by := make(map[int64]explained, len(list))
	for _, l := range lots {
		x := by[l.EntryID]
		x.points, x.member = x.points+l.Earned, l.MemberID
		by[l.EntryID] = x
	}
	for _, u := range uses {
		x := by[u.EntryID]
		x.points -= u.Points
		by[u.EntryID] = x
	}
	for _, e := range list {
		p.member(e.MemberID).entries += e.Points
		x := by[e.ID]
		if x.points != e.Points {
			p.wrong("分录 %d（会员 %d，%s）是 %d 分，批次里却是 %d 分", e.ID, e.MemberID, e.Key, e.Points, x.points)
		}
		if x.member != 0 && x.member != e.MemberID {
			p.wrong("分录 %d 是会员 %d 的，它的批次却是会员 %d 的", e.ID, e.MemberID, x.member)
		}
		delete(by, e.ID)
	}
	for _, id := range slices.Sorted(maps.Keys(by)) {
		p.wrong("批次或扣减指向分录 %d，但没有这笔分录", id)
	}
}

// lots holds each lot against what was taken from it.
func (p *proof) lots(ctx context.Context) error {
	for after := int64(0); ; {
		list, err := p.tx.LotsAfter(ctx, after, piece)
		if err != nil {
			return err
		}
		upTo := int64(math.MaxInt64)
		if len(list) == piece {
			upTo = list[piece-1].ID
		}
		uses, err := p.tx.UsesOfLots(ctx, after, upTo)
		if err != nil {
			return err
		}
		taken := make(map[int64]int64, len(uses))
		for _, u := range uses {
			taken[u.LotID] += u.Points
		}
		for _, l := range list {
			p.member(l.MemberID).lots += l.Remaining
			if l.Earned-taken[l.ID] != l.Remaining || l.Remaining < 0 || l.Remaining > l.Earned {
				p.wrong("批次 %d（会员 %d）得 %d 分，用掉 %d 分，却还剩 %d 分", l.ID, l.MemberID, l.Earned, taken[l.ID], l.Remaining)
			}
			delete(taken, l.ID)
		}
		for _, id := range slices.Sorted(maps.Keys(taken)) {
			p.wrong("有扣减指向批次 %d，但没有这个批次", id)
		}
		if len(list) < piece {
			return nil
		}
		after = upTo
	}
}

// balances holds each account against its member's entries and lots.
func (p *proof) balances(ctx context.Context) error {
	for after := int64(0); ; {
		list, err := p.tx.AccountsAfter(ctx, after, piece)
		if err != nil {
			return err
		}
		for _, a := range list {
			p.member(a.MemberID).balance = a.Balance
			after = a.MemberID
		}
		p.accounts += int64(len(list))
		if len(list) < piece {
			break
		}
	}
	for _, id := range slices.Sorted(maps.Keys(p.members)) {
		if s := p.members[id]; s.entries != s.lots || s.lots != s.balance {
			p.wrong("会员 %d 的分录合计 %d 分，批次合计 %d 分，余额 %d 分，应该相等", id, s.entries, s.lots, s.balance)
		}
	}
	return nil
}

// causes looks for what the entries were booked for.
func (p *proof) causes(ctx context.Context, list []store.Entry) error {
	var returns []store.Entry
	for _, e := range list {
		switch e.Rule {
		case "checkin", "checkin.repair":
			day, first, ok := checkInOf(e)
			if !ok {
				p.wrong("分录 %d（会员 %d）是签到的，键 %s 却不是", e.ID, e.MemberID, e.Key)
				continue
			}
			there, err := p.checkedIn(ctx, day)
			if err != nil {
				return err
			}
			if !there[e.MemberID] {
				p.wrong("分录 %d 给会员 %d 记了 %s 的签到，但那天没有签到", e.ID, e.MemberID, day)
			} else if first {
				p.booked[day]++
			}
		case "draw":
			draw, ok := drawOf(e)
			if !ok {
				p.wrong("分录 %d（会员 %d）是抽奖的，键 %s 却不是", e.ID, e.MemberID, e.Key)
				continue
			}
			p.paid[draw]++
		}
		if strings.HasSuffix(e.Rule, ".return") {
			returns = append(returns, e)
		}
	}
	for some := range slices.Chunk(returns, 500) {
		var keys []string
		for _, e := range some {
			keys = append(keys, spentKey(e.Key))
		}
		booked, err := p.tx.KeysBooked(ctx, keys)
		if err != nil {
			return err
		}
		for i, e := range some {
			if keys[i] != "" && !booked[keys[i]] {
				p.wrong("分录 %d 给会员 %d 退了 %d 分，但没有 %s 这笔支出", e.ID, e.MemberID, e.Points, keys[i])
			}
		}
	}
	return nil
}

// checkInOf reads the day out of the key of a check-in's booking, such as
// checkin:42:2026-11-21. The first booking of a day is the check-in itself;
// checkin:42:2026-11-21:streak:7 adds to it.
func checkInOf(e store.Entry) (day store.Day, first, ok bool) {
	rest, ok := strings.CutPrefix(e.Key, e.Rule+":"+strconv.FormatInt(e.MemberID, 10)+":")
	text, more, _ := strings.Cut(rest, ":")
	day = store.Day(text)
	return day, more == "", ok && day.Valid() && (more == "" || strings.HasPrefix(more, "streak:"))
}

// drawOf reads the draw out of a key such as draw:12:42.
func drawOf(e store.Entry) (draw int64, ok bool) {
	rest, ok := strings.CutPrefix(e.Key, "draw:")
	text, member, _ := strings.Cut(rest, ":")
	draw, err := strconv.ParseInt(text, 10, 64)
	return draw, ok && err == nil && member == strconv.FormatInt(e.MemberID, 10)
}

// spentKey undoes what Return made of a spending's key; empty: the key was too
// long and is a hash.
func spentKey(key string) string {
	escaped, ok := strings.CutPrefix(key, "return:")
	if !ok {
		return ""
	}
	return strings.NewReplacer("%3A", ":", "%25", "%").Replace(escaped)
}

// keptDays is how many days' check-ins are kept at hand: entries come in about
// the order of their days.
const keptDays = 8

func (p *proof) checkedIn(ctx context.Context, day store.Day) (map[int64]bool, error) {
	if members, kept := p.days[day]; kept {
		return members, nil
	}
	if len(p.days) >= keptDays {
		delete(p.days, slices.MinFunc(slices.Collect(maps.Keys(p.days)), cmp.Compare))
	}
	members, err := p.tx.CheckedInOn(ctx, day)
	p.days[day] = members
	return members, err
}

// checkIns holds the check-ins of each day against what was booked for them.
func (p *proof) checkIns(ctx context.Context) error {
	counts, err := p.tx.CheckInCounts(ctx, "", "9999-12-31")
	if err != nil {
		return err
	}
	for _, c := range counts {
		day := c.Day
		if c.Count == p.booked[day] {
			continue
		}
		members, err := p.tx.CheckedInOn(ctx, day)
		if err != nil {
			return err
		}
		for some := range slices.Chunk(slices.Sorted(maps.Keys(members)), 250) {
			var keys []string
			for _, m := range some {
				keys = append(keys, store.Key("checkin", m, day), store.Key("checkin.repair", m, day))
			}
			booked, err := p.tx.KeysBooked(ctx, keys)
			if err != nil {
				return err
			}
			for i, m := range some {
				switch award, repair := booked[keys[2*i]], booked[keys[2*i+1]]; {
				case award && repair:
					p.wrong("会员 %d 在 %s 的签到记了两次：签到和补签", m, day)
				case !award && !repair:
					p.wrong("会员 %d 在 %s 签到了，但没有记积分", m, day)
				}
			}
		}
	}
	return nil
}

// draws holds the entries of each draw that costs points against what was paid.
func (p *proof) draws(ctx context.Context) error {
	entered, err := p.tx.PaidDrawEntries(ctx)
	if err != nil {
		return err
	}
	for draw := range p.paid {
		entered[draw] += 0 // also draws that nobody entered
	}
	for _, draw := range slices.Sorted(maps.Keys(entered)) {
		if entered[draw] != p.paid[draw] {
			p.wrong("抽奖 %d 有 %d 人报名，却有 %d 笔扣分", draw, entered[draw], p.paid[draw])
		}
	}
	return nil
}
