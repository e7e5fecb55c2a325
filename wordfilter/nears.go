package wordfilter

// nears finds the terms of two characters by one of the characters and the
// sound of the other. It is an open-addressed hash table; each key has as many
// slots as terms.
type nears struct {
	slots []nearSlot
	count int
}

// A nearSlot is empty if its key is 0.
type nearSlot struct {
	key  uint32
	term int32
}

// firstKey is the key of terms with the given first character.
func firstKey(first rune, second sound) uint64 {
	return uint64(first)<<(soundBits+1) | uint64(second)<<1
}

// secondKey is the key of terms with the given second character.
func secondKey(first sound, second rune) uint64 {
	return uint64(second)<<(soundBits+1) | uint64(first)<<1 | 1
}

func (n *nears) at(key uint64) int { return int(hash(key, 0) >> 40 & uint64(len(n.slots)-1)) }

func (n *nears) add(key uint64, term int32) {
	if n.count++; 2*n.count > len(n.slots) {
		old := n.slots
		n.slots = make([]nearSlot, max(64, 2*len(old)))
		for _, s := range old {
			if s.key != 0 {
				n.put(s)
			}
		}
	}
	n.put(nearSlot{uint32(key), term})
}

func (n *nears) put(s nearSlot) {
	at := n.at(uint64(s.key))
	for n.slots[at].key != 0 {
		at = (at + 1) & (len(n.slots) - 1)
	}
	n.slots[at] = s
}

// each calls f for the terms of key.
func (n *nears) each(key uint64, f func(term int32)) {
	if n.count == 0 {
		return
	}
	for at := n.at(key); n.slots[at].key != 0; at = (at + 1) & (len(n.slots) - 1) {
		if n.slots[at].key == uint32(key) {
			f(n.slots[at].term)
		}
	}
}
