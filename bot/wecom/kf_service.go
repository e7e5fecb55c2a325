package wecom

import (
	"context"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"

	"qunbot/bot"
	"qunbot/store"
)

// KFConfig is what the service accounts work with.
type KFConfig struct {
	Accounts []string // open_kfid of each account that the app manages, at most 64 bytes
	Store    *store.Store
	API      *API // with the secret of the app that manages the accounts

	// Engine answers what customers say. It may be set after NewKF and before
	// Run, because its screens include the KF's.
	Engine Engine

	Secret []byte // signs links; a change makes the old ones nobody's
	Page   string // address of the member page, for what is too long for a chat; may be empty

	Now func() time.Time
	Log *slog.Logger
}

// A KF runs the service accounts (客服账号) of 微信客服: it reads what customers
// say, hands it to the engine, sends the engine's replies, and steps aside
// while staff serve.
//
//	/wecom/app ──Notify──▶ Run: sync_msg ──▶ Engine ──Screen, commands──▶ reply in the outbox ──Send──▶ send_msg
//	                            └─ after the page's commits ──▶ cursor
//
// Its Screen has to be the engine's first, and its Send has to be what the
// outbox sends lanes of the kind "kf" with.
//
// Source: https://developer.work.weixin.qq.com/document/path/94670
type KF struct {
	KFConfig
	readers  []*kfReader
	owner    string
	sceneKey []byte
	probe    func(point string) error // for crash tests; an error stops the work at that point
}

// kfHuman is what customers say to be served by staff.
const kfHuman = "转人工"

// kfHumanID is the id of the menu item that says it.
const kfHumanID = "human"

// NewKF returns the service accounts.
func NewKF(c KFConfig) (*KF, error) {
	k := &KF{KFConfig: c, probe: func(string) error { return nil }}
	var errs []error
	if len(c.Secret) == 0 {
		errs = append(errs, errors.New("wecom: 微信客服 needs a secret that signs links"))
	}
	for _, account := range c.Accounts {
		if account == "" || len(account) > 64 || strings.ContainsFunc(account, notSceneRune) {
			errs = append(errs, fmt.Errorf("wecom: %q is no open_kfid", account))
		}
		k.readers = append(k.readers, newKFReader(account))
	}
	// One secret serves several purposes: each gets a key of its own.
	mac := hmac.New(sha256.New, c.Secret)
	mac.Write([]byte("qunbot kf scene"))
	k.sceneKey = mac.Sum(nil)
	// A process that has the database to itself takes its lease up again after
	// a crash; replicas must not share one.
	k.owner = "the only one"
	if c.Store.Shared() {
		k.owner = rand.Text()
	}
	return k, errors.Join(errs...)
}

// Run reads the accounts, one at a time each, until ctx is done.
func (k *KF) Run(ctx context.Context) error {
	if k.Engine == nil {
		return errors.New("wecom: 微信客服 without an engine")
	}
	g, ctx := errgroup.WithContext(ctx)
	for _, r := range k.readers {
		g.Go(func() error { return k.read(ctx, r) })
	}
	return g.Wait()
}

// kfLane returns the outbox lane of a customer.
func kfLane(account, customer string) string { return "kf/" + account + "/" + customer }

// kfLaneParts returns whose lane it is.
func kfLaneParts(lane string) (account, customer string, ok bool) {
	rest, ok := strings.CutPrefix(lane, "kf/")
	if !ok {
		return "", "", false
	}
	account, customer, ok = strings.Cut(rest, "/")
	return account, customer, ok && account != "" && customer != ""
}

// kfMsgID returns the msgid of the message with this key: 32 characters of
// 0-9a-zA-Z_-. The platform refuses a second message of that id, so that a
// retry cannot arrive twice.
func kfMsgID(parts ...any) string {
	sum := sha256.Sum256([]byte(store.Key(parts...)))
	return base64.RawURLEncoding.EncodeToString(sum[:24])
}

// settings returns what operators have decided.
func (k *KF) settings(ctx context.Context) (settings store.KFSettings, err error) {
	err = k.Store.View(ctx, func(tx *store.Tx) (err error) {
		settings, err = tx.KFSettings(tx.Context())
		return err
	})
	return settings, err
}

// menuMessage returns a message that offers to say the words, and 转人工, below
// text, of which as much is shown as fits.
func menuMessage(text string, words []string) kfMessage {
	var list []kfMenuItem
	for i, word := range words {
		list = append(list, kfMenuItem{Type: "click", Click: kfClick{ID: fmt.Sprint("say-", i+1), Content: word}})
	}
	list = append(list, kfMenuItem{Type: "click", Click: kfClick{ID: kfHumanID, Content: kfHuman}})
	return kfMessage{MsgType: typeKFMenu, Menu: &kfMenu{Head: fit(text, maxKFMenuHead), List: list}}
}

func kfText(text string) kfMessage {
	return kfMessage{MsgType: TypeText, Text: &textBody{Content: fit(text, MaxKfTextBytes)}}
}

// push posts text to a customer in tx.
func kfPush(ctx context.Context, tx *store.Tx, s store.KFSession, key, text string, since time.Time) error {
	return bot.Push(ctx, tx, bot.Post{
		Key: key, Lane: kfLane(s.Account, s.Customer), Reply: bot.Reply{Text: text},
		Delivery: bot.AtLeastOnce, Expires: since.Add(KFWindow),
	})
}
