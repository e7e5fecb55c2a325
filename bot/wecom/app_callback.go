package wecom

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
)

// ErrBadAppCallback is what is wrong with a decrypted callback of an app that
// cannot be read or lacks what is needed to handle it.
var ErrBadAppCallback = errors.New("wecom: bad app callback")

// Events of an app that this package knows.
//
// Sources: https://developer.work.weixin.qq.com/document/path/90240 and, for
// the last, https://developer.work.weixin.qq.com/document/path/94670
const (
	EventSubscribe  = "subscribe"       // a member sees the app for the first time
	EventEnterAgent = "enter_agent"     // a member opened the app
	EventClick      = "click"           // a member chose from the app's menu; EventKey says what
	EventKF         = "kf_msg_or_event" // 微信客服 has something to read; there is no sender
)

// fromPlatform is the sender of events that nobody sent, as of those about
// contacts.
const fromPlatform = "sys"

// An AppCallback is what an app hears: a message of a member, or an event.
//
// Sources: https://developer.work.weixin.qq.com/document/path/90239 (messages)
// and https://developer.work.weixin.qq.com/document/path/90240 (events).
type AppCallback struct {
	To      string // corp id
	From    string // userid; "sys" or empty for events that nobody sent
	Created int64  // Unix seconds; 0 if it does not say
	MsgType string // text, image, voice, video, location, link or event
	MsgID   string // of messages; events have none
	Content string // of a text
	Event   string // which event
	Key     string // EventKey of some events

	// Fields holds every element at the first level by its name as sent,
	// those above included.
	Fields map[string]string
}

// ParseAppCallback reads the plaintext of an app's callback. Kinds that it does
// not know are returned with their Fields, so that a new feature of the
// platform is not an error. It returns ErrBadAppCallback for what is no XML, and
// for what lacks its kind, a message its sender and id, an event its name.
func ParseAppCallback(plain []byte) (AppCallback, error) {
	fields, err := xmlFields(plain)
	if err != nil {
		return AppCallback{}, fmt.Errorf("%w: %w", ErrBadAppCallback, err)
	}
	m := AppCallback{
		To: fields["ToUserName"], From: fields["FromUserName"], MsgType: fields["MsgType"], MsgID: fields["MsgId"],
		Content: fields["Content"], Event: fields["Event"], Key: fields["EventKey"], Fields: fields,
	}
	if created := fields["CreateTime"]; created != "" {
		if m.Created, err = strconv.ParseInt(created, 10, 64); err != nil {
			return AppCallback{}, fmt.Errorf("%w: CreateTime is not a number", ErrBadAppCallback)
		}
	}
	if missing := m.missing(); missing != "" {
		return AppCallback{}, fmt.Errorf("%w: no %s", ErrBadAppCallback, missing)
	}
	return m, nil
}

// missing names a field that m must have and has not, or returns "".
func (m AppCallback) missing() string {
	switch {
	case m.MsgType == "":
		return "MsgType"
	case m.MsgType == TypeEvent && m.Event == "":
		return "Event"
	case m.MsgType != TypeEvent && m.From == "":
		return "FromUserName"
	case m.MsgType != TypeEvent && m.MsgID == "":
		return "MsgId"
	}
	return ""
}

// AppText returns the plaintext of a passive reply: a text of at most
// MaxAppTextBytes from the corp to a member.
//
// Source: https://developer.work.weixin.qq.com/document/path/90241
func AppText(to, from string, created int64, text string) []byte {
	return []byte("<xml><ToUserName>" + cdata(to) + "</ToUserName><FromUserName>" + cdata(from) +
		"</FromUserName><CreateTime>" + strconv.FormatInt(created, 10) +
		"</CreateTime><MsgType>" + cdata(TypeText) +
		"</MsgType><Content>" + cdata(xmlChars(text)) + "</Content></xml>")
}

// xmlChars returns s without the characters that XML forbids.
//
// Source: https://www.w3.org/TR/xml/#charsets
func xmlChars(s string) string {
	return strings.Map(func(r rune) rune {
		if r < 0x20 && r != '\t' && r != '\n' && r != '\r' || r == 0xFFFE || r == 0xFFFF {
			return -1
		}
		return r
	}, strings.ToValidUTF8(s, ""))
}
