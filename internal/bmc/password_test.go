package bmc_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/billetcloud/billet/internal/bmc"
	"github.com/billetcloud/billet/internal/bmc/bmctest"
)

// Each BMC takes a password that was made for it, or says that it cannot.
func TestNewPassword(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		quirks bmctest.Quirks
		length int
		kind   bmc.Kind // of the error; "" where the password is changed
	}{
		"none":              {bmctest.Quirks{}, 16, ""},
		"strict":            {bmctest.Quirks{ETagRequired: true, StrongPassword: true, SessionOnly: true}, 16, ""},
		"passwords only":    {bmctest.Quirks{BasicOnly: true, StrongPassword: true}, 16, ""},
		"16 at most":        {bmctest.Quirks{MaxPassword: 16, HiddenLimits: true}, 16, ""},
		"14 at most":        {bmctest.Quirks{MaxPassword: 14}, 14, ""},
		"20 at most":        {bmctest.Quirks{MaxPassword: 20}, 16, ""},
		"too short":         {bmctest.Quirks{MaxPassword: 8}, 0, bmc.KindUnsupported},
		"too short, hidden": {bmctest.Quirks{MaxPassword: 8, HiddenLimits: true}, 16, bmc.KindRejected},
		"no accounts":       {bmctest.Quirks{NoAccounts: true}, 0, bmc.KindUnsupported},
		"fixed accounts":    {bmctest.Quirks{FixedAccounts: true}, 16, bmc.KindUnsupported},
		"ignored":           {bmctest.Quirks{PasswordIgnored: true}, 16, bmc.KindRejected},
		"cut":               {bmctest.Quirks{PasswordCut: 14}, 16, bmc.KindRejected},
		"locks at once":     {bmctest.Quirks{LockoutAfter: 1}, 16, ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			sim, a := bmctest.Start(t, bmctest.Config{Quirks: c.quirks})
			b := open(t, a)
			password, err := b.NewPassword(t.Context())
			if len(password) != c.length {
				t.Fatalf("%d characters, %v, want %d", len(password), err, c.length)
			}
			if err == nil {
				err = b.SetPassword(t.Context(), password)
			}
			if c.kind != "" {
				wantKind(t, err, c.kind)
				if s := sim.State(); s.Password != a.Password {
					t.Error("the old password is no longer valid")
				}
				if strings.Contains(err.Error(), password) && password != "" {
					t.Errorf("the error has the password: %v", err)
				}
			} else {
				noError(t, err)
				if s := sim.State(); s.Password != password {
					t.Error("the BMC has another password")
				}
			}
			if _, err := b.Power(t.Context()); err != nil {
				t.Errorf("not signed in after that: %v", err)
			}
			b.Close()
			if s := sim.State(); s.Sessions > 0 || s.Locked {
				t.Errorf("%d sessions stay open; locked: %t", s.Sessions, s.Locked)
			}
		})
	}
}

func TestNewPassword_IsAnotherEachTime(t *testing.T) {
	t.Parallel()
	_, a := bmctest.Start(t, bmctest.Config{})
	b, seen := open(t, a), map[string]bool{}
	for range 20 {
		password, err := b.NewPassword(t.Context())
		noError(t, err)
		if seen[password] || strings.ContainsAny(password, "lIO01 ") {
			t.Errorf("got %q", password)
		}
		seen[password] = true
	}
}

// Of two passwords the valid one is found with one wrong try, so that the account is not locked.
func TestOpen_Other(t *testing.T) {
	t.Parallel()
	for name, q := range map[string]bmctest.Quirks{
		"none": {}, "sessions only": {SessionOnly: true}, "passwords only": {BasicOnly: true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			q.LockoutAfter = 2
			sim, a := bmctest.Start(t, bmctest.Config{Quirks: q})
			a.Other = "the new one"
			b := open(t, a)
			if s := sim.State(); b.Other() || s.Locked || s.WrongPasswords > 0 {
				t.Errorf("the first is valid: other %t, %+v", b.Other(), s)
			}
			b.Close()
			sim.SetPassword(a.Other)
			b = open(t, a)
			if s := sim.State(); !b.Other() || s.Locked {
				t.Errorf("the second is valid: other %t, %+v", b.Other(), s)
			}
			if _, err := b.Power(t.Context()); err != nil {
				t.Error(err)
			}
			b.Close()
			if s := sim.State(); s.Sessions > 0 {
				t.Errorf("%d sessions stay open", s.Sessions)
			}
			sim.SetPassword("the admin's")
			_, err := bmc.Open(t.Context(), a)
			wantKind(t, err, bmc.KindUnauthorized)
			if err != nil && strings.Contains(err.Error(), a.Other) {
				t.Errorf("the error has a password: %v", err)
			}
			// The right one is refused, too, while the account is locked, and accepted after that.
			sim.SetPassword(a.Other)
			if _, err := bmc.Open(t.Context(), a); err == nil {
				t.Error("a locked account signs in")
			}
			sim.Unlock()
			if b := open(t, a); !b.Other() {
				t.Error("another password is valid")
			}
		})
	}
}

// What is not known is not decided: a BMC that does not answer proves neither password.
func TestOpen_OtherUnreachable(t *testing.T) {
	t.Parallel()
	sim, a := bmctest.Start(t, bmctest.Config{Quirks: bmctest.Quirks{Unavailable: -1}})
	a.Other, a.Timeout = "the new one", time.Second
	_, err := bmc.Open(t.Context(), a)
	wantKind(t, err, bmc.KindUnreachable)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	sim.SetQuirks(bmctest.Quirks{})
	if _, err := bmc.Open(ctx, a); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
}
