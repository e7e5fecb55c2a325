package wordfilter

import "testing"

func TestEveryday(t *testing.T) {
	for word, want := range map[string]bool{
		"今天": true, "手机": true, "微信": true, "停车场": true, "積分": true, "加": true,
		"加微信": false, "刷单": false, "骗子": false, "黄牛": false, "好评返现": false, "vx": false, "今天天气真不错啊": false, "": false, "！": false,
	} {
		if got := Everyday(word); got != want {
			t.Errorf("Everyday(%q) = %t, want %t", word, got, want)
		}
	}
}

func TestCheckWord(t *testing.T) {
	for word, want := range map[string]bool{"刷单": true, "a": true, "": false, "！！": false, "\xff": false} {
		if err := CheckWord(word); (err == nil) != want {
			t.Errorf("CheckWord(%q) = %v, want it to be fine: %t", word, err, want)
		}
	}
}
