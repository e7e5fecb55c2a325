package news

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"qunbot/bot"
	"qunbot/handlers"
	"qunbot/handlers/moderation"
	"qunbot/handlers/review"
	"qunbot/scheduler"
	"qunbot/store"
	"qunbot/store/storetest"
	"qunbot/web/style"
	"qunbot/wordfilter"
)

func TestMain(m *testing.M) { storetest.Main(m) }

// world is the feature with a clock, a word list and a record of notices.
type world struct {
	*feature
	t       *testing.T
	now     time.Time
	notices []string
	malls   []store.Mall
}

// open returns the feature on db with two malls. Groups 1 and 2 belong to the
// first and have webhooks, 5 has none; 3 and 4 belong to the second and share a
// webhook; 6 has one and belongs to no mall.
func open(t *testing.T, db *store.Store, feeds ...Feed) *world {
	t.Helper()
	w := &world{t: t, now: now}
	d := handlers.Deps{Store: db, Words: wordfilter.NewHolder(), Now: func() time.Time { return w.now }, Zone: db.Zone(), Log: slog.New(slog.DiscardHandler)}
	d.Clear = review.Clear(d, review.Config{Held: moderation.NewFilter(d).Held})
	w.feature = newFeature(d, Config{Feeds: feeds, AllowPrivateAddresses: true, Notify: func(_ context.Context, _ *store.Tx, text string) error {
		w.notices = append(w.notices, text)
		return nil
	}})
	w.update(func(tx *store.Tx) error {
		w.malls = nil
		for _, name := range []string{"南湖店", "北湖店"} {
			m, err := tx.MallNamed(tx.Context(), name)
			if err != nil {
				return err
			}
			w.malls = append(w.malls, m)
		}
		for i, mall := range []int64{w.malls[0].ID, w.malls[0].ID, w.malls[1].ID, w.malls[1].ID, w.malls[0].ID, 0} {
			g := store.Group{ChatID: fmt.Sprintf("wrk%d", i+1), Kind: store.InternalGroup, Name: fmt.Sprintf("%d群", i+1), MallID: mall, CreatedAt: now}
			if _, err := tx.AddGroup(tx.Context(), g); err != nil {
				return err
			}
		}
		for _, w := range []struct {
			group int64
			key   string
		}{{1, "A"}, {2, "B"}, {3, "C"}, {6, "D"}, {4, "C"}} {
			if err := tx.SetWebhook(tx.Context(), w.group, w.key, now); err != nil {
				return err
			}
		}
		return nil
	})
	return w
}

func (w *world) update(fn func(tx *store.Tx) error) {
	w.t.Helper()
	if err := w.Store.Update(w.t.Context(), fn); err != nil {
		w.t.Fatal(err)
	}
}

func (w *world) write(mall int64, texts ...string) {
	w.t.Helper()
	w.update(func(tx *store.Tx) error {
		for _, text := range texts {
			i := item(text, "")
			i.MallID, i.Day, i.OperatorID, i.SeenAt, i.CreatedAt = mall, store.DayOf(w.now, w.Zone), 1, w.now, w.now
			if _, err := tx.AddNewsItem(tx.Context(), i); err != nil {
				return err
			}
		}
		return nil
	})
}

// link writes an item that leads somewhere.
func (w *world) link(text, address string) {
	w.t.Helper()
	w.update(func(tx *store.Tx) error {
		i := item(text, address)
		i.Day, i.OperatorID, i.SeenAt, i.CreatedAt = store.DayOf(w.now, w.Zone), 1, w.now, w.now
		_, err := tx.AddNewsItem(tx.Context(), i)
		return err
	})
}

func (w *world) items() (list []store.NewsItem) {
	w.t.Helper()
	err := w.Store.View(w.t.Context(), func(tx *store.Tx) (err error) {
		list, err = tx.NewsItems(tx.Context(), 0, 1000)
		return err
	})
	if err != nil {
		w.t.Fatal(err)
	}
	return list
}

// posts returns the posts as "lane text", the oldest first.
func (w *world) posts() (list []string) {
	w.t.Helper()
	err := w.Store.View(w.t.Context(), func(tx *store.Tx) error {
		list = nil
		posts, err := tx.Posts(tx.Context(), store.PostFilter{Item: "news", Limit: 5000})
		for _, p := range posts {
			list = append(list, p.Lane+" "+strings.ReplaceAll(p.Text, "\n", "/"))
		}
		return err
	})
	if err != nil {
		w.t.Fatal(err)
	}
	slices.Reverse(list)
	return list
}

func (w *world) run(job func(context.Context, time.Time) error, due time.Time) {
	w.t.Helper()
	if err := job(w.t.Context(), due); err != nil {
		w.t.Fatal(err)
	}
}

func (w *world) want(posts ...string) {
	w.t.Helper()
	if got := w.posts(); strings.Join(got, "\n") != strings.Join(posts, "\n") {
		w.t.Errorf("posts =\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(posts, "\n"))
	}
}

func TestPostOnceToEachWebhook(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.Store) {
		w := open(t, db)
		w.write(0, "全体消息")
		w.write(w.malls[0].ID, "南湖消息")
		want := []string{
			"webhook/1 【每日资讯】11月22日 周日//1. 南湖消息//2. 全体消息",
			"webhook/2 【每日资讯】11月22日 周日//1. 南湖消息//2. 全体消息",
			"webhook/3 【每日资讯】11月22日 周日//1. 全体消息",
			"webhook/4 【每日资讯】11月22日 周日//1. 全体消息",
		}
		w.run(w.post, now)
		w.want(want...)
		w.now = now.Add(time.Hour)
		w.write(0, "后来的消息")
		w.run(w.post, now)
		w.want(want...)
		if len(w.notices) != 0 {
			t.Errorf("notices = %q, want none", w.notices)
		}
		err := db.View(t.Context(), func(tx *store.Tx) error {
			p, err := tx.PostByKey(tx.Context(), store.Key("news.post", 1, "2026-11-22"))
			if err == nil && (p.Delivery != store.AtLeastOnce || p.ExpiresAt == nil || !p.ExpiresAt.Equal(store.Day("2026-11-23").Start(w.Zone))) {
				t.Errorf("post = %+v, want at least once, until the end of the day", p)
			}
			return err
		})
		if err != nil {
			t.Fatal(err)
		}

		// The next day brings what came too late, and nothing twice.
		w.now = now.AddDate(0, 0, 1)
		w.run(w.post, w.now)
		got := w.posts()[len(want):]
		if len(got) != 4 || !strings.HasSuffix(got[0], "11月23日 周一//1. 后来的消息") {
			t.Errorf("the next day's posts = %q", got)
		}
	})
}

func TestNothingNewIsSaidOnce(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.Store) {
		w := open(t, db)
		w.write(w.malls[1].ID, "北湖消息")
		for range 2 {
			w.run(w.post, now)
		}
		if len(w.notices) != 2 || !strings.HasPrefix(w.notices[0], "南湖店 · 每日资讯\n没有新的资讯，今天（2026-11-22）没有发。") {
			t.Errorf("notices = %q, want one for each mall without news", w.notices)
		}
		if got := w.posts(); len(got) != 1 {
			t.Errorf("posts = %q, want one", got)
		}
		// An operator writes something and runs the job once more.
		w.write(w.malls[0].ID, "南湖消息")
		for range 2 {
			w.run(w.post, now)
		}
		if got := w.posts(); len(got) != 3 || len(w.notices) != 2 {
			t.Errorf("posts = %q and notices = %q, want two posts more and no notice", got, w.notices)
		}
	})
}

// words makes words sensitive in a group; 0: in all.
func (w *world) words(group int64, words ...string) {
	w.t.Helper()
	w.update(func(tx *store.Tx) error {
		var rows []store.SensitiveWord
		for _, word := range words {
			rows = append(rows, store.SensitiveWord{GroupID: group, Text: word, Folded: word, Level: store.LevelWarn})
		}
		return tx.AddWords(tx.Context(), rows)
	})
}

// approvals returns who waits for a second person, or did, the oldest first.
func (w *world) approvals() (list []store.Approval) {
	w.t.Helper()
	w.update(func(tx *store.Tx) (err error) {
		list, err = tx.Approvals(tx.Context(), store.ApprovalFilter{Limit: 100})
		return err
	})
	slices.Reverse(list)
	return list
}

// decide ends the wait of an approval.
func (w *world) decide(id int64, to store.ApprovalState) {
	w.t.Helper()
	w.update(func(tx *store.Tx) error {
		decided, err := tx.DecideApproval(tx.Context(), id, to, 9, "", w.now)
		if !decided {
			w.t.Errorf("approval %d does not wait", id)
		}
		return err
	})
}

// What holds a word of all groups, or of one that it goes to, waits; approved
// it is in the next digest, once.
func TestWordsWait(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.Store) {
		w := open(t, db)
		w.words(0, "刷单")
		w.words(2, "抽奖")
		w.write(w.malls[0].ID, "今晚抽奖", "招聘刷单员", "周末手工")
		w.run(w.post, now)
		got := w.posts()
		if len(got) != 2 || !strings.HasSuffix(got[0], "周日//1. 周末手工") || !strings.HasSuffix(got[1], "周日//1. 周末手工") {
			t.Errorf("posts = %q, want both without the words", got)
		}
		if len(w.notices) != 3 || !strings.Contains(w.notices[0], "招聘刷单员”：含有敏感词“刷单”（警告，原文），在“待审”里等第二个人通过") {
			t.Errorf("notices = %q, want one about the words", w.notices)
		}
		waiting := w.approvals()
		if len(waiting) != 2 || waiting[0].Text != "招聘刷单员" || waiting[1].Text != "今晚抽奖" || waiting[0].AuthorID != 1 {
			t.Fatalf("approvals = %+v, want the two that wait", waiting)
		}
		w.decide(waiting[0].ID, store.Approved)
		w.decide(waiting[1].ID, store.Refused)
		for day := range 3 {
			w.now = now.AddDate(0, 0, day)
			w.run(w.post, w.now)
		}
		got = w.posts()
		if len(got) != 4 || !strings.HasSuffix(got[2], "周一//1. 招聘刷单员") || !strings.HasSuffix(got[3], "周一//1. 招聘刷单员") {
			t.Errorf("posts = %q, want the approved one the next day, once, in both groups", got)
		}
		if list := w.approvals(); len(list) != 2 {
			t.Errorf("approvals = %+v, want nobody to be asked again", list)
		}
	})
}

// Nobody decides about what comes from a feed while the digest is made: staff
// are asked when it is read.
func TestFeedsAskAhead(t *testing.T) {
	s := serve(t, (&feedServer{asked: map[string]int{}, feeds: map[string]string{"/a": channel("招聘刷单员 ", "周末手工 ")}}).ServeHTTP)
	w := open(t, storetest.Open(t), Feed{"公众号", s.URL + "/a"})
	w.words(0, "刷单")
	w.now = now.Add(-2 * time.Hour)
	for range 2 {
		w.run(w.fetch, w.now)
	}
	list := w.approvals()
	if len(list) != 1 || list[0].AuthorID != 0 || list[0].Text != "招聘刷单员" || !strings.Contains(list[0].Title, "公众号") {
		t.Errorf("approvals = %+v, want one that nobody wrote", list)
	}
	if end := store.Day("2026-11-25").Start(w.Zone); list[0].ExpiresAt == nil || !list[0].ExpiresAt.Equal(end) {
		t.Errorf("it expires at %v, want %v: after its last digest", list[0].ExpiresAt, end)
	}
}

func TestGroupsCanBeTurnedOff(t *testing.T) {
	w := open(t, storetest.Open(t))
	w.update(func(tx *store.Tx) error {
		return tx.SetSetting(tx.Context(), switchSetting, switches{Off: []int64{1, 3, 6}})
	})
	w.write(0, "消息")
	w.run(w.post, now)
	if got := w.posts(); len(got) != 2 {
		t.Errorf("posts = %q, want those to group 2, and to 4 in the place of 3", got)
	}
	if len(w.notices) != 0 {
		t.Errorf("notices = %q, want none for groups that are off", w.notices)
	}
}

// What had no room is told the next day, for three days.
func TestRest(t *testing.T) {
	w := open(t, storetest.Open(t))
	var texts []string
	for i := range 12 {
		texts = append(texts, fmt.Sprintf("第%d条%s", i, strings.Repeat("字", 150)))
	}
	w.write(0, texts...)
	told := map[string]int{}
	for day := range 4 {
		w.now = now.AddDate(0, 0, day)
		w.run(w.post, w.now)
	}
	for _, p := range w.posts() {
		if !strings.HasPrefix(p, "webhook/1 ") {
			continue
		}
		if len(p)-len("webhook/1 ") > maxPost {
			t.Errorf("a post has %d bytes", len(p))
		}
		for _, text := range texts {
			told[text] += strings.Count(p, text)
		}
	}
	if len(told) != 12 || slices.ContainsFunc(slices.Collect(maps.Values(told)), func(n int) bool { return n != 1 }) {
		t.Errorf("told = %v, want each once", told)
	}
}

// A job that runs late, after its day, posts that day's digest and leaves it
// the rest of today.
func TestLate(t *testing.T) {
	w := open(t, storetest.Open(t))
	w.write(0, "消息")
	w.now = now.Add(20 * time.Hour)
	w.run(w.post, now)
	err := w.Store.View(t.Context(), func(tx *store.Tx) error {
		p, err := tx.PostByKey(tx.Context(), store.Key("news.post", 1, "2026-11-22"))
		if err == nil && !p.ExpiresAt.Equal(store.Day("2026-11-24").Start(w.Zone)) {
			t.Errorf("a late post expires at %s, want the end of today", p.ExpiresAt)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}

// A year in simulated time: each day one post, at nine in the morning, however
// often the job runs.
func TestYear(t *testing.T) {
	w := open(t, storetest.Open(t))
	w.update(func(tx *store.Tx) error {
		for d := range 365 {
			i := item(fmt.Sprintf("第%d天", d), "")
			i.Day, i.OperatorID, i.SeenAt, i.CreatedAt = store.Day("2026-11-22").Add(d), 1, now, now
			if _, err := tx.AddNewsItem(tx.Context(), i); err != nil {
				return err
			}
		}
		return tx.SetSetting(tx.Context(), switchSetting, switches{Off: []int64{2, 3, 4, 6}})
	})
	schedule := New(w.Deps, w.Config).Jobs[1].Schedule
	due := now.Add(-time.Minute)
	var want []string
	for d := range 365 {
		due = schedule.Next(due, scheduler.Calendar{Zone: w.Zone})
		day := store.Day("2026-11-22").Add(d)
		if got := due.In(w.Zone).Format("2006-01-02 15:04"); got != string(day)+" 09:00" {
			t.Fatalf("due at %s, want %s 09:00", got, day)
		}
		w.now = due.Add(time.Minute)
		w.run(w.post, due)
		if d%30 == 0 {
			w.run(w.post, due)
		}
		want = append(want, fmt.Sprintf("webhook/1 【每日资讯】%s//1. 第%d天", style.DayText(day, day), d))
	}
	w.want(want...)
	if len(w.notices) != 0 {
		t.Errorf("notices = %q, want none", w.notices)
	}
}

// feedServer serves feeds by path; what is not there is a 500.
type feedServer struct {
	sync.Mutex
	feeds map[string]string
	asked map[string]int // full answers
}

func (s *feedServer) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s.Lock()
	defer s.Unlock()
	body, ok := s.feeds[r.URL.Path]
	if !ok {
		w.WriteHeader(http.StatusInternalServerError)
		return
	}
	tag := `"` + hash(body)[:8] + `"`
	w.Header().Set("ETag", tag)
	if r.Header.Get("If-None-Match") == tag {
		w.WriteHeader(http.StatusNotModified)
		return
	}
	s.asked[r.URL.Path]++
	w.Write([]byte(body))
}

func channel(items ...string) string {
	var b strings.Builder
	b.WriteString(`<rss version="2.0"><channel>`)
	for _, i := range items {
		title, link, _ := strings.Cut(i, " ")
		fmt.Fprintf(&b, "<item><title>%s</title><link>%s</link></item>", title, link)
	}
	return b.String() + "</channel></rss>"
}

func TestFetch(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.Store) {
		s := &feedServer{asked: map[string]int{}, feeds: map[string]string{
			"/a": channel("新店开业 https://mall.example.com/1", "周末手工 https://mall.example.com/2"),
			"/b": channel("新店开业！ https://other.example.com/9", "换个标题 https://mall.example.com/2?utm_source=b", "只有这里 "),
		}}
		server := serve(t, s.ServeHTTP)
		feeds := []Feed{{"公众号", server.URL + "/a"}, {"官网", server.URL + "/b"}, {"坏的", server.URL + "/c"}}
		w := open(t, db, feeds...)
		health := func() (rows []store.NewsFeed) {
			err := db.View(t.Context(), func(tx *store.Tx) error {
				known, err := tx.NewsFeeds(tx.Context())
				for _, f := range feeds {
					rows = append(rows, known[hash(f.URL)])
				}
				return err
			})
			if err != nil {
				t.Fatal(err)
			}
			return rows
		}
		w.run(w.fetch, now)
		if got := w.items(); len(got) != 3 { // by text, by link, and the one that is new
			t.Errorf("items = %+v, want 3: the others are the same", got)
		}
		for i, f := range health()[:2] {
			if f.Failures != 0 || f.OKAt == nil || f.ETag == "" || f.Entries != 2+i || f.Error != "" {
				t.Errorf("feed %d = %+v, want it well", i, f)
			}
		}
		for range 3 {
			w.now = w.now.Add(30 * time.Minute)
			w.run(w.fetch, w.now)
		}
		h := health()
		if s.asked["/a"] != 1 || s.asked["/b"] != 1 || !h[0].OKAt.Equal(w.now) || h[0].Added+h[1].Added != 3 {
			t.Errorf("asked %v, health %+v, want unchanged feeds to be sent once", s.asked, h)
		}
		if h[2].Failures != 4 || h[2].Error != "对方回答 500，不是 200" || h[2].OKAt != nil {
			t.Errorf("bad feed = %+v, want 4 failures", h[2])
		}
		if len(w.notices) != 1 || w.notices[0] != "资讯来源“坏的”连续 3 次读不到：对方回答 500，不是 200" {
			t.Errorf("notices = %q, want one after 3 failures", w.notices)
		}

		// A feed that changes brings what is new; one that recovers is well.
		s.Lock()
		s.feeds["/a"] = channel("今晚抽奖 https://mall.example.com/3", "新店开业 https://mall.example.com/1")
		s.feeds["/c"] = channel("终于好了 https://c.example.com/1")
		s.Unlock()
		w.run(w.fetch, w.now)
		if got := w.items(); len(got) != 5 {
			t.Errorf("%d items, want 2 more", len(got))
		}
		if h := health()[2]; h.Failures != 0 || h.Error != "" {
			t.Errorf("recovered feed = %+v", h)
		}
		w.run(w.post, now)
		if got := w.posts(); len(got) != 4 || strings.Count(got[0], "/2. ") != 1 || strings.Count(got[0], "新店开业") != 1 {
			t.Errorf("posts = %q", got)
		}

		// What no feed has held for long is forgotten.
		s.Lock()
		s.feeds["/a"] = channel("今晚抽奖 https://mall.example.com/3")
		s.Unlock()
		w.now = w.now.Add(keepItems - time.Hour)
		w.run(w.fetch, w.now)
		w.now = w.now.Add(2 * time.Hour)
		w.run(w.fetch, w.now)
		if got := w.items(); len(got) != 1 || got[0].Text != "今晚抽奖" {
			t.Errorf("items = %+v, want only what a feed held lately", got)
		}
	})
}

func TestFetchStops(t *testing.T) {
	started := make(chan struct{})
	server := serve(t, func(_ http.ResponseWriter, r *http.Request) {
		close(started)
		<-r.Context().Done()
	})
	w := open(t, storetest.Open(t), Feed{"慢", server.URL})
	ctx, stop := context.WithCancel(t.Context())
	go func() {
		<-started
		stop()
	}()
	if err := w.fetch(ctx, now); !errors.Is(err, context.Canceled) {
		t.Errorf("fetch = %v, want %v", err, context.Canceled)
	}
	err := w.Store.View(t.Context(), func(tx *store.Tx) error {
		known, err := tx.NewsFeeds(tx.Context())
		if len(known) != 0 {
			t.Errorf("feeds = %v, want no failure noted", known)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}

// Where operators want articles, a digest whose items all have links is sent as
// such; any other as text. The text is there in both.
func TestArticles(t *testing.T) {
	w := open(t, storetest.Open(t))
	w.update(func(tx *store.Tx) error { return tx.SetSetting(tx.Context(), switchSetting, switches{Articles: true}) })
	post := func(due time.Time) store.Post {
		t.Helper()
		w.now = due
		w.run(w.post, due)
		var p store.Post
		err := w.Store.View(t.Context(), func(tx *store.Tx) (err error) {
			p, err = tx.PostByKey(tx.Context(), store.Key("news.post", 1, store.DayOf(due, w.Zone)))
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
		return p
	}
	long := strings.Repeat("很长的消息", 12)
	w.link("第二条", "https://example.com/2") // the newest stands first
	w.link(long, "https://example.com/1")
	p := post(now)
	var rich bot.Rich
	if err := json.Unmarshal([]byte(p.Rich), &rich); err != nil || p.Form != store.FormArticles || len(rich.Articles) != 2 {
		t.Fatalf("post of the form %q with %s, want two articles", p.Form, p.Rich)
	}
	for i, a := range rich.Articles {
		if len(a.Title) > bot.MaxTitleBytes || !strings.Contains(p.Text, a.URL) || a.URL != fmt.Sprintf("https://example.com/%d", i+1) {
			t.Errorf("article %d = %+v of the digest\n%s", i, a, p.Text)
		}
	}
	if a := rich.Articles[0]; !strings.HasSuffix(a.Title, "…") || a.Description != long {
		t.Errorf("a long item = %+v, want it cut in the title and whole below", a)
	}

	w.link("有链接", "https://example.com/3")
	w.write(0, "没有链接")
	if p := post(now.AddDate(0, 0, 1)); p.Form != "" || !strings.Contains(p.Text, "没有链接") {
		t.Errorf("a digest with an item without link has the form %q: %s", p.Form, p.Text)
	}
}
