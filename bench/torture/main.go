// Command torture proves what the service promises about delivery, or shows
// where it does not hold: it builds the program of this checkout, runs several
// replicas of it, plays the platform on both sides, and kills replicas and
// database all the while.
//
//	go run ./bench/torture            # about a quarter of an hour
//	go run ./bench/torture -short     # less than a minute, for every change
//	go run ./bench/torture -seed 7    # what is said and killed as in another run
//	go run ./bench/torture -race      # replicas built with the race detector
//
// Two phases: four replicas on a MariaDB that is the bench's own and is killed
// as well (or on the server of -dsn, which is not), and one replica on SQLite.
// Members say things by genuine encrypted callbacks through a balancer that
// takes the replicas in turn; as WeCom does, a delivery without a 200 within
// 5 s is repeated, three deliveries in all. One in ten is delivered twice at the
// same time, and one in ten again after it was answered. Operators' /公告 and
// this process push posts, AtLeastOnce and AtMostOnce. The platform that takes
// them answers rightly, late, not at all, or with 45009, 42001, -1 or 502, and
// writes down every request.
//
// Then everything calms down, what waits is sent, the service is stopped, and
// the two accounts are compared: see audit.go. The exit status is 1 if a
// promise is broken. The seed chooses what is said, what is killed and when; the
// scheduler chooses the rest. -short knows no 45009, which would make the end
// wait for a minute.
//
// A killed process is not a machine that loses power: what the kernel had, it
// still writes.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/signal"
	"path/filepath"
	"sync"
	"time"
	_ "time/tzdata"

	"qunbot/bench/rig"
)

// options are the flags.
type options struct {
	seed  uint64
	short bool
	dsn   string
	only  string
	race  bool
	keep  bool
}

func main() {
	var o options
	flag.Uint64Var(&o.seed, "seed", rand.Uint64N(1_000_000), "chooses what is said, what is killed and when")
	flag.BoolVar(&o.short, "short", false, "less than a minute, both databases at the same time")
	flag.StringVar(&o.dsn, "dsn", "", "a MySQL or MariaDB `server` such as root@tcp(127.0.0.1:3306)/, where a database is made and dropped; it is not killed. Empty: a MariaDB of the bench's own")
	flag.StringVar(&o.only, "only", "", "`mysql` or sqlite: one phase alone")
	flag.BoolVar(&o.race, "race", false, "build the service with the race detector; a report fails the run")
	flag.BoolVar(&o.keep, "keep", false, "keep the folder with settings, logs and databases")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	ctx, cancel := context.WithTimeout(ctx, 20*time.Minute)
	defer cancel()
	if err := torture(ctx, o); err != nil {
		fmt.Fprintln(os.Stderr, "torture: "+err.Error())
		os.Exit(1)
	}
}

// A phase is one service under torture.
type phase struct {
	name           string
	driver         string
	replicas       int
	groups         int // each with a webhook
	messagesWanted int
	postsWanted    int // pushed by this process; about a tenth of the messages cause another
	kills          int // of replicas
	databaseKills  int
	length         time.Duration // of the load
	patience       time.Duration // until what is queued must be sent
}

// phases returns what a run consists of.
func phases(short bool) []phase {
	if short {
		return []phase{
			{"4 replicas on MariaDB", "mysql", 4, 200, 1500, 300, 10, 1, 12 * time.Second, 100 * time.Second},
			{"1 replica on SQLite", "sqlite", 1, 60, 500, 100, 5, 0, 12 * time.Second, 100 * time.Second},
		}
	}
	return []phase{
		{"4 replicas on MariaDB", "mysql", 4, 500, 20_000, 4000, 110, 5, 7 * time.Minute, 4 * time.Minute},
		{"1 replica on SQLite", "sqlite", 1, 100, 5000, 1000, 40, 0, 2 * time.Minute, 3 * time.Minute},
	}
}

func torture(ctx context.Context, o options) error {
	began := time.Now()
	dir, err := os.MkdirTemp("", "qunbot-torture-")
	if err != nil {
		return err
	}
	if o.keep {
		fmt.Println("folder", dir)
	} else {
		defer os.RemoveAll(dir)
	}
	fmt.Printf("seed %d\n", o.seed)
	program, err := rig.Build(ctx, dir, o.race)
	if err != nil {
		return err
	}
	var list []phase
	for _, p := range phases(o.short) {
		if o.only == "" || o.only == p.driver {
			list = append(list, p)
		}
	}
	if len(list) == 0 {
		return fmt.Errorf("-only %q: it must be mysql or sqlite", o.only)
	}
	errs := make([]error, len(list))
	var wg sync.WaitGroup
	var out sync.Mutex
	for i, p := range list {
		run := func() {
			report, err := p.run(ctx, o, program, filepath.Join(dir, p.driver))
			out.Lock()
			defer out.Unlock()
			fmt.Printf("\n== %s\n%s", p.name, report)
			if err != nil {
				errs[i] = fmt.Errorf("%s: %w", p.name, err)
			}
		}
		if o.short {
			wg.Go(run)
		} else {
			run()
		}
	}
	wg.Wait()
	fmt.Printf("\n%s in all\n", time.Since(began).Round(time.Second))
	return errors.Join(errs...)
}

// line writes one line of a report.
func line(w io.Writer, name string, value any, note string) {
	fmt.Fprintf(w, "%-28s%8v  %s\n", name, value, note)
}
