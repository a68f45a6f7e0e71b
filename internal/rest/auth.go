package rest

import (
	"context"
	"net/http"

	"github.com/billetcloud/billet/internal/apierr"
)

// admit authenticates the caller, counts the call, and authorizes it. Every path through it has
// counted the call once.
func (rr *Router) admit(ctx context.Context, w http.ResponseWriter, c *Call) error {
	if c.Route.Auth == Public {
		if err := rr.takePublic(ctx, w, c); err != nil {
			return err
		}
		if err := rr.closed(c); err != nil {
			return err
		}
		return rr.SameSite(c.Request)
	}
	if err := rr.cfg.Authenticate(ctx, c); err != nil {
		// A client that tries keys is slowed down by address. The limit hides whether the last one
		// was right.
		if limited := rr.takeRefused(ctx, w, c, err); limited != nil {
			return limited
		}
		return err
	}
	if err := rr.takeCaller(ctx, w, c); err != nil {
		return err
	}
	return rr.authorize(c)
}

func (rr *Router) closed(c *Call) error {
	if rr.cfg.Closed == nil {
		return nil
	}
	return rr.cfg.Closed(c)
}

// authorize reports whether the caller may make this call.
func (rr *Router) authorize(c *Call) error {
	if c.Caller.Key == "" {
		if err := rr.SameSite(c.Request); err != nil {
			return err
		}
	}
	if err := rr.closed(c); err != nil {
		return err
	}
	return rr.cfg.Authorize(c)
}

// Reauthorize reports whether the caller of a call that goes on for long could make it again now.
// The key may have been revoked meanwhile, or the session ended or moved to another account. It is
// not counted.
func (c *Call) Reauthorize(ctx context.Context) error {
	again := &Call{Request: c.Request, Route: c.Route, ID: c.ID, router: c.router}
	if err := c.router.cfg.Authenticate(ctx, again); err != nil {
		return err
	}
	if again.Caller.Account != c.Caller.Account {
		return apierr.New(apierr.SignInRequired, "You switched accounts in another window.")
	}
	return c.router.authorize(again)
}

// reauthorizeAfterBody authorizes the call again where its body has been read. A body may arrive
// half a minute after the headers that were admitted, and a caller whose access ended meanwhile
// changes nothing more.
func (rr *Router) reauthorizeAfterBody(ctx context.Context, c *Call) error {
	if c.Request.Body == nil || c.Request.Body == http.NoBody || c.Route.Auth == Public {
		return nil
	}
	return c.Reauthorize(ctx)
}

// SameSite refuses a change that another website's page makes with the user's cookie.
func (rr *Router) SameSite(r *http.Request) error {
	if err := rr.crossOrigin.Check(r); err != nil {
		return &apierr.Error{
			Code:    apierr.NetworkNotAllowed,
			Message: "This request comes from another website. Make it from this site's own pages, or with an API key.",
			Cause:   err,
		}
	}
	return nil
}
