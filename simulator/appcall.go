package simulator

import (
	"bytes"
	"encoding/xml"
	"errors"
	"fmt"
	"strings"

	"qunbot/bot/wecom"
)

// What may answer the callbacks of an app.
//
// Source: https://developer.work.weixin.qq.com/document/path/90241
var (
	toAppMessage = kind{"消息", []string{wecom.TypeText, wecom.TypeImage, wecom.TypeVoice, wecom.TypeVideo, typeNews}}
	toAppEnter   = kind{"进入应用事件", []string{wecom.TypeText, wecom.TypeImage, wecom.TypeVoice, wecom.TypeVideo, typeNews}}
	toAppPress   = kind{"卡片事件", []string{replyUpdateButton, wecom.TypeText, typeNews}}
	toKF         = kind{"微信客服事件", nil} // only by the API
)

const replyUpdateButton = "update_button"

// xmlText is character data.
type xmlText struct {
	Text string `xml:",cdata"`
}

// text returns character data, or nil for none.
func text(s string) *xmlText {
	if s == "" {
		return nil
	}
	return &xmlText{s}
}

// An appCallback is what an app is told, before encryption.
//
// Sources: https://developer.work.weixin.qq.com/document/path/90239,
// https://developer.work.weixin.qq.com/document/path/90240 and, for 微信客服,
// https://developer.work.weixin.qq.com/document/path/94670
type appCallback struct {
	XMLName      xml.Name `xml:"xml"`
	ToUserName   *xmlText
	FromUserName *xmlText
	CreateTime   int64
	MsgType      *xmlText
	Content      *xmlText
	MsgID        string `xml:"MsgId,omitempty"`
	Event        *xmlText
	EventKey     *xmlText
	TaskID       *xmlText `xml:"TaskId"`
	CardType     *xmlText
	ResponseCode *xmlText
	Token        *xmlText
	OpenKFID     *xmlText `xml:"OpenKfId"`
	AgentID      string   `xml:",omitempty"`
}

// bytes returns the callback as WeCom encrypts it.
func (c appCallback) bytes() []byte {
	plain, err := xml.Marshal(c)
	if err != nil {
		panic(err) // strings and numbers only
	}
	return plain
}

// newAppCallback returns the delivery of a callback about person, who is in
// chat. The caller holds mu, as for all below.
func (s *Simulator) newAppCallback(chat Chat, person Person, what kind, fill func(*appCallback)) *delivery {
	d := &delivery{
		bot: s.cfg.bot(chat.Bot), chat: chat, person: person, with: person.ID,
		said: s.nowLocked(), what: what, close: func() {},
	}
	c := appCallback{
		ToUserName: text(s.cfg.CorpID), FromUserName: text(person.ID), CreateTime: d.said.Unix(),
		MsgType: text(wecom.TypeEvent), AgentID: d.bot.agent,
	}
	fill(&c)
	d.plain = c.bytes()
	return d
}

// newAppMessage returns the callback of a message to an app.
func (s *Simulator) newAppMessage(chat Chat, person Person, l *line) *delivery {
	d := s.newAppCallback(chat, person, toAppMessage, func(c *appCallback) {
		c.MsgType, c.Content, c.MsgID = text(wecom.TypeText), text(l.Text), s.digitsLocked(18)
	})
	d.line = l.ID
	return d
}

// enterApp tells an app that a member has opened the chat with it.
//
// Source: https://developer.work.weixin.qq.com/document/path/90240
func (s *Simulator) enterApp(chat Chat, person Person) *delivery {
	if s.cfg.bot(chat.Bot).CallbackURL == "" {
		return nil
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.newAppCallback(chat, person, toAppEnter, func(c *appCallback) { c.Event = text("enter_agent") })
}

// pressApp tells an app that somebody has pressed a button of its card.
func (s *Simulator) pressApp(chat Chat, person Person, l *line, key string) (*delivery, error) {
	if s.cfg.bot(chat.Bot).CallbackURL == "" {
		return nil, errNoButton
	}
	d := s.newAppCallback(chat, person, toAppPress, func(c *appCallback) {
		c.Event, c.EventKey = text("template_card_event"), text(key)
		c.TaskID, c.CardType = text(l.Card.TaskID), text(l.Card.CardType)
		c.ResponseCode = text(s.newCardCode(s.cfg.bot(chat.Bot).agent, []string{l.ID}))
	})
	d.answer = l.ID
	return d, nil
}

// An appReply is a passive reply of an app.
//
// Source: https://developer.work.weixin.qq.com/document/path/90241
type appReply struct {
	XMLName      xml.Name `xml:"xml"`
	ToUserName   string
	FromUserName string
	MsgType      string
	Content      string
	Image, Voice struct {
		MediaID string `xml:"MediaId"`
	}
	Video struct {
		MediaID string `xml:"MediaId"`
		Title   string
	}
	Articles struct {
		Items []struct {
			Title, Description string
			PicURL             string `xml:"PicUrl"`
			URL                string `xml:"Url"`
		} `xml:"item"`
	}
	Button struct{ ReplaceName string }
}

// concludeApp shows how the delivery of a callback to an app ended.
func (s *Simulator) concludeApp(d *delivery, t *trace, a attempt) {
	problem := ""
	switch {
	case a.failure != nil:
		problem = fmt.Sprintf("没有送到：%s。平台试了 %d 次，不再投了", a.failure, maxTries)
	case a.refusal != nil:
		problem = "平台不认这个回答：" + a.refusal.Error()
	case a.reply != nil:
		if err := s.showAppReply(d, a.reply); err != nil {
			problem = "平台不认这个回答：" + err.Error()
			s.step(t, row{Name: "平台不认", Detail: err.Error(), State: bad})
		}
		d.reply = a.reply
	}
	s.changeLine(d.line, func(l *line) { l.Waiting, l.Error = false, problem })
	if problem != "" {
		s.end(t, bad)
		return
	}
	s.end(t, good)
}

// showAppReply shows a passive reply of an app.
func (s *Simulator) showAppReply(d *delivery, plain []byte) error {
	var r appReply
	if err := xml.Unmarshal(plain, &r); err != nil {
		return fmt.Errorf("不是 XML：%w", err)
	}
	switch {
	case len(d.what.answers) == 0:
		return fmt.Errorf("%s不能直接回答，正文要空着", d.what.name)
	case !strings.Contains("|"+strings.Join(d.what.answers, "|")+"|", "|"+r.MsgType+"|"):
		return fmt.Errorf("%s不能用 %q 回答，只能用 %s", d.what.name, r.MsgType, strings.Join(d.what.answers, "、"))
	case r.ToUserName != d.person.ID || r.FromUserName != s.cfg.CorpID:
		return errors.New("ToUserName 应是成员的 userid，FromUserName 应是 CorpID")
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if r.MsgType == replyUpdateButton {
		if l := s.lineByID(d.answer); l != nil && r.Button.ReplaceName != "" {
			s.replaceCard(l, nil, r.Button.ReplaceName)
		}
		return nil
	}
	l, err := s.lineOf(r.content(), channel{types: d.what.answers, text: maxAppText, cut: true})
	if err != nil {
		return err
	}
	l.Chat, l.With, l.Who, l.At, l.ReplyTo = d.chat.ID, d.with, d.bot.Name, s.nowLocked(), d.line
	s.addLine(l)
	d.answer = l.ID
	return nil
}

// content returns the reply as the API would take it.
func (r appReply) content() content {
	m := content{MsgType: r.MsgType}
	m.Text.Content = r.Content
	m.Image.MediaID, m.Voice.MediaID = r.Image.MediaID, r.Voice.MediaID
	m.Video = mediaRef{MediaID: r.Video.MediaID, Title: r.Video.Title}
	for _, item := range r.Articles.Items {
		m.News.Articles = append(m.News.Articles, wecom.Article{
			Title: item.Title, Description: item.Description, PicURL: item.PicURL, URL: item.URL,
		})
	}
	return m
}

// compareApp says how the answer to a repeat differs from the first one, and
// shows it.
func (s *Simulator) compareApp(d *delivery, a attempt) (note, state string) {
	if bytes.Equal(withoutTime(a.reply), withoutTime(d.reply)) {
		return "回答一字不差", good
	}
	if a.reply == nil {
		return "这次没有回答", warn
	}
	if err := s.showAppReply(d, a.reply); err != nil {
		return "平台不认这个回答：" + err.Error(), bad
	}
	return "回答与上次不同", warn
}

// withoutTime returns a reply without its CreateTime, which may differ.
func withoutTime(plain []byte) []byte {
	before, rest, found := bytes.Cut(plain, []byte("<CreateTime>"))
	_, after, closed := bytes.Cut(rest, []byte("</CreateTime>"))
	if !found || !closed {
		return plain
	}
	return append(bytes.Clone(before), after...)
}
