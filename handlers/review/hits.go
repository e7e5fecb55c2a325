package review

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"qunbot/store"
	"qunbot/web/console"
)

const (
	hitsKept  = 30 * 24 * time.Hour // after which what was said is gone, and nobody can judge
	around    = 3                   // messages before and after one
	reach     = 2                   // characters of a phrase on either side of the word
	maxPhrase = 40                  // characters
)

func (f *feature) hitsPage() console.Page {
	return console.Page{
		Path: "/review/hits", Title: "命中", Purpose: "规则找到的话，一条一条看找得对不对。",
		Group: console.Daily, Menu: menu, Icon: "check", Role: store.Analyst, Change: store.Staff,
		FS: files, Template: "hits.html", Style: "review.css", Script: "hits.js", Load: f.loadHits, Post: f.judge,
	}
}

// unreviewed are the hits that are to be looked at.
func unreviewed(now time.Time) store.HitFilter {
	none := store.NotReviewed
	return store.HitFilter{Review: &none, Since: now.Add(-hitsKept)}
}

// A hitRow is a hit as the page shows it.
type hitRow struct {
	store.HitRow
	Rule, Name, Where string
	Parts             []part // what was said, as far as it is kept
	Kind, State       string // of its review: for the function state
	By                string
}

// Done says what was done.
func (h hitRow) Done() string {
	if h.Action == store.DryHit {
		return "试运行，什么也没做"
	}
	if h.StrikeID != 0 {
		return "计一次违规"
	}
	return "没有计次"
}

// A line is a message near one that was hit.
type line struct {
	Name  string
	At    time.Time
	Parts []part
	Here  bool // it is the one
}

type hitsData struct {
	Count   int64   // that are to be looked at
	Now     *hitRow // the one that is looked at; nil: none is left
	Lines   []line
	Strike  bool // it is a strike that counts, and may be undone
	Fields  console.Fields
	Rows    console.Rows[hitRow] // those that wait, or those that were looked at
	Done    bool                 // the rows are of what was looked at
	Change  bool
	Skipped int64 // number before which the next one is looked for
}

// Heading implements console.Headed.
func (d hitsData) Heading() (title, purpose string) {
	return "命中", "规则找到的话，一条一条看找得对不对。" + waits(d.Count)
}

// loadHits shows one hit in its context: that of ?id=, else the newest that
// nobody has looked at, or that is older than ?after=.
func (f *feature) loadHits(ctx context.Context, tx *store.Tx, v console.Visit) (any, error) {
	data := hitsData{Change: v.Operator.Role.Covers(store.Staff), Done: v.Query.Get("done") != ""}
	var err error
	if data.Count, err = tx.CountHits(ctx, unreviewed(v.Now)); err != nil {
		return nil, err
	}
	first := unreviewed(v.Now)
	first.Limit = 1
	if after, err := strconv.ParseInt(v.Query.Get("after"), 10, 64); err == nil && after > 0 {
		first.Before = after
	}
	id, err := strconv.ParseInt(v.Query.Get("id"), 10, 64)
	if v.Form != nil {
		id, err = strconv.ParseInt(v.Value("id"), 10, 64)
	}
	if err == nil && id > 0 {
		first = store.HitFilter{ID: id, Limit: 1}
	}
	found, err := tx.HitRows(ctx, first)
	if err != nil {
		return nil, err
	}
	if len(found) == 0 && first.Before > 0 { // what was skipped comes again
		first.Before = 0
		if found, err = tx.HitRows(ctx, first); err != nil {
			return nil, err
		}
	}
	if len(found) == 0 && first.ID != 0 {
		return nil, store.ErrNotFound
	}
	list := unreviewed(v.Now)
	if data.Done {
		list = store.HitFilter{Reviewed: true}
	}
	list.Before, list.Limit = v.Before, v.Limit
	rows, err := tx.HitRows(ctx, list)
	if err != nil {
		return nil, err
	}
	shown, err := f.hitRows(ctx, tx, append(found, rows...))
	if err != nil {
		return nil, err
	}
	data.Rows = console.Paged(v, shown[len(found):], func(h hitRow) int64 { return h.ID })
	if len(found) == 0 {
		return data, nil
	}
	data.Now, data.Skipped = &shown[0], found[0].ID
	return data, f.loadContext(ctx, tx, v, &data)
}

// loadContext fills in what stands around the hit that is looked at, and the
// form's fields.
func (f *feature) loadContext(ctx context.Context, tx *store.Tx, v console.Visit, data *hitsData) error {
	h := data.Now
	undo := ""
	if h.StrikeID != 0 {
		strikes, err := tx.StrikeRows(ctx, store.StrikeFilter{ID: h.StrikeID, Limit: 1})
		if err != nil {
			return err
		}
		if data.Strike = len(strikes) > 0 && strikes[0].UndoneAt == nil; data.Strike {
			undo = "on"
		}
	}
	if v.Form != nil {
		undo = v.Value("undo")
	}
	phrase := ""
	if h.Word != "" {
		phrase = phraseAround(h.Text, h.Start, h.End)
	}
	data.Fields = v.Fields("phrase", phrase, "undo", undo)
	said, err := tx.MessageByKey(ctx, h.Key)
	if errors.Is(err, store.ErrNotFound) {
		return nil
	}
	if err != nil {
		return err
	}
	near, err := tx.MessagesAround(ctx, said, around)
	if err != nil {
		return err
	}
	var members []int64
	for _, m := range near {
		members = append(members, m.MemberID)
	}
	names, err := tx.Names(ctx, members)
	for _, m := range near {
		l := line{Name: names[m.MemberID], At: m.SentAt, Parts: []part{{Text: m.Text}}, Here: m.ID == said.ID}
		if l.Name == "" {
			l.Name = "会员 " + strconv.FormatInt(m.MemberID, 10)
		}
		if l.Here {
			l.Parts = h.Parts
		}
		data.Lines = append(data.Lines, l)
	}
	return err
}

func (f *feature) hitRows(ctx context.Context, tx *store.Tx, list []store.HitRow) ([]hitRow, error) {
	var members, groups []int64
	for _, h := range list {
		members, groups = append(members, h.MemberID), append(groups, h.GroupID)
	}
	names, err := tx.Names(ctx, members)
	if err != nil {
		return nil, err
	}
	places, err := tx.GroupNames(ctx, groups)
	if err != nil {
		return nil, err
	}
	rules, err := ruleNames(ctx, tx)
	if err != nil {
		return nil, err
	}
	operators, err := operatorNames(ctx, tx)
	rows := make([]hitRow, len(list))
	for i, h := range list {
		r := hitRow{HitRow: h, Rule: ruleName(rules, h.RuleID), Name: names[h.MemberID], Where: place(h.GroupID, places), By: operators[h.ReviewedBy]}
		if r.Name == "" {
			r.Name = "会员 " + strconv.FormatInt(h.MemberID, 10)
		}
		r.Parts = cutAt(h.Text, [][2]int{{h.Start, h.End}})
		switch h.Review {
		case store.HitRight:
			r.Kind, r.State = "good", "对"
		case store.HitWrong:
			r.Kind, r.State = "bad", "错"
		case store.HitAllowed:
			r.Kind, r.State = "bad", "错，已放行"
		case store.HitRaised:
			r.Kind, r.State = "good", "对，已升级"
		default:
			r.Kind, r.State = "warn", "待看"
		}
		rows[i] = r
	}
	return rows, err
}

// ruleNames returns what rules are called.
func ruleNames(ctx context.Context, tx *store.Tx) (map[int64]string, error) {
	rules, err := tx.ModerationRules(ctx)
	names := make(map[int64]string, len(rules))
	for _, r := range rules {
		names[r.ID] = r.Name
	}
	return names, err
}

func ruleName(names map[int64]string, rule int64) string {
	if name := names[rule]; name != "" {
		return name
	}
	return fmt.Sprintf("规则 #%d（已删除）", rule)
}

// phraseAround returns the word at bytes start to end of text with a few
// characters of the same clause on either side: what may be allowed. It is
// empty where nothing stands around the word.
func phraseAround(text string, start, end int) string {
	if start < 0 || end > len(text) || start >= end || !utf8.ValidString(text) {
		return ""
	}
	counts := func(r rune) bool { return unicode.IsLetter(r) || unicode.IsDigit(r) }
	from, to := start, end
	for range reach {
		r, size := utf8.DecodeLastRuneInString(text[:from])
		if size == 0 || !counts(r) {
			break
		}
		from -= size
	}
	for range reach {
		r, size := utf8.DecodeRuneInString(text[to:])
		if size == 0 || !counts(r) {
			break
		}
		to += size
	}
	if phrase := text[from:to]; phrase != text[start:end] && utf8.RuneCountInString(phrase) <= maxPhrase {
		return phrase
	}
	return ""
}

// judge notes what an operator thinks of a hit, and does what follows from it.
func (f *feature) judge(ctx context.Context, tx *store.Tx, v console.Visit) (console.Result, error) {
	fail := func(field, problem string) (console.Result, error) {
		return console.Result{}, console.Invalid(field, problem)
	}
	id, err := strconv.ParseInt(v.Value("id"), 10, 64)
	if err != nil {
		return fail("", "没有这一条，请刷新页面再试。")
	}
	found, err := tx.HitRows(ctx, store.HitFilter{ID: id, Limit: 1})
	if err != nil {
		return console.Result{}, err
	}
	if len(found) == 0 {
		return fail("", "没有这一条，请刷新页面再试。")
	}
	h := found[0]
	verdict := map[string]store.HitReview{"right": store.HitRight, "wrong": store.HitWrong, "allow": store.HitAllowed, "raise": store.HitRaised}[v.Value("do")]
	if verdict == store.NotReviewed {
		return fail("", "没有这个操作。")
	}
	set, err := tx.SetHitReview(ctx, id, store.HitReview(v.Value("was")), verdict, v.Operator.ID, v.Now)
	if err != nil {
		return console.Result{}, err
	}
	if !set {
		return fail("", "刚刚有人看过这一条了，下面是现在的结果。")
	}
	// What was just looked at is not shown again, what was skipped may be.
	done := console.Result{Object: fmt.Sprintf("hit %d", id), Redirect: hitsPath + "?after=" + strconv.FormatInt(id, 10)}
	what := []string{string(verdict)}
	phrase := v.Value("phrase")
	switch verdict {
	case store.HitRight:
		done.Message = "记下了：找得对。"
	case store.HitRaised:
		if h.Word == "" {
			return fail("", "这条规则不看词，要更严请到“敏感词”的规则里改。")
		}
		level, problem, err := f.Raise(ctx, tx, h.GroupID, h.Word)
		if err == nil && problem != "" {
			err = console.Invalid("", problem)
		}
		if err != nil {
			return console.Result{}, err
		}
		done.Message = fmt.Sprintf("“%s”升为%s，下一句话起生效。", h.Word, level)
		what = append(what, h.Word, level)
	case store.HitWrong, store.HitAllowed:
		if done.Message, err = f.allow(ctx, tx, v, h, verdict, phrase); err != nil {
			return console.Result{}, err
		}
		what = append(what, phrase)
		if v.Value("undo") == "on" && h.StrikeID != 0 {
			came, err := f.undo(ctx, tx, h.StrikeID, v)
			if err != nil {
				return console.Result{}, err
			}
			done.Message += came
			what = append(what, came)
		}
	}
	done.Detail = strings.Join(what, " ")
	return done, nil
}

// allow makes the phrase of a wrong hit harmless: in its group, or where it is
// allowed outright in all. A wrong hit may have none.
func (f *feature) allow(ctx context.Context, tx *store.Tx, v console.Visit, h store.HitRow, verdict store.HitReview, phrase string) (message string, err error) {
	group, where := h.GroupID, "这个群"
	if verdict == store.HitAllowed || group == 0 {
		group, where = 0, "所有群"
	}
	switch {
	case h.Word == "" && verdict == store.HitAllowed:
		return "", console.Invalid("phrase", "这条规则不看词，没有短语可以放行。")
	case h.Word == "" || phrase == "" && verdict == store.HitWrong:
		return "记下了：找错了。", nil
	case phrase == "":
		return "", console.Invalid("phrase", "写上要放行的短语，比命中的词长一点。")
	}
	problem, err := f.Allow(ctx, tx, group, phrase, v.Operator.ID, v.Now)
	if err == nil && problem != "" {
		err = console.Invalid("phrase", problem)
	}
	if err != nil {
		return "", err
	}
	message = fmt.Sprintf("记下了：找错了。%s里“%s”放行。", where, phrase)
	hits, err := f.Scan(ctx, tx, h.GroupID, h.Text)
	for _, hit := range hits {
		if hit.Word.Text == h.Word {
			message += "不过这句话是换着写法说的，放行词只认原样，它仍会命中。"
			break
		}
	}
	return message, err
}
