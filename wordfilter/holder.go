package wordfilter

import "sync/atomic"

// A Set is the matchers of a program: one for everybody, and one for each
// group that has words or exceptions of its own. Do not change a Set once a
// Holder has it.
type Set struct {
	Base   *Matcher
	Groups map[string]*Matcher // by group; usually made by Base.Overlay
}

// For returns the matcher of group, which is Base for groups without one.
func (s *Set) For(group string) *Matcher {
	if m := s.Groups[group]; m != nil {
		return m
	}
	return s.Base
}

// A Holder holds the current Set. Scans never wait: Swap puts another set in
// its place, and scans under way finish with the old one.
type Holder struct{ set atomic.Pointer[Set] }

// NewHolder returns a Holder whose Set finds nothing.
func NewHolder() *Holder {
	h := new(Holder)
	h.Swap(&Set{})
	return h
}

// Load returns the current Set.
func (h *Holder) Load() *Set { return h.set.Load() }

// Swap makes set the current Set and returns the one before.
func (h *Holder) Swap(set *Set) *Set { return h.set.Swap(set) }

// Scan scans text for group with the current Set.
func (h *Holder) Scan(group, text string, hits []Hit) []Hit {
	return h.Load().For(group).Scan(text, hits)
}
