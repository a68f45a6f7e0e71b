package terminal_test

import (
	"crypto/ed25519"
	"crypto/rand"
	"crypto/rsa"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/billetcloud/billet/web/ssh/terminal"
	"golang.org/x/crypto/ssh"
)

// outputTimeout limits the wait for the machine's output.
const outputTimeout = time.Minute

// machine is an SSH server with two host keys and one authorized key. Its shell repeats lines,
// prints its size on "size" and when it changes, and exits with status 3 on "exit".
type machine struct {
	address string
	lines   []string // of known_hosts: ed25519, RSA
}

func newMachine(t *testing.T, allowed string) machine {
	t.Helper()
	public, _, _, _, err := ssh.ParseAuthorizedKey([]byte(allowed))
	if err != nil {
		t.Fatal(err)
	}
	authorize := func(m ssh.ConnMetadata, key ssh.PublicKey) (*ssh.Permissions, error) {
		if m.User() != "root" || string(key.Marshal()) != string(public.Marshal()) {
			return nil, errors.New("not authorized")
		}
		return nil, nil
	}
	config := &ssh.ServerConfig{PublicKeyCallback: authorize}
	_, ed, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	rsaKey, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	m := machine{address: l.Addr().String()}
	for _, k := range []any{ed, rsaKey} {
		signer, err := ssh.NewSignerFromKey(k)
		if err != nil {
			t.Fatal(err)
		}
		config.AddHostKey(signer)
		line := strings.TrimSpace(string(ssh.MarshalAuthorizedKey(signer.PublicKey())))
		m.lines = append(m.lines, "[192.0.2.1]:2222 "+line)
	}
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go serve(c, config)
		}
	}()
	return m
}

func serve(c net.Conn, config *ssh.ServerConfig) {
	defer func() { _ = c.Close() }()
	_, channels, requests, err := ssh.NewServerConn(c, config)
	if err != nil {
		return
	}
	go ssh.DiscardRequests(requests)
	for channel := range channels {
		ch, requests, err := channel.Accept()
		if err != nil {
			return
		}
		var mu sync.Mutex
		size := ""
		go func() {
			for r := range requests {
				mu.Lock()
				switch r.Type {
				case "pty-req":
					var p struct {
						Term          string
						Columns, Rows uint32
						Width, Height uint32
						Modes         string
					}
					_ = ssh.Unmarshal(r.Payload, &p)
					size = fmt.Sprint(p.Term, " ", p.Columns, "x", p.Rows)
				case "window-change":
					var p struct{ Columns, Rows, Width, Height uint32 }
					_ = ssh.Unmarshal(r.Payload, &p)
					_, _ = fmt.Fprintf(ch, "now %dx%d\n", p.Columns, p.Rows)
				}
				mu.Unlock()
				if r.WantReply {
					_ = r.Reply(true, nil)
				}
			}
		}()
		go func() {
			b := make([]byte, 1024)
			for {
				n, err := ch.Read(b)
				if err != nil {
					return
				}
				mu.Lock()
				line := strings.TrimSpace(string(b[:n]))
				switch line {
				case "size":
					line = size
				case "exit":
					_, _ = ch.SendRequest("exit-status", false, ssh.Marshal(struct{ Status uint32 }{3}))
					_ = ch.Close()
				}
				mu.Unlock()
				_, _ = io.WriteString(ch, line+"\n")
			}
		}()
	}
}

// recorder collects the machine's output and the phases.
type recorder struct {
	mu      sync.Mutex
	text    strings.Builder
	more    chan struct{}
	reached []terminal.Status
}

func (h *recorder) config(private, passphrase string, lines []string) terminal.Config {
	h.more = make(chan struct{}, 1)
	return terminal.Config{
		User: "root", PrivateKey: private, Passphrase: passphrase, HostKeys: lines,
		Columns: 100, Rows: 30, Term: "xterm-256color",
		Status: func(s terminal.Status) { h.reached = append(h.reached, s) },
		Data: func(b []byte) {
			h.mu.Lock()
			defer h.mu.Unlock()
			h.text.Write(b)
			select {
			case h.more <- struct{}{}:
			default:
			}
		},
	}
}

func (h *recorder) until(t *testing.T, want string) {
	t.Helper()
	for timeout := time.After(outputTimeout); ; {
		h.mu.Lock()
		got := h.text.String()
		h.mu.Unlock()
		if strings.Contains(got, want) {
			return
		}
		select {
		case <-h.more:
		case <-timeout:
			t.Fatalf("output = %q, want it to contain %q", got, want)
		}
	}
}

func (m machine) dial(t *testing.T) net.Conn {
	t.Helper()
	c, err := net.Dial("tcp", m.address)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func generateKey(t *testing.T) (private, public string) {
	t.Helper()
	private, public, err := terminal.GenerateKey()
	if err != nil {
		t.Fatal(err)
	}
	return private, public
}

func TestSession(t *testing.T) {
	t.Parallel()
	private, public := generateKey(t)
	const begin = "-----BEGIN OPENSSH PRIVATE KEY-----\n"
	if !strings.HasPrefix(public, "ssh-ed25519 ") || !strings.HasPrefix(private, begin) {
		t.Fatalf("GenerateKey() = %s, %s; want an OpenSSH private key and an ed25519 line", private, public)
	}
	m, h := newMachine(t, public), &recorder{}
	pasted := "\r\n  " + strings.ReplaceAll(private, "\n", "\r\n") // as some forms send it
	s, err := terminal.Open(m.dial(t), h.config(pasted, "not needed", m.lines))
	if err != nil {
		t.Fatal(err)
	}
	var phases []string
	for _, r := range h.reached {
		phases = append(phases, string(r.Phase))
		if !r.Known || !strings.HasPrefix(r.Fingerprint, "SHA256:") {
			t.Errorf("status = %+v, want a known key with its fingerprint", r)
		}
	}
	if got, want := strings.Join(phases, " "), "hostKey signingIn open"; got != want {
		t.Errorf("phases = %q, want %q", got, want)
	}
	for _, step := range [][2]string{{"hello", "hello\n"}, {"size", "xterm-256color 100x30\n"}} {
		if _, err := s.Write([]byte(step[0])); err != nil {
			t.Fatal(err)
		}
		h.until(t, step[1])
	}
	if err := s.Resize(120, 40); err != nil {
		t.Fatal(err)
	}
	h.until(t, "now 120x40\n")
	if _, err := s.Write([]byte("exit")); err != nil {
		t.Fatal(err)
	}
	if got, want := s.Wait(), (terminal.End{Exited: true, Status: 3}); got != want {
		t.Errorf("Wait() = %+v, want %+v", got, want)
	}
}

func TestSession_WaitWithoutStatus(t *testing.T) {
	t.Parallel()
	private, public := generateKey(t)
	m, h := newMachine(t, public), &recorder{}
	s, err := terminal.Open(m.dial(t), h.config(private, "", m.lines))
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if got := s.Wait(); got != (terminal.End{}) {
		t.Errorf("Wait() = %+v after the connection was closed, want nothing", got)
	}
}

// ecdsaLine is a known_hosts line of a type that the test's machines do not have.
const ecdsaLine = "h ecdsa-sha2-nistp256 AAAAE2VjZHNhLXNoYTItbmlzdHAyNTYAAAAIbmlzdHAyNTYAAABBBEmKSENjQEezOmxkZMy7opKgwFB9nkt5YRrYMjNuG5N87uRgg6CLrbo5wAdT/y6v0mKV0U2w0WZ2YB/++Tpockg="

func TestOpen_HostKeys(t *testing.T) {
	t.Parallel()
	private, public := generateKey(t)
	m, other := newMachine(t, public), newMachine(t, public)
	for _, c := range []struct {
		name  string
		lines []string
		code  terminal.Code
		known bool
	}{
		{"all", m.lines, "", true},
		{"one of them", m.lines[:1], "", true},
		{"the other", m.lines[1:], "", true}, // the machine prefers its ed25519 key
		{"none: trusted on first use", nil, "", false},
		{"another machine's", other.lines, terminal.HostKeyMismatch, false},
		{"another machine's, one", other.lines[1:], terminal.HostKeyMismatch, false},
		{"a type that it does not have", []string{ecdsaLine}, terminal.HostKeyMismatch, false},
		{"an invalid list", []string{"nonsense"}, terminal.Failed, false},
	} {
		h := &recorder{}
		s, err := terminal.Open(m.dial(t), h.config(private, "", c.lines))
		if c.code == "" {
			if err != nil {
				t.Errorf("%s: Open() = %v, want no error", c.name, err)
				continue
			}
			first := h.reached[0]
			if first.Phase != terminal.PhaseHostKey || first.Known != c.known || first.Fingerprint == "" {
				t.Errorf("%s: first status = %+v, want the host key with known %v", c.name, first, c.known)
			}
			_ = s.Close()
			continue
		}
		if e, is := errors.AsType[*terminal.Error](err); !is || e.Code != c.code {
			t.Errorf("%s: Open() = %v, want code %s", c.name, err, c.code)
		}
		if len(h.reached) != 0 {
			t.Errorf("%s: phases = %+v, want none", c.name, h.reached)
		}
	}
}

func TestOpen_PrivateKeys(t *testing.T) {
	t.Parallel()
	private, public := generateKey(t)
	m := newMachine(t, public)
	raw, err := ssh.ParseRawPrivateKey([]byte(private))
	if err != nil {
		t.Fatal(err)
	}
	block, err := ssh.MarshalPrivateKeyWithPassphrase(*raw.(*ed25519.PrivateKey), "", []byte("open sesame"))
	if err != nil {
		t.Fatal(err)
	}
	encrypted := string(pem.EncodeToMemory(block))
	unauthorized, _ := generateKey(t)
	for _, c := range []struct {
		name, private, passphrase string
		code                      terminal.Code
	}{
		{"with its passphrase", encrypted, "open sesame", ""},
		{"without it", encrypted, "", terminal.PassphraseMissing},
		{"with another", encrypted, "open barley", terminal.PassphraseWrong},
		{"a public key", public, "", terminal.KeyInvalid},
		{"nothing", "", "", terminal.KeyInvalid},
		{"half a key", private[:len(private)/2], "", terminal.KeyInvalid},
		{"an unauthorized key", unauthorized, "", terminal.SignInRefused},
	} {
		s, err := terminal.Open(m.dial(t), (&recorder{}).config(c.private, c.passphrase, m.lines))
		if c.code == "" {
			if err != nil {
				t.Errorf("%s: Open() = %v, want no error", c.name, err)
			} else {
				_ = s.Close()
			}
			continue
		}
		if e, is := errors.AsType[*terminal.Error](err); !is || e.Code != c.code {
			t.Errorf("%s: Open() = %v, want code %s", c.name, err, c.code)
		} else if strings.Contains(e.Message, "sesame") ||
			len(c.private) > 100 && strings.Contains(e.Message, c.private[60:100]) {
			t.Errorf("%s: the message contains the secret: %s", c.name, e.Message)
		}
	}
}

func TestOpen_NoSSHServer(t *testing.T) {
	t.Parallel()
	private, _ := generateKey(t)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = l.Close() }()
	go func() {
		if c, err := l.Accept(); err == nil {
			_ = c.Close()
		}
	}()
	_, err = terminal.Open(machine{address: l.Addr().String()}.dial(t), (&recorder{}).config(private, "", nil))
	if e, is := errors.AsType[*terminal.Error](err); !is || e.Code != terminal.Unreachable {
		t.Errorf("Open() = %v, want code %s", err, terminal.Unreachable)
	}
}
