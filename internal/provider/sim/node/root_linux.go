package node

import (
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"syscall"

	"golang.org/x/sys/unix"
)

// Where a machine keeps the running binary, read only: a session that could write to it, or to the
// host's copy of it, would write what the next process of the machine executes.
const (
	ownDir  = "/.billet"
	ownFile = ownDir + "/machine"
)

// newRoot is where the file tree is built, over a directory that every host has. Only this
// process's mount namespace sees it.
const newRoot = "/tmp"

// hostPrograms are the host's directories a machine sees read only, and hostSettings the few files
// of /etc that its programs need. Those that a host does not have are left out.
var (
	hostPrograms = []string{"/usr", "/bin", "/sbin", "/lib", "/lib32", "/lib64", "/libx32"}
	hostSettings = []string{
		"/etc/alternatives", "/etc/ssl/certs", "/etc/ld.so.cache", "/etc/terminfo", "/etc/localtime", "/etc/os-release",
		"/etc/bash.bashrc", "/etc/inputrc", "/etc/mime.types", "/etc/protocols", "/etc/services",
		"/etc/debian_version", "/etc/login.defs",
		"/etc/nanorc", "/etc/vim", "/etc/manpath.config", "/etc/magic", "/etc/screenrc",
	}
	hostDevices = []string{"/dev/null", "/dev/zero", "/dev/full", "/dev/random", "/dev/urandom", "/dev/tty"}
)

// tree is a piece of the host's file tree, cut loose from it, and where it will be put.
type tree struct {
	fd     int
	target string // path inside the machine
}

// enter leaves the host's file tree for a new one. Afterwards nothing of the host is open or
// mounted but what the package comment names.
func enter(cfg config) error {
	// From here on no mount of the host appears in this namespace, nor one of ours on the host.
	if err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""); err != nil {
		return fmt.Errorf("make mounts private: %w", err)
	}
	// First open everything with the server's own rights (see isolate), then give them up, then
	// build.
	trees, links, err := collect(cfg)
	defer func() {
		for _, t := range trees {
			unix.Close(t.fd)
		}
	}()
	if err != nil {
		return err
	}
	binary, err := os.Open("/proc/self/exe")
	if err != nil {
		return err
	}
	defer binary.Close()
	if cfg.SwitchRoot {
		if err := becomeRoot(); err != nil {
			return err
		}
	}
	if err := buildRoot(cfg, trees, links, binary); err != nil {
		return err
	}
	if err := switchRoot(); err != nil {
		return err
	}
	furnish(cfg)
	if err := unix.Sethostname([]byte(cfg.Hostname)); err != nil {
		return fmt.Errorf("set the hostname: %w", err)
	}
	return loopbackUp()
}

// buildRoot makes the machine's file tree under newRoot.
func buildRoot(cfg config, trees []tree, links map[string]string, binary *os.File) error {
	if err := mountTmpfs(newRoot, "mode=755,size=32m,nr_inodes=16384", unix.MS_NOSUID|unix.MS_NODEV); err != nil {
		return err
	}
	for target, link := range links {
		if err := os.Symlink(link, inNewRoot(target)); err != nil {
			return err
		}
	}
	if err := ownBinary(trees, binary); err != nil {
		return err
	}
	if err := makeDev(); err != nil {
		return err
	}
	// A mount of its own, so that no process can rename /mnt away and keep a volume that was
	// detached.
	if err := mountTmpfs(inNewRoot("/mnt"), "mode=755,size=1m", unix.MS_NOSUID|unix.MS_NODEV); err != nil {
		return err
	}
	for _, t := range trees {
		if err := t.put(); err != nil {
			return err
		}
	}
	if err := remountReadOnly("/dev", unix.MS_NOSUID); err != nil {
		return err
	}
	if err := makeProc(); err != nil {
		return err
	}
	return makeFiles(cfg)
}

// switchRoot makes newRoot the root, and leaves the host's file tree.
func switchRoot() error {
	if err := os.Chdir(newRoot); err != nil {
		return err
	}
	if err := unix.PivotRoot(".", "."); err != nil {
		return fmt.Errorf("pivot root: %w", err)
	}
	// The old root now lies over the new one; taking it away uncovers it.
	if err := unix.Unmount(".", unix.MNT_DETACH); err != nil {
		return fmt.Errorf("leave the host's file tree: %w", err)
	}
	return os.Chdir("/")
}

func inNewRoot(path string) string { return filepath.Join(newRoot, path) }

// collect opens a detached copy of every host directory and file that the machine will see. Links
// are host paths like /bin that are symbolic links to /usr.
func collect(cfg config) (trees []tree, links map[string]string, err error) {
	add := func(source, target string, attr uint64) error {
		fd, err := openTree(source, attr)
		if err == nil {
			trees = append(trees, tree{fd, target})
		}
		return err
	}
	const quiet = unix.MOUNT_ATTR_NOSUID | unix.MOUNT_ATTR_NODEV
	links = map[string]string{}
	for _, path := range slices.Concat(hostPrograms, hostSettings) {
		if link, err := os.Readlink(path); err == nil && slices.Contains(hostPrograms, path) {
			links[path] = link
			continue
		}
		if err := add(path, path, quiet|unix.MOUNT_ATTR_RDONLY); err != nil && !errors.Is(err, os.ErrNotExist) {
			return trees, links, err
		}
	}
	for _, path := range hostDevices {
		if err := add(path, path, unix.MOUNT_ATTR_NOSUID|unix.MOUNT_ATTR_NOEXEC); err != nil &&
			!errors.Is(err, os.ErrNotExist) {
			return trees, links, err
		}
	}
	for part, target := range diskParts {
		if part == "usr-local" {
			if _, err := os.Stat(target); err != nil {
				continue // no such directory on the host's read-only /usr to mount on
			}
		}
		if err := add(filepath.Join(cfg.Dir, diskDir, part), target, quiet); err != nil {
			return trees, links, err
		}
	}
	for name, hostDir := range cfg.Volumes {
		if err := add(hostDir, volumePath(name), quiet); err != nil {
			return trees, links, fmt.Errorf("volume %s: %w", name, err)
		}
	}
	if sameFile(cfg.Executable, "/proc/self/exe", cfg.SwitchRoot) {
		if err := add(cfg.Executable, ownFile, quiet|unix.MOUNT_ATTR_RDONLY); err != nil {
			return trees, links, err
		}
	}
	return trees, links, nil
}

// sameFile reports whether path is the running binary and may be executed by the machine's root. It
// is not when the binary was replaced by a newer one since the server started.
func sameFile(path, running string, asOther bool) bool {
	a, errA := os.Stat(path)
	b, errB := os.Stat(running)
	return errA == nil && errB == nil && os.SameFile(a, b) && (!asOther || a.Mode()&0o005 == 0o005)
}

// openTree returns a detached, private copy of the mounts below a host path, with attributes added
// throughout.
func openTree(path string, attr uint64) (int, error) {
	fd, err := unix.OpenTree(unix.AT_FDCWD, path, unix.OPEN_TREE_CLONE|unix.OPEN_TREE_CLOEXEC|unix.AT_RECURSIVE)
	if err != nil {
		return -1, fmt.Errorf("open %s: %w", path, err)
	}
	set := unix.MountAttr{Attr_set: attr, Propagation: unix.MS_PRIVATE}
	if err := unix.MountSetattr(fd, "", unix.AT_EMPTY_PATH|unix.AT_RECURSIVE, &set); err != nil {
		unix.Close(fd)
		return -1, fmt.Errorf("restrict %s: %w", path, err)
	}
	return fd, nil
}

// put mounts the tree at its place in the new root.
func (t tree) put() error {
	var st unix.Stat_t
	if err := unix.Fstat(t.fd, &st); err != nil {
		return err
	}
	path := inNewRoot(t.target)
	if err := makeMountPoint(path, st.Mode&unix.S_IFMT == unix.S_IFDIR); err != nil {
		return err
	}
	if err := unix.MoveMount(t.fd, "", unix.AT_FDCWD, path, unix.MOVE_MOUNT_F_EMPTY_PATH); err != nil {
		return fmt.Errorf("mount %s: %w", t.target, err)
	}
	return nil
}

func makeMountPoint(path string, dir bool) error {
	if dir {
		return os.MkdirAll(path, 0o755)
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return err
	}
	if _, err := os.Lstat(path); err == nil {
		return nil
	}
	return os.WriteFile(path, nil, 0o644)
}

// becomeRoot changes from the host root's id, which means nothing in this user namespace, to root
// of the machine.
func becomeRoot() error {
	// These reach every thread of the process.
	if err := syscall.Setgroups(nil); err != nil {
		return fmt.Errorf("leave the host's groups: %w", err)
	}
	if err := syscall.Setresgid(0, 0, 0); err != nil {
		return fmt.Errorf("become root of the machine: %w", err)
	}
	if err := syscall.Setresuid(0, 0, 0); err != nil {
		return fmt.Errorf("become root of the machine: %w", err)
	}
	return nil
}

func mountTmpfs(path, options string, flags uintptr) error {
	if err := os.MkdirAll(path, 0o755); err != nil {
		return err
	}
	if err := unix.Mount("tmpfs", path, "tmpfs", flags, options); err != nil {
		return fmt.Errorf("mount tmpfs on %s: %w", path, err)
	}
	return nil
}

func remountReadOnly(path string, flags uintptr) error {
	if err := unix.Mount("", inNewRoot(path), "", unix.MS_REMOUNT|unix.MS_BIND|unix.MS_RDONLY|flags, ""); err != nil {
		return fmt.Errorf("make %s read only: %w", path, err)
	}
	return nil
}

// ownBinary puts the running binary into the machine: the host's file, mounted read only, or a copy
// when that file is gone or closed to the machine's root.
func ownBinary(trees []tree, binary *os.File) error {
	if err := mountTmpfs(inNewRoot(ownDir), "mode=755", unix.MS_NOSUID|unix.MS_NODEV); err != nil {
		return err
	}
	for _, t := range trees {
		if t.target != ownFile {
			continue
		}
		if err := os.WriteFile(inNewRoot(ownFile), nil, 0o755); err != nil {
			return err
		}
		return remountReadOnly(ownDir, unix.MS_NOSUID|unix.MS_NODEV)
	}
	to, err := os.OpenFile(inNewRoot(ownFile), os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o755)
	if err != nil {
		return err
	}
	_, err = io.Copy(to, binary)
	if err := errors.Join(err, to.Close()); err != nil {
		return err
	}
	return remountReadOnly(ownDir, unix.MS_NOSUID|unix.MS_NODEV)
}

// makeDev makes /dev and the mount points in it. It is made read only later, so that the server can
// trust what /dev/ptmx is.
func makeDev() error {
	if err := mountTmpfs(inNewRoot("/dev"), "mode=755,size=64k", unix.MS_NOSUID); err != nil {
		return err
	}
	if err := mountTmpfs(inNewRoot("/dev/shm"), "mode=1777,size=256m", unix.MS_NOSUID|unix.MS_NODEV); err != nil {
		return err
	}
	if err := os.MkdirAll(inNewRoot("/dev/pts"), 0o755); err != nil {
		return err
	}
	if err := unix.Mount("devpts", inNewRoot("/dev/pts"), "devpts", unix.MS_NOSUID|unix.MS_NOEXEC,
		"newinstance,ptmxmode=0666,mode=0620,max=256"); err != nil {
		return fmt.Errorf("mount devpts: %w", err)
	}
	for name, link := range map[string]string{
		"ptmx": "pts/ptmx", "fd": "/proc/self/fd", "stdin": "/proc/self/fd/0", "stdout": "/proc/self/fd/1",
		"stderr": "/proc/self/fd/2",
	} {
		if err := os.Symlink(link, inNewRoot("/dev/"+name)); err != nil {
			return err
		}
	}
	return nil
}

// makeProc mounts /proc and closes what it opens: new user namespaces and kernel settings.
func makeProc() error {
	if err := os.MkdirAll(inNewRoot("/proc"), 0o555); err != nil {
		return err
	}
	if err := unix.Mount("proc", inNewRoot("/proc"), "proc", unix.MS_NOSUID|unix.MS_NODEV|unix.MS_NOEXEC,
		""); err != nil {
		return fmt.Errorf("mount proc: %w", err)
	}
	if err := os.WriteFile(inNewRoot("/proc/sys/user/max_user_namespaces"), []byte("0"), 0); err != nil {
		return fmt.Errorf("forbid user namespaces: %w", err)
	}
	fd, err := openTree(
		inNewRoot("/proc/sys"),
		unix.MOUNT_ATTR_RDONLY|unix.MOUNT_ATTR_NOSUID|unix.MOUNT_ATTR_NODEV|unix.MOUNT_ATTR_NOEXEC,
	)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	return tree{fd, "/proc/sys"}.put()
}

// makeFiles makes what is new at every start: the machine's own /etc, /tmp and /run. It touches
// nothing that the user could have changed: before the pivot, a symbolic link of theirs would lead
// to the host.
func makeFiles(cfg config) error {
	for path, options := range map[string]string{"/tmp": "mode=1777,size=1g", "/run": "mode=755,size=64m"} {
		if err := mountTmpfs(inNewRoot(path), options, unix.MS_NOSUID|unix.MS_NODEV); err != nil {
			return err
		}
	}
	for _, path := range []string{"/media", "/sys", "/run/lock", "/etc/profile.d", "/etc/default", "/etc/skel",
		"/etc/ssh", "/etc/pam.d"} {
		if err := os.MkdirAll(inNewRoot(path), 0o755); err != nil {
			return err
		}
	}
	files := map[string]string{
		"hostname":      cfg.Hostname + "\n",
		"hosts":         "127.0.0.1 localhost\n127.0.1.1 " + cfg.Hostname + "\n::1 localhost\n",
		"nsswitch.conf": "passwd: files\ngroup: files\nhosts: files\n",
		"resolv.conf":   "# A simulated machine has no network but its own loopback.\n",
		"profile":       profile,
		"motd":          motd(cfg),
		// Debian's PAM reads these two for each login; see environ.
		"environment":    "",
		"default/locale": "LANG=C.UTF-8\n",
	}
	for name, text := range homeFiles {
		files["skel/"+name] = text
	}
	maps.Copy(files, etcFiles())
	for i, key := range cfg.PublicKeys {
		files["ssh/ssh_host_"+hostKeyKinds[i].name+"_key.pub"] = key + " root@" + cfg.Hostname + "\n"
	}
	for name, text := range files {
		mode := os.FileMode(0o644)
		switch name {
		case "sudoers", "shadow", "gshadow":
			mode = 0o440
		}
		if err := os.WriteFile(inNewRoot("/etc/"+name), []byte(text), mode); err != nil {
			return err
		}
	}
	if cfg.CloudInit == "" {
		return nil
	}
	if err := os.MkdirAll(inNewRoot(filepath.Dir(cloudInitPending)), 0o755); err != nil {
		return err
	}
	return os.WriteFile(inNewRoot(cloudInitPending), nil, 0o644)
}

// furnish fills in the persistent directories, once the host is out of reach. What the user has put
// in its way is the user's wish: it is noted, and the machine starts all the same.
func furnish(cfg config) {
	note := func(err error) {
		if err != nil {
			fmt.Fprintln(os.Stderr, "machine:", err)
		}
	}
	for _, path := range []string{"/var/tmp", "/var/log", "/var/lib", "/var/cache", "/var/spool", "/usr/local/bin",
		"/usr/local/sbin", "/usr/local/lib"} {
		note(os.MkdirAll(path, 0o755))
	}
	note(os.Chmod("/var/tmp", 0o777|os.ModeSticky))
	note(os.Chmod("/root", 0o700))
	if _, err := os.Lstat("/var/run"); errors.Is(err, os.ErrNotExist) {
		note(os.Symlink("/run", "/var/run"))
	}
	note(writePrograms("/usr/local/bin", ownFile))
	if cfg.CloudInit == "" {
		note(finishCloudInit("/", nil))
	}
	note(writeGPUTools("/usr/local/bin", ownFile, cfg.Hostname, cfg.GPUs))
}

func loopbackUp() error {
	s, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer unix.Close(s)
	lo, err := unix.NewIfreq("lo")
	if err != nil {
		return err
	}
	lo.SetUint16(unix.IFF_UP | unix.IFF_RUNNING)
	if err := unix.IoctlIfreq(s, unix.SIOCSIFFLAGS, lo); err != nil {
		return fmt.Errorf("bring up the loopback interface: %w", err)
	}
	return nil
}
