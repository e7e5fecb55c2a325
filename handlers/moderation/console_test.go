package moderation

import (
	"fmt"
	"html"
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"net/url"
	"regexp"
	"strings"
	"testing"
	"time"

	"qunbot/ledger"
	"qunbot/store"
	"qunbot/store/storetest"
	"qunbot/web/console"
)

// A site is the console with the moderation's pages and a browser that is
// signed in.
type site struct {
	*asked
	url    string
	client *http.Client
}

func open(t *testing.T, db *store.Store, role store.Role) *site {
	t.Helper()
	s := &site{asked: chat(t, db)}
	pages := New(s.deps, Config{Filter: s.filter}).Console
	c, err := console.New(console.Config{Store: db, Pages: pages, Now: func() time.Time { return s.now }, Log: s.deps.Log})
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
	s.url, s.client = server.URL, &http.Client{Jar: jar}
	s.signIn(role)
	return s
}

func (s *site) signIn(role store.Role) {
	s.t.Helper()
	s.do(http.StatusOK, "POST", strings.TrimPrefix(s.link(role), s.url+"/console"), nil)
}

// link returns an address that lets an operator in once.
func (s *site) link(role store.Role) (link string) {
	s.t.Helper()
	s.update(func(tx *store.Tx) error {
		o, err := tx.PutOperator(tx.Context(), store.Operator{UserID: "zhangsan", Name: "张三", Role: role, CreatedAt: noon})
		if err != nil {
			return err
		}
		token, err := tx.AddLoginLink(tx.Context(), o.ID, s.now.Add(time.Hour))
		link = console.LoginURL(s.url, token)
		return err
	})
	return link
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

func (s *site) holds(what, page string, parts ...string) {
	s.t.Helper()
	for _, p := range parts {
		if !strings.Contains(page, p) {
			s.t.Errorf("%s: the page does not hold %q:\n%s", what, p, page)
		}
	}
}

func (s *site) lacks(what, page string, parts ...string) {
	s.t.Helper()
	for _, p := range parts {
		if strings.Contains(page, p) {
			s.t.Errorf("%s: the page holds %q:\n%s", what, p, page)
		}
	}
}

// filled returns the fields of the form for new words, with some changed.
func filled(pairs ...string) []string {
	fields := []string{"words", "加微信 拦截 引流\n刷单", "kind", "warn", "category", "", "group", "0", "match", "", "sure", ""}
	for i := 0; i < len(pairs); i += 2 {
		for j := 0; j < len(fields); j += 2 {
			if fields[j] == pairs[i] {
				fields[j+1] = pairs[i+1]
			}
		}
	}
	return fields
}

func TestConsoleWords(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.Store) {
		s := open(t, db, store.Staff)
		s.handle(s.message("hello", "小王", "wrk1", "帮助")) // there is a group now
		s.holds("empty", s.get("/moderation"), "还没有敏感词", "添加第一批")

		s.holds("made", s.post(200, "/moderation/new", filled()...), "已添加 2 个词", "加微信", "引流", "刷单", "共 2 个")
		page := s.post(422, "/moderation/new", filled("words", "代购\n加\n！！\n"+strings.Repeat("长", 65))...)
		s.holds("what can be no word", page, "第 2 行：“加”只有一个字", "第 3 行", "第 4 行", "有 65 个字", "代购")
		page = s.post(422, "/moderation/new", filled("words", "代购 提醒 买卖\n积分\n刷　单\n代购")...)
		s.holds("a blank", page, "第 3 行：“刷 单”中间有空格")
		page = s.post(422, "/moderation/new", filled("words", "代购 提醒 买卖\n积分\n刷单\n代购")...)
		s.holds("doubts", page, "“积分”是日常用语", "“刷单”已经有了（#2）", "第 4 行和第 1 行是同一个词", "仍然添加", "代购 提醒 买卖")
		page = s.post(200, "/moderation/new", filled("words", "代购 提醒 买卖\n积分\n刷单\n代购", "sure", "1")...)
		s.holds("sure", page, "已添加 2 个词", "跳过了 1 个已经有的", "积分")
		s.holds("nothing new", s.post(422, "/moderation/new", filled("sure", "1")...), "没有新词可加")
		s.holds("for a group", s.post(200, "/moderation/new", filled("words", "刷单 拦截\n剧透", "group", "1", "match", "exact")...), "未命名群 wrk1", "只认原样")
		s.holds("allowed", s.post(200, "/moderation/new", filled("words", "刷单小游戏", "kind", "allow")...), "放行")
		s.post(422, "/moderation/new", filled("group", "99")...)
		s.post(422, "/moderation/new", filled("kind", "")...)

		page = s.get("/moderation?try=" + url.QueryEscape("来玩刷单小游戏，<b>＋vx") + "&in=0")
		s.holds("tried", page, "拦截：拦下、计一次违规", "<mark>＋vx</mark>", "写成“＋vx” · 别称", `href="/console/moderation/words/1"`)
		s.lacks("tried", page, "<mark>刷单")
		page = s.get("/moderation?try=" + url.QueryEscape("刷单") + "&in=1")
		s.holds("tried in the group", page, "拦截", "未命名群 wrk1", `href="/console/moderation/words/5"`)
		s.holds("tried in vain", s.get("/moderation?try=hello"), "照常处理")
		page = s.get("/moderation?group=0&kind=warn&q=" + url.QueryEscape("刷"))
		s.holds("filtered", page, "共 1 个", `aria-label="选中 #2 刷单"`)
		s.holds("filtered by category", s.get("/moderation?category="+url.QueryEscape("买卖")), "共 1 个", "代购")
		s.holds("filtered out", s.get("/moderation?q=zzz"), "没有符合的敏感词")

		s.holds("level of many", s.post(200, "/moderation", "do", "提醒", "id", "1", "id", "2", "id", "7"), "已把 2 个词改成提醒")
		s.post(422, "/moderation", "do", "提醒")
		if got := s.handle(s.message("1", "小王", "wrk1", "刷dan")); got.Outcome == store.Stopped {
			t.Errorf("an exact word of the group stopped %+v", got)
		}
		edit := func(status int, id int, pairs ...string) string {
			return s.post(status, fmt.Sprintf("/moderation/words/%d", id), append([]string{"do", "save"}, pairs...)...)
		}
		page = edit(200, 1, "text", "加薇信", "kind", "block", "category", "广告", "group", "0", "match", "embedded")
		s.holds("changed", page, "已保存", "加薇信", "广告", "夹在别的词里也算")
		s.holds("to a known word", edit(422, 1, "text", "刷单", "kind", "warn", "group", "0"), "已经有了：#2")
		s.holds("too broad", edit(422, 1, "text", "积分", "kind", "warn", "group", "1"), "日常用语", "仍然保存")
		edit(200, 1, "text", "会员", "kind", "warn", "group", "0", "sure", "1")
		s.holds("deleted", s.post(200, "/moderation/words/1", "do", "delete"), "已删除“会员”")
		s.do(404, "GET", "/moderation/words/1", nil)
		s.holds("deleted many", s.post(200, "/moderation", "do", "delete", "id", "2", "id", "3"), "已删除 2 个词")

		s.update(func(tx *store.Tx) error {
			audits, err := tx.Audits(tx.Context(), 0, 100)
			if err == nil && (len(audits) != 9 || !strings.Contains(audits[1].Detail, "删除：“会员”，警告") || audits[1].Object != "word 1") {
				err = fmt.Errorf("%d audits = %+v, want 9, the last but one of the deletion", len(audits), audits)
			}
			return err
		})
	})
}

func TestConsoleStrikes(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.Store) {
		s := open(t, db, store.Manager)
		s.add(0, "刷单 警告 <广告>")
		s.holds("none", s.get("/moderation/strikes"), "最近 30 天没有违规")
		s.update(func(tx *store.Tx) error {
			members, err := tx.MembersOf(tx.Context(), []store.Identity{{Kind: store.UserID, Value: "小王"}}, noon)
			if err != nil {
				return err
			}
			if err := tx.SetName(tx.Context(), members[0].ID, "王<芳>"); err != nil {
				return err
			}
			_, _, err = ledger.Award(tx.Context(), tx, ledger.Earning{Member: members[0].ID, Rule: "test", Base: 12, Key: "test", At: noon})
			return err
		})
		for i := range 3 {
			s.handle(s.message(fmt.Sprint(i), "小王", "wrk1", fmt.Sprintf("<%d> 来刷*单", i)))
		}
		s.holds("list", s.get("/moderation/strikes"), "王<芳>", "<2> 来刷*单", "停用中", "扣 10 分", "警告 · <广告> · 夹杂", "共 3 次")
		s.holds("running", s.get("/moderation/strikes?running=1"), "共 1 次")
		s.holds("of nobody", s.get("/moderation/strikes?member=9"), "没有符合的违规", "会员 9")
		s.holds("on the list of words", s.get("/moderation"), "违规记录（3）")
		s.holds("one", s.get("/moderation/strikes/3"), "王<芳>的第 3 次违规", "<mark>刷*单</mark>", "解除停用", "撤销违规 #3", "3 次算数", "test:2", "这位会员的其他违规")

		s.holds("lifted", s.post(200, "/moderation/strikes/3", "do", "lift"), "已解除停用", "张三")
		s.holds("lifted again", s.post(422, "/moderation/strikes/3", "do", "lift"), "没有停用要解除")
		s.holds("undone", s.post(200, "/moderation/strikes/2", "do", "undo"), "已撤销，不再算违规。退回 10 分。", "2 次算数")
		s.lacks("undone", s.get("/moderation/strikes/2"), "撤销违规 #2")
		form := url.Values{"_key": {formKey.FindStringSubmatch(s.get("/moderation/strikes/1"))[1]}, "do": {"undo"}}
		s.holds("undone again", s.do(422, "POST", "/moderation/strikes/2", form), "已经撤销过了")
		s.holds("counting", s.get("/moderation/strikes?counting=1"), "共 2 次")
		s.do(404, "GET", "/moderation/strikes/99", nil)

		s.handle(s.message("again", "小王", "wrk1", "刷单"))
		s.holds("one that suspends, undone", s.post(200, "/moderation/strikes/4", "do", "undo"), "停用也解除了")
		s.update(func(tx *store.Tx) error {
			balance, err := tx.LockedBalance(tx.Context(), 1)
			if err != nil {
				return err
			}
			until, err := tx.SuspendedUntil(tx.Context(), 1, s.now)
			if balance != 12 || !until.IsZero() {
				t.Errorf("balance %d, suspended until %v, want 12 and free", balance, until)
			}
			return err
		})
		if _, problems, err := ledger.Verify(t.Context(), db); len(problems) > 0 || err != nil {
			t.Errorf("ledger.Verify = %q, %v", problems, err)
		}

		// With the messages gone, the strike stays.
		s.update(func(tx *store.Tx) error {
			_, err := tx.Prune(tx.Context(), store.Cutoffs{Messages: noon.Add(time.Hour)}, 100)
			return err
		})
		s.holds("pruned", s.get("/moderation/strikes/3"), "原话已按保留期删除", "“刷单”")
		s.holds("pruned", s.get("/moderation/strikes"), "（已按保留期删除）")
		s.now = s.now.Add(40 * day)
		s.signIn(store.Manager) // the session is over
		s.holds("long ago", s.get("/moderation/strikes?all=1"), "共 4 次", "已解除停用", "已撤销")

		rules := []string{"window", "60", "deduct_at", "1", "deduct", "3", "suspend_at", "0", "suspend", "7"}
		s.holds("new rules", s.post(200, "/moderation/rules", rules...), "已保存", "60 天", "从不")
		rules[3], rules[7] = "4", "4"
		s.holds("rules that cannot be", s.post(422, "/moderation/rules", rules...), "扣分要比停用早")
		rules[1] = "一个月"
		s.holds("no number", s.post(422, "/moderation/rules", rules...), "要写一个整数")
		s.handle(s.message("new rules", "小王", "wrk1", "刷单"))
		if list := s.strikes(store.StrikeFilter{}); list[0].Points != 3 || list[0].Number != 3 {
			t.Errorf("strike by the new rules = %+v, want the third, 3 points", list[0])
		}
	})
}

func TestConsoleRoles(t *testing.T) {
	s := open(t, storetest.Open(t), store.Analyst)
	s.add(0, "刷单")
	s.handle(s.message("1", "小王", "wrk1", "刷单"))
	s.lacks("an analyst's list", s.get("/moderation"), "添加敏感词", `type="checkbox" name`)
	s.lacks("an analyst's word", s.get("/moderation/words/1"), `name="text"`, "删除 #1")
	s.lacks("an analyst's strike", s.get("/moderation/strikes/1"), "撤销违规")
	s.lacks("an analyst's rules", s.get("/moderation/rules"), `name="window"`)
	s.do(403, "GET", "/moderation/new", nil)
	for _, path := range []string{"/moderation", "/moderation/words/1", "/moderation/strikes/1", "/moderation/rules"} {
		s.do(403, "POST", path, url.Values{"_key": {"AAAA"}, "do": {"delete"}, "id": {"1"}})
	}
	if n := len(s.strikes(store.StrikeFilter{NotUndone: true})); n != 1 {
		t.Errorf("%d strikes count, want 1", n)
	}
}

func TestConsolePaging(t *testing.T) {
	s := open(t, storetest.Open(t), store.Staff)
	var lines []string
	for i := range console.PageSize + 3 {
		lines = append(lines, fmt.Sprintf("词语%d号", i+1))
	}
	s.add(0, lines...)
	page := s.get("/moderation")
	s.holds("first page", page, "词语53号", "词语4号", "下一页", "共 53 个")
	s.lacks("first page", page, "词语3号")
	s.holds("second page", s.get("/moderation?before=4"), "词语3号", "词语1号", "回到最新")
}
