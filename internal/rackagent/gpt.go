package rackagent

import (
	"bytes"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"unicode/utf16"
)

// Offsets in a header of a GUID partition table (UEFI specification, 5.3).
const (
	gptSize       = 12
	gptCRC        = 16
	gptMyLBA      = 24
	gptBackupLBA  = 32
	gptFirst      = 40
	gptLast       = 48
	gptEntriesLBA = 72
	gptEntries    = 80
	gptEntrySize  = 84
	gptEntriesCRC = 88
	gptMinHeader  = 92
	gptSignature  = "EFI PART"
)

// basicData is the partition type of FAT file systems, as it is stored.
var basicData = []byte{
	0xA2, 0xA0, 0xD0, 0xEB, 0xE5, 0xB9, 0x33, 0x44, 0x87, 0xC0, 0x68, 0xB6, 0xB7, 0x26, 0x99, 0xC7,
}

const mebibyte = 1 << 20

// gpt is the partition table of an image.
type gpt struct {
	sector  int64
	header  []byte // one sector
	entries []byte
	former  int64 // sector of the copy that the image has
}

// readGPT reads and checks the primary partition table.
func readGPT(r io.ReaderAt, sector int64) (*gpt, error) {
	t := &gpt{sector: sector, header: make([]byte, sector)}
	if _, err := r.ReadAt(t.header, sector); err != nil {
		return nil, fmt.Errorf("read the partition table: %w", err)
	}
	if string(t.header[:8]) != gptSignature {
		other := make([]byte, 8)
		if _, err := r.ReadAt(other, 512+4096-sector); err == nil && string(other) == gptSignature {
			return nil, fmt.Errorf("the image's partition table is for sectors of %d bytes, the drive's have %d bytes",
				512+4096-sector, sector)
		}
		return nil, errors.New("the image has no GUID partition table (GPT)")
	}
	size := int64(t.u32(gptSize))
	if size < gptMinHeader || size > sector || checksum(t.header[:size], gptCRC) != t.u32(gptCRC) {
		return nil, errors.New("the image's partition table is damaged: its header's checksum is wrong")
	}
	count, each := int64(t.u32(gptEntries)), int64(t.u32(gptEntrySize))
	if count < 1 || count > 1024 || each < 128 || each > 1024 || each%128 != 0 ||
		t.u64(gptMyLBA) != 1 || t.u64(gptEntriesLBA) < 2 || t.u64(gptEntriesLBA) > mebibyte/uint64(sector) {
		return nil, errors.New("the image's partition table has an unusual layout")
	}
	t.entries = make([]byte, count*each)
	if _, err := r.ReadAt(t.entries, int64(t.u64(gptEntriesLBA))*sector); err != nil { // checked above
		return nil, fmt.Errorf("read the partitions: %w", err)
	}
	if crc32.ChecksumIEEE(t.entries) != t.u32(gptEntriesCRC) {
		return nil, errors.New("the image's partition table is damaged: its partitions' checksum is wrong")
	}
	t.former = int64(min(t.u64(gptBackupLBA), maxDisk))
	return t, nil
}

func (t *gpt) u32(at int) uint32 { return binary.LittleEndian.Uint32(t.header[at:]) }
func (t *gpt) u64(at int) uint64 { return binary.LittleEndian.Uint64(t.header[at:]) }

// checksum is the CRC of a header, in which the field of the CRC counts as zero.
func checksum(header []byte, field int) uint32 {
	h := bytes.Clone(header)
	clear(h[field : field+4])
	return crc32.ChecksumIEEE(h)
}

// extend makes the table that of a drive of the size, with a new partition at its end, whose
// offset it returns. Partitions that grow into free space can grow up to it.
func (t *gpt) extend(drive, length int64, name string) (int64, error) {
	last := drive/t.sector - 1
	table := (int64(len(t.entries)) + t.sector - 1) / t.sector
	usable := last - table - 1
	start := (usable + 1 - length/t.sector) * t.sector / mebibyte * mebibyte / t.sector
	free, each := -1, int(t.u32(gptEntrySize))
	highest := int64(t.u64(gptFirst)) - 1 // compared below
	for at := 0; at < len(t.entries); at += each {
		if bytes.Equal(t.entries[at:at+16], make([]byte, 16)) {
			if free < 0 {
				free = at
			}
			continue
		}
		end := binary.LittleEndian.Uint64(t.entries[at+40:])
		if end > uint64(usable) { // a drive is not that large
			return 0, errors.New("a partition of the image ends behind the end of the drive")
		}
		highest = max(highest, int64(end)) // checked above
	}
	switch {
	case free < 0:
		return 0, errors.New("the image's partition table has no free entry for the NoCloud partition")
	case start <= highest || highest < 0:
		return 0, errors.New("the drive has no space for the NoCloud partition behind the image's partitions")
	}
	e := t.entries[free : free+each]
	clear(e)
	copy(e, basicData)
	if _, err := rand.Read(e[16:32]); err != nil {
		return 0, err
	}
	e[16+7] = e[16+7]&0x0f | 0x40 // a random UUID, in the table's byte order
	e[16+8] = e[16+8]&0x3f | 0x80
	binary.LittleEndian.PutUint64(e[32:], uint64(start))                   // positive
	binary.LittleEndian.PutUint64(e[40:], uint64(start+length/t.sector-1)) // positive
	for i, unit := range utf16.Encode([]rune(name)) {
		binary.LittleEndian.PutUint16(e[56+2*i:], unit)
	}
	binary.LittleEndian.PutUint64(t.header[gptLast:], uint64(usable))    // positive
	binary.LittleEndian.PutUint64(t.header[gptBackupLBA:], uint64(last)) // positive
	binary.LittleEndian.PutUint32(t.header[gptEntriesCRC:], crc32.ChecksumIEEE(t.entries))
	return start * t.sector, nil
}

// write writes the table and its copy at the end of the drive, and clears the image's copy.
func (t *gpt) write(s Space) error {
	signature := make([]byte, len(gptSignature))
	if t.former > 1 && t.former < s.Size()/t.sector {
		if _, err := s.ReadAt(signature, t.former*t.sector); err == nil && string(signature) == gptSignature {
			if _, err := s.WriteAt(make([]byte, t.sector), t.former*t.sector); err != nil {
				return err
			}
		}
	}
	primary, backup := bytes.Clone(t.header), bytes.Clone(t.header)
	last, size := t.u64(gptBackupLBA), t.u32(gptSize)
	place := t.u64(gptLast) + 1
	binary.LittleEndian.PutUint64(backup[gptMyLBA:], last)
	binary.LittleEndian.PutUint64(backup[gptBackupLBA:], 1)
	binary.LittleEndian.PutUint64(backup[gptEntriesLBA:], place)
	for _, h := range [][]byte{primary, backup} {
		binary.LittleEndian.PutUint32(h[gptCRC:], checksum(h[:size], gptCRC))
	}
	for _, part := range []struct {
		lba uint64
		b   []byte
	}{
		{place, t.entries}, {last, backup}, {t.u64(gptEntriesLBA), t.entries}, {1, primary},
	} {
		if _, err := s.WriteAt(part.b, int64(part.lba)*t.sector); err != nil { // on the drive
			return err
		}
	}
	return t.protect(s, int64(last)) // on the drive
}

// protect has the protective MBR cover the whole drive. Boot code and other partitions of a hybrid
// MBR stay.
func (t *gpt) protect(s Space, last int64) error {
	mbr := make([]byte, t.sector)
	if _, err := s.ReadAt(mbr, 0); err != nil {
		return err
	}
	for at := 446; at < 510; at += 16 {
		if mbr[at+4] == 0xEE && binary.LittleEndian.Uint32(mbr[at+8:]) == 1 {
			binary.LittleEndian.PutUint32(mbr[at+12:], uint32(min(last, 0xFFFFFFFF))) // limited
		}
	}
	_, err := s.WriteAt(mbr, 0)
	return err
}
