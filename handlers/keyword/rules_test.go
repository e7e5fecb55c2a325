package keyword

import (
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"pgregory.net/rapid"

	"qunbot/store"
)

// aRule returns a rule written "kind pattern".
func aRule(id int64, text string, change ...func(*store.KeywordRule)) store.KeywordRule {
	kind, pattern, _ := strings.Cut(text, " ")
	r := store.KeywordRule{ID: id, Kind: store.KeywordKind(kind), Pattern: pattern, Replies: []string{"好"}, Enabled: true}
	for _, c := range change {
		c(&r)
	}
	r.Folded = foldPattern(r.Kind, r.Pattern)
	return r
}

func in(group int64) func(*store.KeywordRule) {
	return func(r *store.KeywordRule) { r.GroupID = group }
}
func priority(n int) func(*store.KeywordRule) { return func(r *store.KeywordRule) { r.Priority = n } }
func between(a, b int) func(*store.KeywordRule) {
	return func(r *store.KeywordRule) { r.FromMinute, r.ToMinute = a, b }
}
func ids(m *matcher, group int64, text string, minute int) (list []int64) {
	for r := range m.matches(group, fold(text), minute) {
		list = append(list, r.id)
	}
	return list
}

func TestOrder(t *testing.T) {
	for _, tt := range []struct {
		name  string
		rules []store.KeywordRule
		text  string
		want  []int64
	}{
		{"priority before all else", []store.KeywordRule{aRule(1, "exact 停车费", in(7)), aRule(2, "regexp 停.", priority(1))}, "停车费", []int64{2, 1}},
		{"a negative priority last", []store.KeywordRule{aRule(1, "exact 停车", priority(-1)), aRule(2, "contains 停")}, "停车", []int64{2, 1}},
		{"the group's before all groups'", []store.KeywordRule{aRule(1, "exact 停车费"), aRule(2, "regexp 停.", in(7))}, "停车费", []int64{2, 1}},
		{"another group's not at all", []store.KeywordRule{aRule(1, "exact 停车", in(8)), aRule(2, "contains 停")}, "停车", []int64{2}},
		{"exact, contains, regexp", []store.KeywordRule{aRule(1, "regexp 停车[费位]?"), aRule(2, "contains 停车费"), aRule(3, "exact 停车费")}, "停车费", []int64{3, 2, 1}},
		{"the longer pattern", []store.KeywordRule{aRule(1, "contains 停"), aRule(2, "contains 停车费"), aRule(3, "contains 停车")}, "停车费", []int64{2, 3, 1}},
		{"longer in characters, not in bytes", []store.KeywordRule{aRule(1, "contains 停车"), aRule(2, "contains wifi")}, "停车wifi", []int64{2, 1}},
		{"then the older", []store.KeywordRule{aRule(2, "contains 车位"), aRule(1, "contains 停车")}, "停车位", []int64{1, 2}},
		{"asleep does not count", []store.KeywordRule{aRule(1, "contains 停车费", between(0, 60)), aRule(2, "contains 停车")}, "停车费", []int64{2}},
		{"awake over midnight", []store.KeywordRule{aRule(1, "contains 停车", between(22*60, 13*60))}, "停车", []int64{1}},
		{"exact ignores the punctuation behind", []store.KeywordRule{aRule(1, "exact 停车")}, " 停车？！~ ", []int64{1}},
		{"exact is not contained", []store.KeywordRule{aRule(1, "exact 停车")}, "停车吗", nil},
		{"exact of punctuation", []store.KeywordRule{aRule(1, "exact ？")}, "?", []int64{1}},
		{"width and case", []store.KeywordRule{aRule(1, "contains ＷｉＦｉ"), aRule(2, "regexp ^ＷＩＦＩ？$"), aRule(3, "exact WIFI?")}, "wifi？", []int64{3, 1, 2}},
		{"letters that differ in case only", []store.KeywordRule{aRule(1, "regexp straſe"), aRule(2, "contains STRASE")}, "strase", []int64{2, 1}},
		{"a regexp without fixed text", []store.KeywordRule{aRule(1, `regexp ^\w{4}$`)}, "１２３４", []int64{1}},
		{"overlapping words", []store.KeywordRule{aRule(1, "contains 车停"), aRule(2, "contains 停车停"), aRule(3, "contains 停")}, "停车停车", []int64{2, 1, 3}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			m := newMatcher("", tt.rules)
			if got := ids(m, 7, tt.text, 12*60); !slices.Equal(got, tt.want) {
				t.Errorf("rules for %q = %v, want %v", tt.text, got, tt.want)
			}
		})
	}
}

// naive returns the rules that match by trying each.
func naive(rules []store.KeywordRule, group int64, text string, minute int) []int64 {
	var found []*rule
	for _, row := range rules {
		r := newRule(row)
		matches := false
		switch r.kind {
		case store.KeywordExact:
			matches = bare(fold(text)) == bare(fold(r.pattern))
		case store.KeywordContains:
			matches = strings.Contains(fold(text), fold(r.pattern))
		case store.KeywordRegexp:
			matches = regexp.MustCompile(expression(r.pattern)).MatchString(fold(text))
		}
		if matches && (r.group == 0 || r.group == group) && activeAt(r.from, r.to, minute) {
			found = append(found, r)
		}
	}
	slices.SortFunc(found, func(a, b *rule) int { order, _ := compare(a, b); return order })
	var list []int64
	for _, r := range found {
		list = append(list, r.id)
	}
	return list
}

func TestMatcherFindsWhatTryingEachFinds(t *testing.T) {
	word := rapid.StringOfN(rapid.SampledFrom([]rune("停车费aAａkKK sſSß？?！ 位")), 1, 4, -1)
	part := rapid.OneOf(rapid.Map(word, regexp.QuoteMeta), word, rapid.SampledFrom([]string{
		"[停车]", "[^停]", ".", ".*", "费?", "(位|车费)", "(停+|a)", "a{2}", "^", "$", `\d`, "[a-c]", "(?i:K)", "s*", "(车|)", "[aA停车费位sS]",
	}))
	rapid.Check(t, func(t *rapid.T) {
		var rules []store.KeywordRule
		for i := range rapid.IntRange(0, 30).Draw(t, "rules") {
			r := store.KeywordRule{ID: int64(i + 1), Replies: []string{"好"},
				Kind:    rapid.SampledFrom([]store.KeywordKind{store.KeywordExact, store.KeywordContains, store.KeywordRegexp}).Draw(t, "kind"),
				GroupID: rapid.Int64Range(0, 2).Draw(t, "group"), Priority: rapid.IntRange(0, 1).Draw(t, "priority"),
				FromMinute: rapid.IntRange(0, 3).Draw(t, "from"), ToMinute: rapid.IntRange(0, 3).Draw(t, "to")}
			if r.Pattern = word.Draw(t, "word"); r.Kind == store.KeywordRegexp {
				r.Pattern = strings.Join(rapid.SliceOfN(part, 1, 4).Draw(t, "parts"), "")
			}
			if r, err := check(r); err == nil {
				rules = append(rules, r)
			}
		}
		m := newMatcher("", rules)
		for range 5 {
			text := strings.Join(rapid.SliceOfN(word, 0, 4).Draw(t, "text"), "")
			group, minute := rapid.Int64Range(0, 2).Draw(t, "in"), rapid.IntRange(0, 4).Draw(t, "at")
			got, want := ids(m, group, text, minute), naive(rules, group, text, minute)
			if !slices.Equal(got, want) {
				t.Fatalf("rules for %q in %d at %d = %v, want %v", text, group, minute, got, want)
			}
		}
	})
}

func TestRequired(t *testing.T) {
	for _, tt := range []struct {
		pattern string
		loose   bool // it has no fixed text
	}{
		{"停车费", false}, {"停车(费|位)", false}, {"(停车|车位).*钱", false}, {"[几多]少?", false}, {"(几点)+", false}, {"a{2,}", false},
		{`^\d+$`, false}, {`^\w+$`, true}, {".+", true}, {"(停车|.)", true}, {"[^停]", true}, {`[\x{4e00}-\x{9fff}]{5}`, true},
	} {
		m := newMatcher("", []store.KeywordRule{aRule(1, "regexp "+tt.pattern)})
		if got := len(m.loose[0]) == 1; got != tt.loose {
			t.Errorf("%s is tried on every message: %t, want %t", tt.pattern, got, tt.loose)
		}
	}
}

func TestCheck(t *testing.T) {
	long := func(n int) string { return strings.Repeat("长", n) }
	for _, tt := range []struct {
		name string
		rule store.KeywordRule
		want string // a part of the refusal; empty: none
	}{
		{"word", aRule(1, "contains "+long(100)), ""},
		{"long word", aRule(1, "contains "+long(101)), "最多 100 个字，现在有 101 个"},
		{"regexp", aRule(1, "regexp "+long(200)), ""},
		{"long regexp", aRule(1, "regexp "+long(201)), "最多 200 个字"},
		{"no word", aRule(1, "contains  "), "请写关键词"},
		{"no kind", aRule(1, "glob 停车"), "匹配方式"},
		{"line break", aRule(1, "contains 停\n车"), "不能有换行"},
		{"invalid text", aRule(1, "contains \xff\xfe停"), "控制字符"},
		{"broken regexp", aRule(1, "regexp 停(车"), "少了右括号"},
		{"look-around", aRule(1, "regexp 停(?=车)"), "不支持"},
		{"matches all", aRule(1, "regexp 停*"), "什么都不写也算匹配"},
		{"too complex", aRule(1, "regexp (停|车费|.位){900}"), "太复杂"},
		{"long reply", aRule(1, "contains 停", func(r *store.KeywordRule) { r.Replies = []string{long(2001)} }), "最多 2000 个字"},
		{"no reply", aRule(1, "contains 停", func(r *store.KeywordRule) { r.Replies = []string{" "} }), "请写一条回复"},
		{"a name's mark", aRule(1, "contains 停", func(r *store.KeywordRule) { r.Replies = []string{"\uFDD01\uFDD1"} }), "控制字符"},
		{"20 replies", aRule(1, "contains 停", func(r *store.KeywordRule) { r.Replies = slices.Repeat([]string{"好"}, 20) }), ""},
		{"21 replies", aRule(1, "contains 停", func(r *store.KeywordRule) { r.Replies = slices.Repeat([]string{"好"}, 21) }), "最多 20 条"},
		{"priority", aRule(1, "contains 停", priority(1001)), "优先级"},
		{"cool-down", aRule(1, "contains 停", func(r *store.KeywordRule) { r.CooldownSeconds = -1 }), "冷却"},
	} {
		_, err := check(tt.rule)
		if no, refused := errors.AsType[refusal](err); refused != (tt.want != "") || !strings.Contains(no.text, tt.want) {
			t.Errorf("%s: check = %v, want …%s…", tt.name, err, tt.want)
		}
	}
}

func TestActiveAt(t *testing.T) {
	for _, tt := range []struct {
		from, to, minute int
		want             bool
	}{
		{0, 0, 0, true}, {600, 600, 5, true}, {600, 660, 599, false}, {600, 660, 600, true}, {600, 660, 659, true}, {600, 660, 660, false},
		{1320, 540, 1320, true}, {1320, 540, 0, true}, {1320, 540, 539, true}, {1320, 540, 540, false}, {1320, 0, 1439, true}, {1320, 0, 0, false},
	} {
		if got := activeAt(tt.from, tt.to, tt.minute); got != tt.want {
			t.Errorf("activeAt(%d, %d, %d) = %t, want %t", tt.from, tt.to, tt.minute, got, tt.want)
		}
	}
}

func TestSpan(t *testing.T) {
	for d, want := range map[time.Duration]string{0: "0 秒", time.Millisecond: "1 秒", 250 * time.Second: "4 分 10 秒",
		25*time.Hour + time.Second: "1 天 1 小时 1 秒", 2 * time.Minute: "2 分"} {
		if got := span(d); got != want {
			t.Errorf("span(%v) = %s, want %s", d, got, want)
		}
	}
}

func FuzzParse(f *testing.F) {
	for _, s := range []string{"", "添加 停车 => 免费", "添加 a ＝＞ b\n---\nc => d", "新增 a=>b", "删除 #12", "列表", "列表 ＃5", "列表 -1", "添加 =>", "添　加 x"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, args string) {
		o, err := parse(args)
		if err != nil {
			if _, refused := errors.AsType[refusal](err); !refused {
				t.Fatalf("parse(%q) = %v, want a refusal", args, err)
			}
			return
		}
		if o.verb == "添加" {
			if o.word == "" || len(o.replies) == 0 || slices.Contains(o.replies, "") {
				t.Fatalf("parse(%q) = %+v, want a word and replies", args, o)
			}
			again, err := parse("添加 " + o.word + " => " + joinReplies(o.replies))
			if err != nil || again.word != o.word || !slices.Equal(again.replies, o.replies) {
				t.Fatalf("parse(%q) = %+v, said again %+v, %v", args, o, again, err)
			}
		}
	})
}

func FuzzPattern(f *testing.F) {
	for _, s := range [][2]string{{"停车(费|位)?", "请问停车费"}, {"[０-９]＋", "1+"}, {"(?i)ſ", "S"}, {`\Q？`, "?"}, {"a|b|", "c"}, {"[^x]", "y"}, {"ｶﾞ", "ガ"}, {"İ", "i"}} {
		f.Add(s[0], s[1])
	}
	f.Fuzz(func(t *testing.T, pattern, text string) {
		if !utf8.ValidString(text) {
			return
		}
		var rules []store.KeywordRule
		for i, kind := range []store.KeywordKind{store.KeywordExact, store.KeywordContains, store.KeywordRegexp} {
			r, err := check(store.KeywordRule{ID: int64(i + 1), Kind: kind, Pattern: pattern, Replies: []string{"好"}})
			if err == nil {
				rules = append(rules, r)
			}
			if utf8.RuneCountInString(r.Folded) > 200 {
				t.Fatalf("%s %q folds to %d characters, its column holds 200", kind, pattern, utf8.RuneCountInString(r.Folded))
			}
		}
		m := newMatcher("", rules)
		if len(m.broken) > 0 {
			t.Fatalf("check lets %q pass, but it is broken as rules %v", pattern, m.broken)
		}
		if got, want := ids(m, 0, text, 0), naive(rules, 0, text, 0); !slices.Equal(got, want) {
			t.Fatalf("rules for %q on %q = %v, want %v", text, pattern, got, want)
		}
	})
}

// manyRules are 10,000 rules as malls write them: 60 % contained words, 30 %
// exact, 10 % regexps.
func manyRules() []store.KeywordRule {
	places := []string{"停车", "车位", "会员", "积分", "优惠券", "电影票", "母婴室", "洗手间", "充电桩", "服务台"}
	things := []string{"在哪里", "多少钱", "怎么办", "几点开门", "能退吗", "有折扣吗", "要预约吗", "电话", "收费标准", "怎么走"}
	rules := make([]store.KeywordRule, 0, maxRules)
	for i := range maxRules {
		place, thing := places[i%10], things[i/10%10]
		group := int64(i % 50) // 0: all groups
		switch {
		case i%10 < 6:
			rules = append(rules, aRule(int64(i+1), fmt.Sprintf("contains %s%d号%s", place, i, thing), in(group)))
		case i%10 < 9:
			rules = append(rules, aRule(int64(i+1), fmt.Sprintf("exact %s%d号%s", place, i, thing), in(group)))
		default:
			rules = append(rules, aRule(int64(i+1), fmt.Sprintf("regexp %s.{0,5}%d号?(%s|吗)", place, i, thing), in(group)))
		}
	}
	for i := range maxLoose { // as many as may be: tried on every message
		rules[len(rules)-1-i*10] = aRule(int64(maxRules-i*10), fmt.Sprintf(`regexp ^\w{%d}$`, i+5))
	}
	return rules
}

// saidOften are messages as fans write them: most match nothing.
var saidOften = []string{
	"请问一下今天晚上停车场的服务台几点开门呀，周末会员积分能换优惠券吗",
	"优惠券34号在哪里", "哈哈哈哈", "停车9970号多少钱呢", "早上好大家",
	"我昨天在一楼服务台问的时候他们说电影票要预约，但是今天去的时候又说不用预约了，到底要不要预约啊？",
}

func BenchmarkMatch10000Rules(b *testing.B) {
	m := newMatcher("", manyRules())
	i := 0
	for b.Loop() {
		m.best(7, fold(saidOften[i%len(saidOften)]), 600)
		i++
	}
}

// The worst that can be asked of it: every regexp looks for the same character.
func BenchmarkMatch10000RegexpsOfOneWord(b *testing.B) {
	rules := make([]store.KeywordRule, maxRules)
	for i := range rules {
		rules[i] = aRule(int64(i+1), fmt.Sprintf(`regexp 吗.*\d{%d}`, i%50+1), in(int64(i%50)))
	}
	m := newMatcher("", rules)
	m.best(7, "能退吗", 600) // compiles them
	b.ResetTimer()
	for b.Loop() {
		m.best(7, "能退吗", 600)
	}
}

func BenchmarkBuild10000Rules(b *testing.B) {
	rules := manyRules()
	for b.Loop() {
		newMatcher("", rules)
	}
}
