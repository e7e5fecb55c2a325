package api_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/goccy/go-yaml"

	"qunbot/store"
	"qunbot/store/storetest"
	"qunbot/web/api"
)

func TestMain(m *testing.M) { storetest.Main(m) }

var noon = time.Date(2026, 11, 21, 4, 0, 0, 0, time.UTC) // 12:00 in Asia/Shanghai

const (
	posKey    = "pos-0123456789abcdef"
	parkedKey = "park-0123456789abcdef"
)

// purchase is a feature's route: each run books points under no key of its
// own, so that the balance says how often it ran.
func purchase() api.Route {
	return api.Route{
		Method: "POST", Path: "/test/{id}/points", Summary: "加分", Write: true,
		Spec: `
parameters:
  - {name: id, in: path, required: true, schema: {type: integer}}
requestBody:
  content: {application/json: {schema: {type: object}}}
responses:
  "201": {description: 加好了}
`,
		Handle: func(ctx context.Context, tx *store.Tx, r api.Request) (any, error) {
			var in struct {
				Points int64  `json:"points"`
				Note   string `json:"note"`
			}
			if err := r.Decode(&in); err != nil {
				return nil, err
			}
			id, err := r.ID("id")
			if err != nil {
				return nil, err
			}
			balance, err := tx.LockedBalance(ctx, id)
			if err != nil {
				return nil, err
			}
			e := store.Entry{Key: fmt.Sprintf("test:%d:%d", id, balance), MemberID: id, Rule: "test", Points: in.Points, Note: in.Note, At: r.Now}
			if _, _, err := tx.AddEntry(ctx, e); err != nil {
				return nil, err
			}
			switch in.Note {
			case "conflict":
				return nil, api.Conflict("order-exists", "订单已经有了。")
			case "broken":
				return nil, errors.New("the till is stuck")
			case "panic":
				panic("a sale too far")
			}
			return api.Answer{Status: http.StatusCreated, Body: map[string]int64{"points": balance + in.Points}}, nil
		},
	}
}

// site is an API over db with a clock and a log.
type site struct {
	t   testing.TB
	db  *store.Store
	now time.Time
	log bytes.Buffer
	mux *http.ServeMux
}

func open(t testing.TB, db *store.Store) *site {
	t.Helper()
	s := &site{t: t, db: db, now: noon, mux: http.NewServeMux()}
	a, err := api.New(api.Config{Store: db, Keys: []api.Key{{Name: "pos", Secret: posKey}, {Name: "park", Secret: parkedKey}},
		Routes: []api.Route{purchase()}, Now: func() time.Time { return s.now }, Log: slog.New(slog.NewTextHandler(&s.log, nil)), Rate: 10, Burst: 40})
	if err != nil {
		t.Fatal(err)
	}
	a.Mount(s.mux)
	return s
}

// ask sends a request with pos's key, unless headers (name, value, …) say otherwise.
func (s *site) ask(method, path, body string, headers ...string) *httptest.ResponseRecorder {
	r := httptest.NewRequest(method, path, strings.NewReader(body))
	r.Header.Set("Authorization", "Bearer "+posKey)
	for i := 0; i+1 < len(headers); i += 2 {
		r.Header.Set(headers[i], headers[i+1])
	}
	w := httptest.NewRecorder()
	s.mux.ServeHTTP(w, r)
	return w
}

// member makes a member called 小王 with this much of a history.
func (s *site) member(entries int) (id int64) {
	s.t.Helper()
	err := s.db.Update(context.Background(), func(tx *store.Tx) error {
		m, err := tx.MembersOf(tx.Context(), []store.Identity{{Kind: store.ExternalUserID, Value: "wm1"}}, noon)
		if err != nil {
			return err
		}
		id = m[0].ID
		if err := tx.SetName(tx.Context(), id, "小王"); err != nil {
			return err
		}
		for n := range entries {
			if _, _, err := tx.AddEntry(tx.Context(), store.Entry{Key: fmt.Sprint("e", n), MemberID: id, Rule: "checkin", Points: 10, Note: "签到", At: noon}); err != nil {
				return err
			}
		}
		_, err = tx.AddCheckIn(tx.Context(), store.CheckIn{MemberID: id, Day: "2026-11-20", Streak: 7, At: noon})
		return err
	})
	if err != nil {
		s.t.Fatal(err)
	}
	return id
}

// problem checks that an answer is a problem with all its members.
func problem(t testing.TB, what string, w *httptest.ResponseRecorder, status int, detail string) {
	t.Helper()
	var p struct {
		Type, Title, Detail, Instance string
		Status                        int
	}
	if err := json.Unmarshal(w.Body.Bytes(), &p); err != nil {
		t.Errorf("%s: %v in %s", what, err, w.Body)
	}
	if w.Code != status || p.Status != status || w.Header().Get("Content-Type") != "application/problem+json" ||
		p.Type == "" || p.Title == "" || !strings.HasPrefix(p.Instance, "urn:qunbot:request:") || !strings.Contains(p.Detail, detail) {
		t.Errorf("%s = %d %s %s, want problem %d with %q", what, w.Code, w.Header().Get("Content-Type"), w.Body, status, detail)
	}
}

func TestKeys(t *testing.T) {
	s := open(t, storetest.Open(t))
	for name, authorization := range map[string]string{
		"none": "", "unknown": "Bearer " + posKey + "x", "a part": "Bearer " + posKey[:10], "another scheme": "Basic " + posKey, "empty": "Bearer ",
	} {
		w := s.ask("GET", "/api/v1/groups", "", "Authorization", authorization)
		problem(t, name, w, 401, "Authorization: Bearer")
		if !strings.HasPrefix(w.Header().Get("WWW-Authenticate"), "Bearer") {
			t.Errorf("%s: WWW-Authenticate = %q", name, w.Header().Get("WWW-Authenticate"))
		}
	}
	for _, authorization := range []string{"Bearer " + posKey, "bearer " + parkedKey} {
		if w := s.ask("GET", "/api/v1/groups", "", "Authorization", authorization); w.Code != 200 || strings.TrimSpace(w.Body.String()) != "[]" {
			t.Errorf("with %q = %d %s, want []", authorization, w.Code, w.Body)
		}
	}
	if strings.Contains(s.log.String(), posKey[:10]) {
		t.Error("the log holds a key")
	}
}

func TestProblems(t *testing.T) {
	s := open(t, storetest.Open(t))
	problem(t, "no route", s.ask("GET", "/api/v1/nothing", ""), 404, "openapi.yaml")
	w := s.ask("DELETE", "/api/v1/groups", "")
	problem(t, "another method", w, 405, "GET")
	if w.Header().Get("Allow") != "GET" {
		t.Errorf("Allow = %q, want GET", w.Header().Get("Allow"))
	}
	problem(t, "too large", s.ask("POST", "/api/v1/test/1/points", strings.Repeat(" ", api.MaxBody+1), "Idempotency-Key", "k"), 413, "1 MiB")
	problem(t, "no filter", s.ask("GET", "/api/v1/members", ""), 400, "userid")
	problem(t, "two filters", s.ask("GET", "/api/v1/members?userid=a&external_userid=b", ""), 400, "其中一个")
	problem(t, "no number", s.ask("GET", "/api/v1/members/x/ledger", ""), 404, "x")
	problem(t, "no member", s.ask("GET", "/api/v1/members/9/ledger", ""), 404, "没有")
	problem(t, "limit 0", s.ask("GET", "/api/v1/groups?limit=0", ""), 400, "limit")
	problem(t, "limit 201", s.ask("GET", "/api/v1/groups?limit=201", ""), 400, "200")
	problem(t, "after x", s.ask("GET", "/api/v1/groups?after=x", ""), 400, "after")
	for text, status := range map[string]int{"broken": 500, "panic": 500, "conflict": 409} {
		s.log.Reset()
		w := s.ask("POST", "/api/v1/test/1/points", `{"points":1,"note":"`+text+`"}`, "Idempotency-Key", text)
		problem(t, text, w, status, "")
		id := w.Body.String()[strings.Index(w.Body.String(), "urn:qunbot:request:")+len("urn:qunbot:request:"):][:8]
		if log := s.log.String(); strings.Count(log, "level=") != 1 || !strings.Contains(log, id) {
			t.Errorf("%s: log %q, want one line with the id %s", text, log, id)
		}
	}
	if w := s.ask("GET", "/api/v1/members/1/ledger", ""); w.Code != 404 {
		t.Errorf("after problems only, member 1 = %d %s, want no trace", w.Code, w.Body)
	}
}

func TestRateIsLimitedByKey(t *testing.T) {
	s := open(t, storetest.Open(t))
	var last *httptest.ResponseRecorder
	for range 60 {
		last = s.ask("GET", "/api/v1/groups", "")
	}
	problem(t, "the 60th at once", last, 429, "每秒最多 10")
	if last.Header().Get("Retry-After") != "1" {
		t.Errorf("Retry-After = %q, want 1", last.Header().Get("Retry-After"))
	}
	if w := s.ask("GET", "/api/v1/groups", "", "Authorization", "Bearer "+parkedKey); w.Code != 200 {
		t.Errorf("another key meanwhile = %d, want 200", w.Code)
	}
	s.now = s.now.Add(time.Second)
	if w := s.ask("GET", "/api/v1/groups", ""); w.Code != 200 {
		t.Errorf("a second later = %d, want 200", w.Code)
	}
}

func TestMembersAndLedger(t *testing.T) {
	s := open(t, storetest.Open(t))
	id := s.member(120)
	want := fmt.Sprintf(`[{"id":%d,"name":"小王","points":1200,"streak":7,"created_at":"2026-11-21T04:00:00Z"}]`, id)
	if w := s.ask("GET", "/api/v1/members?external_userid=wm1", ""); w.Code != 200 || strings.TrimSpace(w.Body.String()) != want {
		t.Errorf("member = %d %s, want %s", w.Code, w.Body, want)
	}
	for _, filter := range []string{"userid=wm1", "external_userid=WM1"} {
		if w := s.ask("GET", "/api/v1/members?"+filter, ""); w.Code != 200 || strings.TrimSpace(w.Body.String()) != "[]" {
			t.Errorf("%s = %d %s, want []", filter, w.Code, w.Body)
		}
	}
	s.now = s.now.AddDate(0, 0, 1)
	if w := s.ask("GET", "/api/v1/members?external_userid=wm1", ""); !strings.Contains(w.Body.String(), `"streak":0`) {
		t.Errorf("two days after the last check-in: %s, want streak 0", w.Body)
	}

	seen, pages := map[int64]bool{}, 0
	for at := fmt.Sprintf("/api/v1/members/%d/ledger?limit=50", id); at != ""; pages++ {
		w := s.ask("GET", at, "")
		var entries []struct {
			ID, Points int64
			Rule, Note string
		}
		if err := json.Unmarshal(w.Body.Bytes(), &entries); err != nil {
			t.Fatal(err)
		}
		for _, e := range entries {
			if seen[e.ID] || e.Points != 10 || e.Rule != "checkin" || e.Note != "签到" {
				t.Errorf("entry %+v is there twice or not as booked", e)
			}
			seen[e.ID] = true
		}
		at = ""
		if link := w.Header().Get("Link"); link != "" {
			address, rel, _ := strings.Cut(strings.TrimPrefix(link, "<"), ">")
			if rel != `; rel="next"` || !strings.Contains(address, "limit=50") {
				t.Errorf("Link = %q", link)
			}
			at = address
		}
	}
	if len(seen) != 120 || pages != 3 {
		t.Errorf("%d entries on %d pages, want 120 on 3", len(seen), pages)
	}
}

func TestGroups(t *testing.T) {
	s := open(t, storetest.Open(t))
	err := s.db.Update(t.Context(), func(tx *store.Tx) error {
		mall, err := tx.MallNamed(tx.Context(), "南湖店")
		if err != nil {
			return err
		}
		_, err = tx.AddGroup(tx.Context(), store.Group{ChatID: "c", Kind: store.CustomerGroup, Name: "一号<群>", MallID: mall.ID, CreatedAt: noon})
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	want := `[{"id":1,"name":"一号<群>","kind":"customer","mall":"南湖店","members":0}]`
	if w := s.ask("GET", "/api/v1/groups", ""); strings.TrimSpace(w.Body.String()) != want || w.Header().Get("Link") != "" {
		t.Errorf("groups = %s with Link %q, want %s and none", w.Body, w.Header().Get("Link"), want)
	}
}

func TestWritesHappenOnce(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.Store) {
		s := open(t, db)
		id := s.member(0)
		path := fmt.Sprintf("/api/v1/test/%d/points", id)
		problem(t, "no key", s.ask("POST", path, `{"points":5}`), 400, "Idempotency-Key")
		problem(t, "a key with blanks", s.ask("POST", path, `{"points":5}`, "Idempotency-Key", "a b"), 400, "ASCII")

		first := s.ask("POST", path, `{"points":5}`, "Idempotency-Key", "order-1")
		if first.Code != 201 || first.Header().Get("Idempotency-Replayed") != "" || strings.TrimSpace(first.Body.String()) != `{"points":5}` {
			t.Errorf("first = %d %s", first.Code, first.Body)
		}
		again := s.ask("POST", path, `{"points":5}`, "Idempotency-Key", "order-1")
		if again.Code != 201 || again.Header().Get("Idempotency-Replayed") != "true" || again.Body.String() != first.Body.String() {
			t.Errorf("again = %d %s, replayed %q, want the first answer", again.Code, again.Body, again.Header().Get("Idempotency-Replayed"))
		}
		problem(t, "another body", s.ask("POST", path, `{"points":6}`, "Idempotency-Key", "order-1"), 422, "换一个值")
		problem(t, "another path", s.ask("POST", "/api/v1/test/77/points", `{"points":5}`, "Idempotency-Key", "order-1"), 422, "换一个值")
		if other := s.ask("POST", path, `{"points":5}`, "Idempotency-Key", "order-1", "Authorization", "Bearer "+parkedKey); strings.TrimSpace(other.Body.String()) != `{"points":10}` {
			t.Errorf("the same key of another client = %d %s, want a booking of its own", other.Code, other.Body)
		}
		problem(t, "a failure", s.ask("POST", path, `{"points":5,"note":"broken"}`, "Idempotency-Key", "order-2"), 500, "")
		if w := s.ask("POST", path, `{"points":5}`, "Idempotency-Key", "order-2"); strings.TrimSpace(w.Body.String()) != `{"points":15}` {
			t.Errorf("after a failure the key = %d %s, want it free", w.Code, w.Body)
		}

		var wg sync.WaitGroup
		for range 8 {
			wg.Go(func() {
				w := s.ask("POST", path, `{"points":5}`, "Idempotency-Key", "order-3")
				if w.Code != 201 || strings.TrimSpace(w.Body.String()) != `{"points":20}` {
					t.Errorf("one of eight at once = %d %s, want the one answer", w.Code, w.Body)
				}
			})
		}
		wg.Wait()
	})
}

func TestDecodeIsStrict(t *testing.T) {
	s := open(t, storetest.Open(t))
	for body, detail := range map[string]string{
		``:                         "空的",
		`{`:                        "完整的 JSON",
		`[]`:                       "JSON",
		`{"points":"5"}`:           "字段 points 的类型不对：要 整数",
		`{"points":1.5}`:           "字段 points",
		`{"points":1,"pionts":2}`:  "不认识字段 pionts",
		`{"points":1}{"points":2}`: "只能有一个",
	} {
		problem(t, body, s.ask("POST", "/api/v1/test/1/points", body, "Idempotency-Key", "k"), 400, detail)
	}
}

// What is mounted stands in the document, and what stands there is mounted.
func TestDocumentHoldsTheRoutes(t *testing.T) {
	s := open(t, storetest.Open(t))
	w := s.ask("GET", "/api/v1/openapi.yaml", "", "Authorization", "")
	var document struct {
		OpenAPI    string `yaml:"openapi"`
		Paths      map[string]map[string]map[string]any
		Components map[string]map[string]any
	}
	if err := yaml.Unmarshal(w.Body.Bytes(), &document); err != nil || w.Code != 200 {
		t.Fatalf("openapi.yaml = %d, %v\n%s", w.Code, err, w.Body)
	}
	var got []string
	for path, operations := range document.Paths {
		for method, operation := range operations {
			got = append(got, strings.ToUpper(method)+" "+path)
			at := "/api/v1" + strings.ReplaceAll(path, "{id}", "1")
			if w := s.ask(strings.ToUpper(method), at, ""); w.Code == 405 || strings.Contains(w.Body.String(), "没有 /api") {
				t.Errorf("%s %s stands in the document and is not mounted", method, path)
			}
			if operation["summary"] == "" || operation["responses"] == nil {
				t.Errorf("%s %s has no summary or no responses", method, path)
			}
		}
	}
	slices.Sort(got)
	want := []string{"GET /groups", "GET /members", "GET /members/{id}/ledger", "POST /test/{id}/points"}
	if !slices.Equal(got, want) {
		t.Errorf("paths = %q, want %q", got, want)
	}
	text := w.Body.String()
	for _, line := range strings.Split(text, "\n") {
		_, to, ok := strings.Cut(line, "#/components/")
		if !ok {
			continue
		}
		kind, name, _ := strings.Cut(strings.TrimRight(to, "\"'} ,]"), "/")
		if document.Components[kind][name] == nil {
			t.Errorf("the document refers to %s/%s, which it does not hold", kind, name)
		}
	}
	if !strings.Contains(text, "parameters/IdempotencyKey") {
		t.Error("the document does not ask for an Idempotency-Key on writes")
	}
}

func TestNewNamesWhatIsWrong(t *testing.T) {
	handle := func(context.Context, *store.Tx, api.Request) (any, error) { return nil, nil }
	const spec = "responses: {\"200\": {description: x}}"
	route := func(method, path, spec string) api.Config {
		return api.Config{Routes: []api.Route{{Method: method, Path: path, Summary: "x", Spec: spec, Write: method != "GET", Handle: handle}}}
	}
	tests := []struct {
		name   string
		config api.Config
		want   string
	}{
		{"short key", api.Config{Keys: []api.Key{{Name: "a", Secret: "short"}}}, "16"},
		{"same name", api.Config{Keys: []api.Key{{Name: "a", Secret: posKey}, {Name: "a", Secret: parkedKey}}}, "another"},
		{"same key", api.Config{Keys: []api.Key{{Name: "a", Secret: posKey}, {Name: "b", Secret: posKey}}}, "another"},
		{"unknown method", route("LIST", "/a", spec), "method"},
		{"same route", route("GET", "/groups", spec), "/groups"},
		{"no responses", route("GET", "/a", ""), "responses"},
		{"broken spec", route("GET", "/a", "responses: ["), "Spec"},
		{"parameter not described", route("GET", "/a/{id}", spec), "{id}"},
		{"unknown part", route("GET", "/a", spec+"\nanswers: 1"), "answers"},
	}
	db := storetest.Open(t)
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			tt.config.Store, tt.config.Now, tt.config.Log = db, time.Now, slog.Default()
			if _, err := api.New(tt.config); err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("New = %v, want an error with %q", err, tt.want)
			}
		})
	}
}

// Whatever a body holds, decoding answers with what it read or a problem.
func FuzzDecode(f *testing.F) {
	for _, seed := range []string{`{"points":5,"note":"a"}`, `{"points":"5"}`, `{"x":1}`, `{}{}`, `[`, "\xff", `{"points":1e99}`, `null`} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, body string) {
		var in struct {
			Points int64    `json:"points"`
			Note   string   `json:"note"`
			Tags   []string `json:"tags"`
		}
		err := api.Request{Body: []byte(body)}.Decode(&in)
		var p *api.Problem
		if err != nil && (!errors.As(err, &p) || p.Status != 400 || p.Detail == "") {
			t.Errorf("Decode(%q) = %v, want a problem 400", body, err)
		}
	})
}
