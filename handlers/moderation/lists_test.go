package moderation

import (
	"archive/zip"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime/multipart"
	"net/http"
	"os"
	"slices"
	"strings"
	"testing"
	"unicode/utf16"

	"golang.org/x/text/encoding/simplifiedchinese"

	"qunbot/store"
	"qunbot/store/storetest"
	"qunbot/web/console/consoletest"
	"qunbot/wordfilter"
)

// The words that come with the program can be words, say what they are about
// and accuse hardly any harmless sentence.
func TestPresets(t *testing.T) {
	var all []store.SensitiveWord
	for _, p := range presets() {
		items, err := p.items()
		if err != nil {
			t.Fatal(err)
		}
		if (len(items) < 30) != (p.Key == "own") {
			t.Errorf("%s has %d words", p.Name, len(items))
		}
		c := compareItems(items, nil, 0)
		if len(c.Fresh) != len(items) || len(c.Fresh) != c.Total {
			t.Errorf("%s: %d of %d words are new and fine: %+v %+v", p.Name, len(c.Fresh), len(items), c.Broad, c.Twice)
		}
		for _, it := range items {
			if it.Level == "" || it.Category != p.Name || it.Allow {
				t.Errorf("%s: %+v", p.Name, it)
			}
		}
		for _, r := range p.Rules {
			if err := r.check(); err != nil || r.Name == "" {
				t.Errorf("%s: rule %q: %v", p.Name, r.Name, err)
			}
		}
		all = append(all, wordsFrom(items, store.SensitiveWord{})...)
	}
	set, err := newSet(all)
	if err != nil {
		t.Fatal(err)
	}
	harmless, flagged := 0, 0
	for _, path := range []string{"../../wordfilter/testdata/moderation-dev.jsonl", "../../wordfilter/testdata/moderation-own.jsonl"} {
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		for line := range strings.Lines(string(text)) {
			var s struct {
				Text  string
				Words []string
			}
			if err := json.Unmarshal([]byte(line), &s); err != nil {
				t.Fatal(err)
			}
			if len(s.Words) > 0 {
				continue
			}
			harmless++
			if hits := set.Base.Scan(s.Text, nil); len(hits) > 0 {
				t.Logf("%q is hit by %s", s.Text, hits[0].Word.Text)
				flagged++
			}
		}
	}
	// These sentences were made to look like such words; the engine may take
	// one in fifty for them.
	if harmless < 100 || 50*flagged > harmless {
		t.Errorf("%d of %d harmless sentences are hit", flagged, harmless)
	}
}

func shown(items []item) string {
	var list []string
	for _, it := range items {
		list = append(list, fmt.Sprintf("%d:%s|%s|%s|%t%t%t", it.Line, it.Text, it.Level, it.Category, it.Allow, it.Exact, it.Embedded))
	}
	return strings.Join(list, " ")
}

func TestReadFile(t *testing.T) {
	const text = "# 词\n加微信 拦截 广告\r\n\nwork from home，警告\n刷单小游戏 放行\n刷单"
	const want = "2:加微信|block|广告|falsefalsefalse 4:work from home|warn||falsefalsefalse 5:刷单小游戏|||truefalsefalse 6:刷单|||falsefalsefalse"
	gbk, err := simplifiedchinese.GBK.NewEncoder().String(text)
	if err != nil {
		t.Fatal(err)
	}
	wide := []byte{0xFF, 0xFE}
	for _, u := range utf16.Encode([]rune(text)) {
		wide = append(wide, byte(u), byte(u>>8))
	}
	for name, body := range map[string]string{"UTF-8": text, "with a mark": "\ufeff" + text, "GBK": gbk, "UTF-16": string(wide)} {
		items, bad, err := readFile("a.txt", []byte(body))
		if shown(items) != want || len(bad) > 0 || err != nil {
			t.Errorf("%s: %s, %v, %v; want %s", name, shown(items), bad, err, want)
		}
	}
	const table = "词,级别,分类,怎么找\n\"加,微信\",拦截,广告,\n刷单,,,只认原样，夹在别的词里也算\n'=好词,警告\n加,警告\n代购,禁止\n"
	const tableWant = "2:加,微信|block|广告|falsefalsefalse 3:刷单|||falsetruetrue 4:=好词|warn||falsefalsefalse"
	for name, body := range map[string]string{"commas": table, "tabs": strings.ReplaceAll(strings.Replace(table, "\"加,微信\"", "加,微信", 1), "\",", "\"\t")} {
		if name == "tabs" {
			body = "词\t级别\t分类\t怎么找\n加,微信\t拦截\t广告\n刷单\t\t\t只认原样，夹在别的词里也算\n'=好词\t警告\n加\t警告\n代购\t禁止\n"
		}
		items, bad, err := readFile("a.CSV", []byte(body))
		if shown(items) != tableWant || err != nil || len(bad) != 2 || bad[0].Line != 5 || !strings.Contains(bad[1].Why, "级别是“禁止”") {
			t.Errorf("%s: %s, %v, %v; want %s and two bad lines", name, shown(items), bad, err, tableWant)
		}
	}
	for name, tt := range map[string]struct{ body, want string }{
		"empty":             {"", "没有词"},
		"comments only":     {"# 词\n", "没有词"},
		"not text":          {"a\x00b", "不是文字"},
		"no known encoding": {"\xff\xff\xff", "认不出文件的编码"},
		"too large":         {strings.Repeat("a", maxFile+1), "最多 5 MB"},
		"too many":          {strings.Repeat("坏词\n", maxItems+1), "最多 100000 个词"},
		"an old workbook":   {"\xD0\xCF\x11\xE0", "旧的 xls"},
		"a broken workbook": {"PK\x03\x04nonsense", "打不开"},
		"a bomb":            {bomb(t), "解压以后超过"},
	} {
		_, _, err := readFile("a.txt", []byte(tt.body))
		if no, refused := errors.AsType[refusal](err); !refused || !strings.Contains(no.text, tt.want) {
			t.Errorf("%s: %v, want a refusal with %q", name, err, tt.want)
		}
	}
	if items, bad, err := readFile("a.txt", []byte("刷单\n坏词 禁止")); len(items) != 1 || len(bad) != 1 || !strings.Contains(bad[0].Why, "中间有空格") || err != nil {
		t.Errorf("a level that is none: %v, %v, %v, want one word and a bad line", items, bad, err)
	}
	if items, bad, err := readFile("a.csv", []byte("刷单\n\"加微信\n赌博")); len(items) != 1 || len(bad) != 1 || err != nil {
		t.Errorf("a quote that does not end: %v, %v, %v, want one word and a bad line", items, bad, err)
	}
}

// bomb returns a zip file that is small until it is unzipped.
func bomb(t testing.TB) string {
	t.Helper()
	var b bytes.Buffer
	z := zip.NewWriter(&b)
	w, err := z.Create("xl/worksheets/sheet1.xml")
	if err != nil {
		t.Fatal(err)
	}
	zeros := make([]byte, 1<<20)
	for range maxUnzipped>>20 + 1 {
		if _, err := w.Write(zeros); err != nil {
			t.Fatal(err)
		}
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

// What is written is read as it was.
func TestFilesRoundTrip(t *testing.T) {
	words := []store.SensitiveWord{
		{Text: "加微信", Level: store.LevelBlock, Category: "广告 引流"}, {Text: "work from home", Level: store.LevelRemind},
		{Text: "刷单小游戏", Allow: true, Category: "游戏"}, {Text: "=1+1", Level: store.LevelWarn, Exact: true}, {Text: "'-好词", Level: store.LevelWarn, Embedded: true, Exact: true},
		{Text: "000123456", Level: store.LevelWarn},
	}
	for _, format := range []string{"txt", "csv", "xlsx"} {
		body, err := writeFile(format, words)
		if err != nil {
			t.Fatal(err)
		}
		items, bad, err := readFile("a."+format, body)
		if err != nil || len(bad) > 0 || len(items) != len(words) {
			t.Fatalf("%s: %d items, %v, %v", format, len(items), bad, err)
		}
		for i, w := range wordsFrom(items, store.SensitiveWord{}) {
			w.Folded = ""
			if w != words[i] {
				t.Errorf("%s: %+v came back as %+v", format, words[i], w)
			}
		}
	}
}

func FuzzReadFile(f *testing.F) {
	book, err := writeFile("xlsx", []store.SensitiveWord{{Text: "加微信", Level: store.LevelBlock}})
	if err != nil {
		f.Fatal(err)
	}
	f.Add("a.xlsx", book)
	for _, s := range []string{"加微信 拦截 引流", "词,级别\n\"a\"\"b\",警告", "\ufeff刷单\t提醒", "\xff\xfe\x00", "'=a,,,\n", "# 词\n\n放行 放行"} {
		f.Add("a.txt", []byte(s))
		f.Add("a.csv", []byte(s))
	}
	f.Fuzz(func(t *testing.T, name string, body []byte) {
		items, bad, err := readFile(name, body)
		if err != nil {
			if no, refused := errors.AsType[refusal](err); !refused || no.text == "" {
				t.Fatalf("readFile = %v, want a refusal", err)
			}
			return
		}
		if len(items)+len(bad) == 0 || len(items)+len(bad) > maxItems {
			t.Errorf("%d items and %d bad lines", len(items), len(bad))
		}
		for _, it := range items {
			if fold(it.Text) == "" || len(fold(it.Text)) > 4*wordfilter.MaxWordLen {
				t.Errorf("word %q", it.Text)
			}
		}
		if _, err := newSet(wordsFrom(items, store.SensitiveWord{Level: store.LevelWarn})); err != nil {
			t.Errorf("the engine refuses them: %v", err)
		}
	})
}

func TestCompareItems(t *testing.T) {
	items, _, err := readFile("a.txt", []byte("加微信 拦截\n刷单 警告\n刷单 提醒\n积分 警告\n代购 提醒\n代购 拦截\n黄牛 警告\n黄牛票 放行\n好词 放行\n坏词 警告\n坏词 放行\n老词 警告"))
	if err != nil {
		t.Fatal(err)
	}
	stored := []store.SensitiveWord{
		{ID: 1, Folded: "加微信", Level: store.LevelBlock}, {ID: 2, Folded: "刷单", Level: store.LevelBlock}, {ID: 3, Folded: "老词新用", Allow: true},
		{ID: 4, Folded: "好词", Level: store.LevelWarn}, {ID: 5, Folded: "代购", Level: store.LevelWarn, GroupID: 7}, {ID: 6, Folded: "坏词", Level: store.LevelWarn, GroupID: 8},
	}
	c := compareItems(items, stored, 0)
	texts := func(list []told) (s string) {
		for _, t := range list {
			s += t.Text + "：" + t.Why + "；"
		}
		return s
	}
	for name, tt := range map[string]struct{ got, want string }{
		"fresh":     {shown(c.Fresh), "5:代购|block||falsefalsefalse 7:黄牛|warn||falsefalsefalse 8:黄牛票|||truefalsefalse 9:好词|||truefalsefalse 10:坏词|warn||falsefalsefalse 11:坏词|||truefalsefalse 12:老词|warn||falsefalsefalse"},
		"known":     {shown(c.Known), "1:加微信|block||falsefalsefalse"},
		"conflicts": {texts(c.Conflicts), "刷单：已经有了（#2），级别是拦截；这里是警告；"},
		"broad":     {texts(c.Broad), "积分：“积分”是日常用语，很多正常的话里都有；"},
		"twice":     {texts(c.Twice), "刷单：和第 2 行是同一个词，级别不一样，按重的算；代购：和第 5 行是同一个词，级别不一样，按重的算；"},
		"allowed":   {texts(c.Allowed), "黄牛：在放行的“黄牛票”里不会命中；坏词：同时是放行词，永远不会命中；老词：在放行的“老词新用”里不会命中；"},
	} {
		if tt.got != tt.want {
			t.Errorf("%s: %s\nwant %s", name, tt.got, tt.want)
		}
	}
	if c.Total != len(items) || c.change[0] != 2 {
		t.Errorf("total %d, changes %v", c.Total, c.change)
	}
}

// upload posts a file with a form.
func (s *site) upload(status int, path, name string, body []byte, pairs ...string) string {
	s.t.Helper()
	var b bytes.Buffer
	w := multipart.NewWriter(&b)
	fields := append([]string{"_key", consoletest.FormKey(s.t, s.Get(path))}, pairs...)
	for i := 0; i < len(fields); i += 2 {
		if err := w.WriteField(fields[i], fields[i+1]); err != nil {
			s.t.Fatal(err)
		}
	}
	part, err := w.CreateFormFile("file", name)
	if err != nil {
		s.t.Fatal(err)
	}
	if _, err := part.Write(body); err != nil {
		s.t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		s.t.Fatal(err)
	}
	r := s.Request(http.MethodPost, path, nil)
	r.Body, r.ContentLength = io.NopCloser(&b), int64(b.Len())
	r.Header.Set("Content-Type", w.FormDataContentType())
	got, page := s.Do(r)
	if got.StatusCode != status {
		s.t.Fatalf("POST %s = %s, want %d\n%s", path, got.Status, status, page)
	}
	return page
}

func TestConsoleImport(t *testing.T) {
	s := open(t, storetest.Open(t), store.Staff)
	s.handle(s.message("hello", "小王", "wrk1", "帮助")) // there is a group now
	s.add(0, "刷单 拦截")
	s.Holds("the form", s.Get("/console/moderation/import"), `type="file"`, "现在有 1 个词")
	s.Holds("nothing", s.upload(422, "/console/moderation/import", "", nil, "level", "warn", "group", "0", "text", " "), "请选一个文件")
	s.Holds("no words", s.upload(422, "/console/moderation/import", "a.txt", []byte("# 词"), "level", "warn", "group", "0"), "里面没有词")
	s.Holds("no such group", s.upload(422, "/console/moderation/import", "a.txt", []byte("词语"), "level", "warn", "group", "9"), "没有这个群")
	s.Holds("too large", s.upload(413, "/console/moderation/import", "a.txt", make([]byte, maxFile+1), "level", "warn", "group", "0"), "一次最多提交 5 MB")
	s.Holds("much too large", s.upload(413, "/console/moderation/import", "a.txt", make([]byte, 2*maxFile), "level", "warn", "group", "0"), "内容太大了")

	book, err := writeFile("xlsx", []store.SensitiveWord{{Text: "加<微>信", Level: store.LevelBlock, Category: "引流"}, {Text: "刷单", Level: store.LevelWarn},
		{Text: "积分", Level: store.LevelWarn}, {Text: "刷", Level: store.LevelWarn}, {Text: "刷单小游戏", Allow: true}})
	if err != nil {
		t.Fatal(err)
	}
	page := s.upload(200, "/console/moderation/import", "词库.xlsx", book, "level", "warn", "group", "0")
	s.Holds("preview", page, "词库.xlsx · 4 个词", "还没有保存", "新词 2 个", "加<微>信", "太宽的词 1 个", "“积分”是日常用语", "级别不一样的 1 个",
		"已经有了（#1），级别是拦截；这里是警告", "在放行的“刷单小游戏”里不会命中", "不能用的 1 行", "第 5 行", `data-test="confirm"`)
	if got := s.handle(s.message("1", "小王", "wrk1", "加<微>信")); got.Outcome == store.Stopped {
		t.Errorf("a word that is not saved stopped %+v", got)
	}
	page = s.Post(200, "/console/moderation/imports/1", "do", "save", "broad", "1", "change", "1")
	s.Holds("saved", page, "已添加 3 个词，下一句话起生效。改了 1 个词的级别。", "共 4 个", "积分", "刷单小游戏")
	s.Ask(404, "GET", "/console/moderation/imports/1", nil)
	if got := s.handle(s.message("2", "小王", "wrk1", "加微信<b>")); got.Outcome != store.Stopped {
		t.Errorf("a saved word let pass %+v", got)
	}
	page = s.Post(200, "/console/moderation/import", "level", "block", "group", "1", "text", "剧透\n刷单")
	s.Holds("pasted, for a group", page, "粘贴的词.txt", "未命名群 wrk1", "新词 2 个")
	s.Holds("thrown away", s.Post(200, "/console/moderation/imports/2", "do", "drop"), "已放弃", "共 4 个")
	s.Ask(404, "POST", "/console/moderation/imports/2", map[string][]string{"_key": {"AAAA"}})

	for _, format := range []string{"txt", "csv", "xlsx"} {
		items, bad, err := readFile("a."+format, []byte(s.Get("/console/moderation/export?format="+format)))
		if err != nil || len(bad) > 0 || len(items) != 4 || items[0].Text != "刷单" || items[0].Level != store.LevelWarn {
			t.Errorf("exported %s: %s, %v, %v", format, shown(items), bad, err)
		}
	}
	s.Ask(404, "GET", "/console/moderation/export?format=exe", nil)
}

func TestConsolePresets(t *testing.T) {
	s := open(t, storetest.Open(t), store.Manager)
	s.add(0, "刷单 提醒", "好评返现 警告")
	page := s.Get("/console/moderation/presets")
	s.Holds("presets", page, "广告引流", "诈骗刷单", "已有 2 个", "辱骂", "博彩", "商场自己的词", `data-test="preset-own"`)
	total := 0
	for _, p := range presets() {
		items, err := p.items()
		if err != nil {
			t.Fatal(err)
		}
		if len(items) == 0 {
			continue
		}
		path := "/console/moderation/presets/" + p.Key
		fresh := len(items)
		page := s.Get(path)
		if p.Key == "fraud" {
			fresh -= 2
			s.Holds("what is there", page, "1 个词已经有了", "“刷单”已经有了（#1），级别是提醒；这里是拦截，不会改")
		}
		s.Holds(p.Key, page, fmt.Sprintf("会添加 %d 个词", fresh), fmt.Sprintf("会添加 %d 条规则", len(p.Rules)), p.Rules[0].Name, `data-test="apply"`)
		page = s.Post(200, path)
		s.Holds(p.Key+" applied", page, fmt.Sprintf("已添加 %d 个词，%d 条规则", fresh, len(p.Rules)), "已经有了")
		s.Lacks(p.Key+" applied", page, `data-test="apply"`)
		total += len(p.Rules)
	}
	s.Ask(404, "GET", "/console/moderation/presets/nonsense", nil)
	s.Holds("the own list", s.Get("/console/moderation/new?category=商场自己的词"), `value="商场自己的词"`)
	s.update(func(tx *store.Tx) error {
		rules, err := tx.ModerationRules(tx.Context())
		dry := slices.DeleteFunc(rules, func(r store.ModerationRule) bool { return r.State != store.RuleDry })
		if len(dry) != total {
			t.Errorf("%d rules on trial, want %d", len(dry), total)
		}
		return err
	})
	// The words work at once, by their levels; the rules only note.
	if got := s.handle(s.message("1", "小王", "wrk1", "来北京赛车，带你中奖")); got.Outcome != store.Stopped || got.Rule != "moderation 敏感词：拦截" {
		t.Errorf("a word of a preset: %+v", got)
	}
	s.update(func(tx *store.Tx) error {
		yes := true
		n, err := tx.CountHits(tx.Context(), store.HitFilter{Dry: &yes})
		if n != 1 {
			t.Errorf("%d hits on trial, want that of the preset's rule", n)
		}
		return err
	})
}
