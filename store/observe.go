package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"

	"github.com/go-gormigrate/gormigrate/v2"
)

// A Transaction is one that has ended, for figures.
type Transaction struct {
	Write bool          // of Update; else of View
	Took  time.Duration // all tries and the pauses between them
	Tries int           // at least 1; more if others got in its way
	Err   error         // of the last try; nil: it was committed
}

// observer hears of transactions. The zero value is nobody.
type observer struct {
	now func() time.Time
	f   func(Transaction)
}

func (o observer) begin() time.Time {
	if o.f == nil {
		return time.Time{}
	}
	return o.now()
}

func (o observer) end(began time.Time, write bool, tries int, err error) {
	if o.f != nil {
		o.f(Transaction{Write: write, Took: o.now().Sub(began), Tries: tries, Err: err})
	}
}

// Observe has f called after each transaction, by many goroutines; f must be
// quick and must not use the store. It may be called once, before others use
// the store.
func (s *Store) Observe(now func() time.Time, f func(Transaction)) { s.observer = observer{now, f} }

// Pools returns the figures of the connections: "write" and, for SQLite, "read".
func (s *Store) Pools() map[string]sql.DBStats {
	pools := map[string]sql.DBStats{}
	if w, err := s.write.DB(); err == nil {
		pools["write"] = w.Stats()
	}
	if r, err := s.read.DB(); err == nil && s.read != s.write {
		pools["read"] = r.Stats()
	}
	return pools
}

// MissingMigrations returns how many steps of the schema the database lacks. A
// store was brought up to date when it was opened, so some are missing only if
// somebody put older data into the database since.
func (tx *Tx) MissingMigrations(ctx context.Context) (int, error) {
	var done []string
	if err := tx.db.WithContext(ctx).Table(gormigrate.DefaultOptions.TableName).Pluck("id", &done).Error; err != nil {
		return 0, fmt.Errorf("list migrations: %w", err)
	}
	known := make(map[string]bool, len(done))
	for _, id := range done {
		known[id] = true
	}
	missing := 0
	for _, m := range migrations() {
		if !known[m.ID] {
			missing++
		}
	}
	return missing, nil
}

// Clock returns the time of the database server's clock. SQLite has none of its
// own: it is ErrNotFound.
func (tx *Tx) Clock(ctx context.Context) (time.Time, error) {
	if !tx.mysql {
		return time.Time{}, fmt.Errorf("clock of the database: %w", ErrNotFound)
	}
	var micros int64
	err := tx.db.WithContext(ctx).Raw("SELECT CAST(UNIX_TIMESTAMP(SYSDATE(6)) * 1000000 AS SIGNED)").Scan(&micros).Error
	if err != nil {
		return time.Time{}, fmt.Errorf("clock of the database: %w", err)
	}
	return time.UnixMicro(micros).UTC(), nil
}

// Broken reports whether err, of a whole Update or View, comes from the storage
// and not from its caller, who may have given up or found nothing.
func Broken(err error) bool {
	return Transient(err) && !errors.Is(err, context.Canceled)
}
