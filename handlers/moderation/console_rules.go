package moderation

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"qunbot/store"
	"qunbot/web/console"
)

const (
	rulesPath   = listPath + "/rules"
	maxRuleName = 30  // characters
	maxWindow   = 180 // days: strikes are kept no longer
)

func (f *feature) rulesPage() console.Page {
	return console.Page{
		Path: "/moderation/rules", Title: "规则", Purpose: "碰到什么，第几次，怎么处理。", Group: console.Daily, Menu: menuWord, Icon: "shield",
		Role: store.Analyst, Change: store.Manager,
		FS: files, Template: "rules.html", Style: "moderation.css", Load: f.loadRules, Post: f.setTally,
	}
}

func (f *feature) newRulePage() console.Page {
	return console.Page{
		Path: "/moderation/rules/new", Title: "添加规则", Purpose: "先选看什么，再写怎么处理。", Role: store.Manager,
		FS: files, Template: "rule.html", Style: "moderation.css", Load: f.loadNewRule, Post: f.addRule,
	}
}

func (f *feature) rulePage() console.Page {
	return console.Page{
		Path: "/moderation/rules/{id}", Title: "规则", Role: store.Analyst, Change: store.Manager,
		FS: files, Template: "rule.html", Style: "moderation.css", Load: f.loadRule, Post: f.changeRule,
	}
}

// A kindInfo says what a kind of rule is, and how far a channel can tell.
type kindInfo struct {
	Kind        Kind
	Name, About string
}

// kinds lists the kinds of rules, as operators read of them.
func kinds() []kindInfo {
	return []kindInfo{
		{KindWords, "敏感词", "话里有敏感词：全部的、一个分类的，或者一个级别的。"},
		{KindLink, "链接", "话里有网址，或者发来的是链接卡片、名片（卡片只有 1:1 的微信客服和应用里听得到）。"},
		{KindContact, "链接或联系方式", "话里有网址、手机号、邮箱，或者叫人加微信、加 QQ、私聊。适合管新人的头几分钟。"},
		{KindImage, "图片", "消息里有图片。机器人看不出图里是不是二维码；内部群里只听得到@它的图文消息，客户群里什么也听不到。"},
		{KindFlood, "刷屏", "同一个人在同一个群里，短时间内说了很多条。只数机器人听得到的。"},
		{KindRepeat, "重复", "同一个人在同一个群里，把同一句话说了很多遍。"},
		{KindMentionAll, "@所有人", "文字里写着“@所有人”。平台不告诉机器人谁被@了，只能看文字。"},
		{KindLength, "太长", "一条消息的字太多。"},
	}
}

// kindOf returns what is said of a kind, and whether there is such a kind.
func kindOf(k Kind) (kindInfo, bool) {
	for _, info := range kinds() {
		if info.Kind == k {
			return info, true
		}
	}
	return kindInfo{Kind: k, Name: string(k)}, false
}

// ruleRow is a rule as pages show it.
type ruleRow struct {
	store.ModerationRule
	Spec   Spec
	Broken bool // it cannot be read
	Hits   int64
	Where  string
}

// Trigger says what the rule looks for.
func (r ruleRow) Trigger() string { return r.Spec.String() }

// String says what a rule looks for.
func (s Spec) String() string {
	info, _ := kindOf(s.Kind)
	switch s.Kind {
	case KindWords:
		text := "敏感词"
		if s.Level != "" {
			text += "，级别是" + levelWord(s.Level)
		}
		if s.Category != "" {
			text += "，分类是" + s.Category
		}
		return text
	case KindFlood:
		return fmt.Sprintf("%s内说 %d 条", span(s.Seconds), s.Count)
	case KindRepeat:
		return fmt.Sprintf("%s内把一句话说 %d 遍", span(s.Seconds), s.Count)
	case KindLength:
		return fmt.Sprintf("一条有 %d 个字以上", s.Count)
	}
	return info.Name
}

// Conditions says where and when the rule holds.
func (r ruleRow) Conditions() string {
	parts := []string{r.Where}
	if r.Spec.Newcomer > 0 {
		parts = append(parts, "新人头 "+span(r.Spec.Newcomer*60))
	}
	if r.Spec.From != "" {
		parts = append(parts, r.Spec.From+"–"+r.Spec.To)
	}
	if r.Spec.Staff {
		parts = append(parts, "运营也算")
	}
	return strings.Join(parts, "，")
}

// Ladder says what follows, step by step.
func (r ruleRow) Ladder() (lines []string) {
	for _, s := range r.Spec.Steps {
		text := s.String()
		if r.Spec.Counts {
			text = fmt.Sprintf("第 %d 次起 %s", s.From, text)
		}
		lines = append(lines, text)
	}
	if !r.Spec.Counts {
		lines = append(lines, "不计次")
	}
	return lines
}

// String says what follows in a step.
func (s Step) String() string {
	parts := []string{map[Do]string{DoLog: "只记下来", DoRemind: "提醒", DoWarn: "警告"}[s.Do]}
	if s.Points > 0 {
		parts = append(parts, fmt.Sprintf("扣 %d 分", s.Points))
	}
	if s.Suspend > 0 {
		parts = append(parts, fmt.Sprintf("停用 %d 天", s.Suspend))
	}
	if s.Remove {
		parts = append(parts, "移出应用群聊")
	}
	if s.Owner {
		parts = append(parts, "请群主撤回")
	} else if s.Staff {
		parts = append(parts, "告诉运营")
	}
	return strings.Join(parts, "、")
}

// StateWord is what the rule's state is called.
func (r ruleRow) StateWord() string {
	if r.Broken {
		return "读不懂，没有生效"
	}
	return map[store.RuleState]string{store.RuleOff: "关", store.RuleDry: "试运行", store.RuleOn: "开"}[r.State]
}

// Mark is how the rule's state is marked.
func (r ruleRow) Mark() string {
	if r.Broken {
		return "bad"
	}
	return map[store.RuleState]string{store.RuleOff: "quiet", store.RuleDry: "warn", store.RuleOn: "good"}[r.State]
}

// stepState is how what follows is marked.
func stepState(s Step) string {
	switch {
	case s.Owner || s.Remove || s.Suspend > 0:
		return "bad"
	case s.Do == DoWarn:
		return "warn"
	}
	return "quiet"
}

type rulesData struct {
	Rules  []ruleRow
	Fields console.Fields
	Window int
	Change bool
}

// loadRules lists the rules, with their hits of the last 7 days.
func (f *feature) loadRules(ctx context.Context, tx *store.Tx, v console.Visit) (any, error) {
	rows, err := f.ruleRows(ctx, tx)
	if err != nil {
		return nil, err
	}
	counts, err := tx.HitCounts(ctx, v.Now.Add(-7*day))
	if err != nil {
		return nil, err
	}
	for i := range rows {
		for _, c := range counts {
			if c.RuleID == rows[i].ID {
				rows[i].Hits += c.N
			}
		}
	}
	t, err := f.tally(ctx, tx)
	return rulesData{rows, v.Fields("window", t.Window), t.Window, v.Operator.Role.Covers(store.Manager)}, err
}

func (f *feature) ruleRows(ctx context.Context, tx *store.Tx) ([]ruleRow, error) {
	stored, err := tx.ModerationRules(ctx)
	if err != nil {
		return nil, err
	}
	rows := make([]ruleRow, len(stored))
	for i, s := range stored {
		if rows[i], err = f.ruleRow(ctx, tx, s); err != nil {
			return nil, err
		}
	}
	return rows, nil
}

func (f *feature) ruleRow(ctx context.Context, tx *store.Tx, s store.ModerationRule) (ruleRow, error) {
	r, err := ruleOf(s)
	row := ruleRow{ModerationRule: s, Spec: r.Spec, Broken: err != nil, Where: "所有群和私聊"}
	if len(r.Groups) == 0 {
		return row, nil
	}
	names, err := tx.GroupNames(ctx, r.Groups)
	list := make([]string, len(r.Groups))
	for i, g := range r.Groups {
		list[i] = placeOf(g, names)
	}
	row.Where = strings.Join(list, "、")
	return row, err
}

// setTally changes for how many days strikes add up.
func (f *feature) setTally(ctx context.Context, tx *store.Tx, v console.Visit) (console.Result, error) {
	days, err := strconv.Atoi(v.Value("window"))
	if err != nil || days < 1 || days > maxWindow {
		return console.Result{}, console.Invalid("window", fmt.Sprintf("要写 1 到 %d 之间的整数。", maxWindow))
	}
	err = tx.SetSetting(ctx, tallySetting, tally{days})
	return console.Result{Object: "违规累计", Detail: fmt.Sprintf("%d 天", days), Message: "已保存，下一次违规起生效。"}, err
}

type ruleData struct {
	Rule       *ruleRow // nil: one is being added
	Kind       kindInfo
	Kinds      []kindInfo // to choose from; empty: it is chosen
	Fields     console.Fields
	Levels     []console.Option
	Categories []console.Option
	Groups     []groupChoice
	Steps      []int
	Dos        []console.Option
	States     []console.Option
	Change     bool
}

type groupChoice struct {
	console.Option
	On bool
}

// Heading implements console.Headed.
func (d ruleData) Heading() (title, purpose string) {
	switch {
	case d.Rule != nil:
		return d.Rule.Name, fmt.Sprintf("规则 #%d · %s · %s", d.Rule.ID, d.Rule.Trigger(), d.Rule.StateWord())
	case d.Kind.Name != "":
		return "添加规则：" + d.Kind.Name, d.Kind.About
	}
	return "添加规则", "先选看什么，再写怎么处理。"
}

func (f *feature) loadNewRule(ctx context.Context, tx *store.Tx, v console.Visit) (any, error) {
	info, ok := kindOf(Kind(v.Query.Get("kind")))
	if !ok {
		return ruleData{Kinds: kinds()}, nil
	}
	s := Spec{Kind: info.Kind, Counts: true, Steps: []Step{{From: 1, Do: DoRemind, Staff: true}, {From: 3, Do: DoWarn, Staff: true}}}
	switch info.Kind {
	case KindFlood:
		s.Count, s.Seconds = 8, 60
	case KindRepeat:
		s.Count, s.Seconds = 3, 600
	case KindLength:
		s.Count = 500
	case KindContact, KindImage:
		s.Newcomer = 60
	}
	return f.ruleForm(ctx, tx, v, nil, s)
}

func (f *feature) loadRule(ctx context.Context, tx *store.Tx, v console.Visit) (any, error) {
	id, err := v.ID("id")
	if err != nil {
		return nil, err
	}
	stored, err := tx.ModerationRule(ctx, id)
	if err != nil {
		return nil, err
	}
	row, err := f.ruleRow(ctx, tx, stored)
	if err != nil {
		return nil, err
	}
	counts, err := tx.HitCounts(ctx, v.Now.Add(-7*day))
	if err != nil {
		return nil, err
	}
	for _, c := range counts {
		if c.RuleID == id {
			row.Hits += c.N
		}
	}
	return f.ruleForm(ctx, tx, v, &row, row.Spec)
}

// ruleForm returns the form of a rule.
func (f *feature) ruleForm(ctx context.Context, tx *store.Tx, v console.Visit, row *ruleRow, s Spec) (ruleData, error) {
	info, _ := kindOf(s.Kind)
	data := ruleData{
		Rule: row, Kind: info, Change: v.Operator.Role.Covers(store.Manager),
		Levels: console.Options("", "哪个级别都算", store.LevelRemind, "只看提醒", store.LevelWarn, "只看警告", store.LevelBlock, "只看拦截"),
		Dos:    console.Options(DoLog, "只记下来", DoRemind, "提醒：照常处理", DoWarn, "警告：拦下"),
		States: console.Options(store.RuleDry, "试运行：只记下来，不做别的", store.RuleOn, "开", store.RuleOff, "关"),
	}
	name, state := info.Name, store.RuleDry
	if row != nil {
		name, state = row.Name, row.State
	}
	fields := []any{"name", name, "state", state, "category", s.Category, "level", s.Level, "count", s.Count, "seconds", s.Seconds,
		"newcomer", s.Newcomer, "from", s.From, "to", s.To, "staff", tick(v, s.Staff), "counts", tick(v, s.Counts)}
	for i := range maxSteps {
		n := strconv.Itoa(i + 1)
		data.Steps = append(data.Steps, i+1)
		step, from := Step{Do: DoWarn}, ""
		if i < len(s.Steps) {
			step, from = s.Steps[i], strconv.Itoa(s.Steps[i].From)
		}
		fields = append(fields, "from"+n, from, "do"+n, step.Do, "points"+n, step.Points, "suspend"+n, step.Suspend,
			"staff"+n, tick(v, step.Staff), "owner"+n, tick(v, step.Owner), "remove"+n, tick(v, step.Remove))
	}
	data.Fields = v.Fields(fields...)
	categories, err := tx.WordCategories(ctx)
	if err != nil {
		return data, err
	}
	if s.Category != "" && !slices.Contains(categories, s.Category) {
		categories = append(categories, s.Category)
	}
	data.Categories = console.Options("", "哪个分类都算")
	for _, c := range categories {
		data.Categories = append(data.Categories, console.Option{Value: c, Label: "只看“" + c + "”"})
	}
	groups, err := console.GroupChoices(ctx, tx)
	if err != nil {
		return data, err
	}
	for _, g := range groups[1:] {
		id, _ := strconv.ParseInt(g.Value, 10, 64)
		on := slices.Contains(s.Groups, id)
		if v.Form != nil {
			on = slices.Contains(v.Form["groups"], g.Value)
		}
		data.Groups = append(data.Groups, groupChoice{g, on})
	}
	return data, nil
}

// tick is the value of a box; where a form is shown again, only what was typed
// counts.
func tick(v console.Visit, on bool) string {
	if on && v.Form == nil {
		return "1"
	}
	return ""
}

// readRule reads the form of a rule.
func (f *feature) readRule(ctx context.Context, tx *store.Tx, v console.Visit, kind Kind) (r store.ModerationRule, err error) {
	r.Name, r.State = v.Value("name"), store.RuleState(v.Value("state"))
	switch n := utf8.RuneCountInString(r.Name); {
	case n == 0:
		return r, refuse("name", "请给规则起个名字。")
	case n > maxRuleName:
		return r, refuse("name", "名字最多 %d 个字。", maxRuleName)
	}
	if !slices.Contains([]store.RuleState{store.RuleOff, store.RuleDry, store.RuleOn}, r.State) {
		return r, refuse("state", "请选一个状态。")
	}
	s := Spec{Kind: kind, From: v.Value("from"), To: v.Value("to"), Staff: v.Value("staff") != "", Counts: v.Value("counts") != ""}
	numbers := map[string]*int{"newcomer": &s.Newcomer}
	switch kind {
	case KindWords:
		s.Category, s.Level = v.Value("category"), store.WordLevel(v.Value("level"))
		if s.Level != "" && !slices.Contains([]store.WordLevel{store.LevelRemind, store.LevelWarn, store.LevelBlock}, s.Level) {
			return r, refuse("level", "请选一个级别。")
		}
		if utf8.RuneCountInString(s.Category) > maxCategory {
			return r, refuse("category", "分类最多 %d 个字。", maxCategory)
		}
	case KindFlood, KindRepeat:
		numbers["count"], numbers["seconds"] = &s.Count, &s.Seconds
	case KindLength:
		numbers["count"] = &s.Count
	}
	for _, name := range []string{"newcomer", "count", "seconds"} {
		if into := numbers[name]; into != nil {
			if *into, err = whole(v, name); err != nil {
				return r, err
			}
		}
	}
	if s.Groups, err = f.readGroups(ctx, tx, v); err != nil {
		return r, err
	}
	if s.Steps, err = readSteps(v); err != nil {
		return r, err
	}
	if err := s.check(); err != nil {
		return r, err
	}
	text, err := json.Marshal(s)
	r.Spec, r.UpdatedAt = string(text), v.Now
	return r, err
}

// whole reads a whole number; nothing is 0.
func whole(v console.Visit, name string) (int, error) {
	text := v.Value(name)
	if text == "" {
		return 0, nil
	}
	n, err := strconv.Atoi(text)
	if err != nil {
		return 0, refuse(name, "要写一个整数。")
	}
	return n, nil
}

func (f *feature) readGroups(ctx context.Context, tx *store.Tx, v console.Visit) ([]int64, error) {
	var groups []int64
	for _, text := range v.Form["groups"] {
		id, err := strconv.ParseInt(text, 10, 64)
		if err == nil {
			_, err = tx.Group(ctx, id)
		}
		if errors.Is(err, strconv.ErrSyntax) || errors.Is(err, store.ErrNotFound) {
			return nil, refuse("groups", "没有这个群。")
		}
		if err != nil {
			return nil, err
		}
		groups = append(groups, id)
	}
	if len(groups) > console.MaxChoices {
		return nil, refuse("groups", "最多选 %d 个群。", console.MaxChoices)
	}
	return groups, nil
}

// readSteps reads the ladder: rows without a number are left out.
func readSteps(v console.Visit) (steps []Step, err error) {
	for i := range maxSteps {
		n := strconv.Itoa(i + 1)
		if v.Value("from"+n) == "" {
			continue
		}
		s := Step{Do: Do(v.Value("do" + n)), Staff: v.Value("staff"+n) != "", Owner: v.Value("owner"+n) != "", Remove: v.Value("remove"+n) != ""}
		if s.From, err = whole(v, "from"+n); err != nil {
			return nil, err
		}
		points, err := whole(v, "points"+n)
		if err != nil {
			return nil, err
		}
		if s.Suspend, err = whole(v, "suspend"+n); err != nil {
			return nil, err
		}
		s.Points = int64(points)
		steps = append(steps, s)
	}
	return steps, nil
}

func (f *feature) addRule(ctx context.Context, tx *store.Tx, v console.Visit) (console.Result, error) {
	info, ok := kindOf(Kind(v.Query.Get("kind")))
	if !ok {
		return console.Result{}, console.Invalid("", "请先选看什么。")
	}
	r, err := f.readRule(ctx, tx, v, info.Kind)
	if err != nil {
		return console.Result{}, invalid(err)
	}
	if err := ruleRoom(ctx, tx, 1); err != nil {
		return console.Result{}, invalid(err)
	}
	r.CreatedBy, r.CreatedAt = v.Operator.ID, v.Now
	if r, err = tx.AddModerationRule(ctx, r); err != nil {
		return console.Result{}, err
	}
	return console.Result{Object: ruleObject(r.ID), Detail: describeRule(r), Redirect: fmt.Sprintf("%s/%d", rulesPath, r.ID), Message: "已添加“" + r.Name + "”，下一句话起生效。"}, nil
}

// ruleRoom refuses more rules than may be: each costs every message.
func ruleRoom(ctx context.Context, tx *store.Tx, more int) error {
	rules, err := tx.ModerationRules(ctx)
	if err == nil && len(rules)+more > maxRules {
		err = refuse("", "已经有 %d 条规则，最多 %d 条。请先删除不用的。", len(rules), maxRules)
	}
	return err
}

// changeRule does with one rule what the button says.
func (f *feature) changeRule(ctx context.Context, tx *store.Tx, v console.Visit) (console.Result, error) {
	id, err := v.ID("id")
	if err != nil {
		return console.Result{}, err
	}
	old, err := tx.ModerationRule(ctx, id)
	if err != nil {
		return console.Result{}, err
	}
	if v.Value("do") == "delete" {
		err := tx.DeleteModerationRule(ctx, id)
		return console.Result{Object: ruleObject(id), Detail: "删除：" + describeRule(old), Redirect: rulesPath, Message: "已删除“" + old.Name + "”。它命中过的记录还在。"}, err
	}
	was, err := ruleOf(old)
	if err != nil {
		return console.Result{}, console.Invalid("", "这条规则读不懂，只能删除了重新添加。")
	}
	r, err := f.readRule(ctx, tx, v, was.Kind)
	if err != nil {
		return console.Result{}, invalid(err)
	}
	r.ID = id
	err = tx.SetModerationRule(ctx, r)
	return console.Result{Object: ruleObject(id), Detail: describeRule(r), Message: "已保存，下一句话起生效。"}, err
}

func ruleObject(id int64) string { return fmt.Sprintf("moderation rule %d", id) }

// describeRule writes a rule down, for the audit trail.
func describeRule(r store.ModerationRule) string {
	return store.Clip(fmt.Sprintf("“%s”，%s，%s", r.Name, r.State, r.Spec), 2000)
}
