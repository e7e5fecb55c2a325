// Package bottest plays conversations against a real engine on a real
// database, and holds what the bot says against a transcript.
//
// A transcript is a text file that operators can read:
//
//	# What it is about.
//	2025-03-01 23:59 小王: 签到
//	> 签到成功！连续 1 天，积分 +5，现有 5 分
//	2025-03-02 09:00 小王 (私聊): 明细
//	> …
//
// Lines that begin with ">" are the bot's, one a line of its answer; no such
// line means that it says nothing. A message whose time is before that of an
// earlier line arrives late. "! 店长 owner" makes 店长 an operator with that
// role. With -update the bot's lines are rewritten.
package bottest

import (
	"context"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"qunbot/bot"
	"qunbot/store"
	"qunbot/store/storetest"
)

var update = flag.Bool("update", false, "rewrite the bot's lines in the transcripts")

// said matches what somebody says in a transcript.
var said = regexp.MustCompile(`^(\d{4}-\d\d-\d\d \d\d:\d\d(?::\d\d)?) (\S+?)( \(私聊\))?: (.*)$`)

// Play runs the transcripts testdata/*.chat, each on an empty SQLite and an
// empty MySQL database. newEngine makes the engine to talk to; now is the
// transcript's clock.
func Play(t *testing.T, newEngine func(t *testing.T, db *store.Store, now func() time.Time) *bot.Engine) {
	t.Helper()
	paths, err := filepath.Glob("testdata/*.chat")
	if err != nil || len(paths) == 0 {
		t.Fatalf("no transcripts in testdata: %v", err)
	}
	for _, path := range paths {
		t.Run(strings.TrimSuffix(filepath.Base(path), ".chat"), func(t *testing.T) {
			storetest.Each(t, func(t *testing.T, db *store.Store) {
				talk := &talk{t: t, db: db}
				talk.engine = newEngine(t, db, func() time.Time { return talk.now })
				Run(t, talk.engine)
				talk.play(path)
			})
		})
	}
}

// Run runs an engine until the test ends.
func Run(t *testing.T, e *bot.Engine) {
	t.Helper()
	ctx, stop := context.WithCancel(context.Background())
	stopped := make(chan error)
	go func() { stopped <- e.Run(ctx) }()
	t.Cleanup(func() {
		stop()
		if err := <-stopped; err != nil {
			t.Errorf("engine: %v", err)
		}
	})
}

type talk struct {
	t      *testing.T
	db     *store.Store
	engine *bot.Engine
	now    time.Time
	number int // of messages
}

func (k *talk) play(path string) {
	k.t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		k.t.Fatal(err)
	}
	var got strings.Builder
	for n, line := range strings.Split(strings.TrimRight(string(text), "\n"), "\n") {
		if strings.HasPrefix(line, ">") {
			continue // what the bot should say; it comes from the engine
		}
		got.WriteString(line + "\n")
		switch {
		case line == "" || strings.HasPrefix(line, "#"):
		case strings.HasPrefix(line, "!"):
			k.promote(line)
		case said.MatchString(line):
			for _, l := range strings.Split(k.say(said.FindStringSubmatch(line)), "\n") {
				if l != "" {
					got.WriteString("> " + l + "\n")
				}
			}
		default:
			k.t.Fatalf("%s:%d: %q is neither a message nor an answer", path, n+1, line)
		}
	}
	if got.String() == string(text) {
		return
	}
	if *update {
		if err := os.WriteFile(path, []byte(got.String()), 0o644); err != nil {
			k.t.Fatal(err)
		}
		return
	}
	k.t.Errorf("%s: the talk went\n%s\nwant\n%s", path, got.String(), text)
}

func (k *talk) promote(line string) {
	k.t.Helper()
	var name, role string
	if _, err := fmt.Sscanf(line, "! %s %s", &name, &role); err != nil {
		k.t.Fatalf("%q: %v", line, err)
	}
	err := k.db.Update(k.t.Context(), func(tx *store.Tx) error {
		_, err := tx.PutOperator(tx.Context(), store.Operator{UserID: name, Name: name, Role: store.Role(role), CreatedAt: k.now})
		return err
	})
	if err != nil {
		k.t.Fatal(err)
	}
}

func (k *talk) say(line []string) string {
	k.t.Helper()
	stamp, who, private, text := line[1], line[2], line[3] != "", line[4]
	if len(stamp) == len("2006-01-02 15:04") {
		stamp += ":00"
	}
	at, err := time.ParseInLocation(time.DateTime, stamp, storetest.Zone())
	if err != nil {
		k.t.Fatal(err)
	}
	if at.After(k.now) {
		k.now = at
	}
	k.number++
	m := bot.Message{
		Key: store.Key("test", k.number), Endpoint: "test", BotName: "小助手",
		ChatID: "wrk1", ChatKind: store.InternalGroup,
		From: store.Identity{Kind: store.UserID, Value: who},
		Text: text, Addressed: true, SentAt: at.UTC(),
	}
	if private {
		m.ChatID = ""
	}
	answer, err := k.engine.Handle(k.t.Context(), m)
	if err != nil {
		k.t.Fatalf("%s %s: %v", stamp, who, err)
	}
	return answer.Text
}
