package demo

import (
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"slices"
	"time"

	"qunbot/ledger"
	"qunbot/simulator"
	"qunbot/store"
)

const (
	historyDays = 60 // of check-ins
	talkDays    = 7  // of messages with their answers
)

// Fill stores the sample mall and its history up to yesterday, unless it is
// there already. The same now makes the same history.
func Fill(ctx context.Context, db *store.Store, now time.Time) error {
	return db.Update(ctx, func(tx *store.Tx) error {
		malls, err := tx.Malls(tx.Context())
		if err != nil || len(malls) > 0 {
			return err
		}
		w := writer{tx: tx, ctx: tx.Context(), now: now, dice: rand.New(rand.NewPCG(20250315, 8))}
		return w.fill()
	})
}

type writer struct {
	tx      *store.Tx
	ctx     context.Context
	now     time.Time
	dice    *rand.Rand
	answers []store.Answer
	said    []store.Message
	why     []store.Decision
}

func (w *writer) fill() error {
	mall, err := w.tx.MallNamed(w.ctx, MallName)
	if err != nil {
		return err
	}
	homes, err := w.groups(mall)
	if err != nil {
		return err
	}
	for _, p := range staff {
		if err := w.person(p, store.UserID, homes[p.id]); err != nil {
			return err
		}
	}
	for _, p := range customers {
		if err := w.person(p, store.ExternalUserID, homes[p.id]); err != nil {
			return err
		}
	}
	if err := w.news(mall); err != nil {
		return err
	}
	byTime := func(a, b store.Decision) int { return a.SentAt.Compare(b.SentAt) }
	slices.SortFunc(w.why, byTime)
	slices.SortFunc(w.said, func(a, b store.Message) int { return a.SentAt.Compare(b.SentAt) })
	return w.tx.AddAnswers(w.ctx, w.answers, w.said, w.why)
}

// headlines are what the mall's operators wrote for the daily news, and for the
// day after.
var headlines = []string{
	"一楼中庭周末 14:00 亲子手工，扫码报名，满 20 组截止",
	"超市早市 8:00 开门，丹东草莓 19.9 元一盒，每人限两盒",
	"会员日满 200 减 30，积分可以一起用",
}

const tomorrow = "明天起地下二层停车场换新道闸，会员页绑定车牌免排队"

func (w *writer) news(mall store.Mall) error {
	today := store.DayOf(w.now, w.tx.Zone())
	add := func(key string, day store.Day, text string) error {
		_, err := w.tx.AddNewsItem(w.ctx, store.NewsItem{MallID: mall.ID, Day: day, TextKey: key, Text: text, SeenAt: w.now, CreatedAt: w.now})
		return err
	}
	for n, text := range headlines {
		if err := add(fmt.Sprint("demo ", n), today.Add(-1), text); err != nil { // before nine the latest digest is yesterday's
			return err
		}
	}
	return add("demo tomorrow", today.Add(1), tomorrow)
}

// groups stores the groups and returns each person's first one.
func (w *writer) groups(mall store.Mall) (homes map[string]store.Group, err error) {
	homes = map[string]store.Group{}
	began := w.now.AddDate(0, 0, -historyDays-30)
	for _, g := range groups {
		if _, err := w.tx.AddGroup(w.ctx, store.Group{ChatID: g.chatID, Kind: g.kind, Name: g.name, MallID: mall.ID, CreatedAt: began}); err != nil {
			return nil, err
		}
		stored, err := w.tx.GroupsByChat(w.ctx, []string{g.chatID})
		if err != nil {
			return nil, err
		}
		if g.webhook != "" {
			if err := w.tx.SetWebhook(w.ctx, stored[g.chatID].ID, g.webhook, w.now); err != nil {
				return nil, err
			}
		}
		for _, id := range g.members {
			if homes[id].ID == 0 {
				homes[id] = stored[g.chatID]
			}
		}
	}
	return homes, nil
}

// person stores p with two months of check-ins.
func (w *writer) person(p person, kind store.IdentityKind, home store.Group) error {
	joined := w.now.AddDate(0, 0, -historyDays-w.dice.IntN(30))
	members, err := w.tx.MembersOf(w.ctx, []store.Identity{{Kind: kind, Value: p.id}}, joined)
	if err != nil {
		return err
	}
	member := members[0].ID
	if err := w.tx.SetName(w.ctx, member, p.name); err != nil {
		return err
	}
	if err := w.tx.AddGroupMembers(w.ctx, []store.GroupMember{{GroupID: home.ID, MemberID: member, JoinedAt: joined}}); err != nil {
		return err
	}
	if p.operator != "" {
		o := store.Operator{UserID: p.id, Name: p.name, Role: p.operator, CreatedAt: joined}
		if err := w.tx.AddOperator(w.ctx, o); err != nil {
			return err
		}
	}
	_, _, err = ledger.Award(w.ctx, w.tx, ledger.Earning{
		Member: member, Mall: home.MallID, Rule: "welcome", Base: 50, Key: store.Key("welcome", member), Note: "新人礼包", At: joined,
	})
	if err != nil {
		return err
	}
	return w.checkIns(p, kind, member, home)
}

func (w *writer) checkIns(p person, kind store.IdentityKind, member int64, home store.Group) error {
	today := store.DayOf(w.now, w.tx.Zone())
	streak := 0
	for back := historyDays; back > p.pausedFor; back-- {
		if w.dice.Float64() >= p.diligence {
			streak = 0
			continue
		}
		streak++
		day := today.Add(-back)
		at := day.Start(w.tx.Zone()).Add(7*time.Hour + time.Duration(w.dice.IntN(15*60*60))*time.Second).UTC()
		if back == 1 { // yesterday evening, so that the visitor finds a talk
			at = day.Start(w.tx.Zone()).Add(19*time.Hour + time.Duration(w.dice.IntN(3*60*60))*time.Second).UTC()
		}
		_, err := w.tx.AddCheckIn(w.ctx, store.CheckIn{MemberID: member, Day: day, Streak: streak, GroupID: home.ID, At: at})
		if err != nil {
			return err
		}
		points := int64(5)
		if streak > 1 {
			points = 10
		}
		_, balance, err := ledger.Award(w.ctx, w.tx, ledger.Earning{
			Member: member, Mall: home.MallID, Rule: "checkin", Base: points, Key: store.Key("checkin", member, day), At: at,
		})
		if err != nil {
			return err
		}
		if back <= talkDays && home.Kind == store.InternalGroup { // customers check in on the member page
			text := fmt.Sprintf("签到成功！连续 %d 天，积分 +%d，现有 %d 分", streak, points, balance)
			w.talk(home.ID, member, at, "签到", text, "checkin 签到")
		}
	}
	return nil
}

func (w *writer) talk(group, member int64, at time.Time, said, answer, rule string) {
	key := store.Key("demo", member, at.Unix())
	body, _ := json.Marshal(storedReply{Text: answer})
	w.answers = append(w.answers, store.Answer{Key: key, StreamID: "st-" + key, Body: string(body), CreatedAt: at})
	w.said = append(w.said, store.Message{Key: key, GroupID: group, MemberID: member, Text: said, SentAt: at})
	w.why = append(w.why, store.Decision{
		Key: key, Endpoint: "aibot/" + BotName, GroupID: group, MemberID: member,
		Outcome: store.Answered, Rule: rule, SentAt: at, At: at,
	})
}

// storedReply is what the simulator's chat shows of a stored answer.
type storedReply struct {
	Text string `json:"text"`
}

// chatter is what people said among themselves yesterday evening, where no bot
// hears it: minutes after 19:00.
var chatter = []struct {
	chat, who, text string
	minute          int
}{
	{"wrkDEMOstaff", "chenjie", "明天周末，一楼中庭 14:00 试吃活动，大家早点到。", 8},
	{"wrkDEMOstaff", "sunli", "收到，物料下午已经到了。", 11},
	{"wrkDEMOstaff", "wuting", "我这边排了两个人。", 16},
	{"wrkDEMOfresh", "liqiang", "今天的草莓好甜，谁订的货？", 21},
	{"wrkDEMOfresh", "xuna", "哈哈，是我盯的，明天还有。", 24},
	{"wrDEMOfans", "linyue", "各位邻居，周末满 200 减 30，会员页签到还能攒积分。", 30},
	{"wrDEMOfans", "wmDEMO0001", "会员页点哪里？", 33},
	{"wrDEMOfans", "linyue", "群置顶第一条就是，点开直接签到。", 34},
	{"wrDEMOfans", "wmDEMO0002", "签到了，连着一个多月啦 😄", 41},
	{"wrDEMOfans", "wmDEMO0005", "积分能换停车券吗", 47},
}

// Lines returns the talk of the last days for the simulator: what the store
// knows was said to the bot, and the people's chatter around it.
func Lines(ctx context.Context, db *store.Store, now time.Time) ([]simulator.Line, error) {
	var lines []simulator.Line
	evening := store.DayOf(now, db.Zone()).Add(-1).Start(db.Zone()).Add(19 * time.Hour)
	for _, c := range chatter {
		lines = append(lines, simulator.Line{Chat: c.chat, Who: c.who, Text: c.text, At: evening.Add(time.Duration(c.minute) * time.Minute)})
	}
	err := db.View(ctx, func(tx *store.Tx) error {
		heard, err := tx.Decisions(tx.Context(), store.DecisionFilter{Limit: 200})
		if err != nil {
			return err
		}
		spoken, err := linesOf(tx, heard)
		lines = append(lines, spoken...)
		return err
	})
	slices.SortStableFunc(lines, func(a, b simulator.Line) int { return a.At.Compare(b.At) })
	return lines, err
}

// linesOf returns messages and the bot's answers to them.
func linesOf(tx *store.Tx, heard []store.ExplainedMessage) ([]simulator.Line, error) {
	var keys []string
	var members []int64
	for _, m := range heard {
		keys = append(keys, m.Key)
		members = append(members, m.MemberID)
	}
	answers, err := tx.Answers(tx.Context(), keys)
	if err != nil {
		return nil, err
	}
	who, err := tx.IdentitiesOf(tx.Context(), members)
	if err != nil {
		return nil, err
	}
	chats, err := chatIDs(tx)
	if err != nil {
		return nil, err
	}
	var lines []simulator.Line
	for _, m := range heard {
		chat, with, text := chats[m.GroupID], "", "@"+BotTitle+" "+m.Text
		if m.GroupID == 0 {
			chat, with, text = "single", who[m.MemberID].Value, m.Text
		}
		if m.Text == "" || chat == "" || who[m.MemberID].Value == "" {
			continue
		}
		lines = append(lines, simulator.Line{Chat: chat, Who: who[m.MemberID].Value, With: with, Text: text, At: m.SentAt})
		var reply storedReply
		if err := json.Unmarshal([]byte(answers[m.Key].Body), &reply); err == nil && reply.Text != "" {
			lines = append(lines, simulator.Line{Chat: chat, Who: BotName, With: with, Text: reply.Text, At: m.SentAt.Add(time.Second)})
		}
	}
	return lines, nil
}

// chatIDs returns the platform's ids of the sample mall's groups.
func chatIDs(tx *store.Tx) (map[int64]string, error) {
	var chats []string
	for _, g := range groups {
		chats = append(chats, g.chatID)
	}
	stored, err := tx.GroupsByChat(tx.Context(), chats)
	ids := map[int64]string{}
	for chat, g := range stored {
		ids[g.ID] = chat
	}
	return ids, err
}
