package announce

import (
	"errors"
	"log/slog"
	"net/url"
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
	"qunbot/web/console"
	"qunbot/web/console/consoletest"
	"qunbot/wordfilter"
)

func TestMain(m *testing.M) { storetest.Main(m) }

var now = time.Date(2026, 11, 22, 1, 0, 0, 0, time.UTC) // 09:00 in Asia/Shanghai

// fill makes two malls: groups 1 and 3 of the first, 2 of the second. Group 2
// has no webhook.
func fill(t *testing.T, db *store.Store) {
	t.Helper()
	err := db.Update(t.Context(), func(tx *store.Tx) error {
		for i, name := range []string{"南湖店", "北湖店", "南湖店"} {
			m, err := tx.MallNamed(tx.Context(), name)
			if err != nil {
				return err
			}
			g := store.Group{ChatID: "wrk" + string(rune('1'+i)), Kind: store.InternalGroup, Name: []string{"一号粉丝群", "二号粉丝群", ""}[i], MallID: m.ID, CreatedAt: now}
			if _, err := tx.AddGroup(tx.Context(), g); err != nil {
				return err
			}
		}
		if err := tx.SetWebhook(tx.Context(), 1, "A", now); err != nil {
			return err
		}
		return tx.SetWebhook(tx.Context(), 3, "B", now)
	})
	if err != nil {
		t.Fatal(err)
	}
}

// deps returns what the feature works with, with the words of moderation: 刷单.
func deps(t *testing.T, db *store.Store, clock func() time.Time) handlers.Deps {
	t.Helper()
	err := db.Update(t.Context(), func(tx *store.Tx) error {
		return tx.AddWords(tx.Context(), []store.SensitiveWord{{Text: "刷单", Folded: "刷单", Level: store.LevelWarn}, {Text: "代购", Folded: "代购", Level: store.LevelRemind}})
	})
	if err != nil {
		t.Fatal(err)
	}
	d := handlers.Deps{Store: db, Words: wordfilter.NewHolder(), Now: clock, Zone: db.Zone(), Log: slog.New(slog.DiscardHandler)}
	d.Clear = review.Clear(d, review.Config{Held: moderation.NewFilter(d).Held})
	return d
}

func engine(t *testing.T, d handlers.Deps) *bot.Engine {
	t.Helper()
	app, err := handlers.Register(d, []handlers.Feature{New(d)})
	if err != nil {
		t.Fatal(err)
	}
	return app.Engine
}

func TestTranscripts(t *testing.T) {
	bottest.Play(t, func(t *testing.T, db *store.Store, clock func() time.Time) *bot.Engine {
		fill(t, db)
		return engine(t, deps(t, db, clock))
	})
}

// posts returns the announcements as "lane text", the oldest first.
func posts(t *testing.T, db *store.Store) (list []string) {
	t.Helper()
	err := db.View(t.Context(), func(tx *store.Tx) error {
		list = nil
		rows, err := tx.Posts(tx.Context(), store.PostFilter{Item: item, Limit: 100})
		for _, p := range rows {
			list = append(list, p.Lane+" "+p.Text)
			if p.Delivery != store.AtLeastOnce || p.ExpiresAt == nil {
				t.Errorf("post = %+v, want at least once, with an end", p)
			}
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	slices.Reverse(list)
	return list
}

func audits(t *testing.T, db *store.Store) (list []string) {
	t.Helper()
	err := db.View(t.Context(), func(tx *store.Tx) error {
		list = nil
		rows, err := tx.Audits(tx.Context(), 0, 100)
		for _, a := range rows {
			list = append(list, a.Action+" "+a.Object+" "+a.Detail)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return list
}

// What is said is posted once, also when it is delivered twice, and noted.
func TestSaid(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.Store) {
		fill(t, db)
		err := db.Update(t.Context(), func(tx *store.Tx) error {
			_, err := tx.PutOperator(tx.Context(), store.Operator{UserID: "boss", Name: "店长", Role: store.Staff, CreatedAt: now})
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
		e := engine(t, deps(t, db, func() time.Time { return now }))
		bottest.Run(t, e)
		say := func(key, chat, text string) string {
			t.Helper()
			a, err := e.Handle(t.Context(), bot.Message{Key: key, Endpoint: "test", ChatID: chat, ChatKind: store.InternalGroup,
				From: store.Identity{Kind: store.UserID, Value: "boss"}, Text: text, Addressed: true, SentAt: now})
			if err != nil {
				t.Fatal(err)
			}
			return a.Text
		}
		for range 2 {
			if got := say("a", "wrk1", "/公告 今晚抽奖\n一楼中庭 \uFDD01\uFDD1"); got != "好，马上发。" {
				t.Errorf("answer = %q", got)
			}
		}
		say("b", "", "/公告 3 明天见")
		if got := say("c", "wrk2", "/公告 今晚抽奖"); !strings.Contains(got, "“二号粉丝群”还发不了公告") || !strings.Contains(got, "Webhook 地址") {
			t.Errorf("answer in a group without a webhook = %q, want what to set up", got)
		}
		if got := say("d", "wrk1", "/公告 "+strings.Repeat("字", 683)); !strings.HasPrefix(got, "太长了：有 2049 字节，最多 2048") {
			t.Errorf("answer to a long one = %q", got)
		}
		if got := say("e", "wrk1", "/公告 "+strings.Repeat("字", 682)+"ab"); got != "好，马上发。" {
			t.Errorf("answer to one of 2048 bytes = %q", got)
		}
		want := []string{"webhook/1 今晚抽奖\n一楼中庭 1", "webhook/2 明天见", "webhook/1 " + strings.Repeat("字", 682) + "ab"}
		if got := posts(t, db); !slices.Equal(got, want) {
			t.Errorf("posts = %q, want %q", got, want)
		}
		if got := audits(t, db); len(got) != 3 || got[1] != "/公告 group 3 明天见" {
			t.Errorf("audits = %q, want one a post", got)
		}
	})
}

func TestCutNumber(t *testing.T) {
	for text, want := range map[string]struct {
		number int64
		rest   string
	}{
		"3 楼停车场": {3, "楼停车场"}, "１２\n一\n二": {12, "一\n二"}, "3": {3, ""}, "3楼": {0, "3楼"}, "0 a": {0, "0 a"}, "-1 a": {0, "-1 a"},
		"99999999999999999999 a": {0, "99999999999999999999 a"}, "": {0, ""},
	} {
		if n, rest := cutNumber(text); n != want.number || rest != want.rest {
			t.Errorf("cutNumber(%q) = %d, %q, want %d, %q", text, n, rest, want.number, want.rest)
		}
	}
}

// The page shows what would be posted, and posts it to the chosen groups once.
func TestConsole(t *testing.T) {
	db := storetest.Open(t)
	fill(t, db)
	d := deps(t, db, func() time.Time { return now })
	b := consoletest.Open(t, console.Config{Store: db, Pages: New(d).Console, Now: d.Now, Log: d.Log})
	b.SignIn(db, store.Operator{UserID: "boss", Name: "店长", Role: store.Staff, CreatedAt: now})

	page := b.Get("/console/monthly/announce?" + url.Values{"text": {"今晚<抽奖>"}, "mall": {"1"}, "group": {"2"}}.Encode())
	b.Holds("preview", page, "今晚<抽奖>", "会发到 2 个群，另有 1 个发不了", `value="1" checked`, "没有消息推送机器人")
	form := url.Values{"_key": {consoletest.FormKey(t, page)}, "text": {"今晚抽奖\r\n一楼"}, "group": {"1", "3"}}
	for range 2 {
		b.Holds("posted", b.Ask(200, "POST", "/console/monthly/announce", form), "今晚抽奖")
	}
	if got, want := posts(t, db), []string{"webhook/1 今晚抽奖\n一楼", "webhook/2 今晚抽奖\n一楼"}; !slices.Equal(got, want) {
		t.Errorf("posts = %q, want %q", got, want)
	}
	if got := audits(t, db); len(got) != 1 || !strings.Contains(got[0], "groups [1 3]: 今晚抽奖") {
		t.Errorf("audits = %q, want one", got)
	}
	for problem, form := range map[string][]string{
		"写上要说的话。":  {"text", " ", "group", "1"},
		"还没有选能发的群": {"text", "今晚抽奖", "group", "2"},
		"太长了":      {"text", strings.Repeat("字", 683), "group", "1"},
	} {
		b.Holds("problem", b.Post(422, "/console/monthly/announce", form...), problem)
	}
	if got := posts(t, db); len(got) != 2 {
		t.Errorf("posts = %q, want none more", got)
	}
	b.Holds("a word", b.Get("/console/monthly/announce?"+url.Values{"text": {"招聘刷单员"}, "group": {"1"}}.Encode()), "有敏感词“刷单”（警告，原文），发布后要等")
}

// A text with a sensitive word waits, with the groups it is for, and is posted
// as it is when somebody approves it: into those that can be posted to by then.
func TestWaits(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.Store) {
		fill(t, db)
		d := deps(t, db, func() time.Time { return now })
		f := &feature{d}
		feature := New(d)
		var waiting store.Approval
		update := func(fn func(tx *store.Tx) error) {
			t.Helper()
			if err := db.Update(t.Context(), fn); err != nil {
				t.Fatal(err)
			}
		}
		update(func(tx *store.Tx) error {
			groups, err := tx.Groups(tx.Context())
			if err != nil {
				return err
			}
			chosen := []store.Group{groups[0], groups[2]}
			for range 2 { // a second try of the same order asks nobody again
				waits, err := f.place(tx.Context(), tx, order{text: "招聘刷单员", groups: chosen, key: "one", author: 7, at: now})
				waiting = store.Approval(waits)
				if err != nil || waiting.State != store.Waiting || waiting.AuthorID != 7 || !waiting.ExpiresAt.Equal(now.Add(lifetime)) {
					t.Errorf("place = %+v, %v, want it to wait for a day", waiting, err)
				}
			}
			waits, err := f.place(tx.Context(), tx, order{text: "海外代购专场", groups: chosen[:1], key: "two", author: 7, at: now})
			if err != nil || waits.ID != 0 {
				t.Errorf("place = %+v, %v, want a word that only reminds to keep nothing back", waits, err)
			}
			n, err := tx.CountApprovals(tx.Context(), store.ApprovalFilter{})
			if n != 1 {
				t.Errorf("%d approvals, want one", n)
			}
			return err
		})
		if got, want := posts(t, db), []string{"webhook/1 海外代购专场"}; !slices.Equal(got, want) {
			t.Errorf("posts = %q, want %q", got, want)
		}
		update(func(tx *store.Tx) error {
			if err := tx.SetWebhook(tx.Context(), 3, "", now); err != nil {
				return err
			}
			done, err := feature.Approved[item](tx.Context(), tx, waiting, now.Add(time.Hour))
			if err != nil || done != "马上发到 1 个群，另有 1 个现在发不了。" {
				t.Errorf("approved = %q, %v", done, err)
			}
			return err
		})
		if got, want := posts(t, db), []string{"webhook/1 海外代购专场", "webhook/1 招聘刷单员"}; !slices.Equal(got, want) {
			t.Errorf("posts = %q, want %q", got, want)
		}
		update(func(tx *store.Tx) error {
			if err := tx.SetWebhook(tx.Context(), 1, "", now); err != nil {
				return err
			}
			_, err := feature.Approved[item](tx.Context(), tx, waiting, now.Add(time.Hour))
			if _, void := errors.AsType[handlers.Void](err); !void {
				t.Errorf("approved without a webhook = %v, want it to be void", err)
			}
			return nil
		})
	})
}
