package sftpserver

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"io"

	"golang.org/x/sys/unix"
)

// Limits of one session, as OpenSSH's server has them.
const (
	version    = 3
	maxPacket  = 256 << 10
	maxData    = maxPacket - 1024
	maxHandles = 4096 // open files and directories; fewer where the process may open fewer
	batch      = 100  // entries of one answer to readdir
)

type server struct {
	in      *bufio.Reader
	out     *bufio.Writer
	handles map[uint32]*handle
	next    uint32
	limit   int // of handles
}

// Serve answers the requests that come in until the stream ends. Files and directories are opened
// with the rights, the working directory and the umask of this process.
func Serve(in io.Reader, out io.Writer) error {
	s := &server{
		in: bufio.NewReaderSize(in, maxPacket), out: bufio.NewWriterSize(out, 64<<10), handles: map[uint32]*handle{},
		limit: maxHandles,
	}
	var files unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &files); err == nil && files.Cur > 32 {
		s.limit = int(min(files.Cur-16, maxHandles))
	}
	defer func() {
		for _, h := range s.handles {
			h.close()
		}
	}()
	for {
		b, err := s.receive()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		if err := s.answer(b[0], &message{b: b[1:]}); err != nil {
			return err
		}
		if s.in.Buffered() > 0 {
			continue // more requests are there: answer them together
		}
		if err := s.out.Flush(); err != nil {
			return err
		}
	}
}

func (s *server) receive() ([]byte, error) {
	var length [4]byte
	if _, err := io.ReadFull(s.in, length[:]); err != nil {
		return nil, err
	}
	n := binary.BigEndian.Uint32(length[:])
	if n == 0 || n > maxPacket {
		return nil, fmt.Errorf("a packet has %d bytes; 1 to %d are allowed", n, maxPacket)
	}
	b := make([]byte, n)
	if _, err := io.ReadFull(s.in, b); err != nil {
		return nil, fmt.Errorf("read a packet: %w", errors.Join(err, io.ErrUnexpectedEOF))
	}
	return b, nil
}

func (s *server) send(p packet) error {
	var length [4]byte
	binary.BigEndian.PutUint32(length[:], uint32(len(p)))
	if _, err := s.out.Write(length[:]); err != nil {
		return err
	}
	_, err := s.out.Write(p)
	return err
}

// reply begins the answer to a request.
func reply(kind byte, id uint32) packet {
	p := packet{kind}
	p.u32(id)
	return p
}

func (s *server) sendStatus(id uint32, err error) error {
	code := statusOf(err)
	return s.send(statusReply(id, code, code.Error()))
}

func statusReply(id uint32, code status, text string) packet {
	p := reply(typeStatus, id)
	p.u32(uint32(code))
	p.string(text)
	p.string("") // language
	return p
}

// operations answer requests. They return a packet, or an error that is sent as a status; both nil
// is success.
var operations = map[byte]func(*server, uint32, *message) (packet, error){
	typeOpen: (*server).open, typeClose: (*server).close, typeRead: (*server).read, typeWrite: (*server).write,
	typeLstat: (*server).lstat, typeFstat: (*server).fstat, typeStat: (*server).stat,
	typeSetstat: (*server).setstat, typeFsetstat: (*server).fsetstat,
	typeOpendir: (*server).opendir, typeReaddir: (*server).readdir, typeRemove: (*server).remove,
	typeMkdir: (*server).mkdir, typeRmdir: (*server).rmdir, typeRealpath: (*server).realpath,
	typeRename: (*server).rename, typeReadlink: (*server).readlink, typeSymlink: (*server).symlink,
	typeExtended: (*server).extended,
}

var errCutShort = errors.New("a request is cut short")

// answer answers one request. It returns an error only when the session cannot go on.
func (s *server) answer(kind byte, m *message) error {
	if kind == typeInit {
		if m.u32(); m.bad {
			return errCutShort
		}
		p := packet{typeVersion}
		p.u32(version)
		for _, e := range extensions {
			p.string(e.name)
			p.string(e.version)
		}
		return s.send(p)
	}
	id := m.u32()
	operation := operations[kind]
	if operation == nil {
		if m.bad {
			return errCutShort
		}
		return s.sendStatus(id, statusUnsupported)
	}
	p, err := operation(s, id, m)
	if m.bad {
		return errCutShort
	}
	if err != nil || p == nil {
		return s.sendStatus(id, err)
	}
	return s.send(p)
}
