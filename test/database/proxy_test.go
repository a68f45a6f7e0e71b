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

// proxy forwards TCP connections. It can stop to forward on those that are open, without closing them, as a firewall does that has
// forgotten them, while new ones work; and it can lose a connection while it commits.
type proxy struct {
	l      net.Listener
	target string

	mu   sync.Mutex
	open []*forwarded
	lose string // where a connection has sent this, its next commit goes through and is not answered; "" = none
	lost bool
	gone bool // with that commit every other connection ends, and no new one works
}

type forwarded struct {
	client, server net.Conn
	frozen         atomic.Bool
	deaf           atomic.Bool // what the server answers is not passed on
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

// pass copies what is sent. Where see says so, both ends are closed instead.
func (f *forwarded) pass(from, to net.Conn, see func([]byte) bool) {
	buffer := make([]byte, 32<<10)
	for {
		n, err := from.Read(buffer)
		if f.frozen.Load() {
			_, _ = io.Copy(io.Discard, from) // it is taken, and goes nowhere
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

// watch sees what a client sends, and finds the commit that is to be lost.
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

// loseCommit has the connection lost that commits next after it has sent that text; the returned function tells whether that came.
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

// freeze forgets the connections that are open, and returns how many.
func (p *proxy) freeze() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	n := len(p.open)
	for _, f := range p.open {
		f.frozen.Store(true)
	}
	return n
}

// through is a database's URL by way of the proxy.
func (p *proxy) through(t *testing.T, database string) string {
	t.Helper()
	u, err := url.Parse(database)
	if err != nil {
		t.Fatal(err)
	}
	u.Host = p.l.Addr().String()
	return u.String()
}

// host is where a database's URL leads.
func host(t *testing.T, database string) string {
	t.Helper()
	u, err := url.Parse(database)
	if err != nil {
		t.Fatal(err)
	}
	return u.Host
}
