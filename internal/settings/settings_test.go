package settings_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/billetcloud/billet/internal/apierr"
	"github.com/billetcloud/billet/internal/clock"
	"github.com/billetcloud/billet/internal/db"
	"github.com/billetcloud/billet/internal/db/dbtest"
	"github.com/billetcloud/billet/internal/health"
	"github.com/billetcloud/billet/internal/money"
	"github.com/billetcloud/billet/internal/secret"
	"github.com/billetcloud/billet/internal/settings"
	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
)

// machine is a clock that stands still until a test moves it.
type machine struct {
	mu  sync.Mutex
	now time.Time
}

func (m *machine) Now() time.Time {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.now
}

func (m *machine) advance(d time.Duration) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.now = m.now.Add(d)
}

func newService(t *testing.T, d *db.DB, m *machine) *settings.Service {
	t.Helper()
	box, err := secret.New(make([]byte, 32))
	if err != nil {
		t.Fatal(err)
	}
	return settings.New(settings.Config{DB: d, Real: m.Now, Secrets: box})
}

func update(t *testing.T, d *db.DB, s *settings.Service, assignments ...string) (out settings.Settings, err error) {
	t.Helper()
	c, err := settings.Assign(assignments)
	if err != nil {
		t.Fatal(err)
	}
	return change(t, d, s, c)
}

func change(t *testing.T, d *db.DB, s *settings.Service, c settings.Change) (out settings.Settings, err error) {
	t.Helper()
	err = d.InTx(t.Context(), func(ctx context.Context, tx *db.Tx) error {
		out, err = s.Update(ctx, tx, c)
		return err
	})
	return out, err
}

func current(t *testing.T, s *settings.Service) settings.Settings {
	t.Helper()
	now, err := s.Current(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return now
}

func fields(t *testing.T, err error) []string {
	t.Helper()
	e, is := errors.AsType[*apierr.Error](err)
	if !is {
		t.Fatalf("%v", err)
	}
	var names []string
	for _, f := range e.Fields() {
		names = append(names, f.Field)
	}
	return names
}

func TestService_Update(t *testing.T) {
	dbtest.Engines(t, func(t *testing.T, d *db.DB, c *clock.Simulated) {
		s := newService(t, d, &machine{now: c.Now()})
		want := settings.Settings{
			Installation: settings.Installation{Name: "Billet"},
			Mail:         settings.Mail{Port: 587, TLS: settings.StartTLS},
			SignUp:       settings.SignUp{Policy: settings.Closed, Domains: []string{}},
			Payments: settings.Payments{
				Processor: settings.NoPayments, Minimum: 10_000_000, Maximum: 10_000_000_000,
			},
			ServiceCredits: settings.ServiceCredits{
				Mode: settings.ServiceCreditsReview, FactorPercent: 100, MinimumMinutes: 10, AutomaticBelow: 50_000_000,
			},
			GPUHealth: settings.GPUHealth{
				Policy: health.Off, Off: []string{}, Report: []string{}, Require: []string{},
			},
		}
		ignore := cmpopts.IgnoreUnexported(settings.Settings{})
		if diff := cmp.Diff(want, current(t, s), ignore); diff != "" {
			t.Errorf("before the first change: %s", diff)
		}
		secretWord := "correct horse"
		c1, err := settings.Assign([]string{
			"installation.name=Example Cloud", "mail.host=smtp.example.com", "mail.user=u",
			"mail.fromAddress=no-reply@example.com", "signUp.policy=domains",
			"signUp.domains=Example.com,b.example,example.com",
			"signUp.startingCredit=5", "signUp.startingCreditDays=90", "publicPages.prices=true",
		})
		if err != nil {
			t.Fatal(err)
		}
		c1.Mail.Password = &secretWord
		got, err := change(t, d, s, c1)
		if err != nil {
			t.Fatal(err)
		}
		now := c.Now().Truncate(time.Microsecond)
		want = settings.Settings{
			Version: 1, ChangedAt: &now,
			Installation: settings.Installation{Name: "Example Cloud"},
			Mail: settings.Mail{
				Configured: true, Host: "smtp.example.com", Port: 587, TLS: settings.StartTLS, User: "u",
				PasswordSet: true,
				FromAddress: "no-reply@example.com",
			},
			SignUp: settings.SignUp{
				Policy: settings.Domains, Domains: []string{"example.com", "b.example"}, StartingCredit: 5_000_000,
				StartingCreditDays: 90,
			},
			PublicPages: settings.PublicPages{Prices: true},
			Payments: settings.Payments{
				Processor: settings.NoPayments, Minimum: 10_000_000, Maximum: 10_000_000_000,
			},
			ServiceCredits: settings.ServiceCredits{
				Mode: settings.ServiceCreditsReview, FactorPercent: 100, MinimumMinutes: 10, AutomaticBelow: 50_000_000,
			},
			GPUHealth: settings.GPUHealth{
				Policy: health.Off, Off: []string{}, Report: []string{}, Require: []string{},
			},
		}
		for name, got := range map[string]settings.Settings{"returned": got, "current": current(t, s)} {
			if diff := cmp.Diff(want, got, ignore); diff != "" {
				t.Errorf("%s: %s", name, diff)
			}
			if p, err := s.Password(got); err != nil || p != secretWord {
				t.Errorf("%s: the password is %q, %v", name, p, err)
			}
		}
		if _, err := update(t, d, s, "publicPages.status=true"); err != nil {
			t.Fatal(err)
		}
		if now := current(t, s); now.Version != 2 || now.Installation.Name != "Example Cloud" || !now.Mail.PasswordSet {
			t.Errorf("a change of one group: %+v", now)
		}
	})
}

func TestPasswordIsSealed(t *testing.T) {
	dbtest.Engines(t, func(t *testing.T, d *db.DB, c *clock.Simulated) {
		s := newService(t, d, &machine{now: c.Now()})
		word, user := "correct horse", "u"
		on := settings.MailChange{User: &user, Password: &word}
		if _, err := change(t, d, s, settings.Change{Mail: on}); err != nil {
			t.Fatal(err)
		}
		var kept, mail string
		if err := d.QueryRow(t.Context(), `SELECT mail_password, mail FROM settings`).Scan(&kept, &mail); err != nil {
			t.Fatal(err)
		}
		if strings.Contains(kept+mail, word) || kept == "" {
			t.Errorf("the database has %q and %q", kept, mail)
		}
		none := ""
		off, err := change(t, d, s, settings.Change{Mail: settings.MailChange{User: &none, Password: &none}})
		if p, _ := s.Password(off); err != nil || p != "" || off.Mail.PasswordSet {
			t.Errorf("a deleted password: %q, %v", p, err)
		}
	})
}

func TestUpdateNamesEveryFault(t *testing.T) {
	d, m := dbtest.SQLite(t, clock.NewFrozen(dbtest.Start)), &machine{now: dbtest.Start}
	s := newService(t, d, m)
	for name, c := range map[string]struct{ assignments, want []string }{
		"all at once": {
			[]string{
				"installation.name= x", "installation.supportAddress=no-one",
				"installation.termsUrl=javascript:alert(1)",
				"installation.privacyUrl=https://u:p@example.com", "mail.host=smtp.example.com:25", "mail.port=0",
				"mail.tls=ssl", "mail.user=u", "mail.replyTo=a@b", "signUp.policy=some", "signUp.domains=x_y.example",
				"signUp.startingCredit=10001", "signUp.startingCreditDays=3651",
			},
			[]string{
				"installation.name", "installation.supportAddress", "installation.termsUrl", "installation.privacyUrl",
				"installation.termsVersion", "mail.host", "mail.tls", "mail.password", "mail.fromAddress",
				"mail.replyTo", "signUp.policy", "signUp.domains[0]", "signUp.startingCredit",
				"signUp.startingCreditDays",
			},
		},
		"no domain": {[]string{"signUp.policy=domains"}, []string{"signUp.domains"}},
		"terms without a version": {
			[]string{"installation.termsUrl=https://e.example/t"}, []string{"installation.termsVersion"},
		},
		"a header in the name": {[]string{"mail.fromName=x\r\nBcc: a@b.example"}, []string{"mail.fromName"}},
		"a port beyond":        {[]string{"mail.port=65536"}, []string{"mail.port"}},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := update(t, d, s, c.assignments...)
			if diff := cmp.Diff(c.want, fields(t, err)); diff != "" {
				t.Error(diff)
			}
		})
	}
	if now := current(t, s); now.Version != 0 {
		t.Errorf("a refused change was kept: %+v", now)
	}
}

func TestPasswordIsNotSentInTheClear(t *testing.T) {
	d := dbtest.SQLite(t, clock.NewFrozen(dbtest.Start))
	s := newService(t, d, &machine{now: dbtest.Start})
	word := "p"
	for host, refused := range map[string]bool{
		"smtp.example.com": true, "10.0.0.1": true, "localhost": false, "127.0.0.1": false, "::1": false,
	} {
		c, err := settings.Assign([]string{
			"mail.host=" + host, "mail.tls=none", "mail.user=u", "mail.fromAddress=a@b.example",
		})
		if err != nil {
			t.Fatal(err)
		}
		c.Mail.Password = &word
		_, err = change(t, d, s, c)
		if refused != (err != nil) || refused && !slices.Equal(fields(t, err), []string{"mail.tls"}) {
			t.Errorf("%s: %v", host, err)
		}
	}
}

// Who may change the settings does not learn the password by naming another server.
func TestStoredPasswordStaysWithItsServer(t *testing.T) {
	t.Parallel()
	d := dbtest.SQLite(t, clock.NewFrozen(dbtest.Start))
	s := newService(t, d, &machine{now: dbtest.Start})
	word := "p"
	with := func(password *string, assignments ...string) error {
		c, err := settings.Assign(assignments)
		if err != nil {
			t.Fatal(err)
		}
		c.Mail.Password = password
		_, err = change(t, d, s, c)
		return err
	}
	if err := with(&word, "mail.host=localhost", "mail.user=u", "mail.fromAddress=a@b.example"); err != nil {
		t.Fatal(err)
	}
	for _, a := range []string{"mail.host=smtp.example.com", "mail.port=2525", "mail.tls=none"} {
		if got := fields(t, with(nil, a)); !slices.Equal(got, []string{"mail.password"}) {
			t.Errorf("%s: %v", a, got)
		}
	}
	for _, a := range []string{"mail.host=LOCALHOST", "mail.tls=tls", "mail.host=", "mail.fromName=x"} {
		if err := with(nil, a); err != nil {
			t.Errorf("%s: %v", a, err)
		}
	}
	if got := fields(t, with(nil, "mail.host=smtp.example.com")); !slices.Equal(got, []string{"mail.password"}) {
		t.Errorf("a new server after none: %v", got)
	}
	if err := with(&word, "mail.host=smtp.example.com", "mail.port=2525"); err != nil {
		t.Errorf("with its password: %v", err)
	}
}

// Another replica's change is seen within seconds, this process's at once.
func TestService_Current(t *testing.T) {
	dbtest.Engines(t, func(t *testing.T, d *db.DB, c *clock.Simulated) {
		m := &machine{now: c.Now()}
		here, there := newService(t, d, m), newService(t, d, m)
		current(t, here)
		current(t, there)
		if _, err := update(t, d, here, "installation.name=New"); err != nil {
			t.Fatal(err)
		}
		if got := current(t, here).Installation.Name; got != "New" {
			t.Errorf("here: %s", got)
		}
		if got := current(t, there).Installation.Name; got != "Billet" {
			t.Errorf("there the settings were read again at once: %s", got)
		}
		m.advance(3 * time.Second)
		if got := current(t, there).Installation.Name; got != "New" {
			t.Errorf("there, 3 s later: %s", got)
		}
		m.advance(-time.Hour)
		if got := current(t, there).Installation.Name; got != "New" {
			t.Errorf("with a clock that was set back: %s", got)
		}
	})
}

func TestConcurrentChangesAreAllKept(t *testing.T) {
	dbtest.Engines(t, func(t *testing.T, d *db.DB, c *clock.Simulated) {
		s := newService(t, d, &machine{now: c.Now()})
		var wg sync.WaitGroup
		for _, a := range []string{
			"installation.name=A", "publicPages.prices=true", "publicPages.status=true", "mail.port=25",
			"signUp.startingCredit=1", "signUp.policy=open",
		} {
			wg.Go(func() {
				if _, err := update(t, d, s, a); err != nil {
					t.Error(err)
				}
			})
		}
		wg.Wait()
		now := current(t, s)
		if now.Version != 6 || now.Installation.Name != "A" || !now.PublicPages.Prices || !now.PublicPages.Status ||
			now.Mail.Port != 25 || now.SignUp.StartingCredit != 1_000_000 || now.SignUp.Policy != settings.Open {
			t.Errorf("%+v", now)
		}
	})
}

func TestAssign(t *testing.T) {
	t.Parallel()
	_, err := settings.Assign([]string{
		"mail.hots=x", "mail.port", "mail.port=x", "publicPages.prices=si", "signUp.startingCredit=much",
		"mail.password=x",
		"", "mail=x",
	})
	want := []string{
		"mail.hots", "mail.port", "mail.port", "publicPages.prices", "signUp.startingCredit",
		"mail.password", "", "mail",
	}
	if diff := cmp.Diff(want, fields(t, err)); diff != "" {
		t.Error(diff)
	}
	for _, name := range settings.Names() {
		if _, err := settings.Assign([]string{name + "=1"}); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestServiceCreditsAreChecked(t *testing.T) {
	dbtest.Engines(t, func(t *testing.T, d *db.DB, _ *clock.Simulated) {
		s := newService(t, d, &machine{})
		mode, zero, many, debt := settings.ServiceCreditMode("sometimes"), int64(0), int64(1441), money.Micros(-1)
		_, err := change(t, d, s, settings.Change{ServiceCredits: settings.ServiceCreditsChange{
			Mode: &mode, FactorPercent: &zero, MinimumMinutes: &many, AutomaticBelow: &debt,
		}})
		var e *apierr.Error
		if !errors.As(err, &e) || len(e.Fields()) != 4 {
			t.Errorf("%v", err)
		}
		c, err := settings.Assign([]string{"serviceCredits.mode=automatic", "serviceCredits.minimumMinutes=0"})
		if err != nil {
			t.Fatal(err)
		}
		for range 2 { // what was left out is kept
			got, err := change(t, d, s, c)
			if err != nil || got.ServiceCredits != (settings.ServiceCredits{
				Mode: settings.ServiceCreditsAutomatic, FactorPercent: 100, AutomaticBelow: 50 * money.USD,
			}) {
				t.Errorf("%+v, %v", got.ServiceCredits, err)
			}
		}
	})
}

// TestAKeyOfTestModeIsRefused: Stripe's test cards would give credit that real machines are paid
// with.
func TestAKeyOfTestModeIsRefused(t *testing.T) {
	dbtest.Engines(t, func(t *testing.T, d *db.DB, c *clock.Simulated) {
		s := newService(t, d, &machine{now: c.Now()})
		key, secret, processor := "rk_test_12345678", "whsec_12345678", settings.Stripe
		payments := settings.PaymentsChange{Processor: &processor, StripeKey: &key, StripeWebhookSecret: &secret}
		_, err := change(t, d, s, settings.Change{Payments: payments})
		if err == nil || !slices.Equal(fields(t, err), []string{"payments.stripeKey"}) {
			t.Errorf("a test key: %v", err)
		}
		key = "rk_live_12345678"
		if _, err := change(t, d, s, settings.Change{Payments: payments}); err != nil {
			t.Errorf("a live key: %v", err)
		}
		key = "rk_test_12345678"
		if _, err := change(t, d, s, settings.Change{Payments: settings.PaymentsChange{StripeKey: &key}}); err == nil {
			t.Error("a test key replaces a live one")
		}
	})
}

func TestPaymentsAreBounded(t *testing.T) {
	d := dbtest.SQLite(t, clock.NewFrozen(dbtest.Start))
	s := newService(t, d, &machine{now: dbtest.Start})
	for field, most := range map[string]int{
		"bankRecipient": 100, "bankAccount": 64, "bankCode": 64, "bankName": 100, "bankNote": 500,
	} {
		if _, err := update(t, d, s, "payments."+field+"="+strings.Repeat("x", most)); err != nil {
			t.Errorf("%s of %d characters: %v", field, most, err)
		}
		_, err := update(t, d, s, "payments."+field+"="+strings.Repeat("x", most+1))
		if got := fieldsOrNone(t, err); !slices.Equal(got, []string{"payments." + field}) {
			t.Errorf("%s of %d characters: %v", field, most+1, err)
		}
	}
	if got, err := update(t, d, s, "payments.minimum=1", "payments.maximum=1000000"); err != nil ||
		got.Payments.Minimum != money.USD || got.Payments.Maximum != money.Dollars(1_000_000) {
		t.Errorf("the widest bounds: %+v, %v", got.Payments, err)
	}
	for field, amounts := range map[string][]string{
		"payments.minimum": {"0.99", "1.005"}, "payments.maximum": {"0.99", "1000000.01", "10.005"},
	} {
		for _, amount := range amounts {
			_, err := update(t, d, s, field+"="+amount)
			if got := fieldsOrNone(t, err); !slices.Equal(got, []string{field}) {
				t.Errorf("%s of %s: %v", field, amount, err)
			}
		}
	}
}

func TestSignUpHasAtMostAHundredDomains(t *testing.T) {
	d := dbtest.SQLite(t, clock.NewFrozen(dbtest.Start))
	s := newService(t, d, &machine{now: dbtest.Start})
	var domains []string
	for i := range 101 {
		domains = append(domains, fmt.Sprintf("d%d.example", i))
	}
	if _, err := update(t, d, s, "signUp.domains="+strings.Join(domains[:100], ",")); err != nil {
		t.Error(err)
	}
	_, err := update(t, d, s, "signUp.domains="+strings.Join(domains, ","))
	if got := fieldsOrNone(t, err); !slices.Equal(got, []string{"signUp.domains"}) {
		t.Errorf("101 domains: %v", err)
	}
}

// TestReplicaDoesNotFillTheCache: an export of usage asks for the settings, too, and what a replica
// says must not become what sign-up and payments go by.
func TestReplicaDoesNotFillTheCache(t *testing.T) {
	c := clock.NewFrozen(dbtest.Start)
	primary, stale := dbtest.SQLite(t, c), dbtest.SQLite(t, c)
	read, write := primary.Pools()
	pool, _ := stale.Pools()
	d := db.New(db.Config{
		Engine: db.SQLite, Write: write, Read: read, Clock: c,
		Trouble: func(error) db.Trouble { return db.NoTrouble },
		Replica: &db.Replica{Pool: pool, Lag: func() (time.Duration, bool) { return 0, true }},
	})
	s := newService(t, d, &machine{now: dbtest.Start})
	if _, err := update(t, d, s, "installation.name=Example Cloud"); err != nil {
		t.Fatal(err)
	}
	for _, ctx := range []context.Context{db.MayLag(t.Context()), t.Context()} {
		now, err := s.Current(ctx)
		if err != nil || now.Installation.Name != "Example Cloud" {
			t.Errorf("the name is %q, %v", now.Installation.Name, err)
		}
	}
}
