package monthly

import (
	"context"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode"
	"unicode/utf8"

	"qunbot/handlers"
	"qunbot/handlers/moderation"
	"qunbot/handlers/review"
	"qunbot/ledger"
	"qunbot/scheduler"
	"qunbot/store"
	"qunbot/store/storetest"
	"qunbot/wordfilter"
)

func TestMain(m *testing.M) { storetest.Main(m) }

// at returns a time in the databases' zone.
func at(text string) time.Time {
	t, err := time.ParseInLocation("2006-01-02 15:04", text, storetest.Zone())
	if err != nil {
		panic(err)
	}
	return t
}

func TestDueNow(t *testing.T) {
	text := func(day, hour, minute int, since string) store.MonthlyText {
		return store.MonthlyText{DayOfMonth: day, Hour: hour, Minute: minute, Enabled: true, Since: at(since)}
	}
	off := text(1, 9, 0, "2026-01-01 00:00")
	off.Enabled = false
	tests := []struct {
		name, now string
		text      store.MonthlyText
		last      string
		due       bool
	}{
		{"to the minute", "2026-11-01 09:00", text(1, 9, 0, "2026-01-01 00:00"), "2026-11-01 09:00", true},
		{"a minute before", "2026-11-01 08:59", text(1, 9, 0, "2026-01-01 00:00"), "2026-10-01 09:00", false},
		{"a short month's last day", "2026-11-30 10:00", text(31, 9, 0, "2026-01-01 00:00"), "2026-11-30 09:00", true},
		{"February", "2027-02-28 10:00", text(30, 9, 0, "2026-01-01 00:00"), "2027-02-28 09:00", true},
		{"leap day", "2028-02-29 10:00", text(31, 9, 0, "2026-01-01 00:00"), "2028-02-29 09:00", true},
		{"over the end of the month", "2026-12-01 00:00", text(31, 23, 58, "2026-01-01 00:00"), "2026-11-30 23:58", true},
		{"over the end of the year", "2027-01-01 00:03", text(31, 23, 58, "2026-01-01 00:00"), "2026-12-31 23:58", true},
		{"a week late", "2026-11-08 09:00", text(1, 9, 0, "2026-01-01 00:00"), "2026-11-01 09:00", true},
		{"too late", "2026-11-08 09:01", text(1, 9, 0, "2026-01-01 00:00"), "2026-11-01 09:00", false},
		{"written after it", "2026-11-01 09:05", text(1, 9, 0, "2026-11-01 09:01"), "2026-11-01 09:00", false},
		{"turned off", "2026-11-01 09:00", off, "2026-11-01 09:00", false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			last, due := dueNow(tt.text, at(tt.now), storetest.Zone())
			if !last.Equal(at(tt.last)) || due != tt.due {
				t.Errorf("dueNow = %s, %t, want %s, %t", last.Format(time.DateTime), due, tt.last, tt.due)
			}
		})
	}
}

var someFacts = facts{mall: "南湖店", day: "2027-01-31", points: 12345, checkIns: 678, members: 90, groups: 2}

func TestRender(t *testing.T) {
	for text, want := range map[string]string{
		"{{.Mall}}{{.Year}}{{ .Month }}，{{.Day}}":           "南湖店2027年1月，1月31日",
		"{{.LastMonth}}领了 {{.Points}} 分，签到 {{.CheckIns}} 次": "12月领了 12,345 分，签到 678 次",
		" {{.Members}} 人，{{.Groups}} 个群 ":                   "90 人，2 个群",
		"没有占位符 {x} 1 < 2 & 3":                               "没有占位符 {x} 1 < 2 & 3",
		"一行\r\n两行":                                          "一行\n两行",
		"\uFDD042\uFDD1\x00":                                "42",
	} {
		if got, err := render(text, someFacts.values()); got != want || err != nil {
			t.Errorf("render(%q) = %q, %v, want %q", text, got, err, want)
		}
	}
	for text, want := range map[string]string{
		"":                                 "还没有写文案",
		"  \n":                             "还没有写文案",
		"{{.Prize}}":                       "不认识“{{.Prize}}”。能用的有：{{.Mall}} 商场名、",
		"{{.Mall.Name}}":                   "不认识",
		"{{Mall}}":                         "占位符没写对",
		"{{.mall}}":                        "不认识“{{.mall}}”",
		"{{.Month":                         "占位符没写对",
		"{{":                               "占位符没写对",
		"{{.Month | printf \"%s\"}}":       "占位符没写对",
		"{{$x := .Month}}{{$x}}":           "不认识",
		"{{if .Month}}a{{end}}":            "不能用",
		"{{range .Month}}{{end}}":          "不能用",
		"{{template \"x\"}}":               "不能用",
		"{{define \"x\"}}{{end}}a":         "占位符没写对",
		"{{printf \"%d\" 1}}":              "占位符没写对",
		"{{\"a\"}}":                        "不认识",
		"{.Month}活动":                       "两层英文大括号",
		"｛｛.Month｝｝":                       "两层英文大括号",
		strings.Repeat("字", 683):           "最多 2048",
		strings.Repeat("{{.Points}}", 342): "最多 2048",
	} {
		if got, err := render(text, someFacts.values()); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("render(%q) = %q, %v, want an error with %q", text, got, err, want)
		}
	}
	for _, p := range placeholders {
		if got, err := render("{{."+p.Name+"}}", someFacts.values()); err != nil || got == "" {
			t.Errorf("{{.%s}} = %q, %v, want a value", p.Name, got, err)
		}
	}
	if got, err := render(example, facts{mall: "店", day: "2026-11-01"}.values()); err != nil || strings.Contains(got, "<no value>") {
		t.Errorf("example = %q, %v", got, err)
	}
}

func FuzzRender(f *testing.F) {
	f.Add(example)
	f.Add("{{.Month}}{{/* x */}}{{- .Day -}} x")
	f.Add("{{define \"a\"}}{{end}}{{break}}{{block \"b\" .}}{{end}}")
	f.Add("{{.Prize}} \uFDD01\uFDD1 {.Month}")
	f.Fuzz(func(t *testing.T, text string) {
		got, err := render(text, someFacts.values())
		if err != nil {
			if !strings.ContainsFunc(err.Error(), func(r rune) bool { return unicode.Is(unicode.Han, r) }) {
				t.Errorf("render(%q): %v, want Chinese", text, err)
			}
			return
		}
		if got == "" || len(got) > maxPost || strings.ContainsAny(got, "\uFDD0\uFDD1\x00") || !utf8.ValidString(got) ||
			strings.Contains(got, "<no value>") && !strings.Contains(text, "value") {
			t.Errorf("render(%q) = %q", text, got)
		}
	})
}

// world is the feature with a clock, a word list and a record of notices.
type world struct {
	*feature
	t       *testing.T
	now     time.Time
	notices []string
}

// open returns the feature on db with two malls, each with a group that has a
// webhook, and one more group of the first without one.
func open(t *testing.T, db *store.Store) *world {
	t.Helper()
	w := &world{t: t, now: at("2026-10-15 12:00")}
	d := handlers.Deps{Store: db, Words: wordfilter.NewHolder(), Now: func() time.Time { return w.now }, Zone: db.Zone(), Log: slog.New(slog.DiscardHandler)}
	d.Clear = review.Clear(d, review.Config{Held: moderation.NewFilter(d).Held})
	w.feature = newFeature(d, Config{Notify: func(_ context.Context, _ *store.Tx, text string) error {
		w.notices = append(w.notices, text)
		return nil
	}})
	w.update(func(tx *store.Tx) error {
		for i, name := range []string{"南湖店", "北湖店", "南湖店"} {
			m, err := tx.MallNamed(tx.Context(), name)
			if err != nil {
				return err
			}
			g := store.Group{ChatID: fmt.Sprintf("wrk%d", i+1), Kind: store.InternalGroup, Name: fmt.Sprintf("%d群", i+1), MallID: m.ID, CreatedAt: w.now}
			if _, err := tx.AddGroup(tx.Context(), g); err != nil {
				return err
			}
		}
		if err := tx.SetWebhook(tx.Context(), 1, "A", w.now); err != nil {
			return err
		}
		return tx.SetWebhook(tx.Context(), 2, "B", w.now)
	})
	return w
}

func (w *world) update(fn func(tx *store.Tx) error) {
	w.t.Helper()
	if err := w.Store.Update(w.t.Context(), fn); err != nil {
		w.t.Fatal(err)
	}
}

// mall returns the number of a mall.
func (w *world) mall(name string) (id int64) {
	w.update(func(tx *store.Tx) error {
		m, err := tx.MallNamed(tx.Context(), name)
		id = m.ID
		return err
	})
	return id
}

func (w *world) set(mall, text string, day, hour, minute int) {
	w.t.Helper()
	t := store.MonthlyText{MallID: w.mall(mall), Text: text, DayOfMonth: day, Hour: hour, Minute: minute, Enabled: true, Since: w.now, UpdatedAt: w.now}
	w.update(func(tx *store.Tx) error { return tx.SetMonthlyText(tx.Context(), t) })
}

func (w *world) posts() (list []string) {
	w.t.Helper()
	err := w.Store.View(w.t.Context(), func(tx *store.Tx) error {
		list = nil
		posts, err := tx.Posts(tx.Context(), store.PostFilter{Item: "monthly", Limit: 1000})
		for _, p := range posts {
			list = append(list, p.Lane+" "+p.Text)
		}
		return err
	})
	if err != nil {
		w.t.Fatal(err)
	}
	slices.Reverse(list)
	return list
}

func (w *world) runAt(text string) {
	w.t.Helper()
	w.now = at(text)
	if err := w.post(w.t.Context(), w.now); err != nil {
		w.t.Fatal(err)
	}
}

func TestPost(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.Store) {
		w := open(t, db)
		w.set("南湖店", "{{.Mall}}{{.Month}}：{{.LastMonth}}领了 {{.Points}} 分", 31, 9, 0)
		w.set("北湖店", "北湖{{.Month}}", 1, 10, 0)
		w.update(func(tx *store.Tx) error {
			members, err := tx.MembersOf(tx.Context(), []store.Identity{{Kind: store.UserID, Value: "wang"}}, w.now)
			if err != nil {
				return err
			}
			for i, day := range []string{"2026-10-31 23:59", "2026-11-01 00:00"} {
				e := ledger.Earning{Member: members[0].ID, Mall: w.malls(tx)["南湖店"], Rule: "x", Base: 1000, Key: store.Key("x", i), At: at(day).UTC()}
				if _, _, err := ledger.Award(tx.Context(), tx, e); err != nil {
					return err
				}
			}
			return nil
		})
		w.runAt("2026-10-31 08:59")
		if got := w.posts(); len(got) != 0 {
			t.Errorf("posts before it is due = %q", got)
		}
		for _, now := range []string{"2026-10-31 09:00", "2026-10-31 09:05", "2026-11-01 09:55", "2026-11-01 10:00", "2026-11-01 10:00", "2026-11-30 08:55", "2026-11-30 09:03"} {
			w.runAt(now)
		}
		want := []string{
			"webhook/1 南湖店10月：9月领了 0 分",
			"webhook/2 北湖11月",
			"webhook/1 南湖店11月：10月领了 1,000 分",
		}
		if got := w.posts(); !slices.Equal(got, want) {
			t.Errorf("posts = %q, want %q", got, want)
		}
		if len(w.notices) != 0 {
			t.Errorf("notices = %q, want none", w.notices)
		}
	})
}

func (w *world) malls(tx *store.Tx) map[string]int64 {
	list, err := tx.Malls(tx.Context())
	if err != nil {
		w.t.Fatal(err)
	}
	malls := map[string]int64{}
	for _, m := range list {
		malls[m.Name] = m.ID
	}
	return malls
}

// words makes words sensitive in all groups.
func (w *world) words(words ...string) {
	w.t.Helper()
	w.update(func(tx *store.Tx) error {
		var rows []store.SensitiveWord
		for _, word := range words {
			rows = append(rows, store.SensitiveWord{Text: word, Folded: word, Level: store.LevelWarn})
		}
		return tx.AddWords(tx.Context(), rows)
	})
}

// What cannot be posted is said once, tried again, and posted when it can be.
func TestProblems(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.Store) {
		w := open(t, db)
		w.words("刷单")
		w.set("南湖店", "{{.Month}}招聘刷单员", 1, 9, 0)
		w.runAt("2026-11-01 09:00")
		w.runAt("2026-11-01 09:05")
		if len(w.posts()) != 0 || len(w.notices) != 1 || w.notices[0] != "南湖店 · 2026-11 的活动文案没有发：含有敏感词“刷单”（警告，原文），在“待审”里等第二个人通过。处理好后 5 分钟内会自动发出。" {
			t.Errorf("posts %q, notices %q, want one notice", w.posts(), w.notices)
		}
		w.update(func(tx *store.Tx) error {
			if decided, err := tx.DecideApproval(tx.Context(), 1, store.Approved, 9, "", w.now); err != nil || !decided {
				t.Errorf("the text does not wait: %v", err)
			}
			return tx.SetWebhook(tx.Context(), 1, "", w.now)
		})
		w.runAt("2026-11-01 09:10")
		if len(w.posts()) != 0 || len(w.notices) != 2 || !strings.Contains(w.notices[1], "没有能发的群") {
			t.Errorf("posts %q, notices %q, want another notice", w.posts(), w.notices)
		}
		w.update(func(tx *store.Tx) error { return tx.SetWebhook(tx.Context(), 1, "A", w.now) })
		w.runAt("2026-11-01 09:15")
		w.runAt("2026-11-01 09:20")
		if got := w.posts(); len(got) != 1 || len(w.notices) != 2 {
			t.Errorf("posts %q, notices %q, want it posted once", got, w.notices)
		}
		w.runAt("2026-12-01 09:00") // other figures, the same text
		if got := w.posts(); len(got) != 2 || got[1] != "webhook/1 12月招聘刷单员" {
			t.Errorf("posts %q, want it posted without another approval", got)
		}
	})
}

// A year in simulated time: every text once a month, on its day.
func TestYear(t *testing.T) {
	w := open(t, storetest.Open(t))
	w.now = at("2027-01-01 00:00")
	w.set("南湖店", "{{.Day}}", 31, 23, 58)
	w.set("北湖店", "{{.Day}}", 15, 0, 0)
	calendar := scheduler.Calendar{Zone: w.Zone}
	schedule := New(w.Deps, w.Config).Jobs[0].Schedule
	for due := schedule.Next(w.now, calendar); due.Before(at("2028-01-01 00:04")); due = schedule.Next(due, calendar) {
		if h, m, _ := due.In(w.Zone).Clock(); h > 0 && h < 23 || h == 0 && m > 5 || h == 23 && m < 55 {
			continue // nothing is due then; a run each would only take long
		}
		w.now = due
		if err := w.post(t.Context(), due); err != nil {
			t.Fatal(err)
		}
	}
	var want []string
	for month, last := range []int{31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31} {
		want = append(want, fmt.Sprintf("webhook/2 %d月15日", month+1), fmt.Sprintf("webhook/1 %d月%d日", month+1, last))
	}
	if got := w.posts(); !slices.Equal(got, want) {
		t.Errorf("posts =\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}
