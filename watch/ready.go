package watch

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"qunbot/bot"
	"qunbot/store"
)

// Bounds of readiness.
const (
	readyLife  = time.Second      // an answer is good so long: whoever asks more often gets the last one
	readyWait  = 2 * time.Second  // for the database
	stuckAfter = 2 * time.Minute  // posts that could leave, and nobody takes them
	lookedLate = 30 * time.Second // since the outbox last looked for work
	maxSkew    = 2 * time.Second  // between the clocks of two replicas
)

// Ready says whether this process should be sent requests: one plain line a
// check, 200 if all are fine and else 503.
type Ready struct {
	Store    *store.Store
	Pulse    *Pulse
	Progress func() bot.Progress // of the engine
	Looked   func() time.Time    // when the outbox last looked for work
	Now      func() time.Time    // by which engine and outbox go

	draining atomic.Bool
	mu       sync.Mutex
	at       time.Time
	checks   []check
}

// A check is one line of the answer.
type check struct {
	name string
	ok   bool
	text string
}

// Drain makes the process not ready for good: it is about to stop.
func (r *Ready) Drain() { r.draining.Store(true) }

// ServeHTTP implements http.Handler.
func (r *Ready) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.Header().Set("Cache-Control", "no-store")
	if r.draining.Load() {
		w.WriteHeader(http.StatusServiceUnavailable)
		io.WriteString(w, "fail stopping: about to stop\n")
		return
	}
	var text strings.Builder
	status := http.StatusOK
	for _, c := range r.all(req.Context()) {
		word := "ok"
		if !c.ok {
			word, status = "fail", http.StatusServiceUnavailable
		}
		fmt.Fprintf(&text, "%s %s: %s\n", word, c.name, c.text)
	}
	w.WriteHeader(status)
	io.WriteString(w, text.String())
}

// all returns the checks of at most a second ago.
func (r *Ready) all(ctx context.Context) []check {
	r.mu.Lock()
	defer r.mu.Unlock()
	now := r.Now()
	if r.checks != nil && now.Sub(r.at) < readyLife && !now.Before(r.at) {
		return r.checks
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), readyWait) // others get this answer too
	defer cancel()
	r.checks = r.run(ctx, now)
	r.at = now
	return r.checks
}

func (r *Ready) run(ctx context.Context, now time.Time) []check {
	var missing, stuck int
	var replicas []store.Replica
	err := r.Store.View(ctx, func(tx *store.Tx) (err error) {
		if missing, err = tx.MissingMigrations(tx.Context()); err != nil || missing > 0 {
			return err // older tables cannot be read
		}
		if replicas, err = tx.Replicas(tx.Context()); err != nil {
			return err
		}
		stuck, err = tx.StuckPosts(tx.Context(), now.Add(-stuckAfter), 1000)
		return err
	})
	beatAt, offset, beatErr := r.Pulse.state()
	checks := []check{
		databaseCheck(err, beatErr, beatAt, r.Pulse.Clock()),
		engineCheck(r.Progress(), now),
	}
	if err != nil {
		return checks
	}
	checks = append(checks,
		schemaCheck(missing),
		outboxCheck(r.Looked(), stuck, now),
		clockCheck(r.Pulse.Name(), offset, replicas, r.Pulse.Clock()),
	)
	return checks
}

// databaseCheck: err is of a read just now; heartbeats are the writes.
func databaseCheck(err, beatErr error, beatAt, now time.Time) check {
	c := check{name: "database"}
	switch {
	case err != nil:
		c.text = "does not answer" // the log has the reason; it may name hosts
	case beatErr != nil:
		c.text = "takes no writes"
	case beatAt.IsZero():
		c.text = "not written to yet"
	case now.Sub(beatAt) > missed:
		c.text = fmt.Sprintf("last written to %s ago", now.Sub(beatAt).Round(time.Second))
	default:
		c.ok, c.text = true, "answers and takes writes"
	}
	return c
}

func engineCheck(p bot.Progress, now time.Time) check {
	c := check{name: "engine"}
	switch busy := now.Sub(p.Since); {
	case !p.Running:
		c.text = "does not run"
	case !p.Since.IsZero() && busy > stall:
		c.text = fmt.Sprintf("at one batch for %s", busy.Round(time.Second))
	default:
		c.ok, c.text = true, fmt.Sprintf("%d messages waiting", p.Waiting)
	}
	return c
}

func schemaCheck(missing int) check {
	if missing > 0 {
		return check{"schema", false, fmt.Sprintf("%d migrations missing", missing)}
	}
	return check{"schema", true, "current"}
}

// outboxCheck asks whether work is taken, not whether it succeeds: a webhook
// that is wrong, or over its limit, is no reason to take the service away.
func outboxCheck(looked time.Time, stuck int, now time.Time) check {
	c := check{name: "lanes"}
	switch {
	case looked.IsZero():
		c.text = "the outbox has not begun"
	case now.Sub(looked) > lookedLate:
		c.text = fmt.Sprintf("the outbox last looked for work %s ago", now.Sub(looked).Round(time.Second))
	case stuck > 0:
		c.text = fmt.Sprintf("%d posts that nobody takes", stuck)
	default:
		c.ok, c.text = true, "moving"
	}
	return c
}

// clockCheck compares the clocks of live replicas by their distances from the
// database's: leases and windows are compared by each process's own clock. Of
// two that differ by too much, the one that is farther from the database is not
// ready, so that not all replicas leave for the fault of one.
func clockCheck(self string, offset time.Duration, all []store.Replica, now time.Time) check {
	c := check{"clock", true, fmt.Sprintf("%.3f s from the database's", offset.Seconds())}
	for _, r := range all {
		if r.Name == self || !Alive(r, now) {
			continue
		}
		skew := offset - r.Offset
		if skew.Abs() > maxSkew && offset.Abs() >= r.Offset.Abs() {
			return check{"clock", false, fmt.Sprintf("%.3f s from that of %s, and %.3f s from the database's", skew.Seconds(), r.Name, offset.Seconds())}
		}
	}
	return c
}

// Inside keeps h from everybody but those who ask this process directly: a
// request that some proxy forwarded is answered with 404. With loopbackOnly it
// must also come from this machine and be addressed to it.
func Inside(h http.Handler, loopbackOnly bool) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if forwarded(r) || loopbackOnly && !(isLoopback(r.RemoteAddr) && isLoopback(r.Host)) {
			http.NotFound(w, r)
			return
		}
		h.ServeHTTP(w, r)
	})
}

// forwarded reports whether a proxy says that it passes r on.
func forwarded(r *http.Request) bool {
	for _, name := range []string{"Forwarded", "X-Forwarded-For", "X-Forwarded-Host", "X-Forwarded-Proto", "X-Real-Ip", "Via"} {
		if _, there := r.Header[name]; there {
			return true
		}
	}
	return false
}

// isLoopback reports whether address, with or without a port, is this machine
// itself.
func isLoopback(address string) bool {
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		host = strings.Trim(address, "[]")
	}
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}
