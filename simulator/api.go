package simulator

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"mime"
	"net"
	"net/http"
	"slices"
	"time"
)

// maxBodyBytes is the largest request that a page of ours makes.
const maxBodyBytes = 16 << 10

// mountAPI serves what the chat page calls.
func (s *Simulator) mountAPI(mux *http.ServeMux) {
	mux.Handle("GET /sim/api/state", s.guard(http.HandlerFunc(s.serveState)))
	mux.Handle("GET /sim/api/events", s.guard(http.HandlerFunc(s.serveEvents)))
	mux.Handle("POST /sim/api/me", s.guard(action(s.serveMe)))
	mux.Handle("POST /sim/api/open", s.guard(action(s.serveOpen)))
	mux.Handle("POST /sim/api/say", s.guard(action(s.serveSay)))
	mux.Handle("POST /sim/api/press", s.guard(action(s.servePress)))
	mux.Handle("POST /sim/api/redeliver", s.guard(action(s.serveRedeliver)))
	mux.Handle("POST /sim/api/unplug", s.guard(action(s.serveUnplug)))
	mux.Handle("POST /sim/api/fault", s.guard(action(s.serveFault)))
	mux.Handle("POST /sim/api/advance", s.guard(action(s.serveAdvance)))
	mux.Handle("POST /sim/api/robot", s.guard(action(s.serveRobot)))
	mux.Handle("POST /sim/api/enter", s.guard(action(s.serveEnter)))
	mux.Handle("POST /sim/api/click", s.guard(action(s.serveClick)))
	mux.Handle("POST /sim/api/desk", s.guard(action(s.serveDesk)))
	mux.Handle("GET "+linkPath+"{link}", s.guard(http.HandlerFunc(s.openLink)))
	mux.Handle("GET /sim/media/{id}", s.guard(http.HandlerFunc(s.serveMedium)))
}

// guard lets in only the tester's own browser: requests from this machine, to
// this machine by a name of its own (another name is one that a hostile site
// has pointed here), and not on behalf of another site.
func (s *Simulator) guard(next http.Handler) http.Handler {
	next = http.NewCrossOriginProtection().Handler(next)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("X-Content-Type-Options", "nosniff")
		w.Header().Set("Referrer-Policy", "same-origin")
		if !s.cfg.AllowRemote && !(isLoopback(clientIP(r)) && (r.Host == s.base.Host || isLoopback(hostOf(r.Host)))) {
			http.Error(w, "模拟器只在本机上用", http.StatusForbidden)
			return
		}
		next.ServeHTTP(w, r)
	})
}

func isLoopback(host string) bool {
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}

// hostOf returns a Host header without its port.
func hostOf(hostport string) string {
	host, _, err := net.SplitHostPort(hostport)
	if err != nil {
		return hostport
	}
	return host
}

// An ask is the body of every call; each uses what it needs.
type ask struct {
	Chat   string `json:"chat"`
	Person string `json:"person"`
	Text   string `json:"text"`
	Line   string `json:"line"`
	Key    string `json:"key"`
	With   string `json:"with"`  // a customer
	URL    string `json:"url"`   // of a 客服 link
	API    string `json:"api"`   // to disturb
	Fault  Fault  `json:"fault"` // empty: none
	Times  int    `json:"times"` // 0: until it is taken away
	On     bool   `json:"on"`
}

// action reads the JSON body of a call and writes its answer or error.
func action(do func(http.ResponseWriter, ask) (any, error)) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		refuse := func(status int, text string) { writeJSON(w, status, map[string]string{"error": text}) }
		if kind, _, err := mime.ParseMediaType(r.Header.Get("Content-Type")); err != nil || kind != "application/json" {
			refuse(http.StatusUnsupportedMediaType, "请用 application/json")
			return
		}
		decoder := json.NewDecoder(http.MaxBytesReader(w, r.Body, maxBodyBytes))
		decoder.DisallowUnknownFields()
		var a ask
		err := decoder.Decode(&a)
		if err == nil {
			if _, err = decoder.Token(); err == io.EOF {
				err = nil
			} else if err == nil {
				err = errors.New("more than one value")
			}
		}
		if _, large := errors.AsType[*http.MaxBytesError](err); large {
			refuse(http.StatusRequestEntityTooLarge, "请求太大了")
			return
		}
		if err != nil {
			refuse(http.StatusBadRequest, "看不懂这个请求")
			return
		}
		answer, err := do(w, a)
		if err != nil {
			refuse(statusOf(err), err.Error())
			return
		}
		writeJSON(w, http.StatusOK, answer)
	})
}

// statusOf returns the HTTP status of an error of ours.
func statusOf(err error) int {
	switch {
	case slices.Contains([]error{errNoChat, errNoPerson, errNoLine, errNoCard, errNoButton, errNoLink, errNoAPI, errNoRobot}, err):
		return http.StatusNotFound
	case slices.Contains([]error{errBusy}, err):
		return http.StatusServiceUnavailable
	case slices.Contains([]error{errUnplugged, errStillWaiting, errNoPlug, errUnheard, errMoving, errNotYours, errNotWaiting, errNoServicer}, err):
		return http.StatusConflict
	case err == errTooLong:
		return http.StatusRequestEntityTooLarge
	}
	return http.StatusBadRequest
}

// What is wrong with a line that should be delivered again.
var (
	errNoLine       = errors.New("没有这条消息，或者它没有投给机器人")
	errStillWaiting = errors.New("它的回答还没到，等到了再重复投递")
)

// done is the answer of a call that has nothing to say.
var done = map[string]bool{"ok": true}

func (s *Simulator) serveMe(w http.ResponseWriter, a ask) (any, error) {
	person := s.cfg.person(a.Person)
	if person.ID == "" {
		return nil, errNoPerson
	}
	http.SetCookie(w, cookieFor(person))
	return done, nil
}

func (s *Simulator) serveOpen(_ http.ResponseWriter, a ask) (any, error) {
	d, err := s.enter(a.Chat, a.Person)
	if err != nil {
		return nil, err
	}
	if d != nil && !s.start(func(ctx context.Context) { s.converse(ctx, d) }) {
		return nil, errBusy
	}
	return done, nil
}

func (s *Simulator) serveSay(_ http.ResponseWriter, a ask) (any, error) {
	if a.With != "" {
		return s.servicerSay(a)
	}
	said, d, err := s.say(a.Chat, a.Person, a.Text)
	if err != nil {
		return nil, err
	}
	if d != nil && !s.start(func(ctx context.Context) { s.converse(ctx, d) }) {
		s.drop(d)
	}
	return said, nil
}

// drop gives d up because there is too much to do.
func (s *Simulator) drop(d *delivery) {
	d.close()
	s.changeLine(d.line, func(l *line) { l.Waiting, l.Heard, l.Error = false, false, tooBusy })
}

func (s *Simulator) servePress(_ http.ResponseWriter, a ask) (any, error) {
	d, err := s.press(a.Line, a.Person, a.Key)
	if err != nil {
		return nil, err
	}
	if !s.start(func(ctx context.Context) { s.converse(ctx, d) }) {
		return nil, errBusy
	}
	return done, nil
}

func (s *Simulator) serveRedeliver(_ http.ResponseWriter, a ask) (any, error) {
	s.mu.Lock()
	d, l := s.letters[a.Line], s.lineByID(a.Line)
	waiting := l != nil && l.Waiting
	s.mu.Unlock()
	switch {
	case d == nil || l == nil:
		return nil, errNoLine
	case waiting || !d.busy.TryLock():
		return nil, errStillWaiting
	case !s.start(func(ctx context.Context) { s.redeliver(ctx, d) }):
		d.busy.Unlock()
		return nil, errBusy
	}
	return done, nil
}

func (s *Simulator) serveUnplug(_ http.ResponseWriter, a ask) (any, error) {
	if s.cfg.Service == nil {
		return nil, errNoPlug
	}
	if !s.power.TryLock() {
		return nil, errUnplugged
	}
	said, d, err := s.say(a.Chat, a.Person, a.Text)
	if err == nil && d == nil {
		err = errUnheard
	}
	if err != nil {
		s.power.Unlock()
		return nil, err
	}
	if !s.start(func(ctx context.Context) { s.unplug(ctx, d) }) {
		s.power.Unlock()
		s.drop(d)
	}
	return said, nil
}

// A state is everything that the page needs to begin.
type state struct {
	Instance string            `json:"instance"` // another one means another world
	Now      time.Time         `json:"now"`
	Zone     string            `json:"zone"`
	Me       string            `json:"me"`
	People   []personState     `json:"people"`
	Bots     []botState        `json:"bots"`
	Chats    []chatState       `json:"chats"`
	Chips    []string          `json:"chips"`
	Plug     bool              `json:"plug"` // there is one to pull
	Verified map[string]string `json:"verified"`
	Lines    []*line           `json:"lines"`
	Traces   []*trace          `json:"traces"`
	Sessions []sessionState    `json:"sessions"`
	Links    []linkState       `json:"links"`
	Panel    panelState        `json:"panel"`
}

type personState struct {
	ID   string `json:"id"`
	Kind string `json:"kind"`
	Name string `json:"name"`
	Role string `json:"role,omitempty"`
}

type botState struct {
	Name        string  `json:"name"`
	DisplayName string  `json:"display_name"`
	What        botKind `json:"what,omitempty"` // empty: an aibot
	Listens     bool    `json:"listens"`        // has a callback URL
	VerifiedAs  string  `json:"verified_as"`    // key into state.Verified
}

type chatState struct {
	ID      string   `json:"id"`
	Name    string   `json:"name"`
	Kind    ChatKind `json:"kind"`
	Members []string `json:"members"`
	Bot     string   `json:"bot,omitempty"`
	Pinned  *Link    `json:"pinned,omitempty"`
	Notice  string   `json:"notice,omitempty"`
	Robot   string   `json:"robot,omitempty"` // name of the group robot
	Quiet   bool     `json:"quiet,omitempty"` // not listed before something was said
}

func (s *Simulator) serveState(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	body, err := json.Marshal(s.stateLocked(s.me(r)))
	s.mu.Unlock()
	if err != nil {
		s.cfg.Log.Error("encode state", "err", err)
		http.Error(w, "看日志", http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "application/json; charset=UTF-8")
	w.Header().Set("Cache-Control", "no-store")
	_, _ = w.Write(body) // the reader has gone; nobody to tell
}

// stateLocked returns the state for whoever plays me. The caller holds mu as
// long as it is in use.
func (s *Simulator) stateLocked(me Person) state {
	st := state{
		Instance: s.instance,
		Now:      s.nowLocked(), Zone: s.cfg.Zone.String(), Me: me.ID,
		Chips: s.cfg.Chips, Plug: s.cfg.Service != nil, Verified: s.verified,
		Lines: s.lines, Traces: s.traces,
	}
	for _, p := range s.cfg.People {
		st.People = append(st.People, personState{ID: p.ID, Kind: p.Kind, Name: p.Name, Role: p.Role})
	}
	for _, b := range s.cfg.Bots {
		verified := b.Name
		if b.what == ofAccount {
			verified = appName(b.agent)
		}
		st.Bots = append(st.Bots, botState{
			Name: b.Name, DisplayName: b.DisplayName, What: b.what, Listens: b.CallbackURL != "", VerifiedAs: verified,
		})
	}
	for _, c := range s.cfg.Chats {
		st.Chats = append(st.Chats, s.chatState(c))
	}
	for _, r := range s.rooms.all() {
		if r.shown {
			st.Chats = append(st.Chats, s.chatState(r.Chat))
		}
	}
	st.Sessions, st.Links = s.sessionStates()
	st.Panel = s.panelLocked()
	return st
}

// chatState returns a chat as the page sees it.
func (s *Simulator) chatState(c Chat) chatState {
	chat := chatState{ID: c.ID, Name: c.Name, Kind: c.Kind, Bot: c.Bot, Notice: c.Notice, Members: []string{}}
	for _, p := range s.cfg.People {
		if c.has(p) {
			chat.Members = append(chat.Members, p.ID)
		}
	}
	if c.Pinned.URL != "" {
		chat.Pinned = &c.Pinned
	}
	if c.WebhookKey != "" {
		chat.Robot = robotOf(c.ID)
	}
	chat.Quiet = c.Kind == application && s.cfg.bot(c.Bot).CallbackURL == ""
	return chat
}
