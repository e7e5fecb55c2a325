package draw_test

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"log/slog"
	"sync"
	"testing"
	"time"

	"qunbot/bot"
	"qunbot/bot/bottest"
	"qunbot/handlers"
	"qunbot/handlers/checkin"
	"qunbot/handlers/draw"
	"qunbot/handlers/points"
	"qunbot/scheduler"
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

// TestTranscripts plays testdata/*.chat. The job runs whenever the clock of the
// transcript has come to another minute, before the message is heard.
func TestTranscripts(t *testing.T) {
	bottest.Play(t, func(t *testing.T, db *store.Store, now func() time.Time) *bot.Engine {
		c := &clock{t: t, now: now}
		d := handlers.Deps{Store: db, Now: c.Now, Zone: db.Zone(), Log: slog.New(slog.DiscardHandler)}
		feature := draw.New(d, draw.Config{PublicURL: "https://fans.example.com/", Random: &foreseeable{}})
		c.job = feature.Jobs[0]
		app, err := handlers.Register(d, []handlers.Feature{checkin.New(d), points.New(d, nil), feature})
		if err != nil {
			t.Fatal(err)
		}
		return app.Engine
	})
}

// A clock runs a job when it is asked for the time in another minute than
// before: the engine asks first when a message comes, outside its transaction.
type clock struct {
	t   *testing.T
	now func() time.Time
	job scheduler.Job

	mu   sync.Mutex
	last time.Time
}

func (c *clock) Now() time.Time {
	now := c.now()
	c.mu.Lock()
	minute := now.Truncate(time.Minute)
	due := c.last.Before(minute)
	if due {
		c.last = minute
	}
	c.mu.Unlock()
	if due {
		if err := c.job.Run(context.Background(), minute); err != nil {
			c.t.Errorf("job %s: %v", c.job.Name, err)
		}
	}
	return now
}
