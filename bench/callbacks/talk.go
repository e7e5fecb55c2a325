package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"time"

	"qunbot/bot/wecom"
	"qunbot/store/storetest"
)

const (
	botName  = "helper"
	botTitle = "小助手"
	chatID   = "wrkBENCH"
	botToken = "benchToken"
	botKey   = "abcdefghijklmnopqrstuvwxyz0123456789ABCDEFG"
)

// A talk is what the members say: 签到 yesterday and 签到 today.
type talk struct {
	cipher *wecom.Cipher
	days   []day
}

// A day is one 签到 of each member.
type day struct {
	name string
	sent time.Time
	said [][]byte // whole HTTP requests, by member
}

// newTalk encrypts what n members say.
func newTalk(n int, now time.Time) *talk {
	cipher, err := wecom.NewCipher(botToken, botKey, "")
	if err != nil {
		panic(err) // the key is a constant
	}
	local := now.In(zone())
	midnight := time.Date(local.Year(), local.Month(), local.Day(), 0, 0, 0, 0, zone())
	t := &talk{cipher: cipher, days: []day{
		{name: "new members", sent: midnight.Add(-time.Minute)}, // less than 24 h ago
		{name: "known members", sent: now},
	}}
	for d := range t.days {
		for member := range n {
			t.days[d].said = append(t.days[d].said, t.seal(d, member, now))
		}
	}
	return t
}

func userID(member int) string { return fmt.Sprintf("member%06d", member) }

func messageID(day, member int) string { return fmt.Sprintf("CAIQ%d-%d", day, member) }

// seal returns the request that tells what a member says on a day.
func (t *talk) seal(day, member int, now time.Time) []byte {
	plain, err := json.Marshal(map[string]any{
		"msgid": messageID(day, member), "create_time": t.days[day].sent.Unix(), "aibotid": "aibBENCH",
		"chatid": chatID, "chattype": "group", "from": map[string]string{"userid": userID(member)},
		"response_url": "https://qyapi.weixin.qq.com/cgi-bin/aibot/response?response_code=BENCH",
		"msgtype":      "text", "text": map[string]string{"content": "@" + botTitle + " 签到"},
	})
	if err != nil {
		panic(err) // strings and numbers
	}
	e := t.cipher.Seal(plain, now.Unix(), fmt.Sprint(1_000_000_000+2*member+day))
	body := wecom.Delivery{Encrypt: e.Encrypt}.JSON()
	return fmt.Appendf(nil, "POST /wecom/aibot/%s?%s HTTP/1.1\r\nHost: bench\r\nUser-Agent: Mozilla/4.0\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s",
		botName, e.Query().Encode(), len(body), body)
}

// post returns a worker that posts the day's callbacks to a service over one
// connection, and checks that each answer is the right one. It writes whole
// requests that were made before, because net/http's client would take as much
// of the machine as the service.
func (t *talk) post(address string, d int) (worker, error) {
	c, err := net.Dial("tcp", address)
	if err != nil {
		return worker{}, err
	}
	answers := bufio.NewReader(c)
	return worker{close: c.Close, say: func(member int) error {
		if err := c.SetDeadline(time.Now().Add(10 * time.Second)); err != nil {
			return err
		}
		if _, err := c.Write(t.days[d].said[member]); err != nil {
			return err
		}
		resp, err := http.ReadResponse(answers, nil)
		if err != nil {
			return err
		}
		body, err := io.ReadAll(resp.Body)
		switch {
		case err != nil:
			return err
		case resp.StatusCode == http.StatusServiceUnavailable:
			return errBusy
		case resp.StatusCode != http.StatusOK:
			return fmt.Errorf("HTTP %d", resp.StatusCode)
		}
		envelope, err := wecom.ParseEnvelope(body)
		if err != nil {
			return err
		}
		plain, err := t.cipher.OpenEnvelope(envelope)
		if err != nil {
			return err
		}
		return rightAnswer(string(plain), d)
	}}, nil
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
