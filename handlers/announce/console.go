package announce

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"qunbot/handlers"
	"qunbot/store"
	"qunbot/web/console"
)

// recent is how many posts the page shows.
const recent = 20

// page is the operators' page: write, choose groups, look, post. It is reached
// from the page of campaign texts, below which it lies.
func (f *feature) page() console.Page {
	return console.Page{
		Path: "/monthly/announce", Title: "发公告", Purpose: "现在就要说的话，一次发到选中的群。", Role: store.Analyst, Change: store.Staff,
		FS: files, Style: "console.css", Load: f.load, Post: f.post,
	}
}

// pageData is what the page shows.
type pageData struct {
	May     bool
	Fields  console.Fields
	Malls   []mallBoxes
	Preview string
	Problem string
	Hits    string // sensitive words: it will wait for a second person
	Chosen  int    // places to post to
	Skipped int    // chosen groups that cannot be posted to
	Limit   int
	Posts   []postRow
}

type mallBoxes struct {
	store.Mall
	On     bool
	Groups []groupBox
	Able   int // groups that can be posted to
}

type groupBox struct {
	store.Group
	On, Able bool
}

type postRow struct {
	store.Post
	StateOf, Word string // for the function state
	Where         string
}

// A choice is what the form holds.
type choice struct {
	text   string
	malls  []string // all groups of these
	groups []string
}

func choiceOf(values map[string][]string) choice {
	c := choice{malls: values["mall"], groups: values["group"]}
	if len(values["text"]) > 0 {
		c.text = plain(values["text"][0])
	}
	return c
}

func (c choice) has(g store.Group) bool {
	return slices.Contains(c.malls, strconv.FormatInt(g.MallID, 10)) || slices.Contains(c.groups, strconv.FormatInt(g.ID, 10))
}

// load shows the form. With ?text= it shows what would be posted, and where.
func (f *feature) load(ctx context.Context, tx *store.Tx, v console.Visit) (any, error) {
	c := choiceOf(v.Query)
	if v.Form != nil {
		c = choiceOf(v.Form)
	}
	data := pageData{May: v.Operator.Role.Covers(store.Staff), Limit: maxPost, Fields: v.Fields("text", c.text), Preview: c.text}
	malls, groups, err := mallsAndGroups(ctx, tx)
	if err != nil {
		return nil, err
	}
	for _, m := range malls {
		part := mallBoxes{Mall: m, On: slices.Contains(c.malls, strconv.FormatInt(m.ID, 10))}
		for _, g := range groups {
			if g.MallID != m.ID {
				continue
			}
			box := groupBox{g, slices.Contains(c.groups, strconv.FormatInt(g.ID, 10)), g.Lane() != ""}
			if box.Able {
				part.Able++
			}
			part.Groups = append(part.Groups, box)
		}
		if len(part.Groups) > 0 {
			data.Malls = append(data.Malls, part)
		}
	}
	chosen, skipped := choose(groups, c)
	data.Chosen, data.Skipped = len(chosen), skipped
	if data.Problem = checkLength(c.text); data.Problem == "" && c.text != "" {
		var ids []int64
		for _, g := range chosen {
			ids = append(ids, g.ID)
		}
		clear, err := f.Clears(ctx, tx, handlers.Outgoing{Kind: item, Object: "preview", Text: c.text, Groups: ids})
		if err != nil {
			return nil, err
		}
		data.Hits = clear.Hits
	}
	data.Posts, err = f.posts(ctx, tx, groups)
	return data, err
}

// choose returns the chosen groups, of those that share a place to post to the
// first, and how many of them cannot be posted to.
func choose(groups []store.Group, c choice) (chosen []store.Group, skipped int) {
	taken := map[string]bool{}
	for _, g := range groups {
		switch lane := g.Lane(); {
		case !c.has(g):
		case lane == "":
			skipped++
		case !taken[lane]:
			taken[lane] = true
			chosen = append(chosen, g)
		}
	}
	return chosen, skipped
}

// posts returns the newest announcements.
func (f *feature) posts(ctx context.Context, tx *store.Tx, groups []store.Group) ([]postRow, error) {
	list, err := tx.Posts(ctx, store.PostFilter{Item: item, Limit: recent})
	if err != nil {
		return nil, err
	}
	names := map[string][]string{}
	for _, g := range groups {
		names[g.Lane()] = append(names[g.Lane()], nameOf(g))
	}
	rows := make([]postRow, len(list))
	for i, p := range list {
		r := postRow{Post: p, Where: strings.Join(names[p.Lane], "、")}
		switch p.State {
		case store.PostSent:
			r.StateOf, r.Word = "good", "已发"
		case store.PostQueued, store.PostSending:
			r.StateOf, r.Word = "warn", "正在发"
		case store.PostExpired:
			r.StateOf, r.Word = "bad", "过期没发"
		case store.PostCancelled:
			r.StateOf, r.Word = "quiet", "已取消"
		case store.PostUnknown:
			r.StateOf, r.Word = "warn", "不知道有没有到"
		default:
			r.StateOf, r.Word = "bad", "没发出"
		}
		rows[i] = r
	}
	return rows, nil
}

// post posts into the chosen groups.
func (f *feature) post(ctx context.Context, tx *store.Tx, v console.Visit) (console.Result, error) {
	fail := func(field, problem string) (console.Result, error) {
		return console.Result{}, console.Invalid(field, problem)
	}
	c := choiceOf(v.Form)
	if c.text == "" {
		return fail("text", "写上要说的话。")
	}
	if problem := checkLength(c.text); problem != "" {
		return fail("text", problem)
	}
	_, groups, err := mallsAndGroups(ctx, tx)
	if err != nil {
		return console.Result{}, err
	}
	chosen, _ := choose(groups, c)
	if len(chosen) == 0 {
		return fail("", "还没有选能发的群：勾上至少一个有消息推送机器人的群。")
	}
	// The frame runs a form once, so its operator and time name it.
	wanted := order{text: c.text, groups: chosen, key: store.Key("announce", "console", v.Operator.ID, v.Now.UnixNano()), author: v.Operator.ID, at: v.Now}
	waits, err := f.place(ctx, tx, wanted)
	if err != nil {
		return console.Result{}, err
	}
	var ids []int64
	for _, g := range chosen {
		ids = append(ids, g.ID)
	}
	done := console.Result{
		Object: fmt.Sprintf("%d groups", len(ids)), Detail: fmt.Sprintf("groups %v: %s%s", ids, c.text, waits.note()),
		Redirect: "/console/monthly/announce", Message: fmt.Sprintf("好，马上发到 %d 个群。", len(ids)),
	}
	if waits.ID != 0 {
		done.Message = fmt.Sprintf("里面有敏感词（%s），还没有发。要另一位经理在“待审”里看过，24 小时内有效：#%d。", waits.Hits, waits.ID)
	}
	return done, nil
}
