package keyword

import (
	"cmp"
	"iter"
	"regexp"
	"regexp/syntax"
	"slices"
	"sync"
	"time"
	"unicode/utf8"

	"qunbot/store"
)

// A rule is a rule in force, ready to be compared with messages.
type rule struct {
	id, group int64 // group 0: every group
	kind      store.KeywordKind
	pattern   string // as it was written
	size      int    // characters of pattern
	priority  int
	replies   []string
	cooldown  time.Duration
	from, to  int
	regexp    func() *regexp.Regexp // of regexps: compiled when it is first needed
}

// newRule returns the rule in force of a row.
func newRule(r store.KeywordRule) *rule {
	return &rule{
		id: r.ID, group: r.GroupID, kind: r.Kind, pattern: r.Pattern, size: utf8.RuneCountInString(r.Pattern),
		priority: r.Priority, replies: r.Replies, cooldown: time.Duration(r.CooldownSeconds) * time.Second,
		from: r.FromMinute, to: r.ToMinute,
	}
}

// A matcher finds the rules that match a message without trying them all. It
// is immutable.
//
// Exact patterns are in a map. Contained words, and for each regexp a text
// that it cannot match without, are in one automaton that reads the message
// once; only the regexps whose text was seen are tried, the best first.
type matcher struct {
	version string
	rules   []*rule // the best first
	exact   map[wordIn][]int
	seen    map[nodeIn][]int // rules by the node of their word: indices, ascending
	words   automaton
	loose   map[int64][]int // by group: regexps that have no fixed text
	broken  []int64         // rows that are no rules: regexps that do not compile
}

type wordIn struct {
	word  string
	group int64
}

type nodeIn struct {
	node  int32
	group int64
}

// newMatcher returns a matcher of the rows.
func newMatcher(version string, rows []store.KeywordRule) *matcher {
	m := &matcher{version: version, exact: map[wordIn][]int{}, seen: map[nodeIn][]int{}, loose: map[int64][]int{}}
	words := map[int64][]string{} // by rule: of which one is in every text that it matches
	for _, row := range rows {
		r := newRule(row)
		switch r.kind {
		case store.KeywordContains:
			words[r.id] = []string{fold(r.pattern)}
		case store.KeywordRegexp:
			source := expression(r.pattern)
			parsed, err := syntax.Parse(source, syntax.Perl)
			if err != nil {
				m.broken = append(m.broken, r.id)
				continue
			}
			r.regexp = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(source) })
			words[r.id] = required(parsed)
		}
		if len(row.Replies) == 0 || foldPattern(r.kind, r.pattern) == "" {
			m.broken = append(m.broken, r.id)
			continue
		}
		m.rules = append(m.rules, r)
	}
	slices.SortFunc(m.rules, func(a, b *rule) int { order, _ := compare(a, b); return order })
	for i, r := range m.rules {
		if r.kind == store.KeywordExact {
			at := wordIn{foldPattern(r.kind, r.pattern), r.group}
			m.exact[at] = append(m.exact[at], i)
			continue
		}
		if len(words[r.id]) == 0 {
			m.loose[r.group] = append(m.loose[r.group], i)
		}
		for _, w := range words[r.id] {
			at := nodeIn{m.words.add(w), r.group}
			m.seen[at] = append(m.seen[at], i)
		}
	}
	m.words.link()
	return m
}

// matches returns the rules that match a folded text in a group (0: a 1:1
// chat) at a time of day, in minutes (negative: at any), the best first.
func (m *matcher) matches(group int64, text string, minute int) iter.Seq[*rule] {
	return func(yield func(*rule) bool) {
		for _, i := range m.candidates(group, text) {
			r := m.rules[i]
			if minute >= 0 && !activeAt(r.from, r.to, minute) || r.regexp != nil && !r.regexp().MatchString(text) {
				continue
			}
			if !yield(r) {
				return
			}
		}
	}
}

// best returns the rule that answers, and the one that would if it were not
// there; nil if there is none.
func (m *matcher) best(group int64, text string, minute int) (won, next *rule) {
	for r := range m.matches(group, text, minute) {
		if won != nil {
			return won, r
		}
		won = r
	}
	return won, nil
}

// candidates returns the rules that may match text: indices, ascending. Exact
// and contains rules among them do; regexps are yet to be tried.
func (m *matcher) candidates(group int64, text string) []int {
	groups := []int64{0, group}
	if group == 0 {
		groups = groups[:1]
	}
	nodes := m.words.find(text)
	exact := bare(text)
	var found []int
	for _, g := range groups {
		found = append(found, m.exact[wordIn{exact, g}]...)
		found = append(found, m.loose[g]...)
		for _, n := range nodes {
			found = append(found, m.seen[nodeIn{n, g}]...)
		}
	}
	slices.Sort(found)
	return slices.Compact(found)
}

// maxRequired is how many texts a regexp is looked for by, at most.
const maxRequired = 32

// required returns folded texts of which at least one is in every text that
// re matches; nil if there are none such, or too many.
func required(re *syntax.Regexp) []string {
	switch re.Op {
	case syntax.OpLiteral:
		return []string{foldPart(string(re.Rune))}
	case syntax.OpCharClass:
		var list []string
		for i := 0; i < len(re.Rune); i += 2 {
			if int(re.Rune[i+1]-re.Rune[i]) >= maxRequired || len(list) > maxRequired {
				return nil
			}
			for r := re.Rune[i]; r <= re.Rune[i+1]; r++ {
				list = append(list, foldPart(string(r)))
			}
		}
		return distinct(list)
	case syntax.OpCapture, syntax.OpPlus:
		return required(re.Sub[0])
	case syntax.OpRepeat:
		if re.Min > 0 {
			return required(re.Sub[0])
		}
	case syntax.OpAlternate:
		var list []string
		for _, sub := range re.Sub {
			words := required(sub)
			if words == nil {
				return nil
			}
			list = append(list, words...)
		}
		return distinct(list)
	case syntax.OpConcat:
		var best []string
		for _, sub := range re.Sub {
			if words := required(sub); rarer(words, best) {
				best = words
			}
		}
		return best
	}
	return nil
}

func distinct(list []string) []string {
	slices.Sort(list)
	if list = slices.Compact(list); len(list) <= maxRequired {
		return list
	}
	return nil
}

// rarer reports whether a's texts are likely to be seen less often than b's.
func rarer(a, b []string) bool {
	if a == nil || b == nil {
		return a != nil
	}
	shortest := func(list []string) int {
		n := utf8.RuneCountInString(list[0])
		for _, w := range list[1:] {
			n = min(n, utf8.RuneCountInString(w))
		}
		return n
	}
	return cmp.Or(cmp.Compare(shortest(b), shortest(a)), cmp.Compare(len(a), len(b))) < 0
}

// An automaton finds many words in one reading of a text (Aho and Corasick,
// https://doi.org/10.1145/360825.360855). Words are added, then linked once.
type automaton struct {
	next  map[step]int32
	nodes []node // the first is the start
}

type step struct {
	from int32
	r    rune
}

type node struct {
	parent int32
	r      rune // by which the parent leads here
	depth  int32
	ends   bool  // a word ends here
	back   int32 // the node of the longest end of this one's text that begins a word
	out    int32 // the nearest node, this one and then back from it, where a word ends; 0: none
}

// add adds a word, which is not empty, and returns its node.
func (a *automaton) add(word string) int32 {
	if a.next == nil {
		a.next, a.nodes = map[step]int32{}, make([]node, 1)
	}
	at := int32(0)
	for _, r := range word {
		to, known := a.next[step{at, r}]
		if !known {
			to = int32(len(a.nodes))
			a.nodes = append(a.nodes, node{parent: at, r: r, depth: a.nodes[at].depth + 1})
			a.next[step{at, r}] = to
		}
		at = to
	}
	a.nodes[at].ends = true
	return at
}

// link prepares find.
func (a *automaton) link() {
	order := make([]int32, len(a.nodes))
	for i := range order {
		order[i] = int32(i)
	}
	slices.SortFunc(order, func(x, y int32) int { return cmp.Compare(a.nodes[x].depth, a.nodes[y].depth) })
	for _, i := range order {
		if i == 0 {
			continue
		}
		n := &a.nodes[i]
		if n.depth > 1 {
			n.back = a.walk(a.nodes[n.parent].back, n.r)
		}
		if n.out = a.nodes[n.back].out; n.ends {
			n.out = i
		}
	}
}

// walk returns where r leads from a node.
func (a *automaton) walk(from int32, r rune) int32 {
	for {
		if to, ok := a.next[step{from, r}]; ok {
			return to
		}
		if from == 0 {
			return 0
		}
		from = a.nodes[from].back
	}
}

// find returns the nodes of the words in text, each once.
func (a *automaton) find(text string) []int32 {
	if len(a.nodes) == 0 {
		return nil
	}
	var found []int32
	at := int32(0)
	for _, r := range text {
		at = a.walk(at, r)
		for n := a.nodes[at].out; n != 0; n = a.nodes[a.nodes[n].back].out {
			found = append(found, n)
		}
	}
	slices.Sort(found)
	return slices.Compact(found)
}
