package api

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"time"

	"qunbot/store"
	"qunbot/web/frame"
)

// A Problem is an error as the client sees it, RFC 9457.
type Problem struct {
	Status int
	Code   string // what programs tell problems by, such as "order-exists"; empty: the status says it all
	Title  string // in clear words; empty: the status's
	Detail string // what to do about it

	retryAfter time.Duration
	allow      string
}

// Error implements error.
func (p *Problem) Error() string {
	return fmt.Sprintf("api problem %d %s: %s", p.Status, p.Code, p.Detail)
}

// BadRequest is the problem of a request that is not as it must be.
func BadRequest(format string, args ...any) error {
	return &Problem{Status: http.StatusBadRequest, Detail: fmt.Sprintf(format, args...)}
}

// NotFound is the problem of something that is not there.
func NotFound(format string, args ...any) error {
	return &Problem{Status: http.StatusNotFound, Detail: fmt.Sprintf(format, args...)}
}

// Conflict is the problem of something that cannot be done as things stand.
func Conflict(code, format string, args ...any) error {
	return &Problem{Status: http.StatusConflict, Code: code, Detail: fmt.Sprintf(format, args...)}
}

// title says what a status means, for readers.
func title(status int) string {
	switch status {
	case http.StatusBadRequest:
		return "请求有误"
	case http.StatusUnauthorized:
		return "没有有效的密钥"
	case http.StatusNotFound:
		return "没有找到"
	case http.StatusMethodNotAllowed:
		return "不能用这个方法"
	case http.StatusConflict:
		return "与现状冲突"
	case http.StatusRequestEntityTooLarge:
		return "请求太大"
	case http.StatusUnprocessableEntity:
		return "无法处理"
	case http.StatusTooManyRequests:
		return "请求太频繁"
	case http.StatusServiceUnavailable:
		return "暂时不可用"
	case http.StatusInternalServerError:
		return "程序出错"
	}
	return http.StatusText(status)
}

// answerError sends err as a problem. What is no problem of the client's is
// logged as an error and shown by its id alone.
func (a *API) answerError(w http.ResponseWriter, r *http.Request, err error) {
	if p, ok := errors.AsType[*Problem](err); ok {
		a.refuse(w, r, p)
		return
	}
	switch {
	case errors.Is(err, store.ErrNotFound):
		a.refuse(w, r, &Problem{Status: http.StatusNotFound, Detail: "没有这个编号的记录。"})
		return
	case errors.Is(err, context.Canceled) && r.Context().Err() != nil: // the client left
		return
	}
	id := frame.ErrorID()
	a.Log.Error("api request", "id", id, "client", r.Context().Value(clientKey{}), "method", r.Method, "path", r.URL.Path, "err", err)
	p := &Problem{Status: http.StatusInternalServerError, Detail: "程序出了错，什么都没有改动。请把 instance 里的编号告诉管理员。"}
	if store.Transient(err) {
		p = &Problem{Status: http.StatusServiceUnavailable, retryAfter: 2 * time.Second, Detail: "数据库这会儿太忙或连不上，什么都没有改动。请稍后用同样的请求重试。"}
	}
	sendProblem(w, p, id)
}

// refuse sends a problem of the client's.
func (a *API) refuse(w http.ResponseWriter, r *http.Request, p *Problem) {
	id := frame.ErrorID()
	a.Log.Info("api request refused", "id", id, "client", r.Context().Value(clientKey{}), "method", r.Method, "path", r.URL.Path,
		"status", p.Status, "code", p.Code)
	sendProblem(w, p, id)
}

func sendProblem(w http.ResponseWriter, p *Problem, id string) {
	if p.retryAfter > 0 {
		frame.RetryAfter(w.Header(), p.retryAfter)
	}
	if p.allow != "" {
		w.Header().Set("Allow", p.allow)
	}
	shown := struct {
		Type     string `json:"type"`
		Title    string `json:"title"`
		Status   int    `json:"status"`
		Detail   string `json:"detail,omitempty"`
		Instance string `json:"instance"`
	}{"about:blank", p.Title, p.Status, p.Detail, "urn:qunbot:request:" + id}
	if p.Code != "" {
		shown.Type = "urn:qunbot:problem:" + p.Code
	}
	if shown.Title == "" {
		shown.Title = title(p.Status)
	}
	body, _ := json.Marshal(shown) // strings and a number
	send(w, p.Status, "application/problem+json", append(body, '\n'))
}
