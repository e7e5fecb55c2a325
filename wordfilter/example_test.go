package wordfilter_test

import (
	"fmt"
	"log"
	"strings"

	"qunbot/wordfilter"
)

func Example() {
	words, err := wordfilter.ParseWords(strings.NewReader("刷单\n加微信 # 联系方式\n"))
	if err != nil {
		log.Fatal(err)
	}
	m, err := wordfilter.New(words, wordfilter.Options{})
	if err != nil {
		log.Fatal(err)
	}
	for _, text := range []string{"来刷*單，+VX", "孩子在刷单词"} {
		for _, h := range m.Scan(text, nil) {
			fmt.Printf("%s: %s at %d–%d (%v)\n", h.Word.Text, text[h.Start:h.End], h.Start, h.End, h.How)
		}
	}
	// Output:
	// 刷单: 刷*單 at 3–10 (夹杂)
	// 加微信: +VX at 13–16 (别称)
}

// A group may have words and exceptions of its own. They lie on top of the
// shared words, which are not copied.
func ExampleMatcher_Overlay() {
	base, err := wordfilter.New([]wordfilter.Word{
		{Text: "黄牛票", Category: "票务", Level: wordfilter.Warn},
		{Text: "代购", Category: "买卖"},
	}, wordfilter.Options{})
	if err != nil {
		log.Fatal(err)
	}
	group, err := base.Overlay([]wordfilter.Word{{Text: "剧透", Category: "群规"}}, wordfilter.Options{
		Skip: func(w wordfilter.Word) bool { return w.Category == "买卖" },
	})
	if err != nil {
		log.Fatal(err)
	}
	for _, h := range group.Scan("有黄牛票吗，求代购，别剧透", nil) {
		fmt.Println(h.Word.Text, h.Word.Category, h.Word.Level)
	}
	// Output:
	// 黄牛票 票务 警告
	// 剧透 群规 提醒
}

// A Holder lets words change while others scan.
func ExampleHolder() {
	words := wordfilter.NewHolder()
	fmt.Println(len(words.Scan("group-1", "代开发票", nil)))

	m, err := wordfilter.New([]wordfilter.Word{{Text: "代开发票"}}, wordfilter.Options{})
	if err != nil {
		log.Fatal(err)
	}
	words.Swap(&wordfilter.Set{Base: m})
	fmt.Println(len(words.Scan("group-1", "代开发票", nil)))
	// Output:
	// 0
	// 1
}
