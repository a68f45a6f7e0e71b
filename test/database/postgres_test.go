package database

import (
	"bytes"
	"database/sql"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/billetcloud/billet/test/servertest"
	_ "github.com/jackc/pgx/v5/stdlib" // the "pgx" driver
)

// patience is how long a program may take to start or stop.
const patience = 60 * time.Second

// private is a PostgreSQL that the test may stop and start.
type private struct {
	t        *testing.T
	bin, dir string
	port     int
}

// ordinary returns the command for an unprivileged user: neither PostgreSQL nor PgBouncer runs as
// root. The process is the program itself, so that a signal ends it and not only a wrapper.
func ordinary(t *testing.T, name string, args ...string) *exec.Cmd {
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

// ordinaryDir returns a temporary directory of that user.
func ordinaryDir(t *testing.T) string {
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

// startPrivate creates and starts a PostgreSQL with further settings.
func startPrivate(t *testing.T, settings ...string) *private {
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
	p := &private{
		t:    t,
		bin:  filepath.Dir(found[len(found)-1]),
		dir:  filepath.Join(ordinaryDir(t), "pg"),
		port: servertest.FreePort(t),
	}
	p.run("initdb", "-D", p.dir, "-A", "trust", "-U", "postgres", "--no-sync")
	conf := fmt.Sprintf(
		"listen_addresses = '127.0.0.1'\nport = %d\nunix_socket_directories = ''\nfsync = off\n%s\n",
		p.port,
		strings.Join(settings, "\n"),
	)
	f, err := os.OpenFile(filepath.Join(p.dir, "postgresql.conf"), os.O_APPEND|os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.WriteString(conf); err != nil {
		t.Fatal(err)
	}
	_ = f.Close()
	p.start()
	t.Cleanup(func() {
		_ = ordinary(p.t, filepath.Join(p.bin, "pg_ctl"), "-D", p.dir, "-m", "immediate", "-w", "stop").Run()
	})
	return p
}

func (p *private) run(program string, args ...string) {
	p.t.Helper()
	var out bytes.Buffer
	cmd := ordinary(p.t, filepath.Join(p.bin, program), args...)
	cmd.Stdout, cmd.Stderr = &out, &out
	if err := cmd.Run(); err != nil {
		log, _ := os.ReadFile(filepath.Join(p.dir, "log"))
		p.t.Fatalf("%s: %v\n%s\n%s", program, err, &out, log)
	}
}

func (p *private) start() {
	p.t.Helper()
	p.run(
		"pg_ctl",
		"-D",
		p.dir,
		"-l",
		filepath.Join(p.dir, "log"),
		"-w",
		"-t",
		strconv.Itoa(int(patience.Seconds())),
		"start",
	)
}

// stop stops it: "fast" informs its clients, "immediate" is a crash.
func (p *private) stop(how string) {
	p.t.Helper()
	p.run("pg_ctl", "-D", p.dir, "-m", how, "-w", "stop")
}

func (p *private) url(database string) string {
	return fmt.Sprintf("postgres://postgres@127.0.0.1:%d/%s?sslmode=disable", p.port, database)
}

// do runs statements as an administrator.
func (p *private) do(statements ...string) {
	p.t.Helper()
	d := p.open("postgres")
	defer func() { _ = d.Close() }()
	for _, text := range statements {
		if _, err := d.Exec(text); err != nil {
			p.t.Fatalf("%s: %v", text, err)
		}
	}
}

func (p *private) open(database string) *sql.DB {
	p.t.Helper()
	d, err := sql.Open("pgx", p.url(database))
	if err != nil {
		p.t.Fatal(err)
	}
	d.SetMaxOpenConns(1)
	return d
}
