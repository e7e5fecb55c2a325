package console

import (
	"context"
	"errors"
	"net/url"
	"regexp"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"qunbot/store"
	"qunbot/web/style"
)

// ownPages are the frame's pages that come before the features' in the menu.
func (c *Console) ownPages() []Page {
	return []Page{
		{Path: "/", Title: "首页", Purpose: "今天怎么样，一眼看到。", Group: Daily, Icon: "home",
			FS: files, Template: "home.html", Live: true, Load: home},
	}
}

// ownLast are those that come after them.
func (c *Console) ownLast() []Page {
	return []Page{
		{Path: "/groups", Title: "群", Purpose: "每个群能做什么，一目了然。", Group: Daily, Icon: "chat", Role: store.Analyst,
			FS: files, Template: "groups.html", Load: groups},
		{Path: "/groups/{id}", Title: "群的设置", Role: store.Analyst, Change: store.Staff,
			FS: files, Template: "group.html", Load: group, Post: changeGroup},
		{Path: "/look", Title: "会员页外观", Purpose: "会员打开手机页面时看到的店名和颜色。", Role: store.Manager,
			FS: files, Template: "look.html", Load: look, Post: changeLook},
		{Path: "/members", Title: "会员", Purpose: "按编号或称呼查会员，看积分从哪里来。", Group: Daily, Icon: "people", Role: store.Analyst,
			FS: files, Template: "members.html", Load: members},
		{Path: "/members/{id}", Title: "会员详情", Role: store.Analyst,
			FS: files, Template: "member.html", Load: member},
		{Path: "/decisions", Title: "决策日志", Purpose: "每条消息为什么这样回、为什么没有回。", Group: Manage, Menu: "记录", Icon: "log", Role: store.Analyst,
			FS: files, Template: "decisions.html", Load: decisions},
		{Path: "/audit", Title: "操作记录", Purpose: "谁在什么时候改了什么。只增不改。", Group: Manage, Menu: "记录", Icon: "history", Role: store.Manager,
			FS: files, Template: "audit.html", Load: c.audit},
	}
}

// home shows today's figures and what was decided last.
func home(ctx context.Context, tx *store.Tx, v Visit) (any, error) {
	zone := tx.Zone()
	today := store.DayOf(v.Now, zone)
	var data struct {
		Today                       store.Day
		Outcomes                    map[store.Outcome]int64
		Heard, Answered, Failed     int64
		CheckIns, CheckInsYesterday int64
		Sizes                       store.Sizes
		Last                        explained
	}
	data.Today = today
	var err error
	if data.Outcomes, err = tx.OutcomeCounts(ctx, today.Start(zone), today.Add(1).Start(zone)); err != nil {
		return nil, err
	}
	data.Answered, data.Failed = data.Outcomes[store.Answered], data.Outcomes[store.Failed]
	for _, n := range data.Outcomes {
		data.Heard += n
	}
	counts, err := tx.CheckInCounts(ctx, today.Add(-1), today)
	if err != nil {
		return nil, err
	}
	for _, c := range counts {
		if c.Day == today {
			data.CheckIns = c.Count
		} else {
			data.CheckInsYesterday = c.Count
		}
	}
	if data.Sizes, err = tx.Sizes(ctx); err != nil {
		return nil, err
	}
	if v.Operator.Role.Covers(store.Analyst) {
		last, err := tx.Decisions(ctx, store.DecisionFilter{Limit: 8})
		if err != nil {
			return nil, err
		}
		if data.Last, err = explain(ctx, tx, last); err != nil {
			return nil, err
		}
	}
	return data, nil
}

// explained are decisions with the names of who and where.
type explained struct {
	Items   []store.ExplainedMessage
	Members map[int64]string
	Groups  map[int64]string
}

func explain(ctx context.Context, tx *store.Tx, list []store.ExplainedMessage) (e explained, err error) {
	e.Items = list
	var members, groups []int64
	for _, d := range list {
		members, groups = append(members, d.MemberID), append(groups, d.GroupID)
	}
	if e.Members, err = tx.Names(ctx, members); err != nil {
		return e, err
	}
	e.Groups, err = tx.GroupNames(ctx, groups)
	return e, err
}

// OutcomeState is how an outcome is marked.
func (e explained) OutcomeState(o store.Outcome) string {
	switch o {
	case store.Answered:
		return "good"
	case store.Stopped:
		return "warn"
	case store.Failed:
		return "bad"
	}
	return "quiet"
}

// OutcomeWord is what an outcome is called.
func (e explained) OutcomeWord(o store.Outcome) string { return outcomeWord(o) }

func outcomeWord(o store.Outcome) string {
	switch o {
	case store.Answered:
		return "已回答"
	case store.Ignored:
		return "没有回"
	case store.Stopped:
		return "已拦下"
	case store.Failed:
		return "出错了"
	}
	return string(o)
}

// Where is the chat in which something was said.
func (e explained) Where(group int64) string {
	switch {
	case group == 0:
		return "私聊"
	case e.Groups[group] != "":
		return e.Groups[group]
	}
	return "群 " + strconv.FormatInt(group, 10)
}

// groups lists the groups.
func groups(ctx context.Context, tx *store.Tx, v Visit) (any, error) {
	after := int64(0)
	if n, err := strconv.ParseInt(v.Query.Get("after"), 10, 64); err == nil && n > 0 {
		after = n
	}
	rows, err := tx.GroupRows(ctx, after, v.Limit)
	if err != nil {
		return nil, err
	}
	data := struct {
		Rows    Rows[store.GroupRow]
		Kinds   []kind
		MayLook bool
	}{Rows[store.GroupRow]{Items: rows}, []kind{kindOf(store.InternalGroup), kindOf(store.CustomerGroup)}, v.Operator.Role.Covers(store.Manager)}
	if len(rows) == v.Limit {
		data.Rows.Items = rows[:v.Limit-1]
		data.Rows.Older = v.Path + "?after=" + strconv.FormatInt(rows[v.Limit-2].ID, 10)
	}
	if after > 0 {
		data.Rows.First = v.Path
	}
	return data, nil
}

// kind is what the program can do in a kind of group.
type kind struct {
	Kind store.GroupKind
	Name string
	Text string
	Caps []capability
}

type capability struct{ Name, State, Word, Text string }

// kindOf says honestly what a kind of group can carry.
func kindOf(k store.GroupKind) kind {
	if k == store.CustomerGroup {
		return kind{k, "客户群", "顾客和员工都在的粉丝群，企业微信不允许机器人进来。", []capability{
			{"能听", "bad", "不能", "机器人进不来；开通会话存档后才能事后看到"},
			{"能答", "bad", "不能", "会员在客服私聊或会员页里用"},
			{"能发", "warn", "要群发", "走群发任务，每月条数有限"},
			{"要确认", "warn", "要", "群主点了确认才会发出去"},
		}}
	}
	return kind{k, "内部群", "企业成员的群，机器人可以加进来。", []capability{
		{"能听", "good", "能", "只听见 @它 的消息"},
		{"能答", "good", "能", "直接在群里回答"},
		{"能发", "good", "能", "用群机器人，每分钟最多 20 条"},
		{"要确认", "good", "不用", "到点就发"},
	}}
}

// Short is what a group's row says about its kind.
func (k kind) Short() string {
	if k.Kind == store.CustomerGroup {
		return "只能群发，群主确认"
	}
	return "能听、能答、能发"
}

// maxGroupName is what the platform lets a group be called, in characters.
const maxGroupName = 40

// group shows one group and lets its name and mall be changed.
func group(ctx context.Context, tx *store.Tx, v Visit) (any, error) {
	id, err := v.ID("id")
	if err != nil {
		return nil, err
	}
	rows, err := tx.GroupRows(ctx, id-1, 1)
	if err != nil {
		return nil, err
	}
	if len(rows) == 0 || rows[0].ID != id {
		return nil, store.ErrNotFound
	}
	malls, err := tx.Malls(ctx)
	if err != nil {
		return nil, err
	}
	choices := Options("", "还没有归到商场")
	for _, m := range malls {
		choices = append(choices, Option{Value: m.Name, Label: m.Name})
	}
	return groupView{rows[0], kindOf(rows[0].Kind), choices, v.Fields("name", rows[0].Name, "mall", rows[0].Mall, "new_mall", "", "webhook", ""),
		v.Operator.Role.Covers(store.Staff)}, nil
}

type groupView struct {
	Group  store.GroupRow
	Kind   kind
	Malls  []Option
	Fields Fields
	Change bool // the operator may change it
}

// Hookable reports whether a group robot may be in the group.
func (g groupView) Hookable() bool { return g.Group.Kind == store.InternalGroup }

// Heading implements Headed.
func (g groupView) Heading() (title, purpose string) {
	if g.Group.Name == "" {
		return g.Group.ChatID, g.Kind.Name + "。" + g.Kind.Text
	}
	return g.Group.Name, g.Kind.Name + "。" + g.Kind.Text
}

// changeGroup renames a group or moves it to another mall.
func changeGroup(ctx context.Context, tx *store.Tx, v Visit) (Result, error) {
	id, err := v.ID("id")
	if err != nil {
		return Result{}, err
	}
	old, err := tx.Group(ctx, id)
	if err != nil {
		return Result{}, err
	}
	name, mallName := v.Value("name"), v.Value("mall")
	switch n := utf8.RuneCountInString(name); {
	case n == 0:
		return Result{}, Invalid("name", "请给群起一个名字。")
	case n > maxGroupName:
		return Result{}, Invalid("name", "群名最多 40 个字，现在有 "+strconv.Itoa(n)+" 个。")
	}
	if made := v.Value("new_mall"); made != "" {
		if utf8.RuneCountInString(made) > 40 {
			return Result{}, Invalid("new_mall", "商场名最多 40 个字。")
		}
		mallName = made
	}
	var mall store.Mall
	if mallName != "" {
		if mall, err = tx.MallNamed(ctx, mallName); err != nil {
			return Result{}, err
		}
	}
	if err := tx.SetGroup(ctx, id, name, mall.ID); err != nil {
		return Result{}, err
	}
	detail := "群名 " + name + "，商场 " + mallName
	if hook := v.Value("webhook"); hook != "" {
		if err := changeWebhook(ctx, tx, v, old, hook); err != nil {
			return Result{}, err
		}
		detail += "，换了 Webhook"
	}
	return Result{Object: "group " + strconv.FormatInt(id, 10), Detail: detail, Message: "已保存。"}, nil
}

// removeWebhook is what an operator writes to take a group's webhook away.
const removeWebhook = "删除"

var webhookKey = regexp.MustCompile(`^[A-Za-z0-9_-]{8,100}$`)

// changeWebhook sets the group robot that posts into a group: its address, or
// the key of it.
func changeWebhook(ctx context.Context, tx *store.Tx, v Visit, group store.Group, hook string) error {
	if !v.Operator.Role.Covers(store.Manager) {
		return Invalid("webhook", "换 Webhook 要经理以上的权限。")
	}
	key := hook
	if u, err := url.Parse(hook); err == nil && u.Query().Get("key") != "" {
		key = u.Query().Get("key")
	}
	switch {
	case hook == removeWebhook:
		key = ""
	case group.Kind == store.CustomerGroup:
		return Invalid("", "客户群里放不进群机器人。")
	case !webhookKey.MatchString(key):
		return Invalid("webhook", "这不像群机器人的地址。在群里添加“消息推送”机器人，把它给出的整个地址粘贴过来。")
	}
	if err := tx.SetWebhook(ctx, group.ID, key, v.Now); err != nil {
		return err
	}
	g, err := tx.Group(ctx, group.ID)
	if err != nil || g.Lane() == "" {
		return err
	}
	_, err = tx.ReviveLane(ctx, g.Lane()) // it may have been given up under this key
	return err
}

// members lists members by number or name.
func members(ctx context.Context, tx *store.Tx, v Visit) (any, error) {
	search := strings.TrimSpace(v.Query.Get("q"))
	rows, err := tx.MemberRows(ctx, store.MemberFilter{Search: search, Before: v.Before, Limit: v.Limit}, store.DayOf(v.Now, tx.Zone()))
	return struct {
		Search string
		Rows   Rows[store.MemberRow]
	}{search, Paged(v, rows, func(m store.MemberRow) int64 { return m.ID })}, err
}

// member shows one member's facts and bookings.
func member(ctx context.Context, tx *store.Tx, v Visit) (any, error) {
	id, err := v.ID("id")
	if err != nil {
		return nil, err
	}
	var data memberView
	if data.Member, err = tx.MemberRow(ctx, id, store.DayOf(v.Now, tx.Zone())); err != nil {
		return nil, err
	}
	if data.Groups, err = tx.GroupsOf(ctx, id, 20); err != nil {
		return nil, err
	}
	known, err := tx.IdentitiesOf(ctx, []int64{id})
	if err != nil {
		return nil, err
	}
	data.Known = known[id]
	if data.Came, err = cameFrom(ctx, tx, id); err != nil {
		return nil, err
	}
	lots, err := tx.OpenLots(ctx, id)
	if err != nil {
		return nil, err
	}
	for _, l := range lots {
		if data.NextOut.Remaining == 0 || l.ExpiresAt.Equal(data.NextOut.ExpiresAt) {
			data.NextOut.Remaining += l.Remaining
			data.NextOut.ExpiresAt = l.ExpiresAt
		}
	}
	entries, err := tx.EntriesOf(ctx, id, v.Before, v.Limit)
	data.Rows = Paged(v, entries, func(e store.Entry) int64 { return e.ID })
	return data, err
}

type memberView struct {
	Member  store.MemberRow
	Groups  []store.Group
	Known   store.Identity
	Came    []origin  // through which links to 微信客服: the first, and the last if it is another
	NextOut store.Lot // the points that expire next
	Rows    Rows[store.Entry]
}

// origin is where a member came from to 微信客服.
type origin struct {
	Label string // which time it was
	Text  string
	Group int64 // 0: it was no group
	At    time.Time
}

func cameFrom(ctx context.Context, tx *store.Tx, member int64) ([]origin, error) {
	t, err := tx.KFTouchOf(ctx, member)
	if errors.Is(err, store.ErrNotFound) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	came := []origin{{Label: "从哪里来客服", At: t.FirstAt}}
	sources := []string{t.FirstSource}
	if t.LastSource != t.FirstSource {
		came[0].Label = "最早从哪里来客服"
		came = append(came, origin{Label: "最近从哪里来", At: t.LastAt})
		sources = append(sources, t.LastSource)
	}
	for i, source := range sources {
		group, poster := store.KFSourceOf(source)
		if poster != "" {
			p, err := tx.KFPoster(ctx, poster)
			switch {
			case errors.Is(err, store.ErrNotFound):
				came[i].Text = "已删的海报 " + poster
			case err != nil:
				return nil, err
			default:
				came[i].Text = "海报“" + p.Label + "”"
			}
			continue
		}
		names, err := tx.GroupNames(ctx, []int64{group})
		if err != nil {
			return nil, err
		}
		came[i].Text = "群 " + strconv.FormatInt(group, 10)
		if name, there := names[group]; there {
			came[i].Group = group
			if name != "" {
				came[i].Text = name
			}
		}
	}
	return came, nil
}

// Heading implements Headed.
func (m memberView) Heading() (title, purpose string) {
	number := "会员 " + strconv.FormatInt(m.Member.ID, 10)
	if m.Member.Name == "" {
		return number, "还没有称呼。"
	}
	return m.Member.Name, number
}

// chip is a filter, and the address with it turned on or off.
type chip struct {
	Text, Link string
	On         bool
}

// decisions lists why the program did what it did.
func decisions(ctx context.Context, tx *store.Tx, v Visit) (any, error) {
	number := func(name string) int64 {
		n, err := strconv.ParseInt(v.Query.Get(name), 10, 64)
		if err != nil {
			return 0
		}
		return n
	}
	filter := store.DecisionFilter{Before: v.Before, GroupID: number("group"), MemberID: number("member"), Limit: v.Limit}
	outcome := store.Outcome(v.Query.Get("outcome"))
	if outcomeWord(outcome) != string(outcome) { // one of those we know
		filter.Outcome = outcome
	}
	list, err := tx.Decisions(ctx, filter)
	if err != nil {
		return nil, err
	}
	rows := Paged(v, list, func(d store.ExplainedMessage) int64 { return d.ID })
	e, err := explain(ctx, tx, append(rows.Items[:len(rows.Items):len(rows.Items)],
		store.ExplainedMessage{Decision: store.Decision{GroupID: filter.GroupID, MemberID: filter.MemberID}}))
	if err != nil {
		return nil, err
	}
	e.Items = rows.Items
	var chips []chip
	add := func(name, value, text string, on bool) {
		q := url.Values{}
		for k, values := range v.Query {
			if k != name && k != "before" {
				q[k] = values
			}
		}
		if !on {
			q.Set(name, value)
		}
		chips = append(chips, chip{text, strings.TrimSuffix(v.Path+"?"+q.Encode(), "?"), on})
	}
	for _, o := range []store.Outcome{store.Answered, store.Ignored, store.Stopped, store.Failed} {
		add("outcome", string(o), outcomeWord(o), o == filter.Outcome)
	}
	if filter.GroupID != 0 {
		add("group", "", e.Where(filter.GroupID), true)
	}
	if filter.MemberID != 0 {
		add("member", "", style.Who(e.Members, filter.MemberID), true)
	}
	return struct {
		explained
		Rows     Rows[store.ExplainedMessage]
		Chips    []chip
		Filtered bool
	}{e, rows, chips, filter.Outcome != "" || filter.GroupID != 0 || filter.MemberID != 0}, nil
}

// auditRow is one change with the names of who made it and where.
type auditRow struct {
	store.Audit
	Who, What string
}

// audit lists what operators changed.
func (c *Console) audit(ctx context.Context, tx *store.Tx, v Visit) (any, error) {
	list, err := tx.Audits(ctx, v.Before, v.Limit)
	if err != nil {
		return nil, err
	}
	operators, err := tx.Operators(ctx)
	if err != nil {
		return nil, err
	}
	names := map[int64]string{}
	for _, o := range operators {
		names[o.ID] = o.Name
	}
	titles := map[string]string{}
	for _, p := range c.pages {
		titles["POST "+Prefix+p.Path] = p.Title
	}
	var rows []auditRow
	for _, a := range list {
		r := auditRow{Audit: a, Who: names[a.OperatorID], What: a.Action}
		if r.Who == "" {
			r.Who = "运营 " + strconv.FormatInt(a.OperatorID, 10)
		}
		if t := titles[a.Action]; t != "" {
			r.What = t
		}
		rows = append(rows, r)
	}
	return Paged(v, rows, func(a auditRow) int64 { return a.ID }), nil
}
