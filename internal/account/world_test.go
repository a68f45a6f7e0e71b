package account_test

import (
	"context"
	"crypto/rand"
	"errors"
	"io"
	"net/netip"
	"testing"

	"github.com/billetcloud/billet/internal/account"
	"github.com/billetcloud/billet/internal/apierr"
	"github.com/billetcloud/billet/internal/clock"
	"github.com/billetcloud/billet/internal/db"
	"github.com/billetcloud/billet/internal/db/dbtest"
	"github.com/billetcloud/billet/internal/id"
	"github.com/billetcloud/billet/internal/secret"
)

var here = netip.MustParseAddr("203.0.113.9")

// world is a database with two accounts.
type world struct {
	*testing.T
	d            *db.DB
	c            *clock.Simulated
	s            *account.Service
	mine, theirs id.ID
}

func engines(t *testing.T, f func(w world)) {
	dbtest.Engines(t, func(t *testing.T, d *db.DB, c *clock.Simulated) {
		w := world{T: t, d: d, c: c, s: service(t, d, c, rand.Reader)}
		w.s.CheapPasswords()
		w.mine, w.theirs = w.account("mine"), w.account("theirs")
		f(w)
	})
}

func service(t *testing.T, d *db.DB, c *clock.Simulated, r io.Reader) *account.Service {
	t.Helper()
	secrets, err := secret.New(make([]byte, 32))
	if err != nil {
		t.Fatal(err)
	}
	return account.New(account.Config{DB: d, IDs: id.NewMaker(c, r), Rand: r, Clock: c, Real: c.Now, Secrets: secrets})
}

func (w world) tx(f func(ctx context.Context, tx *db.Tx) error) error {
	return w.d.InTx(w.Context(), f)
}

func (w world) account(name string) id.ID {
	w.Helper()
	var a account.Account
	w.ok(w.tx(func(ctx context.Context, tx *db.Tx) (err error) { a, err = w.s.Create(ctx, tx, name); return err }))
	return a.ID
}

func (w world) ok(err error) {
	w.Helper()
	if err != nil {
		w.Fatal(err)
	}
}

func (w world) fails(err error, code apierr.Code) *apierr.Error {
	w.Helper()
	e, is := errors.AsType[*apierr.Error](err)
	if !is || e.Code != code {
		w.Fatalf("error %v, want %s", err, code)
	}
	return e
}

func (w world) makeKey(account id.ID, req account.KeyRequest) (k account.Key, secret string, err error) {
	err = w.tx(func(ctx context.Context, tx *db.Tx) (err error) {
		k, secret, err = w.s.CreateKey(ctx, tx, account, req)
		return err
	})
	return k, secret, err
}

func (w world) key(of id.ID) (account.Key, string) {
	w.Helper()
	k, secret, err := w.makeKey(of, account.KeyRequest{Name: "ci"})
	w.ok(err)
	return k, secret
}

func (w world) update(account, key id.ID, u account.KeyUpdate) (k account.Key, err error) {
	err = w.tx(func(ctx context.Context, tx *db.Tx) (err error) {
		k, err = w.s.UpdateKey(ctx, tx, account, key, u)
		return err
	})
	return k, err
}

func (w world) revoke(account, key id.ID) (k account.Key, err error) {
	err = w.tx(func(ctx context.Context, tx *db.Tx) (err error) {
		k, err = w.s.RevokeKey(ctx, tx, account, key)
		return err
	})
	return k, err
}

func (w world) user(email, password string) account.User {
	w.Helper()
	p, err := w.newUser(w.mine, email, password)
	w.ok(err)
	return p
}

func (w world) newUser(of id.ID, email, password string) (p account.User, err error) {
	return w.userAs(of, account.Owner, email, password)
}

func (w world) userAs(of id.ID, role account.Role, email, password string) (p account.User, err error) {
	n, err := w.s.Prepare(w.Context(), account.UserRequest{Email: email, Password: password})
	if err != nil {
		return p, err
	}
	err = w.tx(func(ctx context.Context, tx *db.Tx) error {
		p, err = w.s.CreateUser(ctx, tx, n, of, role)
		return err
	})
	return p, err
}

// begin begins a session with a proof.
func (w world) begin(p account.Proof) (n account.SignedIn, err error) {
	err = w.tx(func(ctx context.Context, tx *db.Tx) error {
		n, err = w.s.Begin(ctx, tx, p, account.Origin{Source: account.Source{Address: here}, UserAgent: "Test/1"}, "")
		return err
	})
	return n, err
}
