package simulator

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"net/url"
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
	Lines  []Line   // what was said before, in the order of saying
	Chips  []string // what to say with one tap, such as "签到"

	Service Service // may be nil: then nothing can be unplugged

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
}

// A Bot is an aibot (智能机器人) in callback mode.
type Bot struct {
	Name        string // short id, such as "helper"
	DisplayName string // what people @, such as "小助手"
	Token       string
	AESKey      string
	CallbackURL string
}

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
}

// ChatKind says who is in a chat, and so whether a bot can be.
type ChatKind string

// The kinds of chat.
const (
	Internal      ChatKind = "internal" // 内部群: members of the corp, and a bot that hears its @
	CustomerGroup ChatKind = "customer" // 客户群: customers and members, never a bot
	Single        ChatKind = "single"   // one member and a bot that hears everything; each member has their own
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

// withDefaults returns c with its zero fields set.
func (c Config) withDefaults() Config {
	setIfZero(&c.TokenLife, 2*time.Hour)
	setIfZero(&c.Timing.Verify, time.Second)
	setIfZero(&c.Timing.Callback, 5*time.Second)
	setIfZero(&c.Timing.Pause, 500*time.Millisecond)
	setIfZero(&c.Timing.Poll, time.Second)
	setIfZero(&c.Timing.Stream, 6*time.Minute)
	setIfZero(&c.Timing.Response, time.Hour)
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
	return c
}

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
	chats := map[string]Chat{}
	for _, chat := range c.Chats {
		if _, twice := chats[chat.ID]; twice || chat.ID == "" {
			wrong("chat %q: empty or given twice", chat.ID)
		}
		chats[chat.ID] = chat
		for _, problem := range c.checkChat(chat, names) {
			wrong("chat %q: %w", chat.ID, problem)
		}
	}
	for i, l := range c.Lines {
		if chats[l.Chat].ID == "" || names[l.Who] == "" {
			wrong("line %d: chat %q or speaker %q unknown", i, l.Chat, l.Who)
		}
	}
	return errors.Join(problems...)
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
