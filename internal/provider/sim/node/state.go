package node

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net/netip"
	"os"
	"path/filepath"
	"syscall"
	"time"
)

const (
	stateFile   = "state.json"
	lockFile    = "lock"
	logFile     = "machine.log"
	controlFile = "control.sock"
	diskDir     = "disk"
	probeDir    = "probe"
)

// idBase is the host id that root of every machine has when the server runs as root, and idCount
// how many ids follow it. The range lies outside those that distributions hand out to users,
// services and containers. It is one range for all machines because volumes move between them.
const (
	idBase  = 29000 << 16
	idCount = 1 << 16
)

// state is what is remembered about a machine. PID is 0 when it was stopped; the rest then says
// what it had.
type state struct {
	PID      int
	Started  string // the process's start time: a number of this kernel that no other process with this PID has
	Boot     string // which boot of the host
	Address  netip.AddrPort
	HostKeys []string
	// HostKey is the only one of a machine that was started before machines had several.
	HostKey  string `json:",omitempty"`
	Isolated bool
}

func (s state) endpoint() Endpoint {
	e := Endpoint{Address: s.Address, HostKeys: s.HostKeys, Isolated: s.Isolated, PID: s.PID}
	if len(e.HostKeys) == 0 && s.HostKey != "" {
		e.HostKeys = []string{s.HostKey}
	}
	return e
}

func (s state) alive() bool {
	return s.PID > 0 && s.Started != "" && s.Boot == bootID() && processStart(s.PID) == s.Started
}

// end ends the machine's processes and waits until they are gone.
func (s state) end(ctx context.Context) error {
	if !s.alive() {
		return nil
	}
	if !s.Isolated {
		// Without a PID namespace nothing ends the sessions but the machine's own SSH server, which
		// does so when it is asked to; if it does not obey, it is killed.
		if err := syscall.Kill(s.PID, syscall.SIGTERM); err != nil {
			return err
		}
		asked, cancel := context.WithTimeout(ctx, 3*time.Second)
		defer cancel()
		if s.gone(asked) == nil {
			return nil
		}
	}
	if err := syscall.Kill(s.PID, syscall.SIGKILL); err != nil && !errors.Is(err, syscall.ESRCH) {
		return err
	}
	return s.gone(ctx)
}

// gone waits until the first process is dead. The kernel lets the first process of a PID namespace
// die last.
func (s state) gone(ctx context.Context) error {
	return poll(ctx, func() (bool, error) { return !s.alive(), nil })
}

// poll asks until the answer is yes, for things of which the kernel sends no word to a process that
// is not the parent.
func poll(ctx context.Context, done func() (bool, error)) error {
	tick := time.NewTicker(2 * time.Millisecond)
	defer tick.Stop()
	for {
		if ok, err := done(); ok || err != nil {
			return err
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-tick.C:
		}
	}
}

func readState(dir string) (state, error) {
	var s state
	b, err := os.ReadFile(filepath.Join(dir, stateFile))
	if err != nil {
		return s, err
	}
	if err := json.Unmarshal(b, &s); err != nil {
		return s, fmt.Errorf("%s: %w", filepath.Join(dir, stateFile), err)
	}
	return s, nil
}

func writeState(dir string, s state) error {
	b, err := json.MarshalIndent(s, "", "  ")
	if err != nil {
		return err
	}
	return replaceFile(filepath.Join(dir, stateFile), b)
}

// replaceFile writes a private file whole or not at all.
func replaceFile(path string, b []byte) error {
	next := path + ".next"
	if err := os.WriteFile(next, b, 0o600); err != nil {
		return err
	}
	return os.Rename(next, path)
}

// withLock runs fn while no other goroutine or process starts, stops or wipes the machine.
func withLock(ctx context.Context, dir string, fn func() error) error {
	f, err := os.OpenFile(filepath.Join(dir, lockFile), os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return err
	}
	defer f.Close()
	err = poll(ctx, func() (bool, error) {
		err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
		if errors.Is(err, syscall.EWOULDBLOCK) || errors.Is(err, syscall.EINTR) {
			return false, nil
		}
		return err == nil, err
	})
	if err != nil {
		return fmt.Errorf("lock the machine: %w", err)
	}
	return fn()
}

// diskParts are the persistent directories of a machine under <dir>/disk and where an isolated
// machine sees them.
var diskParts = map[string]string{
	"root": "/root", "home": "/home", "opt": "/opt", "srv": "/srv", "var": "/var", "usr-local": "/usr/local",
}

func prepareDisk(dir string, isolated bool) error {
	// An existing directory may have been made with a wider mode than ours.
	if err := os.Chmod(dir, 0o700); err != nil {
		return err
	}
	for part := range diskParts {
		path := filepath.Join(dir, diskDir, part)
		if err := makeShared(path); err != nil {
			return err
		}
		if err := giveToMachine(path, isolated); err != nil {
			return err
		}
	}
	return nil
}

// makeShared makes a directory that all users of the machine may enter, whatever the server's
// umask. One that is there keeps the mode that the machine gave it.
func makeShared(path string) error {
	if _, err := os.Stat(path); !errors.Is(err, os.ErrNotExist) {
		return err
	}
	if err := os.MkdirAll(path, 0o755); err != nil {
		return err
	}
	return os.Chmod(path, 0o755)
}

// prepareVolume checks that the volume's directory is there and gives it to the machines' root.
func prepareVolume(hostDir string, isolated bool) error {
	info, err := os.Stat(hostDir)
	if err != nil {
		return err
	}
	if !info.IsDir() {
		return fmt.Errorf("%s is not a directory", hostDir)
	}
	return giveToMachine(hostDir, isolated)
}

// giveToMachine makes root of the machine the owner of a tree. A tree that it owns already is not
// walked.
func giveToMachine(path string, isolated bool) error {
	if !isolated || os.Geteuid() != 0 {
		return nil // one id is mapped: the server's own
	}
	info, err := os.Stat(path)
	if err != nil {
		return err
	}
	if st, ok := info.Sys().(*syscall.Stat_t); ok && st.Uid >= idBase && st.Uid < idBase+idCount {
		return nil
	}
	// Top last, so that a walk that was cut short is walked again.
	err = filepath.WalkDir(path, func(p string, _ fs.DirEntry, err error) error {
		if err != nil || p == path {
			return err
		}
		return os.Lchown(p, idBase, idBase)
	})
	if err != nil {
		return err
	}
	return os.Lchown(path, idBase, idBase)
}

// removeTree removes a tree in which the machine may have left directories that their owner cannot
// enter.
func removeTree(path string) error {
	if err := os.RemoveAll(path); err == nil {
		return nil
	}
	_ = filepath.WalkDir(path, func(p string, d fs.DirEntry, err error) error {
		if d != nil && d.IsDir() && err == nil {
			// WalkDir calls this before it reads the directory.
			return os.Chmod(p, 0o700)
		}
		return nil
	})
	return os.RemoveAll(path)
}
