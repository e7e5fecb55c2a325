package simulator

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"qunbot/bot/wecom"
)

// Limits of app messages (应用消息).
//
// Sources: https://developer.work.weixin.qq.com/document/path/90236 and
// https://developer.work.weixin.qq.com/document/path/90312
const (
	maxPerMemberMinute = 30 // more are dropped without a word
	maxPerMemberHour   = 1000
	maxRecipients      = 1000
	maxParties         = 100
	duplicateWindow    = 30 * time.Minute // default
	maxDuplicateWindow = 4 * time.Hour
	recallLife         = 24 * time.Hour
	cardCodeLife       = 72 * time.Hour
)

// appTypes are what an app sends to members.
var appTypes = []string{
	wecom.TypeText, formMarkdown, wecom.TypeImage, wecom.TypeVoice, wecom.TypeVideo, wecom.TypeFile,
	typeTextCard, typeNews, typeMPNews, typeNotice, wecom.TypeCard,
}

// cardTypes are all kinds of template card.
var cardTypes = []string{
	wecom.CardTextNotice, wecom.CardNewsNotice, wecom.CardButtonInteraction, wecom.CardVoteInteraction, wecom.CardMultipleInteraction,
}

// A sentMessage is an app message that may be recalled.
type sentMessage struct {
	agent string
	lines []string // ids
	until time.Time
}

// A cardCode is a response_code: it lets an app change a card once.
type cardCode struct {
	agent string
	lines []string // ids of those that show the card
	until time.Time
}

// An appMessage is the body of message/send.
type appMessage struct {
	content
	ToUser            string          `json:"touser"`
	ToParty           string          `json:"toparty"`
	ToTag             string          `json:"totag"`
	AgentID           json.RawMessage `json:"agentid"` // a number
	CheckDuplicates   int             `json:"enable_duplicate_check"`
	DuplicateInterval int64           `json:"duplicate_check_interval"` // seconds
}

func (s *Simulator) messageEndpoints() []endpoint {
	return []endpoint{
		{method: http.MethodPost, path: "message/send", handle: s.messageSend},
		{method: http.MethodPost, path: "message/recall", handle: s.messageRecall},
		{method: http.MethodPost, path: "message/update_template_card", handle: s.updateCard},
	}
}

// messageSend sends from an app to members. Its answer does not prove that
// anybody has got it.
//
// Source: https://developer.work.weixin.qq.com/document/path/90236
func (s *Simulator) messageSend(c *call) (any, error) {
	var m appMessage
	err := c.read(&m)
	if err == nil {
		err = c.checkAgent(m.AgentID)
	}
	chat := s.cfg.chat(appName(c.app.AgentID))
	title := "应用消息 · " + kindOf(m.content)
	if err != nil {
		s.showCall(c, chat, "", title, c.app.AgentID, err)
		return nil, err
	}
	s.mu.Lock()
	answer, reached, note, err := s.appSend(c, m)
	s.mu.Unlock()
	if err != nil || len(reached) == 0 {
		s.showCall(c, chat, "", title, note, err)
	}
	for _, id := range reached {
		s.showCall(c, chat, id, title, note, nil)
	}
	return answer, err
}

// checkAgent refuses an agentid that is not the one of the token.
func (c *call) checkAgent(raw json.RawMessage) error {
	agent, err := strconv.ParseInt(string(raw), 10, 64)
	switch {
	case err != nil:
		return apiError{40056, "invalid agentid"}
	case strconv.FormatInt(agent, 10) != c.app.AgentID:
		return apiError{301002, "not allow operate another agent with this accesstoken"}
	}
	return nil
}

// appSend shows m to whom it reaches. The caller holds mu, as for all below.
func (s *Simulator) appSend(c *call, m appMessage) (answer map[string]any, reached []string, note string, err error) {
	to, err := s.recipients(c.app, m)
	if err != nil {
		return nil, nil, "", err
	}
	l, err := s.lineOf(m.content, channel{
		types: appTypes, text: maxAppText, cut: true, markdown: maxAppText, cards: cardTypes,
	})
	if err == nil && l.Card != nil && needsCallback(l.Card) && c.app.CallbackURL == "" {
		err = badParameter("template_card has buttons, but the app has no callback url")
	}
	if err != nil {
		return nil, nil, "", err
	}
	id := "MSG" + rand.Text()
	answer = map[string]any{
		"invaliduser": to.invalidUsers(), "invalidparty": strings.Join(to.badParties, "|"), "invalidtag": strings.Join(to.badTags, "|"),
		"unlicenseduser": "", "msgid": id,
	}
	if s.isDuplicate(c, m, to.users) {
		return answer, nil, "同样的内容刚发过，排重后没有再送", nil
	}
	sent := sentMessage{agent: c.app.AgentID, until: s.nowLocked().Add(recallLife)}
	dropped := 0
	for _, user := range to.users {
		if !s.allow("app "+c.app.AgentID+" "+user, false, limit{maxPerMemberMinute, time.Minute}, limit{maxPerMemberHour, time.Hour}) {
			dropped++
			continue
		}
		one := *l
		one.Chat, one.With, one.Who, one.At = appName(c.app.AgentID), user, appName(c.app.AgentID), s.nowLocked()
		s.addLine(&one)
		sent.lines = append(sent.lines, one.ID)
		reached = append(reached, user)
	}
	maps.DeleteFunc(s.messages, func(_ string, old sentMessage) bool { return !s.nowLocked().Before(old.until) })
	s.messages[id] = sent
	if l.Card != nil && m.MsgType == wecom.TypeCard {
		answer["response_code"] = s.newCardCode(c.app.AgentID, sent.lines)
	}
	note = fmt.Sprintf("送到 %d 人", len(reached))
	if dropped > 0 {
		note += fmt.Sprintf("；%d 人超过每分钟 %d 条，平台不送也不报错", dropped, maxPerMemberMinute)
	}
	return answer, reached, note, nil
}

// recipients are those of an app message.
type recipients struct {
	users               []string
	badUsers            []string
	badParties, badTags []string
}

func (r recipients) invalidUsers() string { return strings.ToLower(strings.Join(r.badUsers, "|")) }

// recipients finds whom m is for. The corp has one party, 1, and no tags.
func (s *Simulator) recipients(app App, m appMessage) (to recipients, err error) {
	split := func(list string) []string {
		return slices.DeleteFunc(strings.Split(list, "|"), func(id string) bool { return id == "" })
	}
	users, parties, tags := split(m.ToUser), split(m.ToParty), split(m.ToTag)
	switch {
	case len(users)+len(parties)+len(tags) == 0:
		return to, apiError{82001, "all of touser, toparty, totag are empty"}
	case len(users) > maxRecipients:
		return to, apiError{40031, "invalid userid list"}
	case len(parties) > maxParties:
		return to, apiError{82002, "invalid party list length"}
	case len(tags) > maxParties:
		return to, apiError{82003, "invalid tag list length"}
	}
	everybody := slices.Contains(users, "@all")
	for _, party := range parties {
		if party == "1" {
			everybody = true
		} else {
			to.badParties = append(to.badParties, party)
		}
	}
	to.badTags = tags
	for _, user := range users {
		person := s.cfg.person(user)
		if user != "@all" && !(person.Kind == Member && app.sees(person)) {
			to.badUsers = append(to.badUsers, user)
		}
	}
	for _, p := range s.cfg.People {
		if p.Kind == Member && app.sees(p) && (everybody || slices.Contains(users, p.ID)) {
			to.users = append(to.users, p.ID)
		}
	}
	if len(to.users) == 0 {
		return to, apiError{81013, "user & party & tag all invalid"}
	}
	return to, nil
}

// sees reports whether a member is in the scope of the app.
func (a App) sees(p Person) bool { return len(a.Scope) == 0 || slices.Contains(a.Scope, p.ID) }

// needsCallback reports whether pressing something on a card is an event.
func needsCallback(c *wecom.TemplateCard) bool {
	return len(c.ButtonList) > 0 || c.SubmitButton != nil || c.ActionMenu != nil
}

// isDuplicate reports whether the same was sent to the same people within the
// time that m wants to have checked.
func (s *Simulator) isDuplicate(c *call, m appMessage, users []string) bool {
	if m.CheckDuplicates != 1 {
		return false
	}
	var body map[string]json.RawMessage
	if c.read(&body) != nil {
		return false
	}
	what, err := json.Marshal([]any{c.app.AgentID, users, m.MsgType, body[m.MsgType]})
	if err != nil {
		return false
	}
	sum := sha256.Sum256(what)
	key, now := hex.EncodeToString(sum[:]), s.nowLocked()
	maps.DeleteFunc(s.sentBy, func(_ string, until time.Time) bool { return !now.Before(until) })
	if _, known := s.sentBy[key]; known {
		return true
	}
	window := time.Duration(m.DuplicateInterval) * time.Second
	if window <= 0 {
		window = duplicateWindow
	}
	s.sentBy[key] = now.Add(min(window, maxDuplicateWindow))
	return false
}

// newCardCode returns a response_code for the card that lines show.
func (s *Simulator) newCardCode(agent string, lines []string) string {
	now := s.nowLocked()
	maps.DeleteFunc(s.cards, func(_ string, old cardCode) bool { return !now.Before(old.until) })
	code := "RC" + rand.Text()
	s.cards[code] = cardCode{agent: agent, lines: lines, until: now.Add(cardCodeLife)}
	return code
}

// messageRecall takes an app message back.
//
// Source: https://developer.work.weixin.qq.com/document/path/94867
func (s *Simulator) messageRecall(c *call) (any, error) {
	var ask struct {
		MsgID string `json:"msgid"`
	}
	if err := c.read(&ask); err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	sent, ok := s.messages[ask.MsgID]
	if !ok || sent.agent != c.app.AgentID || !s.nowLocked().Before(sent.until) {
		return nil, badParameter("msgid")
	}
	delete(s.messages, ask.MsgID)
	for _, id := range sent.lines {
		if l := s.lineByID(id); l != nil {
			*l = line{ID: l.ID, Rev: l.Rev, Chat: l.Chat, With: l.With, Who: l.Who, At: l.At, Note: "应用撤回了这条消息"}
			s.showLine(l)
		}
	}
	return nil, nil
}

// updateCard changes a card that was sent, once for each response_code.
//
// Source: https://developer.work.weixin.qq.com/document/path/94888
func (s *Simulator) updateCard(c *call) (any, error) {
	var ask struct {
		UserIDs []string        `json:"userids"`
		All     int             `json:"atall"`
		AgentID json.RawMessage `json:"agentid"`
		Code    string          `json:"response_code"`
		Button  struct {
			ReplaceName string `json:"replace_name"`
		} `json:"button"`
		Card *wecom.TemplateCard `json:"template_card"`
	}
	err := c.read(&ask)
	if err == nil {
		err = c.checkAgent(ask.AgentID)
	}
	if err == nil && ask.Card != nil {
		if problem := checkCard(ask.Card); problem != nil {
			err = badParameter("%s", problem)
		}
	}
	if err == nil && ask.Card == nil && ask.Button.ReplaceName == "" {
		err = badParameter("neither button.replace_name nor template_card")
	}
	if err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	code, ok := s.cards[ask.Code]
	if !ok || code.agent != c.app.AgentID || !s.nowLocked().Before(code.until) {
		return nil, badParameter("response_code")
	}
	delete(s.cards, ask.Code)
	invalid := slices.Clone(ask.UserIDs)
	for _, id := range code.lines {
		l := s.lineByID(id)
		if l == nil || ask.All != 1 && len(ask.UserIDs) > 0 && !slices.Contains(ask.UserIDs, l.With) {
			continue
		}
		invalid = slices.DeleteFunc(invalid, func(user string) bool { return user == l.With })
		s.replaceCard(l, ask.Card, ask.Button.ReplaceName)
	}
	return map[string]any{"invaliduser": invalid}, nil
}

// replaceCard changes the card of l, or its buttons into one that cannot be
// pressed.
func (s *Simulator) replaceCard(l *line, card *wecom.TemplateCard, button string) {
	if card == nil && l.Card != nil {
		changed := *l.Card
		changed.ButtonList = []wecom.CardButton{{Text: button}}
		changed.SubmitButton, changed.ButtonSelection, changed.Checkbox, changed.SelectList = nil, nil, nil, nil
		card = &changed
	}
	l.Card = card
	s.showLine(l)
}
