package store

import (
	"context"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"
)

// KFGroupSource is the source of links to the service accounts that are put
// into a group.
func KFGroupSource(id int64) string { return "g=" + strconv.FormatInt(id, 10) }

// KFPosterSource is the source of links on a poster: its code has 1 to 32
// letters, digits, _ and -.
func KFPosterSource(code string) string { return "p=" + code }

// KFSourceOf returns the group or the code of the poster that a source stands
// for; the other is zero.
func KFSourceOf(source string) (group int64, poster string) {
	if id, ok := strings.CutPrefix(source, "g="); ok {
		group, _ = strconv.ParseInt(id, 10, 64) // 0 if it is none
	}
	poster, _ = strings.CutPrefix(source, "p=")
	if poster == source {
		poster = ""
	}
	return group, poster
}

// KFAccountsOf returns what is known of these accounts; those that were never
// read are left out.
func (tx *Tx) KFAccountsOf(ctx context.Context, accounts []string) (map[string]KFAccount, error) {
	var rows []KFAccount
	if err := tx.db.WithContext(ctx).Where("account IN ?", accounts).Find(&rows).Error; err != nil {
		return nil, fmt.Errorf("look up service accounts: %w", err)
	}
	known := make(map[string]KFAccount, len(rows))
	for _, a := range rows {
		known[a.Account] = a
	}
	return known, nil
}

// SetKFContact stores the address of an account that was read before, or, with
// an empty address, why it is not known and when it is asked for again. An
// address that is known stays.
func (tx *Tx) SetKFContact(ctx context.Context, account, address, problem string, again time.Time) error {
	err := tx.db.WithContext(ctx).Model(&KFAccount{}).Where("account = ? AND contact_url = ''", account).
		UpdateColumns(map[string]any{"contact_url": address, "contact_problem": Cut(problem, 500), "contact_again_at": moment(again)}).Error
	if err != nil {
		return fmt.Errorf("set address of service account: %w", err)
	}
	return nil
}

// A KFPoster is a poster with a link to the service accounts.
type KFPoster struct {
	Code      string `gorm:"primaryKey;size:32"` // what its links carry
	Label     string // what operators call it, at most 40 characters
	CreatedAt time.Time
}

// TableName implements gorm's Tabler.
func (KFPoster) TableName() string { return "kf_posters" }

// AddKFPoster stores a poster and reports whether its code is new: false means
// that there is one with it, which stays as it is.
func (tx *Tx) AddKFPoster(ctx context.Context, p KFPoster) (bool, error) {
	p.CreatedAt = moment(p.CreatedAt)
	added, err := tx.insert(ctx, &p)
	if err != nil {
		return false, fmt.Errorf("add poster: %w", err)
	}
	return added == 1, nil
}

// KFPosters returns all posters in the order in which they were made.
func (tx *Tx) KFPosters(ctx context.Context) ([]KFPoster, error) {
	var list []KFPoster
	if err := tx.db.WithContext(ctx).Order("created_at, code").Find(&list).Error; err != nil {
		return nil, fmt.Errorf("list posters: %w", err)
	}
	return list, nil
}

// KFPoster returns one poster, or ErrNotFound.
func (tx *Tx) KFPoster(ctx context.Context, code string) (KFPoster, error) {
	var p KFPoster
	err := one(tx.db.WithContext(ctx).Where("code = ?", code).Take(&p), "look up poster")
	return p, err
}

// DeleteKFPoster deletes a poster, or returns ErrNotFound. Who came through its
// links stays noted.
func (tx *Tx) DeleteKFPoster(ctx context.Context, code string) error {
	res := tx.db.WithContext(ctx).Where("code = ?", code).Delete(&KFPoster{})
	if res.Error == nil && res.RowsAffected == 0 {
		res.Error = ErrNotFound
	}
	if res.Error != nil {
		return fmt.Errorf("delete poster: %w", res.Error)
	}
	return nil
}

// A KFCount says how many members came through the links of one source the
// first time and the last time.
type KFCount struct {
	First, FirstRecent int64 // in all, and since the time that was asked for
	Last, LastRecent   int64
}

// KFCounts returns the counts of every source that somebody came from. Members
// who were erased still count.
func (tx *Tx) KFCounts(ctx context.Context, since time.Time) (map[string]KFCount, error) {
	var rows []struct {
		Source string
		KFCount
	}
	err := tx.db.WithContext(ctx).Raw(`SELECT source, SUM(is_first) AS first, SUM(is_first * recent) AS first_recent,
			SUM(is_last) AS last, SUM(is_last * recent) AS last_recent
		FROM (SELECT first_source AS source, 1 AS is_first, 0 AS is_last, CASE WHEN first_at >= ? THEN 1 ELSE 0 END AS recent FROM kf_touches
			UNION ALL
			SELECT last_source, 0, 1, CASE WHEN last_at >= ? THEN 1 ELSE 0 END FROM kf_touches) AS touches
		GROUP BY source`, moment(since), moment(since)).Scan(&rows).Error
	if err != nil {
		return nil, fmt.Errorf("count who came from where: %w", err)
	}
	counts := make(map[string]KFCount, len(rows))
	for _, r := range rows {
		counts[r.Source] = r.KFCount
	}
	return counts, nil
}

// KFSettings are what operators decide about the service accounts.
type KFSettings struct {
	Hours string   `json:"hours"` // when staff serve, such as "每天 10:00–22:00"; may be empty
	Menu  []string `json:"menu"`  // what answers offer to say with one tap, besides 转人工
}

const kfSetting = "kf"

// KFSettings returns the settings of the service accounts.
func (tx *Tx) KFSettings(ctx context.Context) (KFSettings, error) {
	s := KFSettings{Menu: []string{"签到", "积分", "抽奖"}}
	err := tx.Setting(ctx, kfSetting, &s)
	return s, err
}

// SetKFSettings stores the settings of the service accounts.
func (tx *Tx) SetKFSettings(ctx context.Context, s KFSettings) error {
	if s.Menu == nil {
		s.Menu = []string{} // none, which is not the same as never set
	}
	return tx.SetSetting(ctx, kfSetting, s)
}

// KFSessionsOf returns a member's talks.
func (tx *Tx) KFSessionsOf(ctx context.Context, member int64) ([]KFSession, error) {
	accounts, customers, err := tx.kfIDs(ctx, member)
	if err != nil {
		return nil, err
	}
	var list []KFSession
	err = tx.db.WithContext(ctx).Where("account IN ? AND customer IN ?", accounts, customers).Order("account, customer").Find(&list).Error
	if err != nil {
		return nil, fmt.Errorf("list talks of a member: %w", err)
	}
	return list, nil
}

// KFSendsTo returns the messages to a member of the latest days, the oldest
// first.
func (tx *Tx) KFSendsTo(ctx context.Context, member int64) ([]KFSend, error) {
	accounts, customers, err := tx.kfIDs(ctx, member)
	if err != nil {
		return nil, err
	}
	var list []KFSend
	err = tx.db.WithContext(ctx).Where("account IN ? AND customer IN ?", accounts, customers).Order("booked_at, id").Find(&list).Error
	if err != nil {
		return nil, fmt.Errorf("list messages to a member: %w", err)
	}
	return list, nil
}

// kfIDs returns all service accounts and the ids by which they know a member:
// together they are the beginning of an index.
func (tx *Tx) kfIDs(ctx context.Context, member int64) (accounts, customers []string, err error) {
	err = tx.db.WithContext(ctx).Model(&KFAccount{}).Order("account").Pluck("account", &accounts).Error
	if err != nil {
		return nil, nil, fmt.Errorf("list service accounts: %w", err)
	}
	err = tx.db.WithContext(ctx).Model(&Identity{}).Where("member_id = ? AND kind = ?", member, ExternalUserID).Pluck("value", &customers).Error
	if err != nil {
		return nil, nil, fmt.Errorf("list ids of a member: %w", err)
	}
	return accounts, customers, nil
}

// EraseKF deletes a member's talks and the messages to them. Where the member
// came from stays as nobody's, and on the day only: see [KFTouch]. The member's
// identities must still be there.
func (tx *Tx) EraseKF(ctx context.Context, member int64) error {
	accounts, customers, err := tx.kfIDs(ctx, member)
	if err != nil {
		return err
	}
	for _, model := range []any{&KFSend{}, &KFSession{}} {
		err := tx.db.WithContext(ctx).Where("account IN ? AND customer IN ?", accounts, customers).Delete(model).Error
		if err != nil {
			return fmt.Errorf("erase talks: %w", err)
		}
	}
	t, err := tx.KFTouchOf(ctx, member)
	if errors.Is(err, ErrNotFound) {
		return nil
	}
	if err != nil {
		return err
	}
	dayOf := func(at time.Time) time.Time { return moment(DayOf(at, tx.zone).Start(tx.zone)) }
	err = tx.db.WithContext(ctx).Model(&KFTouch{}).Where("member_id = ?", member).
		UpdateColumns(map[string]any{"member_id": nobody(), "first_at": dayOf(t.FirstAt), "last_at": dayOf(t.LastAt)}).Error
	if err != nil {
		return fmt.Errorf("erase where a member came from: %w", err)
	}
	return nil
}

// nobody returns a negative number by chance: one of 2⁶³.
func nobody() int64 {
	var b [8]byte
	rand.Read(b[:])
	return int64(binary.BigEndian.Uint64(b[:]) | 1<<63)
}
