package keyword

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"time"

	"qunbot/handlers"
	"qunbot/store"
	"qunbot/web/console"
)

// kind is what rules are called where they wait for a second person.
const kind = "keyword"

// A change is a rule that is to be stored. It is kept while it waits.
type change struct {
	Old *store.KeywordRule // as it was; nil: it is new
	New store.KeywordRule
}

// asked says whether the replies of c may be said. If they hold a sensitive
// word, c waits for a second person from now on. key names this change.
func (f *feature) asked(ctx context.Context, tx *store.Tx, c change, key string, author int64, at time.Time) (handlers.Clearance, error) {
	if c.Old != nil && c.Old.GroupID == c.New.GroupID && reflect.DeepEqual(c.Old.Replies, c.New.Replies) {
		return handlers.Clearance{}, nil // nothing else will be said
	}
	data, err := json.Marshal(c)
	if err != nil {
		return handlers.Clearance{}, err
	}
	var groups []int64 // every one
	if c.New.GroupID != 0 {
		groups = []int64{c.New.GroupID}
	}
	return f.Clears(ctx, tx, handlers.Outgoing{
		Kind: kind, Object: key, Title: "关键词" + kindWord(c.New.Kind) + "“" + c.New.Pattern + "”的回复", Text: joinReplies(c.New.Replies),
		Groups: groups, Author: author, Data: string(data), Link: listPath, Ask: true,
	})
}

// approved stores a rule that waited, unless it was changed since.
func (f *feature) approved(ctx context.Context, tx *store.Tx, a store.Approval, now time.Time) (done string, err error) {
	var c change
	if err := json.Unmarshal([]byte(a.Data), &c); err != nil {
		return "", fmt.Errorf("read rule of approval %d: %w", a.ID, err)
	}
	if c.Old != nil {
		stored, err := tx.KeywordRule(ctx, c.Old.ID)
		switch {
		case errors.Is(err, store.ErrNotFound):
			return "", handlers.Void("这条关键词已经删除了。")
		case err != nil:
			return "", err
		case describe(stored) != describe(*c.Old):
			return "", handlers.Void("这条关键词后来又改过，要重新看。")
		}
	}
	r, err := f.checkNew(ctx, tx, c.New)
	if no, refused := errors.AsType[refusal](err); refused {
		return "", handlers.Void(no.text)
	}
	if err != nil {
		return "", err
	}
	if c.Old == nil {
		r.CreatedAt = now
		r, err = tx.AddKeywordRule(ctx, r)
	} else {
		err = tx.SetKeywordRule(ctx, r)
	}
	if errors.Is(err, store.ErrExists) { // another operator was quicker
		return "", handlers.Void("刚刚有人添加了同样的关键词。")
	}
	if err == nil && r.Kind == store.KeywordRegexp {
		err = f.checkLoose(ctx, tx)
		if no, refused := errors.AsType[refusal](err); refused {
			return "", console.Invalid("", no.text)
		}
	}
	return fmt.Sprintf("关键词 #%d 已生效。", r.ID), err
}
