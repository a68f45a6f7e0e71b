package racks

import (
	"net"
	"net/netip"
	"sync"
)

// Limits of the connections on the provisioning network. A server has one or two, a BMC several.
const (
	maxConnections     = 1024
	maxConnectionsFrom = 64 // from one address
)

// Limit returns the listener with limits: connections beyond them are closed at once, so that one
// server cannot keep the others out.
func Limit(l net.Listener) net.Listener {
	return &limited{Listener: l, total: maxConnections, each: maxConnectionsFrom, from: map[netip.Addr]int{}}
}

type limited struct {
	net.Listener
	total, each int

	mu   sync.Mutex
	open int
	from map[netip.Addr]int
}

// Accept implements net.Listener.
func (l *limited) Accept() (net.Conn, error) {
	for {
		c, err := l.Listener.Accept()
		if err != nil {
			return nil, err
		}
		from, err := netip.ParseAddrPort(c.RemoteAddr().String())
		if err == nil && l.enter(from.Addr()) {
			return &counted{Conn: c, leave: sync.OnceFunc(func() { l.leave(from.Addr()) })}, nil
		}
		_ = c.Close()
	}
}

func (l *limited) enter(from netip.Addr) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.open >= l.total || l.from[from] >= l.each {
		return false
	}
	l.open++
	l.from[from]++
	return true
}

func (l *limited) leave(from netip.Addr) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.open--
	if l.from[from]--; l.from[from] == 0 {
		delete(l.from, from)
	}
}

type counted struct {
	net.Conn
	leave func()
}

// Close implements net.Conn.
func (c *counted) Close() error {
	c.leave()
	return c.Conn.Close()
}
