package database

import (
	"fmt"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/billetcloud/billet/internal/db/dbtest"
	"github.com/billetcloud/billet/test/servertest"
)

// startPgBouncer starts a PgBouncer in transaction mode in front of the database, and returns the
// database's URL through it.
func startPgBouncer(t *testing.T, database string) string {
	t.Helper()
	program, err := exec.LookPath("pgbouncer")
	if err != nil {
		if program = "/usr/sbin/pgbouncer"; !exists(program) {
			t.Fatal("pgbouncer is missing; scripts/need.sh installs it")
		}
	}
	u, err := url.Parse(database)
	if err != nil {
		t.Fatal(err)
	}
	dir, port := servertest.OrdinaryDir(t), servertest.FreePort(t)
	for name, text := range map[string]string{
		"users.txt": `"` + u.User.Username() + `" ""` + "\n",
		// Few connections, so that each serves many clients in turn.
		"pgbouncer.ini": fmt.Sprintf("[databases]\n* = host=%s port=%s\n[pgbouncer]\nlisten_addr = "+
			"127.0.0.1\nlisten_port = %d\nunix_socket_dir =\nauth_type = trust\nauth_file = %s/users.txt\n"+
			"pool_mode = transaction\ndefault_pool_size = 4\nmax_client_conn "+
			"= 200\n", u.Hostname(), u.Port(), port, dir),
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	log, err := os.Create(filepath.Join(t.TempDir(), "log"))
	if err != nil {
		t.Fatal(err)
	}
	cmd := servertest.Ordinary(t, program, filepath.Join(dir, "pgbouncer.ini"))
	cmd.Stdout, cmd.Stderr = log, log
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Signal(os.Interrupt)
		time.AfterFunc(5*time.Second, func() { _ = cmd.Process.Kill() })
		_ = cmd.Wait()
	})
	u.Host = net.JoinHostPort("127.0.0.1", fmt.Sprint(port))
	eventually(t, "PgBouncer", func() bool {
		c, err := net.Dial("tcp", u.Host)
		if err == nil {
			_ = c.Close()
		}
		return err == nil
	})
	return u.String()
}

func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}

// TestPgBouncer: behind a pooler each transaction may use another connection, without the
// statements, settings and locks of the previous session.
func TestPgBouncer(t *testing.T) {
	database := startPgBouncer(t, dbtest.PostgresURL(t))
	t.Setenv("BILLET_SECRET_KEY", "MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDE=")
	s := servertest.Start(t, "--sim", "--sim-machines", "banner", "--database-url", database)
	account, _ := s.Key("100000")
	key := s.KeyOf(account, "--write-limit", "10000", "--read-limit", "10000", "--deploy-limit", "1000")

	var load sync.WaitGroup
	answers := make(chan string, 10_000)
	call := func(want int, method, path string, body any, headers ...string) servertest.Answer {
		a, err := s.TryCall(key, method, path, body, headers...)
		if err != nil || a.Status != want {
			answers <- fmt.Sprintf("%s %s: %d %s %v", method, path, a.Status, a.Body, err)
		}
		return a
	}
	for i := range 6 {
		public := publicKey(t)
		load.Go(func() {
			for n := range 5 {
				name := fmt.Sprintf("d%d-%d", i, n)
				made := call(http.StatusCreated, "POST", "/deployments", map[string]any{
					"offerId": "off_abc123", "operatingSystem": "Ubuntu 22.04", "ssh_public_key": public, "name": name,
				}, "Idempotency-Key", name)
				id, _ := made.Data["id"].(string)
				for _, path := range []string{
					"/offers?search=b200", "/deployments?search=" + name, "/deployments/" + id, "/wallet",
					"/wallet/transactions", "/events", "/ssh-keys", "/volumes", "/regions",
				} {
					call(http.StatusOK, "GET", path, nil, "Accept", "application/json")
				}
				call(http.StatusOK, "PATCH", "/deployments/"+id, map[string]any{"name": name + "-renamed"})
			}
		})
	}
	load.Wait()
	close(answers)
	for text := range answers {
		t.Error(text)
	}
	list := s.Call(key, "GET", "/deployments?limit=100", nil)
	if len(list.List) != 30 {
		t.Fatalf("got %d deployments, want 30", len(list.List))
	}
	// Jobs run, hours are charged, machines are terminated.
	one, _ := list.List[0].(map[string]any)["id"].(string)
	s.Running(key, one)
	s.Advance("3h")
	if a := s.Call(key, "DELETE", "/deployments/"+one, nil); a.Status >= 300 {
		t.Errorf("terminate: got %d %s", a.Status, a.Body)
	}
	s.Advance("10m")
	s.Await(key, one, "terminated")
	if a := s.Call(key, "GET", "/wallet/transactions?limit=100", nil); len(a.List) < 30 {
		t.Errorf("after three hours: got %d transactions, want at least 30", len(a.List))
	}
	eventually(
		t,
		"readiness",
		func() bool { return s.Call("", "GET", "=/readyz", nil).Status == http.StatusOK },
	)

	// The simulator's lock belongs to the data directory, not to a database session.
	other := servertest.Prepare(t, t.TempDir(), s.Args...)
	if other.TryRestart(0) || !strings.Contains(other.Log(), "--sim") {
		t.Errorf("a second simulator started on the database: %s", other.Log())
	}
	s.Kill()
	began := time.Now()
	s.Restart()
	t.Logf("a killed server answers again after %s", time.Since(began).Round(time.Millisecond))
	s.Call(key, "GET", "/deployments", nil)
	for _, bad := range []string{"prepared statement", "INTERNAL_ERROR", "panic", "level=ERROR"} {
		if strings.Contains(s.Log(), bad) {
			t.Errorf("the log has %q:\n%s", bad, s.Log())
		}
	}
	s.Stop()
}
