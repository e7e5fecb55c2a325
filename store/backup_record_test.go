package store_test

import (
	"testing"
	"time"

	"qunbot/store"
	"qunbot/store/storetest"
)

func TestLastBackupIsTheLastGoodOne(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.Store) {
		last := func() (at time.Time) {
			update(t, db, func(tx *store.Tx) (err error) {
				at, err = tx.LastBackup(tx.Context())
				return err
			})
			return at
		}
		if got := last(); !got.IsZero() {
			t.Errorf("LastBackup of a new database = %s, want the zero time", got)
		}
		for _, b := range []store.Backup{
			{File: "a", StartedAt: noon.Add(-48 * time.Hour), EndedAt: noon.Add(-47 * time.Hour)},
			{File: "b", StartedAt: noon.Add(-24 * time.Hour), EndedAt: noon.Add(-23 * time.Hour)},
			{File: "c", StartedAt: noon, EndedAt: noon.Add(time.Hour), Problem: "disk full"},
		} {
			update(t, db, func(tx *store.Tx) error { return tx.AddBackup(tx.Context(), b) })
		}
		if got, want := last(), noon.Add(-24*time.Hour); !got.Equal(want) {
			t.Errorf("LastBackup = %s, want %s: a failed attempt is none", got, want)
		}
		update(t, db, func(tx *store.Tx) error {
			list, err := tx.Backups(tx.Context(), 2)
			if len(list) != 2 || list[0].File != "c" || list[1].File != "b" {
				t.Errorf("Backups = %+v, want c and b", list)
			}
			return err
		})
	})
}
