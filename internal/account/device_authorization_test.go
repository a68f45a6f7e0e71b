package account_test

import (
	"context"
	"crypto/rand"
	"testing"

	"github.com/billetcloud/billet/internal/account"
	"github.com/billetcloud/billet/internal/apierr"
	"github.com/billetcloud/billet/internal/db"
)

// A key that was used is not given out anew, whichever server it was used at and however short ago: whoever comes to know the device code later gets nothing.
func TestAKeyThatWasUsedElsewhereIsNotClaimedAgain(t *testing.T) {
	engines(t, func(w world) {
		ada := w.user("ada@billet.example", "correct horse battery staple")
		other := service(w.T, w.d, w.c, rand.Reader)
		var n account.NewDeviceAuthorization
		w.ok(w.tx(func(ctx context.Context, tx *db.Tx) (err error) {
			n, err = w.s.StartDeviceAuthorization(ctx, tx, "billet on laptop", nil, here)
			return err
		}))
		w.ok(w.tx(func(ctx context.Context, tx *db.Tx) error {
			_, err := w.s.AllowDeviceAuthorization(ctx, tx, w.mine, n.UserCode, account.KeyRequest{Name: "laptop", CreatedBy: &account.Creator{ID: ada.ID, Email: ada.Email}})
			return err
		}))
		var secret string
		claim := func() error {
			return w.tx(func(ctx context.Context, tx *db.Tx) (err error) {
				_, secret, err = w.s.ClaimDeviceAuthorization(ctx, tx, n.DeviceCode)
				return err
			})
		}
		w.ok(claim())
		mine := secret
		_, err := other.Authenticate(w.Context(), w.d, mine, here)
		w.ok(err)
		w.fails(claim(), apierr.LoginClaimed)
		_, err = other.Authenticate(w.Context(), w.d, mine, here)
		w.ok(err)
	})
}
