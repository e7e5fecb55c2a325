package points_test

import (
	"log/slog"
	"testing"
	"time"

	"qunbot/bot"
	"qunbot/bot/bottest"
	"qunbot/handlers"
	"qunbot/handlers/checkin"
	"qunbot/handlers/points"
	"qunbot/store"
	"qunbot/store/storetest"
)

func TestMain(m *testing.M) { storetest.Main(m) }

func TestTranscripts(t *testing.T) {
	bottest.Play(t, func(t *testing.T, db *store.Store, now func() time.Time) *bot.Engine {
		d := handlers.Deps{Store: db, Now: now, Zone: db.Zone(), Log: slog.New(slog.DiscardHandler)}
		app, err := handlers.Register(d, []handlers.Feature{checkin.New(d), points.New(d, nil)})
		if err != nil {
			t.Fatal(err)
		}
		return app.Engine
	})
}
