package wecom

import (
	"crypto/md5"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"net/url"
	"reflect"
	"strings"
	"testing"
)

var (
	png   = append([]byte("\x89PNG\r\n\x1a\n"), make([]byte, 100)...)
	jpeg  = append([]byte("\xff\xd8\xff\xe0"), make([]byte, 100)...)
	noteC = &TemplateCard{CardType: CardTextNotice, MainTitle: &CardTitle{Title: "完成"}}
	voteC = &TemplateCard{CardType: CardVoteInteraction, TaskID: "t1"}
)

// What goes over the wire, by destination.
func TestSend(t *testing.T) {
	sum := md5.Sum(png)
	news := []Article{{Title: "资讯", URL: "https://example.com/?a=1&b=2"}}
	duplicates := `"duplicate_check_interval":1800,"enable_duplicate_check":1`
	tests := []struct {
		name string
		to   Destination
		m    Outgoing
		op   string
		want string // body
	}{
		{"webhook text", Destination{ToWebhook, "k"}, Outgoing{Text: "<@zhangsan> 你好", Mentions: []string{"@all"}}, opWebhookSend,
			`{"msgtype":"text","text":{"content":"<@zhangsan> 你好","mentioned_list":["@all"]}}`},
		{"webhook markdown", Destination{ToWebhook, "k"}, Outgoing{Markdown: "# a"}, opWebhookSend,
			`{"markdown":{"content":"# a"},"msgtype":"markdown"}`},
		{"webhook markdown_v2", Destination{ToWebhook, "k"}, Outgoing{Markdown: "# a", MarkdownV2: true}, opWebhookSend,
			`{"markdown_v2":{"content":"# a"},"msgtype":"markdown_v2"}`},
		{"webhook news", Destination{ToWebhook, "k"}, Outgoing{News: news}, opWebhookSend,
			`{"msgtype":"news","news":{"articles":[{"title":"资讯","url":"https://example.com/?a=1&b=2"}]}}`},
		{"webhook image", Destination{ToWebhook, "k"}, Outgoing{Image: png}, opWebhookSend,
			fmt.Sprintf(`{"image":{"base64":%q,"md5":%q},"msgtype":"image"}`, base64.StdEncoding.EncodeToString(png), hex.EncodeToString(sum[:]))},
		{"webhook card", Destination{ToWebhook, "k"}, Outgoing{Card: noteC}, opWebhookSend,
			`{"msgtype":"template_card","template_card":{"card_type":"text_notice","main_title":{"title":"完成"}}}`},
		{"app text", Destination{ToApp, "a|b"}, Outgoing{Text: "hi"}, opMessageSend,
			`{"agentid":1000002,` + duplicates + `,"msgtype":"text","text":{"content":"hi"},"touser":"a|b"}`},
		{"app markdown", Destination{ToApp, "a"}, Outgoing{Markdown: "# a"}, opMessageSend,
			`{"agentid":1000002,` + duplicates + `,"markdown":{"content":"# a"},"msgtype":"markdown","touser":"a"}`},
		{"app news", Destination{ToApp, "a"}, Outgoing{News: news}, opMessageSend,
			`{"agentid":1000002,` + duplicates + `,"msgtype":"news","news":{"articles":[{"title":"资讯","url":"https://example.com/?a=1&b=2"}]},"touser":"a"}`},
		{"app image", Destination{ToApp, "a"}, Outgoing{Image: jpeg}, opMessageSend,
			`{"agentid":1000002,` + duplicates + `,"image":{"media_id":"media-1"},"msgtype":"image","touser":"a"}`},
		{"app card", Destination{ToApp, "a"}, Outgoing{Card: voteC}, opMessageSend,
			`{"agentid":1000002,` + duplicates + `,"msgtype":"template_card","template_card":{"card_type":"vote_interaction","task_id":"t1"},"touser":"a"}`},
		{"appchat text", Destination{ToAppChat, "c"}, Outgoing{Text: "hi", Mentions: []string{"a"}}, opAppChatSend,
			`{"chatid":"c","msgtype":"text","text":{"content":"hi","mentioned_list":["a"]}}`},
		{"appchat image", Destination{ToAppChat, "c"}, Outgoing{Image: png}, opAppChatSend,
			`{"chatid":"c","image":{"media_id":"media-1"},"msgtype":"image"}`},
		{"response text", Destination{ToResponse, "?response_code=RC"}, Outgoing{Text: "hi"}, "aibot/response",
			`{"msgtype":"markdown","markdown":{"content":"hi"}}`},
		{"response card", Destination{ToResponse, "?response_code=RC"}, Outgoing{Card: noteC}, "aibot/response",
			`{"msgtype":"template_card","template_card":{"card_type":"text_notice","main_title":{"title":"完成"}}}`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			f := newFakeWeCom(t)
			f.answer("media/upload", saying(`{"errcode":0,"type":"image","media_id":"media-1","created_at":"1795219900"}`))
			f.answer(opMessageSend, saying(`{"errcode":0,"errmsg":"ok","invaliduser":"nobody","msgid":"MSG-1"}`))
			a := f.api(t, io.Discard)
			if tt.to.Kind == ToResponse {
				tt.to.ID = f.URL + "/cgi-bin/aibot/response" + tt.to.ID
			}
			receipt, err := a.Send(t.Context(), tt.to, tt.m)
			if err != nil {
				t.Fatal(err)
			}
			if want := map[bool]string{true: "MSG-1"}[tt.to.Kind == ToApp]; receipt != want {
				t.Errorf("receipt %q, want %q", receipt, want)
			}
			calls := f.called(tt.op)
			if len(calls) != 1 {
				t.Fatalf("%d calls of %s, want 1", len(calls), tt.op)
			}
			if calls[0].body != tt.want {
				t.Errorf("sent\n%s, want\n%s", calls[0].body, tt.want)
			}
			query := map[DestinationKind]url.Values{
				ToWebhook: {"key": {"k"}}, ToResponse: {"response_code": {"RC"}}, // no token goes there
				ToApp: {"access_token": {"token-1-abcdef"}}, ToAppChat: {"access_token": {"token-1-abcdef"}},
			}[tt.to.Kind]
			if !reflect.DeepEqual(calls[0].query, query) {
				t.Errorf("query %v, want %v", calls[0].query, query)
			}
		})
	}
}

// Nothing that does not fit is sent, and nothing is cut.
func TestSendRefuses(t *testing.T) {
	text := func(n int) string { return strings.Repeat("x", n) }
	article := Article{Title: "t", URL: "https://example.com/"}
	tests := []struct {
		name string
		to   DestinationKind
		m    Outgoing
		ok   bool
	}{
		{"longest webhook text", ToWebhook, Outgoing{Text: text(2048)}, true},
		{"webhook text", ToWebhook, Outgoing{Text: text(2049)}, false},
		{"bytes count, not characters", ToWebhook, Outgoing{Text: strings.Repeat("字", 683)}, false},
		{"longest webhook markdown", ToWebhook, Outgoing{Markdown: text(4096)}, true},
		{"webhook markdown", ToWebhook, Outgoing{Markdown: text(4097)}, false},
		{"webhook markdown_v2", ToWebhook, Outgoing{Markdown: text(4097), MarkdownV2: true}, false},
		{"longest app markdown", ToApp, Outgoing{Markdown: text(2048)}, true},
		{"app markdown", ToApp, Outgoing{Markdown: text(2049)}, false},
		{"app markdown_v2", ToApp, Outgoing{Markdown: "a", MarkdownV2: true}, false},
		{"app mentions", ToApp, Outgoing{Text: "a", Mentions: []string{"b"}}, false},
		{"markdown mentions", ToWebhook, Outgoing{Markdown: "a", Mentions: []string{"b"}}, false},
		{"appchat card", ToAppChat, Outgoing{Card: noteC}, false},
		{"webhook card with buttons", ToWebhook, Outgoing{Card: voteC}, false},
		{"card without type", ToApp, Outgoing{Card: &TemplateCard{}}, false},
		{"longest response", ToResponse, Outgoing{Markdown: text(20480)}, true},
		{"response", ToResponse, Outgoing{Markdown: text(20481)}, false},
		{"response news", ToResponse, Outgoing{News: []Article{article}}, false},
		{"response image", ToResponse, Outgoing{Image: png}, false},
		{"most news", ToWebhook, Outgoing{News: []Article{article, article, article, article, article, article, article, article}}, true},
		{"news", ToWebhook, Outgoing{News: make([]Article, 9)}, false},
		{"news title", ToWebhook, Outgoing{News: []Article{{Title: text(129), URL: "https://example.com/"}}}, false},
		{"news description", ToWebhook, Outgoing{News: []Article{{Title: "t", Description: text(513), URL: "https://example.com/"}}}, false},
		{"news without url", ToWebhook, Outgoing{News: []Article{{Title: "t"}}}, false},
		{"largest webhook image", ToWebhook, Outgoing{Image: append(png[:8:8], make([]byte, MaxWebhookImageBytes-8)...)}, true},
		{"webhook image", ToWebhook, Outgoing{Image: append(png[:8:8], make([]byte, MaxWebhookImageBytes-7)...)}, false},
		{"app image", ToApp, Outgoing{Image: append(png[:8:8], make([]byte, 10<<20)...)}, false},
		{"gif", ToWebhook, Outgoing{Image: []byte("GIF89a......")}, false},
		{"nothing", ToWebhook, Outgoing{}, false},
		{"two things", ToWebhook, Outgoing{Text: "a", Markdown: "b"}, false},
		{"kind", "pigeon", Outgoing{Text: "a"}, false},
	}
	f := newFakeWeCom(t)
	a := f.api(t, io.Discard)
	for _, tt := range tests {
		id := "k"
		if tt.to == ToResponse {
			id = f.URL + "/cgi-bin/aibot/response?response_code=RC"
		}
		before := len(f.calls)
		_, err := a.Send(t.Context(), Destination{tt.to, id}, tt.m)
		if tt.ok {
			if err != nil {
				t.Errorf("%s: %v, want nil", tt.name, err)
			}
			continue
		}
		if e := apiError(t, err); e.Class() != ClassData {
			t.Errorf("%s: %v %v, want data", tt.name, e.Class(), e)
		}
		if len(f.calls) != before {
			t.Errorf("%s: the platform was called", tt.name)
		}
	}
	for _, d := range []Destination{{ToWebhook, ""}, {ToApp, "a||b"}, {ToApp, strings.Repeat("u|", MaxRecipients) + "u"}, {ToResponse, "file:///etc/passwd"}} {
		if _, err := a.Send(t.Context(), d, Outgoing{Text: "a"}); apiError(t, err).Class() != ClassData {
			t.Errorf("Send to %d bytes of %s = %v, want data", len(d.ID), d.Kind, err)
		}
	}
}

// An upload whose outcome is unknown was seen by nobody: the message can be
// sent again.
func TestLostUploadIsRepeatable(t *testing.T) {
	f := newFakeWeCom(t)
	f.answer("media/upload", saying(`{"errcode":`))
	_, err := f.api(t, io.Discard).Send(t.Context(), Destination{ToApp, "a"}, Outgoing{Image: png})
	if e := apiError(t, err); e.Class() != ClassRetry || len(f.called(opMessageSend)) != 0 {
		t.Errorf("Send = %v %v, want retry", e.Class(), e)
	}
}

func TestUploadToWebhook(t *testing.T) {
	f := newFakeWeCom(t)
	f.answer(opWebhookUpload, saying(`{"errcode":0,"errmsg":"ok","type":"file","media_id":"m1","created_at":"1795219700"}`))
	a := f.api(t, io.Discard)
	id, err := a.UploadToWebhook(t.Context(), "k", TypeFile, "周报.txt", []byte("123456"))
	if id != "m1" || err != nil {
		t.Errorf("UploadToWebhook = %q, %v", id, err)
	}
	call := f.called(opWebhookUpload)[0]
	if !strings.Contains(call.body, `name="media"; filename="周报.txt"`) || !strings.Contains(call.body, "123456") ||
		!reflect.DeepEqual(call.query, url.Values{"key": {"k"}, "type": {"file"}}) {
		t.Errorf("sent %v %s", call.query, call.body)
	}
	for kind, data := range map[string]string{TypeFile: "12345", TypeImage: "123456"} {
		if _, err := a.UploadToWebhook(t.Context(), "k", kind, "a", []byte(data)); apiError(t, err).Class() != ClassData {
			t.Errorf("%d bytes of %s = %v, want data", len(data), kind, err)
		}
	}
}

func TestParts(t *testing.T) {
	long := strings.Repeat("第一行很长很长。\n", 300)
	for _, k := range []DestinationKind{ToWebhook, ToApp, ToAppChat, ToResponse} {
		for _, m := range []Outgoing{{Text: long}, {Markdown: long}} {
			parts := m.Parts(k)
			for i, p := range parts {
				if err := p.check("op", k); err != nil {
					t.Errorf("%s: part %d: %v", k, i, err)
				}
				if want := fmt.Sprintf("（%d/%d）\n", i+1, len(parts)); len(parts) > 1 && !strings.HasPrefix(p.Text+p.Markdown, want) {
					t.Errorf("%s: part %d begins %.20q, want %q", k, i, p.Text+p.Markdown, want)
				}
			}
		}
	}
	parts := Outgoing{Text: long, Mentions: []string{"@all"}}.Parts(ToWebhook)
	if len(parts) < 2 || parts[0].Mentions == nil || parts[1].Mentions != nil {
		t.Errorf("%d parts, mentions %v and %v, want only the first to mention", len(parts), parts[0].Mentions, parts[1].Mentions)
	}
	for name, tt := range map[string]struct {
		m    Outgoing
		want int
	}{"short": {Outgoing{Text: "a"}, 1}, "blank": {Outgoing{Text: " \n"}, 0}, "card": {Outgoing{Card: noteC}, 1}} {
		if got := tt.m.Parts(ToApp); len(got) != tt.want || tt.want == 1 && !reflect.DeepEqual(got[0], tt.m) {
			t.Errorf("%s: Parts = %+v, want %d unchanged", name, got, tt.want)
		}
	}
}

// The outbox keeps messages as JSON.
func TestOutgoingAsJSON(t *testing.T) {
	for _, m := range []Outgoing{
		{Text: "a", Mentions: []string{"@all"}}, {Markdown: "b", MarkdownV2: true}, {News: []Article{{Title: "t", URL: "u"}}}, {Image: png}, {Card: noteC},
	} {
		text, err := json.Marshal(m)
		if err != nil {
			t.Fatal(err)
		}
		var got Outgoing
		if err := json.Unmarshal(text, &got); err != nil || !reflect.DeepEqual(got, m) {
			t.Errorf("%s became %+v, %v", text, got, err)
		}
	}
}
