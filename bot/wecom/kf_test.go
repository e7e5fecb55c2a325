package wecom

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"qunbot/bot"
	"qunbot/bot/bottest"
	"qunbot/handlers"
	"qunbot/handlers/checkin"
	"qunbot/handlers/draw"
	"qunbot/handlers/points"
	"qunbot/store"
	"qunbot/store/storetest"
)

func TestMain(m *testing.M) { storetest.Main(m) }

const (
	wk    = "wkSAMPLEkf0001"
	scene = "https://work.weixin.qq.com/kf/kfcSAMPLE01?enc_scene=ENCsample"
)

var kfNoon = time.Date(2026, 11, 21, 4, 0, 0, 0, time.UTC)

// A kfPlatform is the platform's side of 微信客服: a log of what happened, the
// states of the talks, and the rules for sending.
type kfPlatform struct {
	t      *testing.T
	mu     sync.Mutex
	now    time.Time
	serial int

	log      []string          // entries, JSON
	page     int               // entries a page at most
	empty    int               // empty pages that are answered first, with has_more
	tokens   map[string]bool   // valid ones
	pulls    int               // calls of sync_msg
	bare     int               // of them without a token
	state    map[string]int    // by customer
	servicer map[string]string // by customer
	count    map[string]int    // messages since the customer's last
	heard    map[string]time.Time
	codes    map[string]bool // for send_msg_on_event, unused
	staff    map[string]int  // status by userid
	away     map[string]bool // serving, but refused by trans
	people   []kfCustomer
	ids      map[string]bool // used msgids
	got      []string        // "customer text" or "code text", in order
	menus    int             // of them with a menu
	menu     []string        // of the last one
	cut      int             // answers of send_msg that get lost
	sends    int             // calls of send_msg and send_msg_on_event
	busyAt   int             // the number of the call that finds the platform busy
	failing  map[string]int  // errcodes by op
	address  string          // of the account
	asked    int             // calls for it that were answered
}

func newKFPlatform(t *testing.T) *kfPlatform {
	return &kfPlatform{
		t: t, now: kfNoon, page: 1000, tokens: map[string]bool{}, state: map[string]int{}, servicer: map[string]string{},
		count: map[string]int{}, heard: map[string]time.Time{}, codes: map[string]bool{}, staff: map[string]int{},
		away: map[string]bool{}, ids: map[string]bool{}, failing: map[string]int{}, address: scene,
	}
}

func (p *kfPlatform) clock() time.Time {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.now
}

func (p *kfPlatform) wait(d time.Duration) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.now = p.now.Add(d)
}

// entry adds to the log and returns the msgid.
func (p *kfPlatform) entry(format string, args ...any) string {
	p.serial++
	id := fmt.Sprint("MSG", p.serial)
	p.log = append(p.log, fmt.Sprintf(`{"msgid":%q,"send_time":%d,`, id, p.now.Unix())+fmt.Sprintf(format, args...)+"}")
	return id
}

// say is a customer who says something, or chooses it from a menu.
func (p *kfPlatform) say(customer, text, menuID string) string {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.state[customer] == 4 {
		p.state[customer] = 0
	}
	p.count[customer], p.heard[customer] = 0, p.now
	return p.entry(`"open_kfid":%q,"external_userid":%q,"origin":3,"msgtype":"text","text":{"content":%q,"menu_id":%q}`, wk, customer, text, menuID)
}

// event is one that concerns a customer; more are further fields.
func (p *kfPlatform) event(kind, customer, more string) string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.entry(`"origin":4,"msgtype":"event","event":{"event_type":%q,"open_kfid":%q,"external_userid":%q%s}`, kind, wk, customer, more)
}

// enter is a customer who opens the chat.
func (p *kfPlatform) enter(customer, param string) {
	code := "WELCOME-" + customer
	p.mu.Lock()
	p.codes[code] = true
	p.mu.Unlock()
	p.event("enter_session", customer, fmt.Sprintf(`,"scene":"mall","scene_param":%q,"welcome_code":%q`, param, code))
}

// end is staff who end their service.
func (p *kfPlatform) end(customer string) {
	p.mu.Lock()
	p.state[customer] = 4
	p.codes["END-"+customer] = true
	p.mu.Unlock()
	p.event("session_status_change", customer, fmt.Sprintf(`,"change_type":3,"old_servicer_userid":"zhangsan","msg_code":%q`, "END-"+customer))
}

// notice returns the token of a new notice.
func (p *kfPlatform) notice() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.serial++
	token := fmt.Sprint("TOKEN", p.serial)
	p.tokens[token] = true
	return token
}

func (p *kfPlatform) arrived() []string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return slices.Clone(p.got)
}

func (p *kfPlatform) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	op := strings.TrimPrefix(r.URL.Path, "/cgi-bin/")
	body, _ := io.ReadAll(r.Body)
	p.mu.Lock()
	defer p.mu.Unlock()
	if code := p.failing[op]; code != 0 {
		say(w, code, "failing")
		return
	}
	switch op {
	case opGetToken:
		io.WriteString(w, `{"errcode":0,"errmsg":"ok","access_token":"token-abcdef","expires_in":7200}`)
	case opKFSync:
		p.sync(w, body)
	case opKFSend, opKFOnEvent:
		p.send(w, body)
	case opKFState:
		var q struct {
			Customer string `json:"external_userid"`
		}
		json.Unmarshal(body, &q)
		fmt.Fprintf(w, `{"errcode":0,"service_state":%d,"servicer_userid":%q}`, p.state[q.Customer], p.servicer[q.Customer])
	case opKFTrans:
		p.trans(w, body)
	case opKFServicers:
		var list []map[string]any
		for id, status := range p.staff {
			list = append(list, map[string]any{"userid": id, "status": status})
		}
		list = append(list, map[string]any{"department_id": 2})
		json.NewEncoder(w).Encode(map[string]any{"errcode": 0, "servicer_list": list})
	case opKFCustomers:
		json.NewEncoder(w).Encode(map[string]any{"errcode": 0, "customer_list": p.people})
	case opKFContactWay:
		p.asked++
		fmt.Fprintf(w, `{"errcode":0,"url":%q}`, p.address)
	default:
		p.t.Errorf("unexpected call of %s", op)
	}
}

func (p *kfPlatform) sync(w http.ResponseWriter, body []byte) {
	var q struct {
		Cursor, Token string
		Limit         int
	}
	json.Unmarshal(body, &q)
	p.pulls++
	if q.Token == "" {
		p.bare++
	} else if !p.tokens[q.Token] {
		say(w, codeKFBadToken, "invalid token")
		return
	}
	at, _, _ := strings.Cut(strings.TrimPrefix(q.Cursor, "c"), "e")
	from, _ := strconv.Atoi(at)
	if p.empty > 0 {
		p.empty--
		fmt.Fprintf(w, `{"errcode":0,"errmsg":"ok","next_cursor":"c%de%d","has_more":1,"msg_list":[]}`, from, p.empty)
		return
	}
	to := min(from+min(p.page, q.Limit), len(p.log))
	more := 0
	if to < len(p.log) {
		more = 1
	}
	fmt.Fprintf(w, `{"errcode":0,"errmsg":"ok","next_cursor":"c%d","has_more":%d,"msg_list":[%s]}`, to, more, strings.Join(p.log[from:to], ","))
}

func (p *kfPlatform) send(w http.ResponseWriter, body []byte) {
	if p.sends++; p.sends == p.busyAt {
		say(w, -1, "busy")
		return
	}
	var m kfMessage
	json.Unmarshal(body, &m)
	text, limit := "", MaxKfTextBytes
	switch {
	case m.MsgType == TypeText && m.Text != nil:
		text = m.Text.Content
	case m.MsgType == typeKFMenu && m.Menu != nil && len(m.Menu.List) > 0:
		text, limit = m.Menu.Head, maxKFMenuHead
	}
	to := m.Customer + m.Code
	switch {
	case text == "" || len(text) > limit || len(m.MsgID) != 32 || strings.ContainsFunc(m.MsgID, notSceneRune):
		say(w, 40035, "bad message "+string(body))
		p.t.Errorf("bad message: %s", body)
	case p.ids[m.MsgID]:
		say(w, 40058, "msgid was used")
	case m.Code != "" && !p.codes[m.Code]:
		say(w, 95018, "code was used")
	case m.Code == "" && p.state[m.Customer] > 1:
		say(w, codeKFWrongState, "state")
	case m.Code == "" && p.now.Sub(p.heard[m.Customer]) > 48*time.Hour:
		say(w, codeKFTooLate, "late")
	case m.Code == "" && p.count[m.Customer] >= 5:
		p.t.Errorf("a sixth message to %s", m.Customer)
		say(w, codeKFOverFive, "over 5")
	default:
		p.ids[m.MsgID] = true
		delete(p.codes, m.Code)
		if m.Code == "" {
			p.count[m.Customer]++
			p.state[m.Customer] = 1
		}
		if m.MsgType == typeKFMenu {
			p.menus++
			p.menu = nil
			for _, item := range m.Menu.List {
				p.menu = append(p.menu, item.Click.Content)
			}
		}
		p.got = append(p.got, to+" "+text)
		if p.cut > 0 {
			p.cut--
			panic(http.ErrAbortHandler) // the answer is lost
		}
		say(w, 0, "ok")
	}
}

func (p *kfPlatform) trans(w http.ResponseWriter, body []byte) {
	var q struct {
		Customer string `json:"external_userid"`
		State    int    `json:"service_state"`
		Servicer string `json:"servicer_userid"`
	}
	json.Unmarshal(body, &q)
	status, known := p.staff[q.Servicer]
	switch {
	case p.state[q.Customer] == 4:
		say(w, codeKFEnded, "ended")
	case q.State == 3 && (!known || p.away[q.Servicer]):
		say(w, codeKFNotServing, "not serving")
	case q.State == 3 && status != 0:
		say(w, codeKFSuspended, "suspended")
	default:
		p.state[q.Customer], p.servicer[q.Customer] = q.State, q.Servicer
		p.serial++
		code := fmt.Sprint("CODE", p.serial)
		p.codes[code] = true
		fmt.Fprintf(w, `{"errcode":0,"msg_code":%q}`, code)
	}
}

// direct calls a handler without a network, for bubbles of synctest.
type direct struct{ http.Handler }

func (d direct) RoundTrip(r *http.Request) (*http.Response, error) {
	w := httptest.NewRecorder()
	d.ServeHTTP(w, r)
	return w.Result(), nil
}

// A kfWorld is a program with a service account on a platform.
type kfWorld struct {
	*testing.T
	*kfPlatform
	db     *store.Store
	kf     *KF
	engine *bot.Engine
	out    bytes.Buffer // the log
}

// start makes a new process on the same database and platform.
func (w *kfWorld) start(rt http.RoundTripper) {
	w.Helper()
	log := slog.New(slog.NewTextHandler(&w.out, nil))
	api, err := NewAPI(APIConfig{APIBase: "http://kf.example.com", CorpID: "ww1", AgentID: 1000002, AppSecret: testSecret, HTTP: rt, Now: w.clock, Log: log})
	if err != nil {
		w.Fatal(err)
	}
	w.kf, err = NewKF(KFConfig{
		Accounts: []string{wk}, Store: w.db, API: api, Secret: []byte("links"),
		Page: "https://fans.example.com/m/", Now: w.clock, Log: log,
	})
	if err != nil {
		w.Fatal(err)
	}
	d := handlers.Deps{Store: w.db, Now: w.clock, Zone: w.db.Zone(), Log: log}
	app, err := handlers.Register(d, []handlers.Feature{
		{Name: "kf", Screen: w.kf.Screen},
		checkin.New(d), points.New(d, nil), draw.New(d, draw.Config{PublicURL: "https://fans.example.com"}),
		{Name: "long", Commands: []bot.Command{{Words: []string{"长文"}, Help: "说很多", Handle: func(ctx context.Context, _ *store.Tx, _ bot.Message) (bot.Reply, error) {
			n, err := strconv.Atoi(bot.Args(ctx))
			return bot.Reply{Text: strings.Repeat("这是一句话。", n)}, err
		}}}},
	})
	if err != nil {
		w.Fatal(err)
	}
	w.engine, w.kf.Engine = app.Engine, app.Engine
	bottest.Run(w.T, w.engine)
}

// eachKF runs test on both databases, with a mall and an operator.
func eachKF(t *testing.T, test func(w *kfWorld)) {
	storetest.Each(t, func(t *testing.T, db *store.Store) { test(runningKF(t, db)) })
}

func runningKF(t *testing.T, db *store.Store) *kfWorld {
	w := newKFWorld(t, db)
	server := httptest.NewServer(w.kfPlatform)
	t.Cleanup(server.Close)
	base, _ := url.Parse(server.URL)
	w.start(to{base, server.Client().Transport})
	return w
}

// to sends every call to one host.
type to struct {
	base *url.URL
	next http.RoundTripper
}

func (t to) RoundTrip(r *http.Request) (*http.Response, error) {
	r.URL.Scheme, r.URL.Host = t.base.Scheme, t.base.Host
	return t.next.RoundTrip(r)
}

func newKFWorld(t *testing.T, db *store.Store) *kfWorld {
	w := &kfWorld{T: t, kfPlatform: newKFPlatform(t), db: db}
	w.update(func(tx *store.Tx) error {
		if _, err := tx.MallNamed(tx.Context(), "南湖店"); err != nil {
			return err
		}
		if err := tx.SetKFSettings(tx.Context(), store.KFSettings{Hours: "每天 10:00–22:00", Menu: []string{"签到", "积分"}}); err != nil {
			return err
		}
		return tx.AddOperator(tx.Context(), store.Operator{UserID: "owner", Name: "店长", Role: store.Owner, CreatedAt: kfNoon})
	})
	return w
}

func (w *kfWorld) update(fn func(tx *store.Tx) error) {
	w.Helper()
	if err := w.db.Update(w.Context(), fn); err != nil {
		w.Fatal(err)
	}
}

// pull brings a notice and reads.
func (w *kfWorld) pull() {
	w.Helper()
	if !w.kf.Notify(wk, w.notice(), w.clock()) {
		w.Fatal("the account is not known")
	}
	w.turn()
}

// turn reads without a new notice.
func (w *kfWorld) turn() {
	w.Helper()
	w.kf.turn(w.Context(), w.kf.readers[0])
}

// post sends what the outbox holds, as the outbox would, and returns the errors.
func (w *kfWorld) post() (errs []error) {
	w.Helper()
	for {
		var posts []store.Post
		w.update(func(tx *store.Tx) (err error) {
			if posts, err = tx.Posts(tx.Context(), store.PostFilter{State: store.PostQueued, Limit: 100}); err != nil || len(posts) == 0 {
				return err
			}
			slices.SortFunc(posts, func(a, b store.Post) int { return int(a.ID - b.ID) })
			if err := tx.AddLanes(tx.Context(), []string{posts[0].Lane}, w.clock()); err != nil {
				return err
			}
			return tx.StartPosts(tx.Context(), []int64{posts[0].ID})
		})
		if len(posts) == 0 {
			return errs
		}
		p := posts[0]
		text, err := bot.FillNames(w.Context(), w.db, p.Text)
		if err != nil {
			w.Fatal(err)
		}
		p.State = store.PostSent
		if p.Receipt, err = w.kf.Send(w.Context(), p.Lane, text, p.Key); err != nil {
			p.State, errs = store.PostFailed, append(errs, err)
		}
		w.update(func(tx *store.Tx) error {
			_, err := tx.SettlePost(tx.Context(), p)
			return err
		})
	}
}

// want checks what arrived since the last time: each text begins with what is
// wanted after its receiver.
func (w *kfWorld) want(want ...string) {
	w.Helper()
	got := w.arrived()
	ok := len(got) == len(want)
	for i := range min(len(got), len(want)) {
		ok = ok && strings.HasPrefix(got[i], want[i])
	}
	if !ok {
		w.Errorf("arrived\n%s\nwant\n%s\nlog\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"), w.out.String())
	}
	w.mu.Lock()
	w.got = nil
	w.mu.Unlock()
}

// says is a whole turn: said, noticed, read, answered.
func (w *kfWorld) says(customer, text string, want ...string) {
	w.Helper()
	w.say(customer, text, "")
	w.pull()
	if errs := w.post(); len(errs) > 0 {
		w.Errorf("sending answers to %q: %v", text, errs)
	}
	w.want(want...)
	w.wait(2 * time.Second)
}

func (w *kfWorld) session(customer string) store.KFSession {
	w.Helper()
	s, err := w.kf.session(w.Context(), wk, customer)
	if err != nil {
		w.Fatal(err)
	}
	return s
}

func (w *kfWorld) balance(customer string) (points int64) {
	w.Helper()
	w.update(func(tx *store.Tx) error {
		m, err := tx.MemberByIdentity(tx.Context(), store.ExternalUserID, customer)
		if errors.Is(err, store.ErrNotFound) {
			return nil
		}
		if err != nil {
			return err
		}
		points, err = tx.LockedBalance(tx.Context(), m.ID)
		return err
	})
	return points
}

// decision returns the decision about a message.
func (w *kfWorld) decision(msgID string) (d store.ExplainedMessage) {
	w.Helper()
	w.update(func(tx *store.Tx) error {
		all, err := tx.Decisions(tx.Context(), store.DecisionFilter{Limit: 1000})
		for _, e := range all {
			if e.Key == kfMessageKey(wk, msgID) {
				d = e
			}
		}
		return err
	})
	return d
}

// A customer enters by a link, is welcomed, checks in, joins a draw, asks for a
// human, is served by one, and comes back to the bot.
func TestKFStory(t *testing.T) {
	eachKF(t, func(w *kfWorld) {
		_, err := w.engine.Handle(w.Context(), bot.Message{
			Key: "app:1", Endpoint: "app", From: store.Identity{Kind: store.UserID, Value: "owner"}, Addressed: true, SentAt: w.clock(),
			Text: "/抽奖 新建 周末电影票 奖品 电影票 x1 ¥45 截止 20:00",
		})
		if err != nil {
			t.Fatal(err)
		}
		w.staff = map[string]int{"zhangsan": 0, "lisi": 1}
		w.people = []kfCustomer{{"wmA", "小王", "uA"}, {"wmSTRANGER", "谁", ""}}
		link, err := w.kf.Link(scene, store.KFGroupSource(17))
		if err != nil {
			t.Fatal(err)
		}
		u, err := url.Parse(link)
		if err != nil || len(u.Query().Get("scene_param")) > maxKFSceneParam {
			t.Fatalf("link %q: %v", link, err)
		}

		w.enter("wmA", u.Query().Get("scene_param"))
		w.pull()
		w.want("WELCOME-wmA 你好！你可以对我说：")
		w.says("wmA", "签到", "wmA 签到成功！")
		w.says("wmA", "抽奖 1", "wmA 报名成功！")

		w.say("wmA", "我要人工服务", kfHumanID)
		w.pull()
		if errs := w.post(); len(errs) > 0 {
			t.Error(errs)
		}
		if got := w.arrived(); len(got) != 1 || !strings.HasPrefix(got[0], "CODE") || !strings.HasSuffix(got[0], kfHandedOver) {
			t.Errorf("arrived %v, want the word that staff come", got)
		}
		w.got = nil
		if s := w.session("wmA"); s.State != store.KFHuman || s.Servicer != "zhangsan" || s.AskedAt != nil {
			t.Errorf("talk = %+v, want served by zhangsan", s)
		}

		w.wait(10 * time.Second)
		id := w.say("wmA", "签到", "")
		w.entry(`"open_kfid":%q,"external_userid":"wmA","origin":5,"servicer_userid":"zhangsan","msgtype":"text","text":{"content":"您好"}`, wk)
		w.pull()
		w.post()
		w.want()
		if d := w.decision(id); d.Outcome != store.Stopped || d.Rule != ruleAttended {
			t.Errorf("decision while staff serve = %+v", d)
		}
		w.wait(10 * time.Second)
		w.end("wmA")
		w.pull()
		w.want("END-wmA " + kfGoodbye)
		ended := w.log[len(w.log)-1]
		w.wait(10 * time.Second)
		w.says("wmA", "签到", "wmA 今天已经签到过")

		// The platform may bring an entry again: the old end is not a new one.
		w.says("wmA", "转人工", "CODE")
		w.log = append(w.log, ended)
		w.pull()
		if s := w.session("wmA"); s.State != store.KFHuman {
			t.Errorf("talk after an old end came again = %+v, want served by staff", s)
		}

		w.update(func(tx *store.Tx) error {
			a, err := tx.MemberByIdentity(tx.Context(), store.ExternalUserID, "wmA")
			if err != nil {
				return err
			}
			u, err := tx.MemberByIdentity(tx.Context(), store.UnionID, "uA")
			if err != nil || u.ID != a.ID {
				t.Errorf("member of unionid = %v, %v; want %d", u, err, a.ID)
			}
			names, err := tx.Names(tx.Context(), []int64{a.ID})
			if err != nil || names[a.ID] != "小王" {
				t.Errorf("name = %v, %v", names, err)
			}
			touch, err := tx.KFTouchOf(tx.Context(), a.ID)
			if touch.FirstSource != "g=17" || touch.LastSource != "g=17" {
				t.Errorf("came from %+v", touch)
			}
			if _, err := tx.MemberByIdentity(tx.Context(), store.ExternalUserID, "wmSTRANGER"); !errors.Is(err, store.ErrNotFound) {
				t.Errorf("a customer nobody asked for = %v", err)
			}
			return err
		})
		if b := w.balance("wmA"); b != 5 {
			t.Errorf("balance = %d, want 5: one check-in", b)
		}
	})
}

// Whatever happens to notices, the same comes of it.
func TestKFNotices(t *testing.T) {
	notices := map[string]func(w *kfWorld, last bool){
		"each": func(w *kfWorld, _ bool) { w.pull() },
		"doubled": func(w *kfWorld, _ bool) {
			token := w.notice()
			for range 3 {
				w.kf.Notify(wk, token, w.clock())
				w.turn()
			}
		},
		"lost": func(w *kfWorld, last bool) {
			if last {
				w.wait(kfEvery)
				w.turn()
			}
		},
		"shuffled": func(w *kfWorld, last bool) {
			if !last {
				return
			}
			old, next := w.notice(), w.notice()
			w.kf.Notify(wk, next, w.clock())
			w.kf.Notify(wk, old, w.clock().Add(-time.Minute))
			if r := w.kf.readers[0]; r.current(w.clock()) != next {
				w.Errorf("token %q, want the newest", r.token)
			}
			w.turn()
		},
		"with a token that ran out": func(w *kfWorld, last bool) {
			if last {
				w.kf.Notify(wk, "OLD", w.clock())
				bare := w.bare
				w.turn()
				if w.bare != bare+1 {
					w.Errorf("%d pulls without a token, want 1", w.bare-bare)
				}
			}
		},
		"for all accounts": func(w *kfWorld, _ bool) {
			w.kf.Notify("", w.notice(), w.clock())
			w.turn()
		},
	}
	for name, notice := range notices {
		t.Run(name, func(t *testing.T) {
			w := runningKF(t, storetest.Open(t))
			w.turn() // at the start
			for i, text := range []string{"签到", "积分", "签到"} {
				w.say("wmA", text, "")
				notice(w, i == 2)
			}
			w.turn()
			w.post()
			w.want("wmA 签到成功！", "wmA ", "wmA 今天已经签到过")
			if b := w.balance("wmA"); b != 5 {
				t.Errorf("balance = %d, want 5", b)
			}
		})
	}
}

// A crash after a page was handled and before its cursor is stored has it read
// again, by the same replica or another. Nothing happens twice.
func TestKFCrashBeforeTheCursor(t *testing.T) {
	eachKF(t, func(w *kfWorld) {
		rt := w.kf.API.cfg.HTTP
		w.enter("wmA", "")
		w.say("wmA", "签到", "")
		w.say("wmB", "转人工", "")
		w.kf.probe = func(string) error { return errors.New("crash") }
		w.pull()
		w.post()
		w.want("WELCOME-wmA 你好！", "wmA 签到成功！")

		w.wait(time.Minute)
		w.start(rt)
		w.pull()
		w.turn()
		w.post()
		w.want("wmB " + kfNobody)
		if b := w.balance("wmA"); b != 5 {
			t.Errorf("balance = %d, want 5", b)
		}
		pulls := w.pulls
		w.say("wmA", "签到", "")
		w.pull()
		w.post()
		w.want("wmA 今天已经签到过")
		if w.pulls != pulls+1 {
			t.Errorf("%d pulls, want 1: the cursor was stored", w.pulls-pulls)
		}
	})
}

func TestKFPages(t *testing.T) {
	w := runningKF(t, storetest.Open(t))
	w.page, w.empty = 2, 3
	for i := range 5 {
		w.say(fmt.Sprint("wm", i), "签到", "")
	}
	w.pull()
	if w.pulls != 3+3 {
		t.Errorf("%d pulls, want 3 empty ones and 3 with messages", w.pulls)
	}
	w.empty = 1
	w.say("wm9", "签到", "")
	w.pull()
	for _, customer := range []string{"wm0", "wm4", "wm9"} {
		if b := w.balance(customer); b != 5 {
			t.Errorf("balance of %s = %d, want 5", customer, b)
		}
	}
}

// A full page is handed over without filling the engine's queue, and each
// customer's messages in their order.
func TestKFFullPage(t *testing.T) {
	eachKF(t, func(w *kfWorld) {
		const customers = 200
		for i := range 1000 {
			text := "签到"
			if i >= customers {
				text = "积分"
			}
			w.say(fmt.Sprint("wm", i%customers), text, "")
		}
		w.log = append(w.log[:500], append([]string{`{"msgid":7}`, `null`, `{"send_time":1,"msgtype":"text"}`}, w.log[500:]...)...)
		w.pull()
		w.update(func(tx *store.Tx) error {
			posts, err := tx.Posts(tx.Context(), store.PostFilter{Limit: 2000})
			if len(posts) != 1000 {
				t.Errorf("%d answers, want 1000", len(posts))
			}
			first := map[string]string{}
			for _, p := range slices.Backward(posts) { // the oldest first
				if first[p.Lane] == "" {
					first[p.Lane] = p.Text
				}
			}
			for lane, text := range first {
				if !strings.HasPrefix(text, "签到成功") {
					t.Errorf("first answer to %s = %q, want that of 签到", lane, text)
				}
			}
			return err
		})
	})
}

func TestKFWelcome(t *testing.T) {
	w := runningKF(t, storetest.Open(t))
	good := w.kf.sceneParam(store.KFPosterSource("door"))
	w.enter("wmA", good)
	w.wait(19 * time.Second)
	w.enter("wmB", strings.Replace(good, "door", "exit", 1))
	w.wait(time.Second)
	w.pull()
	w.want("WELCOME-wmB 你好！") // wmA's code has run out
	w.enter("wmC", "g=17&s=")
	w.enter("wmD", url.QueryEscape(good))
	w.enter("wmE", good+"x")
	w.event("enter_session", "wmF", fmt.Sprintf(`,"scene_param":%q`, good)) // greeted before
	w.pull()
	if got := w.arrived(); len(got) != 3 {
		t.Errorf("arrived %v, want three welcomes", got)
	}
	w.update(func(tx *store.Tx) error {
		for customer, want := range map[string]string{"wmA": "p=door", "wmB": "", "wmC": "", "wmD": "p=door", "wmE": "", "wmF": "p=door"} {
			m, err := tx.MemberByIdentity(tx.Context(), store.ExternalUserID, customer)
			if err != nil {
				return err
			}
			touch, err := tx.KFTouchOf(tx.Context(), m.ID)
			if err != nil && !errors.Is(err, store.ErrNotFound) || touch.FirstSource != want {
				t.Errorf("%s came from %q, %v; want %q", customer, touch.FirstSource, err, want)
			}
		}
		return nil
	})
}

func TestKFLinks(t *testing.T) {
	k, err := NewKF(KFConfig{Store: storetest.Open(t), Secret: []byte("s")})
	if err != nil {
		t.Fatal(err)
	}
	for _, bad := range [][2]string{{scene, "g=0"}, {scene, "g=1&s=2"}, {scene, "p="}, {scene, ""}, {"https://example.com/", "g=1"}, {"x", "g=1"}} {
		if link, err := k.Link(bad[0], bad[1]); err == nil {
			t.Errorf("Link(%q, %q) = %q, want an error", bad[0], bad[1], link)
		}
	}
	other, err := NewKF(KFConfig{Store: k.Store, Secret: []byte("another")})
	if err != nil {
		t.Fatal(err)
	}
	if s, ok := other.source(k.sceneParam("g=1")); ok {
		t.Errorf("source signed with another secret = %q", s)
	}
	if _, err := NewKF(KFConfig{Store: k.Store, Accounts: []string{"客服"}}); err == nil ||
		!strings.Contains(err.Error(), "secret") || !strings.Contains(err.Error(), "客服") {
		t.Errorf("NewKF = %v, want every problem", err)
	}
}

func TestKFAllowance(t *testing.T) {
	eachKF(t, func(w *kfWorld) {
		w.says("wmA", "积分", "wmA ")
		send := func(key string) error {
			_, err := w.kf.Send(t.Context(), kfLane(wk, "wmA"), "通知 "+key, key)
			return err
		}
		for i := range 4 {
			if err := send(fmt.Sprint(i)); err != nil {
				t.Fatal(err)
			}
		}
		if err := send("4"); apiError(t, err).Code != codeKFOverFive || apiError(t, err).Class() != ClassData {
			t.Errorf("sixth message = %v", err)
		}
		if err := send("0"); err != nil || len(w.arrived()) != 4 {
			t.Errorf("a message that was sent, again = %v, arrived %v", err, w.arrived())
		}
		w.got = nil
		// What was sent after the customer wrote and before we read that counts.
		w.say("wmA", "积分", "")
		w.pull()
		w.post()
		w.want("wmA ")
		if s := w.session("wmA"); s.Sent != 1 || s.State != store.KFBot {
			t.Errorf("talk = %+v, want 1 sent", s)
		}
		w.wait(48 * time.Hour)
		if err := send("5"); apiError(t, err).Code != codeKFTooLate {
			t.Errorf("after 48 h = %v", err)
		}
		if _, err := w.kf.Send(t.Context(), kfLane(wk, "wmSTRANGER"), "你好", "6"); apiError(t, err).Code != codeKFTooLate {
			t.Errorf("to somebody who never wrote = %v", err)
		}
		for _, bad := range [][2]string{{"app/1", "x"}, {"kf/wk1/", "x"}, {kfLane(wk, "wmA"), " "}} {
			if _, err := w.kf.Send(t.Context(), bad[0], bad[1], "7"); apiError(t, err).Class() != ClassData {
				t.Errorf("Send(%q, %q) = %v", bad[0], bad[1], err)
			}
		}
		w.want()
	})
}

// What was sent between the customer's message and our reading it is counted.
func TestKFAllowanceOfALateReading(t *testing.T) {
	w := runningKF(t, storetest.Open(t))
	w.says("wmA", "积分", "wmA ")
	w.say("wmA", "积分", "")
	w.wait(5 * time.Second)
	for i := range 4 {
		if _, err := w.kf.Send(t.Context(), kfLane(wk, "wmA"), "通知", fmt.Sprint(i)); err != nil {
			t.Fatal(err)
		}
	}
	w.pull()
	if s := w.session("wmA"); s.Sent != 4 {
		t.Errorf("sent = %d, want 4", s.Sent)
	}
	w.post()
	if _, err := w.kf.Send(t.Context(), kfLane(wk, "wmA"), "通知", "x"); apiError(t, err).Code != codeKFOverFive {
		t.Errorf("sixth message = %v", err)
	}
}

// A message whose answer got lost is sent again with the same id, and arrives
// once.
func TestKFRetryArrivesOnce(t *testing.T) {
	w := runningKF(t, storetest.Open(t))
	w.says("wmA", "积分", "wmA ")
	lane := kfLane(wk, "wmA")
	w.cut = 1
	if _, err := w.kf.Send(t.Context(), lane, "一次", "k"); apiError(t, err).Class() != ClassUnknown {
		t.Fatalf("lost answer = %v, want an unknown outcome", err)
	}
	if _, err := w.kf.Send(t.Context(), lane, "一次", "k"); err != nil {
		t.Errorf("again = %v, want nil: it had arrived", err)
	}
	w.want("wmA 一次")
	if s := w.session("wmA"); s.Sent != 2 {
		t.Errorf("sent = %d, want 2", s.Sent)
	}
	// What was certainly not sent frees its place, and a real refusal is one.
	w.failing[opKFSend] = -1
	if _, err := w.kf.Send(t.Context(), lane, "忙", "busy"); apiError(t, err).Class() != ClassRetry {
		t.Errorf("busy = %v", err)
	}
	w.failing[opKFSend] = 40058
	if _, err := w.kf.Send(t.Context(), lane, "坏", "bad"); apiError(t, err).Code != 40058 {
		t.Errorf("refused at the first try = %v, want the refusal", err)
	}
	delete(w.failing, opKFSend)
	if s := w.session("wmA"); s.Sent != 2 {
		t.Errorf("sent = %d, want 2", s.Sent)
	}
	if _, err := w.kf.Send(t.Context(), lane, "忙", "busy"); err != nil {
		t.Errorf("after busy = %v", err)
	}
	w.want("wmA 忙")
}

func TestKFLongTexts(t *testing.T) {
	w := runningKF(t, storetest.Open(t))
	w.says("wmA", "长文 50", "wmA 这是一句话。") // 900 bytes: with a menu
	if w.menus != 1 {
		t.Errorf("%d menus, want 1", w.menus)
	}
	w.says("wmA", "长文 100", "wmA 这是一句话。")
	w.says("wmA", "长文 150", "wmA （1/2）\n这是", "wmA （2/2）\n这是")
	w.say("wmA", "长文 500", "")
	w.pull()
	w.post()
	got := w.arrived()
	if len(got) != 2 || !strings.HasSuffix(got[1], "。\n（内容太长，请到会员页面看全部：https://fans.example.com/m/）") {
		t.Errorf("arrived %q, want two parts and where the rest is", got)
	}
	w.got = nil
	for i := range 2 {
		w.kf.Send(t.Context(), kfLane(wk, "wmA"), "通知", fmt.Sprint(i))
	}
	w.got = nil
	if _, err := w.kf.Send(t.Context(), kfLane(wk, "wmA"), strings.Repeat("这是一句话。", 150), "last"); err != nil {
		t.Errorf("two parts with room for one = %v", err)
	}
	if got := w.arrived(); len(got) != 1 || !strings.Contains(got[0], "（内容太长") {
		t.Errorf("arrived %q, want one part that says there is more", got)
	}
	if w.menus != 3 {
		t.Errorf("%d menus, want 3", w.menus)
	}
}

// A long text of which the second part failed is finished by the next try.
func TestKFSecondPart(t *testing.T) {
	w := runningKF(t, storetest.Open(t))
	w.says("wmA", "积分", "wmA ")
	w.cut = 1
	text := strings.Repeat("这是一句话。", 150)
	for range 2 {
		w.kf.Send(t.Context(), kfLane(wk, "wmA"), text, "k")
	}
	w.want("wmA （1/2）", "wmA （2/2）")

	w.wait(time.Second)
	w.says("wmA", "积分", "wmA ")
	w.busyAt = w.sends + 2
	for range 2 {
		w.kf.Send(t.Context(), kfLane(wk, "wmA"), text, "other")
	}
	w.want("wmA （1/2）", "wmA （2/2）")
}

func TestKFHumans(t *testing.T) {
	w := runningKF(t, storetest.Open(t))
	w.says("wmA", "转人工", "wmA 现在没有人工客服在线。服务时间：每天 10:00–22:00。")
	w.says("wmA", "签到", "wmA 签到成功！")
	// The one who serves fewest is asked first; who is away is passed over.
	w.staff = map[string]int{"a": 0, "b": 0, "c": 1}
	w.says("wmA", "人工！", "CODE")
	w.says("wmB", "转人工", "CODE")
	w.away["a"] = true
	w.says("wmC", "客服", "CODE")
	if a, b, c := w.session("wmA").Servicer, w.session("wmB").Servicer, w.session("wmC").Servicer; a != "a" || b != "b" || c != "b" {
		t.Errorf("served by %q, %q, %q; want a, b, b", a, b, c)
	}
	sends := w.sends
	if _, err := w.kf.Send(t.Context(), kfLane(wk, "wmA"), "通知", "k"); apiError(t, err).Code != codeKFWrongState || w.sends != sends {
		t.Errorf("to a customer whom staff serve = %v after %d calls, want refused without one", err, w.sends-sends)
	}
	w.away["b"] = true
	w.says("wmD", "转人工", "CODE")
	if s := w.session("wmD"); s.State != store.KFWaiting {
		t.Errorf("talk = %+v, want waiting", s)
	}
	w.says("wmD", "有人吗")
	w.state["wmD"] = 3
	w.event("session_status_change", "wmD", `,"change_type":1,"new_servicer_userid":"b","msg_code":"M"`)
	w.pull()
	if s := w.session("wmD"); s.State != store.KFHuman || s.Servicer != "b" {
		t.Errorf("talk = %+v, want taken by b", s)
	}
}

// A request for a human outlives failures of the platform, for a while, and a
// crash after it was granted.
func TestKFHumansWhileThePlatformFails(t *testing.T) {
	w := runningKF(t, storetest.Open(t))
	rt := w.kf.API.cfg.HTTP
	w.staff = map[string]int{"a": 0}
	w.failing[opKFServicers] = -1
	w.says("wmA", "转人工")
	if s := w.session("wmA"); s.AskedAt == nil {
		t.Fatalf("talk = %+v, want it asking", s)
	}
	w.state["wmA"], w.servicer["wmA"] = 3, "a" // granted, and then we crashed
	w.start(rt)
	w.turn()
	w.pull()
	if s := w.session("wmA"); s.AskedAt != nil || s.State != store.KFHuman || s.Servicer != "a" {
		t.Errorf("talk = %+v, want served by a", s)
	}
	w.says("wmB", "转人工")
	w.wait(kfAskLife)
	w.pull()
	w.post()
	w.want("wmB " + kfNotHanded)
	w.failing[opKFServicers] = 48002
	w.says("wmC", "转人工", "wmC "+kfNotHanded)
}

// Should the end of the service have passed us by, the bot finds out.
func TestKFStateIsReadWhereItIsWrong(t *testing.T) {
	w := runningKF(t, storetest.Open(t))
	w.staff = map[string]int{"a": 0}
	w.says("wmA", "转人工", "CODE")
	w.wait(time.Hour)
	w.state["wmA"] = 4 // and no event
	w.says("wmA", "签到")
	w.says("wmA", "签到", "wmA 签到成功！")

	// The other way round: staff serve, and we do not know.
	w.state["wmA"], w.servicer["wmA"] = 3, "a"
	w.say("wmA", "积分", "")
	w.pull()
	if errs := w.post(); len(errs) != 1 || apiError(t, errs[0]).Code != codeKFWrongState {
		t.Errorf("sending = %v, want refused by the state", errs)
	}
	if s := w.session("wmA"); s.State != store.KFHuman {
		t.Errorf("talk = %+v, want served by staff", s)
	}
	w.says("wmA", "积分")
}

func TestKFEvents(t *testing.T) {
	w := runningKF(t, storetest.Open(t))
	id := w.say("wmA", "我的电话是 13800000000", "")
	w.pull()
	w.post()
	if d := w.decision(id); d.Text == "" {
		t.Fatalf("message = %+v, want it kept", d)
	}
	recall := w.event("user_recall_msg", "wmA", fmt.Sprintf(`,"recall_msgid":%q`, id))
	unknown := w.event("new_kind", "wmA", "")
	w.event("servicer_status_change", "", `,"servicer_userid":"a","status":1`)
	sent := kfMsgID("kf", wk, store.Key("reply", kfMessageKey(wk, id)), 0)
	w.event("msg_send_fail", "wmA", fmt.Sprintf(`,"fail_msgid":%q,"fail_type":10`, sent))
	w.event("msg_send_fail", "wmA", `,"fail_type":10`) // of no message
	w.pull()
	if d := w.decision(id); d.Text != "" {
		t.Errorf("recalled message = %q, want it forgotten", d.Text)
	}
	for _, id := range []string{recall, unknown} {
		if d := w.decision(id); d.Outcome != store.Ignored || !strings.HasPrefix(d.Rule, "event kf ") {
			t.Errorf("decision = %+v, want an event ignored", d)
		}
	}
	w.update(func(tx *store.Tx) error {
		sends, err := tx.KFSends(tx.Context(), []string{sent})
		if sends[sent].State != store.KFFailed {
			t.Errorf("send = %+v, want failed", sends)
		}
		return err
	})
}

// What was said long before is not answered: before the account was first
// read, and more than a day ago.
func TestKFOldMessages(t *testing.T) {
	w := runningKF(t, storetest.Open(t))
	w.say("wmA", "签到", "")
	w.wait(11 * time.Minute)
	w.say("wmB", "签到", "")
	w.pull()
	w.post()
	w.want("wmB 签到成功！")
	w.say("wmC", "签到", "")
	w.wait(25 * time.Hour)
	w.say("wmD", "签到", "")
	w.pull()
	w.post()
	w.want("wmD 签到成功！")
	if log := w.out.String(); !strings.Contains(log, "too old to answer") {
		t.Errorf("log = %q, want a word on what was dropped", log)
	}
}

// Our clock may be slow: then nothing is dropped.
func TestKFMessageFromTheFuture(t *testing.T) {
	w := runningKF(t, storetest.Open(t))
	w.wait(time.Hour)
	w.say("wmA", "签到", "")
	w.wait(-time.Hour)
	w.pull()
	w.wait(time.Hour)
	w.turn()
	w.post()
	w.want("wmA 签到成功！")
}

// Two replicas never read an account at the same time.
func TestKFReplicas(t *testing.T) {
	eachKF(t, func(w *kfWorld) {
		first := w.kf
		first.owner = "first"
		w.start(first.API.cfg.HTTP)
		w.kf.owner = "second"
		w.say("wmA", "签到", "")
		first.probe = func(string) error {
			if pause, open := w.kf.turn(t.Context(), w.kf.readers[0]); pause != kfEvery || !open {
				t.Errorf("second without a notice: pause %v, open %v; want to leave it", pause, open)
			}
			w.kf.Notify(wk, "", w.clock())
			if pause, open := w.kf.turn(t.Context(), w.kf.readers[0]); pause != kfBusyPause || open {
				t.Errorf("second with a notice: pause %v, open %v; want to come back soon", pause, open)
			}
			return nil
		}
		first.Notify(wk, w.notice(), w.clock())
		first.turn(t.Context(), first.readers[0])
		if w.pulls != 1 {
			t.Errorf("%d pulls, want 1", w.pulls)
		}
		w.turn()
		if w.pulls != 2 {
			t.Errorf("%d pulls, want 2: what came while first was reading", w.pulls)
		}
		// A replica that lost its lease does not move the cursor back.
		first.probe = func(string) error {
			w.wait(kfLease)
			w.turn()
			return nil
		}
		w.say("wmB", "签到", "")
		w.kf.Notify(wk, w.notice(), w.clock())
		first.Notify(wk, w.notice(), w.clock())
		first.turn(t.Context(), first.readers[0])
		w.post()
		w.want("wmA 签到成功！", "wmB 签到成功！")
	})
}

// Run reads at the start, after notices, every minute without one, and backs
// off when the platform fails.
func TestKFRun(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		db := storetest.Open(t)
		w := newKFWorld(t, db)
		w.now = time.Now()
		w.start(direct{w.kfPlatform})
		ctx, stop := context.WithCancel(t.Context())
		stopped := make(chan error)
		go func() { stopped <- w.kf.Run(ctx) }()
		sleep := func(d time.Duration) {
			w.wait(d)
			time.Sleep(d) // the bubble's clock
			synctest.Wait()
		}
		pulls := func(want int) {
			t.Helper()
			synctest.Wait()
			w.mu.Lock()
			defer w.mu.Unlock()
			if w.pulls != want {
				t.Fatalf("%d pulls, want %d\n%s", w.pulls, want, w.out.String())
			}
		}
		pulls(1)
		w.say("wmA", "签到", "")
		token := w.notice()
		for range 3 {
			w.kf.Notify(wk, token, w.clock())
		}
		synctest.Wait()
		if w.pulls < 2 || w.pulls > 4 {
			t.Fatalf("%d pulls after three notices", w.pulls-1)
		}
		w.pulls = 0
		w.say("wmA", "积分", "") // its notice is lost
		sleep(kfEvery)
		pulls(1)
		w.post()
		w.want("wmA 签到成功！", "wmA ")
		w.mu.Lock()
		w.failing[opKFSync] = 45009
		w.mu.Unlock()
		sleep(kfEvery)
		w.kf.Notify(wk, w.notice(), w.clock())
		w.mu.Lock()
		delete(w.failing, opKFSync)
		w.mu.Unlock()
		pulls(1) // blocked: not even after a notice
		sleep(kfEvery)
		pulls(2)
		stop()
		if err := <-stopped; err != nil {
			t.Errorf("Run = %v", err)
		}
	})
}

// A notice on /wecom/app is acknowledged at once, and nobody hears it but the
// service account.
func TestKFNoticeOnTheAppEndpoint(t *testing.T) {
	w := runningKF(t, storetest.Open(t))
	p, err := New(Config{
		App: &App{CorpID: "ww1", Token: "T", AESKey: strings.Repeat("a", 43)}, KF: w.kf,
		Now: w.clock, Log: slog.New(slog.NewTextHandler(&w.out, nil)),
	})
	if err != nil {
		t.Fatal(err)
	}
	mux := http.NewServeMux()
	p.Mount(mux, w.engine)
	w.say("wmA", "签到", "")
	for _, account := range []string{wk, "wkOTHER"} {
		e := p.app.Seal([]byte(fmt.Sprintf(`<xml><ToUserName><![CDATA[ww1]]></ToUserName><CreateTime>%d</CreateTime><MsgType><![CDATA[event]]></MsgType>
			<Event><![CDATA[kf_msg_or_event]]></Event><Token><![CDATA[%s]]></Token><OpenKfId><![CDATA[%s]]></OpenKfId></xml>`, w.clock().Unix(), w.notice(), account)), w.clock().Unix(), "n")
		answer := httptest.NewRecorder()
		mux.ServeHTTP(answer, httptest.NewRequest(http.MethodPost, "/wecom/app?"+e.Query().Encode(), bytes.NewReader(Delivery{Encrypt: e.Encrypt}.XML())))
		if answer.Code != http.StatusOK || answer.Body.Len() != 0 {
			t.Errorf("answer = %d %q, want 200 and zero bytes", answer.Code, answer.Body)
		}
	}
	if !strings.Contains(w.out.String(), "account=wkOTHER") {
		t.Errorf("log = %q, want a word on the account that is not ours", w.out.String())
	}
	w.turn()
	w.post()
	w.want("wmA 签到成功！")
	if w.bare != 0 {
		t.Errorf("%d pulls without a token, want 0: the notice had one", w.bare)
	}
}

func TestKFContactWay(t *testing.T) {
	w := runningKF(t, storetest.Open(t))
	if got, err := w.kf.API.KFContactWay(t.Context(), wk, "mall"); err != nil || got != scene {
		t.Errorf("KFContactWay = %q, %v", got, err)
	}
	if _, err := w.kf.API.KFContactWay(t.Context(), wk, "商场"); apiError(t, err).Class() != ClassData {
		t.Errorf("KFContactWay of a bad scene = %v", err)
	}
}

// Operators decide what the menu offers; it counts from the next message on.
func TestKFSettings(t *testing.T) {
	w := runningKF(t, storetest.Open(t))
	w.says("wmA", "积分", "wmA ")
	if want := []string{"签到", "积分", kfHuman}; !slices.Equal(w.menu, want) {
		t.Errorf("menu = %v, want %v", w.menu, want)
	}
	w.update(func(tx *store.Tx) error { return tx.SetKFSettings(tx.Context(), store.KFSettings{}) })
	w.says("wmA", "转人工", "wmA "+kfNobody+"您的话")
	w.enter("wmB", "")
	w.pull()
	w.want("WELCOME-wmB 你好！")
	if want := []string{kfHuman}; !slices.Equal(w.menu, want) {
		t.Errorf("menu = %v, want %v", w.menu, want)
	}
}

// failed is the platform's word that a post did not arrive, for one of the
// messages that it was sent as.
func (w *kfWorld) failed(p store.Post, message, failType int) {
	w.Helper()
	w.event("msg_send_fail", "wmA", fmt.Sprintf(`,"fail_msgid":%q,"fail_type":%d`, strings.Fields(p.Receipt)[message], failType))
	w.pull()
}

// newest returns the post that was written last.
func (w *kfWorld) newest() (p store.Post) {
	w.Helper()
	w.update(func(tx *store.Tx) error {
		posts, err := tx.Posts(tx.Context(), store.PostFilter{Limit: 1})
		p = posts[0]
		return err
	})
	return p
}

// A post that the platform took and later could not deliver is failed, and can
// be sent again as another message.
func TestKFSendFailed(t *testing.T) {
	eachKF(t, func(w *kfWorld) {
		w.says("wmA", "积分", "wmA ")
		earlier := w.newest()
		w.says("wmA", "长文 150", "wmA （1/2）", "wmA （2/2）")
		p := w.newest()
		if p.State != store.PostSent || len(strings.Fields(p.Receipt)) != 2 {
			w.Fatalf("post = %+v, want it sent as two messages", p)
		}
		again := func(want ...string) {
			w.Helper()
			w.update(func(tx *store.Tx) error {
				queued, err := tx.RetryPost(tx.Context(), p.ID, w.clock())
				if !queued {
					w.Error("the post cannot be sent again")
				}
				return err
			})
			if errs := w.post(); len(errs) > 0 {
				w.Errorf("sending again: %v", errs)
			}
			w.want(want...)
		}
		old := p
		w.failed(p, 1, 6)
		if p = w.newest(); p.State != store.PostFailed || p.Reason != failWords(6) {
			w.Fatalf("post after the news = %+v", p)
		}
		again("wmA （2/2）") // the first part has arrived
		if p = w.newest(); p.State != store.PostSent || p.Receipt == old.Receipt {
			w.Fatalf("post after 重发 = %+v, want it sent as another message", p)
		}
		w.failed(old, 1, 6) // the old news once more
		if p = w.newest(); p.State != store.PostSent {
			w.Errorf("post after old news = %+v, want it sent", p)
		}
		if s := w.session("wmA"); s.Sent != 3 {
			w.Errorf("sent = %d, want 3 of the allowance used", s.Sent)
		}
		w.update(func(tx *store.Tx) error {
			got, err := tx.Post(tx.Context(), earlier.ID)
			if got.State != store.PostSent {
				w.Errorf("an earlier post = %+v, want it untouched", got)
			}
			return err
		})

		// The allowance holds for what is sent again, too.
		for i := range 2 {
			if _, err := w.kf.Send(w.Context(), kfLane(wk, "wmA"), "通知", fmt.Sprint(i)); err != nil {
				w.Fatal(err)
			}
		}
		w.failed(p, 0, 10)
		w.update(func(tx *store.Tx) error {
			_, err := tx.RetryPost(tx.Context(), p.ID, w.clock())
			return err
		})
		if errs := w.post(); len(errs) != 1 || apiError(w.T, errs[0]).Code != codeKFOverFive {
			w.Errorf("sending again without allowance = %v", errs)
		}
	})
}

// A message that never arrives is not sent for ever.
func TestKFSendFailsAlways(t *testing.T) {
	w := runningKF(t, storetest.Open(t))
	send := func() (string, error) { return w.kf.Send(t.Context(), kfLane(wk, "wmA"), "通知", "k") }
	w.says("wmA", "积分", "wmA ")
	seen := map[string]bool{}
	for range 1 + kfMaxResends {
		w.says("wmA", "积分", "wmA ")
		id, err := send()
		if err != nil || seen[id] {
			t.Fatalf("Send = %q, %v; want an id of its own", id, err)
		}
		seen[id] = true
		w.event("msg_send_fail", "wmA", fmt.Sprintf(`,"fail_msgid":%q,"fail_type":0`, id))
		w.pull()
		w.want("wmA 通知")
	}
	if _, err := send(); apiError(t, err).Class() != ClassData {
		t.Errorf("Send = %v, want it refused", err)
	}
}

func TestKFFailWords(t *testing.T) {
	words := map[string]int{}
	for failType := range 15 {
		text := failWords(failType)
		if !strings.HasPrefix(text, "没有送达：") {
			t.Errorf("failWords(%d) = %q", failType, text)
		}
		words[text]++
	}
	if len(words) != 14 { // 7 and 9 are the same
		t.Errorf("%d reasons for 15 types, want 14: %v", len(words), words)
	}
}

// The address of an account is asked for until the platform tells it, once an
// hour, and never again then.
func TestKFAddress(t *testing.T) {
	eachKF(t, func(w *kfWorld) {
		r := w.kf.readers[0]
		find := func() (a store.KFAccount) {
			w.Helper()
			w.turn()
			w.kf.findAddress(w.Context(), r)
			w.update(func(tx *store.Tx) error {
				known, err := tx.KFAccountsOf(tx.Context(), []string{wk})
				a = known[wk]
				return err
			})
			return a
		}
		w.failing[opKFContactWay] = -1 // busy
		if a := find(); !a.ContactAgainAt.Equal(w.clock().Add(kfEvery)) {
			w.Errorf("account = %+v, want it asked for again in a minute", a)
		}
		w.wait(kfEvery)
		w.failing[opKFContactWay] = 48007
		a := find()
		if a.ContactURL != "" || !strings.Contains(a.ContactProblem, "通过 API 管理微信客服账号") || !a.ContactAgainAt.Equal(w.clock().Add(kfAskAgain)) {
			w.Errorf("account = %+v, want why its address is not known", a)
		}
		delete(w.failing, opKFContactWay)
		w.address = "https://example.com/without-a-scene"
		w.wait(kfAskAgain - time.Second)
		if find(); w.asked != 0 {
			w.Errorf("asked again %d times within the hour", w.asked)
		}
		w.wait(time.Second)
		if a = find(); w.asked != 1 || a.ContactURL != "" || !strings.Contains(a.ContactProblem, "without-a-scene") {
			w.Errorf("account = %+v, want a word on the address that is none", a)
		}
		w.address = scene
		w.wait(kfAskAgain)
		if a = find(); a.ContactURL != scene || a.ContactProblem != "" {
			w.Errorf("account = %+v, want its address", a)
		}
		w.wait(24 * time.Hour)
		find()
		w.start(w.kf.API.cfg.HTTP) // and not after a start
		r = w.kf.readers[0]
		if find(); w.asked != 2 {
			w.Errorf("asked %d times, want not again", w.asked)
		}
		if n := strings.Count(w.out.String(), "address of a service account not known"); n != 3 {
			w.Errorf("%d words in the log, want one for each reason:\n%s", n, w.out.String())
		}
	})
}

// Who was erased can still be answered: the platform knows whether they wrote.
func TestKFSendAfterErasing(t *testing.T) {
	w := runningKF(t, storetest.Open(t))
	w.says("wmA", "积分", "wmA ")
	w.update(func(tx *store.Tx) error {
		m, err := tx.MemberByIdentity(tx.Context(), store.ExternalUserID, "wmA")
		if err != nil {
			return err
		}
		return tx.EraseKF(tx.Context(), m.ID)
	})
	if _, err := w.kf.Send(t.Context(), kfLane(wk, "wmA"), "已经删除", "bye"); err != nil {
		t.Error(err)
	}
	w.want("wmA 已经删除")
}

func FuzzKFEntry(f *testing.F) {
	f.Add([]byte(`{"msgid":"EVSAMPLE01","send_time":1795221001,"origin":4,"msgtype":"event","event":{"event_type":"enter_session","open_kfid":"wkSAMPLEkf0001","external_userid":"wmSAMPLEuser0001","scene":"mall","scene_param":"g=17&s=9f3a","welcome_code":"WELCOMESAMPLE"}}`))
	f.Add([]byte(`{"msgid":"MSGSAMPLE02","open_kfid":"wkSAMPLEkf0001","external_userid":"wmSAMPLEuser0001","send_time":1795221010,"origin":3,"msgtype":"text","text":{"content":"签到","menu_id":"ck-1122"}}`))
	f.Add([]byte(`{"msgtype":"text","external_userid":"a","send_time":1}`))
	f.Add([]byte(`{"msgtype":"event","event":null,"send_time":1e3}`))
	f.Fuzz(func(t *testing.T, raw []byte) {
		e, err := parseKFEntry(wk, raw)
		if err != nil {
			return
		}
		if e.MsgID == "" || e.Account != wk || e.MsgType == "" {
			t.Errorf("parseKFEntry(%q) = %+v, want id, account and type", raw, e)
		}
		if key := e.message().Key; len(key) > 160 {
			t.Errorf("key of %d bytes", len(key))
		}
		if e.Customer == "" {
			return
		}
		if account, customer, ok := kfLaneParts(kfLane(wk, e.Customer)); !ok || account != wk || customer != e.Customer {
			t.Errorf("lane of %q = %q, %q, %v", e.Customer, account, customer, ok)
		}
	})
}
