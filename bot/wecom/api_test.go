package wecom

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

const (
	testSecret  = "app-secret-0123456789"
	testHookKey = "webhook-key-693a91f6"
	testCode    = "oauth-code+/=4711"
)

// A fakeWeCom is the platform: it gives out tokens, refuses wrong ones, and
// records what it was asked.
type fakeWeCom struct {
	*httptest.Server
	mu      sync.Mutex
	serial  int // of the current token
	refuse  int // errcode for every token, if not 0
	fetches int // of tokens
	life    int // of a token, seconds
	calls   []fakeCall
	answers map[string]http.HandlerFunc // by path below /cgi-bin/; default {"errcode":0}
}

type fakeCall struct {
	op    string
	query url.Values
	body  string
}

func newFakeWeCom(t *testing.T) *fakeWeCom {
	f := &fakeWeCom{serial: 1, life: 7200, answers: map[string]http.HandlerFunc{}}
	f.Server = httptest.NewServer(http.HandlerFunc(f.serve))
	t.Cleanup(f.Close)
	return f
}

func (f *fakeWeCom) serve(w http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(r.Body)
	op := strings.TrimPrefix(r.URL.Path, "/cgi-bin/")
	f.mu.Lock()
	f.calls = append(f.calls, fakeCall{op, r.URL.Query(), string(body)})
	answer := f.answers[op]
	token := fmt.Sprintf("token-%d-abcdef", f.serial)
	refuse, life := f.refuse, f.life
	if op == opGetToken {
		f.fetches++
	}
	f.mu.Unlock()
	r.Body = io.NopCloser(bytes.NewReader(body))
	given := r.URL.Query().Get("access_token")
	switch {
	case r.URL.Query().Has("access_token") && refuse != 0:
		say(w, refuse, "token refused")
	case r.URL.Query().Has("access_token") && given != token:
		say(w, 42001, "access_token expired")
	case answer != nil:
		answer(w, r)
	case op == opGetToken:
		fmt.Fprintf(w, `{"errcode":0,"errmsg":"ok","access_token":%q,"expires_in":%d}`, token, life)
	default:
		say(w, 0, "ok")
	}
}

func say(w http.ResponseWriter, code int, msg string) {
	json.NewEncoder(w).Encode(map[string]any{"errcode": code, "errmsg": msg})
}

func saying(answer string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, answer) }
}

func (f *fakeWeCom) answer(op string, h http.HandlerFunc) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.answers[op] = h
}

// rotate makes the current token invalid.
func (f *fakeWeCom) rotate() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.serial++
}

// called returns the calls of op.
func (f *fakeWeCom) called(op string) []fakeCall {
	f.mu.Lock()
	defer f.mu.Unlock()
	var found []fakeCall
	for _, c := range f.calls {
		if c.op == op {
			found = append(found, c)
		}
	}
	return found
}

// api returns an API of an app on f. Its log is written to log.
func (f *fakeWeCom) api(t *testing.T, log io.Writer) *API {
	t.Helper()
	a, err := NewAPI(APIConfig{
		APIBase: f.URL, CorpID: "ww1", AgentID: 1000002, AppSecret: testSecret,
		HTTP: f.Client().Transport, Now: time.Now,
		Log: slog.New(slog.NewTextHandler(log, &slog.HandlerOptions{Level: slog.LevelDebug})),
	})
	if err != nil {
		t.Fatal(err)
	}
	return a
}

func apiError(t *testing.T, err error) *APIError {
	t.Helper()
	e, ok := errors.AsType[*APIError](err)
	if !ok {
		t.Fatalf("err = %v (%T), want an *APIError", err, err)
	}
	return e
}

// ways are calls that go through our own code and through each SDK.
func ways(a *API) map[string]func(ctx context.Context) error {
	return map[string]func(ctx context.Context) error{
		"own": func(ctx context.Context) error {
			_, err := a.Send(ctx, Destination{ToApp, "zhangsan"}, Outgoing{Text: "<你好>"})
			return err
		},
		"silenceper": func(ctx context.Context) error {
			_, err := a.UploadMedia(ctx, TypeFile, "a.txt", []byte("<你好> file"))
			return err
		},
		"PowerWeChat": func(ctx context.Context) error {
			_, err := a.CreateAppChat(ctx, AppChat{Name: "<你好>", Users: []string{"a", "b"}})
			return err
		},
	}
}

var wayOps = map[string]string{"own": opMessageSend, "silenceper": "media/upload", "PowerWeChat": opAppChatCreate}

// What the platform answers must have the same meaning by each way.
func TestAnswers(t *testing.T) {
	huge := `{"errcode":0,"errmsg":"` + strings.Repeat("x", maxAnswerBytes) + `"}`
	status := func(code int) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Location", "/elsewhere")
			w.WriteHeader(code)
			say(w, 0, "ok")
		}
	}
	tests := []struct {
		name   string
		answer http.HandlerFunc
		want   Class // 0: success
	}{
		{"success", saying(`{"errcode":0,"errmsg":"ok"}`), 0},
		{"errcode", saying(`{"errcode":40058,"errmsg":"bad"}`), ClassData},
		{"busy", saying(`{"errcode":-1,"errmsg":"system busy"}`), ClassRetry},
		{"limit", saying(`{"errcode":45009,"errmsg":"freq"}`), ClassWait},
		{"no errcode", saying(`{}`), ClassUnknown},
		{"empty", saying(``), ClassUnknown},
		{"cut off", saying(`{"errcode":0,"errm`), ClassUnknown},
		{"web page", saying(`<html>login</html>`), ClassUnknown},
		{"too large", saying(huge), ClassUnknown},
		{"connection lost", func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }, ClassUnknown},
		{"redirect", status(302), ClassConfig},
		{"not found", status(404), ClassConfig},
		{"too large request", status(413), ClassData},
		{"too many requests", status(429), ClassWait},
		{"server error", status(500), ClassUnknown},
		{"bad gateway", status(502), ClassUnknown},
		{"unavailable", status(503), ClassRetry},
	}
	f := newFakeWeCom(t)
	f.Config.ErrorLog = slog.NewLogLogger(slog.DiscardHandler, 0)
	a := f.api(t, io.Discard)
	for way, call := range ways(a) {
		for _, tt := range tests {
			t.Run(way+"/"+tt.name, func(t *testing.T) {
				f.answer(wayOps[way], tt.answer)
				before := len(f.called(wayOps[way]))
				err := call(t.Context())
				if n := len(f.called(wayOps[way])) - before; n != 1 {
					t.Errorf("the platform was called %d times, want once", n)
				}
				if tt.want == 0 {
					if err != nil {
						t.Errorf("err = %v, want nil", err)
					}
					return
				}
				if e := apiError(t, err); e.Class() != tt.want || e.Op != wayOps[way] {
					t.Errorf("class %v of op %q, want %v of %q (%v)", e.Class(), e.Op, tt.want, wayOps[way], e)
				} else if e.Class() == ClassWait && !e.RetryAt.After(time.Now()) {
					t.Errorf("RetryAt = %v, want later than now", e.RetryAt)
				}
			})
		}
	}
	if got := len(f.called("elsewhere")) + len(f.called("/elsewhere")); got != 0 {
		t.Errorf("%d redirects were followed", got)
	}
}

// A call that is given up before it left can be repeated; afterwards nobody
// knows.
func TestGivingUp(t *testing.T) {
	f := newFakeWeCom(t)
	a := f.api(t, io.Discard)
	for way, call := range ways(a) {
		t.Run(way, func(t *testing.T) {
			if err := call(t.Context()); err != nil { // gets the token
				t.Fatal(err)
			}
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			f.answer(wayOps[way], func(_ http.ResponseWriter, r *http.Request) {
				cancel() // the request has arrived
				<-r.Context().Done()
			})
			if e := apiError(t, call(ctx)); e.Class() != ClassUnknown {
				t.Errorf("given up after sending: %v, want unknown (%v)", e.Class(), e)
			}
			if e := apiError(t, call(ctx)); e.Class() != ClassRetry {
				t.Errorf("given up before sending: %v, want retry (%v)", e.Class(), e)
			}
		})
	}
	f.Close()
	for way, call := range ways(a) {
		if e := apiError(t, call(t.Context())); e.Class() != ClassRetry {
			t.Errorf("%s to nobody: %v, want retry (%v)", way, e.Class(), e)
		}
	}
}

// What only reads can always be repeated.
func TestReadingIsRepeatable(t *testing.T) {
	f := newFakeWeCom(t)
	f.answer("appchat/get", saying(`{"errcode":0`))
	f.answer("auth/getuserinfo", saying(``))
	a := f.api(t, io.Discard)
	_, err := a.AppChat(t.Context(), "c1")
	if e := apiError(t, err); e.Class() != ClassRetry {
		t.Errorf("AppChat: %v, want retry (%v)", e.Class(), e)
	}
	_, _, err = a.Identify(t.Context(), testCode)
	if e := apiError(t, err); e.Class() != ClassRetry {
		t.Errorf("Identify: %v, want retry (%v)", e.Class(), e)
	}
}

// A refused token is replaced once and the call repeated once, with the same
// body, by each way.
func TestRefusedTokenIsReplaced(t *testing.T) {
	f := newFakeWeCom(t)
	a := f.api(t, io.Discard)
	for way, call := range ways(a) {
		t.Run(way, func(t *testing.T) {
			if err := call(t.Context()); err != nil {
				t.Fatal(err)
			}
			f.rotate()
			before, fetches := len(f.called(wayOps[way])), len(f.called(opGetToken))
			if err := call(t.Context()); err != nil {
				t.Fatal(err)
			}
			calls := f.called(wayOps[way])[before:]
			if len(calls) != 2 || calls[0].body != calls[1].body || !strings.Contains(calls[1].body, "<你好>") {
				t.Errorf("calls = %+v, want two with the same body", calls)
			}
			if n := len(f.called(opGetToken)) - fetches; n != 1 {
				t.Errorf("%d fetches, want 1", n)
			}
		})
	}
}

func TestTokenThatStaysRefused(t *testing.T) {
	for _, code := range []int{40001, 40014, 42001} {
		f := newFakeWeCom(t)
		f.refuse = code
		a := f.api(t, io.Discard)
		for way, call := range ways(a) {
			for range 5 {
				if e := apiError(t, call(t.Context())); e.Class() != ClassToken || e.Code != code {
					t.Errorf("%s: %v %v, want token %d", way, e.Class(), e, code)
				}
			}
		}
		if n := len(f.called(opGetToken)); n > 3 {
			t.Errorf("%d: %d fetches by 15 calls, want at most 3", code, n)
		}
	}
}

// Whatever goes wrong, no error text and no log shows a secret.
func TestErrorsHoldNoSecrets(t *testing.T) {
	f := newFakeWeCom(t)
	f.Config.ErrorLog = slog.NewLogLogger(slog.DiscardHandler, 0)
	var log bytes.Buffer
	secrets := []string{testSecret, testHookKey, testCode, url.QueryEscape(testCode), "token-1-abcdef", "RC-4711-secret"}
	echo := func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		say(w, 40058, fmt.Sprintf("bad: %s %q %s access_token=token-1-abcdef", r.URL, r.URL.Query(), body))
	}
	bad := map[string]http.HandlerFunc{
		"echo":  echo,
		"abort": func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) },
		"500":   func(w http.ResponseWriter, r *http.Request) { w.WriteHeader(500); echo(w, r) },
		"page":  func(w http.ResponseWriter, r *http.Request) { fmt.Fprint(w, r.URL.String()) },
	}
	for name, answer := range bad {
		a := f.api(t, &log)
		calls := ways(a)
		calls["identify"] = func(ctx context.Context) error { _, _, err := a.Identify(ctx, testCode); return err }
		calls["webhook"] = func(ctx context.Context) error {
			_, err := a.Send(ctx, Destination{ToWebhook, testHookKey}, Outgoing{Text: "hi"})
			return err
		}
		calls["response"] = func(ctx context.Context) error {
			_, err := a.Send(ctx, Destination{ToResponse, f.URL + "/cgi-bin/aibot/response?response_code=RC-4711-secret"}, Outgoing{Text: "hi"})
			return err
		}
		calls["bad response_url"] = func(ctx context.Context) error {
			_, err := a.Send(ctx, Destination{ToResponse, "https://host:bad/?response_code=RC-4711-secret"}, Outgoing{Text: "hi"})
			return err
		}
		calls["card"] = func(ctx context.Context) error {
			return a.UpdateCard(ctx, CardUpdate{ResponseCode: "RC-4711-secret", ReplaceName: "done"})
		}
		check := func(way string, err error) {
			e := apiError(t, err)
			text := fmt.Sprintf("%v %+v %s", err, *e, e.Hint())
			for _, s := range secrets {
				if strings.Contains(text, s) {
					t.Errorf("%s, %s: %q is in %s", name, way, s, text)
				}
			}
		}
		for _, op := range []string{opMessageSend, "media/upload", opAppChatCreate, "auth/getuserinfo", opWebhookSend, "aibot/response", "message/update_template_card"} {
			f.answer(op, answer)
		}
		for way, call := range calls {
			check(way, call(t.Context()))
		}
		f.answer(opGetToken, answer)
		fresh := f.api(t, &log)
		for way, call := range ways(fresh) {
			check("gettoken "+way, call(t.Context()))
		}
		for _, finding := range fresh.Diagnose(t.Context()) {
			if strings.Contains(finding.What+finding.Todo, testSecret) {
				t.Errorf("finding %+v shows the secret", finding)
			}
		}
		f.answer(opGetToken, nil)
	}
	for _, s := range secrets {
		if strings.Contains(log.String(), s) {
			t.Errorf("%q is in the log:\n%s", s, log.String())
		}
	}
	d := Destination{ToWebhook, testHookKey}
	if text := fmt.Sprintf("%v %+v %#v %s", d, d, d, d.LogValue()); strings.Contains(text, testHookKey) {
		t.Errorf("a destination shows its key: %s", text)
	}
}

func TestNewAPIRefuses(t *testing.T) {
	tests := []struct {
		name string
		c    APIConfig
		ok   bool
	}{
		{"webhooks only", APIConfig{}, true},
		{"base without scheme", APIConfig{APIBase: "qyapi.weixin.qq.com"}, false},
		{"base with a path", APIConfig{APIBase: "https://example.com/api"}, false},
		{"secret without corp", APIConfig{AppSecret: "s", AgentID: 1}, false},
		{"secret without agent", APIConfig{AppSecret: "s", CorpID: "ww1"}, false},
		{"contact only", APIConfig{ContactSecret: "s", CorpID: "ww1", Log: slog.New(slog.DiscardHandler)}, true},
	}
	for _, tt := range tests {
		if _, err := NewAPI(tt.c); (err == nil) != tt.ok {
			t.Errorf("%s: NewAPI = %v, want ok %v", tt.name, err, tt.ok)
		}
	}
}

func TestCallsWithoutSecret(t *testing.T) {
	a, err := NewAPI(APIConfig{Now: time.Now, Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	for way, call := range ways(a) {
		if e := apiError(t, call(t.Context())); e.Class() != ClassConfig {
			t.Errorf("%s: %v, want config (%v)", way, e.Class(), e)
		}
	}
	if found := a.Diagnose(t.Context()); len(found) != 1 || found[0].OK || found[0].Todo == "" {
		t.Errorf("Diagnose = %+v, want one finding with something to do", found)
	}
}

func TestDiagnose(t *testing.T) {
	f := newFakeWeCom(t)
	f.answer("getcallbackip", saying(`{"errcode":0,"errmsg":"ok","ip_list":["101.226.103.*","a","b","c"]}`))
	found := f.api(t, io.Discard).Diagnose(t.Context())
	if len(found) != 2 || !found[0].OK || !found[1].OK || !strings.Contains(found[1].What, "101.226.103.*") {
		t.Errorf("Diagnose = %+v, want two that are fine", found)
	}
	f.answer("getcallbackip", saying(`{"errcode":60020,"errmsg":"not allow to access from your ip, hint: [1795219200123456789], from ip: 203.0.113.9, more info"}`))
	found = f.api(t, io.Discard).Diagnose(t.Context())
	if i := slices.IndexFunc(found, func(f Finding) bool { return !f.OK }); i != 1 || !strings.Contains(found[1].Todo, "203.0.113.9") {
		t.Errorf("Diagnose = %+v, want the second to name the address", found)
	}
	f.answer(opGetToken, saying(`{"errcode":40001,"errmsg":"invalid credential"}`))
	found = f.api(t, io.Discard).Diagnose(t.Context())
	if len(found) != 1 || found[0].OK || !strings.Contains(found[0].Todo, "Secret") {
		t.Errorf("Diagnose = %+v, want one about the secret", found)
	}
}
