package wecom

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptrace"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"qunbot/store"
)

// OfficialAPI is the address of WeCom's servers.
const OfficialAPI = "https://qyapi.weixin.qq.com"

const (
	callTimeout    = 10 * time.Second // a call, from the first byte to the last
	uploadTimeout  = 60 * time.Second // a call that carries a file of up to 20 MB
	maxAnswerBytes = 4 << 20          // the platform's largest list pages have some hundred kilobytes
)

// tokenPlaceholder stands for the access token until a request leaves: neither
// our own code nor an SDK ever holds the token itself.
const tokenPlaceholder = "TOKEN"

// APIConfig is whom the platform is called for.
type APIConfig struct {
	APIBase       string // scheme and host of the platform; empty means OfficialAPI
	CorpID        string
	AgentID       int64  // of the self-built app
	AppSecret     string // empty: only webhooks and response_url can be used
	ContactSecret string // of 客户联系; empty means AppSecret

	Store *store.Store      // where replicas share tokens; nil keeps them in this process
	HTTP  http.RoundTripper // nil means one with our own limits
	Now   func() time.Time
	Log   *slog.Logger

	// Renewed, if not nil, hears of each renewal of an access token: of "app"
	// or of "contact", by this process or by another that was quicker.
	Renewed func(app string, err error)
}

// An API calls WeCom. Its methods may be called by many goroutines, but never
// inside a transaction. Their errors are an *APIError, with one exception:
// ErrNobody.
type API struct {
	cfg      APIConfig
	base     *url.URL
	open     *transport // calls that carry no access token
	app      *transport // calls with the app's token; nil without AppSecret
	contact  *transport // calls with the token of 客户联系; app if that has no secret of its own
	secrets  []secretOf
	appSDK   *powerWeChat // nil without AppSecret
	groupSDK *powerWeChat // for 客户联系; may be appSDK
}

// A secretOf is a secret that gets an access token.
type secretOf struct {
	title  string // in Chinese, for Diagnose
	secret string
	calls  *transport
}

// NewAPI returns an API. It calls nobody yet.
func NewAPI(c APIConfig) (*API, error) {
	if c.APIBase == "" {
		c.APIBase = OfficialAPI
	}
	base, err := url.Parse(c.APIBase)
	if err != nil || base.Host == "" || base.Scheme != "https" && base.Scheme != "http" || strings.Trim(base.Path, "/") != "" {
		return nil, fmt.Errorf("wecom: api_base %q is not like %s", c.APIBase, OfficialAPI)
	}
	if c.HTTP == nil {
		t := http.DefaultTransport.(*http.Transport).Clone()
		t.MaxIdleConnsPerHost = 32
		c.HTTP = t
	}
	a := &API{cfg: c, base: base}
	a.open = &transport{base: base, next: c.HTTP, now: c.Now}
	if c.AppSecret == "" && c.ContactSecret == "" {
		return a, nil
	}
	if c.CorpID == "" {
		return nil, errors.New("wecom: a secret, but no corp_id")
	}
	if c.AppSecret != "" {
		if c.AgentID <= 0 {
			return nil, errors.New("wecom: the app's secret, but no agent_id")
		}
		if a.app, a.appSDK, err = a.secret("自建应用", strconv.FormatInt(c.AgentID, 10), c.AppSecret); err != nil {
			return nil, err
		}
		a.contact, a.groupSDK = a.app, a.appSDK
	}
	if c.ContactSecret != "" && c.ContactSecret != c.AppSecret {
		if a.contact, a.groupSDK, err = a.secret("客户联系", contactApp, c.ContactSecret); err != nil {
			return nil, err
		}
	}
	return a, nil
}

// contactApp stands for 客户联系 where an app's number does for others.
const contactApp = "contact"

// secret returns what calls with the token of one secret.
func (a *API) secret(title, app, secret string) (*transport, *powerWeChat, error) {
	tokens, err := newTokenSource(a.cfg.CorpID, app, secret, a.cfg.Store, a.cfg.Now, a.cfg.Log)
	if err != nil {
		return nil, nil, fmt.Errorf("wecom: %s: %w", title, err)
	}
	if a.cfg.Renewed != nil {
		label := "app"
		if app == contactApp {
			label = contactApp
		}
		tokens.renewed = func(err error) { a.cfg.Renewed(label, err) }
	}
	tokens.fetch = func(ctx context.Context) (string, time.Duration, error) { return a.getToken(ctx, secret) }
	t := &transport{base: a.base, next: a.cfg.HTTP, tokens: tokens, now: a.cfg.Now}
	sdk, err := newPowerWeChat(a.cfg.CorpID, int(a.cfg.AgentID), t, a.cfg.Log)
	if err != nil {
		return nil, nil, err
	}
	a.secrets = append(a.secrets, secretOf{title, secret, t})
	return t, sdk, nil
}

// getToken fetches the access token of a secret.
//
// Source: https://developer.work.weixin.qq.com/document/path/91039
func (a *API) getToken(ctx context.Context, secret string) (token string, life time.Duration, err error) {
	var answer struct {
		AccessToken string `json:"access_token"`
		ExpiresIn   int64  `json:"expires_in"` // seconds
	}
	query := url.Values{"corpid": {a.cfg.CorpID}, "corpsecret": {secret}}
	if err := a.open.get(ctx, opGetToken, query, &answer); err != nil {
		return "", 0, err
	}
	if answer.AccessToken == "" || answer.ExpiresIn <= 0 {
		return "", 0, &APIError{Op: opGetToken, Msg: "the answer has no token", class: ClassRetry}
	}
	return answer.AccessToken, time.Duration(answer.ExpiresIn) * time.Second, nil
}

// errNoSecret is returned where a call needs a secret that is not configured.
func errNoSecret(op string) error {
	return &APIError{Op: op, Msg: "the app's agent_id and secret are not set", class: ClassConfig}
}

// A transport carries calls to WeCom, for our own code and below both SDKs. It
// sends what is meant for the official host to the configured one, puts the
// access token in, gets a new token and calls once more when it is refused,
// limits time and size, and returns nothing but success: an answer is whole,
// JSON, and has errcode 0. Everything else is an *APIError.
type transport struct {
	base   *url.URL
	next   http.RoundTripper
	tokens *tokenSource // nil: calls that carry no token
	now    func() time.Time
}

// RoundTrip implements http.RoundTripper. Unlike others it looks into answers,
// because the SDKs do not, or not everywhere.
func (t *transport) RoundTrip(req *http.Request) (*http.Response, error) {
	var body []byte
	if req.Body != nil {
		var err error
		body, err = io.ReadAll(req.Body)
		req.Body.Close()
		if err != nil {
			return nil, &APIError{Op: opOf(req), Msg: "read the request: " + err.Error(), class: ClassData}
		}
	}
	if !req.URL.Query().Has("access_token") {
		return t.once(req, body, "")
	}
	if t.tokens == nil {
		return nil, errNoSecret(opOf(req))
	}
	token, err := t.tokens.get(req.Context(), "")
	if err != nil {
		return nil, err
	}
	resp, err := t.once(req, body, token)
	if e, ok := errors.AsType[*APIError](err); !ok || e.Class() != ClassToken {
		return resp, err
	}
	fresh, tokenErr := t.tokens.get(req.Context(), token)
	switch {
	case tokenErr != nil:
		return nil, tokenErr
	case fresh == token:
		return nil, err
	}
	return t.once(req, body, fresh)
}

// once makes one call.
func (t *transport) once(req *http.Request, body []byte, token string) (*http.Response, error) {
	op := opOf(req)
	timeout := callTimeout
	if strings.Contains(op, "upload") {
		timeout = uploadTimeout
	}
	var connected atomic.Bool // from then on, something may have reached the platform
	ctx, cancel := context.WithTimeout(req.Context(), timeout)
	defer cancel()
	ctx = httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{GotConn: func(httptrace.GotConnInfo) { connected.Store(true) }})

	out := req.Clone(ctx)
	if t.tokens != nil && token != "" {
		query := out.URL.Query()
		query.Set("access_token", token)
		out.URL.RawQuery = query.Encode()
	}
	if out.URL.Host == strings.TrimPrefix(OfficialAPI, "https://") {
		out.URL.Scheme, out.URL.Host, out.Host = t.base.Scheme, t.base.Host, ""
	}
	out.Body, out.ContentLength = http.NoBody, 0
	if len(body) > 0 {
		out.Body = io.NopCloser(bytes.NewReader(body))
		out.GetBody = func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(body)), nil }
		out.ContentLength = int64(len(body))
	}
	c := attempt{op: op, now: t.now(), secrets: secretsIn(op, out.URL), body: body}
	c.unclear = ClassUnknown
	if req.Method == http.MethodGet {
		c.unclear = ClassRetry // nothing was to be changed
	}

	resp, err := t.next.RoundTrip(out)
	if err != nil {
		if !connected.Load() {
			return nil, c.fail(ClassRetry, "not connected: %v", err)
		}
		return nil, c.fail(c.unclear, "no answer: %v", err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return nil, c.status(resp)
	}
	answer, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswerBytes+1))
	switch {
	case err != nil:
		return nil, c.fail(c.unclear, "answer cut off: %v", err)
	case len(answer) > maxAnswerBytes:
		return nil, c.fail(c.unclear, "answer has more than %d bytes", maxAnswerBytes)
	}
	if err := c.check(answer); err != nil {
		return nil, err
	}
	resp.Body = io.NopCloser(bytes.NewReader(answer))
	resp.ContentLength = int64(len(answer))
	resp.Request = req // with the placeholder, should somebody print it
	return resp, nil
}

// An attempt turns what went wrong with one call into an *APIError.
type attempt struct {
	op      string
	now     time.Time
	secrets []string
	body    []byte // what was sent: an answer may repeat it
	unclear Class  // of a call that has left and has no clear answer
}

func (c attempt) fail(class Class, format string, args ...any) *APIError {
	const most = 500 // bytes
	msg := redact(fmt.Sprintf(format, args...), slices.Concat(c.secrets, textsIn(c.body))...)
	if len(msg) > most {
		msg = strings.ToValidUTF8(msg[:most], "") + "…"
	}
	return &APIError{Op: c.op, Msg: msg, class: class}
}

// status judges an answer other than 200. The platform itself always answers
// 200; what comes here is from a proxy, a load balancer or another server.
func (c attempt) status(resp *http.Response) *APIError {
	switch code := resp.StatusCode; {
	case code == http.StatusTooManyRequests:
		e := c.fail(ClassWait, "HTTP %d", code)
		e.RetryAt = c.now.Add(time.Minute)
		if s, err := strconv.Atoi(resp.Header.Get("Retry-After")); err == nil && s > 0 {
			e.RetryAt = c.now.Add(min(time.Duration(s)*time.Second, 24*time.Hour))
		}
		return e
	case code == http.StatusServiceUnavailable, code == http.StatusRequestTimeout:
		return c.fail(ClassRetry, "HTTP %d", code)
	case code >= 500: // the server behind may have done it
		return c.fail(c.unclear, "HTTP %d", code)
	case code == http.StatusRequestEntityTooLarge, code == http.StatusBadRequest:
		return c.fail(ClassData, "HTTP %d", code)
	default: // a redirect, 403, 404: this is not WeCom, or something in between does not let us through
		return c.fail(ClassConfig, "HTTP %d", code)
	}
}

// check returns an error unless answer is JSON with errcode 0.
func (c attempt) check(answer []byte) error {
	var head struct {
		ErrCode *int   `json:"errcode"`
		ErrMsg  string `json:"errmsg"`
	}
	if err := json.Unmarshal(answer, &head); err != nil {
		return c.fail(c.unclear, "answer is not JSON: %v", err)
	}
	if head.ErrCode == nil {
		return c.fail(c.unclear, "answer has no errcode")
	}
	if *head.ErrCode == 0 {
		return nil
	}
	e := c.fail(0, "%s", head.ErrMsg)
	e.Code, e.RetryAt = *head.ErrCode, retryAt(*head.ErrCode, c.op, c.now)
	return e
}

// secretsIn returns the values in an address that nobody may see: of a
// response_url, all of them.
func secretsIn(op string, u *url.URL) []string {
	var found []string
	for name, values := range u.Query() {
		if op == opResponse || slices.Contains(secretParams, strings.ToLower(name)) {
			found = append(found, values...)
		}
	}
	return found
}

// textsIn returns what is said in a JSON body, as it is and as JSON writes it:
// the texts below its first level, where the platform's own words stand.
func textsIn(body []byte) []string {
	var fields map[string]any
	if json.Unmarshal(body, &fields) != nil {
		return nil
	}
	var texts []string
	var collect func(v any)
	collect = func(v any) {
		switch v := v.(type) {
		case string:
			texts = append(texts, v)
			if written, err := marshalJSON(v); err == nil {
				texts = append(texts, string(written[1:len(written)-1])) // without its quotes
			}
		case []any:
			for _, item := range v {
				collect(item)
			}
		case map[string]any:
			for _, item := range v {
				collect(item)
			}
		}
	}
	for _, v := range fields {
		if _, word := v.(string); !word {
			collect(v)
		}
	}
	slices.SortFunc(texts, func(a, b string) int { return len(b) - len(a) }) // one may hold another
	return texts
}

type opKey struct{}

// opOf names a call: what get, post and postTo say, else its path below
// /cgi-bin/.
func opOf(req *http.Request) string {
	if op, ok := req.Context().Value(opKey{}).(string); ok {
		return op
	}
	return strings.TrimPrefix(req.URL.Path, "/cgi-bin/")
}

// get calls op and decodes the answer into answer, which may be nil.
func (t *transport) get(ctx context.Context, op string, query url.Values, answer any) error {
	return t.do(ctx, op, http.MethodGet, t.address(op, query), "", nil, answer)
}

// post calls op with body as JSON.
func (t *transport) post(ctx context.Context, op string, query url.Values, body, answer any) error {
	return t.postTo(ctx, op, t.address(op, query), body, answer)
}

// postTo is post for an address of its own.
func (t *transport) postTo(ctx context.Context, op, address string, body, answer any) error {
	text, err := marshalJSON(body)
	if err != nil {
		return &APIError{Op: op, Msg: "encode: " + err.Error(), class: ClassData}
	}
	return t.do(ctx, op, http.MethodPost, address, "application/json; charset=utf-8", text, answer)
}

func (t *transport) address(op string, query url.Values) string {
	if query == nil {
		query = url.Values{}
	}
	if t.tokens != nil {
		query.Set("access_token", tokenPlaceholder)
	}
	return OfficialAPI + "/cgi-bin/" + op + "?" + query.Encode()
}

func (t *transport) do(ctx context.Context, op, method, address, contentType string, body []byte, answer any) error {
	req, err := http.NewRequestWithContext(context.WithValue(ctx, opKey{}, op), method, address, bytes.NewReader(body))
	if err != nil { // its text may hold the address
		return &APIError{Op: op, Msg: "the address is not valid", class: ClassData}
	}
	if contentType != "" {
		req.Header.Set("Content-Type", contentType)
	}
	resp, err := t.RoundTrip(req)
	if err != nil {
		return err
	}
	if answer == nil {
		return nil
	}
	if err := json.NewDecoder(resp.Body).Decode(answer); err != nil {
		return &APIError{Op: op, Msg: "unexpected answer: " + err.Error(), class: ClassUnknown}
	}
	return nil
}
