package rest

import (
	"context"
	"errors"
	"log/slog"
	"time"

	"github.com/billetcloud/billet/internal/apierr"
	"github.com/billetcloud/billet/internal/clock"
	"github.com/billetcloud/billet/internal/db"
)

const (
	// settleTime is how long the audit log is checked for a change whose commit is in doubt,
	// settleEvery how often.
	settleTime, settleEvery = 5 * time.Second, 250 * time.Millisecond
)

// explained makes an error that has a plain reason but no words of its own one that clients may
// read: the database cannot serve, or the time has run out.
func explained(ctx context.Context, c *Call, err error) error {
	if _, is := errors.AsType[*apierr.Error](err); is {
		return err
	}
	message := ""
	switch {
	case db.InDoubt(err):
		return inDoubt(c, err)
	case db.Unavailable(err):
		message = "The database is temporarily unavailable. Nothing was changed; try again shortly."
	case errors.Is(ctx.Err(), context.DeadlineExceeded):
		message = "The request timed out. Try again shortly."
	default:
		return err
	}
	return &apierr.Error{Code: apierr.ServiceUnavailable, Message: message, Cause: err}
}

// inDoubt is the error where it is unknown whether a change was made. The client is told to retry
// only if the request has an Idempotency-Key.
func inDoubt(c *Call, err error) error {
	const lost = "The database connection was lost during the commit, and it is unknown whether the change was made. "
	f := &apierr.Error{
		Code: apierr.ServiceUnavailable, Cause: err, Details: map[string]any{"outcome": "unknown"},
		Message: lost + "Repeat the request with the same Idempotency-Key: the change is made once.",
	}
	if c.Request.Header.Get("Idempotency-Key") == "" {
		f.RetryAfter = noRetry
		f.Message = lost + "Check before you repeat the request. With an Idempotency-Key, repeating is safe."
	}
	return f
}

// settle finds out whether a change without an Idempotency-Key, whose commit is in doubt, was made:
// if so, its entry is in the audit log.
func (rr *Router) settle(ctx context.Context, c *Call, err error) error {
	if !db.InDoubt(err) || c.Change.None {
		return err
	}
	account := c.Caller.Account
	if c.Change.Account != "" {
		account = c.Change.Account
	}
	within, cancel := context.WithTimeout(context.WithoutCancel(ctx), settleTime)
	defer cancel()
	for {
		if recorded, failed := rr.cfg.Recorded(within, account, c.ID); failed == nil && recorded {
			rr.cfg.Log.WarnContext(ctx, "a commit in doubt was found committed",
				slog.String("requestId", string(c.ID)), slog.String("error", err.Error()))
			return nil
		}
		if (clock.System{}).SleepUntil(within, time.Now().Add(settleEvery)) != nil {
			return err
		}
	}
}
