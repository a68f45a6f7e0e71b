package deployment_test

import (
	"context"
	"testing"
	"time"

	"github.com/billetcloud/billet/internal/catalog"
	"github.com/billetcloud/billet/internal/deployment"
	"github.com/billetcloud/billet/internal/id"
	"github.com/billetcloud/billet/internal/money"
	"github.com/billetcloud/billet/internal/provider"
	"github.com/billetcloud/billet/internal/volume"
)

// The first candidate's provider made the machine, did not answer, and no longer accepts the API
// key: the next candidate is not launched, since it is unknown what the first one has.
func TestNextCandidateWaitsForTheEndOfTheMachine(t *testing.T) {
	refused := &provider.Error{Kind: provider.KindCredentials}
	for name, settle := range map[string]time.Duration{"a cloud that needs time to settle": time.Minute, "one that " +
		"makes nothing twice": 0} {
		t.Run(name, func(t *testing.T) {
			each(t, func(t *testing.T, r *testKit) {
				a, next := r.account(money.Dollars(1000)), r.otherOffers(1)[0]
				r.fake.set(func() {
					r.fake.settleTime, r.fake.answerErr = settle, &provider.Error{Kind: provider.KindUnavailable}
					r.fake.onLaunch = func(id.ID) { // it refuses the key from the second launch on
						if r.fake.calls["launch"] > 1 {
							r.fake.launchErr = refused
						}
					}
					r.fake.changeMachine = func(provider.Machine) (provider.Machine, error) {
						return provider.Machine{}, refused
					}
					r.fake.terminateErr = refused
				})
				d, err := r.create(a, requestAmong(t, next))
				r.must(err)
				r.pass(10 * time.Minute)
				r.pass(20 * time.Minute)
				d = r.get(a, d.ID)
				if up := r.upstream(); len(up) > 1 {
					t.Fatalf("two machines of one deployment, %s at %s: %v", d.Status, d.Provider, up)
				}
				if d.Status != deployment.StatusFailed || r.walletOf(a).Held != 0 {
					t.Errorf("%+v, %s held", d, r.walletOf(a).Held)
				}
				r.fake.set(func() {
					r.fake.launchErr, r.fake.onLaunch, r.fake.answerErr = nil, nil, nil
					r.fake.changeMachine, r.fake.terminateErr = nil, nil
				})
				r.pass(10 * time.Minute)
				if up := r.upstream(); len(up) != 0 {
					t.Errorf("left upstream: %v", up)
				}
			})
		})
	}
}

// A list that lags does not have a machine that was just made, and the server was restarted.
func TestMachineThatIsNotVisibleYetIsNotLost(t *testing.T) {
	each(t, func(t *testing.T, r *testKit) {
		a, next := r.account(money.Dollars(1000)), r.otherOffers(1)[0]
		made := r.clock.Now()
		r.fake.set(func() {
			r.fake.settleTime = 2 * time.Minute
			launching := true
			r.fake.changeMachine = func(m provider.Machine) (provider.Machine, error) {
				if launching { // the answer to the launch itself
					launching = false
					return m, nil
				}
				if r.clock.Now().Sub(made) < time.Minute {
					return provider.Machine{}, &provider.Error{Kind: provider.KindNotFound}
				}
				return m, nil
			}
			r.fake.terminateErr = &provider.Error{Kind: provider.KindNotFound}
		})
		d, err := r.create(a, requestAmong(t, next))
		r.must(err)
		r.pass(50 * time.Second)
		r.pass(20 * time.Second)
		r.fake.set(func() { r.fake.terminateErr = nil })
		d = r.await(a, d.ID, deployment.StatusRunning)
		if up := r.upstream(); len(up) != 1 || d.OfferID != pageOffer {
			t.Fatalf("%+v, upstream %v", d, up)
		}
		r.checkLedger()
	})
}

// The first candidate's provider answered the launch and cannot make the machine: the next
// candidate is launched as soon as the end is confirmed. Only a launch without an answer is waited
// for.
func TestNextCandidateDoesNotWaitForAnAnsweredLaunch(t *testing.T) {
	for name, c := range map[string]struct {
		lost    bool // is the first answer
		atLeast time.Duration
		atMost  time.Duration
	}{
		"answered":               {false, 0, 10 * time.Second},
		"answered the next time": {true, 55 * time.Second, 75 * time.Second},
	} {
		t.Run(name, func(t *testing.T) {
			each(t, func(t *testing.T, r *testKit) {
				a, next := r.account(money.Dollars(1000)), r.otherOffers(1)[0]
				r.fake.set(func() {
					if c.lost {
						r.fake.launchErr = &provider.Error{Kind: provider.KindUnavailable}
						r.fake.onLaunch = func(id.ID) { r.fake.launchErr = nil } // from the next one on
					}
					r.fake.changeMachine = func(m provider.Machine) (provider.Machine, error) {
						m.State = provider.MachineFailed
						return m, nil
					}
				})
				d, err := r.create(a, requestAmong(t, next))
				r.must(err)
				began := r.clock.Now()
				for r.get(a, d.ID).OfferID != next.ID && r.clock.Now().Sub(began) < 5*time.Minute {
					r.pass(time.Second)
				}
				if took := r.clock.Now().Sub(began); took < c.atLeast || took > c.atMost {
					t.Errorf("the next candidate was tried after %s, want %s to %s", took, c.atLeast, c.atMost)
				}
				r.await(a, d.ID, deployment.StatusRunning)
				if up := r.upstream(); len(up) != 1 {
					t.Errorf("upstream: %v", up)
				}
			})
		})
	}
}

// A worker that lost its job long ago sees SSH answer at the first candidate's machine, which has
// ended since.
func TestLateWorkerDoesNotRestoreTheFormerCandidate(t *testing.T) {
	each(t, func(t *testing.T, r *testKit) {
		a, next := r.account(money.Dollars(1000)), r.otherOffers(1)[0]
		r.sshErr = errNoSSH
		d, err := r.create(a, requestAmong(t, next))
		r.must(err)
		r.pass(time.Minute)
		if x := r.get(a, d.ID); x.Steps[3].Status != "active" {
			t.Fatalf("%+v", x)
		}
		// The late worker's probe takes until the next candidate is tried.
		late := r.lateWorker(func(context.Context, provider.Endpoint) (string, error) {
			for range 60 {
				r.pass(time.Minute)
				if r.get(a, d.ID).OfferID == next.ID {
					return "", nil
				}
			}
			t.Fatal("the next candidate is not tried within an hour")
			return "", nil
		})
		if _, err := late.Reconcile(t.Context(), d.ID); err != nil {
			t.Error(err)
		}
		if x := r.get(a, d.ID); x.Status != deployment.StatusDeploying || x.IPAddress != nil ||
			r.walletOf(a).Balance != money.Dollars(1000) {
			t.Fatalf("%+v", x)
		}
		r.sshErr = nil
		d = r.await(a, d.ID, deployment.StatusRunning)
		if d.OfferID != next.ID || len(r.upstream()) != 1 {
			t.Errorf("%+v, upstream %v", d, r.upstream())
		}
		r.checkLedger()
	})
}

// A worker that lost its job still waits for an answer when another one learns that the offer is
// sold out.
func TestNextCandidateWaitsForALateLaunch(t *testing.T) {
	for name, settle := range map[string]time.Duration{"a cloud that needs time to " +
		"settle": 90 * time.Second, "one that makes nothing twice": 0} {
		t.Run(name, func(t *testing.T) {
			each(t, func(t *testing.T, r *testKit) {
				a, next := r.account(money.Dollars(1000)), r.otherOffers(1)[0]
				d, err := r.create(a, requestAmong(t, next))
				r.must(err)
				r.fake.set(func() { r.fake.settleTime = settle })
				late := r.lateWorker(provider.ProbeSSH)
				if _, err := late.Reconcile(t.Context(), d.ID); err != nil { // pending
					t.Fatal(err)
				}
				r.fake.set(func() {
					r.fake.nextLaunch = func() {
						r.fake.set(func() { r.fake.launchErr = &provider.Error{Kind: provider.KindNoCapacity} })
						r.pass(20 * time.Second)
						r.pass(20 * time.Second)
						r.fake.set(func() { r.fake.launchErr = nil })
					}
				})
				_, err = r.lateWorker(provider.ProbeSSH).Reconcile(t.Context(), d.ID)
				t.Log(err)
				for range 10 {
					r.pass(time.Minute)
					if up := r.upstream(); len(up) > 1 {
						t.Fatalf("two machines: %+v", r.world.Machines())
					}
				}
				if x := r.get(a, d.ID); x.Status != deployment.StatusRunning || len(r.upstream()) != 1 {
					t.Errorf("%+v, upstream %v", x, r.upstream())
				}
				r.checkLedger()
			})
		})
	}
}

// Volumes go with the deployment from one candidate to the next.
func TestNextCandidateHasTheVolumes(t *testing.T) {
	for name, arrange := range map[string]func(r *testKit){
		"SSH never answers": func(r *testKit) { r.sshErr = errNoSSH },
		"the machine fails": func(r *testKit) {
			r.fake.changeMachine = func(m provider.Machine) (provider.Machine, error) {
				if m.State == provider.MachineReady {
					m.State = provider.MachineFailed
				}
				return m, nil
			}
		},
	} {
		t.Run(
			name,
			func(t *testing.T) { each(t, func(t *testing.T, r *testKit) { testVolumesOfCandidates(t, r, arrange) }) },
		)
	}
}

func testVolumesOfCandidates(t *testing.T, r *testKit, arrange func(r *testKit)) {
	a := r.account(money.Dollars(1000))
	page, _ := r.catalog.Default().Get(pageOffer)
	var other *deployment.Candidate
	yes := true
	all, _ := r.catalog.Default().List(catalog.Query{Available: &yes, Page: firstPage})
	for _, o := range all {
		if o.Provider == page.Provider && o.Region == page.Region && o.ID != page.ID && o.Available &&
			o.Capabilities.Volumes {
			other = &deployment.Candidate{OfferID: o.ID, OperatingSystem: &o.OperatingSystems[0]}
		}
	}
	if other == nil {
		t.Fatal("no other offer in the region")
	}
	v := r.volume(a, page.Provider, page.Region)
	arrange(r)
	req := requestAmong(t)
	req.Candidates, req.VolumeIDs = append(req.Candidates, *other), []id.ID{v}
	d, err := r.create(a, req)
	r.must(err)
	for range 1800 {
		if r.get(a, d.ID).OfferID == other.OfferID {
			break
		}
		r.pass(time.Second)
	}
	r.sshErr = nil
	r.fake.set(func() { r.fake.changeMachine = nil })
	d = r.await(a, d.ID, deployment.StatusRunning)
	r.pass(10 * time.Minute)
	d = r.get(a, d.ID)
	x, err := r.volumes.Get(t.Context(), r.db, a, v)
	r.must(err)
	up, err := r.fake.Volume(t.Context(), v)
	r.must(err)
	if d.OfferID != other.OfferID || x.Status != volume.StatusAttached || up.AttachedTo != d.ID {
		t.Errorf("%s with %v; the volume is %s, and upstream %+v", d.OfferID, d.VolumeIDs, x.Status, up)
	}
}
