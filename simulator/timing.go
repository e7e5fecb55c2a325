package simulator

import (
	"net/url"
	"strconv"
	"strings"
	"time"
)

// A metric is one entry of a Server-Timing header.
//
// Source: https://www.w3.org/TR/server-timing/
type metric struct {
	name string
	desc string
	took time.Duration
	has  bool // a duration was given
}

// parseServerTiming reads the Server-Timing headers of an answer. What it
// cannot read it leaves out.
func parseServerTiming(headers []string) []metric {
	var metrics []metric
	for _, header := range headers {
		for _, entry := range splitUnquoted(header, ',') {
			parts := splitUnquoted(entry, ';')
			m := metric{name: strings.TrimSpace(parts[0])}
			if m.name == "" || strings.ContainsAny(m.name, " =\"") {
				continue
			}
			for _, part := range parts[1:] {
				name, value, _ := strings.Cut(part, "=")
				value = unquote(strings.TrimSpace(value))
				switch strings.ToLower(strings.TrimSpace(name)) {
				case "dur":
					took, err := strconv.ParseFloat(value, 64)
					if err == nil && took >= 0 && took < 1e9 {
						m.took, m.has = time.Duration(took*float64(time.Millisecond)), true
					}
				case "desc":
					m.desc = value
					if plain, err := url.PathUnescape(value); err == nil {
						m.desc = plain
					}
				}
			}
			metrics = append(metrics, m)
		}
	}
	return metrics
}

// splitUnquoted splits s at each sep outside of double quotes.
func splitUnquoted(s string, sep byte) []string {
	var parts []string
	start, quoted := 0, false
	for i := 0; i < len(s); i++ {
		switch {
		case quoted && s[i] == '\\':
			i++
		case s[i] == '"':
			quoted = !quoted
		case s[i] == sep && !quoted:
			parts = append(parts, s[start:i])
			start = i + 1
		}
	}
	return append(parts, s[min(start, len(s)):])
}

// unquote removes double quotes and backslashes from a quoted string.
func unquote(s string) string {
	if len(s) < 2 || s[0] != '"' || s[len(s)-1] != '"' {
		return s
	}
	var plain strings.Builder
	for i := 1; i < len(s)-1; i++ {
		if s[i] == '\\' && i+1 < len(s)-1 {
			i++
		}
		plain.WriteByte(s[i])
	}
	return plain.String()
}

// stepNames are what the steps of a service are called on the page.
var stepNames = map[string]string{
	"recv":     "收到",
	"verify":   "验签",
	"decrypt":  "解密",
	"queue":    "排队",
	"rule":     "规则",
	"batch":    "同批消息",
	"commit":   "提交落盘",
	"encrypt":  "加密回答",
	"replayed": "认出重复",
}

// rowsOf returns the steps that a service reported.
func rowsOf(metrics []metric) []row {
	var rows []row
	for _, m := range metrics {
		r := row{Name: stepNames[m.name], Detail: m.desc, Level: 1}
		if r.Name == "" {
			r.Name = m.name
		}
		switch m.name {
		case "batch":
			if m.desc != "" {
				r.Detail = m.desc + " 条在同一个事务里"
			}
		case "replayed":
			r.State = good
			if r.Detail == "" {
				r.Detail = "不再处理，取回存下的回答"
			}
		}
		if m.has {
			r.MS = ms(m.took)
		}
		rows = append(rows, r)
	}
	return rows
}
