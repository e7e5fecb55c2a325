package rig

import "syscall"

// DieWithParent ends a child with this process, also when that is killed.
func DieWithParent() *syscall.SysProcAttr { return &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL} }
