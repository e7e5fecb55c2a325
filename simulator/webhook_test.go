package simulator

import (
	"bytes"
	"crypto/md5"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"image"
	"image/png"
	"mime/multipart"
	"net/http"
	"strings"
	"testing"
	"time"
)

const robotKey = "693a91f6-7xxx-4bc4-97a0-0ec2sifa5aaa"

// withRobot gives the first chat a group robot.
func withRobot(c *Config) {
	c.Chats[0].WebhookKey, c.Chats[0].WebhookName = robotKey, "公告机器人"
}

// call posts body as JSON, or as it is if it is a string, below /cgi-bin/.
func (w *testWorld) call(path string, body any) map[string]any {
	w.t.Helper()
	raw, ok := body.(string)
	if !ok {
		encoded, err := json.Marshal(body)
		if err != nil {
			w.t.Fatal(err)
		}
		raw = string(encoded)
	}
	return w.postTo(path, "application/json", []byte(raw))
}

func (w *testWorld) postTo(path, kind string, body []byte) map[string]any {
	w.t.Helper()
	response, err := http.Post(w.url+"/cgi-bin/"+path, kind, bytes.NewReader(body))
	if err != nil {
		w.t.Fatal(err)
	}
	defer response.Body.Close()
	var answer map[string]any
	if err := json.NewDecoder(response.Body).Decode(&answer); err != nil {
		w.t.Fatalf("POST %s: status %d, %v", path, response.StatusCode, err)
	}
	return answer
}

// must fails unless the answer has errcode 0, and returns it.
func (w *testWorld) must(answer map[string]any) map[string]any {
	w.t.Helper()
	if code(answer) != 0 {
		w.t.Fatalf("answer = %v, want errcode 0", answer)
	}
	return answer
}

// uploadAs uploads a file in the field of a form.
func (w *testWorld) uploadAs(path, field string, data []byte) map[string]any {
	w.t.Helper()
	var body bytes.Buffer
	form := multipart.NewWriter(&body)
	part, err := form.CreateFormFile(field, "中奖名单.txt")
	if err != nil {
		w.t.Fatal(err)
	}
	part.Write(data)
	form.Close()
	return w.postTo(path, form.FormDataContentType(), body.Bytes())
}

// picture returns a PNG.
func picture(t *testing.T, width, height int) []byte {
	t.Helper()
	var out bytes.Buffer
	img := image.NewNRGBA(image.Rect(0, 0, width, height))
	for i := range img.Pix {
		img.Pix[i] = byte(80 + i%4*40)
	}
	if err := png.Encode(&out, img); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

func imagePost(data []byte) map[string]any {
	sum := md5.Sum(data)
	return map[string]any{"msgtype": "image", "image": map[string]string{"base64": base64.StdEncoding.EncodeToString(data), "md5": hex.EncodeToString(sum[:])}}
}

func TestWebhookSend(t *testing.T) {
	w := newWorld(t, withRobot)
	text := func(s string) map[string]any {
		return map[string]any{"msgtype": "text", "text": map[string]any{"content": s}}
	}
	markdown := func(kind, s string) map[string]any {
		return map[string]any{"msgtype": kind, kind: map[string]any{"content": s}}
	}
	news := func(n int, article map[string]string) map[string]any {
		var all []map[string]string
		for range n {
			all = append(all, article)
		}
		return map[string]any{"msgtype": "news", "news": map[string]any{"articles": all}}
	}
	card := func(kind string, more map[string]any) map[string]any {
		fields := map[string]any{
			"card_type": kind, "main_title": map[string]string{"title": "开奖了"}, "card_action": map[string]any{"type": 1, "url": "https://a.example/"},
		}
		for name, value := range more {
			fields[name] = value
		}
		return map[string]any{"msgtype": "template_card", "template_card": fields}
	}
	article := map[string]string{"title": "周末市集", "url": "https://a.example/1"}
	small := picture(t, 4, 4)
	large := append(picture(t, 4, 4), make([]byte, 2<<20)...)
	wrongSum := imagePost(small)
	wrongSum["image"].(map[string]string)["md5"] = strings.Repeat("0", 32)
	broken := imagePost(small)
	broken["image"].(map[string]string)["base64"] = "data:image/png;base64," + broken["image"].(map[string]string)["base64"]
	lines := imagePost(small)
	lines["image"].(map[string]string)["base64"] = "\n" + lines["image"].(map[string]string)["base64"]
	tests := []struct {
		name string
		body any
		want int
	}{
		{"text", text("发布完成\n第二行"), 0},
		{"longest text", text(strings.Repeat("长", 682) + "12"), 0},
		{"text too long", text(strings.Repeat("长", 683)), 45002},
		{"blank text", text(" \n"), 44004},
		{"only a mention", map[string]any{"msgtype": "text", "text": map[string]any{"mentioned_list": []string{"@all"}}}, 0},
		{"markdown", markdown("markdown", strings.Repeat("x", 4096)), 0},
		{"markdown too long", markdown("markdown", strings.Repeat("x", 4097)), 45002},
		{"markdown_v2", markdown("markdown_v2", strings.Repeat("x", 4096)), 0},
		{"markdown_v2 too long", markdown("markdown_v2", strings.Repeat("x", 4097)), 45002},
		{"empty markdown", markdown("markdown", ""), 44004},
		{"image", imagePost(small), 0},
		{"image with the wrong md5", wrongSum, 40058},
		{"image as a data URI", broken, 40058},
		{"image with line breaks", lines, 40058},
		{"image too large", imagePost(large), 40009},
		{"image that is text", imagePost([]byte("no picture at all")), 40004},
		{"eight articles", news(8, article), 0},
		{"nine articles", news(9, article), 45008},
		{"no article", news(0, article), 40058},
		{"article without a title", news(1, map[string]string{"url": "https://a.example/"}), 41016},
		{"article without a url", news(1, map[string]string{"title": "x"}), 40058},
		{"text notice", card("text_notice", nil), 0},
		{"news notice", card("news_notice", map[string]any{"card_image": map[string]string{"url": "https://a.example/p.png"}}), 0},
		{"news notice without a picture", card("news_notice", nil), 40058},
		{"card with buttons", card("button_interaction", map[string]any{"task_id": "t", "button_list": []map[string]string{{"text": "好", "key": "k"}}}), 40058},
		{"file without an id", map[string]any{"msgtype": "file"}, 41006},
		{"unknown file", map[string]any{"msgtype": "file", "file": map[string]string{"media_id": "made-up"}}, 40007},
		{"unknown kind", map[string]any{"msgtype": "video"}, 40008},
		{"no JSON", "{", 47001},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			w.Advance(time.Minute)
			before := len(w.state().Lines)
			if answer := w.call("webhook/send?key="+robotKey, tt.body); code(answer) != tt.want {
				t.Fatalf("answer = %v, want errcode %d", answer, tt.want)
			}
			st := w.state()
			if shown := len(st.Lines) - before; (shown == 1) != (tt.want == 0) || shown > 1 {
				t.Errorf("%d lines shown", shown)
			}
			if l := st.Lines[len(st.Lines)-1]; tt.want == 0 && (l.Chat != "wrkOne" || l.Who != "robot:wrkOne") {
				t.Errorf("line = %+v", l)
			}
		})
	}
	if answer := w.call("webhook/send?key="+robotKey, text("被记下的")); code(answer) != 0 {
		t.Fatal(answer)
	}
	st := w.state()
	if last := st.Traces[len(st.Traces)-1]; last.Chat != "wrkOne" || last.State != good || !strings.Contains(last.Wire[0].Text, "被记下的") {
		t.Errorf("trace = %+v", last)
	}
	response, err := http.Get(w.url + "/sim/" + find(st.Lines, func(l *line) bool { return len(l.Images) > 0 }).Images[0])
	if err != nil {
		t.Fatal(err)
	}
	response.Body.Close()
	if got := response.Header.Get("Content-Type"); got != "image/png" {
		t.Errorf("the image is served as %q (%d)", got, response.StatusCode)
	}
}

func TestWebhookMentions(t *testing.T) {
	w := newWorld(t, withRobot)
	w.must(w.call("webhook/send?key="+robotKey, map[string]any{"msgtype": "text", "text": map[string]any{
		"content": "开会", "mentioned_list": []string{"zhangsan", "@all"}, "mentioned_mobile_list": []string{"13800001234"},
	}}))
	l := w.state().Lines[6]
	if got, want := strings.Join(l.Mentions, " "), "@张三 @所有人 @手机尾号 1234"; got != want || l.Form != formText {
		t.Errorf("mentions = %q, form %q, want %q as text", got, l.Form, want)
	}
}

func TestWebhookKeys(t *testing.T) {
	w := newWorld(t, withRobot)
	post := func(key string) int {
		return code(w.call("webhook/send?key="+key, map[string]any{"msgtype": "text", "text": map[string]string{"content": "x"}}))
	}
	for _, key := range []string{"", "made-up", robotKey + "x"} {
		if got := post(key); got != 93000 {
			t.Errorf("errcode with key %q = %d, want 93000", key, got)
		}
	}
	if err := w.RemoveRobot("wrkOne", true); err != nil {
		t.Fatal(err)
	}
	if got := post(robotKey); got != 93000 {
		t.Errorf("errcode of a robot taken out = %d, want 93000", got)
	}
	if status, _ := w.do("robot", ask{Chat: "wrkOne", On: true}); status != http.StatusOK || post(robotKey) != 0 {
		t.Error("the robot does not work again")
	}
	if err := w.RemoveRobot("single", true); err == nil {
		t.Error("RemoveRobot of a chat without one = nil")
	}
}

func TestWebhookLimit(t *testing.T) {
	w := newWorld(t, func(c *Config) {
		withRobot(c)
		start := time.Date(2026, 3, 1, 10, 0, 30, 0, time.UTC)
		c.Now = func() time.Time { return start }
	})
	post := func() int {
		return code(w.call("webhook/send?key="+robotKey, map[string]any{"msgtype": "text", "text": map[string]string{"content": "x"}}))
	}
	posts := func(n int) {
		t.Helper()
		for i := range n {
			if got := post(); got != 0 {
				t.Fatalf("errcode of post %d = %d, want 0", i+1, got)
			}
		}
	}
	// Any 60 s: half a minute later only the clock minute is another.
	posts(10)
	w.Advance(20 * time.Second)
	posts(10)
	if got := post(); got != 45009 {
		t.Errorf("errcode of post 21 = %d, want 45009", got)
	}
	w.Advance(15 * time.Second) // 10:01:05
	if got := post(); got != 45009 {
		t.Errorf("errcode 35 s after the first = %d, want 45009", got)
	}
	w.Advance(25 * time.Second) // 10:01:30, the first ten count no longer
	posts(10)
	if got := post(); got != 45009 {
		t.Errorf("errcode = %d, want 45009", got)
	}
	// By the clock: the next minute is free.
	if status, _ := w.do("robot", ask{Key: "fixed", On: true}); status != http.StatusOK {
		t.Fatal("cannot count by the clock")
	}
	w.Advance(30 * time.Second) // 10:02:00
	posts(20)
	if got := post(); got != 45009 {
		t.Errorf("errcode of post 21 in the minute = %d, want 45009", got)
	}
	w.Advance(59 * time.Second)
	if got := post(); got != 45009 {
		t.Errorf("errcode at the end of the minute = %d, want 45009", got)
	}
	w.Advance(time.Second)
	posts(20)
}

func TestWebhookUpload(t *testing.T) {
	const otherKey = "other-key"
	w := newWorld(t, func(c *Config) {
		withRobot(c)
		c.Chats = append(c.Chats, Chat{ID: "wrkTwo", Name: "二号群", Kind: Internal, Members: []string{"xiaowang"}, WebhookKey: otherKey})
	})
	path := "webhook/upload_media?key=" + robotKey + "&type="
	tests := []struct {
		name, path, field string
		data              []byte
		want              int
	}{
		{"file", path + "file", "media", []byte("123456"), 0},
		{"voice", path + "voice", "media", []byte("#!AMR\n..."), 0},
		{"too small", path + "file", "media", []byte("12345"), 40006},
		{"empty, before the key", "webhook/upload_media?key=wrong&type=file", "media", nil, 44001},
		{"wrong key", "webhook/upload_media?key=wrong&type=file", "media", []byte("123456"), 93000},
		{"wrong field", path + "file", "file", []byte("123456"), 44001},
		{"wrong type", path + "image", "media", []byte("123456"), 40005},
		{"voice that is none", path + "voice", "media", []byte("MP3..."), 40004},
		{"voice too large", path + "voice", "media", append([]byte("#!AMR\n"), make([]byte, 2<<20)...), 45001},
		{"file too large", path + "file", "media", make([]byte, 20<<20+1), 45001},
		{"far too large", path + "file", "media", make([]byte, 22<<20), 45001},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if answer := w.uploadAs(tt.path, tt.field, tt.data); code(answer) != tt.want {
				t.Errorf("answer = %v, want errcode %d", answer, tt.want)
			}
		})
	}
	answer := w.must(w.uploadAs(path+"file", "media", []byte("甲、乙、丙")))
	if created, ok := answer["created_at"].(string); !ok || created == "" || answer["type"] != "file" {
		t.Errorf("answer = %v", answer)
	}
	send := func(key, kind string) int {
		return code(w.call("webhook/send?key="+key, map[string]any{"msgtype": kind, kind: map[string]any{"media_id": answer["media_id"]}}))
	}
	if got := send(otherKey, "file"); got != 40007 {
		t.Errorf("errcode with another robot's file = %d, want 40007", got)
	}
	if got := send(robotKey, "voice"); got != 40007 {
		t.Errorf("errcode of a file as voice = %d, want 40007", got)
	}
	if got := send(robotKey, "file"); got != 0 {
		t.Errorf("errcode = %d, want 0", got)
	}
	st := w.state()
	if f := st.Lines[len(st.Lines)-1].File; f == nil || f.Name != "中奖名单.txt" || f.Bytes != len("甲、乙、丙") {
		t.Errorf("file = %+v", f)
	}
	w.Advance(mediaLife)
	if got := send(robotKey, "file"); got != 40007 {
		t.Errorf("errcode 3 days later = %d, want 40007", got)
	}
}

func TestMediaKept(t *testing.T) {
	w := newWorld(t, withRobot)
	w.Simulator.mu.Lock()
	first := w.addMedium(robotKey, "file", "first", make([]byte, 100))
	last := w.addMedium(robotKey, "file", "last", make([]byte, maxMediaKept))
	kept := w.media.bytes
	w.Simulator.mu.Unlock()
	send := func(m *medium) int {
		return code(w.call("webhook/send?key="+robotKey, map[string]any{"msgtype": "file", "file": map[string]string{"media_id": m.id}}))
	}
	if got := send(first); got != 40007 {
		t.Errorf("errcode of a file that had to go = %d, want 40007", got)
	}
	if got := send(last); got != 0 || kept != maxMediaKept {
		t.Errorf("errcode of the latest file = %d, %d B kept; want 0 and %d", got, kept, maxMediaKept)
	}
}

func TestRobotConfig(t *testing.T) {
	tests := []struct {
		name   string
		change func(*Config)
		want   string
	}{
		{"in a customer group", func(c *Config) { c.Chats[1].WebhookKey = "k" }, "group robot"},
		{"one key for two", func(c *Config) {
			c.Chats[0].WebhookKey = "k"
			c.Chats = append(c.Chats, Chat{ID: "x", Kind: Internal, WebhookKey: "k"})
		}, "same webhook key"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			c := testConfig("http://127.0.0.1:1", "http://127.0.0.1:2/x")
			tt.change(&c)
			if _, err := New(c); err == nil || !strings.Contains(fmt.Sprint(err), tt.want) {
				t.Errorf("New = %v, want an error about %q", err, tt.want)
			}
		})
	}
}
