package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/alecthomas/kong"

	"qunbot/config"
)

// What the units start is a command of this program with flags that it has,
// what they set are settings, and systemd understands the rest.
func TestUnitsStartTheProgram(t *testing.T) {
	units, err := filepath.Glob("deploy/*.service")
	if err != nil || len(units) < 2 {
		t.Fatalf("units %q, %v", units, err)
	}
	var variables []string
	for _, s := range config.Settings() {
		variables = append(variables, s.Env)
	}
	dir := t.TempDir()
	var copies []string
	for _, unit := range units {
		text, err := os.ReadFile(unit)
		if err != nil {
			t.Fatal(err)
		}
		start := regexp.MustCompile(`(?m)^ExecStart=/usr/local/bin/qunbot (.+)$`).FindSubmatch(text)
		if start == nil {
			t.Errorf("%s does not start /usr/local/bin/qunbot", unit)
			continue
		}
		var c commands
		parser, err := kong.New(&c)
		if err != nil {
			t.Fatal(err)
		}
		if k, err := parser.Parse(strings.Fields(string(start[1]))); err != nil || k.Command() != "serve" {
			t.Errorf("%s starts %q: %v", unit, start[1], err)
		}
		for _, name := range regexp.MustCompile(`\bQUNBOT_[A-Z_]+`).FindAllString(string(text), -1) {
			if !slices.Contains(variables, name) {
				t.Errorf("%s sets %s, which is no setting", unit, name)
			}
		}
		// systemd-analyze wants the program and the user to be there.
		there := strings.NewReplacer("/usr/local/bin/qunbot", "/bin/true", "User=qunbot", "User=root", "Group=qunbot", "Group=root").Replace(string(text))
		name := filepath.Join(dir, strings.Replace(filepath.Base(unit), "@", "@1", 1))
		if err := os.WriteFile(name, []byte(there), 0o600); err != nil {
			t.Fatal(err)
		}
		copies = append(copies, name)
	}
	analyze, err := exec.LookPath("systemd-analyze")
	if err != nil {
		t.Log("no systemd-analyze: what systemd thinks of the units is not checked")
		return
	}
	out, err := exec.CommandContext(t.Context(), analyze, append([]string{"verify", "--man=no"}, copies...)...).CombinedOutput()
	for _, name := range copies {
		if base := filepath.Base(name); err != nil || strings.Contains(string(out), base) {
			t.Errorf("systemd-analyze verify %s: %v\n%s", base, err, out)
		}
	}
}

// The tests that docs/security.md names as proofs exist.
func TestSecurityPageNamesRealTests(t *testing.T) {
	page, err := os.ReadFile("docs/security.md")
	if err != nil {
		t.Fatal(err)
	}
	var all strings.Builder
	for _, s := range sources(t) {
		if s.test {
			all.WriteString(s.text)
		}
	}
	names := regexp.MustCompile("`((?:Test|Fuzz)[A-Za-z0-9]+)`").FindAllSubmatch(page, -1)
	if len(names) < 30 {
		t.Errorf("the page names %d tests", len(names))
	}
	for _, name := range names {
		if !strings.Contains(all.String(), "func "+string(name[1])+"(") {
			t.Errorf("docs/security.md names %s, which does not exist", name[1])
		}
	}
}

// Settings that docs/deploy.md and docs/security.md speak of exist.
func TestPagesNameRealSettings(t *testing.T) {
	var paths []string
	for _, s := range config.Settings() {
		paths = append(paths, s.Path)
	}
	for _, page := range []string{"docs/deploy.md", "docs/security.md"} {
		text, err := os.ReadFile(page)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range regexp.MustCompile("`((?:wecom|tls|database|api|news)\\.[a-z_.]+|trusted_proxies|console_listen|public_url|secret_key_file)(?::[^`]*)?`").FindAllSubmatch(text, -1) {
			if !slices.Contains(paths, string(m[1])) {
				t.Errorf("%s speaks of the setting %s, which does not exist", page, m[1])
			}
		}
	}
}
