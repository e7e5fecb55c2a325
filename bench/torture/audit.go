package main

import (
	"fmt"
	"slices"
	"strings"
	"time"
)

// A said is one message of the load and what the platform saw of it.
type said struct {
	id     string // msgid
	kind   kind
	began  time.Time // of the first delivery
	acked  time.Time // of the first 200; zero: none
	shown  []string  // the different answers that were acknowledged, decrypted
	effect bool      // the answer promises an effect: a check-in, an entry, points, a post
}

// A pushed is one post that the database has taken.
type pushed struct {
	text       string // of its own
	lane       string
	atMostOnce bool
	began      time.Time // of its push; with done, when it was put into the queue
	done       time.Time // zero: nobody was told that it was
}

// A call is one request that reached the platform.
type call struct {
	at       time.Time
	op       string // webhook/send, message/send, gettoken
	to       string // the lane; empty for gettoken
	text     string
	accepted bool // it was shown in the chat
}

// A record is everything that the audit looks at.
type record struct {
	said    []said
	effects map[string]int // by msgid: how often it is in the database
	pushed  []pushed
	states  map[string]string // by text: the post's state in the database
	calls   []call
}

// A verdict is what the audit finds. Everything in wrong breaks a promise.
type verdict struct {
	acknowledged int
	unheard      int // messages that got no 200 in three tries
	applied      int // of those, how many were applied
	sent         int // posts that arrived
	doubled      int // posts sent AtLeastOnce that arrived more than once
	unknown      int // posts whose end a person has to find out
	calls        int
	perWebhook   int // most calls to one webhook in any minute
	perSecond    int // most calls in any second

	lost, twice, doubledOnce, disorder, limit []string
}

// wrong returns what breaks a promise.
func (v verdict) wrong() []string {
	return slices.Concat(v.lost, v.twice, v.doubledOnce, v.disorder, v.limit)
}

// The platform's limits, and the promise's own: 300 calls a second in all.
const (
	webhookLimit = 20 // calls to one webhook within a minute
	appLimit     = 30 // calls for one member within a minute
	secondLimit  = 300
)

// audit compares what the platform saw with what the database holds.
func audit(r record) verdict {
	var v verdict
	v.messages(r)
	v.posts(r)
	v.order(r)
	v.limits(r)
	return v
}

// messages looks for messages that were acknowledged and not applied, and for
// any that were applied twice.
func (v *verdict) messages(r record) {
	for _, m := range r.said {
		n := r.effects[m.id]
		switch {
		case m.acked.IsZero():
			v.unheard++
			if n > 0 {
				v.applied++
			}
		default:
			v.acknowledged++
			if m.effect && n == 0 {
				v.lost = append(v.lost, fmt.Sprintf("message %s (%s) was acknowledged and is not there: %q", m.id, m.kind, m.shown))
			}
		}
		if n > 1 {
			v.twice = append(v.twice, fmt.Sprintf("message %s (%s) was applied %d times", m.id, m.kind, n))
		}
		if len(m.shown) > 1 {
			v.twice = append(v.twice, fmt.Sprintf("message %s (%s) was answered in %d ways: %q", m.id, m.kind, len(m.shown), m.shown))
		}
	}
}

// posts looks for posts that did not arrive, or twice, against their policy.
func (v *verdict) posts(r record) {
	arrived := map[string]int{}
	for _, c := range r.calls {
		if c.accepted {
			arrived[c.text]++
		}
	}
	for _, p := range r.pushed {
		n, state := arrived[p.text], r.states[p.text]
		if n > 0 {
			v.sent++
		}
		switch {
		case n > 1 && p.atMostOnce:
			v.doubledOnce = append(v.doubledOnce, fmt.Sprintf("post %q to %s arrived %d times and may not", p.text, p.lane, n))
		case n > 1:
			v.doubled++
		}
		switch {
		case state == "unknown":
			v.unknown++
		case state == "":
			v.lost = append(v.lost, fmt.Sprintf("post %q to %s is not in the database", p.text, p.lane))
		case state != "sent":
			v.lost = append(v.lost, fmt.Sprintf("post %q to %s ended as %s", p.text, p.lane, state))
		case n == 0:
			v.lost = append(v.lost, fmt.Sprintf("post %q to %s is called sent and did not arrive", p.text, p.lane))
		}
	}
}

// order looks for posts of one lane that arrived in another order than they
// were put into the queue. Of two that were pushed at the same time either may
// be the first.
func (v *verdict) order(r record) {
	type span struct{ first, last time.Time }
	arrived := map[string]span{}
	for _, c := range r.calls {
		if !c.accepted {
			continue
		}
		s, seen := arrived[c.text]
		if !seen {
			s.first = c.at
		}
		s.last = c.at
		arrived[c.text] = s
	}
	lanes := map[string][]pushed{}
	for _, p := range r.pushed {
		if !arrived[p.text].first.IsZero() {
			lanes[p.lane] = append(lanes[p.lane], p)
		}
	}
	for lane, posts := range lanes {
		for _, a := range posts {
			for _, b := range posts {
				if !a.done.IsZero() && a.done.Before(b.began) && arrived[b.text].first.Before(arrived[a.text].last) {
					v.disorder = append(v.disorder, fmt.Sprintf("in %s %q arrived before %q, which was pushed before it", lane, b.text, a.text))
				}
			}
		}
	}
}

// limits looks for stretches of time with more calls than are allowed.
func (v *verdict) limits(r record) {
	v.calls = len(r.calls)
	all := make([]time.Time, 0, len(r.calls))
	to := map[string][]time.Time{}
	for _, c := range r.calls {
		all = append(all, c.at)
		if c.to != "" {
			to[c.to] = append(to[c.to], c.at)
		}
	}
	v.perSecond = v.within("all destinations", all, time.Second, secondLimit)
	for lane, times := range to {
		if strings.HasPrefix(lane, "webhook/") {
			v.perWebhook = max(v.perWebhook, v.within(lane, times, time.Minute, webhookLimit))
		} else {
			v.within(lane, times, time.Minute, appLimit)
		}
	}
}

// within returns the most of the times in any stretch of per, and notes the
// worst stretch if that is more than limit.
func (v *verdict) within(what string, times []time.Time, per time.Duration, limit int) (most int) {
	slices.SortFunc(times, time.Time.Compare)
	from, worst := 0, time.Time{}
	for i, t := range times {
		for t.Sub(times[from]) >= per {
			from++
		}
		if n := i - from + 1; n > most {
			most, worst = n, times[from]
		}
	}
	if most > limit {
		v.limit = append(v.limit, fmt.Sprintf("%d calls to %s within %s from %s on, %d are allowed", most, what, per, worst.Format(time.TimeOnly), limit))
	}
	return most
}
