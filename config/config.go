// Package config reads qunbot's settings: defaults, then the YAML file, then
// QUNBOT_* environment variables, each overriding the one before. It reports
// every problem at once, in Chinese, to be fixed by the mall's IT people.
//
// Only main imports it; other packages get plain values. It is also the only
// place that knows about environment variables.
package config

import (
	"net/netip"
	"slices"
	"time"
)

// A Config is the settings of one qunbot process, as returned by [Load].
//
// The tags are the reference: yaml is the key in the file, default the value
// when a setting is absent, doc what it means. Every Secret may be given as
// <key>_file instead, the name of a file that holds it.
type Config struct {
	Listen        string   `yaml:"listen" default:"127.0.0.1:8080" doc:"host:port of the web server; port 0 picks a free one"`
	ConsoleListen string   `yaml:"console_listen" doc:"host:port of the console alone; empty: console on listen under /console"`
	PublicURL     string   `yaml:"public_url" doc:"address that members' phones and WeCom reach, https://host without path; never ends in /"`
	TimeZone      string   `yaml:"time_zone" default:"Asia/Shanghai" doc:"IANA zone of business days; fixed once check-ins exist"`
	SecretKeyFile string   `yaml:"secret_key_file" doc:"file of the key that encrypts stored secrets and phone numbers, relative to the settings file; empty: created next to the database"`
	Database      Database `yaml:"database"`
	Backup        Backup   `yaml:"backup"`
	WeCom         WeCom    `yaml:"wecom"`
	News          News     `yaml:"news"`
	API           API      `yaml:"api"`
	Alerts        Alerts   `yaml:"alerts"`
	DrainSeconds  int64    `yaml:"drain_seconds" default:"0" doc:"seconds that /readyz says 503 before the program stops, 0 to 60; for a proxy in front of several replicas"`

	// Groups and Operators fill an empty database; the console manages both
	// afterwards.
	Groups    []Group    `yaml:"groups"`
	Operators []Operator `yaml:"operators"`

	TLS            TLS      `yaml:"tls"`
	TrustedProxies []string `yaml:"trusted_proxies" doc:"reverse proxies whose X-Forwarded-For and X-Forwarded-Proto are believed, as networks (10.0.0.0/8) or addresses; empty: those on this machine (127.0.0.0/8, ::1)"`

	// Warnings are what deserves attention without stopping the program.
	Warnings []Problem `yaml:"-"`

	zone    *time.Location
	proxies []netip.Prefix
}

// TLS is the certificate that both web servers use: both files or neither.
type TLS struct {
	CertFile string `yaml:"cert_file" doc:"PEM file of the certificate with its chain, relative to the settings file; empty: http, https is up to a reverse proxy"`
	KeyFile  string `yaml:"key_file" doc:"PEM file of its private key; both files are read again when they change"`
}

// A Database is where the state is kept.
type Database struct {
	Driver string `yaml:"driver" default:"sqlite" doc:"sqlite or mysql (MariaDB too)"`
	DSN    Secret `yaml:"dsn" default:"data/qunbot.db" doc:"sqlite: file, relative to the working directory; mysql: user:password@tcp(host:3306)/name"`
}

// A Backup is when the database is backed up by itself, and where to.
type Backup struct {
	Dir      string `yaml:"dir" doc:"folder of the nightly backups, relative to the settings file; empty: backups beside the database for sqlite, none for mysql"`
	KeepDays int64  `yaml:"keep_days" default:"14" doc:"days that nightly backups are kept, 1 to 3650; 0: no nightly backups"`
}

// WeCom is the corp and what qunbot uses of it. Without CorpID the program
// runs in set-up mode and nothing here has to be complete.
type WeCom struct {
	APIBase string  `yaml:"api_base" default:"https://qyapi.weixin.qq.com" doc:"WeCom's server, https://host without path; never ends in /"`
	CorpID  string  `yaml:"corp_id" doc:"corp id (企业 ID); empty: set-up mode"`
	App     App     `yaml:"app"`
	Contact Contact `yaml:"contact"`
	KF      KF      `yaml:"kf"`
	Bots    []Bot   `yaml:"bots"`
	Archive Archive `yaml:"archive"`

	CheckSource bool `yaml:"check_source" default:"false" doc:"true: callbacks are accepted from WeCom's own addresses (getcallbackip) only; needs app.secret"`
}

// An App is the corp's self-built app (自建应用): all of it is set, or nothing.
type App struct {
	AgentID int64  `yaml:"agent_id" doc:"AgentId of the self-built app, at least 1; 0: none"`
	Secret  Secret `yaml:"secret" doc:"Secret of the app"`
	Token   Secret `yaml:"token" doc:"Token of its callback, 1 to 32 letters and digits"`
	AESKey  Secret `yaml:"aes_key" doc:"EncodingAESKey of its callback, 43 letters and digits"`
}

// Contact is access to customers and customer groups (客户联系).
type Contact struct {
	Secret Secret `yaml:"secret" doc:"Secret of 客户联系; empty: that of the app"`
}

// KF is the 微信客服 accounts that the app manages.
type KF struct {
	Accounts []string `yaml:"accounts" doc:"open_kfid of each account that the app manages"`
}

// The ways a smart bot is connected.
const (
	ModeCallback  = "callback"  // WeCom calls /wecom/aibot/{name}; needs Token and AESKey
	ModeWebSocket = "websocket" // qunbot keeps a connection open; needs ID and Secret
)

// A Bot is a smart bot (智能机器人) in internal groups.
type Bot struct {
	Name        string `yaml:"name" doc:"unique, part of the callback path; 1 to 32 of a-z, 0-9 and -"`
	DisplayName string `yaml:"display_name" doc:"name in the chat, without @"`
	Mode        string `yaml:"mode" default:"callback" doc:"callback (needs token, aes_key) or websocket (needs id, secret)"`
	Token       Secret `yaml:"token" doc:"Token of the callback, 1 to 32 letters and digits"`
	AESKey      Secret `yaml:"aes_key" doc:"EncodingAESKey of the callback, 43 letters and digits"`
	ID          string `yaml:"id" doc:"bot id of the long connection"`
	Secret      Secret `yaml:"secret" doc:"Secret of the long connection"`
}

// An Archive is access to the message archive (会话内容存档): both or neither.
type Archive struct {
	Secret         Secret `yaml:"secret" doc:"Secret of 会话内容存档"`
	PrivateKeyFile string `yaml:"private_key_file" doc:"PEM file of the RSA private key, relative to the settings file"`
}

// News is where daily news come from.
type News struct {
	Feeds                 []Feed `yaml:"feeds"`
	AllowPrivateAddresses bool   `yaml:"allow_private_addresses" default:"false" doc:"true: feeds may be inside the own network"`
}

// A Feed is one RSS, Atom or JSON feed.
type Feed struct {
	Name string `yaml:"name" doc:"name that the posts show"`
	URL  string `yaml:"url" doc:"http or https address of the feed"`
}

// API is who may call /api/v1.
type API struct {
	Keys []APIKey `yaml:"keys"`
}

// An APIKey is the key of one caller.
type APIKey struct {
	Name string `yaml:"name" doc:"unique; names the caller in the audit log"`
	Key  Secret `yaml:"key" doc:"at least 24 characters without blanks, unique"`
}

// Alerts is who hears of troubles of the service itself.
type Alerts struct {
	WebhookKey Secret `yaml:"webhook_key" doc:"key of the webhook of a staff group, what follows key= in its address; empty: an app message to every operator"`
}

// A Group is a fan group to start with.
type Group struct {
	ChatID     string `yaml:"chat_id" doc:"unique chat id"`
	Name       string `yaml:"name" doc:"group name"`
	Mall       string `yaml:"mall" doc:"mall that the group belongs to"`
	WebhookKey Secret `yaml:"webhook_key" doc:"key of the group robot's webhook, what follows key= in its address; empty: no posts by webhook"`
}

// An Operator is a console account to start with.
type Operator struct {
	UserID string `yaml:"userid" doc:"unique WeCom userid"`
	Role   string `yaml:"role" doc:"owner, manager, operator, analyst or clerk"`
}

var roles = []string{"owner", "manager", "operator", "analyst", "clerk"}

// Roles returns the roles that an operator may have, the mightiest first.
func Roles() []string { return slices.Clone(roles) }

// SetUp reports whether the program runs in set-up mode: no corp is known yet.
func (c Config) SetUp() bool { return c.WeCom.CorpID == "" }

// Zone returns the location of TimeZone. It is nil unless c came from [Load].
func (c Config) Zone() *time.Location { return c.zone }

// Proxies returns the networks of TrustedProxies, or those of this machine if
// there are none. It is nil unless c came from [Load].
func (c Config) Proxies() []netip.Prefix { return c.proxies }
