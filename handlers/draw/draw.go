// Package draw is the lucky draw that everybody can compute again: operators
// make one, members enter, and the winners follow from a seed that was
// committed to before anybody entered, by the protocol of docs/draw.md.
package draw

import (
	"context"
	"crypto/rand"
	"embed"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"qunbot/bot"
	"qunbot/drawproof"
	"qunbot/handlers"
	"qunbot/scheduler"
	"qunbot/store"
	"qunbot/web/console"
	"qunbot/web/portal"
)

//go:embed *.html *.css *.js
var files embed.FS

// Config is what the feature needs besides what all features have. Every
// field is optional.
type Config struct {
	// Announce posts text into a group in the transaction it is called in. Of
	// two calls with the same key the second does nothing. Nil: nothing is
	// posted but the replies to those who asked.
	Announce func(ctx context.Context, tx *store.Tx, group int64, key, text string) error
	// PublicURL is the address that browsers know the site by, for the links
	// to the public record. Empty: no links.
	PublicURL string
	// Random is where seeds, keys, ids and claim codes come from. Nil:
	// crypto/rand.
	Random io.Reader
}

type feature struct {
	handlers.Deps
	Config
	records recordCache
}

// New returns the lucky draw.
func New(d handlers.Deps, c Config) handlers.Feature {
	if c.Random == nil {
		c.Random = rand.Reader
	}
	c.PublicURL = strings.TrimRight(c.PublicURL, "/")
	f := &feature{Deps: d, Config: c}
	return handlers.Feature{
		Name: "draw",
		Commands: []bot.Command{
			{Words: []string{"抽奖"}, Usage: "[名称或编号]", Help: "看看有什么抽奖，带上编号就报名", Handle: f.join},
			{Words: []string{"我的奖品"}, Help: "中了什么、领奖码、到哪天", Private: true, Handle: f.prizes},
			{Words: []string{"/抽奖"}, Usage: "新建|截止|公证|开奖|取消 …", Help: "办一场谁都能验证的抽奖", Role: store.Staff, Handle: f.operate},
		},
		Jobs: []scheduler.Job{
			{Name: "draw.close", Title: "抽奖到点截止、开奖，过期奖品递补", Schedule: scheduler.Every(time.Minute), Missed: scheduler.RunOnce, Run: f.closeDue},
		},
		Console:  []console.Page{f.listPage(), f.newPage(), f.drawPage(), f.limitsPage(), f.claimPage()},
		Portal:   []portal.Page{f.memberPage()},
		Public:   []portal.Page{f.publicPage(), f.recordPage()},
		API:      f.routes(),
		Personal: handlers.Personal{Export: f.export, Erase: f.erase},
	}
}

// A refusal is what an operator or a member may expect to hear: nothing was
// written.
type refusal string

func (r refusal) Error() string { return string(r) }

func refuse(format string, args ...any) error { return refusal(fmt.Sprintf(format, args...)) }

// answer makes a reply of text, or of the refusal in err.
func answer(text string, err error) (bot.Reply, error) {
	if no, refused := errors.AsType[refusal](err); refused {
		return bot.Reply{Text: string(no)}, nil
	}
	return bot.Reply{Text: text}, err
}

// announce posts text into the draw's group, unless that is where it is being
// said anyhow (heard). what names the occasion: each is posted once.
func (f *feature) announce(ctx context.Context, tx *store.Tx, d store.Draw, heard int64, what, text string) error {
	if f.Announce == nil || d.GroupID == 0 || d.GroupID == heard {
		return nil
	}
	return f.Announce(ctx, tx, d.GroupID, store.Key("draw", d.ID, what), text)
}

// rulesOf returns what was announced of a draw.
func rulesOf(d store.Draw) (r drawproof.Rules, err error) {
	if err := json.Unmarshal([]byte(d.Rules), &r); err != nil {
		return r, fmt.Errorf("rules of draw %d: %w", d.ID, err)
	}
	return r, nil
}

// page returns the address of a draw's public record, empty if the program
// does not know its own.
func (f *feature) page(d store.Draw) string {
	if f.PublicURL == "" {
		return ""
	}
	return f.PublicURL + "/draws/" + d.PublicID
}

// malls returns where somebody may see and enter draws: a group's mall, in a
// 1:1 chat those of all groups they were seen in, and for somebody who was
// seen in none every mall.
func malls(ctx context.Context, tx *store.Tx, member int64, group store.Group) ([]int64, error) {
	if group.ID != 0 {
		return []int64{group.MallID}, nil
	}
	groups, err := tx.GroupsOf(ctx, member, 200)
	if err != nil {
		return nil, err
	}
	seen := map[int64]bool{}
	list := []int64{}
	for _, g := range groups {
		if !seen[g.MallID] {
			seen[g.MallID] = true
			list = append(list, g.MallID)
		}
	}
	if len(list) > 0 {
		return list, nil
	}
	all, err := tx.Malls(ctx)
	for _, m := range all {
		list = append(list, m.ID)
	}
	return list, err
}

// mallNames returns what malls are called.
func mallNames(ctx context.Context, tx *store.Tx) (map[int64]string, error) {
	all, err := tx.Malls(ctx)
	names := make(map[int64]string, len(all))
	for _, m := range all {
		names[m.ID] = m.Name
	}
	return names, err
}
