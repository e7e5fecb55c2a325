package backup

import (
	"fmt"
	"slices"
	"testing"
	"time"
)

func TestOutdated(t *testing.T) {
	now := time.Date(2026, 11, 21, 20, 30, 0, 0, time.UTC)
	daysAgo := func(n int) string { return fileName(now.AddDate(0, 0, -n)) }
	tests := []struct {
		name  string
		names []string
		want  []string
	}{
		{"nothing", nil, nil},
		{"young ones stay", []string{daysAgo(0), daysAgo(13), daysAgo(14)}, nil},
		{"old ones go", []string{daysAgo(0), daysAgo(15), daysAgo(400)}, []string{daysAgo(15), daysAgo(400)}},
		{"the newest stays, however old", []string{daysAgo(90), daysAgo(30)}, []string{daysAgo(90)}},
		{"others' files stay", []string{daysAgo(0), "qunbot.db", "qunbot-2020.backup", "before-upgrade.backup", "old-" + daysAgo(90), daysAgo(90) + ".gz"}, nil},
		{"of unfinished ones only old ones go", []string{daysAgo(0) + ".123.part", daysAgo(3) + ".456.part", "x.part"}, []string{daysAgo(3) + ".456.part"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got := outdated(tt.names, now, 14); !slices.Equal(got, tt.want) {
				t.Errorf("outdated(%q) = %q, want %q", tt.names, got, tt.want)
			}
		})
	}
}

func TestSize(t *testing.T) {
	for n, want := range map[int64]string{0: "—", 512: "0.5 KB", 1_234_567: "1.2 MB", 5_670_000_000: "5.67 GB"} {
		if got := size(n); got != want {
			t.Errorf("size(%d) = %s, want %s", n, got, want)
		}
	}
}

func TestTooOld(t *testing.T) {
	now := time.Date(2026, 11, 21, 20, 30, 0, 0, time.UTC)
	for last, want := range map[time.Time]bool{{}: true, now.Add(-30 * time.Hour): false, now.Add(-37 * time.Hour): true} {
		if got := tooOld(last, now); got != want {
			t.Errorf("tooOld(%s) = %t, want %t", fmt.Sprint(last), got, want)
		}
	}
}
