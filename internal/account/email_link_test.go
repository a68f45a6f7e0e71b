package account_test

import (
	"context"
	"fmt"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/billetcloud/billet/internal/account"
	"github.com/billetcloud/billet/internal/apierr"
	"github.com/billetcloud/billet/internal/db"
)

func (w world) startRegistration(email string) account.MailLink {
	w.Helper()
	var l account.MailLink
	w.ok(w.tx(func(ctx context.Context, tx *db.Tx) (err error) {
		l, err = w.s.StartRegistration(ctx, tx, email, false)
		return err
	}))
	return l
}

func (w world) completeRegistration(token string) (p account.Proof, err error) {
	n, err := w.s.Prepare(
		w.Context(),
		account.UserRequest{Email: "ignored@example.com", Password: password, Operator: true},
	)
	w.ok(err)
	err = w.tx(func(ctx context.Context, tx *db.Tx) error {
		a, err := w.s.Create(ctx, tx, "new")
		if err == nil {
			p, err = w.s.CompleteRegistration(ctx, tx, token, n, a.ID, "2026-01")
		}
		return err
	})
	return p, err
}

func (w world) startPasswordReset(email string) account.MailLink {
	w.Helper()
	var l account.MailLink
	w.ok(w.tx(func(ctx context.Context, tx *db.Tx) (err error) {
		l, err = w.s.StartPasswordReset(ctx, tx, email)
		return err
	}))
	return l
}

func (w world) resetPassword(token, to string) (u account.User, err error) {
	p, err := w.s.HashPassword(w.Context(), "password", to)
	w.ok(err)
	err = w.tx(func(ctx context.Context, tx *db.Tx) error {
		u, err = w.s.ResetPassword(ctx, tx, token, p)
		return err
	})
	return u, err
}

func TestService_CompleteRegistration(t *testing.T) {
	engines(t, func(w world) {
		l := w.startRegistration(" Ada@Example.com ")
		if l.Known || l.Email != "ada@example.com" {
			t.Errorf("got %q, known %t; want ada@example.com, unknown", l.Email, l.Known)
		}
		found, err := w.s.FindRegistration(w.Context(), w.d, l.Token)
		if err != nil || found.Email != l.Email || found.Invited {
			t.Errorf("got %+v, %v; want the address, without an invitation", found, err)
		}
		p, err := w.completeRegistration(l.Token)
		if err != nil || p.User.Email != l.Email || p.User.Operator {
			t.Fatalf("got %+v, %v; want a user with the link's address who is no operator", p.User, err)
		}
		_, err = w.completeRegistration(l.Token)
		w.fails(err, apierr.NotFound)
		if again := w.startRegistration(l.Email); !again.Known {
			t.Error("the address of a user is unknown")
		}
	})
}

func TestFormerUserRegistersAgain(t *testing.T) {
	engines(t, func(w world) {
		owner := w.as(w.mine, account.Owner, "owner@example.com")
		ada := w.as(w.mine, account.Member, "ada@example.com")
		secret, _, err := w.startTOTP(ada)
		w.ok(err)
		_, err = w.confirmTOTP(ada, w.code(secret))
		w.ok(err)
		if l := w.startRegistration("ada@example.com"); !l.Known {
			t.Error("the address of a member is unknown")
		}
		remove := func() {
			w.ok(w.tx(func(ctx context.Context, tx *db.Tx) error {
				_, err := w.s.RemoveMember(ctx, tx, w.mine, owner.ID, ada.ID)
				return err
			}))
		}
		remove()
		l := w.startRegistration("ada@example.com")
		if l.Known {
			t.Error("the address of a former user is known")
		}
		// Who has joined an account meanwhile does not register.
		w.ok(w.tx(func(ctx context.Context, tx *db.Tx) error {
			return w.s.AddMember(ctx, tx, w.mine, ada.ID, account.Viewer)
		}))
		_, err = w.completeRegistration(l.Token)
		w.fails(err, apierr.Conflict)
		remove()
		p, err := w.completeRegistration(w.startRegistration("ada@example.com").Token)
		if err != nil || p.User.ID != ada.ID || p.User.Name != "" || p.User.TOTP {
			t.Fatalf("got %+v, %v; want the former user without a name and an authenticator app", p.User, err)
		}
		home, found, err := w.s.HomeOf(t.Context(), w.d, ada.ID)
		if err != nil || !found || home == w.mine {
			t.Errorf("got the account %s, %t, %v; want the new one", home, found, err)
		}
	})
}

func TestOperatorWithoutAccountDoesNotRegister(t *testing.T) {
	engines(t, func(w world) {
		owner := w.as(w.mine, account.Owner, "owner@example.com")
		ada := w.as(w.mine, account.Member, "ada@example.com")
		w.ok(w.tx(func(ctx context.Context, tx *db.Tx) error {
			if err := w.s.SetOperator(ctx, tx, ada.ID, true); err != nil {
				return err
			}
			_, err := w.s.RemoveMember(ctx, tx, w.mine, owner.ID, ada.ID)
			return err
		}))
		l := w.startRegistration("ada@example.com")
		if !l.Known {
			t.Error("the address of an operator is unknown")
		}
		_, err := w.completeRegistration(l.Token)
		w.fails(err, apierr.Conflict)
	})
}

func TestEmailLinkIsUsedOnceByConcurrentCalls(t *testing.T) {
	engines(t, func(w world) {
		l := w.startRegistration("ada@example.com")
		errs := make([]error, 8)
		var wg sync.WaitGroup
		for i := range errs {
			wg.Go(func() { _, errs[i] = w.completeRegistration(l.Token) })
		}
		wg.Wait()
		made := 0
		for _, err := range errs {
			if err == nil {
				made++
			} else if c := apierr.CodeOf(err); c != apierr.NotFound && c != apierr.Conflict {
				t.Errorf("got %v, want NOT_FOUND", err)
			}
		}
		if made != 1 {
			t.Errorf("%d of 8 calls created the user, want 1", made)
		}
	})
}

func TestEmailLinksThatAreOfNoUse(t *testing.T) {
	engines(t, func(w world) {
		w.as(w.mine, account.Owner, "owner@example.com")
		replaced, reset := w.startRegistration("ada@example.com"), w.startPasswordReset("owner@example.com")
		w.startRegistration("ada@example.com")
		late := w.startRegistration("late@example.com")
		for name, token := range map[string]string{
			"replaced": replaced.Token, "of another kind": reset.Token, "cut off": late.Token[1:],
			"invented": strings.Repeat("a", 43), "empty": "",
		} {
			if _, err := w.completeRegistration(token); apierr.CodeOf(err) != apierr.NotFound {
				t.Errorf("%s: got %v, want NOT_FOUND", name, err)
			}
		}
		w.c.Advance(account.RegistrationLifetime)
		_, err := w.completeRegistration(late.Token)
		w.fails(err, apierr.NotFound)
		w.ok(w.s.ForgetDeviceAuthorizations(w.Context()))
		var left int
		w.ok(w.d.View(w.Context(), func(ctx context.Context, r *db.Tx) error {
			return r.QueryRow(ctx, `SELECT COUNT(*) FROM email_link`).Scan(&left)
		}))
		if left != 0 {
			t.Errorf("%d expired links are left, want 0", left)
		}
	})
}

func TestService_ResetPassword(t *testing.T) {
	engines(t, func(w world) {
		owner := w.as(w.mine, account.Owner, "owner@example.com")
		unknown := w.startPasswordReset("unknown@example.com")
		if unknown.Known || unknown.Token == "" {
			t.Errorf("got %+v; want a link like any other, marked as unknown", unknown)
		}
		_, err := w.resetPassword(unknown.Token, "another password")
		w.fails(err, apierr.NotFound)

		l := w.startPasswordReset(owner.Email)
		if !l.Known || l.User.ID != owner.ID {
			t.Errorf("got %+v; want the user with that address", l)
		}
		u, err := w.resetPassword(l.Token, "another password")
		if err != nil || u.ID != owner.ID {
			t.Fatalf("got %+v, %v; want the user", u, err)
		}
		from := account.Source{Address: here}
		if _, err := w.s.Verify(w.Context(), owner.Email, "another password", "", from); err != nil {
			t.Errorf("the new password: got %v", err)
		}
		_, err = w.s.Verify(w.Context(), owner.Email, password, "", from)
		w.fails(err, apierr.SignInFailed)
		_, err = w.resetPassword(l.Token, "a third password")
		w.fails(err, apierr.NotFound)
	})
}

func TestService_CountMailRequest(t *testing.T) {
	engines(t, func(w world) {
		count := func(email string, from netip.Addr) error {
			return w.s.CountMailRequest(w.Context(), account.RegistrationRequest, email, from)
		}
		for range 3 {
			w.ok(count("ada@example.com", here))
		}
		e := w.fails(count("ADA@example.com", netip.MustParseAddr("198.51.100.7")),
			apierr.RateLimitExceeded)
		if e.RetryAfter <= 0 {
			t.Errorf("got no time to wait: %+v", e)
		}
		limited := 0
		for i := range 30 {
			if count(fmt.Sprintf("u%d@example.com", i), here) != nil {
				limited++
			}
		}
		if limited != 13 { // 3 of 20 were for the first address
			t.Errorf("%d of 30 further requests from one network were limited, want 13", limited)
		}
		w.c.Advance(15 * time.Minute)
		w.ok(count("ada@example.com", here))
		w.fails(count("a@localhost", here), apierr.InvalidRequest)
	})
}
