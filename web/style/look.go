package style

import (
	"context"

	"qunbot/store"
)

// A Look is how the members' pages introduce themselves.
type Look struct {
	Name   string // the mall's, above every page
	Colour string // name of one of [Colours]
	Slogan string // one line below the name on the home page; may be empty
}

// Colours are the choices of a look's colour; each has a shade for light and
// one for dark that text is readable on.
func Colours() []Colour {
	return []Colour{{"green", "青绿"}, {"red", "朱红"}, {"orange", "橘橙"}, {"blue", "湖蓝"}, {"violet", "紫罗兰"}, {"ink", "墨黑"}}
}

// A Colour is a mall's, by the name that the stylesheet knows.
type Colour struct{ Name, Word string }

// lookSetting is the setting that holds the look.
const lookSetting = "portal.look"

// PlainLook is the look before anybody chose one.
func PlainLook() Look { return Look{Name: "会员中心", Colour: "green"} }

// LookOf returns the look that operators chose.
func LookOf(ctx context.Context, tx *store.Tx) (Look, error) {
	l := PlainLook()
	err := tx.Setting(ctx, lookSetting, &l)
	return l, err
}

// SetLook stores the look.
func SetLook(ctx context.Context, tx *store.Tx, l Look) error {
	return tx.SetSetting(ctx, lookSetting, l)
}
