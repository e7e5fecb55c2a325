package news

import (
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"

	"qunbot/bot"
	"qunbot/store"
	"qunbot/web/style"
)

// maxPost is the longest text of a post in UTF-8 bytes: that of a group robot,
// the only way in which groups are posted to.
// Source: https://developer.work.weixin.qq.com/document/path/91770
const maxPost = 2048

// digest returns what groups are told on day, in at most limit bytes, and how
// many of the items stand in it: whole ones only, in their order, up to the
// first that has no room. It says how many have none; extra is how many have
// none already. It is empty if nothing stands in it.
func digest(day store.Day, items []store.NewsItem, extra, limit int) (text string, n int) {
	var b strings.Builder
	b.WriteString("【每日资讯】" + style.DayText(day, day))
	for n < len(items) {
		next := fmt.Sprintf("\n\n%d. %s", n+1, items[n].Text)
		if items[n].Link != "" {
			next += "\n" + items[n].Link
		}
		if b.Len()+len(next)+len(more(len(items)-n-1+extra)) > limit {
			break
		}
		b.WriteString(next)
		n++
	}
	if n == 0 {
		return "", 0
	}
	b.WriteString(more(len(items) - n + extra))
	return b.String(), n
}

// articles returns items as articles to press, or nil if they cannot all be
// that: each needs a link, and there may be bot.MaxArticles.
func articles(items []store.NewsItem) *bot.Rich {
	var list []bot.Article
	for _, item := range items {
		a := bot.Article{Title: item.Text, URL: item.Link}
		if len(a.Title) > bot.MaxTitleBytes {
			a.Title, a.Description = cutBytes(item.Text, bot.MaxTitleBytes), cutBytes(item.Text, bot.MaxDescriptionBytes)
		}
		if item.Link == "" || len(list) == bot.MaxArticles {
			return nil
		}
		list = append(list, a)
	}
	return &bot.Rich{Articles: list}
}

// cutBytes returns text, shortened to whole characters with an ellipsis if it
// has more than most bytes.
func cutBytes(text string, most int) string {
	const ellipsis = "…"
	if len(text) <= most {
		return text
	}
	end := most - len(ellipsis)
	for !utf8.RuneStart(text[end]) {
		end--
	}
	return text[:end] + ellipsis
}

// more says that there was no room for left items; nothing if there was.
func more(left int) string {
	if left == 0 {
		return ""
	}
	return fmt.Sprintf("\n\n还有 %d 条", left)
}

// distinct leaves out items whose link or text an earlier one has, or one of
// those that were told.
func distinct(items, told []store.NewsItem) []store.NewsItem {
	seen := map[string]bool{}
	for _, n := range told {
		seen["text "+n.TextKey], seen["link "+n.LinkKey] = true, true
	}
	return slices.DeleteFunc(slices.Clone(items), func(n store.NewsItem) bool {
		double := seen["text "+n.TextKey] || n.LinkKey != "" && seen["link "+n.LinkKey]
		seen["text "+n.TextKey], seen["link "+n.LinkKey] = true, true
		return double
	})
}
