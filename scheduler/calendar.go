package scheduler

import (
	"context"
	"time"

	"github.com/6tail/lunar-go/calendar"

	"qunbot/store"
)

// A Calendar says where days begin and which of them are off.
type Calendar struct {
	Zone     *time.Location
	Holidays map[store.Day]store.Holiday // what operators keep: public holidays and make-up workdays
}

// ReadCalendar returns the calendar of the store.
func ReadCalendar(ctx context.Context, tx *store.Tx) (Calendar, error) {
	list, err := tx.Holidays(ctx)
	if err != nil {
		return Calendar{}, err
	}
	c := Calendar{Zone: tx.Zone(), Holidays: make(map[store.Day]store.Holiday, len(list))}
	for _, h := range list {
		c.Holidays[h.Day] = h
	}
	return c, nil
}

// DayOff reports whether offices are closed on day: on public holidays, and on
// Saturdays and Sundays that are no make-up workdays. In a year that is not
// [Calendar.HolidaysKnown] it knows weekends only.
func (c Calendar) DayOff(day store.Day) bool {
	if h, listed := c.Holidays[day]; listed {
		return !h.Work
	}
	switch day.Start(time.UTC).Weekday() {
	case time.Saturday, time.Sunday:
		return true
	}
	return false
}

// HolidaysKnown reports whether the public holidays of a year have been
// entered. The State Council announces them in the November before.
func (c Calendar) HolidaysKnown(year int) bool {
	for day := range c.Holidays {
		if day.Start(time.UTC).Year() == year {
			return true
		}
	}
	return false
}

// lunarDay is the day of that number in a lunar month, or the month's last.
func lunarDay(month, number int) func(store.Day, Calendar) store.Day {
	return func(from store.Day, _ Calendar) store.Day {
		// A lunar year begins up to two months after the solar one.
		for year := from.Start(time.UTC).Year() - 1; ; year++ {
			m := calendar.NewLunarYear(year).GetMonth(month)
			first := calendar.NewSolarFromJulianDay(m.GetFirstJulianDay())
			day := store.Day(first.ToYmd()).Add(min(number, m.GetDayCount()) - 1)
			if day >= from {
				return day
			}
		}
	}
}
