package store

import (
	"time"

	"github.com/go-gormigrate/gormigrate/v2"
)

// migrateNews makes feeds, items, and what was posted of them.
var migrateNews = []*gormigrate.Migration{
	createTable("2026-11-23 news_feeds", &newsFeedV1{}),
	createTable("2026-11-23 news_items", &newsItemV1{}),
	createTable("2026-11-23 news_digests", &newsDigestV1{}),
	createTable("2026-11-23 news_sent", &newsSentV1{}),
}

type newsFeedV1 struct {
	Hash         string `gorm:"primaryKey;size:64"`
	ETag         string `gorm:"size:500"`
	LastModified string `gorm:"size:100"`
	TriedAt      time.Time
	OKAt         *time.Time
	Error        string `gorm:"size:300"`
	Failures     int
	Entries      int
	Added        int
}

func (newsFeedV1) TableName() string { return "news_feeds" }

type newsItemV1 struct {
	ID         int64
	MallID     int64   `gorm:"index:news_items_mall,priority:1"`
	Day        string  `gorm:"size:10;index:news_items_mall,priority:2"`
	FeedKey    *string `gorm:"size:64;uniqueIndex"`
	LinkKey    string  `gorm:"size:64;index"`
	TextKey    string  `gorm:"size:64;index"`
	Source     string  `gorm:"size:100"`
	OperatorID int64
	Text       string `gorm:"size:400"`
	Link       string `gorm:"size:500"`
	Hidden     bool
	SeenAt     time.Time `gorm:"index"`
	CreatedAt  time.Time
}

func (newsItemV1) TableName() string { return "news_items" }

type newsDigestV1 struct {
	MallID    int64  `gorm:"primaryKey;autoIncrement:false"`
	Day       string `gorm:"primaryKey;size:10"`
	Items     string
	Count     int
	More      int
	CreatedAt time.Time
}

func (newsDigestV1) TableName() string { return "news_digests" }

type newsSentV1 struct {
	MallID int64  `gorm:"primaryKey;autoIncrement:false"`
	ItemID int64  `gorm:"primaryKey;autoIncrement:false;index"`
	Day    string `gorm:"size:10;index"`
}

func (newsSentV1) TableName() string { return "news_sent" }
