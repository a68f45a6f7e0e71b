package certificate

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/billetcloud/billet/internal/clock"
	"github.com/billetcloud/billet/internal/db"
	"github.com/billetcloud/billet/internal/db/dbtest"
	"github.com/billetcloud/billet/internal/secret"
	"github.com/billetcloud/billet/test/acmetest"
)

// life is how long the test server's certificates are valid.
const life = time.Minute

// rig is an ACME server, and a database that replicas share.
type rig struct {
	t     testing.TB
	db    *db.DB
	acme  *acmetest.Server
	ports []int // HTTP and TLS
	box   *secret.Box
	log   *logBuffer
	// offset moves the time that replicas see; frozen replaces it.
	offset atomic.Int64
	frozen atomic.Pointer[time.Time]
}

type logBuffer struct {
	mu   sync.Mutex
	text strings.Builder
}

func (b *logBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.Write(p)
}

func (b *logBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.String()
}

func newRig(t testing.TB, d *db.DB) *rig {
	t.Helper()
	r := &rig{t: t, db: d, ports: acmetest.Ports(t, 2), log: &logBuffer{}}
	r.acme = acmetest.Start(t, acmetest.Config{HTTPPort: r.ports[0], TLSPort: r.ports[1], Life: life})
	var err error
	if r.box, err = secret.New(make([]byte, 32)); err != nil {
		t.Fatal(err)
	}
	return r
}

func (r *rig) time(ctx context.Context, at db.Reader) (time.Time, error) {
	if frozen := r.frozen.Load(); frozen != nil {
		return *frozen, nil
	}
	now, err := db.Time(ctx, at)
	return now.Add(time.Duration(r.offset.Load())), err
}

// pass lets time pass for the replicas.
func (r *rig) pass(d time.Duration) { r.offset.Add(int64(d)) }

// replica returns a Manager of the domains. With withHTTP its first attempt is by an HTTP-01
// challenge, else all are by TLS-ALPN-01.
func (r *rig) replica(withHTTP bool, change func(*Config), domains ...string) *Manager {
	r.t.Helper()
	ca, err := os.ReadFile(r.acme.CAFile)
	if err != nil {
		r.t.Fatal(err)
	}
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(ca)
	c := Config{
		DB: r.db, Secrets: r.box, Log: slog.New(slog.NewTextHandler(r.log, nil)), Domains: domains,
		Directory: r.acme.Directory, Email: "ops@example.com", Roots: roots, Host: "127.0.0.1", TLSPort: r.ports[1],
		Time: r.time,
	}
	if withHTTP {
		c.HTTPPort = r.ports[0]
	}
	if change != nil {
		change(&c)
	}
	m, err := New(c)
	if err != nil {
		r.t.Fatal(err)
	}
	r.t.Cleanup(func() { _ = m.Close() })
	return m
}

// listen serves the replica's answers on the ports where the ACME server looks for them.
func (r *rig) listen(m *Manager) {
	r.t.Helper()
	plain, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", r.ports[0]))
	if err != nil {
		r.t.Fatal(err)
	}
	server := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		if !m.AnswerHTTP(w, req) {
			http.NotFound(w, req)
		}
	})}
	go func() { _ = server.Serve(plain) }()
	secure, err := tls.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", r.ports[1]),
		&tls.Config{GetCertificate: m.Get, NextProtos: []string{"h2", "http/1.1", "acme-tls/1"}})
	if err != nil {
		r.t.Fatal(err)
	}
	other := &http.Server{Handler: http.NotFoundHandler(), ErrorLog: slog.NewLogLogger(slog.DiscardHandler, 0)}
	go func() { _ = other.Serve(secure) }()
	r.t.Cleanup(func() {
		_ = server.Close()
		_ = other.Close()
	})
}

// round runs a round of each replica, and waits for the attempts that it starts.
func (r *rig) round(replicas ...*Manager) {
	r.t.Helper()
	for _, m := range replicas {
		if err := m.Round(r.t.Context()); err != nil {
			r.t.Fatal(err)
		}
	}
	for _, m := range replicas {
		m.Settle()
	}
}

// serial is the serial number of the replica's certificate for the domain, which must be verified
// by the ACME server's root; "" without a certificate.
func (r *rig) serial(m *Manager, domain string) string {
	r.t.Helper()
	c, err := m.Get(&tls.ClientHelloInfo{ServerName: domain})
	if err != nil {
		return ""
	}
	between := x509.NewCertPool()
	for _, der := range c.Certificate[1:] {
		above, err := x509.ParseCertificate(der)
		if err != nil {
			r.t.Fatal(err)
		}
		between.AddCert(above)
	}
	if _, err := c.Leaf.Verify(x509.VerifyOptions{
		DNSName: domain, Roots: r.acme.Roots(), Intermediates: between, CurrentTime: c.Leaf.NotBefore,
	}); err != nil {
		r.t.Errorf("the certificate for %s: %v", domain, err)
	}
	return c.Leaf.SerialNumber.String()
}

// stored is the row of the domain.
func (r *rig) stored(domain string) record {
	r.t.Helper()
	var got record
	if err := r.db.InTx(r.t.Context(), func(ctx context.Context, tx *db.Tx) (err error) {
		got, err = find(ctx, tx, domain)
		return err
	}); err != nil {
		r.t.Fatal(err)
	}
	return got
}

func TestManager_OrdersRenewsAndShares(t *testing.T) {
	dbtest.Engines(t, func(t *testing.T, d *db.DB, _ *clock.Simulated) {
		r := newRig(t, d)
		const one, two = "one.example.com", "two.example.com"
		a, b := r.replica(true, nil, one, two), r.replica(true, nil, one, two)
		r.listen(a)
		if got := r.serial(a, one); got != "" {
			t.Fatalf("a certificate before it was ordered: %s", got)
		}

		// Two replicas at once place one order for each domain, and use the same certificate.
		r.round(a, b)
		r.round(a, b)
		first := r.serial(a, one)
		if first == "" || first != r.serial(b, one) || r.serial(a, two) == "" || r.acme.Orders() != 2 {
			t.Fatalf("certificates %q and %q, %d orders; want the same and 2\n%s", first, r.serial(b, one),
				r.acme.Orders(), r.log)
		}
		if row := r.stored(one); row.failures != 0 || row.fault != "" || strings.Contains(row.sealed, "PRIVATE") {
			t.Errorf("stored after a success: %+v", row)
		}

		// Nothing is due before a third of its life is left.
		at := r.stored(one).renewAt()
		if other := r.stored(two).renewAt(); other.After(at) {
			at = other
		}
		early := at.Add(-10 * time.Second)
		r.frozen.Store(&early)
		r.round(a, b)
		if got := r.acme.Orders(); got != 2 {
			t.Fatalf("%d orders before a renewal is due, want 2", got)
		}
		// The time stands at the renewal of the first certificates, so the new ones are not due.
		r.frozen.Store(&at)
		r.round(b, a)
		r.round(a, b)
		second := r.serial(a, one)
		if second == first || second != r.serial(b, one) || r.acme.Orders() != 4 {
			t.Fatalf("after the renewal: %q and %q, before %q, %d orders; want the same new one and 4\n%s", second,
				r.serial(b, one), first, r.acme.Orders(), r.log)
		}

		// A restarted server uses what is stored.
		c := r.replica(true, nil, one, two)
		if err := c.Round(t.Context()); err != nil {
			t.Fatal(err)
		}
		if got := r.serial(c, one); got != second {
			t.Errorf("after a restart: %q, want %q", got, second)
		}
		c.Settle()
		if got := r.acme.Orders(); got != 4 {
			t.Errorf("%d orders after a restart, want 4", got)
		}
	})
}

// The challenge reaches another replica than the one that ordered.
func TestManager_AnswersChallengesOfOtherReplicas(t *testing.T) {
	for name, plain := range map[string]bool{"HTTP-01": true, "TLS-ALPN-01": false} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t, dbtest.SQLite(t, clock.NewFrozen(dbtest.Start)))
			const domain = "gpu.example.com"
			a, b := r.replica(plain, nil, domain), r.replica(plain, nil, domain)
			r.listen(a)
			r.round(b)
			r.round(b)
			if r.serial(b, domain) == "" {
				t.Fatalf("no certificate\n%s", r.log)
			}
		})
	}
}

func TestManager_ExplainsRefusalsAndBacksOff(t *testing.T) {
	r := newRig(t, dbtest.SQLite(t, clock.NewFrozen(dbtest.Start)))
	const elsewhere = "elsewhere.example.com"
	r.acme.Resolve(elsewhere, "127.0.0.9") // where nothing listens
	a := r.replica(true, nil, elsewhere, acmetest.Blocked)
	r.listen(a)
	r.round(a)
	for domain, want := range map[string][]string{
		elsewhere:        {"could not verify the domain", "DNS records", elsewhere, "80 and 443"},
		acmetest.Blocked: {"The ACME server refused"},
	} {
		row := r.stored(domain)
		for _, text := range want {
			if !strings.Contains(row.fault, text) || !strings.Contains(r.log.String(), text) {
				t.Errorf("%s: no %q in %q or the log", domain, text, row.fault)
			}
		}
		if row.failures != 1 {
			t.Errorf("%s: %d failures, want 1", domain, row.failures)
		}
	}
	if got := r.acme.Orders(); got != 2 {
		t.Errorf("%d orders of two attempts, want 2: one challenge each", got)
	}
	// It does not hammer: not again in the same minute, nor after a restart.
	orders := r.acme.Orders()
	r.round(a)
	r.round(r.replica(true, nil, elsewhere, acmetest.Blocked))
	if got := r.acme.Orders(); got != orders {
		t.Errorf("%d more orders within the backoff\n%s", got-orders, r.log)
	}
	// The records are corrected: the next attempt succeeds.
	r.acme.Resolve(elsewhere, "127.0.0.1")
	r.pass(2 * time.Minute)
	r.round(a)
	r.round(a)
	if r.serial(a, elsewhere) == "" {
		t.Errorf("no certificate after the correction\n%s", r.log)
	}
	if row := r.stored(elsewhere); row.failures != 0 || row.fault != "" {
		t.Errorf("after the correction: %+v", row)
	}
}

// A new certificate that seems due at once, by a clock that is far ahead, is not ordered again in
// each round.
func TestManager_RestsAfterASuccess(t *testing.T) {
	r := newRig(t, dbtest.SQLite(t, clock.NewFrozen(dbtest.Start)))
	a := r.replica(true, nil, "gpu.example.com")
	r.listen(a)
	r.pass(365 * 24 * time.Hour)
	ahead, err := r.time(t.Context(), r.db)
	if err != nil {
		t.Fatal(err)
	}
	r.frozen.Store(&ahead)
	for range 5 {
		r.round(a)
	}
	if got := r.acme.Orders(); got != 1 {
		t.Errorf("%d orders in five rounds, want 1\n%s", got, r.log)
	}
}

// A certificate that was issued is recorded although the server stops meanwhile and the database
// fails at first, but not if another replica has the lock.
func TestManager_RecordsWhatWasIssued(t *testing.T) {
	r := newRig(t, dbtest.SQLite(t, clock.NewFrozen(dbtest.Start)))
	const domain = "gpu.example.com"
	failures := 0
	m := r.replica(true, func(c *Config) {
		c.Time = func(ctx context.Context, at db.Reader) (time.Time, error) {
			if failures > 0 {
				failures--
				return time.Time{}, errors.New("the database has failed")
			}
			return r.time(ctx, at)
		}
	}, domain)
	r.listen(m)
	ctx, stop := context.WithCancel(t.Context())
	lock, got, err := m.store.try(ctx, "order/"+domain)
	if err != nil || !got {
		t.Fatalf("the lock: %v %v", got, err)
	}
	chain, key, err := m.order(lock.ctx, m.issuer(1), domain)
	if err != nil {
		t.Fatal(err)
	}
	stop()
	<-lock.ended
	failures = 1
	if err := m.conclude(ctx, lock, record{domain: domain}, chain, key, nil); err != nil || failures != 0 {
		t.Errorf("%v, %d failures left", err, failures)
	}
	if row := r.stored(domain); row.chain != string(chain) {
		t.Errorf("stored: %+v", row)
	}
	if err := lock.release(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := m.conclude(ctx, lock, record{domain: domain}, chain, key, nil); !errors.Is(err, errLost) {
		t.Errorf("without the lock: %v, want errLost", err)
	}
}

// While the ACME server does not answer, the certificate in use stays in use.
func TestManager_UnreachableACMEServer(t *testing.T) {
	r := newRig(t, dbtest.SQLite(t, clock.NewFrozen(dbtest.Start)))
	const domain = "gpu.example.com"
	a := r.replica(true, nil, domain)
	r.listen(a)
	r.round(a)
	r.round(a)
	first := r.serial(a, domain)
	b := r.replica(true, func(c *Config) {
		c.Directory = fmt.Sprintf("https://127.0.0.1:%d/dir", acmetest.Ports(t, 1)[0])
	}, domain)
	r.pass(life)
	r.round(b)
	r.round(b)
	if got := r.serial(b, domain); got != first || first == "" {
		t.Errorf("in use: %q, want %q", got, first)
	}
	if row := r.stored(domain); !strings.Contains(row.fault, "cannot be used") || row.failures != 1 {
		t.Errorf("stored: %q after %d failures", row.fault, row.failures)
	}
	if _, err := b.Get(&tls.ClientHelloInfo{ServerName: "other.example.com"}); err == nil {
		t.Error("a certificate for an unknown name")
	}
	if c, err := b.Get(&tls.ClientHelloInfo{}); err != nil || c.Leaf == nil {
		t.Errorf("a client without a server name gets no certificate: %v", err)
	}
}
