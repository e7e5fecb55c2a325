package review

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"time"

	"qunbot/store"
	"qunbot/web/console"
)

const (
	shortView = 30 // days
	longView  = 90
	maxWords  = 100 // words that the page lists

	enough  = 3  // hits that must be looked at before a word is called weak
	weakPct = 80 // of those looked at, right: a word with less is weak
)

func (f *feature) accuracyPage() console.Page {
	return console.Page{
		Path: "/review/accuracy", Title: "准确率", Purpose: "看过的命中里，有多少找得对。没看过的不算。",
		Group: console.Daily, Menu: menu, Icon: "check", Role: store.Analyst,
		FS: files, Template: "accuracy.html", Style: "review.css", Load: f.loadAccuracy,
	}
}

// A score is how often something was right, as far as somebody looked.
type score struct {
	Name         string
	Link         string // to what it is; may be empty
	Hits         int64
	Right, Wrong int64
	Dry          bool // a rule while it was on trial
}

func (s *score) add(r store.HitReview, n int64) {
	s.Hits += n
	switch r {
	case store.HitRight, store.HitRaised:
		s.Right += n
	case store.HitWrong, store.HitAllowed:
		s.Wrong += n
	}
}

// Seen is how many hits somebody looked at.
func (s score) Seen() int64 { return s.Right + s.Wrong }

// Percent is how many of those looked at were right, rounded down; −1 where
// nobody looked.
func (s score) Percent() int64 {
	if s.Seen() == 0 {
		return -1
	}
	return s.Right * 100 / s.Seen()
}

// Says writes the accuracy, with the figures it is made of.
func (s score) Says() string {
	if s.Seen() == 0 {
		return "还没有人看过"
	}
	return fmt.Sprintf("%d/%d，%d%%", s.Right, s.Seen(), s.Percent())
}

// Weak reports whether it was wrong too often.
func (s score) Weak() bool { return s.Seen() >= enough && s.Percent() < weakPct }

// State is how the score is marked.
func (s score) State() string {
	switch {
	case s.Weak():
		return "bad"
	case s.Seen() < enough:
		return "quiet"
	}
	return "good"
}

type accuracyData struct {
	Days  int
	All   score
	Rules []score
	Words []score
	More  int // words that are not shown
}

func (f *feature) loadAccuracy(ctx context.Context, tx *store.Tx, v console.Visit) (any, error) {
	data := accuracyData{Days: shortView}
	if v.Query.Get("days") == fmt.Sprint(longView) {
		data.Days = longView
	}
	since := v.Now.AddDate(0, 0, -data.Days)
	counts, err := tx.HitCounts(ctx, since)
	if err != nil {
		return nil, err
	}
	names, err := ruleNames(ctx, tx)
	if err != nil {
		return nil, err
	}
	for _, c := range counts { // those of a rule stand together
		if !c.Dry {
			data.All.add(c.Review, c.N)
		}
		i := slices.IndexFunc(data.Rules, func(s score) bool { return s.Name == ruleName(names, c.RuleID) && s.Dry == c.Dry })
		if i < 0 {
			i = len(data.Rules)
			data.Rules = append(data.Rules, score{Name: ruleName(names, c.RuleID), Dry: c.Dry})
		}
		data.Rules[i].add(c.Review, c.N)
	}
	data.Words, err = f.wordScores(ctx, tx, since)
	data.More = max(0, len(data.Words)-maxWords)
	data.Words = data.Words[:min(len(data.Words), maxWords)]
	return data, err
}

// wordScores returns the scores of the words that were hit since a time, those
// that were wrong most often first.
func (f *feature) wordScores(ctx context.Context, tx *store.Tx, since time.Time) ([]score, error) {
	counts, err := tx.WordHits(ctx, since)
	var words []score
	for _, c := range counts { // they are sorted by word
		if n := len(words); n == 0 || words[n-1].Name != c.Word {
			words = append(words, score{Name: c.Word, Link: wordLink(c.Word)})
		}
		words[len(words)-1].add(c.Review, c.N)
	}
	slices.SortStableFunc(words, func(a, b score) int { return cmp.Or(cmp.Compare(b.Wrong, a.Wrong), cmp.Compare(b.Hits, a.Hits)) })
	return words, err
}
