package moderation

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"unicode"

	"qunbot/bot"
	"qunbot/store"
)

const usage = "这样说：\n/敏感词 添加 加微信 拦截\n/敏感词 删除 加微信\n/敏感词 列表"

// An order is what an operator said behind /敏感词.
type order struct {
	verb   string // 添加, 删除 or 列表
	entry  entry  // of 添加; its level is always there
	word   string // of 删除
	before int64  // of 列表: only words with a smaller number; 0: all
}

// parse reads what was said behind /敏感词. What it does not understand is a
// refusal.
func parse(args string) (order, error) {
	verb, rest := args, ""
	if i := strings.IndexFunc(args, unicode.IsSpace); i >= 0 {
		verb, rest = args[:i], strings.TrimSpace(args[i:])
	}
	switch bot.Fold(verb) {
	case "添加", "新增":
		if rest == "" {
			return order{}, refuse("", "要添加哪个词？\n例如：/敏感词 添加 加微信 拦截")
		}
		e, err := parseEntry(rest)
		if err != nil {
			return order{}, refuse("", "%s。\n例如：/敏感词 添加 加微信 拦截", err)
		}
		if e.category != "" {
			return order{}, refuse("", "“%s”后面不用再写。分类请到运营台填。\n例如：/敏感词 添加 加微信 拦截", levelWord(e.level))
		}
		if _, isLevel := parseLevel(e.text); isLevel {
			return order{}, refuse("", "先写词，再写级别。\n例如：/敏感词 添加 加微信 拦截")
		}
		if e.level == "" {
			e.level = store.LevelWarn
		}
		return order{verb: "添加", entry: e}, nil
	case "删除":
		if rest == "" {
			return order{}, refuse("", "要删除哪个词？\n例如：/敏感词 删除 加微信")
		}
		return order{verb: "删除", word: rest}, nil
	case "列表":
		if rest == "" {
			return order{verb: "列表"}, nil
		}
		n, err := number(rest)
		if err != nil {
			return order{}, refuse("", "“列表”后面只能写编号，从它往前看。\n例如：/敏感词 列表 120")
		}
		return order{verb: "列表", before: n}, nil
	}
	return order{}, refuse("", "%s", usage)
}

// number reads a word's number, such as #12.
func number(text string) (int64, error) {
	n, err := strconv.ParseInt(strings.TrimPrefix(bot.Fold(text), "#"), 10, 64)
	if err == nil && n < 1 {
		err = strconv.ErrRange
	}
	return n, err
}

// operate answers /敏感词.
func (f *feature) operate(ctx context.Context, tx *store.Tx, m bot.Message) (bot.Reply, error) {
	o, err := parse(bot.Args(ctx))
	var text string
	if err == nil {
		switch o.verb {
		case "添加":
			text, err = f.add(ctx, tx, m, o.entry)
		case "删除":
			text, err = f.remove(ctx, tx, m, o.word)
		case "列表":
			text, err = f.list(ctx, tx, m, o.before)
		}
	}
	if no, refused := errors.AsType[refusal](err); refused {
		return bot.Reply{Text: no.text}, nil
	}
	return bot.Reply{Text: text}, err
}

// add adds a word: in a group for that group, in a 1:1 chat for all.
func (f *feature) add(ctx context.Context, tx *store.Tx, m bot.Message, e entry) (string, error) {
	if err := checkWord(e.text); err != nil {
		return "", refuse("", "%s。", err)
	}
	if why := tooBroad(e.text); why != "" {
		return "", refuse("", "%s，没有添加。真的要加，请到运营台“敏感词”里确认。", why)
	}
	w := store.SensitiveWord{GroupID: m.Group.ID, Text: e.text, Folded: fold(e.text), Level: e.level, CreatedBy: m.Operator.ID, CreatedAt: f.Now()}
	if err := f.room(ctx, tx, 1); err != nil {
		return "", err
	}
	same, err := tx.WordsOf(ctx, []string{w.Folded}, 0, w.GroupID)
	if err != nil {
		return "", err
	}
	var shared *store.SensitiveWord
	for i, other := range same {
		switch {
		case other.Allow:
			return "", refuse("", "“%s”在放行词里（#%d），不会命中。请先删除它：/敏感词 删除 #%d", other.Text, other.ID, other.ID)
		case other.GroupID == w.GroupID:
			return "", refuse("", "已经有一条了：#%d “%s”（%s）。要改级别，请到运营台，或者先删除。", other.ID, other.Text, levelWord(other.Level))
		default:
			shared = &same[i]
		}
	}
	if shared != nil && shared.Level == w.Level {
		return "", refuse("", "所有群通用的敏感词里已经有了：#%d “%s”（%s）。", shared.ID, shared.Text, levelWord(shared.Level))
	}
	rows := []store.SensitiveWord{w}
	err = tx.AddWords(ctx, rows)
	if errors.Is(err, store.ErrExists) { // another replica was quicker
		return "", refuse("", "刚刚有人添加了同样的词。")
	}
	if err != nil {
		return "", err
	}
	w = rows[0]
	if err := f.audit(ctx, tx, m, "/敏感词 添加", w); err != nil {
		return "", err
	}
	where := "所有群和私聊里"
	if w.GroupID != 0 {
		where = "这个群里"
	}
	follows, err := f.consequence(ctx, tx, w.GroupID, wordOf(w))
	if err != nil {
		return "", err
	}
	text := fmt.Sprintf("已添加 #%d：%s，谁说到“%s”（换着写法也算），就%s。", w.ID, where, w.Text, follows)
	if shared != nil {
		text += fmt.Sprintf("\n别的群仍按通用的 #%d：%s。", shared.ID, levelWord(shared.Level))
	}
	return text, nil
}

// room refuses more words than may be.
func (f *feature) room(ctx context.Context, tx *store.Tx, more int) error {
	n, err := tx.CountWords(ctx, store.WordFilter{})
	if err == nil && n+int64(more) > maxWords {
		err = refuse("", "已经有 %d 个词，最多 %d 个。请先删除不用的。", n, maxWords)
	}
	return err
}

func (f *feature) audit(ctx context.Context, tx *store.Tx, m bot.Message, action string, w store.SensitiveWord) error {
	return tx.AddAudit(ctx, store.Audit{OperatorID: m.Operator.ID, Action: action, Object: objectOf(w.ID), Detail: describe(w), At: f.Now()})
}

func objectOf(id int64) string { return fmt.Sprintf("word %d", id) }

// describe writes a word down, for the audit trail.
func describe(w store.SensitiveWord) string {
	kind := levelWord(w.Level)
	if w.Allow {
		kind = "放行"
	}
	text := fmt.Sprintf("“%s”，%s，群 %d（0 是全部）", w.Text, kind, w.GroupID)
	if w.Category != "" {
		text += "，" + w.Category
	}
	if how := matchWord(w); how != "" {
		text += "，" + how
	}
	return text
}

// matchWord says how a word is looked for; empty for the usual way.
func matchWord(w store.SensitiveWord) string {
	switch {
	case w.Allow:
		return "只认原样"
	case w.Exact && w.Embedded:
		return "只认原样，夹在别的词里也算"
	case w.Exact:
		return "只认原样"
	case w.Embedded:
		return "夹在别的词里也算"
	}
	return ""
}

// remove deletes a word, or what has a number. In a group only its own can be
// deleted, so that one group's operator does not change all.
func (f *feature) remove(ctx context.Context, tx *store.Tx, m bot.Message, word string) (string, error) {
	words, err := tx.WordsOf(ctx, []string{fold(word)})
	if err != nil {
		return "", err
	}
	byNumber := false
	if n, err := number(word); err == nil && len(words) == 0 {
		w, err := tx.Word(ctx, n)
		switch {
		case err == nil:
			words, byNumber = append(words, w), true
		case !errors.Is(err, store.ErrNotFound):
			return "", err
		}
	}
	var here, elsewhere []store.SensitiveWord
	for _, w := range words {
		if w.GroupID == m.Group.ID || m.Private() && byNumber {
			here = append(here, w)
		} else {
			elsewhere = append(elsewhere, w)
		}
	}
	switch {
	case len(here) > 1: // the word, and the same as a phrase that is allowed
		return "", refuse("", "有几条都是“%s”，请说编号，例如：/敏感词 删除 #%d", store.Clip(word, 20), here[0].ID)
	case len(here) == 1:
	case len(elsewhere) == 0:
		return "", refuse("", "没有敏感词“%s”。私聊我说“/敏感词 列表”看看有哪些。", store.Clip(word, 20))
	case m.Private():
		return "", refuse("", "通用的敏感词里没有它，有的群里有。请说编号，例如：/敏感词 删除 #%d", elsewhere[0].ID)
	case elsewhere[0].GroupID == 0:
		return "", refuse("", "“%s”是所有群通用的 #%d，请私聊我删除，或者到运营台删除。", store.Clip(word, 20), elsewhere[0].ID)
	default:
		return "", refuse("", "这个群没有敏感词“%s”。", store.Clip(word, 20))
	}
	w := here[0]
	if _, err := tx.DeleteWords(ctx, []int64{w.ID}); err != nil {
		return "", err
	}
	if err := f.audit(ctx, tx, m, "/敏感词 删除", w); err != nil {
		return "", err
	}
	return fmt.Sprintf("已删除 #%d “%s”。", w.ID, w.Text), nil
}

// listed is how many words one answer lists.
const listed = 30

// list answers 列表, in 1:1 chats only.
func (f *feature) list(ctx context.Context, tx *store.Tx, m bot.Message, before int64) (string, error) {
	if !m.Private() {
		return "", refuse("", "这里人多，请私聊我查看：点我的头像，发消息说“/敏感词 列表”。")
	}
	words, err := tx.Words(ctx, store.WordFilter{Before: before, Limit: listed + 1})
	if err != nil {
		return "", err
	}
	total, err := tx.CountWords(ctx, store.WordFilter{})
	if err != nil {
		return "", err
	}
	switch {
	case total == 0:
		return "还没有敏感词。\n" + usage, nil
	case len(words) == 0:
		return "没有更早的了。", nil
	}
	more := len(words) > listed
	words = words[:min(len(words), listed)]
	names, err := groupNames(ctx, tx, words)
	if err != nil {
		return "", err
	}
	var b strings.Builder
	fmt.Fprintf(&b, "共 %d 个，新的在前：", total)
	for _, w := range words {
		kind := levelWord(w.Level)
		if w.Allow {
			kind = "放行"
		}
		fmt.Fprintf(&b, "\n#%d %s（%s", w.ID, store.Clip(w.Text, 20), kind)
		if w.Category != "" {
			b.WriteString("，" + w.Category)
		}
		b.WriteString("，" + placeOf(w.GroupID, names) + "）")
	}
	if more {
		fmt.Fprintf(&b, "\n还有更早的，接着说：/敏感词 列表 %d", words[listed-1].ID)
	}
	return b.String(), nil
}

func groupNames(ctx context.Context, tx *store.Tx, words []store.SensitiveWord) (map[int64]string, error) {
	ids := make([]int64, len(words))
	for i, w := range words {
		ids[i] = w.GroupID
	}
	return tx.GroupNames(ctx, ids)
}

// placeOf is where a word counts, or where something was said.
func placeOf(group int64, names map[int64]string) string {
	switch {
	case group == 0:
		return "全部群"
	case names[group] != "":
		return names[group]
	}
	return "群 " + strconv.FormatInt(group, 10)
}
