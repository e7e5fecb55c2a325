package wecom_test

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"qunbot/bot"
	"qunbot/bot/bottest"
	"qunbot/bot/wecom"
	"qunbot/handlers"
	"qunbot/simulator"
	"qunbot/store"
	"qunbot/store/storetest"
)

const hookKey = "693a91f6-7xxx-4bc4-97a0-0ec2sifa5aaa"

// A laneWorld is the simulator, an engine that answers whatever is said, and
// an outbox that sends to the simulator.
type laneWorld struct {
	*testing.T
	url    string
	sender wecom.LaneSender
	hook   string // lane of the group's webhook
}

func newLaneWorld(t *testing.T, answer string) *laneWorld {
	log := slog.New(slog.DiscardHandler)
	db := storetest.Open(t)
	mux := http.NewServeMux()
	server := httptest.NewServer(mux)
	t.Cleanup(server.Close)
	sim, err := simulator.New(simulator.Config{
		BaseURL: server.URL, CorpID: testCorp,
		Apps:   []simulator.App{{AgentID: "1000002", Secret: "app-secret-0123456789"}},
		Bots:   []simulator.Bot{{Name: "helper", DisplayName: "小助手", Token: testToken, AESKey: testAESKey, CallbackURL: server.URL + "/wecom/aibot/helper"}},
		People: []simulator.Person{{ID: "zhangsan", Kind: simulator.Member, Name: "张三"}},
		Chats:  []simulator.Chat{{ID: "wrkOne", Name: "一号群", Kind: simulator.Internal, Members: []string{"zhangsan"}, Bot: "helper", WebhookKey: hookKey}},
		Now:    time.Now, Log: log,
	})
	if err != nil {
		t.Fatal(err)
	}
	sim.Mount(mux)
	api, err := wecom.NewAPI(wecom.APIConfig{APIBase: server.URL, CorpID: testCorp, AgentID: 1000002, AppSecret: "app-secret-0123456789", Now: time.Now, Log: log})
	if err != nil {
		t.Fatal(err)
	}
	w := &laneWorld{T: t, url: server.URL, sender: wecom.LaneSender{API: api, Store: db}}
	err = db.Update(t.Context(), func(tx *store.Tx) error {
		ctx := tx.Context()
		if _, err := tx.AddGroup(ctx, store.Group{ChatID: "wrkOne", Kind: store.InternalGroup, CreatedAt: time.Now()}); err != nil {
			return err
		}
		groups, err := tx.GroupsByChat(ctx, []string{"wrkOne"})
		if err != nil {
			return err
		}
		if err := tx.SetWebhook(ctx, groups["wrkOne"].ID, hookKey, time.Now()); err != nil {
			return err
		}
		g, err := tx.Group(ctx, groups["wrkOne"].ID)
		w.hook = g.Lane()
		return err
	})
	if err != nil {
		t.Fatal(err)
	}

	chatty := handlers.Feature{Name: "chatty", Fallback: func(context.Context, *store.Tx, bot.Message) (bot.Reply, bool, error) {
		return bot.Reply{Text: answer}, true, nil
	}}
	app, err := handlers.Register(handlers.Deps{Store: db, Now: time.Now, Zone: db.Zone(), Log: log}, []handlers.Feature{chatty})
	if err != nil {
		t.Fatal(err)
	}
	outbox := bot.NewOutbox(bot.OutboxConfig{Store: db, Sender: w.sender, Now: time.Now, Log: log, Owner: "test"})
	platform, err := wecom.New(wecom.Config{Bots: []wecom.Bot{{Name: "helper", DisplayName: "小助手", Token: testToken, AESKey: testAESKey}}, Now: time.Now, Log: log})
	if err != nil {
		t.Fatal(err)
	}
	platform.Mount(mux, app.Engine)
	bottest.Run(t, app.Engine)
	for name, run := range map[string]func(context.Context) error{"simulator": sim.Run, "outbox": outbox.Run} {
		ctx, stop := context.WithCancel(context.Background())
		stopped := make(chan error, 1)
		go func() { stopped <- run(ctx) }()
		t.Cleanup(func() {
			stop()
			if err := <-stopped; err != nil {
				t.Errorf("%s: %v", name, err)
			}
		})
	}
	return w
}

// chats returns what the simulator's chats show, as JSON.
func (w *laneWorld) chats() string {
	w.Helper()
	resp, err := http.Get(w.url + "/sim/api/state")
	if err != nil {
		w.Fatal(err)
	}
	defer resp.Body.Close()
	var state struct{ Lines json.RawMessage }
	if err := json.NewDecoder(resp.Body).Decode(&state); err != nil {
		w.Fatal(err)
	}
	return string(state.Lines)
}

// shows waits until the chats show text.
func (w *laneWorld) shows(text string) {
	w.Helper()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	late := time.After(20 * time.Second)
	for !strings.Contains(w.chats(), text) {
		select {
		case <-tick.C:
		case <-late:
			w.Fatalf("no chat shows %.80q", text)
		}
	}
}

// A reply that is longer than the bot may say at once goes on by response_url.
func TestLongReplyGoesOn(t *testing.T) {
	var lines []string
	for n := range 700 {
		lines = append(lines, fmt.Sprintf("第 %d 条：%s", n, strings.Repeat("好", 10)))
	}
	w := newLaneWorld(t, strings.Join(lines, "\n"))
	resp, err := http.Post(w.url+"/sim/api/say", "application/json", strings.NewReader(`{"chat":"wrkOne","person":"zhangsan","text":"@小助手 全部"}`))
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	w.shows("没完，后面的接着发")
	w.shows("第 699 条")
	chats := w.chats()
	for n := range 700 {
		if c := strings.Count(chats, fmt.Sprintf("第 %d 条：", n)); c != 1 {
			t.Fatalf("line %d is shown %d times", n, c)
		}
	}
}

// Each form of a post is what the destination shows, or its text.
func TestFormsOfPosts(t *testing.T) {
	w := newLaneWorld(t, "")
	send := func(lane string, r bot.Rich) {
		t.Helper()
		if _, err := w.sender.Send(t.Context(), lane, bot.Reply{Text: "看纯文字", Rich: &r}, "k"); err != nil {
			t.Errorf("%s: %v", lane, err)
		}
	}
	png := append([]byte("\x89PNG\r\n\x1a\n"), make([]byte, 100)...)
	article := bot.Rich{Articles: []bot.Article{{Title: "周末市集", URL: "https://example.com/1"}}}
	card := bot.Rich{Card: &bot.Card{Title: "抽奖 #1 开始了", Text: "三个奖", Facts: []bot.Fact{{Name: "奖品", Value: "电饭煲"}}, URL: "https://example.com/draws/a"}}
	for _, tt := range []struct {
		lane string
		rich bot.Rich
		want string
	}{
		{w.hook, bot.Rich{Markdown: "**满减**"}, "**满减**"},
		{w.hook, article, "周末市集"},
		{w.hook, card, "抽奖 #1 开始了"},
		{"app/zhangsan", bot.Rich{Markdown: "**满减二**"}, "**满减二**"},
		{"app/zhangsan", bot.Rich{Articles: []bot.Article{{Title: "周末市集二", URL: "https://example.com/1"}}}, "周末市集二"},
		{"app/zhangsan", bot.Rich{Card: &bot.Card{Title: "开奖了", URL: "https://example.com/draws/a"}}, "开奖了"},
	} {
		send(tt.lane, tt.rich)
		w.shows(tt.want)
	}
	if strings.Contains(w.chats(), "看纯文字") {
		t.Error("the text came with the rich form, or instead of it")
	}
	send(w.hook, bot.Rich{Picture: png})
	w.shows(`"images"`)
	if _, err := w.sender.Send(t.Context(), "app/zhangsan", bot.Reply{Text: "看纯文字", Rich: &bot.Rich{Markdown: strings.Repeat("长", 1000)}}, "k2"); err != nil {
		t.Error(err) // markdown for the app has 2,048 bytes: it gets the text
	}
	w.shows("看纯文字")
}

// A lane that names nothing is refused without its address, which may be secret.
func TestLanesThatDoNotExist(t *testing.T) {
	w := newLaneWorld(t, "")
	for _, lane := range []string{"chat/SECRET", "pigeon/SECRET", "kf/SECRET/x", "webhook/SECRET", "webhook/999", "response/SECRET"} {
		_, err := w.sender.Send(t.Context(), lane, bot.Reply{Text: "a"}, "k")
		outcome := bot.Doubtful
		if e, ok := err.(bot.SendError); ok {
			outcome, _ = e.Outcome()
		}
		if outcome != bot.Refused || strings.HasPrefix(lane, "response") && strings.Contains(err.Error(), "SECRET") {
			t.Errorf("%s: %v, outcome %v; want it refused", lane, err, outcome)
		}
	}
}
