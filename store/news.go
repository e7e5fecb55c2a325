package store

import (
	"context"
	"fmt"
	"time"

	"gorm.io/gorm/clause"
)

// A NewsFeed is what is known about a feed of the settings.
type NewsFeed struct {
	Hash         string     `gorm:"primaryKey;size:64"` // SHA-256 of its address
	ETag         string     `gorm:"size:500"`           // of its last good answer, as is LastModified
	LastModified string     `gorm:"size:100"`
	TriedAt      time.Time  // when it was asked last
	OKAt         *time.Time // when it last answered well; nil: never
	Error        string     `gorm:"size:300"` // of the last try, in Chinese; empty: it went well
	Failures     int        // tries in a row that went wrong
	Entries      int        // in its last good answer
	Added        int        // items that came from it, ever
}

// A NewsItem is something to tell in a daily digest.
type NewsItem struct {
	ID         int64
	MallID     int64   `gorm:"index:news_items_mall,priority:1"`         // 0: for every mall
	Day        Day     `gorm:"size:10;index:news_items_mall,priority:2"` // the first day on which it may be posted
	FeedKey    *string `gorm:"size:64;uniqueIndex"`                      // what makes it the same item in a feed; nil: operators wrote it
	LinkKey    string  `gorm:"size:64;index"`                            // equal for addresses that mean the same; empty without a link
	TextKey    string  `gorm:"size:64;index"`                            // equal for texts that say the same
	Source     string  `gorm:"size:100"`                                 // the feed's name
	OperatorID int64   // who wrote text and link; 0: a feed
	Text       string  `gorm:"size:400"` // one line
	Link       string  `gorm:"size:500"` // http or https; empty: none
	Hidden     bool    // operators do not want it posted
	SeenAt     time.Time
	CreatedAt  time.Time
}

// A NewsDigest is what a mall's groups are told on one day.
type NewsDigest struct {
	MallID    int64   `gorm:"primaryKey;autoIncrement:false"` // 0: the groups without a mall
	Day       Day     `gorm:"primaryKey;size:10"`
	Items     []int64 `gorm:"serializer:json"` // in their order
	Count     int     // len(Items); 0: there was nothing new
	More      int     // items for which there was no room
	CreatedAt time.Time
}

// newsSent says that an item was posted to a mall's groups.
type newsSent struct {
	MallID int64 `gorm:"primaryKey;autoIncrement:false"`
	ItemID int64 `gorm:"primaryKey;autoIncrement:false;index"`
	Day    Day   `gorm:"size:10;index"`
}

// TableName implements gorm's Tabler.
func (newsSent) TableName() string { return "news_sent" }

// NewsFeeds returns what is known about feeds, by their hash.
func (tx *Tx) NewsFeeds(ctx context.Context) (map[string]NewsFeed, error) {
	var rows []NewsFeed
	if err := tx.db.WithContext(ctx).Find(&rows).Error; err != nil {
		return nil, fmt.Errorf("list news feeds: %w", err)
	}
	feeds := make(map[string]NewsFeed, len(rows))
	for _, f := range rows {
		feeds[f.Hash] = f
	}
	return feeds, nil
}

// SetNewsFeed stores what is known about a feed.
func (tx *Tx) SetNewsFeed(ctx context.Context, f NewsFeed) error {
	f.TriedAt, f.OKAt = moment(f.TriedAt), momentOrNil(f.OKAt)
	if err := tx.db.WithContext(ctx).Clauses(clause.OnConflict{UpdateAll: true}).Create(&f).Error; err != nil {
		return fmt.Errorf("set news feed: %w", err)
	}
	return nil
}

// AddNewsItem stores an item and returns its number: 0 means that there is one
// with its FeedKey.
func (tx *Tx) AddNewsItem(ctx context.Context, n NewsItem) (id int64, err error) {
	n.ID, n.SeenAt, n.CreatedAt = 0, moment(n.SeenAt), moment(n.CreatedAt)
	added, err := tx.insert(ctx, &n)
	if err != nil {
		return 0, fmt.Errorf("add news item: %w", err)
	}
	if added == 0 {
		return 0, nil
	}
	return n.ID, nil
}

// SeeNewsItems notes that feeds still hold the items with these keys.
func (tx *Tx) SeeNewsItems(ctx context.Context, feedKeys []string, now time.Time) error {
	err := tx.db.WithContext(ctx).Model(&NewsItem{}).Where("feed_key IN ?", feedKeys).UpdateColumn("seen_at", moment(now)).Error
	if err != nil {
		return fmt.Errorf("note news items: %w", err)
	}
	return nil
}

// SimilarNewsItems returns items made since then with one of these link keys or
// text keys, the newest first. Empty keys match nothing.
func (tx *Tx) SimilarNewsItems(ctx context.Context, linkKeys, textKeys []string, since time.Time) ([]NewsItem, error) {
	var list []NewsItem
	err := tx.db.WithContext(ctx).Where("created_at >= ?", moment(since)).
		Where("(link_key <> '' AND link_key IN ?) OR (text_key <> '' AND text_key IN ?)", linkKeys, textKeys).
		Order("id DESC").Find(&list).Error
	if err != nil {
		return nil, fmt.Errorf("look for similar news: %w", err)
	}
	return list, nil
}

// SetNewsItem changes what operators wrote in an item.
func (tx *Tx) SetNewsItem(ctx context.Context, n NewsItem) error {
	err := tx.db.WithContext(ctx).Model(&NewsItem{}).Where("id = ?", n.ID).
		Select("mall_id", "day", "link_key", "text_key", "text", "link", "operator_id").UpdateColumns(&n).Error
	if err != nil {
		return fmt.Errorf("set news item: %w", err)
	}
	return nil
}

// HideNewsItem keeps an item from being posted, or takes that back. It returns
// ErrNotFound if there is none.
func (tx *Tx) HideNewsItem(ctx context.Context, id int64, hidden bool) error {
	if _, err := tx.NewsItem(ctx, id); err != nil {
		return err
	}
	if err := tx.db.WithContext(ctx).Model(&NewsItem{}).Where("id = ?", id).UpdateColumn("hidden", hidden).Error; err != nil {
		return fmt.Errorf("hide news item: %w", err)
	}
	return nil
}

// NewsItem returns one item, or ErrNotFound.
func (tx *Tx) NewsItem(ctx context.Context, id int64) (NewsItem, error) {
	var n NewsItem
	err := one(tx.db.WithContext(ctx).Take(&n, id), "look up news item")
	return n, err
}

// NewsItems returns items, the newest first, older than before (0: from the
// newest), at most limit.
func (tx *Tx) NewsItems(ctx context.Context, before int64, limit int) ([]NewsItem, error) {
	q := tx.db.WithContext(ctx)
	if before > 0 {
		q = q.Where("id < ?", before)
	}
	var list []NewsItem
	if err := q.Order("id DESC").Limit(limit).Find(&list).Error; err != nil {
		return nil, fmt.Errorf("list news items: %w", err)
	}
	return list, nil
}

// NewsItemsByID returns the items with these numbers; unknown ones are left out.
func (tx *Tx) NewsItemsByID(ctx context.Context, ids []int64) (map[int64]NewsItem, error) {
	var rows []NewsItem
	if err := tx.db.WithContext(ctx).Where("id IN ?", ids).Find(&rows).Error; err != nil {
		return nil, fmt.Errorf("look up news items: %w", err)
	}
	items := make(map[int64]NewsItem, len(rows))
	for _, n := range rows {
		items[n.ID] = n
	}
	return items, nil
}

// OpenNewsItems returns items for a mall, or for every mall, of the days from
// one to another, that are not hidden and that the mall's groups were not told:
// what operators wrote first, then what is newest; at most limit.
func (tx *Tx) OpenNewsItems(ctx context.Context, mall int64, from, to Day, limit int) ([]NewsItem, error) {
	sent := tx.db.WithContext(ctx).Model(&newsSent{}).Select("1").Where("news_sent.mall_id = ? AND news_sent.item_id = news_items.id", mall)
	var list []NewsItem
	err := tx.db.WithContext(ctx).Where("mall_id IN ? AND day BETWEEN ? AND ? AND hidden = ?", []int64{0, mall}, from, to, false).
		Where("NOT EXISTS (?)", sent).
		Order("CASE WHEN operator_id > 0 THEN 0 ELSE 1 END, day DESC, id DESC").Limit(limit).Find(&list).Error
	if err != nil {
		return nil, fmt.Errorf("list open news items: %w", err)
	}
	return list, nil
}

// NewsDigest returns what a mall's groups were told on a day, or ErrNotFound.
func (tx *Tx) NewsDigest(ctx context.Context, mall int64, day Day) (NewsDigest, error) {
	var d NewsDigest
	err := one(tx.db.WithContext(ctx).Where("mall_id = ? AND day = ?", mall, day).Take(&d), "look up news digest")
	return d, err
}

// PutNewsDigest stores a digest, unless the mall has one of that day that holds
// items, and marks its items as sent. stored is the one that holds now, and
// fresh is false where there was a digest before, also an empty one.
func (tx *Tx) PutNewsDigest(ctx context.Context, d NewsDigest) (stored NewsDigest, fresh bool, err error) {
	d.Count, d.CreatedAt = len(d.Items), moment(d.CreatedAt)
	added, err := tx.insert(ctx, &d)
	if err != nil {
		return d, false, fmt.Errorf("put news digest: %w", err)
	}
	if fresh = added == 1; !fresh && d.Count > 0 {
		res := tx.db.WithContext(ctx).Model(&NewsDigest{}).Where("mall_id = ? AND day = ? AND count = 0", d.MallID, d.Day).
			Select("items", "count", "more", "created_at").UpdateColumns(&d)
		if res.Error != nil {
			return d, false, fmt.Errorf("put news digest: %w", res.Error)
		}
		added = res.RowsAffected
	}
	if added == 1 && d.Count > 0 {
		sent := make([]newsSent, d.Count)
		for i, id := range d.Items {
			sent[i] = newsSent{d.MallID, id, d.Day}
		}
		if _, err := tx.insert(ctx, &sent); err != nil {
			return d, false, fmt.Errorf("put news digest: %w", err)
		}
	}
	stored, err = tx.NewsDigest(ctx, d.MallID, d.Day)
	return stored, fresh, err
}

// NewsTold returns the items with one of these link keys or text keys that a
// mall's groups were told since that day. Empty keys match nothing.
func (tx *Tx) NewsTold(ctx context.Context, mall int64, linkKeys, textKeys []string, since Day) ([]NewsItem, error) {
	sent := tx.db.WithContext(ctx).Model(&newsSent{}).Select("item_id").Where("mall_id = ? AND day >= ?", mall, since)
	var list []NewsItem
	err := tx.db.WithContext(ctx).Where("id IN (?)", sent).
		Where("(link_key <> '' AND link_key IN ?) OR (text_key <> '' AND text_key IN ?)", linkKeys, textKeys).Find(&list).Error
	if err != nil {
		return nil, fmt.Errorf("look up told news: %w", err)
	}
	return list, nil
}

// NewsSentOn returns the last day on which each of the items was posted
// anywhere; those that were not are left out.
func (tx *Tx) NewsSentOn(ctx context.Context, items []int64) (map[int64]Day, error) {
	var rows []newsSent
	if err := tx.db.WithContext(ctx).Where("item_id IN ?", items).Find(&rows).Error; err != nil {
		return nil, fmt.Errorf("look up posted news: %w", err)
	}
	days := map[int64]Day{}
	for _, r := range rows {
		days[r.ItemID] = max(days[r.ItemID], r.Day)
	}
	return days, nil
}

// PruneNews deletes items that no feed has held, and nobody has written, since
// that time, with what was posted of them; at most limit. It returns how many.
func (tx *Tx) PruneNews(ctx context.Context, before time.Time, limit int) (int64, error) {
	var ids []int64
	err := tx.db.WithContext(ctx).Model(&NewsItem{}).Where("seen_at < ?", moment(before)).Order("seen_at").Limit(limit).Pluck("id", &ids).Error
	if err != nil {
		return 0, fmt.Errorf("prune news: %w", err)
	}
	if len(ids) == 0 {
		return 0, nil
	}
	if err := tx.db.WithContext(ctx).Where("item_id IN ?", ids).Delete(&newsSent{}).Error; err != nil {
		return 0, fmt.Errorf("prune news: %w", err)
	}
	res := tx.db.WithContext(ctx).Where("id IN ?", ids).Delete(&NewsItem{})
	if res.Error != nil {
		return 0, fmt.Errorf("prune news: %w", res.Error)
	}
	return res.RowsAffected, nil
}
