package drawproof

import (
	"errors"
	"fmt"
	"slices"
)

// ErrUnfinished is returned for the record of a draw that is not over, as far
// as that record can be right.
var ErrUnfinished = errors.New("还没有开奖，现在只能核对到报名名单")

// Verify computes everything in r again and returns an error, in words for the
// reader, that names the first thing that differs. It returns ErrUnfinished
// if nothing differs but there are no winners to compute yet.
func (r Record) Verify() error {
	if r.Protocol != Protocol {
		return fmt.Errorf("协议：应该是 %s，记录里是「%s」", Protocol, r.Protocol)
	}
	if !validID(r.ID) {
		return fmt.Errorf("编号：应该是 10 位字母和数字，记录里是「%s」", r.ID)
	}
	if err := r.Rules.check(); err != nil {
		return err
	}
	commitment, err := ParseHash(r.Commitment)
	if err != nil {
		return fmt.Errorf("种子的承诺值：%w", err)
	}
	if err := r.verifyState(); err != nil {
		return err
	}
	var seed Seed
	over := r.State == Drawn || r.State == Cancelled
	if over {
		if seed, err = ParseSeed(r.Seed); err != nil {
			return fmt.Errorf("种子：%w", err)
		}
		if got := seed.Commitment(); got != commitment {
			return fmt.Errorf("种子：算出来的承诺值是 %s，记录里是 %s", got, commitment)
		}
	}
	chain, err := r.verifyEntries(commitment)
	if err != nil {
		return err
	}
	if !over {
		return ErrUnfinished
	}
	if r.State == Cancelled {
		return nil
	}
	return r.verifyWinners(seed, chain)
}

// verifyState checks what belongs to which state.
func (r Record) verifyState() error {
	ranked := len(r.Winners) + len(r.Alternates)
	switch r.State {
	case Open, Closed:
		if r.Seed != "" || ranked > 0 {
			return errors.New("状态：还没有开奖，却已经有种子或中奖名单")
		}
	case Drawn:
	case Cancelled:
		if r.Reason == "" {
			return errors.New("状态：取消了，却没有写原因")
		}
		if ranked > 0 {
			return errors.New("状态：取消了，却有中奖名单")
		}
	default:
		return fmt.Errorf("状态：不认识「%s」", r.State)
	}
	if r.State != Cancelled && r.Reason != "" {
		return errors.New("状态：没有取消，却写着取消的原因")
	}
	if r.Rules.Source == NoSource && r.PublicValue != "" {
		return errors.New("公证数：规则里没有约定来源，记录里却有公证数")
	}
	if r.State == Drawn && r.Rules.Source != NoSource && r.PublicValue == "" {
		return errors.New("公证数：规则里约定了来源，记录里却没有公证数")
	}
	return nil
}

// verifyEntries computes the chain.
func (r Record) verifyEntries(commitment Hash) (Hash, error) {
	chain := r.Rules.Start(r.ID, commitment)
	if len(r.Entries) > MaxEntries {
		return chain, fmt.Errorf("报名：最多 %d 位，记录里有 %d 位", MaxEntries, len(r.Entries))
	}
	if r.State == Open { // the list is published at closing
		return chain, nil
	}
	seen := make(map[Pseudonym]int, len(r.Entries))
	for i, e := range r.Entries {
		who, err := ParsePseudonym(e.Pseudonym)
		if err != nil {
			return chain, fmt.Errorf("第 %d 位报名者的代号：%w", i+1, err)
		}
		if other, twice := seen[who]; twice {
			return chain, fmt.Errorf("第 %d 位和第 %d 位报名者是同一个代号", other, i+1)
		}
		seen[who] = i + 1
		chain = chain.Next(i+1, who)
		if got := chain.Code(); got != e.Code {
			return chain, fmt.Errorf("第 %d 位报名者：算出来的核对码是 %s，记录里是「%s」", i+1, got, e.Code)
		}
	}
	if len(r.Entries) != r.Count {
		return chain, fmt.Errorf("报名人数：名单里有 %d 位，截止时公布的是 %d 位", len(r.Entries), r.Count)
	}
	if got := chain.String(); got != r.Chain {
		return chain, fmt.Errorf("名单的校验值：算出来是 %s，截止时公布的是「%s」", got, r.Chain)
	}
	return chain, nil
}

// verifyWinners computes the ranking.
func (r Record) verifyWinners(seed Seed, chain Hash) error {
	winners, alternates := r.Rules.Allot(Rank(seed, r.ID, chain, r.PublicValue, r.Count, r.Rules.Winners()+r.Rules.Alternates))
	if len(winners) != len(r.Winners) {
		return fmt.Errorf("中奖名单：应该有 %d 位，记录里有 %d 位", len(winners), len(r.Winners))
	}
	for i, w := range winners {
		if w != r.Winners[i] {
			return fmt.Errorf("中奖名单第 %d 行：应该是第 %d 种奖品、第 %d 位报名者，记录里是第 %d 种奖品、第 %d 位",
				i+1, w.Prize, w.Entry, r.Winners[i].Prize, r.Winners[i].Entry)
		}
	}
	if !slices.Equal(alternates, r.Alternates) {
		return fmt.Errorf("候补名单：应该是 %v，记录里是 %v", alternates, r.Alternates)
	}
	return nil
}

func validID(id string) bool {
	for i := range len(id) {
		c := id[i]
		if (c < '0' || c > '9') && (c < 'A' || c > 'Z') && (c < 'a' || c > 'z') {
			return false
		}
	}
	return len(id) == 10
}
