package main

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"net/http"
	"net/netip"
	"net/url"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"

	"qunbot/bot/wecom"
	"qunbot/config"
	"qunbot/drawproof"
	"qunbot/handlers"
	"qunbot/ledger"
	"qunbot/scheduler"
	"qunbot/store"
	"qunbot/web/console"
	"qunbot/wordfilter"
)

type jobListCommand struct{ settings }

func (c jobListCommand) Run(p process) error {
	cfg, db, err := c.open(p)
	if err != nil {
		return err
	}
	defer db.Close()
	jobs, err := scheduleOf(cfg, db, p)
	if err != nil {
		return err
	}
	return db.View(p.ctx, func(tx *store.Tx) error {
		list, err := jobs.List(tx.Context(), tx)
		if err != nil {
			return err
		}
		w := tabwriter.NewWriter(p.out, 0, 0, 2, ' ', 0)
		fmt.Fprintln(w, "任务\t名称\t时间\t下次\t上次")
		for _, s := range list {
			next := "—"
			if !s.Next.IsZero() {
				next = s.Next.In(db.Zone()).Format("2006-01-02 15:04")
			}
			fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\n", s.Name, s.Title, s.Schedule, next, s.Result())
		}
		return w.Flush()
	})
}

type jobRunCommand struct {
	settings
	Name string `arg:"" help:"任务，例如 news.post；用 job list 看有哪些。"`
}

func (c jobRunCommand) Run(p process) error {
	cfg, db, err := c.open(p)
	if err != nil {
		return err
	}
	defer db.Close()
	jobs, err := scheduleOf(cfg, db, p)
	if err != nil {
		return err
	}
	switch err := jobs.RunNow(p.ctx, c.Name); {
	case errors.Is(err, scheduler.ErrNoJob):
		return fmt.Errorf("没有任务 %s：用 qunbot job list 看有哪些", c.Name)
	case errors.Is(err, scheduler.ErrRunning):
		return fmt.Errorf("任务 %s 正在别处运行，等它结束再试", c.Name)
	case err != nil:
		return fmt.Errorf("任务 %s：%w", c.Name, err)
	}
	fmt.Fprintf(p.out, "任务 %s 已运行。\n", c.Name)
	return nil
}

// scheduleOf returns the features' jobs for a command that runs them by hand.
func scheduleOf(cfg config.Config, db *store.Store, p process) (*scheduler.Scheduler, error) {
	log := slog.New(slog.NewTextHandler(os.Stderr, nil))
	deps := handlers.Deps{Store: db, Words: wordfilter.NewHolder(), Now: p.now, Zone: db.Zone(), Log: log}
	var jobs *scheduler.Scheduler
	list, err := features(p.ctx, deps, cfg, parts{jobs: func() *scheduler.Scheduler { return jobs }})
	if err != nil {
		return nil, err
	}
	app, err := handlers.Register(deps, list)
	if err != nil {
		return nil, err
	}
	jobs, err = scheduler.New(scheduler.Config{Store: db, Jobs: app.Jobs, Now: p.now, Log: log})
	return jobs, err
}

type ledgerVerifyCommand struct{ settings }

func (c ledgerVerifyCommand) Run(p process) error {
	_, db, err := c.open(p)
	if err != nil {
		return err
	}
	defer db.Close()
	members, problems, err := ledger.Verify(p.ctx, db)
	if err != nil {
		return err
	}
	for _, line := range problems {
		fmt.Fprintln(p.out, line)
	}
	if len(problems) > 0 {
		return errProblems
	}
	fmt.Fprintf(p.out, "积分账没有问题：核对了 %d 个账户。\n", members)
	return nil
}

type drawVerifyCommand struct {
	File string `arg:"" help:"从抽奖页下载的记录（JSON）；- 表示标准输入。"`
}

// Run computes a draw again from its published record.
func (c drawVerifyCommand) Run(p process) error {
	in := io.Reader(os.Stdin)
	if c.File != "-" {
		f, err := os.Open(c.File)
		if err != nil {
			return fmt.Errorf("打不开记录：%w", err)
		}
		defer f.Close()
		in = f
	}
	record, err := drawproof.Decode(in)
	if err != nil {
		return fmt.Errorf("读不懂这份记录：%w", err)
	}
	if err := record.Verify(); err != nil {
		return fmt.Errorf("验算不符：%w", err)
	}
	fmt.Fprintf(p.out, "验算一致：%d 人参加，中奖名单和公布的完全相同。\n", len(record.Entries))
	return nil
}

type wordsScanCommand struct {
	Words string `required:"" help:"词表：一行一个词，# 开头是注释。" type:"existingfile"`
}

// Run scans JSON lines for the words of a file.
func (c wordsScanCommand) Run(p process) error { return scanWords(c.Words, os.Stdin, p.out) }

type operatorAddCommand struct {
	settings
	Name   string `arg:"" help:"姓名。"`
	Role   string `required:"" enum:"owner,manager,operator,analyst,clerk" help:"角色：owner 负责人、manager 经理、operator 运营、analyst 分析、clerk 店员。"`
	UserID string `name:"userid" help:"企业微信里的 userid；不填则和姓名相同。"`
}

// Run makes a console account and prints its one-time link.
func (c operatorAddCommand) Run(p process) error {
	cfg, db, err := c.open(p)
	if err != nil {
		return err
	}
	defer db.Close()
	if c.UserID == "" {
		c.UserID = c.Name
	}
	return db.Update(p.ctx, func(tx *store.Tx) error {
		o, err := tx.PutOperator(tx.Context(), store.Operator{UserID: c.UserID, Name: c.Name, Role: store.Role(c.Role), CreatedAt: p.now()})
		if err != nil {
			return err
		}
		token, err := tx.AddLoginLink(tx.Context(), o.ID, p.now().Add(setupLinkLifetime))
		if err != nil {
			return err
		}
		_, err = fmt.Fprintf(p.out, "已添加 %s（%s）。把这个链接交给本人，3 天内有效，只能用一次：\n%s\n", c.Name, c.Role, console.LoginURL(consoleURL(cfg), token))
		return err
	})
}

// setupLinkLifetime is how long a new operator may take to sign in first.
const setupLinkLifetime = 72 * time.Hour

type checkCommand struct{ settings }

// Run tests what the service will need, one line a finding, and fails if
// anything is wrong.
func (c checkCommand) Run(p process) error {
	cfg, err := config.Load(c.Config, p.environ)
	if err != nil {
		for _, line := range strings.Split(err.Error(), "\n") {
			fmt.Fprintln(p.out, "✗ "+line)
		}
		return errProblems
	}
	report := report{out: p.out}
	report.note(nil, "设置：没有错误")
	for _, w := range cfg.Warnings {
		report.warn(w.Error())
	}
	if _, err := secretKey(cfg); err != nil { // the database needs it
		report.note(err, "")
	} else {
		report.note(nil, "密钥文件 "+keyFile(cfg)+"：在，别的用户改不了、读不到")
		database := checkDatabase(p.ctx, cfg)
		report.note(database, "数据库：连得上，表是最新的")
		if database == nil {
			checkBackups(p, cfg, &report)
		}
	}
	checkAccess(cfg, p.now, &report)
	if cfg.SetUp() {
		report.warn("还没有填写 wecom.corp_id：服务会以设置模式运行，收不到企业微信的消息。在管理后台“我的企业”最下方复制企业 ID。")
	} else {
		checkCredentials(p, cfg, &report)
		for _, b := range cfg.WeCom.Bots {
			if b.Mode == config.ModeCallback {
				report.note(checkCallback(p.ctx, cfg, b, p.now()), "机器人 "+b.Name+"：回调地址能从公网地址打开，Token 和 EncodingAESKey 对得上")
			}
		}
	}
	if report.failed {
		return errProblems
	}
	fmt.Fprintln(p.out, "检查完毕，可以运行：qunbot serve --config "+c.Config)
	return nil
}

// A report prints findings.
type report struct {
	out    io.Writer
	failed bool
}

func (r *report) note(err error, good string) {
	if err != nil {
		r.failed = true
		fmt.Fprintln(r.out, "✗ "+err.Error())
		return
	}
	fmt.Fprintln(r.out, "✓ "+good)
}

func (r *report) warn(text string) { fmt.Fprintln(r.out, "! "+text) }

// checkAccess tells who can reach the service, and how.
func checkAccess(cfg config.Config, now func() time.Time, r *report) {
	public, err := url.Parse(publicURL(cfg))
	if err != nil {
		r.note(fmt.Errorf("public_url：%w", err), "")
		return
	}
	switch {
	case cfg.TLS != (config.TLS{}):
		cert, err := loadCertificate(cfg.TLS, now, slog.New(slog.DiscardHandler))
		if err != nil {
			r.note(err, "")
			break
		}
		for _, problem := range cert.problems(publicURL(cfg)) {
			r.warn(problem)
		}
		r.note(nil, "https：证书读得出来，到 "+cert.pair.Leaf.NotAfter.Format(time.DateOnly)+" 为止；换了文件会自动重新读取")
	case public.Scheme == "https":
		r.note(nil, "https：由反向代理提供，public_url 是 "+publicURL(cfg)+"。代理要转到 "+cfg.Listen+"，并带上 X-Forwarded-For 和 X-Forwarded-Proto")
	case cfg.PublicURL != "" && !isLocal(public.Hostname()):
		r.warn("public_url 不是 https：会员的登录和积分在网上谁都看得见，企业微信也可能拒绝这样的回调地址。请填写 tls，或用带证书的反向代理")
	}
	if cfg.TLS == (config.TLS{}) {
		networks := make([]string, len(cfg.Proxies()))
		for i, network := range cfg.Proxies() {
			networks[i] = network.String()
		}
		r.note(nil, "反向代理：只相信 "+strings.Join(networks, "、")+" 转告的来访者地址；代理不在这里面时，所有人会被当成同一个人限流，请改 trusted_proxies")
	}
	if cfg.WeCom.CheckSource {
		r.note(nil, "回调来源：只接受企业微信公布的地址，每小时更新；查不到时沿用上一次的，从来没查到过就全部接受并记日志。前面有反向代理时，它必须在 trusted_proxies 里，否则回调会全部被拦")
	}
}

// isLocal reports whether a host is this machine.
func isLocal(host string) bool {
	addr, err := netip.ParseAddr(host)
	return host == "localhost" || err == nil && addr.IsLoopback()
}

func checkDatabase(ctx context.Context, cfg config.Config) error {
	db, err := openStore(ctx, cfg)
	if err != nil {
		return fmt.Errorf("数据库：%w。请检查 database.driver 和 database.dsn，以及账号的权限", err)
	}
	return db.Close()
}

// checkCredentials asks WeCom whether the secrets are right.
func checkCredentials(p process, cfg config.Config, r *report) {
	if cfg.WeCom.App.Secret == "" && cfg.WeCom.Contact.Secret == "" {
		r.warn("没有填写 wecom.app：只用智能机器人和群机器人可以不填；会员页登录、微信客服和通知员工都要它。")
		return
	}
	env := environment{Now: p.now, Log: slog.New(slog.DiscardHandler)}
	calls, err := wecom.NewAPI(apiConfig(cfg, nil, env))
	if err != nil {
		r.note(err, "")
		return
	}
	for _, f := range calls.Diagnose(p.ctx) {
		if f.OK {
			r.note(nil, f.What)
		} else {
			r.note(fmt.Errorf("%s。%s", f.What, f.Todo), "")
		}
	}
}

// checkCallback does what WeCom does when the address is saved: it asks it to
// decrypt something, from outside.
func checkCallback(ctx context.Context, cfg config.Config, b config.Bot, now time.Time) error {
	where := "机器人 " + b.Name + "："
	cipher, err := wecom.NewCipher(b.Token.Reveal(), b.AESKey.Reveal(), "")
	if err != nil {
		return fmt.Errorf("%s%w", where, err)
	}
	echo := rand.Text()
	sealed := cipher.Seal([]byte(echo), now.Unix(), rand.Text())
	query := sealed.Query()
	query.Set("echostr", sealed.Encrypt)
	address := publicURL(cfg) + "/wecom/aibot/" + url.PathEscape(b.Name)
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, address+"?"+query.Encode(), nil)
	if err != nil {
		return fmt.Errorf("%s%w", where, err)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		// The error's own text would quote the address with its signature.
		if e, ok := errors.AsType[*url.Error](err); ok {
			err = e.Err
		}
		return fmt.Errorf("%s打不开 %s：%w。请先在另一个窗口运行 qunbot serve，再检查域名、证书和反向代理", where, address, err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(io.LimitReader(resp.Body, 4096))
	switch {
	case err != nil:
		return fmt.Errorf("%s%s 的回答读到一半断了：%w", where, address, err)
	case resp.StatusCode == http.StatusForbidden:
		return fmt.Errorf("%s%s 拒绝了验证：正在运行的服务用的 Token 或 EncodingAESKey 和设置文件不一样，改过之后要重启服务", where, address)
	case resp.StatusCode != http.StatusOK || string(body) != echo:
		return fmt.Errorf("%s%s 回答了 %d，不是这个服务：请检查反向代理有没有把 /wecom/ 转到 %s", where, address, resp.StatusCode, cfg.Listen)
	}
	return nil
}

// secretKey returns the key that signs and encrypts what this installation
// keeps to itself: 32 bytes in base64 in secret_key_file, made on first use.
func secretKey(cfg config.Config) ([]byte, error) {
	key, err := existingKey(cfg)
	if errors.Is(err, fs.ErrNotExist) {
		key = newKey()
		err = saveKey(keyFile(cfg), key)
	}
	return key, err
}

func newKey() []byte {
	key := make([]byte, 32)
	rand.Read(key)
	return key
}

// keyFile is where the secret key is.
func keyFile(cfg config.Config) string {
	switch {
	case cfg.SecretKeyFile != "":
		return cfg.SecretKeyFile
	case cfg.Database.Driver == "sqlite":
		return cfg.Database.DSN.Reveal() + ".key"
	}
	return filepath.Join("data", "qunbot.key")
}

// existingKey is secretKey for a key that must be there; its error is
// fs.ErrNotExist if it is not.
func existingKey(cfg config.Config) ([]byte, error) {
	path := keyFile(cfg)
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("read secret key: %w", err)
	}
	// With this key and a copy of the database, everything that is encrypted in
	// it is readable: that is not a matter of a warning.
	info, err := os.Stat(path)
	if err != nil {
		return nil, fmt.Errorf("read secret key: %w", err)
	}
	if runtime.GOOS != "windows" && info.Mode().Perm()&0o027 != 0 {
		return nil, fmt.Errorf("密钥文件 %s 的权限是 %#o，本机其他用户能读或能改，所以没有启动。请执行 chmod 600 %[1]s；如果这台机器上有不该看到它的人，数据库里加密的内容应视为已经泄露",
			path, info.Mode().Perm())
	}
	key, err := base64.StdEncoding.DecodeString(strings.TrimSpace(string(text)))
	if err != nil || len(key) != 32 {
		return nil, fmt.Errorf("密钥文件 %s 已损坏：应为 32 字节的 base64，请从备份恢复", strconv.Quote(path))
	}
	return key, nil
}

// saveKey makes the key's file.
func saveKey(path string, key []byte) error {
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return fmt.Errorf("make secret key: %w", err)
	}
	// O_EXCL: of two processes that start at once, one makes the key and the
	// other reports that it is there.
	f, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		return fmt.Errorf("make secret key: %w", err)
	}
	defer f.Close()
	if _, err := f.WriteString(base64.StdEncoding.EncodeToString(key) + "\n"); err != nil {
		return fmt.Errorf("make secret key: %w", err)
	}
	return f.Sync()
}
