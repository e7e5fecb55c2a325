package wecom

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"qunbot/bot"
	"qunbot/store"
)

// An App is a self-built app (自建应用) whose callbacks come to /wecom/app.
type App struct {
	CorpID string
	Token  string
	AESKey string // EncodingAESKey, 43 letters and digits

	// OnEvent, if not nil, is asked about each event before anybody else but
	// 微信客服. It returns true for one that it has dealt with, which is then
	// acknowledged; the error keeps the platform delivering it.
	OnEvent func(ctx context.Context, c AppCallback) (bool, error)
}

// An appEndpoint answers the app's callbacks: what members say to the app in
// 1:1, and events.
//
// Source: https://developer.work.weixin.qq.com/document/path/90238
type appEndpoint struct {
	Config
	engine Engine
}

// appName is the endpoint of the app's messages.
const appName = "app"

// reply answers a decrypted callback.
func (e *appEndpoint) reply(r *http.Request, plain []byte, steps *timing) ([]byte, error) {
	c, err := ParseAppCallback(plain)
	if err != nil {
		return nil, err
	}
	// The signature lets digits move between nonce and timestamp; what is
	// encrypted cannot be changed.
	if c.Created != 0 && !bot.InTime(time.Unix(c.Created, 0), e.Now()) {
		return nil, bot.ErrSentAt
	}
	if done, err := e.event(r.Context(), c, steps); done || err != nil {
		return nil, err
	}
	m, err := e.message(r.URL.Query(), c, plain)
	if err != nil {
		return nil, err
	}
	answer, err := e.engine.Handle(r.Context(), m)
	if err != nil {
		return nil, err
	}
	steps.answered(answer)
	if answer.Text == "" || m.Event != "" && m.Event != bot.Entered {
		return nil, nil
	}
	return AppText(c.From, c.To, e.Now().Unix(), fit(answer.Text, MaxAppTextBytes)), nil
}

// event deals with what is not for the engine: notices of 微信客服, what OnEvent
// takes, and events that nobody sent, behind which there is no member.
func (e *appEndpoint) event(ctx context.Context, c AppCallback, steps *timing) (done bool, err error) {
	if c.MsgType != TypeEvent {
		return false, nil
	}
	if c.Event == EventKF {
		steps.note("rule", "kf notice")
		if e.KF == nil || !e.KF.Notify(c.Fields["OpenKfId"], c.Fields["Token"], time.Unix(c.Created, 0)) {
			e.Log.Warn("notice for a service account that is not in the settings", "account", c.Fields["OpenKfId"])
		}
		return true, nil
	}
	if e.App.OnEvent != nil {
		if done, err := e.App.OnEvent(ctx, c); done || err != nil {
			steps.note("rule", "app "+c.Event)
			return done, err
		}
	}
	if c.From == "" || c.From == fromPlatform {
		steps.note("rule", "event "+c.Event)
		e.Log.Info("event ignored", "event", c.Event, "change", c.Fields["ChangeType"])
		return true, nil
	}
	return false, nil
}

// message translates a callback. Its time is CreateTime, else the signed
// timestamp of the delivery. A choice from the app's menu says its key.
func (e *appEndpoint) message(query url.Values, c AppCallback, plain []byte) (bot.Message, error) {
	id := c.MsgID
	if id == "" { // an event: the same body is the same event
		sum := sha256.Sum256(plain)
		id = hex.EncodeToString(sum[:])
	}
	sent := c.Created
	if sent == 0 {
		var err error
		if sent, err = strconv.ParseInt(query.Get("timestamp"), 10, 64); err != nil {
			return bot.Message{}, fmt.Errorf("%w: timestamp is not a number", ErrBadAppCallback)
		}
	}
	m := bot.Message{
		Key: store.Key(appName, id), Endpoint: appName,
		From: store.Identity{Kind: store.UserID, Value: c.From},
		Text: c.Content, Addressed: true, // what is said to the app is said to nobody else
		SentAt: time.Unix(sent, 0).UTC(),
	}
	if c.MsgType != TypeEvent {
		if c.MsgType == TypeImage {
			m.Images = 1
		}
		m.Card = c.MsgType == typeLink
		return m, nil
	}
	switch c.Event {
	case EventSubscribe, EventEnterAgent:
		m.Event = bot.Entered
	case EventClick:
		m.Text = c.Key
	case EventCard:
		m.Event = bot.Pressed
	default:
		m.Event = bot.Event(c.Event) // logged and ignored
	}
	return m, nil
}
