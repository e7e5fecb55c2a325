package draw_test

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/log"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"

	"qunbot/drawproof"
	"qunbot/store"
	"qunbot/store/storetest"
)

var shots = flag.String("shots", "", "`folder` for screenshots of the pages; empty takes none")

// browser starts chromium. It skips the test if there is none.
func browser(t *testing.T) context.Context {
	t.Helper()
	path := ""
	for _, name := range []string{"chromium", "chromium-browser", "google-chrome"} {
		if found, err := exec.LookPath(name); err == nil {
			path = found
			break
		}
	}
	if path == "" {
		const missing = "no chromium in PATH: install it (Debian: apt install chromium; macOS: brew install chromium) to run the browser tests"
		if os.Getenv("TEST_REQUIRE_ALL") != "" {
			t.Fatal(missing)
		}
		t.Skip(missing)
	}
	options := append(chromedp.DefaultExecAllocatorOptions[:],
		chromedp.ExecPath(path), chromedp.NoSandbox, chromedp.UserDataDir(t.TempDir()),
		chromedp.Flag("disable-gpu", true), chromedp.Flag("disable-quic", true), chromedp.Flag("no-first-run", true),
		chromedp.Flag("disable-background-networking", true), chromedp.Flag("disable-component-update", true), chromedp.Flag("disable-sync", true),
	)
	ctx, stop := chromedp.NewExecAllocator(context.Background(), options...)
	t.Cleanup(stop)
	ctx, closeTab := chromedp.NewContext(ctx)
	t.Cleanup(closeTab)
	if err := chromedp.Do(ctx); err != nil {
		t.Fatal(err)
	}
	return ctx
}

// A tab is one page under test.
type tab struct {
	t     *testing.T
	ctx   context.Context
	width int64

	mu       sync.Mutex
	problems []string // what the browser's log showed
}

// newTab opens a tab of a size, light or dark.
func newTab(t *testing.T, parent context.Context, width, height int64, scheme string) *tab {
	t.Helper()
	ctx, closeTab := chromedp.NewContext(parent)
	t.Cleanup(closeTab)
	p := &tab{t: t, ctx: ctx, width: width}
	p.do(chromedp.EmulateViewport(width, height), chromedp.Func(func(ctx context.Context, target *chromedp.Target) error {
		_, err := cdp.Call(ctx, target, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{
			Features: []*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: scheme}},
		})
		return err
	}))
	err := chromedp.Listen(ctx, func(event any) {
		p.mu.Lock()
		defer p.mu.Unlock()
		switch event := event.(type) {
		case *runtime.EventExceptionThrown:
			p.problems = append(p.problems, "exception: "+event.ExceptionDetails.Text)
		case *log.EventEntryAdded:
			if event.Entry.Level == "error" || event.Entry.Level == "warning" {
				p.problems = append(p.problems, event.Entry.Text+" "+event.Entry.URL)
			}
		}
	})
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// do runs steps, each of which must succeed.
func (p *tab) do(steps ...chromedp.Action[chromedp.Void]) {
	p.t.Helper()
	for i, step := range steps {
		if err := chromedp.Do(p.ctx, step); err != nil {
			p.t.Fatalf("browser step %d: %v", i, err)
		}
	}
}

// wait waits until a JavaScript expression is true.
func (p *tab) wait(expression string) {
	p.t.Helper()
	ctx, cancel := context.WithTimeout(p.ctx, 30*time.Second)
	defer cancel()
	script := fmt.Sprintf(`new Promise((done) => { const look = () => (%s) ? done(true) : requestAnimationFrame(look); look(); })`, expression)
	for {
		_, err := chromedp.Run(ctx, chromedp.Evaluate[bool](script, chromedp.EvalAwaitPromise))
		if err == nil {
			return
		}
		if ctx.Err() == nil && strings.Contains(err.Error(), "navigated") { // the next page has what is waited for
			continue
		}
		p.mu.Lock()
		defer p.mu.Unlock()
		p.t.Fatalf("waiting for %s: %v; log: %v", expression, err, p.problems)
	}
}

// eval returns the value of a JavaScript expression, which may be a promise.
func eval[T any](p *tab, expression string) T {
	p.t.Helper()
	value, err := chromedp.Run(p.ctx, chromedp.Evaluate[T](expression, chromedp.EvalAwaitPromise))
	if err != nil {
		p.t.Fatalf("%.200s: %v", expression, err)
	}
	return value
}

// shoot takes a screenshot of the whole page if they are wanted.
func (p *tab) shoot(name string) {
	p.t.Helper()
	if *shots == "" {
		return
	}
	png, err := chromedp.Run(p.ctx, chromedp.FullScreenshot(100))
	if err != nil {
		p.t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(*shots, name+".png"), png, 0o644); err != nil {
		p.t.Fatal(err)
	}
}

// neat checks what holds for every page.
func (p *tab) neat(what string) {
	p.t.Helper()
	if wide := eval[int64](p, `document.documentElement.scrollWidth`); wide > p.width {
		p.t.Errorf("%s is %d px wide in a window of %d", what, wide, p.width)
	}
	if p.width < 640 {
		small := eval[[]string](p, `[...document.querySelectorAll('main button, main .button, main input:not([type=hidden]), main summary')].filter((e) => e.offsetParent && e.getBoundingClientRect().height < 43.5).map((e) => e.outerHTML.slice(0, 90))`)
		if len(small) > 0 {
			p.t.Errorf("%s has targets below 44 px: %s", what, strings.Join(small, "\n"))
		}
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.problems) > 0 {
		p.t.Errorf("%s: %v", what, p.problems)
	}
}

func (p *tab) open(address string) {
	p.t.Helper()
	p.do(chromedp.Navigate(address))
}

func verdict(p *tab) string {
	return eval[string](p, `document.getElementById('verdict').dataset.verdict + ' ' + document.getElementById('verdict').innerText.replace(/\s+/g, ' ')`)
}

const waitVerdict = `(document.getElementById('verdict')?.dataset.verdict ?? 'wait') !== 'wait'`

// TestBrowserWalk creates, joins, draws and checks a draw at a phone's size.
func TestBrowserWalk(t *testing.T) {
	ctx := browser(t)
	w := newWorld(t, storetest.Open(t))
	w.say("u0", "抽奖")
	w.name("u0", "王芳")
	p := newTab(t, ctx, 390, 844, "light")

	// The operator makes it, after a look.
	p.open(w.loginURL("店长", store.Owner))
	p.do(chromedp.Click(chromedp.CSS("form button.main")))
	p.wait(`location.pathname === '/console/'`)
	p.open(w.site.URL + "/console/draws")
	p.neat("console list, empty")
	p.open(w.site.URL + "/console/draws/new")
	p.do(chromedp.SetValue(chromedp.CSS("[name=name]"), "周末电影票"),
		chromedp.SetValue(chromedp.CSS("[name=prizes]"), "电影票 x1 ¥45\n咖啡券 x2 ¥18"),
		chromedp.SetValue(chromedp.CSS("[name=deadline]"), "2025-03-01T20:00"),
		chromedp.SetValue(chromedp.CSS("[name=source]"), "当日上证指数收盘"))
	p.do(chromedp.Click(chromedp.CSS("[name=preview]")))
	p.wait(`document.querySelector('.said')?.textContent.includes('电影票 × 1（每份 ¥45.00）')`)
	p.neat("console form with preview")
	eval[bool](p, `!!(window.confirm = () => true)`)
	p.do(chromedp.Click(chromedp.CSS("form.form button.main")))
	p.wait(`/^\/console\/draws\/\d+$/.test(location.pathname)`)
	p.neat("console draw, open")
	d := w.newest()

	// A member joins on the member page, others in the chat.
	p.open(w.site.URL + "/m/draws")
	p.wait(`document.querySelector('.draw button')`)
	p.neat("member page, open draw")
	p.do(chromedp.Click(chromedp.CSS(".draw button")))
	p.wait(`document.querySelector('.joy')?.textContent.includes('报名成功')`)
	p.neat("member page, joined")
	for i := 1; i < 8; i++ {
		w.say(fmt.Sprintf("u%d", i), "抽奖 周末电影票")
		w.name(fmt.Sprintf("u%d", i), people[i])
	}
	p.open(w.site.URL + "/draws/" + d.PublicID)
	p.neat("public page, open")

	// The clock closes it; the operator types the value in and draws.
	w.advance(9 * time.Hour)
	w.runJob()
	p.open(w.site.URL + "/draws/" + d.PublicID + "?closed") // browsers keep the page for some seconds
	p.wait(waitVerdict)
	if got := verdict(p); !strings.HasPrefix(got, "part ") {
		t.Errorf("closed draw: %s", got)
	}
	p.neat("public page, closed")
	p.open(fmt.Sprintf("%s/console/draws/%d", w.site.URL, d.ID))
	eval[bool](p, `!!(window.confirm = () => true)`)
	p.do(chromedp.SetValue(chromedp.CSS("[name=value]"), "3321.89"), chromedp.Click(chromedp.CSS("button[value=value]")))
	p.wait(`document.querySelector('button[value=draw]')`)
	p.neat("console draw, with value")
	p.do(chromedp.Click(chromedp.CSS("button[value=draw]")))
	p.wait(`document.querySelectorAll('.rows')[0]?.textContent.includes('待领取')`)
	p.neat("console draw, drawn")

	// Anybody checks it, and breaks it.
	p.open(w.site.URL + "/draws/" + d.PublicID + "?drawn")
	p.wait(waitVerdict)
	if got := verdict(p); !strings.HasPrefix(got, "good ✓ 已验证") {
		t.Errorf("drawn draw: %s", got)
	}
	p.neat("public page, drawn")
	p.do(chromedp.SetValue(chromedp.CSS("[data-tool=edit] [name=n]"), "3"), chromedp.Click(chromedp.CSS("[data-tool=edit] button")))
	p.wait(`document.getElementById('verdict').dataset.verdict === 'bad'`)
	if got := verdict(p); !strings.Contains(got, "第 3 位报名者") && !strings.Contains(got, "同一个代号") {
		t.Errorf("after changing an entrant: %s", got)
	}
	p.neat("public page, red")
	p.do(chromedp.Click(chromedp.CSS("[data-restore]")))
	p.wait(`document.getElementById('verdict').dataset.verdict === 'good'`)
	r := w.record(d)
	p.do(chromedp.SetValue(chromedp.CSS("[data-tool=look] [name=n]"), "1"), chromedp.SetValue(chromedp.CSS("[data-tool=look] [name=code]"), r.Entries[0].Code),
		chromedp.Click(chromedp.CSS("[data-tool=look] button")))
	p.wait(`document.querySelector('[data-tool=look] output').dataset.found === 'yes'`)

	// A winner shows the code, and the clerk writes it off.
	winner := w.wins(w.newest().ID)[0]
	p.open(w.site.URL + "/console/claims?code=" + winner.Code)
	p.neat("console claim")
	p.do(chromedp.Click(chromedp.CSS(".ticket button")))
	p.wait(`document.querySelector('.say')?.textContent.includes('已核销')`)
}

// TestBrowserVerifies holds the page's script against the test vectors and
// against every damage.
func TestBrowserVerifies(t *testing.T) {
	ctx := browser(t)
	w := newWorld(t, storetest.Open(t))
	d := w.fill("/抽奖 新建 大奖 奖品 一 x1 奖品 二 x1 奖品 三 x1", 200)
	w.say("店长", "/抽奖 截止 1")
	w.say("店长", "/抽奖 开奖 1")
	p := newTab(t, ctx, 390, 844, "light")
	p.open(w.site.URL + "/draws/" + d.PublicID)
	p.wait(waitVerdict)
	if got := verdict(p); !strings.HasPrefix(got, "good ") {
		t.Fatalf("200 entrants: %s", got)
	}
	verify := func(r drawproof.Record) string {
		text, err := json.Marshal(r)
		if err != nil {
			t.Fatal(err)
		}
		return eval[string](p, `window.drawproof.verify(`+string(text)+`).then((over) => over ? '' : 'unfinished', (e) => e.message)`)
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
	ms := eval[float64](p, `(async () => { const r = `+string(text)+`; const t = performance.now(); await window.drawproof.verify(r, (n) => n === 1.5 ? new Promise((d) => setTimeout(d)) : null); return performance.now() - t; })()`)
	t.Logf("100,000 entrants in %.0f ms in this browser", ms)
}

// TestShots takes pictures of all pages to look at; see the flag.
func TestShots(t *testing.T) {
	if *shots == "" {
		t.Skip("no -shots folder")
	}
	ctx := browser(t)
	w := newWorld(t, storetest.Open(t))
	w.say("u0", "签到")
	w.name("u0", "王芳")
	sizes := []struct{ width, height int64 }{{360, 740}, {390, 844}, {768, 1024}, {1440, 900}}
	each := func(name, path string, ready string) {
		for _, scheme := range []string{"light", "dark"} {
			for _, size := range sizes {
				p := newTab(t, ctx, size.width, size.height, scheme)
				p.open(w.site.URL + path)
				if ready != "" {
					p.wait(ready)
				}
				p.neat(fmt.Sprintf("%s %d", name, size.width))
				p.shoot(fmt.Sprintf("%s-%d-%s", name, size.width, scheme))
				chromedp.Cancel(p.ctx)
			}
		}
	}
	p := newTab(t, ctx, 1440, 900, "light")
	p.open(w.loginURL("店长", store.Owner))
	p.do(chromedp.Click(chromedp.CSS("form button.main")))
	p.wait(`location.pathname === '/console/'`)
	each("console-empty", "/console/draws", "")
	each("member-empty", "/m/draws", "")
	each("console-new", "/console/draws/new?preview=1&name=周末电影票&prizes=电影票+x3+¥45%0A咖啡券+x5&points=100&source=当日上证指数收盘&deadline=2025-03-01T20:00&group=1", "")
	d := w.fill("/抽奖 新建 周末电影票 奖品 电影票 x3 ¥45 奖品 咖啡券 x5 ¥18 条件 入群 1天 公证 当日上证指数收盘 截止 20:00", 0)
	_ = d
	w.advance(24 * time.Hour)
	p.open(w.loginURL("店长", store.Owner))
	p.do(chromedp.Click(chromedp.CSS("form button.main")))
	p.wait(`location.pathname === '/console/'`)
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
