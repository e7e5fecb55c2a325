package draw

import (
	"context"
	"fmt"
	"strings"

	"qunbot/bot"
	"qunbot/drawproof"
	"qunbot/store"
)

// operate answers /抽奖.
func (f *feature) operate(ctx context.Context, tx *store.Tx, m bot.Message) (bot.Reply, error) {
	o, err := parseOrder(bot.Args(ctx), m.SentAt, f.Zone)
	if err != nil {
		return answer("", err)
	}
	if o.verb == verbNew {
		return answer(f.orderNew(ctx, tx, m, o))
	}
	where, err := malls(ctx, tx, m.Member.ID, m.Group)
	if err != nil {
		return bot.Reply{}, err
	}
	d, err := f.find(ctx, tx, where, o.which)
	if err != nil {
		return answer("", err)
	}
	var text, what string
	switch o.verb {
	case verbClose:
		what = "closed"
		if d, err = f.close(ctx, tx, d.ID, m.SentAt); err == nil {
			text, err = f.closedText(d)
		}
	case verbValue:
		what = "value"
		if d, err = f.setValue(ctx, tx, d.ID, o.text, m.SentAt); err == nil {
			text, err = f.valueText(d)
		}
	case verbDraw:
		what = "drawn"
		text, err = f.orderDraw(ctx, tx, m, &d)
	case verbCancel:
		what = "cancelled"
		if d, err = f.cancel(ctx, tx, d.ID, o.text, m.SentAt); err == nil {
			text = f.cancelledText(d)
		}
	}
	if err != nil {
		return answer("", err)
	}
	if err := f.announce(ctx, tx, d, m.Group.ID, what, text); err != nil {
		return bot.Reply{}, err
	}
	if err := f.audit(ctx, tx, m, o, d); err != nil {
		return bot.Reply{}, err
	}
	return bot.Reply{Text: text + f.nextStep(d, o)}, nil
}

// orderNew makes a draw and answers with its announcement.
func (f *feature) orderNew(ctx context.Context, tx *store.Tx, m bot.Message, o order) (string, error) {
	mall := m.Group.MallID
	if m.Private() {
		where, err := malls(ctx, tx, m.Member.ID, m.Group)
		if err != nil {
			return "", err
		}
		if len(where) != 1 {
			return "", refuse("不知道办在哪家商场：请到那家商场的群里说这条指令，或者在后台新建。")
		}
		mall = where[0]
	}
	d, err := f.create(ctx, tx, o.plan, mall, m.Group.ID, m.Operator.ID, m.SentAt)
	if err != nil {
		return "", err
	}
	text, err := f.openText(d)
	if err != nil {
		return "", err
	}
	return text, f.audit(ctx, tx, m, o, d)
}

// orderDraw draws; a draw whose deadline has passed and that the job has not
// closed yet is closed first.
func (f *feature) orderDraw(ctx context.Context, tx *store.Tx, m bot.Message, d *store.Draw) (text string, err error) {
	if d.State == store.DrawOpen && d.Deadline != nil && !m.SentAt.Before(d.Deadline.Add(grace)) {
		if _, err := f.close(ctx, tx, d.ID, m.SentAt); err != nil {
			return "", err
		}
	}
	var wins []store.DrawWin
	if *d, wins, err = f.draw(ctx, tx, d.ID, m.SentAt); err != nil {
		return "", err
	}
	return f.drawnText(*d, wins)
}

// nextStep tells the operator what to say next.
func (f *feature) nextStep(d store.Draw, o order) string {
	if d.State != store.DrawClosed {
		return ""
	}
	r, err := rulesOf(d)
	switch {
	case err != nil:
		return ""
	case r.Source == drawproof.NoSource:
		return fmt.Sprintf("\n下一步：/抽奖 开奖 %d（不说的话，一分钟内自动开奖）", d.Number)
	case d.PublicValue == "":
		return fmt.Sprintf("\n下一步：公证数公布后 /抽奖 公证 %d 数字", d.Number)
	}
	return fmt.Sprintf("\n下一步：/抽奖 开奖 %d", d.Number)
}

func (f *feature) audit(ctx context.Context, tx *store.Tx, m bot.Message, o order, d store.Draw) error {
	detail := strings.TrimSpace(fmt.Sprintf("%s（#%d）%s", d.Name, d.Number, o.text))
	if o.verb == verbNew {
		detail = d.Rules
	}
	return tx.AddAudit(ctx, store.Audit{
		OperatorID: m.Operator.ID, Action: "/抽奖 " + string(o.verb), Object: fmt.Sprintf("draw %d", d.ID), Detail: detail, At: m.SentAt,
	})
}
