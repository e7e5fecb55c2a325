package bot

import (
	"sync/atomic"
	"time"
)

// An Observer hears what an engine and an outbox do, for figures. Its funcs
// are called often and by many goroutines, so they must be quick; a nil one is
// not called.
type Observer struct {
	// Batch hears of a transaction of the engine that was committed, with the
	// answers to its messages, which must not be kept.
	Batch func(answers []Answer, took time.Duration)
	// Sent hears of a send of the outbox to a kind of destination, such as
	// "webhook". result is "sent" or the outcome's name.
	Sent func(kind, result string, took time.Duration)
}

func (o Observer) batch(answers []Answer, took time.Duration) {
	if o.Batch != nil {
		o.Batch(answers, took)
	}
}

func (o Observer) sent(s *sending, took time.Duration) {
	if o.Sent == nil {
		return
	}
	result := "sent"
	if s.err != nil {
		outcome, _ := outcomeOfSend(s.err)
		result = outcome.String()
	}
	o.Sent(kindOf(s.post.Lane), result, took)
}

// String returns the outcome in one lower-case word.
func (o Outcome) String() string {
	switch o {
	case Passing:
		return "passing"
	case Limited:
		return "limited"
	case Misconfigured:
		return "misconfigured"
	case Gone:
		return "gone"
	case Refused:
		return "refused"
	}
	return "doubtful"
}

// A Progress says whether an engine gets on with its work.
type Progress struct {
	Running bool      // Run has begun and not ended
	Waiting int       // messages in the queue
	Since   time.Time // when it began the batch that it is at; zero: it is at none
}

// progress is what Progress is made of.
type progress struct {
	running atomic.Bool
	since   atomic.Int64 // Unix nanoseconds; 0: no batch
}

func (p *progress) begin(now time.Time) { p.since.Store(now.UnixNano()) }
func (p *progress) end()                { p.since.Store(0) }

// Progress returns how far the engine is. Any goroutine may ask.
func (e *Engine) Progress() Progress {
	p := Progress{Running: e.work.running.Load(), Waiting: len(e.queue)}
	if since := e.work.since.Load(); since != 0 {
		p.Since = time.Unix(0, since)
	}
	return p
}

// Looked returns when the outbox last found out what is due; zero: it has not
// yet. While Run gets on, that is some seconds ago at most. Any goroutine may
// ask.
func (o *Outbox) Looked() time.Time {
	if at := o.looked.Load(); at != 0 {
		return time.Unix(0, at)
	}
	return time.Time{}
}
