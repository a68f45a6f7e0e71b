package database

import (
	"bytes"
	"io"
	"net"
	"net/url"
	"sync"
	"sync/atomic"
	"testing"
)

// proxy forwards TCP connections. It can stop forwarding on open ones without closing them, as a
// firewall does that has dropped them, while new ones work. It can also lose a connection during a
// commit.
type proxy struct {
	l      net.Listener
	target string

	mu   sync.Mutex
	open []*forwarded
	lose string // the next commit after a connection sent this is not answered; "" for none
	lost bool
	gone bool // with that commit all other connections are closed, and no new one is accepted
}

type forwarded struct {
	client, server net.Conn
	frozen         atomic.Bool
	deaf           atomic.Bool // the server's answers are not forwarded
}

func newProxy(t *testing.T, target string) *proxy {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	p := &proxy{l: l, target: target}
	go p.accept()
	t.Cleanup(func() {
		_ = l.Close()
		p.mu.Lock()
		defer p.mu.Unlock()
		for _, f := range p.open {
			f.close()
		}
	})
	return p
}

func (p *proxy) accept() {
	for {
		client, err := p.l.Accept()
		if err != nil {
			return
		}
		server, err := net.Dial("tcp", p.target)
		if err != nil {
			_ = client.Close()
			continue
		}
		f := &forwarded{client: client, server: server}
		p.mu.Lock()
		p.open = append(p.open, f)
		p.mu.Unlock()
		go f.pass(client, server, p.watch(f))
		go f.pass(server, client, func([]byte) bool { return !f.deaf.Load() })
	}
}

func (f *forwarded) close() { _, _ = f.client.Close(), f.server.Close() }

// pass forwards data while see returns true, and then closes both ends.
func (f *forwarded) pass(from, to net.Conn, see func([]byte) bool) {
	buffer := make([]byte, 32<<10)
	for {
		n, err := from.Read(buffer)
		if f.frozen.Load() {
			_, _ = io.Copy(io.Discard, from) // read and drop
			return
		}
		if n > 0 && see(buffer[:n]) {
			_, err = to.Write(buffer[:n])
		} else if n > 0 {
			err = io.EOF
		}
		if err != nil {
			f.close()
			return
		}
	}
}

// watch returns a function that finds the commit to lose in what a client sends.
func (p *proxy) watch(f *forwarded) func([]byte) bool {
	sent := false
	return func(b []byte) bool {
		p.mu.Lock()
		defer p.mu.Unlock()
		if p.lose == "" || p.lost {
			return true
		}
		sent = sent || bytes.Contains(b, []byte(p.lose))
		if sent && bytes.Contains(b, []byte("commit\x00")) {
			p.lost = true
			f.deaf.Store(true)
			if p.gone {
				_ = p.l.Close()
				for _, other := range p.open {
					if other != f {
						other.close()
					}
				}
			}
		}
		return true
	}
}

// loseCommit loses the connection that commits next after it has sent the text. The returned
// function reports whether that happened.
func (p *proxy) loseCommit(text string) func() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.lose, p.lost = text, false
	return func() bool {
		p.mu.Lock()
		defer p.mu.Unlock()
		p.lose = ""
		return p.lost
	}
}

// freeze drops the open connections, and returns their number.
func (p *proxy) freeze() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	n := len(p.open)
	for _, f := range p.open {
		f.frozen.Store(true)
	}
	return n
}

// through returns the database's URL through the proxy.
func (p *proxy) through(t *testing.T, database string) string {
	t.Helper()
	u, err := url.Parse(database)
	if err != nil {
		t.Fatal(err)
	}
	u.Host = p.l.Addr().String()
	return u.String()
}

// host returns the host and port of a database's URL.
func host(t *testing.T, database string) string {
	t.Helper()
	u, err := url.Parse(database)
	if err != nil {
		t.Fatal(err)
	}
	return u.Host
}
