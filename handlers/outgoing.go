package handlers

import (
	"context"
	"errors"
	"time"

	"qunbot/store"
)

// An Outgoing is a text that the program is to say to groups in its own name:
// news, campaign texts, announcements, keyword replies. Before it goes out it
// passes Deps.Clear.
type Outgoing struct {
	Kind   string    // which feature's, such as "announce"; at most 24 bytes
	Object string    // what it belongs to, at most 160 bytes: where its text changes, approvals of another one end
	Title  string    // what it is, for operators, such as "给一号粉丝群的公告"
	Text   string    // as members will read it
	Source string    // what it is made from, if something in it changes by itself; empty: Text
	Groups []int64   // whose own words count too; empty: those of every group
	Author int64     // operator; 0: no person wrote it
	Data   string    // handed to Feature.Approved; may be empty
	Link   string    // the console's page it comes from, such as "/console/news"
	Until  time.Time // when it is no use any more; zero: never

	// Ask makes a text that holds a word wait for a second person. Without it
	// nothing is written: the Clearance says how it stands.
	Ask bool
}

// A Clearance says whether a text may go out.
type Clearance struct {
	Hits     string         // the words it holds, for operators; empty: none
	Approval store.Approval // of this text; zero: nobody was asked
}

// Free reports whether the text may go out: it holds no word that keeps it
// back, or somebody approved it.
func (c Clearance) Free() bool { return c.Hits == "" || c.Approval.State == store.Approved }

// Problem says, for operators, what keeps the text back; empty if it is free.
func (c Clearance) Problem() string {
	switch {
	case c.Free():
		return ""
	case c.Approval.State == store.Waiting:
		return "含有敏感词" + c.Hits + "，在“待审”里等第二个人通过"
	case c.Approval.State == store.Refused:
		return "含有敏感词" + c.Hits + "，第二个人没有通过：" + c.Approval.Reason
	}
	return "含有敏感词" + c.Hits + "，要第二个人在“待审”里通过"
}

// Edited is why an approval expires whose text was changed.
const Edited = "文字改过了，要重新看。"

// Approved goes on with a text that had to wait, in the transaction in which
// it is approved, so that it happens once. It returns what to tell who approved
// it. An error of [Void] ends the approval: what it was for is not there any
// more. Any other error leaves it waiting.
type Approved func(ctx context.Context, tx *store.Tx, a store.Approval, now time.Time) (done string, err error)

// A Void says why an approved text is not used any more.
type Void string

// Error implements error.
func (v Void) Error() string { return string(v) }

// errUnchecked: main wires Clear, tests of features that post must too.
var errUnchecked = errors.New("nothing checks outgoing texts: Deps.Clear is not set")

// Clears asks d.Clear, which must be set where texts go out.
func (d Deps) Clears(ctx context.Context, tx *store.Tx, o Outgoing) (Clearance, error) {
	if d.Clear == nil {
		return Clearance{}, errUnchecked
	}
	return d.Clear(ctx, tx, o)
}
