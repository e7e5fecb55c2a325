package wordfilter

import (
	"strings"
	"unicode/utf8"
)

// A unit is one character of a text as the filter sees it: folded, repeats
// taken together, with what was skipped before it.
type unit struct {
	char  char
	start uint32 // byte offset of the first of the repeated characters
	end   uint32 // byte offset behind the last of them
	gap   gap    // between the unit before and this one
	inner gap    // between the repeated characters, and whether an emoji stands for them
	run   uint8  // how often the character is repeated, 1 to 255
}

// A gap says what lies between two characters. The zero value is nothing.
type gap uint8

const (
	gapSymbol gap = 1 << iota // symbols, at most maxSymbols of them
	gapLong                   // more symbols than that
	gapBlank
	gapPause
	pictured // an emoji stands for the character; only in unit.inner
)

// skipped reports whether g may lie between two characters that are a word.
func (g gap) skipped() bool { return g&(gapPause|gapLong) == 0 }

// skipped reports whether g and h may lie between three characters of a word:
// blanks and pauses come between all of them or none.
func skipped(g, h gap) bool {
	return (g|h)&gapLong == 0 && ((g|h)&(gapPause|gapBlank) == 0 || g != 0 && h != 0)
}

// maxSymbols is the number of symbols and emoji that may hide in one gap of a
// word.
const maxSymbols = 3

// appendUnits cuts text into units and appends them to units. It is the one
// pass over the bytes: decode, fold, classify, measure gaps, join repeats. If
// spoken, then emoji that stand for characters are units, too; otherwise
// appendUnits reports whether there are such emoji.
func appendUnits(units []unit, text string, spoken bool) ([]unit, bool) {
	silent := false // an emoji could speak
	var between gap // since the last unit
	var symbols int // how many of them
	var joined bool // the next symbol belongs to the one before
	var last char   // of the last unit, unless a pause followed
	for i := 0; i < len(text); {
		// Most of a text are stretches of Chinese characters that fold to
		// themselves: three bytes each, one after the other.
		for i+3 < len(text) {
			b := uint32(text[i]) | uint32(text[i+1])<<8 | uint32(text[i+2])<<16 | uint32(text[i+3])<<24
			if b&0xC0C0F0 != 0x8080E0 {
				break
			}
			r := rune(b&0x0F<<12 | b>>2&0xFC0 | b>>16&0x3F)
			c := char(r) | char(han)<<classShift
			if !isAsIs(r) || c == last {
				break
			}
			units = appendUnit(units, c, i, i+3, between)
			last, between, symbols, joined = c, 0, 0, false
			i += 3
		}
		if i == len(text) {
			break
		}

		at := i
		var r rune
		var t trait
		if c := text[i]; c < utf8.RuneSelf {
			r, t = rune(c), ascii[c]
			i++
		} else {
			var size int
			r, size = utf8.DecodeRuneInString(text[i:])
			t = traitOf(r)
			i += size
		}
		switch t.class() {
		case drop:
			joined = joined || r == '\u200d'
			continue
		case symbol:
			if r == '[' {
				i += len(textEmoji(text[i:]))
			}
			if r >= firstPicture && len(pictures[r]) > 0 {
				if spoken {
					units = appendPicture(units, pictures[r], at, i, between)
					between, symbols, last, joined = 0, 0, 0, false
					continue
				}
				silent = true
			}
			if !joined {
				symbols++
			}
			if between |= gapSymbol; symbols > maxSymbols {
				between |= gapLong
			}
		case blank:
			between |= gapBlank
		case pause:
			between |= gapPause
			last = 0
		default:
			c := t.charOf(r)
			if c == last && c.class() == han {
				same := &units[len(units)-1]
				same.end = uint32(i)
				same.inner |= between
				same.run += 1 - same.run/255
			} else {
				units = appendUnit(units, c, at, i, between)
				last = c
			}
			between, symbols = 0, 0
		}
		joined = false
	}
	return units, silent
}

// appendPicture appends units for the characters that the emoji text[start:end]
// stands for.
func appendPicture(units []unit, stands []rune, start, end int, between gap) []unit {
	for _, r := range stands {
		units = appendUnit(units, traitOf(r).charOf(r), start, end, between)
		units[len(units)-1].inner = pictured
		between = 0
	}
	return units
}

// appendUnit appends one unit. It writes field by field: a literal would go
// through the stack, which costs more than all the rest of a character.
func appendUnit(units []unit, c char, start, end int, between gap) []unit {
	n := len(units)
	if n < cap(units) {
		units = units[:n+1]
	} else {
		units = append(units, unit{})
	}
	u := &units[n]
	u.char = c
	u.start = uint32(start)
	u.end = uint32(end)
	u.gap = between
	u.inner = 0
	u.run = 1
	return units
}

// textEmoji returns the rest of a WeChat emoji behind its opening bracket,
// closing bracket included: "微笑]". It returns "" if there is none.
func textEmoji(s string) string {
	const longest = 16 // bytes, bracket included
	end := strings.IndexByte(s[:min(len(s), longest)], ']')
	if end > 0 && emojiNames[s[:end]] {
		return s[:end+1]
	}
	return ""
}

// emojiNames are the names WeChat writes in brackets where a picture cannot be
// shown.
var emojiNames = func() map[string]bool {
	names := make(map[string]bool)
	for name := range strings.FieldsSeq(`微笑 撇嘴 色 发呆 得意 流泪 害羞 闭嘴 睡 大哭 尴尬 发怒
		调皮 呲牙 惊讶 难过 酷 囧 冷汗 抓狂 吐 偷笑 愉快 可爱 白眼 傲慢 饥饿 困 惊恐 流汗 憨笑 悠闲
		大兵 奋斗 咒骂 疑问 嘘 晕 疯了 衰 骷髅 敲打 再见 擦汗 抠鼻 鼓掌 糗大了 坏笑 左哼哼 右哼哼
		哈欠 鄙视 委屈 快哭了 阴险 亲亲 吓 可怜 菜刀 西瓜 啤酒 篮球 乒乓 咖啡 饭 猪头 玫瑰 凋谢
		嘴唇 爱心 心碎 蛋糕 闪电 炸弹 刀 足球 瓢虫 便便 月亮 太阳 礼物 拥抱 强 弱 握手 胜利 抱拳
		勾引 拳头 差劲 爱你 NO OK 爱情 飞吻 跳跳 发抖 怄火 转圈 磕头 回头 跳绳 投降 激动 街舞 献吻
		左太极 右太极 笑脸 生病 脸红 破涕为笑 恐惧 失望 无语 嘿哈 捂脸 奸笑 机智 皱眉 耶 吃瓜 加油
		汗 天啊 Emm 社会社会 旺柴 好的 打脸 哇 翻白眼 666 让我看看 叹气 苦涩 裂开 合十 庆祝 红包
		發 福 烟花 爆竹`) {
		names[name] = true
	}
	return names
}()
