package store

import (
	"context"
	"fmt"
	"time"

	"gorm.io/gorm/clause"
)

// A Member is one person as the rules see them: a number without a name.
type Member struct {
	ID        int64 // also the member number that members and operators say
	CreatedAt time.Time
}

// A Person is a member's personal data. Erasing a member deletes it.
type Person struct {
	MemberID int64 `gorm:"primaryKey;autoIncrement:false"`
	Name     string
}

// TableName implements gorm's Tabler.
func (Person) TableName() string { return "people" }

// IdentityKind says whose id an identity is.
type IdentityKind string

// The ids by which WeCom names people.
const (
	UserID         IdentityKind = "userid"          // a member of the corp's own address book
	ExternalUserID IdentityKind = "external_userid" // a customer
	UnionID        IdentityKind = "unionid"         // a WeChat user across the corp's apps
)

// An Identity is an id by which the platform knows a member. A member may
// have several; an id belongs to one member.
type Identity struct {
	Kind     IdentityKind `gorm:"primaryKey;size:24"`
	Value    string       `gorm:"primaryKey;size:128"`
	MemberID int64        `gorm:"index"`
}

// MembersOf returns the members behind the identities, in the same order, and
// makes those that are not known yet. Only Kind and Value are read.
func (tx *Tx) MembersOf(ctx context.Context, ids []Identity, now time.Time) ([]Member, error) {
	known, err := tx.identified(ctx, ids)
	if err != nil {
		return nil, err
	}
	if err := tx.addMembers(ctx, ids, known, now); err != nil {
		return nil, err
	}
	members := make([]Member, len(ids))
	for i, id := range ids {
		if known[id.key()] == 0 { // another replica made it meanwhile
			if known[id.key()], err = tx.addMember(ctx, id, now); err != nil {
				return nil, err
			}
		}
		members[i].ID = known[id.key()]
	}
	return members, nil
}

// addMembers makes the members behind the ids that are not known, on SQLite
// with two statements for all of them.
func (tx *Tx) addMembers(ctx context.Context, ids []Identity, known map[[2]string]int64, now time.Time) error {
	if tx.mysql {
		return nil
	}
	var fresh []Identity
	for _, id := range ids {
		if _, seen := known[id.key()]; !seen {
			known[id.key()] = 0
			fresh = append(fresh, id)
		}
	}
	if len(fresh) < 2 {
		return nil
	}
	rows := make([]Member, len(fresh))
	for i := range rows {
		rows[i].CreatedAt = now
	}
	if err := tx.db.WithContext(ctx).Create(&rows).Error; err != nil {
		return fmt.Errorf("add members: %w", err)
	}
	for i := range fresh {
		fresh[i].MemberID = rows[i].ID
		known[fresh[i].key()] = rows[i].ID
	}
	if err := tx.db.WithContext(ctx).Create(&fresh).Error; err != nil {
		return fmt.Errorf("add identities: %w", err)
	}
	return nil
}

func (id Identity) key() [2]string { return [2]string{string(id.Kind), id.Value} }

// identified returns the member numbers of the identities that are known.
func (tx *Tx) identified(ctx context.Context, ids []Identity) (map[[2]string]int64, error) {
	byKind := map[IdentityKind][]string{}
	for _, id := range ids {
		byKind[id.Kind] = append(byKind[id.Kind], id.Value)
	}
	known := make(map[[2]string]int64, len(ids))
	for kind, values := range byKind {
		var rows []Identity
		err := tx.db.WithContext(ctx).Where("kind = ? AND value IN ?", kind, values).Find(&rows).Error
		if err != nil {
			return nil, fmt.Errorf("look up identities: %w", err)
		}
		for _, r := range rows {
			known[r.key()] = r.MemberID
		}
	}
	return known, nil
}

// addMember makes the member behind id. Should another replica have done so
// meanwhile, its member is returned.
func (tx *Tx) addMember(ctx context.Context, id Identity, now time.Time) (int64, error) {
	member := Member{CreatedAt: now}
	if err := tx.db.WithContext(ctx).Create(&member).Error; err != nil {
		return 0, fmt.Errorf("add member: %w", err)
	}
	id.MemberID = member.ID
	added, err := tx.insert(ctx, &id)
	if err != nil {
		return 0, fmt.Errorf("add identity: %w", err)
	}
	if added == 1 {
		return member.ID, nil
	}
	if err := tx.db.WithContext(ctx).Delete(&member).Error; err != nil {
		return 0, fmt.Errorf("drop member that exists: %w", err)
	}
	known, err := tx.identified(ctx, []Identity{id})
	return known[id.key()], err
}

// MemberByIdentity returns the member behind an id, or ErrNotFound.
func (tx *Tx) MemberByIdentity(ctx context.Context, kind IdentityKind, value string) (Member, error) {
	var m Member
	res := tx.db.WithContext(ctx).Joins("JOIN identities ON identities.member_id = members.id").
		Where("identities.kind = ? AND identities.value = ?", kind, value).Take(&m)
	return m, one(res, "look up member")
}

// Member returns one member, or ErrNotFound.
func (tx *Tx) Member(ctx context.Context, id int64) (Member, error) {
	var m Member
	err := one(tx.db.WithContext(ctx).Take(&m, id), "look up member")
	return m, err
}

// IdentitiesOf returns one id by which the platform knows each member.
func (tx *Tx) IdentitiesOf(ctx context.Context, members []int64) (map[int64]Identity, error) {
	var rows []Identity
	if err := tx.db.WithContext(ctx).Where("member_id IN ?", members).Order("kind, value").Find(&rows).Error; err != nil {
		return nil, fmt.Errorf("list identities: %w", err)
	}
	ids := make(map[int64]Identity, len(rows))
	for _, r := range rows {
		if _, known := ids[r.MemberID]; !known {
			ids[r.MemberID] = r
		}
	}
	return ids, nil
}

// MemberIdentities returns all ids by which the platform knows a member, colleagues' first.
func (tx *Tx) MemberIdentities(ctx context.Context, member int64) ([]Identity, error) {
	var ids []Identity
	if err := tx.db.WithContext(ctx).Where("member_id = ?", member).Order("kind DESC, value").Find(&ids).Error; err != nil {
		return nil, fmt.Errorf("list a member's identities: %w", err)
	}
	return ids, nil
}

// SetName stores the name a member is called by.
func (tx *Tx) SetName(ctx context.Context, member int64, name string) error {
	row := Person{MemberID: member, Name: name}
	err := tx.db.WithContext(ctx).Clauses(clause.OnConflict{UpdateAll: true}).Create(&row).Error
	if err != nil {
		return fmt.Errorf("set name: %w", err)
	}
	return nil
}

// Names returns what the members are called; who has no name is left out.
func (tx *Tx) Names(ctx context.Context, members []int64) (map[int64]string, error) {
	var people []Person
	if err := tx.db.WithContext(ctx).Where("member_id IN ?", members).Find(&people).Error; err != nil {
		return nil, fmt.Errorf("look up names: %w", err)
	}
	names := make(map[int64]string, len(people))
	for _, p := range people {
		names[p.MemberID] = p.Name
	}
	return names, nil
}
