package main

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"regexp"
	"slices"
	"strings"
	"sync"
	"time"

	"qunbot/bench/rig"
	"qunbot/bot"
	"qunbot/store"
)

// A kind is what a message is about.
type kind string

// The kinds of messages.
const (
	checkIn  kind = "签到"
	points   kind = "积分"
	award    kind = "/加分"
	join     kind = "抽奖"
	announce kind = "/公告" // causes a post
	keyword  kind = "关键词"
	order    kind = "办抽奖" // the operator's, before and after the load
)

const (
	operatorID = "boss"
	tries      = 3 // of one delivery: then WeCom gives up
	apology    = "抱歉，出了点问题"
)

// A message is one message of the load and what became of it.
type message struct {
	rig.Saying
	kind kind
	draw int64 // which draw a join is for

	mu    sync.Mutex
	began time.Time
	acked time.Time
	plain map[string]bool // the different answers
	text  string          // what the first one shows
}

// A load is what members say and what is pushed in one phase.
type load struct {
	phase
	fleet     *fleet
	callbacks rig.Callbacks
	db        *store.Store
	dice      *rand.Rand
	messages  []*message
	pushed    []pushed
	draws     []int64           // their numbers
	proved    int               // of them
	took      []string          // how long each part of the phase took
	laneOf    map[string]string // the webhook's number by its key
	byChat    map[string]string // lanes

	mu       sync.Mutex
	statuses map[int]int // answers by HTTP status; 0: none
	again    int         // deliveries on purpose of what had been delivered
}

const keywordText = "营业时间"

func chatOf(group int) string     { return fmt.Sprintf("wrkTORTURE%04d", group) }
func keyOf(group int) string      { return fmt.Sprintf("00000000-0000-4000-8000-%012d", group) }
func regularOf(member int) string { return fmt.Sprintf("regular%03d", member) }

// regulars are members that everybody knows before the load begins.
const regulars = 50

// script makes up the messages. What they are depends on the seed alone.
func (l *load) script() {
	for i := range l.messagesWanted {
		group := l.dice.IntN(l.groups)
		m := &message{Saying: rig.Saying{ID: fmt.Sprintf("m%06d", i), Who: fmt.Sprintf("member%06d", i), Chat: chatOf(group)}, plain: map[string]bool{}}
		switch n := l.dice.IntN(100); {
		case n < 40:
			m.kind, m.Text = checkIn, "签到"
		case n < 55:
			m.kind, m.Text, m.Who = points, "积分", regularOf(l.dice.IntN(regulars))
		case n < 65:
			m.kind, m.Who = award, operatorID
			m.Text = fmt.Sprintf("/加分 %s %d %s", regularOf(l.dice.IntN(regulars)), 1+l.dice.IntN(20), m.ID)
		case n < 80:
			m.kind = join
			m.draw = l.draws[l.dice.IntN(len(l.draws))]
			m.Text = fmt.Sprint("抽奖 ", m.draw)
			if l.dice.IntN(3) == 0 {
				m.Who = regularOf(l.dice.IntN(regulars))
			}
		case n < 90:
			m.kind, m.Who = announce, operatorID
			m.Chat = chatOf(l.lane())
			m.Text = "/公告 " + announcement(m.ID)
		default:
			m.kind, m.Text = keyword, keywordText
		}
		l.messages = append(l.messages, m)
	}
}

// announcement is the text of the post that an announce message causes.
func announcement(id string) string { return id + "号公告" }

// lane returns the group of a post: one in five has half of the posts.
func (l *load) lane() int {
	if l.dice.IntN(2) == 0 {
		return l.dice.IntN(max(1, l.groups/5))
	}
	return l.dice.IntN(l.groups)
}

// prepare says what must have been said before the load begins.
func (l *load) prepare(ctx context.Context, now time.Time) error {
	for i := range regulars {
		if _, err := l.insist(ctx, regularOf(i), "签到"); err != nil {
			return err
		}
	}
	if _, err := l.insist(ctx, operatorID, "/关键词 添加 "+keywordText+" => 十点到二十二点"); err != nil {
		return err
	}
	plans := []string{"票 奖品 电影票 x3", "券 奖品 咖啡券 x5 消耗 2"}
	if l.length > 3*time.Minute { // one that the calendar closes, and one while replicas are killed
		zone := l.db.Zone()
		plans = append(plans, "钟 奖品 雨伞 x3 截止 "+now.Add(l.length/2+time.Minute).In(zone).Format("2006-01-02 15:04"))
	}
	number := regexp.MustCompile(`#(\d+)`)
	for _, p := range plans {
		text, err := l.insist(ctx, operatorID, "/抽奖 新建 "+p)
		if err != nil {
			return err
		}
		found := number.FindStringSubmatch(text)
		if found == nil {
			return fmt.Errorf("a new draw is answered %q", text)
		}
		var n int64
		fmt.Sscan(found[1], &n)
		l.draws = append(l.draws, n)
	}
	return nil
}

// insist delivers a message until it is answered, and returns the answer.
func (l *load) insist(ctx context.Context, who, text string) (string, error) {
	m := &message{Saying: rig.Saying{
		ID: fmt.Sprintf("o%06d", len(l.messages)), Who: who, Chat: chatOf(0), Text: text, Sent: time.Now(),
	}, kind: order, plain: map[string]bool{}, began: time.Now()}
	l.messages = append(l.messages, m)
	for began := time.Now(); ; time.Sleep(200 * time.Millisecond) {
		if l.deliver(ctx, m) {
			return m.text, nil
		}
		if ctx.Err() != nil || time.Since(began) > time.Minute {
			return "", fmt.Errorf("nobody answers %q", text)
		}
	}
}

// say delivers all messages, spread over the phase's length.
func (l *load) say(ctx context.Context) {
	began := time.Now()
	var wg sync.WaitGroup
	room := make(chan struct{}, 64)
	messages := slices.DeleteFunc(slices.Clone(l.messages), func(m *message) bool { return m.kind == order })
	for i, m := range messages {
		due := began.Add(l.length * time.Duration(i) / time.Duration(len(messages)))
		select {
		case <-time.After(time.Until(due)):
		case <-ctx.Done():
			return
		}
		room <- struct{}{}
		gap := time.Duration(200+l.dice.IntN(1300)) * time.Millisecond
		twice, later := l.dice.IntN(10) == 0, l.dice.IntN(10) == 0
		wg.Go(func() {
			defer func() { <-room }()
			l.tell(ctx, m, gap, twice, later)
		})
	}
	wg.Wait()
}

// tell delivers a message as WeCom does: again while there is no 200, three
// times at most. twice: a second delivery leaves at the same time; later: it is
// delivered once more though it was answered.
func (l *load) tell(ctx context.Context, m *message, gap time.Duration, twice, later bool) {
	m.began = time.Now()
	m.Sent = m.began
	if twice {
		var wg sync.WaitGroup
		defer wg.Wait()
		wg.Go(func() { l.repeat(ctx, m) })
	}
	for n := range tries {
		if n > 0 {
			time.Sleep(gap)
		}
		if l.deliver(ctx, m) {
			break
		}
	}
	if later {
		time.Sleep(gap)
		l.repeat(ctx, m)
	}
}

func (l *load) repeat(ctx context.Context, m *message) {
	l.mu.Lock()
	l.again++
	l.mu.Unlock()
	l.deliver(ctx, m)
}

// deliver delivers a message once and reports whether it was acknowledged.
func (l *load) deliver(ctx context.Context, m *message) bool {
	path, body := l.callbacks.Seal(m.Saying, time.Now())
	status, answer, err := l.fleet.do(ctx, "POST", path, body)
	if err != nil {
		status = 0
	}
	l.mu.Lock()
	l.statuses[status]++
	l.mu.Unlock()
	if status != 200 {
		return false
	}
	plain, text, err := l.callbacks.Open(answer)
	if err != nil {
		plain, text = err.Error(), err.Error()
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.plain[plain] = true
	if m.acked.IsZero() {
		m.acked, m.text = time.Now(), text
	}
	return true
}

// said returns what the audit needs of a message.
func (m *message) said() said {
	s := said{id: m.ID, kind: m.kind, began: m.began, acked: m.acked, effect: true}
	for plain := range m.plain {
		s.shown = append(s.shown, plain)
	}
	slices.Sort(s.shown)
	if m.kind == join && !strings.Contains(m.text, apology) {
		s.effect = strings.Contains(m.text, "报名成功") || strings.Contains(m.text, "已经报过")
	}
	return s
}

// pushers is how many push posts at a time; each has its own lanes, so that it
// is known in which order those of one lane were pushed.
const pushers = 8

// push puts posts into the queue, in transactions of this process, spread over
// the phase's length: half AtLeastOnce and half AtMostOnce, to webhooks and
// members. Near the middle one moment brings posts for all lanes at once.
func (l *load) push(ctx context.Context, lanes []string) error {
	began := time.Now()
	plans := make([][]pushed, pushers)
	for i := range l.postsWanted {
		n := l.dice.IntN(len(lanes))
		if l.dice.IntN(2) == 0 {
			n = l.dice.IntN(max(1, len(lanes)/5))
		}
		plans[n%pushers] = append(plans[n%pushers], pushed{text: fmt.Sprintf("p%05d", i), lane: lanes[n], atMostOnce: i%2 == 1})
	}
	errs := make([]error, pushers)
	var wg sync.WaitGroup
	for n, plan := range plans {
		wg.Go(func() {
			for i := range plan {
				due := began.Add(l.length * time.Duration(i) / time.Duration(len(plan)))
				select {
				case <-time.After(time.Until(due)):
				case <-ctx.Done():
					errs[n] = ctx.Err()
					return
				}
				if errs[n] = l.pushAll(ctx, plan[i:i+1]); errs[n] != nil {
					return
				}
			}
		})
	}
	burst, err := l.burst(ctx, began.Add(l.length/2), lanes)
	wg.Wait()
	l.pushed = append(l.pushed, burst...)
	for _, plan := range plans {
		l.pushed = append(l.pushed, plan...)
	}
	return errors.Join(append(errs, err)...)
}

// burst pushes a post to every lane in one transaction at a time.
func (l *load) burst(ctx context.Context, at time.Time, lanes []string) ([]pushed, error) {
	var posts []pushed
	for i, lane := range lanes {
		posts = append(posts, pushed{text: fmt.Sprintf("burst%04d", i), lane: lane, atMostOnce: i%2 == 1})
	}
	select {
	case <-time.After(time.Until(at)):
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	return posts, l.pushAll(ctx, posts)
}

// pushAll pushes posts in one transaction, again until the database has taken
// it: their keys make that harmless.
func (l *load) pushAll(ctx context.Context, posts []pushed) error {
	began := time.Now()
	for {
		err := l.db.Update(ctx, func(tx *store.Tx) error {
			for _, p := range posts {
				delivery := bot.AtLeastOnce
				if p.atMostOnce {
					delivery = bot.AtMostOnce
				}
				err := bot.Push(tx.Context(), tx, bot.Post{
					Key: store.Key("torture", p.text), Lane: p.lane, Reply: bot.Reply{Text: p.text}, Delivery: delivery, Item: "torture",
				})
				if err != nil {
					return err
				}
			}
			return nil
		})
		if err == nil {
			for i := range posts {
				posts[i].began, posts[i].done = began, time.Now()
			}
			return nil
		}
		if time.Since(began) > time.Minute {
			return fmt.Errorf("push: %w", err)
		}
		select {
		case <-time.After(100 * time.Millisecond):
		case <-ctx.Done():
			return err
		}
	}
}
