package wordfilter

import "strings"

// contacts are the ways to keep in touch that words name, and what people
// call them instead. Short names of one letter count only where no ordinary
// word follows; see named.
var contacts = []struct {
	name    string
	aliases []string
}{
	{"微信", strings.Fields("v w vx wx v信 w信 x信 微x 微v 威信 徽信 薇信 维信 葳信 溦信 vxin weixin")},
	{"QQ", strings.Fields("q qq 扣扣 抠抠 寇寇 蔻蔻 企鹅 秋秋 球球 叩叩")},
}

// aliases returns other ways to write a word that names a contact: 加VX for
// 加微信. A plus sign may stand for 加 in front of it; the aliases that need
// one begin with it.
func aliases(word string) []string {
	var all []string
	for _, c := range contacts {
		before, after, ok := strings.Cut(strings.ToUpper(word), strings.ToUpper(c.name))
		if !ok {
			continue
		}
		for _, alias := range append([]string{c.name}, c.aliases...) {
			if alias != c.name {
				all = append(all, before+alias+after)
			}
			if rest, ok := strings.CutPrefix(before, "加"); ok {
				all = append(all, "+"+rest+alias+after, "添加"+rest+alias+after)
				if rest == "" {
					all = append(all, "十"+alias+after)
				}
			}
		}
	}
	return all
}

// bareFollows are the characters that may follow a contact's name of one
// letter: 加V聊, but not 加V领T恤.
const bareFollows = "我你吧聊看咨详拿发拉了哦哈号私问谈要有免送教带"

// named reports whether units[last-1], which ends a contact's name of one
// letter, is that name and not the beginning of something else.
func named(units []unit, last int) bool {
	if last == len(units) || units[last].gap != 0 {
		return true
	}
	next := units[last]
	return next.char.class() == digit || strings.ContainsRune(bareFollows, next.char.rune())
}

// plusBefore returns the byte offset of the plus sign in front of text[at:],
// blanks between them allowed, or -1.
func plusBefore(text string, at int) int {
	head := strings.TrimRight(text[:at], " \u3000\ufe0f")
	for _, sign := range []string{"+", "＋", "➕", "✚", "﹢"} {
		if strings.HasSuffix(head, sign) {
			return len(head) - len(sign)
		}
	}
	return -1
}
