package httpapi

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/billetcloud/billet/internal/account"
	"github.com/billetcloud/billet/internal/apierr"
	"github.com/billetcloud/billet/internal/db"
)

// another is the same account with another key.
func (w *world) another(who tenant) (out tenant) {
	w.t.Helper()
	w.tx(func(ctx context.Context, tx *db.Tx) (err error) {
		out.account = who.account
		out.key, out.secret, err = w.c.Accounts.CreateKey(ctx, tx, who.account, account.KeyRequest{Name: "another"})
		return err
	})
	return out
}

func TestCaps(t *testing.T) {
	worlds(t, func(t *testing.T, w *world) {
		w.configure(func(c *Config) { c.Limiter = allowAll{} })
		cookie := w.signIn(w.ada)
		full := func(r reply, of string, limit int) {
			t.Helper()
			if r.status != 409 || r.code != string(apierr.LimitReached) || dig(r.error, "details", "of") != of ||
				dig(r.error, "details", "limit") != float64(limit) {
				t.Errorf("%s: %d %s", of, r.status, r.body)
			}
		}
		keys := AccountBase + "/api-keys"
		add := func(n int) reply {
			return w.by(
				0,
				cookie,
				"POST",
				keys,
				map[string]string{"name": fmt.Sprint("key ", n)},
				header("Idempotency-Key", fmt.Sprint("key", n)),
			)
		}
		var last reply
		for n := 1; n < account.MaxKeys; n++ { // one is there
			if last = add(n); last.status != 201 {
				t.Fatalf("key %d: %s", n, last.body)
			}
		}
		full(add(1000), "apiKeys", account.MaxKeys)
		codes := w.authorizeDevice()
		full(
			w.by(0, cookie, "POST", approvePath, map[string]string{"userCode": codes.user, "name": "laptop"}),
			"apiKeys",
			account.MaxKeys,
		)
		w.by(200, cookie, "DELETE", keys+"/"+last.text("id"), nil)
		if r := add(1000); r.status != 201 { // the refusal was not kept for its Idempotency-Key
			t.Errorf("%d %s", r.status, r.body)
		}
		err := w.d.InTx(t.Context(), func(ctx context.Context, tx *db.Tx) error {
			_, _, err := w.c.Accounts.CreateKey(
				ctx,
				tx,
				w.ada.account,
				account.KeyRequest{Name: "by the operator", ByOperator: true},
			)
			return err
		})
		if apierr.CodeOf(err) != apierr.LimitReached {
			t.Errorf("a key by the operator: got %v, want %s", err, apierr.LimitReached)
		}

		quote := func() reply {
			return w.do(w.ada, "POST", Base+"/quotes", map[string]string{"offerId": "off_abc123"})
		}
		for n := range 100 {
			if r := quote(); r.status != 201 {
				t.Fatalf("quote %d: %s", n, r.body)
			}
		}
		full(quote(), "quotes", 100)
		w.want(201, w.bob, "POST", Base+"/quotes", map[string]string{"offerId": "off_abc123"})
		w.clock.Advance(10 * time.Minute)
		if r := quote(); r.status != 201 {
			t.Errorf("when they have expired: %d %s", r.status, r.body)
		}

		save := func(n int) reply {
			return w.do(
				w.ada,
				"POST",
				Base+"/ssh-keys",
				map[string]string{"name": fmt.Sprint("key ", n), "publicKey": publicKey(t)},
			)
		}
		var saved reply
		for n := range 200 {
			if saved = save(n); saved.status != 201 {
				t.Fatalf("SSH key %d: %s", n, saved.body)
			}
		}
		full(save(1000), "sshKeys", 200)
		w.want(200, w.ada, "DELETE", Base+"/ssh-keys/"+saved.text("id"), nil)
		if r := save(1000); r.status != 201 {
			t.Errorf("%d %s", r.status, r.body)
		}

		for range 10 {
			w.want(201, w.ada, "POST", Base+"/webhooks", map[string]string{"url": "https://hooks.example/x"})
		}
		full(w.do(w.ada, "POST", Base+"/webhooks", map[string]string{"url": "https://hooks.example/x"}), "webhooks", 10)

		for range 100 {
			w.by(201, cookie, "POST", AccountBase+"/invitations", map[string]string{"role": "member"})
		}
		full(
			w.by(0, cookie, "POST", AccountBase+"/invitations", map[string]string{"role": "member"}),
			"invitations",
			100,
		)
	})
}
