package wecom

import (
	"bytes"
	"context"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"testing"
	"time"

	"qunbot/bot"
	"qunbot/store"
	"qunbot/store/storetest"
)

func TestParseSource(t *testing.T) {
	for text, want := range map[string]string{
		"101.226.103.7": "101.226.103.7/32", "101.226.103.*": "101.226.103.0/24", " 101.226.*.* ": "101.226.0.0/16", "10.1.2.3/24": "10.1.2.0/24",
		"2001:db8::1": "2001:db8::1/128", "2001:db8::/32": "2001:db8::/32",
		"": "", "*": "", "*.*.*.*": "", "101.*.103.7": "", "0.0.0.0/0": "", "::/0": "", "101.226.103": "", "101.226.103.*.*": "", "a.b.c.d": "", "fe80::1%eth0": "",
	} {
		got, err := parseSource(text)
		if want == "" && err == nil || want != "" && (err != nil || got.String() != want) {
			t.Errorf("parseSource(%q) = %v, %v, want %q", text, got, err, want)
		}
	}
}

// FuzzParseSource: whatever the platform lists, nothing lets everybody in.
func FuzzParseSource(f *testing.F) {
	for _, text := range []string{"101.226.103.*", "101.226.*.*", "10.0.0.0/8", "::1", "*.*.*.*", "1.2.3.4/0", "\x00"} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		network, err := parseSource(text)
		if err == nil && (!network.IsValid() || network.Bits() < 1 || network != network.Masked()) {
			t.Errorf("parseSource(%q) = %v", text, network)
		}
	})
}

// The list is asked for once an hour, kept, and the last known one is used
// while the platform cannot be asked.
func TestSources(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.Store) {
		platform := newFakeWeCom(t)
		var log bytes.Buffer
		now := time.Date(2026, 11, 22, 4, 0, 0, 0, time.UTC)
		open := func() *Sources {
			t.Helper()
			s, err := NewSources(t.Context(), platform.api(t, &log), db, func() time.Time { return now }, slog.New(slog.NewTextHandler(&log, nil)))
			if err != nil {
				t.Fatal(err)
			}
			return s
		}
		refresh := func(s *Sources, wantErr bool) {
			t.Helper()
			if err := s.refresh(t.Context()); (err != nil) != wantErr {
				t.Errorf("refresh = %v, want an error: %t", err, wantErr)
			}
		}
		asked := func(want int) {
			t.Helper()
			if got := len(platform.called("getcallbackip")); got != want {
				t.Errorf("the platform was asked %d times, want %d", got, want)
			}
		}

		first := open()
		if !first.allow("203.0.113.9:1") || !strings.Contains(log.String(), "not known yet") {
			t.Errorf("without a list: a stranger let in: %t, log %q", first.allow("203.0.113.9:1"), &log)
		}
		platform.answer("getcallbackip", saying(`{"errcode":0,"errmsg":"ok","ip_list":[]}`))
		refresh(first, true)
		if !first.allow("203.0.113.9:1") {
			t.Error("an empty list keeps everybody out")
		}
		platform.answer("getcallbackip", saying(`{"errcode":0,"errmsg":"ok","ip_list":["101.226.103.*","one day more","2402:4e00::1"]}`))
		refresh(first, false)
		asked(2)
		for remote, want := range map[string]bool{
			"101.226.103.200:443": true, "[::ffff:101.226.103.1]:443": true, "[2402:4e00::1]:1": true,
			"101.226.104.1:443": false, "203.0.113.9:1": false, "[2402:4e00::2]:1": false, "@": false,
		} {
			if got := first.allow(remote); got != want {
				t.Errorf("allow(%s) = %t, want %t", remote, got, want)
			}
		}

		now = now.Add(59 * time.Minute)
		refresh(first, false)
		second := open() // another replica, or a restart
		if second.allow("203.0.113.9:1") || !second.allow("101.226.103.1:1") {
			t.Error("after a restart the stored list is not in force")
		}
		refresh(second, false)
		asked(2)

		now = now.Add(time.Minute)
		platform.answer("getcallbackip", saying(`{"errcode":50001,"errmsg":"try later"}`))
		refresh(second, true)
		if second.allow("203.0.113.9:1") || !second.allow("101.226.103.1:1") {
			t.Error("while the platform cannot be asked, the last list is not in force")
		}
		platform.answer("getcallbackip", saying(`{"errcode":0,"errmsg":"ok","ip_list":["203.0.113.*"]}`))
		refresh(second, false)
		asked(4)
		refresh(first, false) // finds what the other replica stored
		asked(4)
		if !first.allow("203.0.113.9:1") || first.allow("101.226.103.1:1") {
			t.Error("the other replica's list is not in force")
		}
	})
}

// A callback from elsewhere is refused before anything of it is read; the
// verification of the address, which changes nothing, is not.
func TestCallbacksFromElsewhere(t *testing.T) {
	var log bytes.Buffer
	sources := &Sources{}
	sources.list.Store(&sourceList{Networks: []netip.Prefix{netip.MustParsePrefix("101.226.103.0/24")}})
	noon := time.Date(2026, 11, 22, 4, 0, 0, 0, time.UTC)
	p, err := New(Config{
		Bots: []Bot{{Name: "helper", Token: testSourceToken, AESKey: testSourceKey}}, Sources: sources,
		Now: func() time.Time { return noon }, Log: slog.New(slog.NewTextHandler(&log, nil)),
	})
	if err != nil {
		t.Fatal(err)
	}
	mux := http.NewServeMux()
	p.Mount(mux, noEngine{})
	cipher, err := NewCipher(testSourceToken, testSourceKey, "")
	if err != nil {
		t.Fatal(err)
	}
	e := cipher.Seal([]byte(`{"msgid":"1","aibotid":"a","chattype":"single","from":{"userid":"lisi"},"msgtype":"stream","stream":{"id":"x"}}`), noon.Unix(), "n")
	send := func(method, remote string) *httptest.ResponseRecorder {
		query, body := e.Query(), bytes.NewReader(Delivery{Encrypt: e.Encrypt}.JSON())
		if method == http.MethodGet {
			echo := cipher.Seal([]byte("5927782489442352469"), noon.Unix(), "n")
			query, body = echo.Query(), bytes.NewReader(nil)
			query.Set("echostr", echo.Encrypt)
		}
		r := httptest.NewRequest(method, "/wecom/aibot/helper?"+query.Encode(), body)
		r.RemoteAddr = remote
		w := httptest.NewRecorder()
		mux.ServeHTTP(w, r)
		return w
	}
	if w := send("POST", "101.226.103.5:1"); w.Code != http.StatusOK {
		t.Errorf("from the platform = %d, want 200", w.Code)
	}
	if w := send("POST", "203.0.113.9:1"); w.Code != http.StatusForbidden || w.Body.Len() != 0 || strings.Count(log.String(), "203.0.113.9") != 1 {
		t.Errorf("signed, but from elsewhere = %d %q, log %q, want 403, nothing and one line", w.Code, w.Body, &log)
	}
	if w := send("GET", "203.0.113.9:1"); w.Code != http.StatusOK {
		t.Errorf("verification from elsewhere = %d, want 200", w.Code)
	}
}

const (
	testSourceToken = "QDG6eK7tok3n"
	testSourceKey   = "jWmYm7qr5nMoAUwZRjGtBxmz3KA1tkAj3ykkR6q2B2C"
)

// noEngine knows nothing.
type noEngine struct{ Engine }

func (noEngine) Stream(context.Context, string) (a bot.Answer, err error) {
	return a, store.ErrNotFound
}
