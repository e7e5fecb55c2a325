package moderation

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"qunbot/handlers"
	"qunbot/store"
	"qunbot/wordfilter"
)

// A Filter finds the sensitive words in texts, and the rules that messages
// meet, as the database lists them.
//
// Every transaction that asks reads the version of words and rules. Where it is
// not the one that was compiled, because somebody changed them here or in
// another replica, they are read and compiled aside, once, and the words are
// swapped into Deps.Words; scans under way are not held up.
type Filter struct {
	deps    handlers.Deps
	ways    *wordfilter.Matcher // of contactWords
	current atomic.Pointer[compiled]
	build   sync.Mutex // one builds, the others wait for what it builds
}

// compiled is the words and rules of one version.
type compiled struct {
	version string
	words   string // version of the words
	set     *wordfilter.Set
	book    book
}

// A book is the rules in force and on trial, and what they need to know.
type book struct {
	rules  []Rule
	words  bool          // some look for words
	ways   bool          // some look for ways to get in touch
	staff  bool          // some hold for operators too
	back   time.Duration // how far some look back; 0: none does
	counts bool          // some count strikes
}

func bookOf(rules []Rule) book {
	b := book{rules: rules}
	for _, r := range rules {
		b.words = b.words || r.Kind == KindWords
		b.ways = b.ways || r.Kind == KindContact
		b.staff = b.staff || r.Staff
		b.counts = b.counts || r.Counts
		if r.looksBack() {
			b.back = max(b.back, time.Duration(r.Seconds)*time.Second)
		}
	}
	return b
}

// meet returns why a message meets which rules, but for the condition
// Newcomer.
func (b book) meet(s said) (met []finding) {
	for _, r := range b.rules {
		if f, ok := r.meet(s); ok {
			met = append(met, f)
		}
	}
	return met
}

// NewFilter returns a filter that swaps its matchers into d.Words. A program
// has one.
func NewFilter(d handlers.Deps) *Filter {
	if d.Words == nil {
		d.Words = wordfilter.NewHolder()
	}
	ways, err := wordfilter.New(contactWords, wordfilter.Options{})
	if err != nil {
		panic(fmt.Sprintf("moderation: contact words: %v", err)) // they are in the program
	}
	return &Filter{deps: d, ways: ways}
}

// GroupKey is how a wordfilter.Holder names a group.
func GroupKey(group int64) string { return strconv.FormatInt(group, 10) }

// Load compiles the words, so that Deps.Words finds them before the first
// message comes.
func (f *Filter) Load(ctx context.Context) error {
	return f.deps.Store.View(ctx, func(tx *store.Tx) error {
		_, err := f.compiled(tx.Context(), tx)
		return err
	})
}

// Scan returns the words in text that count in a group (0: in a 1:1 chat, or
// wherever), as tx sees them.
func (f *Filter) Scan(ctx context.Context, tx *store.Tx, group int64, text string) ([]wordfilter.Hit, error) {
	c, err := f.compiled(ctx, tx)
	if err != nil {
		return nil, err
	}
	return c.set.For(GroupKey(group)).Scan(text, nil), nil
}

// Held names, for operators, the words for which text must not be sent to
// groups as it is; no groups stands for every group and 1:1 chats. Words that
// only call for a reminder do not keep a text back.
func (f *Filter) Held(ctx context.Context, tx *store.Tx, groups []int64, text string) ([]string, error) {
	c, err := f.compiled(ctx, tx)
	if err != nil {
		return nil, err
	}
	set := c.set
	var matchers []*wordfilter.Matcher
	for _, g := range groups {
		if m := set.For(GroupKey(g)); !slices.Contains(matchers, m) {
			matchers = append(matchers, m)
		}
	}
	if len(groups) == 0 {
		matchers = append(slices.Collect(maps.Values(set.Groups)), set.Base)
	}
	var words []string
	for _, m := range matchers {
		for _, h := range m.Scan(text, nil) {
			if word := describeHit(h, h.How.String()); h.Word.Level != wordfilter.Remind && !slices.Contains(words, word) {
				words = append(words, word)
			}
		}
	}
	slices.Sort(words) // matchers come in any order
	return words, nil
}

// describeHit names a word that was found, with what is known about it. It
// does not quote the text that it was found in.
func describeHit(h wordfilter.Hit, how string) string {
	about := h.Word.Level.String()
	if h.Word.Category != "" {
		about += "，" + h.Word.Category
	}
	return fmt.Sprintf("“%s”（%s，%s）", h.Word.Text, about, how)
}

// compiled returns the words and rules as tx sees them.
func (f *Filter) compiled(ctx context.Context, tx *store.Tx) (*compiled, error) {
	version, err := tx.ModerationVersion(ctx)
	if err != nil {
		return nil, err
	}
	if c := f.current.Load(); c != nil && c.version == version {
		return c, nil
	}
	f.build.Lock()
	defer f.build.Unlock()
	old := f.current.Load()
	if old != nil && old.version == version {
		return old, nil
	}
	c := &compiled{version: version}
	if c.words, err = tx.WordsVersion(ctx); err != nil {
		return nil, err
	}
	rows, err := tx.ModerationRules(ctx)
	if err != nil {
		return nil, err
	}
	c.book = bookOf(f.rulesOf(rows))
	if old != nil && old.words == c.words {
		c.set = old.set
	} else {
		words, err := tx.AllWords(ctx)
		if err != nil {
			return nil, err
		}
		if c.set, err = newSet(words); err != nil {
			return nil, err
		}
		f.deps.Words.Swap(c.set)
	}
	f.current.Store(c)
	return c, nil
}

// rulesOf returns the rules that are not off. One that cannot be read is left
// out: the others go on.
func (f *Filter) rulesOf(rows []store.ModerationRule) (rules []Rule) {
	for _, row := range rows {
		if row.State == store.RuleOff {
			continue
		}
		r, err := ruleOf(row)
		if err != nil {
			f.deps.Log.Error("moderation rule not read", "rule", row.ID, "err", err)
			continue
		}
		rules = append(rules, r)
	}
	return rules
}

// ruleOf reads a stored rule.
func ruleOf(row store.ModerationRule) (Rule, error) {
	r := Rule{ID: row.ID, Name: row.Name, Dry: row.State == store.RuleDry}
	err := json.Unmarshal([]byte(row.Spec), &r.Spec)
	return r, err
}

// A list is the words and allowed phrases of one group, or of all.
type list struct {
	words []wordfilter.Word
	allow []string
	own   map[string]bool // folded words
}

// newSet compiles rows. What a group lists goes before what all groups share:
// the same word counts there with the group's level.
func newSet(rows []store.SensitiveWord) (*wordfilter.Set, error) {
	lists := map[int64]*list{0: {}}
	for _, r := range rows {
		l := lists[r.GroupID]
		if l == nil {
			l = &list{own: map[string]bool{}}
			lists[r.GroupID] = l
		}
		if r.Allow {
			l.allow = append(l.allow, r.Text)
			continue
		}
		l.words = append(l.words, wordOf(r))
		if r.GroupID != 0 {
			l.own[r.Folded] = true
		}
	}
	base, err := wordfilter.New(lists[0].words, wordfilter.Options{Allow: lists[0].allow})
	if err != nil {
		return nil, fmt.Errorf("compile sensitive words: %w", err)
	}
	set := &wordfilter.Set{Base: base, Groups: map[string]*wordfilter.Matcher{}}
	for group, l := range lists {
		if group == 0 {
			continue
		}
		below := base
		if len(l.own) > 0 {
			below, err = base.Overlay(nil, wordfilter.Options{Skip: func(w wordfilter.Word) bool { return l.own[fold(w.Text)] }})
			if err != nil {
				return nil, fmt.Errorf("compile sensitive words of group %d: %w", group, err)
			}
		}
		set.Groups[GroupKey(group)], err = below.Overlay(l.words, wordfilter.Options{Allow: l.allow})
		if err != nil {
			return nil, fmt.Errorf("compile sensitive words of group %d: %w", group, err)
		}
	}
	return set, nil
}

func wordOf(r store.SensitiveWord) wordfilter.Word {
	return wordfilter.Word{Text: r.Text, Category: r.Category, Level: levelOf(r.Level), Exact: r.Exact, Embedded: r.Embedded}
}

// levelOf returns what the engine calls a level.
func levelOf(l store.WordLevel) wordfilter.Level {
	switch l {
	case store.LevelBlock:
		return wordfilter.Block
	case store.LevelWarn:
		return wordfilter.Warn
	}
	return wordfilter.Remind
}

// storedLevel is the inverse of levelOf.
func storedLevel(l wordfilter.Level) store.WordLevel {
	switch l {
	case wordfilter.Block:
		return store.LevelBlock
	case wordfilter.Warn:
		return store.LevelWarn
	}
	return store.LevelRemind
}

// levelWord is what people call a level.
func levelWord(l store.WordLevel) string { return levelOf(l).String() }

// worst returns the most serious of hits, the first of equals. There must be
// one.
func worst(hits []wordfilter.Hit) wordfilter.Hit {
	found := hits[0]
	for _, h := range hits[1:] {
		if h.Word.Level > found.Word.Level {
			found = h
		}
	}
	return found
}
