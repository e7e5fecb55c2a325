package monthly

import (
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"net/url"
	"regexp"
	"strings"
	"testing"
	"time"

	"qunbot/store"
	"qunbot/store/storetest"
	"qunbot/web/console"
)

var formKey = regexp.MustCompile(`name="_key" value="([A-Z0-9]+)"`)

func TestConsole(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.Store) {
		w := open(t, db)
		c, err := console.New(console.Config{Store: db, Pages: New(w.Deps, w.Config).Console, Now: w.Now, Log: w.Log})
		if err != nil {
			t.Fatal(err)
		}
		mux := http.NewServeMux()
		c.Mount(mux)
		server := httptest.NewServer(mux)
		t.Cleanup(server.Close)
		jar, _ := cookiejar.New(nil)
		client := &http.Client{Jar: jar}
		body := func(resp *http.Response, err error) string {
			t.Helper()
			if err != nil {
				t.Fatal(err)
			}
			defer resp.Body.Close()
			b, err := io.ReadAll(resp.Body)
			if err != nil {
				t.Fatal(err)
			}
			return string(b)
		}
		var login string
		w.update(func(tx *store.Tx) error {
			o, err := tx.PutOperator(tx.Context(), store.Operator{UserID: "boss", Name: "店长", Role: store.Staff, CreatedAt: w.now})
			if err != nil {
				return err
			}
			token, err := tx.AddLoginLink(tx.Context(), o.ID, w.now.Add(time.Hour))
			login = console.LoginURL(server.URL, token)
			return err
		})
		body(client.PostForm(login, nil))
		get := func(query url.Values) string {
			t.Helper()
			return body(client.Get(server.URL + "/console/monthly?" + query.Encode()))
		}
		save := func(form url.Values) string {
			t.Helper()
			form.Set("mall", "1")
			form.Set("_key", formKey.FindStringSubmatch(get(nil))[1])
			return body(client.PostForm(server.URL+"/console/monthly?mall=1", form))
		}
		wants := func(page string, texts ...string) {
			t.Helper()
			for _, text := range texts {
				if !strings.Contains(page, text) {
					t.Errorf("the page lacks %q:\n%s", text, page[max(0, strings.Index(page, "<main")):])
				}
			}
		}
		wants(get(nil), "现在不会自动发", "南湖店11月会员月来啦", "还没有发过") // an example, not yet saved
		wants(get(url.Values{"mall": {"2"}, "text": {"试试 {{.Day}}"}, "day": {"31"}, "at": {"09:30"}, "enabled": {"on"}}), "还没有保存", "试试 10月31日", `value="09:30"`)
		wants(get(url.Values{"text": {"{{.Prize}}"}}), "不认识“{{.Prize}}”")
		for problem, form := range map[string]url.Values{
			"不认识“{{.Prize}}”。能用的有：{{.Mall}}": {"text": {"{{.Prize}}"}, "day": {"1"}, "at": {"09:00"}, "enabled": {"on"}},
			"还没有写文案":         {"text": {" "}, "day": {"1"}, "at": {"09:00"}, "enabled": {"on"}},
			"写 1 到 31 之间的整数": {"text": {"好"}, "day": {"32"}, "at": {"09:00"}, "enabled": {"on"}},
			"写成 10:00 这样":    {"text": {"好"}, "day": {"1"}, "at": {"24:00"}, "enabled": {"on"}},
		} {
			wants(save(form), problem)
		}
		wants(save(url.Values{"text": {"{{.Month}}好"}, "day": {"15"}, "at": {"09:00"}, "enabled": {"on"}}),
			"已保存。下一次：2026年11月15日 09:00。") // today's nine o'clock is over
		w.runAt("2026-10-15 12:05")
		if got := w.posts(); len(got) != 0 {
			t.Errorf("posts = %q, want none for what was due before it was saved", got)
		}
		wants(save(url.Values{"text": {"{{.Month}}好"}, "day": {"15"}, "at": {"13:00"}, "enabled": {"on"}}), "下一次：2026年10月15日 13:00。")
		w.now = at("2026-10-15 13:02")
		wants(get(nil), "2026-10-15 13:00", "到了时间，还没有发出")
		w.runAt("2026-10-15 13:05")
		if got := w.posts(); len(got) != 1 || got[0] != "webhook/1 10月好" {
			t.Errorf("posts = %q, want one", got)
		}
		wants(get(nil), "已发", "1 个群", "下一次 ", "2026-11-15 13:00")
		wants(save(url.Values{"text": {"{{.Month}}再来"}, "day": {"20"}, "at": {"13:00"}, "enabled": {"on"}}), "下一次：2026年11月20日 13:00。")
		wants(save(url.Values{"text": {"{{.Month}}再来"}, "day": {"20"}, "at": {"13:00"}, "enabled": {"off"}}), "现在不会自动发。")
	})
}
