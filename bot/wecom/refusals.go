package wecom

import (
	"log/slog"
	"net/http"
	"sync"
	"time"
)

const (
	refusalSpan   = time.Minute
	maxRefusals   = 30       // from one address in a refusalSpan; the next are told to wait
	maxRefusers   = 1000     // addresses that are counted one by one; all others are one more
	floodMaxBytes = 64 << 10 // of a body from an address above maxRefusals; a genuine one has some kilobytes
	otherRefusers = "others"
)

// refusals count what is not genuine, by the address it comes from. The first
// of a minute is logged, the rest of it in one line with their number, so that
// a flood does not fill the log. Nothing here keeps a genuine callback out:
// whoever is above the limit is answered 429 instead of 403 or 400, and may
// send no large bodies, but signatures go on being checked.
type refusals struct {
	now func() time.Time
	log *slog.Logger

	mu    sync.Mutex
	from  map[string]*refused
	swept time.Time // when the minutes that are over were last looked for
}

// A refused is what came from one address in the last refusalSpan.
type refused struct {
	since time.Time
	count int
	path  string // of the latest
	err   error  // of the latest
}

func newRefusals(now func() time.Time, log *slog.Logger) *refusals {
	return &refusals{now: now, log: log, from: map[string]*refused{}}
}

// note counts one refusal, logs it if it is the first, and returns how long
// its sender should wait: 0 below the limit.
func (f *refusals) note(address string, r *http.Request, size, status int, err error) time.Duration {
	f.mu.Lock()
	defer f.mu.Unlock()
	now := f.now()
	f.sweep(now)
	one := f.of(address)
	if one == nil {
		if len(f.from) >= maxRefusers {
			address = otherRefusers
		}
		one = &refused{since: now}
		f.from[address] = one
		f.log.Warn("callback refused", "path", r.URL.Path, "from", address, "bytes", size, "status", status, "err", err)
	}
	one.count++
	one.path, one.err = r.URL.Path, err
	if one.count <= maxRefusals {
		return 0
	}
	return one.since.Add(refusalSpan).Sub(now)
}

// over reports whether an address is above the limit.
func (f *refusals) over(address string) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.sweep(f.now())
	one := f.of(address)
	return one != nil && one.count > maxRefusals
}

func (f *refusals) of(address string) *refused {
	if one := f.from[address]; one != nil {
		return one
	}
	if len(f.from) >= maxRefusers {
		return f.from[otherRefusers]
	}
	return nil
}

// sweep is flush at most once a second: there may be many entries.
func (f *refusals) sweep(now time.Time) {
	if now.Sub(f.swept).Abs() >= time.Second {
		f.swept = now
		f.end(now)
	}
}

// flush logs and forgets the minutes that are over.
func (f *refusals) flush() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.end(f.now())
}

// flushAll is flush at the end of the program.
func (f *refusals) flushAll() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.end(f.now().Add(refusalSpan))
}

// end is flush for who holds the lock.
func (f *refusals) end(now time.Time) {
	for address, one := range f.from {
		if now.Sub(one.since).Abs() < refusalSpan {
			continue
		}
		if one.count > 1 {
			f.log.Warn("callbacks refused", "from", address, "count", one.count, "since", one.since.UTC(), "path", one.path, "err", one.err)
		}
		delete(f.from, address)
	}
}
