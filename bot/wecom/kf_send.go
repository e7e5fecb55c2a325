package wecom

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"qunbot/store"
)

// KFWindow is how long after a customer's last message one may be sent.
//
// Source: https://developer.work.weixin.qq.com/document/path/94677
const KFWindow = 48 * time.Hour

const (
	kfMargin    = time.Minute // by which we keep clear of its end, for clocks that differ
	kfAllowance = 5           // messages in a window; each message of the customer begins a new one
	kfMaxParts  = 2           // of a text that is too long for one message

	kfMaxResends = 3 // of a message that did not arrive, when an operator wants it
)

// Send sends text to the customer of lane, which is
// kf/<open_kfid>/<external_userid>. A short text comes with the menu. It keeps
// to the platform's rules: 5 messages within 48 h of the customer's last, and
// none while staff serve; what they forbid is an *APIError of ClassData, with
// the code that the platform would have answered. receipt holds the msgids of
// the messages that the text was sent as, with blanks between them.
//
// key makes the msgids, so that a message whose outcome is unknown can be sent
// again with the same key without arriving twice; one of which the platform
// said later that it did not arrive gets another. The platform has not
// published with which code it refuses the second: whatever it refuses the
// message with after a try of unknown outcome, but for the rules above, is
// taken for that.
//
// Source: https://developer.work.weixin.qq.com/document/path/94677
func (k *KF) Send(ctx context.Context, lane, text, key string) (receipt string, err error) {
	account, customer, ok := kfLaneParts(lane)
	switch {
	case !ok:
		return "", badData(opKFSend, "%q is no lane of a customer", lane)
	case strings.TrimSpace(text) == "" || key == "":
		return "", badData(opKFSend, "nothing to send, or no key")
	}
	s := kfSending{KF: k, account: account, customer: customer}
	if err := s.book(ctx, key, len(SplitText(text, MaxKfTextBytes))); err != nil {
		return "", err
	}
	for i, part := range k.parts(text, len(s.sends), s.menu) {
		if s.sends[i].State == store.KFSent {
			continue
		}
		part.Account, part.Customer, part.MsgID = account, customer, s.sends[i].ID
		err := k.API.kfSend(ctx, part)
		if err != nil && s.arrivedBefore(i, err) {
			err = nil
		}
		if err := s.settle(ctx, i, err); err != nil {
			return "", err
		}
	}
	var ids []string
	for _, send := range s.sends {
		ids = append(ids, send.ID)
	}
	return strings.Join(ids, " "), nil
}

// parts returns text as n messages, of which the last says so if there was
// more. A single short one offers the menu.
func (k *KF) parts(text string, n int, menu []string) []kfMessage {
	if n == 1 {
		if len(text) <= maxKFMenuHead {
			return []kfMessage{menuMessage(text, menu)}
		}
		if len(text) <= MaxKfTextBytes {
			return []kfMessage{kfText(text)}
		}
	}
	more := "（内容太长，没有说完）"
	if k.Page != "" {
		more = "（内容太长，请到会员页面看全部：" + k.Page + "）"
	}
	room := MaxKfTextBytes - len("（1/2）\n\n") - len(more)
	if n == 1 {
		return []kfMessage{kfText(SplitText(text, room)[0] + "\n" + more)}
	}
	split := SplitText(text, room)
	var messages []kfMessage
	for i, part := range split[:min(n, len(split))] {
		if i == n-1 && len(split) > n {
			part += "\n" + more
		}
		messages = append(messages, kfText(fmt.Sprintf("（%d/%d）\n%s", i+1, n, part)))
	}
	return messages
}

// A kfSending is one text on its way to a customer.
type kfSending struct {
	*KF
	account, customer string
	menu              []string
	sends             []store.KFSend // the messages it is sent as
	doubtful          []bool         // whether an earlier try may have arrived
}

// book reserves messages of the customer's allowance, at most want, before they
// are sent: a crash can only lose some. What an earlier try has booked is used
// again, unless the platform said that it did not arrive.
func (s *kfSending) book(ctx context.Context, key string, want int) error {
	now := s.Now()
	var ids []string // of the first part's tries, then of the second's
	for part := range kfMaxParts {
		ids = append(ids, kfMsgID("kf", s.account, key, part))
		for again := range kfMaxResends {
			ids = append(ids, kfMsgID("kf again", s.account, key, part, again))
		}
	}
	return s.Store.Update(ctx, func(tx *store.Tx) error {
		ctx := tx.Context()
		s.sends, s.doubtful = nil, nil
		settings, err := tx.KFSettings(ctx)
		if err != nil {
			return err
		}
		s.menu = settings.Menu
		talk, err := tx.LockKFSession(ctx, s.account, s.customer)
		if err != nil {
			return err
		}
		booked, err := tx.KFSends(ctx, ids)
		if err != nil {
			return err
		}
		var fresh []store.KFSend
		add := func(id string) {
			send, again := booked[id]
			if !again {
				send = store.KFSend{ID: id, Account: s.account, Customer: s.customer, BookedAt: now, State: store.KFSending}
				fresh = append(fresh, send)
			}
			s.sends, s.doubtful = append(s.sends, send), append(s.doubtful, again)
		}
		for tries := range slices.Chunk(ids, 1+kfMaxResends) {
			if _, begun := booked[tries[0]]; !begun {
				continue
			}
			next := slices.IndexFunc(tries, func(id string) bool { return booked[id].State != store.KFFailed })
			if next < 0 {
				return badData(opKFSend, "not sent: it did not arrive %d times", len(tries))
			}
			add(tries[next])
		}
		first, needs := len(s.sends) == 0, len(fresh)
		if first {
			needs = 1 // at least
		}
		if refusal := whyNot(talk, now, needs); refusal != nil && !s.done() {
			return refusal
		}
		if first {
			for part := range min(want, kfMaxParts, kfAllowance-talk.Sent) {
				add(ids[part*(1+kfMaxResends)])
			}
		}
		if len(fresh) == 0 {
			return nil
		}
		talk.Sent += len(fresh)
		if err := tx.AddKFSends(ctx, fresh); err != nil {
			return err
		}
		return tx.SetKFSession(ctx, talk)
	})
}

// done reports whether all was sent by an earlier try.
func (s *kfSending) done() bool {
	for _, send := range s.sends {
		if send.State != store.KFSent {
			return false
		}
	}
	return len(s.sends) > 0
}

// whyNot returns why so many messages may not be sent to the customer, or nil.
// Of a talk that was erased nothing is known: the platform will say.
func whyNot(talk store.KFSession, now time.Time, messages int) error {
	refuse := func(code int, why string) error { return &APIError{Op: opKFSend, Code: code, Msg: why} }
	switch {
	case talk.State.Attended():
		return refuse(codeKFWrongState, "not sent: staff serve the customer")
	case !talk.HeardAt.Equal(store.AtOnce) && now.Sub(talk.HeardAt) >= KFWindow-kfMargin:
		return refuse(codeKFTooLate, "not sent: the customer has not written for 48 h")
	case messages > 0 && talk.Sent+messages > kfAllowance:
		return refuse(codeKFOverFive, "not sent: 5 messages since the customer wrote last")
	}
	return nil
}

// arrivedBefore reports whether err refuses a message because an earlier try of
// unknown outcome has arrived.
func (s *kfSending) arrivedBefore(i int, err error) bool {
	if !s.doubtful[i] || classOf(err) != ClassData || codeOf(err) == 0 {
		return false
	}
	switch codeOf(err) {
	case codeKFOverFive, codeKFTooLate, codeKFEnded, codeKFTransition, codeKFWrongState:
		return false
	}
	s.Log.Info("message to a customer had arrived before", "account", s.account, "msgid", s.sends[i].ID, "err", err)
	return true
}

// settle notes how the sending of message i went, and returns sendErr.
func (s *kfSending) settle(ctx context.Context, i int, sendErr error) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
	defer cancel()
	err := s.Store.Update(ctx, func(tx *store.Tx) error { return s.note(tx, i, sendErr) })
	if err != nil { // it stays booked, and is taken for one that may have arrived
		s.Log.Warn("message to a customer not noted", "account", s.account, "msgid", s.sends[i].ID, "err", err)
	}
	switch codeOf(sendErr) {
	case codeKFWrongState, codeKFEnded, codeKFTransition:
		if err := s.readState(ctx, s.account, s.customer); err != nil {
			s.Log.Warn("state of a talk not stored", "account", s.account, "err", err)
		}
	}
	return sendErr
}

func (s *kfSending) note(tx *store.Tx, i int, sendErr error) error {
	ctx := tx.Context()
	if sendErr != nil && classOf(sendErr) == ClassUnknown {
		return nil // it stays booked
	}
	talk, err := tx.LockKFSession(ctx, s.account, s.customer)
	if err != nil {
		return err
	}
	if sendErr == nil {
		if talk.State == store.KFNew { // whoever is answered by us is served by us
			talk.State = store.KFBot
		}
		if err := tx.SetKFSend(ctx, s.sends[i].ID, store.KFSent); err != nil {
			return err
		}
		return tx.SetKFSession(ctx, talk)
	}
	// Nothing arrived by this try: what no earlier one may have sent is free
	// again. A text of which a part was sent keeps its bookings for the rest.
	var free []string
	for j := range s.sends {
		if i == 0 && !s.doubtful[j] {
			free = append(free, s.sends[j].ID)
		}
	}
	if len(free) > 0 {
		if err := tx.DeleteKFSends(ctx, free); err != nil {
			return err
		}
		talk.Sent = max(0, talk.Sent-len(free))
	}
	if codeOf(sendErr) == codeKFOverFive { // somebody else has sent
		talk.Sent = kfAllowance
	}
	return tx.SetKFSession(ctx, talk)
}
