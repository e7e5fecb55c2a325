package simulator

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptrace"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"time"

	"qunbot/bot/wecom"
)

// maxTries is how often a callback is posted before WeCom gives up.
//
// Source: https://developer.work.weixin.qq.com/document/path/90930
const maxTries = 3

// A delivery is one callback: what stays the same however often it is posted.
type delivery struct {
	bot    Bot
	chat   Chat
	person Person
	with   string // in a single chat, the person's id
	line   string // id of the message; empty for an event
	said   time.Time
	plain  []byte // the callback before encryption
	what   kind   // of callback
	close  func() // the interaction is over

	answer string // id of the line with the bot's answer
	reply  []byte // the first answer, decrypted; nil if there was none

	busy sync.Mutex // held while d is under way; guards answer and reply
}

// An attempt is one posting of a delivery and what came back.
type attempt struct {
	nonce    string
	url      string
	sent     []byte // body of the request
	status   int
	got      []byte // body of the answer
	metrics  []metric
	sealing  time.Duration
	waiting  time.Duration // from the request to the whole answer
	opening  time.Duration
	failure  error  // no HTTP 200: to be tried again
	refusal  error  // an HTTP 200 that WeCom would not accept: not tried again
	reply    []byte // decrypted; nil if the service did not reply
	replayed bool   // the service says that it has seen this before
}

// callbackClient returns a client that posts as WeCom does: straight, and
// without following anywhere.
func callbackClient() *http.Client {
	transport := http.DefaultTransport.(*http.Transport).Clone()
	transport.Proxy = nil
	return &http.Client{
		Transport:     transport,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
}

// verify asks a callback URL to decrypt an echo until it does, as WeCom does
// once when somebody saves the settings.
//
// Source: https://developer.work.weixin.qq.com/document/path/90930
func (s *Simulator) verify(ctx context.Context, bot Bot) {
	for try := 0; ; try++ {
		problem := ""
		if err := s.verifyOnce(ctx, bot); err != nil {
			problem = err.Error()
		}
		if ctx.Err() != nil {
			return
		}
		s.mu.Lock()
		changed := s.verified[bot.Name] != problem
		s.verified[bot.Name] = problem
		if changed {
			s.publish("verified", s.verified)
		}
		s.mu.Unlock()
		switch {
		case problem == "":
			s.cfg.Log.Info("callback url verified", "bot", bot.Name, "tries", try+1)
			return
		case changed:
			s.cfg.Log.Warn("callback url not verified", "bot", bot.Name, "err", problem)
		}
		if !pause(ctx, min(s.cfg.Timing.Pause*time.Duration(try+1), 5*time.Second)) {
			return
		}
	}
}

// verifyOnce returns nil if the URL answers as it should.
func (s *Simulator) verifyOnce(ctx context.Context, bot Bot) error {
	ctx, cancel := context.WithTimeout(ctx, s.cfg.Timing.Verify)
	defer cancel()
	echo := s.digits(19)
	sealed := s.ciphers[bot.Name].Seal([]byte(echo), s.now().Unix(), s.digits(10))
	query := sealed.Query()
	query.Set("echostr", sealed.Encrypt)
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, withQuery(bot.CallbackURL, query), nil)
	if err != nil {
		return err
	}
	response, err := s.cfg.HTTP.Do(request)
	if err != nil {
		return errors.New(explain(err))
	}
	defer response.Body.Close()
	body, err := io.ReadAll(io.LimitReader(response.Body, 1024))
	switch {
	case err != nil:
		return errors.New(explain(err))
	case response.StatusCode != http.StatusOK:
		return fmt.Errorf("URL 验证得到 HTTP %d，应为 200", response.StatusCode)
	case string(body) != echo:
		return errors.New("URL 验证的回答不是解密后的 echostr 本身")
	}
	return nil
}

// post sends d once, with a fresh nonce, time and signature.
func (s *Simulator) post(ctx context.Context, d *delivery) attempt {
	return s.send(ctx, d, s.seal(d), nil)
}

// seal encrypts and signs d for one attempt.
func (s *Simulator) seal(d *delivery) attempt {
	a := attempt{nonce: s.digits(10)}
	started := s.cfg.Now()
	cipher := s.ciphers[d.bot.Name]
	sealed := cipher.Seal(d.plain, s.now().Unix(), a.nonce)
	a.sent = wecom.Delivery{Encrypt: sealed.Encrypt}.JSON()
	if d.bot.what != aibot {
		a.sent = wecom.Delivery{ToUserName: s.cfg.CorpID, AgentID: d.bot.agent, Encrypt: sealed.Encrypt}.XML()
	}
	a.url = withQuery(d.bot.CallbackURL, sealed.Query())
	a.sealing = s.cfg.Now().Sub(started)
	return a
}

// send posts what was sealed and reads the answer. It calls written, if there
// is one, when the request is on its way.
func (s *Simulator) send(ctx context.Context, d *delivery, a attempt, written func()) attempt {
	ctx, cancel := context.WithTimeout(ctx, s.cfg.Timing.Callback)
	defer cancel()
	if written != nil {
		once := sync.OnceFunc(written)
		ctx = httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{WroteRequest: func(httptrace.WroteRequestInfo) { once() }})
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, a.url, bytes.NewReader(a.sent))
	if err != nil {
		a.failure = err
		return a
	}
	request.Header.Set("Content-Type", "application/json")
	if d.bot.what != aibot {
		request.Header.Set("Content-Type", "text/xml")
	}
	request.Header.Set("User-Agent", "Mozilla/4.0")
	posted := s.cfg.Now()
	response, err := s.cfg.HTTP.Do(request)
	if err != nil {
		a.waiting, a.failure = s.cfg.Now().Sub(posted), errors.New(explain(err))
		return a
	}
	defer response.Body.Close()
	a.got, err = io.ReadAll(io.LimitReader(response.Body, wecom.MaxReplyBytes+1))
	a.waiting = s.cfg.Now().Sub(posted)
	a.status = response.StatusCode
	a.metrics = parseServerTiming(response.Header.Values("Server-Timing"))
	for _, m := range a.metrics {
		a.replayed = a.replayed || m.name == "replayed"
	}
	switch {
	case err != nil:
		a.failure = errors.New(explain(err))
		return a
	case a.status != http.StatusOK:
		a.failure = fmt.Errorf("HTTP %d，只有 200 算送到", a.status)
		return a
	}
	opening := s.cfg.Now()
	a.reply, a.refusal = openReply(s.ciphers[d.bot.Name], a.got, a.nonce, d.bot.what != aibot)
	a.opening = s.cfg.Now().Sub(opening)
	return a
}

// openReply checks the envelope of a reply as WeCom does and decrypts it. It
// returns nil for an empty body, which says that there is no reply.
//
// A reply in XML may have a nonce of its own.
//
// Sources: https://developer.work.weixin.qq.com/document/path/101033 and, for
// XML, https://developer.work.weixin.qq.com/document/path/90968
func openReply(cipher *wecom.Cipher, body []byte, nonce string, inXML bool) ([]byte, error) {
	if len(body) == 0 {
		return nil, nil
	}
	if inXML && body[0] != '<' {
		return nil, fmt.Errorf("回答不是 XML 信封（不回复要用空的正文，不是 %q）", shorten(string(body), 20))
	}
	if !inXML && body[0] != '{' {
		return nil, fmt.Errorf("回答不是 JSON 信封（不回复要用空的正文，不是 %q）", shorten(string(body), 20))
	}
	envelope, err := wecom.ParseEnvelope(body)
	if err != nil {
		return nil, fmt.Errorf("回答的信封缺字段或类型不对：%w", err)
	}
	if envelope.Nonce != nonce && !inXML {
		return nil, fmt.Errorf("回答的 nonce 是 %q，应当重复请求的 %q", shorten(envelope.Nonce, 20), nonce)
	}
	plain, err := cipher.OpenEnvelope(envelope)
	switch {
	case errors.Is(err, wecom.ErrBadSignature):
		return nil, errors.New("回答的 msgsignature 不对")
	case err != nil:
		return nil, fmt.Errorf("回答解不开：%w", err)
	case len(plain) == 0:
		return nil, errors.New("回答解密后是空的")
	}
	return plain, nil
}

// deliver posts d until it arrives, at most tries times, and accounts for it
// in t. The last attempt is returned.
func (s *Simulator) deliver(ctx context.Context, d *delivery, t *trace, first, tries int) attempt {
	for try := first; ; try++ {
		a := s.seal(d)
		s.step(t, sealed(d, a))
		a = s.send(ctx, d, a, nil)
		s.account(t, d, a, fmt.Sprintf("第 %d 次投递", try))
		if a.failure == nil || try >= first+tries-1 {
			return a
		}
		wait := s.cfg.Timing.Pause * time.Duration(try)
		s.step(t, row{Name: "等一下再投", Detail: "没有得到 200，平台会再投", MS: ms(wait)})
		if !pause(ctx, wait) {
			return a
		}
	}
}

// sealed is the step that came before an attempt was sent.
func sealed(d *delivery, a attempt) row {
	return row{Name: "加密并签名", Detail: fmt.Sprintf("%d B 明文，nonce %s", len(d.plain), a.nonce), MS: ms(a.sealing)}
}

// account writes into t how an attempt went.
func (s *Simulator) account(t *trace, d *delivery, a attempt, name string) {
	sent := row{Name: name, Detail: fmt.Sprintf("%d B → %s", len(a.sent), pathOf(d.bot.CallbackURL)), MS: ms(a.waiting)}
	var rows []row
	wires := []wire{
		{Title: "请求 URL", Text: "POST " + a.url},
		{Title: "请求正文", Text: cut(a.sent)},
		{Title: "其中的明文", Text: cut(d.plain)},
	}
	switch {
	case a.failure != nil:
		sent.State = bad
		rows = append(rows, sent)
		rows = append(rows, rowsOf(a.metrics)...)
		rows = append(rows, row{Name: "没送到", Detail: a.failure.Error(), State: bad})
	default:
		rows = append(rows, sent)
		rows = append(rows, rowsOf(a.metrics)...)
		answer := row{Name: "回答", Detail: fmt.Sprintf("HTTP 200，%d B，验签、解密通过", len(a.got)), MS: ms(a.opening), State: good}
		switch {
		case a.refusal != nil:
			answer.State, answer.Detail = bad, a.refusal.Error()
		case a.reply == nil:
			answer.Detail = "HTTP 200，空的正文：不回复"
		}
		rows = append(rows, answer)
	}
	if len(a.got) > 0 {
		wires = append(wires, wire{Title: fmt.Sprintf("回答正文 · HTTP %d", a.status), Text: strings.ToValidUTF8(cut(a.got), "�")})
	}
	if a.reply != nil {
		wires = append(wires, wire{Title: "其中的明文", Text: strings.ToValidUTF8(cut(a.reply), "�")})
	}
	s.changeTrace(t, func() { t.Rows, t.Wire = append(t.Rows, rows...), wires })
}

// digits returns a random decimal number of n digits.
func (s *Simulator) digits(n int) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.digitsLocked(n)
}

func (s *Simulator) digitsLocked(n int) string {
	number := make([]byte, n)
	for i := range number {
		number[i] = byte('0' + s.cfg.Rand.IntN(10))
	}
	if number[0] == '0' {
		number[0] = '1'
	}
	return string(number)
}

// explain says in Chinese why a request has failed. The URL, which a
// net/http error repeats, is left out.
func explain(err error) string {
	var timeout interface{ Timeout() bool }
	switch text := err.Error(); {
	case errors.As(err, &timeout) && timeout.Timeout():
		return "在时限内没有回答，平台断开了连接"
	case strings.Contains(text, "connection refused"):
		return "连接被拒绝：服务没有在运行"
	case strings.Contains(text, "EOF"), strings.Contains(text, "reset"), strings.Contains(text, "broken pipe"):
		return "连接断了，没有等到回答"
	}
	if inner, ok := errors.AsType[*url.Error](err); ok {
		return inner.Err.Error()
	}
	return err.Error()
}

func withQuery(to string, query url.Values) string {
	if strings.Contains(to, "?") {
		return to + "&" + query.Encode()
	}
	return to + "?" + query.Encode()
}

func pathOf(to string) string {
	u, err := url.Parse(to)
	if err != nil {
		return to
	}
	return u.Path
}

// shorten returns the first n runes of s.
func shorten(s string, n int) string {
	runes := []rune(s)
	if len(runes) <= n {
		return s
	}
	return string(runes[:n]) + "…"
}

func seconds(d time.Duration) string {
	return strconv.FormatFloat(d.Seconds(), 'f', -1, 64) + " 秒"
}
