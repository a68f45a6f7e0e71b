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
	for _, no := range []string{"", "x", base64.StdEncoding.EncodeToString(make([]byte, 31))} {
		if _, err := secret.Parse(no); err == nil {
			t.Errorf("Parse(%q): got no error", no)
		}
	}
}
