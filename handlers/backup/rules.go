package backup

import (
	"fmt"
	"slices"
	"strings"
	"time"
)

// Backups are named by when they were written, in UTC, so that names sort by
// age whatever happens to the clock's zone.
const (
	namePrefix = "qunbot-"
	nameTime   = "20060102-150405"
	nameSuffix = ".backup"
)

func fileName(at time.Time) string { return namePrefix + at.UTC().Format(nameTime) + nameSuffix }

// writtenAt reads the time out of a name that fileName made.
func writtenAt(name string) (time.Time, bool) {
	text, ours := strings.CutPrefix(name, namePrefix)
	text, whole := strings.CutSuffix(text, nameSuffix)
	at, err := time.Parse(nameTime, text)
	return at, ours && whole && err == nil
}

// abandoned is after how long a file that was never finished is left over from
// a crash.
const abandoned = 48 * time.Hour

// outdated returns which of the names may be deleted: backups older than
// keepDays days but for the newest, and unfinished ones that a crash left.
// Files of other names are never ours to delete.
func outdated(names []string, now time.Time, keepDays int) []string {
	var newest time.Time
	for _, name := range names {
		if at, ours := writtenAt(name); ours && at.After(newest) {
			newest = at
		}
	}
	return slices.DeleteFunc(slices.Clone(names), func(name string) bool {
		if at, ours := writtenAt(name); ours {
			return at.Equal(newest) || now.Sub(at) <= time.Duration(keepDays)*24*time.Hour
		}
		finished, _, part := strings.Cut(name, nameSuffix+".")
		at, ours := writtenAt(finished + nameSuffix)
		return !ours || !part || !strings.HasSuffix(name, ".part") || now.Sub(at) <= abandoned
	})
}

// tooOld reports whether the last good backup is more than a night old, or
// there is none.
func tooOld(last, now time.Time) bool { return last.IsZero() || now.Sub(last) > 36*time.Hour }

// size writes a number of bytes.
func size(bytes int64) string {
	switch {
	case bytes == 0:
		return "—"
	case bytes < 1e6:
		return fmt.Sprintf("%.1f KB", float64(bytes)/1e3)
	case bytes < 1e9:
		return fmt.Sprintf("%.1f MB", float64(bytes)/1e6)
	}
	return fmt.Sprintf("%.2f GB", float64(bytes)/1e9)
}
