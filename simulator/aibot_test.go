package simulator

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"qunbot/bot/wecom"
)

func TestVerification(t *testing.T) {
	w := newWorld(t, nil)
	w.waitFor("verification", func(st state) bool { return st.Verified["helper"] == "" })
}

func TestVerificationFails(t *testing.T) {
	tests := []struct {
		name   string
		handle http.HandlerFunc
		want   string
	}{
		{"refused", func(w http.ResponseWriter, r *http.Request) { http.Error(w, "no", http.StatusForbidden) }, "HTTP 403"},
		{"echo not decrypted", func(w http.ResponseWriter, r *http.Request) { w.Write([]byte(r.URL.Query().Get("echostr"))) }, "echostr"},
		{"too slow", func(w http.ResponseWriter, r *http.Request) { hang(r) }, "时限"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			server := httptest.NewServer(tt.handle)
			defer server.Close()
			w := newWorld(t, func(c *Config) {
				c.Bots[0].CallbackURL = server.URL
				c.Timing.Verify = 50 * time.Millisecond
			})
			st := w.waitFor("a problem", func(st state) bool { return st.Verified["helper"] != "尚未验证" })
			if got := st.Verified["helper"]; !strings.Contains(got, tt.want) {
				t.Errorf("problem = %q, want one about %q", got, tt.want)
			}
		})
	}
}

func TestSayAndAnswer(t *testing.T) {
	w := newWorld(t, nil)
	id := w.mustSay("wrkOne", "xiaowang", "@小助手 签到")
	st := w.settled(id)
	answer := answerTo(st, id)
	if answer == nil || !strings.HasPrefix(answer.Text, "签到成功！") || answer.Who != "helper" {
		t.Fatalf("answer = %+v", answer)
	}
	posts := w.service.got()
	if len(posts) != 1 {
		t.Fatalf("%d callbacks, want 1", len(posts))
	}
	c := posts[0].callback
	if c.ChatID != "wrkOne" || c.ChatType != "group" || c.From.UserID != "xiaowang" || c.Text.Content != "@小助手 签到" ||
		c.CreateTime == 0 || c.MsgID == "" || !strings.HasPrefix(c.ResponseURL, w.url+"/cgi-bin/aibot/response?response_code=") {
		t.Errorf("callback = %s", posts[0].plain)
	}
	tr := find(st.Traces, func(t *trace) bool { return t.Line == id })
	names := map[string]row{}
	for _, r := range tr.Rows {
		names[r.Name] = r
	}
	if r := names["规则"]; r.Detail != "checkin 签到" || r.MS == nil || *r.MS != 0.9 {
		t.Errorf("row of the rule = %+v", r)
	}
	if r := names["提交落盘"]; r.MS == nil || *r.MS != 3.1 {
		t.Errorf("row of the commit = %+v", r)
	}
	if tr.State != good || names["回答"].State != good {
		t.Errorf("trace = %+v", tr)
	}
}

func TestHearing(t *testing.T) {
	tests := []struct {
		name, chat, person, text string
		delivered                string // text; empty if nothing is
		note                     string
	}{
		{"addressed", "wrkOne", "xiaowang", "@小助手 签到", "@小助手 签到", ""},
		{"addressed at the end", "wrkOne", "xiaowang", "签到 @小助手", "签到 @小助手", ""},
		{"blank forgotten", "wrkOne", "xiaowang", "@小助手签到", "@小助手 签到", ""},
		{"not addressed", "wrkOne", "xiaowang", "签到", "", notAddressed},
		{"somebody else addressed", "wrkOne", "xiaowang", "@张三 签到", "", notAddressed},
		{"customer group", "wrCustomers", "wmLiming", "@小助手 签到", "", noBotHere},
		{"single chat", "single", "xiaowang", "签到", "签到", ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			w := newWorld(t, nil)
			id := w.mustSay(tt.chat, tt.person, tt.text)
			if tt.delivered == "" {
				if l := w.state().lineOf(t, id); l.Note != tt.note || l.Waiting {
					t.Errorf("line = %+v, want note %q", l, tt.note)
				}
				if got := len(w.service.got()); got != 0 {
					t.Errorf("%d callbacks, want none", got)
				}
				return
			}
			w.settled(id)
			c := w.service.got()[0].callback
			if c.Text.Content != tt.delivered {
				t.Errorf("delivered %q, want %q", c.Text.Content, tt.delivered)
			}
			if single := tt.chat == "single"; single != (c.ChatType == "single") || single != (c.ChatID == "") {
				t.Errorf("chattype %q, chatid %q", c.ChatType, c.ChatID)
			}
		})
	}
}

func TestRetries(t *testing.T) {
	failures := map[string]func(http.ResponseWriter){
		"HTTP 500":          func(w http.ResponseWriter) { http.Error(w, "no", http.StatusInternalServerError) },
		"connection broken": func(http.ResponseWriter) { panic(http.ErrAbortHandler) },
		"redirect":          func(w http.ResponseWriter) { w.Header().Set("Location", "/"); w.WriteHeader(http.StatusFound) },
	}
	for name, fail := range failures {
		for _, failing := range []int{1, 2, 3} {
			t.Run(fmt.Sprintf("%s %d times", name, failing), func(t *testing.T) {
				w := newWorld(t, nil)
				w.service.answers(func(p post, writer http.ResponseWriter) *wecom.AibotReply {
					if p.count <= failing {
						fail(writer)
						return nil
					}
					return w.service.usual(p.callback)
				})
				id := w.mustSay("wrkOne", "xiaowang", "@小助手 签到")
				st := w.settled(id)
				posts := w.service.got()
				if want := min(failing+1, 3); len(posts) != want {
					t.Fatalf("%d tries, want %d", len(posts), want)
				}
				for _, p := range posts[1:] {
					if p.plain != posts[0].plain {
						t.Errorf("plaintext changed from %s to %s", posts[0].plain, p.plain)
					}
					if p.query["nonce"] == posts[0].query["nonce"] {
						t.Error("nonce repeated")
					}
				}
				answered := answerTo(st, id) != nil
				if answered != (failing < 3) {
					t.Errorf("answered: %v after %d failures", answered, failing)
				}
				if l := st.lineOf(t, id); answered == (l.Error != "") {
					t.Errorf("error under the line = %q", l.Error)
				}
			})
		}
	}
}

func TestRetryAfterTimeout(t *testing.T) {
	w := newWorld(t, func(c *Config) { c.Timing.Callback = 50 * time.Millisecond })
	var tries atomic.Int32
	w.service.firstSees(func(_ http.ResponseWriter, r *http.Request) bool {
		if tries.Add(1) > 1 {
			return false
		}
		hang(r)
		return true
	})
	id := w.mustSay("wrkOne", "xiaowang", "@小助手 签到")
	st := w.settled(id)
	if answerTo(st, id) == nil {
		t.Errorf("no answer after a timeout; line = %+v", st.lineOf(t, id))
	}
}

func TestStrictReplies(t *testing.T) {
	sealed := func(w *testWorld, p post, change func(*wecom.Envelope)) []byte {
		plain, err := streamOf("st", "好", true).JSON()
		if err != nil {
			t.Fatal(err)
		}
		e := w.service.cipher.Seal(plain, time.Now().Unix(), p.query["nonce"])
		if change != nil {
			change(&e)
		}
		return e.JSON()
	}
	passive := func(w *testWorld, p post, plain string) []byte {
		return w.service.cipher.Seal([]byte(plain), time.Now().Unix(), p.query["nonce"]).JSON()
	}
	tests := []struct {
		name string
		body func(*testWorld, post) []byte
		want string // in the error; empty: accepted
	}{
		{"empty body", func(*testWorld, post) []byte { return nil }, ""},
		{"success", func(*testWorld, post) []byte { return []byte("success") }, "JSON"},
		{"wrong signature", func(w *testWorld, p post) []byte {
			return sealed(w, p, func(e *wecom.Envelope) { e.MsgSignature = strings.Repeat("0", 40) })
		}, "msgsignature"},
		{"wrong nonce", func(w *testWorld, p post) []byte { return sealed(w, p, func(e *wecom.Envelope) { e.Nonce = "1" }) }, "nonce"},
		{"timestamp a string", func(w *testWorld, p post) []byte {
			return bytes.Replace(sealed(w, p, nil), []byte(`"timestamp":`), []byte(`"timestamp":"1","t":`), 1)
		}, "信封"},
		{"field misnamed", func(w *testWorld, p post) []byte {
			return bytes.Replace(sealed(w, p, nil), []byte(`"msgsignature"`), []byte(`"msg_signature"`), 1)
		}, "信封"},
		{"plain text for a message", func(w *testWorld, p post) []byte {
			return passive(w, p, `{"msgtype":"text","text":{"content":"好"}}`)
		}, "不能用 text"},
		{"stream too long", func(w *testWorld, p post) []byte {
			return passive(w, p, `{"msgtype":"stream","stream":{"id":"1","finish":true,"content":"`+strings.Repeat("x", 20481)+`"}}`)
		}, "20481"},
		{"card without action", func(w *testWorld, p post) []byte {
			return passive(w, p, `{"msgtype":"template_card","template_card":{"card_type":"text_notice","main_title":{"title":"x"}}}`)
		}, "card_action"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			w := newWorld(t, nil)
			w.service.answers(func(p post, writer http.ResponseWriter) *wecom.AibotReply {
				writer.Write(tt.body(w, p))
				return nil
			})
			id := w.mustSay("wrkOne", "xiaowang", "@小助手 签到")
			st := w.settled(id)
			if got := st.lineOf(t, id).Error; (tt.want == "") != (got == "") || !strings.Contains(got, tt.want) {
				t.Errorf("error = %q, want one about %q", got, tt.want)
			}
			if got := len(w.service.got()); got != 1 {
				t.Errorf("%d tries, want 1: HTTP 200 is not tried again", got)
			}
			if answerTo(st, id) != nil {
				t.Error("shown nevertheless")
			}
		})
	}
}

func TestStreamGrows(t *testing.T) {
	w := newWorld(t, nil)
	w.service.answers(func(p post, _ http.ResponseWriter) *wecom.AibotReply {
		return streamOf("st-1", fmt.Sprintf("第 %d 版", p.count), p.count == 4)
	})
	id := w.mustSay("wrkOne", "xiaowang", "@小助手 报告")
	st := w.settled(id)
	if answer := answerTo(st, id); answer == nil || answer.Text != "第 4 版" || answer.Growing {
		t.Errorf("answer = %+v, want the last version", answer)
	}
	seen := map[string]bool{}
	for i, p := range w.service.got() {
		if i > 0 && (p.callback.MsgType != "stream" || p.callback.Stream.ID != "st-1" || p.callback.ResponseURL != "") {
			t.Errorf("refresh = %s", p.plain)
		}
		if seen[p.callback.MsgID] {
			t.Error("msgid of a refresh repeated")
		}
		seen[p.callback.MsgID] = true
	}
}

func TestStreamTimesOut(t *testing.T) {
	w := newWorld(t, nil)
	w.service.answers(func(p post, _ http.ResponseWriter) *wecom.AibotReply {
		if p.count == 3 {
			w.Advance(6 * time.Minute)
		}
		return streamOf("st-1", "还没好", false)
	})
	id := w.mustSay("wrkOne", "xiaowang", "@小助手 报告")
	st := w.settled(id)
	if answer := answerTo(st, id); answer == nil || answer.Text != "还没好" {
		t.Errorf("answer = %+v, want the unfinished one, closed", answer)
	}
	if got := len(w.service.got()); got != 3 {
		t.Errorf("%d callbacks, want none after 6 min", got)
	}
}

func TestOpenInteractions(t *testing.T) {
	release := make(chan struct{})
	w := newWorld(t, nil)
	w.service.firstSees(func(http.ResponseWriter, *http.Request) bool {
		<-release
		return false
	})
	var ids []string
	for range 4 {
		ids = append(ids, w.mustSay("wrkOne", "xiaowang", "@小助手 签到"))
	}
	other := w.mustSay("wrkOne", "zhangsan", "@小助手 签到")
	if got := w.state().lineOf(t, ids[3]).Error; got != tooManyOpen {
		t.Errorf("error of the fourth = %q, want %q", got, tooManyOpen)
	}
	close(release)
	for _, id := range append(ids[:3], other) {
		if st := w.settled(id); answerTo(st, id) == nil {
			t.Errorf("%s has no answer", id)
		}
	}
}

func TestRedeliver(t *testing.T) {
	w := newWorld(t, nil)
	id := w.mustSay("wrkOne", "xiaowang", "@小助手 签到")
	before := len(w.settled(id).Lines)
	if status, answer := w.do("redeliver", map[string]string{"line": id}); status != http.StatusOK {
		t.Fatalf("redeliver: %d, %v", status, answer)
	}
	st := w.waitFor("the second delivery", func(st state) bool { return st.lineOf(t, id).Deliveries == 2 })
	posts := w.service.got()
	if len(posts) != 2 || posts[0].plain != posts[1].plain {
		t.Fatalf("callbacks = %+v, want the same twice", posts)
	}
	if posts[0].query["nonce"] == posts[1].query["nonce"] || posts[0].query["msg_signature"] == posts[1].query["msg_signature"] {
		t.Error("nonce or signature repeated")
	}
	if got := st.lineOf(t, id).Note; !strings.Contains(got, "一字不差") {
		t.Errorf("note = %q", got)
	}
	if len(st.Lines) != before {
		t.Errorf("%d lines, want %d: the same answer is not shown twice", len(st.Lines), before)
	}
}

func TestRedeliverDifferentAnswer(t *testing.T) {
	w := newWorld(t, nil)
	w.service.answers(func(p post, _ http.ResponseWriter) *wecom.AibotReply {
		return streamOf(fmt.Sprint("st-", p.count), fmt.Sprintf("积分 +%d", p.count), true)
	})
	id := w.mustSay("wrkOne", "xiaowang", "@小助手 签到")
	w.settled(id)
	w.do("redeliver", map[string]string{"line": id})
	st := w.waitFor("the second delivery", func(st state) bool { return st.lineOf(t, id).Deliveries == 2 })
	if got := st.lineOf(t, id).Note; !strings.Contains(got, "不同") {
		t.Errorf("note = %q, want a warning", got)
	}
	if got := st.Lines[len(st.Lines)-1].Text; got != "积分 +2" {
		t.Errorf("last line = %q, want the second answer", got)
	}
}

func TestUnplug(t *testing.T) {
	cut := make(chan struct{})
	w := newWorld(t, func(c *Config) {
		c.Service = plug{kill: func() error { close(cut); return nil }}
	})
	w.service.firstSees(func(http.ResponseWriter, *http.Request) bool {
		select {
		case <-cut:
			return false
		default: // the first is under way when the power goes
			<-cut
			panic(http.ErrAbortHandler)
		}
	})
	status, said := w.do("unplug", map[string]string{"chat": "wrkOne", "person": "xiaowang", "text": "@小助手 签到"})
	if status != http.StatusOK {
		t.Fatalf("unplug: %d, %v", status, said)
	}
	id := said["id"].(string)
	st := w.settled(id)
	if answer := answerTo(st, id); answer == nil || !strings.HasPrefix(answer.Text, "签到成功") {
		t.Errorf("answer = %+v", answer)
	}
	tr := find(st.Traces, func(t *trace) bool { return t.Line == id })
	var names []string
	for _, r := range tr.Rows {
		if r.Level == 0 {
			names = append(names, r.Name)
		}
	}
	want := "加密并签名 发出 断电 第 1 次投递 没送到 重启 加密并签名 第 2 次投递 回答 结果"
	if got := strings.Join(names, " "); got != want {
		t.Errorf("steps = %s, want %s", got, want)
	}
	if tr.State != good {
		t.Errorf("state = %q, want good", tr.State)
	}
}

// A plug is a Service made of a func.
type plug struct{ kill func() error }

func (p plug) Kill() error { return p.kill() }

func (plug) Start(context.Context) error { return nil }

func TestUnplugRefuses(t *testing.T) {
	w := newWorld(t, nil)
	if status, _ := w.do("unplug", map[string]string{"chat": "wrkOne", "person": "xiaowang", "text": "签到"}); status != http.StatusConflict {
		t.Errorf("unplug with an unheard message: status %d, want 409", status)
	}
	w = newWorld(t, func(c *Config) { c.Service = nil })
	if status, _ := w.do("unplug", map[string]string{"chat": "wrkOne", "person": "xiaowang", "text": "@小助手 签到"}); status != http.StatusConflict {
		t.Errorf("unplug without a service: status %d, want 409", status)
	}
	if w.state().Plug {
		t.Error("state says that there is a plug")
	}
}

func TestEnterChat(t *testing.T) {
	w := newWorld(t, nil)
	open := func() {
		if status, answer := w.do("open", map[string]string{"chat": "single", "person": "xiaowang"}); status != http.StatusOK {
			t.Fatalf("open: %d, %v", status, answer)
		}
	}
	greetings := func(st state) (n int) {
		for _, l := range st.Lines {
			if l.Chat == "single" && l.With == "xiaowang" && l.Who == "helper" {
				n++
			}
		}
		return n
	}
	open()
	w.waitFor("the greeting", func(st state) bool { return greetings(st) == 1 })
	open()
	w.Advance(24 * time.Hour)
	open()
	w.waitFor("the next day's greeting", func(st state) bool { return greetings(st) == 2 })
	for _, p := range w.service.got() {
		if p.callback.Event == nil || p.callback.Event.EventType != "enter_chat" || p.callback.ChatType != "single" {
			t.Errorf("callback = %s", p.plain)
		}
	}
}

func TestCardButton(t *testing.T) {
	w := newWorld(t, nil)
	w.service.answers(func(p post, _ http.ResponseWriter) *wecom.AibotReply {
		card := &wecom.TemplateCard{
			CardType: wecom.CardButtonInteraction, MainTitle: &wecom.CardTitle{Title: "参加抽奖？"},
			ButtonList: []wecom.CardButton{{Text: "参加", Key: "join"}}, TaskID: "t-1",
		}
		if p.callback.MsgType == wecom.TypeEvent {
			card = &wecom.TemplateCard{
				CardType: wecom.CardTextNotice, MainTitle: &wecom.CardTitle{Title: "已参加：" + p.callback.Event.Card.EventKey},
				CardAction: &wecom.CardAction{Type: 1, URL: "https://example.com"},
			}
			return &wecom.AibotReply{ResponseType: wecom.ResponseUpdateCard, TemplateCard: card}
		}
		return &wecom.AibotReply{MsgType: wecom.TypeCard, TemplateCard: card}
	})
	id := w.mustSay("wrkOne", "xiaowang", "@小助手 抽奖")
	card := answerTo(w.settled(id), id)
	if status, _ := w.do("press", map[string]string{"line": card.ID, "person": "xiaowang", "key": "other"}); status != http.StatusNotFound {
		t.Errorf("press of no button: status %d, want 404", status)
	}
	if status, answer := w.do("press", map[string]string{"line": card.ID, "person": "xiaowang", "key": "join"}); status != http.StatusOK {
		t.Fatalf("press: %d, %v", status, answer)
	}
	w.waitFor("the new card", func(st state) bool { return st.lineOf(t, card.ID).Card.MainTitle.Title == "已参加：join" })
}

func TestResponseURL(t *testing.T) {
	w := newWorld(t, nil)
	id := w.mustSay("wrkOne", "xiaowang", "@小助手 签到")
	w.settled(id)
	to := w.service.got()[0].callback.ResponseURL
	post := func(body string) int {
		t.Helper()
		response, err := http.Post(to, "application/json", strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		defer response.Body.Close()
		var answer map[string]any
		if err := json.NewDecoder(response.Body).Decode(&answer); err != nil {
			t.Fatal(err)
		}
		return code(answer)
	}
	markdown := func(text string) string { return `{"msgtype":"markdown","markdown":{"content":"` + text + `"}}` }
	for body, want := range map[string]int{
		`{`: 47001,
		`{"msgtype":"text","text":{"content":"x"}}`: 40008,
		markdown(""):                         44004,
		markdown(strings.Repeat("x", 20481)): 45002,
		`{"msgtype":"template_card","template_card":{"card_type":"nonsense"}}`: 40058,
	} {
		if got := post(body); got != want {
			t.Errorf("response_url with %.60s: errcode %d, want %d", body, got, want)
		}
	}
	if got := post(markdown("**完成**")); got != 0 {
		t.Fatalf("first use: errcode %d, want 0", got)
	}
	if got := post(markdown("again")); got != 40058 {
		t.Errorf("second use: errcode %d, want 40058", got)
	}
	st := w.state()
	if last := st.Lines[len(st.Lines)-1]; last.Text != "**完成**" || last.ReplyTo != id {
		t.Errorf("last line = %+v", last)
	}

	id = w.mustSay("wrkOne", "xiaowang", "@小助手 签到")
	w.settled(id)
	to = w.service.got()[1].callback.ResponseURL
	w.Advance(time.Hour)
	if got := post(markdown("late")); got != 40058 {
		t.Errorf("use after an hour: errcode %d, want 40058", got)
	}
}
