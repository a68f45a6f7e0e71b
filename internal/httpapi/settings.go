package httpapi

import (
	"context"
	"net/http"

	"github.com/billetcloud/billet/internal/account"
	"github.com/billetcloud/billet/internal/apierr"
	"github.com/billetcloud/billet/internal/db"
	"github.com/billetcloud/billet/internal/rest"
	"github.com/billetcloud/billet/internal/settings"
)

// operatorSettings are what the operator sets while the server runs.
type operatorSettings struct {
	svc *settings.Service
}

func (h operatorSettings) routes(r *rest.Router) {
	const one = OperatorBase + "/settings"
	rest.ReadVersioned(r, rest.Operation{
		Method: http.MethodGet, Path: one, ID: "getSettings", Tag: tagOperator, Auth: rest.OperatorOnly,
		Scope: string(account.ReadOperator), Summary: "Get the settings",
		Description: "What an operator sets while the server runs. The password of the mail server is not shown.",
	}, h.get)
	rest.Write(r, rest.Operation{
		Method: http.MethodPatch, Path: one, ID: "updateSettings", Tag: tagOperator, Auth: rest.OperatorOnly,
		Scope: string(account.WriteOperator), Summary: "Update the settings",
		Description: "Changes the given fields and keeps the others. Takes effect within a few seconds on every " +
			"replica, without a restart.",
	}, h.update)
}

type updateSettings struct {
	Body settings.Change
}

// Check refuses an update without a field.
func (in *updateSettings) Check() []apierr.FieldError { return someField(!in.Body.Empty()) }

func (h operatorSettings) get(
	ctx context.Context, r db.Reader, _ *rest.Call, _ *rest.NoInput,
) (settings.Settings, error) {
	return h.svc.Get(ctx, r)
}

func (h operatorSettings) update(
	ctx context.Context, tx *db.Tx, _ *rest.Call, in *updateSettings,
) (settings.Settings, error) {
	return h.svc.Update(ctx, tx, in.Body)
}
