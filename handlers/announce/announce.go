// Package announce posts what operators want to say now: /公告 in a group posts
// there, in a 1:1 chat into the group whose number is given, and the console
// into several groups at once. What holds a sensitive word waits until a second
// person has approved it.
package announce

import (
	"context"
	"embed"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
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
		Console:  []console.Page{f.page()},
		Approved: map[string]handlers.Approved{item: f.approved},
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
	if problem := check(text, g); problem != "" {
		return bot.Reply{Text: problem}, nil
	}
	wanted := order{text: text, groups: []store.Group{g}, key: store.Key("announce", m.Key), author: m.Operator.ID, at: m.SentAt}
	waits, err := f.place(ctx, tx, wanted)
	if err != nil {
		return bot.Reply{}, err
	}
	err = tx.AddAudit(ctx, store.Audit{
		OperatorID: m.Operator.ID, Action: "/公告", Object: "group " + strconv.FormatInt(g.ID, 10), Detail: text + waits.note(), At: m.SentAt,
	})
	switch {
	case waits.ID != 0:
		return bot.Textf("里面有敏感词，还没有发。要另一位经理看过：后台“待审” #%d，24 小时内有效。", waits.ID), err
	case m.Private():
		return bot.Textf("好，马上发到“%s”。", nameOf(g)), err
	}
	return bot.Textf("好，马上发。"), err
}

// An order is an announcement that somebody wants.
type order struct {
	text   string
	groups []store.Group // all can be posted to
	key    string        // no other order has it
	author int64         // operator
	at     time.Time
}

// An approval is what an announcement waits for; zero: it does not wait.
type approval store.Approval

// note says so for the audit trail.
func (a approval) note() string {
	if a.ID == 0 {
		return ""
	}
	return fmt.Sprintf("（等第二个人通过：#%d）", a.ID)
}

// place posts an announcement, or lets it wait for a second person.
func (f *feature) place(ctx context.Context, tx *store.Tx, o order) (waits approval, err error) {
	var ids []int64
	for _, g := range o.groups {
		ids = append(ids, g.ID)
	}
	data, err := json.Marshal(ids)
	if err != nil {
		return waits, err
	}
	title := fmt.Sprintf("发到 %d 个群的公告", len(ids))
	if len(ids) == 1 {
		title = "发到“" + nameOf(o.groups[0]) + "”的公告"
	}
	c, err := f.Clears(ctx, tx, handlers.Outgoing{
		Kind: item, Object: o.key, Title: title, Text: o.text, Groups: ids, Author: o.author, Data: string(data),
		Link: "/console/monthly/announce", Until: o.at.Add(lifetime), Ask: true,
	})
	if err != nil {
		return waits, err
	}
	if !c.Free() {
		return approval(c.Approval), nil
	}
	for _, g := range o.groups {
		if err := push(ctx, tx, g, o.text, store.Key(o.key, g.ID), o.at); err != nil {
			return waits, err
		}
	}
	return waits, nil
}

// approved posts an announcement that waited into those of its groups that can
// be posted to now.
func (f *feature) approved(ctx context.Context, tx *store.Tx, a store.Approval, now time.Time) (done string, err error) {
	var ids []int64
	if err := json.Unmarshal([]byte(a.Data), &ids); err != nil {
		return "", fmt.Errorf("read groups of approval %d: %w", a.ID, err)
	}
	groups, err := tx.Groups(ctx)
	if err != nil {
		return "", err
	}
	n := 0
	for _, g := range groups {
		if !slices.Contains(ids, g.ID) || g.Lane() == "" {
			continue
		}
		if err := push(ctx, tx, g, a.Text, store.Key("announce approved", a.ID, g.ID), now); err != nil {
			return "", err
		}
		n++
	}
	switch {
	case n == 0:
		return "", handlers.Void("选的群现在都发不了：没有消息推送机器人。")
	case n < len(ids):
		return fmt.Sprintf("马上发到 %d 个群，另有 %d 个现在发不了。", n, len(ids)-n), nil
	}
	return fmt.Sprintf("马上发到 %d 个群。", n), nil
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

// item is what announcements are called in the outbox, and where they wait for
// a second person.
const item = "announce"

// check says why text cannot be posted into a group; empty if it can.
func check(text string, g store.Group) string {
	if g.Lane() == "" {
		return "“" + nameOf(g) + "”还发不了公告：它没有消息推送机器人。在企业微信的群里添加“消息推送”，" +
			"把它的 Webhook 地址填到后台“群”里这个群的页面，再试一次。"
	}
	return checkLength(text)
}

// checkLength says that text is too long to be posted; empty if it is not.
func checkLength(text string) string {
	if len(text) > maxPost {
		return fmt.Sprintf("太长了：有 %d 字节，最多 %d（大约 %d 个汉字）。请分成几条。", len(text), maxPost, maxPost/3)
	}
	return ""
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
