package frame

import (
	"bytes"
	"crypto/rand"
	"embed"
	"errors"
	"fmt"
	"html/template"
	"io"
	"io/fs"
	"maps"
	"regexp"
)

//go:embed parts.html
var parts embed.FS

// Templates make pages out of a layout and a feature's file.
type Templates struct {
	layout fs.FS
	funcs  template.FuncMap
	mark   string // stands for a form key until a page is sent
}

// NewTemplates returns templates whose layout is every *.html in the folder
// layout; one of them defines "layout", which calls "main". To funcs it adds
//
//	{{formKey}}                             the hidden input that every posted form holds
//	{{template "input" (field .Fields "name" "群名" "帮助")}}   one input; see [FieldOf]
//	{{template "pager" .Rows}}              the ways to the other pages of a list
//	{{template "empty" (empty "people" "还没有会员" "他们……" "去看看" "/console/groups")}}
func NewTemplates(layout fs.FS, funcs template.FuncMap) *Templates {
	t := &Templates{layout: layout, mark: rand.Text(), funcs: maps.Clone(funcs)}
	t.funcs["formKey"] = func() template.HTML {
		return template.HTML(`<input type="hidden" name="` + FormKeyName + `" value="` + t.mark + `">`)
	}
	t.funcs["field"] = FieldOf
	t.funcs["options"] = OptionsOf
	t.funcs["empty"] = func(icon, title, text string, action ...string) Empty {
		e := Empty{Icon: icon, Title: title, Text: text}
		if len(action) == 2 {
			e.Action, e.Link = action[0], action[1]
		}
		return e
	}
	return t
}

// Empty is an empty place: one sentence, one picture, one action.
type Empty struct{ Icon, Title, Text, Action, Link string }

// A Template is one page with its layout.
type Template struct {
	parsed *template.Template
	mark   string
}

// What the Content-Security-Policy would keep browsers from doing.
var inline = regexp.MustCompile(`(?i)<script\b|<style\b|\s(style|on[a-z]+)\s*=`)

var postedForm = regexp.MustCompile(`(?is)<form\b[^>]*\bmethod\s*=\s*["']?post\b.*?</form>`)

// Parse makes the page whose file defines "main".
func (t *Templates) Parse(page fs.FS, file string) (*Template, error) {
	if page == nil {
		return nil, errors.New("it has no FS for its template")
	}
	source, err := fs.ReadFile(page, file)
	if err != nil {
		return nil, err
	}
	if found := inline.Find(source); found != nil {
		return nil, fmt.Errorf("%s: %q would be blocked: styles and scripts go into files of their own", file, bytes.TrimSpace(found))
	}
	for _, form := range postedForm.FindAll(source, -1) {
		if !bytes.Contains(form, []byte("formKey")) { // where it is a comment, it says why none is needed
			return nil, fmt.Errorf("%s: a form that is posted needs {{formKey}}", file)
		}
	}
	parsed, err := template.New("").Funcs(t.funcs).Option("missingkey=error").ParseFS(parts, "parts.html")
	if err != nil {
		return nil, err
	}
	parsed, err = parsed.ParseFS(t.layout, "layout/*.html")
	if err != nil {
		return nil, err
	}
	if parsed.Lookup("main") != nil {
		return nil, errors.New(`the layout must not define "main"`)
	}
	if _, err := parsed.New(file).Parse(string(source)); err != nil {
		return nil, err
	}
	if parsed.Lookup("main") == nil {
		return nil, fmt.Errorf(`%s: it does not define "main"`, file)
	}
	// Escaping happens at the first execution: without data it fails, but a
	// template that cannot be escaped says so first.
	err = parsed.ExecuteTemplate(io.Discard, "layout", nil)
	if broken, ok := errors.AsType[*template.Error](err); ok {
		return nil, broken
	}
	return &Template{parsed, t.mark}, nil
}

// Render returns the page with data, each of its forms with a key of its own.
func (t *Template) Render(data any) ([]byte, error) {
	var b bytes.Buffer
	if err := t.parsed.ExecuteTemplate(&b, "layout", data); err != nil {
		return nil, err
	}
	parts := bytes.Split(b.Bytes(), []byte(t.mark))
	if len(parts) == 1 {
		return parts[0], nil
	}
	var page bytes.Buffer
	for i, p := range parts {
		if i > 0 {
			page.WriteString(rand.Text())
		}
		page.Write(p)
	}
	return page.Bytes(), nil
}
