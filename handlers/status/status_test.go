package status_test

import (
	"bytes"
	"context"
	"log/slog"
	"net/http"
	"regexp"
	"strings"
	"testing"
	"time"

	"qunbot/bot"
	"qunbot/handlers"
	"qunbot/handlers/status"
	"qunbot/scheduler"
	"qunbot/store"
	"qunbot/store/storetest"
	"qunbot/watch"
	"qunbot/web/console"
	"qunbot/web/console/consoletest"
)

func TestMain(m *testing.M) { storetest.Main(m) }

var noon = time.Date(2026, 11, 21, 4, 0, 0, 0, time.UTC) // 12:00 in Asia/Shanghai

// A service is the feature over a database, with a clock.
type service struct {
	t    *testing.T
	db   *store.Store
	now  time.Time
	told []string
	keys map[string]bool
	log  bytes.Buffer
	handlers.Feature
}

func newService(t *testing.T, db *store.Store) *service {
	s := &service{t: t, db: db, now: noon, keys: map[string]bool{}}
	now := func() time.Time { return s.now }
	s.Feature = status.New(
		handlers.Deps{Store: db, Now: now, Zone: db.Zone(), Log: slog.New(slog.NewTextHandler(&s.log, nil))},
		status.Config{
			Sources: watch.Sources{Jobs: func() *scheduler.Scheduler { return nil }, Now: now, Clock: now},
			Minutes: func(n int) []int64 { return make([]int64, n) },
			Process: "a/1 X",
			Tell: func(_ context.Context, _ *store.Tx, key, text string) error {
				if s.keys[key] {
					t.Errorf("key %s is used twice: the outbox would drop the second text", key)
				}
				s.keys[key] = true
				s.told = append(s.told, text)
				return nil
			},
			PublicURL: "https://fans.example.com",
		})
	return s
}

func (s *service) update(fn func(ctx context.Context, tx *store.Tx) error) {
	s.t.Helper()
	if err := s.db.Update(s.t.Context(), func(tx *store.Tx) error { return fn(tx.Context(), tx) }); err != nil {
		s.t.Fatal(err)
	}
}

// doubt makes a post of which nobody knows whether it was sent; the trouble of
// these tests.
func (s *service) doubt(key string) (id int64) {
	s.t.Helper()
	s.update(func(ctx context.Context, tx *store.Tx) error {
		err := bot.Push(ctx, tx, bot.Post{Key: key, Lane: "webhook/1", Reply: bot.Textf("恭喜"), Delivery: bot.AtMostOnce})
		if err != nil {
			return err
		}
		if err := tx.AddLanes(ctx, []string{"webhook/1"}, s.now); err != nil {
			return err
		}
		p, err := tx.PostByKey(ctx, key)
		if err != nil {
			return err
		}
		if err := tx.StartPosts(ctx, []int64{p.ID}); err != nil {
			return err
		}
		id, p.State, p.EndedAt = p.ID, store.PostUnknown, &s.now
		_, err = tx.SettlePost(ctx, p)
		return err
	})
	return id
}

func (s *service) resolve(id int64) {
	s.t.Helper()
	s.update(func(ctx context.Context, tx *store.Tx) error {
		_, err := tx.ResolveSent(ctx, id, "", s.now)
		return err
	})
}

// check runs the job after a time and expects it to tell what holds want, or
// nothing if that is empty.
func (s *service) check(after time.Duration, want string) {
	s.t.Helper()
	s.now = s.now.Add(after)
	s.told = nil
	if err := s.Jobs[0].Run(s.t.Context(), s.now); err != nil {
		s.t.Fatal(err)
	}
	got := strings.Join(s.told, "\n")
	if want == "" && got != "" || want != "" && (len(s.told) != 1 || !strings.Contains(got, want)) {
		s.t.Errorf("at %v it told %q, want %q", s.now.Sub(noon), got, want)
	}
}

func TestStaffAreTold(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.Store) {
		s := newService(t, db)
		s.check(0, "")

		// Once when it begins, once a day while it lasts, once when it is over.
		first := s.doubt("first")
		s.check(time.Minute, "❗ 有消息不知道是否送达：1 条")
		if !strings.Contains(s.log.String(), `level=ERROR msg="alert began" alert=outbox.unknown`) {
			t.Errorf("log %q, want a line of the alert at ERROR", s.log.String())
		}
		s.check(time.Minute, "")
		second := s.doubt("second")
		s.check(23*time.Hour, "")
		s.check(time.Hour, "⏳ 还没好：有消息不知道是否送达（1 天前起）：2 条")
		s.check(time.Hour, "")
		s.resolve(first)
		s.check(time.Minute, "")
		s.resolve(second)
		s.check(time.Minute, "")
		s.check(3*time.Minute, "")
		s.check(2*time.Minute, "✅ 恢复：有消息不知道是否送达（持续 1 天 1 小时）")
		s.check(time.Minute, "")

		// What comes and goes within minutes is one alert.
		for range 3 {
			id := s.doubt("flap " + s.now.String())
			s.check(time.Minute, map[bool]string{true: "❗"}[len(s.keys) == 3])
			s.resolve(id)
			s.check(2*time.Minute, "")
		}
		s.check(5*time.Minute, "✅ 恢复")

		// Whoever looks after it needs no reminder, but hears when it is over.
		last := s.doubt("last")
		s.check(time.Minute, "❗")
		s.update(func(ctx context.Context, tx *store.Tx) error {
			open, err := tx.OpenAlerts(ctx)
			if err != nil {
				return err
			}
			_, err = tx.AckAlert(ctx, open[0].ID, 1, s.now)
			return err
		})
		s.check(25*time.Hour, "")
		s.resolve(last)
		s.check(10*time.Minute, "✅ 恢复")
	})
}

func TestPage(t *testing.T) {
	s := newService(t, storetest.Open(t))
	now := func() time.Time { return s.now }
	b := consoletest.Open(t, console.Config{Store: s.db, Pages: s.Console, Now: now, Log: slog.New(slog.DiscardHandler)})
	b.SignIn(s.db, store.Operator{UserID: "z", Name: "张三", Role: store.Manager, CreatedAt: noon})
	const path = "/console/status"
	b.Holds("the page of a new service", b.Get(path), "一切正常", "还没有心跳", "没有中断过")

	s.update(func(ctx context.Context, tx *store.Tx) error {
		if err := tx.SetSetting(ctx, "uptime.since", noon.AddDate(0, -2, 0)); err != nil {
			return err
		}
		for _, r := range []store.Replica{
			{Name: "a/1 X", Host: "a", Version: "v1.2.3", StartedAt: noon.Add(-3 * time.Hour), BeatAt: noon.Add(-4 * time.Second),
				Answers: 3000, LastMinute: 612, MeanAnswer: 38 * time.Millisecond, P50: 30 * time.Millisecond, P99: 130 * time.Millisecond, Waiting: 7},
			{Name: "b/2 Y", Host: "b", StartedAt: noon.Add(-3 * time.Hour), BeatAt: noon.Add(-10 * time.Minute)},
			{Name: "c/3 Z", Host: "c", StartedAt: noon.Add(-3 * time.Hour), BeatAt: noon.Add(-time.Hour), Stopped: true},
		} {
			if err := tx.PutReplica(ctx, r); err != nil {
				return err
			}
		}
		_, err := tx.AddOutage(ctx, store.Outage{BeganAt: noon.AddDate(0, 0, -3), EndedAt: noon.AddDate(0, 0, -3).Add(21*time.Minute + 36*time.Second)})
		return err
	})
	s.doubt("doubt")
	s.check(time.Second, "❗")
	text := b.Get(path)
	b.Holds("the page", text,
		"612 条", "7 条在等", "38 毫秒", "99% 在 130 毫秒内", // now
		"有消息不知道是否送达", "一个进程没有了消息", "b/2 Y 从 10 分 1 秒前起", "我来处理", // alerts
		"在运行", "没有消息", "已退出", "v1.2.3", "就是这一个", // processes
		"21 分 36 秒", "用掉允许的 43.2 分钟的 50%", "99.926%", "2026 年 10 月", "100%", // uptime: 21.6 of 20 d 12 h
	)
	if strings.Contains(text, "2026 年 8 月") {
		t.Error("the page shows a month before anything was noted")
	}

	id := regexp.MustCompile(`name="alert" value="(\d+)"`).FindStringSubmatch(text)
	if id == nil {
		t.Fatalf("no alert to take on the page:\n%s", text)
	}
	b.Holds("the page after somebody took it", b.Post(http.StatusOK, path, "alert", id[1]), "张三 在处理")
	b.Holds("the answer to a second one", b.Post(http.StatusUnprocessableEntity, path, "alert", id[1]), "别人已经在处理")
	b.Holds("the answer to nonsense", b.Post(http.StatusUnprocessableEntity, path, "alert", "x"), "没有这条告警")
}
