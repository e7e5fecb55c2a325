package review

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"time"
	"unicode/utf8"

	"qunbot/store"
	"qunbot/web/console"
)

const (
	daysToReview  = 6  // after the day on which a review begins
	historyMonths = 24 // reviews that the page shows
	unusedDays    = 90 // a word that was met less lately is unused
	listedWords   = 30 // words of a kind that the page shows
	maxNote       = 300
)

func (f *feature) wordsPage() console.Page {
	return console.Page{
		Path: "/review/words", Title: "词表审查", Purpose: "每月 1 日起看一遍敏感词：新加的、没用的、常错的、太宽的。",
		Group: console.Daily, Menu: menu, Icon: "check", Role: store.Analyst, Change: store.Staff,
		FS: files, Template: "words.html", Style: "review.css", Load: f.loadWords, Post: f.finish,
	}
}

// openReview begins the review of the month in which it was due, and tells
// staff. Repeating it changes nothing.
func (f *feature) openReview(ctx context.Context, due time.Time) error {
	day := store.DayOf(due, f.Zone)
	return f.Store.Update(ctx, func(tx *store.Tx) error {
		ctx := tx.Context()
		r := store.WordReview{Month: string(day[:7]), DueOn: day.Add(daysToReview), CreatedAt: f.Now()}
		added, err := tx.AddWordReview(ctx, r)
		if err != nil || !added {
			return err
		}
		return f.Notify(ctx, tx, store.Key("review.words", r.Month),
			fmt.Sprintf("【词表审查】%s 的敏感词该看一遍了，%s 前做完。\n%s", r.Month, r.DueOn, f.PublicURL+wordsPath))
	})
}

// A reviewRow is a month's review as the page shows it.
type reviewRow struct {
	store.WordReview
	By          string
	Kind, State string // for the function state
}

// A wordRow is a word to look at, and why.
type wordRow struct {
	Word, Why, Link string
}

// A wordGroup is words to look at for one reason; Words are the first of Count.
type wordGroup struct {
	Title, Help string
	Words       []wordRow
	Count       int64
}

// More is how many words are not shown.
func (g wordGroup) More() int64 { return g.Count - int64(len(g.Words)) }

func (g *wordGroup) add(word, why string) {
	if len(g.Words) < listedWords {
		g.Words = append(g.Words, wordRow{word, why, wordLink(word)})
	}
}

type wordsData struct {
	Open    *reviewRow // the oldest that is to be done; nil: none is
	Groups  []wordGroup
	History []reviewRow
	Fields  console.Fields
	Change  bool
}

func (f *feature) loadWords(ctx context.Context, tx *store.Tx, v console.Visit) (any, error) {
	data := wordsData{Change: v.Operator.Role.Covers(store.Staff), Fields: v.Fields("note", "")}
	reviews, err := tx.WordReviews(ctx, historyMonths)
	if err != nil {
		return nil, err
	}
	names, err := operatorNames(ctx, tx)
	if err != nil {
		return nil, err
	}
	today := store.DayOf(v.Now, f.Zone)
	for _, r := range reviews {
		row := reviewRow{WordReview: r, By: names[r.DoneBy]}
		row.Kind, row.State = f.stateOf(r, today)
		data.History = append(data.History, row)
		if r.DoneAt == nil {
			data.Open = &row
		}
	}
	data.Groups, _, err = f.lookThrough(ctx, tx, v.Now, reviews)
	return data, err
}

// stateOf says how a review stands.
func (f *feature) stateOf(r store.WordReview, today store.Day) (kind, state string) {
	switch {
	case r.DoneAt == nil && today > r.DueOn:
		return "bad", fmt.Sprintf("过期 %d 天", today.Since(r.DueOn))
	case r.DoneAt == nil:
		return "warn", "要做"
	case store.DayOf(*r.DoneAt, f.Zone) > r.DueOn:
		return "warn", fmt.Sprintf("做完了，晚了 %d 天", store.DayOf(*r.DoneAt, f.Zone).Since(r.DueOn))
	}
	return "good", "做完了"
}

// lookThrough finds the words to look at, and counts them. reviews are those
// that were.
func (f *feature) lookThrough(ctx context.Context, tx *store.Tx, now time.Time, reviews []store.WordReview) (groups []wordGroup, counts store.WordReview, err error) {
	var since time.Time
	for _, r := range reviews {
		if r.DoneAt != nil && r.DoneAt.After(since) {
			since = *r.DoneAt
		}
	}
	added := wordGroup{Title: "新加的", Help: "上次审查以后添加的。看看该不该有，级别对不对。"}
	unused := wordGroup{Title: "没用到的", Help: fmt.Sprintf("%d 天里没有命中过。过时的可以删掉。", unusedDays)}
	weak := wordGroup{Title: "常错的", Help: fmt.Sprintf("最近 %d 天看过的命中里，找得对的不到 %d%%。加放行词，或者换成更长的词。", longView, weakPct)}
	broad := wordGroup{Title: "太宽的", Help: "平常的话里也会有。换成更长的词，或者改成提醒。"}
	list, n, err := tx.WordsSince(ctx, since, listedWords)
	if err != nil {
		return nil, counts, err
	}
	added.Count = n
	for _, w := range list {
		added.add(w.Text, w.Category)
	}
	if list, unused.Count, err = tx.UnusedWords(ctx, now.AddDate(0, 0, -unusedDays), listedWords); err != nil {
		return nil, counts, err
	}
	for _, w := range list {
		unused.add(w.Text, w.Category)
	}
	scores, err := f.wordScores(ctx, tx, now.AddDate(0, 0, -longView))
	if err != nil {
		return nil, counts, err
	}
	for _, s := range scores {
		if s.Weak() {
			weak.Count++
			weak.add(s.Name, s.Says())
		}
	}
	all, err := tx.AllWords(ctx)
	for _, w := range all {
		if w.Allow {
			continue
		}
		counts.Words++
		if why := f.Broad(w.Text); why != "" {
			broad.Count++
			broad.add(w.Text, why)
		}
	}
	counts.Added, counts.Unused, counts.Weak, counts.Broad = added.Count, unused.Count, weak.Count, broad.Count
	return []wordGroup{added, unused, weak, broad}, counts, err
}

// wordLink is where the console shows a word.
func wordLink(word string) string { return console.Prefix + "/moderation?q=" + url.QueryEscape(word) }

// finish ticks a month's review off.
func (f *feature) finish(ctx context.Context, tx *store.Tx, v console.Visit) (console.Result, error) {
	note := v.Value("note")
	if n := utf8.RuneCountInString(note); n > maxNote {
		return console.Result{}, console.Invalid("note", fmt.Sprintf("最多 %d 个字，现在有 %d 个。", maxNote, n))
	}
	r, err := tx.WordReview(ctx, v.Value("month"))
	if errors.Is(err, store.ErrNotFound) {
		return console.Result{}, console.Invalid("", "没有这个月的审查，请刷新页面再试。")
	}
	if err != nil {
		return console.Result{}, err
	}
	reviews, err := tx.WordReviews(ctx, historyMonths)
	if err != nil {
		return console.Result{}, err
	}
	_, done, err := f.lookThrough(ctx, tx, v.Now, reviews)
	if err != nil {
		return console.Result{}, err
	}
	done.Month, done.DoneBy, done.DoneAt, done.Note = r.Month, v.Operator.ID, &v.Now, note
	finished, err := tx.FinishWordReview(ctx, done)
	if err == nil && !finished {
		err = console.Invalid("", "刚刚有人做完了这个月的审查。")
	}
	return console.Result{Object: "word review " + r.Month, Detail: "做完 " + r.Month + " " + note, Redirect: wordsPath,
		Message: r.Month + " 的审查做完了，已记下你的名字和时间。"}, err
}
