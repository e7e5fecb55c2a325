package simulator

import (
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"
)

const testKF = "wkSIM0001"

// withKF gives the world a service account that app manages.
func withKF(app *fakeApp) func(*Config) {
	return func(c *Config) {
		withApp(app)(c)
		c.KF = []KFAccount{{ID: testKF, Name: "示例商场客服", Servicers: []string{"zhangsan", "chenchen"}, Scenes: []string{"mall"}}}
		c.People[3].UnionID = "oUNION"
	}
}

// A kfWorld is a world with a service account.
type kfWorld struct {
	*testWorld
	app   *fakeApp
	token string // access token
}

func newKFWorld(t *testing.T, change func(*Config)) *kfWorld {
	t.Helper()
	app := newFakeApp(t)
	w := newWorld(t, func(c *Config) {
		withKF(app)(c)
		c.TokenLife = 30 * 24 * time.Hour
		if change != nil {
			change(c)
		}
	})
	return &kfWorld{w, app, w.token(testSecret)}
}

// api calls kf/name with the app's token.
func (w *kfWorld) api(name string, body any) map[string]any {
	w.t.Helper()
	return w.call("kf/"+name+"?access_token="+w.token, body)
}

// link returns the link with a scene.
func (w *kfWorld) link(scene string) string {
	w.t.Helper()
	return w.must(w.api("add_contact_way", map[string]any{"open_kfid": testKF, "scene": scene}))["url"].(string)
}

// enter opens a link as a customer.
func (w *kfWorld) enter(person, link string) {
	w.t.Helper()
	if status, answer := w.do("enter", ask{Person: person, URL: link}); status != http.StatusOK {
		w.t.Fatalf("enter: %d %v", status, answer)
	}
}

// writes says something as a customer.
func (w *kfWorld) writes(person, words string) string {
	w.t.Helper()
	return w.mustSay(testKF, person, words)
}

// hints returns the callbacks so far, once there are n.
func (w *kfWorld) hints(n int) []appPost {
	w.t.Helper()
	w.waitFor(fmt.Sprintf("%d callbacks", n), func(state) bool { return len(w.app.got()) >= n })
	return w.app.got()
}

// A pulled is what sync_msg has given.
type pulled struct {
	entries []map[string]any
	cursor  string
	empty   int // answers without entries but with more to come
	calls   int
}

// pull reads on from cursor to the end.
func (w *kfWorld) pull(cursor, token string) pulled {
	w.t.Helper()
	p := pulled{cursor: cursor}
	for {
		p.calls++
		answer := w.must(w.api("sync_msg", map[string]any{"open_kfid": testKF, "cursor": p.cursor, "token": token, "limit": 2}))
		list := answer["msg_list"].([]any)
		if len(list) > 2 {
			w.t.Errorf("%d entries, want at most 2", len(list))
		}
		for _, one := range list {
			p.entries = append(p.entries, one.(map[string]any))
		}
		p.cursor = answer["next_cursor"].(string)
		if len(p.cursor) > 64 || p.cursor == "" {
			w.t.Errorf("next_cursor = %q, want 1 to 64 bytes", p.cursor)
		}
		if answer["has_more"].(float64) == 0 {
			return p
		}
		if len(list) == 0 {
			p.empty++
		}
	}
}

// texts returns what was said, each once, in its order.
func (p pulled) texts() (words []string, repeated int) {
	seen := map[any]bool{}
	for _, e := range p.entries {
		if seen[e["msgid"]] {
			repeated++
			continue
		}
		seen[e["msgid"]] = true
		if text, ok := e["text"].(map[string]any); ok {
			words = append(words, text["content"].(string))
		}
	}
	return words, repeated
}

// events returns the events of a type.
func (p pulled) events(name string) (found []map[string]any) {
	for _, e := range p.entries {
		if event, ok := e["event"].(map[string]any); ok && event["event_type"] == name {
			found = append(found, event)
		}
	}
	return found
}

// send sends a text and returns the errcode.
func (w *kfWorld) send(to, words string) int {
	w.t.Helper()
	return code(w.api("send_msg", map[string]any{"touser": to, "open_kfid": testKF, "msgtype": "text", "text": map[string]string{"content": words}}))
}

func TestKFEnter(t *testing.T) {
	w := newKFWorld(t, nil)
	link := w.link("mall")
	w.enter("wmLiming", link+"&scene_param="+url.QueryEscape("g=17&s=9f3a"))
	hint := w.hints(1)[0]
	if hint.Event != "kf_msg_or_event" || hint.OpenKFID != testKF || hint.Token == "" || hint.FromUserName != "" || hint.AgentID != "" || hint.MsgID != "" {
		t.Errorf("callback = %s", hint.plain)
	}
	got := w.pull("", hint.Token)
	enter := got.events("enter_session")
	if len(enter) != 1 || enter[0]["scene"] != "mall" || enter[0]["scene_param"] != "g=17&s=9f3a" || enter[0]["external_userid"] != "wmLiming" || enter[0]["open_kfid"] != testKF {
		t.Fatalf("events = %v", got.entries)
	}
	if e := got.entries[0]; e["origin"] != 4.0 || e["open_kfid"] != nil || e["external_userid"] != nil {
		t.Errorf("entry = %v, want the ids inside of the event only", e)
	}
	welcome := enter[0]["welcome_code"]
	on := func(welcome any) int {
		return code(w.api("send_msg_on_event", map[string]any{"code": welcome, "msgtype": "msgmenu", "msgmenu": map[string]any{"head_content": "欢迎", "list": []any{}}}))
	}
	if got := w.send("wmLiming", "太早"); got != 95018 {
		t.Errorf("errcode before the customer has said anything = %d, want 95018", got)
	}
	if got := on(welcome); got != 0 {
		t.Errorf("errcode of the welcome = %d, want 0", got)
	}
	if got := on(welcome); got != 41050 {
		t.Errorf("errcode of the second welcome = %d, want 41050", got)
	}
	// Welcomed already: another entry has no code.
	w.enter("wmLiming", w.link(""))
	again := w.pull(got.cursor, w.hints(2)[1].Token).events("enter_session")
	if len(again) != 1 || again[0]["welcome_code"] != nil || again[0]["scene"] != "" {
		t.Errorf("events = %v, want one without scene and welcome_code", again)
	}
	// Another customer: the code has its time.
	w.enter("wmWangfang", link)
	late := w.pull(got.cursor, w.hints(3)[2].Token).events("enter_session")
	w.Advance(20 * time.Second)
	if got := on(late[len(late)-1]["welcome_code"]); got != 41050 {
		t.Errorf("errcode 20 s after the event = %d, want 41050", got)
	}
}

func TestKFLinks(t *testing.T) {
	w := newKFWorld(t, func(c *Config) {
		c.KF = append(c.KF, KFAccount{ID: "wkSIM0002", Name: "二号", Servicers: []string{"zhangsan"}})
	})
	link := w.link("mall")
	other := w.must(w.api("add_contact_way", map[string]any{"open_kfid": "wkSIM0002", "scene": "mall"}))["url"].(string)
	scene := func(link string) string { return link[strings.Index(link, "?"):] }
	tests := []struct {
		name, person, link string
		status             int
	}{
		{"well", "wmLiming", link, http.StatusOK},
		{"well, with a parameter", "wmLiming", link + "&scene_param=" + strings.Repeat("x", 128), http.StatusOK},
		{"parameter too long", "wmLiming", link + "&scene_param=" + strings.Repeat("x", 129), http.StatusBadRequest},
		{"scene of another link", "wmLiming", strings.TrimSuffix(link, scene(link)) + scene(other), http.StatusBadRequest},
		{"scene made up", "wmLiming", link + "x", http.StatusBadRequest},
		{"another page", "wmLiming", w.url + "/m/", http.StatusNotFound},
		{"a member", "zhangsan", link, http.StatusBadRequest},
		{"nobody", "ghost", link, http.StatusNotFound},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if status, answer := w.do("enter", ask{Person: tt.person, URL: tt.link}); status != tt.status {
				t.Errorf("enter: %d %v, want %d", status, answer, tt.status)
			}
		})
	}
	for scene, want := range map[string]int{"a b": 40058, strings.Repeat("x", 33): 40058, strings.Repeat("x", 32): 0} {
		if got := code(w.api("add_contact_way", map[string]any{"open_kfid": testKF, "scene": scene})); got != want {
			t.Errorf("errcode for scene %q = %d, want %d", scene, got, want)
		}
	}
	client := &http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	response, err := client.Get(link + "&scene_param=x")
	if err != nil {
		t.Fatal(err)
	}
	response.Body.Close()
	if to := response.Header.Get("Location"); !strings.HasPrefix(to, "/sim/#enter=") || !strings.Contains(to, "scene_param%3Dx") {
		t.Errorf("the link leads to %q", to)
	}
}

func TestKFSync(t *testing.T) {
	w := newKFWorld(t, nil)
	for i := range 9 {
		w.writes("wmLiming", fmt.Sprint("第", i))
	}
	w.send("wmLiming", "自己发的不回来")
	token := w.hints(9)[8].Token
	got := w.pull("", token)
	words, _ := got.texts()
	if want := "第0 第1 第2 第3 第4 第5 第6 第7 第8"; strings.Join(words, " ") != want {
		t.Errorf("texts = %v, want %s", words, want)
	}
	if e := got.entries[0]; e["origin"] != 3.0 || e["open_kfid"] != testKF || e["external_userid"] != "wmLiming" || e["send_time"] == 0.0 || e["msgtype"] != "text" {
		t.Errorf("entry = %v", e)
	}
	if got.empty == 0 {
		t.Error("never an empty answer with more to come")
	}
	// At the end there is nothing more, and what is said then comes alone.
	if again := w.pull(got.cursor, token); len(again.entries) != 0 || again.calls != 1 {
		t.Errorf("after the end: %+v", again)
	}
	w.writes("wmLiming", "新的")
	if words, _ := w.pull(got.cursor, token).texts(); !slices.Contains(words, "新的") {
		t.Errorf("texts = %v, want the new one", words)
	}
	// An empty cursor begins anew.
	if words, _ := w.pull("", token).texts(); len(words) != 10 {
		t.Errorf("%d texts from the start, want 10", len(words))
	}
	repeated := 0
	for cursor := ""; repeated == 0; {
		answer := w.must(w.api("sync_msg", map[string]any{"open_kfid": testKF, "cursor": cursor, "token": token, "limit": 3}))
		if answer["has_more"].(float64) == 0 {
			cursor = ""
			continue
		}
		list := answer["msg_list"].([]any)
		if cursor != "" && len(list) > 0 {
			before := w.must(w.api("sync_msg", map[string]any{"open_kfid": testKF, "cursor": cursor, "token": token, "limit": 3}))["msg_list"].([]any)
			if len(before) > 0 && fmt.Sprint(before[0]) != fmt.Sprint(list[0]) {
				repeated++ // the same place, but one of them began an entry earlier
			}
		}
		cursor = answer["next_cursor"].(string)
	}
	// After three days nothing is left.
	w.Advance(kfRetention)
	if got := w.pull("", ""); len(got.entries) != 0 {
		t.Errorf("%d entries after 3 days, want none", len(got.entries))
	}
}

func TestKFSyncRefuses(t *testing.T) {
	w := newKFWorld(t, func(c *Config) {
		c.KF = append(c.KF, KFAccount{ID: "wkSIM0002", Name: "二号"}, KFAccount{ID: "wkSIM0003", Name: "三号", App: "1000003"})
		c.Apps[1].Token, c.Apps[1].AESKey, c.Apps[1].CallbackURL = testToken, testKey, c.Apps[0].CallbackURL
		c.Apps = append(c.Apps, App{AgentID: "1000004", Secret: "no-kf"})
	})
	w.writes("wmLiming", "在吗")
	token := w.hints(1)[0].Token
	cursor := w.pull("", token).cursor
	tests := []struct {
		name, secret string
		body         map[string]any
		want         int
	}{
		{"well", testSecret, map[string]any{"open_kfid": testKF, "token": token}, 0},
		{"no account", testSecret, map[string]any{"token": token}, 60251},
		{"no account id", testSecret, map[string]any{"open_kfid": "kf"}, 95000},
		{"unknown account", testSecret, map[string]any{"open_kfid": "wkNone"}, 95004},
		{"account of another app", testSecret, map[string]any{"open_kfid": "wkSIM0003"}, 48007},
		{"app without accounts", "no-kf", map[string]any{"open_kfid": testKF}, 48002},
		{"unknown token", testSecret, map[string]any{"open_kfid": testKF, "token": "x"}, 95007},
		{"token of another account", testSecret, map[string]any{"open_kfid": "wkSIM0002", "token": token}, 95007},
		{"made-up cursor", testSecret, map[string]any{"open_kfid": testKF, "token": token, "cursor": "x"}, 50100},
		{"cursor of another account", testSecret, map[string]any{"open_kfid": "wkSIM0002", "cursor": cursor}, 50100},
		{"limit", testSecret, map[string]any{"open_kfid": testKF, "token": token, "limit": 1001}, 40058},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if answer := w.call("kf/sync_msg?access_token="+w.testWorld.token(tt.secret), tt.body); code(answer) != tt.want {
				t.Errorf("answer = %v, want errcode %d", answer, tt.want)
			}
		})
	}
	w.Advance(kfTokenLife)
	if got := code(w.api("sync_msg", map[string]any{"open_kfid": testKF, "token": token})); got != 95007 {
		t.Errorf("errcode with a token of 10 min ago = %d, want 95007", got)
	}
	bare := func() int { return code(w.api("sync_msg", map[string]any{"open_kfid": testKF})) }
	for range kfBarePulls {
		if got := bare(); got != 0 {
			t.Fatalf("errcode without a token = %d, want 0", got)
		}
	}
	if got := bare(); got != 45009 {
		t.Errorf("errcode of pull %d without a token = %d, want 45009", kfBarePulls+1, got)
	}
}

func TestKFSend(t *testing.T) {
	w := newKFWorld(t, nil)
	if got := w.send("wmLiming", "x"); got != 40096 {
		t.Errorf("errcode to somebody who never came = %d, want 40096", got)
	}
	w.writes("wmLiming", "签到")
	for i := range kfAllowance {
		if got := w.send("wmLiming", "回"); got != 0 {
			t.Fatalf("errcode of message %d = %d, want 0", i+1, got)
		}
	}
	if got := w.send("wmLiming", "回"); got != 95001 {
		t.Errorf("errcode of the sixth = %d, want 95001", got)
	}
	w.writes("wmLiming", "再来")
	if got := w.send("wmLiming", "回"); got != 0 {
		t.Errorf("errcode after another message = %d, want 0", got)
	}
	if state := w.must(w.api("service_state/get", map[string]any{"open_kfid": testKF, "external_userid": "wmLiming"})); state["service_state"] != 1.0 {
		t.Errorf("state = %v, want 1 after sending in 0", state)
	}
	w.Advance(kfWindow)
	if got := w.send("wmLiming", "回"); got != 95002 {
		t.Errorf("errcode after 48 h = %d, want 95002", got)
	}
	if lines := w.state().linesOf(testKF, "wmLiming"); len(lines) != 8 {
		t.Errorf("%d lines, want 2 messages and 6 answers", len(lines))
	}
}

func TestKFSendRefuses(t *testing.T) {
	w := newKFWorld(t, func(c *Config) { c.KFDuplicateCode = 95099 })
	image := w.must(w.uploadAs("media/upload?type=image&access_token="+w.token, "media", picture(t, 8, 8)))["media_id"]
	click := func(id, content string) any {
		return map[string]any{"type": "click", "click": map[string]string{"id": id, "content": content}}
	}
	menuOf := func(head string, items ...any) map[string]any {
		return map[string]any{"msgtype": "msgmenu", "msgmenu": map[string]any{"head_content": head, "list": items, "tail_content": "回复数字也可以"}}
	}
	eleven := slices.Repeat([]any{click("a", "b")}, 11)
	tests := []struct {
		name string
		body map[string]any
		want int
	}{
		{"text", map[string]any{"msgtype": "text", "text": map[string]string{"content": "x"}, "msgid": "out-1"}, 0},
		{"the same msgid", map[string]any{"msgtype": "text", "text": map[string]string{"content": "x"}, "msgid": "out-1"}, 95099},
		{"long msgid", map[string]any{"msgtype": "text", "text": map[string]string{"content": "x"}, "msgid": strings.Repeat("x", 33)}, 40058},
		{"odd msgid", map[string]any{"msgtype": "text", "text": map[string]string{"content": "x"}, "msgid": "a b"}, 40058},
		{"empty text", map[string]any{"msgtype": "text"}, 44004},
		{"unknown kind", map[string]any{"msgtype": "markdown", "markdown": map[string]string{"content": "x"}}, 40008},
		{"image", map[string]any{"msgtype": "image", "image": map[string]any{"media_id": image}}, 0},
		{"unknown image", map[string]any{"msgtype": "image", "image": map[string]any{"media_id": "x"}}, 40007},
		{"link", map[string]any{"msgtype": "link", "link": map[string]any{"title": "x", "url": "https://a.example", "thumb_media_id": image}}, 0},
		{"link without a picture", map[string]any{"msgtype": "link", "link": map[string]any{"title": "x", "url": "https://a.example"}}, 41006},
		{"link without a scheme", map[string]any{"msgtype": "link", "link": map[string]any{"title": "x", "url": "a.example", "thumb_media_id": image}}, 40058},
		{"location", map[string]any{"msgtype": "location", "location": map[string]any{"name": "南门", "latitude": 31.2, "longitude": 121.4}}, 0},
		{"location off the earth", map[string]any{"msgtype": "location", "location": map[string]any{"latitude": 91, "longitude": 0}}, 40058},
		{"menu", menuOf("今日已签到", click("draw-1", "抽奖"), map[string]any{"type": "view", "view": map[string]string{"url": "https://a.example", "content": "明细"}}, map[string]any{"type": "text", "text": map[string]any{"content": "x", "no_newline": 1}}), 0},
		{"eleven items", menuOf("x", eleven...), 95008},
		{"item of no type", menuOf("x", map[string]any{"type": "button"}), 95009},
		{"item without its body", menuOf("x", map[string]any{"type": "click"}), 95009},
		{"long id", menuOf("x", click(strings.Repeat("x", 129), "b")), 40058},
		{"long choice", menuOf("x", click("a", strings.Repeat("长", 43))), 40058},
		{"long head", menuOf(strings.Repeat("x", 1025), click("a", "b")), 40058},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			w.writes("wmLiming", "新的额度")
			tt.body["touser"], tt.body["open_kfid"] = "wmLiming", testKF
			if answer := w.api("send_msg", tt.body); code(answer) != tt.want {
				t.Errorf("answer = %v, want errcode %d", answer, tt.want)
			}
		})
	}
}

func TestKFMenuClick(t *testing.T) {
	w := newKFWorld(t, nil)
	w.writes("wmLiming", "你好")
	w.must(w.api("send_msg", map[string]any{"touser": "wmLiming", "open_kfid": testKF, "msgtype": "msgmenu", "msgmenu": map[string]any{
		"head_content": "请选", "list": []any{
			map[string]any{"type": "text", "text": map[string]string{"content": "今日有效"}},
			map[string]any{"type": "click", "click": map[string]string{"id": "ck-1122", "content": "签到"}},
		},
	}}))
	lines := w.state().linesOf(testKF, "wmLiming")
	shown := lines[len(lines)-1]
	if status, _ := w.do("click", ask{Line: shown.ID, Person: "wmLiming", Key: "0"}); status != http.StatusNotFound {
		t.Errorf("a click on a text: status %d, want 404", status)
	}
	if status, _ := w.do("click", ask{Line: shown.ID, Person: "wmWangfang", Key: "1"}); status != http.StatusNotFound {
		t.Errorf("a click by somebody else: status %d, want 404", status)
	}
	if status, answer := w.do("click", ask{Line: shown.ID, Person: "wmLiming", Key: "1"}); status != http.StatusOK {
		t.Fatal(answer)
	}
	entries := w.pull("", w.hints(2)[1].Token).entries
	text := entries[len(entries)-1]["text"].(map[string]any)
	if text["content"] != "签到" || text["menu_id"] != "ck-1122" {
		t.Errorf("text = %v, want the words and the id of the item", text)
	}
}

func TestKFSession(t *testing.T) {
	w := newKFWorld(t, nil)
	who := map[string]any{"open_kfid": testKF, "external_userid": "wmLiming"}
	trans := func(to int, servicer string) map[string]any {
		t.Helper()
		return w.api("service_state/trans", map[string]any{"open_kfid": testKF, "external_userid": "wmLiming", "service_state": to, "servicer_userid": servicer})
	}
	expect := func(what string, answer map[string]any, want int) map[string]any {
		t.Helper()
		if code(answer) != want {
			t.Errorf("%s: %v, want errcode %d", what, answer, want)
		}
		return answer
	}
	on := func(code any, words string) map[string]any {
		t.Helper()
		return w.api("send_msg_on_event", map[string]any{"code": code, "msgtype": "text", "text": map[string]string{"content": words}})
	}
	desk := func(person, key string) {
		t.Helper()
		if status, answer := w.do("desk", ask{Chat: testKF, Person: person, With: "wmLiming", Key: key}); status != http.StatusOK {
			t.Errorf("%s by %s: %d %v", key, person, status, answer)
		}
	}
	expect("state of a stranger", w.api("service_state/get", who), 40096)
	w.enter("wmLiming", w.link("mall"))
	expect("ended, or not begun", trans(2, ""), 95013)
	w.writes("wmLiming", "转人工")
	expect("to 4 from 0", trans(4, ""), 95016)
	expect("to nobody", trans(3, ""), 95014)
	expect("to somebody else", trans(3, "xiaowang"), 95014)
	w.do("desk", ask{Chat: testKF, Person: "chenchen", Key: "status"})
	expect("to one who has stopped", trans(3, "chenchen"), 95019)
	pool := expect("to the pool", trans(2, ""), 0)
	if w.send("wmLiming", "x") != 95018 {
		t.Error("the app may send while the customer waits")
	}
	expect("back from the pool", trans(1, ""), 95016)
	expect("hint while waiting", on(pool["msg_code"], "请稍候"), 0)

	// A servicer takes the customer, answers, and ends the session.
	desk("zhangsan", "take")
	expect("code of the pool, too late", on(pool["msg_code"], "x"), 41050)
	if state := w.api("service_state/get", who); state["service_state"] != 3.0 || state["servicer_userid"] != "zhangsan" {
		t.Errorf("state = %v, want 3 with zhangsan", state)
	}
	if status, answer := w.do("say", ask{Chat: testKF, Person: "zhangsan", With: "wmLiming", Text: "您好，我来处理"}); status != http.StatusOK {
		t.Fatal(answer)
	}
	if status, _ := w.do("say", ask{Chat: testKF, Person: "chenchen", With: "wmLiming", Text: "插一句"}); status != http.StatusConflict {
		t.Errorf("another servicer may answer: status %d", status)
	}
	expect("to another servicer who has stopped", trans(3, "chenchen"), 95019)
	desk("zhangsan", "end")
	if state := w.api("service_state/get", who); state["service_state"] != 4.0 || state["servicer_userid"] != nil {
		t.Errorf("state = %v, want 4", state)
	}
	expect("after the end", trans(1, ""), 95013)
	posts := w.app.got()
	got := w.pull("", posts[len(posts)-1].Token)
	changes := got.events("session_status_change")
	var ended map[string]any
	for _, change := range changes {
		if change["change_type"] == 3.0 {
			ended = change
		}
	}
	if ended["old_servicer_userid"] != "zhangsan" || ended["msg_code"] == nil {
		t.Fatalf("changes = %v", changes)
	}
	expect("goodbye", on(ended["msg_code"], "再见"), 0)
	if i := slices.IndexFunc(got.entries, func(e map[string]any) bool { return e["origin"] == 5.0 }); i < 0 || got.entries[i]["servicer_userid"] != "zhangsan" {
		t.Errorf("entries = %v, want what the servicer said", got.entries)
	}
	if stops := got.events("servicer_status_change"); len(stops) == 0 || stops[0]["status"] != 2.0 || stops[0]["servicer_userid"] != "chenchen" {
		t.Errorf("events = %v", stops)
	}

	// The servicer writes again: that opens it again. Then the app ends it.
	w.do("say", ask{Chat: testKF, Person: "zhangsan", With: "wmLiming", Text: "还有一件事"})
	if state := w.api("service_state/get", who); state["service_state"] != 3.0 {
		t.Errorf("state = %v, want 3 again", state)
	}
	over := expect("the end", trans(4, ""), 0)
	expect("too late", func() map[string]any { w.writes("wmLiming", "在吗"); return on(over["msg_code"], "x") }(), 95018)
	if state := w.api("service_state/get", who); state["service_state"] != 0.0 {
		t.Errorf("state = %v, want 0 after the customer has written", state)
	}
	expect("to the assistant", trans(1, ""), 0)
	first := expect("to a servicer", trans(3, "zhangsan"), 0)
	if first["msg_code"] == nil {
		t.Error("no msg_code at the first change to 3")
	}
	if second := expect("to a servicer once more", trans(3, "zhangsan"), 0); second["msg_code"] != nil {
		t.Error("a msg_code at the second change to 3")
	}
	w.Advance(kfWindow)
	if state := w.api("service_state/get", who); state["service_state"] != 4.0 {
		t.Errorf("state = %v, want 4 after 48 h", state)
	}
}

func TestKFTransfer(t *testing.T) {
	w := newKFWorld(t, nil)
	w.writes("wmLiming", "转人工")
	w.must(w.api("service_state/trans", map[string]any{"open_kfid": testKF, "external_userid": "wmLiming", "service_state": 3, "servicer_userid": "zhangsan"}))
	if status, _ := w.do("desk", ask{Chat: testKF, Person: "chenchen", With: "wmLiming", Key: "take"}); status != http.StatusConflict {
		t.Errorf("a customer can be taken from a colleague: status %d", status)
	}
	if status, answer := w.do("desk", ask{Chat: testKF, Person: "zhangsan", With: "wmLiming", Key: "transfer", Text: "chenchen"}); status != http.StatusOK {
		t.Fatal(answer)
	}
	hints := w.hints(2)
	change := w.pull("", hints[1].Token).events("session_status_change")[0]
	if change["change_type"] != 2.0 || change["old_servicer_userid"] != "zhangsan" || change["new_servicer_userid"] != "chenchen" || change["msg_code"] != nil {
		t.Errorf("event = %v", change)
	}
	if s := w.state().Sessions[0]; s.State != kfHuman || s.Servicer != "chenchen" {
		t.Errorf("session = %+v", s)
	}
}

func TestKFLists(t *testing.T) {
	w := newKFWorld(t, func(c *Config) { c.KF = append(c.KF, KFAccount{ID: "wkSIM0002", Name: "二号"}) })
	accounts := w.must(w.api("account/list", map[string]any{"offset": 0, "limit": 1}))["account_list"].([]any)
	if len(accounts) != 1 || fmt.Sprint(accounts[0]) != "map[avatar: manage_privilege:true name:示例商场客服 open_kfid:"+testKF+"]" {
		t.Errorf("accounts = %v", accounts)
	}
	if got := w.must(w.get("/cgi-bin/kf/account/list?access_token=" + w.testWorld.token("another-secret")))["account_list"].([]any); len(got) != 2 || got[0].(map[string]any)["manage_privilege"] != false {
		t.Errorf("accounts of another app = %v", got)
	}
	w.do("desk", ask{Chat: testKF, Person: "chenchen", Key: "status"})
	servicers := w.must(w.get("/cgi-bin/kf/servicer/list?open_kfid=" + testKF + "&access_token=" + w.token))["servicer_list"]
	if got, want := fmt.Sprint(servicers), "[map[status:0 userid:zhangsan] map[status:1 stop_type:0 userid:chenchen]]"; got != want {
		t.Errorf("servicers = %s, want %s", got, want)
	}
	w.enter("wmLiming", w.link("mall")+"&scene_param=g17")
	answer := w.must(w.api("customer/batchget", map[string]any{"external_userid_list": []string{"wmLiming", "wmWangfang"}, "need_enter_session_context": 1}))
	if got, want := fmt.Sprint(answer["customer_list"], answer["invalid_external_userid"]),
		"[map[avatar: enter_session_context:map[scene:mall scene_param:g17] external_userid:wmLiming gender:0 nickname:李明 unionid:oUNION]] [wmWangfang]"; got != want {
		t.Errorf("customers = %s, want %s", got, want)
	}
	if got := code(w.api("customer/batchget", map[string]any{"external_userid_list": slices.Repeat([]string{"x"}, 101)})); got != 40058 {
		t.Errorf("errcode for 101 customers = %d, want 40058", got)
	}
}

func TestKFDelivery(t *testing.T) {
	w := newKFWorld(t, func(c *Config) { c.Timing.Callback = 300 * time.Millisecond })
	w.app.answers(func(p appPost, rw http.ResponseWriter, r *http.Request) []byte {
		switch p.count {
		case 1:
			<-r.Context().Done() // too slow
		case 2:
			rw.WriteHeader(http.StatusServiceUnavailable)
		}
		return nil
	})
	id := w.writes("wmLiming", "在吗")
	st := w.settled(id)
	posts := w.app.got()
	if len(posts) != 3 || posts[0].plain != posts[2].plain {
		t.Errorf("%d callbacks, want 3 that are the same", len(posts))
	}
	if l := st.lineOf(t, id); l.Error != "" {
		t.Errorf("line = %+v", l)
	}
	// An answer to the hint is refused: messages go by the API.
	w.app.answers(func(p appPost, _ http.ResponseWriter, _ *http.Request) []byte { return textReply(p, "好") })
	id = w.writes("wmLiming", "还在吗")
	if l := w.settled(id).lineOf(t, id); !strings.Contains(l.Error, "不能直接回答") {
		t.Errorf("line = %+v", l)
	}
	// Said once more, it is the same hint.
	w.app.answers(nil)
	if status, _ := w.do("redeliver", ask{Line: id}); status != http.StatusOK {
		t.Fatal("cannot deliver again")
	}
	w.waitFor("the repeat", func(st state) bool { return st.lineOf(t, id).Deliveries == 2 })
	posts = w.app.got()
	if posts[len(posts)-1].plain != posts[len(posts)-2].plain {
		t.Error("the repeat differs")
	}
}

func TestKFSendFail(t *testing.T) {
	w := newKFWorld(t, nil)
	w.writes("wmLiming", "在吗")
	if err := w.SetFault("kf/send_msg", FaultSendFail, 1); err != nil {
		t.Fatal(err)
	}
	answer := w.must(w.api("send_msg", map[string]any{"touser": "wmLiming", "open_kfid": testKF, "msgtype": "text", "text": map[string]string{"content": "x"}}))
	failed := w.pull("", w.hints(2)[1].Token).events("msg_send_fail")
	if len(failed) != 1 || failed[0]["fail_msgid"] != answer["msgid"] || failed[0]["fail_type"] != 10.0 {
		t.Errorf("events = %v, want one about %v", failed, answer["msgid"])
	}
}

func TestKFConfig(t *testing.T) {
	app := newFakeApp(t)
	tests := []struct {
		name   string
		change func(*Config)
		want   string
	}{
		{"bad id", func(c *Config) { c.KF[0].ID = "kf" }, "wk…"},
		{"no name", func(c *Config) { c.KF[0].Name = "" }, "no name"},
		{"twice", func(c *Config) { c.KF = append(c.KF, c.KF[0]) }, "twice"},
		{"customer serves", func(c *Config) { c.KF[0].Servicers = []string{"wmLiming"} }, "no member"},
		{"app without callback", func(c *Config) { c.KF[0].App = "1000003" }, "callback"},
		{"bad scene", func(c *Config) { c.KF[0].Scenes = []string{"a b"} }, "scene"},
		{"bad key of the app", func(c *Config) { c.Apps[0].AESKey = "short" }, "EncodingAESKey"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			c := testConfig("http://127.0.0.1:1", "http://127.0.0.1:2/x")
			withKF(app)(&c)
			tt.change(&c)
			if _, err := New(c); err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("New = %v, want an error about %q", err, tt.want)
			}
		})
	}
}
