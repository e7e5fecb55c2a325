package bot

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"

	"qunbot/store"
)

// Rich is how a post looks where its destination shows more than plain text. It
// has one of its fields. Everywhere else the post's Text is sent, and that is
// what operators read in the outbox. Names are filled into Text only.
type Rich struct {
	Markdown string    `json:"markdown,omitempty"` // at most MaxMarkdownBytes; readers in WeChat, not WeCom, cannot see it
	Articles []Article `json:"articles,omitempty"` // at most MaxArticles
	Picture  []byte    `json:"picture,omitempty"`  // JPG or PNG, at most MaxPictureBytes
	Card     *Card     `json:"card,omitempty"`
}

// An Article is a title with a picture that leads somewhere.
type Article struct {
	Title       string `json:"title"`                 // at most MaxTitleBytes
	Description string `json:"description,omitempty"` // at most MaxDescriptionBytes
	URL         string `json:"url"`                   // at most MaxURLBytes
	PicURL      string `json:"picurl,omitempty"`      // JPG or PNG, best 1068×455; at most MaxURLBytes
}

// A Card is a notice that leads somewhere when it is pressed. The platform cuts
// texts that are longer than it shows; it counts characters.
type Card struct {
	Title string `json:"title"`          // 26 characters
	Text  string `json:"text,omitempty"` // 112 characters
	Facts []Fact `json:"facts,omitempty"`
	URL   string `json:"url"` // at most MaxURLBytes
}

// A Fact is a line of a card.
type Fact struct {
	Name  string `json:"name"`  // 5 characters
	Value string `json:"value"` // 26 characters
}

// Limits of what is rich.
//
// Sources: https://developer.work.weixin.qq.com/document/path/91770 and
// https://developer.work.weixin.qq.com/document/path/90236
const (
	MaxMarkdownBytes    = 4096
	MaxArticles         = 8
	MaxTitleBytes       = 128
	MaxDescriptionBytes = 512
	MaxURLBytes         = 2048
	MaxPictureBytes     = 2 << 20
	MaxFacts            = 6
)

// form names the field of r that is set, as store.Post keeps it.
func (r *Rich) form() string {
	switch {
	case r == nil:
		return ""
	case r.Markdown != "":
		return store.FormMarkdown
	case len(r.Articles) > 0:
		return store.FormArticles
	case len(r.Picture) > 0:
		return store.FormPicture
	}
	return store.FormCard
}

func (r *Rich) check() error {
	if r == nil {
		return nil
	}
	fields := 0
	for _, set := range []bool{r.Markdown != "", len(r.Articles) > 0, len(r.Picture) > 0, r.Card != nil} {
		if set {
			fields++
		}
	}
	if fields != 1 {
		return fmt.Errorf("a rich post has one form, not %d", fields)
	}
	if len(r.Markdown) > MaxMarkdownBytes {
		return fmt.Errorf("the markdown has %d bytes, at most %d", len(r.Markdown), MaxMarkdownBytes)
	}
	if len(r.Articles) > MaxArticles {
		return fmt.Errorf("%d articles, at most %d", len(r.Articles), MaxArticles)
	}
	for i, a := range r.Articles {
		if err := a.check(); err != nil {
			return fmt.Errorf("article %d: %w", i+1, err)
		}
	}
	if kind := http.DetectContentType(r.Picture); len(r.Picture) > 0 && kind != "image/png" && kind != "image/jpeg" {
		return fmt.Errorf("the picture is %s, not JPG or PNG", kind)
	}
	if len(r.Picture) > MaxPictureBytes {
		return fmt.Errorf("the picture has %d bytes, at most %d", len(r.Picture), MaxPictureBytes)
	}
	if c := r.Card; c != nil {
		if strings.TrimSpace(c.Title) == "" || len(c.Facts) > MaxFacts {
			return fmt.Errorf("a card has a title and at most %d facts", MaxFacts)
		}
		return checkURL(c.URL)
	}
	return nil
}

func (a Article) check() error {
	switch {
	case strings.TrimSpace(a.Title) == "":
		return errors.New("no title")
	case len(a.Title) > MaxTitleBytes:
		return fmt.Errorf("the title has %d bytes, at most %d", len(a.Title), MaxTitleBytes)
	case len(a.Description) > MaxDescriptionBytes:
		return fmt.Errorf("the description has %d bytes, at most %d", len(a.Description), MaxDescriptionBytes)
	case a.PicURL != "":
		if err := checkURL(a.PicURL); err != nil {
			return err
		}
	}
	return checkURL(a.URL)
}

func checkURL(address string) error {
	u, err := url.Parse(address)
	if err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" || len(address) > MaxURLBytes {
		return fmt.Errorf("%.100q is no web address of at most %d bytes", address, MaxURLBytes)
	}
	return nil
}

// encodeRich and decodeRich are how store.Post keeps a Rich.
func encodeRich(r *Rich) (string, error) {
	if r == nil {
		return "", nil
	}
	body, err := json.Marshal(r)
	return string(body), err
}

func decodeRich(body string) (*Rich, error) {
	if body == "" {
		return nil, nil // plain text
	}
	var r Rich
	err := json.Unmarshal([]byte(body), &r)
	return &r, err
}
