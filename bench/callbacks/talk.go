package main

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"time"

	"qunbot/bench/rig"
	"qunbot/store/storetest"
)

// A talk is what the members say: 签到 yesterday and 签到 today.
type talk struct {
	callbacks rig.Callbacks
	days      []day
}

// A day is one 签到 of each member.
type day struct {
	name string
	sent time.Time
	said [][]byte // whole HTTP requests, by member
}

// newTalk encrypts what n members say.
func newTalk(n int, now time.Time) *talk {
	local := now.In(zone())
	midnight := time.Date(local.Year(), local.Month(), local.Day(), 0, 0, 0, 0, zone())
	t := &talk{callbacks: rig.NewCallbacks(), days: []day{
		{name: "new members", sent: midnight.Add(-time.Minute)}, // less than 24 h ago
		{name: "known members", sent: now},
	}}
	for d := range t.days {
		for member := range n {
			t.days[d].said = append(t.days[d].said, t.callbacks.Request(rig.Saying{
				ID: messageID(d, member), Who: userID(member), Chat: chatID(0), Text: "签到", Sent: t.days[d].sent,
			}, now))
		}
	}
	return t
}

func chatID(group int) string { return fmt.Sprintf("wrkBENCH%04d", group) }

func userID(member int) string { return fmt.Sprintf("member%06d", member) }

func messageID(day, member int) string { return fmt.Sprintf("CAIQ%d-%d", day, member) }

// post returns a worker that posts the day's callbacks to a service over one
// connection, and checks that each answer is the right one. It writes whole
// requests that were made before, because net/http's client would take as much
// of the machine as the service.
func (t *talk) post(address string, d int) (worker, error) {
	c, err := dial(address, t.callbacks)
	if err != nil {
		return worker{}, err
	}
	return worker{close: c.Close, say: func(member int) error {
		text, err := c.ask(t.days[d].said[member])
		if err != nil {
			return err
		}
		return rightAnswer(text, d)
	}}, nil
}

// A line is a connection to the service.
type line struct {
	net.Conn
	answers   *bufio.Reader
	callbacks rig.Callbacks
}

func dial(address string, callbacks rig.Callbacks) (*line, error) {
	c, err := net.Dial("tcp", address)
	if err != nil {
		return nil, err
	}
	return &line{c, bufio.NewReader(c), callbacks}, nil
}

// ask sends a whole request and returns what the chat shows. It returns errBusy
// if the service refuses with 503.
func (l *line) ask(request []byte) (string, error) {
	if err := l.SetDeadline(time.Now().Add(10 * time.Second)); err != nil {
		return "", err
	}
	if _, err := l.Write(request); err != nil {
		return "", err
	}
	resp, err := http.ReadResponse(l.answers, nil)
	if err != nil {
		return "", err
	}
	body, err := io.ReadAll(resp.Body)
	switch {
	case err != nil:
		return "", err
	case resp.StatusCode == http.StatusServiceUnavailable:
		return "", errBusy
	case resp.StatusCode != http.StatusOK:
		return "", fmt.Errorf("HTTP %d", resp.StatusCode)
	}
	_, text, err := l.callbacks.Open(body)
	return text, err
}

// rightAnswer returns an error if text does not say what a check-in earns.
func rightAnswer(text string, d int) error {
	want := []string{"连续 1 天，积分 +5，现有 5 分", "连续 2 天，积分 +10，现有 15 分"}[d]
	if !strings.Contains(text, want) {
		return fmt.Errorf("answered %q, want %s", text, want)
	}
	return nil
}

func zone() *time.Location { return storetest.Zone() }
