package frame

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"

	"qunbot/store"
)

// ErrOtherRequest is returned by [Once] when a key comes again with another
// request.
var ErrOtherRequest = errors.New("the key was used for another request")

// Fingerprint returns the hash that tells requests apart. Parts cannot run
// into each other.
func Fingerprint(parts ...[]byte) string {
	h := sha256.New()
	for _, p := range parts {
		sum := sha256.Sum256(p)
		h.Write(sum[:])
	}
	return hex.EncodeToString(h.Sum(nil))
}

// Once runs do and stores what it answers under r.Key, in the same
// transaction; if the key was used before, it returns that answer and runs
// nothing. The key is claimed before do runs, so that of two at the same time
// the second waits for the first.
func Once(ctx context.Context, tx *store.Tx, r store.Request, do func() (store.Request, error)) (answer store.Request, replayed bool, err error) {
	err = tx.AddRequest(ctx, r)
	if errors.Is(err, store.ErrExists) {
		stored, err := tx.Request(ctx, r.Key)
		if err != nil {
			return store.Request{}, false, err
		}
		if stored.Fingerprint != r.Fingerprint {
			return store.Request{}, false, ErrOtherRequest
		}
		return stored, true, nil
	}
	if err != nil {
		return store.Request{}, false, err
	}
	if answer, err = do(); err != nil {
		return store.Request{}, false, err
	}
	answer.Key, answer.Fingerprint, answer.CreatedAt = r.Key, r.Fingerprint, r.CreatedAt
	return answer, false, tx.AnswerRequest(ctx, answer)
}
