package signup

import (
	"crypto/sha256"
	"encoding/hex"
	"slices"
	"strings"

	"github.com/billetcloud/billet/internal/apierr"
	"github.com/billetcloud/billet/internal/emailaddr"
	"github.com/billetcloud/billet/internal/settings"
)

var (
	errClosed = apierr.New(apierr.SignUpClosed,
		"Sign-up is closed here. Ask the operator for an account, or a member of an account for an invitation.")
	errInvitationOnly = apierr.New(apierr.SignUpClosed,
		"Sign-up is by invitation only here. Ask the operator for one, or a member of an account.")
)

// admit returns why an address may not register under the policy, or nil.
func admit(p settings.SignUp, email string, invited bool) error {
	switch p.Policy {
	case settings.Open:
		return nil
	case settings.Domains:
		_, domain, _ := strings.Cut(email, "@")
		if invited || slices.Contains(p.Domains, strings.ToLower(domain)) {
			return nil
		}
		return apierr.Invalid([]apierr.FieldError{{
			Field:   "email",
			Message: "must be an address of " + strings.Join(p.Domains, ", ") + ". Others need an invitation.",
		}})
	case settings.Invitation:
		if invited {
			return nil
		}
		return errInvitationOnly
	case settings.Closed:
	}
	return errClosed
}

// open reports whether strangers may register without an invitation.
func open(p settings.SignUp) bool { return p.Policy == settings.Open || p.Policy == settings.Domains }

// acceptTerms returns why the version that a user accepted is not the current one, or nil.
func acceptTerms(i settings.Installation, version string) error {
	if version == i.TermsVersion {
		return nil
	}
	message := "must be empty: there are no terms of service."
	if i.TermsVersion != "" {
		message = "must be " + i.TermsVersion + ", the current version of the terms of service. Read and accept them."
	}
	return apierr.Invalid([]apierr.FieldError{{Field: "termsVersion", Message: message}})
}

// creditKey identifies the mailbox behind an address, for the starting credit. The key is a hash,
// because ledger keys are kept.
func creditKey(email string) string {
	sum := sha256.Sum256([]byte(emailaddr.Mailbox(email)))
	return "starting-credit/" + hex.EncodeToString(sum[:])
}
