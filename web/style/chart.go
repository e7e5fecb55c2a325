package style

import (
	"fmt"
	"html/template"
	"strings"
)

// A Bar is one value of a chart.
type Bar struct {
	Label string // below the bar, short
	Value int64  // at least 0
}

// Bars draws values as upright bars in SVG: a zero line, the last value
// printed, every value in a title for pointers and screen readers. unit is
// written behind the values, such as "人". Of many bars, some labels are left
// out. The page should offer the same figures as a table.
func Bars(unit string, bars []Bar) template.HTML {
	const width, height, top, foot = 640, 160, 20, 22
	const labels = 14 // at most
	if len(bars) == 0 {
		return ""
	}
	inside := func(x float64) float64 { return max(20, min(x, width-20)) } // the middle of a text, for narrow bars at the ends
	most := int64(1)
	for _, b := range bars {
		most = max(most, b.Value)
	}
	var svg strings.Builder
	fmt.Fprintf(&svg, `<svg class="chart" viewBox="0 0 %d %d" role="img" aria-label="最近一个值 %d %s，最高 %d %s">`,
		width, height, bars[len(bars)-1].Value, template.HTMLEscapeString(unit), most, template.HTMLEscapeString(unit))
	step := float64(width) / float64(len(bars))
	for i, b := range bars {
		tall := float64(height-top-foot) * float64(b.Value) / float64(most)
		x, y := float64(i)*step, float64(height-foot)-tall
		class := "bar"
		if i == len(bars)-1 {
			class = "bar last"
		}
		fmt.Fprintf(&svg, `<rect class="%s" x="%.1f" y="%.1f" width="%.1f" height="%.1f" rx="3"><title>%s：%d %s</title></rect>`,
			class, x+step*.15, y, step*.7, tall, template.HTMLEscapeString(b.Label), b.Value, template.HTMLEscapeString(unit))
		if (len(bars)-1-i)%((len(bars)+labels-1)/labels) == 0 {
			fmt.Fprintf(&svg, `<text x="%.1f" y="%d">%s</text>`, inside(x+step/2), height-6, template.HTMLEscapeString(b.Label))
		}
		if i == len(bars)-1 {
			fmt.Fprintf(&svg, `<text class="value" x="%.1f" y="%.1f">%s</text>`, inside(x+step/2), y-6, Number(b.Value))
		}
	}
	fmt.Fprintf(&svg, `<line x1="0" y1="%d" x2="%d" y2="%d"/></svg>`, height-foot, width, height-foot)
	return template.HTML(svg.String())
}
