package wordfilter

// A phonetic finds terms by their sound.
type phonetic struct {
	trie
	first   [1 << soundBits]uint32         // the root's children, by sound
	pairs   [1 << (2*soundBits - 6)]uint64 // bit set: the pairs of sounds that begin a term
	follows filter                         // what must come with such a pair; see continues
}

func newPhonetic(terms int) *phonetic {
	return &phonetic{trie: *newTrie(), follows: newFilter(3 * terms)}
}

// add compiles a term: with every character in its usual reading, and with one
// of them in another.
func (p *phonetic) add(term int32, runes []rune) error {
	if len(runes) < 2 {
		return nil
	}
	seq := make([]sound, len(runes))
	for i, r := range runes {
		if seq[i] = soundOf(r); seq[i] == 0 {
			return nil // a sign or a letter of another language: it has no other spelling
		}
	}
	if err := p.insert(term, runes, seq); err != nil {
		return err
	}
	for i, r := range runes {
		usual := seq[i]
		for _, s := range soundsOf(r)[1:] {
			seq[i] = s
			if err := p.insert(term, runes, seq); err != nil {
				return err
			}
		}
		seq[i] = usual
	}
	return nil
}

func (p *phonetic) insert(term int32, runes []rune, seq []sound) error {
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
	switch len(seq) {
	case 2:
		p.follows.add(followHash(pair, firstChar, uint(runes[0])))
		p.follows.add(followHash(pair, secondChar, uint(runes[1])))
	case 3:
		p.follows.add(followHash(pair, thirdSound, uint(seq[2])))
	default:
		p.follows.add(followHash(pair, moreSounds, uint(seq[2])<<soundBits|uint(seq[3])))
	}
	return nil
}

func pairOf(a, b sound) uint { return uint(a)<<soundBits | uint(b) }

// begins reports whether a term begins with the pair of sounds.
func (p *phonetic) begins(pair uint) bool { return p.pairs[pair/64]>>(pair%64)&1 != 0 }

// What must come with the two sounds that a term begins with.
const (
	firstChar  = iota // the first character itself, in a term of two
	secondChar        // the second one, in a term of two
	thirdSound        // the third sound of a term of three
	moreSounds        // the third and fourth sound of a longer term
)

func followHash(pair, what, value uint) uint64 { return hash(uint64(pair<<2|what), uint64(value)) }

// plausible reports whether a term may begin at units[i].
func (p *phonetic) plausible(l *lattice, units []unit, i int) bool {
	if o := l.other[i : i+4]; o[0]|o[1]|o[2]|o[3] != 0 {
		return true // the walk will see
	}
	pair := pairOf(l.sounds[i], l.sounds[i+1])
	return p.begins(pair) && p.continues(pair, l.sounds, units, i)
}

// minInside is the least cost of two characters, one of which replaces one of
// a term's: below it, they are too ordinary to be a hit.
const minInside = disguisedCost + homophoneCost + minAdvantage

// continues reports whether a term may begin with the pair of sounds at
// units[i], none of the first four units having another reading. The sounds of
// two characters are not enough: there must be the other sounds of a longer
// term, or one of the characters of a term of two.
func (p *phonetic) continues(pair uint, sounds []sound, units []unit, i int) bool {
	if i+1 >= len(units) {
		return false
	}
	gap := units[i+1].gap
	if i+2 < len(units) && skipped(gap, units[i+2].gap) {
		third := uint(sounds[i+2])
		if p.follows.has(followHash(pair, thirdSound, third)) ||
			p.follows.has(followHash(pair, moreSounds, third<<soundBits|uint(sounds[i+3]))) {
			return true
		}
	}
	a, b := units[i].char, units[i+1].char
	if !gap.skipped() || charCost(a)+charCost(b) < minInside {
		return false
	}
	if !p.follows.has(followHash(pair, firstChar, uint(a.rune()))) && !p.follows.has(followHash(pair, secondChar, uint(b.rune()))) {
		return false
	}
	return gap != 0 || wordCost([]rune{a.rune(), b.rune()}) >= minInside
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
// steps, the last one of the given sound.
func (w *walk) options(node uint32, at int32, depth int, before sound) {
	if w.left--; w.left < 0 || depth == MaxWordLen || int(at) == len(w.l.sounds)-1 {
		return
	}
	if s := w.l.sounds[at]; s != 0 {
		w.step(node, depth, before, s, step{at: at, to: at + 1})
	}
	for d := w.l.other[at]; d != 0; {
		o := &w.l.detour[d-1]
		w.step(node, depth, before, o.sound, step{at: at, to: o.to, how: o.how, r: o.r})
		d = o.next
	}
}

// step takes one step, if the trie has it, and goes on from there.
func (w *walk) step(node uint32, depth int, before, s sound, st step) {
	switch {
	case depth == 0:
		node = w.p.first[s]
	case depth == 1 && !w.p.begins(pairOf(before, s)):
		return
	default:
		node = w.p.child(node, uint32(s))
	}
	if node == root {
		return
	}
	w.steps[depth] = st
	depth++
	for e := w.p.ends[node]; e >= 0 && len(w.heard) < maxHeard; e = w.p.list[e].next {
		from := int32(len(w.kept))
		w.kept = append(w.kept, w.steps[:depth]...)
		w.heard = append(w.heard, heard{w.p.list[e].id, from, from + int32(depth)})
	}
	w.options(node, st.to, depth, s)
}
