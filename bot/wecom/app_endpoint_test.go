package wecom_test

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strconv"
	"strings"
	"testing"
	"time"

	"qunbot/bot"
	"qunbot/bot/wecom"
	"qunbot/store"
)

const testCorp = "ww1234567890abcdef"

// An appFixture is the app's endpoint with an engine that echoes.
type appFixture struct {
	t      *testing.T
	engine *echoEngine
	cipher *wecom.Cipher
	mux    *http.ServeMux
	log    bytes.Buffer
	taken  []string // events that OnEvent took
	remote string   // where deliveries come from
}

func newAppFixture(t *testing.T) *appFixture {
	t.Helper()
	f := &appFixture{t: t, engine: &echoEngine{}, mux: http.NewServeMux()}
	var err error
	if f.cipher, err = wecom.NewCipher(testToken, testAESKey, testCorp); err != nil {
		t.Fatal(err)
	}
	p, err := wecom.New(wecom.Config{
		App: &wecom.App{CorpID: testCorp, Token: testToken, AESKey: testAESKey, OnEvent: func(_ context.Context, c wecom.AppCallback) (bool, error) {
			if c.Event != "change_external_chat" {
				return false, nil
			}
			f.taken = append(f.taken, c.Fields["ChatId"])
			if c.Fields["ChatId"] == "broken" {
				return true, errors.New("boom")
			}
			return true, nil
		}},
		Now: func() time.Time { return noon },
		Log: slog.New(slog.NewTextHandler(&f.log, nil)),
	})
	if err != nil {
		t.Fatal(err)
	}
	p.Mount(f.mux, f.engine)
	return f
}

func (f *appFixture) post(c *wecom.Cipher, plain string) *httptest.ResponseRecorder {
	e := c.Seal([]byte(plain), noon.Unix(), "nonce1")
	return f.postRaw(e.Query(), wecom.Delivery{ToUserName: testCorp, AgentID: "1000002", Encrypt: e.Encrypt}.XML())
}

func (f *appFixture) postRaw(query url.Values, body []byte) *httptest.ResponseRecorder {
	w := httptest.NewRecorder()
	r := httptest.NewRequest(http.MethodPost, "/wecom/app?"+query.Encode(), bytes.NewReader(body))
	r.RemoteAddr = f.remote
	f.mux.ServeHTTP(w, r)
	return w
}

// reply opens an encrypted answer.
func (f *appFixture) reply(w *httptest.ResponseRecorder) wecom.AppCallback {
	f.t.Helper()
	e, err := wecom.ParseEnvelope(w.Body.Bytes())
	if err != nil || w.Code != http.StatusOK || e.Nonce != "nonce1" || !strings.HasPrefix(w.Body.String(), "<xml>") {
		f.t.Fatalf("answer = %d %q: %v", w.Code, w.Body, err)
	}
	plain, err := f.cipher.OpenEnvelope(e)
	if err != nil {
		f.t.Fatal(err)
	}
	// A reply has no MsgId, so it is read as if it had.
	c, err := wecom.ParseAppCallback(bytes.Replace(plain, []byte("</xml>"), []byte("<MsgId>0</MsgId></xml>"), 1))
	if err != nil {
		f.t.Fatalf("reply %q: %v", plain, err)
	}
	return c
}

// xmlOf returns the plaintext of a callback from zhangsan.
func xmlOf(kind, rest string) string {
	return "<xml><ToUserName><![CDATA[" + testCorp + "]]></ToUserName><FromUserName><![CDATA[zhangsan]]></FromUserName>" +
		"<CreateTime>1795219200</CreateTime><MsgType><![CDATA[" + kind + "]]></MsgType>" + rest + "<AgentID>1000002</AgentID></xml>"
}

func TestAppVerification(t *testing.T) {
	f := newAppFixture(t)
	e := f.cipher.Seal([]byte("5927782489442352469"), noon.Unix(), "n")
	query := e.Query()
	query.Set("echostr", e.Encrypt)
	w := httptest.NewRecorder()
	f.mux.ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/wecom/app?"+query.Encode(), nil))
	if w.Code != http.StatusOK || w.Body.String() != "5927782489442352469" {
		t.Errorf("verification = %d %q, want the decrypted bytes alone", w.Code, w.Body)
	}
}

func TestAppMessageIsAnswered(t *testing.T) {
	f := newAppFixture(t)
	w := f.post(f.cipher, xmlOf("text", "<Content><![CDATA[签到]]></Content><MsgId>1234567890123456789</MsgId>"))
	r := f.reply(w)
	if r.To != "zhangsan" || r.From != testCorp || r.MsgType != "text" || r.Content != "听到：签到" || r.Created != noon.Unix() {
		t.Errorf("reply = %+v, want the answer from the corp to zhangsan", r)
	}
	want := bot.Message{
		Key: "app:1234567890123456789", Endpoint: "app", From: store.Identity{Kind: store.UserID, Value: "zhangsan"},
		Text: "签到", Addressed: true, SentAt: time.Unix(1795219200, 0).UTC(),
	}
	if got := f.engine.said[0]; got != want {
		t.Errorf("message = %+v, want %+v", got, want)
	}
	timing := w.Header().Get("Server-Timing")
	for _, step := range []string{"recv;desc=", "decrypt;dur=", "rule;desc=", "commit;dur=3.100", "encrypt;dur="} {
		if !strings.Contains(timing, step) {
			t.Errorf("Server-Timing = %q, want %s in it", timing, step)
		}
	}
}

func TestKindsOfAppCallbacks(t *testing.T) {
	event := func(name, rest string) string { return xmlOf("event", "<Event>"+name+"</Event>"+rest) }
	tests := []struct {
		name, body string
		want       func(bot.Message) bool // nil: the engine hears nothing
		answered   bool
	}{
		{"voice", xmlOf("voice", "<MediaId>m</MediaId><Format>amr</Format><MsgId>2</MsgId>"), func(m bot.Message) bool { return m.Text == "" && m.Private() }, true},
		{"image", xmlOf("image", "<PicUrl>https://example.com/i</PicUrl><MediaId>m</MediaId><MsgId>3</MsgId>"), func(m bot.Message) bool { return m.Text == "" }, true},
		{"kind to come", xmlOf("hologram", "<MsgId>4</MsgId>"), func(m bot.Message) bool { return m.Text == "" }, true},
		{"enter_agent", event("enter_agent", "<EventKey></EventKey>"), func(m bot.Message) bool { return m.Event == bot.Entered }, true},
		{"subscribe", event("subscribe", ""), func(m bot.Message) bool { return m.Event == bot.Entered }, true},
		{"menu", event("click", "<EventKey>签到</EventKey>"), func(m bot.Message) bool { return m.Event == "" && m.Text == "签到" }, true},
		{"card", event("template_card_event", `<EventKey>approve</EventKey><TaskId>t</TaskId><SelectedItems><SelectedItem><QuestionKey>q1</QuestionKey>
			<OptionIds><OptionId>a</OptionId></OptionIds></SelectedItem></SelectedItems>`), func(m bot.Message) bool { return m.Event == bot.Pressed }, false},
		{"event to come", event("new_event", ""), func(m bot.Message) bool { return m.Event == "new_event" }, false},
		{"event of nobody", strings.Replace(event("batch_job_result", ""), "zhangsan", "sys", 1), nil, false},
		{"taken by OnEvent", strings.Replace(event("change_external_chat", "<ChatId>wr1</ChatId>"), "zhangsan", "sys", 1), nil, false},
		{"kf notice without kf", "<xml><ToUserName>" + testCorp + "</ToUserName><CreateTime>1795219200</CreateTime><MsgType>event</MsgType>" +
			"<Event>kf_msg_or_event</Event><Token>T</Token><OpenKfId>wk1</OpenKfId></xml>", nil, false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			f := newAppFixture(t)
			w := f.post(f.cipher, tt.body)
			if tt.want == nil {
				if len(f.engine.said) != 0 {
					t.Errorf("the engine heard %+v", f.engine.said)
				}
			} else if len(f.engine.said) != 1 || !tt.want(f.engine.said[0]) {
				t.Fatalf("message = %+v (status %d)", f.engine.said, w.Code)
			}
			if tt.answered {
				f.reply(w)
			} else if w.Code != http.StatusOK || w.Body.Len() != 0 {
				t.Errorf("answer = %d %q, want 200 and zero bytes", w.Code, w.Body)
			}
		})
	}
}

// An event is recognised by its bytes, a message by its id.
func TestAppCallbackIsTheSameTwice(t *testing.T) {
	f := newAppFixture(t)
	enter := xmlOf("event", "<Event>enter_agent</Event>")
	f.post(f.cipher, enter)
	f.post(f.cipher, enter)
	f.post(f.cipher, strings.Replace(enter, "1795219200", "1795219201", 1))
	if k := f.engine.said; len(k) != 3 || k[0].Key != k[1].Key || k[0].Key == k[2].Key {
		t.Errorf("keys = %v, want the same, the same, another", k)
	}
}

func TestAppOnEventFailing(t *testing.T) {
	f := newAppFixture(t)
	w := f.post(f.cipher, xmlOf("event", "<Event>change_external_chat</Event><ChatId>broken</ChatId>"))
	if w.Code != http.StatusServiceUnavailable || len(f.taken) != 1 {
		t.Errorf("answer = %d after %v, want 503: it is delivered again", w.Code, f.taken)
	}
}

func TestBadAppRequestsChangeNothing(t *testing.T) {
	aibot, err := wecom.NewCipher(testToken, testAESKey, "")
	if err != nil {
		t.Fatal(err)
	}
	forger, err := wecom.NewCipher("otherTOKEN", testAESKey, testCorp)
	if err != nil {
		t.Fatal(err)
	}
	f := newAppFixture(t)
	text := xmlOf("text", "<Content>签到</Content><MsgId>1</MsgId>")
	good := f.cipher.Seal([]byte(text), noon.Unix(), "nonce1")
	tests := []struct {
		name   string
		send   func() *httptest.ResponseRecorder
		status int
	}{
		{"forged signature", func() *httptest.ResponseRecorder { return f.post(forger, text) }, http.StatusForbidden},
		{"for an aibot", func() *httptest.ResponseRecorder { return f.post(aibot, text) }, http.StatusForbidden},
		{"truncated", func() *httptest.ResponseRecorder {
			return f.postRaw(good.Query(), wecom.Delivery{Encrypt: good.Encrypt}.XML()[:60])
		}, http.StatusBadRequest},
		{"two megabytes", func() *httptest.ResponseRecorder { return f.postRaw(good.Query(), make([]byte, 2<<20)) }, http.StatusRequestEntityTooLarge},
		{"genuine, no id", func() *httptest.ResponseRecorder { return f.post(f.cipher, xmlOf("text", "<Content>签到</Content>")) }, http.StatusBadRequest},
		{"genuine, two ids", func() *httptest.ResponseRecorder {
			return f.post(f.cipher, xmlOf("text", "<MsgId>1</MsgId><MsgId>2</MsgId>"))
		}, http.StatusBadRequest},
		{"genuine, entities", func() *httptest.ResponseRecorder {
			return f.post(f.cipher, `<!DOCTYPE x [<!ENTITY a "b">]>`+text)
		}, http.StatusBadRequest},
		{"genuine, not XML", func() *httptest.ResponseRecorder { return f.post(f.cipher, `{"msgtype":"text"}`) }, http.StatusBadRequest},
		{"genuine, no time", func() *httptest.ResponseRecorder {
			return f.post(f.cipher, strings.Replace(text, "1795219200", "soon", 1))
		}, http.StatusBadRequest},
	}
	for i, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			f.remote = fmt.Sprintf("192.0.2.%d:1000", i) // each from elsewhere: one line a minute and address
			f.log.Reset()
			w := tt.send()
			if w.Code != tt.status || w.Body.Len() != 0 {
				t.Errorf("answer = %d %q, want %d and nothing", w.Code, w.Body, tt.status)
			}
			if log := f.log.String(); strings.Count(log, "\n") != 1 || strings.Contains(log, testToken) || strings.Contains(log, "签到") {
				t.Errorf("log = %q, want one line without secrets and words", log)
			}
		})
	}
	if len(f.engine.said) != 0 {
		t.Errorf("the engine heard %+v", f.engine.said)
	}
}

func TestLongAppAnswersAreCutAtASentence(t *testing.T) {
	f := newAppFixture(t)
	f.engine.text = strings.Repeat("这是一句话。", 200) + "\x0b]]>" // 3,600 bytes
	content := f.reply(f.post(f.cipher, xmlOf("text", "<Content>a</Content><MsgId>1</MsgId>"))).Content
	if len(content) > wecom.MaxAppTextBytes || !strings.Contains(content, "。\n（内容太长，这是第 1 段，共 2 段）") {
		t.Errorf("content = %d bytes %q; want a whole sentence and a note", len(content), content)
	}
	f.engine.text = "a\x0b]]>\uFFFEb"
	if content := f.reply(f.post(f.cipher, xmlOf("text", "<Content>a</Content><MsgId>2</MsgId>"))).Content; content != "a]]>b" {
		t.Errorf("content = %q, want what XML can carry", content)
	}
}

func FuzzAppDelivery(f *testing.F) {
	cipher, err := wecom.NewCipher(testToken, testAESKey, testCorp)
	if err != nil {
		f.Fatal(err)
	}
	f.Add([]byte(xmlOf("text", "<Content><![CDATA[签到]]></Content><MsgId>1</MsgId>")), true)
	f.Add([]byte(xmlOf("event", "<Event>enter_agent</Event>")), true)
	f.Add([]byte("<xml><MsgType>event</MsgType><Event>kf_msg_or_event</Event></xml>"), true)
	f.Add([]byte("<xml><Encrypt>x</Encrypt></xml>"), false)
	p, err := wecom.New(wecom.Config{
		App: &wecom.App{CorpID: testCorp, Token: testToken, AESKey: testAESKey},
		Now: func() time.Time { return noon }, Log: slog.New(slog.DiscardHandler),
	})
	if err != nil {
		f.Fatal(err)
	}
	mux := http.NewServeMux()
	p.Mount(mux, &echoEngine{})
	f.Fuzz(func(t *testing.T, body []byte, sealed bool) {
		query := url.Values{"timestamp": {strconv.FormatInt(noon.Unix(), 10)}, "nonce": {"n"}, "msg_signature": {strings.Repeat("x", 40)}}
		if sealed {
			e := cipher.Seal(body, noon.Unix(), rand.Text())
			query, body = e.Query(), wecom.Delivery{Encrypt: e.Encrypt}.XML()
		}
		w := httptest.NewRecorder()
		mux.ServeHTTP(w, httptest.NewRequest(http.MethodPost, "/wecom/app?"+query.Encode(), bytes.NewReader(body)))
		if w.Code == http.StatusOK && w.Body.Len() > 0 {
			e, err := wecom.ParseEnvelope(w.Body.Bytes())
			if err == nil {
				_, err = cipher.OpenEnvelope(e)
			}
			if err != nil {
				t.Errorf("answer %q: %v", w.Body, err)
			}
		}
		if w.Code != http.StatusOK && (w.Code < 400 || w.Code >= 500) {
			t.Errorf("status %d to %q, want 200 or 4xx", w.Code, body)
		}
	})
}

func ExampleAppText() {
	fmt.Printf("%s\n", wecom.AppText("zhangsan", "ww1", 1795219200, "签到成功"))
	// Output:
	// <xml><ToUserName><![CDATA[zhangsan]]></ToUserName><FromUserName><![CDATA[ww1]]></FromUserName><CreateTime>1795219200</CreateTime><MsgType><![CDATA[text]]></MsgType><Content><![CDATA[签到成功]]></Content></xml>
}
