package wordfilter

import "strings"

// pictures says which emoji people type for characters: 滚🥚, 黑❤商家. They
// are symbols first, which may be skipped; only a text that has some is read a
// second time with the characters in their place.
var pictures = func() map[rune][]rune {
	m := make(map[rune][]rune)
	for pair := range strings.FieldsSeq(`🥚蛋 🐮牛 🐂牛 🐄牛 🐃牛 🐯虎 🐅虎 🐴马 🐎马 🐶狗 🐕狗 🐷猪 🐖猪 🐔鸡 🐓鸡
		🐑羊 🐏羊 🐉龙 🐲龙 🐍蛇 🐰兔 🐇兔 🐭鼠 🐀鼠 🐟鱼 🐠鱼 🐧企鹅 💧水 💦水 🏔山 ⛰山 🌋山 🔥火 🌸花 🌹花 🌺花 🌼花
		❤心 ♥心 🧡心 💛心 💚心 💙心 💜心 🖤心 🤍心 🤎心 💗心 💓心 💕心 💖心 💘心 💝心 💞心 ✉信 📧信 📨信 📩信 💌信
		🏠家 🏡家 🏘家 🔪刀 🗡刀 💰钱 💵钱 💴钱 🎫票 🎟票 🧧红包 🎒包 👜包 👝包 👛包 💼包 🚗车 🚘车 🚙车 💳卡 💊药
		🛰卫星 ⭐星 🌟星 🌙月 🌛月 🌧雨 ✋手 🖐手 👤人 🧍人 👨人 🚪门 🍚饭 🥛奶 🍵茶 🍷酒 📞电话 ☎电话 📱手机 💣炸弹`) {
		rs := []rune(pair)
		m[rs[0]] = rs[1:]
	}
	return m
}()

// firstPicture is not above any key of pictures.
const firstPicture = 0x2600
