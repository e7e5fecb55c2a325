package portal

import (
	"net/http"

	"qunbot/store"
	"qunbot/web/style"
)

// homeView is what the home page shows: who I am, what I have, one big
// button, and what is running now.
type homeView struct {
	Name  string // empty if unknown
	ID    int64
	Look  style.Look
	Group string // name of the group the member came through
	Hero  []Card
	Main  *Card
	Cards []Card
}

// serveHome shows the home page out of the cards that features contribute.
func (p *Portal) serveHome(w http.ResponseWriter, r *http.Request) {
	group := p.group(w, r)
	member, ok := p.signedIn(r)
	if !ok {
		p.askToSignIn(w, r)
		return
	}
	v := p.visit(r, "/")
	v.Member.ID, v.Group.ID = member, group
	var home homeView
	err := p.Store.View(r.Context(), func(tx *store.Tx) (err error) {
		home = homeView{}
		if home.Look, err = style.LookOf(tx.Context(), tx); err != nil {
			return err
		}
		if err := fill(tx, &v); err != nil {
			return err
		}
		home.Name, home.ID, home.Group = v.Name, v.Member.ID, v.Group.Name
		for _, one := range p.pages {
			if one.Card == nil {
				continue
			}
			card, err := one.Card(tx.Context(), tx, v)
			if err != nil {
				return err
			}
			home.add(card, Prefix+one.Path)
		}
		return nil
	})
	if err != nil {
		p.answerError(w, r, err)
		return
	}
	p.render(w, r, http.StatusOK, p.home, view{Title: home.Look.Name, Home: true, Look: home.Look, Data: home})
}

// add puts a card of the page at path where it belongs.
func (h *homeView) add(c Card, path string) {
	if c.Title == "" {
		return
	}
	if c.Post || c.Link == "" {
		c.Link = path
	}
	switch {
	case c.Hero:
		h.Hero = append(h.Hero, c)
	default:
		h.Cards = append(h.Cards, c)
	}
	if c.Main && c.Action != "" && h.Main == nil {
		h.Main = &c
	}
}
