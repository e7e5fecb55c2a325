package watch

import (
	"sync"
	"time"
)

// How answers of the last hour are kept: in slots of ten seconds.
const (
	slotTime  = 10 * time.Second
	slotCount = 360
	window    = 5 * time.Minute // that figures of the last minutes are of
)

// steps are the upper ends of the histogram of answers; what took longer than
// the last is in one more.
var steps = [...]time.Duration{
	1 * time.Millisecond, 2 * time.Millisecond, 3 * time.Millisecond, 5 * time.Millisecond, 7 * time.Millisecond,
	10 * time.Millisecond, 15 * time.Millisecond, 20 * time.Millisecond, 30 * time.Millisecond, 40 * time.Millisecond,
	50 * time.Millisecond, 60 * time.Millisecond, 80 * time.Millisecond, 100 * time.Millisecond, 130 * time.Millisecond,
	160 * time.Millisecond, 200 * time.Millisecond, 300 * time.Millisecond, 500 * time.Millisecond, 700 * time.Millisecond,
	time.Second, 2 * time.Second, 3 * time.Second, 5 * time.Second,
}

// A slot is ten seconds.
type slot struct {
	number     int64 // of the ten seconds since 1970
	answers    int64
	took       time.Duration // together
	histogram  [len(steps) + 1]int64
	turnedAway int64
	dbErrors   int64
}

// recent keeps what this process answered in the last hour.
type recent struct {
	mu    sync.Mutex
	slots [slotCount]slot
}

// at returns the slot of a time; the caller holds mu.
func (r *recent) at(now time.Time) *slot {
	number := now.UnixNano() / int64(slotTime)
	s := &r.slots[number%slotCount]
	if s.number != number {
		*s = slot{number: number}
	}
	return s
}

func (r *recent) answered(now time.Time, took time.Duration) {
	step := 0
	for step < len(steps) && took > steps[step] {
		step++
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	s := r.at(now)
	s.answers++
	s.took += took
	s.histogram[step]++
}

func (r *recent) turnedAway(now time.Time) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.at(now).turnedAway++
}

func (r *recent) dbError(now time.Time) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.at(now).dbErrors++
}

// A Figure is what this process did in some time.
type Figure struct {
	Answers    int64         // callbacks answered with 200
	Mean       time.Duration // of those; 0 without any
	P50, P99   time.Duration // of those, the upper end of their step
	TurnedAway int64         // callbacks answered with 503
	DBErrors   int64         // transactions that the storage failed
}

// since returns the sum of the slots after from, up to now.
func (r *recent) since(from, now time.Time) Figure {
	r.mu.Lock()
	defer r.mu.Unlock()
	first, last := from.UnixNano()/int64(slotTime), now.UnixNano()/int64(slotTime)
	var sum slot
	for i := range r.slots {
		s := &r.slots[i]
		if s.number <= first || s.number > last {
			continue
		}
		sum.answers += s.answers
		sum.took += s.took
		sum.turnedAway += s.turnedAway
		sum.dbErrors += s.dbErrors
		for b, n := range s.histogram {
			sum.histogram[b] += n
		}
	}
	f := Figure{Answers: sum.answers, TurnedAway: sum.turnedAway, DBErrors: sum.dbErrors}
	if sum.answers > 0 {
		f.Mean = sum.took / time.Duration(sum.answers)
		f.P50, f.P99 = sum.quantile(50), sum.quantile(99)
	}
	return f
}

// quantile returns the end of the step in which the answer is that percent of
// the answers were not slower than. Beyond the last step it is twice that.
func (s *slot) quantile(percent int64) time.Duration {
	rank := (s.answers*percent + 99) / 100
	for step, n := range s.histogram[:len(steps)] {
		if rank -= n; rank <= 0 {
			return steps[step]
		}
	}
	return 2 * steps[len(steps)-1]
}

// minutes returns how many callbacks were answered in each of the last n
// minutes, the current one last.
func (r *recent) minutes(now time.Time, n int) []int64 {
	r.mu.Lock()
	defer r.mu.Unlock()
	const perMinute = int64(time.Minute / slotTime)
	current := now.UnixNano() / int64(slotTime) / perMinute
	counts := make([]int64, n)
	for i := range r.slots {
		if back := current - r.slots[i].number/perMinute; r.slots[i].number > 0 && back >= 0 && back < int64(n) {
			counts[int64(n)-1-back] += r.slots[i].answers
		}
	}
	return counts
}
