package servicecredit_test

import (
	"context"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/billetcloud/billet/internal/apierr"
	"github.com/billetcloud/billet/internal/clock"
	"github.com/billetcloud/billet/internal/db"
	"github.com/billetcloud/billet/internal/db/dbtest"
	"github.com/billetcloud/billet/internal/deployment"
	"github.com/billetcloud/billet/internal/enginetest"
	"github.com/billetcloud/billet/internal/id"
	"github.com/billetcloud/billet/internal/meter"
	"github.com/billetcloud/billet/internal/money"
	"github.com/billetcloud/billet/internal/secret"
	"github.com/billetcloud/billet/internal/servicecredit"
	"github.com/billetcloud/billet/internal/settings"
	"github.com/billetcloud/billet/internal/wallet"
)

const price = 8 * money.USD

// testKit is the service with an account that has a deployment of eight GPUs.
type testKit struct {
	*enginetest.Kit
	svc        *servicecredit.Service
	settings   *settings.Service
	account    id.ID
	deployment id.ID
	start      time.Time
}

func each(t *testing.T, f func(t *testing.T, k *testKit)) {
	dbtest.Engines(t, func(t *testing.T, d *db.DB, c *clock.Simulated) { f(t, newKit(t, d, c)) })
}

func newKit(t *testing.T, d *db.DB, c *clock.Simulated) *testKit {
	t.Helper()
	box, err := secret.New(make([]byte, 32))
	if err != nil {
		t.Fatal(err)
	}
	k := &testKit{Kit: enginetest.New(t, d, c)}
	k.IgnorePastDue()
	k.settings = settings.New(settings.Config{DB: d, Real: time.Now, Secrets: box})
	k.svc = servicecredit.New(servicecredit.Config{
		DB: d, IDs: k.IDs, Wallet: k.Wallet, Meter: k.Meter, Events: k.Events, Settings: k.settings,
	})
	k.Runner.Handle(deployment.KindDowntime, k.svc.Propose)
	k.account, k.deployment, k.start = k.NewAccount(1000*money.USD), k.IDs.New(id.Deployment), seconds(c.Now())
	k.MustTx(func(ctx context.Context, tx *db.Tx) error {
		_, err := tx.Exec(ctx, `INSERT INTO deployment (id, account_id, name, status, cause, reason, provider, region,
			offer_id, offer_key, gpu_type, gpu_count, instance_type, operating_system, hourly_price, cost_price,
			capabilities, authorized_keys, cloud_init, steps, action, action_argument, machine_id, address, ssh_user,
			ssh_port, ssh_host_keys, minimum_runtime, termination_protection, created_at, launch_by, started_at)
			VALUES ($1, $2, 'my-run', 'running', 'ready', '', 'voltage-park', 'dallas', 'off_1', 'k', 'NVIDIA B200', 8,
			'BARE_METAL', 'Ubuntu', $3, 0, '{}', '[]', '', '[]', '', '', 'm', '', '', 22, '[]', 0, 0, $4, $4, $4)`,
			k.deployment, k.account, price, k.start)
		if err != nil {
			return err
		}
		return k.Meter.Start(ctx, tx, meter.Start{
			Subject: k.deployment, Account: k.account, HourlyPrice: price, At: k.start, Description: "8 × NVIDIA B200",
			Labels: wallet.Labels{Name: "my-run"},
		})
	})
	return k
}

func seconds(t time.Time) time.Time { return t.UTC().Truncate(time.Second) }

func (k *testKit) at(minutes int) time.Time { return k.start.Add(time.Duration(minutes) * time.Minute) }

// set changes the settings.
func (k *testKit) set(c settings.ServiceCreditsChange) {
	k.Helper()
	k.MustTx(func(ctx context.Context, tx *db.Tx) error {
		_, err := k.settings.Update(ctx, tx, settings.Change{ServiceCredits: c})
		return err
	})
}

// down records a downtime that has ended, and runs what follows from it.
func (k *testKit) down(cause deployment.DowntimeCause, from, to int) {
	k.Helper()
	k.MustTx(func(ctx context.Context, tx *db.Tx) error {
		_, err := tx.Exec(ctx, `INSERT INTO deployment_downtime
			(deployment_id, from_at, seen_at, to_at, cause, provider, settled) VALUES ($1, $2, $2, $3, $4, 'p', 0)`,
			k.deployment, k.at(from), k.at(to), cause)
		if err != nil {
			return err
		}
		return k.Jobs.Enqueue(ctx, tx, k.account, deployment.KindDowntime, k.deployment, tx.Now)
	})
	k.Drain()
}

// all returns every service credit, oldest first.
func (k *testKit) all() []servicecredit.OperatorServiceCredit {
	k.Helper()
	out, _, err := k.svc.ListAll(k.Context(), k.DB, servicecredit.Filter{}, enginetest.FirstPage)
	k.Must(err)
	for i, j := 0, len(out)-1; i < j; i, j = i+1, j-1 {
		out[i], out[j] = out[j], out[i]
	}
	return out
}

func (k *testKit) create(from, to int, failed int64) (made servicecredit.ServiceCreditDetail, err error) {
	err = k.Tx(func(ctx context.Context, tx *db.Tx) error {
		made, err = k.svc.Create(ctx, tx, servicecredit.ServiceCreditDraft{
			DeploymentID: k.deployment, From: k.at(from), To: k.at(to), FailedGPUs: failed, Note: "Sorry.",
		}, servicecredit.By{User: "usr_a", Name: "Ada"})
		return err
	})
	return made, err
}

func (k *testKit) approve(credit id.ID) (c servicecredit.OperatorServiceCredit, changed bool, err error) {
	err = k.Tx(func(ctx context.Context, tx *db.Tx) error {
		c, changed, err = k.svc.Approve(ctx, tx, credit, servicecredit.By{User: "usr_b", Name: "Bob"})
		return err
	})
	return c, changed, err
}

// wantCredited fails the test unless the account has got so much, beside what hours cost.
func (k *testKit) wantCredited(want money.Micros) {
	k.Helper()
	k.CheckLedger()
	page, _, err := k.Wallet.Transactions(k.Context(), k.DB, k.account,
		wallet.Filter{Types: []wallet.Type{wallet.TypeCredit}}, enginetest.FirstPage)
	k.Must(err)
	var got money.Micros
	for _, t := range page {
		got += t.Amount
		if !strings.Contains(t.Description, "my-run") || !strings.Contains(t.Description, string(k.deployment)) {
			k.Fatalf("the statement says %q", t.Description)
		}
	}
	if got != want {
		k.Fatalf("credited %s, want %s", got, want)
	}
}

// wantHours fails the test unless the credit is of the second half of the first hour, and of a
// quarter of the next.
func (k *testKit) wantHours(credit id.ID) {
	k.Helper()
	detail, err := k.svc.Get(k.Context(), k.DB, credit)
	k.Must(err)
	if len(detail.Hours) != 2 || detail.Hours[0].Hour != 1 || detail.Hours[0].Seconds != 1800 ||
		detail.Hours[1].Amount != 2*money.USD || detail.Hours[1].Charged != price {
		k.Fatalf("%+v", detail.Hours)
	}
}

func TestMeasuredDowntimeIsProposedAndApproved(t *testing.T) {
	each(t, func(t *testing.T, k *testKit) {
		k.Pass(3 * time.Hour)
		k.down(deployment.DownLost, 30, 75)
		all := k.all()
		if len(all) != 1 || all[0].State != servicecredit.Proposed || all[0].Amount != 6*money.USD ||
			all[0].Cause != servicecredit.MachineLost || all[0].CreditedAt != nil || all[0].Automatic ||
			!strings.HasPrefix(all[0].Formula, "2700 s ÷ 3600 × $8.00 × 8 of 8 GPUs × 100%") {
			t.Fatalf("%+v", all)
		}
		k.wantCredited(0)
		k.wantHours(all[0].ID)
		for i := range 3 {
			c, changed, err := k.approve(all[0].ID)
			k.Must(err)
			if changed != (i == 0) || c.State != servicecredit.Approved || c.CreditedAt == nil ||
				c.Amount != 6*money.USD {
				t.Errorf("approval %d: %t, %+v", i, changed, c)
			}
		}
		k.wantCredited(6 * money.USD)
		if got := k.EventTypes(k.account, k.account); len(got) != 1 || got[0] != "service_credit" {
			t.Errorf("events: %q", got)
		}
		mine, _, err := k.svc.List(t.Context(), k.DB, k.account, k.deployment, enginetest.FirstPage)
		k.Must(err)
		others, _, err := k.svc.List(t.Context(), k.DB, k.NewAccount(0), "", enginetest.FirstPage)
		k.Must(err)
		if len(mine) != 1 || len(others) != 0 {
			t.Errorf("mine: %+v, others: %+v", mine, others)
		}
		err = k.Tx(func(ctx context.Context, tx *db.Tx) error {
			_, _, err := k.svc.Reject(ctx, tx, all[0].ID, "no", servicecredit.Host)
			return err
		})
		enginetest.WantError(t, err, apierr.Conflict, "approved")
	})
}

func TestSettingsDecideWhatDowntimeLeadsTo(t *testing.T) {
	each(t, func(t *testing.T, k *testKit) {
		k.Pass(5 * time.Hour)
		states := func() (out []servicecredit.State) {
			for _, c := range k.all() {
				out = append(out, c.State)
			}
			return out
		}
		want := func(what string, want ...servicecredit.State) {
			t.Helper()
			if got := states(); strings.Join(texts(got), " ") != strings.Join(texts(want), " ") {
				t.Fatalf("%s: %q, want %q", what, got, want)
			}
		}
		mode := func(m settings.ServiceCreditMode) *settings.ServiceCreditMode { return &m }
		k.down(deployment.DownLost, 0, 9)
		want("too short")
		k.set(settings.ServiceCreditsChange{Mode: mode(settings.ServiceCreditsOff)})
		k.down(deployment.DownLost, 10, 25)
		want("off")
		k.set(settings.ServiceCreditsChange{
			Mode: mode(settings.ServiceCreditsAutomatic), AutomaticBelow: new(4 * money.USD),
		})
		k.Drain()
		want("what was decided before")
		k.down(deployment.DownUnhealthy, 60, 90)
		want("automatic", servicecredit.Approved)
		if c := k.all()[0]; !c.Automatic || c.DecidedAt == nil {
			t.Errorf("%+v", c)
		}
		k.wantCredited(4 * money.USD)
		k.down(deployment.DownUnhealthy, 120, 151)
		want("over the limit", servicecredit.Approved, servicecredit.Proposed)
		k.down(deployment.DownOff, 180, 200)
		want("off by itself", servicecredit.Approved, servicecredit.Proposed, servicecredit.Proposed)
		for _, c := range k.all()[1:] {
			if c.Automatic {
				t.Errorf("%+v", c)
			}
		}
		k.wantCredited(4 * money.USD)
		k.set(settings.ServiceCreditsChange{Mode: mode(settings.ServiceCreditsReview), FactorPercent: new(int64(50))})
		k.down(deployment.DownLost, 240, 300)
		if c := k.all()[3]; c.Amount != 4*money.USD || c.FactorPercent != 50 {
			t.Errorf("half: %+v", c)
		}
	})
}

func texts[T ~string](all []T) (out []string) {
	for _, s := range all {
		out = append(out, string(s))
	}
	return out
}

func TestOverlappingCreditsDoNotAddUp(t *testing.T) {
	each(t, func(t *testing.T, k *testKit) {
		k.Pass(3 * time.Hour)
		var made []id.ID
		for _, c := range []struct {
			from, to int
			failed   int64
		}{{0, 60, 8}, {0, 60, 8}, {30, 90, 4}, {0, 120, 1}} {
			d, err := k.create(c.from, c.to, c.failed)
			k.Must(err)
			made = append(made, d.ID)
		}
		var wait sync.WaitGroup
		codes := make([]error, 4*len(made))
		for i := range codes {
			wait.Go(func() { _, _, codes[i] = k.approve(made[i%len(made)]) })
		}
		wait.Wait()
		for _, err := range codes {
			if err != nil && apierr.CodeOf(err) != apierr.Conflict {
				t.Fatal(err)
			}
		}
		// The first hour, then half of the GPUs for half an hour, then one for half an hour.
		k.wantCredited(price + 2*money.USD + 500_000)
		if _, err := k.create(0, 60, 8); apierr.CodeOf(err) != apierr.Conflict {
			t.Errorf("credited twice: %v", err)
		}
	})
}

func TestCreditIsWhatIsLeftAtItsApproval(t *testing.T) {
	each(t, func(t *testing.T, k *testKit) {
		k.Pass(50 * time.Minute)
		d, err := k.create(0, 50, 8)
		k.Must(err)
		k.set(settings.ServiceCreditsChange{FactorPercent: new(int64(1000))})
		all, err := k.create(10, 20, 8)
		k.Must(err)
		if want := money.ForSeconds(price, 3000); d.Amount != want || all.Amount != want {
			t.Fatalf("proposed %s and %s, want what 50 minutes cost, %s", d.Amount, all.Amount, want)
		}
		k.MustTx(func(ctx context.Context, tx *db.Tx) error {
			_, err := k.Meter.Stop(ctx, tx, k.deployment, k.at(30), meter.CurrentHour)
			return err
		})
		for _, of := range []id.ID{all.ID, d.ID} {
			if _, _, err := k.approve(of); err != nil && apierr.CodeOf(err) != apierr.Conflict {
				t.Fatal(err)
			}
		}
		k.wantCredited(price / 2) // which is what is left of the hour
	})
}

func TestCreateFindsEveryFault(t *testing.T) {
	each(t, func(t *testing.T, k *testKit) {
		k.Pass(2 * time.Hour)
		for name, c := range map[string]struct {
			from, to int
			failed   int64
			want     string
		}{
			"before the start": {-1, 10, 1, "from"},
			"in the future":    {0, 121, 1, "to"},
			"backwards":        {20, 10, 1, "to"},
			"no GPU":           {0, 10, 0, "failedGpus"},
			"more than it has": {0, 10, 9, "failedGpus"},
			"several of these": {-5, 10, 9, "from failedGpus"},
			"nothing is wrong": {0, 10, 8, ""},
		} {
			_, err := k.create(c.from, c.to, c.failed)
			var fields []string
			if e, is := err.(*apierr.Error); is {
				for _, f := range e.Fields() {
					fields = append(fields, f.Field)
				}
			}
			if strings.Join(fields, " ") != c.want || (err == nil) != (c.want == "") {
				t.Errorf("%s: %v: %q, want %q", name, err, fields, c.want)
			}
		}
		err := k.Tx(func(ctx context.Context, tx *db.Tx) error {
			none := servicecredit.ServiceCreditDraft{DeploymentID: "dep_none"}
			_, err := k.svc.Create(ctx, tx, none, servicecredit.Host)
			return err
		})
		enginetest.WantError(t, err, apierr.NotFound)
	})
}

func TestRejectedCreditIsNotBooked(t *testing.T) {
	each(t, func(t *testing.T, k *testKit) {
		k.Pass(2 * time.Hour)
		d, err := k.create(0, 60, 8)
		k.Must(err)
		reject := func(reason string) (c servicecredit.OperatorServiceCredit, changed bool, err error) {
			err = k.Tx(func(ctx context.Context, tx *db.Tx) error {
				c, changed, err = k.svc.Reject(ctx, tx, d.ID, reason, servicecredit.Host)
				return err
			})
			return c, changed, err
		}
		_, _, err = reject("")
		enginetest.WantError(t, err, apierr.InvalidRequest)
		for i := range 2 {
			c, changed, err := reject("The GPUs worked.")
			k.Must(err)
			if changed != (i == 0) || c.State != servicecredit.Rejected || c.Reason != "The GPUs worked." ||
				c.EnteredBy != "Ada" || c.DecidedBy != servicecredit.Host.Name {
				t.Errorf("rejection %d: %t, %+v", i, changed, c)
			}
		}
		_, _, err = k.approve(d.ID)
		enginetest.WantError(t, err, apierr.Conflict, "rejected")
		k.wantCredited(0)
		// The time can be credited by another one.
		again, err := k.create(0, 60, 8)
		k.Must(err)
		approved, _, err := k.approve(again.ID)
		k.Must(err)
		k.wantCredited(price)
		if approved.EnteredBy != "Ada" || approved.DecidedBy != "Bob" {
			t.Errorf("%+v", approved)
		}
	})
}

// What an operator enters is not approved by the same one if it is above the amount that
// adjustments need a second operator for. What is measured has no such operator.
func TestLargeCreditByHandNeedsASecondOperator(t *testing.T) {
	each(t, func(t *testing.T, k *testKit) {
		approve := func(credit, by id.ID) error {
			return k.Tx(func(ctx context.Context, tx *db.Tx) error {
				_, _, err := k.svc.Approve(ctx, tx, credit, servicecredit.By{User: by})
				return err
			})
		}
		k.Pass(5 * time.Hour)
		k.MustTx(func(ctx context.Context, tx *db.Tx) error {
			_, err := k.settings.UpdateOnHost(ctx, tx, settings.Change{
				Wallet: settings.WalletRulesChange{ApprovalAbove: new(price / 2)},
			})
			return err
		})
		large, err := k.create(0, 31, 8)
		k.Must(err)
		enginetest.WantError(t, approve(large.ID, "usr_a"), apierr.Conflict, "another operator")
		enginetest.WantError(t, approve(large.ID, ""), apierr.Conflict, "signed-in")
		k.wantCredited(0)
		k.Must(approve(large.ID, "usr_b"))
		k.Must(approve(large.ID, "usr_a")) // which changes nothing
		want := large.Amount
		k.wantCredited(want)

		exact, err := k.create(60, 90, 8)
		k.Must(err)
		k.Must(approve(exact.ID, "usr_a"))
		k.wantCredited(want + price/2)
		another, err := k.create(90, 91, 8) // many small ones count together
		k.Must(err)
		enginetest.WantError(t, approve(another.ID, "usr_a"), apierr.Conflict, "within 24 hours")
		k.Must(approve(another.ID, "usr_b"))
		want += price/2 + another.Amount
		k.wantCredited(want)

		k.down(deployment.DownUnhealthy, 120, 180)
		all := k.all()
		k.Must(approve(all[len(all)-1].ID, ""))
		k.wantCredited(want + price)
	})
}

func TestNoFailedStatementIsIgnored(t *testing.T) {
	t.Parallel()
	c := clock.NewFrozen(dbtest.Start)
	d, faults := dbtest.Recorded(t, db.SQLite, c)
	k := newKit(t, d, c)
	k.Pass(3 * time.Hour)
	k.MustTx(func(ctx context.Context, tx *db.Tx) error {
		_, err := tx.Exec(ctx, `INSERT INTO deployment_downtime
			(deployment_id, from_at, seen_at, to_at, cause, provider, settled) VALUES ($1, $2, $2, $3, 'lost', 'p', 0)`,
			k.deployment, k.at(0), k.at(30))
		return err
	})
	automatic := settings.ServiceCreditsAutomatic
	k.set(settings.ServiceCreditsChange{Mode: &automatic})
	faults.FailEach(t, "Propose", func() error { _, err := k.svc.Propose(t.Context(), k.deployment); return err })
	var made servicecredit.ServiceCreditDetail
	faults.FailEachTx(t, "Create", d, func(ctx context.Context, tx *db.Tx) (err error) {
		made, err = k.svc.Create(ctx, tx, servicecredit.ServiceCreditDraft{
			DeploymentID: k.deployment, From: k.at(60), To: k.at(90), FailedGPUs: 8,
		}, servicecredit.By{User: "usr_a", Name: "Ada"})
		return err
	})
	for name, f := range map[string]func() error{
		"Get": func() error { _, err := k.svc.Get(t.Context(), d, made.ID); return err },
		"List": func() error {
			_, _, err := k.svc.List(t.Context(), d, k.account, "", enginetest.FirstPage)
			return err
		},
	} {
		faults.FailEach(t, name, f)
	}
	faults.FailEachTx(t, "Approve", d, func(ctx context.Context, tx *db.Tx) error {
		_, _, err := k.svc.Approve(ctx, tx, made.ID, servicecredit.By{User: "usr_b"})
		return err
	})
	k.wantCredited(price)
	other, err := k.create(120, 150, 8)
	k.Must(err)
	faults.FailEachTx(t, "Reject", d, func(ctx context.Context, tx *db.Tx) error {
		_, _, err := k.svc.Reject(ctx, tx, other.ID, "no", servicecredit.Host)
		return err
	})
	k.wantCredited(price)
}
