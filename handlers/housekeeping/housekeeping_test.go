package housekeeping_test

import (
	"log/slog"
	"testing"
	"time"

	"qunbot/handlers"
	"qunbot/handlers/housekeeping"
	"qunbot/store"
	"qunbot/store/storetest"
)

func TestMain(m *testing.M) { storetest.Main(m) }

func TestPruneKeepsWhatIsYoung(t *testing.T) {
	due := time.Date(2026, 11, 21, 20, 0, 0, 0, time.UTC)
	storetest.Each(t, func(t *testing.T, db *store.Store) {
		err := db.Update(t.Context(), func(tx *store.Tx) error {
			for days := range 200 {
				at := due.AddDate(0, 0, -days)
				key := store.Key("k", days)
				err := tx.AddAnswers(tx.Context(), []store.Answer{{Key: key, CreatedAt: at}},
					[]store.Message{{Key: key, Text: "你好", SentAt: at}}, []store.Decision{{Key: key, SentAt: at, At: at}})
				if err != nil {
					return err
				}
				if err := tx.AddHits(tx.Context(), []store.ModerationHit{{Key: key, RuleID: 1, At: at}}); err != nil {
					return err
				}
			}
			return tx.PutSession(tx.Context(), "old", nil, due.Add(-time.Second))
		})
		if err != nil {
			t.Fatal(err)
		}
		d := handlers.Deps{Store: db, Now: func() time.Time { return due }, Zone: db.Zone(), Log: slog.New(slog.DiscardHandler)}
		for range 2 { // repeating it changes nothing
			if err := housekeeping.New(d).Jobs[0].Run(t.Context(), due); err != nil {
				t.Fatal(err)
			}
		}
		err = db.View(t.Context(), func(tx *store.Tx) error {
			why, err := tx.Decisions(tx.Context(), store.DecisionFilter{Limit: 1000})
			if err != nil {
				return err
			}
			texts := 0
			var keys []string
			for _, d := range why {
				keys = append(keys, d.Key)
				if d.Text != "" {
					texts++
				}
			}
			hits, err := tx.CountHits(tx.Context(), store.HitFilter{})
			if hits != 181 {
				t.Errorf("%d hits of moderation rules are left, want 181", hits)
			}
			if err != nil {
				return err
			}
			answers, err := tx.Answers(tx.Context(), keys)
			if len(why) != 181 || texts != 31 || len(answers) != 4 {
				t.Errorf("%d decisions, %d messages and %d answers are left, want 181, 31 and 4", len(why), texts, len(answers))
			}
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	})
}
