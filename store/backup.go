package store

import (
	"bufio"
	"cmp"
	"context"
	"database/sql"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	gormsqlite "github.com/glebarez/sqlite"
	"github.com/go-gormigrate/gormigrate/v2"
	"gorm.io/gorm"
	"gorm.io/gorm/logger"
)

// BackupOptions say how a backup is written.
type BackupOptions struct {
	Program   string // version of the program, for the header
	Host      string // name of this machine, for the record
	SecretKey []byte // goes into the file with everything it seals; usually nil
	Now       func() time.Time
}

// WriteBackup writes all of the database into a new file at path, readable by
// us alone, and reads it back. The file has its name only once it is whole and
// on the disk. It returns fs.ErrExist if there is a file of that name.
//
// The attempt is recorded (AddBackup), also if it fails, unless the schema is
// too old for that.
//
// It is one consistent look at the data, with everything that was committed
// before it began, on SQLite and MySQL alike: a read transaction, which keeps
// no writer waiting. While it lasts SQLite's log and MySQL's undo log grow by
// what is written meanwhile.
func (s *Store) WriteBackup(ctx context.Context, path string, o BackupOptions) (Backup, error) {
	b, err := s.writeBackup(ctx, path, o)
	b.EndedAt = moment(o.Now())
	if err != nil {
		b.Problem = cut(err.Error(), 500)
	}
	ctx = context.WithoutCancel(ctx) // also where that was the problem
	if s.write.WithContext(ctx).Migrator().HasTable(&b) {
		err = errors.Join(err, s.Update(ctx, func(tx *Tx) error { return tx.AddBackup(tx.Context(), b) }))
	}
	return b, err
}

func (s *Store) writeBackup(ctx context.Context, path string, o BackupOptions) (Backup, error) {
	path, err := filepath.Abs(path)
	if err != nil {
		return Backup{}, fmt.Errorf("write backup: %w", err)
	}
	b := Backup{File: cut(path, 500), Host: cut(o.Host, 120), StartedAt: moment(o.Now())}
	if _, err := os.Lstat(path); err == nil {
		return b, fmt.Errorf("write backup %s: %w", path, fs.ErrExist)
	}
	dir := filepath.Dir(path)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return b, fmt.Errorf("write backup: %w", err)
	}
	temp, err := os.CreateTemp(dir, filepath.Base(path)+".*"+unfinished) // mode 0600
	if err != nil {
		return b, fmt.Errorf("write backup: %w", err)
	}
	defer os.Remove(temp.Name())
	b.Checksum, b.RowCount, err = s.dump(ctx, temp, b.StartedAt, o)
	if err := errors.Join(err, temp.Sync(), temp.Close()); err != nil {
		return b, fmt.Errorf("write backup: %w", err)
	}
	read, err := InspectBackup(ctx, temp.Name())
	if err != nil {
		return b, fmt.Errorf("read the backup back: %w", err)
	}
	if read.Checksum != b.Checksum || read.RowCount != b.RowCount {
		return b, fmt.Errorf("read the backup back: it has %d rows and checksum %s, want %d and %s", read.RowCount, read.Checksum, b.RowCount, b.Checksum)
	}
	if err := os.Rename(temp.Name(), path); err != nil {
		return b, fmt.Errorf("write backup: %w", err)
	}
	b.Bytes = read.Bytes
	return b, syncFolder(dir)
}

// cut shortens s to the n characters that its column holds.
func cut(s string, n int) string {
	if r := []rune(s); len(r) > n {
		return string(r[:n])
	}
	return s
}

// unfinished ends the names of backups that are being written.
const unfinished = ".part"

// An Inspection is what reading all of a backup found.
type Inspection struct {
	BackupHeader
	Bytes    int64 // of the file
	RowCount int64
	Checksum string
	Tables   map[string]int64 // rows of each table
}

// InspectBackup reads a backup from its first to its last byte. It returns
// ErrNoBackup, ErrTruncated or ErrAltered for a file that cannot be restored.
func InspectBackup(ctx context.Context, path string) (Inspection, error) {
	found := Inspection{Tables: map[string]int64{}}
	f, size, err := openFile(path)
	if err != nil {
		return found, err
	}
	defer f.Close()
	found.Bytes = size
	if found.BackupHeader, found.Checksum, err = checkFile(f, size); err != nil {
		return found, err
	}
	if _, err := f.Seek(0, io.SeekStart); err != nil {
		return found, err
	}
	d, err := newDumpReader(f)
	if err != nil {
		return found, err
	}
	for {
		t, err := d.nextTable()
		if errors.Is(err, io.EOF) {
			found.RowCount = d.rows
			return found, nil
		}
		if err := errors.Join(err, ctx.Err()); err != nil {
			return found, err
		}
		before := d.rows
		for err == nil {
			_, err = d.row()
		}
		if !errors.Is(err, io.EOF) {
			return found, err
		}
		found.Tables[t.Name] = d.rows - before
	}
}

// ReadBackupHeader reads what a backup says of itself, and checks nothing.
func ReadBackupHeader(path string) (BackupHeader, error) {
	f, _, err := openFile(path)
	if err != nil {
		return BackupHeader{}, err
	}
	defer f.Close()
	return readHeader(bufio.NewReader(f))
}

func openFile(path string) (*os.File, int64, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, 0, err
	}
	info, err := f.Stat()
	if err == nil && !info.Mode().IsRegular() {
		err = fmt.Errorf("%s: %w", path, ErrNoBackup)
	}
	if err != nil {
		f.Close()
		return nil, 0, err
	}
	return f, info.Size(), nil
}

// syncFolder makes a new name in a folder last through a power cut.
func syncFolder(dir string) error {
	f, err := os.Open(dir)
	if err != nil {
		return err
	}
	defer f.Close()
	return f.Sync()
}

// dump writes a backup to w and returns its checksum and its number of rows.
func (s *Store) dump(ctx context.Context, w io.Writer, at time.Time, o BackupOptions) (checksum string, rows int64, err error) {
	known, err := blueprint(ctx)
	if err != nil {
		return "", 0, err
	}
	opts := &sql.TxOptions{ReadOnly: s.mysql}
	if s.mysql {
		opts.Isolation = sql.LevelRepeatableRead
	}
	// Not View: a second try would append to what the first one wrote.
	err = s.transact(ctx, s.read, func(tx *Tx) error {
		ctx := tx.Context()
		h := BackupHeader{CreatedAt: at, Program: o.Program, Driver: "sqlite", Zone: s.zone.String(), Key: s.box.name()}
		if s.mysql {
			h.Driver = "mysql"
		}
		if o.SecretKey != nil {
			h.SecretKey = base64.StdEncoding.EncodeToString(o.SecretKey)
		}
		if h.Migrations, err = tx.applied(ctx); err != nil {
			return err
		}
		if err := tx.Setting(ctx, "time_zone", &h.Zone); err != nil {
			return err
		}
		tables, err := tx.tables(ctx)
		if err != nil {
			return err
		}
		d, err := newDumpWriter(w, h)
		if err != nil {
			return err
		}
		for _, name := range tables {
			if !known[name] { // somebody else's, in a shared database
				continue
			}
			if err := tx.dumpTable(ctx, d, name); err != nil {
				return err
			}
		}
		checksum, err = d.close()
		rows = d.rows
		return err
	}, opts)
	return checksum, rows, err
}

// name is the fingerprint of the secret key itself.
func (b *box) name() string {
	if b == nil {
		return ""
	}
	return b.fingerprint("qunbot secret key")
}

// blueprint returns the tables that the migrations make: it runs them on an
// empty database.
func blueprint(ctx context.Context) (map[string]bool, error) {
	dir, err := os.MkdirTemp("", "qunbot-schema-")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	db, err := openBare(gormsqlite.Open("file:" + filepath.Join(dir, "schema.db") + "?_pragma=journal_mode(OFF)&_pragma=synchronous(OFF)"))
	if err != nil {
		return nil, err
	}
	defer closeBare(db)
	if err := runMigrations(db.WithContext(ctx), migrations()); err != nil {
		return nil, err
	}
	tx := &Tx{db: db}
	names, err := tx.tables(ctx)
	known := map[string]bool{}
	for _, n := range names {
		known[n] = true
	}
	return known, err
}

// openBare opens a database with one connection and none of a Store's care.
func openBare(d gorm.Dialector) (*gorm.DB, error) {
	db, err := gorm.Open(d, &gorm.Config{SkipDefaultTransaction: true, TranslateError: true, Logger: logger.Discard})
	if err != nil {
		return nil, err
	}
	pool, err := db.DB()
	if err != nil {
		return nil, err
	}
	pool.SetMaxOpenConns(1)
	return db, nil
}

func closeBare(db *gorm.DB) error {
	pool, err := db.DB()
	if err != nil {
		return err
	}
	return pool.Close()
}

// applied returns the steps of the schema that the database has, in the order
// of the program. It returns ErrNewer if it has others.
func (tx *Tx) applied(ctx context.Context) ([]string, error) {
	has := map[string]bool{}
	err := tx.query(ctx, func(rows *sql.Rows) error {
		var id string
		if err := rows.Scan(&id); err != nil {
			return err
		}
		has[id] = true
		return nil
	}, "SELECT id FROM migrations")
	if err != nil {
		return nil, fmt.Errorf("read the schema's steps: %w", err)
	}
	var list []string
	for _, m := range migrations() {
		if has[m.ID] {
			list = append(list, m.ID)
			delete(has, m.ID)
		}
	}
	if len(has) > 0 {
		return nil, ErrNewer
	}
	return list, nil
}

// stepsOf returns the program's migrations that have these ids. It returns
// ErrNewer if it does not know one.
func stepsOf(ids []string) ([]*gormigrate.Migration, error) {
	var steps []*gormigrate.Migration
	for _, m := range migrations() {
		if slices.Contains(ids, m.ID) {
			steps = append(steps, m)
		}
	}
	if len(steps) != len(ids) {
		return nil, ErrNewer
	}
	return steps, nil
}

// tables returns the names of all tables but for the databases' own and the
// list of migrations, in order.
func (tx *Tx) tables(ctx context.Context) ([]string, error) {
	query := "SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite!_%' ESCAPE '!'"
	if tx.mysql {
		query = "SELECT table_name FROM information_schema.tables WHERE table_schema = DATABASE() AND table_type = 'BASE TABLE'"
	}
	names, err := tx.texts(ctx, query)
	if err != nil {
		return nil, fmt.Errorf("list tables: %w", err)
	}
	names = slices.DeleteFunc(names, func(n string) bool { return n == "migrations" || n == restoringTable })
	slices.Sort(names)
	return names, nil
}

// texts runs a query for one column of text.
func (tx *Tx) texts(ctx context.Context, query string, args ...any) ([]string, error) {
	var list []string
	err := tx.query(ctx, func(rows *sql.Rows) error {
		var text string
		if err := rows.Scan(&text); err != nil {
			return err
		}
		list = append(list, text)
		return nil
	}, query, args...)
	return list, err
}

// dumpTable writes a table's rows in the order of its primary key: the order
// in which InnoDB keeps them, and takes them back fastest.
func (tx *Tx) dumpTable(ctx context.Context, d *dumpWriter, name string) error {
	next, err := tx.nextNumber(ctx, name)
	if err != nil {
		return fmt.Errorf("table %s: %w", name, err)
	}
	key, err := tx.primaryKey(ctx, name)
	if err != nil {
		return fmt.Errorf("table %s: %w", name, err)
	}
	rows, err := tx.db.Statement.ConnPool.QueryContext(ctx, "SELECT * FROM "+quote(name)+" ORDER BY "+strings.Join(key, ", "))
	if err != nil {
		return fmt.Errorf("table %s: %w", name, err)
	}
	defer rows.Close()
	columns, err := columnsOf(rows)
	if err != nil {
		return fmt.Errorf("table %s: %w", name, err)
	}
	if err := d.begin(dumpTable{Name: name, Columns: columns, Next: next}); err != nil {
		return err
	}
	values, places := make([]any, len(columns)), make([]any, len(columns))
	for i := range values {
		places[i] = &values[i]
	}
	for rows.Next() {
		if err := rows.Scan(places...); err != nil {
			return fmt.Errorf("table %s: %w", name, err)
		}
		if err := d.row(values); err != nil {
			return err
		}
	}
	if err := rows.Err(); err != nil {
		return fmt.Errorf("table %s: %w", name, err)
	}
	return nil
}

func columnsOf(rows *sql.Rows) ([]dumpColumn, error) {
	types, err := rows.ColumnTypes()
	if err != nil {
		return nil, err
	}
	var columns []dumpColumn
	for _, t := range types {
		kind, known := kindOf(t.DatabaseTypeName())
		if !known {
			return nil, fmt.Errorf("column %s has the unknown type %q", t.Name(), t.DatabaseTypeName())
		}
		columns = append(columns, dumpColumn{t.Name(), kind})
	}
	return columns, nil
}

// quote quotes a name for both databases.
func quote(name string) string { return "`" + strings.ReplaceAll(name, "`", "``") + "`" }

// primaryKey returns the quoted columns of a table's primary key.
func (tx *Tx) primaryKey(ctx context.Context, table string) ([]string, error) {
	query := "SELECT name FROM pragma_table_info(?) WHERE pk > 0 ORDER BY pk"
	if tx.mysql {
		query = "SELECT column_name FROM information_schema.key_column_usage WHERE table_schema = DATABASE() AND table_name = ? AND constraint_name = 'PRIMARY' ORDER BY ordinal_position"
	}
	key, err := tx.texts(ctx, query, table)
	if err == nil && len(key) == 0 {
		err = errors.New("it has no primary key")
	}
	for i := range key {
		key[i] = quote(key[i])
	}
	return key, err
}

var autoIncrement = regexp.MustCompile(` AUTO_INCREMENT=([0-9]+)`)

// nextNumber returns the number that the database gives to the table's next
// row, or 0. Numbers of deleted rows are not given out again.
func (tx *Tx) nextNumber(ctx context.Context, table string) (int64, error) {
	if tx.mysql {
		text, err := tx.createTable(ctx, table)
		if err != nil {
			return 0, err
		}
		if found := autoIncrement.FindStringSubmatch(text); found != nil {
			return strconv.ParseInt(found[1], 10, 64)
		}
		return 0, nil
	}
	last, err := tx.texts(ctx, "SELECT seq FROM sqlite_sequence WHERE name = ?", table)
	if err != nil || len(last) == 0 {
		return 0, err
	}
	n, err := strconv.ParseInt(cmp.Or(last[0], "0"), 10, 64)
	return n + 1, err
}

// createTable returns MySQL's statement that would make the table.
func (tx *Tx) createTable(ctx context.Context, table string) (string, error) {
	var name, text string
	err := tx.query(ctx, func(rows *sql.Rows) error { return rows.Scan(&name, &text) }, "SHOW CREATE TABLE "+quote(table))
	return text, err
}
