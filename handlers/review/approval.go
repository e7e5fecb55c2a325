package review

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"qunbot/handlers"
	"qunbot/store"
	"qunbot/web/console"
)

const (
	maxReason  = 200 // characters
	maxWaiting = 100 // texts that wait, on the page
	overdue    = 100 // approvals a transaction expires
)

// Clear returns what Deps.Clear is to be. Of c it needs Held, and uses Notify
// and PublicURL.
func Clear(d handlers.Deps, c Config) func(ctx context.Context, tx *store.Tx, o handlers.Outgoing) (handlers.Clearance, error) {
	return newFeature(d, c).clear
}

// clear says whether a text may go out. An approval is for one text of one
// object: another text needs another.
func (f *feature) clear(ctx context.Context, tx *store.Tx, o handlers.Outgoing) (handlers.Clearance, error) {
	words, err := f.Held(ctx, tx, o.Groups, o.Text)
	if err != nil || len(words) == 0 {
		return handlers.Clearance{}, err
	}
	held := handlers.Clearance{Hits: store.Clip(strings.Join(words, "、"), 900)}
	a := f.requestOf(o, held.Hits)
	stored, err := tx.ApprovalByKey(ctx, a.Key)
	missing := errors.Is(err, store.ErrNotFound)
	if err != nil && !missing {
		return held, err
	}
	ask := o.Ask && (o.Until.IsZero() || o.Until.After(a.AskedAt))
	switch {
	case missing && !ask:
		return held, nil
	case missing:
		var added bool
		if stored, added, err = tx.AddApproval(ctx, a); err != nil {
			return held, err
		}
		if added {
			err = f.tellStaff(ctx, tx, stored)
		}
	case stored.State == store.Expired && ask:
		a.ID = stored.ID
		again, err := tx.AskAgain(ctx, a)
		if err != nil {
			return held, err
		}
		if again {
			stored = a
			stored.State = store.Waiting
			if err := f.tellStaff(ctx, tx, stored); err != nil {
				return held, err
			}
		}
	}
	held.Approval = stored
	return held, err
}

// requestOf returns the approval that a text needs.
func (f *feature) requestOf(o handlers.Outgoing, hits string) store.Approval {
	source := o.Source
	if source == "" {
		source = o.Text
	}
	sum := sha256.Sum256([]byte(source))
	a := store.Approval{
		Key:  store.Key(o.Kind, o.Object, hex.EncodeToString(sum[:16])),
		Kind: o.Kind, Object: o.Object, Title: store.Clip(o.Title, 190), Text: o.Text, Hits: hits, Data: o.Data, Link: o.Link,
		AuthorID: o.Author, AskedAt: f.Now(),
	}
	if !o.Until.IsZero() {
		a.ExpiresAt = &o.Until
	}
	return a
}

// tellStaff says that something waits, without its words.
func (f *feature) tellStaff(ctx context.Context, tx *store.Tx, a store.Approval) error {
	text := "【待审】" + a.Title + "里有敏感词，要第二个人看过才用。"
	if a.ExpiresAt != nil {
		text += "到 " + f.moment(*a.ExpiresAt) + " 为止有效。"
	}
	return f.Notify(ctx, tx, store.Key("review.approval", a.ID, a.AskedAt.Unix()), text+"\n"+f.PublicURL+approvalsPath)
}

func (f *feature) moment(t time.Time) string { return t.In(f.Zone).Format("1月2日 15:04") }

// expire ends what waited for too long, tells staff, and forgets what members
// wrote in appeals that were decided long ago.
func (f *feature) expire(ctx context.Context, due time.Time) error {
	now := f.Now()
	for n := overdue; n == overdue; {
		err := f.Store.Update(ctx, func(tx *store.Tx) error {
			ctx := tx.Context()
			list, err := tx.OverdueApprovals(ctx, now, overdue)
			if err != nil {
				return err
			}
			n = len(list)
			for _, a := range list {
				ended, err := tx.DecideApproval(ctx, a.ID, store.Expired, 0, "到时间还没有人看。", now)
				if err != nil {
					return err
				}
				if !ended { // somebody was quicker
					continue
				}
				err = f.Notify(ctx, tx, store.Key("review.expired", a.ID, a.AskedAt.Unix()),
					"【待审】"+a.Title+"等到 "+f.moment(*a.ExpiresAt)+" 还没有人看，已过期，没有发。\n"+f.PublicURL+approvalsPath)
				if err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			return err
		}
	}
	return f.Store.Update(ctx, func(tx *store.Tx) error {
		_, err := tx.BlankAppeals(tx.Context(), now.Add(-keepAppeals))
		return err
	})
}

func (f *feature) approvalsPage() console.Page {
	return console.Page{
		Path: "/review", Title: "待审", Purpose: "机器人要说的话里有敏感词，要写的人以外的一位经理看过才用。", Group: console.Daily, Menu: menu, Icon: "check",
		Role: store.Analyst, Change: store.Manager,
		FS: files, Template: "approvals.html", Style: "review.css", Load: f.loadApprovals, Post: f.decide,
	}
}

// An approvalRow is an approval as the page shows it.
type approvalRow struct {
	store.Approval
	Parts       []part
	Author      string // empty: nobody wrote it
	By          string
	Own         bool   // the visitor wrote it
	Kind, State string // of the state: for the function state
}

type approvalsData struct {
	Count   int64 // that wait
	Waiting []approvalRow
	More    int64 // that wait and are not shown
	Decided console.Rows[approvalRow]
	Change  bool
	Fields  console.Fields
	Wrong   string // number of the approval whose form is shown again
}

// Heading implements console.Headed.
func (d approvalsData) Heading() (title, purpose string) {
	return menu, "机器人要说的话里有敏感词，要写的人以外的一位经理看过才用。" + waits(d.Count)
}

// waits says how much waits.
func waits(n int64) string {
	if n == 0 {
		return ""
	}
	return fmt.Sprintf("现在等着 %d 条。", n)
}

func (f *feature) loadApprovals(ctx context.Context, tx *store.Tx, v console.Visit) (any, error) {
	data := approvalsData{Change: v.Operator.Role.Covers(store.Manager), Fields: v.Fields("reason", "")}
	if v.Form != nil {
		data.Wrong = v.Value("id")
	}
	var err error
	if data.Count, err = tx.CountApprovals(ctx, store.ApprovalFilter{Waiting: true}); err != nil {
		return nil, err
	}
	names, err := operatorNames(ctx, tx)
	if err != nil {
		return nil, err
	}
	waiting, err := tx.Approvals(ctx, store.ApprovalFilter{Waiting: true, Limit: maxWaiting})
	if err != nil {
		return nil, err
	}
	data.More = data.Count - int64(len(waiting))
	if data.Waiting, err = f.approvalRows(ctx, tx, v, waiting, names); err != nil {
		return nil, err
	}
	decided, err := tx.Approvals(ctx, store.ApprovalFilter{Decided: true, Before: v.Before, Limit: v.Limit})
	if err != nil {
		return nil, err
	}
	rows, err := f.approvalRows(ctx, tx, v, decided, names)
	data.Decided = console.Paged(v, rows, func(r approvalRow) int64 { return r.ID })
	return data, err
}

func (f *feature) approvalRows(ctx context.Context, tx *store.Tx, v console.Visit, list []store.Approval, names map[int64]string) ([]approvalRow, error) {
	rows := make([]approvalRow, len(list))
	for i, a := range list {
		hits, err := f.Scan(ctx, tx, 0, a.Text)
		if err != nil {
			return nil, err
		}
		r := approvalRow{Approval: a, Parts: partsOf(a.Text, hits), Author: names[a.AuthorID], By: names[a.DecidedBy],
			Own: a.AuthorID != 0 && a.AuthorID == v.Operator.ID}
		if a.AuthorID != 0 && r.Author == "" {
			r.Author = fmt.Sprintf("运营 %d", a.AuthorID)
		}
		switch a.State {
		case store.Waiting:
			r.Kind, r.State = "warn", "等第二个人"
		case store.Approved:
			r.Kind, r.State = "good", "通过了"
		case store.Refused:
			r.Kind, r.State = "bad", "没有通过"
		default:
			r.Kind, r.State = "quiet", "作废"
		}
		rows[i] = r
	}
	return rows, nil
}

// decide approves or refuses a text.
func (f *feature) decide(ctx context.Context, tx *store.Tx, v console.Visit) (console.Result, error) {
	fail := func(problem string) (console.Result, error) { return console.Result{}, console.Invalid("", problem) }
	id, err := strconv.ParseInt(v.Value("id"), 10, 64)
	if err != nil {
		return fail("没有这一条，请刷新页面再试。")
	}
	a, err := tx.Approval(ctx, id)
	if errors.Is(err, store.ErrNotFound) {
		return fail("没有这一条，请刷新页面再试。")
	}
	if err != nil {
		return console.Result{}, err
	}
	reason := v.Value("reason")
	own := a.AuthorID != 0 && a.AuthorID == v.Operator.ID
	to := store.Approved
	switch do := v.Value("do"); {
	case do == "refuse":
		to = store.Refused
	case do != "approve":
		return fail("没有这个操作。")
	}
	switch {
	case to == store.Approved && own:
		return fail("这是你写的，要另一位经理或负责人来看。")
	case to == store.Refused && own && reason == "":
		reason = "写的人撤回了。"
	case to == store.Refused && reason == "":
		return console.Result{}, console.Invalid("reason", "写一句为什么，写的人才知道怎么改。")
	case utf8.RuneCountInString(reason) > maxReason:
		return console.Result{}, console.Invalid("reason", fmt.Sprintf("最多 %d 个字。", maxReason))
	}
	decided, err := tx.DecideApproval(ctx, id, to, v.Operator.ID, reason, v.Now)
	if err != nil {
		return console.Result{}, err
	}
	if !decided {
		return fail("已经有人处理过了，或者已经过期。下面能看到结果。")
	}
	done := console.Result{Object: fmt.Sprintf("approval %d", id), Redirect: approvalsPath,
		Detail: fmt.Sprintf("%s %s %s：%s %s", to, a.Kind, a.Object, a.Text, reason)}
	if to == store.Refused {
		done.Message = "没有通过，写的人会在原来的页面看到原因。"
		return done, f.tellAuthor(ctx, tx, a, "没有通过："+reason)
	}
	done.Message = "通过了。"
	if goOn := f.Approved()[a.Kind]; goOn != nil {
		said, err := goOn(ctx, tx, a, v.Now)
		if void, gone := errors.AsType[handlers.Void](err); gone {
			done.Message, done.Detail = "作废了："+string(void), done.Detail+" 作废："+string(void)
			return done, tx.EndApproval(ctx, id, store.Clip(string(void), 290))
		}
		if err != nil {
			return console.Result{}, err
		}
		done.Message += said
	} else {
		done.Message += "下一次到时间就用。"
	}
	return done, f.tellAuthor(ctx, tx, a, "通过了。")
}

// tellAuthor tells staff, and so the author, what became of a text.
func (f *feature) tellAuthor(ctx context.Context, tx *store.Tx, a store.Approval, result string) error {
	if a.AuthorID == 0 {
		return nil
	}
	return f.Notify(ctx, tx, store.Key("review.decided", a.ID, a.AskedAt.Unix()), "【待审】"+a.Title+result+"\n"+f.PublicURL+approvalsPath)
}
