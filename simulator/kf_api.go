package simulator

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"qunbot/bot/wecom"
)

func (s *Simulator) kfEndpoints() []endpoint {
	return []endpoint{
		{method: http.MethodPost, path: "kf/sync_msg", handle: s.kfSync},
		{method: http.MethodPost, path: "kf/send_msg", handle: s.kfSend},
		{method: http.MethodPost, path: "kf/send_msg_on_event", handle: s.kfSendOnEvent},
		{method: http.MethodPost, path: "kf/service_state/get", handle: s.kfState},
		{method: http.MethodPost, path: "kf/service_state/trans", handle: s.kfTrans},
		{method: http.MethodGet, path: "kf/servicer/list", handle: s.kfServicers},
		{path: "kf/account/list", handle: s.kfAccounts}, // older texts: GET
		{method: http.MethodPost, path: "kf/add_contact_way", handle: s.kfLink},
		{method: http.MethodPost, path: "kf/customer/batchget", handle: s.kfCustomers},
	}
}

// deskOf returns the account that an app asks for. The caller holds mu, as for
// all below but the endpoints.
func (s *Simulator) deskOf(c *call, id string) (*desk, error) {
	d := s.desks[id]
	switch {
	case id == "":
		return nil, apiError{60251, "missing open_kfid"}
	case !kfForm.MatchString(id):
		return nil, apiError{95000, "invalid open_kfid"}
	case d == nil:
		return nil, apiError{95004, "open_kfid not exist"}
	case d.agent == c.app.AgentID:
		return d, nil
	}
	for _, other := range s.desks {
		if other.agent == c.app.AgentID {
			return nil, apiError{48007, "no permission of this open_kfid"}
		}
	}
	return nil, apiError{48002, "api forbidden"}
}

// kfSync returns what customers, servicers and the platform have said since a
// cursor, or in the last three days. Now and then it says nothing and that
// there is more, or says something again: both happen at WeCom.
//
// Source: https://developer.work.weixin.qq.com/document/path/94670
func (s *Simulator) kfSync(c *call) (any, error) {
	var ask struct {
		Cursor string `json:"cursor"`
		Token  string `json:"token"`
		Limit  int    `json:"limit"`
		ID     string `json:"open_kfid"`
	}
	if err := c.read(&ask); err != nil {
		return nil, err
	}
	s.mu.Lock()
	d, answer, news, err := s.pull(c, ask.ID, ask.Cursor, ask.Token, ask.Limit)
	s.mu.Unlock()
	if err != nil {
		return nil, err
	}
	if news > 0 {
		s.showCall(c, s.cfg.chat(d.ID), "", "客服收消息", fmt.Sprintf("取走 %d 条，has_more %v", news, answer["has_more"]), nil)
	}
	return answer, nil
}

func (s *Simulator) pull(c *call, id, cursor, token string, most int) (*desk, map[string]any, int, error) {
	refuse := func(err error) (*desk, map[string]any, int, error) { return nil, nil, 0, err }
	d, err := s.deskOf(c, id)
	if err != nil {
		return refuse(err)
	}
	now := s.nowLocked()
	until, known := d.tokens[token]
	from := int64(0)
	switch {
	case most < 0 || most > 1000:
		return refuse(badParameter("limit"))
	case token != "" && !(known && now.Before(until)):
		return refuse(apiError{95007, "invalid msg token"})
	case cursor != "":
		place, ok := s.readCursor(d, cursor)
		if !ok {
			return refuse(apiError{50100, "invalid cursor"})
		}
		from = place
	}
	if token == "" && !s.allow("kf/sync_msg "+d.ID, false, limit{kfBarePulls, time.Minute}) {
		return refuse(apiError{45009, "api freq out of limit"})
	}
	kept, first := []kfEntry{}, 0
	for _, e := range d.entries {
		if now.Sub(e.at) < kfRetention {
			kept = append(kept, e)
		}
	}
	for first < len(kept) && kept[first].number < from {
		first++
	}
	page := kept[first:]
	answer := map[string]any{"next_cursor": s.cursorOf(d, d.next), "has_more": 0, "msg_list": []any{}}
	if len(page) == 0 {
		return d, answer, 0, nil
	}
	if most == 0 {
		most = 1000
	}
	size := min(len(page), most, kfPage)
	d.pulls++
	switch d.pulls % 4 {
	case 2: // nothing, but there is more
		answer["has_more"], answer["next_cursor"] = 1, s.cursorOf(d, page[0].number)
		return d, answer, 0, nil
	case 0: // the one before once more
		if first > 0 && cursor != "" && most > 1 {
			first--
			size = min(size+1, most, kfPage)
			page = kept[first:]
		}
	}
	list := make([]any, size)
	for i, e := range page[:size] {
		list[i] = e.body
	}
	answer["msg_list"] = list
	if size < len(page) {
		answer["has_more"], answer["next_cursor"] = 1, s.cursorOf(d, page[size].number)
	}
	return d, answer, size, nil
}

// A kfMessage is the body of kf/send_msg and kf/send_msg_on_event.
type kfMessage struct {
	content
	ToUser string `json:"touser"`
	ID     string `json:"open_kfid"`
	MsgID  string `json:"msgid"`
	Code   string `json:"code"`
	Menu   menu   `json:"msgmenu"`
	Link   struct {
		Title   string `json:"title"`
		Desc    string `json:"desc"`
		URL     string `json:"url"`
		ThumbID string `json:"thumb_media_id"`
	} `json:"link"`
	MiniProgram struct {
		AppID    string `json:"appid"`
		Title    string `json:"title"`
		ThumbID  string `json:"thumb_media_id"`
		PagePath string `json:"pagepath"`
	} `json:"miniprogram"`
	Location struct {
		Name      string   `json:"name"`
		Address   string   `json:"address"`
		Latitude  *float64 `json:"latitude"`
		Longitude *float64 `json:"longitude"`
	} `json:"location"`
	CALink struct {
		URL string `json:"link_url"`
	} `json:"ca_link"`
}

// Kinds of message of 微信客服 alone.
const (
	typeMenu        = "msgmenu"
	typeLink        = "link"
	typeMiniProgram = "miniprogram"
	typeLocation    = "location"
	typeCALink      = "ca_link"
)

// kfSend sends to a customer.
//
// Source: https://developer.work.weixin.qq.com/document/path/94677
func (s *Simulator) kfSend(c *call) (any, error) {
	var m kfMessage
	if err := c.read(&m); err != nil {
		return nil, err
	}
	s.mu.Lock()
	d, answer, note, err := s.sendTo(c, &m)
	s.mu.Unlock()
	if d != nil {
		s.showCall(c, s.cfg.chat(d.ID), m.ToUser, "客服发消息 · "+kindOf(m.content), note, err)
	}
	return answer, err
}

func (s *Simulator) sendTo(c *call, m *kfMessage) (*desk, any, string, error) {
	d, err := s.deskOf(c, m.ID)
	if err != nil {
		return nil, nil, "", err
	}
	refuse := func(code int, text string) (*desk, any, string, error) { return d, nil, "", apiError{code, text} }
	customer, now := s.session(d, m.ToUser), s.nowLocked()
	if s.cfg.person(m.ToUser).Kind != Customer || customer == nil {
		return refuse(40096, "invalid external userid")
	}
	l, err := s.kfLine(m, []string{
		wecom.TypeText, wecom.TypeImage, wecom.TypeVoice, wecom.TypeVideo, wecom.TypeFile,
		typeMenu, typeLink, typeMiniProgram, typeLocation, typeCALink,
	})
	if err == nil {
		err = s.checkMsgID(d, m.MsgID)
	}
	switch {
	case err != nil:
		return d, nil, "", err
	case customer.wrote.IsZero():
		return refuse(95018, "send msg session status invalid")
	case now.Sub(customer.wrote) >= kfWindow:
		return refuse(95002, "send msg over 48 hours")
	case customer.state > kfAssistant:
		return refuse(95018, "send msg session status invalid")
	case customer.sent >= kfAllowance:
		return refuse(95001, "send msg over 5 times")
	}
	customer.sent++
	customer.state = kfAssistant
	id := s.showTo(d, m, m.ToUser, l)
	note := fmt.Sprintf("还能发 %d 条", kfAllowance-customer.sent)
	if faultIn(c.Context()) == FaultSendFail {
		l.Error = "没有送到顾客：按「故障与时钟」的设置，msg_send_fail 10（顾客拒收）"
		s.showLine(l)
		s.recordEvent(d, m.ToUser, "msg_send_fail", map[string]any{"fail_msgid": id, "fail_type": 10})
		note += "；收下了，但没有送到"
	}
	s.publishSessions()
	return d, map[string]any{"msgid": id}, note, nil
}

// checkMsgID refuses an id that was used before.
func (s *Simulator) checkMsgID(d *desk, id string) error {
	switch {
	case len(id) > 32 || !sceneForm.MatchString(id):
		return badParameter("msgid")
	case d.used[id]:
		return apiError{s.cfg.KFDuplicateCode, "msgid duplicated"}
	}
	return nil
}

// showTo shows a message to a customer and returns its id.
func (s *Simulator) showTo(d *desk, m *kfMessage, customer string, l *line) string {
	if m.MsgID == "" {
		m.MsgID = "SIM" + s.digitsLocked(20)
	}
	d.used[m.MsgID] = true
	l.Chat, l.With, l.Who, l.At = d.ID, customer, d.ID, s.nowLocked()
	s.addLine(l)
	return m.MsgID
}

// kfLine returns a bubble with m.
func (s *Simulator) kfLine(m *kfMessage, types []string) (*line, error) {
	own := channel{types: types, text: 2048, cut: true}
	if !slices.Contains(types, m.MsgType) {
		return nil, apiError{40008, "invalid message type"}
	}
	switch m.MsgType {
	case typeMenu:
		if err := m.Menu.check(); err != nil {
			return nil, err
		}
		return &line{Menu: &m.Menu}, nil
	case typeLink:
		thumb, err := s.known(m.Link.ThumbID, wecom.TypeImage, own)
		switch {
		case m.Link.Title == "" || len(m.Link.URL) > maxURL || !strings.Contains(m.Link.URL, "://"):
			return nil, badParameter("link needs a title and a url with its scheme")
		case err != nil:
			return nil, err
		}
		return &line{Articles: []wecom.Article{{
			Title: cutBytes(m.Link.Title, 128), Description: cutBytes(m.Link.Desc, 512), URL: m.Link.URL, PicURL: thumb.address(),
		}}}, nil
	case typeMiniProgram:
		if m.MiniProgram.AppID == "" || m.MiniProgram.PagePath == "" {
			return nil, badParameter("miniprogram needs appid and pagepath")
		}
		if _, err := s.known(m.MiniProgram.ThumbID, wecom.TypeImage, own); err != nil {
			return nil, err
		}
		return &line{Card: &wecom.TemplateCard{
			CardType: typeMiniProgram, MainTitle: &wecom.CardTitle{Title: cutBytes(m.MiniProgram.Title, 64)},
			JumpList: []wecom.CardJump{{Title: "小程序 " + m.MiniProgram.AppID}},
		}}, nil
	case typeLocation:
		at := m.Location
		if at.Latitude == nil || at.Longitude == nil || *at.Latitude < -90 || *at.Latitude > 90 || *at.Longitude < -180 || *at.Longitude > 180 {
			return nil, badParameter("location.latitude or longitude")
		}
		return &line{Card: &wecom.TemplateCard{
			CardType: typeLocation, MainTitle: &wecom.CardTitle{Title: at.Name, Desc: at.Address},
			JumpList: []wecom.CardJump{{Title: fmt.Sprintf("位置 %.4f, %.4f", *at.Latitude, *at.Longitude)}},
		}}, nil
	case typeCALink:
		if !strings.HasPrefix(m.CALink.URL, "https://work.weixin.qq.com/ca/") {
			return nil, badParameter("ca_link.link_url")
		}
		return &line{Text: m.CALink.URL, Form: formText}, nil
	}
	return s.lineOf(m.content, own)
}

// kfSendOnEvent sends the one message that an event allows.
//
// Source: https://developer.work.weixin.qq.com/document/path/95122
func (s *Simulator) kfSendOnEvent(c *call) (any, error) {
	var m kfMessage
	if err := c.read(&m); err != nil {
		return nil, err
	}
	s.mu.Lock()
	d, customer, err := s.sendOnEvent(c, &m)
	s.mu.Unlock()
	if d != nil {
		s.showCall(c, s.cfg.chat(d.ID), customer, "客服事件消息 · "+kindOf(m.content), "一个 code 只能用一次", err)
	}
	if err != nil {
		return nil, err
	}
	return map[string]any{"msgid": m.MsgID}, nil
}

func (s *Simulator) sendOnEvent(c *call, m *kfMessage) (*desk, string, error) {
	var d *desk
	var code kfCode
	for _, account := range s.cfg.KF {
		if known, ok := s.desks[account.ID].codes[m.Code]; ok && s.desks[account.ID].agent == c.app.AgentID {
			d, code = s.desks[account.ID], known
		}
	}
	if d == nil || !s.nowLocked().Before(code.until) {
		return nil, "", apiError{41050, "invalid code, it may be used or expired"}
	}
	types := []string{wecom.TypeText}
	if code.menus {
		types = append(types, typeMenu)
	}
	l, err := s.kfLine(m, types)
	if err == nil {
		err = s.checkMsgID(d, m.MsgID)
	}
	customer := s.session(d, code.customer)
	if err == nil && code.state >= 0 && customer.state != code.state {
		err = apiError{95018, "send msg session status invalid"}
	}
	if err != nil {
		return d, code.customer, err
	}
	delete(d.codes, m.Code)
	if code.state < 0 {
		customer.welcomed = s.nowLocked()
	}
	s.showTo(d, m, code.customer, l)
	return d, code.customer, nil
}

// kfAsk is what the calls about sessions have in common.
type kfAsk struct {
	ID       string `json:"open_kfid"`
	Customer string `json:"external_userid"`
	State    *int   `json:"service_state"`
	Servicer string `json:"servicer_userid"`
}

// readSession returns the desk and the session that a call is about.
func (s *Simulator) readSession(c *call) (a kfAsk, d *desk, session *kfSession, err error) {
	if err = c.read(&a); err != nil {
		return a, nil, nil, err
	}
	if d, err = s.deskOf(c, a.ID); err != nil {
		return a, nil, nil, err
	}
	switch session = s.session(d, a.Customer); {
	case a.Customer == "":
		return a, nil, nil, apiError{41035, "missing external userid"}
	case session == nil:
		return a, nil, nil, apiError{40096, "invalid external userid"}
	}
	return a, d, session, nil
}

// kfState tells who serves a customer.
//
// Source: https://developer.work.weixin.qq.com/document/path/94669
func (s *Simulator) kfState(c *call) (any, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	_, _, session, err := s.readSession(c)
	if err != nil {
		return nil, err
	}
	answer := map[string]any{"service_state": session.state}
	if session.servicer != "" {
		answer["servicer_userid"] = session.servicer
	}
	return answer, nil
}

// kfMoves are the changes of state that an app may make.
var kfMoves = map[int][]int{
	kfNew:       {kfAssistant, kfPool, kfHuman},
	kfAssistant: {kfPool, kfHuman},
	kfPool:      {kfHuman},
	kfHuman:     {kfHuman, kfEnded},
}

// kfTrans changes who serves a customer.
//
// Source: https://developer.work.weixin.qq.com/document/path/94669
func (s *Simulator) kfTrans(c *call) (any, error) {
	s.mu.Lock()
	a, d, session, err := s.readSession(c)
	var answer any
	if err == nil {
		answer, err = s.trans(d, session, a)
	}
	s.mu.Unlock()
	if d != nil {
		to := "没有说改成什么"
		if a.State != nil {
			to = fmt.Sprintf("改成状态 %d %s", *a.State, a.Servicer)
		}
		s.showCall(c, s.cfg.chat(d.ID), a.Customer, "改会话状态", to, err)
	}
	return answer, err
}

func (s *Simulator) trans(d *desk, session *kfSession, a kfAsk) (any, error) {
	switch {
	case a.State == nil:
		return nil, badParameter("service_state")
	case session.state == kfEnded:
		return nil, apiError{95013, "conversation end"}
	case !slices.Contains(kfMoves[session.state], *a.State):
		return nil, apiError{95016, "not allow to change service_state"}
	case *a.State == kfHuman && !slices.Contains(d.Servicers, a.Servicer):
		return nil, apiError{95014, "not servicer of this open_kfid, or not active"}
	case *a.State == kfHuman && d.stopped[a.Servicer]:
		return nil, apiError{95019, "servicer stopped"}
	}
	to, answer := *a.State, map[string]any{}
	code, life := kfCode{customer: a.Customer, state: to}, kfSlowCode
	switch to {
	case kfAssistant:
		session.state = to
		s.publishSessions()
		return answer, nil
	case kfPool:
		session.state = to
		s.remark(d, a.Customer, "进入人工排队")
	case kfHuman:
		session.state, session.servicer, session.last = to, a.Servicer, a.Servicer
		s.remark(d, a.Customer, "转给"+s.cfg.person(a.Servicer).Name+"接待")
	case kfEnded:
		session.end()
		code.menus, life = true, kfQuickCode
		s.remark(d, a.Customer, "会话已结束")
	}
	if to == kfEnded || !session.coded[to] {
		answer["msg_code"] = s.newCode(d, code, life)
	}
	if to != kfEnded {
		session.coded[to] = true
	}
	s.publishSessions()
	return answer, nil
}

// kfServicers lists who serves at an account.
//
// Source: https://developer.work.weixin.qq.com/document/path/94645
func (s *Simulator) kfServicers(c *call) (any, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	d, err := s.deskOf(c, c.URL.Query().Get("open_kfid"))
	if err != nil {
		return nil, err
	}
	list := []map[string]any{}
	for _, id := range d.Servicers {
		one := map[string]any{"userid": id, "status": 0}
		if d.stopped[id] {
			one["status"], one["stop_type"] = 1, 0
		}
		list = append(list, one)
	}
	return map[string]any{"servicer_list": list}, nil
}

// kfAccounts lists the accounts of the corp.
//
// Source: https://developer.work.weixin.qq.com/document/path/94661
func (s *Simulator) kfAccounts(c *call) (any, error) {
	ask := struct {
		Offset int `json:"offset"`
		Limit  int `json:"limit"`
	}{Limit: 100}
	if len(c.body) > 0 {
		if err := c.read(&ask); err != nil {
			return nil, err
		}
	}
	if ask.Offset < 0 || ask.Limit < 1 || ask.Limit > 100 {
		return nil, badParameter("offset or limit")
	}
	from := min(ask.Offset, len(s.cfg.KF))
	list := []map[string]any{}
	for _, account := range s.cfg.KF[from:min(from+ask.Limit, len(s.cfg.KF))] {
		list = append(list, map[string]any{
			"open_kfid": account.ID, "name": account.Name, "avatar": "",
			"manage_privilege": s.cfg.appFor(account.App).AgentID == c.app.AgentID,
		})
	}
	return map[string]any{"account_list": list}, nil
}

// kfLink returns a link to an account.
//
// Source: https://developer.work.weixin.qq.com/document/path/94665
func (s *Simulator) kfLink(c *call) (any, error) {
	var ask struct {
		ID    string `json:"open_kfid"`
		Scene string `json:"scene"`
	}
	if err := c.read(&ask); err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	d, err := s.deskOf(c, ask.ID)
	switch {
	case err != nil:
		return nil, err
	case len(ask.Scene) > maxScene || !sceneForm.MatchString(ask.Scene):
		return nil, badParameter("scene")
	}
	if !slices.Contains(d.scenes, ask.Scene) {
		d.scenes = append(d.scenes, ask.Scene)
		s.publishSessions()
	}
	return map[string]any{"url": s.linkOf(d, ask.Scene)}, nil
}

// kfCustomers tells about customers who were at an account of the app.
//
// Source: https://developer.work.weixin.qq.com/document/path/96429
func (s *Simulator) kfCustomers(c *call) (any, error) {
	var ask struct {
		IDs     []string `json:"external_userid_list"`
		Context int      `json:"need_enter_session_context"`
	}
	if err := c.read(&ask); err != nil {
		return nil, err
	}
	if len(ask.IDs) == 0 || len(ask.IDs) > 100 {
		return nil, badParameter("external_userid_list")
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	customers, unknown := []map[string]any{}, []string{}
	for _, id := range ask.IDs {
		session := s.lastEntry(c.app, id)
		if session == nil {
			unknown = append(unknown, id)
			continue
		}
		p := s.cfg.person(id)
		one := map[string]any{"external_userid": id, "nickname": p.Name, "avatar": "", "gender": 0}
		if p.UnionID != "" {
			one["unionid"] = p.UnionID
		}
		if ask.Context == 1 && s.nowLocked().Sub(session.entered) < kfWindow {
			one["enter_session_context"] = map[string]any{"scene": session.scene, "scene_param": session.param}
		}
		customers = append(customers, one)
	}
	return map[string]any{"customer_list": customers, "invalid_external_userid": unknown}, nil
}

// lastEntry returns the session of a customer who was last at an account of
// app, or nil.
func (s *Simulator) lastEntry(app App, customer string) (last *kfSession) {
	for _, account := range s.cfg.KF {
		d := s.desks[account.ID]
		if c := s.session(d, customer); d.agent == app.AgentID && c != nil && (last == nil || c.entered.After(last.entered)) {
			last = c
		}
	}
	return last
}

// faultKey is where the context of a call has a fault that its endpoint has to
// bring about.
type faultKey struct{}

// faultIn returns it.
func faultIn(ctx context.Context) Fault {
	f, _ := ctx.Value(faultKey{}).(Fault)
	return f
}
