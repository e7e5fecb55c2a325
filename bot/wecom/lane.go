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
func (s LaneSender) Send(ctx context.Context, lane string, r bot.Reply, key string) (receipt string, err error) {
	kind, id, _ := strings.Cut(lane, "/")
	if kind == "kf" && s.KF != nil {
		return s.KF.Send(ctx, lane, r.Text, key)
	}
	destination := Destination{Kind: DestinationKind(kind), ID: id}
	switch destination.Kind {
	case ToApp, ToAppChat, ToResponse:
	case ToWebhook:
		if destination.ID, err = s.webhookKey(ctx, id); err != nil {
			return "", err
		}
	default:
		return "", badData("send", "nothing can be sent to a lane of kind %s", kind)
	}
	return s.API.Send(ctx, destination, outgoing(destination.Kind, r))
}

// outgoing returns r as a destination of kind k shows it: rich if it can.
func outgoing(k DestinationKind, r bot.Reply) Outgoing {
	plain := Outgoing{Text: r.Text}
	if k == ToResponse {
		plain.Text = fit(r.Text, MaxResponseBytes) // there is only one
	}
	if r.Rich == nil {
		return plain
	}
	rich := Outgoing{Markdown: r.Rich.Markdown, News: r.Rich.Articles, Image: r.Rich.Picture, Card: cardOf(r.Rich.Card)}
	if _, err := rich.kind("send", k); err != nil {
		return plain
	}
	return rich
}

// cardOf returns a card as a notice.
func cardOf(c *bot.Card) *TemplateCard {
	if c == nil {
		return nil
	}
	notice := &TemplateCard{
		CardType: CardTextNotice, MainTitle: &CardTitle{Title: c.Title}, SubTitleText: c.Text,
		CardAction: &CardAction{Type: 1, URL: c.URL},
	}
	for _, f := range c.Facts {
		notice.HorizontalContentList = append(notice.HorizontalContentList, CardHorizontalItem{KeyName: f.Name, Value: f.Value})
	}
	return notice
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
