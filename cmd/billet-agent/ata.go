//go:build linux

package main

import (
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"runtime"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// ATA commands (ACS-3) and the words of their data.
const (
	ataIdentify     = 0xEC
	ataSetPassword  = 0xF1
	ataUnlock       = 0xF2
	ataErasePrepare = 0xF3
	ataErase        = 0xF4
	ataDisable      = 0xF6

	wordEraseTime         = 89
	wordEnhancedEraseTime = 90
	wordSecurity          = 128

	securitySupported = 1 << 0
	securityEnabled   = 1 << 1
	securityLocked    = 1 << 2
	securityFrozen    = 1 << 3
	securityEnhanced  = 1 << 5

	ataTimeout = 30 * time.Second
)

// ata erases a drive by its security commands. command sends one with 512 bytes: those of the
// drive if read is set, for the drive otherwise, or none if data is nil.
type ata struct {
	command func(opcode byte, data []byte, read bool, timeout time.Duration) error
}

func (a ata) identity() (func(word int) uint16, error) {
	b := make([]byte, 512)
	err := a.command(ataIdentify, b, true, ataTimeout)
	return func(word int) uint16 { return binary.LittleEndian.Uint16(b[2*word:]) }, err
}

// canErase reports whether the drive takes security commands. Firmware often freezes them.
func (a ata) canErase() bool {
	word, err := a.identity()
	return err == nil && word(wordSecurity)&securitySupported != 0 &&
		word(wordSecurity)&(securityLocked|securityFrozen) == 0
}

// unlock removes the password that an erasure left which a power failure interrupted. A drive with
// another password stays locked, and is not erased.
func (a ata) unlock() {
	word, err := a.identity()
	if err != nil || word(wordSecurity)&securityLocked == 0 {
		return
	}
	if a.command(ataUnlock, password(), false, ataTimeout) == nil {
		_ = a.command(ataDisable, password(), false, ataTimeout)
	}
}

// erase sets a password, which the command requires, and erases. The drive removes the password
// with the data; after a failure it is removed here, so that the drive stays usable.
func (a ata) erase() error {
	word, err := a.identity()
	if err != nil {
		return err
	}
	security := word(wordSecurity)
	if security&(securityLocked|securityFrozen) != 0 {
		return errors.New("the drive's security commands are locked or frozen by the firmware")
	}
	data, minutes := password(), word(wordEraseTime)
	if err := a.command(ataSetPassword, data, false, ataTimeout); err != nil {
		return fmt.Errorf("set the password that erasing requires: %w", err)
	}
	if security&securityEnhanced != 0 {
		data[0] |= 1 << 1
		minutes = word(wordEnhancedEraseTime)
	}
	err = a.command(ataErasePrepare, nil, false, ataTimeout)
	if err == nil {
		err = a.command(ataErase, data, false, eraseTimeout(minutes))
	}
	if word, checkErr := a.identity(); checkErr == nil && word(wordSecurity)&securityEnabled != 0 {
		err = errors.Join(err, errors.New("the drive still has a password after erasing"),
			a.command(ataDisable, password(), false, ataTimeout))
	}
	return err
}

// password is the data block of the security commands: the user's password.
func password() []byte {
	b := make([]byte, 512)
	copy(b[2:34], "billet")
	return b
}

// eraseTimeout is twice what the drive says, in units of two minutes, and at least two hours:
// drives with a value too large for the field say 0 or the maximum.
func eraseTimeout(units uint16) time.Duration {
	said := time.Duration(units&0x7fff) * 2 * time.Minute
	if units&0x7fff == 0 || units&0xff == 0xff {
		said = 12 * time.Hour
	}
	return max(2*said, 2*time.Hour)
}

// sgHeader is struct sg_io_hdr of scsi/sg.h.
type sgHeader struct {
	interfaceID   int32
	direction     int32
	commandLength uint8
	senseLength   uint8
	iovecs        uint16
	dataLength    uint32
	data          uintptr
	command       uintptr
	sense         uintptr
	timeoutMs     uint32
	flags         uint32
	packID        int32
	_             int32
	user          uintptr
	status        uint8
	maskedStatus  uint8
	messageStatus uint8
	senseWritten  uint8
	hostStatus    uint16
	driverStatus  uint16
	residual      int32
	durationMs    uint32
	info          uint32
	_             uint32
}

const (
	ioctlSG    = 0x2285
	sgToDevice = -2
	sgNone     = -1
	sgFrom     = -3
)

// scsiPassThrough sends ATA commands by SCSI's ATA PASS-THROUGH (16).
func scsiPassThrough(f *os.File) func(byte, []byte, bool, time.Duration) error {
	return func(opcode byte, data []byte, read bool, timeout time.Duration) error {
		command, sense := passThrough(opcode, data != nil, read), make([]byte, 64)
		var pin runtime.Pinner
		defer pin.Unpin()
		h := &sgHeader{
			interfaceID: 'S', direction: sgNone, commandLength: uint8(len(command)), senseLength: uint8(len(sense)),
			timeoutMs: uint32(timeout.Milliseconds()),
		}
		pin.Pin(&command[0])
		pin.Pin(&sense[0])
		h.command, h.sense = uintptr(unsafe.Pointer(&command[0])), uintptr(unsafe.Pointer(&sense[0]))
		if data != nil {
			h.direction, h.dataLength = sgToDevice, uint32(len(data))
			if read {
				h.direction = sgFrom
			}
			pin.Pin(&data[0])
			h.data = uintptr(unsafe.Pointer(&data[0]))
		}
		_, _, errno := unix.Syscall(unix.SYS_IOCTL, f.Fd(), ioctlSG, uintptr(unsafe.Pointer(h)))
		switch {
		case errno != 0:
			return errno
		case h.status != 0 || h.hostStatus != 0 || h.driverStatus&0x0f != 0:
			return fmt.Errorf("the drive refused ATA command %#x: status %#x, host %#x, sense % x",
				opcode, h.status, h.hostStatus, sense[:min(int(h.senseWritten), 16)])
		}
		return nil
	}
}

// passThrough returns the 16 bytes of the SCSI command.
func passThrough(opcode byte, data, read bool) []byte {
	const (
		nonData = 3 << 1
		pioIn   = 4 << 1
		pioOut  = 5 << 1
		blocks  = 1<<2 | 2 // the length is in blocks, in the field of the sector count
		toHost  = 1 << 3
	)
	c := make([]byte, 16)
	c[0], c[1], c[14] = 0x85, nonData, opcode
	if data {
		c[1], c[2], c[6] = pioOut, blocks, 1
		if read {
			c[1], c[2] = pioIn, blocks|toHost
		}
	}
	return c
}
