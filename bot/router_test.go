package bot_test

import (
	"context"
	"strings"
	"testing"
	"unicode/utf8"

	"qunbot/bot"
	"qunbot/store"
)

func testRouter(t testing.TB) *bot.Router {
	t.Helper()
	say := func(text string) bot.Handler {
		return func(ctx context.Context, _ *store.Tx, _ bot.Message) (bot.Reply, error) {
			return bot.Textf("%s[%s]", text, bot.Args(ctx)), nil
		}
	}
	r, err := bot.NewRouter([]bot.Command{
		{Words: []string{"签到", "打卡"}, Help: "领积分", Feature: "checkin", Handle: say("签到")},
		{Words: []string{"抽奖"}, Usage: "<名称或编号>", Help: "参加抽奖", Feature: "draw", Handle: say("抽奖")},
		{Words: []string{"明细"}, Help: "看每一笔", Feature: "points", Private: true, Handle: say("明细")},
		{Words: []string{"/加分"}, Help: "给会员加分", Feature: "points", Role: store.Staff, Handle: say("加分")},
	})
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func TestRouterAnswers(t *testing.T) {
	const polite = "没有这个指令，说“帮助”看看我会什么。"
	r := testRouter(t)
	tests := []struct {
		name    string
		text    string
		private bool
		role    store.Role
		want    string
	}{
		{"word", "签到", false, "", "签到[]"},
		{"other word", "打卡", false, "", "签到[]"},
		{"exclamation mark", "签到！！", false, "", "签到[]"},
		{"blanks around", "  签到\u3000", false, "", "签到[]"},
		{"arguments", "抽奖  3 号 ", false, "", "抽奖[3 号]"},
		{"ideographic blank", "抽奖　奶茶", false, "", "抽奖[奶茶]"},
		{"private in a group", "明细", false, "", "这里人多，请私聊我查看：点我的头像，发消息说“明细”。"},
		{"private in private", "明细", true, "", "明细[]"},
		{"operator's", "/加分 12 5 谢谢", false, store.Staff, "加分[12 5 谢谢]"},
		{"full-width slash", "／加分 12", false, store.Owner, "加分[12]"},
		{"operator's said by a member", "/加分 12 5", false, "", polite},
		{"operator's said by a lesser role", "/加分 12 5", false, store.Analyst, polite},
		{"unknown operator's", "/炸", false, store.Owner, polite},
		{"swapped", "到签", false, "", "你是不是想说 签到？"},
		{"one wrong", "签道", false, "", "你是不是想说 签到？"},
		{"inside a sentence", "我要签到", false, "", "你是不是想说 签到？"},
		{"nothing like it", "今天天气真好啊", false, "", "我没听懂。说“帮助”看看我会什么。"},
		{"nothing at all", "", false, "", "我没听懂。说“帮助”看看我会什么。"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			m := bot.Message{Text: tt.text, ChatID: "wrk1", Addressed: true, Operator: store.Operator{Role: tt.role}}
			if tt.private {
				m.ChatID = ""
			}
			got, err := r.Answer(t.Context(), nil, m, nil)
			if err != nil || got.Text != tt.want {
				t.Errorf("Answer(%q) = %q, %v, want %q", tt.text, got.Text, err, tt.want)
			}
		})
	}
}

func TestOverheardTalkIsNotAnswered(t *testing.T) {
	got, err := testRouter(t).Answer(t.Context(), nil, bot.Message{Text: "签道", ChatID: "wr1"}, nil)
	if err != nil || got.Text != "" {
		t.Errorf("Answer to what was not said to the bot = %q, %v, want nothing", got.Text, err)
	}
}

func TestHelpShowsWhatOneMaySay(t *testing.T) {
	r := testRouter(t)
	member := r.Help(bot.Message{ChatID: "wrk1"})
	if !strings.Contains(member, "签到") || strings.Contains(member, "/加分") || !strings.Contains(member, "明细：看每一笔（私聊）") {
		t.Errorf("a member's help in a group = %q", member)
	}
	operator := r.Help(bot.Message{Operator: store.Operator{Role: store.Staff}})
	if !strings.Contains(operator, "/加分") || strings.Contains(operator, "（私聊）") {
		t.Errorf("an operator's help in private = %q", operator)
	}
}

func TestClashesAreReported(t *testing.T) {
	nothing := func(context.Context, *store.Tx, bot.Message) (bot.Reply, error) { return bot.Reply{}, nil }
	_, err := bot.NewRouter([]bot.Command{
		{Words: []string{"签到"}, Feature: "checkin", Handle: nothing},
		{Words: []string{"打卡", "签到"}, Feature: "other", Handle: nothing},
		{Words: []string{"帮助"}, Feature: "third", Handle: nothing},
	})
	if err == nil || !strings.Contains(err.Error(), "checkin and other both want the command 签到") ||
		!strings.Contains(err.Error(), "help and third both want the command 帮助") {
		t.Errorf("NewRouter = %v, want both clashes", err)
	}
}

func TestStripName(t *testing.T) {
	for text, want := range map[string]string{
		"@小助手 签到":        "签到",
		"@小助手\u2005签到":   "签到",
		"＠小助手　签到":        "签到",
		"@小助手签到":         "签到",
		"签到 @小助手":        "签到",
		"@小王 签到":         "@小王 签到",
		"\u200b@小助手 签到 ": "签到",
		"@小助手":           "",
	} {
		if got := bot.StripName(text, "小助手"); got != want {
			t.Errorf("StripName(%q) = %q, want %q", text, got, want)
		}
	}
}

func FuzzRouter(f *testing.F) {
	r := testRouter(f)
	for _, s := range []string{"签到", "抽奖 3", "@小助手 签到", "／加分 1", "\xff签到", "签\u200b到", strings.Repeat("签", 500)} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		said := bot.StripName(text, "小助手")
		m := bot.Message{Text: said, ChatID: "wrk1", Addressed: true}
		reply, err := r.Answer(t.Context(), nil, m, nil)
		if err != nil || reply.Text == "" {
			t.Errorf("Answer(%q) = %q, %v; whoever speaks to the bot gets an answer", text, reply.Text, err)
		}
		if utf8.ValidString(text) && !utf8.ValidString(reply.Text) {
			t.Errorf("Answer(%q) = %q is not UTF-8", text, reply.Text)
		}
	})
}

func BenchmarkRouterFind(b *testing.B) {
	r := testRouter(b)
	for b.Loop() {
		r.Find("抽奖 今天的奶茶")
	}
}
