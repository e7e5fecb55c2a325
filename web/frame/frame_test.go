package frame_test

import (
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"os"
	"regexp"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"qunbot/web/frame"
	"qunbot/web/style"
)

var proxies = frame.Proxies{netip.MustParsePrefix("127.0.0.0/8"), netip.MustParsePrefix("10.0.0.0/8"), netip.MustParsePrefix("2001:db8:ff::/48")}

// seen returns how a request from remote looks behind the front.
func seen(remote string, header http.Header) (address string, answer http.Header) {
	r := &http.Request{RemoteAddr: remote, Header: header, URL: &url.URL{Path: "/"}}
	w := httptest.NewRecorder()
	frame.Front(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { address = frame.Address(r) }), proxies).ServeHTTP(w, r)
	return address, w.Header()
}

func TestClientBehindProxies(t *testing.T) {
	tests := []struct {
		name, remote string
		forwarded    []string // headers
		want         string
	}{
		{"direct", "203.0.113.9:1234", nil, "203.0.113.9"},
		{"a stranger's word counts for nothing", "203.0.113.9:1234", []string{"198.51.100.1"}, "203.0.113.9"},
		{"a private network that is not named", "192.168.0.2:1234", []string{"198.51.100.1"}, "192.168.0.2"},
		{"behind a proxy", "127.0.0.1:1234", []string{"198.51.100.1"}, "198.51.100.1"},
		{"what the visitor said before the proxy", "10.0.0.2:1234", []string{"6.6.6.6, 198.51.100.1"}, "198.51.100.1"},
		{"two proxies", "127.0.0.1:1234", []string{"6.6.6.6, 198.51.100.1, 10.9.9.9"}, "198.51.100.1"},
		{"two headers are one list", "127.0.0.1:1234", []string{"6.6.6.6, 198.51.100.1", "10.9.9.9"}, "198.51.100.1"},
		{"who claims to be a proxy", "203.0.113.9:1234", []string{"10.9.9.9"}, "203.0.113.9"},
		{"nobody but proxies", "127.0.0.1:1234", []string{"10.1.1.1, 10.9.9.9"}, "10.1.1.1"},
		{"a proxy that says nothing", "127.0.0.1:1234", nil, "127.0.0.1"},
		{"nonsense", "127.0.0.1:1234", []string{"unknown"}, "127.0.0.1"},
		{"nonsense behind a proxy", "127.0.0.1:1234", []string{"198.51.100.1, unknown, 10.9.9.9"}, "10.9.9.9"},
		{"an empty end", "127.0.0.1:1234", []string{"198.51.100.1,"}, "127.0.0.1"},
		{"with its port", "127.0.0.1:1234", []string{"198.51.100.1:5678"}, "198.51.100.1"},
		{"in brackets", "127.0.0.1:1234", []string{"[2001:db8:1:2::7]"}, "2001:db8:1:2::/64"},
		{"in brackets with its port", "[::ffff:127.0.0.1]:1234", []string{"[2001:db8:1:2::7]:5678"}, "2001:db8:1:2::/64"},
		{"an IPv6 proxy", "[2001:db8:ff::1]:1", []string{"198.51.100.1"}, "198.51.100.1"},
		{"one customer's network", "[2001:db8:1:2:3:4:5:6]:1", nil, "2001:db8:1:2::/64"},
		{"v4 in v6", "[::ffff:203.0.113.9]:1", nil, "203.0.113.9"},
		{"v4 in v6, forwarded", "127.0.0.1:1", []string{"::ffff:203.0.113.9"}, "203.0.113.9"},
		{"no address at all", "@", []string{"198.51.100.1"}, "unknown"},
	}
	for _, tt := range tests {
		if got, _ := seen(tt.remote, http.Header{"X-Forwarded-For": tt.forwarded}); got != tt.want {
			t.Errorf("%s: Address = %q, want %q", tt.name, got, tt.want)
		}
	}
}

func TestFrontSpeaksForAllAnswers(t *testing.T) {
	tests := []struct {
		name, remote string
		proto        []string
		secure       bool
	}{
		{"http", "203.0.113.9:1", nil, false},
		{"a stranger's https", "203.0.113.9:1", []string{"https"}, false},
		{"a proxy's https", "127.0.0.1:1", []string{"https"}, true},
		{"a proxy's http", "127.0.0.1:1", []string{"http"}, false},
		{"what the visitor said before the proxy", "127.0.0.1:1", []string{"https, http"}, false},
		{"in two headers", "127.0.0.1:1", []string{"http", "https"}, true},
	}
	for _, tt := range tests {
		_, h := seen(tt.remote, http.Header{"X-Forwarded-Proto": tt.proto})
		if got := h.Get("Strict-Transport-Security") != ""; got != tt.secure {
			t.Errorf("%s: Strict-Transport-Security sent: %t, want %t", tt.name, got, tt.secure)
		}
		if h.Get("X-Content-Type-Options") != "nosniff" || !strings.Contains(h.Get("Content-Security-Policy"), "frame-ancestors 'none'") || h.Get("Referrer-Policy") != "same-origin" {
			t.Errorf("%s: headers %v", tt.name, h)
		}
	}
}

// FuzzClient: a client behind one proxy is whom the proxy says, whatever the
// client has said before.
func FuzzClient(f *testing.F) {
	for _, said := range []string{"", "10.0.0.1", "1.2.3.4, 10.0.0.1", ",,", "[::1]:x", "::ffff:1.2.3.4%eth0", "unknown,", "\x00"} {
		f.Add(said, byte(7))
	}
	f.Fuzz(func(t *testing.T, said string, n byte) {
		client := netip.AddrFrom4([4]byte{198, 51, 100, n}).String()
		if got, _ := seen("10.0.0.2:443", http.Header{"X-Forwarded-For": {said + ", " + client}}); got != client {
			t.Errorf("the client %s said %q and counts as %q", client, said, got)
		}
		if got, _ := seen(client+":80", http.Header{"X-Forwarded-For": {said}}); got != client {
			t.Errorf("the client %s, who is no proxy, said %q and counts as %q", client, said, got)
		}
		got, _ := seen("127.0.0.1:1", http.Header{"X-Forwarded-For": {said}})
		if _, err := netip.ParseAddr(got); err != nil {
			if _, err := netip.ParsePrefix(got); err != nil {
				t.Errorf("a proxy said %q, and the key is %q", said, got)
			}
		}
	})
}

func TestLimiterIsBounded(t *testing.T) {
	now := time.Date(2026, 11, 22, 4, 0, 0, 0, time.UTC)
	l := frame.NewLimiter(1, 2, 3)
	for n, want := range []bool{true, true, false} {
		if got := l.Wait("a", now) == 0; got != want {
			t.Errorf("turn %d let through: %t, want %t", n+1, got, want)
		}
	}
	for _, other := range []string{"b", "c", "d"} { // a moves among the old, and is still known
		l.Wait(other, now)
	}
	if l.Wait("a", now) == 0 {
		t.Error("a was forgotten while three others came")
	}
	if wait := l.Wait("a", now); wait != time.Second {
		t.Errorf("a has to wait %s, want 1s", wait)
	}
	for n := range 20 {
		l.Wait(strings.Repeat("x", n), now)
	}
	if l.Wait("a", now) != 0 {
		t.Error("a is still known after twenty others")
	}
}

func TestLocal(t *testing.T) {
	for path, want := range map[string]bool{
		"/m": true, "/m/": true, "/m/a?b=c": true, "/mall": false, "": false, "//evil.example/m/": false,
		"https://evil.example/m/": false, "/\\evil.example": false, "/m/\r\nx": false, "m/a": false,
	} {
		if got := frame.Local(path, "/m"); got != want {
			t.Errorf("Local(%q, /m) = %t, want %t", path, got, want)
		}
	}
	if frame.Local("", "") || !frame.Local("/draws/1", "") || frame.Local("//evil.example", "") {
		t.Error("without a prefix Local does not tell this site from others")
	}
}

func TestRows(t *testing.T) {
	id := func(n int64) int64 { return n }
	page := frame.RowsOf([]int64{9, 8, 7}, 2, "/a", url.Values{"q": {"x"}}, id)
	if len(page.Items) != 2 || page.Older != "/a?before=8&q=x" || page.First != "" {
		t.Errorf("first page = %+v", page)
	}
	page = frame.RowsOf([]int64{7}, 2, "/a", url.Values{"before": {"8"}}, id)
	if len(page.Items) != 1 || page.Older != "" || page.First != "/a" {
		t.Errorf("last page = %+v", page)
	}
}

func TestFields(t *testing.T) {
	form := url.Values{"name": {"新"}}
	f := frame.FieldsOf(form, nil, "name", "旧", "n", 5)
	if f.Value("name") != "旧" || !f.Is("n", 5) || f.Value("other") != "" {
		t.Error("without a problem fields do not hold the defaults")
	}
	f = frame.FieldsOf(form, &frame.InputError{Field: "name", Message: "太新"}, "name", "旧", "n", 5)
	if f.Value("name") != "新" || f.Error("name") != "太新" || f.Error("n") != "" || f.Value("n") != "5" {
		t.Error("with a problem fields do not hold what was typed and what is wrong")
	}
}

// Every form of a page gets a key of its own.
func TestFormKeysDiffer(t *testing.T) {
	layout := fstest.MapFS{"layout/l.html": {Data: []byte(`{{define "layout"}}{{template "main" .}}{{end}}`)}}
	page := fstest.MapFS{"p.html": {Data: []byte(`{{define "main"}}{{range .}}<form method="post">{{formKey}}</form>{{end}}{{end}}`)}}
	parsed, err := frame.NewTemplates(layout, style.Funcs(time.Now, time.UTC)).Parse(page, "p.html")
	if err != nil {
		t.Fatal(err)
	}
	body, err := parsed.Render([]int{1, 2, 3})
	if err != nil {
		t.Fatal(err)
	}
	keys := map[string]bool{}
	for _, m := range regexp.MustCompile(`value="([A-Z2-7]{26})"`).FindAllStringSubmatch(string(body), -1) {
		keys[m[1]] = true
	}
	if len(keys) != 3 {
		t.Errorf("three forms have %d keys:\n%s", len(keys), body)
	}
}

// The surfaces' own stylesheets name no colours and use no variable that
// look.css does not define.
func TestStylesheetsUseTheVariables(t *testing.T) {
	for _, file := range []string{"../console/console.css", "../portal/portal.css"} {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		if literal := regexp.MustCompile(`#[0-9a-fA-F]{3,8}\b|rgb\(|hsl\(`).Find(text); literal != nil {
			t.Errorf("%s names the colour %s: use a variable of look.css", file, literal)
		}
		for _, name := range regexp.MustCompile(`var\((--[a-z0-9-]+)\)`).FindAllStringSubmatch(string(text), -1) {
			if !strings.Contains(style.CSS, name[1]+":") {
				t.Errorf("%s uses %s, which look.css does not define", file, name[1])
			}
		}
	}
}
