package points

import "qunbot/store"

// reasons are what the rules of bookings are called where members read them.
var reasons = map[string]string{
	"checkin":        "签到",
	"checkin.repair": "补签",
	"expire":         "过期",
	"welcome":        "新人礼包",
	"adjust":         "人工调整",
	"draw":           "抽奖",
	"draw.return":    "抽奖取消退回",
}

// reason says what a booking was for, in words for the member.
func reason(e store.Entry) string {
	name := reasons[e.Rule]
	switch {
	case name == "":
		name = e.Note
	case e.Note != "" && e.Note != name:
		name += "（" + e.Note + "）"
	}
	if name == "" {
		return "其他"
	}
	return name
}
