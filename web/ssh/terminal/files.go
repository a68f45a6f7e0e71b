package terminal

import (
	"bufio"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/pkg/sftp"
	"golang.org/x/crypto/ssh"
)

const (
	// writesAtOnce is how many packets of 32 KiB an upload has on their way. SSH's own window is as
	// large.
	writesAtOnce = 64
	// downloadChunk is the size of the pieces that a download is delivered in.
	downloadChunk = 1 << 20
	// listTimeout ends reading a huge folder. What was read until then is listed.
	listTimeout = 15 * time.Second
	// linksTimeout limits asking what links lead to, which is a request for each.
	linksTimeout = 3 * time.Second
	// listMost is how many entries are listed.
	listMost = 10_000
	// nameMost is the length of a file's name in bytes on every usual file system.
	nameMost = 255
)

// Kind is the kind of a directory entry.
type Kind string

// The kinds.
const (
	KindFile   Kind = "file"
	KindFolder Kind = "folder"
	KindLink   Kind = "link"
	KindOther  Kind = "other" // a device, a socket, a pipe
)

// Entry is an entry of a folder.
type Entry struct {
	Name string
	Kind Kind
	// LinksTo is the kind of what a link leads to; KindOther where that does not exist.
	LinksTo  Kind
	Size     int64
	Modified time.Time
	// Mode is the permissions as ls shows them, such as -rw-r--r--.
	Mode string
	// Usable reports whether the name can be used in a request from a page. A page's texts cannot
	// hold every name.
	Usable bool
}

// Listing is the content of a folder: folders first, then by name.
type Listing struct {
	// Path is absolute and contains no links.
	Path    string
	Entries []Entry
	// Partial reports that the folder has more entries.
	Partial bool
}

// Files are the machine's files, as the user whom the session signed in.
type Files struct {
	client *sftp.Client
	life   *life
}

// Files opens the machine's SFTP over the session's connection.
func (s *Session) Files() (*Files, error) {
	timeout := time.AfterFunc(handshakeTimeout, func() { _ = s.client.Close() })
	defer timeout.Stop()
	client, err := sftp.NewClient(s.client, sftp.MaxConcurrentRequestsPerFile(writesAtOnce))
	if err != nil {
		return nil, &Error{Code: NoFiles, Message: "The machine offers no file transfer (SFTP) over this connection."}
	}
	return &Files{client: client, life: s.life}, nil
}

// Close ends the file transfer, not the session.
func (f *Files) Close() error { return f.client.Close() }

// List returns the content of a folder. A path that is not absolute begins at the user's home.
func (f *Files) List(ctx context.Context, folder string) (Listing, error) {
	f.life.used()
	full, err := f.client.RealPath(folder)
	if err != nil {
		return Listing{}, f.problem(err, folder)
	}
	limited, cancel := context.WithTimeout(ctx, listTimeout)
	defer cancel()
	found, err := f.client.ReadDirContext(limited, full)
	partial := err != nil && limited.Err() != nil
	switch {
	case ctx.Err() != nil:
		return Listing{}, canceled()
	case err != nil && !partial:
		if info, statErr := f.client.Stat(full); statErr == nil && !info.IsDir() {
			return Listing{}, &Error{Code: NotFound, Message: quote(full) + " is not a folder."}
		}
		return Listing{}, f.problem(err, full)
	}
	out := Listing{Path: full, Entries: []Entry{}, Partial: partial}
	slices.SortFunc(found, func(a, b fs.FileInfo) int {
		if a.IsDir() != b.IsDir() {
			if a.IsDir() {
				return -1
			}
			return 1
		}
		return strings.Compare(a.Name(), b.Name())
	})
	if len(found) > listMost {
		found, out.Partial = found[:listMost], true
	}
	links, stop := context.WithTimeout(ctx, linksTimeout)
	defer stop()
	for _, info := range found {
		out.Entries = append(out.Entries, f.entry(links, full, info))
	}
	return out, nil
}

func (f *Files) entry(ctx context.Context, folder string, info fs.FileInfo) Entry {
	e := Entry{
		Name: info.Name(), Kind: kindOf(info), Size: info.Size(), Modified: info.ModTime(),
		Mode: permissions(info.Mode()), Usable: utf8.ValidString(info.Name()),
	}
	if e.Kind == KindLink {
		e.LinksTo = KindOther
		if ctx.Err() == nil {
			if target, err := f.client.Stat(path.Join(folder, info.Name())); err == nil {
				e.LinksTo, e.Size = kindOf(target), target.Size()
			}
		}
	}
	return e
}

func kindOf(info fs.FileInfo) Kind {
	switch mode := info.Mode(); {
	case mode.IsDir():
		return KindFolder
	case mode.IsRegular():
		return KindFile
	case mode&fs.ModeSymlink != 0:
		return KindLink
	}
	return KindOther
}

// permissions returns a mode as ls shows it.
func permissions(mode fs.FileMode) string {
	out := []byte("-" + mode.Perm().String()[1:])
	for _, kind := range []struct {
		bit    fs.FileMode
		letter byte
	}{
		{fs.ModeDir, 'd'}, {fs.ModeSymlink, 'l'}, {fs.ModeNamedPipe, 'p'}, {fs.ModeSocket, 's'}, {fs.ModeDevice, 'b'},
		{fs.ModeCharDevice, 'c'},
	} {
		if mode&kind.bit != 0 {
			out[0] = kind.letter
		}
	}
	for _, special := range []struct {
		bit fs.FileMode
		at  int
		set string
	}{{fs.ModeSetuid, 3, "sS"}, {fs.ModeSetgid, 6, "sS"}, {fs.ModeSticky, 9, "tT"}} {
		switch {
		case mode&special.bit == 0:
		case out[special.at] == 'x':
			out[special.at] = special.set[0]
		default:
			out[special.at] = special.set[1]
		}
	}
	return string(out)
}

// MakeFolder creates a folder.
func (f *Files) MakeFolder(folder string) error {
	if err := checkName(folder); err != nil {
		return err
	}
	if err := f.absent(folder); err != nil {
		return err
	}
	if err := f.client.Mkdir(folder); err != nil {
		return f.problem(err, folder)
	}
	return nil
}

// Rename renames or moves a file or folder. It replaces nothing.
func (f *Files) Rename(from, to string) error {
	if err := checkName(to); err != nil {
		return err
	}
	if err := f.absent(to); err != nil {
		return err
	}
	if err := f.client.Rename(from, to); err != nil {
		return f.problem(err, from)
	}
	return nil
}

// Remove deletes a file, or a folder with everything in it. Of a link, it deletes the link.
func (f *Files) Remove(ctx context.Context, name string) error {
	if err := checkName(name); err != nil {
		return err
	}
	info, err := f.client.Lstat(name)
	if err != nil {
		return f.problem(err, name)
	}
	return f.remove(ctx, name, info.IsDir())
}

func (f *Files) remove(ctx context.Context, name string, folder bool) error {
	f.life.used()
	if ctx.Err() != nil {
		return canceled()
	}
	if !folder {
		if err := f.client.Remove(name); err != nil {
			return f.problem(err, name)
		}
		return nil
	}
	inside, err := f.client.ReadDirContext(ctx, name)
	if err != nil {
		return f.problem(err, name)
	}
	for _, info := range inside { // with the kinds of the entries themselves, not of what links lead to
		if err := f.remove(ctx, path.Join(name, info.Name()), info.IsDir()); err != nil {
			return err
		}
	}
	if err := f.client.RemoveDirectory(name); err != nil {
		return f.problem(err, name)
	}
	return nil
}

// Upload is a file to be written to the machine.
type Upload struct {
	Path string
	From io.Reader
	Size int64
	// Replace allows replacing a file of that name. Its permissions and its owner stay.
	Replace bool
	// Progress receives the number of bytes sent so far.
	Progress func(int64)
}

// Upload writes a file. It has its name only when it is complete: a failed upload leaves what was
// there before.
func (f *Files) Upload(ctx context.Context, u Upload) error {
	if err := checkName(u.Path); err != nil {
		return err
	}
	target, was := u.Path, fs.FileInfo(nil)
	if info, err := f.client.Stat(u.Path); err == nil {
		switch {
		case info.IsDir():
			return &Error{
				Code:    Exists,
				Message: "A folder is named " + quote(u.Path) + ". Rename the file or the folder.",
			}
		case !u.Replace:
			return &Error{Code: Exists, Message: quote(u.Path) + " already exists."}
		}
		was = info
		if target, err = f.client.RealPath(u.Path); err != nil { // through a link: the file is replaced
			return f.problem(err, u.Path)
		}
	}
	part := path.Join(path.Dir(target), ".billet-upload-"+strings.ToLower(rand.Text()[:10]))
	if err := f.write(ctx, part, u, was); err != nil {
		_ = f.client.Remove(part) // if the connection is lost, it stays
		return err
	}
	err := error(nil)
	if was != nil {
		if err = f.client.Chmod(part, was.Mode().Perm()); err == nil {
			err = f.replace(part, target)
		}
	} else {
		err = f.client.Rename(part, target)
	}
	if err != nil {
		_ = f.client.Remove(part)
		return f.problem(err, target)
	}
	return nil
}

// keepPrivate lets no one else read the part of a file that is replaced, which may be private, and
// gives it that file's owner. Its permissions follow when it is complete.
func (f *Files) keepPrivate(part string, u Upload, was fs.FileInfo) error {
	if err := f.client.Chmod(part, 0o600); err != nil {
		return f.problem(err, u.Path)
	}
	info, err := f.client.Stat(part)
	if err != nil {
		return f.problem(err, u.Path)
	}
	want, wants := was.Sys().(*sftp.FileStat)
	has, is := info.Sys().(*sftp.FileStat)
	if !wants || !is || has.UID == want.UID && has.GID == want.GID {
		return nil
	}
	if err := f.client.Chown(part, int(want.UID), int(want.GID)); err != nil {
		return &Error{Code: Denied, Message: quote(u.Path) + " belongs to another user or group. " +
			"Upload the file under another name, or sign in as that user."}
	}
	return nil
}

func (f *Files) replace(part, target string) error {
	if _, ok := f.client.HasExtension("posix-rename@openssh.com"); ok {
		return f.client.PosixRename(part, target)
	}
	if err := f.client.Remove(target); err != nil {
		return err
	}
	return f.client.Rename(part, target)
}

// write writes the part. was is the file that it replaces, nil for none.
func (f *Files) write(ctx context.Context, part string, u Upload, was fs.FileInfo) error {
	file, err := f.client.OpenFile(part, os.O_WRONLY|os.O_CREATE|os.O_EXCL)
	if err != nil {
		return f.problem(err, path.Dir(part))
	}
	if was != nil {
		if err := f.keepPrivate(part, u, was); err != nil {
			_ = file.Close()
			return err
		}
	}
	from := &counted{ctx: ctx, life: f.life, progress: u.Progress, reader: io.LimitReader(u.From, u.Size)}
	n, err := file.ReadFromWithConcurrency(from, writesAtOnce)
	if closed := file.Close(); err == nil {
		err = closed
	}
	switch {
	case ctx.Err() != nil:
		return canceled()
	case from.failed != nil:
		return &Error{
			Code: Failed, Message: "The file could not be read on this computer. It may have changed or moved.",
		}
	case err != nil:
		return f.full(part, u.Size-n, f.problem(err, u.Path))
	case n != u.Size:
		return &Error{Code: Failed, Message: "The file changed while it was sent. Upload it again."}
	}
	return nil
}

// full returns the error that explains a failed write best. SFTP has no code for a full disk.
func (f *Files) full(at string, missing int64, otherwise error) error {
	if vfs, err := f.client.StatVFS(path.Dir(at)); err == nil && vfs.Bavail*vfs.Frsize < uint64(max(missing, 1<<20)) {
		return &Error{Code: DiskFull, Message: "The machine’s disk is full. Delete files there and upload it again."}
	}
	return otherwise
}

// Download reads a file. begin receives its size before anything is written.
func (f *Files) Download(
	ctx context.Context, name string, begin func(size int64) error, to io.Writer, progress func(int64),
) error {
	info, err := f.client.Stat(name)
	if err != nil {
		return f.problem(err, name)
	}
	if !info.Mode().IsRegular() {
		return &Error{Code: Failed, Message: quote(name) + " is not a file. Pack a folder with tar first."}
	}
	file, err := f.client.Open(name)
	if err != nil {
		return f.problem(err, name)
	}
	defer func() { _ = file.Close() }()
	if err := begin(info.Size()); err != nil {
		return &Error{Code: Failed, Message: err.Error()}
	}
	out := &counted{ctx: ctx, life: f.life, progress: progress, writer: to}
	buffered := bufio.NewWriterSize(out, downloadChunk)
	_, err = file.WriteTo(buffered)
	if err == nil {
		err = buffered.Flush()
	}
	switch {
	case ctx.Err() != nil:
		return canceled()
	case out.failed != nil:
		return &Error{Code: Failed, Message: "The file could not be saved on this computer: " + out.failed.Error()}
	case err != nil:
		return f.problem(err, name)
	}
	return nil
}

// counted is a reader or a writer that reports its progress, can be canceled, and remembers its own
// failure.
type counted struct {
	ctx      context.Context
	life     *life
	progress func(int64)
	reader   io.Reader
	writer   io.Writer
	n        int64
	failed   error
}

func (c *counted) count(n int, err error) (int, error) {
	c.n += int64(n)
	c.life.used()
	if err != nil && !errors.Is(err, io.EOF) {
		c.failed = err
	}
	if n > 0 && c.progress != nil {
		c.progress(c.n)
	}
	return n, err
}

func (c *counted) Read(p []byte) (int, error) {
	if err := c.ctx.Err(); err != nil {
		return 0, err
	}
	return c.count(c.reader.Read(p))
}

func (c *counted) Write(p []byte) (int, error) {
	if err := c.ctx.Err(); err != nil {
		return 0, err
	}
	return c.count(c.writer.Write(p))
}

// absent refuses a name that is taken. SFTP's own answer to it has no reason.
func (f *Files) absent(name string) error {
	if _, err := f.client.Lstat(name); err == nil {
		return &Error{Code: Exists, Message: quote(name) + " already exists. Choose another name."}
	}
	return nil
}

// checkName refuses a path whose last part cannot be a file's name, and the root itself.
func checkName(full string) error {
	name := full[strings.LastIndexByte(full, '/')+1:]
	switch {
	case !strings.HasPrefix(full, "/"), name == "", name == ".", name == "..", strings.ContainsRune(full, 0):
		return &Error{Code: Failed, Message: "This name is not allowed. A name has no slash, and is not “.” or “..”."}
	case len(name) > nameMost:
		return &Error{Code: Failed, Message: fmt.Sprintf("The name is too long: it may have %d bytes.", nameMost)}
	}
	return nil
}

func canceled() error { return &Error{Code: Canceled, Message: "Canceled."} }

// quote returns a path for a message, without anything that would change how the message is read.
func quote(name string) string {
	return "“" + strings.Map(func(r rune) rune {
		if r < ' ' || r >= 0x7f && r < 0xa0 || r >= 0x200e && r <= 0x200f || r >= 0x202a && r <= 0x202e ||
			r >= 0x2066 && r <= 0x2069 {
			return utf8.RuneError
		}
		return r
	}, name) + "”"
}

// problem returns an SFTP error in plain words.
func (f *Files) problem(err error, name string) error {
	if known, is := errors.AsType[*Error](err); is {
		return known
	}
	_, lost := errors.AsType[*ssh.ExitMissingError](err)
	_, refused := errors.AsType[*sftp.StatusError](err)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return &Error{Code: NotFound, Message: quote(name) + " does not exist on the machine."}
	case errors.Is(err, fs.ErrPermission):
		return &Error{Code: Denied, Message: "The machine denies access to " + quote(name) + "."}
	case lost, errors.Is(err, sftp.ErrSSHFxConnectionLost), errors.Is(err, io.ErrUnexpectedEOF), errors.Is(err, io.EOF):
		return &Error{Code: Unreachable, Message: "The connection was lost. Try again when the terminal is connected."}
	case refused:
		return &Error{Code: Failed, Message: "The machine refused the change of " + quote(name) + " without a reason."}
	}
	return &Error{Code: Failed, Message: "The machine did not complete it: " + err.Error() + "."}
}
