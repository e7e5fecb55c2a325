package main

import (
	"strings"
	"testing"
)

// A small year goes all the way, and its ledger is proved on both ends.
func TestRun(t *testing.T) {
	var out strings.Builder
	if err := run(t.Context(), options{members: 100, days: 4, spent: 10, dir: t.TempDir()}, &out); err != nil {
		t.Fatalf("run: %v\n%s", err, &out)
	}
	if got := strings.Count(out.String(), "100 accounts"); got != 2 {
		t.Errorf("run printed\n%s\nwant the ledger proved twice", &out)
	}
}
