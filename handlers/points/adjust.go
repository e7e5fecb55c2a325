package points

import (
	"context"
	"errors"
	"strconv"
	"strings"
	"unicode/utf8"

	"qunbot/bot"
	"qunbot/ledger"
	"qunbot/store"
)

// maxAdjustment is the most points that /加分 may move at once.
const maxAdjustment = 100_000

// An adjustment is what /加分 asks for.
type adjustment struct {
	who    string // userid, external userid or member number
	points int64  // negative: taken away
	reason string
}

const adjustUsage = "格式：/加分 <userid 或会员号> <分数> <原因>，例如 /加分 12 50 活动补发。分数在 -100000 到 100000 之间，不能是 0。"

// parseAdjustment reads what was said behind /加分, or says what is wrong.
func parseAdjustment(args string) (a adjustment, problem string) {
	words := strings.Fields(args)
	if len(words) < 3 {
		return a, adjustUsage
	}
	points, err := strconv.ParseInt(bot.Fold(words[1]), 10, 64)
	if err != nil || points == 0 || points < -maxAdjustment || points > maxAdjustment {
		return a, adjustUsage
	}
	a = adjustment{words[0], points, strings.Join(words[2:], " ")}
	if utf8.RuneCountInString(a.reason) > 100 {
		return a, "原因太长，最多 100 个字。"
	}
	return a, ""
}

// adjust answers /加分.
func (f *feature) adjust(ctx context.Context, tx *store.Tx, m bot.Message) (bot.Reply, error) {
	a, problem := parseAdjustment(bot.Args(ctx))
	if problem != "" {
		return bot.Reply{Text: problem}, nil
	}
	member, err := findMember(ctx, tx, a.who)
	if errors.Is(err, store.ErrNotFound) {
		return bot.Textf("没有会员 %s：请写 userid 或会员号，后台“会员”里能查到。", a.who), nil
	}
	if err != nil {
		return bot.Reply{}, err
	}
	key := store.Key("adjust", m.Key)
	var balance int64
	if a.points > 0 {
		_, balance, err = ledger.Award(ctx, tx, ledger.Earning{
			Member: member.ID, Mall: m.Group.MallID, Rule: "adjust", Base: a.points, Key: key, Note: a.reason, At: m.SentAt,
		})
	} else {
		balance, err = ledger.Spend(ctx, tx, ledger.Spending{
			Member: member.ID, Mall: m.Group.MallID, Rule: "adjust", Points: -a.points, Key: key, Note: a.reason, At: m.SentAt,
		})
	}
	if errors.Is(err, ledger.ErrInsufficient) {
		return bot.Textf("%s 只有 %d 分，扣不了 %d 分。", bot.Name(member.ID), balance, -a.points), nil
	}
	if err != nil {
		return bot.Reply{}, err
	}
	err = tx.AddAudit(ctx, store.Audit{
		OperatorID: m.Operator.ID, Action: "/加分", Object: "member " + strconv.FormatInt(member.ID, 10),
		Detail: strconv.FormatInt(a.points, 10) + " " + a.reason, At: m.SentAt,
	})
	return bot.Textf("已给 %s %+d 分，现有 %d 分。原因：%s", bot.Name(member.ID), a.points, balance, a.reason), err
}

// findMember returns the member who is meant: a userid, a customer's id, or a
// member number.
func findMember(ctx context.Context, tx *store.Tx, who string) (store.Member, error) {
	for _, kind := range []store.IdentityKind{store.UserID, store.ExternalUserID} {
		m, err := tx.MemberByIdentity(ctx, kind, who)
		if !errors.Is(err, store.ErrNotFound) {
			return m, err
		}
	}
	id, err := strconv.ParseInt(bot.Fold(who), 10, 64)
	if err != nil {
		return store.Member{}, store.ErrNotFound
	}
	return tx.Member(ctx, id)
}
