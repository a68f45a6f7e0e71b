package node

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"syscall"

	"golang.org/x/sys/unix"
)

// runInit is PID 1 of an isolated machine. It returns, and thereby ends every process of the
// machine, when the SSH server has ended.
func runInit() error {
	unix.CloseOnExec(fdReply)
	unix.CloseOnExec(fdSSH)
	unix.CloseOnExec(fdControl)
	cfg, err := readConfig()
	if err != nil {
		return err
	}
	syscall.Umask(guestUmask)
	// When memory runs out, the machine goes before the server does. Raising this needs no right.
	_ = os.WriteFile("/proc/self/oom_score_adj", []byte("300"), 0)
	if err := enter(cfg); err != nil {
		answer(err)
		return err
	}
	if cfg.Probe {
		answer(nil)
		return nil
	}
	if err := hideProcess(); err != nil {
		answer(err)
		return err
	}
	// The first process of a PID namespace gets from inside only signals it has asked for. Go asks
	// for those that end a program; take and forget them, so that a careless kill inside does not
	// end the machine.
	forget := make(chan os.Signal, 1)
	signal.Notify(
		forget,
		syscall.SIGHUP,
		syscall.SIGINT,
		syscall.SIGQUIT,
		syscall.SIGTERM,
		syscall.SIGABRT,
		syscall.SIGUSR1,
		syscall.SIGUSR2,
	)

	server, err := startServer(cfg)
	if err != nil {
		answer(err)
		return err
	}
	// The server answers in our place.
	unix.Close(fdReply)
	unix.Close(fdSSH)
	go serveControl(os.NewFile(fdControl, "control"), cfg)
	return reapUntil(server)
}

// startServer starts the SSH server before anything of the user has run, so the programs and
// libraries it is made of are still the host's.
func startServer(cfg config) (pid int, err error) {
	r, w, err := os.Pipe()
	if err != nil {
		return 0, err
	}
	defer r.Close()
	defer w.Close()
	null, err := os.Open(os.DevNull)
	if err != nil {
		return 0, err
	}
	defer null.Close()
	pid, err = syscall.ForkExec(ownFile, []string{"sshd", InitArg, roleRestrict}, &syscall.ProcAttr{
		Dir:   "/",
		Env:   smallProcess(nil),
		Files: []uintptr{null.Fd(), 1, 2, r.Fd(), fdReply, fdSSH},
		Sys:   &syscall.SysProcAttr{Setsid: true},
	})
	if err != nil {
		return 0, fmt.Errorf("start the SSH server: %w", err)
	}
	r.Close()
	if err := json.NewEncoder(w).Encode(cfg); err != nil {
		return 0, fmt.Errorf("send the SSH server its configuration: %w", err)
	}
	return pid, nil
}

// reapUntil takes notice of every ended process, the server's orphans too, until the server itself
// has ended.
func reapUntil(server int) error {
	for {
		var status unix.WaitStatus
		pid, err := unix.Wait4(-1, &status, 0, nil)
		switch {
		case errors.Is(err, unix.EINTR):
		case err != nil:
			return fmt.Errorf("wait for processes: %w", err)
		case pid == server:
			return fmt.Errorf("the SSH server ended: %s", describe(status))
		}
	}
}

func describe(status unix.WaitStatus) string {
	if status.Signaled() {
		return "signal " + unix.SignalName(status.Signal())
	}
	return fmt.Sprintf("exit status %d", status.ExitStatus())
}
