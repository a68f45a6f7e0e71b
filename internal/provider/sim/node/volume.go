package node

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
)

var volumeName = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._-]{0,62}$`)

// volumePath is where an isolated machine sees a volume.
func volumePath(name string) string { return "/mnt/" + name }

func checkVolume(name, hostDir string) error {
	if !volumeName.MatchString(name) {
		return fmt.Errorf(
			"volume name %q must be 1 to 63 letters, digits, dots, hyphens or underscores and begin with a letter "+
				"or digit",
			name,
		)
	}
	if !filepath.IsAbs(hostDir) {
		return fmt.Errorf("volume %s: %q is not an absolute path", name, hostDir)
	}
	return nil
}

// AttachVolume mounts hostDir in the running machine under /mnt/<name> and returns the error
// ErrNotRunning for a stopped one. Attaching what is attached already is no error. A name has 1 to
// 63 letters, digits, dots, hyphens and underscores. Volumes attached so are forgotten when the
// machine stops: the next Spec names them.
func AttachVolume(ctx context.Context, dir, name, hostDir string) error {
	if err := checkVolume(name, hostDir); err != nil {
		return err
	}
	return onRunning(ctx, dir, func(isolated bool) error {
		if err := prepareVolume(hostDir, isolated); err != nil {
			return fmt.Errorf("volume %s: %w", name, err)
		}
		if isolated {
			return attachIsolated(ctx, dir, name, hostDir)
		}
		return attachPlain(dir, name, hostDir)
	})
}

// DetachVolume unmounts a volume from the running machine, after killing the processes that use it,
// as pulling out a disk would. Detaching what is not attached is no error; a stopped machine gives
// ErrNotRunning.
func DetachVolume(ctx context.Context, dir, name string) error {
	if !volumeName.MatchString(name) {
		return checkVolume(name, "/")
	}
	return onRunning(ctx, dir, func(isolated bool) error {
		if isolated {
			return detachIsolated(ctx, dir, name)
		}
		return detachPlain(dir, name)
	})
}

func onRunning(ctx context.Context, dir string, fn func(isolated bool) error) error {
	if _, ok := Running(dir); !ok {
		return ErrNotRunning
	}
	return withLock(ctx, dir, func() error {
		endpoint, ok := Running(dir)
		if !ok {
			return ErrNotRunning
		}
		return fn(endpoint.Isolated)
	})
}

func plainHome(dir string) string { return filepath.Join(dir, diskDir, "root") }

func attachPlain(dir, name, hostDir string) error {
	link := filepath.Join(plainHome(dir), "mnt", name)
	if err := os.MkdirAll(filepath.Dir(link), 0o755); err != nil {
		return err
	}
	if err := detachPlain(dir, name); err != nil {
		return err
	}
	return os.Symlink(hostDir, link)
}

// detachPlain removes the link only: a plain machine's processes are the server's user and cannot
// be kept from a directory of that user.
func detachPlain(dir, name string) error {
	link := filepath.Join(plainHome(dir), "mnt", name)
	info, err := os.Lstat(link)
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	if info.Mode()&os.ModeSymlink == 0 {
		return fmt.Errorf("%s is in the way: it is not the link to a volume", link)
	}
	return os.Remove(link)
}
