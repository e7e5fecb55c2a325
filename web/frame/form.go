package frame

import (
	"fmt"
	"net/http"
	"net/url"
)

// SendFile answers with a file instead of a page.
func SendFile(w http.ResponseWriter, f File) {
	h := w.Header()
	h.Set("Content-Type", f.Type)
	h.Set("Cache-Control", "private, no-store")
	if f.Name != "" {
		h.Set("Content-Disposition", fmt.Sprintf("attachment; filename*=UTF-8''%s", url.PathEscape(f.Name)))
	}
	w.Write(f.Body)
}

// ProblemText is what stands above a form that is shown again.
func ProblemText(p *InputError) string {
	switch {
	case p == nil:
		return ""
	case p.Field == "":
		return p.Message
	}
	return "没有提交：请改正下面标出的地方。"
}
