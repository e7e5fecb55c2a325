package points

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"qunbot/bot"
	"qunbot/store"
)

// rankedMembers is how many places 排行榜 shows.
const rankedMembers = 10

// ranking answers 排行榜: this group's members, or with 商场 and in a 1:1 chat
// those of the malls' groups.
func (f *feature) ranking(ctx context.Context, tx *store.Tx, m bot.Message) (bot.Reply, error) {
	words := strings.Fields(bot.Args(ctx))
	circle, whose := store.Circle{GroupID: m.Group.ID}, "本群"
	if m.Private() {
		circle, whose = store.Circle{}, ""
	}
	if i := slices.Index(words, "商场"); i >= 0 {
		words = slices.Delete(words, i, i+1)
		circle, whose = store.Circle{MallID: m.Group.MallID}, "商场"
	}
	kind := "本月"
	if len(words) > 0 {
		kind = words[0]
	}
	today := store.DayOf(m.SentAt, f.Zone)
	var list []store.Rank
	var err error
	var title, unit string
	switch kind {
	case "本月":
		title, unit = "本月得分", "分"
		list, err = tx.RankEarned(ctx, circle, monthStart(m.SentAt, f.Zone), rankedMembers)
	case "积分":
		title, unit = "积分", "分"
		list, err = tx.RankBalances(ctx, circle, rankedMembers)
	case "连续", "签到":
		title, unit = "连续签到", "天"
		list, err = tx.RankStreaks(ctx, circle, today, rankedMembers)
	default:
		return bot.Textf("排行榜有三种：排行榜 本月、排行榜 积分、排行榜 连续；后面加“商场”看全商场。"), nil
	}
	if err != nil {
		return bot.Reply{}, err
	}
	if len(list) == 0 {
		return bot.Textf("%s%s排行榜还是空的，说“签到”就能上榜。", whose, title), nil
	}
	return bot.Reply{Text: whose + title + "排行榜" + places(list, unit, m.Member.ID)}, nil
}

func monthStart(t time.Time, zone *time.Location) time.Time {
	y, month, _ := t.In(zone).Date()
	return time.Date(y, month, 1, 0, 0, 0, 0, zone).UTC()
}

// places writes a ranking; members with the same value share a place.
func places(list []store.Rank, unit string, me int64) string {
	var b strings.Builder
	place := 0
	for i, r := range list {
		if i == 0 || r.Value != list[i-1].Value {
			place = i + 1
		}
		fmt.Fprintf(&b, "\n%d. %s %d %s", place, bot.Name(r.MemberID), r.Value, unit)
		if r.MemberID == me {
			b.WriteString(" ← 你")
		}
	}
	return b.String()
}
