package draw

import (
	"context"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"time"

	"qunbot/drawproof"
	"qunbot/store"
)

// limits returns the limits in force.
func (f *feature) limits(ctx context.Context, tx *store.Tx) (Limits, error) {
	l := defaultLimits
	err := tx.Setting(ctx, "draw", &l)
	return l, err
}

// create makes a draw of a plan in a mall, announced in a group (0: nowhere).
// It commits to a new seed. It returns a refusal if the plan cannot be.
func (f *feature) create(ctx context.Context, tx *store.Tx, p plan, mall, group, operator int64, now time.Time) (store.Draw, error) {
	l, err := f.limits(ctx, tx)
	if err != nil {
		return store.Draw{}, err
	}
	if err := p.check(l, now); err != nil {
		return store.Draw{}, err
	}
	names, err := mallNames(ctx, tx)
	if err != nil {
		return store.Draw{}, err
	}
	running, err := tx.Draws(ctx, store.DrawFilter{Malls: []int64{mall}, States: []store.DrawState{store.DrawOpen}, Limit: maxOpenByMall})
	if err != nil {
		return store.Draw{}, err
	}
	if len(running) == maxOpenByMall {
		return store.Draw{}, refuse("同时进行的抽奖最多 %d 场，请先截止或取消几场。", maxOpenByMall)
	}
	for _, other := range running {
		if sameName(other.Name, p.name) {
			return store.Draw{}, refuse("“%s”（#%d）还在进行，请换一个名称。", other.Name, other.Number)
		}
	}
	d := store.Draw{
		MallID: mall, GroupID: group, OperatorID: operator, Name: p.name, State: store.DrawOpen, Deadline: p.deadline,
		MinPoints: p.minPoints, NotWonDays: p.notWonDays, InGroupDays: p.inGroupDays, Cost: p.cost, ClaimDays: l.ClaimDays, CreatedAt: now,
	}
	if err := f.secrets(&d); err != nil {
		return d, err
	}
	organiser := names[mall]
	if organiser == "" {
		organiser = "本群"
	}
	if err := start(&d, p.rules(organiser, l, now)); err != nil {
		return d, err
	}
	if d.Number, err = tx.NextDrawNumber(ctx, mall); err != nil {
		return d, err
	}
	err = tx.AddDraw(ctx, &d)
	return d, err
}

// start writes the rules down, commits to the seed and begins the chain.
func start(d *store.Draw, r drawproof.Rules) error {
	text, err := json.Marshal(r)
	if err != nil {
		return fmt.Errorf("rules of a draw: %w", err)
	}
	seed, err := drawproof.ParseSeed(d.Seed)
	if err != nil {
		return err
	}
	d.Rules, d.Commitment = string(text), seed.Commitment().String()
	if r, err = rulesOf(*d); err != nil { // as everybody will read them
		return err
	}
	d.Chain = r.Start(d.PublicID, seed.Commitment()).String()
	return nil
}

// secrets fills in what must be unforeseeable.
func (f *feature) secrets(d *store.Draw) error {
	var secret [64]byte
	if _, err := io.ReadFull(f.Random, secret[:]); err != nil {
		return fmt.Errorf("make a seed: %w", err)
	}
	d.Seed, d.EntrantKey = hex.EncodeToString(secret[:32]), hex.EncodeToString(secret[32:])
	const letters = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
	var err error
	d.PublicID, err = f.randomText(letters, 10)
	return err
}

// randomText returns n of the letters, each as likely as any other.
func (f *feature) randomText(letters string, n int) (string, error) {
	text := make([]byte, 0, n)
	fair := 256 - 256%len(letters)
	var b [1]byte
	for len(text) < n {
		if _, err := io.ReadFull(f.Random, b[:]); err != nil {
			return "", fmt.Errorf("make a code: %w", err)
		}
		if int(b[0]) < fair {
			text = append(text, letters[int(b[0])%len(letters)])
		}
	}
	return string(text), nil
}

// errState ends a transaction that found a draw in a state it does not allow,
// because another replica was quicker.
var errState = errors.New("draw is in another state")
