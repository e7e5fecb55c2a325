// Package bot is a chat, whatever carries it: messages come in through an
// [Engine], which commits what they cause before it answers, and replies go
// back the way the message came.
package bot

import (
	"fmt"
	"time"

	"qunbot/store"
)

// A Message is what somebody said, or did, in a chat.
type Message struct {
	Key       string          // endpoint and the platform's message id: the same message has the same key
	Endpoint  string          // the door it came through, such as "aibot/helper"
	BotName   string          // what people @ to be heard there; stripped from the text
	ChatID    string          // the platform's id of the group; empty in a 1:1 chat
	ChatKind  store.GroupKind // kind of the group, should it be new
	From      store.Identity  // who
	Event     Event           // what happened; empty when something was said
	Text      string          // what was said
	Quote     string          // the text that was quoted with it
	Images    int             // pictures in it; what they show is not known
	Card      bool            // it is a link or a business card; Text does not hold it
	Addressed bool            // said to the bot, who should answer; false for what it overhears
	SentAt    time.Time       // when it was said; decides the business day
	ReplyLane string          // where the reply is posted, as a lane of the outbox; empty: the caller of Handle brings it
	ReplyMax  int             // bytes of UTF-8 that the caller of Handle can bring; 0: any number
	RestLane  string          // where the rest of a longer reply is posted, in one message within an hour; empty: nowhere

	// Filled in by the engine.

	Member   store.Member
	Group    store.Group    // zero in a 1:1 chat
	Operator store.Operator // zero unless Member is an operator
}

// Private reports whether m was said in a 1:1 chat, where personal answers
// may be given.
func (m Message) Private() bool { return m.ChatID == "" }

// Event says what happened, where nothing was said.
type Event string

// The events.
const (
	Entered Event = "entered" // somebody opened the chat with the bot
	Pressed Event = "pressed" // somebody pressed a button of a card
	Rated   Event = "rated"   // somebody rated an answer
)

// An EventHandler answers one kind of event.
type EventHandler struct {
	Event  Event
	Handle Handler
}

// A Reply answers a message. The zero Reply says nothing.
type Reply struct {
	Text   string // plain text with line breaks; [Name] stands for a member's name
	Rich   *Rich  // how a post looks where its destination shows more than text; nil: as Text
	Rule   string // which rule answered, for the decision log; empty: the command's
	Detail string // why, for the decision log
}

// Textf returns a reply of formatted text.
func Textf(format string, args ...any) Reply { return Reply{Text: fmt.Sprintf(format, args...)} }
