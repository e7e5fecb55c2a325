// Command gen writes the tables that package wordfilter embeds. Run it with
//
//	go generate ./wordfilter
//
// in the module above. It is a module of its own, so that its sources of data
// (opencc, go-pinyin, gse) never become dependencies of the program. The same
// sources give the same bytes: nothing depends on the time, the machine or the
// order of a map.
//
// It writes, all numbers little-endian:
//
//	runes.bin     the folding of every character; see runes.go
//	sounds.bin    the readings of Chinese characters; see sounds.go
//	splits.bin    which two characters look like a third; see splits.go
//	chars.bin     how common each Chinese character is on its own; see lexicon.go
//	lexicon.bin   common words and how common they are; see lexicon.go
package main

import (
	"flag"
	"fmt"
	"log"
	"os"
	"path/filepath"
)

func main() {
	log.SetFlags(0)
	out := flag.String("out", "../tables", "folder to write the tables into")
	data := flag.String("data", "data", "folder of the hand-kept lists")
	flag.Parse()
	if err := run(*out, *data); err != nil {
		log.Fatalf("gen: %v", err)
	}
}

func run(out, data string) error {
	fold, err := newFolding()
	if err != nil {
		return err
	}
	words, err := readLexicon(fold, filepath.Join(data, "ordinary.txt"))
	if err != nil {
		return err
	}
	splits, err := readSplits(fold, filepath.Join(data, "splits.txt"))
	if err != nil {
		return err
	}
	tables := map[string][]byte{
		"runes.bin":   fold.encode(),
		"sounds.bin":  encodeSounds(fold),
		"splits.bin":  encodeSplits(splits),
		"chars.bin":   encodeChars(words),
		"lexicon.bin": encodeLexicon(words),
	}
	for name, b := range tables {
		if err := os.WriteFile(filepath.Join(out, name), b, 0o644); err != nil {
			return err
		}
		fmt.Printf("%s: %d bytes\n", name, len(b))
	}
	return nil
}
