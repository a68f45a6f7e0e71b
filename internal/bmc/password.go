package bmc

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"math/big"
	"net/http"
	"strings"
)

const (
	// passwordLength is how many characters a password has where the BMC says nothing else: IPMI
	// 1.5 keeps 16 and IPMI 2.0 keeps 20, and some BMCs cut longer ones without an error.
	passwordLength = 16
	// leastPassword is how short a password may be for a BMC that takes no longer ones, and
	// mostPassword how long.
	leastPassword, mostPassword = 12, 64
)

// alphabet are the characters of passwords by their class, without those that are easily confused.
// BMCs refuse passwords without some of the classes, or with signs other than these.
var alphabet = [...]string{"abcdefghijkmnopqrstuvwxyz", "ABCDEFGHJKLMNPQRSTUVWXYZ", "23456789", "-_"}

// account is the account that signs in.
type account struct {
	path string
	// min and max are how long a password may be, as the BMC says; 0 where it does not.
	min, max int
}

// account finds the account that signs in.
func (b *BMC) account(ctx context.Context) (account, error) {
	if b.accounts == "" {
		return account{}, failure(KindUnsupported, "the BMC has no accounts that can be changed")
	}
	var service struct {
		Accounts                             link
		MinPasswordLength, MaxPasswordLength int
	}
	if _, err := b.get(ctx, b.accounts, &service); err != nil {
		return account{}, err
	}
	paths, err := b.members(ctx, service.Accounts.ID)
	if err != nil {
		return account{}, err
	}
	for _, path := range paths {
		var a struct{ UserName string }
		if _, err := b.get(ctx, path, &a); err != nil {
			return account{}, err
		}
		if a.UserName == b.address.User {
			return account{path, service.MinPasswordLength, service.MaxPasswordLength}, nil
		}
	}
	return account{}, failure(KindUnsupported, "the BMC does not list the account of %s",
		b.plain(fmt.Sprintf("%q", b.address.User)))
}

// NewPassword returns a random password that the BMC should accept, by what it says of lengths. It
// changes nothing.
func (b *BMC) NewPassword(ctx context.Context) (string, error) {
	a, err := b.account(ctx)
	if err != nil {
		return "", err
	}
	n := max(passwordLength, a.min)
	if a.max > 0 {
		n = min(n, a.max)
	}
	if n < leastPassword || n < a.min || n > mostPassword {
		return "", failure(KindUnsupported, "the BMC wants passwords of %d to %d characters", a.min, a.max)
	}
	return randomPassword(n)
}

// randomPassword returns n characters of all classes, no two equal ones in a row.
func randomPassword(n int) (string, error) {
	all := strings.Join(alphabet[:3], "")
	for {
		out := make([]byte, n)
		for i := range out {
			from := all
			if i == n/2 { // a sign at an end is refused by some
				from = alphabet[3]
			}
			at, err := rand.Int(rand.Reader, big.NewInt(int64(len(from))))
			if err != nil {
				return "", err
			}
			out[i] = from[at.Int64()]
		}
		if good(string(out)) {
			return string(out), nil
		}
	}
}

func good(password string) bool {
	for _, class := range alphabet {
		if !strings.ContainsAny(password, class) {
			return false
		}
	}
	for i := range len(password) - 1 {
		if password[i] == password[i+1] {
			return false
		}
	}
	return true
}

// SetPassword changes the password of the user that signs in, and signs in with the new one. After
// an error of KindUnreachable either password may be valid: store both before the call. After
// another error the old one is, unless the BMC is mistaken about what it did.
func (b *BMC) SetPassword(ctx context.Context, password string) error {
	a, err := b.account(ctx)
	if err != nil {
		return err
	}
	b.secrets = append(b.secrets, password)
	if b.token == "" {
		// A session outlasts the password, so that a new one that does not work can be undone.
		if err := b.signIn(ctx); err != nil && !answered(err) {
			return err
		}
	}
	err = b.patch(ctx, a.path, map[string]string{"Password": password})
	if e, is := errors.AsType[*Error](err); is && e.status == http.StatusForbidden {
		return failure(KindRejected, "the user may not change its password: %s", e.Message)
	}
	if err != nil {
		return err
	}
	old, token, session := b.password, b.token, b.session
	b.password = password
	err = b.prove(ctx, a.path)
	if !withStatus(err, http.StatusUnauthorized) {
		newToken, newSession := b.token, b.session
		b.token, b.session = token, session
		b.signOut(ctx)
		b.token, b.session = newToken, newSession
		return err
	}
	b.password, b.token, b.session = old, token, session
	wrong := failure(KindRejected, "the BMC accepted the new password, and does not let it sign in")
	if b.token == "" {
		return wrong
	}
	// Some BMCs keep only the beginning of a password, which is then valid and not known.
	if undo := b.patch(ctx, a.path, map[string]string{"Password": old}); undo != nil {
		wrong.Message += "; the old one cannot be set again: " + undo.Error()
	}
	b.signOut(ctx)
	return wrong
}
