package simulator

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"time"
)

// maxMoment is the latest moment of a power cut after a message was sent: a
// service is in the middle of it then, or has just answered.
const maxMoment = 3 * time.Millisecond

// What is wrong with pulling the plug.
var (
	errNoPlug    = errors.New("这里的服务没有接电源开关")
	errUnplugged = errors.New("正在断电和重启，等它恢复了再来")
	errUnheard   = errors.New("这条消息机器人听不到，断电试不出什么；请 @ 它")
)

// unplug delivers d, cuts the service's power in the middle of it, has it
// start again, and delivers d once more, as WeCom does with what was not
// answered. The caller holds power, which unplug gives back.
func (s *Simulator) unplug(ctx context.Context, d *delivery) {
	defer s.power.Unlock()
	defer d.close()
	d.busy.Lock()
	defer d.busy.Unlock()
	t := s.newTrace("拔电源 · "+s.titleOf(d), d)

	a := s.seal(d)
	s.step(t, sealed(d, a))
	written := make(chan struct{})
	first := make(chan attempt, 1)
	go func() { first <- s.send(ctx, d, a, func() { close(written) }) }()
	answered := false
	select {
	case <-written:
	case a = <-first: // the service was down before
		answered = true
	}
	moment := s.moment()
	pause(ctx, moment)
	s.step(t, row{Name: "发出", Detail: "消息已在路上，服务正在处理", MS: ms(moment)})
	s.killService(t)
	if !answered {
		a = <-first
	}
	s.cfg.HTTP.CloseIdleConnections()
	s.account(t, d, a, "第 1 次投递")
	if !s.restart(ctx, t) {
		s.changeLine(d.line, func(l *line) { l.Waiting, l.Error = false, "服务没能重新启动，详见幕后" })
		s.end(t, bad)
		return
	}
	if a.failure != nil {
		again := s.deliver(ctx, d, t, 2, maxTries-1)
		if again.failure == nil && again.refusal == nil {
			s.step(t, row{Name: "结果", Detail: lost(again), State: good})
		}
		s.changeLine(d.line, func(l *line) { l.Deliveries, l.Note = 2, "断电一次，重启后再次投递" })
		s.conclude(ctx, d, t, again)
		return
	}
	// The answer was quicker than the cut. WeCom would not repeat what was
	// answered, but a repeat shows whether the service remembers it.
	s.changeLine(d.line, func(l *line) { l.Deliveries, l.Note = 2, "回答比断电快；重启后又投了一次" })
	s.conclude(ctx, d, t, a)
	again := s.deliver(ctx, d, t, 2, maxTries-1)
	note, state := s.compare(d, again)
	if bytes.Equal(again.reply, d.reply) {
		note = "回答赶在断电前到了；重启后再投一次，" + note
	}
	s.step(t, row{Name: "结果", Detail: note, State: state})
	s.end(t, state)
}

// lost says what a repeat after a lost answer tells.
func lost(again attempt) string {
	switch {
	case again.replayed:
		return "断电前已落盘，只是回答没送出；这次取回同一个回答，没有重复记账"
	case len(again.metrics) == 0: // the service does not say which it was
		return "重启后再次投递，得到了回答"
	}
	return "断电前还没落盘，什么也没留下；这次从头处理，只记一次"
}

// killService cuts the power.
func (s *Simulator) killService(t *trace) {
	started := s.cfg.Now()
	err := s.cfg.Service.Kill()
	r := row{Name: "断电", Detail: "kill -9，进程没有机会收尾", MS: ms(s.cfg.Now().Sub(started)), State: warn}
	if err != nil {
		r.Detail, r.State = "没能结束进程："+err.Error(), bad
	}
	s.step(t, r)
}

// restart starts the service and reports whether it did.
func (s *Simulator) restart(ctx context.Context, t *trace) bool {
	started := s.cfg.Now()
	err := s.cfg.Service.Start(ctx)
	took := s.cfg.Now().Sub(started)
	r := row{Name: "重启", Detail: fmt.Sprintf("%.1f 秒后又能回答", took.Seconds()), MS: ms(took), State: good}
	if err != nil {
		r.Detail, r.State = "没能启动："+err.Error(), bad
	}
	s.step(t, r)
	return err == nil
}

// moment returns when to cut the power.
func (s *Simulator) moment() time.Duration {
	s.mu.Lock()
	defer s.mu.Unlock()
	return time.Duration(s.cfg.Rand.Int64N(int64(maxMoment)))
}
