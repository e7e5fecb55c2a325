// Package outbox shows operators what the program says on its own: what
// waits, what was sent, and what failed or nobody knows the end of.
package outbox

import (
	"context"
	"embed"
	"fmt"
	"net/url"
	"strings"
	"time"

	"qunbot/bot"
	"qunbot/handlers"
	"qunbot/store"
	"qunbot/web/api"
	"qunbot/web/console"
)

//go:embed *.html
var files embed.FS

type feature struct{ handlers.Deps }

// New returns the console page and the API of the outbox.
func New(d handlers.Deps) handlers.Feature {
	f := &feature{d}
	return handlers.Feature{
		Name: "outbox",
		Console: []console.Page{{
			Path: "/outbox", Title: "发件箱", Purpose: "机器人自己发的每一条：发没发出去，为什么。", Group: console.Manage, Menu: "运行", Icon: "send",
			Role: store.Analyst, Change: store.Staff, FS: files, Template: "list.html", Load: f.list, Post: f.act,
		}},
		API: []api.Route{{
			Method: "GET", Path: "/outbox", Summary: "发件箱，新的在前", Spec: outboxSpec, Handle: f.apiPosts,
		}},
	}
}

// words says a state as operators read it, and how good it is.
var words = map[store.PostState][2]string{
	store.PostQueued:    {"quiet", "等待发送"},
	store.PostSending:   {"quiet", "正在发送"},
	store.PostSent:      {"good", "已发出"},
	store.PostFailed:    {"bad", "失败"},
	store.PostExpired:   {"warn", "过期未发"},
	store.PostCancelled: {"quiet", "已取消"},
	store.PostUnknown:   {"warn", "不确定"},
}

// states is the order in which the filters stand.
var states = []store.PostState{
	store.PostQueued, store.PostSending, store.PostUnknown, store.PostFailed, store.PostExpired, store.PostSent, store.PostCancelled,
}

// A row is a post as the page shows it.
type row struct {
	store.Post
	Kind, State string // how good the state is, and its word
	Where       string
	Words       string // with names filled in
	Title       string // its first line
	Retry       bool   // it failed, and may be tried again
	Cancel      bool   // it waits, and may be cancelled
	Resolve     bool   // somebody has to look whether it arrived
}

// A chip is one filter.
type chip struct {
	Text, Link string
	On         bool
	Count      int64
}

// A deadLane is a destination that is gone, and why.
type deadLane struct{ Where, Why string }

// forms are what posts that are more than text are called.
var forms = map[string]string{
	store.FormMarkdown: "Markdown", store.FormArticles: "图文", store.FormPicture: "图片", store.FormCard: "卡片",
}

// FormWord is what the post is shown as where that is possible; empty: as text.
func (r row) FormWord() string { return forms[r.Form] }

type listData struct {
	console.Rows[row]
	Chips    []chip
	Dead     []deadLane // destinations that are gone
	Filtered bool
	Change   bool
	Fields   console.Fields
}

func (f *feature) list(ctx context.Context, tx *store.Tx, v console.Visit) (any, error) {
	filter := store.PostFilter{State: store.PostState(v.Query.Get("state")), Before: v.Before, Limit: v.Limit}
	posts, err := tx.Posts(ctx, filter)
	if err != nil {
		return nil, err
	}
	rows, err := f.rows(ctx, tx, posts)
	if err != nil {
		return nil, err
	}
	data := listData{
		Rows:     console.Paged(v, rows, func(r row) int64 { return r.ID }),
		Filtered: filter.State != "", Change: v.Operator.Role.Covers(store.Staff), Fields: v.Fields(),
	}
	counts, err := tx.PostCounts(ctx)
	if err != nil {
		return nil, err
	}
	for _, s := range states {
		if counts[s] == 0 && s != filter.State {
			continue
		}
		c := chip{Text: words[s][1], Link: "/console/outbox?" + url.Values{"state": {string(s)}}.Encode(), Count: counts[s]}
		if s == filter.State {
			c.On, c.Link = true, "/console/outbox"
		}
		data.Chips = append(data.Chips, c)
	}
	dead, err := tx.DeadLanes(ctx, 20)
	if err != nil {
		return nil, err
	}
	groups, err := lanesOfGroups(ctx, tx)
	for _, l := range dead {
		data.Dead = append(data.Dead, deadLane{place(l.Lane, groups), l.DeadReason})
	}
	return data, err
}

func (f *feature) rows(ctx context.Context, tx *store.Tx, posts []store.Post) ([]row, error) {
	var texts []string
	for _, p := range posts {
		texts = append(texts, p.Text)
	}
	texts, err := bot.FillNamesIn(ctx, tx, texts)
	if err != nil {
		return nil, err
	}
	groups, err := lanesOfGroups(ctx, tx)
	if err != nil {
		return nil, err
	}
	rows := make([]row, len(posts))
	for i, p := range posts {
		rows[i] = row{
			Post: p, Kind: words[p.State][0], State: words[p.State][1], Where: place(p.Lane, groups), Words: texts[i],
			Title:   firstLine(texts[i]),
			Retry:   p.State == store.PostFailed || p.State == store.PostExpired,
			Cancel:  p.State == store.PostQueued,
			Resolve: p.State == store.PostUnknown,
		}
	}
	return rows, nil
}

func firstLine(text string) string {
	line, _, more := strings.Cut(text, "\n")
	if more {
		line += " …"
	}
	return line
}

// lanesOfGroups returns the names of the groups that each lane posts to.
func lanesOfGroups(ctx context.Context, tx *store.Tx) (map[string]string, error) {
	groups, err := tx.Groups(ctx)
	names := map[string]string{}
	for _, g := range groups {
		if lane := g.Lane(); lane != "" {
			if names[lane] != "" {
				names[lane] += "、"
			}
			names[lane] += g.Name
		}
	}
	return names, err
}

// place says where a lane leads.
func place(lane string, groups map[string]string) string {
	if name := groups[lane]; name != "" {
		return name
	}
	kind, id, _ := strings.Cut(lane, "/")
	switch kind {
	case "app":
		return "应用消息：" + id
	case "kf":
		return "微信客服"
	case "webhook":
		return "群机器人 " + id
	case "response":
		return "接着回复"
	}
	return bot.LaneName(lane)
}

// act does what an operator asks for with one post.
func (f *feature) act(ctx context.Context, tx *store.Tx, v console.Visit) (console.Result, error) {
	var id int64
	if _, err := fmt.Sscan(v.Value("post"), &id); err != nil {
		return console.Result{}, console.Invalid("", "没有说是哪一条，请刷新页面再试。")
	}
	actions := map[string]struct {
		do   func() (bool, error)
		done string
	}{
		"retry":  {func() (bool, error) { return tx.RetryPost(ctx, id, v.Now) }, "已放回队列，马上再发"},
		"cancel": {func() (bool, error) { return tx.CancelPost(ctx, id, "运营取消", v.Now) }, "已取消"},
		"sent":   {func() (bool, error) { return tx.ResolveSent(ctx, id, "运营确认已送达", v.Now) }, "已记为送达"},
		"again":  {func() (bool, error) { return tx.ResolveAgain(ctx, id, v.Now) }, "已放回队列，马上再发"},
	}
	action, known := actions[v.Value("do")]
	if !known {
		return console.Result{}, console.Invalid("", "没有这个操作，请刷新页面再试。")
	}
	changed, err := action.do()
	if err != nil {
		return console.Result{}, err
	}
	if !changed {
		return console.Result{}, console.Invalid("", "这一条的状态刚刚变了，请看看现在是什么状态。")
	}
	return console.Result{Object: fmt.Sprintf("post %d", id), Detail: v.Value("do"), Message: action.done}, nil
}

// postView is a post as clients see it.
type postView struct {
	ID       int64           `json:"id"`
	Key      string          `json:"key"`
	Lane     string          `json:"lane"`
	State    store.PostState `json:"state"`
	Reason   string          `json:"reason"`
	Delivery store.Delivery  `json:"delivery"`
	Attempts int             `json:"attempts"`
	Item     string          `json:"item"`
	Expires  *time.Time      `json:"expires_at"`
}

const outboxSpec = `
parameters:
  - name: state
    in: query
    description: 只看一种状态
    schema: {type: string, enum: [queued, sending, sent, failed, expired, cancelled, unknown]}
  - {$ref: "#/components/parameters/After"}
  - {$ref: "#/components/parameters/Limit"}
responses:
  "200":
    description: 发件，先写的在前；正文不在其中，里面可能有会员的名字
    headers:
      Link: {$ref: "#/components/headers/Next"}
    content:
      application/json:
        schema:
          type: array
          items:
            type: object
            required: [id, key, lane, state, reason, delivery, attempts, item, expires_at]
            properties:
              id: {type: integer, format: int64}
              key: {type: string, description: 同一个 key 只发一次}
              lane: {type: string, description: 目的地}
              state: {type: string, enum: [queued, sending, sent, failed, expired, cancelled, unknown]}
              reason: {type: string}
              delivery: {type: string, enum: [at least once, at most once]}
              attempts: {type: integer}
              item: {type: string}
              expires_at: {type: [string, "null"], format: date-time}
`

func (f *feature) apiPosts(ctx context.Context, tx *store.Tx, r api.Request) (any, error) {
	state := store.PostState(r.Query.Get("state"))
	if _, known := words[state]; state != "" && !known {
		return nil, api.BadRequest("state %q is unknown", state)
	}
	posts, err := tx.Posts(ctx, store.PostFilter{State: state, After: r.After, Oldest: true, Limit: r.Limit})
	if err != nil {
		return nil, err
	}
	views := make([]postView, len(posts))
	for i, p := range posts {
		views[i] = postView{p.ID, p.Key, bot.LaneName(p.Lane), p.State, p.Reason, p.Delivery, p.Attempts, p.Item, p.ExpiresAt}
	}
	return api.Paged(r, views, func(p postView) int64 { return p.ID }), nil
}
