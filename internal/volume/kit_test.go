package volume_test

import (
	"context"
	"testing"

	"github.com/billetcloud/billet/internal/catalog"
	"github.com/billetcloud/billet/internal/clock"
	"github.com/billetcloud/billet/internal/db"
	"github.com/billetcloud/billet/internal/db/dbtest"
	"github.com/billetcloud/billet/internal/enginetest"
	"github.com/billetcloud/billet/internal/id"
	"github.com/billetcloud/billet/internal/money"
	"github.com/billetcloud/billet/internal/provider"
	"github.com/billetcloud/billet/internal/volume"
	"github.com/billetcloud/billet/internal/wallet"
)

const (
	acc  id.ID = "acc_1"
	dep1 id.ID = "dep_1"
	dep2 id.ID = "dep_2"
)

var (
	target1 = volume.Target{Deployment: dep1, Provider: "voltage-park", Region: "dallas-usa-5"}
	target2 = volume.Target{Deployment: dep2, Provider: "voltage-park", Region: "dallas-usa-5"}
)

// testKit is the volumes of one database, on a simulated cloud.
type testKit struct {
	*enginetest.Kit
	cloud   *cloud
	catalog *catalog.Catalog
	volumes *volume.Service
}

// each runs the test on each database engine.
func each(t *testing.T, f func(t *testing.T, r *testKit)) {
	t.Helper()
	dbtest.Engines(t, func(t *testing.T, d *db.DB, c *clock.Simulated) { f(t, newKit(t, d, c)) })
}

func newKit(t enginetest.T, d *db.DB, c *clock.Simulated) *testKit {
	t.Helper()
	r := &testKit{Kit: enginetest.New(t, d, c), cloud: newCloud()}
	r.build()
	return r
}

// restart creates every service on the database and the cloud, as a server that starts does.
func (r *testKit) restart() {
	r.Build()
	r.build()
}

// build adds the services that the Kit does not have.
func (r *testKit) build() {
	providers := provider.NewRegistry(r.cloud, plainCloud{r.cloud})
	r.catalog = catalog.New(catalog.Config{
		DB: r.DB, IDs: r.IDs, Clock: r.Clock, Providers: providers, Jobs: r.Jobs, Log: r.Log,
		Markup: func(string) int64 { return 1_000 },
	})
	r.volumes = volume.New(volume.Config{
		DB: r.DB, IDs: r.IDs, Clock: r.Clock, Log: r.Log, Catalog: r.catalog, Meter: r.Meter, Wallet: r.Wallet,
		Providers: providers, Events: r.Events, Issues: r.Issues, Jobs: r.Jobs,
	})
	r.HandleIssues(providers)
	r.IgnorePastDue()
	r.Runner.HandlePeriodic(volume.KindWatch, r.volumes.Watch)
	r.Runner.Handle(volume.KindVolume, r.volumes.Reconcile)
}

// open opens an account with that money, and syncs the catalog.
func (r *testKit) open(account id.ID, amount money.Micros) {
	r.Helper()
	r.sync()
	r.OpenAccount(account, amount)
}

func (r *testKit) sync() {
	r.Helper()
	_, err := r.catalog.Sync(r.Context(), "provider/voltage-park")
	r.Must(err)
}

// do runs one use case in its own transaction.
func (r *testKit) do(f func(ctx context.Context, tx *db.Tx) (volume.Volume, error)) (v volume.Volume, err error) {
	err = r.Tx(func(ctx context.Context, tx *db.Tx) error {
		v, err = f(ctx, tx)
		return err
	})
	return v, err
}

// done returns the volume of a use case that must succeed: r.done(r.attach(…)).
func (r *testKit) done(v volume.Volume, err error) volume.Volume {
	r.Helper()
	r.Must(err)
	return v
}

func (r *testKit) request(account id.ID, req volume.CreateRequest) (volume.Volume, error) {
	return r.do(func(ctx context.Context, tx *db.Tx) (volume.Volume, error) {
		return r.volumes.Create(ctx, tx, account, req)
	})
}

func (r *testKit) create(account id.ID, name string, sizeGB int64) (volume.Volume, error) {
	return r.request(account, volume.CreateRequest{
		Name: name, SizeGB: sizeGB, Provider: "voltage-park", Region: "dallas-usa-5",
	})
}

func (r *testKit) attach(v id.ID, to volume.Target) (volume.Volume, error) {
	return r.do(func(ctx context.Context, tx *db.Tx) (volume.Volume, error) {
		return r.volumes.Attach(ctx, tx, acc, v, to)
	})
}

func (r *testKit) detach(v id.ID) (volume.Volume, error) {
	return r.do(func(ctx context.Context, tx *db.Tx) (volume.Volume, error) {
		return r.volumes.Detach(ctx, tx, acc, v)
	})
}

func (r *testKit) detachAll(deployment id.ID) {
	r.Helper()
	r.MustTx(func(ctx context.Context, tx *db.Tx) error { return r.volumes.DetachAll(ctx, tx, deployment) })
}

func (r *testKit) delete(v id.ID) (volume.Volume, error) {
	return r.do(func(ctx context.Context, tx *db.Tx) (volume.Volume, error) {
		return r.volumes.Delete(ctx, tx, acc, v)
	})
}

func (r *testKit) deleteAll() {
	r.Helper()
	r.MustTx(func(ctx context.Context, tx *db.Tx) error { return r.volumes.DeleteAll(ctx, tx, acc) })
}

func (r *testKit) update(v id.ID, req volume.UpdateRequest) (volume.Volume, error) {
	return r.do(func(ctx context.Context, tx *db.Tx) (volume.Volume, error) {
		return r.volumes.Update(ctx, tx, acc, v, req)
	})
}

func (r *testKit) grow(v id.ID, sizeGB int64) (volume.Volume, error) {
	return r.update(v, volume.UpdateRequest{SizeGB: &sizeGB})
}

func (r *testKit) rename(v id.ID, name string) (volume.Volume, error) {
	return r.update(v, volume.UpdateRequest{Name: &name})
}

func (r *testKit) get(v id.ID) volume.Volume {
	r.Helper()
	return r.done(r.volumes.Get(r.Context(), r.DB, acc, v))
}

func (r *testKit) list(o db.Order, p db.Page) (page []volume.Volume, total int) {
	r.Helper()
	page, listed, err := r.volumes.List(r.Context(), r.DB, acc, volume.Filter{Order: o}, p)
	r.Must(err)
	return page, listed.Total
}

// wantStatus fails the test unless the volume has that status.
func (r *testKit) wantStatus(v id.ID, want volume.Status) volume.Volume {
	r.Helper()
	got := r.get(v)
	if got.Status != want {
		reason := ""
		if got.StatusReason != nil {
			reason = *got.StatusReason
		}
		r.Fatalf("the volume is %s (%s), want %s", got.Status, reason, want)
	}
	return got
}

// money returns the account's wallet, and checks the ledger.
func (r *testKit) money() wallet.Wallet {
	r.Helper()
	r.CheckLedger()
	return r.WalletOf(acc)
}

// wantMoney fails the test unless the account has that balance, and that much of it is held.
func (r *testKit) wantMoney(balance, held money.Micros) {
	r.Helper()
	if w := r.money(); w.Balance != balance || w.Held != held || w.Available != balance-held {
		r.Fatalf("the wallet is %+v, want %s with %s held", w, balance, held)
	}
}

// wantUpstream fails the test unless the cloud has that many volumes.
func (r *testKit) wantUpstream(n int) {
	r.Helper()
	var got int
	if r.cloud.set(func(c *cloud) { got = len(c.volumes) }); got != n {
		r.Fatalf("%d volumes are upstream, want %d", got, n)
	}
}

// machine gives the cloud a machine of that state.
func (r *testKit) machine(deployment id.ID, state provider.MachineState) {
	r.cloud.set(func(c *cloud) { c.machines[deployment] = state })
}

// available makes a volume that is available, of 100 GB at $0.00011 per GB: $0.011 an hour.
func (r *testKit) available() id.ID {
	r.Helper()
	r.open(acc, money.Dollars(10))
	v := r.done(r.create(acc, "datasets", 100))
	r.Drain()
	r.wantStatus(v.ID, volume.StatusAvailable)
	return v.ID
}

// attached makes a volume that is attached to the first deployment.
func (r *testKit) attached() id.ID {
	r.Helper()
	v := r.available()
	r.machine(dep1, provider.MachineReady)
	r.done(r.attach(v, target1))
	r.Drain()
	r.wantStatus(v, volume.StatusAttached)
	return v
}
