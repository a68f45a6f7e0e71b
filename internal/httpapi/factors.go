package httpapi

import (
	"context"
	"net/http"

	"github.com/billetcloud/billet/internal/account"
	"github.com/billetcloud/billet/internal/apierr"
	"github.com/billetcloud/billet/internal/db"
	"github.com/billetcloud/billet/internal/id"
)

// newTOTP is an authenticator app that has not shown a code yet.
type newTOTP struct {
	Secret string `json:"secret" doc:"For typing into the app."`
	URL    string `json:"otpauthUrl" doc:"The same as an otpauth: URL, for a QR code."`
}

type confirmTOTP struct {
	Body struct {
		Code string `json:"code" minLength:"1" maxLength:"64" doc:"What the app shows now."`
	}
}

type recoveryCodes struct {
	RecoveryCodes []string `json:"recoveryCodes" doc:"Each signs you in once in place of a code. They are shown this once; keep them."`
}

type removeTOTP struct {
	Body struct {
		Password string `json:"password" minLength:"1" maxLength:"1024"`
	}
}

type passkeyPath struct {
	ID id.ID `path:"id" doc:"Id of the passkey, psk_…"`
}

type addPasskey struct {
	Body struct {
		ChallengeID id.ID          `json:"challengeId" minLength:"1" maxLength:"40"`
		Name        string         `json:"name" minLength:"1" maxLength:"64" example:"My laptop"`
		Credential  map[string]any `json:"credential" doc:"RegistrationResponseJSON of WebAuthn Level 3, as PublicKeyCredential.toJSON() makes it."`
	}
}

type renamePasskey struct {
	passkeyPath
	Body struct {
		Name string `json:"name" minLength:"1" maxLength:"64"`
	}
}

func (s *server) addFactors() {
	totp, passkeys := AccountBase+"/me/totp", AccountBase+"/me/passkeys"
	write(s, spec{
		method: http.MethodPost, path: totp, id: "startTotp", tag: tagAccount, door: doorUser,
		summary: "Add an authenticator app", text: "It counts once a code of it has been confirmed. To start again makes another secret.", errors: []apierr.Code{apierr.Conflict},
	}, func(ctx context.Context, tx *db.Tx, c *call, _ *emptyBody) (newTOTP, error) {
		c.note.subject = c.user.ID
		secret, url, err := s.c.Accounts.StartTOTP(ctx, tx, *c.user)
		return newTOTP{secret, url}, err
	})

	write(s, spec{
		method: http.MethodPost, path: totp + "/confirm", id: "confirmTotp", tag: tagAccount, door: doorUser,
		summary: "Turn the authenticator app on", text: "From now on signing in with the password needs a code, too.", errors: []apierr.Code{apierr.Conflict},
	}, func(ctx context.Context, tx *db.Tx, c *call, in *confirmTOTP) (recoveryCodes, error) {
		c.note.subject = c.user.ID
		codes, err := s.c.Accounts.ConfirmTOTP(ctx, tx, *c.user, in.Body.Code)
		return recoveryCodes{codes}, err
	})

	read(s, spec{
		method: http.MethodDelete, path: totp, id: "removeTotp", tag: tagAccount, door: doorUser, alone: true,
		summary: "Turn the authenticator app off", text: "Its recovery codes cease to work.",
	}, func(ctx context.Context, c *call, in *removeTOTP) (changed, error) {
		if err := s.c.Accounts.ConfirmPassword(ctx, *c.user, "password", in.Body.Password); err != nil {
			return changed{}, err
		}
		return changed{true}, s.recorded(ctx, c, c.user.ID, func(ctx context.Context, tx *db.Tx) error {
			return s.c.Accounts.RemoveTOTP(ctx, tx, c.user.ID)
		})
	})

	list(s, spec{
		method: http.MethodGet, path: passkeys, id: "listPasskeys", tag: tagAccount, door: doorUser, summary: "List your passkeys", text: "Newest first.",
	}, func(ctx context.Context, c *call, _ *page, p db.Page) ([]account.Passkey, db.Listed, error) {
		return s.c.Accounts.ListPasskeys(ctx, s.c.DB, c.user.ID, p)
	})

	read(s, spec{
		method: http.MethodPost, path: passkeys + "/options", id: "offerPasskey", tag: tagAccount, door: doorUser, alone: true,
		summary: "Begin to add a passkey", errors: []apierr.Code{apierr.Conflict, apierr.LimitReached},
	}, func(ctx context.Context, c *call, _ *emptyBody) (o account.PasskeyOptions, err error) {
		rp, err := s.passkeySite(c.request)
		if err != nil {
			return o, err
		}
		err = s.c.DB.InTx(ctx, func(ctx context.Context, tx *db.Tx) error {
			o, err = s.c.Accounts.OfferPasskey(ctx, tx, rp, *c.user)
			return err
		})
		return o, err
	})

	// A challenge is used up by its first answer, also by a wrong one, which rolls nothing back.
	read(s, spec{
		method: http.MethodPost, path: passkeys, id: "addPasskey", tag: tagAccount, door: doorUser, alone: true, status: http.StatusCreated,
		summary: "Add a passkey", text: "A challenge is used up by the first answer, whatever comes of it.", errors: []apierr.Code{apierr.Conflict},
	}, func(ctx context.Context, c *call, in *addPasskey) (p account.Passkey, err error) {
		rp, err := s.passkeySite(c.request)
		if err != nil {
			return p, err
		}
		n, err := s.c.Accounts.VerifyPasskey(ctx, rp, *c.user, string(in.Body.ChallengeID), in.Body.Name, encode(in.Body.Credential))
		if err != nil {
			return p, err
		}
		err = s.c.DB.InTx(ctx, func(ctx context.Context, tx *db.Tx) error {
			if p, err = s.c.Accounts.AddPasskey(ctx, tx, n); err != nil {
				return err
			}
			c.note = note{}
			c.created(p.ID)
			return s.record(ctx, tx, c)
		})
		return p, err
	})

	write(s, spec{
		method: http.MethodPatch, path: passkeys + "/{id}", id: "renamePasskey", tag: tagAccount, door: doorUser, summary: "Rename a passkey",
	}, func(ctx context.Context, tx *db.Tx, c *call, in *renamePasskey) (account.Passkey, error) {
		return s.c.Accounts.RenamePasskey(ctx, tx, c.user.ID, in.ID, in.Body.Name)
	})

	write(s, spec{
		method: http.MethodDelete, path: passkeys + "/{id}", id: "removePasskey", tag: tagAccount, door: doorUser, summary: "Remove a passkey",
	}, func(ctx context.Context, tx *db.Tx, c *call, in *passkeyPath) (account.Passkey, error) {
		return s.c.Accounts.RemovePasskey(ctx, tx, c.user.ID, in.ID)
	})
}
