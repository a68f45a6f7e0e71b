package httpapi

import (
	"context"
	"net/http"

	"github.com/billetcloud/billet/internal/account"
	"github.com/billetcloud/billet/internal/apierr"
	"github.com/billetcloud/billet/internal/db"
	"github.com/billetcloud/billet/internal/rest"
	"github.com/billetcloud/billet/internal/setup"
)

// firstRun is the setup of a server without a user.
type firstRun struct {
	accounts *account.Service
	svc      *setup.Service
	site     site
	start    sessionStarter
}

func (h firstRun) routes(r *rest.Router) {
	const at = "/api/v1/setup"
	rest.Read(r, rest.Operation{
		Method: http.MethodGet, Path: at, ID: "getSetup", Tag: tagService, Auth: rest.Public,
		Summary:     "Get the setup state",
		Description: "Whether the server has to be set up, and which URL it uses for itself.",
	}, h.get)
	rest.Unmanaged(r, rest.Operation{
		Method: http.MethodPost, Path: at + "/operator", ID: "createFirstOperator", Tag: tagService, Auth: rest.Public,
		Status: http.StatusCreated, Summary: "Create the first operator",
		Description: "Creates the first user, who is an operator, with an account, and signs in. It requires a code " +
			"that `billetd serve` logs when it starts without a user, or that `billetd setup-code` prints. The code " +
			"works once. After that the response is always `CONFLICT`.",
		Errors: []apierr.Code{apierr.Conflict, apierr.NetworkNotAllowed},
	}, h.create)
}

// setupState is what a browser without a session may know.
type setupState struct {
	Needed    bool    `json:"needed" doc:"Whether the server has no user yet. The first one is created with a code."`
	PublicURL *string `json:"publicUrl" doc:"URL that the server uses in links, as --public-url says; null if it is not set."`
}

type createFirstOperator struct {
	Body struct {
		Code     string `json:"code" minLength:"1" maxLength:"64" example:"K7QF-2MNX-RT5A-WZ3D" doc:"One-time code of the server's log. Case, spaces and hyphens do not matter."`
		Name     string `json:"name" minLength:"1" maxLength:"64" doc:"Name of the operator."`
		Email    string `json:"email" maxLength:"254" doc:"Email address to sign in with."`
		Password string `json:"password" maxLength:"1024" doc:"10 to 256 characters."`
	}
}

func (in *createFirstOperator) user() account.UserRequest {
	b := &in.Body
	return account.UserRequest{Email: b.Email, Name: b.Name, Password: b.Password, Operator: true}
}

// Check names every fault of the user at once, before the code is compared.
func (in *createFirstOperator) Check() []apierr.FieldError { return account.CheckUser(in.user()) }

func (h firstRun) get(ctx context.Context, _ *rest.Call, _ *rest.NoInput) (setupState, error) {
	needed, err := h.svc.Needed(ctx)
	out := setupState{Needed: needed}
	if h.site.publicURL != nil {
		text := h.site.publicURL.String()
		out.PublicURL = &text
	}
	return out, err
}

func (h firstRun) create(ctx context.Context, c *rest.Call, in *createFirstOperator) (session, error) {
	code := in.Body.Code
	if err := h.svc.CheckCode(ctx, code, c.Address()); err != nil { // before anything that costs more
		return session{}, err
	}
	n, err := h.accounts.Prepare(ctx, in.user())
	if err != nil {
		return session{}, err
	}
	return h.start.start(ctx, c, func(ctx context.Context, tx *db.Tx) (account.Proof, error) {
		return h.svc.CreateOperator(ctx, tx, code, n)
	})
}
