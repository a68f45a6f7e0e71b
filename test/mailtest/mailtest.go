package mailtest

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"io"
	"math/big"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/billetcloud/billet/test/servertest"
)

// patience is how long a test waits for an expected event.
const patience = time.Minute

// The name and password that the server accepts.
const User, Password = "billet", "correct-horse-battery"

// Server is a running mailpit. It requires STARTTLS and a sign-in.
type Server struct {
	// Port is that of SMTP, on 127.0.0.1.
	Port int
	// CAFile has the certificate that its clients must trust.
	CAFile string
	// API is the URL of mailpit's own API, for tests that are not in Go.
	API string

	t testing.TB
}

// Mail is a mail that the server took.
type Mail struct {
	ID        string
	MessageID string
	Subject   string
	To        []struct{ Address string }
	// Text and HTML are set by Read only.
	Text, HTML string
}

// Start starts a mail server.
func Start(t testing.TB) *Server {
	t.Helper()
	program, err := build()
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	s := &Server{
		t: t, Port: servertest.FreePort(t), CAFile: filepath.Join(dir, "cert.pem"),
		API: fmt.Sprintf("http://127.0.0.1:%d", servertest.FreePort(t)),
	}
	writeCertificate(t, s.CAFile, filepath.Join(dir, "key.pem"))
	// bcrypt or plain: mailpit takes both.
	passwords := filepath.Join(dir, "passwords")
	if err := os.WriteFile(passwords, []byte(User+":"+Password+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	log, err := os.Create(filepath.Join(dir, "log"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = log.Close() })
	listen, err := url.Parse(s.API)
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(program, "--listen", listen.Host, "--smtp", "127.0.0.1:"+strconv.Itoa(s.Port),
		"--smtp-auth-file", passwords, "--smtp-tls-cert", s.CAFile, "--smtp-tls-key", filepath.Join(dir, "key.pem"),
		"--smtp-require-starttls", "--smtp-disable-rdns", "--enable-chaos", "--disable-version-check",
		"--database", filepath.Join(dir, "mails.db"))
	cmd.Stdout, cmd.Stderr = log, log
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
		if t.Failed() {
			text, _ := os.ReadFile(log.Name())
			t.Logf("mailpit:\n%s", text[max(0, len(text)-2000):])
		}
	})
	s.until("mailpit answers", func() bool {
		resp, err := http.Get(s.API + "/readyz")
		if err != nil {
			return false
		}
		_ = resp.Body.Close()
		return resp.StatusCode == http.StatusOK
	})
	return s
}

// build builds mailpit once. BILLET_TEST_DIR is where `make test` keeps what it builds.
var build = sync.OnceValues(func() (string, error) {
	dir := os.Getenv("BILLET_TEST_DIR")
	if dir == "" {
		dir = os.TempDir()
	}
	dir, err := os.MkdirTemp(dir, "mailpit")
	if err != nil {
		return "", err
	}
	_, here, _, _ := runtime.Caller(0)
	cmd := exec.Command("go", "build", "-o", dir+"/", "github.com/axllent/mailpit")
	cmd.Dir = filepath.Join(filepath.Dir(here), "mailpit")
	if out, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("build mailpit: %w\n%s", err, out)
	}
	return filepath.Join(dir, "mailpit"), nil
})

func writeCertificate(t testing.TB, certificate, privateKey string) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	c := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "mailpit"},
		NotAfter:    time.Now().Add(24 * time.Hour),
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, IsCA: true, BasicConstraintsValid: true,
	}
	der, err := x509.CreateCertificate(rand.Reader, c, c, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	private, err := x509.MarshalECPrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	for file, block := range map[string]*pem.Block{
		certificate: {Type: "CERTIFICATE", Bytes: der}, privateKey: {Type: "EC PRIVATE KEY", Bytes: private},
	} {
		if err := os.WriteFile(file, pem.EncodeToMemory(block), 0o600); err != nil {
			t.Fatal(err)
		}
	}
}

// Refuse answers a stage (Sender, Recipient or Authentication) with that code, or nothing with a
// code of 0.
func (s *Server) Refuse(stage string, code int) {
	s.t.Helper()
	body := map[string]any{}
	if code != 0 {
		body[stage] = map[string]int{"ErrorCode": code, "Probability": 100}
	}
	text, err := json.Marshal(body)
	if err != nil {
		s.t.Fatal(err)
	}
	r, err := http.NewRequest(http.MethodPut, s.API+"/api/v1/chaos", bytes.NewReader(text))
	if err != nil {
		s.t.Fatal(err)
	}
	r.Header.Set("Content-Type", "application/json")
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		s.t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	if resp.StatusCode != http.StatusOK {
		text, _ := io.ReadAll(resp.Body)
		s.t.Fatalf("chaos: %d %s", resp.StatusCode, text)
	}
}

// To returns the mails to an address, without their text.
func (s *Server) To(address string) []Mail {
	s.t.Helper()
	var found struct{ Messages []Mail }
	s.get("/api/v1/search?limit=500&query="+url.QueryEscape(`to:"`+address+`"`), &found)
	return found.Messages
}

// Await returns the first mail to the address with that subject, once it is there.
func (s *Server) Await(address, subject string) (m Mail) {
	s.t.Helper()
	s.until("a mail to "+address+": "+subject, func() bool {
		for _, one := range s.To(address) {
			if one.Subject == subject {
				m = one
				return true
			}
		}
		return false
	})
	s.get("/api/v1/message/"+m.ID, &m)
	return m
}

func (s *Server) get(path string, v any) {
	s.t.Helper()
	resp, err := http.Get(s.API + path)
	if err != nil {
		s.t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	if err := json.NewDecoder(resp.Body).Decode(v); err != nil || resp.StatusCode != http.StatusOK {
		s.t.Fatalf("%s: %d, %v", path, resp.StatusCode, err)
	}
}

func (s *Server) until(what string, holds func() bool) {
	s.t.Helper()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for deadline := time.After(patience); !holds(); {
		select {
		case <-deadline:
			s.t.Fatalf("after %s: %s did not happen", patience, what)
		case <-tick.C:
		}
	}
}
