package simulator

import (
	"errors"
	"slices"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"qunbot/bot/wecom"
)

// A line is one bubble of a chat.
type line struct {
	ID         string              `json:"id"`
	Rev        int                 `json:"rev"` // grows with each change
	Chat       string              `json:"chat"`
	With       string              `json:"with,omitempty"` // in a single chat, the member whose chat it is
	Who        string              `json:"who"`            // id of a person or name of a bot
	Text       string              `json:"text,omitempty"`
	Card       *wecom.TemplateCard `json:"card,omitempty"`
	Images     []string            `json:"images,omitempty"` // data: URLs
	At         time.Time           `json:"at"`
	ReplyTo    string              `json:"reply_to,omitempty"` // id of the line that it answers
	Form       string              `json:"form,omitempty"`     // of Text, when a bot speaks; see the constants
	Mentions   []string            `json:"mentions,omitempty"` // names behind the text, each with its @
	Articles   []wecom.Article     `json:"articles,omitempty"`
	File       *fileState          `json:"file,omitempty"`
	Menu       *menu               `json:"menu,omitempty"`
	System     string              `json:"system,omitempty"`     // said by nobody: what has happened
	Note       string              `json:"note,omitempty"`       // small, below
	Error      string              `json:"error,omitempty"`      // small and red, below
	Waiting    bool                `json:"waiting,omitempty"`    // for an answer
	Growing    bool                `json:"growing,omitempty"`    // a stream that has not finished
	Deliveries int                 `json:"deliveries,omitempty"` // how often it was delivered on purpose
	Heard      bool                `json:"heard,omitempty"`      // the bot gets it

	stream string // id of the stream that fills it
}

// Forms of a bot's text. Empty is what an aibot says: markdown in which line
// breaks count.
const (
	formText       = "text"
	formMarkdown   = "markdown"
	formMarkdownV2 = "markdown_v2"
)

// A fileState is a file, as a chat shows it.
type fileState struct {
	Name  string `json:"name"`
	Kind  string `json:"kind"` // file, voice or video
	Bytes int    `json:"bytes"`
	URL   string `json:"url"`
}

// Limits of what is kept and said.
const (
	maxLines     = 2000 // the oldest go
	maxTextBytes = 4096 // of one message
	maxOpen      = 3    // interactions of one person with one bot
)

// Why a bot does not answer, as shown under a bubble.
const (
	notAddressed = "机器人只听得到 @ 它的消息"
	noBotHere    = "客户群里进不了机器人，所以没有回答；会员从上方置顶的会员页签到、查积分"
	noBotInGroup = "这个群里没有机器人"
	noCallback   = "这个应用没有设置接收消息的地址，听不到"
	noEars       = "应用建的群，应用只能发，听不到"
	tooManyOpen  = "同一个人最多有 3 条消息在等机器人回答，平台没有送出这一条"
	tooBusy      = "要送的消息太多了，请稍后再发"
)

// What is wrong with what the tester wants.
var (
	errNoChat   = errors.New("没有这个聊天")
	errNoPerson = errors.New("没有这个人")
	errNotIn    = errors.New("这个人不在这个聊天里")
	errNoText   = errors.New("说点什么吧")
	errTooLong  = errors.New("太长了，最多 4096 字节")
	errBadText  = errors.New("文字不是有效的 UTF-8")
	errBusy     = errors.New(tooBusy)
)

// say puts text into a chat. If a bot hears it there, say also returns what to
// deliver to it; the caller has to.
func (s *Simulator) say(chatID, personID, text string) (line, *delivery, error) {
	chat, person, err := s.place(chatID, personID)
	if err != nil {
		return line{}, nil, err
	}
	if text, err = cleanText(text); err != nil {
		return line{}, nil, err
	}
	bot := s.cfg.bot(chat.Bot)
	if bot.what == ofAccount {
		return s.kfSay(chat, person, text, "")
	}
	addressed := chat.Kind == Single || chat.Kind == application
	if chat.Kind == Internal && bot.Name != "" {
		text, addressed = mention(text, bot.DisplayName)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	l := &line{Chat: chat.ID, Who: person.ID, Text: text, At: s.nowLocked()}
	if chat.Kind == Single || chat.Kind == application {
		l.With = person.ID
	}
	interaction := person.ID + "\n" + bot.Name
	switch {
	case chat.Kind == CustomerGroup:
		l.Note = noBotHere
	case chat.Kind == appGroup:
		l.Note = noEars
	case bot.Name == "":
		l.Note = noBotInGroup
	case bot.CallbackURL == "":
		l.Note = noCallback
	case !addressed:
		l.Note = notAddressed
	case bot.what == aibot && s.open[interaction] >= maxOpen:
		l.Error = tooManyOpen
	default:
		l.Heard, l.Waiting, l.Deliveries = true, true, 1
	}
	s.addLine(l)
	if !l.Heard {
		return *l, nil, nil
	}
	s.open[interaction]++
	var d *delivery
	if bot.what == ofApp {
		d = s.newAppMessage(chat, person, l)
	} else {
		d = s.newMessage(bot, chat, person, l)
	}
	d.close = func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.open[interaction]--
	}
	s.letters[l.ID] = d
	return *l, d, nil
}

// place returns a chat and a person who is in it.
func (s *Simulator) place(chatID, personID string) (Chat, Person, error) {
	chat, person := s.chat(chatID), s.cfg.person(personID)
	switch {
	case chat.ID == "":
		return Chat{}, Person{}, errNoChat
	case person.ID == "":
		return Chat{}, Person{}, errNoPerson
	case !chat.has(person):
		return Chat{}, Person{}, errNotIn
	}
	return chat, person, nil
}

// has reports whether p is in the chat.
func (c Chat) has(p Person) bool {
	switch {
	case c.Kind == service:
		return p.Kind == Customer
	case (c.Kind == Single || c.Kind == application) && len(c.Members) == 0:
		return p.Kind == Member
	}
	return slices.Contains(c.Members, p.ID)
}

// cleanText returns what a client would send of text, or why it would not.
func cleanText(text string) (string, error) {
	if !utf8.ValidString(text) {
		return "", errBadText
	}
	text = strings.Map(func(r rune) rune {
		if unicode.IsControl(r) && r != '\n' && r != '\t' {
			return -1
		}
		return r
	}, strings.ReplaceAll(text, "\r\n", "\n"))
	text = strings.TrimRightFunc(strings.TrimLeft(text, "\n"), unicode.IsSpace)
	switch {
	case strings.TrimSpace(text) == "":
		return "", errNoText
	case len(text) > maxTextBytes:
		return "", errTooLong
	}
	return text, nil
}

// mention reports whether text has an @ of name, and returns it as the client
// writes it, with a blank behind.
func mention(text, name string) (string, bool) {
	at := "@" + name
	before, after, found := strings.Cut(text, at)
	if !found {
		return text, false
	}
	if next, _ := utf8.DecodeRuneInString(after); after != "" && !unicode.IsSpace(next) {
		after = " " + after
	}
	return before + at + after, true
}

// addHistory adds a line from the time before.
func (s *Simulator) addHistory(old Line) {
	l := &line{Chat: old.Chat, Who: old.Who, Text: old.Text, At: old.At}
	if s.cfg.chat(old.Chat).Kind == Single {
		if l.With = old.With; l.With == "" {
			l.With = old.Who
		}
	}
	s.addLine(l)
}

// addLine gives l an id, keeps it and shows it. The caller holds mu, as for
// all below.
func (s *Simulator) addLine(l *line) {
	l.ID = s.newID("l")
	s.lines = append(s.lines, l)
	if extra := len(s.lines) - maxLines; extra > 0 {
		for _, gone := range s.lines[:extra] {
			delete(s.letters, gone.ID)
		}
		s.lines = slices.Delete(s.lines, 0, extra)
	}
	s.showLine(l)
}

// showLine tells the viewers that l has changed.
func (s *Simulator) showLine(l *line) {
	l.Rev++
	s.publish("line", l)
}

// lineByID returns a line, or nil.
func (s *Simulator) lineByID(id string) *line {
	return find(s.lines, func(l *line) bool { return l.ID == id })
}

// changeLine changes a line, if it is still there, and shows it.
func (s *Simulator) changeLine(id string, change func(*line)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if l := s.lineByID(id); l != nil {
		change(l)
		s.showLine(l)
	}
}
