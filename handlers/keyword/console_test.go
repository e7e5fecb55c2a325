package keyword

import (
	"fmt"
	"html"
	"io"
	"log/slog"
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
)

var noon = time.Date(2026, 11, 20, 4, 0, 0, 0, time.UTC) // 12:00 in Asia/Shanghai

// A site is the console with the keywords' pages and a browser that is signed in.
type site struct {
	t       *testing.T
	db      *store.Store
	handler http.Handler
	url     string
	client  *http.Client
}

func open(t *testing.T, db *store.Store, role store.Role) *site {
	t.Helper()
	now := func() time.Time { return noon }
	c, err := console.New(console.Config{Store: db, Pages: New(deps(db, now)).Console, Now: now, Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	mux := http.NewServeMux()
	c.Mount(mux)
	server := httptest.NewServer(mux)
	t.Cleanup(server.Close)
	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	s := &site{t: t, db: db, handler: mux, url: server.URL, client: &http.Client{Jar: jar}}
	var link string
	s.update(func(tx *store.Tx) error {
		o, err := tx.PutOperator(tx.Context(), store.Operator{UserID: "zhangsan", Name: "张三", Role: role, CreatedAt: noon})
		if err != nil {
			return err
		}
		token, err := tx.AddLoginLink(tx.Context(), o.ID, noon.Add(time.Hour))
		link = console.LoginURL(s.url, token)
		return err
	})
	s.do(http.StatusOK, "POST", strings.TrimPrefix(link, s.url+"/console"), nil)
	return s
}

func (s *site) update(fn func(tx *store.Tx) error) {
	s.t.Helper()
	if err := s.db.Update(s.t.Context(), fn); err != nil {
		s.t.Fatal(err)
	}
}

// do asks for a page, follows redirects and returns the page's text.
func (s *site) do(status int, method, path string, form url.Values) string {
	s.t.Helper()
	r, err := http.NewRequestWithContext(s.t.Context(), method, s.url+"/console"+path, strings.NewReader(form.Encode()))
	if err != nil {
		s.t.Fatal(err)
	}
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	r.Header.Set("Sec-Fetch-Site", "same-origin")
	got, err := s.client.Do(r)
	if err != nil {
		s.t.Fatal(err)
	}
	defer got.Body.Close()
	body, err := io.ReadAll(got.Body)
	if err != nil {
		s.t.Fatal(err)
	}
	if got.StatusCode != status {
		s.t.Fatalf("%s %s = %s, want %d\n%s", method, path, got.Status, status, body)
	}
	return html.UnescapeString(string(body))
}

func (s *site) get(path string) string {
	s.t.Helper()
	return s.do(http.StatusOK, "GET", path, nil)
}

var formKey = regexp.MustCompile(`name="_key" value="([A-Z0-9]+)"`)

// post sends a form with a key from the page it is on.
func (s *site) post(status int, path string, pairs ...string) string {
	s.t.Helper()
	form := url.Values{"_key": {formKey.FindStringSubmatch(s.get(path))[1]}}
	for i := 0; i < len(pairs); i += 2 {
		form.Add(pairs[i], pairs[i+1])
	}
	return s.do(status, "POST", path, form)
}

func holds(t *testing.T, what, page string, parts ...string) {
	t.Helper()
	for _, p := range parts {
		if !strings.Contains(page, p) {
			t.Errorf("%s: the page does not hold %q:\n%s", what, p, page)
		}
	}
}

func lacks(t *testing.T, what, page string, parts ...string) {
	t.Helper()
	for _, p := range parts {
		if strings.Contains(page, p) {
			t.Errorf("%s: the page holds %q:\n%s", what, p, page)
		}
	}
}

// rule returns the fields of a form with some of them changed.
func filled(pairs ...string) []string {
	fields := []string{"pattern", "停车", "kind", "contains", "group", "0", "replies", "前两小时免费", "priority", "0", "cooldown", "0",
		"from", "", "to", "", "state", "on", "do", "save"}
	for i := 0; i < len(pairs); i += 2 {
		for j := 0; j < len(fields); j += 2 {
			if fields[j] == pairs[i] {
				fields[j+1] = pairs[i+1]
			}
		}
	}
	return fields
}

func TestConsole(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.Store) {
		s := open(t, db, store.Staff)
		s.update(func(tx *store.Tx) error {
			_, err := tx.AddGroup(tx.Context(), store.Group{ChatID: "wrk1", Kind: store.InternalGroup, Name: "一号群", CreatedAt: noon})
			return err
		})
		holds(t, "empty", s.get("/keywords"), "还没有关键词", "添加第一条")

		page := s.post(200, "/keywords/new", filled("replies", "前两小时免费\n---\nB2 <还> 有位")...)
		holds(t, "made", page, "已添加", "停车", "关键词 #1", "B2 <还> 有位", "用过", "停用", "删除 #1")
		page = s.post(422, "/keywords/new", filled("pattern", "　停车 ")...)
		holds(t, "the same again", page, "已经有一条了：#1")
		page = s.post(422, "/keywords/new", filled("kind", "regexp", "pattern", "停(车")...)
		holds(t, "a broken regexp", page, "少了右括号", "停(车", "前两小时免费")
		page = s.post(422, "/keywords/new", filled("pattern", "晚上停车", "from", "22:00")...)
		holds(t, "half a time", page, "开始和结束要一起写")
		s.post(422, "/keywords/new", filled("pattern", "别的群", "group", "99")...)
		page = s.post(200, "/keywords/new", filled("pattern", "停车费", "group", "1", "from", "22:00", "to", "09:00", "replies", "夜间免费")...)
		holds(t, "made for a group", page, "一号群", "22:00–次日 09:00", "谁先回答", "排在后面", "#1 包含“停车”", "本群的先于通用的")

		page = s.get("/keywords?try=" + url.QueryEscape("停车费多少") + "&in=1&at=23:00")
		holds(t, "tried at night", page, "会回答", "#2 包含“停车费”", "夜间免费", "让给 #2：本群的先于通用的")
		page = s.get("/keywords?try=" + url.QueryEscape("停车费多少") + "&in=1&at=12:00")
		holds(t, "tried at noon", page, "会回答", "#1 包含“停车”", "前两小时免费", "只在 22:00–次日 09:00 回答")
		holds(t, "tried in vain", s.get("/keywords?try=hello"), "没有关键词回答")

		page = s.get("/keywords?group=1&kind=contains&q=" + url.QueryEscape("夜间"))
		holds(t, "filtered", page, "停车费", "共 1 条")
		lacks(t, "filtered", page, `aria-label="选中 #1 停车"`)
		holds(t, "filtered out", s.get("/keywords?state=off"), "没有符合的关键词")

		holds(t, "turned off", s.post(200, "/keywords/1", "do", "disable"), "已停用。", "启用")
		lacks(t, "turned off", s.get("/keywords?try="+url.QueryEscape("停车")), "会回答")
		holds(t, "turned on", s.post(200, "/keywords", "do", "enable", "id", "1", "id", "2"), "已启用。")
		holds(t, "none chosen", s.post(422, "/keywords", "do", "enable"), "请先选中")
		page = s.post(200, "/keywords/1", filled("pattern", "车位", "priority", "5", "cooldown", "60")...)
		holds(t, "changed", page, "已保存", "车位")
		holds(t, "changed to another's word", s.post(422, "/keywords/1", filled("pattern", "停车费", "group", "1")...), "已经有一条了：#2")
		holds(t, "deleted", s.post(200, "/keywords/1", "do", "delete"), "已删除 1 条。")
		s.do(404, "GET", "/keywords/1", nil)

		s.update(func(tx *store.Tx) error {
			audits, err := tx.Audits(tx.Context(), 0, 100)
			if err == nil && (len(audits) != 6 || !strings.Contains(audits[0].Detail, "删除：包含“车位”") || audits[0].Object != "keyword 1") {
				err = fmt.Errorf("audits = %+v, want 6, the last of the deletion", audits)
			}
			return err
		})
	})
}

func TestConsoleRoles(t *testing.T) {
	s := open(t, storetest.Open(t), store.Analyst)
	s.update(func(tx *store.Tx) error {
		_, err := tx.AddKeywordRule(tx.Context(), aRule(0, "contains 停车"))
		return err
	})
	lacks(t, "an analyst's list", s.get("/keywords"), "添加关键词", `type="checkbox" name`)
	lacks(t, "an analyst's rule", s.get("/keywords/1"), "<textarea", "删除 #1")
	s.do(403, "GET", "/keywords/new", nil)
	s.do(403, "POST", "/keywords/1", url.Values{"_key": {"AAAA"}, "do": {"delete"}})
}

func TestConsolePages(t *testing.T) {
	s := open(t, storetest.Open(t), store.Staff)
	s.update(func(tx *store.Tx) error {
		for i := range console.PageSize + 3 {
			if _, err := tx.AddKeywordRule(tx.Context(), aRule(0, fmt.Sprintf("contains 词%d号", i+1))); err != nil {
				return err
			}
		}
		return nil
	})
	page := s.get("/keywords")
	holds(t, "first page", page, "词53号", "词4号", "下一页", "共 53 条")
	lacks(t, "first page", page, "词3号")
	page = s.get("/keywords?before=4")
	holds(t, "second page", page, "词3号", "词1号", "回到最新")
}

// Regexps without a fixed text are tried on every message, so there may be few.
func TestLooseRegexps(t *testing.T) {
	s := open(t, storetest.Open(t), store.Staff)
	s.update(func(tx *store.Tx) error {
		for i := range maxLoose + 1 {
			r := aRule(0, fmt.Sprintf(`regexp ^\w{%d}$`, i+5))
			r.Enabled = i < maxLoose
			if _, err := tx.AddKeywordRule(tx.Context(), r); err != nil {
				return err
			}
		}
		return nil
	})
	holds(t, "one too many", s.post(422, "/keywords/new", filled("kind", "regexp", "pattern", ".+停?")...), "没有固定文字的正则")
	holds(t, "one with a text", s.post(200, "/keywords/new", filled("kind", "regexp", "pattern", ".+停")...), "已添加")
	path := fmt.Sprintf("/keywords/%d", maxLoose+1)
	s.post(422, path, "do", "enable")
	holds(t, "not turned on", s.get(path), "已停用")
}
