package draw_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"qunbot/drawproof"
	"qunbot/store"
	"qunbot/store/storetest"
)

// damages are changes of a record that everybody who verifies must notice.
var damages = map[string]func(r *drawproof.Record){
	"changed entrant": func(r *drawproof.Record) { r.Entries[99].Pseudonym = strings.Repeat("0", 32) },
	"dropped entrant": func(r *drawproof.Record) { r.Entries = slices.Delete(r.Entries, 99, 100) },
	"dropped the last": func(r *drawproof.Record) {
		r.Entries = r.Entries[:len(r.Entries)-1]
		r.Count--
	},
	"added entrant": func(r *drawproof.Record) {
		r.Entries = append(r.Entries, drawproof.Entry{Pseudonym: strings.Repeat("ab", 16), Code: "abababab"})
		r.Count++
	},
	"swapped entrants": func(r *drawproof.Record) { r.Entries[0], r.Entries[1] = r.Entries[1], r.Entries[0] },
	"entrant twice":    func(r *drawproof.Record) { r.Entries[1].Pseudonym = r.Entries[0].Pseudonym },
	"other winner":     func(r *drawproof.Record) { r.Winners[0].Entry = r.Winners[0].Entry%r.Count + 1 },
	"dropped winner":   func(r *drawproof.Record) { r.Winners = r.Winners[1:] },
	"other alternate":  func(r *drawproof.Record) { r.Alternates = r.Alternates[1:] },
	"other seed":       func(r *drawproof.Record) { r.Seed = strings.Repeat("0", 64) },
	"not hexadecimal":  func(r *drawproof.Record) { r.Entries[5].Pseudonym = strings.Repeat("G", 32) },
	"other rules":      func(r *drawproof.Record) { r.Rules.Prizes[0].Name = "别的" },
	"other value":      func(r *drawproof.Record) { r.PublicValue = "1" },
	"a reason":         func(r *drawproof.Record) { r.Reason = "手滑" },
	"other protocol":   func(r *drawproof.Record) { r.Protocol = "qunbot-draw-2" },
	"other state":      func(r *drawproof.Record) { r.State = "open" },
}

func damaged(t testing.TB, r drawproof.Record, do func(r *drawproof.Record)) drawproof.Record {
	t.Helper()
	text, err := json.Marshal(r)
	if err != nil {
		t.Fatal(err)
	}
	copied, err := drawproof.Decode(bytes.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	do(&copied)
	return copied
}

// bigRecord is a finished draw with n entrants.
func bigRecord(n int) drawproof.Record {
	rules := drawproof.Rules{Name: "大", Organiser: "南湖天地", Prizes: []drawproof.Prize{{Name: "奖", Count: 1000}}, Conditions: []string{}, Alternates: 1000, Source: drawproof.NoSource}
	seed := drawproof.Seed{9}
	r := drawproof.Record{Protocol: drawproof.Protocol, ID: "AAAAAAAAAA", State: drawproof.Drawn, Rules: rules, Seed: seed.String(),
		Commitment: seed.Commitment().String(), Count: n, Entries: make([]drawproof.Entry, n)}
	chain := rules.Start(r.ID, seed.Commitment())
	for i := range n {
		who := drawproof.PseudonymOf([32]byte{1}, int64(i))
		chain = chain.Next(i+1, who)
		r.Entries[i] = drawproof.Entry{Pseudonym: who.String(), Code: chain.Code()}
	}
	r.Chain = chain.String()
	r.Winners, r.Alternates = rules.Allot(drawproof.Rank(seed, r.ID, chain, "", n, 2000))
	return r
}

// TestRecordVerifies draws 3 prizes among 200 entrants: the record that
// everybody can download verifies, by this program and by the third verifier,
// and with any entrant changed it does not.
func TestRecordVerifies(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.Store) {
		w := newWorld(t, db)
		d := w.fill("/抽奖 新建 大奖 奖品 一等奖 x1 奖品 二等奖 x2 公证 福彩3D 截止 20:00", 200)
		w.advance(9 * time.Hour)
		w.runJob()
		w.say("店长", "/抽奖 公证 1 517")
		if text := w.say("店长", "/抽奖 开奖 大奖"); !strings.Contains(text, "开奖：200 位报名") {
			t.Fatal(text)
		}
		r := w.record(d)
		if err := r.Verify(); err != nil {
			t.Fatal(err)
		}
		if len(r.Entries) != 200 || len(r.Winners) != 3 || len(r.Alternates) != 3 {
			t.Errorf("%d entries, %d winners, %d alternates", len(r.Entries), len(r.Winners), len(r.Alternates))
		}
		script(t, r, true)
		for _, name := range []string{"changed entrant", "dropped entrant", "added entrant", "dropped the last"} {
			bad := damaged(t, r, damages[name])
			if bad.Verify() == nil {
				t.Errorf("%s: it verifies", name)
			}
			script(t, bad, false)
		}
	})
}

// script runs the third verifier.
func script(t *testing.T, r drawproof.Record, right bool) {
	t.Helper()
	python, err := exec.LookPath("python3")
	if err != nil {
		if os.Getenv("TEST_REQUIRE_ALL") != "" {
			t.Fatal("no python3 in PATH")
		}
		return
	}
	text, err := json.Marshal(r)
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "record.json")
	if err := os.WriteFile(path, text, 0o644); err != nil {
		t.Fatal(err)
	}
	if out, err := exec.Command(python, "../../drawproof/testdata/verify.py", path).CombinedOutput(); (err == nil) != right {
		t.Errorf("verify.py: %v %s", err, out)
	}
}

// TestClosingTwice lets two replicas run the job at the same time: the draw is
// closed once, drawn once and announced once each.
func TestClosingTwice(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.Store) {
		w := newWorld(t, db)
		d := w.fill("/抽奖 新建 大奖 奖品 一 x2 截止 20:00", 5)
		w.advance(9 * time.Hour)
		var group sync.WaitGroup
		for range 4 {
			group.Go(func() {
				if err := w.job.Run(context.Background(), w.now()); err != nil {
					t.Error(err)
				}
			})
		}
		group.Wait()
		wins := w.wins(d.ID)
		if len(wins) != 4 {
			t.Errorf("%d places, want 2 winners and 2 alternates", len(wins))
		}
		keys := map[string]int{}
		for _, post := range w.posts {
			keys[strings.Fields(post)[1]]++
		}
		if want := fmt.Sprint(map[string]int{store.Key("draw", d.ID, "closed"): 1, store.Key("draw", d.ID, "drawn"): 1}); fmt.Sprint(keys) != want {
			t.Errorf("announced %v, want %s", keys, want)
		}
		if err := w.record(d).Verify(); err != nil {
			t.Error(err)
		}
	})
}

// TestEntering100AtOnce lets many members enter at the same time, also from
// two engines: numbers have no gaps and the chain holds.
func TestEnteringAtOnce(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.Store) {
		w := newWorld(t, db)
		w.say("店长", "/抽奖 新建 大奖 奖品 一 x2")
		d := w.newest()
		ids := make([]int64, 40)
		for i := range ids {
			w.say(fmt.Sprintf("u%d", i), "你好")
			w.update(func(tx *store.Tx) error {
				m, err := tx.MemberByIdentity(tx.Context(), store.UserID, fmt.Sprintf("u%d", i))
				ids[i] = m.ID
				return err
			})
		}
		page := w.app.Portal[len(w.app.Portal)-1]
		var group sync.WaitGroup
		for i := range ids {
			for range 2 { // everybody twice
				group.Go(func() {
					err := db.Update(context.Background(), func(tx *store.Tx) error {
						_, err := page.Post(tx.Context(), tx, visit(ids[i], d.ID, w.now()))
						return err
					})
					if err != nil && !errors.Is(err, store.ErrExists) {
						t.Error(err)
					}
				})
			}
		}
		group.Wait()
		w.say("店长", "/抽奖 截止 1")
		w.say("店长", "/抽奖 开奖 1")
		r := w.record(d)
		if err := r.Verify(); err != nil || r.Count != len(ids) {
			t.Errorf("%d entries of %d members; Verify() = %v", r.Count, len(ids), err)
		}
	})
}
