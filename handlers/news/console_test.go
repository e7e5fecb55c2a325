package news

import (
	"regexp"
	"strings"
	"testing"
	"time"

	"qunbot/handlers"
	"qunbot/store"
	"qunbot/store/storetest"
	"qunbot/web/console"
	"qunbot/web/console/consoletest"
)

// browse returns a browser of the feature's pages with an operator signed in.
func browse(t *testing.T, w *world, role store.Role) *consoletest.Browser {
	t.Helper()
	b := consoletest.Open(t, console.Config{Store: w.Store, Pages: w.pages(), Now: w.Now, Log: w.Log})
	b.SignIn(w.Store, store.Operator{UserID: string(role), Name: "店长", Role: role, CreatedAt: w.now})
	return b
}

func TestConsole(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.Store) {
		s := serve(t, (&feedServer{asked: map[string]int{}, feeds: map[string]string{"/a": channel("来自<b>来源</b>的 https://a.example/1", "招聘刷单员 ")}}).ServeHTTP)
		w := open(t, db, Feed{"公众号", s.URL + "/a"}, Feed{"坏的", s.URL + "/b"})
		w.now = now.Add(-2 * time.Hour)
		b := browse(t, w, store.Staff)
		b.Holds("empty", b.Get("/console/news"), "下一期还没有内容", "还没读过", "还没有资讯")

		w.words(0, "刷单")
		w.run(w.fetch, w.now)
		b.Holds("fetched", b.Get("/console/news"), "来自来源的", "正常", "失败 1 次", "对方回答 500", "等第二个人通过", "“刷单”（警告，原文）", "发到 2 个群", "2 小时后")

		for problem, form := range map[string][]string{
			"写一句话":                          {"text", " ", "mall", "0", "day", "2026-11-22"},
			"最多 300 个":                      {"text", strings.Repeat("字", 301), "mall", "0", "day", "2026-11-22"},
			"要写完整的网址":                       {"text", "好", "link", "javascript:alert(1)", "mall", "0", "day", "2026-11-22"},
			"要在 2026-11-22 到 2027-01-21 之间": {"text", "好", "mall", "0", "day", "2026-11-21"},
			"请从列出的商场里选一个":                   {"text", "好", "mall", "9", "day", "2026-11-22"},
			"和第 ":                           {"text", "来自，来源的", "mall", "0", "day", "2026-11-22"},
		} {
			b.Holds("problem", b.Post(422, "/console/news/write", form...), problem)
		}
		b.Holds("written", b.Post(200, "/console/news/write", "text", "南湖的<b>消息</b>", "link", "https://mall.example.com/x", "mall", "1", "day", "2026-11-22"),
			"已保存", "1. 南湖的消息", "只给南湖店", "运营")
		id := "3"
		if items := w.items(); len(items) != 3 || items[0].OperatorID == 0 {
			t.Fatalf("items = %+v, want the written one to be the newest", items)
		} else if db.Shared() {
			id = regexp.MustCompile(`/news/write\?id=(\d+)`).FindStringSubmatch(b.Get("/console/news"))[1]
		}
		b.Holds("on its page", b.Get("/console/news/write?id="+id), "修改资讯 "+id, "南湖的消息", "https://mall.example.com/x")
		b.Holds("changed", b.Post(200, "/console/news/write?id="+id, "text", "改过的消息", "mall", "1", "day", "2026-11-22"), "1. 改过的消息")
		b.Holds("a feed's own", b.Ask(404, "GET", "/console/news/write?id=1", nil), "没有这一页") // it cannot be written
		b.Holds("a word", b.Post(200, "/console/news/write?id="+id, "text", "刷单的消息", "mall", "1", "day", "2026-11-22"), "已保存，但还不会发：含有敏感词“刷单”（警告，原文），在“待审”里等第二个人通过")
		other := browse(t, w, store.Manager)
		other.Holds("another day", other.Post(200, "/console/news/write?id="+id, "text", "刷单的消息", "mall", "1", "day", "2026-11-23"), "等第二个人通过")
		if list := w.approvals(); len(list) != 2 || list[1].State != store.Waiting || list[1].AuthorID != 1 {
			t.Errorf("approvals = %+v, want it to wait as it was, and who wrote it to be its author", list)
		}
		b.Holds("no word", b.Post(200, "/console/news/write?id="+id, "text", "改过的消息", "mall", "1", "day", "2026-11-22"), "1. 改过的消息")
		if list := w.approvals(); len(list) != 2 || list[1].State != store.Expired || list[1].Reason != handlers.Edited || list[1].AuthorID == 0 {
			t.Errorf("approvals = %+v, want that of the changed text to be void", list)
		}
		b.Holds("hidden", b.Post(200, "/console/news", "id", id, "do", "hide"), "这条不会发了", "恢复")
		b.Holds("shown", b.Post(200, "/console/news", "id", id, "do", "show"), "这条会发", "1. 改过的消息")
		b.Holds("groups chosen", b.Post(200, "/console/news/groups", "shown", "1", "shown", "2", "on", "2"), "已保存", "发到 1 个群")
		b.Holds("groups", b.Get("/console/news/groups"), "没有消息推送机器人", "没有商场的群")

		w.now = now
		w.run(w.post, now)
		b.Holds("posted", b.Get("/console/news?mall=1"), "今天的 2 条已经发出", "已发 11-22")
		b.Holds("too late", b.Post(422, "/console/news/write?id="+id, "text", "又改", "mall", "1", "day", "2026-11-22"), "这条已经发出")
		b.Holds("of no mall", b.Get("/console/news?mall=0"), "没有商场的群")

		reader := browse(t, w, store.Analyst)
		reader.Lacks("an analyst's page", reader.Get("/console/news"), "写一条</a>", `value="hide"`)
		reader.Holds("an analyst's form", reader.Ask(403, "GET", "/console/news/write", nil), "你的角色不能用这一页")
	})
}
