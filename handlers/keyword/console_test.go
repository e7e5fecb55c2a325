package keyword

import (
	"fmt"
	"net/url"
	"strings"
	"testing"
	"time"

	"qunbot/store"
	"qunbot/store/storetest"
	"qunbot/web/console"
	"qunbot/web/console/consoletest"
)

var noon = time.Date(2026, 11, 20, 4, 0, 0, 0, time.UTC) // 12:00 in Asia/Shanghai

// A site is the console with the keywords' pages and a browser that is signed in.
type site struct {
	*consoletest.Browser
	t  *testing.T
	db *store.Store
}

func open(t *testing.T, db *store.Store, role store.Role) *site {
	t.Helper()
	now := func() time.Time { return noon }
	d := deps(db, now)
	s := &site{consoletest.Open(t, console.Config{Store: db, Pages: New(d).Console, Now: now, Log: d.Log}), t, db}
	s.SignIn(db, store.Operator{UserID: "zhangsan", Name: "张三", Role: role, CreatedAt: noon})
	return s
}

func (s *site) update(fn func(tx *store.Tx) error) {
	s.t.Helper()
	if err := s.db.Update(s.t.Context(), fn); err != nil {
		s.t.Fatal(err)
	}
}

// filled returns the fields of a form with some of them changed.
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
		s.Holds("empty", s.Get("/console/keywords"), "还没有关键词", "添加第一条")

		page := s.Post(200, "/console/keywords/new", filled("replies", "前两小时免费\n---\nB2 <还> 有位")...)
		s.Holds("made", page, "已添加", "停车", "关键词 #1", "B2 <还> 有位", "用过", "停用", "删除 #1")
		page = s.Post(422, "/console/keywords/new", filled("pattern", "　停车 ")...)
		s.Holds("the same again", page, "已经有一条了：#1")
		page = s.Post(422, "/console/keywords/new", filled("kind", "regexp", "pattern", "停(车")...)
		s.Holds("a broken regexp", page, "少了右括号", "停(车", "前两小时免费")
		page = s.Post(422, "/console/keywords/new", filled("pattern", "晚上停车", "from", "22:00")...)
		s.Holds("half a time", page, "开始和结束要一起写")
		s.Post(422, "/console/keywords/new", filled("pattern", "别的群", "group", "99")...)
		page = s.Post(200, "/console/keywords/new", filled("pattern", "停车费", "group", "1", "from", "22:00", "to", "09:00", "replies", "夜间免费")...)
		s.Holds("made for a group", page, "一号群", "22:00–次日 09:00", "谁先回答", "排在后面", "#1 包含“停车”", "本群的先于通用的")

		page = s.Get("/console/keywords?try=" + url.QueryEscape("停车费多少") + "&in=1&at=23:00")
		s.Holds("tried at night", page, "会回答", "#2 包含“停车费”", "夜间免费", "让给 #2：本群的先于通用的")
		page = s.Get("/console/keywords?try=" + url.QueryEscape("停车费多少") + "&in=1&at=12:00")
		s.Holds("tried at noon", page, "会回答", "#1 包含“停车”", "前两小时免费", "只在 22:00–次日 09:00 回答")
		s.Holds("tried in vain", s.Get("/console/keywords?try=hello"), "没有关键词回答")

		page = s.Get("/console/keywords?group=1&kind=contains&q=" + url.QueryEscape("夜间"))
		s.Holds("filtered", page, "停车费", "共 1 条")
		s.Lacks("filtered", page, `aria-label="选中 #1 停车"`)
		s.Holds("filtered out", s.Get("/console/keywords?state=off"), "没有符合的关键词")

		s.Holds("turned off", s.Post(200, "/console/keywords/1", "do", "disable"), "已停用。", "启用")
		s.Lacks("turned off", s.Get("/console/keywords?try="+url.QueryEscape("停车")), "会回答")
		s.Holds("turned on", s.Post(200, "/console/keywords", "do", "enable", "id", "1", "id", "2"), "已启用。")
		s.Holds("none chosen", s.Post(422, "/console/keywords", "do", "enable"), "请先选中")
		page = s.Post(200, "/console/keywords/1", filled("pattern", "车位", "priority", "5", "cooldown", "60")...)
		s.Holds("changed", page, "已保存", "车位")
		s.Holds("changed to another's word", s.Post(422, "/console/keywords/1", filled("pattern", "停车费", "group", "1")...), "已经有一条了：#2")
		s.Holds("deleted", s.Post(200, "/console/keywords/1", "do", "delete"), "已删除 1 条。")
		s.Ask(404, "GET", "/console/keywords/1", nil)

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
	s.Lacks("an analyst's list", s.Get("/console/keywords"), "添加关键词", `type="checkbox" name`)
	s.Lacks("an analyst's rule", s.Get("/console/keywords/1"), "<textarea", "删除 #1")
	s.Ask(403, "GET", "/console/keywords/new", nil)
	s.Ask(403, "POST", "/console/keywords/1", url.Values{"_key": {"AAAA"}, "do": {"delete"}})
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
	page := s.Get("/console/keywords")
	s.Holds("first page", page, "词53号", "词4号", "下一页", "共 53 条")
	s.Lacks("first page", page, "词3号")
	page = s.Get("/console/keywords?before=4")
	s.Holds("second page", page, "词3号", "词1号", "回到最新")
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
	s.Holds("one too many", s.Post(422, "/console/keywords/new", filled("kind", "regexp", "pattern", ".+停?")...), "没有固定文字的正则")
	s.Holds("one with a text", s.Post(200, "/console/keywords/new", filled("kind", "regexp", "pattern", ".+停")...), "已添加")
	path := fmt.Sprintf("/console/keywords/%d", maxLoose+1)
	s.Post(422, path, "do", "enable")
	s.Holds("not turned on", s.Get(path), "已停用")
}
