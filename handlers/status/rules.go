package status

import (
	"fmt"
	"strings"
	"time"

	"qunbot/store"
	"qunbot/watch"
)

const (
	calm       = 5 * time.Minute // without the trouble, an alert is over
	remindWait = 24 * time.Hour  // between two messages of an alert that nobody looks after
)

// A plan is what a look at the service changes.
type plan struct {
	Begun []store.Alert
	Again []store.Alert // staff are told once more
	Going []store.Alert // nothing to tell
	Over  []store.Alert
}

// planOf compares the open alerts with the troubles at now. A trouble that
// comes and goes is one alert, until it stays away for some minutes.
func planOf(open []store.Alert, troubles []watch.Trouble, now time.Time) plan {
	var p plan
	there := map[string]watch.Trouble{}
	for _, t := range troubles {
		there[t.Name] = t
	}
	known := map[string]bool{}
	for _, a := range open {
		known[a.Name] = true
		t, still := there[a.Name]
		if !still {
			if now.Sub(a.SeenAt) >= calm {
				a.EndedAt = &now
				p.Over = append(p.Over, a)
			}
			continue
		}
		a.Detail, a.SeenAt = t.Detail, now
		if a.AckedAt == nil && now.Sub(a.ToldAt) >= remindWait {
			a.ToldAt = now
			p.Again = append(p.Again, a)
		} else {
			p.Going = append(p.Going, a)
		}
	}
	for _, t := range troubles {
		if !known[t.Name] {
			known[t.Name] = true
			p.Begun = append(p.Begun, store.Alert{Name: t.Name, Title: t.Title, Detail: t.Detail, BeganAt: now, SeenAt: now, ToldAt: now})
		}
	}
	return p
}

// quiet reports whether there is nothing to tell.
func (p plan) quiet() bool { return len(p.Begun)+len(p.Again)+len(p.Over) == 0 }

// text is the message to staff.
func (p plan) text(page string) string {
	var b strings.Builder
	b.WriteString("【运行告警】")
	for _, a := range p.Begun {
		fmt.Fprintf(&b, "\n❗ %s：%s", a.Title, a.Detail)
	}
	for _, a := range p.Again {
		fmt.Fprintf(&b, "\n⏳ 还没好：%s（%s起）：%s", a.Title, watch.Span(a.ToldAt.Sub(a.BeganAt))+"前", a.Detail)
	}
	for _, a := range p.Over {
		fmt.Fprintf(&b, "\n✅ 恢复：%s（持续 %s）", a.Title, watch.Span(a.SeenAt.Sub(a.BeganAt)))
	}
	b.WriteString("\n详情和确认：" + page)
	return b.String()
}
