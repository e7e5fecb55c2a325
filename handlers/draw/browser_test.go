package draw_test

import (
	"encoding/json"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"qunbot/drawproof"
	"qunbot/store"
	"qunbot/store/storetest"
	"qunbot/web/browsertest"
)

// neat checks what holds for every page.
func neat(p *browsertest.Tab, what string) {
	p.Fits(what)
	p.Tappable(what, "main button, main .button, main input:not([type=hidden]), main summary")
	p.Clean(what)
}

func verdict(p *browsertest.Tab) string {
	return browsertest.Eval[string](p, `document.getElementById('verdict').dataset.verdict + ' ' + document.getElementById('verdict').innerText.replace(/\s+/g, ' ')`)
}

const waitVerdict = `(document.getElementById('verdict')?.dataset.verdict ?? 'wait') !== 'wait'`

// TestBrowserWalk creates, joins, draws and checks a draw at a phone's size.
func TestBrowserWalk(t *testing.T) {
	browser := browsertest.Start(t)
	w := newWorld(t, storetest.Open(t))
	w.say("u0", "抽奖")
	w.name("u0", "王芳")
	p := browser.Tab(t, 390, 844, "light")

	// The operator makes it, after a look.
	p.Open(w.loginURL("店长", store.Owner))
	p.Click("form button.main")
	p.Wait(`location.pathname === '/console/'`)
	p.Open(w.site.URL + "/console/draws")
	neat(p, "console list, empty")
	p.Open(w.site.URL + "/console/draws/new")
	p.Set("[name=name]", "周末电影票")
	p.Set("[name=prizes]", "电影票 x1 ¥45\n咖啡券 x2 ¥18")
	p.Set("[name=deadline]", "2025-03-01T20:00")
	p.Set("[name=source]", "当日上证指数收盘")
	p.Click("[name=preview]")
	p.Wait(`document.querySelector('.said')?.textContent.includes('电影票 × 1（每份 ¥45.00）')`)
	neat(p, "console form with preview")
	browsertest.Eval[bool](p, `!!(window.confirm = () => true)`)
	p.Click("form.form button.main")
	p.Wait(`/^\/console\/draws\/\d+$/.test(location.pathname)`)
	neat(p, "console draw, open")
	d := w.newest()

	// A member joins on the member page, others in the chat.
	p.Open(w.site.URL + "/m/draws")
	p.Wait(`document.querySelector('.draw button')`)
	neat(p, "member page, open draw")
	p.Click(".draw button")
	p.Wait(`document.querySelector('.joy')?.textContent.includes('报名成功')`)
	neat(p, "member page, joined")
	for i := 1; i < 8; i++ {
		w.say(fmt.Sprintf("u%d", i), "抽奖 周末电影票")
		w.name(fmt.Sprintf("u%d", i), people[i])
	}
	p.Open(w.site.URL + "/draws/" + d.PublicID)
	neat(p, "public page, open")

	// The clock closes it; the operator types the value in and draws.
	w.advance(9 * time.Hour)
	w.runJob()
	p.Open(w.site.URL + "/draws/" + d.PublicID + "?closed") // browsers keep the page for some seconds
	p.Wait(waitVerdict)
	if got := verdict(p); !strings.HasPrefix(got, "part ") {
		t.Errorf("closed draw: %s", got)
	}
	neat(p, "public page, closed")
	p.Open(fmt.Sprintf("%s/console/draws/%d", w.site.URL, d.ID))
	browsertest.Eval[bool](p, `!!(window.confirm = () => true)`)
	p.Set("[name=value]", "3321.89")
	p.Click("button[value=value]")
	p.Wait(`document.querySelector('button[value=draw]')`)
	neat(p, "console draw, with value")
	p.Click("button[value=draw]")
	p.Wait(`document.querySelectorAll('.rows')[0]?.textContent.includes('待领取')`)
	neat(p, "console draw, drawn")

	// Anybody checks it, and breaks it.
	p.Open(w.site.URL + "/draws/" + d.PublicID + "?drawn")
	p.Wait(waitVerdict)
	if got := verdict(p); !strings.HasPrefix(got, "good ✓ 已验证") {
		t.Errorf("drawn draw: %s", got)
	}
	neat(p, "public page, drawn")
	p.Set("[data-tool=edit] [name=n]", "3")
	p.Click("[data-tool=edit] button")
	p.Wait(`document.getElementById('verdict').dataset.verdict === 'bad'`)
	if got := verdict(p); !strings.Contains(got, "第 3 位报名者") && !strings.Contains(got, "同一个代号") {
		t.Errorf("after changing an entrant: %s", got)
	}
	neat(p, "public page, red")
	p.Click("[data-restore]")
	p.Wait(`document.getElementById('verdict').dataset.verdict === 'good'`)
	r := w.record(d)
	p.Set("[data-tool=look] [name=n]", "1")
	p.Set("[data-tool=look] [name=code]", r.Entries[0].Code)
	p.Click("[data-tool=look] button")
	p.Wait(`document.querySelector('[data-tool=look] output').dataset.found === 'yes'`)

	// A winner shows the code, and the clerk writes it off.
	winner := w.wins(w.newest().ID)[0]
	p.Open(w.site.URL + "/console/claims?code=" + winner.Code)
	neat(p, "console claim")
	p.Click(".ticket button")
	p.Wait(`document.querySelector('.say')?.textContent.includes('已核销')`)
}

// TestBrowserVerifies holds the page's script against the test vectors and
// against every damage.
func TestBrowserVerifies(t *testing.T) {
	browser := browsertest.Start(t)
	w := newWorld(t, storetest.Open(t))
	d := w.fill("/抽奖 新建 大奖 奖品 一 x1 奖品 二 x1 奖品 三 x1", 200)
	w.say("店长", "/抽奖 截止 1")
	w.say("店长", "/抽奖 开奖 1")
	p := browser.Tab(t, 390, 844, "light")
	p.Open(w.site.URL + "/draws/" + d.PublicID)
	p.Wait(waitVerdict)
	if got := verdict(p); !strings.HasPrefix(got, "good ") {
		t.Fatalf("200 entrants: %s", got)
	}
	verify := func(r drawproof.Record) string {
		text, err := json.Marshal(r)
		if err != nil {
			t.Fatal(err)
		}
		return browsertest.Eval[string](p, `window.drawproof.verify(`+string(text)+`).then((over) => over ? '' : 'unfinished', (e) => e.message)`)
	}
	whole := w.record(d)
	if len(whole.Entries) != 200 || len(whole.Winners) != 3 {
		t.Fatalf("record has %d entries and %d winners", len(whole.Entries), len(whole.Winners))
	}
	for _, name := range []string{"small", "large"} {
		file, err := os.Open("../../drawproof/testdata/" + name + ".json")
		if err != nil {
			t.Fatal(err)
		}
		r, err := drawproof.Decode(file)
		file.Close()
		if err != nil {
			t.Fatal(err)
		}
		if got := verify(r); got != "" {
			t.Errorf("vector %s: %s", name, got)
		}
	}
	for name, do := range damages {
		r := damaged(t, whole, do)
		got := verify(r)
		if got == "" {
			t.Errorf("%s: the browser says it is right", name)
		}
		if err := r.Verify(); err == nil {
			t.Errorf("%s: the command says it is right", name)
		} else if err.Error() != got {
			t.Errorf("%s: the browser says %q, the command %q", name, got, err)
		}
	}
	// 100,000 entrants are checked while the page stays alive.
	big := bigRecord(100_000)
	text, err := json.Marshal(big)
	if err != nil {
		t.Fatal(err)
	}
	ms := browsertest.Eval[float64](p, `(async () => { const r = `+string(text)+`; const t = performance.now(); await window.drawproof.verify(r, (n) => n === 1.5 ? new Promise((d) => setTimeout(d)) : null); return performance.now() - t; })()`)
	t.Logf("100,000 entrants in %.0f ms in this browser", ms)
}

// TestShots takes pictures of all pages to look at; see the flag.
func TestShots(t *testing.T) {
	browsertest.NeedShots(t)
	browser := browsertest.Start(t)
	w := newWorld(t, storetest.Open(t))
	w.say("u0", "签到")
	w.name("u0", "王芳")
	sizes := []struct{ width, height int64 }{{360, 740}, {390, 844}, {768, 1024}, {1440, 900}}
	each := func(name, path string, ready string) {
		for _, scheme := range []string{"light", "dark"} {
			for _, size := range sizes {
				p := browser.Tab(t, size.width, size.height, scheme)
				p.Open(w.site.URL + path)
				if ready != "" {
					p.Wait(ready)
				}
				neat(p, fmt.Sprintf("%s %d", name, size.width))
				p.Shoot(fmt.Sprintf("%s-%d-%s", name, size.width, scheme))
				p.Close()
			}
		}
	}
	p := browser.Tab(t, 1440, 900, "light")
	p.Open(w.loginURL("店长", store.Owner))
	p.Click("form button.main")
	p.Wait(`location.pathname === '/console/'`)
	each("console-empty", "/console/draws", "")
	each("member-empty", "/m/draws", "")
	each("console-new", "/console/draws/new?preview=1&name=周末电影票&prizes=电影票+x3+¥45%0A咖啡券+x5&points=100&source=当日上证指数收盘&deadline=2025-03-01T20:00&group=1", "")
	d := w.fill("/抽奖 新建 周末电影票 奖品 电影票 x3 ¥45 奖品 咖啡券 x5 ¥18 条件 入群 1天 公证 当日上证指数收盘 截止 20:00", 0)
	_ = d
	w.advance(24 * time.Hour)
	p.Open(w.loginURL("店长", store.Owner))
	p.Click("form button.main")
	p.Wait(`location.pathname === '/console/'`)
	drawn := w.fill("/抽奖 新建 春日好茶 奖品 明前茶礼盒 x1 ¥128 奖品 茶包 x4 ¥12 公证 当日福彩3D 截止 2025-03-02 20:00", 120)
	open := w.fill("/抽奖 新建 三八节鲜花 奖品 鲜花一束 x10 ¥39 条件 积分>=5 消耗 5 截止 2025-03-08 12:00", 0)
	each("member-open", "/m/draws", "")
	each("public-open", "/draws/"+open.PublicID, "")
	w.say("店长", "/抽奖 截止 2")
	each("console-closed", fmt.Sprintf("/console/draws/%d", drawn.ID), "")
	each("public-closed", "/draws/"+drawn.PublicID, waitVerdict)
	w.say("店长", "/抽奖 公证 2 517")
	w.say("店长", "/抽奖 开奖 2")
	each("public-drawn", "/draws/"+drawn.PublicID+"?drawn", waitVerdict)
	each("console-drawn", fmt.Sprintf("/console/draws/%d", drawn.ID), "")
	w.say("店长", "/抽奖 取消 1 电影票没有到货")
	each("public-cancelled", "/draws/"+d.PublicID+"?cancelled", waitVerdict)
	w.fill("/抽奖 新建 幸运一刻 奖品 拿铁一杯 x1 ¥22", 1)
	w.say("店长", "/抽奖 截止 4")
	w.say("店长", "/抽奖 开奖 4")
	each("member-won", "/m/draws", "")
	each("console-list", "/console/draws", "")
	each("console-claim", "/console/claims?code="+w.wins(drawn.ID)[0].Code, "")
	each("console-claim-wrong", "/console/claims?code=ABC", "")
	each("console-limits", "/console/draws/limits", "")
}
