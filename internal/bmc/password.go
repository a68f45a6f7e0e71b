package bmc

import (
	"context"
	"fmt"
)

// SetPassword changes the password of the user that signs in, and signs in with the new one. After
// an error of KindUnreachable either password may be valid: store both before the call.
func (b *BMC) SetPassword(ctx context.Context, password string) error {
	if b.accounts == "" {
		return failure(KindUnsupported, "the BMC has no accounts that can be changed")
	}
	var service struct{ Accounts link }
	if _, err := b.get(ctx, b.accounts, &service); err != nil {
		return err
	}
	type account struct {
		UserName string
	}
	paths, err := b.members(ctx, service.Accounts.ID)
	if err != nil {
		return err
	}
	for _, path := range paths {
		var a account
		if _, err := b.get(ctx, path, &a); err != nil {
			return err
		}
		if a.UserName == b.address.User {
			return b.changePassword(ctx, path, password)
		}
	}
	return failure(KindUnsupported, "the BMC does not list the account of %s", fmt.Sprintf("%q", b.address.User))
}

func (b *BMC) changePassword(ctx context.Context, path, password string) error {
	old := b.password
	b.next = password // errors must not repeat it
	defer func() { b.next = "" }()
	if err := b.patch(ctx, path, map[string]string{"Password": password}); err != nil {
		return err
	}
	b.signOut(ctx)
	b.password = password
	_, err := b.read(ctx)
	if err != nil && KindOf(err) == KindUnauthorized {
		b.password = old
		return failure(KindRejected, "the BMC accepted the new password, and does not let it sign in")
	}
	return err
}
