package node

import (
	"io"
	"net"
	"strconv"
	"sync"
	"time"

	gossh "golang.org/x/crypto/ssh"
)

const dialTimeout = 10 * time.Second

// resolver never loads the machine's own name service libraries into this process.
var resolver = &net.Resolver{PreferGo: true}

// direct serves local forwarding: the client asks to be connected to an address as seen from inside.
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
	dialer := net.Dialer{Timeout: dialTimeout, Resolver: resolver}
	to, err := dialer.DialContext(c.ctx, "tcp", net.JoinHostPort(want.Host, strconv.Itoa(int(want.Port))))
	if err != nil {
		_ = nc.Reject(gossh.ConnectionFailed, err.Error())
		return
	}
	ch, requests, err := nc.Accept()
	if err != nil {
		to.Close()
		return
	}
	go gossh.DiscardRequests(requests)
	join(ch, to.(*net.TCPConn))
}

// forwardAddress is what a client asks to listen on, and what it is told when somebody connects there.
type forwardAddress struct {
	Host string
	Port uint32
}

func (a forwardAddress) String() string { return net.JoinHostPort(a.Host, strconv.Itoa(int(a.Port))) }

// requests serves a connection's global requests: remote forwarding and signs of life.
func (c *client) requests(requests <-chan *gossh.Request) {
	for r := range requests {
		var a forwardAddress
		ok, payload := false, []byte(nil)
		switch r.Type {
		case "tcpip-forward":
			if gossh.Unmarshal(r.Payload, &a) == nil {
				var port uint32
				if port, ok = c.listen(a); ok && a.Port == 0 {
					payload = gossh.Marshal(struct{ Port uint32 }{port})
				}
			}
		case "cancel-tcpip-forward":
			if gossh.Unmarshal(r.Payload, &a) == nil {
				ok = c.unlisten(a)
			}
		}
		_ = r.Reply(ok, payload)
	}
}

// listen opens a port of the machine for the client. It is opened on loopback whatever host was asked for, as
// sshd does by default.
func (c *client) listen(a forwardAddress) (uint32, bool) {
	if a.Port > 65535 {
		return 0, false
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.ctx.Err() != nil || len(c.forwards) >= maxForwards || c.forwards[a.String()] != nil {
		return 0, false
	}
	l, err := net.Listen("tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(int(a.Port))))
	if err != nil {
		return 0, false
	}
	a.Port = uint32(l.Addr().(*net.TCPAddr).Port)
	c.forwards[a.String()] = l
	go c.accept(l, a)
	return a.Port, true
}

func (c *client) unlisten(a forwardAddress) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	l := c.forwards[a.String()]
	if l == nil {
		return false
	}
	delete(c.forwards, a.String())
	l.Close()
	return true
}

// closeForwards closes all listeners; the connection's context has ended, so no new one is opened.
func (c *client) closeForwards() {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, l := range c.forwards {
		l.Close()
	}
}

func (c *client) accept(l net.Listener, a forwardAddress) {
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
				c.forwarded(from.(*net.TCPConn), a)
			}()
		default:
			from.Close()
		}
	}
}

// forwarded offers the client a connection that somebody inside made to the port it listens on.
func (c *client) forwarded(from *net.TCPConn, a forwardAddress) {
	origin := from.RemoteAddr().(*net.TCPAddr)
	ch, requests, err := c.conn.OpenChannel("forwarded-tcpip", gossh.Marshal(struct {
		Host       string
		Port       uint32
		OriginHost string
		OriginPort uint32
	}{a.Host, a.Port, origin.IP.String(), uint32(origin.Port)}))
	if err != nil {
		from.Close()
		return
	}
	go gossh.DiscardRequests(requests)
	join(ch, from)
}

// join copies both ways until both ends have said all they want, and passes on each end's last word.
func join(ch gossh.Channel, c *net.TCPConn) {
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
