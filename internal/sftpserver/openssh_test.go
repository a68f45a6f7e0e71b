package sftpserver

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// serveArg makes the test's own program this package's server, so that it has a working directory
// and a umask of its own.
const serveArg = "__sftp"

func TestMain(m *testing.M) {
	if len(os.Args) > 1 && os.Args[1] == serveArg {
		if err := Serve(os.Stdin, os.Stdout); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	os.Exit(m.Run())
}

// peer is a running server and its client.
type peer struct {
	t       *testing.T
	dir     string
	in      io.WriteCloser
	out     io.Reader
	cmd     *exec.Cmd
	id      uint32
	handles map[string]string
}

// umask is unusual, so that a mode that is not masked, or masked twice, shows.
const umask = 0o027

// masking is held while the umask, which belongs to the whole process, is that of the server to be
// started.
var masking sync.Mutex

func startPeer(t *testing.T, name string, args ...string) *peer {
	t.Helper()
	dir, err := filepath.EvalSymlinks(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), name, args...)
	cmd.Dir, cmd.Env, cmd.Stderr = dir, append(os.Environ(), "TZ=UTC"), os.Stderr
	p := &peer{t: t, dir: dir, cmd: cmd, handles: map[string]string{}}
	if p.in, err = cmd.StdinPipe(); err != nil {
		t.Fatal(err)
	}
	if p.out, err = cmd.StdoutPipe(); err != nil {
		t.Fatal(err)
	}
	if err = os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	masking.Lock()
	before := syscall.Umask(umask)
	err = cmd.Start()
	syscall.Umask(before)
	masking.Unlock()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		p.in.Close()
		_ = cmd.Wait()
	})
	return p
}

func (p *peer) write(b []byte) {
	p.t.Helper()
	if _, err := p.in.Write(binary.BigEndian.AppendUint32(nil, uint32(len(b)))); err != nil {
		p.t.Fatal(err)
	}
	if _, err := p.in.Write(b); err != nil {
		p.t.Fatal(err)
	}
}

func (p *peer) read() (byte, *message) {
	p.t.Helper()
	var length [4]byte
	if _, err := io.ReadFull(p.out, length[:]); err != nil {
		p.t.Fatal(err)
	}
	b := make([]byte, binary.BigEndian.Uint32(length[:]))
	if _, err := io.ReadFull(p.out, b); err != nil {
		p.t.Fatal(err)
	}
	return b[0], &message{b: b[1:]}
}

// init returns the version and the extensions that the server names, sorted.
func (p *peer) init() []string {
	p.t.Helper()
	p.write([]byte{typeInit, 0, 0, 0, 3})
	_, m := p.read()
	names := []string{fmt.Sprint("version ", m.u32())}
	for len(m.b) > 0 {
		names = append(names, m.string()+" "+m.string())
	}
	slices.Sort(names)
	return names
}

// h is a handle by the name that a step has given it, and at a path below the server's directory.
type (
	h  string
	at string
)

// call sends one request and describes the answer; a handle is kept as keep.
func (p *peer) call(keep string, kind byte, fields []any) string {
	p.t.Helper()
	p.id++
	b := reply(kind, p.id)
	for _, f := range fields {
		switch f := f.(type) {
		case string:
			b.string(f)
		case at:
			b.string(p.dir + "/" + string(f))
		case h:
			b.string(p.handles[string(f)])
		case int:
			b.u32(uint32(f))
		case uint64:
			b.u64(f)
		case attributes:
			b = appendAttributes(b, f)
		default:
			p.t.Fatalf("field %T", f)
		}
	}
	p.write(b)
	answer, m := p.read()
	if id := m.u32(); id != p.id {
		p.t.Fatalf("answer to %d has the id %d", p.id, id)
	}
	return strings.ReplaceAll(p.describe(keep, answer, m), p.dir, "DIR")
}

func appendAttributes(p packet, a attributes) packet {
	p.u32(a.flags)
	if a.flags&attrSize != 0 {
		p.u64(a.size)
	}
	if a.flags&attrOwner != 0 {
		p.u32(a.uid)
		p.u32(a.gid)
	}
	if a.flags&attrMode != 0 {
		p.u32(a.mode)
	}
	if a.flags&attrTimes != 0 {
		p.u32(a.atime)
		p.u32(a.mtime)
	}
	return p
}

func (p *peer) describe(keep string, kind byte, m *message) string {
	switch kind {
	case typeStatus:
		return fmt.Sprintf("status %d %s %q", m.u32(), m.string(), m.string())
	case typeHandle:
		p.handles[keep] = m.string()
		return "handle"
	case typeData:
		return fmt.Sprintf("data %q", m.string())
	case typeAttrs:
		return describeAttributes(m.attributes())
	case typeName:
		var lines []string
		for range m.u32() {
			name, long := m.string(), m.string()
			if strings.Contains(long, " ") {
				// The time of a file made by this test differs, and so does the number of links to
				// "..".
				f := strings.Fields(long)
				long = strings.Join(append(f[:5:5], f[8:]...), " ")
			}
			a := describeAttributes(m.attributes())
			if name == ".." {
				long, a = "", ""
			}
			lines = append(lines, fmt.Sprintf("%s|%s|%s", name, long, a))
		}
		slices.Sort(lines)
		return "names\n\t" + strings.Join(lines, "\n\t")
	case typeExtendedReply:
		return fmt.Sprintf("reply %q", m.b)
	default:
		return fmt.Sprintf("packet %d %q", kind, m.b)
	}
}

func describeAttributes(a attributes) string {
	text := fmt.Sprintf("flags %x", a.flags)
	if a.flags&attrSize != 0 && a.mode&0o170000 != 0o040000 {
		text += fmt.Sprint(" size ", a.size)
	}
	text += fmt.Sprintf(" owner %d:%d mode %o", a.uid, a.gid, a.mode)
	// Times that no step has set differ.
	if old(a.mtime) && a.flags&attrTimes != 0 {
		text += fmt.Sprint(" mtime ", a.mtime)
	}
	if old(a.atime) && a.flags&attrTimes != 0 {
		text += fmt.Sprint(" atime ", a.atime)
	}
	return text
}

func old(seconds uint32) bool { return time.Unix(int64(seconds), 0).Year() < 2020 }

// tree describes all files below the server's directory.
func (p *peer) tree() string {
	var b strings.Builder
	err := filepath.WalkDir(p.dir, func(path string, _ fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := os.Lstat(path)
		if err != nil {
			return err
		}
		name, st := strings.TrimPrefix(path, p.dir), info.Sys().(*syscall.Stat_t)
		fmt.Fprintf(&b, "%s %v %d:%d", name, info.Mode(), st.Uid, st.Gid)
		switch {
		case info.Mode()&os.ModeSymlink != 0:
			to, _ := os.Readlink(path)
			b.WriteString(" -> " + to)
		case info.Mode().IsRegular():
			content, _ := os.ReadFile(path)
			fmt.Fprintf(&b, " %q", content)
		}
		b.WriteByte('\n')
		return nil
	})
	if err != nil {
		p.t.Fatal(err)
	}
	return strings.ReplaceAll(b.String(), p.dir, "DIR")
}

func openSSHServer(t *testing.T) string {
	t.Helper()
	for _, path := range []string{"/usr/lib/openssh/sftp-server", "/usr/libexec/openssh/sftp-server",
		"/usr/libexec/sftp-server", "/usr/lib/ssh/sftp-server"} {
		if _, err := os.Stat(path); err == nil {
			return path
		}
	}
	t.Fatal("OpenSSH's sftp-server is not installed; scripts/need.sh installs it")
	return ""
}

// TestAnswersAsOpenSSHDoes sends the same requests to OpenSSH's sftp-server and to this one.
func TestAnswersAsOpenSSHDoes(t *testing.T) {
	t.Parallel()
	theirs := startPeer(t, openSSHServer(t))
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	ours := startPeer(t, self, serveArg)
	if want, got := theirs.init(), ours.init(); !slices.Equal(want, got) {
		t.Errorf("extensions: OpenSSH %q, this server %q", want, got)
	}
	for i, s := range steps(t) {
		want := theirs.call(s.keep, s.kind, s.fields)
		got := ours.call(s.keep, s.kind, s.fields)
		if want != got {
			t.Errorf("request %d, %s:\nOpenSSH     %s\nthis server %s", i, s.name, want, got)
		}
		if s.want != "" && !strings.HasPrefix(got, s.want) {
			t.Errorf("request %d, %s: %s, want %s", i, s.name, got, s.want)
		}
	}
	if want, got := theirs.tree(), ours.tree(); want != got {
		t.Errorf("files that are left:\nOpenSSH:\n%s\nthis server:\n%s", want, got)
	}
}

// step is a request. keep names the handle that the answer holds; want is how the answer begins
// where the comparison alone would not show that the step does anything.
type step struct {
	name   string
	kind   byte
	fields []any
	keep   string
	want   string
}

func steps(t *testing.T) []step {
	none := attributes{}
	mode := func(m uint32) attributes { return attributes{flags: attrMode, mode: m} }
	var all []step
	add := func(name string, kind byte, fields ...any) {
		all = append(all, step{name: name, kind: kind, fields: fields})
	}
	keep := func(handle, name string, kind byte, fields ...any) {
		all = append(all, step{name: name, kind: kind, fields: fields, keep: handle, want: "handle"})
	}
	want := func(answer string) { all[len(all)-1].want = answer }
	ext := func(name string, fields ...any) { add(name, typeExtended, append([]any{name}, fields...)...) }
	const ok = "status 0"

	for _, m := range []uint32{0o700, 0o777, 0o755, 0o1777, 0o2775, 0o4755, 0o40700, 0} {
		add(fmt.Sprintf("mkdir %o", m), typeMkdir, fmt.Sprintf("dir-%o", m), mode(m))
		want(ok)
		keep(fmt.Sprint("m", m), fmt.Sprintf("open a new file %o", m), typeOpen, fmt.Sprintf("file-%o", m),
			openWrite|openCreate, mode(m))
		add("close", typeClose, h(fmt.Sprint("m", m)))
		want(ok)
	}
	add("mkdir without a mode", typeMkdir, "dir", none)
	add("mkdir again", typeMkdir, "dir", none)
	add("mkdir below nothing", typeMkdir, "no/dir", none)
	add("mkdir empty", typeMkdir, "", none)
	add("mkdir with a size and an owner", typeMkdir, "dir-2", attributes{flags: attrSize | attrOwner | attrMode,
		size: 7, uid: 1, gid: 1, mode: 0o711})
	keep("f", "open without a mode", typeOpen, "file", openRead|openWrite|openCreate|openTrunc, none)
	add("write", typeWrite, h("f"), uint64(0), "hello world")
	want(ok)
	add("write with a gap", typeWrite, h("f"), uint64(15), "!")
	add("write nothing", typeWrite, h("f"), uint64(0), "")
	add("write before the beginning", typeWrite, h("f"), uint64(1<<63), "x")
	add("read", typeRead, h("f"), uint64(0), 5)
	want(`data "hello"`)
	add("read at the end", typeRead, h("f"), uint64(14), 100)
	add("read after the end", typeRead, h("f"), uint64(16), 100)
	want("status 1")
	add("read nothing", typeRead, h("f"), uint64(0), 0)
	add("read before the beginning", typeRead, h("f"), uint64(1<<63), 5)
	add("fstat", typeFstat, h("f"))
	want("flags f size 16")
	add("fsetstat", typeFsetstat, h("f"), attributes{flags: attrSize | attrMode | attrTimes | attrOwner, size: 5,
		uid: uint32(os.Getuid()), gid: uint32(os.Getgid()), mode: 0o4711, atime: 1e9, mtime: 1e9 + 1})
	want(ok)
	add("fstat after it", typeFstat, h("f"))
	ext("fsync@openssh.com", h("f"))
	ext("fstatvfs@openssh.com", "none")
	ext("fsync@openssh.com", "none")
	add("readdir of a file", typeReaddir, h("f"))
	add("close", typeClose, h("f"))
	add("close again", typeClose, h("f"))
	for name, kind := range map[string]byte{"read": typeRead, "fstat": typeFstat, "close": typeClose,
		"readdir": typeReaddir} {
		fields := []any{"nope"}
		if kind == typeRead {
			fields = append(fields, uint64(0), 5)
		}
		add(name+" without an open file", kind, fields...)
		fields[0] = "longer than a handle"
		add(name+" with a long handle", kind, fields...)
	}
	add("write without an open file", typeWrite, "nope", uint64(0), "x")
	add("fsetstat without an open file", typeFsetstat, "nope", mode(0o600))

	add("open nothing", typeOpen, "missing", openRead, none)
	want("status 2")
	add("open below a file", typeOpen, "file/x", openRead, none)
	add("open a new file that exists", typeOpen, "file", openWrite|openCreate|openExcl, none)
	add("open a directory for writing", typeOpen, "dir", openWrite, none)
	add("open with a long name", typeOpen, strings.Repeat("n", 300), openRead, none)
	keep("d0", "open a directory", typeOpen, "dir", openRead, none)
	add("read of a directory", typeRead, h("d0"), uint64(0), 5)
	add("readdir of a directory opened as a file", typeReaddir, h("d0"))
	add("close", typeClose, h("d0"))
	keep("z", "open with no flags", typeOpen, "file", 0, none)
	add("read", typeRead, h("z"), uint64(0), 5)
	add("write to what is open for reading", typeWrite, h("z"), uint64(0), "x")
	add("close", typeClose, h("z"))
	keep("w", "open an old file with another mode", typeOpen, "file", openWrite|openCreate, mode(0o600))
	add("read of what is open for writing", typeRead, h("w"), uint64(0), 5)
	add("close", typeClose, h("w"))
	keep("a", "open to append", typeOpen, "file", openWrite|openAppend, none)
	add("append", typeWrite, h("a"), uint64(0), " appended")
	want(ok)
	add("close", typeClose, h("a"))
	keep("e", "open a new file, exclusive", typeOpen, "exclusive", openWrite|openCreate|openExcl, none)
	add("close", typeClose, h("e"))

	add("symlink", typeSymlink, "../x", "dir/link")
	want(ok)
	add("symlink again", typeSymlink, "other", "dir/link")
	add("symlink to an absolute path", typeSymlink, at("file"), "absolute")
	add("symlink to a directory", typeSymlink, "dir", "to-dir")
	add("symlink to itself", typeSymlink, "loop", "loop")
	add("symlink to nothing", typeSymlink, "", "empty")
	add("readlink", typeReadlink, "dir/link")
	want("names\n\t../x|../x")
	add("readlink of an absolute one", typeReadlink, "absolute")
	add("readlink of a file", typeReadlink, "file")
	add("readlink of nothing", typeReadlink, "missing")
	for _, path := range []string{"file", "dir", "absolute", "to-dir", "dir/link", "loop", "missing", "file/x",
		"dir/", "file/", ""} {
		add("stat "+path, typeStat, path)
		add("lstat "+path, typeLstat, path)
		add("realpath "+path, typeRealpath, path)
		ext("expand-path@openssh.com", path)
	}
	for _, path := range []string{
		".", "..", "/", "//", "/.", "/..", "dir/..", "dir/../file", "to-dir/link", "to-dir/../file", "missing/x",
		"file/..", "file/.", "dir//link", "./dir/./",
		"loop/x", "absolute/x", "missing/", "missing/..",
	} {
		add("realpath "+path, typeRealpath, path)
		ext("expand-path@openssh.com", path)
	}
	me, err := user.Current()
	if err != nil {
		t.Fatal(err)
	}
	if os.Getenv("HOME") == me.HomeDir {
		for _, path := range []string{"~", "~/", "~/missing", "~" + me.Username, "~" + me.Username + "/", "~" +
			me.Username + "/missing", "~nobody-of-that-name", "~nobody-of-that-name/x", "~" + me.Username +
			"//missing"} {
			ext("expand-path@openssh.com", path)
		}
	}
	ext("home-directory", me.Username)
	ext("home-directory", "nobody-of-that-name")
	ext("home-directory", "")
	ext("users-groups-by-id@openssh.com", string([]byte{0, 0, 0, 0, 0, 1, 0xe2, 0x40}), string([]byte{0, 0, 0, 0}))
	ext("users-groups-by-id@openssh.com", "", "")

	add("setstat", typeSetstat, "exclusive", attributes{flags: attrSize | attrMode | attrTimes, size: 3,
		mode: 0o104640, atime: 1e9, mtime: 1e9 + 7})
	want(ok)
	add("setstat of nothing", typeSetstat, "missing", mode(0o600))
	add("setstat without attributes", typeSetstat, "exclusive", none)
	add("setstat without attributes of nothing", typeSetstat, "missing", none)
	add("setstat through a link", typeSetstat, "absolute", attributes{flags: attrTimes, atime: 1e9, mtime: 1e9 + 8})
	add("setstat the size of a directory", typeSetstat, "dir", attributes{flags: attrSize | attrMode, size: 3,
		mode: 0o711})
	add("setstat the sticky bit of a directory", typeSetstat, "dir", mode(0o1755))
	ext("lsetstat@openssh.com", "absolute", attributes{flags: attrTimes, atime: 1e9, mtime: 1e9 + 9})
	want(ok)
	ext("lsetstat@openssh.com", "absolute", attributes{flags: attrOwner, uid: uint32(os.Getuid()),
		gid: uint32(os.Getgid())})
	ext("lsetstat@openssh.com", "absolute", mode(0o600))
	ext("lsetstat@openssh.com", "absolute", attributes{flags: attrSize, size: 1})
	ext("lsetstat@openssh.com", "exclusive", mode(0o611))
	ext("lsetstat@openssh.com", "missing", mode(0o600))
	add("lstat after it", typeLstat, "absolute")
	add("stat after it", typeStat, "file")

	add("rename", typeRename, "exclusive", "renamed")
	want(ok)
	add("rename to a name that is taken", typeRename, "renamed", "file")
	want("status 4")
	add("rename to itself", typeRename, "renamed", "renamed")
	add("rename of nothing", typeRename, "missing", "x")
	add("rename into nothing", typeRename, "renamed", "missing/x")
	add("rename a directory", typeRename, "dir-2", "dir-3")
	want(ok)
	add("rename a directory to one that exists", typeRename, "dir-3", "dir-700")
	add("rename a directory into itself", typeRename, "dir-3", "dir-3/x")
	add("rename a link", typeRename, "loop", "loop-2")
	ext("posix-rename@openssh.com", "renamed", "dir/moved")
	want(ok)
	ext("posix-rename@openssh.com", "file-700", "file-777")
	want(ok)
	ext("posix-rename@openssh.com", "missing", "x")
	ext("posix-rename@openssh.com", "dir-3", "dir")
	ext("posix-rename@openssh.com", "dir-3", "dir-700")
	ext("hardlink@openssh.com", "file", "hard")
	want(ok)
	ext("hardlink@openssh.com", "file", "hard")
	ext("hardlink@openssh.com", "dir", "hard-dir")
	ext("hardlink@openssh.com", "missing", "hard-2")
	ext("hardlink@openssh.com", "absolute", "hard-link")

	keep("from", "open to copy from", typeOpen, "file", openRead|openWrite, none)
	keep("to", "open to copy to", typeOpen, "copy", openRead|openWrite|openCreate|openTrunc, mode(0o666))
	ext("copy-data", h("from"), uint64(0), uint64(0), h("to"), uint64(0))
	want(ok)
	ext("copy-data", h("from"), uint64(1), uint64(3), h("to"), uint64(20))
	want(ok)
	ext("copy-data", h("from"), uint64(1), uint64(3000), h("to"), uint64(40))
	ext("copy-data", h("from"), uint64(1000), uint64(0), h("to"), uint64(0))
	ext("copy-data", h("from"), uint64(0), uint64(2), h("from"), uint64(7))
	ext("copy-data", h("from"), uint64(0), uint64(5), h("from"), uint64(2))
	ext("copy-data", "none", uint64(0), uint64(0), h("to"), uint64(0))
	ext("copy-data", h("from"), uint64(0), uint64(0), "none", uint64(0))
	ext("copy-data", h("from"), uint64(1<<63), uint64(0), h("to"), uint64(0))
	keep("same", "open what is copied from again", typeOpen, "file", openRead|openWrite, none)
	ext("copy-data", h("from"), uint64(0), uint64(2), h("same"), uint64(3))
	add("close", typeClose, h("same"))
	add("close", typeClose, h("from"))
	add("close", typeClose, h("to"))

	keep("d", "opendir", typeOpendir, "dir")
	add("fstat of a directory", typeFstat, h("d"))
	add("fsetstat of a directory", typeFsetstat, h("d"), mode(0o750))
	add("read of a directory", typeRead, h("d"), uint64(0), 5)
	ext("fsync@openssh.com", h("d"))
	add("readdir", typeReaddir, h("d"))
	add("readdir at the end", typeReaddir, h("d"))
	add("close", typeClose, h("d"))
	add("opendir of a file", typeOpendir, "file")
	add("opendir of nothing", typeOpendir, "missing")
	add("opendir of nothing at all", typeOpendir, "")
	keep("top", "opendir .", typeOpendir, ".")
	add("readdir", typeReaddir, h("top"))
	add("close", typeClose, h("top"))
	keep("l", "opendir through a link", typeOpendir, "to-dir")
	add("readdir", typeReaddir, h("l"))
	add("close", typeClose, h("l"))

	add("remove", typeRemove, "hard")
	want(ok)
	add("remove a link", typeRemove, "to-dir")
	add("remove nothing", typeRemove, "missing")
	add("remove a directory", typeRemove, "dir-700")
	want("status 4")
	add("rmdir", typeRmdir, "dir-777")
	want(ok)
	add("rmdir of a file", typeRmdir, "file")
	want("status 2")
	add("rmdir of nothing", typeRmdir, "missing")
	add("rmdir of what is not empty", typeRmdir, "dir")
	add("remove what the kernel keeps", typeRemove, "/proc/version")
	add("mkdir where the kernel allows none", typeMkdir, "/proc/x", none)
	add("setstat what the kernel keeps", typeSetstat, "/proc/version", mode(0o600))
	ext("statvfs@openssh.com", "missing")
	ext("no-such-extension@example.com", "x")
	want("status 8")
	ext("posix-rename@openssh.org", "file", "x")
	return all
}

// TestLimitsAreOpenSSHs compares what a client plans its packets by; the number of handles is this
// server's own.
func TestLimitsAreOpenSSHs(t *testing.T) {
	t.Parallel()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	var answers [2]*message
	for i, p := range []*peer{startPeer(t, openSSHServer(t)), startPeer(t, self, serveArg)} {
		p.init()
		b := reply(typeExtended, 1)
		b.string("limits@openssh.com")
		p.write(b)
		_, m := p.read()
		m.u32()
		answers[i] = m
	}
	for _, name := range []string{"packet", "read", "write"} {
		if want, got := answers[0].u64(), answers[1].u64(); want != got {
			t.Errorf("%s: OpenSSH %d, this server %d", name, want, got)
		}
	}
	if n := answers[1].u64(); n < 100 || n > maxHandles {
		t.Errorf("handles: %d", n)
	}
}

// TestFileSystems compares what df in sftp shows.
func TestFileSystems(t *testing.T) {
	t.Parallel()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	ours, theirs := startPeer(t, self, serveArg), startPeer(t, openSSHServer(t))
	ours.init()
	theirs.init()
	// /proc does not change while the test runs, and is neither full nor empty.
	for _, path := range []string{"/proc", "/"} {
		want := theirs.call("", typeExtended, []any{"statvfs@openssh.com", path})
		got := ours.call("", typeExtended, []any{"statvfs@openssh.com", path})
		if path == "/" {
			want, got = want[:30], got[:30] // the free space changes meanwhile
		}
		if want != got {
			t.Errorf("%s: OpenSSH %s, this server %s", path, want, got)
		}
	}
}

// TestBadPacketsEndTheSession sends what no client may.
func TestBadPacketsEndTheSession(t *testing.T) {
	t.Parallel()
	for name, sent := range map[string]string{
		"empty":             "\x00\x00\x00\x00",
		"too long":          "\xff\xff\xff\xff",
		"cut short":         "\x00\x00\x00\x09\x03\x00",
		"a string too long": "\x00\x00\x00\x0b\x11\x00\x00\x00\x01\xff\xff\xff\xff/x",
		"no fields":         "\x00\x00\x00\x05\x03\x00\x00\x00\x01",
		"no id":             "\x00\x00\x00\x01\x63",
		"many extended":     "\x00\x00\x00\x12\x0e\x00\x00\x00\x01\x00\x00\x00\x01x\x80\x00\x00\x00\xff\xff\xff\xff",
	} {
		var out bytes.Buffer
		if err := Serve(strings.NewReader(sent), &out); err == nil || out.Len() > 0 {
			t.Errorf("%s: %v, %q", name, err, out.String())
		}
	}
	var out bytes.Buffer
	if err := Serve(strings.NewReader("\x00\x00\x00\x05\x63\x00\x00\x00\x01"), &out); err != nil ||
		out.Bytes()[4] != typeStatus {
		t.Errorf("an unknown request: %v, %q", err, out.String())
	}
}

func FuzzServe(f *testing.F) {
	f.Add([]byte("\x00\x00\x00\x05\x01\x00\x00\x00\x03"))
	f.Add([]byte("\x00\x00\x00\x0b\x11\x00\x00\x00\x01\x00\x00\x00\x02/x"))
	f.Fuzz(func(t *testing.T, b []byte) {
		m := &message{b: b}
		m.string()
		m.attributes()
		if m.bad && len(m.b) > 0 {
			t.Error("fields after one that is not there")
		}
	})
}
