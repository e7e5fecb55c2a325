package simulator

import (
	"context"
	"errors"
	"io"
	"net/http"
	"slices"
	"time"
)

// A Fault is how an API or the callbacks misbehave on purpose.
type Fault string

// The faults. The last two are for callbacks, the others for APIs.
const (
	NoFault        Fault = ""
	FaultFrequency Fault = "frequency" // 45009: over the limit
	FaultToken     Fault = "token"     // 42001, and the token works no longer
	FaultAddress   Fault = "address"   // 60020: the caller's address is not trusted
	FaultServer    Fault = "server"    // HTTP 500, nothing was done
	FaultTimeout   Fault = "timeout"   // it is done, but the answer does not come
	FaultHang      Fault = "hang"      // nothing is done, and no answer comes
	FaultSendFail  Fault = "sendfail"  // kf/send_msg only: accepted, and a msg_send_fail later
	FaultDuplicate Fault = "duplicate" // delivered twice
	FaultLate      Fault = "late"      // delivered after Timing.Late
)

// APIs that SetFault knows beside the paths below /cgi-bin/.
const (
	EveryAPI      = "*"              // of which none has a fault of its own
	AibotCallback = "callback/aibot" // what is posted to bots
	AppCallback   = "callback/app"   // what is posted to apps, 微信客服 included
)

var (
	apiFaults      = []Fault{FaultFrequency, FaultToken, FaultAddress, FaultServer, FaultTimeout, FaultHang}
	callbackFaults = []Fault{FaultDuplicate, FaultLate}
)

// A fault is one that is switched on.
type fault struct {
	what Fault
	left int // times; 0 means until it is switched off
}

// What is wrong with a fault that somebody wants.
var (
	errNoAPI   = errors.New("没有这个接口")
	errNoFault = errors.New("这里没有这种故障")
)

// maxCallsAMinute is how often one API may be called in a minute.
//
// Source: https://developer.work.weixin.qq.com/document/path/90312
const maxCallsAMinute = 10_000

// A minute counts the calls of one API.
type minute struct {
	number int64 // since 1970
	calls  int
}

// apis returns what faults can be switched on for: the callbacks, and the
// paths of the API in the order of the alphabet.
func (s *Simulator) apis() []string {
	paths := []string{AibotCallback, AppCallback, EveryAPI}
	for _, e := range s.endpoints() {
		paths = append(paths, e.path)
	}
	slices.Sort(paths[3:])
	return paths
}

// faultsOf returns what can be wrong with an API.
func faultsOf(api string) []Fault {
	switch api {
	case AibotCallback, AppCallback:
		return callbackFaults
	case "kf/send_msg":
		return append(slices.Clone(apiFaults), FaultSendFail)
	}
	return apiFaults
}

// SetFault switches a fault on for the next calls of an API, or until it is
// switched off if times is 0. NoFault switches it off. The api is a path such
// as "webhook/send", or one of the constants.
func (s *Simulator) SetFault(api string, f Fault, times int) error {
	switch {
	case !slices.Contains(s.apis(), api):
		return errNoAPI
	case f != NoFault && !slices.Contains(faultsOf(api), f) || times < 0:
		return errNoFault
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.faults, api)
	if f != NoFault {
		s.faults[api] = &fault{what: f, left: times}
	}
	s.publishPanel()
	return nil
}

// takeFault returns the fault of this call of an API.
func (s *Simulator) takeFault(api string) Fault {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, name := range []string{api, EveryAPI} {
		f := s.faults[name]
		if f == nil || name == EveryAPI && (api == AibotCallback || api == AppCallback) {
			continue
		}
		if f.left > 0 {
			if f.left--; f.left == 0 {
				delete(s.faults, name)
			}
			s.publishPanel()
		}
		return f.what
	}
	return NoFault
}

// callbackAPI names the callbacks of a bot.
func callbackAPI(b Bot) string {
	if b.what == aibot {
		return AibotCallback
	}
	return AppCallback
}

// withFaults answers a call of e, or does what its fault says.
func (s *Simulator) withFaults(w http.ResponseWriter, r *http.Request, e endpoint, answer func(*http.Request) map[string]any) {
	refuse := func(code int, text string) {
		writeJSON(w, http.StatusOK, withCode(nil, apiError{code, text}, r))
	}
	f := s.takeFault(e.path)
	switch {
	case f == FaultFrequency:
		refuse(45009, "api freq out of limit")
	case f == FaultToken && !e.open:
		s.voidToken(r.URL.Query().Get("access_token"))
		refuse(42001, "access_token expired")
	case f == FaultAddress && !e.open:
		refuse(60020, "not allow to access from your ip")
	case f == FaultServer:
		http.Error(w, "internal server error", http.StatusInternalServerError)
	case f == FaultTimeout:
		answer(r)
		s.silence(r, s.cfg.Timing.Hold)
	case f == FaultHang:
		_, _ = io.Copy(io.Discard, http.MaxBytesReader(w, r.Body, maxUploadBytes)) // else nobody notices that the caller leaves
		s.silence(r, time.Hour)
	default:
		writeJSON(w, http.StatusOK, answer(r.WithContext(context.WithValue(r.Context(), faultKey{}, f))))
	}
}

// silence waits until the caller gives up, at most for d, and cuts the
// connection.
func (s *Simulator) silence(r *http.Request, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-r.Context().Done():
	case <-s.ended:
	case <-timer.C:
	}
	panic(http.ErrAbortHandler)
}

// voidToken takes one access token back.
func (s *Simulator) voidToken(name string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if known, ok := s.tokens.issued[name]; ok {
		known.void = true
		s.tokens.issued[name] = known
	}
}

// countCall counts a call of e and reports whether it is within the limit.
func (s *Simulator) countCall(e endpoint) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	m, now := s.minutes[e.path], s.nowLocked().Unix()/60
	if m.number != now {
		m = minute{number: now}
	}
	m.calls++
	s.minutes[e.path] = m
	return m.calls <= maxCallsAMinute
}

// A panelState is what the page shows under 「故障与时钟」.
type panelState struct {
	Now    time.Time    `json:"now"`
	Ahead  float64      `json:"ahead"` // seconds
	Moving bool         `json:"moving"`
	Moves  bool         `json:"moves"` // the service's clock as well
	Fixed  bool         `json:"fixed"`
	APIs   []apiState   `json:"apis"`
	Robots []robotState `json:"robots"`
	Desks  []deskState  `json:"desks"`
}

// An apiState is an API and its fault.
type apiState struct {
	API   string  `json:"api"`
	Can   []Fault `json:"can"`
	Fault Fault   `json:"fault,omitempty"`
	Left  int     `json:"left,omitempty"`
	Calls int     `json:"calls"` // this minute
}

// A robotState is a group robot.
type robotState struct {
	Chat    string `json:"chat"`
	Name    string `json:"name"`
	Removed bool   `json:"removed"`
}

// A deskState is a servicer of a service account.
type deskState struct {
	Account string `json:"account"`
	Person  string `json:"person"`
	Stopped bool   `json:"stopped"`
}

// panelLocked returns the panel. The caller holds mu.
func (s *Simulator) panelLocked() panelState {
	now := s.nowLocked()
	p := panelState{
		Now: now, Ahead: s.offset.Seconds(), Moving: s.moving, Moves: s.cfg.OnAdvance != nil, Fixed: s.fixed,
		APIs: []apiState{}, Robots: []robotState{}, Desks: []deskState{},
	}
	for _, api := range s.apis() {
		state := apiState{API: api, Can: faultsOf(api)}
		if f := s.faults[api]; f != nil {
			state.Fault, state.Left = f.what, f.left
		}
		if m := s.minutes[api]; m.number == now.Unix()/60 {
			state.Calls = m.calls
		}
		p.APIs = append(p.APIs, state)
	}
	for _, chat := range s.cfg.Chats {
		if chat.WebhookKey != "" {
			p.Robots = append(p.Robots, robotState{Chat: chat.ID, Name: chat.WebhookName, Removed: s.removed[chat.ID]})
		}
	}
	for _, account := range s.cfg.KF {
		for _, id := range account.Servicers {
			p.Desks = append(p.Desks, deskState{Account: account.ID, Person: id, Stopped: s.desks[account.ID].stopped[id]})
		}
	}
	return p
}

// publishPanel shows the panel anew. The caller holds mu.
func (s *Simulator) publishPanel() { s.publish("panel", s.panelLocked()) }

func (s *Simulator) serveFault(_ http.ResponseWriter, a ask) (any, error) {
	if a.API == "token" { // not one call, but all tokens
		s.InvalidateTokens()
		return done, nil
	}
	if err := s.SetFault(a.API, a.Fault, a.Times); err != nil {
		return nil, err
	}
	return done, nil
}

// errNoRobot says that there is none to take out of a chat.
var errNoRobot = errors.New("这个聊天里没有群机器人")

func (s *Simulator) serveRobot(_ http.ResponseWriter, a ask) (any, error) {
	if a.Key == "fixed" {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.fixed = a.On
		s.publishPanel()
		return done, nil
	}
	return done, s.RemoveRobot(a.Chat, !a.On)
}
