package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sync/errgroup"

	"qunbot/bench/rig"
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
	s, err := newService(ctx, o, databases, 1)
	if err != nil {
		return nil, err
	}
	defer s.close()
	onEmpty, err := s.start(ctx)
	if err != nil {
		return nil, err
	}
	if err := s.Stop(); err != nil {
		return nil, err
	}
	onKnown, err := s.start(ctx)
	if err != nil {
		return nil, err
	}
	defer s.Stop()
	idle := s.Memory("VmRSS")
	results, err := posts(ctx, o, talk, s.address, s.CPU)
	if err != nil {
		return results, err
	}
	fmt.Printf("ready after %s ms on an empty database, %s ms on a known one\n", ms(onEmpty), ms(onKnown))
	fmt.Printf("memory: %.1f MiB idle, %.1f MiB after the load, %.1f MiB at most\n", idle, s.Memory("VmRSS"), s.Memory("VmHWM"))
	return results, nil
}

// A service is the program of this checkout, on an empty database.
type service struct {
	*rig.Child
	dir, program, config, address string
	under                         []string // what it is started by
}

// newService builds the program and its settings, with so many groups.
func newService(ctx context.Context, o options, databases *databases, groups int) (*service, error) {
	s := &service{}
	var err error
	if s.under, err = slowDisk(o.fsync); err != nil {
		return nil, err
	}
	if s.dir, err = os.MkdirTemp("", "qunbot-bench-"); err != nil {
		return nil, err
	}
	if s.program, err = rig.Build(ctx, s.dir, false); err != nil {
		return nil, errors.Join(err, s.close())
	}
	dsn, err := databases.make(ctx, "service")
	if err != nil {
		return nil, errors.Join(err, s.close())
	}
	s.config = filepath.Join(s.dir, "qunbot.yaml")
	if err := writeConfig(s.config, o.driver, dsn, groups); err != nil {
		return nil, errors.Join(err, s.close())
	}
	if s.address, err = rig.FreeAddress(); err != nil {
		return nil, errors.Join(err, s.close())
	}
	return s, nil
}

// start starts the service and returns how long it took to answer.
func (s *service) start(ctx context.Context) (ready time.Duration, err error) {
	if s.Child, err = rig.Start(s.program, s.config, s.address, s.config+".log", s.under...); err != nil {
		return 0, err
	}
	return s.AwaitReady(ctx)
}

func (s *service) close() error { return os.RemoveAll(s.dir) }

// slowDisk returns the command that starts a program whose every flush to the
// disk takes so much longer: strace holds the call up when the kernel is done
// with it, and with --seccomp-bpf costs the other calls next to nothing. A zero
// delay needs no command.
func slowDisk(delay time.Duration) ([]string, error) {
	if delay == 0 {
		return nil, nil
	}
	strace, err := exec.LookPath("strace")
	if err != nil {
		return nil, errors.New("--fsync needs strace: apt-get install strace")
	}
	return []string{strace, "-f", "--seccomp-bpf", "-qq", "-o", "/dev/null", "-e", "trace=fsync,fdatasync",
		"-e", fmt.Sprintf("inject=fsync,fdatasync:delay_exit=%d", delay.Microseconds())}, nil
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

func writeConfig(path, driver, dsn string, groups int) error {
	var b strings.Builder
	fmt.Fprintf(&b, `secret_key_file: qunbot.key
database: {driver: %s, dsn: %q}
wecom:
  corp_id: ww0123456789abcdef
  bots:
    - {name: %s, display_name: %s, token: %s, aes_key: %s}
groups:
`, driver, dsn, rig.BotName, rig.BotTitle, rig.BotToken, rig.BotKey)
	for g := range groups {
		fmt.Fprintf(&b, "  - {chat_id: %s, name: 压测群%d, mall: 示例商场}\n", chatID(g), g)
	}
	return os.WriteFile(path, []byte(b.String()), 0o600)
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
						Key: store.Key("aibot/"+rig.BotName, messageID(d, member)), Endpoint: "aibot/" + rig.BotName, BotName: rig.BotTitle,
						ChatID: chatID(0), ChatKind: store.InternalGroup, From: store.Identity{Kind: store.UserID, Value: userID(member)},
						Text: "@" + rig.BotTitle + " 签到", Addressed: true, SentAt: time.Unix(day.sent.Unix(), 0).UTC(),
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
			Bots: []wecom.Bot{{Name: rig.BotName, DisplayName: rig.BotTitle, Token: rig.BotToken, AESKey: rig.BotKey}},
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
