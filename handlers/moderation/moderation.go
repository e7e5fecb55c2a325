// Package moderation keeps groups civil: operators list sensitive words, and
// what members say is scanned for them before any command runs.
//
// A word has a level. 提醒 lets the message go on; its sender is reminded where
// nothing else answers. 警告 stops the message, so that it runs no command, and
// counts as a strike; 拦截 does the same and asks staff to remove the message.
// Strikes within 30 days lead to a warning, then points are deducted, then the
// member is suspended from draws and points: see [Rules]. Staff are told of
// each, with a link to the evidence. What operators say is never stopped; they
// are told that it holds such a word.
//
// What the program says itself passes the same words: see [Filter].
package moderation

import (
	"context"
	"embed"
	"fmt"
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
		Console:  []console.Page{f.listPage(), f.newPage(), f.wordPage(), f.strikesPage(), f.strikePage(), f.rulesPage()},
		Personal: handlers.Personal{Export: f.export, Erase: f.erase},
	}
}

// rules returns the rules in force.
func (f *feature) rules(ctx context.Context, tx *store.Tx) (Rules, error) {
	r := defaultRules
	err := tx.Setting(ctx, "moderation.rules", &r)
	return r, err
}

// screen stops messages with a word that must not be said.
func (f *feature) screen(ctx context.Context, tx *store.Tx, m bot.Message) (bot.Reply, bool, error) {
	if m.Text == "" || m.Operator.ID != 0 { // operators are told by remind
		return bot.Reply{}, false, nil
	}
	hits, err := f.Filter.Scan(ctx, tx, m.Group.ID, m.Text)
	if err != nil || len(hits) == 0 {
		return bot.Reply{}, false, err
	}
	hit := worst(hits)
	if hit.Word.Level == wordfilter.Remind {
		// Once a day for a member is enough.
		key := store.Key("moderation.remind", m.Member.ID, store.DayOf(m.SentAt, f.Zone))
		reminder := bot.Reply{}
		if m.Addressed {
			reminder.Text = "请注意用语，这句话里有群里不提倡的内容。这次只提醒，不计次。"
		}
		return reminder, false, f.tell(ctx, tx, m, hit, key, "只提醒，消息照常处理。", "/decisions?member="+fmt.Sprint(m.Member.ID))
	}
	s, until, err := f.strike(ctx, tx, m, hit)
	if err != nil {
		return bot.Reply{}, false, err
	}
	rules, err := f.rules(ctx, tx)
	if err != nil {
		return bot.Reply{}, false, err
	}
	result := fmt.Sprintf("%d 天内第 %d 次，%s", rules.Window, s.Number, f.outcome(s, until))
	reply := bot.Reply{Rule: "moderation " + hit.Word.Level.String(), Detail: describeHit(hit) + "；" + result}
	if m.Addressed {
		reply.Text = f.warning(m, rules, s, until)
	}
	note := result + "。"
	if hit.Word.Level == wordfilter.Block && !m.Private() {
		note += "请群主在群里撤回这条消息。"
	}
	err = f.tell(ctx, tx, m, hit, store.Key("moderation.strike", m.Key), note, fmt.Sprintf("/moderation/strikes/%d", s.ID))
	return reply, true, err
}

// strike counts a message against its member and books what it leads to. It
// returns until when that suspends the member; zero: it does not. A message
// that counts already stays as it is.
func (f *feature) strike(ctx context.Context, tx *store.Tx, m bot.Message, hit wordfilter.Hit) (s store.Strike, until time.Time, err error) {
	rules, err := f.rules(ctx, tx)
	if err != nil {
		return s, until, err
	}
	balance, err := ledger.Settle(ctx, tx, m.Member.ID, m.SentAt) // holds the account: one strike of a member at a time
	if err != nil {
		return s, until, err
	}
	before, err := tx.CountStrikes(ctx, m.Member.ID, rules.windowOf(m.SentAt), m.SentAt)
	if err != nil {
		return s, until, err
	}
	p := rules.penaltyOf(before + 1)
	s, added, err := tx.AddStrike(ctx, store.Strike{
		Key: m.Key, MemberID: m.Member.ID, GroupID: m.Group.ID, Number: before + 1, Points: taken(p.deduct, balance), At: m.SentAt,
		Word: hit.Word.Text, Category: hit.Word.Category, Level: storedLevel(hit.Word.Level), How: hit.How.String(),
	})
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
	if p.suspend > 0 {
		until = m.SentAt.Add(p.suspend)
		err = tx.AddSuspension(ctx, store.Suspension{StrikeID: s.ID, MemberID: m.Member.ID, StartsAt: m.SentAt, EndsAt: until})
	}
	return s, until, err
}

// spendKey is under which the points that a strike cost are booked.
func spendKey(s store.Strike) string { return store.Key("moderation", s.Key) }

// outcome says what a strike led to.
func (f *feature) outcome(s store.Strike, until time.Time) string {
	switch {
	case !until.IsZero():
		return "停用积分和抽奖到 " + f.moment(until)
	case s.Points > 0:
		return fmt.Sprintf("扣 %d 分", s.Points)
	}
	return "警告"
}

func (f *feature) moment(t time.Time) string { return t.In(f.Zone).Format("1月2日 15:04") }

// warning is what a member hears whose message was stopped. It does not repeat
// the word: others read it.
func (f *feature) warning(m bot.Message, r Rules, s store.Strike, until time.Time) string {
	var b strings.Builder
	if !m.Private() {
		b.WriteString(bot.Name(m.Member.ID) + "，")
	}
	fmt.Fprintf(&b, "这句话不合群规，没有处理。这是 %d 天内第 %d 次", r.Window, s.Number)
	due := r.penaltyOf(s.Number)
	switch {
	case !until.IsZero():
		fmt.Fprintf(&b, "，到 %s 为止不能得积分，也不能参加抽奖。", f.moment(until))
	case due.deduct > s.Points:
		fmt.Fprintf(&b, "，要扣 %d 分；不够的部分不扣。", due.deduct)
	case s.Points > 0:
		fmt.Fprintf(&b, "，扣 %d 分。", s.Points)
	default:
		b.WriteString("，这次只是警告。")
	}
	next := r.penaltyOf(s.Number + 1)
	switch {
	case !until.IsZero():
		b.WriteString("觉得冤枉，请告诉群主。")
	case next.suspend > 0:
		fmt.Fprintf(&b, "再有一次，停用积分和抽奖 %d 天。", r.Suspend)
	case next.deduct > 0:
		fmt.Fprintf(&b, "再有一次，扣 %d 分。", next.deduct)
	}
	return b.String()
}

// tell tells staff about a message. page is where the console shows it.
func (f *feature) tell(ctx context.Context, tx *store.Tx, m bot.Message, hit wordfilter.Hit, key, result, page string) error {
	if f.Notify == nil {
		return nil
	}
	where := "私聊"
	if !m.Private() {
		where = placeOf(m.Group.ID, map[int64]string{m.Group.ID: m.Group.Name})
	}
	return f.Notify(ctx, tx, key, fmt.Sprintf("【敏感词】%s（会员 %d）在%s说到%s。\n%s\n证据：%s（消息 %s）",
		bot.Name(m.Member.ID), m.Member.ID, where, describeHit(hit), result, f.PublicURL+console.Prefix+page, m.Key))
}

// remind is a fallback: it answers messages that no command did, where they
// hold a word that does not stop them.
func (f *feature) remind(ctx context.Context, tx *store.Tx, m bot.Message) (bot.Reply, bool, error) {
	if m.Text == "" || !m.Addressed {
		return bot.Reply{}, false, nil
	}
	hits, err := f.Filter.Scan(ctx, tx, m.Group.ID, m.Text)
	if err != nil || len(hits) == 0 {
		return bot.Reply{}, false, err
	}
	hit := worst(hits)
	reply := bot.Reply{Rule: "moderation 提醒", Detail: describeHit(hit)}
	if m.Operator.ID != 0 {
		reply.Detail += "；运营说的，不计次"
		reply.Text = fmt.Sprintf("这句话里有级别是%s的词。你是运营，不计次；会员这样说，就%s。", hit.Word.Level, consequence(hit.Word.Level))
		return reply, true, nil
	}
	return reply, true, nil // the screen has reminded the member; there is nothing to add
}

// consequence says what becomes of a member's message with a word of a level.
func consequence(l wordfilter.Level) string {
	switch l {
	case wordfilter.Block:
		return "拦下、计一次违规，并请群主撤回"
	case wordfilter.Warn:
		return "拦下、计一次违规"
	}
	return "提醒一句，不计次"
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
	return tx.EraseStrikes(ctx, member)
}
