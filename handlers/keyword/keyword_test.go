package keyword

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"testing"
	"time"

	"qunbot/bot"
	"qunbot/bot/bottest"
	"qunbot/handlers"
	"qunbot/handlers/moderation"
	"qunbot/handlers/review"
	"qunbot/store"
	"qunbot/store/storetest"
	"qunbot/wordfilter"
)

func TestMain(m *testing.M) { storetest.Main(m) }

func deps(db *store.Store, now func() time.Time) handlers.Deps {
	d := handlers.Deps{Store: db, Words: wordfilter.NewHolder(), Now: now, Zone: db.Zone(), Log: slog.New(slog.DiscardHandler)}
	d.Clear = review.Clear(d, review.Config{Held: moderation.NewFilter(d).Held})
	return d
}

func engine(t *testing.T, db *store.Store, now func() time.Time) *bot.Engine {
	t.Helper()
	d := deps(db, now)
	app, err := handlers.Register(d, []handlers.Feature{New(d)})
	if err != nil {
		t.Fatal(err)
	}
	return app.Engine
}

func TestTranscripts(t *testing.T) { bottest.Play(t, engine) }

// asked is a chat of members with an engine.
type asked struct {
	t      *testing.T
	db     *store.Store
	engine *bot.Engine
	now    time.Time
	number int
}

func chat(t *testing.T, db *store.Store) *asked {
	a := &asked{t: t, db: db, now: time.Date(2026, 11, 20, 12, 0, 0, 0, storetest.Zone())}
	a.engine = engine(t, db, func() time.Time { return a.now })
	bottest.Run(t, a.engine)
	return a
}

// say returns what is answered in a group (empty: a 1:1 chat) to what was said
// some time ago, and why.
func (a *asked) say(group, text string, ago time.Duration) (string, store.Decision) {
	a.t.Helper()
	a.number++
	m := bot.Message{Key: store.Key("test", a.number), Endpoint: "test", BotName: "小助手", ChatID: group, ChatKind: store.InternalGroup,
		From: store.Identity{Kind: store.UserID, Value: "小王"}, Text: text, Addressed: true, SentAt: a.now.Add(-ago).UTC()}
	answer, err := a.engine.Handle(a.t.Context(), m)
	if err != nil {
		a.t.Fatal(err)
	}
	var why []store.ExplainedMessage
	err = a.db.View(a.t.Context(), func(tx *store.Tx) (err error) {
		why, err = tx.Decisions(tx.Context(), store.DecisionFilter{Limit: 1})
		return err
	})
	if err != nil {
		a.t.Fatal(err)
	}
	return answer.Text, why[0].Decision
}

func (a *asked) add(rules ...store.KeywordRule) (ids []int64) {
	a.t.Helper()
	err := a.db.Update(a.t.Context(), func(tx *store.Tx) error {
		ids = nil
		for _, r := range rules {
			r.Enabled = true
			if r.Kind == "" {
				r.Kind = store.KeywordContains
			}
			r, err := check(r)
			if err != nil {
				return err
			}
			if r, err = tx.AddKeywordRule(tx.Context(), r); err != nil {
				return err
			}
			ids = append(ids, r.ID)
		}
		return nil
	})
	if err != nil {
		a.t.Fatal(err)
	}
	return ids
}

func TestRotationIsKeptInTheDatabase(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.Store) {
		a := chat(t, db)
		a.add(store.KeywordRule{Pattern: "停车", Replies: []string{"一", "二", "三"}})
		var got []string
		for i := range 7 {
			if i == 4 { // another replica
				again := chat(t, db)
				again.number = 100
				a = again
			}
			text, why := a.say("wrk1", "停车", 0)
			got = append(got, text)
			want := fmt.Sprintf("包含“停车”，通用规则，优先级 0，第 %d 条回复", i%3+1)
			if why.Rule != "keyword 1" || why.Detail != want || why.Outcome != store.Answered {
				t.Errorf("decision = %+v, want keyword 1, %s", why, want)
			}
		}
		if want := []string{"一", "二", "三", "一", "二", "三", "一"}; !slices.Equal(got, want) {
			t.Errorf("replies = %q, want %q", got, want)
		}
	})
}

func TestCooldown(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.Store) {
		a := chat(t, db)
		a.add(store.KeywordRule{Pattern: "停车费", Replies: []string{"五元"}, CooldownSeconds: 600},
			store.KeywordRule{Pattern: "停车", Replies: []string{"免费"}})
		for _, tt := range []struct {
			name  string
			group string
			later time.Duration
			ago   time.Duration
			want  string
			why   string
		}{
			{"first", "wrk1", 0, 0, "五元", "第 1 条回复；先于 keyword 2：关键词更长"},
			{"cooling down, nothing answers in its place", "wrk1", 350 * time.Second, 0, "", "冷却中，还有 4 分 10 秒，这次不回答"},
			{"another group", "wrk2", 0, 0, "五元", ""},
			{"1:1", "", 0, 0, "五元", ""},
			{"1:1 again", "", 0, 0, "五元", ""},
			{"over", "wrk1", 250 * time.Second, 0, "五元", ""},
			{"sent before the last answer", "wrk1", 0, time.Minute, "", "冷却中，还有 11 分，这次不回答"},
		} {
			a.now = a.now.Add(tt.later)
			got, why := a.say(tt.group, "停车费多少", tt.ago)
			if got != tt.want || !strings.HasSuffix(why.Detail, tt.why) || why.Rule != "keyword 1" {
				t.Errorf("%s: said %q because %s %s, want %q because …%s", tt.name, got, why.Rule, why.Detail, tt.want, tt.why)
			}
			if tt.want == "" && why.Outcome != store.Ignored {
				t.Errorf("%s: outcome %s, want %s", tt.name, why.Outcome, store.Ignored)
			}
		}
		err := db.View(t.Context(), func(tx *store.Tx) error {
			r, err := tx.KeywordRule(tx.Context(), 1)
			if r.Hits != 5 {
				t.Errorf("hits = %d, want 5: silence does not count", r.Hits)
			}
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	})
}

// Two replicas share a database: what one changes, the other knows with its
// next message, also when a change was rolled back in between.
func TestNothingStaleAcrossReplicas(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.Store) {
		one, two := chat(t, db), chat(t, db)
		two.number = 1000
		one.add(store.KeywordRule{Pattern: "停车", Replies: []string{"旧"}})
		ask := func(a *asked, want string) {
			t.Helper()
			if got, why := a.say("wrk1", "停车", 0); got != want && !(want == "" && strings.Contains(got, "没听懂")) {
				t.Errorf("said %q (%s), want %q", got, why.Rule, want)
			}
		}
		ask(one, "旧")
		ask(two, "旧")
		change := func(text string, fail error) {
			t.Helper()
			f := &feature{Deps: deps(db, func() time.Time { return one.now })}
			err := db.Update(t.Context(), func(tx *store.Tx) error {
				r, err := tx.KeywordRule(tx.Context(), 1)
				if err != nil {
					return err
				}
				r.Replies = []string{text}
				if err := tx.SetKeywordRule(tx.Context(), r); err != nil {
					return err
				}
				if _, err := f.matcher(tx.Context(), tx); err != nil { // cached by what may be rolled back
					return err
				}
				return fail
			})
			if err != fail {
				t.Fatal(err)
			}
		}
		change("没有成", fmt.Errorf("rolled back"))
		ask(one, "旧")
		change("新", nil)
		ask(two, "新")
		ask(one, "新")
		err := db.Update(t.Context(), func(tx *store.Tx) error {
			_, err := tx.DeleteKeywordRules(tx.Context(), []int64{1})
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
		ask(one, "")
		ask(two, "")
	})
}

func TestOverheardIsNotAnswered(t *testing.T) {
	db := storetest.Open(t)
	a := chat(t, db)
	a.add(store.KeywordRule{Pattern: "停车", Replies: []string{"免费"}})
	answer, err := a.engine.Handle(t.Context(), bot.Message{Key: "x", Endpoint: "archive", ChatID: "wrk1", ChatKind: store.CustomerGroup,
		From: store.Identity{Kind: store.UserID, Value: "小王"}, Text: "停车", SentAt: a.now.UTC()})
	if err != nil || answer.Text != "" {
		t.Errorf("answer to what was overheard = %q, %v, want none", answer.Text, err)
	}
}

// What a message costs that no rule answers, in the engine's transaction: the
// version is read once a transaction, the rules are not.
func BenchmarkUnanswered10000Rules(b *testing.B) {
	db := storetest.Open(b)
	f := &feature{Deps: deps(db, time.Now)}
	err := db.Update(b.Context(), func(tx *store.Tx) error {
		for _, r := range manyRules() {
			if _, err := tx.AddKeywordRule(tx.Context(), r); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		b.Fatal(err)
	}
	err = db.View(b.Context(), func(tx *store.Tx) error {
		m := bot.Message{Text: saidOften[0], Addressed: true, ChatID: "wrk1", Group: store.Group{ID: 7}, SentAt: noon}
		began := time.Now()
		if _, _, err := f.answer(tx.Context(), tx, m); err != nil {
			return err
		}
		loading := time.Since(began)
		for b.Loop() {
			if _, answered, err := f.answer(tx.Context(), tx, m); answered || err != nil {
				return fmt.Errorf("answered: %t, %w", answered, err)
			}
		}
		b.ReportMetric(float64(loading.Milliseconds()), "ms-to-load")
		return nil
	})
	if err != nil {
		b.Fatal(err)
	}
}

// A rule whose replies hold a sensitive word is stored when somebody approves
// it, unless it would not be as it was asked for any more.
func TestWaits(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.Store) {
		d := deps(db, func() time.Time { return noon })
		f := &feature{Deps: d}
		update := func(fn func(ctx context.Context, tx *store.Tx) error) {
			t.Helper()
			if err := db.Update(t.Context(), func(tx *store.Tx) error { return fn(tx.Context(), tx) }); err != nil {
				t.Fatal(err)
			}
		}
		asks := 0
		ask := func(c change) (waits store.Approval) {
			t.Helper()
			asks++
			update(func(ctx context.Context, tx *store.Tx) error {
				clearance, err := f.asked(ctx, tx, c, store.Key("ask", asks), 7, noon)
				waits = clearance.Approval
				return err
			})
			return waits
		}
		approve := func(a store.Approval) (done string, void bool) {
			t.Helper()
			update(func(ctx context.Context, tx *store.Tx) (err error) {
				done, err = f.approved(ctx, tx, a, noon.Add(time.Hour))
				if v, is := errors.AsType[handlers.Void](err); is {
					done, void, err = string(v), true, nil
				}
				return err
			})
			return done, void
		}
		rules := func() (list []store.KeywordRule) {
			update(func(ctx context.Context, tx *store.Tx) (err error) {
				list, err = tx.KeywordRules(ctx, store.KeywordFilter{Limit: 10})
				return err
			})
			return list
		}
		update(func(ctx context.Context, tx *store.Tx) error {
			return tx.AddWords(ctx, []store.SensitiveWord{{Text: "刷单", Folded: "刷单", Level: store.LevelWarn}, {GroupID: 5, Text: "剧透", Folded: "剧透", Level: store.LevelWarn}})
		})
		fresh := store.KeywordRule{Kind: store.KeywordContains, Pattern: "兼职", Replies: []string{"没有兼职", "刷单是骗局"}, Enabled: true}
		if waits := ask(change{New: store.KeywordRule{GroupID: 4, Kind: store.KeywordContains, Pattern: "结局", Replies: []string{"不剧透"}}}); waits.ID != 0 {
			t.Errorf("a word of another group makes it wait: %+v", waits)
		}
		if waits := ask(change{New: store.KeywordRule{Kind: store.KeywordContains, Pattern: "结局", Replies: []string{"不剧透"}}}); waits.ID == 0 {
			t.Error("a word of one group does not make a rule for all groups wait")
		}
		one, two := ask(change{New: fresh}), ask(change{New: fresh})
		if one.ID == 0 || one.ID == two.ID || one.Text != "没有兼职\n---\n刷单是骗局" || len(rules()) != 0 {
			t.Fatalf("asked = %+v and %+v with rules %v, want two that wait and no rule", one, two, rules())
		}
		if done, void := approve(one); void || !strings.Contains(done, "已生效") {
			t.Errorf("approved = %q, %t", done, void)
		}
		if done, void := approve(two); !void || !strings.Contains(done, "已经有一条了") {
			t.Errorf("the same rule approved again = %q, %t, want it to be void", done, void)
		}
		stored := rules()
		if len(stored) != 1 || stored[0].Replies[1] != "刷单是骗局" || stored[0].Folded != "兼职" || !stored[0].Enabled {
			t.Fatalf("rules = %+v, want the approved one", stored)
		}
		changed := stored[0]
		changed.Priority = 5
		if waits := ask(change{&stored[0], changed}); waits.ID != 0 {
			t.Errorf("a change that leaves the replies alone waits: %+v", waits)
		}
		changed.Replies = []string{"刷单都是骗局"}
		one, two = ask(change{&stored[0], changed}), ask(change{&stored[0], changed})
		if done, void := approve(one); void {
			t.Errorf("approved = %q, void", done)
		}
		if got := rules(); len(got) != 1 || got[0].Replies[0] != "刷单都是骗局" || got[0].Priority != 5 {
			t.Errorf("rules = %+v, want the change", got)
		}
		if done, void := approve(two); !void || !strings.Contains(done, "后来又改过") {
			t.Errorf("a change of what was changed since = %q, %t, want it to be void", done, void)
		}
	})
}
