package httpapi

import (
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/billetcloud/billet/internal/account"
)

// lateBody is a request's body before whose first byte something else happens.
type lateBody struct {
	io.Reader
	before func()
}

func (b *lateBody) Read(p []byte) (int, error) {
	if b.before != nil {
		b.before()
		b.before = nil
	}
	return b.Reader.Read(p)
}

func (b *lateBody) Close() error { return nil }

// A member who is removed from an account while the body of their request is under way makes no key
// that outlives them.
func TestRemovedMemberCreatesNoKey(t *testing.T) {
	for name, method := range map[string]string{"removed": "DELETE", "made a viewer": "PATCH"} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			owner := w.signIn(w.ada)
			p := w.user(w.ada, account.Member, "member@example.com")
			cookie := w.cookie(p.Email)
			r := w.by(
				0,
				cookie,
				"POST",
				AccountBase+"/api-keys",
				map[string]string{"name": "late"},
				func(r *http.Request) {
					r.Body = &lateBody{strings.NewReader(`{"name":"late"}`), func() {
						var body any
						if method == "PATCH" {
							body = map[string]string{"role": "viewer"}
						}
						w.by(200, owner, method, AccountBase+"/members/"+string(p.ID), body)
					}}
				},
			)
			if r.status != 403 && r.status != 401 {
				t.Errorf("%d %s", r.status, r.body)
			}
		})
	}
}

// What was ended while a body is under way does nothing when it has come: neither a key nor a
// session.
func TestABodyThatComesTooLateDoesNothing(t *testing.T) {
	w := newWorld(t)
	w.configure(func(c *Config) { c.Limiter = allowAll{} })
	owner := w.signIn(w.ada)
	mallory := w.by(201, owner, "POST", AccountBase+"/api-keys", map[string]string{"name": "mallory"})
	key := `{"name":"late","publicKey":"` + publicKey(t) + `"}`
	late := func(text string, before func()) option {
		return func(r *http.Request) { r.Body = &lateBody{strings.NewReader(text), before} }
	}
	w.refused("REVOKED_API_KEY", tenant{secret: mallory.text("key")}, "POST", Base+"/ssh-keys", "x", late(key, func() {
		w.by(200, owner, "DELETE", AccountBase+"/api-keys/"+mallory.text("id"), nil)
	}))
	stolen := w.cookie(string(w.ada.account) + "@example.com")
	end := func() { w.by(200, owner, "DELETE", AccountBase+"/sessions/others", nil) }
	if r := w.by(401, stolen, "POST", Base+"/ssh-keys", "x", late(key, end)); r.code != "SIGN_IN_REQUIRED" {
		t.Errorf("%s", r.body)
	}
	stolen = w.cookie(string(w.ada.account) + "@example.com")
	w.by(
		401,
		stolen,
		"PUT",
		AccountBase+"/me/password",
		"x",
		late(`{"currentPassword":"`+goodPassword+`","newPassword":"`+goodPassword+`!"}`, end),
	)
	w.cookie(string(w.ada.account) + "@example.com") // the password is the same
	if r := w.by(200, owner, "GET", Base+"/ssh-keys", nil); len(r.list) != 0 {
		t.Errorf("%s", r.body)
	}
}

// Records of failed sign-ins of unknown users do not accumulate.
func TestFailedSignInsOfUnknownUsersAreDeleted(t *testing.T) {
	w := newWorld(t)
	w.configure(func(c *Config) { c.Limiter = allowAll{} })
	ada := w.user(w.ada, account.Owner, "ada@example.com")
	fail := func() {
		for _, email := range []string{"unknown@example.com", ada.Email} {
			w.refused(
				"SIGN_IN_FAILED",
				tenant{},
				"POST",
				AccountBase+"/sessions",
				map[string]string{"email": email, "password": "not the password"},
			)
		}
	}
	fail()
	w.clock.Advance(25 * time.Hour)
	fail()
	for of, want := range map[string]int{"": 1, string(w.ada.account): 2} {
		var n int
		if err := w.d.QueryRow(t.Context(),
			`SELECT COUNT(*) FROM audit WHERE action = 'signInFailed' AND account_id = $1`, of).Scan(&n); err != nil ||
			n != want {
			t.Errorf("account %q: %d entries, %v; want %d", of, n, err, want)
		}
	}
}
