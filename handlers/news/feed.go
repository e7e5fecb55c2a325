package news

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/xml"
	"fmt"
	"html"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/mmcdole/gofeed"
	"golang.org/x/net/html/charset"

	"qunbot/bot"
)

// Limits of what is taken from a feed.
const (
	maxEntries  = 50             // the newest ones of a feed
	maxEntryAge = 72 * time.Hour // older entries are no news
	maxDepth    = 100            // elements inside each other
	maxTokens   = 100_000        // tags and pieces of text
	maxTitle    = 100            // characters of an entry's title
	maxLink     = 500            // bytes
)

// An entry is what a feed says is new.
type entry struct {
	ID        string // the feed's own, else its link, else its title
	Title     string // one line without markup, never empty
	Link      string // http or https; empty: none that can be used
	Published time.Time
}

// parseFeed returns the entries of a feed that are news at now, the newest
// first. Relative links are those of a page at base. Its errors are in Chinese.
func parseFeed(body []byte, base *url.URL, now time.Time) (list []entry, err error) {
	defer func() {
		if p := recover(); p != nil { // a library's mistake must not end the job for the other feeds
			err = fetchError(fmt.Sprintf("读不懂它的内容（%v）", p))
		}
	}()
	if bytes.IndexByte(body, 0) >= 0 {
		return nil, fetchError("不是 RSS 或 Atom：内容不是 UTF-8、GBK 这样的文字")
	}
	if tooDeep(body) {
		return nil, fetchError("标签套得太深或太多，没有读")
	}
	feed, err := gofeed.NewParser().Parse(bytes.NewReader(body))
	if err != nil {
		return nil, fetchError("不是 RSS 或 Atom：读不懂它的内容")
	}
	for _, item := range feed.Items {
		if item == nil {
			continue
		}
		e := entry{ID: item.GUID, Title: cleanText(item.Title, maxTitle), Link: cleanLink(item.Link, base), Published: now}
		if e.Title == "" {
			e.Title = cleanText(item.Description, maxTitle)
		}
		if e.Title == "" {
			continue
		}
		for _, t := range []*time.Time{item.UpdatedParsed, item.PublishedParsed} {
			if t != nil && t.Before(now) { // what claims to come from the future is of now
				e.Published = *t
			}
		}
		if now.Sub(e.Published) > maxEntryAge {
			continue
		}
		if e.ID == "" {
			e.ID = e.Link
		}
		if e.ID == "" {
			e.ID = e.Title
		}
		list = append(list, e)
	}
	slices.SortStableFunc(list, func(a, b entry) int { return b.Published.Compare(a.Published) })
	return list[:min(len(list), maxEntries)], nil
}

// tooDeep reports whether more than maxDepth elements are inside each other, or
// there are more than maxTokens pieces: the library calls itself for each, and
// joins some kinds of text piece by piece. It reads what the library reads.
func tooDeep(body []byte) bool {
	d := xml.NewDecoder(bytes.NewReader(body))
	d.Strict = false
	d.CharsetReader = charset.NewReaderLabel
	depth := 0
	for range maxTokens {
		token, err := d.Token()
		if err != nil {
			return false // the library ends here, too
		}
		switch token.(type) {
		case xml.StartElement:
			depth++
		case xml.EndElement:
			depth--
		}
		if depth > maxDepth {
			return true
		}
	}
	return true
}

// markup matches tags and comments, but not 1 < 2.
var markup = regexp.MustCompile(`(?s)<!--.*?-->|</?[a-zA-Z!][^<>]*>`)

// inline matches tags that do not part words.
var inline = regexp.MustCompile(`(?i)</?(?:a|b|big|code|em|font|i|mark|s|small|span|strong|sub|sup|u)(?:\s[^<>]*)?/?>`)

// withoutMarkup returns s without tags and comments.
func withoutMarkup(s string) string {
	return markup.ReplaceAllString(inline.ReplaceAllString(s, ""), " ")
}

// cleanText returns s as one line of plain text of at most limit characters:
// without markup, entities, control and invisible characters.
func cleanText(s string, limit int) string {
	if len(s) > 64*limit { // nothing behind that would be seen
		s = s[:64*limit]
	}
	for range 2 { // markup is often escaped twice
		s = html.UnescapeString(withoutMarkup(s))
	}
	s = strings.Join(strings.Fields(plain(withoutMarkup(s))), " ")
	if utf8.RuneCountInString(s) <= limit {
		return s
	}
	return strings.TrimSpace(string([]rune(s)[:limit-1])) + "…"
}

// plain removes from s what is not to be seen: control characters but line
// ends and tabs, marks that turn the direction of writing, characters that
// Unicode keeps for programs (this one marks names with them), and bytes that
// are no UTF-8.
func plain(s string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case r == '\n' || r == '\t' || r == 0x200D: // emoji are joined by U+200D
			return r
		case r == utf8.RuneError, unicode.IsControl(r), unicode.Is(unicode.Cf, r), unicode.Is(unicode.Co, r),
			r >= 0xFDD0 && r <= 0xFDEF, r&0xFFFE == 0xFFFE:
			return -1
		}
		return r
	}, s)
}

// cleanLink returns the address that a link leads to from a page at base (nil:
// it must be whole), or nothing if it is none that a member may be sent to.
func cleanLink(link string, base *url.URL) string {
	u, err := url.Parse(strings.TrimSpace(plain(link)))
	if err != nil || link == "" {
		return ""
	}
	if base != nil {
		u = base.ResolveReference(u)
	}
	if checkAddress(u) != nil {
		return ""
	}
	if s := u.String(); len(s) <= maxLink && !strings.ContainsAny(s, " \n\t") {
		return s
	}
	return ""
}

// tracking are parameters of addresses that do not change where they lead.
var tracking = regexp.MustCompile(`^(?i)(utm_\w+|spm|fbclid|gclid)$`)

// linkKey is equal for links that lead to the same page; empty without a link.
func linkKey(link string) string {
	u, err := url.Parse(link)
	if err != nil || link == "" {
		return ""
	}
	query := u.Query()
	for name := range query {
		if tracking.MatchString(name) {
			delete(query, name)
		}
	}
	return hash(strings.ToLower(u.Host) + strings.TrimRight(u.EscapedPath(), "/") + "?" + query.Encode())
}

// textKey is equal for texts that differ in nothing but marks, blanks, width
// and case.
func textKey(text string) string {
	letters := strings.Map(func(r rune) rune {
		if unicode.IsLetter(r) || unicode.IsDigit(r) {
			return r
		}
		return -1
	}, bot.Fold(text))
	if letters == "" {
		letters = text // only emoji
	}
	return hash(letters)
}

func hash(s string) string {
	sum := sha256.Sum256([]byte(s))
	return hex.EncodeToString(sum[:])
}
