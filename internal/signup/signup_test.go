package signup_test

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"log/slog"
	"net/netip"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/billetcloud/billet/internal/account"
	"github.com/billetcloud/billet/internal/altcha"
	"github.com/billetcloud/billet/internal/altcha/altchatest"
	"github.com/billetcloud/billet/internal/apierr"
	"github.com/billetcloud/billet/internal/audit"
	"github.com/billetcloud/billet/internal/clock"
	"github.com/billetcloud/billet/internal/credit"
	"github.com/billetcloud/billet/internal/db"
	"github.com/billetcloud/billet/internal/db/dbtest"
	"github.com/billetcloud/billet/internal/deployment"
	"github.com/billetcloud/billet/internal/enginetest"
	"github.com/billetcloud/billet/internal/id"
	"github.com/billetcloud/billet/internal/mail"
	"github.com/billetcloud/billet/internal/money"
	"github.com/billetcloud/billet/internal/operator"
	"github.com/billetcloud/billet/internal/secret"
	"github.com/billetcloud/billet/internal/settings"
	"github.com/billetcloud/billet/internal/signup"
	"github.com/billetcloud/billet/internal/volume"
)

var from = netip.MustParseAddr("192.0.2.1")

// rig is an installation that can send mail.
type rig struct {
	*enginetest.Kit
	t        *testing.T
	secrets  *secret.Box
	settings *settings.Service
	accounts *account.Service
	signup   *signup.Service
	unlinked *signup.Service // without a public URL
	cfg      signup.Config
}

func newRig(t *testing.T, d *db.DB, c *clock.Simulated) *rig {
	r := &rig{Kit: enginetest.New(t, d, c), t: t}
	var err error
	r.secrets, err = secret.New(make([]byte, 32))
	r.Must(err)
	r.accounts = account.New(account.Config{
		DB: d, IDs: r.IDs, Rand: rand.Reader, Clock: c, Real: c.Now, Secrets: r.secrets, CheapPasswords: true,
	})
	r.settings = settings.New(settings.Config{DB: d, Secrets: r.secrets, Real: c.Now})
	public := &url.URL{Scheme: "https", Host: "gpu.example.com"}
	mails := mail.New(mail.Config{
		DB: d, IDs: r.IDs, Clock: c, Log: slog.New(slog.DiscardHandler), Settings: r.settings, Accounts: r.accounts,
		Jobs: r.Jobs, Secrets: r.secrets, Chance: func() float64 { return 0.5 }, PublicURL: public,
	})
	credits := credit.New(credit.Config{DB: d, IDs: r.IDs, Wallet: r.Wallet, Events: r.Events, Jobs: r.Jobs})
	cfg := signup.Config{
		DB: d, Accounts: r.accounts, Settings: r.settings, Credits: credits, Mail: mails,
		Altcha: altcha.New(altcha.Config{Rand: rand.Reader, Now: c.Now, Secrets: r.secrets}),
		Operator: operator.New(operator.Config{
			IDs: r.IDs, Accounts: r.accounts, Wallet: r.Wallet, Credits: credits, Jobs: r.Jobs, Events: r.Events,
			Mail:        mails,
			Deployments: deployment.New(deployment.Config{DB: d}), Volumes: volume.New(volume.Config{DB: d}),
			Audit: audit.New(r.IDs),
		}),
	}
	r.unlinked = signup.New(cfg)
	cfg.PublicURL = public
	r.signup, r.cfg = signup.New(cfg), cfg
	r.set("mail.host=smtp.example.com", "mail.fromAddress=no-reply@example.com", "signUp.policy=open")
	return r
}

func (r *rig) set(assignments ...string) {
	r.t.Helper()
	c, err := settings.Assign(assignments)
	r.Must(err)
	r.MustTx(func(ctx context.Context, tx *db.Tx) error {
		_, err := r.settings.Update(ctx, tx, c)
		return err
	})
}

func (r *rig) solution(use signup.Use) string {
	r.t.Helper()
	c, err := r.signup.Challenge(use)
	r.Must(err)
	return altchatest.Solve(r.t, c).Text(r.t)
}

func (r *rig) register(email string) error {
	r.t.Helper()
	return r.signup.Register(r.t.Context(),
		signup.Registration{Email: email, Solution: r.solution(signup.RegistrationForm)}, from)
}

func (r *rig) reset(email string) error {
	r.t.Helper()
	return r.signup.RequestPasswordReset(r.t.Context(), email, r.solution(signup.PasswordResetForm), from)
}

func (r *rig) invite(email string) error {
	return r.Tx(func(ctx context.Context, tx *db.Tx) error {
		_, err := r.signup.Invite(ctx, tx, email)
		return err
	})
}

// mails returns the kinds of the mails to an address, and the link of the newest.
func (r *rig) mails(to string) (kinds []string, link string) {
	r.t.Helper()
	type sent struct {
		id     id.ID
		kind   string
		sealed string
	}
	all, err := db.Collect(r.t.Context(), r.DB, func(row db.Row) (s sent, err error) {
		return s, row.Scan(&s.id, &s.kind, &s.sealed)
	}, `SELECT id, kind, data FROM mail WHERE recipient = $1 ORDER BY id`, to)
	r.Must(err)
	for _, s := range all {
		var said struct{ Link string }
		text, err := r.secrets.Open("mail/"+string(s.id), s.sealed)
		r.Must(err)
		r.Must(json.Unmarshal(text, &said))
		kinds, link = append(kinds, s.kind), said.Link
	}
	return kinds, link
}

// token returns the secret of the newest link to an address, which leads to that page.
func (r *rig) token(to, page string) string {
	r.t.Helper()
	_, link := r.mails(to)
	token, found := strings.CutPrefix(link, "https://gpu.example.com"+page+"#")
	if !found || token == "" {
		r.t.Fatalf("the link is %q, want one to %s", link, page)
	}
	return token
}

func (r *rig) complete(c signup.Completion, email string) (account.User, error) {
	r.t.Helper()
	n, err := r.accounts.Prepare(r.t.Context(), account.UserRequest{
		Email: email, Password: "correct horse battery", Name: "Ada",
	})
	r.Must(err)
	var p account.Proof
	err = r.Tx(func(ctx context.Context, tx *db.Tx) error {
		p, err = r.signup.Complete(ctx, tx, c, n)
		return err
	})
	return p.User, err
}

// join registers an address, and returns the balance and the name of the account.
func (r *rig) join(email, accountName string) (money.Micros, string) {
	r.t.Helper()
	r.Must(r.register(email))
	u, err := r.complete(signup.Completion{Token: r.token(email, "/sign-up/complete"), AccountName: accountName}, email)
	r.Must(err)
	var of id.ID
	r.Must(r.DB.QueryRow(r.t.Context(), `SELECT account_id FROM membership WHERE user_id = $1`, u.ID).Scan(&of))
	a, err := r.accounts.Get(r.t.Context(), r.DB, of)
	r.Must(err)
	return r.WalletOf(of).Available, a.Name
}

func TestRegistrationGivesAnAccount(t *testing.T) {
	dbtest.Engines(t, func(t *testing.T, d *db.DB, c *clock.Simulated) {
		r := newRig(t, d, c)
		if credit, name := r.join("ada@example.com", ""); credit != 0 || name != "ada" {
			t.Errorf("%s for %q, want nothing for the name of the address", credit, name)
		}
		r.set("signUp.startingCredit=5")
		if credit, name := r.join("bob@example.com", "Bob's lab"); credit != 5*money.USD || name != "Bob's lab" {
			t.Errorf("%s for %q, want the starting credit for the name that was given", credit, name)
		}
		if credit, _ := r.join("bob+again@example.com", ""); credit != 0 {
			t.Errorf("a mailbox has the starting credit twice: %s", credit)
		}
	})
}

// A starting credit that expires does so, counted from the sign-up. Nothing is left then.
func TestTheStartingCreditExpires(t *testing.T) {
	dbtest.Engines(t, func(t *testing.T, d *db.DB, c *clock.Simulated) {
		r := newRig(t, d, c)
		r.Runner.Handle(credit.KindExpire, r.cfg.Credits.Expire)
		r.Runner.Handle(credit.KindRemind, r.cfg.Credits.Remind)
		r.set("signUp.startingCredit=5", "signUp.startingCreditDays=30")
		r.join("ada@example.com", "")
		r.set("signUp.startingCreditDays=0") // what was given stays as it is
		r.join("bob@example.com", "")
		of := func(name string) money.Micros {
			t.Helper()
			var account id.ID
			r.Must(d.QueryRow(t.Context(), `SELECT id FROM account WHERE name = $1`, name).Scan(&account))
			return r.WalletOf(account).Available
		}
		for _, step := range []struct {
			pass     time.Duration
			ada, bob money.Micros
		}{{30*24*time.Hour - time.Minute, 5 * money.USD, 5 * money.USD}, {time.Minute, 0, 5 * money.USD}} {
			r.Pass(step.pass)
			if ada, bob := of("ada"), of("bob"); ada != step.ada || bob != step.bob {
				t.Errorf("%s and %s are left, want %s and %s", ada, bob, step.ada, step.bob)
			}
		}
	})
}

// Only the mail to an address says that a user has it.
func TestAKnownAddressIsToldByMailOnly(t *testing.T) {
	dbtest.Engines(t, func(t *testing.T, d *db.DB, c *clock.Simulated) {
		r := newRig(t, d, c)
		r.join("ada@example.com", "")
		r.Must(r.register("Ada@example.com "))
		r.Must(r.reset("ada@example.com"))
		known, _ := r.mails("ada@example.com")
		if want := []string{"verify_address", "address_known", "password_reset"}; !slices.Equal(known, want) {
			t.Errorf("mails %v, want %v", known, want)
		}
		r.token("ada@example.com", "/reset-password")
		r.Must(r.reset("unknown@example.com"))
		kinds, link := r.mails("unknown@example.com")
		if !slices.Equal(kinds, []string{"address_unknown"}) || link != "" {
			t.Errorf("mails %v with the link %q", kinds, link)
		}
	})
}

func TestService_Options(t *testing.T) {
	dbtest.Engines(t, func(t *testing.T, d *db.DB, c *clock.Simulated) {
		r := newRig(t, d, c)
		check := func(s *signup.Service, open, reset bool, domains ...string) {
			t.Helper()
			c.Advance(time.Minute) // settings are kept for seconds
			o, err := s.Options(t.Context())
			if err != nil || o.Open != open || o.PasswordReset != reset || !slices.Equal(o.Domains, domains) ||
				o.Domains == nil {
				t.Errorf("%+v, %v", o, err)
			}
		}
		check(r.signup, true, true)
		check(r.unlinked, false, false)
		r.set("signUp.policy=domains", "signUp.domains=example.org")
		check(r.signup, true, true, "example.org")
		r.set("signUp.policy=invitation")
		check(r.signup, false, true)
		r.set("signUp.policy=open", "mail.host=")
		check(r.signup, false, false)
		r.set("installation.termsUrl=https://example.com/t", "installation.termsVersion=2028-01",
			"installation.privacyUrl=https://example.com/p")
		o, err := r.signup.Options(t.Context())
		if err != nil || o.TermsURL != "https://example.com/t" || o.TermsVersion != "2028-01" ||
			o.PrivacyURL != "https://example.com/p" {
			t.Errorf("%+v, %v", o, err)
		}
	})
}

// wantFields wants INVALID_REQUEST with exactly those fields.
func wantFields(t *testing.T, err error, want ...string) {
	t.Helper()
	enginetest.WantError(t, err, apierr.InvalidRequest)
	var got []string
	if e, is := errors.AsType[*apierr.Error](err); is {
		for _, f := range e.Fields() {
			got = append(got, f.Field)
		}
	}
	if !slices.Equal(got, want) {
		t.Errorf("%v: the fields are %v, want %v", err, got, want)
	}
}

func TestRegisterRefuses(t *testing.T) {
	dbtest.Engines(t, func(t *testing.T, d *db.DB, c *clock.Simulated) {
		r := newRig(t, d, c)
		// Every invalid field is named at once.
		err := r.signup.Register(t.Context(), signup.Registration{Email: "ada", Solution: "x"}, from)
		wantFields(t, err, "email", "solution")
		wantFields(t, r.register("ada"), "email")
		err = r.signup.RequestPasswordReset(t.Context(), "ada", r.solution(signup.RegistrationForm), from)
		wantFields(t, err, "email", "solution")
		once := signup.Registration{Email: "ada@example.com", Solution: r.solution(signup.RegistrationForm)}
		r.Must(r.signup.Register(t.Context(), once, from))
		enginetest.WantError(t, r.signup.Register(t.Context(), once, from), apierr.InvalidRequest, "solution", "20m0s")

		r.set("signUp.policy=domains", "signUp.domains=example.org")
		enginetest.WantError(t, r.register("ada@example.com"), apierr.InvalidRequest, "example.org")
		r.Must(r.register(" ada@example.org "))
		r.set("signUp.policy=invitation")
		enginetest.WantError(t, r.register("ada@example.com"), apierr.SignUpClosed, "by invitation only")
		r.set("signUp.policy=closed")
		enginetest.WantError(t, r.register("ada@example.com"), apierr.SignUpClosed, "closed")
		enginetest.WantError(t, r.invite("ada@example.com"), apierr.Conflict, "Sign-up is closed")

		r.set("signUp.policy=open")
		enginetest.WantError(t, r.unlinked.Register(t.Context(), once, from), apierr.ServiceUnavailable, "send email")
		err = r.unlinked.RequestPasswordReset(t.Context(), once.Email, once.Solution, from)
		enginetest.WantError(t, err, apierr.ServiceUnavailable, "send email")
		r.set("mail.host=")
		enginetest.WantError(t, r.register("ada@example.com"), apierr.ServiceUnavailable, "send email")
		enginetest.WantError(t, r.reset("ada@example.com"), apierr.ServiceUnavailable, "send email")
		enginetest.WantError(t, r.invite("ada@example.com"), apierr.ServiceUnavailable, "mail server")
	})
}

// Mails to one address are limited, and each request has a limit of its own.
func TestMailsAreLimited(t *testing.T) {
	dbtest.Engines(t, func(t *testing.T, d *db.DB, c *clock.Simulated) {
		r := newRig(t, d, c)
		for _, request := range []func(string) error{r.register, r.reset} {
			for range 3 {
				r.Must(request("ada@example.com"))
			}
			enginetest.WantError(t, request("ada@example.com"), apierr.RateLimitExceeded)
		}
	})
}

func TestInvitation(t *testing.T) {
	dbtest.Engines(t, func(t *testing.T, d *db.DB, c *clock.Simulated) {
		r := newRig(t, d, c)
		r.join("ada@example.com", "")
		r.set("signUp.policy=invitation")
		enginetest.WantError(t, r.invite("ada@example.com"), apierr.Conflict, "already exists")
		r.Must(r.invite("bob@example.com"))
		if kinds, _ := r.mails("bob@example.com"); !slices.Equal(kinds, []string{"sign_up_invitation"}) {
			t.Errorf("mails %v", kinds)
		}
		link := signup.Completion{Token: r.token("bob@example.com", "/sign-up/complete")}
		_, err := r.complete(link, "bob@example.com")
		r.Must(err)
	})
}

// What was valid when the link was sent is checked again when it is used.
func TestCompleteRefuses(t *testing.T) {
	dbtest.Engines(t, func(t *testing.T, d *db.DB, c *clock.Simulated) {
		r := newRig(t, d, c)
		_, err := r.complete(signup.Completion{Token: "none"}, "ada@example.com")
		enginetest.WantError(t, err, apierr.NotFound)
		r.Must(r.register("ada@example.com"))
		link := signup.Completion{Token: r.token("ada@example.com", "/sign-up/complete")}
		r.set("signUp.policy=invitation")
		_, err = r.complete(link, "ada@example.com")
		enginetest.WantError(t, err, apierr.SignUpClosed)
		r.set("signUp.policy=open", "installation.termsUrl=https://example.com/t", "installation.termsVersion=2028-01")
		_, err = r.complete(link, "ada@example.com")
		enginetest.WantError(t, err, apierr.InvalidRequest, "termsVersion", "2028-01")
		link.AccountName, link.TermsVersion = strings.Repeat("x", 1000), "2028-01"
		_, err = r.complete(link, "ada@example.com")
		enginetest.WantError(t, err, apierr.InvalidRequest, "name")
		link.AccountName = ""
		u, err := r.complete(link, "ada@example.com")
		r.Must(err)
		var accepted string
		r.Must(d.QueryRow(t.Context(), `SELECT version FROM terms_acceptance WHERE user_id = $1`, u.ID).Scan(&accepted))
		if accepted != "2028-01" {
			t.Errorf("%q was accepted", accepted)
		}
		_, err = r.complete(link, "ada@example.com")
		enginetest.WantError(t, err, apierr.NotFound)
	})
}

// Challenges that expired are forgotten, and no solution of one is accepted again.
func TestService_Forget(t *testing.T) {
	dbtest.Engines(t, func(t *testing.T, d *db.DB, c *clock.Simulated) {
		r := newRig(t, d, c)
		r.Must(r.register("ada@example.com"))
		count := func() (n int) {
			r.Must(d.QueryRow(t.Context(), `SELECT COUNT(*) FROM altcha_solved`).Scan(&n))
			return n
		}
		r.Must(r.signup.Forget(t.Context()))
		if n := count(); n != 1 {
			t.Errorf("%d solutions are kept, want 1", n)
		}
		c.Advance(altcha.Lifetime)
		r.Must(r.signup.Forget(t.Context()))
		if n := count(); n != 0 {
			t.Errorf("%d solutions are kept after they expired", n)
		}
	})
}

// A statement that fails fails the operation: no user without their account or starting credit.
func TestNoFailedStatementIsIgnored(t *testing.T) {
	t.Parallel()
	c := clock.NewFrozen(dbtest.Start)
	d, faults := dbtest.Recorded(t, db.SQLite, c)
	r := newRig(t, d, c)
	r.set("signUp.startingCredit=5")
	stale := func() { c.Advance(time.Minute) } // so that the settings are read again
	faults.FailEach(t, "Options", func() error { stale(); _, err := r.signup.Options(t.Context()); return err })
	faults.FailEach(t, "Forget", func() error { return r.signup.Forget(t.Context()) })
	n, err := r.accounts.Prepare(t.Context(), account.UserRequest{
		Email: "ada@example.com", Password: "correct horse battery", Name: "Ada",
	})
	r.Must(err)
	r.Must(r.register("ada@example.com"))
	token := r.token("ada@example.com", "/sign-up/complete")
	faults.FailEachTx(t, "Complete", d, func(ctx context.Context, tx *db.Tx) error {
		stale()
		_, err := r.signup.Complete(ctx, tx, signup.Completion{Token: token}, n)
		return err
	})
	faults.FailEachTx(t, "Invite", d, func(ctx context.Context, tx *db.Tx) error {
		stale()
		_, err := r.signup.Invite(ctx, tx, "bob@example.com")
		return err
	})
}

// A server with a missing part does not start, instead of failing at the first registration.
func TestNew_needsEveryField(t *testing.T) {
	t.Parallel()
	c := clock.NewFrozen(dbtest.Start)
	r := newRig(t, dbtest.SQLite(t, c), c)
	for name, remove := range map[string]func(*signup.Config){
		"DB":       func(c *signup.Config) { c.DB = nil },
		"Accounts": func(c *signup.Config) { c.Accounts = nil },
		"Operator": func(c *signup.Config) { c.Operator = nil },
		"Settings": func(c *signup.Config) { c.Settings = nil },
		"Wallet":   func(c *signup.Config) { c.Credits = nil },
		"Mail":     func(c *signup.Config) { c.Mail = nil },
		"Altcha":   func(c *signup.Config) { c.Altcha = nil },
	} {
		func() {
			defer func() {
				if recover() == nil {
					t.Errorf("a service without %s is made", name)
				}
			}()
			cfg := r.cfg
			remove(&cfg)
			signup.New(cfg)
		}()
	}
}
