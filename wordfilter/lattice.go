package wordfilter

import "slices"

// A lattice is what a text may sound like. Every unit has the sound of its
// character; beside it, stretches of units may have other readings: letters
// that spell a syllable, parts that look like a character, a digit that stands
// for a numeral.
type lattice struct {
	sounds []sound // by unit, marked as detoured if it has other readings; padding zeros at the end
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

const (
	detoured = sound(1 << 15)
	padding  = 3
)

// fill makes l the lattice of units.
func (l *lattice) fill(units []unit) {
	for _, i := range l.dirty {
		l.other[i] = 0
	}
	l.dirty, l.detour = l.dirty[:0], l.detour[:0]
	if cap(l.other) < len(units) {
		l.other = make([]int32, 2*len(units))
	}
	l.other = l.other[:cap(l.other)]
	l.sounds = slices.Grow(l.sounds[:0], len(units)+padding)[:len(units)+padding]
	clear(l.sounds[len(units):])
	before := sound(0) // of the unit before, with its marks
	sounds := l.sounds[:len(units)]
	for i := range units {
		at := uint32(units[i].char.rune() - firstHan)
		if at >= uint32(len(usual)) {
			l.fillOther(units, i)
			before = 0
			continue
		}
		s := usual[at]
		sounds[i] = s & soundMask
		if s&secondPart&(before<<1)|s&heteronym != 0 {
			if i > 0 {
				l.join(units, i-1)
			}
			if s&heteronym != 0 {
				l.add(i, detour{to: int32(i + 1), sound: readings[at][1]})
			}
		}
		before = s
	}
}

// fillOther fills in what is no Chinese character.
func (l *lattice) fillOther(units []unit, i int) {
	c := units[i].char
	l.sounds[i] = soundOf(c.rune())
	switch c.class() {
	case latin:
		l.spell(units, i)
	case digit:
		l.numeral(units, i)
	}
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
	l.sounds[at] |= detoured
}

// join adds the character that the one at i and its neighbour look like.
func (l *lattice) join(units []unit, i int) {
	if r := joined(&units[i], &units[i+1]); r != 0 {
		l.add(i, detour{to: int32(i + 2), sound: soundOf(r), how: Split, r: r})
	}
}

// spell adds the syllables that begin with the letter at i. The letters of one
// may also stand apart, if all do: w e i.
func (l *lattice) spell(units []unit, i int) {
	node := uint16(0)
	apart := i+1 < len(units) && units[i+1].gap != 0
	for j := i; j < len(units) && units[j].char.class() == latin; j++ {
		if g := units[j].gap; j > i && ((g != 0) != apart || !g.skipped()) {
			return
		}
		if node = syllables[node].next[units[j].char.rune()-'a']; node == 0 {
			return
		}
		if s := syllables[node].sound; s != 0 {
			l.add(i, detour{to: int32(j + 1), sound: s, how: Pinyin})
		}
	}
}

// numerals are what digits stand for, or sound like: 王8蛋, 5抵押.
var numerals = [...]rune{'零', '一', '二', '三', '四', '五', '六', '七', '八', '九'}

// numeral adds the numeral that the digit at i stands for, if it is a number
// by itself.
func (l *lattice) numeral(units []unit, i int) {
	if i > 0 && units[i-1].char.class() == digit || i+1 < len(units) && units[i+1].char.class() == digit {
		return
	}
	if n := units[i].char.rune() - '0'; n >= 0 && n <= 9 {
		l.add(i, detour{to: int32(i + 1), sound: soundOf(numerals[n]), how: Digit, r: numerals[n]})
	}
}
