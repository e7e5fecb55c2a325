package main

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"strconv"
	"time"

	"qunbot/bot"
	"qunbot/bot/wecom"
	"qunbot/handlers"
	"qunbot/store"
)

// announce posts text into a group, in parts if it is long. A group without a
// webhook gets nothing: nobody could post there.
func announce(ctx context.Context, tx *store.Tx, group int64, key, text string) error {
	g, err := tx.Group(ctx, group)
	if err != nil || g.Lane() == "" {
		return err
	}
	return pushParts(ctx, tx, bot.Post{Key: key, Lane: g.Lane(), Delivery: bot.AtLeastOnce, Item: key}, text)
}

// nameRoom is how many bytes of a post are kept free for names, which are
// filled in when it is sent and may be longer than their marks.
const nameRoom = 256

// pushParts pushes text as one post, or as several, each within the limit of a
// group's message.
func pushParts(ctx context.Context, tx *store.Tx, p bot.Post, text string) error {
	parts := []string{text}
	if len(text) > wecom.MaxPostBytes-nameRoom {
		parts = wecom.NumberedParts(text, wecom.MaxPostBytes-nameRoom)
	}
	key := p.Key
	for i, part := range parts {
		if i > 0 {
			p.Key = store.Key(key, "part", strconv.Itoa(i+1))
		}
		p.Reply = bot.Reply{Text: part}
		if err := bot.Push(ctx, tx, p); err != nil {
			return err
		}
	}
	return nil
}

// A staffRoom tells the operators what they should look at, by app message.
type staffRoom struct {
	reachable bool // there is an app to send from
	deps      handlers.Deps
}

// tell is notify for what needs saying once a day.
func (s staffRoom) tell(ctx context.Context, tx *store.Tx, text string) error {
	sum := sha256.Sum256([]byte(text))
	key := store.Key("notice", store.DayOf(s.deps.Now(), s.deps.Zone), hex.EncodeToString(sum[:8]))
	return s.notify(ctx, tx, key, text)
}

// notify tells every operator who works with members.
func (s staffRoom) notify(ctx context.Context, tx *store.Tx, key, text string) error {
	if !s.reachable {
		s.deps.Log.Warn("staff not told: there is no app", "key", key)
		return nil
	}
	operators, err := tx.Operators(ctx)
	if err != nil {
		return err
	}
	for _, o := range operators {
		if !o.Role.Covers(store.Staff) {
			continue
		}
		p := bot.Post{Key: store.Key(key, "to", o.ID), Lane: "app/" + o.UserID, Delivery: bot.AtLeastOnce, Item: key}
		if err := pushParts(ctx, tx, p, text); err != nil {
			return err
		}
	}
	return nil
}

// tellMember tells a member where they can be reached: colleagues by app
// message, customers where they talked to 客服 within the last 48 h. It reports
// false if they are neither.
func (s staffRoom) tellMember(ctx context.Context, tx *store.Tx, member int64, key, text string) (bool, error) {
	ids, err := tx.MemberIdentities(ctx, member)
	if err != nil {
		return false, err
	}
	p := bot.Post{Key: key, Delivery: bot.AtLeastOnce, Item: key}
	for _, id := range ids {
		switch id.Kind {
		case store.UserID:
			if s.reachable {
				p.Lane = "app/" + id.Value
				return true, pushParts(ctx, tx, p, text)
			}
		case store.ExternalUserID:
			talk, err := tx.NewestKFSession(ctx, id.Value)
			if errors.Is(err, store.ErrNotFound) {
				continue
			}
			if err != nil {
				return false, err
			}
			if p.Expires = talk.HeardAt.Add(wecom.KFWindow); s.deps.Now().Before(p.Expires) {
				p.Lane, p.Reply = "kf/"+talk.Account+"/"+talk.Customer, bot.Reply{Text: text}
				return true, bot.Push(ctx, tx, p)
			}
			p.Expires = time.Time{}
		}
	}
	return false, nil
}
