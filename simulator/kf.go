package simulator

import (
	"context"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"maps"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"qunbot/bot/wecom"
)

// Limits of 微信客服.
//
// Sources: https://developer.work.weixin.qq.com/document/path/94670,
// https://developer.work.weixin.qq.com/document/path/94677 and
// https://developer.work.weixin.qq.com/document/path/95122
const (
	kfTokenLife  = 10 * time.Minute
	kfRetention  = 3 * 24 * time.Hour
	kfWindow     = 48 * time.Hour // after the customer's last message; also of a session
	kfAllowance  = 5              // messages for each of the customer's
	kfQuickCode  = 20 * time.Second
	kfSlowCode   = 48 * time.Hour
	maxScene     = 32
	maxParam     = 128
	kfBarePulls  = 10  // a minute and account without a token; WeCom gives no number, this is ours
	kfPage       = 100 // entries of one pull; WeCom may give less than asked for
	maxKFEntries = 2000
)

// States of a session.
//
// Source: https://developer.work.weixin.qq.com/document/path/94669
const (
	kfNew = iota
	kfAssistant
	kfPool
	kfHuman
	kfEnded // or not begun
)

// Where a message of sync_msg comes from.
const (
	fromCustomer = 3
	fromSystem   = 4
	fromServicer = 5
)

// A desk is a service account at work.
type desk struct {
	KFAccount
	agent    string // of the app that manages it
	next     int64  // number of the next entry
	entries  []kfEntry
	pulls    int                   // of sync_msg that had something to give
	tokens   map[string]time.Time  // given out with callbacks, until when
	sessions map[string]*kfSession // by customer
	used     map[string]bool       // msgids of messages that were sent
	codes    map[string]kfCode
	scenes   []string        // of the links, in the order in which they were made
	stopped  map[string]bool // servicers
}

// A kfEntry is what sync_msg returns once.
type kfEntry struct {
	number int64
	at     time.Time
	body   map[string]any
}

// A kfSession is one customer at one account.
type kfSession struct {
	state    int
	servicer string    // in kfHuman
	last     string    // servicer
	wrote    time.Time // the customer, last; zero: never
	opened   time.Time // the session, or kept open by the customer
	sent     int       // messages since then
	welcomed time.Time // a welcome was sent
	entered  time.Time // by a link
	scene    string
	param    string
	coded    map[int]bool // states for which a code was given out
}

// A kfCode allows one message on an event.
type kfCode struct {
	customer string
	state    int // in which it works; -1: any
	until    time.Time
	menus    bool
}

// newDesk returns an account at which nobody has been. Its entries are
// numbered by the time, so that a cursor from an earlier simulator is not
// ahead of them.
func (s *Simulator) newDesk(account KFAccount) *desk {
	return &desk{
		KFAccount: account,
		agent:     s.cfg.appFor(account.App).AgentID,
		next:      s.cfg.Now().UnixMicro(),
		tokens:    make(map[string]time.Time),
		sessions:  make(map[string]*kfSession),
		used:      make(map[string]bool),
		codes:     make(map[string]kfCode),
		scenes:    append([]string{""}, account.Scenes...),
		stopped:   make(map[string]bool),
	}
}

// session returns a customer's, ended if its time is over; nil if the customer
// was never here. The caller holds mu, as for all below but the serve methods.
func (s *Simulator) session(d *desk, customer string) *kfSession {
	c := d.sessions[customer]
	if c != nil && c.state != kfEnded && s.nowLocked().Sub(c.opened) >= kfWindow {
		c.end()
	}
	return c
}

// begin returns a customer's session, a new one at the first time.
func (s *Simulator) begin(d *desk, customer string) *kfSession {
	if s.session(d, customer) == nil {
		d.sessions[customer] = &kfSession{state: kfEnded, coded: map[int]bool{}}
	}
	return d.sessions[customer]
}

func (c *kfSession) end() {
	c.state, c.servicer = kfEnded, ""
	clear(c.coded)
}

// record keeps an entry for sync_msg.
func (s *Simulator) record(d *desk, origin int, body map[string]any) {
	now := s.nowLocked()
	body["msgid"], body["send_time"], body["origin"] = rand.Text(), now.Unix(), origin
	d.entries = append(d.entries, kfEntry{number: d.next, at: now, body: body})
	d.next++
	d.entries = slices.Delete(d.entries, 0, max(0, len(d.entries)-maxKFEntries))
}

// recordEvent keeps an event for sync_msg and tells the app to pull.
func (s *Simulator) recordEvent(d *desk, customer, event string, fields map[string]any) {
	fields["event_type"], fields["open_kfid"] = event, d.ID
	if customer != "" {
		fields["external_userid"] = customer
	}
	s.record(d, fromSystem, map[string]any{"msgtype": wecom.TypeEvent, "event": fields})
	letter := s.hint(d, customer, "")
	s.start(func(ctx context.Context) { s.converse(ctx, letter) }) // full: WeCom may lose callbacks too
	s.publishSessions()
}

// hint returns the callback that there is something to pull: about a message,
// if line is not empty.
//
// Source: https://developer.work.weixin.qq.com/document/path/94670
func (s *Simulator) hint(d *desk, customer, line string) *delivery {
	now := s.nowLocked()
	maps.DeleteFunc(d.tokens, func(_ string, until time.Time) bool { return !now.Before(until) })
	token := "ENC" + rand.Text()
	d.tokens[token] = now.Add(kfTokenLife)
	letter := s.newAppCallback(s.cfg.chat(d.ID), s.cfg.person(customer), toKF, func(c *appCallback) {
		c.FromUserName, c.AgentID = nil, ""
		c.Event, c.Token, c.OpenKFID = text("kf_msg_or_event"), text(token), text(d.ID)
	})
	letter.line = line
	return letter
}

// newCode gives out a code for a message on an event.
func (s *Simulator) newCode(d *desk, code kfCode, life time.Duration) string {
	now := s.nowLocked()
	maps.DeleteFunc(d.codes, func(_ string, old kfCode) bool { return !now.Before(old.until) })
	name := "CODE" + rand.Text()
	code.until = now.Add(life)
	d.codes[name] = code
	return name
}

// remark shows what has happened to a session.
func (s *Simulator) remark(d *desk, customer, what string) {
	s.addLine(&line{Chat: d.ID, With: customer, Who: d.ID, At: s.nowLocked(), System: what})
}

// kfSay says something for a customer; menu is the id of the item that was
// clicked. The caller has to deliver what it returns, and does not hold mu.
func (s *Simulator) kfSay(chat Chat, person Person, words, menu string) (line, *delivery, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	d := s.desks[chat.ID]
	c := s.begin(d, person.ID)
	if c.state == kfEnded {
		c.state = kfNew
	}
	c.wrote, c.opened, c.sent = s.nowLocked(), s.nowLocked(), 0
	l := &line{
		Chat: chat.ID, With: person.ID, Who: person.ID, Text: words, At: s.nowLocked(),
		Heard: true, Waiting: true, Deliveries: 1,
	}
	s.addLine(l)
	content := map[string]any{"content": words}
	if menu != "" {
		content["menu_id"] = menu
	}
	s.record(d, fromCustomer, map[string]any{"open_kfid": d.ID, "external_userid": person.ID, "msgtype": wecom.TypeText, "text": content})
	letter := s.hint(d, person.ID, l.ID)
	s.letters[l.ID] = letter
	s.publishSessions()
	return *l, letter, nil
}

// ---- links ----

// sealText returns a signed form of what, which nobody can alter.
func (s *Simulator) sealText(what []byte, purpose string) string {
	return base64.RawURLEncoding.EncodeToString(append(s.mac(what, purpose), what...))
}

// unseal returns what was sealed for the same purpose, and whether it was.
func (s *Simulator) unseal(sealed, purpose string) ([]byte, bool) {
	raw, err := base64.RawURLEncoding.DecodeString(sealed)
	if err != nil || len(raw) < macBytes || !hmac.Equal(raw[:macBytes], s.mac(raw[macBytes:], purpose)) {
		return nil, false
	}
	return raw[macBytes:], true
}

const macBytes = 8

// mac depends on the corp only, so that links and cursors outlive the
// simulator.
func (s *Simulator) mac(what []byte, purpose string) []byte {
	mac := hmac.New(sha256.New, []byte("simulator of "+s.cfg.CorpID))
	mac.Write([]byte(purpose + "\n"))
	mac.Write(what)
	return mac.Sum(nil)[:macBytes]
}

// linkPath is where the links of accounts lead to; WeCom's begin with
// https://work.weixin.qq.com/kf/.
const linkPath = "/sim/kf/"

// linkOf returns the link of an account with a scene, which may be empty.
//
// Source: https://developer.work.weixin.qq.com/document/path/94665
func (s *Simulator) linkOf(d *desk, scene string) string {
	return strings.TrimSuffix(s.cfg.BaseURL, "/") + linkPath + "kfc" + s.sealText([]byte(d.ID), "link")[:12] +
		"?enc_scene=" + s.sealText([]byte(scene), "scene of "+d.ID)
}

// What is wrong with a link.
var (
	errNoLink    = errors.New("这不是客服链接")
	errBadScene  = errors.New("enc_scene 不是这个链接的：真的平台会打开会话，但不会产生进入事件")
	errLongParam = errors.New("scene_param 最多 128 字节")
	errNoKF      = errors.New("客服链接要用顾客的微信打开：先在右上角「我是」里选一位顾客")
)

// readLink returns what a link says.
func (s *Simulator) readLink(link string) (d *desk, scene, param string, err error) {
	u, err := url.Parse(link)
	if err != nil {
		return nil, "", "", errNoLink
	}
	for _, account := range s.cfg.KF {
		known, _ := url.Parse(s.linkOf(s.desks[account.ID], ""))
		if known.Path == u.Path {
			d = s.desks[account.ID]
		}
	}
	if d == nil {
		return nil, "", "", errNoLink
	}
	plain, ok := s.unseal(u.Query().Get("enc_scene"), "scene of "+d.ID)
	param = u.Query().Get("scene_param")
	switch {
	case !ok:
		return nil, "", "", errBadScene
	case len(param) > maxParam:
		return nil, "", "", errLongParam
	case len(plain) == 0:
		param = "" // only a link with a scene carries it
	}
	return d, string(plain), param, nil
}

// openLink shows the chat page for a link that somebody has followed from
// another page.
func (s *Simulator) openLink(w http.ResponseWriter, r *http.Request) {
	http.Redirect(w, r, "/sim/#enter="+url.QueryEscape(s.base.Scheme+"://"+r.Host+r.URL.RequestURI()), http.StatusFound)
}

func (s *Simulator) serveEnter(_ http.ResponseWriter, a ask) (any, error) {
	person := s.cfg.person(a.Person)
	s.mu.Lock()
	defer s.mu.Unlock()
	d, scene, param, err := s.readLink(a.URL)
	switch {
	case person.ID == "":
		return nil, errNoPerson
	case person.Kind != Customer:
		return nil, errNoKF
	case err != nil:
		return nil, err
	}
	now, c := s.nowLocked(), s.begin(d, person.ID)
	c.entered, c.scene, c.param = now, scene, param
	event := map[string]any{"scene": scene, "scene_param": param}
	how := "从链接进入"
	if scene != "" {
		how += "，scene=" + scene
	}
	if param != "" {
		how += "，scene_param=" + param
	}
	if within := func(t time.Time) bool { return !t.IsZero() && now.Sub(t) < kfWindow }; !within(c.welcomed) && !within(c.wrote) {
		event["welcome_code"] = s.newCode(d, kfCode{customer: person.ID, state: -1, menus: true}, kfQuickCode)
		how += "；20 秒内可以发欢迎语"
	}
	s.remark(d, person.ID, how)
	s.recordEvent(d, person.ID, "enter_session", event)
	return map[string]string{"chat": d.ID}, nil
}

// ---- the customer's menu ----

// A menu is a message with choices (msgmenu).
//
// Source: https://developer.work.weixin.qq.com/document/path/94677
type menu struct {
	Head string     `json:"head_content,omitempty"`
	List []menuItem `json:"list"`
	Tail string     `json:"tail_content,omitempty"`
}

// A menuItem is a line of a menu: the field named by Type.
type menuItem struct {
	Type  string `json:"type"`
	Click *struct {
		ID      string `json:"id"`
		Content string `json:"content"`
	} `json:"click,omitempty"`
	View *struct {
		URL     string `json:"url"`
		Content string `json:"content"`
	} `json:"view,omitempty"`
	MiniProgram *struct {
		AppID    string `json:"appid"`
		PagePath string `json:"pagepath"`
		Content  string `json:"content"`
	} `json:"miniprogram,omitempty"`
	Text *struct {
		Content   string `json:"content"`
		NoNewline int    `json:"no_newline,omitempty"`
	} `json:"text,omitempty"`
}

// maxMenuItems is how many lines a menu may have.
const maxMenuItems = 10

// check returns what WeCom refuses in a menu.
func (m menu) check() error {
	if len(m.List) > maxMenuItems {
		return apiError{95008, "too many menu items"}
	}
	if len(m.Head) > 1024 || len(m.Tail) > 1024 {
		return badParameter("msgmenu.head_content or tail_content is longer than 1024 bytes")
	}
	if len(m.List) == 0 && strings.TrimSpace(m.Head+m.Tail) == "" {
		return apiError{44004, "empty content"}
	}
	outside := func(s string, most int) bool { return s == "" || len(s) > most }
	for i, item := range m.List {
		wrong := false
		switch {
		case item.Type == "click" && item.Click != nil:
			wrong = outside(item.Click.ID, 128) || outside(item.Click.Content, 128)
		case item.Type == "view" && item.View != nil:
			wrong = outside(item.View.URL, 2048) || outside(item.View.Content, 1024)
		case item.Type == "miniprogram" && item.MiniProgram != nil:
			wrong = outside(item.MiniProgram.AppID, 32) || outside(item.MiniProgram.PagePath, 1024) || outside(item.MiniProgram.Content, 1024)
		case item.Type == "text" && item.Text != nil:
			wrong = outside(item.Text.Content, 256)
		default:
			return apiError{95009, "invalid menu item type"}
		}
		if wrong {
			return badParameter("msgmenu.list[%d].%s", i, item.Type)
		}
	}
	return nil
}

func (s *Simulator) serveClick(_ http.ResponseWriter, a ask) (any, error) {
	s.mu.Lock()
	l := s.lineByID(a.Line)
	var item menuItem
	if i, err := strconv.Atoi(a.Key); err == nil && l != nil && l.Menu != nil && i >= 0 && i < len(l.Menu.List) {
		item = l.Menu.List[i]
	}
	s.mu.Unlock()
	if item.Click == nil || l.With != a.Person {
		return nil, errNoButton
	}
	chat, person, err := s.place(l.Chat, a.Person)
	if err != nil {
		return nil, err
	}
	said, d, err := s.kfSay(chat, person, item.Click.Content, item.Click.ID)
	if err != nil {
		return nil, err
	}
	if !s.start(func(ctx context.Context) { s.converse(ctx, d) }) {
		s.drop(d)
	}
	return said, nil
}

// ---- the servicer ----

// What is wrong with what a servicer wants.
var (
	errNotYours   = errors.New("这个会话现在不由你接待")
	errNotWaiting = errors.New("这个会话没有在排队")
	errNoServicer = errors.New("不是这个客服账号的接待人员，或者没有在接待")
	errNoDeed     = errors.New("没有这个操作")
)

// serveDesk does what a servicer does in the client: takes a customer from the
// pool, hands one over, ends a session, stops serving.
func (s *Simulator) serveDesk(_ http.ResponseWriter, a ask) (any, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	d := s.desks[a.Chat]
	if d == nil || !slices.Contains(d.Servicers, a.Person) {
		return nil, errNoServicer
	}
	if a.Key == "status" {
		s.setServing(d, a.Person, a.On)
		return done, nil
	}
	c := s.session(d, a.With)
	switch {
	case c == nil:
		return nil, errNoPerson
	case a.Key == "take":
		return done, s.takeCustomer(d, c, a.With, a.Person)
	case c.state != kfHuman || c.servicer != a.Person:
		return nil, errNotYours
	case a.Key == "transfer":
		return done, s.handOver(d, c, a.With, a.Text)
	case a.Key == "end":
		c.last = a.Person
		c.end()
		s.remark(d, a.With, s.cfg.person(a.Person).Name+"结束了会话")
		s.recordEvent(d, a.With, "session_status_change", map[string]any{
			"change_type": 3, "old_servicer_userid": a.Person,
			"msg_code": s.newCode(d, kfCode{customer: a.With, state: kfEnded, menus: true}, kfQuickCode),
		})
		return done, nil
	}
	return nil, errNoDeed
}

// setServing starts or stops a servicer.
func (s *Simulator) setServing(d *desk, person string, serving bool) {
	if d.stopped[person] == !serving {
		return
	}
	d.stopped[person] = !serving
	status := map[bool]int{true: 1, false: 2}[serving] // not the numbers of servicer/list
	event := map[string]any{"servicer_userid": person, "status": status}
	if !serving {
		event["stop_type"] = 0
	}
	s.recordEvent(d, "", "servicer_status_change", event)
	s.publishPanel()
}

func (s *Simulator) takeCustomer(d *desk, c *kfSession, customer, person string) error {
	switch {
	case d.stopped[person]:
		return errNoServicer
	case c.state != kfPool:
		return errNotWaiting
	}
	c.state, c.servicer, c.last = kfHuman, person, person
	s.remark(d, customer, s.cfg.person(person).Name+"接入了会话")
	s.recordEvent(d, customer, "session_status_change", map[string]any{
		"change_type": 1, "new_servicer_userid": person,
		"msg_code": s.newCode(d, kfCode{customer: customer, state: kfHuman}, kfSlowCode),
	})
	return nil
}

func (s *Simulator) handOver(d *desk, c *kfSession, customer, to string) error {
	if !slices.Contains(d.Servicers, to) || d.stopped[to] || to == c.servicer {
		return errNoServicer
	}
	from := c.servicer
	c.servicer, c.last = to, to
	s.remark(d, customer, s.cfg.person(from).Name+"把会话转给了"+s.cfg.person(to).Name)
	s.recordEvent(d, customer, "session_status_change", map[string]any{
		"change_type": 2, "old_servicer_userid": from, "new_servicer_userid": to,
	})
	return nil
}

// servicerSay says something for a servicer. In an ended session that opens it
// again.
func (s *Simulator) servicerSay(a ask) (line, error) {
	words, err := cleanText(a.Text)
	if err != nil {
		return line{}, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	d := s.desks[a.Chat]
	if d == nil || !slices.Contains(d.Servicers, a.Person) {
		return line{}, errNoServicer
	}
	c := s.session(d, a.With)
	switch {
	case c == nil:
		return line{}, errNoPerson
	case c.state == kfEnded && c.last == a.Person:
		c.state, c.servicer, c.opened = kfHuman, a.Person, s.nowLocked()
		s.remark(d, a.With, s.cfg.person(a.Person).Name+"重新打开了会话")
		s.recordEvent(d, a.With, "session_status_change", map[string]any{
			"change_type": 4, "old_servicer_userid": a.Person, "new_servicer_userid": a.Person,
		})
	case c.state != kfHuman || c.servicer != a.Person:
		return line{}, errNotYours
	}
	l := &line{Chat: d.ID, With: a.With, Who: a.Person, Text: words, At: s.nowLocked()}
	s.addLine(l)
	s.record(d, fromServicer, map[string]any{
		"open_kfid": d.ID, "external_userid": a.With, "servicer_userid": a.Person, "msgtype": wecom.TypeText, "text": map[string]any{"content": words},
	})
	letter := s.hint(d, a.With, "")
	s.start(func(ctx context.Context) { s.converse(ctx, letter) })
	return *l, nil
}

// ---- what the page shows ----

// A sessionState is a customer at an account, as the page sees it.
type sessionState struct {
	Account   string   `json:"account"`
	Customer  string   `json:"customer"`
	State     int      `json:"state"`
	Servicer  string   `json:"servicer,omitempty"`
	Last      string   `json:"last,omitempty"` // servicer
	Left      int      `json:"left"`           // messages that may be sent
	Wrote     bool     `json:"wrote"`          // the customer, ever
	Servicers []string `json:"servicers"`      // who serve now
}

// A linkState is a link to an account.
type linkState struct {
	Account string `json:"account"`
	Scene   string `json:"scene,omitempty"`
	URL     string `json:"url"`
}

func (s *Simulator) sessionStates() ([]sessionState, []linkState) {
	sessions, links := []sessionState{}, []linkState{}
	for _, account := range s.cfg.KF {
		d := s.desks[account.ID]
		for _, scene := range d.scenes {
			links = append(links, linkState{Account: d.ID, Scene: scene, URL: s.linkOf(d, scene)})
		}
		serving := slices.DeleteFunc(slices.Clone(d.Servicers), func(id string) bool { return d.stopped[id] })
		for _, p := range s.cfg.People {
			c := s.session(d, p.ID)
			if c == nil {
				continue
			}
			state := sessionState{Account: d.ID, Customer: p.ID, State: c.state, Servicer: c.servicer, Last: c.last, Wrote: !c.wrote.IsZero(), Servicers: append([]string{}, serving...)}
			if c.state <= kfAssistant && !c.wrote.IsZero() {
				state.Left = kfAllowance - c.sent
			}
			for _, id := range []string{c.servicer, c.last} { // who serve, though they take nobody new
				if id != "" && !slices.Contains(state.Servicers, id) {
					state.Servicers = append(state.Servicers, id)
				}
			}
			sessions = append(sessions, state)
		}
	}
	return sessions, links
}

// publishSessions shows the sessions and links anew.
func (s *Simulator) publishSessions() {
	sessions, links := s.sessionStates()
	s.publish("sessions", map[string]any{"sessions": sessions, "links": links})
}

// cursorOf returns the opaque form of a place in an account's entries.
func (s *Simulator) cursorOf(d *desk, number int64) string {
	return s.sealText(binary.AppendVarint(nil, number), "cursor of "+d.ID)
}

// readCursor returns the place that a cursor stands for.
func (s *Simulator) readCursor(d *desk, cursor string) (int64, bool) {
	raw, ok := s.unseal(cursor, "cursor of "+d.ID)
	number, n := binary.Varint(raw)
	return number, ok && n > 0
}

// sceneForm is what a scene may look like.
var sceneForm = regexp.MustCompile(`^[0-9a-zA-Z_-]*$`)
