package draw_test

import (
	"encoding/json"
	"flag"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"strings"
	"testing"
	"time"

	"qunbot/drawproof"
	"qunbot/store"
	"qunbot/store/storetest"
	"qunbot/web/portal"
)

// visit is a member's tap on the button of a draw.
func visit(member, draw int64, now time.Time) portal.Visit {
	return portal.Visit{Member: store.Member{ID: member}, Now: now, Form: url.Values{"draw": {fmt.Sprint(draw)}}}
}

// TestWriteOff hands a prize out once, and only by a clerk.
func TestWriteOff(t *testing.T) {
	w := newWorld(t, storetest.Open(t))
	d := w.fill("/抽奖 新建 大奖 奖品 炸锅 x1", 3)
	w.say("店长", "/抽奖 截止 1")
	w.say("店长", "/抽奖 开奖 1")
	win := w.wins(d.ID)[0]
	public := w.browser()
	public.Lacks("public page", public.Get("/draws/"+d.PublicID), win.Code)
	clerk := w.operator("店员", store.Clerk)
	code := win.Code[:5] + " " + strings.ToLower(win.Code[5:])
	clerk.Holds("claim page", clerk.Get("/console/claims?code="+url.QueryEscape(code)), "炸锅", "可以领取")
	path := "/console/claims?code=" + win.Code
	clerk.Holds("after the write-off", clerk.Post(200, path, "code", win.Code), "已核销：炸锅")
	clerk.Holds("the same code again", clerk.Get(path), "已经领走")
	w.update(func(tx *store.Tx) error {
		audits, err := tx.Audits(tx.Context(), 0, 1)
		if err == nil && (len(audits) == 0 || audits[0].Action != "抽奖 核销") {
			t.Errorf("audit = %+v, want the write-off", audits)
		}
		done, err2 := tx.ClaimDrawWin(tx.Context(), win.ID, 1, w.now())
		if done {
			t.Error("the prize was handed out twice")
		}
		if err == nil {
			err = err2
		}
		return err
	})
	clerk.Ask(403, "GET", "/console/draws/new", nil)
}

// TestConsoleRefusals sends forms that cannot be.
func TestConsoleRefusals(t *testing.T) {
	w := newWorld(t, storetest.Open(t))
	boss := w.operator("店长", store.Owner)
	for what, fields := range map[string][]string{
		"写上数量":    {"group", "1", "name", "大奖", "prizes", "炸锅"},
		"请选一个群":   {"name", "大奖", "prizes", "炸锅 x1"},
		"时间已经过了":  {"group", "1", "name", "大奖", "prizes", "炸锅 x1", "deadline", "2025-02-01T10:00"},
		"超过了上限":   {"group", "1", "name", "大奖", "prizes", "金条 x1 ¥50001"},
		"不小于 0":   {"group", "1", "name", "大奖", "prizes", "炸锅 x1", "cost", "-3"},
		"抽奖要有名称":  {"group", "1", "prizes", "炸锅 x1"},
		"至少要有一种奖": {"group", "1", "name", "大奖"},
	} {
		boss.Holds(fmt.Sprint(fields), boss.Post(422, "/console/draws/new", fields...), what)
	}
	boss.Post(200, "/console/draws/new", "group", "1", "name", "大奖", "prizes", "炸锅 x1")
	if len(w.posts) != 1 || !strings.Contains(w.posts[0], "【抽奖 #1】大奖") {
		t.Errorf("announced %q, want the new draw in its group", w.posts)
	}
	path := fmt.Sprintf("/console/draws/%d", w.newest().ID)
	for do, what := range map[string]string{"draw": "还在报名", "value": "没有约定公证数", "cancel": "要写原因", "dance": "不知道要做什么"} {
		boss.Holds("do="+do, boss.Post(422, path, "do", do), what)
	}
	boss.Holds("a limit above ¥50,000", boss.Post(422, "/console/draws/limits", "max_value", "60000", "claim_days", "7"), "不得超过五万元")
	boss.Post(200, "/console/draws/limits", "max_value", "100", "claim_days", "3")
	if text := w.say("店长", "/抽奖 新建 小奖 奖品 券 x1 ¥101"); !strings.Contains(text, "超过了上限 ¥100.00") {
		t.Errorf("above the lowered limit: %s", text)
	}
}

// TestSecretsStaySecret looks for the seed and the entrants' key wherever
// anybody can look, before the draw is over.
func TestSecretsStaySecret(t *testing.T) {
	w := newWorld(t, storetest.Open(t))
	d := w.fill("/抽奖 新建 大奖 奖品 炸锅 x1 公证 福彩3D", 3)
	boss := w.operator("店长", store.Owner)
	look := func(when string, revealed bool) {
		t.Helper()
		for _, page := range []string{"/draws/" + d.PublicID, "/draws/" + d.PublicID + "/record.json", "/m/draws", fmt.Sprintf("/console/draws/%d", d.ID), "/console/draws", "/console/audit"} {
			text := boss.Get(page)
			if strings.Contains(text, d.EntrantKey) || !revealed && strings.Contains(text, d.Seed) {
				t.Errorf("%s shows a secret %s", page, when)
			}
		}
		if r := w.record(d); (r.Seed == d.Seed) != revealed {
			t.Errorf("seed in the record %s: %q", when, r.Seed)
		}
	}
	look("while it is open", false)
	w.say("店长", "/抽奖 截止 1")
	look("after closing", false)
	if err := w.record(d).Verify(); err != drawproof.ErrUnfinished {
		t.Errorf("closed draw: Verify() = %v, want ErrUnfinished", err)
	}
	w.say("店长", "/抽奖 取消 1 没货了")
	look("after it was cancelled", true)
	if err := w.record(d).Verify(); err != nil {
		t.Errorf("cancelled draw: Verify() = %v", err)
	}
	boss.Holds("the cancelled draw", boss.Get("/draws/"+d.PublicID), "没货了", d.Seed)
	boss.Ask(404, "GET", "/draws/AAAAAAAAAA", nil)
}

// TestMaskedNames looks at what the public page says of people.
func TestMaskedNames(t *testing.T) {
	w := newWorld(t, storetest.Open(t))
	d := w.fill("/抽奖 新建 大奖 奖品 炸锅 x1", 12)
	w.say("店长", "/抽奖 截止 1")
	w.say("店长", "/抽奖 开奖 1")
	b := w.browser()
	page := b.Get("/draws/" + d.PublicID)
	b.Lacks("public page", page, people[:12]...)
	b.Holds("public page", page, "王＊＊", "M＊＊")
	// An erased member leaves no trace, and the record still verifies.
	w.update(func(tx *store.Tx) error {
		m, err := tx.MemberByIdentity(tx.Context(), store.UserID, "u0")
		if err != nil {
			return err
		}
		return tx.EraseDraws(tx.Context(), m.ID)
	})
	page = b.Get("/draws/" + d.PublicID)
	b.Lacks("after erasing a member", page, "王＊＊")
	b.Holds("after erasing a member", page, "已注销")
	if err := w.record(d).Verify(); err != nil {
		t.Errorf("after erasing a member: %v", err)
	}
}

// TestAPI reads the list and a record as a program would.
func TestAPI(t *testing.T) {
	w := newWorld(t, storetest.Open(t))
	d := w.fill("/抽奖 新建 大奖 奖品 炸锅 x1 截止 20:00", 3)
	w.fill("/抽奖 新建 小奖 奖品 券 x1", 0)
	w.say("店长", "/抽奖 截止 1")
	w.say("店长", "/抽奖 开奖 1")
	get := func(path string, into any) *http.Response {
		t.Helper()
		q, _ := http.NewRequest("GET", w.site.URL+"/api/v1"+path, nil)
		q.Header.Set("Authorization", "Bearer 0123456789abcdef0123456789abcdef")
		answer, err := http.DefaultClient.Do(q)
		if err != nil {
			t.Fatal(err)
		}
		defer answer.Body.Close()
		if into != nil {
			if err := json.NewDecoder(answer.Body).Decode(into); err != nil {
				t.Fatal(err)
			}
		}
		return answer
	}
	var list []struct {
		ID, Name, State string
		Entries         int
		Deadline        *time.Time
	}
	answer := get("/draws?limit=1", &list)
	if len(list) != 1 || list[0].ID != d.PublicID || list[0].State != "drawn" || list[0].Entries != 3 || list[0].Deadline == nil || answer.Header.Get("Link") == "" {
		t.Errorf("GET /draws?limit=1 = %+v, Link %q", list, answer.Header.Get("Link"))
	}
	var r drawproof.Record
	get("/draws/"+d.PublicID, &r)
	if err := r.Verify(); err != nil {
		t.Errorf("GET /draws/{id} does not verify: %v", err)
	}
	if answer := get("/draws/AAAAAAAAAA", nil); answer.StatusCode != 404 {
		t.Errorf("unknown draw: %d, want 404", answer.StatusCode)
	}
}

// TestGoldenPage holds the public page of a finished draw against a file;
// -update writes it anew.
func TestGoldenPage(t *testing.T) {
	w := newWorld(t, storetest.Open(t))
	d := w.fill("/抽奖 新建 春日好茶 奖品 明前茶 x1 ¥128 奖品 茶包 x2 条件 入群 1天 公证 福彩3D 截止 2025-03-02 20:00", 0)
	for i := range 5 {
		w.say(fmt.Sprintf("u%d", i), "你好")
		w.name(fmt.Sprintf("u%d", i), people[i])
	}
	w.advance(24 * time.Hour)
	for i := range 5 {
		w.say(fmt.Sprintf("u%d", i), "抽奖 春日好茶")
	}
	w.advance(9 * time.Hour)
	w.runJob()
	w.say("店长", "/抽奖 公证 1 517")
	w.say("店长", "/抽奖 开奖 1")
	page := w.browser().Get("/draws/" + d.PublicID)
	_, page, _ = strings.Cut(page, "<main>")
	page, _, _ = strings.Cut(page, "</main>")
	const path = "testdata/public.html"
	if flag.Lookup("update").Value.String() == "true" {
		if err := os.WriteFile(path, []byte(page), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if page != string(want) {
		t.Errorf("the page is\n%s\nwant\n%s", page, want)
	}
}
