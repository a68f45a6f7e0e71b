package app

import (
	"context"
	"net/url"
	"time"

	"github.com/billetcloud/billet/internal/db"
	"github.com/billetcloud/billet/internal/setup"
)

// setupPath is the page of the dashboard on which the first operator is created.
const setupPath = "/setup"

// NewSetupCode returns a new code for the setup page, and ends all earlier ones.
func (o *Operator) NewSetupCode(ctx context.Context) (code setup.Code, err error) {
	err = o.DB.InTx(ctx, func(ctx context.Context, tx *db.Tx) error {
		code, err = o.Setup.ReplaceCode(ctx, tx)
		return err
	})
	return code, err
}

// offerSetup logs a code for the setup page of a server without a user. It returns the URL of the
// page, or "" if nothing has to be set up. Its reader runs the server.
func (a *App) offerSetup(ctx context.Context, at string) (string, error) {
	if needed, err := a.Setup.Needed(ctx); err != nil || !needed {
		return "", err
	}
	var code setup.Code
	err := a.DB.InTx(ctx, func(ctx context.Context, tx *db.Tx) (err error) {
		code, err = a.Setup.AddCode(ctx, tx)
		return err
	})
	if err != nil {
		return "", err
	}
	page, err := url.Parse(at)
	if err != nil {
		return "", err
	}
	if a.public != nil {
		page = a.public
	}
	page = page.JoinPath(setupPath)
	link := *page
	link.Fragment = code.Text // servers on the way do not see it
	a.cfg.Log.WarnContext(ctx, "this server has no user yet: open the link, or the page /setup with the code",
		"link", link.String(), "code", code.Text, "expires_at", code.ExpiresAt.UTC().Format(time.RFC3339))
	return page.String(), nil
}
