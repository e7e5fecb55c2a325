package wecom

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"net/url"
	"regexp"
	"strings"
)

// A link to a service account carries where it was put, signed, because
// everybody who has the link can read and edit it:
//
//	https://work.weixin.qq.com/kf/kfc…?enc_scene=…&scene_param=g%3D17%26s%3D…
//
// Someone who came through it has had that link; it proves no more.
//
// Source: https://developer.work.weixin.qq.com/document/path/94665

// kfSource is what a source looks like: see [store.KFGroupSource] and
// [store.KFPosterSource].
var kfSource = regexp.MustCompile(`^(?:g=[1-9][0-9]{0,18}|p=[0-9A-Za-z_-]{1,32})$`)

func notSceneRune(r rune) bool {
	return !('0' <= r && r <= '9' || 'A' <= r && r <= 'Z' || 'a' <= r && r <= 'z' || r == '_' || r == '-')
}

// Link returns base, which is an address from [API.KFContactWay], for a source:
// who enters through it is known to have come from there.
func (k *KF) Link(base, source string) (string, error) {
	u, err := url.Parse(base)
	if err != nil || u.Host == "" || !u.Query().Has("enc_scene") {
		return "", fmt.Errorf("wecom: %q is no address of a service account with a scene", base)
	}
	if !kfSource.MatchString(source) {
		return "", fmt.Errorf("wecom: %q is no source of a link", source)
	}
	return base + "&scene_param=" + url.QueryEscape(k.sceneParam(source)), nil
}

func (k *KF) sceneParam(source string) string { return source + "&s=" + k.sceneSign(source) }

// sceneSign returns the first 12 bytes of the source's HMAC: 96 bits, more than
// anybody can try.
func (k *KF) sceneSign(source string) string {
	mac := hmac.New(sha256.New, k.sceneKey)
	mac.Write([]byte(source))
	return base64.RawURLEncoding.EncodeToString(mac.Sum(nil)[:12])
}

// source returns where the link with this scene_param was put, or ok == false
// if we did not sign it.
func (k *KF) source(param string) (source string, ok bool) {
	if len(param) > 3*maxKFSceneParam {
		return "", false
	}
	if strings.Contains(param, "%") { // not decoded on its way
		if plain, err := url.QueryUnescape(param); err == nil {
			param = plain
		}
	}
	source, sign, found := strings.Cut(param, "&s=")
	if !found || !kfSource.MatchString(source) {
		return "", false
	}
	return source, hmac.Equal([]byte(sign), []byte(k.sceneSign(source)))
}
