package rackagent

import (
	"cmp"
	"context"
	"io"
	"slices"
)

// Drive is a physical drive of the machine.
type Drive struct {
	Serial   string
	Model    string
	Firmware string
	// Spaces are what can be read and written: the namespaces of an NVMe drive, or the one disk.
	Spaces []Space
	// Methods are those that the drive says it has. Overwrite needs no support by the drive.
	Methods []Method
	// External is whether the drive is on USB, as what a BMC shows is. It is erased as all others,
	// but an image is only written to it if the job names it.
	External bool
	// Fault says why nothing about the drive could be proven, such as a namespace that is hidden.
	Fault string
	// Erase has the drive erase all of its spaces, and returns when the drive reports the end. It
	// is not called for Overwrite.
	Erase func(context.Context, Method) error
}

// Space is a range of blocks.
type Space interface {
	io.ReaderAt
	io.WriterAt
	Name() string
	Size() int64     // bytes
	SectorSize() int // bytes, of a logical sector
	// Zero makes a range read as zeros.
	Zero(offset, length int64) error
	// Flush returns when the drive has everything, and makes the next reads ask the drive.
	Flush() error
}

func (d *Drive) size() int64 {
	var n int64
	for _, s := range d.Spaces {
		n += s.Size()
	}
	return n
}

// identify completes the hardware with the drives.
func identify(h Hardware, drives []*Drive) Hardware {
	h.Drives = []HardwareDrive{}
	for _, d := range drives {
		h.Drives = append(h.Drives, HardwareDrive{
			Serial: d.Serial, Model: d.Model, Firmware: d.Firmware, Bytes: d.size(), Methods: d.Methods,
		})
	}
	return h
}

// target chooses the space that the image is written to: that of the named drive, or the smallest
// that holds the image and is not external.
func target(drives []*Drive, serial string, least int64) (Space, bool) {
	var fits []Space
	for _, d := range drives {
		if serial != "" && d.Serial != serial || serial == "" && d.External {
			continue
		}
		for _, s := range d.Spaces {
			if s.Size() >= least {
				fits = append(fits, s)
			}
		}
	}
	if len(fits) == 0 {
		return nil, false
	}
	return slices.MinFunc(fits, func(a, b Space) int {
		return cmp.Or(cmp.Compare(a.Size(), b.Size()), cmp.Compare(a.Name(), b.Name()))
	}), true
}
