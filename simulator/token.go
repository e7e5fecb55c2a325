package simulator

import (
	"crypto/rand"
	"net/http"
	"time"
)

// After this many wrong secrets within refusedFor, gettoken refuses the
// caller's address for that long. WeCom gives no numbers; these are ours.
const (
	maxWrongSecrets = 20
	refusedFor      = time.Hour
)

// tokens are the access tokens given out, and who asked with a wrong secret.
type tokens struct {
	current map[string]string // by secret
	issued  map[string]token
	wrong   map[string]wrongSecrets // by address
}

// A token is one access token.
type token struct {
	secret string
	until  time.Time
	void   bool // taken back before its time
}

// wrongSecrets are the failed tries from one address.
type wrongSecrets struct {
	count int
	since time.Time
}

func newTokens() tokens {
	return tokens{current: make(map[string]string), issued: make(map[string]token), wrong: make(map[string]wrongSecrets)}
}

func (s *Simulator) tokenEndpoints() []endpoint {
	addresses := func(*call) (any, error) { return map[string]any{"ip_list": []string{"127.0.0.1", "::1"}}, nil }
	return []endpoint{
		{method: http.MethodGet, path: "gettoken", open: true, handle: s.getToken},
		{method: http.MethodGet, path: "getcallbackip", handle: addresses},
		{method: http.MethodGet, path: "get_api_domain_ip", handle: addresses},
	}
}

// getToken answers with the access token of an app, the same one as long as it
// is valid.
//
// Source: https://developer.work.weixin.qq.com/document/path/91039
func (s *Simulator) getToken(c *call) (any, error) {
	query := c.URL.Query()
	secret := query.Get("corpsecret")
	s.mu.Lock()
	defer s.mu.Unlock()
	now, from := s.nowLocked(), clientIP(c.Request)
	wrong := s.tokens.wrong[from]
	if now.Sub(wrong.since) >= refusedFor {
		wrong = wrongSecrets{since: now}
	}
	switch {
	case query.Get("corpid") == "":
		return nil, apiError{41002, "corpid missing"}
	case secret == "":
		return nil, apiError{41004, "corpsecret missing"}
	case wrong.count >= maxWrongSecrets:
		return nil, apiError{45009, "api freq out of limit"}
	case query.Get("corpid") != s.cfg.CorpID:
		return nil, apiError{40013, "invalid corpid"}
	}
	if find(s.cfg.Apps, func(a App) bool { return a.Secret == secret }).Secret == "" {
		wrong.count++
		s.tokens.wrong[from] = wrong
		return nil, apiError{40001, "invalid credential"}
	}
	name := s.tokens.current[secret]
	if known := s.tokens.issued[name]; name == "" || known.void || !now.Before(known.until) {
		name = rand.Text() + rand.Text()
		s.tokens.current[secret] = name
		s.tokens.issued[name] = token{secret: secret, until: now.Add(s.cfg.TokenLife)}
	}
	left := s.tokens.issued[name].until.Sub(now)
	return map[string]any{"access_token": name, "expires_in": int64(left / time.Second)}, nil
}

// appOf returns the app whose access token this is.
func (s *Simulator) appOf(name string) (App, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	known, ok := s.tokens.issued[name]
	switch {
	case name == "":
		return App{}, apiError{41001, "access_token missing"}
	case !ok || known.void:
		return App{}, apiError{40014, "invalid access_token"}
	case !s.nowLocked().Before(known.until):
		return App{}, apiError{42001, "access_token expired"}
	}
	return find(s.cfg.Apps, func(a App) bool { return a.Secret == known.secret }), nil
}

// InvalidateTokens takes all access tokens back before their time, as WeCom
// may do whenever it likes.
func (s *Simulator) InvalidateTokens() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for name, known := range s.tokens.issued {
		known.void = true
		s.tokens.issued[name] = known
	}
}
