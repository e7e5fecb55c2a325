package simulator

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"time"
)

// linkPath is where the links of accounts lead to; WeCom's begin with
// https://work.weixin.qq.com/kf/.
const linkPath = "/sim/kf/"

// linkOf returns the link of an account with a scene, which may be empty.
//
// Source: https://developer.work.weixin.qq.com/document/path/94665
func (s *Simulator) linkOf(d *desk, scene string) string {
	return strings.TrimSuffix(s.cfg.BaseURL, "/") + linkPath + "kfc" + s.sealText([]byte(d.ID), "link")[:12] +
		"?enc_scene=" + s.sealText([]byte(scene), "scene of "+d.ID)
}

// What is wrong with a link.
var (
	errNoLink    = errors.New("这不是客服链接")
	errBadScene  = errors.New("enc_scene 不是这个链接的：真的平台会打开会话，但不会产生进入事件")
	errLongParam = errors.New("scene_param 最多 128 字节")
	errNoKF      = errors.New("客服链接要用顾客的微信打开：先在右上角「我是」里选一位顾客")
)

// readLink returns what a link says.
func (s *Simulator) readLink(link string) (d *desk, scene, param string, err error) {
	u, err := url.Parse(link)
	if err != nil {
		return nil, "", "", errNoLink
	}
	for _, account := range s.cfg.KF {
		known, _ := url.Parse(s.linkOf(s.desks[account.ID], ""))
		if known.Path == u.Path {
			d = s.desks[account.ID]
		}
	}
	if d == nil {
		return nil, "", "", errNoLink
	}
	plain, ok := s.unseal(u.Query().Get("enc_scene"), "scene of "+d.ID)
	param = u.Query().Get("scene_param")
	switch {
	case !ok:
		return nil, "", "", errBadScene
	case len(param) > maxParam:
		return nil, "", "", errLongParam
	case len(plain) == 0:
		param = "" // only a link with a scene carries it
	}
	return d, string(plain), param, nil
}

// openLink shows the chat page for a link that somebody has followed from
// another page.
func (s *Simulator) openLink(w http.ResponseWriter, r *http.Request) {
	http.Redirect(w, r, "/sim/#enter="+url.QueryEscape(s.base.Scheme+"://"+r.Host+r.URL.RequestURI()), http.StatusFound)
}

func (s *Simulator) serveEnter(_ http.ResponseWriter, a ask) (any, error) {
	person := s.cfg.person(a.Person)
	s.mu.Lock()
	defer s.mu.Unlock()
	d, scene, param, err := s.readLink(a.URL)
	switch {
	case person.ID == "":
		return nil, errNoPerson
	case person.Kind != Customer:
		return nil, errNoKF
	case err != nil:
		return nil, err
	}
	now, c := s.nowLocked(), s.begin(d, person.ID)
	c.entered, c.scene, c.param = now, scene, param
	event := map[string]any{"scene": scene, "scene_param": param}
	how := "从链接进入"
	if scene != "" {
		how += "，scene=" + scene
	}
	if param != "" {
		how += "，scene_param=" + param
	}
	if within := func(t time.Time) bool { return !t.IsZero() && now.Sub(t) < kfWindow }; !within(c.welcomed) && !within(c.wrote) {
		event["welcome_code"] = s.newCode(d, kfCode{customer: person.ID, state: -1, menus: true}, kfQuickCode)
		how += "；20 秒内可以发欢迎语"
	}
	s.remark(d, person.ID, how)
	s.recordEvent(d, person.ID, "enter_session", event)
	return map[string]string{"chat": d.ID}, nil
}

// sceneForm is what a scene may look like.
var sceneForm = regexp.MustCompile(`^[0-9a-zA-Z_-]*$`)

// sealText returns a signed form of what, which nobody can alter.
func (s *Simulator) sealText(what []byte, purpose string) string {
	return base64.RawURLEncoding.EncodeToString(append(s.mac(what, purpose), what...))
}

// unseal returns what was sealed for the same purpose, and whether it was.
func (s *Simulator) unseal(sealed, purpose string) ([]byte, bool) {
	raw, err := base64.RawURLEncoding.DecodeString(sealed)
	if err != nil || len(raw) < macBytes || !hmac.Equal(raw[:macBytes], s.mac(raw[macBytes:], purpose)) {
		return nil, false
	}
	return raw[macBytes:], true
}

const macBytes = 8

// mac depends on the corp only, so that links and cursors outlive the
// simulator.
func (s *Simulator) mac(what []byte, purpose string) []byte {
	mac := hmac.New(sha256.New, []byte("simulator of "+s.cfg.CorpID))
	mac.Write([]byte(purpose + "\n"))
	mac.Write(what)
	return mac.Sum(nil)[:macBytes]
}

// cursorOf returns the opaque form of a place in an account's entries.
func (s *Simulator) cursorOf(d *desk, number int64) string {
	return s.sealText(binary.AppendVarint(nil, number), "cursor of "+d.ID)
}

// readCursor returns the place that a cursor stands for.
func (s *Simulator) readCursor(d *desk, cursor string) (int64, bool) {
	raw, ok := s.unseal(cursor, "cursor of "+d.ID)
	number, n := binary.Varint(raw)
	return number, ok && n > 0
}
