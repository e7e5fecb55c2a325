package console

import (
	"context"
	"slices"
	"unicode/utf8"

	"qunbot/store"
	"qunbot/web/style"
)

// look shows how the members' pages introduce themselves.
func look(ctx context.Context, tx *store.Tx, v Visit) (any, error) {
	l, err := style.LookOf(ctx, tx)
	var colours []Option
	for _, c := range style.Colours() {
		colours = append(colours, Option{Value: c.Name, Label: c.Word})
	}
	return struct {
		Fields  Fields
		Colours []Option
	}{v.Fields("name", l.Name, "slogan", l.Slogan, "colour", l.Colour), colours}, err
}

func changeLook(ctx context.Context, tx *store.Tx, v Visit) (Result, error) {
	l := style.Look{Name: v.Value("name"), Slogan: v.Value("slogan"), Colour: v.Value("colour")}
	switch {
	case l.Name == "" || utf8.RuneCountInString(l.Name) > 20:
		return Result{}, Invalid("name", "店名要 1 到 20 个字。")
	case utf8.RuneCountInString(l.Slogan) > 30:
		return Result{}, Invalid("slogan", "一句话最多 30 个字。")
	case !slices.ContainsFunc(style.Colours(), func(c style.Colour) bool { return c.Name == l.Colour }):
		return Result{}, Invalid("colour", "请从列出的颜色里选一个。")
	}
	return Result{Object: "look", Detail: l.Name + "，" + l.Colour, Message: "已保存。会员下次打开页面就能看到。"}, style.SetLook(ctx, tx, l)
}
