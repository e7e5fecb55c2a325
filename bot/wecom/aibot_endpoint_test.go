package wecom_test

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"qunbot/bot"
	"qunbot/bot/wecom"
	"qunbot/store"
)

const (
	testToken  = "tokenSAMPLE"
	testAESKey = "abcdefghijklmnopqrstuvwxyz0123456789ABCDEFG"
)

var noon = time.Date(2026, 11, 21, 4, 0, 0, 0, time.UTC)

// An echoEngine answers what was said to it.
type echoEngine struct {
	said []bot.Message
	text string // the answer; empty: "听到：" and what was said
	err  error
}

func (e *echoEngine) Handle(_ context.Context, m bot.Message) (bot.Answer, error) {
	e.said = append(e.said, m)
	text := e.text
	if text == "" {
		text = "听到：" + m.Text
	}
	return bot.Answer{Text: text, StreamID: "st-1", Outcome: store.Answered, Rule: "checkin 签到", Batch: 3, Commit: 3100 * time.Microsecond}, e.err
}

func (e *echoEngine) Stream(_ context.Context, id string) (bot.Answer, error) {
	if id != "st-1" {
		return bot.Answer{}, store.ErrNotFound
	}
	return bot.Answer{Text: "还是这个", StreamID: id}, nil
}

type fixture struct {
	t      *testing.T
	engine *echoEngine
	cipher *wecom.Cipher
	mux    *http.ServeMux
	log    sharedBuffer
	remote string // where deliveries come from
}

// A sharedBuffer holds a log that a test reads while others write it.
type sharedBuffer struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (b *sharedBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.Write(p)
}

func (b *sharedBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.String()
}

func (b *sharedBuffer) Reset() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.text.Reset()
}

func newFixture(t *testing.T) *fixture {
	t.Helper()
	f := &fixture{t: t, engine: &echoEngine{}, mux: http.NewServeMux()}
	var err error
	if f.cipher, err = wecom.NewCipher(testToken, testAESKey, ""); err != nil {
		t.Fatal(err)
	}
	p, err := wecom.New(wecom.Config{
		Bots: []wecom.Bot{{Name: "helper", DisplayName: "小助手", Token: testToken, AESKey: testAESKey}},
		Now:  func() time.Time { return noon },
		Log:  slog.New(slog.NewTextHandler(&f.log, nil)),
	})
	if err != nil {
		t.Fatal(err)
	}
	p.Mount(f.mux, f.engine)
	return f
}

// post delivers plaintext, sealed with c.
func (f *fixture) post(c *wecom.Cipher, plain string) *httptest.ResponseRecorder {
	e := c.Seal([]byte(plain), noon.Unix(), "nonce1")
	return f.postRaw(e.Query(), wecom.Delivery{Encrypt: e.Encrypt}.JSON())
}

func (f *fixture) postRaw(query url.Values, body []byte) *httptest.ResponseRecorder {
	w := httptest.NewRecorder()
	r := httptest.NewRequest(http.MethodPost, "/wecom/aibot/helper?"+query.Encode(), bytes.NewReader(body))
	r.RemoteAddr = f.remote
	f.mux.ServeHTTP(w, r)
	return w
}

// reply opens an encrypted answer.
func (f *fixture) reply(w *httptest.ResponseRecorder) wecom.AibotReply {
	f.t.Helper()
	if w.Code != http.StatusOK {
		f.t.Fatalf("status = %d, want 200", w.Code)
	}
	e, err := wecom.ParseEnvelope(w.Body.Bytes())
	if err != nil {
		f.t.Fatalf("answer %q: %v", w.Body, err)
	}
	if e.Nonce != "nonce1" {
		f.t.Errorf("nonce = %q, want the delivery's", e.Nonce)
	}
	plain, err := f.cipher.OpenEnvelope(e)
	if err != nil {
		f.t.Fatal(err)
	}
	r, err := wecom.ParseAibotReply(plain)
	if err != nil {
		f.t.Fatal(err)
	}
	return r
}

const groupText = `{"msgid":"CAIQ1","aibotid":"aib1","chatid":"wrk1","chattype":"group","from":{"userid":"lisi"},
	"response_url":"https://example.com/r?response_code=SECRET","create_time":1795219200,
	"msgtype":"text","text":{"content":"@小助手 签到"},"quote":{"msgtype":"text","text":{"content":"昨天的公告"}}}`

func TestVerification(t *testing.T) {
	f := newFixture(t)
	e := f.cipher.Seal([]byte("echo+/= 你好"), noon.Unix(), "n")
	query := e.Query()
	query.Set("echostr", e.Encrypt)
	w := httptest.NewRecorder()
	f.mux.ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/wecom/aibot/helper?"+query.Encode(), nil))
	if w.Code != http.StatusOK || w.Body.String() != "echo+/= 你好" {
		t.Errorf("verification = %d %q, want the decrypted bytes alone", w.Code, w.Body)
	}
	query.Set("msg_signature", strings.Repeat("0", 40))
	w = httptest.NewRecorder()
	f.mux.ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/wecom/aibot/helper?"+query.Encode(), nil))
	if w.Code != http.StatusForbidden || w.Body.Len() != 0 {
		t.Errorf("forged verification = %d %q, want 403 and nothing", w.Code, w.Body)
	}
}

func TestGroupMessageIsAnsweredWithAFinishedStream(t *testing.T) {
	f := newFixture(t)
	w := f.post(f.cipher, groupText)
	r := f.reply(w)
	if r.MsgType != wecom.TypeStream || r.Stream.ID != "st-1" || !r.Stream.Finish || r.Stream.Content != "听到：@小助手 签到" {
		t.Errorf("reply = %+v, want a finished stream", r.Stream)
	}
	want := bot.Message{
		Key: "aibot/helper:CAIQ1", Endpoint: "aibot/helper", BotName: "小助手", ChatID: "wrk1", ChatKind: store.InternalGroup,
		From: store.Identity{Kind: store.UserID, Value: "lisi"}, Text: "@小助手 签到", Quote: "昨天的公告", Addressed: true,
		SentAt: time.Unix(1795219200, 0).UTC(), ReplyMax: wecom.MaxStreamBytes, RestLane: "response/https://example.com/r?response_code=SECRET",
	}
	if got := f.engine.said[0]; got != want {
		t.Errorf("message = %+v, want %+v", got, want)
	}
	timing := w.Header().Get("Server-Timing")
	for _, step := range []string{"recv;desc=", "decrypt;dur=", "rule;desc=\"checkin%20%E7%AD%BE%E5%88%B0\"", "commit;dur=3.100", "encrypt;dur="} {
		if !strings.Contains(timing, step) {
			t.Errorf("Server-Timing = %q, want %s in it", timing, step)
		}
	}
}

func TestKindsOfCallbacks(t *testing.T) {
	tests := []struct {
		name, body string
		want       func(bot.Message) bool
		reply      string // msgtype; empty: nothing
	}{
		{"single chat", `{"msgid":"1","chattype":"single","from":{"userid":"lisi"},"msgtype":"text","text":{"content":"签到"}}`,
			func(m bot.Message) bool { return m.Private() && m.Text == "签到" && m.SentAt.Equal(noon) }, "stream"},
		{"mixed", `{"msgid":"2","chatid":"wrk1","chattype":"group","from":{"userid":"lisi"},"msgtype":"mixed","mixed":{"msg_item":[
			{"msgtype":"text","text":{"content":"@小助手 看"}},{"msgtype":"image","image":{"url":"https://example.com/i"}}]}}`,
			func(m bot.Message) bool { return m.Text == "@小助手 看" }, "stream"},
		{"voice", `{"msgid":"3","chattype":"single","from":{"userid":"lisi"},"msgtype":"voice","voice":{"content":"签到"}}`,
			func(m bot.Message) bool { return m.Text == "签到" }, "stream"},
		{"image", `{"msgid":"4","chattype":"single","from":{"userid":"lisi"},"msgtype":"image","image":{"url":"https://example.com/i"}}`,
			func(m bot.Message) bool { return m.Text == "" }, "stream"},
		{"enter_chat", `{"msgid":"5","create_time":1795219200,"chattype":"single","from":{"userid":"lisi"},"msgtype":"event","event":{"eventtype":"enter_chat"}}`,
			func(m bot.Message) bool { return m.Event == bot.Entered }, "text"},
		{"card pressed", `{"msgid":"6","create_time":1795219200,"chatid":"wrk1","chattype":"group","from":{"userid":"lisi"},"msgtype":"event",
			"event":{"eventtype":"template_card_event","template_card_event":{"card_type":"vote_interaction","event_key":"k","task_id":"t"}}}`,
			func(m bot.Message) bool { return m.Event == bot.Pressed }, ""},
		{"rated", `{"msgid":"7","create_time":1795219200,"chatid":"wrk1","chattype":"group","from":{"userid":"lisi"},"msgtype":"event",
			"event":{"eventtype":"feedback_event","feedback_event":{"id":"f","type":1}}}`,
			func(m bot.Message) bool { return m.Event == bot.Rated }, ""},
		{"event of a kind to come", `{"msgid":"8","create_time":1795219200,"chatid":"wrk1","chattype":"group","from":{"userid":"lisi"},"msgtype":"event",
			"event":{"eventtype":"new_event"}}`,
			func(m bot.Message) bool { return m.Event == "new_event" }, ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			f := newFixture(t)
			w := f.post(f.cipher, tt.body)
			if len(f.engine.said) != 1 || !tt.want(f.engine.said[0]) {
				t.Fatalf("message = %+v (status %d)", f.engine.said, w.Code)
			}
			if tt.reply == "" {
				if w.Code != http.StatusOK || w.Body.Len() != 0 {
					t.Errorf("answer = %d %q, want 200 and zero bytes", w.Code, w.Body)
				}
				return
			}
			if r := f.reply(w); r.MsgType != tt.reply {
				t.Errorf("reply = %s, want %s", r.MsgType, tt.reply)
			}
		})
	}
}

// An event without an id is recognised by its bytes.
func TestEventWithoutIDIsTheSameTwice(t *testing.T) {
	f := newFixture(t)
	body := `{"create_time":1795219200,"chattype":"single","from":{"userid":"lisi"},"msgtype":"event","event":{"eventtype":"enter_chat"}}`
	f.post(f.cipher, body)
	f.post(f.cipher, body)
	f.post(f.cipher, strings.Replace(body, "lisi", "wangwu", 1))
	if k := f.engine.said; len(k) != 3 || k[0].Key != k[1].Key || k[0].Key == k[2].Key {
		t.Errorf("keys = %v, want the same, the same, another", k)
	}
}

func TestStreamRefreshReads(t *testing.T) {
	f := newFixture(t)
	refresh := `{"msgid":"9","chatid":"wrk1","chattype":"group","from":{"userid":"lisi"},"msgtype":"stream","stream":{"id":"%s"}}`
	if r := f.reply(f.post(f.cipher, fmt.Sprintf(refresh, "st-1"))); r.Stream.Content != "还是这个" || !r.Stream.Finish {
		t.Errorf("refresh = %+v, want the stored answer", r.Stream)
	}
	if w := f.post(f.cipher, fmt.Sprintf(refresh, "st-2")); w.Code != http.StatusOK || w.Body.Len() != 0 {
		t.Errorf("refresh of an unknown stream = %d %q, want 200 and nothing", w.Code, w.Body)
	}
	if len(f.engine.said) != 0 {
		t.Errorf("a refresh went to the engine as a message")
	}
}

func TestBadRequestsChangeNothing(t *testing.T) {
	foreign, err := wecom.NewCipher(testToken, testAESKey, "wwOTHERCORP")
	if err != nil {
		t.Fatal(err)
	}
	forger, err := wecom.NewCipher("otherTOKEN", testAESKey, "")
	if err != nil {
		t.Fatal(err)
	}
	f := newFixture(t)
	good := f.cipher.Seal([]byte(groupText), noon.Unix(), "nonce1")
	tests := []struct {
		name   string
		send   func() *httptest.ResponseRecorder
		status int
	}{
		{"forged signature", func() *httptest.ResponseRecorder { return f.post(forger, groupText) }, http.StatusForbidden},
		{"for another corp", func() *httptest.ResponseRecorder { return f.post(foreign, groupText) }, http.StatusForbidden},
		{"no query", func() *httptest.ResponseRecorder {
			return f.postRaw(nil, wecom.Delivery{Encrypt: good.Encrypt}.JSON())
		}, http.StatusForbidden},
		{"truncated", func() *httptest.ResponseRecorder {
			return f.postRaw(good.Query(), wecom.Delivery{Encrypt: good.Encrypt}.JSON()[:50])
		}, http.StatusBadRequest},
		{"garbage", func() *httptest.ResponseRecorder { return f.postRaw(good.Query(), []byte("\x00\xff garbage")) }, http.StatusBadRequest},
		{"plain, not encrypted", func() *httptest.ResponseRecorder { return f.postRaw(good.Query(), []byte(groupText)) }, http.StatusBadRequest},
		{"two megabytes", func() *httptest.ResponseRecorder { return f.postRaw(good.Query(), make([]byte, 2<<20)) }, http.StatusRequestEntityTooLarge},
		{"genuine nonsense", func() *httptest.ResponseRecorder { return f.post(f.cipher, `{"msgtype":"text"}`) }, http.StatusBadRequest},
		{"genuine, not JSON", func() *httptest.ResponseRecorder { return f.post(f.cipher, `<xml/>`) }, http.StatusBadRequest},
	}
	for i, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			f.remote = fmt.Sprintf("192.0.2.%d:1000", i) // each from elsewhere: one line a minute and address
			f.log.Reset()
			w := tt.send()
			if w.Code != tt.status || w.Body.Len() != 0 {
				t.Errorf("answer = %d %q, want %d and nothing", w.Code, w.Body, tt.status)
			}
			log := f.log.String()
			if strings.Count(log, "\n") != 1 || strings.Contains(log, testToken) || strings.Contains(log, "SECRET") || strings.Contains(log, "签到") {
				t.Errorf("log = %q, want one line without secrets and words", log)
			}
		})
	}
	if len(f.engine.said) != 0 {
		t.Errorf("the engine heard %+v", f.engine.said)
	}
}

func TestEngineErrors(t *testing.T) {
	for name, tt := range map[string]struct {
		err    error
		status int
	}{
		"busy":         {bot.ErrBusy, http.StatusServiceUnavailable},
		"late":         {bot.ErrLate, http.StatusServiceUnavailable},
		"storage":      {errors.New("disk full"), http.StatusServiceUnavailable},
		"not of today": {bot.ErrSentAt, http.StatusBadRequest},
	} {
		t.Run(name, func(t *testing.T) {
			f := newFixture(t)
			f.engine.err = tt.err
			if w := f.post(f.cipher, groupText); w.Code != tt.status || w.Body.Len() != 0 {
				t.Errorf("answer = %d %q, want %d and nothing: not committed, no 200", w.Code, w.Body, tt.status)
			}
		})
	}
}

func TestLongAnswersAreCutAtASentence(t *testing.T) {
	f := newFixture(t)
	f.engine.text = strings.Repeat("这是一句话。", 2000) // 36,000 bytes
	content := f.reply(f.post(f.cipher, groupText)).Stream.Content
	if len(content) > wecom.MaxStreamBytes || !strings.Contains(content, "。\n（内容太长，这是第 1 段，共 2 段）") {
		t.Errorf("content = %d bytes, ends %q; want a whole sentence and a note within %d", len(content), content[len(content)-80:], wecom.MaxStreamBytes)
	}
}

func TestOtherMethods(t *testing.T) {
	f := newFixture(t)
	w := httptest.NewRecorder()
	f.mux.ServeHTTP(w, httptest.NewRequest(http.MethodPut, "/wecom/aibot/helper", nil))
	if w.Code != http.StatusMethodNotAllowed {
		t.Errorf("PUT = %d, want 405", w.Code)
	}
}

func FuzzDelivery(f *testing.F) {
	cipher, err := wecom.NewCipher(testToken, testAESKey, "")
	if err != nil {
		f.Fatal(err)
	}
	f.Add([]byte(groupText), true)
	f.Add([]byte(`{"msgtype":"event","event":null,"from":{"userid":"x"}}`), true)
	f.Add([]byte(`{"encrypt":"x"}`), false)
	engine := &echoEngine{text: "好"}
	p, err := wecom.New(wecom.Config{
		Bots: []wecom.Bot{{Name: "helper", DisplayName: "小助手", Token: testToken, AESKey: testAESKey}},
		Now:  func() time.Time { return noon }, Log: slog.New(slog.DiscardHandler),
	})
	if err != nil {
		f.Fatal(err)
	}
	mux := http.NewServeMux()
	p.Mount(mux, engine)
	f.Fuzz(func(t *testing.T, body []byte, sealed bool) {
		query := url.Values{"timestamp": {strconv.FormatInt(noon.Unix(), 10)}, "nonce": {"n"}, "msg_signature": {strings.Repeat("x", 40)}}
		if sealed {
			e := cipher.Seal(body, noon.Unix(), rand.Text())
			query, body = e.Query(), wecom.Delivery{Encrypt: e.Encrypt}.JSON()
		}
		w := httptest.NewRecorder()
		mux.ServeHTTP(w, httptest.NewRequest(http.MethodPost, "/wecom/aibot/helper?"+query.Encode(), bytes.NewReader(body)))
		if w.Code == http.StatusOK && w.Body.Len() > 0 && !json.Valid(w.Body.Bytes()) {
			t.Errorf("answer %q is not JSON", w.Body)
		}
		if w.Code != http.StatusOK && (w.Code < 400 || w.Code >= 500) {
			t.Errorf("status %d to %q, want 200 or 4xx", w.Code, body)
		}
	})
}
