package httpapi

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"sync"
	"time"

	"github.com/billetcloud/billet/internal/apierr"
	"github.com/billetcloud/billet/internal/clock"
	"github.com/billetcloud/billet/internal/db"
	"github.com/billetcloud/billet/internal/ratelimit"
)

const (
	// unknownLimit is for calls by address while the database cannot say who makes them. None of them is a failed attempt.
	unknownLimit = 600
	// settleTime is how long the audit is asked for a change whose commit is in doubt, settleEvery how often.
	settleTime, settleEvery = 5 * time.Second, 250 * time.Millisecond
	// keepReady is how long what /readyz found out is told to others.
	keepReady = time.Second
)

// known makes what has a plain reason, but no words of its own yet, an error that clients may read: the database that
// cannot serve, and the time that has run out.
func known(ctx context.Context, c *call, err error) error {
	if f := (*apierr.Error)(nil); errors.As(err, &f) {
		return err
	}
	switch {
	case db.InDoubt(err):
		return inDoubt(c, err)
	case db.Unavailable(err):
		return &apierr.Error{Code: apierr.ServiceUnavailable, Message: "The database cannot be used at the moment. Nothing was changed; try again in a moment.", Cause: err}
	case errors.Is(ctx.Err(), context.DeadlineExceeded):
		return &apierr.Error{Code: apierr.ServiceUnavailable, Message: "The request took too long and was given up. Try again in a moment.", Cause: err}
	}
	return err
}

// inDoubt is the honest answer where nobody can say whether a change was made. Only with an Idempotency-Key the client is told to try again.
func inDoubt(c *call, err error) error {
	f := &apierr.Error{
		Code: apierr.ServiceUnavailable, Cause: err, Details: map[string]any{"outcome": "unknown"},
		Message: "The database was lost while the change was being written down, and it is not known whether it was made. Repeat the request with the same Idempotency-Key: it is made once.",
	}
	if c.request.Header.Get("Idempotency-Key") == "" {
		f.RetryAfter = noRetry
		f.Message = "The database was lost while the change was being written down, and it is not known whether it was made. Look before you repeat it. With an Idempotency-Key it is safe to repeat a request."
	}
	return f
}

// settle looks whether a change without an Idempotency-Key, whose commit is in doubt, was made: then its entry is in the audit.
func (s *server) settle(ctx context.Context, c *call, err error) error {
	if !db.InDoubt(err) || c.note.nothing {
		return err
	}
	account := c.account
	if c.note.account != "" {
		account = c.note.account
	}
	within, cancel := context.WithTimeout(context.WithoutCancel(ctx), settleTime)
	defer cancel()
	for {
		if made, wrong := s.c.Audit.Has(within, s.c.DB, account, c.id); wrong == nil && made {
			s.c.Log.WarnContext(ctx, "a commit in doubt was found made", slog.String("requestId", string(c.id)), slog.String("error", err.Error()))
			return nil
		}
		if (clock.System{}).SleepUntil(within, time.Now().Add(settleEvery)) != nil {
			return err
		}
	}
}

// taken is a place in a class of the rate limits.
type taken struct {
	bucket   string
	decision ratelimit.Decision
}

// giveBack returns the place of a deploy that failed by our fault: a minute has few of them.
func (s *server) giveBack(ctx context.Context, w http.ResponseWriter, c *call, status int) {
	if c.deploy == nil || status < http.StatusInternalServerError {
		return
	}
	d := c.deploy.decision
	s.c.Limiter.Give(context.WithoutCancel(ctx), c.deploy.bucket, d)
	d.Remaining++
	limitHeaders(w, d)
}

// ready remembers for a moment what /readyz found out: probes of many may come at once, and each writes.
type ready struct {
	mu  sync.Mutex
	at  time.Time
	err error
}

// isReady tells what keeps the server from serving.
func (s *server) isReady(ctx context.Context) error {
	s.ready.mu.Lock()
	defer s.ready.mu.Unlock()
	if now := s.c.Real(); s.ready.at.IsZero() || now.Sub(s.ready.at) >= keepReady || now.Before(s.ready.at) {
		s.ready.err = s.look(ctx)
		s.ready.at = s.c.Real()
	}
	return s.ready.err
}

func (s *server) look(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), pingTimeout)
	defer cancel()
	if s.c.Serves != nil {
		if err := s.c.Serves(ctx); err != nil {
			return err
		}
	} else if err := s.c.DB.Ping(ctx); err != nil {
		return notReady("The database does not answer.", err)
	}
	if !s.c.Catalog.Ready() {
		return errNotReady
	}
	return nil
}
