package simulator

import (
	"context"
	"crypto/rand"
	"maps"
	"slices"
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
