package portal

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

// Prefix is where the members' pages are mounted.
const Prefix = "/m"

//go:embed layout/*.html *.html *.css *.js
var files embed.FS

// Config is what a portal is made of.
type Config struct {
	Store      *store.Store
	Pages      []Page           // members' pages, below /m
	Public     []Page           // pages at their own path that need no sign-in
	Identifier Identifier       // nil: members cannot sign in, and a page says so
	Secret     []byte           // signs the links of groups, see [GroupLink]
	Now        func() time.Time //
	Log        *slog.Logger     //
	PublicURL  string           // how browsers reach the site; https makes cookies Secure
}

// A Portal serves the members' web and the public pages.
type Portal struct {
	Config
	pages    []*page // the members'
	bar      []barItem
	member   *http.ServeMux
	public   *http.ServeMux
	patterns []string // of the public pages
	members  []string // patterns of member
	sessions *scs.SessionManager
	assets   *frame.Assets
	css, js  string
	logo     string
	visitors *frame.Limiter
	signIns  *frame.Limiter
	sparing  *frame.Limiter
	message  *frame.Template
	home     *frame.Template
	handlers struct{ member, public http.Handler }
}

// page is a Page with its parsed template.
type page struct {
	Page
	public   bool
	template *frame.Template
	CSS, JS  string // addresses of its own files
}

type barItem struct{ Path, Title, Icon string }

// New checks the pages and returns the portal. Every page that is wrong is
// named in the error.
func New(c Config) (*Portal, error) {
	p := &Portal{
		Config: c,
		member: http.NewServeMux(),
		public: http.NewServeMux(),
		assets: frame.NewAssets(Prefix + "/static/"),
		bar:    []barItem{{Prefix + "/", "首页", "home"}},
		// A mall's guests share one address on its Wi-Fi, so this is for floods only.
		visitors: frame.NewLimiter(rate.Limit(20), 100, 10_000),
		// Each costs a call to the platform, which allows the corp 10,000 a minute.
		sparing: frame.NewSparing(),
		signIns: frame.NewLimiter(rate.Limit(5), 60, 10_000),
	}
	p.sessions = frame.Sessions(c.Store, frame.SessionOptions{
		Cookie: "qunbot_member", Path: Prefix, Keep: keep, Secure: p.secure(), Now: c.Now,
		Fail: func(w http.ResponseWriter, r *http.Request, err error) { p.fail(w, r, err) },
	})
	css, _ := files.ReadFile("portal.css")
	js, _ := files.ReadFile("portal.js")
	p.css = p.assets.Add("portal.css", slices.Concat([]byte(style.CSS), css))
	p.js = p.assets.Add("portal.js", js)
	p.logo = p.assets.Add("logo.svg", []byte(style.Logo))

	funcs := style.Funcs(c.Now, c.Store.Zone())
	funcs["count"] = countOf
	templates := frame.NewTemplates(files, funcs)
	var err error
	if p.message, err = templates.Parse(files, "message.html"); err != nil {
		return nil, fmt.Errorf("portal: %w", err)
	}
	if p.home, err = templates.Parse(files, "home.html"); err != nil {
		return nil, fmt.Errorf("portal: %w", err)
	}
	var problems []error
	for _, page := range c.Pages {
		if err := p.add(templates, page, false); err != nil {
			problems = append(problems, fmt.Errorf("member page %s: %w", page.Path, err))
		}
	}
	for _, page := range c.Public {
		if err := p.add(templates, page, true); err != nil {
			problems = append(problems, fmt.Errorf("public page %s: %w", page.Path, err))
		}
	}
	if len(p.bar) > 5 {
		problems = append(problems, fmt.Errorf("member pages: %d are in the bar, at most 4 may be", len(p.bar)-1))
	}
	if err := errors.Join(problems...); err != nil {
		return nil, err
	}
	if err := p.route(); err != nil {
		return nil, fmt.Errorf("portal: %w", err)
	}
	return p, nil
}

// Mount makes mux serve the portal.
func (p *Portal) Mount(mux *http.ServeMux) {
	mux.Handle(Prefix+"/", p.handlers.member)
	mux.Handle(Prefix, http.RedirectHandler(Prefix+"/", http.StatusMovedPermanently))
	for _, pattern := range p.patterns {
		mux.Handle(pattern, p.handlers.public)
	}
}

func (p *Portal) secure() bool { return strings.HasPrefix(p.PublicURL, "https://") }

func (p *Portal) base() string { return strings.TrimRight(p.PublicURL, "/") }

// add parses and routes one page.
func (p *Portal) add(templates *frame.Templates, given Page, public bool) error {
	if given.Template == "" {
		given.Template = "portal.html"
	}
	switch {
	case !strings.HasPrefix(given.Path, "/") || given.Path == "/":
		return errors.New("its path must begin with a slash and name something")
	case given.Title == "":
		return errors.New("it has no title")
	case given.Load == nil:
		return errors.New("it has no Load")
	case public && (given.Post != nil || given.Card != nil || given.Menu):
		return errors.New("a public page knows no member: it has no Post, no Card and no place in the bar")
	case public && (given.Path == Prefix || strings.HasPrefix(given.Path, Prefix+"/")):
		return errors.New("a public page cannot be below " + Prefix)
	case given.Menu && strings.Contains(given.Path, "{"):
		return errors.New("it is in the bar, so its path can have no parameters")
	}
	if given.Icon == "" {
		given.Icon = "star"
	}
	if _, err := style.Icon(given.Icon); err != nil {
		return err
	}
	parsed, err := templates.Parse(given.FS, given.Template)
	if err != nil {
		return err
	}
	one := &page{Page: given, public: public, template: parsed}
	if one.CSS, err = p.asset(given.FS, given.Style); err != nil {
		return err
	}
	if one.JS, err = p.asset(given.FS, given.Script); err != nil {
		return err
	}
	if public {
		p.patterns = append(p.patterns, given.Path)
		return handle(p.public, given.Path, func(w http.ResponseWriter, r *http.Request) { p.servePublic(w, r, one) })
	}
	if given.Menu {
		p.bar = append(p.bar, barItem{Prefix + given.Path, given.Title, given.Icon})
	}
	p.pages = append(p.pages, one)
	return p.handle(Prefix+given.Path, func(w http.ResponseWriter, r *http.Request) { p.serve(w, r, one) })
}

func (p *Portal) asset(from fs.FS, name string) (address string, err error) {
	if name == "" {
		return "", nil
	}
	body, err := fs.ReadFile(from, name)
	if err != nil {
		return "", err
	}
	return p.assets.Add(name, body), nil
}

// Patterns returns what the portal serves, as patterns of a mux: whoever
// checks what everybody may reach wants to miss nothing.
func (p *Portal) Patterns() (members, public []string) {
	return slices.Clone(p.members), slices.Clone(p.patterns)
}

// handle registers a member page's pattern.
func (p *Portal) handle(pattern string, h http.HandlerFunc) error {
	p.members = append(p.members, pattern)
	return handle(p.member, pattern, h)
}

// handle registers a pattern and returns as an error what the mux would panic with.
func handle(mux *http.ServeMux, pattern string, h http.HandlerFunc) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("%v", p)
		}
	}()
	mux.HandleFunc(pattern, h)
	return nil
}

// route adds what the frame serves itself, and wraps everything.
func (p *Portal) route() error {
	own := map[string]http.HandlerFunc{
		"GET " + Prefix + "/{$}":     p.serveHome,
		"GET " + Prefix + "/sign-in": p.comeBack,
		Prefix + "/":                 p.notFound,
	}
	for pattern, h := range own {
		if err := p.handle(pattern, h); err != nil {
			return err
		}
	}
	protected, err := frame.CrossOrigin(p.sessions.LoadAndSave(p.member), p.PublicURL, http.HandlerFunc(p.foreign))
	if err != nil {
		return err
	}
	p.handlers.member = p.guard(protected)
	p.handlers.public = p.guard(p.public)
	return nil
}

// guard is what every request passes first.
func (p *Portal) guard(next http.Handler) http.Handler {
	inner := frame.Headers(frame.Recover(next, p.panicked))
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if p.assets.Serve(w, r) {
			return
		}
		if wait := p.visitors.Wait(frame.Address(r), p.Now()); wait > 0 {
			frame.TooMany(w, wait)
			return
		}
		r.Body = http.MaxBytesReader(w, r.Body, frame.MaxForm)
		inner.ServeHTTP(w, r)
	})
}

// countOf returns how many of the dots are on.
func countOf(dots []bool) (n int) {
	for _, on := range dots {
		if on {
			n++
		}
	}
	return n
}
