// Command backup measures how long a backup, a restore and the proof of the
// ledger take with a year of a chain of malls in the database, on SQLite and,
// where a server is given, on MySQL or MariaDB:
//
//	go run ./bench/backup
//	go run ./bench/backup --mysql 'root@tcp(127.0.0.1:3306)/'
//
// Three members of ten check in on a day: 100,000 members make 30,000
// check-ins a day, 11 million a year, each with its entry and its lot. 200,000
// of them are spent. Messages are kept 30 days and decisions 180, as they are
// by default. It takes 15 GB on the disk.
package main

import (
	"context"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"time"

	"qunbot/ledger"
	"qunbot/store"
)

// options are the flags.
type options struct {
	members, days, spent int
	mysql                string // a server; empty: SQLite alone
	dir                  string
}

func main() {
	var o options
	flag.IntVar(&o.members, "members", 100_000, "members; three of ten check in on a day")
	flag.IntVar(&o.days, "days", 365, "days of history")
	flag.IntVar(&o.spent, "spent", 200_000, "check-ins whose points are spent")
	flag.StringVar(&o.mysql, "mysql", "", "server to restore to as well: user:password@tcp(host:3306)/; a database is made there and dropped")
	flag.StringVar(&o.dir, "dir", "", "folder for the files, where year.db of an earlier run is used again; empty: a temporary one, removed at the end")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := run(ctx, o, os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "backup:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, o options, out io.Writer) (err error) {
	zone, err := time.LoadLocation("Asia/Shanghai")
	if err != nil {
		return err
	}
	if o.dir == "" {
		if o.dir, err = os.MkdirTemp("", "qunbot-bench-"); err != nil {
			return err
		}
		defer os.RemoveAll(o.dir)
	}
	secret := []byte("the secret key of the bench")
	source := store.Options{Driver: "sqlite", DSN: filepath.Join(o.dir, "year.db"), Zone: zone, Secret: secret}
	fmt.Fprintf(out, "%d members, %d days; %s/%s, %d CPUs\n", o.members, o.days, runtime.GOOS, runtime.GOARCH, runtime.NumCPU())
	b := &bench{ctx: ctx, out: out}
	if _, err := os.Stat(source.DSN); err != nil {
		b.time("make the year", func() (string, error) { return "", makeYear(ctx, source, o) })
	}
	b.prove("SQLite", source)
	file := filepath.Join(o.dir, "year.backup")
	os.Remove(file)
	b.backup("SQLite", source, file)
	restored := source
	restored.DSN = filepath.Join(o.dir, "restored.db")
	b.restore("SQLite", file, restored)
	b.prove("SQLite", restored)
	if o.mysql == "" || b.err != nil {
		return b.err
	}
	os.Remove(restored.DSN)
	target := source
	var drop func() error
	if target.DSN, drop, err = makeDatabase(ctx, o.mysql); err != nil {
		return err
	}
	defer func() { err = firstError(err, drop()) }()
	target.Driver = "mysql"
	b.restore("SQLite's to MySQL", file, target)
	b.prove("MySQL", target)
	again := filepath.Join(o.dir, "again.backup")
	os.Remove(again)
	b.backup("MySQL", target, again)
	b.restore("MySQL", again, target)
	return b.err
}

func firstError(errs ...error) error {
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}

// A bench prints how long steps take, until one fails.
type bench struct {
	ctx context.Context
	out io.Writer
	err error
}

func (b *bench) time(what string, do func() (string, error)) {
	if b.err != nil {
		return
	}
	start, cpu := time.Now(), cpuTime()
	note, err := do()
	if err != nil {
		b.err = fmt.Errorf("%s: %w", what, err)
		return
	}
	fmt.Fprintf(b.out, "%-30s %8.1f s  %8.1f s CPU  %s\n", what, time.Since(start).Seconds(), (cpuTime() - cpu).Seconds(), note)
}

// cpuTime is what this process took of the processors, without the server's.
func cpuTime() time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		return 0
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

func (b *bench) backup(name string, o store.Options, file string) {
	b.time("backup of "+name, func() (string, error) {
		db, err := store.Open(b.ctx, o)
		if err != nil {
			return "", err
		}
		defer db.Close()
		done, err := db.WriteBackup(b.ctx, file, store.BackupOptions{Now: time.Now})
		return fmt.Sprintf("%d rows, %.0f MB", done.RowCount, float64(done.Bytes)/1e6), err
	})
}

func (b *bench) restore(name, file string, o store.Options) {
	b.time("restore of "+name, func() (string, error) {
		done, err := store.Restore(b.ctx, file, o, store.RestoreOptions{Overwrite: true, Now: time.Now})
		size := ""
		if info, err := os.Stat(o.DSN); err == nil {
			size = fmt.Sprintf(", %.0f MB", float64(info.Size())/1e6)
		}
		return fmt.Sprintf("%d rows%s", done.RowCount, size), err
	})
}

func (b *bench) prove(name string, o store.Options) {
	b.time("ledger verify on "+name, func() (string, error) {
		db, err := store.Open(b.ctx, o)
		if err != nil {
			return "", err
		}
		defer db.Close()
		accounts, problems, err := ledger.Verify(b.ctx, db)
		if err == nil && len(problems) > 0 {
			err = fmt.Errorf("%d problems, the first: %s", len(problems), strings.Join(problems[:min(3, len(problems))], "; "))
		}
		return fmt.Sprintf("%d accounts", accounts), err
	})
}
