package moderation

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"qunbot/store"
	"qunbot/store/storetest"
)

// say stores messages as if they had been said, without any rule.
func say(t testing.TB, db *store.Store, said ...store.Message) {
	t.Helper()
	for start := 0; start < len(said); start += 500 {
		part := said[start:min(len(said), start+500)]
		err := db.Update(t.Context(), func(tx *store.Tx) error {
			var answers []store.Answer
			var why []store.Decision
			for _, m := range part {
				answers = append(answers, store.Answer{Key: m.Key, CreatedAt: m.SentAt})
				why = append(why, store.Decision{Key: m.Key, SentAt: m.SentAt, At: m.SentAt})
			}
			return tx.AddAnswers(tx.Context(), answers, part, why)
		})
		if err != nil {
			t.Fatal(err)
		}
	}
}

func TestDoubts(t *testing.T) {
	r := &replay{allow: []string{"不要刷单"}, known: map[int64]time.Time{1: noon.Add(-40 * day), 2: noon.Add(-40 * day), 3: noon.Add(-day)}, struck: map[int64]bool{2: true}}
	for _, tt := range []struct {
		name, text, word, how string
		member                int64
		doubt                 int
		why                   string
	}{
		{"as plain as can be", "来刷单", "骗钱", "原文", 3, 0, ""},
		{"hidden on purpose", "来刷*单", "骗钱", "夹杂", 3, -1, ""},
		{"by its sound", "来刷蛋", "骗钱", "谐音", 3, 1, "靠读音认出来的"},
		{"in an everyday word", "停车场在哪", "车场", "原文", 3, 3, "夹在“停车场”里"},
		{"an everyday word", "今天", "今天", "原文", 3, 3, "词本身是日常用语"},
		{"a phrase is allowed", "刷单", "刷单", "原文", 3, 2, "有放行的说法“不要刷单”"},
		{"an old member", "骗钱", "骗钱", "原文", 1, 2, "老会员，没有违规"},
		{"an old member with a strike", "骗钱", "骗钱", "原文", 2, 0, ""},
		{"nobody knows who", "骗钱", "骗钱", "原文", 9, 0, ""},
		{"a rule without a word", "骗钱", "", "3 张图片", 1, 2, "老会员，没有违规"},
	} {
		h := replayed{Message: store.Message{Text: tt.text, MemberID: tt.member, SentAt: noon}, finding: finding{how: tt.how, end: len(tt.text)}}
		if h.word.Text = tt.word; tt.name == "in an everyday word" {
			h.start, h.end = len("停"), len("停车场")
		}
		if sum, why := r.doubtsOf(h); sum != tt.doubt || strings.Join(why, "；") != tt.why {
			t.Errorf("%s: %d, %q, want %d, %q", tt.name, sum, why, tt.doubt, tt.why)
		}
	}
}

// What a rule would have hit is what it hits: the same messages, said while the
// rule is in force, come to the same number.
func TestReplayAgreesWithTheScreen(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.Store) {
		a := chat(t, db)
		a.add(0, "刷单 警告 诈骗", "代购 提醒")
		addRules(t, db,
			Rule{Name: "刷屏", Dry: true, Spec: Spec{Kind: KindFlood, Count: 3, Seconds: 60, Steps: []Step{{From: 1, Do: DoLog}}}},
			Rule{Name: "重复", Dry: true, Spec: Spec{Kind: KindRepeat, Count: 2, Seconds: 120, Groups: []int64{1}, Steps: []Step{{From: 1, Do: DoLog}}}},
			Rule{Name: "新人", Dry: true, Spec: Spec{Kind: KindContact, Newcomer: 3, Steps: []Step{{From: 1, Do: DoLog}}}},
			Rule{Name: "诈骗", Dry: true, Spec: Spec{Kind: KindWords, Category: "诈骗", From: "12:05", To: "12:20", Steps: []Step{{From: 1, Do: DoLog}}}})
		dice := rand.New(rand.NewPCG(5, 6))
		texts := []string{"签到", "来刷*单", "谁代购", "看 example.com", "你好", "13800138000", "嗯"}
		for i := range 150 {
			a.now = a.now.Add(time.Duration(dice.IntN(25)) * time.Second)
			m := a.message(fmt.Sprint(i), []string{"小王", "小李", "老张"}[dice.IntN(3)], []string{"wrk1", "wrk2", ""}[dice.IntN(3)], texts[dice.IntN(len(texts))])
			a.handle(m)
		}
		f := &feature{a.deps, Config{Filter: a.filter}}
		err := db.View(t.Context(), func(tx *store.Tx) error {
			c, err := f.Filter.compiled(tx.Context(), tx)
			if err != nil {
				return err
			}
			r := &replay{book: c.book, set: c.set, ways: f.Filter.ways, zone: f.Zone}
			if _, err := r.run(tx.Context(), tx, noon.Add(-time.Hour)); err != nil {
				return err
			}
			counts, err := tx.HitCounts(tx.Context(), noon)
			for _, count := range counts {
				if int(count.N) != r.byRule[count.RuleID] {
					t.Errorf("rule %d: %d hits replayed, %d were noted", count.RuleID, r.byRule[count.RuleID], count.N)
				}
				delete(r.byRule, count.RuleID)
			}
			if len(counts) < 6 || // all but the rule for 拦截, which no word has
				len(r.byRule) > 0 {
				t.Errorf("hits of %d rules were noted: %v; replayed besides: %v", len(counts), counts, r.byRule)
			}
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	})
}

func TestConsoleReplay(t *testing.T) {
	s := open(t, storetest.Open(t), store.Manager)
	s.Holds("no messages", s.Get("/console/moderation/replay"), "最近 7 天没有消息")
	s.handle(s.message("hello", "小王", "wrk1", "你好"))
	s.handle(s.message("staff", "zhangsan", "wrk1", "大家别刷单"))
	s.add(0, "刷单小游戏 提醒")
	say(t, s.db,
		store.Message{Key: "old", GroupID: 1, MemberID: 1, Text: "很久以前刷单", SentAt: noon.Add(-8 * day)},
		store.Message{Key: "a", GroupID: 1, MemberID: 1, Text: "来刷*单<b>", SentAt: noon.Add(-time.Hour)},
		store.Message{Key: "b", GroupID: 1, MemberID: 1, Text: strings.Repeat("长", 100) + "带你赚钱，刷单", SentAt: noon.Add(-2 * time.Hour)},
		store.Message{Key: "c", GroupID: 1, MemberID: 9, Text: "shua单吗", SentAt: noon.Add(-3 * time.Hour)},
		store.Message{Key: "d", MemberID: 1, Text: "谁能代考英语", SentAt: noon.Add(-4 * time.Hour)})
	page := s.Get("/console/moderation/replay?preset=fraud")
	s.Holds("a preset", page, "回放：诈骗刷单", "3</strong> 次命中，2 位会员；看了最近 7 天的 6 条消息", "<mark>刷*单</mark><b>", "靠读音认出来的", "会员 9", "运营说的不算")
	s.Lacks("a preset", page, "很久以前", "大家别")
	if first, second := strings.Index(page, "shua单"), strings.Index(page, "刷*单"); first > second {
		t.Errorf("the doubtful hit comes after the plain one:\n%s", page)
	}
	s.Post(200, "/console/moderation/import", "level", "warn", "group", "1", "text", "代考\n刷单")
	s.Holds("an import for one group", s.Get("/console/moderation/replay?import=1"), "回放：粘贴的词.txt", "3</strong> 次命中")
	s.Holds("a rule", s.Get("/console/moderation/replay?rule=1"), "回放：敏感词：提醒", "一条也不会命中")
	s.add(0, "代考 警告")
	s.Holds("all rules", s.Get("/console/moderation/replay"), "1</strong> 次命中", "<mark>代考</mark>", "敏感词：警告")
	for _, query := range []string{"rule=99", "rule=x", "import=99", "preset=nonsense"} {
		s.Ask(404, "GET", "/console/moderation/replay?"+query, nil)
	}
}

// The newest messages are replayed, and a flood of hits keeps the most doubtful.
func TestReplayIsBounded(t *testing.T) {
	r := &replay{byRule: map[int64]int{}, byWord: map[string]int{}, members: map[int64]bool{}, known: map[int64]time.Time{1: noon.Add(-99 * day)}}
	for i := range 1000 {
		r.count(replayed{Message: store.Message{ID: int64(i), MemberID: int64(i % 10), SentAt: noon.Add(time.Duration(i) * time.Second)}})
	}
	r.shorten(replayKept)
	if len(r.kept) != replayKept || r.kept[0].ID != 991 || r.kept[0].doubt != 2 || r.kept[replayKept-1].ID != 1 || r.hits != 1000 {
		t.Errorf("kept %d of %d hits, from %d to %d", len(r.kept), r.hits, r.kept[0].ID, r.kept[len(r.kept)-1].ID)
	}
}

// 100,000 messages of 2,000 members, one in fifty with a word, against the
// presets and all kinds of rules.
func BenchmarkReplay100000(b *testing.B) {
	db := storetest.Open(b)
	d := deps(db, time.Now)
	f := &feature{d, Config{Filter: NewFilter(d)}}
	dice := rand.New(rand.NewPCG(1, 2))
	plain := []string{"请问周末有什么活动，停车场几点关门，地下二层还有车位吗", "签到", "今天的奶茶第二杯半价，有没有一起拼的", "收到，谢谢客服小姐姐", "孩子的生日蛋糕可以在这里订吗？要提前几天"}
	said := make([]store.Message, maxReplay)
	for i := range said {
		text := fmt.Sprint(plain[dice.IntN(len(plain))], dice.IntN(1000))
		if i%50 == 0 {
			text += "，来刷*单，加我VX"
		}
		said[i] = store.Message{Key: fmt.Sprint("m", i), GroupID: int64(1 + i%40), MemberID: int64(1 + dice.IntN(2000)), Text: text, SentAt: noon.Add(time.Duration(i) * 5 * time.Second)}
	}
	say(b, db, said...)
	var all []store.SensitiveWord
	for _, p := range presets() {
		items, err := p.items()
		if err != nil {
			b.Fatal(err)
		}
		all = append(all, wordsFrom(items, store.SensitiveWord{CreatedAt: noon})...)
		addRules(b, db, p.Rules...)
	}
	if err := db.Update(b.Context(), func(tx *store.Tx) error { return tx.AddWords(tx.Context(), all) }); err != nil {
		b.Fatal(err)
	}
	hits := 0
	for b.Loop() {
		err := db.View(b.Context(), func(tx *store.Tx) error {
			c, err := f.Filter.compiled(tx.Context(), tx)
			if err != nil {
				return err
			}
			r := &replay{book: c.book, set: c.set, ways: f.Filter.ways, zone: f.Zone}
			_, err = r.run(tx.Context(), tx, noon.Add(-time.Hour))
			hits = r.hits
			if r.seen != maxReplay {
				return fmt.Errorf("%d messages seen", r.seen)
			}
			return err
		})
		if err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(hits), "hits")
}
