// Package news tells the groups every morning what is new: entries of feeds,
// and what operators write.
//
// Feeds come from the settings and are read every half hour. What is new goes
// into one digest a mall and day, which is posted once into each of its groups
// that operators have not turned off. An item that holds a sensitive word of one
// of these groups waits until a second person has approved it.
package news

import (
	"context"
	"embed"
	"fmt"
	"net/http"
	"strconv"
	"time"

	"qunbot/handlers"
	"qunbot/scheduler"
	"qunbot/store"
)

//go:embed *.html *.css
var files embed.FS

// A Feed is an RSS, Atom or JSON feed of the settings.
type Feed struct{ Name, URL string }

// Config is what the settings say about news.
type Config struct {
	Feeds                 []Feed
	AllowPrivateAddresses bool // feeds may be inside the own network

	// Notify tells operators something, in the transaction that causes it. Nil:
	// it is logged.
	Notify func(ctx context.Context, tx *store.Tx, text string) error
}

type feature struct {
	handlers.Deps
	Config
	client *http.Client
}

// New returns the news feature.
func New(d handlers.Deps, c Config) handlers.Feature {
	f := newFeature(d, c)
	return handlers.Feature{
		Name: "news",
		Jobs: []scheduler.Job{
			{Name: "news.fetch", Title: "读取资讯来源", Schedule: scheduler.Every(30 * time.Minute), Missed: scheduler.Skip, Run: f.fetch},
			{Name: "news.post", Title: "发每日资讯", Schedule: scheduler.Daily(9, 0), Missed: scheduler.RunOnce, Run: f.post},
		},
		Console: f.pages(),
	}
}

func newFeature(d handlers.Deps, c Config) *feature {
	if c.Notify == nil {
		c.Notify = func(_ context.Context, _ *store.Tx, text string) error {
			d.Log.Warn("notice for operators", "feature", "news", "text", text)
			return nil
		}
	}
	client := newClient(public)
	if c.AllowPrivateAddresses {
		client = newClient(nil)
	}
	return &feature{d, c, client}
}

// kind is what items are called where they wait for a second person.
const kind = "news"

// cleared says whether an item may be told to groups. Where ask is true and it
// holds a sensitive word, it waits for a second person from now on.
func (f *feature) cleared(ctx context.Context, tx *store.Tx, n store.NewsItem, groups []int64, ask bool) (handlers.Clearance, error) {
	from := n.Source
	if n.OperatorID != 0 {
		from = "运营写的"
	}
	return f.Clears(ctx, tx, handlers.Outgoing{
		Kind: kind, Object: objectOf(n.ID), Title: fmt.Sprintf("第 %d 条资讯（%s）", n.ID, from), Text: said(n), Groups: groups,
		Author: n.OperatorID, Link: "/console/news", Until: n.Day.Add(freshDays).Start(f.Zone), Ask: ask,
	})
}

// said is what of an item is told.
func said(n store.NewsItem) string {
	if n.Link == "" {
		return n.Text
	}
	return n.Text + "\n" + n.Link
}

func objectOf(item int64) string { return "item " + strconv.FormatInt(item, 10) }

// switches are what operators chose about the digest.
type switches struct {
	Off      []int64 `json:"off"`      // groups that get none
	Articles bool    `json:"articles"` // it is shown as articles to press, where all items have links
}

const switchSetting = "news"

func (f *feature) switches(ctx context.Context, tx *store.Tx) (s switches, err error) {
	err = tx.Setting(ctx, switchSetting, &s)
	return s, err
}

// off returns the groups without a digest.
func (s switches) off() map[int64]bool {
	off := make(map[int64]bool, len(s.Off))
	for _, id := range s.Off {
		off[id] = true
	}
	return off
}
