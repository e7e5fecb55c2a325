package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"qunbot/bot"
	"qunbot/config"
	"qunbot/store"
	"qunbot/store/storetest"
)

// both is a log handler that hands records to two others.
type both struct{ a, b slog.Handler }

func (h both) Enabled(ctx context.Context, l slog.Level) bool { return true }
func (h both) WithAttrs(attrs []slog.Attr) slog.Handler {
	return both{h.a.WithAttrs(attrs), h.b.WithAttrs(attrs)}
}
func (h both) WithGroup(name string) slog.Handler {
	return both{h.a.WithGroup(name), h.b.WithGroup(name)}
}
func (h both) Handle(ctx context.Context, r slog.Record) error {
	return errors.Join(h.a.Handle(ctx, r), h.b.Handle(ctx, r))
}

// hostilePlatform answers every call with an error that repeats what it was
// asked, secrets and all, or breaks the connection.
func hostilePlatform(t *testing.T, token string) *httptest.Server {
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		echo := fmt.Sprintf("bad %s %s %s", r.URL, r.URL.Query(), body)
		answer := func(code int, msg string) {
			json.NewEncoder(w).Encode(map[string]any{"errcode": code, "errmsg": msg, "access_token": token, "expires_in": 7200})
		}
		key := r.URL.Query().Get("key")
		switch {
		case strings.HasSuffix(r.URL.Path, "/gettoken"):
			answer(0, "ok")
		case strings.HasSuffix(key, "cut"):
			panic(http.ErrAbortHandler)
		case strings.HasSuffix(key, "gone"):
			answer(93000, echo)
		case strings.HasSuffix(key, "page"):
			w.WriteHeader(http.StatusInternalServerError)
			io.WriteString(w, echo)
		case strings.HasSuffix(key, "nojson"):
			io.WriteString(w, echo)
		case strings.HasSuffix(r.URL.Path, "/message/send"):
			answer(42001, echo+" access_token="+token)
		default:
			answer(40029, echo+" access_token="+token)
		}
	}))
	server.Config.ErrorLog = slog.NewLogLogger(slog.DiscardHandler, 0)
	server.Start()
	t.Cleanup(server.Close)
	return server
}

// A whole run in which everything goes wrong that names a secret: no line of
// the log has one, nor what members said, and each is one JSON object.
func TestLogHoldsNoSecrets(t *testing.T) {
	secrets := map[string]string{}
	plant := func(what, value string) string {
		secrets[what] = value
		return value
	}
	accessToken := plant("access token", "ACCESSTOKEN-5f2c9a")
	wecom := hostilePlatform(t, accessToken)
	o := storetest.SQLite(t)
	settings := filepath.Join(t.TempDir(), "qunbot.yaml")
	text := fmt.Sprintf(`listen: 127.0.0.1:0
secret_key_file: qunbot.key
database: {driver: sqlite, dsn: %q}
public_url: http://127.0.0.1
wecom:
  api_base: %s
  corp_id: ww0123456789abcdef
  app: {agent_id: 1000002, secret: %s, token: APPtok3n, aes_key: %s}
  contact: {secret: %s}
  kf: {accounts: [wkTESTaccount]}
  bots:
    - {name: %s, display_name: 小助手, token: %s, aes_key: %s}
api: {keys: [{name: pos, key: %s}]}
alerts: {webhook_key: %s}
groups:
  - {chat_id: wrkTESTgroup, name: 一号粉丝群, mall: 示例商场, webhook_key: %s}
operators:
  - {userid: zhangsan, role: owner}
`, o.DSN, wecom.URL, plant("app secret", "APPSECRET-1b7d"), plant("app key", "kWmYm7qr5nMoAUwZRjGtBxmz3KA1tkAj3ykkR6q2B2C"),
		plant("contact secret", "CONTACTSECRET-77"), testBot, plant("bot token", testToken), plant("bot key", testAESKey),
		plant("api key", "APIKEY-0123456789abcdef0123"), plant("alert webhook", "ALERTHOOK-cut"), plant("group webhook", "GROUPHOOK-gone"))
	if err := os.WriteFile(settings, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	plant("app token", "APPtok3n")

	log, printed := &syncBuffer{}, &syncBuffer{}
	r := start(t, settings, func(ctx context.Context, cfg config.Config, env environment) error {
		env.Log = slog.New(both{newLog(log, config.Config{}).Handler(), env.Log.Handler()}) // without what it would blot out
		env.Out = printed
		env.Log.Info("settings", "cfg", cfg)
		return run(ctx, cfg, env)
	})
	base := "http://" + r.address
	now := time.Now()
	withDatabase(t, store.Options{Driver: o.Driver, DSN: o.DSN, Zone: o.Zone, Secret: keyOf(t, settings)}, func(db *store.Store) {
		err := db.Update(t.Context(), func(tx *store.Tx) error {
			lanes := []string{"app/zhangsan", "appchat/chat1"}
			for _, key := range []string{"HOOK-1-cut", "HOOK-2-page", "HOOK-3-nojson", "HOOK-4-gone", "ALERTHOOK-cut"} {
				w, err := tx.WebhookOf(tx.Context(), plant("webhook "+key, key), now)
				if err != nil {
					return err
				}
				lanes = append(lanes, w.Lane())
			}
			for _, lane := range lanes {
				p := bot.Post{Key: "post " + lane, Lane: lane, Reply: bot.Reply{Text: plant("post", "POSTTEXT") + " \"中奖码\"\n8844"}, Delivery: bot.AtMostOnce}
				if err := bot.Push(tx.Context(), tx, p); err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	})

	// What members say, and what is no message at all.
	p := newPlatform(r.address)
	plant("response_url", "response_code=TEST")
	for i, said := range []string{"签到", "SAIDTEXT 我的电话 13800138000", "/抽奖 新建 SAIDTEXT", "反馈 SAIDTEXT 太差了"} {
		p.mustDeliver(t, saying{fmt.Sprint("m", i), "lisi", said, now})
	}
	plant("what was said", "SAIDTEXT")
	p.post(t.Context(), p.url+"?msg_signature=SIGNATURE-bad&timestamp=1&nonce=2", `{"encrypt":"SAIDTEXT"}`)
	for _, plain := range []string{`{"msgid":"x","text":{"content":"SAIDTEXT`, `SAIDTEXT`, `{"msgid":"SAIDTEXT","create_time":"SAIDTEXT"}`} {
		encrypted := p.encrypt(plain, "")
		address, _ := p.signed(encrypted)
		p.post(t.Context(), address, `{"encrypt":"`+encrypted+`"}`)
	}
	p.deliver(t.Context(), saying{"old", "lisi", "SAIDTEXT", now.Add(-25 * time.Hour)})

	// Sign-ins and their cookies, right and wrong, from here and from elsewhere.
	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	client := &http.Client{Jar: jar}
	ask := func(method, path, body string, header ...string) (*http.Response, string) {
		t.Helper()
		req, err := http.NewRequestWithContext(t.Context(), method, base+path, strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		for i := 0; i < len(header); i += 2 {
			req.Header.Set(header[i], header[i+1])
		}
		resp, err := client.Do(req)
		if err != nil {
			return &http.Response{}, "" // a redirect to the platform, say
		}
		defer resp.Body.Close()
		page, _ := io.ReadAll(resp.Body)
		return resp, string(page)
	}
	elsewhere := []string{"Origin", "https://evil.example.com", "Sec-Fetch-Site", "cross-site"}
	await(t, "one-time link", func() bool { return strings.Contains(printed.String(), "/console/login/") })
	link := regexp.MustCompile(`/console/login/(\S+)`).FindStringSubmatch(printed.String())
	plant("one-time link", link[1])
	ask("POST", link[0], "", elsewhere...)
	ask("POST", "/console/login/"+plant("wrong link", "WRONGLINK-3c"), "")
	ask("POST", link[0], "")
	site, _ := url.Parse(base + "/console/")
	for _, c := range jar.Cookies(site) {
		plant("cookie "+c.Name, c.Value)
	}
	if len(jar.Cookies(site)) == 0 {
		t.Error("the sign-in gave no cookie: the test looks for nothing")
	}
	ask("POST", "/console/keywords/new", "pattern=FORMTEXT", elsewhere...)
	plant("form", "FORMTEXT")
	client.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	resp, _ := ask("GET", "/m/", "")
	at, _ := url.Parse(resp.Header.Get("Location"))
	state := plant("state", at.Query().Get("state"))
	if state == "" {
		t.Errorf("GET /m/ leads to %q, want a sign-in with a state", at)
	}
	ask("GET", "/m/sign-in?code="+plant("OAuth code", "OAUTHCODE-9d")+"&state="+state, "")
	ask("GET", "/m/sign-in?code=OAUTHCODE-9d&state=wrong", "")
	ask("GET", "/api/v1/outbox", "", "Authorization", "Bearer "+plant("wrong api key", "WRONGKEY-42"))
	ask("GET", "/api/v1/members", "", "Authorization", "Bearer APIKEY-0123456789abcdef0123")

	// Every post has failed in its way, and then nobody is there any more.
	defer func() {
		if t.Failed() {
			t.Log(log.String())
		}
	}()
	for _, want := range []string{"member sign-in", "callback refused", "cross-origin request refused", "api request refused", "no answer: EOF", "93000", "42001", "HTTP 500", "not JSON"} {
		await(t, "line with "+want, func() bool { return strings.Contains(log.String(), want) })
	}
	wecom.Close()
	withDatabase(t, store.Options{Driver: o.Driver, DSN: o.DSN, Zone: o.Zone, Secret: keyOf(t, settings)}, func(db *store.Store) {
		err := db.Update(t.Context(), func(tx *store.Tx) error {
			w, err := tx.WebhookOf(tx.Context(), plant("last webhook", "HOOK-5-refused"), now)
			if err != nil {
				return err
			}
			return bot.Push(tx.Context(), tx, bot.Post{Key: "last", Lane: w.Lane(), Reply: bot.Reply{Text: "POSTTEXT"}, Delivery: bot.AtMostOnce})
		})
		if err != nil {
			t.Fatal(err)
		}
	})
	await(t, "refused connection", func() bool {
		return strings.Contains(log.String(), "refused\"") || strings.Contains(log.String(), "connection refused")
	})
	r.stop(t)

	key, err := os.ReadFile(filepath.Join(filepath.Dir(settings), "qunbot.key"))
	if err != nil {
		t.Fatal(err)
	}
	plant("secret key", strings.TrimSpace(string(key)))
	lines := strings.Split(strings.TrimSpace(log.String()), "\n")
	for _, line := range lines {
		var event map[string]any
		if err := json.Unmarshal([]byte(line), &event); err != nil || event["event"] == nil || event["time"] == nil || event["level"] == nil {
			t.Errorf("line %s is no event: %v", line, err)
		}
		for what, secret := range secrets {
			if strings.Contains(line, secret) || strings.Contains(line, url.QueryEscape(secret)) {
				t.Errorf("%s %q is in the log: %s", what, secret, line)
			}
		}
	}
	if len(lines) < 12 {
		t.Errorf("%d lines, want one for each of what went wrong:\n%s", len(lines), log.String())
	}
}

// A line about a message has its id, group and member, beside the event.
func TestLogNamesTheMessage(t *testing.T) {
	var out bytes.Buffer
	cfg := config.Config{API: config.API{Keys: []config.APIKey{{Name: "pos", Key: "0123456789abcdef01234567"}}}}
	log := newLog(&out, cfg)
	log.With("post", 7).Error("message failed", "msg", "aibot/helper:m1", "group", 3, "member", 4,
		"err", errors.New("key 0123456789abcdef01234567 is wrong"), "secret", "x0123456789abcdef01234567x")
	var event map[string]any
	if err := json.Unmarshal(out.Bytes(), &event); err != nil {
		t.Fatal(err)
	}
	want := map[string]any{"event": "message failed", "level": "ERROR", "msg": "aibot/helper:m1", "group": 3.0, "member": 4.0, "post": 7.0,
		"err": "key *** is wrong", "secret": "x***x"}
	for key, value := range want {
		if event[key] != value {
			t.Errorf("%s is %v, want %v in %s", key, event[key], value, out.String())
		}
	}
	if n := strings.Count(out.String(), `"msg":`); n != 1 {
		t.Errorf("%d keys named msg, want one: %s", n, out.String())
	}
}
