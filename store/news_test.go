package store_test

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"qunbot/store"
	"qunbot/store/storetest"
)

func newsItem(mall int64, day store.Day, text string) store.NewsItem {
	return store.NewsItem{MallID: mall, Day: day, Text: text, TextKey: "t " + text, LinkKey: "l " + text, SeenAt: noon, CreatedAt: noon}
}

func texts(items []store.NewsItem) string {
	var list []string
	for _, n := range items {
		list = append(list, n.Text)
	}
	return strings.Join(list, " ")
}

func TestNewsItems(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.Store) {
		key := "key"
		fed := newsItem(0, "2026-11-22", "来源 🎁")
		fed.FeedKey, fed.Source = &key, "公众号"
		written := newsItem(1, "2026-11-21", "运营")
		written.OperatorID = 7
		update(t, db, func(tx *store.Tx) error {
			for i, n := range []store.NewsItem{fed, written, newsItem(1, "2026-11-23", "明天"), newsItem(2, "2026-11-22", "别家"), newsItem(0, "2026-11-19", "旧的"), fed} {
				id, err := tx.AddNewsItem(tx.Context(), n)
				if err != nil || (id != 0) != (i < 5) {
					t.Errorf("AddNewsItem %d = %d, %v", i, id, err)
				}
			}
			return nil
		})
		update(t, db, func(tx *store.Tx) error {
			ctx := tx.Context()
			open := func(mall int64, want string) {
				t.Helper()
				list, err := tx.OpenNewsItems(ctx, mall, "2026-11-20", "2026-11-22", 10)
				if err != nil || texts(list) != want {
					t.Errorf("OpenNewsItems(%d) = %s, %v, want %s", mall, texts(list), err, want)
				}
			}
			open(1, "运营 来源 🎁")
			open(2, "别家 来源 🎁")
			open(0, "来源 🎁")
			if err := tx.HideNewsItem(ctx, 1, true); err != nil {
				return err
			}
			open(1, "运营")
			if err := tx.HideNewsItem(ctx, 1, false); err != nil {
				return err
			}
			if err := tx.HideNewsItem(ctx, 99, true); !errors.Is(err, store.ErrNotFound) {
				t.Errorf("HideNewsItem of none = %v, want %v", err, store.ErrNotFound)
			}
			changed := newsItem(0, "2026-11-22", "改过")
			changed.ID, changed.OperatorID = 2, 8
			if err := tx.SetNewsItem(ctx, changed); err != nil {
				return err
			}
			open(2, "改过 别家 来源 🎁")
			for _, tt := range []struct {
				links, texts []string
				since        time.Time
				want         string
			}{
				{[]string{"", "l 改过"}, []string{""}, noon, "改过"},
				{[]string{"x"}, []string{"t 别家", "t 来源 🎁"}, noon, "别家 来源 🎁"},
				{[]string{"l 改过"}, []string{"t 来源 🎉"}, noon.Add(time.Second), ""},
				{[]string{"L 改过"}, []string{"T 别家"}, noon, ""},
			} {
				list, err := tx.SimilarNewsItems(ctx, tt.links, tt.texts, tt.since)
				if err != nil || texts(list) != tt.want {
					t.Errorf("SimilarNewsItems(%q, %q) = %s, %v, want %s", tt.links, tt.texts, texts(list), err, tt.want)
				}
			}
			return nil
		})
	})
}

func TestNewsDigests(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.Store) {
		update(t, db, func(tx *store.Tx) error {
			for i := range 3 {
				if _, err := tx.AddNewsItem(tx.Context(), newsItem(0, "2026-11-22", fmt.Sprint(i+1))); err != nil {
					return err
				}
			}
			return nil
		})
		for i, tt := range []struct {
			items []int64
			want  []int64
			fresh bool
		}{
			{nil, nil, true},
			{nil, nil, false},
			{[]int64{2, 1}, []int64{2, 1}, false}, // an empty one is filled
			{[]int64{3}, []int64{2, 1}, false},    // a full one stays
			{nil, []int64{2, 1}, false},
		} {
			update(t, db, func(tx *store.Tx) error {
				d, fresh, err := tx.PutNewsDigest(tx.Context(), store.NewsDigest{MallID: 1, Day: "2026-11-22", Items: tt.items, More: i, CreatedAt: noon})
				if err != nil || !slices.Equal(d.Items, tt.want) || d.Count != len(tt.want) || fresh != tt.fresh {
					t.Errorf("PutNewsDigest %d = %+v, %t, %v, want items %v", i, d, fresh, err, tt.want)
				}
				return err
			})
		}
		update(t, db, func(tx *store.Tx) error {
			ctx := tx.Context()
			sent, err := tx.NewsSentOn(ctx, []int64{1, 2, 3})
			if err != nil || len(sent) != 2 || sent[1] != "2026-11-22" || sent[2] != "2026-11-22" {
				t.Errorf("NewsSentOn = %v, %v, want 1 and 2", sent, err)
			}
			for mall, want := range map[int64]string{1: "3", 2: "3 2 1"} {
				list, err := tx.OpenNewsItems(ctx, mall, "2026-11-22", "2026-11-22", 10)
				if err != nil || texts(list) != want {
					t.Errorf("OpenNewsItems(%d) = %s, %v, want %s", mall, texts(list), err, want)
				}
			}
			for _, tt := range []struct {
				mall  int64
				since store.Day
				want  string
			}{{1, "2026-11-22", "1"}, {1, "2026-11-23", ""}, {2, "2026-11-22", ""}} {
				told, err := tx.NewsTold(ctx, tt.mall, []string{"", "l 1", "l 3"}, []string{""}, tt.since)
				if err != nil || texts(told) != tt.want {
					t.Errorf("NewsTold(%d, %s) = %s, %v, want %s", tt.mall, tt.since, texts(told), err, tt.want)
				}
			}
			if err := tx.SeeNewsItems(ctx, []string{"nothing"}, noon); err != nil {
				return err
			}
			for _, want := range []int64{2, 1, 0} {
				if n, err := tx.PruneNews(ctx, noon.Add(time.Second), 2); n != want || err != nil {
					t.Errorf("PruneNews = %d, %v, want %d", n, err, want)
				}
			}
			return nil
		})
	})
}

func TestNewsFeeds(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.Store) {
		for _, failures := range []int{0, 3} {
			update(t, db, func(tx *store.Tx) error {
				f := store.NewsFeed{Hash: "h", ETag: `"v"`, TriedAt: noon, OKAt: &noon, Error: "对方回答 500", Failures: failures}
				if err := tx.SetNewsFeed(tx.Context(), f); err != nil {
					return err
				}
				known, err := tx.NewsFeeds(tx.Context())
				if got := known["h"]; len(known) != 1 || got.Failures != failures || !got.OKAt.Equal(noon) || got.Error != f.Error {
					t.Errorf("NewsFeeds = %+v, want %+v", known, f)
				}
				return err
			})
		}
	})
}
