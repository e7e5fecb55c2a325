package moderation

import (
	"fmt"
	"net/url"
	"strings"
	"testing"
	"time"

	"qunbot/ledger"
	"qunbot/store"
	"qunbot/store/storetest"
	"qunbot/web/console"
	"qunbot/web/console/consoletest"
)

// A site is the console with the moderation's pages and a browser that is
// signed in.
type site struct {
	*asked
	*consoletest.Browser
}

func open(t *testing.T, db *store.Store, role store.Role) *site {
	t.Helper()
	a := chat(t, db)
	pages := New(a.deps, Config{Filter: a.filter}).Console
	s := &site{a, consoletest.Open(t, console.Config{Store: db, Pages: pages, Now: func() time.Time { return a.now }, Log: a.deps.Log})}
	s.signIn(role)
	return s
}

func (s *site) signIn(role store.Role) {
	s.t.Helper()
	s.SignIn(s.deps.Store, store.Operator{UserID: "zhangsan", Name: "张三", Role: role, CreatedAt: s.now})
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
		s.Holds("empty", s.Get("/console/moderation"), "还没有敏感词", "添加第一批")

		s.Holds("made", s.Post(200, "/console/moderation/new", filled()...), "已添加 2 个词", "加微信", "引流", "刷单", "共 2 个")
		page := s.Post(422, "/console/moderation/new", filled("words", "代购\n加\n！！\n"+strings.Repeat("长", 65))...)
		s.Holds("what can be no word", page, "第 2 行：“加”只有一个字", "第 3 行", "第 4 行", "有 65 个字", "代购")
		page = s.Post(422, "/console/moderation/new", filled("words", "代购 提醒 买卖\n积分\n刷　单\n代购")...)
		s.Holds("a blank", page, "第 3 行：“刷 单”中间有空格")
		page = s.Post(422, "/console/moderation/new", filled("words", "代购 提醒 买卖\n积分\n刷单\n代购")...)
		s.Holds("doubts", page, "“积分”是日常用语", "“刷单”已经有了（#2）", "第 4 行和第 1 行是同一个词", "仍然添加", "代购 提醒 买卖")
		page = s.Post(200, "/console/moderation/new", filled("words", "代购 提醒 买卖\n积分\n刷单\n代购", "sure", "1")...)
		s.Holds("sure", page, "已添加 2 个词", "跳过了 1 个已经有的", "积分")
		s.Holds("nothing new", s.Post(422, "/console/moderation/new", filled("sure", "1")...), "没有新词可加")
		s.Holds("for a group", s.Post(200, "/console/moderation/new", filled("words", "刷单 拦截\n剧透", "group", "1", "match", "exact")...), "未命名群 wrk1", "只认原样")
		s.Holds("allowed", s.Post(200, "/console/moderation/new", filled("words", "刷单小游戏", "kind", "allow")...), "放行")
		s.Post(422, "/console/moderation/new", filled("group", "99")...)
		s.Post(422, "/console/moderation/new", filled("kind", "")...)

		page = s.Get("/console/moderation?try=" + url.QueryEscape("来玩刷单小游戏，<b>＋vx") + "&in=0")
		s.Holds("tried", page, "拦下、计一次违规，并请群主撤回", "碰到规则 <a", "敏感词：拦截", "<mark>＋vx</mark>", "写成“＋vx” · 别称", `href="/console/moderation/words/1"`)
		s.Lacks("tried", page, "<mark>刷单")
		page = s.Get("/console/moderation?try=" + url.QueryEscape("刷单") + "&in=1")
		s.Holds("tried in the group", page, "拦下、计一次违规", "未命名群 wrk1", `href="/console/moderation/words/5"`)
		s.Holds("tried in vain", s.Get("/console/moderation?try=hello"), "照常处理")
		page = s.Get("/console/moderation?group=0&kind=warn&q=" + url.QueryEscape("刷"))
		s.Holds("filtered", page, "共 1 个", `aria-label="选中 #2 刷单"`)
		s.Holds("filtered by category", s.Get("/console/moderation?category="+url.QueryEscape("买卖")), "共 1 个", "代购")
		s.Holds("filtered out", s.Get("/console/moderation?q=zzz"), "没有符合的敏感词")

		s.Holds("level of many", s.Post(200, "/console/moderation", "do", "提醒", "id", "1", "id", "2", "id", "7"), "已把 2 个词改成提醒")
		s.Post(422, "/console/moderation", "do", "提醒")
		if got := s.handle(s.message("1", "小王", "wrk1", "刷dan")); got.Outcome == store.Stopped {
			t.Errorf("an exact word of the group stopped %+v", got)
		}
		edit := func(status int, id int, pairs ...string) string {
			return s.Post(status, fmt.Sprintf("/console/moderation/words/%d", id), append([]string{"do", "save"}, pairs...)...)
		}
		page = edit(200, 1, "text", "加薇信", "kind", "block", "category", "广告", "group", "0", "match", "embedded")
		s.Holds("changed", page, "已保存", "加薇信", "广告", "夹在别的词里也算")
		s.Holds("to a known word", edit(422, 1, "text", "刷单", "kind", "warn", "group", "0"), "已经有了：#2")
		s.Holds("too broad", edit(422, 1, "text", "积分", "kind", "warn", "group", "1"), "日常用语", "仍然保存")
		edit(200, 1, "text", "会员", "kind", "warn", "group", "0", "sure", "1")
		s.Holds("deleted", s.Post(200, "/console/moderation/words/1", "do", "delete"), "已删除“会员”")
		s.Ask(404, "GET", "/console/moderation/words/1", nil)
		s.Holds("deleted many", s.Post(200, "/console/moderation", "do", "delete", "id", "2", "id", "3"), "已删除 2 个词")

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
		s.Holds("none", s.Get("/console/moderation/strikes"), "最近 30 天没有违规")
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
		s.Holds("list", s.Get("/console/moderation/strikes"), "王<芳>", "<2> 来刷*单", "停用中", "扣 10 分", "警告 · <广告> · 夹杂", "共 3 次")
		s.Holds("running", s.Get("/console/moderation/strikes?running=1"), "共 1 次")
		s.Holds("of nobody", s.Get("/console/moderation/strikes?member=9"), "没有符合的违规", "会员 9")
		s.Holds("on the list of words", s.Get("/console/moderation"), "违规记录（3）")
		s.Holds("one", s.Get("/console/moderation/strikes/3"), "王<芳>的第 3 次违规", "<mark>刷*单</mark>", "解除停用", "撤销违规 #3", "3 次算数", "test:2", "这位会员的其他违规")

		s.Holds("lifted", s.Post(200, "/console/moderation/strikes/3", "do", "lift"), "已解除停用", "张三")
		s.Holds("lifted again", s.Post(422, "/console/moderation/strikes/3", "do", "lift"), "没有停用要解除")
		s.Holds("undone", s.Post(200, "/console/moderation/strikes/2", "do", "undo"), "已撤销，不再算违规。退回 10 分。", "2 次算数")
		s.Lacks("undone", s.Get("/console/moderation/strikes/2"), "撤销违规 #2")
		form := url.Values{"_key": {consoletest.FormKey(t, s.Get("/console/moderation/strikes/1"))}, "do": {"undo"}}
		s.Holds("undone again", s.Ask(422, "POST", "/console/moderation/strikes/2", form), "已经撤销过了")
		s.Holds("counting", s.Get("/console/moderation/strikes?counting=1"), "共 2 次")
		s.Ask(404, "GET", "/console/moderation/strikes/99", nil)

		s.handle(s.message("again", "小王", "wrk1", "刷单"))
		s.Holds("one that suspends, undone", s.Post(200, "/console/moderation/strikes/4", "do", "undo"), "停用也解除了")
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
		s.Holds("pruned", s.Get("/console/moderation/strikes/3"), "原话已按保留期删除", "“刷单”")
		s.Holds("pruned", s.Get("/console/moderation/strikes"), "（已按保留期删除）")
		s.now = s.now.Add(40 * day)
		s.signIn(store.Manager) // the session is over
		s.Holds("long ago", s.Get("/console/moderation/strikes?all=1"), "共 4 次", "已解除停用", "已撤销")

		s.Holds("another window", s.Post(200, "/console/moderation/rules", "window", "60"), "已保存", "60 天以前的不再算")
		s.Holds("no number", s.Post(422, "/console/moderation/rules", "window", "一个月"), "要写 1 到 180 之间的整数")
		s.handle(s.message("another window", "小王", "wrk1", "刷单"))
		if list := s.strikes(store.StrikeFilter{}); list[0].Number != 3 {
			t.Errorf("strike in the longer window = %+v, want the third", list[0])
		}
	})
}

// rule returns the fields of a rule's form, as they are first shown, with some
// changed.
func rule(pairs ...string) []string {
	fields := map[string]string{"do": "save", "name": "一条规则", "state": "on", "newcomer": "0", "from": "", "to": "", "counts": "1",
		"from1": "1", "do1": "remind", "points1": "0", "suspend1": "0", "staff1": "1", "from2": "3", "do2": "warn", "points2": "0", "suspend2": "0"}
	for i := 0; i < len(pairs); i += 2 {
		fields[pairs[i]] = pairs[i+1]
	}
	var list []string
	for name, value := range fields {
		list = append(list, name, value)
	}
	return list
}

func TestConsoleRules(t *testing.T) {
	s := open(t, storetest.Open(t), store.Manager)
	s.handle(s.message("hello", "小王", "wrk1", "帮助")) // there is a group now
	s.Holds("the first rules", s.Get("/console/moderation/rules"), "敏感词：提醒", "敏感词：警告", "敏感词：拦截", "第 2 次起 警告、扣 10 分、告诉运营", "第 3 次起 警告、停用 7 天、请群主撤回")
	s.Holds("kinds to choose from", s.Get("/console/moderation/rules/new"), `href="/console/moderation/rules/new?kind=flood"`, "看不出图里是不是二维码")
	const flood = "/console/moderation/rules/new?kind=flood"
	s.Holds("the form", s.Get(flood), "几条", "多少秒内", "未命名群 wrk1", "群还没有标签")
	page := s.Post(422, flood, rule("count", "1", "seconds", "60", "groups", "1")...)
	s.Holds("what cannot be", page, "几条要在 2 到 200 之间", `value="1" checked> 未命名群 wrk1`)
	s.Holds("no such group", s.Post(422, flood, rule("count", "3", "seconds", "60", "groups", "9")...), "没有这个群")
	s.Holds("no name", s.Post(422, flood, rule("count", "3", "seconds", "60", "name", "")...), "请给规则起个名字")
	s.Holds("no number", s.Post(422, flood, rule("count", "三", "seconds", "60")...), "要写一个整数")
	s.Holds("a fine with a reminder", s.Post(422, flood, rule("count", "3", "seconds", "60", "points1", "5")...), "要和“警告”一起")
	page = s.Post(200, flood, rule("count", "3", "seconds", "60", "groups", "1", "name", "刷<屏>", "state", "dry", "newcomer", "1440", "from", "09:00", "to", "23:00")...)
	s.Holds("added", page, "已添加“刷<屏>”", "试运行", "1 分钟内说 3 条", "未命名群 wrk1，新人头 24 小时，09:00–23:00", "第 3 次起 警告")
	for i := range 4 {
		s.handle(s.message(fmt.Sprint("f", i), "小王", "wrk1", "有人吗"))
	}
	if n := len(s.strikes(store.StrikeFilter{})); n != 0 {
		t.Errorf("%d strikes by a rule on trial, want none", n)
	}
	s.Holds("on trial", s.Get("/console/moderation/rules/4"), "3 次") // with the first greeting
	page = s.Post(200, "/console/moderation/rules/4", rule("count", "5", "seconds", "60", "name", "刷屏", "counts", "1")...)
	s.Holds("changed", page, "已保存", "所有群和私聊", "1 分钟内说 5 条")
	if got := s.handle(s.message("f9", "小王", "wrk1", "有人吗")); !strings.Contains(got.Text, "发得太快了，请留意。这是 30 天内第 1 次，这次只是提醒。") {
		t.Errorf("the sixth message is answered %q", got.Text)
	}
	s.Holds("deleted", s.Post(200, "/console/moderation/rules/4", "do", "delete"), "已删除“刷屏”")
	s.Ask(404, "GET", "/console/moderation/rules/4", nil)
	s.Holds("words", s.Post(200, "/console/moderation/rules/new?kind=words", rule("level", "block", "category", "")...), "敏感词，级别是拦截")
	s.Post(422, "/console/moderation/rules/new?kind=words", rule("level", "fatal")...)
	s.update(func(tx *store.Tx) error { // a rule of a newer program
		r, err := tx.ModerationRule(tx.Context(), 1)
		r.Spec = "no JSON"
		if err == nil {
			err = tx.SetModerationRule(tx.Context(), r)
		}
		return err
	})
	s.Holds("a rule that cannot be read", s.Get("/console/moderation/rules"), "读不懂，没有生效")
	s.handle(s.message("after", "小李", "wrk1", "你好"))
	audits := 0
	s.update(func(tx *store.Tx) error {
		list, err := tx.Audits(tx.Context(), 0, 100)
		audits = len(list)
		return err
	})
	if audits != 4 {
		t.Errorf("%d audits, want 4", audits)
	}
}

func TestConsoleRoles(t *testing.T) {
	s := open(t, storetest.Open(t), store.Analyst)
	s.add(0, "刷单")
	s.handle(s.message("1", "小王", "wrk1", "刷单"))
	s.Lacks("an analyst's list", s.Get("/console/moderation"), "添加敏感词", `type="checkbox" name`)
	s.Lacks("an analyst's word", s.Get("/console/moderation/words/1"), `name="text"`, "删除 #1")
	s.Lacks("an analyst's strike", s.Get("/console/moderation/strikes/1"), "撤销违规")
	s.Lacks("an analyst's rules", s.Get("/console/moderation/rules"), `name="window"`)
	s.Ask(403, "GET", "/console/moderation/new", nil)
	for _, path := range []string{"/console/moderation", "/console/moderation/words/1", "/console/moderation/strikes/1", "/console/moderation/rules", "/console/moderation/rules/1", "/console/moderation/rules/new"} {
		s.Ask(403, "POST", path, url.Values{"_key": {"AAAA"}, "do": {"delete"}, "id": {"1"}})
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
	page := s.Get("/console/moderation")
	s.Holds("first page", page, "词语53号", "词语4号", "下一页", "共 53 个")
	s.Lacks("first page", page, "词语3号")
	s.Holds("second page", s.Get("/console/moderation?before=4"), "词语3号", "词语1号", "回到最新")
}
