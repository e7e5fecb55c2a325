package bot

import (
	"fmt"
	"strings"
	"time"
)

// A window is a limit: at most most sends within any stretch of per.
type window struct {
	most int
	per  time.Duration
}

// A laneKind is what the platform says about a kind of destination.
type laneKind struct {
	api     string // the call that is counted for the corp; empty: none is made
	windows []window
}

// laneKinds are the kinds of lanes. A webhook's id is ours, not its key, which
// is a secret.
//
// Sources, below https://developer.work.weixin.qq.com/document/path/: 91770
// (webhook), 101463 (chat: an aibot's, its replies included), 90236 (app:
// what is more, the platform drops without a word), 90248 and 90312 (appchat:
// 200 a minute to each of its members), 94677 (kf: 5 messages after each of the
// customer's, which is no window of time), 101138 (response: one message each).
var laneKinds = map[string]laneKind{
	"webhook":  {"webhook/send", []window{{20, time.Minute}}},
	"chat":     {"", []window{{30, time.Minute}, {1000, time.Hour}}},
	"app":      {"message/send", []window{{30, time.Minute}, {1000, time.Hour}}},
	"appchat":  {"appchat/send", []window{{200, time.Minute}}},
	"kf":       {"kf/send_msg", nil},
	"response": {"aibot/response", nil},
}

// slack is what a window is longer than the platform says, for clocks that
// differ.
const slack = 500 * time.Millisecond

// A booking is some sends at, or before, a time.
type booking struct {
	at    int64 // Unix milliseconds
	sends int
}

// A sendLog is what was sent lately, or may have been, the oldest first. A send
// is booked before it begins, at the latest time at which it can arrive, and
// moved to when it ended after that. So what really arrives is never closer
// together than what the log says; and a crash loses sends, never a booking.
type sendLog []booking

// freeAt returns the earliest time from now on at which another send keeps
// within all windows.
func (l sendLog) freeAt(ws []window, now time.Time) time.Time {
	free := now
	for _, w := range ws {
		sends := 0
		for i := len(l) - 1; i >= 0; i-- {
			if sends += l[i].sends; sends >= w.most {
				if t := time.UnixMilli(l[i].at).Add(w.per + slack); t.After(free) {
					free = t
				}
				break
			}
		}
	}
	return free
}

// room returns how many sends w allows at now.
func (l sendLog) room(w window, now time.Time) int {
	room := w.most
	for _, b := range l {
		if time.UnixMilli(b.at).Add(w.per + slack).After(now) {
			room -= b.sends
		}
	}
	return max(0, room)
}

// book adds sends that arrive by the time at, which is not before now, and
// forgets what the windows do not need.
func (l sendLog) book(ws []window, sends int, now, at time.Time) sendLog {
	return append(l.compact(ws, now), booking{l.notBefore(len(l), at), sends})
}

// ended moves the latest booking, which is of one send, to when that ended.
func (l sendLog) ended(at time.Time) sendLog {
	if len(l) == 0 {
		return l
	}
	last := len(l) - 1
	return append(l[:last:last], booking{l.notBefore(last, at), l[last].sends})
}

// notBefore returns at, rounded up, or the time of the booking before number n
// if that is later.
func (l sendLog) notBefore(n int, at time.Time) int64 {
	ms := at.Add(time.Millisecond - 1).UnixMilli()
	if n > 0 {
		ms = max(ms, l[n-1].at)
	}
	return ms
}

// compact drops bookings that are older than the longest window, and merges
// those that only longer windows than the shortest need, minute by minute into
// the latest of each.
func (l sendLog) compact(ws []window, now time.Time) sendLog {
	if len(ws) == 0 {
		return nil
	}
	shortest, longest := ws[0].per, ws[0].per
	for _, w := range ws {
		shortest, longest = min(shortest, w.per), max(longest, w.per)
	}
	var kept sendLog
	for _, b := range l {
		age := now.Sub(time.UnixMilli(b.at))
		if age >= longest+slack {
			continue
		}
		if n := len(kept); n > 0 && age >= shortest+slack && kept[n-1].at/60_000 == b.at/60_000 {
			kept[n-1] = booking{b.at, kept[n-1].sends + b.sends}
			continue
		}
		kept = append(kept, b)
	}
	return kept
}

// String writes l for its row: "1795248000000 1795248000450*3", oldest first.
func (l sendLog) String() string {
	var b strings.Builder
	for i, k := range l {
		if i > 0 {
			b.WriteByte(' ')
		}
		fmt.Fprint(&b, k.at)
		if k.sends != 1 {
			fmt.Fprintf(&b, "*%d", k.sends)
		}
	}
	return b.String()
}

// parseSendLog reads what String wrote.
func parseSendLog(text string) (sendLog, error) {
	var l sendLog
	for word := range strings.FieldsSeq(text) {
		k := booking{sends: 1}
		format, args := "%d", []any{&k.at}
		if strings.Contains(word, "*") {
			format, args = "%d*%d", append(args, &k.sends)
		}
		if _, err := fmt.Sscanf(word, format, args...); err != nil {
			return nil, fmt.Errorf("log of sends: %q: %w", word, err)
		}
		l = append(l, k)
	}
	return l, nil
}
