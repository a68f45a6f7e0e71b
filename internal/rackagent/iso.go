package rackagent

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"strings"
)

// VolumeID is the name of the ISO image, by which the agent knows the medium that it came from.
const VolumeID = "BILLET_AGENT"

// The image's boot configuration has a place of placeSize bytes on the kernel command line, which
// begins with placeMarker. scripts/agent-iso.sh writes it.
const (
	placeMarker = "@BILLET-PARAMETERS@"
	placeSize   = 1600
)

// ISO is the agent's image. It is the same for all jobs, except for the command line.
type ISO struct {
	base  io.ReaderAt
	size  int64
	place int64 // offset
}

// OpenISO checks an image, and finds the place of the parameters. base must stay readable.
func OpenISO(base io.ReaderAt, size int64) (*ISO, error) {
	descriptor := make([]byte, 2048)
	if _, err := base.ReadAt(descriptor, 16*2048); err != nil {
		return nil, fmt.Errorf("not an ISO image: %w", err)
	}
	if string(descriptor[1:6]) != "CD001" || strings.TrimSpace(string(descriptor[40:72])) != VolumeID {
		return nil, errors.New("not the ISO image of Billet's agent")
	}
	want := append([]byte(placeMarker), bytes.Repeat([]byte{'.'}, placeSize-len(placeMarker))...)
	place := int64(-1)
	b := make([]byte, 4<<20)
	// Parts overlap, so that each place is whole in one of them.
	for offset := int64(0); offset < size; offset += int64(len(b)) - placeSize {
		n, err := base.ReadAt(b[:min(int64(len(b)), size-offset)], offset)
		if err != nil && err != io.EOF {
			return nil, err
		}
		for at := 0; ; {
			i := bytes.Index(b[at:n], want)
			if i < 0 {
				break
			}
			found := offset + int64(at+i)
			if place >= 0 && place != found {
				return nil, errors.New("the ISO image has more than one place for parameters")
			}
			place, at = found, at+i+1
		}
	}
	if place < 0 {
		return nil, errors.New("the ISO image has no place for parameters; is it of this version of Billet?")
	}
	return &ISO{base: base, size: size, place: place}, nil
}

// For returns the image for one job. Readers are independent of each other.
func (i *ISO) For(p Parameters) (*io.SectionReader, error) {
	line, err := p.CommandLine()
	if err != nil {
		return nil, err
	}
	text := append([]byte(line), bytes.Repeat([]byte{' '}, placeSize-len(line))...)
	return io.NewSectionReader(&patched{i, text}, 0, i.size), nil
}

// patched is the image with a text at its place.
type patched struct {
	iso  *ISO
	text []byte
}

func (p *patched) ReadAt(b []byte, offset int64) (int, error) {
	n, err := p.iso.base.ReadAt(b, offset)
	from := max(p.iso.place, offset)
	to := min(p.iso.place+int64(len(p.text)), offset+int64(n))
	if from < to {
		copy(b[from-offset:to-offset], p.text[from-p.iso.place:])
	}
	return n, err
}
