package portal

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"runtime/debug"

	"qunbot/store"
	"qunbot/web/frame"
	"qunbot/web/style"
)

// view is what the layout shows.
type view struct {
	Title   string
	Page    *page // nil on the home page and on messages
	Home    bool
	Look    style.Look
	Problem string // why a form is shown again
	Data    any    // what the page's Load returned

	// Filled in by render.

	Flash   frame.Flash
	Bar     []barItem // empty on public pages and messages
	Here    string    // the bar's item that is open
	CSS, JS string
	Logo    string
}

// note is a page that is one text.
type note struct {
	Title, Icon, Text, Hint string
	Link, LinkText          string
}

func (p *Portal) render(w http.ResponseWriter, r *http.Request, status int, t *frame.Template, v view) {
	v.CSS, v.JS, v.Logo = p.css, p.js, p.logo
	member := v.Home || v.Page != nil && !v.Page.public
	if member {
		v.Bar, v.Here = p.bar, r.URL.Path
		if status == http.StatusOK && r.Method == http.MethodGet {
			v.Flash = frame.TakeFlash(w, r, Prefix, p.secure())
		}
	}
	body, err := t.Render(v)
	if err != nil {
		if !v.Home && v.Page == nil { // the page that says so is itself broken
			p.Log.Error("member page", "path", r.URL.Path, "err", err)
			http.Error(w, "出了问题，请稍后再试。", http.StatusInternalServerError)
			return
		}
		p.fail(w, r, err)
		return
	}
	h := w.Header()
	h.Set("Content-Type", "text/html; charset=utf-8")
	h.Set("Cache-Control", "private, no-store")
	if !member && v.Page != nil && status == http.StatusOK {
		h.Set("Cache-Control", "public, max-age=5")
	}
	w.WriteHeader(status)
	w.Write(body)
}

func (p *Portal) renderMessage(w http.ResponseWriter, r *http.Request, status int, n note) {
	look := style.PlainLook()
	// Best effort: the page that says what went wrong also comes without the store.
	_ = p.Store.View(r.Context(), func(tx *store.Tx) (err error) {
		l, err := style.LookOf(tx.Context(), tx)
		if err == nil {
			look = l
		}
		return err
	})
	p.render(w, r, status, p.message, view{Title: n.Title, Look: look, Data: n})
}

// answerError shows what kept a page from being loaded or changed.
func (p *Portal) answerError(w http.ResponseWriter, r *http.Request, err error) {
	switch {
	case errors.Is(err, errGone):
		if err := p.sessions.Destroy(r.Context()); err != nil {
			p.fail(w, r, err)
			return
		}
		p.askToSignIn(w, r)
	case errors.Is(err, store.ErrNotFound):
		p.notFound(w, r)
	case errors.Is(err, context.Canceled) && r.Context().Err() != nil: // the visitor left
	default:
		p.fail(w, r, err)
	}
}

func (p *Portal) notFound(w http.ResponseWriter, r *http.Request) {
	p.renderMessage(w, r, http.StatusNotFound, note{Title: "没有这一页", Icon: "search",
		Text: "它可能已经结束，或者链接不完整。", Link: p.homeLink(r), LinkText: "回到首页"})
}

// homeLink is where a lost visitor may go on; public pages lead nowhere.
func (p *Portal) homeLink(r *http.Request) string {
	if frame.Local(r.URL.Path, Prefix) {
		return Prefix + "/"
	}
	return ""
}

func (p *Portal) notAllowed(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Allow", "GET, HEAD")
	p.renderMessage(w, r, http.StatusMethodNotAllowed, note{Title: "这一页不能这样用", Icon: "warn",
		Text: "它只能看，不能提交。", Link: p.homeLink(r), LinkText: "回到首页"})
}

func (p *Portal) badForm(w http.ResponseWriter, r *http.Request, err error) {
	if _, large := errors.AsType[*http.MaxBytesError](err); large {
		p.renderMessage(w, r, http.StatusRequestEntityTooLarge, note{Title: "内容太大了", Icon: "warn", Text: "一次最多提交 1 MB。请减少内容再试。"})
		return
	}
	p.renderMessage(w, r, http.StatusBadRequest, note{Title: "没有提交成功", Icon: "warn",
		Text: "内容没有传完整，什么都没有改动。请回到上一页，刷新后再试。", Link: p.homeLink(r), LinkText: "回到首页"})
}

// foreign answers what the page of another site sent.
func (p *Portal) foreign(w http.ResponseWriter, r *http.Request) {
	if p.sparing.Wait(frame.Address(r), p.Now()) == 0 {
		p.Log.Warn("cross-origin request refused", "from", frame.Address(r), "path", r.URL.Path, "origin", r.Header.Get("Origin"))
	}
	p.renderMessage(w, r, http.StatusForbidden, note{Title: "已拦下来自别的网站的请求", Icon: "shield",
		Text: "为了你的积分安全，这里只接受从会员页自己提交的操作。", Link: Prefix + "/", LinkText: "打开会员页"})
}

// fail logs an error once and shows an id to find it by.
func (p *Portal) fail(w http.ResponseWriter, r *http.Request, err error) {
	id := frame.ErrorID()
	p.Log.Error("member page", "id", id, "method", r.Method, "path", r.URL.Path, "err", err)
	status, text := http.StatusInternalServerError, "我们这边出了错，你的积分和记录没有变化。请稍后再试。"
	if store.Transient(err) {
		status, text = http.StatusServiceUnavailable, "现在人有点多，刚才的操作没有提交。请过一会儿再试。"
	}
	p.renderMessage(w, r, status, note{Title: "没有成功", Icon: "warn", Text: text,
		Hint: "还是不行？把编号 " + id + " 告诉客服。", Link: p.homeLink(r), LinkText: "回到首页"})
}

func (p *Portal) panicked(w http.ResponseWriter, r *http.Request, v any) {
	p.fail(w, r, fmt.Errorf("panic: %v\n%s", v, debug.Stack()))
}
