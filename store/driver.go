package store

import (
	"context"
	"database/sql/driver"
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/glebarez/go-sqlite"
	gormsqlite "github.com/glebarez/sqlite"
	"github.com/go-sql-driver/mysql"
	gormmysql "gorm.io/driver/mysql"
	"gorm.io/gorm"
)

// dialectors returns the writer's and, where it differs, the readers' way to
// the database.
func dialectors(name, dsn string) (writer, reader gorm.Dialector, err error) {
	switch name {
	case "sqlite":
		writerDSN, readerDSN, err := sqliteDSNs(dsn)
		if err != nil {
			return nil, nil, err
		}
		return gormsqlite.Open(writerDSN), gormsqlite.Open(readerDSN), nil
	case "mysql":
		full, err := mysqlDSN(dsn)
		if err != nil {
			return nil, nil, err
		}
		// Without RETURNING, which MariaDB has: it counts a duplicate that was
		// left out as a row that was inserted.
		return gormmysql.New(gormmysql.Config{DSN: full, DisableWithReturning: true}), nil, nil
	}
	return nil, nil, fmt.Errorf("open database: driver %q is unknown, use sqlite or mysql", name)
}

// sqliteDSNs returns the settings under which SQLite is safe and quick:
// write-ahead log, a flush at each commit, a writer that takes its lock at
// BEGIN, readers that cannot write. cache_size is KiB a connection.
func sqliteDSNs(path string) (writer, reader string, err error) {
	if path == "" || strings.Contains(path, ":memory:") {
		return "", "", errors.New("open database: SQLite needs a file's path, for example data/qunbot.db")
	}
	path = strings.TrimPrefix(path, "file:")
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return "", "", fmt.Errorf("open database: make its folder: %w", err)
	}
	// The file holds personal data: make it readable by us alone before SQLite
	// makes it by the umask. SQLite gives -wal and -shm the same mode.
	f, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return "", "", fmt.Errorf("open database: %w", err)
	}
	if err := f.Close(); err != nil {
		return "", "", fmt.Errorf("open database: %w", err)
	}
	dsn := func(options ...string) string {
		v := url.Values{"_pragma": {"busy_timeout(5000)", "foreign_keys(1)", "temp_store(2)"}}
		for _, o := range options {
			key, value, _ := strings.Cut(o, "=")
			v.Add(key, value)
		}
		return "file:" + (&url.URL{Path: path}).EscapedPath() + "?" + v.Encode()
	}
	writer = dsn("_txlock=immediate", "_pragma=journal_mode(WAL)", "_pragma=synchronous(FULL)", "_pragma=cache_size(-16000)")
	reader = dsn("_txlock=deferred", "_pragma=query_only(1)", "_pragma=cache_size(-4000)")
	return writer, reader, nil
}

// mysqlDSN adds what the store relies on to the DSN of the settings.
func mysqlDSN(dsn string) (string, error) {
	c, err := mysql.ParseDSN(dsn)
	if err != nil {
		return "", fmt.Errorf("open database: MySQL DSN must look like user:password@tcp(host:3306)/name: %w", err)
	}
	c.ParseTime = true
	c.Loc = time.UTC
	c.InterpolateParams = true
	c.Collation = "utf8mb4_bin"
	if c.Timeout == 0 {
		c.Timeout = 5 * time.Second
	}
	if c.ReadTimeout == 0 {
		c.ReadTimeout = 30 * time.Second
	}
	if c.WriteTimeout == 0 {
		c.WriteTimeout = 30 * time.Second
	}
	return c.FormatDSN(), nil
}

// restoreDSN is mysqlDSN for statements that take minutes, such as making an
// index.
func restoreDSN(dsn string) (string, error) {
	full, err := mysqlDSN(dsn)
	if err != nil {
		return "", err
	}
	c, err := mysql.ParseDSN(full)
	if err != nil {
		return "", err
	}
	c.ReadTimeout, c.WriteTimeout = 6*time.Hour, 6*time.Hour
	return c.FormatDSN(), nil
}

// MySQL's numbers: https://dev.mysql.com/doc/mysql-errors/8.0/en/server-error-reference.html
const (
	mysqlLockWaitTimeout = 1205
	mysqlDeadlock        = 1213
	mysqlRecordChanged   = 1020 // MariaDB: somebody changed the row since it was read
	mysqlDiskFull        = 1021
	mysqlTableFull       = 1114
	mysqlShutdown        = 1053
	mysqlTooManyConns    = 1040
	mysqlReadOnly        = 1290 // a replica that was just demoted
)

// SQLite's primary result codes: https://www.sqlite.org/rescode.html
const (
	sqliteBusy    = 5
	sqliteLocked  = 6
	sqliteCorrupt = 11
	sqliteIOErr   = 10
	sqliteFull    = 13
	sqliteNotADB  = 26
)

func mysqlNumber(err error) uint16 {
	if e, ok := errors.AsType[*mysql.MySQLError](err); ok {
		return e.Number
	}
	return 0
}

func sqliteCode(err error) int {
	if e, ok := errors.AsType[*sqlite.Error](err); ok {
		return e.Code() & 0xff // the extended code's primary part
	}
	return 0
}

// contended reports whether err says that another transaction was in the way,
// so that the same transaction may succeed at once.
func contended(err error) bool {
	switch mysqlNumber(err) {
	case mysqlLockWaitTimeout, mysqlDeadlock, mysqlRecordChanged:
		return true
	}
	switch sqliteCode(err) {
	case sqliteBusy, sqliteLocked:
		return true
	}
	return false
}

// Transient reports whether err comes from the storage and not from what was
// asked of it: a deadlock, a lost connection, a full disk, a time-out. What
// failed with it may succeed later, unchanged.
func Transient(err error) bool {
	if err == nil {
		return false
	}
	switch mysqlNumber(err) {
	case mysqlDiskFull, mysqlTableFull, mysqlShutdown, mysqlTooManyConns, mysqlReadOnly:
		return true
	}
	switch sqliteCode(err) {
	case sqliteIOErr, sqliteFull:
		return true
	}
	if contended(err) || errors.Is(err, driver.ErrBadConn) || errors.Is(err, mysql.ErrInvalidConn) ||
		errors.Is(err, context.DeadlineExceeded) || errors.Is(err, context.Canceled) {
		return true
	}
	_, network := errors.AsType[interface {
		error
		Timeout() bool
	}](err)
	return network
}
