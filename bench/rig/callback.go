package rig

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"strconv"
	"time"

	"qunbot/bot/wecom"
)

// The bot of the benches' settings.
const (
	BotName  = "helper"
	BotTitle = "小助手"
	BotToken = "benchToken"
	BotKey   = "abcdefghijklmnopqrstuvwxyz0123456789ABCDEFG"
)

// A Saying is what a member says to the bot in a group.
type Saying struct {
	ID   string // msgid
	Who  string // userid
	Chat string // chatid
	Text string // after the bot's name
	Sent time.Time
}

// Callbacks makes callbacks and reads what they are answered with.
type Callbacks struct{ cipher *wecom.Cipher }

// NewCallbacks returns the callbacks of the benches' bot.
func NewCallbacks() Callbacks {
	cipher, err := wecom.NewCipher(BotToken, BotKey, "")
	if err != nil {
		panic(err) // the key is a constant
	}
	return Callbacks{cipher}
}

// Seal returns the path and the body of a delivery of s that is signed at now.
func (c Callbacks) Seal(s Saying, now time.Time) (path string, body []byte) {
	plain, err := json.Marshal(map[string]any{
		"msgid": s.ID, "create_time": s.Sent.Unix(), "aibotid": "aibBENCH",
		"chatid": s.Chat, "chattype": "group", "from": map[string]string{"userid": s.Who},
		"response_url": "https://qyapi.weixin.qq.com/cgi-bin/aibot/response?response_code=BENCH",
		"msgtype":      "text", "text": map[string]string{"content": "@" + BotTitle + " " + s.Text},
	})
	if err != nil {
		panic(err) // strings and numbers
	}
	e := c.cipher.Seal(plain, now.Unix(), strconv.FormatInt(1_000_000_000+rand.Int64N(9_000_000_000), 10))
	return "/wecom/aibot/" + BotName + "?" + e.Query().Encode(), wecom.Delivery{Encrypt: e.Encrypt}.JSON()
}

// Request returns Seal's delivery as a whole HTTP request.
func (c Callbacks) Request(s Saying, now time.Time) []byte {
	path, body := c.Seal(s, now)
	return fmt.Appendf(nil, "POST %s HTTP/1.1\r\nHost: bench\r\nUser-Agent: Mozilla/4.0\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s",
		path, len(body), body)
}

// Open returns the decrypted answer to a delivery, as it is and what it shows.
func (c Callbacks) Open(body []byte) (plain, text string, err error) {
	envelope, err := wecom.ParseEnvelope(body)
	if err != nil {
		return "", "", err
	}
	opened, err := c.cipher.OpenEnvelope(envelope)
	if err != nil {
		return "", "", err
	}
	var answer struct{ Stream struct{ Content string } }
	if err := json.Unmarshal(opened, &answer); err != nil {
		return "", "", fmt.Errorf("answer %q: %w", opened, err)
	}
	return string(opened), answer.Stream.Content, nil
}
