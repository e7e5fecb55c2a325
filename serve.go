package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"

	"qunbot/bot"
	"qunbot/bot/wecom"
	"qunbot/config"
	"qunbot/handlers"
	announcement "qunbot/handlers/announce"
	"qunbot/handlers/backup"
	"qunbot/handlers/checkin"
	"qunbot/handlers/draw"
	"qunbot/handlers/housekeeping"
	"qunbot/handlers/keyword"
	"qunbot/handlers/moderation"
	"qunbot/handlers/monthly"
	"qunbot/handlers/news"
	"qunbot/handlers/outbox"
	"qunbot/handlers/points"
	"qunbot/handlers/review"
	"qunbot/handlers/schedule"
	entrance "qunbot/handlers/service"
	"qunbot/handlers/status"
	"qunbot/scheduler"
	"qunbot/store"
	"qunbot/web/api"
	"qunbot/web/console"
	"qunbot/web/frame"
	"qunbot/web/portal"
	"qunbot/wordfilter"
)

const (
	stopWithin   = 9 * time.Second  // from SIGTERM until the last answer is out
	linkLifetime = 15 * time.Minute // of the one-time link printed at start
)

// An environment is what a run takes from the world around it.
type environment struct {
	Now   func() time.Time
	Log   *slog.Logger
	Out   io.Writer       // for what the person who starts the program should read
	Probe func(bot.Point) // for crash tests; nil otherwise

	// Clock is the machine's, by which heartbeats go; nil: Now. The demo's Now
	// is ahead of it.
	Clock func() time.Time
}

// parts are what some features need of the program around them.
type parts struct {
	jobs func() *scheduler.Scheduler // which is made of the features' jobs; nil where nobody asks
	kf   *wecom.KF                   // nil: no 微信客服

	watch    *watcher                            // nil: this process is no service
	command  func(text string) bool              // whether a command answers text; nil where nobody asks
	approved func() map[string]handlers.Approved // the features'; nil where nobody approves
	// remove takes a member out of an app chat; nil: there is no app.
	remove func(ctx context.Context, chatID, userID string) error
}

// remover takes members out of chats that the app made.
func remover(cfg config.Config, calls *wecom.API) func(ctx context.Context, chatID, userID string) error {
	if cfg.WeCom.App.AgentID == 0 {
		return nil
	}
	return func(ctx context.Context, chatID, userID string) error {
		return calls.UpdateAppChat(ctx, wecom.AppChatUpdate{ID: chatID, Remove: []string{userID}})
	}
}

// features lists what the bot can do: one line a feature.
func features(ctx context.Context, d handlers.Deps, cfg config.Config, p parts) ([]handlers.Feature, error) {
	staff := staffRoom{reachable: cfg.WeCom.App.AgentID != 0, deps: d}
	filter := moderation.NewFilter(d)
	if err := filter.Load(ctx); err != nil {
		return nil, fmt.Errorf("load sensitive words: %w", err)
	}
	second := review.Config{
		Held: filter.Held, Scan: filter.Scan, Undo: moderation.Undo, Allow: moderation.Allow, Raise: moderation.Raise, Broad: moderation.Broad,
		Notify: staff.notify, Tell: staff.tellMember, Approved: p.approved, PublicURL: consoleURL(cfg),
	}
	d.Clear = review.Clear(d, second)
	var kfScreen bot.Screen // first: it knows when a person has taken over
	if p.kf != nil {
		kfScreen = p.kf.Screen
	}
	entry := entrance.Config{Command: p.command}
	if p.kf != nil {
		entry.Accounts, entry.Link = p.kf.Accounts, p.kf.Link
	}
	return []handlers.Feature{
		{Name: "kf", Screen: kfScreen},
		checkin.New(d),
		points.New(d, staff.notify),
		draw.New(d, draw.Config{PublicURL: publicURL(cfg), Announce: announce}),
		moderation.New(d, moderation.Config{Filter: filter, Notify: staff.notify, PublicURL: consoleURL(cfg), Remove: p.remove}),
		keyword.New(d), // after moderation: the first fallback that answers wins
		news.New(d, news.Config{Feeds: feeds(cfg), AllowPrivateAddresses: cfg.News.AllowPrivateAddresses, Notify: staff.tell}),
		monthly.New(d, monthly.Config{Notify: staff.tell}),
		announcement.New(d),
		outbox.New(d),
		schedule.New(d, p.jobs),
		housekeeping.New(d),
		backup.New(d, backup.Config{
			Dir: cfg.Backup.Dir, KeepDays: int(cfg.Backup.KeepDays), Program: programVersion(), Host: hostName(), Notify: staff.notify, Jobs: p.jobs,
		}),
		status.New(d, statusConfig(d, cfg, p)),
		entrance.New(d, entry),
		review.New(d, second),
	}, nil
}

func feeds(cfg config.Config) []news.Feed {
	var list []news.Feed
	for _, f := range cfg.News.Feeds {
		list = append(list, news.Feed{Name: f.Name, URL: f.URL})
	}
	return list
}

// run is the service: it returns when ctx is done and what was accepted is
// answered, or when something fails.
func run(ctx context.Context, cfg config.Config, env environment) error {
	key, err := secretKey(cfg)
	if err != nil {
		return err
	}
	db, err := store.Open(ctx, storeOptions(cfg, key))
	if err != nil {
		return explain(err)
	}
	defer db.Close()
	s, err := assemble(ctx, cfg, db, key, env)
	if err != nil {
		return err
	}
	return s.run(ctx)
}

// A service is the program, put together and not yet running.
type service struct {
	app      *handlers.App
	platform *wecom.Platform
	jobs     *scheduler.Scheduler
	outbox   *bot.Outbox
	watch    *watcher
	kf       *wecom.KF // nil: no 微信客服
	public   *http.Server
	internal *http.Server // the console's own; nil: it is on public
	log      *slog.Logger
	out      io.Writer
	welcome  string

	listeners []net.Listener // of public and, where there is one, of internal
	proxies   frame.Proxies
	cert      *certificate // nil: http
}

// assemble wires the program and opens its addresses, so that nothing has
// begun if one is taken. The secret key signs links and states.
func assemble(ctx context.Context, cfg config.Config, db *store.Store, key []byte, env environment) (s *service, err error) {
	listeners, err := listen(&cfg)
	if err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			closeAll(listeners)
		}
	}()
	var cert *certificate
	if cfg.TLS != (config.TLS{}) {
		if cert, err = loadCertificate(cfg.TLS, env.Now, env.Log); err != nil {
			return nil, err
		}
		for _, p := range cert.problems(publicURL(cfg)) {
			env.Log.Warn("certificate", "problem", p)
		}
	}
	if err := bootstrap(ctx, cfg, db, env.Now()); err != nil {
		return nil, err
	}
	w := newWatcher(cfg, db, env)
	deps := handlers.Deps{Store: db, Words: wordfilter.NewHolder(), Now: env.Now, Zone: db.Zone(), Log: env.Log, Probe: env.Probe}
	base := publicURL(cfg)
	calls, err := wecom.NewAPI(w.api(apiConfig(cfg, db, env)))
	if err != nil {
		return nil, fmt.Errorf("set up WeCom: %w", err)
	}
	var kf *wecom.KF
	if len(cfg.WeCom.KF.Accounts) > 0 {
		kf, err = wecom.NewKF(wecom.KFConfig{
			Accounts: cfg.WeCom.KF.Accounts, Store: db, API: calls, Secret: key, Page: base + "/m/", Now: env.Now, Log: env.Log,
		})
		if err != nil {
			return nil, fmt.Errorf("set up 微信客服: %w", err)
		}
	}
	var jobs *scheduler.Scheduler
	var app *handlers.App
	list, err := features(ctx, deps, cfg, parts{
		jobs: func() *scheduler.Scheduler { return jobs }, kf: kf, watch: w, remove: remover(cfg, calls),
		command:  func(text string) bool { _, _, ok := app.Engine.Router.Find(text); return ok },
		approved: func() map[string]handlers.Approved { return app.Approved },
	})
	if err != nil {
		return nil, err
	}
	app, err = handlers.Register(deps, list)
	if err != nil {
		return nil, fmt.Errorf("register features: %w", err)
	}
	jobs, err = scheduler.New(scheduler.Config{Store: db, Jobs: app.Jobs, Now: env.Now, Log: env.Log, Ran: w.metrics.Ran})
	if err != nil {
		return nil, fmt.Errorf("schedule jobs: %w", err)
	}
	inbound := wecomConfig(cfg, env, kf)
	if cfg.WeCom.CheckSource && !cfg.SetUp() {
		if inbound.Sources, err = wecom.NewSources(ctx, calls, db, env.Now, env.Log); err != nil {
			return nil, fmt.Errorf("wecom.check_source: %w", err)
		}
	}
	platform, err := wecom.New(w.platform(inbound))
	if err != nil {
		return nil, fmt.Errorf("set up WeCom: %w", err)
	}
	pages, err := console.New(console.Config{Store: db, Pages: app.Console, Now: env.Now, Log: env.Log, PublicURL: consoleURL(cfg)})
	if err != nil {
		return nil, fmt.Errorf("set up the console: %w", err)
	}
	var identifier portal.Identifier // nil: members cannot sign in, and the page says so
	if cfg.WeCom.App.AgentID != 0 {
		identifier = calls
	}
	members, err := portal.New(portal.Config{
		Store: db, Pages: app.Portal, Public: app.Public, Identifier: identifier, Secret: key,
		Now: env.Now, Log: env.Log, PublicURL: base,
	})
	if err != nil {
		return nil, fmt.Errorf("set up the member pages: %w", err)
	}
	var keys []api.Key
	for _, k := range cfg.API.Keys {
		keys = append(keys, api.Key{Name: k.Name, Secret: k.Key.Reveal()})
	}
	routes, err := api.New(api.Config{Store: db, Keys: keys, Routes: app.API, Now: env.Now, Log: env.Log})
	if err != nil {
		return nil, fmt.Errorf("set up the API: %w", err)
	}

	staff := staffRoom{reachable: cfg.WeCom.App.AgentID != 0, deps: deps}
	posts := bot.NewOutbox(bot.OutboxConfig{
		Store: db, Sender: wecom.LaneSender{API: calls, Store: db, KF: kf}, Now: env.Now, Log: env.Log, Owner: owner(), Observer: w.metrics.Observer(),
		OnDead: func(ctx context.Context, tx *store.Tx, lane, reason string) error {
			key := store.Key("dead", lane, store.DayOf(env.Now(), db.Zone()))
			return staff.notify(ctx, tx, key, "群消息发不出去了："+lane+"，"+reason+"。请在后台“群”里换一个群机器人的 Webhook。")
		},
	})

	if kf != nil {
		kf.Engine = app.Engine
	}

	s = &service{app: app, platform: platform, jobs: jobs, outbox: posts, watch: w, kf: kf, log: env.Log, out: env.Out,
		listeners: listeners, proxies: cfg.Proxies(), cert: cert}
	mux := http.NewServeMux()
	platform.Mount(mux, app.Engine)
	members.Mount(mux)
	routes.Mount(mux)
	mux.Handle("GET /healthz", health(db))
	// Addresses of bots that are not there, like other bad callbacks: no body.
	mux.HandleFunc("/wecom/", func(w http.ResponseWriter, r *http.Request) { w.WriteHeader(http.StatusNotFound) })
	s.public = server(cfg.Listen, mux)
	if cfg.ConsoleListen == "" {
		pages.Mount(mux)
	} else {
		own := http.NewServeMux()
		pages.Mount(own)
		s.internal = server(cfg.ConsoleListen, own)
	}
	w.join(s, jobs)
	s.welcome, err = welcome(ctx, cfg, db, env.Now())
	return s, err
}

func wecomConfig(cfg config.Config, env environment, kf *wecom.KF) wecom.Config {
	c := wecom.Config{Now: env.Now, Log: env.Log, KF: kf, Address: frame.Address}
	if app := cfg.WeCom.App; app.Token != "" {
		c.App = &wecom.App{CorpID: cfg.WeCom.CorpID, Token: app.Token.Reveal(), AESKey: app.AESKey.Reveal()}
	}
	for _, b := range cfg.WeCom.Bots {
		if b.Mode == config.ModeCallback {
			c.Bots = append(c.Bots, wecom.Bot{Name: b.Name, DisplayName: b.DisplayName, Token: b.Token.Reveal(), AESKey: b.AESKey.Reveal()})
		}
	}
	return c
}

// apiConfig is what the calls to WeCom need.
func apiConfig(cfg config.Config, db *store.Store, env environment) wecom.APIConfig {
	return wecom.APIConfig{
		APIBase: cfg.WeCom.APIBase, CorpID: cfg.WeCom.CorpID, AgentID: cfg.WeCom.App.AgentID,
		AppSecret: cfg.WeCom.App.Secret.Reveal(), ContactSecret: cfg.WeCom.Contact.Secret.Reveal(),
		Store: db, Now: env.Now, Log: env.Log,
	}
}

// owner names this process among the replicas.
func owner() string { return fmt.Sprintf("%.60s/%d", hostName(), os.Getpid()) }

func hostName() string {
	host, err := os.Hostname()
	if err != nil {
		return "unknown"
	}
	return host
}

func publicURL(cfg config.Config) string {
	if cfg.PublicURL != "" {
		return cfg.PublicURL
	}
	return siteURL(cfg, cfg.Listen)
}

// consoleURL is where operators reach the console.
func consoleURL(cfg config.Config) string {
	if cfg.ConsoleListen != "" {
		return siteURL(cfg, cfg.ConsoleListen)
	}
	return publicURL(cfg)
}

// bootstrap stores the groups and operators of the settings that are not in
// the database yet; the console manages them afterwards.
func bootstrap(ctx context.Context, cfg config.Config, db *store.Store, now time.Time) error {
	return db.Update(ctx, func(tx *store.Tx) error {
		ctx := tx.Context()
		for _, g := range cfg.Groups {
			mall, err := tx.MallNamed(ctx, g.Mall)
			if err != nil {
				return err
			}
			kind := store.InternalGroup
			if strings.HasPrefix(g.ChatID, "wr") && !strings.HasPrefix(g.ChatID, "wrk") { // customer groups' ids begin with wr
				kind = store.CustomerGroup
			}
			added, err := tx.AddGroup(ctx, store.Group{ChatID: g.ChatID, Kind: kind, Name: g.Name, MallID: mall.ID, CreatedAt: now})
			if err != nil {
				return err
			}
			if !added || g.WebhookKey == "" {
				continue
			}
			stored, err := tx.GroupsByChat(ctx, []string{g.ChatID})
			if err != nil {
				return err
			}
			if err := tx.SetWebhook(ctx, stored[g.ChatID].ID, g.WebhookKey.Reveal(), now); err != nil {
				return err
			}
		}
		for _, o := range cfg.Operators {
			err := tx.AddOperator(ctx, store.Operator{UserID: o.UserID, Name: o.UserID, Role: store.Role(o.Role), CreatedAt: now})
			if err != nil {
				return err
			}
		}
		return nil
	})
}

// welcome is what the person who starts the program should know, with a
// one-time link into the console for its first owner.
func welcome(ctx context.Context, cfg config.Config, db *store.Store, now time.Time) (text string, err error) {
	err = db.Update(ctx, func(tx *store.Tx) error {
		owner, err := firstOwner(tx, now)
		if err != nil {
			return err
		}
		token, err := tx.AddLoginLink(tx.Context(), owner.ID, now.Add(linkLifetime))
		text = fmt.Sprintf("后台（15 分钟内有效，只能用一次）：%s\n", console.LoginURL(consoleURL(cfg), token))
		return err
	})
	if cfg.SetUp() {
		text = "还没有填写 wecom.corp_id，先以设置模式运行：后台可用，收不到企业微信的消息。\n" + text
	}
	return text, err
}

// firstOwner returns the owner with the smallest number, and makes one on a
// new database.
func firstOwner(tx *store.Tx, now time.Time) (store.Operator, error) {
	operators, err := tx.Operators(tx.Context())
	if err != nil {
		return store.Operator{}, err
	}
	var first store.Operator
	for _, o := range operators {
		if o.Role == store.Owner && (first.ID == 0 || o.ID < first.ID) {
			first = o
		}
	}
	if first.ID != 0 {
		return first, nil
	}
	return tx.PutOperator(tx.Context(), store.Operator{UserID: "owner", Name: "负责人", Role: store.Owner, CreatedAt: now})
}

// server returns a server that slow or silent clients cannot hold.
func server(addr string, h http.Handler) *http.Server {
	return &http.Server{
		Addr: addr, Handler: h,
		ReadHeaderTimeout: 5 * time.Second,
		ReadTimeout:       10 * time.Second,
		WriteTimeout:      60 * time.Second,
		IdleTimeout:       2 * time.Minute,
		MaxHeaderBytes:    32 << 10,
	}
}

// health answers whether the process and its database are alive.
func health(db *store.Store) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/plain; charset=utf-8")
		ctx, cancel := context.WithTimeout(r.Context(), 2*time.Second)
		defer cancel()
		if err := db.Ping(ctx); err != nil {
			w.WriteHeader(http.StatusServiceUnavailable)
			io.WriteString(w, "database does not answer\n")
			return
		}
		io.WriteString(w, "ok\n")
	})
}

// run serves until ctx is done. It then accepts nothing more, answers what it
// accepted, and only then stops the engine that the answers come from.
func (s *service) run(ctx context.Context) error {
	servers := []*http.Server{s.public}
	if s.internal != nil {
		servers = append(servers, s.internal)
	}

	g, ctx := errgroup.WithContext(ctx)
	engineCtx, stopEngine := context.WithCancel(context.WithoutCancel(ctx))
	defer stopEngine()
	g.Go(func() error { return s.app.Engine.Run(engineCtx) })
	g.Go(func() error { return s.watch.pulse.Run(engineCtx) })
	g.Go(func() error { return s.jobs.Run(ctx) })
	g.Go(func() error { return s.outbox.Run(ctx) })
	g.Go(func() error { return s.platform.Run(ctx) })
	if s.kf != nil {
		g.Go(func() error { return s.kf.Run(ctx) })
	}
	serving, servingCtx := errgroup.WithContext(s.watch.drained(ctx)) // one server that fails takes the other with it
	for i, l := range s.listeners {
		s.log.Info("listening", "addr", l.Addr().String())
		srv := secured(servers[i], s.proxies, s.cert, s.log)
		serving.Go(func() error { return serve(servingCtx, srv, l) })
	}
	io.WriteString(s.out, s.welcome)
	g.Go(func() error {
		defer stopEngine()
		return serving.Wait()
	})
	return g.Wait()
}

// serve serves until ctx is done and requests under way are answered.
func serve(ctx context.Context, srv *http.Server, l net.Listener) error {
	stopped := make(chan error, 1)
	go func() {
		<-ctx.Done()
		patience, cancel := context.WithTimeout(context.WithoutCancel(ctx), stopWithin)
		defer cancel()
		stopped <- errors.Join(srv.Shutdown(patience), srv.Close())
	}()
	start := srv.Serve
	if srv.TLSConfig != nil {
		start = func(l net.Listener) error { return srv.ServeTLS(l, "", "") }
	}
	if err := start(l); !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return <-stopped
}
