package wecom

import (
	"context"
	"errors"
	"fmt"
	"time"

	"qunbot/store"
)

const (
	kfScene       = "qunbot"        // of every link; where it was put is its scene_param
	kfAskAgain    = time.Hour       // until an address that the platform refused is asked for again
	kfAskPatience = 3 * time.Second // meanwhile nobody reads the account
	maxKFAddress  = 500             // characters that are stored of one
)

// findAddress asks the platform for the address of r's account, if none is
// stored, so that the console can make links of it: at the start, and then
// each hour until it is told; each minute while the platform cannot be reached.
func (k *KF) findAddress(ctx context.Context, r *kfReader) {
	now := k.Now()
	if r.addressed || now.Before(r.askAt) || ctx.Err() != nil {
		return
	}
	var known store.KFAccount
	err := k.Store.View(ctx, func(tx *store.Tx) error {
		accounts, err := tx.KFAccountsOf(tx.Context(), []string{r.account})
		known = accounts[r.account]
		return err
	})
	if err != nil || known.Account == "" { // the reading of the account says so
		return
	}
	if known.ContactURL != "" {
		r.addressed = true
		return
	}
	address, problem, again := k.askAddress(ctx, r.account)
	r.askAt = now.Add(again)
	if problem != "" && problem != known.ContactProblem {
		k.Log.Warn("address of a service account not known", "account", r.account, "again", again, "problem", problem)
	}
	err = k.Store.Update(ctx, func(tx *store.Tx) error {
		return tx.SetKFContact(tx.Context(), r.account, address, problem, r.askAt)
	})
	if err != nil {
		k.Log.Warn("address of a service account not stored", "account", r.account, "err", err)
	}
}

// askAddress returns the address of an account, or why there is none and after
// what time to ask again.
func (k *KF) askAddress(ctx context.Context, account string) (address, problem string, again time.Duration) {
	ctx, cancel := context.WithTimeout(ctx, kfAskPatience)
	defer cancel()
	address, err := k.API.KFContactWay(ctx, account, kfScene)
	if err != nil {
		problem, again = err.Error(), kfAskAgain
		if e, ok := errors.AsType[*APIError](err); ok {
			problem = e.Hint() + "（" + problem + "）"
		}
		switch classOf(err) {
		case ClassRetry, ClassUnknown:
			again = kfEvery
		}
		return "", problem, again
	}
	if _, err := k.Link(address, store.KFGroupSource(1)); err != nil || len(address) > maxKFAddress {
		return "", fmt.Sprintf("企业微信给的链接不能用：%.100q", address), kfAskAgain
	}
	return address, "", kfAskAgain
}
