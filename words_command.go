package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"

	"qunbot/wordfilter"
)

// A scanLine is one line that words scan reads, and writes.
type scanLine struct {
	Text string    `json:"text"`
	Hits []scanHit `json:"hits"`
}

// A scanHit is one term that was found; Start and End are byte offsets.
type scanHit struct {
	Word  string `json:"word"`
	Start int    `json:"start"`
	End   int    `json:"end"`
}

// scanWords scans JSON lines from in for the words of a file and writes a line
// for each to out. A line that cannot be read is answered with its error, and
// makes scanWords fail after the last line.
func scanWords(file string, in io.Reader, out io.Writer) error {
	f, err := os.Open(file)
	if err != nil {
		return fmt.Errorf("打不开词表：%w", err)
	}
	defer f.Close()
	words, err := wordfilter.ParseWords(f)
	if err != nil {
		return fmt.Errorf("词表 %s：%w", file, err)
	}
	matcher, err := wordfilter.New(words, wordfilter.Options{})
	if err != nil {
		return fmt.Errorf("词表 %s：%w", file, err)
	}
	reader := bufio.NewReaderSize(in, 1<<20)
	writer := bufio.NewWriter(out)
	encoder := json.NewEncoder(writer)
	encoder.SetEscapeHTML(false)
	unread := 0
	var hits []wordfilter.Hit
	for {
		line, err := reader.ReadBytes('\n')
		if len(bytes.TrimSpace(line)) > 0 {
			hits = hits[:0]
			if bad := scanOne(matcher, line, &hits, encoder); bad {
				unread++
			}
		}
		if err == io.EOF {
			break
		}
		if err != nil {
			return fmt.Errorf("读标准输入：%w", err)
		}
	}
	if err := writer.Flush(); err != nil {
		return err
	}
	if unread > 0 {
		return fmt.Errorf("有 %d 行不是 {\"text\":…} 形式的 JSON", unread)
	}
	return nil
}

// scanOne answers one line. It reports whether the line could not be read.
func scanOne(m *wordfilter.Matcher, line []byte, hits *[]wordfilter.Hit, out *json.Encoder) (bad bool) {
	var asked struct {
		Text *string `json:"text"`
	}
	if err := json.Unmarshal(line, &asked); err != nil || asked.Text == nil {
		if err == nil {
			err = errors.New("no text")
		}
		out.Encode(map[string]string{"error": err.Error()})
		return true
	}
	answer := scanLine{Text: *asked.Text, Hits: []scanHit{}}
	*hits = m.Scan(answer.Text, *hits)
	for _, h := range *hits {
		answer.Hits = append(answer.Hits, scanHit{h.Word.Text, h.Start, h.End})
	}
	out.Encode(answer)
	return false
}
