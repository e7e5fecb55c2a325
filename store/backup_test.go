package store_test

import (
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"qunbot/store"
	"qunbot/store/storetest"
)

// contents returns everything that a database holds, by table, and the schema.
func contents(t *testing.T, o store.Options) map[string][]map[string]string {
	t.Helper()
	raw, err := store.OpenRaw(o)
	if err != nil {
		t.Fatal(err)
	}
	defer raw.Close()
	tables, err := raw.Tables()
	if err != nil {
		t.Fatal(err)
	}
	all := map[string][]map[string]string{}
	for _, name := range append(tables, "migrations") {
		if all[name], err = raw.Contents(name); err != nil {
			t.Fatal(err)
		}
		slices.SortFunc(all[name], func(a, b map[string]string) int { return strings.Compare(fmt.Sprint(a), fmt.Sprint(b)) })
	}
	return all
}

// fill makes a database with some rows in every table.
func fill(t *testing.T, o store.Options) {
	t.Helper()
	db, err := store.Open(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	raw, err := store.OpenRaw(o)
	if err != nil {
		t.Fatal(err)
	}
	defer raw.Close()
	if err := raw.Fill(5); err != nil {
		t.Fatal(err)
	}
	for _, statement := range []string{"INSERT INTO malls (id, name) VALUES (40, 'x')", "DELETE FROM malls WHERE id = 40"} {
		if err := raw.Exec(statement); err != nil {
			t.Fatal(err)
		}
	}
}

func writeBackup(t *testing.T, o store.Options) (path string) {
	t.Helper()
	db, err := store.Open(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	path = filepath.Join(t.TempDir(), "qunbot.backup")
	if _, err := db.WriteBackup(t.Context(), path, store.BackupOptions{Program: "v1", Host: "here", Now: clock}); err != nil {
		t.Fatal(err)
	}
	return path
}

func clock() time.Time { return noon }

// What is backed up from either database comes back in either, whole.
func TestRestoreBringsEverythingBack(t *testing.T) {
	drivers := map[string]func(testing.TB) store.Options{"sqlite": storetest.SQLite, "mysql": storetest.MySQL}
	for from, source := range drivers {
		o := source(t)
		fill(t, o)
		want := contents(t, o)
		path := writeBackup(t, o)
		info, err := os.Stat(path)
		if err != nil {
			t.Fatal(err)
		}
		if info.Mode().Perm() != 0o600 {
			t.Errorf("mode of the backup = %v, want 0600", info.Mode())
		}
		for to, target := range drivers {
			t.Run(from+" to "+to, func(t *testing.T) {
				o := target(t)
				done, err := store.Restore(t.Context(), path, o, store.RestoreOptions{Now: clock})
				if err != nil {
					t.Fatal(err)
				}
				if done.Kept != "" || done.Newer != 0 || done.Driver != from {
					t.Errorf("Restore = %+v, want nothing kept, no newer steps, from %s", done, from)
				}
				got := contents(t, o)
				for _, table := range slices.Sorted(maps.Keys(want)) {
					if !reflect.DeepEqual(got[table], want[table]) {
						t.Errorf("table %s:\ngot  %v\nwant %v", table, got[table], want[table])
					}
				}
				if len(got) != len(want) {
					t.Errorf("%d tables, want %d", len(got), len(want))
				}
				db, err := store.Open(t.Context(), o) // its indexes are there: a key is still unique
				if err != nil {
					t.Fatal(err)
				}
				defer db.Close()
				update(t, db, func(tx *store.Tx) error {
					key := want["entries"][0]["key"]
					_, added, err := tx.AddEntry(tx.Context(), store.Entry{Key: key, MemberID: 99, Rule: "test", Points: 5, At: noon})
					if added {
						t.Errorf("entry %q was added again", key)
					}
					if err != nil {
						return err
					}
					m, err := tx.MallNamed(tx.Context(), "新店")
					if m.ID != 41 {
						t.Errorf("number of a new mall = %d, want 41: fill gave 40 out before", m.ID)
					}
					return err
				})
			})
		}
	}
}

func TestRestoreRefuses(t *testing.T) {
	storetest.EachOptions(t, func(t *testing.T, o store.Options) {
		fill(t, o)
		want := contents(t, o)
		path := writeBackup(t, o)
		again := store.RestoreOptions{Overwrite: true, Now: clock}
		restore := func(path string, o store.Options, r store.RestoreOptions) error {
			_, err := store.Restore(t.Context(), path, o, r)
			return err
		}
		good, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		file := func(text []byte) string {
			path := filepath.Join(t.TempDir(), "file")
			if err := os.WriteFile(path, text, 0o600); err != nil {
				t.Fatal(err)
			}
			return path
		}

		var full *store.NotEmptyError
		if err := restore(path, o, store.RestoreOptions{Now: clock}); !errors.As(err, &full) || full.Members != 5 || full.Entries != 5 {
			t.Errorf("Restore over data = %v, want a NotEmptyError with 5 members and 5 entries", err)
		}
		utc, other := o, o
		utc.Zone, other.Secret = time.UTC, []byte("another secret key")
		middle := bytes.Clone(good)
		middle[len(middle)/2] ^= 1
		for _, tt := range []struct {
			name string
			got  error
			want error
		}{
			{"missing", restore(path+".missing", o, again), fs.ErrNotExist},
			{"empty", restore(file(nil), o, again), store.ErrNoBackup},
			{"something else", restore(file(bytes.Repeat([]byte("PK\x03\x04"), 1000)), o, again), store.ErrNoBackup},
			{"last byte missing", restore(file(good[:len(good)-1]), o, again), store.ErrTruncated},
			{"half of it", restore(file(good[:len(good)/2]), o, again), store.ErrTruncated},
			{"a bit flipped", restore(file(middle), o, again), store.ErrAltered},
			{"another zone", restore(path, utc, again), store.ErrOtherZone},
			{"another key", restore(path, other, again), store.ErrOtherKey},
		} {
			if !errors.Is(tt.got, tt.want) {
				t.Errorf("Restore, %s = %v, want %v", tt.name, tt.got, tt.want)
			}
		}

		db, err := store.Open(t.Context(), o) // as a service has it
		if err != nil {
			t.Fatal(err)
		}
		if err := restore(path, o, again); !errors.Is(err, store.ErrInUse) {
			t.Errorf("Restore while the database is open = %v, want %v", err, store.ErrInUse)
		}
		if err := db.Close(); err != nil {
			t.Fatal(err)
		}
		got := contents(t, o)
		delete(got, "backups") // the backup itself was recorded
		delete(want, "backups")
		if !reflect.DeepEqual(got, want) {
			t.Error("a refused restore changed something")
		}
	})
}

// A restore that is cut off in the middle leaves the old SQLite file; on MySQL
// it leaves a mark, and another restore ends it.
func TestRestoreThatIsCutOff(t *testing.T) {
	storetest.EachOptions(t, func(t *testing.T, o store.Options) {
		fill(t, o)
		path := writeBackup(t, o)
		want := contents(t, o)
		ctx, cancel := context.WithCancel(t.Context())
		_, err := store.Restore(ctx, path, o, store.RestoreOptions{Overwrite: true, Now: clock, Progress: func(table string, _ int64) {
			if table == "entries" {
				cancel()
			}
		}})
		if !errors.Is(err, context.Canceled) {
			t.Fatalf("Restore that is cancelled = %v, want %v", err, context.Canceled)
		}
		db, err := store.Open(t.Context(), o)
		if o.Driver == "sqlite" {
			if err != nil {
				t.Fatal(err)
			}
			db.Close()
			if got := contents(t, o); !reflect.DeepEqual(got, want) {
				t.Errorf("the old database is not what it was: %v", got)
			}
		} else if !errors.Is(err, store.ErrHalfRestored) {
			t.Fatalf("Open of half a restore = %v, want %v", err, store.ErrHalfRestored)
		} else {
			o.AsIs = true
			if _, err := store.Open(t.Context(), o); !errors.Is(err, store.ErrHalfRestored) {
				t.Errorf("Open of half a restore as it is = %v, want %v", err, store.ErrHalfRestored)
			}
			o.AsIs = false
		}
		if _, err := store.Restore(t.Context(), path, o, store.RestoreOptions{Overwrite: true, Now: clock}); err != nil {
			t.Fatal(err)
		}
		got := contents(t, o)
		delete(got, "backups")
		delete(want, "backups")
		if !reflect.DeepEqual(got, want) {
			t.Errorf("after another restore: %v, want %v", got, want)
		}
		if o.Driver == "sqlite" {
			left, err := filepath.Glob(o.DSN + "*")
			if err != nil {
				t.Fatal(err)
			}
			if kept := o.DSN + ".replaced-20261121-040000"; !slices.Equal(left, []string{o.DSN, kept}) {
				t.Errorf("files = %q, want the database and the one it replaced", left)
			}
		}
	})
}

func TestRestoreReplacesADamagedFile(t *testing.T) {
	o := storetest.SQLite(t)
	fill(t, o)
	path := writeBackup(t, o)
	for _, name := range []string{o.DSN, o.DSN + "-wal"} {
		if err := os.WriteFile(name, bytes.Repeat([]byte("garbage "), 1000), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := store.Restore(t.Context(), path, o, store.RestoreOptions{Now: clock}); err == nil {
		t.Error("Restore over a damaged file without Overwrite = nil")
	}
	done, err := store.Restore(t.Context(), path, o, store.RestoreOptions{Overwrite: true, Now: clock})
	if err != nil {
		t.Fatal(err)
	}
	if text, err := os.ReadFile(done.Kept); err != nil || !bytes.HasPrefix(text, []byte("garbage")) {
		t.Errorf("the damaged file is not kept: %v", err)
	}
	if n := len(contents(t, o)["members"]); n != 5 {
		t.Errorf("%d members, want 5", n)
	}
}

// A log that was left without its database is not taken for the new one's.
func TestRestoreMovesAnOrphanedLogAside(t *testing.T) {
	o := storetest.SQLite(t)
	fill(t, o)
	path := writeBackup(t, o)
	db, err := store.Open(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	update(t, db, func(tx *store.Tx) error { // in the log, and not in the file yet
		_, err := tx.MallNamed(tx.Context(), "新店")
		return err
	})
	log, err := os.ReadFile(o.DSN + "-wal")
	if err != nil || len(log) == 0 {
		t.Fatalf("the log has %d bytes, %v", len(log), err)
	}
	db.Close()
	o.DSN = filepath.Join(t.TempDir(), "other.db")
	if err := os.WriteFile(o.DSN+"-wal", log, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := store.Restore(t.Context(), path, o, store.RestoreOptions{Now: clock}); err != nil {
		t.Fatal(err)
	}
	if kept, err := os.ReadFile(o.DSN + ".replaced-20261121-040000-wal"); err != nil || !bytes.Equal(kept, log) {
		t.Errorf("the log is not kept: %v", err)
	}
	if n := len(contents(t, o)["malls"]); n != 5 {
		t.Errorf("%d malls, want 5", n)
	}
}

// Without the old key what it sealed is left out, and can be entered again.
func TestRestoreWithoutTheKey(t *testing.T) {
	o := storetest.SQLite(t)
	fill(t, o)
	path := writeBackup(t, o)
	o.Secret = []byte("another secret key")
	_, err := store.Restore(t.Context(), path, o, store.RestoreOptions{Overwrite: true, DropKeyed: true, Now: clock})
	if err != nil {
		t.Fatal(err)
	}
	got := contents(t, o)
	if len(got["webhooks"]) != 0 || len(got["tokens"]) != 0 || got["groups"][0]["webhook_id"] != "0" || len(got["members"]) != 5 {
		t.Errorf("webhooks %v, tokens %v, groups %v, %d members", got["webhooks"], got["tokens"], got["groups"], len(got["members"]))
	}
}

// A backup of an old schema comes back in today's; one of a schema that is not
// known is refused.
func TestRestoreMigrates(t *testing.T) {
	storetest.EachOptions(t, func(t *testing.T, o store.Options) {
		steps := store.Steps()
		raw, err := store.OpenRaw(o)
		if err != nil {
			t.Fatal(err)
		}
		if err := raw.Migrate(steps[:len(steps)-8]); err != nil {
			t.Fatal(err)
		}
		if err := raw.Fill(3); err != nil {
			t.Fatal(err)
		}
		raw.Close()
		before := contents(t, o)
		old := o
		old.AsIs = true
		db, err := store.Open(t.Context(), old)
		if err != nil {
			t.Fatal(err)
		}
		path := filepath.Join(t.TempDir(), "old.backup")
		if _, err := db.WriteBackup(t.Context(), path, store.BackupOptions{Now: clock}); err != nil {
			t.Fatal(err)
		}
		db.Close()
		after := contents(t, o)
		delete(after, "backups") // where it is recorded
		delete(before, "backups")
		for table := range before {
			if !reflect.DeepEqual(before[table], after[table]) {
				t.Errorf("a backup of an old schema changed %s: %v, was %v", table, after[table], before[table])
			}
		}
		if len(after) != len(before) {
			t.Errorf("a backup of an old schema made tables: %d, were %d", len(after), len(before))
		}
		done, err := store.Restore(t.Context(), path, o, store.RestoreOptions{Overwrite: true, Now: clock})
		if err != nil {
			t.Fatal(err)
		}
		got := contents(t, o)
		if done.Newer != 8 || len(got["migrations"]) != len(steps) {
			t.Errorf("took %d newer steps, %d in all, want 8 and %d", done.Newer, len(got["migrations"]), len(steps))
		}
		delete(before, "migrations")
		for table, rows := range before {
			for _, row := range rows { // which may have more columns now
				if !slices.ContainsFunc(got[table], func(r map[string]string) bool { return contains(r, row) }) {
					t.Errorf("table %s = %v, want %v in it", table, got[table], row)
				}
			}
		}

		raw, err = store.OpenRaw(o)
		if err != nil {
			t.Fatal(err)
		}
		defer raw.Close()
		if err := raw.Exec("INSERT INTO migrations (id) VALUES ('2099-01-01 from the future')"); err != nil {
			t.Fatal(err)
		}
		if _, err := store.Open(t.Context(), o); !errors.Is(err, store.ErrNewer) {
			t.Errorf("Open of a newer schema = %v, want %v", err, store.ErrNewer)
		}
		db, err = store.Open(t.Context(), old)
		if err != nil {
			t.Fatal(err)
		}
		defer db.Close()
		if _, err := db.WriteBackup(t.Context(), path+"2", store.BackupOptions{Now: clock}); !errors.Is(err, store.ErrNewer) {
			t.Errorf("WriteBackup of a newer schema = %v, want %v", err, store.ErrNewer)
		}
	})
}

func TestBackupIsRecorded(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.Store) {
		dir := filepath.Join(t.TempDir(), "backups")
		o := store.BackupOptions{Program: "v1", Host: "here", Now: clock}
		good, err := db.WriteBackup(t.Context(), filepath.Join(dir, "a"), o)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := db.WriteBackup(t.Context(), filepath.Join(dir, "a"), o); !errors.Is(err, fs.ErrExist) {
			t.Errorf("WriteBackup over a file = %v, want %v", err, fs.ErrExist)
		}
		update(t, db, func(tx *store.Tx) error {
			list, err := tx.Backups(tx.Context(), 10)
			if len(list) != 2 || list[0].Problem == "" || list[1].Checksum != good.Checksum || list[1].Bytes == 0 || list[1].Problem != "" {
				t.Errorf("Backups = %+v, want a failure and %+v", list, good)
			}
			return err
		})
		left, err := os.ReadDir(dir)
		if err != nil || len(left) != 1 {
			t.Errorf("files = %v, %v, want the one backup", left, err)
		}
	})
}

// Whatever the bytes are, reading them ends, with the rows that are said to be
// there or with an error that says what is wrong with the file.
func FuzzBackupRecords(f *testing.F) {
	o := storetest.SQLite(f)
	db, err := store.Open(f.Context(), o)
	if err != nil {
		f.Fatal(err)
	}
	defer db.Close()
	path := filepath.Join(f.TempDir(), "seed")
	if _, err := db.WriteBackup(f.Context(), path, store.BackupOptions{Now: clock}); err != nil {
		f.Fatal(err)
	}
	text, err := os.ReadFile(path)
	if err != nil {
		f.Fatal(err)
	}
	zipped := text[bytes.Index(text, []byte("}\n"))+2:]
	zip, err := gzip.NewReader(bytes.NewReader(zipped))
	if err != nil {
		f.Fatal(err)
	}
	zip.Multistream(false)
	records, err := io.ReadAll(zip)
	if err != nil {
		f.Fatal(err)
	}
	if rows, err := store.ReadRecords(records); err != nil || rows == 0 { // the holidays, at least
		f.Fatalf("ReadRecords(a backup) = %d, %v", rows, err)
	}
	f.Add(records)
	f.Add(records[:len(records)/2])
	f.Add([]byte("Z\x00"))
	f.Add([]byte("R"))
	f.Add([]byte("T\xff\xff\xff\xff\xff\xff\xff\xff\x7f"))
	f.Fuzz(func(t *testing.T, records []byte) {
		rows, err := store.ReadRecords(records)
		if err != nil && !errors.Is(err, store.ErrTruncated) && !errors.Is(err, store.ErrAltered) {
			t.Errorf("ReadRecords = %v, want %v or %v", err, store.ErrTruncated, store.ErrAltered)
		}
		if rows > int64(len(records)) {
			t.Errorf("%d rows in %d bytes", rows, len(records))
		}
	})
}
