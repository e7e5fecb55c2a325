package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"qunbot/ledger"
	"qunbot/store"
	"qunbot/store/storetest"
)

// award gives a member points, in a settled ledger.
func award(t *testing.T, o store.Options, points int64) {
	t.Helper()
	withDatabase(t, o, func(db *store.Store) {
		err := db.Update(t.Context(), func(tx *store.Tx) error {
			members, err := tx.MembersOf(tx.Context(), []store.Identity{{Kind: store.UserID, Value: "lisi"}}, time.Now())
			if err != nil {
				return err
			}
			_, _, err = ledger.Award(tx.Context(), tx, ledger.Earning{
				Member: members[0].ID, Rule: "adjust", Base: points, Key: store.Key("test", points), At: time.Now(),
			})
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	})
}

// The whole way back: a backup, a loss, a restore, and what each step says.
func TestBackupAndRestore(t *testing.T) {
	storetest.EachOptions(t, func(t *testing.T, o store.Options) {
		settings := writeSettings(t, o)
		key := filepath.Join(filepath.Dir(settings), "qunbot.key")
		dir := t.TempDir()
		file := func(name string) string { return filepath.Join(dir, name) }
		try := func(want, fail string, args ...string) {
			t.Helper()
			out, err := command(t, append(args, "--config", settings)...)
			if (err == nil) != (fail == "") || err != nil && !strings.Contains(err.Error(), fail) || !strings.Contains(out, want) {
				t.Errorf("qunbot %q printed %q, %v; want %q, %q", args, out, err, want, fail)
			}
		}
		try("", "找不到密钥文件", "backup", "--out", file("a"))
		if _, err := os.Stat(key); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("a backup of nothing made a key: %v", err)
		}
		if o.Driver == "mysql" {
			if err := saveKey(key, newKey()); err != nil {
				t.Fatal(err)
			}
			try("", "数据库是空的", "backup", "--out", file("a"))
		}
		try("数据库已是最新", "", "migrate")
		award(t, o, 10)
		try("读回核对", "", "backup", "--out", file("a"))
		try("", "已经存在", "backup", "--out", file("a"))
		try("备份完整", "", "restore", "--in", file("a"), "--check")
		try("会员 1，签到 0，积分分录 1", "", "restore", "--in", file("a"), "--check")

		award(t, o, 20)
		try("", "已经有数据：1 个会员，2 笔积分", "restore", "--in", file("a"))
		try("核对了 1 个账户", "", "restore", "--in", file("a"), "--overwrite")
		withDatabase(t, o, func(db *store.Store) {
			err := db.View(t.Context(), func(tx *store.Tx) error {
				entries, err := tx.EntriesOf(tx.Context(), 1, 0, 10)
				if len(entries) != 1 || entries[0].Points != 10 {
					t.Errorf("entries after the restore = %+v, want the one of 10 points", entries)
				}
				return err
			})
			if err != nil {
				t.Fatal(err)
			}
		})

		if o.Driver != "sqlite" { // what follows is about the files
			return
		}
		text, err := os.ReadFile(file("a"))
		if err != nil {
			t.Fatal(err)
		}
		for name, change := range map[string]func([]byte) []byte{
			"不完整":           func(b []byte) []byte { return b[:len(b)-100] },
			"校验和对不上":        func(b []byte) []byte { b[len(b)/2] ^= 1; return b },
			"不是 qunbot 的备份": func(b []byte) []byte { return append([]byte("x"), b...) },
		} {
			if err := os.WriteFile(file("bad"), change(bytes.Clone(text)), 0o600); err != nil {
				t.Fatal(err)
			}
			try("", name, "restore", "--in", file("bad"), "--overwrite")
			try("", name, "restore", "--in", file("bad"), "--check")
		}
		try("", "找不到备份文件", "restore", "--in", file("none"), "--overwrite")

		// The key: missing, another, lost, or in the backup.
		try("密钥在备份里面", "", "backup", "--out", file("keyed"), "--with-key")
		good, err := os.ReadFile(key)
		if err != nil {
			t.Fatal(err)
		}
		if err := os.Remove(key); err != nil {
			t.Fatal(err)
		}
		try("", "找不到密钥文件", "restore", "--in", file("a"), "--overwrite")
		if _, err := os.Stat(key); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("a restore that was refused made a key: %v", err)
		}
		try("请在后台“群”里重新填写", "", "restore", "--in", file("a"), "--overwrite", "--lost-key")
		try("", "不是备份时用的那一把", "restore", "--in", file("a"), "--overwrite")
		if err := os.Remove(key); err != nil {
			t.Fatal(err)
		}
		try("核对了 1 个账户", "", "restore", "--in", file("keyed"), "--overwrite")
		if got, err := os.ReadFile(key); err != nil || !bytes.Equal(got, good) {
			t.Errorf("the key that came with the backup = %q, %v, want the old one", got, err)
		}

		// A ledger that was wrong when it was backed up is restored, and named.
		withDatabase(t, o, func(db *store.Store) {
			err := db.Update(t.Context(), func(tx *store.Tx) error {
				_, _, err := tx.AddEntry(tx.Context(), store.Entry{Key: "k", MemberID: 7, Rule: "test", Points: 5, At: time.Now()})
				return err
			})
			if err != nil {
				t.Fatal(err)
			}
		})
		try("读回核对", "", "backup", "--out", file("wrong"))
		try("积分账有", "有问题", "restore", "--in", file("wrong"), "--overwrite")
	})
}

// A service that runs does not mind a backup, and is not restored over.
func TestBackupAndRestoreWhileServing(t *testing.T) {
	storetest.EachOptions(t, func(t *testing.T, o store.Options) {
		settings := writeSettings(t, o)
		start(t, settings, run)
		file := filepath.Join(t.TempDir(), "a")
		child := func(args ...string) (string, error) { // the locks are those of processes
			cmd := exec.CommandContext(t.Context(), os.Args[0], append(args, "--config", settings)...)
			cmd.Env = []string{childVariable + "=main"}
			out, err := cmd.CombinedOutput()
			return string(out), err
		}
		if out, err := child("backup", "--out", file); err != nil || !strings.Contains(out, "读回核对") {
			t.Fatalf("backup while serving = %q, %v", out, err)
		}
		if out, err := child("restore", "--in", file, "--overwrite"); err == nil || !strings.Contains(out, "还有程序在使用这个数据库") {
			t.Errorf("restore while serving = %q, %v, want a refusal", out, err)
		}
	})
}

func TestOldProgramIsRefused(t *testing.T) {
	storetest.EachOptions(t, func(t *testing.T, o store.Options) {
		settings := writeSettings(t, o)
		if _, err := command(t, "migrate", "--config", settings); err != nil {
			t.Fatal(err)
		}
		storetest.Exec(t, o, "INSERT INTO migrations (id) VALUES ('2099-01-01 from the future')")
		for _, args := range [][]string{{"serve"}, {"migrate"}, {"ledger", "verify"}, {"backup", "--out", filepath.Join(t.TempDir(), "a")}} {
			_, err := command(t, append(args, "--config", settings)...)
			if err == nil || !strings.Contains(err.Error(), "请换回新版本的程序") {
				t.Errorf("qunbot %q on a newer database = %v, want it to say what to do", args, err)
			}
		}
	})
}

// check says when there is nothing to go back to.
func TestCheckLooksAtBackups(t *testing.T) {
	o := storetest.SQLite(t)
	settings := writeSettings(t, o)
	look := func(want string) {
		t.Helper()
		if out, _ := command(t, "check", "--config", settings); !strings.Contains(out, want) {
			t.Errorf("check printed %q, want %q in it", out, want)
		}
	}
	look("还没有备份过")
	add := func(age time.Duration) {
		withDatabase(t, o, func(db *store.Store) {
			err := db.Update(context.Background(), func(tx *store.Tx) error {
				at := time.Now().Add(-age)
				return tx.AddBackup(tx.Context(), store.Backup{File: "a", StartedAt: at, EndedAt: at})
			})
			if err != nil {
				t.Fatal(err)
			}
		})
	}
	add(40 * time.Hour)
	look("太久了")
	add(time.Hour)
	look("✓ 备份：最近一次成功是")
}

// A drill: members check in while a backup is written. What was acknowledged
// before it began is in the database that is restored from it, and the ledger
// there holds. TEST_SLOW=1 makes it long.
func TestBackupUnderLoad(t *testing.T) {
	before, speakers := 200, 16
	if os.Getenv("TEST_SLOW") != "" {
		before = 20_000
	}
	drivers := map[string]func(testing.TB) store.Options{"sqlite": storetest.SQLite, "mysql": storetest.MySQL}
	for name, database := range drivers {
		t.Run(name, func(t *testing.T) {
			settings := writeSettings(t, database(t))
			p := newPlatform(start(t, settings, run).address)
			var said, acknowledged atomic.Int64 // members are numbered by who speaks first
			var answered sync.Map
			ctx, stop := context.WithCancel(t.Context())
			defer stop()
			enough := make(chan struct{})
			var speaking sync.WaitGroup
			for range speakers {
				speaking.Go(func() {
					for ctx.Err() == nil {
						who := fmt.Sprint("member", said.Add(1))
						if _, err := p.deliver(t.Context(), saying{id: who, who: who, text: "签到", sent: time.Now()}); err != nil {
							t.Errorf("check-in of %s while a backup is written: %v", who, err)
							stop()
							return
						}
						answered.Store(who, true)
						if acknowledged.Add(1) == int64(before) {
							close(enough)
						}
					}
				})
			}
			select {
			case <-enough:
			case <-ctx.Done():
			}
			var safe []string
			answered.Range(func(who, _ any) bool {
				safe = append(safe, who.(string))
				return true
			})
			file := filepath.Join(t.TempDir(), "a")
			cmd := exec.CommandContext(t.Context(), os.Args[0], "backup", "--out", file, "--config", settings)
			cmd.Env = []string{childVariable + "=main"}
			out, err := cmd.CombinedOutput()
			during := acknowledged.Load() - int64(len(safe))
			stop()
			speaking.Wait()
			if err != nil {
				t.Fatalf("backup = %s, %v", out, err)
			}
			t.Logf("%d check-ins before the backup, %d during it", len(safe), during)

			o := database(t)
			other := writeSettings(t, o)
			key, err := os.ReadFile(filepath.Join(filepath.Dir(settings), "qunbot.key"))
			if err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(filepath.Join(filepath.Dir(other), "qunbot.key"), key, 0o600); err != nil {
				t.Fatal(err)
			}
			if out, err := command(t, "restore", "--in", file, "--config", other); err != nil || !strings.Contains(out, "积分账没有问题") {
				t.Fatalf("restore = %s, %v", out, err)
			}
			withDatabase(t, o, func(db *store.Store) {
				for _, who := range safe {
					if got, want := standingOf(t, db, who), (standing{1, 1, 5}); got != want {
						t.Fatalf("standing of %s, who was answered before the backup = %+v, want %+v", who, got, want)
					}
				}
			})
		})
	}
}
