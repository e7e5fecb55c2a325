package draw_test

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
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
	"qunbot/web/console/consoletest"
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
	if w.app, err = handlers.Register(w.deps, []handlers.Feature{checkin.New(w.deps), points.New(w.deps, nil), feature}); err != nil {
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
	r, err := drawproof.Decode(strings.NewReader(w.browser().Get("/draws/" + d.PublicID + "/record.json")))
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

// browser returns a browser of nobody's.
func (w *world) browser() *consoletest.Browser { return consoletest.New(w.t, w.site.URL) }

// operator returns a browser with an operator signed in.
func (w *world) operator(userID string, role store.Role) *consoletest.Browser {
	w.t.Helper()
	b := w.browser()
	b.SignIn(w.db, store.Operator{UserID: userID, Name: userID, Role: role, CreatedAt: w.now()})
	return b
}

// loginURL returns an address that lets an operator in once.
func (w *world) loginURL(userID string, role store.Role) string {
	w.t.Helper()
	return w.site.URL + consoletest.LoginPath(w.t, w.db, store.Operator{UserID: userID, Name: userID, Role: role, CreatedAt: w.now()})
}
