package drawproof

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"unicode/utf8"
)

// MaxEntries is the most entries a record may have, and MaxFile the most bytes
// of its JSON.
const (
	MaxEntries = 1_000_000
	MaxFile    = 128 << 20
)

// A State is how far a draw has come.
type State string

// The states.
const (
	Open      State = "open"      // members may enter
	Closed    State = "closed"    // nobody may enter; not drawn yet
	Drawn     State = "drawn"     // over, with winners
	Cancelled State = "cancelled" // over, without
)

// A Record is all that is published of a draw, and all that its winners depend
// on. Its JSON is what the public page offers, what GET /api/v1/draws/{id}
// answers and what `draw verify` reads.
type Record struct {
	Protocol    string   `json:"protocol"`     // Protocol
	ID          string   `json:"id"`           // 10 letters and digits
	State       State    `json:"state"`        //
	Rules       Rules    `json:"rules"`        // as announced
	Commitment  string   `json:"commitment"`   // SHA-256 of the seed, published with the rules
	Entries     []Entry  `json:"entries"`      // in the order in which they came
	Count       int      `json:"count"`        // of entries, published at closing
	Chain       string   `json:"chain"`        // after the last entry, published at closing
	PublicValue string   `json:"public_value"` // as typed in after closing; empty without a source
	Seed        string   `json:"seed"`         // revealed when the draw is over; empty before
	Winners     []Winner `json:"winners"`      // in the order of the ranking
	Alternates  []int    `json:"alternates"`   // entries that follow them in the ranking
	Reason      string   `json:"reason"`       // why it was cancelled; else empty
}

// Rules are what was announced when the draw was made. They never change.
type Rules struct {
	Name       string   `json:"name"`
	Organiser  string   `json:"organiser"`
	Prizes     []Prize  `json:"prizes"`
	Conditions []string `json:"conditions"` // in plain words, judged when somebody enters
	Cost       int      `json:"cost"`       // points that entering costs; 0: nothing
	Alternates int      `json:"alternates"` // how many follow the winners
	Created    string   `json:"created"`    // UTC, such as 2026-11-22T12:00:00Z
	Deadline   string   `json:"deadline"`   // the same; entries of this second are late. Empty: closed by hand
	Claim      string   `json:"claim"`      // how and until when prizes are handed out, in plain words
	Source     string   `json:"source"`     // of the public value, in plain words, or NoSource
}

// A Prize is one kind of prize.
type Prize struct {
	Name     string `json:"name"`
	Count    int    `json:"count"`
	ValueFen int    `json:"value_fen"` // of one, in fen (¥0.01); 0: not stated
}

// An Entry is one entrant; its number is its place in the list, from 1.
type Entry struct {
	Pseudonym string `json:"pseudonym"` // 32 hexadecimal digits
	Code      string `json:"code"`      // what the entrant was told, 8 hexadecimal digits
}

// A Winner is one entry that won one prize.
type Winner struct {
	Prize int `json:"prize"` // its place in Rules.Prizes, from 1
	Entry int `json:"entry"` // its number, from 1
}

// Decode reads a record's JSON. A field that the protocol does not know is an
// error: nothing in a record goes unproved.
func Decode(r io.Reader) (Record, error) {
	var record Record
	d := json.NewDecoder(io.LimitReader(r, MaxFile))
	d.DisallowUnknownFields()
	if err := d.Decode(&record); err != nil {
		return record, fmt.Errorf("这不是一份抽奖记录：%w", err)
	}
	if _, err := d.Token(); err != io.EOF {
		return record, errors.New("这不是一份抽奖记录：后面还有别的内容")
	}
	return record, nil
}

// Winners returns how many prizes there are.
func (r Rules) Winners() (total int) {
	for _, p := range r.Prizes {
		total += p.Count
	}
	return total
}

// Allot gives the prizes to the first of a ranking, in their order, and
// returns the rest as alternates.
func (r Rules) Allot(ranked []int) (winners []Winner, alternates []int) {
	winners, alternates = []Winner{}, []int{}
	prize, left := 0, 0
	for _, entry := range ranked {
		for left == 0 && prize < len(r.Prizes) {
			left = r.Prizes[prize].Count
			prize++
		}
		if left == 0 {
			alternates = append(alternates, entry)
			continue
		}
		left--
		winners = append(winners, Winner{Prize: prize, Entry: entry})
	}
	return winners, alternates
}

// check returns what keeps r from being rules at all.
func (r Rules) check() error {
	if r.Name == "" || r.Source == "" {
		return errors.New("规则不完整：要有名称和公证数的来源")
	}
	total := 0
	for i, p := range r.Prizes {
		if p.Count < 1 || p.Count > MaxEntries || p.ValueFen < 0 || p.ValueFen > 1<<32-1 {
			return fmt.Errorf("规则里第 %d 种奖品的数量或价值不对", i+1)
		}
		total += p.Count
	}
	if total < 1 || total > MaxEntries || r.Cost < 0 || r.Cost > 1<<32-1 || r.Alternates < 0 || r.Alternates > MaxEntries {
		return errors.New("规则里的奖品总数、消耗积分或候补人数不对")
	}
	for _, s := range append([]string{r.Name, r.Organiser, r.Created, r.Deadline, r.Claim, r.Source}, r.Conditions...) {
		if !utf8.ValidString(s) {
			return errors.New("规则里有不是 UTF-8 的文字")
		}
	}
	return nil
}
