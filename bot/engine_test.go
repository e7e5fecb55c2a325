package bot_test

import (
	"bytes"
	"context"
	"database/sql/driver"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"qunbot/bot"
	"qunbot/bot/bottest"
	"qunbot/store"
	"qunbot/store/storetest"
)

func TestMain(m *testing.M) { storetest.Main(m) }

var noon = time.Date(2026, 11, 21, 4, 0, 0, 0, time.UTC) // 12:00 in Asia/Shanghai

// message is one that lisi says in a group.
func message(id, text string) bot.Message {
	return bot.Message{
		Key: store.Key("test", id), Endpoint: "test", BotName: "小助手",
		ChatID: "wrk1", ChatKind: store.InternalGroup,
		From: store.Identity{Kind: store.UserID, Value: "lisi"},
		Text: text, Addressed: true, SentAt: noon,
	}
}

// count returns a command that answers how often it was said, from the store.
func count(t *testing.T, runs *atomic.Int64) bot.Command {
	return bot.Command{Words: []string{"数数"}, Help: "数一数", Handle: func(ctx context.Context, tx *store.Tx, m bot.Message) (bot.Reply, error) {
		runs.Add(1)
		var n int
		if err := tx.Setting(ctx, "count", &n); err != nil {
			return bot.Reply{}, err
		}
		return bot.Textf("第 %d 次", n+1), tx.SetSetting(ctx, "count", n+1)
	}}
}

func command(word string, handle bot.Handler) bot.Command {
	return bot.Command{Words: []string{word}, Help: word, Feature: "test", Handle: handle}
}

func newEngine(t *testing.T, db *store.Store, commands ...bot.Command) *bot.Engine {
	t.Helper()
	router, err := bot.NewRouter(commands)
	if err != nil {
		t.Fatal(err)
	}
	return bot.NewEngine(bot.EngineConfig{
		Store: db, Router: router, Now: func() time.Time { return noon }, Log: slog.New(slog.DiscardHandler),
	})
}

func handle(t *testing.T, e *bot.Engine, m bot.Message) bot.Answer {
	t.Helper()
	a, err := e.Handle(t.Context(), m)
	if err != nil {
		t.Fatalf("Handle(%q) = %v", m.Text, err)
	}
	return a
}

// decision returns why a message got its answer.
func decision(t *testing.T, db *store.Store, key string) store.ExplainedMessage {
	t.Helper()
	var found store.ExplainedMessage
	err := db.View(t.Context(), func(tx *store.Tx) error {
		all, err := tx.Decisions(tx.Context(), store.DecisionFilter{Limit: 1000})
		for _, d := range all {
			if d.Key == key {
				found = d
			}
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return found
}

func TestRedeliveryGetsTheSameAnswer(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.Store) {
		var runs atomic.Int64
		e := newEngine(t, db, count(t, &runs))
		bottest.Run(t, e)
		first := handle(t, e, message("1", "数数"))
		again := handle(t, e, message("1", "数数"))
		if again.Text != "第 1 次" || again.StreamID != first.StreamID || !again.Replayed || runs.Load() != 1 {
			t.Errorf("delivered again = %+v after %d runs, want %+v replayed after 1", again, runs.Load(), first)
		}
		if next := handle(t, e, message("2", "@小助手 数数")); next.Text != "第 2 次" {
			t.Errorf("next message = %q, want 第 2 次", next.Text)
		}
	})
}

// The same delivery may be in one batch twice, and many messages in many
// batches: each is run once.
func TestConcurrentMessages(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.Store) {
		var runs atomic.Int64
		e := newEngine(t, db, count(t, &runs))
		const messages, deliveries = 40, 4
		answers := make([]sync.Map, messages)
		var wg sync.WaitGroup
		for n := range messages {
			for range deliveries {
				wg.Go(func() {
					a, err := e.Handle(t.Context(), message(fmt.Sprint(n), "数数"))
					if err != nil {
						t.Error(err)
					}
					answers[n].Store(a.Text, true)
				})
			}
		}
		bottest.Run(t, e)
		wg.Wait()
		seen := map[any]bool{}
		for n := range answers {
			answers[n].Range(func(text, _ any) bool {
				if seen[text] {
					t.Errorf("two messages were answered %s", text)
				}
				seen[text] = true
				return true
			})
		}
		if len(seen) != messages {
			t.Errorf("%d different answers to %d messages", len(seen), messages)
		}
	})
}

func TestPanicIsFinal(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.Store) {
		var runs, counted atomic.Int64
		e := newEngine(t, db, count(t, &counted), command("炸", func(ctx context.Context, tx *store.Tx, m bot.Message) (bot.Reply, error) {
			runs.Add(1)
			if err := tx.SetSetting(ctx, "half", true); err != nil {
				return bot.Reply{}, err
			}
			panic("boom")
		}))
		bottest.Run(t, e)
		first := handle(t, e, message("1", "炸"))
		ran := runs.Load()
		again := handle(t, e, message("1", "炸"))
		if first.Outcome != store.Failed || first.Text == "" || again.Text != first.Text || runs.Load() != ran {
			t.Errorf("answers = %+v, %+v; want one apology, not run again (%d runs, then %d)", first, again, ran, runs.Load())
		}
		if d := decision(t, db, message("1", "").Key); d.Outcome != store.Failed || d.Detail == "" || d.Text != "炸" {
			t.Errorf("decision = %+v, want the failure with its cause", d)
		}
		err := db.View(t.Context(), func(tx *store.Tx) error {
			half := false
			err := tx.Setting(tx.Context(), "half", &half)
			if half {
				t.Error("what the handler wrote before it panicked was committed")
			}
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	})
}

// One message that cannot be handled does not take its batch with it.
func TestPoisonFailsAlone(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.Store) {
		var runs atomic.Int64
		e := newEngine(t, db, count(t, &runs), command("坏", func(context.Context, *store.Tx, bot.Message) (bot.Reply, error) {
			return bot.Reply{}, errors.New("cannot")
		}))
		var wg sync.WaitGroup
		var failed, answered atomic.Int64
		for n := range 20 {
			text := "数数"
			if n == 7 {
				text = "坏"
			}
			wg.Go(func() {
				a, err := e.Handle(t.Context(), message(fmt.Sprint(n), text))
				switch {
				case err != nil:
					t.Error(err)
				case a.Outcome == store.Failed:
					failed.Add(1)
				default:
					answered.Add(1)
				}
			})
		}
		bottest.Run(t, e)
		wg.Wait()
		if failed.Load() != 1 || answered.Load() != 19 {
			t.Errorf("%d failed and %d answered, want 1 and 19", failed.Load(), answered.Load())
		}
	})
}

func TestStorageErrorsAreTriedAgain(t *testing.T) {
	db := storetest.Open(t)
	tries := 0
	e := newEngine(t, db, command("断", func(context.Context, *store.Tx, bot.Message) (bot.Reply, error) {
		if tries++; tries < 4 {
			return bot.Reply{}, fmt.Errorf("insert: %w", driver.ErrBadConn)
		}
		return bot.Textf("好了"), nil
	}))
	bottest.Run(t, e)
	if a := handle(t, e, message("1", "断")); a.Text != "好了" || a.Outcome != store.Answered {
		t.Errorf("after three lost connections = %+v, want the answer", a)
	}
}

// While the storage stays away the message is not acknowledged, and nothing is
// stored of it, so that it can be delivered again.
func TestStorageErrorsWithholdTheAnswer(t *testing.T) {
	db := storetest.Open(t)
	var healthy atomic.Bool
	e := newEngine(t, db, command("断", func(context.Context, *store.Tx, bot.Message) (bot.Reply, error) {
		if !healthy.Load() {
			return bot.Reply{}, driver.ErrBadConn
		}
		return bot.Textf("好了"), nil
	}))
	now := noon
	var mu sync.Mutex
	e.Now = func() time.Time { // each look at the clock is a second later, so that the test does not wait
		mu.Lock()
		defer mu.Unlock()
		now = now.Add(time.Second)
		return now
	}
	bottest.Run(t, e)
	if a, err := e.Handle(t.Context(), message("1", "断")); err == nil {
		t.Fatalf("Handle without storage = %+v, want an error", a)
	}
	healthy.Store(true)
	if a := handle(t, e, message("1", "断")); a.Text != "好了" || a.Replayed {
		t.Errorf("delivered again = %+v, want the first answer", a)
	}
}

func TestQueueIsBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := newEngine(t, storetest.Open(t)) // it does not run
		var late, busy atomic.Int64
		for n := range 600 {
			go func() {
				switch _, err := e.Handle(context.Background(), message(fmt.Sprint(n), "帮助")); {
				case errors.Is(err, bot.ErrLate):
					late.Add(1)
				case errors.Is(err, bot.ErrBusy):
					busy.Add(1)
				default:
					t.Errorf("Handle = %v, want ErrLate or ErrBusy", err)
				}
			}()
		}
		synctest.Wait()
		if busy.Load() != 88 || late.Load() != 0 {
			t.Errorf("at once: %d busy and %d late, want 88 of 600 refused and 512 waiting", busy.Load(), late.Load())
		}
		time.Sleep(4 * time.Second) // the bubble's clock: the deadline of an answer
		synctest.Wait()
		if late.Load() != 512 {
			t.Errorf("after 4 s: %d late, want all 512 that waited", late.Load())
		}
	})
}

func TestSentAtIsChecked(t *testing.T) {
	e := newEngine(t, storetest.Open(t))
	bottest.Run(t, e)
	tests := []struct {
		name string
		sent time.Time
		want error
	}{
		{"now", noon, nil},
		{"ten minutes ahead", noon.Add(10 * time.Minute), nil},
		{"more ahead", noon.Add(10*time.Minute + time.Second), bot.ErrSentAt},
		{"a day behind", noon.Add(-24 * time.Hour), nil},
		{"more behind", noon.Add(-24*time.Hour - time.Second), bot.ErrSentAt},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			m := message(tt.name, "帮助")
			m.SentAt = tt.sent
			if _, err := e.Handle(t.Context(), m); !errors.Is(err, tt.want) {
				t.Errorf("Handle = %v, want %v", err, tt.want)
			}
		})
	}
}

// A client that hangs up does not cancel its message: it is committed, and the
// next delivery gets its answer.
func TestClientThatHangsUp(t *testing.T) {
	db := storetest.Open(t)
	var runs atomic.Int64
	e := newEngine(t, db, count(t, &runs))
	gone, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := e.Handle(gone, message("1", "数数")); !errors.Is(err, context.Canceled) {
		t.Fatalf("Handle = %v, want %v", err, context.Canceled)
	}
	bottest.Run(t, e)
	if a := handle(t, e, message("1", "数数")); a.Text != "第 1 次" || runs.Load() != 1 {
		t.Errorf("delivered again = %+v after %d runs, want 第 1 次 after 1", a, runs.Load())
	}
}

func TestRunFinishesWhatWasAccepted(t *testing.T) {
	db := storetest.Open(t)
	var runs atomic.Int64
	e := newEngine(t, db, count(t, &runs))
	gone, cancel := context.WithCancel(t.Context())
	cancel()
	for n := range 100 {
		e.Handle(gone, message(fmt.Sprint(n), "数数")) // queued, and not waited for
	}
	stopped, stop := context.WithCancel(t.Context())
	stop()
	if err := e.Run(stopped); err != nil {
		t.Fatal(err)
	}
	if runs.Load() != 100 {
		t.Errorf("%d of 100 accepted messages were run", runs.Load())
	}
}

func TestNamesAreFilledInWhenSent(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.Store) {
		e := newEngine(t, db, command("我是谁", func(ctx context.Context, tx *store.Tx, m bot.Message) (bot.Reply, error) {
			return bot.Textf("你是 %s", bot.Name(m.Member.ID)), nil
		}))
		bottest.Run(t, e)
		if a := handle(t, e, message("1", "我是谁")); a.Text != "你是 会员 1" {
			t.Errorf("without a name = %q, want the member number", a.Text)
		}
		err := db.Update(t.Context(), func(tx *store.Tx) error { return tx.SetName(tx.Context(), 1, "李四") })
		if err != nil {
			t.Fatal(err)
		}
		if a := handle(t, e, message("1", "我是谁")); a.Text != "你是 李四" {
			t.Errorf("the stored answer = %q, want the name of now", a.Text)
		}
	})
}

func TestStreamReadsTheStoredAnswer(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.Store) {
		var runs atomic.Int64
		e := newEngine(t, db, count(t, &runs))
		bottest.Run(t, e)
		a := handle(t, e, message("1", "数数"))
		if s, err := e.Stream(t.Context(), a.StreamID); err != nil || s.Text != a.Text {
			t.Errorf("Stream = %+v, %v, want %q", s, err, a.Text)
		}
		if _, err := e.Stream(t.Context(), "st-unknown"); !errors.Is(err, store.ErrNotFound) {
			t.Errorf("Stream of an unknown id = %v, want %v", err, store.ErrNotFound)
		}
	})
}

func TestScreensAndFallbacks(t *testing.T) {
	db := storetest.Open(t)
	e := newEngine(t, db, command("签到", func(context.Context, *store.Tx, bot.Message) (bot.Reply, error) { return bot.Textf("好"), nil }))
	e.Screens = []bot.Screen{func(_ context.Context, _ *store.Tx, m bot.Message) (bot.Reply, bool, error) {
		switch m.Text {
		case "签到 加微信":
			return bot.Reply{Text: "不可以", Rule: "moderation 1"}, true, nil
		case "签到 代购":
			return bot.Reply{Text: "请注意用语"}, false, nil
		}
		return bot.Reply{}, false, nil
	}}
	e.Fallbacks = []bot.Fallback{func(_ context.Context, _ *store.Tx, m bot.Message) (bot.Reply, bool, error) {
		return bot.Reply{Text: "九点开门", Rule: "keyword 3", Detail: "营业时间"}, m.Text == "几点开门", nil
	}}
	bottest.Run(t, e)
	tests := []struct {
		text    string
		want    string
		outcome store.Outcome
		rule    string
	}{
		{"签到", "好", store.Answered, "test 签到"},
		{"签到 加微信", "不可以", store.Stopped, "moderation 1"},
		{"签到 代购", "请注意用语\n好", store.Answered, "test 签到"},
		{"几点开门", "九点开门", store.Answered, "keyword 3"},
		{"签道", "你是不是想说 签到？", store.Answered, "router suggestion"},
	}
	for _, tt := range tests {
		m := message(tt.text, tt.text)
		if a := handle(t, e, m); a.Text != tt.want || a.Outcome != tt.outcome {
			t.Errorf("%s = %q %s, want %q %s", tt.text, a.Text, a.Outcome, tt.want, tt.outcome)
		}
		if d := decision(t, db, m.Key); d.Rule != tt.rule || d.Outcome != tt.outcome {
			t.Errorf("decision on %s = %s %s, want %s %s", tt.text, d.Outcome, d.Rule, tt.outcome, tt.rule)
		}
	}
}

func TestEvents(t *testing.T) {
	e := newEngine(t, storetest.Open(t))
	bottest.Run(t, e)
	entered := message("1", "")
	entered.Event, entered.ChatID = bot.Entered, ""
	if a := handle(t, e, entered); a.Outcome != store.Answered || a.Text == "" {
		t.Errorf("who enters gets %+v, want a welcome", a)
	}
	rated := message("2", "")
	rated.Event = bot.Rated
	if a := handle(t, e, rated); a.Outcome != store.Ignored || a.Text != "" {
		t.Errorf("who rates gets %+v, want nothing", a)
	}
}

// Whoever reads that a message failed finds out which, where and whose it was.
func TestFailedMessageIsNamedInTheLog(t *testing.T) {
	db := storetest.Open(t)
	router, err := bot.NewRouter([]bot.Command{command("坏", func(context.Context, *store.Tx, bot.Message) (bot.Reply, error) {
		return bot.Reply{}, errors.New("broken")
	})})
	if err != nil {
		t.Fatal(err)
	}
	var log bytes.Buffer
	e := bot.NewEngine(bot.EngineConfig{Store: db, Router: router, Now: func() time.Time { return noon }, Log: slog.New(slog.NewTextHandler(&log, nil))})
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- e.Run(ctx) }()
	if _, err := e.Handle(t.Context(), message("m1", "坏")); err != nil {
		t.Fatal(err)
	}
	cancel()
	<-ended
	for _, want := range []string{"level=ERROR", "msg=test:m1", "group=1", "member=1", "err=broken"} {
		if !strings.Contains(log.String(), want) {
			t.Errorf("log %q lacks %q", log.String(), want)
		}
	}
}

// An observer hears of what was committed, and Progress of what is under way.
func TestObserverHearsOfBatches(t *testing.T) {
	db := storetest.Open(t)
	var e *bot.Engine
	var during bot.Progress
	e = newEngine(t, db, command("看", func(context.Context, *store.Tx, bot.Message) (bot.Reply, error) {
		during = e.Progress()
		return bot.Textf("好"), nil
	}))
	var heard []bot.Answer
	e.Observer = bot.Observer{Batch: func(answers []bot.Answer, _ time.Duration) { heard = append(heard, answers...) }}
	if e.Progress().Running {
		t.Error("the engine runs before Run")
	}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- e.Run(ctx) }()
	for range 2 {
		if _, err := e.Handle(t.Context(), message("m1", "看")); err != nil {
			t.Fatal(err)
		}
	}
	cancel()
	<-ended
	if len(heard) != 2 || heard[0].Replayed || !heard[1].Replayed || heard[0].Outcome != store.Answered {
		t.Errorf("heard of %+v, want an answer and its replay", heard)
	}
	if !during.Running || !during.Since.Equal(noon) {
		t.Errorf("Progress in the middle of a batch = %+v, want it to run since %v", during, noon)
	}
	if p := e.Progress(); p.Running || !p.Since.IsZero() || p.Waiting != 0 {
		t.Errorf("Progress after Run = %+v, want nothing", p)
	}
}
