// Package handlers says what a feature is, and puts features together.
//
// Each feature is a folder of its own. It declares itself as plain data, so
// that help, menus, jobs, routes and rights cannot drift from the code, and
// talks to other features through the store only.
package handlers

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"qunbot/bot"
	"qunbot/scheduler"
	"qunbot/store"
	"qunbot/web/api"
	"qunbot/web/console"
	"qunbot/web/portal"
	"qunbot/wordfilter"
)

// A Feature is something the bot can do. All fields but Name are optional.
type Feature struct {
	Name     string
	Commands []bot.Command
	Screen   bot.Screen   // sees every message before the router and may stop it
	Fallback bot.Fallback // asked when no command matched
	Events   []bot.EventHandler
	Jobs     []scheduler.Job
	Console  []console.Page // operators
	Portal   []portal.Page  // members
	Public   []portal.Page  // no sign-in
	API      []api.Route
	Personal Personal
	Approved map[string]Approved // by Outgoing.Kind: goes on with texts of this feature that had to wait
}

// Personal is how a feature gives a member their data, and forgets them.
type Personal struct {
	Export func(ctx context.Context, tx *store.Tx, member int64) (any, error) // encoded as JSON
	Erase  func(ctx context.Context, tx *store.Tx, member int64) error
}

// Deps is what features work with.
type Deps struct {
	Store *store.Store
	Words *wordfilter.Holder // moderation builds and swaps matchers; everybody else only scans
	Now   func() time.Time
	Zone  *time.Location
	Log   *slog.Logger
	Probe func(bot.Point) // for crash tests; nil otherwise

	// Clear says whether a text may go out. Features call it by Clears.
	Clear func(ctx context.Context, tx *store.Tx, o Outgoing) (Clearance, error)
}

// An App is all features together.
type App struct {
	Engine  *bot.Engine
	Jobs    []scheduler.Job
	Console []console.Page
	Portal  []portal.Page
	Public  []portal.Page
	API     []api.Route

	Approved map[string]Approved
}

// Register puts features together. It returns an error that names every clash:
// two features of one name, two commands of one word, two for one kind of
// outgoing texts. Pages, routes and jobs are checked by their frames.
func Register(d Deps, features []Feature) (*App, error) {
	app := App{Approved: map[string]Approved{}}
	var errs []error
	var commands []bot.Command
	engine := bot.EngineConfig{Store: d.Store, Now: d.Now, Log: d.Log, Probe: d.Probe}
	names := map[string]bool{}
	for _, f := range features {
		if f.Name == "" || names[f.Name] {
			errs = append(errs, fmt.Errorf("two features are named %q", f.Name))
		}
		names[f.Name] = true
		for _, c := range f.Commands {
			c.Feature = f.Name
			commands = append(commands, c)
		}
		if f.Screen != nil {
			engine.Screens = append(engine.Screens, f.Screen)
		}
		if f.Fallback != nil {
			engine.Fallbacks = append(engine.Fallbacks, f.Fallback)
		}
		engine.Events = append(engine.Events, f.Events...)
		app.Jobs = append(app.Jobs, f.Jobs...)
		app.Console = append(app.Console, f.Console...)
		app.Portal = append(app.Portal, f.Portal...)
		app.Public = append(app.Public, f.Public...)
		app.API = append(app.API, f.API...)
		for kind, approved := range f.Approved {
			if app.Approved[kind] != nil {
				errs = append(errs, fmt.Errorf("feature %s: another one goes on with texts of the kind %q", f.Name, kind))
			}
			app.Approved[kind] = approved
		}
	}
	var err error
	if engine.Router, err = bot.NewRouter(commands); err != nil {
		errs = append(errs, err)
	}
	app.Engine = bot.NewEngine(engine)
	return &app, errors.Join(errs...)
}
