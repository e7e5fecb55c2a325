// Package review is where people decide what the program must not: texts of
// its own that hold a sensitive word wait for a second person, members appeal
// against strikes, operators say whether hits were right, and once a month
// somebody looks through the list of words. Each decision has a record.
package review

import (
	"context"
	"embed"
	"strings"
	"time"

	"qunbot/bot"
	"qunbot/handlers"
	"qunbot/scheduler"
	"qunbot/store"
	"qunbot/web/console"
	"qunbot/web/portal"
	"qunbot/wordfilter"
)

//go:embed *.html *.css *.js
var files embed.FS

// Config is what the review needs of the rest of the program.
type Config struct {
	// Held names, for operators, the words for which a text must not be sent
	// to groups as it is; no groups stands for every one.
	Held func(ctx context.Context, tx *store.Tx, groups []int64, text string) ([]string, error)
	// Scan returns the words in a text that count in a group.
	Scan func(ctx context.Context, tx *store.Tx, group int64, text string) ([]wordfilter.Hit, error)
	// Undo makes a strike not count, gives back what it cost and lifts its
	// suspension. undone is false if it did not count any more.
	Undo func(ctx context.Context, tx *store.Tx, strike, operator int64, at time.Time) (points int64, lifted, undone bool, err error)
	// Allow makes a phrase harmless in a group (0: in all). problem says why it
	// cannot be allowed.
	Allow func(ctx context.Context, tx *store.Tx, group int64, phrase string, operator int64, at time.Time) (problem string, err error)
	// Raise makes a word that counts in a group one level more serious, and
	// names that level. problem says why it cannot be.
	Raise func(ctx context.Context, tx *store.Tx, group int64, word string) (level, problem string, err error)
	// Broad says why a word would be found in ordinary sentences; empty if not.
	Broad func(word string) string
	// Notify tells staff, once a key, in the transaction it is called in. Nil:
	// the console shows it.
	Notify func(ctx context.Context, tx *store.Tx, key, text string) error
	// Tell tells a member, once a key. It reports false where they cannot be
	// reached. Nil: nobody can be.
	Tell func(ctx context.Context, tx *store.Tx, member int64, key, text string) (bool, error)
	// Approved returns what the features do with texts that were approved.
	Approved func() map[string]handlers.Approved
	// PublicURL is the address that browsers know the console's site by.
	PublicURL string
}

type feature struct {
	handlers.Deps
	Config
}

// New returns the review.
func New(d handlers.Deps, c Config) handlers.Feature {
	f := newFeature(d, c)
	return handlers.Feature{
		Name: "review",
		Commands: []bot.Command{{
			Words: []string{"申诉"}, Usage: "<理由>", Help: "觉得冤枉，请运营再看一遍", Private: true, Handle: f.appeal,
		}},
		Jobs: []scheduler.Job{
			{Name: "review.expire", Title: "清理过期的待审", Schedule: scheduler.Every(5 * time.Minute), Missed: scheduler.RunOnce, Run: f.expire},
			{Name: "moderation.review", Title: "每月敏感词审查", Schedule: scheduler.Monthly(1, 9, 0), Missed: scheduler.RunOnce, Run: f.openReview},
		},
		Console:  []console.Page{f.approvalsPage(), f.hitsPage(), f.appealsPage(), f.accuracyPage(), f.wordsPage()},
		Portal:   []portal.Page{f.memberPage()},
		Personal: handlers.Personal{Export: f.export, Erase: f.erase},
	}
}

func newFeature(d handlers.Deps, c Config) *feature {
	c.PublicURL = strings.TrimRight(c.PublicURL, "/")
	if c.Notify == nil {
		c.Notify = func(context.Context, *store.Tx, string, string) error { return nil }
	}
	if c.Tell == nil {
		c.Tell = func(context.Context, *store.Tx, int64, string, string) (bool, error) { return false, nil }
	}
	return &feature{d, c}
}

// Where the pages are.
const (
	approvalsPath = console.Prefix + "/review"
	hitsPath      = approvalsPath + "/hits"
	appealsPath   = approvalsPath + "/appeals"
	wordsPath     = approvalsPath + "/words"
)

// menu is the word behind which the pages are.
const menu = "待审"

// A part of a text, of which some were hit.
type part struct {
	Text string
	Hit  bool
}

// partsOf cuts text into what was hit and what was not.
func partsOf(text string, hits []wordfilter.Hit) []part {
	spans := make([][2]int, len(hits))
	for i, h := range hits { // they are sorted by where they start
		spans[i] = [2]int{h.Start, h.End}
	}
	return cutAt(text, spans)
}

// cutAt cuts text at spans of bytes, sorted by where they start.
func cutAt(text string, spans [][2]int) []part {
	var parts []part
	add := func(text string, hit bool) {
		if text != "" {
			parts = append(parts, part{text, hit})
		}
	}
	at := 0
	for i := 0; i < len(spans); {
		start, end := spans[i][0], spans[i][1]
		for i++; i < len(spans) && spans[i][0] < end; i++ {
			end = max(end, spans[i][1])
		}
		if start < at || end > len(text) || start > end {
			continue // not of this text
		}
		add(text[at:start], false)
		add(text[start:end], true)
		at = end
	}
	add(text[at:], false)
	return parts
}

// operatorNames returns what operators are called.
func operatorNames(ctx context.Context, tx *store.Tx) (map[int64]string, error) {
	list, err := tx.Operators(ctx)
	names := make(map[int64]string, len(list))
	for _, o := range list {
		if names[o.ID] = o.Name; o.Name == "" {
			names[o.ID] = o.UserID
		}
	}
	return names, err
}
