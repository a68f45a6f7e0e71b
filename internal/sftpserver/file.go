package sftpserver

import (
	"encoding/binary"
	"errors"
	"io"
	"os"

	"golang.org/x/sys/unix"
)

// handle is an open file or directory.
type handle struct {
	path     string   // as the client named it
	fd       int      // of a file
	appends  bool     // what is written goes to the end, whatever the offset
	dir      *os.File // of a directory
	dotsSent bool
}

func (h *handle) close() error {
	if h.dir != nil {
		return h.dir.Close()
	}
	return unix.Close(h.fd)
}

func (s *server) keep(id uint32, h *handle) (packet, error) {
	if len(s.handles) >= s.limit {
		h.close()
		return nil, statusFailure
	}
	for s.handles[s.next] != nil {
		s.next++
	}
	s.handles[s.next] = h
	p := reply(typeHandle, id)
	p.string(string(binary.BigEndian.AppendUint32(nil, s.next)))
	s.next++
	return p, nil
}

func (s *server) handle(name []byte) *handle {
	if len(name) != 4 {
		return nil
	}
	return s.handles[binary.BigEndian.Uint32(name)]
}

// file returns the open file of a handle, or nil for a directory's and for none. OpenSSH's server,
// too, changes and synchronizes no directory by its handle.
func (s *server) file(name []byte) *handle {
	if h := s.handle(name); h != nil && h.dir == nil {
		return h
	}
	return nil
}

// Flags of open.
const (
	openRead   = 1
	openWrite  = 2
	openAppend = 4
	openCreate = 8
	openTrunc  = 16
	openExcl   = 32
)

func openFlags(flags uint32) int {
	to := unix.O_RDONLY
	switch {
	case flags&openRead != 0 && flags&openWrite != 0:
		to = unix.O_RDWR
	case flags&openWrite != 0:
		to = unix.O_WRONLY
	}
	for flag, bit := range map[uint32]int{openAppend: unix.O_APPEND, openCreate: unix.O_CREAT,
		openTrunc: unix.O_TRUNC, openExcl: unix.O_EXCL} {
		if flags&flag != 0 {
			to |= bit
		}
	}
	return to
}

func (s *server) open(id uint32, m *message) (packet, error) {
	path, flags, a := m.string(), m.u32(), m.attributes()
	if m.bad {
		return nil, nil
	}
	fd, err := openFile(path, openFlags(flags), a.modeOr(0o666))
	if err != nil {
		return nil, err
	}
	return s.keep(id, &handle{path: path, fd: fd, appends: flags&openAppend != 0})
}

// openFile repeats what a signal of the Go runtime interrupts: opening a FIFO may wait.
func openFile(path string, flags int, mode uint32) (int, error) {
	for {
		fd, err := unix.Open(path, flags|unix.O_CLOEXEC|unix.O_NOCTTY, mode)
		if !errors.Is(err, unix.EINTR) {
			return fd, err
		}
	}
}

func (s *server) close(_ uint32, m *message) (packet, error) {
	name := m.bytes()
	h := s.handle(name)
	if h == nil {
		return nil, statusNoSuchFile
	}
	delete(s.handles, binary.BigEndian.Uint32(name))
	return nil, h.close()
}

func (s *server) read(id uint32, m *message) (packet, error) {
	h, offset, length := s.file(m.bytes()), m.u64(), m.u32()
	if h == nil {
		return nil, statusFailure
	}
	p := reply(typeData, id)
	p.u32(0)
	head := len(p)
	length = min(length, maxData)
	p = append(p, make([]byte, length)...)
	n, err := 0, error(nil)
	if _, err = unix.Seek(h.fd, int64(offset), io.SeekStart); err == nil && length > 0 {
		n, err = readAgain(h.fd, p[head:])
	}
	if err != nil {
		return nil, err
	}
	if n == 0 && length > 0 {
		return nil, statusEOF
	}
	binary.BigEndian.PutUint32(p[head-4:], uint32(n))
	return p[:head+n], nil
}

func readAgain(fd int, b []byte) (int, error) {
	for {
		n, err := unix.Read(fd, b)
		if !errors.Is(err, unix.EINTR) {
			return max(n, 0), err
		}
	}
}

func (s *server) write(_ uint32, m *message) (packet, error) {
	h, offset, data := s.file(m.bytes()), m.u64(), m.bytes()
	if h == nil {
		return nil, statusFailure
	}
	if !h.appends {
		if _, err := unix.Seek(h.fd, int64(offset), io.SeekStart); err != nil {
			return nil, err
		}
	}
	return nil, writeAll(h.fd, data)
}

func writeAll(fd int, data []byte) error {
	for len(data) > 0 {
		n, err := unix.Write(fd, data)
		if errors.Is(err, unix.EINTR) {
			continue
		}
		if err != nil {
			return err
		}
		data = data[n:]
	}
	return nil
}

func attributesReply(id uint32, st *unix.Stat_t, err error) (packet, error) {
	if err != nil {
		return nil, err
	}
	p := reply(typeAttrs, id)
	p.attributes(attributesOf(st))
	return p, nil
}

func (s *server) stat(id uint32, m *message) (packet, error) {
	var st unix.Stat_t
	err := unix.Stat(m.string(), &st)
	return attributesReply(id, &st, err)
}

func (s *server) lstat(id uint32, m *message) (packet, error) {
	var st unix.Stat_t
	err := unix.Lstat(m.string(), &st)
	return attributesReply(id, &st, err)
}

func (s *server) fstat(id uint32, m *message) (packet, error) {
	h := s.file(m.bytes())
	if h == nil {
		return nil, statusFailure
	}
	var st unix.Stat_t
	err := unix.Fstat(h.fd, &st)
	return attributesReply(id, &st, err)
}

// apply makes all changes that are asked for, even after one that failed, and returns the last
// failure.
func (a attributes) apply(truncate, chmod, times, chown func() error) error {
	var failed error
	for _, c := range []struct {
		flag   uint32
		change func() error
	}{{attrSize, truncate}, {attrMode, chmod}, {attrTimes, times}, {attrOwner, chown}} {
		if a.flags&c.flag != 0 {
			if err := c.change(); err != nil {
				failed = err
			}
		}
	}
	return failed
}

func (s *server) setstat(_ uint32, m *message) (packet, error) {
	path, a := m.string(), m.attributes()
	if m.bad {
		return nil, nil
	}
	return nil, a.apply(
		func() error { return unix.Truncate(path, int64(a.size)) },
		func() error { return unix.Chmod(path, a.mode&0o7777) },
		func() error { return unix.UtimesNanoAt(unix.AT_FDCWD, path, a.times(), 0) },
		func() error { return unix.Chown(path, int(a.uid), int(a.gid)) })
}

func (s *server) fsetstat(_ uint32, m *message) (packet, error) {
	h, a := s.file(m.bytes()), m.attributes()
	if m.bad {
		return nil, nil
	}
	if h == nil {
		return nil, statusFailure
	}
	return nil, a.apply(
		func() error { return unix.Ftruncate(h.fd, int64(a.size)) },
		func() error { return unix.Fchmod(h.fd, a.mode&0o7777) },
		func() error { return setTimes(h.fd, a) },
		func() error { return unix.Fchown(h.fd, int(a.uid), int(a.gid)) })
}

func setTimes(fd int, a attributes) error {
	var tv []unix.Timeval
	for _, t := range a.times() {
		tv = append(tv, unix.NsecToTimeval(t.Nano()))
	}
	return unix.Futimes(fd, tv)
}

func (s *server) opendir(id uint32, m *message) (packet, error) {
	path := m.string()
	if m.bad {
		return nil, nil
	}
	fd, err := openFile(path, unix.O_RDONLY|unix.O_DIRECTORY, 0)
	if err != nil {
		return nil, err
	}
	return s.keep(id, &handle{dir: os.NewFile(uintptr(fd), path), path: path})
}

func (s *server) readdir(id uint32, m *message) (packet, error) {
	h := s.handle(m.bytes())
	if h == nil || h.dir == nil {
		return nil, statusFailure
	}
	var names []string
	if !h.dotsSent {
		h.dotsSent, names = true, []string{".", ".."}
	}
	more, err := h.dir.Readdirnames(batch - len(names))
	if err != nil && !errors.Is(err, io.EOF) && len(names) == 0 {
		return nil, err
	}
	p := reply(typeName, id)
	p.u32(0)
	count := uint32(0)
	for _, name := range append(names, more...) {
		var st unix.Stat_t
		if unix.Lstat(h.path+"/"+name, &st) != nil {
			continue // it is gone since
		}
		p.string(name)
		p.string(longName(name, &st))
		p.attributes(attributesOf(&st))
		count++
	}
	if count == 0 {
		return nil, statusEOF
	}
	binary.BigEndian.PutUint32(p[5:], count)
	return p, nil
}

func (s *server) remove(_ uint32, m *message) (packet, error) {
	path := m.string()
	if m.bad {
		return nil, nil
	}
	return nil, unix.Unlink(path)
}

func (s *server) mkdir(_ uint32, m *message) (packet, error) {
	path, a := m.string(), m.attributes()
	if m.bad {
		return nil, nil
	}
	return nil, unix.Mkdir(path, a.modeOr(0o777))
}

func (s *server) rmdir(_ uint32, m *message) (packet, error) {
	path := m.string()
	if m.bad {
		return nil, nil
	}
	return nil, unix.Rmdir(path)
}

// rename never replaces a file: that is what posix-rename@openssh.com is for.
func (s *server) rename(_ uint32, m *message) (packet, error) {
	from, to := m.string(), m.string()
	if m.bad {
		return nil, nil
	}
	var st unix.Stat_t
	if err := unix.Lstat(from, &st); err != nil {
		return nil, err
	}
	if st.Mode&unix.S_IFMT == unix.S_IFREG {
		// A link fails where the name is taken, in one step.
		err := unix.Link(from, to)
		if err == nil {
			if err = unix.Unlink(from); err != nil {
				_ = unix.Unlink(to)
			}
			return nil, err
		}
		if !errors.Is(err, unix.EOPNOTSUPP) && !errors.Is(err, unix.ENOSYS) && !errors.Is(err, unix.EXDEV) &&
			!errors.Is(err, unix.EPERM) {
			return nil, err
		}
	}
	if unix.Stat(to, &st) == nil {
		return nil, statusFailure
	}
	return nil, unix.Rename(from, to)
}

func (s *server) readlink(id uint32, m *message) (packet, error) {
	path := m.string()
	if m.bad {
		return nil, nil
	}
	b := make([]byte, unix.PathMax)
	n, err := unix.Readlink(path, b)
	if err != nil {
		return nil, err
	}
	return nameReply(id, string(b[:n])), nil
}

// symlink takes the target first and the link second, as OpenSSH's server does and its clients
// expect, and not in the order of the protocol's draft. Clients that know both choose by the name
// in the SSH server's identification.
func (s *server) symlink(_ uint32, m *message) (packet, error) {
	target, link := m.string(), m.string()
	if m.bad {
		return nil, nil
	}
	return nil, unix.Symlink(target, link)
}

// nameReply is an answer of one name without attributes.
func nameReply(id uint32, name string) packet {
	p := reply(typeName, id)
	p.u32(1)
	p.string(name)
	p.string(name)
	p.attributes(attributes{})
	return p
}
