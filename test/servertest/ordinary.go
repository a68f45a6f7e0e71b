package servertest

import (
	"errors"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"slices"
	"strconv"
	"syscall"
	"testing"
)

// PostgreSQL returns the directory of the newest installed PostgreSQL's programs. It skips the test
// where no PostgreSQL is wanted.
func PostgreSQL(t *testing.T) string {
	t.Helper()
	if os.Getenv("BILLET_TEST_POSTGRES") == "" {
		if os.Getenv("BILLET_TEST_REQUIRE_POSTGRES") != "" {
			t.Fatal("BILLET_TEST_POSTGRES names no server, and BILLET_TEST_REQUIRE_POSTGRES is set")
		}
		t.Skip("BILLET_TEST_POSTGRES names no server; `make test` starts one")
	}
	found, _ := filepath.Glob("/usr/lib/postgresql/*/bin/initdb")
	if len(found) == 0 {
		t.Fatal("initdb is missing; scripts/need.sh installs PostgreSQL")
	}
	slices.Sort(found)
	return filepath.Dir(found[len(found)-1])
}

// Ordinary returns the command for an unprivileged user: neither PostgreSQL nor PgBouncer runs as
// root. The process is the program itself, so that a signal ends it and not only a wrapper.
func Ordinary(t testing.TB, name string, args ...string) *exec.Cmd {
	t.Helper()
	cmd := exec.Command(name, args...)
	cmd.Dir = "/"
	if os.Getuid() != 0 {
		return cmd
	}
	u, err := user.Lookup("postgres")
	if err != nil {
		t.Fatal(err)
	}
	uid, err1 := strconv.ParseUint(u.Uid, 10, 32)
	gid, err2 := strconv.ParseUint(u.Gid, 10, 32)
	if err := errors.Join(err1, err2); err != nil {
		t.Fatal(err)
	}
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}}
	return cmd
}

// OrdinaryDir returns a temporary directory of that user.
func OrdinaryDir(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp(os.Getenv("BILLET_TEST_MEMORY"), "billet-database")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	if os.Getuid() == 0 {
		for p := dir; p != "/" && p != os.TempDir() &&
			p != "/dev/shm"; p = filepath.Dir(p) { // the user must be able to reach it
			if info, err := os.Stat(p); err == nil && info.Mode().Perm()&0o011 != 0o011 {
				_ = os.Chmod(p, info.Mode().Perm()|0o011)
			}
		}
		if out, err := exec.Command("chown", "postgres", dir).CombinedOutput(); err != nil {
			t.Fatalf("%v %s", err, out)
		}
	}
	return dir
}
