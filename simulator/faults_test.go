package simulator

import (
	"context"
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"
)

func TestFaults(t *testing.T) {
	w := newWorld(t, func(c *Config) {
		withRobot(c)
		c.Timing.Hold = 20 * time.Millisecond
	})
	token := w.token(testSecret)
	path := "message/send?access_token=" + token
	body := map[string]any{"touser": "xiaowang", "agentid": 1000002, "msgtype": "text", "text": map[string]string{"content": "x"}}
	set := func(f Fault, times int) {
		t.Helper()
		if err := w.SetFault("message/send", f, times); err != nil {
			t.Fatal(err)
		}
	}
	for f, want := range map[Fault]int{FaultFrequency: 45009, FaultAddress: 60020} {
		set(f, 2)
		for i, want := range []int{want, want, 0} {
			if got := code(w.call(path, body)); got != want {
				t.Errorf("%s, call %d: errcode %d, want %d", f, i+1, got, want)
			}
		}
	}
	set(FaultToken, 1)
	if got := code(w.call(path, body)); got != 42001 {
		t.Errorf("errcode = %d, want 42001", got)
	}
	if got := code(w.call(path, body)); got != 40014 {
		t.Errorf("errcode of the same token again = %d, want 40014", got)
	}
	path = "message/send?access_token=" + w.token(testSecret)
	if got := code(w.call(path, body)); got != 0 {
		t.Errorf("errcode with a new token = %d, want 0", got)
	}

	post := func() (status int, err error) {
		response, err := http.Post(w.url+"/cgi-bin/"+path, "application/json", strings.NewReader(mustJSONText(t, body)))
		if err != nil {
			return 0, err
		}
		defer response.Body.Close()
		_, err = io.ReadAll(response.Body)
		return response.StatusCode, err
	}
	count := func() int { return len(w.state().linesOf("app:1000002", "xiaowang")) }
	set(FaultServer, 0)
	for range 3 {
		if status, err := post(); status != http.StatusInternalServerError || err != nil {
			t.Errorf("status %d, %v, want 500", status, err)
		}
	}
	before := count()
	set(FaultTimeout, 1)
	if _, err := post(); err == nil {
		t.Error("a timed out call was answered")
	}
	if got := count(); got != before+1 {
		t.Errorf("%d messages, want %d: a timed out call is done", got, before+1)
	}
	set(FaultHang, 1)
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, w.url+"/cgi-bin/"+path, strings.NewReader(mustJSONText(t, body)))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := http.DefaultClient.Do(request); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("a call that hangs: %v, want the caller's own deadline", err)
	}
	if got := count(); got != before+1 {
		t.Errorf("%d messages, want %d: a call that hangs is not done", got, before+1)
	}
	if got := code(w.call(path, body)); got != 0 {
		t.Errorf("errcode at the end = %d, want 0", got)
	}
}

func TestFaultOfEveryAPI(t *testing.T) {
	w := newWorld(t, withRobot)
	if err := w.SetFault(EveryAPI, FaultFrequency, 0); err != nil {
		t.Fatal(err)
	}
	send := func() int {
		return code(w.call("webhook/send?key="+robotKey, map[string]any{"msgtype": "text", "text": map[string]string{"content": "x"}}))
	}
	if got := send(); got != 45009 {
		t.Errorf("errcode = %d, want 45009", got)
	}
	if got := code(w.get("/cgi-bin/gettoken")); got != 45009 {
		t.Errorf("errcode of gettoken = %d, want 45009", got)
	}
	if status, _ := w.do("fault", ask{API: EveryAPI}); status != http.StatusOK || send() != 0 {
		t.Error("the fault cannot be switched off")
	}
}

func TestFaultsRefused(t *testing.T) {
	w := newWorld(t, nil)
	tests := []struct {
		api   string
		fault Fault
		times int
	}{
		{"no/such", FaultServer, 1},
		{"webhook/send", "earthquake", 1},
		{"webhook/send", FaultLate, 1},
		{AibotCallback, FaultServer, 1},
		{"webhook/send", FaultServer, -1},
	}
	for _, tt := range tests {
		if err := w.SetFault(tt.api, tt.fault, tt.times); err == nil {
			t.Errorf("SetFault(%s, %s, %d) = nil", tt.api, tt.fault, tt.times)
		}
		if status, _ := w.do("fault", ask{API: tt.api, Fault: tt.fault, Times: tt.times}); status != http.StatusBadRequest && status != http.StatusNotFound {
			t.Errorf("the page may set %s for %s", tt.fault, tt.api)
		}
	}
}

func TestVoidTokens(t *testing.T) {
	w := newWorld(t, nil)
	token := w.token(testSecret)
	if status, _ := w.do("fault", ask{API: "token"}); status != http.StatusOK {
		t.Fatal("cannot void the tokens")
	}
	if got := code(w.get("/cgi-bin/getcallbackip?access_token=" + token)); got != 40014 {
		t.Errorf("errcode = %d, want 40014", got)
	}
}

func TestCallbackFaults(t *testing.T) {
	w := newWorld(t, func(c *Config) { c.Timing.Late = time.Millisecond })
	if err := w.SetFault(AibotCallback, FaultDuplicate, 1); err != nil {
		t.Fatal(err)
	}
	id := w.mustSay("wrkOne", "xiaowang", "@小助手 签到")
	st := w.waitFor("the duplicate", func(st state) bool {
		tr := find(st.Traces, func(t *trace) bool { return t.Line == id })
		return tr != nil && find(tr.Rows, func(r row) bool { return r.Name == "重复投递" }).Name != ""
	})
	posts := w.service.got()
	if len(posts) != 2 || posts[0].plain != posts[1].plain || posts[0].query["nonce"] == posts[1].query["nonce"] {
		t.Errorf("callbacks = %+v", posts)
	}
	if answers := len(st.linesOf("wrkOne", "")); answers != 5 { // three from before
		t.Errorf("%d lines, want one message and one answer", answers-3)
	}
	if err := w.SetFault(AibotCallback, FaultLate, 1); err != nil {
		t.Fatal(err)
	}
	id = w.mustSay("wrkOne", "xiaowang", "@小助手 签到")
	st = w.settled(id)
	if tr := find(st.Traces, func(t *trace) bool { return t.Line == id }); tr.Rows[0].Name != "迟到" || tr.State != good {
		t.Errorf("trace = %+v", tr)
	}
}

func TestAdvance(t *testing.T) {
	var told []time.Duration
	start := time.Date(2026, 3, 1, 22, 30, 0, 0, time.FixedZone("", 8*60*60))
	release, entered := make(chan bool), make(chan bool)
	w := newWorld(t, func(c *Config) {
		c.Now = func() time.Time { return start }
		c.OnAdvance = func(d time.Duration) {
			told = append(told, d)
			entered <- true
			<-release
		}
	})
	if status, _ := w.do("advance", ask{Key: "yesterday"}); status != http.StatusBadRequest {
		t.Error("the clock takes an unknown step")
	}
	if status, answer := w.do("advance", ask{Key: "morning"}); status != http.StatusOK {
		t.Fatal(answer)
	}
	<-entered
	if st := w.state(); !st.Panel.Moving || !st.Panel.Moves {
		t.Errorf("panel = %+v, want one that waits for the service", st.Panel)
	}
	if status, _ := w.do("advance", ask{Key: "hour"}); status != http.StatusConflict {
		t.Error("a second step while the first is under way")
	}
	release <- true
	st := w.waitFor("the service", func(st state) bool { return !st.Panel.Moving })
	if want := 10*time.Hour + 29*time.Minute; w.Ahead() != want || told[0] != want || st.Now.Format("02 15:04") != "02 08:59" {
		t.Errorf("ahead by %v, told %v, now %s; want %v and 08:59", w.Ahead(), told, st.Now, want)
	}
	go w.Advance(24 * time.Hour)
	<-entered
	release <- true
	w.waitFor("the next day", func(st state) bool { return st.Now.Format("02 15:04") == "03 08:59" && !st.Panel.Moving })
}

func TestUntilMorning(t *testing.T) {
	zone := time.FixedZone("", 8*60*60)
	tests := []struct {
		now  time.Time
		want time.Duration
	}{
		{time.Date(2026, 3, 1, 8, 58, 59, 0, zone), time.Second},
		{time.Date(2026, 3, 1, 8, 59, 0, 0, zone), 24 * time.Hour},
		{time.Date(2026, 12, 31, 9, 0, 0, 0, zone), 24*time.Hour - time.Minute},
	}
	for _, tt := range tests {
		if got := untilMorning(tt.now); got != tt.want {
			t.Errorf("untilMorning(%s) = %v, want %v", tt.now, got, tt.want)
		}
	}
}

func TestCallsAMinute(t *testing.T) {
	w := newWorld(t, nil)
	e := endpoint{path: "message/send"}
	for range maxCallsAMinute {
		if !w.countCall(e) {
			t.Fatal("refused below the limit")
		}
	}
	if w.countCall(e) {
		t.Errorf("call %d of a minute is allowed", maxCallsAMinute+1)
	}
	w.Advance(time.Minute)
	if !w.countCall(e) {
		t.Error("refused in the next minute")
	}
}
