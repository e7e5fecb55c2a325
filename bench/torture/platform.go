package main

import (
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// A platform is WeCom's side of the sends. It writes down every request that
// reaches it, and answers as WeCom does: rightly, too late, not at all, or with
// an error.
type platform struct {
	server *http.Server
	url    string
	calm   atomic.Bool // no faults any more
	limits bool        // 45009 may be answered, which holds a lane up for a minute

	mu    sync.Mutex
	dice  *rand.Rand
	token int
	calls []call
	app   map[string]time.Time // by member and text: for enable_duplicate_check
	count map[string]int       // faults by name
}

// A fault is what goes wrong with one request.
type fault string

const (
	none     fault = "none"
	limited  fault = "45009"
	expired  fault = "42001"
	busy     fault = "-1"
	ignored  fault = "dropped before it was read"
	silenced fault = "dropped after it was done"
	slow     fault = "answered late"
	tooSlow  fault = "answered after 11 s"
	bad502   fault = "502 after it was done"
	suppress fault = "duplicate suppressed" // no fault: what enable_duplicate_check is for
)

// tooLong is longer than a send waits for its answer.
const tooLong = 11 * time.Second

// odds are the faults by their share of a thousand requests. Only app messages
// have a token that can expire.
var odds = []struct {
	fault    fault
	thousand int
}{{limited, 6}, {expired, 60}, {busy, 10}, {ignored, 15}, {silenced, 20}, {slow, 60}, {tooSlow, 5}, {bad502, 5}}

func newPlatform(seed uint64, limits bool) (*platform, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	p := &platform{
		url: "http://" + l.Addr().String(), limits: limits, dice: rand.New(rand.NewPCG(seed, 1)),
		app: map[string]time.Time{}, count: map[string]int{},
	}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /cgi-bin/gettoken", p.getToken)
	mux.HandleFunc("POST /cgi-bin/webhook/send", p.webhookSend)
	mux.HandleFunc("POST /cgi-bin/message/send", p.messageSend)
	p.server = &http.Server{Handler: mux, ReadTimeout: 10 * time.Second}
	go p.server.Serve(l)
	return p, nil
}

func (p *platform) close() { p.server.Close() }

// fate chooses what goes wrong with a request. The caller holds mu.
func (p *platform) fate(allowed func(fault) bool) fault {
	if p.calm.Load() {
		return none
	}
	n := p.dice.IntN(1000)
	for _, o := range odds {
		if n -= o.thousand; n < 0 && allowed(o.fault) {
			p.count[string(o.fault)]++
			return o.fault
		} else if n < 0 {
			return none
		}
	}
	return none
}

// note writes a request down. The caller holds mu.
func (p *platform) note(op, to, text string, accepted bool) {
	p.calls = append(p.calls, call{at: time.Now(), op: op, to: to, text: text, accepted: accepted})
}

func (p *platform) getToken(w http.ResponseWriter, _ *http.Request) {
	p.mu.Lock()
	token := p.token
	p.note("gettoken", "", "", false)
	p.mu.Unlock()
	fmt.Fprintf(w, `{"errcode":0,"errmsg":"ok","access_token":"token-%d","expires_in":7200}`, token)
}

type textMessage struct {
	ToUser    string
	Text      struct{ Content string }
	Duplicate int `json:"enable_duplicate_check"`
	Interval  int `json:"duplicate_check_interval"` // seconds
}

func (p *platform) webhookSend(w http.ResponseWriter, r *http.Request) {
	p.send(w, r, "webhook/send", func(textMessage) string { return "webhook/" + r.URL.Query().Get("key") })
}

func (p *platform) messageSend(w http.ResponseWriter, r *http.Request) {
	p.send(w, r, "message/send", func(m textMessage) string { return "app/" + m.ToUser })
}

// send takes a message, or not, and answers, or not.
func (p *platform) send(w http.ResponseWriter, r *http.Request, op string, lane func(textMessage) string) {
	body, err := io.ReadAll(r.Body)
	var m textMessage
	if err != nil || json.Unmarshal(body, &m) != nil {
		w.WriteHeader(http.StatusBadRequest)
		return
	}
	app := op == "message/send"
	p.mu.Lock()
	stale := app && r.URL.Query().Get("access_token") != fmt.Sprint("token-", p.token)
	f := p.fate(func(f fault) bool {
		return !stale && (f != expired || app) && (f != limited || p.limits)
	})
	if f == expired {
		p.token++ // the next one is good
	}
	taken := !stale && (f == none || f == silenced || f == slow || f == tooSlow || f == bad502)
	shown := taken
	if app && taken && m.Duplicate == 1 {
		key := m.ToUser + " " + m.Text.Content
		if last, seen := p.app[key]; seen && time.Since(last) < time.Duration(m.Interval)*time.Second {
			p.count[string(suppress)]++
			shown = false // it answers as if it were
		} else {
			p.app[key] = time.Now()
		}
	}
	p.note(op, lane(m), m.Text.Content, shown)
	pause := time.Duration(p.dice.IntN(30)) * time.Millisecond
	late := 200*time.Millisecond + time.Duration(p.dice.IntN(2000))*time.Millisecond
	p.mu.Unlock()

	answer := func(code int, text string) {
		time.Sleep(pause)
		fmt.Fprintf(w, `{"errcode":%d,"errmsg":%q,"msgid":"bench"}`, code, text)
	}
	if stale {
		f = expired
	}
	switch f {
	case ignored, silenced:
		panic(http.ErrAbortHandler) // closes the connection without an answer
	case limited:
		answer(45009, "api freq out of limit")
	case expired:
		answer(42001, "access_token expired")
	case busy:
		answer(-1, "system busy")
	case bad502:
		w.WriteHeader(http.StatusBadGateway)
	case slow:
		time.Sleep(late)
		answer(0, "ok")
	case tooSlow:
		time.Sleep(tooLong)
		answer(0, "ok")
	default:
		answer(0, "ok")
	}
}

// seen returns the requests so far, with the lanes' names in the database in
// place of the webhooks' keys, which are key-1 for webhook/1 and so on.
func (p *platform) seen(laneOf map[string]string) []call {
	p.mu.Lock()
	defer p.mu.Unlock()
	list := make([]call, len(p.calls))
	for i, c := range p.calls {
		if key, found := strings.CutPrefix(c.to, "webhook/"); found {
			c.to = "webhook/" + laneOf[key]
		}
		list[i] = c
	}
	return list
}

// faults says how often what went wrong.
func (p *platform) faults() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	var parts []string
	for _, o := range odds {
		parts = append(parts, fmt.Sprintf("%s %d", o.fault, p.count[string(o.fault)]))
	}
	return strings.Join(append(parts, fmt.Sprintf("%s %d", suppress, p.count[string(suppress)])), ", ")
}
