package main

import (
	"fmt"
	"testing"
	"time"
)

// start is when the made-up records begin.
var start = time.Date(2026, 11, 22, 6, 0, 0, 0, time.UTC)

func at(seconds float64) time.Time { return start.Add(time.Duration(seconds * float64(time.Second))) }

// sound returns a record of two messages and three posts in which every
// promise is kept: an AtLeastOnce post arrives twice, and nobody knows of
// another whether it did.
func sound() record {
	return record{
		said: []said{
			{id: "m1", kind: checkIn, began: at(0), acked: at(1), shown: []string{"签到成功"}, effect: true},
			{id: "m2", kind: award, began: at(0), effect: true},
		},
		effects: map[string]int{"m1": 1, "m2": 1},
		pushed: []pushed{
			{text: "a", lane: "webhook/1", began: at(0), done: at(1)},
			{text: "b", lane: "webhook/1", atMostOnce: true, began: at(2), done: at(3)},
			{text: "c", lane: "webhook/1", atMostOnce: true, began: at(4), done: at(5)},
		},
		states: map[string]string{"a": "sent", "b": "sent", "c": "unknown"},
		calls: []call{
			{at: at(6), op: "webhook/send", to: "webhook/1", text: "a", accepted: true},
			{at: at(7), op: "webhook/send", to: "webhook/1", text: "a", accepted: true},
			{at: at(8), op: "webhook/send", to: "webhook/1", text: "b"},
			{at: at(9), op: "webhook/send", to: "webhook/1", text: "b", accepted: true},
		},
	}
}

func TestAuditOfASoundRecord(t *testing.T) {
	v := audit(sound())
	if wrong := v.wrong(); len(wrong) > 0 {
		t.Errorf("audit finds %q in a record that keeps every promise", wrong)
	}
	got := fmt.Sprint(v.acknowledged, v.unheard, v.applied, v.sent, v.doubled, v.unknown, v.perWebhook, v.perSecond)
	if want := "1 1 1 2 1 1 4 1"; got != want {
		t.Errorf("acknowledged, unheard, applied, sent, doubled, unknown, per webhook, per second = %s, want %s", got, want)
	}
}

// Each broken promise is found, and nothing else is.
func TestAuditFindsBrokenPromises(t *testing.T) {
	burst := func(r *record, n int, apart float64, to func(i int) string) {
		for i := range n {
			r.calls = append(r.calls, call{at: at(100 + float64(i)*apart), to: to(i), text: fmt.Sprint("burst ", i)})
		}
	}
	tests := []struct {
		name   string
		change func(r *record)
		want   string // how many of: lost, twice, doubled under AtMostOnce, out of order, over a limit
	}{
		{"an acknowledged message is lost", func(r *record) { delete(r.effects, "m1") }, "1 0 0 0 0"},
		{"one without an answer is not applied", func(r *record) { delete(r.effects, "m2") }, "0 0 0 0 0"},
		{"a message is applied twice", func(r *record) { r.effects["m1"] = 2 }, "0 1 0 0 0"},
		{"one without an answer is applied twice", func(r *record) { r.effects["m2"] = 2 }, "0 1 0 0 0"},
		{"a message is answered in two ways", func(r *record) { r.said[0].shown = []string{"签到成功", "已经签到过"} }, "0 1 0 0 0"},
		{"a post is not stored", func(r *record) { delete(r.states, "b") }, "1 0 0 0 0"},
		{"a post is still queued", func(r *record) { r.states["a"] = "queued" }, "1 0 0 0 0"},
		{"a post failed", func(r *record) { r.states["a"] = "failed" }, "1 0 0 0 0"},
		{"a post is called sent and did not arrive", func(r *record) { r.calls[3].accepted = false }, "1 0 0 0 0"},
		{"an AtMostOnce post arrives twice", func(r *record) { r.calls[2].accepted = true }, "0 0 1 0 0"},
		{"an unknown AtMostOnce post arrives twice", func(r *record) {
			c := call{at: at(20), to: "webhook/1", text: "c", accepted: true}
			r.calls = append(r.calls, c, c)
		}, "0 0 1 0 0"},
		{"posts change places", func(r *record) { r.calls[3].at = at(1); r.calls[2].at = at(1) }, "0 0 0 1 0"},
		{"a post is repeated after its successor", func(r *record) {
			r.calls = append(r.calls, call{at: at(10), to: "webhook/1", text: "a", accepted: true})
		}, "0 0 0 1 0"},
		{"posts pushed at the same time may change places", func(r *record) {
			r.pushed[1].began = at(0.5)
			r.calls[3].at = at(5)
		}, "0 0 0 0 0"},
		{"20 calls to a webhook in a minute", func(r *record) { burst(r, 20, 1, func(int) string { return "webhook/2" }) }, "0 0 0 0 0"},
		{"21 calls to a webhook in a minute", func(r *record) { burst(r, 21, 2.9, func(int) string { return "webhook/2" }) }, "0 0 0 0 1"},
		{"21 calls in a minute and a bit", func(r *record) { burst(r, 21, 3, func(int) string { return "webhook/2" }) }, "0 0 0 0 0"},
		{"31 calls for a member in a minute", func(r *record) { burst(r, 31, 1, func(int) string { return "app/li" }) }, "0 0 0 0 1"},
		{"300 calls in a second", func(r *record) { burst(r, 300, 0.001, func(i int) string { return fmt.Sprint("webhook/", 100+i) }) }, "0 0 0 0 0"},
		{"301 calls in a second", func(r *record) { burst(r, 301, 0.001, func(i int) string { return fmt.Sprint("webhook/", 100+i) }) }, "0 0 0 0 1"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			r := sound()
			tt.change(&r)
			v := audit(r)
			got := fmt.Sprint(len(v.lost), len(v.twice), len(v.doubledOnce), len(v.disorder), len(v.limit))
			if got != tt.want {
				t.Errorf("audit = %s, want %s: %q", got, tt.want, v.wrong())
			}
		})
	}
}
