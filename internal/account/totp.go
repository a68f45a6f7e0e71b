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
	"github.com/pquerna/otp"
	"github.com/pquerna/otp/hotp"
	"github.com/pquerna/otp/totp"
)

const (
	// totpStep is how long a code of an authenticator app is shown.
	totpStep = 30 * time.Second
	// totpSkew is how many codes before and after the present one are taken, for clocks that differ.
	totpSkew = 1
	// totpLength is that of the secret, in bytes.
	totpLength = 20
	// RecoveryCodes is how many of them a user gets.
	RecoveryCodes = 10
	// recoveryLength characters of base32 are 80 random bits, which nobody guesses and no slow hash need protect.
	recoveryLength = 16
)

var totpOptions = hotp.ValidateOpts{Digits: otp.DigitsSix, Algorithm: otp.AlgorithmSHA1} // what every app can do

func totpPurpose(user id.ID) string { return "totp/" + string(user) }

// StartTOTP makes a secret for the user's authenticator app and returns it, as text and as the URL that apps read from a QR
// code. It counts once ConfirmTOTP has seen a code. It answers CONFLICT where the user has an app already.
func (s *Service) StartTOTP(ctx context.Context, tx *db.Tx, p User) (secret, url string, err error) {
	raw := make([]byte, totpLength)
	if _, err := io.ReadFull(s.c.Rand, raw); err != nil {
		return "", "", fmt.Errorf("no randomness: %w", err)
	}
	k, err := totp.Generate(totp.GenerateOpts{Issuer: "Billet", AccountName: p.Email, Secret: raw, Digits: otp.DigitsSix, Algorithm: otp.AlgorithmSHA1})
	if err != nil {
		return "", "", err
	}
	if err := holdUser(ctx, tx, p.ID); err != nil {
		return "", "", err
	}
	made, err := putTOTP(ctx, tx, p.ID, s.c.Secrets.Seal(totpPurpose(p.ID), []byte(k.Secret())))
	if err == nil && !made {
		err = apierr.New(apierr.Conflict, "You have an authenticator app already. Turn it off first.")
	}
	return k.Secret(), k.URL(), err
}

// ConfirmTOTP turns the authenticator app on, now that the user has shown one of its codes, and returns recovery codes, which
// nobody can learn again. It answers INVALID_REQUEST for a wrong code, and CONFLICT where nothing was started or
// the app is on already.
func (s *Service) ConfirmTOTP(ctx context.Context, tx *db.Tx, p User, code string) ([]string, error) {
	if err := holdUser(ctx, tx, p.ID); err != nil {
		return nil, err
	}
	row, found, err := totpOf(ctx, tx, p.ID)
	if err != nil {
		return nil, err
	}
	if !found || row.confirmed {
		return nil, apierr.New(apierr.Conflict, "There is no authenticator app to confirm. Start with POST /api/v1/account/me/totp.")
	}
	step, right, err := s.matchTOTP(p.ID, row, code)
	if err != nil {
		return nil, err
	}
	if !right {
		return nil, apierr.Invalid([]apierr.FieldError{{Field: "code", Message: "is not the app's present code. Check that the clock of your phone is right, and try the next code."}})
	}
	codes, hashes := make([]string, RecoveryCodes), make([]string, RecoveryCodes)
	for i := range codes {
		raw := make([]byte, recoveryLength*5/8)
		if _, err := io.ReadFull(s.c.Rand, raw); err != nil {
			return nil, fmt.Errorf("no randomness: %w", err)
		}
		text := strings.ToLower(base32.StdEncoding.EncodeToString(raw))
		codes[i], hashes[i] = text[:4]+"-"+text[4:8]+"-"+text[8:12]+"-"+text[12:], hashOf(text)
	}
	return codes, confirmTOTP(ctx, tx, p.ID, step, hashes)
}

// RemoveTOTP turns the authenticator app off, with its recovery codes. Where there is none it succeeds.
func (s *Service) RemoveTOTP(ctx context.Context, tx *db.Tx, user id.ID) error {
	return removeTOTP(ctx, tx, user)
}

// totpRow is a user's authenticator app.
type totpRow struct {
	sealed    string
	lastStep  int64
	confirmed bool
}

// matchTOTP returns the step whose code this is, among those that are taken now and were not used.
func (s *Service) matchTOTP(user id.ID, row totpRow, code string) (step int64, right bool, err error) {
	secret, err := s.c.Secrets.Open(totpPurpose(user), row.sealed)
	if err != nil {
		return 0, false, err
	}
	now := s.c.Real().Unix() / int64(totpStep/time.Second)
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

// secondFactor checks the code of a user whose password was right, and returns what uses it up in the transaction that begins
// the session. It answers SECOND_FACTOR_REQUIRED, or RATE_LIMIT_EXCEEDED.
func (s *Service) secondFactor(ctx context.Context, p User, code string) (func(context.Context, *db.Tx) error, error) {
	row, found, err := totpOf(ctx, s.c.DB, p.ID)
	if err != nil {
		return nil, err
	}
	if !found || !row.confirmed {
		return func(ctx context.Context, tx *db.Tx) error {
			row, found, err := totpOf(ctx, tx, p.ID)
			if err == nil && found && row.confirmed { // turned on since it was read
				err = factorRequired(p, true)
			}
			return err
		}, nil
	}
	code = strings.ToLower(strings.NewReplacer(" ", "", "-", "").Replace(code))
	switch len(code) {
	case otp.DigitsSix.Length():
		wait, err := s.throttle.take(ctx, codeLimits(p.ID))
		if err == nil && wait > 0 {
			err = tooMany("There were too many wrong codes. Wait %s, or use a recovery code or a passkey.", wait)
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
			if err == nil && !used { // another sign-in was quicker
				err = factorRequired(p, false)
			}
			succeeded(tx, codeLimits(p.ID))
			return err
		}, nil
	case recoveryLength:
		hash := hashOf(code)
		there, err := hasRecoveryCode(ctx, s.c.DB, p.ID, hash)
		if err != nil {
			return nil, err
		}
		if !there {
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
	return nil, factorRequired(p, code == "")
}

// factorRequired says which ways the user has to prove who they are.
func factorRequired(p User, missing bool) error {
	message := "This code is wrong or was used before. Give the authenticator app's next code, or a recovery code."
	if missing {
		message = "Give the code that your authenticator app shows now, or a recovery code."
	}
	methods := []string{"totp"}
	if p.Passkeys > 0 {
		methods = append(methods, "passkey")
	}
	return &apierr.Error{Code: apierr.SecondFactorRequired, Message: message, Details: map[string]any{"methods": append(methods, "recovery")}}
}
