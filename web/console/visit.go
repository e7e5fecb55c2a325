package console

import (
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/url"
	"strings"

	"qunbot/store"
	"qunbot/web/frame"
)

// serve answers a request for one of the pages.
func (c *Console) serve(w http.ResponseWriter, r *http.Request, p *page) {
	id, ok := c.signedIn(r)
	if !ok {
		c.askToSignIn(w, r)
		return
	}
	v := Visit{
		Now: c.Now(), Base: strings.TrimRight(c.PublicURL, "/"), Path: r.URL.Path, Query: r.URL.Query(),
		Params: params(r, p.Path), Before: frame.Cursor(r.URL.Query(), "before"), Limit: PageSize + 1,
	}
	switch r.Method {
	case http.MethodGet, http.MethodHead:
		c.load(w, r, p, id, v, http.StatusOK)
	case http.MethodPost:
		if p.Post == nil {
			c.notAllowed(w, r)
			return
		}
		c.post(w, r, p, id, v)
	default:
		c.notAllowed(w, r)
	}
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

// errForbidden ends a transaction whose operator may not do this.
var errForbidden = errors.New("role does not cover it")

// load shows a page. Its operator is looked up in the same transaction, so
// that a role that was taken away counts at once.
func (c *Console) load(w http.ResponseWriter, r *http.Request, p *page, operator int64, v Visit, status int) {
	var data any
	err := c.Store.View(r.Context(), func(tx *store.Tx) (err error) {
		if v.Operator, err = c.operator(tx, operator, p.Role); err != nil {
			return err
		}
		data, err = p.Load(tx.Context(), tx, v)
		return err
	})
	if err != nil {
		c.answerError(w, r, v, err)
		return
	}
	if f, ok := data.(File); ok {
		frame.SendFile(w, f)
		return
	}
	title, purpose := p.Title, p.Purpose
	if h, ok := data.(Headed); ok {
		title, purpose = h.Heading()
	}
	c.render(w, r, status, p.template, view{Title: title, Purpose: purpose, Page: p, Operator: v.Operator,
		Problem: frame.ProblemText(v.problem), Data: data})
}

// errGone ends a transaction whose operator is no longer one.
var errGone = errors.New("operator is gone")

func (c *Console) operator(tx *store.Tx, id int64, needs store.Role) (store.Operator, error) {
	o, err := tx.Operator(tx.Context(), id)
	if errors.Is(err, store.ErrNotFound) {
		return o, errGone
	}
	if err != nil {
		return o, err
	}
	if !o.Role.Covers(needs) {
		return o, errForbidden
	}
	return o, nil
}

// post runs a page's Post, its audit row and the form's key in one
// transaction, and goes on where the result says.
func (c *Console) post(w http.ResponseWriter, r *http.Request, p *page, operator int64, v Visit) {
	upload, err := readForm(r, p.Upload)
	if err != nil {
		c.badForm(w, r, err)
		return
	}
	v.Form, v.Upload = r.PostForm, upload
	key := v.Form.Get(frame.FormKeyName)
	delete(v.Form, frame.FormKeyName)
	if key == "" || len(key) > 64 {
		c.badForm(w, r, errors.New("the form has no key"))
		return
	}
	request := store.Request{Key: store.Key("console", operator, key), CreatedAt: v.Now,
		Fingerprint: frame.Fingerprint([]byte(r.URL.Path), []byte(v.Form.Encode()), []byte(upload.Name), upload.Body)}

	var result Result
	err = c.Store.Update(r.Context(), func(tx *store.Tx) error {
		o, err := c.operator(tx, operator, p.needs())
		v.Operator = o
		if err != nil {
			return err
		}
		answer, _, err := frame.Once(tx.Context(), tx, request, func() (store.Request, error) {
			done, err := p.Post(tx.Context(), tx, v)
			if err != nil {
				return store.Request{}, err
			}
			if done.Action == "" {
				done.Action = "POST " + Prefix + p.Path
			}
			err = tx.AddAudit(tx.Context(), store.Audit{OperatorID: o.ID, Action: store.Cut(done.Action, 80),
				Object: store.Cut(done.Object, 80), Detail: done.Detail, At: v.Now})
			if err != nil {
				return store.Request{}, err
			}
			body, err := json.Marshal(Result{Redirect: done.Redirect, Message: done.Message})
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
		c.load(w, r, p, operator, v, http.StatusUnprocessableEntity)
	case errors.Is(err, frame.ErrOtherRequest):
		v.problem = &frame.InputError{Message: "这张表单已经提交过一次，内容却不一样了。请核对后再提交。"}
		c.load(w, r, p, operator, v, http.StatusConflict)
	case err != nil:
		c.answerError(w, r, v, err)
	default:
		frame.SetFlash(w, Prefix, c.secure(), frame.Flash{Message: result.Message})
		http.Redirect(w, r, c.next(r, result.Redirect), http.StatusSeeOther)
	}
}

// readForm parses a form and returns the file in it, of at most max bytes.
func readForm(r *http.Request, max int64) (Upload, error) {
	if err := r.ParseForm(); max == 0 || err != nil {
		return Upload{}, err
	}
	err := r.ParseMultipartForm(max + frame.MaxForm) // all of it in memory
	if errors.Is(err, http.ErrNotMultipart) {
		return Upload{}, nil // it holds no file
	}
	if err != nil {
		return Upload{}, err
	}
	f, header, err := r.FormFile("file")
	if errors.Is(err, http.ErrMissingFile) {
		return Upload{}, nil
	}
	if err != nil {
		return Upload{}, err
	}
	defer f.Close()
	if header.Size > max {
		return Upload{}, &http.MaxBytesError{Limit: max}
	}
	body, err := io.ReadAll(f)
	return Upload{header.Filename, body}, err
}

// needs returns the role that a page's Post needs.
func (p *page) needs() store.Role {
	if p.Change != "" {
		return p.Change
	}
	return p.Role
}

// next returns where to go after a form: a page of ours, or back to the form's.
func (c *Console) next(r *http.Request, redirect string) string {
	if frame.Local(redirect, "") {
		return redirect
	}
	same := url.URL{Path: r.URL.Path, RawQuery: r.URL.RawQuery}
	return same.String()
}
