package rackagent

import (
	"bytes"
	"encoding/binary"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// convert has qemu-img make a qcow2 file of a raw disk.
func convert(t *testing.T, raw []byte, options ...string) []byte {
	t.Helper()
	dir := t.TempDir()
	from, to := filepath.Join(dir, "raw"), filepath.Join(dir, "qcow2")
	if err := os.WriteFile(from, raw, 0o600); err != nil {
		t.Fatal(err)
	}
	args := append([]string{"convert", "-f", "raw", "-O", "qcow2"}, options...)
	tool(t, "qemu-img", append(args, from, to)...)
	b, err := os.ReadFile(to)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func contents(q *qcow2) ([]byte, error) {
	b := bytes.Repeat([]byte{0xAA}, int(q.size))
	at := int64(0)
	err := q.each(func(offset, length int64, part []byte) error {
		if offset != at || length <= 0 || part != nil && int64(len(part)) != length {
			panic("parts are out of order")
		}
		at += length
		if part == nil {
			clear(b[offset : offset+length])
		} else {
			copy(b[offset:], part)
		}
		return nil
	})
	if err == nil && at != q.size {
		panic("the parts are not the whole disk")
	}
	return b, err
}

// TestQCOW2_ReadsWhatQEMUWrites compares with qemu-img's own conversion.
func TestQCOW2_ReadsWhatQEMUWrites(t *testing.T) {
	raw := diskImage(8<<20, 512)
	copy(raw[3<<20:], bytes.Repeat([]byte("compressible "), 50_000))
	raw = raw[:len(raw)-1024] // not a multiple of the cluster
	for _, options := range []string{
		"", "-c", "-o compat=0.10", "-c -o compat=0.10", "-o cluster_size=512", "-c -o cluster_size=4k",
		"-c -o cluster_size=2M",
		"-o cluster_size=2M", "-o preallocation=metadata", "-o lazy_refcounts=on", "-S 0",
	} {
		file := convert(t, raw, strings.Fields(options)...)
		q, err := openQCOW2(bytes.NewReader(file))
		if err != nil {
			t.Errorf("%q: %v", options, err)
			continue
		}
		if got, err := contents(q); err != nil || !bytes.Equal(got, raw) {
			t.Errorf("%q: %v; the contents differ", options, err)
		}
	}
}

func TestQCOW2_RefusesWhatItCannotRead(t *testing.T) {
	raw := diskImage(4<<20, 512)
	good := convert(t, raw)
	change := func(f func(b []byte)) []byte {
		b := bytes.Clone(good)
		f(b)
		return b
	}
	put32, put64 := binary.BigEndian.PutUint32, binary.BigEndian.PutUint64
	for want, file := range map[string][]byte{
		"not a qcow2 image":      raw,
		"compressed by zstd":     convert(t, raw, "-c", "-o", "compression_type=zstd"),
		"not supported":          convert(t, raw, "-o", "extended_l2=on"),
		"has a backing file":     change(func(b []byte) { put64(b[8:], 512) }),
		"is encrypted":           change(func(b []byte) { put32(b[32:], 1) }),
		"version 4":              change(func(b []byte) { put32(b[4:], 4) }),
		"cluster size":           change(func(b []byte) { put32(b[20:], 40) }),
		"disk size":              change(func(b []byte) { put64(b[24:], 1<<60) }),
		"first table":            change(func(b []byte) { put32(b[36:], 0) }),
		"ends in its first":      change(func(b []byte) { put64(b[40:], 1<<40) }),
		"damaged or uses":        change(func(b []byte) { put64(b[72:], 2) }),
		"not a qcow2 image: EOF": {},
	} {
		if _, err := openQCOW2(bytes.NewReader(file)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want %q", err, want)
		}
	}
	q, err := openQCOW2(bytes.NewReader(good[:len(good)-1<<20]))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := contents(q); err == nil || !strings.Contains(err.Error(), "ends before its data") {
		t.Errorf("a cut file: %v", err)
	}
}

func TestDeployQCOW2(t *testing.T) {
	image := diskImage(8<<20, 512)
	m := dirty(64 << 20)
	r := newRack(t, newDrive("A", m))
	r.deploy(convert(t, image, "-c"), QCOW2)
	if next := r.agent.Run(t.Context()); next != Restart {
		t.Fatalf("next %d: %+v", next, r.last(t).Error)
	}
	if !bytes.Equal(m.b[mebibyte:len(image)-mebibyte], image[mebibyte:len(image)-mebibyte]) {
		t.Error("the partition of the image is another")
	}
	judgeDisk(t, m.b, 512)

	r = newRack(t, newDrive("A", dirty(7<<20)))
	r.deploy(convert(t, diskImage(8<<20, 512), "-c"), QCOW2)
	r.job.Image.Bytes = int64(len(r.image))
	if next := r.agent.Run(t.Context()); next != PowerOff || r.last(t).Error == nil {
		t.Errorf("a disk larger than the drive: next %d", next)
	}
}

// full is a memory that holds nothing.
type full struct{}

func (full) WriteAt([]byte, int64) (int, error) { return 0, syscall.ENOSPC }

func TestQCOW2LargerThanMemory(t *testing.T) {
	r := newRack(t)
	r.deploy(make([]byte, 3<<20), QCOW2)
	downloads := 0
	r.answer = func(_ http.ResponseWriter, request *http.Request) bool {
		if request.URL.Path == "/image" {
			downloads++
		}
		return false
	}
	e := r.agent.keep(t.Context(), full{}, *r.job.Image)
	if e == nil || e.Code != ImageMemory || !strings.Contains(e.Message, "use raw") || downloads != 1 {
		t.Errorf("%+v after %d downloads", e, downloads)
	}
}

// FuzzQCOW2: whatever a file claims, exactly the whole disk is passed on, in order, or an error is
// returned. It allocates no more than its tables and clusters.
func FuzzQCOW2(f *testing.F) {
	header := make([]byte, 3*512)
	copy(header, "QFI\xfb")
	binary.BigEndian.PutUint32(header[4:], 3)
	binary.BigEndian.PutUint32(header[20:], 9)
	binary.BigEndian.PutUint64(header[24:], 4000)
	binary.BigEndian.PutUint32(header[36:], 1)
	binary.BigEndian.PutUint64(header[40:], 512)
	binary.BigEndian.PutUint32(header[100:], 104)
	binary.BigEndian.PutUint64(header[512:], 1024)
	binary.BigEndian.PutUint64(header[1024:], 1<<63|512)
	binary.BigEndian.PutUint64(header[1032:], 1<<62|100)
	f.Add(header)
	f.Fuzz(func(t *testing.T, b []byte) {
		q, err := openQCOW2(bytes.NewReader(b))
		if err != nil || q.size > 16<<20 {
			return
		}
		_, _ = contents(q)
	})
}
