package style_test

import (
	"bytes"
	"html/template"
	"regexp"
	"strings"
	"testing"
	"time"

	"qunbot/store"
	"qunbot/web/style"
)

func zone(t *testing.T) *time.Location {
	z, err := time.LoadLocation("Asia/Shanghai")
	if err != nil {
		t.Fatal(err)
	}
	return z
}

func TestAgo(t *testing.T) {
	now := time.Date(2026, 3, 1, 0, 30, 0, 0, zone(t)) // half an hour into the day
	tests := []struct {
		name string
		at   time.Time
		want string
	}{
		{"never", time.Time{}, "—"},
		{"now", now, "刚刚"},
		{"59 seconds", now.Add(-59 * time.Second), "刚刚"},
		{"a minute", now.Add(-time.Minute), "1 分钟前"},
		{"yesterday, yet minutes", now.Add(-40 * time.Minute), "40 分钟前"},
		{"yesterday", now.Add(-2 * time.Hour), "昨天 22:30"},
		{"the day before", now.Add(-26 * time.Hour), "2月27日 22:30"},
		{"last year", now.AddDate(-1, 0, 0), "2025年3月1日"},
		{"hours today", now.Add(3 * time.Hour), "3 小时后"},
		{"in seconds", now.Add(5 * time.Second), "1 分钟后"},
		{"tomorrow", now.Add(24 * time.Hour), "明天 00:30"},
	}
	for _, tt := range tests {
		if got := style.Ago(tt.at, now, zone(t)); got != tt.want {
			t.Errorf("%s: Ago(%s) = %q, want %q", tt.name, tt.at, got, tt.want)
		}
	}
}

func TestFigures(t *testing.T) {
	for n, want := range map[int64]string{0: "0", 999: "999", 1000: "1,000", -1234567: "−1,234,567", 100000: "100,000"} {
		if got := style.Number(n); got != want {
			t.Errorf("Number(%d) = %q, want %q", n, got, want)
		}
	}
	for fen, want := range map[int64]string{0: "¥0.00", 5: "¥0.05", 123450: "¥1,234.50", -123450: "−¥1,234.50"} {
		if got := style.Yuan(fen); got != want {
			t.Errorf("Yuan(%d) = %q, want %q", fen, got, want)
		}
	}
	for day, want := range map[store.Day]string{"2026-11-22": "11月22日 周日", "2025-01-01": "2025年1月1日 周三", "": "—"} {
		if got := style.DayText(day, "2026-11-22"); got != want {
			t.Errorf("DayText(%q) = %q, want %q", day, got, want)
		}
	}
}

func TestFuncs(t *testing.T) {
	now := time.Date(2026, 11, 22, 4, 0, 0, 0, time.UTC)
	page := template.Must(template.New("").Funcs(style.Funcs(func() time.Time { return now }, zone(t))).Parse(
		`{{ago .At}} {{moment .At}} {{day .Day}} {{number .N}} {{signed .N}} {{points .N}} {{yuan .N}} {{state "good" "<好>"}} {{who .Names 1}} {{who .Names 2}}`))
	var b bytes.Buffer
	err := page.Execute(&b, map[string]any{"At": now.Add(-time.Hour), "Day": store.Day("2026-11-22"), "N": int64(1234), "Names": map[int64]string{1: "<小王>"}})
	want := `<time datetime="2026-11-22T03:00:00Z" title="2026-11-22 11:00:00">1 小时前</time> ` +
		`<time datetime="2026-11-22T03:00:00Z" title="2026-11-22 11:00:00">2026-11-22 11:00</time> ` +
		`11月22日 周日 1,234 +1,234 1,234 分 ¥12.34 <span class="state good">&lt;好&gt;</span> &lt;小王&gt; 会员 2`
	if got := strings.ReplaceAll(b.String(), "&#43;", "+"); err != nil || got != want {
		t.Errorf("got  %s\nwant %s\n%v", got, want, err)
	}
	for _, broken := range []string{`{{state "pink" "x"}}`, `{{icon "dragon"}}`, `{{number "x"}}`} {
		page := template.Must(template.New("").Funcs(style.Funcs(time.Now, time.UTC)).Parse(broken))
		if err := page.Execute(&b, nil); err == nil {
			t.Errorf("%s = nil, want an error", broken)
		}
	}
}

// Colours are named in look.css alone and every variable that is used exists.
func TestColoursAreVariables(t *testing.T) {
	for _, name := range regexp.MustCompile(`var\((--[a-z0-9-]+)`).FindAllStringSubmatch(style.CSS, -1) {
		if !strings.Contains(style.CSS, name[1]+":") {
			t.Errorf("look.css uses %s and does not define it", name[1])
		}
	}
	for _, c := range style.Colours() {
		if c.Name != "green" && strings.Count(style.CSS, `data-brand="`+c.Name+`"`) != 2 {
			t.Errorf("look.css does not define the colour %s for light and for dark", c.Name)
		}
	}
}
