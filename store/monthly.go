package store

import (
	"context"
	"fmt"
	"time"

	"gorm.io/gorm/clause"
)

// A MonthlyText is a mall's campaign text, posted into its groups once a month.
type MonthlyText struct {
	MallID     int64     `gorm:"primaryKey;autoIncrement:false"`
	Text       string    // with placeholders such as {{.Month}}
	DayOfMonth int       // 1 to 31; in a shorter month its last day
	Hour       int       // 0 to 23, in the configured zone
	Minute     int       // 0 to 59
	Enabled    bool      // it is posted
	Since      time.Time // when it was turned on or its day or time was changed: what was due before is not posted
	OperatorID int64     // who wrote the text
	UpdatedAt  time.Time `gorm:"autoUpdateTime:false"`
}

// A MonthlyPost says what became of a mall's text in one month.
type MonthlyPost struct {
	MallID    int64     `gorm:"primaryKey;autoIncrement:false"`
	Month     string    `gorm:"primaryKey;size:7"` // YYYY-MM
	Text      string    // as it was posted
	Groups    int       // how many it was posted to
	Problem   string    `gorm:"size:300"` // why it was not posted, in Chinese; empty: it was
	UpdatedAt time.Time `gorm:"autoUpdateTime:false"`
}

// MonthlyTexts returns the texts of all malls that have one.
func (tx *Tx) MonthlyTexts(ctx context.Context) ([]MonthlyText, error) {
	var list []MonthlyText
	if err := tx.db.WithContext(ctx).Order("mall_id").Find(&list).Error; err != nil {
		return nil, fmt.Errorf("list monthly texts: %w", err)
	}
	return list, nil
}

// MonthlyText returns a mall's text, or ErrNotFound.
func (tx *Tx) MonthlyText(ctx context.Context, mall int64) (MonthlyText, error) {
	var t MonthlyText
	err := one(tx.db.WithContext(ctx).Where("mall_id = ?", mall).Take(&t), "look up monthly text")
	return t, err
}

// SetMonthlyText stores a mall's text, new or changed.
func (tx *Tx) SetMonthlyText(ctx context.Context, t MonthlyText) error {
	t.Since, t.UpdatedAt = moment(t.Since), moment(t.UpdatedAt)
	if err := tx.db.WithContext(ctx).Clauses(clause.OnConflict{UpdateAll: true}).Create(&t).Error; err != nil {
		return fmt.Errorf("set monthly text: %w", err)
	}
	return nil
}

// MonthlyPost returns what became of a mall's text in a month, or ErrNotFound.
func (tx *Tx) MonthlyPost(ctx context.Context, mall int64, month string) (MonthlyPost, error) {
	var p MonthlyPost
	err := one(tx.db.WithContext(ctx).Where("mall_id = ? AND month = ?", mall, month).Take(&p), "look up monthly post")
	return p, err
}

// SetMonthlyPost stores what became of a mall's text in a month.
func (tx *Tx) SetMonthlyPost(ctx context.Context, p MonthlyPost) error {
	p.UpdatedAt = moment(p.UpdatedAt)
	if err := tx.db.WithContext(ctx).Clauses(clause.OnConflict{UpdateAll: true}).Create(&p).Error; err != nil {
		return fmt.Errorf("set monthly post: %w", err)
	}
	return nil
}

// MonthlyPosts returns what became of a mall's text, the newest month first,
// at most limit.
func (tx *Tx) MonthlyPosts(ctx context.Context, mall int64, limit int) ([]MonthlyPost, error) {
	var list []MonthlyPost
	err := tx.db.WithContext(ctx).Where("mall_id = ?", mall).Order("month DESC").Limit(limit).Find(&list).Error
	if err != nil {
		return nil, fmt.Errorf("list monthly posts: %w", err)
	}
	return list, nil
}

// MallMembers returns how many members were seen in a mall's groups; who is in
// several counts once.
func (tx *Tx) MallMembers(ctx context.Context, mall int64) (n int64, err error) {
	groups := tx.db.WithContext(ctx).Model(&Group{}).Select("id").Where("mall_id = ?", mall)
	err = tx.db.WithContext(ctx).Model(&GroupMember{}).Where("group_id IN (?)", groups).Distinct("member_id").Count(&n).Error
	if err != nil {
		return 0, fmt.Errorf("count a mall's members: %w", err)
	}
	return n, nil
}

// MallEarned returns the points that members earned in a mall from one time up
// to, and without, another.
func (tx *Tx) MallEarned(ctx context.Context, mall int64, from, to time.Time) (points int64, err error) {
	err = tx.db.WithContext(ctx).Model(&Entry{}).Select("COALESCE(SUM(points), 0)").
		Where("at >= ? AND at < ? AND mall_id = ? AND points > 0", moment(from), moment(to), mall).Scan(&points).Error
	if err != nil {
		return 0, fmt.Errorf("sum a mall's points: %w", err)
	}
	return points, nil
}

// MallCheckIns returns how many check-ins a mall's groups saw from one day to
// another, both included.
func (tx *Tx) MallCheckIns(ctx context.Context, mall int64, from, to Day) (n int64, err error) {
	groups := tx.db.WithContext(ctx).Model(&Group{}).Select("id").Where("mall_id = ?", mall)
	err = tx.db.WithContext(ctx).Model(&CheckIn{}).Where("day BETWEEN ? AND ? AND group_id IN (?)", from, to, groups).Count(&n).Error
	if err != nil {
		return 0, fmt.Errorf("count a mall's check-ins: %w", err)
	}
	return n, nil
}
