package bot

import (
	"context"
	"fmt"
	"log/slog"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"qunbot/store"
	"qunbot/store/storetest"
)

// However many replicas share the database and the address, together they send
// no more than 300 in a second.
func TestRateOfReplicas(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newOffice(t, storetest.Open(t))
		sender := senderFunc(func(_ context.Context, lane, text, _ string) (string, error) {
			w.mu.Lock()
			w.arrived = append(w.arrived, arrival{lane, Reply{Text: text}, time.Now()})
			w.mu.Unlock()
			time.Sleep(20 * time.Millisecond)
			return "", nil
		})
		const replicas = 4
		posts := 1200
		if raceDetector {
			posts = 400 // which is slow with it
		}
		w.update(func(ctx context.Context, tx *store.Tx) error {
			for i := range posts {
				p := Post{Key: fmt.Sprint(i), Lane: fmt.Sprint("webhook/", i), Reply: Textf("%04d", i), Delivery: AtMostOnce}
				if err := Push(ctx, tx, p); err != nil {
					return err
				}
			}
			return nil
		})
		for range replicas {
			o := NewOutbox(OutboxConfig{Store: w.db, Sender: sender, Now: time.Now, Owner: "test", Log: slog.New(slog.DiscardHandler)})
			o.times = &timetable{store: w.db, name: "departures", gap: time.Second / sharedRate} // as on a database that is shared
			defer start(t, o)()
		}
		time.Sleep(10 * time.Second)
		if len(w.arrived) != posts {
			t.Errorf("%d posts arrived in 10 s, want %d", len(w.arrived), posts)
		}
		checkWindow(t, w.arrived, sharedRate+lateSends, time.Second)
		slices.SortFunc(w.arrived, func(a, b arrival) int { return a.at.Compare(b.at) })
		if took := w.arrived[len(w.arrived)-1].at.Sub(w.arrived[0].at); took > time.Duration(posts)*time.Second/sharedRate*110/100 {
			t.Errorf("it took %v for %d, want %d a second", took, posts, sharedRate)
		}
	})
}
