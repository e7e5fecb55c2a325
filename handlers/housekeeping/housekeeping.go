// Package housekeeping deletes what is older than its retention.
package housekeeping

import (
	"context"
	"time"

	"qunbot/handlers"
	"qunbot/scheduler"
	"qunbot/store"
)

// Retention is how long rows are kept, in days. Operators may change it.
type Retention struct {
	Answers   int `json:"answers"`   // what was answered, for messages that are delivered again
	Messages  int `json:"messages"`  // what members said
	Decisions int `json:"decisions"` // why it was answered so
	Firings   int `json:"firings"`   // when which job ran
	Posts     int `json:"posts"`     // what the program said on its own
	Strikes   int `json:"strikes"`   // which messages met the rules of moderation, and what that led to
}

var defaultRetention = Retention{Answers: 3, Messages: 30, Decisions: 180, Firings: 90, Posts: 90, Strikes: 180}

// answersAtLeast days have to pass before an answer is forgotten: a delivery is
// taken for 24 hours, and one that comes again must find its answer.
const answersAtLeast = 2

// chunk is how many rows of a table one transaction deletes.
const chunk = 500

type feature struct{ handlers.Deps }

// New returns the housekeeping feature.
func New(d handlers.Deps) handlers.Feature {
	f := &feature{d}
	return handlers.Feature{
		Name: "housekeeping",
		Jobs: []scheduler.Job{
			{Name: "housekeeping", Title: "清理过期数据", Schedule: scheduler.Daily(4, 0), Missed: scheduler.RunOnce, Run: f.prune},
		},
	}
}

// prune deletes what was too old when it was due.
func (f *feature) prune(ctx context.Context, due time.Time) error {
	for {
		var gone int64
		err := f.Store.Update(ctx, func(tx *store.Tx) (err error) {
			keep := defaultRetention
			if err := tx.Setting(tx.Context(), "retention", &keep); err != nil {
				return err
			}
			daysAgo := func(days int) time.Time { return due.AddDate(0, 0, -days) }
			gone, err = tx.Prune(tx.Context(), store.Cutoffs{
				Answers: daysAgo(max(answersAtLeast, keep.Answers)), Messages: daysAgo(keep.Messages), Decisions: daysAgo(keep.Decisions),
				Sessions: due, Requests: daysAgo(keep.Answers), Strikes: daysAgo(keep.Strikes), Imports: daysAgo(1),
			}, chunk)
			if err != nil {
				return err
			}
			firings, err := tx.PruneFirings(tx.Context(), daysAgo(keep.Firings), chunk)
			if err != nil {
				return err
			}
			posts, err := tx.PrunePosts(tx.Context(), daysAgo(keep.Posts), chunk)
			if err != nil {
				return err
			}
			lanes, err := tx.PruneLanes(tx.Context(), daysAgo(keep.Posts), chunk)
			gone += firings + posts + lanes
			return err
		})
		if err != nil || gone == 0 {
			return err
		}
	}
}
