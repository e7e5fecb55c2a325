package moderation

import (
	"archive/zip"
	"bytes"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"slices"
	"strings"
	"unicode"
	"unicode/utf16"
	"unicode/utf8"

	"github.com/xuri/excelize/v2"
	"golang.org/x/text/encoding/simplifiedchinese"

	"qunbot/store"
)

const (
	maxFile     = 5 << 20   // bytes of a file of words
	maxUnzipped = 64 << 20  // bytes of a workbook's parts
	maxItems    = 100_000   // words of a file
	maxCell     = 4 * 100   // bytes of a cell that is looked at: longer than any word or category
	maxColumns  = 16        // cells of a row that are looked at
	guarded     = "=+-@\t'" // what a word of a CSV may not begin with, because spreadsheets would take it for a formula
)

// An item is a word of a file, as it is kept until it is saved.
type item struct {
	Line     int             `json:"n"` // of the file
	Text     string          `json:"w"`
	Level    store.WordLevel `json:"l,omitempty"` // empty: not given
	Allow    bool            `json:"a,omitempty"`
	Category string          `json:"c,omitempty"`
	Exact    bool            `json:"x,omitempty"`
	Embedded bool            `json:"e,omitempty"`
}

// A badLine is a line of a file that holds no word.
type badLine struct {
	Line int    `json:"n"`
	Why  string `json:"w"`
}

// readFile reads the words of a txt, CSV or XLSX file. It refuses what is no
// such file, and more than may be; lines that cannot be words are returned.
func readFile(name string, body []byte) (items []item, bad []badLine, err error) {
	if len(body) > maxFile {
		return nil, nil, refuse("file", "文件有 %.1f MB，最多 %d MB。请分成几个。", float64(len(body))/(1<<20), maxFile>>20)
	}
	if bytes.HasPrefix(body, []byte("PK\x03\x04")) {
		return readWorkbook(body)
	}
	if bytes.HasPrefix(body, []byte{0xD0, 0xCF, 0x11, 0xE0}) {
		return nil, nil, refuse("file", "这是旧的 xls 文件，读不了。请在表格软件里另存为 xlsx。")
	}
	text, err := decode(body)
	if err != nil {
		return nil, nil, err
	}
	if strings.EqualFold(filepath.Ext(name), ".csv") {
		return readCSV(text)
	}
	return readText(text)
}

// decode returns a file's text: UTF-8, UTF-16 with a byte order mark, or
// GB18030, which GBK and GB2312 are part of.
func decode(body []byte) (string, error) {
	switch {
	case bytes.HasPrefix(body, []byte{0xEF, 0xBB, 0xBF}):
		body = body[3:]
	case bytes.HasPrefix(body, []byte{0xFF, 0xFE}), bytes.HasPrefix(body, []byte{0xFE, 0xFF}):
		units := make([]uint16, (len(body)-2)/2)
		for i := range units {
			a, b := uint16(body[2+2*i]), uint16(body[3+2*i])
			if body[0] == 0xFF {
				a, b = b, a
			}
			units[i] = a<<8 | b
		}
		return string(utf16.Decode(units)), nil
	}
	if utf8.Valid(body) {
		if bytes.IndexByte(body, 0) >= 0 {
			return "", refuse("file", "这不是文字文件。请用 txt、csv 或 xlsx。")
		}
		return string(body), nil
	}
	text, err := simplifiedchinese.GB18030.NewDecoder().Bytes(body)
	if err != nil || bytes.ContainsRune(text, utf8.RuneError) || bytes.IndexByte(text, 0) >= 0 {
		return "", refuse("file", "认不出文件的编码。请另存为 UTF-8 的 txt 或 csv，或者 xlsx。")
	}
	return string(text), nil
}

// A listing gathers the rows of a file.
type listing struct {
	items []item
	bad   []badLine
	began bool // a row was read that is not empty
}

// add reads one row: word, level, category, how it is looked for.
func (l *listing) add(line int, cells []string) error {
	for i := range cells {
		cells[i] = strings.TrimFunc(cells[i], blank)
	}
	if len(cells) == 0 || cells[0] == "" || strings.HasPrefix(cells[0], "#") {
		return nil
	}
	first := !l.began
	l.began = true
	if first && heading(cells[0]) {
		return nil
	}
	if len(l.items)+len(l.bad) >= maxItems {
		return refuse("file", "一个文件最多 %d 个词。请分成几个。", maxItems)
	}
	it, err := itemOf(cells)
	if err != nil {
		l.bad = append(l.bad, badLine{line, err.Error()})
		return nil
	}
	it.Line = line
	l.items = append(l.items, it)
	return nil
}

func (l *listing) done() ([]item, []badLine, error) {
	if len(l.items)+len(l.bad) == 0 {
		return nil, nil, refuse("file", "里面没有词。一行一个，后面可以写级别和分类。")
	}
	return l.items, l.bad, nil
}

func blank(r rune) bool { return unicode.IsSpace(r) || r == '\ufeff' }

// heading reports whether a first cell heads a column.
func heading(cell string) bool {
	return slices.Contains([]string{"词", "敏感词", "词语", "关键词", "word", "words"}, strings.ToLower(cell))
}

// itemOf reads the cells of a word.
func itemOf(cells []string) (it item, err error) {
	cell := func(i int) string {
		if i < len(cells) {
			return cells[i]
		}
		return ""
	}
	it.Text = cells[0]
	var known bool
	switch level := cell(1); {
	case level == "":
	case level == "放行":
		it.Allow = true
	default:
		if it.Level, known = parseLevel(level); !known {
			return it, refuse("", "“%s”的级别是“%s”，要写提醒、警告、拦截或放行", store.Clip(it.Text, 20), store.Clip(level, 20))
		}
	}
	if it.Category = cell(2); utf8.RuneCountInString(it.Category) > maxCategory {
		return it, refuse("", "“%s”的分类太长，最多 %d 个字", store.Clip(it.Text, 20), maxCategory)
	}
	it.Exact = !it.Allow && strings.Contains(cell(3), "只认原样")
	it.Embedded = !it.Allow && strings.Contains(cell(3), "夹在别的词里也算")
	if !utf8.ValidString(it.Text) || strings.ContainsFunc(it.Text, unicode.IsControl) {
		return it, refuse("", "“%s”里有认不出的字符", store.Clip(strings.ToValidUTF8(it.Text, "?"), 20))
	}
	if strings.ContainsFunc(it.Text, unicode.IsSpace) && strings.ContainsFunc(it.Text, func(r rune) bool { return unicode.Is(unicode.Han, r) }) {
		return it, refuse("", "“%s”中间有空格。词后面写级别：提醒、警告、拦截、放行", store.Clip(it.Text, 20))
	}
	return it, checkWord(it.Text)
}

// readText reads a word a line: 加微信 拦截 引流.
func readText(text string) ([]item, []badLine, error) {
	var l listing
	n := 0
	for line := range strings.Lines(text) {
		n++
		if err := l.add(n, cellsOf(line)); err != nil {
			return nil, nil, err
		}
	}
	return l.done()
}

// cellsOf cuts a line of text: what stands before a level is the word.
func cellsOf(line string) []string {
	if len(line) > maxCell {
		return []string{line} // too long for a word, and told so
	}
	fields := strings.FieldsFunc(line, func(r rune) bool { return blank(r) || r == ',' || r == '，' })
	for i, field := range fields {
		if _, level := parseLevel(field); i > 0 && (level || field == "放行") {
			cells := []string{strings.Join(fields[:i], " "), field, "", ""}
			for _, rest := range fields[i+1:] {
				if rest == "只认原样" || rest == "夹在别的词里也算" {
					cells[3] += rest
				} else {
					cells[2] = strings.TrimSpace(cells[2] + " " + rest)
				}
			}
			return cells
		}
	}
	return []string{strings.Join(fields, " ")}
}

// readCSV reads a table whose cells are parted by commas, semicolons or tabs.
func readCSV(text string) ([]item, []badLine, error) {
	r := csv.NewReader(strings.NewReader(text))
	r.FieldsPerRecord, r.LazyQuotes, r.ReuseRecord = -1, true, true
	first, _, _ := strings.Cut(text, "\n")
	for _, comma := range []rune{';', '\t'} {
		if strings.ContainsRune(first, comma) && !strings.Contains(first, ",") {
			r.Comma = comma
		}
	}
	var l listing
	for {
		cells, err := r.Read()
		if errors.Is(err, io.EOF) {
			return l.done()
		}
		if err != nil {
			return nil, nil, refuse("file", "不是完整的 CSV：引号没有成对。请用表格软件另存一次。")
		}
		line, _ := r.FieldPos(0)
		if c := cells[0]; len(c) > 1 && c[0] == '\'' && strings.IndexByte(guarded, c[1]) >= 0 {
			cells[0] = c[1:] // put there by writeCSV
		}
		if err := l.add(line, cells[:min(len(cells), maxColumns)]); err != nil {
			return nil, nil, err
		}
	}
}

// readWorkbook reads the first sheet of an XLSX file.
func readWorkbook(body []byte) ([]item, []badLine, error) {
	broken := refuse("file", "打不开这个 xlsx：文件坏了，有密码，或者不是表格。请用表格软件另存一次。")
	z, err := zip.NewReader(bytes.NewReader(body), int64(len(body)))
	if err != nil {
		return nil, nil, broken
	}
	var size uint64
	for _, part := range z.File { // a part that is larger than it says is an error when it is read
		if size += part.UncompressedSize64; size > maxUnzipped || part.UncompressedSize64 > maxUnzipped || len(z.File) > 1000 {
			return nil, nil, refuse("file", "这个 xlsx 解压以后超过 %d MB，不收。请只留词的那一张表。", maxUnzipped>>20)
		}
	}
	book, err := excelize.OpenReader(bytes.NewReader(body), excelize.Options{UnzipSizeLimit: maxUnzipped, UnzipXMLSizeLimit: maxUnzipped, RawCellValue: true})
	if err != nil {
		return nil, nil, broken
	}
	defer book.Close()
	rows, err := book.Rows(book.GetSheetName(0))
	if err != nil {
		return nil, nil, broken
	}
	defer rows.Close()
	var l listing
	for n := 1; rows.Next(); n++ {
		if n > 2*maxItems {
			return nil, nil, refuse("file", "表格有 %d 行以上，最多 %d 个词。请分成几个。", n-1, maxItems)
		}
		cells, err := rows.Columns()
		if err != nil {
			return nil, nil, broken
		}
		if err := l.add(n, cells[:min(len(cells), maxColumns)]); err != nil {
			return nil, nil, err
		}
	}
	if rows.Error() != nil {
		return nil, nil, broken
	}
	return l.done()
}

// cellsFor writes a word as the cells that itemOf reads.
func cellsFor(w store.SensitiveWord) []string {
	if w.Allow {
		return []string{w.Text, "放行", w.Category, ""}
	}
	return []string{w.Text, levelWord(w.Level), w.Category, matchWord(w)}
}

// headings are what heads the columns of the files that are written.
var headings = []string{"词", "级别", "分类", "怎么找"}

// writeFile writes words as a txt, csv or xlsx file.
func writeFile(format string, words []store.SensitiveWord) ([]byte, error) {
	switch format {
	case "txt":
		return writeText(words), nil
	case "csv":
		return writeCSV(words)
	case "xlsx":
		return writeWorkbook(words)
	}
	return nil, fmt.Errorf("write words: no such format %q", format)
}

func writeText(words []store.SensitiveWord) []byte {
	var b bytes.Buffer
	b.WriteString("# 一行一个：词 级别 分类\n")
	for _, w := range words {
		cells := cellsFor(w)
		cells[3] = strings.ReplaceAll(cells[3], "，", " ")
		b.WriteString(strings.TrimSpace(strings.Join(cells, " ")) + "\n")
	}
	return b.Bytes()
}

func writeCSV(words []store.SensitiveWord) ([]byte, error) {
	var b bytes.Buffer
	b.WriteString("\ufeff") // without it, Excel takes the file for GBK
	w := csv.NewWriter(&b)
	rows := [][]string{headings}
	for _, word := range words {
		cells := cellsFor(word)
		if cells[0] != "" && strings.IndexByte(guarded, cells[0][0]) >= 0 {
			cells[0] = "'" + cells[0]
		}
		rows = append(rows, cells)
	}
	err := w.WriteAll(rows)
	return b.Bytes(), err
}

func writeWorkbook(words []store.SensitiveWord) ([]byte, error) {
	book := excelize.NewFile()
	defer book.Close()
	sheet := book.GetSheetName(0)
	w, err := book.NewStreamWriter(sheet)
	if err != nil {
		return nil, err
	}
	row := func(n int, cells []string) error {
		values := make([]any, len(cells))
		for i, c := range cells {
			values[i] = c
		}
		return w.SetRow(fmt.Sprintf("A%d", n), values)
	}
	if err := w.SetColWidth(1, 1, 30); err != nil {
		return nil, err
	}
	if err := row(1, headings); err != nil {
		return nil, err
	}
	for i, word := range words {
		if err := row(i+2, cellsFor(word)); err != nil {
			return nil, err
		}
	}
	if err := w.Flush(); err != nil {
		return nil, err
	}
	b, err := book.WriteToBuffer()
	if err != nil {
		return nil, err
	}
	return b.Bytes(), nil
}

// A comparison is what saving items would do: what is new, what is there, and
// what an operator should look at first.
type comparison struct {
	Fresh     []item        // new, and nothing is wrong with them
	Broad     []told        // new, and likely to hit what they should not
	Known     []item        // there already, just so
	Conflicts []told        // there with another level
	Twice     []told        // more than once in the list; the most serious counts
	Allowed   []told        // never found, or not everywhere, because of an allowed phrase
	Bad       []badLine     // no words
	Total     int           // words of the list
	change    map[int]int64 // numbers of the words that Conflicts are about, by index in Conflicts
}

// told is a word with what is to be said about it.
type told struct {
	item
	Why string
}

// compare holds items against the words of their group and of all groups.
func compareItems(items []item, stored []store.SensitiveWord, group int64) comparison {
	c := comparison{Total: len(items), change: map[int]int64{}}
	type place struct {
		folded string
		allow  bool
	}
	there := map[place]store.SensitiveWord{}
	var phrases []string // that are allowed
	for _, w := range stored {
		if w.GroupID != 0 && w.GroupID != group {
			continue
		}
		if w.Allow {
			phrases = append(phrases, w.Folded)
		}
		if w.GroupID == group {
			there[place{w.Folded, w.Allow}] = w
		}
	}
	first := map[place]int{} // index in list
	var list []item
	for _, it := range items {
		at := place{fold(it.Text), it.Allow}
		i, seen := first[at]
		if !seen {
			first[at] = len(list)
			list = append(list, it)
			if it.Allow {
				phrases = append(phrases, at.folded)
			}
			continue
		}
		why := fmt.Sprintf("和第 %d 行是同一个词", list[i].Line)
		if it.Level != list[i].Level && !it.Allow {
			why += "，级别不一样，按重的算"
			if rank(it.Level) > rank(list[i].Level) {
				list[i].Level = it.Level
			}
		}
		c.Twice = append(c.Twice, told{it, why})
	}
	inside := insideOf(phrases, list)
	for i, it := range list {
		at := place{fold(it.Text), it.Allow}
		if !it.Allow {
			if phrase := inside[i]; phrase == at.folded {
				c.Allowed = append(c.Allowed, told{it, "同时是放行词，永远不会命中"})
			} else if phrase != "" {
				c.Allowed = append(c.Allowed, told{it, "在放行的“" + phrase + "”里不会命中"})
			}
		}
		switch old, known := there[at]; {
		case known && (it.Allow || old.Level == it.Level):
			c.Known = append(c.Known, it)
		case known:
			c.change[len(c.Conflicts)] = old.ID
			c.Conflicts = append(c.Conflicts, told{it, fmt.Sprintf("已经有了（#%d），级别是%s；这里是%s", old.ID, levelWord(old.Level), levelWord(it.Level))})
		case !it.Allow && tooBroad(it.Text) != "":
			c.Broad = append(c.Broad, told{it, tooBroad(it.Text)})
		default:
			c.Fresh = append(c.Fresh, it)
		}
	}
	return c
}

func rank(l store.WordLevel) int {
	return slices.Index([]store.WordLevel{store.LevelRemind, store.LevelWarn, store.LevelBlock}, l)
}

// insideOf returns for each item an allowed phrase that it is a part of; empty:
// there is none. It looks for the items in the phrases, of which there are few.
func insideOf(phrases []string, items []item) []string {
	found := make([]string, len(items))
	if len(phrases) == 0 {
		return found
	}
	at := map[string]int{}
	longest := 0
	for i, it := range items {
		if !it.Allow {
			folded := fold(it.Text)
			at[folded] = i
			longest = max(longest, utf8.RuneCountInString(folded))
		}
	}
	for _, phrase := range phrases {
		runes := []rune(phrase)
		for from := range runes {
			for to := from + 1; to <= min(len(runes), from+longest); to++ {
				if i, ok := at[string(runes[from:to])]; ok && found[i] == "" {
					found[i] = phrase
				}
			}
		}
	}
	return found
}

// wordsFrom returns items as words to store. Levels that are not given are
// level.
func wordsFrom(items []item, like store.SensitiveWord) []store.SensitiveWord {
	words := make([]store.SensitiveWord, len(items))
	for i, it := range items {
		w := like
		w.Text, w.Folded, w.Allow, w.Level, w.Exact, w.Embedded = it.Text, fold(it.Text), it.Allow, it.Level, it.Exact, it.Embedded
		if it.Category != "" {
			w.Category = it.Category
		}
		words[i] = w
	}
	return words
}

// Word is what the item's level is called.
func (it item) Word() string {
	if it.Allow {
		return "放行"
	}
	return levelWord(it.Level)
}
