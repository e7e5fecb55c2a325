package main

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"

	"qunbot/bench/rig"
	"qunbot/store"
	"qunbot/store/storetest"
)

// run tortures one service and returns what it found. The error says which
// promises do not hold, or why that could not be found out.
func (p phase) run(ctx context.Context, o options, program, dir string) (report string, err error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return "", err
	}
	dsn, server, drop, err := p.database(ctx, o, dir)
	if err != nil {
		return "", err
	}
	defer drop()
	platform, err := newPlatform(o.seed, !o.short)
	if err != nil {
		return "", err
	}
	defer platform.close()
	config := filepath.Join(dir, "qunbot.yaml")
	if err := p.writeConfig(config, dsn, platform.url); err != nil {
		return "", err
	}
	if out, err := exec.CommandContext(ctx, program, "migrate", "--config", config).CombinedOutput(); err != nil {
		return "", fmt.Errorf("migrate: %w\n%s", err, out) // it also makes the key that all replicas share
	}
	fleet, err := newFleet(program, config, dir, p.replicas)
	if err != nil {
		return "", err
	}
	if err := fleet.start(ctx); err != nil {
		return "", errors.Join(err, fleet.stop())
	}
	l, wrong, err := p.torment(ctx, o, fleet, platform, server, dsn, dir)
	if err != nil {
		return "", errors.Join(err, fleet.stop())
	}
	if err := fleet.stop(); err != nil {
		wrong = append(wrong, err)
	}
	return l.judge(ctx, platform, program, config, dsn, wrong)
}

// database makes the phase's database. server is nil if it cannot be killed.
func (p phase) database(ctx context.Context, o options, dir string) (dsn string, server *mariadb, drop func(), err error) {
	if p.driver == "sqlite" {
		return filepath.Join(dir, "qunbot.db"), nil, func() {}, nil
	}
	address := o.dsn
	if address == "" {
		if server, err = newMariaDB(ctx, filepath.Join(dir, "mariadb")); err != nil {
			return "", nil, nil, err
		}
		address = server.dsn()
	}
	name := fmt.Sprintf("qunbot_torture_%d", os.Getpid())
	admin, err := sql.Open("mysql", address)
	if err != nil {
		return "", nil, nil, err
	}
	if _, err := admin.ExecContext(ctx, "CREATE DATABASE "+name); err != nil {
		return "", nil, nil, err
	}
	return address + name, server, func() {
		if server != nil {
			server.kill()
		} else if _, err := admin.Exec("DROP DATABASE " + name); err != nil {
			fmt.Fprintln(os.Stderr, "torture: "+err.Error())
		}
		admin.Close()
	}, nil
}

// writeConfig writes the settings of all replicas.
func (p phase) writeConfig(path, dsn, api string) error {
	var b strings.Builder
	fmt.Fprintf(&b, `secret_key_file: qunbot.key
database: {driver: %s, dsn: %q}
wecom:
  api_base: %s
  corp_id: ww0123456789abcdef
  app: {agent_id: 1000002, secret: torture-app-secret, token: %s, aes_key: %s}
  bots:
    - {name: %s, display_name: %s, token: %s, aes_key: %s}
operators: [{userid: %s, role: owner}]
groups:
`, p.driver, dsn, api, rig.BotToken, rig.BotKey, rig.BotName, rig.BotTitle, rig.BotToken, rig.BotKey, operatorID)
	for g := range p.groups {
		fmt.Fprintf(&b, "  - {chat_id: %s, name: 群%d, mall: 示例商场, webhook_key: %s}\n", chatOf(g), g, keyOf(g))
	}
	return os.WriteFile(path, []byte(b.String()), 0o600)
}

// torment lets members talk and posts be pushed while replicas and database are
// killed, then lets everything come to its end. wrong is what does not hold.
func (p phase) torment(ctx context.Context, o options, fleet *fleet, platform *platform, server *mariadb, dsn, dir string) (l *load, wrong []error, err error) {
	db, err := store.Open(ctx, store.Options{Driver: p.driver, DSN: dsn, Zone: storetest.Zone()})
	if err != nil {
		return nil, nil, err
	}
	defer db.Close()
	b, err := openBook(p.driver, dsn)
	if err != nil {
		return nil, nil, err
	}
	defer b.db.Close()
	l = &load{phase: p, fleet: fleet, callbacks: rig.NewCallbacks(), db: db, dice: rand.New(rand.NewPCG(o.seed, 2)), statuses: map[int]int{}}
	lap := time.Now()
	took := func(what string) {
		l.took = append(l.took, fmt.Sprintf("%s %.0f s", what, time.Since(lap).Seconds()))
		lap = time.Now()
	}
	if err := l.prepare(ctx, time.Now()); err != nil {
		return l, nil, err
	}
	took("preparing")
	l.script()
	lanes, err := l.lanes(ctx, b)
	if err != nil {
		return l, nil, err
	}

	var g errgroup.Group
	g.Go(func() error { return l.push(ctx, lanes) })
	g.Go(func() error { return p.kill(ctx, fleet, server, rand.New(rand.NewPCG(o.seed, 3))) })
	l.say(ctx)
	if err := g.Wait(); err != nil {
		return l, nil, err
	}
	took("load")
	platform.calm.Store(true)
	if err := drain(ctx, b, p.patience); err != nil {
		wrong = append(wrong, err)
	}
	proved, err := l.endDraws(ctx, b, dir)
	if err != nil {
		wrong = append(wrong, err)
	}
	l.proved = proved
	took("until all was sent")
	if err := drain(ctx, b, p.patience); err != nil {
		wrong = append(wrong, err)
	}
	return l, wrong, nil
}

// lanes returns where this process posts to: all webhooks and some members.
func (l *load) lanes(ctx context.Context, b book) ([]string, error) {
	webhooks, err := b.texts(ctx, "SELECT chat_id, CONCAT(webhook_id, '') FROM `groups`")
	if err != nil {
		return nil, err
	}
	l.laneOf = map[string]string{}
	var lanes []string
	for g := range l.groups {
		l.laneOf[keyOf(g)] = webhooks[chatOf(g)]
		lanes = append(lanes, "webhook/"+webhooks[chatOf(g)])
	}
	for i := range 20 {
		lanes = append(lanes, "app/"+regularOf(i))
	}
	return lanes, nil
}

// kill kills replicas, and now and then the database, over the first three
// quarters of the load: the last lease of a dead process ends soon after it.
func (p phase) kill(ctx context.Context, fleet *fleet, server *mariadb, dice *rand.Rand) error {
	began := time.Now()
	databaseKills := p.databaseKills
	if server == nil {
		databaseKills = 0
	}
	for n := range p.kills {
		due := began.Add(p.length * 3 / 4 * time.Duration(n+1) / time.Duration(p.kills+1))
		select {
		case <-time.After(time.Until(due) + time.Duration(dice.IntN(300))*time.Millisecond):
		case <-ctx.Done():
			return ctx.Err()
		}
		if databaseKills > 0 && n%(p.kills/(databaseKills+1)+1) == p.kills/(databaseKills+1) {
			server.kill()
			time.Sleep(time.Duration(dice.IntN(1500)) * time.Millisecond)
			if err := server.start(ctx); err != nil {
				return err
			}
			fleet.mu.Lock()
			fleet.databaseKills++
			fleet.mu.Unlock()
		}
		for { // one that is running
			if fleet.kill(fleet.replicas[dice.IntN(len(fleet.replicas))]) {
				break
			}
			if ctx.Err() != nil {
				return ctx.Err()
			}
			time.Sleep(10 * time.Millisecond)
		}
	}
	return nil
}

// judge compares the accounts and writes the report.
func (l *load) judge(ctx context.Context, platform *platform, program, config, dsn string, wrong []error) (string, error) {
	b, err := openBook(l.driver, dsn)
	if err != nil {
		return "", err
	}
	defer b.db.Close()
	r := record{calls: platform.seen(l.laneOf), pushed: l.pushed}
	var torn []string
	if r.effects, torn, err = b.effects(ctx, l.messages); err != nil {
		return "", err
	}
	if r.states, err = b.texts(ctx, "SELECT text, state FROM posts"); err != nil {
		return "", err
	}
	for _, m := range l.messages {
		r.said = append(r.said, m.said())
		if text := announcement(m.ID); m.kind == announce && r.states[text] != "" {
			r.pushed = append(r.pushed, pushed{text: text, lane: l.lanesByChat()[m.Chat], began: m.began, done: m.acked})
		}
	}
	v := audit(r)
	ledger, err := proveLedger(ctx, program, config)
	if err != nil {
		wrong = append(wrong, err)
	}
	const shown = 20
	found := append(torn, v.wrong()...)
	for _, w := range found[:min(shown, len(found))] {
		wrong = append(wrong, errors.New(w))
	}
	if more := len(found) - shown; more > 0 {
		wrong = append(wrong, fmt.Errorf("and %d more", more))
	}
	return l.report(r, v, platform, ledger), errors.Join(wrong...)
}

// lanesByChat returns the lanes of the groups by their chats.
func (l *load) lanesByChat() map[string]string {
	if l.byChat == nil {
		l.byChat = map[string]string{}
		for g := range l.groups {
			l.byChat[chatOf(g)] = "webhook/" + l.laneOf[keyOf(g)]
		}
	}
	return l.byChat
}

func (l *load) report(r record, v verdict, platform *platform, ledger string) string {
	var w strings.Builder
	byKind := map[kind]int{}
	for _, m := range l.messages {
		byKind[m.kind]++
	}
	fmt.Fprintln(&w, strings.Join(l.took, ", "))
	line(&w, "messages", len(r.said), fmt.Sprint(byKind))
	line(&w, "delivered again on purpose", l.again, "")
	line(&w, "acknowledged", v.acknowledged, "")
	line(&w, "never acknowledged", v.unheard, fmt.Sprintf("in %d tries; %d of them were applied", tries, v.applied))
	line(&w, "lost", len(v.lost), "must be 0")
	line(&w, "applied twice", len(v.twice), "must be 0")
	line(&w, "posts", len(r.pushed), "")
	line(&w, "sent", v.sent, "")
	line(&w, "doubled, AtLeastOnce", v.doubled, "may be")
	line(&w, "doubled, AtMostOnce", len(v.doubledOnce), "must be 0")
	line(&w, "unknown", v.unknown, "for a person to look at")
	line(&w, "out of order in a lane", len(v.disorder), "must be 0")
	line(&w, "calls to the platform", v.calls, "faults: "+platform.faults())
	line(&w, "over a limit", len(v.limit), fmt.Sprintf("must be 0; at most %d a minute to one webhook, %d a second in all", v.perWebhook, v.perSecond))
	other := 0
	for status, n := range l.statuses {
		if status >= 500 && status != 503 {
			other += n
		}
	}
	line(&w, "answered 503", l.statuses[503], fmt.Sprintf("other 5xx: %d, no answer: %d, 200: %d", other, l.statuses[0], l.statuses[200]))
	line(&w, "kills of replicas", l.fleet.kills, fmt.Sprintf("%d starts after that, %d of them because one had ended by itself: without its database it does not start", l.fleet.starts, l.fleet.alone))
	line(&w, "kills of the database", l.fleet.databaseKills, "")
	line(&w, "draws proved", l.proved, fmt.Sprintf("of %d", len(l.draws)))
	line(&w, "ledger verify", "", ledger)
	return w.String()
}
