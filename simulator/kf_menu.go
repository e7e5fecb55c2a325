package simulator

import (
	"context"
	"net/http"
	"strconv"
	"strings"
)

// A menu is a message with choices (msgmenu).
//
// Source: https://developer.work.weixin.qq.com/document/path/94677
type menu struct {
	Head string     `json:"head_content,omitempty"`
	List []menuItem `json:"list"`
	Tail string     `json:"tail_content,omitempty"`
}

// A menuItem is a line of a menu: the field named by Type.
type menuItem struct {
	Type  string `json:"type"`
	Click *struct {
		ID      string `json:"id"`
		Content string `json:"content"`
	} `json:"click,omitempty"`
	View *struct {
		URL     string `json:"url"`
		Content string `json:"content"`
	} `json:"view,omitempty"`
	MiniProgram *struct {
		AppID    string `json:"appid"`
		PagePath string `json:"pagepath"`
		Content  string `json:"content"`
	} `json:"miniprogram,omitempty"`
	Text *struct {
		Content   string `json:"content"`
		NoNewline int    `json:"no_newline,omitempty"`
	} `json:"text,omitempty"`
}

// maxMenuItems is how many lines a menu may have.
const maxMenuItems = 10

// check returns what WeCom refuses in a menu.
func (m menu) check() error {
	if len(m.List) > maxMenuItems {
		return apiError{95008, "too many menu items"}
	}
	if len(m.Head) > 1024 || len(m.Tail) > 1024 {
		return badParameter("msgmenu.head_content or tail_content is longer than 1024 bytes")
	}
	if len(m.List) == 0 && strings.TrimSpace(m.Head+m.Tail) == "" {
		return apiError{44004, "empty content"}
	}
	outside := func(s string, most int) bool { return s == "" || len(s) > most }
	for i, item := range m.List {
		wrong := false
		switch {
		case item.Type == "click" && item.Click != nil:
			wrong = outside(item.Click.ID, 128) || outside(item.Click.Content, 128)
		case item.Type == "view" && item.View != nil:
			wrong = outside(item.View.URL, 2048) || outside(item.View.Content, 1024)
		case item.Type == "miniprogram" && item.MiniProgram != nil:
			wrong = outside(item.MiniProgram.AppID, 32) || outside(item.MiniProgram.PagePath, 1024) || outside(item.MiniProgram.Content, 1024)
		case item.Type == "text" && item.Text != nil:
			wrong = outside(item.Text.Content, 256)
		default:
			return apiError{95009, "invalid menu item type"}
		}
		if wrong {
			return badParameter("msgmenu.list[%d].%s", i, item.Type)
		}
	}
	return nil
}

func (s *Simulator) serveClick(_ http.ResponseWriter, a ask) (any, error) {
	s.mu.Lock()
	l := s.lineByID(a.Line)
	var item menuItem
	if i, err := strconv.Atoi(a.Key); err == nil && l != nil && l.Menu != nil && i >= 0 && i < len(l.Menu.List) {
		item = l.Menu.List[i]
	}
	s.mu.Unlock()
	if item.Click == nil || l.With != a.Person {
		return nil, errNoButton
	}
	chat, person, err := s.place(l.Chat, a.Person)
	if err != nil {
		return nil, err
	}
	said, d, err := s.kfSay(chat, person, item.Click.Content, item.Click.ID)
	if err != nil {
		return nil, err
	}
	if !s.start(func(ctx context.Context) { s.converse(ctx, d) }) {
		s.drop(d)
	}
	return said, nil
}
