//go:build linux

package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/billetcloud/billet/internal/rackagent"
)

// Drives appear one after another. They are complete when none was added for settleTime.
const (
	settleTime  = 2 * time.Second
	settleLimit = 2 * time.Minute
)

func settledDrives(ctx context.Context, loadModules func()) ([]*rackagent.Drive, error) {
	start := time.Now()
	last, since := "", start
	for time.Since(since) < settleTime && time.Since(start) < settleLimit {
		loadModules()
		controllers, _ := filepath.Glob("/sys/class/nvme/*") // one may have no namespace
		if names := strings.Join(append(diskNames(), controllers...), " "); names != last {
			last, since = names, time.Now()
		}
		if err := wait(ctx, 100*time.Millisecond); err != nil {
			return nil, err
		}
	}
	if found := undriven("/sys"); len(found) > 0 {
		return nil, errors.New(strings.Join(found, "; "))
	}
	drives, err := nvmeDrives()
	if err != nil {
		return nil, err
	}
	for _, name := range diskNames() {
		if !strings.HasPrefix(name, "nvme") && !isBootMedium(name) { // nvmeDrives has the others
			drives = append(drives, disk(name))
		}
	}
	return drives, nil
}

// diskNames returns the block devices that are drives with a medium. CD drives are not: nothing
// can be written to them.
func diskNames() []string {
	var names []string
	all, _ := filepath.Glob("/sys/block/*")
	for _, at := range all {
		name := filepath.Base(at)
		isDrive := slices.ContainsFunc([]string{"nvme", "sd", "vd", "mmcblk"}, func(kind string) bool {
			return strings.HasPrefix(name, kind)
		})
		if isDrive && text(at+"/size") != "0" && text(at+"/hidden") != "1" {
			names = append(names, name)
		}
	}
	return names
}

// isBootMedium reports whether a disk is this agent's own image, as a BMC shows it on USB. A drive
// that is not on USB never is, whatever a tenant wrote to it.
func isBootMedium(name string) bool {
	if !onUSB(name) {
		return false
	}
	f, err := os.Open("/dev/" + name)
	if err != nil {
		return false
	}
	defer f.Close()
	descriptor := make([]byte, 2048)
	_, err = f.ReadAt(descriptor, 16*2048)
	return err == nil && strings.TrimSpace(string(descriptor[40:72])) == rackagent.VolumeID
}

func onUSB(name string) bool {
	at, err := filepath.EvalSymlinks("/sys/block/" + name)
	return err == nil && strings.Contains(at, "/usb")
}

// disk returns a disk that is not an NVMe drive.
func disk(name string) *rackagent.Drive {
	at := "/sys/block/" + name
	d := &rackagent.Drive{
		Serial: diskSerial(at), Model: cmp.Or(text(at+"/device/model"), text(at+"/device/name")),
		Firmware: text(at + "/device/rev"), External: onUSB(name),
	}
	s, err := openSpace(name)
	if err != nil {
		d.Fault = err.Error()
		return d
	}
	d.Spaces = []rackagent.Space{s}
	if text(at+"/device/vendor") == "ATA" {
		a := ata{command: scsiPassThrough(s.file)}
		a.unlock()
		if a.canErase() {
			d.Methods = append(d.Methods, rackagent.ATASecureErase)
		}
		d.Erase = func(context.Context, rackagent.Method) error { return a.erase() }
	}
	return d
}

// diskSerial reads the serial from the SCSI page 80, which libata has for ATA drives as well, or
// from the drivers of virtio and MMC.
func diskSerial(at string) string {
	if page, err := os.ReadFile(at + "/device/vpd_pg80"); err == nil && len(page) > 4 {
		return strings.TrimSpace(strings.ToValidUTF8(strings.Trim(string(page[4:]), "\x00"), ""))
	}
	return cmp.Or(text(at+"/serial"), text(at+"/device/serial"))
}

// space is a block device.
type space struct {
	name   string
	file   *os.File
	size   int64
	sector int
}

// openSpace opens a block device, which nothing else may use.
func openSpace(name string) (*space, error) {
	f, err := os.OpenFile("/dev/"+name, os.O_RDWR|unix.O_EXCL, 0)
	if err != nil {
		return nil, fmt.Errorf("the drive cannot be opened: %w", err)
	}
	sector, err := unix.IoctlGetInt(int(f.Fd()), unix.BLKSSZGET)
	if err == nil {
		var size int64
		if size, err = f.Seek(0, io.SeekEnd); err == nil {
			return &space{name, f, size, sector}, nil
		}
	}
	f.Close()
	return nil, fmt.Errorf("the drive does not say its size: %w", err)
}

// closeDrives lets others use the drives: what is open here cannot be mounted.
func closeDrives(drives []*rackagent.Drive) {
	for _, d := range drives {
		for _, s := range d.Spaces {
			if s, is := s.(*space); is {
				s.file.Close()
			}
		}
	}
}

func (s *space) Name() string                            { return s.name }
func (s *space) Size() int64                             { return s.size }
func (s *space) SectorSize() int                         { return s.sector }
func (s *space) ReadAt(b []byte, at int64) (int, error)  { return s.file.ReadAt(b, at) }
func (s *space) WriteAt(b []byte, at int64) (int, error) { return s.file.WriteAt(b, at) }

// Flush writes what the kernel has, and has it forget what it read.
func (s *space) Flush() error {
	if err := s.file.Sync(); err != nil {
		return err
	}
	return unix.IoctlSetInt(int(s.file.Fd()), unix.BLKFLSBUF, 0)
}

// Zero has the drive do it, if it can: that takes no time on most.
func (s *space) Zero(offset, length int64) error {
	const page = 4096
	if offset%page == 0 && length%page == 0 {
		if zeroOut(s.file, offset, length) == nil {
			return nil
		}
	}
	b := make([]byte, 1<<20)
	for length > 0 {
		n := min(length, int64(len(b)))
		if _, err := s.file.WriteAt(b[:n], offset); err != nil {
			return err
		}
		offset, length = offset+n, length-n
	}
	return nil
}
