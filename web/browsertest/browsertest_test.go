package browsertest_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"qunbot/web/browsertest"
)

// A listener is a test that notes its errors.
type listener struct {
	testing.TB
	errors []string
}

func (l *listener) Errorf(format string, args ...any) {
	l.errors = append(l.errors, fmt.Sprintf(format, args...))
}

// Every check finds what it looks for, and nothing else.
func TestChecks(t *testing.T) {
	pages := map[string]string{
		"/good":  `<button style="height:44px">a</button><div class="pane">a</div>`,
		"/wide":  `<p style="width:391px">a</p>`,
		"/pane":  `<div class="pane" style="width:9px;overflow:auto"><p style="width:20px">a</p></div>`,
		"/small": `<button style="height:43px">a</button><button hidden>b</button>`,
		"/throw": `<script>throw new Error("a")</script>`,
		"/error": `<script>console.error("a")</script>`,
		"/lost":  `<img src="/nothing">`,
	}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, found := pages[r.URL.Path]
		if !found {
			http.NotFound(w, r)
			return
		}
		fmt.Fprintf(w, `<!doctype html><meta name="viewport" content="width=device-width"><link rel="icon" href="data:,"><style>* { margin: 0 }</style>%s`, body)
	}))
	t.Cleanup(server.Close)
	browser := browsertest.Start(t)
	for _, tt := range []struct {
		path string
		want string // part of the one error; empty: none
	}{
		{"/good", ""},
		{"/wide", "391 px wide in a window of 390"},
		{"/pane", "panes that are too narrow"},
		{"/small", "targets below 44 px"},
		{"/throw", "exception: "},
		{"/error", "console.error"},
		{"/lost", "404"},
	} {
		l := &listener{TB: t}
		p := browser.Tab(l, 390, 844, "light")
		p.Open(server.URL + tt.path)
		p.Fits("page", ".pane")
		p.Tappable("page", "button")
		p.Clean("page")
		p.Close()
		if got := strings.Join(l.errors, "\n"); len(l.errors) > 1 || (got == "") != (tt.want == "") || !strings.Contains(got, tt.want) {
			t.Errorf("%s: errors %q, want %q", tt.path, got, tt.want)
		}
	}
	p := browser.Tab(t, 1440, 900, "dark")
	p.Open(server.URL + "/small")
	p.Tappable("a page that is no phone's", "button")
	if !browsertest.Eval[bool](p, `matchMedia('(prefers-color-scheme: dark)').matches`) {
		t.Error("the tab is not dark")
	}
}
