package wecom

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"qunbot/bot"
	"qunbot/store"
)

// MaxPostBytes is the longest text of one post to a group's webhook, in bytes
// of UTF-8; longer texts are pushed in parts.
const MaxPostBytes = MaxWebhookTextBytes

// A LaneSender brings the outbox's posts to WeCom.
type LaneSender struct {
	API   *API
	Store *store.Store
	KF    *KF // nil: no 微信客服
}

// Send implements bot.Sender.
func (s LaneSender) Send(ctx context.Context, lane, text, key string) (receipt string, err error) {
	kind, id, _ := strings.Cut(lane, "/")
	if kind == "kf" && s.KF != nil {
		return s.KF.Send(ctx, lane, text, key)
	}
	destination := Destination{Kind: DestinationKind(kind), ID: id}
	switch destination.Kind {
	case ToApp, ToAppChat:
	case ToWebhook:
		if destination.ID, err = s.webhookKey(ctx, id); err != nil {
			return "", err
		}
	default:
		return "", badData("send", "nothing can be sent to the lane %s", lane)
	}
	return s.API.Send(ctx, destination, Outgoing{Text: text})
}

// webhookKey returns the key of one of the store's webhooks.
func (s LaneSender) webhookKey(ctx context.Context, id string) (key string, err error) {
	number, err := strconv.ParseInt(id, 10, 64)
	if err != nil {
		return "", badData("webhook/send", "webhook %q is no number", id)
	}
	err = s.Store.View(ctx, func(tx *store.Tx) error {
		key, err = tx.WebhookKey(tx.Context(), number)
		return err
	})
	switch {
	case errors.Is(err, store.ErrNotFound):
		return "", badData("webhook/send", "webhook %d is not there any more", number)
	case errors.Is(err, store.ErrSealed), errors.Is(err, store.ErrNoSecret):
		return "", unsent{fmt.Errorf("webhook %d: %w", number, err), bot.Misconfigured}
	case err != nil:
		return "", unsent{err, bot.Passing}
	}
	return key, nil
}

// unsent is an error from before anything was sent.
type unsent struct {
	error
	outcome bot.Outcome
}

// Outcome implements bot.SendError.
func (u unsent) Outcome() (bot.Outcome, time.Time) { return u.outcome, time.Time{} }

// Outcome implements bot.SendError.
func (e *APIError) Outcome() (o bot.Outcome, notBefore time.Time) {
	switch e.Class() {
	case ClassRetry, ClassToken:
		return bot.Passing, time.Time{}
	case ClassWait:
		return bot.Limited, e.RetryAt
	case ClassConfig:
		return bot.Misconfigured, time.Time{}
	case ClassDead:
		return bot.Gone, time.Time{}
	case ClassData:
		return bot.Refused, time.Time{}
	}
	return bot.Doubtful, time.Time{}
}
