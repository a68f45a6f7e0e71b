package httpapi

import (
	"context"
	"net/http"
	"time"

	"github.com/billetcloud/billet/internal/account"
	"github.com/billetcloud/billet/internal/altcha"
	"github.com/billetcloud/billet/internal/apierr"
	"github.com/billetcloud/billet/internal/db"
	"github.com/billetcloud/billet/internal/mail"
	"github.com/billetcloud/billet/internal/rest"
	"github.com/billetcloud/billet/internal/signup"
)

// registrations let strangers become users, and users set a password that they forgot.
type registrations struct {
	db       *db.DB
	accounts *account.Service
	svc      *signup.Service
	mail     *mail.Service
	start    sessionStarter
}

func (h registrations) routes(r *rest.Router) {
	const (
		all    = AccountBase + "/registrations"
		resets = AccountBase + "/password-resets"
	)
	rest.Unmanaged(r, rest.Operation{
		Method: http.MethodPost, Path: AccountBase + "/challenges", ID: "createChallenge", Tag: tagAccount,
		Auth: rest.Public, Status: http.StatusCreated, Summary: "Create a challenge",
		Description: "A proof of work (ALTCHA version 2) that a registration and a password reset require. The " +
			"altcha widget solves it.",
		Errors: []apierr.Code{apierr.NetworkNotAllowed},
	}, h.challenge)
	rest.Unmanaged(r, rest.Operation{
		Method: http.MethodPost, Path: all, ID: "createRegistration", Tag: tagAccount, Auth: rest.Public,
		Status: http.StatusAccepted, Summary: "Sign up",
		Description: "Emails a link that proves the email address, if the operator's sign-up policy allows it. The " +
			"response is the same whether or not a user has the address.",
		Errors: []apierr.Code{apierr.SignUpClosed, apierr.NetworkNotAllowed},
	}, h.register)
	rest.Unmanaged(r, rest.Operation{
		Method: http.MethodPost, Path: all + "/preview", ID: "previewRegistration", Tag: tagAccount, Auth: rest.Public,
		Summary: "Preview a registration", Description: "Describes the registration to anyone who has its link.",
		Errors: []apierr.Code{apierr.NotFound, apierr.NetworkNotAllowed},
	}, h.preview)
	rest.Unmanaged(r, rest.Operation{
		Method: http.MethodPost, Path: all + "/verify", ID: "verifyRegistration", Tag: tagAccount, Auth: rest.Public,
		Status: http.StatusCreated, Summary: "Complete a registration",
		Description: "Creates the user and their account, and signs in. The link is used up only if everything " +
			"succeeds.",
		Errors: []apierr.Code{apierr.NotFound, apierr.Conflict, apierr.SignUpClosed, apierr.NetworkNotAllowed},
	}, h.verify)
	rest.Unmanaged(r, rest.Operation{
		Method: http.MethodPost, Path: resets, ID: "createPasswordReset", Tag: tagAccount, Auth: rest.Public,
		Status: http.StatusAccepted, Summary: "Request a password reset",
		Description: "Emails a link that works for an hour. The response is the same whether or not a user has the " +
			"address.",
		Errors: []apierr.Code{apierr.NetworkNotAllowed},
	}, h.requestReset)
	rest.Unmanaged(r, rest.Operation{
		Method: http.MethodPost, Path: resets + "/confirm", ID: "confirmPasswordReset", Tag: tagAccount,
		Auth: rest.Public, Summary: "Set a new password",
		Description: "Sets the password, and ends all sessions of the user. A second factor stays on: sign in with a " +
			"code or a recovery code. If both are lost, ask the operator. The first reset of a user whom an " +
			"invitation created also removes their second factor, passkeys and API keys.",
		Errors: []apierr.Code{apierr.NotFound, apierr.NetworkNotAllowed},
	}, h.reset)
	rest.Write(r, rest.Operation{
		Method: http.MethodPost, Path: OperatorBase + "/registrations", ID: "inviteUser", Tag: tagOperator,
		Auth: rest.OperatorOnly, Scope: string(account.WriteOperator), Status: http.StatusCreated,
		Summary: "Invite a user",
		Description: "Emails a link with which the user creates their own account, under every sign-up policy but " +
			"closed. To let a user join an account, create an invitation there.",
		Errors: []apierr.Code{apierr.Conflict},
	}, h.invite)
}

type createChallenge struct {
	Body struct {
		Use signup.Use `json:"use" doc:"Form that the solution is for."`
	}
}

type createRegistration struct {
	Body struct {
		Email    string `json:"email" maxLength:"254" doc:"Email address that will be the user's."`
		Solution string `json:"solution" maxLength:"4096" doc:"Solution of a challenge, as the altcha widget returns it."`
	}
}

// accepted is the same for every address.
type accepted struct {
	Email string `json:"email" doc:"Address to which an email is on its way."`
}

type registrationToken struct {
	Body struct {
		Token string `json:"token" minLength:"1" maxLength:"128" doc:"The part of the link after the #."`
	}
}

type verifyRegistration struct {
	Body struct {
		Token        string `json:"token" minLength:"1" maxLength:"128" doc:"The part of the link after the #."`
		Password     string `json:"password" maxLength:"1024" doc:"Password of the new user."`
		Name         string `json:"name,omitempty" maxLength:"64" doc:"Name of the new user."`
		AccountName  string `json:"accountName,omitempty" maxLength:"64" doc:"Name of the new account; the part of the address before the @ if omitted."`
		TermsVersion string `json:"termsVersion,omitempty" maxLength:"64" doc:"Version of the terms of service that you accept; required if there are terms."`
	}
}

// Check refuses names that cannot be shown.
func (in *verifyRegistration) Check() []apierr.FieldError {
	var fields []apierr.FieldError
	if in.Body.Name != "" {
		fields = apierr.CheckName("name", in.Body.Name)
	}
	if in.Body.AccountName != "" {
		fields = append(fields, apierr.CheckName("accountName", in.Body.AccountName)...)
	}
	return fields
}

type createPasswordReset struct {
	Body struct {
		Email    string `json:"email" maxLength:"254" doc:"Email address of the user."`
		Solution string `json:"solution" maxLength:"4096" doc:"Solution of a challenge, as the altcha widget returns it."`
	}
}

type confirmPasswordReset struct {
	Body struct {
		Token    string `json:"token" minLength:"1" maxLength:"128" doc:"The part of the link after the #."`
		Password string `json:"password" maxLength:"1024" doc:"The new password."`
	}
}

type inviteUser struct {
	Body struct {
		Email string `json:"email" maxLength:"254" doc:"Email address of the new user."`
	}
}

// invited is an invitation of the operator.
type invited struct {
	Email     string    `json:"email" doc:"Address to which the email is on its way."`
	ExpiresAt time.Time `json:"expiresAt" doc:"When the link expires."`
}

func (h registrations) challenge(_ context.Context, _ *rest.Call, in *createChallenge) (altcha.Challenge, error) {
	return h.svc.Challenge(in.Body.Use)
}

func (h registrations) register(ctx context.Context, c *rest.Call, in *createRegistration) (accepted, error) {
	b := &in.Body
	r := signup.Registration{Email: b.Email, Solution: b.Solution}
	return accepted{b.Email}, h.svc.Register(ctx, r, c.Address())
}

func (h registrations) preview(
	ctx context.Context, c *rest.Call, in *registrationToken,
) (account.Registration, error) {
	return h.accounts.ViewRegistration(ctx, h.db, in.Body.Token, c.Address())
}

func (h registrations) verify(ctx context.Context, c *rest.Call, in *verifyRegistration) (session, error) {
	b := &in.Body
	r, err := h.accounts.ViewRegistration(ctx, h.db, b.Token, c.Address()) // before anything that costs more
	if err != nil {
		return session{}, err
	}
	n, err := h.accounts.Prepare(ctx, account.UserRequest{Email: r.Email, Name: b.Name, Password: b.Password})
	if err != nil {
		return session{}, err
	}
	return h.start.start(ctx, c, func(ctx context.Context, tx *db.Tx) (account.Proof, error) {
		done := signup.Completion{Token: b.Token, AccountName: b.AccountName, TermsVersion: b.TermsVersion}
		return h.svc.Complete(ctx, tx, done, n)
	})
}

func (h registrations) requestReset(ctx context.Context, c *rest.Call, in *createPasswordReset) (accepted, error) {
	b := &in.Body
	return accepted{b.Email}, h.svc.RequestPasswordReset(ctx, b.Email, b.Solution, c.Address())
}

func (h registrations) reset(ctx context.Context, c *rest.Call, in *confirmPasswordReset) (accepted, error) {
	if err := h.accounts.CheckPasswordReset(ctx, h.db, in.Body.Token, c.Address()); err != nil {
		return accepted{}, err // before anything that costs more
	}
	p, err := h.accounts.HashPassword(ctx, "password", in.Body.Password)
	if err != nil {
		return accepted{}, err
	}
	var out accepted
	err = h.db.InTx(ctx, func(ctx context.Context, tx *db.Tx) error {
		u, err := h.accounts.ResetPassword(ctx, tx, in.Body.Token, p)
		if err != nil {
			return err
		}
		out.Email = u.Email
		if err := h.mail.Enqueue(ctx, tx, security(c, tx, mail.PasswordChanged, u, nil)); err != nil {
			return err
		}
		home, _, err := h.accounts.HomeOf(ctx, tx, u.ID)
		if err != nil {
			return err
		}
		c.Caller = rest.Caller{Account: home, Identity: caller{user: &u}}
		c.Change = rest.Change{Subject: u.ID, Account: home}
		return c.Record(ctx, tx)
	})
	return out, err
}

func (h registrations) invite(ctx context.Context, tx *db.Tx, _ *rest.Call, in *inviteUser) (invited, error) {
	l, err := h.svc.Invite(ctx, tx, in.Body.Email)
	return invited{Email: l.Email, ExpiresAt: l.ExpiresAt}, err
}
