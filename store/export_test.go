package store

import (
	"bufio"
	"bytes"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"gorm.io/gorm"
)

// Steps returns the ids of all migrations.
func Steps() []string {
	var ids []string
	for _, m := range migrations() {
		ids = append(ids, m.ID)
	}
	return ids
}

// A Raw is a database as it is, whatever its schema.
type Raw struct{ db *gorm.DB }

// OpenRaw opens a database without migrating it.
func OpenRaw(o Options) (*Raw, error) {
	d, _, err := dialectors(o.Driver, o.DSN)
	if err != nil {
		return nil, err
	}
	db, err := openBare(d)
	return &Raw{db}, err
}

// Close closes the database.
func (r *Raw) Close() error { return closeBare(r.db) }

// Migrate takes the steps with these ids.
func (r *Raw) Migrate(ids []string) error {
	steps, err := stepsOf(ids)
	if err != nil {
		return err
	}
	return runMigrations(r.db, steps)
}

// Exec runs a statement.
func (r *Raw) Exec(query string, args ...any) error {
	_, err := r.tx().exec(context.Background(), query, args...)
	return err
}

func (r *Raw) tx() *Tx { return &Tx{db: r.db, mysql: r.db.Name() == "mysql"} }

// Tables returns the names of all tables.
func (r *Raw) Tables() ([]string, error) { return r.tx().tables(context.Background()) }

// Columns returns the names and kinds of a table's columns.
func (r *Raw) Columns(table string) (names, kinds []string, err error) {
	rows, err := r.db.Statement.ConnPool.QueryContext(context.Background(), "SELECT * FROM "+quote(table)+" WHERE 1 = 0")
	if err != nil {
		return nil, nil, err
	}
	defer rows.Close()
	columns, err := columnsOf(rows)
	for _, c := range columns {
		names, kinds = append(names, c.Name), append(kinds, c.Kind)
	}
	return names, kinds, err
}

// Fill adds n rows to every table, with a value of its kind in each column:
// what they say is the same for the same table, row and column.
func (r *Raw) Fill(n int) error {
	tables, err := r.Tables()
	if err != nil {
		return err
	}
	for _, table := range tables {
		names, kinds, err := r.Columns(table)
		if err != nil {
			return fmt.Errorf("%s: %w", table, err)
		}
		if table == "moderation_rules" { // a step fills it in
			if err := r.Exec("DELETE FROM " + quote(table)); err != nil {
				return fmt.Errorf("%s: %w", table, err)
			}
		}
		for row := 1; row <= n; row++ {
			if err := r.Insert(table, names, kinds, row); err != nil {
				return fmt.Errorf("%s: %w", table, err)
			}
		}
	}
	return nil
}

// Insert adds the row with this number to a table, with a value of its kind in
// each of the columns.
func (r *Raw) Insert(table string, names, kinds []string, row int) error {
	var args []any
	for i, kind := range kinds {
		switch kind {
		case kindInt:
			args = append(args, row) // also true and false, where it is 0 or 1
			if row > 1 && strings.HasPrefix(names[i], "enabled") || row > 100 {
				args[i] = row % 2
			}
		case kindTime:
			args = append(args, time.Date(2026, 11, 21, row%24, i, 59, 123e6, time.UTC))
		case kindText:
			args = append(args, fmt.Sprintf("%c%d", 'é'+rune(i), row))
		case kindBlob:
			args = append(args, []byte{0, 0xff, byte(row), '\''})
		}
	}
	columns := make([]string, len(names))
	for i, n := range names {
		columns[i] = quote(n)
	}
	return r.Exec("INSERT INTO "+quote(table)+" ("+strings.Join(columns, ", ")+") VALUES (?"+strings.Repeat(", ?", len(args)-1)+")", args...)
}

// Contents returns all rows of a table, each as text by column.
func (r *Raw) Contents(table string) ([]map[string]string, error) {
	ctx, tx := context.Background(), r.tx()
	key, err := tx.primaryKey(ctx, table)
	if err != nil {
		return nil, err
	}
	names, _, err := r.Columns(table)
	if err != nil {
		return nil, err
	}
	var list []map[string]string
	err = tx.query(ctx, func(rows *sql.Rows) error {
		values, places := make([]any, len(names)), make([]any, len(names))
		for i := range values {
			places[i] = &values[i]
		}
		if err := rows.Scan(places...); err != nil {
			return err
		}
		row := map[string]string{}
		for i, v := range values {
			switch v := v.(type) {
			case time.Time:
				row[names[i]] = v.UTC().Format(time.RFC3339Nano)
			case []byte:
				row[names[i]] = string(v)
			default:
				row[names[i]] = fmt.Sprint(v)
			}
		}
		list = append(list, row)
		return nil
	}, "SELECT * FROM "+quote(table)+" ORDER BY "+strings.Join(key, ", "))
	return list, err
}

// ReadRecords reads the records of a backup, as they are inside the gzip stream.
func ReadRecords(records []byte) (rows int64, err error) {
	d := &dumpReader{buf: bufio.NewReader(bytes.NewReader(records))}
	for {
		if _, err := d.nextTable(); err != nil {
			if errors.Is(err, io.EOF) {
				err = nil
			}
			return d.rows, err
		}
		for err == nil {
			_, err = d.row()
		}
		if !errors.Is(err, io.EOF) {
			return d.rows, err
		}
		err = nil
	}
}
