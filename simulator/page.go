package simulator

import (
	"bytes"
	"embed"
	"html/template"
	"net/http"
)

//go:embed page.html authorize.html page.css page.js text.js panel.js kf.js
var files embed.FS

var pages = template.Must(template.ParseFS(files, "page.html", "authorize.html"))

// contentPolicy lets our pages load only what we serve, and pictures of cards.
const contentPolicy = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; " +
	"img-src 'self' data: https:; form-action *; base-uri 'none'; frame-ancestors 'none'"

// mountPage serves the chat page and its files.
func (s *Simulator) mountPage(mux *http.ServeMux) {
	mux.Handle("GET /sim/{$}", s.guard(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s.render(w, http.StatusOK, "page.html", nil)
	})))
	mux.Handle("GET /sim", http.RedirectHandler("/sim/", http.StatusMovedPermanently))
	for _, name := range []string{"page.css", "page.js", "text.js", "panel.js", "kf.js"} {
		mux.Handle("GET /sim/"+name, s.guard(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Cache-Control", "no-cache")
			http.ServeFileFS(w, r, files, name)
		})))
	}
}

// render writes one of our pages.
func (s *Simulator) render(w http.ResponseWriter, status int, name string, data any) {
	var page bytes.Buffer
	if err := pages.ExecuteTemplate(&page, name, data); err != nil {
		s.cfg.Log.Error("render page", "name", name, "err", err)
		http.Error(w, "看日志", http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.Header().Set("Cache-Control", "no-store")
	w.Header().Set("Content-Security-Policy", contentPolicy)
	w.WriteHeader(status)
	_, _ = w.Write(page.Bytes()) // the reader has gone; nobody to tell
}
