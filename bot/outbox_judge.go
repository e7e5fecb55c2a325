package bot

import (
	"errors"
	"strings"
	"time"

	"qunbot/store"
)

// How often, and how long, the outbox tries.
const (
	maxDoubts = 3              // a post of which so many sends may have arrived is sent no more
	minTries  = 5              // a post that cannot be sent is given up after so many tries
	giveUp    = 24 * time.Hour // and after it has been waiting so long
)

// A sending is one post on its way.
type sending struct {
	post store.Post
	lane store.Lane // leased, the send booked in log
	log  sendLog

	// How it went.

	receipt string
	err     error
	ended   time.Time
	dead    bool // the destination is gone; set by judge
}

// judge decides, once, what becomes of s's post and lane after the send.
func (s *sending) judge() {
	p, l := &s.post, &s.lane
	l.LeaseUntil, l.WaitUntil = s.ended, s.ended
	l.Booked = s.log.ended(s.ended).String()
	if s.err == nil {
		l.Waits = 0
		s.end(store.PostSent, "")
		p.Receipt = store.Cut(s.receipt, 160)
		return
	}
	outcome, notBefore := outcomeOfSend(s.err)
	if outcome != Limited {
		l.Waits = 0
	}
	switch outcome {
	case Passing:
		s.again(pause(5*time.Second, p.Failures, 5*time.Minute))
	case Misconfigured:
		s.again(pause(time.Minute, p.Failures, 10*time.Minute))
	case Limited:
		s.again(s.blocked(notBefore))
	case Gone:
		s.dead = true
		l.DeadAt, l.DeadReason = &s.ended, reasonOf(s.err)
		s.end(store.PostFailed, reasonOf(s.err))
	case Refused:
		s.end(store.PostFailed, reasonOf(s.err))
	default:
		s.doubt()
	}
}

// blocked returns how long the lane stays after it was over a limit. Refused
// again at the time that was given, it was a longer limit.
func (s *sending) blocked(notBefore time.Time) time.Duration {
	wait := time.Minute
	if !notBefore.IsZero() {
		wait = max(0, notBefore.Sub(s.ended))
	}
	if s.lane.Waits > 0 {
		for _, w := range laneKinds[kindOf(s.post.Lane)].windows {
			wait = max(wait, w.per)
		}
	}
	s.lane.Waits++
	return wait
}

// again has the post sent again after a pause, unless it was tried long enough.
func (s *sending) again(pause time.Duration) {
	p := &s.post
	p.Failures++
	if p.Failures >= minTries && p.WaitingSince != nil && s.ended.Sub(*p.WaitingSince) >= giveUp {
		s.end(store.PostFailed, reasonOf(s.err))
	} else {
		p.State, p.Reason = store.PostQueued, reasonOf(s.err)
	}
	s.lane.WaitUntil = s.ended.Add(pause)
}

// doubt has the post sent again if it may arrive twice.
func (s *sending) doubt() {
	p := &s.post
	p.Doubts++
	if p.Delivery != AtLeastOnce || p.Doubts >= maxDoubts {
		s.end(store.PostUnknown, reasonOf(s.err))
		return
	}
	p.State, p.Reason = store.PostQueued, reasonOf(s.err)
	s.lane.WaitUntil = s.ended.Add(pause(5*time.Second, p.Doubts-1, time.Minute))
}

func (s *sending) end(state store.PostState, reason string) {
	s.post.State, s.post.Reason, s.post.EndedAt = state, reason, &s.ended
}

// errCrashed is why a post that was left behind in mid-send is in doubt.
var errCrashed = errors.New("发送途中程序中断，不知道是否送达")

// recovered decides what becomes of a post that an earlier holder of the lane
// left behind in mid-send.
func recovered(p store.Post, now time.Time) store.Post {
	s := sending{post: p, err: errCrashed, ended: now}
	s.doubt()
	return s.post
}

// pause returns first, doubled with each of the failures before, at most most.
func pause(first time.Duration, failures int, most time.Duration) time.Duration {
	return min(most, first<<min(failures, 20))
}

func outcomeOfSend(err error) (Outcome, time.Time) {
	if e, ok := errors.AsType[SendError](err); ok {
		return e.Outcome()
	}
	return Doubtful, time.Time{}
}

// reasonOf returns err as operators read it: at most 500 characters, with the
// hint that it may have.
func reasonOf(err error) string {
	text := strings.ToValidUTF8(err.Error(), "?")
	if h, ok := errors.AsType[interface {
		error
		Hint() string
	}](err); ok {
		text = h.Hint() + "（" + text + "）"
	}
	return store.Cut(text, 500)
}

// passing is an error of ours before anything was sent.
type passing struct{ error }

func (passing) Outcome() (Outcome, time.Time) { return Passing, time.Time{} }
func (e passing) Unwrap() error               { return e.error }
