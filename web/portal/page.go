// Package portal is the frame of the members' mobile web under /m and of
// public pages. Features declare pages; the frame gives each a layout, the
// mall's name and colour, sign-in, one transaction, a one-time key in every
// form so that a double tap gets the first answer again, and error pages.
//
// A page's template defines "main", which is executed with what Load returned;
// on members' pages the heading is the frame's. Functions are those of
// style.Funcs and frame.NewTemplates, and {{template "dots" .Bools}}. Plain
// elements are styled: a section of class "card", p.figure with a strong for
// one large number, ul.list, ol.calendar, a form or div of class "thumb" for
// the page's one big button within the thumb's reach, and buttons "primary".
package portal

import (
	"context"
	"io/fs"
	"net/url"
	"time"

	"qunbot/store"
	"qunbot/web/frame"
)

// PageSize is how many rows of a list a page shows.
const PageSize = 30

// A Page is one page of the members' web, or a public one. A GET runs Load in
// a read-only transaction, a POST runs Post in a read-write one.
type Page struct {
	Path  string // below /m, such as "/checkin"; a public page's own, such as "/draws/{id}"
	Title string
	Menu  bool   // whether the bar at the bottom shows it; at most four do, beside the home page
	Icon  string // one of style.Icons, for the bar

	FS       fs.FS
	Template string // file in FS that defines "main"; empty: portal.html
	Style    string // stylesheet in FS of its own, where it needs one
	Script   string // script in FS of its own, where it needs one

	// Load returns what the template shows, or a [File] to send instead. An
	// error that is store.ErrNotFound becomes the page that does not exist.
	Load func(ctx context.Context, tx *store.Tx, v Visit) (any, error)
	// Post changes something, at most once a form. [Invalid] shows the form
	// again. Nil: read only, as public pages are.
	Post func(ctx context.Context, tx *store.Tx, v Visit) (Result, error)
	// Card is what the page contributes to the home page; nil: nothing. The
	// zero Card is left out.
	Card func(ctx context.Context, tx *store.Tx, v Visit) (Card, error)
}

// A Card is a feature's place on the home page.
type Card struct {
	Title  string // such as 「签到」
	Figure string // the large numeral, such as "1,234"
	Unit   string // beside it, such as 「分」
	Text   string // one sentence below
	Dots   []bool // a row of dots: the streak's last days, the newest last

	Action string // the button's word, such as 「签到」; empty: no button
	Link   string // where the card and its button lead; empty: the page itself
	Post   bool   // the button posts to the page itself instead of leading there
	Done   bool   // nothing left to do today: the button rests

	Hero bool // who I am and what I have: on the mall's colour, at the top
	Main bool // its button is the page's one big button, within the thumb's reach
}

// A Visit is one request for a page.
type Visit struct {
	Member store.Member // zero on public pages
	Name   string       // what the member is called; empty if unknown, and on public pages
	Group  store.Group  // the group whose signed link the member came through; zero if none
	Now    time.Time
	Base   string            // public address without a slash at its end
	Path   string            // what was asked for, such as "/m/checkin"
	Query  url.Values        // of the address
	Form   url.Values        // what was posted, also while the form is shown again; nil on a GET
	Params map[string]string // the path's parameters
	Before int64             // ?before=: only rows with a smaller key; 0: from the newest
	Limit  int               // how many rows to read: one more than a page shows, see [Paged]

	problem *frame.InputError
}

// Param returns a parameter of the path, such as id in "/draws/{id}".
func (v Visit) Param(name string) string { return v.Params[name] }

// ID returns a parameter of the path that is a row's number, or
// store.ErrNotFound.
func (v Visit) ID(name string) (int64, error) { return frame.ID(v.Params, name) }

// Value returns what was posted under name, without blanks at its ends.
func (v Visit) Value(name string) string { return frame.Trimmed(v.Form, name) }

// Fields returns a form's fields, with defaults given as pairs of a name and a
// value. Where the form is shown again they hold what was typed and what was
// wrong with it.
func (v Visit) Fields(defaults ...any) Fields { return frame.FieldsOf(v.Form, v.problem, defaults...) }

// Fields are a form's values and errors; templates get at them with the
// function field.
type Fields = frame.Fields

// A File is sent instead of a page when Load returns one.
type File = frame.File

// Option is one choice of a select; make lists with [Options].
type Option = frame.Option

// Options lists choices, given as pairs of a value and a label.
func Options(pairs ...any) []Option { return frame.OptionsOf(pairs...) }

// Rows are one page of a list, for the template "pager".
type Rows[T any] = frame.Rows[T]

// Paged cuts rows that were read with v.Limit to one page. id returns the key
// that the next page's ?before= is compared with.
func Paged[T any](v Visit, rows []T, id func(T) int64) Rows[T] {
	return frame.RowsOf(rows, v.Limit-1, v.Path, v.Query, id)
}

// Invalid returns the error that shows the form again with message beside the
// field (or above the form, where field is empty): also for what a member may
// expect to happen, such as too few points. Nothing is written.
func Invalid(field, message string) error { return frame.Invalid(field, message) }

// A Result says what a Post did.
type Result struct {
	Redirect  string // where to go on, such as "/m/mall/orders"; empty: the same page
	Message   string // what to say there, such as 「签到成功，+10 分」
	Celebrate bool   // the message is good news: shown larger, with one second of joy
}

// Identifier is the way to know who a visitor is: the platform's sign-in.
type Identifier interface {
	// AuthorizeURL is where a visitor is sent to sign in; the platform sends
	// them back to redirect with ?code=…&state=….
	AuthorizeURL(redirect, state string) string
	// Identify returns who the code stands for, and their name where the
	// platform says it. A code works once.
	Identify(ctx context.Context, code string) (id store.Identity, name string, err error)
}
