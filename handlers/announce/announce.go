// Package announce posts what operators want to say now: /公告 in a group posts
// there, in a 1:1 chat into the group whose number is given, and the console
// into several groups at once.
package announce

import (
	"context"
	"embed"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"qunbot/bot"
	"qunbot/handlers"
	"qunbot/store"
	"qunbot/web/console"
)

//go:embed *.html *.css
var files embed.FS

type feature struct{ handlers.Deps }

// New returns the announcements.
func New(d handlers.Deps) handlers.Feature {
	f := &feature{d}
	return handlers.Feature{
		Name: "announce",
		Commands: []bot.Command{{
			Words: []string{"/公告"}, Usage: "<文字>", Help: "马上发到这个群；私聊里写 /公告 <群号> <文字>",
			Role: store.Staff, Handle: f.announce,
		}},
		Console: []console.Page{f.page()},
	}
}

// announce answers /公告.
func (f *feature) announce(ctx context.Context, tx *store.Tx, m bot.Message) (bot.Reply, error) {
	text := plain(bot.Args(ctx))
	if m.Private() {
		return f.announcePrivately(ctx, tx, m, text)
	}
	if text == "" {
		return bot.Textf("写上要说的话：/公告 <文字>，例如 /公告 今晚 20:00 一楼中庭抽奖"), nil
	}
	return f.announceIn(ctx, tx, m, m.Group, text)
}

// announcePrivately posts into the group whose number stands before the text,
// or asks which one.
func (f *feature) announcePrivately(ctx context.Context, tx *store.Tx, m bot.Message, text string) (bot.Reply, error) {
	number, rest := cutNumber(text)
	if number == 0 {
		return f.askWhich(ctx, tx, "")
	}
	g, err := tx.Group(ctx, number)
	if errors.Is(err, store.ErrNotFound) {
		return f.askWhich(ctx, tx, fmt.Sprintf("没有 %d 号群。", number))
	}
	if err != nil {
		return bot.Reply{}, err
	}
	if rest == "" {
		return bot.Textf("%d 号是“%s”。再写上要说的话：/公告 %d <文字>", g.ID, nameOf(g), g.ID), nil
	}
	return f.announceIn(ctx, tx, m, g, rest)
}

// listed is how many groups a list in the chat holds.
const listed = 40

// askWhich lists the groups by mall with their numbers.
func (f *feature) askWhich(ctx context.Context, tx *store.Tx, why string) (bot.Reply, error) {
	malls, groups, err := mallsAndGroups(ctx, tx)
	if err != nil {
		return bot.Reply{}, err
	}
	if len(groups) == 0 {
		return bot.Textf("还没有群。把我加进一个群，@我 说一句话，它就有了。"), nil
	}
	var b strings.Builder
	b.WriteString(why + "发到哪个群？写 /公告 <群号> <文字>，例如 /公告 " + strconv.FormatInt(groups[0].ID, 10) + " 今晚 20:00 抽奖")
	shown := 0
	for _, mall := range malls {
		heading := "\n" + mall.Name
		for _, g := range groups {
			if g.MallID != mall.ID || shown == listed {
				continue
			}
			b.WriteString(heading)
			heading = ""
			fmt.Fprintf(&b, "\n%d  %s", g.ID, nameOf(g))
			if g.Lane() == "" {
				b.WriteString("（还不能发）")
			}
			shown++
		}
	}
	if rest := len(groups) - shown; rest > 0 {
		fmt.Fprintf(&b, "\n还有 %d 个群，在后台“活动文案”里的“发一条公告”能选。", rest)
	}
	return bot.Reply{Text: b.String()}, nil
}

// announceIn posts text into one group and notes who wanted it.
func (f *feature) announceIn(ctx context.Context, tx *store.Tx, m bot.Message, g store.Group, text string) (bot.Reply, error) {
	if problem := f.check(text, g); problem != "" {
		return bot.Reply{Text: problem}, nil
	}
	if err := push(ctx, tx, g, text, store.Key("announce", m.Key, g.ID), m.SentAt); err != nil {
		return bot.Reply{}, err
	}
	err := tx.AddAudit(ctx, store.Audit{
		OperatorID: m.Operator.ID, Action: "/公告", Object: "group " + strconv.FormatInt(g.ID, 10), Detail: text, At: m.SentAt,
	})
	if m.Private() {
		return bot.Textf("好，马上发到“%s”。", nameOf(g)), err
	}
	return bot.Textf("好，马上发。"), err
}

// lifetime is how long an announcement that cannot be sent is still of use.
const lifetime = 24 * time.Hour

// push makes text leave for a group. The same key leaves once.
func push(ctx context.Context, tx *store.Tx, g store.Group, text, key string, now time.Time) error {
	return bot.Push(ctx, tx, bot.Post{
		Key: key, Lane: g.Lane(), Reply: bot.Reply{Text: text}, Delivery: bot.AtLeastOnce,
		Expires: now.Add(lifetime), Item: item,
	})
}

// item is what announcements are called in the outbox.
const item = "announce"

// check says why text cannot be posted into a group; empty if it can.
func (f *feature) check(text string, g store.Group) string {
	if g.Lane() == "" {
		return "“" + nameOf(g) + "”还发不了公告：它没有消息推送机器人。在企业微信的群里添加“消息推送”，" +
			"把它的 Webhook 地址填到后台“群”里这个群的页面，再试一次。"
	}
	return f.checkText(text, g.ID)
}

// checkText says why text cannot be posted; empty if it can. group 0 stands for
// all groups.
func (f *feature) checkText(text string, group int64) string {
	if len(text) > maxPost {
		return fmt.Sprintf("太长了：有 %d 字节，最多 %d（大约 %d 个汉字）。请分成几条。", len(text), maxPost, maxPost/3)
	}
	if word := f.hit(group, text); word != "" {
		return "含有敏感词“" + word + "”，没有发。请换个说法。"
	}
	return ""
}

// hit returns the first word of the word list that stands in text, with the
// words of one group (0: those of all groups); empty if there is none.
func (f *feature) hit(group int64, text string) string {
	key := ""
	if group != 0 {
		key = strconv.FormatInt(group, 10)
	}
	hits := f.Words.Scan(key, text, nil)
	if len(hits) == 0 {
		return ""
	}
	return hits[0].Word.Text
}

// mallsAndGroups returns the malls, last one for groups without a mall, and all
// groups.
func mallsAndGroups(ctx context.Context, tx *store.Tx) ([]store.Mall, []store.Group, error) {
	malls, err := tx.Malls(ctx)
	if err != nil {
		return nil, nil, err
	}
	groups, err := tx.Groups(ctx)
	return append(malls, store.Mall{Name: "没有商场的群"}), groups, err
}
