package httpapi

import (
	"context"
	"log/slog"
	"net/http"
	"sync/atomic"
	"time"

	"github.com/billetcloud/billet/internal/account"
	"github.com/billetcloud/billet/internal/apierr"
	"github.com/billetcloud/billet/internal/console"
	"github.com/billetcloud/billet/internal/db"
	"github.com/billetcloud/billet/internal/deployment"
	"github.com/billetcloud/billet/internal/event"
	"github.com/billetcloud/billet/internal/rest"
	"github.com/coder/websocket"
)

const (
	// consoleLife is how long a console may stay open.
	consoleLife = 12 * time.Hour
	// consoleDial is how long the BMC may take to connect to the console.
	consoleDial = 20 * time.Second
	// consoleFence is how old the last proof may be that the machine is still the tenant's. With an
	// older one, nothing is relayed: this process may have stood still, and the machine may have
	// gone to another tenant.
	consoleFence = 8 * time.Second
	// consoleEnd is how long writing the end of a session may take.
	consoleEnd = 10 * time.Second
)

// openConsole names the deployment.
type openConsole struct {
	deploymentPath
	TakeOver bool `query:"takeOver" doc:"Whether a console that is open is closed, and this one takes its place."`
}

// consoles relay WebSockets to the serial consoles of machines.
type consoles struct {
	db          *db.DB
	log         *slog.Logger
	deployments *deployment.Service
	sessions    *console.Service
	events      *event.Service
	streams     *streams
}

func (h consoles) routes(r *rest.Router) {
	rest.Upgrade(r, rest.Operation{
		Method: http.MethodGet, Path: Base + "/deployments/{id}/console", ID: "openConsole", Tag: tagDeployments,
		Scope: string(account.WriteDeployments), ExtraTime: consoleLife, Summary: "Open the serial console",
		Description: "A WebSocket whose binary messages are what the machine writes to its serial console, and what " +
			"is typed on it. The machine’s own sign-in protects it: this operation signs in to nothing. Available " +
			"for deployments with `capabilities.console`, from when the operating system is installed, also if SSH " +
			"does not answer, until the deployment ends. One console of a deployment can be open at a time. Ends " +
			"after 12 hours, after 30 minutes without input, with the key or session that opened it, and with the " +
			"deployment. The audit log has who opened it, and for how long; what was shown or typed is not stored. " +
			"The server sends an empty message every 4 seconds, by which the client can tell that the connection is " +
			"alive, and a ping, which the client must answer within 10 seconds.",
		Errors: []apierr.Code{apierr.Conflict, apierr.Unsupported},
	}, h.open)
}

func (h consoles) open(
	ctx context.Context, w http.ResponseWriter, c *rest.Call, in *openConsole, invalid []apierr.FieldError,
) (rest.Answer, error) {
	// As for a terminal: a browser sends the cookie with any page's WebSocket.
	if err := c.SameSiteWrite(); err != nil {
		return rest.Answer{}, err
	}
	if err := h.deployments.HasConsole(ctx, h.db, c.Caller.Account, in.ID); err != nil {
		return rest.Answer{}, err
	}
	// A page does not learn why its WebSocket was refused. It asks with a plain GET, which is
	// answered with what stands in the way, and with INVALID_REQUEST where nothing is known to.
	if !in.TakeOver {
		if err := h.sessions.Free(ctx, in.ID); err != nil {
			return rest.Answer{}, err
		}
	}
	if err := apierr.Invalid(append(invalid, checkUpgrade(c.Request)...)).OrNil(); err != nil {
		return rest.Answer{}, err
	}
	leave, err := h.streams.enter("consoles", c, maxConsoles)
	if err != nil {
		return rest.Answer{}, err
	}
	defer leave()
	session := console.Session{
		Deployment: in.ID, Account: c.Caller.Account, Actor: actor(c), Address: c.Address().String(), RequestID: c.ID,
	}
	// It is a GET in form only. Its entry is written before the machine is reached.
	err = c.Commit(ctx, in.ID, func(ctx context.Context, tx *db.Tx) (err error) {
		session, err = h.sessions.Begin(ctx, tx, session, in.TakeOver)
		return err
	})
	if err != nil {
		return rest.Answer{}, err
	}
	s := &consoleSession{consoles: h, c: c, session: session, ended: "it could not be opened"}
	defer s.end(ctx)
	return rest.Answer{}, s.serve(ctx, w)
}

// consoleSession is one open console.
type consoleSession struct {
	consoles
	c       *rest.Call
	session console.Session
	// ended is how it ended, for the audit log.
	ended string
	// proved is the time of the last proof that the machine is the tenant's, in nanoseconds since
	// start.
	start  time.Time
	proved atomic.Int64
}

func (s *consoleSession) serve(ctx context.Context, w http.ResponseWriter) error {
	s.c.Wait()
	dial, cancel := context.WithTimeout(ctx, consoleDial)
	machine, err := s.deployments.OpenConsole(dial, s.db, s.session.Account, s.session.Deployment)
	cancel()
	switch {
	case apierr.CodeOf(err) == apierr.Internal && err != nil:
		return rest.Unavailable("The machine’s serial console does not answer. Try again shortly.", err)
	case err != nil:
		return err
	}
	defer func() { _ = machine.Close() }()
	// It may have ended while the BMC was connected to.
	s.start = time.Now()
	if err := s.deployments.HasConsole(ctx, s.db, s.session.Account, s.session.Deployment); err != nil {
		return err
	}
	// The origin was checked before.
	ws, err := websocket.Accept(w, s.c.Request, &websocket.AcceptOptions{InsecureSkipVerify: true})
	if err != nil {
		return err
	}
	defer func() { _ = ws.CloseNow() }()
	until, cancel := context.WithCancel(context.WithoutCancel(ctx)) // as for a terminal
	defer cancel()
	both := &relay{
		streams: s.streams, events: s.events, deployment: s.session.Deployment, ws: ws, machine: machine,
		ended: s.check, fenced: s.fresh, silentOutput: true,
		words: relayWords{
			closed:  "The machine’s console was closed. Open it again.",
			life:    "The console was open for 12 hours. Open it again.",
			restart: "The server is restarting. Open the console again shortly.",
		},
	}
	code, reason := both.run(ctx, until)
	_ = machine.Close() // before anything that takes time
	s.c.CountBytes(w, both.total())
	if s.ended = reason; reason == "" {
		s.ended = "closed by the user"
	}
	s.end(ctx) // before the client learns of it, who may open it again at once
	_ = ws.Close(code, reason)
	return nil
}

// fresh reports whether there is a proof that is not too old.
func (s *consoleSession) fresh() bool {
	return time.Since(s.start)-time.Duration(s.proved.Load()) < consoleFence
}

// check returns why the console must end; "" if it may go on.
func (s *consoleSession) check(ctx context.Context) (websocket.StatusCode, string) {
	at := time.Since(s.start)
	unknown := func() (websocket.StatusCode, string) {
		if s.fresh() {
			return 0, "" // the database did not answer; it is asked again
		}
		return websocket.StatusTryAgainLater, "The server could not check the deployment. Open the console again."
	}
	if err := s.c.Reauthorize(ctx); apierr.CodeOf(err) == apierr.Internal && err != nil {
		return unknown()
	} else if err != nil {
		return websocket.StatusPolicyViolation, "The API key or session that opened the console is no longer valid."
	}
	err := s.deployments.HasConsole(ctx, s.db, s.session.Account, s.session.Deployment)
	if err != nil && apierr.CodeOf(err) == apierr.Internal {
		return unknown()
	} else if err != nil {
		return websocket.StatusNormalClosure, "The console is no longer available for this deployment."
	}
	switch kept, err := s.sessions.Renew(ctx, s.session); {
	case err != nil:
		return unknown()
	case !kept:
		return websocket.StatusNormalClosure, "The console was opened elsewhere."
	}
	s.proved.Store(int64(at))
	return 0, ""
}

// end writes the end of the session. If that fails, it ends when it is not renewed.
func (s *consoleSession) end(ctx context.Context) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), consoleEnd)
	defer cancel()
	if err := s.sessions.End(ctx, s.session, s.ended); err != nil {
		s.log.WarnContext(ctx, "the end of a console was not recorded",
			slog.String("deployment", string(s.session.Deployment)), slog.String("error", err.Error()))
	}
}
