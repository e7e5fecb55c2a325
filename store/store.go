// Package store keeps qunbot's facts in SQLite or MySQL: models, queries,
// transactions and migrations. It is the only package that imports gorm.
//
// Reads and writes are methods of [Tx], one statement each; [Store.Update] and
// [Store.View] open a transaction and hand one out. The store guards invariants
// (unique keys, amounts) and never decides: rules belong to the features.
package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"strings"
	"sync/atomic"
	"time"

	"gorm.io/gorm"
	"gorm.io/gorm/clause"
	"gorm.io/gorm/logger"
)

// ErrNotFound is returned by methods that look for one row and find none.
var ErrNotFound = errors.New("not found")

// ErrExists is returned where a row with the same key must not be there.
var ErrExists = errors.New("exists already")

// ErrNested is returned by Update and View when their context already carries
// a transaction: the inner one would wait for the outer one for ever.
var ErrNested = errors.New("transaction inside a transaction")

// Options say where the data is.
type Options struct {
	Driver string         // "sqlite" or "mysql" (also for MariaDB)
	DSN    string         // a file's path for SQLite, user:password@tcp(host:port)/name for MySQL
	Zone   *time.Location // the zone in which business days begin; fixed once check-ins exist
	Secret []byte         // seals secrets in the database; without it none can be stored
	AsIs   bool           // leave the schema as it is, for a look at it before an upgrade; there must be one
}

// A Store is an open database. Its methods may be called by many goroutines.
type Store struct {
	write, read *gorm.DB
	mysql       bool
	zone        *time.Location
	box         *box
	onPosts     atomic.Pointer[func()]
	observer    observer
}

// Open connects to the database and makes its tables if they are missing or
// old. It returns an error that says what to do when the database is newer
// than the program or was used with another time zone.
func Open(ctx context.Context, o Options) (*Store, error) {
	if o.Zone == nil {
		return nil, errors.New("open database: no time zone given")
	}
	box, err := newBox(o.Secret)
	if err != nil {
		return nil, fmt.Errorf("open database: %w", err)
	}
	s := &Store{mysql: o.Driver == "mysql", zone: o.Zone, box: box}
	gormConfig := func() *gorm.Config {
		return &gorm.Config{
			SkipDefaultTransaction: true,
			TranslateError:         true,
			Logger:                 logger.Discard,                          // callers log once, with what identifies the work
			NowFunc:                func() time.Time { return time.Time{} }, // times are passed in
		}
	}
	if o.AsIs && o.Driver == "sqlite" { // opening would make the file
		if _, err := os.Stat(strings.TrimPrefix(o.DSN, "file:")); err != nil {
			return nil, fmt.Errorf("open database: %w", err)
		}
	}
	writer, reader, err := dialectors(o.Driver, o.DSN)
	if err != nil {
		return nil, err
	}
	if s.write, err = gorm.Open(writer, gormConfig()); err != nil {
		return nil, fmt.Errorf("open database: %w", err)
	}
	s.read = s.write
	if reader != nil {
		if s.read, err = gorm.Open(reader, gormConfig()); err != nil {
			s.Close()
			return nil, fmt.Errorf("open database for reading: %w", err)
		}
	}
	s.limitConnections()
	if o.AsIs {
		if err := s.whole(ctx); err != nil {
			s.Close()
			return nil, err
		}
		return s, nil
	}
	if err := s.migrate(ctx); err != nil {
		s.Close()
		return nil, err
	}
	if err := s.fixZone(ctx); err != nil {
		s.Close()
		return nil, err
	}
	return s, nil
}

// limitConnections gives SQLite its single writer and MySQL a bounded pool.
func (s *Store) limitConnections() {
	w, _ := s.write.DB()
	if s.mysql {
		w.SetMaxOpenConns(24)
		w.SetMaxIdleConns(24)
		w.SetConnMaxLifetime(30 * time.Minute)
		return
	}
	w.SetMaxOpenConns(1)
	if r, _ := s.read.DB(); r != w {
		r.SetMaxOpenConns(4)
		r.SetMaxIdleConns(4)
	}
}

// Close closes the database.
func (s *Store) Close() error {
	var errs []error
	for _, db := range []*gorm.DB{s.read, s.write} {
		if db == nil {
			continue
		}
		if pool, err := db.DB(); err == nil {
			errs = append(errs, pool.Close())
		}
	}
	return errors.Join(errs...)
}

// Zone returns the zone in which business days begin.
func (s *Store) Zone() *time.Location { return s.zone }

// Ping reports whether the database answers.
func (s *Store) Ping(ctx context.Context) error {
	pool, err := s.write.DB()
	if err != nil {
		return err
	}
	return pool.PingContext(ctx)
}

// A Tx is a transaction. It belongs to one goroutine.
type Tx struct {
	db       *gorm.DB
	ctx      context.Context
	mysql    bool
	zone     *time.Location
	box      *box
	accounts map[int64]*Account // locked by LockAccounts, true until the transaction ends
	settings map[string]string  // read by Setting
	lots     []Lot              // put off by AddLot
	moved    map[int64]bool     // accounts whose balance is not written yet

	suspended map[int64][]Suspension // read by SuspendedUntil
	posted    bool                   // there is a new post to send
	heard     []Message              // noted by Hear
}

// Context returns the transaction's context. Update and View refuse it, so
// that whoever is handed both cannot open a transaction inside this one.
func (tx *Tx) Context() context.Context { return tx.ctx }

// Zone returns the zone in which business days begin.
func (tx *Tx) Zone() *time.Location { return tx.zone }

type inTransaction struct{}

// Update runs fn in a read-write transaction. It commits if fn returns nil and
// rolls back otherwise. fn may run again after a deadlock, so it must not keep
// results of an earlier try, and it must not send messages: they cannot be
// rolled back.
func (s *Store) Update(ctx context.Context, fn func(tx *Tx) error) error {
	return s.retry(ctx, true, func() error {
		return s.transact(ctx, s.write, fn, &sql.TxOptions{Isolation: s.isolation()})
	})
}

// View runs fn in a read-only transaction: one consistent look at the data.
func (s *Store) View(ctx context.Context, fn func(tx *Tx) error) error {
	return s.retry(ctx, false, func() error {
		opts := &sql.TxOptions{ReadOnly: s.mysql}
		if s.mysql {
			opts.Isolation = sql.LevelRepeatableRead
		}
		return s.transact(ctx, s.read, fn, opts)
	})
}

// isolation of writes: READ COMMITTED on MySQL, because under REPEATABLE READ
// an insert can meet a duplicate that a read in the same transaction does not
// find. SQLite has one writer and knows no levels.
func (s *Store) isolation() sql.IsolationLevel {
	if s.mysql {
		return sql.LevelReadCommitted
	}
	return sql.LevelDefault
}

func (s *Store) transact(ctx context.Context, db *gorm.DB, fn func(tx *Tx) error, opts *sql.TxOptions) error {
	if ctx.Value(inTransaction{}) != nil {
		return ErrNested
	}
	inside := context.WithValue(ctx, inTransaction{}, true)
	var posted bool
	err := db.WithContext(ctx).Transaction(func(db *gorm.DB) error {
		tx := &Tx{db: db.WithContext(inside), ctx: inside, mysql: s.mysql, zone: s.zone, box: s.box}
		if err := fn(tx); err != nil {
			return err
		}
		posted = tx.posted
		return tx.flush(inside)
	}, opts)
	if tell := s.onPosts.Load(); err == nil && posted && tell != nil {
		(*tell)()
	}
	return err
}

// OnPosts has tell called after each commit of this process with new posts to
// send. It must return at once.
func (s *Store) OnPosts(tell func()) { s.onPosts.Store(&tell) }

// retry repeats what failed because two transactions got in each other's way.
func (s *Store) retry(ctx context.Context, write bool, try func() error) error {
	const tries = 6
	began := s.observer.begin()
	for n := 1; ; n++ {
		err := try()
		if err == nil || n == tries || !contended(err) {
			s.observer.end(began, write, n, err)
			return err
		}
		pause := time.Duration(n*n)*2*time.Millisecond + rand.N(5*time.Millisecond)
		select {
		case <-ctx.Done():
			s.observer.end(began, write, n, err)
			return err
		case <-time.After(pause):
		}
	}
}

// insert stores rows (a pointer to a struct, or a slice of them) and returns
// how many were new; rows that meet a duplicate key are left out.
func (tx *Tx) insert(ctx context.Context, rows any) (int64, error) {
	res := tx.db.WithContext(ctx).Clauses(clause.OnConflict{DoNothing: true}).Create(rows)
	return res.RowsAffected, res.Error
}

// Check-ins are most of a busy minute's work, and their statements go past gorm:
// its reflection costs as much as the statement itself. These helpers are for
// them; everything else uses gorm.

// exec runs one statement.
func (tx *Tx) exec(ctx context.Context, query string, args ...any) (sql.Result, error) {
	return tx.db.Statement.ConnPool.ExecContext(ctx, query, args...)
}

// query runs one statement that returns rows and hands each to scan.
func (tx *Tx) query(ctx context.Context, scan func(rows *sql.Rows) error, query string, args ...any) error {
	rows, err := tx.db.Statement.ConnPool.QueryContext(ctx, query, args...)
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		if err := scan(rows); err != nil {
			return err
		}
	}
	return rows.Err()
}

// unlessThere ends an INSERT that does nothing when it meets a duplicate;
// column is one of the table's.
func (tx *Tx) unlessThere(column string) string {
	if tx.mysql {
		return " ON DUPLICATE KEY UPDATE " + column + " = " + column
	}
	return " ON CONFLICT DO NOTHING"
}

// forUpdate adds the lock that a row read before it is written needs on MySQL;
// SQLite's single writer needs none.
func (tx *Tx) forUpdate(db *gorm.DB) *gorm.DB {
	if tx.mysql {
		return db.Clauses(clause.Locking{Strength: clause.LockingStrengthUpdate})
	}
	return db
}

// one turns gorm's answer to First or Take into ErrNotFound.
func one(res *gorm.DB, what string) error {
	switch {
	case errors.Is(res.Error, gorm.ErrRecordNotFound):
		return fmt.Errorf("%s: %w", what, ErrNotFound)
	case res.Error != nil:
		return fmt.Errorf("%s: %w", what, res.Error)
	}
	return nil
}
