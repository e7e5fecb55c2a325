package simulator

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
)

// An endpoint is one function of the platform's API.
type endpoint struct {
	method string // the only one that is answered; empty: GET and POST
	path   string // below /cgi-bin/
	open   bool   // needs no access token
	max    int64  // largest body; 0 means maxAPIBytes
	handle func(*call) (any, error)
}

// endpoints lists the whole API: each area has a file with a list of its own.
func (s *Simulator) endpoints() []endpoint {
	return slices.Concat(s.tokenEndpoints(), s.oauthEndpoints(), s.aibotEndpoints(),
		s.webhookEndpoints(), s.mediaEndpoints(), s.messageEndpoints(), s.roomEndpoints(), s.kfEndpoints())
}

// A call is one request to the API.
type call struct {
	*http.Request
	app  App    // whose token it carries; zero at an open endpoint
	body []byte // of a POST
}

// maxAPIBytes is the largest request that the API reads.
const maxAPIBytes = 1 << 20

// mountPlatform serves the API. A path that is not listed is a 404, as at
// WeCom.
func (s *Simulator) mountPlatform(mux *http.ServeMux) {
	mux.Handle("/cgi-bin/", http.NotFoundHandler())
	for _, e := range s.endpoints() {
		mux.HandleFunc("/cgi-bin/"+e.path, func(w http.ResponseWriter, r *http.Request) {
			s.withFaults(w, r, e, func(r *http.Request) map[string]any {
				answer, err := s.serve(w, r, e)
				return withCode(answer, err, r)
			})
		})
	}
}

// serve checks what all endpoints have in common and calls e.
func (s *Simulator) serve(w http.ResponseWriter, r *http.Request, e endpoint) (any, error) {
	c := &call{Request: r}
	switch {
	case r.Method == e.method:
	case e.method == "" && (r.Method == http.MethodGet || r.Method == http.MethodPost):
	case e.method == http.MethodGet:
		return nil, apiError{43001, "require GET method"}
	default:
		return nil, apiError{43002, "require POST method"}
	}
	if !e.open {
		app, err := s.appOf(r.URL.Query().Get("access_token"))
		if err != nil {
			return nil, err
		}
		c.app = app
	}
	limit := max(e.max, maxAPIBytes)
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, limit))
	switch {
	case err != nil && limit == maxUploadBytes:
		return nil, apiError{45001, "multimedia data size out of limit"}
	case err != nil:
		return nil, apiError{45002, "content size out of limit"}
	case !s.countCall(e):
		return nil, apiError{45009, "api freq out of limit"}
	}
	c.body = body
	return e.handle(c)
}

// read decodes the JSON body of c into to.
func (c *call) read(to any) error {
	if err := json.Unmarshal(c.body, to); err != nil {
		return apiError{47001, "data format error"}
	}
	return nil
}

// An apiError is a refusal by the platform. It goes out with HTTP 200.
//
// Source: https://developer.work.weixin.qq.com/document/path/90313
type apiError struct {
	code int
	text string
}

func (e apiError) Error() string { return fmt.Sprintf("%d %s", e.code, e.text) }

// withCode returns answer as JSON fields together with errcode and errmsg.
func withCode(answer any, err error, r *http.Request) map[string]any {
	fields := map[string]any{"errcode": 0, "errmsg": "ok"}
	if err != nil {
		refusal, ok := errors.AsType[apiError](err)
		if !ok {
			refusal = apiError{-1, "system busy"}
		}
		fields["errcode"] = refusal.code
		fields["errmsg"] = fmt.Sprintf("%s, hint: [%019d], from ip: %s, more info at https://open.work.weixin.qq.com/devtool/query?e=%d",
			refusal.text, hintOf(r), clientIP(r), refusal.code)
		return fields
	}
	if more, ok := answer.(map[string]any); ok {
		for name, value := range more {
			fields[name] = value
		}
	}
	return fields
}

// hintOf returns the number by which WeCom's support finds a request; ours
// depends on its path only, so that it tells nothing.
func hintOf(r *http.Request) uint64 {
	sum := uint64(14695981039346656037)
	for _, b := range []byte(r.URL.Path) {
		sum = (sum ^ uint64(b)) * 1099511628211
	}
	return sum % 1e19
}

// clientIP returns the address a request came from, without its port.
func clientIP(r *http.Request) string {
	host, _, err := net.SplitHostPort(r.RemoteAddr)
	if err != nil {
		return r.RemoteAddr
	}
	return host
}

// writeJSON answers with v, which must be encodable.
func writeJSON(w http.ResponseWriter, status int, v any) {
	w.Header().Set("Content-Type", "application/json; charset=UTF-8")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	encoder := json.NewEncoder(w)
	encoder.SetEscapeHTML(false)
	_ = encoder.Encode(v) // the reader has gone; nobody to tell
}
