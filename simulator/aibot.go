package simulator

import (
	"bytes"
	"context"
	"crypto/md5"
	"crypto/rand"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	"qunbot/bot/wecom"
)

// A kind of callback decides what may answer it.
type kind struct {
	name    string
	answers []string // msgtypes, or the response_type
}

// What may answer what.
//
// Source: https://developer.work.weixin.qq.com/document/path/101031
var (
	toMessage = kind{"消息", []string{wecom.TypeStream, wecom.TypeCard, wecom.TypeStreamCard}}
	toEnter   = kind{"进入会话事件", []string{wecom.TypeText, wecom.TypeCard}}
	toRefresh = kind{"流式刷新", []string{wecom.TypeStream, wecom.TypeStreamCard}}
	toPress   = kind{"卡片事件", []string{wecom.ResponseUpdateCard}}
)

// A response is a response_url that can still be used.
type response struct {
	bot   Bot
	chat  Chat
	with  string
	line  string // the message, empty for an event
	until time.Time
}

// newMessage returns the callback of a text message. The caller holds mu.
func (s *Simulator) newMessage(bot Bot, chat Chat, person Person, l *line) *delivery {
	d := &delivery{
		bot: bot, chat: chat, person: person, with: l.With, line: l.ID,
		said: l.At, what: toMessage, close: func() {},
	}
	c := s.newCallback(d)
	c.MsgType = wecom.TypeText
	c.Text = &wecom.AibotText{Content: l.Text}
	c.ResponseURL = s.newResponse(d)
	d.plain = mustJSON(c)
	return d
}

// newCallback returns what all callbacks about d have in common.
func (s *Simulator) newCallback(d *delivery) wecom.AibotCallback {
	c := wecom.AibotCallback{
		MsgID:      "CAIQ" + rand.Text(),
		CreateTime: s.nowLocked().Unix(),
		AibotID:    "aibSIM" + d.bot.Name,
		ChatID:     d.chat.ID,
		ChatType:   wecom.ChatGroup,
		From:       wecom.AibotFrom{UserID: d.person.ID},
	}
	if d.chat.Kind == Single {
		c.ChatID, c.ChatType = "", wecom.ChatSingle
	}
	return c
}

// newResponse returns a response_url for d.
func (s *Simulator) newResponse(d *delivery) string {
	code, now := rand.Text(), s.nowLocked()
	for old, known := range s.responses {
		if !now.Before(known.until) {
			delete(s.responses, old)
		}
	}
	s.responses[code] = &response{bot: d.bot, chat: d.chat, with: d.with, line: d.line, until: now.Add(s.cfg.Timing.Response)}
	return strings.TrimSuffix(s.cfg.BaseURL, "/") + "/cgi-bin/aibot/response?response_code=" + code
}

// converse delivers d and shows the answer.
func (s *Simulator) converse(ctx context.Context, d *delivery) {
	defer d.close()
	d.busy.Lock()
	defer d.busy.Unlock()
	t := s.newTrace(s.titleOf(d), d)
	disturbed := s.takeFault(callbackAPI(d.bot))
	if disturbed == FaultLate {
		s.step(t, row{Name: "迟到", Detail: "按「故障与时钟」的设置，晚一点再投", MS: ms(s.cfg.Timing.Late), State: warn})
		if !pause(ctx, s.cfg.Timing.Late) {
			return
		}
	}
	a := s.deliver(ctx, d, t, 1, maxTries)
	s.conclude(ctx, d, t, a)
	if disturbed == FaultDuplicate && a.failure == nil {
		again := s.deliver(ctx, d, t, 2, 1)
		note, state := s.compare(d, again)
		s.step(t, row{Name: "重复投递", Detail: "按「故障与时钟」的设置又投了一次：" + note, State: state})
		s.end(t, state)
	}
}

// titleOf returns the heading of d's account.
func (s *Simulator) titleOf(d *delivery) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	if l := s.lineByID(d.line); l != nil {
		return shorten(strings.Join(strings.Fields(l.Text), " "), 24)
	}
	return d.person.Name + "：" + d.what.name
}

// conclude shows how a delivery ended: the answer, or why there is none. It
// follows a stream to its end.
func (s *Simulator) conclude(ctx context.Context, d *delivery, t *trace, a attempt) {
	if d.bot.what != aibot {
		s.concludeApp(d, t, a)
		return
	}
	problem := ""
	var reply wecom.AibotReply
	switch {
	case a.failure != nil:
		problem = fmt.Sprintf("机器人没有回答：%s。平台试了 %d 次，不再投了", a.failure, maxTries)
	case a.refusal != nil:
		problem = "平台不认这个回答：" + a.refusal.Error()
	case a.reply != nil:
		var err error
		if reply, err = checkedReply(d.what, a.reply); err != nil {
			problem = "平台不认这个回答：" + err.Error()
			s.step(t, row{Name: "平台不认", Detail: err.Error(), State: bad})
		}
	}
	if problem != "" {
		s.changeLine(d.line, func(l *line) { l.Waiting, l.Error = false, problem })
		if d.line == "" {
			s.addError(d, problem)
		}
		s.end(t, bad)
		return
	}
	s.changeLine(d.line, func(l *line) { l.Waiting = false })
	if a.reply == nil {
		s.end(t, good)
		return
	}
	d.reply = a.reply
	growing := s.show(d, reply)
	if growing {
		s.follow(ctx, d, t, reply.Stream.ID)
	}
	s.end(t, good)
}

// checkedReply reads the answer to a callback of kind what.
func checkedReply(what kind, plain []byte) (wecom.AibotReply, error) {
	reply, err := wecom.ParseAibotReply(plain)
	if err != nil {
		return reply, err
	}
	got := reply.MsgType
	if got == "" {
		got = reply.ResponseType
	}
	for _, allowed := range what.answers {
		if got == allowed {
			return reply, errors.Join(checkCard(reply.TemplateCard), checkItems(reply.Stream))
		}
	}
	return reply, fmt.Errorf("%s不能用 %s 回答，只能用 %s", what.name, got, strings.Join(what.answers, "、"))
}

// show puts a reply into the chat and reports whether more of it will come. A
// stream that is shown already is replaced.
func (s *Simulator) show(d *delivery, reply wecom.AibotReply) (growing bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	text, images, stream := "", []string(nil), ""
	switch {
	case reply.Text != nil && reply.MsgType == wecom.TypeText:
		text = reply.Text.Content
	case reply.Markdown != nil && reply.MsgType == wecom.TypeMarkdown:
		text = reply.Markdown.Content
	case reply.Stream != nil:
		text, stream, growing = reply.Stream.Content, reply.Stream.ID, !reply.Stream.Finish
		images = dataURLs(reply.Stream.Items)
	}
	l := s.lineByID(d.answer)
	if l != nil && d.what.name == toPress.name {
		l.Card = reply.TemplateCard
		s.showLine(l)
		return false
	}
	if l == nil || l.stream != stream {
		l = &line{Chat: d.chat.ID, With: d.with, Who: d.bot.Name, At: s.nowLocked(), ReplyTo: d.line, stream: stream}
	}
	if strings.TrimSpace(text) != "" {
		l.Text = text
	}
	l.Card, l.Images, l.Growing = reply.TemplateCard, images, growing
	if l.Text == "" && l.Card == nil && len(l.Images) == 0 && !growing {
		return false // WeCom ignores blank content
	}
	if l.ID == "" {
		s.addLine(l)
		d.answer = l.ID
	} else {
		s.showLine(l)
	}
	return growing
}

// follow asks for the state of a stream until it has finished or its time is
// up.
//
// Source: https://developer.work.weixin.qq.com/document/path/101031
func (s *Simulator) follow(ctx context.Context, d *delivery, t *trace, stream string) {
	ask := &delivery{
		bot: d.bot, chat: d.chat, person: d.person, with: d.with, line: d.line,
		what: toRefresh, close: func() {}, answer: d.answer,
	}
	finish := func(name, detail, state string) {
		s.step(t, row{Name: name, Detail: detail, State: state})
		s.changeLine(d.answer, func(l *line) { l.Growing = false })
	}
	for asked := 1; ; asked++ {
		if !pause(ctx, s.cfg.Timing.Poll) {
			return
		}
		if s.now().Sub(d.said) >= s.cfg.Timing.Stream {
			finish("流式消息超时", seconds(s.cfg.Timing.Stream)+"没有写完，平台关闭了这条消息", warn)
			return
		}
		s.mu.Lock()
		c := s.newCallback(ask)
		s.mu.Unlock()
		c.MsgType, c.Stream = wecom.TypeStream, &wecom.AibotStreamRef{ID: stream}
		ask.plain = mustJSON(c)
		a := s.post(ctx, ask)
		if a.failure != nil || a.refusal != nil {
			s.step(t, row{Name: fmt.Sprintf("第 %d 次刷新", asked), Detail: errors.Join(a.failure, a.refusal).Error(), MS: ms(a.waiting), State: warn})
			continue
		}
		if a.reply == nil {
			continue // unchanged
		}
		reply, err := checkedReply(toRefresh, a.reply)
		if err == nil && reply.Stream.ID != stream {
			err = fmt.Errorf("刷新的是 %q，回答的却是 %q", stream, reply.Stream.ID)
		}
		if err != nil {
			s.step(t, row{Name: fmt.Sprintf("第 %d 次刷新", asked), Detail: err.Error(), State: bad})
			continue
		}
		growing := s.show(ask, reply)
		d.answer, d.reply = ask.answer, a.reply
		if !growing {
			finish("流式写完", fmt.Sprintf("刷新了 %d 次", asked), good)
			return
		}
	}
}

// redeliver posts a message once more: the same callback, sealed anew. The
// caller holds d.busy, which redeliver gives back.
func (s *Simulator) redeliver(ctx context.Context, d *delivery) {
	defer d.busy.Unlock()
	t := s.newTrace("重复投递 · "+s.titleOf(d), d)
	a := s.deliver(ctx, d, t, 1, 1)
	note, state := s.compare(d, a)
	s.step(t, row{Name: "比较", Detail: note, State: state})
	s.changeLine(d.line, func(l *line) {
		l.Deliveries++
		l.Note = fmt.Sprintf("投了 %d 次，%s", l.Deliveries, note)
	})
	s.end(t, state)
}

// compare says how the answer to a repeat differs from the first one. An
// answer that differs is shown.
func (s *Simulator) compare(d *delivery, a attempt) (note, state string) {
	switch {
	case a.failure != nil:
		return "没有送到：" + a.failure.Error(), bad
	case a.refusal != nil:
		return "平台不认这个回答：" + a.refusal.Error(), bad
	case bytes.Equal(a.reply, d.reply):
		return "回答一字不差", good
	}
	if d.bot.what != aibot {
		return s.compareApp(d, a)
	}
	reply, err := checkedReply(d.what, a.reply)
	if err != nil {
		return "平台不认这个回答：" + err.Error(), bad
	}
	if d.reply != nil {
		d.answer = "" // beside the first one
	}
	s.show(d, reply)
	return "回答与上次不同", warn
}

// addError shows in the chat what went wrong with an event.
func (s *Simulator) addError(d *delivery, problem string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.addLine(&line{Chat: d.chat.ID, With: d.with, Who: d.bot.Name, At: s.nowLocked(), Error: problem})
}

// enter tells a bot that somebody has opened the chat with it, if that is the
// first time that day. It returns nil if there is nothing to deliver.
//
// Source: https://developer.work.weixin.qq.com/document/path/101027
func (s *Simulator) enter(chatID, personID string) (*delivery, error) {
	chat, person, err := s.place(chatID, personID)
	if err != nil || chat.Kind != Single && chat.Kind != application {
		return nil, err
	}
	if chat.Kind == application {
		return s.enterApp(chat, person), nil
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	visit, day := person.ID+"\n"+chat.ID, s.nowLocked().Format(time.DateOnly)
	if s.entered[visit] == day {
		return nil, nil
	}
	s.entered[visit] = day
	return s.newEvent(chat, person, toEnter, &wecom.AibotEvent{EventType: wecom.EventEnterChat}), nil
}

// press tells a bot that somebody has pressed a button of its card.
func (s *Simulator) press(lineID, personID, key string) (*delivery, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	l := s.lineByID(lineID)
	if l == nil || l.Card == nil {
		return nil, errNoCard
	}
	chat, person, err := s.place(l.Chat, personID)
	if err != nil {
		return nil, err
	}
	if !hasButton(l.Card, key) {
		return nil, errNoButton
	}
	if chat.Kind == application {
		return s.pressApp(chat, person, l, key)
	}
	d := s.newEvent(chat, person, toPress, &wecom.AibotEvent{
		EventType: wecom.EventCard,
		Card:      &wecom.AibotCardEvent{CardType: l.Card.CardType, EventKey: key, TaskID: l.Card.TaskID},
	})
	d.with, d.answer = l.With, l.ID
	return d, nil
}

// newEvent returns the callback of an event. The caller holds mu.
func (s *Simulator) newEvent(chat Chat, person Person, what kind, event *wecom.AibotEvent) *delivery {
	d := &delivery{
		bot: s.cfg.bot(chat.Bot), chat: chat, person: person,
		said: s.nowLocked(), what: what, close: func() {},
	}
	if chat.Kind == Single {
		d.with = person.ID
	}
	c := s.newCallback(d)
	c.MsgType, c.Event = wecom.TypeEvent, event
	if what.name == toPress.name {
		c.ResponseURL = s.newResponse(d)
	}
	d.plain = mustJSON(c)
	return d
}

func (s *Simulator) aibotEndpoints() []endpoint {
	return []endpoint{{method: http.MethodPost, path: "aibot/response", open: true, handle: s.lateAnswer}}
}

// lateAnswer takes an answer by response_url.
//
// Source: https://developer.work.weixin.qq.com/document/path/101138
func (s *Simulator) lateAnswer(c *call) (any, error) {
	var reply wecom.AibotReply
	if err := c.read(&reply); err != nil {
		return nil, err
	}
	switch {
	case reply.MsgType != wecom.TypeMarkdown && reply.MsgType != wecom.TypeCard:
		return nil, apiError{40008, "invalid message type"}
	case reply.Markdown != nil && len(reply.Markdown.Content) > wecom.MaxResponseBytes:
		return nil, apiError{45002, "content size out of limit"}
	case reply.MsgType == wecom.TypeMarkdown && (reply.Markdown == nil || strings.TrimSpace(reply.Markdown.Content) == ""):
		return nil, apiError{44004, "empty content"}
	}
	if err := errors.Join(reply.Check(), checkCard(reply.TemplateCard)); err != nil {
		return nil, apiError{40058, "invalid Request Parameter: " + err.Error()}
	}
	code := c.URL.Query().Get("response_code")
	s.mu.Lock()
	known := s.responses[code]
	if known == nil || !s.nowLocked().Before(known.until) {
		s.mu.Unlock()
		return nil, apiError{40058, "invalid response_code, it may be used or expired"}
	}
	delete(s.responses, code)
	s.mu.Unlock()
	d := &delivery{bot: known.bot, chat: known.chat, with: known.with, line: known.line, what: toMessage}
	s.show(d, reply)
	t := s.newTrace("response_url · "+s.titleOf(d), d)
	s.step(t, row{Name: "补充回答", Detail: fmt.Sprintf("%d B，这个地址用过即作废", len(c.body)), State: good})
	s.changeTrace(t, func() { t.Wire, t.State = []wire{{Title: "正文（不加密）", Text: cut(c.body)}}, good })
	return nil, nil
}

// checkItems returns what is wrong with the pictures that end a stream.
func checkItems(stream *wecom.AibotStream) error {
	if stream == nil {
		return nil
	}
	for i, item := range stream.Items {
		picture, err := base64.StdEncoding.DecodeString(item.Image.Base64)
		if err != nil {
			return fmt.Errorf("msg_item[%d] 不是 base64", i)
		}
		sum := md5.Sum(picture)
		switch kind := http.DetectContentType(picture); {
		case item.Image.MD5 != hex.EncodeToString(sum[:]):
			return fmt.Errorf("msg_item[%d] 的 md5 不对", i)
		case kind != "image/png" && kind != "image/jpeg":
			return fmt.Errorf("msg_item[%d] 不是 JPG 或 PNG", i)
		}
	}
	return nil
}

// dataURLs returns checked pictures as a browser can show them.
func dataURLs(items []wecom.AibotStreamItem) []string {
	var urls []string
	for _, item := range items {
		picture, err := base64.StdEncoding.DecodeString(item.Image.Base64)
		if err == nil {
			urls = append(urls, "data:"+http.DetectContentType(picture)+";base64,"+item.Image.Base64)
		}
	}
	return urls
}

// mustJSON returns a callback as WeCom encrypts it. It can fail only for
// files, of which we send none.
func mustJSON(c wecom.AibotCallback) []byte {
	plain, err := c.JSON()
	if err != nil {
		panic(err)
	}
	return plain
}
