package watch

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"qunbot/bot"
	"qunbot/store"
)

// stall is how long the engine may be at one batch: its transaction is given up
// after ten seconds, and its messages are then tried alone for some more.
const stall = 30 * time.Second

// PulseConfig is what a pulse works with.
type PulseConfig struct {
	Store    *store.Store
	Metrics  *Metrics
	Progress func() bot.Progress // of the engine
	Clock    func() time.Time
	Log      *slog.Logger
	Host     string // the machine, at most 60 bytes
	Process  string // names this process on it, at most 10 bytes
	Version  string
}

// A Pulse tells the database every ten seconds that this process is alive, with
// its figures, and notes the outage that it finds before its own first beat or
// after its own silence.
type Pulse struct {
	PulseConfig
	name    string
	started time.Time

	mu     sync.Mutex
	beatAt time.Time // the last one that was stored
	err    error     // why the one after it was not; nil: it is not due yet
	offset time.Duration
}

// NewPulse returns a pulse. It beats while Run does.
func NewPulse(c PulseConfig) *Pulse {
	c.Host, c.Version = fmt.Sprintf("%.60s", c.Host), fmt.Sprintf("%.60s", c.Version)
	name := fmt.Sprintf("%.60s/%.10s %s", c.Host, c.Process, rand.Text()[:8])
	return &Pulse{PulseConfig: c, name: name, started: c.Clock()}
}

// Name returns the name of this process among the replicas.
func (p *Pulse) Name() string { return p.name }

// Run beats until ctx is done, and then once more to say that it ends.
func (p *Pulse) Run(ctx context.Context) error {
	ticker := time.NewTicker(beatEvery)
	defer ticker.Stop()
	for {
		p.beat(ctx, false)
		select {
		case <-ctx.Done():
			last, cancel := context.WithTimeout(context.WithoutCancel(ctx), 2*time.Second)
			defer cancel()
			p.beat(last, true)
			return nil
		case <-ticker.C:
		}
	}
}

// errStalled is why a process whose engine stands still does not beat.
var errStalled = errors.New("the engine does not get on")

// beat stores one beat and remembers how that went.
func (p *Pulse) beat(ctx context.Context, last bool) {
	now := p.Clock()
	err := p.store(ctx, now, last)
	if ctx.Err() != nil {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	switch {
	case err == nil:
		p.beatAt = now
	case p.err == nil: // once, not every ten seconds
		p.Log.Error("no heartbeat", "err", err)
	}
	p.err = err
}

func (p *Pulse) store(ctx context.Context, now time.Time, last bool) error {
	if since := p.Progress().Since; !since.IsZero() && p.Metrics.now().Sub(since) > stall {
		return errStalled
	}
	ctx, cancel := context.WithTimeout(ctx, beatEvery)
	defer cancel()
	offset, err := p.readOffset(ctx)
	if err != nil {
		return err
	}
	r := p.replica(now, last, offset)
	var found *store.Outage
	err = p.Store.Update(ctx, func(tx *store.Tx) error {
		found = nil
		ctx := tx.Context()
		all, err := tx.Replicas(ctx)
		if err != nil {
			return err
		}
		if o, silent := outageBefore(all, now); silent {
			added, err := tx.AddOutage(ctx, o)
			if err != nil {
				return err
			}
			if added {
				found = &o
			}
		}
		if len(all) == 0 {
			if err := tx.SetSetting(ctx, sinceSetting, now); err != nil {
				return err
			}
		}
		if err := tx.PutReplica(ctx, r); err != nil {
			return err
		}
		if now.Sub(p.started) > time.Minute {
			return nil
		}
		// At its start a process clears up. The others are not asked: this
		// beat is newer than what goes.
		if err := tx.PruneReplicas(ctx, now.Add(-forget)); err != nil {
			return err
		}
		return tx.PruneWatch(ctx, now.AddDate(0, 0, -keep))
	})
	if err == nil && found != nil {
		p.Log.Warn("nobody was alive", "from", found.BeganAt, "until", found.EndedAt, "took", found.Took().String())
	}
	return err
}

func (p *Pulse) replica(now time.Time, last bool, offset time.Duration) store.Replica {
	f := p.Metrics.Lately()
	return store.Replica{
		Name: p.name, Host: p.Host, Version: p.Version, StartedAt: p.started, BeatAt: now, Stopped: last, Offset: offset,
		Answers: f.Answers, MeanAnswer: f.Mean, P50: f.P50, P99: f.P99, TurnedAway: f.TurnedAway, DBErrors: f.DBErrors,
		LastMinute: p.Metrics.LastMinute(), Waiting: p.Progress().Waiting,
	}
}

// readOffset compares the clock with the database's.
func (p *Pulse) readOffset(ctx context.Context) (time.Duration, error) {
	var before, theirs time.Time
	err := p.Store.View(ctx, func(tx *store.Tx) (err error) {
		before = p.Clock()
		theirs, err = tx.Clock(tx.Context())
		return err
	})
	if errors.Is(err, store.ErrNotFound) {
		return 0, nil // SQLite is on this machine
	}
	if err != nil {
		return 0, err
	}
	ours := before.Add(p.Clock().Sub(before) / 2)
	p.mu.Lock()
	defer p.mu.Unlock()
	p.offset = ours.Sub(theirs)
	return p.offset, nil
}

// state returns the last beat that was stored, how far the clock is ahead of the
// database's, and why the next beat was not stored.
func (p *Pulse) state() (beatAt time.Time, offset time.Duration, err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.beatAt, p.offset, p.err
}
