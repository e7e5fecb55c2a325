package wecom

import (
	"fmt"
	"net/url"
	"regexp"
	"strings"
	"time"
)

// A Class says what to do about a call that did not succeed. But for
// ClassUnknown it is certain that the call had no effect.
type Class int

// The classes.
const (
	ClassRetry   Class = iota + 1 // a passing trouble: the same call may succeed soon
	ClassWait                     // over a limit: not before APIError.RetryAt
	ClassToken                    // the access token was refused, its successor too
	ClassConfig                   // settings or rights are wrong: a person has to change them
	ClassDead                     // the destination is gone for good
	ClassData                     // what was sent is wrong: sending it again is no use
	ClassUnknown                  // it may have had its effect, or not
)

// String returns the class in one lower-case word.
func (c Class) String() string {
	names := [...]string{"", "retry", "wait", "token", "config", "dead", "data", "unknown"}
	if c < ClassRetry || int(c) >= len(names) {
		return fmt.Sprintf("class %d", int(c))
	}
	return names[c]
}

// An APIError is a call to WeCom that did not succeed, whatever the reason.
// Its text holds no secrets.
//
// Source: https://developer.work.weixin.qq.com/document/path/90313
type APIError struct {
	Code int    // errcode; 0 if there was no answer that has one
	Msg  string // errmsg, or what went wrong; secrets are blotted out
	Op   string // what was called, such as "message/send"

	// RetryAt is when a call of ClassWait may be made again; zero in other
	// classes. The code does not say which limit was passed: it is taken for
	// the shortest one. A call that is refused again at that time should wait
	// an hour, and then a day.
	RetryAt time.Time

	class Class // where Code is 0
}

// Error implements error.
func (e *APIError) Error() string {
	if e.Code == 0 {
		return fmt.Sprintf("wecom: %s: %s", e.Op, e.Msg)
	}
	return fmt.Sprintf("wecom: %s: %d %s", e.Op, e.Code, e.Msg)
}

// Class returns what to do about e. An errcode that is not known is ClassData:
// the platform refused, and nobody knows when it would not.
func (e *APIError) Class() Class {
	switch class, known := codeClasses[e.Code]; {
	case e.Code == 0:
		return e.class
	case e.Code == 40001 && e.Op != opGetToken:
		return ClassToken
	case known:
		return class
	}
	return ClassData
}

// codeClasses holds the codes that are not ClassData.
//
// Source: https://developer.work.weixin.qq.com/document/path/90313
var codeClasses = map[int]Class{
	-1:    ClassRetry, // busy
	41063: ClassRetry, // group message still being dispatched
	45035: ClassRetry, // somebody else is changing the same data

	45009: ClassWait, // calls a minute, an hour or a day
	45033: ClassWait, // calls at the same time

	40014: ClassToken, // invalid
	42001: ClassToken, // expired

	40001:  ClassConfig, // wrong secret; with a token: wrong token
	40013:  ClassConfig, // corp id
	40056:  ClassConfig, // agent id
	40057:  ClassConfig, // callback address
	41001:  ClassConfig, // token missing
	41002:  ClassConfig, // corp id missing
	41004:  ClassConfig, // secret missing
	48002:  ClassConfig, // the app may not call this
	48007:  ClassConfig, // the 客服 account is not the app's
	95011:  ClassConfig, // the secret of the other edition of 微信客服
	95012:  ClassConfig,
	95017:  ClassConfig, // the account is not switched to the API
	95023:  ClassConfig, // another app manages the account
	48004:  ClassConfig, // authorisation invalid
	48005:  ClassConfig, // retired
	48006:  ClassConfig, // right withdrawn after long disuse
	50001:  ClassConfig, // redirect address not in a trusted domain
	50002:  ClassConfig, // member out of the app's reach
	50003:  ClassConfig, // app disabled
	60011:  ClassConfig, // member, department or app out of reach
	60020:  ClassConfig, // our address is not trusted
	81012:  ClassConfig, // the app is visible to nobody
	93019:  ClassConfig, // bot id
	301002: ClassConfig, // token of another app
	301052: ClassConfig, // archive expired
	301053: ClassConfig, // archive not opened
	701008: ClassConfig, // no licence
	853000: ClassConfig, // secret of a long connection
	853006: ClassConfig, // tool not available to the corp

	93000: ClassDead, // webhook key wrong, or robot removed
	93004: ClassDead, // robot disabled
	93006: ClassDead, // group gone
	93008: ClassDead, // robot not in the group
	40050: ClassDead, // appchat not there
	86001: ClassDead, // appchat not there
	86003: ClassDead, // appchat not there
	86008: ClassDead, // appchat of another app
}

// Names of calls that are treated in a special way; the others are the path
// below /cgi-bin/.
const (
	opGetToken      = "gettoken"
	opWebhookSend   = "webhook/send"
	opResponse      = "response_url"
	opAppChatCreate = "appchat/create"
	opAppChatUpdate = "appchat/update"
)

// platformZone is where the platform's days end. China has had no summer time
// since 1991.
var platformZone = time.FixedZone("Asia/Shanghai", 8*60*60)

// retryAt returns the end of the block after a code of ClassWait: 60 s for a
// limit a minute, 60 min for one an hour, the end of the day for one a day.
//
// Source: https://developer.work.weixin.qq.com/document/path/90312
func retryAt(code int, op string, now time.Time) time.Time {
	switch {
	case codeClasses[code] != ClassWait:
		return time.Time{}
	case code == 45033:
		return now.Add(10 * time.Second) // no time is given: the calls at hand will be done by then
	case op == opGetToken, // after many wrong secrets
		op == opAppChatUpdate: // 1,000 an hour
		return now.Add(time.Hour)
	case op == opAppChatCreate: // 1,000 a day
		y, m, d := now.In(platformZone).Date()
		return time.Date(y, m, d+1, 0, 0, 0, 0, platformZone)
	}
	return now.Add(time.Minute)
}

// Hint tells the mall's IT people, in Chinese, what to do about e.
func (e *APIError) Hint() string {
	switch e.Code {
	case 40001:
		return "Secret 不对，或不属于这个企业。请在企业微信管理后台打开这个应用，重新复制 Secret，填到配置里。"
	case 40013:
		return "企业 ID（corp_id）不对。请从管理后台「我的企业」页最下方复制，以 ww 开头。"
	case 40056, 301002:
		return "agent_id 和 Secret 不是同一个应用的。请在管理后台打开这个应用，同时复制 AgentId 和 Secret。"
	case 41002, 41004:
		return "缺少企业 ID 或 Secret。请在配置里填写 corp_id 和应用的 secret。"
	case 45009:
		return "调用太频繁，被企业微信暂时限制。程序会在 " + e.until() + " 后再试；如果经常出现，请检查是否有别的程序在用同一个应用。"
	case 45033:
		return "同时调用太多，程序会稍后再试。"
	case 48007, 95017, 95023:
		return "这个客服账号没有交给这个应用。请在管理后台「微信客服 → API → 通过 API 管理微信客服账号」里选上这个应用和账号。"
	case 48002:
		if strings.HasPrefix(e.Op, "kf/") {
			return "应用没有调用微信客服接口的权限。请在管理后台「微信客服 → API → 可调用接口的应用」里选上这个应用。"
		}
		return "应用没有调用这个接口的权限。客户联系类接口：请在管理后台「客户联系 → API → 可调用接口的应用」里勾选这个应用。"
	case 48004, 48005, 48006:
		return "接口权限已失效。请管理员在管理后台检查这个应用的权限，或重新授权。"
	case 50001:
		return "网址不在应用的可信域名里。请在管理后台打开应用「网页授权及 JS-SDK」，把 public_url 的域名加为可信域名。"
	case 50002, 60011, 81012:
		return "成员或部门不在应用的可见范围内。请在管理后台打开应用，调整「可见范围」。"
	case 50003:
		return "应用已停用。请在管理后台启用这个应用。"
	case 60020:
		return fmt.Sprintf("企业可信 IP 里没有%s。请在管理后台打开应用「企业可信IP」，把它加进去，约 1 分钟后生效。", e.address())
	case 93000, 93004, 93006, 93008:
		return "群机器人已失效：被移出群、被停用，或 Webhook 地址不对。请在群里重新添加机器人，换上新的 webhook_key。"
	case 40050, 86001, 86003, 86008:
		return "找不到这个应用群聊，或它不是本应用创建的。请在运营后台停用这个群，或重新创建。"
	case 701008:
		return "接收人没有有效的互通账号许可。请管理员购买或分配许可。"
	}
	switch e.Class() {
	case ClassRetry:
		if e.Code == 0 {
			return "连不上企业微信。请检查这台机器的网络、DNS 和防火墙，以及配置里的 api_base。"
		}
		return "企业微信暂时繁忙，程序会自动重试。"
	case ClassWait:
		return "调用太频繁，程序会在 " + e.until() + " 后再试。"
	case ClassToken:
		return "access_token 刚取得就失效。请检查是否有别的程序在用同一个 Secret，或管理员刚重置了 Secret。"
	case ClassConfig:
		return "企业微信拒绝了这个设置。请核对配置里的 api_base、应用的 Secret 和权限。"
	case ClassUnknown:
		return "请求发出后没有收到完整的回答，不知道是否成功。请到群里看一下。"
	}
	if e.Code == 0 {
		return "要发送的内容不符合企业微信的限制：" + e.Msg
	}
	return fmt.Sprintf("企业微信不接受这次请求的内容。错误说明：https://open.work.weixin.qq.com/devtool/query?e=%d", e.Code)
}

func (e *APIError) until() string { return e.RetryAt.In(platformZone).Format("15:04") }

var ipInText = regexp.MustCompile(`\b\d{1,3}(?:\.\d{1,3}){3}\b|\b[0-9a-fA-F]{1,4}(?::[0-9a-fA-F]{0,4}){3,7}`)

// address returns our address as the platform saw it, if it said so.
func (e *APIError) address() string {
	if ip := ipInText.FindString(e.Msg); ip != "" {
		return "这台机器的地址 " + ip
	}
	return "这台机器的公网地址"
}

// secretParams are the parts of an address that nobody may see in a log.
var secretParams = []string{"access_token", "corpsecret", "key", "code", "response_code", "secret", "user_ticket"}

// secretInText finds them, as in key=… and in "key":"…".
var secretInText = regexp.MustCompile(`(?i)\b((?:` + strings.Join(secretParams, "|") + `)(?:=|"\s*:\s*"))[^&\s"'<>]+`)

// redact blots out what looks like a secret in text, and the given secrets.
func redact(text string, secrets ...string) string {
	for _, s := range secrets {
		if len(s) >= 4 { // shorter ones would blot out half of the text
			text = strings.ReplaceAll(text, s, "***")
			text = strings.ReplaceAll(text, url.QueryEscape(s), "***")
		}
	}
	return secretInText.ReplaceAllString(text, "${1}***")
}
