package node

import (
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"sync"
	"time"

	gossh "golang.org/x/crypto/ssh"
	"golang.org/x/sys/unix"
)

const dialTimeout = 10 * time.Second

// resolver never loads the machine's own name service libraries into this process.
var resolver = &net.Resolver{PreferGo: true}

// stream is a connection of which each direction can be ended alone.
type stream interface {
	net.Conn
	CloseWrite() error
}

// direct serves local and dynamic forwarding: the client asks to be connected to an address as seen
// from inside.
func (c *client) direct(nc gossh.NewChannel) {
	var want struct {
		Host       string
		Port       uint32
		OriginHost string
		OriginPort uint32
	}
	if err := gossh.Unmarshal(nc.ExtraData(), &want); err != nil || want.Port == 0 || want.Port > 65535 {
		_ = nc.Reject(gossh.ConnectionFailed, "no such address")
		return
	}
	if !c.grant.mayOpen(want.Host, want.Port) {
		_ = nc.Reject(gossh.Prohibited, "open failed")
		return
	}
	c.dial(nc, "tcp", net.JoinHostPort(want.Host, strconv.Itoa(int(want.Port))))
}

// directUnix is the same for a socket in the machine's file tree.
func (c *client) directUnix(nc gossh.NewChannel) {
	var want struct {
		Path     string
		Reserved string
		Number   uint32
	}
	if err := gossh.Unmarshal(nc.ExtraData(), &want); err != nil || !filepath.IsAbs(want.Path) {
		_ = nc.Reject(gossh.ConnectionFailed, "no such socket")
		return
	}
	if !c.grant.mayForwardSockets() {
		_ = nc.Reject(gossh.Prohibited, "open failed")
		return
	}
	c.dial(nc, "unix", want.Path)
}

func (c *client) dial(nc gossh.NewChannel, network, address string) {
	dialer := net.Dialer{Timeout: dialTimeout, Resolver: resolver}
	to, err := dialer.DialContext(c.ctx, network, address)
	if err != nil {
		reason := "open failed"
		if network == "tcp" {
			reason = reasonOf(err)
		}
		_ = nc.Reject(gossh.ConnectionFailed, reason)
		return
	}
	ch, requests, err := nc.Accept()
	if err != nil {
		to.Close()
		return
	}
	go gossh.DiscardRequests(requests)
	join(ch, to.(stream))
}

// reasonOf says why something failed as sshd does: in the words of the system, without the path or
// address.
func reasonOf(err error) string {
	if _, is := errors.AsType[*net.DNSError](err); is {
		return "Name or service not known"
	}
	if errno, is := errors.AsType[unix.Errno](err); is {
		text := errno.Error()
		return string(text[0]-'a'+'A') + text[1:]
	}
	return err.Error()
}

// forwardAddress is what a client asks to listen on, and what it is told when a client connects
// there.
type forwardAddress struct {
	Host string
	Port uint32
}

func (a forwardAddress) String() string { return net.JoinHostPort(a.Host, strconv.Itoa(int(a.Port))) }

// requests serves a connection's global requests: remote forwarding, host keys, and signs of life.
func (c *client) requests(requests <-chan *gossh.Request) {
	for r := range requests {
		ok, payload := c.request(r)
		if r.WantReply {
			_ = r.Reply(ok, payload)
		}
	}
}

func (c *client) request(r *gossh.Request) (ok bool, payload []byte) {
	var a forwardAddress
	var socket struct{ Path string }
	switch r.Type {
	case "tcpip-forward":
		if gossh.Unmarshal(r.Payload, &a) == nil {
			var port uint32
			if port, ok = c.listen(a); ok && a.Port == 0 {
				payload = gossh.Marshal(struct{ Port uint32 }{port})
			}
		}
	case "cancel-tcpip-forward":
		ok = gossh.Unmarshal(r.Payload, &a) == nil && c.unlisten("tcp", a.String())
	case "streamlocal-forward@openssh.com":
		ok = gossh.Unmarshal(r.Payload, &socket) == nil && c.listenUnix(socket.Path)
	case "cancel-streamlocal-forward@openssh.com":
		ok = gossh.Unmarshal(r.Payload, &socket) == nil && c.unlisten("unix", socket.Path)
	case "hostkeys-prove-00@openssh.com":
		payload, ok = c.proveHostKeys(r.Payload)
	}
	return ok, payload
}

// listen opens a port of the machine for the client. As sshd does by default, it is opened on the
// loopback addresses whatever host was asked for, unless that is one of them.
func (c *client) listen(a forwardAddress) (uint32, bool) {
	if a.Port > 65535 || !c.grant.mayListen(a.Host, a.Port) {
		return 0, false
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.full() || c.forwards[forward{"tcp", a.String()}] != nil {
		return 0, false
	}
	hosts := []string{"127.0.0.1", "::1"}
	if slices.Contains(hosts, a.Host) {
		hosts = []string{a.Host}
	}
	var listeners []net.Listener
	for _, host := range hosts {
		l, err := net.Listen("tcp", net.JoinHostPort(host, strconv.Itoa(int(a.Port))))
		if err != nil {
			continue
		}
		listeners = append(listeners, l)
		a.Port = uint32(l.Addr().(*net.TCPAddr).Port) // the same one for both, where any was asked for
	}
	if listeners == nil {
		return 0, false
	}
	c.keep(forward{"tcp", a.String()}, listeners, func(from net.Conn) (string, []byte) {
		origin := from.RemoteAddr().(*net.TCPAddr)
		return "forwarded-tcpip", gossh.Marshal(struct {
			Host       string
			Port       uint32
			OriginHost string
			OriginPort uint32
		}{a.Host, a.Port, origin.IP.String(), uint32(origin.Port)})
	})
	return a.Port, true
}

// listenUnix opens a socket in the machine's file tree for the client. As with sshd, one that
// exists is not replaced, and it stays behind as a file when the connection ends.
func (c *client) listenUnix(path string) bool {
	if !filepath.IsAbs(path) || !c.grant.mayForwardSockets() {
		return false
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.full() {
		return false
	}
	l, err := listenSocket(path)
	if err != nil {
		return false
	}
	c.keep(forward{"unix", path}, []net.Listener{l}, func(net.Conn) (string, []byte) {
		return "forwarded-streamlocal@openssh.com", gossh.Marshal(struct{ Path, Reserved string }{path, ""})
	})
	return true
}

func listenSocket(path string) (*net.UnixListener, error) {
	l, err := net.ListenUnix("unix", &net.UnixAddr{Name: path, Net: "unix"})
	if err != nil {
		return nil, err
	}
	l.SetUnlinkOnClose(false)
	if err := os.Chmod(path, 0o600); err != nil {
		l.Close()
		return nil, err
	}
	return l, nil
}

// full says, under the lock, that this connection gets no more listeners.
func (c *client) full() bool { return c.ctx.Err() != nil || len(c.forwards) >= maxForwards }

// keep remembers listeners, under the lock, and offers the client each connection that is made
// there.
func (c *client) keep(f forward, listeners []net.Listener, offer func(net.Conn) (kind string, payload []byte)) {
	c.forwards[f] = listeners
	for _, l := range listeners {
		go c.accept(l, offer)
	}
}

func (c *client) unlisten(network, address string) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	f := forward{network, address}
	listeners := c.forwards[f]
	delete(c.forwards, f)
	for _, l := range listeners {
		l.Close()
	}
	return listeners != nil
}

// closeForwards closes all listeners; the connection's context has ended, so no new one is opened.
func (c *client) closeForwards() {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, listeners := range c.forwards {
		for _, l := range listeners {
			l.Close()
		}
	}
	if c.agent != "" {
		os.RemoveAll(filepath.Dir(c.agent))
	}
}

func (c *client) accept(l net.Listener, offer func(net.Conn) (kind string, payload []byte)) {
	defer l.Close()
	for {
		from, err := l.Accept()
		if err != nil {
			return
		}
		select {
		case c.channels <- struct{}{}:
			go func() {
				defer func() { <-c.channels }()
				kind, payload := offer(from)
				c.forwarded(from.(stream), kind, payload)
			}()
		default:
			from.Close()
		}
	}
}

// forwarded offers the client a connection that a process inside made to where it listens.
func (c *client) forwarded(from stream, kind string, payload []byte) {
	ch, requests, err := c.conn.OpenChannel(kind, payload)
	if err != nil {
		from.Close()
		return
	}
	go gossh.DiscardRequests(requests)
	join(ch, from)
}

// forwardAgent makes a socket in the machine that leads to the client's SSH agent. A connection has
// one.
func (c *client) forwardAgent() bool {
	if !c.grant.agent {
		return false
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.agent != "" || c.full() {
		return c.agent != ""
	}
	dir, err := os.MkdirTemp("", "ssh-")
	if err != nil {
		fmt.Fprintln(os.Stderr, "machine: forward the agent:", err)
		return false
	}
	path := filepath.Join(dir, "agent."+strconv.Itoa(os.Getpid()))
	l, err := listenSocket(path)
	if err != nil {
		os.RemoveAll(dir)
		fmt.Fprintln(os.Stderr, "machine: forward the agent:", err)
		return false
	}
	c.agent = path
	c.keep(forward{"agent", path}, []net.Listener{l}, func(net.Conn) (string,
		[]byte) {
		return "auth-agent@openssh.com", nil
	})
	return true
}

// join copies both ways until both ends have said all they want, and passes on each end's last
// word.
func join(ch gossh.Channel, c stream) {
	var both sync.WaitGroup
	both.Go(func() {
		if _, err := io.Copy(c, ch); err != nil {
			c.Close()
		}
		_ = c.CloseWrite()
	})
	both.Go(func() {
		if _, err := io.Copy(ch, c); err != nil {
			ch.Close()
		}
		_ = ch.CloseWrite()
	})
	both.Wait()
	ch.Close()
	c.Close()
}
