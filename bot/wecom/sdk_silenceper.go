package wecom

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"sync"

	"github.com/silenceper/wechat/v2/util"
	"github.com/silenceper/wechat/v2/work/addresslist"
	"github.com/silenceper/wechat/v2/work/config"
	sdkcontext "github.com/silenceper/wechat/v2/work/context"
	"github.com/silenceper/wechat/v2/work/externalcontact"
	"github.com/silenceper/wechat/v2/work/material"
	"github.com/silenceper/wechat/v2/work/oauth"
)

// How the faults of silenceper/wechat v2.1.14 are kept away:
//
//	no context.Context, one HTTP client       each call gets a ticket in the place of its token; the
//	for the whole process, without time-out   shared client finds context and transport by the ticket
//	never replaces a refused token            transport does
//	token in the text of errors               it has the ticket only; see sdkError
//	one token for two secrets without agent   no token of its own, and AgentID is set
//	{} counts as success                      transport wants errcode
//	code not escaped in getuserinfo           escaped before it is handed over

// A silenceperClient knows the calls of silenceper/wechat that are under way, by
// ticket. It is the HTTP client of that SDK, which has one for the process.
type silenceperClient struct {
	mu      sync.Mutex
	tickets map[string]ticketCall
}

type ticketCall struct {
	ctx   context.Context
	calls *transport
}

// installed puts our HTTP client in the place of the SDK's, once, and returns
// it. The variable that it writes to is the SDK's own.
var installed = sync.OnceValue(func() *silenceperClient {
	s := &silenceperClient{tickets: map[string]ticketCall{}}
	util.DefaultHTTPClient = &http.Client{Transport: s}
	return s
})

// RoundTrip implements http.RoundTripper.
func (s *silenceperClient) RoundTrip(req *http.Request) (*http.Response, error) {
	s.mu.Lock()
	c, known := s.tickets[req.URL.Query().Get("access_token")]
	s.mu.Unlock()
	if !known {
		return nil, errors.New("wecom: a call of silenceper/wechat that is not ours")
	}
	return c.calls.RoundTrip(req.WithContext(c.ctx))
}

// A ticket is what the SDK takes for an access token.
type ticket string

// GetAccessToken implements the SDK's credential.AccessTokenHandle.
func (t ticket) GetAccessToken() (string, error) { return string(t), nil }

// withSilenceper runs fn, which may make calls of the SDK with the given
// context.
func (a *API) withSilenceper(ctx context.Context, calls *transport, op string, fn func(c *sdkcontext.Context) error) error {
	if calls == nil {
		return errNoSecret(op)
	}
	s, t := installed(), ticket("ticket-"+rand.Text())
	s.mu.Lock()
	s.tickets[string(t)] = ticketCall{ctx, calls}
	s.mu.Unlock()
	defer func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		delete(s.tickets, string(t))
	}()
	return guarded(op, func() error {
		return fn(&sdkcontext.Context{
			Config:            &config.Config{CorpID: a.cfg.CorpID, AgentID: strconv.FormatInt(a.cfg.AgentID, 10)},
			AccessTokenHandle: t,
		})
	})
}

// guarded runs a call of an SDK. It turns a panic and every error into an
// *APIError without secrets.
func guarded(op string, call func() error) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = &APIError{Op: op, Msg: redact(fmt.Sprintf("panic in the SDK: %v", p)), class: ClassUnknown}
		}
	}()
	return sdkError(op, call())
}

// sdkError returns the *APIError inside err: the SDKs wrap it with the address
// of the call, which may hold a secret.
func sdkError(op string, err error) error {
	if err == nil {
		return nil
	}
	if e, ok := errors.AsType[*APIError](err); ok {
		return e
	}
	return &APIError{Op: op, Msg: redact(err.Error()), class: ClassUnknown}
}

// userInfo returns who is behind an OAuth code: one of the two ids, or none.
//
// Source: https://developer.work.weixin.qq.com/document/path/91023
func (a *API) userInfo(ctx context.Context, code string) (userID, externalUserID string, err error) {
	err = a.withSilenceper(ctx, a.app, "auth/getuserinfo", func(c *sdkcontext.Context) error {
		info, err := oauth.NewOauth(c).GetUserInfo(url.QueryEscape(code))
		if err == nil {
			userID, externalUserID = info.UserID, info.ExternalUserID
		}
		return err
	})
	return userID, externalUserID, err
}

// memberName returns the name of a member of the corp.
//
// Source: https://developer.work.weixin.qq.com/document/path/90196
func (a *API) memberName(ctx context.Context, userID string) (name string, err error) {
	err = a.withSilenceper(ctx, a.app, "user/get", func(c *sdkcontext.Context) error {
		user, err := addresslist.NewClient(c).UserGet(userID)
		if err == nil {
			name = user.Name
		}
		return err
	})
	return name, err
}

// customerName returns the WeChat name of a customer.
//
// Source: https://developer.work.weixin.qq.com/document/path/92114
func (a *API) customerName(ctx context.Context, externalUserID string) (name string, err error) {
	err = a.withSilenceper(ctx, a.contact, "externalcontact/get", func(c *sdkcontext.Context) error {
		user, err := externalcontact.NewClient(c).GetExternalUserDetail(url.QueryEscape(externalUserID))
		if err == nil {
			name = user.ExternalContact.Name
		}
		return err
	})
	return name, err
}

// UploadMedia makes a file known to the whole corp for 3 days and returns its
// media id. kind is TypeImage (JPG, PNG; 10 MB), TypeVoice (AMR; 2 MB, 60 s),
// TypeVideo (MP4; 10 MB) or TypeFile (20 MB); all have more than 5 bytes.
//
// Source: https://developer.work.weixin.qq.com/document/path/90253
func (a *API) UploadMedia(ctx context.Context, kind, name string, data []byte) (mediaID string, err error) {
	const op = "media/upload"
	if err := checkMedia(op, kind, len(data)); err != nil {
		return "", err
	}
	err = a.withSilenceper(ctx, a.app, op, func(c *sdkcontext.Context) error {
		answer, err := material.NewClient(c).UploadTempFileFromReader(name, kind, bytes.NewReader(data))
		if err == nil {
			mediaID = answer.MediaID
		}
		return err
	})
	return mediaID, err
}
