package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"sync"
	"text/tabwriter"
	"time"

	"qunbot/bench/rig"
)

const (
	overloadMembers = 100_000
	overloadGroups  = 500
	mostLines       = 4000 // connections; what would need more is not sent
	recovery        = 10 * time.Second
	promised        = 200 * time.Millisecond // the average answer
)

// A crowd is members who talk without waiting for each other's answers. They
// say 签到 and 积分 in turn.
type crowd struct {
	callbacks rig.Callbacks
	address   string
	said      int
	idle      chan *line
	lines     int
}

// overload measures what the service can do when everybody waits for an
// answer, lets members talk at that rate and at twice that rate, and then at
// half of it to see how long it takes to recover.
//
// An answer's time counts from the moment at which the message was due, not
// from when this process found time to send it. Refused messages are not sent
// again, as the platform would. It returns an error if the average answer of
// those who were accepted took longer than is promised.
func overload(ctx context.Context, o options, databases *databases) error {
	s, err := newService(ctx, o, databases, overloadGroups)
	if err != nil {
		return err
	}
	defer s.close()
	if _, err := s.start(ctx); err != nil {
		return err
	}
	defer s.Stop()
	c := &crowd{callbacks: rig.NewCallbacks(), address: s.address, idle: make(chan *line, mostLines)}

	fmt.Printf("%d members of %d groups say their first 签到\n", overloadMembers, overloadGroups)
	all, err := c.everybody(ctx, o, overloadMembers, 10*time.Minute)
	if err != nil {
		return err
	}
	fmt.Printf("%d members in %.0f s, %.0f /s, %d at once\n", all.done, all.took.Seconds(), all.perSecond(), o.connections)
	measured, err := c.everybody(ctx, o, overloadMembers, 10*time.Second)
	if err != nil {
		return err
	}
	capacity := measured.perSecond()
	fmt.Printf("capacity %.0f /s: %d at once, each after the last one's answer, p50 %s ms, p99 %s ms\n",
		capacity, o.connections, ms(measured.quantile(0.5)), ms(measured.quantile(0.99)))

	w := tabwriter.NewWriter(os.Stdout, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(w, "\toffered /s\tanswered /s\taverage ms\tp50 ms\tp99 ms\tmax ms\trefused\tafter, average ms\tp99 ms\tother\tnot sent\tmost memory MiB\t")
	var last rush
	var broken error
	for _, step := range []struct {
		name string
		rate float64
		time time.Duration
	}{{"capacity", capacity, o.phase}, {"twice", 2 * capacity, o.phase}, {"half", capacity / 2, recovery}} {
		r := c.rush(ctx, step.rate, step.time)
		fmt.Fprintf(w, "%s\t%.0f\t%.0f\t%s\t%s\t%s\t%s\t%.1f %%\t%s\t%s\t%d\t%d\t%.1f\t\n", step.name,
			float64(r.offered)/step.time.Seconds(), float64(len(r.waits))/step.time.Seconds(),
			ms(average(r.waits)), ms(quantile(r.waits, 0.5)), ms(quantile(r.waits, 0.99)), ms(quantile(r.waits, 1)),
			100*float64(len(r.refused))/float64(max(1, r.offered)), ms(average(r.refused)), ms(quantile(r.refused, 0.99)),
			r.other, r.unsent, s.Memory("VmHWM"))
		if a := average(r.waits); a > promised {
			broken = fmt.Errorf("at %s the average answer took %s ms, %s ms are promised", step.name, ms(a), ms(promised))
		}
		last = r
	}
	w.Flush()
	fmt.Printf("recovered %s ms after the rush: from then on nobody was refused or waited for more than %s ms\n", ms(last.troubled), ms(promised))
	fmt.Printf("connections: %d at most; memory now %.1f MiB\n", c.lines, s.Memory("VmRSS"))
	return broken
}

// next returns the next n messages.
func (c *crowd) next(n int, now time.Time) [][]byte {
	requests := make([][]byte, n)
	for i := range requests {
		k := c.said + i
		round, member := k/overloadMembers, k*7919%overloadMembers // a prime: neighbours are in other groups
		text := "签到"
		if round%2 == 1 {
			text = "积分"
		}
		requests[i] = c.callbacks.Request(rig.Saying{
			ID: fmt.Sprint("CAIQ", k), Who: userID(member), Chat: chatID(member % overloadGroups), Text: text, Sent: now,
		}, now)
	}
	c.said += n
	return requests
}

// everybody says count messages, some at once, each after an answer, until the
// limit.
func (c *crowd) everybody(ctx context.Context, o options, count int, limit time.Duration) (result, error) {
	requests := c.next(count, time.Now())
	return load(ctx, "", count, o.connections, limit, func() (worker, error) {
		l, err := dial(c.address, c.callbacks)
		if err != nil {
			return worker{}, err
		}
		return worker{close: l.Close, say: func(i int) error {
			_, err := l.ask(requests[i])
			return err
		}}, nil
	})
}

// A rush is what became of messages at a constant rate.
type rush struct {
	offered, other, unsent int
	waits, refused         []time.Duration // sorted: of the answers, and of the refusals
	troubled               time.Duration   // when the last message was due that was not answered as promised
}

// rush says messages at a constant rate for a time.
func (c *crowd) rush(ctx context.Context, rate float64, length time.Duration) rush {
	requests := c.next(int(rate*length.Seconds()), time.Now())
	r := rush{offered: len(requests)}
	var mu sync.Mutex
	var wg sync.WaitGroup
	began := time.Now()
	for i, request := range requests {
		after := time.Duration(float64(i) / rate * float64(time.Second))
		if early := time.Until(began.Add(after)); early > time.Millisecond {
			time.Sleep(early)
		}
		if ctx.Err() != nil {
			break
		}
		l := c.line()
		if l == nil {
			r.unsent++
			mu.Lock()
			r.troubled = max(r.troubled, after)
			mu.Unlock()
			continue
		}
		wg.Go(func() {
			_, err := l.ask(request)
			took := time.Since(began) - after
			mu.Lock()
			defer mu.Unlock()
			switch {
			case err == nil:
				r.waits = append(r.waits, took)
			case errors.Is(err, errBusy):
				r.refused = append(r.refused, took)
			default:
				r.other++
			}
			if err != nil || took > promised {
				r.troubled = max(r.troubled, after)
			}
			if err == nil || errors.Is(err, errBusy) {
				c.idle <- l
			} else {
				l.Close()
			}
		})
	}
	wg.Wait()
	slices.Sort(r.waits)
	slices.Sort(r.refused)
	return r
}

// line returns a connection that nobody uses, or nil if there are too many.
func (c *crowd) line() *line {
	select {
	case l := <-c.idle:
		return l
	default:
	}
	if c.lines == mostLines {
		return nil
	}
	l, err := dial(c.address, c.callbacks)
	if err != nil {
		return nil
	}
	c.lines++
	return l
}

func average(list []time.Duration) time.Duration {
	var sum time.Duration
	for _, d := range list {
		sum += d
	}
	return sum / time.Duration(max(1, len(list)))
}

// quantile returns the fraction q of a sorted list.
func quantile(list []time.Duration, q float64) time.Duration {
	if len(list) == 0 {
		return 0
	}
	return list[min(int(q*float64(len(list))), len(list)-1)]
}
