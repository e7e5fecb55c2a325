package frame

import (
	"math"
	"net/http"
	"strconv"
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

// NewSparing returns the limiter of lines in the log about what strangers do:
// ten at once from an address, then ten a minute, so that they cannot fill it.
func NewSparing() *Limiter { return NewLimiter(rate.Every(6*time.Second), 10, 10_000) }

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

// TooMany answers a visitor who is over a limit.
func TooMany(w http.ResponseWriter, wait time.Duration) {
	RetryAfter(w.Header(), wait)
	http.Error(w, "这个网络地址访问得太频繁了，请过一会儿再刷新。", http.StatusTooManyRequests)
}

// RetryAfter says in a response's header how long to wait, in whole seconds.
func RetryAfter(h http.Header, wait time.Duration) {
	h.Set("Retry-After", strconv.Itoa(max(1, int(math.Ceil(wait.Seconds())))))
}
