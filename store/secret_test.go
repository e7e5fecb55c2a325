package store_test

import (
	"errors"
	"testing"

	"qunbot/store"
	"qunbot/store/storetest"
)

func TestWebhooks(t *testing.T) {
	storetest.EachOptions(t, func(t *testing.T, o store.Options) {
		db, err := store.Open(t.Context(), o)
		if err != nil {
			t.Fatal(err)
		}
		var lanes []string
		update(t, db, func(tx *store.Tx) error {
			ctx := tx.Context()
			lanes = nil
			for _, chat := range []string{"wrk1", "wrk2", "wrk3"} {
				if _, err := tx.AddGroup(ctx, store.Group{ChatID: chat, Kind: store.InternalGroup, CreatedAt: noon}); err != nil {
					return err
				}
			}
			for id, key := range map[int64]string{1: "KEY-A", 2: "KEY-A", 3: "KEY-B"} {
				if err := tx.SetWebhook(ctx, id, key, noon); err != nil {
					return err
				}
			}
			groups, err := tx.Groups(ctx)
			for _, g := range groups {
				lanes = append(lanes, g.Lane())
			}
			return err
		})
		if lanes[0] == "" || lanes[0] != lanes[1] || lanes[0] == lanes[2] {
			t.Errorf("lanes = %q, want one for the key that two groups share, another for the third", lanes)
		}
		update(t, db, func(tx *store.Tx) error {
			g, err := tx.Group(tx.Context(), 3)
			if err != nil {
				return err
			}
			if key, err := tx.WebhookKey(tx.Context(), g.WebhookID); key != "KEY-B" || err != nil {
				t.Errorf("WebhookKey = %q, %v, want KEY-B", key, err)
			}
			if err := tx.SetWebhook(tx.Context(), 3, "", noon); err != nil {
				return err
			}
			g, err = tx.Group(tx.Context(), 3)
			if g.Lane() != "" {
				t.Errorf("lane without a webhook = %q, want none", g.Lane())
			}
			return err
		})
		if err := db.Close(); err != nil {
			t.Fatal(err)
		}

		o.Secret = []byte("another key")
		if db, err = store.Open(t.Context(), o); err != nil {
			t.Fatal(err)
		}
		defer db.Close()
		update(t, db, func(tx *store.Tx) error {
			g, err := tx.Group(tx.Context(), 1)
			if err != nil {
				return err
			}
			if key, err := tx.WebhookKey(tx.Context(), g.WebhookID); !errors.Is(err, store.ErrSealed) {
				t.Errorf("WebhookKey under another secret = %q, %v, want %v", key, err, store.ErrSealed)
			}
			return nil
		})
	})
}
