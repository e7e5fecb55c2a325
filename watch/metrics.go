package watch

import (
	"log/slog"
	"net/http"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"qunbot/bot"
	"qunbot/store"
)

// Build says what is running.
type Build struct {
	Version, Revision, Go string
}

// Metrics counts what this process does. Its methods may be called by many
// goroutines, and take less than a microsecond.
//
// Labels never hold what members or groups are called by: their number is that
// of endpoints, jobs and kinds. A job is a "task", because Prometheus has a
// label "job" of its own.
type Metrics struct {
	registry *prometheus.Registry
	now      func() time.Time
	recent   recent

	callbacks    *prometheus.CounterVec   // endpoint, result
	answers      *prometheus.HistogramVec // endpoint
	batches      prometheus.Histogram
	batchTime    prometheus.Histogram
	messages     *prometheus.CounterVec // outcome
	hits         *prometheus.CounterVec // level
	sends        *prometheus.CounterVec // destination, result
	sendTime     *prometheus.HistogramVec
	tokens       *prometheus.CounterVec // app, result
	runs         *prometheus.CounterVec // task, result
	lateness     *prometheus.HistogramVec
	runTime      *prometheus.HistogramVec
	transactions *prometheus.HistogramVec // kind
	retries      *prometheus.CounterVec   // kind
	dbErrors     *prometheus.CounterVec   // kind
}

// answerBuckets are seconds around the promise of 200 ms; the platform hangs up
// after 5 s.
var answerBuckets = []float64{.005, .01, .02, .05, .1, .2, .5, 1, 2, 4, 5}

// NewMetrics returns metrics that begin at zero. now is the clock by which the
// last minutes are counted.
func NewMetrics(b Build, now func() time.Time) *Metrics {
	r := prometheus.NewRegistry()
	m := &Metrics{registry: r, now: now}
	counter := func(name, help string, labels ...string) *prometheus.CounterVec {
		c := prometheus.NewCounterVec(prometheus.CounterOpts{Name: "qunbot_" + name, Help: help}, labels)
		r.MustRegister(c)
		return c
	}
	histogram := func(name, help string, buckets []float64, labels ...string) *prometheus.HistogramVec {
		h := prometheus.NewHistogramVec(prometheus.HistogramOpts{Name: "qunbot_" + name, Help: help, Buckets: buckets}, labels)
		r.MustRegister(h)
		return h
	}
	one := func(h *prometheus.HistogramVec) prometheus.Histogram {
		return h.WithLabelValues().(prometheus.Histogram)
	}

	m.callbacks = counter("callbacks_total", "Deliveries of the platform, by what they were answered with.", "endpoint", "result")
	m.answers = histogram("answer_seconds", "How long answers with 200 took, from the whole request to the reply.", answerBuckets, "endpoint")
	m.batches = one(histogram("engine_batch_messages", "Messages that were committed in one transaction.", []float64{1, 2, 4, 8, 16, 32, 64}))
	m.batchTime = one(histogram("engine_batch_seconds", "How long a transaction of messages took.", []float64{.001, .002, .005, .01, .02, .05, .1, .2, .5, 1, 2, 5, 10}))
	m.messages = counter("messages_total", "Messages that were committed, by what became of them.", "outcome")
	m.hits = counter("moderation_hits_total", "Messages whose answer was moderation's, by level.", "level")
	m.sends = counter("outbox_sends_total", "Sends of the outbox, by kind of destination and how they went.", "destination", "result")
	m.sendTime = histogram("outbox_send_seconds", "How long a send took.", []float64{.02, .05, .1, .2, .5, 1, 2, 5, 10}, "destination")
	m.tokens = counter("token_refreshes_total", "Renewals of access tokens.", "app", "result")
	m.runs = counter("job_runs_total", "Attempts at jobs.", "task", "result")
	m.lateness = histogram("job_lateness_seconds", "How long after it was due an attempt at a job began.", []float64{1, 5, 10, 30, 60, 300, 1800, 7200}, "task")
	m.runTime = histogram("job_seconds", "How long an attempt at a job took.", []float64{.01, .1, 1, 10, 60, 600, 3600}, "task")
	m.transactions = histogram("database_transaction_seconds", "How long a transaction took, with all its tries.", []float64{.0005, .001, .002, .005, .01, .02, .05, .1, .2, .5, 1, 5, 10}, "kind")
	m.retries = counter("database_retries_total", "Tries after the first, because another transaction was in the way.", "kind")
	m.dbErrors = counter("database_errors_total", "Transactions that the storage failed.", "kind")

	build := prometheus.NewGauge(prometheus.GaugeOpts{
		Name: "qunbot_build_info", Help: "Which program this is; always 1.",
		ConstLabels: prometheus.Labels{"version": b.Version, "revision": b.Revision, "goversion": b.Go},
	})
	build.Set(1)
	r.MustRegister(build, collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	for _, kind := range []string{"read", "write"} { // so that rates begin at zero
		m.retries.WithLabelValues(kind)
		m.dbErrors.WithLabelValues(kind)
	}
	for _, app := range []string{"app", "contact"} {
		m.tokens.WithLabelValues(app, "ok")
		m.tokens.WithLabelValues(app, "error")
	}
	for _, level := range moderationLevels {
		m.hits.WithLabelValues(level)
	}
	return m
}

// Handler answers with all figures. What could not be collected is logged, and
// the rest is answered.
func (m *Metrics) Handler(log *slog.Logger) http.Handler {
	return promhttp.HandlerFor(m.registry, promhttp.HandlerOpts{
		ErrorLog: errorLog{log}, ErrorHandling: promhttp.ContinueOnError, MaxRequestsInFlight: 4,
	})
}

type errorLog struct{ *slog.Logger }

// Println implements promhttp.Logger.
func (l errorLog) Println(v ...any) { l.Error("metrics", "err", v) }

// Expect makes the figures of an endpoint begin at zero, with each of the
// results, so that their rates are known from the first callback on.
func (m *Metrics) Expect(endpoint string, results []string) {
	for _, r := range results {
		m.callbacks.WithLabelValues(endpoint, r)
	}
	m.answers.WithLabelValues(endpoint)
}

// Answered counts a delivery: see wecom.Config.
func (m *Metrics) Answered(endpoint, result string, took time.Duration) {
	m.callbacks.WithLabelValues(endpoint, result).Inc()
	switch result {
	case "answered", "silent":
		m.answers.WithLabelValues(endpoint).Observe(took.Seconds())
		m.recent.answered(m.now(), took)
	case "busy", "late", "failed":
		m.recent.turnedAway(m.now())
	}
}

// Observer counts what engine and outbox do.
func (m *Metrics) Observer() bot.Observer { return bot.Observer{Batch: m.batch, Sent: m.sent} }

func (m *Metrics) batch(answers []bot.Answer, took time.Duration) {
	m.batches.Observe(float64(len(answers)))
	m.batchTime.Observe(took.Seconds())
	for i := range answers {
		a := &answers[i]
		if a.Replayed {
			m.messages.WithLabelValues("replayed").Inc()
			continue
		}
		m.messages.WithLabelValues(string(a.Outcome)).Inc()
		if level, ok := strings.CutPrefix(a.Rule, "moderation "); ok {
			m.hits.WithLabelValues(knownLevel(level)).Inc()
		}
	}
}

// moderationLevels are the labels of hits.
var moderationLevels = []string{"remind", "warn", "block", "other"}

// knownLevel returns the label of a level, as the decision log calls it.
func knownLevel(word string) string {
	switch word {
	case "提醒":
		return "remind"
	case "警告":
		return "warn"
	case "拦截":
		return "block"
	}
	return "other"
}

func (m *Metrics) sent(kind, result string, took time.Duration) {
	m.sends.WithLabelValues(kind, result).Inc()
	m.sendTime.WithLabelValues(kind).Observe(took.Seconds())
}

// Renewed counts a renewal of an access token: see wecom.APIConfig.
func (m *Metrics) Renewed(app string, err error) { m.tokens.WithLabelValues(app, resultOf(err)).Inc() }

// Ran counts an attempt at a job: see scheduler.Config.
func (m *Metrics) Ran(job string, late, took time.Duration, err error) {
	m.runs.WithLabelValues(job, resultOf(err)).Inc()
	m.lateness.WithLabelValues(job).Observe(max(0, late.Seconds()))
	m.runTime.WithLabelValues(job).Observe(took.Seconds())
}

// Transaction counts a transaction: see store.Store.Observe.
func (m *Metrics) Transaction(t store.Transaction) {
	kind := "read"
	if t.Write {
		kind = "write"
	}
	m.transactions.WithLabelValues(kind).Observe(t.Took.Seconds())
	if t.Tries > 1 {
		m.retries.WithLabelValues(kind).Add(float64(t.Tries - 1))
	}
	if store.Broken(t.Err) {
		m.dbErrors.WithLabelValues(kind).Inc()
		m.recent.dbError(m.now())
	}
}

func resultOf(err error) string {
	if err != nil {
		return "error"
	}
	return "ok"
}

// Lately returns what this process did in the last five minutes.
func (m *Metrics) Lately() Figure {
	now := m.now()
	return m.recent.since(now.Add(-window), now)
}

// LastMinute returns how many callbacks this process answered in the last
// minute.
func (m *Metrics) LastMinute() int64 {
	now := m.now()
	return m.recent.since(now.Add(-time.Minute), now).Answers
}

// Minutes returns how many callbacks this process answered in each of the last
// n minutes, at most 59; the current one is the last.
func (m *Metrics) Minutes(n int) []int64 { return m.recent.minutes(m.now(), n) }
