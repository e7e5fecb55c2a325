package wecom

import (
	"encoding/json"
	"errors"
	"math"
	"reflect"
	"strings"
	"testing"
)

// callbackSamples has one decrypted callback of each kind, written as this
// package writes them.
var callbackSamples = map[string]string{
	"text in a group, quoting": `{"msgid":"m1","aibotid":"aib1","chatid":"wrk1","chattype":"group","from":{"userid":"lisi"},` +
		`"response_url":"https://example.com/r?a=1&b=2","msgtype":"text","text":{"content":"@值班助手 今天谁值班？"},` +
		`"quote":{"msgtype":"text","text":{"content":"昨天的公告"}}}`,
	"mixed": `{"msgid":"m2","aibotid":"aib1","chatid":"wrk1","chattype":"group","from":{"userid":"lisi"},"msgtype":"mixed",` +
		`"mixed":{"msg_item":[{"msgtype":"text","text":{"content":"看"}},{"msgtype":"image","image":{"url":"https://example.com/i?x=1&y=2"}},` +
		`{"msgtype":"text","text":{"content":"这张"}}]},"quote":{"msgtype":"image","image":{"url":"https://example.com/q"}}}`,
	"image": `{"msgid":"m3","aibotid":"aib1","chattype":"single","from":{"userid":"lisi"},"msgtype":"image","image":{"url":"https://example.com/i","aeskey":"QUJD"}}`,
	"voice": `{"msgid":"m4","create_time":1795219500,"aibotid":"aib1","chattype":"single","from":{"userid":"lisi"},"msgtype":"voice","voice":{"content":"签到"}}`,
	"file":  `{"msgid":"m5","aibotid":"aib1","chattype":"single","from":{"userid":"lisi"},"msgtype":"file","file":{"url":"https://example.com/f","filename":"a.txt","md5":"00","file_size":12}}`,
	"video": `{"msgid":"m6","aibotid":"aib1","chattype":"single","from":{"userid":"lisi"},"msgtype":"video","video":{"url":"https://example.com/v"}}`,
	"stream refresh": `{"msgid":"m7","aibotid":"aib1","chatid":"wrk1","chattype":"group","from":{"userid":"lisi"},` +
		`"msgtype":"stream","stream":{"id":"st-0001"}}`,
	"enter_chat": `{"msgid":"m8","create_time":1795219500,"aibotid":"aib1","chattype":"single","from":{"corpid":"ww1","userid":"lisi"},` +
		`"msgtype":"event","event":{"eventtype":"enter_chat"}}`,
	"template_card_event": `{"msgid":"m9","create_time":1795219500,"aibotid":"aib1","chatid":"wrk1","chattype":"group","from":{"userid":"lisi"},` +
		`"response_url":"https://example.com/r","msgtype":"event","event":{"eventtype":"template_card_event","template_card_event":` +
		`{"card_type":"vote_interaction","event_key":"submit_vote","task_id":"vote-1","selected_items":{"selected_item":` +
		`[{"question_key":"q1","option_ids":{"option_id":["opt_b"]}}]}}}}`,
	"feedback_event": `{"msgid":"m10","create_time":1795219500,"aibotid":"aib1","chattype":"single","from":{"userid":"lisi"},` +
		`"msgtype":"event","event":{"eventtype":"feedback_event","feedback_event":{"id":"fb-1","type":2,"content":"不对","inaccurate_reason_list":[2,4]}}}`,
	"unknown message": `{"msgid":"m11","aibotid":"aib1","chattype":"single","from":{"userid":"lisi"},"msgtype":"hologram"}`,
	"unknown event":   `{"aibotid":"aib1","from":{"userid":""},"msgtype":"event","event":{"eventtype":"earthquake"}}`,
}

func TestAibotCallbackRoundTrip(t *testing.T) {
	for name, sample := range callbackSamples {
		t.Run(name, func(t *testing.T) {
			c, err := ParseAibotCallback([]byte(sample))
			if err != nil {
				t.Fatalf("ParseAibotCallback(%s): %v", sample, err)
			}
			if got, err := c.JSON(); err != nil || string(got) != sample {
				t.Errorf("JSON() = %s, %v, want %s", got, err, sample)
			}
		})
	}
}

func TestAibotCallbackText(t *testing.T) {
	tests := []struct{ sample, spoken, quoted string }{
		{"text in a group, quoting", "@值班助手 今天谁值班？", "昨天的公告"},
		{"mixed", "看\n这张", ""},
		{"voice", "签到", ""},
		{"image", "", ""},
		{"enter_chat", "", ""},
	}
	for _, tt := range tests {
		t.Run(tt.sample, func(t *testing.T) {
			c, err := ParseAibotCallback([]byte(callbackSamples[tt.sample]))
			if err != nil {
				t.Fatal(err)
			}
			if got := c.SpokenText(); got != tt.spoken {
				t.Errorf("SpokenText() = %q, want %q", got, tt.spoken)
			}
			if got := c.QuotedText(); got != tt.quoted {
				t.Errorf("QuotedText() = %q, want %q", got, tt.quoted)
			}
		})
	}
}

func TestAibotCardEventSelected(t *testing.T) {
	c, err := ParseAibotCallback([]byte(callbackSamples["template_card_event"]))
	if err != nil {
		t.Fatal(err)
	}
	want := map[string][]string{"q1": {"opt_b"}}
	if got := c.Event.Card.Selected(); !reflect.DeepEqual(got, want) {
		t.Errorf("Selected() = %v, want %v", got, want)
	}
	if got := (AibotCardEvent{}).Selected(); len(got) != 0 {
		t.Errorf("Selected() without questions = %v, want nothing", got)
	}
}

func TestParseAibotCallbackRefuses(t *testing.T) {
	tests := []struct{ name, plain string }{
		{"nothing", ``},
		{"XML", `<xml/>`},
		{"null", `null`},
		{"array", `[]`},
		{"no kind", `{"msgid":"m1"}`},
		{"number as text", `{"msgid":"m1","from":{"userid":"u"},"msgtype":"text","text":{"content":5}}`},
		{"text without body", `{"msgid":"m1","from":{"userid":"u"},"msgtype":"text"}`},
		{"text with another body", `{"msgid":"m1","from":{"userid":"u"},"msgtype":"text","voice":{"content":"hi"}}`},
		{"no msgid", `{"from":{"userid":"u"},"msgtype":"text","text":{"content":"hi"}}`},
		{"nobody", `{"msgid":"m1","msgtype":"text","text":{"content":"hi"}}`},
		{"group without id", `{"msgid":"m1","chattype":"group","from":{"userid":"u"},"msgtype":"text","text":{"content":"hi"}}`},
		{"stream without id", `{"msgid":"m1","msgtype":"stream","stream":{}}`},
		{"event without kind", `{"msgtype":"event","event":{}}`},
		{"card event without card", `{"msgtype":"event","event":{"eventtype":"template_card_event"}}`},
		{"rating without body", `{"msgtype":"event","event":{"eventtype":"feedback_event"}}`},
		{"two values", `{"msgtype":"hologram","msgid":"m1","from":{"userid":"u"}} {}`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got, err := ParseAibotCallback([]byte(tt.plain)); !errors.Is(err, ErrBadCallback) {
				t.Errorf("ParseAibotCallback(%s) = %+v, %v, want %v", tt.plain, got, err, ErrBadCallback)
			}
		})
	}
}

// replySamples has one reply of each kind, written as this package writes
// them.
var replySamples = map[string]string{
	"text":            `{"msgtype":"text","text":{"content":"你好 <b>&</b>"}}`,
	"stream":          `{"msgtype":"stream","stream":{"id":"st-1","finish":false,"content":"正在查询…","feedback":{"id":"fb-1"}}}`,
	"stream with end": `{"msgtype":"stream","stream":{"id":"st-1","finish":true,"content":"图","msg_item":[{"msgtype":"image","image":{"base64":"QUJD","md5":"902fbdd2b1df0c4f70b4a5d23525e932"}}]}}`,
	"card":            `{"msgtype":"template_card","template_card":{"card_type":"text_notice","main_title":{"title":"完成"},"card_action":{"type":1,"url":"https://example.com/x"}}}`,
	"stream and card": `{"msgtype":"stream_with_template_card","stream":{"id":"st-2","finish":true,"content":"结果如下"},` +
		`"template_card":{"card_type":"button_interaction","main_title":{"title":"确认操作"},"button_list":[{"text":"确认","style":1,"key":"ok"}],"task_id":"t-2","feedback":{"id":"fb-2"}}}`,
	"update": `{"response_type":"update_template_card","userids":["lisi"],"template_card":{"card_type":"text_notice","main_title":{"title":"已处理"},` +
		`"card_action":{"type":1,"url":"https://example.com"},"task_id":"vote-1"}}`,
	"vote": `{"msgtype":"template_card","template_card":{"card_type":"vote_interaction","source":{"desc":"群","desc_color":3},"main_title":{"title":"选"},` +
		`"checkbox":{"question_key":"q1","mode":0,"option_list":[{"id":"a","text":"甲","is_checked":true},{"id":"b","text":"乙"}]},"submit_button":{"text":"提交","key":"s"},"task_id":"v-1"}}`,
	"news": `{"msgtype":"template_card","template_card":{"card_type":"news_notice","action_menu":{"desc":"更多","action_list":[{"text":"关","key":"x"}]},` +
		`"main_title":{"title":"新"},"card_image":{"url":"https://example.com/i","aspect_ratio":2.25},"image_text_area":{"type":1,"url":"https://example.com","title":"图","image_url":"https://example.com/i"},` +
		`"quote_area":{"type":0,"quote_text":"引"},"vertical_content_list":[{"title":"一"}],"horizontal_content_list":[{"type":3,"keyname":"人","value":"李","userid":"lisi"}],` +
		`"jump_list":[{"type":3,"title":"问","question":"积分"}],"card_action":{"type":2,"appid":"wx1","pagepath":"p"},"task_id":"n-1"}}`,
	"late markdown": `{"msgtype":"markdown","markdown":{"content":"**完成** 共 3 条","feedback":{"id":"fb-3"}}}`,
}

func TestAibotReplyRoundTrip(t *testing.T) {
	for name, sample := range replySamples {
		t.Run(name, func(t *testing.T) {
			r, err := ParseAibotReply([]byte(sample))
			if err != nil {
				t.Fatalf("ParseAibotReply(%s): %v", sample, err)
			}
			if got, err := r.JSON(); err != nil || string(got) != sample {
				t.Errorf("JSON() = %s, %v, want %s", got, err, sample)
			}
		})
	}
}

func TestParseAibotReplyRefusesGarbage(t *testing.T) {
	for _, plain := range []string{``, `success`, `null`, `{}`, `{"msgtype":"image"}`, `{"msgtype":"text","text":"hi"}`} {
		if got, err := ParseAibotReply([]byte(plain)); !errors.Is(err, ErrBadReply) {
			t.Errorf("ParseAibotReply(%s) = %+v, %v, want %v", plain, got, err, ErrBadReply)
		}
	}
}

func TestAibotReplyCheck(t *testing.T) {
	stream := func(s AibotStream) AibotReply { return AibotReply{MsgType: TypeStream, Stream: &s} }
	card := func(c TemplateCard) AibotReply { return AibotReply{MsgType: TypeCard, TemplateCard: &c} }
	image := AibotStreamItem{MsgType: TypeImage, Image: &AibotImage{}}
	images := func(n int) (items []AibotStreamItem) {
		for range n {
			items = append(items, image)
		}
		return items
	}
	tests := []struct {
		name  string
		reply AibotReply
		want  error
	}{
		{"longest content", stream(AibotStream{ID: "s", Content: strings.Repeat("a", 20480)}), nil},
		{"content too long", stream(AibotStream{ID: "s", Content: strings.Repeat("a", 20481)}), ErrBadReply},
		{"content too long in bytes", stream(AibotStream{ID: "s", Content: strings.Repeat("字", 6827)}), ErrBadReply},
		{"stream without id", stream(AibotStream{}), ErrBadReply},
		{"no stream", AibotReply{MsgType: TypeStream}, ErrBadReply},
		{"ten images", stream(AibotStream{ID: "s", Finish: true, Items: images(10)}), nil},
		{"eleven images", stream(AibotStream{ID: "s", Finish: true, Items: images(11)}), ErrBadReply},
		{"images before the end", stream(AibotStream{ID: "s", Items: images(1)}), ErrBadReply},
		{"text as an image", stream(AibotStream{ID: "s", Finish: true, Items: []AibotStreamItem{{MsgType: TypeText}}}), ErrBadReply},
		{"longest feedback id", stream(AibotStream{ID: "s", Feedback: &AibotFeedback{strings.Repeat("f", 256)}}), nil},
		{"feedback id too long", stream(AibotStream{ID: "s", Feedback: &AibotFeedback{strings.Repeat("f", 257)}}), ErrBadReply},
		{"card without kind", card(TemplateCard{}), ErrBadReply},
		{"task id too long", card(TemplateCard{CardType: CardTextNotice, TaskID: strings.Repeat("t", 129)}), ErrBadReply},
		{"stream without its card", AibotReply{MsgType: TypeStreamCard, Stream: &AibotStream{ID: "s"}}, ErrBadReply},
		{"update without card", AibotReply{ResponseType: ResponseUpdateCard}, ErrBadReply},
		{"both kinds", AibotReply{MsgType: TypeText, ResponseType: ResponseUpdateCard, Text: &AibotText{}}, ErrBadReply},
		{"text without body", AibotReply{MsgType: TypeText}, ErrBadReply},
		{"markdown without body", AibotReply{MsgType: TypeMarkdown}, ErrBadReply},
		{"markdown too long", AibotReply{MsgType: TypeMarkdown, Markdown: &AibotMarkdown{Content: strings.Repeat("a", 20481)}}, ErrBadReply},
		{"unknown kind", AibotReply{MsgType: "hologram"}, ErrBadReply},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if err := tt.reply.Check(); !errors.Is(err, tt.want) {
				t.Errorf("Check() = %v, want %v", err, tt.want)
			}
		})
	}
}

func TestAibotReplyJSONError(t *testing.T) {
	r := AibotReply{MsgType: TypeCard, TemplateCard: &TemplateCard{CardImage: &CardImage{AspectRatio: math.NaN()}}}
	if got, err := r.JSON(); err == nil {
		t.Errorf("JSON() with ratio NaN = %s, want an error", got)
	}
}

func FuzzAibotCallback(f *testing.F) {
	for _, sample := range callbackSamples {
		f.Add([]byte(sample))
	}
	for _, sample := range replySamples {
		f.Add([]byte(sample))
	}
	f.Fuzz(func(t *testing.T, plain []byte) {
		c, err := ParseAibotCallback(plain)
		if err != nil && !errors.Is(err, ErrBadCallback) {
			t.Errorf("ParseAibotCallback(%q): %v, want %v", plain, err, ErrBadCallback)
		}
		if err == nil {
			_, _ = c.SpokenText(), c.QuotedText()
			checkStable(t, ParseAibotCallback, c, AibotCallback.JSON)
		}
		r, err := ParseAibotReply(plain)
		if err != nil && !errors.Is(err, ErrBadReply) {
			t.Errorf("ParseAibotReply(%q): %v, want %v", plain, err, ErrBadReply)
		}
		if err == nil {
			checkStable(t, ParseAibotReply, r, AibotReply.JSON)
		}
	})
}

// checkStable writes v, reads that, and writes it once more: nothing may be
// lost or change on the way.
func checkStable[T any](t *testing.T, parse func([]byte) (T, error), v T, write func(T) ([]byte, error)) {
	t.Helper()
	first, err := write(v)
	if err != nil || !json.Valid(first) {
		t.Fatalf("write(%+v) = %s, %v, want JSON", v, first, err)
	}
	again, err := parse(first)
	if err != nil {
		t.Fatalf("parse(%s): %v", first, err)
	}
	if second, err := write(again); err != nil || string(second) != string(first) {
		t.Errorf("write(parse(%s)) = %s, %v, want the same", first, second, err)
	}
}
