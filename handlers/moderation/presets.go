package moderation

import (
	"embed"
	"fmt"

	"qunbot/store"
)

//go:embed presets/*.txt
var presetFiles embed.FS

// A preset is a list of words with rules for a common trouble. Applying one
// adds its words under its name as their category, and its rules on trial.
type preset struct {
	Name  string // of the list, and of its words' category
	Key   string // in addresses
	About string
	Rules []Rule // their words are those of this category
	file  string // empty: no words; the mall fills the list
}

// presets returns the lists that come with the program.
func presets() []preset {
	newcomers := func(name string, kind Kind, minutes int, steps ...Step) Rule {
		return Rule{Name: name, Spec: Spec{Kind: kind, Newcomer: minutes, Counts: true, Steps: steps}}
	}
	warn, owner := Step{From: 1, Do: DoWarn, Staff: true}, Step{From: 1, Do: DoWarn, Staff: true, Owner: true}
	return []preset{
		{
			Name: "广告引流", Key: "ads", file: "presets/ads.txt",
			About: "把人拉到别的群、别的微信去，卖假货、代开发票、贷款。",
			Rules: []Rule{
				newcomers("新人不发链接和联系方式", KindContact, 60, warn, Step{From: 2, Do: DoWarn, Suspend: 7, Staff: true, Owner: true}),
				newcomers("新人不发图片", KindImage, 60, Step{From: 1, Do: DoRemind, Staff: true}, Step{From: 2, Do: DoWarn, Staff: true, Owner: true}),
				{Name: "同一句话反复发", Spec: Spec{Kind: KindRepeat, Count: 3, Seconds: 600, Counts: true, Steps: []Step{{From: 1, Do: DoRemind, Staff: true}, {From: 3, Do: DoWarn, Points: 10, Staff: true}}}},
			},
		},
		{
			Name: "诈骗刷单", Key: "fraud", file: "presets/fraud.txt",
			About: "刷单返利、日结兼职、骗验证码和银行卡。一说就请群主撤回。",
			Rules: []Rule{
				{Name: "诈骗刷单：请群主撤回", Spec: Spec{Kind: KindWords, Category: "诈骗刷单", Counts: true, Steps: []Step{owner, {From: 2, Do: DoWarn, Suspend: 30, Staff: true, Owner: true}}}},
				newcomers("新人一天内不发链接", KindLink, 24*60, owner),
			},
		},
		{
			Name: "辱骂", Key: "abuse", file: "presets/abuse.txt",
			About: "骂人的话。轻的只提醒，重的警告，再犯扣分。",
			Rules: []Rule{
				{Name: "辱骂：先劝再罚", Spec: Spec{Kind: KindWords, Category: "辱骂", Level: store.LevelRemind, Counts: true, Steps: []Step{{From: 1, Do: DoRemind}, {From: 3, Do: DoWarn, Staff: true}, {From: 5, Do: DoWarn, Points: 20, Staff: true}}}},
				{Name: "刷屏", Spec: Spec{Kind: KindFlood, Count: 8, Seconds: 60, Counts: true, Steps: []Step{{From: 1, Do: DoRemind}, {From: 3, Do: DoWarn, Staff: true}}}},
			},
		},
		{
			Name: "博彩", Key: "gambling", file: "presets/gambling.txt",
			About: "赌博、彩票计划、上分下分。",
			Rules: []Rule{
				{Name: "博彩：请群主撤回", Spec: Spec{Kind: KindWords, Category: "博彩", Counts: true, Steps: []Step{owner, {From: 2, Do: DoWarn, Suspend: 30, Staff: true, Owner: true}}}},
			},
		},
		{
			Name: "商场自己的词", Key: "own",
			About: "一张空的词库，由商场自己填：对手的活动、内部的叫法、不想在群里提的事。",
		},
	}
}

// presetOf returns the preset of that key.
func presetOf(key string) (preset, error) {
	for _, p := range presets() {
		if p.Key == key {
			return p, nil
		}
	}
	return preset{}, store.ErrNotFound
}

// items returns the preset's words.
func (p preset) items() ([]item, error) {
	if p.file == "" {
		return nil, nil
	}
	text, err := presetFiles.ReadFile(p.file)
	if err != nil {
		return nil, err
	}
	items, bad, err := readText(string(text))
	if err == nil && len(bad) > 0 {
		err = fmt.Errorf("preset %s: line %d: %s", p.Key, bad[0].Line, bad[0].Why)
	}
	for i := range items {
		items[i].Category = p.Name
	}
	return items, err
}
