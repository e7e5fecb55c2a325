package review_test

import (
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"qunbot/store"
	"qunbot/store/storetest"
	"qunbot/web/console/consoletest"
)

// hits returns the hits, the oldest first.
func (w *world) hits() (list []store.HitRow) {
	w.t.Helper()
	w.update(func(tx *store.Tx) error {
		rows, err := tx.HitRows(tx.Context(), store.HitFilter{Limit: 100})
		list = make([]store.HitRow, len(rows))
		for i, h := range rows {
			list[len(rows)-1-i] = h
		}
		return err
	})
	return list
}

const hitsPage = "/console/review/hits"

// A hit is looked at with what was said around it, and what an operator thinks
// of it is done at once: allowed, undone, raised.
func TestHits(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.Store) {
		w := open(t, db)
		w.update(func(tx *store.Tx) error {
			return tx.AddWords(tx.Context(), []store.SensitiveWord{{Text: "黄片", Folded: "黄片", Level: store.LevelWarn, Embedded: true}})
		})
		w.say("小李", "wrk1", "这药怎么样")
		w.say("小王", "wrk1", "牛黄片很苦")
		w.say("小张", "wrk1", "多喝水")
		w.say("小张", "wrk2", "别的群")
		w.say("小王", "wrk2", "来刷单啊")
		w.say("小王", "wrk2", "又刷单啊")
		if got := w.hits(); len(got) != 3 || got[0].StrikeID != 1 || got[0].Word != "黄片" {
			t.Fatalf("hits = %+v, want three that are strikes", got)
		}
		b, analyst := w.operator("小赵", store.Staff), w.operator("小钱", store.Analyst)
		page := analyst.Get(hitsPage)
		analyst.Holds("analyst", page, "现在等着 3 条", "又<mark>刷单</mark>啊")
		analyst.Lacks("analyst", page, `value="right"`)
		analyst.Ask(http.StatusForbidden, "POST", hitsPage, url.Values{"_key": {"A"}, "id": {"1"}, "do": {"right"}})

		b.Holds("right", b.Post(http.StatusOK, hitsPage, "id", "3", "was", "", "do", "right"), "找得对", "来<mark>刷单</mark>啊") // and on to the next
		b.Holds("skipped", b.Get(hitsPage+"?after=2"), "牛<mark>黄片</mark>很苦", "这药怎么样", "多喝水", `value="牛黄片很苦"`, "找错了就撤销违规 #1", `name="undo" value="on" checked`)
		b.Lacks("skipped", b.Get(hitsPage+"?after=2"), "别的群")
		b.Holds("all skipped", b.Get(hitsPage+"?after=1"), "来<mark>刷单</mark>啊")

		b.Holds("bad phrase", b.Post(http.StatusUnprocessableEntity, hitsPage, "id", "1", "was", "", "do", "wrong", "phrase", "黄片", "undo", "on"), "本身就是敏感词", "牛<mark>黄片</mark>很苦")
		b.Holds("wrong", b.Post(http.StatusOK, hitsPage, "id", "1", "was", "", "do", "wrong", "phrase", "牛黄片", "undo", "on"),
			"这个群里“牛黄片”放行。这次不再算违规。")
		w.update(func(tx *store.Tx) error {
			rows, err := tx.StrikeRows(tx.Context(), store.StrikeFilter{ID: 1, Limit: 1})
			if rows[0].UndoneAt == nil {
				t.Error("the strike still counts")
			}
			return err
		})
		if w.say("小王", "wrk1", "牛黄片真苦"); len(w.hits()) != 3 {
			t.Errorf("hits = %+v, want the phrase to be allowed in its group", w.hits())
		}
		if w.say("小王", "wrk2", "牛黄片真苦"); len(w.hits()) != 4 {
			t.Errorf("hits = %+v, want it to be allowed in its group only", w.hits())
		}
		b.Holds("no phrase", b.Post(http.StatusUnprocessableEntity, hitsPage, "id", "4", "was", "", "do", "allow", "phrase", ""), "写上要放行的短语")
		b.Holds("allowed", b.Post(http.StatusOK, hitsPage, "id", "4", "was", "", "do", "allow", "phrase", "牛黄片"), "所有群里“牛黄片”放行")
		if w.say("小王", "wrk2", "牛黄片真苦"); len(w.hits()) != 4 {
			t.Errorf("hits = %+v, want it to be allowed everywhere", w.hits())
		}
		w.say("小王", "wrk2", "牛 黄 片真苦")
		w.say("小王", "wrk2", "黄*片很多")
		if got := w.hits(); got[len(got)-1].Text != "黄*片很多" {
			t.Fatalf("hits = %+v, want the last to be hit", got)
		}
		last := fmt.Sprint(w.hits()[len(w.hits())-1].ID)
		b.Holds("disguised", b.Post(http.StatusOK, hitsPage, "id", last, "was", "", "do", "wrong", "phrase", "黄片很多", "undo", ""), "放行词只认原样，它仍会命中")

		b.Holds("raised", b.Post(http.StatusOK, hitsPage, "id", "2", "was", "", "do", "raise"), "“刷单”升为拦截")
		w.update(func(tx *store.Tx) error {
			words, err := tx.WordsOf(tx.Context(), []string{"刷单"}, 0)
			if words[0].Level != store.LevelBlock {
				t.Errorf("the word is %+v", words[0])
			}
			return err
		})
		b.Holds("too high", b.Post(http.StatusUnprocessableEntity, hitsPage+"?id=3", "id", "3", "was", "right", "do", "raise"), "已经是最高的级别")
		b.Holds("looked at", b.Get(hitsPage+"?done=1"), "对，已升级", "错，已放行", "小赵")
		b.Holds("changed", b.Post(http.StatusOK, hitsPage+"?id=3", "id", "3", "was", "right", "do", "wrong", "phrase", ""), "找错了")
		b.Holds("stale", b.Post(http.StatusUnprocessableEntity, hitsPage+"?id=3", "id", "3", "was", "right", "do", "right"), "刚刚有人看过这一条了")

		page = analyst.Get("/console/review/accuracy")
		analyst.Holds("accuracy", page, "1/2，50%", "0/3，0%", "最近 90 天")
	})
}

// Two who judge a hit at once: one does, and its phrase is allowed once.
func TestJudgeAtOnce(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.Store) {
		w := open(t, db)
		w.say("小王", "wrk1", "防止刷单骗局")
		verdicts := []string{"wrong", "right", "wrong", "right"}
		var ready []func()
		pages := make([]string, len(verdicts))
		for i, do := range verdicts {
			b := w.operator(fmt.Sprintf("运营%d", i), store.Staff)
			key := consoletest.FormKey(t, b.Get(hitsPage))
			ready = append(ready, func() {
				_, pages[i] = b.Do(b.Request("POST", hitsPage, url.Values{"_key": {key}, "id": {"1"}, "was": {""}, "do": {do}, "phrase": {"防止刷单"}, "undo": {"on"}}))
			})
		}
		var all sync.WaitGroup
		for _, judge := range ready {
			all.Go(judge)
		}
		all.Wait()
		late := 0
		for _, page := range pages {
			if strings.Contains(page, "刚刚有人看过这一条了") {
				late++
			}
		}
		h := w.hits()[0]
		w.update(func(tx *store.Tx) error {
			yes := true
			n, err := tx.CountWords(tx.Context(), store.WordFilter{Allow: &yes})
			if want := h.Review == store.HitWrong; late != 3 || (n == 1) != want {
				t.Errorf("%d came late, the review is %q and %d phrases are allowed", late, h.Review, n)
			}
			return err
		})
	})
}

// The list of words is looked through once a month, and who did it is kept.
func TestWordReview(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.Store) {
		w := open(t, db)
		const path = "/console/review/words"
		b := w.operator("小赵", store.Staff)
		b.Holds("before", b.Get(path), "没有要做的审查")
		w.update(func(tx *store.Tx) error {
			return tx.AddWords(tx.Context(), []store.SensitiveWord{
				{Text: "优惠", Folded: "优惠", Level: store.LevelWarn, CreatedAt: noon}, {Text: "旧词", Folded: "旧词", Level: store.LevelWarn, CreatedAt: noon.AddDate(-1, 0, 0)},
				{Text: "老词", Folded: "老词", Level: store.LevelWarn, CreatedAt: noon.AddDate(-1, 0, 0)}, {Text: "放行的", Folded: "放行的", Allow: true, CreatedAt: noon},
			})
		})
		w.say("小王", "wrk1", "老词还在用")
		for range 2 {
			w.wait(time.Date(2026, 12, 1, 1, 0, 0, 0, time.UTC).Sub(w.now())) // 09:00
			w.run("moderation.review")
		}
		if told := w.toldStaff("review.words"); len(told) != 1 || !strings.Contains(told[0], "2026-12") || !strings.Contains(told[0], "2026-12-07 前做完") {
			t.Errorf("staff were told %q", told)
		}
		b = w.operator("小赵", store.Staff)
		page := b.Get(path)
		b.Holds("open", page, "2026-12 的审查", "要做", "优惠", "是日常用语", "旧词", "“优惠”")
		if unused := page[strings.LastIndex(page, "没用到的"):strings.LastIndex(page, "常错的")]; strings.Contains(unused, "老词") || !strings.Contains(unused, "旧词") {
			t.Errorf("unused words:\n%s", unused)
		}
		w.wait(8 * 24 * time.Hour)
		b, analyst := w.operator("小赵", store.Staff), w.operator("小钱", store.Analyst)
		b.Holds("overdue", b.Get(path), "过期 2 天")
		analyst.Lacks("analyst", analyst.Get(path), "打勾</button>")
		key := consoletest.FormKey(t, b.Get(path))
		form := url.Values{"_key": {key}, "month": {"2026-12"}, "note": {"删了两个"}}
		for range 2 {
			b.Holds("done", b.Ask(http.StatusOK, "POST", path, form), "做完了，晚了 2 天", "小赵", "删了两个", "没用到 2", "太宽 1", "没有要做的审查")
		}
		form.Set("_key", "AGAIN")
		b.Holds("twice", b.Ask(http.StatusUnprocessableEntity, "POST", path, form), "刚刚有人做完了")
		form = url.Values{"_key": {"OTHER"}, "month": {"2027-01"}}
		b.Holds("no such", b.Ask(http.StatusUnprocessableEntity, "POST", path, form), "没有这个月的审查")
		w.update(func(tx *store.Tx) error {
			r, err := tx.WordReview(tx.Context(), "2026-12")
			if r.DoneBy == 0 || r.DoneAt == nil || r.Broad != 1 || r.Words != 4 {
				t.Errorf("the record is %+v", r)
			}
			return err
		})
	})
}
