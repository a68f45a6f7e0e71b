package account

import (
	"context"
	"crypto/subtle"
	"encoding/base32"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/billetcloud/billet/internal/apierr"
	"github.com/billetcloud/billet/internal/db"
	"github.com/billetcloud/billet/internal/id"
	"github.com/billetcloud/billet/internal/secret"
	"github.com/pquerna/otp"
	"github.com/pquerna/otp/hotp"
	"github.com/pquerna/otp/totp"
)

const (
	// totpStep is how long an authenticator app shows a code.
	totpStep = 30 * time.Second
	// totpSkew is how many codes before and after the current one are accepted, for clocks that
	// differ.
	totpSkew = 1
	// totpLength is the number of bytes of a secret.
	totpLength = 20
	// RecoveryCodes is the number of a user's recovery codes.
	RecoveryCodes = 10
	// recoveryLength characters of base32 are 80 random bits, too many to guess and to need a slow
	// hash.
	recoveryLength = 16
)

var totpOptions = hotp.ValidateOpts{Digits: otp.DigitsSix, Algorithm: otp.AlgorithmSHA1} // what every app supports

func totpPurpose(user id.ID) string { return "totp/" + string(user) }

// StartTOTP creates a secret for the user's authenticator app and returns it, as text and as the
// URL that apps read from a QR code. ConfirmTOTP turns it on. It returns CONFLICT if the user has
// an app.
func (s *Service) StartTOTP(ctx context.Context, tx *db.Tx, p User) (secret, url string, err error) {
	raw := make([]byte, totpLength)
	if _, err := io.ReadFull(s.cfg.Rand, raw); err != nil {
		return "", "", fmt.Errorf("no randomness: %w", err)
	}
	k, err := totp.Generate(totp.GenerateOpts{
		Issuer: "Billet", AccountName: p.Email, Secret: raw, Digits: otp.DigitsSix, Algorithm: otp.AlgorithmSHA1,
	})
	if err != nil {
		return "", "", err
	}
	if err := lockUser(ctx, tx, p.ID); err != nil {
		return "", "", err
	}
	made, err := putTOTP(ctx, tx, p.ID, s.cfg.Secrets.Seal(totpPurpose(p.ID), []byte(k.Secret())))
	if err == nil && !made {
		err = apierr.New(apierr.Conflict, "You already have an authenticator app. Turn it off first.")
	}
	return k.Secret(), k.URL(), err
}

// ConfirmTOTP turns the authenticator app on if the code is one of its codes, and returns recovery
// codes, of which only hashes are stored. It returns INVALID_REQUEST for a wrong code, and CONFLICT
// if no app was started or it is on already.
func (s *Service) ConfirmTOTP(ctx context.Context, tx *db.Tx, p User, code string) ([]string, error) {
	if err := lockUser(ctx, tx, p.ID); err != nil {
		return nil, err
	}
	row, found, err := totpOf(ctx, tx, p.ID)
	if err != nil {
		return nil, err
	}
	if !found || row.confirmed {
		return nil, apierr.New(apierr.Conflict,
			"There is no authenticator app to confirm. Start with POST /api/v1/account/me/totp.")
	}
	step, right, err := s.matchTOTP(p.ID, row, code)
	if err != nil {
		return nil, err
	}
	if !right {
		return nil, apierr.Invalid([]apierr.FieldError{{
			Field:   "code",
			Message: "is not the current code of the app. Check your phone's clock, then try the next code.",
		}})
	}
	codes, hashes := make([]string, RecoveryCodes), make([]string, RecoveryCodes)
	for i := range codes {
		raw := make([]byte, recoveryLength*5/8)
		if _, err := io.ReadFull(s.cfg.Rand, raw); err != nil {
			return nil, fmt.Errorf("no randomness: %w", err)
		}
		text := strings.ToLower(base32.StdEncoding.EncodeToString(raw))
		codes[i], hashes[i] = text[:4]+"-"+text[4:8]+"-"+text[8:12]+"-"+text[12:], hashOf(text)
	}
	return codes, confirmTOTP(ctx, tx, p.ID, step, hashes)
}

// RemoveTOTP turns the authenticator app off and deletes its recovery codes. It succeeds if there
// is none.
func (s *Service) RemoveTOTP(ctx context.Context, tx *db.Tx, user id.ID) error {
	return removeTOTP(ctx, tx, user)
}

// totpRow is a user's authenticator app.
type totpRow struct {
	sealed    string
	lastStep  int64
	confirmed bool
}

// matchTOTP returns the step with that code, among those that are accepted now and were not used.
func (s *Service) matchTOTP(user id.ID, row totpRow, code string) (step int64, right bool, err error) {
	secret, err := s.cfg.Secrets.Open(totpPurpose(user), row.sealed)
	if err != nil {
		return 0, false, err
	}
	now := s.cfg.Real().Unix() / int64(totpStep/time.Second)
	for at := now - totpSkew; at <= now+totpSkew; at++ {
		want, err := hotp.GenerateCodeCustom(string(secret), uint64(at), totpOptions)
		if err != nil {
			return 0, false, err
		}
		if subtle.ConstantTimeCompare([]byte(want), []byte(code)) == 1 && at > row.lastStep {
			step, right = at, true
		}
	}
	return step, right, nil
}

// secondFactor checks the code of a user whose password was right. It returns a function that uses
// up the code in the transaction that starts the session. It returns SECOND_FACTOR_REQUIRED or
// RATE_LIMIT_EXCEEDED.
func (s *Service) secondFactor(ctx context.Context, p User, code string) (func(context.Context, *db.Tx) error, error) {
	row, found, err := totpOf(ctx, s.cfg.DB, p.ID)
	if err != nil {
		return nil, err
	}
	if !found || !row.confirmed {
		return func(ctx context.Context, tx *db.Tx) error {
			row, found, err := totpOf(ctx, tx, p.ID)
			if err == nil && found && row.confirmed { // turned on meanwhile
				err = factorRequired(p, true)
			}
			return err
		}, nil
	}
	code = strings.ToLower(strings.NewReplacer(" ", "", "-", "").Replace(code))
	switch len(code) {
	case otp.DigitsSix.Length():
		return s.appCode(ctx, p, row, code)
	case recoveryLength:
		return s.recoveryCode(ctx, p, code)
	}
	return nil, factorRequired(p, code == "")
}

// appCode is secondFactor for a code of the authenticator app.
func (s *Service) appCode(ctx context.Context, p User, row totpRow,
	code string) (func(context.Context, *db.Tx) error, error) {
	wait, err := s.throttle.take(ctx, codeLimits(p.ID))
	if err == nil && wait > 0 {
		err = tooMany("Too many wrong codes. Wait %s, or use a recovery code or a passkey.", wait)
	}
	if err != nil {
		return nil, err
	}
	step, right, err := s.matchTOTP(p.ID, row, code)
	if err != nil {
		return nil, err
	}
	if !right {
		return nil, factorRequired(p, false)
	}
	return func(ctx context.Context, tx *db.Tx) error {
		used, err := useStep(ctx, tx, p.ID, step)
		if err == nil && !used { // a concurrent sign-in was faster
			err = factorRequired(p, false)
		}
		succeeded(tx, codeLimits(p.ID))
		return err
	}, nil
}

// recoveryCode is secondFactor for a recovery code.
func (s *Service) recoveryCode(ctx context.Context, p User, code string) (func(context.Context, *db.Tx) error, error) {
	hash := hashOf(code)
	found, err := hasRecoveryCode(ctx, s.cfg.DB, p.ID, hash)
	if err != nil {
		return nil, err
	}
	if !found {
		return nil, factorRequired(p, false)
	}
	return func(ctx context.Context, tx *db.Tx) error {
		used, err := useRecoveryCode(ctx, tx, p.ID, hash)
		if err == nil && !used {
			err = factorRequired(p, false)
		}
		return err
	}, nil
}

// factorRequired returns SECOND_FACTOR_REQUIRED with the methods that the user has.
func factorRequired(p User, missing bool) error {
	message := "The code is wrong or was used before. Enter the next code of your authenticator app, or a " +
		"recovery code."
	if missing {
		message = "Enter the code of your authenticator app, or a recovery code."
	}
	methods := []string{"totp"}
	if p.Passkeys > 0 {
		methods = append(methods, "passkey")
	}
	return &apierr.Error{
		Code: apierr.SecondFactorRequired, Message: message,
		Details: map[string]any{"methods": append(methods, "recovery")},
	}
}

// Sealed is the column with sealed texts.
var Sealed = []secret.Column{{
	Table: "totp", Column: "secret", Key: "user_id",
	Purpose: func(user string) string { return totpPurpose(id.ID(user)) },
}}
