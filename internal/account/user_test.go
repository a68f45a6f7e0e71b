package account_test

import (
	"context"
	"errors"
	"net/netip"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/billetcloud/billet/internal/account"
	"github.com/billetcloud/billet/internal/apierr"
	"github.com/billetcloud/billet/internal/db"
	"github.com/billetcloud/billet/internal/id"
)

const (
	email    = "ada@example.com"
	password = "correct horse battery"
)

func (w world) signIn(email, password string, from netip.Addr) (string, error) {
	return w.signInWith(email, password, "", from)
}

func (w world) signInWith(email, password, code string, from netip.Addr) (string, error) {
	p, err := w.s.Verify(w.Context(), email, password, code, account.Source{Address: from})
	if err != nil {
		return "", err
	}
	n, err := w.begin(p)
	return n.Token, err
}

func TestService_BeginAndSignOut(t *testing.T) {
	engines(t, func(w world) {
		made := w.user("  Ada@Example.COM ", password)
		if made.Email != email || !made.ID.Valid(id.User) {
			w.Fatalf("%+v", made)
		}
		proof, err := w.s.Verify(w.Context(), "ADA@example.com", password, "", account.Source{Address: here})
		w.ok(err)
		n, err := w.begin(proof)
		if err != nil || n.User != made || len(n.Token) != 43 ||
			!n.ExpiresAt.Equal(w.c.Now().Add(account.SessionLifetime)) || n.Account != w.mine ||
			n.Role != account.Owner {
			w.Fatalf("%+v %v", n, err)
		}
		token := n.Token
		if got, err := w.s.SessionOf(w.Context(), w.d, token); err != nil || got.User != made ||
			got.Account != w.mine || got.ID != n.ID || got.Address != here.String() || got.UserAgent != "Test/1" {
			w.Fatalf("%+v %v", got, err)
		}
		other, err := w.signIn(email, password, here)
		w.ok(err)
		for range 2 { // the second time it has ended already
			w.ok(w.tx(func(ctx context.Context, tx *db.Tx) error { return w.s.SignOut(ctx, tx, token) }))
		}
		_, err = w.s.SessionOf(w.Context(), w.d, token)
		w.fails(err, apierr.SignInRequired)
		if _, err := w.s.SessionOf(w.Context(), w.d, other); err != nil {
			w.Errorf("the other session ended too: %v", err)
		}
		for _, no := range []string{"", "x", strings.Repeat("A", 43), strings.Repeat("-", 43), token + "A",
			strings.Repeat("\x00", 43)} {
			_, err := w.s.SessionOf(w.Context(), w.d, no)
			w.fails(err, apierr.SignInRequired)
			w.ok(w.tx(func(ctx context.Context, tx *db.Tx) error { return w.s.SignOut(ctx, tx, no) }))
		}
	})
}

func TestService_Begin_StoresNoSecret(t *testing.T) {
	engines(t, func(w world) {
		w.user(email, password)
		token, err := w.signIn(email, password, here)
		w.ok(err)
		var row string
		w.ok(w.d.QueryRow(w.Context(),
			`SELECT p.password_hash || s.token_hash FROM users p JOIN session s ON s.user_id = p.id`).Scan(&row))
		if strings.Contains(row, password) || strings.Contains(row, token) ||
			!strings.HasPrefix(row, "$argon2id$v=19$m=") {
			w.Fatal(row)
		}
	})
}

func TestService_Prepare_InvalidFields(t *testing.T) {
	engines(t, func(w world) {
		_, err := w.newUser(w.mine, "ada", "short")
		if f := w.fails(err, apierr.InvalidRequest).Fields(); len(f) != 2 || f[0].Field != "email" ||
			f[1].Field != "password" {
			w.Fatalf("%v", f)
		}
		for _, bad := range []string{strings.Repeat("x", 257), "longenough\xff"} {
			_, err = w.newUser(w.mine, email, bad)
			w.fails(err, apierr.InvalidRequest)
		}
		w.user(email, password)
		_, err = w.newUser(w.theirs, "ADA@example.com", password)
		w.fails(err, apierr.Conflict)
	})
}

func TestService_CreateUser_Concurrent(t *testing.T) {
	engines(t, func(w world) {
		var made atomic.Int32
		var wg sync.WaitGroup
		for range 6 {
			wg.Go(func() {
				_, err := w.newUser(w.mine, email, password)
				if err == nil {
					made.Add(1)
				} else if apierr.CodeOf(err) != apierr.Conflict {
					w.Error(err)
				}
			})
		}
		wg.Wait()
		if made.Load() != 1 {
			w.Fatalf("%d made", made.Load())
		}
	})
}

func TestService_Verify_UnknownUserLikeWrongPassword(t *testing.T) {
	engines(t, func(w world) {
		w.user(email, password)
		_, wrong := w.signIn(email, password+"x", here)
		_, unknown := w.signIn("eve@example.com", password, here)
		_, malformed := w.signIn("\x00", password, here)
		for _, err := range []error{wrong, unknown, malformed} {
			if e := w.fails(err, apierr.SignInFailed); e.Error() != wrong.Error() || e.RetryAfter != 0 ||
				e.Details != nil {
				w.Errorf("%+v", e)
			}
		}
	})
}

// The work is what makes the times equal, so the work is what is checked: an unknown user's
// sign-in needs a turn for a hash just as a known one's does.
func TestService_Verify_UnknownUserCostsAHash(t *testing.T) {
	engines(t, func(w world) {
		w.user(email, password)
		release := w.s.FillPasswordQueue()
		for range 10 { // and being sent away is no failure: it must not count
			for _, who := range []string{email, "eve@example.com"} {
				_, err := w.signIn(who, password, here)
				if e := w.fails(err, apierr.ServiceUnavailable); e.RetryAfter <= 0 {
					w.Errorf("%+v", e)
				}
			}
		}
		release()
		_, err := w.signIn(email, password, here)
		w.ok(err)
	})
}

func TestService_SessionOf_Expiry(t *testing.T) {
	engines(t, func(w world) {
		w.user(email, password)
		signedIn := func(token string) bool {
			w.Helper()
			_, err := w.s.SessionOf(w.Context(), w.d, token)
			if err != nil {
				w.fails(err, apierr.SignInRequired)
			}
			return err == nil
		}
		idle, err := w.signIn(email, password, here)
		w.ok(err)
		used, err := w.signIn(email, password, here)
		w.ok(err)
		w.c.Advance(account.SessionIdle - time.Microsecond)
		if !signedIn(used) {
			w.Fatal("ended too early")
		}
		w.c.Advance(time.Microsecond)
		if signedIn(idle) {
			w.Error("an unused session goes on")
		}
		if !signedIn(used) { // not flushed yet: the use is known from memory
			w.Error("a used session ended")
		}
		w.ok(w.s.FlushLastUse(w.Context()))
		begun := w.c.Now().Add(-account.SessionIdle)
		for w.c.Now().Before(begun.Add(account.SessionLifetime - 11*time.Hour)) {
			w.c.Advance(11 * time.Hour)
			if !signedIn(used) {
				w.Fatalf("ended after %s", w.c.Now().Sub(begun))
			}
			w.ok(w.s.FlushLastUse(w.Context()))
		}
		w.c.AdvanceTo(begun.Add(account.SessionLifetime))
		if signedIn(used) {
			w.Error("a session outlives its end")
		}
		_, err = w.signIn(email, password, here)
		w.ok(err)
		var sessions int
		w.ok(w.d.QueryRow(w.Context(), `SELECT COUNT(*) FROM session`).Scan(&sessions))
		if sessions != 1 {
			w.Errorf("%d sessions are kept", sessions)
		}
	})
}

func TestService_SetPassword_EndsSessions(t *testing.T) {
	engines(t, func(w world) {
		p := w.user(email, password)
		token, err := w.signIn(email, password, here)
		w.ok(err)
		set := func(user id.ID, to string, spare id.ID) error {
			hash, err := w.s.HashPassword(w.Context(), "newPassword", to)
			if err != nil {
				return err
			}
			return w.tx(func(ctx context.Context, tx *db.Tx) error {
				return w.s.SetPassword(ctx, tx, user, hash,
					spare)
			})
		}
		w.fails(set("usr_\x00", "another password", ""), apierr.NotFound)
		if f := w.fails(set(p.ID, "short", ""), apierr.InvalidRequest).Fields(); f[0].Field != "newPassword" {
			w.Errorf("%v", f)
		}
		if _, err := w.s.SessionOf(w.Context(), w.d, token); err != nil {
			w.Fatal(err)
		}
		// A proof from before the change begins no session after it.
		proof, err := w.s.Verify(w.Context(), email, password, "", account.Source{Address: here})
		w.ok(err)
		w.ok(set(p.ID, "another password", ""))
		_, err = w.begin(proof)
		w.fails(err, apierr.SignInFailed)
		_, err = w.s.SessionOf(w.Context(), w.d, token)
		w.fails(err, apierr.SignInRequired)
		_, err = w.signIn(email, password, here)
		w.fails(err, apierr.SignInFailed)
		token, err = w.signIn(email, "another password", here)
		w.ok(err)
		other, err := w.signIn(email, "another password", here)
		w.ok(err)
		n, err := w.s.SessionOf(w.Context(), w.d, token)
		w.ok(err)
		w.ok(set(p.ID, "a third password", n.ID))
		_, err = w.s.SessionOf(w.Context(), w.d, token)
		w.ok(err) // who changes it stays signed in
		_, err = w.s.SessionOf(w.Context(), w.d, other)
		w.fails(err, apierr.SignInRequired)
	})
}

func TestThrottle_StrangersDoNotBlockTheUser(t *testing.T) {
	engines(t, func(w world) {
		w.user(email, password)
		stranger := netip.MustParseAddr("2001:db8::1")
		var wait time.Duration
		for i := range 50 {
			// From all over one network: a /64 counts as one address.
			from := netip.AddrFrom16([16]byte{0x20, 0x01, 0x0d, 0xb8, 15: byte(i)})
			_, err := w.signIn(email, "wrong password", from)
			if i < 5 {
				w.fails(err, apierr.SignInFailed)
			} else {
				wait = w.fails(err, apierr.RateLimitExceeded).RetryAfter
			}
		}
		if wait <= 0 || wait > 15*time.Minute {
			w.Errorf("wait %s", wait)
		}
		// Even with the right password, or the limit would tell that it was right.
		_, err := w.signIn(email, password, stranger)
		w.fails(err, apierr.RateLimitExceeded)
		_, err = w.signIn(email, password, here)
		w.ok(err)
		w.c.Advance(wait)
		_, err = w.signIn(email, password, stranger)
		w.ok(err)
	})
}

func TestThrottle_SuccessesDoNotCount(t *testing.T) {
	engines(t, func(w world) {
		w.user(email, password)
		for range 7 { // 28 failures from the address, and never five in a row for the pair
			for range 4 {
				_, err := w.signIn(email, "wrong password", here)
				w.fails(err, apierr.SignInFailed)
			}
			_, err := w.signIn(email, password, here)
			w.ok(err)
		}
	})
}

func TestThrottle_ConcurrentAttempts(t *testing.T) {
	engines(t, func(w world) {
		w.user(email, password)
		var tried atomic.Int32
		var wg sync.WaitGroup
		for range 20 {
			wg.Go(func() {
				_, err := w.signIn(email, "wrong password", here)
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
			w.Errorf("%d passwords were tried, want 5", tried.Load())
		}
	})
}

func TestNormalEmail(t *testing.T) {
	for in, want := range map[string]string{
		" Ada@Example.com\n": "ada@example.com", "a+b.c@sub.example.com": "a+b.c@sub.example.com",
		"root@localhost": "root@localhost", "jörg@müller.de": "jörg@müller.de",
		"": "", "a": "", "@": "", "a@": "", "@b": "", "a@b@c": "", "a b@c": "", "a@b..c": "", "a@.b": "",
		"a@b.": "", "<a@b>": "", "a@b\x00": "",
		"a@b\u200b": "", "a\xff@b": "", "a@b,c@d": "", strings.Repeat("a", 65) + "@b": "", "a@" +
			strings.Repeat("b", 253): "",
	} {
		if got, wrong := account.NormalEmail(in); got != want || (wrong == "") != (want != "") {
			t.Errorf("%q: %q, %q", in, got, wrong)
		}
	}
}

func TestDecode_DamagedHash(t *testing.T) {
	salt, digest := strings.Repeat("A", 22), strings.Repeat("A", 43)
	if err := account.DecodeHash("$argon2id$v=19$m=65536,t=2,p=1$" + salt + "$" + digest); err != nil {
		t.Fatal(err)
	}
	for _, hash := range []string{
		"", "x", "$2b$10$abcdefghijklmnopqrstuv", "$argon2i$v=19$m=65536,t=2,p=1$" + salt + "$" + digest,
		"$argon2id$v=16$m=65536,t=2,p=1$" + salt + "$" + digest,
		"$argon2id$v=19$m=4294967295,t=2,p=1$" + salt + "$" + digest, "$argon2id$v=19$m=65536,t=0,p=1$" + salt +
			"$" + digest, "$argon2id$v=19$m=65536,t=2,p=0$" + salt + "$" + digest,
		"$argon2id$v=19$m=65536,t=2,p=1$" + salt, "$argon2id$v=19$m=65536,t=2,p=1$" + salt + "$",
		"$argon2id$v=19$m=65536,t=2,p=1$$" + digest,
		"$argon2id$v=19$m=65536,t=2,p=1$" + salt + "$" + digest + "$x",
	} {
		if err := account.DecodeHash(hash); err == nil {
			t.Errorf("%q was read", hash)
		}
	}
	engines(t, func(w world) {
		w.user(email, password)
		w.ok(w.tx(func(ctx context.Context, tx *db.Tx) error {
			_, err := tx.Exec(ctx, `UPDATE users SET password_hash = 'damaged'`)
			return err
		}))
		_, err := w.signIn(email, password, here)
		if _, is := errors.AsType[*apierr.Error](err); err == nil || is {
			w.Fatalf("%v: a damaged row is not the caller's fault", err)
		}
	})
}

func TestService_Begin_EndsOldestSessions(t *testing.T) {
	engines(t, func(w world) {
		p := w.user(email, password)
		var tokens []string
		for range account.MaxSessions + 2 {
			token, err := w.signIn(email, password, here)
			w.ok(err)
			tokens = append(tokens, token)
			w.c.Advance(time.Second)
		}
		for i, token := range tokens {
			_, err := w.s.SessionOf(w.Context(), w.d, token)
			if (err == nil) != (i >= 2) {
				t.Errorf("session %d: %v", i, err)
			}
		}
		if _, n, err := w.s.ListSessions(w.Context(), w.d, p.ID, db.Page{Number: 1, Limit: 10}); err != nil ||
			n.Total != account.MaxSessions {
			t.Errorf("%d sessions, %v", n.Total, err)
		}
	})
}
