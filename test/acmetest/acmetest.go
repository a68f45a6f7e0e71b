package acmetest

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"math/big"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/billetcloud/billet/test/servertest"
)

// patience is how long a test waits for a program to start.
const patience = time.Minute

// Blocked is a domain for which the server refuses certificates.
const Blocked = "blocked.example.com"

// Config configures a Server.
type Config struct {
	// HTTPPort and TLSPort are where the server looks for answers to challenges.
	HTTPPort, TLSPort int
	// Life is how long its certificates are valid.
	Life time.Duration
}

// Server is a running ACME server.
type Server struct {
	// Directory is the URL of its directory, and CAFile has the root that verifies it.
	Directory, CAFile string

	t          testing.TB
	client     *http.Client
	management string // URL
	dns        string // URL of the DNS server's management
	log        *os.File
}

// Start starts an ACME server until the end of the test.
func Start(t testing.TB, c Config) *Server {
	t.Helper()
	paths, err := programs()
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	// The programs write into a file: a pipe would deliver it some time later.
	log, err := os.Create(filepath.Join(dir, "log"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = log.Close() })
	s := &Server{t: t, CAFile: filepath.Join(dir, "ca.pem"), log: log}
	roots := writeCertificate(t, dir)
	s.client = &http.Client{Timeout: patience, Transport: &http.Transport{
		TLSClientConfig: &tls.Config{RootCAs: roots}, DisableKeepAlives: true,
	}}
	ports := Ports(t, 4)
	at := func(i int) string { return "127.0.0.1:" + strconv.Itoa(ports[i]) }
	s.Directory, s.management, s.dns = "https://"+at(0)+"/dir", "https://"+at(1), "http://"+at(2)
	config, err := json.Marshal(map[string]any{"pebble": map[string]any{
		"listenAddress": at(0), "managementListenAddress": at(1),
		"certificate": filepath.Join(dir, "server.pem"), "privateKey": filepath.Join(dir, "server.key"),
		"httpPort": c.HTTPPort, "tlsPort": c.TLSPort, "domainBlocklist": []string{Blocked},
		"retryAfter": map[string]int{"authz": 1, "order": 1}, "keyAlgorithm": "ecdsa",
		"profiles": map[string]any{"default": map[string]any{
			"description": "for tests", "validityPeriod": int(c.Life.Seconds()),
		}},
	}})
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(dir, "pebble.json")
	if err := os.WriteFile(file, config, 0o600); err != nil {
		t.Fatal(err)
	}
	s.run(paths[1], "-dnsserver", at(3), "-management", at(2), "-http01", "", "-https01", "",
		"-tlsalpn01", "", "-doh", "", "-defaultIPv6", "")
	s.run(paths[0], "-config", file, "-dnsserver", at(3))
	s.await(s.Directory)
	s.await(s.dns)
	return s
}

// Ports returns different free ports of the loopback address.
func Ports(t testing.TB, n int) []int {
	t.Helper()
	var ports []int
	for len(ports) < n {
		if port := servertest.FreePort(t); !slices.Contains(ports, port) {
			ports = append(ports, port)
		}
	}
	return ports
}

// programs returns the paths of pebble and its DNS server, which Go builds once into its cache.
var programs = sync.OnceValues(func() (paths [2]string, err error) {
	_, here, _, _ := runtime.Caller(0)
	for i, name := range []string{"pebble", "pebble-challtestsrv"} {
		cmd := exec.Command("go", "tool", "-n", "github.com/letsencrypt/pebble/v2/cmd/"+name)
		cmd.Dir = filepath.Join(filepath.Dir(here), "pebble")
		out, err := cmd.Output()
		if err != nil {
			if failed, is := errors.AsType[*exec.ExitError](err); is {
				out = failed.Stderr
			}
			return paths, fmt.Errorf("build %s: %w\n%s", name, err, out)
		}
		paths[i] = strings.TrimSpace(string(out))
	}
	return paths, nil
})

func (s *Server) run(program string, args ...string) {
	s.t.Helper()
	cmd := exec.Command(program, args...)
	cmd.Env = append(os.Environ(), "PEBBLE_VA_NOSLEEP=1", "PEBBLE_WFE_NONCEREJECT=0")
	cmd.Stdout, cmd.Stderr = s.log, s.log
	if err := cmd.Start(); err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	})
}

// await waits until there is an answer at the URL.
func (s *Server) await(url string) {
	s.t.Helper()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for deadline := time.After(patience); ; {
		resp, err := s.client.Get(url)
		if err == nil {
			_ = resp.Body.Close()
			return
		}
		select {
		case <-tick.C:
		case <-deadline:
			s.t.Fatalf("%s does not answer: %v\n%s", url, err, s.Log())
		}
	}
}

// Resolve makes the domain lead to the address for the ACME server. By default all lead to
// 127.0.0.1.
func (s *Server) Resolve(domain, address string) {
	s.t.Helper()
	body, err := json.Marshal(map[string]any{"host": domain, "addresses": []string{address}})
	if err != nil {
		s.t.Fatal(err)
	}
	for _, path := range []string{"/clear-a", "/add-a"} {
		resp, err := s.client.Post(s.dns+path, "application/json", bytes.NewReader(body))
		if err != nil {
			s.t.Fatal(err)
		}
		_ = resp.Body.Close()
		if resp.StatusCode != http.StatusOK {
			s.t.Fatalf("%s: %s", path, resp.Status)
		}
	}
}

// Roots returns the roots of its certificates.
func (s *Server) Roots() *x509.CertPool {
	s.t.Helper()
	ctx, cancel := context.WithTimeout(s.t.Context(), patience)
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, s.management+"/roots/0", nil)
	if err != nil {
		s.t.Fatal(err)
	}
	resp, err := s.client.Do(r)
	if err != nil {
		s.t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	text, err := io.ReadAll(resp.Body)
	pool := x509.NewCertPool()
	if err != nil || !pool.AppendCertsFromPEM(text) {
		s.t.Fatalf("no root in %q: %v", text, err)
	}
	return pool
}

// Orders returns how many orders were placed.
func (s *Server) Orders() int { return strings.Count(s.Log(), "POST /order-plz ") }

// Log returns what the programs have said.
func (s *Server) Log() string {
	s.t.Helper()
	text, err := os.ReadFile(s.log.Name())
	if err != nil {
		s.t.Fatal(err)
	}
	return string(text)
}

// writeCertificate writes a certificate for the server's own API, which is its own root.
func writeCertificate(t testing.TB, dir string) *x509.CertPool {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	now := time.Now()
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "acme"}, IPAddresses: []net.IP{{127, 0, 0, 1}},
		NotBefore: now.Add(-time.Hour), NotAfter: now.Add(24 * time.Hour), IsCA: true, BasicConstraintsValid: true,
		KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign,
	}
	certificate, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	private, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	chain := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: certificate})
	for name, content := range map[string][]byte{
		"ca.pem": chain, "server.pem": chain,
		"server.key": pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: private}),
	} {
		if err := os.WriteFile(filepath.Join(dir, name), content, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM(chain)
	return pool
}
