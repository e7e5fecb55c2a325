package wecom

import (
	"context"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"qunbot/store"
	"qunbot/store/storetest"
)

// A tokenShop gives out tokens that live for life.
type tokenShop struct {
	fetches atomic.Int64
	life    time.Duration
	err     error
	delay   time.Duration // of an answer
}

func (s *tokenShop) fetch(ctx context.Context) (string, time.Duration, error) {
	n := s.fetches.Add(1)
	if s.delay > 0 {
		select {
		case <-time.After(s.delay):
		case <-ctx.Done():
			return "", 0, &APIError{Op: opGetToken, Msg: "late", class: ClassRetry}
		}
	}
	return fmt.Sprintf("token-%d", n), s.life, s.err
}

// source returns what a replica has.
func (s *tokenShop) source(t *testing.T, db *store.Store, now func() time.Time) *tokenSource {
	t.Helper()
	source, err := newTokenSource("ww1", "1000002", testSecret, db, now, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	source.fetch = s.fetch
	return source
}

func TestTokenIsFetchedOnceForAll(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		shop := &tokenShop{life: 2 * time.Hour, delay: time.Second}
		source := shop.source(t, nil, time.Now)
		hurried, cancel := context.WithCancel(t.Context())
		var wg sync.WaitGroup
		wg.Go(func() { // begins the fetch and leaves
			if _, err := source.get(hurried, ""); err == nil {
				t.Error("get of a call that was given up = nil error")
			}
		})
		synctest.Wait()
		for range 32 {
			wg.Go(func() {
				if got, err := source.get(t.Context(), ""); got != "token-1" || err != nil {
					t.Errorf("get = %q, %v, want token-1", got, err)
				}
			})
		}
		synctest.Wait()
		cancel()
		wg.Wait()
		if n := shop.fetches.Load(); n != 1 {
			t.Errorf("%d fetches, want 1", n)
		}
	})
}

func TestTokenIsRenewedEarly(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		shop := &tokenShop{life: 2 * time.Hour, delay: time.Second}
		source := shop.source(t, nil, time.Now)
		steps := []struct {
			after time.Duration // the step before
			want  string
		}{
			{0, "token-1"},
			{115*time.Minute - 2*time.Second, "token-1"},
			{time.Minute, "token-1"}, // the next is fetched behind the scenes
			{2 * time.Second, "token-2"},
			{3 * time.Hour, "token-3"}, // run out
		}
		for i, s := range steps {
			time.Sleep(s.after)
			if got, err := source.get(t.Context(), ""); got != s.want || err != nil {
				t.Errorf("step %d: get = %q, %v, want %q", i, got, err, s.want)
			}
		}
	})
}

// Near its end the platform gives out the same token with less and less time.
func TestTokenNearItsEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		shop := &tokenShop{}
		source := shop.source(t, nil, time.Now)
		end := time.Now().Add(5 * time.Minute)
		source.fetch = func(context.Context) (string, time.Duration, error) {
			shop.fetches.Add(1)
			return "the same", time.Until(end).Truncate(time.Second), nil
		}
		for time.Until(end) > 2*time.Second {
			if got, err := source.get(t.Context(), ""); got != "the same" || err != nil {
				t.Fatalf("get = %q, %v", got, err)
			}
			time.Sleep(100 * time.Millisecond)
		}
		if n := shop.fetches.Load(); n > 12 {
			t.Errorf("%d fetches in the last 5 minutes, want at most 12", n)
		}
	})
}

func TestFailedFetchesBackOff(t *testing.T) {
	tests := []struct {
		name string
		err  func() error
		most int64 // fetches an hour
	}{
		{"wrong secret", func() error { return &APIError{Code: 40001, Op: opGetToken} }, 21},
		{"blocked for an hour", func() error {
			return &APIError{Code: 45009, Op: opGetToken, RetryAt: retryAt(45009, opGetToken, time.Now())}
		}, 1},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				shop := &tokenShop{err: tt.err(), life: time.Hour}
				source := shop.source(t, nil, time.Now)
				for range 3600 {
					if _, err := source.get(t.Context(), ""); apiError(t, err).Op != opGetToken {
						t.Fatalf("get = %v, want the platform's error", err)
					}
					time.Sleep(time.Second - time.Nanosecond)
				}
				if n := shop.fetches.Load(); n > tt.most {
					t.Errorf("%d fetches within an hour, want at most %d", n, tt.most)
				}
				shop.err = nil
				time.Sleep(maxBackoff)
				if _, err := source.get(t.Context(), ""); err != nil {
					t.Errorf("get after the trouble = %v", err)
				}
			})
		})
	}
}

// Replicas that all see their token refused fetch the next one once.
func TestReplicasFetchOnce(t *testing.T) {
	db := storetest.Open(t)
	shop := &tokenShop{life: 2 * time.Hour}
	var replicas []*tokenSource
	for range 6 {
		replicas = append(replicas, shop.source(t, db, time.Now))
	}
	refused := ""
	for round := range 3 {
		var wg sync.WaitGroup
		for _, r := range replicas {
			for range 4 {
				wg.Go(func() {
					want := fmt.Sprintf("token-%d", round+1)
					if got, err := r.get(t.Context(), refused); got != want || err != nil {
						t.Errorf("round %d: get = %q, %v, want %q", round, got, err, want)
					}
				})
			}
		}
		wg.Wait()
		refused = fmt.Sprintf("token-%d", round+1)
	}
	if n := shop.fetches.Load(); n != 3 {
		t.Errorf("%d fetches in 3 rounds, want 3", n)
	}
	if got, err := shop.source(t, db, time.Now).get(t.Context(), ""); got != "token-3" || err != nil {
		t.Errorf("get of a replica that starts = %q, %v, want token-3", got, err)
	}
}

// A replica that dies while it fetches holds the others up until its lease
// ends, no longer.
func TestReplicaThatDiesInAFetch(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		db, err := store.Open(t.Context(), storetest.SQLite(t))
		if err != nil {
			t.Fatal(err)
		}
		defer db.Close()
		shop := &tokenShop{life: 2 * time.Hour}
		source := shop.source(t, db, time.Now)
		err = db.Update(t.Context(), func(tx *store.Tx) error {
			_, err := tx.LeaseToken(tx.Context(), source.name, 0, time.Now(), time.Now().Add(tokenLease))
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := source.get(t.Context(), ""); apiError(t, err).Class() != ClassRetry {
			t.Errorf("get while another fetches = %v, want retry", err)
		}
		time.Sleep(tokenLease - renewWithin + time.Second)
		if got, err := source.get(t.Context(), ""); got != "token-1" || err != nil {
			t.Errorf("get after the lease = %q, %v, want token-1", got, err)
		}
	})
}

func TestFailedFetchFreesTheLease(t *testing.T) {
	db := storetest.Open(t)
	shop := &tokenShop{life: 2 * time.Hour, err: &APIError{Code: -1, Op: opGetToken}}
	if _, err := shop.source(t, db, time.Now).get(t.Context(), ""); err == nil {
		t.Fatal("get = nil error, want the platform's")
	}
	shop.err = nil
	if got, err := shop.source(t, db, time.Now).get(t.Context(), ""); got != "token-2" || err != nil {
		t.Errorf("get of another replica = %q, %v, want token-2 at once", got, err)
	}
}

func TestStoredTokenIsSealed(t *testing.T) {
	db := storetest.Open(t)
	shop := &tokenShop{life: 2 * time.Hour}
	source := shop.source(t, db, time.Now)
	if _, err := source.get(t.Context(), ""); err != nil {
		t.Fatal(err)
	}
	err := db.View(t.Context(), func(tx *store.Tx) error {
		row, err := tx.Token(tx.Context(), source.name)
		if strings.Contains(row.Sealed, "token-1") || source.open(row.Sealed) != "token-1" {
			t.Errorf("stored %q, want token-1 sealed", row.Sealed)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	if n := len(source.sealed(strings.Repeat("x", 512))); n > 1200 {
		t.Errorf("the longest token needs %d bytes, its column has 1200", n)
	}
	// A new secret makes the stored token unreadable, and a new one is fetched.
	other, err := newTokenSource("ww1", "1000002", "another secret", db, time.Now, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	other.fetch = shop.fetch
	if got, err := other.get(t.Context(), ""); got != "token-2" || err != nil {
		t.Errorf("get with another secret = %q, %v, want token-2", got, err)
	}
}

// A call inside a transaction would hold the database up while the platform
// answers.
func TestTokenInsideATransaction(t *testing.T) {
	db := storetest.Open(t)
	shop := &tokenShop{life: 2 * time.Hour}
	source := shop.source(t, db, time.Now)
	err := db.Update(t.Context(), func(tx *store.Tx) error {
		if _, err := source.get(tx.Context(), ""); err == nil || !strings.Contains(err.Error(), store.ErrNested.Error()) {
			t.Errorf("get inside a transaction = %v, want %v", err, store.ErrNested)
		}
		return nil
	})
	if err != nil {
		t.Error(err)
	}
}
