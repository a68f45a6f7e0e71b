package httpapi

import (
	"context"
	"encoding/base64"
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
	const logo = one + "/logo"
	rest.Write(r, rest.Operation{
		Method: http.MethodPut, Path: logo, ID: "setLogo", Tag: tagOperator, Auth: rest.OperatorOnly,
		Scope: string(account.WriteOperator), Summary: "Upload the logo",
		Description: "Replaces the logo of the dashboard, the public pages and emails. It is a PNG, JPEG or WebP " +
			"image with up to 256 KiB, and from 16 to 1024 pixels wide and high. SVG is refused: it can contain " +
			"scripts.",
	}, h.setLogo)
	rest.Write(r, rest.Operation{
		Method: http.MethodDelete, Path: logo, ID: "removeLogo", Tag: tagOperator, Auth: rest.OperatorOnly,
		Scope: string(account.WriteOperator), Summary: "Remove the logo",
		Description: "The built-in logo is shown again. Without a logo it changes nothing.",
	}, h.removeLogo)
}

type setLogo struct {
	Body struct {
		Content string `json:"content" minLength:"1" maxLength:"349528" doc:"Image file, in base64."`
	}
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

func (h operatorSettings) setLogo(
	ctx context.Context, tx *db.Tx, _ *rest.Call, in *setLogo,
) (settings.Settings, error) {
	content, err := base64.StdEncoding.DecodeString(in.Body.Content)
	if err != nil {
		return settings.Settings{}, apierr.Invalid([]apierr.FieldError{{
			Field: "content", Message: "must be a file in base64, with padding and without line breaks.",
		}})
	}
	return h.svc.SetLogo(ctx, tx, content)
}

func (h operatorSettings) removeLogo(
	ctx context.Context, tx *db.Tx, _ *rest.Call, _ *rest.NoInput,
) (settings.Settings, error) {
	return h.svc.RemoveLogo(ctx, tx)
}
