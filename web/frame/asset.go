package frame

import (
	"crypto/sha256"
	"encoding/hex"
	"net/http"
	"path"
	"strings"
)

// Assets are stylesheets and scripts served under names that hold their hash,
// so that browsers keep them for ever and get a changed one at once.
type Assets struct {
	prefix string // such as "/console/static/"
	files  map[string]asset
}

type asset struct {
	media string
	body  []byte
}

// NewAssets returns no files yet, under prefix.
func NewAssets(prefix string) *Assets { return &Assets{prefix, map[string]asset{}} }

// Add adds a file and returns its address.
func (a *Assets) Add(name string, body []byte) string {
	sum := sha256.Sum256(body)
	ext := path.Ext(name)
	hashed := strings.TrimSuffix(path.Base(name), ext) + "." + hex.EncodeToString(sum[:5]) + ext
	media := "application/octet-stream"
	switch ext {
	case ".css":
		media = "text/css; charset=utf-8"
	case ".js":
		media = "text/javascript; charset=utf-8"
	case ".svg":
		media = "image/svg+xml"
	}
	a.files[hashed] = asset{media, body}
	return a.prefix + hashed
}

// Serve sends the file that a request below the prefix names and reports
// whether there is one.
func (a *Assets) Serve(w http.ResponseWriter, r *http.Request) bool {
	f, ok := a.files[strings.TrimPrefix(r.URL.Path, a.prefix)]
	if !ok {
		return false
	}
	w.Header().Set("Content-Type", f.media)
	w.Header().Set("Cache-Control", "public, max-age=31536000, immutable")
	w.Write(f.body)
	return true
}
