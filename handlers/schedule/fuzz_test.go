package schedule

import (
	"reflect"
	"testing"
	"time"
)

// What operators write is refused, or read as days of the year that write and
// read to the same.
func FuzzReadHolidays(f *testing.F) {
	for _, s := range []string{"10-01 至 10-07 休 国庆节\n10-10 班 国庆节", "2027年1月1日 休", "1.1 ~ 1.3 休 元旦", "12-31 休\n", "02-30 休", " "} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		days, err := readHolidays(text, 2027)
		if err != nil {
			return
		}
		for _, d := range days {
			if !d.Day.Valid() || d.Day.Start(time.UTC).Year() != 2027 {
				t.Fatalf("%q has the day %s", text, d.Day)
			}
		}
		again, err := readHolidays(writeHolidays(days), 2027)
		if err != nil || !reflect.DeepEqual(again, days) {
			t.Fatalf("%q reads as %v and, written again, as %v, %v", text, days, again, err)
		}
	})
}
