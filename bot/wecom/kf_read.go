package wecom

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"

	"qunbot/bot"
	"qunbot/store"
)

const (
	kfEvery       = time.Minute      // between two looks without a notice: no number of the strict limit is known
	kfLease       = 20 * time.Second // of an account, extended with each page
	kfBusyPause   = time.Second      // until an account that another replica reads is looked at again
	kfTokenLife   = 10 * time.Minute // of a notice's token
	kfPageLimit   = 1000
	kfAtOnce      = 32               // customers whose messages are handled at the same time: room is left in the engine's queue
	kfGrace       = 10 * time.Minute // before an account was first read; what is older is not answered
	kfCodeLife    = 20 * time.Second // of the code of a welcome or a goodbye
	kfKeepSends   = 4 * 24 * time.Hour
	kfProfileLife = 7 * 24 * time.Hour // until a customer's names are read again
	kfProfileWait = 3 * time.Second    // a welcome must not wait longer for them
)

// errKFBusy is returned where another replica reads the account.
var errKFBusy = errors.New("another replica reads the account")

// A kfReader reads one account.
type kfReader struct {
	account  string
	wake     chan struct{}
	failures int // in a row

	addressed bool      // the account's address is known
	askAt     time.Time // when to ask for it, if it is not

	mu      sync.Mutex
	noticed bool
	token   string
	tokenAt time.Time
}

func newKFReader(account string) *kfReader {
	return &kfReader{account: account, wake: make(chan struct{}, 1)}
}

// Notify says that there is something to read at an account, as a notice of the
// time at said, which came with a token; an empty account means all. It reports
// whether the account is one of ours. Notices may be lost, come twice and in
// any order: they are merged, and the newest token is used.
func (k *KF) Notify(account, token string, at time.Time) bool {
	known := false
	for _, r := range k.readers {
		if account == "" || r.account == account {
			known = true
			r.notify(token, at)
		}
	}
	return known
}

func (r *kfReader) notify(token string, at time.Time) {
	r.mu.Lock()
	r.noticed = true
	if token != "" && !at.Before(r.tokenAt) {
		r.token, r.tokenAt = token, at
	}
	r.mu.Unlock()
	select {
	case r.wake <- struct{}{}:
	default:
	}
}

// take returns whether there was a notice since the last time.
func (r *kfReader) take() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	noticed := r.noticed
	r.noticed = false
	return noticed
}

// current returns the newest token that is still good, or "".
func (r *kfReader) current(now time.Time) string {
	r.mu.Lock()
	defer r.mu.Unlock()
	if now.Sub(r.tokenAt) >= kfTokenLife {
		return ""
	}
	return r.token
}

// forget drops a token that was refused.
func (r *kfReader) forget(token string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.token == token {
		r.token = ""
	}
}

// read reads an account at the start, after notices, and every minute, should a
// notice have been lost.
func (k *KF) read(ctx context.Context, r *kfReader) error {
	r.notify("", time.Time{})
	for {
		pause, open := k.turn(ctx, r)
		k.findAddress(ctx, r)
		wake := r.wake
		if !open {
			wake = nil // a notice that comes now is taken up after the pause
		}
		timer := time.NewTimer(pause)
		select {
		case <-ctx.Done():
			timer.Stop()
			return nil
		case <-timer.C:
		case <-wake:
			timer.Stop()
		}
	}
}

// turn reads what there is. It returns how long to pause then, and whether a
// notice may cut that short.
func (k *KF) turn(ctx context.Context, r *kfReader) (pause time.Duration, open bool) {
	noticed := r.take()
	err := k.pull(ctx, r, noticed)
	switch {
	case err == nil:
		r.failures = 0
		return kfEvery, true
	case ctx.Err() != nil:
		return kfEvery, true
	case errors.Is(err, errKFBusy):
		if !noticed {
			return kfEvery, true
		}
		r.notify("", time.Time{}) // it may have looked before ours was there
		return kfBusyPause, false
	}
	r.failures++
	r.notify("", time.Time{})
	pause = min(time.Second<<min(r.failures-1, 6), kfEvery)
	if e, ok := errors.AsType[*APIError](err); ok {
		switch e.Class() {
		case ClassWait:
			pause = max(pause, e.RetryAt.Sub(k.Now()))
		case ClassConfig, ClassDead, ClassData, ClassToken:
			pause = kfEvery
		}
	}
	k.Log.Warn("service account not read", "account", r.account, "failures", r.failures, "pause", pause, "err", err)
	return pause, false
}

// pull reads an account to its end.
//
// The cursor is stored after the messages of its page, not with them: the
// engine commits those in its own batches. A crash in between has the page read
// once more. That changes nothing, because the engine knows each message by its
// key and runs none twice, what else a page brings is written so that writing
// it again is the same, and replies have ids that the platform takes once. The
// other order would lose messages.
func (k *KF) pull(ctx context.Context, r *kfReader, noticed bool) error {
	account, err := k.lease(ctx, r.account, noticed)
	if err != nil {
		return err
	}
	defer k.free(ctx, r.account)
	token := r.current(k.Now())
	limit := max(kfPageLimit>>min(2*r.failures, 6), 1) // a page may have been too large
	for {
		page, err := k.API.kfSync(ctx, account.Account, account.NextCursor, token, limit)
		if codeOf(err) == codeKFBadToken && token != "" {
			r.forget(token)
			token = "" // once without
			continue
		}
		if err != nil {
			return err
		}
		if err := k.process(ctx, account, page); err != nil {
			return err
		}
		if err := k.probe("before the cursor"); err != nil {
			return err
		}
		from := account.NextCursor
		if page.NextCursor != "" {
			account.NextCursor = page.NextCursor
		}
		if err := k.advance(ctx, account, from); err != nil {
			return err
		}
		if page.HasMore != 1 {
			break
		}
		if account.NextCursor == from {
			return &APIError{Op: opKFSync, Msg: "there is more, but the cursor stays", class: ClassRetry}
		}
	}
	if err := k.handOver(ctx, r.account); err != nil {
		return err
	}
	return k.Store.Update(ctx, func(tx *store.Tx) error {
		return tx.PruneKFSends(tx.Context(), k.Now().Add(-kfKeepSends), 500)
	})
}

// lease reserves the reading of an account. Without a notice, it is read once
// a minute by all replicas together.
func (k *KF) lease(ctx context.Context, name string, noticed bool) (account store.KFAccount, err error) {
	now := k.Now()
	idle := now.Add(-kfEvery + kfEvery/10)
	if noticed {
		idle = now.Add(24 * time.Hour)
	}
	var won bool
	err = k.Store.Update(ctx, func(tx *store.Tx) (err error) {
		account, won, err = tx.LeaseKFAccount(tx.Context(), name, k.owner, now, now.Add(kfLease), idle)
		return err
	})
	if err == nil && !won {
		err = errKFBusy
	}
	return account, err
}

func (k *KF) free(ctx context.Context, account string) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
	defer cancel()
	err := k.Store.Update(ctx, func(tx *store.Tx) error { return tx.FreeKFAccount(tx.Context(), account, k.owner) })
	if err != nil { // the lease runs out by itself
		k.Log.Warn("lease of service account not given back", "account", account, "err", err)
	}
}

func (k *KF) advance(ctx context.Context, a store.KFAccount, from string) error {
	now := k.Now()
	var mine bool
	err := k.Store.Update(ctx, func(tx *store.Tx) (err error) {
		mine, err = tx.AdvanceKFCursor(tx.Context(), a.Account, k.owner, from, a.NextCursor, now, now.Add(kfLease))
		return err
	})
	if err == nil && !mine {
		err = errKFBusy
	}
	return err
}

// process handles a page: welcomes first, because their codes live for 20 s,
// then everything in order, customer by customer. It may run again for the same
// page.
func (k *KF) process(ctx context.Context, account store.KFAccount, page kfPage) error {
	var entries []kfEntry
	for _, raw := range page.List {
		e, err := parseKFEntry(account.Account, raw)
		if err != nil { // one that we cannot read must not hold up the others
			k.Log.Warn("entry of a service account not read", "account", account.Account, "err", err)
			continue
		}
		if e.Customer != "" && !e.at().Before(account.CreatedAt.Add(-kfGrace)) {
			entries = append(entries, e)
		}
	}
	if err := k.learn(ctx, account.Account, entries); err != nil {
		return err
	}
	var talks [][]kfEntry
	var old atomic.Int64
	byCustomer := map[string]int{}
	welcomes, welcomesCtx := errgroup.WithContext(ctx)
	welcomes.SetLimit(kfAtOnce)
	for _, e := range entries {
		if e.MsgType == TypeEvent && e.Event.Type == kfEventEnter {
			welcomes.Go(func() error { return k.entered(welcomesCtx, e, &old) })
			continue
		}
		i, known := byCustomer[e.Customer]
		if !known {
			i = len(talks)
			byCustomer[e.Customer] = i
			talks = append(talks, nil)
		}
		talks[i] = append(talks[i], e)
	}
	if err := welcomes.Wait(); err != nil {
		return err
	}
	g, talksCtx := errgroup.WithContext(ctx)
	g.SetLimit(kfAtOnce)
	for _, talk := range talks {
		g.Go(func() error { return k.follow(talksCtx, talk, &old) })
	}
	err := g.Wait()
	if n := old.Load(); n > 0 {
		k.Log.Warn("messages of customers too old to answer", "account", account.Account, "messages", n)
	}
	return err
}

// follow handles what happened with one customer, in order.
func (k *KF) follow(ctx context.Context, talk []kfEntry, old *atomic.Int64) error {
	attended := false
	for _, e := range talk {
		var err error
		switch {
		case e.MsgType == TypeEvent:
			err = k.happened(ctx, e, old)
		case e.Origin == kfFromCustomer:
			attended, err = k.said(ctx, e, old)
		case e.Origin == kfFromServicer: // who writes, serves
			err = k.setState(ctx, e, store.KFHuman, e.Servicer)
		}
		if err != nil {
			return fmt.Errorf("%s: %w", e.MsgID, err)
		}
	}
	if attended {
		return k.recheck(ctx, talk[0].Account, talk[0].Customer)
	}
	return nil
}

// hear hands m to the engine. A message that is too old for it is dropped.
func (k *KF) hear(ctx context.Context, m bot.Message, old *atomic.Int64) (bot.Answer, error) {
	answer, err := k.Engine.Handle(ctx, m)
	if errors.Is(err, bot.ErrSentAt) && m.SentAt.Before(k.Now()) {
		old.Add(1)
		return bot.Answer{}, nil
	}
	return answer, err
}

// kfName is the endpoint of what customers say.
const kfName = "kf"

// message returns what e says, without its words.
func (e kfEntry) message() bot.Message {
	return bot.Message{
		Key: kfMessageKey(e.Account, e.MsgID), Endpoint: kfName,
		From:      store.Identity{Kind: store.ExternalUserID, Value: e.Customer},
		Addressed: true, SentAt: e.at(),
	}
}

func kfMessageKey(account, msgID string) string { return store.Key(kfName, account, msgID) }

// said hands over what a customer said. It reports whether staff serve the
// customer, as far as we know.
func (k *KF) said(ctx context.Context, e kfEntry, old *atomic.Int64) (attended bool, err error) {
	m := e.message()
	m.Text = e.Text.Content
	if e.Text.MenuID == kfHumanID {
		m.Text = kfHuman
	}
	if e.MsgType == TypeImage {
		m.Images = 1
	}
	m.Card = e.MsgType == typeLink || e.MsgType == typeBusinessCard
	m.ReplyLane = kfLane(e.Account, e.Customer)
	answer, err := k.hear(ctx, m, old)
	return answer.Rule == ruleAttended, err
}

// entered welcomes a customer who opened the chat, and notes through which link.
func (k *KF) entered(ctx context.Context, e kfEntry, old *atomic.Int64) error {
	m := e.message()
	m.Event = bot.Entered
	answer, err := k.hear(ctx, m, old)
	if err != nil {
		return err
	}
	// The code works once, and a second message of this id is refused: who has
	// been welcomed is not welcomed again when the page is.
	if e.Event.WelcomeCode != "" && answer.Text != "" {
		if err := k.sendOnEvent(ctx, e, e.Event.WelcomeCode, answer.Text); err != nil {
			return err
		}
	}
	if e.Event.SceneParam == "" {
		return nil
	}
	source, genuine := k.source(e.Event.SceneParam)
	if !genuine {
		k.Log.Info("scene of a link not genuine", "account", e.Account, "msg", m.Key)
		return nil
	}
	return k.Store.Update(ctx, func(tx *store.Tx) error {
		members, err := tx.MembersOf(tx.Context(), []store.Identity{m.From}, k.Now())
		if err != nil {
			return err
		}
		return tx.NoteKFTouch(tx.Context(), members[0].ID, source, e.at())
	})
}

// sendOnEvent sends text with the menu by the code of an event that lives for
// 20 s. Nothing is lost for good if the platform refuses: the customer can say
// something.
func (k *KF) sendOnEvent(ctx context.Context, e kfEntry, code, text string) error {
	if k.Now().Sub(e.at()) >= kfCodeLife {
		return nil
	}
	settings, err := k.settings(ctx)
	if err != nil {
		return err
	}
	m := menuMessage(text, settings.Menu)
	m.Code, m.MsgID = code, kfMsgID("kf event", e.Account, e.MsgID)
	err = k.API.kfSend(ctx, m)
	if err != nil && classOf(err) == ClassRetry {
		err = k.API.kfSend(ctx, m)
	}
	if err != nil {
		k.Log.Warn("word to a customer not sent", "event", e.Event.Type, "msg", kfMessageKey(e.Account, e.MsgID), "err", err)
	}
	return nil
}

// happened handles an event that concerns a customer.
func (k *KF) happened(ctx context.Context, e kfEntry, old *atomic.Int64) error {
	switch e.Event.Type {
	case kfEventSession:
		if err := k.sessionChanged(ctx, e); err != nil {
			return err
		}
	case kfEventSendFailed:
		if err := k.sendFailed(ctx, e); err != nil {
			return err
		}
	case kfEventRecalled:
		err := k.Store.Update(ctx, func(tx *store.Tx) error {
			return tx.BlankMessage(tx.Context(), kfMessageKey(e.Account, e.Event.RecallMsgID))
		})
		if err != nil {
			return err
		}
	}
	m := e.message()
	m.Event = bot.Event("kf " + e.Event.Type) // logged and ignored
	_, err := k.hear(ctx, m, old)
	return err
}

// learn reads the names of customers that are not known yet, and joins those
// whom we know by their unionid. It goes on without, should the platform not
// tell.
//
// Only who entered or wrote within 48 h can be read, so it is done here.
func (k *KF) learn(ctx context.Context, account string, entries []kfEntry) error {
	var customers []string
	for _, e := range entries {
		if k.Now().Sub(e.at()) < KFWindow {
			customers = append(customers, e.Customer)
		}
	}
	slices.Sort(customers)
	customers = slices.Compact(customers)
	if len(customers) == 0 {
		return nil
	}
	var talks []store.KFSession
	err := k.Store.View(ctx, func(tx *store.Tx) (err error) {
		talks, err = tx.KFSessions(tx.Context(), account, customers)
		return err
	})
	if err != nil {
		return err
	}
	for _, s := range talks {
		if s.ProfileAt.After(k.Now().Add(-kfProfileLife)) {
			i, _ := slices.BinarySearch(customers, s.Customer)
			customers = slices.Delete(customers, i, i+1)
		}
	}
	ask, cancel := context.WithTimeout(ctx, kfProfileWait)
	defer cancel()
	for some := range slices.Chunk(customers, maxKFCustomers) {
		told, err := k.API.kfCustomers(ask, some)
		if err != nil {
			k.Log.Warn("names of customers not read", "account", account, "customers", len(some), "err", err)
			return nil
		}
		if err := k.introduce(ctx, account, some, told); err != nil {
			return err
		}
	}
	return nil
}

// introduce stores what the platform told of customers.
func (k *KF) introduce(ctx context.Context, account string, customers []string, told []kfCustomer) error {
	now := k.Now()
	return k.Store.Update(ctx, func(tx *store.Tx) error {
		ctx := tx.Context()
		for _, c := range told {
			if _, asked := slices.BinarySearch(customers, c.Customer); !asked {
				continue
			}
			if err := k.introduceOne(ctx, tx, c, now); err != nil {
				return err
			}
		}
		for _, customer := range customers {
			s, err := tx.LockKFSession(ctx, account, customer)
			if err != nil {
				return err
			}
			s.ProfileAt = now
			if err := tx.SetKFSession(ctx, s); err != nil {
				return err
			}
		}
		return nil
	})
}

func (k *KF) introduceOne(ctx context.Context, tx *store.Tx, c kfCustomer, now time.Time) error {
	who := store.Identity{Kind: store.ExternalUserID, Value: c.Customer}
	var member store.Member
	if c.UnionID == "" || len(c.UnionID) > 128 {
		members, err := tx.MembersOf(ctx, []store.Identity{who}, now)
		if err != nil {
			return err
		}
		member = members[0]
	} else {
		var joined bool
		var err error
		member, joined, err = tx.JoinIdentities(ctx, who, store.Identity{Kind: store.UnionID, Value: c.UnionID}, now)
		if err != nil {
			return err
		}
		if !joined { // both have a history; a person has to look
			k.Log.Warn("two members of one unionid", "member", member.ID)
		}
	}
	if c.Nickname == "" {
		return nil
	}
	names, err := tx.Names(ctx, []int64{member.ID})
	if err != nil || names[member.ID] != "" {
		return err
	}
	return tx.SetName(ctx, member.ID, c.Nickname)
}
