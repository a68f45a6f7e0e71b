package httpapi

import (
	"context"
	"encoding/base64"
	"io"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"github.com/billetcloud/billet/internal/account"
	"github.com/billetcloud/billet/internal/apierr"
	"github.com/billetcloud/billet/internal/db"
	"github.com/billetcloud/billet/internal/deployment"
	"github.com/billetcloud/billet/internal/event"
	"github.com/billetcloud/billet/internal/id"
	"github.com/billetcloud/billet/internal/provider"
	"github.com/billetcloud/billet/internal/rest"
	"github.com/coder/websocket"
)

const (
	// terminalLife is how long a terminal may stay open, terminalIdle how long without a byte in
	// either direction.
	terminalLife = 12 * time.Hour
	terminalIdle = 30 * time.Minute
	// terminalDial is how long the machine may take to accept the connection and to greet.
	terminalDial = 10 * time.Second
	// terminalHeartbeat is how often each end of a terminal gets a sign of life. The dashboard
	// gives up on a connection after 10 seconds without a message, so this is well below it.
	terminalHeartbeat = 4 * time.Second
	// terminalPong is how long the client may take to answer a ping while nothing is delivered to
	// it. terminalPongBusy is how long while output is delivered: on a slow line the ping waits
	// behind it.
	terminalPong     = 10 * time.Second
	terminalPongBusy = time.Minute
)

// openTerminal names the machine and one of its nodes.
type openTerminal struct {
	deploymentPath
	Node int `query:"node" minimum:"0" doc:"Index of the node; 0 if omitted."`
}

// terminals relay WebSockets to the SSH of machines.
type terminals struct {
	db          *db.DB
	deployments *deployment.Service
	events      *event.Service
	streams     *streams
}

func (h terminals) routes(r *rest.Router) {
	rest.Upgrade(r, rest.Operation{
		Method: http.MethodGet, Path: Base + "/deployments/{id}/terminal", ID: "openTerminal", Tag: tagDeployments,
		Scope: string(account.WriteDeployments), ExtraTime: terminalLife, Summary: "Open a terminal connection",
		Description: "A WebSocket whose binary messages are the bytes of a TCP connection to the deployment’s SSH " +
			"address and port, in both " +
			"directions. The server does not decrypt SSH: the client speaks it with its own key and checks " +
			"`sshHostKeys`. Available while " +
			"the deployment runs. Ends after 12 hours, after 30 minutes without data, or with the key or session " +
			"that opened it. An account " +
			"can have 32 terminals at once, and one key or user 8. The server sends an empty message every 4 " +
			"seconds, by which the client " +
			"can tell that the connection is alive, and a ping, which the client must answer within 10 seconds.",
		Errors: []apierr.Code{apierr.Conflict},
	}, h.open)
}

func (h terminals) open(
	ctx context.Context, w http.ResponseWriter, c *rest.Call, in *openTerminal, invalid []apierr.FieldError,
) (rest.Answer, error) {
	// A browser sends the cookie with any page's WebSocket, and a terminal is more than a read.
	if err := c.SameSiteWrite(); err != nil {
		return rest.Answer{}, err
	}
	at, err := h.deployments.SSHEndpoint(ctx, h.db, c.Caller.Account, in.ID, in.Node)
	if err != nil {
		return rest.Answer{}, err
	}
	if err := apierr.Invalid(append(invalid, checkUpgrade(c.Request)...)).OrNil(); err != nil {
		return rest.Answer{}, err
	}
	leave, err := h.streams.enter("terminals", c, maxTerminals)
	if err != nil {
		return rest.Answer{}, err
	}
	defer leave()
	machine, err := dialSSH(ctx, at)
	if err != nil {
		return rest.Answer{}, rest.Unavailable("The machine’s SSH is not reachable. Try again shortly.", err)
	}
	defer func() { _ = machine.Close() }()
	// It is a GET in form only.
	if err := c.Commit(ctx, in.ID, func(context.Context, *db.Tx) error { return nil }); err != nil {
		return rest.Answer{}, err
	}
	// The origin was checked above.
	ws, err := websocket.Accept(w, c.Request, &websocket.AcceptOptions{InsecureSkipVerify: true})
	if err != nil {
		return rest.Answer{}, err
	}
	defer func() { _ = ws.CloseNow() }()
	// Canceling what reads from a WebSocket breaks it. That must come after the other end got the
	// reason.
	until, cancel := context.WithCancel(context.WithoutCancel(ctx))
	defer cancel()
	t := &terminal{terminals: h, c: c, deployment: in.ID, node: in.Node, address: at.Address, ws: ws, machine: machine}
	code, reason := t.run(ctx, until)
	c.CountBytes(w, t.relayed.Load())
	_ = machine.Close() // before the closing handshake, which waits for a client that may be gone
	_ = ws.Close(code, reason)
	return rest.Answer{}, nil
}

// checkUpgrade finds what keeps the request from becoming a WebSocket.
func checkUpgrade(r *http.Request) []apierr.FieldError {
	has := func(header, token string) bool {
		return slices.ContainsFunc(
			strings.Split(strings.Join(r.Header.Values(header), ","), ","),
			func(part string) bool {
				return strings.EqualFold(strings.TrimSpace(part), token)
			},
		)
	}
	key, err := base64.StdEncoding.DecodeString(r.Header.Get("Sec-WebSocket-Key"))
	switch {
	case r.Method != http.MethodGet || !r.ProtoAtLeast(1, 1) || !has("Connection", "Upgrade") ||
		!has("Upgrade", "websocket"):
		return []apierr.FieldError{
			{Field: "header.Upgrade", Message: "must be websocket: this endpoint is for WebSockets only."},
		}
	case r.Header.Get("Sec-WebSocket-Version") != "13":
		return []apierr.FieldError{{Field: "header.Sec-WebSocket-Version", Message: "must be 13."}}
	case err != nil || len(key) != 16 || len(r.Header.Values("Sec-WebSocket-Key")) != 1:
		return []apierr.FieldError{{Field: "header.Sec-WebSocket-Key", Message: "must be 16 bytes in base64."}}
	}
	return nil
}

// dialSSH connects to a machine and verifies that SSH answers.
func dialSSH(ctx context.Context, at provider.Endpoint) (net.Conn, error) {
	ctx, cancel := context.WithTimeout(ctx, terminalDial)
	defer cancel()
	// A machine that vanishes is noticed within seconds, not after the minutes that TCP allows.
	return provider.DialSSH(ctx, at, net.Dialer{Control: limitUnacknowledged, KeepAliveConfig: net.KeepAliveConfig{
		Enable: true, Idle: terminalHeartbeat, Interval: terminalHeartbeat, Count: 2,
	}})
}

// terminal is one open relay.
type terminal struct {
	terminals
	c          *rest.Call
	deployment id.ID
	node       int
	address    string
	ws         *websocket.Conn
	machine    net.Conn

	relayed, delivered atomic.Int64
}

// counted counts the bytes that are read.
type counted struct {
	io.Reader
	n *atomic.Int64
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

func (r counted) Read(p []byte) (int, error) {
	n, err := r.Reader.Read(p)
	r.n.Add(int64(n))
	return n, err
}

// run relays until something ends it, and returns the reason. Each direction has one buffer: an end
// that does not read makes the other wait. What it starts runs until the second context ends.
func (t *terminal) run(ctx, until context.Context) (websocket.StatusCode, string) {
	changed, stop := t.events.Watch(t.deployment)
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
	recheck := time.NewTicker(t.streams.recheck)
	defer recheck.Stop()
	seen, since := int64(0), time.Now()
	for {
		select {
		case <-left:
			return websocket.StatusNormalClosure, ""
		case <-closed:
			return websocket.StatusNormalClosure, "The machine closed the connection."
		case <-silent:
			return websocket.StatusGoingAway, "The connection was lost."
		case <-ctx.Done():
			return websocket.StatusGoingAway, "The terminal was open for 12 hours. Open it again."
		case _, open := <-changed:
			if !open {
				return websocket.StatusServiceRestart, "The server is restarting. Open the terminal again shortly."
			}
		case <-recheck.C:
		}
		if code, reason := t.ended(ctx); reason != "" {
			return code, reason
		}
		if n := t.relayed.Load(); n != seen {
			seen, since = n, time.Now()
		} else if time.Since(since) > t.streams.idle {
			return websocket.StatusGoingAway, "Disconnected after 30 minutes of inactivity."
		}
	}
}

// beat sends signs of life to both ends, and returns once the client is gone.
func (t *terminal) beat(until context.Context) {
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
		// Empty, so that it adds nothing to the SSH stream. A page cannot see pings; it sees this.
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

// ended returns why the terminal must end; "" if it may go on.
func (t *terminal) ended(ctx context.Context) (websocket.StatusCode, string) {
	err := t.c.Reauthorize(ctx)
	if err != nil {
		if apierr.CodeOf(err) != apierr.Internal {
			return websocket.StatusPolicyViolation, "The API key or session that opened the terminal is no longer " +
				"valid."
		}
		return 0, "" // the database did not answer; it is checked again
	}
	at, err := t.deployments.SSHEndpoint(ctx, t.db, t.c.Caller.Account, t.deployment, t.node)
	switch {
	case err != nil && apierr.CodeOf(err) == apierr.Internal:
		return 0, ""
	case err != nil || at.Address != t.address:
		return websocket.StatusNormalClosure, "The deployment is no longer running."
	}
	return 0, ""
}
