package chaos_test

import (
	"bytes"
	"context"
	"database/sql"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"syscall"
	"testing"
	"time"

	"github.com/billetcloud/billet/test/servertest"
	_ "github.com/jackc/pgx/v5/stdlib" // the "pgx" driver
)

// patience is how long a program may take to start or stop, on a busy machine.
const patience = 5 * time.Minute

// process is a program that ends with the test, also where that is killed.
type process struct {
	t     *testing.T
	cmd   *exec.Cmd
	ended chan struct{}
	out   bytes.Buffer
}

func launch(t *testing.T, cmd *exec.Cmd, atDeath syscall.Signal) *process {
	t.Helper()
	p := &process{t: t, cmd: cmd, ended: make(chan struct{})}
	if cmd.SysProcAttr == nil {
		cmd.SysProcAttr = &syscall.SysProcAttr{}
	}
	cmd.SysProcAttr.Pdeathsig = atDeath
	cmd.Stdout, cmd.Stderr = &p.out, &p.out
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() {
		_ = cmd.Wait()
		close(p.ended)
	}()
	return p
}

// end sends the signal and waits for the end.
func (p *process) end(by syscall.Signal) {
	p.t.Helper()
	_ = p.cmd.Process.Signal(by)
	select {
	case <-p.ended:
	case <-time.After(patience):
		_ = p.cmd.Process.Kill()
		p.t.Errorf("%s did not end", p.cmd.Path)
	}
}

// until waits until the condition holds.
func until(t *testing.T, what string, limit time.Duration, holds func() bool) {
	t.Helper()
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for deadline := time.Now().Add(limit); !holds(); <-tick.C {
		if time.Now().After(deadline) {
			t.Fatalf("waited %s in vain: %s", limit, what)
		}
	}
}

// node is one PostgreSQL of a pair.
type node struct {
	*process
	t        *testing.T
	bin, dir string
	port     int
}

// pair is a primary and its streaming standby.
type pair struct {
	t                *testing.T
	primary, standby *node
	line             *link // from the standby to the primary
}

// newPair starts a primary, which acknowledges no commit that its standby does not have, and the
// standby. If it is not synchronous, the primary does not wait.
func newPair(t *testing.T, synchronous bool) *pair {
	t.Helper()
	bin := servertest.PostgreSQL(t)
	dir := servertest.OrdinaryDir(t)
	p := &pair{t: t, line: newLink(t, "")}
	p.primary = &node{t: t, bin: bin, dir: filepath.Join(dir, "a"), port: servertest.FreePort(t)}
	p.standby = &node{t: t, bin: bin, dir: filepath.Join(dir, "b"), port: servertest.FreePort(t)}
	t.Cleanup(func() {
		for _, n := range []*node{p.primary, p.standby} {
			if n.process != nil {
				n.end(syscall.SIGQUIT)
			}
		}
	})
	p.primary.run("initdb", "-D", p.primary.dir, "-A", "trust", "-U", "postgres", "--no-sync", "--wal-segsize=1")
	f, err := os.OpenFile(filepath.Join(p.primary.dir, "postgresql.conf"), os.O_APPEND|os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	names := "*"
	if !synchronous {
		names = ""
	}
	_, _ = fmt.Fprintf(f, "listen_addresses = '127.0.0.1'\nunix_socket_directories = ''\nfsync = off\n"+
		"max_connections = 200\nshared_buffers = 64MB\nwal_keep_size = 64MB\nhot_standby = on\n"+
		"wal_retrieve_retry_interval = 200ms\nsynchronous_standby_names = '%s'\n", names)
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	p.primary.start()
	p.rebuild()
	return p
}

func (n *node) run(program string, args ...string) {
	n.t.Helper()
	cmd := servertest.Ordinary(n.t, filepath.Join(n.bin, program), args...)
	if out, err := cmd.CombinedOutput(); err != nil {
		n.t.Fatalf("%s: %v\n%s", program, err, out)
	}
}

func (n *node) start() {
	n.t.Helper()
	cmd := servertest.Ordinary(n.t, filepath.Join(n.bin, "postgres"), "-D", n.dir, "-p", strconv.Itoa(n.port))
	n.process = launch(n.t, cmd, syscall.SIGQUIT)
	d := n.open()
	defer func() { _ = d.Close() }()
	until(n.t, "PostgreSQL answers", patience, func() bool {
		select {
		case <-n.ended:
			n.t.Fatalf("PostgreSQL ended:\n%s", &n.out)
		default:
		}
		return d.Ping() == nil
	})
}

func (n *node) address() string { return fmt.Sprintf("127.0.0.1:%d", n.port) }

func (n *node) url() string {
	return "postgres://postgres@" + n.address() + "/postgres?sslmode=disable"
}

func (n *node) open() *sql.DB {
	n.t.Helper()
	d, err := sql.Open("pgx", n.url())
	if err != nil {
		n.t.Fatal(err)
	}
	d.SetMaxOpenConns(1)
	return d
}

// rebuild makes a new standby of the primary. Until it follows, no commit is acknowledged.
func (p *pair) rebuild() {
	p.t.Helper()
	s := p.standby
	if err := os.RemoveAll(s.dir); err != nil {
		p.t.Fatal(err)
	}
	p.line.set(func() { p.line.target = p.primary.address() })
	s.run("pg_basebackup", "-d", "postgres://postgres@"+p.line.address()+"/postgres", "-D", s.dir, "-R", "-X", "stream",
		"-c", "fast", "--no-sync")
	s.start()
	d := p.primary.open()
	defer func() { _ = d.Close() }()
	until(p.t, "the standby follows", patience, func() bool {
		var n int
		err := d.QueryRow(`SELECT COUNT(*) FROM pg_stat_replication WHERE state = 'streaming'`).Scan(&n)
		return err == nil && n == 1
	})
}

// failOver ends the primary as a crash does, without a checkpoint and without sending what it has
// not sent, and promotes the standby.
func (p *pair) failOver() {
	p.t.Helper()
	p.primary.end(syscall.SIGQUIT)
	p.standby.run("pg_ctl", "-D", p.standby.dir, "-w", "-t", strconv.Itoa(int(patience.Seconds())), "promote")
	p.primary, p.standby = p.standby, p.primary
}

// read runs a query at the primary, with a row of text each.
func (p *pair) read(query string, row func(scan func(...any) error) error) {
	p.t.Helper()
	d := p.primary.open()
	defer func() { _ = d.Close() }()
	rows, err := d.QueryContext(context.Background(), query)
	if err != nil {
		p.t.Fatal(err)
	}
	defer func() { _ = rows.Close() }()
	for rows.Next() {
		if err := row(rows.Scan); err != nil {
			p.t.Fatal(err)
		}
	}
	if err := rows.Err(); err != nil {
		p.t.Fatal(err)
	}
}
