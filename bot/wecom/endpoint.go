package wecom

import (
	"crypto/sha1"
	"errors"
	"fmt"
	"io"
	"math"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"qunbot/bot"
)

// An endpoint is a callback address: it answers the verification of the address
// (GET) and deliveries (POST). What is not genuine gets a 4xx with an empty
// body.
type endpoint struct {
	Config
	name    string // for figures
	refused *refusals
	cipher  *Cipher
	xml     bool // replies are XML, not JSON

	// reply handles an opened delivery and returns its reply before it is
	// encrypted; empty: nothing is said. It notes in steps what it did.
	reply func(r *http.Request, plain []byte, steps *timing) ([]byte, error)
}

// ServeHTTP implements http.Handler.
func (e *endpoint) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	switch r.Method {
	case http.MethodGet:
		e.verify(w, r)
	case http.MethodPost:
		began := e.Now()
		result := e.receive(w, r)
		if e.Answered != nil {
			e.Answered(e.name, result, e.Now().Sub(began))
		}
	default:
		w.Header().Set("Allow", "GET, POST")
		w.WriteHeader(http.StatusMethodNotAllowed)
	}
}

func (e *endpoint) verify(w http.ResponseWriter, r *http.Request) {
	query := r.URL.Query()
	err := e.signedNow(query)
	var echo []byte
	if err == nil {
		echo, err = e.cipher.OpenEcho(query)
	}
	if err != nil {
		e.refuse(w, r, 0, err)
		return
	}
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.Write(echo)
}

// receive answers a delivery and returns which of the results it had.
func (e *endpoint) receive(w http.ResponseWriter, r *http.Request) (result string) {
	// What the address alone gives away costs neither a body nor a sum.
	if e.Sources != nil && !e.Sources.allow(r.RemoteAddr) {
		e.refuse(w, r, 0, errForeignSource)
		return resultRefused
	}
	query := r.URL.Query()
	if err := e.signedNow(query); err != nil {
		e.refuse(w, r, 0, err)
		return resultRefused
	}
	most := int64(MaxDeliveryBytes)
	if e.refused.over(e.Address(r)) {
		most = floodMaxBytes
	}
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, most))
	if err != nil {
		e.refuse(w, r, len(body), err)
		return resultRefused
	}
	steps := timing{now: e.Now}
	steps.note("recv", strconv.Itoa(len(body))+" B")
	steps.start()
	plain, err := e.cipher.OpenPost(query, body)
	if err != nil {
		e.refuse(w, r, len(body), err)
		return resultRefused
	}
	steps.note("verify", "ok") // the cipher checks the signature before it decrypts
	steps.lap("decrypt")
	reply, err := e.reply(r, plain, &steps)
	if err != nil {
		return e.fail(w, r, len(body), err)
	}
	if len(reply) == 0 {
		w.Header().Set("Server-Timing", steps.String())
		return resultSilent
	}
	steps.start()
	sealed, contentType := e.seal(reply, query.Get("nonce"))
	steps.lap("encrypt")
	w.Header().Set("Server-Timing", steps.String())
	w.Header().Set("Content-Type", contentType)
	w.Write(sealed)
	return resultAnswered
}

// signedNow returns an error if a request cannot be signed as it should be, or
// says that it was signed too long ago or in the future: a request that
// somebody recorded is worth nothing a day later, whatever is in it.
func (e *endpoint) signedNow(query url.Values) error {
	if len(query.Get("msg_signature")) != 2*sha1.Size {
		return ErrBadSignature
	}
	text := query.Get("timestamp")
	if strings.Trim(text, "0123456789") != "" { // no sign, no blank
		return ErrBadSignature
	}
	seconds, err := strconv.ParseInt(text, 10, 64)
	if err != nil {
		return ErrBadSignature
	}
	if !bot.InTime(time.Unix(seconds, 0), e.Now()) {
		return bot.ErrSentAt
	}
	return nil
}

func (e *endpoint) seal(reply []byte, nonce string) (sealed []byte, contentType string) {
	envelope := e.cipher.Seal(reply, e.Now().Unix(), nonce)
	if e.xml {
		return envelope.XML(), "text/xml; charset=utf-8"
	}
	return envelope.JSON(), "application/json; charset=utf-8"
}

// refuse answers a request that is not genuine or not well-formed.
func (e *endpoint) refuse(w http.ResponseWriter, r *http.Request, size int, err error) {
	status := http.StatusBadRequest
	if _, tooLarge := errors.AsType[*http.MaxBytesError](err); tooLarge {
		status = http.StatusRequestEntityTooLarge
	} else if errors.Is(err, ErrBadSignature) || errors.Is(err, ErrBadReceiveID) || errors.Is(err, errForeignSource) {
		status = http.StatusForbidden
	}
	if wait := e.refused.note(e.Address(r), r, size, status, err); wait > 0 {
		w.Header().Set("Retry-After", strconv.Itoa(int(math.Ceil(wait.Seconds()))))
		status = http.StatusTooManyRequests
	}
	w.WriteHeader(status)
}

// fail answers a genuine request that was not handled: the platform delivers
// it again, unless it can never be handled.
func (e *endpoint) fail(w http.ResponseWriter, r *http.Request, size int, err error) (result string) {
	if errors.Is(err, bot.ErrSentAt) || errors.Is(err, ErrBadCallback) || errors.Is(err, ErrBadAppCallback) {
		e.refuse(w, r, size, err)
		return resultRefused
	}
	switch {
	case errors.Is(err, bot.ErrBusy):
		result = resultBusy // overload would flood the log
	case errors.Is(err, bot.ErrLate):
		result = resultLate
	default:
		result = resultFailed
	}
	if result != resultBusy {
		e.Log.Error("callback not handled", "path", r.URL.Path, "err", err)
	}
	w.Header().Set("Retry-After", "1")
	w.WriteHeader(http.StatusServiceUnavailable)
	return result
}

// fit returns text, or as many whole paragraphs or sentences of it as fit into
// limit bytes, with a line that says how much is missing.
func fit(text string, limit int) string {
	const room = 64 // bytes for the line
	if len(text) <= limit {
		return text
	}
	parts := SplitText(text, limit-room)
	return fmt.Sprintf("%s\n（内容太长，这是第 1 段，共 %d 段）", parts[0], len(parts))
}

// A timing collects how long the steps of an answer took, for the standard
// Server-Timing header: durations in milliseconds.
//
// Source: https://www.w3.org/TR/server-timing/
type timing struct {
	now   func() time.Time
	began time.Time
	parts []string
}

func (t *timing) start() { t.began = t.now() }

func (t *timing) lap(step string) { t.add(step, t.now().Sub(t.began)) }

func (t *timing) add(step string, d time.Duration) {
	t.parts = append(t.parts, fmt.Sprintf("%s;dur=%.3f", step, float64(d)/float64(time.Millisecond)))
}

func (t *timing) note(step, what string) {
	if what != "" {
		step += `;desc="` + url.PathEscape(what) + `"`
	}
	t.parts = append(t.parts, step)
}

// answered notes how the engine came to an answer.
func (t *timing) answered(a bot.Answer) {
	t.note("rule", a.Rule)
	if a.Replayed {
		t.note("replayed", "")
	}
	t.note("batch", strconv.Itoa(a.Batch))
	t.add("commit", a.Commit)
}

func (t *timing) String() string { return strings.Join(t.parts, ", ") }
