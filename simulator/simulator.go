package simulator

import (
	"context"
	"crypto/rand"
	"fmt"
	"net/http"
	"net/url"
	"sync"
	"time"

	"qunbot/bot/wecom"
)

// A Simulator is the platform and the people on it.
type Simulator struct {
	cfg      Config
	base     *url.URL
	instance string                   // tells this simulator from one before it
	ciphers  map[string]*wecom.Cipher // by name of the bot
	work     chan job                 // for Run
	ended    chan struct{}            // closed when Run has ended
	power    sync.Mutex               // held while the service is being unplugged

	mu        sync.Mutex // guards what follows
	offset    time.Duration
	count     int // of ids given out
	lines     []*line
	traces    []*trace
	letters   map[string]*delivery // by id of the line that was delivered
	open      map[string]int       // interactions, by person and bot
	entered   map[string]string    // last day of enter_chat, by person and chat
	verified  map[string]string    // by bot: what is wrong with its URL, empty if nothing
	responses map[string]*response // by response_code
	tokens    tokens
	recent    map[string][]time.Time // what counts toward a limit; see allow
	minutes   map[string]minute      // calls of each API in this minute
	fixed     bool                   // Config.FixedMinutes
	removed   map[string]bool        // group robots, by chat
	media     media
	faults    map[string]*fault // by API
	moving    bool              // OnAdvance is at work
	rooms     rooms
	messages  map[string]sentMessage // by msgid
	sentBy    map[string]time.Time   // fingerprints of app messages, to when a duplicate counts as one
	cards     map[string]cardCode    // by response_code
	desks     map[string]*desk       // by open_kfid
	logins    map[string]login       // by OAuth code
	viewers   map[chan []byte]bool
}

// A job is something to do in the background.
type job func(ctx context.Context)

// maxJobs is how many jobs may wait for Run.
const maxJobs = 64

// New returns the simulator of the world that cfg describes, or everything
// that is wrong with cfg.
func New(cfg Config) (*Simulator, error) {
	if err := cfg.check(); err != nil {
		return nil, fmt.Errorf("simulator: %w", err)
	}
	cfg = cfg.withDefaults()
	base, err := url.Parse(cfg.BaseURL)
	if err != nil {
		return nil, fmt.Errorf("simulator: %w", err)
	}
	s := &Simulator{
		cfg:       cfg,
		base:      base,
		instance:  rand.Text(),
		ciphers:   make(map[string]*wecom.Cipher),
		work:      make(chan job, maxJobs),
		ended:     make(chan struct{}),
		letters:   make(map[string]*delivery),
		open:      make(map[string]int),
		entered:   make(map[string]string),
		verified:  make(map[string]string),
		responses: make(map[string]*response),
		tokens:    newTokens(),
		logins:    make(map[string]login),
		viewers:   make(map[chan []byte]bool),
		recent:    make(map[string][]time.Time),
		minutes:   make(map[string]minute),
		fixed:     cfg.FixedMinutes,
		removed:   make(map[string]bool),
		faults:    make(map[string]*fault),
		rooms:     rooms{byID: make(map[string]room)},
		messages:  make(map[string]sentMessage),
		sentBy:    make(map[string]time.Time),
		cards:     make(map[string]cardCode),
		desks:     make(map[string]*desk),
	}
	for _, bot := range cfg.Bots {
		if bot.CallbackURL == "" {
			continue
		}
		receiver := "" // an aibot has none
		if bot.what != aibot {
			receiver = cfg.CorpID
		}
		if s.ciphers[bot.Name], err = wecom.NewCipher(bot.Token, bot.AESKey, receiver); err != nil {
			return nil, fmt.Errorf("simulator: bot %q: %w", bot.Name, err)
		}
		s.verified[bot.Name] = "尚未验证"
	}
	for _, account := range cfg.KF {
		s.desks[account.ID] = s.newDesk(account)
	}
	for _, l := range cfg.Lines {
		s.addHistory(l)
	}
	return s, nil
}

// Mount serves the platform and its pages on mux.
func (s *Simulator) Mount(mux *http.ServeMux) {
	s.mountPlatform(mux)
	s.mountOAuth(mux)
	s.mountAPI(mux)
	s.mountPage(mux)
}

// Run verifies the callback URLs and delivers messages until ctx is done. It
// may be called once.
func (s *Simulator) Run(ctx context.Context) error {
	var running sync.WaitGroup
	defer running.Wait()
	defer close(s.ended)
	for _, bot := range s.cfg.Bots {
		if bot.CallbackURL != "" && bot.what != ofAccount { // whose app has the same
			running.Go(func() { s.verify(ctx, bot) })
		}
	}
	for {
		select {
		case <-ctx.Done():
			return nil
		case do := <-s.work:
			running.Go(func() { do(ctx) })
		}
	}
}

// start has Run do it in the background. It reports false if there is too
// much to do already.
func (s *Simulator) start(do job) bool {
	select {
	case s.work <- do:
		return true
	default:
		return false
	}
}

// now is the platform's time.
func (s *Simulator) now() time.Time {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.nowLocked()
}

func (s *Simulator) nowLocked() time.Time { return s.cfg.Now().Add(s.offset).In(s.cfg.Zone) }

// newID returns an id that nothing else here has.
func (s *Simulator) newID(prefix string) string {
	s.count++
	return fmt.Sprintf("%s%d", prefix, s.count)
}

// pause waits for d and reports whether ctx is still good.
func pause(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-timer.C:
		return true
	}
}
