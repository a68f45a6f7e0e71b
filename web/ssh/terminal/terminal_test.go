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

// patience is how long a test waits for what has to come.
const patience = 20 * time.Second

// machine is an SSH server with two host keys that lets one public key in, and whose shell repeats lines, tells its size
// when asked "size" and when it changes, and ends with status 3 at "exit".
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
	config := &ssh.ServerConfig{PublicKeyCallback: func(m ssh.ConnMetadata, key ssh.PublicKey) (*ssh.Permissions, error) {
		if m.User() != "root" || string(key.Marshal()) != string(public.Marshal()) {
			return nil, errors.New("not this one")
		}
		return nil, nil
	}}
	_, ed, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	old, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	m := machine{address: l.Addr().String()}
	for _, k := range []any{ed, old} {
		signer, err := ssh.NewSignerFromKey(k)
		if err != nil {
			t.Fatal(err)
		}
		config.AddHostKey(signer)
		m.lines = append(m.lines, "[192.0.2.1]:2222 "+strings.TrimSpace(string(ssh.MarshalAuthorizedKey(signer.PublicKey()))))
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
	for ask := range channels {
		ch, requests, err := ask.Accept()
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
				said := strings.TrimSpace(string(b[:n]))
				switch said {
				case "size":
					said = size
				case "exit":
					_, _ = ch.SendRequest("exit-status", false, ssh.Marshal(struct{ Status uint32 }{3}))
					_ = ch.Close()
				}
				mu.Unlock()
				_, _ = io.WriteString(ch, said+"\n")
			}
		}()
	}
}

// heard collects what the machine says and which phases came.
type heard struct {
	mu      sync.Mutex
	text    strings.Builder
	more    chan struct{}
	reached []terminal.Status
}

func (h *heard) config(private, passphrase string, lines []string) terminal.Config {
	h.more = make(chan struct{}, 1)
	return terminal.Config{
		User: "root", PrivateKey: private, Passphrase: passphrase, HostKeys: lines, Columns: 100, Rows: 30, Term: "xterm-256color",
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

func (h *heard) until(t *testing.T, want string) {
	t.Helper()
	for late := time.After(patience); ; {
		h.mu.Lock()
		got := h.text.String()
		h.mu.Unlock()
		if strings.Contains(got, want) {
			return
		}
		select {
		case <-h.more:
		case <-late:
			t.Fatalf("%q never came: %q", want, got)
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

func generated(t *testing.T) (private, public string) {
	t.Helper()
	private, public, err := terminal.GenerateKey()
	if err != nil {
		t.Fatal(err)
	}
	return private, public
}

func TestAShellFromItsKeyToItsEnd(t *testing.T) {
	private, public := generated(t)
	if !strings.HasPrefix(public, "ssh-ed25519 ") || !strings.HasPrefix(private, "-----BEGIN OPENSSH PRIVATE KEY-----\n") {
		t.Fatalf("%s %s", public, private)
	}
	m, h := newMachine(t, public), &heard{}
	pasted := "\r\n  " + strings.ReplaceAll(private, "\n", "\r\n") // as some forms send it
	s, err := terminal.Open(m.dial(t), h.config(pasted, "not needed", m.lines))
	if err != nil {
		t.Fatal(err)
	}
	var phases []string
	for _, r := range h.reached {
		phases = append(phases, string(r.Phase))
		if !r.Known || !strings.HasPrefix(r.Fingerprint, "SHA256:") {
			t.Errorf("%+v", r)
		}
	}
	if strings.Join(phases, " ") != "hostKey signingIn open" {
		t.Errorf("%v", phases)
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
	if status, exited := s.Wait(); status != 3 || !exited {
		t.Errorf("%d %v", status, exited)
	}
}

func TestAConnectionThatBreaksHasNoStatus(t *testing.T) {
	private, public := generated(t)
	m, h := newMachine(t, public), &heard{}
	s, err := terminal.Open(m.dial(t), h.config(private, "", m.lines))
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if _, exited := s.Wait(); exited {
		t.Error("a connection that was closed has told a status")
	}
}

func TestOnlyTheKnownHostKeysAreTrusted(t *testing.T) {
	private, public := generated(t)
	m, other := newMachine(t, public), newMachine(t, public)
	for _, c := range []struct {
		what  string
		lines []string
		code  terminal.Code
		known bool
	}{
		{"all", m.lines, "", true},
		{"one of them", m.lines[:1], "", true},
		{"the other", m.lines[1:], "", true}, // the machine would show its ed25519 key if it were not asked for this
		{"none: trusted at first sight", nil, "", false},
		{"another machine's", other.lines, terminal.HostKeyMismatch, false},
		{"another machine's, one", other.lines[1:], terminal.HostKeyMismatch, false},
		{"a kind that it does not have", []string{"h ecdsa-sha2-nistp256 AAAAE2VjZHNhLXNoYTItbmlzdHAyNTYAAAAIbmlzdHAyNTYAAABBBEmKSENjQEezOmxkZMy7opKgwFB9nkt5YRrYMjNuG5N87uRgg6CLrbo5wAdT/y6v0mKV0U2w0WZ2YB/++Tpockg="}, terminal.HostKeyMismatch, false},
		{"a list that cannot be read", []string{"nonsense"}, terminal.Failed, false},
	} {
		h := &heard{}
		s, err := terminal.Open(m.dial(t), h.config(private, "", c.lines))
		if c.code == "" {
			if err != nil {
				t.Errorf("%s: %v", c.what, err)
				continue
			}
			if h.reached[0].Phase != terminal.PhaseHostKey || h.reached[0].Known != c.known || h.reached[0].Fingerprint == "" {
				t.Errorf("%s: %+v", c.what, h.reached)
			}
			_ = s.Close()
			continue
		}
		if e := (*terminal.Error)(nil); !errors.As(err, &e) || e.Code != c.code {
			t.Errorf("%s: %v", c.what, err)
		}
		if len(h.reached) != 0 {
			t.Errorf("%s: it went on to %+v", c.what, h.reached)
		}
	}
}

func TestKeysAndPassphrases(t *testing.T) {
	private, public := generated(t)
	m := newMachine(t, public)
	raw, err := ssh.ParseRawPrivateKey([]byte(private))
	if err != nil {
		t.Fatal(err)
	}
	block, err := ssh.MarshalPrivateKeyWithPassphrase(*raw.(*ed25519.PrivateKey), "", []byte("open sesame"))
	if err != nil {
		t.Fatal(err)
	}
	sealed := string(pem.EncodeToMemory(block))
	stranger, _ := generated(t)
	for _, c := range []struct {
		what, private, passphrase string
		code                      terminal.Code
	}{
		{"with its passphrase", sealed, "open sesame", ""},
		{"without it", sealed, "", terminal.PassphraseMissing},
		{"with another", sealed, "open barley", terminal.PassphraseWrong},
		{"a public key", public, "", terminal.KeyInvalid},
		{"nothing", "", "", terminal.KeyInvalid},
		{"half a key", private[:len(private)/2], "", terminal.KeyInvalid},
		{"a key that may not log in", stranger, "", terminal.SignInRefused},
	} {
		s, err := terminal.Open(m.dial(t), (&heard{}).config(c.private, c.passphrase, m.lines))
		if c.code == "" {
			if err != nil {
				t.Errorf("%s: %v", c.what, err)
			} else {
				_ = s.Close()
			}
			continue
		}
		e := (*terminal.Error)(nil)
		if !errors.As(err, &e) || e.Code != c.code {
			t.Errorf("%s: %v", c.what, err)
		} else if strings.Contains(e.Message, "sesame") || len(c.private) > 100 && strings.Contains(e.Message, c.private[60:100]) {
			t.Errorf("%s: the message tells the secret: %s", c.what, e.Message)
		}
	}
}

func TestWhatIsNoSSHIsUnreachable(t *testing.T) {
	private, _ := generated(t)
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
	_, err = terminal.Open(machine{address: l.Addr().String()}.dial(t), (&heard{}).config(private, "", nil))
	if e := (*terminal.Error)(nil); !errors.As(err, &e) || e.Code != terminal.Unreachable {
		t.Errorf("%v", err)
	}
}
