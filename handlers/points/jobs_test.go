package points_test

import (
	"context"
	"log/slog"
	"strings"
	"testing"
	"time"

	"qunbot/handlers"
	"qunbot/handlers/points"
	"qunbot/ledger"
	"qunbot/store"
	"qunbot/store/storetest"
)

// The nightly proof tells the staff which rows are wrong, and nobody if none.
func TestVerifyJobTellsTheStaff(t *testing.T) {
	o := storetest.SQLite(t)
	db, err := store.Open(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	at := time.Date(2026, 11, 21, 19, 30, 0, 0, time.UTC)
	err = db.Update(t.Context(), func(tx *store.Tx) error {
		_, _, err := ledger.Award(tx.Context(), tx, ledger.Earning{Member: 7, Rule: "adjust", Base: 5, Key: "k", At: at})
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	told := map[string]string{}
	d := handlers.Deps{Store: db, Now: func() time.Time { return at }, Zone: db.Zone(), Log: slog.New(slog.DiscardHandler)}
	feature := points.New(d, func(_ context.Context, _ *store.Tx, key, text string) error {
		told[key] = text
		return nil
	})
	verify := feature.Jobs[1]
	if verify.Name != "ledger.verify" {
		t.Fatalf("job = %s, want ledger.verify", verify.Name)
	}
	if err := verify.Run(t.Context(), at); err != nil || len(told) != 0 {
		t.Errorf("ledger.verify of good books = %v, told %q", err, told)
	}
	storetest.Exec(t, o, "UPDATE accounts SET balance = 6 WHERE member_id = 7")
	for range 2 {
		if err := verify.Run(t.Context(), at); err == nil || !strings.Contains(err.Error(), "会员 7") {
			t.Errorf("ledger.verify of bad books = %v, want an error that names member 7", err)
		}
	}
	if text := told["ledger:2026-11-22"]; len(told) != 1 || !strings.Contains(text, "会员 7") || !strings.Contains(text, "余额 6") {
		t.Errorf("staff were told %q", told)
	}
}
