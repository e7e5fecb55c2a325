package simulator

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"qunbot/bot/wecom"
)

const (
	testCorp   = "ww0000000000000000"
	testSecret = "secret-of-the-app"
	testToken  = "token4tests"
	testKey    = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQ"
)

// A fakeService is the service behind a bot. It answers what answer says.
type fakeService struct {
	t      *testing.T
	cipher *wecom.Cipher

	mu     sync.Mutex
	posts  []post
	answer func(p post, w http.ResponseWriter) *wecom.AibotReply // nil: the usual; a nil reply is not written
	stored map[string]wecom.AibotReply                           // by msgid
	down   bool
	before func(http.ResponseWriter, *http.Request) bool // sees posts first; true: it has answered
}

// A post is one callback as the service got it.
type post struct {
	query    map[string]string
	callback wecom.AibotCallback
	plain    string
	count    int // callbacks of this kind so far, from 1
}

// newFakeService returns a service and its address.
func newFakeService(t *testing.T) (*fakeService, string) {
	t.Helper()
	cipher, err := wecom.NewCipher(testToken, testKey, "")
	if err != nil {
		t.Fatal(err)
	}
	f := &fakeService{t: t, cipher: cipher, stored: map[string]wecom.AibotReply{}}
	server := httptest.NewServer(f)
	t.Cleanup(server.Close)
	return f, server.URL + "/wecom/aibot/helper"
}

func (f *fakeService) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	f.mu.Lock()
	before := f.before
	f.mu.Unlock()
	if before != nil && r.Method == http.MethodPost && before(w, r) {
		return
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.down {
		panic(http.ErrAbortHandler)
	}
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
	if err != nil {
		f.t.Errorf("OpenPost: %v", err)
		http.Error(w, err.Error(), http.StatusForbidden)
		return
	}
	callback, err := wecom.ParseAibotCallback(plain)
	if err != nil {
		f.t.Errorf("ParseAibotCallback(%s): %v", plain, err)
	}
	p := post{query: map[string]string{}, callback: callback, plain: string(plain), count: len(f.posts) + 1}
	for name := range r.URL.Query() {
		p.query[name] = r.URL.Query().Get(name)
	}
	f.posts = append(f.posts, p)
	if _, seen := f.stored[callback.MsgID]; seen {
		w.Header().Set("Server-Timing", `recv;desc="1204 B", replayed`)
	} else {
		w.Header().Set("Server-Timing", fmt.Sprintf(`recv;desc="%d B", verify;dur=0.02, decrypt;dur=0.05, rule;desc="checkin%%20%%E7%%AD%%BE%%E5%%88%%B0";dur=0.9, batch;desc="1", commit;dur=3.1, encrypt;dur=0.03`, len(body)))
	}
	reply := f.usual(callback)
	if f.answer != nil {
		if reply = f.answer(p, w); reply == nil {
			return
		}
	}
	f.stored[callback.MsgID] = *reply
	f.write(w, *reply, p.query["nonce"])
}

// usual returns the answer of a friendly bot.
func (f *fakeService) usual(c wecom.AibotCallback) *wecom.AibotReply {
	if stored, ok := f.stored[c.MsgID]; ok {
		return &stored
	}
	if c.MsgType == wecom.TypeEvent {
		return &wecom.AibotReply{MsgType: wecom.TypeText, Text: &wecom.AibotText{Content: "你好，我是小助手。\n发「帮助」看看我会什么。"}}
	}
	text := strings.TrimSpace(strings.TrimPrefix(c.SpokenText(), "@小助手"))
	reply, ok := sayings[text]
	if !ok {
		reply = "听到了：" + text
	}
	return streamOf("st-"+c.MsgID, reply, true)
}

// sayings are answers for the eye.
var sayings = map[string]string{
	"签到":  "签到成功！连续 7 天，积分 +10，现有 85 分\n再签 3 天到 10 天，明天见～",
	"积分":  "小王，您现有 **85 分**，约值 ¥0.85。\n明细请[打开会员页](http://127.0.0.1:1/m/)查看。",
	"抽奖":  "正在进行的抽奖：\n1. 周末电影票 x10，今晚 20:00 截止\n2. 咖啡券 x50，明天 12:00 截止\n发「抽奖 1」参加。公示：https://fans.example.com/draws/k3J9xQ2mPa",
	"排行榜": "**本周积分榜**\n1. 王芳 320 分\n2. 李明 275 分\n3. 小王 85 分",
}

func streamOf(id, content string, finish bool) *wecom.AibotReply {
	return &wecom.AibotReply{MsgType: wecom.TypeStream, Stream: &wecom.AibotStream{ID: id, Finish: finish, Content: content}}
}

func (f *fakeService) write(w http.ResponseWriter, reply wecom.AibotReply, nonce string) {
	plain, err := reply.JSON()
	if err != nil {
		f.t.Errorf("JSON: %v", err)
	}
	w.Header().Set("Content-Type", "application/json")
	w.Write(f.cipher.Seal(plain, time.Now().Unix(), nonce).JSON())
}

// answers sets how the service answers.
func (f *fakeService) answers(answer func(p post, w http.ResponseWriter) *wecom.AibotReply) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.answer = answer
}

// firstSees sets what sees each post before the service does.
func (f *fakeService) firstSees(before func(http.ResponseWriter, *http.Request) bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.before = before
}

// hang waits until the platform gives up. A server notices that only once the
// body has been read.
func hang(r *http.Request) {
	io.Copy(io.Discard, r.Body)
	<-r.Context().Done()
}

// got returns the callbacks so far.
func (f *fakeService) got() []post {
	f.mu.Lock()
	defer f.mu.Unlock()
	return append([]post(nil), f.posts...)
}

// Kill and Start make the fake a Service.
func (f *fakeService) Kill() error { return f.power(true) }

func (f *fakeService) Start(context.Context) error { return f.power(false) }

func (f *fakeService) power(down bool) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.down = down
	return nil
}

// A testWorld is a simulator with a service behind it.
type testWorld struct {
	*Simulator
	t       *testing.T
	service *fakeService
	url     string
}

// newWorld starts a small world; change may alter it before.
func newWorld(t *testing.T, change func(*Config)) *testWorld {
	t.Helper()
	service, callback := newFakeService(t)
	mux := http.NewServeMux()
	server := httptest.NewServer(mux)
	t.Cleanup(server.Close)
	w := &testWorld{t: t, service: service, url: server.URL}
	cfg := testConfig(server.URL, callback)
	cfg.Service = service
	if change != nil {
		change(&cfg)
	}
	s, err := New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	w.Simulator = s
	s.Mount(mux)
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- s.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Errorf("Run: %v", err)
		}
	})
	return w
}

// testConfig is the world of the tests.
func testConfig(base, callback string) Config {
	evening := time.Now().Add(-20 * time.Hour)
	return Config{
		BaseURL: base,
		CorpID:  testCorp,
		Apps:    []App{{AgentID: "1000002", Secret: testSecret}, {AgentID: "1000003", Secret: "another-secret"}},
		Bots:    []Bot{{Name: "helper", DisplayName: "小助手", Token: testToken, AESKey: testKey, CallbackURL: callback}},
		People: []Person{
			{ID: "xiaowang", Kind: Member, Name: "小王", Role: "导购"},
			{ID: "zhangsan", Kind: Member, Name: "张三", Role: "运营"},
			{ID: "chenchen", Kind: Member, Name: "陈晨", Role: "楼层主管"},
			{ID: "wmLiming", Kind: Customer, Name: "李明"},
			{ID: "wmWangfang", Kind: Customer, Name: "王芳"},
		},
		Chats: []Chat{
			{ID: "wrkOne", Name: "一号门店员工群", Kind: Internal, Members: []string{"xiaowang", "zhangsan", "chenchen"}, Bot: "helper", Notice: "每天 10:00 前签到，连续 7 天有加分。周末的抽奖名单周五晚上公布，请提醒顾客。"},
			{ID: "wrCustomers", Name: "示例商场粉丝群", Kind: CustomerGroup, Members: []string{"zhangsan", "wmLiming", "wmWangfang"}, Pinned: Link{Title: "会员页：签到、积分、抽奖", URL: base + "/m/"}},
			{ID: "single", Name: "小助手", Kind: Single, Bot: "helper"},
		},
		Lines: []Line{
			{Chat: "wrkOne", Who: "zhangsan", Text: "明天周六，客流会大，大家早点到。", At: evening},
			{Chat: "wrkOne", Who: "chenchen", Text: "收到，三楼的物料已经换好了", At: evening.Add(2 * time.Minute)},
			{Chat: "wrkOne", Who: "helper", Text: "本周签到之星：陈晨，连续 **12 天**", At: evening.Add(30 * time.Minute)},
			{Chat: "wrCustomers", Who: "wmLiming", Text: "电影票的抽奖什么时候开？", At: evening.Add(3 * time.Minute)},
			{Chat: "wrCustomers", Who: "zhangsan", Text: "今晚八点，名单会公示 https://fans.example.com/draws/k3J9xQ2mPa", At: evening.Add(4 * time.Minute)},
			{Chat: "wrCustomers", Who: "wmWangfang", Text: "上次中的咖啡券还能用吗", At: evening.Add(9 * time.Minute)},
		},
		Chips:  []string{"签到", "积分", "抽奖", "排行榜", "帮助"},
		Timing: Timing{Pause: time.Millisecond, Poll: time.Millisecond},
		Now:    time.Now,
		Log:    slog.New(slog.DiscardHandler),
	}
}

// do posts v to /sim/api/name and returns the status and the decoded answer.
func (w *testWorld) do(name string, v any) (int, map[string]any) {
	w.t.Helper()
	body, err := json.Marshal(v)
	if err != nil {
		w.t.Fatal(err)
	}
	response, err := http.Post(w.url+"/sim/api/"+name, "application/json", bytes.NewReader(body))
	if err != nil {
		w.t.Fatal(err)
	}
	defer response.Body.Close()
	var answer map[string]any
	if err := json.NewDecoder(response.Body).Decode(&answer); err != nil {
		w.t.Fatalf("%s: %v", name, err)
	}
	return response.StatusCode, answer
}

// mustSay says text and returns the id of the line.
func (w *testWorld) mustSay(chat, person, text string) string {
	w.t.Helper()
	status, answer := w.do("say", map[string]string{"chat": chat, "person": person, "text": text})
	if status != http.StatusOK {
		w.t.Fatalf("say %q: status %d, %v", text, status, answer)
	}
	return answer["id"].(string)
}

// get decodes the answer of the platform to GET path.
func (w *testWorld) get(path string) map[string]any {
	w.t.Helper()
	response, err := http.Get(w.url + path)
	if err != nil {
		w.t.Fatal(err)
	}
	defer response.Body.Close()
	var answer map[string]any
	if err := json.NewDecoder(response.Body).Decode(&answer); err != nil {
		w.t.Fatalf("GET %s: status %d, %v", path, response.StatusCode, err)
	}
	return answer
}

// state reads the state as the page does.
func (w *testWorld) state() state {
	w.t.Helper()
	response, err := http.Get(w.url + "/sim/api/state")
	if err != nil {
		w.t.Fatal(err)
	}
	defer response.Body.Close()
	var st state
	if err := json.NewDecoder(response.Body).Decode(&st); err != nil {
		w.t.Fatal(err)
	}
	return st
}

// waitFor returns the state once enough says so. It follows the events, as the
// page does, so it neither sleeps nor spins.
func (w *testWorld) waitFor(what string, enough func(state) bool) state {
	w.t.Helper()
	ctx, cancel := context.WithTimeout(w.t.Context(), 10*time.Second)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, w.url+"/sim/api/events", nil)
	if err != nil {
		w.t.Fatal(err)
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		w.t.Fatal(err)
	}
	defer response.Body.Close()
	buffer := make([]byte, 64<<10)
	for {
		if _, err := response.Body.Read(buffer); err != nil {
			st := w.state()
			text, _ := json.MarshalIndent(st.Lines, "", " ")
			w.t.Fatalf("waiting for %s: %v; lines are %s", what, err, text)
		}
		if st := w.state(); enough(st) {
			return st
		}
	}
}

// answerTo returns the first line that answers line id and has finished, or nil.
func answerTo(st state, id string) *line {
	return find(st.Lines, func(l *line) bool { return l.ReplyTo == id && !l.Growing })
}

// lineOf returns a line, which must be there.
func (st state) lineOf(t *testing.T, id string) *line {
	t.Helper()
	l := find(st.Lines, func(l *line) bool { return l.ID == id })
	if l == nil {
		t.Fatalf("no line %q", id)
	}
	return l
}

// settled returns the state once line id waits no longer and its trace has
// ended.
func (w *testWorld) settled(id string) state {
	w.t.Helper()
	return w.waitFor("the end of "+id, func(st state) bool {
		t := find(st.Traces, func(t *trace) bool { return t.Line == id })
		return t != nil && t.State != pending && !st.lineOf(w.t, id).Waiting
	})
}
