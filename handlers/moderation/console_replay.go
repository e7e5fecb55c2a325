package moderation

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"time"

	"qunbot/store"
	"qunbot/web/console"
)

func (f *feature) replayPage() console.Page {
	return console.Page{
		Path: "/moderation/replay", Title: "回放", Role: store.Staff,
		FS: files, Template: "replay.html", Style: "moderation.css", Load: f.loadReplay,
	}
}

// A replayRow is a hit of a replay as the page shows it.
type replayRow struct {
	Parts        []part
	Name         string
	Member       int64
	Where        string
	At           time.Time
	Rule         string
	RuleID       int64 // 0: the rule is not stored yet
	What         string
	Doubts       []string
	MoreDoubtful bool
}

// tallied is a name and how often it was hit.
type tallied struct {
	Name string
	N    int
}

type replayData struct {
	What     string       // is replayed
	Back     console.Link // where it is made or saved
	Rows     []replayRow
	Seen     int
	Skipped  int64 // older messages that were not replayed
	Hits     int
	Members  int
	Rules    []tallied
	Words    []tallied
	Pictures bool // some rules look for what is not stored
	Nothing  bool // there is no rule to replay
}

// Heading implements console.Headed.
func (d replayData) Heading() (title, purpose string) {
	return "回放：" + d.What, fmt.Sprintf("如果这 %d 天一直开着，会命中什么。只是看看，对谁都没有影响。", replayDays)
}

// loadReplay replays the stored messages against a rule, a list that is not
// saved yet, a preset, or all rules in force and on trial.
func (f *feature) loadReplay(ctx context.Context, tx *store.Tx, v console.Visit) (any, error) {
	r, data, err := f.replayOf(ctx, tx, v)
	if err != nil {
		return nil, err
	}
	r.ways, r.zone = f.Filter.ways, f.Zone
	t, err := f.tally(ctx, tx)
	if err != nil {
		return nil, err
	}
	if r.struck, err = tx.StruckMembers(ctx, t.after(v.Now)); err != nil {
		return nil, err
	}
	if r.staff, err = operatorMembers(ctx, tx); err != nil {
		return nil, err
	}
	yes := true
	phrases, err := tx.Words(ctx, store.WordFilter{Allow: &yes, Limit: maxWords})
	if err != nil {
		return nil, err
	}
	for _, p := range phrases {
		r.allow = append(r.allow, p.Folded)
	}
	data.Nothing = len(r.book.rules) == 0
	if data.Skipped, err = r.run(ctx, tx, v.Now.Add(-replayDays*day)); err != nil {
		return nil, err
	}
	return f.replayed(ctx, tx, r, data)
}

// replayOf returns what the address asks for.
func (f *feature) replayOf(ctx context.Context, tx *store.Tx, v console.Visit) (*replay, replayData, error) {
	number := func(name string) int64 {
		id, err := strconv.ParseInt(v.Query.Get(name), 10, 64)
		if err != nil {
			return 0
		}
		return id
	}
	switch {
	case v.Query.Get("rule") != "":
		return f.replayRule(ctx, tx, number("rule"))
	case v.Query.Get("import") != "":
		return f.replayImport(ctx, tx, number("import"))
	case v.Query.Get("preset") != "":
		return f.replayPreset(ctx, tx, v.Query.Get("preset"))
	}
	c, err := f.Filter.compiled(ctx, tx)
	if err != nil {
		return nil, replayData{}, err
	}
	return &replay{book: c.book, set: c.set}, replayData{What: "所有开着和试运行的规则", Back: console.Link{Text: "规则", To: rulesPath}}, nil
}

func (f *feature) replayRule(ctx context.Context, tx *store.Tx, id int64) (*replay, replayData, error) {
	data := replayData{}
	stored, err := tx.ModerationRule(ctx, id)
	if err != nil {
		return nil, data, err
	}
	rule, err := ruleOf(stored)
	if err != nil {
		return nil, data, fmt.Errorf("read rule %d: %w", id, err)
	}
	c, err := f.Filter.compiled(ctx, tx)
	if err != nil {
		return nil, data, err
	}
	data.What, data.Back = rule.Name, console.Link{Text: "这条规则", To: fmt.Sprintf("%s/%d", rulesPath, id)}
	return &replay{book: bookOf([]Rule{rule}), set: c.set}, data, nil
}

func (f *feature) replayImport(ctx context.Context, tx *store.Tx, id int64) (*replay, replayData, error) {
	data := replayData{}
	w, err := tx.WordImport(ctx, id)
	if err != nil {
		return nil, data, err
	}
	var d draft
	if err := json.Unmarshal([]byte(w.Body), &d); err != nil {
		return nil, data, fmt.Errorf("read import %d: %w", id, err)
	}
	rule := Rule{Name: "导入的词", Spec: Spec{Kind: KindWords}}
	if d.Group != 0 {
		rule.Groups = []int64{d.Group}
	}
	data.What, data.Back = w.Source, console.Link{Text: "核对要导入的词", To: fmt.Sprintf("%s/%d", importsPath, id)}
	r, err := f.replayItems(ctx, tx, d.Items, d.Group, []Rule{rule})
	return r, data, err
}

func (f *feature) replayPreset(ctx context.Context, tx *store.Tx, key string) (*replay, replayData, error) {
	data := replayData{}
	p, err := presetOf(key)
	if err != nil {
		return nil, data, err
	}
	items, err := p.items()
	if err != nil {
		return nil, data, err
	}
	rules := []Rule{{Name: "词库里的词", Spec: Spec{Kind: KindWords, Category: p.Name}}}
	for i, r := range p.Rules {
		if r.Kind != KindWords { // the first rule stands for those
			r.ID = int64(-1 - i)
			rules = append(rules, r)
		}
	}
	data.What, data.Back = p.Name, console.Link{Text: "这个词库", To: presetsPath + "/" + key}
	r, err := f.replayItems(ctx, tx, items, 0, rules)
	return r, data, err
}

// replayItems returns a replay of words that are not stored, together with the
// phrases that are allowed.
func (f *feature) replayItems(ctx context.Context, tx *store.Tx, items []item, group int64, rules []Rule) (*replay, error) {
	yes := true
	words, err := tx.Words(ctx, store.WordFilter{Allow: &yes, Limit: maxWords})
	if err != nil {
		return nil, err
	}
	words = append(words, wordsFrom(items, store.SensitiveWord{GroupID: group})...)
	set, err := newSet(words)
	return &replay{book: bookOf(rules), set: set}, err
}

// operatorMembers returns the members who are operators.
func operatorMembers(ctx context.Context, tx *store.Tx) (map[int64]bool, error) {
	operators, err := tx.Operators(ctx)
	if err != nil {
		return nil, err
	}
	ids := map[int64]bool{}
	for _, o := range operators {
		if o.UserID == "" {
			continue
		}
		m, err := tx.MemberByIdentity(ctx, store.UserID, o.UserID)
		if err == nil {
			ids[m.ID] = true
		} else if !errors.Is(err, store.ErrNotFound) {
			return nil, err
		}
	}
	return ids, nil
}

// replayed returns what a replay has found as the page shows it.
func (f *feature) replayed(ctx context.Context, tx *store.Tx, r *replay, data replayData) (replayData, error) {
	data.Seen, data.Hits, data.Members = r.seen, r.hits, len(r.members)
	names := map[int64]string{}
	for _, rule := range r.book.rules {
		names[rule.ID] = rule.Name
		data.Pictures = data.Pictures || rule.Kind == KindImage || rule.Kind == KindLink || rule.Kind == KindContact
		data.Rules = append(data.Rules, tallied{rule.Name, r.byRule[rule.ID]})
	}
	for _, word := range slices.Sorted(maps.Keys(r.byWord)) {
		data.Words = append(data.Words, tallied{word, r.byWord[word]})
	}
	slices.SortStableFunc(data.Words, func(a, b tallied) int { return cmp.Compare(b.N, a.N) })
	data.Words = data.Words[:min(20, len(data.Words))]
	var members, groups []int64
	for _, h := range r.kept {
		members, groups = append(members, h.MemberID), append(groups, h.GroupID)
	}
	people, err := tx.Names(ctx, members)
	if err != nil {
		return data, err
	}
	places, err := tx.GroupNames(ctx, groups)
	for _, h := range r.kept {
		row := replayRow{Parts: markedParts(h.Text, h.start, h.end), Name: people[h.MemberID], Member: h.MemberID, Where: "私聊", At: h.SentAt,
			Rule: names[h.Rule.ID], RuleID: max(0, h.Rule.ID), What: h.how, Doubts: h.doubts, MoreDoubtful: h.doubt >= 3}
		if row.Name == "" {
			row.Name = "会员 " + strconv.FormatInt(h.MemberID, 10)
		}
		if h.GroupID != 0 {
			row.Where = placeOf(h.GroupID, places)
		}
		if h.word.Text != "" {
			row.What = "“" + h.word.Text + "” · " + h.word.Level.String() + " · " + h.how
		}
		data.Rows = append(data.Rows, row)
	}
	return data, err
}

// markedParts cuts text around text[start:end], far from which it is shortened.
func markedParts(text string, start, end int) []part {
	const around = 60 // characters
	before, after := []rune(text[:start]), []rune(text[end:])
	if len(before) > around {
		before = append([]rune("…"), before[len(before)-around:]...)
	}
	parts := []part{{Text: string(before)}}
	if end > start {
		parts = append(parts, part{store.Clip(text[start:end], 200), true})
	}
	limit := around
	if start == end {
		limit = 3 * around
	}
	return append(parts, part{Text: store.Clip(string(after), limit)})
}
