// Package schedule shows operators what happens when, and lets them change it.
package schedule

import (
	"context"
	"embed"
	"errors"
	"fmt"

	"qunbot/handlers"
	"qunbot/scheduler"
	"qunbot/store"
	"qunbot/web/console"
)

//go:embed *.html *.css
var files embed.FS

type feature struct {
	handlers.Deps
	jobs func() *scheduler.Scheduler
}

// New returns the console page of the scheduler. jobs returns it; features are
// made before it is.
func New(d handlers.Deps, jobs func() *scheduler.Scheduler) handlers.Feature {
	f := &feature{d, jobs}
	return handlers.Feature{
		Name: "schedule",
		Console: []console.Page{{
			Path: "/schedule", Title: "定时任务", Purpose: "什么时候自动做什么，上次做得怎么样。", Group: console.Manage, Menu: "运行", Icon: "calendar",
			Role: store.Analyst, Change: store.Manager, FS: files, Template: "list.html", Load: f.list, Post: f.act,
		}, f.holidaysPage()},
	}
}

type listData struct {
	Jobs     []scheduler.Status
	Holidays bool // this year's holidays are known
	Year     int
	Change   bool
	Fields   console.Fields
}

func (f *feature) list(ctx context.Context, tx *store.Tx, v console.Visit) (any, error) {
	jobs, err := f.jobs().List(ctx, tx)
	if err != nil {
		return nil, err
	}
	calendar, err := scheduler.ReadCalendar(ctx, tx)
	if err != nil {
		return nil, err
	}
	year := v.Now.In(f.Zone).Year()
	return listData{
		Jobs: jobs, Year: year, Holidays: calendar.HolidaysKnown(year),
		Change: v.Operator.Role.Covers(store.Manager), Fields: v.Fields(),
	}, nil
}

// act does what an operator asks for with one job.
func (f *feature) act(ctx context.Context, tx *store.Tx, v console.Visit) (console.Result, error) {
	name, done := v.Value("job"), ""
	var err error
	switch v.Value("do") {
	case "run":
		done, err = "马上运行，几秒后刷新看结果", f.jobs().Hurry(ctx, tx, name)
	case "pause":
		done, err = "已暂停", f.jobs().Pause(ctx, tx, name)
	case "resume":
		done, err = "已恢复", f.jobs().Resume(ctx, tx, name)
	case "change":
		sched := scheduler.Schedule(v.Value("schedule"))
		if sched != "" {
			if sched, err = scheduler.Parse(string(sched)); err != nil {
				return console.Result{}, console.Invalid("", err.Error())
			}
		}
		done, err = "时间已改", f.jobs().SetSchedule(ctx, tx, name, sched)
	default:
		return console.Result{}, console.Invalid("", "没有这个操作，请刷新页面再试。")
	}
	if errors.Is(err, scheduler.ErrNoJob) {
		return console.Result{}, console.Invalid("", "没有这个任务，请刷新页面再试。")
	}
	return console.Result{Object: "job " + name, Detail: fmt.Sprintf("%s %s", v.Value("do"), v.Value("schedule")), Message: done}, err
}
