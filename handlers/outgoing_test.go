package handlers_test

import (
	"context"
	"strings"
	"testing"
	"time"

	"qunbot/handlers"
	"qunbot/store"
)

func TestClearance(t *testing.T) {
	refused := store.Approval{State: store.Refused, Reason: "太吓人"}
	for _, tt := range []struct {
		c    handlers.Clearance
		free bool
		want string // in the problem
	}{
		{handlers.Clearance{}, true, ""},
		{handlers.Clearance{Hits: "“刷单”", Approval: store.Approval{State: store.Approved}}, true, ""},
		{handlers.Clearance{Hits: "“刷单”", Approval: store.Approval{State: store.Waiting}}, false, "等第二个人通过"},
		{handlers.Clearance{Hits: "“刷单”", Approval: refused}, false, "没有通过：太吓人"},
		{handlers.Clearance{Hits: "“刷单”", Approval: store.Approval{State: store.Expired}}, false, "要第二个人"},
		{handlers.Clearance{Hits: "“刷单”"}, false, "要第二个人"},
	} {
		got := tt.c.Problem()
		if tt.c.Free() != tt.free || (got == "") != tt.free || !strings.Contains(got, tt.want) {
			t.Errorf("%+v: free %t, problem %q, want %t, %q", tt.c, tt.c.Free(), got, tt.free, tt.want)
		}
	}
}

// A program in which nothing checks what goes out must not say anything.
func TestClearsNeedsClear(t *testing.T) {
	if c, err := (handlers.Deps{}).Clears(t.Context(), nil, handlers.Outgoing{Text: "好"}); err == nil {
		t.Errorf("Clears without Clear = %+v, want an error", c)
	}
}

func TestRegisterNamesClashesOfApproved(t *testing.T) {
	approved := func(context.Context, *store.Tx, store.Approval, time.Time) (string, error) { return "", nil }
	_, err := handlers.Register(handlers.Deps{}, []handlers.Feature{
		{Name: "one", Approved: map[string]handlers.Approved{"x": approved}}, {Name: "two", Approved: map[string]handlers.Approved{"x": approved}},
	})
	if err == nil || !strings.Contains(err.Error(), `feature two: another one goes on with texts of the kind "x"`) {
		t.Errorf("Register = %v, want the clash named", err)
	}
}
