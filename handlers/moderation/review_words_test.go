package moderation

import (
	"strings"
	"testing"

	"qunbot/store"
	"qunbot/store/storetest"
)

func TestAllow(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.Store) {
		a := chat(t, db)
		a.add(0, "刷单", "加微信 提醒")
		a.add(7, "刷单 拦截")
		a.update(func(tx *store.Tx) error {
			for _, tt := range []struct {
				group  int64
				phrase string
				want   string // in the problem
			}{
				{7, " 防止刷单 ", ""}, {7, "防止刷单", ""}, {0, "防止刷单", ""}, {8, "防止刷单", ""}, // of all, so of each
				{7, "刷 单", "本身就是敏感词"}, {0, "", "没有文字"}, {0, strings.Repeat("字", 99), "最多"},
			} {
				problem, err := Allow(tx.Context(), tx, tt.group, tt.phrase, 9, noon)
				if err != nil || (problem == "") != (tt.want == "") || !strings.Contains(problem, tt.want) {
					t.Errorf("Allow(%d, %q) = %q, %v, want %q", tt.group, tt.phrase, problem, err, tt.want)
				}
			}
			yes := true
			words, err := tx.Words(tx.Context(), store.WordFilter{Allow: &yes, Limit: 10})
			if len(words) != 2 || words[1].GroupID != 7 || words[1].Text != "防止刷单" || words[1].CreatedBy != 9 || words[0].GroupID != 0 {
				t.Errorf("allowed: %+v, want one of the group and one of all", words)
			}
			return err
		})
	})
}

func TestRaise(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.Store) {
		a := chat(t, db)
		a.add(0, "刷单 提醒", "加微信 提醒")
		a.add(7, "刷单")
		a.update(func(tx *store.Tx) error {
			for _, tt := range []struct {
				group         int64
				word          string
				level, inWhat string
			}{
				{7, "刷单", "拦截", ""}, {7, "刷单", "", "最高"}, {8, "刷单", "警告", ""}, {0, "刷单", "拦截", ""}, {7, "加微信", "警告", ""}, {7, "没有", "", "不在敏感词里"},
			} {
				level, problem, err := Raise(tx.Context(), tx, tt.group, tt.word)
				if err != nil || level != tt.level || (problem == "") != (tt.inWhat == "") || !strings.Contains(problem, tt.inWhat) {
					t.Errorf("Raise(%d, %s) = %q, %q, %v, want %q, %q", tt.group, tt.word, level, problem, err, tt.level, tt.inWhat)
				}
			}
			return nil
		})
	})
}

func TestIsAppeal(t *testing.T) {
	for text, want := range map[string]bool{
		"申诉 我没有加微信": true, "申诉": true, "申诉！": true, "申诉\n加微信": true, " 申诉　加微信": true,
		"申诉加微信": false, "我要申诉 加微信": false, "": false, "！": false,
	} {
		if got := isAppeal(text); got != want {
			t.Errorf("isAppeal(%q) = %t, want %t", text, got, want)
		}
	}
}
