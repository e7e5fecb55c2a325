package news

import (
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"net/url"
	"regexp"
	"strings"
	"testing"
	"time"

	"qunbot/store"
	"qunbot/store/storetest"
	"qunbot/web/console"
	"qunbot/wordfilter"
)

// A browser is signed in to the console with the feature's pages.
type browser struct {
	t      *testing.T
	url    string
	client *http.Client
}

func browse(t *testing.T, w *world, role store.Role) browser {
	t.Helper()
	c, err := console.New(console.Config{Store: w.Store, Pages: w.pages(), Now: w.Now, Log: w.Log})
	if err != nil {
		t.Fatal(err)
	}
	mux := http.NewServeMux()
	c.Mount(mux)
	server := httptest.NewServer(mux)
	t.Cleanup(server.Close)
	jar, _ := cookiejar.New(nil)
	b := browser{t, server.URL + "/console", &http.Client{Jar: jar}}
	w.update(func(tx *store.Tx) error {
		o, err := tx.PutOperator(tx.Context(), store.Operator{UserID: string(role), Name: "店长", Role: role, CreatedAt: w.now})
		if err != nil {
			return err
		}
		token, err := tx.AddLoginLink(tx.Context(), o.ID, w.now.Add(time.Hour))
		b.url = console.LoginURL(server.URL, token)
		return err
	})
	b.send("", nil)
	b.url = server.URL + "/console"
	return b
}

func (b browser) send(path string, form url.Values) string {
	b.t.Helper()
	resp, err := b.client.PostForm(b.url+path, form)
	return b.body(resp, err)
}

func (b browser) get(path string) string {
	b.t.Helper()
	resp, err := b.client.Get(b.url + path)
	return b.body(resp, err)
}

func (b browser) body(resp *http.Response, err error) string {
	b.t.Helper()
	if err != nil {
		b.t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		b.t.Fatal(err)
	}
	return string(body)
}

var formKey = regexp.MustCompile(`name="_key" value="([A-Z0-9]+)"`)

// post fills in the form of a page, given as pairs of a name and a value.
func (b browser) post(path string, pairs ...string) string {
	b.t.Helper()
	key := formKey.FindStringSubmatch(b.get(path))
	if key == nil {
		b.t.Fatalf("%s has no form", path)
	}
	form := url.Values{"_key": {key[1]}}
	for i := 0; i < len(pairs); i += 2 {
		form.Add(pairs[i], pairs[i+1])
	}
	return b.send(path, form)
}

func (b browser) wants(page string, texts ...string) {
	b.t.Helper()
	for _, text := range texts {
		if !strings.Contains(page, text) {
			b.t.Errorf("the page lacks %q:\n%s", text, page[max(0, strings.Index(page, "<main")):])
		}
	}
}

func TestConsole(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.Store) {
		s := serve(t, (&feedServer{asked: map[string]int{}, feeds: map[string]string{"/a": channel("来自<b>来源</b>的 https://a.example/1", "招聘刷单员 ")}}).ServeHTTP)
		w := open(t, db, Feed{"公众号", s.URL + "/a"}, Feed{"坏的", s.URL + "/b"})
		w.now = now.Add(-2 * time.Hour)
		b := browse(t, w, store.Staff)
		b.wants(b.get("/news"), "下一期还没有内容", "还没读过", "还没有资讯")

		words, err := wordfilter.New([]wordfilter.Word{{Text: "刷单"}}, wordfilter.Options{})
		if err != nil {
			t.Fatal(err)
		}
		w.Words.Swap(&wordfilter.Set{Base: words})
		w.run(w.fetch, w.now)
		b.wants(b.get("/news"), "来自来源的", "正常", "失败 1 次", "对方回答 500", "含“刷单”，不会发", "发到 2 个群", "2 小时后")

		for problem, form := range map[string][]string{
			"写一句话":                          {"text", " ", "mall", "0", "day", "2026-11-22"},
			"最多 300 个":                      {"text", strings.Repeat("字", 301), "mall", "0", "day", "2026-11-22"},
			"含有敏感词“刷单”":                     {"text", "招聘刷单", "mall", "0", "day", "2026-11-22"},
			"要写完整的网址":                       {"text", "好", "link", "javascript:alert(1)", "mall", "0", "day", "2026-11-22"},
			"要在 2026-11-22 到 2027-01-21 之间": {"text", "好", "mall", "0", "day", "2026-11-21"},
			"请从列出的商场里选一个":                   {"text", "好", "mall", "9", "day", "2026-11-22"},
			"和第 ":                           {"text", "来自，来源的", "mall", "0", "day", "2026-11-22"},
		} {
			b.wants(b.post("/news/write", form...), problem)
		}
		b.wants(b.post("/news/write", "text", "南湖的<b>消息</b>", "link", "https://mall.example.com/x", "mall", "1", "day", "2026-11-22"),
			"已保存", "1. 南湖的消息", "只给南湖店", "运营")
		id := "3"
		if items := w.items(); len(items) != 3 || items[0].OperatorID == 0 {
			t.Fatalf("items = %+v, want the written one to be the newest", items)
		} else if db.Shared() {
			id = regexp.MustCompile(`/news/write\?id=(\d+)`).FindStringSubmatch(b.get("/news"))[1]
		}
		b.wants(b.get("/news/write?id="+id), "修改资讯 "+id, "南湖的消息", "https://mall.example.com/x")
		b.wants(b.post("/news/write?id="+id, "text", "改过的消息", "mall", "1", "day", "2026-11-22"), "1. 改过的消息")
		b.wants(b.get("/news/write?id=1"), "没有这一页") // a feed's own cannot be written
		b.wants(b.post("/news", "id", id, "do", "hide"), "这条不会发了", "恢复")
		b.wants(b.post("/news", "id", id, "do", "show"), "这条会发", "1. 改过的消息")
		b.wants(b.post("/news/groups", "shown", "1", "shown", "2", "on", "2"), "已保存", "发到 1 个群")
		b.wants(b.get("/news/groups"), "没有消息推送机器人", "没有商场的群")

		w.now = now
		w.run(w.post, now)
		b.wants(b.get("/news?mall=1"), "今天的 2 条已经发出", "已发 11-22")
		b.wants(b.post("/news/write?id="+id, "text", "又改", "mall", "1", "day", "2026-11-22"), "这条已经发出")
		b.wants(b.get("/news?mall=0"), "没有商场的群")

		reader := browse(t, w, store.Analyst)
		if page := reader.get("/news"); strings.Contains(page, "写一条</a>") || strings.Contains(page, `value="hide"`) {
			t.Error("an analyst is offered to change something")
		}
		reader.wants(reader.get("/news/write"), "你的角色不能用这一页")
	})
}
