package api

import (
	"bytes"
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"runtime/debug"
	"slices"
	"strconv"
	"strings"
	"time"

	"golang.org/x/time/rate"

	"qunbot/store"
	"qunbot/web/frame"
)

// Prefix is where the API is mounted.
const Prefix = "/api/v1"

// What a request may ask for.
const (
	MaxBody      = 1 << 20 // bytes
	DefaultLimit = 50      // rows a page
	MaxLimit     = 200
)

// A Key lets one client in.
type Key struct {
	Name   string // who it is, for the log and the keys of writes
	Secret string // at least 16 characters
}

// Config is what an API is made of.
type Config struct {
	Store  *store.Store
	Keys   []Key            // none: every request is refused
	Routes []Route          // the features'
	Now    func() time.Time //
	Log    *slog.Logger     //
	Rate   float64          // requests a second that each key may make on average; 0: 50
	Burst  int              // and at once; 0: 100
}

// An API serves /api/v1.
type API struct {
	Config
	keys     []hashedKey
	limiter  *frame.Limiter // by key
	guesses  *frame.Limiter // by address, of requests without a key
	mux      *http.ServeMux
	patterns []string // of mux
	document []byte   // openapi.yaml
	handler  http.Handler
}

type hashedKey struct {
	name string
	hash [sha256.Size]byte
}

// New checks the keys and the routes and returns the API. Everything that is
// wrong is named in the error.
func New(c Config) (*API, error) {
	if c.Rate == 0 {
		c.Rate = 50
	}
	if c.Burst == 0 {
		c.Burst = 100
	}
	c.Routes = slices.Concat(ownRoutes(), c.Routes)
	a := &API{Config: c, mux: http.NewServeMux(), limiter: frame.NewLimiter(rate.Limit(c.Rate), c.Burst, max(1, len(c.Keys)))}
	a.guesses = frame.NewLimiter(1, 20, 10_000)
	problems := a.addKeys()
	for _, r := range c.Routes {
		if err := a.add(r); err != nil {
			problems = append(problems, fmt.Errorf("API route %s %s: %w", r.Method, r.Path, err))
		}
	}
	document, err := documentOf(c.Routes)
	if err != nil {
		problems = append(problems, err)
	}
	if err := errors.Join(problems...); err != nil {
		return nil, err
	}
	a.document = document
	a.mux.HandleFunc("/", a.noRoute)
	a.handler = frame.Recover(http.HandlerFunc(a.serve), a.panicked)
	return a, nil
}

// Mount makes mux serve the API.
func (a *API) Mount(mux *http.ServeMux) { mux.Handle(Prefix+"/", a.handler) }

func (a *API) addKeys() (problems []error) {
	for i, k := range a.Keys {
		hash := sha256.Sum256([]byte(k.Secret))
		for _, earlier := range a.keys {
			if earlier.name == k.Name || earlier.hash == hash {
				problems = append(problems, fmt.Errorf("API key %d: its name or its key is that of another one", i+1))
			}
		}
		if k.Name == "" || len(k.Secret) < 16 {
			problems = append(problems, fmt.Errorf("API key %d (%s): it needs a name and at least 16 characters", i+1, k.Name))
		}
		a.keys = append(a.keys, hashedKey{k.Name, hash})
	}
	return problems
}

// Patterns returns what the API serves to those who have a key, as patterns of
// a mux.
func (a *API) Patterns() []string { return slices.Clone(a.patterns) }

// methods are those that routes may have.
var methods = []string{"GET", "POST", "PUT", "PATCH", "DELETE"}

// add routes r.
func (a *API) add(r Route) (err error) {
	switch {
	case !slices.Contains(methods, r.Method):
		return fmt.Errorf("its method must be one of %v", methods)
	case !strings.HasPrefix(r.Path, "/"):
		return errors.New("its path must begin with a slash")
	case r.Handle == nil:
		return errors.New("it has no Handle")
	case r.Summary == "":
		return errors.New("it has no summary")
	case r.Write == (r.Method == "GET"):
		return errors.New("GET reads and everything else writes: Write says otherwise")
	}
	defer func() { // the mux panics at patterns that clash
		if p := recover(); p != nil {
			err = fmt.Errorf("%v", p)
		}
	}()
	pattern := r.Method + " " + Prefix + r.Path
	a.mux.HandleFunc(pattern, func(w http.ResponseWriter, q *http.Request) { a.run(w, q, r) })
	a.patterns = append(a.patterns, pattern)
	return nil
}

// noRoute answers an address that no route has, or not with this method.
func (a *API) noRoute(w http.ResponseWriter, r *http.Request) {
	var allowed []string
	for _, method := range methods {
		other := r.Clone(r.Context())
		other.Method = method
		if _, pattern := a.mux.Handler(other); strings.HasPrefix(pattern, method+" ") {
			allowed = append(allowed, method)
		}
	}
	if len(allowed) == 0 {
		a.answerError(w, r, NotFound("没有 %s 这个地址。所有地址见 %s/openapi.yaml。", r.URL.Path, Prefix))
		return
	}
	allow := strings.Join(allowed, ", ")
	a.answerError(w, r, &Problem{Status: http.StatusMethodNotAllowed, allow: allow, Detail: "这个地址只接受 " + allow + "。"})
}

// clientKey is where a request's context holds the name of its key.
type clientKey struct{}

// serve lets in whoever has a key, and no more often than agreed.
func (a *API) serve(w http.ResponseWriter, r *http.Request) {
	h := w.Header()
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Cache-Control", "no-store")
	h.Set("Content-Security-Policy", "default-src 'none'; frame-ancestors 'none'")
	if r.URL.Path == Prefix+"/openapi.yaml" && (r.Method == http.MethodGet || r.Method == http.MethodHead) {
		h.Set("Content-Type", "application/yaml")
		w.Write(a.document)
		return
	}
	client, ok := a.client(r)
	if !ok {
		if wait := a.guesses.Wait(frame.Address(r), a.Now()); wait > 0 { // not logged: that is what a flood is for
			sendProblem(w, &Problem{Status: http.StatusTooManyRequests, retryAfter: wait,
				Detail: "这个网络地址没带有效的密钥，又试得太多。请等 Retry-After 秒后再试；带有效密钥的请求不受影响。"}, frame.ErrorID())
			return
		}
		h.Set("WWW-Authenticate", `Bearer realm="qunbot"`)
		a.refuse(w, r, &Problem{Status: http.StatusUnauthorized, Detail: "请在请求头里带上 Authorization: Bearer 和设置 api.keys 里的一个密钥。"})
		return
	}
	r = r.WithContext(context.WithValue(r.Context(), clientKey{}, client))
	if wait := a.limiter.Wait(client, a.Now()); wait > 0 {
		a.refuse(w, r, &Problem{Status: http.StatusTooManyRequests, retryAfter: wait,
			Detail: fmt.Sprintf("这个密钥每秒最多 %g 次请求。请等 Retry-After 秒后再试。", a.Rate)})
		return
	}
	r.Body = http.MaxBytesReader(w, r.Body, MaxBody)
	a.mux.ServeHTTP(w, r)
}

// client returns the name of the key that a request brings. All keys are
// compared, by their hashes and in constant time, so that the time it takes
// says nothing.
func (a *API) client(r *http.Request) (name string, ok bool) {
	scheme, given, _ := strings.Cut(r.Header.Get("Authorization"), " ")
	hash := sha256.Sum256([]byte(strings.TrimSpace(given)))
	for _, k := range a.keys {
		if subtle.ConstantTimeCompare(k.hash[:], hash[:]) == 1 {
			name, ok = k.name, true
		}
	}
	return name, ok && strings.EqualFold(scheme, "Bearer")
}

// run answers a request for route.
func (a *API) run(w http.ResponseWriter, r *http.Request, route Route) {
	q, err := a.request(r, route)
	if err != nil {
		a.answerError(w, r, err)
		return
	}
	if route.Write {
		a.write(w, r, route, q)
		return
	}
	var result any
	err = a.Store.View(r.Context(), func(tx *store.Tx) (err error) {
		result, err = route.Handle(tx.Context(), tx, q)
		return err
	})
	if err != nil {
		a.answerError(w, r, err)
		return
	}
	if page, ok := result.(Page); ok {
		if page.Next != 0 {
			next := r.URL.Query()
			next.Set("after", strconv.FormatInt(page.Next, 10))
			w.Header().Set("Link", fmt.Sprintf(`<%s?%s>; rel="next"`, r.URL.EscapedPath(), next.Encode()))
		}
		result = page.Items
	}
	status, body, err := encode(result)
	if err != nil {
		a.answerError(w, r, err)
		return
	}
	send(w, status, "application/json", body)
}

// request reads what every route may want to know.
func (a *API) request(r *http.Request, route Route) (Request, error) {
	q := Request{Client: r.Context().Value(clientKey{}).(string), Now: a.Now(), Query: r.URL.Query(), Limit: DefaultLimit + 1,
		Params: map[string]string{}}
	for part := range strings.SplitSeq(route.Path, "/") {
		if strings.HasPrefix(part, "{") {
			name := strings.Trim(part, "{}")
			q.Params[name] = r.PathValue(name)
		}
	}
	if text := q.Query.Get("limit"); text != "" {
		n, err := strconv.Atoi(text)
		if err != nil || n < 1 || n > MaxLimit {
			return q, BadRequest("limit 必须是 1 到 %d 的整数，现在是「%s」。", MaxLimit, text)
		}
		q.Limit = n + 1
	}
	if text := q.Query.Get("after"); text != "" {
		n, err := strconv.ParseInt(text, 10, 64)
		if err != nil || n < 1 {
			return q, BadRequest("after 必须是上一页 Link 头里给出的正整数，现在是「%s」。", text)
		}
		q.After = n
	}
	body, err := io.ReadAll(r.Body)
	if _, large := errors.AsType[*http.MaxBytesError](err); large {
		return q, &Problem{Status: http.StatusRequestEntityTooLarge, Detail: "请求体最多 1 MiB。"}
	}
	if err != nil {
		return q, BadRequest("请求体没有传完整。")
	}
	q.Body = body
	return q, nil
}

// write runs a route that changes something, at most once a key of the client's.
func (a *API) write(w http.ResponseWriter, r *http.Request, route Route, q Request) {
	key := r.Header.Get("Idempotency-Key")
	switch {
	case key == "":
		a.answerError(w, r, &Problem{Status: http.StatusBadRequest, Code: "idempotency-key-missing",
			Detail: "写操作需要请求头 Idempotency-Key：每笔业务一个不同的值，例如订单号，重试时用同一个值。"})
		return
	case len(key) > 128 || strings.ContainsFunc(key, func(c rune) bool { return c < '!' || c > '~' }):
		a.answerError(w, r, BadRequest("Idempotency-Key 最多 128 个可见的 ASCII 字符。"))
		return
	}
	request := store.Request{Key: store.Key("api", q.Client, key), CreatedAt: q.Now,
		Fingerprint: frame.Fingerprint([]byte(r.Method), []byte(r.URL.Path), []byte(r.URL.RawQuery), q.Body)}
	var answer store.Request
	var replayed bool
	err := a.Store.Update(r.Context(), func(tx *store.Tx) (err error) {
		answer, replayed, err = frame.Once(tx.Context(), tx, request, func() (store.Request, error) {
			result, err := route.Handle(tx.Context(), tx, q)
			if err != nil {
				return store.Request{}, err
			}
			status, body, err := encode(result)
			return store.Request{Status: status, ContentType: "application/json", Body: body}, err
		})
		return err
	})
	if errors.Is(err, frame.ErrOtherRequest) {
		err = &Problem{Status: http.StatusUnprocessableEntity, Code: "idempotency-key-reused",
			Detail: "这个 Idempotency-Key 已经用于另一个内容不同的请求。新的业务请换一个值。"}
	}
	if err != nil {
		a.answerError(w, r, err)
		return
	}
	if replayed {
		w.Header().Set("Idempotency-Replayed", "true")
	}
	send(w, answer.Status, answer.ContentType, answer.Body)
}

// encode returns what a Handle's result is sent as.
func encode(result any) (status int, body []byte, err error) {
	status = http.StatusOK
	switch r := result.(type) {
	case Answer:
		status, result = r.Status, r.Body
	case Page:
		result = r.Items
	}
	if result == nil {
		return http.StatusNoContent, nil, nil
	}
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(result); err != nil {
		return 0, nil, fmt.Errorf("encode answer: %w", err)
	}
	return status, b.Bytes(), nil
}

func send(w http.ResponseWriter, status int, media string, body []byte) {
	if status != http.StatusNoContent {
		w.Header().Set("Content-Type", media)
	}
	w.WriteHeader(status)
	w.Write(body)
}

func (a *API) panicked(w http.ResponseWriter, r *http.Request, p any) {
	a.answerError(w, r, fmt.Errorf("panic: %v\n%s", p, debug.Stack()))
}
