//go:build linux

package main

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/billetcloud/billet/internal/rackagent"
)

// Admin commands, log pages and actions of NVMe (base specification 1.4, chapter 5).
const (
	opGetLog   = 0x02
	opIdentify = 0x06
	opFormat   = 0x80
	opSanitize = 0x84

	allNamespaces   = 0xFFFFFFFF
	logSanitize     = 0x81
	idNamespace     = 0x00
	idController    = 0x01
	idActive        = 0x02
	idAllocated     = 0x10
	actExitFailure  = 1
	actBlockErase   = 2
	actCryptoErase  = 4
	allowAnyExit    = 1 << 3 // a failed sanitize does not leave the drive unusable
	sanitizeLimit   = 8 * time.Hour
	formatTimeoutMs = 4 * 3600 * 1000
)

// nvmeCommand is struct nvme_admin_cmd of linux/nvme_ioctl.h.
type nvmeCommand struct {
	opcode, flags                            uint8
	reserved                                 uint16
	namespace, cdw2, cdw3                    uint32
	metadata, address                        uint64
	metadataLength, length                   uint32
	cdw10, cdw11, cdw12, cdw13, cdw14, cdw15 uint32
	timeoutMs, result                        uint32
}

const ioctlNVMeAdmin = 0xC0484E41

// nvmeAdmin sends an admin command with a buffer for its answer.
func nvmeAdmin(f *os.File) func(c nvmeCommand, answer []byte) error {
	return func(c nvmeCommand, answer []byte) error {
		var pin runtime.Pinner
		defer pin.Unpin()
		if len(answer) > 0 {
			pin.Pin(&answer[0])
			c.address, c.length = uint64(uintptr(unsafe.Pointer(&answer[0]))), uint32(len(answer))
		}
		pin.Pin(&c)
		status, _, errno := unix.Syscall(unix.SYS_IOCTL, f.Fd(), ioctlNVMeAdmin, uintptr(unsafe.Pointer(&c)))
		switch {
		case errno != 0:
			return errno
		case status != 0:
			return fmt.Errorf("the drive answered with NVMe status %#x", status)
		}
		return nil
	}
}

// zeroOut is the ioctl BLKZEROOUT.
func zeroOut(f *os.File, offset, length int64) error {
	const blkZeroOut = 0x127F
	area := [2]uint64{uint64(offset), uint64(length)}
	_, _, errno := unix.Syscall(unix.SYS_IOCTL, f.Fd(), blkZeroOut, uintptr(unsafe.Pointer(&area)))
	if errno != 0 {
		return errno
	}
	return nil
}

// nvmeDrives returns the machine's own NVMe drives. Controllers with the same serial and model are
// ports of one drive, and so are their namespaces.
func nvmeDrives() ([]*rackagent.Drive, error) {
	var drives []*rackagent.Drive
	seen := map[string]bool{}
	controllers, _ := filepath.Glob("/sys/class/nvme/nvme*")
	for _, at := range controllers {
		serial, model := text(at+"/serial"), text(at+"/model")
		if text(at+"/transport") != "pcie" || seen[serial+"\n"+model] {
			continue
		}
		seen[serial+"\n"+model] = true
		drives = append(drives, nvmeDrive(at, serial, model))
	}
	return drives, nil
}

func nvmeDrive(at, serial, model string) *rackagent.Drive {
	d := &rackagent.Drive{Serial: serial, Model: model, Firmware: text(at + "/firmware_rev")}
	control, err := os.OpenFile("/dev/"+filepath.Base(at), os.O_RDWR, 0)
	if err != nil {
		d.Fault = "the drive's controller cannot be used: " + err.Error()
		return d
	}
	n := nvme{admin: nvmeAdmin(control)}
	if d.Methods, err = n.methods(); err != nil {
		d.Fault = err.Error()
		return d
	}
	d.Erase = n.erase
	all, _ := filepath.Glob("/sys/block/nvme*")
	for _, block := range all {
		if text(block+"/hidden") == "1" || text(block+"/device/serial") != serial ||
			text(block+"/device/model") != model {
			continue
		}
		s, err := openSpace(filepath.Base(block))
		if err != nil {
			d.Fault = err.Error()
			return d
		}
		d.Spaces = append(d.Spaces, s)
	}
	return d
}

// nvme erases an NVMe drive.
type nvme struct {
	admin func(c nvmeCommand, answer []byte) error
}

func (n nvme) identify(what, namespace uint32) ([]byte, error) {
	answer := make([]byte, 4096)
	err := n.admin(nvmeCommand{opcode: opIdentify, namespace: namespace, cdw10: what}, answer)
	if err != nil {
		err = fmt.Errorf("the drive does not identify itself: %w", err)
	}
	return answer, err
}

// methods returns what the drive says it can do.
func (n nvme) methods() ([]rackagent.Method, error) {
	id, err := n.identify(idController, 0)
	if err != nil {
		return nil, err
	}
	var has []rackagent.Method
	sanitize, commands := binary.LittleEndian.Uint32(id[328:]), binary.LittleEndian.Uint16(id[256:])
	if sanitize&1 != 0 {
		has = append(has, rackagent.SanitizeCrypto)
	}
	if sanitize&2 != 0 {
		has = append(has, rackagent.SanitizeBlock)
	}
	hidden, err := n.hiddenNamespaces(commands)
	if err != nil {
		return nil, err
	}
	if hidden > 0 && len(has) == 0 {
		return nil, fmt.Errorf("%d namespaces of the drive are not attached, so they cannot be erased and tested",
			hidden)
	}
	if commands&2 != 0 && hidden == 0 {
		has = append(has, rackagent.NVMeFormat)
	}
	return has, nil
}

// hiddenNamespaces returns how many namespaces exist that the machine does not show. A tenant can
// make such, and the next tenant could attach them.
func (n nvme) hiddenNamespaces(commands uint16) (int, error) {
	if commands&8 == 0 {
		return 0, nil // the drive has no management of namespaces
	}
	active, err := n.namespaces(idActive)
	if err != nil {
		return 0, err
	}
	allocated, err := n.namespaces(idAllocated)
	if err != nil {
		return 0, err
	}
	hidden := 0
	for _, id := range allocated {
		if !slices.Contains(active, id) {
			hidden++
		}
	}
	return hidden, nil
}

func (n nvme) namespaces(list uint32) ([]uint32, error) {
	b, err := n.identify(list, 0)
	if err != nil {
		return nil, err
	}
	var ids []uint32
	for i := 0; i < len(b); i += 4 {
		if id := binary.LittleEndian.Uint32(b[i:]); id != 0 {
			ids = append(ids, id)
		}
	}
	return ids, nil
}

func (n nvme) erase(ctx context.Context, m rackagent.Method) error {
	switch m {
	case rackagent.SanitizeCrypto:
		return n.sanitize(ctx, actCryptoErase, wait)
	case rackagent.SanitizeBlock:
		return n.sanitize(ctx, actBlockErase, wait)
	case rackagent.NVMeFormat:
		return n.format()
	}
	return fmt.Errorf("an NVMe drive has no method %s", m)
}

// sanitize starts the operation, which goes on in the drive, and waits for its end.
func (n nvme) sanitize(ctx context.Context, action uint32, wait func(context.Context, time.Duration) error) error {
	state, err := n.sanitizeState()
	if err != nil {
		return err
	}
	if state == sanitizeRunning { // started before a power failure
		if err := n.sanitizeEnd(ctx, wait); err != nil {
			return err
		}
	} else if state == sanitizeFailed {
		if err := n.admin(nvmeCommand{opcode: opSanitize, cdw10: actExitFailure}, nil); err != nil {
			return fmt.Errorf("end a sanitize that failed before: %w", err)
		}
	}
	if err := n.admin(nvmeCommand{opcode: opSanitize, cdw10: action | allowAnyExit}, nil); err != nil {
		return err
	}
	return n.sanitizeEnd(ctx, wait)
}

// The states of a sanitize operation, the lowest three bits of the log's status.
const (
	sanitizeDone    = 1
	sanitizeRunning = 2
	sanitizeFailed  = 3
	sanitizeDone2   = 4 // without deallocation of blocks, although it was asked for
)

func (n nvme) sanitizeState() (int, error) {
	log := make([]byte, 512)
	command := nvmeCommand{
		opcode: opGetLog, namespace: allNamespaces, cdw10: logSanitize | uint32(len(log)/4-1)<<16,
	}
	if err := n.admin(command, log); err != nil {
		return 0, fmt.Errorf("read the state of the sanitize operation: %w", err)
	}
	return int(binary.LittleEndian.Uint16(log[2:]) & 7), nil
}

func (n nvme) sanitizeEnd(ctx context.Context, wait func(context.Context, time.Duration) error) error {
	for waited := time.Duration(0); waited < sanitizeLimit; waited += time.Second {
		state, err := n.sanitizeState()
		switch {
		case err != nil:
			return err
		case state == sanitizeDone || state == sanitizeDone2:
			return nil
		case state != sanitizeRunning:
			return errors.New("the drive reports that the sanitize operation failed")
		}
		if err := wait(ctx, time.Second); err != nil {
			return err
		}
	}
	return fmt.Errorf("the drive did not end the sanitize operation within %s", sanitizeLimit)
}

// format erases each namespace with the secure erase setting, and keeps its format of blocks.
func (n nvme) format() error {
	controller, err := n.identify(idController, 0)
	if err != nil {
		return err
	}
	setting := uint32(1)        // user data erase
	if controller[524]&4 != 0 { // FNA: cryptographic erase
		setting = 2
	}
	ids, err := n.namespaces(idActive)
	if err != nil {
		return err
	}
	var failed []string
	for _, id := range ids {
		b, err := n.identify(idNamespace, id)
		if err == nil {
			err = n.admin(nvmeCommand{
				opcode: opFormat, namespace: id, cdw10: setting<<9 | blockFormat(b), timeoutMs: formatTimeoutMs,
			}, nil)
		}
		if err != nil {
			failed = append(failed, fmt.Sprintf("namespace %d: %v", id, err))
		}
	}
	if len(failed) > 0 {
		return errors.New(strings.Join(failed, "; "))
	}
	return nil
}

// blockFormat returns the bits of Format that keep the present format: size of blocks, metadata,
// and protection.
func blockFormat(namespace []byte) uint32 {
	size, protection := uint32(namespace[26]), uint32(namespace[29])
	format := size&0x0f | size&0x10 // LBA format, metadata at the end of blocks
	format |= protection & 7 << 5
	format |= protection >> 3 & 1 << 8
	return format | size>>5&3<<12 // the upper bits of the LBA format
}
