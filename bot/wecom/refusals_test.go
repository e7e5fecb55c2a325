package wecom_test

import (
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"qunbot/bot/wecom"
)

// A flood of forged callbacks is answered 429 after a while, and costs two
// lines of log a minute. Genuine ones are never kept out, not even from the
// same address.
func TestFloodOfForgedCallbacks(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFixture(t)
		p, err := wecom.New(wecom.Config{
			Bots: []wecom.Bot{{Name: "helper", DisplayName: "小助手", Token: testToken, AESKey: testAESKey}},
			Now:  func() time.Time { return time.Now().Add(noon.Sub(start2000)) }, Log: slog.New(slog.NewTextHandler(&f.log, nil)),
		})
		if err != nil {
			t.Fatal(err)
		}
		f.mux = http.NewServeMux()
		p.Mount(f.mux, f.engine)
		ended := make(chan error, 1)
		go func() { ended <- p.Run(t.Context()) }()

		forger, err := wecom.NewCipher("otherTOKEN", testAESKey, "")
		if err != nil {
			t.Fatal(err)
		}
		f.remote = "192.0.2.1:1000"
		got := map[int]int{}
		var last *httptest.ResponseRecorder
		for n := range 500 {
			last = f.post(forger, groupText)
			got[last.Code]++
			if n%100 == 99 {
				if w := f.post(f.cipher, strings.Replace(groupText, "CAIQ1", fmt.Sprint("m", n), 1)); w.Code != http.StatusOK {
					t.Errorf("a genuine callback from the flood's address = %d, want 200", w.Code)
				}
			}
		}
		if got[http.StatusForbidden] != 30 || got[http.StatusTooManyRequests] != 470 {
			t.Errorf("500 forged callbacks = %v, want 30 times 403 and 470 times 429", got)
		}
		if wait, err := strconv.Atoi(last.Header().Get("Retry-After")); err != nil || wait < 1 || wait > 60 {
			t.Errorf("Retry-After = %q, want 1 to 60", last.Header().Get("Retry-After"))
		}
		if len(f.engine.said) != 5 {
			t.Errorf("the engine heard %d messages, want the 5 genuine ones", len(f.engine.said))
		}
		f.remote = "192.0.2.2:1000"
		if w := f.post(forger, groupText); w.Code != http.StatusForbidden {
			t.Errorf("forged, from another address = %d, want 403", w.Code)
		}
		if log := f.log.String(); strings.Count(log, "\n") != 2 {
			t.Errorf("log of the first minute:\n%swant one line an address", log)
		}
		f.log.Reset()
		time.Sleep(90 * time.Second)
		synctest.Wait()
		if log := f.log.String(); strings.Count(log, "\n") != 1 || !strings.Contains(log, "count=500") || !strings.Contains(log, "from=192.0.2.1:1000") {
			t.Errorf("log after the minute:\n%swant the flood's 500 in one line", log)
		}
		f.remote = "192.0.2.1:1000"
		if w := f.post(forger, groupText); w.Code != http.StatusForbidden {
			t.Errorf("a minute later = %d, want 403 again", w.Code)
		}
	})
}

// start2000 is when a synctest bubble begins.
var start2000 = time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC)

// From ever more addresses, the table and the log stay bounded.
func TestForgedCallbacksFromEverywhere(t *testing.T) {
	f := newFixture(t)
	forger, err := wecom.NewCipher("otherTOKEN", testAESKey, "")
	if err != nil {
		t.Fatal(err)
	}
	got := map[int]int{}
	for n := range 3000 {
		f.remote = fmt.Sprintf("198.18.%d.%d:1", n/256, n%256)
		got[f.post(forger, groupText).Code]++
	}
	if lines := strings.Count(f.log.String(), "\n"); lines != 1001 {
		t.Errorf("3000 addresses left %d lines, want 1001", lines)
	}
	if got[http.StatusForbidden] != 1030 || got[http.StatusTooManyRequests] != 1970 {
		t.Errorf("3000 addresses got %v, want 1030 times 403, then 429", got)
	}
	f.remote = "203.0.113.1:1"
	if w := f.post(f.cipher, groupText); w.Code != http.StatusOK {
		t.Errorf("a genuine callback meanwhile = %d, want 200", w.Code)
	}
}

// What was signed too long ago or in the future is refused, also where no
// message goes to the engine, and before anything is read.
func TestSignedAtAnotherTime(t *testing.T) {
	refresh := `{"msgid":"CAIQ2","aibotid":"aib1","chattype":"single","from":{"userid":"lisi"},"msgtype":"stream","stream":{"id":"st-1"}}`
	for name, at := range map[string]time.Time{
		"25 hours ago": noon.Add(-25 * time.Hour), "4 days ago": noon.Add(-96 * time.Hour), "11 minutes ahead": noon.Add(11 * time.Minute),
		"in 2100": time.Date(2100, 1, 1, 0, 0, 0, 0, time.UTC), "1970": time.Unix(1, 0),
	} {
		f := newFixture(t)
		e := f.cipher.Seal([]byte(refresh), at.Unix(), "nonce1")
		if w := f.postRaw(e.Query(), wecom.Delivery{Encrypt: e.Encrypt}.JSON()); w.Code != http.StatusBadRequest || w.Body.Len() != 0 {
			t.Errorf("a refresh signed %s = %d %q, want 400 and nothing", name, w.Code, w.Body)
		}
		query := e.Query()
		query.Set("echostr", e.Encrypt)
		w := httptest.NewRecorder()
		r := httptest.NewRequest(http.MethodGet, "/wecom/aibot/helper?"+query.Encode(), nil)
		r.RemoteAddr = f.remote
		f.mux.ServeHTTP(w, r)
		if w.Code != http.StatusBadRequest || w.Body.Len() != 0 {
			t.Errorf("a verification signed %s = %d %q, want 400 and nothing", name, w.Code, w.Body)
		}
		if lines := strings.Count(f.log.String(), "\n"); lines != 1 {
			t.Errorf("%s: %d lines of log, want 1", name, lines)
		}
	}
	// The edges are in time.
	for _, at := range []time.Time{noon.Add(-24 * time.Hour), noon.Add(10 * time.Minute)} {
		f := newFixture(t)
		e := f.cipher.Seal([]byte(refresh), at.Unix(), "nonce1")
		if w := f.postRaw(e.Query(), wecom.Delivery{Encrypt: e.Encrypt}.JSON()); w.Code != http.StatusOK {
			t.Errorf("a refresh signed at %s = %d, want 200", at, w.Code)
		}
	}
	// A recorded event under a timestamp of now, as if digits had been moved
	// between nonce and timestamp: the signature is over their sorted join.
	f := newAppFixture(t)
	old := strings.Replace(xmlOf("event", "<Event>kf_msg_or_event</Event>"), "1795219200", "1790000000", 1)
	if w := f.post(f.cipher, old); w.Code != http.StatusBadRequest {
		t.Errorf("an event created two months before it was signed = %d, want 400", w.Code)
	}
}

// The verification reads no recorded message to anybody.
func TestVerificationReadsNoMessages(t *testing.T) {
	f := newFixture(t)
	for _, plain := range []string{groupText, " \n" + groupText, xmlOf("text", "")} {
		e := f.cipher.Seal([]byte(plain), noon.Unix(), "n")
		query := e.Query()
		query.Set("echostr", e.Encrypt)
		w := httptest.NewRecorder()
		f.mux.ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/wecom/aibot/helper?"+query.Encode(), nil))
		if w.Code != http.StatusBadRequest || w.Body.Len() != 0 {
			t.Errorf("a message as echostr = %d %q, want 400 and nothing", w.Code, w.Body)
		}
	}
}

// What one forged callback of a flood costs, by how it is forged.
func BenchmarkForgedCallback(b *testing.B) {
	p, err := wecom.New(wecom.Config{
		Bots: []wecom.Bot{{Name: "helper", DisplayName: "小助手", Token: testToken, AESKey: testAESKey}},
		Now:  func() time.Time { return noon }, Log: slog.New(slog.DiscardHandler),
	})
	if err != nil {
		b.Fatal(err)
	}
	mux := http.NewServeMux()
	p.Mount(mux, &echoEngine{})
	forger, err := wecom.NewCipher("otherTOKEN", testAESKey, "")
	if err != nil {
		b.Fatal(err)
	}
	small, old := forger.Seal([]byte(groupText), noon.Unix(), "n"), forger.Seal([]byte(groupText), noon.Unix()-100_000, "n")
	for name, tt := range map[string]struct{ query, body string }{
		"signature": {small.Query().Encode(), string(wecom.Delivery{Encrypt: small.Encrypt}.JSON())},
		"age":       {old.Query().Encode(), string(wecom.Delivery{Encrypt: old.Encrypt}.JSON())},
		"60 KiB":    {small.Query().Encode(), string(wecom.Delivery{Encrypt: strings.Repeat("A", 60<<10)}.JSON())},
		"1 MiB":     {small.Query().Encode(), string(wecom.Delivery{Encrypt: strings.Repeat("A", 1000<<10)}.JSON())},
	} {
		b.Run(name, func(b *testing.B) {
			n := 0
			for b.Loop() {
				w := httptest.NewRecorder()
				r := httptest.NewRequest(http.MethodPost, "/wecom/aibot/helper?"+tt.query, strings.NewReader(tt.body))
				r.RemoteAddr = name
				mux.ServeHTTP(w, r)
				if n++; w.Code < 400 || n > 30 && w.Code != http.StatusTooManyRequests {
					b.Fatalf("status %d", w.Code)
				}
				if n <= 30 {
					b.ResetTimer() // what follows is the flood
				}
			}
		})
	}
}
