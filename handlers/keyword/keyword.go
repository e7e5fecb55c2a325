// Package keyword answers what no command does: operators write rules that say
// which words get which reply.
//
// Of all rules that match a message one answers: that of the highest priority,
// then a group's own before one for all groups, then an exact one before one
// that is contained before a regexp, then the longest, then the oldest. The
// decision log names it, and says what it was preferred to and why.
//
// A rule whose replies hold a sensitive word is stored only when a second person
// has approved them.
package keyword

import (
	"context"
	"embed"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"qunbot/bot"
	"qunbot/handlers"
	"qunbot/store"
	"qunbot/web/console"
)

//go:embed *.html *.css *.js
var files embed.FS

type feature struct {
	handlers.Deps
	// cached holds what the rules of one version compile to. Rules have another
	// version after every change, and each transaction reads which.
	cached atomic.Pointer[matcher]
}

// New returns the keyword replies.
func New(d handlers.Deps) handlers.Feature {
	f := &feature{Deps: d}
	return handlers.Feature{
		Name:     "keyword",
		Fallback: f.answer,
		Commands: []bot.Command{{
			Words: []string{"/关键词"}, Usage: "添加 <词> => <回复> | 删除 <词> | 列表",
			Help: "听到什么词，就回答什么", Role: store.Staff, Handle: f.operate,
		}},
		Console:  []console.Page{f.listPage(), f.newPage(), f.rulePage()},
		Approved: map[string]handlers.Approved{kind: f.approved},
	}
}

// matcher returns the rules as tx sees them, ready to be compared.
func (f *feature) matcher(ctx context.Context, tx *store.Tx) (*matcher, error) {
	version, err := tx.KeywordVersion(ctx)
	if err != nil {
		return nil, err
	}
	if m := f.cached.Load(); m != nil && m.version == version {
		return m, nil
	}
	rows, err := tx.EnabledKeywordRules(ctx)
	if err != nil {
		return nil, err
	}
	m := newMatcher(version, rows)
	if len(m.broken) > 0 {
		f.Log.Warn("keyword rules left out", "rules", m.broken)
	}
	f.cached.Store(m)
	return m, nil
}

// answer is the fallback: it answers m by the best rule that matches. A rule
// that is cooling down keeps silent, and no other answers in its place.
func (f *feature) answer(ctx context.Context, tx *store.Tx, m bot.Message) (bot.Reply, bool, error) {
	if !m.Addressed || m.Text == "" {
		return bot.Reply{}, false, nil
	}
	rules, err := f.matcher(ctx, tx)
	if err != nil {
		return bot.Reply{}, false, err
	}
	won, next := rules.best(m.Group.ID, fold(m.Text), minuteOf(m.SentAt, f.Zone))
	if won == nil {
		return bot.Reply{}, false, nil
	}
	reply := bot.Reply{Rule: fmt.Sprintf("keyword %d", won.id)}
	if won.cooldown > 0 && !m.Private() { // in a 1:1 chat it would silence one person for another
		may, last, err := tx.ClaimKeyword(ctx, won.id, m.Group.ID, m.SentAt, won.cooldown)
		if err != nil {
			return bot.Reply{}, false, err
		}
		if !may {
			wait := last.Add(won.cooldown).Sub(m.SentAt)
			reply.Detail = reason(won, next) + "；冷却中，还有 " + span(wait) + "，这次不回答"
			return reply, true, nil
		}
	}
	hits, err := tx.HitKeyword(ctx, won.id, m.SentAt)
	if errors.Is(err, store.ErrNotFound) { // deleted since the version was read
		return bot.Reply{}, false, nil
	}
	if err != nil {
		return bot.Reply{}, false, err
	}
	n := int(hits % int64(len(won.replies)))
	reply.Text = won.replies[n]
	reply.Detail = fmt.Sprintf("%s，第 %d 条回复", reason(won, nil), n+1) + preferred(won, next)
	return reply, true, nil
}

// reason says why a rule was chosen, for the decision log.
func reason(won, next *rule) string {
	return fmt.Sprintf("%s“%s”，%s", kindWord(won.kind), won.pattern, standing(won)) + preferred(won, next)
}

// standing says what gives a rule its place before others.
func standing(r *rule) string {
	scope := "群规则"
	if r.group == 0 {
		scope = "通用规则"
	}
	text := fmt.Sprintf("%s，优先级 %d", scope, r.priority)
	if h := hours(r.from, r.to); h != "" {
		text += "，" + h
	}
	return text
}

func preferred(won, next *rule) string {
	if next == nil {
		return ""
	}
	_, why := compare(won, next)
	return fmt.Sprintf("；先于 keyword %d：%s", next.id, why)
}

// minuteOf returns the minute of the day in zone.
func minuteOf(t time.Time, zone *time.Location) int {
	t = t.In(zone)
	return t.Hour()*60 + t.Minute()
}

// neighbours returns the rules that match the text of r's own pattern, those
// that go before it and those that come after it, at most limit of each. A
// regexp has no text, so it has none.
func (f *feature) neighbours(ctx context.Context, tx *store.Tx, r store.KeywordRule, limit int) (before, after []*rule, err error) {
	if r.Kind == store.KeywordRegexp {
		return nil, nil, nil
	}
	m, err := f.matcher(ctx, tx)
	if err != nil {
		return nil, nil, err
	}
	own := newRule(r)
	for other := range m.matches(r.GroupID, fold(r.Pattern), -1) {
		if other.id == r.ID {
			continue
		}
		if order, _ := compare(other, own); order < 0 {
			before = append(before, other)
		} else if after = append(after, other); len(after) >= limit {
			break
		}
	}
	return before[:min(len(before), limit)], after, nil
}

// checkNew returns r made ready for the store, or a refusal. It is asked before
// anything is written.
func (f *feature) checkNew(ctx context.Context, tx *store.Tx, r store.KeywordRule) (store.KeywordRule, error) {
	r, err := check(r)
	if err != nil {
		return r, err
	}
	same, err := tx.KeywordRulesOf(ctx, []string{r.Folded}, 3, r.GroupID)
	if err != nil {
		return r, err
	}
	for _, other := range same {
		if other.Kind == r.Kind && other.ID != r.ID {
			return r, refuse("pattern", "已经有一条了：#%d %s“%s”。要换回复，请在运营台改它，或者先删除。", other.ID, kindWord(other.Kind), other.Pattern)
		}
	}
	if r.ID != 0 {
		return r, nil
	}
	n, err := tx.CountKeywordRules(ctx, store.KeywordFilter{})
	if err == nil && n >= maxRules {
		err = refuse("", "已经有 %d 条关键词，不能再多了。请先删除不用的。", n)
	}
	return r, err
}

// checkLoose refuses a change after which too many regexps would have to be
// tried on every message.
func (f *feature) checkLoose(ctx context.Context, tx *store.Tx) error {
	m, err := f.matcher(ctx, tx)
	if err != nil {
		return err
	}
	n := 0
	for _, list := range m.loose {
		n += len(list)
	}
	if n > maxLoose {
		return refuse("pattern", "没有固定文字的正则，每句话都要试一遍，所以启用的最多 %d 条。请在正则里写上一定会出现的字。", maxLoose)
	}
	return nil
}
