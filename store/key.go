package store

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"strings"
	"time"
)

// maxKey is the longest key in bytes; its columns are varchar(160).
const maxKey = 160

// Key joins parts into a unique key, such as "checkin:42:2025-03-01". Parts
// cannot run into each other: a colon inside one is escaped. A key that would
// be longer than 160 bytes or hold blanks at its ends is replaced by its hash.
func Key(parts ...any) string {
	var b strings.Builder
	for i, p := range parts {
		if i > 0 {
			b.WriteByte(':')
		}
		b.WriteString(keyEscaper.Replace(fmt.Sprint(p)))
	}
	key := b.String()
	// MySQL compares without trailing blanks, so "a " would be "a".
	if len(key) <= maxKey && strings.TrimSpace(key) == key {
		return key
	}
	sum := sha256.Sum256([]byte(key))
	return "sha256-" + hex.EncodeToString(sum[:])
}

var keyEscaper = strings.NewReplacer("%", "%25", ":", "%3A")

// A Day is a calendar day in the configured zone, written YYYY-MM-DD, so that
// days compare and sort as text.
type Day string

// DayOf returns the day of t in zone.
func DayOf(t time.Time, zone *time.Location) Day { return Day(t.In(zone).Format(time.DateOnly)) }

// Add returns the day n days after d (before, if n is negative).
func (d Day) Add(n int) Day { return DayOf(d.utc().AddDate(0, 0, n), time.UTC) }

// AddMonths returns the same day n months later, or that month's last day
// where it has none: 2024-02-29 plus 12 months is 2025-02-28.
func (d Day) AddMonths(n int) Day {
	t := d.utc()
	first := time.Date(t.Year(), t.Month()+time.Month(n), 1, 0, 0, 0, 0, time.UTC)
	last := first.AddDate(0, 1, -1).Day()
	return DayOf(first.AddDate(0, 0, min(t.Day(), last)-1), time.UTC)
}

// Since returns how many days d is after earlier.
func (d Day) Since(earlier Day) int { return int(d.utc().Sub(earlier.utc()).Hours() / 24) }

// Start returns the instant at which d begins in zone.
func (d Day) Start(zone *time.Location) time.Time {
	t := d.utc()
	return time.Date(t.Year(), t.Month(), t.Day(), 0, 0, 0, 0, zone)
}

// Valid reports whether d is a day of the calendar.
func (d Day) Valid() bool {
	_, err := time.Parse(time.DateOnly, string(d))
	return err == nil
}

// utc returns midnight UTC of d, on which days are counted: every UTC day has
// 24 hours. An invalid day is the zero time.
func (d Day) utc() time.Time {
	t, _ := time.Parse(time.DateOnly, string(d))
	return t
}
