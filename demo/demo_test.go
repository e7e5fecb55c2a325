package demo_test

import (
	"testing"
	"time"

	"qunbot/demo"
	"qunbot/ledger"
	"qunbot/store"
	"qunbot/store/storetest"
)

func TestMain(m *testing.M) { storetest.Main(m) }

var now = time.Date(2026, 11, 22, 1, 0, 0, 0, time.UTC)

func TestFill(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.Store) {
		for range 2 { // the second time finds it done
			if err := demo.Fill(t.Context(), db, now); err != nil {
				t.Fatal(err)
			}
		}
		members, problems, err := ledger.Verify(t.Context(), db)
		if err != nil || len(problems) > 0 || members != 30 {
			t.Errorf("ledger.Verify = %d members, %q, %v; want 30 and nothing wrong", members, problems, err)
		}
		lines, err := demo.Lines(t.Context(), db, now)
		if err != nil {
			t.Fatal(err)
		}
		answers := 0
		for _, l := range lines {
			if l.Who == demo.BotName {
				answers++
			}
			if l.At.After(now) {
				t.Errorf("%s says %q in the future: %s", l.Who, l.Text, l.At)
			}
		}
		if answers < 20 {
			t.Errorf("the bot says %d lines in the history, want at least 20", answers)
		}
		err = db.View(t.Context(), func(tx *store.Tx) error {
			m, err := tx.MemberByIdentity(tx.Context(), store.UserID, demo.Visitor)
			if err != nil {
				return err
			}
			last, err := tx.LastCheckIn(tx.Context(), m.ID)
			if last.Day != "2026-11-20" || last.Streak < 30 {
				t.Errorf("the visitor's last check-in = %+v, want a long streak that ends the day before yesterday", last)
			}
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	})
}
