package wecom

import (
	"errors"
	"io"
	"net/url"
	"strings"
	"testing"

	"qunbot/store"
)

func TestIdentify(t *testing.T) {
	tests := []struct {
		name     string
		info     string // auth/getuserinfo
		user     string // user/get
		customer string // externalcontact/get
		want     store.Identity
		wantName string
	}{
		{"member", `{"errcode":0,"userid":"ZhangSan","user_ticket":"x"}`, `{"errcode":0,"userid":"ZhangSan","name":"张三"}`, "",
			store.Identity{Kind: store.UserID, Value: "ZhangSan"}, "张三"},
		{"member whose name is secret", `{"errcode":0,"userid":"lisi"}`, `{"errcode":60011,"errmsg":"no privilege"}`, "",
			store.Identity{Kind: store.UserID, Value: "lisi"}, ""},
		{"customer", `{"errcode":0,"openid":"o1","external_userid":"wm1"}`, "", `{"errcode":0,"external_contact":{"external_userid":"wm1","name":"小王"}}`,
			store.Identity{Kind: store.ExternalUserID, Value: "wm1"}, "小王"},
		{"customer nobody may read", `{"errcode":0,"openid":"o1","external_userid":"wm1"}`, "", `{"errcode":84061}`,
			store.Identity{Kind: store.ExternalUserID, Value: "wm1"}, ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			f := newFakeWeCom(t)
			f.answer("auth/getuserinfo", saying(tt.info))
			f.answer("user/get", saying(tt.user))
			f.answer("externalcontact/get", saying(tt.customer))
			got, name, err := f.api(t, io.Discard).Identify(t.Context(), testCode)
			if got != tt.want || name != tt.wantName || err != nil {
				t.Errorf("Identify = %+v, %q, %v, want %+v, %q", got, name, err, tt.want, tt.wantName)
			}
			if got := f.called("auth/getuserinfo")[0].query.Get("code"); got != testCode {
				t.Errorf("code arrived as %q, want %q", got, testCode)
			}
		})
	}
}

func TestIdentifyRefuses(t *testing.T) {
	f := newFakeWeCom(t)
	a := f.api(t, io.Discard)
	f.answer("auth/getuserinfo", saying(`{"errcode":0,"openid":"o1"}`))
	if _, _, err := a.Identify(t.Context(), testCode); !errors.Is(err, ErrNobody) {
		t.Errorf("Identify of a stranger = %v, want %v", err, ErrNobody)
	}
	f.answer("auth/getuserinfo", saying(`{"errcode":40029,"errmsg":"invalid code"}`))
	if _, _, err := a.Identify(t.Context(), testCode); apiError(t, err).Code != 40029 {
		t.Errorf("Identify with a used code = %v, want 40029", err)
	}
	before := len(f.calls)
	for _, code := range []string{"", strings.Repeat("c", 513)} {
		if _, _, err := a.Identify(t.Context(), code); apiError(t, err).Class() != ClassData {
			t.Errorf("Identify with %d bytes = %v, want data", len(code), err)
		}
	}
	if len(f.calls) != before {
		t.Error("the platform was called with a code that cannot be one")
	}
}

func TestAuthorizeURL(t *testing.T) {
	redirect := "https://fans.example.com/m/login?next=/m/签到&x=1#top"
	for base, page := range map[string]string{
		"":                                "https://open.weixin.qq.com/connect/oauth2/authorize",
		"https://qyapi.weixin.qq.com/":    "https://open.weixin.qq.com/connect/oauth2/authorize",
		"http://127.0.0.1:8080":           "http://127.0.0.1:8080/connect/oauth2/authorize",
		"https://wecom.example.com:8443/": "https://wecom.example.com:8443/connect/oauth2/authorize",
	} {
		a, err := NewAPI(APIConfig{APIBase: base, CorpID: "ww1", AgentID: 1000002})
		if err != nil {
			t.Fatal(err)
		}
		got := a.AuthorizeURL(redirect, "abc123")
		u, err := url.Parse(got)
		if err != nil {
			t.Fatal(err)
		}
		q := u.Query()
		if !strings.HasPrefix(got, page+"?") || u.Fragment != "wechat_redirect" || q.Get("redirect_uri") != redirect ||
			q.Get("state") != "abc123" || q.Get("appid") != "ww1" || q.Get("agentid") != "1000002" ||
			q.Get("scope") != "snsapi_base" || q.Get("response_type") != "code" {
			t.Errorf("AuthorizeURL with base %q = %s", base, got)
		}
	}
}
