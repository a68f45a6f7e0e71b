package upgrade_test

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"database/sql"
	"encoding/base64"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/billetcloud/billet/internal/db/dbtest"
	"github.com/billetcloud/billet/internal/id"
	"github.com/billetcloud/billet/internal/provider"
	"github.com/billetcloud/billet/internal/provider/upstream"
	"github.com/billetcloud/billet/internal/provider/voltagepark/voltageparktest"
	"github.com/billetcloud/billet/test/servertest"
	"golang.org/x/crypto/ssh"
)

var events = flag.Int("events", 100_000, "rows of the event table when it is migrated")

const (
	replicas = 3
	// mostDeployments limits what the load deploys; afterwards it only reads.
	mostDeployments = 60
	// probeEvery is less often than /readyz allows for three servers and one address.
	probeEvery = 500 * time.Millisecond
	// drain is much more than the balancer needs to notice, on a slow machine, too: a pause between
	// probes, and the 2 s that an answer of /readyz may take.
	drain = "20s"
	// patience is how long anything may take.
	patience = 5 * time.Minute
)

func TestMain(m *testing.M) {
	flag.Parse()
	os.Exit(servertest.Run(m))
}

// next are the migrations of the next version.
var next = map[string]string{
	"90001_note.sql": `-- +billet expand works-with=1
-- +goose Up
ALTER TABLE event ADD COLUMN test_note TEXT NOT NULL DEFAULT 'none';
`,
	"90002_note_index.sql": `-- +billet expand works-with=1
-- +goose NO TRANSACTION
-- +goose Up
DROP INDEX CONCURRENTLY IF EXISTS event_test_note;
CREATE INDEX CONCURRENTLY event_test_note ON event (test_note, seq);
`,
}

// buildNext builds the next version.
func buildNext(t *testing.T) string {
	t.Helper()
	root, err := filepath.Abs("../..")
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	overlay := struct{ Replace map[string]string }{map[string]string{}}
	for name, text := range next {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		overlay.Replace[filepath.Join(root, "internal/db/migrate/sql", name)] = path
	}
	b, err := json.Marshal(overlay)
	if err != nil {
		t.Fatal(err)
	}
	file, binary := filepath.Join(dir, "overlay.json"), filepath.Join(dir, "billetd")
	if err := os.WriteFile(file, b, 0o600); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command("go", "build", "-overlay", file, "-o", binary, "./cmd/billetd")
	cmd.Dir = root
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("build the next version: %v\n%s", err, out)
	}
	return binary
}

// fleet is the servers, their database and their cloud.
type fleet struct {
	t        *testing.T
	database string
	db       *sql.DB
	cloud    *voltageparktest.Cloud
	servers  []*servertest.Server
	urls     []string
	ready    []atomic.Bool
	answers  []atomic.Int64
	client   *http.Client
	key      string
	offer    map[string]any

	mu       sync.Mutex
	made     map[string]bool // acknowledged deployments, and whether their end was acknowledged
	failures []string
	slowest  time.Duration
}

func begin(t *testing.T) *fleet {
	key := make([]byte, 32)
	if _, err := rand.Read(key); err != nil {
		t.Fatal(err)
	}
	t.Setenv("BILLET_SECRET_KEY", base64.StdEncoding.EncodeToString(key))
	f := &fleet{
		t: t, database: dbtest.PostgresURL(t), cloud: voltageparktest.Serve(t), made: map[string]bool{},
		ready: make([]atomic.Bool, replicas), answers: make([]atomic.Int64, replicas),
		client: &http.Client{Timeout: time.Minute, Transport: &http.Transport{MaxIdleConnsPerHost: 16}},
	}
	began := time.Now()
	f.cloud.Follow(func() (time.Time, bool) { return began.Add(4 * time.Since(began)), true })
	f.cloud.Restock(1000)
	var err error
	if f.db, err = sql.Open("pgx", f.database); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = f.db.Close() })
	redis := os.Getenv("BILLET_TEST_REDIS")
	if redis == "" {
		t.Skip("BILLET_TEST_REDIS names no server; `make test` starts one")
	}
	for i := range replicas {
		dir := t.TempDir()
		listen := fmt.Sprintf("127.0.0.1:%d", servertest.FreePort(t))
		f.urls = append(f.urls, "http://"+listen)
		f.servers = append(f.servers, servertest.Prepare(t, dir, "--listen", listen, "--drain", drain,
			"--database-url", f.database, "--redis-url", redis, "--providers-file", f.providers(dir)))
		f.start(i)
	}
	_, f.key = f.servers[0].Key("10000000", "--read-limit", "1000000", "--write-limit", "1000000", "--deploy-limit",
		"1000000")
	return f
}

// providers writes the file with the cloud's account.
func (f *fleet) providers(dir string) string {
	f.t.Helper()
	a := f.cloud.Account()
	text := fmt.Sprintf("providers:\n  - kind: %s\n    baseUrl: %s\n    apiKeyFile: cloud.key\n    settings:\n"+
		"      private-addresses: \"true\"\n      requests-per-minute: \"60000\"\n", a.Slug, a.BaseURL)
	for name, value := range a.Settings {
		if name != "requests-per-minute" && name != "private-addresses" {
			text += fmt.Sprintf("      %s: %q\n", name, value)
		}
	}
	path := filepath.Join(dir, "providers.yaml")
	for file, content := range map[string]string{path: text, filepath.Join(dir, "cloud.key"): a.Credential} {
		if err := os.WriteFile(file, []byte(content), 0o600); err != nil {
			f.t.Fatal(err)
		}
	}
	return path
}

func (f *fleet) start(i int) {
	f.t.Helper()
	if !f.servers[i].TryRestart(0, "BILLET_MIGRATE=false") {
		f.t.Fatalf("billetd ended:\n%s", f.servers[i].Log())
	}
}

// balance probes a server as a load balancer does, until the context ends.
func (f *fleet) balance(ctx context.Context, i int) {
	tick := time.NewTicker(probeEvery)
	defer tick.Stop()
	for {
		resp, err := f.client.Get(f.urls[i] + "/readyz")
		f.ready[i].Store(err == nil && resp.StatusCode == http.StatusOK)
		if err == nil {
			_ = resp.Body.Close()
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return
		}
	}
}

// call sends a request to a server that is ready, or to another one if it cannot connect.
func (f *fleet) call(n int, method, path string, body any, into any) (status int) {
	began := time.Now()
	var failure string
	for try := range 20 * replicas {
		i := (n + try) % replicas
		if !f.ready[i].Load() && try < 10*replicas {
			continue
		}
		code, answer, err := f.send(f.urls[i], n, method, path, body)
		if refused := (*net.OpError)(nil); errors.As(err, &refused) && refused.Op == "dial" {
			failure = err.Error()
			continue
		}
		failure = ""
		if err != nil || code >= 500 {
			failure = fmt.Sprintf("%s %s at server %d: %d %s %v", method, path, i+1, code, answer, err)
		} else {
			f.answers[i].Add(1)
			status = code
			if into != nil && code < 300 {
				if err := json.Unmarshal(answer, &struct{ Data any }{into}); err != nil {
					failure = err.Error()
				}
			}
		}
		break
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.slowest = max(f.slowest, time.Since(began))
	if failure != "" {
		f.failures = append(f.failures, failure)
	}
	return status
}

func (f *fleet) send(url string, n int, method, path string, body any) (status int, answer []byte, err error) {
	var sent []byte
	if body != nil {
		if sent, err = json.Marshal(body); err != nil {
			return 0, nil, err
		}
	}
	r, err := http.NewRequest(method, url+"/api/v1/inventory"+path, bytes.NewReader(sent))
	if err != nil {
		return 0, nil, err
	}
	r.Header.Set("Authorization", "Bearer "+f.key)
	if method == http.MethodPost {
		r.Header.Set("Content-Type", "application/json")
	}
	if method != http.MethodGet { // the client repeats a request only with it, if its idle connection was closed
		r.Header.Set("Idempotency-Key", fmt.Sprintf("upgrade-%s-%d", method, n))
	}
	resp, err := f.client.Do(r)
	if err != nil {
		return 0, nil, err
	}
	defer func() { _ = resp.Body.Close() }()
	answer, err = io.ReadAll(resp.Body)
	return resp.StatusCode, answer, err
}

// load deploys, reads and terminates until the context ends.
func (f *fleet) load(ctx context.Context, numbers *atomic.Int64, public string) {
	for ctx.Err() == nil {
		n := int(numbers.Add(1))
		f.call(n, http.MethodGet, "/deployments?limit=20", nil, nil)
		f.mu.Lock()
		full := len(f.made) >= mostDeployments
		f.mu.Unlock()
		if full || n%4 != 0 {
			continue
		}
		var d struct{ ID string }
		f.call(n, http.MethodPost, "/deployments", map[string]any{
			"offerId": f.offer["id"], "operatingSystem": f.offer["operatingSystems"].([]any)[0],
			"name": fmt.Sprintf("n-%d", n), "ssh_public_key": public,
		}, &d)
		if d.ID == "" {
			continue
		}
		f.mu.Lock()
		f.made[d.ID] = false
		f.mu.Unlock()
		f.call(n, http.MethodGet, "/deployments/"+d.ID, nil, nil)
		if n%8 == 0 && f.call(n, http.MethodDelete, "/deployments/"+d.ID, nil, nil) < 300 {
			f.mu.Lock()
			f.made[d.ID] = true
			f.mu.Unlock()
		}
	}
}

// until waits until the condition holds.
func (f *fleet) until(what string, holds func() bool) {
	f.t.Helper()
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	for deadline := time.After(patience); !holds(); {
		select {
		case <-tick.C:
		case <-deadline:
			f.t.Fatalf("waited in vain: %s\n%s", what, strings.Join(f.failures, "\n"))
		}
	}
}

func (f *fleet) exec(query string, args ...any) {
	f.t.Helper()
	if _, err := f.db.ExecContext(f.t.Context(), query, args...); err != nil {
		f.t.Fatal(err)
	}
}

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

// run runs a command of a version, as docs/upgrading.md has it.
func (f *fleet) run(binary string, args ...string) (string, error) {
	cmd := exec.Command(binary, append(args, "--database-url", f.database, "--data-dir", f.t.TempDir())...)
	out, err := cmd.CombinedOutput()
	return string(out), err
}

// TestRollingUpgrade migrates a database with a big table and replaces three servers one by one,
// under load: no request fails, no acknowledged write is lost, and each deployment has its machine.
func TestRollingUpgrade(t *testing.T) {
	f := begin(t)
	binary := buildNext(t)
	f.exec(`INSERT INTO event (id, account_id, subject, type, data, created_at, seq)
		SELECT 'evt_fill' || n, 'acc_fill', 'dep_fill' || n % 1000, 'deployment.running', '{}', n, n
		FROM generate_series(1, $1) AS n`, *events)
	ctx, stop := context.WithCancel(t.Context())
	var background, work sync.WaitGroup
	for i := range replicas {
		background.Go(func() { f.balance(ctx, i) })
	}
	defer background.Wait()
	defer stop()
	f.until("an offer", func() bool {
		var offers []map[string]any
		f.call(0, http.MethodGet, "/offers?limit=100&available=true", nil, &offers)
		for _, o := range offers {
			if o["instanceType"] == "VM" { // others need port 22
				f.offer = o
			}
		}
		return f.offer != nil
	})
	f.failures = nil // before a provider had answered
	loading, stopLoad := context.WithCancel(ctx)
	defer work.Wait()
	defer stopLoad()
	var numbers atomic.Int64
	for range 4 {
		public := publicKey(t)
		work.Go(func() { f.load(loading, &numbers, public) })
	}
	f.until("deployments", func() bool {
		f.mu.Lock()
		defer f.mu.Unlock()
		return len(f.made) >= 5
	})

	// The next version refuses the database, and changes nothing.
	for _, args := range [][]string{{"migrate", "status"}, {"account", "list"}, {"serve", "--listen", "127.0.0.1:0"}} {
		out, err := f.run(binary, args...)
		if err == nil || !strings.Contains(out, "needs the schema 90002") ||
			!strings.Contains(out, "`billetd migrate`") {
			t.Fatalf("%v: %v\n%s", args, err, out)
		}
	}
	out, err := f.run(binary, "migrate", "--dry-run")
	if err != nil || !strings.Contains(out, "Would apply 90001_note") {
		t.Fatalf("a dry run: %v\n%s", err, out)
	}
	began := time.Now()
	out, err = f.run(binary, "migrate")
	if err != nil || !strings.Contains(out, "The database has the schema 90002.") {
		t.Fatalf("migrate: %v\n%s", err, out)
	}
	t.Logf("migrated %d events in %s", *events, time.Since(began).Round(time.Millisecond))

	for i, s := range f.servers {
		s.Stop()
		s.Switch(binary)
		f.start(i)
		before := f.answers[i].Load()
		f.until("the new server's answers", func() bool { return f.answers[i].Load() >= before+5 })
	}
	stopLoad()
	work.Wait()
	f.verify()

	// Back to the old version, which works with the new schema.
	f.servers[0].Stop()
	f.servers[0].Switch(servertest.Binary(t))
	f.start(0)
	if out := f.servers[0].Run("migrate", "status"); !strings.Contains(out, "90002") {
		t.Errorf("the old version's status:\n%s", out)
	}
	if len(f.failures) > 0 {
		t.Errorf("%d requests failed:\n%s", len(f.failures), strings.Join(f.failures, "\n"))
	}
	t.Logf("%d requests, %d deployments, the slowest answer in %s", numbers.Load(), len(f.made), f.slowest)
}

// verify compares what was acknowledged with the database and the cloud.
func (f *fleet) verify() {
	f.t.Helper()
	status := map[string]string{}
	f.until("every deployment is settled", func() bool {
		for of := range maps.Keys(f.made) {
			var d struct{ ID, Status string }
			code := f.call(0, http.MethodGet, "/deployments/"+of, nil, &d)
			if code == http.StatusNotFound {
				f.t.Fatalf("the acknowledged deployment %s is lost", of)
			}
			switch d.Status {
			case "running", "terminated", "failed", "interrupted":
				status[of] = d.Status
			default:
				return false
			}
		}
		return true
	})
	has := map[string]int{}
	for _, m := range f.cloud.Inventory().Has() {
		if m.State != provider.MachineTerminating {
			has[string(upstream.ParseMark(id.Deployment, m.Name))]++
		}
	}
	running := 0
	for of, ended := range f.made {
		want := 0
		if status[of] == "running" {
			want = 1
			running++
		}
		if has[of] != want || ended && status[of] == "running" {
			f.t.Errorf("%s is %s and has %d machines; its end was acknowledged: %t", of, status[of], has[of], ended)
		}
		delete(has, of)
	}
	if len(has) > 0 || running == 0 {
		f.t.Errorf("%d running deployments, and machines of no acknowledged deployment: %v", running, has)
	}
}
