package moderation

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"qunbot/store"
	"qunbot/web/console"
	"qunbot/wordfilter"
)

const (
	menuWord    = "内容安全"
	listPath    = console.Prefix + "/moderation"
	strikesPath = listPath + "/strikes"
	maxLines    = 2000 // words added at once
	maxTry      = 2000 // characters of a text that is tried
)

func (f *feature) listPage() console.Page {
	return console.Page{
		Path: "/moderation", Title: "敏感词", Purpose: "群里不能说的词。换着写法说，也找得到。", Group: console.Daily, Menu: menuWord, Icon: "shield",
		Role: store.Analyst, Change: store.Staff,
		FS: files, Template: "list.html", Style: "moderation.css", Load: f.loadList, Post: f.changeMany,
	}
}

func (f *feature) newPage() console.Page {
	return console.Page{
		Path: "/moderation/new", Title: "添加敏感词", Purpose: "一行一个，可以一次贴很多。", Role: store.Staff,
		FS: files, Template: "new.html", Style: "moderation.css", Load: f.loadNew, Post: f.create,
	}
}

func (f *feature) wordPage() console.Page {
	return console.Page{
		Path: "/moderation/words/{id}", Title: "敏感词", Role: store.Analyst, Change: store.Staff,
		FS: files, Template: "word.html", Style: "moderation.css", Load: f.loadWord, Post: f.change,
	}
}

// row is a word as pages show it.
type row struct {
	store.SensitiveWord
	Where string
}

// Word is what the row's level is called.
func (r row) Word() string {
	if r.Allow {
		return "放行"
	}
	return levelWord(r.Level)
}

// State is how the row's level is marked.
func (r row) State() string {
	if r.Allow {
		return "good"
	}
	return levelState(levelOf(r.Level))
}

// Match says how the word is looked for.
func (r row) Match() string { return matchWord(r.SensitiveWord) }

func levelState(l wordfilter.Level) string {
	switch l {
	case wordfilter.Block:
		return "bad"
	case wordfilter.Warn:
		return "warn"
	}
	return "quiet"
}

type listData struct {
	Rows       console.Rows[row]
	Total      int64 // words that the filters leave
	Search     string
	Chips      []console.Link
	Kept       []console.Link // the other filters, for the forms: name and value
	Fields     console.Fields
	Groups     []console.Option // whose words are shown
	Places     []console.Option // where something is tried
	Categories []string
	Filtered   bool
	Change     bool
	Try        *trial // nil: nothing was tried
	Strikes    int64  // that count, in the window
	Window     int
}

// loadList lists the words, and tries what somebody wants to try. It is also
// where a change leads to, and compiles what was changed: the operator waits for
// a long list, not the next member.
func (f *feature) loadList(ctx context.Context, tx *store.Tx, v console.Visit) (any, error) {
	if _, err := f.Filter.compiled(ctx, tx); err != nil {
		return nil, err
	}
	filter := store.WordFilter{Search: strings.TrimSpace(v.Query.Get("q")), Category: v.Query.Get("category"), Before: v.Before, Limit: v.Limit}
	kind := v.Query.Get("kind")
	switch kind {
	case "allow":
		yes := true
		filter.Allow = &yes
	case string(store.LevelRemind), string(store.LevelWarn), string(store.LevelBlock):
		filter.Level = store.WordLevel(kind)
	default:
		kind = ""
	}
	if id, err := strconv.ParseInt(v.Query.Get("group"), 10, 64); err == nil && id >= 0 {
		filter.GroupID = &id
	}
	words, err := tx.Words(ctx, filter)
	if err != nil {
		return nil, err
	}
	data := listData{Search: filter.Search, Change: v.Operator.Role.Covers(store.Staff),
		Filtered: filter.Search != "" || kind != "" || filter.GroupID != nil || filter.Category != "",
		Fields:   v.Fields("in", v.Query.Get("in"), "try", v.Query.Get("try"), "group", v.Query.Get("group"), "category", filter.Category)}
	if data.Total, err = tx.CountWords(ctx, filter); err != nil {
		return nil, err
	}
	rows, err := rowsOf(ctx, tx, words)
	if err != nil {
		return nil, err
	}
	data.Rows = console.Paged(v, rows, func(r row) int64 { return r.ID })
	if data.Groups, err = console.GroupChoices(ctx, tx); err != nil {
		return nil, err
	}
	data.Places = append(console.Options("0", "私聊"), data.Groups[1:]...)
	if data.Categories, err = tx.WordCategories(ctx); err != nil {
		return nil, err
	}
	tally, err := f.tally(ctx, tx)
	if err != nil {
		return nil, err
	}
	data.Window = tally.Window
	if data.Strikes, err = tx.CountStrikeRows(ctx, store.StrikeFilter{Since: tally.after(v.Now), NotUndone: true}); err != nil {
		return nil, err
	}
	for _, k := range []console.Link{{Text: "拦截", To: string(store.LevelBlock)}, {Text: "警告", To: string(store.LevelWarn)},
		{Text: "提醒", To: string(store.LevelRemind)}, {Text: "放行词", To: "allow"}} {
		data.Chips = append(data.Chips, v.Chip("kind", k.To, k.Text, k.To == kind))
	}
	if filter.Search != "" {
		data.Chips = append(data.Chips, v.Chip("q", "", filter.Search, true))
	}
	for _, name := range []string{"kind", "group", "category", "q"} {
		if value := v.Query.Get(name); value != "" {
			data.Kept = append(data.Kept, console.Link{Text: name, To: value})
		}
	}
	if text := strings.TrimSpace(v.Query.Get("try")); text != "" {
		data.Try, err = f.try(ctx, tx, v, text)
	}
	return data, err
}

func rowsOf(ctx context.Context, tx *store.Tx, words []store.SensitiveWord) ([]row, error) {
	names, err := groupNames(ctx, tx, words)
	rows := make([]row, len(words))
	for i, w := range words {
		rows[i] = row{w, placeOf(w.GroupID, names)}
	}
	return rows, err
}

// A trial is what would become of a text.
type trial struct {
	Parts  []part
	Found  []foundWord
	Rules  []metRule
	Where  string
	State  string
	Result string
}

// A part of a text that was tried.
type part struct {
	Text string
	Hit  bool
}

// metRule is a rule that the text meets.
type metRule struct {
	Rule
	How string
}

type foundWord struct {
	ID                    int64 // of the word; 0: it is gone
	Word, Level, Category string
	State, Quote, How     string
}

// try scans a text as if a member said it in a group. Nothing is counted.
func (f *feature) try(ctx context.Context, tx *store.Tx, v console.Visit, text string) (*trial, error) {
	text = store.Clip(text, maxTry)
	group, err := strconv.ParseInt(v.Query.Get("in"), 10, 64)
	if err != nil || group < 0 {
		group = 0
	}
	names, err := tx.GroupNames(ctx, []int64{group})
	if err != nil {
		return nil, err
	}
	c, err := f.Filter.compiled(ctx, tx)
	if err != nil {
		return nil, err
	}
	m := said{text: text, group: group, at: v.Now, zone: f.Zone}
	c.scan(f.Filter, &m)
	hits := m.hits
	t := &trial{Parts: partsOf(text, hits), Where: placeOf(group, names), State: "good", Result: "照常处理，什么也不会发生"}
	if group == 0 {
		t.Where = "私聊"
	}
	var live []finding
	for _, found := range c.book.meet(m) {
		t.Rules = append(t.Rules, metRule{found.Rule, found.how})
		if !found.Rule.Dry && found.Rule.Newcomer == 0 {
			live = append(live, found)
		}
	}
	if len(live) > 0 {
		verdict := judge(live, 1)
		t.State, t.Result = stepState(verdict.step), "第一次："+verdict.String()
	}
	if len(hits) == 0 {
		return t, nil
	}
	var folded []string
	for _, h := range hits {
		folded = append(folded, fold(h.Word.Text))
	}
	words, err := tx.WordsOf(ctx, folded, 0, group)
	if err != nil {
		return nil, err
	}
	ids := map[string]int64{}
	for _, w := range words {
		if !w.Allow && (ids[w.Folded] == 0 || w.GroupID != 0) {
			ids[w.Folded] = w.ID
		}
	}
	for _, h := range hits {
		t.Found = append(t.Found, foundWord{ids[fold(h.Word.Text)], h.Word.Text, h.Word.Level.String(), h.Word.Category,
			levelState(h.Word.Level), text[h.Start:h.End], h.How.String()})
	}
	return t, nil
}

// partsOf cuts text into what was hit and what was not.
func partsOf(text string, hits []wordfilter.Hit) []part {
	var parts []part
	add := func(text string, hit bool) {
		if text != "" {
			parts = append(parts, part{text, hit})
		}
	}
	at := 0
	for i := 0; i < len(hits); {
		start, end := hits[i].Start, hits[i].End
		for i++; i < len(hits) && hits[i].Start < end; i++ { // they are sorted by where they start
			end = max(end, hits[i].End)
		}
		add(text[at:start], false)
		add(text[start:end], true)
		at = end
	}
	add(text[at:], false)
	return parts
}

// changeMany deletes the chosen words or changes their level.
func (f *feature) changeMany(ctx context.Context, tx *store.Tx, v console.Visit) (console.Result, error) {
	var ids []int64
	for _, text := range v.Form["id"] {
		if id, err := strconv.ParseInt(text, 10, 64); err == nil && len(ids) <= console.PageSize {
			ids = append(ids, id)
		}
	}
	if len(ids) == 0 {
		return console.Result{}, console.Invalid("", "请先选中几个词。")
	}
	numbers := strings.Trim(strings.ReplaceAll(fmt.Sprint(ids), " ", ","), "[]")
	done := console.Result{Object: "words " + store.Clip(numbers, 60)}
	do := v.Value("do")
	if level, ok := parseLevel(do); ok {
		n, err := tx.SetWordsLevel(ctx, ids, level)
		done.Detail, done.Message = do+" "+numbers, fmt.Sprintf("已把 %d 个词改成%s，下一句话起生效。", n, do)
		return done, err
	}
	if do != "delete" {
		return console.Result{}, console.Invalid("", "没有这个操作。")
	}
	n, err := tx.DeleteWords(ctx, ids)
	done.Detail, done.Message = "删除 "+numbers, fmt.Sprintf("已删除 %d 个词。", n)
	return done, err
}

// invalid shows a refusal beside its field.
func invalid(err error) error {
	if no, refused := errors.AsType[refusal](err); refused {
		return console.Invalid(no.field, no.text)
	}
	return err
}

type formData struct {
	Word       *row // nil: words are being added
	Fields     console.Fields
	Kinds      []console.Option
	Groups     []console.Option
	Matches    []console.Option
	Categories []string
	Change     bool
}

// Heading implements console.Headed.
func (d formData) Heading() (title, purpose string) {
	if d.Word == nil {
		return "添加敏感词", "一行一个，可以一次贴很多。"
	}
	return d.Word.Text, fmt.Sprintf("#%d · %s · %s", d.Word.ID, d.Word.Word(), d.Word.Where)
}

func (f *feature) loadNew(ctx context.Context, tx *store.Tx, v console.Visit) (any, error) {
	kind := string(store.LevelWarn)
	if v.Query.Get("kind") == "allow" {
		kind = "allow"
	}
	return f.form(ctx, tx, v, v.Fields("words", "", "kind", kind, "category", store.Clip(v.Query.Get("category"), maxCategory), "group", "0", "match", "", "sure", ""))
}

func (f *feature) loadWord(ctx context.Context, tx *store.Tx, v console.Visit) (any, error) {
	id, err := v.ID("id")
	if err != nil {
		return nil, err
	}
	w, err := tx.Word(ctx, id)
	if err != nil {
		return nil, err
	}
	kind := string(w.Level)
	if w.Allow {
		kind = "allow"
	}
	data, err := f.form(ctx, tx, v, v.Fields("text", w.Text, "kind", kind, "category", w.Category, "group", w.GroupID, "match", matchValue(w), "sure", ""))
	if err != nil {
		return nil, err
	}
	rows, err := rowsOf(ctx, tx, []store.SensitiveWord{w})
	data.Word = &rows[0]
	return data, err
}

func (f *feature) form(ctx context.Context, tx *store.Tx, v console.Visit, fields console.Fields) (formData, error) {
	data := formData{
		Fields: fields, Change: v.Operator.Role.Covers(store.Staff),
		Kinds: console.Options(store.LevelRemind, "提醒：不拦，也不计次", store.LevelWarn, "警告：拦下，计一次违规",
			store.LevelBlock, "拦截：拦下，计一次违规，请群主撤回", "allow", "放行：这样说没问题"),
		Matches: console.Options("", "换着写法也算（推荐）", "exact", "只认原样", "embedded", "夹在别的词里也算", "exact embedded", "只认原样，夹在别的词里也算"),
	}
	var err error
	if data.Groups, err = console.GroupChoices(ctx, tx); err != nil {
		return data, err
	}
	data.Categories, err = tx.WordCategories(ctx)
	return data, err
}

func matchValue(w store.SensitiveWord) string {
	var words []string
	if w.Exact {
		words = append(words, "exact")
	}
	if w.Embedded {
		words = append(words, "embedded")
	}
	return strings.Join(words, " ")
}

// read reads what a word's forms have in common.
func (f *feature) read(ctx context.Context, tx *store.Tx, v console.Visit) (w store.SensitiveWord, err error) {
	switch kind := v.Value("kind"); store.WordLevel(kind) {
	case "allow":
		w.Allow = true
	case store.LevelRemind, store.LevelWarn, store.LevelBlock:
		w.Level = store.WordLevel(kind)
	default:
		return w, refuse("kind", "请选一个级别。")
	}
	if w.Category = v.Value("category"); utf8.RuneCountInString(w.Category) > maxCategory {
		return w, refuse("category", "分类最多 %d 个字。", maxCategory)
	}
	if w.GroupID, err = strconv.ParseInt(v.Value("group"), 10, 64); err != nil || w.GroupID < 0 {
		return w, refuse("group", "请选一个群。")
	}
	if w.GroupID != 0 {
		if _, err := tx.Group(ctx, w.GroupID); errors.Is(err, store.ErrNotFound) {
			return w, refuse("group", "没有这个群。")
		} else if err != nil {
			return w, err
		}
	}
	match := strings.Fields(v.Value("match"))
	w.Exact, w.Embedded = !w.Allow && slices.Contains(match, "exact"), !w.Allow && slices.Contains(match, "embedded")
	return w, nil
}

// create adds words, one a line. What may be a mistake is told first, and
// added only when the operator is sure.
func (f *feature) create(ctx context.Context, tx *store.Tx, v console.Visit) (console.Result, error) {
	like, err := f.read(ctx, tx, v)
	if err != nil {
		return console.Result{}, invalid(err)
	}
	like.CreatedBy, like.CreatedAt = v.Operator.ID, v.Now
	words, doubts, err := readLines(v.Form.Get("words"), like)
	if err != nil {
		return console.Result{}, invalid(err)
	}
	fresh, known, err := f.news(ctx, tx, words)
	if err != nil {
		return console.Result{}, err
	}
	doubts = append(doubts, known...)
	switch {
	case len(fresh) == 0:
		return console.Result{}, console.Invalid("words", "没有新词可加："+few(doubts))
	case len(doubts) > 0 && v.Value("sure") == "":
		return console.Result{}, console.Invalid("sure", few(doubts))
	}
	if err := f.room(ctx, tx, len(fresh)); err != nil {
		return console.Result{}, invalid(err)
	}
	err = tx.AddWords(ctx, fresh)
	if errors.Is(err, store.ErrExists) { // another operator was quicker
		err = console.Invalid("words", "刚刚有人添加了其中的词，请再提交一次。")
	}
	if err != nil {
		return console.Result{}, err
	}
	texts := make([]string, len(fresh))
	for i, w := range fresh {
		texts[i] = w.Text
	}
	done := console.Result{Object: fmt.Sprintf("words %d", fresh[0].ID), Redirect: listPath,
		Message: fmt.Sprintf("已添加 %d 个词，下一句话起生效。", len(fresh)),
		Detail:  store.Clip(fmt.Sprintf("添加 %d 个：%s", len(fresh), strings.Join(texts, "、")), 2000)}
	if len(fresh) == 1 {
		done.Object, done.Detail = objectOf(fresh[0].ID), describe(fresh[0])
	}
	if n := len(words) - len(fresh); n > 0 {
		done.Message += fmt.Sprintf("跳过了 %d 个已经有的。", n)
	}
	return done, nil
}

// readLines reads words, one a line, each like like where the line does not
// say otherwise. It returns doubts that the operator should know of.
func readLines(text string, like store.SensitiveWord) (words []store.SensitiveWord, doubts []string, err error) {
	var bad []string
	seen := map[string]int{}
	number := 0
	for line := range strings.Lines(text) {
		number++
		line = strings.TrimSpace(line)
		if line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		e, err := parseEntry(line)
		if err == nil {
			err = checkWord(e.text)
		}
		if err != nil {
			bad = append(bad, fmt.Sprintf("第 %d 行：%s", number, err))
			continue
		}
		w := like
		w.Text, w.Folded = e.text, fold(e.text)
		if e.level != "" && !like.Allow {
			w.Level = e.level
		}
		if e.category != "" {
			w.Category = e.category
		}
		if first := seen[w.Folded]; first > 0 {
			doubts = append(doubts, fmt.Sprintf("第 %d 行和第 %d 行是同一个词，只加一次", number, first))
			continue
		}
		seen[w.Folded] = number
		if why := tooBroad(e.text); why != "" && !like.Allow {
			doubts = append(doubts, why)
		}
		words = append(words, w)
	}
	switch {
	case len(bad) > 0:
		return nil, nil, refuse("words", "%s。", few(bad))
	case len(words) == 0:
		return nil, nil, refuse("words", "请写上词，一行一个。")
	case len(words) > maxLines:
		return nil, nil, refuse("words", "一次最多添加 %d 个词，现在有 %d 个。请分几次。", maxLines, len(words))
	}
	return words, doubts, nil
}

// news returns the words that their group does not have, and says which of
// them it has.
func (f *feature) news(ctx context.Context, tx *store.Tx, words []store.SensitiveWord) (fresh []store.SensitiveWord, doubts []string, err error) {
	folded := make([]string, len(words))
	for i, w := range words {
		folded[i] = w.Folded
	}
	same, err := tx.WordsOf(ctx, folded, 0, words[0].GroupID)
	if err != nil {
		return nil, nil, err
	}
	byWord := map[string][]store.SensitiveWord{}
	for _, w := range same {
		byWord[w.Folded] = append(byWord[w.Folded], w)
	}
	for _, w := range words {
		known := false
		for _, other := range byWord[w.Folded] {
			switch {
			case other.GroupID == w.GroupID && other.Allow == w.Allow:
				known = true
				doubts = append(doubts, fmt.Sprintf("“%s”已经有了（#%d）", store.Clip(other.Text, 20), other.ID))
			case other.Allow && !w.Allow:
				doubts = append(doubts, fmt.Sprintf("“%s”在放行词里（#%d），加了也不会命中", store.Clip(other.Text, 20), other.ID))
			}
		}
		if !known {
			fresh = append(fresh, w)
		}
	}
	return fresh, doubts, nil
}

// few joins what is to be told, not more than somebody reads.
func few(list []string) string {
	const shown = 8
	if len(list) > shown {
		return strings.Join(list[:shown], "；") + fmt.Sprintf("；还有 %d 处", len(list)-shown)
	}
	return strings.Join(list, "；")
}

// change does with one word what the button says.
func (f *feature) change(ctx context.Context, tx *store.Tx, v console.Visit) (console.Result, error) {
	id, err := v.ID("id")
	if err != nil {
		return console.Result{}, err
	}
	old, err := tx.Word(ctx, id)
	if err != nil {
		return console.Result{}, err
	}
	if v.Value("do") == "delete" {
		_, err := tx.DeleteWords(ctx, []int64{id})
		return console.Result{Object: objectOf(id), Detail: "删除：" + describe(old), Redirect: listPath, Message: "已删除“" + old.Text + "”。"}, err
	}
	w, err := f.read(ctx, tx, v)
	if err != nil {
		return console.Result{}, invalid(err)
	}
	w.ID, w.Text = id, v.Value("text")
	w.Folded = fold(w.Text)
	if err := checkWord(w.Text); err != nil {
		return console.Result{}, console.Invalid("text", err.Error()+"。")
	}
	if why := tooBroad(w.Text); why != "" && !w.Allow && w.Folded != old.Folded && v.Value("sure") == "" {
		return console.Result{}, console.Invalid("sure", why)
	}
	same, err := tx.WordsOf(ctx, []string{w.Folded}, w.GroupID)
	if err != nil {
		return console.Result{}, err
	}
	for _, other := range same { // before anything is written
		if other.ID != id && other.Allow == w.Allow {
			return console.Result{}, console.Invalid("text", fmt.Sprintf("已经有了：#%d “%s”。", other.ID, other.Text))
		}
	}
	err = tx.SetWord(ctx, w)
	if errors.Is(err, store.ErrExists) { // another operator was quicker
		err = console.Invalid("text", "刚刚有人添加了同样的词。")
	}
	return console.Result{Object: objectOf(id), Detail: describe(w), Message: "已保存，下一句话起生效。"}, err
}
