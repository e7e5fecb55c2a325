package simulator

import (
	"bytes"
	"crypto/md5"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"unicode/utf8"

	"qunbot/bot/wecom"
)

// A content is a message as the API takes it: the field named by MsgType.
type content struct {
	MsgType string `json:"msgtype"`
	Text    struct {
		Content       string   `json:"content"`
		Mentions      []string `json:"mentioned_list"`
		MobileNumbers []string `json:"mentioned_mobile_list"`
	} `json:"text"`
	Markdown   struct{ Content string } `json:"markdown"`
	MarkdownV2 struct{ Content string } `json:"markdown_v2"`
	Image      struct {
		wecom.AibotImage
		MediaID string `json:"media_id"`
	} `json:"image"`
	Voice mediaRef `json:"voice"`
	File  mediaRef `json:"file"`
	Video mediaRef `json:"video"`
	News  struct {
		Articles []wecom.Article `json:"articles"`
	} `json:"news"`
	MPNews struct {
		Articles []struct {
			Title   string `json:"title"`
			ThumbID string `json:"thumb_media_id"`
			Content string `json:"content"`
			Digest  string `json:"digest"`
			Source  string `json:"content_source_url"`
		} `json:"articles"`
	} `json:"mpnews"`
	TextCard struct {
		Title       string `json:"title"`
		Description string `json:"description"`
		URL         string `json:"url"`
		Button      string `json:"btntxt"`
	} `json:"textcard"`
	Notice struct {
		AppID       string `json:"appid"`
		Page        string `json:"page"`
		Title       string `json:"title"`
		Description string `json:"description"`
		Items       []struct {
			Key   string `json:"key"`
			Value string `json:"value"`
		} `json:"content_item"`
	} `json:"miniprogram_notice"`
	Card *wecom.TemplateCard `json:"template_card"`
}

// A mediaRef names an uploaded file.
type mediaRef struct {
	MediaID     string `json:"media_id"`
	Title       string `json:"title"`
	Description string `json:"description"`
}

// The kinds of content beside those of package wecom.
const (
	typeNews     = "news"
	typeMPNews   = "mpnews"
	typeTextCard = "textcard"
	typeNotice   = "miniprogram_notice"
)

// Limits of contents, stated here once more and not taken from the service: it
// should be found out if it has them wrong.
//
// Sources: https://developer.work.weixin.qq.com/document/path/91770 (robots)
// and https://developer.work.weixin.qq.com/document/path/90236 (apps)
const (
	maxRobotText     = 2048 // bytes, as for all but the articles
	maxRobotMarkdown = 4096
	maxRobotImage    = 2 << 20 // before base64
	maxAppText       = 2048    // also of markdown
	maxArticles      = 8
	maxTitle         = 128
	maxDescription   = 512
	maxURL           = 2048
)

// A channel is a way to send, and what it takes.
type channel struct {
	types    []string
	owner    string   // whose files it can send; see medium
	text     int      // most bytes of a text
	cut      bool     // a text above is cut, not refused
	markdown int      // most bytes
	cards    []string // kinds of template card
}

// lineOf returns a bubble with content m, or why the channel refuses it. Who
// speaks, where and when is left to the caller, who holds mu.
func (s *Simulator) lineOf(m content, ch channel) (*line, error) {
	if !slices.Contains(ch.types, m.MsgType) {
		return nil, apiError{40008, "invalid message type"}
	}
	switch m.MsgType {
	case wecom.TypeText:
		return s.textLine(m, ch)
	case formMarkdown:
		return markdownLine(m.Markdown.Content, formMarkdown, ch.markdown)
	case formMarkdownV2:
		return markdownLine(m.MarkdownV2.Content, formMarkdownV2, ch.markdown)
	case wecom.TypeImage:
		return s.imageLine(m, ch)
	case wecom.TypeVoice:
		return s.fileLine(m.Voice, wecom.TypeVoice, ch)
	case wecom.TypeFile:
		return s.fileLine(m.File, wecom.TypeFile, ch)
	case wecom.TypeVideo:
		return s.fileLine(m.Video, wecom.TypeVideo, ch)
	case typeNews:
		return newsLine(m.News.Articles)
	case typeMPNews:
		return s.mpnewsLine(m, ch)
	case typeTextCard:
		return textCardLine(m)
	case typeNotice:
		return noticeLine(m)
	}
	switch c := m.Card; {
	case c == nil:
		return nil, badParameter("template_card is missing")
	case !slices.Contains(ch.cards, c.CardType):
		return nil, badParameter("template_card.card_type %q", c.CardType)
	}
	if err := checkCard(m.Card); err != nil {
		return nil, badParameter("%s", err)
	}
	return &line{Card: m.Card}, nil
}

// badParameter refuses a request and names what is wrong with it.
func badParameter(format string, args ...any) error {
	return apiError{40058, "invalid Request Parameter: " + fmt.Sprintf(format, args...)}
}

func (s *Simulator) textLine(m content, ch channel) (*line, error) {
	text := m.Text.Content
	switch {
	case strings.TrimSpace(text) == "" && len(m.Text.Mentions)+len(m.Text.MobileNumbers) == 0:
		return nil, apiError{44004, "empty content"}
	case len(text) > ch.text && !ch.cut:
		return nil, apiError{45002, fmt.Sprintf("text.content exceed max length %d", ch.text)}
	}
	l := &line{Text: cutBytes(text, ch.text), Form: formText}
	for _, id := range m.Text.Mentions {
		l.Mentions = append(l.Mentions, s.mentionOf(id))
	}
	for _, number := range m.Text.MobileNumbers {
		if number == "@all" {
			l.Mentions = append(l.Mentions, s.mentionOf(number))
		} else if number != "" {
			l.Mentions = append(l.Mentions, "@手机尾号 "+number[max(0, len(number)-4):])
		}
	}
	return l, nil
}

// mentionOf returns the @ of a member.
func (s *Simulator) mentionOf(id string) string {
	if id == "@all" {
		return "@所有人"
	}
	if p := s.cfg.person(id); p.Name != "" {
		return "@" + p.Name
	}
	return "@" + id
}

// cutBytes returns the beginning of s, at most n bytes of whole characters.
func cutBytes(s string, n int) string {
	if len(s) <= n {
		return s
	}
	for n > 0 && !utf8.RuneStart(s[n]) {
		n--
	}
	return s[:n]
}

func markdownLine(text, form string, limit int) (*line, error) {
	switch {
	case strings.TrimSpace(text) == "":
		return nil, apiError{44004, "empty content"}
	case len(text) > limit:
		return nil, apiError{45002, fmt.Sprintf("%s.content exceed max length %d", form, limit)}
	}
	return &line{Text: text, Form: form}, nil
}

// imageLine takes a picture in base64 from a group robot, an uploaded one from
// an app.
func (s *Simulator) imageLine(m content, ch channel) (*line, error) {
	if ch.owner == "" {
		known, err := s.known(m.Image.MediaID, wecom.TypeImage, ch)
		if err != nil {
			return nil, err
		}
		return &line{Images: []string{known.address()}}, nil
	}
	if strings.ContainsAny(m.Image.Base64, "\r\n") {
		return nil, badParameter("image.base64 has line breaks")
	}
	picture, err := base64.StdEncoding.DecodeString(m.Image.Base64)
	sum := md5.Sum(picture)
	switch {
	case err != nil:
		return nil, badParameter("image.base64 is not base64")
	case len(picture) == 0:
		return nil, apiError{44001, "empty media data"}
	case len(picture) > maxRobotImage:
		return nil, apiError{40009, "invalid image size"}
	case m.Image.MD5 != hex.EncodeToString(sum[:]):
		return nil, badParameter("image.md5 does not match")
	case !isPicture(http.DetectContentType(picture)):
		return nil, apiError{40004, "invalid media file type"}
	}
	return &line{Images: []string{s.addMedium(ch.owner, wecom.TypeImage, "image", bytes.Clone(picture)).address()}}, nil
}

// known returns an uploaded file.
func (s *Simulator) known(id, kind string, ch channel) (*medium, error) {
	if id == "" {
		return nil, apiError{41006, "media_id missing"}
	}
	m := s.mediumOf(ch.owner, kind, id)
	if m == nil {
		return nil, apiError{40007, "invalid media_id"}
	}
	return m, nil
}

func (s *Simulator) fileLine(ref mediaRef, kind string, ch channel) (*line, error) {
	m, err := s.known(ref.MediaID, kind, ch)
	if err != nil {
		return nil, err
	}
	name := m.name
	if kind == wecom.TypeVideo && ref.Title != "" {
		name = cutBytes(ref.Title, maxTitle)
	}
	return &line{File: &fileState{Name: name, Kind: kind, Bytes: len(m.data), URL: m.address()}}, nil
}

func newsLine(articles []wecom.Article) (*line, error) {
	switch {
	case len(articles) == 0:
		return nil, badParameter("news.articles is empty")
	case len(articles) > maxArticles:
		return nil, apiError{45008, "article number out of limit"}
	}
	l := &line{Articles: slices.Clone(articles)}
	for i := range l.Articles {
		a := &l.Articles[i]
		switch {
		case a.Title == "":
			return nil, apiError{41016, "title missing"}
		case a.URL == "" || len(a.URL) > maxURL:
			return nil, badParameter("news.articles[%d].url", i)
		}
		a.Title = cutBytes(a.Title, maxTitle)
		a.Description = cutBytes(a.Description, maxDescription)
	}
	return l, nil
}

func (s *Simulator) mpnewsLine(m content, ch channel) (*line, error) {
	l := &line{}
	for i, a := range m.MPNews.Articles {
		switch {
		case a.Title == "":
			return nil, apiError{41016, "title missing"}
		case a.Content == "":
			return nil, badParameter("mpnews.articles[%d].content is empty", i)
		}
		thumb, err := s.known(a.ThumbID, wecom.TypeImage, ch)
		if err != nil {
			return nil, err
		}
		l.Articles = append(l.Articles, wecom.Article{
			Title: cutBytes(a.Title, maxTitle), Description: cutBytes(a.Digest, maxDescription),
			URL: a.Source, PicURL: thumb.address(),
		})
	}
	switch {
	case len(l.Articles) == 0:
		return nil, badParameter("mpnews.articles is empty")
	case len(l.Articles) > maxArticles:
		return nil, apiError{45008, "article number out of limit"}
	}
	return l, nil
}

// Elements that the description of a textcard may have.
var (
	divEnd  = regexp.MustCompile(`(?i)</div>|<br\s*/?>`)
	element = regexp.MustCompile(`<[^>]*>`)
)

// textCardLine shows a textcard as the notice that it looks like.
//
// Source: https://developer.work.weixin.qq.com/document/path/90236
func textCardLine(m content) (*line, error) {
	c := m.TextCard
	for name, value := range map[string]string{"title": c.Title, "description": c.Description, "url": c.URL} {
		if value == "" {
			return nil, badParameter("textcard.%s is empty", name)
		}
	}
	if len(c.URL) > maxURL {
		return nil, badParameter("textcard.url is too long")
	}
	setIfZero(&c.Button, "详情")
	action := wecom.CardAction{Type: 1, URL: c.URL}
	return &line{Card: &wecom.TemplateCard{
		CardType:     typeTextCard,
		MainTitle:    &wecom.CardTitle{Title: cutRunes(c.Title, 128)},
		SubTitleText: strings.TrimSpace(element.ReplaceAllString(divEnd.ReplaceAllString(cutRunes(c.Description, 512), "\n"), "")),
		JumpList:     []wecom.CardJump{{Type: 1, Title: cutRunes(c.Button, 4), URL: c.URL}},
		CardAction:   &action,
	}}, nil
}

func cutRunes(s string, n int) string {
	if runes := []rune(s); len(runes) > n {
		return string(runes[:n])
	}
	return s
}

// noticeLine shows the notice of a mini program.
func noticeLine(m content) (*line, error) {
	n := m.Notice
	switch {
	case n.AppID == "" || n.Title == "":
		return nil, badParameter("miniprogram_notice needs appid and title")
	case len(n.Items) > 10:
		return nil, badParameter("miniprogram_notice.content_item has more than 10 entries")
	}
	card := &wecom.TemplateCard{CardType: typeNotice, MainTitle: &wecom.CardTitle{Title: n.Title, Desc: n.Description}}
	for _, item := range n.Items {
		card.HorizontalContentList = append(card.HorizontalContentList, wecom.CardHorizontalItem{KeyName: item.Key, Value: item.Value})
	}
	card.JumpList = []wecom.CardJump{{Title: "小程序 " + n.AppID}}
	return &line{Card: card}, nil
}
