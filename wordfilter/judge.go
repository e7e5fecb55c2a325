package wordfilter

import "strings"

// How a candidate is judged. The automata skip whatever may be skipped and
// take every sound for any character of that sound; here it is decided whether
// a reader would see the word. Precision goes first: what an ordinary sentence
// may contain by accident is no hit.

// A Disguise says how a word was written. Several may come together; 0 is as
// in the list, apart from folding.
type Disguise uint16

const (
	Repeated  Disguise = 1 << iota // characters repeated: 刷刷刷单
	Spaced                         // something between the characters: 刷*单
	Alias                          // another name: VX
	Digit                          // digits for numerals: 王8蛋
	Initials                       // first letters of syllables: LJ店
	Pinyin                         // characters spelled in letters: shua单
	Split                          // characters taken apart: 马扁子
	Homophone                      // other characters of the same sound: 刷旦
	Pictured                       // emoji for characters: 滚🥚
)

// String returns the disguises' Chinese names, joined by 、.
func (d Disguise) String() string {
	if d == 0 {
		return "原文"
	}
	var names []string
	for i, name := range []string{"重复", "夹杂", "别称", "数字", "首字母", "拼音", "拆字", "谐音", "表情"} {
		if d&(1<<i) != 0 {
			names = append(names, name)
		}
	}
	return strings.Join(names, "、")
}

// Costs of words and disguises in eighths of a bit, and by how much a hit must
// beat the ordinary reading of the text. They were set by the sentences in
// testdata.
const (
	termCostMax   = 17 * bit // of a word that the lexicon does not know
	disguisedCost = 16 * bit // of any word that is spelled otherwise
	homophoneCost = 3 * bit  // of one character replaced
	splitCost     = 3 * bit  // of one character taken apart
	minAdvantage  = 6 * bit
	minKnown      = 2 * bit // of a word that the lexicon knows
	minApart      = 2 * bit // of a word with something between its characters
)

// termCost returns the cost of reading a term as one word.
func termCost(seq []glyph) int32 {
	runes := make([]rune, 0, MaxWordLen)
	for _, g := range seq {
		runes = append(runes, g.rune())
	}
	return min(wordCost(runes), termCostMax)
}

// judgeFinds notes the hits among the finds of the layers' automata.
func (s *scratch) judgeFinds(text string, layers []layer) {
	for _, f := range s.finds { // all allowed phrases first
		if t := &layers[f.layer].terms[f.term]; t.word < 0 {
			first, last := f.last+1-int32(t.len), f.last
			s.allowed = append(s.allowed, stretch{s.units[first].start, s.units[last].end})
		}
	}
	for _, f := range s.finds {
		if len(s.places) >= s.most {
			break
		}
		t := &layers[f.layer].terms[f.term]
		if t.word < 0 {
			continue
		}
		if p, ok := s.noted.get(wordID{f.layer, t.word}); ok && s.places[p].how == 0 &&
			s.units[f.last+1-int32(t.len)].start < uint32(s.places[p].end) {
			continue // it overlaps itself
		}
		s.steps = s.steps[:0]
		for i := f.last + 1 - int32(t.len); i <= f.last; i++ {
			s.steps = append(s.steps, step{at: i, to: i + 1})
		}
		s.judge(text, layers, int(f.layer), f.term, s.steps)
	}
}

// isAllowed reports whether the bytes from start up to end are part of an
// allowed phrase.
func (s *scratch) isAllowed(start, end int) bool {
	for _, a := range s.allowed {
		if int(a.start) <= start && end <= int(a.end) {
			return true
		}
	}
	return false
}

// listen notes the hits among the terms that the text may sound like.
func (s *scratch) listen(text string, layers []layer, at int) {
	p, sounds := layers[at].sound, s.lattice.sounds
	for i := range s.units {
		if len(s.places) >= s.most {
			return
		}
		first, second, third, fourth := sounds[i], sounds[i+1], sounds[i+2], sounds[i+3]
		if (first|second)&detoured != 0 {
			s.listenAt(text, layers, at, i)
			continue
		}
		pair := pairOf(first, second)
		if !p.begins(pair) {
			continue
		}
		if third&detoured != 0 || p.longer(pair, third, fourth, s.units, i) {
			s.listenAt(text, layers, at, i)
		} else if keys, ok := p.near(first, second, s.units, i); ok {
			s.listenNear(text, layers, at, i, keys)
		}
	}
}

// listenAt notes the hits among the terms that the text sounds like from
// units[i] on.
func (s *scratch) listenAt(text string, layers []layer, at, i int) {
	ix, w := layers[at].index, &s.walk
	w.walk(ix.sound, &s.lattice, i)
	for _, h := range w.heard {
		steps := w.kept[h.from:h.to]
		if !s.asWritten(ix, h.term, steps) { // or else the other automaton has found it
			s.judge(text, layers, at, h.term, steps)
		}
	}
}

// listenNear notes the hits among the terms of two characters that have either
// units[i] or units[i+1].
func (s *scratch) listenNear(text string, layers []layer, at, i int, keys [2]uint64) {
	s.steps = append(s.steps[:0], step{at: int32(i), to: int32(i + 1)}, step{at: int32(i + 1), to: int32(i + 2)})
	ix := layers[at].index
	for _, key := range keys {
		if key == 0 {
			continue
		}
		ix.sound.nears.each(key, func(term int32) {
			if !s.asWritten(ix, term, s.steps) {
				s.judge(text, layers, at, term, s.steps)
			}
		})
	}
}

// asWritten reports whether every step is the very character of the term.
func (s *scratch) asWritten(ix *index, term int32, steps []step) bool {
	for i, g := range ix.spelled(&ix.terms[term]) {
		if st := &steps[i]; st.how != 0 || s.units[st.at].char.rune() != g.rune() {
			return false
		}
	}
	return true
}

// A tally counts the steps of a candidate by what they are.
type tally struct {
	literal, homophone, pinyin, initial, split, digit, repeated, longest int

	pictured bool
}

// judge notes the place of a candidate if it is a hit.
func (s *scratch) judge(text string, layers []layer, at int, id int32, steps []step) {
	ix := layers[at].index
	t := &ix.terms[id]
	if off := layers[at].off; off != nil && off[t.word] {
		return
	}
	n, ok := s.count(ix, t, steps)
	if !ok || s.again && !n.pictured {
		return
	}
	first, last := int(steps[0].at), int(steps[len(steps)-1].to)
	if t.kind&bare != 0 && !named(s.units, last, bareFollows) || t.kind&behind != 0 && !named(s.units, last, behindFollows) {
		return
	}
	how := n.how()
	if t.kind&alias != 0 {
		how |= Alias
	}
	lo, hi := s.edges(first, last)
	if lo < first || hi > last {
		how |= Repeated
	}
	start, end := int(s.units[lo].start), int(s.units[hi-1].end)
	if t.kind&plus != 0 {
		if start = plusBefore(text, start); start < 0 {
			return
		}
	}
	apart, spread, ok := s.spacing(text, steps)
	if !ok || t.kind&exact != 0 && (apart || how != 0) {
		return
	}
	if apart {
		how |= Spaced
	} else if s.isAllowed(start, end) {
		return
	}
	if !s.tokens(text, lo, hi) {
		return
	}
	p := place{wordID{int32(at), t.word}, int32(start), int32(end), how}
	same := false // the text has it in the same disguise already
	if i, ok := s.noted.get(p.wordID); ok {
		before := s.places[i]
		if how >= before.how && start < int(before.end) && end > int(before.start) {
			return // it overlaps the same word, less disguised
		}
		same = how == before.how
	}
	if !same && t.kind&embedded == 0 && !s.stands(t, n, first, last, apart, spread) {
		return
	}
	s.noted.set(p.wordID, int32(len(s.places)))
	s.places = append(s.places, p)
}

func (n *tally) how() (how Disguise) {
	set := func(is bool, d Disguise) {
		if is {
			how |= d
		}
	}
	set(n.repeated > 0, Repeated)
	set(n.homophone > 0, Homophone)
	set(n.pinyin > 0, Pinyin)
	set(n.initial > 0, Initials)
	set(n.split > 0, Split)
	set(n.digit > 0, Digit)
	set(n.pictured, Pictured)
	return how
}

// count says what the steps are, and whether they can be the term at all.
func (s *scratch) count(ix *index, t *term, steps []step) (n tally, ok bool) {
	seq := ix.spelled(t)
	for i := range steps {
		st, r := &steps[i], seq[i].rune()
		u := &s.units[st.at]
		n.pictured = n.pictured || u.inner&pictured != 0
		switch {
		case st.how == Digit:
			n.digit++
			if st.r != r {
				n.homophone++
			}
		case st.r != 0 && st.r != r:
			return n, false
		case st.how == Pinyin:
			n.pinyin++
		case st.how == Split:
			n.split++
		case u.char.rune() != r:
			n.homophone++
		case u.run < seq[i].run():
			return n, false
		default:
			n.literal++
			if u.run > seq[i].run() {
				n.repeated++
				n.longest = max(n.longest, int(u.run-seq[i].run()))
			}
		}
	}
	n.initial = int(t.initials)
	n.literal -= n.initial
	switch total := len(steps); {
	case n.homophone > 0 && n.literal == 0 && (total < 4 || n.pinyin > 0):
		return n, false
	case n.homophone > 1 && total < 4:
		return n, false
	case n.digit > 0 && (n.literal == 0 || n.digit+n.literal+n.pinyin < total || n.homophone > 0 && total < 3):
		return n, false
	case n.split == 1 && n.literal == 0 && n.pinyin == 0:
		return n, false
	}
	return n, true
}

// edges returns first and last, moved over repetitions of a letter at the
// edges: letters, unlike characters, are not taken together in units.
func (s *scratch) edges(first, last int) (lo, hi int) {
	units := s.units
	for lo = first; lo > 0 && units[lo].gap == 0 && units[lo].char.class() == latin && units[lo-1].char == units[first].char; {
		lo--
	}
	for hi = last; hi < len(units) && units[hi].gap == 0 && units[hi].char.class() == latin && units[hi].char == units[last-1].char; {
		hi++
	}
	return lo, hi
}

// spacing reports whether something lies between the steps, whether between
// all of them, and whether it may.
func (s *scratch) spacing(text string, steps []step) (apart, spread, ok bool) {
	units := s.units
	var all gap
	gaps, same := 0, true
	mark := ""
	for i, st := range steps {
		all |= units[st.at].inner &^ pictured
		for _, u := range units[st.at+1 : st.to] {
			all |= u.gap
		}
		if i == 0 {
			continue
		}
		g := units[st.at].gap
		if g == 0 {
			continue
		}
		all |= g
		gaps++
		between := text[units[st.at-1].end:units[st.at].start]
		if mark == "" {
			mark = between
		}
		same = same && between == mark
	}
	switch every := gaps == len(steps)-1; {
	case all == 0:
		return false, false, true
	case all&gapPause != 0:
		return true, every, every && same && len(steps) >= 3 && all&gapBlank == 0
	case all&gapLong != 0:
		return true, every, false
	case all&gapBlank != 0 && len(steps) == 2:
		return true, every, s.isolated(steps)
	case all&gapBlank != 0:
		return true, every, every
	default:
		return true, every && len(steps) > 2, true
	}
}

// isolated reports whether nothing touches the candidate.
func (s *scratch) isolated(steps []step) bool {
	first, last := steps[0].at, steps[len(steps)-1].to
	return (first == 0 || s.units[first].gap != 0) && (int(last) == len(s.units) || s.units[last].gap != 0)
}

// tokens reports whether the candidate does not begin or end inside a Latin
// word or a number, and is not part of an address.
func (s *scratch) tokens(text string, first, last int) bool {
	units := s.units
	touches := func(a, b int) bool {
		c := units[a].char.class()
		return c != han && c == units[b].char.class() && units[b].gap == 0
	}
	if first > 0 && touches(first-1, first) || last < len(units) && touches(last-1, last) {
		return false
	}
	for i := first; i < last; i++ {
		if units[i].char.class() != han && masked(text, int(units[i].start)) {
			return false
		}
	}
	return true
}

// stands reports whether the candidate stands as a word in the text, and is
// not a piece of other words. A text that is made of little but candidates gets
// no more than so many doubts: no honest one is.
func (s *scratch) stands(t *term, n tally, first, last int, apart, spread bool) bool {
	literal := n.homophone == 0 && n.split == 0
	cost := int32(t.cost)
	if !literal {
		cost = disguisedCost + homophoneCost*int32(n.homophone) + splitCost*int32(n.split)
	}
	if literal && (spread || n.longest > 1 || n.repeated > 1 || n.pinyin+n.initial+n.digit > 0 || n.pictured && t.len > 2) {
		return true
	}
	least := int32(minAdvantage)
	switch {
	case literal && apart:
		least = minApart
	case literal && t.cost < termCostMax:
		least = minKnown
	}
	if s.doubts--; s.doubts < 0 {
		return true
	}
	v := s.reader.weigh(s.units, first, last, cost, least, literal)
	if !literal {
		return v.advantage >= least && v.aligned
	}
	return v.advantage >= least || !apart && v.aligned
}
