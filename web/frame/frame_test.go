package frame_test

import (
	"net/http"
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

func TestAddress(t *testing.T) {
	tests := []struct {
		name, remote, forwarded, want string
	}{
		{"direct", "203.0.113.9:1234", "", "203.0.113.9"},
		{"a stranger's word counts for nothing", "203.0.113.9:1234", "198.51.100.1", "203.0.113.9"},
		{"behind a proxy", "127.0.0.1:1234", "198.51.100.1", "198.51.100.1"},
		{"what the visitor said before the proxy", "10.0.0.2:1234", "6.6.6.6, 198.51.100.1", "198.51.100.1"},
		{"a proxy that says nothing", "127.0.0.1:1234", "", "127.0.0.1"},
		{"nonsense", "127.0.0.1:1234", "unknown", "127.0.0.1"},
		{"one customer's network", "[2001:db8:1:2:3:4:5:6]:1", "", "2001:db8:1:2::/64"},
		{"v4 in v6", "[::ffff:203.0.113.9]:1", "", "203.0.113.9"},
	}
	for _, tt := range tests {
		r := &http.Request{RemoteAddr: tt.remote, Header: http.Header{}}
		if tt.forwarded != "" {
			r.Header.Set("X-Forwarded-For", tt.forwarded)
		}
		if got := frame.Address(r); got != tt.want {
			t.Errorf("%s: Address = %q, want %q", tt.name, got, tt.want)
		}
	}
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
