package main

import (
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// mayImport says which of our packages each room may import: docs/design.md,
// "The packages". A trailing /… stands for a package and all below it.
var mayImport = map[string][]string{
	"wordfilter":           {"wordfilter/…"},
	"drawproof":            {},
	"store":                {},
	"store/storetest":      {"store"},
	"config":               {},
	"ledger":               {"store"},
	"scheduler":            {"store"},
	"bot":                  {"store"},
	"bot/bottest":          {"bot", "store", "store/storetest"},
	"bot/wecom":            {"bot", "store"},
	"web/style":            {"store"},
	"web/frame":            {"store", "web/style"},
	"web/console":          {"store", "web/frame", "web/style"},
	"web/portal":           {"store", "web/frame", "web/style"},
	"web/api":              {"store", "web/frame"},
	"watch":                {"bot", "scheduler", "store"},
	"handlers":             {"bot", "store", "scheduler", "wordfilter", "web/…"},
	"simulator":            {"bot/wecom"},
	"demo":                 {"store", "ledger", "simulator"},
	"handlers/status":      {"handlers", "scheduler", "store", "watch", "web/…"},
	"main":                 {"…"},
	"bench/…":              {"…"},
	"handlers/<a feature>": {"handlers", "bot", "drawproof", "ledger", "store", "scheduler", "wordfilter", "web/…"},

	// for tests alone
	"web/console/consoletest": {"store", "web/console"},
	"web/browsertest":         {},
}

// onlyIn says which packages alone may import a library.
var onlyIn = map[string][]string{
	"gorm.io/":                            {"store"},
	"github.com/glebarez/":                {"store"},
	"github.com/go-gormigrate/":           {"store"},
	"github.com/go-sql-driver/mysql":      {"store", "store/storetest"},
	"github.com/silenceper/wechat":        {"bot/wecom"},
	"github.com/ArtisanCloud/PowerWeChat": {"bot/wecom"},
	"github.com/robfig/cron":              {"scheduler"},
	"github.com/prometheus/":              {"watch"},
	"github.com/alecthomas/kong":          {"main"},
	"github.com/chromedp/":                {"web/browsertest"},
	"github.com/goccy/go-yaml":            {"config", "web/api", "main"}, // main: a test that reads docs/alerts.yml
}

// A source is one Go file of the project.
type source struct {
	path    string // from the project's root
	pkg     string // the room it is in; "main" for the root
	test    bool
	imports []string
	text    string
}

func sources(t *testing.T) []source {
	t.Helper()
	var list []source
	err := filepath.WalkDir(".", func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() {
			_, ownModule := os.Stat(filepath.Join(path, "go.mod"))
			if path != "." && (strings.HasPrefix(d.Name(), ".") || d.Name() == "testdata" || ownModule == nil) {
				return filepath.SkipDir
			}
			return nil
		}
		if !strings.HasSuffix(path, ".go") {
			return nil
		}
		text, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		file, err := parser.ParseFile(token.NewFileSet(), path, text, parser.ImportsOnly)
		if err != nil {
			return err
		}
		s := source{path: path, pkg: filepath.ToSlash(filepath.Dir(path)), test: strings.HasSuffix(path, "_test.go"), text: string(text)}
		if s.pkg == "." {
			s.pkg = "main"
		}
		for _, i := range file.Imports {
			name, err := strconv.Unquote(i.Path.Value)
			if err != nil {
				return err
			}
			s.imports = append(s.imports, name)
		}
		list = append(list, s)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return list
}

func TestImportsGoOneWay(t *testing.T) {
	for _, s := range sources(t) {
		allowed, known := allowedImports(s.pkg)
		if !known {
			t.Errorf("%s: package %s is not on the plan: see mayImport", s.path, s.pkg)
			continue
		}
		for _, imported := range s.imports {
			room, ours := strings.CutPrefix(imported, "qunbot/")
			switch {
			case imported == "qunbot":
				t.Errorf("%s imports main", s.path)
			case !ours || s.test || covers(allowed, room):
			default:
				t.Errorf("%s: %s may not import %s", s.path, s.pkg, room)
			}
		}
	}
}

func allowedImports(pkg string) (allowed []string, known bool) {
	if allowed, known := mayImport[pkg]; known {
		return allowed, true
	}
	if feature, ok := strings.CutPrefix(pkg, "handlers/"); ok && !strings.Contains(feature, "/") {
		return mayImport["handlers/<a feature>"], true
	}
	for room, allowed := range mayImport {
		if covers([]string{room}, pkg) {
			return allowed, true
		}
	}
	return nil, false
}

// covers reports whether one of the patterns stands for pkg.
func covers(patterns []string, pkg string) bool {
	return slices.ContainsFunc(patterns, func(p string) bool {
		root, below := strings.CutSuffix(p, "…")
		return p == pkg || below && strings.HasPrefix(pkg+"/", root)
	})
}

func TestLibrariesStayWhereTheyBelong(t *testing.T) {
	for _, s := range sources(t) {
		for _, imported := range s.imports {
			for library, rooms := range onlyIn {
				if strings.HasPrefix(imported, library) && !slices.Contains(rooms, s.pkg) {
					t.Errorf("%s imports %s, which only %v may", s.path, imported, rooms)
				}
			}
		}
	}
}

// The clock and the environment are passed in, so that a test can be at any
// time and anywhere.
func TestClockAndEnvironmentArePassedIn(t *testing.T) {
	for _, s := range sources(t) {
		if s.test || s.pkg == "main" || s.pkg == "store/storetest" || s.pkg == "web/browsertest" || strings.HasPrefix(s.pkg, "bench") {
			continue
		}
		for _, call := range []string{"time.Now(", "time.Since(", "time.Until(", "os.Getenv(", "os.LookupEnv(", "os.Environ("} {
			if strings.Contains(s.text, call) {
				t.Errorf("%s calls %s): only main may", s.path, call)
			}
		}
	}
}
