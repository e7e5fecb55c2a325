package store

import (
	"bufio"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	gormsqlite "github.com/glebarez/sqlite"
	"github.com/go-gormigrate/gormigrate/v2"
	gormmysql "gorm.io/driver/mysql"
	"gorm.io/gorm"
)

// Why a backup is not restored. Nothing was changed then.
var (
	// ErrInUse: another process has the database open.
	ErrInUse = errors.New("the database is in use")
	// ErrOtherZone: its business days are those of another time zone.
	ErrOtherZone = errors.New("the backup is of another time zone")
	// ErrOtherKey: what it keeps sealed does not open with the secret key.
	ErrOtherKey = errors.New("the backup is of another secret key")
)

// A NotEmptyError says that the database holds what a restore would replace.
type NotEmptyError struct{ Members, Entries int64 }

func (e *NotEmptyError) Error() string {
	return fmt.Sprintf("the database is not empty: %d members, %d entries", e.Members, e.Entries)
}

// RestoreOptions say how a backup is restored.
type RestoreOptions struct {
	Overwrite bool // replace what is in the database
	DropKeyed bool // the secret key is lost: leave out what it sealed
	Now       func() time.Time
	Progress  func(table string, rows int64) // called after each table; nil: not
}

// A Restored says what was restored; after an error, as far as it was read.
type Restored struct {
	Inspection
	Newer int    // steps of the schema that were taken after the backup's
	Kept  string // where the old SQLite file is now; empty: there was none
}

// restoringTable marks a MySQL database on which a restore is at work.
const restoringTable = "restoring"

// Restore makes the database of o what it was when the backup at path was
// written, and brings its schema up to date. It reads all of the file before
// it touches anything, and returns ErrNoBackup, ErrTruncated, ErrAltered,
// ErrNewer, ErrOtherZone, ErrOtherKey, ErrInUse or a *NotEmptyError where it
// refuses to begin.
//
// SQLite is built beside the old file and takes its place by one rename, so a
// crash leaves the old one; that one is kept under another name. MySQL's
// tables are dropped and made anew; a crash leaves a mark that makes Open
// return ErrHalfRestored until another restore has come to its end.
func Restore(ctx context.Context, path string, o Options, r RestoreOptions) (Restored, error) {
	var done Restored
	var err error
	if done.Inspection, err = InspectBackup(ctx, path); err != nil {
		return done, fmt.Errorf("read backup: %w", err)
	}
	steps, err := stepsOf(done.Migrations)
	if err != nil {
		return done, fmt.Errorf("read backup: %w", err)
	}
	done.Newer = len(migrations()) - len(steps)
	if o.Zone == nil || o.Zone.String() != done.Zone {
		return done, ErrOtherZone
	}
	box, err := newBox(o.Secret)
	if err != nil {
		return done, err
	}
	if done.Key != "" && done.Key != box.name() && !r.DropKeyed {
		return done, ErrOtherKey
	}
	f, _, err := openFile(path)
	if err != nil {
		return done, err
	}
	defer f.Close()
	d, err := newDumpReader(bufio.NewReaderSize(f, 1<<20))
	if err != nil {
		return done, err
	}
	l := &restorer{RestoreOptions: r, mysql: o.Driver == "mysql", dump: d, steps: steps}
	if l.mysql {
		err = l.intoMySQL(ctx, o.DSN)
	} else {
		done.Kept, err = l.intoSQLite(ctx, strings.TrimPrefix(o.DSN, "file:"))
	}
	if err != nil {
		return done, fmt.Errorf("restore: %w", err)
	}
	return done, nil
}

// A restorer fills one database from a backup.
type restorer struct {
	RestoreOptions
	mysql bool
	dump  *dumpReader
	steps []*gormigrate.Migration // of the backup's schema
}

// intoSQLite builds a new file beside the old one, puts it in its place, and
// returns the old one's new name.
func (l *restorer) intoSQLite(ctx context.Context, path string) (kept string, err error) {
	held, err := l.hold(ctx, path) // refuse before the long work
	if err != nil {
		return "", err
	}
	held.release()
	dir := filepath.Dir(path)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return "", err
	}
	temp, err := os.CreateTemp(dir, filepath.Base(path)+".*.restoring") // mode 0600
	if err != nil {
		return "", err
	}
	defer os.Remove(temp.Name())
	if err := temp.Close(); err != nil {
		return "", err
	}
	// Without a journal: a crash leaves a file that nobody opens.
	db, err := openBare(gormsqlite.Open(sqliteURL(temp.Name(), "_pragma=journal_mode(OFF)", "_pragma=synchronous(OFF)",
		"_pragma=locking_mode(EXCLUSIVE)", "_pragma=cache_size(-64000)")))
	if err != nil {
		return "", err
	}
	if err := errors.Join(l.fill(ctx, db), closeBare(db)); err != nil {
		return "", err
	}
	if err := syncFile(temp.Name()); err != nil {
		return "", err
	}
	if held, err = l.hold(ctx, path); err != nil { // somebody may have come meanwhile
		return "", err
	}
	defer held.release()
	aside := path + ".replaced-" + l.Now().UTC().Format("20060102-150405")
	for _, log := range []string{"-wal", "-shm"} { // left of a damaged or missing file only; the new one must not meet them
		if err := os.Rename(path+log, aside+log); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return "", err
		}
	}
	if held.there {
		kept = aside
		if err := keepFile(path, kept); err != nil {
			return "", err
		}
	}
	if err := os.Rename(temp.Name(), path); err != nil {
		return kept, err
	}
	return kept, syncFolder(dir)
}

// sqliteURL is the DSN of an SQLite file with these options.
func sqliteURL(path string, options ...string) string {
	return "file:" + (&url.URL{Path: path}).EscapedPath() + "?" + strings.Join(options, "&")
}

func syncFile(path string) error {
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		return err
	}
	return errors.Join(f.Sync(), f.Close())
}

// keepFile gives an SQLite file that is about to be replaced another name
// besides its own. Where the disk knows no second names it is moved.
func keepFile(path, kept string) error {
	if os.Link(path, kept) == nil {
		return nil
	}
	return os.Rename(path, kept)
}

// A hold keeps everybody else from an SQLite file.
type hold struct {
	there   bool // there is a file with something in it
	release func()
}

// hold takes the SQLite file for us alone, with its log written back into it.
// It returns ErrInUse if another process has it open, and a *NotEmptyError if
// it may not be overwritten.
func (l *restorer) hold(ctx context.Context, path string) (hold, error) {
	h := hold{release: func() {}}
	info, err := os.Stat(path)
	if errors.Is(err, fs.ErrNotExist) || err == nil && info.Size() == 0 {
		return h, nil
	}
	if err != nil {
		return h, err
	}
	h.there = true
	db, err := sql.Open("sqlite", sqliteURL(path, "_pragma=busy_timeout(1000)"))
	if err != nil {
		return h, err
	}
	db.SetMaxOpenConns(1)
	h.release = func() { db.Close() }
	// SQLite leaves WAL only for the last connection: whoever else has the file
	// open, even at rest, makes this fail.
	var mode string
	err = db.QueryRowContext(ctx, "PRAGMA journal_mode = DELETE").Scan(&mode)
	if err == nil {
		_, err = db.ExecContext(ctx, "BEGIN EXCLUSIVE")
	}
	var occupied error
	if err == nil {
		occupied = l.occupied(ctx, db, "SELECT COUNT(*) FROM sqlite_master WHERE type = 'table'")
	}
	switch {
	case err == nil && occupied == nil:
		return h, nil
	case err == nil:
		err = occupied
	case sqliteCode(err) == sqliteBusy:
		err = ErrInUse
	case (sqliteCode(err) == sqliteCorrupt || sqliteCode(err) == sqliteNotADB) && l.Overwrite: // what a backup is for
		h.release()
		h.release = func() {}
		return h, nil
	}
	h.release()
	return h, err
}

// occupied returns a *NotEmptyError if the query counts tables and nobody said
// that they may be overwritten.
func (l *restorer) occupied(ctx context.Context, db *sql.DB, query string) error {
	count := func(query string) (n int64, err error) {
		err = db.QueryRowContext(ctx, query).Scan(&n)
		return n, err
	}
	n, err := count(query)
	if err != nil || n == 0 || l.Overwrite {
		return err
	}
	// What cannot be counted is not there: another schema, or half of ours.
	members, _ := count("SELECT COUNT(*) FROM members")
	entries, _ := count("SELECT COUNT(*) FROM entries")
	return &NotEmptyError{members, entries}
}

// intoMySQL makes the tables anew and fills them.
func (l *restorer) intoMySQL(ctx context.Context, dsn string) error {
	full, err := restoreDSN(dsn)
	if err != nil {
		return err
	}
	db, err := openBare(gormmysql.New(gormmysql.Config{DSN: full, DisableWithReturning: true}))
	if err != nil {
		return err
	}
	defer closeBare(db)
	pool, err := db.DB()
	if err != nil {
		return err
	}
	// The lock keeps replicas that start from migrating what we build.
	var locked int
	if err := pool.QueryRowContext(ctx, "SELECT GET_LOCK("+migrateLock+", 0)").Scan(&locked); err != nil {
		return err
	}
	if locked != 1 {
		return ErrInUse
	}
	known, err := blueprint(ctx)
	if err != nil {
		return err
	}
	tx := &Tx{db: db, mysql: true}
	names, err := tx.texts(ctx, "SELECT table_name FROM information_schema.tables WHERE table_schema = DATABASE()")
	if err != nil {
		return err
	}
	ours := slices.DeleteFunc(names, func(n string) bool { return !known[n] && n != "migrations" && n != restoringTable })
	if len(ours) > 0 {
		if err := l.occupied(ctx, pool, "SELECT 1"); err != nil {
			return err
		}
		if slices.Contains(ours, "migrations") {
			if _, err := tx.applied(ctx); err != nil { // tables of ours that this program does not know
				return err
			}
		}
	}
	if err := aloneOnMySQL(ctx, pool); err != nil {
		return err
	}
	for _, statement := range []string{
		"SET SESSION unique_checks = 0",
		"SET SESSION sql_mode = 'STRICT_ALL_TABLES,NO_AUTO_VALUE_ON_ZERO,NO_ENGINE_SUBSTITUTION'",
		"CREATE TABLE IF NOT EXISTS " + restoringTable + " (id INT PRIMARY KEY)",
	} {
		if _, err := pool.ExecContext(ctx, statement); err != nil {
			return err
		}
	}
	for _, name := range ours {
		if name == restoringTable {
			continue
		}
		if _, err := pool.ExecContext(ctx, "DROP TABLE "+quote(name)); err != nil {
			return err
		}
	}
	if err := l.fill(ctx, db); err != nil {
		return err
	}
	_, err = pool.ExecContext(ctx, "DROP TABLE "+restoringTable)
	return err
}

// aloneOnMySQL returns ErrInUse if another connection has the database open
// for some seconds. Without the PROCESS privilege it sees the connections of
// its own user only, which are those that qunbot makes.
func aloneOnMySQL(ctx context.Context, pool *sql.DB) error {
	for try := 0; ; try++ {
		var others int
		err := pool.QueryRowContext(ctx, "SELECT COUNT(*) FROM information_schema.processlist WHERE db = DATABASE() AND id <> CONNECTION_ID()").Scan(&others)
		if err != nil || others == 0 {
			return err
		}
		if try == 5 { // a process that has just ended takes a moment to be gone
			return fmt.Errorf("%w: by %d connections", ErrInUse, others)
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(200 * time.Millisecond):
		}
	}
}

// fill makes the backup's schema, its rows, and the steps that came after it.
// Indexes are made last: that is several times as fast.
func (l *restorer) fill(ctx context.Context, db *gorm.DB) error {
	db = db.WithContext(ctx)
	if err := runMigrations(db, l.steps); err != nil {
		return err
	}
	tx := &Tx{db: db, mysql: l.mysql}
	tables, err := tx.tables(ctx)
	if err != nil {
		return err
	}
	indexes := map[string][]string{} // statements that make them again, by table
	for _, name := range tables {
		if indexes[name], err = tx.dropIndexes(ctx, name); err != nil {
			return fmt.Errorf("table %s: %w", name, err)
		}
		if _, err := tx.exec(ctx, "DELETE FROM "+quote(name)); err != nil { // what the steps filled in
			return fmt.Errorf("table %s: %w", name, err)
		}
	}
	for {
		t, err := l.dump.nextTable()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return err
		}
		if !slices.Contains(tables, t.Name) {
			return fmt.Errorf("%w: it has the unknown table %.60q", ErrAltered, t.Name)
		}
		rows, err := l.fillTable(ctx, db, t)
		for _, statement := range indexes[t.Name] {
			if err == nil {
				_, err = tx.exec(ctx, statement)
			}
		}
		if err != nil {
			return fmt.Errorf("table %s: %w", t.Name, err)
		}
		delete(indexes, t.Name)
		if l.Progress != nil {
			l.Progress(t.Name, rows)
		}
	}
	for name, statements := range indexes { // of tables that are not in the backup
		for _, statement := range statements {
			if _, err := tx.exec(ctx, statement); err != nil {
				return fmt.Errorf("table %s: %w", name, err)
			}
		}
	}
	if err := runMigrations(db, migrations()); err != nil {
		return err
	}
	if l.DropKeyed {
		for _, statement := range []string{"DELETE FROM tokens", "UPDATE " + quote("groups") + " SET webhook_id = 0", "DELETE FROM webhooks"} {
			if _, err := tx.exec(ctx, statement); err != nil {
				return err
			}
		}
	}
	return nil
}

// dropIndexes takes a table's indexes away, but for its primary key, and
// returns the statements that bring them back.
func (tx *Tx) dropIndexes(ctx context.Context, table string) (again []string, err error) {
	if !tx.mysql {
		if again, err = tx.texts(ctx, "SELECT sql FROM sqlite_master WHERE type = 'index' AND tbl_name = ? AND sql IS NOT NULL ORDER BY name", table); err != nil {
			return nil, err
		}
		names, err := tx.texts(ctx, "SELECT name FROM sqlite_master WHERE type = 'index' AND tbl_name = ? AND sql IS NOT NULL", table)
		for _, n := range names {
			if err == nil {
				_, err = tx.exec(ctx, "DROP INDEX "+quote(n))
			}
		}
		return again, err
	}
	text, err := tx.createTable(ctx, table)
	if err != nil {
		return nil, err
	}
	var drop, add []string
	for line := range strings.Lines(text) {
		line = strings.TrimSuffix(strings.TrimSpace(line), ",")
		for _, kind := range []string{"KEY `", "UNIQUE KEY `"} {
			if rest, is := strings.CutPrefix(line, kind); is {
				name, _, _ := strings.Cut(rest, "`")
				drop, add = append(drop, "DROP INDEX "+quote(name)), append(add, "ADD "+line)
			}
		}
	}
	if len(drop) == 0 {
		return nil, nil
	}
	alter := "ALTER TABLE " + quote(table) + " "
	_, err = tx.exec(ctx, alter+strings.Join(drop, ", "))
	return []string{alter + strings.Join(add, ", ")}, err
}

// How many rows go into one transaction, and how many values and bytes into
// one statement. MySQL gains by long ones and takes 16 MB without being told
// to. SQLite's driver looks for each value among all of the statement's.
const (
	fillRows     = 50_000
	sqliteValues = 100
	mysqlValues  = 4_000
	fillBytes    = 1 << 20
)

// fillTable inserts the rows of the table that the reader is at.
func (l *restorer) fillTable(ctx context.Context, db *gorm.DB, t dumpTable) (rows int64, err error) {
	if err := l.checkColumns(ctx, db, t); err != nil {
		return 0, err
	}
	for more := true; more; {
		err := db.Transaction(func(db *gorm.DB) error {
			in := inserter{conn: db.Statement.ConnPool, table: t, mysql: l.mysql}
			defer in.close()
			for n := 0; n < fillRows; n++ {
				values, err := l.dump.row()
				if errors.Is(err, io.EOF) {
					more = false
					return in.flush(ctx)
				}
				if err != nil {
					return err
				}
				rows++
				if err := in.add(ctx, values); err != nil {
					return err
				}
			}
			return in.flush(ctx)
		})
		if err != nil {
			return rows, err
		}
	}
	return rows, l.setNext(ctx, db, t)
}

// checkColumns returns an error if the table cannot take the backup's columns.
func (l *restorer) checkColumns(ctx context.Context, db *gorm.DB, t dumpTable) error {
	rows, err := db.Statement.ConnPool.QueryContext(ctx, "SELECT * FROM "+quote(t.Name)+" WHERE 1 = 0")
	if err != nil {
		return err
	}
	defer rows.Close()
	has, err := columnsOf(rows)
	if err != nil {
		return err
	}
	for _, c := range t.Columns {
		if !slices.Contains(has, c) {
			return fmt.Errorf("%w: it has the unknown column %.60q of kind %.20q", ErrAltered, c.Name, c.Kind)
		}
	}
	return rows.Err()
}

// setNext makes the database number the next row as the old one would have.
func (l *restorer) setNext(ctx context.Context, db *gorm.DB, t dumpTable) error {
	if t.Next == 0 {
		return nil
	}
	tx := &Tx{db: db}
	if l.mysql {
		_, err := tx.exec(ctx, fmt.Sprintf("ALTER TABLE %s AUTO_INCREMENT = %d", quote(t.Name), t.Next))
		return err
	}
	if _, err := tx.exec(ctx, "DELETE FROM sqlite_sequence WHERE name = ?", t.Name); err != nil {
		return err
	}
	_, err := tx.exec(ctx, "INSERT INTO sqlite_sequence (name, seq) VALUES (?, ?)", t.Name, t.Next-1)
	return err
}

// An inserter gathers rows and inserts many by one statement.
type inserter struct {
	conn  gorm.ConnPool
	table dumpTable
	mysql bool
	args  []any
	bytes int
	full  *sql.Stmt // SQLite's, of as many rows as go into one
}

func (in *inserter) add(ctx context.Context, values []any) error {
	for i, v := range values {
		switch v := v.(type) {
		case string:
			in.bytes += len(v)
		case []byte:
			in.bytes += len(v)
		case time.Time:
			if in.mysql { // its columns keep milliseconds, and it would round up
				values[i] = v.Truncate(time.Millisecond)
			}
		}
	}
	in.args = append(in.args, values...)
	if !in.mysql && len(in.args) >= in.perStatement() {
		return in.flushFull(ctx)
	}
	if len(in.args) >= mysqlValues || in.bytes >= fillBytes {
		return in.flush(ctx)
	}
	return nil
}

// perStatement is how many values go into one statement on SQLite: whole rows.
func (in *inserter) perStatement() int {
	columns := len(in.table.Columns)
	return max(1, sqliteValues/columns) * columns
}

// flushFull inserts as many rows as go into one statement, which is prepared
// once.
func (in *inserter) flushFull(ctx context.Context) error {
	if len(in.args) != in.perStatement() {
		return in.flush(ctx)
	}
	if in.full == nil {
		var err error
		if in.full, err = in.conn.PrepareContext(ctx, in.statement()); err != nil {
			return err
		}
	}
	_, err := in.full.ExecContext(ctx, in.args...)
	in.reset()
	return err
}

func (in *inserter) close() {
	if in.full != nil {
		in.full.Close()
	}
}

func (in *inserter) reset() {
	clear(in.args)
	in.args, in.bytes = in.args[:0], 0
}

// flush inserts the rows that have been gathered.
func (in *inserter) flush(ctx context.Context) error {
	if len(in.args) == 0 {
		return nil
	}
	_, err := in.conn.ExecContext(ctx, in.statement(), in.args...)
	in.reset()
	return err
}

// statement inserts as many rows as have been gathered.
func (in *inserter) statement() string {
	columns := len(in.table.Columns)
	var query strings.Builder
	query.WriteString("INSERT INTO " + quote(in.table.Name) + " (")
	for i, c := range in.table.Columns {
		if i > 0 {
			query.WriteString(", ")
		}
		query.WriteString(quote(c.Name))
	}
	row := "(?" + strings.Repeat(", ?", columns-1) + ")"
	query.WriteString(") VALUES " + row + strings.Repeat(", "+row, len(in.args)/columns-1))
	return query.String()
}
