package simulator

import (
	"fmt"
	"net/http"
	"strings"
	"testing"

	"qunbot/bot/wecom"
	"qunbot/web/browsertest"
)

// A tab is one chat page under test.
type tab struct{ *browsertest.Tab }

// open opens the chat page.
func (p tab) open(w *testWorld, hash string) {
	p.Open(w.url + "/sim/" + hash)
	p.Wait(`document.body.dataset.ready`)
}

// be plays somebody; the tabs of one browser share the cookie that says whom.
func (p tab) be(person string) {
	browsertest.Eval[bool](p.Tab, fmt.Sprintf(`(() => { const me = document.querySelector('[data-test=me]'); me.value = %q; me.onchange(); return true; })()`, person))
}

// fits checks that the page and its panes are not wider than they are shown,
// that targets on a phone are large enough, and that the console is silent.
func (p tab) fits() {
	p.Fits("chat page", ".lines, .inside, .session")
	p.Tappable("chat page", "button, select, textarea, .back, summary, .check, input:not([type=checkbox])")
	p.Clean("chat page")
}

// lastBotLine is what the bot said last, in JavaScript.
const lastBotLine = `([...document.querySelectorAll('[data-test=line][data-who=helper]')].at(-1)?.innerText ?? '')`

func TestPage(t *testing.T) {
	browser := browsertest.Start(t)
	for _, size := range []struct{ width, height int64 }{{360, 740}, {390, 844}, {768, 1024}, {1440, 900}} {
		t.Run(fmt.Sprint(size.width), func(t *testing.T) {
			w := newWorld(t, nil)
			p := tab{browser.Tab(t, size.width, size.height, "light")}
			p.open(w, "")
			if got := browsertest.Eval[string](p.Tab, `document.querySelector('[data-test=input]').value`); got != "@小助手 " {
				t.Errorf("composer begins with %q, want the bot's @", got)
			}
			p.Type("[data-test=input]", "签到")
			p.Click("[data-test=send]")
			p.Wait(lastBotLine + `.includes('签到成功')`)

			// Enter sends as well; without the @ the bot does not hear.
			p.Set("[data-test=input]", "大家早")
			p.Type("[data-test=input]", "\r")
			p.Wait(`document.querySelector('[data-test=line]:last-child .note')?.textContent === '` + notAddressed + `'`)

			p.fits()
		})
	}
}

// TestPageKeepsText checks that what people say never becomes markup.
func TestPageKeepsText(t *testing.T) {
	browser := browsertest.Start(t)
	w := newWorld(t, nil)
	w.service.answers(func(p post, _ http.ResponseWriter) *wecom.AibotReply {
		return streamOf("st-"+p.callback.MsgID, `<img src=x onerror="window.hit=1"> [点我](javascript:window.hit=1) **粗** https://a.example/x.`, true)
	})
	p := tab{browser.Tab(t, 1440, 900, "light")}
	p.open(w, "")
	id := w.mustSay("wrkOne", "xiaowang", `@小助手 <script>window.hit=1</script> **不粗**`)
	p.Wait(lastBotLine + `.includes('粗')`)
	if hit := browsertest.Eval[bool](p.Tab, `'hit' in window || !!document.querySelector('#lines img, #lines script')`); hit {
		t.Error("text became markup")
	}
	if got := browsertest.Eval[[]string](p.Tab, `[...document.querySelectorAll('#lines [data-who=helper]:last-child .bubble a')].map((a) => a.href)`); len(got) != 1 || got[0] != "https://a.example/x" {
		t.Errorf("links of the answer are %q, want the web address only", got)
	}
	if bold := browsertest.Eval[bool](p.Tab, fmt.Sprintf(`!!document.querySelector('#%s strong')`, id)); bold {
		t.Error("a person's text is rendered as markdown")
	}
}

// TestShots takes pictures to look at; see the flag.
func TestShots(t *testing.T) {
	browsertest.NeedShots(t)
	browser := browsertest.Start(t)
	for _, scheme := range []string{"light", "dark"} {
		for _, size := range []struct{ width, height int64 }{{360, 740}, {390, 844}, {768, 1024}, {1440, 900}} {
			name := func(what string) string { return fmt.Sprintf("%s-%d-%s", what, size.width, scheme) }
			w := newWorld(t, nil)
			p := tab{browser.Tab(t, size.width, size.height, scheme)}
			p.open(w, "#list")
			p.be("zhangsan")
			p.Shoot(name("list"))
			p.open(w, "#chat=wrkOne")
			for _, text := range []string{"@小助手 签到", "@小助手 积分", "早上好，今天谁在一楼？", "@小助手 抽奖"} {
				p.Set("[data-test=input]", text)
				p.Type("[data-test=input]", "\r")
			}
			p.Wait(`document.querySelector('#lines').innerText.includes('正在进行的抽奖')`)
			p.Wait(`!document.querySelector('#redeliver').disabled`)
			p.Shoot(name("full"))
			if size.width < 1100 {
				p.Click("#fold")
				p.Shoot(name("fold"))
				p.Click("#fold")
			}
			browsertest.Eval[bool](p.Tab, `document.querySelector('#unplug').click() ?? true`)
			p.Wait(`[...document.querySelectorAll('.note')].some((n) => /断电/.test(n.textContent))`)
			p.Wait(`/拔电源.*/.test(document.querySelector('.trace .what')?.textContent) && document.querySelector('.trace .state').textContent !== '…'`)
			p.Shoot(name("unplugged"))
			w.service.answers(func(p post, w http.ResponseWriter) *wecom.AibotReply {
				http.Error(w, "down", http.StatusInternalServerError)
				return nil
			})
			w.mustSay("wrkOne", "xiaowang", "@小助手 排行榜")
			p.Wait(`document.querySelector('.error')`)
			p.Shoot(name("error"))
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
			p.Wait(`document.querySelector('.card')`)
			p.Shoot(name("card"))
			p.be("wmWangfang")
			p.Wait(`document.querySelector('#title').textContent.includes('粉丝群')`)
			p.Type("[data-test=input]", "签到\r")
			p.Wait(`document.querySelector('.note')`)
			p.Shoot(name("customer"))
		}
		w := newWorld(t, func(c *Config) { c.Lines = nil })
		p := tab{browser.Tab(t, 1440, 900, scheme)}
		p.open(w, "")
		p.Shoot("empty-1440-" + scheme)
		stranger := browsertest.Start(t).Tab(t, 390, 844, scheme)
		stranger.Open(w.url + "/connect/oauth2/authorize?appid=" + testCorp + "&agentid=1000002&response_type=code&scope=snsapi_base&state=x&redirect_uri=" + strings.ReplaceAll(w.url, "/", "%2F") + "%2Fm%2F")
		stranger.Shoot("authorize-390-" + scheme)
	}
}
