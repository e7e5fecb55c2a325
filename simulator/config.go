package simulator

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"time"

	"qunbot/bot/wecom"
)

// Config is the small world that is simulated.
type Config struct {
	// BaseURL is where the simulator is reached, such as
	// "http://127.0.0.1:8080": a response_url begins with it.
	BaseURL string

	CorpID string
	Apps   []App
	Bots   []Bot
	People []Person
	Chats  []Chat
	Lines  []Line   // what was said before, in the order of saying; not in a chat that makes itself
	Chips  []string // what to say with one tap, such as "签到"

	KF []KFAccount // 微信客服: each customer may talk to each account

	Service Service // may be nil: then nothing can be unplugged

	// OnAdvance, if not nil, hears of each step of the platform's clock, after
	// it was made, so that the service can be started again with a clock as
	// far ahead; Ahead tells how far. It may take its time. Now itself must
	// not move: the simulator adds what it is ahead.
	OnAdvance func(d time.Duration)

	// FixedMinutes counts the 20 posts of a group robot from minute to minute
	// of the clock; else any 60 s are looked at. WeCom does not say which it
	// does.
	FixedMinutes bool

	// KFDuplicateCode is the errcode of kf/send_msg for a msgid that was used
	// before, which WeCom has not published; 0 means 40058.
	KFDuplicateCode int

	// AllowRemote also shows /sim/ to other machines. Whoever reaches it may
	// speak for anybody, so without it only loopback is let in.
	AllowRemote bool

	TokenLife time.Duration // of an access token; 0 means 2 h
	Timing    Timing

	Zone *time.Location   // in which days begin; nil means Asia/Shanghai
	Now  func() time.Time // must not be nil
	Log  *slog.Logger     // nil means slog.Default()
	HTTP *http.Client     // posts the callbacks; nil means one without proxy and redirects
	Rand *rand.Rand       // nonces and the moment of a power cut; nil means a random one
}

// Timing is how patient the platform is. Zero fields mean WeCom's values.
type Timing struct {
	Verify   time.Duration // for the answer to a URL verification; 1 s
	Callback time.Duration // for the answer to a callback; 5 s
	Pause    time.Duration // before the second try; the third waits twice as long; 500 ms
	Poll     time.Duration // between two questions for the state of a stream; 1 s
	Stream   time.Duration // from a message to the end of its stream; 6 min
	Response time.Duration // how long a response_url works; 1 h
	Late     time.Duration // by which a callback comes late when it is told to; 8 s
	Hold     time.Duration // for which an answer is held back when it is told to time out; 30 s
}

// An App is a self-built application (自建应用) of the corp.
type App struct {
	AgentID     string
	Secret      string
	Token       string // of its callback
	AESKey      string
	CallbackURL string

	// TrustedHost is where OAuth may lead back to, such as
	// "fans.example.com" or "127.0.0.1:8080"; empty means the host of BaseURL.
	TrustedHost string

	// Name is what members see, such as "会员服务"; empty means "应用消息".
	// Members find an app with a CallbackURL in their list of chats, any
	// other once it has sent something.
	Name string

	// Scope are the ids of the Members who see the app (可见范围); empty means
	// everybody in the corp.
	Scope []string
}

// A KFAccount is a service account (客服账号) of 微信客服 to which customers
// talk.
type KFAccount struct {
	ID        string   // open_kfid, such as "wkDEMO0001"
	Name      string   // shown to customers
	App       string   // AgentID of the app that manages it; empty means the first
	Servicers []string // ids of the Members who take over from the app (接待人员)
	Scenes    []string // of links that exist from the start, beside one without a scene
}

// A Bot is an aibot (智能机器人) in callback mode.
type Bot struct {
	Name        string // short id, such as "helper"
	DisplayName string // what people @, such as "小助手"
	Token       string
	AESKey      string
	CallbackURL string

	what  botKind
	agent string // of an app or the app that manages a KFAccount: its AgentID
}

// A botKind is what else speaks like a bot.
type botKind string

const (
	aibot     botKind = ""
	ofRobot   botKind = "robot" // posts by a webhook and hears nothing
	ofApp     botKind = "app"
	ofAccount botKind = "kf"
)

// Kinds of Person.
const (
	Member   = "userid"          // of the corp
	Customer = "external_userid" // a WeChat user outside the corp
)

// A Person is somebody whom the tester can be.
type Person struct {
	ID   string
	Kind string // Member or Customer
	Name string
	Role string // shown behind the name, such as "运营"; may be empty

	UnionID string // of a Customer, told to apps of a corp with a bound developer account; may be empty
}

// ChatKind says who is in a chat, and so whether a bot can be.
type ChatKind string

// The kinds of chat.
const (
	Internal      ChatKind = "internal" // 内部群: members of the corp, and a bot that hears its @
	CustomerGroup ChatKind = "customer" // 客户群: customers and members, never a bot
	Single        ChatKind = "single"   // one member and a bot that hears everything; each member has their own

	// These make themselves: one for each App, one for each KFAccount, and
	// what apps create.
	application ChatKind = "app"     // 应用消息: one member and an app
	service     ChatKind = "kf"      // 微信客服: one customer and an account
	appGroup    ChatKind = "appchat" // 应用群聊: members, made by an app
)

// A Chat is an entry of the list of chats.
type Chat struct {
	ID      string
	Name    string
	Kind    ChatKind
	Members []string // ids of People; of a Single chat, who has it (empty: every Member)
	Bot     string   // Name of a Bot; must be empty in a CustomerGroup
	Pinned  Link     // shown on top; the member page in a CustomerGroup
	Notice  string   // 群公告; may be empty

	// WebhookKey lets a group robot (群机器人, 消息推送) post into an Internal
	// chat; WebhookName is what it is called there, "群机器人" if empty.
	WebhookKey  string
	WebhookName string

	agent string // of an appGroup: the AgentID of the app that made it
	owner string // of an appGroup
}

// A Link leads to a page.
type Link struct {
	Title string `json:"title"`
	URL   string `json:"url"`
}

// A Line is something that was said.
type Line struct {
	Chat string // id of the chat
	Who  string // id of a Person or Name of the chat's Bot
	With string // in a Single chat, the member; empty means Who
	Text string
	At   time.Time
}

// A Service is the process that answers the callbacks, to pull its plug.
type Service interface {
	// Kill ends the process at once, as a power cut would.
	Kill() error
	// Start starts it again and returns when it answers.
	Start(ctx context.Context) error
}

// kfForm is what an open_kfid looks like.
var kfForm = regexp.MustCompile(`^wk[0-9A-Za-z_-]{1,62}$`)

// withDefaults returns c with its zero fields set.
func (c Config) withDefaults() Config {
	setIfZero(&c.TokenLife, 2*time.Hour)
	setIfZero(&c.Timing.Verify, time.Second)
	setIfZero(&c.Timing.Callback, 5*time.Second)
	setIfZero(&c.Timing.Pause, 500*time.Millisecond)
	setIfZero(&c.Timing.Poll, time.Second)
	setIfZero(&c.Timing.Stream, 6*time.Minute)
	setIfZero(&c.Timing.Response, time.Hour)
	setIfZero(&c.Timing.Late, 8*time.Second)
	setIfZero(&c.Timing.Hold, 30*time.Second)
	setIfZero(&c.KFDuplicateCode, 40058)
	if c.Zone == nil {
		c.Zone = time.FixedZone("Asia/Shanghai", 8*60*60) // no summer time since 1991
	}
	if c.Log == nil {
		c.Log = slog.Default()
	}
	if c.HTTP == nil {
		c.HTTP = callbackClient()
	}
	if c.Rand == nil {
		c.Rand = rand.New(rand.NewPCG(rand.Uint64(), rand.Uint64()))
	}
	return c.withMade()
}

// withMade returns c with the bots and chats that make themselves.
func (c Config) withMade() Config {
	c.Bots, c.Chats = slices.Clone(c.Bots), slices.Clone(c.Chats)
	for i, chat := range c.Chats {
		if chat.WebhookKey != "" {
			setIfZero(&c.Chats[i].WebhookName, "群机器人")
			c.Bots = append(c.Bots, Bot{Name: robotOf(chat.ID), DisplayName: c.Chats[i].WebhookName, what: ofRobot})
		}
	}
	for _, app := range c.Apps {
		name := appName(app.AgentID)
		title := app.Name
		setIfZero(&title, "应用消息")
		c.Bots = append(c.Bots, Bot{
			Name: name, DisplayName: title, what: ofApp, agent: app.AgentID,
			Token: app.Token, AESKey: app.AESKey, CallbackURL: app.CallbackURL,
		})
		c.Chats = append(c.Chats, Chat{ID: name, Name: title, Kind: application, Bot: name, Members: app.Scope})
	}
	for _, account := range c.KF {
		app := c.appFor(account.App)
		c.Bots = append(c.Bots, Bot{
			Name: account.ID, DisplayName: account.Name, what: ofAccount, agent: app.AgentID,
			Token: app.Token, AESKey: app.AESKey, CallbackURL: app.CallbackURL,
		})
		c.Chats = append(c.Chats, Chat{ID: account.ID, Name: account.Name, Kind: service, Bot: account.ID})
	}
	return c
}

// robotOf returns the name of the group robot in a chat.
func robotOf(chatID string) string { return "robot:" + chatID }

// appName returns the name of an app, and of the chats with it.
func appName(agentID string) string { return "app:" + agentID }

func setIfZero[T comparable](field *T, value T) {
	var zero T
	if *field == zero {
		*field = value
	}
}

// check returns everything that is wrong with c.
func (c Config) check() error {
	var problems []error
	wrong := func(format string, args ...any) { problems = append(problems, fmt.Errorf(format, args...)) }

	if u, err := url.Parse(c.BaseURL); err != nil || u.Host == "" {
		wrong("base URL %q: want one such as http://127.0.0.1:8080", c.BaseURL)
	}
	if c.CorpID == "" {
		wrong("no corp id")
	}
	if c.Now == nil {
		wrong("no clock")
	}
	names := map[string]string{} // of people and bots, to what they are
	taken := func(id, what string) {
		if id == "" || names[id] != "" {
			wrong("%s %q: empty or given twice", what, id)
		}
		names[id] = what
	}
	for _, p := range c.People {
		taken(p.ID, "person")
		if p.Kind != Member && p.Kind != Customer {
			wrong("person %q: kind %q, want %q or %q", p.ID, p.Kind, Member, Customer)
		}
	}
	for _, b := range c.Bots {
		taken(b.Name, "bot")
		if b.DisplayName == "" {
			wrong("bot %q: no display name", b.Name)
		}
		if _, err := wecom.NewCipher(b.Token, b.AESKey, ""); err != nil {
			wrong("bot %q: %w", b.Name, err)
		}
		if u, err := url.Parse(b.CallbackURL); err != nil || u.Host == "" {
			wrong("bot %q: callback URL %q", b.Name, b.CallbackURL)
		}
	}
	for _, problem := range c.checkApps(names) {
		wrong("%w", problem)
	}
	chats, keys := map[string]Chat{}, map[string]bool{}
	for _, chat := range c.Chats {
		if _, twice := chats[chat.ID]; twice || chat.ID == "" {
			wrong("chat %q: empty or given twice", chat.ID)
		}
		chats[chat.ID] = chat
		for _, problem := range c.checkChat(chat, names) {
			wrong("chat %q: %w", chat.ID, problem)
		}
		if chat.WebhookKey != "" && keys[chat.WebhookKey] {
			wrong("chat %q: another chat has the same webhook key", chat.ID)
		}
		keys[chat.WebhookKey] = true
	}
	for i, l := range c.Lines {
		if chats[l.Chat].ID == "" || names[l.Who] == "" {
			wrong("line %d: chat %q or speaker %q unknown", i, l.Chat, l.Who)
		}
	}
	return errors.Join(problems...)
}

// checkApps returns what is wrong with the apps and service accounts; names
// are the ids in use, to which it adds.
func (c Config) checkApps(names map[string]string) (problems []error) {
	wrong := func(format string, args ...any) { problems = append(problems, fmt.Errorf(format, args...)) }
	agents := map[string]bool{}
	for _, app := range c.Apps {
		if agents[app.AgentID] || app.AgentID == "" {
			wrong("app %q: empty or given twice", app.AgentID)
		}
		agents[app.AgentID] = true
		for _, id := range app.Scope {
			if c.person(id).Kind != Member {
				wrong("app %q: %q in its scope is no member", app.AgentID, id)
			}
		}
		if app.CallbackURL == "" {
			continue
		}
		if u, err := url.Parse(app.CallbackURL); err != nil || u.Host == "" {
			wrong("app %q: callback URL %q", app.AgentID, app.CallbackURL)
		}
		if _, err := wecom.NewCipher(app.Token, app.AESKey, c.CorpID); err != nil {
			wrong("app %q: %w", app.AgentID, err)
		}
	}
	for _, account := range c.KF {
		if names[account.ID] != "" || !kfForm.MatchString(account.ID) {
			wrong("service account %q: given twice, or not of the form wk…", account.ID)
		}
		names[account.ID] = "service account"
		if account.Name == "" {
			wrong("service account %q: no name", account.ID)
		}
		for _, scene := range account.Scenes {
			if scene == "" || len(scene) > maxScene || !sceneForm.MatchString(scene) {
				wrong("service account %q: scene %q", account.ID, scene)
			}
		}
		if app := c.appFor(account.App); app.CallbackURL == "" {
			wrong("service account %q: no app with a callback URL manages it", account.ID)
		}
		for _, id := range account.Servicers {
			if c.person(id).Kind != Member {
				wrong("service account %q: servicer %q is no member", account.ID, id)
			}
		}
	}
	return problems
}

// checkChat returns what is wrong with chat; names are the ids in use.
func (c Config) checkChat(chat Chat, names map[string]string) (problems []error) {
	wrong := func(format string, args ...any) { problems = append(problems, fmt.Errorf(format, args...)) }
	switch chat.Kind {
	case Internal:
	case CustomerGroup:
		if chat.Bot != "" {
			wrong("no bot can be in a customer group")
		}
	case Single:
		if chat.Bot == "" {
			wrong("nobody to talk to")
		}
	default:
		wrong("kind %q", chat.Kind)
	}
	if chat.WebhookKey != "" && chat.Kind != Internal {
		wrong("a group robot can only be in an internal group")
	}
	if chat.Bot != "" && names[chat.Bot] != "bot" {
		wrong("bot %q unknown", chat.Bot)
	}
	for _, id := range chat.Members {
		switch {
		case names[id] != "person":
			wrong("member %q unknown", id)
		case chat.Kind != CustomerGroup && c.person(id).Kind == Customer:
			wrong("customer %q can only be in customer groups", id)
		}
	}
	return problems
}

func (c Config) person(id string) Person {
	return find(c.People, func(p Person) bool { return p.ID == id })
}

func (c Config) bot(name string) Bot { return find(c.Bots, func(b Bot) bool { return b.Name == name }) }

func (c Config) chat(id string) Chat {
	return find(c.Chats, func(chat Chat) bool { return chat.ID == id })
}

// find returns the first of all that fits, or a zero one.
func find[T any](all []T, fits func(T) bool) T {
	for _, one := range all {
		if fits(one) {
			return one
		}
	}
	var none T
	return none
}
