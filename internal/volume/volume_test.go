package volume_test

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/billetcloud/billet/internal/apierr"
	"github.com/billetcloud/billet/internal/catalog"
	"github.com/billetcloud/billet/internal/clock"
	"github.com/billetcloud/billet/internal/db"
	"github.com/billetcloud/billet/internal/db/dbtest"
	"github.com/billetcloud/billet/internal/event"
	"github.com/billetcloud/billet/internal/id"
	"github.com/billetcloud/billet/internal/issue"
	"github.com/billetcloud/billet/internal/job"
	"github.com/billetcloud/billet/internal/meter"
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

var target1 = volume.Target{Deployment: dep1, Provider: "voltage-park", Region: "dallas-usa-5"}
var target2 = volume.Target{Deployment: dep2, Provider: "voltage-park", Region: "dallas-usa-5"}

type tester interface {
	Helper()
	Fatal(args ...any)
	Fatalf(format string, args ...any)
	Context() context.Context
}

type rig struct {
	t       tester
	db      *db.DB
	clock   *clock.Simulated
	ids     *id.Maker
	cloud   *cloud
	catalog *catalog.Catalog
	wallet  *wallet.Ledger
	events  *event.Service
	runner  *job.Runner
	volumes *volume.Service

	issues *issue.Service
}

func newRig(t tester, d *db.DB, c *clock.Simulated) *rig {
	t.Helper()
	r := &rig{t: t, db: d, clock: c, ids: id.NewMaker(c, rand.Reader), cloud: newCloud()}
	r.serve()
	return r
}

// serve creates every service on the database and the cloud, as a server that starts does.
func (r *rig) serve() {
	d, c, ids, log := r.db, r.clock, r.ids, slog.New(slog.DiscardHandler)
	r.wallet, r.events = wallet.New(wallet.Config{DB: d, IDs: ids}), event.New(ids)
	queue, set := job.NewQueue(ids), provider.NewRegistry(r.cloud, plainCloud{r.cloud})
	r.catalog = catalog.New(
		catalog.Config{
			DB:        d,
			IDs:       ids,
			Clock:     c,
			Providers: set,
			Jobs:      queue,
			Log:       log,
			Markup:    func(string) int64 { return 1_000 },
		},
	)
	m := meter.New(meter.Config{DB: d, Wallet: r.wallet, Events: r.events, Jobs: queue})
	r.issues = issue.New(issue.Config{IDs: ids, Jobs: queue, Log: log, Policy: issue.Policy{EndOrphans: true}})
	r.volumes = volume.New(
		volume.Config{
			DB:        d,
			IDs:       ids,
			Clock:     c,
			Log:       log,
			Catalog:   r.catalog,
			Meter:     m,
			Wallet:    r.wallet,
			Providers: set,
			Events:    r.events,
			Issues:    r.issues,
			Jobs:      queue,
		},
	)
	r.runner = job.NewRunner(job.Config{DB: d, Queue: queue, Clock: c, Real: db.Time, Log: log, Workers: 4})
	r.runner.Handle(
		issue.KindEnd,
		issue.NewRemover(issue.RemoverConfig{DB: d, Clock: c, Issues: r.issues, Providers: set}).End,
	)
	r.runner.HandlePeriodic(volume.KindWatch, r.volumes.Watch)
	r.runner.Handle(volume.KindVolume, r.volumes.Reconcile)
	r.runner.Handle(meter.KindSweep, m.Sweep)
	r.runner.Handle(meter.KindPastDue, func(context.Context, id.ID) (job.Outcome, error) { return job.Done(), nil })
}

// open gives an account money and syncs the catalog.
func (r *rig) open(account id.ID, amount money.Micros) {
	r.t.Helper()
	r.sync()
	r.ok(func(ctx context.Context, tx *db.Tx) error {
		if err := r.wallet.Open(ctx, tx, account); err != nil {
			return err
		}
		_, err := r.wallet.Credit(
			ctx,
			tx,
			wallet.Credit{
				Account:     account,
				Type:        wallet.TypeTopUp,
				Amount:      amount,
				Description: "Top-up",
				Dedupe:      string(account),
			},
		)
		return err
	})
}

func (r *rig) sync() {
	r.t.Helper()
	if _, err := r.catalog.Sync(r.t.Context(), "provider/voltage-park"); err != nil {
		r.t.Fatal(err)
	}
}

func (r *rig) ok(f func(ctx context.Context, tx *db.Tx) error) {
	r.t.Helper()
	if err := r.db.InTx(r.t.Context(), f); err != nil {
		r.t.Fatal(err)
	}
}

// do runs one use case in its own transaction.
func (r *rig) do(f func(ctx context.Context, tx *db.Tx) (volume.Volume, error)) (v volume.Volume, err error) {
	err = r.db.InTx(r.t.Context(), func(ctx context.Context, tx *db.Tx) error {
		v, err = f(ctx, tx)
		return err
	})
	return v, err
}

func (r *rig) create(account id.ID, name string, sizeGB int64) (volume.Volume, error) {
	return r.do(func(ctx context.Context, tx *db.Tx) (volume.Volume, error) {
		return r.volumes.Create(
			ctx,
			tx,
			account,
			volume.CreateRequest{Name: name, SizeGB: sizeGB, Provider: "voltage-park", Region: "dallas-usa-5"},
		)
	})
}

func (r *rig) attach(v id.ID, to volume.Target) (volume.Volume, error) {
	return r.do(func(ctx context.Context, tx *db.Tx) (volume.Volume, error) {
		return r.volumes.Attach(ctx, tx, acc, v, to)
	})
}

func (r *rig) detach(v id.ID) (volume.Volume, error) {
	return r.do(
		func(ctx context.Context, tx *db.Tx) (volume.Volume, error) { return r.volumes.Detach(ctx, tx, acc, v) },
	)
}

func (r *rig) delete(v id.ID) (volume.Volume, error) {
	return r.do(
		func(ctx context.Context, tx *db.Tx) (volume.Volume, error) { return r.volumes.Delete(ctx, tx, acc, v) },
	)
}

func (r *rig) update(v id.ID, req volume.UpdateRequest) (volume.Volume, error) {
	return r.do(func(ctx context.Context, tx *db.Tx) (volume.Volume, error) {
		return r.volumes.Update(ctx, tx, acc, v, req)
	})
}

func (r *rig) get(v id.ID) volume.Volume {
	r.t.Helper()
	got, err := r.volumes.Get(r.t.Context(), r.db, acc, v)
	if err != nil {
		r.t.Fatal(err)
	}
	return got
}

// expect fails unless the volume is in that status.
func (r *rig) expect(v id.ID, want volume.Status) volume.Volume {
	r.t.Helper()
	got := r.get(v)
	if got.Status != want {
		reason := ""
		if got.StatusReason != nil {
			reason = *got.StatusReason
		}
		r.t.Fatalf("the volume is %s (%s), expected %s", got.Status, reason, want)
	}
	return got
}

func (r *rig) drain() {
	r.t.Helper()
	if err := r.runner.Drain(r.t.Context()); err != nil {
		r.t.Fatal(err)
	}
}

// pass lets time pass, with every job at its instant.
func (r *rig) pass(d time.Duration) {
	r.t.Helper()
	if err := r.runner.Travel(r.t.Context(), r.clock, r.clock.Now().Add(d)); err != nil {
		r.t.Fatal(err)
	}
}

func (r *rig) money() wallet.Wallet {
	r.t.Helper()
	w, err := r.wallet.Get(r.t.Context(), r.db, acc)
	if err != nil {
		r.t.Fatal(err)
	}
	if faults, err := r.wallet.Audit(r.t.Context()); err != nil || len(faults) > 0 {
		r.t.Fatalf("audit: %v %v", faults, err)
	}
	return w
}

// available makes a volume that is available, of 100 GB at $0.00011 per GB: $0.011 an hour.
func (r *rig) available() id.ID {
	r.t.Helper()
	r.open(acc, money.Dollars(10))
	v, err := r.create(acc, "datasets", 100)
	if err != nil {
		r.t.Fatal(err)
	}
	r.drain()
	r.expect(v.ID, volume.StatusAvailable)
	return v.ID
}

func (r *rig) history(v id.ID) (out []string) {
	r.t.Helper()
	events, _, err := r.events.List(r.t.Context(), r.db, acc, v, db.Page{Number: 1, Limit: 100})
	if err != nil {
		r.t.Fatal(err)
	}
	for _, e := range events {
		out = append(out, strings.TrimPrefix(e.Type, "volume."))
	}
	return out
}

func code(t tester, err error, want apierr.Code, words ...string) {
	t.Helper()
	var e *apierr.Error
	if !errors.As(err, &e) || e.Code != want {
		t.Fatalf("%v, expected %s", err, want)
	}
	for _, w := range words {
		if !strings.Contains(e.Message, w) {
			t.Fatalf("%q lacks %q", e.Message, w)
		}
	}
}

func engines(t *testing.T, f func(t *testing.T, r *rig)) {
	t.Helper()
	dbtest.Engines(t, func(t *testing.T, d *db.DB, c *clock.Simulated) { f(t, newRig(t, d, c)) })
}

func TestUnknownMountPath(t *testing.T) {
	engines(t, func(t *testing.T, r *rig) {
		r.open(acc, money.Dollars(10))
		v, err := r.create(acc, "datasets", 100)
		if err != nil {
			t.Fatal(err)
		}
		r.pass(2 * time.Minute)
		r.cloud.set(func(c *cloud) {
			c.machines[dep1] = provider.MachineReady
			kept := c.volumes[v.ID]
			kept.MountPath = ""
			c.volumes[v.ID] = kept
		})
		if _, err := r.attach(v.ID, target1); err != nil {
			t.Fatal(err)
		}
		r.pass(2 * time.Minute)
		if got := r.expect(v.ID, volume.StatusAttached); *got.AttachedTo != dep1 || got.MountPath != nil {
			t.Errorf("%+v", got)
		}
	})
}

func TestLifecycleWithHourlyCharges(t *testing.T) {
	engines(t, func(t *testing.T, r *rig) {
		r.open(acc, money.Dollars(10))
		v, err := r.create(acc, "datasets", 100)
		if err != nil || v.Status != volume.StatusCreating || v.HourlyPrice != 11_000 || v.HourlyPricePerGB != 110 ||
			v.CostToDate != 0 ||
			v.AttachedTo != nil {
			t.Fatalf("%+v %v", v, err)
		}
		if w := r.money(); w.Held != 11_000 || w.Balance != money.Dollars(10) {
			t.Fatalf("%+v", w)
		}
		r.cloud.set(func(c *cloud) { c.making = true })
		r.pass(time.Minute)
		r.expect(v.ID, volume.StatusCreating)
		r.cloud.set(func(c *cloud) { c.making = false })
		r.pass(time.Minute)
		r.expect(v.ID, volume.StatusAvailable)
		if w := r.money(); w.Held != 0 || w.Available != money.Dollars(10)-11_000 {
			t.Fatalf("the hold did not become the first hour: %+v", w)
		}

		r.cloud.set(func(c *cloud) { c.machines[dep1] = provider.MachineProvisioning })
		if _, err := r.attach(v.ID, target1); err != nil {
			t.Fatal(err)
		}
		r.pass(10 * time.Minute)
		if got := r.expect(v.ID, volume.StatusAttaching); *got.AttachedTo != dep1 || got.MountPath != nil {
			t.Fatalf("%+v", got)
		}
		r.cloud.set(func(c *cloud) { c.machines[dep1] = provider.MachineReady })
		r.pass(2 * time.Minute)
		if got := r.expect(v.ID, volume.StatusAttached); *got.AttachedTo != dep1 || *got.MountPath != "/mnt/datasets" {
			t.Fatalf("%+v", got)
		}
		if again, err := r.attach(v.ID, target1); err != nil || again.Status != volume.StatusAttached {
			t.Fatalf("%+v %v", again, err)
		}
		body, _ := json.Marshal(r.get(v.ID))
		for _, want := range []string{`"attachedTo":"dep_1"`, `"mountPath":"/mnt/datasets"`, `"hourlyPrice":0.011`, `"growingToGb":null`, `"deletedAt":null`} {
			if !strings.Contains(string(body), want) {
				t.Errorf("%s lacks %s", body, want)
			}
		}
		r.pass(2 * time.Hour) // three hours have begun
		if _, err := r.detach(v.ID); err != nil {
			t.Fatal(err)
		}
		r.drain()
		if got := r.expect(v.ID, volume.StatusAvailable); got.AttachedTo != nil || got.CostToDate != 3*11_000 {
			t.Fatalf("%+v", got)
		}
		if deleting, err := r.delete(v.ID); err != nil || deleting.Status != volume.StatusDeleting {
			t.Fatalf("%+v %v", deleting, err)
		}
		r.pass(5 * time.Hour)
		got := r.expect(v.ID, volume.StatusDeleted)
		if got.CostToDate != 3*11_000 || got.DeletedAt == nil || len(r.cloud.volumes) != 0 {
			t.Fatalf("%+v", got)
		}
		if w := r.money(); w.Balance != money.Dollars(10)-3*11_000 {
			t.Fatalf("%+v", w)
		}
		if again, err := r.delete(v.ID); err != nil || again.Status != volume.StatusDeleted {
			t.Fatalf("%+v %v", again, err)
		}
		all, total, err := r.volumes.List(t.Context(), r.db, acc, volume.Filter{}, db.Page{Number: 1, Limit: 10})
		if err != nil || total.Total != 0 || all == nil {
			t.Fatalf("%v %d %v", all, total.Total, err)
		}
		want := []string{
			"created",
			"available",
			"charged",
			"attaching",
			"attached",
			"charged",
			"charged",
			"detaching",
			"available",
			"deleting",
			"deleted",
		}
		if got := r.history(v.ID); !slices.Equal(got, want) {
			t.Errorf("history %v\nexpected %v", got, want)
		}
	})
}

func TestCreate_ReportsEveryProblem(t *testing.T) {
	engines(t, func(t *testing.T, r *rig) {
		ask := func(req volume.CreateRequest) error {
			_, err := r.do(func(ctx context.Context, tx *db.Tx) (volume.Volume, error) {
				return r.volumes.Create(ctx, tx, acc, req)
			})
			return err
		}
		code(t, ask(volume.CreateRequest{}), apierr.ServiceUnavailable)
		r.open(acc, money.Dollars(1))
		good := volume.CreateRequest{Name: "a", SizeGB: 100, Provider: "voltage-park", Region: "dallas-usa-5"}
		for name, c := range map[string]struct {
			spoil func(*volume.CreateRequest)
			want  map[string]string
		}{
			"nothing":        {func(q *volume.CreateRequest) { *q = volume.CreateRequest{} }, map[string]string{"name": "missing", "provider": "voltage-park", "region": "required", "sizeGb": "whole number"}},
			"unknown":        {func(q *volume.CreateRequest) { q.Provider, q.Name = "aws", "../etc" }, map[string]string{"name": "path", "provider": "no provider"}},
			"no volumes":     {func(q *volume.CreateRequest) { q.Provider = "plain" }, map[string]string{"provider": "has no volumes"}},
			"region":         {func(q *volume.CreateRequest) { q.Region = "mars" }, map[string]string{"region": "dallas-usa-5, oslo-1"}},
			"too large here": {func(q *volume.CreateRequest) { q.Region, q.SizeGB = "oslo-1", 101 }, map[string]string{"sizeGb": "between 10 and 100"}},
			"too small": {func(q *volume.CreateRequest) { q.SizeGB = 9 }, map[string]string{"sizeGb": "between " +
				"10 and 10000"}},
			"negative": {func(q *volume.CreateRequest) { q.SizeGB = -1 }, map[string]string{"sizeGb": "whole number"}},
			"hidden":   {func(q *volume.CreateRequest) { q.Name = ".ssh" }, map[string]string{"name": "letter or digit"}},
			"space":    {func(q *volume.CreateRequest) { q.Name = "my data" }, map[string]string{"name": "path"}},
			"umlaut":   {func(q *volume.CreateRequest) { q.Name = "größe" }, map[string]string{"name": "path"}},
			"long":     {func(q *volume.CreateRequest) { q.Name = strings.Repeat("n", 65) }, map[string]string{"name": "64"}},
		} {
			req := good
			c.spoil(&req)
			err := ask(req)
			code(t, err, apierr.InvalidRequest)
			var e *apierr.Error
			errors.As(err, &e)
			if len(e.Fields()) != len(c.want) {
				t.Errorf("%s: %+v", name, e.Fields())
			}
			for _, f := range e.Fields() {
				if want, expected := c.want[f.Field]; !expected || !strings.Contains(f.Message, want) {
					t.Errorf("%s: %+v", name, f)
				}
			}
		}
		if err := ask(good); err != nil {
			t.Fatal(err)
		}
		code(t, ask(good), apierr.Conflict, `"a"`, "vol_")
		good.Name, good.SizeGB = "b", 10_000
		code(t, ask(good), apierr.InsufficientBalance, "$1.10", "$0.989", "$0.00011 per GB")
		if all, total, _ := r.volumes.List(t.Context(), r.db, acc, volume.Filter{}, db.Page{Number: 1, Limit: 10}); total.Total != 1 {
			t.Errorf("refused volumes are there: %+v", all)
		}
	})
}

func TestCreate_BeforeTheProviderAnswered(t *testing.T) {
	engines(t, func(t *testing.T, r *rig) {
		if _, err := r.catalog.Sync(t.Context(), "provider/plain"); err != nil {
			t.Fatal(err)
		}
		_, err := r.create(acc, "datasets", 100)
		code(t, err, apierr.ServiceUnavailable, "has not reported its prices yet")
		if e := (*apierr.Error)(nil); !errors.As(err, &e) || e.RetryAfter <= 0 {
			t.Errorf("RetryAfter of %v, want a pause", err)
		}
	})
}

func TestLostAnswersMakeNoSecondVolume(t *testing.T) {
	for _, op := range []string{"create", "volume", "attach", "detach", "grow", "delete", "machine"} {
		for _, done := range []bool{true, false} {
			name := op + " lost before"
			if done {
				name = op + " lost after"
			}
			t.Run(name, func(t *testing.T) {
				engines(t, func(t *testing.T, r *rig) {
					r.open(acc, money.Dollars(10))
					r.cloud.machines[dep1] = provider.MachineReady
					// Each operation fails twice, then works.
					r.cloud.fault = func(o string) trouble {
						if o == op && r.cloud.calls[o]%3 != 0 {
							return trouble{silent, done}
						}
						return trouble{}
					}
					v, err := r.create(acc, "datasets", 100)
					if err != nil {
						t.Fatal(err)
					}
					step := func(f func() (volume.Volume, error), want volume.Status) {
						t.Helper()
						if _, err := f(); err != nil {
							t.Fatal(err)
						}
						r.pass(3 * time.Minute)
						r.expect(v.ID, want)
						if n := len(r.cloud.volumes); want != volume.StatusDeleted && n != 1 {
							t.Fatalf("%d volumes upstream", n)
						}
					}
					step(func() (volume.Volume, error) { return v, nil }, volume.StatusAvailable)
					step(func() (volume.Volume, error) { return r.attach(v.ID, target1) }, volume.StatusAttached)
					size := int64(200)
					step(
						func() (volume.Volume, error) { return r.update(v.ID, volume.UpdateRequest{SizeGB: &size}) },
						volume.StatusAttached,
					)
					if got := r.get(v.ID); got.SizeGB != 200 || got.GrowingToGB != nil {
						t.Fatalf("%+v", got)
					}
					step(func() (volume.Volume, error) { return r.detach(v.ID) }, volume.StatusAvailable)
					step(func() (volume.Volume, error) { return r.delete(v.ID) }, volume.StatusDeleted)
					if len(r.cloud.volumes) != 0 || r.get(v.ID).CostToDate != 11_000 {
						t.Fatalf("%v, cost %s", r.cloud.volumes, r.get(v.ID).CostToDate)
					}
					r.money()
				})
			})
		}
	}
}

func TestFailedVolumeCostsNothing(t *testing.T) {
	cases := map[string]struct {
		set    func(c *cloud)
		reason string
	}{
		"refused": {func(c *cloud) { c.fault = always("create", trouble{rejected, false}) }, "Computer says no."},
		"sold out": {func(c *cloud) {
			c.fault = always("create", trouble{&provider.Error{Kind: provider.KindNoCapacity}, false})
		}, "refused"},
		"never ready": {func(c *cloud) { c.making = true }, "15 minutes"},
		"silent":      {func(c *cloud) { c.fault = always("create", trouble{silent, false}) }, "15 minutes"},
		"blind":       {func(c *cloud) { c.fault = always("volume", trouble{silent, false}) }, "15 minutes"},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			engines(t, func(t *testing.T, r *rig) {
				r.open(acc, money.Dollars(10))
				r.cloud.set(c.set)
				v, err := r.create(acc, "datasets", 100)
				if err != nil {
					t.Fatal(err)
				}
				r.pass(14 * time.Minute)
				if name != "refused" && name != "sold out" {
					r.expect(v.ID, volume.StatusCreating)
				}
				r.pass(8 * time.Minute)
				got := r.expect(v.ID, volume.StatusFailed)
				if got.StatusReason == nil || !strings.Contains(*got.StatusReason, c.reason) || got.CostToDate != 0 {
					t.Fatalf("%+v", got)
				}
				if w := r.money(); w.Available != money.Dollars(10) || w.Held != 0 {
					t.Fatalf("%+v", w)
				}
				// The create that was given up lands late.
				r.cloud.set(
					func(c *cloud) { c.volumes[v.ID] = provider.Volume{Reference: v.ID}; c.fault = always("", trouble{}) },
				)
				r.pass(2 * time.Hour)
				if len(r.cloud.volumes) != 0 {
					t.Fatal("an orphaned volume is left upstream")
				}
				calls := r.cloud.calls["delete"]
				r.pass(24 * time.Hour)
				if r.cloud.calls["delete"] != calls {
					t.Error("it is cleaned up without end")
				}
				if w := r.money(); w.Available != money.Dollars(10) {
					t.Fatalf("%+v", w)
				}
				if _, err := r.create(acc, "datasets", 100); err != nil {
					t.Errorf("its name is not free: %v", err)
				}
				if gone, err := r.delete(v.ID); err != nil || gone.Status != volume.StatusDeleted {
					t.Errorf("%+v %v", gone, err)
				}
			})
		})
	}
}

func always(op string, t trouble) func(string) trouble {
	return func(o string) trouble {
		if o == op {
			return t
		}
		return trouble{}
	}
}

func TestDelete_BeforeItIsAvailable(t *testing.T) {
	engines(t, func(t *testing.T, r *rig) {
		r.open(acc, money.Dollars(10))
		r.cloud.set(func(c *cloud) { c.making = true })
		v, err := r.create(acc, "datasets", 100)
		if err != nil {
			t.Fatal(err)
		}
		r.drain()
		if _, err := r.delete(v.ID); err != nil {
			t.Fatal(err)
		}
		r.drain()
		r.expect(v.ID, volume.StatusDeleted)
		r.cloud.set(func(c *cloud) { c.volumes[v.ID] = provider.Volume{Reference: v.ID} })
		r.pass(2 * time.Hour)
		if w := r.money(); w.Available != money.Dollars(10) || len(r.cloud.volumes) != 0 {
			t.Fatalf("%+v, upstream %v", w, r.cloud.volumes)
		}
	})
}

func TestFailedAttachEndsAvailable(t *testing.T) {
	cases := map[string]struct {
		set    func(c *cloud)
		after  time.Duration
		reason string
	}{
		"the machine ended": {
			func(c *cloud) { c.machines[dep1] = provider.MachineTerminating },
			45 * time.Minute,
			"has ended",
		},
		"the machine failed": {
			func(c *cloud) { c.machines[dep1] = provider.MachineFailed },
			45 * time.Minute,
			"has ended",
		},
		"no machine came": {func(*cloud) {}, 45 * time.Minute, "never became available"},
		"the cloud refused": {func(c *cloud) {
			c.machines[dep1] = provider.MachineReady
			c.fault = always("attach", trouble{rejected, false})
		}, time.Minute, "Computer says no."},
		"refused after doing": {func(c *cloud) {
			c.machines[dep1] = provider.MachineReady
			c.fault = always("attach", trouble{rejected, true})
		}, time.Minute, "Computer says no."},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			engines(t, func(t *testing.T, r *rig) {
				v := r.available()
				r.cloud.set(c.set)
				if _, err := r.attach(v, target1); err != nil {
					t.Fatal(err)
				}
				r.pass(c.after)
				got := r.expect(v, volume.StatusAvailable)
				if got.AttachedTo != nil || got.StatusReason == nil || !strings.Contains(*got.StatusReason, c.reason) ||
					r.cloud.volumes[v].AttachedTo != "" {
					t.Fatalf("%+v, upstream %+v", got, r.cloud.volumes[v])
				}
				r.cloud.set(
					func(c *cloud) { c.machines[dep2] = provider.MachineReady; c.fault = always("", trouble{}) },
				)
				if _, err := r.attach(v, target2); err != nil {
					t.Fatal(err)
				}
				r.drain()
				if got := r.expect(v, volume.StatusAttached); got.StatusReason != nil {
					t.Errorf("an old reason stays: %q", *got.StatusReason)
				}
			})
		})
	}
}

func TestDetachAll(t *testing.T) {
	engines(t, func(t *testing.T, r *rig) {
		v := r.available()
		r.cloud.set(func(c *cloud) { c.machines[dep1] = provider.MachineReady })
		other, err := r.create(acc, "models", 50)
		if err != nil {
			t.Fatal(err)
		}
		r.drain()
		for _, x := range []id.ID{v, other.ID} {
			if _, err := r.attach(x, target1); err != nil {
				t.Fatal(err)
			}
		}
		r.cloud.set(func(c *cloud) { c.machines[dep1] = provider.MachineProvisioning })
		of, err := r.volumes.AttachedTo(t.Context(), r.db, []id.ID{dep1, dep2})
		if err != nil || len(of) != 1 || !slices.Equal(of[dep1], []id.ID{v, other.ID}) {
			t.Fatalf("%v %v", of, err)
		}
		_, err = r.delete(v)
		code(t, err, apierr.Conflict, "dep_1", "Detach")
		r.ok(func(ctx context.Context, tx *db.Tx) error { return r.volumes.DetachAll(ctx, tx, dep1) })
		r.ok(func(ctx context.Context, tx *db.Tx) error { return r.volumes.DetachAll(ctx, tx, dep1) })
		r.drain()
		r.expect(v, volume.StatusAvailable)
		r.expect(other.ID, volume.StatusAvailable)
	})
}

func TestGrowthKeepsThePricePerGB(t *testing.T) {
	engines(t, func(t *testing.T, r *rig) {
		v := r.available()
		r.cloud.set(func(c *cloud) { c.perGB = 10_000 }) // dearer for new ones
		r.clock.Advance(time.Minute)
		r.sync()
		size := func(n int64) volume.UpdateRequest { return volume.UpdateRequest{SizeGB: &n} }
		_, err := r.update(v, size(50))
		code(t, err, apierr.InvalidRequest, "cannot shrink")
		_, err = r.update(v, size(10_001))
		code(t, err, apierr.InvalidRequest, "at most 10000")
		got, err := r.update(v, size(1_000))
		if err != nil || got.SizeGB != 100 || *got.GrowingToGB != 1_000 || got.HourlyPrice != 11_000 {
			t.Fatalf("%+v %v", got, err)
		}
		r.drain()
		if got := r.get(v); got.SizeGB != 1_000 || got.GrowingToGB != nil || got.HourlyPrice != 110_000 ||
			got.CostToDate != 11_000 {
			t.Fatalf("%+v", got)
		}
		r.pass(time.Hour)
		if got := r.get(v); got.CostToDate != 11_000+110_000 {
			t.Fatalf("cost %s", got.CostToDate)
		}
		r.cloud.failing(trouble{rejected, false}, "grow")
		if _, err := r.update(v, size(2_000)); err != nil {
			t.Fatal(err)
		}
		r.drain()
		if got := r.get(v); got.SizeGB != 1_000 || got.GrowingToGB != nil || got.StatusReason == nil ||
			got.HourlyPrice != 110_000 {
			t.Fatalf("%+v", got)
		}
		name := "renamed"
		if got, err := r.update(v, volume.UpdateRequest{Name: &name}); err != nil || got.Name != name {
			t.Fatalf("%+v %v", got, err)
		}
		r.pass(time.Hour)
		lines, _, err := r.wallet.Transactions(
			t.Context(),
			r.db,
			acc,
			wallet.Filter{Subject: v},
			db.Page{Number: 1, Limit: 1},
		)
		if err != nil || !strings.HasPrefix(lines[0].Description, "renamed: ") {
			t.Fatalf("%+v %v", lines, err)
		}
		// A debt: neither growth nor another volume.
		r.ok(func(ctx context.Context, tx *db.Tx) error {
			_, err := r.wallet.Credit(
				ctx,
				tx,
				wallet.Credit{
					Account:     acc,
					Type:        wallet.TypeAdjustment,
					Amount:      -money.Dollars(20),
					Description: "Correction",
					Dedupe:      "x",
				},
			)
			return err
		})
		_, err = r.update(v, size(2_000))
		code(t, err, apierr.InsufficientBalance, "$0.11", "1000 GB")
		_, err = r.create(acc, "another", 10)
		code(t, err, apierr.InsufficientBalance, "-$10.")
	})
}

func TestNamesAreUniqueInAnAccount(t *testing.T) {
	engines(t, func(t *testing.T, r *rig) {
		v := r.available()
		r.open("acc_2", money.Dollars(10))
		theirs, err := r.create("acc_2", "datasets", 100)
		if err != nil {
			t.Fatalf("names are shared among accounts: %v", err)
		}
		r.drain()
		mine, err := r.create(acc, "models", 10)
		if err != nil {
			t.Fatal(err)
		}
		taken, bad := "datasets", "a/b"
		_, err = r.update(mine.ID, volume.UpdateRequest{Name: &taken})
		code(t, err, apierr.Conflict, string(v))
		small := int64(1)
		_, err = r.update(v, volume.UpdateRequest{Name: &bad, SizeGB: &small})
		var e *apierr.Error
		if !errors.As(err, &e) || len(e.Fields()) != 2 {
			t.Fatalf("not every fault at once: %v", err)
		}
		_, err = r.volumes.Get(t.Context(), r.db, acc, theirs.ID)
		code(t, err, apierr.NotFound)
		for _, f := range []func(id.ID) (volume.Volume, error){r.detach, r.delete,
			func(v id.ID) (volume.Volume, error) { return r.attach(v, target1) },
			func(v id.ID) (volume.Volume, error) { return r.update(v, volume.UpdateRequest{Name: &bad}) },
		} {
			_, err := f(theirs.ID)
			code(t, err, apierr.NotFound)
		}
		found, missing, err := r.volumes.Find(t.Context(), r.db, acc, "", []id.ID{mine.ID, theirs.ID, v})
		if err != nil || len(found) != 2 || found[0].ID != mine.ID || found[1].CostToDate != 11_000 ||
			!slices.Equal(missing, []id.ID{theirs.ID}) {
			t.Fatalf("%+v %v %v", found, missing, err)
		}
		page, total, err := r.volumes.List(t.Context(), r.db, acc, volume.Filter{}, db.Page{Number: 2, Limit: 1})
		if err != nil || total.Total != 2 || len(page) != 1 || page[0].ID != v {
			t.Fatalf("%+v %d %v", page, total.Total, err)
		}
		elsewhere := target1
		elsewhere.Region = "oslo-1"
		_, err = r.attach(v, elsewhere)
		code(t, err, apierr.InvalidRequest, "dallas-usa-5", "oslo-1")
	})
}

func TestLostVolume(t *testing.T) {
	engines(t, func(t *testing.T, r *rig) {
		v := r.available()
		r.cloud.set(func(c *cloud) { c.machines[dep1] = provider.MachineReady })
		if _, err := r.attach(v, target1); err != nil {
			t.Fatal(err)
		}
		r.drain()
		r.expect(v, volume.StatusAttached)
		r.cloud.set(func(c *cloud) { delete(c.volumes, v) })
		if _, err := r.detach(v); err != nil {
			t.Fatal(err)
		}
		r.pass(10 * time.Minute)
		r.expect(v, volume.StatusDetaching)
		r.pass(20 * time.Minute)
		got := r.expect(v, volume.StatusFailed)
		if got.AttachedTo != nil || !slices.Contains(r.history(v), "refunded") || got.CostToDate >= 11_000 ||
			r.cloud.calls["delete"] != 0 {
			t.Fatalf("%+v", got)
		}
		cost := got.CostToDate
		r.pass(5 * time.Hour)
		if got := r.get(v); got.CostToDate != cost {
			t.Errorf("a lost volume costs on: %s", got.CostToDate)
		}
	})
}

func TestDeleteAll(t *testing.T) {
	engines(t, func(t *testing.T, r *rig) {
		v := r.available()
		r.cloud.set(func(c *cloud) { c.machines[dep1] = provider.MachineReady })
		if _, err := r.attach(v, target1); err != nil {
			t.Fatal(err)
		}
		r.drain()
		r.cloud.set(func(c *cloud) { c.making = true })
		if _, err := r.create(acc, "unborn", 10); err != nil {
			t.Fatal(err)
		}
		r.drain()
		if all, err := r.volumes.ListForPastDue(t.Context(), r.db, acc); err != nil || len(all) != 2 {
			t.Fatalf("%+v %v", all, err)
		}
		r.clock.Advance(time.Minute)
		for range 2 {
			r.ok(func(ctx context.Context, tx *db.Tx) error { return r.volumes.DeleteAll(ctx, tx, acc) })
		}
		r.pass(time.Minute)
		if got := r.expect(v, volume.StatusDeleted); got.CostToDate != 11_000 || len(r.cloud.volumes) != 0 {
			t.Fatalf("%+v, upstream %v", got, r.cloud.volumes)
		}
		if all, err := r.volumes.ListForPastDue(t.Context(), r.db, acc); err != nil || len(all) != 0 {
			t.Fatalf("%+v %v", all, err)
		}
		r.pass(2 * time.Hour)
		if w := r.money(); w.Balance != money.Dollars(10)-11_000 || w.Held != 0 {
			t.Fatalf("%+v", w)
		}
	})
}

func TestParallelAttachesGiveOneDeploymentTheVolume(t *testing.T) {
	engines(t, func(t *testing.T, r *rig) {
		v := r.available()
		var wg sync.WaitGroup
		var won atomic.Int32
		for i := range 8 {
			wg.Go(func() {
				to := target1
				to.Deployment = id.ID("dep_" + string(rune('a'+i)))
				_, err := r.attach(v, to)
				if err == nil {
					won.Add(1)
				} else if apierr.CodeOf(err) != apierr.Conflict {
					t.Error(err)
				}
			})
		}
		wg.Wait()
		if won.Load() != 1 {
			t.Fatalf("%d deployments have one volume", won.Load())
		}
		var names sync.WaitGroup
		var made atomic.Int32
		for range 8 {
			names.Go(func() {
				if _, err := r.create(acc, "one-name", 10); err == nil {
					made.Add(1)
				} else if apierr.CodeOf(err) != apierr.Conflict {
					t.Error(err)
				}
			})
		}
		names.Wait()
		if made.Load() != 1 {
			t.Fatalf("%d volumes have one name", made.Load())
		}
	})
}

func TestParallelRenamesGiveANameOnce(t *testing.T) {
	engines(t, func(t *testing.T, r *rig) {
		r.open(acc, money.Dollars(1_000))
		var made []id.ID
		for _, name := range []string{"a", "b", "c", "d", "e", "f"} {
			v, err := r.create(acc, name, 10)
			if err != nil {
				t.Fatal(err)
			}
			made = append(made, v.ID)
		}
		for _, wanted := range []string{"w1", "w2", "w3", "w4", "w5", "w6", "w7", "w8"} { // they do not always meet
			var wg sync.WaitGroup
			var won atomic.Int32
			for _, v := range made {
				wg.Go(func() {
					if _, err := r.update(v, volume.UpdateRequest{Name: &wanted}); err == nil {
						won.Add(1)
					} else if apierr.CodeOf(err) != apierr.Conflict {
						t.Error(err)
					}
				})
			}
			wg.Wait()
			if won.Load() != 1 {
				t.Fatalf("%d volumes have the one name", won.Load())
			}
		}
		for o, want := range map[db.Order]int{db.OldestFirst: 0, db.NewestFirst: 5} {
			if list, total, err := r.volumes.List(t.Context(), r.db, acc, volume.Filter{Order: o}, db.Page{Number: 1, Limit: 1}); err != nil ||
				total.Total != 6 ||
				list[0].ID != made[want] {
				t.Errorf("order %d: %+v of %d, %v", o, list, total.Total, err)
			}
		}
	})
}

func TestOtherAccountsVolumeIsNotLocked(t *testing.T) {
	engines(t, func(t *testing.T, r *rig) {
		v := r.available()
		if r.db.Engine() == db.SQLite {
			t.Skip("SQLite has one writer at a time")
		}
		held, done := make(chan struct{}), make(chan error)
		go func() {
			done <- r.db.InTx(t.Context(), func(ctx context.Context, tx *db.Tx) error {
				size := int64(200)
				_, err := r.volumes.Update(ctx, tx, acc, v, volume.UpdateRequest{SizeGB: &size})
				held <- struct{}{}
				<-held
				return err
			})
		}()
		<-held
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		err := r.db.InTx(ctx, func(ctx context.Context, tx *db.Tx) error {
			_, err := r.volumes.Delete(ctx, tx, "acc_2", v)
			return err
		})
		held <- struct{}{}
		if err := <-done; err != nil {
			t.Error(err)
		}
		code(t, err, apierr.NotFound) // and not a wait for a lock that it should never ask for
	})
}

func grow(r *rig, v id.ID) {
	size := int64(200)
	_, _ = r.update(v, volume.UpdateRequest{SizeGB: &size})
}

func TestLateStepIsCorrected(t *testing.T) {
	cases := map[string]struct {
		next func(r *rig, v id.ID) // after the volume was attached and detached by another worker
		want volume.Status
		at   id.ID
	}{
		"it is available":   {func(*rig, id.ID) {}, volume.StatusAvailable, ""},
		"it goes elsewhere": {func(r *rig, v id.ID) { _, _ = r.attach(v, target2) }, volume.StatusAttached, dep2},
		"it waits for another": {func(r *rig, v id.ID) {
			_, _ = r.attach(v, volume.Target{Deployment: "dep_3", Provider: "voltage-park", Region: "dallas-usa-5"})
		}, volume.StatusAttaching, ""},
		"it has gone there already": {
			func(r *rig, v id.ID) { _, _ = r.attach(v, target2); _, _ = r.volumes.Reconcile(r.t.Context(), v) },
			volume.StatusAttached,
			dep2,
		},
		"it is available and grows": {func(r *rig, v id.ID) { grow(r, v) }, volume.StatusAvailable, ""},
		"it has gone there already and grows": {func(r *rig, v id.ID) {
			_, _ = r.attach(v, target2)
			_, _ = r.volumes.Reconcile(r.t.Context(), v)
			grow(r, v)
		}, volume.StatusAttached, dep2},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			engines(t, func(t *testing.T, r *rig) {
				v := r.available()
				r.cloud.set(func(c *cloud) {
					c.machines[dep1], c.machines[dep2], c.machines["dep_3"] = provider.MachineReady, provider.MachineReady, provider.MachineProvisioning
				})
				if _, err := r.attach(v, target1); err != nil {
					t.Fatal(err)
				}
				overtaken := false
				r.cloud.set(func(cl *cloud) {
					cl.meanwhile = func() {
						overtaken = true
						if _, err := r.detach(v); err != nil {
							t.Error(err)
						}
						if _, err := r.volumes.Reconcile(t.Context(), v); err != nil {
							t.Error(err)
						}
						c.next(r, v)
					}
				})
				r.pass(time.Minute)
				if got := r.expect(v, c.want); got.GrowingToGB != nil || got.SizeGB != r.cloud.volumes[v].SizeGB {
					t.Errorf("%+v, upstream %+v", got, r.cloud.volumes[v])
				}
				if got := r.cloud.volumes[v].AttachedTo; got != c.at || !overtaken {
					t.Fatalf("upstream it is attached to %q, expected %q", got, c.at)
				}
			})
		})
	}
}
