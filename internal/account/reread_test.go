package account_test

import (
	"context"
	"errors"
	"testing"

	"github.com/billetcloud/billet/internal/db"
	"github.com/billetcloud/billet/internal/id"
)

var errAsked = errors.New("the database was asked")

// silent is a database that answers nothing.
type silent struct{ *db.DB }

type noRow struct{}

func (noRow) Scan(...any) error { return errAsked }

func (silent) QueryRow(context.Context, string, ...any) db.Row { return noRow{} }

func TestService_Reread(t *testing.T) {
	engines(t, func(w world) {
		secrets := make([]string, 130)
		other := w.account("other") // more keys than one account may have
		for i := range secrets {
			_, secrets[i] = w.key([]id.ID{w.mine, other}[i%2])
		}
		revoked, secret := w.key(w.theirs)
		if _, err := w.revoke(w.theirs, revoked.ID); err != nil {
			w.Fatal(err)
		}
		for try := 0; ; try++ { // a key is fresh for a tenth of a second, which a busy machine may miss
			w.ok(w.s.Reread(w.Context(), w.d, append(secrets, secret, "pk_live_unknown")))
			_, first := w.s.Authenticate(w.Context(), silent{w.d}, secrets[0], here)
			_, last := w.s.Authenticate(w.Context(), silent{w.d}, secrets[len(secrets)-1], here)
			_, gone := w.s.Authenticate(w.Context(), silent{w.d}, secret, here)
			if first == nil && last == nil && !errors.Is(gone, errAsked) {
				w.fails(gone, "REVOKED_API_KEY")
				return
			}
			if try == 50 {
				w.Fatal(first, last, gone)
			}
		}
	})
}
