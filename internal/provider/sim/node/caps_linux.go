package node

import (
	"errors"
	"fmt"
	"os"
	"runtime"
	"syscall"

	"golang.org/x/sys/unix"
)

// sessionCaps are the capabilities that root of a machine has, all of them in the machine's user
// namespace only. What is missing would let it mount, change network interfaces, inspect
// processes of other rights, or raise its limits.
var sessionCaps = map[uintptr]bool{
	unix.CAP_CHOWN: true, unix.CAP_DAC_OVERRIDE: true, unix.CAP_FOWNER: true, unix.CAP_FSETID: true,
	unix.CAP_KILL:   true,
	unix.CAP_SETGID: true, unix.CAP_SETUID: true, unix.CAP_SETPCAP: true, unix.CAP_NET_BIND_SERVICE: true,
	unix.CAP_NET_RAW: true, unix.CAP_SYS_CHROOT: true, unix.CAP_SETFCAP: true, unix.CAP_AUDIT_WRITE: true,
}

// sessionLimits bound one machine; the number of processes is counted for the machine as a whole.
var sessionLimits = map[int]uint64{
	unix.RLIMIT_NPROC:  4096,
	unix.RLIMIT_NOFILE: 65536,
	unix.RLIMIT_FSIZE:  64 << 30,
	unix.RLIMIT_CORE:   0,
}

// runRestrict gives up for good what sessions must not have and becomes the SSH server. Capability
// sets and no_new_privs belong to a thread, so one thread is restricted and then replaces the whole
// process: every thread of the server, and every process it starts, descends from it. That holds
// for cgo binaries too, which cannot make a system call on all threads.
func runRestrict() error {
	runtime.LockOSThread()
	err := restrict()
	if err == nil {
		err = syscall.Exec(ownFile, []string{"sshd", InitArg, roleServe}, os.Environ())
	}
	answer(err)
	return err
}

func restrict() error {
	// Ordinary users' machines share their id with its other processes, and with it their kernel
	// keys.
	if _, err := unix.KeyctlInt(unix.KEYCTL_JOIN_SESSION_KEYRING, 0, 0, 0, 0); err != nil &&
		!errors.Is(err, unix.ENOSYS) &&
		!errors.Is(err, unix.EPERM) {
		return fmt.Errorf("leave the session keyring: %w", err)
	}
	for what, limit := range sessionLimits {
		var rlimit syscall.Rlimit
		if err := syscall.Getrlimit(what, &rlimit); err != nil {
			return fmt.Errorf("read limit %d: %w", what, err)
		}
		rlimit.Max = min(rlimit.Max, limit)
		rlimit.Cur = rlimit.Max
		if err := syscall.Setrlimit(what, &rlimit); err != nil {
			return fmt.Errorf("set limit %d: %w", what, err)
		}
	}
	for c := uintptr(0); c < 64; c++ {
		if sessionCaps[c] {
			continue
		}
		if err := unix.Prctl(unix.PR_CAPBSET_DROP, c, 0, 0, 0); errors.Is(err, unix.EINVAL) {
			break // past the last capability that this kernel knows
		} else if err != nil {
			return fmt.Errorf("drop capability %d: %w", c, err)
		}
	}
	if err := unix.Prctl(unix.PR_CAP_AMBIENT, unix.PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0); err != nil {
		return fmt.Errorf("clear ambient capabilities: %w", err)
	}
	header := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	var data [2]unix.CapUserData
	if err := unix.Capget(&header, &data[0]); err != nil {
		return fmt.Errorf("read capabilities: %w", err)
	}
	var keep [2]uint32
	for c := range sessionCaps {
		keep[c/32] |= 1 << (c % 32)
	}
	for i := range data {
		data[i].Permitted &= keep[i]
		data[i].Effective &= keep[i]
		data[i].Inheritable = 0
	}
	if err := unix.Capset(&header, &data[0]); err != nil {
		return fmt.Errorf("drop capabilities: %w", err)
	}
	if err := unix.Prctl(unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0); err != nil {
		return fmt.Errorf("set no_new_privs: %w", err)
	}
	return nil
}

// hideProcess closes /proc/<pid>/fd, root, cwd, exe, mem and environ of this process to everyone
// else in the machine, and keeps debuggers away. Programs it starts are not affected.
func hideProcess() error {
	if err := unix.Prctl(unix.PR_SET_DUMPABLE, 0, 0, 0, 0); err != nil {
		return fmt.Errorf("hide the process: %w", err)
	}
	return nil
}
