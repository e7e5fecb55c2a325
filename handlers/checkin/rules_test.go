package checkin

import (
	"slices"
	"testing"

	"qunbot/store"
)

func TestPointsFor(t *testing.T) {
	steep := Rules{Ladder: []int64{5, 10, 20, 40}, Cap: 15}
	tests := []struct {
		name   string
		rules  Rules
		streak int
		want   int64
	}{
		{"first day", defaultRules, 1, 5},
		{"second day is doubled", defaultRules, 2, 10},
		{"a month later still doubled", defaultRules, 30, 10},
		{"ladder's second step", steep, 2, 10},
		{"ladder above the cap", steep, 3, 15},
		{"past the ladder's end", steep, 100, 15},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got := tt.rules.pointsFor(tt.streak); got != tt.want {
				t.Errorf("pointsFor(%d) = %d, want %d", tt.streak, got, tt.want)
			}
		})
	}
	if got := defaultRules.monthlyPoints(); got != 295 {
		t.Errorf("monthlyPoints() = %d, want 5 + 29 × 10 = 295", got)
	}
}

func TestStreakOn(t *testing.T) {
	tests := []struct {
		name string
		day  store.Day
		last store.CheckIn
		want int
	}{
		{"first ever", "2025-03-01", store.CheckIn{}, 1},
		{"day after", "2025-03-01", store.CheckIn{Day: "2025-02-28", Streak: 6}, 7},
		{"leap day", "2024-02-29", store.CheckIn{Day: "2024-02-28", Streak: 6}, 7},
		{"after the leap day", "2024-03-01", store.CheckIn{Day: "2024-02-29", Streak: 7}, 8},
		{"missed the leap day", "2024-03-01", store.CheckIn{Day: "2024-02-28", Streak: 6}, 1},
		{"new year", "2026-01-01", store.CheckIn{Day: "2025-12-31", Streak: 99}, 100},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got := streakOn(tt.day, tt.last); got != tt.want {
				t.Errorf("streakOn(%s, %+v) = %d, want %d", tt.day, tt.last, got, tt.want)
			}
		})
	}
}

func TestStreakToday(t *testing.T) {
	tests := []struct {
		name string
		last store.CheckIn
		want int
	}{
		{"none", store.CheckIn{}, 0},
		{"today", store.CheckIn{Day: "2025-03-02", Streak: 4}, 4},
		{"yesterday's still holds", store.CheckIn{Day: "2025-03-01", Streak: 3}, 3},
		{"broken", store.CheckIn{Day: "2025-02-28", Streak: 3}, 0},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got := streakToday("2025-03-02", tt.last); got != tt.want {
				t.Errorf("streakToday(2025-03-02, %+v) = %d, want %d", tt.last, got, tt.want)
			}
		})
	}
}

func TestRejoin(t *testing.T) {
	later := []store.CheckIn{{Day: "2025-03-01", Streak: 1}, {Day: "2025-03-02", Streak: 2}, {Day: "2025-03-04", Streak: 1}}
	var got []int
	for _, c := range rejoin("2025-02-28", 6, later) {
		got = append(got, c.was, c.Streak)
	}
	if want := []int{1, 7, 2, 8}; !slices.Equal(got, want) {
		t.Errorf("streaks before and after = %v, want %v: the gap on 03-03 ends it", got, want)
	}
	if got := rejoin("2025-02-26", 6, later); got != nil {
		t.Errorf("rejoin before a gap = %v, want nothing", got)
	}
}

func TestRulesAreChecked(t *testing.T) {
	if err := defaultRules.check(); err != nil {
		t.Errorf("default rules: %v", err)
	}
	for name, r := range map[string]Rules{
		"no ladder":     {Cap: 10, RepairCost: 20, RepairEvery: 30},
		"negative step": {Ladder: []int64{5, -1}, Cap: 10, RepairCost: 20, RepairEvery: 30},
		"no cap":        {Ladder: []int64{5}, RepairCost: 20, RepairEvery: 30},
		"free repair":   {Ladder: []int64{5}, Cap: 10, RepairEvery: 30},
		"repair always": {Ladder: []int64{5}, Cap: 10, RepairCost: 20},
	} {
		if r.check() == nil {
			t.Errorf("%s: check() = nil, want an error", name)
		}
	}
}
