package news

import (
	"context"
	"fmt"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"qunbot/store"
)

const (
	fetchAtOnce  = 4                   // feeds read at a time
	similarDays  = 7                   // two items of one text are one within these days
	keepItems    = 90 * 24 * time.Hour // after a feed held them last
	pruneAtOnce  = 500                 // items a transaction
	noticeAfter  = 3                   // failures in a row, of which operators are told
	maxErrorText = 200                 // characters of an error that is kept
)

// fetch reads the feeds and stores what is new. A feed that fails does not keep
// the others from being read; what went wrong stands on the operators' page.
// Repeating it adds nothing: items have unique keys.
func (f *feature) fetch(ctx context.Context, _ time.Time) error {
	var known map[string]store.NewsFeed
	err := f.Store.View(ctx, func(tx *store.Tx) (err error) {
		known, err = tx.NewsFeeds(tx.Context())
		return err
	})
	if err != nil {
		return err
	}
	var g errgroup.Group
	g.SetLimit(fetchAtOnce)
	var storing sync.Mutex // one after the other, so that feeds see each other's items
	for _, feed := range f.Feeds {
		row := known[hash(feed.URL)]
		g.Go(func() error { return f.fetchOne(ctx, feed, row, &storing) })
	}
	if err := g.Wait(); err != nil {
		return err
	}
	if err := f.askAhead(ctx); err != nil {
		return err
	}
	for n := int64(pruneAtOnce); n == pruneAtOnce; {
		err := f.Store.Update(ctx, func(tx *store.Tx) (err error) {
			n, err = tx.PruneNews(tx.Context(), f.Now().Add(-keepItems), pruneAtOnce)
			return err
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// fetchOne reads one feed, and stores what it says and how it went.
func (f *feature) fetchOne(ctx context.Context, feed Feed, known store.NewsFeed, storing *sync.Mutex) error {
	now := f.Now()
	a, err := get(ctx, f.client, feed.URL, known.ETag, known.LastModified)
	var entries []entry
	if err == nil && !a.Unchanged {
		entries, err = parseFeed(a.Body, a.URL, now)
	}
	if ctx.Err() != nil {
		return ctx.Err() // the program stops; the feed is not to blame
	}
	storing.Lock()
	defer storing.Unlock()
	return f.Store.Update(ctx, func(tx *store.Tx) error {
		row := known // anew in each try
		row.Hash, row.TriedAt = hash(feed.URL), now
		if err != nil {
			row.Failures++
			row.Error = cleanText(err.Error(), maxErrorText)
			if err := tx.SetNewsFeed(tx.Context(), row); err != nil {
				return err
			}
			if row.Failures == noticeAfter {
				return f.Notify(tx.Context(), tx, fmt.Sprintf("资讯来源“%s”连续 %d 次读不到：%s", feed.Name, noticeAfter, row.Error))
			}
			return nil
		}
		row.OKAt, row.Error, row.Failures = &now, "", 0
		if !a.Unchanged {
			row.ETag, row.LastModified, row.Entries = a.ETag, a.LastModified, len(entries)
		}
		added, err := f.add(tx.Context(), tx, feed, entries, now)
		if err != nil {
			return err
		}
		row.Added += added
		return tx.SetNewsFeed(tx.Context(), row)
	})
}

// add stores the entries that are new and returns how many there were. An entry
// is not new if there is one of its id in the feed, of its link ever, or of its
// text in the last days.
func (f *feature) add(ctx context.Context, tx *store.Tx, feed Feed, entries []entry, now time.Time) (added int, err error) {
	if len(entries) == 0 {
		return 0, nil
	}
	var ids, links, texts []string
	for _, e := range entries {
		ids = append(ids, feedKey(feed, e))
		links = append(links, linkKey(e.Link))
		texts = append(texts, textKey(e.Title))
	}
	if err := tx.SeeNewsItems(ctx, ids, now); err != nil {
		return 0, err
	}
	similar, err := tx.SimilarNewsItems(ctx, links, texts, now.Add(-keepItems))
	if err != nil {
		return 0, err
	}
	seen := map[string]bool{}
	for _, n := range similar {
		if n.MallID != 0 {
			continue // one mall's own does not keep it from the others
		}
		if n.LinkKey != "" {
			seen["link "+n.LinkKey] = true
		}
		if now.Sub(n.CreatedAt) <= similarDays*24*time.Hour {
			seen["text "+n.TextKey] = true
		}
	}
	for i := len(entries) - 1; i >= 0; i-- { // the newest last, so that it has the highest number
		e := entries[i]
		if seen["text "+texts[i]] || links[i] != "" && seen["link "+links[i]] {
			continue
		}
		seen["text "+texts[i]] = true
		if links[i] != "" {
			seen["link "+links[i]] = true
		}
		id, err := tx.AddNewsItem(ctx, store.NewsItem{
			Day: store.DayOf(now, f.Zone), FeedKey: &ids[i], LinkKey: links[i], TextKey: texts[i],
			Source: cleanText(feed.Name, 100), Text: e.Title, Link: e.Link, SeenAt: now, CreatedAt: now,
		})
		if err != nil {
			return added, err
		}
		if id != 0 {
			added++
		}
	}
	return added, nil
}

// feedKey is equal for the same entry of the same feed.
func feedKey(feed Feed, e entry) string { return hash(feed.URL + "\n" + e.ID) }
