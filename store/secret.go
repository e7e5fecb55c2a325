package store

import (
	"context"
	"crypto/aes"
	"crypto/cipher"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"strconv"
	"time"
)

// ErrNoSecret is returned where something is to be sealed and the store was
// opened without a secret key.
var ErrNoSecret = errors.New("no secret key")

// ErrSealed is returned for what cannot be opened: it was sealed under
// another secret key, or changed.
var ErrSealed = errors.New("sealed under another secret key")

// A box seals secrets that the database keeps, with AES-256-GCM.
type box struct {
	aead cipher.AEAD
	key  []byte
}

func newBox(secret []byte) (*box, error) {
	if len(secret) == 0 {
		return nil, nil
	}
	// One secret serves several purposes: each gets a key of its own.
	derived := hmac.New(sha256.New, secret)
	derived.Write([]byte("qunbot store seal"))
	key := derived.Sum(nil)
	block, err := aes.NewCipher(key)
	if err != nil {
		return nil, err
	}
	aead, err := cipher.NewGCM(block)
	return &box{aead, key}, err
}

// seal encrypts text; what says what it is, so that it opens as nothing else.
func (b *box) seal(what, text string) (string, error) {
	if b == nil {
		return "", ErrNoSecret
	}
	nonce := make([]byte, b.aead.NonceSize())
	rand.Read(nonce)
	return base64.StdEncoding.EncodeToString(b.aead.Seal(nonce, nonce, []byte(text), []byte(what))), nil
}

func (b *box) open(what, sealed string) (string, error) {
	if b == nil {
		return "", ErrNoSecret
	}
	raw, err := base64.StdEncoding.DecodeString(sealed)
	if err != nil || len(raw) < b.aead.NonceSize() {
		return "", ErrSealed
	}
	text, err := b.aead.Open(nil, raw[:b.aead.NonceSize()], raw[b.aead.NonceSize():], []byte(what))
	if err != nil {
		return "", ErrSealed
	}
	return string(text), nil
}

// fingerprint tells whether two secrets are the same without keeping either.
func (b *box) fingerprint(text string) string {
	mac := hmac.New(sha256.New, b.key)
	mac.Write([]byte(text))
	return hex.EncodeToString(mac.Sum(nil))
}

// A Webhook is a group robot's address. Its key is a secret: whoever has it
// can post.
type Webhook struct {
	ID        int64
	KeyHash   string `gorm:"size:64;uniqueIndex"` // the same key is the same webhook, and so the same lane
	Sealed    string
	CreatedAt time.Time
}

// SetWebhook makes posts to a group go through the webhook with this key; an
// empty key takes the webhook away. It returns ErrNoSecret without a secret key.
func (tx *Tx) SetWebhook(ctx context.Context, group int64, key string, now time.Time) error {
	var w Webhook
	if key != "" {
		var err error
		if w, err = tx.WebhookOf(ctx, key, now); err != nil {
			return err
		}
	}
	err := tx.db.WithContext(ctx).Model(&Group{}).Where("id = ?", group).UpdateColumn("webhook_id", w.ID).Error
	if err != nil {
		return fmt.Errorf("set webhook: %w", err)
	}
	return nil
}

// WebhookOf returns the webhook with this key, and makes it if there is none.
// It returns ErrNoSecret without a secret key.
func (tx *Tx) WebhookOf(ctx context.Context, key string, now time.Time) (Webhook, error) {
	sealed, err := tx.box.seal("webhook", key)
	if err != nil {
		return Webhook{}, fmt.Errorf("set webhook: %w", err)
	}
	w := Webhook{KeyHash: tx.box.fingerprint(key), Sealed: sealed, CreatedAt: now}
	if _, err := tx.insert(ctx, &w); err != nil {
		return w, fmt.Errorf("set webhook: %w", err)
	}
	hash := w.KeyHash
	w = Webhook{}
	err = one(tx.db.WithContext(ctx).Where("key_hash = ?", hash).Take(&w), "set webhook")
	return w, err
}

// Lane is where posts to the webhook go, for the outbox.
func (w Webhook) Lane() string { return "webhook/" + strconv.FormatInt(w.ID, 10) }

// WebhookKey returns a webhook's key, or ErrNotFound, or ErrSealed.
func (tx *Tx) WebhookKey(ctx context.Context, id int64) (string, error) {
	var w Webhook
	if err := one(tx.db.WithContext(ctx).Take(&w, id), "look up webhook"); err != nil {
		return "", err
	}
	return tx.box.open("webhook", w.Sealed)
}

// Lane is where posts to the group go, for the outbox; empty if nothing can be
// posted there.
func (g Group) Lane() string {
	if g.WebhookID == 0 {
		return ""
	}
	return Webhook{ID: g.WebhookID}.Lane()
}

// Groups returns all groups in the order in which they were made.
func (tx *Tx) Groups(ctx context.Context) ([]Group, error) {
	var list []Group
	if err := tx.db.WithContext(ctx).Order("id").Find(&list).Error; err != nil {
		return nil, fmt.Errorf("list groups: %w", err)
	}
	return list, nil
}
