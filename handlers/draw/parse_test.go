package draw

import (
	"errors"
	"reflect"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"qunbot/drawproof"
	"qunbot/store"
)

var shanghai = time.FixedZone("Asia/Shanghai", 8*3600)

// noon is when the orders of these tests are said: Saturday noon.
var noon = time.Date(2025, 3, 1, 12, 0, 0, 0, shanghai)

func TestParsePlan(t *testing.T) {
	at := func(text string) *time.Time {
		moment, err := time.ParseInLocation("2006-01-02 15:04", text, shanghai)
		if err != nil {
			t.Fatal(err)
		}
		moment = moment.UTC()
		return &moment
	}
	type prizes = []drawproof.Prize
	tests := []struct {
		name string
		args string
		want plan
	}{
		{"the least", "春茶 奖品 茶 x1", plan{name: "春茶", prizes: prizes{{Name: "茶", Count: 1}}}},
		{"everything", "周末电影票 奖品 电影票 x3 ¥45 奖品 咖啡券 x5 18.5元 条件 积分>=100 条件 未中奖 30天 条件 入群 7天 消耗 10 公证 上证指数 截止 20:00",
			plan{name: "周末电影票", prizes: prizes{{Name: "电影票", Count: 3, ValueFen: 4500}, {Name: "咖啡券", Count: 5, ValueFen: 1850}},
				minPoints: 100, notWonDays: 30, inGroupDays: 7, cost: 10, source: "上证指数", deadline: at("2025-03-01 20:00")}},
		{"another order", "春茶 截止 2025-03-08 09:30 消耗 5 奖品 茶 x1", plan{name: "春茶", prizes: prizes{{Name: "茶", Count: 1}}, cost: 5, deadline: at("2025-03-08 09:30")}},
		{"a time that has passed today", "春茶 奖品 茶 x1 截止 12:00", plan{name: "春茶", prizes: prizes{{Name: "茶", Count: 1}}, deadline: at("2025-03-02 12:00")}},
		{"names with blanks", "三月 春茶 奖品 龙井 一两 x2", plan{name: "三月 春茶", prizes: prizes{{Name: "龙井 一两", Count: 2}}}},
		{"a count that clings to the name", "春茶 奖品 MacBookX2", plan{name: "春茶", prizes: prizes{{Name: "MacBook", Count: 2}}}},
		{"a name that ends like a count", "春茶 奖品 显卡 x2 x3", plan{name: "春茶", prizes: prizes{{Name: "显卡 x2", Count: 3}}}},
		{"signs of multiplication", "春茶 奖品 茶×2 奖品 杯 *3", plan{name: "春茶", prizes: prizes{{Name: "茶", Count: 2}, {Name: "杯", Count: 3}}}},
		{"full width", "春茶 奖品 茶　ｘ２　￥１，２００　条件　积分＞＝１００　截止　１３：００",
			plan{name: "春茶", prizes: prizes{{Name: "茶", Count: 2, ValueFen: 120000}}, minPoints: 100, deadline: at("2025-03-01 13:00")}},
		{"conditions together", "春茶 奖品 茶 x1 条件 积分≥100、未中奖30天，入群 7 天", plan{name: "春茶", prizes: prizes{{Name: "茶", Count: 1}}, minPoints: 100, notWonDays: 30, inGroupDays: 7}},
		{"no source said aloud", "春茶 奖品 茶 x1 公证 无", plan{name: "春茶", prizes: prizes{{Name: "茶", Count: 1}}}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			o, err := parseOrder("新建 "+tt.args, noon, shanghai)
			if err != nil {
				t.Fatal(err)
			}
			if !reflect.DeepEqual(o.plan, tt.want) {
				t.Errorf("parseOrder(新建 %s) = %+v, want %+v", tt.args, o.plan, tt.want)
			}
		})
	}
}

func TestMissing(t *testing.T) {
	d := store.Draw{MinPoints: 100, NotWonDays: 30, InGroupDays: 7}
	good := standing{points: 100, since: noon.AddDate(0, 0, -7)}
	tests := []struct {
		name string
		draw store.Draw
		has  standing
		want string // "" for nothing missing
	}{
		{"all there", d, good, ""},
		{"one point short", d, standing{points: 99, since: good.since}, "还差 1 分"},
		{"six days in the group", d, standing{points: 100, since: noon.AddDate(0, 0, -6)}, "2025-03-02 起"},
		{"never seen", d, standing{points: 100}, "还没在群里见过你"},
		{"won 29 days ago", d, standing{points: 100, since: good.since, lastWon: noon.AddDate(0, 0, -29)}, "2025-03-02 起"},
		{"won 30 days ago", d, standing{points: 100, since: good.since, lastWon: noon.AddDate(0, 0, -30)}, ""},
		{"the cost is more than the condition", store.Draw{MinPoints: 5, Cost: 10}, standing{points: 7}, "报名要花 10 分"},
		{"the cost just so", store.Draw{Cost: 10}, standing{points: 10}, ""},
		{"no conditions", store.Draw{}, standing{}, ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got := strings.Join(missing(tt.draw, tt.has, noon, shanghai), "；")
			if (tt.want == "") != (got == "") || !strings.Contains(got, tt.want) {
				t.Errorf("missing() = %q, want %q", got, tt.want)
			}
		})
	}
}

func TestInTime(t *testing.T) {
	deadline := noon.Add(time.Hour)
	closed := deadline.Add(11 * time.Second)
	open := store.Draw{Name: "春茶", Number: 1, State: store.DrawOpen, Deadline: &deadline}
	shut := open
	shut.State, shut.ClosedAt = store.DrawClosed, &closed
	tests := []struct {
		name string
		draw store.Draw
		at   time.Time
		want string
	}{
		{"a second before", open, deadline.Add(-time.Second), ""},
		{"the very second", open, deadline, "到点那一秒就不算了"},
		{"within the second", open, deadline.Add(999 * time.Millisecond), "到点那一秒就不算了"},
		{"a second after", open, deadline.Add(time.Second), "已经截止"},
		{"sent in time, arrived after closing", shut, deadline.Add(-time.Second), "名单已经封存"},
		{"sent after the deadline, before closing", shut, deadline.Add(5 * time.Second), "已经截止"},
		{"no deadline", store.Draw{State: store.DrawOpen}, noon, ""},
		{"cancelled", store.Draw{State: store.DrawCancelled, Reason: "没货"}, noon, "已经取消：没货"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			err := inTime(tt.draw, tt.at, shanghai)
			if (tt.want == "") != (err == nil) || err != nil && !strings.Contains(err.Error(), tt.want) {
				t.Errorf("inTime() = %v, want %q", err, tt.want)
			}
		})
	}
}

func TestMask(t *testing.T) {
	for name, want := range map[string]string{"王芳": "王＊＊", "Momo": "M＊＊", "😀开心": "😀＊＊", "": "会员＊＊", " 李": "李＊＊", "\xff": "会员＊＊"} {
		if got := mask(name); got != want {
			t.Errorf("mask(%q) = %q, want %q", name, got, want)
		}
	}
}

func TestNumberOf(t *testing.T) {
	for word, want := range map[string]int64{"3": 3, "#12": 12, "７号": 7, "三": 0, "3a": 0, "": 0, "-1": 0, "99999999999999999999": 0} {
		if got := numberOf(word); got != want {
			t.Errorf("numberOf(%q) = %d, want %d", word, got, want)
		}
	}
}

// FuzzParseOrder: whatever is typed, the answer is an order that can be, or a
// refusal in words.
func FuzzParseOrder(f *testing.F) {
	for _, seed := range []string{
		strings.TrimPrefix(formNew, "/抽奖 "), strings.TrimPrefix(formClose, "/抽奖 "), strings.TrimPrefix(formValue, "/抽奖 "),
		strings.TrimPrefix(formDraw, "/抽奖 "), strings.TrimPrefix(formCancel, "/抽奖 "), "", "新建 奖品 奖品", "新建 a 奖品 x1 x2 ¥", "新建 a 奖品 b x1 条件 入群",
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, args string) {
		o, err := parseOrder(args, noon, shanghai)
		if err != nil {
			if _, refused := errors.AsType[refusal](err); !refused || err.Error() == "" {
				t.Fatalf("parseOrder(%q) = %v, which is no refusal", args, err)
			}
			return
		}
		if o.verb != verbNew {
			if o.which == "" {
				t.Fatalf("parseOrder(%q) names no draw: %+v", args, o)
			}
			return
		}
		if o.plan.name == "" || len(o.plan.prizes) == 0 {
			t.Fatalf("parseOrder(%q) = %+v, which is no draw", args, o.plan)
		}
		if o.plan.check(defaultLimits, noon) != nil || !utf8.ValidString(args) {
			return
		}
		for _, p := range o.plan.prizes {
			if p.Name == "" || p.Count < 1 || p.ValueFen < 0 {
				t.Fatalf("parseOrder(%q) has the prize %+v", args, p)
			}
		}
		// What can be made can be proved.
		r := o.plan.rules("南湖天地", defaultLimits, noon)
		r.Start("AAAAAAAAAA", drawproof.Hash{})
		if r.Winners() < 1 {
			t.Fatalf("parseOrder(%q) has no winners", args)
		}
	})
}
