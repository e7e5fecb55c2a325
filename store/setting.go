package store

import (
	"context"
	"encoding/json"
	"fmt"

	"gorm.io/gorm/clause"
)

// A setting is a rule that operators change in the console: JSON under a name.
type setting struct {
	Name  string `gorm:"primaryKey;size:80"`
	Value string
}

// TableName implements gorm's Tabler.
func (setting) TableName() string { return "settings" }

// Setting reads the setting of that name into dst, which holds the defaults:
// fields that were never set stay as they are. One transaction reads a
// setting once.
func (tx *Tx) Setting(ctx context.Context, name string, dst any) error {
	value, cached := tx.settings[name]
	if !cached {
		var rows []setting
		if err := tx.db.WithContext(ctx).Where("name = ?", name).Find(&rows).Error; err != nil {
			return fmt.Errorf("read setting %s: %w", name, err)
		}
		if len(rows) > 0 {
			value = rows[0].Value
		}
		if tx.settings == nil {
			tx.settings = map[string]string{}
		}
		tx.settings[name] = value
	}
	if value == "" {
		return nil
	}
	if err := json.Unmarshal([]byte(value), dst); err != nil {
		return fmt.Errorf("read setting %s: %w", name, err)
	}
	return nil
}

// SetSetting stores value under name.
func (tx *Tx) SetSetting(ctx context.Context, name string, value any) error {
	text, err := json.Marshal(value)
	if err != nil {
		return fmt.Errorf("write setting %s: %w", name, err)
	}
	row := setting{Name: name, Value: string(text)}
	if err := tx.db.WithContext(ctx).Clauses(clause.OnConflict{UpdateAll: true}).Create(&row).Error; err != nil {
		return fmt.Errorf("write setting %s: %w", name, err)
	}
	delete(tx.settings, name)
	return nil
}

// fixZone remembers the zone of the first start and refuses another one once
// there are check-ins: their days would no longer be true.
func (s *Store) fixZone(ctx context.Context) error {
	return s.Update(ctx, func(tx *Tx) error {
		var fixed string
		if err := tx.Setting(ctx, "time_zone", &fixed); err != nil {
			return err
		}
		if fixed == s.zone.String() {
			return nil
		}
		if fixed != "" {
			var any []CheckIn
			if err := tx.db.WithContext(ctx).Limit(1).Find(&any).Error; err != nil {
				return fmt.Errorf("look for check-ins: %w", err)
			}
			if len(any) > 0 {
				return fmt.Errorf("open database: time_zone is %s, but there are check-ins by the days of %s: set time_zone back to %s",
					s.zone, fixed, fixed)
			}
		}
		return tx.SetSetting(ctx, "time_zone", s.zone.String())
	})
}
