package account_test

import (
	"context"
	"encoding/json"
	"testing"

	"github.com/billetcloud/billet/internal/account"
	"github.com/billetcloud/billet/internal/apierr"
	"github.com/billetcloud/billet/internal/db"
	"github.com/billetcloud/billet/internal/id"
	"github.com/billetcloud/billet/test/webauthntest"
)

var site = account.RelyingParty{ID: "gpu.example.com", Origin: "https://gpu.example.com"}

func (w world) device() *webauthntest.Device {
	return webauthntest.New(w.T, site.Origin, site.ID)
}

func (w world) offer(p account.User) (o account.PasskeyOptions) {
	w.Helper()
	w.ok(w.tx(func(ctx context.Context, tx *db.Tx) (err error) {
		o, err = w.s.StartPasskey(ctx, tx, site, p)
		return err
	}))
	return o
}

func (w world) register(p account.User, challenge id.ID, answer map[string]any) (k account.Passkey, err error) {
	text, err := json.Marshal(answer)
	w.ok(err)
	n, err := w.s.VerifyPasskey(w.Context(), site, p, string(challenge), "laptop", text)
	if err != nil {
		return k, err
	}
	err = w.tx(func(ctx context.Context, tx *db.Tx) error { k, err = w.s.AddPasskey(ctx, tx, n); return err })
	return k, err
}

func (w world) ask() (o account.PasskeyOptions) {
	w.Helper()
	w.ok(w.tx(func(ctx context.Context, tx *db.Tx) (err error) {
		o, err = w.s.StartPasskeySignIn(ctx, tx, site)
		return err
	}))
	return o
}

func (w world) answer(challenge id.ID, answer map[string]any) (account.Proof, error) {
	text, err := json.Marshal(answer)
	w.ok(err)
	return w.s.VerifyWithPasskey(w.Context(), site, string(challenge), text)
}

func TestService_VerifyWithPasskey(t *testing.T) {
	engines(t, func(w world) {
		p, _, _ := w.withTOTP() // which a passkey makes unnecessary
		d := w.device()
		o := w.offer(p)
		k, err := w.register(p, o.ChallengeID, d.Register(o.Options))
		if err != nil || k.Name != "laptop" || k.LastUsedAt != nil || !k.ID.Valid(id.Passkey) {
			t.Fatalf("%+v %v", k, err)
		}
		_, err = w.signIn(email, password, here)
		if e := w.fails(err, apierr.SecondFactorRequired); len(e.Details["methods"].([]string)) != 3 {
			t.Errorf("%v", e.Details)
		}
		for range 2 {
			o = w.ask()
			proof, err := w.answer(o.ChallengeID, d.SignIn(o.Options))
			w.ok(err)
			n, err := w.begin(proof)
			if err != nil || n.User.ID != p.ID || n.Account != w.mine || n.User.Passkeys != 1 {
				t.Fatalf("%+v %v", n, err)
			}
		}
		list, total, err := w.s.ListPasskeys(w.Context(), w.d, p.ID, db.Page{Number: 1, Limit: 10})
		if err != nil || total.Total != 1 || list[0].LastUsedAt == nil {
			t.Fatalf("%+v %v", list, err)
		}
		o = w.offer(p)
		_, err = w.register(p, o.ChallengeID, d.Register(o.Options))
		w.fails(err, apierr.Conflict) // it is known already
	})
}

func TestService_VerifyWithPasskey_Refuses(t *testing.T) {
	engines(t, func(w world) {
		p, eve := w.as(w.mine, account.Owner, email), w.as(w.mine, account.Owner, "eve@example.com")
		d := w.device()
		o := w.offer(p)
		_, err := w.register(p, o.ChallengeID, d.Register(o.Options))
		w.ok(err)
		refused := func(name string, wrong func(d *webauthntest.Device)) {
			t.Helper()
			o, other := w.ask(), *d
			wrong(&other)
			_, err := w.answer(o.ChallengeID, other.SignIn(o.Options))
			if err == nil || apierr.CodeOf(err) != apierr.SignInFailed {
				t.Errorf("%s: %v", name, err)
			}
			_, err = w.answer(o.ChallengeID, d.SignIn(o.Options)) // the first answer has used the challenge up
			w.fails(err, apierr.SignInFailed)
		}
		refused("another site", func(d *webauthntest.Device) { d.Origin = "https://evil.example" })
		refused("another site's passkey", func(d *webauthntest.Device) { d.RPID = "evil.example" })
		refused("no consent", func(d *webauthntest.Device) { d.Unverified = true })
		refused("another key", func(d *webauthntest.Device) { d.Forge = true })
		refused("another challenge",
			func(d *webauthntest.Device) { d.Challenge = "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA" })
		refused("a copy", func(d *webauthntest.Device) { d.Counter = 0 })
		o = w.ask()
		for name, answer := range map[string]map[string]any{"empty": {},
			"unknown": w.unknownDevice(eve).SignIn(o.Options), "stranger's handle": func() map[string]any {
				a := d.SignIn(o.Options)
				a["response"].(map[string]any)["userHandle"] = "AA"
				return a
			}()} {
			if _, err := w.answer(w.ask().ChallengeID, answer); apierr.CodeOf(err) != apierr.SignInFailed {
				t.Errorf("%s: %v", name, err)
			}
		}

		o = w.ask()
		answer := d.SignIn(o.Options)
		w.c.Advance(account.PasskeyTime)
		_, err = w.answer(o.ChallengeID, answer)
		w.fails(err, apierr.SignInFailed) // too late
		for _, no := range []id.ID{"", "chl_none", "chl_\x00"} {
			_, err = w.answer(no, answer)
			if err == nil {
				t.Errorf("%q is a challenge", no)
			}
		}

		// A registration's challenge is its user's, and no sign-in's.
		o = w.offer(p)
		_, err = w.register(eve, o.ChallengeID, w.device().Register(o.Options))
		w.fails(err, apierr.InvalidRequest)
		_, err = w.answer(o.ChallengeID, d.SignIn(o.Options))
		w.fails(err, apierr.SignInFailed)
		_, err = w.register(p, o.ChallengeID, map[string]any{})
		w.fails(err, apierr.InvalidRequest)
		_, err = w.register(p, o.ChallengeID, w.device().Register(o.Options))
		w.fails(err, apierr.InvalidRequest) // used up by the one before
		unverified := w.device()
		unverified.Unverified = true
		o = w.offer(p)
		_, err = w.register(p, o.ChallengeID, unverified.Register(o.Options))
		w.fails(err, apierr.InvalidRequest)

		// A passkey that is removed during a sign-in does not admit its user.
		o = w.ask()
		proof, err := w.answer(o.ChallengeID, d.SignIn(o.Options))
		w.ok(err)
		list, _, err := w.s.ListPasskeys(w.Context(), w.d, p.ID, db.Page{Number: 1, Limit: 10})
		w.ok(err)
		remove := func(who id.ID) error {
			return w.tx(func(ctx context.Context, tx *db.Tx) error {
				_, err := w.s.RemovePasskey(ctx, tx, who, list[0].ID)
				return err
			})
		}
		w.fails(remove(eve.ID), apierr.NotFound)
		w.ok(remove(p.ID))
		_, err = w.begin(proof)
		w.fails(err, apierr.SignInFailed)
	})
}

// unknownDevice has a passkey for the user that was never kept.
func (w world) unknownDevice(p account.User) *webauthntest.Device {
	d := w.device()
	d.Register(w.offer(p).Options)
	return d
}
