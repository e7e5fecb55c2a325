package wecom

import (
	"fmt"
	"log/slog"
	"net/http"
	"strings"

	"qunbot/bot"
)

// DestinationKind is a way to reach people.
type DestinationKind string

// The kinds of destination.
const (
	ToWebhook  DestinationKind = "webhook"  // a group robot; ID is its key, a secret
	ToApp      DestinationKind = "app"      // members, from the app; ID is userids joined by "|", or "@all"
	ToAppChat  DestinationKind = "appchat"  // a chat that the app made; ID is its chat id
	ToResponse DestinationKind = "response" // a late answer of an aibot; ID is the response_url, a secret
)

// A Destination is where a message goes.
type Destination struct {
	Kind DestinationKind
	ID   string
}

// String returns the destination without secrets.
func (d Destination) String() string {
	if d.Kind == ToApp || d.Kind == ToAppChat {
		return string(d.Kind) + " " + d.ID
	}
	return string(d.Kind)
}

// GoString hides secrets from %#v.
func (d Destination) GoString() string { return fmt.Sprintf("wecom.Destination(%q)", d.String()) }

// LogValue hides secrets from slog.
func (d Destination) LogValue() slog.Value { return slog.StringValue(d.String()) }

// Outgoing is a message to send. One of Text, Markdown, News, Image and Card is
// set. What can go where:
//
//	           webhook  app     appchat  response
//	Text       2048 B   2048 B  2048 B   20480 B, shown as markdown
//	Markdown   4096 B   2048 B  2048 B   20480 B
//	News       1–8      1–8     1–8      –
//	Image      2 MB     10 MB   10 MB    –
//	Card       notices  all     –        all
//
// Sources: https://developer.work.weixin.qq.com/document/path/91770 (webhook),
// https://developer.work.weixin.qq.com/document/path/90236 (app),
// https://developer.work.weixin.qq.com/document/path/90248 (appchat) and
// https://developer.work.weixin.qq.com/document/path/101138 (response).
type Outgoing struct {
	Text       string        `json:"text,omitempty"`
	Mentions   []string      `json:"mentions,omitempty"` // with Text to a webhook or appchat: userids, or "@all"
	Markdown   string        `json:"markdown,omitempty"`
	MarkdownV2 bool          `json:"markdown_v2,omitempty"` // webhook only: tables, lists and images, but no colours and no @
	News       []Article     `json:"news,omitempty"`
	Image      []byte        `json:"image,omitempty"` // JPG or PNG
	Card       *TemplateCard `json:"card,omitempty"`
}

// An Article is one entry of News.
type Article = bot.Article

// Limits of what is sent. The platform cuts texts that are too long; here that
// is an error, so that nobody loses words without knowing.
//
// Sources: https://developer.work.weixin.qq.com/document/path/91770 and
// https://developer.work.weixin.qq.com/document/path/90236
const (
	MaxWebhookImageBytes = bot.MaxPictureBytes // before base64
	MaxRecipients        = 1000
)

// MaxTextBytes returns the longest Text for a kind of destination.
func MaxTextBytes(k DestinationKind) int {
	switch k {
	case ToWebhook:
		return MaxWebhookTextBytes
	case ToResponse:
		return MaxResponseBytes
	}
	return MaxAppTextBytes
}

// MaxMarkdownBytes returns the longest Markdown for a kind of destination.
func MaxMarkdownBytes(k DestinationKind) int {
	switch k {
	case ToWebhook:
		return MaxWebhookMarkdownBytes
	case ToResponse:
		return MaxResponseBytes
	}
	return MaxAppTextBytes
}

// Parts returns m as messages that a destination of kind k takes: a Text or
// Markdown that is too long in numbered parts, anything else as it is. Only
// the first part mentions people. There are none if the text is blank. A
// response_url takes one message only.
func (m Outgoing) Parts(k DestinationKind) []Outgoing {
	text, limit := &m.Text, MaxTextBytes(k)
	if m.Markdown != "" {
		text, limit = &m.Markdown, MaxMarkdownBytes(k)
	}
	if *text == "" {
		return []Outgoing{m}
	}
	var parts []Outgoing
	for _, part := range NumberedParts(*text, limit) {
		*text = part
		parts = append(parts, m)
		m.Mentions = nil
	}
	return parts
}

// NumberedParts splits a text that is longer than maxBytes into parts that are
// not, each with a first line such as （1/3）. A text that fits comes back as
// it is, a blank one gives no parts. maxBytes must be at least 32.
func NumberedParts(text string, maxBytes int) []string {
	const room = len("（9999/9999）\n")
	if len(text) <= maxBytes {
		return SplitText(text, maxBytes)
	}
	parts := SplitText(text, maxBytes-room)
	for i, part := range parts {
		parts[i] = fmt.Sprintf("（%d/%d）\n%s", i+1, len(parts), part)
	}
	return parts
}

// kind returns the msgtype of m, or an error that says what is wrong with it
// for a destination of kind k.
func (m Outgoing) kind(op string, k DestinationKind) (string, error) {
	var kinds []string
	for _, c := range []struct {
		set  bool
		kind string
	}{
		{m.Text != "", TypeText}, {m.Markdown != "", TypeMarkdown}, {len(m.News) > 0, typeNews},
		{len(m.Image) > 0, TypeImage}, {m.Card != nil, TypeCard},
	} {
		if c.set {
			kinds = append(kinds, c.kind)
		}
	}
	switch {
	case len(kinds) == 0:
		return "", badData(op, "nothing to send")
	case len(kinds) > 1:
		return "", badData(op, "%s in one message", strings.Join(kinds, " and "))
	case m.MarkdownV2 && k != ToWebhook:
		return "", badData(op, "markdown_v2 to %s", k)
	case len(m.Mentions) > 0 && (m.Text == "" || k != ToWebhook && k != ToAppChat):
		return "", badData(op, "mentions with %s to %s", kinds[0], k)
	}
	impossible := map[DestinationKind]string{ToAppChat: TypeCard, ToResponse: typeNews + " " + TypeImage}
	if strings.Contains(impossible[k], kinds[0]) {
		return "", badData(op, "%s to %s", kinds[0], k)
	}
	return kinds[0], m.check(op, k)
}

func (m Outgoing) check(op string, k DestinationKind) error {
	errs := []error{checkBytes(op, "text", m.Text, MaxTextBytes(k)), checkBytes(op, "markdown", m.Markdown, MaxMarkdownBytes(k))}
	if len(m.News) > bot.MaxArticles {
		errs = append(errs, badData(op, "%d articles, at most %d", len(m.News), bot.MaxArticles))
	}
	for i, a := range m.News {
		if a.Title == "" || a.URL == "" {
			errs = append(errs, badData(op, "article %d has no title or no url", i+1))
		}
		errs = append(errs,
			checkBytes(op, "an article's title", a.Title, bot.MaxTitleBytes),
			checkBytes(op, "an article's description", a.Description, bot.MaxDescriptionBytes),
			checkBytes(op, "an article's url", a.URL, bot.MaxURLBytes),
			checkBytes(op, "an article's picurl", a.PicURL, bot.MaxURLBytes))
	}
	if len(m.Image) > 0 {
		switch kind := http.DetectContentType(m.Image); {
		case kind != "image/png" && kind != "image/jpeg":
			errs = append(errs, badData(op, "the image is %s, not JPG or PNG", kind))
		case k == ToWebhook && len(m.Image) > MaxWebhookImageBytes:
			errs = append(errs, badData(op, "the image has %d bytes, at most %d", len(m.Image), MaxWebhookImageBytes))
		case k != ToWebhook:
			errs = append(errs, checkMedia(op, TypeImage, len(m.Image)))
		}
	}
	if m.Card != nil {
		if err := m.Card.check(); err != nil {
			errs = append(errs, badData(op, "%v", err))
		}
		if t := m.Card.CardType; k == ToWebhook && t != CardTextNotice && t != CardNewsNotice {
			errs = append(errs, badData(op, "card %s to a webhook, which takes %s and %s", t, CardTextNotice, CardNewsNotice))
		}
	}
	return firstError(errs...)
}

// typeNews is the msgtype of News.
const typeNews = "news"

// checkMedia returns an error if a file of that kind cannot be uploaded.
//
// Source: https://developer.work.weixin.qq.com/document/path/90253
func checkMedia(op, kind string, size int) error {
	most := map[string]int{TypeImage: 10 << 20, TypeVoice: 2 << 20, TypeVideo: 10 << 20, TypeFile: 20 << 20}[kind]
	switch {
	case most == 0:
		return badData(op, "media of kind %q", kind)
	case size <= 5 || size > most:
		return badData(op, "%s of %d bytes, want 6 to %d", kind, size, most)
	}
	return nil
}

func checkBytes(op, what, text string, most int) error {
	if len(text) > most {
		return badData(op, "%s has %d bytes, at most %d", what, len(text), most)
	}
	return nil
}

func badData(op, format string, args ...any) error {
	return &APIError{Op: op, Msg: fmt.Sprintf(format, args...), class: ClassData}
}

func firstError(errs ...error) error {
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}
