package rackagent

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// diskImage returns a raw disk image with a GPT of one partition, which ends where the image ends.
func diskImage(size, sector int) []byte {
	b := make([]byte, size)
	_, _ = rand.Read(b[mebibyte : size-mebibyte])
	copy(b[mebibyte+4096:], make([]byte, 64<<10)) // zeros, which are written as such
	sectors := uint64(size / sector)
	table := uint64(128 * 128 / sector)
	b[446+4], b[510], b[511] = 0xEE, 0x55, 0xAA
	binary.LittleEndian.PutUint32(b[446+8:], 1)
	binary.LittleEndian.PutUint32(b[446+12:], uint32(sectors-1))
	copy(b[440:], "\x01\x02\x03\x04")
	entries := make([]byte, 128*128)
	copy(entries, "\x28\x73\x2A\xC1\x1F\xF8\xD2\x11\xBA\x4B\x00\xA0\xC9\x3E\xC9\x3B") // EFI system partition
	copy(entries[16:], "0123456789abcdef")
	binary.LittleEndian.PutUint64(entries[32:], mebibyte/uint64(sector))
	binary.LittleEndian.PutUint64(entries[40:], (uint64(size)-mebibyte)/uint64(sector)-1)
	put := func(my, other, at uint64) {
		h := make([]byte, sector)
		copy(h, "EFI PART\x00\x00\x01\x00\x5C\x00\x00\x00")
		binary.LittleEndian.PutUint64(h[24:], my)
		binary.LittleEndian.PutUint64(h[32:], other)
		binary.LittleEndian.PutUint64(h[40:], 2+table)
		binary.LittleEndian.PutUint64(h[48:], sectors-2-table)
		copy(h[56:], "fedcba9876543210")
		binary.LittleEndian.PutUint64(h[72:], at)
		binary.LittleEndian.PutUint32(h[80:], 128)
		binary.LittleEndian.PutUint32(h[84:], 128)
		binary.LittleEndian.PutUint32(h[88:], crc32.ChecksumIEEE(entries))
		binary.LittleEndian.PutUint32(h[16:], crc32.ChecksumIEEE(h[:92]))
		copy(b[my*uint64(sector):], h)
		copy(b[at*uint64(sector):], entries)
	}
	put(1, sectors-1, 2)
	put(sectors-1, 1, sectors-1-table)
	return b
}

// dirty is a drive with what a former system left.
func dirty(size int) *memory {
	m := newMemory("disk", size)
	m.garbage()
	return m
}

func TestDeployWritesImageAndConfiguration(t *testing.T) {
	image := diskImage(8<<20, 512)
	m := dirty(64 << 20)
	r := newRack(t, newDrive("A", m))
	r.deploy(image, Raw)
	if next := r.agent.Run(t.Context()); next != Restart {
		t.Fatalf("next %d: %+v", next, r.last(t).Error)
	}
	if last := r.last(t); last.Phase != Done || last.Error != nil {
		t.Fatalf("%+v", last)
	}
	if !bytes.Equal(m.b[mebibyte:len(image)-mebibyte], image[mebibyte:len(image)-mebibyte]) {
		t.Error("the partition of the image is another")
	}
	if !bytes.Equal(m.b[:446], image[:446]) {
		t.Error("the boot code of the image is another")
	}
	judgeDisk(t, m.b, 512)
}

// judgeDisk has util-linux check the partition table, and dosfstools and mtools the file system.
func judgeDisk(t *testing.T, disk []byte, sector int) {
	t.Helper()
	table, err := readGPT(bytes.NewReader(disk), int64(sector))
	if err != nil {
		t.Fatal(err)
	}
	if got := int64(table.u64(gptBackupLBA)); got != int64(len(disk)/sector)-1 {
		t.Errorf("the copy of the table is at %d", got)
	}
	start := int64(binary.LittleEndian.Uint64(table.entries[128+32:])) * int64(sector)
	file := filepath.Join(t.TempDir(), "disk")
	if err := os.WriteFile(file, disk, 0o600); err != nil {
		t.Fatal(err)
	}
	if sector == 512 {
		out := tool(t, "sfdisk", "--verify", file)
		if !strings.Contains(out, "No errors detected") {
			t.Error(out)
		}
		if out := tool(t, "sfdisk", "--dump", file); !strings.Contains(out, `name="cidata"`) ||
			!strings.Contains(out, "EBD0A0A2-B9E5-4433-87C0-68B6B72699C7") {
			t.Error(out)
		}
	}
	part := filepath.Join(t.TempDir(), "cidata")
	if err := os.WriteFile(part, disk[start:start+noCloudSize], 0o600); err != nil {
		t.Fatal(err)
	}
	tool(t, "fsck.fat", "-n", "-v", part)
	out := tool(t, "blkid", "-p", part)
	if !strings.Contains(out, `LABEL="CIDATA"`) || !strings.Contains(out, `TYPE="vfat"`) {
		t.Error(out)
	}
	for name, want := range map[string]string{
		"meta-data": "instance-id: x\n", "user-data": "#cloud-config\n", "network-config": "version: 2\n",
	} {
		if got := tool(t, "mtype", "-i", part, "::"+name); got != want {
			t.Errorf("%s is %q", name, got)
		}
	}
}

// tool runs a program of Debian. Without it the test is skipped, loudly.
func tool(t *testing.T, name string, args ...string) string {
	t.Helper()
	path := name
	for _, dir := range []string{"/usr/sbin/", "/sbin/"} {
		if _, err := os.Stat(dir + name); err == nil {
			path = dir + name
		}
	}
	if _, err := exec.LookPath(path); err != nil {
		if os.Getenv("BILLET_TEST_REQUIRE_QEMU") != "" {
			t.Fatalf("%s is missing; scripts/need.sh installs it", name)
		}
		t.Skipf("NOT JUDGED: %s is missing", name)
	}
	c := exec.Command(path, args...)
	c.Env = append(os.Environ(), "MTOOLS_SKIP_CHECK=1", "LC_ALL=C")
	out, err := c.CombinedOutput()
	if err != nil {
		t.Errorf("%s %s: %v\n%s", name, strings.Join(args, " "), err, out)
	}
	return string(out)
}

func TestDeployOnLargeSectors(t *testing.T) {
	m := dirty(64 << 20)
	m.sector = 4096
	r := newRack(t, newDrive("A", m))
	r.deploy(diskImage(8<<20, 4096), Raw)
	if next := r.agent.Run(t.Context()); next != Restart {
		t.Fatalf("next %d: %+v", next, r.last(t).Error)
	}
	judgeDisk(t, m.b, 4096)
}

// TestDeployFailsWithoutAStart: whatever goes wrong, the machine is not restarted, and the drive
// has nothing that a firmware could start.
func TestDeployFailsWithoutAStart(t *testing.T) {
	for name, c := range map[string]struct {
		change func(r *rack, m *memory)
		code   ErrorCode
		text   string
	}{
		"SHA-256": {func(r *rack, _ *memory) { r.image[5<<20]++ }, ImageChecksum, "SHA-256"},
		"longer":  {func(r *rack, _ *memory) { r.image = append(r.image, 0) }, ImageChecksum, "more than"},
		"shorter": {func(r *rack, _ *memory) { r.image = r.image[:len(r.image)-1] }, ImageUnavailable, "ended after"},
		"status": {func(r *rack, _ *memory) {
			r.answer = func(w http.ResponseWriter, request *http.Request) bool {
				if request.URL.Path == "/image" {
					w.WriteHeader(http.StatusServiceUnavailable)
				}
				return request.URL.Path == "/image"
			}
		}, ImageUnavailable, "503"},
		"no table": {func(r *rack, _ *memory) {
			clear(r.image[:mebibyte])
			r.deploy(r.image, Raw)
		}, ImageInvalid, "no GUID partition table"},
		"damaged table": {func(r *rack, _ *memory) {
			r.image[512+60]++
			r.deploy(r.image, Raw)
		}, ImageInvalid, "header's checksum"},
		"damaged partitions": {func(r *rack, _ *memory) {
			r.image[1024+40]++
			r.deploy(r.image, Raw)
		}, ImageInvalid, "partitions' checksum"},
		"no space":    {func(_ *rack, m *memory) { m.b = m.b[:9<<20] }, ImageInvalid, "no space"},
		"sector size": {func(_ *rack, m *memory) { m.sector = 4096 }, ImageInvalid, "sectors of 512 bytes"},
		"write": {func(_ *rack, m *memory) { m.failWrite = 6 << 20 }, WriteFailed,
			"clear the drive's partition table"},
		"other drive": {func(r *rack, _ *memory) { r.job.Image.Drive = "B" }, DriveNotFound, "no drive"},
		"too large":   {func(_ *rack, m *memory) { m.b = m.b[:7<<20] }, DriveNotFound, "no drive"},
		"not qcow2": {func(r *rack, _ *memory) {
			r.job.Image.Format = QCOW2
		}, ImageInvalid, "not a qcow2 image"},
		"qcow2 with another SHA-256": {func(r *rack, _ *memory) {
			r.job.Image.Format = QCOW2
			r.image[5<<20]++
		}, ImageChecksum, "SHA-256"},
	} {
		t.Run(name, func(t *testing.T) {
			m := dirty(32 << 20)
			copy(m.b, diskImage(32<<20, 512)) // a former system, which could be started
			r := newRack(t, newDrive("A", m))
			r.deploy(diskImage(8<<20, 512), Raw)
			c.change(r, m)
			next := r.agent.Run(t.Context())
			last := r.last(t)
			if next != PowerOff || last.Phase != Stopped || last.Error == nil || last.Error.Code != c.code ||
				!strings.Contains(last.Error.Message, c.text) {
				t.Fatalf("next %d, %+v", next, last.Error)
			}
			if c.code == DriveNotFound || c.code == WriteFailed {
				return // nothing could be changed
			}
			if !isZero(m.b[:mebibyte]) || !isZero(m.b[len(m.b)-mebibyte:]) {
				t.Error("the ends of the drive are not cleared")
			}
		})
	}
}

// TestDeployTriesAgain: a connection that breaks is no failure of the image.
func TestDeployTriesAgain(t *testing.T) {
	m := dirty(32 << 20)
	r := newRack(t, newDrive("A", m))
	image := diskImage(8<<20, 512)
	r.deploy(image, Raw)
	broken := 0
	r.answer = func(w http.ResponseWriter, request *http.Request) bool {
		if request.URL.Path != "/image" || broken == 2 {
			return false
		}
		broken++
		_, _ = w.Write(image[:3<<20])
		panic(http.ErrAbortHandler)
	}
	if next := r.agent.Run(t.Context()); next != Restart || broken != 2 {
		t.Errorf("next %d after %d, %+v", next, broken, r.last(t).Error)
	}
	judgeDisk(t, m.b, 512)
}

// TestDeployKeepsTheTokenFromOthers: another server's image is read without it.
func TestDeployKeepsTheTokenFromOthers(t *testing.T) {
	image := diskImage(8<<20, 512)
	var seen http.Header
	other := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, request *http.Request) {
		seen = request.Header
		_, _ = w.Write(image)
	}))
	defer other.Close()
	r := newRack(t, newDrive("A", dirty(32<<20)))
	r.deploy(image, Raw)
	r.job.Image.URL = other.URL + "/image"
	if next := r.agent.Run(t.Context()); next != Restart {
		t.Fatalf("next %d, %+v", next, r.last(t).Error)
	}
	if seen == nil || seen.Get("Authorization") != "" {
		t.Errorf("the other server got %v", seen)
	}
}

// TestDeployErasesFirst: a failed erasure is not followed by a deployment.
func TestDeployErasesFirst(t *testing.T) {
	for _, lies := range []bool{false, true} {
		m := dirty(32 << 20)
		d := newDrive("A", m)
		if lies {
			d.Erase = func(context.Context, Method) error { return nil }
		}
		r := newRack(t, d)
		r.deploy(diskImage(8<<20, 512), Raw)
		r.job.Erase = &ErasePlan{}
		next := r.agent.Run(t.Context())
		last := r.last(t)
		if last.Erasure == nil || last.Erasure.Complete() == lies || (next == Restart) == lies {
			t.Errorf("lies %v: next %d, %+v", lies, next, last)
		}
	}
}

// TestTargetIsTheSmallestThatFits has the cases of a job without and with a drive's serial.
func TestTargetIsTheSmallestThatFits(t *testing.T) {
	drives := []*Drive{
		newDrive("L", newMemory("large", 3000)), newDrive("S", newMemory("small", 1000), newMemory("small2", 2000)),
		newDrive("T", newMemory("twin", 2000)), newDrive("U", newMemory("usb", 900)),
	}
	drives[3].External = true
	for _, c := range []struct {
		serial string
		least  int64
		want   string
	}{
		{"", 1, "small"}, {"", 1001, "small2"}, {"", 2001, "large"}, {"L", 1, "large"}, {"T", 1, "twin"},
		{"U", 1, "usb"}, {"S", 2001, ""}, {"", 3001, ""}, {"X", 1, ""},
	} {
		s, found := target(drives, c.serial, c.least)
		if found != (c.want != "") || found && s.Name() != c.want {
			t.Errorf("%+v: got %v", c, s)
		}
	}
}

// sparse is a space of 16 MiB that has only what was written.
type sparse struct {
	sector int
	bytes  map[int64]byte
}

func (s *sparse) Name() string             { return "sparse" }
func (s *sparse) Size() int64              { return 16 << 20 }
func (s *sparse) SectorSize() int          { return s.sector }
func (s *sparse) Flush() error             { return nil }
func (s *sparse) Zero(_, _ int64) error    { return errors.ErrUnsupported }
func (s *sparse) outside(at, n int64) bool { return at < 0 || at+n > s.Size() }

func (s *sparse) ReadAt(b []byte, at int64) (int, error) {
	if s.outside(at, int64(len(b))) {
		return 0, io.EOF
	}
	for i := range b {
		b[i] = s.bytes[at+int64(i)]
	}
	return len(b), nil
}

func (s *sparse) WriteAt(b []byte, at int64) (int, error) {
	if s.outside(at, int64(len(b))) {
		return 0, errors.New("no space left on device")
	}
	for i := range b {
		delete(s.bytes, at+int64(i))
		if b[i] != 0 {
			s.bytes[at+int64(i)] = b[i]
		}
	}
	return len(b), nil
}

// withChecksums corrects the checksums of a table, so that the fuzzer gets beyond them.
func withChecksums(head []byte, sector int) []byte {
	head = bytes.Clone(head)
	if len(head) < 2*sector {
		return head
	}
	h, u32, put32 := head[sector:2*sector], binary.LittleEndian.Uint32, binary.LittleEndian.PutUint32
	at := binary.LittleEndian.Uint64(h[gptEntriesLBA:]) * uint64(sector)
	end := at + uint64(u32(h[gptEntries:]))*uint64(u32(h[gptEntrySize:]))
	if at < end && end <= uint64(len(head)) {
		put32(h[gptEntriesCRC:], crc32.ChecksumIEEE(head[at:end]))
	}
	if size := u32(h[gptSize:]); size >= gptMinHeader && int(size) <= sector {
		put32(h[gptCRC:], checksum(h[:size], gptCRC))
	}
	return head
}

// FuzzReadGPT: a table that is accepted can be extended to a larger drive, and is then a valid
// table whose partitions are as before, and do not overlap the new one.
func FuzzReadGPT(f *testing.F) {
	const size = 4 << 20
	f.Add(diskImage(size, 512)[:34*512])
	f.Add(diskImage(size, 4096)[:6*4096])
	f.Fuzz(func(t *testing.T, head []byte) {
		for _, sector := range []int{512, 4096} {
			head := withChecksums(head, sector)
			m := &sparse{sector: sector, bytes: map[int64]byte{}}
			if _, err := m.WriteAt(head[:min(len(head), mebibyte)], 0); err != nil {
				t.Fatal(err)
			}
			table, err := readGPT(m, int64(sector))
			if err != nil {
				continue
			}
			before := bytes.Clone(table.entries)
			start, err := table.extend(m.Size(), noCloudSize, "cidata")
			if err != nil {
				continue
			}
			if err := table.write(m); err != nil {
				t.Fatal(err)
			}
			again, err := readGPT(m, int64(sector))
			if err != nil {
				t.Fatal(err)
			}
			if start < 0 || start+noCloudSize > m.Size() || start%mebibyte != 0 {
				t.Errorf("the new partition is at %d", start)
			}
			each, added := int(again.u32(gptEntrySize)), 0
			for at := 0; at < len(before); at += each {
				if bytes.Equal(before[at:at+each], again.entries[at:at+each]) {
					if end := binary.LittleEndian.Uint64(before[at+40:]); !isZero(before[at:at+16]) &&
						end*uint64(sector) >= uint64(start) {
						t.Errorf("a partition ends at %d, the new one starts at %d", end*uint64(sector), start)
					}
					continue
				}
				added++
			}
			if added != 1 {
				t.Errorf("%d partitions changed", added)
			}
		}
	})
}

func TestNoCloudFilesOfAllSizes(t *testing.T) {
	for _, size := range []int{0, 1, 4095, 4096, 4097, 300_000} {
		for _, sector := range []int{512, 4096} {
			c := Config{MetaData: "x", UserData: strings.Repeat("u", size), NetworkConfig: strings.Repeat("n", size/2)}
			b, err := noCloud(c, sector)
			if err != nil {
				t.Fatal(err)
			}
			file := filepath.Join(t.TempDir(), fmt.Sprint(size))
			if err := os.WriteFile(file, b, 0o600); err != nil {
				t.Fatal(err)
			}
			tool(t, "fsck.fat", "-n", file)
			if got := tool(t, "mtype", "-i", file, "::user-data"); got != c.UserData {
				t.Errorf("%d bytes: got %d", size, len(got))
			}
			if c.NetworkConfig != "" {
				if got := tool(t, "mtype", "-i", file, "::network-config"); got != c.NetworkConfig {
					t.Errorf("%d bytes: got %d", size, len(got))
				}
			}
		}
	}
	if _, err := noCloud(Config{UserData: strings.Repeat("u", maxConfig+1)}, 512); err == nil {
		t.Error("endless files are accepted")
	}
}
