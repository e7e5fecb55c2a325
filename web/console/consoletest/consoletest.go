// Package consoletest visits operators' pages as a browser without scripts
// does: it signs in, reads pages and sends their forms.
//
//	b := consoletest.Open(t, console.Config{Store: db, Pages: pages, Now: now, Log: log})
//	b.SignIn(db, store.Operator{UserID: "zhangsan", Role: store.Staff, CreatedAt: now()})
//	b.Holds("saved", b.Post(http.StatusOK, "/console/keywords/new", "pattern", "停车"), "已添加")
package consoletest

import (
	"context"
	"html"
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"net/url"
	"regexp"
	"strings"
	"testing"
	"time"

	"qunbot/store"
	"qunbot/web/console"
)

// A Browser keeps cookies and follows redirects.
type Browser struct {
	URL    string // the site's, which paths such as /console/ are added to
	Client *http.Client
	t      testing.TB
}

// Open serves a console until the test ends and returns a browser for it, not
// signed in.
func Open(t testing.TB, config console.Config) *Browser {
	t.Helper()
	c, err := console.New(config)
	if err != nil {
		t.Fatal(err)
	}
	mux := http.NewServeMux()
	c.Mount(mux)
	server := httptest.NewServer(mux)
	t.Cleanup(server.Close)
	return New(t, server.URL)
}

// New returns a browser without cookies for the site at url.
func New(t testing.TB, url string) *Browser {
	t.Helper()
	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	return &Browser{URL: url, Client: &http.Client{Jar: jar}, t: t}
}

// LoginPath puts o into db and returns a path that lets o in once, within an
// hour of o.CreatedAt.
func LoginPath(t testing.TB, db *store.Store, o store.Operator) (path string) {
	t.Helper()
	err := db.Update(context.Background(), func(tx *store.Tx) error {
		saved, err := tx.PutOperator(tx.Context(), o)
		if err != nil {
			return err
		}
		token, err := tx.AddLoginLink(tx.Context(), saved.ID, o.CreatedAt.Add(time.Hour))
		path = console.LoginURL("", token)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return path
}

// SignIn puts o into db and signs o in. The console's clock must be within an
// hour of o.CreatedAt.
func (b *Browser) SignIn(db *store.Store, o store.Operator) {
	b.t.Helper()
	got, page := b.Do(b.Request(http.MethodPost, LoginPath(b.t, db, o), nil))
	if got.StatusCode >= http.StatusBadRequest {
		b.t.Fatalf("sign-in = %s\n%s", got.Status, page)
	}
}

// Get returns a page that answers with 200.
func (b *Browser) Get(path string) string {
	b.t.Helper()
	return b.Ask(http.StatusOK, http.MethodGet, path, nil)
}

// Post sends the form of the page at path, filled with pairs of a name and a
// value, and returns the page it leads to, which must have this status.
func (b *Browser) Post(status int, path string, pairs ...string) string {
	b.t.Helper()
	form := url.Values{"_key": {FormKey(b.t, b.Get(path))}}
	for i := 0; i < len(pairs); i += 2 {
		form.Add(pairs[i], pairs[i+1])
	}
	return b.Ask(status, http.MethodPost, path, form)
}

// Ask sends a form as it is and returns the page it leads to, which must have
// this status.
func (b *Browser) Ask(status int, method, path string, form url.Values) string {
	b.t.Helper()
	got, page := b.Do(b.Request(method, path, form))
	if got.StatusCode != status {
		b.t.Fatalf("%s %s = %s, want %d\n%s", method, path, got.Status, status, page)
	}
	return page
}

// Request returns what the browser sends for a form on a page of the site's.
func (b *Browser) Request(method, path string, form url.Values) *http.Request {
	b.t.Helper()
	r, err := http.NewRequestWithContext(b.t.Context(), method, b.URL+path, strings.NewReader(form.Encode()))
	if err != nil {
		b.t.Fatal(err)
	}
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	r.Header.Set("Sec-Fetch-Site", "same-origin")
	return r
}

// Do sends a request and returns the answer and its body.
func (b *Browser) Do(r *http.Request) (*http.Response, string) {
	b.t.Helper()
	got, err := b.Client.Do(r)
	if err != nil {
		b.t.Fatal(err)
	}
	defer got.Body.Close()
	body, err := io.ReadAll(got.Body)
	if err != nil {
		b.t.Fatal(err)
	}
	return got, string(body)
}

// Holds fails the test if one of the parts is not on the page: in its text or
// its markup, with entities such as &lt; read as what they stand for.
func (b *Browser) Holds(what, page string, parts ...string) {
	b.t.Helper()
	page = html.UnescapeString(page)
	for _, p := range parts {
		if !strings.Contains(page, p) {
			b.t.Errorf("%s: the page does not hold %q:\n%s", what, p, page)
		}
	}
}

// Lacks fails the test if one of the parts is on the page, read as Holds does.
func (b *Browser) Lacks(what, page string, parts ...string) {
	b.t.Helper()
	page = html.UnescapeString(page)
	for _, p := range parts {
		if strings.Contains(page, p) {
			b.t.Errorf("%s: the page holds %q:\n%s", what, p, page)
		}
	}
}

var formKey = regexp.MustCompile(`name="_key" value="([A-Z2-7]+)"`)

// FormKey returns the one-time key of the page's first form.
func FormKey(t testing.TB, page string) string {
	t.Helper()
	key := formKey.FindStringSubmatch(page)
	if key == nil {
		t.Fatalf("the page has no form:\n%s", page)
	}
	return key[1]
}
