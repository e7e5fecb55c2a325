package portal_test

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/fstest"
	"time"

	"qunbot/store"
	"qunbot/store/storetest"
	"qunbot/web/portal"
	"qunbot/web/style"
)

var update = flag.Bool("update", false, "rewrite the golden pages in testdata")

var noon = time.Date(2026, 11, 21, 4, 0, 0, 0, time.UTC) // 12:00 in Asia/Shanghai

var secret = []byte("a secret of the test")

// platform is a sign-in that knows 小王 by the code "wang", once.
type platform struct {
	mu   sync.Mutex
	used map[string]bool
}

func (p *platform) AuthorizeURL(redirect, state string) string {
	return "https://wecom.example/authorize?redirect=" + url.QueryEscape(redirect) + "&state=" + state
}

func (p *platform) Identify(_ context.Context, code string) (store.Identity, string, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.used[code] || (code != "wang" && code != "nameless") {
		return store.Identity{}, "", errors.New("the code is used or unknown")
	}
	if p.used == nil {
		p.used = map[string]bool{}
	}
	p.used[code] = true
	if code == "nameless" {
		return store.Identity{Kind: store.ExternalUserID, Value: "wm2"}, "", nil
	}
	return store.Identity{Kind: store.ExternalUserID, Value: "wm1"}, "小王", nil
}

// site is a portal with a clock, a log and a browser of its own.
type site struct {
	t      *testing.T
	db     *store.Store
	now    time.Time
	log    bytes.Buffer
	url    string
	client *http.Client
}

func open(t *testing.T, c portal.Config) *site {
	t.Helper()
	s := &site{t: t, db: storetest.Open(t), now: noon}
	c.Store, c.Secret = s.db, secret
	c.Now = func() time.Time { return s.now }
	c.Log = slog.New(slog.NewTextHandler(&s.log, nil))
	mux := http.NewServeMux()
	server := httptest.NewServer(mux)
	t.Cleanup(server.Close)
	s.url, c.PublicURL = server.URL, server.URL
	p, err := portal.New(c)
	if err != nil {
		t.Fatal(err)
	}
	p.Mount(mux)
	s.client = browser(t)
	return s
}

// browser keeps cookies and follows no redirects.
func browser(t *testing.T) *http.Client {
	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	return &http.Client{Jar: jar, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
}

func (s *site) get(path string) (*http.Response, string) {
	s.t.Helper()
	r, err := http.NewRequestWithContext(s.t.Context(), "GET", s.url+path, nil)
	if err != nil {
		s.t.Fatal(err)
	}
	return s.do(r)
}

func (s *site) post(path string, form url.Values) (*http.Response, string) {
	s.t.Helper()
	r, err := http.NewRequestWithContext(s.t.Context(), "POST", s.url+path, strings.NewReader(form.Encode()))
	if err != nil {
		s.t.Fatal(err)
	}
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	r.Header.Set("Sec-Fetch-Site", "same-origin")
	return s.do(r)
}

func (s *site) do(r *http.Request) (*http.Response, string) {
	s.t.Helper()
	got, err := s.client.Do(r)
	if err != nil {
		s.t.Fatal(err)
	}
	defer got.Body.Close()
	body, err := io.ReadAll(got.Body)
	if err != nil {
		s.t.Fatal(err)
	}
	return got, string(body)
}

// begin asks for a page without a session and returns the state given to the platform.
func (s *site) begin(path string) (state string) {
	s.t.Helper()
	got, body := s.get(path)
	to, err := url.Parse(got.Header.Get("Location"))
	if got.StatusCode != http.StatusFound || err != nil || to.Host != "wecom.example" {
		s.t.Fatalf("without a session: %s to %q\n%s", got.Status, got.Header.Get("Location"), body)
	}
	if back := to.Query().Get("redirect"); back != s.url+"/m/sign-in" {
		s.t.Errorf("the platform is told to come back to %q", back)
	}
	return to.Query().Get("state")
}

func (s *site) signIn() {
	s.t.Helper()
	state := s.begin("/m/")
	if got, body := s.get("/m/sign-in?code=wang&state=" + state); got.StatusCode != http.StatusSeeOther {
		s.t.Fatalf("sign-in = %s\n%s", got.Status, body)
	}
}

func want(t *testing.T, what string, got *http.Response, body string, status int, contains ...string) {
	t.Helper()
	if got.StatusCode != status {
		t.Errorf("%s = %s, want %d\n%s", what, got.Status, status, body)
	}
	for _, c := range contains {
		if !strings.Contains(body, c) {
			t.Errorf("%s: the page does not hold %q:\n%s", what, c, body)
		}
	}
}

func formKey(t *testing.T, body string) string {
	t.Helper()
	m := regexp.MustCompile(`name="_key" value="([A-Z0-9]+)"`).FindStringSubmatch(body)
	if m == nil {
		t.Fatalf("the page has no form key:\n%s", body)
	}
	return m[1]
}

// spend is a feature's page: each post books one point, so that the balance
// says how often it ran.
func spend() portal.Page {
	return portal.Page{
		Path: "/spend", Title: "签到", Menu: true, Icon: "check",
		FS: fstest.MapFS{"portal.html": {Data: []byte(`{{define "main"}}<p>{{.Group}}</p><form method="post">{{formKey}}{{template "input" (field .Fields "n" "数量" "1 到 9")}}<button>好</button></form>{{end}}`)}},
		Load: func(_ context.Context, _ *store.Tx, v portal.Visit) (any, error) {
			return struct {
				Fields portal.Fields
				Group  string
			}{v.Fields("n", 1), v.Group.Name}, nil
		},
		Post: func(ctx context.Context, tx *store.Tx, v portal.Visit) (portal.Result, error) {
			balance, err := tx.LockedBalance(ctx, v.Member.ID)
			if err != nil {
				return portal.Result{}, err
			}
			e := store.Entry{Key: fmt.Sprintf("spend:%d:%d", v.Member.ID, balance), MemberID: v.Member.ID, Rule: "test", Points: 1, At: v.Now}
			if _, _, err := tx.AddEntry(ctx, e); err != nil {
				return portal.Result{}, err
			}
			switch v.Value("n") {
			case "0":
				return portal.Result{}, portal.Invalid("n", "要 1 到 9。")
			case "broken":
				return portal.Result{}, errors.New("the till is stuck")
			}
			return portal.Result{Redirect: "/m/", Message: fmt.Sprintf("第 %d 次", balance+1), Celebrate: true}, nil
		},
		Card: func(_ context.Context, _ *store.Tx, v portal.Visit) (portal.Card, error) {
			return portal.Card{Title: "连续签到", Figure: "5", Unit: "天", Text: "明天多得 5 分", Dots: []bool{false, true, true, true, true, true, false},
				Action: "签到", Post: true, Main: true}, nil
		},
	}
}

func (s *site) balance() (n int64) {
	s.t.Helper()
	err := s.db.View(s.t.Context(), func(tx *store.Tx) error {
		all, err := tx.Balances(tx.Context(), []int64{1})
		n = all[1]
		return err
	})
	if err != nil {
		s.t.Fatal(err)
	}
	return n
}

func TestSignInMakesTheMember(t *testing.T) {
	s := open(t, portal.Config{Identifier: &platform{}, Pages: []portal.Page{spend()}})
	state := s.begin("/m/spend?a=1")
	got, body := s.get("/m/sign-in?code=wang&state=" + state)
	want(t, "sign-in", got, body, 303)
	if to := got.Header.Get("Location"); to != "/m/spend?a=1" {
		t.Errorf("goes on to %q, want where the visitor wanted to go", to)
	}
	if cookies := strings.Join(got.Header.Values("Set-Cookie"), "\n"); !strings.Contains(cookies, "qunbot_member=") || !strings.Contains(cookies, "HttpOnly") || !strings.Contains(cookies, "SameSite=Lax") {
		t.Errorf("cookies %q", cookies)
	}
	got, body = s.get("/m/")
	want(t, "home", got, body, 200, "小王，你好", "会员 1", "签到")

	got, body = s.get("/m/sign-in?code=wang&state=" + state)
	want(t, "the back button", got, body, 303)

	s.now = s.now.Add(30 * 24 * time.Hour)
	s.begin("/m/") // thirty days later
}

// Over https every cookie that lets somebody in is this host's alone.
func TestSignInOverHTTPS(t *testing.T) {
	db := storetest.Open(t)
	p, err := portal.New(portal.Config{Store: db, Identifier: &platform{}, Pages: []portal.Page{spend()}, Secret: secret,
		Now: func() time.Time { return noon }, Log: slog.New(slog.DiscardHandler), PublicURL: "https://fans.example.com"})
	if err != nil {
		t.Fatal(err)
	}
	mux := http.NewServeMux()
	p.Mount(mux)
	jar := map[string]string{}
	get := func(path string) *httptest.ResponseRecorder {
		t.Helper()
		r := httptest.NewRequest("GET", "https://fans.example.com"+path, nil)
		for name, value := range jar {
			r.AddCookie(&http.Cookie{Name: name, Value: value})
		}
		w := httptest.NewRecorder()
		mux.ServeHTTP(w, r)
		for _, c := range w.Result().Cookies() {
			if !strings.HasPrefix(c.Name, "__Host-") || !c.Secure || !c.HttpOnly || c.Path != "/" || c.Domain != "" {
				t.Errorf("%s sets %s", path, c.Raw)
			}
			jar[c.Name] = c.Value
		}
		return w
	}
	begun := get("/m/?g=1.wrong")
	to, err := url.Parse(begun.Header().Get("Location"))
	if err != nil || begun.Code != http.StatusFound {
		t.Fatalf("without a session = %d to %q", begun.Code, begun.Header().Get("Location"))
	}
	if w := get("/m/sign-in?code=wang&state=" + to.Query().Get("state")); w.Code != http.StatusSeeOther {
		t.Fatalf("sign-in = %d\n%s", w.Code, w.Body)
	}
	if w := get("/m/"); w.Code != http.StatusOK || !strings.Contains(w.Body.String(), "小王，你好") {
		t.Errorf("home = %d\n%s", w.Code, w.Body)
	}
}

func TestSignInNeedsThisBrowsersState(t *testing.T) {
	s := open(t, portal.Config{Identifier: &platform{}})
	mine := s.begin("/m/")
	theirs := s.client
	s.client = browser(t)
	for name, path := range map[string]string{
		"another browser's state": "/m/sign-in?code=wang&state=" + mine,
		"no state":                "/m/sign-in?code=wang",
	} {
		got, body := s.get(path)
		want(t, name, got, body, 403, "登录没有成功")
	}
	s.begin("/m/")
	got, body := s.get("/m/sign-in?code=wang&state=" + mine)
	want(t, "a state that is not this browser's", got, body, 403)

	s.client = theirs
	got, body = s.get("/m/sign-in?code=bad&state=" + mine)
	want(t, "a code that the platform does not know", got, body, 403, "登录没有成功")
	got, body = s.get("/m/sign-in?code=wang&state=" + mine)
	want(t, "a state that is used up", got, body, 403)
	state := s.begin("/m/")
	got, body = s.get("/m/sign-in?code=nameless&state=" + state)
	want(t, "a member without a name", got, body, 303)
	got, body = s.get("/m/")
	want(t, "home", got, body, 200, "你好", "马上就好")
}

func TestWithoutAWayToSignIn(t *testing.T) {
	s := open(t, portal.Config{})
	got, body := s.get("/m/")
	want(t, "home", got, body, 503, "还没有开通")
}

func TestDoubleTapGetsTheFirstAnswer(t *testing.T) {
	s := open(t, portal.Config{Identifier: &platform{}, Pages: []portal.Page{spend()}})
	s.signIn()
	_, body := s.get("/m/spend")
	form := url.Values{"_key": {formKey(t, body)}, "n": {"1"}}
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			got, body := s.post("/m/spend", form)
			want(t, "one of eight taps", got, body, 303)
		})
	}
	wg.Wait()
	if n := s.balance(); n != 1 {
		t.Errorf("the post ran %d times, want once", n)
	}
	got, body := s.get("/m/")
	want(t, "home after it", got, body, 200, `class="joy"`, "第 1 次")
	if _, body = s.get("/m/"); strings.Contains(body, "第 1 次") {
		t.Error("the message is said twice")
	}
	got, body = s.post("/m/spend", url.Values{"_key": form["_key"], "n": {"2"}})
	want(t, "the key with another form", got, body, 409, "提交过")
	got, body = s.post("/m/spend", url.Values{"n": {"2"}})
	want(t, "no key", got, body, 400)
	_, body = s.get("/m/")
	got, body = s.post("/m/spend", url.Values{"_key": {formKey(t, body)}})
	want(t, "the home page's button", got, body, 303)
	if n := s.balance(); n != 2 {
		t.Errorf("the post ran %d times, want twice", n)
	}
}

func TestInvalidAndFailedPostsWriteNothing(t *testing.T) {
	s := open(t, portal.Config{Identifier: &platform{}, Pages: []portal.Page{spend()}})
	s.signIn()
	_, body := s.get("/m/spend")
	key := formKey(t, body)
	got, body := s.post("/m/spend", url.Values{"_key": {key}, "n": {"0"}})
	want(t, "invalid", got, body, 422, "要 1 到 9。", `value="0"`)
	s.log.Reset()
	got, body = s.post("/m/spend", url.Values{"_key": {key}, "n": {"broken"}})
	want(t, "failed", got, body, 500, "没有成功", "编号")
	if log := s.log.String(); strings.Count(log, "level=ERROR") != 1 || !strings.Contains(log, "the till is stuck") {
		t.Errorf("log %q, want one line with the cause", log)
	}
	if s.balance() != 0 {
		t.Error("something was written")
	}
	s.client = browser(t)
	got, body = s.post("/m/spend", url.Values{"_key": {key}, "n": {"1"}})
	want(t, "without a session", got, body, 401, "登录过期")
}

func TestGroupComesFromASignedLink(t *testing.T) {
	s := open(t, portal.Config{Identifier: &platform{}, Pages: []portal.Page{spend()}})
	err := s.db.Update(t.Context(), func(tx *store.Tx) error {
		for n := range 2 {
			if _, err := tx.AddGroup(tx.Context(), store.Group{ChatID: fmt.Sprint(n), Name: fmt.Sprintf("%d 号群", n+1), CreatedAt: noon}); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	link := strings.TrimPrefix(portal.GroupLink(s.url, secret, 2), s.url)
	state := s.begin(link)
	s.get("/m/sign-in?code=wang&state=" + state)
	_, body := s.get("/m/spend")
	if !strings.Contains(body, "<p>2 号群</p>") {
		t.Errorf("the group of the link is not known later:\n%s", body)
	}
	_, body = s.get(strings.Replace(link, "g=2", "g=1", 1)) // forged
	if !strings.Contains(body, "来自2 号群") {
		t.Errorf("a forged link changed the group:\n%s", body)
	}
	_, body = s.get(strings.TrimPrefix(portal.GroupLink(s.url, secret, 1), s.url))
	if !strings.Contains(body, "来自1 号群") {
		t.Errorf("another signed link did not change the group:\n%s", body)
	}
}

func TestPublicPagesNeedNoSignIn(t *testing.T) {
	record := portal.Page{
		Path: "/draws/{id}", Title: "开奖记录", Script: "verify.js",
		FS: fstest.MapFS{"portal.html": {Data: []byte(`{{define "main"}}<h1>{{.}}</h1>{{end}}`)}, "verify.js": {Data: []byte("1")}},
		Load: func(_ context.Context, _ *store.Tx, v portal.Visit) (any, error) {
			switch v.Param("id") {
			case "none":
				return nil, store.ErrNotFound
			case "panic":
				panic("a draw too far")
			case "json":
				return portal.File{Type: "application/json", Body: []byte("{}")}, nil
			}
			return "抽奖 " + v.Param("id"), nil
		},
	}
	s := open(t, portal.Config{Public: []portal.Page{record}})
	got, body := s.get("/draws/<x>")
	want(t, "a draw", got, body, 200, "抽奖 &lt;x&gt;", `src="/m/static/verify.`)
	if got.Header.Get("Set-Cookie") != "" || !strings.Contains(got.Header.Get("Content-Security-Policy"), "default-src 'self'") {
		t.Errorf("headers %v, want no cookie and a policy", got.Header)
	}
	got, body = s.get("/draws/none")
	want(t, "no draw", got, body, 404, "没有这一页")
	got, body = s.get("/draws/panic")
	want(t, "a panic", got, body, 500, "没有成功")
	got, body = s.get("/draws/json")
	want(t, "a file", got, body, 200, "{}")
	got, body = s.post("/draws/x", nil)
	want(t, "a post", got, body, 405)

	limited := false
	for range 300 {
		if got, _ = s.get("/draws/x"); got.StatusCode == http.StatusTooManyRequests {
			limited = true
			break
		}
	}
	if !limited || got.Header.Get("Retry-After") == "" {
		t.Error("300 requests at once from one address were let through")
	}
}

func TestForeignPagesAreRefused(t *testing.T) {
	s := open(t, portal.Config{Identifier: &platform{}, Pages: []portal.Page{spend()}})
	s.signIn()
	_, body := s.get("/m/spend")
	r, _ := http.NewRequestWithContext(t.Context(), "POST", s.url+"/m/spend", strings.NewReader("n=1&_key="+formKey(t, body)))
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	r.Header.Set("Sec-Fetch-Site", "cross-site")
	got, body := s.do(r)
	want(t, "another site's post", got, body, 403, "别的网站")
	if s.balance() != 0 {
		t.Error("it was written")
	}
}

func TestNewNamesWhatIsWrong(t *testing.T) {
	load := func(context.Context, *store.Tx, portal.Visit) (any, error) { return nil, nil }
	post := func(context.Context, *store.Tx, portal.Visit) (portal.Result, error) { return portal.Result{}, nil }
	file := func(text string) fstest.MapFS { return fstest.MapFS{"portal.html": {Data: []byte(text)}} }
	good := file(`{{define "main"}}{{end}}`)
	page := func(p portal.Page) portal.Page {
		if p.Title == "" {
			p.Title = "A"
		}
		if p.FS == nil {
			p.FS = good
		}
		p.Load = load
		return p
	}
	var many []portal.Page
	for _, path := range []string{"/a", "/b", "/c", "/d", "/e"} {
		many = append(many, page(portal.Page{Path: path, Menu: true}))
	}
	tests := []struct {
		name   string
		config portal.Config
		want   string
	}{
		{"form without key", portal.Config{Pages: []portal.Page{page(portal.Page{Path: "/a", FS: file(`{{define "main"}}<form method=post></form>{{end}}`)})}}, "formKey"},
		{"same path", portal.Config{Pages: []portal.Page{page(portal.Page{Path: "/a"}), page(portal.Page{Path: "/a"})}}, "/m/a"},
		{"path of the frame's", portal.Config{Pages: []portal.Page{page(portal.Page{Path: "/sign-in"}), page(portal.Page{Path: "/sign-in"})}}, "/m/sign-in"},
		{"public page with a post", portal.Config{Public: []portal.Page{func() portal.Page { p := page(portal.Page{Path: "/a"}); p.Post = post; return p }()}}, "no Post"},
		{"public page below /m", portal.Config{Public: []portal.Page{page(portal.Page{Path: "/m/a"})}}, "below /m"},
		{"too many in the bar", portal.Config{Pages: many}, "at most 4"},
		{"bad address", portal.Config{PublicURL: "fans.example.com"}, "public_url"},
	}
	db := storetest.Open(t)
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			tt.config.Store, tt.config.Now, tt.config.Log = db, time.Now, slog.Default()
			if _, err := portal.New(tt.config); err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("New = %v, want an error with %q", err, tt.want)
			}
		})
	}
}

// changing are the parts of a page that differ from run to run.
var changing = regexp.MustCompile(`\.[0-9a-f]{10}\.|value="[A-Z2-7]{26}"`)

func golden(t *testing.T, name, body string) {
	t.Helper()
	body = changing.ReplaceAllStringFunc(body, func(found string) string {
		if strings.HasPrefix(found, ".") {
			return ".HASH."
		}
		return `value="KEY"`
	})
	path := filepath.Join("testdata", name+".html")
	if *update {
		if err := os.WriteFile(path, []byte(body), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	wanted, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if body != string(wanted) {
		t.Errorf("%s changed; look at it and run the test with -update. Got:\n%s", path, body)
	}
}

func TestPagesLookAsTheyShould(t *testing.T) {
	points := portal.Page{Path: "/points", Title: "积分", Menu: true, Icon: "coins", FS: fstest.MapFS{"portal.html": {Data: []byte(`{{define "main"}}{{points 1234}}{{end}}`)}},
		Load: func(context.Context, *store.Tx, portal.Visit) (any, error) { return nil, nil },
		Card: func(context.Context, *store.Tx, portal.Visit) (portal.Card, error) {
			return portal.Card{Title: "我的积分", Figure: "1,234", Unit: "分", Text: "可抵 ¥12.34", Hero: true}, nil
		}}
	draw := portal.Page{Path: "/draws", Title: "抽奖", FS: points.FS, Load: points.Load,
		Card: func(context.Context, *store.Tx, portal.Visit) (portal.Card, error) {
			return portal.Card{Title: "电影票抽奖", Text: "今晚开奖", Action: "去参加", Link: "/m/draws/1"}, nil
		}}
	s := open(t, portal.Config{Identifier: &platform{}, Pages: []portal.Page{points, spend(), draw}})
	err := s.db.Update(t.Context(), func(tx *store.Tx) error {
		return style.SetLook(tx.Context(), tx, style.Look{Name: "南湖购物中心", Colour: "red", Slogan: "逛得开心"})
	})
	if err != nil {
		t.Fatal(err)
	}
	s.signIn()
	for name, path := range map[string]string{"home": "/m/", "page": "/m/points", "form": "/m/spend", "nothing": "/m/nothing"} {
		_, body := s.get(path)
		golden(t, name, body)
	}
}

// Whatever comes back from the platform or stands in a form, the pages answer.
func FuzzRequests(f *testing.F) {
	f.Add("/sign-in", "code=wang&state=x", "", "a|/m/")
	f.Add("/", "g=1.abc&before=-1", "", "")
	f.Add("/spend", "before=99999999999999999999", "_key=k&n=1", "%zz|//evil.example")
	db := storetest.Open(f)
	p, err := portal.New(portal.Config{Store: db, Identifier: &platform{}, Pages: []portal.Page{spend()}, Secret: secret,
		Now: func() time.Time { return noon }, Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		f.Fatal(err)
	}
	mux := http.NewServeMux()
	p.Mount(mux)
	var requests atomic.Int64
	f.Fuzz(func(t *testing.T, path, query, form, state string) {
		at := url.URL{Path: "/m" + path, RawQuery: query}
		for _, method := range []string{"GET", "POST"} {
			r, err := http.NewRequest(method, "http://x"+at.String(), strings.NewReader(form))
			if err != nil {
				t.Skip()
			}
			r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
			n := requests.Add(1) // from everywhere: the limit is not what is tested
			r.RemoteAddr = fmt.Sprintf("10.%d.%d.%d:1", n>>16&255, n>>8&255, n&255)
			r.Header.Set("Cookie", "qunbot_state="+url.QueryEscape(state)+"; qunbot_group="+url.QueryEscape(query))
			w := httptest.NewRecorder()
			mux.ServeHTTP(w, r)
			if to, err := url.Parse(w.Header().Get("Location")); w.Code >= 500 || err != nil || to.Host != "" && to.Host != "wecom.example" && to.Host != "x" {
				t.Errorf("%s %s = %d to %q\n%s", method, at.String(), w.Code, w.Header().Get("Location"), w.Body)
			}
		}
	})
}
