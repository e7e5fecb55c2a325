package console_test

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"fmt"
	"log/slog"
	"net/http"
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
	"qunbot/web/console"
	"qunbot/web/console/consoletest"
)

var update = flag.Bool("update", false, "rewrite the golden pages in testdata")

var noon = time.Date(2026, 11, 21, 4, 0, 0, 0, time.UTC) // 12:00 in Asia/Shanghai

// site is a console with a clock, a log and a browser that follows no redirects.
type site struct {
	*consoletest.Browser
	t   *testing.T
	db  *store.Store
	now time.Time
	log bytes.Buffer
}

// open returns a site with pages, before anybody signs in.
func open(t *testing.T, pages ...console.Page) *site {
	t.Helper()
	s := &site{t: t, db: storetest.Open(t), now: noon}
	s.Browser = consoletest.Open(t, console.Config{Store: s.db, Pages: pages, Now: func() time.Time { return s.now },
		Log: slog.New(slog.NewTextHandler(&s.log, nil))})
	s.Client.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	return s
}

func (s *site) update(fn func(tx *store.Tx) error) {
	s.t.Helper()
	if err := s.db.Update(s.t.Context(), fn); err != nil {
		s.t.Fatal(err)
	}
}

// link returns a new sign-in link's path for the operator, who now has this role.
func (s *site) link(role store.Role) string {
	s.t.Helper()
	return consoletest.LoginPath(s.t, s.db, store.Operator{UserID: "zhangsan", Name: "张三", Role: role, CreatedAt: s.now})
}

func (s *site) signIn(role store.Role) {
	s.t.Helper()
	if got, _ := s.post(s.link(role), nil); got.StatusCode != http.StatusSeeOther {
		s.t.Fatalf("sign-in = %s", got.Status)
	}
}

func (s *site) get(path string) (*http.Response, string) {
	s.t.Helper()
	return s.Do(s.Request("GET", path, nil))
}

func (s *site) post(path string, form url.Values) (*http.Response, string) {
	s.t.Helper()
	return s.Do(s.Request("POST", path, form))
}

// wish is a feature's page: members' wishes, kept as audit rows' neighbours in a setting.
func wish(t *testing.T) console.Page {
	const main = `{{define "action"}}<button form="w">许愿</button>{{end}}
{{define "main"}}<form id="w" method="post">{{formKey}}{{template "input" (field .Fields "text" "愿望" "最多 5 个字")}}</form><ul>{{range .Wishes}}<li>{{.}}</li>{{end}}</ul>{{end}}`
	return console.Page{
		Path: "/wishes", Title: "愿望", Purpose: "大家想要什么。", Group: console.Content, Role: store.Analyst, Change: store.Staff,
		FS: fstest.MapFS{"console.html": {Data: []byte(main)}},
		Load: func(ctx context.Context, tx *store.Tx, v console.Visit) (any, error) {
			var wishes []string
			err := tx.Setting(ctx, "wishes", &wishes)
			return struct {
				Fields console.Fields
				Wishes []string
			}{v.Fields("text", "默认"), wishes}, err
		},
		Post: func(ctx context.Context, tx *store.Tx, v console.Visit) (console.Result, error) {
			var wishes []string
			if err := tx.Setting(ctx, "wishes", &wishes); err != nil {
				return console.Result{}, err
			}
			text := v.Value("text")
			if err := tx.SetSetting(ctx, "wishes", append(wishes, text)); err != nil {
				return console.Result{}, err
			}
			switch {
			case text == "panic":
				panic("a wish too far")
			case text == "broken":
				return console.Result{}, errors.New("no wishes today")
			case len([]rune(text)) > 5:
				return console.Result{}, console.Invalid("text", "最多 5 个字，现在有 "+fmt.Sprint(len([]rune(text)))+" 个。")
			}
			return console.Result{Object: "wish 1", Detail: text, Message: "许好了：" + text}, nil
		},
	}
}

func (s *site) wishes() (list []string) {
	s.update(func(tx *store.Tx) error { return tx.Setting(tx.Context(), "wishes", &list) })
	return list
}

func (s *site) audits() (list []store.Audit) {
	s.update(func(tx *store.Tx) (err error) {
		list, err = tx.Audits(tx.Context(), 0, 100)
		return err
	})
	return list
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

func TestLoginLinkIsUsedByItsButtonOnly(t *testing.T) {
	s := open(t)
	got, body := s.get("/console/")
	want(t, "without a session", got, body, 401, "请先登录", "qunbot operator add")
	got, body = s.get("/console/members")
	want(t, "a page without a session", got, body, 401, "请先登录")
	got, body = s.get("/console/nothing-here")
	want(t, "no page without a session", got, body, 401, "请先登录")

	path := s.link(store.Owner)
	for range 3 { // previews in a chat
		got, body = s.get(path)
		want(t, "the link's page", got, body, 200, "登录运营台", `method="post"`)
	}
	got, body = s.post(path, nil)
	want(t, "the button", got, body, 303)
	cookie := got.Header.Get("Set-Cookie")
	for _, attribute := range []string{"qunbot_console=", "HttpOnly", "SameSite=Lax", "Path=/console"} {
		if !strings.Contains(cookie, attribute) {
			t.Errorf("session cookie %q, want %s in it", cookie, attribute)
		}
	}
	got, body = s.get("/console/")
	want(t, "home", got, body, 200, "首页", "张三", "负责人")

	s.Browser = consoletest.New(t, s.URL) // another browser
	got, body = s.post(path, nil)
	want(t, "the link again", got, body, 403, "不能用了")
}

func TestSessionTokenIsRenewedAtSignInAndEnds(t *testing.T) {
	s := open(t)
	s.signIn(store.Owner)
	at, _ := url.Parse(s.URL + "/console/")
	first := s.Client.Jar.Cookies(at)[0].Value
	s.signIn(store.Owner)
	if again := s.Client.Jar.Cookies(at)[0].Value; again == first {
		t.Error("the token after a second sign-in is the first one's")
	}

	s.now = s.now.Add(11 * time.Hour)
	got, body := s.get("/console/")
	want(t, "after 11 idle hours", got, body, 200)
	s.now = s.now.Add(11 * time.Hour)
	got, body = s.get("/console/")
	want(t, "after 11 more", got, body, 200)
	s.now = s.now.Add(12 * time.Hour)
	got, body = s.get("/console/")
	want(t, "after 12 idle hours", got, body, 401)

	s.signIn(store.Owner)
	for range 20 { // 160 hours, never idle for long
		s.now = s.now.Add(8 * time.Hour)
		got, body = s.get("/console/")
		want(t, "a busy week", got, body, 200)
	}
	s.now = s.now.Add(8 * time.Hour)
	got, body = s.get("/console/")
	want(t, "after seven days", got, body, 401)

	s.signIn(store.Owner)
	got, body = s.post("/console/logout", nil)
	want(t, "sign-out", got, body, 303)
	got, body = s.get("/console/")
	want(t, "after sign-out", got, body, 401)
}

func TestCookiesAreSecureOverHTTPS(t *testing.T) {
	db := storetest.Open(t)
	c, err := console.New(console.Config{Store: db, Now: func() time.Time { return noon }, Log: slog.New(slog.DiscardHandler), PublicURL: "https://fans.example.com/"})
	if err != nil {
		t.Fatal(err)
	}
	mux := http.NewServeMux()
	c.Mount(mux)
	path := consoletest.LoginPath(t, db, store.Operator{UserID: "a", Role: store.Owner, CreatedAt: noon})
	w := httptest.NewRecorder()
	mux.ServeHTTP(w, httptest.NewRequest("POST", "https://fans.example.com"+path, nil))
	if cookie := w.Header().Get("Set-Cookie"); w.Code != 303 || !strings.HasPrefix(cookie, "__Host-qunbot_console=") || !strings.Contains(cookie, "; Path=/;") || !strings.Contains(cookie, "Secure") {
		t.Errorf("sign-in over https = %d, cookie %q, want __Host- and Secure", w.Code, cookie)
	}
}

func TestLoginIsLimited(t *testing.T) {
	s := open(t)
	for n := range 30 {
		got, body := s.post("/console/login/GUESS", nil)
		if got.StatusCode == http.StatusTooManyRequests {
			want(t, "a flood", got, body, 429, "试得太快了")
			if n < 5 {
				t.Errorf("limited at try %d", n+1)
			}
			s.now = s.now.Add(time.Minute)
			got, body = s.post("/console/login/GUESS", nil)
			want(t, "a minute later", got, body, 403)
			return
		}
	}
	t.Error("30 tries at once were let through")
}

func TestRolesCountAtOnce(t *testing.T) {
	s := open(t, wish(t))
	s.signIn(store.Clerk)
	got, body := s.get("/console/wishes")
	want(t, "clerk", got, body, 403, "店员", "不能用这一页", "回到首页")
	if _, body := s.get("/console/"); strings.Contains(body, "愿望") || strings.Contains(body, "决策日志") {
		t.Error("the menu shows a clerk what a clerk may not see")
	}
	s.link(store.Analyst) // the same operator, promoted
	_, body = s.get("/console/wishes")
	got, body = s.post("/console/wishes", url.Values{"_key": {consoletest.FormKey(t, body)}, "text": {"花"}})
	want(t, "analyst may read, not post", got, body, 403)
	s.link(store.Staff)
	_, body = s.get("/console/wishes")
	got, body = s.post("/console/wishes", url.Values{"_key": {consoletest.FormKey(t, body)}, "text": {"花"}})
	want(t, "staff", got, body, 303)
}

func TestPostIsAuditedAndRunsOnce(t *testing.T) {
	s := open(t, wish(t))
	s.signIn(store.Staff)
	_, body := s.get("/console/wishes?a=1")
	key := consoletest.FormKey(t, body)
	form := url.Values{"_key": {key}, "text": {"一束花"}}
	for range 2 {
		got, body := s.post("/console/wishes?a=1", form)
		want(t, "post", got, body, 303)
		if to := got.Header.Get("Location"); to != "/console/wishes?a=1" {
			t.Errorf("goes on to %q, want the same page", to)
		}
	}
	_, body = s.get("/console/wishes")
	if !strings.Contains(body, "许好了：一束花") || !strings.Contains(body, "<li>一束花</li>") {
		t.Errorf("the next page does not say what was done:\n%s", body)
	}
	if _, body = s.get("/console/wishes"); strings.Contains(body, "许好了") {
		t.Error("the message is said twice")
	}
	if got := s.wishes(); len(got) != 1 {
		t.Errorf("wishes = %q, want one although the form was sent twice", got)
	}
	audits := s.audits()
	if len(audits) != 1 || audits[0].Action != "POST /console/wishes" || audits[0].Object != "wish 1" || audits[0].Detail != "一束花" || !audits[0].At.Equal(noon) {
		t.Errorf("audits = %+v, want one of the wish", audits)
	}
	got, body := s.post("/console/wishes", url.Values{"_key": {key}, "text": {"两束花"}})
	want(t, "the key with another text", got, body, 409, "提交过一次", `value="两束花"`)
	got, body = s.post("/console/wishes", url.Values{"text": {"花"}})
	want(t, "no key", got, body, 400, "表单不完整")
}

func TestDoubleClickRunsOnce(t *testing.T) {
	s := open(t, wish(t))
	s.signIn(store.Staff)
	_, body := s.get("/console/wishes")
	form := url.Values{"_key": {consoletest.FormKey(t, body)}, "text": {"花"}}
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			got, body := s.post("/console/wishes", form)
			want(t, "one of eight clicks", got, body, 303)
		})
	}
	wg.Wait()
	if got := s.wishes(); len(got) != 1 {
		t.Errorf("wishes = %q, want one", got)
	}
}

func TestInvalidShowsTheFormAgain(t *testing.T) {
	s := open(t, wish(t))
	s.signIn(store.Staff)
	_, body := s.get("/console/wishes")
	got, body := s.post("/console/wishes", url.Values{"_key": {consoletest.FormKey(t, body)}, "text": {`<很长的愿望>"`}})
	want(t, "invalid", got, body, 422, "没有提交", "最多 5 个字，现在有 8 个。", `value="&lt;很长的愿望&gt;&#34;"`, `aria-invalid="true"`)
	if len(s.wishes()) != 0 || len(s.audits()) != 0 {
		t.Error("something was written")
	}
	got, body = s.post("/console/wishes", url.Values{"_key": {consoletest.FormKey(t, body)}, "text": {"花"}})
	want(t, "corrected", got, body, 303)
}

func TestFailuresAreLoggedOnceAndWriteNothing(t *testing.T) {
	s := open(t, wish(t))
	s.signIn(store.Staff)
	for text, cause := range map[string]string{"broken": "no wishes today", "panic": "a wish too far"} {
		_, body := s.get("/console/wishes")
		s.log.Reset()
		got, body := s.post("/console/wishes", url.Values{"_key": {consoletest.FormKey(t, body)}, "text": {text}})
		want(t, text, got, body, 500, "没有成功", "编号")
		id := regexp.MustCompile(`编号 ([a-z0-9]{8})`).FindStringSubmatch(body)
		if log := s.log.String(); id == nil || strings.Count(log, "level=ERROR") != 1 || !strings.Contains(log, id[1]) || !strings.Contains(log, cause) {
			t.Errorf("%s: id %q, log %q, want one line with the id and the cause", text, id, log)
		}
		if strings.Contains(body, cause) {
			t.Errorf("%s: the page tells the cause", text)
		}
	}
	if len(s.wishes()) != 0 || len(s.audits()) != 0 {
		t.Error("something was written")
	}
}

func TestForeignPagesAreRefused(t *testing.T) {
	s := open(t, wish(t))
	s.signIn(store.Staff)
	_, body := s.get("/console/wishes")
	form := url.Values{"_key": {consoletest.FormKey(t, body)}, "text": {"花"}}
	for name, header := range map[string][2]string{"fetch metadata": {"Sec-Fetch-Site", "cross-site"}, "origin": {"Origin", "https://evil.example"}} {
		r := s.Request("POST", "/console/wishes", form)
		r.Header.Del("Sec-Fetch-Site")
		r.Header.Set(header[0], header[1])
		got, body := s.Do(r)
		want(t, name, got, body, 403, "别的网站")
	}
	if len(s.wishes()) != 0 {
		t.Error("a wish of another site's was written")
	}
}

// A link that somebody was to use is not in the log, whatever became of it.
func TestLogHoldsNoLinks(t *testing.T) {
	s := open(t)
	const token = "SECRETSECRETSECRETSECRET"
	for range 30 {
		r := s.Request("POST", "/console/login/"+token, nil)
		r.Header.Set("Sec-Fetch-Site", "cross-site")
		got, body := s.Do(r)
		want(t, "from another site", got, body, 403)
	}
	got, body := s.post("/console/login/"+token, nil)
	want(t, "no such link", got, body, 403)
	log := s.log.String()
	if strings.Contains(log, token) || !strings.Contains(log, "/console/login/…") {
		t.Errorf("log:\n%s", log)
	}
	if lines := strings.Count(log, "cross-origin"); lines != 10 {
		t.Errorf("30 requests at once left %d lines, want 10", lines)
	}
}

func TestHeadersMethodsAndSizes(t *testing.T) {
	s := open(t, wish(t))
	s.signIn(store.Owner)
	got, body := s.get("/console/")
	for header, value := range map[string]string{
		"Content-Security-Policy": "frame-ancestors 'none'", "X-Content-Type-Options": "nosniff",
		"Referrer-Policy": "same-origin", "Cache-Control": "no-store", "Content-Type": "text/html; charset=utf-8",
	} {
		if !strings.Contains(got.Header.Get(header), value) {
			t.Errorf("%s = %q, want %s", header, got.Header.Get(header), value)
		}
	}
	for _, file := range regexp.MustCompile(`(?:href|src)="(/console/static/[^"]+)"`).FindAllStringSubmatch(body, -1) {
		got, text := s.get(file[1])
		want(t, file[1], got, text, 200)
		if !strings.Contains(got.Header.Get("Cache-Control"), "immutable") {
			t.Errorf("%s: Cache-Control = %q", file[1], got.Header.Get("Cache-Control"))
		}
	}
	got, body = s.post("/console/members", nil)
	want(t, "post to a page that only shows", got, body, 405)
	got, body = s.get("/console/nothing-here")
	want(t, "no page", got, body, 404, "没有这一页")
	got, body = s.get("/console/members/0")
	want(t, "no member's number", got, body, 404)
	got, body = s.get("/console/members/999")
	want(t, "no member", got, body, 404)
	got, body = s.post("/console/wishes", url.Values{"text": {strings.Repeat("长", 400_000)}})
	want(t, "too large", got, body, 413, "太大")
}

func TestThemeIsRemembered(t *testing.T) {
	s := open(t)
	s.signIn(store.Owner)
	for _, theme := range []string{"dark", "light"} {
		got, body := s.post("/console/theme", url.Values{"theme": {theme}})
		want(t, "choose", got, body, 303)
		_, body = s.get("/console/")
		if !strings.Contains(body, `<html lang="zh-CN" data-theme="`+theme+`">`) {
			t.Errorf("after choosing %s the page begins\n%.200s", theme, body)
		}
	}
}

func TestNewNamesWhatIsWrong(t *testing.T) {
	load := func(context.Context, *store.Tx, console.Visit) (any, error) { return nil, nil }
	file := func(text string) fstest.MapFS { return fstest.MapFS{"console.html": {Data: []byte(text)}} }
	good := file(`{{define "main"}}{{end}}`)
	tests := []struct {
		name  string
		pages []console.Page
		want  string
	}{
		{"no title", []console.Page{{Path: "/a", FS: good, Load: load}}, "no title"},
		{"no load", []console.Page{{Path: "/a", Title: "A", FS: good}}, "no Load"},
		{"no slash", []console.Page{{Path: "a", Title: "A", FS: good, Load: load}}, "slash"},
		{"no such file", []console.Page{{Path: "/a", Title: "A", FS: good, Template: "b.html", Load: load}}, "b.html"},
		{"broken template", []console.Page{{Path: "/a", Title: "A", FS: file(`{{define "main"}}{{if}}{{end}}`), Load: load}}, "console.html"},
		{"no main", []console.Page{{Path: "/a", Title: "A", FS: file(`hello`), Load: load}}, `"main"`},
		{"unknown function", []console.Page{{Path: "/a", Title: "A", FS: file(`{{define "main"}}{{shout .}}{{end}}`), Load: load}}, "shout"},
		{"not closed", []console.Page{{Path: "/a", Title: "A", FS: file(`{{define "main"}}<a href="{{end}}`), Load: load}}, "contexts"},
		{"inline script", []console.Page{{Path: "/a", Title: "A", FS: file(`{{define "main"}}<button onclick="x()">{{end}}`), Load: load}}, "onclick"},
		{"form without key", []console.Page{{Path: "/a", Title: "A", FS: file(`{{define "main"}}<form method="post"></form>{{end}}`), Load: load}}, "formKey"},
		{"same path", []console.Page{{Path: "/a", Title: "A", FS: good, Load: load}, {Path: "/a", Title: "B", FS: good, Load: load}}, "/console/a"},
		{"path of the frame's", []console.Page{{Path: "/members", Title: "A", FS: good, Load: load}}, "/console/members"},
		{"same path by another name", []console.Page{{Path: "/x/{a}", Title: "A", FS: good, Load: load}, {Path: "/x/{b}", Title: "B", FS: good, Load: load}}, "/console/x/{"},
		{"unknown role", []console.Page{{Path: "/a", Title: "A", FS: good, Load: load, Role: "boss"}}, "boss"},
		{"unknown icon", []console.Page{{Path: "/a", Title: "A", FS: good, Load: load, Icon: "dragon"}}, "dragon"},
		{"menu with a parameter", []console.Page{{Path: "/a/{id}", Title: "A", FS: good, Load: load, Group: console.Daily}}, "menu"},
		{"word without a group", []console.Page{{Path: "/a", Title: "A", FS: good, Load: load, Menu: "词"}}, "词"},
		{"missing script", []console.Page{{Path: "/a", Title: "A", FS: good, Load: load, Script: "a.js"}}, "a.js"},
	}
	db := storetest.Open(t)
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			_, err := console.New(console.Config{Store: db, Pages: tt.pages, Now: time.Now, Log: slog.Default()})
			if err == nil || !strings.Contains(err.Error(), tt.want) || !strings.Contains(err.Error(), tt.pages[0].Path) {
				t.Errorf("New = %v, want an error that names %s and %q", err, tt.pages[0].Path, tt.want)
			}
		})
	}
}

// A file is sent as it is, under its name.
func TestLoadMaySendAFile(t *testing.T) {
	s := open(t, console.Page{Path: "/export", Title: "导出", FS: fstest.MapFS{"console.html": {Data: []byte(`{{define "main"}}{{end}}`)}},
		Load: func(context.Context, *store.Tx, console.Visit) (any, error) {
			return console.File{Name: "会员.csv", Type: "text/csv; charset=utf-8", Body: []byte("编号\n1\n")}, nil
		}})
	s.signIn(store.Clerk)
	got, body := s.get("/console/export")
	want(t, "export", got, body, 200, "编号\n1\n")
	if d := got.Header.Get("Content-Disposition"); d != "attachment; filename*=UTF-8''%E4%BC%9A%E5%91%98.csv" {
		t.Errorf("Content-Disposition = %q", d)
	}
}

// changing are the parts of a page that differ from run to run.
var changing = regexp.MustCompile(`\.[0-9a-f]{10}\.|value="[A-Z2-7]{26}"|编号 [a-z0-9]{8}`)

func golden(t *testing.T, name, body string) {
	t.Helper()
	body = changing.ReplaceAllStringFunc(body, func(found string) string {
		switch {
		case strings.HasPrefix(found, "."):
			return ".HASH."
		case strings.HasPrefix(found, "value"):
			return `value="KEY"`
		}
		return "编号 ID"
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
	s := open(t, wish(t))
	_, body := s.get("/console/")
	golden(t, "signed-out", body)
	s.signIn(store.Owner)
	for name, path := range map[string]string{
		"home-empty": "/console/", "groups-empty": "/console/groups", "members-empty": "/console/members",
		"decisions-empty": "/console/decisions", "audit-empty": "/console/audit", "nothing": "/console/nothing",
	} {
		_, body := s.get(path)
		golden(t, name, body)
	}
	s.fill()
	for name, path := range map[string]string{
		"home": "/console/", "groups": "/console/groups", "group": "/console/groups/1", "members": "/console/members?q=王",
		"member": "/console/members/1", "decisions": "/console/decisions?group=1&outcome=answered", "look": "/console/look", "feature": "/console/wishes",
	} {
		_, body := s.get(path)
		golden(t, name, body)
	}
	_, body = s.get("/console/groups/2")
	got, body := s.post("/console/groups/2", url.Values{"_key": {consoletest.FormKey(t, body)}, "name": {" "}, "mall": {"南湖店"}, "new_mall": {""}})
	want(t, "empty name", got, body, 422, "请给群起一个名字。")
	golden(t, "group-invalid", body)
	got, body = s.post("/console/groups/2", url.Values{"_key": {consoletest.FormKey(t, body)}, "name": {"二号群"}, "mall": {""}, "new_mall": {"江北店"}})
	want(t, "rename", got, body, 303)
	_, body = s.get("/console/groups/2")
	want(t, "renamed", got, body, 303, "二号群", "江北店", "已保存。")
	_, body = s.get("/console/look")
	got, body = s.post("/console/look", url.Values{"_key": {consoletest.FormKey(t, body)}, "name": {"南湖购物中心"}, "slogan": {""}, "colour": {"pink"}})
	want(t, "no such colour", got, body, 422, "请从列出的颜色里选一个。")
	got, body = s.post("/console/look", url.Values{"_key": {consoletest.FormKey(t, body)}, "name": {"南湖购物中心"}, "slogan": {""}, "colour": {"red"}})
	want(t, "look", got, body, 303)
	_, body = s.get("/console/audit")
	golden(t, "audit", body)
}

func TestMemberShowsWhereTheyCameFrom(t *testing.T) {
	s := open(t)
	s.signIn(store.Analyst)
	s.fill()
	const member = "/console/members/1"
	s.Lacks("never came", s.Get(member), "从哪里来")
	came := func(source string, at time.Time) string {
		t.Helper()
		s.update(func(tx *store.Tx) error { return tx.NoteKFTouch(tx.Context(), 1, source, at) })
		return s.Get(member)
	}
	page := came(store.KFGroupSource(1), noon.Add(-time.Hour))
	s.Holds("from a group", page, `<dt>从哪里来客服</dt><dd><a href="/console/groups/1">`, "1 小时前")
	s.Lacks("from a group", page, "最近从哪里来")
	s.update(func(tx *store.Tx) error {
		_, err := tx.AddKFPoster(tx.Context(), store.KFPoster{Code: "door", Label: "一楼北门", CreatedAt: noon})
		return err
	})
	s.Holds("from a poster", came(store.KFPosterSource("door"), noon), "最早从哪里来客服", "<dt>最近从哪里来</dt><dd>海报“一楼北门”<br>")
	s.update(func(tx *store.Tx) error { return tx.DeleteKFPoster(tx.Context(), "door") })
	s.Holds("from a poster that is gone", s.Get(member), "已删的海报 door")
	s.Holds("from a group that is gone", came(store.KFGroupSource(999), noon.Add(time.Minute)), "<dd>群 999<br>")
}

func TestGroupWebhook(t *testing.T) {
	s := open(t)
	s.signIn(store.Manager)
	s.fill()
	post := func(group, hook string) (*http.Response, string) {
		_, body := s.get("/console/groups/" + group)
		return s.post("/console/groups/"+group, url.Values{"_key": {consoletest.FormKey(t, body)}, "name": {"群"}, "mall": {"南湖店"}, "new_mall": {""}, "webhook": {hook}})
	}
	lane := func() (lane string) {
		s.update(func(tx *store.Tx) error {
			g, err := tx.Group(tx.Context(), 1)
			lane = g.Lane()
			return err
		})
		return lane
	}
	got, body := post("1", "你好")
	want(t, "nonsense", got, body, 422, "这不像群机器人的地址")
	got, body = post("1", "https://qyapi.weixin.qq.com/cgi-bin/webhook/send?key=0123-4567-abcd")
	want(t, "address", got, body, 303)
	if lane() == "" {
		t.Error("the group has no lane after its webhook was set")
	}
	if _, body = s.get("/console/groups/1"); strings.Contains(body, "0123-4567-abcd") || !strings.Contains(body, "已填写") {
		t.Error("the page shows the key, or does not say that there is one")
	}
	got, body = post("1", "")
	want(t, "left as it is", got, body, 303)
	if lane() == "" {
		t.Error("an empty field took the webhook away")
	}
	got, body = post("1", "删除")
	want(t, "taken away", got, body, 303)
	if lane() != "" {
		t.Errorf("lane = %q after the webhook was taken away", lane())
	}
	got, body = post("2", "0123-4567-abcd")
	want(t, "customer group", got, body, 422, "客户群里放不进群机器人")
}

// fill makes a mall with two groups, three members and what they said.
func (s *site) fill() {
	s.update(func(tx *store.Tx) error {
		ctx := tx.Context()
		mall, err := tx.MallNamed(ctx, "南湖店")
		if err != nil {
			return err
		}
		for n, kind := range []store.GroupKind{store.InternalGroup, store.CustomerGroup} {
			if _, err := tx.AddGroup(ctx, store.Group{ChatID: fmt.Sprint("wrk000", n), Kind: kind, Name: fmt.Sprintf("粉丝群 %d", n+1), MallID: mall.ID, CreatedAt: noon.AddDate(0, -1, 0)}); err != nil {
				return err
			}
		}
		for n, name := range []string{"小王", "<b>李四</b>", ""} {
			members, err := tx.MembersOf(ctx, []store.Identity{{Kind: store.UserID, Value: fmt.Sprint("user", n)}}, noon.Add(-time.Duration(n)*30*time.Hour))
			if err != nil {
				return err
			}
			m := members[0].ID
			if name != "" {
				if err := tx.SetName(ctx, m, name); err != nil {
					return err
				}
			}
			if err := tx.AddGroupMembers(ctx, []store.GroupMember{{GroupID: 1, MemberID: m, JoinedAt: noon}}); err != nil {
				return err
			}
			entry, _, err := tx.AddEntry(ctx, store.Entry{Key: fmt.Sprint("e", n), MemberID: m, Rule: "checkin", Note: "签到", Points: int64(1200 + n), At: noon.Add(-time.Hour)})
			if err != nil {
				return err
			}
			if err := tx.AddLot(ctx, store.Lot{EntryID: entry, MemberID: m, Earned: 1200, Remaining: 1200, ExpiresAt: noon.AddDate(1, 0, 0)}); err != nil {
				return err
			}
			if _, err := tx.AddCheckIn(ctx, store.CheckIn{MemberID: m, Day: "2026-11-21", Streak: n + 1, At: noon}); err != nil {
				return err
			}
			key := fmt.Sprint("k", n)
			outcome := []store.Outcome{store.Answered, store.Stopped, store.Failed}[n]
			err = tx.AddAnswers(ctx, []store.Answer{{Key: key, CreatedAt: noon}},
				[]store.Message{{Key: key, GroupID: int64(1 - n%2), MemberID: m, Text: "签到 <3", SentAt: noon.Add(-time.Minute)}},
				[]store.Decision{{Key: key, GroupID: int64(1 - n%2), MemberID: m, Outcome: outcome, Rule: "checkin 签到", Detail: "第 1 天", SentAt: noon.Add(-time.Minute), At: noon}})
			if err != nil {
				return err
			}
		}
		return nil
	})
}

func TestListsPageByKey(t *testing.T) {
	s := open(t)
	s.update(func(tx *store.Tx) error {
		for n := range 120 {
			if _, err := tx.AddGroup(tx.Context(), store.Group{ChatID: fmt.Sprintf("c%03d", n), Name: fmt.Sprintf("群%03d", n), Kind: store.InternalGroup, CreatedAt: noon}); err != nil {
				return err
			}
			if _, err := tx.MembersOf(tx.Context(), []store.Identity{{Kind: store.UserID, Value: fmt.Sprint(n)}}, noon); err != nil {
				return err
			}
			if err := tx.AddAudit(tx.Context(), store.Audit{Action: "x", At: noon}); err != nil {
				return err
			}
		}
		return nil
	})
	s.signIn(store.Owner)
	next := regexp.MustCompile(`href="([^"]+)">下一页`)
	for _, path := range []string{"/console/groups", "/console/members", "/console/audit"} {
		rows, pages := 0, 0
		for at := path; at != ""; pages++ {
			got, body := s.get(strings.ReplaceAll(at, "&amp;", "&"))
			want(t, at, got, body, 200)
			rows += strings.Count(body, "<tr>") - 1
			at = ""
			if m := next.FindStringSubmatch(body); m != nil {
				at = m[1]
			}
		}
		if rows != 120 || pages != 3 {
			t.Errorf("%s: %d rows on %d pages, want 120 on 3", path, rows, pages)
		}
	}
}

// Whatever stands in the address or the form, the pages answer and nothing breaks.
func FuzzRequests(f *testing.F) {
	f.Add("/members", "q=小王&before=5", "name=a")
	f.Add("/decisions", "group=1&member=x&outcome=failed&before=-1", "")
	f.Add("/groups/1", "after=99999999999999999999", "name=%00&mall=&new_mall=x&_key=k")
	f.Add("/groups", "after=1;%zz", "_key=k&name=\xff")
	f.Add("/login/x", "", "a=%")
	f.Add("/look", "", "_key=k&name=a&slogan=b&colour=red")
	db := storetest.Open(f)
	c, err := console.New(console.Config{Store: db, Now: func() time.Time { return noon }, Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		f.Fatal(err)
	}
	mux := http.NewServeMux()
	c.Mount(mux)
	err = db.Update(context.Background(), func(tx *store.Tx) error {
		_, err := tx.AddGroup(tx.Context(), store.Group{ChatID: "c", Name: "群", CreatedAt: noon})
		return err
	})
	if err != nil {
		f.Fatal(err)
	}
	w := httptest.NewRecorder()
	login := consoletest.LoginPath(f, db, store.Operator{UserID: "a", Name: "A", Role: store.Owner, CreatedAt: noon})
	mux.ServeHTTP(w, httptest.NewRequest("POST", login, nil))
	cookie := w.Result().Cookies()[0]
	var requests atomic.Int64
	f.Fuzz(func(t *testing.T, path, query, form string) {
		at := url.URL{Path: "/console" + path, RawQuery: query}
		for _, method := range []string{"GET", "POST"} {
			r, err := http.NewRequest(method, "http://x"+at.String(), strings.NewReader(form))
			if err != nil {
				t.Skip()
			}
			r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
			n := requests.Add(1) // from everywhere: the limit is not what is tested
			r.RemoteAddr = fmt.Sprintf("10.%d.%d.%d:1", n>>16&255, n>>8&255, n&255)
			r.AddCookie(cookie)
			w := httptest.NewRecorder()
			mux.ServeHTTP(w, r)
			if w.Code >= 500 {
				t.Errorf("%s %s with %q = %d\n%s", method, at.String(), form, w.Code, w.Body)
			}
		}
	})
}

// Pages behind one word of the menu are tabs of each other, as far as the
// visitor may see them.
func TestTabs(t *testing.T) {
	page := func(p console.Page) console.Page {
		p.FS = fstest.MapFS{"console.html": {Data: []byte(`{{define "main"}}{{end}}`)}}
		p.Load = func(context.Context, *store.Tx, console.Visit) (any, error) { return nil, nil }
		return p
	}
	s := open(t,
		page(console.Page{Path: "/gifts", Title: "礼品", Menu: "礼品和发放", Group: console.Daily, Role: store.Analyst}),
		page(console.Page{Path: "/gifts/desk", Title: "发放台", Menu: "礼品和发放", Group: console.Daily, Role: store.Clerk}),
		page(console.Page{Path: "/gifts/desk/{id}", Title: "一次发放", Role: store.Clerk}),
	)
	const tabs = `aria-label="同类页面"`
	s.signIn(store.Analyst)
	_, body := s.get("/console/gifts")
	for _, part := range []string{tabs, "礼品和发放</a>", `<a href="/console/gifts/desk">发放台</a>`, `<a href="/console/gifts" aria-current="page">礼品</a>`} {
		if !strings.Contains(body, part) {
			t.Errorf("the head page lacks %q:\n%s", part, body)
		}
	}
	if _, body = s.get("/console/gifts/desk/1"); strings.Contains(body, tabs) || !strings.Contains(body, `<a class="back" href="/console/gifts/desk">`) {
		t.Errorf("a page below a tab should lead back to it and show no tabs:\n%s", body)
	}
	s.link(store.Clerk) // the same operator
	_, body = s.get("/console/gifts/desk")
	if strings.Contains(body, tabs) || strings.Contains(body, "礼品和发放") || !strings.Contains(body, `href="/console/gifts/desk" aria-current="page"`) {
		t.Errorf("a clerk should see the desk in the menu, and no tabs:\n%s", body)
	}
}
