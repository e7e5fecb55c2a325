package bot_test

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"
	"time"

	"qunbot/bot"
	"qunbot/bot/bottest"
	"qunbot/store"
	"qunbot/store/storetest"
)

// A message with a lane has its reply posted, in its own transaction and once.
func TestReplyIsPosted(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.Store) {
		var runs atomic.Int64
		e := newEngine(t, db, count(t, &runs),
			command("沉默", func(context.Context, *store.Tx, bot.Message) (bot.Reply, error) { return bot.Reply{}, nil }),
			command("出错", func(context.Context, *store.Tx, bot.Message) (bot.Reply, error) {
				return bot.Reply{}, errors.New("boom")
			}))
		bottest.Run(t, e)
		for _, said := range [][2]string{{"1", "数数"}, {"1", "数数"}, {"2", "沉默"}, {"3", "出错"}} {
			m := message(said[0], said[1])
			m.ReplyLane = "kf/wk1/wmA"
			handle(t, e, m)
		}
		handle(t, e, message("4", "数数")) // has no lane
		var posts []store.Post
		err := db.View(t.Context(), func(tx *store.Tx) (err error) {
			posts, err = tx.NextPosts(tx.Context(), []string{"kf/wk1/wmA"}, noon)
			return err
		})
		if err != nil || len(posts) != 1 || posts[0].Text != "第 1 次" || posts[0].Key != store.Key("reply", store.Key("test", "1")) ||
			posts[0].ExpiresAt == nil || !posts[0].ExpiresAt.Equal(noon.Add(48*time.Hour)) || posts[0].Delivery != store.AtLeastOnce {
			t.Errorf("first post = %+v, %v; want the first answer, for 48 h", posts, err)
		}
		if n := countPosts(t, db); n != 2 {
			t.Errorf("%d posts, want 2: the answer and the apology", n)
		}
	})
}

func countPosts(t *testing.T, db *store.Store) (n int) {
	t.Helper()
	err := db.View(t.Context(), func(tx *store.Tx) error {
		ids, err := tx.UnseenPosts(tx.Context(), 100)
		n = len(ids)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return n
}
