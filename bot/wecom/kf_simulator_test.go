package wecom_test

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
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
	"qunbot/handlers/checkin"
	"qunbot/simulator"
	"qunbot/store"
	"qunbot/store/storetest"
)

// A customer's visit, with everything running, against the simulator: callbacks
// go over the wire, replies through the outbox.
func TestKFOnTheSimulator(t *testing.T) {
	const account, customer, staff = "wkDEMO0001", "wmDEMO0001", "zhangsan"
	log := slog.New(slog.DiscardHandler)
	db := storetest.Open(t)
	mux := http.NewServeMux()
	server := httptest.NewServer(mux)
	t.Cleanup(server.Close)
	sim, err := simulator.New(simulator.Config{
		BaseURL: server.URL, CorpID: testCorp,
		Apps:   []simulator.App{{AgentID: "1000002", Secret: "app-secret-0123456789", Token: testToken, AESKey: testAESKey, CallbackURL: server.URL + "/wecom/app"}},
		People: []simulator.Person{{ID: customer, Kind: simulator.Customer, Name: "小王", UnionID: "uA"}, {ID: staff, Kind: simulator.Member, Name: "张三"}},
		KF:     []simulator.KFAccount{{ID: account, Name: "客服", Servicers: []string{staff}}},
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
	kf, err := wecom.NewKF(wecom.KFConfig{Accounts: []string{account}, Store: db, API: api, Secret: []byte("links"), Now: time.Now, Log: log})
	if err != nil {
		t.Fatal(err)
	}
	d := handlers.Deps{Store: db, Now: time.Now, Zone: db.Zone(), Log: log}
	app, err := handlers.Register(d, []handlers.Feature{{Name: "kf", Screen: kf.Screen}, checkin.New(d)})
	if err != nil {
		t.Fatal(err)
	}
	kf.Engine = app.Engine
	outbox := bot.NewOutbox(bot.OutboxConfig{Store: db, Sender: wecom.LaneSender{API: api, Store: db, KF: kf}, Now: time.Now, Log: log, Owner: "test"})
	platform, err := wecom.New(wecom.Config{App: &wecom.App{CorpID: testCorp, Token: testToken, AESKey: testAESKey}, KF: kf, Now: time.Now, Log: log})
	if err != nil {
		t.Fatal(err)
	}
	platform.Mount(mux, app.Engine)
	bottest.Run(t, app.Engine)
	for name, run := range map[string]func(context.Context) error{"simulator": sim.Run, "kf": kf.Run, "outbox": outbox.Run} {
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

	// The simulator's page hears of everything that anybody sees.
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	req, _ := http.NewRequestWithContext(ctx, http.MethodGet, server.URL+"/sim/api/events", nil)
	events, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer events.Body.Close()
	seen := bufio.NewScanner(events.Body)
	seen.Buffer(nil, 1<<20)
	sees := func(text string) {
		t.Helper()
		for seen.Scan() {
			if strings.Contains(seen.Text(), text) {
				return
			}
		}
		t.Fatalf("nobody sees %q: %v", text, seen.Err())
	}
	do := func(action string, body map[string]any) {
		t.Helper()
		text, _ := json.Marshal(body)
		resp, err := http.Post(server.URL+"/sim/api/"+action, "application/json", bytes.NewReader(text))
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		if resp.StatusCode != http.StatusOK {
			t.Fatalf("%s %s = %s", action, text, resp.Status)
		}
	}
	say := func(text string) {
		t.Helper()
		do("say", map[string]any{"chat": account, "person": customer, "text": text})
	}

	sees("hello")
	base, err := api.KFContactWay(t.Context(), account, "mall")
	if err != nil {
		t.Fatal(err)
	}
	link, err := kf.Link(base, store.KFGroupSource(17))
	if err != nil {
		t.Fatal(err)
	}
	do("enter", map[string]any{"person": customer, "url": link})
	sees("你可以对我说")
	say("签到")
	sees("签到成功")
	say("转人工")
	sees("已为您转接人工客服")
	do("desk", map[string]any{"chat": account, "person": staff, "with": customer, "key": "end"})
	sees("人工服务结束了")
	say("签到")
	sees("今天已经签到过")

	err = db.View(t.Context(), func(tx *store.Tx) error {
		m, err := tx.MemberByIdentity(tx.Context(), store.UnionID, "uA")
		if err != nil {
			return err
		}
		touch, err := tx.KFTouchOf(tx.Context(), m.ID)
		if touch.FirstSource != "g=17" {
			t.Errorf("came from %+v", touch)
		}
		return err
	})
	if err != nil {
		t.Error(err)
	}
}
