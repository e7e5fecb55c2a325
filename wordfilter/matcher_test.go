package wordfilter

import (
	"slices"
	"strings"
	"testing"
)

func matcher(t testing.TB, opts Options, texts ...string) *Matcher {
	t.Helper()
	var words []Word
	for _, text := range texts {
		words = append(words, Word{Text: text})
	}
	m, err := New(words, opts)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// found returns what a scan finds, as "word=spelling" joined by blanks.
func found(m *Matcher, text string) string {
	var all []string
	for _, h := range m.Scan(text, nil) {
		all = append(all, h.Word.Text+"="+text[h.Start:h.End])
	}
	return strings.Join(all, " ")
}

func TestScan(t *testing.T) {
	m := matcher(t, Options{}, "刷单", "加微信", "加QQ", "A货", "时时彩", "天天赚", "骗子", "王八蛋", "垃圾店", "代开发票", "资金盘", "下注", "白痴", "赚",
		"黄牛票", "扫码领红包", "无抵押", "涨粉")
	tests := []struct{ name, text, want string }{
		{"as written", "来刷单吧", "刷单=刷单"},
		{"nothing", "今天天气不错", ""},
		{"empty", "", ""},
		{"traditional", "來刷單吧", "刷单=刷單"},
		{"full width", "ａ貨", "A货=ａ貨"},
		{"circled", "Ⓐ货", "A货=Ⓐ货"},
		{"mathematical", "𝐀货", "A货=𝐀货"},
		{"Greek letter", "α货", "A货=α货"},
		{"zero width", "刷\u200b\ufeff单", "刷单=刷\u200b\ufeff单"},
		{"two words", "刷单和资金盘", "刷单=刷单 资金盘=资金盘"},
		{"twice", "刷单，刷单", "刷单=刷单 刷单=刷单"},
		{"one in the other", "天天赚", "天天赚=天天赚 赚=赚"},

		{"repeated", "刷刷刷单单", "刷单=刷刷刷单单"},
		{"repeated less than in the word", "时彩", ""},
		{"repeated more than in the word", "时时时彩", "时时彩=时时时彩"},
		{"repeated around an emoji", "时🔥时时彩", "时时彩=时🔥时时彩"},

		{"symbol", "刷*单", "刷单=刷*单"},
		{"three symbols", "刷***单", "刷单=刷***单"},
		{"four symbols", "刷****单", ""},
		{"emoji with joiners", "刷👨‍👩‍👧单", "刷单=刷👨‍👩‍👧单"},
		{"emoji with skin", "刷👍🏻单", "刷单=刷👍🏻单"},
		{"text emoji", "刷[微笑]单", "刷单=刷[微笑]单"},
		{"other brackets", "刷[不是]单", ""},
		{"isolated by blanks", "做 刷 单 的", "刷单=刷 单"},
		{"two ordinary words", "牙刷 单买", ""},
		{"three with blanks", "又一个资 金 盘", "资金盘=资 金 盘"},
		{"blank in one place", "资金 盘点", ""},
		{"comma", "山下，注意", ""},
		{"comma between all", "资、金、盘", "资金盘=资、金、盘"},
		{"different marks between all", "资，金。盘", ""},
		{"ordinary words around a wave", "到楼下～注意台阶", ""},

		{"letters for one character", "刷dan的", "刷单=刷dan"},
		{"letters for all", "结果是shuadan", "刷单=shuadan"},
		{"tone marks", "刷dān", "刷单=刷dān"},
		{"part of a longer Latin word", "刷dance", ""},
		{"in an address", "https://www.shuadan.com/x", ""},
		{"in a mail address", "shuadan@example.com", ""},
		{"in a mention", "@shuadan 你好", ""},
		{"initials", "什么LJ店", "垃圾店=LJ店"},
		{"digit", "王8蛋", "王八蛋=王8蛋"},
		{"digit in a number", "王88蛋", ""},
		{"other sound", "来刷旦", "刷单=刷旦"},
		{"two other sounds of two", "涮丹", ""},
		{"everyday word of that sound", "片子拍好了", ""},
		{"parts", "都是马扁子", "骗子=马扁子"},
		{"rare look-alike", "都是骗孑", "骗子=骗孑"},

		{"alias", "加VX", "加微信=加VX"},
		{"plus sign", "详情+vx", "加微信=+vx"},
		{"plus sign emoji", "➕ 微信", "加微信=➕ 微信"},
		{"bare letter before a number", "加V：12345", "加微信=加V"},
		{"bare letter of another word", "加V领T恤", ""},
		{"number behind", "加QQ12345", "加QQ=加QQ"},
		{"letters behind", "加QQX", ""},

		{"emoji for a character", "黄🐂票", "黄牛票=黄🐂票"},
		{"emoji for two characters", "扫码领🧧", "扫码领红包=扫码领🧧"},
		{"emoji between, that has a meaning", "刷🔥单", "刷单=刷🔥单"},
		{"emoji of another word", "一盘🥚", ""},
		{"stroke", "刷丶单", "刷单=刷丶单"},
		{"letters apart", "j i a wei xin", "加微信=j i a wei xin"},
		{"letters in no order", "x i n jia wei", ""},
		{"digit for its sound", "5抵押", "无抵押=5抵押"},
		{"digit and letters", "wang8蛋", "王八蛋=wang8蛋"},
		{"first letters of repeated characters", "SS彩", "时时彩=SS彩"},
		{"one of repeated characters by sound", "十时彩", "时时彩=十时彩"},
		{"second reading", "长粉的", "涨粉=长粉"},
		{"letter repeated", "AAA货", "A货=AAA货"},
		{"letter repeated in a word", "AAA货架", ""},
		{"name in front", "薇信加我", "加微信=薇信加"},
		{"name in front of another word", "VX加载", ""},
		{"other sound before a name", "嘉VX", "加微信=嘉VX"},
		{"other word before a name", "到家VX", ""},
		{"sound of a look-alike", "是VX还是QQ", ""},
		{"name that is a word", "加卫星", "加微信=加卫星"},
		{"only the word", "加卫星电视", ""},

		{"inside other words", "一把牙刷单买", ""},
		{"Latin edge", "DNA货", ""},
		{"sweets", "芋圆加QQ糖", ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got := found(m, tt.text); got != tt.want {
				t.Errorf("Scan(%q) found %q, want %q", tt.text, got, tt.want)
			}
		})
	}
}

func TestHow(t *testing.T) {
	m := matcher(t, Options{}, "刷单", "王八蛋", "垃圾店", "骗子", "加微信")
	tests := []struct {
		text string
		want Disguise
	}{
		{"刷單", 0},
		{"刷刷刷单", Repeated},
		{"刷_单", Spaced},
		{"刷~~dan", Spaced | Pinyin},
		{"加VX", Alias},
		{"王8蛋", Digit},
		{"LJ店", Initials},
		{"马扁子", Split},
		{"刷旦", Homophone},
		{"王8🥚", Digit | Pictured},
	}
	for _, tt := range tests {
		hits := m.Scan(tt.text, nil)
		if len(hits) != 1 || hits[0].How != tt.want {
			t.Errorf("Scan(%q) = %+v, want one hit, disguised as %v", tt.text, hits, tt.want)
		}
	}
}

func TestDisguiseString(t *testing.T) {
	for d, want := range map[Disguise]string{0: "原文", Repeated: "重复", Spaced | Pinyin: "夹杂、拼音"} {
		if got := d.String(); got != want {
			t.Errorf("Disguise(%d).String() = %q, want %q", uint16(d), got, want)
		}
	}
}

func TestScanAppends(t *testing.T) {
	m := matcher(t, Options{}, "刷单")
	hits := m.Scan("刷单", []Hit{{Word: Word{Text: "before"}}})
	if len(hits) != 2 || hits[0].Word.Text != "before" || hits[1].Word.Text != "刷单" {
		t.Errorf("Scan did not append: %+v", hits)
	}
}

func TestAllow(t *testing.T) {
	m := matcher(t, Options{Allow: []string{"三黄片", "路口交通"}}, "黄片", "路口")
	tests := []struct{ name, text, want string }{
		{"allowed", "牛黄解毒三黄片", ""},
		{"not the phrase", "看黄片", "黄片=黄片"},
		{"another phrase", "路口交通堵塞", ""},
		{"both", "三黄片，黄片", "黄片=黄片"},
		{"disguised", "三黄*片", "黄片=黄*片"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got := found(m, tt.text); got != tt.want {
				t.Errorf("Scan(%q) found %q, want %q", tt.text, got, tt.want)
			}
		})
	}
}

func TestWordFlags(t *testing.T) {
	m, err := New([]Word{{Text: "刷单", Exact: true}, {Text: "黄牛", Embedded: true, Category: "票务", Level: Block}}, Options{})
	if err != nil {
		t.Fatal(err)
	}
	for _, text := range []string{"刷*单", "刷刷单", "刷dan", "刷旦"} {
		if got := found(m, text); got != "" {
			t.Errorf("Scan(%q) found %q, want nothing but the exact word", text, got)
		}
	}
	hits := m.Scan("刷單，黄牛肉", nil)
	if len(hits) != 2 || hits[1].Word.Category != "票务" || hits[1].Word.Level != Block {
		t.Errorf("Scan = %+v, want the exact word and the embedded one as given", hits)
	}
}

func TestNewReportsEveryBadWord(t *testing.T) {
	_, err := New([]Word{{Text: "好"}, {Text: ""}, {Text: "***"}, {Text: "a\xff"}, {Text: strings.Repeat("长", MaxWordLen+1)}},
		Options{Allow: []string{" "}})
	if err == nil {
		t.Fatal("New accepted bad words")
	}
	for _, want := range []string{"word 2", `word 3: "***" has no letter`, "word 4", "UTF-8", "word 5", "longer than 64", "allowed phrase 1"} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("error %q does not contain %q", err, want)
		}
	}
	if strings.Contains(err.Error(), "word 1:") {
		t.Errorf("error %q names a good word", err)
	}
}

func TestOverlay(t *testing.T) {
	base := matcher(t, Options{}, "刷单", "骗子")
	over, err := base.Overlay([]Word{{Text: "秒杀群"}}, Options{
		Allow: []string{"骗子酒馆"},
		Skip:  func(w Word) bool { return w.Text == "刷单" },
	})
	if err != nil {
		t.Fatal(err)
	}
	const text = "刷单，骗子，骗子酒馆，秒杀群"
	if got, want := found(base, text), "刷单=刷单 骗子=骗子 骗子=骗子"; got != want {
		t.Errorf("base found %q, want %q", got, want)
	}
	if got, want := found(over, text), "骗子=骗子 秒杀群=秒杀群"; got != want {
		t.Errorf("overlay found %q, want %q", got, want)
	}
	top, err := over.Overlay(nil, Options{Skip: func(w Word) bool { return w.Text == "秒杀群" }})
	if err != nil {
		t.Fatal(err)
	}
	if got, want := found(top, text), "骗子=骗子"; got != want {
		t.Errorf("overlay on the overlay found %q, want %q", got, want)
	}
}

func TestNilMatcher(t *testing.T) {
	if hits := (*Matcher)(nil).Scan("刷单", nil); hits != nil {
		t.Errorf("nil Matcher found %+v", hits)
	}
}

func TestParseWords(t *testing.T) {
	words, err := ParseWords(strings.NewReader("\ufeff# 词表\n刷单\n\n  加QQ  # 联系方式\r\n刷单\n"))
	if err != nil {
		t.Fatal(err)
	}
	if want := []Word{{Text: "刷单"}, {Text: "加QQ"}}; !slices.Equal(words, want) {
		t.Errorf("ParseWords = %+v, want %+v", words, want)
	}
	words, err = ParseWords(strings.NewReader("好\n---\n行\n\xff\n"))
	if err == nil || !strings.Contains(err.Error(), "line 2") || !strings.Contains(err.Error(), "line 4") {
		t.Errorf("ParseWords error = %v, want lines 2 and 4", err)
	}
	if len(words) != 2 {
		t.Errorf("ParseWords = %+v, want the two good words", words)
	}
}
