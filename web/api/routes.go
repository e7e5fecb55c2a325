package api

import (
	"context"
	"errors"
	"time"

	"qunbot/store"
)

// ownRoutes are the routes that need nothing but the store.
func ownRoutes() []Route {
	return []Route{
		{Method: "GET", Path: "/members", Summary: "按企业微信的账号找会员", Spec: membersSpec, Handle: members},
		{Method: "GET", Path: "/members/{id}/ledger", Summary: "一位会员的积分明细", Spec: ledgerSpec, Handle: memberLedger},
		{Method: "GET", Path: "/groups", Summary: "全部粉丝群", Spec: groupsSpec, Handle: groups},
	}
}

// memberView is a member as clients see them.
type memberView struct {
	ID        int64     `json:"id"`
	Name      string    `json:"name"`
	Points    int64     `json:"points"`
	Streak    int       `json:"streak"`
	CreatedAt time.Time `json:"created_at"`
}

const membersSpec = `
parameters:
  - {name: userid, in: query, description: 企业成员的 userid, schema: {type: string, maxLength: 128}}
  - {name: external_userid, in: query, description: 客户的 external_userid, schema: {type: string, maxLength: 128}}
responses:
  "200":
    description: 找到的会员；没有就是空数组
    content:
      application/json:
        schema: {type: array, items: {$ref: "#/components/schemas/Member"}}
`

// members finds a member by an id of the platform's.
func members(ctx context.Context, tx *store.Tx, r Request) (any, error) {
	userID, external := r.Query.Get("userid"), r.Query.Get("external_userid")
	if (userID == "") == (external == "") {
		return nil, BadRequest("请给出 userid 或 external_userid 其中一个。")
	}
	kind, value := store.UserID, userID
	if userID == "" {
		kind, value = store.ExternalUserID, external
	}
	found := []memberView{}
	known, err := tx.MemberByIdentity(ctx, kind, value)
	if errors.Is(err, store.ErrNotFound) {
		return found, nil
	}
	if err != nil {
		return nil, err
	}
	m, err := tx.MemberRow(ctx, known.ID, store.DayOf(r.Now, tx.Zone()))
	if err != nil {
		return nil, err
	}
	return append(found, memberView{ID: m.ID, Name: m.Name, Points: m.Balance, Streak: m.Streak, CreatedAt: m.CreatedAt.UTC()}), nil
}

// entryView is a booking as clients see it.
type entryView struct {
	ID     int64     `json:"id"`
	Points int64     `json:"points"`
	Rule   string    `json:"rule"`
	Note   string    `json:"note"`
	MallID int64     `json:"mall_id"`
	At     time.Time `json:"at"`
}

const ledgerSpec = `
parameters:
  - {name: id, in: path, required: true, description: 会员编号, schema: {type: integer, format: int64, minimum: 1}}
  - {$ref: "#/components/parameters/After"}
  - {$ref: "#/components/parameters/Limit"}
responses:
  "200":
    description: 积分明细，最新的在前
    headers:
      Link: {$ref: "#/components/headers/Next"}
    content:
      application/json:
        schema: {type: array, items: {$ref: "#/components/schemas/Entry"}}
  "404": {$ref: "#/components/responses/NotFound"}
`

// memberLedger lists a member's bookings, the newest first.
func memberLedger(ctx context.Context, tx *store.Tx, r Request) (any, error) {
	id, err := r.ID("id")
	if err != nil {
		return nil, NotFound("没有编号为 %s 的会员。", r.Param("id"))
	}
	if _, err := tx.Member(ctx, id); err != nil {
		return nil, err
	}
	entries, err := tx.EntriesOf(ctx, id, r.After, r.Limit)
	if err != nil {
		return nil, err
	}
	views := make([]entryView, len(entries))
	for i, e := range entries {
		views[i] = entryView{ID: e.ID, Points: e.Points, Rule: e.Rule, Note: e.Note, MallID: e.MallID, At: e.At.UTC()}
	}
	return Paged(r, views, func(e entryView) int64 { return e.ID }), nil
}

// groupView is a group as clients see it.
type groupView struct {
	ID      int64           `json:"id"`
	Name    string          `json:"name"`
	Kind    store.GroupKind `json:"kind"`
	Mall    string          `json:"mall"`
	Members int64           `json:"members"`
}

const groupsSpec = `
parameters:
  - {$ref: "#/components/parameters/After"}
  - {$ref: "#/components/parameters/Limit"}
responses:
  "200":
    description: 粉丝群，按编号
    headers:
      Link: {$ref: "#/components/headers/Next"}
    content:
      application/json:
        schema: {type: array, items: {$ref: "#/components/schemas/Group"}}
`

// groups lists the groups by number.
func groups(ctx context.Context, tx *store.Tx, r Request) (any, error) {
	rows, err := tx.GroupRows(ctx, r.After, r.Limit)
	if err != nil {
		return nil, err
	}
	views := make([]groupView, len(rows))
	for i, g := range rows {
		views[i] = groupView{ID: g.ID, Name: g.Name, Kind: g.Kind, Mall: g.Mall, Members: g.Members}
	}
	return Paged(r, views, func(g groupView) int64 { return g.ID }), nil
}
