package watch

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"qunbot/bot"
	"qunbot/store"
)

// lookLife is how long a State is shown: however many scrape, the database is
// asked once in that time.
const lookLife = 5 * time.Second

// Live is what gauges are read from, whenever they are asked for.
type Live struct {
	Sources
	Store    *store.Store
	Progress func() bot.Progress
	Pulse    *Pulse
	Log      *slog.Logger
}

// A collector turns a Live into gauges.
type collector struct {
	Live
	mu   sync.Mutex
	at   time.Time
	last State
	err  error
}

// Watch adds the gauges of l. It may be called once.
func (m *Metrics) Watch(l Live) { m.registry.MustRegister(&collector{Live: l}) }

func desc(name, help string, labels ...string) *prometheus.Desc {
	return prometheus.NewDesc("qunbot_"+name, help, labels, nil)
}

// The gauges.
var (
	queueDesc   = desc("engine_queue_messages", "Messages that wait for the engine.")
	postsDesc   = desc("outbox_posts", "Posts that are not at an end.", "state")
	dueDesc     = desc("outbox_oldest_due_seconds", "How long the post has been waiting that waits longest; 0: none is due.")
	doubtDesc   = desc("outbox_oldest_unknown_seconds", "How long nobody has looked what became of a post; 0: there is none.")
	deadDesc    = desc("outbox_dead_destinations", "Destinations that are gone.")
	overdueDesc = desc("job_overdue_seconds", "For how long a job has been due without beginning.", "task")
	failingDesc = desc("job_failing", "1 if the job was given up, or has failed three times for the same due time.", "task")
	ledgerDesc  = desc("ledger_mismatch", "1 if the last proof of the balances failed.")
	backupDesc  = desc("backup_age_seconds", "Age of the newest backup; since the first heartbeat if there is none.")
	liveDesc    = desc("replicas", "Processes of the service.", "state")
	downDesc    = desc("downtime_seconds", "Time of the last 30 days in which no process was alive.")
	offsetDesc  = desc("clock_offset_seconds", "How far the clock is ahead of the database's; 0 with SQLite.")
	databaseUp  = desc("database_up", "1 if the database answered.")

	connectionsDesc = desc("database_connections", "Open connections.", "pool", "state")
	waitsDesc       = desc("database_connection_waits_total", "How often a connection was waited for.", "pool")
	waitTimeDesc    = desc("database_connection_wait_seconds_total", "How long connections were waited for.", "pool")
)

// Describe implements prometheus.Collector.
func (c *collector) Describe(ch chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{queueDesc, postsDesc, dueDesc, doubtDesc, deadDesc, overdueDesc, failingDesc, ledgerDesc,
		backupDesc, liveDesc, downDesc, offsetDesc, databaseUp, connectionsDesc, waitsDesc, waitTimeDesc} {
		ch <- d
	}
}

// Collect implements prometheus.Collector.
func (c *collector) Collect(ch chan<- prometheus.Metric) {
	gauge := func(d *prometheus.Desc, value float64, labels ...string) {
		ch <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, value, labels...)
	}
	gauge(queueDesc, float64(c.Progress().Waiting))
	_, offset, _ := c.Pulse.state()
	gauge(offsetDesc, offset.Seconds())
	for pool, s := range c.Store.Pools() {
		gauge(connectionsDesc, float64(s.InUse), pool, "in use")
		gauge(connectionsDesc, float64(s.Idle), pool, "idle")
		ch <- prometheus.MustNewConstMetric(waitsDesc, prometheus.CounterValue, float64(s.WaitCount), pool)
		ch <- prometheus.MustNewConstMetric(waitTimeDesc, prometheus.CounterValue, s.WaitDuration.Seconds(), pool)
	}
	st, err := c.look()
	if err != nil {
		gauge(databaseUp, 0)
		return
	}
	gauge(databaseUp, 1)
	st.collect(gauge)
}

// look returns the State of at most some seconds ago.
func (c *collector) look() (State, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if now := c.Clock(); !c.at.IsZero() && now.Sub(c.at) < lookLife && !now.Before(c.at) {
		return c.last, c.err
	}
	ctx, cancel := context.WithTimeout(context.Background(), 3*time.Second)
	defer cancel()
	c.err = c.Store.View(ctx, func(tx *store.Tx) (err error) {
		c.last, err = c.Look(tx.Context(), tx)
		return err
	})
	if c.err != nil {
		c.Log.Error("look at the state of the service", "err", c.err)
	}
	c.at = c.Clock()
	return c.last, c.err
}

func (st State) collect(gauge func(d *prometheus.Desc, value float64, labels ...string)) {
	age := func(now, then time.Time) float64 {
		if then.IsZero() {
			return 0
		}
		return max(0, now.Sub(then).Seconds())
	}
	for state, n := range st.Outbox.Posts {
		gauge(postsDesc, float64(n), string(state))
	}
	gauge(dueDesc, age(st.At, st.Outbox.OldestDue))
	gauge(doubtDesc, age(st.At, st.Outbox.OldestUnknown))
	gauge(deadDesc, float64(st.Outbox.Dead))
	for _, j := range st.Jobs {
		gauge(overdueDesc, st.Overdue(j).Seconds(), j.Name)
		gauge(failingDesc, oneIf(Failing(j)), j.Name)
	}
	gauge(ledgerDesc, oneIf(Failed(st.Job(LedgerJob))))
	if st.Backup != nil {
		gauge(backupDesc, st.backupAge().Seconds())
	}
	alive := 0
	for _, r := range st.Replicas {
		if Alive(r, st.Beat) {
			alive++
		}
	}
	gauge(liveDesc, float64(alive), "live")
	gauge(liveDesc, float64(len(Lost(st.Replicas, st.Beat))), "lost")
	gauge(downDesc, Down(st.Outages, st.Beat.AddDate(0, 0, -30), st.Beat).Seconds())
}

func oneIf(b bool) float64 {
	if b {
		return 1
	}
	return 0
}
