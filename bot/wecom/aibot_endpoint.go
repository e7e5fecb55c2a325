package wecom

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"qunbot/bot"
	"qunbot/store"
)

// An aibotEndpoint answers one 智能机器人's callbacks.
//
// Source: https://developer.work.weixin.qq.com/document/path/100719
type aibotEndpoint struct {
	bot    Bot
	engine Engine
}

// reply answers a decrypted callback.
func (e *aibotEndpoint) reply(r *http.Request, plain []byte, steps *timing) ([]byte, error) {
	callback, err := ParseAibotCallback(plain)
	if err != nil {
		return nil, err
	}
	answer, err := e.answer(r, callback, plain)
	if err != nil {
		return nil, err
	}
	steps.answered(answer)
	reply, silent := aibotReply(callback, answer)
	if silent {
		return nil, nil
	}
	return reply.JSON()
}

// answer hands a callback to the engine. A stream refresh only reads.
func (e *aibotEndpoint) answer(r *http.Request, c AibotCallback, plain []byte) (bot.Answer, error) {
	if c.MsgType == TypeStream {
		answer, err := e.engine.Stream(r.Context(), c.Stream.ID)
		if errors.Is(err, store.ErrNotFound) {
			return bot.Answer{Rule: "stream unknown"}, nil // an empty answer leaves what is shown
		}
		return answer, err
	}
	m, err := e.message(r.URL.Query(), c, plain)
	if err != nil {
		return bot.Answer{}, err
	}
	return e.engine.Handle(r.Context(), m)
}

// message translates a callback. Its time is create_time, else the signed
// timestamp of the delivery.
func (e *aibotEndpoint) message(query url.Values, c AibotCallback, plain []byte) (bot.Message, error) {
	id := c.MsgID
	if id == "" { // an event without an id: the same body is the same event
		sum := sha256.Sum256(plain)
		id = hex.EncodeToString(sum[:])
	}
	sent := c.CreateTime
	if sent == 0 {
		var err error
		if sent, err = strconv.ParseInt(query.Get("timestamp"), 10, 64); err != nil {
			return bot.Message{}, fmt.Errorf("%w: timestamp is not a number", ErrBadCallback)
		}
	}
	endpoint := "aibot/" + e.bot.Name
	m := bot.Message{
		Key: store.Key(endpoint, id), Endpoint: endpoint, BotName: e.bot.DisplayName,
		ChatID: c.ChatID, ChatKind: store.InternalGroup,
		From: store.Identity{Kind: store.UserID, Value: c.From.UserID},
		Text: c.SpokenText(), Quote: c.QuotedText(), Images: c.Images(),
		Addressed: true, // a bot hears nothing else
		SentAt:    time.Unix(sent, 0).UTC(),
		ReplyMax:  MaxStreamBytes,
	}
	if lane := string(ToResponse) + "/" + c.ResponseURL; c.ResponseURL != "" && len(lane) <= bot.MaxLaneBytes {
		m.RestLane = lane
	}
	if c.ChatType == ChatSingle {
		m.ChatID = ""
	}
	if c.MsgType == TypeEvent {
		m.Event = aibotEvents[c.Event.EventType]
		if m.Event == "" {
			m.Event = bot.Event(c.Event.EventType) // unknown kinds are logged and ignored
		}
	}
	return m, nil
}

var aibotEvents = map[string]bot.Event{
	EventEnterChat: bot.Entered,
	EventCard:      bot.Pressed,
	EventFeedback:  bot.Rated,
}

// aibotReply writes an answer as the platform wants it for this callback:
// plain text only for enter_chat, nothing for other events, a finished stream
// for everything that was said.
//
// Source: https://developer.work.weixin.qq.com/document/path/101031
func aibotReply(c AibotCallback, a bot.Answer) (reply AibotReply, silent bool) {
	if a.Text == "" {
		return AibotReply{}, true
	}
	if c.MsgType != TypeEvent {
		return AibotReply{MsgType: TypeStream, Stream: &AibotStream{ID: a.StreamID, Finish: true, Content: fit(a.Text, MaxStreamBytes)}}, false
	}
	if c.Event.EventType != EventEnterChat {
		return AibotReply{}, true
	}
	return AibotReply{MsgType: TypeText, Text: &AibotText{Content: fit(a.Text, MaxWebhookTextBytes)}}, false
}
