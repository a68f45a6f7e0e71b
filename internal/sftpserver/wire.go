package sftpserver

import (
	"encoding/binary"
	"errors"

	"golang.org/x/sys/unix"
)

// Types of packets.
const (
	typeInit          = 1
	typeVersion       = 2
	typeOpen          = 3
	typeClose         = 4
	typeRead          = 5
	typeWrite         = 6
	typeLstat         = 7
	typeFstat         = 8
	typeSetstat       = 9
	typeFsetstat      = 10
	typeOpendir       = 11
	typeReaddir       = 12
	typeRemove        = 13
	typeMkdir         = 14
	typeRmdir         = 15
	typeRealpath      = 16
	typeStat          = 17
	typeRename        = 18
	typeReadlink      = 19
	typeSymlink       = 20
	typeStatus        = 101
	typeHandle        = 102
	typeData          = 103
	typeName          = 104
	typeAttrs         = 105
	typeExtended      = 200
	typeExtendedReply = 201
)

// status is the code of a status packet. It is an error, so that operations return it as one.
type status uint32

const (
	statusOK          status = 0
	statusEOF         status = 1
	statusNoSuchFile  status = 2
	statusDenied      status = 3
	statusFailure     status = 4
	statusBadMessage  status = 5
	statusUnsupported status = 8
)

var statusTexts = map[status]string{
	statusOK: "Success", statusEOF: "End of file", statusNoSuchFile: "No such file", statusDenied: "Permission denied",
	statusFailure: "Failure", statusBadMessage: "Bad message", statusUnsupported: "Operation unsupported",
}

func (s status) Error() string { return statusTexts[s] }

// statusOf returns the code that OpenSSH's server sends for an error.
func statusOf(err error) status {
	if err == nil {
		return statusOK
	}
	if s, is := errors.AsType[status](err); is {
		return s
	}
	errno, is := errors.AsType[unix.Errno](err)
	if !is {
		return statusFailure
	}
	switch errno {
	case unix.ENOENT, unix.ENOTDIR, unix.EBADF, unix.ELOOP:
		return statusNoSuchFile
	case unix.EPERM, unix.EACCES, unix.EFAULT:
		return statusDenied
	case unix.ENAMETOOLONG, unix.EINVAL:
		return statusBadMessage
	case unix.ENOSYS:
		return statusUnsupported
	default:
		return statusFailure
	}
}

// message reads the fields of a request. After the first field that is not there, bad is set and
// all fields are zero.
type message struct {
	b   []byte
	bad bool
}

func (m *message) take(n uint64) []byte {
	if m.bad || n > uint64(len(m.b)) {
		m.bad, m.b = true, nil
		return nil
	}
	var field []byte
	field, m.b = m.b[:n:n], m.b[n:]
	return field
}

func (m *message) u32() uint32 {
	if b := m.take(4); b != nil {
		return binary.BigEndian.Uint32(b)
	}
	return 0
}

func (m *message) u64() uint64 {
	if b := m.take(8); b != nil {
		return binary.BigEndian.Uint64(b)
	}
	return 0
}

func (m *message) bytes() []byte  { return m.take(uint64(m.u32())) }
func (m *message) string() string { return string(m.bytes()) }

// Flags of attributes.
const (
	attrSize     = 1
	attrOwner    = 2
	attrMode     = 4
	attrTimes    = 8
	attrExtended = 1 << 31
)

// attributes are what a request says or an answer tells of a file; flags says which of them.
type attributes struct {
	flags        uint32
	size         uint64
	uid, gid     uint32
	mode         uint32
	atime, mtime uint32
}

func (m *message) attributes() attributes {
	a := attributes{flags: m.u32()}
	if a.flags&attrSize != 0 {
		a.size = m.u64()
	}
	if a.flags&attrOwner != 0 {
		a.uid, a.gid = m.u32(), m.u32()
	}
	if a.flags&attrMode != 0 {
		a.mode = m.u32()
	}
	if a.flags&attrTimes != 0 {
		a.atime, a.mtime = m.u32(), m.u32()
	}
	if a.flags&attrExtended != 0 {
		for n := m.u32(); n > 0 && !m.bad; n-- {
			m.bytes()
			m.bytes()
		}
	}
	return a
}

// modeOr returns the permission bits of the request, or what a file is made with when it has none.
func (a attributes) modeOr(otherwise uint32) uint32 {
	if a.flags&attrMode == 0 {
		return otherwise
	}
	return a.mode & 0o7777
}

func (a attributes) times() []unix.Timespec {
	return []unix.Timespec{unix.NsecToTimespec(int64(a.atime) * 1e9), unix.NsecToTimespec(int64(a.mtime) * 1e9)}
}

func attributesOf(st *unix.Stat_t) attributes {
	return attributes{
		flags: attrSize | attrOwner | attrMode | attrTimes, size: uint64(st.Size), uid: st.Uid, gid: st.Gid,
		mode: uint32(st.Mode), atime: uint32(st.Atim.Sec), mtime: uint32(st.Mtim.Sec),
	}
}

// packet is an answer under construction.
type packet []byte

func (p *packet) u32(n uint32)    { *p = binary.BigEndian.AppendUint32(*p, n) }
func (p *packet) u64(n uint64)    { *p = binary.BigEndian.AppendUint64(*p, n) }
func (p *packet) string(s string) { p.u32(uint32(len(s))); *p = append(*p, s...) }

func (p *packet) attributes(a attributes) {
	p.u32(a.flags)
	if a.flags == 0 {
		return
	}
	p.u64(a.size)
	for _, n := range []uint32{a.uid, a.gid, a.mode, a.atime, a.mtime} {
		p.u32(n)
	}
}
