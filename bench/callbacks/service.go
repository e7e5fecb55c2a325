package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sync/errgroup"

	"qunbot/bot"
	"qunbot/bot/wecom"
	"qunbot/handlers"
	"qunbot/handlers/checkin"
	"qunbot/store"
	"qunbot/wordfilter"
)

// throughService runs the talk through the program in a process of its own,
// and prints how it starts and what memory it takes.
func throughService(ctx context.Context, o options, databases *databases, talk *talk) ([]result, error) {
	dir, err := os.MkdirTemp("", "qunbot-bench-")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	program := filepath.Join(dir, "qunbot")
	if out, err := exec.CommandContext(ctx, "go", "build", "-o", program, "qunbot").CombinedOutput(); err != nil {
		return nil, fmt.Errorf("go build: %w\n%s", err, out)
	}
	dsn, err := databases.make(ctx, "service")
	if err != nil {
		return nil, err
	}
	config, address, err := writeConfig(dir, o.driver, dsn)
	if err != nil {
		return nil, err
	}
	p, err := start(ctx, program, config, address)
	if err != nil {
		return nil, err
	}
	onEmpty := p.ready
	if err := p.stop(); err != nil {
		return nil, err
	}
	if p, err = start(ctx, program, config, address); err != nil {
		return nil, err
	}
	defer p.stop()
	idle := p.memory("VmRSS")
	results, err := posts(ctx, o, talk, address, p.cpu)
	if err != nil {
		return results, err
	}
	fmt.Printf("ready after %s ms on an empty database, %s ms on a known one\n", ms(onEmpty), ms(p.ready))
	fmt.Printf("memory: %.1f MiB idle, %.1f MiB after the load, %.1f MiB at most\n", idle, p.memory("VmRSS"), p.memory("VmHWM"))
	return results, nil
}

// posts plays the whole talk to the service at address; cpu says what CPU time
// it has taken.
func posts(ctx context.Context, o options, talk *talk, address string, cpu func() time.Duration) ([]result, error) {
	var results []result
	for d, day := range talk.days {
		before := cpu()
		r, err := load(ctx, day.name, len(day.said), o.connections, o.limit, func() (worker, error) { return talk.post(address, d) })
		r.cpu = cpu() - before
		if err != nil {
			return results, err
		}
		results = append(results, r)
		if r.done < len(day.said) {
			break // the next day's answers depend on this one's
		}
	}
	return results, nil
}

func writeConfig(dir, driver, dsn string) (path, address string, err error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", "", err
	}
	address = l.Addr().String()
	if err := l.Close(); err != nil {
		return "", "", err
	}
	path = filepath.Join(dir, "qunbot.yaml")
	text := fmt.Sprintf(`listen: %s
secret_key_file: qunbot.key
database: {driver: %s, dsn: %q}
wecom:
  corp_id: ww0123456789abcdef
  bots:
    - {name: %s, display_name: %s, token: %s, aes_key: %s}
groups:
  - {chat_id: %s, name: 压测群, mall: 示例商场}
`, address, driver, dsn, botName, botTitle, botToken, botKey, chatID)
	return path, address, os.WriteFile(path, []byte(text), 0o600)
}

// A child is the service in a process of its own.
type child struct {
	cmd   *exec.Cmd
	stdin io.Closer // while it is open the service runs
	log   string
	ready time.Duration // from start until it answered
}

// start starts the service and waits until it answers.
func start(ctx context.Context, program, config, address string) (*child, error) {
	c := &child{cmd: exec.Command(program, "serve", "--until-eof", "--config", config), log: config + ".log"}
	c.cmd.Env = []string{}
	log, err := os.Create(c.log)
	if err != nil {
		return nil, err
	}
	defer log.Close()
	c.cmd.Stdout, c.cmd.Stderr = log, log
	if c.stdin, err = c.cmd.StdinPipe(); err != nil {
		return nil, err
	}
	began := time.Now()
	if err := c.cmd.Start(); err != nil {
		return nil, err
	}
	for {
		resp, err := http.Get("http://" + address + "/healthz")
		if err == nil {
			resp.Body.Close()
			if resp.StatusCode == http.StatusOK {
				c.ready = time.Since(began)
				return c, nil
			}
		}
		if time.Since(began) > 30*time.Second || ctx.Err() != nil {
			text, _ := os.ReadFile(c.log)
			return nil, errors.Join(fmt.Errorf("the service does not answer: %s", text), c.stop())
		}
		time.Sleep(2 * time.Millisecond)
	}
}

func (c *child) stop() error {
	c.cmd.Process.Signal(syscall.SIGTERM)
	c.stdin.Close()
	return c.cmd.Wait()
}

// memory returns a figure of /proc/PID/status in MiB, 0 where there is none.
func (c *child) memory(name string) float64 {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", c.cmd.Process.Pid))
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

// cpu returns the CPU time that the service has taken, 0 where /proc does not
// say. Its unit there is 10 ms.
//
// Source: https://man7.org/linux/man-pages/man5/proc_pid_stat.5.html
func (c *child) cpu() time.Duration {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", c.cmd.Process.Pid))
	if err != nil {
		return 0
	}
	_, rest, _ := strings.Cut(string(text), ") ") // behind the name, which may have blanks
	fields := strings.Fields(rest)
	user, _ := strconv.ParseInt(fields[11], 10, 64)
	system, _ := strconv.ParseInt(fields[12], 10, 64)
	return time.Duration(user+system) * 10 * time.Millisecond
}

// ownCPU returns the CPU time that this process has taken.
func ownCPU() time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		return 0
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// newEngine returns an engine with the check-in feature.
func newEngine(db *store.Store) (*bot.Engine, error) {
	d := handlers.Deps{Store: db, Words: wordfilter.NewHolder(), Now: time.Now, Zone: zone(), Log: slog.New(slog.DiscardHandler)}
	app, err := handlers.Register(d, []handlers.Feature{checkin.New(d)})
	if err != nil {
		return nil, err
	}
	return app.Engine, nil
}

// straightAtStore runs the talk through an engine in this process.
func straightAtStore(ctx context.Context, o options, databases *databases, talk *talk) ([]result, error) {
	var results []result
	err := withEngine(ctx, databases, func(e *bot.Engine) error {
		for d, day := range talk.days {
			before := ownCPU()
			r, err := load(ctx, day.name, len(day.said), o.connections, o.limit, func() (worker, error) {
				return worker{say: func(member int) error {
					a, err := e.Handle(ctx, bot.Message{
						Key: store.Key("aibot/"+botName, messageID(d, member)), Endpoint: "aibot/" + botName, BotName: botTitle,
						ChatID: chatID, ChatKind: store.InternalGroup, From: store.Identity{Kind: store.UserID, Value: userID(member)},
						Text: "@" + botTitle + " 签到", Addressed: true, SentAt: time.Unix(day.sent.Unix(), 0).UTC(),
					})
					if errors.Is(err, bot.ErrBusy) {
						return errBusy
					}
					if err != nil {
						return err
					}
					return rightAnswer(a.Text, d)
				}}, nil
			})
			r.cpu = ownCPU() - before
			if err != nil {
				return err
			}
			results = append(results, r)
		}
		return nil
	})
	return results, err
}

// throughServer runs the talk through HTTP and an engine in this process.
func throughServer(ctx context.Context, o options, databases *databases, talk *talk) (results []result, err error) {
	err = withEngine(ctx, databases, func(e *bot.Engine) error {
		platform, err := wecom.New(wecom.Config{
			Bots: []wecom.Bot{{Name: botName, DisplayName: botTitle, Token: botToken, AESKey: botKey}},
			Now:  time.Now, Log: slog.New(slog.DiscardHandler),
		})
		if err != nil {
			return err
		}
		mux := http.NewServeMux()
		platform.Mount(mux, e)
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			return err
		}
		server := &http.Server{Handler: mux}
		go server.Serve(l)
		defer server.Close()
		results, err = posts(ctx, o, talk, l.Addr().String(), ownCPU)
		return err
	})
	return results, err
}

// withEngine calls fn with an engine that runs on an empty database.
func withEngine(ctx context.Context, databases *databases, fn func(e *bot.Engine) error) error {
	dsn, err := databases.make(ctx, "engine")
	if err != nil {
		return err
	}
	db, err := store.Open(ctx, store.Options{Driver: databases.driver, DSN: dsn, Zone: zone()})
	if err != nil {
		return err
	}
	defer db.Close()
	e, err := newEngine(db)
	if err != nil {
		return err
	}
	running, stop := context.WithCancel(ctx)
	var g errgroup.Group
	g.Go(func() error { return e.Run(running) })
	err = fn(e)
	stop()
	return errors.Join(err, g.Wait())
}
