package service

import (
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"testing"
	"time"

	"qunbot/handlers"
	"qunbot/store"
	"qunbot/store/storetest"
	"qunbot/web/console"
	"qunbot/web/console/consoletest"
)

func TestMain(m *testing.M) { storetest.Main(m) }

var noon = time.Date(2026, 11, 22, 4, 0, 0, 0, time.UTC)

const (
	wk      = "wk1"
	address = "https://work.example.com/kf/kfc1?enc_scene=E"
)

// A site is a console with the feature's pages and a browser that is signed in.
type site struct {
	*consoletest.Browser
	t       *testing.T
	db      *store.Store
	feature handlers.Feature
}

func open(t *testing.T, db *store.Store, role store.Role, accounts ...string) *site {
	t.Helper()
	deps := handlers.Deps{Store: db, Now: func() time.Time { return noon }, Zone: db.Zone(), Log: slog.New(slog.DiscardHandler)}
	f := New(deps, Config{
		Accounts: accounts,
		Link: func(address, source string) (string, error) {
			return address + "&scene_param=" + source + "&s=SIGN", nil
		},
		Command: func(text string) bool { return text == "签到" || text == "积分" || text == "抽奖" },
	})
	s := &site{t: t, db: db, feature: f,
		Browser: consoletest.Open(t, console.Config{Store: db, Pages: f.Console, Now: deps.Now, Log: deps.Log})}
	s.as(role)
	return s
}

func (s *site) as(role store.Role) {
	s.t.Helper()
	s.SignIn(s.db, store.Operator{UserID: string(role), Name: "张三", Role: role, CreatedAt: noon})
}

func (s *site) update(fn func(tx *store.Tx) error) {
	s.t.Helper()
	if err := s.db.Update(s.t.Context(), fn); err != nil {
		s.t.Fatal(err)
	}
}

// group stores a group and returns its number.
func (s *site) group(name string) (id int64) {
	s.t.Helper()
	s.update(func(tx *store.Tx) error {
		if _, err := tx.AddGroup(tx.Context(), store.Group{ChatID: "wr" + name, Kind: store.CustomerGroup, Name: name, CreatedAt: noon}); err != nil {
			return err
		}
		groups, err := tx.GroupsByChat(tx.Context(), []string{"wr" + name})
		id = groups["wr"+name].ID
		return err
	})
	return id
}

// contact is what the reader of the account finds out.
func (s *site) contact(address, problem string, again time.Time) {
	s.t.Helper()
	s.update(func(tx *store.Tx) error {
		if _, _, err := tx.LeaseKFAccount(tx.Context(), wk, "test", noon, noon, noon); err != nil {
			return err
		}
		return tx.SetKFContact(tx.Context(), wk, address, problem, again)
	})
}

// came notes that a customer came through links, and returns the member.
func (s *site) came(customer string, at time.Time, sources ...string) (member int64) {
	s.t.Helper()
	s.update(func(tx *store.Tx) error {
		members, err := tx.MembersOf(tx.Context(), []store.Identity{{Kind: store.ExternalUserID, Value: customer}}, at)
		if err != nil {
			return err
		}
		member = members[0].ID
		for i, source := range sources {
			if err := tx.NoteKFTouch(tx.Context(), member, source, at.Add(time.Duration(i)*time.Minute)); err != nil {
				return err
			}
		}
		return nil
	})
	return member
}

// row returns the table row that holds text, without tags.
func row(t *testing.T, page, text string) string {
	t.Helper()
	for r := range strings.SplitSeq(page, "<tr>") {
		r, _, _ = strings.Cut(r, "</tr>")
		if strings.Contains(r, text) && strings.Contains(r, "<td") {
			var words strings.Builder
			for _, part := range strings.Split(r, "<")[1:] {
				_, plain, _ := strings.Cut(part, ">")
				words.WriteString(plain + " ")
			}
			return strings.Join(strings.Fields(words.String()), " ")
		}
	}
	t.Errorf("no row with %q on the page:\n%s", text, page)
	return ""
}

func TestLinks(t *testing.T) {
	db := storetest.Open(t)
	s := open(t, db, store.Staff, wk)
	s.Holds("no groups", s.Get("/console/service"), "还没有群", "还没有海报", "正在向企业微信取客服账号 wk1 的链接")
	id := s.group("南湖一群")
	path := fmt.Sprintf("/console/service/groups/%d", id)

	s.contact("", "应用没有权限。", noon.Add(40*time.Minute))
	for _, page := range []string{"/console/service", path} {
		s.Holds("no address", s.Get(page), "还拿不到客服账号 wk1 的链接：应用没有权限。 12:40 再试")
	}
	s.Lacks("no address", s.Get(path), "<img", "scene_param")

	s.contact(address, "", noon)
	page := s.Get("/console/service")
	s.Lacks("list", page, "再试", "正在向企业微信取")
	s.Holds("list", page, `href="`+path+`"`, "南湖一群")
	link := fmt.Sprintf("%s&scene_param=g=%d&s=SIGN", address, id)
	s.Holds("link", s.Get(path), "南湖一群", `value="`+link+`"`, `src="data:image/png;base64,`, "readonly")
	s.Ask(404, "GET", "/console/service/groups/999", nil)
	s.Ask(404, "GET", "/console/service/posters/none", nil)
}

func TestNoAccount(t *testing.T) {
	s := open(t, storetest.Open(t), store.Analyst)
	id := s.group("南湖一群")
	s.Holds("empty", s.Get("/console/service"), "还没有客服账号", "wecom.kf.accounts", "open_kfid")
	s.Holds("empty link", s.Get(fmt.Sprintf("/console/service/groups/%d", id)), "还没有客服账号", "/console/service")
}

func TestPosters(t *testing.T) {
	db := storetest.Open(t)
	s := open(t, db, store.Staff, wk)
	s.contact(address, "", noon)
	add := func(status int, label, code string, want ...string) string {
		t.Helper()
		page := s.Post(status, "/console/service", "do", "poster", "label", label, "code", code)
		s.Holds("poster "+label+" "+code, page, want...)
		return page
	}
	add(200, "东广场", "Door-1", "已添加", "东广场", "代号 Door-1", address+"&scene_param=p=Door-1&s=SIGN")
	add(422, "二楼", "Door-1", "已经有代号 Door-1 的海报", `value="二楼"`)
	add(422, "", "x", "请写海报贴在哪里")
	add(422, strings.Repeat("长", 41), "", "最多 40 个字，现在有 41 个")
	for _, bad := range []string{"北门", "a b", "a&s=", strings.Repeat("x", 33)} {
		add(422, "三楼", bad, "代号是 1 到 32 个英文字母、数字")
	}
	add(200, "电梯", "", "已添加", "电梯")
	var auto string
	s.update(func(tx *store.Tx) error {
		posters, err := tx.KFPosters(tx.Context())
		for _, p := range posters {
			if p.Label == "电梯" {
				auto = p.Code
			}
		}
		return err
	})
	if !posterCode.MatchString(auto) || len(auto) != newCodeSize {
		t.Errorf("code made by itself = %q", auto)
	}

	s.came("wmA", noon.AddDate(0, 0, -60), "p=Door-1")
	page := s.Post(200, "/console/service/posters/Door-1")
	s.Holds("deleted", page, "已删除。印出去的二维码照样能用。", "已删的海报", "Door-1", "电梯")
	s.Lacks("deleted", page, "东广场")
	s.Ask(404, "GET", "/console/service/posters/Door-1", nil)
	if got := row(t, page, "Door-1"); got != "已删的海报 Door-1 0 1 0 1" {
		t.Errorf("row of a deleted poster = %q", got)
	}
	if got := row(t, add(200, "东广场", "Door-1")+s.Get("/console/service"), "Door-1</span>"); got != "东广场 Door-1 0 1 0 1" {
		t.Errorf("row of the poster made again = %q, want its counts", got)
	}
}

func TestPostersHaveALimit(t *testing.T) {
	s := open(t, storetest.Open(t), store.Staff, wk)
	s.update(func(tx *store.Tx) error {
		for i := range maxPosters {
			if _, err := tx.AddKFPoster(tx.Context(), store.KFPoster{Code: fmt.Sprint("c", i), Label: "满", CreatedAt: noon}); err != nil {
				return err
			}
		}
		return nil
	})
	s.Holds("too many", s.Post(422, "/console/service", "do", "poster", "label", "多一张", "code", ""), "最多 200 张海报")
}

func TestCounts(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.Store) {
		s := open(t, db, store.Analyst, wk)
		s.contact(address, "", noon)
		one, two := s.group("南湖一群"), s.group("南湖二群")
		from := store.KFGroupSource
		a := s.came("wmA", noon.AddDate(0, 0, -40), from(one))
		s.came("wmA", noon.AddDate(0, 0, -2), from(two))
		s.came("wmB", noon.AddDate(0, 0, -29).Add(-11*time.Hour-59*time.Minute), from(one)) // 00:01 of the first day that counts
		s.came("wmC", noon.AddDate(0, 0, -29).Add(-12*time.Hour-2*time.Minute), from(one))  // the day before
		want := func(what string) {
			t.Helper()
			page := s.Get("/console/service")
			if got := row(t, page, "南湖一群"); got != "南湖一群 1 3 1 2" {
				t.Errorf("%s: row of 一群 = %q", what, got)
			}
			if got := row(t, page, "南湖二群"); got != "南湖二群 0 0 1 1" {
				t.Errorf("%s: row of 二群 = %q", what, got)
			}
		}
		want("before")
		s.update(func(tx *store.Tx) error { return s.feature.Personal.Erase(tx.Context(), tx, a) })
		want("after erasing")
	})
}

func TestManyGroups(t *testing.T) {
	s := open(t, storetest.Open(t), store.Analyst, wk)
	for i := range console.PageSize + 1 {
		s.group(fmt.Sprintf("群号%02d", i))
	}
	page := s.Get("/console/service")
	s.Holds("first page", page, "群号00", "群号49", "下一页")
	s.Lacks("first page", page, "群号50")
	_, rest, _ := strings.Cut(page, `href="/console/service?after=`)
	after, _, _ := strings.Cut(rest, `"`)
	page = s.Get("/console/service?after=" + after)
	s.Holds("second page", page, "群号50", "回到最新")
	s.Lacks("second page", page, "群号49")
}

func TestSettings(t *testing.T) {
	db := storetest.Open(t)
	s := open(t, db, store.Manager, wk)
	settings := func(hours string, menu ...string) {
		t.Helper()
		s.update(func(tx *store.Tx) error {
			got, err := tx.KFSettings(tx.Context())
			if got.Hours != hours || !slices.Equal(got.Menu, menu) {
				t.Errorf("settings = %+v, want %q %v", got, hours, menu)
			}
			return err
		})
	}
	save := func(status int, hours, menu string, want ...string) {
		t.Helper()
		s.Holds("settings", s.Post(status, "/console/service", "do", "settings", "hours", hours, "menu", menu), want...)
	}
	page := s.Get("/console/service")
	s.Holds("at first", page, "签到\n积分\n抽奖</textarea>", "<li>转人工</li>")
	s.Lacks("at first", page, "不是机器人的命令")

	save(200, "每天 10:00–22:00", " 签到 \r\n\r\n转人工\r\n停车费\r\n", "已保存", "“停车费”不是机器人的命令", "<li>停车费</li><li>转人工</li>")
	settings("每天 10:00–22:00", "签到", "停车费")
	save(422, strings.Repeat("长", 61), "", "最多 60 个字，现在有 61 个")
	save(422, "", "签到\n"+strings.Repeat("长", 43), "第 2 行太长", "现在有 129 字节")
	save(422, "", "签到\n签到", "第 2 行的“签到”写了两次")
	save(422, "", "1\n2\n3\n4\n5\n6\n7\n8\n9\n10", "最多 9 行，现在有 10 行")
	save(422, "", "签\a到", "看不见的字符")
	settings("每天 10:00–22:00", "签到", "停车费")
	save(200, "", "", "已保存")
	settings("")

	s.as(store.Staff)
	page = s.Get("/console/service")
	s.Lacks("staff", page, `name="hours"`)
	s.Holds("staff", s.Post(422, "/console/service", "do", "settings", "hours", "x", "menu", ""), "经理以上的权限")
	s.Holds("no deed", s.Post(422, "/console/service", "do", "?"), "没有这个操作")
	settings("")
}

func TestRoles(t *testing.T) {
	s := open(t, storetest.Open(t), store.Clerk, wk)
	s.Ask(403, "GET", "/console/service", nil)
	s.as(store.Analyst)
	s.Lacks("analyst", s.Get("/console/service"), "<form method=\"post\" class=\"form\"", "添一张海报")
}

func TestPersonal(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.Store) {
		s := open(t, db, store.Analyst, wk)
		s.contact(address, "", noon)
		member := s.came("wmA", noon, "g=17", "p=door")
		other := s.came("wmB", noon, "g=17")
		s.update(func(tx *store.Tx) error {
			ctx := tx.Context()
			for _, customer := range []string{"wmA", "wmB"} {
				talk, err := tx.LockKFSession(ctx, wk, customer)
				if err != nil {
					return err
				}
				talk.HeardAt = noon
				if err := tx.SetKFSession(ctx, talk); err != nil {
					return err
				}
				if err := tx.AddKFSends(ctx, []store.KFSend{{ID: customer, Account: wk, Customer: customer, BookedAt: noon, State: store.KFSent}}); err != nil {
					return err
				}
			}
			return nil
		})
		export := func(member int64) (text string) {
			t.Helper()
			s.update(func(tx *store.Tx) error {
				data, err := s.feature.Personal.Export(tx.Context(), tx, member)
				if err != nil {
					return err
				}
				raw, err := json.Marshal(data)
				text = string(raw)
				return err
			})
			return text
		}
		const all = `{"first_came_from":{"group":17,"at":"2026-11-22T04:00:00Z"},"last_came_from":{"poster":"door","at":"2026-11-22T04:01:00Z"},` +
			`"talks":[{"account":"wk1","wrote_at":"2026-11-22T04:00:00Z"}],"messages":[{"account":"wk1","at":"2026-11-22T04:00:00Z","state":"sent"}]}`
		if got := export(member); got != all {
			t.Errorf("export = %s\nwant %s", got, all)
		}
		theirs := export(other)
		s.update(func(tx *store.Tx) error { return s.feature.Personal.Erase(tx.Context(), tx, member) })
		if got := export(member); got != `{"talks":[],"messages":[]}` {
			t.Errorf("export of the erased = %s, want nothing", got)
		}
		if got := export(other); got != theirs {
			t.Errorf("export of another = %s, want %s", got, theirs)
		}
		s.update(func(tx *store.Tx) error {
			if _, err := tx.KFTouchOf(tx.Context(), member); !errors.Is(err, store.ErrNotFound) {
				t.Errorf("touch of the erased = %v", err)
			}
			return nil
		})
	})
}

func FuzzMenu(f *testing.F) {
	f.Add("签到\n积分\r\n转人工\n\n")
	f.Add("1\n2\n3\n4\n5\n6\n7\n8\n9\n10")
	f.Fuzz(func(t *testing.T, text string) {
		words, err := menuOf(text)
		if err != nil {
			return
		}
		if len(words) > maxMenu || slices.Contains(words, handOver) || slices.Contains(words, "") {
			t.Errorf("menuOf(%q) = %q", text, words)
		}
		for _, w := range words {
			if len(w) > maxWord {
				t.Errorf("menuOf(%q) has a word of %d bytes", text, len(w))
			}
		}
		again, err := menuOf(strings.Join(words, "\n"))
		if err != nil || !slices.Equal(again, words) {
			t.Errorf("menuOf of its own words %q = %q, %v", words, again, err)
		}
	})
}
