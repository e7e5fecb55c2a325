package review_test

import (
	"fmt"
	"net/http"
	"testing"

	"qunbot/ledger"
	"qunbot/store"
	"qunbot/store/storetest"
	"qunbot/web/browsertest"
	"qunbot/web/console/consoletest"
)

// The pages fit phones and desks, empty and full, and one key judges a hit
// while nobody types.
func TestInBrowser(t *testing.T) {
	w := open(t, storetest.Open(t))
	boss := store.Operator{UserID: "老板", Name: "老板", Role: store.Owner, CreatedAt: w.now()}
	browser := browsertest.Start(t)
	desk := browser.Tab(t, 1440, 900, "light")
	desk.Open(w.site + consoletest.LoginPath(t, w.db, boss))
	desk.Click("form button")
	desk.Wait(`location.pathname === '/console/'`)
	phone := browser.Tab(t, 390, 844, "light")
	look := func(state string, tabs map[string]*browsertest.Tab, paths ...string) {
		t.Helper()
		for _, path := range paths {
			for width, tab := range tabs {
				tab.Open(w.site + path)
				tab.Fits(state+" "+path+" "+width, ".card", ".talk", ".said")
				tab.Tappable(state+" "+path, ".decide button, .choices button")
				tab.Shoot(fmt.Sprintf("%s%s-%s", state, fileName(path), width))
			}
		}
	}
	all := []string{"/console/review", hitsPage, "/console/review/appeals", "/console/review/accuracy", "/console/review/words"}
	look("empty", map[string]*browsertest.Tab{"390": phone}, all...)

	b := w.operator("老板", store.Owner)
	w.operator("小赵", store.Staff)
	w.update(func(tx *store.Tx) error {
		return tx.AddWords(tx.Context(), []store.SensitiveWord{{Text: "黄片", Folded: "黄片", Level: store.LevelWarn, Embedded: true, CreatedAt: noon},
			{Text: "优惠", Folded: "优惠", Level: store.LevelRemind, Category: "引流", CreatedAt: noon}})
	})
	w.say("小李", "wrk1", "这药怎么样，孩子嗓子疼，老人家说是土方子，但是不知道要吃多少天才有用")
	w.update(func(tx *store.Tx) error {
		_, _, err := ledger.Award(tx.Context(), tx, ledger.Earning{Member: 2, Rule: "test", Base: 100, Key: "start", At: noon})
		return err
	})
	w.say("小王", "wrk1", "牛黄片很苦")
	w.say("小张", "wrk1", "多喝水")
	w.say("小王", "wrk1", "来刷单啊")
	w.say("小王", "wrk1", "又刷单啊")
	w.say("小王", "", "申诉 2 我是在提醒大家不要上当，群里有人在问兼职的事情，我看到了就说一句")
	w.say("小王", "", "申诉 3 手滑")
	w.say("小赵", "wrk1", "/公告 周末一楼中庭有反诈宣传：凡是让你刷单先垫钱的都是骗子。\n转给家里的老人看看，现场有小礼品。")
	w.say("老板", "wrk1", "/公告 招聘刷单员")
	w.say("小赵", "wrk2", "/关键词 添加 兼职 => 刷单都是骗局，别信")
	w.run("moderation.review")
	look("waits", map[string]*browsertest.Tab{"1440": desk, "390": phone}, append(all, hitsPage+"?id=1", "/m/appeal", "/m/")...)

	b.Post(http.StatusOK, "/console/review", "id", "1", "do", "approve")
	b.Post(http.StatusOK, "/console/review", "id", "3", "do", "refuse", "reason", "换个说法，别写这两个字")
	b.Post(http.StatusOK, "/console/review/appeals", "id", "1", "do", "uphold", "reason", "看错了")

	desk.Open(w.site + hitsPage)
	desk.Wait(`document.querySelector("form[data-hits] input[name=id]").value === "3"`)
	desk.Type("#f-phrase", "1")
	desk.Wait(`document.querySelector("#f-phrase").value.includes("1")`)
	desk.Open(w.site + hitsPage)
	desk.Type("form[data-hits] button.primary", "1")
	desk.Wait(`document.querySelector("form[data-hits] input[name=id]").value === "2"`)
	desk.Type("form[data-hits] button.primary", "2")
	desk.Wait(`document.querySelector("form[data-hits] input[name=id]").value === "1"`)
	list := w.hits()
	if list[0].Review != "" || list[1].Review != store.HitWrong || list[2].Review != store.HitRight {
		t.Errorf("hits = %+v, want those that keys judged", list)
	}
	look("done", map[string]*browsertest.Tab{"390": phone}, append(all, hitsPage+"?done=1", "/m/appeal")...)
	desk.Clean("the desk")
}

// fileName is a path as a part of a file's name.
func fileName(path string) string {
	name := []rune(path)
	for i, r := range name {
		if r == '/' || r == '?' || r == '=' {
			name[i] = '-'
		}
	}
	return string(name)
}
