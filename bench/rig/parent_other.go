//go:build !linux

package rig

import "syscall"

// DieWithParent has no effect here; the service also ends when its standard
// input does.
func DieWithParent() *syscall.SysProcAttr { return nil }
