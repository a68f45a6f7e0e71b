package e2e_test

import (
	"bufio"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/billetcloud/billet/internal/db/dbtest"
	"github.com/billetcloud/billet/test/acmetest"
	"github.com/billetcloud/billet/test/servertest"
)

// listeners are the ports of a server that terminates TLS itself, and the ACME server that
// checks it.
type listeners struct {
	t             *testing.T
	acme          *acmetest.Server
	secure, plain int
}

func newListeners(t *testing.T) listeners {
	t.Helper()
	ports := acmetest.Ports(t, 2)
	return listeners{t, acmetest.Start(t, acmetest.Config{HTTPPort: ports[1], TLSPort: ports[0], Life: time.Hour}),
		ports[0], ports[1]}
}

// args are the arguments of a server at these ports that gets certificates for the domains.
func (d listeners) args(domains string) []string {
	return []string{
		"--listen", local(d.secure), "--http-listen", local(d.plain), "--tls-domain", domains,
		"--tls-email", "ops@example.com", "--tls-acme-directory", d.acme.Directory, "--tls-acme-ca-file", d.acme.CAFile,
		"--public-url", "https://" + strings.Split(domains, ",")[0] + ":" + strconv.Itoa(d.secure),
	}
}

func local(port int) string { return "127.0.0.1:" + strconv.Itoa(port) }

// serial waits for a certificate for the name that the roots verify and another one than the given
// serial number, and returns its serial number.
func serial(t *testing.T, address, name string, roots *x509.CertPool, not string) string {
	t.Helper()
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for deadline := time.After(terminalTime); ; {
		c, err := tls.Dial("tcp", address, &tls.Config{ServerName: name, RootCAs: roots})
		if err == nil {
			got := c.ConnectionState().PeerCertificates[0].SerialNumber.String()
			_ = c.Close()
			if got != not {
				return got
			}
		}
		select {
		case <-tick.C:
		case <-deadline:
			t.Fatalf("no new certificate for %s at %s: %v", name, address, err)
		}
	}
}

func TestTLSDomain(t *testing.T) {
	d := newListeners(t)
	s := servertest.Start(t, append(d.args(site+",www.example.com"), "--sim", "--sim-machines", "banner")...)
	first := serial(t, local(d.secure), site, d.acme.Roots(), "")
	serial(t, local(d.secure), "www.example.com", d.acme.Roots(), "")
	if got := d.acme.Orders(); got != 2 {
		t.Errorf("%d orders for two domains, want 2", got)
	}
	e := &edge{t: t, dir: t.TempDir(), port: strconv.Itoa(d.secure), roots: d.acme.Roots()}
	e.origin = "https://" + net.JoinHostPort(site, e.port)
	s.Use(e.visitor(t).Client)
	login, key := newUser(t, s)
	machine := s.Running(key, s.Deploy(key, "one", newIdentity(t).public))["id"].(string)
	for i, protocol := range []string{"HTTP/1.1", "HTTP/2.0"} {
		t.Run(protocol, func(t *testing.T) {
			v := e.visitor(t)
			v.Transport.(*http.Transport).ForceAttemptHTTP2 = protocol == "HTTP/2.0"
			resp, _ := v.want(201, "POST", "/api/v1/account/sessions", login)
			if resp.Proto != protocol || resp.Header.Get("Strict-Transport-Security") == "" {
				t.Errorf("%s, %v; want %s with HSTS", resp.Proto, resp.Header, protocol)
			}
			for _, cookie := range resp.Header.Values("Set-Cookie") {
				if !strings.HasPrefix(cookie, "__Host-") || !strings.Contains(cookie, "; Secure") {
					t.Errorf("a cookie that is not for https alone: %s", cookie)
				}
			}
			_, link := v.want(201, "POST", "/api/v1/account/invitations", map[string]string{"role": "member"})
			if !strings.Contains(link, `"url":"`+e.origin+"/invite#") {
				t.Errorf("the link leads elsewhere: %s", link)
			}
			if protocol == "HTTP/1.1" { // a terminal is a WebSocket, for which browsers use HTTP/1.1
				v.streams(s, key, machine, i)
				return
			}
			events := v.do("GET", "/api/v1/inventory/events", nil, "Accept", "text/event-stream")
			if line, err := bufio.NewReader(events.Body).ReadString('\n'); err != nil || events.Proto != protocol {
				t.Errorf("the event stream: %q %v over %s", line, err, events.Proto)
			}
		})
	}
	t.Run("malformed request", func(t *testing.T) { malformed(t, d) })
	t.Run("plain HTTP", func(t *testing.T) { redirected(t, d, e.origin) })
	t.Run("metrics and health", func(t *testing.T) {
		text := metricsOf(t, s)
		for _, want := range []string{
			`billet_certificate_remaining_seconds{domain="` + site + `"}`,
			`billet_loop_last_round_seconds{loop="keep certificates"}`,
		} {
			if !strings.Contains(text, want) {
				t.Errorf("no %s in the metrics", want)
			}
		}
		if out, err := health(t, d.secure); err != nil {
			t.Errorf("%v: %s", err, out)
		}
	})
	t.Run("restart", func(t *testing.T) {
		s.Stop()
		s.Restart()
		if got := serial(t, local(d.secure), site, d.acme.Roots(), ""); got != first || d.acme.Orders() != 2 {
			t.Errorf("certificate %s and %d orders after a restart, want %s and 2", got, d.acme.Orders(), first)
		}
		if strings.Contains(s.Log(), "PRIVATE KEY") {
			t.Error("the log has a private key")
		}
	})
}

// health runs the command that checks the server at the port.
func health(t *testing.T, port int) (string, error) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), servertest.Binary(t), "health", "--ready", "--listen", local(port))
	out, err := cmd.CombinedOutput()
	return string(out), err
}

// malformed sends what net/http cannot read over TLS.
func malformed(t *testing.T, d listeners) {
	t.Helper()
	c, err := tls.Dial("tcp", local(d.secure), &tls.Config{ServerName: site, RootCAs: d.acme.Roots()})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = c.Close() }()
	if _, err := io.WriteString(c, "nonsense\r\n\r\n"); err != nil {
		t.Fatal(err)
	}
	resp, err := http.ReadResponse(bufio.NewReader(c), nil)
	if err != nil {
		t.Fatal(err)
	}
	body, err := io.ReadAll(resp.Body)
	if err != nil || resp.StatusCode != 400 || !strings.Contains(string(body), "INVALID_REQUEST") {
		t.Errorf("%d %s %v, want 400 with our envelope", resp.StatusCode, body, err)
	}
}

// redirected checks the address of plain HTTP.
func redirected(t *testing.T, d listeners, origin string) {
	t.Helper()
	client := &http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	for _, c := range []struct {
		method, path, host string
		status             int
		want               string // the Location, or part of the body
	}{
		{"GET", "/offers?gpuType=NVIDIA+B200", site, 308, origin + "/offers?gpuType=NVIDIA+B200"},
		{"HEAD", "/", site + ":80", 308, origin + "/"},
		{"GET", "/a%2fb", "evil.example", 308, origin + "/a%2fb"},
		{"GET", "//evil.example/x", site, 308, origin + "//evil.example/x"},
		{"POST", "/api/v1/account/sessions", site, 400, "INVALID_REQUEST"},
		{"GET", "/.well-known/acme-challenge/none", site, 404, "no such challenge"},
		{"GET", "/.well-known/acme-challenge/none", "evil.example", 308, origin + "/.well-known/acme-challenge/none"},
	} {
		r, err := http.NewRequestWithContext(t.Context(), c.method, "http://"+local(d.plain)+c.path, nil)
		if err != nil {
			t.Fatal(err)
		}
		r.Host = c.host
		resp, err := client.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		body, err := io.ReadAll(resp.Body)
		_ = resp.Body.Close()
		got := resp.Header.Get("Location")
		if c.status != 308 {
			got = string(body)
		}
		if err != nil || resp.StatusCode != c.status || (c.status == 308 && got != c.want) ||
			!strings.Contains(got, c.want) {
			t.Errorf(
				"%s %s for %s: %d %q, want %d %q",
				c.method,
				c.path,
				c.host,
				resp.StatusCode,
				got,
				c.status,
				c.want,
			)
		}
		if len(resp.Header.Values("Set-Cookie")) > 0 || resp.Header.Get("Strict-Transport-Security") != "" {
			t.Errorf("%s %s: a cookie or HSTS over plain HTTP: %v", c.method, c.path, resp.Header)
		}
	}
}

// metricsOf returns the server's metrics.
func metricsOf(t *testing.T, s *servertest.Server) string {
	t.Helper()
	m := regexp.MustCompile(`metrics=(http://127\.0\.0\.1:\d+/metrics)`).FindStringSubmatch(s.Log())
	if m == nil {
		t.Fatalf("the log does not name the metrics:\n%s", s.Log())
	}
	resp, err := http.Get(m[1])
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// Two replicas place one order and serve the same certificate. The ACME server reaches only one of
// them.
func TestTLSReplicas(t *testing.T) {
	d := newListeners(t)
	database := dbtest.PostgresURL(t)
	shared := []string{"--database-url", database, "--secret-key-command",
		"echo AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="}
	servertest.Start(t, append(d.args(site), shared...)...)
	other := d
	ports := acmetest.Ports(t, 2)
	other.secure, other.plain = ports[0], ports[1]
	servertest.Start(t, append(other.args(site), shared...)...)
	a := serial(t, local(d.secure), site, d.acme.Roots(), "")
	b := serial(t, local(other.secure), site, d.acme.Roots(), "")
	if a != b || d.acme.Orders() != 1 {
		t.Errorf("certificates %s and %s of %d orders, want the same of one", a, b, d.acme.Orders())
	}
}

// A server whose certificates are refused says why, and goes on with what it can.
func TestTLSRefused(t *testing.T) {
	d := newListeners(t)
	s := servertest.Start(t, d.args(site+","+acmetest.Blocked)...)
	roots := d.acme.Roots()
	serial(t, local(d.secure), site, roots, "")
	s.AwaitLog("cannot get a certificate")
	for _, want := range []string{acmetest.Blocked, "The ACME server refused", "next_attempt"} {
		if !strings.Contains(s.Log(), want) {
			t.Errorf("no %q in the log:\n%s", want, s.Log())
		}
	}
	if out, err := health(t, d.secure); err != nil {
		t.Errorf("%v: %s", err, out)
	}
	blocked := &tls.Config{ServerName: acmetest.Blocked, RootCAs: roots}
	if _, err := tls.Dial("tcp", local(d.secure), blocked); err == nil {
		t.Error("the refused domain has a certificate")
	}
	out := s.Run("certificate", "list", "-o", "json")
	var listed []struct {
		Domain, Fault string
		NotAfter      *time.Time
		Failures      int
	}
	if err := json.Unmarshal([]byte(out), &listed); err != nil || len(listed) != 2 {
		t.Fatalf("%v in %s", err, out)
	}
	if listed[0].Domain != acmetest.Blocked || listed[0].Failures != 1 ||
		!strings.Contains(listed[0].Fault, "refused") || listed[1].Domain != site || listed[1].NotAfter == nil ||
		listed[1].Fault != "" {
		t.Errorf("listed: %s", out)
	}
	orders := d.acme.Orders()
	s.Run("certificate", "retry", "--domain", acmetest.Blocked)
	s.Until("another attempt", func() bool { return d.acme.Orders() > orders })
}

func TestTLSFiles(t *testing.T) {
	e := newEdge(t)
	chain, key := filepath.Join(e.dir, "fullchain.pem"), filepath.Join(e.dir, "privkey.pem")
	ports := acmetest.Ports(t, 2)
	s := servertest.Start(t, "--listen", local(ports[0]), "--http-listen", local(ports[1]), "--tls-cert", chain,
		"--tls-key", key, "--public-url", "https://"+site)
	serial(t, local(ports[0]), site, e.roots, "")

	// Another certificate is used soon after it was written.
	next := newEdge(t)
	for _, name := range []string{"privkey.pem", "fullchain.pem"} {
		text, err := os.ReadFile(filepath.Join(next.dir, name))
		if err != nil {
			t.Fatal(err)
		}
		e.write(name, string(text))
	}
	both := x509.NewCertPool()
	text, err := os.ReadFile(chain)
	if err != nil || !both.AppendCertsFromPEM(text) {
		t.Fatal(err)
	}
	serial(t, local(ports[0]), site, both, "")

	// One that cannot be used is reported, and the previous one stays.
	e.write("privkey.pem", "nonsense")
	s.AwaitLog("the previous one stays in use")
	serial(t, local(ports[0]), site, both, "")
	if out, err := health(t, ports[0]); err != nil {
		t.Errorf("%v: %s", err, out)
	}

	// A server does not start with it.
	bad := servertest.Prepare(t, t.TempDir(), "--listen", local(acmetest.Ports(t, 1)[0]), "--http-listen", "",
		"--tls-cert", chain, "--tls-key", key, "--public-url", "https://"+site)
	if bad.TryRestart(0) || !strings.Contains(bad.Log(), "--tls-cert and --tls-key") {
		t.Errorf("the log of a server with a broken key:\n%s", bad.Log())
	}
}

// Clients that connect and say nothing keep no client out.
func TestTLSSilentClients(t *testing.T) {
	e := newEdge(t)
	ports := acmetest.Ports(t, 1)
	servertest.Start(
		t,
		"--listen",
		local(ports[0]),
		"--http-listen",
		"",
		"--tls-cert",
		filepath.Join(e.dir, "fullchain.pem"),
		"--tls-key",
		filepath.Join(e.dir, "privkey.pem"),
		"--public-url",
		"https://"+site,
	)
	for range 50 {
		var d net.Dialer
		c, err := d.DialContext(context.Background(), "tcp", local(ports[0]))
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = c.Close() }()
	}
	serial(t, local(ports[0]), site, e.roots, "")
	plain, err := http.Get(fmt.Sprintf("http://%s/", local(ports[0])))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = plain.Body.Close() }()
	if text, err := io.ReadAll(plain.Body); err != nil || plain.StatusCode != 400 ||
		!strings.Contains(string(text), "https only") {
		t.Errorf("plain HTTP at the TLS address: %d %q %v", plain.StatusCode, text, err)
	}
}
