// Package status tells staff how the service is: a console page, and messages
// when something goes wrong and when it is over.
package status

import (
	"context"
	"embed"
	"fmt"
	"log/slog"
	"strconv"
	"time"

	"qunbot/handlers"
	"qunbot/scheduler"
	"qunbot/store"
	"qunbot/watch"
	"qunbot/web/console"
)

//go:embed *.html *.css
var files embed.FS

// Config is what the feature needs of the program around it.
type Config struct {
	Sources watch.Sources
	Minutes func(n int) []int64 // callbacks of this process in each of the last n minutes; nil: it answers none
	Process string              // this process among the replicas; empty: it beats not

	// Tell brings text to staff when tx is committed. key is the alert's and
	// the occasion's.
	Tell      func(ctx context.Context, tx *store.Tx, key, text string) error
	PublicURL string // of the console
}

type feature struct {
	handlers.Deps
	Config
}

// New returns the feature.
func New(d handlers.Deps, c Config) handlers.Feature {
	f := &feature{d, c}
	return handlers.Feature{
		Name: "status",
		Jobs: []scheduler.Job{{
			Name: "status.alert", Title: "检查运行状况，有问题告诉运营", Schedule: scheduler.Every(time.Minute), Missed: scheduler.RunOnce, Run: f.alert,
		}},
		Console: []console.Page{{
			Path: "/status", Title: "运行状况", Purpose: "服务现在好不好，什么时候中断过，有什么要处理。", Group: console.Manage, Menu: "运行", Icon: "chart",
			Role: store.Manager, FS: files, Template: "console.html", Style: "console.css", Live: true, Load: f.page, Post: f.acknowledge,
		}},
	}
}

// alert compares what is wrong with what was, and tells staff what has changed.
func (f *feature) alert(ctx context.Context, _ time.Time) error {
	var p plan
	err := f.Store.Update(ctx, func(tx *store.Tx) error {
		ctx := tx.Context()
		st, err := f.Sources.Look(ctx, tx)
		if err != nil {
			return err
		}
		open, err := tx.OpenAlerts(ctx)
		if err != nil {
			return err
		}
		p = planOf(open, st.Troubles(), st.At)
		if err := p.store(ctx, tx, st.At); err != nil || p.quiet() {
			return err
		}
		return f.Tell(ctx, tx, p.key(), p.text(f.PublicURL+console.Prefix+"/status"))
	})
	if err != nil {
		return err
	}
	p.log(f.Log)
	return nil
}

// store writes the plan and fills in the numbers of the alerts that begin.
func (p *plan) store(ctx context.Context, tx *store.Tx, now time.Time) error {
	for i := range p.Begun {
		id, added, err := tx.AddAlert(ctx, p.Begun[i])
		if err != nil {
			return err
		}
		if !added { // somebody else's check was quicker, and has told
			p.Begun[i].ID = 0
			continue
		}
		p.Begun[i].ID = id
	}
	p.Begun = kept(p.Begun)
	for _, list := range [][]store.Alert{p.Going, p.Again, p.Over} {
		for _, a := range list {
			if err := tx.SetAlert(ctx, a); err != nil {
				return err
			}
		}
	}
	return nil
}

// kept returns the alerts that have a number.
func kept(list []store.Alert) []store.Alert {
	out := list[:0]
	for _, a := range list {
		if a.ID != 0 {
			out = append(out, a)
		}
	}
	return out
}

// log says what has changed also where no message gets out.
func (p plan) log(log *slog.Logger) {
	for _, a := range p.Begun {
		log.Error("alert began", "alert", a.Name, "detail", a.Detail)
	}
	for _, a := range p.Over {
		log.Info("alert ended", "alert", a.Name, "took", a.EndedAt.Sub(a.BeganAt).String())
	}
}

// key names the occasion: each alert begins and ends once, and is told again
// once a day.
func (p plan) key() string {
	for _, o := range []struct {
		what string
		list []store.Alert
	}{{"begun", p.Begun}, {"over", p.Over}, {"again", p.Again}} {
		if len(o.list) > 0 {
			return store.Key("alert", o.what, o.list[0].ID, o.list[0].ToldAt.Unix())
		}
	}
	return ""
}

// acknowledge notes that somebody looks after an alert.
func (f *feature) acknowledge(ctx context.Context, tx *store.Tx, v console.Visit) (console.Result, error) {
	id, err := strconv.ParseInt(v.Value("alert"), 10, 64)
	if err != nil {
		return console.Result{}, console.Invalid("", "没有这条告警，请刷新页面再试。")
	}
	done, err := tx.AckAlert(ctx, id, v.Operator.ID, v.Now)
	if err != nil {
		return console.Result{}, err
	}
	if !done {
		return console.Result{}, console.Invalid("", "这条告警已经结束，或者别人已经在处理。")
	}
	return console.Result{Object: fmt.Sprintf("alert %d", id), Detail: "acknowledged", Message: "记下了：你在处理。不再提醒，恢复时会告诉大家。"}, nil
}
