package health

import (
	"crypto/ed25519"
	"crypto/rand"
	"encoding/pem"
	"errors"
	"io"
	"net"
	"sync"
	"testing"

	"github.com/billetcloud/billet/internal/provider"
	"golang.org/x/crypto/ssh"
)

// server is an SSH server on this machine that a test scripts.
type server struct {
	t        *testing.T
	listener net.Listener
	hostKey  ssh.Signer
	// exec answers a command, after reading its input; it returns to close the session.
	exec func(command, input string, out io.Writer, closed <-chan struct{})
	// noise is what to do in place of exec; it returns when the connection ends.
	noise func(out ssh.Channel, conn ssh.Conn)
	// silent accepts connections and says nothing.
	silent bool

	mu       sync.Mutex
	accepted map[string]bool // public keys in wire format
	logins   int
	commands int
	all      sync.WaitGroup
}

func newSigner(t *testing.T) (signer ssh.Signer, private string) {
	t.Helper()
	_, key, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	block, err := ssh.MarshalPrivateKey(key, "")
	if err != nil {
		t.Fatal(err)
	}
	if signer, err = ssh.NewSignerFromKey(key); err != nil {
		t.Fatal(err)
	}
	return signer, string(pem.EncodeToMemory(block))
}

// serve starts a server that accepts the key.
func serve(t *testing.T, key ssh.PublicKey, prepare func(s *server)) *server {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	host, _ := newSigner(t)
	s := &server{t: t, listener: listener, hostKey: host, accepted: map[string]bool{string(key.Marshal()): true}}
	if prepare != nil {
		prepare(s)
	}
	s.all.Go(func() {
		for {
			conn, err := listener.Accept()
			if errors.Is(err, net.ErrClosed) {
				return
			}
			if err == nil {
				s.all.Go(func() { s.connection(conn) })
			}
		}
	})
	t.Cleanup(func() { _ = listener.Close(); s.all.Wait() })
	return s
}

// target is the server as a node whose host key is known.
func (s *server) target() Target {
	return Target{
		Endpoint: provider.Endpoint{Address: s.listener.Addr().String(), Private: true}, User: "root",
		HostKeys: []string{publicLine(s.hostKey.PublicKey())},
	}
}

func (s *server) connection(conn net.Conn) {
	defer func() { _ = conn.Close() }()
	if s.silent {
		_, _ = io.Copy(io.Discard, conn)
		return
	}
	config := &ssh.ServerConfig{
		PublicKeyCallback: func(_ ssh.ConnMetadata, key ssh.PublicKey) (*ssh.Permissions, error) {
			s.mu.Lock()
			defer s.mu.Unlock()
			if !s.accepted[string(key.Marshal())] {
				return nil, errors.New("unknown key")
			}
			return nil, nil
		},
	}
	config.AddHostKey(s.hostKey)
	c, channels, requests, err := ssh.NewServerConn(conn, config)
	if err != nil {
		return
	}
	s.mu.Lock()
	s.logins++
	s.mu.Unlock()
	closed := make(chan struct{})
	s.all.Go(func() { defer close(closed); _ = c.Wait() })
	s.all.Go(func() { ssh.DiscardRequests(requests) })
	for n := range channels {
		channel, asked, err := n.Accept()
		if err != nil {
			continue
		}
		for req := range asked {
			if req.Type != "exec" {
				_ = req.Reply(false, nil)
				continue
			}
			_ = req.Reply(true, nil)
			s.mu.Lock()
			s.commands++
			s.mu.Unlock()
			if s.noise != nil {
				s.noise(channel, c)
				continue
			}
			input, _ := io.ReadAll(channel)
			s.exec(string(req.Payload[4:]), string(input), channel, closed)
			_ = channel.Close()
		}
	}
}

func (s *server) revoke(key ssh.PublicKey) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.accepted, string(key.Marshal()))
}

func (s *server) counts() (logins, commands int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.logins, s.commands
}
