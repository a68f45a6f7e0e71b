package rackagent

import (
	"bytes"
	"compress/flate"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
)

const (
	maxDisk  = 64 << 40 // bytes, that an image's disk may have
	maxL1    = 1 << 20  // entries
	l2Offset = 0x00fffffffffffe00
)

// qcow2 reads an image of QEMU's format, version 2 or 3. It reads what cloud images are: without a
// backing file, encryption, an external data file or subclusters; plain or compressed by zlib.
type qcow2 struct {
	file    io.ReaderAt
	size    int64 // of the disk
	version uint32
	bits    uint // of a cluster's size
	l1      []byte
}

func openQCOW2(file io.ReaderAt) (*qcow2, error) {
	h := make([]byte, 112)
	if n, err := file.ReadAt(h, 0); n < 72 {
		return nil, fmt.Errorf("not a qcow2 image: %w", err)
	}
	u32, u64 := binary.BigEndian.Uint32, binary.BigEndian.Uint64
	q := &qcow2{file: file, version: u32(h[4:]), bits: uint(u32(h[20:]))}
	switch {
	case string(h[:4]) != "QFI\xfb":
		return nil, errors.New("not a qcow2 image")
	case q.version != 2 && q.version != 3:
		return nil, fmt.Errorf("version %d of qcow2 is not supported", q.version)
	case u64(h[8:]) != 0:
		return nil, errors.New("the image has a backing file; convert it to one file first")
	case q.bits < 9 || q.bits > 21:
		return nil, errors.New("the image's cluster size is not valid")
	case u64(h[24:]) == 0 || u64(h[24:]) > maxDisk:
		return nil, errors.New("the image's disk size is not valid")
	case u32(h[32:]) != 0:
		return nil, errors.New("the image is encrypted")
	}
	if q.version == 3 {
		if err := checkFeatures(h); err != nil {
			return nil, err
		}
	}
	q.size = int64(u64(h[24:])) // limited by maxDisk
	covered := int64(1) << (2*q.bits - 3)
	need := (q.size + covered - 1) / covered
	at := u64(h[40:])
	if need > maxL1 || need > int64(u32(h[36:])) || at >= maxDisk || at%(1<<q.bits) != 0 {
		return nil, errors.New("the image's first table is not valid")
	}
	q.l1 = make([]byte, need*8)
	if _, err := file.ReadAt(q.l1, int64(at)); err != nil { // limited above
		return nil, fmt.Errorf("the image ends in its first table: %w", err)
	}
	return q, nil
}

// checkFeatures refuses what this reader would read wrongly.
func checkFeatures(h []byte) error {
	const dirty, compression = 1 << 0, 1 << 3 // dirty counters of references do not matter to a reader
	incompatible := binary.BigEndian.Uint64(h[72:])
	if incompatible&compression != 0 && binary.BigEndian.Uint32(h[100:]) > 104 && h[104] != 0 {
		return errors.New("the image is compressed by zstd; use zlib")
	}
	if incompatible&^(dirty|compression) != 0 {
		return errors.New("the image is damaged or uses features that are not supported")
	}
	return nil
}

// each calls f for the whole disk in order: with the bytes at an offset, or with nil for a range
// of zeros. The slice is valid during the call only.
func (q *qcow2) each(f func(offset, length int64, b []byte) error) error {
	cluster := int64(1) << q.bits
	l2, buffer := make([]byte, cluster), make([]byte, cluster)
	inflate := flate.NewReader(nil)
	offset := int64(0)
	for i := 0; i < len(q.l1); i += 8 {
		table := int64(binary.BigEndian.Uint64(q.l1[i:]) & l2Offset) // 56 bits
		if table == 0 {
			length := min(cluster*cluster/8, q.size-offset)
			if err := f(offset, length, nil); err != nil {
				return err
			}
			offset += length
			continue
		}
		if table%cluster != 0 {
			return errors.New("the image has a table at an offset that is not valid")
		}
		if _, err := q.file.ReadAt(l2, table); err != nil {
			return fmt.Errorf("the image ends in a table: %w", err)
		}
		for j := 0; j < len(l2) && offset < q.size; j += 8 {
			length := min(cluster, q.size-offset)
			b, err := q.cluster(binary.BigEndian.Uint64(l2[j:]), buffer, inflate)
			if err != nil {
				return err
			}
			if b != nil {
				b = b[:length]
			}
			if err := f(offset, length, b); err != nil {
				return err
			}
			offset += length
		}
	}
	return nil
}

// cluster reads the cluster of an entry. Nil means zeros.
func (q *qcow2) cluster(entry uint64, b []byte, inflate io.ReadCloser) ([]byte, error) {
	if entry&(1<<62) != 0 {
		return q.compressed(entry, b, inflate)
	}
	at := int64(entry & l2Offset) // 56 bits
	if at == 0 || q.version == 3 && entry&1 != 0 {
		return nil, nil
	}
	n, err := q.file.ReadAt(b, at)
	if n == 0 || err != nil && err != io.EOF {
		return nil, fmt.Errorf("the image ends before its data: %w", err)
	}
	clear(b[n:]) // the last cluster of a file may be cut
	return b, nil
}

func (q *qcow2) compressed(entry uint64, b []byte, inflate io.ReadCloser) ([]byte, error) {
	split := 62 - (q.bits - 8)
	at := int64(entry & (1<<split - 1))                             // at most 61 bits
	sectors := int64(entry & (1<<62 - 1) >> split)                  // at most 13 bits
	part := io.NewSectionReader(q.file, at, (sectors+1)*512-at%512) // may be cut by the file's end
	if err := inflate.(flate.Resetter).Reset(part, nil); err != nil {
		return nil, err
	}
	if _, err := io.ReadFull(inflate, b); err != nil {
		return nil, fmt.Errorf("the image has a compressed cluster that cannot be read: %w", err)
	}
	return b, nil
}

func isZero(b []byte) bool {
	for len(b) > len(zeros) {
		if !bytes.Equal(b[:len(zeros)], zeros[:]) {
			return false
		}
		b = b[len(zeros):]
	}
	return bytes.Equal(b, zeros[:len(b)])
}

var zeros [64 << 10]byte
