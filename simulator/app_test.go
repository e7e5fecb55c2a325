package simulator

import (
	"encoding/json"
	"encoding/xml"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"qunbot/bot/wecom"
)

// A fakeApp is the service behind an app's callback URL. It answers what
// answer says; nil is an empty body.
type fakeApp struct {
	t      *testing.T
	cipher *wecom.Cipher
	url    string

	mu     sync.Mutex
	posts  []appPost
	answer func(p appPost, w http.ResponseWriter, r *http.Request) []byte
}

// An appPost is one callback as the app got it.
type appPost struct {
	ToUserName, FromUserName, MsgType, Content, Event, EventKey string
	TaskID                                                      string `xml:"TaskId"`
	MsgID                                                       string `xml:"MsgId"`
	OpenKFID                                                    string `xml:"OpenKfId"`
	Token, ResponseCode, AgentID                                string
	CreateTime                                                  int64

	plain string
	count int // from 1
}

// newFakeApp returns a service that is ready for callbacks.
func newFakeApp(t *testing.T) *fakeApp {
	t.Helper()
	cipher, err := wecom.NewCipher(testToken, testKey, testCorp)
	if err != nil {
		t.Fatal(err)
	}
	f := &fakeApp{t: t, cipher: cipher}
	server := httptest.NewServer(f)
	t.Cleanup(server.Close)
	f.url = server.URL + "/wecom/app"
	return f
}

func (f *fakeApp) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.Method == http.MethodGet {
		echo, err := f.cipher.OpenEcho(r.URL.Query())
		if err != nil {
			http.Error(w, err.Error(), http.StatusForbidden)
			return
		}
		w.Write(echo)
		return
	}
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return
	}
	plain, err := f.cipher.OpenPost(r.URL.Query(), body)
	if err != nil || !strings.HasPrefix(string(body), "<xml><ToUserName><![CDATA["+testCorp+"]]>") {
		f.t.Errorf("OpenPost(%s): %v", body, err)
		http.Error(w, "bad", http.StatusForbidden)
		return
	}
	p := appPost{plain: string(plain)}
	if err := xml.Unmarshal(plain, &p); err != nil {
		f.t.Errorf("%s: %v", plain, err)
	}
	f.mu.Lock()
	p.count = len(f.posts) + 1
	f.posts = append(f.posts, p)
	answer := f.answer
	f.mu.Unlock()
	if answer == nil {
		return
	}
	if reply := answer(p, w, r); len(reply) > 0 {
		w.Write(f.cipher.Seal(reply, time.Now().Unix(), "88001").XML())
	}
}

// answers sets how the app answers.
func (f *fakeApp) answers(answer func(p appPost, w http.ResponseWriter, r *http.Request) []byte) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.answer = answer
}

func (f *fakeApp) got() []appPost {
	f.mu.Lock()
	defer f.mu.Unlock()
	return slices.Clone(f.posts)
}

// replyTo returns a passive reply to p.
func replyTo(p appPost, rest string) []byte {
	return fmt.Appendf(nil, "<xml><ToUserName><![CDATA[%s]]></ToUserName><FromUserName><![CDATA[%s]]></FromUserName><CreateTime>%d</CreateTime>%s</xml>",
		p.FromUserName, p.ToUserName, time.Now().UnixNano(), rest)
}

func textReply(p appPost, words string) []byte {
	return replyTo(p, "<MsgType><![CDATA[text]]></MsgType><Content><![CDATA["+words+"]]></Content>")
}

// withApp gives the first app a service.
func withApp(f *fakeApp) func(*Config) {
	return func(c *Config) {
		c.Apps[0].Name, c.Apps[0].Token, c.Apps[0].AESKey, c.Apps[0].CallbackURL = "会员服务", testToken, testKey, f.url
	}
}

// linesOf returns what is in a chat that somebody has.
func (st state) linesOf(chat, with string) []*line {
	return slices.DeleteFunc(slices.Clone(st.Lines), func(l *line) bool { return l.Chat != chat || l.With != with })
}

func TestMessageSend(t *testing.T) {
	w := newWorld(t, func(c *Config) { c.Apps[1].Scope = []string{"zhangsan"} })
	first, second := w.token(testSecret), w.token("another-secret")
	text := map[string]any{"content": "您有 2 个待处理"}
	message := func(to string, more map[string]any) map[string]any {
		m := map[string]any{"touser": to, "agentid": 1000002, "msgtype": "text", "text": text}
		for name, value := range more {
			m[name] = value
		}
		return m
	}
	button := map[string]any{"card_type": "button_interaction", "main_title": map[string]string{"title": "x"}, "task_id": "t1", "button_list": []any{map[string]any{"text": "好", "key": "k"}}}
	tests := []struct {
		name    string
		token   string
		body    any
		want    int
		invalid string
	}{
		{"text", first, message("xiaowang", nil), 0, ""},
		{"somebody unknown", first, message("xiaowang|Nobody1|wmLiming", nil), 0, "nobody1|wmliming"},
		{"everybody", first, message("@all", nil), 0, ""},
		{"the root party", first, message("", map[string]any{"toparty": "1"}), 0, ""},
		{"nobody known", first, message("nobody", nil), 81013, ""},
		{"unknown party", first, message("", map[string]any{"toparty": "7"}), 81013, ""},
		{"nobody named", first, message("", nil), 82001, ""},
		{"too many", first, message(strings.Repeat("x|", 1001), nil), 40031, ""},
		{"too many parties", first, message("", map[string]any{"toparty": strings.Repeat("1|", 101)}), 82002, ""},
		{"token of another app", second, message("zhangsan", nil), 301002, ""},
		{"agentid as text", first, message("xiaowang", map[string]any{"agentid": "1000002"}), 40056, ""},
		{"no agentid", first, `{"touser":"xiaowang","msgtype":"text","text":{"content":"x"}}`, 40056, ""},
		{"outside of the scope", second, message("zhangsan|xiaowang", map[string]any{"agentid": 1000003}), 0, "xiaowang"},
		{"all outside of the scope", second, message("xiaowang", map[string]any{"agentid": 1000003}), 81013, ""},
		{"empty text", first, message("xiaowang", map[string]any{"text": map[string]string{"content": ""}}), 44004, ""},
		{"unknown kind", first, message("xiaowang", map[string]any{"msgtype": "markdown_v2"}), 40008, ""},
		{"markdown", first, message("xiaowang", map[string]any{"msgtype": "markdown", "markdown": map[string]string{"content": "**x**"}}), 0, ""},
		{"markdown too long", first, message("xiaowang", map[string]any{"msgtype": "markdown", "markdown": map[string]string{"content": strings.Repeat("x", 2049)}}), 45002, ""},
		{"news", first, message("xiaowang", map[string]any{"msgtype": "news", "news": map[string]any{"articles": []any{map[string]string{"title": "x", "url": "https://a.example"}}}}), 0, ""},
		{"textcard", first, message("xiaowang", map[string]any{"msgtype": "textcard", "textcard": map[string]string{"title": "领奖", "description": `<div class="gray">明天</div><div>带上券码</div>`, "url": "https://a.example"}}), 0, ""},
		{"textcard without a url", first, message("xiaowang", map[string]any{"msgtype": "textcard", "textcard": map[string]string{"title": "领奖", "description": "x"}}), 40058, ""},
		{"notice of a mini program", first, message("xiaowang", map[string]any{"msgtype": "miniprogram_notice", "miniprogram_notice": map[string]any{"appid": "wx1", "title": "到店"}}), 0, ""},
		{"image that is unknown", first, message("xiaowang", map[string]any{"msgtype": "image", "image": map[string]string{"media_id": "x"}}), 40007, ""},
		{"card with buttons, no callback", first, message("xiaowang", map[string]any{"msgtype": "template_card", "template_card": button}), 40058, ""},
		{"no token", "", message("xiaowang", nil), 41001, ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			answer := w.call("message/send?access_token="+tt.token, tt.body)
			if code(answer) != tt.want {
				t.Fatalf("answer = %v, want errcode %d", answer, tt.want)
			}
			if tt.want == 0 && (answer["invaliduser"] != tt.invalid || answer["msgid"] == "") {
				t.Errorf("answer = %v, want invaliduser %q", answer, tt.invalid)
			}
		})
	}
	st := w.state()
	if lines := st.linesOf("app:1000002", "chenchen"); len(lines) != 2 {
		t.Errorf("chenchen has %d messages, want those for everybody and for the root party", len(lines))
	}
	if lines := st.linesOf("app:1000003", "zhangsan"); len(lines) != 1 {
		t.Errorf("zhangsan has %d messages of the other app, want 1", len(lines))
	}
	card := find(st.Lines, func(l *line) bool { return l.Card != nil && l.Card.CardType == typeTextCard })
	if card == nil || card.Card.SubTitleText != "明天\n带上券码" {
		t.Errorf("textcard = %+v", card)
	}
	long := w.must(w.call("message/send?access_token="+first, message("xiaowang", map[string]any{"text": map[string]string{"content": strings.Repeat("长", 1000)}})))
	lines := w.state().linesOf("app:1000002", "xiaowang")
	if got := lines[len(lines)-1].Text; got != strings.Repeat("长", 682) {
		t.Errorf("a long text was cut to %d B, want 2046", len(got))
	}
	w.must(w.call("message/recall?access_token="+first, map[string]any{"msgid": long["msgid"]}))
	lines = w.state().linesOf("app:1000002", "xiaowang")
	if got := lines[len(lines)-1]; got.Text != "" || got.Note == "" {
		t.Errorf("a recalled message is %+v", got)
	}
	if answer := w.call("message/recall?access_token="+first, map[string]any{"msgid": long["msgid"]}); code(answer) != 40058 {
		t.Errorf("recalled twice: %v, want 40058", answer)
	}
}

func TestMessageDuplicates(t *testing.T) {
	w := newWorld(t, nil)
	token := w.token(testSecret)
	send := func(words string, check int) {
		t.Helper()
		w.must(w.call("message/send?access_token="+token, map[string]any{
			"touser": "xiaowang", "agentid": 1000002, "msgtype": "text", "text": map[string]string{"content": words},
			"enable_duplicate_check": check, "duplicate_check_interval": 600,
		}))
	}
	count := func() int { return len(w.state().linesOf("app:1000002", "xiaowang")) }
	send("一", 1)
	send("一", 1)
	send("二", 1)
	if got := count(); got != 2 {
		t.Errorf("%d messages shown, want 2", got)
	}
	send("一", 0)
	if got := count(); got != 3 {
		t.Errorf("%d messages shown without the check, want 3", got)
	}
	w.Advance(10 * time.Minute)
	send("一", 1)
	if got := count(); got != 4 {
		t.Errorf("%d messages shown after the interval, want 4", got)
	}
}

func TestMessageLimit(t *testing.T) {
	w := newWorld(t, nil)
	token := w.token(testSecret)
	send := func() {
		t.Helper()
		w.must(w.call("message/send?access_token="+token, map[string]any{
			"touser": "xiaowang|zhangsan", "agentid": 1000002, "msgtype": "text", "text": map[string]string{"content": "x"},
		}))
	}
	for range maxPerMemberMinute + 5 {
		send()
	}
	if got := len(w.state().linesOf("app:1000002", "xiaowang")); got != maxPerMemberMinute {
		t.Errorf("%d messages shown, want %d: the rest is dropped without a word", got, maxPerMemberMinute)
	}
	w.Advance(time.Minute)
	send()
	if got := len(w.state().linesOf("app:1000002", "zhangsan")); got != maxPerMemberMinute+1 {
		t.Errorf("%d messages shown a minute later, want %d", got, maxPerMemberMinute+1)
	}
}

func TestMediaUpload(t *testing.T) {
	w := newWorld(t, nil)
	path := "media/upload?access_token=" + w.token(testSecret) + "&type="
	answer := w.must(w.uploadAs(path+"image", "media", picture(t, 8, 8)))
	w.must(w.call("message/send?access_token="+w.token("another-secret"), map[string]any{
		"touser": "xiaowang", "agentid": 1000003, "msgtype": "image", "image": map[string]any{"media_id": answer["media_id"]},
	}))
	if got := code(w.uploadAs(path+"image", "media", []byte("no picture"))); got != 40004 {
		t.Errorf("errcode of a text as image = %d, want 40004", got)
	}
	if got := code(w.uploadAs(path+"thing", "media", []byte("123456"))); got != 40005 {
		t.Errorf("errcode of an unknown type = %d, want 40005", got)
	}
	if got := code(w.uploadAs("media/upload?type=file", "media", []byte("123456"))); got != 41001 {
		t.Errorf("errcode without a token = %d, want 41001", got)
	}
}

func TestAppChat(t *testing.T) {
	w := newWorld(t, func(c *Config) {
		c.Apps = append(c.Apps, App{AgentID: "1000004", Secret: "narrow", Scope: []string{"zhangsan"}})
	})
	token, other := w.token(testSecret), w.token("another-secret")
	create := func(token string, more map[string]any) map[string]any {
		body := map[string]any{"name": "值班群", "owner": "zhangsan", "userlist": []string{"zhangsan", "xiaowang"}, "chatid": "oncall2026"}
		for name, value := range more {
			body[name] = value
		}
		return w.call("appchat/create?access_token="+token, body)
	}
	for _, tt := range []struct {
		name string
		more map[string]any
		want int
	}{
		{"one member", map[string]any{"userlist": []string{"zhangsan", "zhangsan"}}, 86006},
		{"a customer", map[string]any{"userlist": []string{"zhangsan", "wmLiming"}}, 86216},
		{"owner outside", map[string]any{"owner": "chenchen"}, 86207},
		{"bad id", map[string]any{"chatid": "on-call"}, 86001},
		{"id of a group", map[string]any{"chatid": "wrkOne"}, 86215},
		{"long name", map[string]any{"name": strings.Repeat("长", 51)}, 86004},
	} {
		if got := code(create(token, tt.more)); got != tt.want {
			t.Errorf("create, %s: errcode %d, want %d", tt.name, got, tt.want)
		}
	}
	if got := code(create(w.token("narrow"), nil)); got != 60011 {
		t.Errorf("errcode without the root scope = %d, want 60011", got)
	}
	if answer := w.must(create(token, nil)); answer["chatid"] != "oncall2026" {
		t.Fatalf("create = %v", answer)
	}
	if got := code(create(token, nil)); got != 86215 {
		t.Errorf("errcode of the same id = %d, want 86215", got)
	}
	if find(w.state().Chats, func(c chatState) bool { return c.ID == "oncall2026" }).ID != "" {
		t.Error("the chat is listed before anything was said in it")
	}
	send := func(token, id, kind string) int {
		return code(w.call("appchat/send?access_token="+token, map[string]any{
			"chatid": id, "msgtype": kind, "text": map[string]any{"content": "交接班提醒", "mentioned_list": []string{"@all"}},
		}))
	}
	for _, tt := range []struct {
		name, token, id, kind string
		want                  int
	}{
		{"unknown chat", token, "nowhere", "text", 86003},
		{"chat of another app", other, "oncall2026", "text", 86008},
		{"a kind that appchat has not", token, "oncall2026", "template_card", 40008},
		{"text", token, "oncall2026", "text", 0},
	} {
		if got := send(tt.token, tt.id, tt.kind); got != tt.want {
			t.Errorf("send, %s: errcode %d, want %d", tt.name, got, tt.want)
		}
	}
	st := w.state()
	if c := find(st.Chats, func(c chatState) bool { return c.ID == "oncall2026" }); c.Kind != appGroup || len(c.Members) != 2 {
		t.Errorf("chat = %+v", c)
	}
	if lines := st.linesOf("oncall2026", ""); len(lines) != 1 || lines[0].Who != "app:1000002" {
		t.Errorf("lines = %+v", lines)
	}
	w.must(w.call("appchat/update?access_token="+token, map[string]any{"chatid": "oncall2026", "name": "夜班群", "add_user_list": []string{"chenchen"}, "del_user_list": []string{"xiaowang"}}))
	info := w.must(w.get("/cgi-bin/appchat/get?chatid=oncall2026&access_token=" + token))["chat_info"].(map[string]any)
	if got := fmt.Sprint(info["name"], info["owner"], info["userlist"]); got != "夜班群zhangsan[chenchen zhangsan]" {
		t.Errorf("chat_info = %v", info)
	}
	if got := code(w.call("appchat/update?access_token="+token, map[string]any{"chatid": "oncall2026", "del_user_list": []string{"zhangsan"}})); got != 86006 && got != 86207 {
		t.Errorf("errcode of removing the owner = %d, want 86006 or 86207", got)
	}
	id := w.mustSay("oncall2026", "chenchen", "收到")
	if l := w.state().lineOf(t, id); l.Note != noEars || l.Heard {
		t.Errorf("line = %+v", l)
	}
}

func TestAppCallback(t *testing.T) {
	app := newFakeApp(t)
	app.answers(func(p appPost, _ http.ResponseWriter, _ *http.Request) []byte {
		return textReply(p, "听到了")
	})
	w := newWorld(t, withApp(app))
	w.waitFor("verification", func(st state) bool { return st.Verified["app:1000002"] == "" })
	id := w.mustSay("app:1000002", "xiaowang", "]]> 积分")
	st := w.settled(id)
	posts := app.got()
	if len(posts) != 1 {
		t.Fatalf("%d callbacks, want 1", len(posts))
	}
	p := posts[0]
	if p.ToUserName != testCorp || p.FromUserName != "xiaowang" || p.MsgType != "text" || p.Content != "]]> 积分" || p.AgentID != "1000002" || len(p.MsgID) != 18 || p.CreateTime == 0 {
		t.Errorf("callback = %s", p.plain)
	}
	if answer := answerTo(st, id); answer == nil || answer.Text != "听到了" || answer.With != "xiaowang" {
		t.Errorf("answer = %+v", answer)
	}
	// The same once more: the same MsgId, and the answer differs in its time only.
	if status, _ := w.do("redeliver", ask{Line: id}); status != http.StatusOK {
		t.Fatal("cannot deliver again")
	}
	st = w.waitFor("the repeat", func(st state) bool { return st.lineOf(t, id).Deliveries == 2 })
	if posts := app.got(); posts[1].MsgID != p.MsgID || posts[1].plain != p.plain {
		t.Errorf("repeat = %s", posts[1].plain)
	}
	if note := st.lineOf(t, id).Note; !strings.Contains(note, "一字不差") {
		t.Errorf("note = %q", note)
	}
}

func TestAppCallbackReplies(t *testing.T) {
	tests := []struct {
		name   string
		answer func(p appPost, w http.ResponseWriter, r *http.Request) []byte
		posts  int
		shown  string // of the answer
		errors string // under the message
	}{
		{"nothing", func(appPost, http.ResponseWriter, *http.Request) []byte { return nil }, 1, "", ""},
		{"news", func(p appPost, _ http.ResponseWriter, _ *http.Request) []byte {
			return replyTo(p, "<MsgType>news</MsgType><ArticleCount>1</ArticleCount><Articles><item><Title>市集</Title><Description>x</Description><PicUrl>https://a.example/p.png</PicUrl><Url>https://a.example</Url></item></Articles>")
		}, 1, "市集", ""},
		{"success", func(_ appPost, w http.ResponseWriter, _ *http.Request) []byte {
			io.WriteString(w, "success")
			return nil
		}, 1, "", "不是 XML 信封"},
		{"names not swapped", func(p appPost, _ http.ResponseWriter, _ *http.Request) []byte {
			p.FromUserName, p.ToUserName = p.ToUserName, p.FromUserName
			return textReply(p, "x")
		}, 1, "", "ToUserName"},
		{"a kind that cannot be", func(p appPost, _ http.ResponseWriter, _ *http.Request) []byte {
			return replyTo(p, "<MsgType>markdown</MsgType>")
		}, 1, "", "不能用"},
		{"500, then well", func(p appPost, w http.ResponseWriter, _ *http.Request) []byte {
			if p.count < 3 {
				w.WriteHeader(http.StatusInternalServerError)
				return nil
			}
			return textReply(p, "好")
		}, 3, "好", ""},
		{"always 500", func(p appPost, w http.ResponseWriter, _ *http.Request) []byte {
			w.WriteHeader(http.StatusInternalServerError)
			return nil
		}, 3, "", "没有送到"},
		{"too slow, then well", func(p appPost, w http.ResponseWriter, r *http.Request) []byte {
			if p.count == 1 {
				<-r.Context().Done()
			}
			return textReply(p, "好")
		}, 2, "好", ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			app := newFakeApp(t)
			app.answers(tt.answer)
			w := newWorld(t, func(c *Config) {
				withApp(app)(c)
				c.Timing.Callback = 300 * time.Millisecond
			})
			id := w.mustSay("app:1000002", "xiaowang", "在吗")
			st := w.settled(id)
			posts := app.got()
			if len(posts) != tt.posts {
				t.Errorf("%d callbacks, want %d", len(posts), tt.posts)
			}
			for _, p := range posts {
				if p.MsgID != posts[0].MsgID {
					t.Errorf("MsgId %s, then %s", posts[0].MsgID, p.MsgID)
				}
			}
			if got := st.lineOf(t, id).Error; (got == "") != (tt.errors == "") || !strings.Contains(got, tt.errors) {
				t.Errorf("error = %q, want one about %q", got, tt.errors)
			}
			shown := ""
			if a := answerTo(st, id); a != nil {
				shown = a.Text
				if len(a.Articles) > 0 {
					shown = a.Articles[0].Title
				}
			}
			if shown != tt.shown {
				t.Errorf("answer = %q, want %q", shown, tt.shown)
			}
		})
	}
}

func TestAppCard(t *testing.T) {
	app := newFakeApp(t)
	app.answers(func(p appPost, _ http.ResponseWriter, _ *http.Request) []byte {
		if p.Event == "template_card_event" && p.EventKey == "yes" {
			return replyTo(p, "<MsgType>update_button</MsgType><Button><ReplaceName>已同意</ReplaceName></Button>")
		}
		return nil
	})
	w := newWorld(t, withApp(app))
	token := w.token(testSecret)
	card := map[string]any{
		"card_type": "button_interaction", "main_title": map[string]string{"title": "入群审核"}, "task_id": "t-1",
		"button_list": []any{map[string]any{"text": "同意", "key": "yes"}, map[string]any{"text": "拒绝", "key": "no"}},
	}
	answer := w.must(w.call("message/send?access_token="+token, map[string]any{"touser": "xiaowang|zhangsan", "agentid": 1000002, "msgtype": "template_card", "template_card": card}))
	shown := w.state().linesOf("app:1000002", "xiaowang")[0]
	if status, got := w.do("press", ask{Line: shown.ID, Person: "xiaowang", Key: "yes"}); status != http.StatusOK {
		t.Fatal(got)
	}
	st := w.waitFor("the changed button", func(st state) bool { return len(st.lineOf(t, shown.ID).Card.ButtonList) == 1 })
	if b := st.lineOf(t, shown.ID).Card.ButtonList[0]; b.Text != "已同意" || b.Key != "" {
		t.Errorf("button = %+v", b)
	}
	p := app.got()[0]
	if p.TaskID != "t-1" || p.FromUserName != "xiaowang" || p.ResponseCode == "" {
		t.Errorf("event = %s", p.plain)
	}
	update := map[string]any{"userids": []string{"zhangsan", "ghost"}, "agentid": 1000002, "response_code": answer["response_code"], "button": map[string]string{"replace_name": "已过期"}}
	if got := w.must(w.call("message/update_template_card?access_token="+token, update)); fmt.Sprint(got["invaliduser"]) != "[ghost]" {
		t.Errorf("update = %v", got)
	}
	if got := code(w.call("message/update_template_card?access_token="+token, update)); got != 40058 {
		t.Errorf("errcode of a used response_code = %d, want 40058", got)
	}
	if b := w.state().linesOf("app:1000002", "zhangsan")[0].Card.ButtonList; len(b) != 1 || b[0].Text != "已过期" {
		t.Errorf("buttons = %+v", b)
	}
}

func TestAppEnter(t *testing.T) {
	app := newFakeApp(t)
	w := newWorld(t, withApp(app))
	if status, got := w.do("open", ask{Chat: "app:1000002", Person: "zhangsan"}); status != http.StatusOK {
		t.Fatal(got)
	}
	w.waitFor("the event", func(st state) bool {
		return slices.ContainsFunc(st.Traces, func(t *trace) bool { return t.State == good })
	})
	if p := app.got()[0]; p.Event != "enter_agent" || p.FromUserName != "zhangsan" {
		t.Errorf("event = %s", p.plain)
	}
}

// mustJSONText returns v as JSON.
func mustJSONText(t *testing.T, v any) string {
	t.Helper()
	text, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}
