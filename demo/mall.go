// Package demo is the sample mall: its people and groups for the simulator,
// and two months of plausible history for the store.
package demo

import (
	"qunbot/simulator"
	"qunbot/store"
)

// What the sample mall is called, and its bot.
const (
	MallName = "南湖天地"
	BotName  = "helper"
	BotTitle = "小助手"

	KFAccount = "wkDEMO0001" // open_kfid of its 微信客服
)

// A group of the sample mall.
type group struct {
	chatID, name string
	kind         store.GroupKind
	members      []string // ids of people
	notice       string
	webhook      string // key of the group robot that posts there; empty: none
}

// person is somebody of the sample mall.
type person struct {
	id, name  string
	role      string     // what the simulator shows behind the name
	operator  store.Role // zero for members
	diligence float64    // chance of a check-in a day; 0: never came
	pausedFor int        // days before today on which nobody saw them
}

// Visitor is who a visitor of the demo is at first: somebody with a long
// streak who forgot yesterday, so that both 签到 and 补签 show what they do.
const Visitor = "wangfang"

// staff are members of the corp, customers are WeChat users.
var staff = []person{
	{id: Visitor, name: "王芳", diligence: 1, pausedFor: 1},
	{id: "linyue", name: "林悦", role: "运营", operator: store.Staff, diligence: 0.9},
	{id: "chenjie", name: "陈杰", role: "店长", operator: store.Owner, diligence: 0.7},
	{id: "zhaolei", name: "赵磊", diligence: 0.95},
	{id: "sunli", name: "孙丽", diligence: 0.85},
	{id: "zhouwei", name: "周伟", diligence: 0.6},
	{id: "wuting", name: "吴婷", diligence: 0.98},
	{id: "zhengkai", name: "郑凯", diligence: 0.4},
	{id: "fengxue", name: "冯雪", diligence: 0.75},
	{id: "hanmei", name: "韩梅", diligence: 0.5},
	{id: "liqiang", name: "李强", diligence: 0.8},
	{id: "xuna", name: "许娜", diligence: 0.9},
	{id: "hejun", name: "何军", diligence: 0.3, pausedFor: 20},
	{id: "luoyan", name: "罗艳", diligence: 0.65},
	{id: "gaofei", name: "高飞", diligence: 0.7},
}

var customers = []person{
	{id: "wmDEMO0001", name: "乐乐妈妈", diligence: 0.9},
	{id: "wmDEMO0002", name: "南湖老张", diligence: 0.95},
	{id: "wmDEMO0003", name: "一颗小白菜", diligence: 0.6},
	{id: "wmDEMO0004", name: "阿宽", diligence: 0.5},
	{id: "wmDEMO0005", name: "Momo", diligence: 0.8},
	{id: "wmDEMO0006", name: "朵朵爸", diligence: 0.4},
	{id: "wmDEMO0007", name: "静静", diligence: 0.85},
	{id: "wmDEMO0008", name: "会飞的鱼", diligence: 0.3, pausedFor: 35},
	{id: "wmDEMO0009", name: "小满", diligence: 0.7},
	{id: "wmDEMO0010", name: "周末去哪儿", diligence: 0.55},
	{id: "wmDEMO0011", name: "橙子", diligence: 0.75},
	{id: "wmDEMO0012", name: "老李家的猫", diligence: 0.65},
	{id: "wmDEMO0013", name: "晴天", diligence: 0.9},
	{id: "wmDEMO0014", name: "团团", diligence: 0.2, pausedFor: 12},
	{id: "wmDEMO0015", name: "苏苏", diligence: 0.45},
}

var groups = []group{
	{
		chatID: "wrkDEMOstaff", name: "南湖天地·店员福利群", kind: store.InternalGroup,
		members: []string{Visitor, "linyue", "chenjie", "zhaolei", "sunli", "zhouwei", "wuting", "zhengkai", "fengxue", "hanmei"},
		notice:  "每天说一声“@小助手 签到”，积分能换咖啡券。",
		webhook: "DEMO-WEBHOOK-staff",
	},
	{
		chatID: "wrkDEMOfresh", name: "南湖超市·生鲜试吃群", kind: store.InternalGroup,
		members: []string{Visitor, "linyue", "liqiang", "xuna", "hejun", "luoyan", "gaofei"},
		notice:  "周三试吃，先到先得。",
		webhook: "DEMO-WEBHOOK-fresh",
	},
	{
		chatID: "wrDEMOfans", name: "南湖天地 粉丝 1 群", kind: store.CustomerGroup,
		members: ids(append([]person{{id: Visitor}, {id: "linyue"}, {id: "chenjie"}}, customers...)),
		notice:  "签到、积分、抽奖都在置顶的会员页里。",
	},
}

func ids(people []person) []string {
	list := make([]string, len(people))
	for i, p := range people {
		list[i] = p.id
	}
	return list
}

// People returns everybody of the sample mall, the visitor first.
func People() []simulator.Person {
	var list []simulator.Person
	for _, p := range staff {
		list = append(list, simulator.Person{ID: p.id, Kind: simulator.Member, Name: p.name, Role: p.role})
	}
	for _, p := range customers {
		list = append(list, simulator.Person{ID: p.id, Kind: simulator.Customer, Name: p.name})
	}
	return list
}

// Chats returns the groups, and a 1:1 chat with the bot. memberPage is the
// address that the customer group has pinned.
func Chats(memberPage string) []simulator.Chat {
	kinds := map[store.GroupKind]simulator.ChatKind{
		store.InternalGroup: simulator.Internal,
		store.CustomerGroup: simulator.CustomerGroup,
	}
	var chats []simulator.Chat
	for _, g := range groups {
		c := simulator.Chat{
			ID: g.chatID, Name: g.name, Kind: kinds[g.kind], Members: g.members, Notice: g.notice,
			WebhookKey: g.webhook, WebhookName: "播报",
		}
		if g.kind == store.InternalGroup {
			c.Bot = BotName
		} else {
			c.Pinned = simulator.Link{Title: "会员页：签到、积分", URL: memberPage}
		}
		chats = append(chats, c)
	}
	return append(chats, simulator.Chat{ID: "single", Name: BotTitle, Kind: simulator.Single, Bot: BotName})
}

// Chips are what a visitor may say with one tap.
func Chips() []string {
	return []string{"签到", "积分", "补签", "抽奖", "抽奖 1", "排行榜", "帮助"}
}

// A Saying is something that somebody of the mall says to the bot.
type Saying struct{ Chat, Who, Text string }

// DrawOpens is how the running draw of the demo begins: the shop's head makes
// it, to close at deadline (HH:MM), and some enter at once.
func DrawOpens(deadline string) []Saying {
	chat := groups[0].chatID
	sayings := []Saying{{chat, "chenjie", "/抽奖 新建 周末奶茶 奖品 奶茶券 x2 15元 奖品 帆布袋 x1 39元 截止 " + deadline}}
	for _, who := range []string{"linyue", "zhaolei", "sunli", "zhouwei", "wuting", "fengxue"} {
		sayings = append(sayings, Saying{chat, who, "抽奖 1"})
	}
	return sayings
}
