package draw

import (
	"context"
	"crypto/rand"
	"errors"
	"log/slog"
	"testing"
	"time"

	"qunbot/drawproof"
	"qunbot/handlers"
	"qunbot/ledger"
	"qunbot/store"
	"qunbot/store/storetest"
)

// featureOn returns the feature on a database, at noon.
func featureOn(db *store.Store) *feature {
	return &feature{
		Deps:   handlers.Deps{Store: db, Now: func() time.Time { return noon }, Zone: db.Zone(), Log: slog.New(slog.DiscardHandler)},
		Config: Config{Random: rand.Reader},
	}
}

// crowd makes a draw with n entrants who each have points. They enter as
// members do.
func crowd(t testing.TB, f *feature, p plan, n int, points int64) store.Draw {
	t.Helper()
	var d store.Draw
	ctx := context.Background()
	err := f.Store.Update(ctx, func(tx *store.Tx) (err error) {
		mall, err := tx.MallNamed(tx.Context(), "南湖天地")
		if err != nil {
			return err
		}
		d, err = f.create(tx.Context(), tx, p, mall.ID, 0, 1, noon)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	const batch = 500
	for first := 1; first <= n; first += batch {
		err := f.Store.Update(ctx, func(tx *store.Tx) error {
			for m := first; m < min(first+batch, n+1); m++ {
				if points > 0 {
					_, _, err := ledger.Award(tx.Context(), tx, ledger.Earning{Member: int64(m), Rule: "test", Base: points, Key: store.Key("test", m), At: noon})
					if err != nil {
						return err
					}
				}
				if _, err := f.enter(tx.Context(), tx, d.ID, int64(m), noon); err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	return d
}

// TestCancelReturnsPoints cancels a draw with more entrants than one
// transaction gives back to; the job does the rest, and the books balance.
func TestCancelReturnsPoints(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.Store) {
		f := featureOn(db)
		const members = 2*returnsAtOnce + 30
		d := crowd(t, f, plan{name: "大奖", prizes: []drawproof.Prize{{Name: "炸锅", Count: 1}}, cost: 7}, members, 10)
		balances := func() map[int64]int64 {
			t.Helper()
			var found map[int64]int64
			err := db.View(context.Background(), func(tx *store.Tx) (err error) {
				var ids []int64
				for m := range members {
					ids = append(ids, int64(m+1))
				}
				found, err = tx.Balances(tx.Context(), ids)
				return err
			})
			if err != nil {
				t.Fatal(err)
			}
			return found
		}
		for m, points := range balances() {
			if points != 3 {
				t.Fatalf("member %d has %d points after entering, want 3", m, points)
			}
		}
		err := db.Update(context.Background(), func(tx *store.Tx) error {
			_, err := f.cancel(tx.Context(), tx, d.ID, "没货", noon)
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
		for range 2 { // again changes nothing
			if err := f.closeDue(context.Background(), noon); err != nil {
				t.Fatal(err)
			}
		}
		for m, points := range balances() {
			if points != 10 {
				t.Fatalf("member %d has %d points after it was cancelled, want 10", m, points)
			}
		}
		if _, problems, err := ledger.Verify(context.Background(), db); err != nil || len(problems) > 0 {
			t.Errorf("books: %v %v", problems, err)
		}
	})
}

// TestSameOnBothDatabases draws from the same secrets on SQLite and MySQL.
func TestSameOnBothDatabases(t *testing.T) {
	var records []drawproof.Record
	storetest.Each(t, func(t *testing.T, db *store.Store) {
		f := featureOn(db)
		f.Random = counting{new(byte)}
		d := crowd(t, f, plan{name: "大奖 🎁", prizes: []drawproof.Prize{{Name: "炸锅", Count: 2}, {Name: "Ａa", Count: 3}}}, 60, 0)
		err := db.Update(context.Background(), func(tx *store.Tx) error {
			ctx := tx.Context()
			if _, err := f.close(ctx, tx, d.ID, noon); err != nil {
				return err
			}
			drawn, _, err := f.draw(ctx, tx, d.ID, noon)
			if err != nil {
				return err
			}
			r, err := f.record(ctx, tx, drawn)
			records = append(records, r)
			return errors.Join(err, r.Verify())
		})
		if err != nil {
			t.Fatal(err)
		}
	})
	if len(records) < 2 {
		t.Skip("only one database here")
	}
	a, _ := encodeRecord(records[0])
	b, _ := encodeRecord(records[1])
	if string(a) != string(b) {
		t.Errorf("the records differ:\n%s\n%s", a, b)
	}
}

// counting are random numbers that count.
type counting struct{ n *byte }

func (c counting) Read(b []byte) (int, error) {
	for i := range b {
		*c.n++
		b[i] = *c.n
	}
	return len(b), nil
}

// BenchmarkDraw100000 draws 1,000 prizes and as many alternates among 100,000
// entrants in a database: what an operator waits for after 开奖.
func BenchmarkDraw100000(b *testing.B) {
	f := featureOn(storetest.Open(b))
	d := crowd(b, f, plan{name: "大奖", prizes: []drawproof.Prize{{Name: "炸锅", Count: 1000}}}, 100_000, 0)
	undo := errors.New("undo")
	err := f.Store.Update(b.Context(), func(tx *store.Tx) error {
		_, err := f.close(tx.Context(), tx, d.ID, noon)
		return err
	})
	if err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		err := f.Store.Update(b.Context(), func(tx *store.Tx) error {
			if _, wins, err := f.draw(tx.Context(), tx, d.ID, noon); err != nil || len(wins) != 2000 {
				b.Fatal(len(wins), err)
			}
			return undo
		})
		if !errors.Is(err, undo) {
			b.Fatal(err)
		}
	}
}
