package account_test

import (
	"context"
	"fmt"
	"net/netip"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/billetcloud/billet/internal/account"
	"github.com/billetcloud/billet/internal/apierr"
	"github.com/billetcloud/billet/internal/db"
	"github.com/pquerna/otp/totp"
)

func (w world) startTOTP(p account.User) (secret, link string, err error) {
	err = w.tx(func(ctx context.Context, tx *db.Tx) error {
		secret, link, err = w.s.StartTOTP(ctx, tx, p)
		return err
	})
	return secret, link, err
}

func (w world) confirmTOTP(p account.User, code string) (codes []string, err error) {
	err = w.tx(func(ctx context.Context, tx *db.Tx) error {
		codes, err = w.s.ConfirmTOTP(ctx, tx, p, code)
		return err
	})
	return codes, err
}

// code is what an app shows.
func (w world) code(secret string) string {
	w.Helper()
	c, err := totp.GenerateCode(secret, w.c.Now())
	w.ok(err)
	return c
}

// withTOTP is a user with an authenticator app.
func (w world) withTOTP() (p account.User, secret string, recovery []string) {
	w.Helper()
	p = w.as(w.mine, account.Owner, email)
	secret, _, err := w.startTOTP(p)
	w.ok(err)
	recovery, err = w.confirmTOTP(p, w.code(secret))
	w.ok(err)
	w.c.Advance(30 * time.Second)
	return p, secret, recovery
}

func TestService_ConfirmTOTP(t *testing.T) {
	engines(t, func(w world) {
		p := w.as(w.mine, account.Owner, email)
		_, err := w.confirmTOTP(p, "123456")
		w.fails(err, apierr.Conflict)
		first, _, err := w.startTOTP(p)
		w.ok(err)
		secret, link, err := w.startTOTP(p) // another secret takes the place of one that was not confirmed
		w.ok(err)
		u, err := url.Parse(link)
		if err != nil || u.Scheme != "otpauth" || u.Query().Get("secret") != secret ||
			!strings.Contains(u.Path, email) || first == secret {
			t.Fatalf("%s %v", link, err)
		}
		_, err = w.signIn(email, password, here) // not yet needed
		w.ok(err)
		for _, wrong := range []string{"", "000000", w.code(first), w.code(secret) + "0"} {
			_, err = w.confirmTOTP(p, wrong)
			w.fails(err, apierr.InvalidRequest)
		}
		codes, err := w.confirmTOTP(p, w.code(secret))
		if err != nil || len(codes) != account.RecoveryCodes {
			t.Fatalf("%v %v", codes, err)
		}
		_, _, err = w.startTOTP(p)
		w.fails(err, apierr.Conflict)
		var row string
		w.ok(w.d.QueryRow(w.Context(),
			`SELECT t.secret || r.code_hash FROM totp t
				JOIN recovery_code r ON r.user_id = t.user_id LIMIT 1`).Scan(&row))
		for _, hidden := range append(codes, secret) {
			if strings.Contains(row, hidden) || strings.Contains(row, strings.ReplaceAll(hidden, "-", "")) {
				t.Errorf("%s is in the database", hidden)
			}
		}
		_, err = w.signIn(email, password, here)
		if e := w.fails(err, apierr.SecondFactorRequired); fmt.Sprint(e.Details["methods"]) != "[totp recovery]" {
			t.Errorf("%v", e.Details)
		}
		got, err := w.s.UserByEmail(w.Context(), w.d, email)
		if err != nil || !got.TOTP {
			t.Errorf("%+v %v", got, err)
		}
		w.ok(w.tx(func(ctx context.Context, tx *db.Tx) error { return w.s.RemoveTOTP(ctx, tx, p.ID) }))
		_, err = w.signIn(email, password, here)
		w.ok(err)
	})
}

func TestService_Verify_CodeWorksOnce(t *testing.T) {
	engines(t, func(w world) {
		_, secret, _ := w.withTOTP()
		code := w.code(secret)
		_, err := w.signInWith(email, "wrong password", code, here)
		w.fails(err, apierr.SignInFailed) // a wrong password is told first, and uses nothing up
		spaced := code[:3] + " " + code[3:]
		_, err = w.signInWith(email, password, spaced, here)
		w.ok(err)
		_, err = w.signInWith(email, password, code, here)
		w.fails(err, apierr.SecondFactorRequired)
		before := w.code(secret)
		w.c.Advance(30 * time.Second)
		next := w.code(secret)
		_, err = w.signInWith(email, password, next, here)
		w.ok(err)
		_, err = w.signInWith(email, password, before,
			here) // an earlier one is used up with it, though its time is not over
		w.fails(err, apierr.SecondFactorRequired)
		w.c.Advance(30 * time.Second)
		late := w.code(secret)
		w.c.Advance(time.Minute)
		_, err = w.signInWith(email, password, late, here)
		w.fails(err, apierr.SecondFactorRequired)
	})
}

func TestService_Begin_ConcurrentCode(t *testing.T) {
	engines(t, func(w world) {
		_, secret, recovery := w.withTOTP()
		for _, code := range []string{w.code(secret), recovery[0]} {
			var in atomic.Int32
			var wg sync.WaitGroup
			for i := range 5 {
				wg.Go(func() {
					_, err := w.signInWith(email, password, code, netip.AddrFrom4([4]byte{192, 0, 2, byte(i)}))
					if err == nil {
						in.Add(1)
					} else if apierr.CodeOf(err) != apierr.SecondFactorRequired {
						w.Error(err)
					}
				})
			}
			wg.Wait()
			if in.Load() != 1 {
				t.Errorf("%d came in with one code", in.Load())
			}
		}
	})
}

func TestService_Verify_RecoveryCodes(t *testing.T) {
	engines(t, func(w world) {
		_, secret, recovery := w.withTOTP()
		other := w.as(w.mine, account.Owner, "other@example.com")
		otherSecret, _, err := w.startTOTP(other)
		w.ok(err)
		_, err = w.confirmTOTP(other, w.code(otherSecret))
		w.ok(err)
		_, err = w.signInWith("other@example.com", password, recovery[0], here)
		w.fails(err, apierr.SecondFactorRequired) // each has their own
		_, err = w.signInWith(email, password, strings.ToUpper(strings.ReplaceAll(recovery[0], "-", " ")), here)
		w.ok(err)
		_, err = w.signInWith(email, password, recovery[0], here)
		w.fails(err, apierr.SecondFactorRequired)
		_, err = w.signInWith(email, password, recovery[1], here)
		w.ok(err)
		_, err = w.signInWith(email, password, w.code(secret), here)
		w.ok(err)
	})
}

// Codes count by user, because a thief of the password could guess six digits from many addresses.
// No one without the password can lock the user out.
func TestThrottle_CodesByUser(t *testing.T) {
	engines(t, func(w world) {
		_, secret, recovery := w.withTOTP()
		limited := 0
		for i := range 20 {
			from := netip.AddrFrom4([4]byte{198, 51, 100, byte(i)})
			for _, wrong := range []string{"wrong password", password} {
				_, err := w.signInWith(email, wrong, "000000", from)
				if apierr.CodeOf(err) == apierr.RateLimitExceeded {
					limited++
				}
			}
		}
		if limited != 10 {
			t.Errorf("%d were limited, want 10", limited)
		}
		_, err := w.signInWith(email, password, w.code(secret), here)
		if e := w.fails(err, apierr.RateLimitExceeded); e.RetryAfter <= 0 {
			t.Errorf("%+v", e)
		}
		_, err = w.signInWith(email, password, recovery[0], here)
		w.ok(err)
		w.c.Advance(15 * time.Minute)
		_, err = w.signInWith(email, password, w.code(secret), here)
		w.ok(err)
	})
}

func TestService_Verify_MissingCodeIsNoFailure(t *testing.T) {
	engines(t, func(w world) {
		_, secret, _ := w.withTOTP()
		for range 20 {
			_, err := w.signIn(email, password, here)
			w.fails(err, apierr.SecondFactorRequired)
		}
		_, err := w.signInWith(email, password, w.code(secret), here)
		w.ok(err)
	})
}

func TestService_Begin_TOTPTurnedOnMeanwhile(t *testing.T) {
	engines(t, func(w world) {
		p := w.as(w.mine, account.Owner, email)
		proof, err := w.s.Verify(w.Context(), email, password, "", account.Source{Address: here})
		w.ok(err)
		secret, _, err := w.startTOTP(p)
		w.ok(err)
		_, err = w.confirmTOTP(p, w.code(secret))
		w.ok(err)
		_, err = w.begin(proof)
		w.fails(err, apierr.SecondFactorRequired)
	})
}

func TestService_ConfirmPassword_Throttled(t *testing.T) {
	engines(t, func(w world) {
		p := w.as(w.mine, account.Owner, email)
		w.ok(w.s.ConfirmPassword(w.Context(), p, "currentPassword", password))
		for range 5 {
			err := w.s.ConfirmPassword(w.Context(), p, "currentPassword", "wrong password")
			if f := w.fails(err, apierr.InvalidRequest).Fields(); f[0].Field != "currentPassword" {
				t.Errorf("%v", f)
			}
		}
		w.fails(w.s.ConfirmPassword(w.Context(), p, "currentPassword", password), apierr.RateLimitExceeded)
	})
}
