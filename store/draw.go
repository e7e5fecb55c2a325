package store

import (
	"context"
	"errors"
	"fmt"
	"time"

	"gorm.io/gorm"
)

// DrawState says how far a lucky draw has come: open → closed → drawn, or
// cancelled from either of the first two.
type DrawState string

// The states of a draw.
const (
	DrawOpen      DrawState = "open"      // members may enter
	DrawClosed    DrawState = "closed"    // nobody may enter
	DrawDrawn     DrawState = "drawn"     // over, with winners
	DrawCancelled DrawState = "cancelled" // over, without
)

// A Draw is one lucky draw. What was announced (Rules and the fields beside
// it) is never changed.
type Draw struct {
	ID          int64
	PublicID    string    // 10 letters and digits, in the address of its page
	MallID      int64     //
	Number      int64     // within its mall, never used again
	GroupID     int64     // where it is announced; 0: nowhere
	OperatorID  int64     // who made it
	Name        string    //
	State       DrawState //
	Deadline    *time.Time
	Rules       string // drawproof.Rules as JSON
	MinPoints   int64  // condition: points an entrant must have; 0: none
	NotWonDays  int    // condition: days without a prize; 0: none
	InGroupDays int    // condition: days in a group of the mall; 0: none
	Cost        int64  // points that entering costs; 0: nothing
	ClaimDays   int    // how long a prize waits for its winner
	Commitment  string // SHA-256 of the seed
	Seed        string // 64 hexadecimal digits, a secret until the draw is over
	EntrantKey  string // 64 hexadecimal digits, a secret for ever: makes the pseudonyms
	Entries     int    // how many
	Chain       string // after the last entry
	PublicValue string // empty until it is typed in
	Reason      string // why it was cancelled
	Refunded    int    // entries whose cost was returned after it was cancelled
	CreatedAt   time.Time
	ClosedAt    *time.Time
	ValueAt     *time.Time
	DrawnAt     *time.Time
	CancelledAt *time.Time
}

// A DrawEntry is one member's entry in a draw.
type DrawEntry struct {
	DrawID    int64  `gorm:"primaryKey;autoIncrement:false"`
	Number    int    `gorm:"primaryKey;autoIncrement:false"` // from 1, in the order in which they came
	MemberID  *int64 // nil after the member was erased
	Pseudonym string
	Code      string // check code
	At        time.Time
}

// WinState says what became of a place in a draw's ranking.
type WinState string

// The states of a place.
const (
	WinOpen    WinState = "won"     // a prize waits for its winner
	WinClaimed WinState = "claimed" // handed out
	WinLapsed  WinState = "lapsed"  // not claimed in time
	WinWaiting WinState = "waiting" // an alternate, without a prize so far
)

// A DrawWin is one place in a draw's ranking: a winner, or an alternate.
type DrawWin struct {
	ID         int64
	DrawID     int64
	Place      int    // in the ranking, from 1
	Entry      int    // number of the entry
	MemberID   *int64 // nil after the member was erased
	Prize      int    // place in the draw's prizes, from 1; 0: an alternate without one
	State      WinState
	ClaimUntil *time.Time // nil while waiting
	Code       string     // claim code; a secret between the winner and the counter
	WonAt      *time.Time // nil while waiting
	ClaimedAt  *time.Time
	ClaimedBy  int64 // operator
}

// NextDrawNumber returns the next number of a mall's draws. It is used up even
// if the draw is cancelled.
func (tx *Tx) NextDrawNumber(ctx context.Context, mall int64) (int64, error) {
	type drawCounter struct {
		MallID int64 `gorm:"primaryKey;autoIncrement:false"`
		Last   int64
	}
	if _, err := tx.insert(ctx, &drawCounter{MallID: mall}); err != nil {
		return 0, fmt.Errorf("number a draw: %w", err)
	}
	err := tx.db.WithContext(ctx).Model(&drawCounter{}).Where("mall_id = ?", mall).UpdateColumn("last", gorm.Expr(tx.quoted("last")+" + 1")).Error
	if err != nil {
		return 0, fmt.Errorf("number a draw: %w", err)
	}
	var c drawCounter
	err = one(tx.db.WithContext(ctx).Where("mall_id = ?", mall).Take(&c), "number a draw")
	return c.Last, err
}

// AddDraw stores d and fills in its ID.
func (tx *Tx) AddDraw(ctx context.Context, d *Draw) error {
	d.CreatedAt, d.Deadline = moment(d.CreatedAt), momentOrNil(d.Deadline)
	if err := tx.db.WithContext(ctx).Create(d).Error; err != nil {
		return fmt.Errorf("add draw: %w", err)
	}
	return nil
}

// Draw returns one draw, or ErrNotFound.
func (tx *Tx) Draw(ctx context.Context, id int64) (Draw, error) {
	var d Draw
	err := one(tx.db.WithContext(ctx).Take(&d, id), "look up draw")
	return d, err
}

// LockedDraw returns one draw, or ErrNotFound, and holds it against other
// transactions until this one ends.
func (tx *Tx) LockedDraw(ctx context.Context, id int64) (Draw, error) {
	var d Draw
	err := one(tx.forUpdate(tx.db.WithContext(ctx)).Take(&d, id), "lock draw")
	return d, err
}

// DrawByPublicID returns the draw whose page has that id, or ErrNotFound.
func (tx *Tx) DrawByPublicID(ctx context.Context, id string) (Draw, error) {
	var d Draw
	err := one(tx.db.WithContext(ctx).Where("public_id = ?", id).Take(&d), "look up draw")
	return d, err
}

// A DrawFilter narrows Draws. Zero fields do not narrow.
type DrawFilter struct {
	Malls  []int64
	States []DrawState
	Number int64     // of the draw within its mall
	Name   string    // the whole name
	Since  time.Time // only draws whose last change was not earlier; open and closed ones always
	Before int64     // only draws with a smaller id
	Limit  int
}

// Draws returns draws, the newest first.
func (tx *Tx) Draws(ctx context.Context, f DrawFilter) ([]Draw, error) {
	q := tx.db.WithContext(ctx)
	if f.Malls != nil {
		q = q.Where("mall_id IN ?", f.Malls)
	}
	if f.States != nil {
		q = q.Where("state IN ?", f.States)
	}
	if f.Number > 0 {
		q = q.Where("number = ?", f.Number)
	}
	if f.Name != "" {
		q = q.Where("name = ?", f.Name)
	}
	if !f.Since.IsZero() {
		since := moment(f.Since)
		q = q.Where("state IN ? OR drawn_at >= ? OR cancelled_at >= ?", []DrawState{DrawOpen, DrawClosed}, since, since)
	}
	if f.Before > 0 {
		q = q.Where("id < ?", f.Before)
	}
	var list []Draw
	if err := q.Order("id DESC").Limit(f.Limit).Find(&list).Error; err != nil {
		return nil, fmt.Errorf("list draws: %w", err)
	}
	return list, nil
}

// DrawsFrom returns draws by id, behind the id after (0: from the first), at
// most limit.
func (tx *Tx) DrawsFrom(ctx context.Context, after int64, limit int) ([]Draw, error) {
	var list []Draw
	if err := tx.db.WithContext(ctx).Where("id > ?", after).Order("id").Limit(limit).Find(&list).Error; err != nil {
		return nil, fmt.Errorf("list draws: %w", err)
	}
	return list, nil
}

// DueDraws returns the open draws whose deadline is not after t, at most limit.
func (tx *Tx) DueDraws(ctx context.Context, t time.Time, limit int) ([]Draw, error) {
	var list []Draw
	err := tx.db.WithContext(ctx).Where("state = ? AND deadline <= ?", DrawOpen, moment(t)).Order("id").Limit(limit).Find(&list).Error
	if err != nil {
		return nil, fmt.Errorf("list due draws: %w", err)
	}
	return list, nil
}

// UnreturnedDraws returns the cancelled draws that owe entrants their points,
// at most limit.
func (tx *Tx) UnreturnedDraws(ctx context.Context, limit int) ([]Draw, error) {
	var list []Draw
	err := tx.db.WithContext(ctx).Where("state = ? AND cost > 0 AND refunded < entries", DrawCancelled).Order("id").Limit(limit).Find(&list).Error
	if err != nil {
		return nil, fmt.Errorf("list unreturned draws: %w", err)
	}
	return list, nil
}

// AddDrawEntry stores e as the newest entry of its draw, whose chain is then
// chain. It returns ErrExists if the member has entered already or the draw
// has moved on: it must be locked, open, and have one entry less.
func (tx *Tx) AddDrawEntry(ctx context.Context, e DrawEntry, chain string) error {
	e.At = moment(e.At)
	added, err := tx.insert(ctx, &e)
	if err != nil {
		return fmt.Errorf("add draw entry: %w", err)
	}
	if added == 0 {
		return fmt.Errorf("add draw entry: %w", ErrExists)
	}
	res := tx.db.WithContext(ctx).Model(&Draw{}).Where("id = ? AND state = ? AND entries = ?", e.DrawID, DrawOpen, e.Number-1).
		UpdateColumns(map[string]any{"entries": e.Number, "chain": chain})
	if res.Error != nil {
		return fmt.Errorf("count draw entry: %w", res.Error)
	}
	if res.RowsAffected == 0 {
		return fmt.Errorf("count draw entry: %w", ErrExists)
	}
	return nil
}

// DrawEntryOf returns a member's entry in a draw, or ErrNotFound.
func (tx *Tx) DrawEntryOf(ctx context.Context, draw, member int64) (DrawEntry, error) {
	var e DrawEntry
	err := one(tx.db.WithContext(ctx).Where("draw_id = ? AND member_id = ?", draw, member).Take(&e), "look up draw entry")
	return e, err
}

// DrawEntriesOf returns a member's entries, the newest draw first.
func (tx *Tx) DrawEntriesOf(ctx context.Context, member int64, limit int) ([]DrawEntry, error) {
	var list []DrawEntry
	err := tx.db.WithContext(ctx).Where("member_id = ?", member).Order("draw_id DESC").Limit(limit).Find(&list).Error
	if err != nil {
		return nil, fmt.Errorf("list a member's draw entries: %w", err)
	}
	return list, nil
}

// DrawEntries returns a draw's entries behind the number after (0: from the
// first), at most limit, in order.
func (tx *Tx) DrawEntries(ctx context.Context, draw int64, after, limit int) ([]DrawEntry, error) {
	var list []DrawEntry
	err := tx.db.WithContext(ctx).Where("draw_id = ? AND number > ?", draw, after).Order("number").Limit(limit).Find(&list).Error
	if err != nil {
		return nil, fmt.Errorf("list draw entries: %w", err)
	}
	return list, nil
}

// NewestDrawEntries returns a draw's entries before the number before (0: from
// the newest), at most limit, the newest first.
func (tx *Tx) NewestDrawEntries(ctx context.Context, draw, before int64, limit int) ([]DrawEntry, error) {
	q := tx.db.WithContext(ctx).Where("draw_id = ?", draw)
	if before > 0 {
		q = q.Where("number < ?", before)
	}
	var list []DrawEntry
	if err := q.Order("number DESC").Limit(limit).Find(&list).Error; err != nil {
		return nil, fmt.Errorf("list draw entries: %w", err)
	}
	return list, nil
}

// DrawProofs calls each for all entries of a draw in order, with what the
// record holds of them.
func (tx *Tx) DrawProofs(ctx context.Context, draw int64, each func(pseudonym, code string)) error {
	rows, err := tx.db.WithContext(ctx).Model(&DrawEntry{}).Select("pseudonym, code").Where("draw_id = ?", draw).Order("number").Rows()
	if err != nil {
		return fmt.Errorf("read draw entries: %w", err)
	}
	defer rows.Close()
	for rows.Next() {
		var pseudonym, code string
		if err := rows.Scan(&pseudonym, &code); err != nil {
			return fmt.Errorf("read draw entries: %w", err)
		}
		each(pseudonym, code)
	}
	if err := rows.Err(); err != nil {
		return fmt.Errorf("read draw entries: %w", err)
	}
	return nil
}

// MembersOfDrawEntries returns who made the entries with these numbers; who
// was erased is left out.
func (tx *Tx) MembersOfDrawEntries(ctx context.Context, draw int64, numbers []int) (map[int]int64, error) {
	members := make(map[int]int64, len(numbers))
	for len(numbers) > 0 {
		some := numbers[:min(500, len(numbers))]
		numbers = numbers[len(some):]
		var list []DrawEntry
		err := tx.db.WithContext(ctx).Select("number, member_id").Where("draw_id = ? AND number IN ?", draw, some).Find(&list).Error
		if err != nil {
			return nil, fmt.Errorf("look up draw entries: %w", err)
		}
		for _, e := range list {
			if e.MemberID != nil {
				members[e.Number] = *e.MemberID
			}
		}
	}
	return members, nil
}

// CloseDraw closes an open draw and reports whether this call did it.
func (tx *Tx) CloseDraw(ctx context.Context, id int64, at time.Time) (bool, error) {
	return tx.moveDraw(ctx, id, "close", []DrawState{DrawOpen}, map[string]any{"state": DrawClosed, "closed_at": moment(at)})
}

// SetDrawValue stores the public value of a closed draw that has none, and
// reports whether this call did it. It can be stored once only.
func (tx *Tx) SetDrawValue(ctx context.Context, id int64, value string, at time.Time) (bool, error) {
	res := tx.db.WithContext(ctx).Model(&Draw{}).Where("id = ? AND state = ? AND public_value = ''", id, DrawClosed).
		UpdateColumns(map[string]any{"public_value": value, "value_at": moment(at)})
	if res.Error != nil {
		return false, fmt.Errorf("set the public value of draw %d: %w", id, res.Error)
	}
	return res.RowsAffected == 1, nil
}

// MarkDrawn ends a closed draw and reports whether this call did it; its
// winners are stored in the same transaction.
func (tx *Tx) MarkDrawn(ctx context.Context, id int64, at time.Time) (bool, error) {
	return tx.moveDraw(ctx, id, "draw", []DrawState{DrawClosed}, map[string]any{"state": DrawDrawn, "drawn_at": moment(at)})
}

// CancelDraw cancels an open or closed draw and reports whether this call did it.
func (tx *Tx) CancelDraw(ctx context.Context, id int64, reason string, at time.Time) (bool, error) {
	return tx.moveDraw(ctx, id, "cancel", []DrawState{DrawOpen, DrawClosed},
		map[string]any{"state": DrawCancelled, "reason": reason, "cancelled_at": moment(at)})
}

func (tx *Tx) moveDraw(ctx context.Context, id int64, what string, from []DrawState, to map[string]any) (bool, error) {
	res := tx.db.WithContext(ctx).Model(&Draw{}).Where("id = ? AND state IN ?", id, from).UpdateColumns(to)
	if res.Error != nil {
		return false, fmt.Errorf("%s draw %d: %w", what, id, res.Error)
	}
	return res.RowsAffected == 1, nil
}

// SetDrawRefunded notes that the entries up to number got their points back.
func (tx *Tx) SetDrawRefunded(ctx context.Context, id int64, number int) error {
	err := tx.db.WithContext(ctx).Model(&Draw{}).Where("id = ? AND refunded < ?", id, number).UpdateColumn("refunded", number).Error
	if err != nil {
		return fmt.Errorf("note refunds of draw %d: %w", id, err)
	}
	return nil
}

// AddDrawWins stores the ranking of a draw.
func (tx *Tx) AddDrawWins(ctx context.Context, wins []DrawWin) error {
	for i := range wins {
		wins[i].ClaimUntil, wins[i].WonAt = momentOrNil(wins[i].ClaimUntil), momentOrNil(wins[i].WonAt)
	}
	if len(wins) == 0 {
		return nil
	}
	if err := tx.db.WithContext(ctx).CreateInBatches(&wins, 200).Error; err != nil {
		return fmt.Errorf("add draw winners: %w", err)
	}
	return nil
}

// DrawWins returns a draw's ranking, in order.
func (tx *Tx) DrawWins(ctx context.Context, draw int64) ([]DrawWin, error) {
	var list []DrawWin
	if err := tx.db.WithContext(ctx).Where("draw_id = ?", draw).Order("place").Find(&list).Error; err != nil {
		return nil, fmt.Errorf("list draw winners: %w", err)
	}
	return list, nil
}

// DrawWinsOf returns a member's prizes, the newest first, at most limit.
func (tx *Tx) DrawWinsOf(ctx context.Context, member int64, limit int) ([]DrawWin, error) {
	var list []DrawWin
	err := tx.db.WithContext(ctx).Where("member_id = ? AND prize > 0", member).Order("id DESC").Limit(limit).Find(&list).Error
	if err != nil {
		return nil, fmt.Errorf("list a member's prizes: %w", err)
	}
	return list, nil
}

// DrawWinByCode returns the prize that a claim code stands for, or ErrNotFound.
func (tx *Tx) DrawWinByCode(ctx context.Context, code string) (DrawWin, error) {
	var w DrawWin
	err := one(tx.db.WithContext(ctx).Where("code = ? AND prize > 0", code).Take(&w), "look up claim code")
	return w, err
}

// LastDrawWin returns when a member last won in a mall and did not let the
// prize lapse, or ErrNotFound.
func (tx *Tx) LastDrawWin(ctx context.Context, member, mall int64) (time.Time, error) {
	var w DrawWin
	res := tx.db.WithContext(ctx).Joins("JOIN draws ON draws.id = draw_wins.draw_id").
		Where("draw_wins.member_id = ? AND draws.mall_id = ? AND draw_wins.state IN ?", member, mall, []WinState{WinOpen, WinClaimed}).
		Order("draw_wins.won_at DESC").Limit(1).Take(&w)
	if err := one(res, "last prize"); err != nil {
		return time.Time{}, err
	}
	return *w.WonAt, nil
}

// ClaimDrawWin notes that a prize was handed out at t by an operator, and
// reports whether this call did it: a prize is handed out once, and not after
// its time.
func (tx *Tx) ClaimDrawWin(ctx context.Context, id, operator int64, t time.Time) (bool, error) {
	res := tx.db.WithContext(ctx).Model(&DrawWin{}).Where("id = ? AND state = ? AND claim_until > ?", id, WinOpen, moment(t)).
		UpdateColumns(map[string]any{"state": WinClaimed, "claimed_at": moment(t), "claimed_by": operator})
	if res.Error != nil {
		return false, fmt.Errorf("claim prize %d: %w", id, res.Error)
	}
	return res.RowsAffected == 1, nil
}

// LapsedDrawWins returns prizes that were not claimed by t, at most limit.
func (tx *Tx) LapsedDrawWins(ctx context.Context, t time.Time, limit int) ([]DrawWin, error) {
	var list []DrawWin
	err := tx.db.WithContext(ctx).Where("state = ? AND claim_until <= ?", WinOpen, moment(t)).Order("draw_id, place").Limit(limit).Find(&list).Error
	if err != nil {
		return nil, fmt.Errorf("list lapsed prizes: %w", err)
	}
	return list, nil
}

// LapseDrawWin notes that a prize was not claimed by t, and reports whether
// this call did it.
func (tx *Tx) LapseDrawWin(ctx context.Context, id int64, t time.Time) (bool, error) {
	res := tx.db.WithContext(ctx).Model(&DrawWin{}).Where("id = ? AND state = ? AND claim_until <= ?", id, WinOpen, moment(t)).
		UpdateColumn("state", WinLapsed)
	if res.Error != nil {
		return false, fmt.Errorf("lapse prize %d: %w", id, res.Error)
	}
	return res.RowsAffected == 1, nil
}

// PromoteDrawWin gives a prize to the draw's next alternate at t and returns
// them, or ErrNotFound if there is none left. The draw must be locked.
func (tx *Tx) PromoteDrawWin(ctx context.Context, draw int64, prize int, t, until time.Time) (DrawWin, error) {
	var w DrawWin
	res := tx.db.WithContext(ctx).Where("draw_id = ? AND state = ?", draw, WinWaiting).Order("place").Limit(1).Take(&w)
	if err := one(res, "next alternate"); err != nil {
		return w, err
	}
	t, until = moment(t), moment(until)
	w.State, w.Prize, w.WonAt, w.ClaimUntil = WinOpen, prize, &t, &until
	err := tx.db.WithContext(ctx).Model(&DrawWin{}).Where("id = ?", w.ID).
		UpdateColumns(map[string]any{"state": w.State, "prize": prize, "won_at": t, "claim_until": until}).Error
	if err != nil {
		return w, fmt.Errorf("promote alternate: %w", err)
	}
	return w, nil
}

// FirstSeenInMall returns when a member was first seen in a group of a mall,
// or ErrNotFound.
func (tx *Tx) FirstSeenInMall(ctx context.Context, member, mall int64) (time.Time, error) {
	var g GroupMember
	res := tx.db.WithContext(ctx).Joins("JOIN "+tx.quoted("groups")+" g ON g.id = group_members.group_id").
		Where("group_members.member_id = ? AND g.mall_id = ?", member, mall).Order("group_members.joined_at").Limit(1).Take(&g)
	return g.JoinedAt, one(res, "first seen in mall")
}

// EraseDraws makes a member's entries and prizes nobody's. The records stay as
// they are: they hold pseudonyms only.
func (tx *Tx) EraseDraws(ctx context.Context, member int64) error {
	return errors.Join(
		tx.db.WithContext(ctx).Model(&DrawEntry{}).Where("member_id = ?", member).UpdateColumn("member_id", nil).Error,
		tx.db.WithContext(ctx).Model(&DrawWin{}).Where("member_id = ?", member).UpdateColumn("member_id", nil).Error,
	)
}
