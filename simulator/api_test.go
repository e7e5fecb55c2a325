package simulator

import (
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"reflect"
	"strings"
	"testing"
	"time"
)

func TestSayRefuses(t *testing.T) {
	w := newWorld(t, nil)
	tests := []struct {
		name   string
		ask    any
		status int
	}{
		{"no chat", ask{Chat: "nowhere", Person: "xiaowang", Text: "x"}, http.StatusNotFound},
		{"nobody", ask{Chat: "wrkOne", Person: "nobody", Text: "x"}, http.StatusNotFound},
		{"not in the chat", ask{Chat: "wrkOne", Person: "wmLiming", Text: "x"}, http.StatusBadRequest},
		{"customer with the bot", ask{Chat: "single", Person: "wmLiming", Text: "x"}, http.StatusBadRequest},
		{"blank", ask{Chat: "wrkOne", Person: "xiaowang", Text: " \n\u3000"}, http.StatusBadRequest},
		{"only control characters", ask{Chat: "wrkOne", Person: "xiaowang", Text: "\x00\x07"}, http.StatusBadRequest},
		{"long", ask{Chat: "wrkOne", Person: "xiaowang", Text: strings.Repeat("长", 1366)}, http.StatusRequestEntityTooLarge},
		{"huge", ask{Chat: "wrkOne", Person: "xiaowang", Text: strings.Repeat("x", maxBodyBytes)}, http.StatusRequestEntityTooLarge},
		{"unknown field", map[string]string{"chat": "wrkOne", "admin": "1"}, http.StatusBadRequest},
		{"no object", []int{1}, http.StatusBadRequest},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			before := len(w.state().Lines)
			status, answer := w.do("say", tt.ask)
			if status != tt.status || answer["error"] == "" {
				t.Errorf("say: %d %v, want %d and a reason", status, answer, tt.status)
			}
			if after := len(w.state().Lines); after != before {
				t.Errorf("%d lines, want %d", after, before)
			}
		})
	}
	if status, _ := w.do("redeliver", ask{Line: "l1"}); status != http.StatusNotFound {
		t.Errorf("redeliver of history: status %d, want 404", status)
	}
}

func TestGuard(t *testing.T) {
	w := newWorld(t, nil)
	mux := http.NewServeMux()
	w.Mount(mux)
	tests := []struct {
		name   string
		change func(*http.Request)
		want   int
	}{
		{"from here", func(*http.Request) {}, http.StatusOK},
		{"from another machine", func(r *http.Request) { r.RemoteAddr = "192.0.2.1:1000" }, http.StatusForbidden},
		{"by a name that was pointed here", func(r *http.Request) { r.Host = "evil.example" }, http.StatusForbidden},
		{"for another site", func(r *http.Request) { r.Header.Set("Sec-Fetch-Site", "cross-site") }, http.StatusForbidden},
		{"for another origin", func(r *http.Request) { r.Header.Set("Origin", "https://evil.example") }, http.StatusForbidden},
		{"as a form", func(r *http.Request) { r.Header.Set("Content-Type", "text/plain") }, http.StatusUnsupportedMediaType},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			r := httptest.NewRequest(http.MethodPost, "http://127.0.0.1/sim/api/me", strings.NewReader(`{"person":"xiaowang"}`))
			r.RemoteAddr = "127.0.0.1:1000"
			r.Header.Set("Content-Type", "application/json")
			tt.change(r)
			got := httptest.NewRecorder()
			mux.ServeHTTP(got, r)
			if got.Code != tt.want {
				t.Errorf("status %d, want %d: %s", got.Code, tt.want, got.Body)
			}
		})
	}
}

func TestPageAndFiles(t *testing.T) {
	w := newWorld(t, nil)
	for path, kind := range map[string]string{"/sim/": "text/html", "/sim/page.css": "text/css", "/sim/page.js": "text/javascript"} {
		response, err := http.Get(w.url + path)
		if err != nil {
			t.Fatal(err)
		}
		body, err := io.ReadAll(response.Body)
		response.Body.Close()
		if err != nil || response.StatusCode != http.StatusOK || !strings.HasPrefix(response.Header.Get("Content-Type"), kind) || len(body) == 0 {
			t.Errorf("GET %s: %d, %s, %d B, %v", path, response.StatusCode, response.Header.Get("Content-Type"), len(body), err)
		}
	}
}

func TestConfigCheck(t *testing.T) {
	tests := []struct {
		name   string
		change func(*Config)
		want   string
	}{
		{"no base", func(c *Config) { c.BaseURL = "" }, "base URL"},
		{"no clock", func(c *Config) { c.Now = nil }, "clock"},
		{"bot in a customer group", func(c *Config) { c.Chats[1].Bot = "helper" }, "customer group"},
		{"customer in an internal group", func(c *Config) { c.Chats[0].Members = []string{"wmLiming"} }, "wmLiming"},
		{"unknown member", func(c *Config) { c.Chats[0].Members = []string{"ghost"} }, "ghost"},
		{"same id twice", func(c *Config) { c.People[1].ID = "xiaowang" }, "twice"},
		{"bad key", func(c *Config) { c.Bots[0].AESKey = "short" }, "EncodingAESKey"},
		{"line of a stranger", func(c *Config) { c.Lines[0].Who = "ghost" }, "line 0"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			c := testConfig("http://127.0.0.1:1", "http://127.0.0.1:2/x")
			tt.change(&c)
			if _, err := New(c); err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("New = %v, want an error about %q", err, tt.want)
			}
		})
	}
}

func TestParseServerTiming(t *testing.T) {
	tests := []struct {
		header string
		want   []metric
	}{
		{``, nil},
		{`commit;dur=3.1`, []metric{{name: "commit", took: 3100 * time.Microsecond, has: true}}},
		{`rule;desc="checkin%20%E7%AD%BE%E5%88%B0"`, []metric{{name: "rule", desc: "checkin 签到"}}},
		{`a;desc="x, y; \"z\"", b`, []metric{{name: "a", desc: `x, y; "z"`}, {name: "b"}}},
		{`a;dur=-1, b;dur=NaN, c;dur=x;desc=100%`, []metric{{name: "a"}, {name: "b"}, {name: "c", desc: "100%"}}},
		{`;;,=,"`, nil},
	}
	for _, tt := range tests {
		if got := parseServerTiming([]string{tt.header}); !reflect.DeepEqual(got, tt.want) {
			t.Errorf("parseServerTiming(%s) = %+v, want %+v", tt.header, got, tt.want)
		}
	}
}

func FuzzParseServerTiming(f *testing.F) {
	f.Add(`recv;desc="1204 B", verify;dur=0.02, replayed`)
	f.Add(`a;desc="\`)
	f.Fuzz(func(t *testing.T, header string) {
		for _, m := range parseServerTiming([]string{header}) {
			if m.name == "" || m.took < 0 {
				t.Errorf("%q gives %+v", header, m)
			}
		}
	})
}

// FuzzAPI sends anything to the calls of the page: they must answer with JSON
// and must not break.
func FuzzAPI(f *testing.F) {
	cfg := testConfig("http://127.0.0.1:1", "http://127.0.0.1:1/nowhere")
	cfg.Log = slog.New(slog.DiscardHandler)
	withRobot(&cfg)
	cfg.Apps[0].Token, cfg.Apps[0].AESKey, cfg.Apps[0].CallbackURL = testToken, testKey, "http://127.0.0.1:1/nowhere"
	cfg.KF = []KFAccount{{ID: testKF, Name: "示例商场客服", Servicers: []string{"zhangsan"}}}
	s, err := New(cfg)
	if err != nil {
		f.Fatal(err)
	}
	mux := http.NewServeMux()
	s.Mount(mux)
	calls := []string{"say", "open", "me", "press", "redeliver", "unplug", "fault", "advance", "robot", "enter", "click", "desk"}
	f.Add(0, []byte(`{"chat":"wrkOne","person":"xiaowang","text":"@小助手 签到"}`))
	f.Add(1, []byte(`{"chat":"single","person":"xiaowang"}`))
	f.Add(3, []byte(`{"line":"l1","person":"xiaowang","key":"k"}`))
	f.Add(4, []byte(`{"line":"l1"} {}`))
	f.Add(0, []byte("{\"chat\":\"wrkOne\",\"person\":\"xiaowang\",\"text\":\"\xff\u202e\"}"))
	f.Add(6, []byte(`{"api":"webhook/send","fault":"server","times":1}`))
	f.Add(7, []byte(`{"key":"morning"}`))
	f.Add(8, []byte(`{"chat":"wrkOne","on":false}`))
	f.Add(9, []byte(`{"person":"wmLiming","url":"http://127.0.0.1:1/sim/kf/kfc?enc_scene=x"}`))
	f.Add(10, []byte(`{"line":"l1","person":"wmLiming","key":"0"}`))
	f.Add(11, []byte(`{"chat":"wkSIM0001","person":"zhangsan","with":"wmLiming","key":"take"}`))
	f.Fuzz(func(t *testing.T, which int, body []byte) {
		r := httptest.NewRequest(http.MethodPost, "http://127.0.0.1/sim/api/"+calls[uint(which)%uint(len(calls))], strings.NewReader(string(body)))
		r.RemoteAddr = "127.0.0.1:1000"
		r.Header.Set("Content-Type", "application/json")
		got := httptest.NewRecorder()
		mux.ServeHTTP(got, r)
		if got.Code >= 500 && got.Code != http.StatusServiceUnavailable || !json.Valid(got.Body.Bytes()) {
			t.Errorf("%s answers %d %s", body, got.Code, got.Body)
		}
		if len(s.lines) > maxLines {
			t.Errorf("%d lines kept, want at most %d", len(s.lines), maxLines)
		}
	})
}
