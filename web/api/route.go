// Package api is the frame of /api/v1: keys, one transaction a request,
// answers that survive being asked twice, problem details, paging and the
// OpenAPI document, which is put together from the routes that are mounted.
package api

import (
	"context"
	"net/url"
	"time"

	"qunbot/store"
	"qunbot/web/frame"
)

// A Route is one operation of the API.
type Route struct {
	Method  string // "GET" or "POST"
	Path    string // below /api/v1, such as "/members/{id}"
	Summary string // one line, for the document
	// Spec is the operation's piece of the OpenAPI document: YAML without
	// indentation that starts at "parameters:", "requestBody:" or "responses:".
	// The frame adds summary, the errors and, on writes, the Idempotency-Key.
	Spec  string
	Write bool // changes something: needs an Idempotency-Key, runs in a read-write transaction

	// Handle returns what is sent as JSON, status 200: a struct, a slice that
	// is never nil, a [Page], or an [Answer] with another status. Errors are
	// [Problem]s; store.ErrNotFound is 404.
	Handle func(ctx context.Context, tx *store.Tx, r Request) (any, error)
}

// A Request is what was asked.
type Request struct {
	Client string            // name of the API key
	Now    time.Time         //
	Query  url.Values        // of the address
	Params map[string]string // the path's parameters
	After  int64             // ?after=: only rows behind this one; 0: from the start
	Limit  int               // how many rows to read: one more than was asked for, see [Paged]
	Body   []byte            // JSON; read it with Decode
}

// Param returns a parameter of the path.
func (r Request) Param(name string) string { return r.Params[name] }

// ID returns a parameter of the path that is a row's number; what is none is
// store.ErrNotFound.
func (r Request) ID(name string) (int64, error) { return frame.ID(r.Params, name) }

// An Answer is a body with a status other than 200.
type Answer struct {
	Status int
	Body   any
}

// A Page is one page of a list; its address of the next goes into the Link
// header.
type Page struct {
	Items any   // a slice
	Next  int64 // the value of ?after= for the next page; 0: there is none
}

// Paged cuts rows that were read with r.Limit to one page. id returns the key
// that the next page's ?after= is compared with.
func Paged[T any](r Request, rows []T, id func(T) int64) Page {
	if rows == nil {
		rows = []T{}
	}
	size := r.Limit - 1
	if size < 1 || len(rows) <= size {
		return Page{Items: rows}
	}
	return Page{Items: rows[:size], Next: id(rows[size-1])}
}
