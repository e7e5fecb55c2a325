package draw

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"qunbot/store"
	"qunbot/web/console"
	"qunbot/web/style"
)

// claimPage is where a clerk hands prizes out: type or scan a claim code, look,
// write off.
func (f *feature) claimPage() console.Page {
	return console.Page{
		Path: "/claims", Title: "核销", Purpose: "扫会员的领奖码，或输入 10 位领奖码，核对后发奖。", Group: console.Daily, Menu: "抽奖", Icon: "shop",
		Role: store.Clerk, FS: files, Template: "console_claim.html", Style: "console.css", Load: f.loadClaim, Post: f.postClaim,
	}
}

// claimData is what the clerk sees.
type claimData struct {
	Code    string
	Problem string // why there is no prize to show
	Found   bool
	Ready   bool // it can be handed out
	Prize   string
	Value   string
	Draw    string
	Winner  string // masked
	Entry   int
	State   string
	Until   string
}

func (f *feature) loadClaim(ctx context.Context, tx *store.Tx, v console.Visit) (any, error) {
	typed := v.Query.Get("code")
	if v.Form != nil {
		typed = v.Value("code")
	}
	data := claimData{Code: cleanCode(typed)}
	if data.Code == "" {
		return data, nil
	}
	p, err := f.lookUpCode(ctx, tx, data.Code)
	if no, refused := errors.AsType[refusal](err); refused {
		data.Problem = string(no)
		return data, nil
	}
	if err != nil {
		return nil, err
	}
	var ids []int64
	if p.MemberID != nil {
		ids = append(ids, *p.MemberID)
	}
	names, err := tx.Names(ctx, ids)
	if err != nil {
		return nil, err
	}
	data.Found, data.Ready = true, p.Claimable(v.Now)
	data.Prize, data.Value, data.Draw = p.What.Name, valueWords(p.What), fmt.Sprintf("%s（#%d）", p.Draw.Name, p.Draw.Number)
	data.Winner, data.Entry, data.Until = maskedName(names, p.MemberID), p.Entry, f.dayWords(p.LastDay(f.Zone))
	switch {
	case data.Ready:
		data.State = "可以领取"
	case p.State == store.WinClaimed:
		data.State = p.ClaimedAt.In(f.Zone).Format("1月2日 15:04") + " 已经领走"
	default:
		data.State = "过期，不能领了"
	}
	return data, nil
}

func (f *feature) postClaim(ctx context.Context, tx *store.Tx, v console.Visit) (console.Result, error) {
	p, err := f.writeOff(ctx, tx, v.Value("code"), v.Operator.ID, v.Now)
	if no, refused := errors.AsType[refusal](err); refused {
		return console.Result{}, console.Invalid("", string(no))
	}
	if err != nil {
		return console.Result{}, err
	}
	return console.Result{
		Action: "抽奖 核销", Object: fmt.Sprintf("prize %d", p.ID), Detail: fmt.Sprintf("%s，%s（#%d）", p.What.Name, p.Draw.Name, p.Draw.Number),
		Redirect: "/console/claims", Message: fmt.Sprintf("已核销：%s（%s #%d）", p.What.Name, p.Draw.Name, p.Draw.Number),
	}, nil
}

// limitsPage is where managers change what all draws to come may be.
func (f *feature) limitsPage() console.Page {
	return console.Page{
		Path: "/draws/limits", Title: "抽奖的上限", Purpose: "只管以后新建的抽奖。", Role: store.Analyst, Change: store.Manager,
		FS: files, Template: "console_limits.html", Load: f.loadLimits, Post: f.postLimits,
	}
}

func (f *feature) loadLimits(ctx context.Context, tx *store.Tx, v console.Visit) (any, error) {
	l, err := f.limits(ctx, tx)
	return struct {
		Fields console.Fields
		Change bool
	}{v.Fields("max_value", strings.TrimSuffix(strings.TrimPrefix(style.Yuan(l.MaxValueFen), "¥"), ".00"), "claim_days", l.ClaimDays),
		v.Operator.Role.Covers(store.Manager)}, err
}

func (f *feature) postLimits(ctx context.Context, tx *store.Tx, v console.Visit) (console.Result, error) {
	var l Limits
	fen, ok := parseYuan(v.Value("max_value"))
	if !ok {
		return console.Result{}, console.Invalid("max_value", "写成金额，例如 50000")
	}
	l.MaxValueFen = int64(fen)
	var err error
	if l.ClaimDays, err = strconv.Atoi(narrow(v.Value("claim_days"))); err != nil {
		return console.Result{}, console.Invalid("claim_days", "要写天数，例如 7")
	}
	if field, problem := l.check(); problem != "" {
		return console.Result{}, console.Invalid(field, problem)
	}
	if err := tx.SetSetting(ctx, "draw", l); err != nil {
		return console.Result{}, err
	}
	return console.Result{Object: "抽奖的上限", Detail: fmt.Sprintf("%+v", l), Message: "已保存，以后新建的抽奖按这个来"}, nil
}
