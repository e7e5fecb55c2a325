package moderation

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"qunbot/store"
	"qunbot/wordfilter"
)

const (
	replayDays = 7
	maxReplay  = 100_000 // messages, the newest
	replayPage = 2000    // messages in memory
	replayKept = 100     // hits that are shown
	oldMember  = 30 * day
)

// A replay holds stored messages against rules, as if they were in force when
// the messages were said. It does nothing to anybody.
//
// Messages are all that is stored: pictures and cards are not, so that rules
// which look for them find nothing.
type replay struct {
	book   book
	set    *wordfilter.Set
	ways   *wordfilter.Matcher
	zone   *time.Location
	staff  map[int64]bool // members who are operators
	struck map[int64]bool // members with strikes that count
	allow  []string       // phrases that are allowed, folded

	recent map[[2]int64][]utterance // by member and group, as far as the book looks back
	known  map[int64]time.Time      // since when members are known
	joined map[[2]int64]time.Time   // since when members are in a group

	seen, hits int
	byRule     map[int64]int
	byWord     map[string]int
	members    map[int64]bool
	kept       []replayed // at most twice replayKept
}

// A replayed is a message that would have met a rule.
type replayed struct {
	store.Message
	finding
	doubt  int // how likely the hit is a mistake; see doubts
	doubts []string
}

// run replays the messages since a time, at most maxReplay of them. skipped is
// how many older ones there are.
func (r *replay) run(ctx context.Context, tx *store.Tx, since time.Time) (skipped int64, err error) {
	first, n, err := tx.MessagesFrom(ctx, since, maxReplay)
	if err != nil || n == 0 {
		return 0, err
	}
	r.recent, r.known, r.joined = map[[2]int64][]utterance{}, map[int64]time.Time{}, map[[2]int64]time.Time{}
	r.byRule, r.byWord, r.members = map[int64]int{}, map[string]int{}, map[int64]bool{}
	for r.seen < maxReplay {
		page, err := tx.MessagesFollowing(ctx, first, since, min(replayPage, maxReplay-r.seen))
		if err != nil {
			return 0, err
		}
		if len(page) == 0 {
			break
		}
		if err := r.page(ctx, tx, page); err != nil {
			return 0, err
		}
		first = page[len(page)-1].ID + 1
	}
	r.shorten(replayKept)
	return max(0, n-int64(r.seen)), nil
}

// page replays some messages.
func (r *replay) page(ctx context.Context, tx *store.Tx, page []store.Message) error {
	var found []replayed
	var strangers []int64
	for _, m := range page {
		r.seen++
		for _, f := range r.hear(m) {
			found = append(found, replayed{Message: m, finding: f})
			if _, known := r.known[m.MemberID]; !known {
				strangers = append(strangers, m.MemberID)
				r.known[m.MemberID] = time.Time{} // erased, unless the next lines know better
			}
		}
	}
	for part := range slices.Chunk(strangers, 500) {
		known, err := tx.MembersKnown(ctx, part)
		if err != nil {
			return err
		}
		for id, since := range known {
			r.known[id] = since
		}
	}
	for _, h := range found {
		welcome, err := r.welcome(ctx, tx, h)
		if err != nil {
			return err
		}
		if welcome {
			r.count(h)
		}
	}
	for at, said := range r.recent { // forget what nobody looks back at
		if page[0].SentAt.Sub(said[len(said)-1].at) > r.book.back {
			delete(r.recent, at)
		}
	}
	return nil
}

// hear returns which rules a message would have met.
func (r *replay) hear(m store.Message) []finding {
	s := said{text: m.Text, group: m.GroupID, staff: r.staff[m.MemberID], at: m.SentAt, zone: r.zone}
	if r.book.words {
		s.hits = r.set.For(GroupKey(m.GroupID)).Scan(m.Text, nil)
	}
	if r.book.ways {
		s.ways = r.ways.Scan(m.Text, nil)
	}
	if r.book.back > 0 {
		at := [2]int64{m.MemberID, m.GroupID}
		s.before = r.recent[at]
		r.recent[at] = append(s.before[max(0, len(s.before)-maxRecent):], utterance{fold(m.Text), m.SentAt})
	}
	if s.staff && !r.book.staff {
		return nil
	}
	return r.book.meet(s)
}

// welcome reports whether a rule for newcomers holds for the member.
func (r *replay) welcome(ctx context.Context, tx *store.Tx, h replayed) (bool, error) {
	if h.Rule.Newcomer == 0 {
		return true, nil
	}
	since := r.known[h.MemberID]
	if at := [2]int64{h.GroupID, h.MemberID}; h.GroupID != 0 {
		var ok bool
		if since, ok = r.joined[at]; !ok {
			var err error
			since, err = tx.MemberSince(ctx, h.GroupID, h.MemberID)
			if err != nil && !errors.Is(err, store.ErrNotFound) { // erased: nobody knows
				return false, err
			}
			r.joined[at] = since
		}
	}
	return h.Rule.welcomes(h.SentAt.Sub(since)), nil
}

// count notes a hit.
func (r *replay) count(h replayed) {
	r.hits++
	r.byRule[h.Rule.ID]++
	r.members[h.MemberID] = true
	if h.word.Text != "" {
		r.byWord[h.word.Text]++
	}
	h.doubt, h.doubts = r.doubtsOf(h)
	if r.kept = append(r.kept, h); len(r.kept) == 2*replayKept {
		r.shorten(replayKept)
	}
}

// shorten keeps the most doubtful hits, the newest of equals first.
func (r *replay) shorten(n int) {
	slices.SortStableFunc(r.kept, func(a, b replayed) int {
		return cmp.Or(cmp.Compare(b.doubt, a.doubt), b.SentAt.Compare(a.SentAt), cmp.Compare(b.ID, a.ID))
	})
	r.kept = r.kept[:min(n, len(r.kept))]
}

// doubtsOf says why a hit may be a mistake, and how likely: the sum of
//
//	3  the hit lies within an everyday word
//	3  the word is itself an everyday one
//	2  an allowed phrase holds the word too: it has harmless uses
//	2  the member is known for 30 days and has no strike that counts
//	1  it was found by its sound or its initials
//	-1 symbols, blanks or parts of characters hide it: nobody does that by accident
func (r *replay) doubtsOf(h replayed) (sum int, why []string) {
	doubt := func(n int, text string) { sum, why = sum+n, append(why, text) }
	if h.word.Text != "" {
		if around := everydayAround(h.Text, h.start, h.end); around != "" {
			doubt(3, "夹在“"+around+"”里")
		}
		folded := fold(h.word.Text)
		if everyday(folded) {
			doubt(3, "词本身是日常用语")
		}
		if i := slices.IndexFunc(r.allow, func(phrase string) bool { return phrase != folded && strings.Contains(phrase, folded) }); i >= 0 {
			doubt(2, "有放行的说法“"+store.Clip(r.allow[i], 20)+"”")
		}
	}
	if since := r.known[h.MemberID]; !since.IsZero() && h.SentAt.Sub(since) >= oldMember && !r.struck[h.MemberID] {
		doubt(2, "老会员，没有违规")
	}
	switch {
	case strings.Contains(h.how, "谐音"), strings.Contains(h.how, "拼音"), strings.Contains(h.how, "首字母"):
		doubt(1, "靠读音认出来的")
	case strings.Contains(h.how, "夹杂"), strings.Contains(h.how, "拆字"):
		sum--
	}
	return sum, why
}

// everydayAround returns an everyday word that text[start:end] lies within and
// is only a part of; empty: there is none.
func everydayAround(text string, start, end int) string {
	const reach = 3 // characters to either side
	from, to := []int{start}, []int{end}
	for i, n := start, 0; i > 0 && n < reach; n++ {
		_, size := utf8.DecodeLastRuneInString(text[:i])
		i -= size
		from = append(from, i)
	}
	for i, n := end, 0; i < len(text) && n < reach; n++ {
		_, size := utf8.DecodeRuneInString(text[i:])
		i += size
		to = append(to, i)
	}
	for _, a := range from {
		for _, b := range to {
			if (a < start || b > end) && wordfilter.Everyday(text[a:b]) {
				return text[a:b]
			}
		}
	}
	return ""
}
