package moderation

import (
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"

	"qunbot/bot"
	"qunbot/store"
	"qunbot/wordfilter"
)

// A refusal is what an operator may expect to hear: nothing was written.
type refusal struct{ field, text string }

func (r refusal) Error() string { return r.text }

func refuse(field, format string, args ...any) error {
	return refusal{field, fmt.Sprintf(format, args...)}
}

const (
	maxWords    = 100_000 // of all groups: after a change, messages wait a second until they are compiled
	maxCategory = 20      // characters
)

// fold returns a word as it is compared with others: width, case and blanks do
// not matter.
func fold(word string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsSpace(r) {
			return -1
		}
		return r
	}, bot.Fold(word))
}

// An entry is one word as it was typed: word, level, category.
type entry struct {
	text     string
	level    store.WordLevel // empty: none was typed
	category string
}

// parseEntry reads 加微信 拦截 引流: a word, and behind it, where there is one,
// a level and a category.
func parseEntry(text string) (entry, error) {
	fields := strings.FieldsFunc(text, func(r rune) bool { return unicode.IsSpace(r) || r == ',' || r == '，' })
	e := entry{text: strings.Join(fields, " ")}
	for i, field := range fields {
		if level, ok := parseLevel(field); ok && i > 0 {
			e = entry{strings.Join(fields[:i], " "), level, strings.Join(fields[i+1:], " ")}
			break
		}
	}
	switch {
	case e.text == "":
		return e, refuse("", "没有写词")
	case strings.Contains(e.text, " ") && strings.ContainsFunc(e.text, func(r rune) bool { return unicode.Is(unicode.Han, r) }):
		return e, refuse("", "“%s”中间有空格。词后面只能写级别：提醒、警告、拦截", store.Clip(e.text, 20))
	case utf8.RuneCountInString(e.category) > maxCategory:
		return e, refuse("", "“%s”的分类太长，最多 %d 个字", store.Clip(e.text, 20), maxCategory)
	}
	return e, nil
}

// parseLevel reads a level's name.
func parseLevel(word string) (level store.WordLevel, ok bool) {
	switch word {
	case "提醒":
		return store.LevelRemind, true
	case "警告":
		return store.LevelWarn, true
	case "拦截":
		return store.LevelBlock, true
	}
	return "", false
}

// checkWord refuses what can be no word: it says why nothing could find it, or
// why it would be found everywhere.
func checkWord(text string) error {
	if n := utf8.RuneCountInString(text); n > wordfilter.MaxWordLen {
		return refuse("text", "“%s”有 %d 个字，最多 %d 个。写其中关键的几个字就够了", store.Clip(text, 20), n, wordfilter.MaxWordLen)
	}
	switch characters(text) {
	case 0:
		return refuse("text", "“%s”里没有文字和数字，找不到它", store.Clip(text, 20))
	case 1:
		return refuse("text", "“%s”只有一个字，会误伤太多话。请写完整的词", store.Clip(text, 20))
	}
	if err := wordfilter.CheckWord(text); err != nil {
		return refuse("text", "“%s”不能当敏感词：里面有认不出的字符", store.Clip(text, 20))
	}
	return nil
}

// tooBroad says what a word would hit that it should not; empty if nothing
// comes to mind. Operators may insist.
func tooBroad(text string) string {
	folded := fold(text)
	n := characters(folded)
	only := func(is func(rune) bool) bool {
		return !strings.ContainsFunc(folded, func(r rune) bool { return counts(r) && !is(r) })
	}
	switch {
	case everyday(folded):
		return fmt.Sprintf("“%s”是日常用语，很多正常的话里都有", store.Clip(text, 20))
	case n < 5 && only(unicode.IsDigit):
		return fmt.Sprintf("“%s”只有 %d 位数字，会碰上价格和门牌号", store.Clip(text, 20), n)
	case n < 3 && only(func(r rune) bool { return r < utf8.RuneSelf }):
		return fmt.Sprintf("“%s”只有 %d 个字母，会碰上缩写", store.Clip(text, 20), n)
	}
	return ""
}

// characters counts the characters of a word that say something.
func characters(text string) (n int) {
	for _, r := range text {
		if counts(r) {
			n++
		}
	}
	return n
}

func counts(r rune) bool { return unicode.IsLetter(r) || unicode.IsDigit(r) }

// everyday reports whether a folded word is one that ordinary sentences are
// full of, or one that members say to the bot.
func everyday(folded string) bool {
	return folded != "" && strings.Contains(everydayWords, " "+folded+" ") || wordfilter.Everyday(folded)
}

const everydayWords = " 今天 明天 昨天 后天 早上 上午 中午 下午 晚上 现在 以后 以前 时候 时间 周末 周一 周二 周三 周四 周五 周六 周日 " +
	"我们 你们 他们 她们 大家 自己 别人 有人 没人 朋友 孩子 宝宝 妈妈 爸爸 老公 老婆 家人 先生 女士 老板 同学 同事 " +
	"什么 怎么 哪里 哪个 哪家 多少 几点 为什么 可以 不可以 可能 应该 需要 想要 喜欢 觉得 知道 不知道 看到 听说 告诉 谢谢 感谢 不用 没有 不是 就是 还是 还有 " +
	"或者 因为 所以 但是 如果 已经 正在 一下 一起 一个 一次 一样 这个 那个 这里 那里 这样 那样 这么 那么 非常 真的 特别 比较 有点 " +
	"东西 事情 问题 办法 地方 地址 电话 手机 微信 群里 本群 入群 退群 群主 消息 图片 视频 链接 网上 " +
	"价格 便宜 免费 优惠 打折 折扣 活动 新品 上新 特价 促销 满减 红包 福利 礼品 礼物 奖品 中奖 购物 买单 付款 付钱 收钱 退款 退货 发票 小票 会员 会员卡 积分 " +
	"商场 超市 门店 店铺 专柜 餐厅 吃饭 好吃 好看 好用 美食 奶茶 咖啡 电影 停车 停车场 停车费 地铁 公交 开门 关门 营业 排队 预约 客服 服务 服务台 送货 外卖 快递 " +
	"你好 您好 早安 晚安 好的 收到 请问 麻烦 抱歉 加油 开心 快乐 生日 节日 新年 春节 中秋 " +
	"帮助 菜单 签到 打卡 补签 明细 排行榜 抽奖 我的奖品 商城 邀请 反馈 退订 兑换 申诉 微信群 加群 报名 参加 "
