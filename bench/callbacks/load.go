package main

import (
	"context"
	"errors"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// errBusy: the message was refused because too many are waiting.
var errBusy = errors.New("busy")

// again is after what time a refused message is said again.
const again = 20 * time.Millisecond

// A result is one run.
type result struct {
	phase  string
	done   int // check-ins that were answered, and so are durable
	busy   int // refused with 503
	failed int // anything else but a good answer
	first  error
	took   time.Duration
	cpu    time.Duration   // that who did the work took, on all cores
	waits  []time.Duration // of those done, sorted
}

func (r result) perSecond() float64 { return float64(r.done) / r.took.Seconds() }

// cpuEach returns the CPU time of one check-in.
func (r result) cpuEach() time.Duration { return r.cpu / time.Duration(max(r.done, 1)) }

// quantile returns how long the fraction q of the answers took at most.
func (r result) quantile(q float64) time.Duration {
	return quantile(r.waits, q)
}

// A worker does one thing after another.
type worker struct {
	say   func(i int) error
	close func() error // nil if there is nothing to close
}

// load has n workers say 0 … count-1, each number once, until all are done or
// the limit is reached. What is under way then is still answered. What is
// refused by errBusy is said again a little later, and its wait counts from
// then. It returns an error if anything failed for another reason.
func load(ctx context.Context, phase string, count, n int, limit time.Duration, newWorker func() (worker, error)) (result, error) {
	workers := make([]worker, n)
	for i := range workers {
		var err error
		if workers[i], err = newWorker(); err != nil {
			return result{}, err
		}
		if workers[i].close != nil {
			defer workers[i].close()
		}
	}
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	r := result{phase: phase}
	var (
		next atomic.Int64
		mu   sync.Mutex
		wg   sync.WaitGroup
	)
	began := time.Now()
	for _, w := range workers {
		wg.Go(func() {
			var mine result
			for ctx.Err() == nil {
				i := int(next.Add(1)) - 1
				if i >= count {
					break
				}
				asked := time.Now()
				err := w.say(i)
				for errors.Is(err, errBusy) && ctx.Err() == nil {
					mine.busy++
					time.Sleep(again)
					asked = time.Now()
					err = w.say(i)
				}
				switch {
				case err == nil:
					mine.done++
					mine.waits = append(mine.waits, time.Since(asked))
				case errors.Is(err, errBusy):
					mine.busy++
				default:
					mine.failed++
					mine.first = err
				}
			}
			mu.Lock()
			defer mu.Unlock()
			r.done, r.busy, r.failed = r.done+mine.done, r.busy+mine.busy, r.failed+mine.failed
			r.waits = append(r.waits, mine.waits...)
			if r.first == nil {
				r.first = mine.first
			}
		})
	}
	wg.Wait()
	r.took = time.Since(began)
	slices.Sort(r.waits)
	return r, r.first
}
