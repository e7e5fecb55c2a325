package console

import (
	"context"
	"net/url"
	"strconv"
	"strings"

	"qunbot/store"
)

// A Link is a word and where it leads; as a filter, with the filter turned on
// or off.
type Link struct {
	Text, To string
	On       bool
}

// Chip returns the filter name=value of the page, which is on or not: it leads
// to the page with the filter changed and the others kept.
func (v Visit) Chip(name, value, text string, on bool) Link {
	q := url.Values{}
	for k, values := range v.Query {
		if k != name && k != "before" {
			q[k] = values
		}
	}
	if !on {
		q.Set(name, value)
	}
	return Link{text, strings.TrimSuffix(v.Path+"?"+q.Encode(), "?"), on}
}

// MaxChoices is how many groups a select offers.
const MaxChoices = 500

// GroupChoices lists where something may hold: everywhere, or in one group.
func GroupChoices(ctx context.Context, tx *store.Tx) ([]Option, error) {
	groups, err := tx.GroupRows(ctx, 0, MaxChoices)
	choices := Options("0", "全部群（也包括私聊）")
	for _, g := range groups {
		name := g.Name
		if name == "" {
			name = g.ChatID
		}
		choices = append(choices, Option{Value: strconv.FormatInt(g.ID, 10), Label: name})
	}
	return choices, err
}
