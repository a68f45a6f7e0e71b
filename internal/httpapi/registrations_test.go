package httpapi

import (
	"context"
	"encoding/json"
	"fmt"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/billetcloud/billet/internal/account"
	"github.com/billetcloud/billet/internal/altcha"
	"github.com/billetcloud/billet/internal/altcha/altchatest"
	"github.com/billetcloud/billet/internal/clock"
	"github.com/billetcloud/billet/internal/db"
	"github.com/billetcloud/billet/internal/db/dbtest"
	"github.com/google/go-cmp/cmp"
)

// sentMail is a mail of the outbox with what it says.
type sentMail struct{ kind, to, link string }

// mails returns the mails that wait to be sent, oldest first.
func (w *world) mails() []sentMail {
	w.t.Helper()
	var all []sentMail
	w.tx(func(ctx context.Context, tx *db.Tx) error {
		rows, err := db.Collect(ctx, tx, func(r db.Row) (m [4]string, err error) {
			return m, r.Scan(&m[0], &m[1], &m[2], &m[3])
		}, `SELECT id, kind, recipient, data FROM mail ORDER BY id`)
		for _, m := range rows {
			plain, err := w.secrets.Open("mail/"+m[0], m[3])
			if err != nil {
				return err
			}
			var said struct{ Link string }
			if err := json.Unmarshal(plain, &said); err != nil {
				return err
			}
			all = append(all, sentMail{m[1], m[2], said.Link})
		}
		return err
	})
	return all
}

// mailedToken returns what follows the # of the last mail's link.
func (w *world) mailedToken(page string) string {
	w.t.Helper()
	all := w.mails()
	if len(all) == 0 {
		w.t.Fatal("there is no mail")
	}
	u, err := url.Parse(all[len(all)-1].link)
	if err != nil || u.Host != "gpu.example.com" || u.Path != page || u.Fragment == "" {
		w.t.Fatalf("got the link %q, %v; want one to %s at the public URL", all[len(all)-1].link, err, page)
	}
	return u.Fragment
}

func (w *world) solution(use string) string {
	w.t.Helper()
	var answer struct{ Data altcha.Challenge }
	r := w.want(201, tenant{}, "POST", AccountBase+"/challenges", map[string]any{"use": use})
	if err := json.Unmarshal(r.body, &answer); err != nil {
		w.t.Fatal(err)
	}
	return altchatest.Solve(w.t, answer.Data).Text(w.t)
}

// open sets the mail server and the sign-up policy.
func (w *world) open(change map[string]any) {
	w.t.Helper()
	w.want(200, w.operator(), "PATCH", settingsPath, map[string]any{
		"mail":         map[string]any{"host": "smtp.example.com", "fromAddress": "no-reply@example.com"},
		"installation": map[string]any{"termsUrl": "https://example.com/terms", "termsVersion": "2028-01"},
		"signUp":       change,
	})
}

func (w *world) register(email string) map[string]any {
	return map[string]any{"email": email, "solution": w.solution("registration")}
}

const registrationsPath = AccountBase + "/registrations"

func TestSignUp(t *testing.T) {
	dbtest.Engines(t, func(t *testing.T, d *db.DB, c *clock.Simulated) {
		w := newWorldOn(t, d, c)
		w.refused("SIGN_UP_CLOSED", tenant{}, "POST", registrationsPath, w.register("eve@example.net"))
		w.open(map[string]any{"policy": "open", "startingCredit": 25})

		r := w.want(202, tenant{}, "POST", registrationsPath, w.register("Eve@Example.net"))
		if got := r.data.(map[string]any)["email"]; got != "Eve@Example.net" {
			t.Errorf("got %v, want the address as it was typed", got)
		}
		token := w.mailedToken("/sign-up/complete")
		w.want(200, tenant{}, "POST", registrationsPath+"/preview", map[string]any{"token": token})
		done := map[string]any{
			"token": token, "password": "a long password", "name": "Eve", "accountName": "Evening",
			"termsVersion": "2028-01",
		}
		r = w.want(201, tenant{}, "POST", registrationsPath+"/verify", done)
		cookie := cookieOf(r)
		me := w.by(200, cookie, "GET", AccountBase+"/me", nil).data.(map[string]any)
		if got := me["user"].(map[string]any)["email"]; got != "eve@example.net" || me["role"] != "owner" {
			t.Errorf("got %v as %v, want eve@example.net as owner", got, me["role"])
		}
		wallet := w.by(200, cookie, "GET", Base+"/wallet", nil).data.(map[string]any)
		same(t, "balance", wallet["balance"], 25.0)
		w.refused("NOT_FOUND", tenant{}, "POST", registrationsPath+"/verify", done)
		want := []sentMail{{"verify_address", "eve@example.net", w.mails()[0].link}}
		if diff := cmp.Diff(want, w.mails(), cmp.AllowUnexported(sentMail{})); diff != "" {
			t.Errorf("mails (-want +got):\n%s", diff)
		}
	})
}

// The two answers are the same; only the mail differs.
func TestSignUpAndResetRevealNoUser(t *testing.T) {
	w := newWorld(t)
	w.open(map[string]any{"policy": "open"})
	w.newUser(w.ada, account.Member, account.UserRequest{Email: "known@example.com", Password: "a long password"})
	for _, c := range []struct {
		path, use string
		kinds     [2]string
	}{
		{registrationsPath, "registration", [2]string{"verify_address", "address_known"}},
		{AccountBase + "/password-resets", "password-reset", [2]string{"address_unknown", "password_reset"}},
	} {
		for i, email := range []string{"other@example.com", "known@example.com"} {
			body := map[string]any{"email": email, "solution": w.solution(c.use)}
			r := w.want(202, tenant{}, "POST", c.path, body)
			want := fmt.Sprintf(`{"success":true,"data":{"email":%q}}`, email)
			if got := strings.TrimSpace(string(r.body)); got != want {
				t.Errorf("%s for %s: got %s, want %s", c.path, email, got, want)
			}
			all := w.mails()
			if got := all[len(all)-1]; got.kind != c.kinds[i] || got.to != email {
				t.Errorf("%s for %s: got the mail %+v, want %s", c.path, email, got, c.kinds[i])
			}
		}
	}
}

func TestSignUpRefusals(t *testing.T) {
	w := newWorld(t)
	w.configure(func(c *Config) { c.Limiter = allowAll{} })
	w.open(map[string]any{"policy": "domains", "domains": []string{"example.com"}})
	bad := map[string]any{"email": "eve@example.net", "solution": "x"}
	r := w.refused("INVALID_REQUEST", tenant{}, "POST", registrationsPath, bad)
	for _, field := range []string{"email", "solution"} {
		if !strings.Contains(string(r.body), `"field":"`+field+`"`) {
			t.Errorf("the answer does not name %s: %s", field, r.body)
		}
	}
	body := w.register("eve@example.com")
	w.want(202, tenant{}, "POST", registrationsPath, body)
	w.refused("INVALID_REQUEST", tenant{}, "POST", registrationsPath, body) // the same solution
	other := w.register("eve@example.com")
	other["solution"] = w.solution("password-reset")
	w.refused("INVALID_REQUEST", tenant{}, "POST", registrationsPath, other)
	w.want(202, tenant{}, "POST", registrationsPath, w.register("eve@example.com"))
	w.want(202, tenant{}, "POST", registrationsPath, w.register("eve@example.com"))
	w.refused("RATE_LIMIT_EXCEEDED", tenant{}, "POST", registrationsPath, w.register("eve@example.com"))

	token := w.mailedToken("/sign-up/complete")
	w.open(map[string]any{"policy": "closed"})
	w.time.pass(10 * time.Second) // settings are read again
	done := map[string]any{"token": token, "password": "a long password", "termsVersion": "2028-01"}
	w.refused("SIGN_UP_CLOSED", tenant{}, "POST", registrationsPath+"/verify", done)
	w.open(map[string]any{"policy": "open"})
	w.want(201, tenant{}, "POST", registrationsPath+"/verify", done) // the link was not used up
}

func TestOperatorInvitesUsers(t *testing.T) {
	w := newWorld(t)
	op := w.operator()
	const path = OperatorBase + "/registrations"
	w.refused("CONFLICT", op, "POST", path, map[string]any{"email": "eve@example.com"})
	w.open(map[string]any{"policy": "invitation"})
	w.refused("SIGN_UP_CLOSED", tenant{}, "POST", registrationsPath, w.register("eve@example.com"))
	w.refused("INVALID_REQUEST", op, "POST", path, map[string]any{"email": "eve"})
	w.want(201, op, "POST", path, map[string]any{"email": "eve@example.com"})
	done := map[string]any{"token": w.mailedToken("/sign-up/complete"), "password": "a long password"}
	w.refused("INVALID_REQUEST", tenant{}, "POST", registrationsPath+"/verify", done) // the terms
	done["termsVersion"] = "2028-01"
	w.want(201, tenant{}, "POST", registrationsPath+"/verify", done)
	w.refused("CONFLICT", op, "POST", path, map[string]any{"email": "eve@example.com"})
}

// A mailbox gets the starting credit once, however its address is written.
func TestStartingCreditIsGivenOnce(t *testing.T) {
	w := newWorld(t)
	w.open(map[string]any{"policy": "open", "startingCredit": 25})
	for _, c := range []struct {
		email string
		want  float64
	}{{"eve@example.net", 25}, {"eve+2@example.net", 0}, {"adam@example.net", 25}} {
		w.want(202, tenant{}, "POST", registrationsPath, w.register(c.email))
		done := map[string]any{
			"token": w.mailedToken("/sign-up/complete"), "password": "a long password", "termsVersion": "2028-01",
		}
		r := w.want(201, tenant{}, "POST", registrationsPath+"/verify", done)
		wallet := w.by(200, cookieOf(r), "GET", Base+"/wallet", nil).data.(map[string]any)
		same(t, "balance of "+c.email, wallet["balance"], c.want)
	}
}

func TestPasswordReset(t *testing.T) {
	w := newWorld(t)
	w.open(map[string]any{"policy": "closed"}) // which is about new users only
	w.newUser(w.ada, account.Member, account.UserRequest{Email: "ada@example.com", Password: goodPassword})
	cookie := w.cookie("ada@example.com")
	body := map[string]any{"email": "ada@example.com", "solution": w.solution("password-reset")}
	w.want(202, tenant{}, "POST", AccountBase+"/password-resets", body)
	confirm := map[string]any{"token": w.mailedToken("/reset-password"), "password": "short"}
	w.refused("INVALID_REQUEST", tenant{}, "POST", AccountBase+"/password-resets/confirm", confirm)
	confirm["password"] = "another long password"
	w.want(200, tenant{}, "POST", AccountBase+"/password-resets/confirm", confirm)
	w.refused("NOT_FOUND", tenant{}, "POST", AccountBase+"/password-resets/confirm", confirm)
	if r := w.by(0, cookie, "GET", AccountBase+"/me", nil); r.code != "SIGN_IN_REQUIRED" {
		t.Errorf("an old session: got %s, want SIGN_IN_REQUIRED", r.code)
	}
	all := w.mails()
	if got := all[len(all)-1].kind; got != "password_changed" {
		t.Errorf("the last mail is %s, want password_changed", got)
	}
	signIn := map[string]any{"email": "ada@example.com", "password": "another long password"}
	w.want(201, tenant{}, "POST", AccountBase+"/sessions", signIn)
}

// An address that another user entered with an invitation belongs to the one who reads its mail.
func TestPasswordResetEndsWhatAnotherUserPlanted(t *testing.T) {
	w := newWorld(t)
	w.configure(func(c *Config) { c.Limiter = allowAll{} })
	w.open(map[string]any{"policy": "open"})
	site := header("Sec-Fetch-Site", "same-origin")
	invitation := w.want(201, tenant{}, "POST", AccountBase+"/invitations",
		map[string]string{"role": "member", "email": "victim@example.com"}, header("Cookie", w.signIn(w.ada)), site)
	if mailed := invitation.data.(map[string]any)["mailed"]; mailed != false {
		t.Errorf("mailed: got %v without a public URL, want false: the link's host is the request's", mailed)
	}
	_, token, _ := strings.Cut(invitation.text("url"), "#")
	planted := cookieOf(w.want(201, tenant{}, "POST", AccountBase+"/invitations/accept",
		map[string]any{"token": token, "name": "Eve", "password": goodPassword}))
	key := w.by(201, planted, "POST", AccountBase+"/api-keys", map[string]any{"name": "k"}).text("key")
	w.want(200, tenant{secret: key}, "GET", Base+"/wallet", nil)

	body := map[string]any{"email": "victim@example.com", "solution": w.solution("password-reset")}
	w.want(202, tenant{}, "POST", AccountBase+"/password-resets", body)
	confirm := map[string]any{"token": w.mailedToken("/reset-password"), "password": "another long password"}
	w.want(200, tenant{}, "POST", AccountBase+"/password-resets/confirm", confirm)
	w.refused("REVOKED_API_KEY", tenant{secret: key}, "GET", Base+"/wallet", nil)
	if r := w.by(0, planted, "GET", AccountBase+"/me", nil); r.code != "SIGN_IN_REQUIRED" {
		t.Errorf("the planted session: got %s, want SIGN_IN_REQUIRED", r.code)
	}

	// The address is proved now: a later reset ends sessions only.
	signIn := map[string]any{"email": "victim@example.com", "password": "another long password"}
	own := cookieOf(w.want(201, tenant{}, "POST", AccountBase+"/sessions", signIn))
	key = w.by(201, own, "POST", AccountBase+"/api-keys", map[string]any{"name": "own"}).text("key")
	body["solution"] = w.solution("password-reset")
	w.want(202, tenant{}, "POST", AccountBase+"/password-resets", body)
	confirm["token"] = w.mailedToken("/reset-password")
	w.want(200, tenant{}, "POST", AccountBase+"/password-resets/confirm", confirm)
	w.want(200, tenant{secret: key}, "GET", Base+"/wallet", nil)
}

// A solution that was used counts against no limit.
func TestReplayedSolutionsUseUpNoLimit(t *testing.T) {
	w := newWorld(t)
	w.configure(func(c *Config) { c.Limiter = allowAll{} })
	w.open(map[string]any{"policy": "open"})
	body := w.register("eve@example.com")
	w.want(202, tenant{}, "POST", registrationsPath, body)
	for range 5 {
		w.refused("INVALID_REQUEST", tenant{}, "POST", registrationsPath, body)
	}
	w.want(202, tenant{}, "POST", registrationsPath, w.register("eve@example.com"))
}

// A stranger who types an invited address does not take the invitation away.
func TestInvitationOutlivesARegistration(t *testing.T) {
	w := newWorld(t)
	w.open(map[string]any{"policy": "domains", "domains": []string{"example.com"}})
	w.want(201, w.operator(), "POST", OperatorBase+"/registrations", map[string]any{"email": "eve@example.com"})
	w.want(202, tenant{}, "POST", registrationsPath, w.register("eve@example.com"))
	token := map[string]any{"token": w.mailedToken("/sign-up/complete")}
	r := w.want(200, tenant{}, "POST", registrationsPath+"/preview", token)
	same(t, "invited", r.data.(map[string]any)["invited"], true)
}
