package wecom

import (
	"bytes"
	"context"
	"crypto/md5"
	"encoding/base64"
	"encoding/hex"
	"mime/multipart"
	"net/http"
	"net/url"
	"strings"
	"time"
)

// Calls that send.
const (
	opMessageSend   = "message/send"
	opAppChatSend   = "appchat/send"
	opWebhookUpload = "webhook/upload_media"
)

// DuplicateWindow is how long the platform drops a message of the app that it
// got before, same words and same recipients. So within this time, a message
// to ToApp whose outcome is unknown can be sent again without arriving twice;
// and a message that is meant to come twice arrives once. An image is another
// one with each try.
//
// Source: https://developer.work.weixin.qq.com/document/path/90236
const DuplicateWindow = 30 * time.Minute

// Send sends m to d and returns the platform's id of the message, which only
// ToApp has. Nothing is sent if m does not fit d: that is an *APIError of
// ClassData. A response_url works once and for an hour: whoever sends to one
// must remember that before the call, not after it.
//
// It keeps no limits of messages a minute: that is for the caller, who knows
// what other replicas send. No error does not prove that a message of ToApp or
// ToAppChat arrived: the platform drops what is too much for a member without
// a word.
func (a *API) Send(ctx context.Context, d Destination, m Outgoing) (receipt string, err error) {
	op := map[DestinationKind]string{
		ToWebhook: opWebhookSend, ToApp: opMessageSend, ToAppChat: opAppChatSend, ToResponse: opResponse,
	}[d.Kind]
	if op == "" {
		return "", badData("send", "destination of kind %q", d.Kind)
	}
	if d.ID == "" {
		return "", badData(op, "no destination")
	}
	kind, err := m.kind(op, d.Kind)
	if err != nil {
		return "", err
	}
	switch d.Kind {
	case ToWebhook:
		return "", a.sendWebhook(ctx, d.ID, kind, m)
	case ToResponse:
		return "", a.sendResponse(ctx, d.ID, kind, m)
	case ToAppChat:
		return "", a.sendAppChat(ctx, d.ID, kind, m)
	}
	return a.sendApp(ctx, strings.Split(d.ID, "|"), kind, m)
}

// sendWebhook posts as a group robot: 20 messages a minute, no token.
//
// Source: https://developer.work.weixin.qq.com/document/path/91770
func (a *API) sendWebhook(ctx context.Context, key, kind string, m Outgoing) error {
	var body any
	switch kind {
	case TypeText:
		body = textBody{m.Text, m.Mentions}
	case TypeMarkdown:
		if m.MarkdownV2 {
			kind = "markdown_v2"
		}
		body = textBody{Content: m.Markdown}
	case typeNews:
		body = newsBody{m.News}
	case TypeImage:
		sum := md5.Sum(m.Image)
		body = AibotImage{Base64: base64.StdEncoding.EncodeToString(m.Image), MD5: hex.EncodeToString(sum[:])}
	case TypeCard:
		body = m.Card
	}
	message := map[string]any{"msgtype": kind, kind: body}
	return a.open.post(ctx, opWebhookSend, url.Values{"key": {key}}, message, nil)
}

// UploadToWebhook makes a file known to a group robot for 3 days and returns
// its media id, which only that robot can use. kind is TypeFile (20 MB) or
// TypeVoice (AMR; 2 MB, 60 s); both have more than 5 bytes.
//
// Source: https://developer.work.weixin.qq.com/document/path/91770
func (a *API) UploadToWebhook(ctx context.Context, key, kind, name string, data []byte) (mediaID string, err error) {
	if kind != TypeFile && kind != TypeVoice {
		return "", badData(opWebhookUpload, "media of kind %q", kind)
	}
	if err := checkMedia(opWebhookUpload, kind, len(data)); err != nil {
		return "", err
	}
	var body bytes.Buffer
	form := multipart.NewWriter(&body)
	part, err := form.CreateFormFile("media", name)
	if err != nil {
		return "", badData(opWebhookUpload, "%v", err)
	}
	part.Write(data) // a buffer takes everything
	form.Close()
	var answer struct {
		MediaID string `json:"media_id"`
	}
	address := a.open.address(opWebhookUpload, url.Values{"key": {key}, "type": {kind}})
	err = a.open.do(ctx, opWebhookUpload, http.MethodPost, address, form.FormDataContentType(), body.Bytes(), &answer)
	return answer.MediaID, err
}

// sendResponse answers by response_url.
//
// Source: https://developer.work.weixin.qq.com/document/path/101138
func (a *API) sendResponse(ctx context.Context, address, kind string, m Outgoing) error {
	u, err := url.Parse(address)
	if err != nil || u.Host == "" || u.Scheme != "https" && u.Scheme != "http" {
		return badData(opResponse, "the response_url is not an address")
	}
	reply := AibotReply{MsgType: kind, TemplateCard: m.Card}
	if kind != TypeCard {
		reply.MsgType = TypeMarkdown // there is no plain text
		reply.Markdown = &AibotMarkdown{Content: m.Text + m.Markdown}
	}
	return a.open.postTo(ctx, opResponse, address, reply, nil)
}

// sendAppChat sends into a chat that the app made.
//
// Source: https://developer.work.weixin.qq.com/document/path/90248
func (a *API) sendAppChat(ctx context.Context, chatID, kind string, m Outgoing) error {
	if a.app == nil {
		return errNoSecret(opAppChatSend)
	}
	body, err := a.appBody(ctx, kind, m)
	if err != nil {
		return err
	}
	message := map[string]any{"chatid": chatID, "msgtype": kind, kind: body}
	return a.app.post(ctx, opAppChatSend, nil, message, nil)
}

// sendApp sends to members, from the app.
//
// Source: https://developer.work.weixin.qq.com/document/path/90236
func (a *API) sendApp(ctx context.Context, to []string, kind string, m Outgoing) (msgID string, err error) {
	if a.app == nil {
		return "", errNoSecret(opMessageSend)
	}
	body, err := a.appBody(ctx, kind, m)
	if err != nil {
		return "", err
	}
	message, err := a.appMessage(to, kind, body)
	if err != nil {
		return "", err
	}
	var answer struct {
		MsgID          string `json:"msgid"`
		InvalidUser    string `json:"invaliduser"`
		UnlicensedUser string `json:"unlicenseduser"`
	}
	if err := a.app.post(ctx, opMessageSend, nil, message, &answer); err != nil {
		return "", err
	}
	if missed := answer.InvalidUser + answer.UnlicensedUser; missed != "" {
		a.cfg.Log.Warn("app message not for everybody", "msgid", answer.MsgID, "invalid", answer.InvalidUser, "unlicensed", answer.UnlicensedUser)
	}
	return answer.MsgID, nil
}

// appBody returns what stands under the name of kind in a message of the app,
// for which an image has to be uploaded.
func (a *API) appBody(ctx context.Context, kind string, m Outgoing) (any, error) {
	switch kind {
	case TypeText:
		return textBody{m.Text, m.Mentions}, nil
	case TypeMarkdown:
		return textBody{Content: m.Markdown}, nil
	case typeNews:
		return newsBody{m.News}, nil
	case TypeCard:
		return m.Card, nil
	}
	name := "image.png"
	if http.DetectContentType(m.Image) == "image/jpeg" {
		name = "image.jpg"
	}
	id, err := a.UploadMedia(ctx, TypeImage, name, m.Image)
	if e, ok := err.(*APIError); ok && e.Class() == ClassUnknown {
		return nil, &APIError{Op: e.Op, Msg: e.Msg, class: ClassRetry} // nobody has seen the image yet
	}
	return map[string]string{"media_id": id}, err
}

// appMessage returns the whole body of a message to members.
func (a *API) appMessage(to []string, kind string, body any) (map[string]any, error) {
	if len(to) == 0 || len(to) > MaxRecipients {
		return nil, badData(opMessageSend, "%d recipients, want 1 to %d", len(to), MaxRecipients)
	}
	for _, id := range to {
		if id == "" || strings.Contains(id, "|") {
			return nil, badData(opMessageSend, "recipient %q", id)
		}
	}
	return map[string]any{
		"touser": strings.Join(to, "|"), "agentid": a.cfg.AgentID, "msgtype": kind, kind: body,
		"enable_duplicate_check": 1, "duplicate_check_interval": int(DuplicateWindow / time.Second),
	}, nil
}

type textBody struct {
	Content  string   `json:"content"`
	Mentions []string `json:"mentioned_list,omitempty"`
}

type newsBody struct {
	Articles []Article `json:"articles"`
}
