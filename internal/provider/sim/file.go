package sim

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
	"time"
)

const (
	machineFile = "machine.json"
	volumeFile  = "volume.json"
	nextSuffix  = ".next"
)

// lockPatience is how long another process may take to let go: a child that a killed server was
// about to start holds what the server held until it has become its own program.
const lockPatience = 2 * time.Second

// lockDir makes the folder and locks it for this process. The lock ends with the process, however
// that ends.
func lockDir(dir string) (*os.File, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, err
	}
	f, err := os.OpenFile(filepath.Join(dir, "lock"), os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, err
	}
	for end := time.Now().Add(lockPatience); ; time.Sleep(10 * time.Millisecond) {
		if err = syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); !errors.Is(err, syscall.EWOULDBLOCK) ||
			time.Now().After(end) {
			break
		}
	}
	if err != nil {
		_ = f.Close()
		if errors.Is(err, syscall.EWOULDBLOCK) {
			return nil, fmt.Errorf("sim: %s is open in another process: %w", dir, err)
		}
		return nil, fmt.Errorf("sim: lock %s: %w", dir, err)
	}
	return f, nil
}

// writeRecord replaces the file whole or not at all. With synced it also survives a loss of power.
func writeRecord(path string, record any, synced bool) error {
	b, err := json.MarshalIndent(record, "", "  ")
	if err != nil {
		return err
	}
	f, err := os.OpenFile(path+nextSuffix, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	_, err = f.Write(b)
	if err == nil && synced {
		err = f.Sync()
	}
	if err = errors.Join(err, f.Close()); err != nil {
		return err
	}
	if err := os.Rename(path+nextSuffix, path); err != nil {
		return err
	}
	if !synced {
		return nil
	}
	// The folder's name must be on the medium as well, for the first record in it.
	return errors.Join(syncDir(filepath.Dir(path)), syncDir(filepath.Dir(filepath.Dir(path))))
}

func syncDir(dir string) error {
	f, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(f.Sync(), f.Close())
}

// readRecords calls found with each folder <kind>/<provider>/<reference> under dir and the text of
// its record, nil where there is none: a process ended before it wrote it, and no caller was told
// of it.
func readRecords(dir, kind, file string, found func(folder string, text []byte) error) error {
	slugs, err := os.ReadDir(filepath.Join(dir, kind))
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	for _, slug := range slugs {
		references, err := os.ReadDir(filepath.Join(dir, kind, slug.Name()))
		if err != nil {
			return err
		}
		for _, reference := range references {
			folder := filepath.Join(dir, kind, slug.Name(), reference.Name())
			text, err := os.ReadFile(filepath.Join(folder, file))
			if err != nil && !errors.Is(err, fs.ErrNotExist) {
				return err
			}
			if err := found(folder, text); err != nil {
				return err
			}
		}
	}
	return nil
}

// discard moves the folder to the trash, so that it is gone at once and forever, and then deletes
// it there; what a killed process left in the trash is deleted when the world is opened.
func discard(dir, folder, name string, synced bool) error {
	trash := filepath.Join(dir, "trash")
	if err := os.MkdirAll(trash, 0o700); err != nil {
		return err
	}
	grave, err := os.MkdirTemp(trash, name+".")
	if err != nil {
		return err
	}
	if err := os.Rename(folder, filepath.Join(grave, "was")); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if synced {
		if err := syncDir(filepath.Dir(folder)); err != nil {
			return err
		}
	}
	return removeAll(grave)
}

// removeAll removes a tree in which a tenant may have left folders that even their owner cannot
// enter.
func removeAll(path string) error {
	if err := os.RemoveAll(path); err == nil {
		return nil
	}
	_ = filepath.WalkDir(path, func(p string, d fs.DirEntry, err error) error {
		if err == nil && d.IsDir() {
			return os.Chmod(p, 0o700) // before WalkDir reads it
		}
		return nil
	})
	return os.RemoveAll(path)
}
