// Command qunbot runs the fan groups of shopping malls on WeCom (企业微信).
//
// This file is the commands; serve.go puts the program together.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"runtime/debug"
	"syscall"
	"time"
	_ "time/tzdata" // Asia/Shanghai also where the machine has no zones

	"github.com/alecthomas/kong"

	"qunbot/config"
	"qunbot/store"
)

// version is set when a release is built: -ldflags "-X main.version=v1.2.3".
var version = ""

type commands struct {
	Demo    demoCommand    `cmd:"" help:"在本机演示：服务、模拟的企业微信和示例商场，不需要账号和网络。"`
	Serve   serveCommand   `cmd:"" help:"运行服务。"`
	Check   checkCommand   `cmd:"" help:"检查设置、数据库和企业微信凭证，说明哪里不对、怎么改。"`
	Migrate migrateCommand `cmd:"" help:"建立或升级数据库。"`
	Backup  backupCommand  `cmd:"" help:"备份整个数据库到一个文件，服务不用停。"`
	Restore restoreCommand `cmd:"" help:"用备份文件恢复数据库，先停服务。"`
	Job     struct {
		List jobListCommand `cmd:"" help:"列出定时任务。"`
		Run  jobRunCommand  `cmd:"" help:"在本进程里运行一次任务。"`
	} `cmd:"" help:"定时任务。"`
	Ledger struct {
		Verify ledgerVerifyCommand `cmd:"" help:"核对积分账：分录、批次和余额必须相等。"`
	} `cmd:"" help:"积分账。"`
	Draw struct {
		Verify drawVerifyCommand `cmd:"" help:"用公布的记录重新计算一次抽奖。"`
	} `cmd:"" help:"抽奖。"`
	Words struct {
		Scan wordsScanCommand `cmd:"" help:"从标准输入读 JSON 行 {\"text\":…}，输出命中的词。"`
	} `cmd:"" help:"敏感词。"`
	Operator struct {
		Add operatorAddCommand `cmd:"" help:"添加后台账号，打印一次性链接。"`
	} `cmd:"" help:"后台账号。"`
	Version versionCommand `cmd:"" help:"显示版本。"`
}

// A process is what a command gets from the world around it.
type process struct {
	ctx     context.Context // done when the program is told to stop
	out     io.Writer
	environ []string
	now     func() time.Time
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	p := process{ctx: ctx, out: os.Stdout, environ: os.Environ(), now: time.Now}
	var c commands
	k := kong.Parse(&c, kong.Name("qunbot"), kong.Description("企业微信粉丝群机器人与群管理。"), kong.UsageOnError())
	if err := k.Run(p); err != nil {
		fmt.Fprintln(os.Stderr, "qunbot: "+err.Error())
		os.Exit(1)
	}
}

// settings are the flags of every command that reads the settings.
type settings struct {
	Config string `help:"设置文件。" type:"path" placeholder:"qunbot.yaml"`
}

func (s settings) load(p process) (config.Config, error) {
	cfg, err := config.Load(s.Config, p.environ)
	if err != nil {
		return cfg, fmt.Errorf("设置有问题：\n%w", err)
	}
	return cfg, nil
}

// open loads the settings and opens their database.
func (s settings) open(p process) (config.Config, *store.Store, error) {
	cfg, err := s.load(p)
	if err != nil {
		return cfg, nil, err
	}
	db, err := openStore(p.ctx, cfg)
	return cfg, db, err
}

func openStore(ctx context.Context, cfg config.Config) (*store.Store, error) {
	key, err := secretKey(cfg)
	if err != nil {
		return nil, err
	}
	db, err := store.Open(ctx, storeOptions(cfg, key))
	return db, explain(err)
}

// storeOptions are of the database that seals with this secret key.
func storeOptions(cfg config.Config, key []byte) store.Options {
	return store.Options{Driver: cfg.Database.Driver, DSN: cfg.Database.DSN.Reveal(), Zone: cfg.Zone(), Secret: key}
}

// explain says what to do about a database that cannot be used as it is.
func explain(err error) error {
	switch {
	case errors.Is(err, store.ErrNewer):
		return fmt.Errorf("这个数据库已经被更新版本的 qunbot 升级过，旧程序不能再用它，数据没有改动。请换回新版本的程序；一定要退回旧版本，就用升级前的备份恢复：qunbot restore（%w）", err)
	case errors.Is(err, store.ErrHalfRestored):
		return fmt.Errorf("这个数据库上次恢复到一半就断了，现在不完整。请重新恢复：qunbot restore --in 备份文件 --overwrite（%w）", err)
	}
	return err
}

type serveCommand struct {
	settings
	UntilEOF   bool          `hidden:"" help:"Stop when standard input ends: for a parent process that may be killed."`
	ClockAhead time.Duration `hidden:"" help:"How far the clock is ahead of the machine's: for the demo."`
}

func (c serveCommand) Run(p process) error {
	cfg, err := c.load(p)
	if err != nil {
		return err
	}
	ctx := p.ctx
	if c.UntilEOF {
		ended, stop := context.WithCancel(ctx)
		defer stop()
		go func() {
			io.Copy(io.Discard, os.Stdin)
			stop()
		}()
		ctx = ended
	}
	log := newLog(os.Stderr, cfg)
	for _, w := range cfg.Warnings {
		log.Warn("setting", "problem", w.Error())
	}
	now := func() time.Time { return p.now().Add(c.ClockAhead) }
	return run(ctx, cfg, environment{Now: now, Log: log, Out: p.out, Clock: p.now})
}

type migrateCommand struct{ settings }

func (c migrateCommand) Run(p process) error {
	_, db, err := c.open(p) // opening migrates
	if err != nil {
		return err
	}
	fmt.Fprintln(p.out, "数据库已是最新。")
	return db.Close()
}

type versionCommand struct{}

func (versionCommand) Run(p process) error {
	_, err := fmt.Fprintln(p.out, "qunbot "+programVersion())
	return err
}

func programVersion() string {
	if info, ok := debug.ReadBuildInfo(); ok && version == "" {
		return info.Main.Version
	}
	return version
}

// errProblems is returned by a command that has printed what is wrong.
var errProblems = errors.New("有问题，见上")
