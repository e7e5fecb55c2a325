package draw_test

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"net/url"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"qunbot/bot"
	"qunbot/bot/bottest"
	"qunbot/drawproof"
	"qunbot/handlers"
	"qunbot/handlers/checkin"
	"qunbot/handlers/draw"
	"qunbot/handlers/points"
	"qunbot/scheduler"
	"qunbot/store"
	"qunbot/store/storetest"
	"qunbot/web/api"
	"qunbot/web/console"
	"qunbot/web/portal"
)

// A world is a mall with the feature in it, and its web.
type world struct {
	t       testing.TB
	db      *store.Store
	deps    handlers.Deps
	app     *handlers.App
	job     scheduler.Job
	site    *httptest.Server
	posts   []string // what was announced, in order
	members int      // numbers of messages

	mu    sync.Mutex
	clock time.Time
}

// newWorld returns a world in which it is Saturday noon, with 店长 as owner.
func newWorld(t testing.TB, db *store.Store) *world {
	t.Helper()
	w := &world{t: t, db: db, clock: time.Date(2025, 3, 1, 12, 0, 0, 0, storetest.Zone())}
	w.deps = handlers.Deps{Store: db, Now: w.now, Zone: db.Zone(), Log: slog.New(slog.DiscardHandler)}
	mux := http.NewServeMux()
	w.site = httptest.NewServer(mux)
	t.Cleanup(w.site.Close)
	feature := draw.New(w.deps, draw.Config{PublicURL: w.site.URL, Random: &foreseeable{}, Announce: w.announce})
	w.job = feature.Jobs[0]
	var err error
	if w.app, err = handlers.Register(w.deps, []handlers.Feature{checkin.New(w.deps), points.New(w.deps), feature}); err != nil {
		t.Fatal(err)
	}
	members, err := portal.New(portal.Config{Store: db, Pages: w.app.Portal, Public: w.app.Public, Identifier: signIn{}, Secret: []byte("secret"),
		Now: w.now, Log: w.deps.Log, PublicURL: w.site.URL})
	if err != nil {
		t.Fatal(err)
	}
	members.Mount(mux)
	operators, err := console.New(console.Config{Store: db, Pages: w.app.Console, Now: w.now, Log: w.deps.Log, PublicURL: w.site.URL})
	if err != nil {
		t.Fatal(err)
	}
	operators.Mount(mux)
	routes, err := api.New(api.Config{Store: db, Keys: []api.Key{{Name: "pos", Secret: "0123456789abcdef0123456789abcdef"}}, Routes: w.app.API, Now: w.now, Log: w.deps.Log})
	if err != nil {
		t.Fatal(err)
	}
	routes.Mount(mux)
	w.update(func(tx *store.Tx) error {
		mall, err := tx.MallNamed(tx.Context(), "南湖天地")
		if err != nil {
			return err
		}
		_, err = tx.AddGroup(tx.Context(), store.Group{ChatID: "wrk1", Kind: store.InternalGroup, Name: "粉丝一群", MallID: mall.ID, CreatedAt: w.now()})
		if err != nil {
			return err
		}
		_, err = tx.PutOperator(tx.Context(), store.Operator{UserID: "店长", Name: "店长", Role: store.Owner, CreatedAt: w.now()})
		return err
	})
	if tt, ok := t.(*testing.T); ok {
		bottest.Run(tt, w.app.Engine)
	}
	return w
}

func (w *world) now() time.Time {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.clock
}

func (w *world) advance(d time.Duration) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.clock = w.clock.Add(d)
}

func (w *world) update(fn func(tx *store.Tx) error) {
	w.t.Helper()
	if err := w.db.Update(context.Background(), fn); err != nil {
		w.t.Fatal(err)
	}
}

func (w *world) announce(_ context.Context, _ *store.Tx, group int64, key, text string) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.posts = append(w.posts, fmt.Sprintf("%d %s %s", group, key, text))
	return nil
}

// runJob runs draw.close at the world's time.
func (w *world) runJob() {
	w.t.Helper()
	if err := w.job.Run(context.Background(), w.now()); err != nil {
		w.t.Fatal(err)
	}
}

// say says text in the group and returns the answer.
func (w *world) say(who, text string) string {
	w.t.Helper()
	w.members++
	answer, err := w.app.Engine.Handle(context.Background(), bot.Message{
		Key: store.Key("test", w.members), Endpoint: "test", ChatID: "wrk1", ChatKind: store.InternalGroup,
		From: store.Identity{Kind: store.UserID, Value: who}, Text: text, Addressed: true, SentAt: w.now(),
	})
	if err != nil {
		w.t.Fatalf("%s: %s: %v", who, text, err)
	}
	return answer.Text
}

// name gives somebody who has spoken a name.
func (w *world) name(who, name string) {
	w.t.Helper()
	w.update(func(tx *store.Tx) error {
		m, err := tx.MemberByIdentity(tx.Context(), store.UserID, who)
		if err != nil {
			return err
		}
		return tx.SetName(tx.Context(), m.ID, name)
	})
}

// fill makes a draw of 店长's and enters n members with names; it returns the
// draw.
func (w *world) fill(order string, n int) store.Draw {
	w.t.Helper()
	if text := w.say("店长", order); !strings.Contains(text, "【抽奖") {
		w.t.Fatalf("%s: %s", order, text)
	}
	d := w.newest()
	for i := range n {
		who := fmt.Sprintf("u%d", i)
		if text := w.say(who, fmt.Sprintf("抽奖 %d", d.Number)); !strings.Contains(text, "报名成功") {
			w.t.Fatalf("%s: %s", who, text)
		}
		w.name(who, people[i%len(people)])
		w.advance(time.Second)
	}
	return w.newest()
}

var people = []string{"王芳", "李强", "张敏", "刘洋", "陈静", "杨磊", "赵丽", "黄勇", "周涛", "吴娟", "乐乐妈妈", "Momo", "一颗小白菜", "😀开心"}

func (w *world) newest() (d store.Draw) {
	w.t.Helper()
	w.update(func(tx *store.Tx) error {
		list, err := tx.Draws(tx.Context(), store.DrawFilter{Limit: 1})
		if err == nil && len(list) > 0 {
			d = list[0]
		}
		return err
	})
	return d
}

// wins returns a draw's ranking.
func (w *world) wins(id int64) (list []store.DrawWin) {
	w.t.Helper()
	w.update(func(tx *store.Tx) (err error) {
		list, err = tx.DrawWins(tx.Context(), id)
		return err
	})
	return list
}

// record reads a draw's record as anybody may.
func (w *world) record(d store.Draw) drawproof.Record {
	w.t.Helper()
	r, err := drawproof.Decode(strings.NewReader(newBrowser(w).get("/draws/"+d.PublicID+"/record.json", 200)))
	if err != nil {
		w.t.Fatal(err)
	}
	return r
}

// signIn is a platform where the code is the id of who signs in; the address
// that asks has none, so a test adds ?as=.
type signIn struct{}

func (signIn) AuthorizeURL(redirect, state string) string {
	return redirect + "?state=" + url.QueryEscape(state) + "&code=u0"
}

func (signIn) Identify(_ context.Context, code string) (store.Identity, string, error) {
	return store.Identity{Kind: store.UserID, Value: code}, "", nil
}

// A client is a browser without scripts.
type client struct {
	w *world
	*http.Client
}

func newBrowser(w *world) *client {
	jar, err := cookiejar.New(nil)
	if err != nil {
		w.t.Fatal(err)
	}
	return &client{w, &http.Client{Jar: jar}}
}

func (c *client) get(path string, status int) string {
	c.w.t.Helper()
	answer, err := c.Get(c.w.site.URL + path)
	return c.body(path, answer, err, status)
}

var formKey = regexp.MustCompile(`name="_key" value="([A-Z2-7]+)"`)

// post sends the first form of a page, with these fields.
func (c *client) post(path string, fields url.Values, status int) string {
	c.w.t.Helper()
	key := formKey.FindStringSubmatch(c.get(path, 200))
	if key == nil {
		c.w.t.Fatalf("%s has no form", path)
	}
	fields.Set("_key", key[1])
	answer, err := c.PostForm(c.w.site.URL+path, fields)
	return c.body(path, answer, err, status)
}

func (c *client) body(path string, answer *http.Response, err error, status int) string {
	c.w.t.Helper()
	if err != nil {
		c.w.t.Fatal(err)
	}
	defer answer.Body.Close()
	text, err := io.ReadAll(answer.Body)
	if err != nil {
		c.w.t.Fatal(err)
	}
	if answer.StatusCode != status {
		c.w.t.Fatalf("%s: status %d, want %d\n%s", path, answer.StatusCode, status, text)
	}
	return string(text)
}

// operator signs an operator into the console.
func (w *world) operator(userID string, role store.Role) *client {
	w.t.Helper()
	c := newBrowser(w)
	if _, err := c.PostForm(w.loginURL(userID, role), nil); err != nil {
		w.t.Fatal(err)
	}
	return c
}

func (w *world) loginURL(userID string, role store.Role) (address string) {
	w.t.Helper()
	w.update(func(tx *store.Tx) error {
		o, err := tx.PutOperator(tx.Context(), store.Operator{UserID: userID, Name: userID, Role: role, CreatedAt: w.now()})
		if err != nil {
			return err
		}
		token, err := tx.AddLoginLink(tx.Context(), o.ID, w.now().Add(time.Hour))
		address = console.LoginURL(w.site.URL, token)
		return err
	})
	return address
}
