package frame

import (
	"context"
	"errors"
	"net/http"
	"time"

	"github.com/alexedwards/scs/v2"

	"qunbot/store"
)

// SessionOptions say how one surface keeps its sessions.
type SessionOptions struct {
	Cookie string        // its name
	Path   string        // where browsers send it, such as "/console"
	Keep   time.Duration // a session unused for so long is forgotten
	Secure bool          // the site is reached by https
	Now    func() time.Time
	Fail   func(http.ResponseWriter, *http.Request, error) // shows and logs that the store failed
}

// Sessions returns a session manager over the store's sessions. The table
// holds the hash of a cookie, so that reading it lets nobody in.
func Sessions(db *store.Store, o SessionOptions) *scs.SessionManager {
	m := scs.New()
	m.Store = sessions{db, o.Keep, o.Now}
	m.Lifetime = o.Keep
	m.ErrorFunc = o.Fail
	m.Cookie.Name, m.Cookie.Path = HostCookie(o.Cookie, o.Path, o.Secure)
	m.Cookie.Secure = o.Secure
	m.Cookie.HttpOnly = true
	m.Cookie.SameSite = http.SameSiteLaxMode
	return m
}

// HostCookie returns the name and path of a cookie that lets somebody in. Over
// https its name begins with __Host-: browsers take such a cookie from this
// host alone, so that no neighbouring host can slip in one of its own. They
// want it for the whole site.
//
// Source: https://datatracker.ietf.org/doc/html/draft-ietf-httpbis-rfc6265bis#section-4.1.3.2
func HostCookie(name, path string, secure bool) (string, string) {
	if secure {
		return "__Host-" + name, "/"
	}
	return name, path
}

// sessions implements scs.CtxStore.
type sessions struct {
	db   *store.Store
	keep time.Duration
	now  func() time.Time
}

func (s sessions) FindCtx(ctx context.Context, token string) (data []byte, found bool, err error) {
	err = s.db.View(ctx, func(tx *store.Tx) error {
		data, err = tx.Session(tx.Context(), token, s.now())
		return err
	})
	if errors.Is(err, store.ErrNotFound) {
		return nil, false, nil
	}
	return data, err == nil, err
}

// CommitCtx stores a session. The time it is given is that of the machine;
// the program's clock is s.now.
func (s sessions) CommitCtx(ctx context.Context, token string, data []byte, _ time.Time) error {
	return s.db.Update(ctx, func(tx *store.Tx) error {
		return tx.PutSession(tx.Context(), token, data, s.now().Add(s.keep))
	})
}

func (s sessions) DeleteCtx(ctx context.Context, token string) error {
	return s.db.Update(ctx, func(tx *store.Tx) error { return tx.DeleteSession(tx.Context(), token) })
}

func (s sessions) Find(token string) ([]byte, bool, error) {
	return s.FindCtx(context.Background(), token)
}

func (s sessions) Commit(token string, data []byte, expiry time.Time) error {
	return s.CommitCtx(context.Background(), token, data, expiry)
}

func (s sessions) Delete(token string) error { return s.DeleteCtx(context.Background(), token) }
