package watch_test

import (
	"context"
	"database/sql"
	"errors"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"qunbot/bot"
	"qunbot/store"
	"qunbot/store/storetest"
	"qunbot/watch"
)

func TestMain(m *testing.M) { storetest.Main(m) }

var noon = time.Date(2026, 11, 21, 4, 0, 0, 0, time.UTC) // 12:00 in Asia/Shanghai

// beatOnce lets p beat once and stop, so that it has written to the database.
func beatOnce(t *testing.T, p *watch.Pulse) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := p.Run(ctx); err != nil {
		t.Fatal(err)
	}
}

func update(t *testing.T, db *store.Store, f func(ctx context.Context, tx *store.Tx) error) {
	t.Helper()
	if err := db.Update(t.Context(), func(tx *store.Tx) error { return f(tx.Context(), tx) }); err != nil {
		t.Fatal(err)
	}
}

// push stores a due post and notes when the outbox saw it.
func push(t *testing.T, db *store.Store, key, lane string, seen time.Time) {
	t.Helper()
	update(t, db, func(ctx context.Context, tx *store.Tx) error {
		err := bot.Push(ctx, tx, bot.Post{Key: key, Lane: lane, Reply: bot.Reply{Text: key}, Delivery: bot.AtMostOnce})
		if err != nil {
			return err
		}
		p, err := tx.PostByKey(ctx, key)
		if err != nil {
			return err
		}
		return tx.SeePosts(ctx, []int64{p.ID}, seen)
	})
}

func TestReadySaysWhatIsWrong(t *testing.T) {
	type service struct {
		db       *store.Store
		now      time.Time
		progress bot.Progress
		looked   time.Time
		ready    *watch.Ready
		pulse    *watch.Pulse
		raw      func(query string)
	}
	tests := []struct {
		name string
		harm func(t *testing.T, s *service)
		want string // the failing line; empty: ready
	}{
		{"all is well", func(t *testing.T, s *service) {}, ""},
		{"the engine is at work", func(t *testing.T, s *service) { s.progress.Since = noon.Add(-10 * time.Second) }, ""},
		{"the engine is at one batch", func(t *testing.T, s *service) { s.progress.Since = noon.Add(-time.Minute) }, "fail engine: at one batch for 1m"},
		{"the engine has ended", func(t *testing.T, s *service) { s.progress.Running = false }, "fail engine: does not run"},
		{"the outbox hangs", func(t *testing.T, s *service) { s.looked = noon.Add(-time.Minute) }, "fail lanes: the outbox last looked for work 1m0s ago"},
		{"the outbox has not begun", func(t *testing.T, s *service) { s.looked = time.Time{} }, "fail lanes: the outbox has not begun"},
		{"nobody takes a post", func(t *testing.T, s *service) { push(t, s.db, "stuck", "webhook/1", noon.Add(-3*time.Minute)) }, "fail lanes: 1 posts that nobody takes"},
		{"a post has just come", func(t *testing.T, s *service) { push(t, s.db, "fresh", "webhook/1", noon.Add(-time.Second)) }, ""},
		{"a lane waits for its limit", func(t *testing.T, s *service) {
			push(t, s.db, "limited", "webhook/1", noon.Add(-time.Hour))
			update(t, s.db, func(ctx context.Context, tx *store.Tx) error {
				if err := tx.AddLanes(ctx, []string{"webhook/1"}, noon.Add(-time.Hour)); err != nil {
					return err
				}
				l, err := tx.Lane(ctx, "webhook/1")
				if err != nil {
					return err
				}
				l.WaitUntil = noon.Add(time.Minute)
				_, err = tx.SetLane(ctx, l)
				return err
			})
		}, ""},
		{"no beat for long", func(t *testing.T, s *service) { s.now = noon.Add(time.Minute); s.looked = s.now }, "fail database: last written to 1m0s ago"},
		{"a migration is missing", func(t *testing.T, s *service) { s.raw("DELETE FROM migrations WHERE id LIKE '%outages%'") }, "fail schema: 1 migrations missing"},
		{"a newer replica has migrated", func(t *testing.T, s *service) { s.raw("INSERT INTO migrations (id) VALUES ('2030-01-01 future')") }, ""},
		{"no write gets through", func(t *testing.T, s *service) {
			s.raw("DROP TABLE replicas")
			s.raw("CREATE TABLE replicas (name varchar(80) PRIMARY KEY, started_at datetime, stopped boolean)")
			beatOnce(t, s.pulse)
		}, "fail database: takes no writes"},
		{"the database is gone", func(t *testing.T, s *service) { s.db.Close() }, "fail database: does not answer"},
		{"it is about to stop", func(t *testing.T, s *service) { s.ready.Drain() }, "fail stopping"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			o := storetest.SQLite(t)
			db, err := store.Open(t.Context(), o)
			if err != nil {
				t.Fatal(err)
			}
			defer db.Close()
			raw, err := sql.Open(o.Driver, o.DSN)
			if err != nil {
				t.Fatal(err)
			}
			defer raw.Close()
			s := &service{db: db, now: noon, looked: noon, progress: bot.Progress{Running: true}}
			s.raw = func(query string) {
				if _, err := raw.Exec(query); err != nil {
					t.Fatal(err)
				}
			}
			now := func() time.Time { return s.now }
			progress := func() bot.Progress { return s.progress }
			s.pulse = watch.NewPulse(watch.PulseConfig{Store: db, Metrics: watch.NewMetrics(watch.Build{}, now), Progress: progress,
				Clock: now, Log: slog.New(slog.DiscardHandler), Host: "a", Process: "1"})
			s.ready = &watch.Ready{Store: db, Pulse: s.pulse, Progress: progress, Looked: func() time.Time { return s.looked }, Now: now}
			beatOnce(t, s.pulse)
			tt.harm(t, s)
			w := httptest.NewRecorder()
			s.ready.ServeHTTP(w, httptest.NewRequest("GET", "/readyz", nil))
			status, failed := http.StatusOK, ""
			for line := range strings.Lines(w.Body.String()) {
				if strings.HasPrefix(line, "fail") {
					failed = line
					break
				}
			}
			if tt.want != "" {
				status = http.StatusServiceUnavailable
			}
			if w.Code != status || !strings.HasPrefix(failed, tt.want) || tt.want == "" && failed != "" {
				t.Errorf("GET /readyz = %d\n%swant %d with %q", w.Code, w.Body, status, tt.want)
			}
		})
	}
}

// Of two replicas whose clocks differ, the one that is farther from the
// database's clock is not ready. The test's database has the machine's clock.
func TestReadyComparesClocks(t *testing.T) {
	db, err := store.Open(t.Context(), storetest.MySQL(t))
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	tests := []struct {
		name       string
		mine       time.Duration // ahead of the database
		other      time.Duration
		otherBeats time.Duration // ago
		ready      bool
	}{
		{"both right", 0, time.Second, 0, true},
		{"mine is wrong", 10 * time.Second, 0, 0, false},
		{"mine is behind", -10 * time.Second, 0, 0, false},
		{"the other one is wrong", 0, 10 * time.Second, 0, true},
		{"both wrong in the same way", 10 * time.Second, 9 * time.Second, 0, true},
		{"the other one is dead", 10 * time.Second, 0, time.Minute, true},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			now := func() time.Time { return time.Now().Add(tt.mine) }
			progress := func() bot.Progress { return bot.Progress{Running: true} }
			p := watch.NewPulse(watch.PulseConfig{Store: db, Metrics: watch.NewMetrics(watch.Build{}, now), Progress: progress,
				Clock: now, Log: slog.New(slog.DiscardHandler), Host: "mine", Process: "1"})
			ready := &watch.Ready{Store: db, Pulse: p, Progress: progress, Looked: now, Now: now}
			beatOnce(t, p)
			update(t, db, func(ctx context.Context, tx *store.Tx) error {
				return tx.PutReplica(ctx, store.Replica{Name: "other", Host: "other", StartedAt: now(), BeatAt: now().Add(-tt.otherBeats), Offset: tt.other})
			})
			w := httptest.NewRecorder()
			ready.ServeHTTP(w, httptest.NewRequest("GET", "/readyz", nil))
			if got := w.Code == http.StatusOK; got != tt.ready {
				t.Errorf("GET /readyz = %d, want ready %v\n%s", w.Code, tt.ready, w.Body)
			}
			if !tt.ready && !strings.Contains(w.Body.String(), "fail clock: ") {
				t.Errorf("GET /readyz says\n%swant a line that begins with fail clock", w.Body)
			}
			update(t, db, func(ctx context.Context, tx *store.Tx) error { return tx.PruneReplicas(ctx, now().Add(time.Hour)) })
		})
	}
}

func TestInsideIsForThoseWhoAskDirectly(t *testing.T) {
	tests := []struct {
		name         string
		remote, host string
		header       string
		loopbackOnly bool
		want         int
	}{
		{"from this machine", "127.0.0.1:5000", "127.0.0.1:8080", "", true, 200},
		{"by name", "127.0.0.1:5000", "localhost:8080", "", true, 200},
		{"by IPv6", "[::1]:5000", "[::1]:8080", "", true, 200},
		{"from elsewhere", "192.0.2.7:5000", "127.0.0.1:8080", "", true, 404},
		{"through a proxy on this machine", "127.0.0.1:5000", "127.0.0.1:8080", "X-Forwarded-For", true, 404},
		{"through one that says so otherwise", "127.0.0.1:5000", "127.0.0.1:8080", "Forwarded", true, 404},
		{"through one with its own header", "127.0.0.1:5000", "127.0.0.1:8080", "X-Real-Ip", true, 404},
		{"through one that passes the name on", "127.0.0.1:5000", "fans.example.com", "", true, 404},
		{"a name that only looks right", "127.0.0.1:5000", "localhost.example.com", "", true, 404},
		{"the console's own address", "192.0.2.7:5000", "10.0.0.2:8081", "", false, 200},
		{"the console's own address through a proxy", "192.0.2.7:5000", "10.0.0.2:8081", "X-Forwarded-For", false, 404},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			h := watch.Inside(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {}), tt.loopbackOnly)
			r := httptest.NewRequest("GET", "/metrics", nil)
			r.RemoteAddr, r.Host = tt.remote, tt.host
			if tt.header != "" {
				r.Header.Set(tt.header, "198.51.100.1")
			}
			w := httptest.NewRecorder()
			h.ServeHTTP(w, r)
			if w.Code != tt.want {
				t.Errorf("GET /metrics = %d, want %d", w.Code, tt.want)
			}
		})
	}
}

// An error of the caller is none of the storage.
func TestOnlyStorageErrorsCount(t *testing.T) {
	m := watch.NewMetrics(watch.Build{}, func() time.Time { return noon })
	for _, err := range []error{nil, store.ErrNotFound, errors.New("no points"), context.Canceled} {
		m.Transaction(store.Transaction{Write: true, Tries: 1, Err: err})
	}
	if f := m.Lately(); f.DBErrors != 0 {
		t.Errorf("%d errors of the database, want 0", f.DBErrors)
	}
	m.Transaction(store.Transaction{Write: true, Tries: 1, Err: context.DeadlineExceeded})
	if f := m.Lately(); f.DBErrors != 1 {
		t.Errorf("%d errors of the database after one, want 1", f.DBErrors)
	}
}
