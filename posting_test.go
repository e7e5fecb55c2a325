package main

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"encoding/json"

	"qunbot/bot/wecom"
	"qunbot/config"
	"qunbot/simulator"
	"qunbot/store"
	"qunbot/store/storetest"
)

// A town is the whole program and another implementation of the platform, with
// one clock that the test moves.
type town struct {
	*testing.T
	options  store.Options
	settings string // path
	url      string // the platform's
	sim      *simulator.Simulator
	service  *running
	address  atomic.Pointer[url.URL] // the service's

	mu    sync.Mutex
	calls map[string]int // of the platform's API, by path and webhook key
	open  map[string]int // those that are not answered yet
}

const (
	townApp = "app-secret-0123456789"
	townKF  = "wkTOWN0001"
	newsDay = `<?xml version="1.0"?><rss version="2.0"><channel><title>商场</title>
<item><title>周末市集开张</title><link>https://example.com/1</link><description>一楼中庭</description><pubDate>%s</pubDate></item>
</channel></rss>`
)

// newTown starts platform and service. Groups have webhooks of these keys, of
// which the platform knows those that begin with "hook".
func newTown(t *testing.T, o store.Options, keys ...string) *town {
	w := &town{T: t, options: o, calls: map[string]int{}, open: map[string]int{}}
	mux := http.NewServeMux()
	server := httptest.NewServer(w.counted(mux))
	t.Cleanup(server.Close)
	w.url = server.URL
	c := simulator.Config{
		BaseURL: server.URL, CorpID: "ww0123456789abcdef",
		Apps:   []simulator.App{{AgentID: "1000002", Secret: townApp, Token: testToken, AESKey: testAESKey, CallbackURL: server.URL + "/wecom/app"}},
		Bots:   []simulator.Bot{{Name: testBot, DisplayName: "小助手", Token: testToken, AESKey: testAESKey, CallbackURL: server.URL + "/wecom/aibot/" + testBot}},
		People: []simulator.Person{{ID: "zhangsan", Kind: simulator.Member, Name: "张三"}, {ID: "wmTOWN0001", Kind: simulator.Customer, Name: "小王", UnionID: "uTOWN"}},
		KF:     []simulator.KFAccount{{ID: townKF, Name: "南湖天地客服", Servicers: []string{"zhangsan"}}},
		Now:    time.Now, Log: slog.New(slog.DiscardHandler),
	}
	var groups strings.Builder
	for i, key := range keys {
		id := fmt.Sprintf("wrkTOWN%d", i+1)
		fmt.Fprintf(&groups, "  - {chat_id: %s, name: %d 号群, mall: 示例商场, webhook_key: %s}\n", id, i+1, key)
		if strings.HasPrefix(key, "hook") {
			c.Chats = append(c.Chats, simulator.Chat{
				ID: id, Name: fmt.Sprintf("%d 号群", i+1), Kind: simulator.Internal, Members: []string{"zhangsan"}, Bot: testBot, WebhookKey: key,
			})
		}
	}
	var err error
	if w.sim, err = simulator.New(c); err != nil {
		t.Fatal(err)
	}
	w.sim.Mount(mux)
	mux.Handle("/wecom/", &httputil.ReverseProxy{Rewrite: func(r *httputil.ProxyRequest) { r.SetURL(w.address.Load()) }})
	mux.HandleFunc("/feed.xml", func(rw http.ResponseWriter, _ *http.Request) {
		fmt.Fprintf(rw, newsDay, w.now().Add(-time.Hour).Format(time.RFC1123Z))
	})

	w.settings = filepath.Join(t.TempDir(), "qunbot.yaml")
	text := fmt.Sprintf(`listen: 127.0.0.1:0
secret_key_file: qunbot.key
database: {driver: %s, dsn: %q}
wecom:
  api_base: %s
  corp_id: ww0123456789abcdef
  app: {agent_id: 1000002, secret: %s, token: %s, aes_key: %s}
  kf: {accounts: [%s]}
  bots:
    - {name: %s, display_name: 小助手, token: %s, aes_key: %s}
news: {feeds: [{name: 商场, url: %s/feed.xml}], allow_private_addresses: true}
operators: [{userid: zhangsan, role: owner}]
groups:
%s`, o.Driver, o.DSN, w.url, townApp, testToken, testAESKey, townKF, testBot, testToken, testAESKey, w.url, groups.String())
	if err := os.WriteFile(w.settings, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	w.service = start(t, w.settings, func(ctx context.Context, cfg config.Config, env environment) error {
		env.Now = w.now
		return run(ctx, cfg, env)
	})
	w.address.Store(&url.URL{Scheme: "http", Host: w.service.address})
	runUntilEnd(t, w.sim.Run)
	return w
}

// runUntilEnd runs something until the test ends.
func runUntilEnd(t *testing.T, run func(context.Context) error) {
	ctx, stop := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- run(ctx) }()
	t.Cleanup(func() {
		stop()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
}

// counted counts the calls of the platform's API.
func (w *town) counted(next http.Handler) http.Handler {
	return http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		name := strings.TrimPrefix(r.URL.Path, "/cgi-bin/")
		if key := r.URL.Query().Get("key"); key != "" {
			name += " " + key
		}
		w.count(name, 1)
		defer w.count(name, 0)
		next.ServeHTTP(rw, r)
	})
}

// count notes that a call began, or with 0 that it ended.
func (w *town) count(name string, begun int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.calls[name] += begun
	w.open[name] += 2*begun - 1
}

func (w *town) called(name string) int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.calls[name]
}

// now is the clock of the platform and of the service.
func (w *town) now() time.Time { return time.Now().Add(w.sim.Ahead()) }

// until waits for a condition.
func (w *town) until(what string, holds func() bool) {
	w.Helper()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	late := time.After(30 * time.Second)
	for !holds() {
		select {
		case <-tick.C:
		case <-late:
			w.Fatalf("not within 30 s: %s\nposts: %s", what, w.posts())
		}
	}
}

// shown returns how often a text stands in a chat.
func (w *town) shown(chat, text string) (n int) {
	w.Helper()
	resp, err := http.Get(w.url + "/sim/api/state")
	if err != nil {
		w.Fatal(err)
	}
	defer resp.Body.Close()
	var state struct {
		Lines []json.RawMessage
	}
	if err := json.NewDecoder(resp.Body).Decode(&state); err != nil {
		w.Fatal(err)
	}
	for _, l := range state.Lines {
		if line := string(l); strings.Contains(line, `"chat":"`+chat) && strings.Contains(line, text) {
			n++
		}
	}
	return n
}

// posts says what is in the outbox.
func (w *town) posts() string {
	w.Helper()
	var b strings.Builder
	withDatabase(w.T, w.options, func(db *store.Store) {
		err := db.View(w.Context(), func(tx *store.Tx) error {
			posts, err := tx.Posts(tx.Context(), store.PostFilter{Limit: 100, Oldest: true})
			for _, p := range posts {
				fmt.Fprintf(&b, "%s %s %s %.40q\n", p.Lane, p.State, p.Reason, p.Text)
			}
			return err
		})
		if err != nil {
			w.Fatal(err)
		}
	})
	return b.String()
}

func (w *town) job(name string) {
	w.Helper()
	if out, err := command(w.T, "job", "run", name, "--config", w.settings); err != nil {
		w.Fatalf("job run %s: %v\n%s", name, err, out)
	}
}

// The day's news is posted into each group once, however often the job runs,
// and whatever the platform answers meanwhile.
func TestNewsArriveOnce(t *testing.T) {
	storetest.EachOptions(t, func(t *testing.T, o store.Options) {
		w := newTown(t, o, "hook-one", "hook-two", "gone-three")
		w.job("news.fetch")

		// 45009: the posts wait for the next minute, which is not near.
		now := w.now()
		w.sim.Advance(now.Truncate(time.Minute).Add(time.Minute + 5*time.Second).Sub(now))
		must(t, w.sim.SetFault("webhook/send", simulator.FaultFrequency, 3))
		w.job("news.post")
		w.until("all posts wait", func() bool { return strings.Count(w.posts(), " 45009 api freq") == 3 })
		w.job("news.post") // once more
		if n := w.shown("wrkTOWN", "周末市集开张"); n != 0 {
			t.Errorf("the news stand in %d groups before their time", n)
		}
		w.sim.Advance(61 * time.Second)
		for _, chat := range []string{"wrkTOWN1", "wrkTOWN2"} {
			w.until("news in "+chat, func() bool { return w.shown(chat, "周末市集开张") == 1 })
		}
		w.job("news.post")

		// 93000: the third webhook is not there. Staff are told, once.
		w.until("staff are told of the dead webhook", func() bool { return w.shown("", "发不出去了") == 1 })
		w.until("nothing waits", func() bool { return !strings.Contains(w.posts(), "queued") && !strings.Contains(w.posts(), "sending") })
		if !strings.Contains(w.posts(), "failed") {
			t.Errorf("no post failed:\n%s", w.posts())
		}
		for _, chat := range []string{"wrkTOWN1", "wrkTOWN2"} {
			if n := w.shown(chat, "周末市集开张"); n != 1 {
				t.Errorf("%s shows the news %d times", chat, n)
			}
		}
		for _, key := range []string{"hook-one", "hook-two", "gone-three"} {
			if n := w.called("webhook/send " + key); n != 2 {
				t.Errorf("%s was called %d times, want 2: once over the limit", key, n)
			}
		}
	})
}

// A token that expired before its time is fetched once, and the message goes.
func TestExpiredTokenHeals(t *testing.T) {
	w := newTown(t, storetest.SQLite(t), "gone-one", "gone-two", "gone-three")
	must(t, w.sim.SetFault("message/send", simulator.FaultToken, 1))
	w.job("news.fetch")
	w.job("news.post")
	w.until("staff are told of all dead webhooks", func() bool { return w.shown("", "发不出去了") == 3 })
	if n := w.called("gettoken"); n != 2 {
		t.Errorf("gettoken was called %d times, want 2: the first, and one to heal", n)
	}
}

// A destination that hangs delays no other.
func TestHangingDestination(t *testing.T) {
	w := newTown(t, storetest.SQLite(t), "hook-one", "hook-two", "hook-three", "hook-four")
	w.job("news.fetch")
	must(t, w.sim.SetFault("webhook/send", simulator.FaultHang, 1))
	w.job("news.post")
	w.until("three groups have the news", func() bool { return w.shown("wrkTOWN", "周末市集开张") == 3 })
	hanging := 0
	w.mu.Lock()
	for name, n := range w.open {
		if strings.HasPrefix(name, "webhook/send") {
			hanging += n
		}
	}
	w.mu.Unlock()
	if hanging != 1 {
		t.Errorf("%d calls hang while the others have arrived, want 1", hanging)
	}
}

// do presses something on the platform's page.
func (w *town) do(action string, body map[string]any) {
	w.Helper()
	text, err := json.Marshal(body)
	if err != nil {
		w.Fatal(err)
	}
	resp, err := http.Post(w.url+"/sim/api/"+action, "application/json", bytes.NewReader(text))
	if err != nil {
		w.Fatal(err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		w.Fatalf("%s %s = %s", action, text, resp.Status)
	}
}

// say says something and waits until the chat shows the answer.
func (w *town) say(chat, person, text, answer string) {
	w.Helper()
	before := w.shown(chat, answer)
	w.do("say", map[string]any{"chat": chat, "person": person, "text": text})
	w.until("“"+text+"” is answered with “"+answer+"”", func() bool { return w.shown(chat, answer) > before })
}

// A customer, who can meet no bot in a group, comes by a link, checks in, joins
// a draw, asks for a person and comes back to the bot. The platform's notices
// come twice, and late.
func TestCustomerComesByLink(t *testing.T) {
	w := newTown(t, storetest.SQLite(t), "hook-one")
	w.say("wrkTOWN1", "zhangsan", "@小助手 /抽奖 新建 周末 奖品 电饭煲 x1", "抽奖")

	const customer = "wmTOWN0001"
	must(t, w.sim.SetFault(simulator.AppCallback, simulator.FaultDuplicate, 0))
	w.do("enter", map[string]any{"person": customer, "url": w.kfLink()})
	w.until("the customer is welcomed", func() bool { return w.shown(townKF, "你可以对我说") == 1 })
	w.say(townKF, customer, "签到", "签到成功")
	w.say(townKF, customer, "抽奖", "周末")
	w.say(townKF, customer, "抽奖 周末", "核对码")
	w.say(townKF, customer, "转人工", "已为您转接人工客服")
	w.do("desk", map[string]any{"chat": townKF, "person": "zhangsan", "with": customer, "key": "end"})
	w.until("the bot is back", func() bool { return w.shown(townKF, "人工服务结束了") == 1 })
	w.say(townKF, customer, "签到", "今天已经签到过")
	for text, want := range map[string]int{"你可以对我说": 1, "签到成功": 1, "核对码": 1, "已为您转接人工客服": 1} {
		if n := w.shown(townKF, text); n != want {
			t.Errorf("the customer read %q %d times, want %d", text, n, want)
		}
	}
	withDatabase(t, w.options, func(db *store.Store) {
		verifyLedger(t, db)
		must(t, db.View(t.Context(), func(tx *store.Tx) error {
			m, err := tx.MemberByIdentity(tx.Context(), store.UnionID, "uTOWN")
			if err != nil {
				return err
			}
			touch, err := tx.KFTouchOf(tx.Context(), m.ID)
			if touch.FirstSource != "g=17" {
				t.Errorf("the customer came from %q, want g=17", touch.FirstSource)
			}
			return err
		}))
	})
}

// kfLink returns the link for group 17 as the console shows it.
func (w *town) kfLink() string {
	w.Helper()
	cfg := loadSettings(w.T, w.settings)
	env := environment{Now: w.now, Log: slog.New(slog.DiscardHandler)}
	var link string
	withDatabase(w.T, w.options, func(db *store.Store) {
		key, err := secretKey(cfg)
		must(w.T, err)
		calls, err := wecom.NewAPI(apiConfig(cfg, db, env))
		must(w.T, err)
		kf, err := wecom.NewKF(wecom.KFConfig{Accounts: cfg.WeCom.KF.Accounts, Store: db, API: calls, Secret: key, Now: env.Now, Log: env.Log})
		must(w.T, err)
		base, err := calls.KFContactWay(w.Context(), townKF, "mall")
		must(w.T, err)
		link, err = kf.Link(base, store.KFGroupSource(17))
		must(w.T, err)
	})
	return link
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
