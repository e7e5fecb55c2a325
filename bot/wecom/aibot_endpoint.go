package wecom

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"qunbot/bot"
	"qunbot/store"
)

// An aibotEndpoint receives one 智能机器人's callbacks.
//
// Source: https://developer.work.weixin.qq.com/document/path/100719
type aibotEndpoint struct {
	Config
	bot    Bot
	cipher *Cipher
	engine Engine
}

// ServeHTTP answers the verification of the address (GET) and deliveries
// (POST). What is not genuine gets a 4xx with an empty body.
func (e *aibotEndpoint) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	switch r.Method {
	case http.MethodGet:
		e.verify(w, r)
	case http.MethodPost:
		e.receive(w, r)
	default:
		w.Header().Set("Allow", "GET, POST")
		w.WriteHeader(http.StatusMethodNotAllowed)
	}
}

func (e *aibotEndpoint) verify(w http.ResponseWriter, r *http.Request) {
	echo, err := e.cipher.OpenEcho(r.URL.Query())
	if err != nil {
		e.refuse(w, r, 0, err)
		return
	}
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.Write(echo)
}

func (e *aibotEndpoint) receive(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, MaxDeliveryBytes))
	if err != nil {
		e.refuse(w, r, len(body), err)
		return
	}
	steps := timing{now: e.Now}
	steps.note("recv", strconv.Itoa(len(body))+" B")
	steps.start()
	query := r.URL.Query()
	plain, err := e.cipher.OpenPost(query, body)
	if err != nil {
		e.refuse(w, r, len(body), err)
		return
	}
	steps.note("verify", "ok") // the cipher checks the signature before it decrypts
	steps.lap("decrypt")
	callback, err := ParseAibotCallback(plain)
	if err != nil {
		e.refuse(w, r, len(body), err)
		return
	}
	answer, err := e.answer(r, callback, plain)
	if err != nil {
		e.fail(w, r, len(body), err)
		return
	}
	steps.note("rule", answer.Rule)
	if answer.Replayed {
		steps.note("replayed", "")
	}
	steps.note("batch", strconv.Itoa(answer.Batch))
	steps.add("commit", answer.Commit)
	reply, silent := aibotReply(callback, answer)
	if silent {
		w.Header().Set("Server-Timing", steps.String())
		return
	}
	text, err := reply.JSON()
	if err != nil {
		e.fail(w, r, len(body), err)
		return
	}
	steps.start()
	sealed := e.cipher.Seal(text, e.Now().Unix(), query.Get("nonce")).JSON()
	steps.lap("encrypt")
	w.Header().Set("Server-Timing", steps.String())
	w.Header().Set("Content-Type", "application/json; charset=utf-8")
	w.Write(sealed)
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
		Text: c.SpokenText(), Quote: c.QuotedText(),
		Addressed: true, // a bot hears nothing else
		SentAt:    time.Unix(sent, 0).UTC(),
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

// fit returns text, or as many whole paragraphs or sentences of it as fit into
// limit bytes, with a line that says how much is missing.
func fit(text string, limit int) string {
	const room = 64 // bytes for the line
	if len(text) <= limit {
		return text
	}
	parts := SplitText(text, limit-room)
	return fmt.Sprintf("%s\n（内容太长，这是第 1 段，共 %d 段）", parts[0], len(parts))
}

// refuse answers a request that is not genuine or not well-formed.
func (e *aibotEndpoint) refuse(w http.ResponseWriter, r *http.Request, size int, err error) {
	status := http.StatusBadRequest
	if _, tooLarge := errors.AsType[*http.MaxBytesError](err); tooLarge {
		status = http.StatusRequestEntityTooLarge
	} else if errors.Is(err, ErrBadSignature) || errors.Is(err, ErrBadReceiveID) {
		status = http.StatusForbidden
	}
	e.Log.Warn("callback refused", "path", r.URL.Path, "from", r.RemoteAddr, "bytes", size, "status", status, "err", err)
	w.WriteHeader(status)
}

// fail answers a genuine request that was not handled: the platform delivers
// it again, unless it can never be handled.
func (e *aibotEndpoint) fail(w http.ResponseWriter, r *http.Request, size int, err error) {
	if errors.Is(err, bot.ErrSentAt) || errors.Is(err, ErrBadCallback) {
		e.refuse(w, r, size, err)
		return
	}
	if !errors.Is(err, bot.ErrBusy) { // overload would flood the log
		e.Log.Error("callback not handled", "path", r.URL.Path, "err", err)
	}
	w.Header().Set("Retry-After", "1")
	w.WriteHeader(http.StatusServiceUnavailable)
}

// A timing collects how long the steps of an answer took, for the standard
// Server-Timing header: durations in milliseconds.
//
// Source: https://www.w3.org/TR/server-timing/
type timing struct {
	now   func() time.Time
	began time.Time
	parts []string
}

func (t *timing) start() { t.began = t.now() }

func (t *timing) lap(step string) { t.add(step, t.now().Sub(t.began)) }

func (t *timing) add(step string, d time.Duration) {
	t.parts = append(t.parts, fmt.Sprintf("%s;dur=%.3f", step, float64(d)/float64(time.Millisecond)))
}

func (t *timing) note(step, what string) {
	if what != "" {
		step += `;desc="` + url.PathEscape(what) + `"`
	}
	t.parts = append(t.parts, step)
}

func (t *timing) String() string { return strings.Join(t.parts, ", ") }
