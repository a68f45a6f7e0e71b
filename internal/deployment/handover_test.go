package deployment_test

import (
	"context"
	"testing"
	"time"

	"github.com/billetcloud/billet/internal/deployment"
	"github.com/billetcloud/billet/internal/id"
	"github.com/billetcloud/billet/internal/money"
	"github.com/billetcloud/billet/internal/provider"
	"github.com/billetcloud/billet/internal/volume"
)

// The first candidate's provider made the machine, did not say so, and takes our key no more: the
// next candidate is not asked, since nobody knows what the first one has.
func TestNextCandidateWaitsForTheEndOfTheMachine(t *testing.T) {
	refused := &provider.Error{Kind: provider.KindCredentials}
	for name, settle := range map[string]time.Duration{"a cloud that needs time to settle": time.Minute, "one that makes nothing twice": 0} {
		t.Run(name, func(t *testing.T) {
			each(t, func(t *testing.T, r *rig) {
				a, next := r.account(money.Dollars(1000)), r.elsewhere(1)[0]
				r.park.set(func() {
					r.park.settle, r.park.afterwards = settle, &provider.Error{Kind: provider.KindUnavailable}
					r.park.launched = func(id.ID) { // it is asked once, and takes our key no more from then on
						if r.park.calls["launch"] > 1 {
							r.park.launch = refused
						}
					}
					r.park.machine = func(provider.Machine) (provider.Machine, error) { return provider.Machine{}, refused }
					r.park.terminate = refused
				})
				d, err := r.create(a, among(t, next))
				r.must(err)
				r.pass(10 * time.Minute)
				r.pass(20 * time.Minute)
				d = r.get(a, d.ID)
				if up := r.upstream(); len(up) > 1 {
					t.Fatalf("two machines of one deployment, %s at %s: %v", d.Status, d.Provider, up)
				}
				if d.Status != deployment.StatusFailed || r.money(a).Held != 0 {
					t.Errorf("%+v, %s held", d, r.money(a).Held)
				}
				r.park.set(func() {
					r.park.launch, r.park.launched, r.park.afterwards, r.park.machine, r.park.terminate = nil, nil, nil, nil, nil
				})
				r.pass(10 * time.Minute)
				if up := r.upstream(); len(up) != 0 {
					t.Errorf("left upstream: %v", up)
				}
			})
		})
	}
}

// A list that lags shows nothing of a machine that was just made, and the server that made it has
// been started anew.
func TestMachineThatIsNotVisibleYetIsNotLost(t *testing.T) {
	each(t, func(t *testing.T, r *rig) {
		a, next := r.account(money.Dollars(1000)), r.elsewhere(1)[0]
		made := r.clock.Now()
		r.park.set(func() {
			r.park.settle = 2 * time.Minute
			launching := true
			r.park.machine = func(m provider.Machine) (provider.Machine, error) {
				if launching { // the answer to the launch itself
					launching = false
					return m, nil
				}
				if r.clock.Now().Sub(made) < time.Minute {
					return provider.Machine{}, &provider.Error{Kind: provider.KindNotFound}
				}
				return m, nil
			}
			r.park.terminate = &provider.Error{Kind: provider.KindNotFound}
		})
		d, err := r.create(a, among(t, next))
		r.must(err)
		r.pass(50 * time.Second)
		r.pass(20 * time.Second)
		r.park.set(func() { r.park.terminate = nil })
		d = r.await(a, d.ID, deployment.StatusRunning)
		if up := r.upstream(); len(up) != 1 || d.OfferID != pageOffer {
			t.Fatalf("%+v, upstream %v", d, up)
		}
		r.audit()
	})
}

// The first candidate's provider answered the launch and cannot make the machine: the next one is
// asked as soon as it has confirmed the end. Only a launch without an answer, which may still be on
// its way, is waited for.
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
			each(t, func(t *testing.T, r *rig) {
				a, next := r.account(money.Dollars(1000)), r.elsewhere(1)[0]
				r.park.set(func() {
					if c.lost {
						r.park.launch = &provider.Error{Kind: provider.KindUnavailable}
						r.park.launched = func(id.ID) { r.park.launch = nil } // from the next one on
					}
					r.park.machine = func(m provider.Machine) (provider.Machine, error) {
						m.State = provider.MachineFailed
						return m, nil
					}
				})
				d, err := r.create(a, among(t, next))
				r.must(err)
				began := r.clock.Now()
				for r.get(a, d.ID).OfferID != next.ID && r.clock.Now().Sub(began) < 5*time.Minute {
					r.pass(time.Second)
				}
				if took := r.clock.Now().Sub(began); took < c.atLeast || took > c.atMost {
					t.Errorf("the next candidate had its turn after %s", took)
				}
				r.await(a, d.ID, deployment.StatusRunning)
				if up := r.upstream(); len(up) != 1 {
					t.Errorf("upstream: %v", up)
				}
			})
		})
	}
}

// A worker that lost its job long ago hears that SSH answers at the first candidate's machine,
// which has been ended since.
func TestLateWorkerDoesNotRestoreTheFormerCandidate(t *testing.T) {
	each(t, func(t *testing.T, r *rig) {
		a, next := r.account(money.Dollars(1000)), r.elsewhere(1)[0]
		r.probe = errNobody
		d, err := r.create(a, among(t, next))
		r.must(err)
		r.pass(time.Minute)
		if x := r.get(a, d.ID); x.Steps[3].Status != "active" {
			t.Fatalf("%+v", x)
		}
		// The late worker: its probe takes until the next candidate's turn has come.
		late := r.late(func(context.Context, provider.Endpoint) (string, error) {
			for range 60 {
				r.pass(time.Minute)
				if r.get(a, d.ID).OfferID == next.ID {
					return "", nil
				}
			}
			t.Fatal("the next candidate's turn does not come")
			return "", nil
		})
		if _, err := late.Reconcile(t.Context(), d.ID); err != nil {
			t.Error(err)
		}
		if x := r.get(a, d.ID); x.Status != deployment.StatusDeploying || x.IPAddress != nil ||
			r.money(a).Balance != money.Dollars(1000) {
			t.Fatalf("%+v", x)
		}
		r.probe = nil
		d = r.await(a, d.ID, deployment.StatusRunning)
		if d.OfferID != next.ID || len(r.upstream()) != 1 {
			t.Errorf("%+v, upstream %v", d, r.upstream())
		}
		r.audit()
	})
}

// slow has something happen between the request for a machine and its making.
type slow struct {
	allOfIt
	meanwhile func()
}

func (p *slow) Launch(ctx context.Context, r provider.LaunchRequest) (provider.Machine, error) {
	p.meanwhile()
	return p.allOfIt.Launch(ctx, r)
}

// A worker that lost its job is still being answered when another one hears that the offer is sold
// out.
func TestNextCandidateWaitsForALateLaunch(t *testing.T) {
	for name, settle := range map[string]time.Duration{"a cloud that needs time to settle": 90 * time.Second, "one that makes nothing twice": 0} {
		t.Run(name, func(t *testing.T) {
			each(t, func(t *testing.T, r *rig) {
				a, next := r.account(money.Dollars(1000)), r.elsewhere(1)[0]
				d, err := r.create(a, among(t, next))
				r.must(err)
				r.park.set(func() { r.park.settle = settle })
				late := r.late(provider.ProbeSSH)
				if _, err := late.Reconcile(t.Context(), d.ID); err != nil { // pending
					t.Fatal(err)
				}
				r.asked = &slow{allOfIt: r.park, meanwhile: func() {
					r.park.set(func() { r.park.launch = &provider.Error{Kind: provider.KindNoCapacity} })
					r.pass(20 * time.Second)
					r.pass(20 * time.Second)
					r.park.set(func() { r.park.launch = nil })
				}}
				_, err = r.late(provider.ProbeSSH).Reconcile(t.Context(), d.ID)
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
				r.audit()
			})
		})
	}
}

// Volumes go with the deployment from one candidate to the next.
func TestNextCandidateHasTheVolumes(t *testing.T) {
	for name, arrange := range map[string]func(r *rig){
		"SSH never answers": func(r *rig) { r.probe = errNobody },
		"the machine fails": func(r *rig) {
			r.park.machine = func(m provider.Machine) (provider.Machine, error) {
				if m.State == provider.MachineReady {
					m.State = provider.MachineFailed
				}
				return m, nil
			}
		},
	} {
		t.Run(
			name,
			func(t *testing.T) { each(t, func(t *testing.T, r *rig) { testVolumesOfCandidates(t, r, arrange) }) },
		)
	}
}

func testVolumesOfCandidates(t *testing.T, r *rig, arrange func(r *rig)) {
	a := r.account(money.Dollars(1000))
	page, _ := r.catalog.Default().Get(pageOffer)
	var other *deployment.Candidate
	all, _ := r.catalog.Default().List(query())
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
	req := among(t)
	req.Candidates, req.VolumeIDs = append(req.Candidates, *other), []id.ID{v}
	d, err := r.create(a, req)
	r.must(err)
	for range 1800 {
		if r.get(a, d.ID).OfferID == other.OfferID {
			break
		}
		r.pass(time.Second)
	}
	r.probe = nil
	r.park.set(func() { r.park.machine = nil })
	d = r.await(a, d.ID, deployment.StatusRunning)
	r.pass(10 * time.Minute)
	d = r.get(a, d.ID)
	x, err := r.volumes.Get(t.Context(), r.db, a, v)
	r.must(err)
	up, err := r.park.Volume(t.Context(), v)
	r.must(err)
	if d.OfferID != other.OfferID || x.Status != volume.StatusAttached || up.AttachedTo != d.ID {
		t.Errorf("%s with %v; the volume is %s, and upstream %+v", d.OfferID, d.VolumeIDs, x.Status, up)
	}
	// It is told as attached only where that is so.
	if x.Status == volume.StatusAttached && up.AttachedTo != d.ID {
		t.Error("it is called attached, and is not")
	}
}
