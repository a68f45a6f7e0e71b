package node

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// controlTimeout bounds one request on the control socket.
const controlTimeout = 20 * time.Second

// order is what the server asks of a running machine. An attach order carries the file descriptor
// of a detached mount: the machine itself keeps no way to the host's directories.
type order struct {
	Do   string // "attach" or "detach"
	Name string
}

type outcome struct {
	Error string
	Busy  bool
}

// viaFD calls fn with a short path to a name in dir: socket addresses are limited to some hundred
// bytes.
func viaFD(dir, name string, fn func(path string) error) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	defer d.Close()
	return fn(fmt.Sprintf("/proc/self/fd/%d/%s", d.Fd(), name))
}

// controlListener makes the control socket. It lies in the machine's directory, which only the
// server's user may enter and which is not part of the machine's file tree.
func controlListener(dir string) (*os.File, error) {
	if err := os.Remove(filepath.Join(dir, controlFile)); err != nil && !errors.Is(err, os.ErrNotExist) {
		return nil, err
	}
	var file *os.File
	err := viaFD(dir, controlFile, func(path string) error {
		l, err := net.ListenUnix("unix", &net.UnixAddr{Name: path, Net: "unix"})
		if err != nil {
			return err
		}
		l.SetUnlinkOnClose(false)
		defer l.Close()
		file, err = l.File()
		return err
	})
	return file, err
}

func attachIsolated(ctx context.Context, dir, name, hostDir string) error {
	mount, err := detachedMount(ctx, hostDir)
	if err != nil {
		return fmt.Errorf("volume %s: %w", name, err)
	}
	defer mount.Close()
	return command(ctx, dir, order{"attach", name}, unix.UnixRights(int(mount.Fd())))
}

func detachIsolated(ctx context.Context, dir, name string) error {
	return command(ctx, dir, order{"detach", name}, nil)
}

func command(ctx context.Context, dir string, o order, rights []byte) error {
	return viaFD(dir, controlFile, func(path string) error {
		var d net.Dialer
		c, err := d.DialContext(ctx, "unix", path)
		if err != nil {
			return fmt.Errorf("reach the machine: %w", err)
		}
		defer c.Close()
		stop := context.AfterFunc(ctx, func() { c.Close() })
		defer stop()
		if err := c.SetDeadline(time.Now().Add(controlTimeout)); err != nil {
			return err
		}
		b, err := json.Marshal(o)
		if err != nil {
			return err
		}
		if _, _, err := c.(*net.UnixConn).WriteMsgUnix(b, rights, nil); err != nil {
			return fmt.Errorf("ask the machine: %w", err)
		}
		var result outcome
		if err := json.NewDecoder(c).Decode(&result); err != nil {
			return errors.Join(ctx.Err(), fmt.Errorf("read the machine's answer: %w", err))
		}
		if result.Busy {
			return fmt.Errorf("volume %s: %w: %s", o.Name, ErrVolumeBusy, result.Error)
		}
		if result.Error != "" {
			return fmt.Errorf("volume %s: %s", o.Name, result.Error)
		}
		return nil
	})
}

// detachedMount returns a mount of hostDir that is not mounted anywhere yet. Making one takes the
// right to mount, which an ordinary user has only in a user namespace of its own, so a short-lived
// process does it.
func detachedMount(ctx context.Context, hostDir string) (*os.File, error) {
	pair, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, err
	}
	ours, theirs := os.NewFile(uintptr(pair[0]), "tree"), os.NewFile(uintptr(pair[1]), "tree")
	defer ours.Close()
	defer theirs.Close()
	ctx, cancel := context.WithTimeout(ctx, controlTimeout)
	defer cancel()
	cmd := exec.CommandContext(ctx, selfExecutable(), InitArg, roleTree, hostDir)
	cmd.Env = smallProcess(nil)
	cmd.Dir = "/"
	cmd.ExtraFiles = []*os.File{theirs}
	ownSession(cmd)
	cmd.SysProcAttr.Cloneflags = unix.CLONE_NEWUSER | unix.CLONE_NEWNS
	ownUsers(cmd)
	if out, err := cmd.CombinedOutput(); err != nil {
		return nil, fmt.Errorf("open the directory: %w: %s", err, strings.TrimSpace(string(out)))
	}
	fd, _, err := receive(ours)
	if err != nil {
		return nil, err
	}
	return fd, nil
}

// runTree sends a detached mount of the directory named in the arguments through file descriptor 3.
func runTree() error {
	if len(os.Args) != 4 {
		return errors.New("want one directory")
	}
	if err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""); err != nil {
		return fmt.Errorf("make mounts private: %w", err)
	}
	fd, err := openTree(os.Args[3], unix.MOUNT_ATTR_NOSUID|unix.MOUNT_ATTR_NODEV)
	if err != nil {
		return err
	}
	return unix.Sendmsg(3, []byte{0}, unix.UnixRights(fd), nil, 0)
}

// receive reads one message and at most one file descriptor from a Unix socket.
func receive(f *os.File) (*os.File, []byte, error) {
	c, err := net.FileConn(f)
	if err != nil {
		return nil, nil, err
	}
	defer c.Close()
	if err := c.SetDeadline(time.Now().Add(controlTimeout)); err != nil {
		return nil, nil, err
	}
	return receiveFrom(c.(*net.UnixConn))
}

func receiveFrom(c *net.UnixConn) (*os.File, []byte, error) {
	b, oob := make([]byte, 4096), make([]byte, unix.CmsgSpace(4))
	n, oobn, _, _, err := c.ReadMsgUnix(b, oob)
	if err != nil {
		return nil, nil, err
	}
	messages, err := unix.ParseSocketControlMessage(oob[:oobn])
	if err != nil {
		return nil, nil, err
	}
	for _, m := range messages {
		fds, err := unix.ParseUnixRights(&m)
		if err == nil && len(fds) == 1 {
			unix.CloseOnExec(fds[0])
			return os.NewFile(uintptr(fds[0]), "received"), b[:n], nil
		}
	}
	return nil, b[:n], nil
}

// serveControl carries out the server's orders, one after the other, in PID 1.
func serveControl(f *os.File, cfg config) {
	l, err := net.FileListener(f)
	f.Close()
	if err != nil {
		fmt.Fprintln(os.Stderr, "machine: control:", err)
		return
	}
	attached := map[string]bool{}
	for name := range cfg.Volumes {
		attached[name] = true
	}
	for {
		c, err := l.Accept()
		if err != nil {
			fmt.Fprintln(os.Stderr, "machine: control:", err)
			return
		}
		if err := obey(c.(*net.UnixConn), attached); err != nil {
			fmt.Fprintln(os.Stderr, "machine: control:", err)
		}
		c.Close()
	}
}

func obey(c *net.UnixConn, attached map[string]bool) error {
	if err := c.SetDeadline(time.Now().Add(controlTimeout)); err != nil {
		return err
	}
	mount, b, err := receiveFrom(c)
	if err != nil {
		return err
	}
	if mount != nil {
		defer mount.Close()
	}
	var o order
	if err := json.Unmarshal(b, &o); err != nil {
		return err
	}
	switch {
	case !volumeName.MatchString(o.Name):
		err = errors.New("no such name")
	case o.Do == "attach" && mount != nil:
		if !attached[o.Name] {
			err = attach(o.Name, int(mount.Fd()))
		}
		attached[o.Name] = attached[o.Name] || err == nil
	case o.Do == "detach":
		if attached[o.Name] {
			err = detach(o.Name)
		}
		attached[o.Name] = attached[o.Name] && err != nil
	default:
		err = errors.New("no such order")
	}
	result := outcome{}
	if err != nil {
		result = outcome{Error: err.Error(), Busy: errors.Is(err, unix.EBUSY)}
	}
	return json.NewEncoder(c).Encode(result)
}

// attach mounts over /mnt/<name>. The user may have put anything there; symbolic links are not
// followed.
func attach(name string, mount int) error {
	if err := os.MkdirAll(volumePath(name), 0o755); err != nil {
		return err
	}
	at, err := openAt(name)
	if err != nil {
		return err
	}
	defer unix.Close(at)
	return unix.MoveMount(mount, "", at, "", unix.MOVE_MOUNT_F_EMPTY_PATH|unix.MOVE_MOUNT_T_EMPTY_PATH)
}

func openAt(name string) (int, error) {
	fd, err := unix.Openat2(unix.AT_FDCWD, volumePath(name), &unix.OpenHow{
		Flags:   unix.O_PATH | unix.O_DIRECTORY | unix.O_CLOEXEC,
		Resolve: unix.RESOLVE_NO_SYMLINKS | unix.RESOLVE_NO_MAGICLINKS,
	})
	if err != nil {
		return -1, fmt.Errorf("%s: %w", volumePath(name), err)
	}
	return fd, nil
}

// detach unmounts /mnt/<name>. A lazy unmount would let processes go on writing to a volume that
// may be deleted or in another machine by then, so those that hold it are killed.
func detach(name string) error {
	path := volumePath(name)
	deadline := time.Now().Add(controlTimeout / 2)
	for {
		err := unix.Unmount(path, unix.UMOUNT_NOFOLLOW)
		if err == nil {
			_ = os.Remove(path) // only the mount point we made; anything else is the user's
			return nil
		}
		if !errors.Is(err, unix.EBUSY) || time.Now().After(deadline) {
			return err
		}
		holders, scanErr := holdersOf(path)
		if scanErr != nil {
			return errors.Join(err, scanErr)
		}
		for _, pid := range holders {
			_ = unix.Kill(pid, unix.SIGKILL)
		}
		time.Sleep(5 * time.Millisecond) // the killed need a moment to let go
	}
}

// holdersOf lists the processes that have a file, a working or root directory, or a mapping below
// path.
func holdersOf(path string) ([]int, error) {
	entries, err := os.ReadDir("/proc")
	if err != nil {
		return nil, err
	}
	var pids []int
	for _, e := range entries {
		pid, err := strconv.Atoi(e.Name())
		if err != nil || pid == 1 {
			continue
		}
		if holds(filepath.Join("/proc", e.Name()), path) {
			pids = append(pids, pid)
		}
	}
	return pids, nil
}

func holds(proc, path string) bool {
	below := func(target string) bool { return target == path || strings.HasPrefix(target, path+"/") }
	for _, link := range []string{"cwd", "root", "exe"} {
		if target, err := os.Readlink(filepath.Join(proc, link)); err == nil && below(target) {
			return true
		}
	}
	fds, err := os.ReadDir(filepath.Join(proc, "fd"))
	if err == nil {
		for _, fd := range fds {
			if target, err := os.Readlink(filepath.Join(proc, "fd", fd.Name())); err == nil && below(target) {
				return true
			}
		}
	}
	maps, err := os.ReadFile(filepath.Join(proc, "maps"))
	return err == nil && strings.Contains(string(maps), " "+path+"/")
}
