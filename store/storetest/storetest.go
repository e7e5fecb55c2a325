// Package storetest opens throwaway databases for tests: SQLite always, and
// MySQL or MariaDB where there is one.
//
// MySQL is the server of TEST_MYSQL_DSN (user:password@tcp(host:port)/), or a
// mariadbd that the tests start in a temporary folder. With neither, tests on
// MySQL skip and say how to get one; with TEST_REQUIRE_ALL=1 they fail instead.
package storetest

import (
	"database/sql"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/go-sql-driver/mysql"

	"qunbot/store"
)

// Zone is the zone of the databases: Asia/Shanghai.
var Zone = sync.OnceValue(func() *time.Location {
	zone, err := time.LoadLocation("Asia/Shanghai")
	if err != nil {
		panic(err)
	}
	return zone
})

// secret seals what the databases keep sealed.
var secret = []byte("the secret key of test databases")

// Open returns an empty SQLite database in a temporary folder.
func Open(t testing.TB) *store.Store {
	t.Helper()
	return open(t, SQLite(t))
}

// Each runs test on an empty SQLite database and on an empty MySQL database.
func Each(t *testing.T, test func(t *testing.T, db *store.Store)) {
	t.Helper()
	EachOptions(t, func(t *testing.T, o store.Options) { test(t, open(t, o)) })
}

// EachOptions is Each for tests that open the database themselves. With -short
// it is SQLite alone, unless TEST_SHORT_MYSQL is set.
func EachOptions(t *testing.T, test func(t *testing.T, o store.Options)) {
	t.Helper()
	t.Run("sqlite", func(t *testing.T) { test(t, SQLite(t)) })
	t.Run("mysql", func(t *testing.T) {
		if testing.Short() && os.Getenv("TEST_SHORT_MYSQL") == "" {
			t.Skip("-short leaves MySQL out, unless TEST_SHORT_MYSQL is set")
		}
		test(t, MySQL(t))
	})
}

// SQLite returns the options of a database file that does not exist yet.
func SQLite(t testing.TB) store.Options {
	return store.Options{Driver: "sqlite", DSN: filepath.Join(t.TempDir(), "qunbot.db"), Zone: Zone(), Secret: secret}
}

// MySQL returns the options of an empty database that is dropped after the
// test, or skips the test if there is no server.
func MySQL(t testing.TB) store.Options {
	t.Helper()
	server := serverDSN(t)
	c, err := mysql.ParseDSN(server)
	if err != nil {
		t.Fatalf("TEST_MYSQL_DSN: %v", err)
	}
	c.DBName = ""
	admin, err := sql.Open("mysql", c.FormatDSN())
	if err != nil {
		t.Fatal(err)
	}
	name := fmt.Sprintf("qunbot_test_%d_%d", os.Getpid(), time.Now().UnixNano())
	if _, err := admin.Exec("CREATE DATABASE " + name); err != nil {
		t.Fatalf("make a database on %s: %v", c.Addr, err)
	}
	t.Cleanup(func() {
		if _, err := admin.Exec("DROP DATABASE " + name); err != nil {
			t.Errorf("drop the database: %v", err)
		}
		admin.Close()
	})
	c.DBName = name
	return store.Options{Driver: "mysql", DSN: c.FormatDSN(), Zone: Zone(), Secret: secret}
}

// Exec runs a statement on a database behind the store's back.
func Exec(t testing.TB, o store.Options, statement string, args ...any) {
	t.Helper()
	db, err := sql.Open(o.Driver, o.DSN)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	if _, err := db.Exec(statement, args...); err != nil {
		t.Fatalf("%s: %v", statement, err)
	}
}

func open(t testing.TB, o store.Options) *store.Store {
	t.Helper()
	db, err := store.Open(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := db.Close(); err != nil {
			t.Errorf("close the database: %v", err)
		}
	})
	return db
}

// The server that Main stops.
var server struct {
	sync.Mutex
	inMain bool
	dsn    string
	cmd    *exec.Cmd
	dir    string
}

// Main runs a package's tests and then stops the server they started. A
// package whose tests use MySQL calls it: func TestMain(m *testing.M) { storetest.Main(m) }.
func Main(m *testing.M) {
	server.inMain = true
	code := m.Run()
	server.Lock()
	if server.cmd != nil {
		server.cmd.Process.Kill()
		server.cmd.Wait()
		os.RemoveAll(server.dir)
	}
	os.Exit(code)
}

// serverDSN returns the server to use, and starts one if need be.
func serverDSN(t testing.TB) string {
	t.Helper()
	if dsn := os.Getenv("TEST_MYSQL_DSN"); dsn != "" {
		return dsn
	}
	server.Lock()
	defer server.Unlock()
	if server.dsn != "" {
		return server.dsn
	}
	if !server.inMain {
		t.Fatal("the package needs: func TestMain(m *testing.M) { storetest.Main(m) }")
	}
	daemon, err := exec.LookPath("mariadbd")
	if err != nil {
		skip(t, "no MariaDB here: install mariadb-server, or set TEST_MYSQL_DSN='root@tcp(127.0.0.1:3306)/'")
	}
	install, err := exec.LookPath("mariadb-install-db")
	if err != nil {
		skip(t, "mariadbd is here but mariadb-install-db is not: install mariadb-server, or set TEST_MYSQL_DSN")
	}
	if err := startServer(daemon, install); err != nil {
		t.Fatalf("start MariaDB: %v", err)
	}
	return server.dsn
}

func skip(t testing.TB, why string) {
	t.Helper()
	if os.Getenv("TEST_REQUIRE_ALL") != "" {
		t.Fatal(why)
	}
	t.Skip(why)
}

func startServer(daemon, install string) error {
	dir, err := os.MkdirTemp("", "qunbot-mariadb-")
	if err != nil {
		return err
	}
	server.dir = dir
	data := filepath.Join(dir, "data")
	args := []string{"--no-defaults", "--datadir=" + data, "--auth-root-authentication-method=normal", "--skip-test-db"}
	if os.Geteuid() == 0 {
		args = append(args, "--user=root")
	}
	if out, err := exec.Command(install, args...).CombinedOutput(); err != nil {
		return fmt.Errorf("%s: %w\n%s", install, err, out)
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	port := listener.Addr().(*net.TCPAddr).Port
	listener.Close()
	args = []string{"--no-defaults", "--datadir=" + data, "--socket=" + filepath.Join(dir, "sock"),
		"--bind-address=127.0.0.1", fmt.Sprintf("--port=%d", port), "--skip-name-resolve"}
	if os.Geteuid() == 0 {
		args = append(args, "--user=root")
	}
	server.cmd = exec.Command(daemon, args...)
	server.cmd.SysProcAttr = dieWithParent()
	var log strings.Builder
	server.cmd.Stderr = &log
	if err := server.cmd.Start(); err != nil {
		return err
	}
	server.dsn = fmt.Sprintf("root@tcp(127.0.0.1:%d)/", port)
	db, err := sql.Open("mysql", server.dsn)
	if err != nil {
		return err
	}
	defer db.Close()
	deadline := time.Now().Add(60 * time.Second)
	for db.Ping() != nil {
		if time.Now().After(deadline) {
			return fmt.Errorf("it does not answer within a minute:\n%s", log.String())
		}
		time.Sleep(50 * time.Millisecond) // a server offers nothing else to wait on
	}
	return nil
}
