package simulator

import (
	"context"
	"errors"
	"net/http"
	"slices"

	"qunbot/bot/wecom"
)

// What is wrong with what a servicer wants.
var (
	errNotYours   = errors.New("这个会话现在不由你接待")
	errNotWaiting = errors.New("这个会话没有在排队")
	errNoServicer = errors.New("不是这个客服账号的接待人员，或者没有在接待")
	errNoDeed     = errors.New("没有这个操作")
)

// serveDesk does what a servicer does in the client: takes a customer from the
// pool, hands one over, ends a session, stops serving.
func (s *Simulator) serveDesk(_ http.ResponseWriter, a ask) (any, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	d := s.desks[a.Chat]
	if d == nil || !slices.Contains(d.Servicers, a.Person) {
		return nil, errNoServicer
	}
	if a.Key == "status" {
		s.setServing(d, a.Person, a.On)
		return done, nil
	}
	c := s.session(d, a.With)
	switch {
	case c == nil:
		return nil, errNoPerson
	case a.Key == "take":
		return done, s.takeCustomer(d, c, a.With, a.Person)
	case c.state != kfHuman || c.servicer != a.Person:
		return nil, errNotYours
	case a.Key == "transfer":
		return done, s.handOver(d, c, a.With, a.Text)
	case a.Key == "end":
		c.last = a.Person
		c.end()
		s.remark(d, a.With, s.cfg.person(a.Person).Name+"结束了会话")
		s.recordEvent(d, a.With, "session_status_change", map[string]any{
			"change_type": 3, "old_servicer_userid": a.Person,
			"msg_code": s.newCode(d, kfCode{customer: a.With, state: kfEnded, menus: true}, kfQuickCode),
		})
		return done, nil
	}
	return nil, errNoDeed
}

// setServing starts or stops a servicer.
func (s *Simulator) setServing(d *desk, person string, serving bool) {
	if d.stopped[person] == !serving {
		return
	}
	d.stopped[person] = !serving
	status := map[bool]int{true: 1, false: 2}[serving] // not the numbers of servicer/list
	event := map[string]any{"servicer_userid": person, "status": status}
	if !serving {
		event["stop_type"] = 0
	}
	s.recordEvent(d, "", "servicer_status_change", event)
	s.publishPanel()
}

func (s *Simulator) takeCustomer(d *desk, c *kfSession, customer, person string) error {
	switch {
	case d.stopped[person]:
		return errNoServicer
	case c.state != kfPool:
		return errNotWaiting
	}
	c.state, c.servicer, c.last = kfHuman, person, person
	s.remark(d, customer, s.cfg.person(person).Name+"接入了会话")
	s.recordEvent(d, customer, "session_status_change", map[string]any{
		"change_type": 1, "new_servicer_userid": person,
		"msg_code": s.newCode(d, kfCode{customer: customer, state: kfHuman}, kfSlowCode),
	})
	return nil
}

func (s *Simulator) handOver(d *desk, c *kfSession, customer, to string) error {
	if !slices.Contains(d.Servicers, to) || d.stopped[to] || to == c.servicer {
		return errNoServicer
	}
	from := c.servicer
	c.servicer, c.last = to, to
	s.remark(d, customer, s.cfg.person(from).Name+"把会话转给了"+s.cfg.person(to).Name)
	s.recordEvent(d, customer, "session_status_change", map[string]any{
		"change_type": 2, "old_servicer_userid": from, "new_servicer_userid": to,
	})
	return nil
}

// servicerSay says something for a servicer. In an ended session that opens it
// again.
func (s *Simulator) servicerSay(a ask) (line, error) {
	words, err := cleanText(a.Text)
	if err != nil {
		return line{}, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	d := s.desks[a.Chat]
	if d == nil || !slices.Contains(d.Servicers, a.Person) {
		return line{}, errNoServicer
	}
	c := s.session(d, a.With)
	switch {
	case c == nil:
		return line{}, errNoPerson
	case c.state == kfEnded && c.last == a.Person:
		c.state, c.servicer, c.opened = kfHuman, a.Person, s.nowLocked()
		s.remark(d, a.With, s.cfg.person(a.Person).Name+"重新打开了会话")
		s.recordEvent(d, a.With, "session_status_change", map[string]any{
			"change_type": 4, "old_servicer_userid": a.Person, "new_servicer_userid": a.Person,
		})
	case c.state != kfHuman || c.servicer != a.Person:
		return line{}, errNotYours
	}
	l := &line{Chat: d.ID, With: a.With, Who: a.Person, Text: words, At: s.nowLocked()}
	s.addLine(l)
	s.record(d, fromServicer, map[string]any{
		"open_kfid": d.ID, "external_userid": a.With, "servicer_userid": a.Person, "msgtype": wecom.TypeText, "text": map[string]any{"content": words},
	})
	letter := s.hint(d, a.With, "")
	s.start(func(ctx context.Context) { s.converse(ctx, letter) })
	return *l, nil
}
