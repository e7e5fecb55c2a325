// Package moderation keeps groups civil: operators list sensitive words, and
// what members say is scanned for them before any command runs.
//
// What follows is up to rules, which operators make: see [Spec]. A rule says
// what it looks for (words, links, floods …), where and when, and what follows
// from which of a member's strikes on. The first three, made with the database,
// are for words by their level: 提醒 lets the message go on, and its sender is
// reminded; 警告 stops the message, so that it runs no command, and counts as a
// strike; 拦截 does the same and asks the group's owner to remove the message.
// Strikes within 30 days lead to a warning, then points are deducted, then the
// member is suspended from draws and points. Staff are told of each, with a
// link to the evidence. What operators say is not stopped unless a rule says
// so; they are told that it holds such a word.
//
// Every rule that a message meets is written down as a hit. A rule on trial
// (试运行) does nothing else.
//
// What the program says itself passes the same words: see [Filter].
package moderation

import (
	"context"
	"embed"
	"fmt"
	"slices"
	"strings"
	"time"

	"qunbot/bot"
	"qunbot/handlers"
	"qunbot/ledger"
	"qunbot/store"
	"qunbot/web/console"
	"qunbot/wordfilter"
)

//go:embed *.html *.css
var files embed.FS

// Config is what the feature needs besides what all features have. Every field
// is optional.
type Config struct {
	// Filter is the program's filter. Nil: one is made.
	Filter *Filter
	// Notify tells staff, in the transaction it is called in. The text holds
	// marks of bot.Name and no words of the message. Of two calls with the same
	// key the second does nothing. Nil: nobody is told; the console shows it.
	Notify func(ctx context.Context, tx *store.Tx, key, text string) error
	// PublicURL is the address that browsers know the site by, for links to
	// the evidence. Empty: they begin with the console's path.
	PublicURL string
	// Remove takes a member, by userid, out of a group that the app made. An
	// error that is a bot.SendError says whether to try again. Nil: nobody can,
	// and staff are told how to do it by hand.
	Remove func(ctx context.Context, chatID, userID string) error
}

type feature struct {
	handlers.Deps
	Config
}

// New returns the moderation.
func New(d handlers.Deps, c Config) handlers.Feature {
	if c.Filter == nil {
		c.Filter = NewFilter(d)
	}
	c.PublicURL = strings.TrimRight(c.PublicURL, "/")
	f := &feature{d, c}
	return handlers.Feature{
		Name:     "moderation",
		Screen:   f.screen,
		Fallback: f.remind,
		Commands: []bot.Command{{
			Words: []string{"/敏感词"}, Usage: "添加 <词> [提醒|警告|拦截] | 删除 <词> | 列表",
			Help: "群里不能说的词", Role: store.Staff, Handle: f.operate,
		}},
		Console: []console.Page{f.listPage(), f.newPage(), f.wordPage(), f.rulesPage(), f.newRulePage(), f.rulePage(),
			f.strikesPage(), f.strikePage(), f.presetsPage(), f.presetPage(), f.importPage(), f.previewPage(), f.exportPage(),
			f.replayPage()},
		Jobs:     f.jobs(),
		Personal: handlers.Personal{Export: f.export, Erase: f.erase},
	}
}

// tally returns how strikes add up.
func (f *feature) tally(ctx context.Context, tx *store.Tx) (tally, error) {
	t := defaultTally
	err := tx.Setting(ctx, tallySetting, &t)
	return t, err
}

const tallySetting = "moderation.rules"

// hear returns what rules need to know of a message, and which it meets.
func (f *feature) hear(ctx context.Context, tx *store.Tx, m bot.Message) (met []finding, err error) {
	c, err := f.Filter.compiled(ctx, tx)
	if err != nil || len(c.book.rules) == 0 || m.Event != "" || m.Private() && isAppeal(m.Text) {
		return nil, err
	}
	s := said{text: m.Text, images: m.Images, card: m.Card, group: m.Group.ID, staff: m.Operator.ID != 0, at: m.SentAt, zone: f.Zone}
	if s.staff && !c.book.staff {
		return nil, nil
	}
	c.scan(f.Filter, &s)
	if c.book.back > 0 && s.text != "" {
		before, err := tx.Said(ctx, m.Member.ID, m.Group.ID, m.SentAt.Add(-c.book.back), m.SentAt, maxRecent)
		if err != nil {
			return nil, err
		}
		for _, b := range before {
			s.before = append(s.before, utterance{fold(b.Text), b.SentAt})
		}
	}
	met = c.book.meet(s)
	return f.newcomers(ctx, tx, m, met)
}

// scan finds the words in a message that the book's rules look for.
func (c *compiled) scan(f *Filter, s *said) {
	if c.book.words {
		s.hits = c.set.For(GroupKey(s.group)).Scan(s.text, nil)
	}
	if c.book.ways {
		s.ways = f.ways.Scan(s.text, nil)
	}
}

// newcomers leaves out the rules that are for newcomers, where the member is
// none.
func (f *feature) newcomers(ctx context.Context, tx *store.Tx, m bot.Message, met []finding) ([]finding, error) {
	if !slices.ContainsFunc(met, func(f finding) bool { return f.Rule.Newcomer > 0 }) {
		return met, nil
	}
	since := m.Member.CreatedAt
	if !m.Private() {
		var err error
		if since, err = tx.MemberSince(ctx, m.Group.ID, m.Member.ID); err != nil {
			return nil, err
		}
	}
	return slices.DeleteFunc(met, func(f finding) bool { return !f.Rule.welcomes(m.SentAt.Sub(since)) }), nil
}

// screen does with a message what the rules say that it meets.
func (f *feature) screen(ctx context.Context, tx *store.Tx, m bot.Message) (bot.Reply, bool, error) {
	met, err := f.hear(ctx, tx, m)
	if err != nil || len(met) == 0 {
		return bot.Reply{}, false, err
	}
	var live []finding
	for _, found := range met {
		if !found.Rule.Dry {
			live = append(live, found)
		}
	}
	if len(live) == 0 {
		return bot.Reply{}, false, f.note(ctx, tx, m, met, Step{}, store.Strike{})
	}
	v, s, until, err := f.judge(ctx, tx, m, live)
	if err != nil {
		return bot.Reply{}, false, err
	}
	if v.step.Remove {
		taken, err := f.takeOut(ctx, tx, m, s)
		if err != nil {
			return bot.Reply{}, false, err
		}
		v.step.Remove, v.step.Owner = taken, v.step.Owner || !taken
	}
	if err := f.note(ctx, tx, m, met, v.step, s); err != nil {
		return bot.Reply{}, false, err
	}
	t, err := f.tally(ctx, tx)
	if err != nil {
		return bot.Reply{}, false, err
	}
	result := f.result(t, v, s, until)
	reply := bot.Reply{Rule: "moderation " + v.lead.Rule.Name, Detail: v.lead.String() + "；" + result}
	if m.Addressed {
		reply.Text = f.answer(m, t, v, s, until)
	}
	if v.step.Staff || v.step.Owner || v.step.Remove {
		if err := f.tell(ctx, tx, m, v, s, result); err != nil {
			return bot.Reply{}, false, err
		}
	}
	return reply, v.step.Do == DoWarn, nil
}

// judge comes to what becomes of a message, and books it where it counts.
func (f *feature) judge(ctx context.Context, tx *store.Tx, m bot.Message, live []finding) (v verdict, s store.Strike, until time.Time, err error) {
	if v = judge(live, 1); !v.strike {
		return v, s, until, nil
	}
	t, err := f.tally(ctx, tx)
	if err != nil {
		return v, s, until, err
	}
	balance, err := ledger.Settle(ctx, tx, m.Member.ID, m.SentAt) // holds the account: one strike of a member at a time
	if err != nil {
		return v, s, until, err
	}
	before, err := tx.CountStrikes(ctx, m.Member.ID, t.after(m.SentAt), m.SentAt)
	if err != nil {
		return v, s, until, err
	}
	v = judge(live, before+1)
	s, until, err = f.strike(ctx, tx, m, v, before+1, balance)
	if err == nil && s.Number != before+1 { // it counts already
		v = judge(live, s.Number)
	}
	return v, s, until, err
}

// strike counts a message against its member and books what it leads to. It
// returns until when that suspends the member; zero: it does not. A message
// that counts already stays as it is.
func (f *feature) strike(ctx context.Context, tx *store.Tx, m bot.Message, v verdict, number int, balance int64) (s store.Strike, until time.Time, err error) {
	s = store.Strike{Key: m.Key, MemberID: m.Member.ID, GroupID: m.Group.ID, Number: number, Points: taken(v.step.Points, balance), At: m.SentAt,
		Word: v.lead.Rule.Name, Level: store.LevelWarn, How: store.Clip(v.lead.how, 60)}
	if w := v.lead.word; w.Text != "" {
		s.Word, s.Category, s.Level = w.Text, w.Category, storedLevel(w.Level)
	}
	s, added, err := tx.AddStrike(ctx, s)
	if err != nil {
		return s, until, err
	}
	if !added {
		rows, err := tx.StrikeRows(ctx, store.StrikeFilter{ID: s.ID, Limit: 1})
		if err == nil && len(rows) > 0 && rows[0].EndsAt != nil {
			until = *rows[0].EndsAt
		}
		return s, until, err
	}
	if s.Points > 0 {
		_, err := ledger.Spend(ctx, tx, ledger.Spending{
			Member: m.Member.ID, Mall: m.Group.MallID, Rule: "moderation", Points: s.Points, Key: spendKey(s), Note: "违反群规扣分", At: m.SentAt,
		})
		if err != nil {
			return s, until, err
		}
	}
	if v.step.Suspend > 0 {
		until = m.SentAt.Add(time.Duration(v.step.Suspend) * day)
		err = tx.AddSuspension(ctx, store.Suspension{StrikeID: s.ID, MemberID: m.Member.ID, StartsAt: m.SentAt, EndsAt: until})
	}
	return s, until, err
}

// note writes down which rules a message met, and what was done.
func (f *feature) note(ctx context.Context, tx *store.Tx, m bot.Message, met []finding, done Step, s store.Strike) error {
	hits := make([]store.ModerationHit, len(met))
	for i, found := range met {
		h := store.ModerationHit{Key: m.Key, RuleID: found.Rule.ID, MemberID: m.Member.ID, GroupID: m.Group.ID, At: m.SentAt,
			Start: found.start, End: found.end, How: store.Clip(found.how, 60), Action: store.DryHit}
		if w := found.word; w.Text != "" {
			h.Word, h.Category, h.Level = w.Text, w.Category, storedLevel(w.Level)
		}
		if !found.Rule.Dry {
			h.Action = done.action()
			if found.Rule.Counts {
				h.StrikeID = s.ID
			}
		}
		hits[i] = h
	}
	return tx.AddHits(ctx, hits)
}

// spendKey is under which the points that a strike cost are booked.
func spendKey(s store.Strike) string { return store.Key("moderation", s.Key) }

// String names what was found. It does not quote the text that it was found
// in.
func (f finding) String() string {
	if f.word.Text != "" {
		return describeHit(wordfilter.Hit{Word: f.word}, f.how)
	}
	return fmt.Sprintf("规则“%s”（%s）", f.Rule.Name, f.how)
}

// result says what became of a message, for operators.
func (f *feature) result(t tally, v verdict, s store.Strike, until time.Time) string {
	if !v.strike {
		switch v.step.Do {
		case DoWarn:
			return "拦下，不计次"
		case DoRemind:
			return "只提醒，消息照常处理"
		}
		return "只记下来，消息照常处理"
	}
	parts := []string{fmt.Sprintf("%d 天内第 %d 次", t.Window, s.Number)}
	if s.Points > 0 {
		parts = append(parts, fmt.Sprintf("扣 %d 分", s.Points))
	}
	if !until.IsZero() {
		parts = append(parts, "停用积分和抽奖到 "+f.moment(until))
	}
	if len(parts) == 1 {
		parts = append(parts, map[Do]string{DoWarn: "警告", DoRemind: "提醒", DoLog: "只记下来"}[v.step.Do])
	}
	return strings.Join(parts, "，")
}

func (f *feature) moment(t time.Time) string { return t.In(f.Zone).Format("1月2日 15:04") }

// fault says what is not welcome in a message, for its sender. It does not
// repeat a word: others read it.
func (k Kind) fault() string {
	switch k {
	case KindFlood:
		return "发得太快了"
	case KindRepeat:
		return "同样的话已经说过好几遍了"
	case KindLink:
		return "这里现在不能发链接"
	case KindContact:
		return "这里现在不能发链接和联系方式"
	case KindImage:
		return "这里现在不能发图片"
	case KindMentionAll:
		return "请不要@所有人"
	case KindLength:
		return "这一条太长了"
	}
	return "这句话不合群规"
}

// answer is what a member hears whose message met a rule.
func (f *feature) answer(m bot.Message, t tally, v verdict, s store.Strike, until time.Time) string {
	kind := v.lead.Rule.Kind
	switch v.step.Do {
	case DoLog:
		return ""
	case DoRemind:
		text := kind.fault() + "，请留意。"
		if kind == KindWords {
			text = "请注意用语，这句话里有群里不提倡的内容。"
		}
		if v.strike {
			return text + fmt.Sprintf("这是 %d 天内第 %d 次，这次只是提醒。", t.Window, s.Number) + next(v.lead.Rule, s.Number)
		}
		return text + "这次只提醒，不计次。"
	}
	var b strings.Builder
	if !m.Private() {
		b.WriteString(bot.Name(m.Member.ID) + "，")
	}
	b.WriteString(kind.fault() + "，没有处理。")
	if !v.strike {
		return b.String() + "这次不计次。"
	}
	fmt.Fprintf(&b, "这是 %d 天内第 %d 次", t.Window, s.Number)
	switch {
	case v.step.Points > s.Points:
		fmt.Fprintf(&b, "，要扣 %d 分；不够的部分不扣", v.step.Points)
	case s.Points > 0:
		fmt.Fprintf(&b, "，扣 %d 分", s.Points)
	case until.IsZero():
		b.WriteString("，这次只是警告")
	}
	if until.IsZero() {
		return b.String() + "。" + next(v.lead.Rule, s.Number)
	}
	fmt.Fprintf(&b, "，到 %s 为止不能得积分，也不能参加抽奖。觉得冤枉，私聊我说“申诉”。", f.moment(until))
	return b.String()
}

// next says what the strike after the n-th leads to, where that is more than
// words.
func next(r Rule, n int) string {
	switch step := r.step(n + 1); {
	case step.Suspend > 0:
		return fmt.Sprintf("再有一次，停用积分和抽奖 %d 天。", step.Suspend)
	case step.Points > 0:
		return fmt.Sprintf("再有一次，扣 %d 分。", step.Points)
	}
	return ""
}

// tell tells staff about a message: of each strike, and once a day of a member
// who meets a rule that does not count.
func (f *feature) tell(ctx context.Context, tx *store.Tx, m bot.Message, v verdict, s store.Strike, result string) error {
	if f.Notify == nil {
		return nil
	}
	key, page := store.Key("moderation.strike", m.Key), fmt.Sprintf("/moderation/strikes/%d", s.ID)
	if !v.strike {
		key = store.Key("moderation.rule", v.lead.Rule.ID, m.Member.ID, store.DayOf(m.SentAt, f.Zone))
		page = "/decisions?member=" + fmt.Sprint(m.Member.ID)
	}
	where := "私聊"
	if !m.Private() {
		where = placeOf(m.Group.ID, map[int64]string{m.Group.ID: m.Group.Name})
	}
	text := fmt.Sprintf("【敏感词】%s（会员 %d）在%s说到%s。\n%s。", bot.Name(m.Member.ID), m.Member.ID, where, v.lead, result)
	if v.lead.word.Text == "" {
		text = fmt.Sprintf("【群规】%s（会员 %d）在%s碰到%s。\n%s。", bot.Name(m.Member.ID), m.Member.ID, where, v.lead, result)
	}
	if v.step.Owner && !m.Private() {
		text += "请群主在群里撤回这条消息。\n" + byHand(m.Group.Kind)
	}
	if v.step.Remove {
		text += "一分钟内用接口把他移出群聊；这个群不是应用建的，接口会拒绝，那时再告诉你们怎么手工移出。"
	}
	text += fmt.Sprintf("\n证据：%s（消息 %s）", f.PublicURL+console.Prefix+page, m.Key)
	return f.Notify(ctx, tx, key, text)
}

// byHand says how a group's owner removes a message and its sender: the program
// may do neither. The owner's name is not known to it, so that staff pass it on.
func byHand(kind store.GroupKind) string {
	if kind == store.CustomerGroup {
		return "手工处理（群主或群管理员）：在手机上打开这个客户群，长按那条消息，选“撤回”或“删除”；要移出人，点右上角“…”，在群成员里选中他，移出群聊。"
	}
	return "手工处理（群主或群管理员）：打开这个群，长按或右键那条消息，选“撤回”；要移出人，进入群设置的成员列表，选中他，移出群聊。"
}

// remind is a fallback: it answers messages that no command did, where they
// meet a rule that does not stop them.
func (f *feature) remind(ctx context.Context, tx *store.Tx, m bot.Message) (bot.Reply, bool, error) {
	if !m.Addressed {
		return bot.Reply{}, false, nil
	}
	met, err := f.hear(ctx, tx, m)
	if err != nil {
		return bot.Reply{}, false, err
	}
	reminded := slices.ContainsFunc(met, func(f finding) bool {
		return !f.Rule.Dry && slices.ContainsFunc(f.Rule.Steps, func(s Step) bool { return s.Do == DoRemind })
	})
	if reminded || m.Operator.ID == 0 {
		return bot.Reply{Rule: "moderation 提醒"}, reminded, nil // the screen has reminded the member; there is nothing to add
	}
	hits, err := f.Filter.Scan(ctx, tx, m.Group.ID, m.Text)
	if err != nil || len(hits) == 0 {
		return bot.Reply{}, false, err
	}
	hit := worst(hits)
	follows, err := f.consequence(ctx, tx, m.Group.ID, hit.Word)
	reply := bot.Reply{Rule: "moderation 提醒", Detail: describeHit(hit, hit.How.String()) + "；运营说的，不计次",
		Text: fmt.Sprintf("这句话里有级别是%s的词。你是运营，不计次；会员这样说，就%s。", hit.Word.Level, follows)}
	return reply, true, err
}

// consequence says what becomes of a member's message with a word, said in a
// group for the first time.
func (f *feature) consequence(ctx context.Context, tx *store.Tx, group int64, w wordfilter.Word) (string, error) {
	c, err := f.Filter.compiled(ctx, tx)
	if err != nil {
		return "", err
	}
	var met []finding
	for _, r := range c.book.rules {
		if !r.Dry && r.Kind == KindWords && r.about(w) && (len(r.Groups) == 0 || slices.Contains(r.Groups, group)) {
			met = append(met, finding{Rule: r})
		}
	}
	if len(met) == 0 {
		return "什么也不会发生：没有开着的规则管它", nil
	}
	return judge(met, 1).String(), nil
}

// String says what becomes of a first message.
func (v verdict) String() string {
	parts := []string{map[Do]string{DoWarn: "拦下", DoRemind: "提醒一句", DoLog: "只记下来"}[v.step.Do]}
	if v.strike {
		parts = append(parts, "计一次违规")
	}
	if v.step.Points > 0 {
		parts = append(parts, fmt.Sprintf("扣 %d 分", v.step.Points))
	}
	if v.step.Suspend > 0 {
		parts = append(parts, fmt.Sprintf("停用积分和抽奖 %d 天", v.step.Suspend))
	}
	text := strings.Join(parts, "、")
	if !v.strike {
		text += "，不计次"
	}
	if v.step.Remove {
		text += "，移出应用群聊"
	}
	if v.step.Owner {
		text += "，并请群主撤回"
	}
	return text
}

// An exportedStrike is a strike as its member is given it.
type exportedStrike struct {
	At             time.Time  `json:"at"`
	Category       string     `json:"category"`
	Level          string     `json:"level"`
	Points         int64      `json:"points"`
	SuspendedUntil *time.Time `json:"suspended_until,omitempty"`
	Undone         bool       `json:"undone"`
}

// maxExport is how many strikes an export holds.
const maxExport = 10_000

// export returns a member's strikes, the newest first.
func (f *feature) export(ctx context.Context, tx *store.Tx, member int64) (any, error) {
	rows, err := tx.StrikeRows(ctx, store.StrikeFilter{MemberID: member, Limit: maxExport})
	list := make([]exportedStrike, len(rows))
	for i, r := range rows {
		list[i] = exportedStrike{r.At, r.Category, levelWord(r.Level), r.Points, r.EndsAt, r.UndoneAt != nil}
	}
	return list, err
}

func (f *feature) erase(ctx context.Context, tx *store.Tx, member int64) error {
	if err := tx.EraseHits(ctx, member); err != nil {
		return err
	}
	return tx.EraseStrikes(ctx, member)
}
