package wecom

import (
	"context"
	"errors"
	"net/url"
	"strconv"
	"strings"

	"qunbot/store"
)

// ErrNobody is returned by Identify for somebody who is neither a member of
// the corp nor one of its customers.
var ErrNobody = errors.New("wecom: neither a member nor a customer")

// officialAuthorize is the page that tells who opened a link inside WeCom or
// WeChat.
const officialAuthorize = "https://open.weixin.qq.com/connect/oauth2/authorize"

// AuthorizeURL returns where to send people to learn who they are. They come
// back to redirect with the parameters code, which works once and for 5
// minutes, and state: at most 128 letters and digits, for the caller to
// recognise its own. The host of redirect must be a trusted domain of the app.
//
// Source: https://developer.work.weixin.qq.com/document/path/91022
func (a *API) AuthorizeURL(redirect, state string) string {
	page := officialAuthorize
	if official := a.base.String(); strings.TrimSuffix(official, "/") != OfficialAPI {
		page = a.base.Scheme + "://" + a.base.Host + "/connect/oauth2/authorize"
	}
	query := url.Values{
		"appid":         {a.cfg.CorpID},
		"redirect_uri":  {redirect},
		"response_type": {"code"},
		"scope":         {"snsapi_base"},
		"state":         {state},
		"agentid":       {strconv.FormatInt(a.cfg.AgentID, 10)},
	}
	return page + "?" + query.Encode() + "#wechat_redirect"
}

// Identify returns who came back with code, and their name if the platform
// tells it. A member's userid is returned as the platform writes it. It returns
// ErrNobody for strangers, and an *APIError of code 40029 for a code that was
// used, is too old, or is not of this corp.
//
// Source: https://developer.work.weixin.qq.com/document/path/91023
func (a *API) Identify(ctx context.Context, code string) (who store.Identity, name string, err error) {
	if code == "" || len(code) > 512 {
		return who, "", badData("auth/getuserinfo", "code of %d bytes, want 1 to 512", len(code))
	}
	userID, externalUserID, err := a.userInfo(ctx, code)
	switch {
	case err != nil:
		return who, "", err
	case userID != "":
		who = store.Identity{Kind: store.UserID, Value: userID}
		name, err = a.memberName(ctx, userID)
	case externalUserID != "":
		who = store.Identity{Kind: store.ExternalUserID, Value: externalUserID}
		name, err = a.customerName(ctx, externalUserID)
	default:
		return who, "", ErrNobody
	}
	if err != nil { // a name is nice to have; some apps may not read it
		a.cfg.Log.Debug("name not known", "kind", who.Kind, "err", err)
	}
	return who, name, nil
}
