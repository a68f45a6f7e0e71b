package rackagent

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
)

// ParametersFile is where the agent reads its parameters if it was started by another system: the
// kernel command line is in the log of the system that starts it.
const ParametersFile = "/billet.parameters"

// kexecLine is the kernel command line of an agent that another system starts.
const kexecLine = "console=tty0 console=ttyS0,115200 quiet panic=30"

const (
	// maxProgram is how many bytes the agent may have.
	maxProgram = 64 << 20
	// maxLoad is how many bytes a kernel or an initial file system may have.
	maxLoad = 1 << 30
)

// Boot is what a running Linux starts the agent with, out of the ISO image. Its readers are read
// from the start each time.
type Boot struct {
	Kernel, Initrd *io.SectionReader
	// Program is the agent itself. Its command "kexec" loads what follows on its input.
	Program []byte
}

// Boot returns what a running Linux starts the agent with.
func (i *ISO) Boot() (b Boot, err error) {
	if b.Kernel, err = i.file("BILLET", "VMLINUZ"); err != nil {
		return b, err
	}
	if b.Initrd, err = i.file("BILLET", "INITRD"); err != nil {
		return b, err
	}
	if b.Program, err = findProgram(io.NewSectionReader(b.Initrd, 0, b.Initrd.Size())); err != nil {
		err = fmt.Errorf("the agent's initial file system cannot be read: %w", err)
	}
	return b, err
}

// file finds a file by the names of its folder and its own, in the ISO's upper case.
func (i *ISO) file(path ...string) (*io.SectionReader, error) {
	root := make([]byte, 34)
	if _, err := i.base.ReadAt(root, 16*2048+156); err != nil {
		return nil, err
	}
	at, size := extent(root)
	for _, name := range path {
		if size > 1<<20 {
			return nil, errors.New("the ISO image has a folder that is too large")
		}
		folder := make([]byte, size)
		if _, err := i.base.ReadAt(folder, at); err != nil {
			return nil, err
		}
		record := findRecord(folder, name)
		if record == nil {
			return nil, fmt.Errorf("the ISO image has no %s", strings.ToLower(strings.Join(path, "/")))
		}
		at, size = extent(record)
	}
	if size < 1 || size > maxLoad || at+size > i.size {
		return nil, fmt.Errorf("%s in the ISO image is damaged", strings.ToLower(strings.Join(path, "/")))
	}
	return io.NewSectionReader(i.base, at, size), nil
}

// extent returns where the content of a directory record is.
func extent(record []byte) (at, size int64) {
	return int64(binary.LittleEndian.Uint32(record[2:])) * 2048, int64(binary.LittleEndian.Uint32(record[10:]))
}

// findRecord returns the record of that name in a folder; nil if there is none.
func findRecord(folder []byte, name string) []byte {
	for at := 0; at < len(folder); {
		length := int(folder[at])
		if length == 0 { // no record crosses a sector
			at = (at/2048 + 1) * 2048
			continue
		}
		if length < 34 || at+length > len(folder) || 33+int(folder[at+32]) > length {
			return nil
		}
		record := folder[at : at+length]
		found, _, _ := strings.Cut(string(record[33:33+int(record[32])]), ";")
		if strings.TrimSuffix(found, ".") == name {
			return record
		}
		at += length
	}
	return nil
}

// findProgram returns the file init of an initial file system of several compressed archives.
func findProgram(initrd io.Reader) ([]byte, error) {
	z, err := gzip.NewReader(initrd)
	if err != nil {
		return nil, err
	}
	r := bufio.NewReaderSize(z, 1<<20)
	for {
		if err := skipPadding(r); err != nil {
			return nil, err
		}
		name, size, err := readEntry(r)
		if err != nil {
			return nil, err
		}
		if strings.TrimPrefix(name, "./") == "init" && size > 0 {
			program := make([]byte, size)
			_, err := io.ReadFull(r, program)
			return program, err
		}
		if _, err := r.Discard(int(aligned(size))); err != nil {
			return nil, err
		}
	}
}

// skipPadding reads on to the next entry: archives are padded with zeros.
func skipPadding(r *bufio.Reader) error {
	for {
		b, err := r.ReadByte()
		if errors.Is(err, io.EOF) {
			return errors.New("it has no init")
		}
		if err != nil {
			return err
		}
		if b != 0 {
			return r.UnreadByte()
		}
	}
}

func aligned(n int64) int64 { return (n + 3) &^ 3 }

// entryHeader is the length of the header of an entry in the format that Linux reads (newc).
const entryHeader = 110

// readEntry reads the header and the name of an entry of an archive.
func readEntry(r io.Reader) (name string, size int64, err error) {
	header := make([]byte, entryHeader)
	if _, err := io.ReadFull(r, header); err != nil {
		return "", 0, err
	}
	size, err = strconv.ParseInt(string(header[54:62]), 16, 64)
	length, err2 := strconv.ParseInt(string(header[94:102]), 16, 64)
	if err := errors.Join(err, err2); err != nil || string(header[:6]) != "070701" || size > maxProgram ||
		length < 1 || length > 4096 {
		return "", 0, errors.New("it is not an archive that the kernel reads")
	}
	text := make([]byte, aligned(entryHeader+length)-entryHeader)
	if _, err := io.ReadFull(r, text); err != nil {
		return "", 0, err
	}
	return string(text[:length-1]), size, nil
}

// archive returns the parameters as one more archive of the initial file system.
func (p Parameters) archive() ([]byte, error) {
	line, err := p.CommandLine()
	if err != nil {
		return nil, err
	}
	var b bytes.Buffer
	entry := func(name string, mode int, content string) {
		n := len(name) + 1
		fmt.Fprintf(&b, "070701%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x%s\x00",
			0, mode, 0, 0, 1, 0, len(content), 0, 0, 0, 0, n, 0, name)
		b.Write(make([]byte, aligned(entryHeader+int64(n))-entryHeader-int64(n)))
		b.WriteString(content)
		b.Write(make([]byte, aligned(int64(len(content)))-int64(len(content))))
	}
	entry(strings.TrimPrefix(ParametersFile, "/"), 0o100400, line)
	entry("TRAILER!!!", 0, "")
	return b.Bytes(), nil
}

// Load is the first line of the input of "billet-agent kexec". The kernel follows, then the initial
// file system.
type Load struct {
	CommandLine string `json:"commandLine"`
	Kernel      int64  `json:"kernel"` // bytes
	Initrd      int64  `json:"initrd"`
}

// Loaded is what "billet-agent kexec" prints once the agent is loaded and about to start.
const Loaded = "billet-agent: loaded"

// Input returns the input of "billet-agent kexec" that starts the agent with those parameters.
func (b Boot) Input(p Parameters) (io.Reader, error) {
	own, err := p.archive()
	if err != nil {
		return nil, err
	}
	pad := make([]byte, aligned(b.Initrd.Size())-b.Initrd.Size())
	head, err := json.Marshal(Load{
		CommandLine: kexecLine, Kernel: b.Kernel.Size(), Initrd: b.Initrd.Size() + int64(len(pad)+len(own)),
	})
	return io.MultiReader(
		bytes.NewReader(append(head, '\n')), io.NewSectionReader(b.Kernel, 0, b.Kernel.Size()),
		io.NewSectionReader(b.Initrd, 0, b.Initrd.Size()), bytes.NewReader(pad), bytes.NewReader(own),
	), err
}

// ReadLoad reads the first line of the input of "billet-agent kexec".
func ReadLoad(r *bufio.Reader) (l Load, err error) {
	line, err := r.ReadSlice('\n')
	if err == nil {
		err = json.Unmarshal(line, &l)
	}
	if err == nil && (l.Kernel < 1 || l.Kernel > maxLoad || l.Initrd < 1 || l.Initrd > maxLoad) {
		err = errors.New("the input has no kernel or no initial file system")
	}
	return l, err
}
