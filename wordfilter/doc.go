// Package wordfilter finds the words of a list in Chinese chat, also where
// they are disguised, and leaves ordinary sentences alone.
//
//	m, err := wordfilter.New([]wordfilter.Word{{Text: "刷单"}}, wordfilter.Options{})
//	hits := m.Scan("来刷*單，加薪", nil) // one hit: 刷单, bytes 3 to 10, Spaced
//
// # What it finds
//
// Words and texts are folded alike: width, case, accents, compatibility and
// traditional forms, look-alikes of other alphabets; zero-width characters and
// combining marks leave no trace. Beyond that, a word is found with its
// characters repeated, with symbols or emoji between them, spaced out, spelled
// in pinyin or by initials, with digits for numerals, characters of the same
// sound, emoji for characters (滚🥚), characters taken apart (马扁子), and under
// other names where it names a contact (加VX for 加微信). Hit.How says which.
//
// # What it leaves alone
//
// Every disguise is also what an honest sentence may contain by accident, so a
// candidate counts only if a reader would see the word. Sentence marks and line
// ends break words. A blank counts only in a word that is spaced out whole.
// Letters must be whole Latin words, outside of addresses and mentions. And the
// sentence around the candidate must be easier to read with the word standing
// there than without, as measured with a lexicon of 100,000 ordinary words:
// 刷单 is not found in 牙刷单买, nor 骗子 for 片子. Word.Embedded switches that
// off for a word, Options.Allow excuses phrases.
//
// # How it works
//
// One pass over the bytes decodes, folds, classifies and measures what lies
// between characters. An Aho-Corasick automaton finds what is written; a second
// trie, over syllables, walks the other readings of the text. Both skip all that
// may be skipped, and both stand behind Bloom filters of what terms begin with,
// which turn away nearly everything. What is found is then judged. Ordinary
// messages have little to judge. Time is linear in the text whatever it holds,
// and a Scan allocates nothing but the hits.
//
// A Matcher never changes. To change words while scans go on, build another
// one and Swap it into a Holder. Overlay adds a group's words to shared ones.
//
// The tables are made by the generator in gen; see go generate. They derive
// from OpenCC (Apache License 2.0), go-pinyin (MIT License), gse and jieba
// (Apache License 2.0, MIT License) and the CJK Decomposition Data File (MIT
// License). README.md in this folder has measurements and limits.
package wordfilter

//go:generate go -C gen run .
