package store

import (
	"context"
	"fmt"
	"time"
)

// A Mall is one house of the corp: a shopping mall or a supermarket.
type Mall struct {
	ID   int64
	Name string `gorm:"size:100;uniqueIndex"`
}

// GroupKind decides what a group can do: see docs/design.md, "Kinds of chat".
type GroupKind string

// The kinds of groups.
const (
	InternalGroup GroupKind = "internal" // 内部群: staff; the bot hears what @s it and answers
	CustomerGroup GroupKind = "customer" // 客户群: no bot may join; members use the member page or 客服
)

// A Group is a fan group.
type Group struct {
	ID        int64
	ChatID    string    `gorm:"size:64;uniqueIndex"` // the platform's id
	Kind      GroupKind `gorm:"size:16"`
	Name      string    `gorm:"size:100"`
	MallID    int64     `gorm:"index"`
	WebhookID int64     // the Webhook that posts to it; 0: none
	CreatedAt time.Time
}

// A GroupMember says since when a member is known to be in a group.
type GroupMember struct {
	GroupID  int64 `gorm:"primaryKey;autoIncrement:false"`
	MemberID int64 `gorm:"primaryKey;autoIncrement:false;index"`
	JoinedAt time.Time
}

// MallNamed returns the mall of that name and makes it if there is none.
func (tx *Tx) MallNamed(ctx context.Context, name string) (Mall, error) {
	m := Mall{Name: name}
	if _, err := tx.insert(ctx, &m); err != nil {
		return m, fmt.Errorf("add mall: %w", err)
	}
	m = Mall{}
	err := one(tx.db.WithContext(ctx).Where("name = ?", name).Take(&m), "look up mall")
	return m, err
}

// Malls returns all malls in the order in which they were made.
func (tx *Tx) Malls(ctx context.Context) ([]Mall, error) {
	var malls []Mall
	if err := tx.db.WithContext(ctx).Order("id").Find(&malls).Error; err != nil {
		return nil, fmt.Errorf("list malls: %w", err)
	}
	return malls, nil
}

// AddGroup stores g and reports whether it is new: false means that a group
// with its ChatID exists and was left as it is.
func (tx *Tx) AddGroup(ctx context.Context, g Group) (bool, error) {
	added, err := tx.insert(ctx, &g)
	if err != nil {
		return false, fmt.Errorf("add group: %w", err)
	}
	return added == 1, nil
}

// GroupsByChat returns the groups with these chat ids; unknown ones are left out.
func (tx *Tx) GroupsByChat(ctx context.Context, chats []string) (map[string]Group, error) {
	var rows []Group
	if err := tx.db.WithContext(ctx).Where("chat_id IN ?", chats).Find(&rows).Error; err != nil {
		return nil, fmt.Errorf("look up groups: %w", err)
	}
	groups := make(map[string]Group, len(rows))
	for _, g := range rows {
		groups[g.ChatID] = g
	}
	return groups, nil
}

// Group returns one group, or ErrNotFound.
func (tx *Tx) Group(ctx context.Context, id int64) (Group, error) {
	var g Group
	err := one(tx.db.WithContext(ctx).Take(&g, id), "look up group")
	return g, err
}

// AddGroupMembers notes who was seen in which group. The first time counts.
func (tx *Tx) AddGroupMembers(ctx context.Context, seen []GroupMember) error {
	if len(seen) == 0 {
		return nil
	}
	if _, err := tx.insert(ctx, &seen); err != nil {
		return fmt.Errorf("note group members: %w", err)
	}
	return nil
}

// MemberSince returns since when a member is known to be in a group, or
// ErrNotFound.
func (tx *Tx) MemberSince(ctx context.Context, group, member int64) (time.Time, error) {
	var m GroupMember
	err := one(tx.db.WithContext(ctx).Where("group_id = ? AND member_id = ?", group, member).Take(&m), "look up group member")
	return m.JoinedAt, err
}
