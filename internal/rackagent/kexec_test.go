package rackagent

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"encoding/binary"
	"fmt"
	"io"
	"os/exec"
	"strings"
	"testing"
)

// putRecord writes a directory record, and returns what follows it.
func putRecord(b []byte, name string, sector, size int) []byte {
	n := (33 + len(name) + 1) &^ 1
	b[0], b[32] = byte(n), byte(len(name))
	binary.LittleEndian.PutUint32(b[2:], uint32(sector))
	binary.LittleEndian.PutUint32(b[10:], uint32(size))
	copy(b[33:], name)
	return b[n:]
}

func zipped(content []byte) []byte {
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	_, _ = z.Write(content)
	_ = z.Close()
	return b.Bytes()
}

// entries returns an archive of files, padded as cpio pads it.
func entries(files ...string) []byte {
	var b bytes.Buffer
	for i := 0; i < len(files); i += 2 {
		name, content := files[i], files[i+1]
		fmt.Fprintf(&b, "070701%048x%08x%032x%08x%08x%s\x00", 0, len(content), 0, len(name)+1, 0, name)
		for b.Len()%4 != 0 {
			b.WriteByte(0)
		}
		b.WriteString(content)
		for b.Len()%4 != 0 {
			b.WriteByte(0)
		}
	}
	b.Write(make([]byte, 512-b.Len()%512))
	return b.Bytes()
}

// bootISO is an image with a kernel and an initial file system of two archives.
func bootISO(t *testing.T, initrd []byte) *ISO {
	t.Helper()
	b := testISO(6<<20, 5<<20)
	putRecord(b[16*2048+156:], "\x00", 20, 2048)
	putRecord(putRecord(b[20*2048:], "\x00", 20, 2048), "BILLET", 21, 4096)
	clear(b[21*2048 : 23*2048])
	rest := putRecord(b[21*2048:], "\x00", 21, 4096)
	putRecord(rest, "INITRD.;1", 40, len(initrd))
	putRecord(b[22*2048:], "VMLINUZ.;1", 30, 6) // the second sector of the folder
	copy(b[30*2048:], "kernel")
	copy(b[40*2048:], initrd)
	iso, err := OpenISO(bytes.NewReader(b), int64(len(b)))
	if err != nil {
		t.Fatal(err)
	}
	return iso
}

func TestARunningSystemGetsTheAgentOutOfTheImage(t *testing.T) {
	initrd := append(zipped(entries("./modules/a.ko", "driver!", "TRAILER!!!", "")),
		zipped(entries(".", "", "./init", "program", "TRAILER!!!", ""))...)
	b, err := bootISO(t, initrd).Boot()
	if err != nil || string(b.Program) != "program" {
		t.Fatalf("%q, %v", b.Program, err)
	}
	for range 2 { // it is read from the start each time
		in, err := b.Input(parameters)
		if err != nil {
			t.Fatal(err)
		}
		r := bufio.NewReader(in)
		l, err := ReadLoad(r)
		if err != nil || strings.Contains(l.CommandLine, parameters.Token) {
			t.Fatalf("%+v, %v", l, err)
		}
		content, err := io.ReadAll(r)
		if err != nil || int64(len(content)) != l.Kernel+l.Initrd || string(content[:l.Kernel]) != "kernel" ||
			!bytes.HasPrefix(content[l.Kernel:], initrd) {
			t.Fatalf("%d bytes of %+v, %v", len(content), l, err)
		}
		checkOwn(t, content[int(l.Kernel)+len(initrd):])
	}
}

// checkOwn has cpio list the archive with the parameters, and read them.
func checkOwn(t *testing.T, archive []byte) {
	t.Helper()
	archive = bytes.TrimLeft(archive, "\x00")
	list := exec.Command("cpio", "-itv", "--quiet")
	list.Stdin = bytes.NewReader(archive)
	text, err := list.CombinedOutput()
	if err != nil || !strings.HasPrefix(string(text), "-r--------") ||
		!strings.HasSuffix(strings.TrimSpace(string(text)), " billet.parameters") {
		t.Errorf("cpio lists %q, %v", text, err)
	}
	read := exec.Command("cpio", "-i", "--quiet", "--to-stdout", "billet.parameters")
	read.Stdin = bytes.NewReader(archive)
	line, err := read.Output()
	if err != nil {
		t.Fatal(err)
	}
	if p, err := ParseCommandLine(string(line)); err != nil || p.Token != parameters.Token {
		t.Errorf("%+v, %v", p, err)
	}
}

func TestADamagedImageStartsNothing(t *testing.T) {
	for name, initrd := range map[string][]byte{
		"not compressed":   []byte("initrd"),
		"no init":          zipped(entries("./other", "x", "TRAILER!!!", "")),
		"no archive":       zipped([]byte(strings.Repeat("x", 500))),
		"cut short":        zipped(entries("./init", strings.Repeat("x", 5000))[:3000]),
		"a wrong size":     zipped([]byte("070701" + strings.Repeat("g", 104))),
		"an endless entry": zipped([]byte("070701" + strings.Repeat("f", 104))),
	} {
		if _, err := bootISO(t, initrd).Boot(); err == nil {
			t.Errorf("%s: it was read", name)
		}
	}
	b := testISO(6<<20, 5<<20) // an image without folders
	iso, err := OpenISO(bytes.NewReader(b), int64(len(b)))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := iso.Boot(); err == nil {
		t.Error("an image without files was read")
	}
	for _, line := range []string{"", "x\n", `{"kernel":0,"initrd":5}` + "\n", `{"kernel":5}` + "\n"} {
		if _, err := ReadLoad(bufio.NewReader(strings.NewReader(line))); err == nil {
			t.Errorf("%q was read", line)
		}
	}
}
