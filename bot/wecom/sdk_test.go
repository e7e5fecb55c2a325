package wecom

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/silenceper/wechat/v2/util"
)

// Neither SDK fetches tokens, however many calls there are at once, and none
// of their data races is left (under -race).
func TestManyCallsAtOnce(t *testing.T) {
	f := newFakeWeCom(t)
	f.answer("appchat/get", saying(`{"errcode":0,"chat_info":{"chatid":"c1"}}`))
	a := f.api(t, io.Discard)
	calls := ways(a)
	calls["get"] = func(ctx context.Context) error { _, err := a.AppChat(ctx, "c1"); return err }
	calls["recall"] = func(ctx context.Context) error { return a.Recall(ctx, "m1") }
	calls["rich"] = func(ctx context.Context) error {
		_, err := a.SendAppMessage(ctx, AppMessage{To: []string{"a"}, Type: "textcard", Body: map[string]string{"title": "t"}})
		return err
	}
	calls["group"] = func(ctx context.Context) error {
		_, _, err := a.AddGroupMessage(ctx, GroupMessage{Sender: "a", Text: "t"})
		return err
	}
	var wg sync.WaitGroup
	for name, call := range calls {
		for range 8 {
			wg.Go(func() {
				for range 10 {
					if err := call(t.Context()); err != nil {
						t.Errorf("%s: %v", name, err)
						return
					}
				}
			})
		}
	}
	wg.Wait()
	if n := len(f.called(opGetToken)); n != 1 {
		t.Errorf("%d gettoken, want 1", n)
	}
}

// PowerWeChat takes one call at a time in a sub-client; who waits can give up.
func TestTurnCanBeGivenUp(t *testing.T) {
	f := newFakeWeCom(t)
	a := f.api(t, io.Discard)
	arrived, leave := make(chan bool), make(chan bool)
	f.answer("message/recall", func(w http.ResponseWriter, _ *http.Request) {
		arrived <- true
		<-leave
		say(w, 0, "ok")
	})
	done := make(chan error)
	go func() { done <- a.Recall(t.Context(), "m1") }()
	<-arrived
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if e := apiError(t, a.Recall(ctx, "m2")); e.Class() != ClassRetry {
		t.Errorf("giving up while waiting = %v, want retry", e)
	}
	if _, err := a.CreateAppChat(t.Context(), AppChat{}); err != nil {
		t.Errorf("another sub-client waits too: %v", err)
	}
	close(leave)
	if err := <-done; err != nil {
		t.Error(err)
	}
}

// PowerWeChat leaves no files: ./wechat/info.log, ~/.ArtisanCloud/cache.
func TestPowerWeChatMakesNoFiles(t *testing.T) {
	folder := t.TempDir()
	t.Chdir(folder)
	t.Setenv("HOME", filepath.Join(folder))
	f := newFakeWeCom(t)
	var log strings.Builder
	a := f.api(t, &log)
	for range 2 {
		if err := ways(a)["PowerWeChat"](t.Context()); err != nil {
			t.Fatal(err)
		}
		f.rotate()
	}
	for _, write := range []func(){
		func() { a.appSDK.sdk.Logger.Error("said access_token=SECRET") },
		func() { a.appSDK.sdk.Logger.Fatal("not the end") },
		func() { a.appSDK.sdk.Logger.Panic("nor this") },
	} {
		write()
	}
	if text := log.String(); !strings.Contains(text, "not the end") || strings.Contains(text, "SECRET") {
		t.Errorf("log = %q, want the SDK's lines without secrets", text)
	}
	entries, err := os.ReadDir(folder)
	if err != nil || len(entries) > 0 {
		t.Errorf("files %v, %v, want none", entries, err)
	}
}

func TestPanicInAnSDKIsAnError(t *testing.T) {
	err := guarded("x/y", func() error { panic("access_token=SECRET") })
	if e := apiError(t, err); e.Class() != ClassUnknown || strings.Contains(e.Error(), "SECRET") {
		t.Errorf("guarded = %v %v, want unknown and no secret", e.Class(), e)
	}
	if err := guarded("x/y", func() error { return errors.New("no such host, key=SECRET") }); strings.Contains(apiError(t, err).Error(), "SECRET") {
		t.Errorf("guarded = %v, want no secret", err)
	}
	f := newFakeWeCom(t)
	a := f.api(t, io.Discard)
	a.appSDK.sdk.MessageAppChat = nil // whatever makes it panic
	if e := apiError(t, ways(a)["PowerWeChat"](t.Context())); e.Class() != ClassUnknown {
		t.Errorf("PowerWeChat = %v, want unknown", e)
	}
	a.appSDK.message <- struct{}{} // the panic has not kept the turn
	<-a.appSDK.message
}

// silenceper has one client for the process; each API's calls go its own way
// all the same.
func TestTwoPlatformsAtOnce(t *testing.T) {
	var wg sync.WaitGroup
	for i := range 2 {
		f := newFakeWeCom(t)
		f.answer("media/upload", saying(fmt.Sprintf(`{"errcode":0,"media_id":"m%d","created_at":"1795219900"}`, i)))
		a := f.api(t, io.Discard)
		for range 4 {
			wg.Go(func() {
				for range 10 {
					id, err := a.UploadMedia(t.Context(), TypeFile, "f", []byte("123456"))
					if want := fmt.Sprintf("m%d", i); id != want || err != nil {
						t.Errorf("UploadMedia = %q, %v, want %q", id, err, want)
						return
					}
				}
			})
		}
	}
	wg.Wait()
	c := installed()
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.tickets) != 0 {
		t.Errorf("%d tickets are left", len(c.tickets))
	}
}

func TestSilenceperCallsNobodyElse(t *testing.T) {
	installed()
	if _, err := util.HTTPGet("https://api.weixin.qq.com/cgi-bin/token"); err == nil {
		t.Error("a call without a ticket = nil error")
	}
}

func TestAppChats(t *testing.T) {
	f := newFakeWeCom(t)
	f.answer(opAppChatCreate, saying(`{"errcode":0,"errmsg":"ok","chatid":"oncall2026"}`))
	f.answer("appchat/get", saying(`{"errcode":0,"chat_info":{"chatid":"oncall2026","name":"值班","owner":"a","userlist":["a","b",3]}}`))
	a := f.api(t, io.Discard)
	id, err := a.CreateAppChat(t.Context(), AppChat{Name: "值班", Owner: "a", Users: []string{"a", "b"}})
	if id != "oncall2026" || err != nil {
		t.Errorf("CreateAppChat = %q, %v", id, err)
	}
	got, err := a.AppChat(t.Context(), "oncall2026")
	if want := (AppChat{"oncall2026", "值班", "a", []string{"a", "b"}}); !reflect.DeepEqual(got, want) || err != nil {
		t.Errorf("AppChat = %+v, %v, want %+v", got, err, want)
	}
	if err := a.UpdateAppChat(t.Context(), AppChatUpdate{ID: "oncall2026", Add: []string{"c"}}); err != nil {
		t.Error(err)
	}
	// What does not change is not in the body, or the platform might empty it.
	if got, want := f.called(opAppChatUpdate)[0].body, `{"chatid":"oncall2026","add_user_list":["c"]}`; strings.TrimSpace(got) != want {
		t.Errorf("body %s, want %s", got, want)
	}
	f.answer("appchat/get", saying(`{"errcode":0}`))
	if _, err := a.AppChat(t.Context(), "oncall2026"); apiError(t, err).Class() != ClassRetry {
		t.Errorf("AppChat without chat_info = %v", err)
	}
}

func TestUpdateCard(t *testing.T) {
	f := newFakeWeCom(t)
	a := f.api(t, io.Discard)
	for _, tt := range []struct {
		update CardUpdate
		want   string
	}{
		{CardUpdate{ResponseCode: "RC", ReplaceName: "已处理"}, `{"agentid":1000002,"atall":1,"button":{"replace_name":"已处理"},"response_code":"RC"}`},
		{CardUpdate{ResponseCode: "RC", UserIDs: []string{"a"}, Card: &TemplateCard{CardType: CardTextNotice}},
			`{"agentid":1000002,"response_code":"RC","template_card":{"card_type":"text_notice"},"userids":["a"]}`},
	} {
		if err := a.UpdateCard(t.Context(), tt.update); err != nil {
			t.Fatal(err)
		}
		calls := f.called("message/update_template_card")
		if got := strings.TrimSpace(calls[len(calls)-1].body); got != tt.want {
			t.Errorf("UpdateCard(%+v) sent\n%s, want\n%s", tt.update, got, tt.want)
		}
	}
}

func TestAddGroupMessage(t *testing.T) {
	f := newFakeWeCom(t)
	f.answer("externalcontact/add_msg_template", saying(`{"errcode":0,"msgid":"m1","fail_list":["wr2"]}`))
	a := f.api(t, io.Discard)
	id, failed, err := a.AddGroupMessage(t.Context(), GroupMessage{
		Sender: "zhangsan", ChatIDs: []string{"wr1", "wr2"}, Text: "本周活动",
		Links: []GroupLink{{Title: "活动", URL: "https://example.com/a"}},
	})
	if id != "m1" || !reflect.DeepEqual(failed, []string{"wr2"}) || err != nil {
		t.Errorf("AddGroupMessage = %q, %v, %v", id, failed, err)
	}
	var sent struct {
		ChatType    string                       `json:"chat_type"`
		Sender      string                       `json:"sender"`
		Attachments []map[string]json.RawMessage `json:"attachments"`
	}
	body := f.called("externalcontact/add_msg_template")[0].body
	if err := json.Unmarshal([]byte(body), &sent); err != nil || sent.ChatType != "group" || sent.Sender != "zhangsan" ||
		len(sent.Attachments) != 1 || len(sent.Attachments[0]) != 2 || sent.Attachments[0]["link"] == nil {
		t.Errorf("sent %s, want a link without empty companions", body)
	}
	for name, m := range map[string]GroupMessage{
		"nobody":     {Text: "a"},
		"nothing":    {Sender: "a"},
		"long":       {Sender: "a", Text: strings.Repeat("字", 1334)},
		"long title": {Sender: "a", Links: []GroupLink{{Title: strings.Repeat("a", 129)}}},
		"many":       {Sender: "a", Images: make([]string, 10)},
	} {
		if _, _, err := a.AddGroupMessage(t.Context(), m); apiError(t, err).Class() != ClassData {
			t.Errorf("%s: %v, want data", name, err)
		}
	}
}

// An app with a secret of its own for 客户联系 uses the token of each where it
// belongs.
func TestContactHasItsOwnToken(t *testing.T) {
	f := newFakeWeCom(t)
	var mu sync.Mutex
	asked := map[string]bool{}
	f.answer(opGetToken, func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		defer mu.Unlock()
		asked[r.URL.Query().Get("corpsecret")] = true
		io.WriteString(w, `{"errcode":0,"access_token":"token-1-abcdef","expires_in":7200}`)
	})
	a, err := NewAPI(APIConfig{
		APIBase: f.URL, CorpID: "ww1", AgentID: 1, AppSecret: testSecret, ContactSecret: "contact-secret",
		Now: time.Now, Log: f.api(t, io.Discard).cfg.Log,
	})
	if err != nil {
		t.Fatal(err)
	}
	if _, _, err := a.AddGroupMessage(t.Context(), GroupMessage{Sender: "a", Text: "t"}); err != nil {
		t.Error(err)
	}
	if asked[testSecret] || !asked["contact-secret"] {
		t.Errorf("secrets used = %v, want that of 客户联系 only", asked)
	}
	if got := len(a.Diagnose(t.Context())); got != 4 || !asked[testSecret] {
		t.Errorf("%d findings, want 4: both secrets", got)
	}
}
