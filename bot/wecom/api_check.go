package wecom

import (
	"context"
	"errors"
	"fmt"
	"strings"
)

// A Finding is what a check found, in Chinese, for the mall's IT people.
type Finding struct {
	OK   bool
	What string // what was checked and how it went
	Todo string // what to do; empty if OK
}

// Diagnose tries the settings on the platform: each secret, and whether it
// lets this machine call. It changes nothing.
//
// Sources: https://developer.work.weixin.qq.com/document/path/91039 and, for
// getcallbackip, https://developer.work.weixin.qq.com/document/path/90930
func (a *API) Diagnose(ctx context.Context) []Finding {
	if len(a.secrets) == 0 {
		return []Finding{{What: "没有填写应用的 Secret", Todo: "在配置里填写 corp_id、app.agent_id 和 app.secret；只用群机器人 Webhook 可以不填。"}}
	}
	var found []Finding
	for _, s := range a.secrets {
		_, life, err := a.getToken(ctx, s.secret)
		if err != nil {
			found = append(found, failed(s.title+"：取 access_token 失败", err))
			continue
		}
		found = append(found, Finding{OK: true, What: fmt.Sprintf("%s：Secret 正确，access_token 还有 %d 分钟有效", s.title, int(life.Minutes()))})
		answer, err := callbackAddresses(ctx, s.calls)
		if err != nil {
			found = append(found, failed(s.title+"：调用接口失败", err))
			continue
		}
		found = append(found, Finding{OK: true, What: fmt.Sprintf("%s：可以调用接口；企业微信的回调来自 %s", s.title, some(answer))})
	}
	return found
}

func failed(what string, err error) Finding {
	if e, ok := errors.AsType[*APIError](err); ok {
		return Finding{What: fmt.Sprintf("%s（%s）", what, e), Todo: e.Hint()}
	}
	return Finding{What: fmt.Sprintf("%s（%v）", what, err), Todo: "请把这一行发给开发者。"}
}

// some returns the first addresses of a list that may be long.
func some(list []string) string {
	const show = 3
	if len(list) > show {
		return fmt.Sprintf("%s 等 %d 个地址", strings.Join(list[:show], "、"), len(list))
	}
	return strings.Join(list, "、")
}
