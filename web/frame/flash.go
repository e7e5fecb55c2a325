package frame

import (
	"encoding/base64"
	"encoding/json"
	"net/http"
)

// A Flash is what the page after a form says once.
type Flash struct {
	Message   string
	Celebrate bool
}

// SetFlash leaves a message for the next page below path.
func SetFlash(w http.ResponseWriter, path string, secure bool, f Flash) {
	if f.Message == "" {
		return
	}
	text, err := json.Marshal(f)
	if err != nil {
		return
	}
	http.SetCookie(w, &http.Cookie{Name: "flash", Value: base64.RawURLEncoding.EncodeToString(text), Path: path,
		MaxAge: 60, HttpOnly: true, Secure: secure, SameSite: http.SameSiteLaxMode})
}

// TakeFlash returns the message left for this page, once.
func TakeFlash(w http.ResponseWriter, r *http.Request, path string, secure bool) Flash {
	var f Flash
	c, err := r.Cookie("flash")
	if err != nil {
		return f
	}
	http.SetCookie(w, &http.Cookie{Name: "flash", Path: path, MaxAge: -1, HttpOnly: true, Secure: secure, SameSite: http.SameSiteLaxMode})
	if text, err := base64.RawURLEncoding.DecodeString(c.Value); err == nil {
		_ = json.Unmarshal(text, &f) // what nobody can read says nothing
	}
	return f
}
