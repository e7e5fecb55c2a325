package moderation

import (
	"math/rand/v2"
	"strings"
	"testing"

	"qunbot/store"
)

func TestPenaltyOf(t *testing.T) {
	never := Rules{Window: 30}
	for _, tt := range []struct {
		name  string
		rules Rules
		n     int
		want  penalty
	}{
		{"first", defaultRules, 1, penalty{}},
		{"second", defaultRules, 2, penalty{deduct: 10}},
		{"third", defaultRules, 3, penalty{suspend: 7 * day}},
		{"and on", defaultRules, 9, penalty{suspend: 7 * day}},
		{"nothing is switched on", never, 9, penalty{}},
		{"at once", Rules{Window: 1, SuspendAt: 1, Suspend: 1}, 1, penalty{suspend: day}},
		{"only points", Rules{Window: 1, DeductAt: 1, Deduct: 5}, 7, penalty{deduct: 5}},
	} {
		if got := tt.rules.penaltyOf(tt.n); got != tt.want {
			t.Errorf("%s: penaltyOf(%d) = %+v, want %+v", tt.name, tt.n, got, tt.want)
		}
	}
}

// Whatever rules pass the check, more strikes never lead to less, no strike
// does two things, and no balance goes below zero.
func TestRulesProperty(t *testing.T) {
	dice := rand.New(rand.NewPCG(3, 4))
	rank := func(p penalty) int {
		switch {
		case p.suspend > 0:
			return 2
		case p.deduct > 0:
			return 1
		}
		return 0
	}
	checked := 0
	for range 20_000 {
		r := Rules{dice.IntN(400), dice.IntN(8), dice.Int64N(200) - 5, dice.IntN(8), dice.IntN(400)}
		if r.check() != nil {
			continue
		}
		checked++
		for n := 1; n < 10; n++ {
			p, next := r.penaltyOf(n), r.penaltyOf(n+1)
			if p.deduct > 0 && p.suspend > 0 || p.deduct < 0 || p.suspend < 0 || rank(next) < rank(p) {
				t.Fatalf("%+v: strike %d leads to %+v, the next to %+v", r, n, p, next)
			}
			balance := dice.Int64N(30)
			if got := taken(p.deduct, balance); got < 0 || got > balance || got > p.deduct || got < p.deduct && got != balance {
				t.Fatalf("taken(%d, %d) = %d", p.deduct, balance, got)
			}
		}
	}
	if checked < 1000 {
		t.Errorf("only %d of the rules pass the check", checked)
	}
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
