package store_test

import (
	"reflect"
	"slices"
	"sync"
	"testing"

	"qunbot/store"
	"qunbot/store/storetest"
)

// A shape is a table's columns and their kinds at some step.
type shape struct{ names, kinds []string }

func shapes(t *testing.T, raw *store.Raw) map[string]shape {
	t.Helper()
	tables, err := raw.Tables()
	if err != nil {
		t.Fatal(err)
	}
	all := map[string]shape{}
	for _, name := range tables {
		names, kinds, err := raw.Columns(name)
		if err != nil {
			t.Fatal(err)
		}
		all[name] = shape{names, kinds}
	}
	return all
}

// Every step of the schema, on data that the step before could hold: rows stay
// as they are, columns only come, and what a program of before the step inserts
// still goes in, so that old and new run side by side while replicas restart.
func TestMigrationsKeepRowsAndOldPrograms(t *testing.T) {
	storetest.EachOptions(t, func(t *testing.T, o store.Options) {
		raw, err := store.OpenRaw(o)
		if err != nil {
			t.Fatal(err)
		}
		defer raw.Close()
		steps := store.Steps()
		was := map[string]shape{}
		old := map[string][]shape{} // all that each table ever was
		rows := map[string]map[string][]map[string]string{}
		for i, id := range steps {
			if err := raw.Migrate(steps[:i+1]); err != nil {
				t.Fatalf("step %s: %v", id, err)
			}
			is := shapes(t, raw)
			for table, before := range was {
				for n, column := range before.names {
					at := slices.Index(is[table].names, column)
					if at < 0 || is[table].kinds[at] != before.kinds[n] {
						t.Errorf("step %s takes %s.%s away or makes it another kind: programs of before it still use it", id, table, column)
					}
				}
			}
			for table, s := range is {
				if reflect.DeepEqual(s, was[table]) {
					continue
				}
				old[table] = append(old[table], s)
				if err := raw.Insert(table, s.names, s.kinds, len(old[table])); err != nil {
					t.Fatalf("after step %s: insert into %s: %v", id, table, err)
				}
				kept, err := raw.Contents(table)
				if err != nil {
					t.Fatal(err)
				}
				rows[id] = map[string][]map[string]string{table: kept}
			}
			was = is
		}
		for id, tables := range rows {
			for table, kept := range tables {
				now, err := raw.Contents(table)
				if err != nil {
					t.Fatal(err)
				}
				for _, row := range kept {
					if !slices.ContainsFunc(now, func(r map[string]string) bool { return contains(r, row) }) {
						t.Errorf("%s of step %s: the row %v is lost or changed: %v", table, id, row, now)
					}
				}
			}
		}
		for table, list := range old {
			for n, s := range list {
				if err := raw.Insert(table, s.names, s.kinds, 50+n); err != nil {
					t.Errorf("a program of before the last steps cannot insert into %s: %v", table, err)
				}
			}
		}
		if got := old["groups"]; len(got) < 2 {
			t.Errorf("groups had the shapes %v, want more than one: webhook_id came later", got)
		}
	})
}

// contains reports whether a row has all that another one has.
func contains(row, part map[string]string) bool {
	for column, value := range part {
		if row[column] != value {
			return false
		}
	}
	return true
}

// A step that was cut off after it changed the schema and before it was noted
// is taken again, and changes nothing.
func TestMigrationGoesOnAfterACrash(t *testing.T) {
	storetest.EachOptions(t, func(t *testing.T, o store.Options) {
		fill(t, o)
		want := contents(t, o)
		storetest.Exec(t, o, "DELETE FROM migrations WHERE id IN ('2026-11-22 groups.webhook_id', '2026-11-22 members', '2026-11-25 backups')")
		db, err := store.Open(t.Context(), o)
		if err != nil {
			t.Fatal(err)
		}
		db.Close()
		if got := contents(t, o); !reflect.DeepEqual(got, want) {
			t.Errorf("after it: %v, want %v", got, want)
		}
	})
}

// Replicas that start at once on an empty database make each table once.
func TestReplicasMigrateOnce(t *testing.T) {
	o := storetest.MySQL(t)
	var replicas sync.WaitGroup
	for range 4 {
		replicas.Go(func() {
			db, err := store.Open(t.Context(), o)
			if err != nil {
				t.Error(err)
				return
			}
			db.Close()
		})
	}
	replicas.Wait()
	if got := len(contents(t, o)["migrations"]); got != len(store.Steps()) {
		t.Errorf("%d steps are noted, want %d", got, len(store.Steps()))
	}
}
