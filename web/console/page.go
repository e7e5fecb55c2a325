// Package console is the frame of the operators' web. Features declare pages;
// the frame gives each a layout, a place in the menu, sign-in, rights, one
// transaction, the audit row of a write, error pages and cross-origin checks.
//
// A page's template defines "main", which is executed with what Load returned,
// and may define "action", the main action at the top right; the heading is the
// frame's. Functions are those of style.Funcs and frame.NewTemplates. Plain
// elements are styled: a section of class "card" or "panel" (a card without
// room, for tables), tables whose cells carry data-label for phones ("num"
// right, "minor" not on phones, a link of class "open" opens the whole row),
// p.figure with a strong for one large number, "chip" and "chip on" for
// filters, "split" for work beside an aside of facts (dl.facts), buttons
// "primary" and "danger", and data-confirm on a button that should ask first.
package console

import (
	"context"
	"io/fs"
	"net/url"
	"time"

	"qunbot/store"
	"qunbot/web/frame"
)

// A Group is a part of the menu.
type Group string

// The menu's groups, in their order.
const (
	Daily   Group = "日常"
	Content Group = "内容"
	Manage  Group = "管理"
)

// PageSize is how many rows of a list a page shows.
const PageSize = 50

// A Page is one page of the console. A GET runs Load in a read-only
// transaction, a POST runs Post in a read-write one.
type Page struct {
	Path    string     // below /console, such as "/checkins" or "/members/{id}"
	Title   string     // the heading, and the tab's word
	Purpose string     // one line: what the page is for
	Group   Group      // where the menu shows it; empty: not in the menu
	Menu    string     // the menu's word: pages of one group and word are tabs of each other; empty: Title
	Icon    string     // one of style.Icons, for the menu
	Role    store.Role // who may see it
	Change  store.Role // who may post to it; empty: Role

	FS       fs.FS
	Template string // file in FS that defines "main" and, where there is one, "action"; empty: console.html
	Style    string // stylesheet in FS of its own, where it needs one
	Script   string // script in FS of its own, where it needs one
	Live     bool   // shows itself anew while it is looked at
	Upload   int64  // bytes of the largest file that may be posted to it, as "file"; 0: none. Its path has no parameters

	// Load returns what the template shows, or a [File] to send instead. An
	// error that is store.ErrNotFound becomes the page that does not exist.
	// What is a [Headed] has a heading of its own.
	Load func(ctx context.Context, tx *store.Tx, v Visit) (any, error)
	// Post changes something. [Invalid] shows the form again. Nil: read only.
	Post func(ctx context.Context, tx *store.Tx, v Visit) (Result, error)
}

// Headed is what a Load may return where the heading is not the page's Title
// and Purpose, such as a member's name.
type Headed interface {
	Heading() (title, purpose string)
}

// A Visit is one request for a page.
type Visit struct {
	Operator store.Operator
	Now      time.Time
	Base     string            // public address without a slash at its end
	Path     string            // what was asked for, such as "/console/members/12"
	Query    url.Values        // of the address
	Form     url.Values        // what was posted, also while the form is shown again; nil on a GET
	Upload   Upload            // the file that was posted with it
	Params   map[string]string // the path's parameters
	Before   int64             // ?before=: only rows with a smaller key; 0: from the newest
	Limit    int               // how many rows to read: one more than a page shows, see [Paged]

	problem *frame.InputError
}

// An Upload is a file that was posted. The zero Upload is none.
type Upload struct {
	Name string // as its sender calls it
	Body []byte
}

// Param returns a parameter of the path, such as id in "/members/{id}".
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
// field (or above the form, where field is empty). Nothing is written.
func Invalid(field, message string) error { return frame.Invalid(field, message) }

// A Result says what a Post did. The frame writes it to the audit trail in the
// same transaction.
type Result struct {
	Object   string // what was changed, such as "group 12"; ids instead of names
	Detail   string // what it was changed to; ids instead of names
	Action   string // which change; empty: "POST /console" and the page's path
	Redirect string // where to go on, such as "/console/groups"; empty: the same page
	Message  string // what to say there, such as 「已保存」
}
