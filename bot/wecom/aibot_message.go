package wecom

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
)

// What is wrong with a decrypted message.
var (
	ErrBadCallback = errors.New("wecom: bad aibot callback")
	ErrBadReply    = errors.New("wecom: bad aibot reply")
)

// Kinds of message (msgtype), in callbacks and in replies.
//
// Sources: https://developer.work.weixin.qq.com/document/path/100719
// (callbacks) and https://developer.work.weixin.qq.com/document/path/101031
// (replies).
const (
	TypeText       = "text"
	TypeMixed      = "mixed" // text and images; callbacks only, like the five below
	TypeImage      = "image" // single chats only, like voice, file and video
	TypeVoice      = "voice"
	TypeFile       = "file"
	TypeVideo      = "video"
	TypeEvent      = "event"
	TypeStream     = "stream"                    // a refresh in callbacks, an answer in replies
	TypeCard       = "template_card"             // replies only, like the two below
	TypeStreamCard = "stream_with_template_card" // a stream and one card
	TypeMarkdown   = "markdown"                  // only by response_url, never as a passive reply
)

// ResponseUpdateCard is the response_type of the reply to a pressed card. Such
// a reply has no msgtype.
const ResponseUpdateCard = "update_template_card"

// Kinds of chat (chattype).
const (
	ChatSingle = "single"
	ChatGroup  = "group"
)

// Kinds of event (eventtype).
//
// Source: https://developer.work.weixin.qq.com/document/path/101027
const (
	EventEnterChat    = "enter_chat"          // first time that day; single chats only
	EventCard         = "template_card_event" // a button or the menu of a card was pressed
	EventFeedback     = "feedback_event"      // a reply with a feedback id was rated
	EventDisconnected = "disconnected_event"  // long connection only: replaced by a newer one
)

// An AibotCallback is what WeCom tells a bot: a message that a member wrote to
// it, a question for the current state of a stream, or an event. Which one it
// is stands in MsgType; the field of that name is set, the others are nil.
//
// Source: https://developer.work.weixin.qq.com/document/path/100719
type AibotCallback struct {
	MsgID       string    `json:"msgid,omitempty"`       // same in each delivery of a message; perhaps empty in events
	CreateTime  int64     `json:"create_time,omitempty"` // Unix seconds; 0 if not given
	AibotID     string    `json:"aibotid,omitempty"`
	ChatID      string    `json:"chatid,omitempty"`   // groups only
	ChatType    string    `json:"chattype,omitempty"` // ChatSingle or ChatGroup
	From        AibotFrom `json:"from"`
	ResponseURL string    `json:"response_url,omitempty"` // one late answer within 1 h; a secret, never to be logged

	AibotContent
	Quote  *AibotContent   `json:"quote,omitempty"`  // the message that this one quotes
	Stream *AibotStreamRef `json:"stream,omitempty"` // TypeStream
	Event  *AibotEvent     `json:"event,omitempty"`  // TypeEvent
}

// AibotFrom is who caused a callback.
type AibotFrom struct {
	CorpID string `json:"corpid,omitempty"` // events only, and not for internal bots
	UserID string `json:"userid"`
}

// AibotContent is what was said, in a message or in the message that it
// quotes. The field that MsgType names is set.
type AibotContent struct {
	MsgType string      `json:"msgtype"`
	Text    *AibotText  `json:"text,omitempty"`
	Image   *AibotMedia `json:"image,omitempty"`
	Mixed   *AibotMixed `json:"mixed,omitempty"`
	Voice   *AibotText  `json:"voice,omitempty"` // recognised from speech; there is no sound
	File    *AibotMedia `json:"file,omitempty"`
	Video   *AibotMedia `json:"video,omitempty"`
}

// AibotText is a text. In a group it contains the literal "@name " of the bot.
type AibotText struct {
	Content string `json:"content"`
}

// AibotMedia is where an image, a file or a video can be fetched for 5
// minutes. What is fetched is encrypted with AES-256-CBC and PKCS#7 to 32
// bytes; the IV is the key's first 16 bytes.
//
// Source: https://developer.work.weixin.qq.com/document/path/100719
type AibotMedia struct {
	URL    string `json:"url"`
	AESKey string `json:"aeskey,omitempty"` // long connection only; else the key is the bot's EncodingAESKey

	// Not in every version of the protocol; all may be empty.
	FileName string      `json:"filename,omitempty"`
	MD5      string      `json:"md5,omitempty"`
	FileSize json.Number `json:"file_size,omitempty"` // bytes
}

// AibotMixed is a message of texts and images, in the order of writing.
type AibotMixed struct {
	Items []AibotItem `json:"msg_item"`
}

// AibotItem is one part of a mixed message: TypeText or TypeImage.
type AibotItem struct {
	MsgType string      `json:"msgtype"`
	Text    *AibotText  `json:"text,omitempty"`
	Image   *AibotMedia `json:"image,omitempty"`
}

// AibotStreamRef names the stream whose current state WeCom asks for. It asks
// again and again until the stream has finished, for 6 minutes at most.
type AibotStreamRef struct {
	ID string `json:"id"`
}

// AibotEvent is something that happened other than a message.
//
// Source: https://developer.work.weixin.qq.com/document/path/101027
type AibotEvent struct {
	EventType string              `json:"eventtype"`
	Card      *AibotCardEvent     `json:"template_card_event,omitempty"` // EventCard
	Feedback  *AibotFeedbackEvent `json:"feedback_event,omitempty"`      // EventFeedback
}

// AibotCardEvent tells which button of which card was pressed.
type AibotCardEvent struct {
	CardType      string              `json:"card_type"`
	EventKey      string              `json:"event_key"` // key of the button
	TaskID        string              `json:"task_id"`   // of the card
	SelectedItems *AibotSelectedItems `json:"selected_items,omitempty"`
}

// AibotSelectedItems wraps the answers to the questions of a card.
type AibotSelectedItems struct {
	Items []AibotSelectedItem `json:"selected_item"`
}

// AibotSelectedItem is the answer to one question of a card.
type AibotSelectedItem struct {
	QuestionKey string         `json:"question_key"`
	OptionIDs   AibotOptionIDs `json:"option_ids"`
}

// AibotOptionIDs wraps the ids of the options chosen.
type AibotOptionIDs struct {
	IDs []string `json:"option_id"`
}

// Selected returns the options chosen, by question. It is empty if the card
// asks nothing.
func (e AibotCardEvent) Selected() map[string][]string {
	chosen := make(map[string][]string)
	if e.SelectedItems != nil {
		for _, item := range e.SelectedItems.Items {
			chosen[item.QuestionKey] = item.OptionIDs.IDs
		}
	}
	return chosen
}

// Values of AibotFeedbackEvent.Type.
const (
	FeedbackAccurate   = 1
	FeedbackInaccurate = 2
	FeedbackWithdrawn  = 3
)

// AibotFeedbackEvent is a member's rating of a reply.
type AibotFeedbackEvent struct {
	ID      string `json:"id"`                // feedback id of the reply
	Type    int    `json:"type"`              // FeedbackAccurate, FeedbackInaccurate or FeedbackWithdrawn
	Content string `json:"content,omitempty"` // what the member wrote
	// Reasons of an inaccurate reply: 1 unrelated, 2 incomplete, 3 wrong, 4
	// data analysed wrongly.
	Reasons []int `json:"inaccurate_reason_list,omitempty"`
}

// ParseAibotCallback reads a decrypted callback. Kinds of message and of event
// that it does not know are returned without their bodies, so that a new
// feature of the platform is not an error.
//
// It returns ErrBadCallback for what is not JSON, and for a known kind that
// lacks its body or what is needed to answer it: msgid and userid of a
// message, and the chatid of a group.
func ParseAibotCallback(plain []byte) (AibotCallback, error) {
	var c AibotCallback
	if err := json.Unmarshal(plain, &c); err != nil {
		return AibotCallback{}, fmt.Errorf("%w: %w", ErrBadCallback, err)
	}
	if missing := c.missing(); missing != "" {
		return AibotCallback{}, fmt.Errorf("%w: no %s", ErrBadCallback, missing)
	}
	return c, nil
}

// missing names a field that c must have and has not, or returns "".
func (c AibotCallback) missing() string {
	switch c.MsgType {
	case "":
		return "msgtype"
	case TypeStream:
		if c.Stream == nil || c.Stream.ID == "" {
			return "stream.id"
		}
		return ""
	case TypeEvent:
		return c.Event.missing()
	}
	switch {
	case c.MsgID == "":
		return "msgid"
	case c.From.UserID == "":
		return "from.userid"
	case c.ChatType == ChatGroup && c.ChatID == "":
		return "chatid"
	}
	return c.AibotContent.missing()
}

func (e *AibotEvent) missing() string {
	switch {
	case e == nil || e.EventType == "":
		return "event.eventtype"
	case e.EventType == EventCard && e.Card == nil, e.EventType == EventFeedback && e.Feedback == nil:
		return "event." + e.EventType
	}
	return ""
}

func (c AibotContent) missing() string {
	bodies := map[string]bool{
		TypeText:  c.Text != nil,
		TypeImage: c.Image != nil,
		TypeMixed: c.Mixed != nil,
		TypeVoice: c.Voice != nil,
		TypeFile:  c.File != nil,
		TypeVideo: c.Video != nil,
	}
	if present, known := bodies[c.MsgType]; known && !present {
		return c.MsgType
	}
	return ""
}

// JSON returns the callback as WeCom would encrypt it. It fails only if a
// FileSize is not a number.
func (c AibotCallback) JSON() ([]byte, error) { return marshalJSON(c) }

// SpokenText returns the words of a message: its text, what was recognised of
// its voice, or the texts of a mixed message joined by line ends. Other kinds
// have none. The "@name " of the bot is still in it.
func (c AibotContent) SpokenText() string {
	switch {
	case c.MsgType == TypeText && c.Text != nil:
		return c.Text.Content
	case c.MsgType == TypeVoice && c.Voice != nil:
		return c.Voice.Content
	case c.MsgType == TypeMixed && c.Mixed != nil:
		var texts []string
		for _, item := range c.Mixed.Items {
			if item.MsgType == TypeText && item.Text != nil {
				texts = append(texts, item.Text.Content)
			}
		}
		return strings.Join(texts, "\n")
	}
	return ""
}

// Images returns how many pictures a message holds.
func (c AibotContent) Images() (n int) {
	switch {
	case c.MsgType == TypeImage:
		return 1
	case c.MsgType == TypeMixed && c.Mixed != nil:
		for _, item := range c.Mixed.Items {
			if item.MsgType == TypeImage {
				n++
			}
		}
	}
	return n
}

// QuotedText returns the words of the quoted message, or "" if there are none
// or nothing is quoted.
func (c AibotCallback) QuotedText() string {
	if c.Quote == nil {
		return ""
	}
	return c.Quote.SpokenText()
}

// An AibotReply is what a bot answers. What may answer what:
//
//	enter_chat            TypeText, TypeCard
//	a message             TypeStream, TypeCard, TypeStreamCard
//	a stream refresh      TypeStream, TypeStreamCard
//	a pressed card        ResponseUpdateCard
//	response_url          TypeMarkdown, TypeCard; sent unencrypted
//
// So a plain answer to a message is a stream that has finished at once. To
// answer nothing, send an empty body and no envelope.
//
// Sources: https://developer.work.weixin.qq.com/document/path/101031 and, for
// response_url, https://developer.work.weixin.qq.com/document/path/101138
type AibotReply struct {
	MsgType      string         `json:"msgtype,omitempty"`
	ResponseType string         `json:"response_type,omitempty"` // ResponseUpdateCard, instead of a MsgType
	UserIDs      []string       `json:"userids,omitempty"`       // who sees the updated card; empty means everybody
	Text         *AibotText     `json:"text,omitempty"`
	Markdown     *AibotMarkdown `json:"markdown,omitempty"`
	Stream       *AibotStream   `json:"stream,omitempty"`
	TemplateCard *TemplateCard  `json:"template_card,omitempty"`
}

// AibotStream is the state of an answer that may still grow.
type AibotStream struct {
	ID     string `json:"id"`     // chosen by the bot; repeated in the refresh callbacks
	Finish bool   `json:"finish"` // true ends the stream
	// Content is the whole text so far, never only what is new: a subset of
	// markdown, at most MaxStreamBytes. Blank content is ignored.
	Content  string            `json:"content"`
	Items    []AibotStreamItem `json:"msg_item,omitempty"` // at most MaxStreamItems, and only when Finish is set
	Feedback *AibotFeedback    `json:"feedback,omitempty"` // first reply of a stream only
}

// AibotStreamItem is an image that ends a stream.
type AibotStreamItem struct {
	MsgType string      `json:"msgtype"` // TypeImage
	Image   *AibotImage `json:"image,omitempty"`
}

// AibotImage is a JPG or PNG, at most 10 MB before base64.
type AibotImage struct {
	Base64 string `json:"base64"`
	MD5    string `json:"md5"` // of the image before base64, lower-case hex
}

// AibotFeedback asks for ratings of a reply; they come as EventFeedback.
type AibotFeedback struct {
	ID string `json:"id"` // at most MaxFeedbackIDBytes
}

// AibotMarkdown is a late answer by response_url.
type AibotMarkdown struct {
	Content  string         `json:"content"` // at most MaxResponseBytes
	Feedback *AibotFeedback `json:"feedback,omitempty"`
}

// ParseAibotReply reads a decrypted reply. It returns ErrBadReply for what is
// not JSON and for what Check refuses.
func ParseAibotReply(plain []byte) (AibotReply, error) {
	var r AibotReply
	if err := json.Unmarshal(plain, &r); err != nil {
		return AibotReply{}, fmt.Errorf("%w: %w", ErrBadReply, err)
	}
	if err := r.Check(); err != nil {
		return AibotReply{}, err
	}
	return r, nil
}

// JSON returns the reply to encrypt. It fails only if a card's aspect ratio is
// not a finite number.
func (r AibotReply) JSON() ([]byte, error) { return marshalJSON(r) }

// Check returns ErrBadReply if the platform could not show r: its kind is
// unknown or without its body, or a limit of the stream, the markdown or a
// feedback id is passed. It does not know what r answers, and it does not
// check the fields of cards.
func (r AibotReply) Check() error {
	kind := r.MsgType
	switch {
	case kind != "" && r.ResponseType != "":
		return badReply("both msgtype and response_type")
	case kind == "":
		kind = r.ResponseType
	}
	switch kind {
	case TypeText:
		if r.Text == nil {
			return badReply("no text")
		}
	case TypeMarkdown:
		return r.Markdown.check()
	case TypeStream:
		return r.Stream.check()
	case TypeCard, ResponseUpdateCard:
		return r.TemplateCard.check()
	case TypeStreamCard:
		return errors.Join(r.Stream.check(), r.TemplateCard.check())
	default:
		return badReply("unknown kind %q", kind)
	}
	return nil
}

func (m *AibotMarkdown) check() error {
	switch {
	case m == nil:
		return badReply("no markdown")
	case len(m.Content) > MaxResponseBytes:
		return badReply("markdown.content has %d bytes, at most %d", len(m.Content), MaxResponseBytes)
	}
	return m.Feedback.check()
}

func (s *AibotStream) check() error {
	switch {
	case s == nil:
		return badReply("no stream")
	case s.ID == "":
		return badReply("no stream.id")
	case len(s.Content) > MaxStreamBytes:
		return badReply("stream.content has %d bytes, at most %d", len(s.Content), MaxStreamBytes)
	case len(s.Items) > MaxStreamItems:
		return badReply("stream.msg_item has %d items, at most %d", len(s.Items), MaxStreamItems)
	case len(s.Items) > 0 && !s.Finish:
		return badReply("stream.msg_item before the end")
	}
	for _, item := range s.Items {
		if item.MsgType != TypeImage || item.Image == nil {
			return badReply("stream.msg_item is not an image")
		}
	}
	return s.Feedback.check()
}

func (c *TemplateCard) check() error {
	switch {
	case c == nil:
		return badReply("no template_card")
	case c.CardType == "":
		return badReply("no template_card.card_type")
	case len(c.TaskID) > MaxTaskIDBytes:
		return badReply("template_card.task_id has %d bytes, at most %d", len(c.TaskID), MaxTaskIDBytes)
	}
	return c.Feedback.check()
}

func (f *AibotFeedback) check() error {
	if f != nil && len(f.ID) > MaxFeedbackIDBytes {
		return badReply("feedback.id has %d bytes, at most %d", len(f.ID), MaxFeedbackIDBytes)
	}
	return nil
}

func badReply(format string, args ...any) error {
	return fmt.Errorf("%w: %s", ErrBadReply, fmt.Sprintf(format, args...))
}
