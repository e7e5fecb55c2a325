package main

import (
	"bytes"
	"context"
	"crypto/aes"
	"crypto/cipher"
	"crypto/rand"
	"crypto/sha1"
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/alecthomas/kong"

	"qunbot/bot"
	"qunbot/config"
	"qunbot/ledger"
	"qunbot/store"
	"qunbot/store/storetest"
)

// childVariable says what this binary is when a test starts it again: "main"
// for the program, "crash" for a service that is going to be killed.
const childVariable = "TEST_CHILD"

func TestMain(m *testing.M) {
	switch os.Getenv(childVariable) {
	case "main":
		os.Unsetenv(childVariable)
		main()
	case "crash":
		crashingService()
	default:
		storetest.Main(m)
	}
}

// ---- the platform ----

// A platform is WeCom as the service sees it: it encrypts, signs, delivers and
// reads the answers. It shares no code with bot/wecom, so that each checks the
// other against the published description:
// https://developer.work.weixin.qq.com/document/path/101033
type platform struct {
	token, aesKey string
	url           string // the callback address
	client        *http.Client
}

const (
	testToken  = "QDG6eK7tok3n"
	testAESKey = "jWmYm7qr5nMoAUwZRjGtBxmz3KA1tkAj3ykkR6q2B2C"
	testBot    = "helper"
)

func newPlatform(address string) *platform {
	return &platform{
		token: testToken, aesKey: testAESKey, url: "http://" + address + "/wecom/aibot/" + testBot,
		client: &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 64}, Timeout: 20 * time.Second},
	}
}

// encrypt returns plain as base64 of AES-CBC over 16 random bytes, the length,
// the text and whom it is for.
func (p *platform) encrypt(plain, receiveID string) string {
	frame := make([]byte, 16, 64+len(plain))
	rand.Read(frame)
	frame = binary.BigEndian.AppendUint32(frame, uint32(len(plain)))
	frame = append(append(frame, plain...), receiveID...)
	pad := 32 - len(frame)%32
	frame = append(frame, bytes.Repeat([]byte{byte(pad)}, pad)...)
	block, iv := p.aes()
	cipher.NewCBCEncrypter(block, iv).CryptBlocks(frame, frame)
	return base64.StdEncoding.EncodeToString(frame)
}

// decrypt undoes encrypt.
func (p *platform) decrypt(text string) (plain, receiveID string, err error) {
	frame, err := base64.StdEncoding.DecodeString(text)
	if err != nil || len(frame) < 32 || len(frame)%32 != 0 {
		return "", "", fmt.Errorf("ciphertext of %d bytes: %w", len(frame), err)
	}
	block, iv := p.aes()
	cipher.NewCBCDecrypter(block, iv).CryptBlocks(frame, frame)
	pad := int(frame[len(frame)-1])
	if pad < 1 || pad > 32 || !bytes.Equal(frame[len(frame)-pad:], bytes.Repeat([]byte{byte(pad)}, pad)) {
		return "", "", errors.New("bad padding")
	}
	frame = frame[:len(frame)-pad]
	length := int(binary.BigEndian.Uint32(frame[16:20]))
	if length > len(frame)-20 {
		return "", "", errors.New("bad length")
	}
	return string(frame[20 : 20+length]), string(frame[20+length:]), nil
}

func (p *platform) aes() (block cipher.Block, iv []byte) {
	key, err := base64.StdEncoding.DecodeString(p.aesKey + "=")
	if err != nil {
		panic(err)
	}
	if block, err = aes.NewCipher(key); err != nil {
		panic(err)
	}
	return block, key[:16]
}

// sign returns the SHA-1 of the four strings in byte order.
func (p *platform) sign(timestamp, nonce, encrypted string) string {
	parts := []string{p.token, timestamp, nonce, encrypted}
	slices.Sort(parts)
	return fmt.Sprintf("%x", sha1.Sum([]byte(strings.Join(parts, ""))))
}

// signed returns the address with the parameters that sign encrypted.
func (p *platform) signed(encrypted string) (address, nonce string) {
	timestamp, nonce := strconv.FormatInt(time.Now().Unix(), 10), rand.Text()[:10]
	q := url.Values{"msg_signature": {p.sign(timestamp, nonce, encrypted)}, "timestamp": {timestamp}, "nonce": {nonce}}
	return p.url + "?" + q.Encode(), nonce
}

// A saying is one message of a member in a group.
type saying struct {
	id   string // msgid
	who  string // userid
	text string // after the @ of the bot
	sent time.Time
}

// callback returns s as the platform tells it, before encryption.
func (s saying) callback() string {
	callback, err := json.Marshal(map[string]any{
		"msgid": s.id, "create_time": s.sent.Unix(), "aibotid": "aibTEST", "chatid": "wrkTESTgroup", "chattype": "group",
		"from": map[string]string{"userid": s.who}, "msgtype": "text", "text": map[string]string{"content": "@小助手 " + s.text},
		"response_url": "https://qyapi.weixin.qq.com/cgi-bin/aibot/response?response_code=TEST",
	})
	if err != nil {
		panic(err)
	}
	return string(callback)
}

// A reply is what the service says to a saying.
type reply struct {
	plain    string // the whole decrypted answer
	text     string // what the chat shows
	replayed bool   // the service says that it has seen the message before
}

// deliver posts s once. It returns an error unless the service answers 200
// with an envelope that WeCom would accept.
func (p *platform) deliver(ctx context.Context, s saying) (reply, error) {
	encrypted := p.encrypt(s.callback(), "")
	address, nonce := p.signed(encrypted)
	resp, body, err := p.post(ctx, address, `{"encrypt":"`+encrypted+`"}`)
	if err != nil {
		return reply{}, err
	}
	if resp.StatusCode != http.StatusOK {
		return reply{}, fmt.Errorf("HTTP %d: %s", resp.StatusCode, body)
	}
	var envelope struct {
		Encrypt      string
		MsgSignature string
		TimeStamp    int64
		Nonce        string
	}
	if err := json.Unmarshal(body, &envelope); err != nil {
		return reply{}, fmt.Errorf("answer %q: %w", body, err)
	}
	want := p.sign(strconv.FormatInt(envelope.TimeStamp, 10), envelope.Nonce, envelope.Encrypt)
	if envelope.MsgSignature != want || envelope.Nonce != nonce {
		return reply{}, fmt.Errorf("answer is signed %q for nonce %q, want %q for %q", envelope.MsgSignature, envelope.Nonce, want, nonce)
	}
	plain, receiveID, err := p.decrypt(envelope.Encrypt)
	if err != nil || receiveID != "" {
		return reply{}, fmt.Errorf("answer is for %q: %w", receiveID, err)
	}
	var answer struct {
		MsgType string
		Stream  struct {
			ID, Content string
			Finish      bool
		}
	}
	if err := json.Unmarshal([]byte(plain), &answer); err != nil {
		return reply{}, fmt.Errorf("decrypted answer %q: %w", plain, err)
	}
	if answer.MsgType != "stream" || answer.Stream.ID == "" || !answer.Stream.Finish {
		return reply{}, fmt.Errorf("decrypted answer %s, want a finished stream with an id", plain)
	}
	return reply{plain, answer.Stream.Content, strings.Contains(resp.Header.Get("Server-Timing"), "replayed")}, nil
}

func (p *platform) post(ctx context.Context, address, body string) (*http.Response, []byte, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, address, strings.NewReader(body))
	if err != nil {
		return nil, nil, err
	}
	req.Header.Set("Content-Type", "application/json")
	resp, err := p.client.Do(req)
	if err != nil {
		return nil, nil, err
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	return resp, text, err
}

func (p *platform) mustDeliver(t *testing.T, s saying) reply {
	t.Helper()
	r, err := p.deliver(t.Context(), s)
	if err != nil {
		t.Fatalf("deliver %s of %s: %v", s.text, s.who, err)
	}
	return r
}

// ---- the service ----

// writeSettings writes a settings file for a service on o and returns its path.
func writeSettings(t *testing.T, o store.Options) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "qunbot.yaml")
	text := fmt.Sprintf(`listen: 127.0.0.1:0
secret_key_file: qunbot.key
database: {driver: %s, dsn: %q}
wecom:
  corp_id: ww0123456789abcdef
  bots:
    - {name: %s, display_name: 小助手, token: %s, aes_key: %s}
groups:
  - {chat_id: wrkTESTgroup, name: 一号粉丝群, mall: 示例商场}
operators:
  - {userid: zhangsan, role: owner}
`, o.Driver, o.DSN, testBot, testToken, testAESKey)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func loadSettings(t *testing.T, path string) config.Config {
	t.Helper()
	cfg, err := config.Load(path, nil)
	if err != nil {
		t.Fatal(err)
	}
	return cfg
}

// A listening is a log handler that keeps one thing: where the service listens.
type listening chan string

func (listening) Enabled(context.Context, slog.Level) bool { return true }
func (l listening) WithAttrs([]slog.Attr) slog.Handler     { return l }
func (l listening) WithGroup(string) slog.Handler          { return l }

func (l listening) Handle(_ context.Context, r slog.Record) error {
	if r.Message == "listening" {
		r.Attrs(func(a slog.Attr) bool {
			l <- a.Value.String()
			return false
		})
	}
	return nil
}

// A running service is one in this process.
type running struct {
	address string
	out     *bytes.Buffer // what it printed; read it after stop
	cancel  context.CancelFunc
	ended   chan error
}

// start starts a service, which run runs, and waits until it listens.
func start(t *testing.T, path string, run func(context.Context, config.Config, environment) error) *running {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	r := &running{out: &bytes.Buffer{}, cancel: cancel, ended: make(chan error, 1)}
	addresses := make(listening, 1)
	cfg := loadSettings(t, path)
	go func() {
		r.ended <- run(ctx, cfg, environment{Now: time.Now, Log: slog.New(addresses), Out: r.out})
	}()
	t.Cleanup(func() { r.stop(t) })
	select {
	case r.address = <-addresses:
	case err := <-r.ended:
		r.ended <- err
		t.Fatalf("the service ended at start: %v", err)
	}
	return r
}

// stop does what SIGTERM does, and waits for the end.
func (r *running) stop(t *testing.T) {
	t.Helper()
	r.cancel()
	select {
	case err := <-r.ended:
		r.ended <- nil // for the next stop
		if err != nil {
			t.Errorf("run = %v, want nil", err)
		}
	case <-time.After(10 * time.Second):
		t.Error("run has not returned 10 s after it was told to stop")
		r.ended <- nil
	}
}

// withDatabase opens the service's database for a look.
func withDatabase(t *testing.T, o store.Options, look func(db *store.Store)) {
	t.Helper()
	db, err := store.Open(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	look(db)
}

// A standing is what a member has.
type standing struct {
	checkIns int   // all of one day
	entries  int   // bookings
	balance  int64 // points
}

// standingOf returns what a member has; nothing if nobody knows that member.
func standingOf(t *testing.T, db *store.Store, userID string) (s standing) {
	t.Helper()
	err := db.View(t.Context(), func(tx *store.Tx) error {
		ctx := tx.Context()
		m, err := tx.MemberByIdentity(ctx, store.UserID, userID)
		if errors.Is(err, store.ErrNotFound) {
			return nil
		}
		if err != nil {
			return err
		}
		checkIns, err := tx.CheckInsFrom(ctx, m.ID, "2000-01-01")
		if err != nil {
			return err
		}
		entries, err := tx.EntriesOf(ctx, m.ID, 0, 100)
		if err != nil {
			return err
		}
		balance, err := tx.Balance(ctx, m.ID, time.Now())
		s = standing{len(checkIns), len(entries), balance}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func verifyLedger(t *testing.T, db *store.Store) {
	t.Helper()
	_, problems, err := ledger.Verify(t.Context(), db)
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range problems {
		t.Errorf("ledger.Verify: %s", p)
	}
}

// decisions returns why the newest messages got their answers.
func decisions(t *testing.T, db *store.Store) (list []store.ExplainedMessage) {
	t.Helper()
	err := db.View(t.Context(), func(tx *store.Tx) (err error) {
		list, err = tx.Decisions(tx.Context(), store.DecisionFilter{Limit: 1000})
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return list
}

// ---- tests ----

func TestServiceVerifiesItsAddress(t *testing.T) {
	p := newPlatform(start(t, writeSettings(t, storetest.SQLite(t)), run).address)
	// The echo is base64 with +, / and = in it, whatever it decrypts to.
	for range 8 {
		echo := rand.Text()
		encrypted := p.encrypt(echo, "")
		address, _ := p.signed(encrypted)
		resp, err := p.client.Get(address + "&echostr=" + url.QueryEscape(encrypted))
		if err != nil {
			t.Fatal(err)
		}
		body, err := io.ReadAll(resp.Body)
		resp.Body.Close()
		if err != nil || resp.StatusCode != http.StatusOK || string(body) != echo {
			t.Errorf("GET with echostr = %d %q, %v, want 200 %q", resp.StatusCode, body, err, echo)
		}
	}
}

func TestServiceAnswersOnce(t *testing.T) {
	storetest.EachOptions(t, func(t *testing.T, o store.Options) {
		service := start(t, writeSettings(t, o), run)
		p := newPlatform(service.address)
		hello := saying{id: "m1", who: "lisi", text: "签到", sent: time.Now()}
		first := p.mustDeliver(t, hello)
		if want := "签到成功！连续 1 天，积分 +5，现有 5 分"; first.text != want || first.replayed {
			t.Errorf("签到 = %+v, want %q, not replayed", first, want)
		}
		again := p.mustDeliver(t, hello)
		if again.plain != first.plain || !again.replayed {
			t.Errorf("the same msgid again = %+v, want %s, replayed", again, first.plain)
		}
		once := p.mustDeliver(t, saying{id: "m2", who: "lisi", text: "签到", sent: time.Now()})
		if want := "今天已经签到过啦，明天再来～"; once.text != want {
			t.Errorf("签到 in another message = %q, want %q", once.text, want)
		}
		points := p.mustDeliver(t, saying{id: "m3", who: "lisi", text: "积分", sent: time.Now()})
		if want := "现有 5 分"; !strings.Contains(points.text, want) {
			t.Errorf("积分 = %q, want %q in it", points.text, want)
		}
		service.stop(t)
		if link := "http://127.0.0.1"; !strings.Contains(service.out.String(), link) {
			t.Errorf("the service printed %q, want a link into the console", service.out)
		}
		withDatabase(t, o, func(db *store.Store) {
			if got, want := standingOf(t, db, "lisi"), (standing{1, 1, 5}); got != want {
				t.Errorf("standing = %+v, want %+v", got, want)
			}
			if got := len(decisions(t, db)); got != 3 {
				t.Errorf("%d decisions for 3 messages", got)
			}
			verifyLedger(t, db)
		})
	})
}

// What is forged, altered, oversized or nonsense gets a 4xx and changes nothing.
func TestServiceRefuses(t *testing.T) {
	storetest.EachOptions(t, func(t *testing.T, o store.Options) {
		service := start(t, writeSettings(t, o), run)
		p := newPlatform(service.address)
		said := saying{id: "m1", who: "lisi", text: "签到", sent: time.Now()}
		body := func(encrypted string) string { return `{"encrypt":"` + encrypted + `"}` }
		genuine := p.encrypt(said.callback(), "")
		address, _ := p.signed(genuine)
		sealed := func(plain, receiveID string) (string, string) {
			encrypted := p.encrypt(plain, receiveID)
			address, _ := p.signed(encrypted)
			return address, body(encrypted)
		}
		old := said
		old.sent = time.Now().Add(-25 * time.Hour)
		early := said
		early.sent = time.Now().Add(time.Hour)
		otherToken, otherKey := *p, *p
		otherToken.token = "another"
		otherKey.aesKey = strings.Repeat("A", 43)
		forged, _ := otherToken.signed(genuine)
		wrongKey := otherKey.encrypt(said.callback(), "")
		wrongKeyAddress, _ := p.signed(wrongKey)
		toACorp, toACorpBody := sealed(said.callback(), "ww0123456789abcdef")
		garbage, garbageBody := sealed("\x00\xff not JSON", "")
		array, arrayBody := sealed(`[1,2,3]`, "")
		nobody, nobodyBody := sealed(strings.Replace(said.callback(), "lisi", "", 1), "")
		oldAddress, oldBody := sealed(old.callback(), "")
		earlyAddress, earlyBody := sealed(early.callback(), "")

		tests := []struct {
			name, address, body string
			want                int
		}{
			{"wrong signature", strings.Replace(address, "msg_signature=", "msg_signature=0", 1), body(genuine), 403},
			{"no signature", p.url, body(genuine), 403},
			{"another token", forged, body(genuine), 403},
			{"altered", address, body(strings.Replace(genuine, genuine[:4], "AAAA", 1)), 403},
			{"truncated", address, body(genuine[:len(genuine)-8]), 403},
			{"another key", wrongKeyAddress, body(wrongKey), 400},
			{"for a corp", toACorp, toACorpBody, 403},
			{"not JSON inside", garbage, garbageBody, 400},
			{"an array inside", array, arrayBody, 400},
			{"from nobody", nobody, nobodyBody, 400},
			{"a day old", oldAddress, oldBody, 400},
			{"from the future", earlyAddress, earlyBody, 400},
			{"empty", address, "", 400},
			{"garbage", address, "\x00\x01\x02{", 400},
			{"half an envelope", address, `{"encrypt":"`, 400},
			{"no ciphertext", address, `{}`, 400},
			{"entities", address, `<!DOCTYPE x [<!ENTITY a "b">]><xml><Encrypt>&a;</Encrypt></xml>`, 400},
			{"2 MiB", address, body(strings.Repeat("A", 2<<20)), 413},
			{"another bot", strings.Replace(address, testBot, "stranger", 1), body(genuine), 404},
		}
		for _, tt := range tests {
			resp, text, err := p.post(t.Context(), tt.address, tt.body)
			if err != nil {
				t.Errorf("%s: %v", tt.name, err)
				continue
			}
			if resp.StatusCode != tt.want {
				t.Errorf("%s: HTTP %d %q, want %d", tt.name, resp.StatusCode, text, tt.want)
			}
		}
		resp, err := p.client.Get(address + "&echostr=" + url.QueryEscape(genuine[:len(genuine)-8]))
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		if resp.StatusCode != http.StatusForbidden {
			t.Errorf("GET with another echostr = %d, want 403", resp.StatusCode)
		}

		if r := p.mustDeliver(t, saying{id: "m2", who: "wangwu", text: "签到", sent: time.Now()}); !strings.Contains(r.text, "+5") {
			t.Errorf("a genuine 签到 after all that = %q, want +5", r.text)
		}
		service.stop(t)
		withDatabase(t, o, func(db *store.Store) {
			if got := standingOf(t, db, "lisi"); got != (standing{}) {
				t.Errorf("standing of whom the refused callbacks name = %+v, want nothing", got)
			}
			if got := decisions(t, db); len(got) != 1 {
				t.Errorf("decisions = %+v, want only the genuine one's", got)
			}
			err := db.View(t.Context(), func(tx *store.Tx) error {
				sizes, err := tx.Sizes(tx.Context())
				if sizes.Members != 1 || sizes.Groups != 1 {
					t.Errorf("sizes = %+v, want one member and one group", sizes)
				}
				return err
			})
			if err != nil {
				t.Error(err)
			}
		})
	})
}

// A handler that panics answers one apology and is not run again.
func TestServiceSurvivesAPanic(t *testing.T) {
	storetest.EachOptions(t, func(t *testing.T, o store.Options) {
		var panics atomic.Int64
		service := start(t, writeSettings(t, o), adjusted(o, func(s *service) {
			s.app.Engine.Screens = append(s.app.Engine.Screens, func(_ context.Context, _ *store.Tx, m bot.Message) (bot.Reply, bool, error) {
				if m.Text == "炸" {
					panics.Add(1)
					panic("a bug")
				}
				return bot.Reply{}, false, nil
			})
		}))
		p := newPlatform(service.address)
		bomb := saying{id: "m1", who: "lisi", text: "炸", sent: time.Now()}
		first := p.mustDeliver(t, bomb)
		ran := panics.Load() // in its batch, and alone
		again := p.mustDeliver(t, bomb)
		if !strings.Contains(first.text, "抱歉") || again.plain != first.plain || panics.Load() != ran {
			t.Errorf("a panic = %q, again %q after %d more runs, want one apology twice and no run", first.text, again.text, panics.Load()-ran)
		}
		if r := p.mustDeliver(t, saying{id: "m2", who: "lisi", text: "签到", sent: time.Now()}); !strings.Contains(r.text, "+5") {
			t.Errorf("签到 after a panic = %q, want +5", r.text)
		}
	})
}

// adjusted is run with something changed before the service runs.
func adjusted(o store.Options, adjust func(*service)) func(context.Context, config.Config, environment) error {
	return func(ctx context.Context, cfg config.Config, env environment) error {
		db, err := store.Open(ctx, o)
		if err != nil {
			return err
		}
		defer db.Close()
		s, err := assemble(ctx, cfg, db, o.Secret, env)
		if err != nil {
			return err
		}
		adjust(s)
		return s.run(ctx)
	}
}

// A service that is told to stop answers what it has accepted, and accepts
// nothing more.
func TestServiceAnswersWhatItAcceptedBeforeItStops(t *testing.T) {
	storetest.EachOptions(t, func(t *testing.T, o store.Options) {
		const messages = 200
		var accepted atomic.Int64
		all, goOn := make(chan struct{}), make(chan struct{})
		service := start(t, writeSettings(t, o), adjusted(o, func(s *service) {
			inner := s.public.Handler
			s.public.Handler = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if accepted.Add(1) == messages {
					close(all)
				}
				inner.ServeHTTP(w, r)
			})
			s.app.Engine.Probe = func(at bot.Point) {
				if at == bot.BeforeCommit {
					<-goOn // the first transaction stays open until everybody waits
				}
			}
		}))
		p := newPlatform(service.address)
		answers := make(chan error, messages)
		for n := range messages {
			go func() {
				_, err := p.deliver(t.Context(), saying{id: fmt.Sprint("m", n), who: fmt.Sprint("member", n), text: "签到", sent: time.Now()})
				answers <- err
			}()
		}
		<-all
		service.cancel()
		for { // until the door is closed
			c, err := net.Dial("tcp", service.address)
			if err != nil {
				break
			}
			c.Close()
		}
		close(goOn)
		for range messages {
			if err := <-answers; err != nil {
				t.Errorf("a message that was accepted before the stop: %v", err)
			}
		}
		service.stop(t)
		withDatabase(t, o, func(db *store.Store) {
			for n := range messages {
				if got, want := standingOf(t, db, fmt.Sprint("member", n)), (standing{1, 1, 5}); got != want {
					t.Errorf("standing of member %d = %+v, want %+v", n, got, want)
				}
			}
			verifyLedger(t, db)
		})
	})
}

// The same member says 签到 at once in many messages, each delivered more
// than once: one check-in, one award.
func TestServiceUnderConcurrentSayings(t *testing.T) {
	storetest.EachOptions(t, func(t *testing.T, o store.Options) {
		service := start(t, writeSettings(t, o), run)
		p := newPlatform(service.address)
		var earned atomic.Int64
		var plain [20]sync.Map // the different answers to one msgid
		var wg sync.WaitGroup
		for n := range plain {
			for range 3 {
				wg.Go(func() {
					r, err := p.deliver(t.Context(), saying{id: fmt.Sprint("m", n), who: "lisi", text: "签到", sent: time.Unix(time.Now().Unix(), 0)})
					if err != nil {
						t.Error(err)
					}
					if _, seen := plain[n].LoadOrStore(r.plain, true); !seen && strings.Contains(r.text, "+5") {
						earned.Add(1)
					}
				})
			}
		}
		wg.Wait()
		for n := range plain {
			different := 0
			plain[n].Range(func(_, _ any) bool { different++; return true })
			if different != 1 {
				t.Errorf("msgid m%d got %d different answers, want 1", n, different)
			}
		}
		if earned.Load() != 1 {
			t.Errorf("%d of %d messages earned +5, want 1", earned.Load(), len(plain))
		}
		service.stop(t)
		withDatabase(t, o, func(db *store.Store) {
			if got, want := standingOf(t, db, "lisi"), (standing{1, 1, 5}); got != want {
				t.Errorf("standing = %+v, want %+v", got, want)
			}
			verifyLedger(t, db)
		})
	})
}

func TestServiceSaysThatItsAddressIsTaken(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	cfg := loadSettings(t, writeSettings(t, storetest.SQLite(t)))
	cfg.Listen = l.Addr().String()
	err = run(t.Context(), cfg, environment{Now: time.Now, Log: slog.New(slog.DiscardHandler), Out: io.Discard})
	if err == nil || !strings.Contains(err.Error(), cfg.Listen) {
		t.Errorf("run on a taken address = %v, want an error that names %s", err, cfg.Listen)
	}
}

// ---- commands ----

// command runs a command of the program in this process.
func command(t *testing.T, args ...string) (out string, err error) {
	t.Helper()
	var c commands
	parser, err := kong.New(&c, kong.Name("qunbot"), kong.Exit(func(int) {}))
	if err != nil {
		t.Fatal(err)
	}
	k, err := parser.Parse(args)
	if err != nil {
		return "", err
	}
	var text bytes.Buffer
	err = k.Run(process{ctx: t.Context(), out: &text, now: time.Now})
	return text.String(), err
}

func TestCommands(t *testing.T) {
	storetest.EachOptions(t, func(t *testing.T, o store.Options) {
		path := writeSettings(t, o)
		tests := []struct {
			args []string
			want []string // in the output
			fail string   // in the error; empty: none
		}{
			{[]string{"version"}, []string{"qunbot "}, ""},
			{[]string{"migrate"}, []string{"数据库已是最新"}, ""},
			{[]string{"migrate"}, []string{"数据库已是最新"}, ""}, // and once more
			{[]string{"job", "list"}, []string{"ledger.verify", "points.expire", "housekeeping", "还没有运行过"}, ""},
			{[]string{"job", "run", "ledger.verify"}, []string{"ledger.verify 已运行"}, ""},
			{[]string{"job", "list"}, []string{"完成，用时"}, ""},
			{[]string{"job", "run", "no.such"}, nil, "没有任务 no.such"},
			{[]string{"ledger", "verify"}, []string{"积分账没有问题"}, ""},
		}
		for _, tt := range tests {
			args := tt.args
			if args[0] != "version" {
				args = append(slices.Clone(args), "--config", path)
			}
			out, err := command(t, args...)
			if (err == nil) != (tt.fail == "") || err != nil && !strings.Contains(err.Error(), tt.fail) {
				t.Errorf("qunbot %q = %v, want %q", tt.args, err, tt.fail)
			}
			for _, want := range tt.want {
				if !strings.Contains(out, want) {
					t.Errorf("qunbot %q printed %q, want %q in it", tt.args, out, want)
				}
			}
		}
	})
}

func TestLedgerVerifyNamesWhatIsWrong(t *testing.T) {
	o := storetest.SQLite(t)
	path := writeSettings(t, o)
	withDatabase(t, o, func(db *store.Store) {
		err := db.Update(t.Context(), func(tx *store.Tx) error { // an entry without a lot
			_, _, err := tx.AddEntry(tx.Context(), store.Entry{Key: "k", MemberID: 7, Rule: "test", Points: 5, At: time.Now()})
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	})
	out, err := command(t, "ledger", "verify", "--config", path)
	if !errors.Is(err, errProblems) || !strings.Contains(out, "会员 7") {
		t.Errorf("ledger verify = %q, %v, want 会员 7 and %v", out, err, errProblems)
	}
}

func TestCheckCommand(t *testing.T) {
	o := storetest.SQLite(t)
	path := writeSettings(t, o)
	service := start(t, path, run)

	// The service is up, but not at the public address of the settings, and
	// there is no app whose credentials could be tried.
	out, err := command(t, "check", "--config", path)
	if !errors.Is(err, errProblems) || !strings.Contains(out, "✓ 数据库") || !strings.Contains(out, "打不开 ") {
		t.Errorf("check with a wrong address = %q, %v, want a good database, a bad callback and %v", out, err, errProblems)
	}

	// Now with the right address, and with an app, of which this server knows.
	wecom := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		switch q := r.URL.Query(); {
		case r.URL.Path == "/cgi-bin/gettoken" && q.Get("corpid") == "ww0123456789abcdef" && q.Get("corpsecret") == "appSecret":
			io.WriteString(w, `{"errcode":0,"errmsg":"ok","access_token":"TOKEN","expires_in":7200}`)
		case r.URL.Path == "/cgi-bin/getcallbackip" && q.Get("access_token") == "TOKEN":
			io.WriteString(w, `{"errcode":0,"errmsg":"ok","ip_list":["203.0.113.7"]}`)
		default:
			io.WriteString(w, `{"errcode":40001,"errmsg":"invalid credential"}`)
		}
	}))
	t.Cleanup(wecom.Close)
	check := func(secret string) (string, error) {
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		text = append([]byte("public_url: http://"+service.address+"\n"), text...)
		text = bytes.Replace(text, []byte("wecom:\n"), fmt.Appendf(nil, "wecom:\n  api_base: %s\n  app: {agent_id: 1000002, secret: %s, token: appToken, aes_key: %s}\n",
			wecom.URL, secret, testAESKey), 1)
		if err := os.WriteFile(path+".app", text, 0o600); err != nil {
			t.Fatal(err)
		}
		return command(t, "check", "--config", path+".app")
	}
	out, err = check("appSecret")
	if err != nil || !strings.Contains(out, "✓ 机器人 helper") || !strings.Contains(out, "检查完毕") {
		t.Errorf("check with the right address and secret = %q, %v, want all good", out, err)
	}
	out, err = check("wrongSecret")
	if !errors.Is(err, errProblems) || !strings.Contains(out, "40001") || !strings.Contains(out, "✓ 机器人 helper") {
		t.Errorf("check with a wrong secret = %q, %v, want 40001 and %v", out, err, errProblems)
	}
	if strings.Contains(out, "wrongSecret") {
		t.Errorf("check printed a secret: %q", out)
	}
}

// Every problem of the settings is named at once, with its line.
func TestCheckListsAllProblems(t *testing.T) {
	path := filepath.Join(t.TempDir(), "qunbot.yaml")
	text := `listen: nonsense
time_zone: Mars/Olympus
database: {driver: oracle}
wecom:
  corp_id: ww0123456789abcdef
  bots:
    - {name: helper, display_name: 小助手, token: abc, aes_key: short}
no_such_setting: 1
`
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	out, err := command(t, "check", "--config", path)
	if !errors.Is(err, errProblems) {
		t.Errorf("check of bad settings = %v, want %v", err, errProblems)
	}
	for _, want := range []string{"listen", "time_zone", "database.driver", "aes_key", "no_such_setting"} {
		if !strings.Contains(out, want) {
			t.Errorf("check printed\n%s\nwant %s in it", out, want)
		}
	}
	if _, err := command(t, "serve", "--config", path); err == nil || !strings.Contains(err.Error(), "aes_key") {
		t.Errorf("serve with bad settings = %v, want the problems", err)
	}
	if strings.Contains(out, "short") {
		t.Errorf("check printed a secret:\n%s", out)
	}
}

// The program's own exit codes and streams, in a process of its own.
func TestExitCodes(t *testing.T) {
	path := writeSettings(t, storetest.SQLite(t))
	tests := []struct {
		args        []string
		code        int
		out, stderr string // in them
	}{
		{[]string{"version"}, 0, "qunbot ", ""},
		{[]string{"--help"}, 0, "demo", ""},
		{[]string{"migrate", "--config", path}, 0, "数据库已是最新", ""},
		{[]string{"job", "run", "ledger.verify", "--config", path}, 0, "已运行", ""},
		{[]string{"job", "run", "no.such", "--config", path}, 1, "", "没有任务 no.such"},
		{[]string{"serve", "--config", path + ".missing"}, 1, "", "找不到这个文件"},
		{[]string{"check", "--config", path + ".missing"}, 1, "找不到这个文件", "有问题"},
		{[]string{"nonsense"}, 80, "", "nonsense"}, // kong's code for a wrong command line
	}
	for _, tt := range tests {
		cmd := exec.CommandContext(t.Context(), os.Args[0], tt.args...)
		cmd.Env = []string{childVariable + "=main"}
		var out, stderr bytes.Buffer
		cmd.Stdout, cmd.Stderr = &out, &stderr
		err := cmd.Run()
		if cmd.ProcessState == nil {
			t.Fatal(err)
		}
		if got := cmd.ProcessState.ExitCode(); got != tt.code || !strings.Contains(out.String(), tt.out) || !strings.Contains(stderr.String(), tt.stderr) {
			t.Errorf("qunbot %q: exit %d, printed %q, on stderr %q; want %d, %q, %q", tt.args, got, &out, &stderr, tt.code, tt.out, tt.stderr)
		}
	}
}
