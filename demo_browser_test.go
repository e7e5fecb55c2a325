package main

import (
	"bufio"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"qunbot/web/browsertest"
)

// A demoProcess is the real program, running "demo".
type demoProcess struct {
	sim     string // address of the chat page
	console string // one-time link
}

// startDemo starts program's demo and waits until it has printed where it is.
func startDemo(t *testing.T, program string) demoProcess {
	t.Helper()
	cmd := exec.Command(program, "demo", "--listen", "127.0.0.1:0", "--data", t.TempDir())
	cmd.Stderr = os.Stderr
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan struct{})
	t.Cleanup(func() {
		cmd.Process.Signal(os.Interrupt) // as Ctrl+C
		select {
		case <-ended:
		case <-time.After(15 * time.Second):
			t.Error("the demo has not ended 15 s after Ctrl+C")
			cmd.Process.Kill()
			<-ended
		}
		if err := cmd.Wait(); err != nil {
			t.Errorf("the demo ended with %v", err)
		}
	})
	addresses := regexp.MustCompile(`(http://\S+/sim/)$|(http://\S+/console/\S+)`)
	var d demoProcess
	ready := make(chan demoProcess, 1)
	go func() {
		defer close(ended)
		for lines := bufio.NewScanner(stdout); lines.Scan(); {
			m := addresses.FindStringSubmatch(lines.Text())
			switch {
			case m == nil:
			case m[1] != "":
				d.sim = m[1]
			case d.console == "":
				d.console = m[2]
				ready <- d
			}
		}
	}()
	select {
	case d := <-ready:
		return d
	case <-ended:
		t.Fatal("the demo ended at start")
	case <-time.After(30 * time.Second):
		t.Fatal("the demo has printed no addresses within 30 s")
	}
	return d
}

// A page is one tab of the browser.
type page struct {
	*browsertest.Tab
	t *testing.T
}

// be plays somebody of the sample mall.
func (p page) be(person string) {
	p.t.Helper()
	browsertest.Eval[bool](p.Tab, fmt.Sprintf(`(() => { const me = document.querySelector('[data-test=me]'); me.value = %q; me.onchange(); return true; })()`, person))
	p.Wait(fmt.Sprintf(`document.querySelector('[data-test=me]').value === %q`, person))
}

// own is the lines of the chat that person said, in JavaScript.
func own(person string) string {
	return fmt.Sprintf(`[...document.querySelectorAll('[data-test=line][data-who=%q]')]`, person)
}

// answer waits for the bot's answer to what person said last, after do has
// made person say it.
func (p page) answer(person string, do func()) string {
	p.t.Helper()
	before := browsertest.Eval[int64](p.Tab, own(person)+".length")
	do()
	p.Wait(fmt.Sprintf("%s.length === %d", own(person), before+1))
	id := browsertest.Eval[string](p.Tab, own(person)+".at(-1).dataset.id")
	line := fmt.Sprintf(`document.querySelector('[data-test=line][data-reply-to=%q] .bubble')`, id)
	p.Wait(line + `?.innerText`)
	return browsertest.Eval[string](p.Tab, line+".innerText")
}

// say types text behind the bot's name, sends it and returns the answer.
func (p page) say(person, text string) string {
	p.t.Helper()
	return p.answer(person, func() {
		p.Type("[data-test=input]", text)
		p.Click("[data-test=send]")
	})
}

// balance asks for the points.
func (p page) balance(person string) int {
	p.t.Helper()
	return number(p.t, `现有 (\d+) 分`, p.say(person, "积分"))
}

// number returns the number that pattern finds in text.
func number(t *testing.T, pattern, text string) int {
	t.Helper()
	m := regexp.MustCompile(pattern).FindStringSubmatch(text)
	if m == nil {
		t.Fatalf("the bot said %q, want %s in it", text, pattern)
	}
	n, err := strconv.Atoi(m[1])
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// note waits for what the page notes below what person said last, and returns it.
func (p page) note(person, part string) string {
	p.t.Helper()
	note := own(person) + `.at(-1)?.querySelector('.note')?.textContent`
	p.Wait(fmt.Sprintf(`(%s ?? '').includes(%q)`, note, part))
	return browsertest.Eval[string](p.Tab, note)
}

// deed presses one of the buttons backstage, which narrow windows fold away.
func (p page) deed(button string) {
	p.t.Helper()
	css := "[data-test=" + button + "]"
	p.Wait(fmt.Sprintf(`!document.querySelector('[data-test=%s]').disabled`, button))
	folded := browsertest.Eval[bool](p.Tab, fmt.Sprintf(`!document.querySelector('[data-test=%s]').checkVisibility()`, button))
	if folded {
		p.Click("#fold")
	}
	p.Click(css)
	if folded {
		p.Click("#fold")
	}
}

func TestDemoInABrowser(t *testing.T) {
	browser := browsertest.Start(t)
	program := filepath.Join(t.TempDir(), "qunbot")
	if out, err := exec.Command("go", "build", "-o", program, ".").CombinedOutput(); err != nil {
		t.Fatalf("go build: %v\n%s", err, out)
	}
	for _, size := range []struct{ width, height int64 }{{390, 844}, {1440, 900}} {
		t.Run(fmt.Sprint(size.width), func(t *testing.T) {
			demo := startDemo(t, program)
			p := page{browser.Tab(t, size.width, size.height, "light"), t}
			p.checkIn(demo)
			p.pullThePlug(demo)
			p.hearWhatIsPosted()
			p.visitConsole(demo)
			p.announce(demo)
			p.comeByLink(demo)
		})
	}
}

// checkIn says 签到 as the visitor, and tries to get the points once more.
func (p page) checkIn(demo demoProcess) {
	t := p.t
	const me = "wangfang"
	p.Open(demo.sim)
	p.Wait("document.body?.dataset.ready")
	p.Fits("chat page")
	p.be(me) // the cookie of another size's demo may say otherwise: cookies do not know ports
	before := p.balance(me)
	said := p.say(me, "签到")
	after := number(t, `积分 \+5，现有 (\d+) 分`, said)
	if after != before+5 {
		t.Errorf("签到 with %d points = %q, want %d points", before, said, before+5)
	}
	answers := browsertest.Eval[int64](p.Tab, own("helper")+".length")

	p.deed("redeliver")
	if note := p.note(me, "投了 2 次"); !strings.Contains(note, "一字不差") {
		t.Errorf("重复投递 of 签到: the page says %q, want the very same answer", note)
	}
	if got := browsertest.Eval[int64](p.Tab, own("helper")+".length"); got != answers {
		t.Errorf("%d answers of the bot after 重复投递, want the %d from before", got, answers)
	}
	if got := p.balance(me); got != after {
		t.Errorf("积分 after 重复投递 = %d, want %d", got, after)
	}

	said = p.answer(me, func() { p.deed("unplug") }) // says 签到
	if !strings.Contains(said, "今天已经签到过") {
		t.Errorf("签到 once more, in a power cut = %q, want that it was done today", said)
	}
	p.note(me, "重启后")
	if got := p.balance(me); got != after {
		t.Errorf("积分 after 拔电源 = %d, want %d", got, after)
	}
	p.Fits("chat page, used")
}

// pullThePlug checks in as somebody else while the power is cut: the points
// come once.
func (p page) pullThePlug(demo demoProcess) {
	t := p.t
	const me = "chenjie"
	p.be(me)
	before := p.balance(me)
	said := p.answer(me, func() { p.deed("unplug") })
	earned, after := number(t, `积分 \+(\d+)`, said), number(t, `现有 (\d+) 分`, said)
	p.note(me, "重启后")
	if after != before+earned {
		t.Errorf("签到 in a power cut, with %d points = %q, want %d points", before, said, before+earned)
	}
	p.deed("redeliver")
	p.note(me, "一字不差")
	if got := p.balance(me); got != after {
		t.Errorf("积分 after 拔电源 and 重复投递 = %d, want %d", got, after)
	}
}

// visitConsole signs in with the printed link, and looks around.
func (p page) visitConsole(demo demoProcess) {
	t := p.t
	p.Open(demo.console)
	p.Click("main form button")
	p.Wait(`location.pathname === '/console/' && document.querySelector('h1')`)
	p.Fits("console")
	base := strings.TrimSuffix(demo.sim, "/sim/")
	for _, tt := range []struct {
		path string
		want []string
	}{
		{"/console/groups", []string{"南湖天地·店员福利群", "南湖天地 粉丝 1 群"}},
		{"/console/members", []string{"王芳", "陈杰"}},
		{"/console/decisions", []string{"签到", "积分", "王芳", "checkin"}},
	} {
		p.Open(base + tt.path)
		text := browsertest.Eval[string](p.Tab, "document.querySelector('main').innerText")
		for _, want := range tt.want {
			if !strings.Contains(text, want) {
				t.Errorf("%s shows\n%s\nwant %s in it", tt.path, text, want)
			}
		}
		p.Fits(tt.path)
	}
	// What was said that should not be, counted.
	p.Open(base + "/console/moderation/strikes")
	p.Wait(`document.querySelector('main').innerText.includes('吴婷')`)
	p.Fits("strikes")
	// The link works once only.
	p.Open(demo.console)
	p.Click("main form button")
	p.Wait(`document.body.innerText.includes('这条链接不能用了')`)
}

// hearWhatIsPosted sees the day's news arrive, has an operator list a word, and
// says it in a disguise: the message runs no command, and a warning comes.
func (p page) hearWhatIsPosted() {
	t := p.t
	p.Wait(`[...document.querySelectorAll('[data-test=line]')].some(l => l.innerText.includes('【每日资讯】'))`)
	p.be("linyue")
	if said := p.say("linyue", "/敏感词 添加 刷浏览量 警告"); !strings.Contains(said, "刷浏览量") {
		t.Errorf("/敏感词 添加 = %q", said)
	}
	const me = "wuting"
	p.be(me)
	before := p.balance(me)
	said := p.say(me, "签到 刷*浏*览*量")
	if !strings.Contains(said, "第 1 次") {
		t.Errorf("a bad word = %q, want a warning that counts", said)
	}
	if got := p.balance(me); got != before {
		t.Errorf("%d points after a message that was stopped, want %d", got, before)
	}
}

// announce posts an announcement from the console and sees it in the group.
func (p page) announce(demo demoProcess) {
	base := strings.TrimSuffix(demo.sim, "/sim/")
	p.Open(demo.sim + "console") // which gives another one-time link
	p.Click("main form button")
	p.Wait(`location.pathname === '/console/' && document.querySelector('h1')`)
	p.Open(base + "/console/monthly/announce")
	text := "周六 10:00 中庭有市集，欢迎来玩"
	p.Set("#f-text", text)
	p.Click("input[name=group]:not([disabled])")
	browsertest.Eval[bool](p.Tab, `(window.confirm = () => true)()`)
	p.Click("main form button.primary")
	p.Wait(fmt.Sprintf(`document.querySelector('main').innerText.includes(%q) && document.querySelector('.say')`, text))
	p.Fits("announcement, posted")
	p.Open(demo.sim)
	p.Wait(fmt.Sprintf(`document.body.innerText.includes(%q)`, text))
}

// comeByLink follows the link of a group to 微信客服, as a customer who found it
// there, and sees in the console that somebody came.
func (p page) comeByLink(demo demoProcess) {
	base := strings.TrimSuffix(demo.sim, "/sim/")
	p.Open(base + "/console/service")
	p.Fits("links to 微信客服")
	p.Tappable("links to 微信客服", "main form button")
	p.Click("a.open")
	p.Wait(`document.querySelector('#link-0')`)
	p.Fits("a link to 微信客服")
	p.Click("[data-copy]")
	p.Wait(`document.querySelector('[data-copied]').textContent.includes('已复制')`)
	link := browsertest.Eval[string](p.Tab, `document.querySelector('#link-0').value`)
	p.Open(demo.sim)
	p.Wait("document.body?.dataset.ready")
	p.be("wmDEMO0003")
	p.Open(link)
	p.Wait(`[...document.querySelectorAll('[data-test=choice]')].some(b => b.textContent === '转人工')`)
	p.Open(base + "/console/service")
	p.Wait(`[...document.querySelectorAll('tbody tr')][0].querySelector('.num').textContent === '1'`)
}
