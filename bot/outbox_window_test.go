package bot

import (
	"fmt"
	"testing"
	"time"

	"pgregory.net/rapid"

	"qunbot/store"
)

// Whatever the speed of the platform, whoever crashes and however often the log
// is written and read: no window is ever exceeded.
func TestWindowsAreNeverExceeded(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		kinds := []window{{20, time.Minute}, {5, 10 * time.Second}}
		windows := [][]window{kinds[:1], kinds, {{30, time.Minute}, {40, time.Hour}}}[rapid.IntRange(0, 2).Draw(t, "windows")]
		now := time.UnixMilli(1795248000000)
		var log sendLog
		var arrived []time.Time
		for range rapid.IntRange(1, 150).Draw(t, "sends") {
			now = now.Add(time.Duration(rapid.Int64Range(0, 3e9).Draw(t, "pause")))
			free := log.freeAt(windows, now)
			if latest := now.Add(windows[len(windows)-1].per + time.Minute + sendTimeout + slack); free.After(latest) {
				t.Fatalf("free at %v, want at most a window later: %v", free, latest)
			}
			now = free
			log = log.book(windows, 1, now, now.Add(sendTimeout))
			took := time.Duration(rapid.Int64Range(0, int64(sendTimeout)).Draw(t, "took"))
			arrived = append(arrived, now.Add(time.Duration(rapid.Int64Range(0, int64(took)).Draw(t, "arrives"))))
			if rapid.IntRange(0, 9).Draw(t, "crash") == 0 {
				now = now.Add(leaseTime)
			} else {
				now = now.Add(took)
				log = log.ended(now)
			}
			read, err := parseSendLog(log.String())
			if err != nil || read.String() != log.String() {
				t.Fatalf("parseSendLog(%q) = %v, %v", log, read, err)
			}
			log = read
			if len(log) > windows[0].most+62 {
				t.Fatalf("the log has %d bookings", len(log))
			}
		}
		for _, w := range windows {
			for i := w.most; i < len(arrived); i++ {
				if d := arrived[i].Sub(arrived[i-w.most]); d < w.per {
					t.Fatalf("%d arrived within %v, want at most %d in %v", w.most+1, d, w.most, w.per)
				}
			}
		}
	})
}

func TestParseSendLogRefusesOthers(t *testing.T) {
	for _, text := range []string{"x", "1*", "1 *2", "1*x"} {
		if l, err := parseSendLog(text); err == nil {
			t.Errorf("parseSendLog(%q) = %v, want an error", text, l)
		}
	}
}

func TestJudge(t *testing.T) {
	noon := time.Date(2026, 11, 21, 4, 0, 0, 0, time.UTC)
	ago := func(d time.Duration) *time.Time { t := noon.Add(-d); return &t }
	tests := []struct {
		name string
		post store.Post
		lane store.Lane
		err  error
		want string // state, failures, doubts, wait
	}{
		{"sent", store.Post{Failures: 2}, store.Lane{Waits: 1}, nil, "sent 2 0 0s"},
		{"first trouble", store.Post{}, store.Lane{}, sendError{outcome: Passing}, "queued 1 0 5s"},
		{"fourth trouble", store.Post{Failures: 3}, store.Lane{}, sendError{outcome: Passing}, "queued 4 0 40s"},
		{"hundredth trouble", store.Post{Failures: 99}, store.Lane{}, sendError{outcome: Passing}, "queued 100 0 5m0s"},
		{"trouble for a day", store.Post{Failures: 99, WaitingSince: ago(24 * time.Hour)}, store.Lane{}, sendError{outcome: Passing}, "failed 100 0 5m0s"},
		{"an old post's first trouble", store.Post{WaitingSince: ago(48 * time.Hour)}, store.Lane{}, sendError{outcome: Passing}, "queued 1 0 5s"},
		{"settings", store.Post{Failures: 1}, store.Lane{}, sendError{outcome: Misconfigured}, "queued 2 0 2m0s"},
		{"limit", store.Post{}, store.Lane{}, sendError{Limited, noon.Add(30 * time.Second)}, "queued 1 0 30s"},
		{"limit without a time", store.Post{}, store.Lane{}, sendError{outcome: Limited}, "queued 1 0 1m0s"},
		{"limit that is over", store.Post{}, store.Lane{}, sendError{Limited, noon.Add(-time.Second)}, "queued 1 0 0s"},
		{"limit again, app", store.Post{Lane: "app/x"}, store.Lane{Waits: 1}, sendError{Limited, noon.Add(time.Minute)}, "queued 1 0 1h0m0s"},
		{"gone", store.Post{}, store.Lane{}, sendError{outcome: Gone}, "failed 0 0 0s"},
		{"refused", store.Post{}, store.Lane{}, sendError{outcome: Refused}, "failed 0 0 0s"},
		{"doubt, may arrive twice", store.Post{Delivery: AtLeastOnce}, store.Lane{}, errCrashed, "queued 0 1 5s"},
		{"doubt, too often", store.Post{Delivery: AtLeastOnce, Doubts: 2}, store.Lane{}, errCrashed, "unknown 0 3 0s"},
		{"doubt, never twice", store.Post{Delivery: AtMostOnce}, store.Lane{}, sendError{outcome: Doubtful}, "unknown 0 1 0s"},
		{"wrapped", store.Post{}, store.Lane{}, fmt.Errorf("send: %w", sendError{outcome: Refused}), "failed 0 0 0s"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s := &sending{post: tt.post, lane: tt.lane, err: tt.err, ended: noon}
			s.judge()
			got := fmt.Sprint(s.post.State, " ", s.post.Failures, s.post.Doubts, " ", s.lane.WaitUntil.Sub(noon))
			if got != tt.want {
				t.Errorf("judge = %s, want %s", got, tt.want)
			}
			if over := s.post.State != store.PostQueued; over != (s.post.EndedAt != nil) {
				t.Errorf("state %s, ended at %v", s.post.State, s.post.EndedAt)
			}
		})
	}
}
