package terminal_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"io"
	mathrand "math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/billetcloud/billet/web/ssh/terminal"
)

const sftpServer = "Subsystem sftp /usr/lib/openssh/sftp-server"

func wantCode(t *testing.T, what string, err error, code terminal.Code) {
	t.Helper()
	if e, is := errors.AsType[*terminal.Error](err); !is || e.Code != code || e.Message == "" {
		t.Errorf("%s: error = %v, want code %s", what, err, code)
	}
}

func noError(t *testing.T, what string, err error) {
	t.Helper()
	if err != nil {
		t.Errorf("%s: %v", what, err)
	}
}

func upload(t *testing.T, f *terminal.Files, path, text string, replace bool) error {
	t.Helper()
	return f.Upload(within(t), terminal.Upload{
		Path: path, From: strings.NewReader(text), Size: int64(len(text)), Replace: replace,
	})
}

func TestFiles_List(t *testing.T) {
	t.Parallel()
	f, dir := newSSHD(t, sftpServer).files(t), t.TempDir()
	put(t, filepath.Join(dir, "b.txt"), "hello", 0o640)
	put(t, filepath.Join(dir, "a\x1b[31m\u202e"), "", 0o600)
	put(t, filepath.Join(dir, "bad\xff"), "", 0o600)
	for _, err := range []error{
		os.Mkdir(filepath.Join(dir, "z"), 0o755),
		os.Chmod(filepath.Join(dir, "z"), 0o751|os.ModeSticky|os.ModeSetgid),
		os.Symlink("b.txt", filepath.Join(dir, "to-file")),
		os.Symlink("z", filepath.Join(dir, "to-folder")),
		os.Symlink("nowhere", filepath.Join(dir, "to-nothing")),
	} {
		noError(t, "prepare", err)
	}
	got, err := f.List(within(t), dir+"/z/..")
	if err != nil {
		t.Fatal(err)
	}
	want := "z:folder a\x1b[31m\u202e:file b.txt:file bad\xff:file to-file:link to-folder:link to-nothing:link"
	if got.Path != dir || got.Partial || names(got) != want {
		t.Errorf("List() = %s %v %q, want %s %q", got.Path, got.Partial, names(got), dir, want)
	}
	for _, e := range got.Entries {
		checkEntry(t, e)
	}
	home, err := f.List(within(t), ".")
	if err != nil || !filepath.IsAbs(home.Path) {
		t.Errorf("the home is %q (%v), want an absolute path", home.Path, err)
	}
	_, err = f.List(within(t), filepath.Join(dir, "missing"))
	wantCode(t, "a missing folder", err, terminal.NotFound)
	_, err = f.List(within(t), filepath.Join(dir, "b.txt"))
	wantCode(t, "a file", err, terminal.NotFound)
}

// checkEntry checks an entry of TestFiles_List.
func checkEntry(t *testing.T, e terminal.Entry) {
	t.Helper()
	switch e.Name {
	case "b.txt":
		if e.Size != 5 || e.Mode != "-rw-r-----" || e.Modified.IsZero() || !e.Usable {
			t.Errorf("entry = %+v, want its size and mode", e)
		}
	case "z":
		if e.Mode != "drwxr-s--t" {
			t.Errorf("entry = %+v, want its mode as ls shows it", e)
		}
	case "bad\xff":
		if e.Usable {
			t.Errorf("entry = %+v, want it unusable from a page", e)
		}
	case "to-file", "to-folder", "to-nothing":
		want := map[string]terminal.Kind{
			"to-file": terminal.KindFile, "to-folder": terminal.KindFolder, "to-nothing": terminal.KindOther,
		}[e.Name]
		if e.LinksTo != want || e.Mode != "lrwxrwxrwx" {
			t.Errorf("entry = %+v, want a link to a %s", e, want)
		}
	}
}

func TestFiles_Changes(t *testing.T) {
	t.Parallel()
	f, dir := newSSHD(t, sftpServer).files(t), t.TempDir()
	at := func(name string) string { return filepath.Join(dir, name) }
	noError(t, "make a folder", f.MakeFolder(at("new")))
	wantCode(t, "make it again", f.MakeFolder(at("new")), terminal.Exists)
	wantCode(t, "make it nowhere", f.MakeFolder(at("missing/new")), terminal.NotFound)
	long := at(strings.Repeat("x", 256))
	for _, bad := range []string{at("") + "/", at("x") + "/..", "relative", "/", at("nul\x00"), long} {
		wantCode(t, bad, f.MakeFolder(bad), terminal.Failed)
	}
	put(t, at("a"), "a", 0o600)
	put(t, at("b"), "b", 0o600)
	wantCode(t, "rename to what exists", f.Rename(at("a"), at("b")), terminal.Exists)
	wantCode(t, "rename what is missing", f.Rename(at("missing"), at("c")), terminal.NotFound)
	noError(t, "rename", f.Rename(at("a"), at("new/c")))

	// A folder goes with what is inside, and a link inside goes without what it leads to.
	outside := t.TempDir()
	put(t, filepath.Join(outside, "kept"), "kept", 0o600)
	noError(t, "prepare", os.Symlink(outside, at("new/link")))
	noError(t, "prepare", os.MkdirAll(at("new/deep/er"), 0o755))
	canceled, cancel := context.WithCancel(t.Context())
	cancel()
	wantCode(t, "cancel", f.Remove(canceled, at("new")), terminal.Canceled)
	noError(t, "remove a folder", f.Remove(within(t), at("new")))
	noError(t, "remove a file", f.Remove(within(t), at("b")))
	wantCode(t, "remove it again", f.Remove(within(t), at("b")), terminal.NotFound)
	wantCode(t, "remove the root", f.Remove(within(t), "/"), terminal.Failed)
	if left, err := os.ReadDir(dir); err != nil || len(left) != 0 {
		t.Errorf("left over: %v %v", left, err)
	}
	if b, err := os.ReadFile(filepath.Join(outside, "kept")); err != nil || string(b) != "kept" {
		t.Errorf("what a link led to is %q, %v, want it untouched", b, err)
	}
}

func TestFiles_Upload(t *testing.T) {
	t.Parallel()
	f, dir := newSSHD(t, sftpServer).files(t), t.TempDir()
	at := func(name string) string { return filepath.Join(dir, name) }
	noError(t, "upload", upload(t, f, at("new"), "first", false))
	wantCode(t, "upload over it", upload(t, f, at("new"), "second", false), terminal.Exists)
	noError(t, "prepare", os.Chmod(at("new"), 0o751))
	noError(t, "prepare", os.Symlink("new", at("link")))
	noError(t, "replace it through a link", upload(t, f, at("link"), "third", true))
	noError(t, "upload nothing", upload(t, f, at("empty"), "", false))
	noError(t, "prepare", os.Mkdir(at("folder"), 0o755))
	wantCode(t, "replace a folder", upload(t, f, at("folder"), "x", true), terminal.Exists)
	wantCode(t, "upload into nothing", upload(t, f, at("missing/x"), "x", false), terminal.NotFound)
	if b, err := os.ReadFile(at("new")); err != nil || string(b) != "third" {
		t.Errorf("content = %q, %v, want the last upload's", b, err)
	}
	if info, err := os.Stat(at("new")); err != nil || info.Mode().Perm() != 0o751 {
		t.Errorf("mode = %v, %v, want the replaced file's", info.Mode(), err)
	}

	// What fails leaves what was there.
	ctx, cancel := context.WithCancel(t.Context())
	sent := int64(0)
	wantCode(t, "cancel", f.Upload(ctx, terminal.Upload{
		Path: at("new"), From: endless{}, Size: 1 << 30, Replace: true,
		Progress: func(n int64) {
			if sent = n; n > 1<<20 {
				cancel()
			}
		},
	}), terminal.Canceled)
	if sent > 32<<20 {
		t.Errorf("%d bytes were read after canceling at a megabyte", sent)
	}
	wantCode(t, "a file that became shorter", f.Upload(within(t), terminal.Upload{
		Path: at("new"), From: strings.NewReader("short"), Size: 100, Replace: true,
	}), terminal.Failed)
	wantCode(t, "a file that cannot be read", f.Upload(within(t), terminal.Upload{
		Path: at("new"), From: io.MultiReader(strings.NewReader("x"), broken{}), Size: 100, Replace: true,
	}), terminal.Failed)
	left, err := os.ReadDir(dir)
	if err != nil || len(left) != 4 {
		t.Errorf("left over: %v %v, want no parts of uploads", left, err)
	}
	if b, err := os.ReadFile(at("new")); err != nil || string(b) != "third" {
		t.Errorf("content = %q, %v, want it untouched", b, err)
	}
}

// A replaced file stays private while it is uploaded, and keeps its owner.
func TestFiles_UploadKeepsPrivate(t *testing.T) {
	t.Parallel()
	f, dir := newSSHD(t, sftpServer).files(t), t.TempDir()
	name := put(t, filepath.Join(dir, "secret"), "old", 0o600)
	owner := os.Getuid()
	if owner == 0 { // another user's file can be replaced only by root
		owner = 12345
		noError(t, "prepare", os.Chown(name, owner, owner))
	}
	seen := 0
	noError(t, "replace", f.Upload(within(t), terminal.Upload{
		Path: name, From: strings.NewReader("new"), Size: 3, Replace: true,
		Progress: func(int64) {
			parts, err := filepath.Glob(filepath.Join(dir, ".billet-upload-*"))
			noError(t, "find the part", err)
			for _, part := range parts {
				seen++
				if info, err := os.Stat(part); err != nil || info.Mode().Perm() != 0o600 {
					t.Errorf("mode of the part = %v, %v, want 0600", info.Mode(), err)
				}
			}
		},
	}))
	if seen == 0 {
		t.Error("no part was seen")
	}
	info, err := os.Stat(name)
	if err != nil {
		t.Fatal(err)
	}
	if got := int(info.Sys().(*syscall.Stat_t).Uid); got != owner || info.Mode().Perm() != 0o600 {
		t.Errorf("the replaced file has mode %v of user %d, want 0600 of user %d", info.Mode(), got, owner)
	}
}

type endless struct{}

func (endless) Read(p []byte) (int, error) { return len(p), nil }

type broken struct{}

func (broken) Read([]byte) (int, error)    { return 0, errors.New("broken") }
func (broken) Write(p []byte) (int, error) { return 0, errors.New("broken") }
func ignore(int64)                         {}
func anySize(int64) error                  { return nil }
func random(size int) []byte {
	var seed [32]byte
	b := make([]byte, size)
	_, _ = mathrand.NewChaCha8(seed).Read(b)
	return b
}

// A large file is the same on the other side, both ways, and neither end holds it in memory: it
// arrives in pieces.
func TestFiles_LargeFileBothWays(t *testing.T) {
	t.Parallel()
	size := 64 << 20
	if testing.Short() {
		size = 8 << 20
	}
	f, dir := newSSHD(t, sftpServer).files(t), t.TempDir()
	want, name := random(size+12345), filepath.Join(dir, "large")
	var last int64
	noError(t, "upload", f.Upload(within(t), terminal.Upload{
		Path: name, From: bytes.NewReader(want), Size: int64(len(want)), Progress: func(n int64) { last = n },
	}))
	if last != int64(len(want)) {
		t.Errorf("progress ended at %d of %d", last, len(want))
	}
	if got, err := os.ReadFile(name); err != nil || sha256.Sum256(got) != sha256.Sum256(want) {
		t.Errorf("the uploaded file differs (%v)", err)
	}
	sum, said, largest := sha256.New(), int64(0), 0
	noError(t, "download", f.Download(within(t), name, func(n int64) error { said = n; return nil },
		writer(func(p []byte) { sum.Write(p); largest = max(largest, len(p)) }), func(n int64) { last = n }))
	whole := sha256.Sum256(want)
	if !bytes.Equal(sum.Sum(nil), whole[:]) || said != int64(len(want)) || last != said {
		t.Errorf("the downloaded file differs: size %d, progress %d of %d", said, last, len(want))
	}
	if largest > 2<<20 {
		t.Errorf("a piece had %d bytes", largest)
	}
}

type writer func([]byte)

func (w writer) Write(p []byte) (int, error) {
	w(p)
	return len(p), nil
}

func TestFiles_Download(t *testing.T) {
	t.Parallel()
	f, dir := newSSHD(t, sftpServer).files(t), t.TempDir()
	name := put(t, filepath.Join(dir, "file"), strings.Repeat("x", 8<<20), 0o600)
	wantCode(t, "a folder", f.Download(within(t), dir, anySize, io.Discard, ignore), terminal.Failed)
	wantCode(t, "nothing", f.Download(within(t), name+"x", anySize, io.Discard, ignore), terminal.NotFound)
	wantCode(t, "one that is too large", f.Download(
		within(t), name, func(int64) error { return errors.New("too large") }, io.Discard, ignore,
	), terminal.Failed)
	wantCode(t, "a full disk here", f.Download(within(t), name, anySize, broken{}, ignore), terminal.Failed)
	ctx, cancel := context.WithCancel(t.Context())
	wantCode(t, "cancel", f.Download(ctx, name, anySize, io.Discard, func(int64) { cancel() }), terminal.Canceled)
	// A file without a size of its own.
	var got bytes.Buffer
	noError(t, "a file of the kernel", f.Download(within(t), "/proc/version", anySize, &got, ignore))
	if !strings.HasPrefix(got.String(), "Linux") {
		t.Errorf("content = %q", got.String())
	}
}

func TestFiles_Refusals(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	readOnly := newSSHD(t, sftpServer+" -R").files(t)
	wantCode(t, "upload", upload(t, readOnly, filepath.Join(dir, "x"), "x", false), terminal.Denied)
	wantCode(t, "make a folder", readOnly.MakeFolder(filepath.Join(dir, "x")), terminal.Denied)

	session, _ := newSSHD(t).open(t, &recorder{}, "")
	_, err := session.Files()
	wantCode(t, "without SFTP", err, terminal.NoFiles)

	s := newSSHD(t, sftpServer)
	session, conn := s.open(t, &recorder{}, "")
	files, err := session.Files()
	if err != nil {
		t.Fatal(err)
	}
	_ = conn.Close()
	ended(t, session)
	_, err = files.List(within(t), ".")
	wantCode(t, "without a connection", err, terminal.Unreachable)
}
