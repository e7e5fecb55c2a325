package moderation

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"qunbot/store"
	"qunbot/web/console"
)

const (
	importsPath = listPath + "/imports"
	presetsPath = listPath + "/presets"
	maxShown    = 30     // words of each sort in a preview
	maxSave     = 20_000 // words that one press adds: messages wait meanwhile
)

func (f *feature) presetsPage() console.Page {
	return console.Page{
		Path: "/moderation/presets", Title: "现成词库", Purpose: "常见的麻烦，配好了词和规则。先看会加什么，再用。", Role: store.Analyst,
		FS: files, Template: "presets.html", Style: "moderation.css", Load: f.loadPresets,
	}
}

func (f *feature) presetPage() console.Page {
	return console.Page{
		Path: "/moderation/presets/{key}", Title: "现成词库", Role: store.Analyst, Change: store.Manager,
		FS: files, Template: "preset.html", Style: "moderation.css", Load: f.loadPreset, Post: f.applyPreset,
	}
}

func (f *feature) importPage() console.Page {
	return console.Page{
		Path: "/moderation/import", Title: "导入和导出", Purpose: "txt、csv、xlsx 都可以。先看清楚，再保存。", Role: store.Staff, Upload: maxFile,
		FS: files, Template: "import.html", Style: "moderation.css", Load: f.loadImport, Post: f.handIn,
	}
}

func (f *feature) previewPage() console.Page {
	return console.Page{
		Path: "/moderation/imports/{id}", Title: "核对要导入的词", Role: store.Staff,
		FS: files, Template: "preview.html", Style: "moderation.css", Load: f.loadPreview, Post: f.saveImport,
	}
}

func (f *feature) exportPage() console.Page {
	return console.Page{
		Path: "/moderation/export", Title: "导出敏感词", Role: store.Staff,
		FS: files, Template: "import.html", Style: "moderation.css", Load: f.exportWords,
	}
}

// presetRow is a preset as pages show it.
type presetRow struct {
	preset
	Words, Known int
	Have         int // of its rules
}

func (f *feature) presetRow(ctx context.Context, tx *store.Tx, p preset) (row presetRow, c comparison, missing []Rule, err error) {
	row = presetRow{preset: p}
	items, err := p.items()
	if err != nil {
		return row, c, nil, err
	}
	if c, err = f.compare(ctx, tx, items, 0); err != nil {
		return row, c, nil, err
	}
	rules, err := tx.ModerationRules(ctx)
	if err != nil {
		return row, c, nil, err
	}
	for _, r := range p.Rules {
		if slices.ContainsFunc(rules, func(s store.ModerationRule) bool { return s.Name == r.Name }) {
			row.Have++
		} else {
			missing = append(missing, r)
		}
	}
	row.Words, row.Known = c.Total, len(c.Known)+len(c.Conflicts)
	return row, c, missing, nil
}

// compare holds items against the words that they may meet.
func (f *feature) compare(ctx context.Context, tx *store.Tx, items []item, group int64) (comparison, error) {
	folded := make([]string, len(items))
	for i, it := range items {
		folded[i] = fold(it.Text)
	}
	stored, err := tx.WordsOf(ctx, folded, 0, group)
	if err != nil {
		return comparison{}, err
	}
	yes := true
	phrases, err := tx.Words(ctx, store.WordFilter{Allow: &yes, Limit: maxWords})
	if err != nil {
		return comparison{}, err
	}
	seen := map[int64]bool{}
	for _, w := range stored {
		seen[w.ID] = true
	}
	for _, p := range phrases {
		if !seen[p.ID] {
			stored = append(stored, p)
		}
	}
	return compareItems(items, stored, group), nil
}

func (f *feature) loadPresets(ctx context.Context, tx *store.Tx, v console.Visit) (any, error) {
	var rows []presetRow
	for _, p := range presets() {
		row, _, _, err := f.presetRow(ctx, tx, p)
		if err != nil {
			return nil, err
		}
		rows = append(rows, row)
	}
	return struct {
		Presets []presetRow
		Change  bool
	}{rows, v.Operator.Role.Covers(store.Staff)}, nil
}

type presetData struct {
	Preset  presetRow
	Missing []ruleRow // of its rules
	List    comparison
	Fresh   []item // all it would add
	Change  bool
}

// Heading implements console.Headed.
func (d presetData) Heading() (title, purpose string) { return d.Preset.Name, d.Preset.About }

func (f *feature) loadPreset(ctx context.Context, tx *store.Tx, v console.Visit) (any, error) {
	p, err := presetOf(v.Param("key"))
	if err != nil {
		return nil, err
	}
	row, c, missing, err := f.presetRow(ctx, tx, p)
	data := presetData{Preset: row, List: c, Fresh: c.Fresh, Change: v.Operator.Role.Covers(store.Manager)}
	for _, r := range missing {
		data.Missing = append(data.Missing, ruleRow{ModerationRule: store.ModerationRule{Name: r.Name, State: store.RuleDry}, Spec: r.Spec, Where: "所有群和私聊"})
	}
	return data, err
}

// applyPreset adds what is missing of a preset.
func (f *feature) applyPreset(ctx context.Context, tx *store.Tx, v console.Visit) (console.Result, error) {
	p, err := presetOf(v.Param("key"))
	if err != nil {
		return console.Result{}, err
	}
	_, c, missing, err := f.presetRow(ctx, tx, p)
	if err != nil {
		return console.Result{}, err
	}
	if len(c.Fresh)+len(missing) == 0 {
		return console.Result{}, console.Invalid("", "已经全有了，没有什么要添加。")
	}
	if err := f.room(ctx, tx, len(c.Fresh)); err != nil {
		return console.Result{}, invalid(err)
	}
	if err := ruleRoom(ctx, tx, len(missing)); err != nil {
		return console.Result{}, invalid(err)
	}
	if len(c.Fresh) > 0 {
		if err := tx.AddWords(ctx, wordsFrom(c.Fresh, store.SensitiveWord{CreatedBy: v.Operator.ID, CreatedAt: v.Now})); err != nil {
			return console.Result{}, err
		}
	}
	for _, r := range missing {
		spec, err := json.Marshal(r.Spec)
		if err != nil {
			return console.Result{}, err
		}
		_, err = tx.AddModerationRule(ctx, store.ModerationRule{Name: r.Name, State: store.RuleDry, Spec: string(spec), CreatedBy: v.Operator.ID, CreatedAt: v.Now, UpdatedAt: v.Now})
		if err != nil {
			return console.Result{}, err
		}
	}
	text := fmt.Sprintf("添加 %d 个词，%d 条规则", len(c.Fresh), len(missing))
	return console.Result{Object: "preset " + p.Key, Detail: text, Message: "已" + text + "。词照它们的级别马上生效；规则在试运行，看过命中再打开。"}, nil
}

type importData struct {
	Fields console.Fields
	Levels []console.Option
	Groups []console.Option
	Total  int64
}

func (f *feature) loadImport(ctx context.Context, tx *store.Tx, v console.Visit) (any, error) {
	groups, err := console.GroupChoices(ctx, tx)
	if err != nil {
		return nil, err
	}
	total, err := tx.CountWords(ctx, store.WordFilter{})
	return importData{
		Fields: v.Fields("level", store.LevelWarn, "group", "0", "text", ""),
		Levels: console.Options(store.LevelRemind, "提醒", store.LevelWarn, "警告", store.LevelBlock, "拦截"),
		Groups: groups, Total: total,
	}, err
}

// A draft is the body of a store.WordImport.
type draft struct {
	Group int64     `json:"group"`
	Items []item    `json:"items"`
	Bad   []badLine `json:"bad,omitempty"`
}

// handIn reads a file, or what was pasted, and goes on to its preview.
func (f *feature) handIn(ctx context.Context, tx *store.Tx, v console.Visit) (console.Result, error) {
	name, body := v.Upload.Name, v.Upload.Body
	if len(body) == 0 {
		name, body = "粘贴的词.txt", []byte(v.Form.Get("text"))
	}
	if len(strings.TrimSpace(string(body[:min(len(body), 1000)]))) == 0 {
		return console.Result{}, console.Invalid("file", "请选一个文件，或者把词贴在下面。")
	}
	level := store.WordLevel(v.Value("level"))
	if rank(level) < 0 {
		return console.Result{}, console.Invalid("level", "请选一个级别。")
	}
	d := draft{}
	var err error
	if d.Group, err = strconv.ParseInt(v.Value("group"), 10, 64); err != nil || d.Group < 0 {
		return console.Result{}, console.Invalid("group", "请选一个群。")
	}
	if d.Group != 0 {
		if _, err := tx.Group(ctx, d.Group); errors.Is(err, store.ErrNotFound) {
			return console.Result{}, console.Invalid("group", "没有这个群。")
		} else if err != nil {
			return console.Result{}, err
		}
	}
	if d.Items, d.Bad, err = readFile(name, body); err != nil {
		return console.Result{}, invalid(err)
	}
	for i := range d.Items {
		if d.Items[i].Level == "" && !d.Items[i].Allow {
			d.Items[i].Level = level
		}
	}
	text, err := json.Marshal(d)
	if err != nil {
		return console.Result{}, err
	}
	id, err := tx.AddWordImport(ctx, store.WordImport{Source: store.Clip(name, 100), Body: string(text), CreatedBy: v.Operator.ID, CreatedAt: v.Now})
	return console.Result{Object: importObject(id), Detail: fmt.Sprintf("交来 %d 个词，还没有保存", len(d.Items)), Redirect: fmt.Sprintf("%s/%d", importsPath, id)}, err
}

func importObject(id int64) string { return fmt.Sprintf("word import %d", id) }

type previewData struct {
	ID     int64
	Source string
	Where  string
	List   comparison
	Press  int // words that one press adds at most
	Fields console.Fields
}

// Heading implements console.Headed.
func (d previewData) Heading() (title, purpose string) {
	return "核对要导入的词", fmt.Sprintf("%s · %d 个词 · %s · 还没有保存", d.Source, d.List.Total, d.Where)
}

// Some returns the first words that there is something to be said about.
func (d previewData) Some(list []told) []told { return list[:min(len(list), maxShown)] }

// Items returns the first of the other words.
func (d previewData) Items(list []item) []item { return list[:min(len(list), 2*maxShown)] }

// Lines returns the first of the lines that hold no word.
func (d previewData) Lines(list []badLine) []badLine { return list[:min(len(list), maxShown)] }

func (f *feature) draft(ctx context.Context, tx *store.Tx, v console.Visit) (w store.WordImport, d draft, c comparison, err error) {
	id, err := v.ID("id")
	if err != nil {
		return w, d, c, err
	}
	if w, err = tx.WordImport(ctx, id); err != nil {
		return w, d, c, err
	}
	if err = json.Unmarshal([]byte(w.Body), &d); err != nil {
		return w, d, c, fmt.Errorf("read import %d: %w", id, err)
	}
	c, err = f.compare(ctx, tx, d.Items, d.Group)
	c.Bad = d.Bad
	return w, d, c, err
}

func (f *feature) loadPreview(ctx context.Context, tx *store.Tx, v console.Visit) (any, error) {
	w, d, c, err := f.draft(ctx, tx, v)
	if err != nil {
		return nil, err
	}
	names, err := tx.GroupNames(ctx, []int64{d.Group})
	return previewData{w.ID, w.Source, placeOf(d.Group, names), c, maxSave, v.Fields("broad", "", "change", "")}, err
}

// saveImport adds the words of a preview, a bounded number with each press, or
// throws them away.
func (f *feature) saveImport(ctx context.Context, tx *store.Tx, v console.Visit) (console.Result, error) {
	w, d, c, err := f.draft(ctx, tx, v)
	if err != nil {
		return console.Result{}, err
	}
	if v.Value("do") == "drop" {
		return console.Result{Object: importObject(w.ID), Detail: "放弃", Redirect: listPath, Message: "已放弃，什么也没有添加。"}, tx.DeleteWordImport(ctx, w.ID)
	}
	fresh := c.Fresh
	if v.Value("broad") != "" {
		for _, t := range c.Broad {
			fresh = append(fresh, t.item)
		}
	}
	more := max(0, len(fresh)-maxSave)
	fresh = fresh[:min(len(fresh), maxSave)]
	changed, err := f.changeLevels(ctx, tx, v, c)
	if err != nil {
		return console.Result{}, err
	}
	if len(fresh)+changed == 0 {
		return console.Result{}, console.Invalid("", "没有要添加的词。")
	}
	if err := f.room(ctx, tx, len(fresh)); err != nil {
		return console.Result{}, invalid(err)
	}
	if len(fresh) > 0 {
		err := tx.AddWords(ctx, wordsFrom(fresh, store.SensitiveWord{GroupID: d.Group, CreatedBy: v.Operator.ID, CreatedAt: v.Now}))
		if errors.Is(err, store.ErrExists) { // another operator was quicker
			err = console.Invalid("", "刚刚有人添加了其中的词，请再按一次。")
		}
		if err != nil {
			return console.Result{}, err
		}
	}
	done := console.Result{Object: importObject(w.ID), Detail: fmt.Sprintf("从“%s”添加 %d 个词，改了 %d 个词的级别", w.Source, len(fresh), changed),
		Message: fmt.Sprintf("已添加 %d 个词，下一句话起生效。", len(fresh))}
	if changed > 0 {
		done.Message += fmt.Sprintf("改了 %d 个词的级别。", changed)
	}
	if more > 0 {
		done.Message += fmt.Sprintf("还有 %d 个，请再按一次。", more)
		return done, nil
	}
	done.Redirect = listPath
	return done, tx.DeleteWordImport(ctx, w.ID)
}

// changeLevels gives words that are there the level of the list, where the
// operator wants that, and returns how many.
func (f *feature) changeLevels(ctx context.Context, tx *store.Tx, v console.Visit, c comparison) (n int, err error) {
	if v.Value("change") == "" {
		return 0, nil
	}
	byLevel := map[store.WordLevel][]int64{}
	for i, t := range c.Conflicts {
		byLevel[t.Level] = append(byLevel[t.Level], c.change[i])
	}
	for level, ids := range byLevel {
		for part := range slices.Chunk(ids, 500) {
			some, err := tx.SetWordsLevel(ctx, part, level)
			if err != nil {
				return n, err
			}
			n += int(some)
		}
	}
	return n, nil
}

// exportWords returns the words of a group, or those that all share, as a file.
func (f *feature) exportWords(ctx context.Context, tx *store.Tx, v console.Visit) (any, error) {
	group, err := strconv.ParseInt(v.Query.Get("group"), 10, 64)
	if err != nil || group < 0 {
		group = 0
	}
	all, err := tx.AllWords(ctx)
	if err != nil {
		return nil, err
	}
	var words []store.SensitiveWord
	for _, w := range all {
		if w.GroupID == group {
			words = append(words, w)
		}
	}
	format := v.Query.Get("format")
	kinds := map[string]string{"txt": "text/plain; charset=utf-8", "csv": "text/csv; charset=utf-8",
		"xlsx": "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"}
	if kinds[format] == "" {
		return nil, store.ErrNotFound
	}
	body, err := writeFile(format, words)
	return console.File{Name: fmt.Sprintf("敏感词-%s.%s", store.DayOf(v.Now, f.Zone), format), Type: kinds[format], Body: body}, err
}
