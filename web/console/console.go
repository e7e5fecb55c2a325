package console

import (
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/alexedwards/scs/v2"
	"golang.org/x/time/rate"

	"qunbot/store"
	"qunbot/web/frame"
	"qunbot/web/style"
)

// Prefix is where the console is mounted.
const Prefix = "/console"

//go:embed layout/*.html *.html *.css *.js
var files embed.FS

// Config is what a console is made of.
type Config struct {
	Store     *store.Store
	Pages     []Page           // the features'
	Now       func() time.Time //
	Log       *slog.Logger     //
	PublicURL string           // how browsers reach the site; https makes cookies Secure
	Product   string           // the name above the menu; empty: qunbot
}

// A Console serves the operators' web.
type Console struct {
	Config
	pages    []*page
	mux      *http.ServeMux
	patterns []string // of mux
	sessions *scs.SessionManager
	assets   *frame.Assets
	css, js  string
	logo     string
	visitors *frame.Limiter
	logins   *frame.Limiter
	sparing  *frame.Limiter
	message  *frame.Template // errors, sign-in and what else is one text
	handler  http.Handler
}

// page is a Page with its parsed template.
type page struct {
	Page
	template *frame.Template
	CSS, JS  string // addresses of its own files
}

// New checks the pages and returns the console. Every page that is wrong is
// named in the error.
func New(c Config) (*Console, error) {
	if c.Product == "" {
		c.Product = "qunbot"
	}
	con := &Console{
		Config: c,
		mux:    http.NewServeMux(),
		assets: frame.NewAssets(Prefix + "/static/"),
		// An office shares one address, so this is for floods only.
		visitors: frame.NewLimiter(rate.Limit(20), 100, 10_000),
		sparing:  frame.NewSparing(),
		logins:   frame.NewLimiter(rate.Every(6*time.Second), 10, 10_000),
	}
	con.sessions = frame.Sessions(c.Store, frame.SessionOptions{
		Cookie: "qunbot_console", Path: Prefix, Keep: idle, Secure: con.secure(), Now: c.Now,
		Fail: func(w http.ResponseWriter, r *http.Request, err error) { con.fail(w, r, err) },
	})
	css, _ := files.ReadFile("console.css")
	js, _ := files.ReadFile("console.js")
	con.logo = con.assets.Add("logo.svg", []byte(style.Logo))
	con.css = con.assets.Add("console.css", slices.Concat([]byte(style.CSS), css))
	con.js = con.assets.Add("console.js", js)

	templates := frame.NewTemplates(files, style.Funcs(c.Now, c.Store.Zone()))
	var err error
	if con.message, err = templates.Parse(files, "message.html"); err != nil {
		return nil, fmt.Errorf("console: %w", err)
	}
	var problems []error
	for _, p := range slices.Concat(con.ownPages(), c.Pages, con.ownLast()) {
		if err := con.add(templates, p); err != nil {
			problems = append(problems, fmt.Errorf("console page %s: %w", p.Path, err))
		}
	}
	if err := errors.Join(problems...); err != nil {
		return nil, err
	}
	if err := con.route(); err != nil {
		return nil, fmt.Errorf("console: %w", err)
	}
	return con, nil
}

// Mount makes mux serve the console.
func (c *Console) Mount(mux *http.ServeMux) {
	mux.Handle(Prefix+"/", c.handler)
	mux.Handle(Prefix, http.RedirectHandler(Prefix+"/", http.StatusMovedPermanently))
}

// LoginURL returns the address that lets in whoever has the token.
func LoginURL(publicURL, token string) string {
	return strings.TrimRight(publicURL, "/") + Prefix + "/login/" + token
}

func (c *Console) secure() bool { return strings.HasPrefix(c.PublicURL, "https://") }

// add parses and routes one page.
func (c *Console) add(templates *frame.Templates, p Page) error {
	if p.Template == "" {
		p.Template = "console.html"
	}
	switch {
	case !strings.HasPrefix(p.Path, "/"):
		return errors.New("its path must begin with a slash")
	case p.Title == "":
		return errors.New("it has no title")
	case p.Load == nil:
		return errors.New("it has no Load")
	case p.Group != "" && !slices.Contains([]Group{Daily, Content, Manage}, p.Group):
		return fmt.Errorf("menu group %q is unknown", p.Group)
	case p.Group != "" && strings.Contains(p.Path, "{"):
		return errors.New("it is in the menu, so its path can have no parameters")
	case p.Group == "" && p.Menu != "":
		return fmt.Errorf("it has a word for the menu, %q, and no menu group", p.Menu)
	case !slices.Contains(knownRoles, p.Role) || !slices.Contains(knownRoles, p.Change):
		return fmt.Errorf("role %q or %q is unknown", p.Role, p.Change)
	}
	if p.Menu == "" {
		p.Menu = p.Title
	}
	if p.Icon == "" {
		p.Icon = "log"
	}
	if _, err := style.Icon(p.Icon); err != nil {
		return err
	}
	parsed, err := templates.Parse(p.FS, p.Template)
	if err != nil {
		return err
	}
	one := &page{Page: p, template: parsed}
	if one.CSS, err = c.asset(p.FS, p.Style); err != nil {
		return err
	}
	if one.JS, err = c.asset(p.FS, p.Script); err != nil {
		return err
	}
	path := Prefix + p.Path
	if path == Prefix+"/" {
		path += "{$}"
	}
	if err := c.handle(path, func(w http.ResponseWriter, r *http.Request) { c.serve(w, r, one) }); err != nil {
		return err
	}
	c.pages = append(c.pages, one)
	return nil
}

var knownRoles = []store.Role{"", store.Clerk, store.Analyst, store.Staff, store.Manager, store.Owner}

func (c *Console) asset(from fs.FS, name string) (address string, err error) {
	if name == "" {
		return "", nil
	}
	body, err := fs.ReadFile(from, name)
	if err != nil {
		return "", err
	}
	return c.assets.Add(name, body), nil
}

// Patterns returns what the console serves, as patterns of a mux: whoever
// checks what everybody may reach wants to miss nothing.
func (c *Console) Patterns() []string { return slices.Clone(c.patterns) }

// handle registers a pattern and returns as an error what the mux would panic with.
func (c *Console) handle(pattern string, h http.HandlerFunc) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("%v", p)
		}
	}()
	c.mux.HandleFunc(pattern, h)
	c.patterns = append(c.patterns, pattern)
	return nil
}

// largest returns how many bytes a request may hold.
func (c *Console) largest(r *http.Request) int64 {
	if !strings.HasPrefix(r.Header.Get("Content-Type"), "multipart/form-data") {
		return frame.MaxForm
	}
	for _, p := range c.pages {
		if p.Upload > 0 && Prefix+p.Path == r.URL.Path {
			return p.Upload + frame.MaxForm // the other fields, and what surrounds the file
		}
	}
	return frame.MaxForm
}

// route adds what the frame serves itself, and wraps everything.
func (c *Console) route() error {
	own := map[string]http.HandlerFunc{
		"GET " + Prefix + "/login/{token}":  c.loginPage,
		"POST " + Prefix + "/login/{token}": c.login,
		"POST " + Prefix + "/logout":        c.logout,
		"POST " + Prefix + "/theme":         c.theme,
		Prefix + "/":                        c.noPage,
	}
	for pattern, h := range own {
		if err := c.handle(pattern, h); err != nil {
			return err
		}
	}
	crossOrigin, err := frame.CrossOrigin(c.sessions.LoadAndSave(c.mux), c.PublicURL, http.HandlerFunc(c.foreign))
	if err != nil {
		return err
	}
	inner := frame.Headers(frame.Recover(crossOrigin, c.panicked))
	c.handler = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if c.assets.Serve(w, r) {
			return
		}
		if wait := c.visitors.Wait(frame.Address(r), c.Now()); wait > 0 {
			frame.TooMany(w, wait)
			return
		}
		r.Body = http.MaxBytesReader(w, r.Body, c.largest(r))
		inner.ServeHTTP(w, r)
	})
	return nil
}
