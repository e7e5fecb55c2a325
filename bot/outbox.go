package bot

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync/atomic"
	"time"

	"qunbot/store"
)

// Delivery says what happens to a post when nobody knows whether it was sent,
// as after a crash in mid-send: the platform takes no idempotency key.
type Delivery = store.Delivery

// The deliveries.
const (
	AtLeastOnce = store.AtLeastOnce // it may arrive twice: news, notices, results of draws
	AtMostOnce  = store.AtMostOnce  // never twice; operators see it as unknown: what carries value
)

// MaxLaneBytes is the longest name of a lane.
const MaxLaneBytes = 255

// A Post is something the program says on its own.
type Post struct {
	Key       string    // at most 160 bytes, from store.Key; what was pushed under it once is not pushed again
	Lane      string    // the destination, kind/id with a kind of laneKinds; at most MaxLaneBytes
	Reply     Reply     // its Text is sent, or its Rich where the destination shows that
	Delivery  Delivery  // must be said
	NotBefore time.Time // zero: at once; till then others of its lane pass
	Expires   time.Time // when it is no use any more; zero: never
	Item      string    // what it belongs to, for reports; at most 160 bytes, may be empty
}

// Push makes p leave when tx is committed. A second Push under the same key
// changes nothing.
//
// It writes a row of its own and locks no other, so that transactions may push
// in any order and never wait for what is being sent.
func Push(ctx context.Context, tx *store.Tx, p Post) error {
	if err := p.check(); err != nil {
		return fmt.Errorf("push %s: %w", p.Key, err)
	}
	rich, err := encodeRich(p.Reply.Rich)
	if err != nil {
		return fmt.Errorf("push %s: %w", p.Key, err)
	}
	row := store.Post{
		Key: p.Key, Lane: p.Lane, DueAt: p.NotBefore, Delivery: p.Delivery, Item: p.Item,
		Text: p.Reply.Text, Form: p.Reply.Rich.form(), Rich: rich,
	}
	if p.NotBefore.Before(store.AtOnce) {
		row.DueAt = store.AtOnce
	}
	if !p.Expires.IsZero() {
		row.ExpiresAt = &p.Expires
	}
	_, err = tx.AddPost(ctx, row)
	return err
}

func (p Post) check() error {
	_, known := laneKinds[kindOf(p.Lane)]
	switch {
	case p.Key == "" || len(p.Key) > 160:
		return errors.New("a post needs a key of at most 160 bytes")
	case !known || strings.TrimSpace(p.Lane) != p.Lane || len(p.Lane) > MaxLaneBytes || strings.HasSuffix(p.Lane, "/"):
		return fmt.Errorf("%q is no lane", LaneName(p.Lane))
	case p.Delivery != AtLeastOnce && p.Delivery != AtMostOnce:
		return errors.New("a post needs a delivery")
	case strings.TrimSpace(p.Reply.Text) == "":
		return errors.New("a post needs a text")
	case len(p.Item) > 160:
		return errors.New("the item has more than 160 bytes")
	case !p.Expires.IsZero() && p.Expires.Before(p.NotBefore):
		return errors.New("the post expires before it may leave")
	}
	return p.Reply.Rich.check()
}

// A Sender brings posts to their destinations.
type Sender interface {
	// Send sends r, in whose Text names are filled in, to the destination of
	// lane: its Rich, if it has one and the destination shows that, or else its
	// Text. It must return soon after ctx is done, which is after 10 s. key is
	// the post's, should the platform know duplicates by it. receipt is the
	// platform's id of the message; empty where there is none.
	//
	// What became of a post that was not sent is read from an error that has
	// the method Outcome of [SendError]. Any other error is [Doubtful].
	Send(ctx context.Context, lane string, r Reply, key string) (receipt string, err error)
}

// A SendError says what became of a send.
type SendError interface {
	error
	// Outcome returns what to do. notBefore is when a call that was Limited may
	// be made again; zero if nobody knows, and for all other outcomes.
	Outcome() (o Outcome, notBefore time.Time)
}

// Outcome is what became of a send that did not succeed. But for Doubtful it is
// certain that nothing arrived.
type Outcome int

// The outcomes.
const (
	Doubtful      Outcome = iota // it may have arrived or not
	Passing                      // a passing trouble: send it again soon
	Limited                      // over a limit: send it again at a given time
	Misconfigured                // settings or rights are wrong: send it again when somebody has changed them
	Gone                         // the destination is gone for good
	Refused                      // what was sent is wrong: sending it again is no use
)

// OutboxConfig is what an outbox works with.
type OutboxConfig struct {
	Store  *store.Store
	Sender Sender
	Now    func() time.Time
	Log    *slog.Logger
	Owner  string // names this process, at most 80 bytes

	// Source names the public address from which this process sends. Processes
	// that send from one address share its limit; empty is a name like others.
	Source string

	// OnDead is called in the transaction that marks a destination dead, so that
	// it can tell staff by Push. It may be called again should that fail. An
	// error is logged, and undoes nothing but what OnDead wrote. It may be nil.
	OnDead func(ctx context.Context, tx *store.Tx, lane, reason string) error

	Observer Observer
}

// Limits of the outbox.
const (
	sendTimeout = 10 * time.Second // one send; what takes longer is Doubtful
	leaseTime   = 20 * time.Second // of a lane, for one send with its bookkeeping; how long a crash holds a lane up
	maxSending  = 128              // sends at a time
	maxBooked   = 64               // posts a transaction
	maxReserved = 100              // lanes for which sends are reserved at a time
	maxLook     = 1000             // lanes, or posts, a look at the database
)

// An Outbox sends posts: those of one lane one by one in the order in which
// they were pushed, and never more than a lane's windows and the platform's
// limits allow, however many outboxes share the database. A post that is not due
// yet, has expired or waits for a person lets others pass; a post that is to be
// sent again holds its lane, and no other.
//
// Leases and windows are compared with each process's own clock; keep clocks
// within a second.
type Outbox struct {
	OutboxConfig
	owner string
	poll  time.Duration // how soon what another process pushed, or what has become due, is seen
	wake  chan struct{}
	times *timetable
	quota *quota

	looked atomic.Int64 // when it last found out what is due, in Unix nanoseconds; 0: never
}

// NewOutbox returns an outbox. It works while Run does.
func NewOutbox(c OutboxConfig) *Outbox {
	o := &Outbox{
		OutboxConfig: c,
		owner:        c.Owner + " " + rand.Text()[:8], // two of the same name must not share leases
		poll:         time.Second,
		wake:         make(chan struct{}, 1),
		times:        newTimetable(c.Store, c.Source),
		quota:        newQuota(c.Store, c.Source),
	}
	if c.Store.Shared() {
		o.poll = 300 * time.Millisecond // other processes cannot Wake this one
	}
	return o
}

// Wake makes the outbox look for posts at once. The store calls it after each
// commit of this process with a Push.
func (o *Outbox) Wake() {
	select {
	case o.wake <- struct{}{}:
	default:
	}
}

// kindOf returns the kind of a lane: "webhook" of "webhook/17".
func kindOf(lane string) string {
	kind, _, _ := strings.Cut(lane, "/")
	return kind
}

// LaneName returns a lane for logs and people: an address to respond to is a
// secret.
func LaneName(lane string) string {
	if kindOf(lane) == "response" {
		return "response/…"
	}
	return lane
}
