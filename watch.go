package main

import (
	"context"
	"net/http"
	"os"
	"runtime"
	"runtime/debug"
	"strconv"
	"time"

	"qunbot/bot"
	"qunbot/bot/wecom"
	"qunbot/config"
	"qunbot/handlers"
	"qunbot/handlers/status"
	"qunbot/scheduler"
	"qunbot/store"
	"qunbot/watch"
)

// A watcher is what knows how this service is.
type watcher struct {
	metrics *watch.Metrics
	pulse   *watch.Pulse
	ready   *watch.Ready
	sources watch.Sources
	drain   time.Duration

	engine *bot.Engine          // set by join
	jobs   *scheduler.Scheduler // set by join
	outbox *bot.Outbox          // set by join
}

// newWatcher begins to count what the store does. The rest is joined when it is
// there.
func newWatcher(cfg config.Config, db *store.Store, env environment) *watcher {
	clock := env.Clock
	if clock == nil {
		clock = env.Now
	}
	w := &watcher{
		metrics: watch.NewMetrics(build(), env.Now),
		drain:   time.Duration(cfg.DrainSeconds) * time.Second,
	}
	w.sources = watch.Sources{Jobs: func() *scheduler.Scheduler { return w.jobs }, Backup: lastBackup(cfg), Now: env.Now, Clock: clock}
	progress := func() bot.Progress { return w.engine.Progress() }
	w.pulse = watch.NewPulse(watch.PulseConfig{
		Store: db, Metrics: w.metrics, Progress: progress, Clock: clock, Log: env.Log,
		Host: hostName(), Process: strconv.Itoa(os.Getpid()), Version: build().Version,
	})
	w.ready = &watch.Ready{Store: db, Pulse: w.pulse, Progress: progress, Looked: func() time.Time { return w.outbox.Looked() }, Now: env.Now}
	w.metrics.Watch(watch.Live{Sources: w.sources, Store: db, Progress: progress, Pulse: w.pulse, Log: env.Log})
	db.Observe(clock, w.metrics.Transaction)
	return w
}

// build says what is running.
func build() watch.Build {
	b := watch.Build{Version: programVersion(), Go: runtime.Version()}
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return b
	}
	for _, s := range info.Settings {
		if s.Key == "vcs.revision" {
			b.Revision = s.Value
		}
	}
	return b
}

// api and platform count what goes out to WeCom, and comes in.
func (w *watcher) api(c wecom.APIConfig) wecom.APIConfig {
	c.Renewed = w.metrics.Renewed
	return c
}

func (w *watcher) platform(c wecom.Config) wecom.Config {
	c.Answered = w.metrics.Answered
	for _, name := range c.Endpoints() {
		w.metrics.Expect(name, wecom.Results())
	}
	return c
}

// join adds the service to what is watched, and what is known to the service's
// addresses: of the console alone, where it has its own, or else for requests
// that this machine makes itself.
func (w *watcher) join(s *service, jobs *scheduler.Scheduler) {
	w.engine, w.outbox, w.jobs = s.app.Engine, s.outbox, jobs
	w.engine.Observer = w.metrics.Observer()
	inner := http.NewServeMux()
	inner.Handle("GET /readyz", w.ready)
	inner.Handle("GET /metrics", w.metrics.Handler(s.log))
	server := s.public
	if s.internal != nil {
		server = s.internal
	}
	outer := http.NewServeMux()
	guarded := watch.Inside(inner, server == s.public)
	outer.Handle("/readyz", guarded)
	outer.Handle("/metrics", guarded)
	outer.Handle("/", server.Handler)
	server.Handler = outer
}

// drained returns a context that is done when the servers should stop, after
// ctx is: the time in which a proxy sees that this process is not ready.
func (w *watcher) drained(ctx context.Context) context.Context {
	later, done := context.WithCancel(context.WithoutCancel(ctx))
	context.AfterFunc(ctx, func() {
		w.ready.Drain()
		time.AfterFunc(w.drain, done)
	})
	return later
}

// statusConfig is what the feature status works with. Where this process is no
// service, it looks at what the database knows.
func statusConfig(d handlers.Deps, cfg config.Config, p parts) status.Config {
	jobs := p.jobs
	if jobs == nil {
		jobs = func() *scheduler.Scheduler { return nil }
	}
	c := status.Config{
		Sources: watch.Sources{Jobs: jobs, Backup: lastBackup(cfg), Now: d.Now, Clock: d.Now},
		Tell: alertRoom{
			key:   cfg.Alerts.WebhookKey.Reveal(),
			staff: staffRoom{reachable: cfg.WeCom.App.AgentID != 0, deps: d},
			deps:  d,
		}.tell,
		PublicURL: consoleURL(cfg),
	}
	if p.watch != nil {
		c.Sources, c.Minutes, c.Process = p.watch.sources, p.watch.metrics.Minutes, p.watch.pulse.Name()
	}
	return c
}

// lastBackup returns what knows of backups; nil where the service makes none.
func lastBackup(cfg config.Config) func(context.Context, *store.Tx) (time.Time, error) {
	if cfg.Backup.Dir == "" || cfg.Backup.KeepDays == 0 {
		return nil
	}
	return func(ctx context.Context, tx *store.Tx) (time.Time, error) { return tx.LastBackup(ctx) }
}

// An alertRoom is where staff hear of troubles: their group, or, where there is
// none or its webhook is gone, everybody's app messages.
type alertRoom struct {
	key   string // of the webhook; empty: none
	staff staffRoom
	deps  handlers.Deps
}

func (a alertRoom) tell(ctx context.Context, tx *store.Tx, key, text string) error {
	if a.key == "" {
		return a.staff.notify(ctx, tx, key, text)
	}
	hook, err := tx.WebhookOf(ctx, a.key, a.deps.Now())
	if err != nil {
		return err
	}
	dead, err := tx.DeadLane(ctx, hook.Lane())
	if err != nil {
		return err
	}
	if dead {
		return a.staff.notify(ctx, tx, key, text)
	}
	return pushParts(ctx, tx, bot.Post{Key: key, Lane: hook.Lane(), Delivery: bot.AtLeastOnce, Item: key}, text)
}
