package node

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"strings"
	"sync"
	"time"

	gossh "golang.org/x/crypto/ssh"
)

// Bounds of one machine. A client that wants more is refused, not queued.
const (
	maxConnections = 128
	maxChannels    = 64 // sessions and forwarded connections of one connection
	maxForwards    = 32 // listening ports of one connection
	maxSessions    = 256
)

var errNotAllowed = errors.New("this key or user is not allowed")

// parseKeys reads authorized_keys lines. A line with options is refused: the options are promises of
// restrictions that this server does not keep.
func parseKeys(lines []string) (map[string]bool, error) {
	if len(lines) == 0 {
		return nil, errors.New("a machine needs at least one SSH key")
	}
	keys := map[string]bool{}
	for i, line := range lines {
		key, _, options, rest, err := gossh.ParseAuthorizedKey([]byte(line))
		switch {
		case err != nil:
			return nil, fmt.Errorf("SSH key %d: %w", i+1, err)
		case len(options) > 0:
			return nil, fmt.Errorf("SSH key %d has options, which are not supported", i+1)
		case strings.TrimSpace(string(rest)) != "":
			return nil, fmt.Errorf("SSH key %d has more than one line", i+1)
		case strings.Contains(key.Type(), "-cert-"):
			return nil, fmt.Errorf("SSH key %d is a certificate, which is not supported", i+1)
		}
		keys[string(key.Marshal())] = true
	}
	return keys, nil
}

type server struct {
	m        *machine
	config   *gossh.ServerConfig
	conns    chan struct{}
	sessions chan struct{}
}

func newServer(m *machine, hostKey gossh.Signer) *server {
	s := &server{m: m, conns: make(chan struct{}, maxConnections), sessions: make(chan struct{}, maxSessions)}
	s.config = &gossh.ServerConfig{
		ServerVersion: "SSH-2.0-Billet_simulated",
		// Agents offer every key they hold.
		MaxAuthTries: 20,
		PublicKeyCallback: func(meta gossh.ConnMetadata, key gossh.PublicKey) (*gossh.Permissions, error) {
			if meta.User() == User && m.keys[string(key.Marshal())] {
				return &gossh.Permissions{}, nil
			}
			return nil, errNotAllowed
		},
	}
	s.config.AddHostKey(hostKey)
	return s
}

// serve accepts connections until the listener is closed.
func (s *server) serve(l net.Listener) error {
	for {
		c, err := l.Accept()
		if errors.Is(err, net.ErrClosed) {
			return nil
		}
		if err != nil {
			// Out of descriptors, or the client went away. Neither lasts, but do not spin.
			fmt.Fprintln(os.Stderr, "machine: accept:", err)
			time.Sleep(10 * time.Millisecond)
			continue
		}
		select {
		case s.conns <- struct{}{}:
			go func() {
				defer func() { <-s.conns }()
				s.connection(c)
			}()
		default:
			c.Close()
		}
	}
}

// client is one logged-in connection.
type client struct {
	*server
	conn     *gossh.ServerConn
	ctx      context.Context // ends with the connection
	channels chan struct{}

	mu       sync.Mutex
	forwards map[string]net.Listener // by the address as the client named it
}

func (s *server) connection(c net.Conn) {
	defer c.Close()
	if err := c.SetDeadline(time.Now().Add(handshakeTimeout)); err != nil {
		return
	}
	conn, channels, requests, err := gossh.NewServerConn(c, s.config)
	if err != nil {
		return // a scanner, a wrong key, or a client that went away
	}
	defer conn.Close()
	if err := c.SetDeadline(time.Time{}); err != nil {
		return
	}
	ctx, cancel := context.WithCancel(context.Background())
	cl := &client{server: s, conn: conn, ctx: ctx, channels: make(chan struct{}, maxChannels), forwards: map[string]net.Listener{}}
	var work sync.WaitGroup
	work.Go(func() { cl.requests(requests) })
	for nc := range channels {
		select {
		case cl.channels <- struct{}{}:
			work.Go(func() {
				defer func() { <-cl.channels }()
				cl.channel(nc)
			})
		default:
			_ = nc.Reject(gossh.ResourceShortage, "too many sessions and forwarded connections")
		}
	}
	cancel()
	cl.closeForwards()
	work.Wait()
}

func (c *client) channel(nc gossh.NewChannel) {
	switch nc.ChannelType() {
	case "session":
		select {
		case c.sessions <- struct{}{}:
			defer func() { <-c.sessions }()
			c.session(nc)
		default:
			_ = nc.Reject(gossh.ResourceShortage, "too many sessions on this machine")
		}
	case "direct-tcpip":
		c.direct(nc)
	default:
		_ = nc.Reject(gossh.UnknownChannelType, "not supported")
	}
}
