package postgres

import (
	"context"
	"errors"
	"net"
	"sync"
	"sync/atomic"
	"time"
)

var (
	// errSilent is a server that owes an answer and says nothing: a firewall has forgotten the
	// connection, or the host is gone.
	errSilent = errors.New("postgres: the server has not answered in time, and the connection was given up")
	// errCommitting keeps the driver from having a commit cancelled. The server would stop waiting
	// for its standby and call the commit done.
	errCommitting = errors.New("postgres: a commit is not cancelled")
)

const (
	// silence is how long the server may owe an answer: then it is more probable that the
	// connection is dead than that a statement takes so long. What is repeated then has a new
	// connection, and on one that was opened since, and is not older than fresh, the server may
	// take freshSilence, which is longer than any statement may take.
	silence, freshSilence, fresh = 10 * time.Second, 35 * time.Second, 3 * time.Second
)

// wire is the network below one connection. It bounds how long the server may be silent, whatever
// the driver waits for.
type wire struct {
	net.Conn
	line *line

	mu       sync.Mutex
	explicit time.Time // the deadline that the driver has set; zero = none
}

// line is what a connection and its wire both know.
type line struct {
	bounded    bool      // the server may not stay silent indefinitely
	opened     time.Time // when it was opened after others were found dead; zero where none was
	dial       func(ctx context.Context, network, address string) (net.Conn, error)
	connected  atomic.Bool
	committing atomic.Bool
	gone       func() // called when the server did not answer in time
	wire       atomic.Pointer[wire]
}

// open is the driver's dial function. The driver also dials to have a statement cancelled.
func (l *line) open(ctx context.Context, network, address string) (net.Conn, error) {
	if l.committing.Load() {
		return nil, errCommitting
	}
	raw, err := l.dial(ctx, network, address)
	if err != nil {
		return nil, err
	}
	w := &wire{Conn: raw, line: l}
	if !l.connected.Load() {
		l.wire.Store(w)
	}
	return w, nil
}

func (w *wire) Read(p []byte) (int, error) {
	w.mu.Lock()
	bounded := w.explicit.IsZero() && w.line.bounded
	if bounded {
		now, patience := time.Now(), silence
		if now.Sub(w.line.opened) < fresh {
			patience = freshSilence
		}
		_ = w.Conn.SetReadDeadline(now.Add(patience))
	}
	w.mu.Unlock()
	n, err := w.Conn.Read(p)
	if err == nil || !bounded {
		return n, err
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if timeout, is := errors.AsType[net.Error](err); is && timeout.Timeout() && w.explicit.IsZero() {
		w.line.gone()
		return n, errSilent
	}
	return n, err
}

// SetDeadline is the driver's way of ending what is under way.
func (w *wire) SetDeadline(t time.Time) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.explicit = t
	return w.Conn.SetDeadline(t)
}

// SetReadDeadline is SetDeadline for reads.
func (w *wire) SetReadDeadline(t time.Time) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.explicit = t
	return w.Conn.SetReadDeadline(t)
}
