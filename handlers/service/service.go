// Package service shows operators the ways into 微信客服: a link and a QR code
// for each group and each poster, how many members came through them, and what
// the service offers.
//
// Customers cannot meet a bot in their group; through these links they reach it
// in a chat of their own. Links are signed, so that it is known from which group
// or poster somebody came: that they had its link, and no more.
package service

import (
	"context"
	"embed"
	"time"

	"qunbot/handlers"
	"qunbot/store"
)

//go:embed *.html *.css *.js
var files embed.FS

// Config is what the feature needs of the service accounts.
type Config struct {
	Accounts []string // open_kfid of each account of the settings; empty: there is no 微信客服

	// Link returns an account's address as a link that carries a source.
	Link func(address, source string) (string, error)
	// Command reports whether a command of the bot answers text.
	Command func(text string) bool
}

type feature struct {
	handlers.Deps
	Config
}

// New returns the pages of the ways into 微信客服.
func New(d handlers.Deps, c Config) handlers.Feature {
	f := &feature{d, c}
	return handlers.Feature{
		Name:     "service",
		Console:  f.pages(),
		Personal: handlers.Personal{Export: f.export, Erase: erase},
	}
}

// exported is what is kept of a member.
type exported struct {
	First    *exportedTouch    `json:"first_came_from,omitempty"`
	Last     *exportedTouch    `json:"last_came_from,omitempty"`
	Talks    []exportedTalk    `json:"talks"`
	Messages []exportedMessage `json:"messages"` // to the member, of the latest days
}

type exportedTouch struct {
	Group  int64     `json:"group,omitempty"`
	Poster string    `json:"poster,omitempty"`
	At     time.Time `json:"at"`
}

type exportedTalk struct {
	Account string     `json:"account"`
	HeardAt *time.Time `json:"wrote_at"` // last; null: never
}

type exportedMessage struct {
	Account string            `json:"account"`
	At      time.Time         `json:"at"`
	State   store.KFSendState `json:"state"`
}

func (f *feature) export(ctx context.Context, tx *store.Tx, member int64) (any, error) {
	data := exported{Talks: []exportedTalk{}, Messages: []exportedMessage{}}
	touch, came, err := touchOf(ctx, tx, member)
	if err != nil {
		return nil, err
	}
	if came {
		at := func(source string, at time.Time) *exportedTouch {
			group, poster := store.KFSourceOf(source)
			return &exportedTouch{group, poster, at.UTC()}
		}
		data.First, data.Last = at(touch.FirstSource, touch.FirstAt), at(touch.LastSource, touch.LastAt)
	}
	talks, err := tx.KFSessionsOf(ctx, member)
	if err != nil {
		return nil, err
	}
	for _, t := range talks {
		talk := exportedTalk{Account: t.Account}
		if !t.HeardAt.Equal(store.AtOnce) {
			heard := t.HeardAt.UTC()
			talk.HeardAt = &heard
		}
		data.Talks = append(data.Talks, talk)
	}
	sends, err := tx.KFSendsTo(ctx, member)
	for _, s := range sends {
		data.Messages = append(data.Messages, exportedMessage{s.Account, s.BookedAt.UTC(), s.State})
	}
	return data, err
}

// erase forgets a member: their talks and the messages to them. Where they came
// from still counts, as nobody's.
func erase(ctx context.Context, tx *store.Tx, member int64) error { return tx.EraseKF(ctx, member) }
