package simulator

import (
	"fmt"
	"net/http"
	"slices"
	"time"

	"qunbot/bot/wecom"
)

// maxRobotPosts is how many messages one group robot may post in a minute.
//
// Source: https://developer.work.weixin.qq.com/document/path/91770
const maxRobotPosts = 20

func (s *Simulator) webhookEndpoints() []endpoint {
	return []endpoint{{method: http.MethodPost, path: "webhook/send", open: true, max: 8 << 20, handle: s.robotSend}}
}

// robotChat returns the chat of the group robot with this key.
func (s *Simulator) robotChat(key string) (Chat, error) {
	chat := find(s.cfg.Chats, func(c Chat) bool { return c.WebhookKey == key && key != "" })
	s.mu.Lock()
	defer s.mu.Unlock()
	if chat.ID == "" || s.removed[chat.ID] {
		return Chat{}, apiError{93000, "invalid webhook url"}
	}
	return chat, nil
}

// robotSend posts a message into the chat of a group robot.
//
// Source: https://developer.work.weixin.qq.com/document/path/91770
func (s *Simulator) robotSend(c *call) (any, error) {
	chat, err := s.robotChat(c.URL.Query().Get("key"))
	if err != nil {
		return nil, err
	}
	var m content
	if err = c.read(&m); err == nil {
		err = s.robotPost(chat, m)
	}
	s.showCall(c, chat, "", "群机器人 · "+kindOf(m), "不要 token，只认 key", err)
	return nil, err
}

func (s *Simulator) robotPost(chat Chat, m content) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	l, err := s.lineOf(m, channel{
		types: []string{
			wecom.TypeText, formMarkdown, formMarkdownV2, wecom.TypeImage, typeNews, wecom.TypeFile, wecom.TypeVoice, wecom.TypeCard,
		},
		owner: chat.WebhookKey, text: maxRobotText, markdown: maxRobotMarkdown,
		cards: []string{wecom.CardTextNotice, wecom.CardNewsNotice},
	})
	if err != nil {
		return err
	}
	if !s.allow("webhook "+chat.WebhookKey, s.fixed, limit{maxRobotPosts, time.Minute}) {
		return apiError{45009, "api freq out of limit"}
	}
	l.Chat, l.Who, l.At = chat.ID, robotOf(chat.ID), s.nowLocked()
	s.addLine(l)
	return nil
}

// RemoveRobot takes the group robot out of a chat, so that its key works no
// longer, or puts it back.
func (s *Simulator) RemoveRobot(chatID string, removed bool) error {
	chat := s.cfg.chat(chatID)
	if chat.WebhookKey == "" {
		return errNoRobot
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.removed[chatID] != removed {
		s.removed[chatID] = removed
		s.publishPanel()
	}
	return nil
}

// A limit is how often something may be done in a time.
type limit struct {
	most int
	per  time.Duration
}

// allow reports whether one more of what key names is within all limits, the
// longest time last, and counts it if so. The time of a fixed limit begins
// anew with each multiple of it. The caller holds mu.
func (s *Simulator) allow(key string, fixed bool, limits ...limit) bool {
	now, recent := s.nowLocked(), s.recent[key]
	for i, l := range limits {
		since := now.Add(-l.per)
		if fixed {
			since = now.Truncate(l.per).Add(-1)
		}
		from, _ := slices.BinarySearchFunc(recent, since, func(t, since time.Time) int {
			if t.After(since) {
				return 1
			}
			return -1
		})
		if len(recent)-from >= l.most {
			return false
		}
		if i == len(limits)-1 {
			recent = recent[from:]
		}
	}
	s.recent[key] = append(recent, now)
	return true
}

// kindOf names what a message is, for the account of a call.
func kindOf(m content) string {
	if m.MsgType == "" {
		return "没有 msgtype"
	}
	return shorten(m.MsgType, 24)
}

// showCall accounts for a call that the service made about a chat.
func (s *Simulator) showCall(c *call, chat Chat, with, title, detail string, err error) {
	r := row{Name: "服务调用", Detail: fmt.Sprintf("%s，%d B；%s", c.URL.Path, len(c.body), detail), State: good}
	rows := []row{r}
	state := good
	if err != nil {
		rows[0].State, state = "", bad
		rows = append(rows, row{Name: "平台拒绝", Detail: err.Error(), State: bad})
	}
	t := s.newTrace(title, &delivery{chat: chat, with: with})
	s.changeTrace(t, func() {
		t.Rows, t.State = rows, state
		t.Wire = []wire{{Title: "正文", Text: cut(c.body)}}
	})
}
