package simulator

import (
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"
)

// code returns the errcode of an answer.
func code(answer map[string]any) int { return int(answer["errcode"].(float64)) }

func TestGetToken(t *testing.T) {
	tests := []struct {
		name  string
		query string
		want  int
	}{
		{"right", "corpid=" + testCorp + "&corpsecret=" + testSecret, 0},
		{"no corp id", "corpsecret=" + testSecret, 41002},
		{"no secret", "corpid=" + testCorp, 41004},
		{"other corp", "corpid=wwother&corpsecret=" + testSecret, 40013},
		{"wrong secret", "corpid=" + testCorp + "&corpsecret=wrong", 40001},
	}
	w := newWorld(t, nil)
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			answer := w.get("/cgi-bin/gettoken?" + tt.query)
			if got := code(answer); got != tt.want {
				t.Fatalf("gettoken?%s = %v, want errcode %d", tt.query, answer, tt.want)
			}
			text := answer["errmsg"].(string)
			if tt.want == 0 {
				if text != "ok" || answer["expires_in"].(float64) != 7200 || answer["access_token"] == "" {
					t.Errorf("gettoken = %v, want a token for 7200 s", answer)
				}
			} else if !strings.Contains(text, "hint: [") || !strings.Contains(text, "from ip: 127.0.0.1") || !strings.Contains(text, "devtool/query?e=") {
				t.Errorf("errmsg = %q, want hint, address and help link", text)
			}
		})
	}
}

// token fetches an access token.
func (w *testWorld) token(secret string) string {
	w.t.Helper()
	answer := w.get("/cgi-bin/gettoken?corpid=" + testCorp + "&corpsecret=" + secret)
	token, ok := answer["access_token"].(string)
	if !ok {
		w.t.Fatalf("gettoken = %v", answer)
	}
	return token
}

func TestTokenLife(t *testing.T) {
	w := newWorld(t, nil)
	use := func(token string) int { return code(w.get("/cgi-bin/getcallbackip?access_token=" + token)) }

	first := w.token(testSecret)
	if again := w.token(testSecret); again != first {
		t.Error("gettoken gave another token although the first is valid")
	}
	if other := w.token("another-secret"); other == first {
		t.Error("two apps have the same token")
	}
	if got := use(first); got != 0 {
		t.Errorf("errcode with a fresh token = %d, want 0", got)
	}
	if got := use(""); got != 41001 {
		t.Errorf("errcode without a token = %d, want 41001", got)
	}
	if got := use("made-up"); got != 40014 {
		t.Errorf("errcode with an unknown token = %d, want 40014", got)
	}
	w.Advance(2 * time.Hour)
	if got := use(first); got != 42001 {
		t.Errorf("errcode after 2 h = %d, want 42001", got)
	}
	second := w.token(testSecret)
	if second == first {
		t.Error("gettoken repeats an expired token")
	}
	w.InvalidateTokens()
	if got := use(second); got != 40014 {
		t.Errorf("errcode of a token taken back = %d, want 40014", got)
	}
	if third := w.token(testSecret); third == second {
		t.Error("gettoken repeats a token taken back")
	}
}

func TestTooManyWrongSecrets(t *testing.T) {
	w := newWorld(t, nil)
	get := func(secret string) int {
		return code(w.get("/cgi-bin/gettoken?corpid=" + testCorp + "&corpsecret=" + secret))
	}
	for range maxWrongSecrets {
		if got := get("wrong"); got != 40001 {
			t.Fatalf("errcode = %d, want 40001", got)
		}
	}
	if got := get(testSecret); got != 45009 {
		t.Errorf("errcode after %d wrong secrets = %d, want 45009", maxWrongSecrets, got)
	}
	w.Advance(refusedFor)
	if got := get(testSecret); got != 0 {
		t.Errorf("errcode an hour later = %d, want 0", got)
	}
}

func TestUnknownPath(t *testing.T) {
	w := newWorld(t, nil)
	response, err := http.Get(w.url + "/cgi-bin/no/such/thing")
	if err != nil {
		t.Fatal(err)
	}
	response.Body.Close()
	if response.StatusCode != http.StatusNotFound {
		t.Errorf("status of an unknown path = %d, want 404", response.StatusCode)
	}
}

// authorizeAs follows the OAuth page as a person and returns where it leads.
func (w *testWorld) authorizeAs(person string, change func(url.Values)) *http.Response {
	w.t.Helper()
	query := url.Values{
		"appid": {testCorp}, "agentid": {"1000002"}, "response_type": {"code"}, "scope": {"snsapi_base"},
		"state": {"abc123"}, "redirect_uri": {w.url + "/m/login?x=1"},
	}
	if change != nil {
		change(query)
	}
	request, err := http.NewRequest(http.MethodGet, w.url+"/connect/oauth2/authorize?"+query.Encode(), nil)
	if err != nil {
		w.t.Fatal(err)
	}
	if person != "" {
		request.AddCookie(cookieFor(Person{ID: person}))
	}
	response, err := (&http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}).Do(request)
	if err != nil {
		w.t.Fatal(err)
	}
	response.Body.Close()
	return response
}

func TestOAuth(t *testing.T) {
	w := newWorld(t, nil)
	login := func(person string) string {
		response := w.authorizeAs(person, nil)
		to, err := url.Parse(response.Header.Get("Location"))
		if err != nil || response.StatusCode != http.StatusFound {
			t.Fatalf("authorize: status %d, Location %q", response.StatusCode, response.Header.Get("Location"))
		}
		if to.Path != "/m/login" || to.Query().Get("x") != "1" || to.Query().Get("state") != "abc123" {
			t.Errorf("authorize leads to %s, want the redirect_uri with the state", to)
		}
		return to.Query().Get("code")
	}
	who := func(token, code string) map[string]any {
		return w.get("/cgi-bin/auth/getuserinfo?access_token=" + token + "&code=" + code)
	}
	token := w.token(testSecret)

	once := login("zhangsan")
	if answer := who(w.token("another-secret"), once); code(answer) != 40029 {
		t.Errorf("another app's getuserinfo = %v, want 40029", answer)
	}
	if answer := who(token, once); answer["userid"] != "zhangsan" {
		t.Errorf("getuserinfo = %v, want zhangsan", answer)
	}
	if answer := who(token, once); code(answer) != 40029 {
		t.Errorf("getuserinfo with a used code = %v, want 40029", answer)
	}
	if answer := who(token, login("wmLiming")); answer["external_userid"] != "wmLiming" || answer["userid"] != nil {
		t.Errorf("getuserinfo of a customer = %v", answer)
	}
	late := login("zhangsan")
	w.Advance(5 * time.Minute)
	if answer := who(token, late); code(answer) != 40029 {
		t.Errorf("getuserinfo after 5 min = %v, want 40029", answer)
	}
}

func TestOAuthRefuses(t *testing.T) {
	w := newWorld(t, nil)
	tests := []struct{ name, field, value string }{
		{"another host", "redirect_uri", "https://evil.example/"},
		{"no web address", "redirect_uri", "javascript:alert(1)"},
		{"another corp", "appid", "wwother"},
		{"unknown app", "agentid", "7"},
		{"odd state", "state", "a b"},
		{"another response type", "response_type", "token"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			response := w.authorizeAs("zhangsan", func(q url.Values) { q.Set(tt.field, tt.value) })
			if response.StatusCode != http.StatusBadRequest || response.Header.Get("Location") != "" {
				t.Errorf("status %d, Location %q, want 400 and none", response.StatusCode, response.Header.Get("Location"))
			}
		})
	}
	if response := w.authorizeAs("", nil); response.StatusCode != http.StatusOK {
		t.Errorf("status for nobody = %d, want the page that asks", response.StatusCode)
	}
}
