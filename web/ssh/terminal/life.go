package terminal

import (
	"net"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/crypto/ssh"
)

const (
	// keepAliveInterval is half of what strict proxies allow without data.
	keepAliveInterval = 10 * time.Second
	// idleLimit is the server's own limit for a connection without data. Requests for signs of life
	// are data to the server, so that this end has to count.
	idleLimit = 30 * time.Minute
	// missed is how many intervals without any byte end a connection that owes an answer.
	missed = 2
)

// life is a connection that notices when bytes arrive, when the session was last used, and when
// the machine at its other end is dead.
type life struct {
	net.Conn
	every, idle time.Duration

	arrived, lastUse atomic.Pointer[time.Time]

	mu  sync.Mutex
	how End
}

func newLife(conn net.Conn, c Config) *life {
	l := &life{Conn: conn, every: c.KeepAlive, idle: c.Idle}
	if l.every == 0 {
		l.every = keepAliveInterval
	}
	if l.idle == 0 {
		l.idle = idleLimit
	}
	l.heard()
	l.used()
	return l
}

func (l *life) heard() {
	now := time.Now()
	l.arrived.Store(&now)
}

// used notes that the user or the machine did something.
func (l *life) used() {
	now := time.Now()
	l.lastUse.Store(&now)
}

func (l *life) Read(p []byte) (int, error) {
	n, err := l.Conn.Read(p)
	if n > 0 {
		l.heard()
	}
	return n, err
}

func (l *life) end() End {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.how
}

// watch asks the machine for signs of life until the connection ends, and ends it where none come
// or where it is not used.
func (l *life) watch(client *ssh.Client) {
	ended := make(chan struct{})
	go func() {
		_ = client.Wait()
		close(ended)
	}()
	answered := make(chan struct{}, 1)
	ask := func() {
		// Any answer is a sign of life, also that the request is unknown.
		_, _, _ = client.SendRequest("keepalive@openssh.com", true, nil)
		answered <- struct{}{}
	}
	tick := time.NewTicker(l.every)
	defer tick.Stop()
	last := time.Now()
	var asked time.Time // zero while no answer is owed
	for {
		select {
		case <-ended:
			return
		case <-answered:
			asked = time.Time{}
			continue
		case <-tick.C:
		}
		now := time.Now()
		if now.Sub(last) > missed*l.every && !asked.IsZero() {
			asked = now // the page was suspended: what has arrived is not read yet
		}
		last = now
		switch {
		case now.Sub(*l.lastUse.Load()) > l.idle:
			l.close(client, End{Message: "Disconnected after 30 minutes of inactivity."})
			return
		case asked.IsZero():
			asked = now
			go ask()
		case now.Sub(asked) >= missed*l.every && now.Sub(*l.arrived.Load()) >= missed*l.every:
			l.close(client, End{Lost: true, Message: "The machine does not respond."})
			return
		}
	}
}

func (l *life) close(client *ssh.Client, how End) {
	l.mu.Lock()
	l.how = how
	l.mu.Unlock()
	_ = client.Close()
}
