package portal

import (
	"encoding/json"
	"errors"
	"net/http"
	"net/url"
	"strings"

	"qunbot/store"
	"qunbot/web/frame"
	"qunbot/web/style"
)

// visit reads what every page may want to know of a request.
func (p *Portal) visit(r *http.Request, path string) Visit {
	q := r.URL.Query()
	return Visit{Now: p.Now(), Base: p.base(), Path: r.URL.Path, Query: q, Params: params(r, path),
		Before: frame.Cursor(q, "before"), Limit: PageSize + 1}
}

// params reads the parameters that the path of a page names.
func params(r *http.Request, path string) map[string]string {
	found := map[string]string{}
	for part := range strings.SplitSeq(path, "/") {
		if strings.HasPrefix(part, "{") {
			name := strings.TrimSuffix(strings.Trim(part, "{}"), "...")
			found[name] = r.PathValue(name)
		}
	}
	return found
}

// serve answers a request for one of the members' pages.
func (p *Portal) serve(w http.ResponseWriter, r *http.Request, one *page) {
	group := p.group(w, r)
	member, ok := p.signedIn(r)
	if !ok {
		p.askToSignIn(w, r)
		return
	}
	v := p.visit(r, one.Path)
	v.Member.ID, v.Group.ID = member, group
	switch {
	case r.Method == http.MethodGet || r.Method == http.MethodHead:
		p.load(w, r, one, v, http.StatusOK)
	case r.Method == http.MethodPost && one.Post != nil:
		p.post(w, r, one, v)
	default:
		p.notAllowed(w, r)
	}
}

// servePublic answers a request for one of the public pages.
func (p *Portal) servePublic(w http.ResponseWriter, r *http.Request, one *page) {
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		p.notAllowed(w, r)
		return
	}
	p.load(w, r, one, p.visit(r, one.Path), http.StatusOK)
}

// errGone ends a transaction whose member is no longer one.
var errGone = errors.New("member is gone")

// fill reads who the visitor is and where they came through.
func fill(tx *store.Tx, v *Visit) error {
	m, err := tx.Member(tx.Context(), v.Member.ID)
	if errors.Is(err, store.ErrNotFound) {
		return errGone
	}
	if err != nil {
		return err
	}
	v.Member = m
	names, err := tx.Names(tx.Context(), []int64{m.ID})
	if err != nil {
		return err
	}
	v.Name = names[m.ID]
	if v.Group.ID == 0 {
		return nil
	}
	g, err := tx.Group(tx.Context(), v.Group.ID)
	if errors.Is(err, store.ErrNotFound) {
		v.Group = store.Group{}
		return nil
	}
	v.Group = g
	return err
}

// load shows a page.
func (p *Portal) load(w http.ResponseWriter, r *http.Request, one *page, v Visit, status int) {
	var data any
	var look style.Look
	err := p.Store.View(r.Context(), func(tx *store.Tx) (err error) {
		if look, err = style.LookOf(tx.Context(), tx); err != nil {
			return err
		}
		if !one.public {
			if err := fill(tx, &v); err != nil {
				return err
			}
		}
		data, err = one.Load(tx.Context(), tx, v)
		return err
	})
	if err != nil {
		p.answerError(w, r, err)
		return
	}
	if f, ok := data.(File); ok {
		frame.SendFile(w, f)
		return
	}
	p.render(w, r, status, one.template, view{Title: one.Title, Page: one, Look: look, Problem: frame.ProblemText(v.problem), Data: data})
}

// post runs a page's Post and notes the form's key in the same transaction, so
// that the same form sent again gets the same answer and runs nothing.
func (p *Portal) post(w http.ResponseWriter, r *http.Request, one *page, v Visit) {
	if err := r.ParseForm(); err != nil {
		p.badForm(w, r, err)
		return
	}
	v.Form = r.PostForm
	key := v.Form.Get(frame.FormKeyName)
	delete(v.Form, frame.FormKeyName)
	if key == "" || len(key) > 64 {
		p.badForm(w, r, errors.New("the form has no key"))
		return
	}
	request := store.Request{Key: store.Key("portal", v.Member.ID, key), CreatedAt: v.Now,
		Fingerprint: frame.Fingerprint([]byte(r.URL.Path), []byte(v.Form.Encode()))}
	var result Result
	err := p.Store.Update(r.Context(), func(tx *store.Tx) error {
		visit := v
		if err := fill(tx, &visit); err != nil {
			return err
		}
		answer, _, err := frame.Once(tx.Context(), tx, request, func() (store.Request, error) {
			done, err := one.Post(tx.Context(), tx, visit)
			if err != nil {
				return store.Request{}, err
			}
			body, err := json.Marshal(done)
			return store.Request{Status: http.StatusSeeOther, ContentType: "application/json", Body: body}, err
		})
		if err != nil {
			return err
		}
		result = Result{}
		return json.Unmarshal(answer.Body, &result)
	})
	switch problem := frame.Problem(err); {
	case problem != nil:
		v.problem = problem
		p.load(w, r, one, v, http.StatusUnprocessableEntity)
	case errors.Is(err, frame.ErrOtherRequest):
		v.problem = &frame.InputError{Message: "这张表单已经提交过了。请看看上次的结果，再决定要不要重来。"}
		p.load(w, r, one, v, http.StatusConflict)
	case err != nil:
		p.answerError(w, r, err)
	default:
		frame.SetFlash(w, Prefix, p.secure(), frame.Flash{Message: result.Message, Celebrate: result.Celebrate})
		target := result.Redirect
		if !frame.Local(target, "") {
			same := url.URL{Path: r.URL.Path, RawQuery: r.URL.RawQuery}
			target = same.String()
		}
		http.Redirect(w, r, target, http.StatusSeeOther)
	}
}
