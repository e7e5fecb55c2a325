package checkin

import (
	"errors"
	"fmt"

	"qunbot/store"
)

// Rules are what operators may change. The defaults are requirements P02, P03
// and C4 of the malls: 5 points a day, 10 on consecutive days, always a cap.
type Rules struct {
	Ladder      []int64 `json:"ladder"`       // points of the streak's first day, second day, …; the last one stays
	Cap         int64   `json:"cap"`          // most points a day, whatever the ladder says
	RepairCost  int64   `json:"repair_cost"`  // points that 补签 costs
	RepairEvery int     `json:"repair_every"` // days between two 补签 of a member
}

var defaultRules = Rules{Ladder: []int64{5, 10}, Cap: 10, RepairCost: 20, RepairEvery: 30}

// check returns what is wrong with r, for the operator who set it.
func (r Rules) check() error {
	if len(r.Ladder) == 0 || len(r.Ladder) > 31 {
		return errors.New("阶梯要有 1 到 31 个数，例如 5 10")
	}
	for _, p := range r.Ladder {
		if p < 1 || p > 10_000 {
			return fmt.Errorf("阶梯里的每个数要在 1 到 10,000 之间，现在有 %d", p)
		}
	}
	switch {
	case r.Cap < 1 || r.Cap > 10_000:
		return errors.New("每日上限要在 1 到 10,000 之间")
	case r.RepairCost < 1 || r.RepairCost > 10_000:
		return errors.New("补签要花 1 到 10,000 分")
	case r.RepairEvery < 1 || r.RepairEvery > 365:
		return errors.New("补签间隔要在 1 到 365 天之间")
	}
	return nil
}

// pointsFor returns the points a streak's latest day earns.
func (r Rules) pointsFor(streak int) int64 {
	step := min(streak, len(r.Ladder)) - 1
	return min(r.Ladder[max(step, 0)], r.Cap)
}

// monthlyPoints returns what a member earns who never misses one of 30 days.
func (r Rules) monthlyPoints() (total int64) {
	for day := 1; day <= 30; day++ {
		total += r.pointsFor(day)
	}
	return total
}

// streakOn returns the streak of a check-in on day, where last is the newest
// check-in before it (zero if there is none).
func streakOn(day store.Day, last store.CheckIn) int {
	if last.Day != "" && last.Day.Add(1) == day {
		return last.Streak + 1
	}
	return 1
}

// streakToday returns the streak that a member still has on day: yesterday's
// holds until the day is over.
func streakToday(day store.Day, last store.CheckIn) int {
	if last.Day == day || last.Day.Add(1) == day {
		return last.Streak
	}
	return 0
}

// A rejoined day is a later check-in whose streak grows because a day before
// it was filled in.
type rejoined struct {
	store.CheckIn
	was int // the streak it had
}

// rejoin returns the check-ins after day, in order, that now continue the
// streak that day has.
func rejoin(day store.Day, streak int, later []store.CheckIn) []rejoined {
	var changed []rejoined
	for _, c := range later {
		if c.Day != day.Add(1) {
			break
		}
		day, streak = c.Day, streak+1
		was := c.Streak
		c.Streak = streak
		changed = append(changed, rejoined{c, was})
	}
	return changed
}

// repairableFrom returns the first day on which a member may buy a 补签 again
// whose last one was bought on the given day.
func (r Rules) repairableFrom(bought store.Day) store.Day { return bought.Add(r.RepairEvery) }
