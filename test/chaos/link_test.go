package chaos_test

import (
	"net"
	"sync"
	"testing"
)

// link is a TCP proxy between one server and one of its databases, or between two databases.
type link struct {
	l net.Listener

	mu      sync.Mutex
	target  string
	changed *sync.Cond
	cut     bool // connections end, and new ones are refused
	stalled bool // nothing is forwarded, on new connections neither
	wires   map[*wire]bool
}

// wire is a connection through a link.
type wire struct {
	client, server net.Conn
	dead           bool // half-open: nothing is forwarded any more, and neither end is told
}

func newLink(t *testing.T, target string) *link {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	k := &link{l: l, target: target, wires: map[*wire]bool{}}
	k.changed = sync.NewCond(&k.mu)
	go k.accept()
	t.Cleanup(func() {
		_ = l.Close()
		k.set(func() { k.cut, k.stalled = true, false })
	})
	return k
}

func (k *link) address() string { return k.l.Addr().String() }

func (k *link) accept() {
	for {
		client, err := k.l.Accept()
		if err != nil {
			return
		}
		go k.carry(client)
	}
}

func (k *link) carry(client net.Conn) {
	defer func() { _ = client.Close() }()
	w := &wire{client: client}
	if !k.passes(w) {
		return
	}
	k.mu.Lock()
	target := k.target
	k.mu.Unlock()
	server, err := net.Dial("tcp", target)
	if err != nil {
		return
	}
	defer func() { _ = server.Close() }()
	k.mu.Lock()
	w.server = server
	k.wires[w] = true
	k.mu.Unlock()
	defer func() {
		k.mu.Lock()
		defer k.mu.Unlock()
		delete(k.wires, w)
	}()
	done := make(chan struct{}, 2)
	for from, to := range map[net.Conn]net.Conn{client: server, server: client} {
		go func() {
			k.forward(w, from, to)
			done <- struct{}{}
		}()
	}
	<-done
}

// passes waits while the link is stalled or the wire is dead, and reports whether the wire is to go
// on.
func (k *link) passes(w *wire) bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	for (k.stalled || w.dead) && !k.cut {
		k.changed.Wait()
	}
	return !k.cut
}

func (k *link) forward(w *wire, from, to net.Conn) {
	b := make([]byte, 32<<10)
	for {
		n, err := from.Read(b)
		if !k.passes(w) {
			return
		}
		if n > 0 {
			if _, err := to.Write(b[:n]); err != nil {
				return
			}
		}
		if err != nil {
			return
		}
	}
}

// set changes the link; a cut ends the connections.
func (k *link) set(change func()) {
	k.mu.Lock()
	defer k.mu.Unlock()
	change()
	if k.cut {
		for w := range k.wires {
			_, _ = w.client.Close(), w.server.Close()
		}
	}
	k.changed.Broadcast()
}

func (k *link) doCut(on bool) { k.set(func() { k.cut = on }) }

func (k *link) stall(on bool) { k.set(func() { k.stalled = on }) }

// halfOpen makes the open connections dead, as a firewall does that has forgotten them. New ones
// work.
func (k *link) halfOpen() {
	k.set(func() {
		for w := range k.wires {
			w.dead = true
		}
	})
}
