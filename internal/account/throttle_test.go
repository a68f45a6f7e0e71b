package account_test

import (
	"context"
	"crypto/rand"
	"fmt"
	"net/netip"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/billetcloud/billet/internal/account"
	"github.com/billetcloud/billet/internal/apierr"
	"github.com/billetcloud/billet/internal/db"
)

// signInOn signs in from an address in a browser that is known by device, and returns what it is
// known by from now on.
func (w world) signInOn(s *account.Service, email, password, device string, from netip.Addr) (string, error) {
	p, err := s.Verify(w.Context(), email, password, "", account.Source{Address: from, Browser: device})
	if err != nil {
		return "", err
	}
	var n account.SignedIn
	err = w.tx(func(ctx context.Context, tx *db.Tx) error {
		n, err = s.Begin(ctx, tx, p, account.Origin{Source: account.Source{Address: from, Browser: device}}, "")
		return err
	})
	return n.Browser, err
}

// failAll lets sign-ins fail until the address has no tries left.
func (w world) failAll(from netip.Addr) {
	w.Helper()
	for i := range account.TriesPerAddress {
		_, err := w.signIn(fmt.Sprintf("p%d@example.com", i), "wrong password", from)
		w.fails(err, apierr.SignInFailed)
	}
}

func TestThrottle_OneUserDoesNotBlockAnOffice(t *testing.T) {
	engines(t, func(w world) {
		w.user(email, password)
		for i := range 100 { // one tries passwords of one address, and another all addresses that come to mind
			_, _ = w.signIn("eve@example.com", "wrong password", here)
			_, err := w.signIn(fmt.Sprintf("p%d@example.com", i), "wrong password", here)
			w.fails(err, apierr.SignInFailed)
		}
		_, err := w.signIn(email, password, here)
		w.ok(err)
	})
}

func TestThrottle_OneAddressManyUsers(t *testing.T) {
	engines(t, func(w world) {
		w.user(email, password)
		w.failAll(here)
		_, err := w.signIn("one.more@example.com", "wrong password", here)
		unknown := w.fails(err, apierr.RateLimitExceeded)
		_, err = w.signIn(email, password, here)
		if known := w.fails(err, apierr.RateLimitExceeded); known.Message != unknown.Message ||
			known.RetryAfter != unknown.RetryAfter {
			t.Errorf("%v, and for an unknown address %v", known, unknown)
		}
	})
}

func TestThrottle_ManyAddressesOneUser(t *testing.T) {
	engines(t, func(w world) {
		w.user(email, password)
		tried := map[string]int{}
		for _, whose := range []string{email,
			"unknown@example.com"} { // both alike
			for i := range account.TriesPerEmail + 10 {
				_, err := w.signIn(whose, "wrong password", netip.AddrFrom4([4]byte{198, 51, 100, byte(i)}))
				if apierr.CodeOf(err) == apierr.SignInFailed {
					tried[whose]++
				}
			}
		}
		if tried[email] != account.TriesPerEmail || tried["unknown@example.com"] != account.TriesPerEmail {
			t.Errorf("%v were compared", tried)
		}
	})
}

func TestThrottle_KnownBrowserIsNotBlocked(t *testing.T) {
	engines(t, func(w world) {
		w.user(email, password)
		w.user("bob@example.com", password)
		device, err := w.signInOn(w.s, email, password, "", here)
		w.ok(err)
		w.failAll(here)
		for i := range account.TriesPerEmail { // and many others try this user's password
			_, _ = w.signIn(email, "wrong password", netip.AddrFrom4([4]byte{198, 51, 100, byte(i)}))
		}
		_, err = w.signInOn(w.s, email, password, "", netip.MustParseAddr("192.0.2.200"))
		w.fails(err, apierr.RateLimitExceeded)
		again, err := w.signInOn(w.s, email, password, device, here)
		w.ok(err)
		if again != device {
			t.Error("a browser that is known gets another name")
		}
		// It is known for one user only, and has a bound of its own.
		_, err = w.signInOn(w.s, "bob@example.com", password, device, here)
		w.fails(err, apierr.RateLimitExceeded)
		for range account.TriesPerBrowser {
			_, err = w.signInOn(w.s, email, "wrong password", device, here)
			w.fails(err, apierr.SignInFailed)
		}
		_, err = w.signInOn(w.s, email, password, device, here)
		w.fails(err, apierr.RateLimitExceeded)
		w.c.Advance(15 * time.Minute)
		_, err = w.signInOn(w.s, email, password, device, here)
		w.ok(err)
	})
}

func TestService_BrowserUser_InventedTokens(t *testing.T) {
	engines(t, func(w world) {
		w.user(email, password)
		device, err := w.signInOn(w.s, email, password, "", here)
		w.ok(err)
		for _, forged := range []string{"x", device[:len(device)-2] + "AA", device + device, email} {
			if name := w.s.BrowserUser(forged); name != "" {
				t.Errorf("%q stands for the device %q", forged, name)
			}
		}
		if w.s.BrowserUser(device) == "" {
			t.Error("the true one stands for none")
		}
	})
}

func TestThrottle_ReplicasCountTogether(t *testing.T) {
	engines(t, func(w world) {
		w.user(email, password)
		other := service(w.T, w.d, w.c, rand.Reader)
		other.CheapPasswords()
		var tried atomic.Int32
		var wg sync.WaitGroup
		for i := range 20 {
			s := []*account.Service{w.s, other}[i%2]
			wg.Go(func() {
				_, err := w.signInOn(s, email, "wrong password", "", here)
				switch apierr.CodeOf(err) {
				case apierr.SignInFailed:
					tried.Add(1)
				case apierr.RateLimitExceeded:
				default:
					w.Error(err)
				}
			})
		}
		wg.Wait()
		if tried.Load() != 5 {
			t.Errorf("%d passwords were tried at two replicas, want 5", tried.Load())
		}
		_, err := w.signInOn(other, email, password, "", here)
		w.fails(err, apierr.RateLimitExceeded)
	})
}

func TestService_CountGuess_Replicas(t *testing.T) {
	engines(t, func(w world) {
		p := w.user(email, password)
		other := service(w.T, w.d, w.c, rand.Reader)
		for i := range 10 {
			done, err := []*account.Service{w.s, other}[i%2].CountGuess(w.Context(), p.ID)
			w.ok(err)
			w.ok(done(true))
		}
		for _, s := range []*account.Service{w.s, other} {
			_, err := s.CountGuess(w.Context(), p.ID)
			w.fails(err, apierr.RateLimitExceeded)
		}
		w.c.Advance(15 * time.Minute)
		for range 20 {
			done, err := w.s.CountGuess(w.Context(), p.ID)
			w.ok(err)
			w.ok(done(false))
		}
	})
}

func TestThrottle_DeletesExpiredWindows(t *testing.T) {
	engines(t, func(w world) {
		count := func() (n int) {
			w.ok(w.d.QueryRow(w.Context(), `SELECT COUNT(*) FROM throttle WHERE source <> ''`).Scan(&n))
			return n
		}
		_, err := w.signIn(email, "wrong password", here)
		w.fails(err, apierr.SignInFailed)
		w.ok(w.s.ForgetDeviceAuthorizations(w.Context()))
		if n := count(); n != 3 {
			t.Errorf("%d rows, want those of the pair, the email address and the address", n)
		}
		var shown int
		w.ok(w.d.QueryRow(w.Context(),
			`SELECT COUNT(*) FROM throttle WHERE source LIKE '%ada%' OR source LIKE '%203%.%'`).Scan(&shown))
		if shown != 0 {
			t.Error("an address or email address is readable")
		}
		w.c.Advance(15 * time.Minute)
		w.ok(w.s.ForgetDeviceAuthorizations(w.Context()))
		if n := count(); n != 0 {
			t.Errorf("%d rows are left", n)
		}
	})
}
