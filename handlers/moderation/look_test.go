package moderation

import (
	"fmt"
	"strings"
	"testing"

	"qunbot/store"
	"qunbot/store/storetest"
	"qunbot/web/browsertest"
	"qunbot/web/console/consoletest"
)

// Every page, full and empty, fits on a phone and on a desk, in light and dark.
func TestLook(t *testing.T) {
	browsertest.NeedShots(t)
	s := open(t, storetest.Open(t), store.Manager)
	s.handle(s.message("hello", "小王", "wrk1", "帮助"))
	s.handle(s.message("hello2", "小李", "wrk2 一个名字特别长的粉丝群，看看会不会撑破页面", "帮助"))
	signIn := func(role store.Role) string {
		return s.URL + consoletest.LoginPath(t, s.db, store.Operator{UserID: "zhangsan", Name: "张三", Role: role, CreatedAt: s.now})
	}
	browser := browsertest.Start(t)
	shoot := func(state string, pages map[string]string) {
		for _, width := range []int64{390, 1440} {
			for _, scheme := range []string{"light", "dark"} {
				p := browser.Tab(t, width, 900, scheme)
				p.Open(signIn(store.Manager))
				p.Click("form button")
				p.Wait(`location.pathname === '/console/'`)
				for name, path := range pages {
					what := fmt.Sprintf("%s-%s-%d-%s", name, state, width, scheme)
					p.Open(s.URL + "/console" + path)
					p.Fits(what)
					p.Shoot(what)
				}
				p.Clean(state)
				p.Close()
			}
		}
	}
	shoot("empty", map[string]string{"list": "/moderation", "presets": "/moderation/presets", "strikes": "/moderation/strikes", "replay": "/moderation/replay?preset=fraud"})
	s.add(0, "刷单 拦截 诈骗刷单", "加微信 警告 广告引流", "刷单小游戏 提醒")
	for _, key := range []string{"ads", "fraud"} {
		s.Post(200, "/console/moderation/presets/"+key)
	}
	s.Post(200, "/console/moderation/rules/new?kind=flood", rule("count", "8", "seconds", "60", "name", "刷屏", "groups", "1", "newcomer", "1440", "from", "22:00", "to", "09:00")...)
	for i := range 6 {
		s.handle(s.message(fmt.Sprint("m", i), "小王", "wrk1", fmt.Sprintf("第%d次来刷*单，加我VX，https://example.com/a/very/long/address?x=%s", i, strings.Repeat("y", 80))))
		s.handle(s.message(fmt.Sprint("n", i), "小李", "wrk1", "shua单吗 "+strings.Repeat("长", 90)))
	}
	s.Post(200, "/console/moderation/import", "level", "warn", "group", "0",
		"text", "代购 警告 买卖\n代购 拦截\n积分\n加\n刷单 提醒\n刷单小游戏 放行\n"+strings.Repeat("很", 70)+"长的词\n坏词 禁止 x\n黄牛 警告\n倒卖 拦截\n")
	shoot("full", map[string]string{
		"list": "/moderation?try=%E5%88%B7*%E5%8D%95%20example.com", "new": "/moderation/new", "rules": "/moderation/rules", "kinds": "/moderation/rules/new",
		"flood": "/moderation/rules/new?kind=flood", "rule": "/moderation/rules/3", "presets": "/moderation/presets", "preset": "/moderation/presets/abuse",
		"applied": "/moderation/presets/ads", "import": "/moderation/import", "preview": "/moderation/imports/1", "replay": "/moderation/replay?preset=fraud",
		"replay-all": "/moderation/replay", "strikes": "/moderation/strikes",
	})
}
