package simulator

import (
	"crypto/rand"
	"net/http"
	"net/url"
	"regexp"
	"time"
)

// loginLife is how long an OAuth code works.
//
// Source: https://developer.work.weixin.qq.com/document/path/91022
const loginLife = 5 * time.Minute

// meCookie remembers whom the tester plays, for OAuth and for the chat page.
const meCookie = "qunbot_sim_me"

// A login is an OAuth code that was given out.
type login struct {
	app    string // agent id
	person string
	until  time.Time
}

// stateForm is what a state may look like.
var stateForm = regexp.MustCompile(`^[A-Za-z0-9]{0,128}$`)

// mountOAuth serves the page to which a web page sends people to learn who
// they are.
func (s *Simulator) mountOAuth(mux *http.ServeMux) {
	mux.Handle("/connect/oauth2/authorize", s.guard(http.HandlerFunc(s.authorize)))
}

// An authorization is what the page of that name shows.
type authorization struct {
	Error  string
	People []Person
	Query  url.Values // of the request, repeated in the form
}

// authorize sends whom the tester plays on with a code. If that is nobody yet,
// it asks.
//
// Source: https://developer.work.weixin.qq.com/document/path/91022
func (s *Simulator) authorize(w http.ResponseWriter, r *http.Request) {
	if r.Method != http.MethodGet && r.Method != http.MethodHead && r.Method != http.MethodPost {
		http.Error(w, "method not allowed", http.StatusMethodNotAllowed)
		return
	}
	query := r.URL.Query()
	refuse := func(text string) {
		s.render(w, http.StatusBadRequest, "authorize.html", authorization{Error: text})
	}
	back, err := url.Parse(query.Get("redirect_uri"))
	if err != nil || back.Scheme != "http" && back.Scheme != "https" || back.Host == "" {
		refuse("redirect_uri 不是一个网址。")
		return
	}
	app := s.cfg.appFor(query.Get("agentid"))
	switch {
	case query.Get("appid") != s.cfg.CorpID:
		refuse("appid 不是这家企业的 CorpID（40013）。")
		return
	case app.AgentID == "":
		refuse("agentid 不是这家企业的应用（40056）。")
		return
	case back.Host != s.trustedHost(app):
		refuse("redirect_uri 与应用的可信域名不一致（50001）：这里只能回到 " + s.trustedHost(app) + "。")
		return
	case query.Get("response_type") != "code":
		refuse("response_type 必须是 code。")
		return
	case query.Get("scope") != "snsapi_base" && query.Get("scope") != "snsapi_privateinfo":
		refuse("scope 必须是 snsapi_base 或 snsapi_privateinfo。")
		return
	case !stateForm.MatchString(query.Get("state")):
		refuse("state 只能是 128 个以内的字母和数字。")
		return
	}
	person := s.me(r)
	if r.Method == http.MethodPost {
		r.Body = http.MaxBytesReader(w, r.Body, maxBodyBytes)
		person = s.cfg.person(r.PostFormValue("person"))
	}
	if person.ID == "" {
		s.render(w, http.StatusOK, "authorize.html", authorization{People: s.cfg.People, Query: query})
		return
	}
	http.SetCookie(w, cookieFor(person))
	answer := back.Query()
	answer.Set("code", s.newLogin(app, person))
	answer.Set("state", query.Get("state"))
	back.RawQuery = answer.Encode()
	w.Header().Set("Cache-Control", "no-store")
	http.Redirect(w, r, back.String(), http.StatusFound)
}

// appFor returns the app with this agent id, the only one if none is given, or
// a zero App.
func (c Config) appFor(agentID string) App {
	if agentID == "" && len(c.Apps) > 0 {
		return c.Apps[0]
	}
	return find(c.Apps, func(a App) bool { return a.AgentID == agentID })
}

func (s *Simulator) trustedHost(app App) string {
	if app.TrustedHost != "" {
		return app.TrustedHost
	}
	return s.base.Host
}

// newLogin gives out a code.
func (s *Simulator) newLogin(app App, person Person) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	now, code := s.nowLocked(), rand.Text()
	for old, known := range s.logins {
		if !now.Before(known.until) {
			delete(s.logins, old)
		}
	}
	s.logins[code] = login{app: app.AgentID, person: person.ID, until: now.Add(loginLife)}
	return code
}

func (s *Simulator) oauthEndpoints() []endpoint {
	return []endpoint{{method: http.MethodGet, path: "auth/getuserinfo", handle: s.getUserInfo}}
}

// getUserInfo tells an app whom a code stands for, once.
//
// Source: https://developer.work.weixin.qq.com/document/path/91023
func (s *Simulator) getUserInfo(c *call) (any, error) {
	code := c.URL.Query().Get("code")
	s.mu.Lock()
	defer s.mu.Unlock()
	known, ok := s.logins[code]
	if !ok || !s.nowLocked().Before(known.until) || known.app != c.app.AgentID {
		return nil, apiError{40029, "invalid code"}
	}
	delete(s.logins, code)
	person := s.cfg.person(known.person)
	if person.Kind == Customer {
		return map[string]any{"openid": "oSIM" + person.ID, "external_userid": person.ID}, nil
	}
	return map[string]any{"userid": person.ID}, nil
}

// me returns whom the tester plays, or a zero Person.
func (s *Simulator) me(r *http.Request) Person {
	cookie, err := r.Cookie(meCookie)
	if err != nil {
		return Person{}
	}
	id, err := url.QueryUnescape(cookie.Value)
	if err != nil {
		return Person{}
	}
	return s.cfg.person(id)
}

func cookieFor(p Person) *http.Cookie {
	return &http.Cookie{
		Name: meCookie, Value: url.QueryEscape(p.ID), Path: "/",
		HttpOnly: true, SameSite: http.SameSiteLaxMode,
	}
}
