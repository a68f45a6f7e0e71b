package release_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/billetcloud/billet/test/servertest"
)

// units returns the units in a directory of their own, with programs that exist here, because
// systemd-analyze looks for them.
func units(t *testing.T) []string {
	t.Helper()
	dir := t.TempDir()
	var out []string
	for _, name := range []string{"billetd.service", "billet-backup.service", "billet-backup.timer"} {
		text := regexp.MustCompile(`(?m)^ExecStart=\S+`).ReplaceAllString(read(t, "packaging/systemd/"+name),
			"ExecStart=/bin/true")
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		out = append(out, path)
	}
	return out
}

// TestSystemdTakesTheUnits: systemd knows every line of the units, and finds little to confine.
func TestSystemdTakesTheUnits(t *testing.T) {
	analyze, err := exec.LookPath("systemd-analyze")
	if err != nil {
		t.Skip("there is no systemd-analyze on this machine")
	}
	for _, path := range units(t) {
		out, err := exec.Command(analyze, "verify", "--man=no", path).CombinedOutput()
		for line := range strings.Lines(string(out)) { // of the machine's own units it may say more
			if strings.Contains(line, filepath.Base(path)) {
				t.Errorf("verify: %s", line)
			}
		}
		if err != nil && len(out) == 0 {
			t.Errorf("verify %s: %v", filepath.Base(path), err)
		}
		if !strings.HasSuffix(path, ".service") {
			continue
		}
		out, err = exec.Command(analyze, "security", "--offline=true", "--no-pager", path).CombinedOutput()
		m := regexp.MustCompile(`exposure level for \S+: (\d+\.\d+)`).FindSubmatch(out)
		if err != nil || m == nil {
			t.Logf("this systemd does not judge a file: %v\n%s", err, out)
			continue
		}
		if level, err := strconv.ParseFloat(string(m[1]), 64); err != nil || level > 2 {
			t.Errorf("%s: the exposure is %s, want at most 2\n%s", filepath.Base(path), m[1], out)
		}
	}
}

// names of the files in a directory.
func names(t *testing.T, dir string) (out []string) {
	t.Helper()
	all, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range all {
		out = append(out, f.Name())
	}
	return out
}

func write(t *testing.T, name, text string, mode os.FileMode) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(name), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(name, []byte(text), mode); err != nil {
		t.Fatal(err)
	}
}

// TestBackupScript: each run makes one whole backup more, which is copied; old ones go only after
// that, and what an interrupted run left goes, too.
func TestBackupScript(t *testing.T) {
	age, err := exec.LookPath("age-keygen")
	if err != nil {
		t.Fatal("age is missing; scripts/need.sh installs it")
	}
	data := t.TempDir()
	servertest.Prepare(t, data).Restart()
	dir, copies, key := filepath.Join(data, "backups"), t.TempDir(), filepath.Join(t.TempDir(), "key")
	run(t, age, "-o", key)
	recipient := "RECIPIENT=" + strings.TrimSpace(run(t, age, "-y", key))
	copier := filepath.Join(t.TempDir(), "copier")
	write(t, copier, "#!/bin/sh\ncp \"$1\" "+copies+"\n", 0o700)
	billetd := program(t, "billetd")
	backup := func(env ...string) error {
		cmd := exec.Command(filepath.Join(top, "packaging/systemd/billet-backup"))
		cmd.Env = append(append(os.Environ(), "BILLETD="+billetd, "BILLET_DATA_DIR="+data), env...)
		out, err := cmd.CombinedOutput()
		t.Logf("%s", out)
		return err
	}
	if backup() == nil {
		t.Error("a backup without a recipient was made")
	}
	if backup(recipient, "KEEP=0") == nil {
		t.Error("it was told to keep none, and did")
	}
	old := []string{"billet-2026-01-01T000000Z.backup", "billet-2026-01-01T010000Z.backup",
		"billet-2026-01-01T020000Z.backup"}
	for _, name := range append(slices.Clone(old), "billet-2026-01-01T030000Z.backup.part-1", "notes.txt") {
		write(t, filepath.Join(dir, name), "old", 0o600)
	}
	if backup(recipient, "KEEP=2", "COPY=/bin/false") == nil {
		t.Error("a copy that failed was not noticed")
	}
	now := names(t, dir)
	if len(now) != 5 || now[0] != old[0] {
		t.Fatalf("after a copy that failed there are %v", now)
	}
	// The next run may be within the same second.
	const before = "billet-2026-01-02T000000Z.backup"
	if err := os.Rename(filepath.Join(dir, now[3]), filepath.Join(dir, before)); err != nil {
		t.Fatal(err)
	}
	if err := backup(recipient, "KEEP=2", "COPY="+copier); err != nil {
		t.Fatal(err)
	}
	copied := names(t, copies)
	if now = names(t, dir); len(copied) != 1 || !slices.Equal(now, []string{before, copied[0], "notes.txt"}) {
		t.Fatalf("there are %v, and copies %v", now, copied)
	}
	restored := t.TempDir()
	run(t, billetd, "restore", "--input", filepath.Join(copies, copied[0]), "--identity", key, "--data-dir", restored)
	if _, err := os.Stat(filepath.Join(restored, "billet.db")); err != nil {
		t.Error(err)
	}
}
