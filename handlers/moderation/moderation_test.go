package moderation

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"qunbot/bot"
	"qunbot/bot/bottest"
	"qunbot/handlers"
	"qunbot/handlers/checkin"
	"qunbot/handlers/points"
	"qunbot/ledger"
	"qunbot/store"
	"qunbot/store/storetest"
	"qunbot/wordfilter"
)

func TestMain(m *testing.M) { storetest.Main(m) }

func deps(db *store.Store, now func() time.Time) handlers.Deps {
	return handlers.Deps{Store: db, Words: wordfilter.NewHolder(), Now: now, Zone: db.Zone(), Log: slog.New(slog.DiscardHandler)}
}

func TestTranscripts(t *testing.T) {
	bottest.Play(t, func(t *testing.T, db *store.Store, now func() time.Time) *bot.Engine {
		d := deps(db, now)
		if strings.Contains(t.Name(), "/rules/") {
			addRules(t, db,
				Rule{Name: "刷屏", Spec: Spec{Kind: KindFlood, Count: 4, Seconds: 60, Counts: true, Steps: []Step{{From: 1, Do: DoRemind}, {From: 2, Do: DoWarn, Points: 3}}}},
				Rule{Name: "重复", Spec: Spec{Kind: KindRepeat, Count: 3, Seconds: 600, Steps: []Step{{From: 1, Do: DoWarn}}}},
				Rule{Name: "新人不发广告", Spec: Spec{Kind: KindContact, Newcomer: 60, Steps: []Step{{From: 1, Do: DoWarn, Staff: true}}}},
				Rule{Name: "@所有人", Spec: Spec{Kind: KindMentionAll, Staff: true, Steps: []Step{{From: 1, Do: DoRemind}}}},
				Rule{Name: "夜里不发链接", Spec: Spec{Kind: KindLink, From: "22:00", To: "07:00", Steps: []Step{{From: 1, Do: DoWarn}}}},
				Rule{Name: "太长", Dry: true, Spec: Spec{Kind: KindLength, Count: 5, Steps: []Step{{From: 1, Do: DoWarn}}}})
		}
		app, err := handlers.Register(d, []handlers.Feature{New(d, Config{}), checkin.New(d), points.New(d, nil)})
		if err != nil {
			t.Fatal(err)
		}
		return app.Engine
	})
}

// addRules stores rules that are on, or on trial.
func addRules(t testing.TB, db *store.Store, rules ...Rule) {
	t.Helper()
	err := db.Update(t.Context(), func(tx *store.Tx) error {
		for _, r := range rules {
			if err := r.check(); err != nil {
				return err
			}
			spec, err := json.Marshal(r.Spec)
			if err != nil {
				return err
			}
			row := store.ModerationRule{Name: r.Name, State: store.RuleOn, Spec: string(spec), CreatedAt: noon, UpdatedAt: noon}
			if r.Dry {
				row.State = store.RuleDry
			}
			if _, err := tx.AddModerationRule(tx.Context(), row); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

// asked is a chat of members with an engine: one replica.
type asked struct {
	t      *testing.T
	db     *store.Store
	deps   handlers.Deps
	filter *Filter
	engine *bot.Engine
	now    time.Time
	told   map[string]string // what staff were told, by key
}

var noon = time.Date(2026, 11, 20, 4, 0, 0, 0, time.UTC) // 12:00 in Asia/Shanghai

func chat(t *testing.T, db *store.Store) *asked {
	t.Helper()
	a := &asked{t: t, db: db, now: noon, told: map[string]string{}}
	a.deps = deps(db, func() time.Time { return a.now })
	a.filter = NewFilter(a.deps)
	app, err := handlers.Register(a.deps, []handlers.Feature{New(a.deps, Config{
		Filter: a.filter, PublicURL: "https://fans.example.com/",
		Notify: func(_ context.Context, _ *store.Tx, key, text string) error { a.told[key] = text; return nil },
	}), checkin.New(a.deps)})
	if err != nil {
		t.Fatal(err)
	}
	a.engine = app.Engine
	bottest.Run(t, a.engine)
	return a
}

func (a *asked) update(fn func(tx *store.Tx) error) {
	a.t.Helper()
	if err := a.db.Update(a.t.Context(), fn); err != nil {
		a.t.Fatal(err)
	}
}

// add stores words such as "加微信 拦截 引流" for a group.
func (a *asked) add(group int64, lines ...string) {
	a.t.Helper()
	a.update(func(tx *store.Tx) error {
		words, _, err := readLines(strings.Join(lines, "\n"), store.SensitiveWord{GroupID: group, Level: store.LevelWarn, CreatedAt: noon})
		if err != nil {
			return err
		}
		return tx.AddWords(tx.Context(), words)
	})
}

func (a *asked) message(key, who, group, text string) bot.Message {
	return bot.Message{Key: store.Key("test", key), Endpoint: "test", BotName: "小助手", ChatID: group, ChatKind: store.InternalGroup,
		From: store.Identity{Kind: store.UserID, Value: who}, Text: text, Addressed: true, SentAt: a.now}
}

func (a *asked) handle(m bot.Message) bot.Answer {
	a.t.Helper()
	answer, err := a.engine.Handle(a.t.Context(), m)
	if err != nil {
		a.t.Fatal(err)
	}
	return answer
}

func (a *asked) strikes(f store.StrikeFilter) (list []store.StrikeRow) {
	a.t.Helper()
	f.Limit = 1000
	a.update(func(tx *store.Tx) (err error) {
		list, err = tx.StrikeRows(tx.Context(), f)
		return err
	})
	return list
}

// What staff are told holds ids, the word and the way to the evidence, and
// nothing of the message.
func TestStaffAreTold(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.Store) {
		a := chat(t, db)
		a.add(0, "加微信 拦截 引流", "代购 提醒")
		if got := a.handle(a.message("1", "小王", "wrk1", "大家加*微*信，密码 9527")); got.Outcome != store.Stopped || got.Rule != "moderation 敏感词：拦截" {
			t.Errorf("answer = %+v, want it stopped by 拦截", got)
		}
		overheard := a.message("2", "小李", "wrk1", "加微信")
		overheard.Addressed = false
		if got := a.handle(overheard); got.Outcome != store.Stopped || got.Text != "" {
			t.Errorf("answer to what was overheard = %+v, want it stopped without a word", got)
		}
		a.handle(a.message("3", "小赵", "wrk1", "求代购"))
		a.handle(a.message("4", "小赵", "wrk1", "还要代购"))
		told := a.told["moderation.strike:test%3A1"]
		for _, want := range []string{bot.Name(1), "会员 1", "未命名群 wrk1", "“加微信”（拦截，引流，夹杂）", "30 天内第 1 次，警告", "请群主",
			"https://fans.example.com/console/moderation/strikes/1", "test:1"} {
			if !strings.Contains(told, want) {
				t.Errorf("staff were told %q, want %q in it", told, want)
			}
		}
		if strings.Contains(told, "9527") || strings.Contains(told, "小王") {
			t.Errorf("staff were told %q, want nothing of the message and no name", told)
		}
		if len(a.told) != 3 || !strings.Contains(a.told["moderation.rule:1:3:2026-11-20"], "decisions?member=3") {
			t.Errorf("staff were told %q, want two strikes and one reminder a day", a.told)
		}
		if list := a.strikes(store.StrikeFilter{}); len(list) != 2 || list[1].How != "夹杂" || list[1].Text == "" {
			t.Errorf("strikes = %+v, want two, the first with what was said", list)
		}
	})
}

// A message counts once, also when the stored answers are gone.
func TestRedeliveryCountsOnce(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.Store) {
		a := chat(t, db)
		a.add(0, "刷单")
		a.handle(a.message("0", "小王", "wrk1", "签到"))
		for _, key := range []string{"1", "2", "3"} {
			first := a.handle(a.message(key, "小王", "wrk1", "刷单"))
			if again := a.handle(a.message(key, "小王", "wrk1", "刷单")); again.Text != first.Text || !again.Replayed {
				t.Errorf("again = %+v, want %q", again, first.Text)
			}
			a.update(func(tx *store.Tx) error { // as if it were delivered after the answers were pruned
				late := a.message(key, "小王", "wrk1", "刷单")
				late.Member.ID = 1
				f := &feature{a.deps, Config{Filter: a.filter}}
				reply, stop, err := f.screen(tx.Context(), tx, late)
				if !stop || !strings.HasSuffix(reply.Text, strings.TrimPrefix(first.Text, "会员 1")) {
					t.Errorf("late = %q, want %q", reply.Text, first.Text)
				}
				return err
			})
		}
		if n := len(a.strikes(store.StrikeFilter{})); n != 3 {
			t.Errorf("%d strikes, want 3", n)
		}
		a.update(func(tx *store.Tx) error {
			entries, err := tx.EntriesOf(tx.Context(), 1, 0, 10)
			if len(entries) != 2 {
				t.Errorf("entries = %+v, want the check-in and one deduction", entries)
			}
			return err
		})
	})
}

// Messages that come in one batch are a flood too, a picture is looked at
// though nothing is said with it, and hits tell which rule did what.
func TestHits(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.Store) {
		a := chat(t, db)
		a.add(0, "刷单 警告 诈骗")
		addRules(t, db,
			Rule{Name: "刷屏", Spec: Spec{Kind: KindFlood, Count: 4, Seconds: 60, Counts: true, Steps: []Step{{From: 1, Do: DoLog, Owner: true}}}},
			Rule{Name: "图片", Spec: Spec{Kind: KindImage, Newcomer: 1, Steps: []Step{{From: 1, Do: DoWarn}}}},
			Rule{Name: "试试", Dry: true, Spec: Spec{Kind: KindWords, Counts: true, Steps: []Step{{From: 1, Do: DoWarn, Suspend: 9}}}})
		var talking sync.WaitGroup
		for i := range 6 {
			talking.Go(func() { a.handle(a.message(fmt.Sprint("f", i), "小王", "wrk1", fmt.Sprint("第", i))) })
		}
		talking.Wait()
		a.now = a.now.Add(2 * time.Minute)
		a.handle(a.message("word", "小王", "wrk1", "来刷*单"))
		picture := a.message("old", "小王", "wrk1", "")
		picture.Images = 1
		if got := a.handle(picture); got.Outcome == store.Stopped {
			t.Errorf("the picture of a member of 2 minutes = %+v", got)
		}
		picture = a.message("new", "小李", "wrk1", "")
		picture.Images = 1
		if got := a.handle(picture); got.Outcome != store.Stopped || !strings.Contains(got.Text, "不能发图片，没有处理。这次不计次。") {
			t.Errorf("a newcomer's picture = %+v, want it stopped", got)
		}
		var got []string
		a.update(func(tx *store.Tx) error {
			hits, err := tx.HitRows(tx.Context(), store.HitFilter{Limit: 99})
			for _, h := range hits {
				quote := ""
				if h.Text != "" {
					quote = h.Text[h.Start:h.End]
				}
				got = append(got, fmt.Sprintf("%d %s %s %s %s %s strike %t", h.RuleID, h.Word, h.Category, h.How, quote, h.Action, h.StrikeID != 0))
			}
			return err
		})
		slices.Sort(got)
		want := []string{
			"2 刷单 诈骗 夹杂 刷*单 warn+suspend+staff strike true", // the fourth strike
			"4   1 分钟内第 4 条  log+owner strike true",
			"4   1 分钟内第 5 条  log+owner strike true",
			"4   1 分钟内第 6 条  log+owner strike true",
			"5   1 张图片  warn strike false",
			"6 刷单 诈骗 夹杂 刷*单 dry strike false",
		}
		if !slices.Equal(got, want) {
			t.Errorf("hits = %q,\nwant %q", got, want)
		}
		var told []string
		for _, text := range a.told {
			told = append(told, text)
		}
		slices.Sort(told)
		if len(told) != 4 || !strings.Contains(told[3], "碰到规则“刷屏”（1 分钟内第 ") || !strings.Contains(told[3], "手工处理") {
			t.Errorf("staff were told %q", told)
		}
	})
}

// passing is an error after which the platform may be asked again.
type passing struct{ error }

func (passing) Outcome() (bot.Outcome, time.Time) { return bot.Passing, time.Time{} }

// Members are taken out of a chat once, tried again while the platform fails,
// and by hand where it refuses or nobody can.
func TestRemove(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.Store) {
		a := chat(t, db)
		a.add(0, "刷单 警告 诈骗")
		addRules(t, db, Rule{Name: "移出", Spec: Spec{Kind: KindWords, Category: "诈骗", Counts: true, Steps: []Step{{From: 1, Do: DoWarn, Remove: true}}}})
		a.handle(a.message("by hand", "小赵", "wrk1", "刷单")) // this replica has no app
		if told := a.told["moderation.strike:test%3Aby hand"]; !strings.Contains(told, "手工处理") || strings.Contains(told, "用接口") {
			t.Errorf("staff were told %q", told)
		}
		answers := map[string][]error{"小王": {passing{errors.New("busy")}, nil}, "小李": {errors.New("not an app chat")}}
		var asked []string
		f := &feature{a.deps, Config{Filter: a.filter, Remove: func(_ context.Context, chat, user string) error {
			asked = append(asked, chat+" "+user)
			err := answers[user][0]
			answers[user] = answers[user][1:]
			return err
		}, Notify: func(_ context.Context, _ *store.Tx, key, text string) error { a.told[key] = text; return nil }}}
		for i, who := range []string{"小王", "小李"} {
			a.handle(a.message("hello "+who, who, "wrk1", "你好"))
			a.update(func(tx *store.Tx) error {
				m := a.message("out "+who, who, "wrk1", "刷单")
				m.Member.ID, m.Group = int64(i+2), store.Group{ID: 1, ChatID: "wrk1", Kind: store.InternalGroup}
				for range 2 { // delivered twice
					if _, stop, err := f.screen(tx.Context(), tx, m); !stop || err != nil {
						t.Errorf("%s: stopped %t, %v", who, stop, err)
					}
				}
				return nil
			})
			if told := a.told["moderation.strike:test%3Aout "+who]; !strings.Contains(told, "用接口把他移出群聊") {
				t.Errorf("staff were told %q", told)
			}
		}
		for range 3 {
			a.now = a.now.Add(time.Minute)
			if err := f.removeDue(t.Context(), a.now); err != nil {
				t.Fatal(err)
			}
		}
		if want := []string{"wrk1 小王", "wrk1 小李", "wrk1 小王"}; !slices.Equal(asked, want) {
			t.Errorf("the platform was asked %q, want %q", asked, want)
		}
		var refused int64 // strike
		a.update(func(tx *store.Tx) error {
			for key, want := range map[string]store.RemovalState{"by hand": "", "out 小王": store.RemovalDone, "out 小李": store.RemovalFailed} {
				s, err := tx.StrikeByKey(tx.Context(), store.Key("test", key))
				if err != nil {
					return err
				}
				r, err := tx.RemovalOf(tx.Context(), s.ID)
				if r.State != want || (err == nil) != (want != "") {
					t.Errorf("%s: removal %+v, %v, want %q", key, r, err, want)
				}
				if want == store.RemovalFailed {
					refused = s.ID
				}
			}
			return nil
		})
		if told := a.told[store.Key("moderation.remove", refused)]; !strings.Contains(told, "not an app chat") || !strings.Contains(told, "手工处理") {
			t.Errorf("staff were told %q", told)
		}
	})
}

// What one replica changes, the other knows with its next message, also when a
// change was rolled back in between.
func TestNothingStaleAcrossReplicas(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.Store) {
		one, two := chat(t, db), chat(t, db)
		n := 0
		ask := func(a *asked, who string, stopped bool) {
			t.Helper()
			n++
			if got := a.handle(a.message(fmt.Sprint(n), who, "wrk1", "刷单")); (got.Outcome == store.Stopped) != stopped {
				t.Errorf("answer %d = %+v, want it stopped: %t", n, got, stopped)
			}
		}
		ask(one, "小王", false)
		ask(two, "小王", false)
		one.add(0, "刷单")
		ask(one, "小王", true)
		ask(two, "小王", true)
		boom := errors.New("boom")
		err := db.Update(t.Context(), func(tx *store.Tx) error {
			if _, err := tx.DeleteWords(tx.Context(), []int64{1}); err != nil {
				return err
			}
			if hits, err := two.filter.Scan(tx.Context(), tx, 0, "刷单"); err != nil || len(hits) != 0 { // compiled by what is rolled back
				t.Errorf("Scan after the deletion = %v, %v, want none", hits, err)
			}
			return boom
		})
		if !errors.Is(err, boom) {
			t.Fatal(err)
		}
		ask(two, "小李", true)
		two.update(func(tx *store.Tx) error {
			_, err := tx.DeleteWords(tx.Context(), []int64{1})
			return err
		})
		ask(one, "小李", false)
		if hits := two.deps.Words.Scan("", "刷单", nil); len(hits) != 1 {
			t.Errorf("a replica that saw no transaction since finds %v", hits)
		}
		if err := two.filter.Load(t.Context()); err != nil {
			t.Fatal(err)
		}
		if hits := two.deps.Words.Scan("", "刷单", nil); len(hits) != 0 {
			t.Errorf("after Load it finds %v", hits)
		}
	})
}

func TestGroupsHaveTheirOwn(t *testing.T) {
	set, err := newSet([]store.SensitiveWord{
		{Text: "加微信", Folded: "加微信", Level: store.LevelBlock},
		{Text: "刷单", Folded: "刷单", Level: store.LevelWarn},
		{Text: "加微信", Folded: "加微信", Level: store.LevelRemind, GroupID: 7},
		{Text: "剧透", Folded: "剧透", Level: store.LevelWarn, GroupID: 7},
		{Text: "刷单小游戏", Folded: "刷单小游戏", Allow: true, GroupID: 8},
		{Text: "不要刷单", Folded: "不要刷单", Allow: true},
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		group int64
		text  string
		want  string
	}{
		{0, "加微信", "加微信拦截"},
		{7, "加微信", "加微信提醒"},
		{8, "加微信", "加微信拦截"},
		{0, "别剧透", ""},
		{7, "别剧透", "剧透警告"},
		{0, "来玩刷单小游戏", "刷单警告"},
		{8, "来玩刷单小游戏", ""},
		{7, "大家不要刷单", ""},
		{7, "刷单，不要刷单", "刷单警告"},
	} {
		got := ""
		for _, h := range set.For(GroupKey(tt.group)).Scan(tt.text, nil) {
			got += h.Word.Text + h.Word.Level.String()
		}
		if got != tt.want {
			t.Errorf("group %d: %s finds %q, want %q", tt.group, tt.text, got, tt.want)
		}
	}
}

// What goes out is held back by the words of the groups that it goes to, but
// not by those that only call for a reminder.
func TestHeld(t *testing.T) {
	a := chat(t, storetest.Open(t))
	a.add(0, "加微信 拦截 引流", "代购 提醒", "刷单")
	a.add(7, "剧透", "刷单 提醒")
	a.update(func(tx *store.Tx) error {
		for _, tt := range []struct {
			text   string
			groups []int64
			want   string
		}{
			{"周末来玩", nil, ""},
			{"代购指南", nil, ""},
			{"加微信，刷单，加微信", nil, "“刷单”（警告，原文） “加微信”（拦截，引流，原文）"},
			{"周六满减，＋v x 报名刷*单", []int64{8, 9}, "“刷单”（警告，夹杂） “加微信”（拦截，引流，别称）"},
			{"周六刷单", []int64{7}, ""},
			{"周六刷单", []int64{7, 8}, "“刷单”（警告，原文）"},
			{"周六剧透", []int64{8}, ""},
			{"周六剧透", []int64{8, 7}, "“剧透”（警告，原文）"},
			{"周六剧透", nil, "“剧透”（警告，原文）"},
		} {
			got, err := a.filter.Held(tx.Context(), tx, tt.groups, tt.text)
			if strings.Join(got, " ") != tt.want || err != nil {
				t.Errorf("Held(%v, %s) = %q, %v, want %s", tt.groups, tt.text, got, err, tt.want)
			}
		}
		return nil
	})
}

// Words change while others scan, in their transactions and without: each scan
// sees one state of the words, whole. It is worth most with -race.
func TestReloadUnderLoad(t *testing.T) {
	a := chat(t, storetest.Open(t))
	a.add(0, "刷单")
	if err := a.filter.Load(t.Context()); err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	var scanning sync.WaitGroup
	for range 3 {
		scanning.Go(func() {
			for {
				select {
				case <-done:
					return
				default:
				}
				err := a.db.View(t.Context(), func(tx *store.Tx) error {
					words, err := tx.CountWords(tx.Context(), store.WordFilter{})
					if err != nil {
						return err
					}
					hits, err := a.filter.Scan(tx.Context(), tx, 0, "刷单刷屏")
					if int64(len(hits)) != words {
						t.Errorf("%d hits of %d words", len(hits), words)
					}
					return err
				})
				if err != nil {
					t.Error(err)
					return
				}
				if hits := a.deps.Words.Scan("", "刷单刷屏", nil); len(hits) != 1 && len(hits) != 2 {
					t.Errorf("hits = %v", hits)
				}
			}
		})
	}
	for range 20 {
		a.add(0, "刷屏")
		a.update(func(tx *store.Tx) error {
			words, err := tx.WordsOf(tx.Context(), []string{"刷屏"})
			if err != nil {
				return err
			}
			_, err = tx.DeleteWords(tx.Context(), []int64{words[0].ID})
			return err
		})
	}
	close(done)
	scanning.Wait()
}

// The ladder holds whatever members say when: a model that knows only the rule
// comes to the same strikes, points and suspensions.
func TestLadderProperty(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.Store) {
		a := chat(t, db)
		a.add(0, "刷单", "加微信 拦截")
		dice := rand.New(rand.NewPCG(7, 11))
		said := map[string][]time.Time{}
		until := map[string]time.Time{}
		points := map[string]int64{}
		who := []string{"a", "b", "c"}
		for n := range 120 {
			a.now = a.now.Add(time.Duration(dice.Int64N(int64(4 * day))).Truncate(time.Second))
			name := who[dice.IntN(len(who))]
			if dice.IntN(3) == 0 { // points to lose
				earned := 1 + dice.Int64N(12)
				points[name] += earned
				a.update(func(tx *store.Tx) error {
					members, err := tx.MembersOf(tx.Context(), []store.Identity{{Kind: store.UserID, Value: name}}, a.now)
					if err != nil {
						return err
					}
					_, _, err = ledger.Award(tx.Context(), tx, ledger.Earning{Member: members[0].ID, Rule: "test", Base: earned, Key: store.Key("in", n), At: a.now})
					return err
				})
			}
			a.handle(a.message(fmt.Sprint(n), name, "wrk1", []string{"刷单", "加VX"}[n%2]))
			count := 1
			for _, at := range said[name] {
				if a.now.Sub(at) < 30*day {
					count++
				}
			}
			said[name] = append(said[name], a.now)
			var fine int64
			if count == 2 {
				fine = min(10, points[name])
			}
			points[name] -= fine
			if count >= 3 {
				until[name] = a.now.Add(7 * day)
			}
			a.update(func(tx *store.Tx) error {
				s, err := tx.StrikeByKey(tx.Context(), store.Key("test", n))
				if err != nil {
					return err
				}
				suspended, err := tx.SuspendedUntil(tx.Context(), s.MemberID, a.now)
				if err != nil {
					return err
				}
				want := until[name]
				if !want.After(a.now) {
					want = time.Time{}
				}
				balance, err := tx.LockedBalance(tx.Context(), s.MemberID)
				if s.Number != count || s.Points != fine || !suspended.Equal(want) || balance != points[name] {
					t.Fatalf("strike %d of %s: number %d, %d points, until %v, balance %d; want %d, %d, %v, %d",
						n, name, s.Number, s.Points, suspended, balance, count, fine, want, points[name])
				}
				return err
			})
		}
		if _, problems, err := ledger.Verify(t.Context(), db); len(problems) > 0 || err != nil {
			t.Errorf("ledger.Verify = %q, %v", problems, err)
		}
	})
}

func TestExportAndErase(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.Store) {
		a := chat(t, db)
		a.add(0, "刷单 警告 违规")
		for i := range 3 {
			a.handle(a.message(fmt.Sprint(i), "小王", "wrk1", "刷单"))
		}
		a.handle(a.message("other", "小李", "wrk1", "刷单"))
		a.update(func(tx *store.Tx) error {
			f := &feature{a.deps, Config{Filter: a.filter}}
			got, err := f.export(tx.Context(), tx, 1)
			if err != nil {
				return err
			}
			if list := got.([]exportedStrike); len(list) != 3 || list[0].Category != "违规" || list[0].SuspendedUntil == nil {
				t.Errorf("export = %+v, want 3 strikes, the newest with its suspension", list)
			}
			if err := f.erase(tx.Context(), tx, 1); err != nil {
				return err
			}
			until, err := tx.SuspendedUntil(tx.Context(), 1, a.now)
			if !until.IsZero() {
				t.Errorf("suspended until %v after erasing", until)
			}
			return err
		})
		if list := a.strikes(store.StrikeFilter{}); len(list) != 1 || list[0].MemberID != 2 {
			t.Errorf("strikes = %+v, want the other member's", list)
		}
	})
}

// What the screen costs a message that holds nothing, in a transaction that
// has read the version.
func BenchmarkScreen100000Words(b *testing.B) {
	db := storetest.Open(b)
	d := deps(db, time.Now)
	f := &feature{d, Config{Filter: NewFilter(d)}}
	err := db.Update(b.Context(), func(tx *store.Tx) error {
		dice := rand.New(rand.NewPCG(1, 2))
		var words []store.SensitiveWord
		for i := range maxWords {
			text := []rune(fmt.Sprintf("%d", i))
			for range 2 + i%3 {
				text = append(text, rune(0x4e00+dice.IntN(5000)))
			}
			words = append(words, store.SensitiveWord{Text: string(text), Folded: string(text), Level: store.LevelWarn, CreatedAt: noon})
		}
		return tx.AddWords(tx.Context(), words)
	})
	if err != nil {
		b.Fatal(err)
	}
	err = db.View(b.Context(), func(tx *store.Tx) error {
		m := bot.Message{Text: "请问周末有什么活动，停车场几点关门，地下二层还有车位吗", Addressed: true, Group: store.Group{ID: 7}, SentAt: noon}
		began := time.Now()
		if _, _, err := f.screen(tx.Context(), tx, m); err != nil {
			return err
		}
		loading := time.Since(began)
		for b.Loop() {
			if _, stop, err := f.screen(tx.Context(), tx, m); stop || err != nil {
				return fmt.Errorf("stopped: %t, %w", stop, err)
			}
		}
		b.ReportMetric(float64(loading.Milliseconds()), "ms-to-load")
		return nil
	})
	if err != nil {
		b.Fatal(err)
	}
}

// What the screen costs a message that holds nothing, where a rule looks back:
// one query by an index, whatever else was said that month.
func BenchmarkScreenFlood(b *testing.B) {
	db := storetest.Open(b)
	d := deps(db, time.Now)
	f := &feature{d, Config{Filter: NewFilter(d)}}
	addRules(b, db, Rule{Name: "刷屏", Spec: Spec{Kind: KindFlood, Count: 8, Seconds: 60, Steps: []Step{{From: 1, Do: DoRemind}}}})
	said := make([]store.Message, 20_000)
	for i := range said {
		said[i] = store.Message{Key: fmt.Sprint("m", i), GroupID: 7, MemberID: int64(i % 50), Text: "请问周末有什么活动", SentAt: noon.Add(time.Duration(i-len(said)) * time.Second)}
	}
	say(b, db, said...)
	err := db.View(b.Context(), func(tx *store.Tx) error {
		m := bot.Message{Text: "请问周末有什么活动，停车场几点关门，地下二层还有车位吗", Addressed: true, Group: store.Group{ID: 7}, Member: store.Member{ID: 3}, SentAt: noon}
		for b.Loop() {
			if _, stop, err := f.screen(tx.Context(), tx, m); stop || err != nil {
				return fmt.Errorf("stopped: %t, %w", stop, err)
			}
		}
		return nil
	})
	if err != nil {
		b.Fatal(err)
	}
}
