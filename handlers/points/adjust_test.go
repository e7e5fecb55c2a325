package points

import (
	"strings"
	"testing"
)

func FuzzParseAdjustment(f *testing.F) {
	for _, s := range []string{"12 50 谢谢", "lisi -20 扣回 一部分", "1 ９９ 全角", "a b c", "", "1 100001 x"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, args string) {
		a, problem := parseAdjustment(args)
		if problem != "" {
			return
		}
		if a.who == "" || a.reason == "" || a.points == 0 || max(a.points, -a.points) > maxAdjustment {
			t.Errorf("parseAdjustment(%q) = %+v, out of range", args, a)
		}
		if !strings.Contains(args, a.who) {
			t.Errorf("parseAdjustment(%q) found %q in it", args, a.who)
		}
	})
}
