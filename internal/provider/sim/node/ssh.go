package node

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
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

// identification is what clients choose by. Several choose the order of SFTP's symlink arguments by
// the name OpenSSH, some look for a version behind it; the rest says what this is.
const identification = "SSH-2.0-OpenSSH_9.2 Billet-simulated"

type server struct {
	m        *machine
	config   *gossh.ServerConfig
	hostKeys []gossh.Signer
	conns    chan struct{}
	sessions chan struct{}
}

// grantKey is where a login's grant lies in the permissions that it came with.
type grantKey struct{}

func newServer(m *machine, hostKeys []gossh.Signer) *server {
	s := &server{
		m:        m,
		hostKeys: hostKeys,
		conns:    make(chan struct{}, maxConnections),
		sessions: make(chan struct{}, maxSessions),
	}
	secure := gossh.SupportedAlgorithms()
	s.config = &gossh.ServerConfig{
		Config: gossh.Config{
			KeyExchanges: secure.KeyExchanges,
			Ciphers:      secure.Ciphers,
			MACs:         secure.MACs,
		},
		PublicKeyAuthAlgorithms: secure.PublicKeyAuths,
		ServerVersion:           identification,
		// Agents offer every key they hold.
		MaxAuthTries: 20,
		PublicKeyCallback: func(meta gossh.ConnMetadata, key gossh.PublicKey) (*gossh.Permissions, error) {
			if meta.User() != User {
				return nil, errNotAllowed
			}
			g, err := m.authorize(m.account(), key, meta.RemoteAddr(), time.Now())
			if err != nil {
				return nil, err
			}
			p := &gossh.Permissions{ExtraData: map[any]any{grantKey{}: g}}
			if g.noTouch {
				p.Extensions = map[string]string{"no-touch-required": ""}
			}
			return p, nil
		},
	}
	for _, key := range hostKeys {
		s.config.AddHostKey(key)
	}
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
	grant    *grant
	ctx      context.Context // ends with the connection
	channels chan struct{}

	mu       sync.Mutex
	forwards map[forward][]net.Listener
	agent    string // the socket that leads to the client's agent, if it forwards one
}

// forward is where a client listens, as it named it.
type forward struct{ network, address string }

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
	cl := &client{
		server: s, conn: conn, grant: conn.Permissions.ExtraData[grantKey{}].(*grant), ctx: ctx,
		channels: make(chan struct{}, maxChannels), forwards: map[forward][]net.Listener{},
	}
	cl.announceHostKeys()
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
	case "direct-streamlocal@openssh.com":
		c.directUnix(nc)
	default:
		_ = nc.Reject(gossh.UnknownChannelType, "not supported")
	}
}
