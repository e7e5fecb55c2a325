package store

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/go-gormigrate/gormigrate/v2"
	"gorm.io/gorm"
)

// ErrNewer is returned for a database or a backup that a newer qunbot made: an
// older program would not know what it does to it.
var ErrNewer = errors.New("made by a newer qunbot")

// ErrHalfRestored is returned for a database on which a restore was cut off.
var ErrHalfRestored = errors.New("the database holds half a restore")

// ErrNoSchema is returned for a database that is to be used as it is and has
// no tables of ours.
var ErrNoSchema = errors.New("the database has no tables of qunbot")

// whole returns an error unless there is a schema, and no restore at work.
func (s *Store) whole(ctx context.Context) error {
	tables := s.write.WithContext(ctx).Migrator()
	if tables.HasTable(restoringTable) {
		return ErrHalfRestored
	}
	if !tables.HasTable("migrations") {
		return ErrNoSchema
	}
	return nil
}

// migrations is the history of the schema, in order. A step that has landed is
// never edited: it holds its own copy of what it makes.
func migrations() []*gormigrate.Migration {
	return slices.Concat(
		migratePeople,
		migrateGroups,
		migrateLedger,
		migrateMessages,
		migrateConsole,
		migrateCheckIn,
		migrateSchedule,
		migrateTokens,
		migrateWebhooks,
		migrateOutbox,
		migrateDraw,
		migrateKeyword,
		migrateNews,
		migrateMonthly,
		migrateModeration,
		migrateKF,
		migrateRichPosts,
		migrateBackups,
		migrateWatch,
		migrateKFLinks,
		migrateReview,
	)
}

// createTable is a step that makes one table. MySQL cannot roll DDL back, so a
// step that was cut off after it made its table finds it and goes on.
func createTable(id string, model any) *gormigrate.Migration {
	return &gormigrate.Migration{ID: id, Migrate: func(db *gorm.DB) error {
		if db.Migrator().HasTable(model) {
			return nil
		}
		if db.Name() == "mysql" {
			// Byte order for every text: the default collation would make
			// "CAIQabc" equal "CAIQABC", and one emoji equal another.
			db = db.Set("gorm:table_options", "ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin")
		}
		return db.Migrator().CreateTable(model)
	}}
}

// migrate brings the schema up to date. On MySQL one replica does it while the
// others wait.
func (s *Store) migrate(ctx context.Context) error {
	return s.write.WithContext(ctx).Connection(func(db *gorm.DB) error {
		db = db.Session(&gorm.Session{}) // without it, statements would share their clauses
		if s.mysql {
			var locked int
			for try := 0; locked != 1 && try < 12; try++ { // each shorter than the connection's read time-out
				if err := db.Raw("SELECT GET_LOCK(" + migrateLock + ", 10)").Scan(&locked).Error; err != nil {
					return fmt.Errorf("migrate database: wait for the other replica: %w", err)
				}
			}
			if locked != 1 {
				return errors.New("migrate database: another replica has been migrating or restoring for two minutes")
			}
			defer db.Exec("DO RELEASE_LOCK(" + migrateLock + ")")
			if db.Migrator().HasTable(restoringTable) {
				return ErrHalfRestored
			}
		}
		return runMigrations(db, migrations())
	})
}

// migrateLock is the SQL of the name under which MySQL lets one process of a
// database at its schema; names are of the whole server.
const migrateLock = "CONCAT('qunbot ', SHA1(DATABASE()))"

// runMigrations takes the steps that the database has not taken. It returns
// ErrNewer if it has taken others.
func runMigrations(db *gorm.DB, steps []*gormigrate.Migration) error {
	options := *gormigrate.DefaultOptions
	options.UseTransaction = db.Name() != "mysql"
	options.ValidateUnknownMigrations = true
	err := gormigrate.New(db, &options, steps).Migrate()
	if errors.Is(err, gormigrate.ErrUnknownPastMigration) {
		return ErrNewer
	}
	if err != nil {
		return fmt.Errorf("migrate database: %w", err)
	}
	return nil
}
