// Package backup writes a backup every night, keeps the last ones, and shows
// operators what there is to go back to.
package backup

import (
	"context"
	"embed"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"qunbot/handlers"
	"qunbot/scheduler"
	"qunbot/store"
	"qunbot/web/console"
)

//go:embed *.html *.css
var files embed.FS

// jobName is the nightly job.
const jobName = "backup.create"

// Config is what the feature needs besides Deps.
type Config struct {
	Dir      string // folder of the backups; empty: none are written
	KeepDays int    // how long; 0: none are written
	Program  string // version of the program
	Host     string // name of this machine

	// Notify tells the staff, once for each key.
	Notify func(ctx context.Context, tx *store.Tx, key, text string) error
	// Jobs returns the scheduler, which is made of the features.
	Jobs func() *scheduler.Scheduler
}

type feature struct {
	handlers.Deps
	Config
}

// New returns the backup feature.
func New(d handlers.Deps, c Config) handlers.Feature {
	if abs, err := filepath.Abs(c.Dir); err == nil && c.Dir != "" {
		c.Dir = abs // as it is recorded
	}
	f := &feature{d, c}
	all := handlers.Feature{
		Name: "backup",
		Console: []console.Page{{
			Path: "/backups", Title: "备份", Purpose: "出了事能回到哪一刻。", Group: console.Manage, Menu: "运行", Icon: "coins",
			Role: store.Manager, FS: files, Template: "list.html", Style: "list.css", Load: f.list, Post: f.start,
		}},
	}
	if f.on() {
		// After points.expire, ledger.verify and housekeeping: the books are
		// proved, and what is too old is gone.
		all.Jobs = []scheduler.Job{{Name: jobName, Title: "备份数据库", Schedule: scheduler.Daily(4, 30), Missed: scheduler.RunOnce, Run: f.create}}
	}
	return all
}

func (f *feature) on() bool { return f.Dir != "" && f.KeepDays > 0 }

// create writes a backup and then deletes those that are too old. Repeating it
// makes another one.
func (f *feature) create(ctx context.Context, _ time.Time) error {
	path := filepath.Join(f.Dir, fileName(f.Now()))
	b, err := f.Store.WriteBackup(ctx, path, store.BackupOptions{Program: f.Program, Host: f.Host, Now: f.Now})
	if err != nil {
		if ctx.Err() != nil { // told to stop: the next start runs it again
			return err
		}
		told := f.Store.Update(ctx, func(tx *store.Tx) error {
			return f.Notify(tx.Context(), tx, store.Key("backup", store.DayOf(f.Now(), f.Zone)),
				"今天的数据库备份失败了："+err.Error()+"。会再试几次；请检查 "+f.Host+" 上的 "+f.Dir+" 有没有空间、能不能写，再到后台“备份”里看结果。")
		})
		return errors.Join(err, told)
	}
	f.Log.Info("backup written", "file", path, "bytes", b.Bytes, "rows", b.RowCount)
	return f.prune()
}

// prune deletes the backups in the folder that are older than their days, but
// never the newest. Only create calls it, with a good backup just written.
func (f *feature) prune() error {
	list, err := os.ReadDir(f.Dir)
	if err != nil {
		return fmt.Errorf("list backups: %w", err)
	}
	var names []string
	for _, e := range list {
		names = append(names, e.Name())
	}
	var errs []error
	for _, name := range outdated(names, f.Now(), f.KeepDays) {
		errs = append(errs, os.Remove(filepath.Join(f.Dir, name)))
	}
	return errors.Join(errs...)
}

// A row is a backup as the page shows it.
type row struct {
	store.Backup
	Kind, State string // how good it is, and the word for it
	Size        string
	Took        time.Duration
}

type listData struct {
	Rows     []row
	Last     time.Time // when the last good one began
	Old      bool      // too long ago, or never
	On       bool
	Dir      string
	Host     string
	KeepDays int
	Next     time.Time // of the nightly job; zero: paused
	Running  bool
	Fields   console.Fields
}

// shown is how many backups the page lists.
const shown = 60

func (f *feature) list(ctx context.Context, tx *store.Tx, v console.Visit) (any, error) {
	data := listData{On: f.on(), Dir: f.Dir, Host: f.Host, KeepDays: f.KeepDays, Fields: v.Fields()}
	var err error
	if data.Last, err = tx.LastBackup(ctx); err != nil {
		return nil, err
	}
	data.Old = tooOld(data.Last, v.Now)
	list, err := tx.Backups(ctx, shown)
	if err != nil {
		return nil, err
	}
	for _, b := range list {
		r := row{Backup: b, Size: size(b.Bytes), Took: b.EndedAt.Sub(b.StartedAt).Round(time.Second)}
		r.Kind, r.State = f.state(b, v.Now)
		data.Rows = append(data.Rows, r)
	}
	if !data.On {
		return data, nil
	}
	jobs, err := f.Jobs().List(ctx, tx)
	for _, j := range jobs {
		if j.Name == jobName {
			data.Next = j.Next
			data.Running = j.Last.State == store.FiringOpen && j.Last.Owner != ""
		}
	}
	return data, err
}

// state says what has become of a backup.
func (f *feature) state(b store.Backup, now time.Time) (kind, word string) {
	switch {
	case b.Problem != "":
		return "bad", "失败"
	case b.Host != f.Host:
		return "good", "已核对，在 " + b.Host + " 上"
	}
	info, err := os.Stat(b.File)
	switch {
	case err == nil && info.Size() == b.Bytes:
		return "good", "已核对"
	case err == nil:
		return "bad", "文件大小变了，不能用"
	case filepath.Dir(b.File) == filepath.Clean(f.Dir) && now.Sub(b.StartedAt) > time.Duration(f.KeepDays)*24*time.Hour:
		return "quiet", "已到期删除"
	}
	return "warn", "文件不在了"
}

// start makes the nightly job due now.
func (f *feature) start(ctx context.Context, tx *store.Tx, _ console.Visit) (console.Result, error) {
	if !f.on() {
		return console.Result{}, console.Invalid("", "自动备份没有打开：请在设置文件里填写 backup.dir 和 backup.keep_days，再重启服务。")
	}
	jobs, err := f.Jobs().List(ctx, tx)
	if err != nil {
		return console.Result{}, err
	}
	for _, j := range jobs {
		if j.Name == jobName && j.Paused {
			return console.Result{}, console.Invalid("", "备份任务暂停了：请先在“定时任务”里恢复它。")
		}
	}
	if err := f.Jobs().Hurry(ctx, tx, jobName); err != nil {
		return console.Result{}, err
	}
	return console.Result{Object: "job " + jobName, Detail: "run", Message: "已经开始，几秒到几分钟后刷新看结果"}, nil
}
