package main

import (
	"testing"
	"time"

	"qunbot/bot/wecom"
	"qunbot/handlers"
	"qunbot/store"
	"qunbot/store/storetest"
)

// Colleagues are told by app message, customers in the talk in which they wrote
// last, as long as the platform allows it.
func TestTellMember(t *testing.T) {
	db := storetest.Open(t)
	now := time.Date(2026, 11, 22, 4, 0, 0, 0, time.UTC)
	s := staffRoom{reachable: true, deps: handlers.Deps{Store: db, Now: func() time.Time { return now }, Zone: db.Zone()}}
	tell := func(s staffRoom, id store.Identity) (told bool, p store.Post) {
		t.Helper()
		err := db.Update(t.Context(), func(tx *store.Tx) error {
			ctx := tx.Context()
			members, err := tx.MembersOf(ctx, []store.Identity{id}, now)
			if err != nil {
				return err
			}
			key := store.Key("told", id.Value, now.Unix())
			if told, err = s.tellMember(ctx, tx, members[0].ID, key, "好消息"); err != nil || !told {
				return err
			}
			p, err = tx.PostByKey(ctx, key)
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
		return told, p
	}
	colleague := store.Identity{Kind: store.UserID, Value: "zhangsan"}
	if told, p := tell(s, colleague); !told || p.Lane != "app/zhangsan" || p.Text != "好消息" {
		t.Errorf("a colleague: %t, %+v", told, p)
	}
	if told, _ := tell(staffRoom{deps: s.deps}, colleague); told {
		t.Error("a colleague was told without an app")
	}
	customer := store.Identity{Kind: store.ExternalUserID, Value: "wm1"}
	if told, _ := tell(s, customer); told {
		t.Error("a customer who never wrote was told")
	}
	err := db.Update(t.Context(), func(tx *store.Tx) error {
		talk, err := tx.LockKFSession(tx.Context(), "wk1", "wm1")
		if err != nil {
			return err
		}
		talk.HeardAt = now
		return tx.SetKFSession(tx.Context(), talk)
	})
	if err != nil {
		t.Fatal(err)
	}
	end := now.Add(wecom.KFWindow)
	now = now.Add(time.Hour)
	if told, p := tell(s, customer); !told || p.Lane != "kf/wk1/wm1" || p.ExpiresAt == nil || !p.ExpiresAt.Equal(end) {
		t.Errorf("a customer: %t, %+v, want it in the talk until %v", told, p, end)
	}
	now = end
	if told, _ := tell(s, customer); told {
		t.Error("a customer was told after 48 h")
	}
}
