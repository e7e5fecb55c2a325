package console

import (
	"errors"
	"net/http"
	"net/url"
	"time"

	"qunbot/store"
	"qunbot/web/frame"
)

// How long a session lasts.
const (
	idle     = 12 * time.Hour     // without a visit
	absolute = 7 * 24 * time.Hour // however busy
	touch    = 5 * time.Minute    // how exactly a visit is noted, so that reading does not write each time
)

// What a session holds.
const (
	sessionOperator = "operator" // id
	sessionSince    = "since"    // when it was begun, Unix seconds
	sessionSeen     = "seen"     // when it was last used, Unix seconds
)

// signedIn returns the operator whose session the request carries.
func (c *Console) signedIn(r *http.Request) (operator int64, ok bool) {
	ctx, now := r.Context(), c.Now()
	operator = c.sessions.GetInt64(ctx, sessionOperator)
	since := time.Unix(c.sessions.GetInt64(ctx, sessionSince), 0)
	seen := time.Unix(c.sessions.GetInt64(ctx, sessionSeen), 0)
	if operator == 0 || now.Sub(since) >= absolute || now.Sub(seen) >= idle {
		return 0, false
	}
	if now.Sub(seen) >= touch {
		c.sessions.Put(ctx, sessionSeen, now.Unix())
	}
	return operator, true
}

// loginPage shows a button instead of signing in at once: what previews links
// in a chat would use them up.
func (c *Console) loginPage(w http.ResponseWriter, r *http.Request) {
	c.renderMessage(w, r, http.StatusOK, note{
		Title: "登录运营台", Icon: "shield", Text: "这条链接只能用一次。请在自己的电脑或手机上登录，不要转发给别人。",
		Action: r.URL.Path, Button: "登录",
	})
}

// login uses the link up and starts a session.
func (c *Console) login(w http.ResponseWriter, r *http.Request) {
	now := c.Now()
	if wait := c.logins.Wait(frame.Address(r), now); wait > 0 {
		frame.RetryAfter(w.Header(), wait)
		c.renderMessage(w, r, http.StatusTooManyRequests, note{Title: "试得太快了", Icon: "warn",
			Text: "这个网络地址在短时间里登录了太多次。请过一分钟再打开链接。"})
		return
	}
	var operator store.Operator
	err := c.Store.Update(r.Context(), func(tx *store.Tx) (err error) {
		operator, err = tx.UseLoginLink(tx.Context(), r.PathValue("token"), now)
		return err
	})
	switch {
	case errors.Is(err, store.ErrNotFound):
		c.Log.Warn("sign-in link refused", "from", frame.Address(r))
		c.renderMessage(w, r, http.StatusForbidden, note{Title: "这条链接不能用了", Icon: "warn",
			Text: "它已经用过、过期，或者没有复制完整。请再要一条新的：", Code: howToSignIn})
		return
	case err != nil:
		c.fail(w, r, err)
		return
	}
	if err := c.sessions.RenewToken(r.Context()); err != nil {
		c.fail(w, r, err)
		return
	}
	c.sessions.Put(r.Context(), sessionOperator, operator.ID)
	c.sessions.Put(r.Context(), sessionSince, now.Unix())
	c.sessions.Put(r.Context(), sessionSeen, now.Unix())
	c.Log.Info("operator signed in", "operator", operator.ID, "from", frame.Address(r))
	http.Redirect(w, r, Prefix+"/", http.StatusSeeOther)
}

func (c *Console) logout(w http.ResponseWriter, r *http.Request) {
	if err := c.sessions.Destroy(r.Context()); err != nil {
		c.fail(w, r, err)
		return
	}
	http.Redirect(w, r, Prefix+"/", http.StatusSeeOther)
}

// theme remembers light or dark in a cookie, so that the first byte of the
// next page has it already.
func (c *Console) theme(w http.ResponseWriter, r *http.Request) {
	choice := r.PostFormValue("theme")
	if choice != "light" && choice != "dark" {
		choice = ""
	}
	cookie := &http.Cookie{Name: themeCookie, Value: choice, Path: Prefix, MaxAge: 400 * 24 * 3600,
		Secure: c.secure(), SameSite: http.SameSiteLaxMode}
	if choice == "" {
		cookie.MaxAge = -1
	}
	http.SetCookie(w, cookie)
	back := Prefix + "/"
	if from, err := url.Parse(r.Referer()); err == nil && frame.Local(from.RequestURI(), Prefix) {
		back = from.RequestURI()
	}
	http.Redirect(w, r, back, http.StatusSeeOther)
}

const themeCookie = "theme"

// chosenTheme returns "light", "dark", or "" for what the system prefers.
func chosenTheme(r *http.Request) string {
	if cookie, err := r.Cookie(themeCookie); err == nil && (cookie.Value == "light" || cookie.Value == "dark") {
		return cookie.Value
	}
	return ""
}

// howToSignIn is the command that prints a link.
const howToSignIn = "qunbot operator add 姓名 --role operator --userid 企业微信账号"

func (c *Console) askToSignIn(w http.ResponseWriter, r *http.Request) {
	c.renderMessage(w, r, http.StatusUnauthorized, note{Title: "请先登录", Icon: "shield",
		Text: "运营台用一次性链接登录，没有密码可泄露。请负责人在服务器上运行下面的命令，把打印出来的链接发给你：", Code: howToSignIn,
		Hint: "登录后 12 小时不用会自动退出，最长 7 天。"})
}
