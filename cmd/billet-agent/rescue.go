//go:build linux

package main

import (
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/billetcloud/billet/internal/rackagent"
	"github.com/billetcloud/billet/internal/sftpserver"
)

// rescueGreeting is what a login shell of the rescue system begins with.
const rescueGreeting = `Billet's rescue system. Nothing is changed on the drives; they are not mounted.
  blkid; mount /dev/nvme0n1p1 /mnt    mount a file system
  chroot /mnt /bin/bash               use the programs that are installed there
  reboot                              end the rescue, and start from the drive
`

// rescue makes a small system around the agent and serves SSH as root, until the context ends or
// the tenant restarts the machine.
func rescue(ctx context.Context, shell rackagent.Shell, say func(string)) error {
	if err := userland(); err != nil {
		return err
	}
	l, err := net.Listen("tcp", ":22")
	if err != nil {
		return err
	}
	defer l.Close()
	family := &children{waiting: map[int]chan syscall.WaitStatus{}}
	go family.reap(ctx)
	s := &sshServer{
		home: "/root", sftp: []string{"/proc/self/exe", "sftp"}, greeting: rescueGreeting, start: family.start,
		environ: []string{"PATH=/usr/sbin:/usr/bin:/sbin:/bin", "HOME=/root", "USER=root", "LOGNAME=root",
			"SHELL=/bin/sh", "PS1=rescue:\\w# "},
	}
	if err := s.configure(shell); err != nil {
		return err
	}
	go s.serve(l)
	say("Serving SSH on port 22.")
	// What reboot, poweroff and halt of busybox send to the first process.
	restart := make(chan os.Signal, 1)
	signal.Notify(restart, syscall.SIGTERM, syscall.SIGUSR1, syscall.SIGUSR2)
	defer signal.Stop(restart)
	select {
	case <-ctx.Done():
	case <-restart:
		say("The machine is restarted by the tenant.")
	}
	l.Close()
	leave()
	return nil
}

// leave ends all programs, and unmounts what the tenant has mounted: the machine may be switched
// off at any moment.
func leave() {
	_ = syscall.Kill(-1, syscall.SIGTERM)
	time.Sleep(endsWithin)
	_ = syscall.Kill(-1, syscall.SIGKILL)
	unix.Sync()
	_, _ = runTool("/bin/umount", "-a", "-r")
	unix.Sync()
}

// endsWithin is how long programs may take to end when the rescue does.
const endsWithin = 2 * time.Second

// userland makes what programs expect of a system. The image has the programs and the modules.
func userland() error {
	for _, dir := range []string{"/bin", "/sbin", "/usr/bin", "/usr/sbin", "/root", "/mnt", "/run", "/dev/pts",
		"/dev/shm", "/lib/modules"} {
		if err := os.MkdirAll(dir, 0o755); err != nil {
			return err
		}
	}
	const flags, options = unix.MS_NOSUID | unix.MS_NOEXEC, "ptmxmode=0666,mode=0620"
	if err := unix.Mount("devpts", "/dev/pts", "devpts", flags, options); err != nil {
		return fmt.Errorf("mount /dev/pts: %w", err)
	}
	var name unix.Utsname
	if err := unix.Uname(&name); err != nil {
		return err
	}
	for at, to := range map[string]string{
		filepath.Join("/lib/modules", unix.ByteSliceToString(name.Release[:])): modulesDir,
		"/dev/fd": "/proc/self/fd", "/dev/stdin": "/proc/self/fd/0", "/dev/stdout": "/proc/self/fd/1",
		"/dev/stderr": "/proc/self/fd/2", "/etc/mtab": "/proc/self/mounts",
	} {
		_ = os.Symlink(to, at)
	}
	for file, text := range map[string]string{
		"/etc/passwd": "root:x:0:0:root:/root:/bin/sh\n", "/etc/group": "root:x:0:\ndisk:x:6:\n",
		"/etc/shells": "/bin/sh\n",
	} {
		if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
			return err
		}
	}
	if out, err := runTool("/bin/busybox", "--install", "-s"); err != nil {
		return fmt.Errorf("install the programs of the rescue system: %w: %s", err, out)
	}
	for _, m := range []string{"ext4", "xfs", "btrfs", "vfat", "isofs"} {
		_, _ = runTool("/sbin/modprobe", "-q", m) // mount tries those that are there; some are in the kernel
	}
	return nil
}

// runTool runs a program before there are sessions, or once they are over.
func runTool(name string, args ...string) (string, error) {
	out, err := exec.Command(name, args...).CombinedOutput()
	return string(out), err
}

// serveFiles serves SFTP to a session.
func serveFiles() error {
	return sftpserver.Serve(os.Stdin, os.Stdout)
}

// children starts programs for the first process of a system, which has to wait for every process
// whose parent has ended, too.
type children struct {
	mu      sync.Mutex
	waiting map[int]chan syscall.WaitStatus
}

func (c *children) start(cmd *exec.Cmd) (wait func() syscall.WaitStatus, err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	ended := make(chan syscall.WaitStatus, 1)
	c.waiting[cmd.Process.Pid] = ended
	return func() syscall.WaitStatus { return <-ended }, nil
}

// reap waits for whatever ends, until the context does.
func (c *children) reap(ctx context.Context) {
	changed := make(chan os.Signal, 1)
	signal.Notify(changed, syscall.SIGCHLD)
	defer signal.Stop(changed)
	for {
		select {
		case <-ctx.Done():
			return
		case <-changed:
		}
		for c.reapOne() {
		}
	}
}

func (c *children) reapOne() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	var status syscall.WaitStatus
	pid, err := syscall.Wait4(-1, &status, syscall.WNOHANG, nil)
	if err == syscall.EINTR {
		return true
	}
	if err != nil || pid <= 0 {
		return false
	}
	if ended, is := c.waiting[pid]; is {
		delete(c.waiting, pid)
		ended <- status
	}
	return true
}
