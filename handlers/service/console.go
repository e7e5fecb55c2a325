package service

import (
	"context"
	"errors"
	"fmt"
	"html/template"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"qunbot/store"
	"qunbot/web/console"
	"qunbot/web/frame"
	"qunbot/web/style"
)

const listPath = console.Prefix + "/service"

func (f *feature) pages() []console.Page {
	return []console.Page{
		{
			Path: "/service", Title: "客服入口", Purpose: "把链接发进群、印上海报，顾客点一下就能私聊小助手，也知道他从哪里来。",
			Group: console.Daily, Menu: "群", Icon: "chat", Role: store.Analyst, Change: store.Staff,
			FS: files, Template: "list.html", Style: "service.css", Load: f.list, Post: f.change,
		},
		{
			Path: "/service/groups/{id}", Title: "群的客服链接", Role: store.Analyst,
			FS: files, Template: "link.html", Style: "service.css", Script: "service.js", Load: f.groupLink,
		},
		{
			Path: "/service/posters/{code}", Title: "海报的客服链接", Role: store.Analyst, Change: store.Staff,
			FS: files, Template: "link.html", Style: "service.css", Script: "service.js", Load: f.posterLink, Post: f.deletePoster,
		},
	}
}

// An account is a service account as pages show it.
type account struct {
	ID      string
	Address string // empty: not known
	Words   string // why not, and when it is asked for again
}

// accounts returns those of the settings, in their order.
func (f *feature) accounts(ctx context.Context, tx *store.Tx, now time.Time) ([]account, error) {
	known, err := tx.KFAccountsOf(ctx, f.Accounts)
	if err != nil {
		return nil, err
	}
	list := make([]account, len(f.Accounts))
	for i, id := range f.Accounts {
		k := known[id]
		list[i] = account{ID: id, Address: k.ContactURL}
		if k.ContactURL == "" {
			list[i].Words = f.waiting(id, k, now)
		}
	}
	return list, nil
}

// waiting says why the address of an account is not known, and when it is asked
// for again.
func (f *feature) waiting(id string, k store.KFAccount, now time.Time) string {
	if k.ContactAgainAt == nil {
		return "正在向企业微信取客服账号 " + id + " 的链接，一般一分钟内就有，请过一会儿刷新。"
	}
	again := "马上再试。"
	if k.ContactAgainAt.After(now) {
		again = k.ContactAgainAt.In(f.Zone).Format("15:04") + " 再试；改好设置重启程序，也会马上再试。"
	}
	return "还拿不到客服账号 " + id + " 的链接：" + k.ContactProblem + " " + again
}

// A place is where a link is put, and who came through it.
type place struct {
	Name string
	Note string // what else tells it apart
	Path string // of its page; empty: it has none
	store.KFCount
}

type listData struct {
	Accounts []account
	Groups   console.Rows[place]
	Posters  []place
	Menu     []string // what customers can tap
	Hours    string
	Unknown  []string // words of the menu that are no command
	Fields   console.Fields
	Change   bool // the operator may add posters
	Manage   bool // and change the settings
}

func (f *feature) list(ctx context.Context, tx *store.Tx, v console.Visit) (any, error) {
	settings, err := tx.KFSettings(ctx)
	if err != nil {
		return nil, err
	}
	data := listData{
		Menu: append(slices.Clone(settings.Menu), handOver), Hours: settings.Hours, Unknown: f.unknown(settings.Menu),
		Fields: v.Fields("hours", settings.Hours, "menu", strings.Join(settings.Menu, "\n"), "label", "", "code", ""),
		Change: v.Operator.Role.Covers(store.Staff), Manage: v.Operator.Role.Covers(store.Manager),
	}
	if data.Accounts, err = f.accounts(ctx, tx, v.Now); err != nil {
		return nil, err
	}
	counts, err := tx.KFCounts(ctx, f.recent(v.Now))
	if err != nil {
		return nil, err
	}
	after := frame.Cursor(v.Query, "after")
	groups, err := tx.GroupRows(ctx, after, v.Limit)
	if err != nil {
		return nil, err
	}
	if after > 0 {
		data.Groups.First = v.Path
	}
	if len(groups) == v.Limit {
		groups = groups[:v.Limit-1]
		data.Groups.Older = v.Path + "?after=" + strconv.FormatInt(groups[len(groups)-1].ID, 10)
	}
	for _, g := range groups {
		data.Groups.Items = append(data.Groups.Items, place{
			Name: groupName(g.Group), Note: g.Mall, Path: fmt.Sprintf("%s/groups/%d", listPath, g.ID), KFCount: counts[store.KFGroupSource(g.ID)],
		})
	}
	posters, err := tx.KFPosters(ctx)
	if err != nil {
		return nil, err
	}
	for _, p := range posters {
		source := store.KFPosterSource(p.Code)
		data.Posters = append(data.Posters, place{Name: p.Label, Note: p.Code, Path: posterPath(p.Code), KFCount: counts[source]})
		delete(counts, source)
	}
	data.Posters = append(data.Posters, gone(counts)...)
	return data, nil
}

// gone returns the posters that are deleted and that somebody came from.
func gone(counts map[string]store.KFCount) []place {
	var list []place
	for source, count := range counts {
		if _, code := store.KFSourceOf(source); code != "" {
			list = append(list, place{Name: "已删的海报", Note: code, KFCount: count})
		}
	}
	slices.SortFunc(list, func(a, b place) int { return strings.Compare(a.Note, b.Note) })
	return list
}

// recent returns since when counts are recent: whole days in the zone.
func (f *feature) recent(now time.Time) time.Time {
	return store.DayOf(now, f.Zone).Add(1 - recentDays).Start(f.Zone)
}

// unknown returns the words that are no command.
func (f *feature) unknown(words []string) []string {
	var list []string
	for _, w := range words {
		if !f.Command(w) {
			list = append(list, w)
		}
	}
	return list
}

func groupName(g store.Group) string {
	if g.Name == "" {
		return g.ChatID
	}
	return g.Name
}

func posterPath(code string) string { return listPath + "/posters/" + code }

// change adds a poster or changes the settings, as the button says.
func (f *feature) change(ctx context.Context, tx *store.Tx, v console.Visit) (console.Result, error) {
	switch v.Value("do") {
	case "poster":
		return f.addPoster(ctx, tx, v)
	case "settings":
		return f.changeSettings(ctx, tx, v)
	}
	return console.Result{}, console.Invalid("", "没有这个操作，请刷新页面再试。")
}

func (f *feature) addPoster(ctx context.Context, tx *store.Tx, v console.Visit) (console.Result, error) {
	label, code := v.Value("label"), v.Value("code")
	switch n := utf8.RuneCountInString(label); {
	case n == 0:
		return console.Result{}, console.Invalid("label", "请写海报贴在哪里，例如“一楼北门”。")
	case n > maxLabel:
		return console.Result{}, console.Invalid("label", fmt.Sprintf("最多 %d 个字，现在有 %d 个。", maxLabel, n))
	}
	if code == "" {
		code = newCode()
	}
	if !posterCode.MatchString(code) {
		return console.Result{}, console.Invalid("code", "代号是 1 到 32 个英文字母、数字、_ 或 -；留空会自动取一个。")
	}
	posters, err := tx.KFPosters(ctx)
	if err != nil {
		return console.Result{}, err
	}
	if len(posters) >= maxPosters {
		return console.Result{}, console.Invalid("", fmt.Sprintf("最多 %d 张海报，请先删掉不用的。", maxPosters))
	}
	added, err := tx.AddKFPoster(ctx, store.KFPoster{Code: code, Label: label, CreatedAt: v.Now})
	if err != nil {
		return console.Result{}, err
	}
	if !added {
		return console.Result{}, console.Invalid("code", "已经有代号 "+code+" 的海报，请换一个。")
	}
	return console.Result{Object: "kf poster " + code, Detail: "添加 " + label, Redirect: posterPath(code), Message: "已添加。把下面的二维码印上海报。"}, nil
}

func (f *feature) changeSettings(ctx context.Context, tx *store.Tx, v console.Visit) (console.Result, error) {
	if !v.Operator.Role.Covers(store.Manager) {
		return console.Result{}, console.Invalid("", "改服务时间和菜单要经理以上的权限。")
	}
	hours := v.Value("hours")
	if err := checkHours(hours); err != nil {
		return console.Result{}, console.Invalid("hours", err.Error())
	}
	menu, err := menuOf(v.Value("menu"))
	if err != nil {
		return console.Result{}, console.Invalid("menu", err.Error())
	}
	if err := tx.SetKFSettings(ctx, store.KFSettings{Hours: hours, Menu: menu}); err != nil {
		return console.Result{}, err
	}
	return console.Result{
		Object: "setting kf", Detail: "服务时间 " + hours + "，菜单 " + strings.Join(menu, "、"), Message: "已保存，从下一条消息起生效。",
	}, nil
}

// A link is one account's for a place.
type link struct {
	account
	Text string // empty: the account's address is not known
	QR   template.URL
}

// linkView is the page of one place.
type linkView struct {
	Place  place
	Links  []link
	Poster *store.KFPoster // nil: it is a group
	Change bool            // the operator may delete the poster
	Fields console.Fields
}

// Heading implements console.Headed.
func (l linkView) Heading() (title, purpose string) {
	if l.Poster != nil {
		return l.Place.Name, "海报，代号 " + l.Poster.Code
	}
	return l.Place.Name, "发进这个群的客服链接。"
}

func (f *feature) groupLink(ctx context.Context, tx *store.Tx, v console.Visit) (any, error) {
	id, err := v.ID("id")
	if err != nil {
		return nil, err
	}
	g, err := tx.Group(ctx, id)
	if err != nil {
		return nil, err
	}
	return f.linkView(ctx, tx, v, groupName(g), store.KFGroupSource(id))
}

func (f *feature) posterLink(ctx context.Context, tx *store.Tx, v console.Visit) (any, error) {
	p, err := tx.KFPoster(ctx, v.Param("code"))
	if err != nil {
		return nil, err
	}
	data, err := f.linkView(ctx, tx, v, p.Label, store.KFPosterSource(p.Code))
	data.Poster = &p
	return data, err
}

func (f *feature) linkView(ctx context.Context, tx *store.Tx, v console.Visit, name, source string) (linkView, error) {
	data := linkView{Place: place{Name: name}, Change: v.Operator.Role.Covers(store.Staff), Fields: v.Fields()}
	counts, err := tx.KFCounts(ctx, f.recent(v.Now))
	if err != nil {
		return data, err
	}
	data.Place.KFCount = counts[source]
	accounts, err := f.accounts(ctx, tx, v.Now)
	if err != nil {
		return data, err
	}
	for _, a := range accounts {
		l := link{account: a}
		if a.Address != "" {
			if l.Text, err = f.Link(a.Address, source); err != nil {
				return data, err
			}
			if l.QR, err = style.QR(l.Text); err != nil {
				return data, err
			}
		}
		data.Links = append(data.Links, l)
	}
	return data, nil
}

// deletePoster takes a poster from the list. What was printed goes on working.
func (f *feature) deletePoster(ctx context.Context, tx *store.Tx, v console.Visit) (console.Result, error) {
	code := v.Param("code")
	err := tx.DeleteKFPoster(ctx, code)
	if errors.Is(err, store.ErrNotFound) {
		return console.Result{}, console.Invalid("", "这张海报刚刚被别人删掉了。")
	}
	return console.Result{Object: "kf poster " + code, Detail: "删除", Redirect: listPath, Message: "已删除。印出去的二维码照样能用。"}, err
}
