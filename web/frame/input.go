// Package frame holds what the operators' console and the members' portal
// share: sessions, one-time form keys, fields with their errors, templates,
// files with a fingerprint in their name, rate limits, headers and the way
// panics end.
package frame

import (
	"errors"
	"fmt"
	"net/url"
	"strconv"
	"strings"

	"qunbot/store"
)

// An InputError says what is wrong with what somebody typed. The frame shows
// the form again with Message beside the field; nothing is written.
type InputError struct {
	Field   string // the input's name; empty: the form as a whole
	Message string // what is allowed, for the reader
}

// Error implements error.
func (e *InputError) Error() string {
	return fmt.Sprintf("input %q: %s", e.Field, e.Message)
}

// Invalid returns an *InputError.
func Invalid(field, message string) error { return &InputError{Field: field, Message: message} }

// Problem returns the *InputError inside err, or nil.
func Problem(err error) *InputError {
	e, _ := errors.AsType[*InputError](err)
	return e
}

// Fields are a form's values: what was typed, where the form is shown again
// because of an error, else the defaults.
type Fields struct {
	values  map[string]string
	problem *InputError
}

// FieldsOf returns fields with defaults, given as pairs of a name and a value.
// form is nil unless the form is shown again.
func FieldsOf(form url.Values, problem *InputError, defaults ...any) Fields {
	f := Fields{values: map[string]string{}, problem: problem}
	for i := 0; i+1 < len(defaults); i += 2 {
		f.values[fmt.Sprint(defaults[i])] = fmt.Sprint(defaults[i+1])
	}
	if problem != nil {
		for name := range form {
			f.values[name] = form.Get(name)
		}
	}
	return f
}

// Value returns a field's value, empty if it has none.
func (f Fields) Value(name string) string { return f.values[name] }

// Is reports whether a field has this value: for options and boxes.
func (f Fields) Is(name string, value any) bool { return f.values[name] == fmt.Sprint(value) }

// Error returns what is wrong with a field, empty if nothing is; the empty
// name stands for the form as a whole.
func (f Fields) Error(name string) string {
	if f.problem == nil || f.problem.Field != name {
		return ""
	}
	return f.problem.Message
}

// A Field is one input for the templates "text", "area" and "select": label
// above, help below, the error in place.
type Field struct {
	Name, Label, Help, Value, Error string
	Options                         []Option // for "select"
	Type                            string   // of the input; empty: text
}

// An Option is one choice of a select.
type Option struct {
	Value string
	Label string
}

// OptionsOf lists options, given as pairs of a value and a label.
func OptionsOf(pairs ...any) []Option {
	var list []Option
	for i := 0; i+1 < len(pairs); i += 2 {
		list = append(list, Option{Value: fmt.Sprint(pairs[i]), Label: fmt.Sprint(pairs[i+1])})
	}
	return list
}

// FieldOf is the template function "field": the field called name of f.
// options, where given, are the choices of a select; a text in their place is
// the input's type.
func FieldOf(f Fields, name, label, help string, extra ...any) Field {
	field := Field{Name: name, Label: label, Help: help, Value: f.Value(name), Error: f.Error(name), Type: "text"}
	for _, e := range extra {
		switch e := e.(type) {
		case []Option:
			field.Options = e
		case string:
			field.Type = e
		}
	}
	return field
}

// ID reads a path parameter that is a row's number. What is none is
// store.ErrNotFound, which the frame shows as a page that does not exist.
func ID(params map[string]string, name string) (int64, error) {
	id, err := strconv.ParseInt(params[name], 10, 64)
	if err != nil || id < 1 {
		return 0, fmt.Errorf("path parameter %s: %w", name, store.ErrNotFound)
	}
	return id, nil
}

// Cursor reads a number such as ?before= of a query; what is no positive
// number is 0: from the start.
func Cursor(query url.Values, name string) int64 {
	n, err := strconv.ParseInt(query.Get(name), 10, 64)
	if err != nil || n < 0 {
		return 0
	}
	return n
}

// Trimmed returns a form's value without blanks at its ends.
func Trimmed(form url.Values, name string) string { return strings.TrimSpace(form.Get(name)) }

// Rows are one page of a list.
type Rows[T any] struct {
	Items []T
	Older string // address of the next page; empty on the last one
	First string // address of the first page; empty on the first one
}

// RowsOf cuts rows, of which one more was asked for than a page of size shows,
// to a page. id is the key by which the list is paged.
func RowsOf[T any](rows []T, size int, path string, query url.Values, id func(T) int64) Rows[T] {
	page := Rows[T]{Items: rows}
	at := func(before string) string {
		q := url.Values{}
		for k, v := range query {
			if k != "before" {
				q[k] = v
			}
		}
		if before != "" {
			q.Set("before", before)
		}
		if len(q) == 0 {
			return path
		}
		return path + "?" + q.Encode()
	}
	if Cursor(query, "before") > 0 {
		page.First = at("")
	}
	if size > 0 && len(rows) > size {
		page.Items = rows[:size]
		page.Older = at(strconv.FormatInt(id(rows[size-1]), 10))
	}
	return page
}

// A File is what a page's Load returns instead of data when the visitor is to
// get a file: an export, a record.
type File struct {
	Name string // what the browser saves it as; empty: it shows it
	Type string // media type, such as "text/csv; charset=utf-8"
	Body []byte
}
