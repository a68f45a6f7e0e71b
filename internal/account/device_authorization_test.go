package account_test

import (
	"context"
	"crypto/rand"
	"testing"

	"github.com/billetcloud/billet/internal/account"
	"github.com/billetcloud/billet/internal/apierr"
	"github.com/billetcloud/billet/internal/db"
)

// A used key gets no other secret, whichever replica it was used at and however recently: a device
// code that leaks later is worthless.
func TestService_ExchangeDeviceCode_UsedAtAnotherReplica(t *testing.T) {
	engines(t, func(w world) {
		ada := w.user("ada@billet.example", "correct horse battery staple")
		other := service(w.T, w.d, w.c, rand.Reader)
		var n account.NewDeviceAuthorization
		w.ok(w.tx(func(ctx context.Context, tx *db.Tx) (err error) {
			n, err = w.s.AuthorizeDevice(ctx, tx, "billet on laptop", nil, here)
			return err
		}))
		w.ok(w.tx(func(ctx context.Context, tx *db.Tx) error {
			_, err := w.s.ApproveDeviceAuthorization(ctx, tx, w.mine, n.UserCode,
				account.KeyRequest{Name: "laptop", CreatedBy: &account.Creator{ID: ada.ID, Email: ada.Email}})
			return err
		}))
		var secret string
		exchange := func() error {
			return w.tx(func(ctx context.Context, tx *db.Tx) error {
				t, err := w.s.ExchangeDeviceCode(ctx, tx, n.DeviceCode, n.ClientID)
				secret = t.Secret
				return err
			})
		}
		w.ok(exchange())
		mine := secret
		_, err := other.Authenticate(w.Context(), w.d, mine, here)
		w.ok(err)
		w.fails(exchange(), apierr.InvalidGrant)
		_, err = other.Authenticate(w.Context(), w.d, mine, here)
		w.ok(err)
	})
}
