package httpapi

import (
	"net/http"
	"slices"
	"time"

	"github.com/billetcloud/billet/internal/apierr"
	"github.com/billetcloud/billet/internal/rest"
)

// duringRecovery are the changes that are possible during a recovery, beside the operator's: to
// sign in and out.
var duringRecovery = []string{
	"signIn", "signOut", "createPasskeySignInOptions", "signInWithPasskey", "endAccountView", "startAccountView",
}

// readOnly refuses changes while the database was restored from a backup and its operator compares
// it with the providers. A serial console is more than a read, and the machine may have another
// tenant than the backup says.
func readOnly(recovering func() bool) func(c *rest.Call) error {
	return func(c *rest.Call) error {
		reads := c.Request.Method == http.MethodGet || c.Request.Method == http.MethodHead ||
			c.Route.Rate == rest.AsRead
		reads = reads && c.Route.ID != "openConsole"
		if reads || recovering == nil || !recovering() || c.Route.Auth == rest.OperatorOnly ||
			slices.Contains(duringRecovery, c.Route.ID) {
			return nil
		}
		return &apierr.Error{
			Code: apierr.ServiceUnavailable, RetryAfter: time.Minute,
			Message: "This server was restored from a backup and is being checked. You can read everything, but " +
				"change nothing until its operator has finished.",
		}
	}
}
