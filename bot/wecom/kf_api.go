package wecom

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"strings"
	"time"

	"qunbot/store"
)

// Calls of 微信客服.
const (
	opKFSync       = "kf/sync_msg"
	opKFSend       = "kf/send_msg"
	opKFOnEvent    = "kf/send_msg_on_event"
	opKFState      = "kf/service_state/get"
	opKFTrans      = "kf/service_state/trans"
	opKFServicers  = "kf/servicer/list"
	opKFCustomers  = "kf/customer/batchget"
	opKFContactWay = "kf/add_contact_way"
)

// Errcodes of 微信客服 that are treated in a special way.
//
// Source: https://developer.work.weixin.qq.com/document/path/90313
const (
	codeKFOverFive    = 95001 // more than 5 messages after one of the customer's
	codeKFTooLate     = 95002 // more than 48 h after it
	codeKFBadToken    = 95007 // a notice's token is wrong or older than 10 min
	codeKFEnded       = 95013 // the session has ended
	codeKFNotServing  = 95014 // no servicer, or not active
	codeKFTransition  = 95016 // the session cannot go to that state
	codeKFWrongState  = 95018 // the session's state does not let us send
	codeKFSuspended   = 95019 // the servicer is suspended
	maxKFCustomers    = 100   // in one batchget
	maxKFMenuHead     = 1024  // bytes above a menu
	maxKFSceneParam   = 128   // bytes of scene_param
	maxKFSceneName    = 32    // bytes of a scene
	kfFromCustomer    = 3     // origins of what sync_msg returns
	kfFromServicer    = 5
	kfChangeTaken     = 1 // kinds of session_status_change: taken from the pool
	kfChangeMoved     = 2 // to another servicer
	kfChangeEnded     = 3
	kfChangeReopened  = 4
	kfEventEnter      = "enter_session"
	kfEventSession    = "session_status_change"
	kfEventSendFailed = "msg_send_fail"
	kfEventRecalled   = "user_recall_msg"
)

// A kfEntry is something that happened at a service account.
//
// Source: https://developer.work.weixin.qq.com/document/path/94670
type kfEntry struct {
	MsgID    string `json:"msgid"`
	Account  string `json:"open_kfid"`
	Customer string `json:"external_userid"` // empty for events that concern no customer
	SendTime int64  `json:"send_time"`       // Unix seconds
	Origin   int    `json:"origin"`
	Servicer string `json:"servicer_userid"`
	MsgType  string `json:"msgtype"`
	Text     struct {
		Content string `json:"content"`
		MenuID  string `json:"menu_id"` // of the item that was chosen from a menu
	} `json:"text"`
	Event kfEvent `json:"event"`
}

// A kfEvent is what an entry of the type event says.
type kfEvent struct {
	Type        string `json:"event_type"`
	Account     string `json:"open_kfid"`
	Customer    string `json:"external_userid"`
	SceneParam  string `json:"scene_param"`
	WelcomeCode string `json:"welcome_code"`
	ChangeType  int    `json:"change_type"`
	NewServicer string `json:"new_servicer_userid"`
	MsgCode     string `json:"msg_code"`
	FailMsgID   string `json:"fail_msgid"`
	FailType    int    `json:"fail_type"`
	RecallMsgID string `json:"recall_msgid"`
}

// at returns when e happened, by the platform's clock.
func (e kfEntry) at() time.Time { return time.Unix(e.SendTime, 0).UTC() }

// A kfPage is one answer of sync_msg.
type kfPage struct {
	NextCursor string            `json:"next_cursor"`
	HasMore    int               `json:"has_more"`
	List       []json.RawMessage `json:"msg_list"`
}

// parseKFEntry reads one entry of a page of account. Its id is never empty: an
// entry without one is known by its bytes.
func parseKFEntry(account string, raw json.RawMessage) (kfEntry, error) {
	var e kfEntry
	if err := json.Unmarshal(raw, &e); err != nil {
		return kfEntry{}, err
	}
	if e.MsgType == TypeEvent { // the outer fields are missing then
		e.Account, e.Customer = e.Event.Account, e.Event.Customer
	}
	if e.MsgID == "" {
		sum := sha256.Sum256(raw)
		e.MsgID = hex.EncodeToString(sum[:])
	}
	switch {
	case e.MsgType == "":
		return kfEntry{}, errors.New("no msgtype")
	case e.SendTime <= 0 || e.SendTime > 1<<33: // until the year 2242
		return kfEntry{}, fmt.Errorf("send_time %d", e.SendTime)
	case e.Account != "" && e.Account != account:
		return kfEntry{}, errors.New("of another account")
	case e.MsgType != TypeEvent && e.Customer == "":
		return kfEntry{}, errors.New("no external_userid")
	case len(e.Customer) > 128 || strings.Trim(e.Customer, " \t\r\n") != e.Customer || strings.Contains(e.Customer, "/"):
		return kfEntry{}, errors.New("external_userid is not one")
	}
	e.Account = account
	return e, nil
}

// kfSync returns what happened at an account after cursor. token is that of a
// notice; calls without one are strictly limited.
//
// Source: https://developer.work.weixin.qq.com/document/path/94670
func (a *API) kfSync(ctx context.Context, account, cursor, token string, limit int) (kfPage, error) {
	var page kfPage
	body := struct {
		Cursor  string `json:"cursor,omitempty"`
		Token   string `json:"token,omitempty"`
		Limit   int    `json:"limit"`
		Account string `json:"open_kfid"`
	}{cursor, token, limit, account}
	err := a.kf(ctx, opKFSync, body, &page)
	return page, err
}

// A kfMessage is what send_msg and send_msg_on_event take. It is addressed
// either by customer and account, or by the code of an event.
//
// Sources: https://developer.work.weixin.qq.com/document/path/94677 and
// https://developer.work.weixin.qq.com/document/path/95122
type kfMessage struct {
	Customer string    `json:"touser,omitempty"`
	Account  string    `json:"open_kfid,omitempty"`
	Code     string    `json:"code,omitempty"`
	MsgID    string    `json:"msgid,omitempty"` // at most 32 bytes of 0-9a-zA-Z_-; a second one is refused
	MsgType  string    `json:"msgtype"`
	Text     *textBody `json:"text,omitempty"`
	Menu     *kfMenu   `json:"msgmenu,omitempty"`
}

type kfMenu struct {
	Head string       `json:"head_content"`
	List []kfMenuItem `json:"list"`
}

type kfMenuItem struct {
	Type  string  `json:"type"`
	Click kfClick `json:"click"`
}

type kfClick struct {
	ID      string `json:"id"`
	Content string `json:"content"`
}

const typeKFMenu = "msgmenu"

// Kinds of message that customers and members send as cards.
//
// Sources: https://developer.work.weixin.qq.com/document/path/94670 (微信客服)
// and https://developer.work.weixin.qq.com/document/path/90239 (apps).
const (
	typeLink         = "link"
	typeBusinessCard = "business_card"
)

// kfSend sends a message to a customer.
func (a *API) kfSend(ctx context.Context, m kfMessage) error {
	op := opKFSend
	if m.Code != "" {
		op = opKFOnEvent
	}
	return a.kf(ctx, op, m, nil)
}

// kfState asks who serves a customer.
//
// Source: https://developer.work.weixin.qq.com/document/path/94669
func (a *API) kfState(ctx context.Context, account, customer string) (state store.KFState, servicer string, err error) {
	var answer struct {
		State    store.KFState `json:"service_state"`
		Servicer string        `json:"servicer_userid"`
		Other    string        `json:"service_userid"` // as it is called elsewhere
	}
	body := map[string]string{"open_kfid": account, "external_userid": customer}
	err = a.kf(ctx, opKFState, body, &answer)
	return answer.State, answer.Servicer + answer.Other, err
}

// kfTrans hands a customer over, to servicer or, if that is empty, to whoever
// of the staff comes first. code is for a word to the customer; it may be empty.
//
// Source: https://developer.work.weixin.qq.com/document/path/94669
func (a *API) kfTrans(ctx context.Context, account, customer string, to store.KFState, servicer string) (code string, err error) {
	var answer struct {
		MsgCode string `json:"msg_code"`
	}
	body := struct {
		Account  string        `json:"open_kfid"`
		Customer string        `json:"external_userid"`
		State    store.KFState `json:"service_state"`
		Servicer string        `json:"servicer_userid,omitempty"`
	}{account, customer, to, servicer}
	err = a.kf(ctx, opKFTrans, body, &answer)
	return answer.MsgCode, err
}

// kfServing returns the staff who are serving at an account now.
//
// Source: https://developer.work.weixin.qq.com/document/path/94645
func (a *API) kfServing(ctx context.Context, account string) ([]string, error) {
	if a.app == nil {
		return nil, errNoSecret(opKFServicers)
	}
	var answer struct {
		List []struct {
			UserID string `json:"userid"`
			Status int    `json:"status"` // 0 serving, 1 not: the events have it the other way round
		} `json:"servicer_list"`
	}
	if err := a.app.get(ctx, opKFServicers, url.Values{"open_kfid": {account}}, &answer); err != nil {
		return nil, err
	}
	var serving []string
	for _, s := range answer.List {
		if s.Status == 0 && s.UserID != "" { // an entry without userid is a department
			serving = append(serving, s.UserID)
		}
	}
	return serving, nil
}

// A kfCustomer is what the platform tells of a customer.
type kfCustomer struct {
	Customer string `json:"external_userid"`
	Nickname string `json:"nickname"`
	UnionID  string `json:"unionid"` // only if the corp has bound a WeChat developer account
}

// kfCustomers returns what is known of at most maxKFCustomers customers.
//
// Source: https://developer.work.weixin.qq.com/document/path/96429
func (a *API) kfCustomers(ctx context.Context, customers []string) ([]kfCustomer, error) {
	var answer struct {
		List []kfCustomer `json:"customer_list"`
	}
	body := map[string]any{"external_userid_list": customers, "need_enter_session_context": 0}
	err := a.kf(ctx, opKFCustomers, body, &answer)
	return answer.List, err
}

// KFContactWay returns the address under which customers reach a service
// account. scene names where it is put, such as a campaign: 1 to 32 letters,
// digits, _ and -. [KF.Link] adds to it which group or poster it is for.
//
// Source: https://developer.work.weixin.qq.com/document/path/94665
func (a *API) KFContactWay(ctx context.Context, account, scene string) (string, error) {
	if scene == "" || len(scene) > maxKFSceneName || strings.ContainsFunc(scene, notSceneRune) {
		return "", badData(opKFContactWay, "scene %q, want 1 to %d letters, digits, _ and -", scene, maxKFSceneName)
	}
	var answer struct {
		URL string `json:"url"`
	}
	err := a.kf(ctx, opKFContactWay, map[string]string{"open_kfid": account, "scene": scene}, &answer)
	return answer.URL, err
}

func (a *API) kf(ctx context.Context, op string, body, answer any) error {
	if a.app == nil {
		return errNoSecret(op)
	}
	return a.app.post(ctx, op, nil, body, answer)
}

// codeOf returns the errcode of a call, or 0.
func codeOf(err error) int {
	if e, ok := errors.AsType[*APIError](err); ok {
		return e.Code
	}
	return 0
}

// classOf returns what to do about the error of a call.
func classOf(err error) Class {
	if e, ok := errors.AsType[*APIError](err); ok {
		return e.Class()
	}
	return ClassUnknown
}
