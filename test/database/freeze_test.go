package database

import (
	"crypto/ed25519"
	"crypto/rand"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/billetcloud/billet/internal/db/dbtest"
	"github.com/billetcloud/billet/test/servertest"
	"golang.org/x/crypto/ssh"
)

func publicKey(t *testing.T) string {
	t.Helper()
	public, _, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	key, err := ssh.NewPublicKey(public)
	if err != nil {
		t.Fatal(err)
	}
	return string(ssh.MarshalAuthorizedKey(key))
}

// eventually waits until the condition is true, and logs how long it took. Its limit is beyond what
// a busy machine needs, and less than a third of the time after which a system gives up a
// connection without an answer.
func eventually(t *testing.T, what string, condition func() bool) {
	t.Helper()
	const limit = 5 * time.Minute
	began := time.Now()
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	for ; !condition(); <-tick.C {
		if time.Since(began) > limit {
			t.Fatalf("no %s within %s", what, limit)
		}
	}
	t.Logf("%s after %s", what, time.Since(began).Round(time.Millisecond))
}

// TestServerRecoversFromDroppedConnections: a firewall that drops connections, or a host that
// vanishes, does not block requests and background work for as long as the system waits for an
// answer, and never blocks the server's shutdown. How long each takes is logged.
func TestServerRecoversFromDroppedConnections(t *testing.T) {
	t.Parallel()
	database := dbtest.PostgresURL(t)
	p := newProxy(t, host(t, database))
	s := servertest.Start(t, "--sim", "--sim-machines", "banner", "--database-url", p.through(t, database))
	_, key := s.Key("100000")
	public := publicKey(t)
	s.Running(key, s.Deploy(key, "before", public))
	eventually(
		t,
		"readiness",
		func() bool { return s.Call("", "GET", "=/readyz", nil).Status == http.StatusOK },
	)

	// Under load, so that many connections are open, and some in the middle of a transaction.
	load := make(chan struct{})
	for i := range 8 {
		go func() {
			for n := 0; ; n++ {
				select {
				case <-load:
					return
				default:
					_, _ = s.TryCall(
						key,
						"POST",
						"/ssh-keys",
						map[string]string{"name": fmt.Sprintf("k%d-%d", i, n), "publicKey": public},
					)
					_, _ = s.TryCall(key, "GET", "/deployments", nil)
				}
			}
		}()
	}
	eventually(t, "several connections", func() bool {
		p.mu.Lock()
		defer p.mu.Unlock()
		return len(p.open) >= 8
	})
	t.Logf("%d connections are dropped", p.freeze())
	close(load)
	eventually(t, "an answer", func() bool {
		a, err := s.TryCall(key, "GET", "/deployments", nil)
		return err == nil && a.Status == http.StatusOK
	})
	var id string
	eventually(t, "a deployment", func() bool {
		a, err := s.TryCall(key, "POST", "/deployments", map[string]any{
			"offerId": "off_abc123", "operatingSystem": "Ubuntu 22.04", "ssh_public_key": public, "name": "after",
		}, "Idempotency-Key", "after")
		if err != nil || a.Status != http.StatusCreated {
			return false
		}
		id, _ = a.Data["id"].(string)
		return true
	})
	// Jobs, events and the catalog continue: the new deployment's machine runs.
	eventually(t, "its machine", func() bool {
		_, _ = s.TryRun("sim", "advance", "5s")
		a, err := s.TryCall(key, "GET", "/deployments/"+id, nil)
		return err == nil && a.Data["status"] == "running"
	})
	eventually(t, "readiness again", func() bool {
		a, err := s.TryCall("", "GET", "=/readyz", nil)
		return err == nil && a.Status == http.StatusOK
	})

	p.freeze()
	began := time.Now()
	s.Stop()
	t.Logf("the shutdown took %s", time.Since(began).Round(time.Millisecond))
	if strings.Contains(s.Log(), "panic") {
		t.Error(s.Log())
	}
}
