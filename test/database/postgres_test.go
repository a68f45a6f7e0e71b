package database

import (
	"bytes"
	"database/sql"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
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

// startPrivate creates and starts a PostgreSQL with further settings.
func startPrivate(t *testing.T, settings ...string) *private {
	t.Helper()
	p := &private{
		t:    t,
		bin:  servertest.PostgreSQL(t),
		dir:  filepath.Join(servertest.OrdinaryDir(t), "pg"),
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
		_ = servertest.Ordinary(p.t, filepath.Join(p.bin, "pg_ctl"), "-D", p.dir, "-m", "immediate", "-w", "stop").Run()
	})
	return p
}

func (p *private) run(program string, args ...string) {
	p.t.Helper()
	var out bytes.Buffer
	cmd := servertest.Ordinary(p.t, filepath.Join(p.bin, program), args...)
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
