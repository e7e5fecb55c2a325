package ledger_test

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"pgregory.net/rapid"

	"qunbot/ledger"
	"qunbot/store"
	"qunbot/store/storetest"
)

func TestMain(m *testing.M) { storetest.Main(m) }

const member = 7

var noon = time.Date(2026, 11, 21, 4, 0, 0, 0, time.UTC) // 12:00 in Asia/Shanghai

func update(t *testing.T, db *store.Store, fn func(tx *store.Tx) error) {
	t.Helper()
	if err := db.Update(t.Context(), fn); err != nil {
		t.Fatal(err)
	}
}

func verify(t *testing.T, db *store.Store) {
	t.Helper()
	_, problems, err := ledger.Verify(t.Context(), db)
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range problems {
		t.Errorf("Verify: %s", p)
	}
}

func award(t *testing.T, db *store.Store, points int64, at time.Time, key string) (balance int64) {
	t.Helper()
	update(t, db, func(tx *store.Tx) (err error) {
		_, balance, err = ledger.Award(tx.Context(), tx, ledger.Earning{Member: member, Rule: "test", Base: points, Key: key, At: at})
		return err
	})
	return balance
}

func spend(t *testing.T, db *store.Store, points int64, at time.Time, key string) (balance int64, err error) {
	t.Helper()
	update(t, db, func(tx *store.Tx) error {
		balance, err = ledger.Spend(tx.Context(), tx, ledger.Spending{Member: member, Rule: "test", Points: points, Key: key, At: at})
		if errors.Is(err, ledger.ErrInsufficient) {
			return nil
		}
		return err
	})
	return balance, err
}

func TestAwardAndSpend(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.Store) {
		award(t, db, 30, noon, "a")
		if got := award(t, db, 20, noon.AddDate(0, 1, 0), "b"); got != 50 {
			t.Errorf("balance after two awards = %d, want 50", got)
		}
		if got := award(t, db, 20, noon, "b"); got != 50 {
			t.Errorf("balance after the same key again = %d, want 50", got)
		}
		for range 2 { // the second time is the same spending
			if got, err := spend(t, db, 40, noon.AddDate(0, 1, 1), "c"); got != 10 || err != nil {
				t.Errorf("Spend 40 of 50 = %d, %v, want 10", got, err)
			}
		}
		if got, err := spend(t, db, 11, noon.AddDate(0, 1, 1), "d"); got != 10 || !errors.Is(err, ledger.ErrInsufficient) {
			t.Errorf("Spend 11 of 10 = %d, %v, want 10, %v", got, err, ledger.ErrInsufficient)
		}
		verify(t, db)
	})
}

func TestAmountsOutOfRange(t *testing.T) {
	db := storetest.Open(t)
	for _, points := range []int64{0, -1, ledger.MaxPoints + 1} {
		err := db.Update(t.Context(), func(tx *store.Tx) error {
			_, _, err := ledger.Award(tx.Context(), tx, ledger.Earning{Member: member, Base: points, Key: "k", At: noon})
			return err
		})
		if !errors.Is(err, ledger.ErrAmount) {
			t.Errorf("Award(%d) = %v, want %v", points, err, ledger.ErrAmount)
		}
		err = db.Update(t.Context(), func(tx *store.Tx) error {
			_, err := ledger.Spend(tx.Context(), tx, ledger.Spending{Member: member, Points: points, Key: "k", At: noon})
			return err
		})
		if !errors.Is(err, ledger.ErrAmount) {
			t.Errorf("Spend(%d) = %v, want %v", points, err, ledger.ErrAmount)
		}
	}
}

func TestExpiry(t *testing.T) {
	tests := []struct{ earned, expires string }{
		{"2026-11-21 12:00", "2027-11-22 00:00"},
		{"2026-11-21 23:59", "2027-11-22 00:00"},
		{"2024-02-29 08:00", "2025-03-01 00:00"}, // 12 months on there is no 29th
	}
	for _, tt := range tests {
		earned, err := time.ParseInLocation("2006-01-02 15:04", tt.earned, storetest.Zone())
		if err != nil {
			t.Fatal(err)
		}
		got := ledger.ExpiresAt(earned, storetest.Zone()).In(storetest.Zone()).Format("2006-01-02 15:04")
		if got != tt.expires {
			t.Errorf("ExpiresAt(%s) = %s, want %s", tt.earned, got, tt.expires)
		}
	}

	storetest.Each(t, func(t *testing.T, db *store.Store) {
		award(t, db, 30, noon, "old")
		award(t, db, 5, noon.AddDate(0, 6, 0), "new")
		midnight := ledger.ExpiresAt(noon, storetest.Zone())
		if got, err := spend(t, db, 10, midnight.Add(-time.Second), "before"); got != 25 || err != nil {
			t.Errorf("Spend a second before expiry = %d, %v, want 25", got, err)
		}
		if got, err := spend(t, db, 10, midnight, "after"); got != 5 || !errors.Is(err, ledger.ErrInsufficient) {
			t.Errorf("Spend at expiry = %d, %v, want 5, %v: only the new lot is left", got, err, ledger.ErrInsufficient)
		}
		verify(t, db)
	})
}

func TestReturnGoesToTheLotsItCameFrom(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.Store) {
		award(t, db, 30, noon, "old")
		award(t, db, 30, noon.AddDate(0, 6, 0), "new")
		later := noon.AddDate(0, 7, 0)
		if _, err := spend(t, db, 40, later, "draw"); err != nil {
			t.Fatal(err)
		}
		for range 2 {
			update(t, db, func(tx *store.Tx) error {
				balance, err := ledger.Return(tx.Context(), tx, "draw", "取消", later)
				if balance != 60 {
					t.Errorf("balance after Return = %d, want 60", balance)
				}
				return err
			})
		}
		update(t, db, func(tx *store.Tx) error {
			lots, err := tx.OpenLots(tx.Context(), member)
			if len(lots) != 2 || lots[0].Remaining != 30 || lots[1].Remaining != 30 {
				t.Errorf("lots after Return = %+v, want both full again", lots)
			}
			return err
		})
		verify(t, db)
	})
}

// Points that come back to an expired lot expire again, and are booked again.
func TestReturnToAnExpiredLotExpiresAgain(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.Store) {
		award(t, db, 30, noon, "old")
		for _, key := range []string{"x", "y"} {
			if _, err := spend(t, db, 10, noon, key); err != nil {
				t.Fatal(err)
			}
		}
		late := noon.AddDate(2, 0, 0)
		for _, key := range []string{"x", "y"} {
			update(t, db, func(tx *store.Tx) error {
				if _, err := ledger.Return(tx.Context(), tx, key, "", late); err != nil {
					return err
				}
				balance, err := ledger.Settle(tx.Context(), tx, member, late)
				if balance != 0 {
					t.Errorf("balance after %s came back to an expired lot = %d, want 0", key, balance)
				}
				return err
			})
		}
		verify(t, db)
	})
}

// Whatever is booked, in whatever order, the three sums agree and the balance
// is never negative.
func TestLedgerBalances(t *testing.T) {
	db := storetest.Open(t)
	run := 0
	rapid.Check(t, func(rt *rapid.T) {
		run++
		who := int64(run)
		bookings := rapid.IntRange(1, 30).Draw(rt, "bookings")
		err := db.Update(t.Context(), func(tx *store.Tx) error {
			at := noon
			for n := range bookings {
				at = at.Add(time.Duration(rapid.IntRange(0, 60*24).Draw(rt, "hours")) * time.Hour)
				points := rapid.Int64Range(1, 50).Draw(rt, "points")
				key := fmt.Sprint(run, "-", rapid.IntRange(0, n).Draw(rt, "key"))
				balance, err := book(tx, rapid.IntRange(0, 2).Draw(rt, "kind"), who, points, key, at)
				if err != nil && !errors.Is(err, ledger.ErrInsufficient) {
					return err
				}
				if balance < 0 {
					rt.Errorf("balance = %d", balance)
				}
			}
			return nil
		})
		if err != nil {
			rt.Fatal(err)
		}
	})
	verify(t, db)
}

// book awards (kind 0), spends (1) or returns what was spent (2).
func book(tx *store.Tx, kind int, member, points int64, key string, at time.Time) (balance int64, err error) {
	switch kind {
	case 0:
		_, balance, err = ledger.Award(tx.Context(), tx, ledger.Earning{Member: member, Base: points, Key: "a" + key, At: at})
	case 1:
		balance, err = ledger.Spend(tx.Context(), tx, ledger.Spending{Member: member, Points: points, Key: "s" + key, At: at})
	case 2:
		balance, err = ledger.Return(tx.Context(), tx, "s"+key, "", at)
	}
	return balance, err
}

func TestYuan(t *testing.T) {
	for points, want := range map[int64]string{0: "¥0.00", 5: "¥0.05", 150: "¥1.50", 123456: "¥1234.56"} {
		if got := ledger.Yuan(ledger.Fen(points)); got != want {
			t.Errorf("worth of %d points = %s, want %s", points, got, want)
		}
	}
}
