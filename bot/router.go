package bot

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"unicode"

	"golang.org/x/text/width"

	"qunbot/store"
)

// A Handler answers a message inside the transaction that will commit its
// effects. It may run more than once for a message, so it keeps nothing in
// memory, and it sends nothing: it returns its reply.
type Handler func(ctx context.Context, tx *store.Tx, m Message) (Reply, error)

// A Screen sees every message before the router does. It returns stop == true
// to keep the message from the commands; its reply is then the answer. Otherwise
// its reply stands before the answer.
type Screen func(ctx context.Context, tx *store.Tx, m Message) (r Reply, stop bool, err error)

// A Fallback is asked when no command matched. It returns ok == false if it
// has nothing to say either.
type Fallback func(ctx context.Context, tx *store.Tx, m Message) (r Reply, ok bool, err error)

// A Command is something people say to the bot.
type Command struct {
	Words   []string   // what it is called; the first is shown. Operators' words begin with "/"
	Usage   string     // what may follow the word, such as "<名称或编号>"
	Help    string     // what it does, a few words
	Private bool       // answered in 1:1 only, because groups must not see it
	Role    store.Role // who may say it; empty: everybody
	Handle  Handler
	Feature string // whose command it is; filled in by handlers.Register
}

// args is the text behind the command's word.
type argsKey struct{}

// Args returns what was said behind the command's word, trimmed; for "抽奖 3"
// it is "3".
func Args(ctx context.Context) string {
	args, _ := ctx.Value(argsKey{}).(string)
	return args
}

// A Router finds the command that a message says.
type Router struct {
	commands []Command
	byWord   map[string]int // folded word → index in commands
}

// NewRouter returns a router of commands, and 帮助, which it makes itself. Two
// commands with the same word are an error.
func NewRouter(commands []Command) (*Router, error) {
	r := &Router{byWord: map[string]int{}}
	help := Command{Words: []string{"帮助", "菜单", "help"}, Help: "看看我会什么", Feature: "help", Handle: r.help}
	var errs []error
	for _, c := range append([]Command{help}, commands...) {
		if len(c.Words) == 0 || c.Handle == nil {
			errs = append(errs, fmt.Errorf("feature %s: a command without words or handler", c.Feature))
			continue
		}
		r.commands = append(r.commands, c)
		for _, w := range c.Words {
			folded := Fold(w)
			if other, taken := r.byWord[folded]; taken {
				errs = append(errs, fmt.Errorf("features %s and %s both want the command %s", r.commands[other].Feature, c.Feature, w))
				continue
			}
			r.byWord[folded] = len(r.commands) - 1
		}
	}
	return r, errors.Join(errs...)
}

// Find returns the command that text says and what follows its word, or
// ok == false.
func (r *Router) Find(text string) (c Command, args string, ok bool) {
	word, args := cutWord(text)
	i, ok := r.byWord[Fold(word)]
	if !ok {
		i, ok = r.byWord[strings.TrimRightFunc(Fold(word), unicode.IsPunct)] // 签到！
	}
	if !ok {
		return Command{}, "", false
	}
	return r.commands[i], args, true
}

// Answer answers text, which is what m says without the bot's name.
func (r *Router) Answer(ctx context.Context, tx *store.Tx, m Message, fallbacks []Fallback) (Reply, error) {
	c, args, found := r.Find(m.Text)
	if strings.HasPrefix(Fold(m.Text), "/") && (!found || !m.Operator.Role.Covers(c.Role)) {
		return Reply{Text: "没有这个指令，说“帮助”看看我会什么。", Rule: "router no such command"}, nil
	}
	if found {
		if c.Private && !m.Private() {
			return Reply{Text: "这里人多，请私聊我查看：点我的头像，发消息说“" + c.Words[0] + "”。", Rule: "router private " + c.Words[0]}, nil
		}
		reply, err := c.Handle(context.WithValue(ctx, argsKey{}, args), tx, m)
		if reply.Rule == "" {
			reply.Rule = c.Feature + " " + c.Words[0]
		}
		return reply, err
	}
	for _, fallback := range fallbacks {
		if reply, ok, err := fallback(ctx, tx, m); ok || err != nil {
			return reply, err
		}
	}
	if !m.Addressed {
		return Reply{}, nil
	}
	if word := r.nearest(m.Text); word != "" {
		return Reply{Text: "你是不是想说 " + word + "？", Rule: "router suggestion"}, nil
	}
	return Reply{Text: "我没听懂。说“帮助”看看我会什么。", Rule: "router unknown"}, nil
}

// help answers 帮助 with the commands that the speaker may say here.
func (r *Router) help(_ context.Context, _ *store.Tx, m Message) (Reply, error) {
	return Reply{Text: r.Help(m)}, nil
}

// Help lists the commands that m's speaker may say.
func (r *Router) Help(m Message) string {
	var member, operator strings.Builder
	for _, c := range r.commands {
		if !m.Operator.Role.Covers(c.Role) {
			continue
		}
		list := &member
		if strings.HasPrefix(c.Words[0], "/") {
			list = &operator
		}
		list.WriteString("\n· " + c.Words[0])
		if c.Usage != "" {
			list.WriteString(" " + c.Usage)
		}
		list.WriteString("：" + c.Help)
		if c.Private && !m.Private() {
			list.WriteString("（私聊）")
		}
	}
	text := "你可以对我说："
	if m.Private() {
		text = "你好！" + text
	}
	text += member.String()
	if operator.Len() > 0 {
		text += "\n\n运营指令：" + operator.String()
	}
	return text
}

// nearest returns the word of the members' command that text comes close to,
// or "". Only short texts are guessed at.
func (r *Router) nearest(text string) string {
	said := []rune(strings.TrimRightFunc(Fold(text), unicode.IsPunct))
	if len(said) < 2 || len(said) > 8 {
		return ""
	}
	for _, c := range r.commands {
		for _, w := range c.Words {
			if !strings.HasPrefix(w, "/") && strings.Contains(string(said), Fold(w)) { // 我要签到
				return c.Words[0]
			}
		}
	}
	for _, c := range r.commands {
		for _, w := range c.Words {
			if !strings.HasPrefix(w, "/") && oneApart(said, []rune(Fold(w))) { // 签道
				return c.Words[0]
			}
		}
	}
	return ""
}

// oneApart reports whether a becomes b by changing, adding or leaving out one
// rune, or by swapping two neighbours.
func oneApart(a, b []rune) bool {
	if len(a) > len(b) {
		a, b = b, a
	}
	if len(b)-len(a) > 1 {
		return false
	}
	i := 0
	for i < len(a) && a[i] == b[i] {
		i++
	}
	restA, restB := a[i:], b[i:]
	if len(a) < len(b) {
		return string(restA) == string(restB[1:])
	}
	if len(restA) == 0 {
		return false // equal
	}
	changed := string(restA[1:]) == string(restB[1:])
	swapped := len(restA) > 1 && restA[0] == restB[1] && restA[1] == restB[0] && string(restA[2:]) == string(restB[2:])
	return changed || swapped
}

// Fold returns s as commands compare it: without surrounding blanks, in half
// width and lower case.
func Fold(s string) string { return strings.ToLower(width.Fold.String(trim(s))) }

// StripName removes the bot's name, with its @, from the ends of text.
func StripName(text, name string) string {
	text = trim(text)
	if name == "" {
		return text
	}
	for _, at := range []string{"@", "＠"} {
		mention := at + name
		if rest, ok := strings.CutPrefix(text, mention); ok {
			return trim(rest)
		}
		if rest, ok := strings.CutSuffix(text, mention); ok {
			return trim(rest)
		}
	}
	return text
}

// cutWord splits text at its first blank.
func cutWord(text string) (word, rest string) {
	text = trim(text)
	if i := strings.IndexFunc(text, unicode.IsSpace); i >= 0 {
		return text[:i], trim(text[i:])
	}
	return text, ""
}

// trim removes blanks and invisible characters around s.
func trim(s string) string {
	return strings.TrimFunc(s, func(r rune) bool { return unicode.IsSpace(r) || unicode.Is(unicode.Cf, r) })
}
