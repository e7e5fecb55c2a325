package news

import (
	"flag"
	"fmt"
	"os"
	"strings"
	"testing"

	"qunbot/store"
)

var update = flag.Bool("update", false, "rewrite the golden files in testdata")

func item(text, link string) store.NewsItem {
	return store.NewsItem{Text: text, Link: link, TextKey: textKey(text), LinkKey: linkKey(link)}
}

func TestDigestGolden(t *testing.T) {
	items := []store.NewsItem{
		item("周末一楼中庭亲子手工，扫码报名", "https://mall.example.com/kids"),
		item("今晚 20:00 抽奖 🎁", ""),
		item("新店开业，全场 8 折", "https://mall.example.com/new?id=3"),
	}
	var b strings.Builder
	for _, limit := range []int{2048, 160, 40} {
		text, n := digest("2026-11-22", items, 0, limit)
		fmt.Fprintf(&b, "== limit %d: %d items, %d bytes\n%s\n", limit, n, len(text), text)
	}
	const path = "testdata/digest.golden"
	if *update {
		if err := os.WriteFile(path, []byte(b.String()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if b.String() != string(want) {
		t.Errorf("digest =\n%s\nwant\n%s", b.String(), want)
	}
}

// The digest uses its limit to the byte: what has room stands in it, whole.
func TestDigestFits(t *testing.T) {
	var items []store.NewsItem
	for i := range 120 {
		items = append(items, item(strings.Repeat("字", 1+i*7%90), strings.Repeat("x", i%40)))
	}
	all, _ := digest("2026-11-22", items, 0, 1<<20)
	if text, n := digest("2026-11-22", items, 0, len(all)); n != len(items) || text != all {
		t.Errorf("digest with room for all to the byte holds %d, want %d", n, len(items))
	}
	if _, n := digest("2026-11-22", items, 0, len(all)-1); n >= len(items) {
		t.Error("digest with one byte less holds everything")
	}
	for limit := 0; limit < 6000; limit += 11 {
		text, n := digest("2026-11-22", items, 2, limit)
		if len(text) > limit {
			t.Fatalf("limit %d: %d bytes", limit, len(text))
		}
		if n == 0 {
			continue
		}
		if want := fmt.Sprintf("还有 %d 条", len(items)-n+2); !strings.HasSuffix(text, want) {
			t.Fatalf("limit %d: %q does not end with %q", limit, text[len(text)-40:], want)
		}
		if bigger, m := digest("2026-11-22", items[:n+1], len(items)-n-1+2, 1<<20); m == n+1 && len(bigger) <= limit {
			t.Fatalf("limit %d: %d items, but %d would have had room in %d bytes", limit, n, m, len(bigger))
		}
	}
}

// One item of any kind always has room.
func TestLongestItemFits(t *testing.T) {
	for name, i := range map[string]store.NewsItem{
		"written": item(strings.Repeat("😀", maxWritten), strings.Repeat("x", maxLink)),
		"read":    item(strings.Repeat("😀", maxTitle), strings.Repeat("x", maxLink)),
	} {
		if _, n := digest("2026-11-22", []store.NewsItem{i}, 1_000_000, maxPost); n != 1 {
			t.Errorf("%s: there is no room for the longest item", name)
		}
	}
}

func TestDistinct(t *testing.T) {
	told := []store.NewsItem{item("昨天说过", "")}
	got := distinct([]store.NewsItem{
		item("一", "https://a.example/1"), item("一！", "https://a.example/2"), item("二", "http://a.example/1/"),
		item("三", ""), item("四", ""), item("昨天，说过", "https://a.example/5"),
	}, told)
	var texts []string
	for _, i := range got {
		texts = append(texts, i.Text)
	}
	if want := "一 三 四"; strings.Join(texts, " ") != want {
		t.Errorf("distinct = %q, want %s", texts, want)
	}
}
