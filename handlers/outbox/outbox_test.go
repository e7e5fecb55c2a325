package outbox_test

import (
	"context"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strconv"
	"strings"
	"testing"
	"time"

	"qunbot/bot"
	"qunbot/handlers"
	"qunbot/handlers/outbox"
	"qunbot/store"
	"qunbot/store/storetest"
	"qunbot/web/api"
	"qunbot/web/console"
	"qunbot/web/console/consoletest"
)

func TestMain(m *testing.M) { storetest.Main(m) }

var noon = time.Date(2026, 11, 21, 4, 0, 0, 0, time.UTC)

func feature(db *store.Store) handlers.Feature {
	return outbox.New(handlers.Deps{Store: db, Now: func() time.Time { return noon }, Zone: db.Zone(), Log: slog.New(slog.DiscardHandler)})
}

func update(t *testing.T, db *store.Store, fn func(ctx context.Context, tx *store.Tx) error) {
	t.Helper()
	if err := db.Update(t.Context(), func(tx *store.Tx) error { return fn(tx.Context(), tx) }); err != nil {
		t.Fatal(err)
	}
}

// push makes a post in a state and returns its number.
func push(t *testing.T, db *store.Store, key string, state store.PostState) (id int64) {
	t.Helper()
	update(t, db, func(ctx context.Context, tx *store.Tx) error {
		err := bot.Push(ctx, tx, bot.Post{Key: key, Lane: "webhook/1", Reply: bot.Textf("恭喜 %s\n第二行", bot.Name(7)), Delivery: bot.AtMostOnce})
		if err != nil {
			return err
		}
		p, err := tx.PostByKey(ctx, key)
		if err != nil || state == store.PostQueued {
			id = p.ID
			return err
		}
		if err := tx.AddLanes(ctx, []string{p.Lane}, noon); err != nil {
			return err
		}
		if err := tx.StartPosts(ctx, []int64{p.ID}); err != nil {
			return err
		}
		if p, err = tx.PostByKey(ctx, key); err != nil {
			return err
		}
		id, p.State, p.Reason = p.ID, state, "测试"
		_, err = tx.SettlePost(ctx, p)
		return err
	})
	return id
}

func TestActionsFollowTheState(t *testing.T) {
	tests := []struct {
		from store.PostState
		do   string
		want store.PostState // empty: refused
	}{
		{store.PostQueued, "cancel", store.PostCancelled},
		{store.PostQueued, "sent", ""},
		{store.PostFailed, "retry", store.PostQueued},
		{store.PostFailed, "cancel", ""},
		{store.PostUnknown, "sent", store.PostSent},
		{store.PostUnknown, "again", store.PostQueued},
		{store.PostSent, "retry", ""},
		{store.PostSent, "boil", ""},
	}
	storetest.Each(t, func(t *testing.T, db *store.Store) {
		page := feature(db).Console[0]
		for _, tt := range tests {
			id := push(t, db, string(tt.from)+" "+tt.do, tt.from)
			form := url.Values{"post": {strconv.FormatInt(id, 10)}, "do": {tt.do}}
			var err error
			update(t, db, func(ctx context.Context, tx *store.Tx) error {
				_, err = page.Post(ctx, tx, console.Visit{Now: noon, Form: form})
				return nil
			})
			if refused := err != nil; refused != (tt.want == "") {
				t.Errorf("%s a post that is %s = %v, want %q", tt.do, tt.from, err, tt.want)
				continue
			}
			update(t, db, func(ctx context.Context, tx *store.Tx) error {
				p, err := tx.Post(ctx, id)
				want := tt.want
				if want == "" {
					want = tt.from
				}
				if p.State != want {
					t.Errorf("%s a post that was %s: it is %s, want %s", tt.do, tt.from, p.State, want)
				}
				return err
			})
		}
	})
}

func TestPageShowsEveryState(t *testing.T) {
	db := storetest.Open(t)
	for _, state := range []store.PostState{store.PostQueued, store.PostSent, store.PostFailed, store.PostUnknown} {
		push(t, db, string(state), state)
	}
	b := consoletest.Open(t, console.Config{Store: db, Pages: feature(db).Console, Now: func() time.Time { return noon }, Log: slog.New(slog.DiscardHandler)})
	b.SignIn(db, store.Operator{UserID: "z", Name: "张三", Role: store.Owner, CreatedAt: noon})
	b.Holds("every state", b.Get("/console/outbox"), "等待发送", "已发出", "失败", "不确定", "恭喜 会员 7", "重发", "取消", "已送达")
}

func TestAPIListsTheOldestFirst(t *testing.T) {
	db := storetest.Open(t)
	first := push(t, db, "a", store.PostSent)
	push(t, db, "b", store.PostQueued)
	a, err := api.New(api.Config{
		Store: db, Keys: []api.Key{{Name: "pos", Secret: "a key of twenty-four letters"}}, Routes: feature(db).API,
		Now: func() time.Time { return noon }, Log: slog.New(slog.DiscardHandler),
	})
	if err != nil {
		t.Fatal(err)
	}
	mux := http.NewServeMux()
	a.Mount(mux)
	get := func(path string) (int, string) {
		r := httptest.NewRequest(http.MethodGet, "/api/v1"+path, nil)
		r.Header.Set("Authorization", "Bearer a key of twenty-four letters")
		w := httptest.NewRecorder()
		mux.ServeHTTP(w, r)
		return w.Code, w.Body.String()
	}
	if code, body := get("/outbox"); code != 200 || strings.Index(body, `"key":"a"`) > strings.Index(body, `"key":"b"`) || strings.Contains(body, "恭喜") {
		t.Errorf("GET /outbox = %d %s, want a before b and no texts", code, body)
	}
	if code, body := get("/outbox?state=queued&after=" + strconv.FormatInt(first, 10)); code != 200 || strings.Contains(body, `"key":"a"`) {
		t.Errorf("GET /outbox?state=queued = %d %s, want b alone", code, body)
	}
	if code, _ := get("/outbox?state=lost"); code != 400 {
		t.Errorf("GET /outbox?state=lost = %d, want 400", code)
	}
}
