package account_test

import (
	"context"
	"testing"

	"github.com/billetcloud/billet/internal/account"
	"github.com/billetcloud/billet/internal/apierr"
	"github.com/billetcloud/billet/internal/db"
)

func (w world) external(e account.External) (account.User, error) {
	proof, err := w.s.VerifyExternal(w.Context(), e)
	if err != nil {
		return account.User{}, err
	}
	n, err := w.begin(proof)
	return n.User, err
}

func TestService_VerifyExternal(t *testing.T) {
	engines(t, func(w world) {
		ada, bob := w.as(w.mine, account.Owner, email), w.as(w.mine, account.Owner, "bob@example.com")
		says := func(subject, email string, verified bool) (account.User, error) {
			return w.external(account.External{Issuer: "https://id.example", Subject: subject, Email: email,
				EmailVerified: verified})
		}
		refused := func(name, subject, email string, verified bool) {
			t.Helper()
			if p, err := says(subject, email, verified); err == nil || apierr.CodeOf(err) != apierr.SignInFailed {
				t.Errorf("%s: %+v %v", name, p, err)
			}
		}
		refused("an address that was not verified", "s1", email, false)
		refused("no user with the address", "s1", "eve@example.com", true)
		refused("no address", "s1", "", true)
		refused("no subject", "", email, true)
		refused("a strange subject", "s\x00", email, true)
		if p, err := says("s1", "ADA@example.com", true); err != nil || p.ID != ada.ID {
			t.Fatalf("%+v %v", p, err)
		}
		for name, c := range map[string]struct {
			email    string
			verified bool
		}{"again": {email, true}, "another address": {"countess@example.com", true}, "none": {"",
			false}, "another user's": {bob.Email, true}} {
			if p, err := says("s1", c.email, c.verified); err != nil || p.ID != ada.ID {
				t.Errorf("%s: %+v %v", name, p, err)
			}
		}
		refused("the provider gave the address to another subject", "s2", email, true)
		if p, err := says("s3", bob.Email, true); err != nil || p.ID != bob.ID {
			t.Errorf("%+v %v", p, err)
		}
		if p, err := w.external(account.External{Issuer: "https://other.example", Subject: "s9", Email: email,
			EmailVerified: true}); err != nil || p.ID != ada.ID {
			t.Errorf("another provider: %+v %v", p, err)
		}
		// Two who come at once with one address: the first is linked, the second refused.
		carol := w.as(w.mine, account.Owner, "carol@example.com")
		first, err := w.s.VerifyExternal(w.Context(), account.External{Issuer: "https://id.example",
			Subject: "s4", Email: carol.Email, EmailVerified: true})
		w.ok(err)
		second, err := w.s.VerifyExternal(w.Context(), account.External{Issuer: "https://id.example",
			Subject: "s5", Email: carol.Email, EmailVerified: true})
		w.ok(err)
		_, err = w.begin(first)
		w.ok(err)
		_, err = w.begin(second)
		w.fails(err, apierr.SignInFailed)
	})
}

func TestService_AnswerExternal(t *testing.T) {
	engines(t, func(w world) {
		start := func() (e account.ExternalStart) {
			w.ok(w.tx(func(ctx context.Context, tx *db.Tx) (err error) {
				e, err = w.s.StartExternal(ctx, tx, "/x")
				return err
			}))
			return e
		}
		a := start()
		nonce, verifier, back, err := w.s.AnswerExternal(w.Context(), a.State, a.Cookie)
		if err != nil || nonce != a.Nonce || verifier != a.Verifier || back != "/x" {
			t.Fatal(nonce, verifier, back, err)
		}
		b, c := start(), start()
		w.c.Advance(account.ExternalTime)
		d, e := start(), start()
		for name, try := range map[string][2]string{
			"again": {a.State, a.Cookie}, "another browser": {d.State, e.Cookie}, "no browser": {e.State, ""},
			"too late": {b.State, b.Cookie}, "unknown": {"x", c.Cookie}, "nothing": {"", ""},
		} {
			if _, _, _, err := w.s.AnswerExternal(w.Context(), try[0],
				try[1]); apierr.CodeOf(err) != apierr.SignInFailed {
				t.Errorf("%s: %v", name, err)
			}
		}
		_, _, _, err = w.s.AnswerExternal(w.Context(), d.State, d.Cookie) // another browser's try has used it up
		w.fails(err, apierr.SignInFailed)
	})
}

// A user who registered with the address of another user loses access once a provider proves its
// owner.
func TestService_VerifyExternal_ClaimsUnprovedUser(t *testing.T) {
	engines(t, func(w world) {
		mallory := w.as(w.theirs, account.Owner, "mallory@example.com")
		proof, _, err := w.acceptAsNew(w.invite(w.theirs, mallory, account.Member, ""), email)
		w.ok(err)
		planted, err := w.begin(proof)
		w.ok(err)
		_, secret, err := w.makeKey(w.theirs, account.KeyRequest{Name: "planted",
			CreatedBy: &account.Creator{ID: proof.User.ID, Email: email}})
		w.ok(err)
		says := account.External{Issuer: "https://id.example", Subject: "ada", Email: email, EmailVerified: true}
		p, err := w.external(says)
		if err != nil || p.ID != proof.User.ID {
			t.Fatalf("%+v %v", p, err)
		}
		_, err = w.signIn(email, password, here)
		w.fails(err, apierr.SignInFailed)
		_, err = w.signIn(email, "", here)
		w.fails(err, apierr.SignInFailed)
		_, err = w.s.SessionOf(w.Context(), w.d, planted.Token)
		w.fails(err, apierr.SignInRequired)
		_, err = w.s.Authenticate(w.Context(), w.d, secret, here)
		w.fails(err, apierr.RevokedAPIKey)

		// From then on the user is its owner's, and so is one whom the operator made.
		w.ok(w.tx(func(ctx context.Context, tx *db.Tx) error {
			hash, err := w.s.HashPassword(context.Background(), "password", password)
			w.ok(err)
			return w.s.SetPassword(ctx, tx, p.ID, hash, "")
		}))
		says.Issuer = "https://other.example"
		_, err = w.external(says)
		w.ok(err)
		_, err = w.signIn(email, password, here)
		w.ok(err)
		says.Email, says.Subject = mallory.Email, "mallory"
		_, err = w.external(says)
		w.ok(err)
		_, err = w.signIn(mallory.Email, password, here)
		w.ok(err)
	})
}
