package main

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"qunbot/bot"
	"qunbot/config"
	"qunbot/store"
	"qunbot/store/storetest"
)

// A hall is the platform's side of group webhooks. While it holds, nobody is
// answered.
type hall struct {
	*httptest.Server
	arrived chan string   // the texts, as they come
	release chan struct{} // closed: those who were held are answered
}

func newHall(t *testing.T) *hall {
	h := &hall{arrived: make(chan string, 100), release: make(chan struct{})}
	h.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var m struct{ Text struct{ Content string } }
		if err := json.NewDecoder(r.Body).Decode(&m); err != nil {
			t.Errorf("%s: %v", r.URL.Path, err)
		}
		h.arrived <- m.Text.Content
		<-h.release
		fmt.Fprint(w, `{"errcode":0,"errmsg":"ok"}`)
	}))
	t.Cleanup(h.Close)
	return h
}

// await returns the next n texts, sorted.
func (h *hall) await(t *testing.T, n int) string {
	t.Helper()
	var texts []string
	for range n {
		select {
		case text := <-h.arrived:
			texts = append(texts, text)
		case <-time.After(20 * time.Second):
			t.Fatalf("after 20 s only %q arrived, want %d posts", texts, n)
		}
	}
	slices.Sort(texts)
	return strings.Join(texts, " ")
}

// writeHallSettings is writeSettings for groups that are posted to by webhook.
func writeHallSettings(t *testing.T, o store.Options, api string, groups int) (path string) {
	t.Helper()
	path = writeSettings(t, o)
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	settings := strings.Replace(string(text), "wecom:\n", "wecom:\n  api_base: "+api+"\n", 1)
	var list strings.Builder
	list.WriteString("groups:\n")
	for g := range groups {
		fmt.Fprintf(&list, "  - {chat_id: wrkHALL%d, name: 群%d, mall: 示例商场, webhook_key: 00000000-0000-4000-8000-%012d}\n", g, g, g)
	}
	settings = strings.Replace(settings, "groups:\n", list.String(), 1)
	if err := os.WriteFile(path, []byte(settings), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// pushInto pushes a post to each of some groups, AtMostOnce to every second.
// The texts are what and the group's number.
func pushInto(t *testing.T, cfg config.Config, groups int, what string) {
	t.Helper()
	withStore(t, cfg, func(db *store.Store) {
		if err := bootstrap(t.Context(), cfg, db, time.Now()); err != nil {
			t.Fatal(err)
		}
		err := db.Update(t.Context(), func(tx *store.Tx) error {
			for g := range groups {
				chat := fmt.Sprint("wrkHALL", g)
				found, err := tx.GroupsByChat(tx.Context(), []string{chat})
				if err != nil {
					return err
				}
				text := fmt.Sprint(what, g)
				p := bot.Post{Key: store.Key("test", text), Lane: found[chat].Lane(), Reply: bot.Textf("%s", text), Delivery: policyOf(g)}
				if err := bot.Push(tx.Context(), tx, p); err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	})
}

func policyOf(group int) bot.Delivery {
	if group%2 == 0 {
		return bot.AtLeastOnce
	}
	return bot.AtMostOnce
}

// withStore opens the service's database with the service's own key.
func withStore(t *testing.T, cfg config.Config, look func(db *store.Store)) {
	t.Helper()
	db, err := openStore(context.Background(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	look(db)
}

// The service is killed while the platform has its posts and has not answered.
// What may arrive twice is sent again; what may not is not, and a person is
// told that nobody knows. Neither holds up what comes after it.
func TestKillInMidSend(t *testing.T) {
	storetest.EachOptions(t, func(t *testing.T, o store.Options) {
		const groups = 4
		h := newHall(t)
		path := writeHallSettings(t, o, h.URL, groups)
		cfg := loadSettings(t, path)
		pushInto(t, cfg, groups, "first")
		pushInto(t, cfg, groups, "second")

		v := startVictim(t, path, "", 0)
		if got, want := h.await(t, groups), "first0 first1 first2 first3"; got != want {
			t.Errorf("before the kill %q arrived, want %q", got, want)
		}
		v.kill(t)
		close(h.release)

		// The dead process holds its lanes for 20 s: these are passed by a clock
		// that is ahead.
		v = startVictim(t, path, "", 0, crashAhead+"=21s")
		if got, want := h.await(t, groups+2), "first0 first2 second0 second1 second2 second3"; got != want {
			t.Errorf("after the kill %q arrived, want %q", got, want)
		}
		v.stop(t)
		withStore(t, cfg, func(db *store.Store) {
			for g := range groups {
				first, second := postOf(t, db, fmt.Sprint("first", g)), postOf(t, db, fmt.Sprint("second", g))
				want := store.PostSent
				if policyOf(g) == bot.AtMostOnce {
					want = store.PostUnknown
				}
				if first.State != want || (want == store.PostUnknown) != strings.Contains(first.Reason, "中断") {
					t.Errorf("first%d, %s, is %s because %q; want %s", g, first.Delivery, first.State, first.Reason, want)
				}
				if second.State != store.PostSent {
					t.Errorf("second%d is %s, want sent", g, second.State)
				}
			}
		})

		// Nor is it sent ever after.
		pushInto(t, cfg, groups, "third")
		v = startVictim(t, path, "", 0, crashAhead+"=1h")
		if got, want := h.await(t, groups), "third0 third1 third2 third3"; got != want {
			t.Errorf("an hour later %q arrived, want %q", got, want)
		}
		v.stop(t)
		if n := len(h.arrived); n > 0 {
			t.Errorf("%d more posts arrived: %q", n, h.await(t, n))
		}
	})
}

func postOf(t *testing.T, db *store.Store, text string) (p store.Post) {
	t.Helper()
	err := db.View(t.Context(), func(tx *store.Tx) (err error) {
		p, err = tx.PostByKey(tx.Context(), store.Key("test", text))
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return p
}
