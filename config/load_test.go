package config

import (
	"errors"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"strings"
	"testing"
)

const (
	example = "../qunbot.example.yaml"
	aesKey  = "abcdefghijklmnopqrstuvwxyz0123456789ABCDEFG" // 43 characters
)

// inDir changes to a fresh folder with these files, mode 0600.
func inDir(t testing.TB, files map[string]string) {
	t.Helper()
	t.Chdir(t.TempDir())
	for name, text := range files {
		if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
}

// lines returns what err joins, one text each.
func lines(err error) []string {
	if err == nil {
		return nil
	}
	return strings.Split(err.Error(), "\n")
}

func TestDefaults(t *testing.T) {
	cfg, err := Load("", nil)
	if err != nil {
		t.Fatalf("Load() = %v, want no error", err)
	}
	want := Config{
		Listen:   "127.0.0.1:8080",
		TimeZone: "Asia/Shanghai",
		Database: Database{Driver: "sqlite", DSN: "data/qunbot.db"},
		Backup:   Backup{Dir: filepath.Join("data", "backups"), KeepDays: 14},
		WeCom:    WeCom{APIBase: "https://qyapi.weixin.qq.com"},
		zone:     cfg.zone,
		proxies:  []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8"), netip.MustParsePrefix("::1/128")},
	}
	if !reflect.DeepEqual(cfg, want) {
		t.Errorf("Load() = %+v, want %+v", cfg, want)
	}
	if got := cfg.Zone().String(); got != "Asia/Shanghai" {
		t.Errorf("Zone() = %s, want Asia/Shanghai", got)
	}
	if !cfg.SetUp() {
		t.Error("SetUp() = false, want true without corp_id")
	}
}

func TestLoadEverything(t *testing.T) {
	inDir(t, map[string]string{
		"qunbot.yaml": `
listen: :8080
console_listen: 127.0.0.1:9090
public_url: https://fans.example.com/
time_zone: Asia/Urumqi
secret_key_file: keys/main
database: {driver: mysql, dsn_file: dsn}
backup: {dir: backups, keep_days: 30}
wecom:
  corp_id: ww0000000000000000
  app: {agent_id: 1000002, secret: "the, secret", token: TOKEN, aes_key: ` + aesKey + `}
  contact: {secret: c0ntact}
  kf: {accounts: [wk1, wk2]}
  bots:
    - {name: helper, display_name: 小助手, token: 0123, aes_key: ` + aesKey + `}
    - {name: night, mode: websocket, id: aib1, secret_file: bot}
  archive: {secret: arch, private_key_file: key.pem}
  check_source: true
news: {feeds: [{name: 公众号, url: "https://example.com/feed.xml?a=1"}], allow_private_addresses: true}
api: {keys: [{name: pos, key: 0123456789abcdef01234567}]}
groups:
  - {chat_id: wrk0001, name: 一号粉丝群, mall: 示例商场, webhook_key: 693a91f6-7aaa}
operators: [{userid: zhangsan, role: owner}]
tls: {cert_file: cert.pem, key_file: tls.pem}
trusted_proxies: [10.1.2.3/8, 192.0.2.7, "2001:db8::1"]
`,
		"cert.pem": "-----BEGIN CERTIFICATE-----\n", "tls.pem": "-----BEGIN PRIVATE KEY-----\n",
		"dsn":     "u:p@tcp(db:3306)/qunbot\n",
		"bot":     " b0t \n",
		"key.pem": "-----BEGIN PRIVATE KEY-----\n",
	})
	cfg, err := Load("qunbot.yaml", nil)
	if err != nil {
		t.Fatalf("Load() = %v, want no error", err)
	}
	want := Config{
		Listen:        ":8080",
		ConsoleListen: "127.0.0.1:9090",
		PublicURL:     "https://fans.example.com",
		TimeZone:      "Asia/Urumqi",
		SecretKeyFile: "keys/main",
		Database:      Database{"mysql", "u:p@tcp(db:3306)/qunbot"},
		Backup:        Backup{"backups", 30},
		WeCom: WeCom{
			APIBase: "https://qyapi.weixin.qq.com",
			CorpID:  "ww0000000000000000",
			App:     App{1000002, "the, secret", "TOKEN", aesKey},
			Contact: Contact{"c0ntact"},
			KF:      KF{[]string{"wk1", "wk2"}},
			Bots: []Bot{
				{Name: "helper", DisplayName: "小助手", Mode: ModeCallback, Token: "0123", AESKey: aesKey},
				{Name: "night", Mode: ModeWebSocket, ID: "aib1", Secret: "b0t"},
			},
			Archive: Archive{"arch", "key.pem"},

			CheckSource: true,
		},
		News:      News{[]Feed{{"公众号", "https://example.com/feed.xml?a=1"}}, true},
		API:       API{[]APIKey{{"pos", "0123456789abcdef01234567"}}},
		Groups:    []Group{{"wrk0001", "一号粉丝群", "示例商场", "693a91f6-7aaa"}},
		Operators: []Operator{{"zhangsan", "owner"}},
		TLS:       TLS{"cert.pem", "tls.pem"},
		zone:      cfg.zone,

		TrustedProxies: []string{"10.1.2.3/8", "192.0.2.7", "2001:db8::1"},
		proxies:        []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8"), netip.MustParsePrefix("192.0.2.7/32"), netip.MustParsePrefix("2001:db8::1/128")},
	}
	if !reflect.DeepEqual(cfg, want) {
		t.Errorf("Load() = %+v, want %+v", cfg, want)
	}
	if cfg.SetUp() {
		t.Error("SetUp() = true, want false with corp_id")
	}
}

func TestEnvironOverridesFile(t *testing.T) {
	inDir(t, map[string]string{
		"qunbot.yaml": "listen: :1\ndatabase:\n  dsn_file: missing\nwecom:\n  app:\n    token: a\n    secret: x\n",
		"secret":      "from file\n",
	})
	cfg, err := Load("qunbot.yaml", []string{
		"PATH=/bin", "QUNBOT_LISTEN=:2", "QUNBOT_DATABASE_DSN=other.db", "QUNBOT_WECOM_APP_AGENT_ID=7",
		"QUNBOT_WECOM_APP_TOKEN=", "QUNBOT_WECOM_APP_SECRET_FILE=secret", "QUNBOT_NEWS_ALLOW_PRIVATE_ADDRESSES=true",
	})
	if err != nil {
		t.Fatalf("Load() = %v, want no error", err)
	}
	got := []any{cfg.Listen, cfg.Database.DSN.Reveal(), cfg.WeCom.App, cfg.News.AllowPrivateAddresses}
	want := []any{":2", "other.db", App{7, "from file", "a", ""}, true}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("Load() = %#v, want %#v", got, want)
	}
}

// Windows' editors write a byte order mark and \r\n.
func TestLoadFileFromWindows(t *testing.T) {
	inDir(t, map[string]string{"w.yaml": "\ufefflisten: :1 # 端口\r\n# 说明\r\ntime_zone: Mars\r\n"})
	cfg, err := Load("w.yaml", nil)
	want := []string{`w.yaml:3:12 time_zone：没有这个时区，请写 IANA 名称，例如 Asia/Shanghai；现在是 "Mars"`}
	if got := lines(err); cfg.Listen != ":1" || !reflect.DeepEqual(got, want) {
		t.Errorf("Load() = %q, %q, want :1, %q", cfg.Listen, got, want)
	}
}

func TestProblems(t *testing.T) {
	const corp = "public_url: https://f.example\nwecom:\n  corp_id: ww1\n"
	tests := []struct {
		name, yaml string
		env        []string
		want       []string
	}{
		// what the file is
		{"tab", "wecom:\n\tcorp_id: x\n", nil, []string{"c.yaml:2:1：YAML 写法不对：缩进请用空格，不能用 Tab 键"}},
		{"open quote", "listen: \"x\n", nil, []string{"c.yaml:1:9：YAML 写法不对：双引号没有配对"}},
		{"open single quote", "listen: 'x\n", nil, []string{"c.yaml:1:9：YAML 写法不对：单引号没有配对"}},
		{"open bracket", "groups: [\n", nil, []string{"c.yaml:1:9：YAML 写法不对：方括号 [ ] 没有配对"}},
		{"open brace", "wecom: {app: 1\n", nil, []string{"c.yaml:1:8：YAML 写法不对：花括号 { } 没有配对"}},
		{"reserved character", "public_url: @x\n", nil, []string{"c.yaml:1:13：YAML 写法不对：值里有特殊字符，请用双引号括起来"}},
		{"full-width colon", "listen：:80\ntime_zone: UTC\n", nil, []string{"c.yaml:1:1：YAML 写法不对：这一行不是「键: 值」，冒号要用英文半角，后面加一个空格"}},
		{"line without key", "listen: :80\nsecretText\napi:\n", nil, []string{"c.yaml:2:1：YAML 写法不对：这一行不是「键: 值」，冒号要用英文半角，后面加一个空格"}},
		{"indentation", "  listen: :80\n api:\n", nil, []string{"c.yaml:2:2：YAML 写法不对：缩进没有对齐，或者值里有冒号没用双引号括起来"}},
		{"other syntax", "? [a]\n: b\n", nil, []string{"c.yaml:2:1：YAML 写法不对：请检查这一行和上一行的缩进、冒号、引号和括号"}},
		{"two documents", "listen: :80\n---\nlisten: :81\n", nil, []string{"c.yaml:3:7：一个文件里只能有一份配置，请删掉中间的 ---"}},
		{"not UTF-8", "listen: \xd6\xd0\n", nil, []string{"c.yaml：文件不是 UTF-8 编码，请用编辑器另存为 UTF-8"}},
		{"too large", strings.Repeat("#", 256<<10+1), nil, []string{"c.yaml：文件太大，最多 256 KiB"}},

		// keys and kinds of values
		{"list at the top", "- a\n", nil, []string{"c.yaml:1:1：这里应写成「键: 值」，冒号用英文半角，后面加一个空格"}},
		{"unknown key, one is near", "wecom:\n  app:\n    aeskey: hunter2\n", nil, []string{"c.yaml:3:5 wecom.app.aeskey：没有这个设置，是不是想写 aes_key？"}},
		{"unknown key, none is near", "wecom:\n  kf:\n    webhook: hunter2\n", nil, []string{"c.yaml:3:5 wecom.kf.webhook：没有这个设置，这里可以写：accounts"}},
		{"unknown key in a list", "operators:\n  - userid: a\n    role: clerk\n    rolle: b\n", nil, []string{"c.yaml:4:5 operators[0].rolle：没有这个设置，是不是想写 role？"}},
		{"misspelt _file", "database:\n  dsn_flie: x\n", nil, []string{"c.yaml:2:3 database.dsn_flie：没有这个设置，是不是想写 dsn_file？"}},
		{"plain settings have no _file", "listen_file: x\n", nil, []string{"c.yaml:1:1 listen_file：没有这个设置，这里可以写：listen、console_listen、public_url、time_zone、secret_key_file、database、backup、wecom、news、api、alerts、drain_seconds、groups、operators、tls、trusted_proxies"}},
		{"duplicate key", "listen: :80\ntime_zone: UTC\nlisten: :81\n", nil, []string{"c.yaml:3:1 listen：写了两次，第一次在第 1 行，请删掉一处"}},
		{"comma in a secret", "wecom: {app: {secret: hunter, 2hunter}}\n", nil, []string{"c.yaml:1:31 wecom.app：这里少了「: 值」；值里有逗号时要用双引号括起来"}},
		{"mapping wanted", "wecom:\n  app: hunter2\n", nil, []string{"c.yaml:2:8 wecom.app：这里应写成「键: 值」，冒号用英文半角，后面加一个空格"}},
		{"list wanted", "groups: abc\n", nil, []string{"c.yaml:1:9 groups：这里应写成列表，每项一行，以「- 」开头"}},
		{"value wanted", "listen: [a]\n", nil, []string{"c.yaml:1:9 listen：这里应写一个值，不能是列表或「键: 值」；值里有 [ ] { } 时要用双引号括起来"}},
		{"alias", "database:\n  dsn: &hunter x\n", nil, []string{"c.yaml:2:8 database.dsn：值以 &、* 或 ! 开头时要用双引号括起来"}},
		{"integer wanted", "wecom: {app: {agent_id: 1x}}\n", nil, []string{`c.yaml:1:25 wecom.app.agent_id：只能是整数；现在是 "1x"`}},
		{"boolean wanted", "news: {allow_private_addresses: yes}\n", nil, []string{`c.yaml:1:33 news.allow_private_addresses：只能是 true 或 false；现在是 "yes"`}},

		// environment
		{"unknown variable", "", []string{"QUNBOT_WECOM_APP_AESKEY=hunter2"}, []string{"QUNBOT_WECOM_APP_AESKEY：没有这个设置，是不是想写 QUNBOT_WECOM_APP_AES_KEY？"}},
		{"list in a variable", "", []string{"QUNBOT_WECOM_BOTS_0_TOKEN=x", "QUNBOT_GROUPS=x"}, []string{
			"QUNBOT_GROUPS：列表不能用环境变量设置，请写在配置文件里",
			"QUNBOT_WECOM_BOTS_0_TOKEN：列表不能用环境变量设置，请写在配置文件里"}},
		{"wrong value in a variable", "", []string{"QUNBOT_LISTEN=80"}, []string{`QUNBOT_LISTEN listen：应写成 地址:端口，端口 0 到 65535，例如 127.0.0.1:8080；现在是 "80"`}},
		{"no integer in a variable", "", []string{"QUNBOT_WECOM_APP_AGENT_ID=x"}, []string{`QUNBOT_WECOM_APP_AGENT_ID wecom.app.agent_id：只能是整数；现在是 "x"`}},

		// secrets in files
		{"missing secret file", "database:\n  dsn_file: nowhere\n", nil, []string{`c.yaml:2:13 database.dsn_file：找不到这个文件，请检查路径；现在是 "nowhere"`}},
		{"empty secret file", "database:\n  dsn_file: empty\n", nil, []string{`c.yaml:2:13 database.dsn_file：文件是空的，请把密钥写进去；现在是 "empty"`}},
		{"secret file is a folder", "database:\n  dsn_file: .\n", nil, []string{`c.yaml:2:13 database.dsn_file：不是普通文件；现在是 "."`}},
		{"secret and its file", "api:\n  keys:\n    - name: pos\n      key: " + aesKey + "\n      key_file: long\n", nil, []string{"c.yaml:5:17 api.keys[0].key_file：和 key 只能写一个，请删掉一处"}},
		{"variable and its file", "", []string{"QUNBOT_DATABASE_DSN=a.db", "QUNBOT_DATABASE_DSN_FILE=long"}, []string{"QUNBOT_DATABASE_DSN_FILE database.dsn_file：和 QUNBOT_DATABASE_DSN 只能写一个，请删掉一处"}},
		{"missing file of a variable", "", []string{"QUNBOT_WECOM_APP_TOKEN_FILE=nowhere"}, []string{`QUNBOT_WECOM_APP_TOKEN_FILE wecom.app.token_file：找不到这个文件，请检查路径；现在是 "nowhere"`}},
		{"wrong secret from a file", "wecom:\n  app:\n    aes_key_file: long\n", nil, []string{"c.yaml:3:5 wecom.app.aes_key：EncodingAESKey 多 1 位，现在 44 位，应为 43 位字母或数字；请在企业微信后台「接收消息」页重新复制"}},

		// values
		{"port", "listen: localhost:70000\n", nil, []string{`c.yaml:1:9 listen：应写成 地址:端口，端口 0 到 65535，例如 127.0.0.1:8080；现在是 "localhost:70000"`}},
		{"console port", "console_listen: x\n", nil, []string{`c.yaml:1:17 console_listen：应写成 地址:端口，端口 0 到 65535，例如 127.0.0.1:8080；留空就和 listen 共用；现在是 "x"`}},
		{"console on the same port", "console_listen: 127.0.0.1:8080\n", nil, []string{`c.yaml:1:17 console_listen：不能和 listen 相同；想共用一个端口就留空；现在是 "127.0.0.1:8080"`}},
		{"public URL with a path", "public_url: https://a.example/m\n", nil, []string{`c.yaml:1:13 public_url：` + wantOrigin + `；现在是 "https://a.example/m"`}},
		{"public URL with a query", "public_url: https://a.example?x\n", nil, []string{`c.yaml:1:13 public_url：` + wantOrigin + `；现在是 "https://a.example?x"`}},
		{"public URL without scheme", "public_url: a.example\n", nil, []string{`c.yaml:1:13 public_url：` + wantOrigin + `；现在是 "a.example"`}},
		{"password in the public URL", "public_url: https://u:hunter2@a.example\n", nil, []string{`c.yaml:1:13 public_url：` + wantOrigin}},
		{"API base", "wecom: {api_base: ftp://x}\n", nil, []string{`c.yaml:1:19 wecom.api_base：` + wantOrigin + `；现在是 "ftp://x"`}},
		{"zone of the machine", "time_zone: Local\n", nil, []string{`c.yaml:1:12 time_zone：没有这个时区，请写 IANA 名称，例如 Asia/Shanghai；现在是 "Local"`}},
		{"driver", "database: {driver: postgres}\n", nil, []string{`c.yaml:1:20 database.driver：只能是 sqlite 或 mysql；现在是 "postgres"`}},
		{"MySQL without DSN", "database:\n  driver: mysql\n", nil, []string{"c.yaml:1:1 database.dsn：driver 是 mysql 时应写成 用户名:密码@tcp(主机:3306)/数据库名"}},
		{"SQLite without DSN", "database: {dsn: ''}\n", nil, []string{"c.yaml:1:17 database.dsn：请填数据库文件，例如 data/qunbot.db"}},
		{"SQLite in memory", "database: {dsn: ':memory:'}\n", nil, []string{"c.yaml:1:17 database.dsn：不能用内存数据库，重启就会丢失全部数据；请填文件，例如 data/qunbot.db"}},
		{"SQLite with a DSN of MySQL", "database: {dsn: u:hunter2@tcp(db)/x}\n", nil, []string{"c.yaml:1:17 database.dsn：看起来是 MySQL 的地址，请把 database.driver 改成 mysql"}},
		{"corp id", "public_url: https://f.example\nwecom: {corp_id: 某公司}\n", nil, []string{`c.yaml:2:18 wecom.corp_id：应是企业微信后台「我的企业」页最下方的企业 ID，只有字母和数字；现在是 "某公司"`}},
		{"agent id", "wecom: {app: {agent_id: -1}}\n", nil, []string{`c.yaml:1:25 wecom.app.agent_id：应是正整数，见企业微信后台该应用页的 AgentId；现在是 "-1"`}},
		{"token", "wecom: {app: {token: hunter-2}}\n", nil, []string{"c.yaml:1:22 wecom.app.token：Token 应是 1 到 32 位字母或数字；请在企业微信后台「接收消息」页重新复制"}},
		{"short AES key", "wecom:\n  app:\n    aes_key: " + aesKey[1:] + "\n", nil, []string{"c.yaml:3:14 wecom.app.aes_key：EncodingAESKey 少 1 位，现在 42 位，应为 43 位字母或数字；请在企业微信后台「接收消息」页重新复制"}},
		{"AES key with a stranger", "wecom: {app: {aes_key: " + aesKey[1:] + "+}}\n", nil, []string{"c.yaml:1:24 wecom.app.aes_key：EncodingAESKey 里有字母和数字以外的字符，应为 43 位字母或数字；请在企业微信后台「接收消息」页重新复制"}},
		{"app in part", corp + "  app: {agent_id: 1, secret: x}\n", nil, []string{
			"c.yaml:4:3 wecom.app.token：" + wholeApp + "在企业微信后台该应用的「接收消息」页复制 Token",
			"c.yaml:4:3 wecom.app.aes_key：" + wholeApp + "在企业微信后台该应用的「接收消息」页复制 EncodingAESKey"}},
		{"kf without app", corp + "  kf: {accounts: [wk1]}\n", nil, []string{
			"c.yaml:2:1 wecom.app.agent_id：" + wholeApp + "在企业微信后台该应用页复制 AgentId",
			"c.yaml:2:1 wecom.app.secret：" + wholeApp + "在企业微信后台该应用页查看 Secret",
			"c.yaml:2:1 wecom.app.token：" + wholeApp + "在企业微信后台该应用的「接收消息」页复制 Token",
			"c.yaml:2:1 wecom.app.aes_key：" + wholeApp + "在企业微信后台该应用的「接收消息」页复制 EncodingAESKey"}},
		{"kf account", "wecom: {kf: {accounts: [wk1, 客服, wk1]}}\n", nil, []string{
			`c.yaml:1:30 wecom.kf.accounts[1]：应是客服账号的 open_kfid，只有字母、数字、_ 和 -；现在是 "客服"`,
			`c.yaml:1:34 wecom.kf.accounts[2]：和 wecom.kf.accounts[0] 重复，每项都要不同；现在是 "wk1"`}},
		{"archive without key", corp + "  archive: {secret: x}\n", nil, []string{"c.yaml:4:3 wecom.archive.private_key_file：启用会话内容存档时必须填写，是 RSA 私钥的 PEM 文件"}},
		{"archive without secret", corp + "  archive: {private_key_file: key.pem}\n", nil, []string{"c.yaml:4:3 wecom.archive.secret：启用会话内容存档时必须填写，在企业微信后台「会话内容存档」页查看 Secret"}},
		{"archive key missing", "wecom: {archive: {private_key_file: nowhere}}\n", nil, []string{`c.yaml:1:37 wecom.archive.private_key_file：找不到这个文件，请检查路径；现在是 "nowhere"`}},
		{"archive key of another kind", "wecom: {archive: {private_key_file: long}}\n", nil, []string{`c.yaml:1:37 wecom.archive.private_key_file：不是 PEM 格式的私钥文件；现在是 "long"`}},
		{"bots", "wecom:\n  bots:\n    - {name: Helper}\n    - {name: a, mode: both}\n    - {name: a}\n    - {mode: websocket}\n", nil, []string{
			`c.yaml:3:14 wecom.bots[0].name：必须填写，1 到 32 位小写字母、数字或 -，例如 helper；现在是 "Helper"`,
			`c.yaml:4:23 wecom.bots[1].mode：只能是 callback（回调）或 websocket（长连接）；现在是 "both"`,
			`c.yaml:5:14 wecom.bots[2].name：和 wecom.bots[1].name 重复，每项都要不同；现在是 "a"`,
			"c.yaml:6:7 wecom.bots[3].name：必须填写，1 到 32 位小写字母、数字或 -，例如 helper"}},
		{"bots in part", corp + "  bots:\n    - {name: a}\n    - {name: b, mode: websocket}\n", nil, []string{
			"c.yaml:5:7 wecom.bots[0].token：mode 是 callback 时必须填写，在智能机器人的「接收消息」页复制 Token",
			"c.yaml:5:7 wecom.bots[0].aes_key：mode 是 callback 时必须填写，在智能机器人的「接收消息」页复制 EncodingAESKey",
			"c.yaml:6:7 wecom.bots[1].id：mode 是 websocket 时必须填写，在智能机器人的「长连接」页复制 Bot ID",
			"c.yaml:6:7 wecom.bots[1].secret：mode 是 websocket 时必须填写，在智能机器人的「长连接」页复制 Secret"}},
		{"feeds", "news:\n  feeds:\n    - {name: a, url: file:///etc/passwd}\n    - {url: 'http://u:hunter2@x'}\n", nil, []string{
			`c.yaml:3:22 news.feeds[0].url：应是 http:// 或 https:// 开头的地址，不带用户名和密码，例如 https://example.com/feed.xml；现在是 "file:///etc/passwd"`,
			"c.yaml:4:7 news.feeds[1].name：必须填写，是新闻里显示的来源名称",
			"c.yaml:4:13 news.feeds[1].url：应是 http:// 或 https:// 开头的地址，不带用户名和密码，例如 https://example.com/feed.xml"}},
		{"API keys", "api:\n  keys:\n    - {name: a, key: hunter2}\n    - {name: a, key: " + aesKey + "}\n    - {name: b, key: " + aesKey + "}\n    - {name: c, key: 'hunter2 hunter2 hunter2 hunter2'}\n    - {key_file: long}\n", nil, []string{
			"c.yaml:3:22 api.keys[0].key：太短，现在 7 位，至少 24 位；可以用 openssl rand -hex 24 生成",
			`c.yaml:4:14 api.keys[1].name：和 api.keys[0].name 重复，每项都要不同；现在是 "a"`,
			"c.yaml:5:22 api.keys[2].key：和 api.keys[1].key 重复，每项都要不同",
			"c.yaml:6:22 api.keys[3].key：不能有空格和换行；可以用 openssl rand -hex 24 生成",
			"c.yaml:7:7 api.keys[4].name：必须填写，是调用方的名称，例如 pos"}},
		{"groups", "groups:\n  - {chat_id: a, name: n, mall: m}\n  - {chat_id: a, name: n, mall: m, webhook_key: 'https://x/send?key=hunter2'}\n  -\n", nil, []string{
			`c.yaml:3:15 groups[1].chat_id：和 groups[0].chat_id 重复，每项都要不同；现在是 "a"`,
			"c.yaml:3:49 groups[1].webhook_key：只填群机器人 Webhook 地址里 key= 后面的部分，只有字母、数字和 -",
			"c.yaml:4:5 groups[2].chat_id：必须填写，是群的 chat_id",
			"c.yaml:4:5 groups[2].name：必须填写，是群的名称",
			"c.yaml:4:5 groups[2].mall：必须填写，是群所属商场的名称"}},
		{"half of TLS", "tls:\n  cert_file: c.yaml\n", nil, []string{
			"c.yaml:1:1 tls.key_file：cert_file 和 key_file 要么都填，要么都留空；这里应填私钥的 PEM 文件",
			`c.yaml:2:14 tls.cert_file：不是 PEM 格式，应是证书（连同中间证书）的 PEM 文件；现在是 "c.yaml"`}},
		{"no such certificate", "tls:\n  cert_file: nowhere\n  key_file: c.yaml\n", nil, []string{
			`c.yaml:2:14 tls.cert_file：找不到这个文件，请检查路径；现在是 "nowhere"`,
			`c.yaml:3:13 tls.key_file：不是 PEM 格式，应是私钥的 PEM 文件；现在是 "c.yaml"`}},
		{"proxies", "trusted_proxies: [10.0.0.0/8, nginx, 0.0.0.0/0]\n", nil, []string{
			`c.yaml:1:31 trusted_proxies[1]：应是反向代理的地址或网段，例如 127.0.0.1 或 10.0.0.0/8；现在是 "nginx"`,
			`c.yaml:1:38 trusted_proxies[2]：等于相信所有人自称的地址，限流和日志就没有意义了；请只写反向代理的地址或网段；现在是 "0.0.0.0/0"`}},
		{"source check without an app", "public_url: https://f.example\nwecom:\n  corp_id: ww1\n  check_source: true\n", nil, []string{
			`c.yaml:4:17 wecom.check_source：要用自建应用的 Secret 向企业微信查询回调地址，请填写 wecom.app，或改成 false；现在是 "true"`}},
		{"operators", "operators:\n  - {userid: ZhangSan, role: owner}\n  - {userid: zhangsan, role: boss}\n  - {role: clerk}\n", nil, []string{
			`c.yaml:3:14 operators[1].userid：和 operators[0].userid 重复，每项都要不同；现在是 "zhangsan"`,
			`c.yaml:3:30 operators[1].role：只能是 owner、manager、operator、analyst、clerk；现在是 "boss"`,
			"c.yaml:4:5 operators[2].userid：必须填写，是企业微信通讯录里的账号"}},
		{"all at once, in the order of the file", "time_zone: x\nlisten: 80\nfoo: 1\n", []string{"QUNBOT_API_KEYS=1"}, []string{
			`c.yaml:1:12 time_zone：没有这个时区，请写 IANA 名称，例如 Asia/Shanghai；现在是 "x"`,
			`c.yaml:2:9 listen：应写成 地址:端口，端口 0 到 65535，例如 127.0.0.1:8080；现在是 "80"`,
			"c.yaml:3:1 foo：没有这个设置，这里可以写：listen、console_listen、public_url、time_zone、secret_key_file、database、backup、wecom、news、api、alerts、drain_seconds、groups、operators、tls、trusted_proxies",
			"QUNBOT_API_KEYS：列表不能用环境变量设置，请写在配置文件里"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			inDir(t, map[string]string{
				"c.yaml": tt.yaml, "empty": "\n", "long": aesKey + "0\n", "key.pem": "-----BEGIN RSA PRIVATE KEY-----\n",
			})
			_, err := Load("c.yaml", tt.env)
			if got := lines(err); !reflect.DeepEqual(got, tt.want) {
				t.Errorf("Load(%q, %q)\n got %s\nwant %s", tt.yaml, tt.env, strings.Join(got, "\n     "), strings.Join(tt.want, "\n     "))
			}
			if err != nil && strings.Contains(err.Error(), "hunter") {
				t.Errorf("Load(%q, %q) = %v, which holds a secret", tt.yaml, tt.env, err)
			}
		})
	}
}

func TestProblemFields(t *testing.T) {
	inDir(t, map[string]string{"c.yaml": "wecom:\n  bots:\n    - {name: a, token: hunter-2}\n"})
	_, err := Load("c.yaml", nil)
	p, ok := errors.AsType[*Problem](err)
	want := Problem{"wecom.bots[0].token", "c.yaml", 3, 24, "******", "Token 应是 1 到 32 位字母或数字；请在企业微信后台「接收消息」页重新复制"}
	if !ok || *p != want {
		t.Errorf("Load() = %+v, want %+v", p, want)
	}
}

func TestLoadMissingFile(t *testing.T) {
	inDir(t, nil)
	_, err := Load("etc/qunbot.yaml", nil)
	want := []string{"etc/qunbot.yaml：找不到这个文件，请检查路径"}
	if got := lines(err); !reflect.DeepEqual(got, want) {
		t.Errorf("Load() = %q, want %q", got, want)
	}
}

func TestFilesAreRelativeToTheSettings(t *testing.T) {
	inDir(t, nil)
	if err := os.Mkdir("etc", 0o700); err != nil {
		t.Fatal(err)
	}
	os.WriteFile("etc/c.yaml", []byte("secret_key_file: k\ndatabase: {dsn_file: dsn}\n"), 0o600)
	os.WriteFile("etc/dsn", []byte("x.db"), 0o600)
	cfg, err := Load("etc/c.yaml", nil)
	if key := filepath.Join("etc", "k"); err != nil || cfg.Database.DSN != "x.db" || cfg.SecretKeyFile != key {
		t.Errorf("Load() = %q, %q, %v, want x.db, %q, nil", cfg.Database.DSN.Reveal(), cfg.SecretKeyFile, err, key)
	}
}

func TestWarnings(t *testing.T) {
	inDir(t, map[string]string{
		"c.yaml": "secret_key_file: k\ndatabase:\n  dsn_file: dsn\nwecom:\n  corp_id: ww1\n  contact: {secret: x}\n",
		"k":      "x", "dsn": "x.db",
	})
	for _, name := range []string{"c.yaml", "k", "dsn"} {
		if err := os.Chmod(name, 0o640); err != nil {
			t.Fatal(err)
		}
	}
	cfg, err := Load("c.yaml", nil)
	var got []string
	for _, w := range cfg.Warnings {
		got = append(got, w.Error())
	}
	want := []string{
		"c.yaml：本机其他用户也能读 c.yaml，请执行 chmod 600 c.yaml",
		"c.yaml:3:13 database.dsn_file：本机其他用户也能读 dsn，请执行 chmod 600 dsn",
		"c.yaml:1:18 secret_key_file：本机其他用户也能读 k，请执行 chmod 600 k",
		"c.yaml public_url：还没有填写，机器人发不出会员页的链接；请填会员手机能打开的网址，例如 https://fans.example.com",
	}
	if err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("Load() warns %q, error %v, want %q, nil", got, err, want)
	}
}

// What others on the machine may read or write, or reach without encryption.
func TestWarningsOfWhatIsOpen(t *testing.T) {
	tests := []struct {
		name, yaml string
		chmod      map[string]os.FileMode
		want       []string
	}{
		{"as it should be", "listen: 127.0.0.1:8080\nconsole_listen: \"[::1]:8081\"\n", nil, nil},
		{"behind a proxy", "listen: :8080\ntrusted_proxies: [10.0.0.1]\n", nil, nil},
		{"with TLS", "listen: :8080\ntls: {cert_file: cert.pem, key_file: key.pem}\n", nil, nil},
		{"the network sees it", "listen: 0.0.0.0:8080\nconsole_listen: 10.0.0.5:8081\n", nil, []string{"listen：别的机器能直接连上", "console_listen：别的机器能直接连上"}},
		{"a database", "database: {dsn: q.db}\n", map[string]os.FileMode{"q.db": 0o644, "q.db-wal": 0o640}, []string{"也能读 q.db，请执行 chmod 600 q.db", "也能读 q.db-wal，"}},
		{"that others change", "database: {dsn: \"file:q.db\"}\n", map[string]os.FileMode{"q.db": 0o666}, []string{"也能改 q.db，请执行 chmod 600 q.db"}},
		{"a certificate's key", "tls: {cert_file: cert.pem, key_file: key.pem}\n", map[string]os.FileMode{"key.pem": 0o644, "cert.pem": 0o644}, []string{"也能读 key.pem，"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			inDir(t, map[string]string{"c.yaml": tt.yaml, "q.db": "", "q.db-wal": "", "cert.pem": "-----BEGIN CERTIFICATE-----\n", "key.pem": "-----BEGIN PRIVATE KEY-----\n"})
			for name, mode := range tt.chmod {
				if err := os.Chmod(name, mode); err != nil {
					t.Fatal(err)
				}
			}
			cfg, err := Load("c.yaml", nil)
			if err != nil || len(cfg.Warnings) != len(tt.want) {
				t.Fatalf("Load() warns %v, error %v, want %q", cfg.Warnings, err, tt.want)
			}
			for i, want := range tt.want {
				if got := cfg.Warnings[i].Error(); !strings.Contains(got, want) {
					t.Errorf("warning %d = %q, want %q in it", i+1, got, want)
				}
			}
		})
	}
}

func TestExample(t *testing.T) {
	cfg, err := Load(example, nil)
	if err != nil || !cfg.SetUp() {
		t.Errorf("Load(%s) = SetUp %t, %v, want true, nil", example, cfg.SetUp(), err)
	}
}

// The example shows every setting, and what is commented out is right once
// the secrets are filled in.
func TestExampleShowsEverything(t *testing.T) {
	data, err := os.ReadFile(example)
	if err != nil {
		t.Fatal(err)
	}
	text := regexp.MustCompile(`(?m)^( *)#([^ #\n])`).ReplaceAllString(string(data), "$1$2")
	text = strings.NewReplacer(
		`corp_id: ""`, "corp_id: ww1",
		`agent_id: 0`, "agent_id: 1",
		`private_key_file: ""`, "private_key_file: key.pem",
		`tls: {cert_file: "", key_file: ""}`, "tls: {cert_file: key.pem, key_file: key.pem}",
		`key: ""`, "key: "+aesKey, // also aes_key and webhook_key
		`token: ""`, "token: t",
		`secret: ""`, "secret: s",
	).Replace(text)
	inDir(t, map[string]string{"c.yaml": text, "key.pem": "-----BEGIN PRIVATE KEY-----\n"})
	if _, err := Load("c.yaml", nil); err != nil {
		t.Errorf("Load(example with everything) = %v\n%s", err, text)
	}
	for _, s := range Settings() {
		key := s.Path[strings.LastIndex(s.Path, ".")+1:]
		if !strings.Contains(text, key+":") {
			t.Errorf("%s does not show %s", example, s.Path)
		}
	}
}

func TestSettings(t *testing.T) {
	envs := map[string]string{}
	for _, s := range Settings() {
		if s.Doc == "" {
			t.Errorf("%s has no doc tag", s.Path)
		}
		names := []string{s.Env}
		if s.Type == "secret" {
			names = append(names, s.Env+"_FILE")
		}
		for _, name := range names {
			if other, ok := envs[name]; ok && s.Env != "" {
				t.Errorf("%s and %s share %s", s.Path, other, name)
			}
			envs[name] = s.Path
		}
	}
	got := map[string]Setting{}
	for _, s := range Settings() {
		s.Doc = ""
		got[s.Path] = s
	}
	for _, want := range []Setting{
		{"listen", "string", "127.0.0.1:8080", "QUNBOT_LISTEN", ""},
		{"database.dsn", "secret", "data/qunbot.db", "QUNBOT_DATABASE_DSN", ""},
		{"wecom.app.agent_id", "integer", "", "QUNBOT_WECOM_APP_AGENT_ID", ""},
		{"wecom.app.aes_key", "secret", "", "QUNBOT_WECOM_APP_AES_KEY", ""},
		{"wecom.kf.accounts", "list of strings", "", "", ""},
		{"wecom.bots[].mode", "string", "callback", "", ""},
		{"news.allow_private_addresses", "boolean", "false", "QUNBOT_NEWS_ALLOW_PRIVATE_ADDRESSES", ""},
	} {
		if got[want.Path] != want {
			t.Errorf("Settings() has %+v, want %+v", got[want.Path], want)
		}
	}
}

func ExampleLoad() {
	_, err := Load("", []string{"QUNBOT_TIME_ZONE=Shanghai", "QUNBOT_LISTN=:80"})
	fmt.Println(err)
	// Output:
	// QUNBOT_LISTN：没有这个设置，是不是想写 QUNBOT_LISTEN？
	// QUNBOT_TIME_ZONE time_zone：没有这个时区，请写 IANA 名称，例如 Asia/Shanghai；现在是 "Shanghai"
}

// FuzzLoad wants that no file makes Load panic, and that a file that loads has
// a zone.
func FuzzLoad(f *testing.F) {
	data, err := os.ReadFile(example)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(data)
	for _, broken := range []string{
		"", "\x00", "\ufeff", "listen", "- a", "listen: {", "wecom: [", "a: &b *b", "<<: *x", "? ", "!!map", "---\n---\n",
		"wecom:\n\tapp:", "groups: [1, [2], {chat_id: {}}]", "database: {dsn_file: [], dsn: |\n x}", "operators:\n-\n- \n", "\"\\u00",
	} {
		f.Add([]byte(broken))
	}
	path := filepath.Join(f.TempDir(), "c.yaml")
	f.Fuzz(func(t *testing.T, data []byte) {
		if err := os.WriteFile(path, data, 0o600); err != nil {
			t.Fatal(err)
		}
		cfg, err := Load(path, nil)
		if err == nil && cfg.Zone() == nil {
			t.Errorf("Load(%q) has no zone and no error", data)
		}
	})
}
