package sftpserver

import (
	"encoding/binary"
	"os/user"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// extensions are OpenSSH's, with the versions that a client is told.
var extensions = []struct {
	name, version string
	answer        func(*server, uint32, *message) (packet, error)
}{
	{"posix-rename@openssh.com", "1", (*server).posixRename},
	{"statvfs@openssh.com", "2", (*server).statvfs},
	{"fstatvfs@openssh.com", "2", (*server).fstatvfs},
	{"hardlink@openssh.com", "1", (*server).hardlink},
	{"fsync@openssh.com", "1", (*server).fsync},
	{"lsetstat@openssh.com", "1", (*server).lsetstat},
	{"limits@openssh.com", "1", (*server).limits},
	{"expand-path@openssh.com", "1", (*server).expandPath},
	{"copy-data", "1", (*server).copyData},
	{"home-directory", "1", (*server).homeDirectory},
	{"users-groups-by-id@openssh.com", "1", (*server).usersGroups},
}

func (s *server) extended(id uint32, m *message) (packet, error) {
	name := m.string()
	for _, e := range extensions {
		if e.name == name {
			return e.answer(s, id, m)
		}
	}
	return nil, statusUnsupported
}

func (s *server) posixRename(_ uint32, m *message) (packet, error) {
	from, to := m.string(), m.string()
	if m.bad {
		return nil, nil
	}
	return nil, unix.Rename(from, to)
}

func (s *server) hardlink(_ uint32, m *message) (packet, error) {
	from, to := m.string(), m.string()
	if m.bad {
		return nil, nil
	}
	return nil, unix.Link(from, to)
}

func (s *server) fsync(_ uint32, m *message) (packet, error) {
	h := s.file(m.bytes())
	if h == nil {
		return nil, statusNoSuchFile
	}
	return nil, unix.Fsync(h.fd)
}

// lsetstat is setstat that changes a link itself. A link's size cannot be set.
func (s *server) lsetstat(_ uint32, m *message) (packet, error) {
	path, a := m.string(), m.attributes()
	if m.bad {
		return nil, nil
	}
	if a.flags&attrSize != 0 {
		return nil, statusBadMessage
	}
	return nil, a.apply(nil,
		func() error { return unix.Fchmodat(unix.AT_FDCWD, path, a.mode&0o7777, unix.AT_SYMLINK_NOFOLLOW) },
		func() error { return unix.UtimesNanoAt(unix.AT_FDCWD, path, a.times(), unix.AT_SYMLINK_NOFOLLOW) },
		func() error { return unix.Lchown(path, int(a.uid), int(a.gid)) })
}

func (s *server) limits(id uint32, _ *message) (packet, error) {
	p := reply(typeExtendedReply, id)
	for _, n := range []uint64{maxPacket, maxData, maxData, uint64(s.limit)} {
		p.u64(n)
	}
	return p, nil
}

// expandPath is realpath that knows "~" and "~user".
func (s *server) expandPath(id uint32, m *message) (packet, error) {
	path := m.string()
	if m.bad {
		return nil, nil
	}
	if rest, ok := strings.CutPrefix(path, "~"); ok {
		name, below, _ := strings.Cut(rest, "/")
		home := "."
		if name != "" {
			u, err := user.Lookup(name)
			if err != nil {
				return noSuchUser(id), nil
			}
			home = u.HomeDir
		}
		path = strings.TrimSuffix(home+"/"+below, "/")
	}
	path, err := canonical(path)
	if err != nil {
		return nil, err
	}
	return nameReply(id, path), nil
}

func noSuchUser(id uint32) packet {
	return statusReply(id, statusNoSuchFile, "no such user")
}

func (s *server) homeDirectory(id uint32, m *message) (packet, error) {
	name := m.string()
	if m.bad {
		return nil, nil
	}
	u, err := user.Lookup(name)
	if err != nil {
		return nil, statusFailure
	}
	return nameReply(id, u.HomeDir), nil
}

// usersGroups tells the names of many ids at once. An id without a name has an empty one.
func (s *server) usersGroups(id uint32, m *message) (packet, error) {
	users, groups := m.bytes(), m.bytes()
	p := reply(typeExtendedReply, id)
	for _, list := range []struct {
		ids  []byte
		name func(string) string
	}{{users, nameOfUser}, {groups, nameOfGroup}} {
		var names packet
		for ; len(list.ids) >= 4; list.ids = list.ids[4:] {
			names.string(list.name(strconv.FormatUint(uint64(binary.BigEndian.Uint32(list.ids)), 10)))
		}
		if len(list.ids) > 0 {
			m.bad = true
		}
		p.string(string(names))
	}
	return p, nil
}

func nameOfUser(id string) string {
	u, err := user.LookupId(id)
	if err != nil {
		return ""
	}
	return u.Username
}

func nameOfGroup(id string) string {
	g, err := user.LookupGroupId(id)
	if err != nil {
		return ""
	}
	return g.Name
}

// copyData copies a part of one open file into another; length 0 means to its end, and so does one
// beyond it.
func (s *server) copyData(_ uint32, m *message) (packet, error) {
	from, offset, length, to, at := s.file(m.bytes()), m.u64(), m.u64(), s.file(m.bytes()), m.u64()
	if m.bad {
		return nil, nil
	}
	if from == nil || to == nil || from.path == to.path {
		return nil, statusFailure
	}
	if _, err := unix.Seek(from.fd, int64(offset), 0); err != nil {
		return nil, err
	}
	if !to.appends {
		if _, err := unix.Seek(to.fd, int64(at), 0); err != nil {
			return nil, err
		}
	}
	toEnd := length == 0
	b := make([]byte, 64<<10)
	for toEnd || length > 0 {
		want := b
		if !toEnd && length < uint64(len(b)) {
			want = b[:length]
		}
		n, err := readAgain(from.fd, want)
		if err != nil {
			return nil, err
		}
		if n == 0 {
			return nil, nil
		}
		if err := writeAll(to.fd, want[:n]); err != nil {
			return nil, err
		}
		length -= min(uint64(n), length)
	}
	return nil, nil
}

func (s *server) statvfs(id uint32, m *message) (packet, error) {
	path := m.string()
	if m.bad {
		return nil, nil
	}
	return fileSystem(id, func(st *unix.Statfs_t) error { return unix.Statfs(path, st) })
}

func (s *server) fstatvfs(id uint32, m *message) (packet, error) {
	h := s.file(m.bytes())
	if h == nil {
		return nil, statusFailure
	}
	return fileSystem(id, func(st *unix.Statfs_t) error { return unix.Fstatfs(h.fd, st) })
}

func fileSystem(id uint32, ask func(*unix.Statfs_t) error) (packet, error) {
	var st unix.Statfs_t
	if err := ask(&st); err != nil {
		return nil, err
	}
	v := statvfsOf(&st)
	p := reply(typeExtendedReply, id)
	for _, n := range []uint64{
		v.blockSize, v.fragmentSize, v.blocks, v.free, v.available, v.files, v.filesFree, v.filesFree, v.id, v.flags,
		v.nameMax,
	} {
		p.u64(n)
	}
	return p, nil
}

// fileSystemInfo is what the systems' calls have in common.
type fileSystemInfo struct {
	blockSize, fragmentSize, blocks, free, available, files, filesFree, id, flags, nameMax uint64
}

// Flags of a file system in the protocol.
const (
	readOnlyFlag = 1
	noSUIDFlag   = 2
)
