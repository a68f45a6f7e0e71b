package account

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/billetcloud/billet/internal/apierr"
	"github.com/billetcloud/billet/internal/db"
	"github.com/billetcloud/billet/internal/id"
	"github.com/go-webauthn/webauthn/protocol"
	"github.com/go-webauthn/webauthn/webauthn"
)

const (
	// PasskeyTime is the lifetime of a challenge.
	PasskeyTime = 5 * time.Minute
	// maxPasskeys is the most passkeys of a user.
	maxPasskeys = 20

	kindRegister = "passkey.register"
	kindSignIn   = "passkey.signIn"
)

// RelyingParty is the site that passkeys belong to.
type RelyingParty struct {
	// ID is the host without scheme and port, never an IP address.
	ID string
	// Origin is the origin that the browser reports: scheme, host and, unless it is the default,
	// port.
	Origin string
}

// Passkey is a key pair of a user. The private half never leaves their device.
type Passkey struct {
	ID         id.ID      `json:"id" doc:"Id of the passkey, psk_…"`
	Name       string     `json:"name" doc:"Name."`
	CreatedAt  time.Time  `json:"createdAt" doc:"When it was added."`
	LastUsedAt *time.Time `json:"lastUsedAt" doc:"When it was last used to sign in; null for never."`
}

// PasskeyOptions tell the browser to create or use a passkey.
type PasskeyOptions struct {
	ChallengeID id.ID `json:"challengeId" doc:"Id of the challenge, for the answer. It can be answered once, within five minutes."`
	// Options are PublicKeyCredentialCreationOptionsJSON or PublicKeyCredentialRequestOptionsJSON
	// of WebAuthn Level 3.
	Options any `json:"options" doc:"For PublicKeyCredential.parseCreationOptionsFromJSON or parseRequestOptionsFromJSON."`
}

// passkeyUser is a user for the library.
type passkeyUser struct {
	User
	credentials []webauthn.Credential
}

func (u passkeyUser) WebAuthnID() []byte                         { return []byte(u.ID) }
func (u passkeyUser) WebAuthnName() string                       { return u.Email }
func (u passkeyUser) WebAuthnDisplayName() string                { return u.Called() }
func (u passkeyUser) WebAuthnCredentials() []webauthn.Credential { return u.credentials }

func (r RelyingParty) library() (*webauthn.WebAuthn, error) {
	return webauthn.New(&webauthn.Config{
		RPID: r.ID, RPDisplayName: "Billet", RPOrigins: []string{r.Origin},
		AttestationPreference: protocol.PreferNoAttestation,
		AuthenticatorSelection: protocol.AuthenticatorSelection{
			ResidentKey: protocol.ResidentKeyRequirementRequired, UserVerification: protocol.VerificationRequired,
		},
	})
}

// StartPasskey starts to create a passkey for the user. It returns LIMIT_REACHED if they have too
// many.
func (s *Service) StartPasskey(ctx context.Context, tx *db.Tx, r RelyingParty, p User) (PasskeyOptions, error) {
	w, err := r.library()
	if err != nil {
		return PasskeyOptions{}, err
	}
	u, err := s.passkeyUser(ctx, tx, p)
	if err != nil {
		return PasskeyOptions{}, err
	}
	if len(u.credentials) >= maxPasskeys {
		return PasskeyOptions{}, apierr.Full("passkeys", maxPasskeys,
			"You have %d passkeys, which is the maximum. Remove one first.", len(u.credentials))
	}
	known := webauthn.Credentials(u.credentials).CredentialDescriptors()
	options, session, err := w.BeginRegistration(u, webauthn.WithExclusions(known))
	if err != nil {
		return PasskeyOptions{}, err
	}
	return s.challenge(ctx, tx, kindRegister, p.ID, session, options.Response)
}

// challenge stores the challenge, for its answer.
func (s *Service) challenge(
	ctx context.Context, tx *db.Tx, kind string, user id.ID, session *webauthn.SessionData, options any,
) (PasskeyOptions, error) {
	data, err := json.Marshal(session)
	if err != nil {
		return PasskeyOptions{}, err
	}
	o := PasskeyOptions{s.cfg.IDs.New(id.Challenge), options}
	return o, insertChallenge(ctx, tx, string(o.ChallengeID), kind, user, string(data), tx.Now.Add(PasskeyTime))
}

// useChallenge deletes a challenge, even if its answer is wrong, and returns its data.
func (s *Service) useChallenge(ctx context.Context, challenge, kind string,
	user id.ID) (session webauthn.SessionData, found bool, err error) {
	var data string
	err = s.cfg.DB.InTx(ctx, func(ctx context.Context, tx *db.Tx) (err error) {
		data, found, err = takeChallenge(ctx, tx, challenge, kind, user)
		return err
	})
	if err != nil || !found {
		return session, false, err
	}
	return session, true, json.Unmarshal([]byte(data), &session)
}

// NewPasskey is a verified passkey that is not stored yet.
type NewPasskey struct {
	user       id.ID
	name       string
	credential webauthn.Credential
}

// VerifyPasskey verifies the browser's answer to StartPasskey, a RegistrationResponseJSON of
// WebAuthn Level 3. It returns INVALID_REQUEST with every invalid field. It must not be called
// inside a transaction.
func (s *Service) VerifyPasskey(
	ctx context.Context, r RelyingParty, p User, challenge, name string, credential []byte,
) (NewPasskey, error) {
	if err := apierr.Invalid(apierr.CheckName("name", name)).OrNil(); err != nil {
		return NewPasskey{}, err
	}
	refused := func(cause error) (NewPasskey, error) {
		e := apierr.Invalid([]apierr.FieldError{{Field: "credential",
			Message: "is not a valid response to this challenge. Start again."}})
		e.Cause = reason(cause)
		return NewPasskey{}, e
	}
	session, found, err := s.useChallenge(ctx, challenge, kindRegister, p.ID)
	if err != nil {
		return NewPasskey{}, err
	}
	if !found {
		return NewPasskey{}, apierr.Invalid([]apierr.FieldError{{
			Field:   "challengeId",
			Message: "is unknown: the challenge was used already, or has expired after five minutes. Start again.",
		}})
	}
	w, err := r.library()
	if err != nil {
		return NewPasskey{}, err
	}
	parsed, err := protocol.ParseCredentialCreationResponseBytes(credential)
	if err != nil {
		return refused(err)
	}
	u, err := s.passkeyUser(ctx, s.cfg.DB, p)
	if err != nil {
		return NewPasskey{}, err
	}
	c, err := w.CreateCredential(u, session, parsed)
	if err != nil {
		return refused(err)
	}
	c.Attestation = webauthn.CredentialAttestation{} // none was requested
	return NewPasskey{p.ID, name, *c}, nil
}

// reason returns the library's error with its text for developers.
func reason(err error) error {
	if e, is := errors.AsType[*protocol.Error](err); is && e.DevInfo != "" {
		return fmt.Errorf("%w: %s", err, e.DevInfo)
	}
	return err
}

// AddPasskey stores a passkey. It returns CONFLICT for a known one.
func (s *Service) AddPasskey(ctx context.Context, tx *db.Tx, n NewPasskey) (Passkey, error) {
	data, err := json.Marshal(n.credential)
	if err != nil {
		return Passkey{}, err
	}
	p := Passkey{ID: s.cfg.IDs.New(id.Passkey), Name: n.name, CreatedAt: tx.Now}
	made, err := insertPasskey(ctx, tx, p, n.user, credentialID(n.credential.ID), string(data))
	if err == nil && !made {
		err = apierr.New(apierr.Conflict, "This passkey is already registered.")
	}
	return p, err
}

func credentialID(raw []byte) string { return base64.RawURLEncoding.EncodeToString(raw) }

// ListPasskeys returns a page of the user's passkeys, newest first.
func (s *Service) ListPasskeys(ctx context.Context, r db.Reader, user id.ID, p db.Page) ([]Passkey, db.Listed, error) {
	return listPasskeys(ctx, r, user, p)
}

// RenamePasskey renames one of the user's passkeys. It returns INVALID_REQUEST and NOT_FOUND.
func (s *Service) RenamePasskey(ctx context.Context, tx *db.Tx, user, passkey id.ID, name string) (Passkey, error) {
	if err := apierr.Invalid(apierr.CheckName("name", name)).OrNil(); err != nil {
		return Passkey{}, err
	}
	return foundPasskey(renamePasskey(ctx, tx, user, passkey, name))
}

// RemovePasskey deletes one of the user's passkeys and returns it. It returns NOT_FOUND.
func (s *Service) RemovePasskey(ctx context.Context, tx *db.Tx, user, passkey id.ID) (Passkey, error) {
	return foundPasskey(deletePasskey(ctx, tx, user, passkey))
}

// RemoveFactors deletes all of a user's passkeys and their authenticator app. It is for operators,
// for a user who has lost them.
func (s *Service) RemoveFactors(ctx context.Context, tx *db.Tx, user id.ID) error {
	if err := removeTOTP(ctx, tx, user); err != nil {
		return err
	}
	return deletePasskeys(ctx, tx, user)
}

func foundPasskey(p Passkey, found bool, err error) (Passkey, error) {
	if err == nil && !found {
		err = apierr.New(apierr.NotFound, "You have no passkey with this id.")
	}
	return p, err
}

// passkeyUser returns a user with their passkeys.
func (s *Service) passkeyUser(ctx context.Context, r db.Reader, p User) (passkeyUser, error) {
	rows, err := passkeysOf(ctx, r, p.ID)
	u := passkeyUser{User: p}
	for _, text := range rows {
		var c webauthn.Credential
		if err := json.Unmarshal([]byte(text), &c); err != nil {
			return u, fmt.Errorf("a passkey of %s: %w", p.ID, err)
		}
		u.credentials = append(u.credentials, c)
	}
	return u, err
}

// StartPasskeySignIn starts a sign-in with any passkey that the browser has for this site.
func (s *Service) StartPasskeySignIn(ctx context.Context, tx *db.Tx, r RelyingParty) (PasskeyOptions, error) {
	w, err := r.library()
	if err != nil {
		return PasskeyOptions{}, err
	}
	options, session, err := w.BeginDiscoverableLogin(webauthn.WithUserVerification(protocol.VerificationRequired))
	if err != nil {
		return PasskeyOptions{}, err
	}
	return s.challenge(ctx, tx, kindSignIn, "", session, options.Response)
}

// VerifyWithPasskey verifies the browser's answer to StartPasskeySignIn, an
// AuthenticationResponseJSON of WebAuthn Level 3. The device has verified its user, so this counts
// as both factors. It returns the same SIGN_IN_FAILED for every failure. It must not be called
// inside a transaction.
func (s *Service) VerifyWithPasskey(ctx context.Context, r RelyingParty, challenge string,
	credential []byte) (Proof, error) {
	known := User{} // the user with the passkey, if there is one
	refused := func(cause error) (Proof, error) {
		return Proof{User: known}, &apierr.Error{
			Code: apierr.SignInFailed, Cause: reason(cause),
			Message: "This passkey was not accepted, or the sign-in took too long. Try again, or sign in another way.",
		}
	}
	session, found, err := s.useChallenge(ctx, challenge, kindSignIn, "")
	if err != nil {
		return Proof{}, err
	}
	if !found {
		return refused(errors.New("no such challenge"))
	}
	w, err := r.library()
	if err != nil {
		return Proof{}, err
	}
	parsed, err := protocol.ParseCredentialRequestResponseBytes(credential)
	if err != nil {
		return refused(err)
	}
	var broken error // an internal error, which the library would wrap as the caller's
	_, c, err := w.ValidatePasskeyLogin(func(raw, handle []byte) (webauthn.User, error) {
		if !id.ID(handle).Valid(id.User) {
			return nil, errors.New("the user handle is unknown")
		}
		p, found, err := userByID(ctx, s.cfg.DB, id.ID(handle))
		if err != nil || !found {
			broken = err
			return nil, errors.New("no such user")
		}
		u, err := s.passkeyUser(ctx, s.cfg.DB, p)
		broken, known = err, p
		return u, err
	}, session, parsed)
	switch {
	case broken != nil:
		return Proof{}, broken
	case err != nil:
		return refused(err)
	case c.Authenticator.CloneWarning:
		return refused(errors.New("the counter went back: the passkey may have been copied"))
	}
	data, err := json.Marshal(c)
	if err != nil {
		return Proof{}, err
	}
	return Proof{User: known, hold: func(ctx context.Context, tx *db.Tx) error {
		there, err := usePasskey(ctx, tx, known.ID, credentialID(c.ID), string(data))
		if err == nil && !there { // it was removed meanwhile
			_, err = refused(errors.New("the passkey was removed"))
		}
		return err
	}}, nil
}
