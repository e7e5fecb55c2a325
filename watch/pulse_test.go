package watch_test

import (
	"context"
	"log/slog"
	"testing"
	"testing/synctest"
	"time"

	"qunbot/bot"
	"qunbot/store"
	"qunbot/store/storetest"
	"qunbot/watch"
)

// newPulse returns the pulse of a process that answers nothing, on a machine.
func newPulse(db *store.Store, host string, progress func() bot.Progress) *watch.Pulse {
	return watch.NewPulse(watch.PulseConfig{
		Store: db, Metrics: watch.NewMetrics(watch.Build{}, time.Now), Progress: progress, Clock: time.Now,
		Log: slog.New(slog.DiscardHandler), Host: host, Process: "1", Version: "v1",
	})
}

func idle() bot.Progress { return bot.Progress{Running: true} }

// known returns the outages and the processes of a database.
func known(t *testing.T, db *store.Store) (outages []store.Outage, replicas []store.Replica) {
	t.Helper()
	err := db.View(t.Context(), func(tx *store.Tx) (err error) {
		if outages, err = tx.Outages(tx.Context(), time.Time{}); err != nil {
			return err
		}
		replicas, err = tx.Replicas(tx.Context())
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return outages, replicas
}

// runFor runs p for a time, and then stops it as SIGTERM does.
func runFor(t *testing.T, p *watch.Pulse, d time.Duration) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), d)
	defer cancel()
	if err := p.Run(ctx); err != nil {
		t.Fatal(err)
	}
}

func TestOutagesAreTheTimesWithoutBeats(t *testing.T) {
	tests := []struct {
		name string
		play func(t *testing.T, db *store.Store)
		want []time.Duration
	}{
		{"one process", func(t *testing.T, db *store.Store) {
			runFor(t, newPulse(db, "a", idle), 2*time.Minute)
		}, nil},
		{"stopped and started again", func(t *testing.T, db *store.Store) {
			runFor(t, newPulse(db, "a", idle), 2*time.Minute)
			time.Sleep(7 * time.Second)
			runFor(t, newPulse(db, "a", idle), 2*time.Minute)
		}, []time.Duration{7 * time.Second}},
		{"away for a day and a half", func(t *testing.T, db *store.Store) {
			runFor(t, newPulse(db, "a", idle), 2*time.Minute)
			time.Sleep(36 * time.Hour)
			runFor(t, newPulse(db, "a", idle), 2*time.Minute)
		}, []time.Duration{36 * time.Hour}},
		{"one stops while another goes on", func(t *testing.T, db *store.Store) {
			go newPulse(db, "a", idle).Run(t.Context())
			runFor(t, newPulse(db, "b", idle), 2*time.Minute)
			time.Sleep(2 * time.Minute)
		}, nil},
		{"a rolling restart", func(t *testing.T, db *store.Store) {
			go newPulse(db, "a", idle).Run(t.Context())
			runFor(t, newPulse(db, "b", idle), 2*time.Minute)
			time.Sleep(3 * time.Second)
			runFor(t, newPulse(db, "b", idle), 2*time.Minute)
		}, nil},
		{"killed, and back after a while", func(t *testing.T, db *store.Store) {
			update(t, db, func(ctx context.Context, tx *store.Tx) error {
				return tx.PutReplica(ctx, store.Replica{Name: "killed", StartedAt: time.Now(), BeatAt: time.Now()})
			})
			time.Sleep(5 * time.Minute)
			runFor(t, newPulse(db, "a", idle), 2*time.Minute)
		}, []time.Duration{5 * time.Minute}},
		{"the engine stands still", func(t *testing.T, db *store.Store) {
			began := time.Now()
			stalled := func() bot.Progress {
				p := idle()
				if now := time.Now(); now.Sub(began) > time.Minute && now.Sub(began) < 3*time.Minute {
					p.Since = began
				}
				return p
			}
			runFor(t, newPulse(db, "a", stalled), 5*time.Minute)
		}, []time.Duration{2 * time.Minute}},
		{"the clock goes back", func(t *testing.T, db *store.Store) {
			update(t, db, func(ctx context.Context, tx *store.Tx) error {
				return tx.PutReplica(ctx, store.Replica{Name: "ahead", StartedAt: time.Now(), BeatAt: time.Now().Add(time.Hour), Stopped: true})
			})
			runFor(t, newPulse(db, "a", idle), time.Minute)
		}, nil},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				db := storetest.Open(t)
				tt.play(t, db)
				outages, _ := known(t, db)
				var took []time.Duration
				for _, o := range outages {
					took = append(took, o.Took())
				}
				if len(took) != len(tt.want) || len(took) == 1 && took[0] != tt.want[0] {
					t.Errorf("outages of %v, want %v", took, tt.want)
				}
			})
		})
	}
}

// A process says goodbye, and those that did not are missed until another one
// is on their machine; after a day nobody talks of them.
func TestLostReplicas(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		db := storetest.Open(t)
		died := time.Now()
		update(t, db, func(ctx context.Context, tx *store.Tx) error {
			return tx.PutReplica(ctx, store.Replica{Name: "dead", Host: "c", StartedAt: died, BeatAt: died})
		})
		runFor(t, newPulse(db, "b", idle), time.Minute)
		_, replicas := known(t, db)
		if lost := watch.Lost(replicas, time.Now()); len(lost) != 1 || lost[0].Name != "dead" {
			t.Errorf("Lost = %+v, want the one that died", lost)
		}
		runFor(t, newPulse(db, "c", idle), time.Minute)
		_, replicas = known(t, db)
		if lost := watch.Lost(replicas, time.Now()); len(lost) != 0 {
			t.Errorf("Lost = %+v after another one has started there, want none", lost)
		}
		time.Sleep(48 * time.Hour)
		runFor(t, newPulse(db, "d", idle), time.Minute)
		if _, replicas = known(t, db); len(replicas) != 1 {
			t.Errorf("%d processes are known after two days, want that of today: %+v", len(replicas), replicas)
		}
	})
}

func TestUpAndDown(t *testing.T) {
	day := func(d, h int) time.Time { return time.Date(2026, 11, d, h, 0, 0, 0, time.UTC) }
	outages := []store.Outage{{BeganAt: day(10, 0), EndedAt: day(10, 6)}, {BeganAt: day(1, 0).Add(-time.Hour), EndedAt: day(1, 1)}}
	tests := []struct {
		name               string
		since, from, until time.Time
		want               float64 // hours down
		share              float64
		known              bool
	}{
		{"a month with an outage over its begin", day(1, 0).AddDate(0, -1, 0), day(1, 0), day(11, 0), 7, 1 - 7.0/240, true},
		{"noted since later", day(6, 0), day(1, 0), day(11, 0), 7, 1 - 6.0/120, true},
		{"before it was noted", day(20, 0), day(1, 0), day(11, 0), 7, 0, false},
		{"never noted", time.Time{}, day(1, 0), day(11, 0), 7, 0, false},
		{"ends inside one", day(1, 0), day(10, 0), day(10, 3), 3, 0, true},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got := watch.Down(outages, tt.from, tt.until).Hours(); got != tt.want {
				t.Errorf("Down = %v h, want %v h", got, tt.want)
			}
			share, known := watch.Up(outages, tt.since, tt.from, tt.until)
			if known != tt.known || known && (share-tt.share > 1e-9 || tt.share-share > 1e-9) {
				t.Errorf("Up = %v, %v, want %v, %v", share, known, tt.share, tt.known)
			}
		})
	}
}
