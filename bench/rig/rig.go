// Package rig is what the benches share: the program of this checkout as a
// process of its own, and callbacks as the platform makes them.
package rig

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// Build builds the program into dir and returns its path; race: with the race
// detector.
func Build(ctx context.Context, dir string, race bool) (program string, err error) {
	program = filepath.Join(dir, "qunbot")
	args := []string{"build", "-o", program}
	if race {
		args = append(args, "-race")
	}
	if out, err := exec.CommandContext(ctx, "go", append(args, "qunbot")...).CombinedOutput(); err != nil {
		return "", fmt.Errorf("go build: %w\n%s", err, out)
	}
	return program, nil
}

// FreeAddress returns an address on the loopback that nobody listens on.
func FreeAddress() (string, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	return l.Addr().String(), l.Close()
}

// A Child is the service in a process of its own. It ends with its parent.
type Child struct {
	cmd     *exec.Cmd
	stdin   io.Closer // while it is open the service runs
	log     string
	address string
	began   time.Time
	ended   chan struct{} // closed when the process is gone
	err     error         // of its end; read it after ended
}

// Start starts the service with a settings file, listening on address, and
// appends what it prints to the file log. under is a command that the service
// is started by, such as strace; it may be empty.
func Start(program, config, address, log string, under ...string) (*Child, error) {
	command := append(append([]string{}, under...), program, "serve", "--until-eof", "--config", config)
	c := &Child{cmd: exec.Command(command[0], command[1:]...), log: log, address: address, ended: make(chan struct{})}
	c.cmd.Env = []string{"QUNBOT_LISTEN=" + address}
	c.cmd.SysProcAttr = DieWithParent()
	out, err := os.OpenFile(log, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return nil, err
	}
	defer out.Close()
	c.cmd.Stdout, c.cmd.Stderr = out, out
	if c.stdin, err = c.cmd.StdinPipe(); err != nil {
		return nil, err
	}
	c.began = time.Now()
	if err := c.cmd.Start(); err != nil {
		return nil, err
	}
	go func() {
		c.err = c.cmd.Wait()
		close(c.ended)
	}()
	return c, nil
}

// AwaitReady waits until the service answers, and returns how long that took
// from its start.
func (c *Child) AwaitReady(ctx context.Context) (time.Duration, error) {
	for {
		resp, err := http.Get("http://" + c.address + "/healthz")
		if err == nil {
			resp.Body.Close()
			if resp.StatusCode == http.StatusOK {
				return time.Since(c.began), nil
			}
		}
		select {
		case <-c.ended:
		case <-ctx.Done():
		case <-time.After(2 * time.Millisecond):
			if time.Since(c.began) < 30*time.Second {
				continue
			}
		}
		text, _ := os.ReadFile(c.log)
		return 0, errors.Join(fmt.Errorf("the service does not answer: %s", text), c.Stop())
	}
}

// Ended is closed when the process is gone.
func (c *Child) Ended() <-chan struct{} { return c.ended }

// Kill ends the process as kill -9 does, and waits until it is gone.
func (c *Child) Kill() {
	c.cmd.Process.Kill()
	<-c.ended
}

// Stop lets the service end in peace, and returns an error if it does not.
func (c *Child) Stop() error {
	syscall.Kill(c.pid(), syscall.SIGTERM)
	c.stdin.Close()
	<-c.ended
	return c.err
}

// pid returns the service's process: what strace has started, where there is
// one between us.
func (c *Child) pid() int {
	pid := c.cmd.Process.Pid
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/task/%d/children", pid, pid))
	if children := strings.Fields(string(text)); err == nil && len(children) == 1 {
		if child, err := strconv.Atoi(children[0]); err == nil {
			return child
		}
	}
	return pid
}

// Memory returns a figure of /proc/PID/status, such as VmRSS, in MiB; 0 where
// there is none.
func (c *Child) Memory(name string) float64 {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", c.pid()))
	if err != nil {
		return 0
	}
	for line := range strings.Lines(string(text)) {
		if rest, ok := strings.CutPrefix(line, name+":"); ok {
			kib, _ := strconv.ParseFloat(strings.Fields(rest)[0], 64)
			return kib / 1024
		}
	}
	return 0
}

// CPU returns the CPU time that the service has taken, 0 where /proc does not
// say. Its unit there is 10 ms.
//
// Source: https://man7.org/linux/man-pages/man5/proc_pid_stat.5.html
func (c *Child) CPU() time.Duration {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", c.pid()))
	if err != nil {
		return 0
	}
	_, rest, _ := strings.Cut(string(text), ") ") // behind the name, which may have blanks
	fields := strings.Fields(rest)
	user, _ := strconv.ParseInt(fields[11], 10, 64)
	system, _ := strconv.ParseInt(fields[12], 10, 64)
	return time.Duration(user+system) * 10 * time.Millisecond
}
