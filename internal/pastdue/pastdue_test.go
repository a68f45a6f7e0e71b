package pastdue_test

import (
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"fmt"
	"log/slog"
	"testing"
	"time"

	"github.com/billetcloud/billet/internal/catalog"
	"github.com/billetcloud/billet/internal/clock"
	"github.com/billetcloud/billet/internal/db"
	"github.com/billetcloud/billet/internal/db/dbtest"
	"github.com/billetcloud/billet/internal/deployment"
	"github.com/billetcloud/billet/internal/enginetest"
	"github.com/billetcloud/billet/internal/event"
	"github.com/billetcloud/billet/internal/id"
	"github.com/billetcloud/billet/internal/job"
	"github.com/billetcloud/billet/internal/meter"
	"github.com/billetcloud/billet/internal/money"
	"github.com/billetcloud/billet/internal/pastdue"
	"github.com/billetcloud/billet/internal/provider"
	"github.com/billetcloud/billet/internal/provider/sim"
	"github.com/billetcloud/billet/internal/quote"
	"github.com/billetcloud/billet/internal/secret"
	"github.com/billetcloud/billet/internal/sshkey"
	"github.com/billetcloud/billet/internal/volume"
	"github.com/google/go-cmp/cmp"
	"golang.org/x/crypto/ssh"
)

// testKit has an account's deployments and volumes on the simulated marketplace.
type testKit struct {
	*enginetest.Kit
	t           *testing.T
	volumes     *volume.Service
	deployments *deployment.Service
	pastDue     *pastdue.Service
	account     id.ID
}

func each(t *testing.T, f func(t *testing.T, k *testKit)) {
	t.Parallel()
	dbtest.Engines(t, func(t *testing.T, d *db.DB, c *clock.Simulated) { f(t, newKit(t, d, c)) })
}

var terms = pastdue.Terms{Grace: time.Hour, KeepVolumes: 7 * 24 * time.Hour}

func newKit(t *testing.T, d *db.DB, c *clock.Simulated) *testKit {
	t.Helper()
	k := &testKit{Kit: enginetest.New(t, d, c), t: t}
	world, err := sim.Open(t.Context(), sim.Config{
		Dir: t.TempDir(), Clock: c, Log: slog.New(slog.DiscardHandler), Listen: sim.ListenBanner,
	})
	k.Must(err)
	t.Cleanup(func() { _ = world.Close() })
	providers := provider.NewRegistry(world.Providers()...)
	offers := catalog.New(catalog.Config{
		DB: d, IDs: k.IDs, Clock: c, Providers: providers, Jobs: k.Jobs, Log: k.Log,
		Markup: func(string) int64 { return 0 },
	})
	k.volumes = volume.New(volume.Config{
		DB: d, IDs: k.IDs, Clock: c, Log: k.Log, Catalog: offers, Meter: k.Meter, Wallet: k.Wallet,
		Providers: providers, Events: k.Events, Issues: k.Issues, Jobs: k.Jobs,
	})
	secrets, err := secret.New(make([]byte, 32))
	k.Must(err)
	k.deployments = deployment.New(deployment.Config{
		DB: d, IDs: k.IDs, Clock: c, Log: k.Log, Catalog: offers, SSHKeys: sshkey.New(sshkey.Config{DB: d, IDs: k.IDs}),
		Volumes: k.volumes, Wallet: k.Wallet, Meter: k.Meter, Events: k.Events, Issues: k.Issues, Jobs: k.Jobs,
		Providers: providers, Quotes: quote.New(k.IDs), Probe: provider.ProbeSSH, Secrets: secrets,
	})
	k.pastDue = pastdue.New(pastdue.Config{
		DB: d, Wallet: k.Wallet, Deployments: k.deployments, Volumes: k.volumes, Events: k.Events, Terms: terms,
	})
	k.HandleIssues(providers)
	k.Runner.Handle(deployment.KindReconcile, k.deployments.Reconcile)
	k.Runner.Handle(volume.KindVolume, k.volumes.Reconcile)
	k.Runner.Handle(meter.KindPastDue, k.pastDue.Reconcile)
	k.Runner.HandlePeriodic(catalog.KindSync, offers.Sync)
	k.Must(offers.Start(t.Context()))
	k.Drain()
	k.account = k.NewAccount(money.Dollars(1000))
	return k
}

// deploy starts a machine.
func (k *testKit) deploy() id.ID {
	k.Helper()
	public, _, err := ed25519.GenerateKey(rand.Reader)
	k.Must(err)
	key, err := ssh.NewPublicKey(public)
	k.Must(err)
	line := string(ssh.MarshalAuthorizedKey(key))
	var d deployment.Deployment
	k.MustTx(func(ctx context.Context, tx *db.Tx) (err error) {
		d, err = k.deployments.Create(ctx, tx, k.account, deployment.CreateRequest{
			OfferID: "off_abc123", Name: "run", SSHPublicKey: &line,
		})
		return err
	})
	k.Pass(2 * time.Minute)
	if got := k.deployment(d.ID).Status; got != deployment.StatusRunning {
		k.Fatalf("the deployment is %s, want it running", got)
	}
	return d.ID
}

func (k *testKit) deployment(d id.ID) deployment.Deployment {
	k.Helper()
	x, err := k.deployments.Get(k.Context(), k.DB, k.account, d)
	k.Must(err)
	return x
}

// createVolume creates a volume of 100 GB.
func (k *testKit) createVolume() id.ID {
	k.Helper()
	var v volume.Volume
	k.MustTx(func(ctx context.Context, tx *db.Tx) (err error) {
		v, err = k.volumes.Create(ctx, tx, k.account, volume.CreateRequest{
			Name: "data", SizeGB: 100, Provider: "voltage-park", Region: "dallas-usa-5",
		})
		return err
	})
	k.Pass(time.Minute)
	return v.ID
}

func (k *testKit) volume(v id.ID) volume.Volume {
	k.Helper()
	x, err := k.volumes.Get(k.Context(), k.DB, k.account, v)
	k.Must(err)
	return x
}

// debt takes all money and a dollar more, and returns since when the account is below zero.
func (k *testKit) debt(reference string) time.Time {
	k.Helper()
	k.Credit(k.account, -k.WalletOf(k.account).Available-money.USD, reference)
	k.Drain()
	return *k.WalletOf(k.account).NegativeSince
}

func (k *testKit) wantEvents(want ...string) {
	k.Helper()
	if diff := cmp.Diff(want, k.EventTypes(k.account, k.account)); diff != "" {
		k.Fatalf("the account's events (-want +got):\n%s", diff)
	}
}

// lastEvent returns the account's newest event.
func (k *testKit) lastEvent() event.Event {
	k.Helper()
	f := event.Filter{Subject: k.account}
	all, _, err := k.Events.History(k.Context(), k.DB, k.account, f, enginetest.FirstPage)
	k.Must(err)
	return all[0]
}

func TestStagesComeAtTheirTimes(t *testing.T) {
	each(t, func(t *testing.T, k *testKit) {
		d, v := k.deploy(), k.createVolume()
		k.Pass(30 * time.Minute) // past the minimum runtime
		k.wantEvents()
		since := k.debt("debt")
		k.wantEvents("past_due")
		want := map[string]any{
			"available": -1.0, "since": stamp(since), "deploymentsEndAt": stamp(since.Add(terms.Grace)),
			"volumesDeletedAt": stamp(since.Add(terms.KeepVolumes)),
		}
		if diff := cmp.Diff(want, k.lastEvent().Data); diff != "" {
			t.Errorf("the warning (-want +got):\n%s", diff)
		}
		k.Pass(since.Add(terms.Grace).Sub(k.Clock.Now()) - time.Second)
		k.wantEvents("past_due")
		if got := k.deployment(d); got.Status != deployment.StatusRunning {
			t.Fatalf("a second before the end of the grace period, the deployment is %s", got.Status)
		}
		k.Pass(time.Second)
		k.wantEvents("past_due", "deployments_ended")
		if got := k.lastEvent().Data["deployments"]; got != 1.0 {
			t.Errorf("deployments_ended says %v deployments, want 1", got)
		}
		k.Pass(time.Minute)
		if got := k.deployment(d); got.Status != deployment.StatusTerminated {
			t.Fatalf("after the grace period, the deployment is %s", got.Status)
		}
		k.Pass(since.Add(terms.KeepVolumes).Sub(k.Clock.Now()) - time.Second)
		if got := k.volume(v); got.Status != volume.StatusAvailable {
			t.Fatalf("a second before it is deleted, the volume is %s", got.Status)
		}
		k.Pass(time.Minute)
		k.wantEvents("past_due", "deployments_ended", "volumes_deleted")
		if got := k.volume(v); got.Status != volume.StatusDeleted {
			t.Fatalf("in the end, the volume is %s", got.Status)
		}
		k.Pass(48 * time.Hour)
		k.wantEvents("past_due", "deployments_ended", "volumes_deleted")
		k.CheckLedger()
	})
}

// stamp is how an event's data has a time.
func stamp(t time.Time) string { return t.UTC().Format(time.RFC3339Nano) }

func TestMoneyInTimeStopsEverything(t *testing.T) {
	each(t, func(t *testing.T, k *testKit) {
		d := k.deploy()
		k.Pass(30 * time.Minute)
		k.debt("debt")
		k.Pass(20 * time.Minute)
		k.Credit(k.account, money.Dollars(500), "in time")
		k.Drain()
		k.wantEvents("past_due", "recovered")
		got, want := fmt.Sprint(k.lastEvent().Data["available"]), k.WalletOf(k.account).Available
		if got != want.Decimal() {
			t.Errorf("recovered says that %v is available, want %s", got, want)
		}
		k.Pass(3 * time.Hour)
		k.wantEvents("past_due", "recovered")
		if got := k.deployment(d); got.Status != deployment.StatusRunning {
			t.Fatalf("the deployment is %s, want it running", got.Status)
		}
	})
}

// A new period below zero begins with a warning and a whole grace period.
func TestSecondDebtHasItsOwnGracePeriod(t *testing.T) {
	each(t, func(t *testing.T, k *testKit) {
		d := k.deploy()
		k.Pass(30 * time.Minute)
		k.debt("first")
		k.Pass(29 * time.Minute)
		// Credit and debt before the job runs: the account was never seen above zero.
		k.Credit(k.account, money.Dollars(500), "credit")
		k.Clock.Advance(time.Second)
		since := k.debt("second")
		k.wantEvents("past_due", "past_due")
		k.Pass(since.Add(terms.Grace).Sub(k.Clock.Now()) - time.Second)
		if got := k.deployment(d); got.Status != deployment.StatusRunning {
			t.Fatalf("within the new grace period, the deployment is %s", got.Status)
		}
		k.Pass(time.Minute)
		k.wantEvents("past_due", "past_due", "deployments_ended")
	})
}

func TestAccountAboveZeroIsLeftAlone(t *testing.T) {
	each(t, func(t *testing.T, k *testKit) {
		for range 2 {
			if out, err := k.pastDue.Reconcile(t.Context(), k.account); err != nil || out != job.Done() {
				t.Errorf("Reconcile = %+v, %v; want it done", out, err)
			}
		}
		k.wantEvents()
	})
}

func TestNoFailedStatementIsIgnored(t *testing.T) {
	t.Parallel()
	c := clock.NewFrozen(dbtest.Start)
	d, faults := dbtest.Recorded(t, db.SQLite, c)
	k := newKit(t, d, c)
	k.createVolume()
	reconcile := func() error { _, err := k.pastDue.Reconcile(t.Context(), k.account); return err }
	fail := func(stage string, events ...string) {
		t.Helper()
		faults.FailEach(t, "Reconcile "+stage, reconcile)
		k.wantEvents(events...)
	}
	k.Credit(k.account, -money.Dollars(2000), "debt")
	fail("of a debt", "past_due")
	c.Advance(terms.Grace)
	fail("after the grace period", "past_due", "deployments_ended")
	c.Advance(terms.KeepVolumes)
	fail("after the volumes are kept", "past_due", "deployments_ended", "volumes_deleted")
	k.Credit(k.account, money.Dollars(3000), "credit")
	fail("of a recovery", "past_due", "deployments_ended", "volumes_deleted", "recovered")
}
