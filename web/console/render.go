package console

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"runtime/debug"
	"slices"
	"strings"

	"qunbot/store"
	"qunbot/web/frame"
)

// view is what the layout shows.
type view struct {
	Title    string
	Purpose  string
	Page     *page // nil on messages
	Operator store.Operator
	Problem  string // why a form is shown again
	Data     any    // what the page's Load returned

	// Filled in by render.

	Product  string
	Theme    string // light, dark, or empty
	Flash    frame.Flash
	Menu     []menuGroup
	Tabs     []menuItem // the pages behind one word of the menu; nil: there is one only
	Parent   *menuItem  // the page above this one, which is not in the menu
	RoleWord string
	Live     bool
	CSS, JS  string
	Logo     string
}

type menuGroup struct {
	Name  Group
	Items []menuItem
}

type menuItem struct {
	Path, Title, Icon string
	Here              bool
}

// note is a page that is one text: an error, the way to sign in.
type note struct {
	Title, Icon, Text string
	Code              string // a command to copy
	Hint              string // small, below
	Action, Button    string // a form's address and button
	Link, LinkText    string
	operator          store.Operator // zero: nobody is signed in, or it is not known who
}

func (c *Console) render(w http.ResponseWriter, r *http.Request, status int, t *frame.Template, v view) {
	v.Product, v.Theme, v.CSS, v.JS, v.Logo = c.Product, chosenTheme(r), c.css, c.js, c.logo
	v.Live = v.Page != nil && v.Page.Live && status == http.StatusOK
	v.RoleWord = roleWord(v.Operator.Role)
	if v.Operator.ID != 0 {
		place := c.place(v.Page)
		v.Menu = c.menu(v.Operator.Role, place)
		switch {
		case place == nil:
		case place == v.Page:
			if tabs := c.tabs(v.Operator.Role, place); len(tabs) > 1 {
				v.Tabs = tabs
			}
		case v.Operator.Role.Covers(place.Role):
			v.Parent = &menuItem{Path: Prefix + place.Path, Title: place.Title}
		}
	}
	if status == http.StatusOK && r.Method == http.MethodGet {
		v.Flash = frame.TakeFlash(w, r, Prefix, c.secure())
	}
	body, err := t.Render(v)
	if err != nil {
		if v.Page == nil { // the page that says so is itself broken
			c.Log.Error("console page", "path", r.URL.Path, "err", err)
			http.Error(w, "出了问题，请稍后再试。", http.StatusInternalServerError)
			return
		}
		c.fail(w, r, err)
		return
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.Header().Set("Cache-Control", "private, no-store")
	w.WriteHeader(status)
	w.Write(body)
}

// place returns the page of the menu that p is or is below of, or nil: the one
// whose path begins p's and is the longest.
func (c *Console) place(p *page) *page {
	if p == nil {
		return nil
	}
	var found *page
	for _, q := range c.pages {
		above := q.Path == p.Path || q.Path != "/" && strings.HasPrefix(p.Path, q.Path+"/")
		if q.Group != "" && above && (found == nil || len(q.Path) > len(found.Path)) {
			found = q
		}
	}
	return found
}

// tabs returns the pages behind p's word of the menu that the role may see, the
// one with that title first.
func (c *Console) tabs(role store.Role, p *page) []menuItem {
	var list []menuItem
	for _, q := range c.pages {
		if q.Group == p.Group && q.Menu == p.Menu && role.Covers(q.Role) {
			item := menuItem{Prefix + q.Path, q.Title, q.Icon, q == p}
			if q.Title == q.Menu {
				list = slices.Insert(list, 0, item)
			} else {
				list = append(list, item)
			}
		}
	}
	return list
}

// menu returns the words behind which there are pages that the role may see.
// place is where the visitor is; nil: nowhere in the menu.
func (c *Console) menu(role store.Role, place *page) []menuGroup {
	groups := []menuGroup{{Name: Daily}, {Name: Content}, {Name: Manage}}
	for i := range groups {
		seen := map[string]bool{}
		for _, p := range c.pages {
			if p.Group != groups[i].Name || seen[p.Menu] {
				continue
			}
			seen[p.Menu] = true
			tabs := c.tabs(role, p)
			if len(tabs) == 0 {
				continue
			}
			item := tabs[0]
			if len(tabs) > 1 {
				item.Title = p.Menu
			}
			item.Here = place != nil && place.Group == p.Group && place.Menu == p.Menu
			groups[i].Items = append(groups[i].Items, item)
		}
	}
	return slices.DeleteFunc(groups, func(g menuGroup) bool { return len(g.Items) == 0 })
}

func roleWord(r store.Role) string {
	switch r {
	case store.Clerk:
		return "店员"
	case store.Analyst:
		return "分析"
	case store.Staff:
		return "运营"
	case store.Manager:
		return "经理"
	case store.Owner:
		return "负责人"
	}
	return ""
}

// renderMessage shows one text; an operator who is known keeps the menu.
func (c *Console) renderMessage(w http.ResponseWriter, r *http.Request, status int, n note) {
	c.render(w, r, status, c.message, view{Title: n.Title, Data: n, Operator: n.operator})
}

// answerError shows what kept a page from being loaded or changed.
func (c *Console) answerError(w http.ResponseWriter, r *http.Request, v Visit, err error) {
	switch {
	case errors.Is(err, errGone):
		if err := c.sessions.Destroy(r.Context()); err != nil {
			c.fail(w, r, err)
			return
		}
		c.askToSignIn(w, r)
	case errors.Is(err, errForbidden):
		c.renderMessage(w, r, http.StatusForbidden, note{Title: "你的角色不能用这一页", Icon: "shield", operator: v.Operator,
			Text: "你现在的角色是「" + roleWord(v.Operator.Role) + "」。需要的话，请负责人给你换一个角色。",
			Link: Prefix + "/", LinkText: "回到首页"})
	case errors.Is(err, store.ErrNotFound):
		c.notFound(w, r, v.Operator)
	case errors.Is(err, context.Canceled) && r.Context().Err() != nil: // the visitor left
	default:
		c.fail(w, r, err)
	}
}

func (c *Console) notFound(w http.ResponseWriter, r *http.Request, o store.Operator) {
	c.renderMessage(w, r, http.StatusNotFound, note{Title: "没有这一页", Icon: "search", operator: o,
		Text: "它可能已经删除，或者地址不完整。", Link: Prefix + "/", LinkText: "回到首页"})
}

// noPage answers what no page answers; visitors without a session learn
// nothing but how to sign in.
func (c *Console) noPage(w http.ResponseWriter, r *http.Request) {
	if _, ok := c.signedIn(r); !ok {
		c.askToSignIn(w, r)
		return
	}
	c.notFound(w, r, store.Operator{})
}

func (c *Console) notAllowed(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Allow", "GET, HEAD")
	c.renderMessage(w, r, http.StatusMethodNotAllowed, note{Title: "这一页不能这样用", Icon: "warn",
		Text: "它只能查看，不能提交。", Link: Prefix + "/", LinkText: "回到首页"})
}

func (c *Console) badForm(w http.ResponseWriter, r *http.Request, err error) {
	if large, ok := errors.AsType[*http.MaxBytesError](err); ok {
		c.renderMessage(w, r, http.StatusRequestEntityTooLarge, note{Title: "内容太大了", Icon: "warn",
			Text: fmt.Sprintf("一次最多提交 %d MB。请减少内容再试。", large.Limit>>20)})
		return
	}
	c.renderMessage(w, r, http.StatusBadRequest, note{Title: "表单不完整", Icon: "warn",
		Text: "浏览器没有把表单发完整，什么都没有改动。请回到上一页，刷新后再提交。"})
}

// foreign answers what the page of another site sent.
func (c *Console) foreign(w http.ResponseWriter, r *http.Request) {
	if c.sparing.Wait(frame.Address(r), c.Now()) == 0 {
		c.Log.Warn("cross-origin request refused", "from", frame.Address(r), "path", logged(r), "origin", r.Header.Get("Origin"))
	}
	c.renderMessage(w, r, http.StatusForbidden, note{Title: "已拦下来自别的网站的请求", Icon: "shield",
		Text: "为了安全，运营台只接受从它自己的页面提交的表单。", Hint: "如果你就在运营台里，请检查设置 public_url 是不是浏览器里的地址。"})
}

// logged returns a request's path for the log, which must not hold what lets
// somebody in.
func logged(r *http.Request) string {
	if strings.HasPrefix(r.URL.Path, Prefix+"/login/") {
		return Prefix + "/login/…"
	}
	return r.URL.Path
}

// fail logs an error once and shows an id to find it by.
func (c *Console) fail(w http.ResponseWriter, r *http.Request, err error) {
	id := frame.ErrorID()
	c.Log.Error("console request", "id", id, "method", r.Method, "path", logged(r), "err", err)
	status, text := http.StatusInternalServerError, "程序出了错，什么都没有改动。错误已经记下来了。"
	if store.Transient(err) {
		status, text = http.StatusServiceUnavailable, "数据库这会儿太忙或连不上，什么都没有改动。请过一会儿再试。"
	}
	c.renderMessage(w, r, status, note{Title: "没有成功", Icon: "warn", Text: text,
		Hint: "告诉管理员编号 " + id + "，就能在日志里找到它。", Link: Prefix + "/", LinkText: "回到首页"})
}

func (c *Console) panicked(w http.ResponseWriter, r *http.Request, p any) {
	c.fail(w, r, fmt.Errorf("panic: %v\n%s", p, debug.Stack()))
}
