package backup_test

import (
	"context"
	"errors"
	"fmt"
	"html/template"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"qunbot/handlers"
	"qunbot/handlers/backup"
	"qunbot/scheduler"
	"qunbot/store"
	"qunbot/store/storetest"
	"qunbot/web/console"
)

func TestMain(m *testing.M) { storetest.Main(m) }

// A world is the feature with a clock that tests move and a folder.
type world struct {
	*testing.T
	db      *store.Store
	now     time.Time
	dir     string
	told    []string
	feature handlers.Feature
	jobs    *scheduler.Scheduler
}

func newWorld(t *testing.T, db *store.Store, dir string) *world {
	w := &world{T: t, db: db, dir: dir, now: time.Date(2026, 11, 21, 20, 30, 0, 0, time.UTC)}
	d := handlers.Deps{Store: db, Now: func() time.Time { return w.now }, Zone: db.Zone(), Log: slog.New(slog.DiscardHandler)}
	w.feature = backup.New(d, backup.Config{
		Dir: dir, KeepDays: 14, Program: "v1", Host: "here",
		Notify: func(_ context.Context, _ *store.Tx, key, text string) error {
			w.told = append(w.told, key+" "+text)
			return nil
		},
		Jobs: func() *scheduler.Scheduler { return w.jobs },
	})
	var err error
	w.jobs, err = scheduler.New(scheduler.Config{Store: db, Jobs: w.feature.Jobs, Now: d.Now, Log: d.Log})
	if err != nil {
		t.Fatal(err)
	}
	return w
}

func (w *world) files() (names []string) {
	list, err := os.ReadDir(w.dir)
	if err != nil {
		w.Fatal(err)
	}
	for _, e := range list {
		names = append(names, e.Name())
	}
	return names
}

// page renders what the operator sees, by the page's own template with the
// frame's functions left plain.
func (w *world) page() string {
	w.Helper()
	p := w.feature.Console[0]
	plain := func(args ...any) string { return fmt.Sprint(args...) }
	funcs := template.FuncMap{"formKey": func() string { return "" }}
	for _, name := range []string{"icon", "moment", "ago", "state", "number", "empty"} {
		funcs[name] = plain
	}
	page := template.Must(template.New("").Funcs(funcs).Parse(`{{define "empty"}}{{.}}{{end}}`))
	template.Must(page.ParseFS(p.FS, p.Template))
	var b strings.Builder
	err := w.db.View(w.Context(), func(tx *store.Tx) error {
		data, err := p.Load(tx.Context(), tx, console.Visit{Now: w.now})
		if err != nil {
			return err
		}
		return errors.Join(page.ExecuteTemplate(&b, "action", data), page.ExecuteTemplate(&b, "main", data))
	})
	if err != nil {
		w.Fatal(err)
	}
	return b.String()
}

func (w *world) wantPage(parts ...string) {
	w.Helper()
	text := w.page()
	for _, part := range parts {
		if !strings.Contains(text, part) {
			w.Errorf("page lacks %q:\n%s", part, text)
		}
	}
}

func TestBackupsOfNightsAreKeptForTheirDays(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.Store) {
		w := newWorld(t, db, filepath.Join(t.TempDir(), "backups"))
		w.wantPage("还没有成功备份过", "现在备份")
		for _, days := range []int{0, 1, 9, 5} {
			w.now = w.now.AddDate(0, 0, days)
			if err := w.jobs.RunNow(t.Context(), "backup.create"); err != nil {
				t.Fatal(err)
			}
		}
		if got, want := w.files(), []string{"qunbot-20261122-203000.backup", "qunbot-20261201-203000.backup", "qunbot-20261206-203000.backup"}; !slices.Equal(got, want) {
			t.Errorf("files = %q, want those of the last 14 days, %q", got, want)
		}
		w.wantPage("已核对", "已到期删除", "qunbot-20261206-203000.backup")
		if err := os.Remove(filepath.Join(w.dir, "qunbot-20261206-203000.backup")); err != nil {
			t.Fatal(err)
		}
		w.wantPage("文件不在了")
		w.now = w.now.AddDate(0, 0, 2)
		w.wantPage("太久了")
		if len(w.told) != 0 {
			t.Errorf("staff were told %q", w.told)
		}
	})
}

func TestFailureIsToldAndShownAndDeletesNothing(t *testing.T) {
	db := storetest.Open(t)
	w := newWorld(t, db, filepath.Join(t.TempDir(), "backups"))
	if err := w.jobs.RunNow(t.Context(), "backup.create"); err != nil {
		t.Fatal(err)
	}
	before := w.files()
	w.now = w.now.AddDate(0, 0, 40)
	// A folder that cannot take the file: something of its name is there.
	if err := os.Mkdir(filepath.Join(w.dir, "qunbot-20261231-203000.backup"), 0o700); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if err := w.jobs.RunNow(t.Context(), "backup.create"); err == nil {
			t.Error("backup.create where it cannot write = nil")
		}
	}
	if len(w.told) != 2 || !strings.HasPrefix(w.told[0], "backup:2027-01-01 今天的数据库备份失败了") || w.told[0] != w.told[1] {
		t.Errorf("staff were told %q, want it under one key", w.told)
	}
	w.wantPage("失败", "exists")
	if after := w.files(); len(after) != 2 || after[0] != before[0] {
		t.Errorf("files = %q, want %q still there", after, before)
	}
}

func TestBackupNow(t *testing.T) {
	db := storetest.Open(t)
	w := newWorld(t, db, t.TempDir())
	post := func() error {
		return db.Update(t.Context(), func(tx *store.Tx) error {
			_, err := w.feature.Console[0].Post(tx.Context(), tx, console.Visit{Now: w.now})
			return err
		})
	}
	if err := post(); err != nil {
		t.Fatal(err)
	}
	err := db.Update(t.Context(), func(tx *store.Tx) error {
		list, err := w.jobs.List(tx.Context(), tx)
		if err != nil || !list[0].Next.Equal(w.now) {
			t.Errorf("next = %v, %v, want now", list[0].Next, err)
		}
		return w.jobs.Pause(tx.Context(), tx, "backup.create")
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := post(); err == nil || !strings.Contains(err.Error(), "暂停") {
		t.Errorf("post while it is paused = %v, want it to say so", err)
	}
}

func TestBackupsThatAreOff(t *testing.T) {
	w := newWorld(t, storetest.Open(t), "")
	if len(w.feature.Jobs) != 0 {
		t.Errorf("jobs = %v, want none", w.feature.Jobs)
	}
	w.wantPage("自动备份没有打开")
	if text := w.page(); strings.Contains(text, "现在备份") {
		t.Error("the page offers what cannot be done")
	}
}
