package schedule_test

import (
	"log/slog"
	"testing"
	"time"

	"qunbot/handlers"
	"qunbot/handlers/schedule"
	"qunbot/scheduler"
	"qunbot/store"
	"qunbot/store/storetest"
	"qunbot/web/console"
	"qunbot/web/console/consoletest"
)

func TestHolidays(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.Store) {
		now := func() time.Time { return noon }
		log := slog.New(slog.DiscardHandler)
		jobs, err := scheduler.New(scheduler.Config{Store: db, Now: now, Log: log})
		if err != nil {
			t.Fatal(err)
		}
		feature := schedule.New(handlers.Deps{Store: db, Now: now, Zone: db.Zone(), Log: log}, func() *scheduler.Scheduler { return jobs })
		b := consoletest.Open(t, console.Config{Store: db, Pages: feature.Console, Now: now, Log: log})
		b.SignIn(db, store.Operator{UserID: "boss", Role: store.Manager, CreatedAt: noon})
		const next = "/console/schedule/holidays?year=2027"
		b.Holds("nothing yet", b.Get(next), "还没有 2027 年的节假日", "2027 年（还没有）")

		for text, problem := range map[string]string{
			"元旦放假":                           "第 1 行“元旦放假”看不懂",
			"01-01 休 元旦\n02-30 休 春节":         "第 2 行“02-30 休 春节”里没有这一天",
			"2026-10-01 休 国庆节":               "不在 2027 年",
			"02-11 至 02-05 休 春节":             "前后颠倒了",
			"01-01 至 12-31 休 天天":             "一年最多写 120 天",
			"01-01 休 元旦\n01-01 至 01-03 休 元旦": "2027-01-01 写了两次",
		} {
			page := b.Post(422, next, "days", text)
			b.Holds(text, page, problem, text)
		}
		b.Holds("nothing was saved", b.Get(next), "还没有 2027 年的节假日")

		page := b.Post(200, next, "days", "2027-01-01 至 2027-01-03 休 元旦\n\n02.05～02.11 休 春节\n2月14日 班 春节\n")
		b.Holds("saved", page, "已保存 2027 年的节假日", "2027 年放 10 天", "1月1日", "放 7 天", "2月14日", "上班", "01-01 至 01-03 休 元旦", "02-05 至 02-11 休 春节", "02-14 班 春节")
		b.Holds("this year is another one", b.Get("/console/schedule/holidays"), "2026 年")
		err = db.View(t.Context(), func(tx *store.Tx) error {
			calendar, err := scheduler.ReadCalendar(tx.Context(), tx)
			if !calendar.DayOff("2027-02-08") || calendar.DayOff("2027-02-14") {
				t.Error("2027-02-08 should be off, and Sunday 2027-02-14 worked")
			}
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
		b.Holds("what is shown can be saved again", b.Post(200, next, "days", "01-01 至 01-03 休 元旦\n02-05 至 02-11 休 春节\n02-14 班 春节"), "2027 年放 10 天")
		b.SignIn(db, store.Operator{UserID: "reader", Role: store.Analyst, CreatedAt: noon})
		b.Lacks("an analyst only reads", b.Get(next), "<textarea")
	})
}
