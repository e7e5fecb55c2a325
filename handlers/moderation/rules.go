package moderation

import (
	"cmp"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"qunbot/bot"
	"qunbot/store"
	"qunbot/wordfilter"
)

// A Kind is what a rule looks for.
type Kind string

// The kinds.
const (
	KindWords      Kind = "words"       // sensitive words: all, those of a category, of a level
	KindLink       Kind = "link"        // an address of the web, or a link card
	KindContact    Kind = "contact"     // a link, or a way to get in touch: phone, mail, 加微信
	KindImage      Kind = "image"       // a picture; nobody can tell whether it shows a QR code
	KindFlood      Kind = "flood"       // Count messages of a member in a chat within Seconds
	KindRepeat     Kind = "repeat"      // the same text Count times within Seconds
	KindMentionAll Kind = "mention_all" // the text says @所有人
	KindLength     Kind = "length"      // Count characters or more
)

// A Spec is what a rule says: what it looks for, where, and what follows.
type Spec struct {
	Kind     Kind            `json:"kind"`
	Category string          `json:"category,omitempty"` // KindWords: of these words only; empty: of all
	Level    store.WordLevel `json:"level,omitempty"`    // KindWords: of these words only; empty: of all
	Count    int             `json:"count,omitempty"`    // KindFlood, KindRepeat: messages; KindLength: characters
	Seconds  int             `json:"seconds,omitempty"`  // KindFlood, KindRepeat

	Groups   []int64 `json:"groups,omitempty"`   // only in these; none: everywhere, 1:1 chats too
	Staff    bool    `json:"staff,omitempty"`    // operators are not exempt
	Newcomer int     `json:"newcomer,omitempty"` // only in a member's first minutes; 0: always
	From     string  `json:"from,omitempty"`     // only from this time of day (HH:MM) …
	To       string  `json:"to,omitempty"`       // … until before this one; both empty: always. It may pass midnight

	Counts bool   `json:"counts,omitempty"` // a message that meets the rule is a strike
	Steps  []Step `json:"steps"`            // what follows, from the first strike on; a rule that does not count has one
}

// A Step is what follows from a member's n-th strike on.
type Step struct {
	From    int   `json:"from"` // n: 1 or more
	Do      Do    `json:"do"`
	Points  int64 `json:"points,omitempty"`  // deducted, or what there is if that is less
	Suspend int   `json:"suspend,omitempty"` // days without points and draws
	Staff   bool  `json:"staff,omitempty"`   // staff are told
	Owner   bool  `json:"owner,omitempty"`   // and told how the group's owner removes it by hand
	Remove  bool  `json:"remove,omitempty"`  // its sender is taken out of an app chat by the API; elsewhere it is Owner
}

// Do is what becomes of a message.
type Do string

// What may become of one, the mildest first.
const (
	DoLog    Do = "log"    // it goes on; the hit is written down
	DoRemind Do = "remind" // it goes on, and its sender is reminded
	DoWarn   Do = "warn"   // it is stopped, and its sender is warned
)

func (d Do) rank() int { return slices.Index([]Do{DoLog, DoRemind, DoWarn}, d) }

// A Rule is a rule in force, or on trial.
type Rule struct {
	ID   int64
	Name string
	Dry  bool // its hits are noted, and nothing else is done
	Spec
}

// said is a message as rules see it.
type said struct {
	text   string
	images int
	card   bool // it is a link or a business card
	group  int64
	staff  bool // an operator said it
	at     time.Time
	zone   *time.Location
	hits   []wordfilter.Hit // sensitive words in it
	ways   []wordfilter.Hit // ways to get in touch in it
	before []utterance      // what its sender said there lately, in no order
}

type utterance struct {
	folded string
	at     time.Time
}

// A finding is why a message meets a rule.
type finding struct {
	Rule       Rule
	word       wordfilter.Word // KindWords; zero for the other kinds
	start, end int             // bytes of the text; equal: the message as a whole
	how        string
}

// meet returns why a message meets a rule, but for the condition Newcomer,
// which the caller asks about.
func (r Rule) meet(s said) (f finding, ok bool) {
	if !r.applies(s) {
		return f, false
	}
	f = finding{Rule: r}
	mark := func(where []int, how string) (finding, bool) {
		if where == nil {
			return f, false
		}
		f.start, f.end, f.how = where[0], where[1], how
		return f, true
	}
	switch r.Kind {
	case KindWords:
		var hits []wordfilter.Hit
		for _, h := range s.hits {
			if r.about(h.Word) {
				hits = append(hits, h)
			}
		}
		if len(hits) == 0 {
			return f, false
		}
		h := worst(hits)
		f.word = h.Word
		return mark([]int{h.Start, h.End}, h.How.String())
	case KindLink:
		return mark(findLink(s), "链接")
	case KindContact:
		if link := findLink(s); link != nil {
			return mark(link, "链接")
		}
		return mark(findContact(s), "联系方式")
	case KindImage:
		f.how = fmt.Sprintf("%d 张图片", s.images)
		return f, s.images > 0
	case KindFlood:
		n := r.recent(s, func(utterance) bool { return true })
		f.how = fmt.Sprintf("%s内第 %d 条", span(r.Seconds), n)
		return f, n >= r.Count
	case KindRepeat:
		folded := fold(s.text)
		n := r.recent(s, func(u utterance) bool { return u.folded == folded })
		f.how = fmt.Sprintf("%s内第 %d 遍", span(r.Seconds), n)
		return f, folded != "" && n >= r.Count
	case KindMentionAll:
		return mark(findMentionAll(s.text), "@所有人")
	case KindLength:
		n := utf8.RuneCountInString(s.text)
		f.how = fmt.Sprintf("%d 个字", n)
		return f, n >= r.Count
	}
	return f, false
}

// applies reports whether the rule's conditions hold, but for Newcomer.
func (s Spec) applies(m said) bool {
	switch {
	case m.staff && (!s.Staff || strings.HasPrefix(bot.Fold(m.text), "/")): // their commands name words to list them
		return false
	case len(s.Groups) > 0 && !slices.Contains(s.Groups, m.group):
		return false
	}
	return s.hour(m.at.In(m.zone).Format("15:04"))
}

// welcomes reports whether the rule holds for a member of that age.
func (s Spec) welcomes(age time.Duration) bool {
	return s.Newcomer == 0 || age < time.Duration(s.Newcomer)*time.Minute
}

// hour reports whether the rule holds at a time of day.
func (s Spec) hour(at string) bool {
	switch {
	case s.From == s.To:
		return true
	case s.From < s.To:
		return at >= s.From && at < s.To
	}
	return at >= s.From || at < s.To
}

// about reports whether the rule looks for a word.
func (s Spec) about(w wordfilter.Word) bool {
	return (s.Category == "" || s.Category == w.Category) && (s.Level == "" || s.Level == storedLevel(w.Level))
}

// recent counts a member's like messages within the rule's time, this one
// included.
func (s Spec) recent(m said, like func(utterance) bool) int {
	n := 1
	for _, u := range m.before {
		if m.at.Sub(u.at) < time.Duration(s.Seconds)*time.Second && like(u) {
			n++
		}
	}
	return n
}

// looksBack reports whether the rule asks what was said before.
func (s Spec) looksBack() bool { return s.Kind == KindFlood || s.Kind == KindRepeat }

// step returns what follows a member's n-th strike.
func (s Spec) step(n int) Step {
	found := Step{Do: DoLog}
	for _, step := range s.Steps {
		if step.From <= n && step.From >= found.From {
			found = step
		}
	}
	return found
}

// join returns what follows where a message meets two rules: the more serious
// of each.
func join(a, b Step) Step {
	if b.Do.rank() > a.Do.rank() {
		a.Do = b.Do
	}
	return Step{a.From, a.Do, max(a.Points, b.Points), max(a.Suspend, b.Suspend), a.Staff || b.Staff, a.Owner || b.Owner, a.Remove || b.Remove}
}

// compare orders steps by how serious they are.
func compare(a, b Step) int {
	flag := func(yes bool) int {
		if yes {
			return 1
		}
		return 0
	}
	return cmp.Or(cmp.Compare(a.Do.rank(), b.Do.rank()), cmp.Compare(a.Suspend, b.Suspend), cmp.Compare(a.Points, b.Points),
		cmp.Compare(flag(a.Remove), flag(b.Remove)), cmp.Compare(flag(a.Owner), flag(b.Owner)), cmp.Compare(flag(a.Staff), flag(b.Staff)))
}

// action names what was done, as hits keep it.
func (s Step) action() string {
	names := []string{string(s.Do)}
	if s.Points > 0 {
		names = append(names, "deduct")
	}
	if s.Suspend > 0 {
		names = append(names, "suspend")
	}
	if s.Staff {
		names = append(names, "staff")
	}
	if s.Owner {
		names = append(names, "owner")
	}
	if s.Remove {
		names = append(names, "remove")
	}
	return strings.Join(names, "+")
}

// A verdict is what becomes of a message that meets rules.
type verdict struct {
	lead   finding // the most serious one
	step   Step    // of all
	strike bool    // it counts
}

// judge says what becomes of a message that met live rules, where it would be
// its sender's n-th strike. There must be one finding.
func judge(met []finding, n int) verdict {
	v := verdict{lead: met[0], step: met[0].Rule.step(n), strike: met[0].Rule.Counts}
	most := v.step
	for _, f := range met[1:] {
		step := f.Rule.step(n)
		if compare(step, most) > 0 {
			v.lead, most = f, step
		}
		v.step, v.strike = join(v.step, step), v.strike || f.Rule.Counts
	}
	return v
}

const day = 24 * time.Hour

// A tally says how strikes add up.
type tally struct {
	Window int `json:"window"` // days in which strikes add up
}

var defaultTally = tally{Window: 30}

// after returns the time after which strikes add up with one of the given time.
func (t tally) after(at time.Time) time.Time { return at.Add(-time.Duration(t.Window) * day) }

// taken returns the points that a deduction takes from a balance: never more
// than there is.
func taken(deduct, balance int64) int64 { return max(0, min(deduct, balance)) }

const (
	maxRules   = 100
	maxSteps   = 5
	maxSeconds = 24 * 60 * 60
	maxRecent  = 200 // messages of a member that are looked back at, and the highest Count of KindFlood and KindRepeat
)

// check refuses a rule that cannot work. Its steps are in order then.
func (s Spec) check() error {
	switch s.Kind {
	case KindWords, KindLink, KindContact, KindImage, KindMentionAll:
	case KindFlood, KindRepeat:
		if s.Count < 2 || s.Count > maxRecent {
			return refuse("count", "几条要在 2 到 %d 之间。", maxRecent)
		}
		if s.Seconds < 1 || s.Seconds > maxSeconds {
			return refuse("seconds", "多少秒内要在 1 到 %d 之间。", maxSeconds)
		}
	case KindLength:
		if s.Count < 1 || s.Count > 100_000 {
			return refuse("count", "多少个字要在 1 到 100000 之间。")
		}
	default:
		return refuse("kind", "没有这种规则。")
	}
	if _, err := time.Parse("15:04", cmp.Or(s.From, "00:00")); err != nil || s.From != "" && len(s.From) != 5 {
		return refuse("from", "时间写成 22:00 这样。")
	}
	if _, err := time.Parse("15:04", cmp.Or(s.To, "00:00")); err != nil || s.To != "" && len(s.To) != 5 {
		return refuse("to", "时间写成 22:00 这样。")
	}
	if (s.From == "") != (s.To == "") {
		return refuse("to", "从几点到几点要么都写，要么都不写。")
	}
	if s.Newcomer < 0 || s.Newcomer > 30*24*60 {
		return refuse("newcomer", "新人的分钟数要在 0 到 43200（30 天）之间，0 是不限。")
	}
	return s.checkSteps()
}

func (s Spec) checkSteps() error {
	field := func(name string, i int) string { return fmt.Sprintf("%s%d", name, i+1) }
	if len(s.Steps) == 0 {
		return refuse("from1", "请写上第一步怎么处理。")
	}
	if len(s.Steps) > maxSteps {
		return refuse("", "最多 %d 步。", maxSteps)
	}
	for i, step := range s.Steps {
		switch {
		case step.From < 1 || step.From > 100:
			return refuse(field("from", i), "第几次要在 1 到 100 之间。")
		case i == 0 && step.From != 1:
			return refuse(field("from", i), "第一步要从第 1 次开始。")
		case i > 0 && step.From <= s.Steps[i-1].From:
			return refuse(field("from", i), "要比上一步晚，从小到大写。")
		case step.Do.rank() < 0:
			return refuse(field("do", i), "请选一种处理。")
		case step.Points < 0 || step.Points > 100_000:
			return refuse(field("points", i), "扣的积分要在 0 到 100000 之间。")
		case step.Suspend < 0 || step.Suspend > 365:
			return refuse(field("suspend", i), "停用的天数要在 0 到 365 之间。")
		case step.costs() && step.Do != DoWarn:
			return refuse(field("do", i), "扣分、停用和移出要和“警告”一起：会员得知道为什么。")
		case step.costs() && !s.Counts:
			return refuse("counts", "要扣分、停用或移出，就得计次：撤销违规时才能退回来。")
		case i > 0 && !s.Counts:
			return refuse("counts", "不计次的规则只有第一步，后面几步轮不到。")
		}
	}
	return nil
}

// costs reports whether the step takes something from a member.
func (s Step) costs() bool { return s.Points > 0 || s.Suspend > 0 || s.Remove }

// span says a number of seconds.
func span(seconds int) string {
	switch {
	case seconds%3600 == 0:
		return fmt.Sprintf("%d 小时", seconds/3600)
	case seconds%60 == 0:
		return fmt.Sprintf("%d 分钟", seconds/60)
	}
	return fmt.Sprintf("%d 秒", seconds)
}

var (
	// Addresses of the web: with a scheme, with www, or a name below one of
	// the domains that links in chats are of.
	linkPattern = regexp.MustCompile(`(?i)(?:https?|ftp)://[^\s<>"，。！？、）】]+|\bwww\.[a-z0-9-]+\.[a-z]{2,}[^\s<>"，。！？、）】]*` +
		`|\b[a-z0-9][a-z0-9-]*(?:\.[a-z0-9-]+)*\.(?:com|cn|net|org|top|xyz|vip|cc|shop|club|site|online|info|me|io|co|tv|app|link|ltd)\b(?:/[^\s<>"，。！？、）】]*)?`)
	// Mobile phones of the mainland, also in groups of 3, 4, 4; mail addresses.
	contactPattern = regexp.MustCompile(`(?:^|[^0-9])(1[3-9][0-9][ -]?[0-9]{4}[ -]?[0-9]{4})(?:[^0-9]|$)|([A-Za-z0-9._+-]+@[A-Za-z0-9-]+(?:\.[A-Za-z0-9-]+)+)`)
	mentionAll     = regexp.MustCompile(`(?i)[@＠]\s?(?:所有人|全体成员|全体|all\b|everyone\b)`)
)

// findLink returns where a message has a link; nil: nowhere.
func findLink(s said) []int {
	if s.card {
		return []int{0, 0}
	}
	if !strings.ContainsRune(s.text, '.') && !strings.Contains(s.text, "://") {
		return nil
	}
	return linkPattern.FindStringIndex(s.text)
}

// findContact returns where a message has a way to get in touch; nil: nowhere.
func findContact(s said) []int {
	if m := contactPattern.FindStringSubmatchIndex(s.text); m != nil {
		if m[2] >= 0 {
			return m[2:4]
		}
		return m[4:6]
	}
	if len(s.ways) > 0 {
		return []int{s.ways[0].Start, s.ways[0].End}
	}
	return nil
}

func findMentionAll(text string) []int {
	if !strings.ContainsAny(text, "@＠") {
		return nil
	}
	return mentionAll.FindStringIndex(text)
}

// contactWords are ways to get in touch that a message may name; the engine
// knows their other names.
var contactWords = []wordfilter.Word{
	{Text: "加微信"}, {Text: "加我微信"}, {Text: "微信号"}, {Text: "加QQ"}, {Text: "QQ号"}, {Text: "QQ群"}, {Text: "私聊我"}, {Text: "私信我"},
	{Text: "加我好友"}, {Text: "加好友"}, {Text: "联系电话"}, {Text: "手机号"}, {Text: "扫码进群"}, {Text: "扫二维码"},
}
