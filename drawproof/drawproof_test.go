package drawproof

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

var update = flag.Bool("update", false, "write the test vectors anew")

// made returns a finished draw with foreseeable secrets.
func made(id string, rules Rules, seed Seed, entries int, value string) Record {
	key := sha256.Sum256([]byte("key of " + id))
	r := Record{
		Protocol: Protocol, ID: id, State: Drawn, Rules: rules, Commitment: seed.Commitment().String(), Entries: []Entry{},
		Count: entries, PublicValue: value, Seed: seed.String(),
	}
	chain := rules.Start(id, seed.Commitment())
	for n := 1; n <= entries; n++ {
		who := PseudonymOf(key, int64(1000+n))
		chain = chain.Next(n, who)
		r.Entries = append(r.Entries, Entry{Pseudonym: who.String(), Code: chain.Code()})
	}
	r.Chain = chain.String()
	r.Winners, r.Alternates = rules.Allot(Rank(seed, id, chain, value, entries, rules.Winners()+rules.Alternates))
	return r
}

// small is the first test vector: 5 entrants, no public value.
func small() Record {
	rules := Rules{
		Name: "周末电影票", Organiser: "南湖天地", Prizes: []Prize{{"电影票", 1, 4500}, {"咖啡券", 2, 1800}}, Conditions: []string{},
		Alternates: 3, Created: "2025-03-01T01:00:00Z", Deadline: "2025-03-01T12:00:00Z", Claim: "开奖后 7 天内到服务台领取", Source: NoSource,
	}
	return made("k3J9xQ2mPa", rules, sha256.Sum256([]byte("seed of the small vector")), 5, "")
}

// largeSeed was searched for: with it a word of the ranking is thrown away, so
// that a verifier that forgets to do so fails on the vector.
const largeSeed = 216_819

// large is the second test vector: 1,000 entrants, three kinds of prizes, a
// public value, and a rejected word.
func large() Record { return largeWith(largeSeed) }

func largeWith(n uint64) Record {
	rules := Rules{
		Name: "店庆大抽奖 🎁", Organiser: "南湖天地", Prizes: []Prize{{"空气炸锅", 1, 29900}, {"米 5kg", 5, 3990}, {"购物券", 20, 1000}},
		Conditions: []string{"积分不少于 100 分", "入群满 7 天"}, Cost: 10, Alternates: 26, Created: "2025-03-01T01:00:00Z",
		Deadline: "2025-03-08T07:00:00Z", Claim: "开奖后 7 天内到服务台领取", Source: "2025-03-10 上证指数收盘",
	}
	return made("Zx81LeQ0dT", rules, sha256.Sum256(binary.BigEndian.AppendUint64([]byte("seed of the large vector"), n)), 1000, "3366.16")
}

func TestVectors(t *testing.T) {
	for name, record := range map[string]Record{"small": small(), "large": large()} {
		path := filepath.Join("testdata", name+".json")
		want, err := json.MarshalIndent(record, "", " ")
		if err != nil {
			t.Fatal(err)
		}
		want = append(want, '\n')
		if *update {
			if err := os.WriteFile(path, want, 0o644); err != nil {
				t.Fatal(err)
			}
		}
		got, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(got, want) {
			t.Errorf("%s is not what the protocol makes of its secrets: the protocol has changed", path)
		}
		read, err := Decode(bytes.NewReader(got))
		if err != nil {
			t.Fatal(err)
		}
		if err := read.Verify(); err != nil {
			t.Errorf("%s: %v", path, err)
		}
	}
}

// rejections returns how many words the ranking of a record throws away.
func rejections(r Record) int {
	seed, _ := ParseSeed(r.Seed)
	chain, _ := ParseHash(r.Chain)
	d := dice{seed: seed, message: text(append(text(text(nil, Protocol+" rank"), r.ID), chain[:]...), r.PublicValue)}
	places := min(r.Rules.Winners()+r.Rules.Alternates, r.Count)
	for i := range places {
		d.below(r.Count - i)
	}
	return int(d.counter) - places
}

func TestLargeVectorRejects(t *testing.T) {
	if n := rejections(large()); n < 1 {
		t.Errorf("the large vector throws %d words away, want at least one", n)
	}
}

// damages are changes that every verifier must notice, and what it must name.
var damages = []struct {
	name  string
	names string
	do    func(r *Record)
}{
	{"changed entrant", "第 3 位", func(r *Record) { r.Entries[2].Pseudonym = "00000000000000000000000000000000" }},
	{"changed code", "第 3 位", func(r *Record) { r.Entries[2].Code = "00000000" }},
	{"dropped first entrant", "第 1 位", func(r *Record) { r.Entries = r.Entries[1:] }},
	{"dropped last entrant", "报名人数", func(r *Record) { r.Entries = r.Entries[:len(r.Entries)-1] }},
	{"dropped last entrant and counted", "校验值", func(r *Record) { r.Entries = r.Entries[:len(r.Entries)-1]; r.Count-- }},
	{"added entrant", "第 6 位", func(r *Record) {
		r.Entries = slices.Insert(r.Entries, 5, Entry{"0123456789abcdef0123456789abcdef", "01234567"})
	}},
	{"added entrant with a right code", "报名人数", func(r *Record) {
		chain, _ := ParseHash(r.Chain)
		who := Pseudonym{1}
		r.Entries = append(r.Entries, Entry{who.String(), chain.Next(len(r.Entries)+1, who).Code()})
	}},
	{"swapped entrants", "第 1 位", func(r *Record) { r.Entries[0], r.Entries[1] = r.Entries[1], r.Entries[0] }},
	{"entrant twice", "同一个代号", func(r *Record) { r.Entries[1].Pseudonym = r.Entries[0].Pseudonym }},
	{"other winner", "中奖名单", func(r *Record) { r.Winners[0].Entry = r.Winners[0].Entry%r.Count + 1 }},
	{"winner of another prize", "中奖名单", func(r *Record) { r.Winners[0].Prize = 2 }},
	{"winner dropped", "中奖名单", func(r *Record) { r.Winners = r.Winners[1:] }},
	{"alternate dropped", "候补", func(r *Record) { r.Alternates = r.Alternates[:len(r.Alternates)-1] }},
	{"seed changed", "种子", func(r *Record) { r.Seed = strings.Repeat("0", 64) }},
	{"commitment changed", "种子", func(r *Record) { r.Commitment = strings.Repeat("0", 64) }},
	{"seed and commitment changed", "第 1 位", func(r *Record) {
		seed := Seed{7}
		r.Seed, r.Commitment = seed.String(), seed.Commitment().String()
	}},
	{"another draw's id", "第 1 位", func(r *Record) { r.ID = "AAAAAAAAAA" }},
	{"prize renamed", "第 1 位", func(r *Record) { r.Rules.Prizes[0].Name = "别的" }},
	{"more prizes", "第 1 位", func(r *Record) { r.Rules.Prizes[0].Count++ }},
	{"value changed", "第 1 位", func(r *Record) { r.Rules.Prizes[0].ValueFen++ }},
	{"condition dropped or added", "第 1 位", func(r *Record) { r.Rules.Conditions = []string{"别的"} }},
	{"deadline changed", "第 1 位", func(r *Record) { r.Rules.Deadline = "2025-03-02T12:00:00Z" }},
	{"organiser changed", "第 1 位", func(r *Record) { r.Rules.Organiser = "别人" }},
	{"reason where there is none", "状态", func(r *Record) { r.Reason = "手滑" }},
	{"protocol", "协议", func(r *Record) { r.Protocol = "qunbot-draw-2" }},
}

// damaged returns a copy of r with one damage.
func damaged(t testing.TB, r Record, do func(r *Record)) Record {
	t.Helper()
	text, err := json.Marshal(r)
	if err != nil {
		t.Fatal(err)
	}
	copied, err := Decode(bytes.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	do(&copied)
	return copied
}

func TestVerifyNamesWhatDiffers(t *testing.T) {
	for _, r := range []Record{small(), large()} {
		for _, d := range damages {
			err := damaged(t, r, d.do).Verify()
			if err == nil || !strings.Contains(err.Error(), d.names) && !(r.Count > 5 && d.name == "added entrant") {
				t.Errorf("%s: %s: Verify() = %v, want an error that names %s", r.Rules.Name, d.name, err, d.names)
			}
		}
	}
	r := damaged(t, large(), func(r *Record) { r.PublicValue = "3366.17" })
	if err := r.Verify(); err == nil {
		t.Error("another public value: Verify() = nil")
	}
}

func TestVerifyKnowsStates(t *testing.T) {
	closed := damaged(t, small(), func(r *Record) { r.State, r.Seed, r.Winners, r.Alternates = Closed, "", []Winner{}, []int{} })
	if err := closed.Verify(); !errors.Is(err, ErrUnfinished) {
		t.Errorf("closed: Verify() = %v, want ErrUnfinished", err)
	}
	cancelled := damaged(t, small(), func(r *Record) { r.State, r.Winners, r.Alternates, r.Reason = Cancelled, []Winner{}, []int{}, "没货" })
	if err := cancelled.Verify(); err != nil {
		t.Errorf("cancelled: Verify() = %v", err)
	}
	cancelled.Entries = cancelled.Entries[1:]
	if err := cancelled.Verify(); err == nil {
		t.Error("cancelled with an entrant less: Verify() = nil")
	}
	if _, err := Decode(strings.NewReader(`{"protocol":"qunbot-draw-1","extra":1}`)); err == nil {
		t.Error("an unknown field: Decode() = nil")
	}
	for _, text := range []string{"", "null null", "[]", "{}x"} {
		if r, err := Decode(strings.NewReader(text)); err == nil && r.Verify() == nil {
			t.Errorf("%q verifies", text)
		}
	}
}

// TestThirdVerifier holds the Python script, written from docs/draw.md, against
// the same records.
func TestThirdVerifier(t *testing.T) {
	python, err := exec.LookPath("python3")
	if err != nil {
		if os.Getenv("TEST_REQUIRE_ALL") != "" {
			t.Fatal("no python3 in PATH")
		}
		t.Skip("no python3 in PATH: install it to run the third verifier")
	}
	run := func(r Record) error {
		text, err := json.Marshal(r)
		if err != nil {
			t.Fatal(err)
		}
		path := filepath.Join(t.TempDir(), "record.json")
		if err := os.WriteFile(path, text, 0o644); err != nil {
			t.Fatal(err)
		}
		if out, err := exec.Command(python, "testdata/verify.py", path).CombinedOutput(); err != nil {
			return fmt.Errorf("%w: %s", err, out)
		}
		return nil
	}
	for _, r := range []Record{small(), large()} {
		if err := run(r); err != nil {
			t.Errorf("%s: %v", r.Rules.Name, err)
		}
	}
	for _, d := range damages {
		if err := run(damaged(t, small(), d.do)); err == nil {
			t.Errorf("%s: the script says OK", d.name)
		}
	}
	cancelled := damaged(t, small(), func(r *Record) { r.State, r.Winners, r.Alternates, r.Reason = Cancelled, []Winner{}, []int{}, "没货" })
	if err := run(cancelled); err != nil {
		t.Errorf("cancelled: %v", err)
	}
}

func TestRankIsAPermutation(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var seed Seed
		copy(seed[:], rapid.SliceOfN(rapid.Byte(), 32, 32).Draw(t, "seed"))
		entries := rapid.IntRange(0, 300).Draw(t, "entries")
		places := rapid.IntRange(0, 400).Draw(t, "places")
		value := rapid.String().Draw(t, "value")
		ranked := Rank(seed, "AAAAAAAAAA", Hash{1}, value, entries, places)
		if len(ranked) != min(entries, places) {
			t.Fatalf("%d of %d entries for %d places", len(ranked), entries, places)
		}
		seen := map[int]bool{}
		for _, n := range ranked {
			if n < 1 || n > entries || seen[n] {
				t.Fatalf("ranking %v of %d entries", ranked, entries)
			}
			seen[n] = true
		}
		// The first places do not depend on how many are asked for.
		if again := Rank(seed, "AAAAAAAAAA", Hash{1}, value, entries, places/2); !slices.Equal(again, ranked[:len(again)]) {
			t.Fatalf("%v is not the beginning of %v", again, ranked)
		}
	})
}

// TestRankIsUniform draws 20,000 times 3 places among 7 entries: all 7·6·5
// rankings must be equally frequent (χ² with 209 degrees of freedom stays
// below 283 but once in 2,000; the seeds are fixed, so this never flickers).
func TestRankIsUniform(t *testing.T) {
	const draws = 20_000
	counts := map[[3]int]int{}
	for i := range draws {
		seed := Seed(sha256.Sum256(binary.BigEndian.AppendUint64(nil, uint64(i))))
		counts[[3]int(Rank(seed, "AAAAAAAAAA", Hash{}, "", 7, 3))]++
	}
	const kinds = 7 * 6 * 5
	expected := float64(draws) / kinds
	chi := float64(kinds-len(counts)) * expected
	for _, n := range counts {
		chi += (float64(n) - expected) * (float64(n) - expected) / expected
	}
	if chi > 283 {
		t.Errorf("χ² = %.1f over %d rankings, want at most 283", chi, kinds)
	}
	t.Logf("χ² = %.1f", chi)
}

func TestPseudonymsAreNotLinked(t *testing.T) {
	a, b := PseudonymOf([32]byte{1}, 42), PseudonymOf([32]byte{2}, 42)
	if a == b || a == PseudonymOf([32]byte{1}, 43) || a != PseudonymOf([32]byte{1}, 42) {
		t.Error("pseudonyms must depend on the draw and the member, and on nothing else")
	}
}

func FuzzDecode(f *testing.F) {
	for _, r := range []Record{small()} {
		text, _ := json.Marshal(r)
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		r, err := Decode(bytes.NewReader(text))
		if err == nil {
			_ = r.Verify() // must not panic
		}
	})
}

// BenchmarkDraw100000 computes the chain of 100,000 entrants and the ranking of
// 1,000 prizes with as many alternates.
func BenchmarkDraw100000(b *testing.B) {
	rules := Rules{Name: "x", Prizes: []Prize{{"p", 1000, 1}}, Source: NoSource, Alternates: 1000}
	seed := Seed{1}
	whos := make([]Pseudonym, 100_000)
	for i := range whos {
		whos[i] = PseudonymOf([32]byte{2}, int64(i))
	}
	for b.Loop() {
		chain := rules.Start("AAAAAAAAAA", seed.Commitment())
		for i, who := range whos {
			chain = chain.Next(i+1, who)
		}
		Rank(seed, "AAAAAAAAAA", chain, "", len(whos), 2000)
	}
}

// BenchmarkVerify100000 verifies the record of such a draw.
func BenchmarkVerify100000(b *testing.B) {
	rules := Rules{Name: "x", Prizes: []Prize{{"p", 1000, 1}}, Source: NoSource, Alternates: 1000}
	r := made("AAAAAAAAAA", rules, Seed{1}, 100_000, "")
	for b.Loop() {
		if err := r.Verify(); err != nil {
			b.Fatal(err)
		}
	}
}

// TestDocumentHoldsVectors keeps the figures of docs/draw.md true.
func TestDocumentHoldsVectors(t *testing.T) {
	page, err := os.ReadFile("../docs/draw.md")
	if err != nil {
		t.Fatal(err)
	}
	s, l := small(), large()
	commitment, _ := ParseHash(s.Commitment)
	zero := s.Rules.Start(s.ID, commitment)
	who, _ := ParsePseudonym(s.Entries[0].Pseudonym)
	for name, figure := range map[string]string{
		"chain of small": s.Chain, "chain of large": l.Chain, "seed": s.Seed, "commitment": s.Commitment,
		"chain_0": zero.String(), "chain_1": zero.Next(1, who).String(),
		"first winners of large": fmt.Sprintf("| %d, %d, %d,", l.Winners[0].Entry, l.Winners[1].Entry, l.Winners[2].Entry),
	} {
		if !strings.Contains(string(page), figure) {
			t.Errorf("docs/draw.md does not hold the %s: %s", name, figure)
		}
	}
}
