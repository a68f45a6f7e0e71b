package httpapi

import (
	"context"
	"encoding/base64"
	"net"
	"net/http"
	"slices"
	"strings"
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
	c.Wait()
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
	t := &terminal{terminals: h, c: c, deployment: in.ID, node: in.Node, address: at.Address}
	both := &relay{
		streams: h.streams, events: h.events, deployment: in.ID, ws: ws, machine: machine, ended: t.ended,
		words: relayWords{
			closed:  "The machine closed the connection.",
			life:    "The terminal was open for 12 hours. Open it again.",
			restart: "The server is restarting. Open the terminal again shortly.",
		},
	}
	code, reason := both.run(ctx, until)
	c.CountBytes(w, both.total())
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
