package upstreamtest

import (
	"bytes"
	"crypto/ed25519"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"math/big"
	"net"
	"os"
	"strconv"
	"strings"
	"sync"

	"go.yaml.in/yaml/v3"
	"golang.org/x/crypto/ssh"
)

// SSH is a fake machine as its tenant sees it: an SSH server at an address of its own, which
// accepts one user with the machine's keys.
type SSH struct {
	// Address is in 127.0.0.0/8. Port is 22 where the process may listen there, else another.
	Address string
	Port    int

	config *ssh.ServerConfig

	mu    sync.Mutex
	l     net.Listener
	conns map[net.Conn]bool
	ended bool
}

// tries is how many addresses are tried, of which some may be in use.
const tries = 50

// ListenSSH starts an SSH server. The user may log in with any of the keys, which are lines of an
// authorized_keys file. hostKey is a private key in OpenSSH's format; "" for a new one.
func ListenSSH(user string, keys []string, hostKey string) (*SSH, error) {
	accept := func(c ssh.ConnMetadata, key ssh.PublicKey) (*ssh.Permissions, error) {
		for _, line := range keys {
			known, _, _, _, err := ssh.ParseAuthorizedKey([]byte(line))
			if err == nil && c.User() == user && bytes.Equal(known.Marshal(), key.Marshal()) {
				return nil, nil
			}
		}
		return nil, errors.New("unknown key")
	}
	config := &ssh.ServerConfig{PublicKeyCallback: accept}
	host, err := signer(hostKey)
	if err != nil {
		return nil, err
	}
	config.AddHostKey(host)
	s := &SSH{conns: map[net.Conn]bool{}, config: config}
	for try := 0; s.l == nil; try++ {
		n, err := rand.Int(rand.Reader, big.NewInt(1<<16-2))
		if err != nil {
			return nil, err
		}
		s.Address = fmt.Sprintf("127.88.%d.%d", (n.Int64()+1)>>8, (n.Int64()+1)&255)
		if s.l, err = net.Listen("tcp", s.Address+":22"); errors.Is(err, os.ErrPermission) {
			s.l, err = net.Listen("tcp", s.Address+":0")
		}
		if err != nil && try >= tries {
			return nil, err
		}
	}
	s.Port = s.l.Addr().(*net.TCPAddr).Port
	go s.serve()
	return s, nil
}

func signer(hostKey string) (ssh.Signer, error) {
	if hostKey != "" {
		return ssh.ParsePrivateKey([]byte(hostKey))
	}
	_, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		return nil, err
	}
	return ssh.NewSignerFromKey(private)
}

// HostKeyOf returns the host key that a cloud-config text gives a machine with ssh_keys, or "".
func HostKeyOf(text string) string {
	var config struct {
		Keys struct {
			Private string `yaml:"ed25519_private"`
		} `yaml:"ssh_keys"`
	}
	if yaml.Unmarshal([]byte(text), &config) != nil {
		return ""
	}
	return config.Keys.Private
}

// HostKeyFile returns the private host key that files configure sshd with, by path, or "".
func HostKeyFile(files map[string]string) string {
	for path, text := range files {
		if key, is := strings.CutPrefix(text, "HostKey "); is && strings.HasPrefix(path, "/etc/ssh/sshd_config.d/") {
			return files[strings.TrimSpace(key)]
		}
	}
	return ""
}

// restart starts a closed server again: at the same address, with the same keys.
func (s *SSH) restart() (*SSH, error) {
	l, err := net.Listen("tcp", net.JoinHostPort(s.Address, strconv.Itoa(s.Port)))
	if err != nil {
		return nil, err
	}
	restarted := &SSH{Address: s.Address, Port: s.Port, config: s.config, conns: map[net.Conn]bool{}, l: l}
	go restarted.serve()
	return restarted, nil
}

// Close ends the server and its connections.
func (s *SSH) Close() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.ended = true
	_ = s.l.Close()
	for c := range s.conns {
		_ = c.Close()
	}
}

func (s *SSH) serve() {
	for {
		c, err := s.l.Accept()
		if err != nil {
			return
		}
		s.mu.Lock()
		if s.ended {
			_ = c.Close()
		}
		s.conns[c] = true
		s.mu.Unlock()
		go s.handle(c)
	}
}

func (s *SSH) handle(c net.Conn) {
	defer func() {
		_ = c.Close()
		s.mu.Lock()
		delete(s.conns, c)
		s.mu.Unlock()
	}()
	_, channels, requests, err := ssh.NewServerConn(c, s.config)
	if err != nil {
		return
	}
	go ssh.DiscardRequests(requests)
	for channel := range channels {
		if channel.ChannelType() != "session" {
			_ = channel.Reject(ssh.UnknownChannelType, "sessions only")
			continue
		}
		session, requests, err := channel.Accept()
		if err != nil {
			return
		}
		go answer(session, requests)
	}
}

// answer accepts any command or shell, writes a line, and exits with 0.
func answer(session ssh.Channel, requests <-chan *ssh.Request) {
	defer func() { _ = session.Close() }()
	for r := range requests {
		run := r.Type == "exec" || r.Type == "shell"
		if r.WantReply {
			_ = r.Reply(run || r.Type == "pty-req" || r.Type == "env", nil)
		}
		if run {
			_, _ = io.WriteString(session, "a machine of a fake cloud\r\n")
			_, _ = session.SendRequest("exit-status", false, ssh.Marshal(struct{ Status uint32 }{0}))
			return
		}
	}
}
