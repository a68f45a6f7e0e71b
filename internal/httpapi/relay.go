package httpapi

import (
	"context"
	"io"
	"sync/atomic"
	"time"

	"github.com/billetcloud/billet/internal/event"
	"github.com/billetcloud/billet/internal/id"
	"github.com/coder/websocket"
)

// relay joins a WebSocket to a connection to a machine, in both directions.
type relay struct {
	streams    *streams
	events     *event.Service
	deployment id.ID
	ws         *websocket.Conn
	machine    io.ReadWriter
	// ended returns why the relay must end; "" if it may go on. It is asked every few seconds, and
	// at each event of the deployment.
	ended func(ctx context.Context) (websocket.StatusCode, string)
	// fenced returns false while nothing may be relayed; nil is for always.
	fenced func() bool
	// silentOutput has only the client's input count as activity.
	silentOutput bool
	words        relayWords

	// typed and shown are the bytes that were read from both ends, delivered those that the client
	// has taken.
	typed, shown, delivered atomic.Int64
}

// relayWords are the reasons for the end of a relay that differ.
type relayWords struct{ closed, life, restart string }

// total is how many bytes were relayed.
func (t *relay) total() int64 { return t.typed.Load() + t.shown.Load() }

// counted counts the bytes that are read, and ends where they must not be passed on.
type counted struct {
	io.Reader
	n      *atomic.Int64
	fenced func() bool
}

func (r counted) Read(p []byte) (int, error) {
	n, err := r.Reader.Read(p)
	if r.fenced != nil && !r.fenced() {
		return 0, io.ErrClosedPipe
	}
	r.n.Add(int64(n))
	return n, err
}

// countedWriter counts the bytes that are written.
type countedWriter struct {
	io.Writer
	n *atomic.Int64
}

func (w countedWriter) Write(p []byte) (int, error) {
	n, err := w.Writer.Write(p)
	w.n.Add(int64(n))
	return n, err
}

// run relays until something ends it, and returns the reason. Each direction has one buffer: an end
// that does not read makes the other wait. What it starts runs until the second context ends.
func (t *relay) run(ctx, until context.Context) (websocket.StatusCode, string) {
	changed, stop := t.events.Watch(t.deployment)
	defer stop()
	browser := websocket.NetConn(until, t.ws, websocket.MessageBinary)
	left, closed, silent := make(chan struct{}), make(chan struct{}), make(chan struct{})
	go func() {
		_, _ = io.Copy(t.machine, counted{browser, &t.typed, t.fenced})
		close(left)
	}()
	go func() {
		_, _ = io.Copy(countedWriter{browser, &t.delivered}, counted{t.machine, &t.shown, t.fenced})
		close(closed)
	}()
	go func() {
		defer close(silent)
		t.beat(until)
	}()
	recheck := time.NewTicker(t.streams.recheck)
	defer recheck.Stop()
	seen, since := int64(0), time.Now()
	for {
		select {
		case <-left:
			return websocket.StatusNormalClosure, ""
		case <-closed:
			return websocket.StatusNormalClosure, t.words.closed
		case <-silent:
			return websocket.StatusGoingAway, "The connection was lost."
		case <-ctx.Done():
			return websocket.StatusGoingAway, t.words.life
		case _, open := <-changed:
			if !open {
				return websocket.StatusServiceRestart, t.words.restart
			}
		case <-recheck.C:
		}
		if code, reason := t.ended(ctx); reason != "" {
			return code, reason
		}
		if n := t.used(); n != seen {
			seen, since = n, time.Now()
		} else if time.Since(since) > t.streams.idle {
			return websocket.StatusGoingAway, "Disconnected after 30 minutes of inactivity."
		}
	}
}

// used grows with each use.
func (t *relay) used() int64 {
	if t.silentOutput {
		return t.typed.Load()
	}
	return t.total()
}

// beat sends signs of life to both ends, and returns once the client is gone.
func (t *relay) beat(until context.Context) {
	tick := time.NewTicker(t.streams.heartbeat)
	defer tick.Stop()
	heard, delivered := time.Now(), t.delivered.Load()
	for {
		select {
		case <-tick.C:
		case <-until.Done():
			return
		}
		answered, cancel := context.WithTimeout(until, t.streams.pong)
		// Empty, so that it adds nothing to the stream. A page cannot see pings; it sees this.
		err := t.ws.Write(answered, websocket.MessageBinary, nil)
		if err == nil {
			err = t.ws.Ping(answered)
		}
		cancel()
		now := t.delivered.Load()
		switch {
		case err == nil:
			heard = time.Now()
		case until.Err() != nil, now == delivered, time.Since(heard) > terminalPongBusy:
			return
		}
		delivered = now
	}
}
