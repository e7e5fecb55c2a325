package wordfilter

import (
	"bufio"
	"encoding/json"
	"os"
	"slices"
	"testing"
)

// A sentence is a line of a labelled set: the words that must be found in it.
type sentence struct {
	Text  string
	Words []string
	Kind  string
}

func readSentences(t testing.TB, path string) []sentence {
	t.Helper()
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	var all []sentence
	for sc := bufio.NewScanner(f); sc.Scan(); {
		var s sentence
		if err := json.Unmarshal(sc.Bytes(), &s); err != nil {
			t.Fatalf("%s: %v", path, err)
		}
		all = append(all, s)
	}
	return all
}

func baseMatcher(t testing.TB) *Matcher {
	t.Helper()
	f, err := os.Open("testdata/moderation-words.txt")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	words, err := ParseWords(f)
	if err != nil {
		t.Fatal(err)
	}
	m, err := New(words, Options{})
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// minRecall is, by kind of disguise, the least share of words to be found.
var minRecall = map[string]float64{
	"plain": 0.97, "zero-width": 0.97, "compat": 0.97, "traditional": 0.97, "repeat": 0.97,
	"spaced": 0.90, "punct": 0.90, "emoji": 0.90, "leet": 0.60, "pinyin": 0.80,
	"homophone": 0.50, "split-char": 0.60, "mixed": 0.65,
}

// maxFlagged is, by kind of harmless sentence, the largest share to be flagged.
var maxFlagged = map[string]float64{"benign-substring": 0.18, "benign-near": 0.05, "benign-plain": 0}

func TestQuality(t *testing.T) {
	for _, path := range []string{"testdata/moderation-dev.jsonl", "testdata/moderation-own.jsonl"} {
		t.Run(path, func(t *testing.T) { testQuality(t, path) })
	}
}

func testQuality(t *testing.T, path string) {
	type score struct{ right, of int }
	scores := make(map[string]*score)
	m := baseMatcher(t)
	for _, s := range readSentences(t, path) {
		sc := scores[s.Kind]
		if sc == nil {
			sc = new(score)
			scores[s.Kind] = sc
		}
		var found []string
		for _, h := range m.Scan(s.Text, nil) {
			found = append(found, h.Word.Text)
		}
		if len(s.Words) == 0 {
			sc.of++
			if len(found) > 0 {
				sc.right++
				t.Logf("%s: %s: flagged %+v", s.Kind, s.Text, m.Scan(s.Text, nil))
			}
			continue
		}
		for _, w := range s.Words {
			sc.of++
			if slices.Contains(found, w) {
				sc.right++
			} else {
				t.Logf("%s: %s: missed %s", s.Kind, s.Text, w)
			}
		}
		for _, w := range found {
			if !slices.Contains(s.Words, w) {
				t.Logf("%s: %s: found %s, too", s.Kind, s.Text, w)
			}
		}
	}
	for kind, s := range scores {
		share := float64(s.right) / float64(s.of)
		t.Logf("%-17s %3d of %3d  %.2f", kind, s.right, s.of, share)
		if limit, harmless := maxFlagged[kind]; harmless && share > limit {
			t.Errorf("%s: %.2f of the sentences flagged, want at most %.2f", kind, share, limit)
		}
		if share < minRecall[kind] {
			t.Errorf("%s: %.2f of the words found, want at least %.2f", kind, share, minRecall[kind])
		}
	}
}
