package portal

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base32"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"qunbot/store"
	"qunbot/web/frame"
)

const (
	keep          = 30 * 24 * time.Hour // how long a member stays signed in
	sessionMember = "member"            // id
	sessionSince  = "since"             // when it was begun, Unix seconds
	stateCookie   = "qunbot_state"      // a sign-in on its way: state and where to go then
	groupCookie   = "qunbot_group"      // the signed group the member came through
	groupQuery    = "g"
)

// signedIn returns the member whose session the request carries.
func (p *Portal) signedIn(r *http.Request) (member int64, ok bool) {
	member = p.sessions.GetInt64(r.Context(), sessionMember)
	since := time.Unix(p.sessions.GetInt64(r.Context(), sessionSince), 0)
	return member, member != 0 && p.Now().Sub(since) < keep
}

// askToSignIn sends the visitor to the platform. The state lives in a cookie
// of this browser and nowhere else: nobody can make another's browser finish
// a sign-in that it did not begin, and visits that never come back leave no row.
func (p *Portal) askToSignIn(w http.ResponseWriter, r *http.Request) {
	if p.Identifier == nil {
		p.renderMessage(w, r, http.StatusServiceUnavailable, note{Title: "会员页还没有开通", Icon: "shop",
			Text: "商场还没有接好微信登录。请先在群里或找客服签到、查积分。"})
		return
	}
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		p.renderMessage(w, r, http.StatusUnauthorized, note{Title: "登录过期了", Icon: "person",
			Text: "刚才的操作没有提交。请重新打开页面再试一次。", Link: Prefix + "/", LinkText: "重新打开"})
		return
	}
	state := rand.Text()
	p.cookie(w, stateCookie, state+"|"+r.URL.RequestURI(), 10*time.Minute)
	http.Redirect(w, r, p.Identifier.AuthorizeURL(p.base()+Prefix+"/sign-in", state), http.StatusFound)
}

// comeBack is where the platform sends the visitor back to.
func (p *Portal) comeBack(w http.ResponseWriter, r *http.Request) {
	state, target := p.begun(r)
	p.cookie(w, stateCookie, "", -1)
	given := r.URL.Query().Get("state")
	if state == "" || !hmac.Equal([]byte(state), []byte(given)) {
		if _, ok := p.signedIn(r); ok { // the back button
			http.Redirect(w, r, Prefix+"/", http.StatusSeeOther)
			return
		}
		p.signInFailed(w, r, http.StatusForbidden)
		return
	}
	if wait := p.signIns.Wait(frame.Address(r), p.Now()); wait > 0 {
		frame.TooMany(w, wait)
		return
	}
	id, name, err := p.identify(r)
	if err != nil {
		if p.sparing.Wait(frame.Address(r), p.Now()) == 0 {
			p.Log.Warn("member sign-in", "from", frame.Address(r), "err", err)
		}
		p.signInFailed(w, r, http.StatusForbidden)
		return
	}
	member, err := p.memberOf(r, id, name)
	if err != nil {
		p.fail(w, r, err)
		return
	}
	if err := p.sessions.RenewToken(r.Context()); err != nil {
		p.fail(w, r, err)
		return
	}
	p.sessions.Put(r.Context(), sessionMember, member)
	p.sessions.Put(r.Context(), sessionSince, p.Now().Unix())
	http.Redirect(w, r, target, http.StatusSeeOther)
}

func (p *Portal) identify(r *http.Request) (store.Identity, string, error) {
	if p.Identifier == nil {
		return store.Identity{}, "", fmt.Errorf("no way to sign in is set up")
	}
	code := r.URL.Query().Get("code")
	if code == "" {
		return store.Identity{}, "", fmt.Errorf("the platform gave no code")
	}
	id, name, err := p.Identifier.Identify(r.Context(), code)
	if err == nil && (id.Kind == "" || id.Value == "") {
		err = fmt.Errorf("the platform named nobody")
	}
	return id, name, err
}

// begun reads the sign-in that this browser began.
func (p *Portal) begun(r *http.Request) (state, target string) {
	name, _ := frame.HostCookie(stateCookie, Prefix, p.secure())
	cookie, err := r.Cookie(name)
	if err != nil {
		return "", ""
	}
	value, err := url.QueryUnescape(cookie.Value)
	if err != nil {
		return "", ""
	}
	state, target, _ = strings.Cut(value, "|")
	if !frame.Local(target, Prefix) {
		target = Prefix + "/"
	}
	return state, target
}

func (p *Portal) signInFailed(w http.ResponseWriter, r *http.Request, status int) {
	p.renderMessage(w, r, status, note{Title: "登录没有成功", Icon: "person",
		Text: "这次登录过期了，或者没有走完。请从群里的链接重新打开，最好在微信里打开。", Link: Prefix + "/", LinkText: "重新登录"})
}

// memberOf returns the member behind an identity and makes one who is new.
func (p *Portal) memberOf(r *http.Request, id store.Identity, name string) (member int64, err error) {
	err = p.Store.Update(r.Context(), func(tx *store.Tx) error {
		found, err := tx.MembersOf(tx.Context(), []store.Identity{id}, p.Now())
		if err != nil {
			return err
		}
		member = found[0].ID
		if name == "" {
			return nil
		}
		return tx.SetName(tx.Context(), member, name)
	})
	return member, err
}

// cookie sets a cookie of the members' pages; keep below 0 deletes it.
func (p *Portal) cookie(w http.ResponseWriter, name, value string, keep time.Duration) {
	name, path := frame.HostCookie(name, Prefix, p.secure())
	http.SetCookie(w, &http.Cookie{Name: name, Value: url.QueryEscape(value), Path: path, MaxAge: int(max(keep, -time.Second) / time.Second),
		HttpOnly: true, Secure: p.secure(), SameSite: http.SameSiteLaxMode})
}

// GroupLink returns the address of the members' home page that says which
// group a member comes through. base is the public address; nobody without
// the secret can make a link of another group.
func GroupLink(base string, secret []byte, group int64) string {
	return strings.TrimRight(base, "/") + Prefix + "/?" + groupQuery + "=" + signGroup(secret, group)
}

func signGroup(secret []byte, group int64) string {
	number := strconv.FormatInt(group, 10)
	mac := hmac.New(sha256.New, secret)
	mac.Write([]byte("portal group:" + number))
	return number + "." + strings.ToLower(base32.StdEncoding.WithPadding(base32.NoPadding).EncodeToString(mac.Sum(nil)[:10]))
}

// group returns the group whose signed link the request, or an earlier one of
// this browser, came through; 0 if none.
func (p *Portal) group(w http.ResponseWriter, r *http.Request) int64 {
	if given := r.URL.Query().Get(groupQuery); given != "" {
		if id := p.verifiedGroup(given); id != 0 {
			p.cookie(w, groupCookie, given, keep)
			return id
		}
	}
	name, _ := frame.HostCookie(groupCookie, Prefix, p.secure())
	if cookie, err := r.Cookie(name); err == nil {
		return p.verifiedGroup(cookie.Value)
	}
	return 0
}

func (p *Portal) verifiedGroup(signed string) int64 {
	number, _, _ := strings.Cut(signed, ".")
	id, err := strconv.ParseInt(number, 10, 64)
	if err != nil || id < 1 || len(p.Secret) == 0 || !hmac.Equal([]byte(signGroup(p.Secret, id)), []byte(signed)) {
		return 0
	}
	return id
}
