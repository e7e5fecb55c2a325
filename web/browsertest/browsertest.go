// Package browsertest looks at pages in Chromium, without a window.
//
//	p := browsertest.Start(t).Tab(t, 390, 844, "light")
//	p.Open(address)
//	p.Click("form button.main")
//	p.Wait(`location.pathname === '/console/'`)
//	p.Fits("home")
//
// Without a Chromium in PATH, tests skip and say how to get one; with
// TEST_REQUIRE_ALL=1 they fail instead. Steps and waits fail after a minute.
package browsertest

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/log"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"
)

var shots = flag.String("shots", "", "`folder` for screenshots of the pages; empty takes none")

// NeedShots skips the test unless -shots names a folder.
func NeedShots(t testing.TB) {
	t.Helper()
	if *shots == "" {
		t.Skip("no -shots folder")
	}
}

// patience is how long a step or a condition may take.
const patience = time.Minute

// A Browser is a Chromium with cookies of its own.
type Browser struct {
	ctx context.Context // of its first tab, which stays empty and keeps it open
}

// Start starts a browser that lives until the test ends.
func Start(t testing.TB) *Browser {
	t.Helper()
	if testing.Short() {
		t.Skip("-short leaves the browser tests out")
	}
	path := ""
	for _, name := range []string{"chromium", "chromium-browser", "google-chrome"} {
		if found, err := exec.LookPath(name); err == nil {
			path = found
			break
		}
	}
	if path == "" {
		const missing = "no Chromium in PATH: install it (Debian and Ubuntu: apt install chromium; macOS: brew install chromium) to run the browser tests"
		if os.Getenv("TEST_REQUIRE_ALL") != "" {
			t.Fatal(missing)
		}
		t.Skip(missing)
	}
	options := append(chromedp.DefaultExecAllocatorOptions[:], chromedp.ExecPath(path), chromedp.UserDataDir(t.TempDir()), chromedp.NoSandbox)
	for _, flag := range []string{"disable-gpu", "disable-quic", "no-first-run", "disable-background-networking", "disable-component-update", "disable-sync"} {
		options = append(options, chromedp.Flag(flag, true))
	}
	ctx, stop := chromedp.NewExecAllocator(context.Background(), options...)
	t.Cleanup(stop)
	ctx, closeTab := chromedp.NewContext(ctx)
	t.Cleanup(closeTab)
	if err := chromedp.Do(ctx); err != nil {
		t.Fatal(err)
	}
	return &Browser{ctx}
}

// A Tab shows one page at a time.
type Tab struct {
	t     testing.TB
	ctx   context.Context
	close func()
	width int64

	mu       sync.Mutex
	problems []string
}

// Tab opens an empty tab of a size in CSS pixels until the test ends. Its
// scheme of colours is "light" or "dark".
func (b *Browser) Tab(t testing.TB, width, height int64, scheme string) *Tab {
	t.Helper()
	ctx, closeTab := chromedp.NewContext(b.ctx)
	t.Cleanup(closeTab)
	p := &Tab{t: t, ctx: ctx, close: closeTab, width: width}
	if err := chromedp.Do(ctx); err != nil { // opens the tab, which lives as long as this context
		t.Fatal(err)
	}
	if err := chromedp.Listen(ctx, p.note); err != nil {
		t.Fatal(err)
	}
	p.do(chromedp.EmulateViewport(width, height))
	p.do(chromedp.Func(func(ctx context.Context, target *chromedp.Target) error {
		_, err := cdp.Call(ctx, target, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{
			Features: []*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: scheme}},
		})
		return err
	}))
	return p
}

// note keeps what a developer would see in red or yellow.
func (p *Tab) note(event any) {
	p.mu.Lock()
	defer p.mu.Unlock()
	switch event := event.(type) {
	case *runtime.EventExceptionThrown:
		p.problems = append(p.problems, "exception: "+event.ExceptionDetails.Text)
	case *runtime.EventConsoleAPICalled:
		if event.Type == "error" || event.Type == "warning" {
			p.problems = append(p.problems, fmt.Sprintf("console.%s", event.Type))
		}
	case *log.EventEntryAdded:
		if event.Entry.Level == "error" || event.Entry.Level == "warning" {
			p.problems = append(p.problems, event.Entry.Text+" "+event.Entry.URL)
		}
	}
}

// Close closes the tab before the test ends.
func (p *Tab) Close() { p.close() }

// Open goes to an address and waits until it is loaded.
func (p *Tab) Open(address string) {
	p.t.Helper()
	p.do(chromedp.Navigate(address))
}

// Click waits for the first element of a CSS selector and presses it.
func (p *Tab) Click(selector string) {
	p.t.Helper()
	p.do(chromedp.Click(chromedp.CSS(selector)))
}

// Set waits for a field and makes text what is in it.
func (p *Tab) Set(selector, text string) {
	p.t.Helper()
	p.do(chromedp.SetValue(chromedp.CSS(selector), text))
}

// Type waits for a field and types text behind what is in it. \r is the Enter key.
func (p *Tab) Type(selector, text string) {
	p.t.Helper()
	p.do(chromedp.SendKeys(chromedp.CSS(selector), text))
}

func (p *Tab) do(step chromedp.Action[chromedp.Void]) {
	p.t.Helper()
	ctx, cancel := context.WithTimeout(p.ctx, patience)
	defer cancel()
	if err := chromedp.Do(ctx, step); err != nil {
		p.t.Fatalf("browser step: %v", err)
	}
}

// Wait waits until an expression of JavaScript is true. While the browser goes
// to another page there is nothing to ask, so failures to ask are passed over.
func (p *Tab) Wait(expression string) {
	p.t.Helper()
	ctx, cancel := context.WithTimeout(p.ctx, patience)
	defer cancel()
	again := time.NewTicker(20 * time.Millisecond)
	defer again.Stop()
	for {
		isTrue, err := chromedp.Run(ctx, chromedp.Evaluate[bool](fmt.Sprintf("!!(%s)", expression)))
		if err == nil && isTrue {
			return
		}
		select {
		case <-again.C:
		case <-ctx.Done():
			p.t.Fatalf("waiting for %s: %v\nproblems: %v\nthe page shows\n%s", expression, err, p.Problems(), Eval[string](p, "document.body?.innerText ?? ''"))
		}
	}
}

// Eval returns the value of an expression of JavaScript, which may be a promise.
func Eval[T any](p *Tab, expression string) T {
	p.t.Helper()
	ctx, cancel := context.WithTimeout(p.ctx, patience)
	defer cancel()
	value, err := chromedp.Run(ctx, chromedp.Evaluate[T](expression, chromedp.EvalAwaitPromise))
	if err != nil {
		p.t.Fatalf("%.200s: %v", expression, err)
	}
	return value
}

// Problems returns what the pages have thrown, logged as errors or warnings,
// or failed to load so far.
func (p *Tab) Problems() []string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return append([]string(nil), p.problems...)
}

// Clean fails the test if there are problems.
func (p *Tab) Clean(what string) {
	p.t.Helper()
	if problems := p.Problems(); len(problems) > 0 {
		p.t.Errorf("%s: %s", what, strings.Join(problems, "\n"))
	}
}

// Fits fails the test if the page is wider than the tab, or if what one of the
// panes holds, elements of CSS selectors, is wider than the pane.
func (p *Tab) Fits(what string, panes ...string) {
	p.t.Helper()
	if wide := Eval[int64](p, `document.documentElement.scrollWidth`); wide > p.width {
		p.t.Errorf("%s is %d px wide in a window of %d", what, wide, p.width)
	}
	for _, selector := range panes {
		wide := Eval[[]string](p, fmt.Sprintf(`[...document.querySelectorAll(%q)].filter((e) => e.scrollWidth > e.clientWidth).map((e) => e.outerHTML.slice(0, 90))`, selector))
		if len(wide) > 0 {
			p.t.Errorf("%s has panes that are too narrow for what they hold: %s", what, strings.Join(wide, "\n"))
		}
	}
}

// Tappable fails the test if in a tab narrower than 640 px one of the shown
// elements of a CSS selector is lower than a finger needs: 44 px.
func (p *Tab) Tappable(what, selector string) {
	p.t.Helper()
	if p.width >= 640 {
		return
	}
	small := Eval[[]string](p, fmt.Sprintf(`[...document.querySelectorAll(%q)].filter((e) => e.offsetParent && e.getBoundingClientRect().height < 43.5).map((e) => e.outerHTML.slice(0, 90))`, selector))
	if len(small) > 0 {
		p.t.Errorf("%s has targets below 44 px: %s", what, strings.Join(small, "\n"))
	}
}

// Shoot saves a screenshot of the whole page in the folder of -shots.
func (p *Tab) Shoot(name string) {
	p.t.Helper()
	if *shots == "" {
		return
	}
	ctx, cancel := context.WithTimeout(p.ctx, patience)
	defer cancel()
	png, err := chromedp.Run(ctx, chromedp.FullScreenshot(100))
	if err != nil {
		p.t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(*shots, name+".png"), png, 0o644); err != nil {
		p.t.Fatal(err)
	}
}
