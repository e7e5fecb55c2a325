package wordfilter

// A phonetic finds terms by their sound.
type phonetic struct {
	trie
	first   [1 << soundBits]uint32         // the root's children, by sound
	pairs   [1 << (2*soundBits - 6)]uint64 // bit set: the pairs of sounds that begin a term
	follows filter                         // what must come with such a pair; see longer and near
	nears   nears
}

func newPhonetic(terms int) *phonetic {
	return &phonetic{trie: *newTrie(), follows: newFilter(3 * terms)}
}

// add compiles a term: with every character in its usual reading, and with one
// of them in another.
func (p *phonetic) add(term int32, glyphs []glyph) error {
	if len(glyphs) < 2 {
		return nil
	}
	seq := make([]sound, len(glyphs))
	for i, g := range glyphs {
		if seq[i] = soundOf(g.rune()); seq[i] == 0 {
			return nil // a sign or a letter of another language: it has no other spelling
		}
	}
	if err := p.insert(term, glyphs, seq); err != nil {
		return err
	}
	for i, g := range glyphs {
		usual := seq[i]
		for _, s := range soundsOf(g.rune())[1:] {
			seq[i] = s
			if err := p.insert(term, glyphs, seq); err != nil {
				return err
			}
		}
		seq[i] = usual
	}
	return nil
}

func (p *phonetic) insert(term int32, glyphs []glyph, seq []sound) error {
	node := root
	for i, s := range seq {
		var err error
		if node, err = p.trie.add(node, uint32(s)); err != nil {
			return err
		}
		if i == 0 {
			p.first[s] = node
		}
	}
	p.end(node, term)
	pair := pairOf(seq[0], seq[1])
	p.pairs[pair/64] |= 1 << (pair % 64)
	if len(seq) == 2 {
		p.follows.add(thirdHash(pair, noSound))
		for _, key := range []uint64{firstKey(glyphs[0].rune(), seq[1]), secondKey(seq[0], glyphs[1].rune())} {
			p.follows.add(hash(key, 0))
			p.nears.add(key, term)
		}
		return nil
	}
	p.follows.add(thirdHash(pair, seq[2]))
	fourth := sound(noSound)
	if len(seq) > 3 {
		fourth = seq[3]
	}
	p.follows.add(fourthHash(pair, seq[2], fourth))
	return nil
}

func pairOf(a, b sound) uint { return uint(a)<<soundBits | uint(b) }

// begins reports whether a term begins with the pair of sounds.
func (p *phonetic) begins(pair uint) bool { return p.pairs[pair/64]>>(pair%64)&1 != 0 }

// noSound, in place of a sound, says that the term ends.
const noSound = 0

// thirdHash and fourthHash are in follows for the sounds that come behind the
// first two of a term.
func thirdHash(pair uint, third sound) uint64 { return hash(uint64(pair), uint64(third)<<1) }

func fourthHash(pair uint, third, fourth sound) uint64 {
	return hash(uint64(pair), uint64(pairOf(third, fourth))<<1|1)
}

// longer reports whether a term of three characters or more may begin with the
// pair of sounds at units[i], third and fourth being the next ones.
func (p *phonetic) longer(pair uint, third, fourth sound, units []unit, i int) bool {
	return i+2 < len(units) && p.follows.has(thirdHash(pair, third)) &&
		skipped(units[i+1].gap, units[i+2].gap) &&
		(fourth&detoured != 0 || p.follows.has(fourthHash(pair, third, noSound)) || p.follows.has(fourthHash(pair, third, fourth)))
}

// minInside is the least cost of two characters, one of which replaces one of
// a term's: below it, they are too ordinary to be a hit.
const minInside = disguisedCost + homophoneCost + minAdvantage

// near reports whether units[i] and units[i+1] may be a term of two characters,
// one of them replaced by another of its sound, and returns the keys of such
// terms in nears, or 0.
func (p *phonetic) near(first, second sound, units []unit, i int) (keys [2]uint64, ok bool) {
	a, b := units[i].char, units[i+1].char
	if charCost(a)+charCost(b) < minInside || units[i+1].gap&^gapSymbol != 0 {
		return keys, false
	}
	keys[0], keys[1] = firstKey(a.rune(), second), secondKey(first, b.rune())
	for i, key := range keys {
		if !p.follows.has(hash(key, 0)) {
			keys[i] = 0
		}
	}
	if keys[0]|keys[1] == 0 {
		return keys, false
	}
	return keys, units[i+1].gap != 0 || wordCost([]rune{a.rune(), b.rune()}) >= minInside && !torn(units, i)
}

// torn reports whether units[i] or units[i+1] is easier to read as a word with
// its other neighbour, which makes none with the one beyond. What weigh says in
// the end is said here at once, of most candidates.
func torn(units []unit, i int) bool {
	n := len(units)
	a, b := units[i].char, units[i+1].char
	if i > 0 && units[i].gap == 0 {
		before := units[i-1].char
		if wordCost([]rune{before.rune(), a.rune()}) < charCost(before)+charCost(a) &&
			(i == 1 || units[i-1].gap != 0 || wordCost([]rune{units[i-2].char.rune(), before.rune()}) == noCost) {
			return true
		}
	}
	if i+2 < n && units[i+2].gap == 0 {
		behind := units[i+2].char
		if wordCost([]rune{b.rune(), behind.rune()}) < charCost(b)+charCost(behind) &&
			(i+3 == n || units[i+3].gap != 0 || wordCost([]rune{behind.rune(), units[i+3].char.rune()}) == noCost) {
			return true
		}
	}
	return false
}

const (
	maxSteps = 24 // tried from one unit on: hostile texts stay linear
	maxHeard = 8  // terms that may be heard from one unit on
)

// A step is one character of a term as a text spells it: the units from at up
// to, not including, to.
type step struct {
	at, to int32
	how    Disguise // 0: the character itself, or one of its sound
	r      rune     // the character a detour stands for, or 0
}

// A walk follows a lattice and a trie side by side.
type walk struct {
	p     *phonetic
	l     *lattice
	left  int // steps that may still be tried
	steps [MaxWordLen]step
	heard []heard
	kept  []step // of everything heard
}

// heard is a term that was found and its steps, kept[from:to] of the walk.
type heard struct {
	term     int32
	from, to int32
}

// walk fills w.heard with the terms that may begin at unit i.
func (w *walk) walk(p *phonetic, l *lattice, i int) {
	w.p, w.l, w.left, w.heard, w.kept = p, l, maxSteps, w.heard[:0], w.kept[:0]
	w.options(root, int32(i), 0, 0)
}

// options tries all readings from unit at on, node being reached after depth
// steps; before are the sounds of the first two of them, as far as taken.
func (w *walk) options(node uint32, at int32, depth int, before uint) {
	if w.left--; w.left < 0 || depth == MaxWordLen || int(at) == len(w.l.sounds)-padding {
		return
	}
	if s := w.l.sounds[at] & soundMask; s != 0 {
		w.step(node, depth, before, s, step{at: at, to: at + 1})
	}
	for d := w.l.other[at]; d != 0; {
		o := &w.l.detour[d-1]
		w.step(node, depth, before, o.sound, step{at: at, to: o.to, how: o.how, r: o.r})
		d = o.next
	}
}

// step takes one step, if there is a term that does, and goes on from there.
// The trie is large and asked late: the first steps ask the filters.
func (w *walk) step(node uint32, depth int, before uint, s sound, st step) {
	p := w.p
	w.steps[depth] = st
	switch depth {
	case 0:
		w.options(root, st.to, 1, uint(s))
		return
	case 1:
		before = before<<soundBits | uint(s)
		if !p.begins(before) {
			return
		}
		if p.follows.has(thirdHash(before, noSound)) {
			w.hear(p.second(before), 2)
		}
		w.options(root, st.to, 2, before)
		return
	case 2:
		if !p.follows.has(thirdHash(before, s)) {
			return
		}
		node = p.second(before)
	}
	if node = p.child(node, uint32(s)); node != root {
		w.hear(node, depth+1)
		w.options(node, st.to, depth+1, before)
	}
}

// second returns the node behind a pair of sounds, or root.
func (p *phonetic) second(pair uint) uint32 {
	if node := p.first[pair>>soundBits]; node != root {
		return p.child(node, uint32(pair)&uint32(soundMask))
	}
	return root
}

// hear keeps the terms that end at node, reached after depth steps.
func (w *walk) hear(node uint32, depth int) {
	for e := w.p.ends[node]; e >= 0 && len(w.heard) < maxHeard; e = w.p.list[e].next {
		from := int32(len(w.kept))
		w.kept = append(w.kept, w.steps[:depth]...)
		w.heard = append(w.heard, heard{w.p.list[e].id, from, from + int32(depth)})
	}
}
