package keyword

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

const usage = "这样说：\n/关键词 添加 停车 => 前两小时免费\n/关键词 删除 停车\n/关键词 列表"

// An order is what an operator said behind /关键词.
type order struct {
	verb    string   // 添加, 删除 or 列表
	word    string   // of 添加 and 删除
	replies []string // of 添加
	before  int64    // of 列表: only rules with a smaller number; 0: all
}

// parse reads what was said behind /关键词. What it does not understand is a
// refusal.
func parse(args string) (order, error) {
	verb, rest := args, ""
	if i := strings.IndexFunc(args, unicode.IsSpace); i >= 0 {
		verb, rest = args[:i], strings.TrimSpace(args[i:])
	}
	switch bot.Fold(verb) {
	case "添加", "新增":
		word, reply, found := cutArrow(rest)
		o := order{verb: "添加", word: strings.TrimSpace(word), replies: splitReplies(reply)}
		if !found || o.word == "" || len(o.replies) == 0 {
			return order{}, refuse("", "请写上词和回复，中间用 =>。\n例如：/关键词 添加 停车 => 前两小时免费")
		}
		return o, nil
	case "删除":
		if rest == "" {
			return order{}, refuse("", "要删除哪个词？\n例如：/关键词 删除 停车")
		}
		return order{verb: "删除", word: rest}, nil
	case "列表":
		if rest == "" {
			return order{verb: "列表"}, nil
		}
		n, err := strconv.ParseInt(strings.TrimPrefix(bot.Fold(rest), "#"), 10, 64)
		if err != nil || n < 1 {
			return order{}, refuse("", "“列表”后面只能写编号，从它往前看。\n例如：/关键词 列表 120")
		}
		return order{verb: "列表", before: n}, nil
	}
	return order{}, refuse("", "%s", usage)
}

// cutArrow splits text at its first =>, in half or full width.
func cutArrow(text string) (before, after string, found bool) {
	at, end := -1, 0
	for _, arrow := range []string{"=>", "＝＞", "=＞", "＝>"} {
		if i := strings.Index(text, arrow); i >= 0 && (at < 0 || i < at) {
			at, end = i, i+len(arrow)
		}
	}
	if at < 0 {
		return text, "", false
	}
	return text[:at], text[end:], true
}

// splitReplies splits text at lines of three hyphens into replies, and leaves
// out the empty ones.
func splitReplies(text string) []string {
	var list []string
	var reply []string
	flush := func() {
		if r := strings.TrimSpace(strings.Join(reply, "\n")); r != "" {
			list = append(list, r)
		}
		reply = nil
	}
	for line := range strings.SplitSeq(strings.ReplaceAll(text, "\r\n", "\n"), "\n") {
		if strings.TrimSpace(line) == separator {
			flush()
			continue
		}
		reply = append(reply, line)
	}
	flush()
	return list
}

const separator = "---"

// joinReplies is the inverse of splitReplies.
func joinReplies(list []string) string { return strings.Join(list, "\n"+separator+"\n") }

// operate answers /关键词.
func (f *feature) operate(ctx context.Context, tx *store.Tx, m bot.Message) (bot.Reply, error) {
	o, err := parse(bot.Args(ctx))
	var text string
	if err == nil {
		switch o.verb {
		case "添加":
			text, err = f.add(ctx, tx, m, o)
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

// add makes a rule that answers what contains the word: in a group for that
// group, in a 1:1 chat for all.
func (f *feature) add(ctx context.Context, tx *store.Tx, m bot.Message, o order) (string, error) {
	r, err := f.checkNew(ctx, tx, store.KeywordRule{
		GroupID: m.Group.ID, Kind: store.KeywordContains, Pattern: o.word, Replies: o.replies, Enabled: true, CreatedAt: f.Now(),
	})
	if err != nil {
		return "", err
	}
	c, err := f.asked(ctx, tx, change{New: r}, store.Key("keyword", m.Key), m.Operator.ID, m.SentAt)
	if err != nil {
		return "", err
	}
	if !c.Free() {
		return fmt.Sprintf("回复里有敏感词，还没有添加。要另一位经理看过：后台“待审” #%d。", c.Approval.ID), tx.AddAudit(ctx, store.Audit{
			OperatorID: m.Operator.ID, Action: "/关键词 添加", Object: fmt.Sprintf("approval %d", c.Approval.ID), Detail: "等第二个人通过：" + describe(r), At: f.Now(),
		})
	}
	r, err = tx.AddKeywordRule(ctx, r)
	if errors.Is(err, store.ErrExists) { // another replica was quicker
		return "", refuse("", "刚刚有人添加了同样的词。")
	}
	if err != nil {
		return "", err
	}
	if err := f.audit(ctx, tx, m, "/关键词 添加", r); err != nil {
		return "", err
	}
	where, what := "所有群和私聊里", "就回答这一条"
	if r.GroupID != 0 {
		where = "这个群里"
	}
	if len(r.Replies) > 1 {
		what = fmt.Sprintf("就轮流回答这 %d 条", len(r.Replies))
	}
	text := fmt.Sprintf("已添加 #%d：%s，谁对我说到“%s”，%s。", r.ID, where, r.Pattern, what)
	before, after, err := f.neighbours(ctx, tx, r, 1)
	if err != nil {
		return "", err
	}
	own := newRule(r)
	for _, other := range before {
		_, why := compare(other, own)
		text += fmt.Sprintf("\n注意：只说“%s”的时候，仍由 #%d %s“%s”先回答（%s）。", r.Pattern, other.id, kindWord(other.kind), other.pattern, why)
	}
	for _, other := range after {
		_, why := compare(own, other)
		text += fmt.Sprintf("\n它先于 #%d %s“%s”（%s）。", other.id, kindWord(other.kind), other.pattern, why)
	}
	return text, nil
}

func (f *feature) audit(ctx context.Context, tx *store.Tx, m bot.Message, action string, r store.KeywordRule) error {
	return tx.AddAudit(ctx, store.Audit{OperatorID: m.Operator.ID, Action: action, Object: objectOf(r.ID), Detail: describe(r), At: f.Now()})
}

func objectOf(id int64) string { return fmt.Sprintf("keyword %d", id) }

// describe writes a rule down, for the audit trail.
func describe(r store.KeywordRule) string {
	text := fmt.Sprintf("%s“%s”，群 %d（0 是全部），优先级 %d", kindWord(r.Kind), r.Pattern, r.GroupID, r.Priority)
	if h := hours(r.FromMinute, r.ToMinute); h != "" {
		text += "，" + h
	}
	if r.CooldownSeconds > 0 {
		text += fmt.Sprintf("，冷却 %d 秒", r.CooldownSeconds)
	}
	if !r.Enabled {
		text += "，停用"
	}
	return text + "，回复：" + strings.Join(r.Replies, " / ")
}

// remove deletes the rule of a word, or of a number. In a group only its own
// rules can be deleted, so that one group's operator does not change all.
func (f *feature) remove(ctx context.Context, tx *store.Tx, m bot.Message, word string) (string, error) {
	folded := fold(word)
	rules, err := tx.KeywordRulesOf(ctx, []string{folded, bare(folded), word}, 6, m.Group.ID)
	if err != nil {
		return "", err
	}
	if len(rules) == 0 {
		if n, err := strconv.ParseInt(strings.TrimPrefix(folded, "#"), 10, 64); err == nil {
			r, err := tx.KeywordRule(ctx, n)
			switch {
			case errors.Is(err, store.ErrNotFound):
			case err != nil:
				return "", err
			case m.Private() || r.GroupID == m.Group.ID:
				rules = append(rules, r)
			default:
				return "", refuse("", "#%d 不是这个群的规则，请私聊我删除，或者到运营台删除。", n)
			}
		}
	}
	switch len(rules) {
	case 0:
		return "", f.elsewhere(ctx, tx, m, word)
	case 1:
	default:
		text := "有几条规则都是这个词，请说编号，例如：/关键词 删除 #" + strconv.FormatInt(rules[0].ID, 10)
		return text + lines(rules, nil), nil
	}
	r := rules[0]
	if _, err := tx.DeleteKeywordRules(ctx, []int64{r.ID}); err != nil {
		return "", err
	}
	if err := f.audit(ctx, tx, m, "/关键词 删除", r); err != nil {
		return "", err
	}
	return fmt.Sprintf("已删除 #%d %s“%s”。", r.ID, kindWord(r.Kind), r.Pattern), nil
}

// elsewhere says that there is no such rule here, and where there is one.
func (f *feature) elsewhere(ctx context.Context, tx *store.Tx, m bot.Message, word string) error {
	folded := fold(word)
	all, err := tx.KeywordRulesOf(ctx, []string{folded, bare(folded), word}, 6)
	if err != nil {
		return err
	}
	if !m.Private() {
		for _, r := range all {
			if r.GroupID == 0 {
				return refuse("", "“%s”是所有群通用的规则 #%d，请私聊我删除，或者到运营台删除。", store.Clip(word, 20), r.ID)
			}
		}
		return refuse("", "这个群没有关键词“%s”。", store.Clip(word, 20))
	}
	if len(all) == 0 {
		return refuse("", "没有关键词“%s”。说“/关键词 列表”看看有哪些。", store.Clip(word, 20))
	}
	names, err := groupNames(ctx, tx, all)
	if err != nil {
		return err
	}
	return refuse("", "通用的规则里没有这个词，这些群里有。请说编号，例如：/关键词 删除 #%d%s", all[0].ID, lines(all, names))
}

// listed is how many rules one answer lists.
const listed = 20

// list answers 列表, in 1:1 chats only.
func (f *feature) list(ctx context.Context, tx *store.Tx, m bot.Message, before int64) (string, error) {
	if !m.Private() {
		return "", refuse("", "这里人多，请私聊我查看：点我的头像，发消息说“/关键词 列表”。")
	}
	rules, err := tx.KeywordRules(ctx, store.KeywordFilter{Before: before, Limit: listed + 1})
	if err != nil {
		return "", err
	}
	total, err := tx.CountKeywordRules(ctx, store.KeywordFilter{})
	if err != nil {
		return "", err
	}
	switch {
	case total == 0:
		return "还没有关键词。\n" + usage, nil
	case len(rules) == 0:
		return "没有更早的了。", nil
	}
	more := len(rules) > listed
	rules = rules[:min(len(rules), listed)]
	names, err := groupNames(ctx, tx, rules)
	if err != nil {
		return "", err
	}
	text := fmt.Sprintf("共 %d 条关键词，新的在前：", total) + lines(rules, names)
	if more {
		text += fmt.Sprintf("\n还有更早的，接着说：/关键词 列表 %d", rules[listed-1].ID)
	}
	return text, nil
}

func groupNames(ctx context.Context, tx *store.Tx, rules []store.KeywordRule) (map[int64]string, error) {
	ids := make([]int64, len(rules))
	for i, r := range rules {
		ids[i] = r.GroupID
	}
	return tx.GroupNames(ctx, ids)
}

// lines writes rules, one a line. names is nil where all are of the same group.
func lines(rules []store.KeywordRule, names map[int64]string) string {
	var b strings.Builder
	for _, r := range rules {
		fmt.Fprintf(&b, "\n#%d %s“%s”", r.ID, kindWord(r.Kind), store.Clip(r.Pattern, 20))
		if names != nil {
			b.WriteString("（" + whereOf(r.GroupID, names) + "）")
		}
		fmt.Fprintf(&b, " => %s", store.Clip(strings.ReplaceAll(r.Replies[0], "\n", " "), 20))
		if len(r.Replies) > 1 {
			fmt.Fprintf(&b, " 等 %d 条", len(r.Replies))
		}
		if r.Enabled {
			fmt.Fprintf(&b, "，用过 %d 次", r.Hits)
		} else {
			b.WriteString("，已停用")
		}
	}
	return b.String()
}

// whereOf is the place a rule holds in.
func whereOf(group int64, names map[int64]string) string {
	switch {
	case group == 0:
		return "全部群"
	case names[group] != "":
		return names[group]
	}
	return "群 " + strconv.FormatInt(group, 10)
}
