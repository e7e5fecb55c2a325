package wecom

import (
	"strings"
	"testing"
	"time"
)

func TestClassOfCodes(t *testing.T) {
	tests := []struct {
		code int
		op   string
		want Class
	}{
		{-1, opMessageSend, ClassRetry},
		{40001, opGetToken, ClassConfig}, // wrong secret
		{40001, opMessageSend, ClassToken},
		{40014, opMessageSend, ClassToken},
		{42001, opMessageSend, ClassToken},
		{40013, opGetToken, ClassConfig},
		{48002, opMessageSend, ClassConfig},
		{60020, opMessageSend, ClassConfig},
		{45009, opWebhookSend, ClassWait},
		{45033, opMessageSend, ClassWait},
		{93000, opWebhookSend, ClassDead},
		{93004, opWebhookSend, ClassDead},
		{93006, opWebhookSend, ClassDead},
		{93008, opWebhookSend, ClassDead},
		{86003, opAppChatSend, ClassDead},
		{81013, opMessageSend, ClassData},
		{999999, opMessageSend, ClassData},
	}
	for _, tt := range tests {
		e := &APIError{Code: tt.code, Op: tt.op}
		if got := e.Class(); got != tt.want {
			t.Errorf("class of %d from %s = %v, want %v", tt.code, tt.op, got, tt.want)
		}
		if hint := e.Hint(); hint == "" {
			t.Errorf("no hint for %d", tt.code)
		}
	}
}

func TestRetryAt(t *testing.T) {
	now := time.Date(2026, 11, 21, 23, 30, 0, 0, platformZone)
	tests := []struct {
		code int
		op   string
		want time.Duration
	}{
		{45009, opWebhookSend, time.Minute},
		{45009, opMessageSend, time.Minute},
		{45009, opGetToken, time.Hour},
		{45009, opAppChatUpdate, time.Hour},
		{45009, opAppChatCreate, 30 * time.Minute}, // midnight in China
		{45033, opMessageSend, 10 * time.Second},
	}
	for _, tt := range tests {
		if got := retryAt(tt.code, tt.op, now.UTC()).Sub(now); got != tt.want {
			t.Errorf("retryAt(%d, %s) = %v later, want %v", tt.code, tt.op, got, tt.want)
		}
	}
	if got := retryAt(40014, opMessageSend, now); !got.IsZero() {
		t.Errorf("retryAt of another class = %v, want zero", got)
	}
}

func TestHintNamesTheAddress(t *testing.T) {
	for msg, want := range map[string]string{
		"not allow to access from your ip, hint: [1795219200123456789], from ip: 203.0.113.9, more info at https://open.work.weixin.qq.com/devtool/query?e=60020": "地址 203.0.113.9。",
		"not allow to access from your ip, from ip: 2001:db8::7, more info":                                                                                       "地址 2001:db8::7。",
		"not allow": "这台机器的公网地址。",
	} {
		if got := (&APIError{Code: 60020, Msg: msg}).Hint(); !strings.Contains(got, want) {
			t.Errorf("Hint of %q = %s, want %q in it", msg, got, want)
		}
	}
}

func TestRedact(t *testing.T) {
	tests := []struct{ text, want string }{
		{"GET /x?access_token=abc&type=file: EOF", "GET /x?access_token=***&type=file: EOF"},
		{`{"response_code":"RC","errcode":40058}`, `{"response_code":"***","errcode":40058}`},
		{"errcode=40058 keyboard=x", "errcode=40058 keyboard=x"},
		{"literal s3cr3t here", "literal *** here"},
		{"escaped a%2Bb%3D here", "escaped *** here"},
	}
	for _, tt := range tests {
		if got := redact(tt.text, "s3cr3t", "a+b=", "no"); got != tt.want {
			t.Errorf("redact(%q) = %q, want %q", tt.text, got, tt.want)
		}
	}
}
