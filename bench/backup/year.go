package main

import (
	"context"
	"database/sql"
	"fmt"
	"os"
	"time"

	"qunbot/store"
)

// makeYear fills an SQLite file. It goes past the store, whose way is one
// check-in at a time.
func makeYear(ctx context.Context, o store.Options, c options) error {
	db, err := store.Open(ctx, o) // makes the tables; its package registers the driver
	if err != nil {
		return err
	}
	if err := db.Close(); err != nil {
		return err
	}
	raw, err := sql.Open("sqlite", "file:"+o.DSN+"?_pragma=journal_mode(OFF)&_pragma=synchronous(OFF)&_pragma=cache_size(-200000)")
	if err != nil {
		return err
	}
	defer raw.Close()
	raw.SetMaxOpenConns(1)
	y := &year{ctx: ctx, db: raw}
	indexes := y.texts("SELECT sql FROM sqlite_master WHERE type = 'index' AND sql IS NOT NULL")
	for _, name := range y.texts("SELECT name FROM sqlite_master WHERE type = 'index' AND sql IS NOT NULL") {
		y.exec("DROP INDEX `" + name + "`") // made again at the end, which is quicker
	}
	y.exec("BEGIN")
	y.exec(`WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < ?)
		INSERT INTO members (id, created_at) SELECT i, ? FROM n`, c.members, stamp(start))
	y.exec("INSERT INTO people (member_id, name) SELECT id, '会员' || id FROM members")
	y.exec("INSERT INTO identities (kind, value, member_id) SELECT 'external', 'wmAAAAAAAAAAAAAAAAAAAAAAAA' || id, id FROM members")
	y.exec(`WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 500)
		INSERT INTO "groups" (id, chat_id, kind, name, mall_id, created_at) SELECT i, 'wrAAAAAAAAAAAAAAAAAAAAAAAAAA' || i, 'customer', '粉丝群' || i, 1, ? FROM n`, stamp(start))
	y.exec("INSERT INTO group_members (group_id, member_id, joined_at) SELECT id % 500 + 1, id, ? FROM members", stamp(start))
	for d := range c.days {
		y.day(d, c.days-d)
	}
	y.spend(c.spent)
	y.exec("INSERT INTO accounts (member_id, balance) SELECT member_id, SUM(points) FROM entries GROUP BY member_id")
	y.exec("COMMIT")
	for _, statement := range indexes {
		y.exec(statement)
	}
	return y.err
}

var start = time.Date(2025, 11, 22, 0, 0, 0, 0, time.UTC)

// stamp writes a time as the store's driver does.
func stamp(t time.Time) string { return t.Format("2006-01-02 15:04:05-07:00") }

// A year runs statements until one fails.
type year struct {
	ctx context.Context
	db  *sql.DB
	err error
}

func (y *year) exec(query string, args ...any) {
	if y.err != nil {
		return
	}
	if _, err := y.db.ExecContext(y.ctx, query, args...); err != nil {
		y.err = fmt.Errorf("%.60s: %w", query, err)
	}
}

func (y *year) texts(query string) (list []string) {
	if y.err != nil {
		return nil
	}
	rows, err := y.db.QueryContext(y.ctx, query)
	if err != nil {
		y.err = err
		return nil
	}
	defer rows.Close()
	for rows.Next() {
		var text string
		if y.err = rows.Scan(&text); y.err != nil {
			return nil
		}
		list = append(list, text)
	}
	y.err = rows.Err()
	return list
}

// day adds the day d of the year, which is left days before its end. Whoever
// checks in does not on the days before and after, so everybody gets 5 points.
func (y *year) day(d, left int) {
	at := start.AddDate(0, 0, d).Add(4 * time.Hour)
	day := at.Format(time.DateOnly)
	y.exec(`INSERT INTO check_ins (member_id, day, streak, group_id, repair_on, at)
		SELECT id, ?, 1, id % 500 + 1, '', ? FROM members WHERE (id + ? * 3) % 10 < 3`, day, stamp(at), d)
	y.exec("INSERT INTO entries (`key`, member_id, mall_id, rule, points, note, at)"+`
		SELECT 'checkin:' || id || ':' || ?, id, 1, 'checkin', 5, '', ? FROM members WHERE (id + ? * 3) % 10 < 3`, day, stamp(at), d)
	y.exec(`INSERT INTO lots (entry_id, member_id, earned, remaining, expires_at)
		SELECT id, member_id, 5, 5, ? FROM entries WHERE id > COALESCE((SELECT MAX(entry_id) FROM lots), 0)`, stamp(at.AddDate(1, 0, 1)))
	if left <= 180 {
		y.exec("INSERT INTO decisions (`key`, endpoint, group_id, member_id, outcome, rule, detail, sent_at, at)"+`
			SELECT 'aibot/helper:CAIQ' || id || ?, 'aibot/helper', id % 500 + 1, id, 'answered', 'checkin 签到', '', ?, ? FROM members WHERE (id + ? * 3) % 10 < 3`,
			day, stamp(at), stamp(at), d)
	}
	if left <= 30 {
		y.exec("INSERT INTO messages (`key`, group_id, member_id, text, sent_at)"+`
			SELECT 'aibot/helper:CAIQ' || id || ?, id % 500 + 1, id, '签到', ? FROM members WHERE (id + ? * 3) % 10 < 3`, day, stamp(at), d)
	}
}

// spend spends the points of n lots, spread over the year.
func (y *year) spend(n int) {
	y.exec("CREATE TEMP TABLE spent AS SELECT id, member_id FROM lots WHERE id % max(1, (SELECT MAX(id) FROM lots) / ?) = 0", n)
	y.exec("INSERT INTO entries (`key`, member_id, mall_id, rule, points, note, at) SELECT 'mall:' || id, member_id, 1, 'mall', -5, '兑换', ? FROM spent",
		stamp(start.AddDate(0, 0, 300)))
	y.exec("INSERT INTO lot_uses (entry_id, lot_id, points) SELECT id, CAST(SUBSTR(`key`, 6) AS INTEGER), 5 FROM entries WHERE id > (SELECT MAX(entry_id) FROM lots)")
	y.exec("UPDATE lots SET remaining = 0 WHERE id IN (SELECT id FROM spent)")
	y.exec("DROP TABLE spent")
}

// makeDatabase makes an empty database on a MySQL server.
func makeDatabase(ctx context.Context, server string) (dsn string, drop func() error, err error) {
	db, err := sql.Open("mysql", server)
	if err != nil {
		return "", nil, err
	}
	name := fmt.Sprintf("qunbot_bench_backup_%d", os.Getpid())
	if _, err := db.ExecContext(ctx, "CREATE DATABASE "+name); err != nil {
		return "", nil, err
	}
	return server + name, func() error {
		defer db.Close()
		_, err := db.ExecContext(context.WithoutCancel(ctx), "DROP DATABASE "+name)
		return err
	}, nil
}
