package main

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"qunbot/bot"
	"qunbot/config"
	"qunbot/store"
	"qunbot/store/storetest"
)

// These tests kill the service with SIGKILL, which no process can catch, and
// look at what is left. They say nothing about a machine that loses power:
// what the kernel had, it still writes. That is what synchronous=FULL and
// innodb_flush_log_at_trx_commit=1 are for.

// How a test tells the service process what to do.
const (
	crashSettings = "TEST_CRASH_SETTINGS" // path of the settings file
	crashPoint    = "TEST_CRASH_POINT"    // where to stop and wait for the end; empty: nowhere
	crashVisit    = "TEST_CRASH_VISIT"    // at which visit of that point, from 1
	crashAhead    = "TEST_CRASH_AHEAD"    // how far its clock is ahead of the machine's; empty: not at all
)

// crashingService is the program in the process that a test kills. On standard
// output it says where it listens, and when it has come to its point. It ends
// by itself when standard input does: when the test is gone.
func crashingService() {
	stopped, stop := context.WithCancel(context.Background())
	go func() {
		io.Copy(io.Discard, os.Stdin)
		stop()
	}()
	addresses := make(listening, 1)
	go func() { fmt.Println("listening", <-addresses) }()
	point := bot.Point(os.Getenv(crashPoint))
	visit, _ := strconv.Atoi(os.Getenv(crashVisit))
	probe := func(at bot.Point) { // called by one goroutine, the committer
		if at != point {
			return
		}
		if visit--; visit == 0 {
			fmt.Println("at", at)
			select {}
		}
	}
	ahead, _ := time.ParseDuration(os.Getenv(crashAhead))
	now := func() time.Time { return time.Now().Add(ahead) }
	cfg, err := config.Load(os.Getenv(crashSettings), nil)
	if err == nil {
		err = run(stopped, cfg, environment{Now: now, Log: slog.New(addresses), Out: io.Discard, Probe: probe})
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// A victim is the service in a process of its own.
type victim struct {
	*platform
	cmd    *exec.Cmd
	stdin  io.Closer
	stderr bytes.Buffer
	at     chan struct{} // closed when it has come to its point
	said   chan struct{} // closed when it says no more
	killed chan struct{} // closed when it is killed
}

// startVictim starts a service that stops at a visit of a point, or nowhere,
// and waits until it listens. environ is what it is told besides.
func startVictim(t *testing.T, path string, point bot.Point, visit int, environ ...string) *victim {
	t.Helper()
	v := &victim{cmd: exec.Command(os.Args[0]), at: make(chan struct{}), said: make(chan struct{}), killed: make(chan struct{})}
	v.cmd.Env = append([]string{
		childVariable + "=crash", crashSettings + "=" + path,
		crashPoint + "=" + string(point), crashVisit + "=" + strconv.Itoa(visit),
	}, environ...)
	v.cmd.Stderr = &v.stderr
	stdout, err := v.cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if v.stdin, err = v.cmd.StdinPipe(); err != nil {
		t.Fatal(err)
	}
	if err := v.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { v.cmd.Process.Kill() })
	lines := bufio.NewScanner(stdout)
	if !lines.Scan() {
		err := v.cmd.Wait()
		t.Fatalf("the service ended at start: %v\n%s", err, &v.stderr)
	}
	v.platform = newPlatform(strings.TrimPrefix(lines.Text(), "listening "))
	go func() {
		defer close(v.said)
		for lines.Scan() {
			close(v.at)
		}
	}()
	return v
}

// kill kills it as kill -9 does and waits until it is gone.
func (v *victim) kill(t *testing.T) {
	t.Helper()
	close(v.killed)
	if err := v.cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	<-v.said
	v.cmd.Wait() // "signal: killed"
	v.client.CloseIdleConnections()
	v.checkRaces(t)
}

// stop lets it end in peace.
func (v *victim) stop(t *testing.T) {
	t.Helper()
	v.stdin.Close()
	<-v.said
	if err := v.cmd.Wait(); err != nil {
		t.Errorf("the service ended with %v\n%s", err, &v.stderr)
	}
	v.checkRaces(t)
}

// checkRaces fails the test if the race detector has reported anything. The
// service is this test's own binary, so that it has the detector when the test
// has it; who is killed says nothing by the exit code.
func (v *victim) checkRaces(t *testing.T) {
	t.Helper()
	if bytes.Contains(v.stderr.Bytes(), []byte("WARNING: DATA RACE")) {
		t.Errorf("the service has a data race:\n%s", &v.stderr)
	}
}

// await waits until the victim is at its point.
func (v *victim) await(t *testing.T) {
	t.Helper()
	select {
	case <-v.at:
	case <-v.said:
		t.Fatalf("the service ended by itself\n%s", &v.stderr)
	case <-time.After(20 * time.Second):
		t.Fatal("the service has not come to its point within 20 s")
	}
}

// deliverAll delivers sayings at once. The answers come in the order of the
// sayings; an answer's err says that there was none.
func (v *victim) deliverAll(ctx context.Context, sayings []saying) <-chan []outcome {
	all := make(chan []outcome, 1)
	go func() {
		outcomes := make([]outcome, len(sayings))
		var wg sync.WaitGroup
		for i, s := range sayings {
			wg.Go(func() { outcomes[i].reply, outcomes[i].err = v.deliver(ctx, s) })
		}
		wg.Wait()
		all <- outcomes
	}()
	return all
}

// An outcome is what became of a delivery: acknowledged with a reply, or not.
type outcome struct {
	reply reply
	err   error
}

func TestKillAtNamedPoints(t *testing.T) {
	const firstCheckIn = "签到成功！连续 1 天，积分 +5，现有 5 分"
	tests := []struct {
		point bot.Point
		// What is left of a transaction that was under way at the kill.
		committed bool
	}{
		{bot.BeforeCommit, false},
		{bot.AfterCommit, true},
	}
	for _, tt := range tests {
		t.Run(strings.ReplaceAll(string(tt.point), " ", "-"), func(t *testing.T) {
			storetest.EachOptions(t, func(t *testing.T, o store.Options) {
				path := writeSettings(t, o)
				sayings := make([]saying, 20)
				for n := range sayings {
					sayings[n] = saying{id: fmt.Sprint("m", n), who: fmt.Sprint("member", n), text: "签到", sent: time.Now()}
				}
				first, others := sayings[0], sayings[1:]

				// The first message goes through; the others are on their way
				// when the second transaction comes to the point.
				v := startVictim(t, path, tt.point, 2)
				acknowledged := v.mustDeliver(t, first)
				waiting := v.deliverAll(t.Context(), others)
				v.await(t)
				v.kill(t)
				for i, a := range <-waiting {
					if a.err == nil {
						t.Errorf("message %s was acknowledged with %q, but its answer had not left yet", others[i].id, a.reply.text)
					}
				}
				booked := map[string]bool{}
				withDatabase(t, o, func(db *store.Store) {
					for n, s := range sayings {
						switch got := standingOf(t, db, s.who); got {
						case standing{}:
						case standing{1, 1, 5}:
							booked[s.id] = true
						default:
							t.Errorf("standing of member %d after the kill = %+v, want nothing or one check-in", n, got)
						}
					}
					verifyLedger(t, db)
				})
				if !booked[first.id] {
					t.Errorf("the acknowledged message %s is lost", first.id)
				}
				if got := len(booked) > 1; got != tt.committed {
					t.Errorf("after a kill %s, %d of the messages without an answer are booked; want some: %v", tt.point, len(booked)-1, tt.committed)
				}

				// The platform delivers again what got no answer, and in a bad
				// moment also what did.
				v = startVictim(t, path, "", 0)
				for i, a := range <-v.deliverAll(t.Context(), sayings) {
					if a.err != nil || a.reply.text != firstCheckIn || a.reply.replayed != booked[sayings[i].id] {
						t.Errorf("message %s again = %+v, want %q, replayed %v", sayings[i].id, a, firstCheckIn, booked[sayings[i].id])
					}
					if i == 0 && a.reply.plain != acknowledged.plain {
						t.Errorf("the acknowledged message again = %s, want %s", a.reply.plain, acknowledged.plain)
					}
				}
				v.stop(t)
				withDatabase(t, o, func(db *store.Store) {
					for n, s := range sayings {
						if got, want := standingOf(t, db, s.who), (standing{1, 1, 5}); got != want {
							t.Errorf("standing of member %d in the end = %+v, want %+v", n, got, want)
						}
					}
					verifyLedger(t, db)
				})
			})
		})
	}
}

// Between two batches nothing is under way: what was answered is there, what
// waited is not.
func TestKillBetweenBatches(t *testing.T) {
	storetest.EachOptions(t, func(t *testing.T, o store.Options) {
		path := writeSettings(t, o)
		answered := saying{id: "m0", who: "member0", text: "签到", sent: time.Now()}
		waiting := saying{id: "m1", who: "member1", text: "签到", sent: time.Now()}
		v := startVictim(t, path, bot.BetweenBatches, 1)
		acknowledged := v.mustDeliver(t, answered)
		v.await(t)
		outcomes := v.deliverAll(t.Context(), []saying{waiting})
		if got := <-getHealth(v); got != nil { // sent after the message: the service is there, only its committer is not
			t.Errorf("GET /healthz between two batches: %v", got)
		}
		v.kill(t)
		if a := (<-outcomes)[0]; a.err == nil {
			t.Errorf("a message that waited was acknowledged with %q", a.reply.text)
		}
		withDatabase(t, o, func(db *store.Store) {
			if got, want := standingOf(t, db, answered.who), (standing{1, 1, 5}); got != want {
				t.Errorf("standing of who was answered = %+v, want %+v", got, want)
			}
			if got := standingOf(t, db, waiting.who); got != (standing{}) {
				t.Errorf("standing of who waited = %+v, want nothing", got)
			}
		})
		v = startVictim(t, path, "", 0)
		if again := v.mustDeliver(t, answered); again.plain != acknowledged.plain || !again.replayed {
			t.Errorf("the answered message again = %+v, want %s, replayed", again, acknowledged.plain)
		}
		if again := v.mustDeliver(t, waiting); !strings.Contains(again.text, "+5") || again.replayed {
			t.Errorf("the message that waited, again = %+v, want +5, not replayed", again)
		}
		v.stop(t)
		withDatabase(t, o, func(db *store.Store) {
			for _, s := range []saying{answered, waiting} {
				if got, want := standingOf(t, db, s.who), (standing{1, 1, 5}); got != want {
					t.Errorf("standing of %s in the end = %+v, want %+v", s.who, got, want)
				}
			}
			verifyLedger(t, db)
		})
	})
}

func getHealth(v *victim) <-chan error {
	done := make(chan error, 1)
	go func() {
		resp, err := v.client.Get(strings.TrimSuffix(v.url, "/wecom/aibot/"+testBot) + "/healthz")
		if err == nil {
			resp.Body.Close()
		}
		done <- err
	}()
	return done
}

// A visitor is one member of TestKillsUnderLoad, who wants one check-in.
type visitor struct {
	saying
	tries        int     // deliveries of this saying
	again        bool    // said it a second time, because the first got no answer
	givesUp      bool    // does not say it a second time
	acknowledged []reply // what the member saw; at most one
}

const (
	maxDeliveries = 3  // of one message: then WeCom gives up
	atOnce        = 16 // messages under way
)

// Many members check in while the service is killed again and again, at its
// named points and at moments of chance. What was acknowledged is there, and
// nothing is there twice.
func TestKillsUnderLoad(t *testing.T) {
	members, kills := 2000, 50
	if testing.Short() {
		members, kills = 240, 6
	}
	seed := rand.Uint64()
	t.Logf("seed %d", seed) // chooses where to kill; the scheduler chooses the rest
	storetest.EachOptions(t, func(t *testing.T, o store.Options) {
		path := writeSettings(t, o)
		dice := rand.New(rand.NewPCG(seed, 0))
		sent := time.Now()
		visitors := make([]*visitor, members)
		for n := range visitors {
			visitors[n] = &visitor{
				saying:  saying{id: fmt.Sprint("m", n), who: fmt.Sprint("member", n), text: "签到", sent: sent},
				givesUp: n%2 == 1,
			}
		}
		var wait []*visitor // came and have no answer
		fresh := visitors   // have not come yet
		points := []bot.Point{bot.BeforeCommit, bot.AfterCommit, bot.BetweenBatches}
		share := members / (kills + 1)
		for life := range kills {
			wait, fresh = append(wait, fresh[:share]...), fresh[share:]
			var v *victim
			if life%2 == 0 {
				v = startVictim(t, path, points[dice.IntN(len(points))], 1+dice.IntN(3))
				v.play(t, wait, share+1)
			} else {
				v = startVictim(t, path, "", 0)
				v.play(t, wait, 1+dice.IntN(share)) // wherever the service is then
			}
			wait = stillWaiting(wait)
		}
		wait = append(wait, fresh...)
		v := startVictim(t, path, "", 0)
		for len(wait) > 0 {
			v.round(t, wait, func() {})
			wait = stillWaiting(wait)
		}
		// WeCom may deliver again even what was acknowledged.
		again := make([]saying, 0, members)
		var seen []reply
		for _, m := range visitors {
			if len(m.acknowledged) > 0 {
				again, seen = append(again, m.saying), append(seen, m.acknowledged[0])
			}
		}
		for from := 0; from < len(again); from += atOnce {
			to := min(from+atOnce, len(again))
			for i, a := range <-v.deliverAll(t.Context(), again[from:to]) {
				if a.err != nil || a.reply.plain != seen[from+i].plain || !a.reply.replayed {
					t.Errorf("acknowledged message of %s again = %+v, want %s, replayed", again[from+i].who, a, seen[from+i].plain)
				}
			}
		}
		v.stop(t)
		checkStandings(t, o, visitors)
	})
}

// play delivers to a service that is going to be killed: after so many
// answers, or at its point, or when there is nobody left.
func (v *victim) play(t *testing.T, visitors []*visitor, answers int) {
	t.Helper()
	enough, ended := make(chan struct{}), make(chan struct{})
	var heard atomic.Int64
	go func() {
		defer close(ended)
		v.round(t, visitors, func() {
			if heard.Add(1) == int64(answers) {
				close(enough)
			}
		})
	}()
	select {
	case <-enough:
	case <-v.at:
	case <-ended:
	case <-time.After(30 * time.Second):
		t.Error("the service neither answers nor comes to its point")
	}
	v.kill(t)
	<-ended
}

// round delivers each visitor's message once, some at once, until the service
// is killed. It calls heard after each acknowledgement.
func (v *victim) round(t *testing.T, visitors []*visitor, heard func()) {
	queue := make(chan *visitor)
	var wg sync.WaitGroup
	for range atOnce {
		wg.Go(func() {
			for m := range queue {
				m.tries++
				r, err := v.deliver(t.Context(), m.saying)
				if err != nil {
					continue // the next life's
				}
				if !strings.Contains(r.text, "积分 +5，现有 5 分") && !(m.again && strings.Contains(r.text, "已经签到过")) {
					t.Errorf("签到 of %s, said again: %v = %q, want +5 and 5 points", m.who, m.again, r.text)
				}
				m.acknowledged = append(m.acknowledged, r)
				heard()
			}
		})
	}
	defer wg.Wait()
	defer close(queue)
	for _, m := range visitors {
		select {
		case queue <- m:
		case <-v.killed:
			return
		}
	}
}

// stillWaiting returns who has no answer yet. When WeCom has given up on a
// message, half of the members say it once more, and half give up as well.
func stillWaiting(visitors []*visitor) []*visitor {
	var wait []*visitor
	for _, m := range visitors {
		switch {
		case len(m.acknowledged) > 0:
			continue
		case m.tries == maxDeliveries && m.givesUp:
			continue
		case m.tries == maxDeliveries:
			m.id, m.tries, m.again = m.id+"-again", 0, true
		}
		wait = append(wait, m)
	}
	return wait
}

// checkStandings checks that each acknowledged member has one check-in and
// one award, and everybody else at most one.
func checkStandings(t *testing.T, o store.Options, visitors []*visitor) {
	t.Helper()
	withDatabase(t, o, func(db *store.Store) {
		acknowledged, again, unheard := 0, 0, 0
		for _, m := range visitors {
			got, once := standingOf(t, db, m.who), standing{1, 1, 5}
			switch {
			case len(m.acknowledged) > 0:
				acknowledged++
				if got != once {
					t.Errorf("standing of %s, who saw %q = %+v, want %+v", m.who, m.acknowledged[0].text, got, once)
				}
			default:
				unheard++
				if got != once && got != (standing{}) {
					t.Errorf("standing of %s, who saw no answer = %+v, want %+v or nothing", m.who, got, once)
				}
			}
			if m.again {
				again++
			}
		}
		verifyLedger(t, db)
		t.Logf("%d acknowledged, %d of them said it again; %d gave up", acknowledged, again, unheard)
	})
}
