//go:build !linux

package storetest

import "syscall"

// dieWithParent has no effect here: a test process that is killed leaves the
// server running.
func dieWithParent() *syscall.SysProcAttr { return nil }
