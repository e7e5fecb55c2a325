package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"qunbot/bench/rig"
)

// A fleet is some replicas of the service, each started again when it has
// ended, and the balancer before them.
type fleet struct {
	program, config string
	replicas        []*replica
	client          *http.Client
	turn            atomic.Int64 // whose turn it is
	group           sync.WaitGroup

	mu            sync.Mutex
	errs          []error
	kills         int
	databaseKills int
	starts        int // beyond the first ones
	alone         int // ends that nobody wanted: without a database it does not start, for one
}

// A replica is one place where the service listens.
type replica struct {
	address, log string
	mu           sync.Mutex
	child        *rig.Child // nil: it is not running
	stopping     bool
	killed       bool
}

func newFleet(program, config, dir string, n int) (*fleet, error) {
	f := &fleet{program: program, config: config, client: &http.Client{
		Timeout:   5 * time.Second, // as long as WeCom waits
		Transport: &http.Transport{MaxIdleConnsPerHost: 32},
	}}
	for i := range n {
		address, err := rig.FreeAddress()
		if err != nil {
			return nil, err
		}
		f.replicas = append(f.replicas, &replica{address: address, log: filepath.Join(dir, fmt.Sprintf("replica-%d.log", i+1))})
	}
	return f, nil
}

// start starts the replicas, the first before the others: it makes the tables.
func (f *fleet) start(ctx context.Context) error {
	for i, r := range f.replicas {
		if err := f.run(r); err != nil {
			return err
		}
		if i == 0 {
			if _, err := r.child.AwaitReady(ctx); err != nil {
				return err
			}
		}
		f.group.Go(func() { f.supervise(ctx, r) })
	}
	return nil
}

func (f *fleet) run(r *replica) error {
	child, err := rig.Start(f.program, f.config, r.address, r.log)
	r.mu.Lock()
	defer r.mu.Unlock()
	r.child, r.killed = child, false
	return err
}

// supervise starts a replica again until it is told to stop, as systemd does.
func (f *fleet) supervise(ctx context.Context, r *replica) {
	for {
		<-r.child.Ended()
		r.mu.Lock()
		stopping, killed := r.stopping, r.killed
		r.mu.Unlock()
		if stopping || ctx.Err() != nil {
			return
		}
		f.mu.Lock()
		if f.starts++; !killed {
			f.alone++
		}
		f.mu.Unlock()
		time.Sleep(500 * time.Millisecond)
		if err := f.run(r); err != nil {
			f.mu.Lock()
			f.errs = append(f.errs, err)
			f.mu.Unlock()
			return
		}
	}
}

// kill kills a replica as kill -9 does, and reports whether it was running.
func (f *fleet) kill(r *replica) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	select {
	case <-r.child.Ended():
		return false
	default:
	}
	r.killed = true
	r.child.Kill()
	f.mu.Lock()
	f.kills++
	f.mu.Unlock()
	return true
}

// stop lets all replicas end in peace, and returns what went wrong with any in
// its life.
func (f *fleet) stop() error {
	var errs []error
	for _, r := range f.replicas {
		r.mu.Lock()
		r.stopping = true
		child := r.child
		r.mu.Unlock()
		if child == nil {
			continue
		}
		if err := child.Stop(); err != nil {
			errs = append(errs, fmt.Errorf("%s ended with %w, see %s", r.address, err, r.log))
		}
	}
	f.group.Wait()
	for _, r := range f.replicas {
		text, err := os.ReadFile(r.log)
		if err != nil {
			errs = append(errs, err)
		}
		for _, bad := range []string{"WARNING: DATA RACE", "panic:", "fatal error:"} {
			if n := strings.Count(string(text), bad); n > 0 {
				errs = append(errs, fmt.Errorf("%s: %d times %q", r.log, n, bad))
			}
		}
	}
	return errors.Join(append(errs, f.errs...)...)
}

// do sends a request to the replica whose turn it is. One that does not listen
// is passed over, as by any proxy; what was sent to one is not sent to another.
func (f *fleet) do(ctx context.Context, method, path string, body []byte) (status int, answer []byte, err error) {
	for range f.replicas {
		r := f.replicas[int(f.turn.Add(1))%len(f.replicas)]
		req, err := http.NewRequestWithContext(ctx, method, "http://"+r.address+path, strings.NewReader(string(body)))
		if err != nil {
			return 0, nil, err
		}
		resp, err := f.client.Do(req)
		if err != nil && strings.Contains(err.Error(), "connection refused") {
			continue
		}
		if err != nil {
			return 0, nil, err
		}
		defer resp.Body.Close()
		answer, err = io.ReadAll(resp.Body)
		return resp.StatusCode, answer, err
	}
	return 0, nil, errNobody
}

var errNobody = errors.New("no replica is listening")
