package style

import (
	"fmt"
	"html/template"
	"maps"
	"slices"
)

// Logo is the program's mark, for the browser's tab.
const Logo = `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 32 32"><rect width="32" height="32" rx="8" fill="#07c160"/>` +
	`<path d="M8 10.5A2.5 2.5 0 0 1 10.5 8h11a2.5 2.5 0 0 1 2.5 2.5v7a2.5 2.5 0 0 1-2.5 2.5H15l-4.5 3.8V20a2.5 2.5 0 0 1-2.5-2.5z" fill="#fff"/></svg>`

// icons are drawn in a box of 20 by 20 with strokes of 1.5.
func icons() map[string]string {
	return map[string]string{
		"home":     `<path d="M3 9.2 10 3.5l7 5.7V16a.8.8 0 0 1-.8.8H12v-5H8v5H3.8A.8.8 0 0 1 3 16z"/>`,
		"chat":     `<path d="M3 5.5A1.5 1.5 0 0 1 4.5 4h11A1.5 1.5 0 0 1 17 5.5v7a1.5 1.5 0 0 1-1.5 1.5H9l-3.8 3v-3h-.7A1.5 1.5 0 0 1 3 12.5z"/><path d="M6.5 8h7M6.5 10.8h4"/>`,
		"people":   `<circle cx="7.5" cy="7" r="2.8"/><path d="M2.5 16c.3-2.8 2.2-4.3 5-4.3s4.7 1.5 5 4.3"/><path d="M12.6 4.6a2.6 2.6 0 0 1 0 4.9M14.2 12c1.9.4 3 1.8 3.3 4"/>`,
		"person":   `<circle cx="10" cy="6.8" r="3"/><path d="M4 16.5c.4-3.2 2.7-4.9 6-4.9s5.6 1.7 6 4.9"/>`,
		"check":    `<rect x="3" y="4.2" width="14" height="12.8" rx="1.5"/><path d="M3 8h14M6.8 2.8v2.8M13.2 2.8v2.8M7.3 12.3l2 2 3.6-3.8"/>`,
		"calendar": `<rect x="3" y="4.2" width="14" height="12.8" rx="1.5"/><path d="M3 8h14M6.8 2.8v2.8M13.2 2.8v2.8"/>`,
		"gift":     `<rect x="3" y="7" width="14" height="3.2" rx=".8"/><path d="M4.3 10.2V16a1 1 0 0 0 1 1h9.4a1 1 0 0 0 1-1v-5.8M10 7v10M10 7C8 7 6.2 6.3 6.2 4.7c0-1 .7-1.7 1.6-1.7C9.4 3 10 5 10 7c0-2 .6-4 2.2-4 .9 0 1.6.7 1.6 1.7C13.8 6.3 12 7 10 7"/>`,
		"coins":    `<ellipse cx="10" cy="5.3" rx="6" ry="2.3"/><path d="M4 5.3V10c0 1.3 2.7 2.3 6 2.3s6-1 6-2.3V5.3M4 10v4.7C4 16 6.7 17 10 17s6-1 6-2.3V10"/>`,
		"shield":   `<path d="M10 2.8 16 5v4.6c0 3.6-2.4 6.3-6 7.6-3.6-1.3-6-4-6-7.6V5z"/><path d="m7.5 9.9 1.8 1.8 3.3-3.5"/>`,
		"book":     `<path d="M10 5.3C8.5 4 6.3 3.7 3 3.9v11.3c3.3-.2 5.5.1 7 1.4 1.5-1.3 3.7-1.6 7-1.4V3.9c-3.3-.2-5.5.1-7 1.4zM10 5.3v11.3"/>`,
		"news":     `<path d="M3 4.5h11v11a1.5 1.5 0 0 0 1.5 1.5H5A2 2 0 0 1 3 15z"/><path d="M14 8h3v7.5a1.5 1.5 0 0 1-3 0M5.8 7.5h5.4M5.8 10.3h5.4M5.8 13.1h3"/>`,
		"log":      `<path d="M6.5 5h10.3M6.5 10h10.3M6.5 15h10.3"/><circle cx="3.6" cy="5" r=".6"/><circle cx="3.6" cy="10" r=".6"/><circle cx="3.6" cy="15" r=".6"/>`,
		"history":  `<path d="M3.6 7.7A6.8 6.8 0 1 1 3.2 11"/><path d="M3.2 4v3.8H7M10 6.5V10l2.5 1.7"/>`,
		"star":     `<path d="m10 3 2.1 4.5 4.9.6-3.6 3.4.9 4.9-4.3-2.4-4.3 2.4.9-4.9L3 8.1l4.9-.6z"/>`,
		"word":     `<path d="M3 5.5h9M3 10h6M3 14.5h4.5M17 16.5l-3.5-9-3.5 9M11.2 13.5h4.6"/>`,
		"send":     `<path d="M17 3 3 8.5l5.5 2.2M17 3l-4.7 14-3.8-6.3M17 3l-8.5 7.7"/>`,
		"shop":     `<path d="M3.5 8 4.8 3.5h10.4L16.5 8M3.5 8c0 2.7 4.3 2.7 4.3 0 0 2.7 4.4 2.7 4.4 0 0 2.7 4.3 2.7 4.3 0M4.5 10v6.5h11V10M8.3 16.5v-3.7h3.4v3.7"/>`,
		"chart":    `<path d="M3 3v14h14M6.5 13.5V10M10 13.5V6.5M13.5 13.5V8.5"/>`,
		"gear":     `<circle cx="10" cy="10" r="2.4"/><path d="M10 2.8v2M10 15.2v2M2.8 10h2M15.2 10h2M4.9 4.9l1.4 1.4M13.7 13.7l1.4 1.4M4.9 15.1l1.4-1.4M13.7 6.3l1.4-1.4"/>`,
		"menu":     `<path d="M3 5.5h14M3 10h14M3 14.5h14"/>`,
		"close":    `<path d="m5 5 10 10M15 5 5 15"/>`,
		"search":   `<circle cx="9" cy="9" r="5.5"/><path d="m13.2 13.2 3.8 3.8"/>`,
		"next":     `<path d="m7.5 4.5 5.5 5.5-5.5 5.5"/>`,
		"back":     `<path d="M12.5 4.5 7 10l5.5 5.5"/>`,
		"moon":     `<path d="M16.5 11.7A6.8 6.8 0 0 1 8.3 3.5a6.8 6.8 0 1 0 8.2 8.2z"/>`,
		"out":      `<path d="M8 3.5H4.5a1 1 0 0 0-1 1v11a1 1 0 0 0 1 1H8M12.5 6.5 16 10l-3.5 3.5M16 10H7.5"/>`,
		"warn":     `<path d="M10 3.2 17.5 16.5h-15zM10 8.2v4M10 14.3v.2"/>`,
	}
}

// Icons returns the names of the icons.
func Icons() []string { return slices.Sorted(maps.Keys(icons())) }

// Icon returns an icon as inline SVG in the colour of the text around it. It
// stands beside words, so readers of the screen skip it.
func Icon(name string) (template.HTML, error) {
	shape, ok := icons()[name]
	if !ok {
		return "", fmt.Errorf("icon %q is unknown, use one of %v", name, Icons())
	}
	return template.HTML(`<svg class="icon" viewBox="0 0 20 20" width="20" height="20" aria-hidden="true">` + shape + `</svg>`), nil
}
