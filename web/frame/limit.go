package frame

import (
	"net"
	"net/http"
	"net/netip"
	"strings"
	"sync"
	"time"

	"golang.org/x/time/rate"
)

// A Limiter limits how often each key (an address, a client) may do something.
// It holds at most 2·size keys: the least used go first, and start anew.
type Limiter struct {
	limit rate.Limit
	burst int
	size  int

	mu       sync.Mutex
	now, old map[string]*rate.Limiter
}

// NewLimiter returns a limiter of limit a second with bursts, for about size keys.
func NewLimiter(limit rate.Limit, burst, size int) *Limiter {
	return &Limiter{limit: limit, burst: burst, size: size, now: map[string]*rate.Limiter{}}
}

// Wait takes one turn for key and returns 0, or takes none and returns how
// long to wait for it.
func (l *Limiter) Wait(key string, at time.Time) time.Duration {
	turn := l.of(key).ReserveN(at, 1)
	wait := turn.DelayFrom(at)
	if wait > 0 {
		turn.CancelAt(at)
	}
	return wait
}

func (l *Limiter) of(key string) *rate.Limiter {
	l.mu.Lock()
	defer l.mu.Unlock()
	if one := l.now[key]; one != nil {
		return one
	}
	one := l.old[key]
	if one == nil {
		one = rate.NewLimiter(l.limit, l.burst)
	}
	if len(l.now) >= l.size {
		l.old, l.now = l.now, map[string]*rate.Limiter{}
	}
	l.now[key] = one
	return one
}

// Address returns the address a request comes from, as a key for a [Limiter].
// A proxy on this machine or in the private network is believed about whom it
// speaks for: the last entry of X-Forwarded-For. IPv6 counts by the /64 that
// one customer usually has.
func Address(r *http.Request) string {
	host, _, err := net.SplitHostPort(r.RemoteAddr)
	if err != nil {
		host = r.RemoteAddr
	}
	addr, err := netip.ParseAddr(host)
	if err != nil {
		return host
	}
	if addr.IsLoopback() || addr.IsPrivate() {
		list := r.Header.Get("X-Forwarded-For")
		last := strings.TrimSpace(list[strings.LastIndexByte(list, ',')+1:])
		if forwarded, err := netip.ParseAddr(last); err == nil {
			addr = forwarded
		}
	}
	addr = addr.Unmap()
	if addr.Is6() {
		prefix, _ := addr.WithZone("").Prefix(64)
		return prefix.String()
	}
	return addr.String()
}
