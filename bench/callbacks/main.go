// Command callbacks measures how many check-ins a second the service makes
// durable: it builds the program of this checkout, starts it on an empty
// database, and plays the platform, with encrypted and signed callbacks of
// many members over loopback HTTP.
//
//	go run ./bench/callbacks
//	go run ./bench/callbacks --driver mysql --dsn 'root@tcp(127.0.0.1:3306)/'
//	go run ./bench/callbacks --fsync 2ms
//	go run ./bench/callbacks --overload
//
// Each member says 签到 twice: first as somebody new, for yesterday, then as
// somebody known, for today. Beside it stands the same work without HTTP,
// encryption and a second process: the same messages handed straight to a
// bot.Engine with the check-in feature, on an empty database of the same kind.
//
// With --fsync every flush to the disk takes so much longer in the service, as
// on a slow disk: strace does that.
//
// With --overload 100,000 members of 500 groups talk at a constant rate that
// does not wait for answers: first what the service can do, and then twice as
// much. See overload.go.
//
// The callbacks are encrypted before the clock starts, because the machine
// that measures is the machine that is measured. The generator still takes its
// share of it: writing requests, reading answers, decrypting them.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"runtime"
	"runtime/pprof"
	"text/tabwriter"
	"time"
	_ "time/tzdata"
)

// options are the flags.
type options struct {
	driver, dsn string
	members     int
	connections int
	limit       time.Duration // of one run
	profile     string
	fsync       time.Duration
	overload    bool
	phase       time.Duration // of --overload
}

func main() {
	var o options
	flag.StringVar(&o.driver, "driver", "sqlite", "`sqlite` or mysql")
	flag.StringVar(&o.dsn, "dsn", "", "sqlite: a folder for the files (empty: a temporary one); mysql: a `server` such as root@tcp(127.0.0.1:3306)/, where databases are made and dropped")
	flag.IntVar(&o.members, "members", 20_000, "how many members say 签到")
	flag.IntVar(&o.connections, "connections", 128, "how many callbacks are under way at once")
	flag.DurationVar(&o.limit, "time", 20*time.Second, "how long a run may take; it ends sooner when everybody has said it")
	flag.StringVar(&o.profile, "profile", "", "`file` for a CPU profile; the service then runs inside this process")
	flag.DurationVar(&o.fsync, "fsync", 0, "how much longer a flush to the disk takes in the service")
	flag.BoolVar(&o.overload, "overload", false, "what happens at capacity and at twice that")
	flag.DurationVar(&o.phase, "phase", 30*time.Second, "with --overload: how long at capacity, and at twice that")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := bench(ctx, o); err != nil {
		fmt.Fprintln(os.Stderr, "callbacks: "+err.Error())
		os.Exit(1)
	}
}

func bench(ctx context.Context, o options) error {
	databases, err := newDatabases(ctx, o)
	if err != nil {
		return err
	}
	defer databases.drop()
	fmt.Printf("%s, %d CPUs, %s/%s, %s; %d members, %d at once, at most %s a run\n",
		o.driver, runtime.NumCPU(), runtime.GOOS, runtime.GOARCH, runtime.Version(), o.members, o.connections, o.limit)
	if err := databases.describe(ctx); err != nil {
		return err
	}
	if o.fsync > 0 {
		fmt.Printf("in the service every flush takes %s longer\n", o.fsync)
	}
	if o.overload {
		return overload(ctx, o, databases)
	}
	talk := newTalk(o.members, time.Now())
	if o.profile != "" {
		return profiled(ctx, o, databases, talk)
	}
	through, err := throughService(ctx, o, databases, talk)
	if err != nil {
		return fmt.Errorf("service: %w", err)
	}
	if o.fsync > 0 { // it would run here, where the disk is as it is
		table(through, nil)
		return nil
	}
	straight, err := straightAtStore(ctx, o, databases, talk)
	if err != nil {
		return fmt.Errorf("straight at the store: %w", err)
	}
	table(through, straight)
	return nil
}

// profiled runs the service in this process, where it can be profiled.
func profiled(ctx context.Context, o options, databases *databases, talk *talk) error {
	f, err := os.Create(o.profile)
	if err != nil {
		return err
	}
	defer f.Close()
	if err := pprof.StartCPUProfile(f); err != nil {
		return err
	}
	results, err := throughServer(ctx, o, databases, talk)
	pprof.StopCPUProfile()
	if err != nil {
		return err
	}
	table(results, nil)
	fmt.Println("CPU profile, the load generator included:", o.profile)
	return nil
}

// table prints results, and beside them those they are compared with.
func table(results, compared []result) {
	w := tabwriter.NewWriter(os.Stdout, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(w, "\t\tcheck-ins\tper second\tCPU ms each\tp50 ms\tp99 ms\tmax ms\t503\tother\t")
	row := func(name string, r result) {
		fmt.Fprintf(w, "%s\t%s\t%d\t%.0f\t%s\t%s\t%s\t%s\t%d\t%d\t\n", r.phase, name, r.done, r.perSecond(), ms3(r.cpuEach()),
			ms(r.quantile(0.50)), ms(r.quantile(0.99)), ms(r.quantile(1)), r.busy, r.failed)
	}
	for i, r := range results {
		row("service", r)
		if i < len(compared) {
			c := compared[i]
			row("engine alone", c)
			fmt.Fprintf(w, "\tratio\t\t%.2f\t%.2f\t%.2f\t%.2f\t%.2f\t\t\t\n", r.perSecond()/c.perSecond(),
				float64(r.cpuEach())/float64(max(c.cpuEach(), 1)),
				ratio(r, c, 0.50), ratio(r, c, 0.99), ratio(r, c, 1))
		}
	}
	w.Flush()
}

func ratio(r, c result, q float64) float64 {
	return float64(r.quantile(q)) / float64(max(c.quantile(q), 1))
}

func ms3(d time.Duration) string { return fmt.Sprintf("%.3f", float64(d)/float64(time.Millisecond)) }

func ms(d time.Duration) string { return fmt.Sprintf("%.1f", float64(d)/float64(time.Millisecond)) }
