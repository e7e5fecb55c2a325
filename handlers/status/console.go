package status

import (
	"context"
	"fmt"
	"html/template"
	"math"
	"time"

	"qunbot/store"
	"qunbot/watch"
	"qunbot/web/console"
	"qunbot/web/style"
)

const (
	chartMinutes = 30
	monthsShown  = 12
	endedShown   = 20
)

type pageData struct {
	Alerts []alertRow
	Ended  []endedRow
	Now    nowData
	Fields console.Fields

	Replicas []replicaRow
	Chart    template.HTML
	Minutes  []minuteRow // the chart's figures

	Month   string // share of the current month; empty: not known yet
	Months  []monthRow
	Outages []outageRow
	Down    string // in the last 30 days
	Used    int64  // percent of the budget
	Seconds int64  // the same, for the meter
	Budget  int64
	Since   time.Time
}

// An alertRow is something that is wrong.
type alertRow struct {
	watch.Trouble
	ID      int64 // 0: the next check will tell staff
	BeganAt time.Time
	Gone    bool   // it seems to be over
	Acked   string // who looks after it; empty: nobody
}

type endedRow struct {
	store.Alert
	Took string
}

// nowData are the figures of the last minutes, of all replicas.
type nowData struct {
	PerMinute     int64
	Mean          string
	P50, P99      string // of the slowest replica
	Slow          bool
	Waiting       int
	TurnedAway    int64
	Queued        int64
	Sending       int64
	Unknown       int64
	OldestDue     string
	OldestUnknown string
	Late          int
	Failing       int
	Jobs          int
	Ledger        string // good, bad or quiet
	LedgerText    string
	LedgerAt      time.Time
	Backups       bool // somebody makes backups
	BackupAt      time.Time
	Backup        string // how long ago; empty: there is none
	BackupOld     bool
}

type replicaRow struct {
	store.Replica
	Kind, State string
	Beat        string // how long ago
	Up          string
	Mean, P99   string
	Offset      string
	Self        bool
}

type minuteRow struct {
	At      string
	Answers int64
}

type monthRow struct {
	Month string
	Share string
	Down  string
	Good  bool
}

type outageRow struct {
	store.Outage
	Took string
}

func (f *feature) page(ctx context.Context, tx *store.Tx, v console.Visit) (any, error) {
	st, err := f.Sources.Look(ctx, tx)
	if err != nil {
		return nil, err
	}
	d := pageData{Now: f.now(st), Fields: v.Fields(), Since: st.Since}
	if d.Alerts, err = alertRows(ctx, tx, st.Troubles()); err != nil {
		return nil, err
	}
	ended, err := tx.EndedAlerts(ctx, endedShown)
	if err != nil {
		return nil, err
	}
	for _, a := range ended {
		d.Ended = append(d.Ended, endedRow{a, watch.Span(a.SeenAt.Sub(a.BeganAt))})
	}
	for _, r := range st.Replicas {
		d.Replicas = append(d.Replicas, f.replica(r, st))
	}
	f.chart(&d, st.Beat)
	return d, f.uptime(ctx, tx, &d, st)
}

// alertRows joins what is wrong now with what staff were told.
func alertRows(ctx context.Context, tx *store.Tx, troubles []watch.Trouble) ([]alertRow, error) {
	open, err := tx.OpenAlerts(ctx)
	if err != nil {
		return nil, err
	}
	operators, err := tx.Operators(ctx)
	if err != nil {
		return nil, err
	}
	names := map[int64]string{}
	for _, o := range operators {
		names[o.ID] = o.Name
	}
	told := map[string]store.Alert{}
	for _, a := range open {
		told[a.Name] = a
	}
	var rows []alertRow
	for _, t := range troubles {
		a := told[t.Name]
		delete(told, t.Name)
		rows = append(rows, alertRow{Trouble: t, ID: a.ID, BeganAt: a.BeganAt, Acked: ackedBy(a, names)})
	}
	for _, a := range open {
		if _, left := told[a.Name]; left {
			rows = append(rows, alertRow{
				Trouble: watch.Trouble{Name: a.Name, Title: a.Title, Detail: a.Detail},
				ID:      a.ID, BeganAt: a.BeganAt, Gone: true, Acked: ackedBy(a, names),
			})
		}
	}
	return rows, nil
}

func ackedBy(a store.Alert, names map[int64]string) string {
	if a.AckedAt == nil {
		return ""
	}
	if name := names[a.AckedBy]; name != "" {
		return name
	}
	return fmt.Sprintf("账号 %d", a.AckedBy)
}

func (f *feature) now(st watch.State) nowData {
	d := nowData{Jobs: len(st.Jobs), Queued: st.Outbox.Posts[store.PostQueued], Sending: st.Outbox.Posts[store.PostSending],
		Unknown: st.Outbox.Posts[store.PostUnknown]}
	var answers int64
	var sum, p50, p99 time.Duration
	for _, r := range st.Replicas {
		if !watch.Alive(r, st.Beat) {
			continue
		}
		d.PerMinute += r.LastMinute
		d.Waiting += r.Waiting
		d.TurnedAway += r.TurnedAway
		answers += r.Answers
		sum += r.MeanAnswer * time.Duration(r.Answers)
		p50, p99 = max(p50, r.P50), max(p99, r.P99)
	}
	if answers > 0 {
		mean := sum / time.Duration(answers)
		d.Mean, d.P50, d.P99, d.Slow = millis(mean), millis(p50), millis(p99), mean > watch.SlowAnswer
	}
	if !st.Outbox.OldestDue.IsZero() {
		d.OldestDue = watch.Span(st.At.Sub(st.Outbox.OldestDue))
	}
	if !st.Outbox.OldestUnknown.IsZero() {
		d.OldestUnknown = watch.Span(st.At.Sub(st.Outbox.OldestUnknown))
	}
	for _, j := range st.Jobs {
		if st.Overdue(j) > watch.LateJob {
			d.Late++
		}
		if watch.Failing(j) {
			d.Failing++
		}
	}
	d.Ledger, d.LedgerText = "quiet", "还没有核对过"
	switch verify := st.Job(watch.LedgerJob); {
	case watch.Failed(verify):
		d.Ledger, d.LedgerText, d.LedgerAt = "bad", "对不上", verify.Last.StartedAt
	case verify.Last.State == store.FiringDone:
		d.Ledger, d.LedgerText, d.LedgerAt = "good", "对得上", verify.Last.StartedAt
	}
	if st.Backup != nil {
		d.Backups, d.BackupAt, d.BackupOld = true, *st.Backup, st.At.Sub(*st.Backup) > watch.OldBackup
		if !d.BackupAt.IsZero() {
			d.Backup = roughly(st.At.Sub(d.BackupAt)) + "前"
		}
	}
	return d
}

// roughly says a length of time in one unit.
func roughly(d time.Duration) string {
	switch {
	case d >= 48*time.Hour:
		return fmt.Sprintf("%d 天", d/(24*time.Hour))
	case d >= time.Hour:
		return fmt.Sprintf("%d 小时", d/time.Hour)
	}
	return fmt.Sprintf("%d 分钟", max(0, d/time.Minute))
}

// millis says a time as answers take it.
func millis(d time.Duration) string {
	if d >= time.Second {
		return fmt.Sprintf("%.1f 秒", d.Seconds())
	}
	return fmt.Sprintf("%.0f 毫秒", float64(d)/float64(time.Millisecond))
}

func (f *feature) replica(r store.Replica, st watch.State) replicaRow {
	row := replicaRow{Replica: r, Self: r.Name == f.Process, Beat: watch.Span(st.Beat.Sub(r.BeatAt)) + "前", Up: watch.Span(r.BeatAt.Sub(r.StartedAt)),
		Mean: "—", P99: "—", Offset: "—"}
	switch {
	case watch.Alive(r, st.Beat):
		row.Kind, row.State = "good", "在运行"
		if r.Answers > 0 {
			row.Mean, row.P99 = millis(r.MeanAnswer), millis(r.P99)
		}
		if f.Store.Shared() {
			row.Offset = fmt.Sprintf("%+.2f 秒", r.Offset.Seconds())
		}
	case r.Stopped:
		row.Kind, row.State = "quiet", "已退出"
	default:
		row.Kind, row.State = "bad", "没有消息"
	}
	return row
}

// chart draws the last half hour of this process, whose answers nobody else
// knows by the minute.
func (f *feature) chart(d *pageData, now time.Time) {
	if f.Minutes == nil {
		return
	}
	counts := f.Minutes(chartMinutes)
	bars := make([]style.Bar, len(counts))
	for i, n := range counts {
		at := now.Add(time.Duration(i-len(counts)+1) * time.Minute).In(f.Zone).Format("15:04")
		bars[i] = style.Bar{Label: at, Value: n}
		d.Minutes = append(d.Minutes, minuteRow{at, n})
	}
	d.Chart = style.Bars("条", bars)
}

// uptime fills in how much of the time somebody was alive.
func (f *feature) uptime(ctx context.Context, tx *store.Tx, d *pageData, st watch.State) error {
	now := st.Beat
	local := now.In(f.Zone)
	month := time.Date(local.Year(), local.Month(), 1, 0, 0, 0, 0, f.Zone)
	outages, err := tx.Outages(ctx, month.AddDate(0, 1-monthsShown, 0))
	if err != nil {
		return err
	}
	down := watch.Down(outages, now.AddDate(0, 0, -30), now)
	d.Down, d.Seconds, d.Budget = watch.Span(down), int64(down.Seconds()), int64(watch.Budget.Seconds())
	d.Used = int64(100 * down / watch.Budget)
	for i := range monthsShown {
		from := month.AddDate(0, -i, 0)
		until := from.AddDate(0, 1, 0)
		if until.After(now) {
			until = now
		}
		share, known := watch.Up(outages, st.Since, from, until)
		if !known {
			break
		}
		row := monthRow{from.Format("2006 年 1 月"), percent(share), watch.Span(watch.Down(outages, from, until)), share >= watch.Goal}
		if i == 0 {
			d.Month = row.Share
		}
		d.Months = append(d.Months, row)
	}
	for _, o := range outages {
		d.Outages = append(d.Outages, outageRow{o, watch.Span(o.Took())})
	}
	return nil
}

// percent says a share, rounded down: it never looks better than it is.
func percent(share float64) string {
	if share >= 1 {
		return "100%"
	}
	return fmt.Sprintf("%.3f%%", math.Floor(share*1e5)/1e3)
}
