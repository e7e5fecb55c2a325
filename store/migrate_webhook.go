package store

import (
	"time"

	"github.com/go-gormigrate/gormigrate/v2"
	"gorm.io/gorm"
)

// migrateWebhooks makes the webhooks by which groups are posted to.
var migrateWebhooks = []*gormigrate.Migration{
	createTable("2026-11-22 webhooks", &webhookV1{}),
	addColumn("2026-11-22 groups.webhook_id", &groupV2{}, "WebhookID"),
}

// addColumn is a step that adds one column to a table.
func addColumn(id string, model any, field string) *gormigrate.Migration {
	return &gormigrate.Migration{ID: id, Migrate: func(db *gorm.DB) error {
		if db.Migrator().HasColumn(model, field) {
			return nil
		}
		return db.Migrator().AddColumn(model, field)
	}}
}

type webhookV1 struct {
	ID        int64
	KeyHash   string `gorm:"size:64;uniqueIndex"`
	Sealed    string
	CreatedAt time.Time
}

func (webhookV1) TableName() string { return "webhooks" }

type groupV2 struct {
	ID        int64
	WebhookID int64 `gorm:"not null;default:0"`
}

func (groupV2) TableName() string { return "groups" }
