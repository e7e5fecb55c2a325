package review

import (
	"context"
	"strconv"

	"qunbot/store"
	"qunbot/web/portal"
)

// memberPage shows a member's strikes, and takes appeals.
func (f *feature) memberPage() portal.Page {
	return portal.Page{
		Path: "/appeal", Title: "违规和申诉",
		FS: files, Template: "portal.html", Load: f.loadMember, Post: f.memberAppeal, Card: f.card,
	}
}

type memberData struct {
	Complaints []complaint
	Choices    []portal.Option // strikes against which an appeal is possible
	Fields     portal.Fields
	Left       int64 // appeals that may be made today
}

func (f *feature) loadMember(ctx context.Context, tx *store.Tx, v portal.Visit) (any, error) {
	list, err := f.complaints(ctx, tx, v.Member.ID, v.Now)
	if err != nil {
		return nil, err
	}
	data := memberData{Complaints: list, Fields: v.Fields("strike", "", "text", "")}
	for _, c := range list {
		if c.Open() {
			data.Choices = append(data.Choices, portal.Option{Value: strconv.FormatInt(c.ID, 10), Label: f.moment(c.At) + " 在" + c.Where + "，" + c.Led()})
		}
	}
	today, err := tx.CountAppeals(ctx, store.AppealFilter{MemberID: v.Member.ID, Since: store.DayOf(v.Now, f.Zone).Start(f.Zone)})
	data.Left = max(0, appealsADay-today)
	return data, err
}

// memberAppeal makes an appeal.
func (f *feature) memberAppeal(ctx context.Context, tx *store.Tx, v portal.Visit) (portal.Result, error) {
	strike, err := strconv.ParseInt(v.Value("strike"), 10, 64)
	if err != nil {
		return portal.Result{}, portal.Invalid("strike", "请选一次违规。")
	}
	_, problem, err := f.submit(ctx, tx, v.Member.ID, strike, v.Value("text"), v.Now)
	if err == nil && problem != "" {
		err = portal.Invalid("text", problem)
	}
	return portal.Result{Message: "已收到，运营会再看一遍，结果会出现在这里。"}, err
}

// card leads members who have strikes to the page.
func (f *feature) card(ctx context.Context, tx *store.Tx, v portal.Visit) (portal.Card, error) {
	list, err := f.complaints(ctx, tx, v.Member.ID, v.Now)
	if err != nil || len(list) == 0 {
		return portal.Card{}, err
	}
	text := "最近一次：" + f.moment(list[0].At) + "，" + list[0].Led() + "。"
	if answer := list[0].Answer(); answer != "" {
		text += answer + "。"
	} else if list[0].Open() {
		text += "觉得冤枉可以申诉。"
	}
	return portal.Card{Title: "违规和申诉", Text: text, Link: "/m/appeal", Action: "查看"}, nil
}
