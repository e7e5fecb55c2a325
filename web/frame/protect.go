package frame

import (
	"crypto/rand"
	"net/http"
	"strings"
)

// FormKeyName is the hidden input that carries a form's one-time key.
const FormKeyName = "_key"

// MaxForm is the largest form, in bytes.
const MaxForm = 1 << 20

// Headers sets the headers that keep a page to itself: everything from this
// site, nothing inline, in nobody's frame.
func Headers(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h.Set("Content-Security-Policy", "default-src 'self'; img-src 'self' data:; object-src 'none'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'")
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("X-Frame-Options", "DENY")
		h.Set("Referrer-Policy", "same-origin")
		h.Set("Permissions-Policy", "camera=(), microphone=(), geolocation=()")
		next.ServeHTTP(w, r)
	})
}

// Recover calls fail with what a request panicked with. fail logs it once and
// answers.
func Recover(next http.Handler, fail func(w http.ResponseWriter, r *http.Request, panicked any)) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		defer func() {
			switch p := recover(); p {
			case nil:
			case http.ErrAbortHandler:
				panic(p)
			default:
				fail(w, r, p)
			}
		}()
		next.ServeHTTP(w, r)
	})
}

// ErrorID returns a short id by which an operator finds in the log what a
// visitor saw fail.
func ErrorID() string { return strings.ToLower(rand.Text()[:8]) }

// CrossOrigin refuses what a page of another site sends in a visitor's name.
func CrossOrigin(next http.Handler, publicURL string, deny http.Handler) (http.Handler, error) {
	p := http.NewCrossOriginProtection()
	if publicURL != "" {
		origin, err := Origin(publicURL)
		if err != nil {
			return nil, err
		}
		if err := p.AddTrustedOrigin(origin); err != nil {
			return nil, err
		}
	}
	p.SetDenyHandler(deny)
	return p.Handler(next), nil
}
