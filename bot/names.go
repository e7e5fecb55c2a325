package bot

import (
	"context"
	"fmt"
	"regexp"
	"strconv"

	"qunbot/store"
)

// nameMark is how a reply writes a member whose name is filled in when it is
// sent. Stored replies and posts hold these marks instead of names, so that
// erasing a member leaves no name behind. The characters are Unicode
// noncharacters, which no keyboard writes.
var nameMark = regexp.MustCompile(nameStart + "([0-9]+)\uFDD1")

// nameStart begins a mark.
const nameStart = "\uFDD0"

// Name returns a mark that becomes the member's name when the text is sent.
func Name(member int64) string { return fmt.Sprintf(nameStart+"%d\uFDD1", member) }

// FillNames replaces the marks of [Name] in text. A member without a name is
// called 会员 and the number.
func FillNames(ctx context.Context, db *store.Store, text string) (string, error) {
	if !nameMark.MatchString(text) {
		return text, nil
	}
	err := db.View(ctx, func(tx *store.Tx) error {
		filled, err := FillNamesIn(tx.Context(), tx, []string{text})
		if err == nil {
			text = filled[0]
		}
		return err
	})
	return text, err
}

// FillNamesIn is FillNames for several texts inside a transaction.
func FillNamesIn(ctx context.Context, tx *store.Tx, texts []string) ([]string, error) {
	var ids []int64
	for _, text := range texts {
		for _, m := range nameMark.FindAllStringSubmatch(text, -1) {
			if id, err := strconv.ParseInt(m[1], 10, 64); err == nil {
				ids = append(ids, id)
			}
		}
	}
	names := map[int64]string{}
	if len(ids) > 0 {
		var err error
		if names, err = tx.Names(ctx, ids); err != nil {
			return nil, fmt.Errorf("fill in names: %w", err)
		}
	}
	filled := make([]string, len(texts))
	for i, text := range texts {
		filled[i] = nameMark.ReplaceAllStringFunc(text, func(mark string) string {
			number := nameMark.FindStringSubmatch(mark)[1]
			id, _ := strconv.ParseInt(number, 10, 64)
			if name := names[id]; name != "" {
				return name
			}
			return "会员 " + number
		})
	}
	return filled, nil
}
