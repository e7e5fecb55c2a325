package main

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// databases makes empty databases, and drops them at the end.
type databases struct {
	driver string
	dir    string  // of SQLite's files
	own    bool    // dir is ours to remove
	server *sql.DB // MySQL; the store's package registers the driver
	dsn    string
	made   []string // on server
}

func newDatabases(ctx context.Context, o options) (*databases, error) {
	d := &databases{driver: o.driver, dir: o.dsn, dsn: o.dsn}
	switch o.driver {
	case "sqlite":
		if d.dir != "" {
			return d, os.MkdirAll(d.dir, 0o700)
		}
		var err error
		d.dir, err = os.MkdirTemp("", "qunbot-bench-")
		d.own = true
		return d, err
	case "mysql":
		if !strings.HasSuffix(o.dsn, "/") {
			return nil, errors.New("--dsn must be a server: user:password@tcp(host:3306)/")
		}
		var err error
		if d.server, err = sql.Open("mysql", o.dsn); err != nil {
			return nil, err
		}
		return d, d.server.PingContext(ctx)
	}
	return nil, fmt.Errorf("--driver %q: it must be sqlite or mysql", o.driver)
}

// make returns the DSN of an empty database.
func (d *databases) make(ctx context.Context, name string) (dsn string, err error) {
	name = fmt.Sprintf("qunbot_bench_%d_%s", os.Getpid(), name)
	if d.server == nil {
		return filepath.Join(d.dir, name+".db"), nil
	}
	if _, err := d.server.ExecContext(ctx, "CREATE DATABASE "+name); err != nil {
		return "", err
	}
	d.made = append(d.made, name)
	return d.dsn + name, nil
}

// drop removes what make made.
func (d *databases) drop() {
	for _, name := range d.made {
		if _, err := d.server.Exec("DROP DATABASE " + name); err != nil {
			fmt.Fprintln(os.Stderr, "callbacks: "+err.Error())
		}
	}
	if d.own {
		os.RemoveAll(d.dir)
	}
}

// describe prints what a durable commit costs at least.
func (d *databases) describe(ctx context.Context) error {
	if d.server != nil {
		var version, flush string
		err := d.server.QueryRowContext(ctx, "SELECT VERSION(), @@innodb_flush_log_at_trx_commit").Scan(&version, &flush)
		fmt.Printf("server %s, innodb_flush_log_at_trx_commit=%s\n", version, flush)
		return err
	}
	f, err := os.CreateTemp(d.dir, "sync")
	if err != nil {
		return err
	}
	defer os.Remove(f.Name())
	defer f.Close()
	const flushes = 100
	page := make([]byte, 4096)
	began := time.Now()
	for range flushes {
		if _, err := f.Write(page); err != nil {
			return err
		}
		if err := f.Sync(); err != nil {
			return err
		}
	}
	fmt.Printf("files in %s, where writing and flushing 4 KiB takes %s ms\n", d.dir, ms(time.Since(began)/flushes))
	return nil
}
