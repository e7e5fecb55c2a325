package news

import (
	"fmt"
	"net/url"
	"strings"
	"testing"
	"time"
	"unicode"
	"unicode/utf8"
)

var now = time.Date(2026, 11, 22, 1, 0, 0, 0, time.UTC) // 09:00 in Asia/Shanghai

var base, _ = url.Parse("https://mall.example.com/news/feed.xml")

const rss = `<?xml version="1.0" encoding="UTF-8"?>
<rss version="2.0"><channel><title>南湖商场</title>
<item><title>&lt;b&gt;周末&amp;amp;平日&lt;/b&gt; 满 100 减 20，1 &lt; 2</title><link>/sale?utm_source=rss&amp;id=1</link><guid>a</guid><pubDate>Sun, 22 Nov 2026 08:00:00 +0800</pubDate></item>
<item><title><![CDATA[新店开业<script>alert(1)</script>]]></title><link>javascript:alert(1)</link><guid>b</guid><pubDate>Sat, 21 Nov 2026 08:00:00 +0800</pubDate></item>
<item><title>三天以前</title><link>https://mall.example.com/old</link><pubDate>Wed, 18 Nov 2026 08:00:00 +0800</pubDate></item>
<item><title>来自未来</title><link>https://mall.example.com/future</link><pubDate>Tue, 01 Jan 2030 08:00:00 +0800</pubDate></item>
<item><title></title><description>&lt;p&gt;没有标题，只有简介&lt;/p&gt;</description></item>
<item><title> </title></item>
</channel></rss>`

func TestParseFeed(t *testing.T) {
	list, err := parseFeed([]byte(rss), base, now)
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, e := range list {
		got = append(got, fmt.Sprintf("%s|%s|%s|%s", e.ID, e.Title, e.Link, e.Published.UTC().Format("01-02 15:04")))
	}
	want := []string{
		"https://mall.example.com/future|来自未来|https://mall.example.com/future|11-22 01:00",
		"没有标题，只有简介|没有标题，只有简介||11-22 01:00",
		"a|周末&平日 满 100 减 20，1 < 2|https://mall.example.com/sale?utm_source=rss&id=1|11-22 00:00",
		"b|新店开业 alert(1)||11-21 00:00",
	}
	if strings.Join(got, "\n") != strings.Join(want, "\n") {
		t.Errorf("parseFeed =\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

func TestParseFeedKinds(t *testing.T) {
	gbk := "<?xml version=\"1.0\" encoding=\"GBK\"?><rss version=\"2.0\"><channel><item><title>\xc4\xcf\xba\xfe</title></item></channel></rss>"
	atom := `<feed xmlns="http://www.w3.org/2005/Atom"><entry><id>1</id><title type="html">&lt;i&gt;南湖&lt;/i&gt;</title><link href="https://a.example/1"/><updated>2026-11-22T00:00:00Z</updated></entry></feed>`
	for name, body := range map[string]string{
		"GBK": gbk, "Atom": atom, "JSON": `{"version":"https://jsonfeed.org/version/1.1","items":[{"id":"1","title":"南湖"}]}`,
		"namespaces": `<rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#" xmlns="http://purl.org/rss/1.0/"><item><title>南湖</title></item></rdf:RDF>`,
	} {
		list, err := parseFeed([]byte(body), base, now)
		if err != nil || len(list) != 1 || list[0].Title != "南湖" {
			t.Errorf("%s: parseFeed = %+v, %v, want 南湖", name, list, err)
		}
	}
}

func TestParseFeedRefuses(t *testing.T) {
	var many strings.Builder
	many.WriteString(`<rss version="2.0"><channel>`)
	for range 80 {
		many.WriteString(`<item><title>` + strings.Repeat("长", 5000) + `</title></item>`)
	}
	many.WriteString(`</channel></rss>`)
	list, err := parseFeed([]byte(many.String()), base, now)
	if err != nil || len(list) != maxEntries || utf8.RuneCountInString(list[0].Title) != maxTitle || !strings.HasSuffix(list[0].Title, "…") {
		t.Errorf("parseFeed of 80 long entries = %d of them, %v, want %d cut ones", len(list), err, maxEntries)
	}
	deep := strings.Repeat("<x:a xmlns:x='urn:x'>", 50_000)
	for name, body := range map[string]string{
		"empty": "", "text": "hello", "HTML": "<html><body>Not found</body></html>", "half": rss[:len(rss)/2],
		"UTF-16": "<\x00r\x00s\x00s\x00", "broken JSON": "{", "nothing": "<?xml version='1.0'?>",
		"deep":            `<rss version="2.0"><channel><item><title>a</title>` + deep,
		"deep in a quote": `<rss version="2.0"><channel><item><title>a</title>` + strings.Repeat(`<x:a b="/>">`, 50_000),
		"many pieces":     `<rss version="2.0"><channel><item><title>` + strings.Repeat("<![CDATA[x]]>", maxTokens),
		"unknown charset": `<?xml version="1.0" encoding="klingon"?><rss><channel/></rss>`,
	} {
		if list, err := parseFeed([]byte(body), base, now); err == nil {
			t.Errorf("%s: parseFeed = %+v, nil, want an error", name, list)
		}
	}
}

func TestCleanText(t *testing.T) {
	for text, want := range map[string]string{
		" 一\n二\t三 ":                 "一 二 三",
		"<b>粗</b>体<br/>行":           "粗体 行",
		"&lt;b&gt;粗&lt;/b&gt;":      "粗",
		"1 < 2 > 0":                 "1 < 2 > 0",
		"a\u202Eb\u200Bc\x00\x1b":   "abc",
		"\uFDD042\uFDD1 是谁":         "42 是谁",
		"&#xFDD0;42&#xFDD1;":        "42",
		"坏字节\xff":                   "坏字节",
		"👨‍👩‍👧 一家":                  "👨‍👩‍👧 一家",
		"<!-- 说明 <b> -->看不见的没有":     "看不见的没有",
		"一二三四五六七八九十":                "一二三四五六七八九十",
		"一二三四五六七八九十一":               "一二三四五六七八九…",
		"":                          "",
		"<img src=x onerror=y>图<br": "图<br",
	} {
		limit := 10
		if strings.ContainsAny(text, "<👨") {
			limit = 40
		}
		if got := cleanText(text, limit); got != want {
			t.Errorf("cleanText(%q) = %q, want %q", text, got, want)
		}
	}
}

func TestCleanLink(t *testing.T) {
	for link, want := range map[string]string{
		"https://a.example/1":       "https://a.example/1",
		"../x?a=1":                  "https://mall.example.com/x?a=1",
		"//b.example/x":             "https://b.example/x",
		"javascript:alert(1)":       "",
		"data:text/html,x":          "",
		"file:///etc/passwd":        "",
		"http://a:b@c.example/":     "",
		"":                          "",
		"http://[::1":               "",
		"https://a.example/中 文":     "https://a.example/%E4%B8%AD%20%E6%96%87",
		"https://a.example/\u202Ex": "https://a.example/x",
		"https://a.example/" + strings.Repeat("x", maxLink):    "",
		"https://a.example/" + strings.Repeat("x", maxLink-18): "https://a.example/" + strings.Repeat("x", maxLink-18),
	} {
		if got := cleanLink(link, base); got != want {
			t.Errorf("cleanLink(%q) = %q, want %q", link, got, want)
		}
	}
	if got := cleanLink("/x", nil); got != "" {
		t.Errorf("cleanLink of half an address = %q, want nothing", got)
	}
}

func TestKeys(t *testing.T) {
	for _, same := range [][2]string{
		{"http://a.example/x", "https://A.example/x/"},
		{"https://a.example/x?b=2&a=1", "https://a.example/x?utm_source=rss&a=1&b=2#top"},
	} {
		if linkKey(same[0]) != linkKey(same[1]) {
			t.Errorf("links %q have different keys", same)
		}
	}
	if linkKey("https://a.example/x?id=1") == linkKey("https://a.example/x?id=2") || linkKey("") != "" {
		t.Error("link keys: other parameters must differ, no link has none")
	}
	if textKey("周末，满１００减20！") != textKey("周末 满100减20") || textKey("🎁") == textKey("🎉") || textKey("A店") != textKey("ａ店") {
		t.Error("text keys: marks, width and case must not count, emoji must")
	}
}

func FuzzParseFeed(f *testing.F) {
	f.Add([]byte(rss))
	f.Add([]byte(`<feed xmlns="http://www.w3.org/2005/Atom"><entry><title>a</title><link href="x"/></entry></feed>`))
	f.Add([]byte(`{"version":"1.1","items":[{"id":"1","title":"&#xFDD0;1"}]}`))
	f.Add([]byte(`<rss><channel><item><title><![CDATA[<b>&amp;lt;]]></title><link>//x</link>`))
	f.Fuzz(func(t *testing.T, body []byte) {
		list, err := parseFeed(body, base, now)
		if err != nil && list != nil {
			t.Errorf("entries with an error: %v", err)
		}
		for _, e := range list {
			if e.Title == "" || e.ID == "" || utf8.RuneCountInString(e.Title) > maxTitle || !utf8.ValidString(e.Title) ||
				strings.ContainsFunc(e.Title, func(r rune) bool { return unicode.IsControl(r) || r >= 0xFDD0 && r <= 0xFDEF || r == 0x202E }) {
				t.Errorf("title %q", e.Title)
			}
			if u, err := url.Parse(e.Link); e.Link != "" && (err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" || len(e.Link) > maxLink) {
				t.Errorf("link %q, %v", e.Link, err)
			}
			if e.Published.After(now) {
				t.Errorf("published %s, after now", e.Published)
			}
		}
	})
}

func FuzzCleanText(f *testing.F) {
	f.Add("<b>&amp;lt;i&gt;x")
	f.Add("\uFDD01\uFDD1")
	f.Fuzz(func(t *testing.T, s string) {
		got := cleanText(s, 30)
		if utf8.RuneCountInString(got) > 30 || !utf8.ValidString(got) || strings.ContainsAny(got, "\n\r\t\uFDD0\uFDD1\u202E") || got != strings.TrimSpace(got) {
			t.Errorf("cleanText(%q) = %q", s, got)
		}
	})
}
