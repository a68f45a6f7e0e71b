package deployment_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/billetcloud/billet/internal/apierr"
	"github.com/billetcloud/billet/internal/clock"
	"github.com/billetcloud/billet/internal/db"
	"github.com/billetcloud/billet/internal/db/dbtest"
	"github.com/billetcloud/billet/internal/deployment"
	"github.com/billetcloud/billet/internal/gpucheck"
	"github.com/billetcloud/billet/internal/health"
	"github.com/billetcloud/billet/internal/id"
	"github.com/billetcloud/billet/internal/issue"
	"github.com/billetcloud/billet/internal/money"
	"github.com/billetcloud/billet/internal/provider"
	"golang.org/x/crypto/ssh"
)

// checkGPUs is the deployments' CheckGPUs: passed, unless the test has another one.
func (r *testKit) checkGPUs(ctx context.Context, req health.Request) (health.Result, error) {
	if err := provider.CheckOutsideTx(ctx); err != nil {
		return health.Result{}, err
	}
	r.gpuChecks = append(r.gpuChecks, req)
	if kill, killable := ctx.Value(killer{}).(context.CancelFunc); killable && r.killHealth > 0 {
		if r.killHealth--; r.killHealth == 0 {
			kill()
		}
	}
	if r.gpus != nil {
		return r.gpus(req)
	}
	return found(gpucheck.Passed, "", req), nil
}

func (r *testKit) removeHealthKey(ctx context.Context, _ []health.Target, key string) error {
	if err := provider.CheckOutsideTx(ctx); err != nil {
		return err
	}
	if kill, killable := ctx.Value(killer{}).(context.CancelFunc); killable && r.killRemoval {
		r.killRemoval = false
		kill()
	}
	if r.removal == nil {
		r.removed = append(r.removed, key)
	}
	return r.removal
}

// found is a verdict on every node.
func found(v gpucheck.Verdict, reason string, req health.Request) health.Result {
	out := health.Result{Verdict: v, Reason: reason}
	for i := range req.Nodes {
		out.Nodes = append(out.Nodes, health.Node{Index: i, Reason: reason, Report: gpucheck.Report{
			Level: req.Level, Verdict: v, Checks: []gpucheck.Check{{Name: "ecc", Verdict: v, Detail: reason}},
			GPUs: []gpucheck.GPU{},
		}})
	}
	return out
}

// withPolicy is each with that policy for every offer, and a provider whose machines show a host
// key.
func withPolicy(t *testing.T, policy health.Policy, f func(t *testing.T, r *testKit)) {
	t.Helper()
	each(t, func(t *testing.T, r *testKit) {
		r.policy = policy
		key := strings.TrimSpace(publicKey(t))
		r.hostKey = func(provider.Endpoint) string { return key }
		r.must(r.catalog.Load(t.Context()))
		f(t, r)
	})
}

func (r *testKit) health(account, d id.ID) deployment.HealthReport {
	r.t.Helper()
	h, err := r.deployments.HealthOf(r.t.Context(), r.db, account, d)
	r.must(err)
	return h
}

// types returns the types of the deployment's events about checks.
func (r *testKit) healthEvents(account, d id.ID) (types []string) {
	r.t.Helper()
	all, _, err := r.events.List(r.t.Context(), r.db, account, d, firstPage)
	r.must(err)
	for _, e := range all {
		if strings.HasPrefix(e.Type, "deployment.health") {
			types = append(types, e.Type)
		}
	}
	return types
}

func TestPolicyOffInstallsNoKey(t *testing.T) {
	withPolicy(t, health.Off, func(t *testing.T, r *testKit) {
		a := r.account(money.Dollars(1000))
		d := r.running(a)
		if len(r.gpuChecks) != 0 || len(r.fake.lastLaunch.AuthorizedKeys) != 1 {
			t.Errorf("%d checks, keys %v", len(r.gpuChecks), r.fake.lastLaunch.AuthorizedKeys)
		}
		if h := r.health(a, d.ID); h.Verdict != nil || h.KeyInstalled || h.Policy != health.Off || len(d.Steps) != 4 {
			t.Errorf("%+v, steps %+v", h, d.Steps)
		}
	})
}

// The machine has one more key until its GPUs passed. Then the key is removed, and the first hour
// begins.
func TestMachineRunsOnceItsGPUsPassed(t *testing.T) {
	withPolicy(t, health.Require, func(t *testing.T, r *testKit) {
		a := r.account(money.Dollars(1000))
		r.gpus = func(req health.Request) (health.Result, error) {
			if w := r.walletOf(a); w.Balance != money.Dollars(1000) {
				t.Errorf("charged before the check: %+v", w)
			}
			return found(gpucheck.Passed, "", req), nil
		}
		d := r.running(a)
		req := r.gpuChecks[0]
		signer, err := ssh.ParsePrivateKey([]byte(req.Key))
		r.must(err)
		line := strings.TrimSpace(string(ssh.MarshalAuthorizedKey(signer.PublicKey())))
		if keys := r.fake.lastLaunch.AuthorizedKeys; len(keys) != 2 || !strings.HasPrefix(keys[1], line) {
			t.Errorf("keys %v, want one with %s", keys, line)
		}
		if len(r.gpuChecks) != 1 || len(req.Nodes) != 1 || !slices.Equal(req.Nodes[0].HostKeys, []string{r.hostKey(
			provider.Endpoint{})}) || req.Expected.GPUCount != 8 || req.Expected.GPUType != "NVIDIA B200" {
			t.Errorf("%d checks, %+v", len(r.gpuChecks), req)
		}
		h := r.health(a, d.ID)
		if h.Verdict == nil || *h.Verdict != gpucheck.Passed || h.KeyInstalled || len(h.Checks) != 1 ||
			h.Checks[0].Trigger != health.AtLaunch {
			t.Errorf("%+v", h)
		}
		if !slices.Equal(r.removed, []string{req.Key}) || d.Steps[4].Status != "done" {
			t.Errorf("removed %d keys, steps %+v", len(r.removed), d.Steps)
		}
		if got := r.healthEvents(a, d.ID); !slices.Equal(got, []string{"deployment.health_checked"}) {
			t.Errorf("events %v", got)
		}
		r.pass(5 * time.Hour)
		if len(r.gpuChecks) != 1 {
			t.Errorf("%d checks after the key was removed", len(r.gpuChecks))
		}
	})
}

// GPUs that fail: the machine is gone before the next candidate is launched, and the tenant pays
// for the second one only.
func TestFailedGPUsLeadToTheNextCandidate(t *testing.T) {
	withPolicy(t, health.Require, func(t *testing.T, r *testKit) {
		a, next := r.account(money.Dollars(1000)), r.otherOffers(1)[0]
		r.gpus = func(req health.Request) (health.Result, error) {
			if len(r.gpuChecks) == 1 {
				return found(gpucheck.Failed, "GPU 3 needs a reset", req), nil
			}
			if up := r.upstream(); len(up) != 1 {
				t.Errorf("upstream at the second check: %v", up)
			}
			return found(gpucheck.Warning, "GPU 1 has a lower power limit", req), nil
		}
		d, err := r.create(a, requestAmong(t, next))
		r.must(err)
		d = r.await(a, d.ID, deployment.StatusRunning)
		if d.OfferID != next.ID || len(d.Attempts) != 1 || d.Attempts[0].Cause != deployment.CauseUnhealthy ||
			!strings.Contains(d.Attempts[0].Reason, "GPU 3 needs a reset") {
			t.Fatalf("%+v", d)
		}
		if r.gpuChecks[0].Key == r.gpuChecks[1].Key {
			t.Error("both machines have the same key")
		}
		h := r.health(a, d.ID)
		if *h.Verdict != gpucheck.Warning || len(h.Checks) != 2 || *h.Checks[1].Verdict != gpucheck.Failed ||
			h.Checks[1].OfferID != pageOffer {
			t.Errorf("%+v", h)
		}
		if got := r.healthEvents(a, d.ID); !slices.Equal(got,
			[]string{"deployment.health_failed", "deployment.health_checked"}) {
			t.Errorf("events %v", got)
		}
		issues := r.allIssues()
		if len(issues) != 1 || issues[0].Kind != issue.FailedGPUs || issues[0].Provider != slug ||
			!strings.Contains(issues[0].Detail, "at launch: GPU 3") {
			t.Errorf("issues %+v", issues)
		}
		if cost := r.get(a, d.ID).CostToDate; cost != next.HourlyPrice {
			t.Errorf("cost %s, want %s", cost, next.HourlyPrice)
		}
		r.checkLedger()
	})
}

// A fault that a machine shows, too, that is still starting is confirmed by a second check, which
// is due later. It decides alone: the first one is in the history, and no more.
func TestPassingFaultIsConfirmedByASecondCheck(t *testing.T) {
	for _, second := range []gpucheck.Verdict{gpucheck.Passed, gpucheck.Failed} {
		t.Run(string(second), func(t *testing.T) {
			withPolicy(t, health.Require, func(t *testing.T, r *testKit) { confirm(t, r, second) })
		})
	}
}

// confirm deploys a machine whose first check fails and may pass, and whose second check has that
// verdict.
func confirm(t *testing.T, r *testKit, second gpucheck.Verdict) {
	var at []time.Time
	r.gpus = func(req health.Request) (health.Result, error) {
		at = append(at, r.clock.Now())
		out := found(gpucheck.Failed, "No CUDA program starts.", req)
		if len(at) > 1 {
			out = found(second, "No CUDA program starts.", req)
		}
		out.Nodes[0].MayPass = true
		return out, nil
	}
	a := r.account(money.Dollars(1000))
	d := r.deploy(a)
	r.pass(time.Minute)
	got := r.get(a, d.ID)
	if got.Status != deployment.StatusDeploying || got.Health.Verdict != nil || len(r.allIssues()) != 0 ||
		len(r.healthEvents(a, d.ID)) != 0 || !strings.Contains(*got.Steps[4].Detail, "No CUDA program") {
		t.Errorf("after the first check: %+v, issues %v", got, r.allIssues())
	}
	r.pass(5 * time.Minute)
	if len(at) != 2 || at[1].Sub(at[0].Truncate(time.Second)) < 2*time.Minute {
		t.Fatalf("checked at %v", at)
	}
	h := r.health(a, d.ID)
	if len(h.Checks) != 2 || *h.Verdict != second || *h.Checks[1].Verdict != gpucheck.Failed {
		t.Errorf("%+v", h)
	}
	got = r.get(a, d.ID)
	want := []any{deployment.StatusRunning, deployment.CauseReady, 0, 1, money.Dollars(1000) - got.HourlyPrice}
	if second == gpucheck.Failed {
		want = []any{deployment.StatusFailed, deployment.CauseUnhealthy, 1, 0, money.Dollars(1000)}
	}
	have := []any{got.Status, got.StatusCause, len(r.allIssues()), len(r.upstream()), r.walletOf(a).Balance}
	if !slices.Equal(have, want) {
		t.Errorf("%v, want %v", have, want)
	}
	r.checkLedger()
}

func TestFailedGPUsCostNothing(t *testing.T) {
	withPolicy(t, health.Require, func(t *testing.T, r *testKit) {
		r.gpus = func(req health.Request) (health.Result, error) { return found(gpucheck.Failed, "bad", req), nil }
		a := r.account(money.Dollars(1000))
		d := r.await(a, r.deploy(a).ID, deployment.StatusFailed)
		r.pass(5 * time.Minute)
		if w := r.walletOf(a); w.Balance != money.Dollars(1000) || w.Held != 0 || len(r.upstream()) != 0 {
			t.Errorf("%+v, upstream %v", w, r.upstream())
		}
		if d.StatusCause != deployment.CauseUnhealthy || !strings.Contains(*d.StatusReason, "bad") {
			t.Errorf("%s: %v", d.StatusCause, *d.StatusReason)
		}
		if h := r.health(a, d.ID); h.KeyInstalled {
			t.Error("the key is kept after the end")
		}
		r.checkLedger()
	})
}

// A machine that cannot be checked until the launch deadline is not called broken, and is not sold.
func TestUncheckedGPUsAreNotPassed(t *testing.T) {
	withPolicy(t, health.Require, func(t *testing.T, r *testKit) {
		r.gpus = func(health.Request) (health.Result, error) {
			return health.NotChecked("The machine couldn't be reached over SSH."), nil
		}
		a := r.account(money.Dollars(1000))
		d := r.deploy(a)
		r.pass(2 * time.Hour)
		d = r.get(a, d.ID)
		if d.Status != deployment.StatusFailed || d.StatusCause != deployment.CauseNotChecked ||
			!strings.Contains(*d.StatusReason, "reached over SSH") {
			t.Errorf("%s %s", d.Status, d.StatusCause)
		}
		if n := len(r.gpuChecks); n < 3 || n > 100 {
			t.Errorf("%d attempts", n)
		}
		if h := r.health(a, d.ID); *h.Verdict != gpucheck.NotChecked || len(h.Checks) != 1 {
			t.Errorf("%+v", h)
		}
		if w := r.walletOf(a); w.Balance != money.Dollars(1000) || w.Held != 0 || len(r.allIssues()) != 0 {
			t.Errorf("%+v, issues %v", w, r.allIssues())
		}
	})
}

// A launch that found this server busy at its deadline is not ended at once.
func TestBusyServerEndsNoLaunchAtItsDeadline(t *testing.T) {
	withPolicy(t, health.Require, func(t *testing.T, r *testKit) {
		var by time.Time
		r.gpus = func(req health.Request) (health.Result, error) {
			if req.Account == "" {
				t.Error("the check has no account")
			}
			if by.IsZero() {
				by = r.clock.Now().Add(r.fake.Info().LaunchLimit + time.Minute)
			}
			if r.clock.Now().Before(by) {
				return health.Result{}, health.ErrBusy
			}
			return found(gpucheck.Passed, "", req), nil
		}
		a := r.account(money.Dollars(1000))
		d := r.deploy(a)
		r.pass(r.fake.Info().LaunchLimit + 5*time.Minute)
		if got := r.get(a, d.ID); got.Status != deployment.StatusRunning {
			t.Errorf("%s %s after %d checks", got.Status, got.StatusCause, len(r.gpuChecks))
		}
	})
}

// A key that cannot be opened is no reason to deploy forever.
func TestKeyThatCannotBeOpenedIsNotChecked(t *testing.T) {
	for _, policy := range []health.Policy{health.Report, health.Require} {
		withPolicy(t, policy, func(t *testing.T, r *testKit) {
			a := r.account(money.Dollars(1000))
			r.gpus = func(health.Request) (health.Result, error) {
				r.must(r.tx(func(ctx context.Context, tx *db.Tx) error {
					_, err := tx.Exec(ctx, `UPDATE deployment SET health_key_sealed = 'spoiled'`)
					return err
				}))
				return health.NotChecked("The machine couldn't be reached over SSH."), nil
			}
			d := r.deploy(a)
			r.pass(2 * time.Hour)
			got := r.get(a, d.ID)
			want := deployment.StatusRunning
			if policy == health.Require {
				want = deployment.StatusFailed
			}
			if got.Status != want || got.Health.Verdict == nil || *got.Health.Verdict != gpucheck.NotChecked ||
				!strings.Contains(*got.Health.Reason, "can't be opened") || len(r.gpuChecks) != 1 {
				t.Errorf("%s: %s, %+v", policy, got.Status, got.Health)
			}
		})
	}
}

// A driver that is installed by cloud-init, or keys that come late, are waited for.
func TestCheckIsRepeatedUntilTheMachineAnswers(t *testing.T) {
	withPolicy(t, health.Require, func(t *testing.T, r *testKit) {
		r.gpus = func(req health.Request) (health.Result, error) {
			switch len(r.gpuChecks) {
			case 1:
				return health.Result{}, health.ErrBusy
			case 2:
				return health.NotChecked("The machine doesn't accept Billet's key."), nil
			}
			return found(gpucheck.Passed, "", req), nil
		}
		a := r.account(money.Dollars(1000))
		if d := r.running(a); *d.Health.Verdict != gpucheck.Passed || len(r.gpuChecks) != 3 {
			t.Errorf("%+v after %d checks", d.Health, len(r.gpuChecks))
		}
	})
}

func TestReportStartsWhateverTheVerdict(t *testing.T) {
	for _, v := range []gpucheck.Verdict{gpucheck.Failed, gpucheck.NotChecked, gpucheck.Passed} {
		t.Run(string(v), func(t *testing.T) {
			withPolicy(t, health.Report, func(t *testing.T, r *testKit) {
				r.gpus = func(req health.Request) (health.Result, error) { return found(v, "because", req), nil }
				a := r.account(money.Dollars(1000))
				d := r.running(a)
				if took := d.StartedAt.Sub(*d.Steps[4].StartedAt); took > time.Minute+5*time.Second {
					t.Errorf("waited %s", took)
				}
				if *d.Health.Verdict != v || len(r.removed) != 1 {
					t.Errorf("%+v, %d keys removed", d.Health, len(r.removed))
				}
			})
		})
	}
}

// An offer that takes one key only cannot be checked: it is refused where the check is required,
// and never passed.
func TestSingleKeyOffersAreNotPassed(t *testing.T) {
	for _, policy := range []health.Policy{health.Report, health.Require} {
		t.Run(string(policy), func(t *testing.T) {
			withPolicy(t, policy, func(t *testing.T, r *testKit) {
				r.fake.set(func() { r.fake.singleKey = true })
				r.pass(5 * time.Minute)
				a := r.account(money.Dollars(1000))
				d, err := r.create(a, request(t))
				if policy == health.Require {
					if r.code(err) != apierr.Conflict || !strings.Contains(err.Error(), "one SSH key") {
						t.Errorf("%v", err)
					}
					return
				}
				r.must(err)
				d = r.await(a, d.ID, deployment.StatusRunning)
				if *d.Health.Verdict != gpucheck.NotChecked || len(r.gpuChecks) != 0 {
					t.Errorf("%+v", d.Health)
				}
			})
		})
	}
}

// With a key that is kept, checks can be requested and repeat. One that fails raises an event, and
// costs nothing.
func TestKeptKeyChecksAgain(t *testing.T) {
	withPolicy(t, health.Report, func(t *testing.T, r *testKit) {
		a := r.account(money.Dollars(1000))
		req := request(t)
		req.HealthAccess = health.AccessKeep
		d, err := r.create(a, req)
		r.must(err)
		d = r.await(a, d.ID, deployment.StatusRunning)
		ask := func() (c health.Check, err error) {
			err = r.tx(func(ctx context.Context, tx *db.Tx) error {
				c, err = r.deployments.RequestHealthCheck(ctx, tx, a, d.ID, 0)
				return err
			})
			return c, err
		}
		if _, err := ask(); r.code(err) != apierr.RateLimitExceeded {
			t.Errorf("at once: %v", err)
		}
		r.pass(3 * time.Minute)
		r.gpus = func(req health.Request) (health.Result, error) { return found(gpucheck.Failed, "GPU 2", req), nil }
		c, err := ask()
		r.must(err)
		if _, err := ask(); r.code(err) != apierr.Conflict {
			t.Errorf("twice: %v", err)
		}
		r.drain()
		h := r.health(a, d.ID)
		if len(h.Latest.Nodes) != 1 || len(h.Checks) != 2 || len(h.Checks[0].Nodes) != 1 ||
			len(h.Checks[1].Nodes) != 0 {
			t.Errorf("nodes of others than the latest: %+v", h.Checks)
		}
		if h.Latest.ID != c.ID || *h.Verdict != gpucheck.Failed || h.Latest.Trigger != health.OnRequest ||
			!h.KeyInstalled {
			t.Errorf("%+v", h)
		}
		r.pass(9 * time.Hour)
		if n := len(r.health(a, d.ID).Checks); n != 4 { // at the launch, the request, and two by schedule
			t.Errorf("%d checks", n)
		}
		if got := r.healthEvents(a, d.ID); !slices.Equal(got,
			[]string{"deployment.health_checked", "deployment.health_failed"}) {
			t.Errorf("events %v: a verdict that repeats is none", got)
		}
		if len(r.removed) != 0 || len(r.allIssues()) != 1 ||
			!strings.Contains(r.allIssues()[0].Detail, "while the tenant had root: GPU 2") {
			t.Errorf("%d keys removed, issues %v", len(r.removed), r.allIssues())
		}
		_, _, err = r.terminate(a, d.ID, false)
		r.must(err)
		if h := r.health(a, d.ID); h.KeyInstalled {
			t.Error("the key is kept after the end")
		}
		if _, err := ask(); r.code(err) != apierr.Conflict {
			t.Errorf("after the end: %v", err)
		}
		r.checkLedger()
	})
}

// A check that was requested is finished although its deployment ends before it runs.
func TestRequestedCheckEndsWithItsDeployment(t *testing.T) {
	withPolicy(t, health.Report, func(t *testing.T, r *testKit) {
		a := r.account(money.Dollars(1000))
		req := request(t)
		req.HealthAccess = health.AccessKeep
		d, err := r.create(a, req)
		r.must(err)
		d = r.await(a, d.ID, deployment.StatusRunning)
		r.pass(time.Hour)
		r.must(r.tx(func(ctx context.Context, tx *db.Tx) error {
			if _, err := r.deployments.RequestHealthCheck(ctx, tx, a, d.ID, 1); err != nil {
				return err
			}
			_, _, err := r.deployments.Terminate(ctx, tx, a, d.ID, false)
			return err
		}))
		r.drain()
		if h := r.health(a, d.ID); *h.Latest.Verdict != gpucheck.NotChecked || *h.Verdict != gpucheck.Passed {
			t.Errorf("%+v", h)
		}
	})
}

func TestCheckIsRefusedWithoutKey(t *testing.T) {
	for policy, want := range map[health.Policy]string{health.Off: "policy for this offer is off",
		health.Report: "healthAccess set to keep"} {
		withPolicy(t, policy, func(t *testing.T, r *testKit) {
			a := r.account(money.Dollars(1000))
			d := r.running(a)
			err := r.tx(func(ctx context.Context, tx *db.Tx) error {
				_, err := r.deployments.RequestHealthCheck(ctx, tx, a, d.ID, 1)
				return err
			})
			if r.code(err) != apierr.Conflict || !strings.Contains(fmt.Sprint(err), want) {
				t.Errorf("%v, want %q", err, want)
			}
		})
	}
}

// A key that cannot be removed does not delay the start. The removal is retried; after a day the
// private part is forgotten, which has the same effect.
func TestRemovalOfTheKeyIsRetried(t *testing.T) {
	for _, works := range []bool{true, false} {
		withPolicy(t, health.Require, func(t *testing.T, r *testKit) {
			r.removal = errors.New("the connection was reset")
			a := r.account(money.Dollars(1_000_000))
			d := r.running(a)
			if !r.health(a, d.ID).KeyInstalled {
				t.Fatal("the key is forgotten before it was removed")
			}
			if works {
				r.removal = nil
				r.pass(15 * time.Minute)
			} else {
				r.pass(25 * time.Hour)
			}
			if r.health(a, d.ID).KeyInstalled || len(r.removed) > 1 || works != (len(r.removed) == 1) {
				t.Errorf("%+v, %d removed", r.health(a, d.ID), len(r.removed))
			}
		})
	}
}

// A run that is killed at any step of a check leaves one machine and one charge, and the next run
// goes on.
func TestKilledCheckIsRepeated(t *testing.T) {
	for _, verdict := range []gpucheck.Verdict{gpucheck.Passed, gpucheck.Failed} {
		for _, at := range []string{"check", "removal"} {
			t.Run(string(verdict)+"/"+at, func(t *testing.T) {
				withPolicy(t, health.Require, func(t *testing.T, r *testKit) {
					r.kills = true
					r.serve()
					switch at {
					case "check":
						r.killHealth = 1
					case "removal":
						r.killRemoval = true
					}
					r.gpus = func(req health.Request) (health.Result, error) {
						return found(verdict, "bad", req), nil
					}
					a := r.account(money.Dollars(1000))
					d := r.deploy(a)
					r.pass(5 * time.Minute)
					got, w := r.get(a, d.ID), r.walletOf(a)
					switch {
					case verdict == gpucheck.Failed && (got.Status != deployment.StatusFailed ||
						len(r.upstream()) != 0 || w.Balance != money.Dollars(1000) || w.Held != 0):
						t.Errorf("%s, upstream %v, %+v", got.Status, r.upstream(), w)
					case verdict == gpucheck.Passed && (got.Status != deployment.StatusRunning ||
						len(r.upstream()) != 1 || w.Balance != money.Dollars(1000)-got.HourlyPrice ||
						got.Health.KeyInstalled):
						t.Errorf("%s, upstream %v, %+v, %+v", got.Status, r.upstream(), w, got.Health)
					}
					if n := len(r.health(a, d.ID).Checks); n != 1 {
						t.Errorf("%d checks are recorded", n)
					}
					r.checkLedger()
				})
			})
		}
	}
}

// The key of each machine is deleted at a provider that keeps keys, once the machine is gone: that
// of one whose GPUs failed, and that of one that ran. No key of a tenant is, and a failure of the
// provider delays nothing.
func TestKeyOfACheckIsDeletedAtItsProvider(t *testing.T) {
	withPolicy(t, health.Require, func(t *testing.T, r *testKit) {
		a, next := r.account(money.Dollars(1000)), r.otherOffers(1)[0] // of another provider
		forgotten := func() (keys []string) {
			r.fake.set(func() { keys = slices.Clone(r.fake.forgotten) })
			return keys
		}
		r.gpus = func(req health.Request) (health.Result, error) {
			v := gpucheck.Passed
			if len(r.gpuChecks) == 1 {
				v = gpucheck.Failed
			}
			return found(v, "bad", req), nil
		}
		d, err := r.create(a, requestAmong(t, next))
		r.must(err)
		r.await(a, d.ID, deployment.StatusRunning)
		d = r.running(a)
		want := []string{r.publicOf(r.gpuChecks[0])}
		if got := forgotten(); !slices.Equal(got, want) {
			t.Fatalf("%v while the others run, want %v", got, want)
		}
		r.pass(30 * time.Minute) // the minimum runtime
		_, _, err = r.terminate(a, d.ID, false)
		r.must(err)
		r.pass(5 * time.Minute)
		want = append(want, r.publicOf(r.gpuChecks[2]))
		if got := r.get(a, d.ID).Status; got != deployment.StatusTerminated || !slices.Equal(forgotten(), want) {
			t.Errorf("%s, %v, want %v", got, forgotten(), want)
		}
	})
}

// publicOf is the public part of the key that a check was made with.
func (r *testKit) publicOf(check health.Request) string {
	r.t.Helper()
	signer, err := ssh.ParsePrivateKey([]byte(check.Key))
	r.must(err)
	return strings.TrimSpace(string(ssh.MarshalAuthorizedKey(signer.PublicKey())))
}

// A statement that fails fails the check, or what follows from it.
func TestNoFailedStatementIsIgnored_Health(t *testing.T) {
	t.Parallel()
	c := clock.NewFrozen(dbtest.Start)
	d, faults := dbtest.Recorded(t, db.SQLite, c)
	r := newKit(t, d, c)
	r.policy = health.Require
	key := strings.TrimSpace(publicKey(t))
	r.hostKey = func(provider.Endpoint) string { return key }
	r.must(r.catalog.Load(t.Context()))
	a := r.account(money.Dollars(1_000_000))
	run := func(access health.Access, verdict gpucheck.Verdict, want deployment.Status) deployment.Deployment {
		t.Helper()
		r.gpus = func(req health.Request) (health.Result, error) {
			out := found(verdict, "bad", req)
			out.Nodes[0].MayPass = verdict == gpucheck.Failed // so that a second check follows
			return out, nil
		}
		req := request(t)
		req.HealthAccess, req.Name = access, string(access)+string(verdict[:4])
		x, err := r.create(a, req)
		r.must(err)
		for range 60 {
			faults.FailEach(t, "Reconcile with a check", func() error {
				_, err := r.deployments.Reconcile(t.Context(), x.ID)
				return err
			})
			if x = r.get(a, x.ID); x.Status == want {
				return x
			}
			r.clock.Advance(4 * time.Second)
		}
		t.Fatalf("%s, want %s", x.Status, want)
		return x
	}
	x := run(health.AccessLaunch, gpucheck.Failed, deployment.StatusFailed)
	if x.StatusCause != deployment.CauseUnhealthy {
		t.Errorf("%+v", x)
	}
	if x := run(health.AccessLaunch, gpucheck.Passed, deployment.StatusRunning); x.Health.KeyInstalled {
		t.Errorf("%+v", x.Health)
	}
	x = run(health.AccessKeep, gpucheck.Passed, deployment.StatusRunning)
	r.clock.Advance(time.Hour)
	faults.FailEachTx(t, "RequestHealthCheck", d, func(ctx context.Context, tx *db.Tx) error {
		_, err := r.deployments.RequestHealthCheck(ctx, tx, a, x.ID, 1)
		return err
	})
	faults.FailEach(t, "CheckHealth", func() error {
		_, err := r.deployments.CheckHealth(t.Context(), x.ID)
		return err
	})
	faults.FailEach(t, "HealthOf", func() error {
		_, err := r.deployments.HealthOf(t.Context(), d, a, x.ID)
		return err
	})
	if h := r.health(a, x.ID); len(h.Checks) != 2 || h.Latest.Trigger != health.OnRequest {
		t.Errorf("%+v", h)
	}
}

// The newest checks are kept, and no more.
func TestChecksAreBounded(t *testing.T) {
	withPolicy(t, health.Report, func(t *testing.T, r *testKit) {
		a := r.account(money.Dollars(1_000_000))
		req := request(t)
		req.HealthAccess = health.AccessKeep
		d, err := r.create(a, req)
		r.must(err)
		d = r.await(a, d.ID, deployment.StatusRunning)
		r.pass(5 * 24 * time.Hour)
		checks := r.health(a, d.ID).Checks
		if len(checks) != health.Kept || !slices.IsSortedFunc(checks, func(a, b health.Check) int {
			return strings.Compare(string(b.ID), string(a.ID))
		}) || len(r.gpuChecks) < health.Kept+5 {
			t.Errorf("%d kept of %d", len(checks), len(r.gpuChecks))
		}
	})
}

// Each node of a cluster is checked, with its part of the GPUs and its own host key.
func TestEveryNodeIsChecked(t *testing.T) {
	withPolicy(t, health.Require, func(t *testing.T, r *testKit) {
		first, second := strings.TrimSpace(publicKey(t)), strings.TrimSpace(publicKey(t))
		r.fake.changeReady(func(m *provider.Machine) {
			m.Nodes = []provider.Node{
				{Address: m.Address, SSHPort: m.SSHPort, SSHHostKeys: []string{first}},
				{Address: m.Address, SSHPort: m.SSHPort, SSHHostKeys: []string{second}},
			}
		})
		a := r.account(money.Dollars(1000))
		r.running(a)
		got := r.gpuChecks[0]
		if len(got.Nodes) != 2 || got.Nodes[0].HostKeys[0] != first || got.Nodes[1].HostKeys[0] != second ||
			got.Expected.GPUCount != 4 {
			t.Errorf("%+v", got)
		}
	})
}
