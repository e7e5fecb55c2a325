package simulator

import (
	"context"
	"errors"
	"net/http"
	"time"
)

// Advance moves the platform's clock forward by d; it never goes back. It
// returns when OnAdvance has.
func (s *Simulator) Advance(d time.Duration) {
	s.forward(d)
	s.tellAdvance(d)
}

// Ahead returns how far the platform's clock is ahead of Config.Now.
func (s *Simulator) Ahead() time.Duration {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.offset
}

// forward moves the clock and nothing else.
func (s *Simulator) forward(d time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.offset += max(d, 0)
	s.moving = s.cfg.OnAdvance != nil
	s.publishPanel()
}

// tellAdvance has others move their clocks.
func (s *Simulator) tellAdvance(d time.Duration) {
	if s.cfg.OnAdvance == nil {
		return
	}
	s.cfg.OnAdvance(d)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.moving = false
	s.publishPanel()
}

// morning is when the next day of a mall begins: a minute before the first
// message of the day.
const morning = 8*time.Hour + 59*time.Minute

// untilMorning returns how long it is to the next 08:59.
func untilMorning(now time.Time) time.Duration {
	y, m, d := now.Date()
	next := time.Date(y, m, d, 0, 0, 0, 0, now.Location()).Add(morning)
	if !next.After(now) {
		next = next.AddDate(0, 0, 1)
	}
	return next.Sub(now)
}

// What is wrong with a step of the clock.
var (
	errNoStep = errors.New("时钟只能向前拨：hour、day 或 morning")
	errMoving = errors.New("上一次拨钟还没有完成")
)

func (s *Simulator) serveAdvance(_ http.ResponseWriter, a ask) (any, error) {
	var d time.Duration
	switch a.Key {
	case "hour":
		d = time.Hour
	case "day":
		d = 24 * time.Hour
	case "morning":
		d = untilMorning(s.now())
	default:
		return nil, errNoStep
	}
	s.mu.Lock()
	busy := s.moving
	s.mu.Unlock()
	if busy {
		return nil, errMoving
	}
	s.forward(d)
	if s.cfg.OnAdvance != nil && !s.start(func(context.Context) { s.tellAdvance(d) }) {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.moving = false
		s.publishPanel()
		return nil, errBusy
	}
	return done, nil
}
