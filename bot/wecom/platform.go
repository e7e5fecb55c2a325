package wecom

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"time"

	"golang.org/x/sync/errgroup"

	"qunbot/bot"
)

// Config is what the corp's side of the platform is called and trusts.
type Config struct {
	Bots []Bot
	App  *App // nil: there is no /wecom/app
	KF   *KF  // who hears the app's notices of 微信客服; nil: nobody

	// Address names where a request comes from, for limits and the log; nil:
	// as the connection says.
	Address func(*http.Request) string
	Sources *Sources // the addresses that callbacks may come from; nil: all

	Now func() time.Time
	Log *slog.Logger

	// Answered, if not nil, hears what each delivery to an endpoint (such as
	// "app" or "aibot/helper") was answered with, one of the results of
	// [Results], and how long that took.
	Answered func(endpoint, result string, took time.Duration)
}

// The results of deliveries.
const (
	resultAnswered = "answered" // 200, with a reply
	resultSilent   = "silent"   // 200; there was nothing to say
	resultRefused  = "refused"  // 4xx: it was not genuine, not well-formed, or not of our time
	resultBusy     = "busy"     // 503: too many are waiting
	resultLate     = "late"     // 503: not committed in time
	resultFailed   = "failed"   // 503: anything else
)

// Results returns what may become of a delivery.
func Results() []string {
	return []string{resultAnswered, resultSilent, resultRefused, resultBusy, resultLate, resultFailed}
}

// A Bot is a 智能机器人 whose callbacks come to /wecom/aibot/{Name}.
type Bot struct {
	Name        string // in the address, such as "helper"
	DisplayName string // what people @, such as "小助手"
	Token       string
	AESKey      string // EncodingAESKey, 43 letters and digits
}

// An Engine answers messages; [bot.Engine] is one.
type Engine interface {
	// Handle answers m after its effects are durable.
	Handle(ctx context.Context, m bot.Message) (bot.Answer, error)
	// Stream returns the answer that a stream shows, or store.ErrNotFound.
	Stream(ctx context.Context, streamID string) (bot.Answer, error)
}

// A Platform receives what WeCom sends.
type Platform struct {
	Config
	ciphers map[string]*Cipher // by bot name
	app     *Cipher            // nil without Config.App
	refused *refusals
}

// New returns a platform. It returns an error that names the bot, or the app,
// whose token or key is wrong.
func New(c Config) (*Platform, error) {
	if c.Address == nil {
		c.Address = func(r *http.Request) string { return r.RemoteAddr }
	}
	p := &Platform{Config: c, ciphers: map[string]*Cipher{}, refused: newRefusals(c.Now, c.Log)}
	var errs []error
	for _, b := range c.Bots {
		cipher, err := NewCipher(b.Token, b.AESKey, "") // an aibot's receive id is empty
		if err != nil {
			errs = append(errs, fmt.Errorf("bot %s: %w", b.Name, err))
		}
		p.ciphers[b.Name] = cipher
	}
	if c.App != nil {
		var err error
		if p.app, err = NewCipher(c.App.Token, c.App.AESKey, c.App.CorpID); err != nil {
			errs = append(errs, fmt.Errorf("app: %w", err))
		}
	}
	return p, errors.Join(errs...)
}

// Run tells the log how much was refused, and keeps the list of sources fresh,
// until ctx is done.
func (p *Platform) Run(ctx context.Context) error {
	g, ctx := errgroup.WithContext(ctx)
	if p.Sources != nil {
		g.Go(func() error { return p.Sources.Run(ctx) })
	}
	g.Go(func() error {
		ticker := time.NewTicker(refusalSpan / 4)
		defer ticker.Stop()
		for {
			select {
			case <-ticker.C:
				p.refused.flush()
			case <-ctx.Done():
				p.refused.flushAll()
				return nil
			}
		}
	})
	return g.Wait()
}

// Mount adds the callback addresses to mux.
func (p *Platform) Mount(mux *http.ServeMux, engine Engine) {
	for _, b := range p.Bots {
		e := &aibotEndpoint{bot: b, engine: engine}
		mux.Handle("/wecom/aibot/"+b.Name, &endpoint{Config: p.Config, name: aibotName(b.Name), refused: p.refused, cipher: p.ciphers[b.Name], reply: e.reply})
	}
	if p.App != nil {
		e := &appEndpoint{Config: p.Config, engine: engine}
		mux.Handle("/wecom/app", &endpoint{Config: p.Config, name: appName, refused: p.refused, cipher: p.app, xml: true, reply: e.reply})
	}
}

// Endpoints returns what Answered calls the endpoints.
func (c Config) Endpoints() []string {
	var names []string
	for _, b := range c.Bots {
		names = append(names, aibotName(b.Name))
	}
	if c.App != nil {
		names = append(names, appName)
	}
	return names
}

func aibotName(bot string) string { return "aibot/" + bot }
