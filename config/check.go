package config

import (
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
	_ "time/tzdata" // zones must be known on every machine
)

var (
	botName    = regexp.MustCompile(`^[a-z0-9-]{1,32}$`)
	alnum      = regexp.MustCompile(`^[A-Za-z0-9]+$`)
	plainID    = regexp.MustCompile(`^[A-Za-z0-9_-]{1,64}$`)
	webhookKey = regexp.MustCompile(`^[A-Za-z0-9-]+$`)
)

const (
	aesKeyChars = 43 // 32 bytes in base64 without padding

	wantOrigin  = "应是 http:// 或 https:// 开头的地址，后面不带路径和参数，例如 https://fans.example.com"
	wantListen  = "应写成 地址:端口，端口 0 到 65535，例如 127.0.0.1:8080"
	wantWebhook = "只填群机器人 Webhook 地址里 key= 后面的部分，只有字母、数字和 -"
	wholeApp    = "启用自建应用或微信客服时必须填写，agent_id、secret、token、aes_key 缺一不可；"
)

// check reports what is wrong with cfg and fills in what follows from it.
func (l *loader) check(cfg *Config) {
	cfg.PublicURL = strings.TrimRight(cfg.PublicURL, "/")
	cfg.WeCom.APIBase = strings.TrimRight(cfg.WeCom.APIBase, "/")
	cfg.SecretKeyFile = l.resolve(cfg.SecretKeyFile)
	cfg.WeCom.Archive.PrivateKeyFile = l.resolve(cfg.WeCom.Archive.PrivateKeyFile)
	cfg.TLS.CertFile, cfg.TLS.KeyFile = l.resolve(cfg.TLS.CertFile), l.resolve(cfg.TLS.KeyFile)

	l.expect(isListen(cfg.Listen), "listen", cfg.Listen, wantListen)
	if cfg.ConsoleListen != "" {
		l.expect(isListen(cfg.ConsoleListen), "console_listen", cfg.ConsoleListen, wantListen+"；留空就和 listen 共用")
		l.expect(cfg.ConsoleListen != cfg.Listen, "console_listen", cfg.ConsoleListen, "不能和 listen 相同；想共用一个端口就留空")
	}
	l.expect(cfg.PublicURL == "" || isOrigin(cfg.PublicURL), "public_url", shown(cfg.PublicURL), wantOrigin)
	cfg.zone = l.checkZone(cfg.TimeZone)
	l.warnIfShared("secret_key_file", cfg.SecretKeyFile)
	l.checkDatabase(cfg.Database)
	cfg.Backup.Dir = l.resolve(cfg.Backup.Dir)
	if db := cfg.Database; cfg.Backup.Dir == "" && db.Driver == "sqlite" {
		cfg.Backup.Dir = filepath.Join(filepath.Dir(strings.TrimPrefix(db.DSN.Reveal(), "file:")), "backups")
	}
	l.expect(cfg.Backup.KeepDays >= 0 && cfg.Backup.KeepDays <= 3650, "backup.keep_days", cfg.Backup.KeepDays, "应是 1 到 3650 天，0 表示不自动备份")
	l.checkWeCom(*cfg)
	l.checkFeeds(cfg.News.Feeds)
	l.checkAPIKeys(cfg.API.Keys)
	l.expect(cfg.Alerts.WebhookKey == "" || webhookKey.MatchString(cfg.Alerts.WebhookKey.Reveal()), "alerts.webhook_key", cfg.Alerts.WebhookKey, wantWebhook)
	l.expect(cfg.DrainSeconds >= 0 && cfg.DrainSeconds <= 60, "drain_seconds", cfg.DrainSeconds, "应是 0 到 60 的整数，单位是秒")
	l.checkGroups(cfg.Groups)
	l.checkOperators(cfg.Operators)
	l.checkTLS(cfg.TLS)
	cfg.proxies = l.checkProxies(cfg.TrustedProxies)
	l.warnIfOpen(*cfg)
}

// checkTLS checks that there are both files; what is in them is for whoever
// serves with them.
func (l *loader) checkTLS(t TLS) {
	if t == (TLS{}) {
		return
	}
	for _, f := range []struct{ setting, path, what string }{
		{"tls.cert_file", t.CertFile, "证书（连同中间证书）"}, {"tls.key_file", t.KeyFile, "私钥"},
	} {
		if f.path == "" {
			l.report(f.setting, "", "cert_file 和 key_file 要么都填，要么都留空；这里应填"+f.what+"的 PEM 文件")
			continue
		}
		text, message := readText(f.path)
		l.expect(message == "", f.setting, f.path, message)
		l.expect(strings.Contains(text, "-----BEGIN "), f.setting, f.path, "不是 PEM 格式，应是"+f.what+"的 PEM 文件")
	}
	l.warnIfShared("tls.key_file", t.KeyFile)
}

// checkProxies returns the networks of the list.
func (l *loader) checkProxies(list []string) []netip.Prefix {
	if len(list) == 0 {
		return []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8"), netip.MustParsePrefix("::1/128")}
	}
	var networks []netip.Prefix
	for i, text := range list {
		network, err := netip.ParsePrefix(text)
		if addr, single := netip.ParseAddr(text); single == nil && addr.Zone() == "" {
			network, err = addr.Prefix(addr.BitLen())
		}
		setting := fmt.Sprintf("trusted_proxies[%d]", i)
		switch {
		case err != nil || network.Addr().Is4In6():
			l.report(setting, text, "应是反向代理的地址或网段，例如 127.0.0.1 或 10.0.0.0/8")
			continue
		case network.Bits() == 0:
			l.report(setting, text, "等于相信所有人自称的地址，限流和日志就没有意义了；请只写反向代理的地址或网段")
		}
		networks = append(networks, network.Masked())
	}
	return networks
}

// warnIfOpen warns of web servers that others reach without encryption.
func (l *loader) warnIfOpen(cfg Config) {
	if cfg.TLS != (TLS{}) || len(cfg.TrustedProxies) > 0 { // who names proxies has one in front
		return
	}
	for _, a := range []struct{ setting, listen string }{{"listen", cfg.Listen}, {"console_listen", cfg.ConsoleListen}} {
		host, _, err := net.SplitHostPort(a.listen)
		addr, ip := netip.ParseAddr(host)
		if err != nil || host == "localhost" || ip == nil && addr.IsLoopback() {
			continue
		}
		l.warn(a.setting, "别的机器能直接连上，内容没有加密。请填写 tls 的证书；如果前面有反向代理，就在 trusted_proxies 写上它的地址")
	}
}

// expect reports a problem with setting unless ok. A value of type Secret
// stays hidden.
func (l *loader) expect(ok bool, setting string, value any, message string) {
	if !ok {
		l.report(setting, fmt.Sprint(value), message)
	}
}

// unique reports value if seen has it already, else adds it with its setting.
// Empty values are no matter of unique.
func (l *loader) unique(seen map[any]string, setting string, value any) {
	text := fmt.Sprint(value)
	first, twice := seen[value]
	switch {
	case text == "":
	case twice:
		l.report(setting, text, fmt.Sprintf("和 %s 重复，每项都要不同", first))
	default:
		seen[value] = setting
	}
}

func (l *loader) checkZone(name string) *time.Location {
	zone, err := time.LoadLocation(name)
	ok := err == nil && name != "" && name != "Local"
	l.expect(ok, "time_zone", name, "没有这个时区，请写 IANA 名称，例如 Asia/Shanghai")
	return zone
}

func (l *loader) checkDatabase(db Database) {
	dsn := db.DSN.Reveal()
	switch db.Driver {
	case "sqlite":
		l.expect(dsn != "", "database.dsn", db.DSN, "请填数据库文件，例如 data/qunbot.db")
		l.expect(!strings.Contains(dsn, ":memory:"), "database.dsn", db.DSN, "不能用内存数据库，重启就会丢失全部数据；请填文件，例如 data/qunbot.db")
		for _, ending := range []string{"", "-wal", "-shm"} { // personal data, as they are
			l.warnIfShared("database.dsn", strings.TrimPrefix(dsn, "file:")+ending)
		}
		l.expect(!strings.Contains(dsn, "@tcp("), "database.dsn", db.DSN, "看起来是 MySQL 的地址，请把 database.driver 改成 mysql")
	case "mysql":
		l.expect(strings.Contains(dsn, "@") && strings.Contains(dsn, "/"), "database.dsn", db.DSN,
			"driver 是 mysql 时应写成 用户名:密码@tcp(主机:3306)/数据库名")
	default:
		l.report("database.driver", db.Driver, "只能是 sqlite 或 mysql")
	}
}

func (l *loader) checkWeCom(cfg Config) {
	w := cfg.WeCom
	l.expect(isOrigin(w.APIBase), "wecom.api_base", shown(w.APIBase), wantOrigin)
	l.expect(w.CorpID == "" || plainID.MatchString(w.CorpID), "wecom.corp_id", w.CorpID, "应是企业微信后台「我的企业」页最下方的企业 ID，只有字母和数字")
	l.expect(w.App.AgentID >= 0, "wecom.app.agent_id", w.App.AgentID, "应是正整数，见企业微信后台该应用页的 AgentId")
	l.checkCallback("wecom.app", w.App.Token, w.App.AESKey)
	l.checkBots(w.Bots, cfg.SetUp())
	l.checkKF(w.KF)
	l.checkArchive(w.Archive)
	if cfg.SetUp() {
		return
	}

	if w.App != (App{}) || len(w.KF.Accounts) > 0 {
		l.expect(w.App.AgentID != 0, "wecom.app.agent_id", "", wholeApp+"在企业微信后台该应用页复制 AgentId")
		l.expect(w.App.Secret != "", "wecom.app.secret", "", wholeApp+"在企业微信后台该应用页查看 Secret")
		l.expect(w.App.Token != "", "wecom.app.token", "", wholeApp+"在企业微信后台该应用的「接收消息」页复制 Token")
		l.expect(w.App.AESKey != "", "wecom.app.aes_key", "", wholeApp+"在企业微信后台该应用的「接收消息」页复制 EncodingAESKey")
	}
	if a := w.Archive; a != (Archive{}) {
		l.expect(a.Secret != "", "wecom.archive.secret", "", "启用会话内容存档时必须填写，在企业微信后台「会话内容存档」页查看 Secret")
		l.expect(a.PrivateKeyFile != "", "wecom.archive.private_key_file", "", "启用会话内容存档时必须填写，是 RSA 私钥的 PEM 文件")
	}
	l.expect(!w.CheckSource || w.App.Secret != "", "wecom.check_source", w.CheckSource, "要用自建应用的 Secret 向企业微信查询回调地址，请填写 wecom.app，或改成 false")
	if cfg.PublicURL == "" {
		l.warn("public_url", "还没有填写，机器人发不出会员页的链接；请填会员手机能打开的网址，例如 https://fans.example.com")
	}
}

// checkCallback checks the token and key of the callback that prefix has.
func (l *loader) checkCallback(prefix string, token, aesKey Secret) {
	l.expect(token == "" || len(token) <= 32 && alnum.MatchString(token.Reveal()), prefix+".token", token,
		"Token 应是 1 到 32 位字母或数字；请在企业微信后台「接收消息」页重新复制")
	if aesKey == "" {
		return
	}
	var wrong string
	switch n := len([]rune(aesKey)); {
	case n < aesKeyChars:
		wrong = fmt.Sprintf("EncodingAESKey 少 %d 位，现在 %d 位", aesKeyChars-n, n)
	case n > aesKeyChars:
		wrong = fmt.Sprintf("EncodingAESKey 多 %d 位，现在 %d 位", n-aesKeyChars, n)
	case !alnum.MatchString(aesKey.Reveal()):
		wrong = "EncodingAESKey 里有字母和数字以外的字符"
	default:
		return
	}
	l.report(prefix+".aes_key", aesKey.String(),
		fmt.Sprintf("%s，应为 %d 位字母或数字；请在企业微信后台「接收消息」页重新复制", wrong, aesKeyChars))
}

func (l *loader) checkBots(bots []Bot, setUp bool) {
	names := map[any]string{}
	for i, b := range bots {
		at := fmt.Sprintf("wecom.bots[%d]", i)
		l.expect(botName.MatchString(b.Name), at+".name", b.Name, "必须填写，1 到 32 位小写字母、数字或 -，例如 helper")
		l.unique(names, at+".name", b.Name)
		l.checkCallback(at, b.Token, b.AESKey)
		switch {
		case b.Mode != ModeCallback && b.Mode != ModeWebSocket:
			l.report(at+".mode", b.Mode, "只能是 callback（回调）或 websocket（长连接）")
		case setUp:
		case b.Mode == ModeCallback:
			l.expect(b.Token != "", at+".token", "", "mode 是 callback 时必须填写，在智能机器人的「接收消息」页复制 Token")
			l.expect(b.AESKey != "", at+".aes_key", "", "mode 是 callback 时必须填写，在智能机器人的「接收消息」页复制 EncodingAESKey")
		default:
			l.expect(b.ID != "", at+".id", "", "mode 是 websocket 时必须填写，在智能机器人的「长连接」页复制 Bot ID")
			l.expect(b.Secret != "", at+".secret", "", "mode 是 websocket 时必须填写，在智能机器人的「长连接」页复制 Secret")
		}
	}
}

func (l *loader) checkKF(kf KF) {
	accounts := map[any]string{}
	for i, account := range kf.Accounts {
		at := fmt.Sprintf("wecom.kf.accounts[%d]", i)
		l.expect(plainID.MatchString(account), at, account, "应是客服账号的 open_kfid，只有字母、数字、_ 和 -")
		l.unique(accounts, at, account)
	}
}

func (l *loader) checkArchive(a Archive) {
	const setting = "wecom.archive.private_key_file"
	if a.PrivateKeyFile == "" {
		return
	}
	text, message := readText(a.PrivateKeyFile)
	l.expect(message == "", setting, a.PrivateKeyFile, message)
	l.expect(strings.Contains(text, "PRIVATE KEY-----"), setting, a.PrivateKeyFile, "不是 PEM 格式的私钥文件")
	l.warnIfShared(setting, a.PrivateKeyFile)
}

func (l *loader) checkFeeds(feeds []Feed) {
	for i, f := range feeds {
		at := fmt.Sprintf("news.feeds[%d]", i)
		l.expect(f.Name != "", at+".name", "", "必须填写，是新闻里显示的来源名称")
		u, err := url.Parse(f.URL)
		l.expect(err == nil && isWeb(u), at+".url", shown(f.URL), "应是 http:// 或 https:// 开头的地址，不带用户名和密码，例如 https://example.com/feed.xml")
	}
}

func (l *loader) checkAPIKeys(keys []APIKey) {
	const least = 24 // characters: beyond guessing
	names, values := map[any]string{}, map[any]string{}
	for i, k := range keys {
		at := fmt.Sprintf("api.keys[%d]", i)
		l.expect(k.Name != "", at+".name", "", "必须填写，是调用方的名称，例如 pos")
		l.unique(names, at+".name", k.Name)
		if n := len([]rune(k.Key)); n < least {
			l.report(at+".key", k.Key.String(), fmt.Sprintf("太短，现在 %d 位，至少 %d 位；可以用 openssl rand -hex 24 生成", n, least))
		}
		l.expect(!strings.ContainsAny(k.Key.Reveal(), " \t\n"), at+".key", k.Key, "不能有空格和换行；可以用 openssl rand -hex 24 生成")
		l.unique(values, at+".key", k.Key)
	}
}

func (l *loader) checkGroups(groups []Group) {
	chats := map[any]string{}
	for i, g := range groups {
		at := fmt.Sprintf("groups[%d]", i)
		l.expect(g.ChatID != "", at+".chat_id", "", "必须填写，是群的 chat_id")
		l.expect(g.Name != "", at+".name", "", "必须填写，是群的名称")
		l.expect(g.Mall != "", at+".mall", "", "必须填写，是群所属商场的名称")
		l.unique(chats, at+".chat_id", g.ChatID)
		l.expect(g.WebhookKey == "" || webhookKey.MatchString(g.WebhookKey.Reveal()), at+".webhook_key", g.WebhookKey, wantWebhook)
	}
}

func (l *loader) checkOperators(operators []Operator) {
	users := map[any]string{}
	for i, o := range operators {
		at := fmt.Sprintf("operators[%d]", i)
		l.expect(o.UserID != "", at+".userid", "", "必须填写，是企业微信通讯录里的账号")
		l.unique(users, at+".userid", strings.ToLower(o.UserID)) // WeCom ignores case
		l.expect(slices.Contains(roles, o.Role), at+".role", o.Role, "只能是 "+strings.Join(roles, "、"))
	}
}

// isListen reports whether s is host:port; the host may be empty.
func isListen(s string) bool {
	_, port, err := net.SplitHostPort(s)
	if err != nil {
		return false
	}
	_, err = strconv.ParseUint(port, 10, 16)
	return err == nil
}

// isOrigin reports whether s is http(s)://host[:port] and nothing more.
func isOrigin(s string) bool {
	u, err := url.Parse(s)
	return err == nil && isWeb(u) && s == u.Scheme+"://"+u.Host && !strings.HasSuffix(s, ":")
}

// isWeb reports whether u is an absolute http or https address without user.
func isWeb(u *url.URL) bool {
	return (u.Scheme == "http" || u.Scheme == "https") && u.Hostname() != "" && u.User == nil
}

// shown returns an address for a message, hidden if it may hold a password.
func shown(address string) string {
	if strings.Contains(address, "@") {
		return hidden
	}
	return address
}
