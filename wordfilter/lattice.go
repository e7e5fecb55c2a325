package wordfilter

import "slices"

// A lattice is what a text may sound like. Every unit has the sound of its
// character; beside it, stretches of units may have other readings: letters
// that spell a syllable, parts that look like a character, a digit that stands
// for a numeral.
type lattice struct {
	sounds []sound // by unit
	other  []int32 // by unit: 1 + the first of its detours, or 0
	detour []detour
	dirty  []int32 // units whose entry in other is not 0
}

// A detour is another reading of the units from the one it belongs to up to,
// not including, to.
type detour struct {
	to    int32
	next  int32 // 1 + the unit's next detour, or 0
	sound sound
	how   Disguise
	r     rune // the character it stands for, or 0: any of that sound
}

// fill makes l the lattice of units.
func (l *lattice) fill(units []unit) {
	for _, i := range l.dirty {
		l.other[i] = 0
	}
	l.dirty, l.detour = l.dirty[:0], l.detour[:0]
	if size := len(units) + 4; cap(l.other) < size { // 4, so that plausible need not look where the end is
		l.other = make([]int32, 2*size)
	}
	l.other = l.other[:cap(l.other)]
	l.sounds = slices.Grow(l.sounds[:0], len(units)+1)
	for i := range units {
		c := units[i].char
		if at := c.rune() - firstHan; at >= 0 && at < rune(len(usual)) {
			s := usual[at]
			l.sounds = append(l.sounds, s&^parts)
			if s&firstPart != 0 && i+1 < len(units) {
				if r := joined(&units[i], &units[i+1]); r != 0 {
					l.add(i, detour{to: int32(i + 2), sound: soundOf(r), how: Split, r: r})
				}
			}
			continue
		}
		l.sounds = append(l.sounds, soundOf(c.rune()))
		switch c.class() {
		case latin:
			l.spell(units, i)
		case digit:
			l.numeral(units, i)
		}
	}
	l.sounds = append(l.sounds, 0)
}

func (l *lattice) add(at int, d detour) {
	if d.sound == 0 {
		return
	}
	if l.other[at] == 0 {
		l.dirty = append(l.dirty, int32(at))
	}
	d.next = l.other[at]
	l.detour = append(l.detour, d)
	l.other[at] = int32(len(l.detour))
}

// spell adds the syllables that begin with the letter at i.
func (l *lattice) spell(units []unit, i int) {
	node := uint16(0)
	for j := i; j < len(units) && units[j].char.class() == latin && (j == i || units[j].gap == 0); j++ {
		if node = syllables[node].next[units[j].char.rune()-'a']; node == 0 {
			return
		}
		if s := syllables[node].sound; s != 0 {
			l.add(i, detour{to: int32(j + 1), sound: s, how: Pinyin})
		}
	}
}

// numeral adds the numeral that the digit at i stands for, if it stands alone.
func (l *lattice) numeral(units []unit, i int) {
	const numerals = "零一二三四五六七八九" // three bytes each
	if i > 0 && units[i-1].char.class() <= latin || i+1 < len(units) && units[i+1].char.class() <= latin {
		return
	}
	for at, r := range numerals {
		if rune(at/3) == units[i].char.rune()-'0' {
			l.add(i, detour{to: int32(i + 1), sound: soundOf(r), how: Digit, r: r})
		}
	}
}

// A step is one character of a term as a text spells it: the units from at up
// to, not including, to.
type step struct {
	at, to int32
	how    Disguise // 0: the character itself, or one of its sound
	r      rune     // the character a detour stands for, or 0
}

// A phonetic finds terms by their sound.
type phonetic struct {
	trie
	begins    [1 << (2*soundBits - 6)]uint64 // bit set: the pairs of sounds that begin a term
	follows   bitset                         // hashes of what must come with such a pair; see plausible
	spellings []spelling
}

// minInside is the least cost of two characters, one of which replaces one of
// a term's: below it, they are too ordinary to be a hit.
const minInside = disguisedCost + homophoneCost + minAdvantage

// A spelling is a term, of which the characters from lo up to hi are given by
// their initial letters only.
type spelling struct {
	term   int32
	lo, hi uint8
}

const (
	maxSpellings = 4  // of one term with characters that have several readings
	maxSteps     = 24 // tried from one unit on: hostile texts stay linear
	maxHeard     = 8  // terms that may be heard from one unit on
)

// add compiles a term.
func (p *phonetic) add(term int32, runes []rune) error {
	for _, r := range runes {
		if soundOf(r) == 0 {
			return nil // a sign or a letter of another language: it has no other spelling
		}
	}
	n := len(runes)
	whole := spelling{term: term}
	if err := p.addReadings(whole, runes); err != nil || n < 3 {
		return err
	}
	for k := 2; k < n && k <= 4; k++ { // initials of the first k characters, or of the last k
		if err := p.addSounds(spelling{term, 0, uint8(k)}, runes); err != nil {
			return err
		}
		if err := p.addSounds(spelling{term, uint8(n - k), uint8(n)}, runes); err != nil {
			return err
		}
	}
	return nil
}

// addSounds adds a spelling with every character in its usual reading.
func (p *phonetic) addSounds(s spelling, runes []rune) error {
	seq := make([]sound, len(runes))
	for i, r := range runes {
		if seq[i] = soundOf(r); i >= int(s.lo) && i < int(s.hi) {
			if seq[i] >= soundLetter {
				return nil
			}
			seq[i] = initials[seq[i]]
		}
	}
	return p.insert(s, runes, seq)
}

// addReadings adds a spelling once for each way to read its characters.
func (p *phonetic) addReadings(s spelling, runes []rune) error {
	seqs := [][]sound{nil}
	for _, r := range runes {
		var longer [][]sound
		for _, snd := range soundsOf(r) {
			for _, seq := range seqs {
				if len(longer) < maxSpellings {
					longer = append(longer, append(seq[:len(seq):len(seq)], snd))
				}
			}
		}
		seqs = longer
	}
	for _, seq := range seqs {
		if err := p.insert(s, runes, seq); err != nil {
			return err
		}
	}
	return nil
}

func (p *phonetic) insert(s spelling, runes []rune, seq []sound) error {
	if len(seq) < 2 {
		return nil
	}
	node := root
	for _, snd := range seq {
		var err error
		if node, err = p.trie.add(node, uint32(snd)); err != nil {
			return err
		}
	}
	p.end(node, int32(len(p.spellings)))
	p.spellings = append(p.spellings, s)
	pair := uint(seq[0])<<soundBits | uint(seq[1])
	p.begins[pair/64] |= 1 << (pair % 64)
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

// What must come with the two sounds that a term begins with.
const (
	firstChar  = iota // the first character itself, in a term of two
	secondChar        // the second one, in a term of two
	thirdSound        // the third sound of a term of three
	moreSounds        // the third and fourth sound of a longer term
)

func followHash(pair, what, value uint) uint32 {
	h := uint64(pair)<<32 | uint64(what)<<30 | uint64(value)
	return uint32(h * 0x9E3779B97F4A7C15 >> 32)
}

// plausible reports whether a term may begin at units[i].
func (p *phonetic) plausible(l *lattice, units []unit, i int) bool {
	pair := uint(l.sounds[i])<<soundBits | uint(l.sounds[i+1])
	begins := p.begins[pair/64]>>(pair%64)&1 != 0 && i+1 < len(units)
	detours := l.other[i : i+4]
	switch {
	case detours[0]|detours[1] != 0:
		return true
	case !begins:
		return false
	}
	return detours[2]|detours[3] != 0 || p.continues(pair, l.sounds, units, i)
}

// continues reports whether a term may begin with the pair of sounds at
// units[i], none of the first four units having another reading. The sounds of
// two characters are not enough: there must be the other sounds of a longer
// term, or one of the characters of a term of two.
func (p *phonetic) continues(pair uint, sounds []sound, units []unit, i int) bool {
	if i+2 < len(units) {
		third := uint(sounds[i+2])
		if p.follows.has(followHash(pair, thirdSound, third)) ||
			p.follows.has(followHash(pair, moreSounds, third<<soundBits|uint(sounds[i+3]))) {
			return true
		}
	}
	a, b := units[i].char, units[i+1].char
	if charCost(a)+charCost(b) < minInside {
		return false
	}
	if !p.follows.has(followHash(pair, firstChar, uint(a.rune()))) && !p.follows.has(followHash(pair, secondChar, uint(b.rune()))) {
		return false
	}
	return wordCost([]rune{a.rune(), b.rune()}) >= minInside
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

// heard is a spelling that was found and its steps, kept[from:to] of the walk.
type heard struct {
	spelling
	from, to int
}

// walk fills w.heard with the terms that may begin at unit i.
func (w *walk) walk(p *phonetic, l *lattice, i int) {
	w.p, w.l, w.left, w.heard, w.kept = p, l, maxSteps, w.heard[:0], w.kept[:0]
	w.step(root, int32(i), 0)
}

// step tries all readings from unit at on, node being reached after depth
// steps.
func (w *walk) step(node uint32, at int32, depth int) {
	if w.left--; w.left < 0 {
		return
	}
	for e := w.p.ends[node]; e >= 0 && len(w.heard) < maxHeard; e = w.p.list[e].next {
		w.kept = append(w.kept, w.steps[:depth]...)
		w.heard = append(w.heard, heard{w.p.spellings[w.p.list[e].id], len(w.kept) - depth, len(w.kept)})
	}
	if depth == MaxWordLen || int(at) == len(w.l.sounds)-1 {
		return
	}
	if s := w.l.sounds[at]; s != 0 {
		if next := w.p.child(node, uint32(s)); next != root {
			w.steps[depth] = step{at: at, to: at + 1}
			w.step(next, at+1, depth+1)
		}
	}
	for d := w.l.other[at]; d != 0; {
		o := &w.l.detour[d-1]
		if next := w.p.child(node, uint32(o.sound)); next != root {
			w.steps[depth] = step{at: at, to: o.to, how: o.how, r: o.r}
			w.step(next, o.to, depth+1)
		}
		d = o.next
	}
}
