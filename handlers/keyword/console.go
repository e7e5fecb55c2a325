package keyword

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"qunbot/store"
	"qunbot/web/console"
)

const (
	listPath = console.Prefix + "/keywords"
)

func (f *feature) listPage() console.Page {
	return console.Page{
		Path: "/keywords", Title: "关键词", Purpose: "听到什么词，就回答什么。指令先回答，没有指令再看这里。", Group: console.Content, Menu: "资讯和关键词", Icon: "word",
		Role: store.Analyst, Change: store.Staff,
		FS: files, Template: "list.html", Style: "keyword.css", Load: f.loadList, Post: f.changeMany,
	}
}

func (f *feature) newPage() console.Page {
	return console.Page{
		Path: "/keywords/new", Title: "添加关键词", Purpose: "写下词和回复，旁边是群里看到的样子。", Role: store.Staff,
		FS: files, Template: "rule.html", Style: "keyword.css", Script: "keyword.js", Load: f.loadNew, Post: f.create,
	}
}

func (f *feature) rulePage() console.Page {
	return console.Page{
		Path: "/keywords/{id}", Title: "关键词", Role: store.Analyst, Change: store.Staff,
		FS: files, Template: "rule.html", Style: "keyword.css", Script: "keyword.js", Load: f.loadRule, Post: f.change,
	}
}

// row is a rule as pages show it.
type row struct {
	store.KeywordRule
	Where string
}

func (r row) Kind() string  { return kindWord(r.KeywordRule.Kind) }
func (r row) Hours() string { return hours(r.FromMinute, r.ToMinute) }
func (r row) First() string { return r.Replies[0] }
func (r row) More() int     { return len(r.Replies) - 1 }

type listData struct {
	Rows     console.Rows[row]
	Total    int64 // rules that the filters leave
	Search   string
	Chips    []console.Link
	Kept     []console.Link // the other filters, for the forms: name and value
	Fields   console.Fields
	Groups   []console.Option // whose rules are shown
	Places   []console.Option // where something is tried
	Filtered bool
	Change   bool
	Try      *trial // nil: nothing was tried
}

// loadList lists the rules, and tries what somebody wants to try.
func (f *feature) loadList(ctx context.Context, tx *store.Tx, v console.Visit) (any, error) {
	filter := store.KeywordFilter{Search: strings.TrimSpace(v.Query.Get("q")), Before: v.Before, Limit: v.Limit}
	if k := store.KeywordKind(v.Query.Get("kind")); kindWord(k) != string(k) { // one of those we know
		filter.Kind = k
	}
	if s := v.Query.Get("state"); s == "on" || s == "off" {
		on := s == "on"
		filter.Enabled = &on
	}
	if id, err := strconv.ParseInt(v.Query.Get("group"), 10, 64); err == nil && id >= 0 {
		filter.GroupID = &id
	}
	rules, err := tx.KeywordRules(ctx, filter)
	if err != nil {
		return nil, err
	}
	total, err := tx.CountKeywordRules(ctx, filter)
	if err != nil {
		return nil, err
	}
	names, err := groupNames(ctx, tx, rules)
	if err != nil {
		return nil, err
	}
	rows := make([]row, len(rules))
	for i, r := range rules {
		rows[i] = row{r, whereOf(r.GroupID, names)}
	}
	groups, err := console.GroupChoices(ctx, tx)
	if err != nil {
		return nil, err
	}
	data := listData{
		Rows: console.Paged(v, rows, func(r row) int64 { return r.ID }), Total: total, Search: filter.Search,
		Groups: groups, Places: append(console.Options("0", "私聊"), groups[1:]...), Change: v.Operator.Role.Covers(store.Staff),
		Filtered: filter.Search != "" || filter.Kind != "" || filter.Enabled != nil || filter.GroupID != nil,
		Fields:   v.Fields("group", v.Query.Get("group"), "in", v.Query.Get("in"), "at", v.Query.Get("at"), "try", v.Query.Get("try")),
	}
	for _, k := range []store.KeywordKind{store.KeywordExact, store.KeywordContains, store.KeywordRegexp} {
		data.Chips = append(data.Chips, v.Chip("kind", string(k), kindWord(k), k == filter.Kind))
	}
	data.Chips = append(data.Chips,
		v.Chip("state", "on", "启用中", filter.Enabled != nil && *filter.Enabled),
		v.Chip("state", "off", "已停用", filter.Enabled != nil && !*filter.Enabled))
	if filter.Search != "" {
		data.Chips = append(data.Chips, v.Chip("q", "", filter.Search, true))
	}
	for _, name := range []string{"kind", "state", "group", "q"} {
		if value := v.Query.Get(name); value != "" {
			data.Kept = append(data.Kept, console.Link{Text: name, To: value})
		}
	}
	if text := strings.TrimSpace(v.Query.Get("try")); text != "" {
		data.Try, err = f.try(ctx, tx, v, text)
	}
	return data, err
}

// A trial is what the rules would do with a text.
type trial struct {
	Text    string
	Won     *verdict  // nil: no rule answers
	Reply   string    // what it would say next
	Wait    string    // how long it is still silent, empty: it answers
	Others  []verdict // the runners-up, and those that are not awake, in order
	More    bool      // there are more of them
	Where   string
	Minutes string
}

type verdict struct {
	ID      int64
	Kind    string
	Pattern string
	Why     string
	Asleep  bool
}

// triedOthers is how many runners-up a trial shows.
const triedOthers = 8

// try asks the rules about a text, in a group and at a time of day. Nothing is
// counted.
func (f *feature) try(ctx context.Context, tx *store.Tx, v console.Visit, text string) (*trial, error) {
	group, err := strconv.ParseInt(v.Query.Get("in"), 10, 64)
	if err != nil || group < 0 {
		group = 0
	}
	names, err := tx.GroupNames(ctx, []int64{group})
	if err != nil {
		return nil, err
	}
	minute, err := parseClock(v.Query.Get("at"))
	if err != nil {
		minute = minuteOf(v.Now, f.Zone)
	}
	m, err := f.matcher(ctx, tx)
	if err != nil {
		return nil, err
	}
	t := &trial{Text: store.Clip(text, 200), Where: whereOf(group, names), Minutes: clock(minute)}
	if group == 0 {
		t.Where = "私聊"
	}
	var won *rule
	for r := range m.matches(group, fold(store.Clip(text, maxReply)), -1) {
		one := verdict{ID: r.id, Kind: kindWord(r.kind), Pattern: r.pattern, Asleep: !activeAt(r.from, r.to, minute)}
		switch {
		case one.Asleep:
			one.Why = "只在 " + hours(r.from, r.to) + " 回答"
		case won == nil:
			won = r
			one.Why = standing(r)
			t.Won = &one
			continue
		default:
			_, why := compare(won, r)
			one.Why = fmt.Sprintf("让给 #%d：%s", won.id, why)
		}
		if len(t.Others) == triedOthers {
			t.More = true
			break
		}
		t.Others = append(t.Others, one)
	}
	if won == nil {
		return t, nil
	}
	stored, err := tx.KeywordRule(ctx, won.id)
	if err != nil {
		return nil, err
	}
	t.Reply = won.replies[stored.Hits%int64(len(won.replies))]
	if won.cooldown == 0 || group == 0 {
		return t, nil
	}
	last, err := tx.KeywordAnsweredAt(ctx, won.id, group)
	if errors.Is(err, store.ErrNotFound) {
		return t, nil
	}
	if wait := last.Add(won.cooldown).Sub(v.Now); err == nil && wait > 0 {
		t.Wait = span(wait)
	}
	return t, err
}

// parseClock reads a time of day such as 08:30.
func parseClock(text string) (minute int, err error) {
	t, err := time.Parse("15:04", text)
	return t.Hour()*60 + t.Minute(), err
}

// changeMany turns the chosen rules on or off, or deletes them.
func (f *feature) changeMany(ctx context.Context, tx *store.Tx, v console.Visit) (console.Result, error) {
	var ids []int64
	for _, text := range v.Form["id"] {
		if id, err := strconv.ParseInt(text, 10, 64); err == nil && len(ids) <= console.PageSize {
			ids = append(ids, id)
		}
	}
	if len(ids) == 0 {
		return console.Result{}, console.Invalid("", "请先选中几条关键词。")
	}
	return f.turn(ctx, tx, v.Value("do"), ids)
}

// turn does one thing with rules.
func (f *feature) turn(ctx context.Context, tx *store.Tx, do string, ids []int64) (console.Result, error) {
	numbers := strings.Trim(strings.ReplaceAll(fmt.Sprint(ids), " ", ","), "[]")
	done := console.Result{Object: "keyword " + store.Clip(numbers, 60), Detail: numbers}
	switch do {
	case "enable", "disable":
		if err := tx.SetKeywordsEnabled(ctx, ids, do == "enable"); err != nil {
			return done, err
		}
		if err := f.checkLoose(ctx, tx); err != nil {
			return done, invalid(err)
		}
		done.Message, done.Detail = "已停用。", "停用 "+numbers
		if do == "enable" {
			done.Message, done.Detail = "已启用。", "启用 "+numbers
		}
	case "delete":
		n, err := tx.DeleteKeywordRules(ctx, ids)
		if err != nil {
			return done, err
		}
		done.Message, done.Detail, done.Redirect = fmt.Sprintf("已删除 %d 条。", n), "删除 "+numbers, listPath
	default:
		return done, console.Invalid("", "没有这个操作。")
	}
	return done, nil
}

// invalid shows a refusal beside its field.
func invalid(err error) error {
	if no, refused := errors.AsType[refusal](err); refused {
		return console.Invalid(no.field, no.text)
	}
	return err
}

type ruleData struct {
	Rule    *row // nil: it is being made
	Fields  console.Fields
	Kinds   []console.Option
	Groups  []console.Option
	States  []console.Option
	Preview preview
	Before  []verdict // rules that go before it, were its own pattern said
	After   []verdict
	Change  bool
}

// A preview is how a conversation would look.
type preview struct {
	Said    string
	Replies []string
}

// Heading implements console.Headed.
func (d ruleData) Heading() (title, purpose string) {
	if d.Rule == nil {
		return "添加关键词", "写下词和回复，旁边是群里看到的样子。"
	}
	state := "启用中"
	if !d.Rule.Enabled {
		state = "已停用"
	}
	return d.Rule.Pattern, fmt.Sprintf("关键词 #%d · %s · %s · %s", d.Rule.ID, d.Rule.Kind(), d.Rule.Where, state)
}

func (f *feature) loadNew(ctx context.Context, tx *store.Tx, v console.Visit) (any, error) {
	return f.form(ctx, tx, v, store.KeywordRule{Kind: store.KeywordContains, Enabled: true})
}

func (f *feature) loadRule(ctx context.Context, tx *store.Tx, v console.Visit) (any, error) {
	id, err := v.ID("id")
	if err != nil {
		return nil, err
	}
	r, err := tx.KeywordRule(ctx, id)
	if err != nil {
		return nil, err
	}
	data, err := f.form(ctx, tx, v, r)
	if err != nil {
		return nil, err
	}
	names, err := groupNames(ctx, tx, []store.KeywordRule{r})
	if err != nil {
		return nil, err
	}
	data.Rule = &row{r, whereOf(r.GroupID, names)}
	before, after, err := f.neighbours(ctx, tx, r, 5)
	own := newRule(r)
	for _, other := range before {
		_, why := compare(other, own)
		data.Before = append(data.Before, verdict{ID: other.id, Kind: kindWord(other.kind), Pattern: other.pattern, Why: why})
	}
	for _, other := range after {
		_, why := compare(own, other)
		data.After = append(data.After, verdict{ID: other.id, Kind: kindWord(other.kind), Pattern: other.pattern, Why: why})
	}
	return data, err
}

func (f *feature) form(ctx context.Context, tx *store.Tx, v console.Visit, r store.KeywordRule) (ruleData, error) {
	groups, err := console.GroupChoices(ctx, tx)
	from, to := "", ""
	if r.FromMinute != r.ToMinute {
		from, to = clock(r.FromMinute), clock(r.ToMinute)
	}
	data := ruleData{
		Kinds: console.Options(store.KeywordContains, "包含：话里有这个词", store.KeywordExact, "等于：整句话就是这个词",
			store.KeywordRegexp, "正则：RE2 表达式"),
		Groups: groups, States: console.Options("on", "启用", "off", "停用"), Change: v.Operator.Role.Covers(store.Staff),
		Fields: v.Fields("kind", r.Kind, "pattern", r.Pattern, "group", r.GroupID, "replies", joinReplies(r.Replies), "priority", r.Priority,
			"cooldown", r.CooldownSeconds, "from", from, "to", to, "state", stateOf(r.Enabled)),
	}
	data.Preview = preview{data.Fields.Value("pattern"), splitReplies(data.Fields.Value("replies"))}
	return data, err
}

func stateOf(enabled bool) string {
	if enabled {
		return "on"
	}
	return "off"
}

// read reads a rule from the form, into what it was.
func (f *feature) read(ctx context.Context, tx *store.Tx, v console.Visit, r store.KeywordRule) (store.KeywordRule, error) {
	var err error
	r.Kind, r.Pattern, r.Replies = store.KeywordKind(v.Value("kind")), v.Value("pattern"), splitReplies(v.Value("replies"))
	r.Enabled = v.Value("state") != "off"
	if r.GroupID, err = strconv.ParseInt(v.Value("group"), 10, 64); err != nil || r.GroupID < 0 {
		return r, refuse("group", "请选一个群。")
	}
	if r.GroupID != 0 {
		if _, err := tx.Group(ctx, r.GroupID); errors.Is(err, store.ErrNotFound) {
			return r, refuse("group", "没有这个群。")
		} else if err != nil {
			return r, err
		}
	}
	for _, field := range []struct {
		name string
		into *int
	}{{"priority", &r.Priority}, {"cooldown", &r.CooldownSeconds}} {
		text := v.Value(field.name)
		if text == "" {
			text = "0"
		}
		if *field.into, err = strconv.Atoi(text); err != nil {
			return r, refuse(field.name, "要写一个整数。")
		}
	}
	from, to := v.Value("from"), v.Value("to")
	r.FromMinute, r.ToMinute = 0, 0
	if from == "" && to == "" {
		return f.checkNew(ctx, tx, r)
	}
	if r.FromMinute, err = parseClock(from); err != nil {
		return r, refuse("from", "开始和结束要一起写，例如 22:00 和 09:00；都不写就是全天。")
	}
	if r.ToMinute, err = parseClock(to); err != nil {
		return r, refuse("to", "开始和结束要一起写，例如 22:00 和 09:00；都不写就是全天。")
	}
	if r.FromMinute == r.ToMinute {
		return r, refuse("to", "开始和结束不能一样；要全天都回答，就两个都不写。")
	}
	return f.checkNew(ctx, tx, r)
}

// create stores a new rule.
func (f *feature) create(ctx context.Context, tx *store.Tx, v console.Visit) (console.Result, error) {
	r, err := f.read(ctx, tx, v, store.KeywordRule{CreatedAt: v.Now})
	if err != nil {
		return console.Result{}, invalid(err)
	}
	if waits, done, err := f.wait(ctx, tx, v, change{New: r}); waits || err != nil {
		return done, err
	}
	r, err = tx.AddKeywordRule(ctx, r)
	return f.stored(ctx, tx, r, err, "已添加，现在就开始回答。")
}

// change does with one rule what the button says.
func (f *feature) change(ctx context.Context, tx *store.Tx, v console.Visit) (console.Result, error) {
	id, err := v.ID("id")
	if err != nil {
		return console.Result{}, err
	}
	r, err := tx.KeywordRule(ctx, id)
	if err != nil {
		return console.Result{}, err
	}
	if do := v.Value("do"); do != "save" {
		done, err := f.turn(ctx, tx, do, []int64{id})
		if do == "delete" {
			done.Detail = "删除：" + describe(r)
		}
		return done, err
	}
	old := r
	if r, err = f.read(ctx, tx, v, r); err != nil {
		return console.Result{}, invalid(err)
	}
	if waits, done, err := f.wait(ctx, tx, v, change{&old, r}); waits || err != nil {
		return done, err
	}
	return f.stored(ctx, tx, r, tx.SetKeywordRule(ctx, r), "已保存，下一句话起生效。")
}

// wait lets a change wait for a second person if its replies hold a sensitive
// word, and says so.
func (f *feature) wait(ctx context.Context, tx *store.Tx, v console.Visit, c change) (waits bool, done console.Result, err error) {
	// The frame runs a form once, so its operator and time name it.
	clearance, err := f.asked(ctx, tx, c, store.Key("keyword", "console", v.Operator.ID, v.Now.UnixNano()), v.Operator.ID, v.Now)
	if err != nil || clearance.Free() {
		return false, done, err
	}
	id := clearance.Approval.ID
	return true, console.Result{
		Object: fmt.Sprintf("approval %d", id), Detail: "等第二个人通过：" + describe(c.New), Redirect: listPath,
		Message: fmt.Sprintf("回复里有敏感词（%s），还没有生效。要另一位经理在“待审”里看过：#%d。", clearance.Hits, id),
	}, nil
}

// stored ends a change of r that returned err.
func (f *feature) stored(ctx context.Context, tx *store.Tx, r store.KeywordRule, err error, message string) (console.Result, error) {
	if errors.Is(err, store.ErrExists) { // another operator was quicker
		err = refuse("pattern", "刚刚有人添加了同样的关键词。")
	}
	if err == nil && r.Kind == store.KeywordRegexp {
		err = f.checkLoose(ctx, tx)
	}
	return console.Result{Object: objectOf(r.ID), Detail: describe(r), Redirect: fmt.Sprintf("%s/%d", listPath, r.ID), Message: message}, invalid(err)
}
