package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// scanned runs words scan over lines and returns what it writes, line by line.
func scanned(t *testing.T, list string, lines ...string) ([]string, error) {
	t.Helper()
	file := filepath.Join(t.TempDir(), "words.txt")
	if err := os.WriteFile(file, []byte(list), 0o600); err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	err := scanWords(file, strings.NewReader(strings.Join(lines, "\n")), &out)
	return strings.Split(strings.TrimSuffix(out.String(), "\n"), "\n"), err
}

func TestWordsScan(t *testing.T) {
	tests := []struct{ name, line, want string }{
		{"a hit", `{"text":"来刷*單"}`, `{"text":"来刷*單","hits":[{"word":"刷单","start":3,"end":10}]}`},
		{"no hit", `{"text":"几点开门"}`, `{"text":"几点开门","hits":[]}`},
		{"no text in it", `{"text":""}`, `{"text":"","hits":[]}`},
		{"sorted by start", `{"text":"加vx，刷单，骗子"}`,
			`{"text":"加vx，刷单，骗子","hits":[{"word":"加微信","start":0,"end":5},{"word":"刷单","start":8,"end":14},{"word":"骗子","start":17,"end":23}]}`},
		{"one term inside the other", `{"text":"骗子公司"}`,
			`{"text":"骗子公司","hits":[{"word":"骗子公司","start":0,"end":12},{"word":"骗子","start":0,"end":6}]}`},
		{"other fields", `{"id":7,"text":"刷单"}`, `{"text":"刷单","hits":[{"word":"刷单","start":0,"end":6}]}`},
		{"escapes", `{"text":"\u5237\u5355<&>"}`, `{"text":"刷单<&>","hits":[{"word":"刷单","start":0,"end":6}]}`},
		{"half a surrogate pair", `{"text":"\ud83d刷单\udc00"}`, `{"text":"` + "\ufffd刷单\ufffd" + `","hits":[{"word":"刷单","start":3,"end":9}]}`},
		{"invalid bytes", "{\"text\":\"\xe5\x88刷单\xff\"}", `{"text":"` + "\ufffd\ufffd刷单\ufffd" + `","hits":[{"word":"刷单","start":6,"end":12}]}`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, err := scanned(t, "刷单\n加微信 # 联系方式\n骗子\n骗子公司\n", tt.line)
			if err != nil || len(got) != 1 || got[0] != tt.want {
				t.Errorf("words scan of %s:\ngot  %s (%v)\nwant %s", tt.line, got, err, tt.want)
			}
		})
	}
}

// TestWordsScanUnreadable checks that bad lines are answered, the others too,
// and that the command fails in the end.
func TestWordsScanUnreadable(t *testing.T) {
	bad := []string{`{"text":7}`, `{"text":"刷`, `刷单`, `{}`, `null`, `["刷单"]`, "\xff\xfe", `{"text":"刷单"}}`}
	got, err := scanned(t, "刷单\n", append(bad, "", `{"text":"刷单"}`)...)
	if err == nil || !strings.Contains(err.Error(), fmt.Sprint(len(bad))) {
		t.Errorf("error = %v, want one that counts %d lines", err, len(bad))
	}
	if len(got) != len(bad)+1 {
		t.Fatalf("%d lines written, want %d: %q", len(got), len(bad)+1, got)
	}
	for i := range bad {
		var answer struct{ Error string }
		if err := json.Unmarshal([]byte(got[i]), &answer); err != nil || answer.Error == "" {
			t.Errorf("line %q is answered %s, want an error", bad[i], got[i])
		}
	}
	if want := `{"text":"刷单","hits":[{"word":"刷单","start":0,"end":6}]}`; got[len(bad)] != want {
		t.Errorf("the good line is answered %s, want %s", got[len(bad)], want)
	}
}

// TestWordsScanHuge scans lines of a megabyte and more, with nothing but
// emoji, invalid bytes, letters or words in them.
func TestWordsScanHuge(t *testing.T) {
	for name, piece := range map[string]string{
		"ordinary": "今天天气不错，", "emoji": "👨‍👩‍👧🥚", "words": "刷单", "letters": "shuadan", "invalid bytes": "\xe5\x88",
		"zero-width": "\u200b", "digits": "8", "blanks": "刷 ",
	} {
		t.Run(name, func(t *testing.T) {
			text := strings.Repeat(piece, 1<<20/len(piece)) + "，骗子"
			got, err := scanned(t, "刷单\n骗子\n", `{"text":"`+text+`"}`)
			if err != nil || len(got) != 1 {
				t.Fatalf("words scan wrote %d lines, error %v", len(got), err)
			}
			var answer scanLine
			if err := json.Unmarshal([]byte(got[0]), &answer); err != nil {
				t.Fatal(err)
			}
			if len(answer.Hits) == 0 {
				t.Fatal("nothing was found")
			}
			for _, h := range answer.Hits {
				if h.Start < 0 || h.Start >= h.End || h.End > len(answer.Text) {
					t.Fatalf("hit %+v lies outside the text of %d bytes", h, len(answer.Text))
				}
			}
			if last := answer.Hits[len(answer.Hits)-1]; name != "words" && last.End != len(answer.Text) {
				t.Errorf("the last hit is %+v, want the word at the end", last)
			}
		})
	}
}

func TestWordsScanBadList(t *testing.T) {
	if _, err := scanned(t, "刷单\n！！\n"); err == nil || !strings.Contains(err.Error(), "line 2") {
		t.Errorf("error = %v, want one that names line 2", err)
	}
	if err := scanWords(filepath.Join(t.TempDir(), "none.txt"), strings.NewReader(""), new(bytes.Buffer)); err == nil {
		t.Error("a list that is not there is no error")
	}
}
