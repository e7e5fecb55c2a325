package main

import (
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"qunbot/drawproof"
	"qunbot/store"
)

// A book reads the database behind the program's back, when nothing runs any
// more.
type book struct{ db *sql.DB }

// openBook opens the database of driver and DSN.
func openBook(driver, dsn string) (book, error) {
	db, err := sql.Open(driver, dsn)
	return book{db}, err
}

// counts returns the rows of a query of a text and a number.
func (b book) counts(ctx context.Context, query string) (map[string]int, error) {
	counts := map[string]int{}
	rows, err := b.db.QueryContext(ctx, query)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", query, err)
	}
	defer rows.Close()
	for rows.Next() {
		var name string
		var n int
		if err := rows.Scan(&name, &n); err != nil {
			return nil, err
		}
		counts[name] = n
	}
	return counts, rows.Err()
}

// texts is counts for queries of two texts.
func (b book) texts(ctx context.Context, query string) (map[string]string, error) {
	texts := map[string]string{}
	rows, err := b.db.QueryContext(ctx, query)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", query, err)
	}
	defer rows.Close()
	for rows.Next() {
		var name, text string
		if err := rows.Scan(&name, &text); err != nil {
			return nil, err
		}
		texts[name] = text
	}
	return texts, rows.Err()
}

// waiting returns how many posts are not at their end.
func (b book) waiting(ctx context.Context) (n int, err error) {
	err = b.db.QueryRowContext(ctx, "SELECT COUNT(*) FROM posts WHERE state IN ('queued', 'sending')").Scan(&n)
	return n, err
}

// effects returns how often each message is in the database: by what it was to
// do, and at least by the row that says why it was answered so. torn are the
// messages of which a part is there.
func (b book) effects(ctx context.Context, messages []*message) (effects map[string]int, torn []string, err error) {
	queries := map[string]string{
		"check-ins": "SELECT i.value, COUNT(*) FROM identities i JOIN check_ins c ON c.member_id = i.member_id GROUP BY i.value",
		"awards":    "SELECT i.value, COUNT(*) FROM identities i JOIN entries e ON e.member_id = i.member_id WHERE e.rule = 'checkin' GROUP BY i.value",
		"adjusted":  "SELECT note, COUNT(*) FROM entries WHERE rule = 'adjust' GROUP BY note",
		"posts":     "SELECT text, COUNT(*) FROM posts GROUP BY text",
		"joined": `SELECT CONCAT(d.number, ' ', i.value), COUNT(*) FROM draw_entries e
			JOIN draws d ON d.id = e.draw_id JOIN identities i ON i.member_id = e.member_id GROUP BY CONCAT(d.number, ' ', i.value)`,
		"decisions": "SELECT `key`, COUNT(*) FROM decisions GROUP BY `key`",
	}
	found := map[string]map[string]int{}
	for name, query := range queries {
		if found[name], err = b.counts(ctx, query); err != nil {
			return nil, nil, err
		}
	}
	effects = map[string]int{}
	for _, m := range messages {
		n := found["decisions"][store.Key("aibot/helper", m.ID)]
		switch m.kind {
		case checkIn:
			n = found["check-ins"][m.Who]
			if points := found["awards"][m.Who]; points != n {
				torn = append(torn, fmt.Sprintf("message %s: %d check-ins, but points for %d", m.ID, n, points))
			}
		case award:
			n = found["adjusted"][m.ID]
		case announce:
			n = found["posts"][announcement(m.ID)]
		case join:
			n = found["joined"][fmt.Sprint(m.draw, " ", m.Who)]
		}
		effects[m.ID] = n
	}
	return effects, torn, nil
}

// proveLedger runs the program's own proof of the balances.
func proveLedger(ctx context.Context, program, config string) (string, error) {
	out, err := exec.CommandContext(ctx, program, "ledger", "verify", "--config", config).CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("ledger verify: %w\n%s", err, out)
	}
	return strings.TrimSpace(string(out)), nil
}

// endDraws closes and draws what is still open, fetches the published records
// and has the program compute the winners again. The codes that members were
// told must stand in the records.
func (l *load) endDraws(ctx context.Context, b book, dir string) (proved int, err error) {
	for _, n := range l.draws {
		for _, command := range []string{"截止", "开奖"} { // the calendar may have been quicker
			if _, err := l.insist(ctx, operatorID, fmt.Sprintf("/抽奖 %s %d", command, n)); err != nil {
				return 0, err
			}
		}
	}
	public, err := b.texts(ctx, "SELECT CONCAT(number, ''), public_id FROM draws")
	if err != nil {
		return 0, err
	}
	for _, n := range l.draws {
		id := public[fmt.Sprint(n)]
		status, body, err := l.fleet.do(ctx, "GET", "/draws/"+id+"/record.json", nil)
		if err != nil || status != 200 {
			return proved, fmt.Errorf("record of draw %d: HTTP %d, %w", n, status, err)
		}
		file := filepath.Join(dir, fmt.Sprintf("draw-%d.json", n))
		if err := os.WriteFile(file, body, 0o600); err != nil {
			return proved, err
		}
		if out, err := exec.CommandContext(ctx, l.fleet.program, "draw", "verify", file).CombinedOutput(); err != nil {
			return proved, fmt.Errorf("draw verify: %w\n%s", err, out)
		}
		var r drawproof.Record
		if err := json.Unmarshal(body, &r); err != nil {
			return proved, err
		}
		if r.State != drawproof.Drawn {
			return proved, fmt.Errorf("draw %d is %s", n, r.State)
		}
		if err := l.checkCodes(n, r); err != nil {
			return proved, err
		}
		proved++
	}
	return proved, nil
}

// checkCodes compares what members were told with a draw's record.
func (l *load) checkCodes(draw int64, r drawproof.Record) error {
	for _, m := range l.messages {
		_, told, found := strings.Cut(m.text, "你是第 ")
		if m.kind != join || m.draw != draw || !found {
			continue
		}
		var number int
		var code string
		if _, err := fmt.Sscanf(told, "%d 位，核对码 %8s", &number, &code); err != nil {
			return fmt.Errorf("answer %q: %w", m.text, err)
		}
		if number < 1 || number > len(r.Entries) || r.Entries[number-1].Code != code {
			return fmt.Errorf("draw %d: %s was told number %d and code %s, which the record does not say", draw, m.ID, number, code)
		}
	}
	return nil
}

// drain waits until all posts are at their end, at most for patience.
func drain(ctx context.Context, b book, patience time.Duration) error {
	began := time.Now()
	for {
		n, err := b.waiting(ctx)
		switch {
		case err == nil && n == 0:
			return nil
		case time.Since(began) < patience && ctx.Err() == nil:
		case err != nil:
			return err
		default:
			return fmt.Errorf("%d posts still wait after %s", n, patience)
		}
		time.Sleep(200 * time.Millisecond)
	}
}
