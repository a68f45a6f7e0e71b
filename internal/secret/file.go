package secret

import (
	"crypto/rand"
	"encoding/base64"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
)

// File is the name of the key file in the data directory. It has one key in each line.
const File = "secret.key"

// ErrNoKey means that the directory has no key file, and none may be created.
var ErrNoKey = errors.New("there is no " + File)

// Open returns the Box whose keys are in the key file of that directory. If there is no key file,
// it creates one with a key if create is true, and returns ErrNoKey otherwise.
func Open(dir string, create bool) (*Box, error) {
	path := filepath.Join(dir, File)
	if _, err := os.Stat(path); errors.Is(err, fs.ErrNotExist) {
		if !create {
			return nil, ErrNoKey
		}
		err := locked(dir, func() error {
			if _, err := os.Stat(path); !errors.Is(err, fs.ErrNotExist) {
				return err // another process created it meanwhile
			}
			return writeFile(path, newLine(), os.Link) // which replaces nothing, also none that was copied here
		})
		if err != nil {
			return nil, fmt.Errorf("create the secret key: %w", err)
		}
	}
	return readFile(path)
}

func readFile(path string) (*Box, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("read the secret key: %w", err)
	}
	info, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	if info.Mode().Perm()&0o077 != 0 {
		return nil, fmt.Errorf("other users can read %s (mode %o); run chmod 600 on it", path, info.Mode().Perm())
	}
	b, err := Parse(string(text))
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	b.file = path
	return b, nil
}

// Add adds a new key to the key file of the directory, which seals nothing yet, and returns its
// name. If the file has a key that is not among the used ones, it is that of an Add that was
// interrupted or is not over, and Add returns its name.
func Add(dir string, used []string) (name string, err error) {
	path := filepath.Join(dir, File)
	err = locked(dir, func() error {
		b, err := readFile(path)
		if err != nil {
			return err
		}
		for _, k := range b.Names() {
			if !slices.Contains(used, k) {
				name = k
				return nil
			}
		}
		text, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		line := newLine()
		made, err := Parse(line)
		if err != nil {
			return err
		}
		name = made.Name()
		return writeFile(path, line+string(text), os.Rename)
	})
	return name, err
}

// Remove removes the key of that name from the key file of the directory, and reports whether it
// was there. The last key is never removed.
func Remove(dir, name string) (removed bool, err error) {
	path := filepath.Join(dir, File)
	err = locked(dir, func() error {
		text, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		var keep []string
		for _, f := range strings.Fields(string(text)) {
			b, err := Parse(f)
			if err != nil {
				return fmt.Errorf("%s: %w", path, err)
			}
			if b.Name() == name {
				removed = true
			} else {
				keep = append(keep, f)
			}
		}
		if removed && len(keep) == 0 {
			return fmt.Errorf("%s is the only key in %s", name, path)
		}
		if !removed {
			return nil
		}
		return writeFile(path, strings.Join(keep, "\n")+"\n", os.Rename)
	})
	return removed, err
}

// newLine returns a new key as a line of the key file.
func newLine() string {
	key := make([]byte, keyLength)
	_, _ = rand.Read(key) // never fails
	return base64.StdEncoding.EncodeToString(key) + "\n"
}

// locked calls f while no other process changes the key file of the directory.
func locked(dir string, f func() error) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	if err := syscall.Flock(int(d.Fd()), syscall.LOCK_EX); err != nil {
		return errors.Join(err, d.Close())
	}
	return errors.Join(f(), d.Sync(), d.Close()) // a key that is not on the disk could be lost with a power failure
}

// writeFile writes the whole file or none of it. A file that was there keeps its owner.
func writeFile(path, text string, place func(from, to string) error) error {
	f, err := os.CreateTemp(filepath.Dir(path), File+".*") // mode 0600
	if err != nil {
		return err
	}
	defer func() { _ = os.Remove(f.Name()) }()
	if was, err := os.Stat(path); err == nil {
		if of, is := was.Sys().(*syscall.Stat_t); is && int(of.Uid) != os.Geteuid() {
			if err := f.Chown(int(of.Uid), int(of.Gid)); err != nil {
				err = fmt.Errorf("%s belongs to another user, as whom this must be run: %w", path, err)
				return errors.Join(err, f.Close())
			}
		}
	}
	_, err = f.WriteString(text)
	if err = errors.Join(err, f.Sync(), f.Close()); err != nil {
		return err
	}
	return place(f.Name(), path)
}
