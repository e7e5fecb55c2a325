package wecom

import (
	"cmp"
	"context"
	"slices"
	"strings"
	"time"
	"unicode"

	"qunbot/bot"
	"qunbot/store"
)

// Rules of the decision log.
const (
	ruleAttended = "kf 由人工接待"
	ruleHuman    = "kf " + kfHuman
)

const (
	kfAskLife    = 10 * time.Minute // how long staff are looked for while the platform fails
	kfRecheck    = time.Minute      // between two questions whether staff still serve
	kfMaxAsking  = 100              // customers who are handed over after a page
	kfMaxTries   = 5                // of the staff who are asked to take a customer
	kfTalkLife   = 48 * time.Hour   // of a session
	kfHandedOver = "已为您转接人工客服，请稍候。"
	kfInPool     = "已为您呼叫人工客服，有同事空下来就会接待您，请稍候。"
	kfNobody     = "现在没有人工客服在线。"
	kfNotHanded  = "抱歉，暂时没能转接人工客服，请稍后再说一次“转人工”。"
	kfGoodbye    = "人工服务结束了。我还在，有事随时对我说。"
)

// kfHumanWords are what is understood as 转人工, folded.
var kfHumanWords = []string{kfHuman, "人工", "人工客服", "人工服务", "转人工客服", "找人工", "客服"}

// asksForHuman reports whether text asks to be served by staff.
func asksForHuman(text string) bool {
	return slices.Contains(kfHumanWords, strings.TrimRightFunc(bot.Fold(text), unicode.IsPunct))
}

// Screen is the engine's first screen. In the transaction of what a customer
// said, once for each message, it notes that the customer may be answered
// again, keeps the message from the commands while staff serve, and notes who
// asks for a human. Messages that came another way pass.
func (k *KF) Screen(ctx context.Context, tx *store.Tx, m bot.Message) (r bot.Reply, stop bool, err error) {
	account, customer, ours := kfLaneParts(m.ReplyLane)
	if !ours || m.Endpoint != kfName || m.Event != "" {
		return bot.Reply{}, false, nil
	}
	s, err := tx.LockKFSession(ctx, account, customer)
	if err != nil {
		return bot.Reply{}, false, err
	}
	if !m.SentAt.Before(s.HeardAt) {
		s.HeardAt = m.SentAt
		// A new allowance, less what was sent between the message, whose time
		// is in whole seconds, and now.
		if s.Sent, err = tx.CountKFSends(ctx, account, customer, m.SentAt.Add(time.Second)); err != nil {
			return bot.Reply{}, false, err
		}
	}
	if s.State == store.KFEnded {
		s.State, s.StateAt, s.Servicer = store.KFNew, m.SentAt, ""
	}
	switch {
	case s.State.Attended():
		r, stop = bot.Reply{Rule: ruleAttended}, true
	case asksForHuman(m.Text):
		r, stop = bot.Reply{Rule: ruleHuman}, true
		s.AskedAt, s.AskedKey = &m.SentAt, m.Key
	}
	return r, stop, tx.SetKFSession(ctx, s)
}

// sessionChanged notes what staff did in their client.
func (k *KF) sessionChanged(ctx context.Context, e kfEntry) error {
	switch e.Event.ChangeType {
	case kfChangeTaken, kfChangeMoved, kfChangeReopened:
		return k.setState(ctx, e, store.KFHuman, e.Event.NewServicer)
	case kfChangeEnded:
		if err := k.setState(ctx, e, store.KFEnded, ""); err != nil {
			return err
		}
		if e.Event.MsgCode != "" {
			return k.sendOnEvent(ctx, e, e.Event.MsgCode, kfGoodbye)
		}
	}
	return nil
}

// setState notes who serves e's customer since e. What happened before the
// state we know changes nothing, so that a page may be read again.
func (k *KF) setState(ctx context.Context, e kfEntry, state store.KFState, servicer string) error {
	return k.Store.Update(ctx, func(tx *store.Tx) error {
		s, err := tx.LockKFSession(tx.Context(), e.Account, e.Customer)
		if err != nil || e.at().Before(s.StateAt) {
			return err
		}
		s.State, s.StateAt, s.Servicer, s.AskedAt = state, e.at(), short(servicer), nil
		return tx.SetKFSession(tx.Context(), s)
	})
}

// short returns an id that fits its column; no id of WeCom is longer.
func short(id string) string { return id[:min(len(id), 64)] }

// recheck asks the platform who serves a customer, where we believe that staff
// do: should the end of that have passed us by, the bot would be silent for
// ever.
func (k *KF) recheck(ctx context.Context, account, customer string) error {
	s, err := k.session(ctx, account, customer)
	if err != nil || !s.State.Attended() || k.Now().Sub(s.CheckedAt) < kfRecheck {
		return err
	}
	return k.readState(ctx, account, customer)
}

func (k *KF) session(ctx context.Context, account, customer string) (s store.KFSession, err error) {
	err = k.Store.View(ctx, func(tx *store.Tx) error {
		list, err := tx.KFSessions(tx.Context(), account, []string{customer})
		if len(list) > 0 {
			s = list[0]
		}
		return err
	})
	return s, err
}

// readState stores what the platform says of who serves a customer. A platform
// that does not say is logged only.
func (k *KF) readState(ctx context.Context, account, customer string) error {
	state, servicer, err := k.API.kfState(ctx, account, customer)
	if err != nil {
		k.Log.Warn("state of a talk not read", "account", account, "err", err)
	}
	return k.Store.Update(ctx, func(tx *store.Tx) error {
		s, lockErr := tx.LockKFSession(tx.Context(), account, customer)
		if lockErr != nil {
			return lockErr
		}
		s.CheckedAt = k.Now()
		if err == nil && state != s.State {
			// As of the customer's last word: the platform's clock, and not
			// after what is still to be read.
			s.State, s.Servicer = state, short(servicer)
			if s.HeardAt.After(s.StateAt) {
				s.StateAt = s.HeardAt
			}
		}
		return tx.SetKFSession(tx.Context(), s)
	})
}

// handOver finds staff for the customers who asked. A request stays noted until
// it is dealt with, so that a crash forgets none.
func (k *KF) handOver(ctx context.Context, account string) error {
	var asking []store.KFSession
	var talks map[string]int
	err := k.Store.View(ctx, func(tx *store.Tx) (err error) {
		if asking, err = tx.AskingKFSessions(tx.Context(), account, kfMaxAsking); err != nil || len(asking) == 0 {
			return err
		}
		talks, err = tx.KFServicers(tx.Context(), account, k.Now().Add(-kfTalkLife))
		return err
	})
	if err != nil {
		return err
	}
	for _, s := range asking {
		h := handover{KF: k, session: s, talks: talks}
		err := h.run(ctx)
		switch class := classOf(err); {
		case err == nil:
			continue
		case ctx.Err() != nil:
			return err
		case (class == ClassRetry || class == ClassUnknown || class == ClassWait) && k.Now().Sub(*s.AskedAt) < kfAskLife:
			return err // tried again with the next reading
		}
		k.Log.Error("customer not handed over", "account", account, "msg", s.AskedKey, "err", err)
		if err := h.stay(ctx, kfNotHanded); err != nil {
			return err
		}
	}
	return nil
}

// A handover brings one customer to staff.
//
// Source: https://developer.work.weixin.qq.com/document/path/94669
type handover struct {
	*KF
	session store.KFSession
	talks   map[string]int // customers whom each of the staff serves
}

func (h *handover) run(ctx context.Context) error {
	s := h.session
	// An earlier try may have succeeded before it was noted.
	state, servicer, err := h.API.kfState(ctx, s.Account, s.Customer)
	if err != nil {
		return err
	}
	if state.Attended() {
		return h.settle(ctx, state, servicer)
	}
	serving, err := h.API.kfServing(ctx, s.Account)
	if err != nil {
		return err
	}
	if len(serving) == 0 {
		settings, err := h.settings(ctx)
		if err != nil {
			return err
		}
		text := kfNobody
		if settings.Hours != "" {
			text += "服务时间：" + settings.Hours + "。"
		}
		return h.stay(ctx, text+"您的话我们会留着，届时再说一次“转人工”就好。")
	}
	slices.SortFunc(serving, func(a, b string) int {
		return cmp.Or(cmp.Compare(h.talks[a], h.talks[b]), strings.Compare(a, b))
	})
	for _, servicer := range serving[:min(len(serving), kfMaxTries)] {
		code, err := h.API.kfTrans(ctx, s.Account, s.Customer, store.KFHuman, servicer)
		if c := codeOf(err); c == codeKFNotServing || c == codeKFSuspended {
			continue
		}
		if err != nil {
			return err
		}
		h.talks[servicer]++
		return h.handed(ctx, store.KFHuman, servicer, code, kfHandedOver)
	}
	code, err := h.API.kfTrans(ctx, s.Account, s.Customer, store.KFWaiting, "")
	if err != nil {
		return err
	}
	return h.handed(ctx, store.KFWaiting, "", code, kfInPool)
}

// handed notes that staff have the customer, and tells the customer.
func (h *handover) handed(ctx context.Context, state store.KFState, servicer, code, text string) error {
	if err := h.settle(ctx, state, servicer); err != nil {
		return err
	}
	if code == "" { // only the first time in a session
		return nil
	}
	m := kfText(text)
	m.Code, m.MsgID = code, kfMsgID("kf handed over", h.session.AskedKey)
	if err := h.API.kfSend(ctx, m); err != nil {
		h.Log.Warn("word to a customer not sent", "event", "handed over", "msg", h.session.AskedKey, "err", err)
	}
	return nil
}

// settle notes who serves the customer, as of the question: by the platform's
// clock, so that what staff do next comes later.
func (h *handover) settle(ctx context.Context, state store.KFState, servicer string) error {
	return h.answered(ctx, func(_ context.Context, _ *store.Tx, s *store.KFSession) error {
		s.State, s.Servicer = state, short(servicer)
		if s.AskedAt.After(s.StateAt) {
			s.StateAt = *s.AskedAt
		}
		return nil
	})
}

// stay leaves the customer with the bot and says why.
func (h *handover) stay(ctx context.Context, text string) error {
	return h.answered(ctx, func(ctx context.Context, tx *store.Tx, s *store.KFSession) error {
		return kfPush(ctx, tx, *s, store.Key("kf stay", s.AskedKey), text, *s.AskedAt)
	})
}

// answered changes the talk and notes that its question is answered, unless
// another replica has answered it.
func (h *handover) answered(ctx context.Context, change func(ctx context.Context, tx *store.Tx, s *store.KFSession) error) error {
	return h.Store.Update(ctx, func(tx *store.Tx) error {
		s, err := tx.LockKFSession(tx.Context(), h.session.Account, h.session.Customer)
		if err != nil || s.AskedAt == nil || s.AskedKey != h.session.AskedKey {
			return err
		}
		if err := change(tx.Context(), tx, &s); err != nil {
			return err
		}
		s.AskedAt, s.AskedKey = nil, ""
		return tx.SetKFSession(tx.Context(), s)
	})
}
