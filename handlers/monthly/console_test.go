package monthly

import (
	"net/url"
	"testing"

	"qunbot/store"
	"qunbot/store/storetest"
	"qunbot/web/console"
	"qunbot/web/console/consoletest"
)

func TestConsole(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.Store) {
		w := open(t, db)
		b := consoletest.Open(t, console.Config{Store: db, Pages: New(w.Deps, w.Config).Console, Now: w.Now, Log: w.Log})
		b.SignIn(db, store.Operator{UserID: "boss", Name: "店长", Role: store.Staff, CreatedAt: w.now})
		get := func(query url.Values) string {
			t.Helper()
			return b.Get("/console/monthly?" + query.Encode())
		}
		save := func(status int, text, day, at, enabled string) string {
			t.Helper()
			return b.Post(status, "/console/monthly?mall=1", "mall", "1", "text", text, "day", day, "at", at, "enabled", enabled)
		}
		b.Holds("an example", get(nil), "现在不会自动发", "南湖店11月会员月来啦", "还没有发过")
		b.Holds("tried", get(url.Values{"mall": {"2"}, "text": {"试试 {{.Day}}"}, "day": {"31"}, "at": {"09:30"}, "enabled": {"on"}}), "还没有保存", "试试 10月31日", `value="09:30"`)
		b.Holds("tried in vain", get(url.Values{"text": {"{{.Prize}}"}}), "不认识“{{.Prize}}”")
		for problem, form := range map[string][3]string{
			"不认识“{{.Prize}}”。能用的有：{{.Mall}}": {"{{.Prize}}", "1", "09:00"},
			"还没有写文案":         {" ", "1", "09:00"},
			"写 1 到 31 之间的整数": {"好", "32", "09:00"},
			"写成 10:00 这样":    {"好", "1", "24:00"},
		} {
			b.Holds("problem", save(422, form[0], form[1], form[2], "on"), problem)
		}
		b.Holds("saved", save(200, "{{.Month}}好", "15", "09:00", "on"),
			"已保存。下一次：2026年11月15日 09:00。") // today's nine o'clock is over
		w.runAt("2026-10-15 12:05")
		if got := w.posts(); len(got) != 0 {
			t.Errorf("posts = %q, want none for what was due before it was saved", got)
		}
		b.Holds("saved again", save(200, "{{.Month}}好", "15", "13:00", "on"), "下一次：2026年10月15日 13:00。")
		w.now = at("2026-10-15 13:02")
		b.Holds("due", get(nil), "2026-10-15 13:00", "到了时间，还没有发出")
		w.runAt("2026-10-15 13:05")
		if got := w.posts(); len(got) != 1 || got[0] != "webhook/1 10月好" {
			t.Errorf("posts = %q, want one", got)
		}
		b.Holds("posted", get(nil), "已发", "1 个群", "下一次 ", "2026-11-15 13:00")
		b.Holds("another text", save(200, "{{.Month}}再来", "20", "13:00", "on"), "下一次：2026年11月20日 13:00。")
		b.Holds("turned off", save(200, "{{.Month}}再来", "20", "13:00", "off"), "现在不会自动发。")
		w.words("刷单")
		b.Holds("a word", save(200, "{{.Month}}刷单", "20", "13:00", "on"), "下一次：2026年11月20日 13:00。不过含有敏感词“刷单”（警告，原文），在“待审”里等第二个人通过")
		b.Holds("another word", save(200, "{{.Month}}刷单游戏", "20", "13:00", "on"), "等第二个人通过")
		w.update(func(tx *store.Tx) error {
			list, err := tx.Approvals(tx.Context(), store.ApprovalFilter{Limit: 9})
			if len(list) != 2 || list[1].State != store.Expired || list[0].State != store.Waiting || list[0].Text != "11月刷单游戏" || list[0].AuthorID == 0 {
				t.Errorf("approvals = %+v, want the changed text to wait in place of the one before", list)
			}
			return err
		})
	})
}
