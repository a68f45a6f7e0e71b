package httpapi

import (
	"context"
	"encoding/base64"
	"io"
	"net"
	"net/http"
	"reflect"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"github.com/billetcloud/billet/internal/account"
	"github.com/billetcloud/billet/internal/apierr"
	"github.com/billetcloud/billet/internal/db"
	"github.com/billetcloud/billet/internal/id"
	"github.com/billetcloud/billet/internal/provider"
	"github.com/coder/websocket"
)

const (
	// terminalLife is how long a terminal may stay open, terminalIdle how long without a byte in either direction.
	terminalLife = 12 * time.Hour
	terminalIdle = 30 * time.Minute
	// terminalDial is how long the machine may take to accept the connection and to greet.
	terminalDial = 10 * time.Second
	// terminalHeartbeat is how often each end of a terminal is told that the connection lives. The dashboard calls a
	// connection lost after 10 seconds without a message, so this is well below it.
	terminalHeartbeat = 4 * time.Second
	// terminalPong is how long the client may take to answer a ping while nothing is delivered to it, and
	// terminalPongBusy how long while output is: on a slow line the ping waits behind that.
	terminalPong     = 10 * time.Second
	terminalPongBusy = time.Minute
)

// openTerminal names the machine, and which of its nodes.
type openTerminal struct {
	deploymentPath
	Node int `query:"node" minimum:"0" doc:"Index of the node; 0 if left out."`
}

func (s *server) addTerminal() {
	s.add(spec{
		method: http.MethodGet, path: Base + "/deployments/{id}/terminal", id: "openTerminal", tag: tagDeployments, scope: account.WriteDeployments,
		upgrade: true, long: terminalLife, summary: "Relay to the machine’s SSH",
		text: "A WebSocket whose binary messages are the bytes of a connection to the deployment’s own SSH address and port, both ways, and to nothing else. It speaks no SSH itself: " +
			"the client at the other end does, with its own key, and checks `sshHostKeys`; what is said stays between it and the machine. Open while the deployment runs; " +
			"ends after 12 hours, 30 minutes without a byte, or with the key or session that opened it. An account may have 32 at once, and one key or user 8. " +
			"The server sends an empty message every 4 seconds, by which the client can tell that the connection lives, and a ping, which the client has 10 seconds to answer.",
		errors: []apierr.Code{apierr.Conflict},
	}, reflect.TypeFor[openTerminal](), nil, false, s.terminal)
}

func (s *server) terminal(ctx context.Context, w http.ResponseWriter, c *call) (answer, error) {
	in := new(openTerminal)
	d, err := c.route.in.decode(w, c.request, in)
	if err != nil {
		return answer{}, err
	}
	if c.key == nil {
		// A browser sends the cookie with any page's WebSocket, and what it opens is no mere read.
		as := c.request.Clone(ctx)
		as.Method = http.MethodPost
		if err := s.sameSite(as); err != nil {
			return answer{}, err
		}
	}
	at, err := s.c.Deployments.SSHEndpoint(ctx, s.c.DB, c.account, in.ID, in.Node)
	if err != nil {
		return answer{}, err
	}
	if err := apierr.Invalid(append(d.faults, checkUpgrade(c.request)...)).OrNil(); err != nil {
		return answer{}, err
	}
	leave, err := s.streams.enter("terminals", c, maxTerminals)
	if err != nil {
		return answer{}, err
	}
	defer leave()
	machine, err := dialSSH(ctx, at)
	if err != nil {
		return answer{}, notReady("The machine’s SSH does not answer at the moment; try again in a little while.", err)
	}
	defer func() { _ = machine.Close() }()
	if err := s.recorded(ctx, c, in.ID, func(context.Context, *db.Tx) error { return nil }); err != nil { // a read in form only
		return answer{}, err
	}
	ws, err := websocket.Accept(w, c.request, &websocket.AcceptOptions{InsecureSkipVerify: true}) // where it comes from was looked at above
	if err != nil {
		return answer{}, err
	}
	defer func() { _ = ws.CloseNow() }()
	// To end what reads from a WebSocket is to break it off. That comes after the other end was told why.
	until, cancel := context.WithCancel(context.WithoutCancel(ctx))
	defer cancel()
	t := &terminal{s: s, c: c, deployment: in.ID, node: in.Node, address: at.Address, ws: ws, machine: machine}
	code, reason := t.run(ctx, until)
	w.(*recorder).bytes = t.relayed.Load()
	_ = machine.Close() // before the goodbye, for which a client that is gone lets one wait
	_ = ws.Close(code, reason)
	return answer{}, nil
}

// checkUpgrade finds what keeps the request from becoming a WebSocket.
func checkUpgrade(r *http.Request) []apierr.FieldError {
	has := func(header, token string) bool {
		return slices.ContainsFunc(strings.Split(strings.Join(r.Header.Values(header), ","), ","), func(part string) bool {
			return strings.EqualFold(strings.TrimSpace(part), token)
		})
	}
	key, err := base64.StdEncoding.DecodeString(r.Header.Get("Sec-WebSocket-Key"))
	switch {
	case r.Method != http.MethodGet || !r.ProtoAtLeast(1, 1) || !has("Connection", "Upgrade") || !has("Upgrade", "websocket"):
		return []apierr.FieldError{{Field: "header.Upgrade", Message: "must be websocket: this address is for WebSockets only."}}
	case r.Header.Get("Sec-WebSocket-Version") != "13":
		return []apierr.FieldError{{Field: "header.Sec-WebSocket-Version", Message: "must be 13."}}
	case err != nil || len(key) != 16 || len(r.Header.Values("Sec-WebSocket-Key")) != 1:
		return []apierr.FieldError{{Field: "header.Sec-WebSocket-Key", Message: "must be 16 bytes in base64."}}
	}
	return nil
}

// dialSSH connects to a machine and makes sure that SSH is what answers.
func dialSSH(ctx context.Context, at provider.Endpoint) (net.Conn, error) {
	ctx, cancel := context.WithTimeout(ctx, terminalDial)
	defer cancel()
	// A machine that vanishes without a word is noticed within seconds, not after the minutes that TCP allows.
	return provider.DialSSH(ctx, at, net.Dialer{Control: giveUpUnacknowledged, KeepAliveConfig: net.KeepAliveConfig{
		Enable: true, Idle: terminalHeartbeat, Interval: terminalHeartbeat, Count: 2,
	}})
}

// terminal is one relay under way.
type terminal struct {
	s          *server
	c          *call
	deployment id.ID
	node       int
	address    string
	ws         *websocket.Conn
	machine    net.Conn

	relayed, delivered atomic.Int64
}

// counted counts what is read, so that it can be seen whether anything still is.
type counted struct {
	io.Reader
	n *atomic.Int64
}

// countedWriter counts what has been written.
type countedWriter struct {
	io.Writer
	n *atomic.Int64
}

func (w countedWriter) Write(p []byte) (int, error) {
	n, err := w.Writer.Write(p)
	w.n.Add(int64(n))
	return n, err
}

func (r counted) Read(p []byte) (int, error) {
	n, err := r.Reader.Read(p)
	r.n.Add(int64(n))
	return n, err
}

// run relays until something ends it, and says what. Each direction holds one buffer at most: an end that does not read
// makes the other wait. What it starts goes on until the second context ends.
func (t *terminal) run(ctx, until context.Context) (websocket.StatusCode, string) {
	changed, stop := t.s.c.Events.Watch(t.deployment)
	defer stop()
	browser := websocket.NetConn(until, t.ws, websocket.MessageBinary)
	left, closed, silent := make(chan struct{}), make(chan struct{}), make(chan struct{})
	go func() {
		_, _ = io.Copy(t.machine, counted{browser, &t.relayed})
		close(left)
	}()
	go func() {
		_, _ = io.Copy(countedWriter{browser, &t.delivered}, counted{t.machine, &t.relayed})
		close(closed)
	}()
	go func() {
		defer close(silent)
		t.beat(until)
	}()
	look := time.NewTicker(t.s.streams.recheck)
	defer look.Stop()
	seen, since := int64(0), time.Now()
	for {
		select {
		case <-left:
			return websocket.StatusNormalClosure, ""
		case <-closed:
			return websocket.StatusNormalClosure, "The machine has closed the connection."
		case <-silent:
			return websocket.StatusGoingAway, "The other end did not answer any more."
		case <-ctx.Done():
			return websocket.StatusGoingAway, "The terminal was open for 12 hours. Open it again."
		case _, open := <-changed:
			if !open {
				return websocket.StatusServiceRestart, "The server stops. Open the terminal again in a little while."
			}
		case <-look.C:
		}
		if code, reason := t.mayGoOn(ctx); reason != "" {
			return code, reason
		}
		if n := t.relayed.Load(); n != seen {
			seen, since = n, time.Now()
		} else if time.Since(since) > t.s.streams.idle {
			return websocket.StatusGoingAway, "Nothing was said for 30 minutes. Open the terminal again."
		}
	}
}

// beat tells both ends again and again that the connection lives, and returns once the client is gone.
func (t *terminal) beat(until context.Context) {
	tick := time.NewTicker(t.s.streams.heartbeat)
	defer tick.Stop()
	heard, delivered := time.Now(), t.delivered.Load()
	for {
		select {
		case <-tick.C:
		case <-until.Done():
			return
		}
		answered, cancel := context.WithTimeout(until, t.s.streams.pong)
		// Empty, so that it adds nothing to what SSH says. A page cannot see pings; it sees this.
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

// mayGoOn says why not, if it may not.
func (t *terminal) mayGoOn(ctx context.Context) (websocket.StatusCode, string) {
	err := t.s.still(ctx, t.c)
	if err != nil {
		if apierr.CodeOf(err) != apierr.Internal {
			return websocket.StatusPolicyViolation, "The key or session that opened the terminal is not valid any more."
		}
		return 0, "" // the database did not answer; it is asked again
	}
	at, err := t.s.c.Deployments.SSHEndpoint(ctx, t.s.c.DB, t.c.account, t.deployment, t.node)
	switch {
	case err != nil && apierr.CodeOf(err) == apierr.Internal:
		return 0, ""
	case err != nil || at.Address != t.address:
		return websocket.StatusNormalClosure, "The deployment does not run any more."
	}
	return 0, ""
}
