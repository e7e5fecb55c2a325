package review_test

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"qunbot/bot"
	"qunbot/bot/bottest"
	"qunbot/handlers"
	"qunbot/handlers/announce"
	"qunbot/handlers/keyword"
	"qunbot/handlers/moderation"
	"qunbot/handlers/review"
	"qunbot/ledger"
	"qunbot/store"
	"qunbot/store/storetest"
	"qunbot/web/console"
	"qunbot/web/console/consoletest"
	"qunbot/web/portal"
	"qunbot/wordfilter"
)

func TestMain(m *testing.M) { storetest.Main(m) }

var noon = time.Date(2026, 11, 20, 4, 0, 0, 0, time.UTC) // 12:00 in Asia/Shanghai

// A world is the program as far as people decide in it.
type world struct {
	t    *testing.T
	db   *store.Store
	app  *handlers.App
	site string
	log  *slog.Logger

	mu     sync.Mutex
	clock  time.Time
	staff  map[string]string // what staff were told, by key
	member map[string]string // what members were told, by key
	lost   bool              // members cannot be reached
}

func newWorld(t *testing.T, db *store.Store, now func() time.Time) *world {
	t.Helper()
	w := &world{t: t, db: db, clock: noon, staff: map[string]string{}, member: map[string]string{}, log: slog.New(slog.DiscardHandler)}
	if now == nil {
		now = w.now
	}
	d := handlers.Deps{Store: db, Words: wordfilter.NewHolder(), Now: now, Zone: db.Zone(), Log: w.log}
	filter := moderation.NewFilter(d)
	c := review.Config{
		Held: filter.Held, Scan: filter.Scan, Undo: moderation.Undo, Allow: moderation.Allow, Raise: moderation.Raise, Broad: moderation.Broad, PublicURL: "https://fans.example.com/",
		Approved: func() map[string]handlers.Approved { return w.app.Approved },
		Notify: func(_ context.Context, _ *store.Tx, key, text string) error {
			w.mu.Lock()
			defer w.mu.Unlock()
			w.staff[key] = text
			return nil
		},
		Tell: func(_ context.Context, _ *store.Tx, member int64, key, text string) (bool, error) {
			w.mu.Lock()
			defer w.mu.Unlock()
			w.member[key] = fmt.Sprintf("%d %s", member, text)
			return !w.lost, nil
		},
	}
	d.Clear = review.Clear(d, c)
	app, err := handlers.Register(d, []handlers.Feature{
		moderation.New(d, moderation.Config{Filter: filter}), keyword.New(d), announce.New(d), review.New(d, c),
	})
	if err != nil {
		t.Fatal(err)
	}
	w.app = app
	return w
}

// open is a world with its sites and an engine that runs.
func open(t *testing.T, db *store.Store) *world {
	t.Helper()
	w := newWorld(t, db, nil)
	bottest.Run(t, w.app.Engine)
	mux := http.NewServeMux()
	server := httptest.NewServer(mux)
	t.Cleanup(server.Close)
	w.site = server.URL
	operators, err := console.New(console.Config{Store: db, Pages: w.app.Console, Now: w.now, Log: w.log})
	if err != nil {
		t.Fatal(err)
	}
	operators.Mount(mux)
	members, err := portal.New(portal.Config{Store: db, Pages: w.app.Portal, Identifier: signIn{}, Secret: []byte("secret"), Now: w.now, Log: w.log, PublicURL: w.site})
	if err != nil {
		t.Fatal(err)
	}
	members.Mount(mux)
	w.update(func(tx *store.Tx) error {
		for i, chat := range []string{"wrk1", "wrk2"} {
			if _, err := tx.AddGroup(tx.Context(), store.Group{ChatID: chat, Kind: store.InternalGroup, Name: []string{"一号群", "二号群"}[i], CreatedAt: noon}); err != nil {
				return err
			}
			if err := tx.SetWebhook(tx.Context(), int64(i+1), chat, noon); err != nil {
				return err
			}
		}
		return tx.AddWords(tx.Context(), []store.SensitiveWord{{Text: "刷单", Folded: "刷单", Level: store.LevelWarn, Category: "诈骗"}})
	})
	return w
}

// signIn is a platform on which everybody is 小王.
type signIn struct{}

func (signIn) AuthorizeURL(redirect, state string) string {
	return redirect + "?code=1&state=" + url.QueryEscape(state)
}

func (signIn) Identify(context.Context, string) (store.Identity, string, error) {
	return store.Identity{Kind: store.UserID, Value: "小王"}, "小王", nil
}

func (w *world) now() time.Time {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.clock
}

func (w *world) wait(d time.Duration) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.clock = w.clock.Add(d)
}

func (w *world) update(fn func(tx *store.Tx) error) {
	w.t.Helper()
	if err := w.db.Update(w.t.Context(), fn); err != nil {
		w.t.Fatal(err)
	}
}

// operator signs an operator in.
func (w *world) operator(name string, role store.Role) *consoletest.Browser {
	w.t.Helper()
	b := consoletest.New(w.t, w.site)
	b.SignIn(w.db, store.Operator{UserID: name, Name: name, Role: role, CreatedAt: w.now()})
	return b
}

// say returns what is answered in a group; empty: in a 1:1 chat.
func (w *world) say(who, group, text string) string {
	w.t.Helper()
	w.wait(time.Second)
	answer, err := w.app.Engine.Handle(w.t.Context(), bot.Message{
		Key: store.Key("test", w.now().UnixNano()), Endpoint: "test", BotName: "小助手", ChatID: group, ChatKind: store.InternalGroup,
		From: store.Identity{Kind: store.UserID, Value: who}, Text: text, Addressed: true, SentAt: w.now(),
	})
	if err != nil {
		w.t.Fatal(err)
	}
	return answer.Text
}

func (w *world) run(job string) {
	w.t.Helper()
	for _, j := range w.app.Jobs {
		if j.Name == job {
			if err := j.Run(w.t.Context(), w.now()); err != nil {
				w.t.Fatal(err)
			}
			return
		}
	}
	w.t.Fatalf("there is no job %s", job)
}

// posts returns what is to be sent into groups, the oldest first.
func (w *world) posts() (list []string) {
	w.t.Helper()
	w.update(func(tx *store.Tx) error {
		rows, err := tx.Posts(tx.Context(), store.PostFilter{Limit: 100})
		list = nil
		for _, p := range rows {
			list = append(list, p.Lane+" "+p.Text)
		}
		return err
	})
	slices.Reverse(list)
	return list
}

func (w *world) approval(id int64) (a store.Approval) {
	w.t.Helper()
	w.update(func(tx *store.Tx) (err error) {
		a, err = tx.Approval(tx.Context(), id)
		return err
	})
	return a
}

// toldStaff returns what staff were told by keys that begin so.
func (w *world) toldStaff(prefix string) (list []string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for key, text := range w.staff {
		if strings.HasPrefix(key, prefix) {
			list = append(list, text)
		}
	}
	return list
}

func TestTranscripts(t *testing.T) {
	bottest.Play(t, func(t *testing.T, db *store.Store, now func() time.Time) *bot.Engine {
		return newWorld(t, db, now).app.Engine
	})
}

// Who wrote a text cannot approve it, and who has no right to cannot either,
// whatever they send. Approved, it goes out once.
func TestSecondPerson(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.Store) {
		w := open(t, db)
		author, second, third := w.operator("店长", store.Manager), w.operator("老板", store.Owner), w.operator("副店", store.Manager)
		staff, analyst := w.operator("小赵", store.Staff), w.operator("小钱", store.Analyst)
		if got := w.say("店长", "wrk1", "/公告 招聘刷单员"); !strings.Contains(got, "后台“待审” #1") || strings.Contains(got, "刷单") {
			t.Errorf("answer = %q, want where it waits, and no word that others would read", got)
		}
		if told := w.toldStaff("review.approval"); len(told) != 1 || !strings.Contains(told[0], "https://fans.example.com/console/review") || strings.Contains(told[0], "刷单") {
			t.Errorf("staff were told %q, want where it waits, without its words", told)
		}
		page := analyst.Get("/console/review")
		analyst.Holds("analyst", page, "招聘<mark>刷单</mark>员", "发到“一号群”的公告", "店长写的", "现在等着 1 条", "“刷单”（警告，诈骗，原文）")
		analyst.Lacks("analyst", page, `value="approve"`)
		page = author.Get("/console/review")
		author.Holds("author", page, "这是你写的", "撤回")
		author.Lacks("author", page, `value="approve"`)

		key := consoletest.FormKey(t, author.Get("/console/look"))
		form := url.Values{"_key": {key}, "id": {"1"}, "do": {"approve"}}
		author.Holds("own text", author.Ask(http.StatusUnprocessableEntity, "POST", "/console/review", form), "要另一位经理或负责人来看")
		for who, b := range map[string]*consoletest.Browser{"staff": staff, "analyst": analyst} {
			b.Holds(who, b.Ask(http.StatusForbidden, "POST", "/console/review", form), "你的角色不能用这一页")
		}
		if got := w.posts(); len(got) != 0 || w.approval(1).State != store.Waiting {
			t.Fatalf("posts = %q, approval %+v, want it to wait", got, w.approval(1))
		}

		secondKey, thirdKey := consoletest.FormKey(t, second.Get("/console/review")), consoletest.FormKey(t, third.Get("/console/review"))
		for range 2 { // a double tap
			second.Holds("approved", second.Ask(http.StatusOK, "POST", "/console/review", url.Values{"_key": {secondKey}, "id": {"1"}, "do": {"approve"}}),
				"通过了。马上发到 1 个群。", "没有等着看的", "老板")
		}
		third.Holds("too late", third.Ask(http.StatusUnprocessableEntity, "POST", "/console/review", url.Values{"_key": {thirdKey}, "id": {"1"}, "do": {"refuse"}, "reason": {"不好"}}),
			"已经有人处理过了")
		if got, want := w.posts(), []string{"webhook/1 招聘刷单员"}; !slices.Equal(got, want) {
			t.Errorf("posts = %q, want %q", got, want)
		}
		w.update(func(tx *store.Tx) error {
			audits, err := tx.Audits(tx.Context(), 0, 10)
			if err != nil || len(audits) != 2 || audits[0].Object != "approval 1" || audits[0].OperatorID == audits[1].OperatorID || !strings.Contains(audits[0].Detail, "approved announce") {
				t.Errorf("audits = %+v, %v, want who asked and who approved", audits, err)
			}
			return nil
		})

		w.say("小赵", "", "/公告 2 刷单可耻")
		second.Holds("no reason", second.Post(http.StatusUnprocessableEntity, "/console/review", "id", "2", "do", "refuse"), "写一句为什么")
		second.Holds("refused", second.Post(http.StatusOK, "/console/review", "id", "2", "do", "refuse", "reason", "太吓人"), "没有通过", "太吓人")
		w.say("店长", "", "/公告 2 刷单无聊")
		author.Holds("taken back", author.Post(http.StatusOK, "/console/review", "id", "3", "do", "refuse"), "写的人撤回了")
		if got := w.posts(); len(got) != 1 {
			t.Errorf("posts = %q, want no more", got)
		}
		if told := w.toldStaff("review.decided"); len(told) != 3 {
			t.Errorf("authors were told %q, want each decision", told)
		}
		second.Holds("no such", second.Post(http.StatusUnprocessableEntity, "/console/monthly/announce", "text", ""), "写上要说的话")
	})
}

// Two who approve at once: one does, and the text goes out once.
func TestApproveAtOnce(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.Store) {
		w := open(t, db)
		w.operator("小赵", store.Staff)
		w.say("小赵", "wrk1", "/公告 招聘刷单员")
		var all sync.WaitGroup
		pages := make([]string, 4)
		var ready []func()
		for i := range pages {
			b := w.operator(fmt.Sprintf("经理%d", i), store.Manager)
			key := consoletest.FormKey(t, b.Get("/console/review"))
			ready = append(ready, func() {
				_, pages[i] = b.Do(b.Request("POST", "/console/review", url.Values{"_key": {key}, "id": {"1"}, "do": {"approve"}}))
			})
		}
		for _, approve := range ready {
			all.Go(approve)
		}
		all.Wait()
		won := 0
		for _, page := range pages {
			switch {
			case strings.Contains(page, "通过了。马上发到"):
				won++
			case !strings.Contains(page, "已经有人处理过了"):
				t.Errorf("a page says neither:\n%s", page)
			}
		}
		if got := w.posts(); won != 1 || len(got) != 1 {
			t.Errorf("%d approved and posts = %q, want one", won, got)
		}
	})
}

// What nobody looks at expires with a notice, and cannot be approved any more.
func TestExpires(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.Store) {
		w := open(t, db)
		w.operator("小赵", store.Staff)
		w.say("小赵", "wrk1", "/公告 招聘刷单员")
		w.wait(24 * time.Hour)
		boss := w.operator("老板", store.Owner)
		boss.Holds("too late", boss.Post(http.StatusUnprocessableEntity, "/console/review", "id", "1", "do", "approve"), "或者已经过期")
		for range 2 {
			w.run("review.expire")
		}
		if told := w.toldStaff("review.expired"); len(told) != 1 || !strings.Contains(told[0], "还没有人看，已过期") {
			t.Errorf("staff were told %q", told)
		}
		if a := w.approval(1); a.State != store.Expired || a.DecidedBy != 0 || len(w.posts()) != 0 {
			t.Errorf("approval = %+v, posts %q, want it expired", a, w.posts())
		}
		boss.Holds("history", boss.Get("/console/review"), "作废", "到时间还没有人看")
	})
}

// A text is asked for once, and anew only when that has expired; what is no use
// any more is not.
func TestClear(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.Store) {
		w := open(t, db)
		d := handlers.Deps{Store: db, Words: wordfilter.NewHolder(), Now: w.now, Zone: db.Zone(), Log: w.log}
		told := 0
		clear := review.Clear(d, review.Config{Held: moderation.NewFilter(d).Held, Notify: func(context.Context, *store.Tx, string, string) error {
			told++
			return nil
		}})
		asks := func(o handlers.Outgoing, want store.ApprovalState, wantTold int) (a store.Approval) {
			t.Helper()
			w.update(func(tx *store.Tx) error {
				c, err := clear(tx.Context(), tx, o)
				if a = c.Approval; a.State != want || told != wantTold {
					t.Errorf("%+v: state %q and staff told %d times, want %q and %d", o, a.State, told, want, wantTold)
				}
				return err
			})
			return a
		}
		o := handlers.Outgoing{Kind: "news", Object: "item 1", Title: "一条", Text: "刷单可耻", Author: 7, Until: noon.Add(time.Hour)}
		asks(o, "", 0)
		o.Ask = true
		a := asks(o, store.Waiting, 1)
		asks(o, store.Waiting, 1)
		other := o
		other.Object = "item 2"
		asks(other, store.Waiting, 2)
		made := o
		made.Text, made.Source = "今天刷单可耻", "刷单可耻" // the same source: the same approval
		if got := asks(made, store.Waiting, 2); got.ID != a.ID {
			t.Errorf("another figure in the same text asks anew: %+v", got)
		}
		w.wait(2 * time.Hour)
		w.run("review.expire")
		asks(o, store.Expired, 2) // it is no use any more
		o.Until, o.Author = noon.Add(9*time.Hour), 8
		if again := asks(o, store.Waiting, 3); again.ID != a.ID || w.approval(a.ID).AuthorID != 8 {
			t.Errorf("asked again: %+v, want the same row with what holds now", w.approval(a.ID))
		}
		w.update(func(tx *store.Tx) error {
			_, err := tx.DecideApproval(tx.Context(), a.ID, store.Refused, 9, "不好", w.now())
			return err
		})
		asks(o, store.Refused, 3)
		clean := o
		clean.Text = "周末手工"
		asks(clean, "", 3)
	})
}

// An appeal that is upheld gives back what the strike took.
func TestAppeal(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.Store) {
		w := open(t, db)
		w.say("小王", "wrk1", "大家好")
		w.update(func(tx *store.Tx) error {
			_, _, err := ledger.Award(tx.Context(), tx, ledger.Earning{Member: 1, Rule: "test", Base: 100, Key: "start", At: noon})
			return err
		})
		for range 3 { // a warning, 10 points, suspended
			w.say("小王", "wrk1", "来刷单")
		}
		balance := func(want int64) {
			t.Helper()
			w.update(func(tx *store.Tx) error {
				got, err := tx.Balance(tx.Context(), 1, w.now())
				if got != want {
					t.Errorf("balance = %d, want %d", got, want)
				}
				return err
			})
		}
		suspended := func(want bool) {
			t.Helper()
			w.update(func(tx *store.Tx) error {
				until, err := tx.SuspendedUntil(tx.Context(), 1, w.now())
				if until.IsZero() == want {
					t.Errorf("suspended until %v, want %t", until, want)
				}
				return err
			})
		}
		balance(90)
		suspended(true)
		w.say("小王", "", "申诉 2 我在说骗子")
		w.say("小王", "", "申诉 3 还是在说骗子")
		if told := w.toldStaff("review.appeal"); len(told) != 2 || !strings.Contains(strings.Join(told, ""), "对违规 #2 申诉") {
			t.Errorf("staff were told %q", told)
		}
		staff, other, analyst := w.operator("小赵", store.Staff), w.operator("小孙", store.Staff), w.operator("小钱", store.Analyst)
		page := analyst.Get("/console/review/appeals")
		analyst.Holds("analyst", page, "我在说骗子", "来<mark>刷单</mark>", "违规 #2", "一号群", "扣 10 分", "3 次", "现在等着 2 条")
		analyst.Lacks("analyst", page, `value="uphold"`)
		analyst.Ask(http.StatusForbidden, "POST", "/console/review/appeals", url.Values{"_key": {"A"}, "id": {"1"}, "do": {"uphold"}})
		staff.Holds("no reason", staff.Post(http.StatusUnprocessableEntity, "/console/review/appeals", "id", "1", "do", "decline"), "写一句为什么")

		key, otherKey := consoletest.FormKey(t, staff.Get("/console/review/appeals")), consoletest.FormKey(t, other.Get("/console/review/appeals"))
		for range 2 {
			staff.Holds("upheld", staff.Ask(http.StatusOK, "POST", "/console/review/appeals", url.Values{"_key": {key}, "id": {"1"}, "do": {"uphold"}, "reason": {"误会"}}),
				"申诉成功，这次不再算违规。退回 10 分。已告诉会员。")
		}
		other.Holds("too late", other.Ask(http.StatusUnprocessableEntity, "POST", "/console/review/appeals", url.Values{"_key": {otherKey}, "id": {"1"}, "do": {"decline"}, "reason": {"不行"}}),
			"已经有人处理过了")
		balance(100)
		suspended(true)
		w.lost = true
		staff.Holds("upheld", staff.Post(http.StatusOK, "/console/review/appeals", "id", "2", "do", "uphold"), "停用解除了。会员说“申诉”或打开会员页就能看到。")
		balance(100)
		suspended(false)
		if got := w.member["review.answer:1"]; got != "1 你对违规 #2 的申诉成功了，这次不再算违规。退回 10 分。运营说：误会" {
			t.Errorf("the member was told %q", got)
		}
		w.say("小王", "", "申诉 1 第一次也是")
		staff.Holds("declined", staff.Post(http.StatusOK, "/console/review/appeals", "id", "3", "do", "decline", "reason", "这次是真的"), "没有通过")
		balance(100)
		answer := w.say("小王", "", "申诉")
		for _, want := range []string{"申诉没有通过：这次是真的", "申诉成功：误会", "已撤销"} {
			if !strings.Contains(answer, want) {
				t.Errorf("the list lacks %q:\n%s", want, answer)
			}
		}
		if _, problems, err := ledger.Verify(t.Context(), db); err != nil || len(problems) > 0 {
			t.Errorf("the books are wrong: %q, %v", problems, err)
		}
		w.wait(31 * 24 * time.Hour)
		w.run("review.expire")
		staff = w.operator("小赵", store.Staff)
		staff.Lacks("later", staff.Get("/console/review/appeals"), "我在说骗子")
	})
}

func TestMemberPage(t *testing.T) {
	w := open(t, storetest.Open(t))
	member := consoletest.New(t, w.site)
	w.say("小王", "wrk1", "大家好")
	member.Holds("without strikes", member.Get("/m/appeal"), "没有违规")
	member.Lacks("home without strikes", member.Get("/m/"), "违规和申诉")
	w.say("小王", "wrk1", "来刷单")
	member.Holds("home", member.Get("/m/"), "违规和申诉", "觉得冤枉可以申诉")
	page := member.Get("/m/appeal")
	member.Holds("with a strike", page, "来刷单", "一号群", "今天还能申诉 3 次")
	for problem, form := range map[string][]string{
		"请选一次违规": {"strike", "x", "text", "冤枉"},
		"没有这次违规": {"strike", "9", "text", "冤枉"},
		"请写上理由":  {"strike", "1", "text", " "},
		"最多 300": {"strike", "1", "text", strings.Repeat("字", 301)},
	} {
		member.Holds(problem, member.Post(http.StatusUnprocessableEntity, "/m/appeal", form...), problem)
	}
	key := consoletest.FormKey(t, page)
	for range 2 {
		member.Holds("made", member.Ask(http.StatusOK, "POST", "/m/appeal", url.Values{"_key": {key}, "strike": {"1"}, "text": {"我在说骗子"}}), "已申诉，等运营看")
	}
	w.update(func(tx *store.Tx) error {
		n, err := tx.CountAppeals(tx.Context(), store.AppealFilter{})
		if n != 1 {
			t.Errorf("%d appeals after a double tap, want one", n)
		}
		return err
	})
	member.Lacks("none left", member.Get("/m/appeal"), "<form")
}

func TestPersonal(t *testing.T) {
	w := open(t, storetest.Open(t))
	w.say("小王", "wrk1", "来刷单")
	w.say("小王", "", "申诉 我在说骗子")
	personal := review.New(handlers.Deps{}, review.Config{}).Personal
	w.update(func(tx *store.Tx) error {
		data, err := personal.Export(tx.Context(), tx, 1)
		if text := fmt.Sprintf("%+v", data); err != nil || !strings.Contains(text, "我在说骗子") {
			t.Errorf("Export = %s, %v", text, err)
		}
		if err := personal.Erase(tx.Context(), tx, 1); err != nil {
			return err
		}
		n, err := tx.CountAppeals(tx.Context(), store.AppealFilter{})
		if n != 0 {
			t.Errorf("%d appeals after Erase", n)
		}
		return err
	})
}
