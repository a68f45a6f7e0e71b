package node

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"syscall"

	"golang.org/x/sys/unix"
)

const canIsolate = false

var errNoNamespaces = errors.New("only Linux has the namespaces that isolate a machine")

func selfExecutable() string {
	path, err := os.Executable()
	if err != nil {
		return os.Args[0]
	}
	return path
}

func ownSession(cmd *exec.Cmd) { cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true} }

func isolate(*exec.Cmd) {}

// Remedy is "": nothing gives macOS namespaces.
func Remedy() string { return "" }

// bootID is of no use where process start times are wall-clock times.
func bootID() string { return "" }

// processStart returns when a process was started, in microseconds since 1970, or "" when there is
// none.
func processStart(pid int) string {
	p, err := unix.SysctlKinfoProc("kern.proc.pid", pid)
	const zombie = 5
	if err != nil || p.Proc.P_stat == zombie {
		return ""
	}
	return fmt.Sprintf("%d.%06d", p.Proc.P_starttime.Sec, p.Proc.P_starttime.Usec)
}

func runInit() error     { return errNoNamespaces }
func runRestrict() error { return errNoNamespaces }
func runTree() error     { return errNoNamespaces }

func controlListener(string) (*os.File, error) { return nil, errNoNamespaces }

func attachIsolated(context.Context, string, string, string) error { return errNoNamespaces }
func detachIsolated(context.Context, string, string) error         { return errNoNamespaces }

func hideProcess() error { return nil }
