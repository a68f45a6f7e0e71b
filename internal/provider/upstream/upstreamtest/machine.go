package upstreamtest

import (
	"crypto/ed25519"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"math/big"
	"net"
	"os"
	"strconv"
	"sync"

	"go.yaml.in/yaml/v3"
	"golang.org/x/crypto/ssh"
)

// SSH is a fake cloud's machine as far as its renter sees it: an SSH server at an address of its own that lets in one user with the machine's
// keys, and tells what it is.
type SSH struct {
	// Address is in 127.0.0.0/8. Port is 22 where the process may take it, else another.
	Address string
	Port    int

	config *ssh.ServerConfig

	mu    sync.Mutex
	l     net.Listener
	conns map[net.Conn]bool
	ended bool
}

// tries is how many addresses are tried; others on this machine may have taken some.
const tries = 50

// ListenSSH starts one. user is who may log in, with any of the keys, which are lines of an
// authorized_keys file. hostKey is the private key that it shows, in OpenSSH's form; "" for one of its own.
func ListenSSH(user string, keys []string, hostKey string) (*SSH, error) {
	config := &ssh.ServerConfig{PublicKeyCallback: func(c ssh.ConnMetadata, key ssh.PublicKey) (*ssh.Permissions, error) {
		for _, line := range keys {
			if known, _, _, _, err := ssh.ParseAuthorizedKey([]byte(line)); err == nil && c.User() == user && string(known.Marshal()) == string(key.Marshal()) {
				return nil, nil
			}
		}
		return nil, errors.New("not this key")
	}}
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
	go s.serve(config)
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

// HostKeyOf is the host key that a cloud-config text gives a machine by its ssh_keys; "" for none.
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

// again starts the machine once more after Close: at the same address, with the same keys.
func (s *SSH) again() (*SSH, error) {
	l, err := net.Listen("tcp", net.JoinHostPort(s.Address, strconv.Itoa(s.Port)))
	if err != nil {
		return nil, err
	}
	again := &SSH{Address: s.Address, Port: s.Port, config: s.config, conns: map[net.Conn]bool{}, l: l}
	go again.serve(s.config)
	return again, nil
}

// Close ends it: no new connection is taken, and those that there are break.
func (s *SSH) Close() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.ended = true
	_ = s.l.Close()
	for c := range s.conns {
		_ = c.Close()
	}
}

func (s *SSH) serve(config *ssh.ServerConfig) {
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
		go func() {
			defer func() {
				_ = c.Close()
				s.mu.Lock()
				delete(s.conns, c)
				s.mu.Unlock()
			}()
			_, channels, requests, err := ssh.NewServerConn(c, config)
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
		}()
	}
}

// answer takes any command or shell, says what the machine is, and ends well.
func answer(session ssh.Channel, requests <-chan *ssh.Request) {
	defer func() { _ = session.Close() }()
	for r := range requests {
		ask := r.Type == "exec" || r.Type == "shell"
		if r.WantReply {
			_ = r.Reply(ask || r.Type == "pty-req" || r.Type == "env", nil)
		}
		if ask {
			_, _ = io.WriteString(session, "a machine of a fake cloud\r\n")
			_, _ = session.SendRequest("exit-status", false, ssh.Marshal(struct{ Status uint32 }{0}))
			return
		}
	}
}
