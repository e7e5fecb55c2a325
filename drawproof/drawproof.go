// Package drawproof is the protocol qunbot-draw-1: how the winners of a lucky
// draw follow from its published record, so that anybody can compute them
// again. docs/draw.md defines every byte; this package, the script of the
// public page and testdata/verify.py do what it says.
//
// The package is arithmetic alone: it reads no clock, no database and no
// random numbers, and imports nothing of ours.
package drawproof

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"strconv"
)

// Protocol is what a record says it follows.
const Protocol = "qunbot-draw-1"

// NoSource is the public value's source of a draw that has none.
const NoSource = "无"

// A Seed is the secret that the organiser commits to when a draw is made, and
// reveals when it is over.
type Seed [32]byte

// A Hash is a SHA-256 sum: a commitment or a link of the chain.
type Hash [32]byte

// A Pseudonym stands for one entrant of one draw. The same member has another
// one in every draw.
type Pseudonym [16]byte

// String returns the hash as 64 hexadecimal digits.
func (h Hash) String() string { return hex.EncodeToString(h[:]) }

// String returns the pseudonym as 32 hexadecimal digits.
func (p Pseudonym) String() string { return hex.EncodeToString(p[:]) }

// String returns the seed as 64 hexadecimal digits. It is a secret until the
// draw is over.
func (s Seed) String() string { return hex.EncodeToString(s[:]) }

// Commitment is what is published of a seed when the draw is made: SHA-256 of
// its 32 bytes.
func (s Seed) Commitment() Hash { return sha256.Sum256(s[:]) }

// Code is what an entrant is told: the first 8 hexadecimal digits of the chain
// after their entry.
func (h Hash) Code() string { return hex.EncodeToString(h[:4]) }

// Start returns chain_0, which holds everything that was announced.
func (r Rules) Start(id string, commitment Hash) Hash {
	b := text(nil, Protocol+" rules")
	b = text(b, id)
	b = text(b, r.Name)
	b = text(b, r.Organiser)
	b = number(b, len(r.Prizes))
	for _, p := range r.Prizes {
		b = text(b, p.Name)
		b = number(b, p.Count)
		b = number(b, p.ValueFen)
	}
	b = number(b, len(r.Conditions))
	for _, c := range r.Conditions {
		b = text(b, c)
	}
	b = number(b, r.Cost)
	b = number(b, r.Alternates)
	b = text(b, r.Created)
	b = text(b, r.Deadline)
	b = text(b, r.Claim)
	b = text(b, r.Source)
	b = append(b, commitment[:]...)
	return sha256.Sum256(b)
}

// Next returns chain_n, where h is chain_{n−1}: SHA-256 of h, n and the n-th
// entrant's pseudonym, 52 bytes.
func (h Hash) Next(n int, who Pseudonym) Hash {
	var b [52]byte
	copy(b[:32], h[:])
	binary.BigEndian.PutUint32(b[32:36], uint32(n))
	copy(b[36:], who[:])
	return sha256.Sum256(b[:])
}

// PseudonymOf returns a member's pseudonym in the draw with this secret key.
// The key is not the seed and is never revealed: who has it could find out who
// the entrants are.
func PseudonymOf(key [32]byte, member int64) (p Pseudonym) {
	mac := hmac.New(sha256.New, key[:])
	mac.Write(text(text(nil, Protocol+" entrant"), strconv.FormatInt(member, 10)))
	copy(p[:], mac.Sum(nil))
	return p
}

// Rank returns the first places of the ranking of a draw with so many entries:
// the numbers of entries, from 1, each at most once. chain is the one after
// the last entry; value is the public value, empty without a source.
func Rank(seed Seed, id string, chain Hash, value string, entries, places int) []int {
	places = min(places, entries)
	d := dice{seed: seed, message: text(append(text(text(nil, Protocol+" rank"), id), chain[:]...), value)}
	// A shuffle of 1…entries of which only the first places are done; moved
	// holds the positions that no longer have their own number.
	moved := make(map[int]int, places)
	at := func(i int) int {
		if n, ok := moved[i]; ok {
			return n
		}
		return i + 1
	}
	ranked := make([]int, places)
	for i := range ranked {
		j := i + d.below(entries-i)
		ranked[i] = at(j)
		moved[j] = at(i)
	}
	return ranked
}

// dice are the random numbers that a seed stands for.
type dice struct {
	seed    Seed
	message []byte // all but the counter
	counter uint32
}

// below returns a number from 0 to m−1, all equally likely: words that would
// favour the small ones are thrown away.
func (d *dice) below(m int) int {
	limit := uint64(1) << 32
	limit -= limit % uint64(m)
	for {
		mac := hmac.New(sha256.New, d.seed[:])
		mac.Write(binary.BigEndian.AppendUint32(d.message[:len(d.message):len(d.message)], d.counter))
		d.counter++
		if word := uint64(binary.BigEndian.Uint32(mac.Sum(nil))); word < limit {
			return int(word % uint64(m))
		}
	}
}

// number appends n as 4 bytes, the most significant first.
func number(b []byte, n int) []byte { return binary.BigEndian.AppendUint32(b, uint32(n)) }

// text appends the length of s in bytes and then s in UTF-8.
func text(b []byte, s string) []byte { return append(number(b, len(s)), s...) }

// ParseHash reads 64 hexadecimal digits, small letters.
func ParseHash(s string) (h Hash, err error) { return h, parseHex(h[:], s) }

// ParseSeed reads 64 hexadecimal digits, small letters.
func ParseSeed(s string) (seed Seed, err error) { return seed, parseHex(seed[:], s) }

// ParsePseudonym reads 32 hexadecimal digits, small letters.
func ParsePseudonym(s string) (p Pseudonym, err error) { return p, parseHex(p[:], s) }

func parseHex(into []byte, s string) error {
	if len(s) == 2*len(into) && !capital(s) {
		if _, err := hex.Decode(into, []byte(s)); err == nil {
			return nil
		}
	}
	return fmt.Errorf("应该是 %d 位十六进制小写数字，现在是「%s」", 2*len(into), s)
}

func capital(s string) bool {
	for i := range len(s) {
		if 'A' <= s[i] && s[i] <= 'F' {
			return true
		}
	}
	return false
}
