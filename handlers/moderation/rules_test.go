package moderation

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"qunbot/handlers"
	"qunbot/store"
	"qunbot/store/storetest"
	"qunbot/wordfilter"
)

// ladder is the default one.
var ladder = []Step{{From: 1, Do: DoWarn, Staff: true}, {From: 2, Do: DoWarn, Points: 10, Staff: true}, {From: 3, Do: DoWarn, Suspend: 7, Staff: true}}

func TestStep(t *testing.T) {
	for _, tt := range []struct {
		name  string
		steps []Step
		n     int
		want  Step
	}{
		{"first", ladder, 1, ladder[0]},
		{"second", ladder, 2, ladder[1]},
		{"third", ladder, 3, ladder[2]},
		{"and on", ladder, 9, ladder[2]},
		{"between two", []Step{{From: 1, Do: DoRemind}, {From: 5, Do: DoWarn}}, 4, Step{From: 1, Do: DoRemind}},
		{"before the first", []Step{{From: 2, Do: DoWarn}}, 1, Step{Do: DoLog}},
	} {
		if got := (Spec{Steps: tt.steps}).step(tt.n); got != tt.want {
			t.Errorf("%s: step(%d) = %+v, want %+v", tt.name, tt.n, got, tt.want)
		}
	}
}

func TestMeet(t *testing.T) {
	words := []wordfilter.Hit{
		{Word: wordfilter.Word{Text: "代购", Level: wordfilter.Remind, Category: "买卖"}, Start: 0, End: 6},
		{Word: wordfilter.Word{Text: "刷单", Level: wordfilter.Block}, Start: 6, End: 13, How: wordfilter.Spaced},
	}
	ago := func(seconds ...int) (list []utterance) {
		for _, s := range seconds {
			list = append(list, utterance{"你好", noon.Add(-time.Duration(s) * time.Second)})
		}
		return list
	}
	for _, tt := range []struct {
		name string
		spec Spec
		said said
		want string // how, and the bytes; empty: it does not meet the rule
	}{
		{"any word: the worst", Spec{Kind: KindWords}, said{hits: words}, "夹杂 6-13"},
		{"a level", Spec{Kind: KindWords, Level: store.LevelRemind}, said{hits: words}, "原文 0-6"},
		{"a category", Spec{Kind: KindWords, Category: "买卖"}, said{hits: words}, "原文 0-6"},
		{"another category", Spec{Kind: KindWords, Category: "广告"}, said{hits: words}, ""},
		{"no words", Spec{Kind: KindWords}, said{text: "你好"}, ""},

		{"a link", Spec{Kind: KindLink}, said{text: "看https://a.example/x?y=1，好"}, "链接 3-26"},
		{"a link without a scheme", Spec{Kind: KindLink}, said{text: "上 tao-bao.vip/abc 领"}, "链接 4-19"},
		{"www", Spec{Kind: KindLink}, said{text: "WWW.Example.COM"}, "链接 0-15"},
		{"a card", Spec{Kind: KindLink}, said{card: true}, "链接 0-0"},
		{"a price is no link", Spec{Kind: KindLink}, said{text: "3.5元一斤，v1.2.3，大概8.8折"}, ""},
		{"a full stop is no link", Spec{Kind: KindLink}, said{text: "ok.come on...是的"}, ""},
		{"a phone is no link", Spec{Kind: KindLink}, said{text: "13800138000"}, ""},

		{"a phone", Spec{Kind: KindContact}, said{text: "电话138 0013 8000哦"}, "联系方式 6-19"},
		{"a mail address", Spec{Kind: KindContact}, said{text: "写信到a.b@example.org"}, "链接 13-24"},
		{"a way to get in touch", Spec{Kind: KindContact}, said{text: "加我VX", ways: []wordfilter.Hit{{Start: 0, End: 8}}}, "联系方式 0-8"},
		{"an order's number is no phone", Spec{Kind: KindContact}, said{text: "订单202613800138000123"}, ""},

		{"a picture", Spec{Kind: KindImage}, said{images: 2}, "2 张图片 0-0"},
		{"no picture", Spec{Kind: KindImage}, said{text: "图片"}, ""},

		{"a flood", Spec{Kind: KindFlood, Count: 3, Seconds: 60}, said{text: "嗯", before: ago(5, 59)}, "1 分钟内第 3 条 0-0"},
		{"one is too long ago", Spec{Kind: KindFlood, Count: 3, Seconds: 60}, said{text: "嗯", before: ago(5, 60)}, ""},
		{"a repeat", Spec{Kind: KindRepeat, Count: 2, Seconds: 90}, said{text: " 你　好", before: ago(80)}, "90 秒内第 2 遍 0-0"},
		{"another text", Spec{Kind: KindRepeat, Count: 2, Seconds: 90}, said{text: "你们好", before: ago(80)}, ""},
		{"nothing is no repeat", Spec{Kind: KindRepeat, Count: 2, Seconds: 90}, said{before: []utterance{{"", noon}}}, ""},

		{"@all", Spec{Kind: KindMentionAll}, said{text: "＠所有人 快来"}, "@所有人 0-12"},
		{"an address is no @all", Spec{Kind: KindMentionAll}, said{text: "a@allied.com"}, ""},
		{"long", Spec{Kind: KindLength, Count: 3}, said{text: "一二三"}, "3 个字 0-0"},
		{"not long", Spec{Kind: KindLength, Count: 4}, said{text: "一二三"}, ""},

		{"operators are exempt", Spec{Kind: KindLength, Count: 1}, said{text: "一", staff: true}, ""},
		{"unless the rule says so", Spec{Kind: KindLength, Count: 1, Staff: true}, said{text: "一", staff: true}, "1 个字 0-0"},
		{"their commands always", Spec{Kind: KindLength, Count: 1, Staff: true}, said{text: "／敏感词 列表", staff: true}, ""},
		{"in its group", Spec{Kind: KindLength, Count: 1, Groups: []int64{7, 8}}, said{text: "一", group: 8}, "1 个字 0-0"},
		{"in another", Spec{Kind: KindLength, Count: 1, Groups: []int64{7, 8}}, said{text: "一"}, ""},
		{"at its hour", Spec{Kind: KindLength, Count: 1, From: "12:00", To: "13:00"}, said{text: "一"}, "1 个字 0-0"},
		{"at another", Spec{Kind: KindLength, Count: 1, From: "11:00", To: "12:00"}, said{text: "一"}, ""},
		{"past midnight", Spec{Kind: KindLength, Count: 1, From: "22:00", To: "09:00"}, said{text: "一"}, ""},
		{"until past midnight", Spec{Kind: KindLength, Count: 1, From: "11:00", To: "09:00"}, said{text: "一"}, "1 个字 0-0"},
		{"an unknown kind", Spec{Kind: "dance"}, said{text: "一"}, ""},
	} {
		tt.said.at, tt.said.zone = noon, storetest.Zone()
		got := ""
		if f, ok := (Rule{Spec: tt.spec}).meet(tt.said); ok {
			got = fmt.Sprintf("%s %d-%d", f.how, f.start, f.end)
		}
		if got != tt.want {
			t.Errorf("%s: %q, want %q", tt.name, got, tt.want)
		}
	}
}

func TestJudge(t *testing.T) {
	remind := finding{Rule: Rule{Name: "提醒", Spec: Spec{Steps: []Step{{From: 1, Do: DoRemind, Staff: true}}}}}
	warn := finding{Rule: Rule{Name: "警告", Spec: Spec{Counts: true, Steps: ladder}}}
	flood := finding{Rule: Rule{Name: "刷屏", Spec: Spec{Counts: true, Steps: []Step{{From: 1, Do: DoRemind}, {From: 3, Do: DoWarn, Points: 5, Owner: true}}}}}
	for _, tt := range []struct {
		name string
		met  []finding
		n    int
		lead string
		want string
	}{
		{"one that does not count", []finding{remind}, 5, "提醒", "提醒一句，不计次"},
		{"the worse one leads", []finding{remind, warn}, 1, "警告", "拦下、计一次违规"},
		{"whatever their order", []finding{warn, remind}, 2, "警告", "拦下、计一次违规、扣 10 分"},
		{"the first of equals", []finding{warn, {Rule: Rule{Name: "又一条", Spec: warn.Rule.Spec}}}, 1, "警告", "拦下、计一次违规"},
		{"the more serious of each", []finding{flood, warn}, 3, "警告", "拦下、计一次违规、扣 5 分、停用积分和抽奖 7 天，并请群主撤回"},
	} {
		v := judge(tt.met, tt.n)
		if v.lead.Rule.Name != tt.lead || v.String() != tt.want {
			t.Errorf("%s: %s, %s; want %s, %s", tt.name, v.lead.Rule.Name, v, tt.lead, tt.want)
		}
	}
}

// Whatever rules pass the check: a message that is not counted costs nothing,
// what costs something is stopped, two rules never lead to less than one, and
// no balance goes below zero.
func TestRulesProperty(t *testing.T) {
	dice := rand.New(rand.NewPCG(3, 4))
	checked := 0
	var valid []finding
	for range 120_000 {
		s := Spec{Kind: KindImage, Counts: dice.IntN(3) > 0}
		for i := range dice.IntN(4) {
			s.Steps = append(s.Steps, Step{2*i + dice.IntN(2), []Do{DoLog, DoRemind, DoWarn, DoWarn}[dice.IntN(4)], max(-1, dice.Int64N(20)-9), max(-1, dice.IntN(9)-5), dice.IntN(2) == 0, dice.IntN(2) == 0, dice.IntN(9) == 0})
		}
		if s.check() != nil {
			continue
		}
		checked++
		valid = append(valid, finding{Rule: Rule{Spec: s}})
		other := valid[dice.IntN(len(valid))]
		for n := 1; n < 7; n++ {
			v := judge([]finding{{Rule: Rule{Spec: s}}, other}, n)
			if (v.step.Points > 0 || v.step.Suspend > 0 || v.step.Remove) && (!v.strike || v.step.Do != DoWarn) || v.step.Points < 0 || v.step.Suspend < 0 {
				t.Fatalf("%+v and %+v: strike %d leads to %+v", s, other.Rule.Spec, n, v)
			}
			for _, one := range []Step{s.step(n), other.Rule.step(n)} {
				if joined := v.step; joined.Do.rank() < one.Do.rank() || joined.Points < one.Points || joined.Suspend < one.Suspend || one.Staff && !joined.Staff {
					t.Fatalf("%+v and %+v: strike %d leads to %+v, less than %+v", s, other.Rule.Spec, n, joined, one)
				}
			}
			balance := dice.Int64N(30)
			if got, p := taken(v.step.Points, balance), v.step.Points; got < 0 || got > balance || got > p || got < p && got != balance {
				t.Fatalf("taken(%d, %d) = %d", p, balance, got)
			}
			if a := v.step.action(); len(a) > 40 {
				t.Fatalf("action %q is longer than its column", a)
			}
		}
	}
	if checked < 1000 {
		t.Errorf("only %d of the rules pass the check", checked)
	}
}

func TestCheckRule(t *testing.T) {
	steps := []Step{{From: 1, Do: DoWarn}}
	for _, tt := range []struct {
		name, field string // field: empty: the rule is all right
		spec        Spec
	}{
		{"words", "", Spec{Kind: KindWords, Steps: steps}},
		{"unknown kind", "kind", Spec{Kind: "dance", Steps: steps}},
		{"flood of one", "count", Spec{Kind: KindFlood, Count: 1, Seconds: 9, Steps: steps}},
		{"flood in no time", "seconds", Spec{Kind: KindFlood, Count: 2, Steps: steps}},
		{"length of nothing", "count", Spec{Kind: KindLength, Steps: steps}},
		{"half a window", "to", Spec{Kind: KindLink, From: "10:00", Steps: steps}},
		{"no hour", "from", Spec{Kind: KindLink, From: "24:00", To: "10:00", Steps: steps}},
		{"short hour", "to", Spec{Kind: KindLink, From: "09:00", To: "9:30", Steps: steps}},
		{"old newcomers", "newcomer", Spec{Kind: KindLink, Newcomer: 50_000, Steps: steps}},
		{"no steps", "from1", Spec{Kind: KindLink}},
		{"late first step", "from1", Spec{Kind: KindLink, Counts: true, Steps: []Step{{From: 2, Do: DoWarn}}}},
		{"steps out of order", "from2", Spec{Kind: KindLink, Counts: true, Steps: []Step{{From: 1, Do: DoWarn}, {From: 1, Do: DoWarn}}}},
		{"nothing done", "do1", Spec{Kind: KindLink, Steps: []Step{{From: 1}}}},
		{"a fine with a reminder", "do1", Spec{Kind: KindLink, Counts: true, Steps: []Step{{From: 1, Do: DoRemind, Points: 1}}}},
		{"a fine that does not count", "counts", Spec{Kind: KindLink, Steps: []Step{{From: 1, Do: DoWarn, Points: 1}}}},
		{"steps that nobody comes to", "counts", Spec{Kind: KindLink, Steps: []Step{{From: 1, Do: DoLog}, {From: 2, Do: DoWarn}}}},
		{"a negative fine", "points1", Spec{Kind: KindLink, Counts: true, Steps: []Step{{From: 1, Do: DoWarn, Points: -1}}}},
		{"for ever", "suspend1", Spec{Kind: KindLink, Counts: true, Steps: []Step{{From: 1, Do: DoWarn, Suspend: 366}}}},
	} {
		err := tt.spec.check()
		no, refused := errors.AsType[refusal](err)
		if refused != (tt.field != "") || no.field != tt.field {
			t.Errorf("%s: check() = %v about %q, want %q", tt.name, err, no.field, tt.field)
		}
	}
}

// Whatever is said, what is found lies in the text.
func FuzzMeet(f *testing.F) {
	for _, s := range []string{"看https://a.example/x", "13800138000", "@所有人", "a@b.cn", "\xff\xfe@all", "www.", "加我VX", strings.Repeat("a.", 50) + "com"} {
		f.Add(s)
	}
	filter := NewFilter(handlers.Deps{})
	f.Fuzz(func(t *testing.T, text string) {
		m := said{text: text, at: noon, zone: time.UTC, ways: filter.ways.Scan(text, nil)}
		for _, kind := range kinds() {
			found, ok := Rule{Spec: Spec{Kind: kind.Kind, Count: 1}}.meet(m)
			if ok && (found.start < 0 || found.start > found.end || found.end > len(text) || found.how == "") {
				t.Errorf("%s in %q: %+v", kind.Kind, text, found)
			}
		}
	})
}

func TestTooBroad(t *testing.T) {
	for text, want := range map[string]string{
		"今天": "日常", "签到": "日常", "微 信": "日常", "69": "2 位数字", "6 9 5": "3 位数字", "vx": "2 个字母", "ＱＱ": "2 个字母",
		"加微信": "", "刷单": "", "黄牛": "", "95279527": "", "abc": "", "v信": "",
	} {
		if got := tooBroad(text); !strings.Contains(got, want) || want == "" && got != "" {
			t.Errorf("tooBroad(%s) = %q, want %q in it", text, got, want)
		}
	}
}

func TestReadLines(t *testing.T) {
	text := "# 一张表\r\n\r\n加微信\r\n刷单 拦截\r\n代购,提醒,买卖 类\r\n加　微信\nwork from home\t警告"
	if _, _, err := readLines(text, store.SensitiveWord{Level: store.LevelWarn, Category: "其他"}); err == nil {
		t.Error("a Chinese word with a blank inside was taken")
	}
	words, doubts, err := readLines(strings.Replace(text, "加　微信", "加微信", 1), store.SensitiveWord{Level: store.LevelWarn, Category: "其他"})
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, w := range words {
		got = append(got, w.Text+"|"+string(w.Level)+"|"+w.Category)
	}
	const want = "加微信|warn|其他 刷单|block|其他 代购|remind|买卖 类 work from home|warn|其他"
	if strings.Join(got, " ") != want || len(doubts) != 1 || !strings.Contains(doubts[0], "第 6 行和第 3 行") {
		t.Errorf("readLines = %q, %q, want %q and the repeated word", got, doubts, want)
	}
}

func FuzzParse(f *testing.F) {
	for _, s := range []string{"添加 加微信 拦截", "添加 刷单", "添加 work from home 警告", "删除 加微信", "列表", "列表 ＃12", "添加 拦截 拦截",
		"", "添加", "新增　全角　提醒", "添加 a,b，拦截", "添加 加微信 拦截 引流"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, args string) {
		o, err := parse(args)
		if err != nil {
			if err.Error() == "" {
				t.Errorf("parse(%q) refuses without a word", args)
			}
			return
		}
		switch o.verb {
		case "添加":
			if o.entry.text == "" || o.entry.level == "" || o.entry.category != "" {
				t.Errorf("parse(%q) = %+v, want a word and a level", args, o)
			}
			if checkWord(o.entry.text) == nil && fold(o.entry.text) == "" {
				t.Errorf("parse(%q) = %+v: nothing is left of the word", args, o)
			}
		case "删除":
			if o.word == "" {
				t.Errorf("parse(%q) = %+v, want a word", args, o)
			}
		case "列表":
			if o.before < 0 {
				t.Errorf("parse(%q) = %+v, want no number or one above 0", args, o)
			}
		default:
			t.Errorf("parse(%q) = %+v, an unknown verb", args, o)
		}
	})
}
