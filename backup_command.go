package main

import (
	"cmp"
	"encoding/base64"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"strconv"
	"time"

	"qunbot/config"
	"qunbot/ledger"
	"qunbot/store"
	"qunbot/web/style"
)

type backupCommand struct {
	settings
	Out     string `required:"" placeholder:"FILE" help:"写到哪个文件，不能已经存在。" type:"path"`
	WithKey bool   `help:"把密钥也放进备份：恢复时不用另找密钥文件，但拿到备份的人能读出所有机密。"`
}

// Run writes a backup while the service may be running.
func (c backupCommand) Run(p process) error {
	cfg, err := c.load(p)
	if err != nil {
		return err
	}
	key, err := existingKey(cfg)
	if errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("找不到密钥文件 %s：请在服务运行的那个文件夹里、用同一份设置运行（%w）", strconv.Quote(keyFile(cfg)), err)
	}
	if err != nil {
		return err
	}
	o := storeOptions(cfg, key)
	o.AsIs = true // a newer program must not upgrade what it is to save
	db, err := store.Open(p.ctx, o)
	if errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("找不到数据库文件 %s：相对路径从运行命令的文件夹算起，请在服务运行的那个文件夹里运行（%w）", strconv.Quote(o.DSN), err)
	}
	if errors.Is(err, store.ErrNoSchema) {
		return fmt.Errorf("数据库是空的，没有什么可以备份：请检查设置里的 database.dsn 是不是服务用的那一个（%w）", err)
	}
	if err != nil {
		return explain(err)
	}
	defer db.Close()
	how := store.BackupOptions{Program: programVersion(), Host: hostName(), Now: p.now}
	if c.WithKey {
		how.SecretKey = key
	}
	b, err := db.WriteBackup(p.ctx, c.Out, how)
	if errors.Is(err, fs.ErrExist) {
		return fmt.Errorf("%s 已经存在，不会覆盖它：换一个文件名，例如加上日期", strconv.Quote(c.Out))
	}
	if err != nil {
		return explain(err)
	}
	fmt.Fprintf(p.out, "备份完成：%s，%s，%s 行，用时 %s，已经从头到尾读回核对。\nSHA-256（不含最后一行）：%s\n",
		c.Out, megabytes(b.Bytes), style.Number(b.RowCount), b.EndedAt.Sub(b.StartedAt).Round(10*time.Millisecond), b.Checksum)
	if c.WithKey {
		fmt.Fprintln(p.out, "密钥在备份里面：谁拿到这个文件，谁就能读出所有机密，请加密保存。")
	} else {
		fmt.Fprintf(p.out, "密钥文件 %s 不在备份里，请另外保存一份：没有它，恢复以后要重新填写每个群的 Webhook。\n", keyFile(cfg))
	}
	return nil
}

func megabytes(n int64) string { return fmt.Sprintf("%.1f MB", float64(n)/1e6) }

type restoreCommand struct {
	settings
	In        string `required:"" placeholder:"FILE" help:"备份文件。" type:"path"`
	Overwrite bool   `help:"数据库里已经有数据，用备份替换它。SQLite 会留下原来的文件，MySQL 不会。"`
	LostKey   bool   `help:"原来的密钥文件找不回来了：恢复其余的数据，各群的 Webhook 要重新填写。"`
	Check     bool   `help:"只检查备份文件是否完整，不恢复。"`
}

// Run restores a backup and proves the ledger.
func (c restoreCommand) Run(p process) error {
	cfg, err := c.load(p)
	if err != nil {
		return err
	}
	if c.Check {
		found, err := store.InspectBackup(p.ctx, c.In)
		if err != nil {
			return c.explain(cfg, store.Restored{Inspection: found}, err)
		}
		fmt.Fprintf(p.out, "备份完整，校验和一致。\n%s", describe(found, cfg))
		return nil
	}
	key, saved, err := c.key(cfg)
	if err != nil {
		return err
	}
	o := storeOptions(cfg, key)
	began := p.now()
	done, err := store.Restore(p.ctx, c.In, o, store.RestoreOptions{Overwrite: c.Overwrite, DropKeyed: c.LostKey, Now: p.now})
	if err != nil {
		return c.explain(cfg, done, err)
	}
	if saved { // the key came with the backup, or is new
		if err := saveKey(keyFile(cfg), key); err != nil {
			return err
		}
	}
	fmt.Fprintf(p.out, "已恢复，用时 %s。\n%s", p.now().Sub(began).Round(10*time.Millisecond), describe(done.Inspection, cfg))
	if done.Newer > 0 {
		fmt.Fprintf(p.out, "备份来自旧版本，数据库已升级 %d 步到现在的版本。\n", done.Newer)
	}
	if done.Kept != "" {
		fmt.Fprintf(p.out, "原来的数据库留在 %s，确认无误后可以删掉。\n", done.Kept)
	}
	if c.LostKey {
		fmt.Fprintln(p.out, "用旧密钥加密的 Webhook 没有恢复：请在后台“群”里重新填写。")
	}
	db, err := store.Open(p.ctx, o)
	if err != nil {
		return explain(err)
	}
	defer db.Close()
	members, problems, err := ledger.Verify(p.ctx, db)
	if err != nil {
		return fmt.Errorf("数据已恢复，但核对积分账时出错，请再运行 qunbot ledger verify：%w", err)
	}
	for _, line := range problems {
		fmt.Fprintln(p.out, line)
	}
	if len(problems) > 0 {
		fmt.Fprintf(p.out, "数据已恢复，但积分账有 %d 处对不上，见上：备份的时候就是这样的。\n", len(problems))
		return errProblems
	}
	fmt.Fprintf(p.out, "积分账没有问题：核对了 %d 个账户。可以启动服务了。\n", members)
	return nil
}

// key returns the secret key that the restored database will have, and whether
// its file is yet to be made.
func (c restoreCommand) key(cfg config.Config) (key []byte, save bool, err error) {
	key, err = existingKey(cfg)
	if !errors.Is(err, fs.ErrNotExist) {
		return key, false, err
	}
	header, err := store.ReadBackupHeader(c.In)
	if err != nil {
		return nil, false, c.explain(cfg, store.Restored{}, err)
	}
	switch {
	case header.SecretKey != "":
		key, err := base64.StdEncoding.DecodeString(header.SecretKey)
		if err != nil || len(key) != 32 {
			return nil, false, errors.New("备份里的密钥读不出来，备份文件被改动过")
		}
		return key, true, nil
	case header.Key != "" && !c.LostKey:
		return nil, false, fmt.Errorf("找不到密钥文件 %s，备份里的 Webhook 等机密要用它解密。请把原来机器上的密钥文件放到这里再恢复；"+
			"密钥真的找不回来了，就加上 --lost-key，恢复以后重新填写每个群的 Webhook", strconv.Quote(keyFile(cfg)))
	}
	return newKey(), true, nil
}

// explain says why a backup was not restored and what to do.
func (c restoreCommand) explain(cfg config.Config, got store.Restored, err error) error {
	full, notEmpty := errors.AsType[*store.NotEmptyError](err)
	file := strconv.Quote(c.In)
	switch {
	case errors.Is(err, fs.ErrNotExist) && got.Checksum == "":
		return fmt.Errorf("找不到备份文件 %s", file)
	case errors.Is(err, store.ErrNoBackup):
		return fmt.Errorf("%s 不是 qunbot 的备份文件（%w）", file, err)
	case errors.Is(err, store.ErrTruncated):
		return fmt.Errorf("%s 不完整，后面缺了一截，多半是没有复制完或者磁盘满了。请换一份备份，数据库没有改动（%w）", file, err)
	case errors.Is(err, store.ErrAltered):
		return fmt.Errorf("%s 的校验和对不上，文件坏了或者被改动过。请换一份备份，数据库没有改动（%w）", file, err)
	case errors.Is(err, store.ErrNewer):
		return fmt.Errorf("这份备份（或现有的数据库）来自更新版本的 qunbot，请用那个版本的程序来恢复，数据库没有改动（备份由 %s 生成，%w）", cmp.Or(got.Program, "未知版本"), err)
	case errors.Is(err, store.ErrOtherZone):
		return fmt.Errorf("备份按 %s 的日子记账，设置里的 time_zone 是 %s。请把 time_zone 改成 %s 再恢复，数据库没有改动", got.Zone, cfg.TimeZone, got.Zone)
	case errors.Is(err, store.ErrOtherKey):
		hint := "请把备份时的密钥文件放到这里再恢复"
		if got.SecretKey != "" {
			hint = "备份里带着原来的密钥，要用它就先把现在的密钥文件改名"
		}
		return fmt.Errorf("密钥文件 %s 不是备份时用的那一把，备份里的 Webhook 等机密解不开。%s；密钥真的找不回来了，就加上 --lost-key，恢复以后重新填写每个群的 Webhook。数据库没有改动",
			strconv.Quote(keyFile(cfg)), hint)
	case errors.Is(err, store.ErrInUse):
		return fmt.Errorf("还有程序在使用这个数据库，请先停掉所有 qunbot serve（以及其他连着它的工具）再恢复，数据库没有改动（%w）", err)
	case notEmpty:
		return fmt.Errorf("数据库里已经有数据：%d 个会员，%d 笔积分。恢复会用备份替换全部数据，确定要这样做就加上 --overwrite；更稳妥的做法是在设置里换一个空的数据库再恢复。数据库没有改动",
			full.Members, full.Entries)
	}
	return fmt.Errorf("恢复没有完成：%w。SQLite 仍是原来的数据；MySQL 请重新运行恢复，并加上 --overwrite", err)
}

// describe says what is in a backup.
func describe(b store.Inspection, cfg config.Config) string {
	return fmt.Sprintf("备份时间 %s，来自 %s，程序版本 %s，%s，共 %s 行：会员 %s，签到 %s，积分分录 %s，抽奖 %s，消息 %s。\n",
		b.CreatedAt.In(cfg.Zone()).Format("2006-01-02 15:04:05"), b.Driver, cmp.Or(b.Program, "未知"), megabytes(b.Bytes), style.Number(b.RowCount),
		style.Number(b.Tables["members"]), style.Number(b.Tables["check_ins"]), style.Number(b.Tables["entries"]),
		style.Number(b.Tables["draws"]), style.Number(b.Tables["messages"]))
}

// tooOld is how old the last good backup may be: a night's, and time to notice.
const tooOld = 36 * time.Hour

// checkBackups says when there is no backup to go back to.
func checkBackups(p process, cfg config.Config, r *report) {
	off := cfg.Backup.Dir == "" || cfg.Backup.KeepDays == 0
	if off {
		r.warn("自动备份没有打开：在设置里填写 backup.dir 和 backup.keep_days，或者用系统的定时任务运行 qunbot backup --out 文件。")
	}
	db, err := openStore(p.ctx, cfg)
	if err != nil {
		r.note(err, "")
		return
	}
	defer db.Close()
	var last time.Time
	err = db.View(p.ctx, func(tx *store.Tx) (err error) {
		last, err = tx.LastBackup(tx.Context())
		return err
	})
	at := last.In(cfg.Zone()).Format("2006-01-02 15:04")
	switch {
	case err != nil:
		r.note(err, "")
	case last.IsZero() && !off:
		r.warn("还没有备份过：服务运行时每天夜里自动备份到 " + filepath.Clean(cfg.Backup.Dir) + "，也可以现在运行 qunbot backup --out 文件。")
	case last.IsZero():
	case p.now().Sub(last) > tooOld:
		r.warn("最近一次成功的备份是 " + at + "，太久了：到后台“备份”页看失败的原因，或者现在运行 qunbot backup --out 文件。")
	default:
		r.note(nil, "备份：最近一次成功是 "+at)
	}
}
