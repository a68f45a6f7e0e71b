package account_test

import (
	"context"
	"crypto/rand"
	"testing"

	"github.com/billetcloud/billet/internal/account"
	"github.com/billetcloud/billet/internal/apierr"
	"github.com/billetcloud/billet/internal/clock"
	"github.com/billetcloud/billet/internal/db"
	"github.com/billetcloud/billet/internal/db/dbtest"
)

// Once at the real cost: the tests above hash cheaply.
func TestPasswords_RealCost(t *testing.T) {
	c := clock.NewFrozen(dbtest.Start)
	d := dbtest.SQLite(t, c)
	w := world{T: t, d: d, c: c, s: service(t, d, c, rand.Reader)}
	w.mine = w.account("mine")
	w.user(email, password)
	var hash string
	w.ok(d.QueryRow(t.Context(), `SELECT SUBSTR(password_hash, 1, 31) FROM users`).Scan(&hash))
	if hash != "$argon2id$v=19$m=65536,t=2,p=1$" {
		t.Errorf("parameters %s", hash)
	}
	_, err := w.signIn(email, password, here)
	w.ok(err)
	// The parameters are the hash's own: raising or lowering the cost later locks no user out.
	w.s.CheapPasswords()
	_, err = w.signIn(email, password, here)
	w.ok(err)
	_, err = w.signIn(email, password+" ", here)
	w.fails(err, apierr.SignInFailed)
}

func TestService_Verify_InsideTransaction(t *testing.T) {
	engines(t, func(w world) {
		w.user(email, password)
		err := w.tx(func(ctx context.Context, _ *db.Tx) error {
			_, err := w.s.Verify(ctx, email, password, "", account.Source{Address: here})
			return err
		})
		if err == nil {
			w.Fatal("it would have waited for itself")
		}
	})
}
