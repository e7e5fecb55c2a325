package simulator

import (
	"fmt"
	"slices"
	"time"
)

// A trace is what happened behind one message, step by step.
type trace struct {
	ID    string    `json:"id"`
	Rev   int       `json:"rev"`
	Chat  string    `json:"chat"`
	With  string    `json:"with,omitempty"`
	Line  string    `json:"line,omitempty"` // the message
	Title string    `json:"title"`
	At    time.Time `json:"at"`
	State string    `json:"state"` // pending, good or bad
	Rows  []row     `json:"rows"`
	Wire  []wire    `json:"wire,omitempty"` // of the last delivery
}

// A row is one step.
type row struct {
	Name   string   `json:"name"`
	Detail string   `json:"detail,omitempty"`
	MS     *float64 `json:"ms,omitempty"`    // nil if it has no duration
	State  string   `json:"state,omitempty"` // good, warn or bad; empty is neither
	Level  int      `json:"level"`           // 0 measured by the platform, 1 reported by the service
}

// A wire is bytes as they went over the line.
type wire struct {
	Title string `json:"title"`
	Text  string `json:"text"`
}

// States of a trace or a row.
const (
	pending = "pending"
	good    = "good"
	warn    = "warn"
	bad     = "bad"
)

const (
	maxTraces    = 200  // kept; the oldest go
	maxWireBytes = 4096 // shown of one body
)

// newTrace begins the account of something.
func (s *Simulator) newTrace(title string, d *delivery) *trace {
	s.mu.Lock()
	defer s.mu.Unlock()
	t := &trace{
		ID: s.newID("t"), Chat: d.chat.ID, With: d.with, Line: d.line,
		Title: title, At: s.nowLocked(), State: pending, Rows: []row{},
	}
	s.traces = append(s.traces, t)
	if extra := len(s.traces) - maxTraces; extra > 0 {
		s.traces = slices.Delete(s.traces, 0, extra)
	}
	s.showTrace(t)
	return t
}

// step adds rows to t.
func (s *Simulator) step(t *trace, rows ...row) {
	s.changeTrace(t, func() { t.Rows = append(t.Rows, rows...) })
}

// changeTrace changes t and shows it.
func (s *Simulator) changeTrace(t *trace, change func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	change()
	s.showTrace(t)
}

// end closes t.
func (s *Simulator) end(t *trace, state string) { s.changeTrace(t, func() { t.State = state }) }

// showTrace tells the viewers that t has changed. The caller holds mu.
func (s *Simulator) showTrace(t *trace) {
	t.Rev++
	s.publish("trace", t)
}

// ms returns d for a row.
func ms(d time.Duration) *float64 { return new(float64(d) / float64(time.Millisecond)) }

// cut returns what is shown of a body.
func cut(body []byte) string {
	if len(body) > maxWireBytes {
		return fmt.Sprintf("%s… （共 %d B）", body[:maxWireBytes], len(body))
	}
	return string(body)
}
