package simulator

import (
	"encoding/base64"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"

	"qunbot/web/browsertest"
)

// pageSizes are a phone and a desk.
var pageSizes = []struct{ width, height int64 }{{360, 740}, {1440, 900}}

// robotPosts are posts for the eye, the last one first seen.
func robotPosts(t *testing.T) []any {
	wide := "data:image/png;base64," + base64.StdEncoding.EncodeToString(picture(t, 235, 100))
	return []any{
		map[string]any{"msgtype": "text", "text": map[string]any{"content": "早上好，今天的安排：\n1. 10:00 开门迎客\n2. 15:00 三楼试吃\n详情 https://fans.example.com/news", "mentioned_list": []string{"zhangsan", "@all"}}},
		map[string]any{"msgtype": "markdown", "markdown": map[string]any{"content": "### 反馈待处理 **3** 件\n> 级别 <font color=\"warning\">紧急</font>\n> 地点 <font color=\"comment\">三楼西侧</font>\n状态 <font color=\"info\">已派人</font>，请 <@zhangsan> 看[工单](https://fans.example.com/t/1)，编号 `T-1024`"}},
		map[string]any{"msgtype": "markdown_v2", "markdown_v2": map[string]any{"content": "# 本周签到\n*共 312 人*，比上周多 ~~20~~ **26** 人\n\n| 楼层 | 人数 | 连续 7 天 |\n| --- | :-: | --- |\n| 一楼 | 120 | 31 |\n| 二楼 | 192 | 44 |\n\n- 一等奖\n  - 电影票 2 张\n- 二等奖\n\n1. 先签到\n2. 再抽奖\n\n> 外层\n>> 里层\n\n---\n```\nselect count(*)\n```"}},
		map[string]any{"msgtype": "news", "news": map[string]any{"articles": []map[string]string{
			{"title": "周末市集：三楼中庭，六十个摊位等你来", "url": "https://fans.example.com/1", "picurl": wide},
			{"title": "停车新规：会员前两小时免费", "url": "https://fans.example.com/2", "picurl": wide},
			{"title": "夏季尾货五折起", "url": "https://fans.example.com/3"},
		}}},
		map[string]any{"msgtype": "news", "news": map[string]any{"articles": []map[string]string{{"title": "一张图看懂积分", "description": "怎样得、怎样花、何时到期", "url": "https://fans.example.com/1", "picurl": wide}}}},
		imagePost(picture(t, 200, 120)),
		map[string]any{"msgtype": "template_card", "template_card": map[string]any{
			"card_type": "text_notice", "source": map[string]any{"desc": "示例商场"}, "main_title": map[string]string{"title": "周末电影票开奖了", "desc": "10 张，312 人参加"},
			"emphasis_content": map[string]string{"title": "10 / 312", "desc": "中奖 / 参加"}, "card_action": map[string]any{"type": 1, "url": "https://fans.example.com/d"},
			"jump_list": []map[string]any{{"type": 1, "title": "查看公示", "url": "https://fans.example.com/d"}},
		}},
		map[string]any{"msgtype": "template_card", "template_card": map[string]any{
			"card_type": "news_notice", "main_title": map[string]string{"title": "试吃报名", "desc": "周三 15:00"},
			"card_image": map[string]any{"url": wide, "aspect_ratio": 2.25}, "card_action": map[string]any{"type": 1, "url": "https://fans.example.com/d"},
			"vertical_content_list": []map[string]string{{"title": "名额", "desc": "30 人，先到先得"}},
		}},
	}
}

// TestPageRobot checks that what a group robot posts is shown live.
func TestPageRobot(t *testing.T) {
	browser := browsertest.Start(t)
	for _, size := range pageSizes {
		t.Run(fmt.Sprint(size.width), func(t *testing.T) {
			w := newWorld(t, withRobot)
			p := tab{browser.Tab(t, size.width, size.height, "light")}
			p.open(w, "#chat=wrkOne")
			for i, body := range robotPosts(t) {
				w.must(w.call("webhook/send?key="+robotKey, body))
				p.Wait(fmt.Sprintf(`document.querySelectorAll('[data-who="robot:wrkOne"]').length === %d`, i+1))
				p.Shoot(fmt.Sprintf("robot%d-%d-light", i, size.width))
			}
			answer := w.must(w.uploadAs("webhook/upload_media?type=file&key="+robotKey, "media", []byte("甲、乙、丙")))
			w.must(w.call("webhook/send?key="+robotKey, map[string]any{"msgtype": "file", "file": map[string]any{"media_id": answer["media_id"]}}))
			p.Wait(`document.querySelector('.file')?.innerText.includes('中奖名单.txt')`)
			p.Shoot(fmt.Sprintf("robot9-%d-light", size.width))
			for what, expression := range map[string]string{
				"a line break in a text": `document.querySelector('[data-who="robot:wrkOne"] .bubble').innerText.includes('安排：\n1. 10:00')`,
				"a mention":              `document.querySelector('.at').textContent === '@张三'`,
				"a colour":               `document.querySelector('.font-warning').textContent === '紧急'`,
				"a table":                `document.querySelectorAll('.md table td').length === 6`,
				"three articles":         `document.querySelectorAll('.article').length === 4`,
				"the picture":            `[...document.querySelectorAll('.bubble.picture img')].every((i) => i.naturalWidth === 200)`,
				"the name":               `[...document.querySelectorAll('.line .who')].at(-1).innerText.includes('公告机器人')`,
			} {
				if !browsertest.Eval[bool](p.Tab, expression) {
					t.Errorf("not shown: %s", what)
				}
			}
			p.fits()
		})
	}
}

// TestPagePanel checks 「故障与时钟」.
func TestPagePanel(t *testing.T) {
	browser := browsertest.Start(t)
	for _, size := range pageSizes {
		t.Run(fmt.Sprint(size.width), func(t *testing.T) {
			w := newWorld(t, withRobot)
			p := tab{browser.Tab(t, size.width, size.height, "light")}
			p.open(w, "")
			p.Click("[data-test=panel-open]")
			p.Wait(`document.querySelector('#panel').open && document.querySelectorAll('[data-api]').length > 15`)
			p.Shoot(fmt.Sprintf("panel-%d-light", size.width))
			browsertest.Eval[bool](p.Tab, `(() => { const s = document.querySelector('[data-api="webhook/send"] select'); s.value = 'server'; s.onchange(); return true; })()`)
			p.Wait(`document.querySelector('[data-api="webhook/send"].on')`)
			response, err := http.Post(w.url+"/cgi-bin/webhook/send?key="+robotKey, "application/json", strings.NewReader(`{}`))
			if err != nil {
				t.Fatal(err)
			}
			response.Body.Close()
			if response.StatusCode != http.StatusInternalServerError {
				t.Errorf("status %d, want 500", response.StatusCode)
			}
			p.Wait(`!document.querySelector('[data-api="webhook/send"].on')`) // once
			p.Click("[data-test=advance-day]")
			p.Wait(`document.querySelector('.time').innerText.includes('快 1 天')`)
			p.fits()
			p.Click("[data-test=panel-close]")
			p.Wait(`!document.querySelector('#panel').open`)
			p.fits()
		})
	}
}

// kfBot lets the app of a world answer customers: a menu for a welcome, a text
// for a text, the pool for 转人工.
func (w *kfWorld) kfBot() {
	var mu sync.Mutex
	cursor := ""
	w.app.answers(func(p appPost, _ http.ResponseWriter, _ *http.Request) []byte {
		mu.Lock()
		defer mu.Unlock()
		for more := true; more; {
			answer := w.api("sync_msg", map[string]any{"open_kfid": p.OpenKFID, "token": p.Token, "cursor": cursor})
			if code(answer) != 0 {
				return nil
			}
			cursor, more = answer["next_cursor"].(string), answer["has_more"].(float64) == 1
			for _, one := range answer["msg_list"].([]any) {
				w.kfAnswer(one.(map[string]any))
			}
		}
		return nil
	})
}

func (w *kfWorld) kfAnswer(entry map[string]any) {
	choices := map[string]any{"head_content": "欢迎来到示例商场！我可以帮你：", "list": []any{
		map[string]any{"type": "click", "click": map[string]string{"id": "checkin", "content": "签到领积分"}},
		map[string]any{"type": "view", "view": map[string]string{"url": "https://fans.example.com/m/", "content": "积分明细"}},
		map[string]any{"type": "click", "click": map[string]string{"id": "human", "content": "转人工"}},
	}, "tail_content": "也可以直接说要办的事"}
	to := map[string]any{"touser": entry["external_userid"], "external_userid": entry["external_userid"], "open_kfid": testKF, "msgid": "re-" + entry["msgid"].(string)}
	if event, ok := entry["event"].(map[string]any); ok {
		if event["welcome_code"] != nil {
			w.api("send_msg_on_event", map[string]any{"code": event["welcome_code"], "msgid": to["msgid"], "msgtype": "msgmenu", "msgmenu": choices})
		}
		return
	}
	text, ok := entry["text"].(map[string]any)
	if !ok || entry["origin"] != 3.0 {
		return
	}
	if text["content"] == "转人工" {
		to["service_state"] = kfPool
		if answer := w.api("service_state/trans", to); answer["msg_code"] != nil {
			w.api("send_msg_on_event", map[string]any{"code": answer["msg_code"], "msgid": to["msgid"], "msgtype": "text", "text": map[string]string{"content": "正在为你转接，请稍候。"}})
		}
		return
	}
	to["msgtype"], to["text"] = "text", map[string]string{"content": "签到成功！连续 7 天，积分 +10，现有 85 分"}
	w.api("send_msg", to)
}

// TestPageKF walks through 微信客服: by a link, with a menu, to a servicer and
// back.
func TestPageKF(t *testing.T) {
	browser := browsertest.Start(t)
	for _, size := range pageSizes {
		t.Run(fmt.Sprint(size.width), func(t *testing.T) {
			w := newKFWorld(t, nil)
			w.kfBot()
			p := tab{browser.Tab(t, size.width, size.height, "light")}
			n := 0
			look := func(what string) {
				t.Helper()
				p.fits()
				p.Shoot(fmt.Sprintf("kf%d-%s-%d-light", n, what, size.width))
				n++
			}
			state := func(want string) {
				t.Helper()
				p.Wait(`document.querySelector('[data-test=kf-state]')?.dataset.state === '` + want + `'`)
			}
			talk := `document.querySelector('#lines').innerText`
			customer := "#chat=" + testKF
			p.open(w.testWorld, "")
			p.be("wmLiming")
			p.open(w.testWorld, "?1"+customer)
			p.Wait(`document.querySelector('[data-test=kf-enter]')?.offsetParent`)
			look("before")
			p.Type("[data-test=kf-param]", "g=17&s=9f3a")
			p.Click("[data-test=kf-enter]")
			p.Wait(`document.querySelectorAll('[data-test=choice]').length === 2`)
			p.Wait(talk + `.includes('scene=mall，scene_param=g=17&s=9f3a')`)
			look("welcome")
			p.Click("[data-test=choice]")
			p.Wait(talk + `.includes('签到成功')`)
			state("1")
			look("menu")
			p.Type("[data-test=input]", "转人工\r")
			p.Wait(talk + `.includes('正在为你转接')`)
			state("2")
			look("pool")

			p.be("zhangsan")
			p.open(w.testWorld, "?2#chat="+testKF+"~wmLiming")
			p.Wait(`document.querySelector('[data-test=desk-take]')`)
			look("desk")
			p.Click("[data-test=desk-take]")
			state("3")
			p.Type("[data-test=input]", "您好，我是张三\r")
			p.Wait(talk + `.includes('我是张三')`)
			look("served")

			p.be("wmLiming")
			p.open(w.testWorld, "?3"+customer)
			p.Wait(talk + `.includes('我是张三')`)
			state("3")
			look("human")
			p.be("zhangsan")
			p.open(w.testWorld, "?4#chat="+testKF+"~wmLiming")
			p.Click("[data-test=desk-end]")
			state("4")
			look("ended")
			// A link in a page outside leads into the chat.
			p.be("wmWangfang")
			p.Open(w.link("mall") + "&scene_param=poster")
			p.Wait(`document.body.dataset.ready`)
			p.Wait(talk + `.includes('scene_param=poster') && document.querySelectorAll('[data-test=choice]').length === 2`)
			p.be("zhangsan")
			if size.width > 640 {
				return
			}
			p.open(w.testWorld, "?5#list")
			p.Wait(`[...document.querySelectorAll('[data-test=chat]')].some((c) => c.innerText.includes('客服会话'))`)
			look("list")
		})
	}
}

// TestPageApp checks the chats with apps.
func TestPageApp(t *testing.T) {
	browser := browsertest.Start(t)
	for _, size := range pageSizes {
		t.Run(fmt.Sprint(size.width), func(t *testing.T) {
			app := newFakeApp(t)
			app.answers(func(p appPost, _ http.ResponseWriter, _ *http.Request) []byte {
				if p.MsgType == "text" {
					return textReply(p, "您现有 85 分，<a href=\"https://fans.example.com/m/\">看明细</a>\n明天见")
				}
				return nil
			})
			w := newWorld(t, withApp(app))
			token := w.token(testSecret)
			p := tab{browser.Tab(t, size.width, size.height, "light")}
			p.open(w, "")
			p.be("zhangsan")
			p.open(w, "?1#chat=app:1000002")
			p.Wait(`document.querySelector('#title').textContent === '会员服务'`)
			send := func(path string, body map[string]any) {
				t.Helper()
				body["touser"], body["agentid"] = "zhangsan", 1000002
				w.must(w.call(path+"?access_token="+token, body))
			}
			send("message/send", map[string]any{"msgtype": "textcard", "textcard": map[string]string{"title": "反馈待处理", "description": `<div class="gray">3 月 1 日</div><div>三楼西侧灯不亮</div>`, "url": "https://fans.example.com/t", "btntxt": "处理"}})
			send("message/send", map[string]any{"msgtype": "template_card", "template_card": map[string]any{
				"card_type": "button_interaction", "main_title": map[string]string{"title": "入群审核", "desc": "李明 申请加入"}, "task_id": "t-1",
				"button_list": []any{map[string]any{"text": "同意", "key": "yes", "style": 1}, map[string]any{"text": "拒绝", "key": "no", "style": 2}},
			}})
			p.Type("[data-test=input]", "积分\r")
			p.Wait(`[...document.querySelectorAll('.bubble a')].some((a) => a.textContent === '看明细')`)
			p.Wait(`document.querySelectorAll('.card').length === 2 && document.querySelectorAll('.press').length === 2`)
			p.Shoot(fmt.Sprintf("app-%d-light", size.width))
			p.fits()
			w.must(w.call("appchat/create?access_token="+token, map[string]any{"name": "值班群", "userlist": []string{"zhangsan", "xiaowang"}, "chatid": "oncall2026"}))
			send("appchat/send", map[string]any{"chatid": "oncall2026", "msgtype": "text", "text": map[string]any{"content": "交接班提醒"}})
			p.Wait(`[...document.querySelectorAll('[data-test=chat]')].some((c) => c.innerText.includes('值班群') && c.innerText.includes('交接班提醒'))`)
			p.open(w, "?2#chat=oncall2026")
			p.Wait(`document.querySelector('#lines').innerText.includes('交接班提醒')`)
			p.Shoot(fmt.Sprintf("appchat-%d-light", size.width))
			p.fits()
		})
	}
}

// TestShotsMore takes pictures in the dark; see the flag.
func TestShotsMore(t *testing.T) {
	browsertest.NeedShots(t)
	browser := browsertest.Start(t)
	for _, width := range []int64{390, 1440} {
		w := newKFWorld(t, withRobot)
		w.kfBot()
		for _, body := range robotPosts(t)[:3] {
			w.must(w.call("webhook/send?key="+robotKey, body))
		}
		p := tab{browser.Tab(t, width, 860, "dark")}
		name := func(what string) string { return fmt.Sprintf("dark-%s-%d", what, width) }
		p.open(w.testWorld, "#chat=wrkOne")
		p.be("zhangsan")
		p.open(w.testWorld, "?1#chat=wrkOne")
		p.Shoot(name("robot"))
		if err := w.SetFault("kf/send_msg", FaultTimeout, 2); err != nil {
			t.Fatal(err)
		}
		p.Click("[data-test=panel-open]")
		p.Wait(`document.querySelector('.api.on')`)
		browsertest.Eval[bool](p.Tab, `(document.querySelector('.api.on').scrollIntoView({ block: 'center' }), true)`)
		p.Shoot(name("panel"))
		if err := w.SetFault("kf/send_msg", NoFault, 0); err != nil {
			t.Fatal(err)
		}
		p.Click("[data-test=panel-close]")
		w.enter("wmLiming", w.link("mall")+"&scene_param=g17")
		p.be("wmLiming")
		p.open(w.testWorld, "?2#chat="+testKF)
		p.Wait(`document.querySelector('[data-test=choice]')`)
		p.Shoot(name("kf"))
	}
}
