package main

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"time"

	"qunbot/bench/rig"
)

// A mariadb is a database server of our own, which can be killed.
type mariadb struct {
	dir, address string
	cmd          *exec.Cmd
}

// newMariaDB makes a server in dir and starts it. A commit is on the disk
// before it is answered, as it is by default.
func newMariaDB(ctx context.Context, dir string) (*mariadb, error) {
	install, err := exec.LookPath("mariadb-install-db")
	if err != nil {
		return nil, errors.New("no MariaDB here: install mariadb-server, or give a server with -dsn")
	}
	m := &mariadb{dir: dir}
	args := append([]string{"--no-defaults", "--datadir=" + filepath.Join(dir, "data"),
		"--auth-root-authentication-method=normal", "--skip-test-db"}, asRoot()...)
	if out, err := exec.CommandContext(ctx, install, args...).CombinedOutput(); err != nil {
		return nil, fmt.Errorf("%s: %w\n%s", install, err, out)
	}
	if m.address, err = rig.FreeAddress(); err != nil {
		return nil, err
	}
	return m, m.start(ctx)
}

func asRoot() []string {
	if os.Geteuid() == 0 {
		return []string{"--user=root"}
	}
	return nil
}

func (m *mariadb) dsn() string { return "root@tcp(" + m.address + ")/" }

// start starts the server and waits until it answers.
func (m *mariadb) start(ctx context.Context) error {
	port := m.address[len("127.0.0.1:"):]
	args := append([]string{"--no-defaults", "--datadir=" + filepath.Join(m.dir, "data"), "--socket=" + filepath.Join(m.dir, "sock"),
		"--bind-address=127.0.0.1", "--port=" + port, "--skip-name-resolve"}, asRoot()...)
	m.cmd = exec.Command("mariadbd", args...)
	m.cmd.SysProcAttr = rig.DieWithParent()
	log, err := os.OpenFile(filepath.Join(m.dir, "mariadb.log"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	defer log.Close()
	m.cmd.Stdout, m.cmd.Stderr = log, log
	if err := m.cmd.Start(); err != nil {
		return err
	}
	db, err := sql.Open("mysql", m.dsn())
	if err != nil {
		return err
	}
	defer db.Close()
	for began := time.Now(); db.PingContext(ctx) != nil; time.Sleep(20 * time.Millisecond) {
		if time.Since(began) > time.Minute || ctx.Err() != nil {
			return fmt.Errorf("MariaDB does not answer, see %s", log.Name())
		}
	}
	return nil
}

// kill kills the server as kill -9 does.
func (m *mariadb) kill() {
	m.cmd.Process.Kill()
	m.cmd.Wait() // "signal: killed"
}
