package bot

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"runtime/debug"
	"strings"
	"time"

	"qunbot/store"
)

// What Handle refuses.
var (
	// ErrBusy: too many are waiting, or the storage has stalled. The sender
	// should deliver again later.
	ErrBusy = errors.New("too many messages are waiting")
	// ErrLate: the message was not committed in time. It may have been; should
	// it be delivered again, it gets the answer it would have had.
	ErrLate = errors.New("not committed in time")
	// ErrSentAt: the message says it was sent too long ago or in the future.
	ErrSentAt = errors.New("sent more than 24 h ago or more than 10 min ahead")
)

const (
	maxBatch     = 64               // messages a transaction
	queueLength  = 512              // messages waiting; fewer while they wait too long: see gate
	answerWithin = 4 * time.Second  // the platform hangs up after 5 s
	batchTimeout = 10 * time.Second // a transaction that takes longer is rolled back
	maxAhead     = 10 * time.Minute // of SentAt against our clock
	maxBehind    = 24 * time.Hour
	replyLife    = 48 * time.Hour // of a reply that is posted: 微信客服 takes none later
	restLife     = time.Hour      // of the address for the rest of a long reply
	apology      = "抱歉，出了点问题，没能处理这条消息。我们已经记下了，请稍后再试。"
)

// EngineConfig is what an engine works with.
type EngineConfig struct {
	Store     *store.Store
	Router    *Router
	Screens   []Screen
	Fallbacks []Fallback
	Events    []EventHandler
	Now       func() time.Time
	Log       *slog.Logger
	Probe     func(Point) // called at named points, for crash tests; nil otherwise
	Observer  Observer
}

// A Point is where a crash test stops the program.
type Point string

// The points.
const (
	BeforeCommit   Point = "before commit"
	AfterCommit    Point = "after commit before the answer"
	BetweenBatches Point = "between two batches"
)

// An Engine answers messages. It commits the effects of many messages in one
// transaction and answers each only after that commit.
type Engine struct {
	EngineConfig
	queue chan *job
	work  progress
	gate  gate
}

// NewEngine returns an engine. It works while Run does.
func NewEngine(c EngineConfig) *Engine {
	if c.Probe == nil {
		c.Probe = func(Point) {}
	}
	return &Engine{EngineConfig: c, queue: make(chan *job, queueLength), gate: gate{most: queueLength}}
}

// An Answer is what a message is answered with, and how it came about.
type Answer struct {
	Text     string // with names filled in; empty: nothing is said
	StreamID string // by which the platform may ask for the answer again
	Outcome  store.Outcome
	Rule     string
	Replayed bool          // the message was delivered before; this is the answer it got then
	Commit   time.Duration // from the start of the transaction until it was durable
	Batch    int           // messages in that transaction
}

type job struct {
	m     Message
	came  time.Time
	ahead int         // messages that were waiting when it came
	done  chan result // buffered: nobody may be waiting any more
}

// expiry is when nobody waits for the answer any more.
func (j *job) expiry() time.Time { return j.came.Add(answerWithin) }

type result struct {
	answer Answer
	err    error
}

// InTime reports whether what says that it was sent at that time can be
// answered now: see ErrSentAt.
func InTime(sent, now time.Time) bool {
	return !sent.After(now.Add(maxAhead)) && !sent.Before(now.Add(-maxBehind))
}

// Handle answers m after its effects are durable. It returns ErrBusy, ErrLate
// or ErrSentAt, or a storage error; then the message must not be acknowledged.
func (e *Engine) Handle(ctx context.Context, m Message) (Answer, error) {
	now := e.Now()
	if !InTime(m.SentAt, now) {
		return Answer{}, ErrSentAt
	}
	m.Text = StripName(m.Text, m.BotName)
	j := &job{m: m, came: now, ahead: len(e.queue), done: make(chan result, 1)}
	if !e.gate.open(j.ahead, now) {
		return Answer{}, ErrBusy
	}
	select {
	case e.queue <- j:
	default:
		return Answer{}, ErrBusy
	}
	timer := time.NewTimer(answerWithin)
	defer timer.Stop()
	select {
	case r := <-j.done:
		if r.err == nil {
			r.answer.Text, r.err = FillNames(ctx, e.Store, r.answer.Text)
		}
		return r.answer, r.err
	case <-timer.C:
		return Answer{}, ErrLate
	case <-ctx.Done():
		return Answer{}, ctx.Err() // nobody is waiting for the answer; the message goes on
	}
}

// Stream returns the answer that a stream shows, or store.ErrNotFound.
func (e *Engine) Stream(ctx context.Context, streamID string) (Answer, error) {
	var stored store.Answer
	err := e.Store.View(ctx, func(tx *store.Tx) (err error) {
		stored, err = tx.AnswerByStream(tx.Context(), streamID)
		return err
	})
	if err != nil {
		return Answer{}, err
	}
	answer, err := decodeAnswer(stored)
	if err != nil {
		return Answer{}, err
	}
	answer.Text, err = FillNames(ctx, e.Store, answer.Text)
	return answer, err
}

// Run commits messages until ctx is done, and then what was accepted before.
func (e *Engine) Run(ctx context.Context) error {
	e.work.running.Store(true)
	defer e.work.running.Store(false)
	work := context.WithoutCancel(ctx) // what was accepted is finished
	for {
		select {
		case first := <-e.queue:
			e.commit(work, e.drain(first))
			e.Probe(BetweenBatches)
		case <-ctx.Done():
			for len(e.queue) > 0 {
				e.commit(work, e.drain(<-e.queue))
			}
			return nil
		}
	}
}

// drain returns first and what else is waiting, at most a batch.
func (e *Engine) drain(first *job) []*job {
	batch := []*job{first}
	for len(batch) < maxBatch {
		select {
		case j := <-e.queue:
			batch = append(batch, j)
		default:
			return batch
		}
	}
	return batch
}

// commit answers a batch from one transaction. Should that fail, each message
// is tried alone, so that one that cannot be handled fails alone.
func (e *Engine) commit(ctx context.Context, batch []*job) {
	last := batch[len(batch)-1] // it found the most others
	e.gate.begin(e.Now())
	e.work.begin(e.Now())
	// The batch ends before its last answer is given: who gets it may say the
	// next thing at once.
	end := func() {
		e.work.end()
		e.gate.end(last.ahead, e.Now().Sub(last.came))
	}
	live := batch[:0]
	for _, j := range batch {
		if e.Now().Before(j.expiry()) {
			live = append(live, j)
		} else {
			j.done <- result{err: ErrLate} // refused already; it will be delivered again
		}
	}
	answers, err := e.transact(ctx, live)
	if err == nil || len(live) == 0 {
		end()
		for i, j := range live {
			j.done <- result{answer: answers[i]}
		}
		return
	}
	for i, j := range live {
		answer, err := e.alone(ctx, j)
		if i == len(live)-1 {
			end()
		}
		j.done <- result{answer, err}
	}
}

// alone handles one message. It is tried again only while the storage fails;
// any other error is final.
func (e *Engine) alone(ctx context.Context, j *job) (Answer, error) {
	for pause := 5 * time.Millisecond; ; pause *= 2 {
		answers, err := e.transact(ctx, []*job{j})
		if err == nil {
			return answers[0], nil
		}
		// Another replica may have answered the same delivery meanwhile: the
		// next try finds its answer.
		if !store.Transient(err) && !errors.Is(err, store.ErrExists) {
			return e.giveUp(ctx, j, err)
		}
		if e.Now().Add(pause).After(j.expiry()) {
			e.Log.Error("message not committed", "msg", j.m.Key, "group", j.m.Group.ID, "member", j.m.Member.ID, "err", err)
			return Answer{}, err
		}
		time.Sleep(pause)
	}
}

// giveUp stores that j's message failed for good, so that it never runs again.
func (e *Engine) giveUp(ctx context.Context, j *job, cause error) (Answer, error) {
	answers, err := e.transactWith(ctx, []*job{j}, func(context.Context, *store.Tx, Message) (Reply, store.Outcome, error) {
		return Reply{Text: apology, Rule: "error", Detail: store.Cut(cause.Error(), 500)}, store.Failed, nil
	})
	e.Log.Error("message failed", "msg", j.m.Key, "group", j.m.Group.ID, "member", j.m.Member.ID, "err", cause)
	if err != nil {
		return Answer{}, err
	}
	return answers[0], nil
}

func (e *Engine) transact(ctx context.Context, batch []*job) ([]Answer, error) {
	return e.transactWith(ctx, batch, e.decide)
}

// decider says what becomes of one message.
type decider func(ctx context.Context, tx *store.Tx, m Message) (Reply, store.Outcome, error)

// transactWith decides a batch in one transaction and returns the answers in
// the batch's order, once they are durable.
func (e *Engine) transactWith(ctx context.Context, batch []*job, decide decider) ([]Answer, error) {
	if len(batch) == 0 {
		return nil, nil
	}
	ctx, cancel := context.WithTimeout(ctx, batchTimeout)
	defer cancel()
	began := e.Now()
	answers := make([]Answer, len(batch))
	err := e.Store.Update(ctx, func(tx *store.Tx) error {
		b := round{Engine: e, tx: tx, decide: decide, answered: map[string]Answer{}}
		if err := b.lookUp(batch); err != nil {
			return err
		}
		for i, j := range batch {
			answer, err := b.answer(&j.m)
			if err != nil {
				return err
			}
			answers[i] = answer
		}
		if err := b.store(); err != nil {
			return err
		}
		e.Probe(BeforeCommit)
		return nil
	})
	if err != nil {
		return nil, err
	}
	e.Probe(AfterCommit)
	took := e.Now().Sub(began)
	for i := range answers {
		answers[i].Commit, answers[i].Batch = took, len(batch)
	}
	e.Observer.batch(answers, took)
	return answers, nil
}

// decide sends a message through screens, router and fallbacks.
func (e *Engine) decide(ctx context.Context, tx *store.Tx, m Message) (Reply, store.Outcome, error) {
	if m.Event != "" {
		return e.decideEvent(ctx, tx, m)
	}
	var before []string // what the screens say that let the message pass
	for _, screen := range e.Screens {
		reply, stop, err := screen(ctx, tx, m)
		if err != nil || stop {
			return reply, store.Stopped, err
		}
		if reply.Text != "" {
			before = append(before, reply.Text)
		}
	}
	reply, err := e.Router.Answer(ctx, tx, m, e.Fallbacks)
	if reply.Text != "" {
		before = append(before, reply.Text)
	}
	reply.Text = strings.Join(before, "\n")
	return reply, outcomeOf(reply), err
}

func (e *Engine) decideEvent(ctx context.Context, tx *store.Tx, m Message) (Reply, store.Outcome, error) {
	for _, h := range e.Events {
		if h.Event == m.Event {
			reply, err := h.Handle(ctx, tx, m)
			if err != nil || reply.Text != "" {
				return reply, store.Answered, err
			}
		}
	}
	if m.Event == Entered {
		return Reply{Text: e.Router.Help(m), Rule: "help welcome"}, store.Answered, nil
	}
	return Reply{Rule: "event " + string(m.Event)}, store.Ignored, nil
}

func outcomeOf(r Reply) store.Outcome {
	if r.Text == "" {
		return store.Ignored
	}
	return store.Answered
}

// A round is one transaction over a batch.
type round struct {
	*Engine
	tx       *store.Tx
	decide   decider
	answered map[string]Answer // by message key: stored before, or decided in this round
	answers  []store.Answer
	said     []store.Message
	why      []store.Decision
}

// lookUp finds the stored answers, and for the messages without one their
// members, groups and operators, whose accounts it locks.
func (b *round) lookUp(batch []*job) error {
	ctx := b.tx.Context()
	keys := make([]string, len(batch))
	for i, j := range batch {
		keys[i] = j.m.Key
	}
	stored, err := b.tx.Answers(ctx, keys)
	if err != nil {
		return err
	}
	var fresh []*Message
	for _, j := range batch {
		if a, ok := stored[j.m.Key]; ok {
			if b.answered[j.m.Key], err = decodeAnswer(a); err != nil {
				return err
			}
			continue
		}
		fresh = append(fresh, &j.m)
	}
	if len(fresh) == 0 {
		return nil
	}
	if err := b.lookUpMembers(fresh); err != nil {
		return err
	}
	return b.lookUpGroups(fresh)
}

func (b *round) lookUpMembers(fresh []*Message) error {
	ctx := b.tx.Context()
	ids := make([]store.Identity, len(fresh))
	var userIDs []string
	for i, m := range fresh {
		ids[i] = m.From
		if m.From.Kind == store.UserID {
			userIDs = append(userIDs, m.From.Value)
		}
	}
	members, err := b.tx.MembersOf(ctx, ids, b.Now())
	if err != nil {
		return err
	}
	operators := map[string]store.Operator{}
	if len(userIDs) > 0 {
		if operators, err = b.tx.OperatorsByUserID(ctx, userIDs); err != nil {
			return err
		}
	}
	accounts := make([]int64, len(fresh))
	for i, m := range fresh {
		m.Member = members[i]
		m.Operator = store.Operator{}
		if m.From.Kind == store.UserID {
			m.Operator = operators[m.From.Value]
		}
		accounts[i] = members[i].ID
	}
	return b.tx.LockAccounts(ctx, accounts)
}

func (b *round) lookUpGroups(fresh []*Message) error {
	ctx := b.tx.Context()
	var chats []string
	for _, m := range fresh {
		if !m.Private() {
			chats = append(chats, m.ChatID)
		}
	}
	if len(chats) == 0 {
		return nil
	}
	groups, err := b.tx.GroupsByChat(ctx, chats)
	if err != nil {
		return err
	}
	var seen []store.GroupMember
	for _, m := range fresh {
		if m.Private() {
			continue
		}
		if groups[m.ChatID].ID == 0 {
			if groups[m.ChatID], err = b.newGroup(m); err != nil {
				return err
			}
		}
		m.Group = groups[m.ChatID]
		seen = append(seen, store.GroupMember{GroupID: m.Group.ID, MemberID: m.Member.ID, JoinedAt: m.SentAt})
	}
	return b.tx.AddGroupMembers(ctx, seen)
}

// newGroup notes a group that was not known: the bot answers wherever it was
// put, and the console shows the group so that somebody names it.
func (b *round) newGroup(m *Message) (store.Group, error) {
	ctx := b.tx.Context()
	malls, err := b.tx.Malls(ctx)
	if err != nil {
		return store.Group{}, err
	}
	if len(malls) == 0 {
		mall, err := b.tx.MallNamed(ctx, "未命名商场")
		if err != nil {
			return store.Group{}, err
		}
		malls = []store.Mall{mall}
	}
	_, err = b.tx.AddGroup(ctx, store.Group{
		ChatID: m.ChatID, Kind: m.ChatKind, Name: "未命名群 " + m.ChatID, MallID: malls[0].ID, CreatedAt: b.Now(),
	})
	if err != nil {
		return store.Group{}, err
	}
	groups, err := b.tx.GroupsByChat(ctx, []string{m.ChatID})
	return groups[m.ChatID], err
}

// answer decides one message, unless it was decided before.
func (b *round) answer(m *Message) (Answer, error) {
	if a, ok := b.answered[m.Key]; ok {
		a.Replayed = true
		return a, nil
	}
	reply, outcome, err := b.decideSafely(*m)
	if err != nil {
		return Answer{}, err
	}
	now := b.Now()
	if m.RestLane != "" {
		if reply.Text, err = b.postRest(m, reply.Text); err != nil {
			return Answer{}, err
		}
	}
	a := Answer{Text: reply.Text, StreamID: "st-" + rand.Text(), Outcome: outcome, Rule: reply.Rule}
	body, err := json.Marshal(storedReply{Text: a.Text, Outcome: a.Outcome, Rule: a.Rule})
	if err != nil {
		return Answer{}, fmt.Errorf("encode reply: %w", err)
	}
	if m.ReplyLane != "" && strings.TrimSpace(reply.Text) != "" {
		err := Push(b.tx.Context(), b.tx, Post{
			Key: store.Key("reply", m.Key), Lane: m.ReplyLane, Reply: reply, Delivery: AtLeastOnce, Expires: m.SentAt.Add(replyLife),
		})
		if err != nil {
			return Answer{}, err
		}
	}
	b.answers = append(b.answers, store.Answer{Key: m.Key, StreamID: a.StreamID, Body: string(body), CreatedAt: now})
	if m.Text != "" {
		said := store.Message{Key: m.Key, GroupID: m.Group.ID, MemberID: m.Member.ID, Text: m.Text, SentAt: m.SentAt}
		b.said = append(b.said, said)
		b.tx.Hear(said)
	}
	b.why = append(b.why, store.Decision{
		Key: m.Key, Endpoint: m.Endpoint, GroupID: m.Group.ID, MemberID: m.Member.ID,
		Outcome: outcome, Rule: store.Cut(reply.Rule, 80), Detail: store.Cut(reply.Detail, 500), SentAt: m.SentAt, At: now,
	})
	b.answered[m.Key] = a
	return a, nil
}

// postRest returns what of a reply its way back can carry, and posts the rest.
func (b *round) postRest(m *Message, text string) (first string, err error) {
	first, rest := splitReply(text, m.ReplyMax)
	if rest == "" {
		return text, nil
	}
	return first + "\n（没完，后面的接着发）", Push(b.tx.Context(), b.tx, Post{
		Key: store.Key("rest", m.Key), Lane: m.RestLane, Reply: Reply{Text: rest}, Delivery: AtLeastOnce, Expires: m.SentAt.Add(restLife),
	})
}

// splitReply cuts text after a line, so that the first part, with names of up to
// nameRoom bytes filled in and a line added, has at most most bytes. rest is
// empty if text fits, and if its first line alone does not.
func splitReply(text string, most int) (first, rest string) {
	const nameRoom, lineRoom = 64, 64
	size, end := 0, 0
	for line := range strings.Lines(text) {
		size += len(line) + strings.Count(line, nameStart)*nameRoom
		if size <= most-lineRoom {
			end += len(line)
		}
	}
	if size <= most || end == 0 {
		return text, ""
	}
	return strings.TrimRight(text[:end], "\n"), text[end:]
}

// decideSafely turns a handler's panic into an error.
func (b *round) decideSafely(m Message) (r Reply, o store.Outcome, err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("panic: %v\n%s", p, debug.Stack())
		}
	}()
	return b.decide(b.tx.Context(), b.tx, m)
}

func (b *round) store() error {
	if len(b.answers) == 0 {
		return nil
	}
	return b.tx.AddAnswers(b.tx.Context(), b.answers, b.said, b.why)
}

// storedReply is an answer as it is kept.
type storedReply struct {
	Text    string        `json:"text"`
	Outcome store.Outcome `json:"outcome"`
	Rule    string        `json:"rule"`
}

func decodeAnswer(a store.Answer) (Answer, error) {
	var r storedReply
	if err := json.Unmarshal([]byte(a.Body), &r); err != nil {
		return Answer{}, fmt.Errorf("stored answer %s: %w", a.Key, err)
	}
	return Answer{Text: r.Text, StreamID: a.StreamID, Outcome: r.Outcome, Rule: r.Rule}, nil
}
