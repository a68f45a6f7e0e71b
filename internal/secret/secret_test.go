package secret_test

import (
	"bytes"
	"encoding/base64"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/billetcloud/billet/internal/secret"
)

func box(t *testing.T, fill byte) *secret.Box {
	t.Helper()
	b, err := secret.New(bytes.Repeat([]byte{fill}, 32))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestBox_OpensForItsPurposeOnly(t *testing.T) {
	t.Parallel()
	b := box(t, 1)
	sealed := b.Seal("totp/usr_a", []byte("hush"))
	if sealed == b.Seal("totp/usr_a", []byte("hush")) || strings.Contains(sealed, "hush") {
		t.Error("Seal returned the same text twice, or the plain text")
	}
	if got, err := b.Open("totp/usr_a", sealed); err != nil || string(got) != "hush" {
		t.Fatalf("Open: got %q, %v, want hush", got, err)
	}
	last := "A"
	if strings.HasSuffix(sealed, "AA") {
		last = "Q"
	}
	for name, wrong := range map[string][2]string{
		"another purpose": {"totp/usr_b", sealed},
		"changed":         {"totp/usr_a", sealed[:len(sealed)-8] + strings.Repeat(last, 8)},
		"cut":             {"totp/usr_a", sealed[:20]},
		"empty":           {"totp/usr_a", ""},
		"no sealed text":  {"totp/usr_a", "v1.x"},
		"another version": {"totp/usr_a", "v2" + sealed[2:]},
		"no base64":       {"totp/usr_a", sealed + "!"},
	} {
		if got, err := b.Open(wrong[0], wrong[1]); err == nil {
			t.Errorf("Open, %s: got %q, want an error", name, got)
		}
	}
	if _, err := box(t, 2).Open("totp/usr_a", sealed); err == nil ||
		!strings.Contains(err.Error(), "BILLET_SECRET_KEY") {
		t.Errorf("Open with another key: got %v, want an error that names BILLET_SECRET_KEY", err)
	}
}

func TestOpen_KeyFile(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	if _, err := secret.Open(dir, false); !errors.Is(err, secret.ErrNoKey) {
		t.Errorf("Open without create: got %v, want %v", err, secret.ErrNoKey)
	}
	if files, _ := os.ReadDir(dir); len(files) != 0 {
		t.Errorf("Open without create made %v", files)
	}
	boxes := make([]*secret.Box, 8)
	var wg sync.WaitGroup
	for i := range boxes {
		wg.Go(func() {
			var err error
			if boxes[i], err = secret.Open(dir, true); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if t.Failed() {
		return
	}
	sealed := boxes[0].Seal("p", []byte("hush"))
	for _, b := range boxes {
		if got, err := b.Open("p", sealed); err != nil || string(got) != "hush" {
			t.Fatalf("concurrent Opens created two keys: %v", err)
		}
	}
	path := filepath.Join(dir, secret.File)
	info, err := os.Stat(path)
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Fatalf("got mode %v, %v, want 0600", info, err)
	}
	if files, _ := os.ReadDir(dir); len(files) != 1 {
		t.Errorf("Open left %v behind", files)
	}
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	parsed, err := secret.Parse(string(text))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := parsed.Open("p", sealed); err != nil {
		t.Error(err)
	}
}

func TestOpen_RefusesFile(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	if _, err := secret.Open(dir, true); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(dir, secret.File)
	if err := os.Chmod(path, 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := secret.Open(dir, true); err == nil || !strings.Contains(err.Error(), "chmod 600") {
		t.Errorf("Open of a file that others can read: got %v, want an error with chmod 600", err)
	}
	if err := os.WriteFile(path, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	_ = os.Chmod(path, 0o600)
	if _, err := secret.Open(dir, true); err == nil {
		t.Error("Open of an empty file: got no error")
	}
}

func TestParse_Refuses(t *testing.T) {
	t.Parallel()
	for _, no := range []string{
		"", " \n", "x", base64.StdEncoding.EncodeToString(make([]byte, 31)),
		base64.StdEncoding.EncodeToString(make([]byte, 32)) + " x",
	} {
		if _, err := secret.Parse(no); err == nil {
			t.Errorf("Parse(%q): got no error", no)
		}
	}
}

func TestBox_SeveralKeys(t *testing.T) {
	t.Parallel()
	one, two := box(t, 1), box(t, 2)
	both, err := secret.New(bytes.Repeat([]byte{2}, 32), bytes.Repeat([]byte{1}, 32))
	if err != nil {
		t.Fatal(err)
	}
	if both.Name() != two.Name() || strings.Join(both.Names(), " ") != two.Name()+" "+one.Name() {
		t.Errorf("got %s of %v, want the first key to seal", both.Name(), both.Names())
	}
	opens := func(b *secret.Box, sealed string, want bool) {
		t.Helper()
		if got, err := b.Open("p", sealed); (err == nil && string(got) == "hush") != want {
			t.Errorf("Open: got %q, %v, want success to be %t", got, err, want)
		}
	}
	opens(both, one.Seal("p", []byte("hush")), true)
	opens(both, two.Seal("p", []byte("hush")), true)
	opens(two, both.Seal("p", []byte("hush")), true)
	opens(one, both.Seal("p", []byte("hush")), false)
	if err := both.Use(one.Name()); err != nil {
		t.Fatal(err)
	}
	opens(one, both.Seal("p", []byte("hush")), true)
	if err := one.Use(two.Name()); err == nil || one.Name() == two.Name() {
		t.Errorf("Use of a key that it lacks: got %v", err)
	}
	// What was signed by either key counts, also when the other one signs.
	for _, by := range []*secret.Box{one, two} {
		if !both.CheckMAC("p", []byte("text"), by.MAC("p", []byte("text"))) {
			t.Error("CheckMAC refuses what one of the keys signed")
		}
		if both.CheckMAC("q", []byte("text"), by.MAC("p", []byte("text"))) {
			t.Error("CheckMAC accepts what was signed for another purpose")
		}
	}
	if box(t, 3).CheckMAC("p", []byte("text"), both.MAC("p", []byte("text"))) {
		t.Error("CheckMAC accepts what another key signed")
	}
}

// opened returns the Box of the directory's key file.
func opened(t *testing.T, dir string) *secret.Box {
	t.Helper()
	b, err := secret.Open(dir, true)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestAdd_Concurrent(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	old := opened(t, dir).Name()
	names := make([]string, 8)
	var wg sync.WaitGroup
	for i := range names {
		wg.Go(func() {
			var err error
			if names[i], err = secret.Add(dir, []string{old}); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	for _, n := range names {
		if n != names[0] || n == old || n == "" {
			t.Fatalf("several Adds of the same new key: got %v", names)
		}
	}
	if got := strings.Join(opened(t, dir).Names(), " "); got != names[0]+" "+old {
		t.Errorf("got the keys %s, want %s before %s", got, names[0], old)
	}
}

// A running server learns of a key in its key file when it first meets something of that key, and
// forgets none that is removed.
func TestKeyFile_Changes(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	first := opened(t, dir)
	old := first.Name()
	added, err := secret.Add(dir, []string{old})
	if err != nil {
		t.Fatal(err)
	}
	second := opened(t, dir)
	sealed, mac := second.Seal("p", []byte("hush")), second.MAC("p", []byte("text"))
	if second.Name() != added || first.Name() != old {
		t.Error("a server seals with a key that it was not told to use")
	}
	if !first.CheckMAC("p", []byte("text"), mac) {
		t.Error("CheckMAC refuses a key that was added to the file")
	}
	if got, err := first.Open("p", sealed); err != nil || string(got) != "hush" {
		t.Errorf("Open of what a key sealed that was added to the file: got %q, %v", got, err)
	}
	ofOld := first.Seal("p", []byte("hush"))
	for _, want := range []bool{true, false} {
		if removed, err := secret.Remove(dir, old); err != nil || removed != want {
			t.Fatalf("Remove: got %t, %v, want %t", removed, err, want)
		}
	}
	if _, err := second.Open("p", ofOld); err != nil {
		t.Errorf("a running server forgot a key: %v", err)
	}
	if _, err := opened(t, dir).Open("p", ofOld); err == nil {
		t.Error("the key is still in the file")
	}
	if _, err := secret.Remove(dir, added); err == nil {
		t.Error("the last key was removed")
	}
	checkFile(t, dir)
}

// checkFile checks that only the owner can read the key file, and nothing else is in the directory.
func checkFile(t *testing.T, dir string) {
	t.Helper()
	info, err := os.Stat(filepath.Join(dir, secret.File))
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("got mode %v, %v, want 0600", info, err)
	}
	if files, _ := os.ReadDir(dir); len(files) != 1 {
		t.Errorf("left behind: %v", files)
	}
}
