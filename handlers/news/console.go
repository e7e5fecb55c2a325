package news

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"time"
	"unicode/utf8"

	"qunbot/handlers"
	"qunbot/scheduler"
	"qunbot/store"
	"qunbot/web/console"
)

const (
	maxWritten = 300 // characters of an item that operators write
	maxAhead   = 60  // days ahead of which they write
)

// pages are the operators' pages: what is told next, from where, and to whom.
func (f *feature) pages() []console.Page {
	return []console.Page{
		{
			Path: "/news", Title: "资讯", Purpose: "每天早上发到群里的消息：下一期有什么，从哪里来。", Group: console.Content, Menu: "资讯和关键词", Icon: "news",
			Role: store.Analyst, Change: store.Staff,
			FS: files, Style: "console.css", Load: f.overview, Post: f.hide,
		},
		{
			Path: "/news/write", Title: "写一条资讯", Purpose: "写好的会排在下一期的最前面。", Role: store.Staff,
			FS: files, Template: "write.html", Load: f.writeForm, Post: f.write,
		},
		{
			Path: "/news/groups", Title: "发到哪些群", Purpose: "不勾的群早上不会收到资讯。", Role: store.Analyst, Change: store.Staff,
			FS: files, Template: "groups.html", Load: f.groupsForm, Post: f.setGroups,
		},
	}
}

// overviewData is what the page 资讯 shows.
type overviewData struct {
	May     bool // the visitor may change something
	Malls   []mallChip
	Mall    store.Mall
	Day     store.Day // of the next digest
	Due     time.Time // zero: it is paused
	Preview string
	Limit   int
	More    int
	Held    []held
	Groups  int    // that will get it
	Today   string // what became of today's
	Feeds   []feedRow
	Items   console.Rows[itemRow]
}

type mallChip struct {
	store.Mall
	On bool
}

// A feedRow is a source and how it is.
type feedRow struct {
	Feed
	State, Word string // for the function state
	Known       store.NewsFeed
}

// An itemRow is an item and what became of it.
type itemRow struct {
	store.NewsItem
	State, Word string // for the function state
	Why         string // what of it; may be empty
	Mall        string // empty: every mall
	MayHide     bool
	MayEdit     bool
}

// overview shows the next digest, the sources and the items.
func (f *feature) overview(ctx context.Context, tx *store.Tx, v console.Visit) (any, error) {
	today := store.DayOf(v.Now, f.Zone)
	data := overviewData{May: v.Operator.Role.Covers(store.Staff), Limit: maxPost}
	malls, err := tx.Malls(ctx)
	if err != nil {
		return nil, err
	}
	targets, err := f.targets(ctx, tx)
	if err != nil {
		return nil, err
	}
	shown := malls
	if len(targets[0]) > 0 || len(malls) == 0 {
		shown = append(slices.Clone(malls), store.Mall{Name: noMall})
	}
	data.Mall = shown[0]
	for _, m := range shown {
		if v.Query.Get("mall") == strconv.FormatInt(m.ID, 10) {
			data.Mall = m
		}
	}
	for _, m := range shown {
		data.Malls = append(data.Malls, mallChip{m, m.ID == data.Mall.ID})
	}
	data.Groups = len(targets[data.Mall.ID])
	if data.Due, err = f.nextDue(ctx, tx, v.Now); err != nil {
		return nil, err
	}
	if data.Day = store.DayOf(data.Due, f.Zone); data.Due.IsZero() {
		data.Day = today.Add(1)
	}
	o, err := f.offer(ctx, tx, data.Mall.ID, targets[data.Mall.ID], data.Day, false)
	if err != nil {
		return nil, err
	}
	var n int
	data.Preview, n = digest(data.Day, o.Items, 0, maxPost)
	data.More, data.Held = len(o.Items)-n, o.Held
	if data.Today, err = f.todays(ctx, tx, data.Mall.ID, today); err != nil {
		return nil, err
	}
	if data.Feeds, err = f.feedRows(ctx, tx); err != nil {
		return nil, err
	}
	data.Items, err = f.itemRows(ctx, tx, v, malls, targets, today)
	return data, err
}

// nextDue returns when the next digest is due; zero if the job is paused.
func (f *feature) nextDue(ctx context.Context, tx *store.Tx, now time.Time) (time.Time, error) {
	rows, err := tx.JobSchedules(ctx)
	if err != nil {
		return time.Time{}, err
	}
	for _, r := range rows {
		switch {
		case r.Job != "news.post":
		case r.Paused || r.NextDue == nil:
			return time.Time{}, nil
		case r.NextDue.After(now):
			return *r.NextDue, nil
		}
	}
	return scheduler.Daily(9, 0).Next(now, scheduler.Calendar{Zone: f.Zone}), nil
}

// todays says what became of a mall's digest of today.
func (f *feature) todays(ctx context.Context, tx *store.Tx, mall int64, today store.Day) (string, error) {
	d, err := tx.NewsDigest(ctx, mall, today)
	switch {
	case errors.Is(err, store.ErrNotFound):
		return "", nil
	case err != nil:
		return "", err
	case d.Count == 0:
		return "今天没有新的资讯，没有发。", nil
	}
	return fmt.Sprintf("今天的 %d 条已经发出。", d.Count), nil
}

func (f *feature) feedRows(ctx context.Context, tx *store.Tx) ([]feedRow, error) {
	known, err := tx.NewsFeeds(ctx)
	if err != nil {
		return nil, err
	}
	var rows []feedRow
	for _, feed := range f.Feeds {
		r := feedRow{Feed: feed, State: "quiet", Word: "还没读过", Known: known[hash(feed.URL)]}
		switch {
		case r.Known.Hash == "":
		case r.Known.Failures == 0:
			r.State, r.Word = "good", "正常"
		case r.Known.Failures < noticeAfter:
			r.State, r.Word = "warn", fmt.Sprintf("失败 %d 次", r.Known.Failures)
		default:
			r.State, r.Word = "bad", fmt.Sprintf("连续失败 %d 次", r.Known.Failures)
		}
		rows = append(rows, r)
	}
	return rows, nil
}

func (f *feature) itemRows(ctx context.Context, tx *store.Tx, v console.Visit, malls []store.Mall, targets map[int64][]target, today store.Day) (console.Rows[itemRow], error) {
	none := console.Rows[itemRow]{}
	list, err := tx.NewsItems(ctx, v.Before, v.Limit)
	if err != nil {
		return none, err
	}
	ids := make([]int64, len(list))
	for i, n := range list {
		ids[i] = n.ID
	}
	sent, err := tx.NewsSentOn(ctx, ids)
	if err != nil {
		return none, err
	}
	names := map[int64]string{}
	for _, m := range malls {
		names[m.ID] = m.Name
	}
	rows := make([]itemRow, len(list))
	for i, n := range list {
		r := itemRow{NewsItem: n, Mall: names[n.MallID]}
		c, err := f.cleared(ctx, tx, n, groupsOf(reached(targets, n.MallID)), false)
		if err != nil {
			return none, err
		}
		_, posted := sent[n.ID]
		over := n.Day < today.Add(1-freshDays)
		switch {
		case posted:
			r.State, r.Word = "good", "已发 "+string(sent[n.ID][5:])
		case n.Hidden:
			r.State, r.Word = "quiet", "不发"
		case over:
			r.State, r.Word = "quiet", "过期没发"
		case c.Approval.State == store.Refused:
			r.State, r.Word = "bad", "没有通过"
		case !c.Free():
			r.State, r.Word, r.Why = "bad", "等第二个人通过", c.Hits
		case n.Day > today:
			r.State, r.Word = "warn", "等到 "+string(n.Day[5:])
		default:
			r.State, r.Word = "warn", "待发"
		}
		may := v.Operator.Role.Covers(store.Staff) && !over && !posted
		r.MayHide = may
		r.MayEdit = may && n.OperatorID != 0
		rows[i] = r
	}
	return console.Paged(v, rows, func(r itemRow) int64 { return r.ID }), nil
}

// hide keeps an item from being posted, or takes that back.
func (f *feature) hide(ctx context.Context, tx *store.Tx, v console.Visit) (console.Result, error) {
	id, err := strconv.ParseInt(v.Value("id"), 10, 64)
	if err != nil {
		return console.Result{}, console.Invalid("", "没有这条资讯，请刷新页面再试。")
	}
	hidden := v.Value("do") == "hide"
	message := "这条会发。"
	if hidden {
		message = "这条不会发了。"
	}
	done := console.Result{Object: fmt.Sprintf("news item %d", id), Detail: v.Value("do"), Message: message}
	if err := tx.HideNewsItem(ctx, id, hidden); err != nil || !hidden {
		return done, err
	}
	_, err = tx.ExpireApprovalsOf(ctx, kind, objectOf(id), "", "运营决定不发了。", v.Now)
	return done, err
}

// reached returns the groups that items of a mall go to; 0: those of every mall
// and of none.
func reached(targets map[int64][]target, mall int64) []target {
	if mall != 0 {
		return targets[mall]
	}
	return slices.Concat(slices.Collect(maps.Values(targets))...)
}

// everyMall is the choice of all malls.
const everyMall = "0"

// writeData is what the form of an item shows.
type writeData struct {
	id     int64
	Fields console.Fields
	Malls  []console.Option
}

// Heading implements console.Headed.
func (d writeData) Heading() (title, purpose string) {
	if d.id != 0 {
		return fmt.Sprintf("修改资讯 %d", d.id), "已经发出的不会变。"
	}
	return "写一条资讯", "写好的会排在下一期的最前面。"
}

// writeForm shows an empty form, or that of the item of ?id=.
func (f *feature) writeForm(ctx context.Context, tx *store.Tx, v console.Visit) (any, error) {
	malls, err := tx.Malls(ctx)
	if err != nil {
		return nil, err
	}
	data := writeData{Malls: console.Options(everyMall, "所有商场")}
	for _, m := range malls {
		data.Malls = append(data.Malls, console.Option{Value: strconv.FormatInt(m.ID, 10), Label: m.Name})
	}
	item := store.NewsItem{Day: store.DayOf(v.Now, f.Zone)}
	if v.Query.Get("id") != "" {
		if item, err = f.editable(ctx, tx, v); err != nil {
			return nil, err
		}
	}
	data.id = item.ID
	data.Fields = v.Fields("text", item.Text, "link", item.Link, "mall", item.MallID, "day", item.Day)
	return data, nil
}

// editable returns the item of ?id=, or store.ErrNotFound unless operators
// wrote it.
func (f *feature) editable(ctx context.Context, tx *store.Tx, v console.Visit) (store.NewsItem, error) {
	id, err := strconv.ParseInt(v.Query.Get("id"), 10, 64)
	if err != nil {
		return store.NewsItem{}, store.ErrNotFound
	}
	item, err := tx.NewsItem(ctx, id)
	if err == nil && item.OperatorID == 0 {
		err = store.ErrNotFound
	}
	return item, err
}

// write stores an item, new or changed.
func (f *feature) write(ctx context.Context, tx *store.Tx, v console.Visit) (console.Result, error) {
	fail := func(err error) (console.Result, error) { return console.Result{}, err }
	item := store.NewsItem{SeenAt: v.Now, CreatedAt: v.Now}
	if v.Query.Get("id") != "" {
		var err error
		if item, err = f.editable(ctx, tx, v); err != nil {
			return fail(err)
		}
		sent, err := tx.NewsSentOn(ctx, []int64{item.ID})
		if err != nil {
			return fail(err)
		}
		if len(sent) > 0 {
			return fail(console.Invalid("", "这条已经发出，不能再改。请另写一条。"))
		}
	}
	old := item
	if err := f.read(&item, v); err != nil {
		return fail(err)
	}
	changed := said(item) != said(old)
	if changed {
		item.OperatorID = v.Operator.ID
	}
	if err := f.checkMall(ctx, tx, item.MallID); err != nil {
		return fail(err)
	}
	if err := f.checkSimilar(ctx, tx, item, v.Now); err != nil {
		return fail(err)
	}
	result := console.Result{Object: "news item", Detail: fmt.Sprintf("mall %d, %s: %s %s", item.MallID, item.Day, item.Text, item.Link),
		Redirect: "/console/news?mall=" + strconv.FormatInt(item.MallID, 10), Message: "已保存。"}
	var err error
	if item.ID != 0 {
		if err := tx.SetNewsItem(ctx, item); err != nil {
			return fail(err)
		}
		if changed {
			_, err = tx.ExpireApprovalsOf(ctx, kind, objectOf(item.ID), "", handlers.Edited, v.Now)
		}
	} else {
		item.ID, err = tx.AddNewsItem(ctx, item)
	}
	if err != nil {
		return fail(err)
	}
	result.Object = fmt.Sprintf("news item %d", item.ID)
	targets, err := f.targets(ctx, tx)
	if err != nil {
		return fail(err)
	}
	c, err := f.cleared(ctx, tx, item, groupsOf(reached(targets, item.MallID)), true)
	if problem := c.Problem(); problem != "" {
		result.Message = "已保存，但还不会发：" + problem + "。"
	}
	return result, err
}

// read fills item in from the form.
func (f *feature) read(item *store.NewsItem, v console.Visit) error {
	text := v.Value("text")
	item.Text = cleanText(text, maxWritten)
	switch {
	case item.Text == "":
		return console.Invalid("text", "写一句话，例如：周末一楼中庭有亲子手工，扫码报名。")
	case utf8.RuneCountInString(text) > maxWritten:
		return console.Invalid("text", fmt.Sprintf("现在有 %d 个字，最多 %d 个。", utf8.RuneCountInString(text), maxWritten))
	}
	item.Link = ""
	if link := v.Value("link"); link != "" {
		if item.Link = cleanLink(link, nil); item.Link == "" {
			return console.Invalid("link", fmt.Sprintf("要写完整的网址，以 https:// 或 http:// 开头，最多 %d 个字节。", maxLink))
		}
	}
	item.Day = store.Day(v.Value("day"))
	today := store.DayOf(v.Now, f.Zone)
	if !item.Day.Valid() || item.Day < today || item.Day > today.Add(maxAhead) {
		return console.Invalid("day", fmt.Sprintf("要在 %s 到 %s 之间。", today, today.Add(maxAhead)))
	}
	var err error
	if item.MallID, err = strconv.ParseInt(v.Value("mall"), 10, 64); err != nil {
		return console.Invalid("mall", "请从列出的商场里选一个。")
	}
	item.LinkKey, item.TextKey = linkKey(item.Link), textKey(item.Text)
	return nil
}

func (f *feature) checkMall(ctx context.Context, tx *store.Tx, mall int64) error {
	if mall == 0 {
		return nil
	}
	malls, err := tx.Malls(ctx)
	if err != nil {
		return err
	}
	if !slices.ContainsFunc(malls, func(m store.Mall) bool { return m.ID == mall }) {
		return console.Invalid("mall", "请从列出的商场里选一个。")
	}
	return nil
}

// checkSimilar refuses an item that says the same as another of the last days
// that the same groups see.
func (f *feature) checkSimilar(ctx context.Context, tx *store.Tx, item store.NewsItem, now time.Time) error {
	similar, err := tx.SimilarNewsItems(ctx, []string{item.LinkKey}, []string{item.TextKey}, now.AddDate(0, 0, -similarDays))
	if err != nil {
		return err
	}
	for _, n := range similar {
		if n.ID == item.ID || n.Hidden || n.MallID != 0 && item.MallID != 0 && n.MallID != item.MallID {
			continue
		}
		if n.TextKey == item.TextKey {
			return console.Invalid("text", fmt.Sprintf("和第 %d 条资讯的文字一样，%d 天里不重复发。", n.ID, similarDays))
		}
		return console.Invalid("link", fmt.Sprintf("和第 %d 条资讯的链接一样，%d 天里不重复发。", n.ID, similarDays))
	}
	return nil
}

// groupsData is what the form of groups shows.
type groupsData struct {
	Articles bool // shown as articles where that is possible
	Malls    []mallGroups
	May      bool
}

type mallGroups struct {
	Name   string
	Groups []groupBox
}

type groupBox struct {
	store.Group
	On   bool
	Lane bool // something can be posted there
}

// groupsForm lists the groups with a box each.
func (f *feature) groupsForm(ctx context.Context, tx *store.Tx, v console.Visit) (any, error) {
	malls, err := tx.Malls(ctx)
	if err != nil {
		return nil, err
	}
	chosen, err := f.switches(ctx, tx)
	if err != nil {
		return nil, err
	}
	off := chosen.off()
	groups, err := tx.Groups(ctx)
	if err != nil {
		return nil, err
	}
	data := groupsData{May: v.Operator.Role.Covers(store.Staff), Articles: chosen.Articles}
	for _, m := range append(malls, store.Mall{Name: noMall}) {
		part := mallGroups{Name: m.Name}
		for _, g := range groups {
			if g.MallID == m.ID {
				part.Groups = append(part.Groups, groupBox{g, !off[g.ID], g.Lane() != ""})
			}
		}
		if len(part.Groups) > 0 {
			data.Malls = append(data.Malls, part)
		}
	}
	return data, nil
}

// setGroups turns groups on and off. Groups that the form did not show, such as
// new ones, stay as they are.
func (f *feature) setGroups(ctx context.Context, tx *store.Tx, v console.Visit) (console.Result, error) {
	before, err := f.switches(ctx, tx)
	if err != nil {
		return console.Result{}, err
	}
	off := before.off()
	for _, shown := range v.Form["shown"] {
		id, err := strconv.ParseInt(shown, 10, 64)
		if err != nil {
			return console.Result{}, console.Invalid("", "表单不完整，请刷新页面再试。")
		}
		if slices.Contains(v.Form["on"], shown) {
			delete(off, id)
		} else {
			off[id] = true
		}
	}
	s := switches{Off: []int64{}, Articles: v.Value("articles") != ""}
	for id := range off {
		s.Off = append(s.Off, id)
	}
	slices.Sort(s.Off)
	return console.Result{Object: "news groups", Detail: fmt.Sprintf("off: %v, articles: %v", s.Off, s.Articles), Redirect: "/console/news", Message: "已保存，下一期起生效。"},
		tx.SetSetting(ctx, switchSetting, s)
}
