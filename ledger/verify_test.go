package ledger_test

import (
	"strings"
	"testing"

	"qunbot/ledger"
	"qunbot/store"
	"qunbot/store/storetest"
)

// Each statement breaks the books in one way, and Verify names what it broke.
func TestVerifyNamesWhatIsWrong(t *testing.T) {
	tests := []struct {
		name, statement string
		want            string // in the one problem; several by |
	}{
		{"balance moved", "UPDATE accounts SET balance = balance + 1 WHERE member_id = 7", "会员 7 的分录合计 35 分，批次合计 35 分，余额 36 分"},
		{"account gone", "DELETE FROM accounts WHERE member_id = 7", "会员 7 的分录合计 35 分，批次合计 35 分，余额 0 分"},
		{"entry moved", "UPDATE entries SET points = points + 3 WHERE `key` = 'a'", "分录 1（会员 7，a）是 33 分，批次里却是 30 分|会员 7 的分录合计 38"},
		{"entry gone", "DELETE FROM entries WHERE id = 2", "分录 2，但没有这笔分录|没有 draw:3:7 这笔支出|会员 7 的分录合计 55|报名，却有 0 笔"},
		{"lot moved", "UPDATE lots SET remaining = remaining - 1 WHERE id = 1", "批次 1（会员 7）得 30 分|批次合计 34"},
		{"lot gone", "DELETE FROM lots WHERE id = 1", "分录 1（会员 7，a）是 30 分|指向批次 1，但没有|批次合计"},
		{"lot of another member", "UPDATE lots SET member_id = 8 WHERE id = 1", "它的批次却是会员 8 的|会员 7|会员 8"},
		{"use moved", "UPDATE lot_uses SET points = points - 1 WHERE entry_id = 2", "分录 2（会员 7，draw:3:7）是 -20 分|批次 1（会员 7）得 30 分"},
		{"use gone", "DELETE FROM lot_uses WHERE entry_id = 2", "分录 2（会员 7，draw:3:7）是 -20 分，批次里却是 0 分|批次 1"},
		{"check-in gone", "DELETE FROM check_ins WHERE day = '2026-11-21'", "给会员 7 记了 2026-11-21 的签到，但那天没有签到"},
		{"check-in not booked", "INSERT INTO check_ins (member_id, day, streak, group_id, repair_on, at) VALUES (8, '2026-11-21', 1, 1, '', '2026-11-21 04:00:00')", "会员 8 在 2026-11-21 签到了，但没有记积分"},
		{"key of a check-in changed", "UPDATE entries SET `key` = 'checkin:8:2026-11-21' WHERE rule = 'checkin'", "键 checkin:8:2026-11-21 却不是|会员 7 在 2026-11-21 签到了，但没有记积分"},
		{"entered without paying", "INSERT INTO draw_entries (draw_id, number, member_id, pseudonym, code, at) VALUES (3, 2, 9, 'x', 'y', '2026-11-21 04:00:00')", "抽奖 3 有 2 人报名，却有 1 笔扣分"},
		{"returned and never spent", "UPDATE entries SET `key` = 'return:draw%3A4%3A7' WHERE `key` = 'return:draw%3A3%3A7'", "没有 draw:4:7 这笔支出"},
	}
	storetest.EachOptions(t, func(t *testing.T, o store.Options) {
		db, err := store.Open(t.Context(), o)
		if err != nil {
			t.Fatal(err)
		}
		defer db.Close()
		keep(t, o, db)
		verify(t, db)
		for _, tt := range tests {
			storetest.Exec(t, o, tt.statement)
			_, problems, err := ledger.Verify(t.Context(), db)
			wants := strings.Split(tt.want, "|")
			if err != nil || len(problems) != len(wants) {
				t.Errorf("%s: Verify = %q, %v, want %d problems", tt.name, problems, err, len(wants))
			}
			for i, want := range wants[:min(len(wants), len(problems))] {
				if !strings.Contains(problems[i], want) {
					t.Errorf("%s: problem %d = %q, want %q in it", tt.name, i, problems[i], want)
				}
			}
			reset(t, o)
		}
		verify(t, db)
	})
}

var proved = []string{"accounts", "entries", "lots", "lot_uses", "check_ins", "draw_entries"}

// keep books a little of everything for one member, and keeps a copy.
func keep(t *testing.T, o store.Options, db *store.Store) {
	award(t, db, 30, noon, "a") // entry 1, lot 1
	storetest.Exec(t, o, "INSERT INTO draws (id, public_id, mall_id, number, cost) VALUES (3, 'p', 1, 1, 20)")
	storetest.Exec(t, o, "INSERT INTO draw_entries (draw_id, number, member_id, pseudonym, code, at) VALUES (3, 1, 7, 'x', 'y', '2026-11-21 04:00:00')")
	update(t, db, func(tx *store.Tx) error { // entry 2
		_, err := ledger.Spend(tx.Context(), tx, ledger.Spending{Member: member, Rule: "draw", Points: 20, Key: "draw:3:7", At: noon})
		return err
	})
	update(t, db, func(tx *store.Tx) error { // entry 3
		_, err := ledger.Return(tx.Context(), tx, "draw:3:7", "", noon)
		return err
	})
	if _, err := spend(t, db, 5, noon, "b"); err != nil { // entry 4
		t.Fatal(err)
	}
	update(t, db, func(tx *store.Tx) error { // entry 5, lot 2
		if _, err := tx.AddCheckIn(tx.Context(), store.CheckIn{MemberID: member, Day: "2026-11-21", Streak: 1, At: noon}); err != nil {
			return err
		}
		_, _, err := ledger.Award(tx.Context(), tx, ledger.Earning{Member: member, Rule: "checkin", Base: 10, Key: "checkin:7:2026-11-21", At: noon})
		return err
	})
	for _, table := range proved {
		storetest.Exec(t, o, "CREATE TABLE kept_"+table+" AS SELECT * FROM "+table)
	}
}

func reset(t *testing.T, o store.Options) {
	for _, table := range proved {
		storetest.Exec(t, o, "DELETE FROM "+table)
		storetest.Exec(t, o, "INSERT INTO "+table+" SELECT * FROM kept_"+table)
	}
}

// More rows than one piece, with the ends of pieces in the middle of things.
func TestVerifyGoesThroughEverything(t *testing.T) {
	if testing.Short() {
		t.Skip("11,000 entries")
	}
	o := storetest.SQLite(t)
	db, err := store.Open(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	for thousand := range 11 {
		update(t, db, func(tx *store.Tx) error {
			for n := range 1000 {
				_, _, err := ledger.Award(tx.Context(), tx, ledger.Earning{Member: int64(n%70 + 1), Rule: "test", Base: 5, Key: store.Key(thousand, n), At: noon})
				if err != nil {
					return err
				}
			}
			return nil
		})
	}
	verify(t, db)
	for _, id := range []int{1, 4999, 5000, 5001, 10000, 10001, 11000} {
		storetest.Exec(t, o, "UPDATE lots SET remaining = remaining - 1 WHERE id = ?", id)
	}
	storetest.Exec(t, o, "DELETE FROM lots WHERE id IN (5000, 10000, 11000)")
	accounts, problems, err := ledger.Verify(t.Context(), db)
	// 3 entries without their lot, 4 lots that are wrong, and their 3 members.
	if err != nil || accounts != 70 || len(problems) != 10 {
		t.Errorf("Verify = %d accounts, %d problems %q, %v; want 70 and 10", accounts, len(problems), problems, err)
	}
}
