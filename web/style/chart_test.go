package style_test

import (
	"encoding/xml"
	"io"
	"strings"
	"testing"

	"qunbot/web/style"
)

func TestBarsAreWellFormed(t *testing.T) {
	svg := string(style.Bars("<人>", []style.Bar{{"11-20", 0}, {"11-21", 12}, {`"&<`, 1234}}))
	for d := xml.NewDecoder(strings.NewReader(svg)); ; {
		if _, err := d.Token(); err == io.EOF {
			break
		} else if err != nil {
			t.Fatalf("Bars = %s: %v", svg, err)
		}
	}
	if !strings.Contains(svg, ">1,234</text>") || !strings.Contains(svg, "11-21：12 &lt;人&gt;") {
		t.Errorf("Bars = %s, want the last value printed and every value in a title", svg)
	}
	if got := style.Bars("人", nil); got != "" {
		t.Errorf("Bars of nothing = %s, want nothing", got)
	}
}
