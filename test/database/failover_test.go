package database

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/billetcloud/billet/internal/db/dbtest"
	"github.com/billetcloud/billet/test/servertest"
)

// outcomes counts the answers to a load.
type outcomes struct {
	mu    sync.Mutex
	count map[string]int
	wrong []string
}

func (o *outcomes) note(a servertest.Answer, what string) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.count[fmt.Sprintf("%s %d %s", what, a.Status, a.Code())]++
	if a.Status >= 200 && a.Status < 300 {
		return
	}
	// A change that must not be repeated blindly has no Retry-After.
	if a.Status != http.StatusServiceUnavailable || a.Code() != "SERVICE_UNAVAILABLE" ||
		a.Header.Get("Retry-After") == "" && what != "delete" {
		o.wrong = append(o.wrong, fmt.Sprintf("%s: %d %s", what, a.Status, a.Body))
	}
}

// TestKilledDatabaseIsNeverAnInternalError: a database that is killed, fails over or returns late
// leads to 503 with Retry-After, never 500 or 429. A repeated request has its effect once.
func TestKilledDatabaseIsNeverAnInternalError(t *testing.T) {
	t.Parallel()
	p := startPrivate(t)
	s := servertest.Start(t, "--sim", "--sim-machines", "banner", "--database-url", p.url("postgres"))
	account, _ := s.Key("1000")
	key := s.KeyOf(account, "--write-limit", "10000", "--read-limit", "10000")
	seen := &outcomes{count: map[string]int{}}
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	var load sync.WaitGroup
	for i := range 4 {
		public := publicKey(t)
		load.Go(func() {
			// Create a key and delete it, each with as many tries as needed.
			pace := time.NewTicker(10 * time.Millisecond)
			defer pace.Stop()
			made := ""
			for n := 0; ctx.Err() == nil || made != ""; <-pace.C {
				var a servertest.Answer
				var err error
				if made == "" {
					name := fmt.Sprintf("key-%d-%d", i, n)
					if a, err = s.TryCall(
						key, "POST", "/ssh-keys", map[string]any{"name": name, "publicKey": public},
						"Idempotency-Key", name,
					); err == nil {
						seen.note(a, "write")
						made, _ = a.Data["id"].(string)
					}
				} else if a, err = s.TryCall(key, "DELETE", "/ssh-keys/"+made, nil); err == nil {
					if a.Status != http.StatusNotFound {
						seen.note(a, "delete")
					}
					if a.Status != http.StatusServiceUnavailable {
						made = ""
						n++
					}
				}
				if a, err := s.TryCall(key, "GET", "/ssh-keys", nil); err == nil {
					seen.note(a, "read")
				}
			}
		})
	}
	status := func() int { return s.Call("", "GET", "=/readyz", nil).Status }
	for range 5 {
		p.do(
			`SELECT pg_terminate_backend(pid) FROM pg_stat_activity
				WHERE pid <> pg_backend_pid() AND backend_type = 'client backend'`,
		)
	}
	for _, how := range []string{"fast", "immediate"} {
		p.stop(how)
		eventually(t, "unreadiness", func() bool { return status() == http.StatusServiceUnavailable })
		p.start()
		eventually(t, "readiness", func() bool { return status() == http.StatusOK })
	}
	stop()
	load.Wait()
	t.Logf("%v", seen.count)
	for _, text := range seen.wrong {
		t.Error(text)
	}
	if left := s.Call(key, "GET", "/ssh-keys", nil); len(left.List) != 0 {
		t.Errorf("got keys that were created twice: %s", left.Body)
	}
	if seen.count["write 201 "] == 0 || seen.count["read 200 "] == 0 {
		t.Error("no write or no read succeeded")
	}
	if strings.Contains(s.Log(), "INTERNAL_ERROR") || strings.Contains(s.Log(), "panic") {
		t.Error(s.Log())
	}
}

// TestCommitInDoubtIsSettled: if a connection is lost during a commit, the server finds the
// committed change and answers as usual.
func TestCommitInDoubtIsSettled(t *testing.T) {
	t.Parallel()
	database := dbtest.PostgresURL(t)
	p := newProxy(t, host(t, database))
	s := servertest.Start(t, "--database-url", p.through(t, database))
	_, key := s.Key("1000")
	for name, headers := range map[string][]string{"with a key": {"Idempotency-Key", "once"}, "without": nil} {
		t.Run(name, func(t *testing.T) {
			lost := p.loseCommit(`INSERT INTO ssh_key`)
			a := s.Call(
				key,
				"POST",
				"/ssh-keys",
				map[string]string{"name": name, "publicKey": publicKey(t)},
				headers...)
			if !lost() {
				t.Fatal("no commit was lost")
			}
			if a.Status != http.StatusCreated {
				t.Fatalf("create a key: got %d %s, want 201", a.Status, a.Body)
			}
			n := 0
			for _, each := range s.Call(key, "GET", "/ssh-keys", nil).List {
				if each.(map[string]any)["name"] == name {
					n++
				}
			}
			if n != 1 {
				t.Errorf("got %d keys, want 1", n)
			}
		})
	}
}

// TestCommitInDoubtStaysUnknownWhileDatabaseIsDown: if the database stays unavailable after a
// commit whose answer was lost, no answer states that nothing was changed.
func TestCommitInDoubtStaysUnknownWhileDatabaseIsDown(t *testing.T) {
	t.Parallel()
	database := dbtest.PostgresURL(t)
	p := newProxy(t, host(t, database))
	s := servertest.Start(t, "--database-url", p.through(t, database))
	_, key := s.Key("1000")
	s.Call(key, "GET", "/ssh-keys", nil)
	p.mu.Lock()
	p.gone = true
	p.mu.Unlock()
	lost := p.loseCommit(`INSERT INTO ssh_key`)
	a := s.Call(
		key,
		"POST",
		"/ssh-keys",
		map[string]string{"name": "doubt", "publicKey": publicKey(t)},
		"Idempotency-Key",
		"doubt",
	)
	if !lost() {
		t.Fatal("no commit was lost")
	}
	details, _ := a.Error["details"].(map[string]any)
	if a.Status != http.StatusServiceUnavailable || details["outcome"] != "unknown" ||
		a.Header.Get("Retry-After") == "" {
		t.Errorf("got %d %s, want 503 with an unknown outcome and Retry-After", a.Status, a.Body)
	}
}

// TestCommitWaitingForStandbyIsNotCanceled: a canceled wait would commit without the standby, so a
// client's disconnect does not cancel it.
func TestCommitWaitingForStandbyIsNotCanceled(t *testing.T) {
	t.Parallel()
	p := startPrivate(t)
	s := servertest.Start(t, "--database-url", p.url("postgres"))
	_, key := s.Key("1000")
	admin := p.open("postgres")
	defer func() { _ = admin.Close() }()
	keys := func() (n int) {
		t.Helper()
		if err := admin.QueryRow(`SELECT COUNT(*) FROM ssh_key`).Scan(&n); err != nil {
			t.Fatal(err)
		}
		return n
	}
	s.Call(key, "GET", "/ssh-keys", nil) // writes the key's first use
	waits := func() (n int) {
		t.Helper()
		row := admin.QueryRow(`SELECT COUNT(*) FROM pg_stat_activity WHERE wait_event = 'SyncRep'`)
		if err := row.Scan(&n); err != nil {
			t.Fatal(err)
		}
		return n
	}
	p.do(
		`CREATE TABLE probe (n INT)`,
		`ALTER SYSTEM SET synchronous_standby_names = 'missing'`,
		`SELECT pg_reload_conf()`,
	)
	// PostgreSQL applies the setting after a while. A commit waits once it does, and is then
	// canceled.
	writer := p.open("postgres")
	defer func() { _ = writer.Close() }()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	canceled := make(chan struct{})
	go func() {
		defer close(canceled)
		for ctx.Err() == nil {
			_, _ = writer.ExecContext(ctx, `INSERT INTO probe VALUES (1)`)
		}
	}()
	eventually(t, "a commit that waits for a standby", func() bool { return waits() > 0 })
	cancel()
	<-canceled
	eventually(t, "the end of that one", func() bool { return waits() == 0 })
	body := map[string]string{"name": "waits", "publicKey": publicKey(t)}
	create := func(ctx context.Context) (int, error) {
		a, err := s.CallWith(ctx, key, "POST", "/ssh-keys", body, "Idempotency-Key", "waits")
		return a.Status, err
	}
	ctx, cancel = context.WithCancel(t.Context())
	defer cancel()
	left := make(chan error, 1)
	go func() {
		status, err := create(ctx)
		if err == nil {
			t.Errorf("answered %d without a standby", status)
		}
		left <- err
	}()
	eventually(t, "a request whose commit waits", func() bool { return waits() > 0 })
	cancel()
	<-left
	short, cancel := context.WithTimeout(t.Context(), 2*time.Second) // in which the disconnect is seen
	defer cancel()
	if status, err := create(short); err == nil && status != http.StatusServiceUnavailable {
		t.Errorf("the repeated request got %d without a standby", status)
	}
	if n := keys(); n != 0 || waits() == 0 {
		t.Errorf("got %d visible keys without a standby, want 0", n)
	}
	p.do(`ALTER SYSTEM RESET synchronous_standby_names`, `SELECT pg_reload_conf()`)
	eventually(t, "the answer", func() bool {
		status, err := create(t.Context())
		return err == nil && status == http.StatusCreated
	})
	if n := keys(); n != 1 {
		t.Errorf("got %d keys, want 1", n)
	}
}
