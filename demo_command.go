package main

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/http/httputil"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"qunbot/config"
	"qunbot/demo"
	"qunbot/simulator"
	"qunbot/store"
	"qunbot/web/console"
)

type demoCommand struct {
	Listen string `help:"在哪个地址打开。" default:"127.0.0.1:8080"`
	Data   string `help:"数据放在哪个文件夹；不填则用新的临时文件夹。" type:"path"`
}

// Run is the demo: this process is the simulated WeCom and a proxy on one
// port; the service is a child process, the same program with "serve", so that
// its plug can really be pulled.
func (c demoCommand) Run(p process) error {
	fmt.Fprint(p.out, `qunbot 演示：真实的服务 + 本机模拟的企业微信 + 示例商场「`+demo.MallName+`」。
不需要账号，不连外网。按 Ctrl+C 结束。

正在准备示例数据……
`)
	listener, err := net.Listen("tcp", c.Listen)
	if err != nil {
		return fmt.Errorf("打不开 %s：%w\n换一个端口再试，例如：qunbot demo --listen 127.0.0.1:8081", c.Listen, err)
	}
	defer listener.Close()
	dir, kept := c.Data, "数据在 "+c.Data
	if dir == "" {
		kept = "数据在临时文件夹里，结束后删除；想留着就加 --data 文件夹"
		if dir, err = os.MkdirTemp("", "qunbot-demo-"); err != nil {
			return err
		}
		defer os.RemoveAll(dir)
	}
	d := &demonstration{process: p, dir: dir, kept: kept, base: "http://" + listener.Addr().String()}
	if err := d.prepare(); err != nil {
		return fmt.Errorf("准备示例数据：%w", err)
	}
	return d.run(listener)
}

// A demonstration is one run of the demo.
type demonstration struct {
	process
	dir     string // of its data
	kept    string // says where the data is
	base    string // address of the demo, without a slash at its end
	config  string // the service's settings file
	service *child
	sim     *simulator.Simulator
	link    string // one-time link into the console
}

// prepare fills the data folder, and makes the settings, the service (not yet
// started) and the simulator.
func (d *demonstration) prepare() error {
	if err := os.MkdirAll(d.dir, 0o700); err != nil {
		return err
	}
	address, err := freeAddress()
	if err != nil {
		return err
	}
	secrets := demoSecrets{Token: rand.Text(), AESKey: (rand.Text() + rand.Text())[:43], AppSecret: rand.Text()}
	if err := d.writeConfig(address, secrets); err != nil {
		return err
	}
	lines, err := d.fill()
	if err != nil {
		return err
	}
	if d.service, err = newChild(d.config, address, filepath.Join(d.dir, "service.log")); err != nil {
		return err
	}
	d.sim, err = simulator.New(simulator.Config{
		BaseURL: d.base,
		CorpID:  demoCorp,
		Apps: []simulator.App{{
			AgentID: "1000002", Secret: secrets.AppSecret, Token: secrets.Token, AESKey: secrets.AESKey,
			CallbackURL: "http://" + address + "/wecom/app",
		}},
		KF: []simulator.KFAccount{{ID: demo.KFAccount, Name: demo.MallName + "客服", Servicers: []string{"linyue", "chenjie"}}},
		Bots: []simulator.Bot{{
			Name: demo.BotName, DisplayName: demo.BotTitle, Token: secrets.Token, AESKey: secrets.AESKey,
			CallbackURL: "http://" + address + "/wecom/aibot/" + demo.BotName,
		}},
		People: demo.People(), Chats: demo.Chats(d.base + "/m/"), Lines: lines, Chips: demo.Chips(),
		Service: d.service, OnAdvance: d.moveClock, Now: d.now, Log: slog.New(slog.DiscardHandler),
	})
	return err
}

// moveClock starts the service again with the platform's clock.
func (d *demonstration) moveClock(time.Duration) {
	d.service.Kill()
	d.service.setAhead(d.sim.Ahead())
	if err := d.service.Start(d.ctx); err != nil {
		fmt.Fprintln(d.out, "服务没有重新启动："+err.Error())
	}
}

// openDraw has the sample mall begin a draw that closes in about three minutes.
// Each saying waits for the answer to the one before: who enters must find it.
func (d *demonstration) openDraw(ctx context.Context) error {
	deadline := d.now().Add(3*time.Minute + 59*time.Second).In(d.zone()).Format("15:04")
	for _, s := range demo.DrawOpens(deadline) {
		line, err := d.say(ctx, s)
		if err != nil {
			return fmt.Errorf("say %q: %w", s.Text, err)
		}
		if err := d.awaitAnswer(ctx, line); err != nil {
			return err
		}
	}
	return nil
}

// say has somebody say something to the bot and returns the line's id.
func (d *demonstration) say(ctx context.Context, s demo.Saying) (line string, err error) {
	body, err := json.Marshal(map[string]string{"chat": s.Chat, "person": s.Who, "text": "@" + demo.BotTitle + " " + s.Text})
	if err != nil {
		return "", err
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, d.base+"/sim/api/say", bytes.NewReader(body))
	if err != nil {
		return "", err
	}
	req.Header.Set("Content-Type", "application/json")
	var said struct {
		ID string `json:"id"`
	}
	err = getJSON(req, &said)
	return said.ID, err
}

// awaitAnswer returns when the bot has answered a line, or after 10 s: a draw
// without it is no reason to end the demo.
func (d *demonstration) awaitAnswer(ctx context.Context, line string) error {
	patience := time.NewTimer(10 * time.Second)
	defer patience.Stop()
	poll := time.NewTicker(50 * time.Millisecond)
	defer poll.Stop()
	for {
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, d.base+"/sim/api/state", nil)
		if err != nil {
			return err
		}
		var state struct {
			Lines []struct {
				ReplyTo string `json:"reply_to"`
			} `json:"lines"`
		}
		if err := getJSON(req, &state); err != nil {
			return err
		}
		for _, l := range state.Lines {
			if l.ReplyTo == line {
				return nil
			}
		}
		select {
		case <-ctx.Done():
			return nil
		case <-patience.C:
			return nil
		case <-poll.C:
		}
	}
}

func getJSON(req *http.Request, into any) error {
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if resp.StatusCode >= 400 {
		return fmt.Errorf("%s: status %d", req.URL.Path, resp.StatusCode)
	}
	return json.NewDecoder(resp.Body).Decode(into)
}

// zone is the default zone, which the demo's settings leave as it is.
func (d *demonstration) zone() *time.Location {
	zone, err := time.LoadLocation("Asia/Shanghai")
	if err != nil {
		return time.UTC
	}
	return zone
}

const demoCorp = "wwDEMO0000000000"

type demoSecrets struct{ Token, AESKey, AppSecret string }

// writeConfig writes the settings that a mall would write by hand.
func (d *demonstration) writeConfig(listen string, s demoSecrets) error {
	d.config = filepath.Join(d.dir, "qunbot.yaml")
	text := fmt.Sprintf(`listen: %s
public_url: %s
database: {driver: sqlite, dsn: %q}
wecom:
  api_base: %s
  corp_id: %s
  app: {agent_id: 1000002, secret: %s, token: %s, aes_key: %s}
  kf: {accounts: [%s]}
  bots:
    - {name: %s, display_name: %s, token: %s, aes_key: %s, mode: callback}
`, listen, d.base, filepath.Join(d.dir, "qunbot.db"), d.base, demoCorp, s.AppSecret, s.Token, s.AESKey,
		demo.KFAccount, demo.BotName, demo.BotTitle, s.Token, s.AESKey)
	return os.WriteFile(d.config, []byte(text), 0o600)
}

// fill stores the sample mall and returns the talk to show.
func (d *demonstration) fill() (lines []simulator.Line, err error) {
	db, err := d.open()
	if err != nil {
		return nil, err
	}
	defer db.Close()
	if err := demo.Fill(d.ctx, db, d.now()); err != nil {
		return nil, err
	}
	if d.link, err = consoleLink(d.ctx, db, d.base, d.now().Add(24*time.Hour), d.now()); err != nil {
		return nil, err
	}
	return demo.Lines(d.ctx, db, d.now())
}

func (d *demonstration) open() (*store.Store, error) {
	cfg, err := config.Load(d.config, nil)
	if err != nil {
		return nil, err
	}
	return openStore(d.ctx, cfg)
}

// consoleLink returns a new one-time link for the first owner.
func consoleLink(ctx context.Context, db *store.Store, base string, expires, now time.Time) (link string, err error) {
	err = db.Update(ctx, func(tx *store.Tx) error {
		owner, err := firstOwner(tx, now)
		if err != nil {
			return err
		}
		token, err := tx.AddLoginLink(tx.Context(), owner.ID, expires)
		link = console.LoginURL(base, token)
		return err
	})
	return link, err
}

// run starts the service and serves the demo until it is told to stop.
func (d *demonstration) run(listener net.Listener) error {
	mux := http.NewServeMux()
	d.sim.Mount(mux)
	mux.Handle("GET /{$}", http.RedirectHandler("/sim/", http.StatusFound))
	mux.HandleFunc("GET /sim/console", d.openConsole)
	mux.Handle("/", d.service.proxy())

	g, ctx := errgroup.WithContext(d.ctx)
	g.Go(func() error { return serve(ctx, server("", mux), listener) })
	if err := d.service.Start(ctx); err != nil {
		listener.Close()
		return err
	}
	defer d.service.Kill()
	g.Go(func() error { return d.sim.Run(ctx) })
	g.Go(func() error { return d.service.watch(ctx) })
	g.Go(func() error {
		if err := d.service.runJob(ctx, "news.post"); err != nil && ctx.Err() == nil {
			fmt.Fprintln(d.out, "今天的资讯没有发出去："+err.Error())
		}
		if err := d.openDraw(ctx); err != nil && ctx.Err() == nil {
			fmt.Fprintln(d.out, "示例抽奖没有开始："+err.Error())
		}
		return nil
	})
	fmt.Fprintf(d.out, `
  群聊  %s/sim/
  后台  %s
        （已用过的话：%s/sim/console）

试一试：在群里点“签到”“积分”“补签”；按“重复投递”看同一条消息再来一次会怎样；
按“拔电源”在消息处理到一半时杀掉服务；右边“幕后”是最后一条消息走过的每一步。
%s。
`, d.base, d.link, d.base, d.kept)
	return g.Wait()
}

// openConsole signs whoever sits at this machine in as the sample mall's owner.
func (d *demonstration) openConsole(w http.ResponseWriter, r *http.Request) {
	db, err := d.open()
	if err == nil {
		defer db.Close()
		now := d.now().Add(d.sim.Ahead())
		var link string
		if link, err = consoleLink(r.Context(), db, d.base, now.Add(linkLifetime), now); err == nil {
			http.Redirect(w, r, link, http.StatusFound)
			return
		}
	}
	http.Error(w, "打不开后台："+err.Error(), http.StatusInternalServerError)
}

// freeAddress returns a loopback address that nobody listens on.
func freeAddress() (string, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	defer l.Close()
	return l.Addr().String(), nil
}

// A child is the service in a process of its own.
type child struct {
	program, config, address string
	log                      *os.File

	mu     sync.Mutex
	cmd    *exec.Cmd
	stdin  interface{ Close() error } // while it is open the service runs
	exited chan struct{}              // closed when cmd has ended
	killed bool                       // ended by Kill, not by itself
	ahead  time.Duration              // how far its clock is ahead
}

// setAhead says how far the clock of the next start is ahead.
func (c *child) setAhead(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.ahead = d
}

func newChild(config, address, logFile string) (*child, error) {
	program, err := os.Executable()
	if err != nil {
		return nil, err
	}
	log, err := os.OpenFile(logFile, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	return &child{program: program, config: config, address: address, log: log}, err
}

// Start implements simulator.Service.
func (c *child) Start(ctx context.Context) error {
	c.mu.Lock()
	cmd := exec.Command(c.program, "serve", "--until-eof", "--clock-ahead", c.ahead.String(), "--config", c.config)
	cmd.Env = []string{} // the settings file says it all
	cmd.Stdout, cmd.Stderr = c.log, c.log
	stdin, err := cmd.StdinPipe()
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		c.mu.Unlock()
		return fmt.Errorf("start the service: %w", err)
	}
	exited := make(chan struct{})
	c.cmd, c.stdin, c.exited, c.killed = cmd, stdin, exited, false
	c.mu.Unlock()
	go func() {
		cmd.Wait()
		close(exited)
	}()
	return c.awaitHealth(ctx, exited)
}

// runJob runs one job beside the service, as somebody at a terminal would.
func (c *child) runJob(ctx context.Context, name string) error {
	cmd := exec.CommandContext(ctx, c.program, "job", "run", name, "--config", c.config)
	cmd.Env = []string{}
	cmd.Stdout, cmd.Stderr = c.log, c.log
	return cmd.Run()
}

// awaitHealth returns when the service answers, or an error when it ended.
func (c *child) awaitHealth(ctx context.Context, exited <-chan struct{}) error {
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	poll := time.NewTicker(10 * time.Millisecond)
	defer poll.Stop()
	for {
		select {
		case <-ctx.Done():
			return fmt.Errorf("服务没有回应：%s", c.lastWords())
		case <-exited:
			return fmt.Errorf("服务启动后退出了：%s", c.lastWords())
		case <-poll.C:
			resp, err := http.Get("http://" + c.address + "/healthz")
			if err != nil {
				continue
			}
			resp.Body.Close()
			if resp.StatusCode == http.StatusOK {
				return nil
			}
		}
	}
}

// Kill implements simulator.Service: the process gets no chance to tidy up.
func (c *child) Kill() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.cmd == nil {
		return nil
	}
	c.killed = true
	err := c.cmd.Process.Kill()
	<-c.exited
	c.stdin.Close()
	c.cmd = nil
	if errors.Is(err, os.ErrProcessDone) {
		return nil
	}
	return err
}

// watch returns an error when the service ends by itself.
func (c *child) watch(ctx context.Context) error {
	poll := time.NewTicker(time.Second)
	defer poll.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-poll.C:
			c.mu.Lock()
			ended := c.cmd != nil && !c.killed && isClosed(c.exited)
			c.mu.Unlock()
			if ended {
				return fmt.Errorf("服务自己退出了：%s", c.lastWords())
			}
		}
	}
}

// lastWords returns the end of the service's log.
func (c *child) lastWords() string {
	text, err := os.ReadFile(c.log.Name())
	if err != nil {
		return err.Error()
	}
	return string(text[max(0, len(text)-500):])
}

func isClosed(c <-chan struct{}) bool {
	select {
	case <-c:
		return true
	default:
		return false
	}
}

// proxy passes requests on to the service.
func (c *child) proxy() http.Handler {
	target := &url.URL{Scheme: "http", Host: c.address}
	return &httputil.ReverseProxy{
		Rewrite: func(r *httputil.ProxyRequest) {
			r.SetURL(target)
			r.Out.Host = r.In.Host
			r.SetXForwarded()
		},
		ErrorHandler: func(w http.ResponseWriter, r *http.Request, err error) {
			w.Header().Set("Content-Type", "text/html; charset=utf-8")
			w.Header().Set("Refresh", "1")
			w.WriteHeader(http.StatusBadGateway)
			fmt.Fprint(w, `<!doctype html><meta charset="utf-8"><meta name="viewport" content="width=device-width"><title>稍等</title><p>服务正在重启，页面会自己刷新……</p>`)
		},
		ErrorLog: slog.NewLogLogger(slog.DiscardHandler, slog.LevelError),
	}
}
