package node

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"sync"
	"syscall"

	"golang.org/x/sys/unix"
)

const canIsolate = true

// selfExecutable is the running binary itself, whatever became of its path and who may walk to
// it.
func selfExecutable() string { return "/proc/self/exe" }

// ownSession lets a process outlive the server and the terminal it was started from.
func ownSession(cmd *exec.Cmd) { cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true} }

// setupCaps are what init needs to build the file tree. They are capabilities in the machine's user
// namespace.
var setupCaps = []uintptr{
	unix.CAP_CHOWN, unix.CAP_DAC_OVERRIDE, unix.CAP_FOWNER, unix.CAP_FSETID, unix.CAP_KILL, unix.CAP_SETGID,
	unix.CAP_SETUID, unix.CAP_SETPCAP, unix.CAP_NET_ADMIN, unix.CAP_SYS_ADMIN, unix.CAP_SYS_CHROOT,
	unix.CAP_SYS_PTRACE, unix.CAP_SYS_RESOURCE,
}

// isolate makes the process the first one of its own user, mount, PID, UTS, IPC and network
// namespaces.
//
// As root, the process keeps the host root's id at first, which is unmapped in the new user
// namespace, so that it can walk to a data directory that only root may enter; the ambient
// capabilities carry its rights over exec.
func isolate(cmd *exec.Cmd) {
	cmd.SysProcAttr.Cloneflags = unix.CLONE_NEWUSER | unix.CLONE_NEWNS | unix.CLONE_NEWPID |
		unix.CLONE_NEWUTS | unix.CLONE_NEWIPC | unix.CLONE_NEWNET
	ownUsers(cmd)
}

// ownUsers maps the ids of a new user namespace.
func ownUsers(cmd *exec.Cmd) {
	attr := cmd.SysProcAttr
	attr.AmbientCaps = setupCaps
	if os.Geteuid() == 0 {
		attr.UidMappings = []syscall.SysProcIDMap{{ContainerID: 0, HostID: idBase, Size: idCount}}
		attr.GidMappings = []syscall.SysProcIDMap{{ContainerID: 0, HostID: idBase, Size: idCount}}
		attr.GidMappingsEnableSetgroups = true
		return
	}
	attr.UidMappings = []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Geteuid(), Size: 1}}
	attr.GidMappings = []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getegid(), Size: 1}}
}

// Remedy is the command that lets ordinary users make user namespaces on this host, or "" where no
// setting of the kernel forbids it, as in a container.
func Remedy() string {
	for _, setting := range []struct{ name, forbids, allows string }{
		{"user.max_user_namespaces", "0", "15000"},
		{"kernel.apparmor_restrict_unprivileged_userns", "1", "0"}, // Ubuntu since 23.10
		{"kernel.unprivileged_userns_clone", "0", "1"},             // Debian until 10
	} {
		b, err := os.ReadFile("/proc/sys/" + strings.ReplaceAll(setting.name, ".", "/"))
		if err == nil && string(bytes.TrimSpace(b)) == setting.forbids {
			return "sudo sysctl -w " + setting.name + "=" + setting.allows
		}
	}
	return ""
}

// bootID tells this boot of the host from every other.
var bootID = sync.OnceValue(func() string {
	b, err := os.ReadFile("/proc/sys/kernel/random/boot_id")
	if err != nil {
		return ""
	}
	return string(bytes.TrimSpace(b))
})

// processStart returns when a process was started, in clock ticks since boot, or "" when there is
// no such process or it is dead and only waits to be noticed by its parent.
func processStart(pid int) string {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return ""
	}
	// The name in parentheses may hold anything, so count from its end: field 3 of proc(5) is the
	// first.
	fields := bytes.Fields(b[bytes.LastIndexByte(b, ')')+1:])
	if len(fields) < 20 {
		return ""
	}
	state, threads, started := string(fields[0]), string(fields[17]), string(fields[19])
	// The first thread may be dead while others are still dying, and with them the machine's
	// processes.
	if (state == "Z" || state == "X") && (threads == "0" || threads == "1") {
		return ""
	}
	return started
}
