package bot

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"reflect"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"qunbot/store"
	"qunbot/store/storetest"
)

// An office is a database, a clock that the test moves, and a platform that
// writes down what arrives.
type office struct {
	*testing.T
	db         *store.Store
	mu         sync.Mutex
	now        time.Time
	arrived    []arrival
	answer     func(lane, text string) (string, error) // nil: yes
	log        bytes.Buffer
	wantErrors bool // in the log
	onDead     func(context.Context, *store.Tx, string, string) error
}

type arrival struct {
	lane string
	Reply
	at time.Time
}

func newOffice(t *testing.T, db *store.Store) *office {
	w := &office{T: t, db: db, now: time.Date(2026, 11, 21, 4, 0, 0, 0, time.UTC)}
	t.Cleanup(func() {
		if text := w.log.String(); strings.Contains(text, "ERROR") != w.wantErrors {
			t.Errorf("errors in the log: want %v, got\n%s", w.wantErrors, text)
		}
	})
	return w
}

// eachOffice runs test on both databases.
func eachOffice(t *testing.T, test func(w *office)) {
	storetest.Each(t, func(t *testing.T, db *store.Store) { test(newOffice(t, db)) })
}

func (w *office) clock() time.Time {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.now
}

func (w *office) pass(d time.Duration) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.now = w.now.Add(d)
}

// Send implements Sender.
func (w *office) Send(_ context.Context, lane string, r Reply, _ string) (string, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.arrived = append(w.arrived, arrival{lane, r, w.now})
	if w.answer == nil {
		return "", nil
	}
	return w.answer(lane, r.Text)
}

// texts returns what arrived since the last call.
func (w *office) texts() string {
	w.mu.Lock()
	defer w.mu.Unlock()
	var texts []string
	for _, a := range w.arrived {
		texts = append(texts, a.Text)
	}
	w.arrived = nil
	return strings.Join(texts, " ")
}

func (w *office) want(texts string) {
	w.Helper()
	if got := w.texts(); got != texts {
		w.Errorf("arrived %q, want %q", got, texts)
	}
}

func (w *office) outbox() *dispatch {
	return NewOutbox(OutboxConfig{
		Store: w.db, Sender: w, Now: w.clock, Owner: "test", OnDead: w.onDead,
		Log: slog.New(slog.NewTextHandler(&w.log, nil)),
	}).newDispatch()
}

// work lets d do what there is to do now, and returns until when there is no
// more.
func (w *office) work(d *dispatch) time.Duration {
	for {
		wait := d.step(w.Context())
		if d.sends == 0 {
			return wait
		}
		for d.sends > 0 {
			d.ended(<-d.done)
		}
	}
}

// run lets the outboxes work for that long.
func (w *office) run(d time.Duration, outboxes ...*dispatch) {
	end := w.clock().Add(d)
	for {
		next := end.Sub(w.clock())
		for _, o := range outboxes {
			next = min(next, w.work(o))
		}
		if !w.clock().Before(end) {
			return
		}
		w.pass(max(next, time.Millisecond))
	}
}

func (w *office) update(fn func(ctx context.Context, tx *store.Tx) error) {
	w.Helper()
	if err := w.db.Update(w.Context(), func(tx *store.Tx) error { return fn(tx.Context(), tx) }); err != nil {
		w.Fatal(err)
	}
}

// push pushes posts whose keys are their texts.
func (w *office) push(lane string, texts ...string) {
	w.Helper()
	for _, text := range texts {
		w.pushPost(Post{Key: text, Lane: lane, Reply: Reply{Text: text}, Delivery: AtLeastOnce})
	}
}

func (w *office) pushPost(p Post) {
	w.Helper()
	w.update(func(ctx context.Context, tx *store.Tx) error { return Push(ctx, tx, p) })
}

func (w *office) post(key string) (p store.Post) {
	w.Helper()
	w.update(func(ctx context.Context, tx *store.Tx) (err error) {
		p, err = tx.PostByKey(ctx, key)
		return err
	})
	return p
}

func (w *office) wantState(key string, state store.PostState, reason string) {
	w.Helper()
	if p := w.post(key); p.State != state || !strings.Contains(p.Reason, reason) {
		w.Errorf("post %s is %s (%q), want %s (%q)", key, p.State, p.Reason, state, reason)
	}
}

// sendError is an error with an outcome.
type sendError struct {
	outcome   Outcome
	notBefore time.Time
}

func (e sendError) Error() string                 { return fmt.Sprintf("outcome %d", e.outcome) }
func (e sendError) Outcome() (Outcome, time.Time) { return e.outcome, e.notBefore }
func (e sendError) Hint() string                  { return "去看看" }

func TestPushChecksPosts(t *testing.T) {
	good := Post{Key: "k", Lane: "webhook/1", Reply: Textf("hi"), Delivery: AtMostOnce}
	for name, spoil := range map[string]func(p *Post){
		"no key":                func(p *Post) { p.Key = "" },
		"long key":              func(p *Post) { p.Key = strings.Repeat("k", 161) },
		"no lane":               func(p *Post) { p.Lane = "" },
		"unknown kind":          func(p *Post) { p.Lane = "pigeon/1" },
		"no destination":        func(p *Post) { p.Lane = "webhook/" },
		"blank after the lane":  func(p *Post) { p.Lane = "webhook/1 " },
		"no delivery":           func(p *Post) { p.Delivery = "" },
		"blank text":            func(p *Post) { p.Reply = Textf(" \n") },
		"expires before it may": func(p *Post) { p.NotBefore = time.Unix(2, 0); p.Expires = time.Unix(1, 0) },
	} {
		p := good
		spoil(&p)
		if p.check() == nil {
			t.Errorf("%s: check(%+v) = nil, want an error", name, p)
		}
	}
	if err := good.check(); err != nil {
		t.Errorf("check(%+v) = %v", good, err)
	}
}

func TestPostsLeaveInOrderAndOnce(t *testing.T) {
	eachOffice(t, func(w *office) {
		o := w.outbox()
		w.push("webhook/1", "a", "b", "a")
		w.pushPost(Post{Key: "b", Lane: "webhook/2", Reply: Textf("another b"), Delivery: AtMostOnce})
		err := w.db.Update(w.Context(), func(tx *store.Tx) error {
			if err := Push(tx.Context(), tx, Post{Key: "x", Lane: "webhook/1", Reply: Textf("x"), Delivery: AtLeastOnce}); err != nil {
				return err
			}
			return errors.New("rolled back")
		})
		if err == nil {
			t.Error("Update = nil, want its error")
		}
		w.push("webhook/1", "c")
		w.run(3*time.Second, o)
		w.want("a b c")
		w.push("webhook/1", "a", "c", "d")
		w.run(3*time.Second, o)
		w.want("d")
		if p := w.post("d"); p.State != store.PostSent || p.Attempts != 1 || p.EndedAt == nil || p.WaitingSince == nil {
			w.Errorf("post d = %+v, want it sent, with the time at which it was seen", p)
		}
	})
}

func TestNamesAreFilledInWhenItIsSent(t *testing.T) {
	eachOffice(t, func(w *office) {
		var member int64
		w.update(func(ctx context.Context, tx *store.Tx) error {
			list, err := tx.MembersOf(ctx, []store.Identity{{Kind: store.UserID, Value: "lisi"}}, w.now)
			member = list[0].ID
			return err
		})
		w.push("webhook/1", "恭喜"+Name(member))
		w.run(2*time.Second, w.outbox())
		w.want(fmt.Sprint("恭喜会员 ", member))
	})
}

func TestTimes(t *testing.T) {
	eachOffice(t, func(w *office) {
		o, start := w.outbox(), w.now
		o.poll = 10 * time.Second // for speed
		post := func(key string, notBefore, expires time.Duration) {
			p := Post{Key: key, Lane: "webhook/1", Reply: Textf("%s", key), Delivery: AtLeastOnce}
			if notBefore > 0 {
				p.NotBefore = start.Add(notBefore)
			}
			if expires > 0 {
				p.Expires = start.Add(expires)
			}
			w.pushPost(p)
		}
		post("later", time.Hour, 0)
		post("now", 0, 0)
		post("short", 10*time.Minute, 11*time.Minute)
		w.run(9*time.Minute, o)
		w.want("now")
		w.pass(2 * time.Minute) // nobody sends meanwhile
		w.run(time.Minute, o)
		w.want("")
		w.wantState("short", store.PostExpired, "")
		w.run(47*time.Minute, o)
		w.want("")
		w.run(2*time.Minute, o)
		w.want("later")
	})
}

// Two outboxes on one database, each of which dies now and then, never send
// more than a webhook takes.
func TestWindowOverRestartsAndReplicas(t *testing.T) {
	eachOffice(t, func(w *office) {
		const posts = 65
		start := w.now
		for i := range posts {
			w.push("webhook/1", fmt.Sprint(i))
		}
		outboxes := []*dispatch{w.outbox(), w.outbox()}
		for w.post(fmt.Sprint(posts-1)).State != store.PostSent && w.clock().Sub(start) < 10*time.Minute {
			w.run(rand.N(3*time.Second), outboxes...)
			outboxes[rand.IntN(2)] = w.outbox()
		}
		checkWindow(w.T, w.arrived, 20, time.Minute)
		if took := w.arrived[len(w.arrived)-1].at.Sub(start); took < 3*time.Minute || took > 3*time.Minute+20*time.Second {
			w.Errorf("%d posts took %v, want 3 minutes and a little", posts, took)
		}
		for i, a := range w.arrived {
			if a.Text != fmt.Sprint(i) {
				w.Fatalf("post %d is %s", i, a.Text)
			}
		}
	})
}

// checkWindow checks that no stretch of per holds more than most arrivals.
func checkWindow(t *testing.T, list []arrival, most int, per time.Duration) {
	t.Helper()
	list = slices.Clone(list)
	slices.SortStableFunc(list, func(a, b arrival) int { return a.at.Compare(b.at) })
	for i := most; i < len(list); i++ {
		if d := list[i].at.Sub(list[i-most].at); d < per {
			t.Fatalf("%d arrived within %v, want at most %d in %v", most+1, d, most, per)
		}
	}
}

func TestOverALimitWaitsItsTime(t *testing.T) {
	eachOffice(t, func(w *office) {
		o, start := w.outbox(), w.now
		w.answer = func(lane, _ string) (string, error) {
			if lane == "webhook/1" && w.now.Before(start.Add(90*time.Second)) {
				return "", sendError{Limited, w.now.Add(time.Minute)}
			}
			return "", nil
		}
		w.push("webhook/1", "a", "b")
		w.run(2*time.Second, o)
		w.push("webhook/2", "other")
		w.run(57*time.Second, o)
		w.want("a other")
		w.run(3*time.Second, o) // 62 s: refused again
		w.want("a")
		w.wantState("a", store.PostQueued, "去看看（outcome 2）")
		w.run(57*time.Second, o)
		w.want("")
		w.run(3*time.Second, o)
		w.want("a b")
	})
}

func TestDeadDestination(t *testing.T) {
	eachOffice(t, func(w *office) {
		told := 0
		w.wantErrors = true
		w.onDead = func(ctx context.Context, tx *store.Tx, lane, reason string) error {
			told++
			if told == 2 {
				return errors.New("staff is away")
			}
			return Push(ctx, tx, Post{Key: fmt.Sprint("dead", told), Lane: "app/boss", Reply: Textf("%s: %s", lane, reason), Delivery: AtLeastOnce})
		}
		dead := true
		w.answer = func(lane, _ string) (string, error) {
			if lane == "webhook/1" && dead {
				return "", sendError{outcome: Gone}
			}
			return "", nil
		}
		o := w.outbox()
		w.push("webhook/1", "a", "b")
		w.run(3*time.Second, o)
		w.want("a webhook/1: 去看看（outcome 4）")
		w.wantState("a", store.PostFailed, "outcome 4")
		w.wantState("b", store.PostFailed, "outcome 4")
		w.push("webhook/1", "c")
		w.run(3*time.Second, o)
		w.want("")
		w.wantState("c", store.PostFailed, "outcome 4")
		var lanes []store.Lane
		w.update(func(ctx context.Context, tx *store.Tx) (err error) {
			lanes, err = tx.DeadLanes(ctx, 10)
			return err
		})
		if len(lanes) != 1 || lanes[0].Lane != "webhook/1" {
			w.Errorf("DeadLanes = %v, want webhook/1", lanes)
		}

		// A retry asks again; that staff cannot be told changes nothing.
		retry := func(key string) {
			id := w.post(key).ID
			w.update(func(ctx context.Context, tx *store.Tx) error {
				if done, err := tx.RetryPost(ctx, id, w.clock()); err != nil || !done {
					return fmt.Errorf("RetryPost = %v, %w", done, err)
				}
				return nil
			})
		}
		retry("b")
		w.run(3*time.Second, o)
		w.want("b")
		w.wantState("b", store.PostFailed, "outcome 4")
		if told != 2 || !strings.Contains(w.log.String(), "staff is away") {
			w.Errorf("told %d times, log %s", told, w.log.String())
		}
		dead = false
		retry("c")
		w.push("webhook/1", "d")
		w.run(3*time.Second, o)
		w.want("c d")
	})
}

// A destination that hangs keeps its own posts waiting, and no other's.
func TestHangingDestinationDelaysNoOther(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newOffice(t, storetest.Open(t))
		hanging := senderFunc(func(ctx context.Context, lane, text, _ string) (string, error) {
			if lane == "webhook/1" {
				<-ctx.Done()
				return "", ctx.Err()
			}
			w.mu.Lock()
			defer w.mu.Unlock()
			w.arrived = append(w.arrived, arrival{lane, Reply{Text: text}, time.Now()})
			return "", nil
		})
		o := NewOutbox(OutboxConfig{Store: w.db, Sender: hanging, Now: time.Now, Owner: "test", Log: slog.New(slog.DiscardHandler)})
		stop := start(t, o)
		began := time.Now()
		for i := range 20 {
			w.push("webhook/1", fmt.Sprint("hangs", i))
			w.push(fmt.Sprint("webhook/", 2+i), fmt.Sprint("ok", i))
		}
		o.Wake()
		time.Sleep(time.Second)
		synctest.Wait()
		if len(w.arrived) != 20 {
			t.Errorf("%d posts to other destinations arrived within a second, want 20", len(w.arrived))
		}
		w.wantState("hangs0", store.PostSending, "")
		time.Sleep(time.Minute)
		synctest.Wait()
		w.wantState("hangs0", store.PostUnknown, "deadline exceeded")
		if p := w.post("hangs0"); p.Attempts != maxDoubts {
			t.Errorf("it was sent %d times, want %d", p.Attempts, maxDoubts)
		}
		stop()
		if p := w.post("hangs1"); p.State == store.PostSending {
			t.Errorf("after %v Run returned, and a post is in mid-send", time.Since(began))
		}
	})
}

type senderFunc func(ctx context.Context, lane, text, key string) (string, error)

func (f senderFunc) Send(ctx context.Context, lane string, r Reply, key string) (string, error) {
	return f(ctx, lane, r.Text, key)
}

// start runs o until stop is called.
func start(t *testing.T, o *Outbox) (stop func()) {
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error)
	go func() { done <- o.Run(ctx) }()
	return func() {
		cancel()
		if err := <-done; err != nil {
			t.Errorf("Run = %v, want nil", err)
		}
	}
}

// A process that dies in mid-send leaves a post behind.
func TestCrashInMidSend(t *testing.T) {
	eachOffice(t, func(w *office) {
		crash := make(chan struct{})
		sending := make(chan string)
		dying := w.outbox()
		dying.Sender = senderFunc(func(_ context.Context, _, text, _ string) (string, error) {
			sending <- text
			<-crash
			return "late", nil
		})
		for i, delivery := range []Delivery{AtLeastOnce, AtMostOnce, AtMostOnce} {
			lane := fmt.Sprint("webhook/", i)
			w.pushPost(Post{Key: lane, Lane: lane, Reply: Textf("%s", lane), Delivery: delivery})
			w.push(lane, lane+"+")
		}
		dying.step(w.Context())
		for range 3 {
			<-sending
		}
		other := w.outbox()
		w.run(19*time.Second, other)
		w.want("")
		w.run(3*time.Second, other)
		got := strings.Fields(w.texts())
		slices.Sort(got)
		if want := "webhook/0 webhook/0+ webhook/1+ webhook/2+"; strings.Join(got, " ") != want {
			w.Errorf("arrived %q, want %q", got, want)
		}
		w.wantState("webhook/0", store.PostSent, "")
		w.wantState("webhook/1", store.PostUnknown, "中断")

		// A person knows, or the process was only slow.
		id := w.post("webhook/1").ID
		w.update(func(ctx context.Context, tx *store.Tx) error {
			if done, err := tx.ResolveAgain(ctx, id, w.clock()); err != nil || !done {
				return fmt.Errorf("ResolveAgain = %v, %w", done, err)
			}
			return nil
		})
		close(crash)
		for dying.sends > 0 {
			dying.ended(<-dying.done)
		}
		if err := dying.settle(w.Context()); err != nil {
			w.Error(err)
		}
		w.wantState("webhook/2", store.PostSent, "")
		w.run(2*time.Second, other)
		w.want("webhook/1")
		w.wantState("webhook/1", store.PostSent, "")
	})
}

// What one process of many may send does not depend on the others' crashes.
func TestQuota(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.Store) {
		now := time.Date(2026, 11, 21, 4, 0, 0, 0, time.UTC)
		qs := []*quota{newQuota(db, "a"), newQuota(db, "a")}
		var sent []arrival
		var lanes []string
		for i := range 900 {
			lanes = append(lanes, fmt.Sprint("app/", i))
		}
		for i := range 260 { // 65 s
			allowed, err := qs[i%2].allowed(t.Context(), lanes, len(lanes), now)
			if err != nil {
				t.Fatal(err)
			}
			for _, lane := range allowed {
				qs[i%2].spend(lane)
				sent = append(sent, arrival{at: now})
			}
			if more, _ := qs[i%2].allowed(t.Context(), []string{"chat/1"}, 1, now); len(more) != 1 {
				t.Fatal("a connection that is open has no limit above the lanes")
			}
			now = now.Add(250 * time.Millisecond)
		}
		checkWindow(t, sent, 9000, time.Minute)
		if len(sent) < 10_000 {
			t.Errorf("%d sent in 65 s, want 9,000 at the start and as many a minute later", len(sent))
		}
	})
}

// 2,000 posts to 500 webhooks leave at the full rate, and in order.
func TestRate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newOffice(t, storetest.Open(t))
		latency := senderFunc(func(_ context.Context, lane, text, _ string) (string, error) {
			w.mu.Lock()
			w.arrived = append(w.arrived, arrival{lane, Reply{Text: text}, time.Now()})
			w.mu.Unlock()
			time.Sleep(time.Duration(1+rand.N(3)) * 50 * time.Millisecond) // in steps: many end together, as they do in a real hurry
			return "", nil
		})
		posts, lanes := 2000, 500
		if raceDetector {
			posts, lanes = 400, 100 // SQLite is twenty times slower with it
		}
		w.update(func(ctx context.Context, tx *store.Tx) error {
			for i := range posts {
				p := Post{Key: fmt.Sprint(i), Lane: fmt.Sprint("webhook/", i%lanes), Reply: Textf("%04d", i), Delivery: AtMostOnce}
				if err := Push(ctx, tx, p); err != nil {
					return err
				}
			}
			return nil
		})
		began := time.Now()
		stop := start(t, NewOutbox(OutboxConfig{Store: w.db, Sender: latency, Now: time.Now, Owner: "test", Log: slog.New(slog.DiscardHandler)}))
		time.Sleep(10 * time.Second)
		stop()
		if len(w.arrived) != posts {
			t.Fatalf("%d posts arrived, want %d", len(w.arrived), posts)
		}
		if took := w.arrived[posts-1].at.Sub(began); took > time.Duration(posts)*time.Second/aloneRate*105/100 {
			t.Errorf("it took %v for %d, want %d a second", took, posts, aloneRate)
		}
		checkWindow(t, w.arrived, 300, time.Second)
		last := map[string]string{}
		for _, a := range w.arrived {
			if a.Text <= last[a.lane] {
				t.Fatalf("%s: %s after %s", a.lane, a.Text, last[a.lane])
			}
			last[a.lane] = a.Text
		}
		var counts map[store.PostState]int64
		w.update(func(ctx context.Context, tx *store.Tx) (err error) {
			counts, err = tx.PostCounts(ctx)
			return err
		})
		if counts[store.PostSent] != int64(posts) {
			t.Errorf("states %v, want all sent", counts)
		}
	})
}

// Two processes that send while others push: every post arrives once and in
// order.
func TestTwoReplicasAtWork(t *testing.T) {
	eachOffice(t, func(w *office) {
		const lanes, each = 30, 6
		arrived := make(chan arrival, lanes*each*2)
		sender := senderFunc(func(_ context.Context, lane, text, _ string) (string, error) {
			arrived <- arrival{lane: lane, Reply: Reply{Text: text}}
			return "", nil
		})
		log := slog.New(slog.NewTextHandler(&w.log, nil))
		var outboxes []*Outbox
		for range 2 {
			o := NewOutbox(OutboxConfig{Store: w.db, Sender: sender, Now: time.Now, Owner: "same name", Log: log})
			outboxes = append(outboxes, o)
			defer start(t, o)()
		}
		for n := range 2 {
			go func() {
				for i := range each {
					err := w.db.Update(t.Context(), func(tx *store.Tx) error {
						for l := range lanes {
							if l%2 != n {
								continue
							}
							p := Post{Key: fmt.Sprint(l, " ", i), Lane: fmt.Sprint("webhook/", l), Reply: Textf("%d", i), Delivery: AtMostOnce}
							if err := Push(tx.Context(), tx, p); err != nil {
								return err
							}
						}
						return nil
					})
					if err != nil {
						t.Error(err)
					}
					outboxes[n].Wake()
				}
			}()
		}
		deadline := time.After(time.Minute)
		next := map[string]int{}
		for range lanes * each {
			select {
			case a := <-arrived:
				if a.Text != fmt.Sprint(next[a.lane]) {
					t.Fatalf("%s: %s arrived, want %d", a.lane, a.Text, next[a.lane])
				}
				next[a.lane]++
			case <-deadline:
				t.Fatalf("only %v arrived within a minute", next)
			}
		}
	})
}

// A post that is more than text arrives as it was pushed, and lists of posts,
// which operators read, say so without carrying it.
func TestRichPosts(t *testing.T) {
	eachOffice(t, func(w *office) {
		png := append([]byte("\x89PNG\r\n\x1a\n"), make([]byte, 1000)...)
		want := []Rich{
			{Markdown: "**满 100 减 20**"},
			{Articles: []Article{{Title: "周末市集", Description: "在一楼", URL: "https://example.com/1?a=1&b=2", PicURL: "https://example.com/1.png"}}},
			{Picture: png},
			{Card: &Card{Title: "抽奖 #1", Facts: []Fact{{"奖品", "电饭煲"}}, URL: "https://example.com/draws/a"}},
		}
		w.update(func(ctx context.Context, tx *store.Tx) error {
			for i, r := range want {
				err := Push(ctx, tx, Post{Key: fmt.Sprint(i), Lane: "webhook/1", Reply: Reply{Text: "看看", Rich: &r}, Delivery: AtLeastOnce})
				if err != nil {
					return err
				}
			}
			posts, err := tx.Posts(ctx, store.PostFilter{Limit: 10, Oldest: true})
			for i, form := range []string{store.FormMarkdown, store.FormArticles, store.FormPicture, store.FormCard} {
				if posts[i].Form != form || posts[i].Rich != "" {
					t := posts[i]
					w.Errorf("listed: form %q with %d bytes, want %q without", t.Form, len(t.Rich), form)
				}
			}
			return err
		})
		w.run(time.Second, w.outbox())
		if len(w.arrived) != len(want) {
			w.Fatalf("%d posts arrived, want %d", len(w.arrived), len(want))
		}
		for i, a := range w.arrived {
			if a.Text != "看看" || a.Rich == nil || !reflect.DeepEqual(*a.Rich, want[i]) {
				w.Errorf("post %d arrived as %q, %+v; want %+v", i, a.Text, a.Rich, want[i])
			}
		}
	})
}

func TestPushChecksRichPosts(t *testing.T) {
	const page = "https://example.com/"
	tests := []struct {
		name string
		rich Rich
	}{
		{"nothing", Rich{}},
		{"two forms", Rich{Markdown: "a", Card: &Card{Title: "t", URL: page}}},
		{"long markdown", Rich{Markdown: strings.Repeat("a", MaxMarkdownBytes+1)}},
		{"too many articles", Rich{Articles: slices.Repeat([]Article{{Title: "t", URL: page}}, MaxArticles+1)}},
		{"article without title", Rich{Articles: []Article{{Title: " ", URL: page}}}},
		{"article without address", Rich{Articles: []Article{{Title: "t"}}}},
		{"article with a script", Rich{Articles: []Article{{Title: "t", URL: "javascript:alert(1)"}}}},
		{"long title", Rich{Articles: []Article{{Title: strings.Repeat("a", MaxTitleBytes+1), URL: page}}}},
		{"long description", Rich{Articles: []Article{{Title: "t", Description: strings.Repeat("a", MaxDescriptionBytes+1), URL: page}}}},
		{"picture that is none", Rich{Picture: []byte("<svg>")}},
		{"large picture", Rich{Picture: append([]byte("\x89PNG\r\n\x1a\n"), make([]byte, MaxPictureBytes)...)}},
		{"card without address", Rich{Card: &Card{Title: "t"}}},
		{"card with many facts", Rich{Card: &Card{Title: "t", URL: page, Facts: make([]Fact, MaxFacts+1)}}},
	}
	w := newOffice(t, storetest.Open(t))
	for _, tt := range tests {
		w.update(func(ctx context.Context, tx *store.Tx) error {
			if Push(ctx, tx, Post{Key: tt.name, Lane: "webhook/1", Reply: Reply{Text: "a", Rich: &tt.rich}, Delivery: AtLeastOnce}) == nil {
				t.Errorf("Push took %s", tt.name)
			}
			return nil
		})
	}
}
