package httpapi

import (
	"context"
	"net/http"

	"github.com/billetcloud/billet/internal/account"
	"github.com/billetcloud/billet/internal/apierr"
	"github.com/billetcloud/billet/internal/db"
	"github.com/billetcloud/billet/internal/id"
	"github.com/billetcloud/billet/internal/mail"
	"github.com/billetcloud/billet/internal/rest"
)

// factors are a user's authenticator app and passkeys.
type factors struct {
	db       *db.DB
	accounts *account.Service
	site     site
	mail     *mail.Service
}

func (h factors) routes(r *rest.Router) {
	const totp, passkeys = AccountBase + "/me/totp", AccountBase + "/me/passkeys"
	rest.Write(r, rest.Operation{
		Method: http.MethodPost, Path: totp, ID: "startTotp", Tag: tagAccount, Auth: rest.SessionOnly,
		Summary:     "Set up an authenticator app",
		Description: "It is active once a code of it has been confirmed. Starting again creates another secret.",
		Errors:      []apierr.Code{apierr.Conflict},
	}, h.startTOTP)
	rest.Write(r, rest.Operation{
		Method: http.MethodPost, Path: totp + "/confirm", ID: "confirmTotp", Tag: tagAccount, Auth: rest.SessionOnly,
		Summary: "Turn on the authenticator app", Description: "From now on signing in with the password requires " +
			"a code.",
		Errors: []apierr.Code{apierr.Conflict},
	}, h.confirmTOTP)
	rest.Unmanaged(r, rest.Operation{
		Method: http.MethodDelete, Path: totp, ID: "removeTotp", Tag: tagAccount, Auth: rest.SessionOnly,
		Summary: "Turn off the authenticator app", Description: "Its recovery codes stop working.",
	}, h.removeTOTP)
	rest.List(r, rest.Operation{
		Method: http.MethodGet, Path: passkeys, ID: "listPasskeys", Tag: tagAccount, Auth: rest.SessionOnly,
		Summary: "List your passkeys", Description: "Newest first.",
	}, h.listPasskeys)
	rest.Unmanaged(r, rest.Operation{
		Method: http.MethodPost, Path: passkeys + "/options", ID: "createPasskeyOptions", Tag: tagAccount,
		Auth:    rest.SessionOnly,
		Summary: "Create passkey options", Description: "Pass `options` to navigator.credentials.create().",
		Errors: []apierr.Code{apierr.Conflict, apierr.LimitReached},
	}, h.passkeyOptions)
	// A challenge can be answered once. A wrong answer uses it up, too, and rolls nothing back.
	rest.Unmanaged(r, rest.Operation{
		Method: http.MethodPost, Path: passkeys, ID: "addPasskey", Tag: tagAccount, Auth: rest.SessionOnly,
		Status: http.StatusCreated, Summary: "Add a passkey",
		Description: "A challenge can be answered once, whatever the result.", Errors: []apierr.Code{apierr.Conflict},
	}, h.addPasskey)
	rest.Write(r, rest.Operation{
		Method: http.MethodPatch, Path: passkeys + "/{id}", ID: "renamePasskey", Tag: tagAccount,
		Auth:    rest.SessionOnly,
		Summary: "Rename a passkey",
	}, h.renamePasskey)
	rest.Write(r, rest.Operation{
		Method: http.MethodDelete, Path: passkeys + "/{id}", ID: "removePasskey", Tag: tagAccount,
		Auth:    rest.SessionOnly,
		Summary: "Remove a passkey",
	}, h.removePasskey)
}

// newTOTP is an authenticator app that has not shown a code yet.
type newTOTP struct {
	Secret string `json:"secret" doc:"Secret to type into the app."`
	URL    string `json:"otpauthUrl" doc:"The same as an otpauth: URL, for a QR code."`
}

func (h factors) startTOTP(ctx context.Context, tx *db.Tx, c *rest.Call, _ *rest.EmptyBody) (newTOTP, error) {
	user := callerOf(c).user
	c.Change.Subject = user.ID
	secret, url, err := h.accounts.StartTOTP(ctx, tx, *user)
	return newTOTP{secret, url}, err
}

type confirmTOTP struct {
	Body struct {
		Code string `json:"code" minLength:"1" maxLength:"64" doc:"Current code of the app."`
	}
}

type recoveryCodes struct {
	RecoveryCodes []string `json:"recoveryCodes" doc:"Each code signs you in once in place of a code of the app. They are shown once; store them."`
}

func (h factors) confirmTOTP(
	ctx context.Context, tx *db.Tx, c *rest.Call, in *confirmTOTP,
) (recoveryCodes, error) {
	user := callerOf(c).user
	c.Change.Subject = user.ID
	codes, err := h.accounts.ConfirmTOTP(ctx, tx, *user, in.Body.Code)
	if err != nil {
		return recoveryCodes{}, err
	}
	return recoveryCodes{codes}, h.mail.Enqueue(ctx, tx, secondFactor(c, tx, *user, "An authenticator app was set up"))
}

type removeTOTP struct {
	Body struct {
		Password string `json:"password" minLength:"1" maxLength:"1024"`
	}
}

func (h factors) removeTOTP(ctx context.Context, c *rest.Call, in *removeTOTP) (changed, error) {
	user := callerOf(c).user
	if err := h.accounts.ConfirmPassword(ctx, *user, "password", in.Body.Password); err != nil {
		return changed{}, err
	}
	return changed{true}, c.Commit(ctx, user.ID, func(ctx context.Context, tx *db.Tx) error {
		if err := h.accounts.RemoveTOTP(ctx, tx, user.ID); err != nil {
			return err
		}
		return h.mail.Enqueue(ctx, tx, secondFactor(c, tx, *user, "The authenticator app was turned off"))
	})
}

type passkeyPath struct {
	ID id.ID `path:"id" doc:"Id of the passkey, psk_…"`
}

type addPasskey struct {
	Body struct {
		ChallengeID id.ID          `json:"challengeId" minLength:"1" maxLength:"40"`
		Name        string         `json:"name" minLength:"1" maxLength:"64" example:"My laptop"`
		Credential  map[string]any `json:"credential" doc:"RegistrationResponseJSON of WebAuthn Level 3, as PublicKeyCredential.toJSON() returns it."`
	}
}

type renamePasskey struct {
	passkeyPath
	Body struct {
		Name string `json:"name" minLength:"1" maxLength:"64"`
	}
}

func (h factors) listPasskeys(
	ctx context.Context, c *rest.Call, _ *rest.Paging, p db.Page,
) ([]account.Passkey, db.Listed, error) {
	return h.accounts.ListPasskeys(ctx, h.db, callerOf(c).user.ID, p)
}

func (h factors) passkeyOptions(
	ctx context.Context, c *rest.Call, _ *rest.EmptyBody,
) (o account.PasskeyOptions, err error) {
	rp, err := h.site.passkeys(c)
	if err != nil {
		return o, err
	}
	err = h.db.InTx(ctx, func(ctx context.Context, tx *db.Tx) error {
		o, err = h.accounts.StartPasskey(ctx, tx, rp, *callerOf(c).user)
		return err
	})
	return o, err
}

func (h factors) addPasskey(ctx context.Context, c *rest.Call, in *addPasskey) (p account.Passkey, err error) {
	rp, err := h.site.passkeys(c)
	if err != nil {
		return p, err
	}
	b := &in.Body
	n, err := h.accounts.VerifyPasskey(
		ctx, rp, *callerOf(c).user, string(b.ChallengeID), b.Name, rest.Encode(b.Credential))
	if err != nil {
		return p, err
	}
	err = h.db.InTx(ctx, func(ctx context.Context, tx *db.Tx) error {
		if p, err = h.accounts.AddPasskey(ctx, tx, n); err != nil {
			return err
		}
		if err := h.mail.Enqueue(ctx, tx, secondFactor(c, tx, *callerOf(c).user, "A passkey was added")); err != nil {
			return err
		}
		c.Change = rest.Change{}
		c.Created(p.ID)
		return c.Record(ctx, tx)
	})
	return p, err
}

func (h factors) renamePasskey(
	ctx context.Context, tx *db.Tx, c *rest.Call, in *renamePasskey,
) (account.Passkey, error) {
	return h.accounts.RenamePasskey(ctx, tx, callerOf(c).user.ID, in.ID, in.Body.Name)
}

func (h factors) removePasskey(
	ctx context.Context, tx *db.Tx, c *rest.Call, in *passkeyPath,
) (account.Passkey, error) {
	user := callerOf(c).user
	p, err := h.accounts.RemovePasskey(ctx, tx, user.ID, in.ID)
	if err != nil {
		return p, err
	}
	c.Change.Name = p.Name
	return p, h.mail.Enqueue(ctx, tx, secondFactor(c, tx, *user, "A passkey was removed"))
}
