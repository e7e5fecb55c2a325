package moderation

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
	"unicode"

	"qunbot/bot"
	"qunbot/ledger"
	"qunbot/store"
)

// What follows is for the people who look at what was found: they are wired to
// it by main.

// Undo makes a strike not count, gives back what it cost and lifts its
// suspension. Later strikes keep what they led to. undone is false if it did
// not count any more; then nothing is given back again. It returns
// store.ErrNotFound if there is no such strike.
func Undo(ctx context.Context, tx *store.Tx, strike, operator int64, at time.Time) (points int64, lifted, undone bool, err error) {
	rows, err := tx.StrikeRows(ctx, store.StrikeFilter{ID: strike, Limit: 1})
	if err == nil && len(rows) == 0 {
		err = fmt.Errorf("undo strike %d: %w", strike, store.ErrNotFound)
	}
	if err != nil {
		return 0, false, false, err
	}
	if undone, err = tx.UndoStrike(ctx, strike, operator, at); err != nil || !undone {
		return 0, false, undone, err
	}
	if points = rows[0].Points; points > 0 {
		if _, err := ledger.Return(ctx, tx, spendKey(rows[0].Strike), "违规撤销，退回扣分", at); err != nil {
			return 0, false, false, err
		}
	}
	lifted, err = tx.LiftSuspension(ctx, strike, operator, at)
	return points, lifted, undone, err
}

// isAppeal reports whether text is an appeal: it may quote what was said, and
// whoever appeals must not be struck for it.
func isAppeal(text string) bool {
	fields := strings.Fields(bot.Fold(text))
	return len(fields) > 0 && strings.TrimRightFunc(fields[0], unicode.IsPunct) == "申诉"
}

// Allow makes a phrase harmless in a group (0: in all, and in 1:1 chats). A
// phrase that is allowed already stays so. problem says why it cannot be
// allowed.
func Allow(ctx context.Context, tx *store.Tx, group int64, phrase string, operator int64, at time.Time) (problem string, err error) {
	phrase = strings.TrimSpace(phrase)
	if err := checkWord(phrase); err != nil {
		return err.Error() + "。", nil
	}
	w := store.SensitiveWord{GroupID: group, Text: phrase, Folded: fold(phrase), Allow: true, CreatedBy: operator, CreatedAt: at}
	same, err := tx.WordsOf(ctx, []string{w.Folded}, 0, group)
	if err != nil {
		return "", err
	}
	if slices.ContainsFunc(same, func(w store.SensitiveWord) bool { return w.Allow }) {
		return "", nil
	}
	if len(same) > 0 {
		return fmt.Sprintf("“%s”本身就是敏感词（#%d）。放行要写得长一点，或者到“敏感词”里删掉它。", same[0].Text, same[0].ID), nil
	}
	n, err := tx.CountWords(ctx, store.WordFilter{})
	if err != nil {
		return "", err
	}
	if n >= maxWords {
		return fmt.Sprintf("已经有 %d 个词，最多 %d 个。请先删除不用的。", n, maxWords), nil
	}
	err = tx.AddWords(ctx, []store.SensitiveWord{w})
	if errors.Is(err, store.ErrExists) { // another operator was quicker: this one tries again
		return "刚刚有人放行了同样的词，请再点一次。", nil
	}
	return "", err
}

// Raise makes a word that counts in a group one level more serious, and names
// that level. What a group lists itself goes before what all share. problem
// says why it cannot be.
func Raise(ctx context.Context, tx *store.Tx, group int64, word string) (level, problem string, err error) {
	words, err := tx.WordsOf(ctx, []string{fold(word)}, 0, group)
	if err != nil {
		return "", "", err
	}
	var found store.SensitiveWord
	for _, w := range words {
		if !w.Allow && (found.ID == 0 || w.GroupID != 0) {
			found = w
		}
	}
	next := store.LevelBlock
	switch {
	case found.ID == 0:
		return "", "这个词已经不在敏感词里了。", nil
	case found.Level == store.LevelBlock:
		return "", "已经是最高的级别：拦截。", nil
	case found.Level == store.LevelRemind:
		next = store.LevelWarn
	}
	_, err = tx.SetWordsLevel(ctx, []int64{found.ID}, next)
	return levelWord(next), "", err
}

// Broad says why a word would be found in ordinary sentences; empty if nothing
// comes to mind.
func Broad(word string) string { return tooBroad(word) }
