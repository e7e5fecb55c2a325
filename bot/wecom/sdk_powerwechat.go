package wecom

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/ArtisanCloud/PowerLibs/v3/logger/contract"
	"github.com/ArtisanCloud/PowerLibs/v3/object"
	"github.com/ArtisanCloud/PowerWeChat/v3/src/kernel/power"
	"github.com/ArtisanCloud/PowerWeChat/v3/src/kernel/response"
	"github.com/ArtisanCloud/PowerWeChat/v3/src/work"
	grouprequest "github.com/ArtisanCloud/PowerWeChat/v3/src/work/externalContact/messageTemplate/request"
	chatrequest "github.com/ArtisanCloud/PowerWeChat/v3/src/work/message/appChat/request"
)

// How the faults of ArtisanCloud/PowerWeChat v3.4.38 are kept away:
//
//	errcode ≠ 0 gives no error              transport makes it one
//	many gettoken at once, and one that     it has no secret; GetCustomToken gives a placeholder, and
//	never ends; token in the home folder    the cache keeps nothing
//	data races inside one sub-client        one call at a time in each (turn)
//	panics (agent id of another type, …)    guarded recovers
//	./wechat/info.log                       Log.Driver goes to slog
//	proxy without TLS checks                Http.ProxyURI is never set
//	5 s for everything                      transport limits the time; the SDK's own limit is far away
//	empty fields of appchat/update sent     a body of our own
//
// Its server, its group robot and its decryptor are not used: they accept
// forged callbacks, leak the token, and panic.

// powerWeChat is the SDK with the token of one secret.
type powerWeChat struct {
	sdk                     *work.Work
	appChat, message, group turn
}

// A turn lets one call at a time through.
type turn chan struct{}

func (t turn) do(ctx context.Context, op string, call func() error) error {
	select {
	case t <- struct{}{}:
		defer func() { <-t }()
		return guarded(op, call)
	case <-ctx.Done():
		return &APIError{Op: op, Msg: ctx.Err().Error(), class: ClassRetry}
	}
}

func newPowerWeChat(corpID string, agentID int, calls *transport, log *slog.Logger) (p *powerWeChat, err error) {
	err = guarded("PowerWeChat", func() error {
		sdk, err := work.NewWork(&work.UserConfig{
			CorpID:  corpID,
			AgentID: agentID,
			Secret:  "not known to the SDK",
			Http:    work.Http{Transport: calls, Timeout: time.Hour.Seconds()},
			Log:     work.Log{Driver: sdkLog{log}},
			Cache:   noCache{},
			OAuth:   work.OAuth{Callback: "https://not-used.invalid/"}, // it wants one, and we have our own
		})
		if err != nil {
			return err
		}
		sdk.AccessToken.GetCustomToken = func(string, bool) object.HashMap {
			return object.HashMap{"access_token": tokenPlaceholder, "expires_in": float64(7200)} // not a float64: panic
		}
		p = &powerWeChat{sdk, make(turn, 1), make(turn, 1), make(turn, 1)}
		return nil
	})
	return p, err
}

// An AppChat is a group chat that the app made (应用群聊). Only members of the
// corp can be in it, and nobody sees it before the first message.
type AppChat struct {
	ID    string   // at most 32 of 0-9a-zA-Z; empty when made: the platform gives one
	Name  string   // at most 50 characters
	Owner string   // userid; empty when made: anyone of Users
	Users []string // userids, 2 to 2,000
}

// CreateAppChat makes a chat and returns its id. A corp may make 1,000 a day.
//
// Source: https://developer.work.weixin.qq.com/document/path/90245
func (a *API) CreateAppChat(ctx context.Context, c AppChat) (id string, err error) {
	if a.appSDK == nil {
		return "", errNoSecret(opAppChatCreate)
	}
	err = a.appSDK.appChat.do(ctx, opAppChatCreate, func() error {
		answer, err := a.appSDK.sdk.MessageAppChat.Create(ctx, &chatrequest.RequestAppChatCreate{
			Name: c.Name, Owner: c.Owner, UserList: c.Users, ChatID: c.ID,
		})
		if err == nil {
			id = answer.ChatID
		}
		return err
	})
	return id, err
}

// An AppChatUpdate says what changes in a chat; empty fields stay.
type AppChatUpdate struct {
	ID     string   `json:"chatid"`
	Name   string   `json:"name,omitempty"`
	Owner  string   `json:"owner,omitempty"` // userid
	Add    []string `json:"add_user_list,omitempty"`
	Remove []string `json:"del_user_list,omitempty"`
}

// UpdateAppChat changes a chat. A corp may do so 1,000 times an hour.
//
// Source: https://developer.work.weixin.qq.com/document/path/98913
func (a *API) UpdateAppChat(ctx context.Context, u AppChatUpdate) error {
	if a.appSDK == nil {
		return errNoSecret(opAppChatUpdate)
	}
	return a.appSDK.appChat.do(ctx, opAppChatUpdate, func() error {
		var answer response.ResponseWork
		_, err := a.appSDK.sdk.MessageAppChat.BaseClient.HttpPostJson(ctx, "cgi-bin/appchat/update", u, nil, nil, &answer)
		return err
	})
}

// AppChat returns a chat that this app made.
//
// Source: https://developer.work.weixin.qq.com/document/path/98914
func (a *API) AppChat(ctx context.Context, id string) (c AppChat, err error) {
	const op = "appchat/get"
	if a.appSDK == nil {
		return c, errNoSecret(op)
	}
	err = a.appSDK.appChat.do(ctx, op, func() error {
		answer, err := a.appSDK.sdk.MessageAppChat.Get(ctx, id)
		if err != nil {
			return err
		}
		if answer.ChatInfo == nil {
			return &APIError{Op: op, Msg: "the answer has no chat_info", class: ClassRetry}
		}
		info := *answer.ChatInfo
		c.ID, _ = info["chatid"].(string)
		c.Name, _ = info["name"].(string)
		c.Owner, _ = info["owner"].(string)
		users, _ := info["userlist"].([]any)
		for _, u := range users {
			if id, ok := u.(string); ok {
				c.Users = append(c.Users, id)
			}
		}
		return nil
	})
	return c, err
}

// A CardUpdate replaces a card that was sent by the app, or greys its buttons.
type CardUpdate struct {
	ResponseCode string        // of the card: 72 h, once; a secret
	UserIDs      []string      // whose card is updated; empty: everybody's
	Card         *TemplateCard // instead of the old one; or
	ReplaceName  string        // what stands on the button that was pressed
}

// UpdateCard updates a card.
//
// Source: https://developer.work.weixin.qq.com/document/path/94888
func (a *API) UpdateCard(ctx context.Context, u CardUpdate) error {
	const op = "message/update_template_card"
	if a.appSDK == nil {
		return errNoSecret(op)
	}
	body := power.HashMap{"agentid": int(a.cfg.AgentID), "response_code": u.ResponseCode} // not an int: panic
	if len(u.UserIDs) > 0 {
		body["userids"] = u.UserIDs
	} else {
		body["atall"] = 1
	}
	if u.Card != nil {
		body["template_card"] = u.Card
	} else {
		body["button"] = map[string]string{"replace_name": u.ReplaceName}
	}
	return a.appSDK.message.do(ctx, op, func() error {
		_, err := a.appSDK.sdk.Message.UpdateTemplateCard(ctx, &body)
		return err
	})
}

// Recall takes a message of the app back, within 24 h. What WeChat shows of it
// stays.
//
// Source: https://developer.work.weixin.qq.com/document/path/94867
func (a *API) Recall(ctx context.Context, msgID string) error {
	const op = "message/recall"
	if a.appSDK == nil {
		return errNoSecret(op)
	}
	return a.appSDK.message.do(ctx, op, func() error {
		_, err := a.appSDK.sdk.Message.Recall(ctx, msgID)
		return err
	})
}

// An AppMessage is a message of the app of a kind that Outgoing does not have,
// such as textcard, file or miniprogram_notice.
type AppMessage struct {
	To   []string // userids, at most 1,000; "@all" is everybody who sees the app
	Type string   // msgtype
	Body any      // what stands under that name
}

// SendAppMessage sends m and returns the message id, by which it can be
// recalled. An errcode of 0 does not prove that it arrived.
//
// Source: https://developer.work.weixin.qq.com/document/path/90236
func (a *API) SendAppMessage(ctx context.Context, m AppMessage) (msgID string, err error) {
	if a.appSDK == nil {
		return "", errNoSecret(opMessageSend)
	}
	body, err := a.appMessage(m.To, m.Type, m.Body)
	if err != nil {
		return "", err
	}
	err = a.appSDK.message.do(ctx, opMessageSend, func() error {
		answer, err := a.appSDK.sdk.Message.Send(ctx, body)
		if err == nil {
			msgID = answer.MsgID
		}
		return err
	})
	return msgID, err
}

// A GroupMessage is a message to customer groups (企业群发). Nothing is sent
// before its sender has confirmed it in the client.
type GroupMessage struct {
	Sender  string   // userid, owner of the groups
	ChatIDs []string // of customer groups, at most 2,000; empty: the sender chooses
	Text    string   // at most MaxGroupMessageBytes
	Links   []GroupLink
	Images  []string // media ids
}

// A GroupLink is a link under a group message.
type GroupLink struct {
	Title  string // at most 128 bytes
	Desc   string // at most 512 bytes
	URL    string // at most 2,048 bytes
	PicURL string // at most 2,048 bytes
}

const (
	// MaxGroupMessageBytes limits the text of a GroupMessage, in UTF-8 bytes.
	// Source: https://developer.work.weixin.qq.com/document/path/92135
	MaxGroupMessageBytes = 4000

	// MaxGroupAttachments limits the links and images of a GroupMessage.
	// Source: https://developer.work.weixin.qq.com/document/path/92135
	MaxGroupAttachments = 9
)

// AddGroupMessage asks m.Sender to send m. It returns the id of the task and
// the groups that will not get it.
//
// Source: https://developer.work.weixin.qq.com/document/path/92135
func (a *API) AddGroupMessage(ctx context.Context, m GroupMessage) (msgID string, failed []string, err error) {
	const op = "externalcontact/add_msg_template"
	if a.groupSDK == nil {
		return "", nil, errNoSecret(op)
	}
	if err := m.check(op); err != nil {
		return "", nil, err
	}
	body := grouprequest.RequestAddMsgTemplate{ChatType: "group", Sender: m.Sender, ChatIdList: m.ChatIDs}
	if m.Text != "" {
		body.Text = &grouprequest.TextOfMessage{Content: m.Text}
	}
	for _, id := range m.Images {
		body.Attachments = append(body.Attachments, &grouprequest.Attachment{MsgType: TypeImage, Image: &grouprequest.Image{MediaID: id}})
	}
	for _, l := range m.Links {
		body.Attachments = append(body.Attachments, &grouprequest.Attachment{
			MsgType: "link", Link: &grouprequest.Link{Title: l.Title, Desc: l.Desc, URL: l.URL, PicURL: l.PicURL},
		})
	}
	err = a.groupSDK.group.do(ctx, op, func() error {
		answer, err := a.groupSDK.sdk.ExternalContactMessageTemplate.AddMsgTemplate(ctx, &body)
		if err == nil {
			msgID, failed = answer.MsgID, answer.FailList
		}
		return err
	})
	return msgID, failed, err
}

func (m GroupMessage) check(op string) error {
	switch {
	case m.Sender == "":
		return badData(op, "no sender")
	case m.Text == "" && len(m.Links)+len(m.Images) == 0:
		return badData(op, "neither text nor attachment")
	case len(m.Links)+len(m.Images) > MaxGroupAttachments:
		return badData(op, "%d attachments, at most %d", len(m.Links)+len(m.Images), MaxGroupAttachments)
	case len(m.ChatIDs) > 2000:
		return badData(op, "%d groups, at most 2000", len(m.ChatIDs))
	}
	errs := []error{checkBytes(op, "text", m.Text, MaxGroupMessageBytes)}
	for _, l := range m.Links {
		errs = append(errs, checkBytes(op, "link title", l.Title, 128), checkBytes(op, "link desc", l.Desc, 512),
			checkBytes(op, "link url", l.URL, 2048), checkBytes(op, "link picurl", l.PicURL, 2048))
	}
	return firstError(errs...)
}

// noCache is a cache that keeps nothing: the SDK's own is shared by the whole
// process and makes a file in the home folder.
type noCache struct{}

var errNoCache = errors.New("wecom: the SDK has no cache")

func (noCache) Get(string, any) (any, error)          { return nil, errNoCache }
func (noCache) Set(string, any, time.Duration) error  { return nil }
func (noCache) Has(string) bool                       { return false }
func (noCache) AddNX(string, any, time.Duration) bool { return false }
func (noCache) Add(string, any, time.Duration) error  { return nil }
func (noCache) Remember(_ string, _ time.Duration, make func() (any, error)) (any, error) {
	return make()
}

// sdkLog is the SDK's way to our log. Nothing in it ends the program.
type sdkLog struct{ log *slog.Logger }

func (l sdkLog) write(level slog.Level, msg string, args ...any) {
	l.log.Log(context.Background(), level, "PowerWeChat", "said", redact(fmt.Sprint(append([]any{msg}, args...)...)))
}

func (l sdkLog) Debug(msg string, v ...any) { l.write(slog.LevelDebug, msg, v...) }
func (l sdkLog) Info(msg string, v ...any)  { l.write(slog.LevelDebug, msg, v...) }
func (l sdkLog) Warn(msg string, v ...any)  { l.write(slog.LevelWarn, msg, v...) }
func (l sdkLog) Error(msg string, v ...any) { l.write(slog.LevelError, msg, v...) }
func (l sdkLog) Panic(msg string, v ...any) { l.write(slog.LevelError, msg, v...) }
func (l sdkLog) Fatal(msg string, v ...any) { l.write(slog.LevelError, msg, v...) }

func (l sdkLog) DebugF(format string, v ...any) { l.Debug(fmt.Sprintf(format, v...)) }
func (l sdkLog) InfoF(format string, v ...any)  { l.Info(fmt.Sprintf(format, v...)) }
func (l sdkLog) WarnF(format string, v ...any)  { l.Warn(fmt.Sprintf(format, v...)) }
func (l sdkLog) ErrorF(format string, v ...any) { l.Error(fmt.Sprintf(format, v...)) }
func (l sdkLog) PanicF(format string, v ...any) { l.Panic(fmt.Sprintf(format, v...)) }
func (l sdkLog) FatalF(format string, v ...any) { l.Fatal(fmt.Sprintf(format, v...)) }

// WithContext implements contract.LoggerInterface.
func (l sdkLog) WithContext(context.Context) contract.LoggerInterface { return l }
