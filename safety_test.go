package main

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"qunbot/config"
	"qunbot/store"
	"qunbot/store/storetest"
	"qunbot/web/api"
	"qunbot/web/console"
	"qunbot/web/portal"
)

// ---- a service whose time, log and platform a test holds ----

// A warden is a service with a clock that can be moved, a log that can be read,
// and a platform that notes what it is asked.
type warden struct {
	t      *testing.T
	o      store.Options
	path   string       // of the settings
	ahead  atomic.Int64 // of the clock, nanoseconds
	log    syncBuffer
	asked  syncBuffer // one line a call of the platform: path and body
	client *http.Client
	base   string   // of the running service
	served []string // patterns of what it serves, see start
	*running
}

// A syncBuffer may be written and read at once.
type syncBuffer struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (b *syncBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.Write(p)
}

func (b *syncBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.String()
}

func (b *syncBuffer) Reset() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.buf.Reset()
}

const (
	wardCorp = "ww0123456789abcdef"
	wardKF   = "wkTESTaccount"
	wardKey  = "pos-0123456789abcdef0123"
)

// newWarden writes settings with everything that faces the outside, and more.
func newWarden(t *testing.T, o store.Options, more string) *warden {
	t.Helper()
	w := &warden{t: t, o: o, client: &http.Client{
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }, Timeout: 20 * time.Second,
	}}
	platform := httptest.NewServer(http.HandlerFunc(w.platform))
	t.Cleanup(platform.Close)
	w.path = writeSettings(t, o)
	text, err := os.ReadFile(w.path)
	if err != nil {
		t.Fatal(err)
	}
	text = bytes.Replace(text, []byte("wecom:\n"), fmt.Appendf(nil, "wecom:\n  api_base: %s\n  app: {agent_id: 1000002, secret: appSecret, token: %s, aes_key: %s}\n  kf: {accounts: [%s]}\n",
		platform.URL, testToken, testAESKey, wardKF), 1)
	text = fmt.Appendf(text, "api: {keys: [{name: pos, key: %s}]}\n%s", wardKey, more)
	if err := os.WriteFile(w.path, text, 0o600); err != nil {
		t.Fatal(err)
	}
	return w
}

// platform answers what the service asks WeCom.
func (w *warden) platform(rw http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(r.Body)
	fmt.Fprintf(&w.asked, "%s %s %s\n", r.URL.Path, r.URL.RawQuery, body)
	rw.Header().Set("Content-Type", "application/json")
	switch r.URL.Path {
	case "/cgi-bin/gettoken":
		io.WriteString(rw, `{"errcode":0,"errmsg":"ok","access_token":"TOKEN","expires_in":7200}`)
	case "/cgi-bin/kf/sync_msg":
		io.WriteString(rw, `{"errcode":0,"errmsg":"ok","next_cursor":"c1","has_more":0,"msg_list":[]}`)
	case "/cgi-bin/getcallbackip":
		io.WriteString(rw, `{"errcode":0,"errmsg":"ok","ip_list":["101.226.103.*"]}`)
	case "/cgi-bin/auth/getuserinfo":
		io.WriteString(rw, `{"errcode":40029,"errmsg":"invalid code"}`)
	default:
		io.WriteString(rw, `{"errcode":0,"errmsg":"ok"}`)
	}
}

func (w *warden) now() time.Time { return time.Now().Add(time.Duration(w.ahead.Load())) }

// start starts the service anew.
func (w *warden) start() {
	w.t.Helper()
	w.running = start(w.t, w.path, func(ctx context.Context, cfg config.Config, env environment) error {
		env.Now = w.now
		env.Log = slog.New(twice{env.Log.Handler(), slog.NewTextHandler(&w.log, nil)})
		return adjusted(w.o, func(s *service) { w.served = patterns(w.t, s) })(ctx, cfg, env)
	})
	w.base = "http://" + w.address
}

// twice is two log handlers.
type twice struct{ one, other slog.Handler }

func (h twice) Enabled(context.Context, slog.Level) bool { return true }
func (h twice) WithAttrs(a []slog.Attr) slog.Handler {
	return twice{h.one.WithAttrs(a), h.other.WithAttrs(a)}
}
func (h twice) WithGroup(name string) slog.Handler {
	return twice{h.one.WithGroup(name), h.other.WithGroup(name)}
}
func (h twice) Handle(ctx context.Context, r slog.Record) error {
	var err error
	for _, one := range []slog.Handler{h.one, h.other} {
		if one.Enabled(ctx, r.Level) {
			err = errors.Join(err, one.Handle(ctx, r))
		}
	}
	return err
}

// An ask is one request.
type ask struct {
	method, path, body string
	from               string // of X-Forwarded-For
	header             []string
}

// do makes a request and returns what came back.
func (w *warden) do(a ask) (*http.Response, string) {
	w.t.Helper()
	if a.method == "" {
		a.method = http.MethodGet
	}
	req, err := http.NewRequestWithContext(w.t.Context(), a.method, w.base+a.path, strings.NewReader(a.body))
	if err != nil {
		w.t.Fatal(err)
	}
	if a.from != "" {
		req.Header.Set("X-Forwarded-For", a.from)
	}
	for i := 0; i+1 < len(a.header); i += 2 {
		req.Header.Set(a.header[i], a.header[i+1])
	}
	resp, err := w.client.Do(req)
	if err != nil {
		w.t.Fatalf("%s %s: %v", a.method, a.path, err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		w.t.Fatalf("%s %s: %v", a.method, a.path, err)
	}
	return resp, string(body)
}

// callback returns the request of a delivery with this plaintext to one of the
// addresses, signed now.
func (w *warden) callback(path, plain string) ask {
	p := newPlatform(w.address)
	p.url = ""
	if path == "/wecom/app" {
		encrypted := p.encrypt(plain, wardCorp)
		query, _ := p.signed(encrypted)
		return ask{method: "POST", path: path + query, body: "<xml><ToUserName>" + wardCorp + "</ToUserName><Encrypt>" + encrypted + "</Encrypt><AgentID>1000002</AgentID></xml>"}
	}
	encrypted := p.encrypt(plain, "")
	query, _ := p.signed(encrypted)
	return ask{method: "POST", path: path + query, body: `{"encrypt":"` + encrypted + `"}`}
}

// appXML is what the app hears from lisi at that time.
func appXML(kind string, at time.Time, rest string) string {
	return fmt.Sprintf("<xml><ToUserName>%s</ToUserName><FromUserName>lisi</FromUserName><CreateTime>%d</CreateTime><MsgType>%s</MsgType>%s<AgentID>1000002</AgentID></xml>",
		wardCorp, at.Unix(), kind, rest)
}

// waitFor waits until cond holds.
func waitFor(t *testing.T, what string, cond func() bool) {
	t.Helper()
	for end := time.Now().Add(20 * time.Second); !cond(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("waited 20 s for %s", what)
		}
	}
}

// ---- requests that were recorded ----

// A genuine request that somebody recorded changes nothing four days later,
// when the answer to it is forgotten: not on the bot's, the app's or 微信客服's
// address, not after a restart, and the log says so once. Nor does one that is
// dated ahead.
func TestRecordedCallbacksChangeNothing(t *testing.T) {
	storetest.EachOptions(t, func(t *testing.T, o store.Options) {
		w := newWarden(t, o, "")
		w.start()
		now := w.now()
		recorded := map[string]ask{
			"bot":     w.callback("/wecom/aibot/helper", saying{id: "m1", who: "wangwu", text: "签到", sent: now}.callback()),
			"app":     w.callback("/wecom/app", appXML("text", now, "<Content>签到</Content><MsgId>7001</MsgId>")),
			"event":   w.callback("/wecom/app", appXML("event", now, "<Event>click</Event><EventKey>签到</EventKey>")),
			"notice":  w.callback("/wecom/app", appXML("event", now, "<Event>kf_msg_or_event</Event><OpenKfId>"+wardKF+"</OpenKfId><Token>NOTICEtoken</Token>")),
			"refresh": w.callback("/wecom/aibot/helper", `{"msgid":"r1","aibotid":"a","chattype":"single","from":{"userid":"lisi"},"msgtype":"stream","stream":{"id":"st-1"}}`),
		}
		for name, a := range recorded {
			if resp, body := w.do(a); resp.StatusCode != http.StatusOK {
				t.Errorf("%s, delivered now = %s %q, want 200", name, resp.Status, body)
			}
		}
		waitFor(t, "the notice to be read", func() bool { return strings.Contains(w.asked.String(), "NOTICEtoken") })
		w.stop(t)

		state := func() (s string) {
			withDatabase(t, o, func(db *store.Store) {
				s = fmt.Sprintf("wangwu %+v, lisi %+v, %d decisions", standingOf(t, db, "wangwu"), standingOf(t, db, "lisi"), len(decisions(t, db)))
				verifyLedger(t, db)
			})
			return s
		}
		before := state()
		if !strings.Contains(before, "wangwu {checkIns:1 entries:1 balance:5}, lisi {checkIns:1 entries:1 balance:5}") {
			t.Fatalf("after the genuine deliveries: %s", before)
		}

		// Four days later nobody remembers the answers.
		w.ahead.Store(int64(4 * 24 * time.Hour))
		prune := jobRunCommand{settings{w.path}, "housekeeping"}
		if err := prune.Run(process{ctx: t.Context(), out: io.Discard, now: w.now}); err != nil {
			t.Fatal(err)
		}
		withDatabase(t, o, func(db *store.Store) {
			err := db.View(t.Context(), func(tx *store.Tx) error {
				kept, err := tx.Answers(tx.Context(), []string{"aibot/helper:m1", "app:7001"})
				if len(kept) != 0 {
					t.Errorf("%d answers are still stored: the test shows nothing", len(kept))
				}
				return err
			})
			if err != nil {
				t.Fatal(err)
			}
		})
		w.asked.Reset()
		w.start()
		n := 0
		for name, a := range recorded {
			n++
			a.from = fmt.Sprintf("203.0.113.%d", n)
			for range 2 {
				if resp, body := w.do(a); resp.StatusCode != http.StatusBadRequest || body != "" {
					t.Errorf("%s, four days later = %s %q, want 400 and nothing", name, resp.Status, body)
				}
			}
			if lines := strings.Count(w.log.String(), a.from); lines != 1 {
				t.Errorf("%s: %d lines of log, want 1", name, lines)
			}
		}
		// The same ones with the clock behind them: dated four days ahead.
		w.stop(t)
		w.ahead.Store(int64(-4 * 24 * time.Hour))
		w.log.Reset()
		w.start()
		for name, a := range recorded {
			n++
			a.from = fmt.Sprintf("203.0.113.%d", n)
			if resp, body := w.do(a); resp.StatusCode != http.StatusBadRequest || body != "" {
				t.Errorf("%s, four days ahead = %s %q, want 400 and nothing", name, resp.Status, body)
			}
			if lines := strings.Count(w.log.String(), a.from); lines != 1 {
				t.Errorf("%s, four days ahead: %d lines of log, want 1", name, lines)
			}
		}
		w.stop(t)
		if strings.Contains(w.asked.String(), "NOTICEtoken") {
			t.Error("the recorded notice was read again")
		}
		if after := state(); after != before {
			t.Errorf("after the recorded requests: %s, want as before: %s", after, before)
		}
	})
}

// ---- limits ----

// Whoever asks too often from one address is told to wait; others, and those
// who have the right key or signature, are not.
func TestPublicAddressesAreLimited(t *testing.T) {
	w := newWarden(t, storetest.SQLite(t), "public_url: http://127.0.0.1:1\n")
	w.start()
	state := "S|/m/"
	tests := []struct {
		name   string
		ask    ask
		before int // status below the limit
		within int // requests after which the limit must have been met
	}{
		{"sign-in links", ask{method: "POST", path: "/console/login/GUESS"}, 403, 20},
		{"the console", ask{path: "/console/members"}, 401, 300},
		{"members' sign-in", ask{path: "/m/sign-in?code=x&state=S", header: []string{"Cookie", "qunbot_state=" + url.QueryEscape(state)}}, 403, 100},
		{"members' pages", ask{path: "/m/checkin"}, 302, 300},
		{"public draws", ask{path: "/draws/aaaaaaaaaa"}, 404, 300},
		{"the API without a key", ask{path: "/api/v1/groups"}, 401, 40},
		{"the API with wrong keys", ask{path: "/api/v1/groups", header: []string{"Authorization", "Bearer guess"}}, 401, 40},
		{"forged callbacks", ask{method: "POST", path: "/wecom/aibot/helper?msg_signature=" + strings.Repeat("0", 40) + "&timestamp=" + strconv.FormatInt(time.Now().Unix(), 10) + "&nonce=1", body: `{"encrypt":"AAAA"}`}, 403, 40},
	}
	for i, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			tt.ask.from = fmt.Sprintf("203.0.113.%d", i)
			met := false
			for n := 0; n < tt.within && !met; n++ {
				resp, _ := w.do(tt.ask)
				switch wait, err := strconv.Atoi(resp.Header.Get("Retry-After")); {
				case resp.StatusCode == http.StatusTooManyRequests && n < 5:
					t.Fatalf("limited at request %d", n+1)
				case resp.StatusCode == http.StatusTooManyRequests:
					if met = true; err != nil || wait < 1 || wait > 60 {
						t.Errorf("Retry-After = %q, want 1 to 60 seconds", resp.Header.Get("Retry-After"))
					}
				case resp.StatusCode != tt.before:
					t.Fatalf("request %d = %s, want %d", n+1, resp.Status, tt.before)
				}
			}
			if !met {
				t.Fatalf("%d requests at once were let through", tt.within)
			}
			elsewhere := tt.ask
			elsewhere.from = fmt.Sprintf("198.51.100.%d", i)
			if resp, _ := w.do(elsewhere); resp.StatusCode != tt.before {
				t.Errorf("from another address = %s, want %d", resp.Status, tt.before)
			}
		})
	}
	flooder := fmt.Sprintf("203.0.113.%d", len(tests)-1)
	genuine := w.callback("/wecom/aibot/helper", saying{id: "m1", who: "lisi", text: "签到", sent: w.now()}.callback())
	genuine.from = flooder
	if resp, _ := w.do(genuine); resp.StatusCode != http.StatusOK {
		t.Errorf("a genuine callback from the flood's address = %s, want 200", resp.Status)
	}
	if resp, _ := w.do(ask{path: "/api/v1/groups", from: "203.0.113.6", header: []string{"Authorization", "Bearer " + wardKey}}); resp.StatusCode != http.StatusOK {
		t.Errorf("the right key from an address that guessed = %s, want 200", resp.Status)
	}
	w.ahead.Store(int64(2 * time.Minute))
	for i, tt := range tests[:7] {
		tt.ask.from = fmt.Sprintf("203.0.113.%d", i)
		if resp, _ := w.do(tt.ask); resp.StatusCode != tt.before {
			t.Errorf("%s, two minutes later = %s, want %d", tt.name, resp.Status, tt.before)
		}
	}
}

// ---- who comes through a proxy ----

// Only a proxy that the settings name is believed.
func TestUntrustedProxyIsNotBelieved(t *testing.T) {
	w := newWarden(t, storetest.SQLite(t), "trusted_proxies: [192.0.2.1]\n")
	w.start()
	met := false
	for n := range 100 { // each claims another address
		resp, _ := w.do(ask{method: "POST", path: "/console/login/GUESS", from: fmt.Sprintf("203.0.113.%d", n)})
		met = met || resp.StatusCode == http.StatusTooManyRequests
	}
	if !met {
		t.Error("a client that claims ever other addresses is not limited")
	}
	if resp, _ := w.do(ask{path: "/healthz", header: []string{"X-Forwarded-Proto", "https"}}); resp.Header.Get("Strict-Transport-Security") != "" {
		t.Error("a client that claims https is believed")
	}
	if !strings.Contains(w.log.String(), `msg="sign-in link refused" from=127.0.0.1`) || strings.Contains(w.log.String(), "203.0.113") {
		t.Error("the log does not name the connection's own address")
	}
}

// With check_source, callbacks from elsewhere are refused, whoever signed them.
func TestCallbacksFromElsewhereAreRefused(t *testing.T) {
	w := newWarden(t, storetest.SQLite(t), "")
	text, err := os.ReadFile(w.path)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(w.path, bytes.Replace(text, []byte("wecom:\n"), []byte("wecom:\n  check_source: true\n"), 1), 0o600); err != nil {
		t.Fatal(err)
	}
	w.start()
	send := func(n int, from string) int {
		a := w.callback("/wecom/aibot/helper", saying{id: fmt.Sprint("m", n), who: "lisi", text: "积分", sent: w.now()}.callback())
		a.from = from
		resp, _ := w.do(a)
		return resp.StatusCode
	}
	waitFor(t, "the list to be in force", func() bool { return send(1, "203.0.113.9") == http.StatusForbidden })
	if got := send(2, "101.226.103.44"); got != http.StatusOK {
		t.Errorf("from the platform = %d, want 200", got)
	}
	if !strings.Contains(w.log.String(), "getcallbackip") {
		t.Errorf("the log does not say why:\n%s", w.log.String())
	}
	w.stop(t)
	w.start() // the list is there at once
	if got := send(3, "203.0.113.9"); got != http.StatusForbidden {
		t.Errorf("the first callback after a restart, from elsewhere = %d, want 403", got)
	}
	if got := send(4, "101.226.103.44"); got != http.StatusOK {
		t.Errorf("the first callback after a restart, from the platform = %d, want 200", got)
	}
	if got := strings.Count(w.asked.String(), "getcallbackip"); got != 1 {
		t.Errorf("the platform was asked %d times within the hour, want once", got)
	}
}

// ---- https ----

// writeCertificate makes a certificate of its own for 127.0.0.1.
func writeCertificate(t *testing.T, dir, name string, until time.Time) (der []byte) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(time.Now().UnixNano()), Subject: pkix.Name{CommonName: name}, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: until, IsCA: true, BasicConstraintsValid: true,
	}
	if der, err = x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key); err != nil {
		t.Fatal(err)
	}
	private, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	for file, block := range map[string]*pem.Block{
		"cert.pem": {Type: "CERTIFICATE", Bytes: der}, "key.pem": {Type: "PRIVATE KEY", Bytes: private},
	} {
		if err := os.WriteFile(filepath.Join(dir, file), pem.EncodeToMemory(block), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return der
}

func TestServesHTTPSAndReloadsItsCertificate(t *testing.T) {
	w := newWarden(t, storetest.SQLite(t), "tls: {cert_file: cert.pem, key_file: key.pem}\n")
	dir := filepath.Dir(w.path)
	first := writeCertificate(t, dir, "first", time.Now().Add(24*time.Hour))
	w.start()
	hello := func(most uint16) (name string, err error) {
		roots := x509.NewCertPool()
		for _, der := range [][]byte{first} {
			c, err := x509.ParseCertificate(der)
			if err != nil {
				t.Fatal(err)
			}
			roots.AddCert(c)
		}
		c, err := tls.Dial("tcp", w.address, &tls.Config{RootCAs: roots, InsecureSkipVerify: most == 0, MaxVersion: most})
		if err != nil {
			return "", err
		}
		defer c.Close()
		return c.ConnectionState().PeerCertificates[0].Subject.CommonName, nil
	}
	for version, want := range map[uint16]bool{tls.VersionTLS10: false, tls.VersionTLS11: false, tls.VersionTLS12: true, tls.VersionTLS13: true} {
		if _, err := hello(version); (err == nil) != want {
			t.Errorf("%s: %v, want a connection: %t", tls.VersionName(version), err, want)
		}
	}
	w.base = "https://" + w.address
	w.client.Transport = &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}, ForceAttemptHTTP2: true}
	t.Cleanup(w.client.CloseIdleConnections)
	resp, _ := w.do(ask{path: "/healthz"})
	if resp.StatusCode != http.StatusOK || resp.Header.Get("Strict-Transport-Security") == "" || resp.ProtoMajor != 2 {
		t.Errorf("over https = %s %s, headers %v", resp.Proto, resp.Status, resp.Header)
	}

	// Half a renewal leaves the old one in use; the rest of it takes over.
	renewed := t.TempDir()
	writeCertificate(t, renewed, "second", time.Now().Add(48*time.Hour))
	replace := func(file string) {
		t.Helper()
		if err := os.Rename(filepath.Join(renewed, file), filepath.Join(dir, file)); err != nil {
			t.Fatal(err)
		}
		w.ahead.Add(int64(certificateCheck))
	}
	replace("cert.pem")
	if name, err := hello(0); name != "first" {
		t.Errorf("with the new certificate and the old key = %q, %v, want the first still", name, err)
	}
	if !strings.Contains(w.log.String(), "certificate not reloaded") {
		t.Errorf("nothing in the log about half a renewal:\n%s", w.log.String())
	}
	replace("key.pem")
	if name, err := hello(0); name != "second" {
		t.Errorf("after the renewal = %q, %v, want the second", name, err)
	}
	w.stop(t)
	if link := "https://" + w.address + "/console/login/"; !strings.Contains(w.out.String(), link) {
		t.Errorf("the service printed %q, want a link to %s", w.out, link)
	}
}

func TestCertificateProblemsAreNamed(t *testing.T) {
	dir := t.TempDir()
	files := config.TLS{CertFile: filepath.Join(dir, "cert.pem"), KeyFile: filepath.Join(dir, "key.pem")}
	read := func(now time.Time) *certificate {
		t.Helper()
		c, err := loadCertificate(files, func() time.Time { return now }, slog.New(slog.DiscardHandler))
		if err != nil {
			t.Fatal(err)
		}
		return c
	}
	now := time.Now()
	writeCertificate(t, dir, "x", now.Add(30*24*time.Hour))
	for _, tt := range []struct {
		name, url string
		now       time.Time
		want      string // empty: nothing
	}{
		{"good", "https://127.0.0.1", now, ""},
		{"no https there", "http://fans.example.com", now, ""},
		{"another name", "https://fans.example.com", now, "不是给 fans.example.com 的"},
		{"soon over", "https://127.0.0.1", now.Add(20 * 24 * time.Hour), "还有 9 天"},
		{"over", "https://127.0.0.1", now.Add(31 * 24 * time.Hour), "已经过期"},
		{"not yet", "https://127.0.0.1", now.Add(-48 * time.Hour), "才生效"},
	} {
		got := read(tt.now).problems(tt.url)
		if tt.want == "" && len(got) > 0 || tt.want != "" && (len(got) != 1 || !strings.Contains(got[0], tt.want)) {
			t.Errorf("%s: %q, want %q", tt.name, got, tt.want)
		}
	}
	other := t.TempDir()
	writeCertificate(t, other, "y", now.Add(time.Hour))
	files.KeyFile = filepath.Join(other, "key.pem")
	if _, err := loadCertificate(files, time.Now, slog.New(slog.DiscardHandler)); err == nil || !strings.Contains(err.Error(), "同一张证书") {
		t.Errorf("a key of another certificate: %v", err)
	}
}

// ---- files and the check command ----

func TestSharedSecretKeyStopsTheStart(t *testing.T) {
	path := writeSettings(t, storetest.SQLite(t))
	key := filepath.Join(filepath.Dir(path), "qunbot.key")
	if _, err := command(t, "migrate", "--config", path); err != nil { // makes the key
		t.Fatal(err)
	}
	for mode, want := range map[os.FileMode]bool{0o600: true, 0o400: true, 0o640: true, 0o644: false, 0o660: false, 0o602: false} {
		if err := os.Chmod(key, mode); err != nil {
			t.Fatal(err)
		}
		_, err := command(t, "migrate", "--config", path)
		if (err == nil) != want || err != nil && !strings.Contains(err.Error(), "chmod 600 "+key) {
			t.Errorf("with a key of mode %o: %v, want it to run: %t", mode, err, want)
		}
		out, err := command(t, "check", "--config", path)
		if !want && (!errors.Is(err, errProblems) || !strings.Contains(out, "chmod 600 "+key)) {
			t.Errorf("check with a key of mode %o = %v\n%s", mode, err, out)
		}
		if mode == 0o640 && !strings.Contains(out, "! ") {
			t.Errorf("check says nothing of a key that the group may read:\n%s", out)
		}
	}
}

// What the program makes, it keeps to itself, whatever the umask.
func TestFilesAreOursAlone(t *testing.T) {
	o := storetest.SQLite(t)
	w := newWarden(t, o, "")
	w.running = start(t, w.path, run) // which makes the key
	w.base = "http://" + w.address
	if resp, _ := w.do(w.callback("/wecom/aibot/helper", saying{id: "m1", who: "lisi", text: "签到", sent: w.now()}.callback())); resp.StatusCode != http.StatusOK {
		t.Fatal(resp.Status)
	}
	files := []string{filepath.Join(filepath.Dir(w.path), "qunbot.key")}
	more, err := filepath.Glob(o.DSN + "*")
	if err != nil || len(more) < 3 {
		t.Fatalf("files of the database: %q, %v", more, err)
	}
	for _, name := range append(files, more...) {
		if info, err := os.Stat(name); err != nil {
			t.Error(err)
		} else if info.Mode().Perm() != 0o600 {
			t.Errorf("%s has mode %v, want 600", name, info.Mode())
		}
	}
}

func TestCheckTellsWhoCanReachTheService(t *testing.T) {
	for _, tt := range []struct {
		name, more string
		want       []string
		bad        bool
	}{
		{"http for everybody", "public_url: http://fans.example.com\n", []string{"! public_url 不是 https", "✓ 反向代理：只相信 127.0.0.0/8、::1/128"}, true},
		{"a proxy", "public_url: https://fans.invalid\ntrusted_proxies: [10.0.0.7]\n", []string{"✓ https：由反向代理提供", "只相信 10.0.0.7/32"}, true},
		{"a certificate of another host", "public_url: https://fans.invalid\ntls: {cert_file: cert.pem, key_file: key.pem}\n", []string{"! https 证书不是给 fans.invalid 的", "✓ https：证书读得出来"}, true},
		{"half a certificate", "tls: {cert_file: cert.pem, key_file: qunbot.yaml}\n", []string{"✗", "不是 PEM 格式"}, true},
	} {
		path := writeSettings(t, storetest.SQLite(t))
		writeCertificate(t, filepath.Dir(path), "x", time.Now().Add(90*24*time.Hour))
		f, err := os.OpenFile(path, os.O_APPEND|os.O_WRONLY, 0)
		if err != nil {
			t.Fatal(err)
		}
		io.WriteString(f, tt.more)
		f.Close()
		out, err := command(t, "check", "--config", path)
		if (err != nil) != tt.bad { // the callback address is never there
			t.Errorf("%s: check = %v", tt.name, err)
		}
		for _, want := range tt.want {
			if !strings.Contains(out, want) {
				t.Errorf("%s: check printed\n%swant %q in it", tt.name, out, want)
			}
		}
	}
}

// With port 0 the link that is printed can be opened.
func TestPrintedLinkHasTheRealPort(t *testing.T) {
	w := newWarden(t, storetest.SQLite(t), "console_listen: localhost:0\n")
	w.start()
	w.stop(t)
	link := regexp.MustCompile(`http://localhost:([0-9]+)/console/login/`).FindStringSubmatch(w.out.String())
	if link == nil || link[1] == "0" || strings.HasSuffix(w.address, ":"+link[1]) {
		t.Errorf("the service printed %q, want a link to the console's own port; the public one is %s", w.out, w.address)
	}
}

// ---- every address ----

// patterns returns what a service serves: the members' and public pages, the
// console's, the API's, and what is not in any frame.
func patterns(t *testing.T, s *service) []string {
	db := s.app.Engine.Store
	pages, err := console.New(console.Config{Store: db, Pages: s.app.Console, Now: time.Now, Log: s.log})
	if err != nil {
		t.Error(err)
		return nil
	}
	members, err := portal.New(portal.Config{Store: db, Pages: s.app.Portal, Public: s.app.Public, Now: time.Now, Log: s.log})
	if err != nil {
		t.Error(err)
		return nil
	}
	routes, err := api.New(api.Config{Store: db, Routes: s.app.API, Now: time.Now, Log: s.log})
	if err != nil {
		t.Error(err)
		return nil
	}
	own, public := members.Patterns()
	return slices.Concat(pages.Patterns(), own, public, routes.Patterns(), []string{
		"/console", "/m", "/api/v1/", "GET /api/v1/openapi.yaml", "/wecom/", "/wecom/app", "/wecom/aibot/helper", "/healthz", "/readyz", "/metrics", "/", "/nothing",
	})
}

// A place is one address and method of the service.
type place struct{ method, path, pattern string }

// places returns every pattern with every method that could matter.
func places(patterns []string) (list []place) {
	for _, pattern := range patterns {
		methods := []string{"GET", "POST", "PUT", "DELETE", "OPTIONS"}
		path := pattern
		if method, rest, ok := strings.Cut(pattern, " "); ok {
			methods, path = append(methods[:0:0], method), rest
		}
		path = regexp.MustCompile(`\{[^}]*\}`).ReplaceAllString(strings.TrimSuffix(path, "{$}"), "1")
		for _, m := range methods {
			list = append(list, place{m, path, pattern})
		}
	}
	return list
}

var inlineCode = regexp.MustCompile(`(?i)<script(?:\s[^>]*)?>[^<]|<style|\sstyle\s*=\s*["']|\son[a-z]+\s*=\s*["']|javascript:`)

// checkAnswer asserts what has to hold for every answer, whatever was asked.
func checkAnswer(t *testing.T, what string, resp *http.Response, body string) {
	t.Helper()
	h := resp.Header
	csp := h.Get("Content-Security-Policy")
	if !strings.Contains(csp, "frame-ancestors 'none'") || !strings.Contains(csp, "default-src ") || strings.Contains(csp, "unsafe-") || strings.Contains(csp, "*") {
		t.Errorf("%s: Content-Security-Policy = %q", what, csp)
	}
	if h.Get("X-Content-Type-Options") != "nosniff" || h.Get("Referrer-Policy") != "same-origin" {
		t.Errorf("%s: nosniff %q, Referrer-Policy %q", what, h.Get("X-Content-Type-Options"), h.Get("Referrer-Policy"))
	}
	if h.Get("Access-Control-Allow-Origin") != "" || h.Get("Server") != "" || h.Get("X-Powered-By") != "" {
		t.Errorf("%s: headers that nobody needs: %v", what, h)
	}
	if resp.StatusCode >= 500 && resp.StatusCode != http.StatusServiceUnavailable {
		t.Errorf("%s = %s\n%s", what, resp.Status, body)
	}
	if strings.HasPrefix(h.Get("Content-Type"), "text/html") && inlineCode.MatchString(body) {
		t.Errorf("%s: the page holds what its policy forbids: %q", what, inlineCode.FindString(body))
	}
	for _, c := range resp.Cookies() {
		if c.Name != "theme" && !c.HttpOnly || c.SameSite != http.SameSiteLaxMode || c.Domain != "" {
			t.Errorf("%s: cookie %s", what, c.Raw)
		}
	}
}

// Whoever has no session and no key gets nowhere, other sites' pages can send
// nothing, bodies are limited, and every answer carries its headers.
func TestEveryAddressIsGuarded(t *testing.T) {
	w := newWarden(t, storetest.SQLite(t), "public_url: http://127.0.0.1:1\n")
	w.start()
	list := places(w.served)
	if len(list) < 150 {
		t.Fatalf("only %d places: the walk misses most", len(list))
	}
	n := 0
	from := func() string { // everywhere: the limits are not what is tested
		n++
		return fmt.Sprintf("10.%d.%d.1", n/256, n%256)
	}
	within := func(p place, prefix string) bool { return p.path == prefix || strings.HasPrefix(p.path, prefix+"/") }
	huge := strings.Repeat("a=1&", 700_000) // 2.8 MB
	form := []string{"Content-Type", "application/x-www-form-urlencoded"}
	for _, p := range list {
		what := p.method + " " + p.path
		resp, body := w.do(ask{method: p.method, path: p.path, from: from(), header: form})
		checkAnswer(t, what, resp, body)
		allowed := []int{404, 405}
		switch {
		case within(p, "/console/login"):
			allowed = []int{200, 403} // the form; no such link
		case p.path == "/console" || p.path == "/m":
			allowed = []int{301}
		case p.path == "/console/logout" || p.path == "/console/theme":
			allowed = []int{303}
		case within(p, "/console"):
			allowed = []int{401}
		case p.path == "/m/sign-in":
			allowed = []int{403}
		case within(p, "/m"):
			allowed = append(allowed, 302, 401) // to the platform; nothing is sent there
		case p.path == "/api/v1/openapi.yaml":
			allowed = []int{200}
		case within(p, "/api/v1"):
			allowed = []int{401}
		case within(p, "/wecom"):
			allowed = append(allowed, 403)
		case p.path == "/healthz" || p.path == "/readyz" || p.path == "/metrics":
			allowed = append(allowed, 200, 403)
		}
		if !slices.Contains(allowed, resp.StatusCode) {
			t.Errorf("%s by nobody = %s, want one of %v", what, resp.Status, allowed)
		}
		if resp.StatusCode == http.StatusMethodNotAllowed && resp.Header.Get("Allow") == "" {
			t.Errorf("%s = 405 without Allow", what)
		}
		if p.method != "POST" {
			continue
		}
		resp, body = w.do(ask{method: "POST", path: p.path, body: huge, from: from(), header: form})
		checkAnswer(t, what+" with 2.8 MB", resp, body)
		if resp.StatusCode < 300 {
			t.Errorf("%s with 2.8 MB = %s", what, resp.Status)
		}
	}

	// An owner, whom another site's page or a huge body comes from.
	var link string
	withDatabase(t, w.o, func(db *store.Store) {
		var err error
		if link, err = consoleLink(t.Context(), db, w.base, w.now().Add(time.Hour), w.now()); err != nil {
			t.Fatal(err)
		}
	})
	resp, body := w.do(ask{method: "POST", path: strings.TrimPrefix(link, w.base), from: from()})
	checkAnswer(t, "sign-in", resp, body)
	cookies := resp.Cookies()
	if resp.StatusCode != http.StatusSeeOther || len(cookies) != 1 {
		t.Fatalf("sign-in = %s, cookies %v", resp.Status, cookies)
	}
	session := []string{"Cookie", cookies[0].Name + "=" + cookies[0].Value, "Content-Type", "application/x-www-form-urlencoded"}
	shown := 0
	for _, p := range list {
		if !within(p, "/console") || p.path == "/console" || within(p, "/console/login") {
			continue
		}
		what := "an owner's " + p.method + " " + p.path
		if p.method == "GET" {
			resp, body = w.do(ask{path: p.path, from: from(), header: session})
			checkAnswer(t, what, resp, body)
			if resp.StatusCode == http.StatusOK {
				shown++
			}
			continue
		}
		if p.method != "POST" {
			continue
		}
		for name, header := range map[string][]string{
			"Sec-Fetch-Site": {"Sec-Fetch-Site", "cross-site"}, "a sister site": {"Sec-Fetch-Site", "same-site"}, "Origin": {"Origin", "https://evil.example"}, "no origin": {"Origin", "null"},
		} {
			resp, body = w.do(ask{method: "POST", path: p.path, from: from(), header: append(header, session...)})
			checkAnswer(t, what, resp, body)
			if resp.StatusCode != http.StatusForbidden {
				t.Errorf("%s, from another site by %s = %s, want 403", what, name, resp.Status)
			}
		}
		if p.path == "/console/logout" || p.path == "/console/theme" {
			continue
		}
		if resp, body = w.do(ask{method: "POST", path: p.path, from: from(), header: session}); resp.StatusCode < 400 {
			t.Errorf("%s without a form key = %s\n%s", what, resp.Status, body)
		}
		if resp, body = w.do(ask{method: "POST", path: p.path, body: huge, from: from(), header: session}); resp.StatusCode != http.StatusRequestEntityTooLarge && resp.StatusCode != http.StatusMethodNotAllowed && resp.StatusCode != http.StatusNotFound {
			t.Errorf("%s with 2.8 MB = %s\n%s", what, resp.Status, body)
		}
	}
	if shown < 10 {
		t.Errorf("an owner saw only %d pages", shown)
	}
}
