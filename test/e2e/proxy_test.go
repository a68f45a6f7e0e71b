package e2e_test

import (
	"bufio"
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
	"fmt"
	"io"
	"math/big"
	"net"
	"net/http"
	"net/http/cookiejar"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/billetcloud/billet/test/servertest"
	"github.com/coder/websocket"
)

// site is the host name in the examples of docs/install.md.
const site = "gpu.example.com"

// edge is a public address with a certificate. Proxies are started on it one after the other.
type edge struct {
	t    *testing.T
	dir  string
	port string
	// origin is the browsers' origin.
	origin string
	roots  *x509.CertPool
}

func newEdge(t *testing.T) *edge {
	t.Helper()
	port := strconv.Itoa(servertest.FreePort(t))
	e := &edge{
		t: t, dir: t.TempDir(), port: port, origin: "https://" + net.JoinHostPort(site, port),
		roots: x509.NewCertPool(),
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	now := time.Now()
	certificate, err := x509.CreateCertificate(rand.Reader, &x509.Certificate{
		SerialNumber: big.NewInt(
			1,
		), Subject: pkix.Name{CommonName: site}, DNSNames: []string{site}, NotBefore: now.Add(-time.Hour),
		NotAfter: now.Add(24 * time.Hour),
		IsCA:     true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign,
	}, &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: site}}, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	private, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	chain := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: certificate})
	secret := pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: private})
	e.roots.AppendCertsFromPEM(chain)
	e.write("fullchain.pem", string(chain))
	e.write("privkey.pem", string(secret))
	e.write("both.pem", string(chain)+string(secret))
	return e
}

func (e *edge) write(name, text string) string {
	e.t.Helper()
	path := filepath.Join(e.dir, name)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		e.t.Fatal(err)
	}
	return path
}

// documented returns the example of docs/install.md in a language.
func documented(t *testing.T, language string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("..", "..", "docs", "install.md"))
	if err != nil {
		t.Fatal(err)
	}
	_, after, found := strings.Cut(string(text), "```"+language+"\n")
	example, _, closed := strings.Cut(after, "```")
	if !found || !closed {
		t.Fatalf("docs/install.md has no example for %s", language)
	}
	return example
}

// bare removes the headers that describe the client, as in a minimal proxy configuration.
func bare(example string) string {
	var kept []string
	for line := range strings.Lines(example) {
		if !strings.Contains(line, "X-Forwarded") && !strings.Contains(line, "forwardfor") &&
			!strings.Contains(line, "header Host") {
			kept = append(kept, line)
		}
	}
	return strings.Join(kept, "")
}

// fit inserts this test's ports and files into an example.
func (e *edge) fit(s *servertest.Server, example string) string {
	return strings.NewReplacer(
		"127.0.0.1:8080",
		strings.TrimPrefix(s.URL, "http://"),
		"listen 443",
		"listen 127.0.0.1:"+e.port,
		"bind :443",
		"bind 127.0.0.1:"+e.port,
		"/etc/ssl/gpu.example.com",
		e.dir,
		"/etc/haproxy/gpu.example.com.pem",
		filepath.Join(e.dir, "both.pem"),
	).Replace(example)
}

func (e *edge) nginx(s *servertest.Server, example string) {
	e.t.Helper()
	user := ""
	if os.Getuid() == 0 {
		user = "user root;\n" // the workers write into the test's directory
	}
	temp := ""
	for _, what := range []string{"client_body", "proxy", "fastcgi", "uwsgi", "scgi"} {
		temp += what + "_temp_path " + filepath.Join(e.dir, what) + ";\n"
	}
	file := e.write(
		"nginx.conf",
		user+"worker_processes 1;\ndaemon off;\npid "+filepath.Join(
			e.dir,
			"nginx.pid",
		)+";\nerror_log stderr;\nevents {}\nhttp {\naccess_log off;\n"+
			temp+e.fit(
			s,
			example,
		)+"}\n",
	)
	e.start("/usr/sbin/nginx", "-p", e.dir, "-e", "stderr", "-c", file)
}

func (e *edge) haproxy(s *servertest.Server, example string) {
	e.t.Helper()
	file := e.write("haproxy.cfg", e.fit(s, example))
	e.start("/usr/sbin/haproxy", "-db", "-q", "-f", file)
}

// caddy starts Caddy with the test's certificate in place of one of its own.
func (e *edge) caddy(s *servertest.Server, example string) {
	e.t.Helper()
	site := strings.Replace(e.fit(s, example), "gpu.example.com {", fmt.Sprintf(
		"%s {\nbind 127.0.0.1\ntls %s %s", e.origin, filepath.Join(e.dir, "fullchain.pem"),
		filepath.Join(e.dir, "privkey.pem")), 1)
	e.t.Setenv("XDG_DATA_HOME", e.dir)
	e.t.Setenv("XDG_CONFIG_HOME", e.dir)
	file := e.write("Caddyfile", "{\nadmin off\nauto_https disable_redirects\n}\n"+site)
	e.start("/usr/bin/caddy", "run", "--adapter", "caddyfile", "--config", file)
}

// start starts a proxy until the end of the test, and returns when it listens.
func (e *edge) start(program string, args ...string) {
	e.t.Helper()
	if _, err := os.Stat(program); err != nil {
		if os.Getenv("CI") != "" || os.Getenv("BILLET_TEST_REQUIRE_BROWSER") != "" { // set by `make test`
			e.t.Fatalf("%s is not there; scripts/need.sh installs it", program)
		}
		e.t.Skipf("%s is not there; scripts/need.sh installs it", program)
	}
	cmd := exec.Command(program, args...)
	var said bytes.Buffer
	cmd.Stderr = &said
	if err := cmd.Start(); err != nil {
		e.t.Fatal(err)
	}
	ended := make(chan struct{})
	go func() {
		_ = cmd.Wait()
		close(ended)
	}()
	e.t.Cleanup(func() {
		_ = cmd.Process.Signal(os.Interrupt)
		select {
		case <-ended:
		case <-time.After(time.Minute):
			_ = cmd.Process.Kill()
			<-ended
		}
	})
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for deadline := time.After(terminalTime); ; {
		conn, err := net.Dial("tcp", "127.0.0.1:"+e.port)
		if err == nil {
			_ = conn.Close()
			return
		}
		select {
		case <-tick.C:
		case <-ended:
			e.t.Fatalf("%s ended: %s", program, said.String())
		case <-deadline:
			e.t.Fatalf("%s does not listen: %s", program, said.String())
		}
	}
}

// visitor is a browser at 127.0.0.2 that resolves the site's name and trusts its certificate.
type visitor struct {
	*http.Client
	t *testing.T
	e *edge
}

func (e *edge) visitor(t *testing.T) visitor {
	t.Helper()
	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	dialer := &net.Dialer{LocalAddr: &net.TCPAddr{IP: net.IPv4(127, 0, 0, 2)}}
	transport := &http.Transport{
		TLSClientConfig: &tls.Config{RootCAs: e.roots},
		DialContext: func(ctx context.Context, network, _ string) (net.Conn, error) {
			return dialer.DialContext(ctx, network, "127.0.0.1:"+e.port)
		},
	}
	t.Cleanup(transport.CloseIdleConnections)
	return visitor{&http.Client{Jar: jar, Transport: transport, Timeout: terminalTime}, t, e}
}

// do makes a request like a browser on the site that is too old to send Sec-Fetch-Site.
func (v visitor) do(method, path string, body any, headers ...string) *http.Response {
	v.t.Helper()
	text, err := json.Marshal(body)
	if err != nil {
		v.t.Fatal(err)
	}
	r, err := http.NewRequestWithContext(v.t.Context(), method, v.e.origin+path, bytes.NewReader(text))
	if err != nil {
		v.t.Fatal(err)
	}
	if body == nil {
		r.Body, r.ContentLength = http.NoBody, 0
	} else {
		r.Header.Set("Content-Type", "application/json")
	}
	if method != http.MethodGet {
		r.Header.Set("Origin", v.e.origin)
	}
	for i := 0; i < len(headers); i += 2 {
		r.Header.Set(headers[i], headers[i+1])
	}
	resp, err := v.Do(r)
	if err != nil {
		v.t.Fatal(err)
	}
	v.t.Cleanup(func() { _ = resp.Body.Close() })
	return resp
}

// want is do with an expected status; it returns the body.
func (v visitor) want(status int, method, path string, body any, headers ...string) (*http.Response, string) {
	v.t.Helper()
	resp := v.do(method, path, body, headers...)
	text, err := io.ReadAll(resp.Body)
	if err != nil || resp.StatusCode != status {
		v.t.Fatalf("%s %s: %d %s %v", method, path, resp.StatusCode, text, err)
	}
	return resp, string(text)
}

// newUser creates an account with a user, and returns the user's credentials and an API key.
func newUser(t *testing.T, s *servertest.Server) (login map[string]string, key string) {
	t.Helper()
	account, key := s.Key("1000")
	var made struct{ Password, Email string }
	if err := json.Unmarshal(
		[]byte(s.Run("user", "create", "--account", account, "--email", "ada@example.com", "-o", "json")),
		&made,
	); err != nil {
		t.Fatal(err)
	}
	return map[string]string{"email": made.Email, "password": made.Password}, key
}

func TestProxies(t *testing.T) {
	e := newEdge(t)
	s := servertest.Start(
		t, "--sim", "--sim-machines", "banner", "--public-url", e.origin, "--trusted-proxies", "127.0.0.1",
	)
	login, key := newUser(t, s)
	machine := s.Running(key, s.Deploy(key, "one", newIdentity(t).public))["id"].(string)
	for i, c := range []struct {
		name  string
		start func(e *edge)
		from  string // the visitor's address as the server determines it
	}{
		{"nginx as documented", func(e *edge) { e.nginx(s, documented(e.t, "nginx")) }, "127.0.0.2"},
		{"nginx that says nothing and rewrites Host", func(e *edge) {
			e.nginx(
				s, bare(documented(e.t, "nginx")),
			)
		}, "127.0.0.1"},
		{"HAProxy as documented", func(e *edge) { e.haproxy(s, documented(e.t, "haproxy")) }, "127.0.0.2"},
		{"Caddy as documented", func(e *edge) { e.caddy(s, documented(e.t, "caddyfile")) }, "127.0.0.2"},
		{"HAProxy that says nothing", func(e *edge) { e.haproxy(s, bare(documented(e.t, "haproxy"))) }, "127.0.0.1"},
	} {
		t.Run(c.name, func(t *testing.T) {
			here := *e
			here.t = t
			c.start(&here)
			v := here.visitor(t)
			const account = "/api/v1/account"
			v.want(403, "POST", account+"/sessions", login, "Origin", "https://evil.example")
			var forged []string
			if c.from == "127.0.0.2" { // a proxy that appends; a minimal one passes on the client's own header
				forged = []string{"X-Forwarded-For", "192.0.2.66", "X-Forwarded-Proto", "http"}
			}
			resp, _ := v.want(201, "POST", account+"/sessions", login, forged...)
			for _, cookie := range resp.Header.Values("Set-Cookie") {
				if !strings.HasPrefix(cookie, "__Host-") || !strings.Contains(cookie, "; Secure") {
					t.Errorf("a cookie that is not for https alone: %s", cookie)
				}
			}
			if resp.Header.Get("Strict-Transport-Security") == "" {
				t.Error("browsers are not told to stay on https")
			}
			v.want(200, "PATCH", account+"/me", map[string]string{"name": "Ada " + strconv.Itoa(i)})
			_, sessions := v.want(200, "GET", account+"/sessions", nil)
			var list struct{ Data []struct{ Address string } }
			if err := json.Unmarshal([]byte(sessions), &list); err != nil || len(list.Data) != i+1 ||
				list.Data[0].Address != c.from {
				t.Errorf("the newest of the sessions should come from %s: %s (%v)", c.from, sessions, err)
			}
			_, link := v.want(201, "POST", account+"/invitations", map[string]string{"role": "member"})
			if !strings.Contains(link, `"url":"`+here.origin+"/invite#") {
				t.Errorf("the link leads elsewhere: %s", link)
			}
			v.streams(s, key, machine, i)
		})
	}
}

// streams performs everything that a proxy must neither buffer nor cut off.
func (v visitor) streams(s *servertest.Server, key, machine string, n int) {
	v.t.Helper()
	const inventory = "/api/v1/inventory"
	// An event stream: the first line at once, and an event when it happens.
	events := v.do("GET", inventory+"/events", nil, "Accept", "text/event-stream")
	lines := bufio.NewScanner(events.Body)
	next := func(prefix string) {
		v.t.Helper()
		for lines.Scan() {
			if strings.HasPrefix(lines.Text(), prefix) {
				return
			}
		}
		v.t.Fatalf("the stream ended before %q: %v", prefix, lines.Err())
	}
	next("id: ")
	// A long poll that ends because nothing happens.
	v.want(200, "GET", inventory+"/deployments/"+machine+"?waitFor=terminated&timeoutSeconds=1", nil)
	name := map[string]string{"name": "event-" + strconv.Itoa(n)}
	if a := s.Call(key, "PATCH", "/deployments/"+machine, name); a.Status != 200 {
		v.t.Fatalf("rename: %d %s", a.Status, a.Body)
	}
	next("event: deployment.")

	// A terminal: bytes of the machine, over a WebSocket.
	ctx, cancel := context.WithTimeout(v.t.Context(), terminalTime)
	defer cancel()
	at := inventory + "/deployments/" + machine + "/terminal"
	if _, resp, err := websocket.Dial(
		ctx, v.e.origin+at,
		&websocket.DialOptions{HTTPClient: v.Client, HTTPHeader: http.Header{"Origin": {"https://evil.example"}}},
	); err == nil || resp == nil || resp.StatusCode != 403 {
		v.t.Fatalf("another site's page opened a terminal: %v %v", resp, err)
	}
	ws, resp, err := websocket.Dial(
		ctx, v.e.origin+at,
		&websocket.DialOptions{HTTPClient: v.Client, HTTPHeader: http.Header{"Origin": {v.e.origin}}},
	)
	if err != nil {
		v.t.Fatalf("%v %v", resp, err)
	}
	defer func() { _ = ws.CloseNow() }()
	greeting := make([]byte, 4)
	if _, err := io.ReadFull(websocket.NetConn(ctx, ws, websocket.MessageBinary), greeting); err != nil ||
		string(greeting) != "SSH-" {
		v.t.Fatalf("%q %v", greeting, err)
	}
}

// Behind a proxy that the operator did not configure, all clients have one address.
func TestUnconfiguredProxy(t *testing.T) {
	e := newEdge(t)
	s := servertest.Start(t, "--sim", "--sim-machines", "banner", "--public-url", e.origin)
	login, _ := newUser(t, s)
	e.nginx(s, documented(t, "nginx"))
	eve, ada := e.visitor(t), e.visitor(t)
	for i := range 30 {
		eve.want(
			401, "POST", "/api/v1/account/sessions",
			map[string]string{"email": fmt.Sprintf("eve%d@example.com", i), "password": "wrong password"},
		)
	}
	ada.want(201, "POST", "/api/v1/account/sessions", login)
	if n := strings.Count(s.Log(), "start with --trusted-proxies=127.0.0.1"); n != 1 {
		t.Errorf("the log says %d times what to set:\n%s", n, s.Log())
	}
}
