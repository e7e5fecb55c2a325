package simulator

import (
	"context"
	"flag"
	"fmt"
	"net/http"
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
	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"

	"qunbot/bot/wecom"
)

var shots = flag.String("shots", "", "`folder` for screenshots of the chat page; empty takes none")

// browser starts chromium with one empty tab. It skips the test if there is
// none.
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
	t   *testing.T
	ctx context.Context

	mu       sync.Mutex
	problems []string // what the console showed
}

// newTab opens a tab of a size, light or dark.
func newTab(t *testing.T, parent context.Context, width, height int64, scheme string) *tab {
	t.Helper()
	ctx, closeTab := chromedp.NewContext(parent)
	t.Cleanup(closeTab)
	p := &tab{t: t, ctx: ctx}
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
		case *runtime.EventConsoleAPICalled:
			if event.Type == "error" || event.Type == "warning" {
				p.problems = append(p.problems, fmt.Sprintf("console.%s", event.Type))
			}
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

// do runs steps, each of which must succeed within 20 s.
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
	ctx, cancel := context.WithTimeout(p.ctx, 15*time.Second)
	defer cancel()
	script := fmt.Sprintf(`new Promise((done) => { const look = () => (%s) ? done(true) : requestAnimationFrame(look); look(); })`, expression)
	if _, err := chromedp.Run(ctx, chromedp.Evaluate[bool](script, chromedp.EvalAwaitPromise)); err != nil {
		p.t.Fatalf("waiting for %s: %v; console: %v", expression, err, p.console())
	}
}

// eval returns the value of a JavaScript expression.
func eval[T any](p *tab, expression string) T {
	p.t.Helper()
	value, err := chromedp.Run(p.ctx, chromedp.Evaluate[T](expression))
	if err != nil {
		p.t.Fatalf("%s: %v", expression, err)
	}
	return value
}

func (p *tab) console() []string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return append([]string(nil), p.problems...)
}

// shoot takes a screenshot if they are wanted.
func (p *tab) shoot(name string) {
	p.t.Helper()
	if *shots == "" {
		return
	}
	png, err := chromedp.Run(p.ctx, chromedp.CaptureScreenshot())
	if err != nil {
		p.t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(*shots, name+".png"), png, 0o644); err != nil {
		p.t.Fatal(err)
	}
}

// open opens the chat page.
func (p *tab) open(w *testWorld, hash string) {
	p.t.Helper()
	p.do(chromedp.Navigate(w.url + "/sim/" + hash))
	p.wait(`document.body.dataset.ready`)
}

// be plays somebody; the tabs of one browser share the cookie that says whom.
func (p *tab) be(person string) {
	p.t.Helper()
	eval[bool](p, fmt.Sprintf(`(() => { const me = document.querySelector('[data-test=me]'); me.value = %q; me.onchange(); return true; })()`, person))
}

// lastBotLine is what the bot said last, in JavaScript.
const lastBotLine = `([...document.querySelectorAll('[data-test=line][data-who=helper]')].at(-1)?.innerText ?? '')`

func TestPage(t *testing.T) {
	ctx := browser(t)
	for _, size := range []struct{ width, height int64 }{{360, 740}, {390, 844}, {768, 1024}, {1440, 900}} {
		t.Run(fmt.Sprint(size.width), func(t *testing.T) {
			w := newWorld(t, nil)
			p := newTab(t, ctx, size.width, size.height, "light")
			p.open(w, "")
			if got := eval[string](p, `document.querySelector('[data-test=input]').value`); got != "@小助手 " {
				t.Errorf("composer begins with %q, want the bot's @", got)
			}
			p.do(chromedp.SendKeys(chromedp.CSS("[data-test=input]"), "签到"))
			p.do(chromedp.Click(chromedp.CSS("[data-test=send]")))
			p.wait(lastBotLine + `.includes('签到成功')`)

			// Enter sends as well; without the @ the bot does not hear.
			p.do(chromedp.SetValue(chromedp.CSS("[data-test=input]"), "大家早"))
			p.do(chromedp.SendKeys(chromedp.CSS("[data-test=input]"), "\r"))
			p.wait(`document.querySelector('[data-test=line]:last-child .note')?.textContent === '` + notAddressed + `'`)

			if wide := eval[int64](p, `document.documentElement.scrollWidth`); wide > size.width {
				t.Errorf("page is %d px wide in a window of %d", wide, size.width)
			}
			if size.width < 640 {
				small := eval[[]string](p, `[...document.querySelectorAll('button, select, textarea, .back, summary')].filter((e) => e.offsetParent && e.getBoundingClientRect().height < 43.5).map((e) => e.outerHTML.slice(0, 90))`)
				if len(small) > 0 {
					t.Errorf("targets below 44 px: %s", strings.Join(small, "\n"))
				}
			}
			if problems := p.console(); len(problems) > 0 {
				t.Errorf("console: %v", problems)
			}
		})
	}
}

// TestPageKeepsText checks that what people say never becomes markup.
func TestPageKeepsText(t *testing.T) {
	ctx := browser(t)
	w := newWorld(t, nil)
	w.service.answers(func(p post, _ http.ResponseWriter) *wecom.AibotReply {
		return streamOf("st-"+p.callback.MsgID, `<img src=x onerror="window.hit=1"> [点我](javascript:window.hit=1) **粗** https://a.example/x.`, true)
	})
	p := newTab(t, ctx, 1440, 900, "light")
	p.open(w, "")
	id := w.mustSay("wrkOne", "xiaowang", `@小助手 <script>window.hit=1</script> **不粗**`)
	p.wait(lastBotLine + `.includes('粗')`)
	if hit := eval[bool](p, `'hit' in window || !!document.querySelector('#lines img, #lines script')`); hit {
		t.Error("text became markup")
	}
	if got := eval[[]string](p, `[...document.querySelectorAll('#lines [data-who=helper]:last-child .bubble a')].map((a) => a.href)`); len(got) != 1 || got[0] != "https://a.example/x" {
		t.Errorf("links of the answer are %q, want the web address only", got)
	}
	if bold := eval[bool](p, fmt.Sprintf(`!!document.querySelector('#%s strong')`, id)); bold {
		t.Error("a person's text is rendered as markdown")
	}
}

// TestShots takes pictures to look at; see the flag.
func TestShots(t *testing.T) {
	if *shots == "" {
		t.Skip("no -shots folder")
	}
	ctx := browser(t)
	for _, scheme := range []string{"light", "dark"} {
		for _, size := range []struct{ width, height int64 }{{360, 740}, {390, 844}, {768, 1024}, {1440, 900}} {
			name := func(what string) string { return fmt.Sprintf("%s-%d-%s", what, size.width, scheme) }
			w := newWorld(t, nil)
			p := newTab(t, ctx, size.width, size.height, scheme)
			p.open(w, "#list")
			p.be("zhangsan")
			p.shoot(name("list"))
			p.open(w, "#chat=wrkOne")
			for _, text := range []string{"@小助手 签到", "@小助手 积分", "早上好，今天谁在一楼？", "@小助手 抽奖"} {
				p.do(chromedp.SetValue(chromedp.CSS("[data-test=input]"), text), chromedp.SendKeys(chromedp.CSS("[data-test=input]"), "\r"))
			}
			p.wait(`document.querySelector('#lines').innerText.includes('正在进行的抽奖')`)
			p.wait(`!document.querySelector('#redeliver').disabled`)
			p.shoot(name("full"))
			if size.width < 1100 {
				p.do(chromedp.Click(chromedp.CSS("#fold")))
				p.shoot(name("fold"))
				p.do(chromedp.Click(chromedp.CSS("#fold")))
			}
			eval[bool](p, `document.querySelector('#unplug').click() ?? true`)
			p.wait(`[...document.querySelectorAll('.note')].some((n) => /断电/.test(n.textContent))`)
			p.wait(`/拔电源.*/.test(document.querySelector('.trace .what')?.textContent) && document.querySelector('.trace .state').textContent !== '…'`)
			p.shoot(name("unplugged"))
			w.service.answers(func(p post, w http.ResponseWriter) *wecom.AibotReply {
				http.Error(w, "down", http.StatusInternalServerError)
				return nil
			})
			w.mustSay("wrkOne", "xiaowang", "@小助手 排行榜")
			p.wait(`document.querySelector('.error')`)
			p.shoot(name("error"))
			w.service.answers(func(p post, _ http.ResponseWriter) *wecom.AibotReply {
				return &wecom.AibotReply{MsgType: wecom.TypeCard, TemplateCard: &wecom.TemplateCard{
					CardType: wecom.CardTextNotice, Source: &wecom.CardSource{Desc: "示例商场"},
					MainTitle: &wecom.CardTitle{Title: "周末电影票开奖了", Desc: "10 张，312 人参加"}, EmphasisContent: &wecom.CardTitle{Title: "10 / 312", Desc: "中奖 / 参加"},
					HorizontalContentList: []wecom.CardHorizontalItem{{KeyName: "开奖", Value: "今天 20:00"}, {KeyName: "经办", Type: 3, UserID: "zhangsan"}},
					JumpList:              []wecom.CardJump{{Type: 1, Title: "查看公示", URL: "https://fans.example.com/draws/k3J9xQ2mPa"}},
					CardAction:            &wecom.CardAction{Type: 1, URL: "https://fans.example.com/draws/k3J9xQ2mPa"},
				}}
			})
			p.open(w, "?again#chat=single")
			p.wait(`document.querySelector('.card')`)
			p.shoot(name("card"))
			p.be("wmWangfang")
			p.wait(`document.querySelector('#title').textContent.includes('粉丝群')`)
			p.do(chromedp.SendKeys(chromedp.CSS("[data-test=input]"), "签到\r"))
			p.wait(`document.querySelector('.note')`)
			p.shoot(name("customer"))
		}
		w := newWorld(t, func(c *Config) { c.Lines = nil })
		p := newTab(t, ctx, 1440, 900, scheme)
		p.open(w, "")
		p.shoot("empty-1440-" + scheme)
		p = newTab(t, ctx, 390, 844, scheme)
		p.do(chromedp.Func(func(ctx context.Context, target *chromedp.Target) error {
			_, err := cdp.Call(ctx, target, network.ClearBrowserCookies, cdp.Empty{})
			return err
		}))
		p.do(chromedp.Navigate(w.url + "/connect/oauth2/authorize?appid=" + testCorp + "&agentid=1000002&response_type=code&scope=snsapi_base&state=x&redirect_uri=" + strings.ReplaceAll(w.url, "/", "%2F") + "%2Fm%2F"))
		p.shoot("authorize-390-" + scheme)
	}
}
