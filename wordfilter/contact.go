package wordfilter

import "strings"

// contacts are the ways to keep in touch that words name, and what people
// call them instead.
var contacts = []struct {
	name     string
	coined   []string // say nothing else
	ordinary []string // are words of their own, too, or single letters; see named
}{
	{
		name:     "微信",
		coined:   strings.Fields("vx wx v信 w信 x信 v心 微x 微v 徽信 薇信 维信 葳信 溦信 微芯 vxin weixin 绿泡泡"),
		ordinary: strings.Fields("v w 威信 卫星"),
	}, {
		name:     "QQ",
		coined:   strings.Fields("qq 扣扣 抠抠 寇寇 蔻蔻 叩叩"),
		ordinary: strings.Fields("q 企鹅 秋秋 球球"),
	},
}

// An otherName is another way to write a word.
type otherName struct {
	text string
	kind termKind
}

// aliases returns other ways to write a word that names a contact: 加VX for
// 加微信. A plus sign may stand for 加 in front of it; the aliases that need
// one begin with it. 加 may also follow what says nothing else: VX加我.
func aliases(word string) []otherName {
	var all []otherName
	for _, c := range contacts {
		before, after, ok := strings.Cut(strings.ToUpper(word), strings.ToUpper(c.name))
		if !ok {
			continue
		}
		add := func(name string, kind termKind) {
			if after != "" {
				kind &^= bare // the word goes on and says which it is
			}
			if name != c.name {
				all = append(all, otherName{before + name + after, kind})
			}
			rest, ok := strings.CutPrefix(before, "加")
			if !ok {
				return
			}
			all = append(all, otherName{rest + name + after, kind | plus}, otherName{"添加" + rest + name + after, kind})
			if rest+after != "" {
				return
			}
			all = append(all, otherName{"十" + name, kind})
			if kind&bare == 0 && !strings.EqualFold(name, c.name) {
				all = append(all, otherName{name + "加", kind | behind})
			}
		}
		add(c.name, alias)
		for _, name := range c.coined {
			add(name, alias)
		}
		for _, name := range c.ordinary {
			add(name, alias|bare)
		}
	}
	return all
}

// What may follow a contact's name that says other things, too: 加V聊, but not
// 加V领T恤; and what may follow 加 behind a name: VX加我, but not VX加载.
const (
	bareFollows   = "我你吧聊看咨详拿发拉了哦哈号私问谈要有免送教带"
	behindFollows = "我俺他她一下吧号聊"
)

// named reports whether units[last-1], which ends a contact's name, is that
// name and not the beginning of something else; what may follow it is given.
func named(units []unit, last int, follows string) bool {
	if last == len(units) || units[last].gap != 0 {
		return true
	}
	next := units[last]
	return next.char.class() == digit || strings.ContainsRune(follows, next.char.rune())
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
