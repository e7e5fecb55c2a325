package bot_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"qunbot/bot"
	"qunbot/bot/bottest"
	"qunbot/store"
	"qunbot/store/storetest"
)

// A crowd says things to an engine in a bubble, and notes how it went.
type crowd struct {
	*testing.T
	engine *bot.Engine
	mu     sync.Mutex
	group  sync.WaitGroup
	said   int
	waits  []time.Duration // of those that were answered
	busy   int             // refused
	late   int             // refused, but not at once
}

func (c *crowd) say(text string) {
	m := message(fmt.Sprint(c.said), text)
	c.said++
	c.group.Go(func() {
		m.SentAt = time.Now()
		came := time.Now()
		_, err := c.engine.Handle(context.Background(), m)
		waited := time.Since(came)
		c.mu.Lock()
		defer c.mu.Unlock()
		switch {
		case err == nil:
			c.waits = append(c.waits, waited)
		case errors.Is(err, bot.ErrBusy) && waited == 0:
			c.busy++
		default:
			c.late++
		}
	})
}

// count returns what was noted since the last count.
func (c *crowd) count() (answered, busy, late int, average, longest time.Duration) {
	synctest.Wait()
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, w := range c.waits {
		average += w
		longest = max(longest, w)
	}
	answered, busy, late = len(c.waits), c.busy, c.late
	if answered > 0 {
		average /= time.Duration(answered)
	}
	c.waits, c.busy, c.late = nil, 0, 0
	return answered, busy, late, average, longest
}

// newCrowd returns a crowd before an engine to which a message takes a time.
func newCrowd(t *testing.T, takes func() time.Duration) *crowd {
	e := newEngine(t, storetest.Open(t), command("做", func(context.Context, *store.Tx, bot.Message) (bot.Reply, error) {
		time.Sleep(takes())
		return bot.Textf("好了"), nil
	}))
	e.Now = time.Now
	bottest.Run(t, e)
	return &crowd{T: t, engine: e}
}

// Of twice as many messages as can be handled, half are refused at once; those
// that are accepted are answered quickly; and when the crowd has gone, nobody
// is refused any more.
func TestOverload(t *testing.T) {
	for _, takes := range []time.Duration{500 * time.Microsecond, 2 * time.Millisecond} {
		t.Run(takes.String(), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c := newCrowd(t, func() time.Duration { return takes })
				crowded := 2 * time.Second
				for began := time.Now(); time.Since(began) < crowded; time.Sleep(takes / 2) {
					c.say("做")
				}
				c.group.Wait()
				answered, busy, late, average, longest := c.count()
				capacity := int(crowded / takes)
				if late > 0 || answered < capacity*9/10 || average > 180*time.Millisecond || longest > 600*time.Millisecond {
					t.Errorf("of %d messages, twice what can be handled: %d answered after %v on average and %v at most, %d refused, %d late; want %d answered after 180 ms and 600 ms, the rest refused",
						c.said, answered, average, longest, busy, late, capacity)
				}
				time.Sleep(100 * time.Millisecond)
				for range 50 {
					c.say("做")
					time.Sleep(2 * takes)
				}
				c.group.Wait()
				if answered, busy, late, average, _ := c.count(); answered != 50 || average > 2*takes {
					t.Errorf("after the crowd: %d answered after %v, %d refused, %d late; want all 50 after %v", answered, average, busy, late, takes)
				}
			})
		})
	}
}

// A crowd of one moment is no overload: whoever can be answered soon waits.
func TestBurstIsAccepted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCrowd(t, func() time.Duration { return 400 * time.Microsecond })
		for range 3 {
			for range 500 {
				c.say("做")
			}
			c.group.Wait()
			time.Sleep(time.Second)
			for range 60 { // as on any day, between two moments
				c.say("做")
				time.Sleep(10 * time.Millisecond)
			}
			c.group.Wait()
			if answered, busy, late, _, longest := c.count(); answered != 560 || longest > 300*time.Millisecond {
				t.Errorf("500 at once: %d answered within %v, %d refused, %d late; want all within 300 ms", answered, longest, busy, late)
			}
		}
	})
}

// While the storage hangs, what comes is refused at once, and afterwards not.
func TestStalledStorage(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		stall := 3 * time.Second
		c := newCrowd(t, func() time.Duration { return stall })
		c.say("做")
		time.Sleep(1001 * time.Millisecond)
		for range 20 {
			c.say("做")
		}
		if answered, busy, late, _, _ := c.count(); answered != 0 || busy != 20 || late != 0 {
			t.Errorf("while the storage hangs: %d answered, %d refused, %d late; want 20 refused", answered, busy, late)
		}
		time.Sleep(2 * time.Second)
		stall = time.Millisecond
		for range 10 {
			c.say("做")
		}
		c.group.Wait()
		if answered, busy, late, _, _ := c.count(); answered != 11 {
			t.Errorf("afterwards: %d answered, %d refused, %d late; want 11 answered", answered, busy, late)
		}
	})
}
