package main

import (
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/goccy/go-yaml"

	"qunbot/bot"
	"qunbot/store"
	"qunbot/store/storetest"
	"qunbot/watch"
)

// get asks for an address and returns the status and the body.
func get(t *testing.T, address string, header ...string) (int, string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), "GET", "http://"+address, nil)
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; i < len(header); i += 2 {
		req.Header.Set(header[i], header[i+1])
		if header[i] == "Host" {
			req.Host = header[i+1]
		}
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return 0, err.Error()
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, string(body)
}

// await waits until ok holds, and fails the test after ten seconds.
func await(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for began := time.Now(); !ok(); time.Sleep(5 * time.Millisecond) {
		if time.Since(began) > 10*time.Second {
			t.Fatalf("no %s after 10 s", what)
		}
	}
}

func awaitReady(t *testing.T, address string) {
	t.Helper()
	await(t, "200 from /readyz", func() bool { status, _ := get(t, address+"/readyz"); return status == http.StatusOK })
}

// keyOf returns the secret key of a service whose settings are at path.
func keyOf(t *testing.T, path string) []byte {
	t.Helper()
	key, err := secretKey(loadSettings(t, path))
	if err != nil {
		t.Fatal(err)
	}
	return key
}

// withSetting returns the path of settings that end with another line.
func withSetting(t *testing.T, path, line string) string {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(string(text)+line+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestReadyAndMetricsAreForInsiders(t *testing.T) {
	r := start(t, writeSettings(t, storetest.SQLite(t)), run)
	awaitReady(t, r.address)
	p := newPlatform(r.address)
	p.mustDeliver(t, saying{"m1", "lisi", "签到", time.Now()})
	for _, path := range []string{"/readyz", "/metrics"} {
		for _, header := range [][]string{{"X-Forwarded-For", "198.51.100.1"}, {"Host", "fans.example.com"}} {
			if status, body := get(t, r.address+path, header...); status != http.StatusNotFound {
				t.Errorf("GET %s with %v = %d %s, want 404", path, header, status, body)
			}
		}
	}
	_, body := get(t, r.address+"/metrics")
	for _, want := range []string{`qunbot_callbacks_total{endpoint="aibot/helper",result="answered"} 1`, `qunbot_messages_total{outcome="answered"} 1`, "go_goroutines", "process_open_fds"} {
		if !strings.Contains(body, want) {
			t.Errorf("GET /metrics lacks %q", want)
		}
	}
	for _, unwanted := range []string{"lisi", "wrkTESTgroup"} {
		if strings.Contains(body, unwanted) {
			t.Errorf("GET /metrics names %s", unwanted)
		}
	}
}

// Where the console has an address of its own, they are there and only there.
func TestReadyIsOnTheConsolesAddress(t *testing.T) {
	free, err := freeAddress()
	if err != nil {
		t.Fatal(err)
	}
	r := start(t, withSetting(t, writeSettings(t, storetest.SQLite(t)), "console_listen: "+free), run)
	awaitReady(t, free)
	for _, path := range []string{"/readyz", "/metrics"} {
		if status, _ := get(t, free+path); status != http.StatusOK {
			t.Errorf("GET %s on console_listen = %d, want 200", path, status)
		}
		if status, _ := get(t, r.address+path); status != http.StatusNotFound {
			t.Errorf("GET %s on listen = %d, want 404", path, status)
		}
	}
	if status, body := get(t, r.address+"/healthz"); status != http.StatusOK {
		t.Errorf("GET /healthz = %d %s, want 200", status, body)
	}
}

// A service that is told to stop says so first, and goes on to answer until a
// proxy has seen it.
func TestServiceDrains(t *testing.T) {
	o := storetest.SQLite(t)
	r := start(t, withSetting(t, writeSettings(t, o), "drain_seconds: 1"), run)
	awaitReady(t, r.address)
	r.cancel()
	await(t, "503 from /readyz", func() bool {
		status, body := get(t, r.address+"/readyz")
		return status == http.StatusServiceUnavailable && strings.Contains(body, "stopping")
	})
	newPlatform(r.address).mustDeliver(t, saying{"m1", "lisi", "签到", time.Now()})
	r.stop(t)
	withDatabase(t, o, func(db *store.Store) {
		err := db.View(t.Context(), func(tx *store.Tx) error {
			list, err := tx.Replicas(tx.Context())
			if len(list) != 1 || !list[0].Stopped {
				t.Errorf("replicas %+v, want one that has said goodbye", list)
			}
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	})
}

// Every metric and every label value that the rules for Prometheus name is on
// the page, and their bounds are the service's own.
func TestAlertRulesNameMetricsThatExist(t *testing.T) {
	text, err := os.ReadFile(filepath.Join("docs", "alerts.yml"))
	if err != nil {
		t.Fatal(err)
	}
	var file struct {
		Groups []struct {
			Name  string
			Rules []struct {
				Alert, Expr, For string
				Labels           map[string]string
				Annotations      map[string]string
			}
		}
	}
	if err := yaml.UnmarshalWithOptions(text, &file, yaml.DisallowUnknownField()); err != nil {
		t.Fatal(err)
	}
	r := start(t, writeSettings(t, storetest.SQLite(t)), run)
	awaitReady(t, r.address)
	_, page := get(t, r.address+"/metrics")
	bounds := map[string]float64{
		"QunbotSlowAnswers": watch.SlowAnswer.Seconds(), "QunbotOutboxOld": watch.LongWait.Seconds(), "QunbotJobLate": watch.LateJob.Seconds(),
		"QunbotBudgetSpent": watch.Budget.Seconds(), "QunbotBackupOld": watch.OldBackup.Seconds(),
	}
	selector := regexp.MustCompile(`\b((?:qunbot|go|process)_[a-z0-9_]+)(?:\{(\w+)=(~?)"([^"]*)"\})?`)
	seen := 0
	for _, rule := range file.Groups[0].Rules {
		if rule.Alert == "" || rule.Expr == "" || rule.Labels["severity"] == "" || rule.Annotations["summary"] == "" {
			t.Errorf("rule %+v lacks a name, an expression, a severity or a summary", rule)
		}
		if bound, known := bounds[rule.Alert]; known && !strings.Contains(rule.Expr, fmt.Sprintf("> %v", bound)) {
			t.Errorf("%s: %s, want the bound %v of the service", rule.Alert, rule.Expr, bound)
		}
		for _, s := range selector.FindAllStringSubmatch(rule.Expr, -1) {
			seen++
			if !regexp.MustCompile(`(?m)^` + s[1] + `[ {]`).MatchString(page) {
				t.Errorf("%s: no metric %s on the page", rule.Alert, s[1])
			}
			if s[2] == "" {
				continue
			}
			for _, value := range strings.Split(s[4], "|") {
				if !regexp.MustCompile(`(?m)^` + s[1] + `\{.*` + s[2] + `="` + regexp.QuoteMeta(value) + `"`).MatchString(page) {
					t.Errorf("%s: %s has no %s=%q on the page", rule.Alert, s[1], s[2], value)
				}
			}
		}
	}
	if seen < 15 {
		t.Errorf("%d metrics found in the rules, want at least 15: the test does not read them", seen)
	}
}

// Staff hear of a trouble in their group; where its webhook is gone, everybody
// who works with members hears by app message.
func TestAlertsReachStaff(t *testing.T) {
	o := storetest.SQLite(t)
	settings := withSetting(t, writeSettings(t, o), "alerts: {webhook_key: 2b1f-staff}")
	text, err := os.ReadFile(settings)
	if err != nil {
		t.Fatal(err)
	}
	whole := strings.Replace(string(text), "  bots:", "  app: {agent_id: 7, secret: SECRETsecret, token: APPtok3n, aes_key: "+testAESKey+"}\n  bots:", 1)
	if err := os.WriteFile(settings, []byte(whole), 0o600); err != nil {
		t.Fatal(err)
	}
	cfg := loadSettings(t, settings)
	db, err := store.Open(t.Context(), store.Options{Driver: o.Driver, DSN: o.DSN, Zone: o.Zone, Secret: keyOf(t, settings)})
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	trouble := func(key string) { // a post of which nobody knows whether it was sent
		t.Helper()
		err := db.Update(t.Context(), func(tx *store.Tx) error {
			ctx := tx.Context()
			if err := bot.Push(ctx, tx, bot.Post{Key: key, Lane: "webhook/99", Reply: bot.Reply{Text: key}, Delivery: bot.AtMostOnce}); err != nil {
				return err
			}
			if err := tx.AddLanes(ctx, []string{"webhook/99"}, time.Now()); err != nil {
				return err
			}
			p, err := tx.PostByKey(ctx, key)
			if err != nil {
				return err
			}
			if err := tx.StartPosts(ctx, []int64{p.ID}); err != nil {
				return err
			}
			p.State = store.PostUnknown
			_, err = tx.SettlePost(ctx, p)
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	// lanes runs the job and returns where alerts are queued.
	lanes := func() (found []string, texts string) {
		t.Helper()
		if out, err := command(t, "job", "run", "status.alert", "--config", settings); err != nil {
			t.Fatalf("job run status.alert: %v\n%s", err, out)
		}
		err := db.View(t.Context(), func(tx *store.Tx) error {
			posts, err := tx.Posts(tx.Context(), store.PostFilter{State: store.PostQueued, Oldest: true, Limit: 100})
			for _, p := range posts {
				found, texts = append(found, p.Lane), texts+p.Text
			}
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
		return found, texts
	}
	if err := bootstrap(t.Context(), cfg, db, time.Now()); err != nil {
		t.Fatal(err)
	}
	trouble("one")
	found, text1 := lanes()
	if len(found) != 1 || !strings.HasPrefix(found[0], "webhook/") || !strings.Contains(text1, "有消息不知道是否送达") || !strings.Contains(text1, "/console/status") {
		t.Fatalf("alerts are queued in %v, want the staff's webhook; they say %s", found, text1)
	}
	err = db.Update(t.Context(), func(tx *store.Tx) error { // the webhook is gone, and the alert over
		ctx := tx.Context()
		if err := tx.AddLanes(ctx, found, time.Now().Add(-time.Hour)); err != nil {
			return err
		}
		l, err := tx.Lane(ctx, found[0])
		if err != nil {
			return err
		}
		at := time.Now()
		l.DeadAt = &at
		if _, err := tx.SetLane(ctx, l); err != nil {
			return err
		}
		open, err := tx.OpenAlerts(ctx)
		if err != nil {
			return err
		}
		open[0].EndedAt = &at
		return tx.SetAlert(ctx, open[0])
	})
	if err != nil {
		t.Fatal(err)
	}
	if found, _ := lanes(); len(found) != 2 || found[1] != "app/zhangsan" {
		t.Errorf("alerts are queued in %v, want an app message too", found)
	}
}

// A service whose first heartbeat cannot be written is not ready.
func TestServiceIsNotReadyWithoutHeartbeat(t *testing.T) {
	o := storetest.SQLite(t)
	r := start(t, writeSettings(t, o), adjusted(o, func(s *service) {
		s.watch.pulse.Progress = func() bot.Progress { return bot.Progress{Running: true, Since: time.Now().Add(-time.Hour)} }
	}))
	await(t, "answer from /readyz", func() bool { status, _ := get(t, r.address+"/readyz"); return status != 0 })
	status, body := get(t, r.address+"/readyz")
	if status != http.StatusServiceUnavailable || !strings.Contains(body, "fail database: ") {
		t.Errorf("GET /readyz = %d %s, want 503 because nothing is written", status, body)
	}
}
