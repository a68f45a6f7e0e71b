//go:build linux

package main

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/billetcloud/billet/internal/rackagent"
)

// jumpAfter is how long the system goes on that starts the agent, so that the answer arrives.
const jumpAfter = 2 * time.Second

// kexec starts the agent in place of the Linux that this command runs on: billetd runs it by SSH on
// servers without a BMC. What it starts is on its input, and never in a file.
func kexec(in io.Reader) error {
	_ = os.Remove(os.Args[0])
	r := bufio.NewReader(in)
	l, err := rackagent.ReadLoad(r)
	if err != nil {
		return err
	}
	kernel, err := inMemory("kernel", r, l.Kernel)
	if err != nil {
		return err
	}
	initrd, err := inMemory("initrd", r, l.Initrd)
	if err != nil {
		return err
	}
	if err := unix.KexecFileLoad(kernel, initrd, l.CommandLine, 0); err != nil {
		return fmt.Errorf("the kernel refuses to start another one: %w%s", err, kexecHint(err))
	}
	// The connection ends with this process, the jump is made by another one.
	jump := exec.Command("/proc/self/exe", "jump")
	jump.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	if err := jump.Start(); err != nil {
		return err
	}
	fmt.Println(rackagent.Loaded)
	return nil
}

func kexecHint(err error) string {
	switch {
	case errors.Is(err, unix.EPERM):
		return "; it needs root, kernel.kexec_load_disabled must be 0, and with Secure Boot the kernel must accept " +
			"the signature of Debian's"
	case errors.Is(err, unix.ENOSYS):
		return "; it was built without CONFIG_KEXEC_FILE"
	}
	return ""
}

// inMemory keeps so many bytes in memory, and returns them as a file that is open for reading only:
// the kernel loads no other.
func inMemory(name string, r io.Reader, size int64) (int, error) {
	fd, err := unix.MemfdCreate(name, unix.MFD_CLOEXEC)
	if err != nil {
		return 0, err
	}
	f := os.NewFile(uintptr(fd), name)
	defer f.Close()
	if _, err := io.CopyN(f, r, size); err != nil {
		return 0, fmt.Errorf("receive the %s: %w", name, err)
	}
	return unix.Open(fmt.Sprintf("/proc/self/fd/%d", fd), unix.O_RDONLY|unix.O_CLOEXEC, 0)
}

// jump starts what is loaded. File systems are made read-only first, so that the system that runs
// is as it was if it starts again.
func jump() error {
	time.Sleep(jumpAfter)
	unix.Sync()
	_ = os.WriteFile("/proc/sysrq-trigger", []byte("u"), 0)
	return unix.Reboot(unix.LINUX_REBOOT_CMD_KEXEC)
}
