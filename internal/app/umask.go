package app

import "syscall"

// umask sets the process's mask of file modes and returns the one before.
func umask(mask int) int { return syscall.Umask(mask) }
